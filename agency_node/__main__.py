"""Wiring only: read what settings name, build the parts, run them, stop cleanly. The one place that sees everything.

What only the answering side, the index or the steward need is imported where it is put together: somebody who asks does
not wait for the SQL checker and the weighing of records to load.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
import grpc.aio
import uuid_utils
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from google.protobuf.internal import api_implementation
from sqlalchemy import Engine

from accord import agreement as contract
from accord.canonical import Json, lp, rfc3339, sha256
from accord.clock import Clock
from accord.directory import Directory
from accord.identity import MatchKey
from accord.reasons import Problem
from accord.v1 import (
    agreements_pb2,
    agreements_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    broker_pb2,
    broker_pb2_grpc,
    keys_pb2,
    keys_pb2_grpc,
)
from agency_node import agreements, blinding, enrol, events, keys, tokens, witness
from agency_node import staff as sign_in
from agency_node.asking import Asker, Held, Outcome, Prepared, held_agreement
from agency_node.channel import Identity, Remote, call, dial, once_more, problem_of
from agency_node.directory import DirectoryFile
from agency_node.events import Event, log
from agency_node.ledger import Kind, Record, append
from agency_node.rules import RulesInForce, catalogue_in_force
from agency_node.settings import BadSettings, NodeSettings, StewardSettings, load, load_steward
from agency_node.store import open_state, prepare_state, reading, size, writing
from agency_node.store.agreements import Binding, Source, binding_of, keep_binding

if TYPE_CHECKING:
    from agency_node import index, link
    from agency_node.mapping import Records
    from agency_node.refit import Refit
    from agency_node.service import Frames
    from agency_node.weights import Weights

CALL_S: Final = 10.0
"""Longest wait for one call of the asking side, seconds."""
STOP_S: Final = 2.0
"""How long what is under way may take to end when the program is told to stop, seconds."""
STEWARD_OPTIONS: Final = (
    # A request of 64 KiB, with room for its frame.
    ("grpc.max_receive_message_length", 128 * 1024),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.max_concurrent_streams", 128),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # A certificate is looked at when a connection begins: one that ran out or was withdrawn since ends with it.
    ("grpc.max_connection_age_ms", 3_600_000),
    ("grpc.max_connection_age_grace_ms", 15_000),
    ("grpc.so_reuseport", 0),
)
CLOCK_EVERY_S: Final = 1.0
"""How often this machine's clock is held against one that nobody can set, seconds; each reading does so too."""
INDEX_S: Final = 600.0
"""Longest wait for the tokens of one batch of an index, seconds."""
WORKERS_FROM: Final = 2_000
"""People from whom on several processes compute an index, where the operator leaves it open; two minutes for one."""
MOST_WORKERS: Final = 4
"""Most of them then; key servers have other members too."""
HERE: Final = blinding.Here()


@dataclass(frozen=True, slots=True)
class Home:
    """What every command of a node starts from."""

    settings: NodeSettings
    engine: Engine
    directory: DirectoryFile

    def identity(self) -> Identity:
        """What this node shows and trusts on a channel."""
        return Identity(
            keys.read_private(self.settings.tls_key),
            keys.read(self.settings.tls_certificate),
            keys.read(self.settings.ca),
        )

    def own_identity(self) -> Identity:
        """As `identity`, looked at first as the others will look at it, so that a command can say what is wrong.

        Raises:
            BadOwnCertificate: The others would refuse it.
        """
        told, shown = self.settings, self.identity()
        enrol.own_certificate(
            shown.certificate,
            keys.read_p256(told.tls_key),
            shown.authority,
            f"spiffe://{told.federation}/agency/{told.agency}",
            self.directory.current(),
            time.time_ns(),
        )
        return shown

    def certificate_der(self) -> bytes:
        """This node's certificate in DER."""
        certificate = x509.load_pem_x509_certificate(keys.read(self.settings.tls_certificate))
        return certificate.public_bytes(Encoding.DER)


@contextlib.contextmanager
def home(settings: NodeSettings) -> Iterator[Home]:
    """Open a node's state and directory."""
    engine = open_state(settings.database, settings.database_url_file)
    try:
        public = keys.read_pinned(settings.federation_public)
        yield Home(settings, engine, DirectoryFile(settings.directory, public, engine, time.time_ns))
    finally:
        engine.dispose()


def prepare_database(folder: Path, owner_file: Path) -> str:
    """Make or update the tables of a node, or of the steward, on a PostgreSQL server, and say which version they are.

    Args:
        folder: Its home.
        owner_file: A file with the address, under the account that owns the tables.

    Raises:
        BadSettings: Its settings name no server.
        StateUnusable: See `agency_node.store.prepare_state`.
    """
    steward = folder / "steward.toml"
    settings = load_steward(steward) if steward.exists() else load(folder / "node.toml")
    if settings.database_url_file is None:
        raise BadSettings("database_url_file is not given", "A SQLite file is made by itself and needs no preparing.")
    return prepare_state(owner_file, settings.database_url_file)


def new_id() -> str:
    """A fresh UUID version 7 (RFC 9562 section 5.7)."""
    return str(uuid_utils.uuid7())


def publics(directory: Directory) -> tokens.KeyPublics:
    """The key servers' public keys that the directory pins."""
    steward = {**directory.steward.key_server, **directory.steward.subject_keys}
    return tokens.KeyPublics(directory.epoch.id, directory.broker.key_server, steward)


class WrongInstallation(Problem):
    """A library is not the one that was chosen."""

    reason = "WRONG_INSTALLATION"


def refuse_other_backends(backend: str) -> None:
    """Refuse to start on a protobuf parser without a limit on depth that holds (CVE-2025-4565).

    Args:
        backend: What `google.protobuf.internal.api_implementation.Type()` says.

    Raises:
        WrongInstallation: It is not upb.
    """
    if backend != "upb":
        raise WrongInstallation(f"protobuf runs on its {backend} backend; only upb bounds how deep a message may nest")


# -- Answering --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answerer:
    """The answering side, put together but not attached to any broker yet.

    Attributes:
        home: What the node started from.
        rules: The policy bundle in force.
        frames: Handles what comes down a session.
    """

    home: Home
    rules: RulesInForce
    frames: "Frames"


@contextlib.contextmanager
def answerer(settings: NodeSettings, wall: Callable[[], int] = time.time_ns) -> Iterator[Answerer]:
    """Open the agency's records and the node's state, and put the answering side together.

    Args:
        settings: The node's.
        wall: The clock, nanoseconds since 1970.
    """
    from agency_node import index, link, weights
    from agency_node.answer import Node
    from agency_node.mapping import open_records
    from agency_node.service import Frames

    with home(settings) as at, contextlib.closing(open_records(settings.mapping)) as records:
        token_index = index.TokenIndex(at.engine)
        used = weights.in_force(settings.link_prior)
        if weights.note(at.engine, used, wall()):
            log.info(Event.WEIGHTS_CHANGED, weights=used.digest)
        rules = RulesInForce(settings.agency, at.engine, at.directory.current)

        def scales() -> "link.Scales | None":
            found = token_index.statistics()
            return None if found is None else link.Scales(found[0], found[1], used.prior, used.shipped)

        node = Node(
            agency=settings.agency,
            directory=at.directory.current,
            engine=at.engine,
            sealing_key=keys.read_x25519(settings.sealing_key),
            answer_key=keys.read_ed25519(settings.answer_key),
            rules=rules.current,
            index=token_index,
            records=records,
            scales=scales,
            fresh_for_s=settings.max_answer_age_s,
        )
        try:
            clock = Clock(wall, time.monotonic_ns)
            witness_key = keys.read_ed25519(settings.witness_key)
            yield Answerer(at, rules, Frames(node, rules, witness_key, clock.now_ns, clock.steps))
        finally:
            rules.close()


@contextlib.asynccontextmanager
async def answering(settings: NodeSettings) -> AsyncIterator[Callable[[], bool]]:
    """A node that stays attached and answers until the block ends.

    Yields:
        Tells whether it is attached now.
    """
    from agency_node import session

    with answerer(settings) as parts:
        frames, identity = parts.frames, parts.home.identity
        up = False

        def attached(now: bool) -> None:
            nonlocal up
            if now and not up:
                log.info(Event.SESSION_ATTACHED, broker=settings.broker)
            up = now

        keeping = asyncio.create_task(
            session.keep(
                settings.broker,
                identity,
                frames.hello,
                frames.handle,
                attached,
                settings.answer_pace_ms / 1_000,
                frames.turn_away,
                settings.questions_waiting,
            )
        )
        holding = asyncio.create_task(_hold_clock(frames))
        if settings.metrics is not None:
            _serve_metrics(settings.metrics, frames)
        log.info(
            Event.SERVICE_STARTED,
            agency=settings.agency,
            directory_version=parts.home.directory.current().version,
            policy=parts.rules.revision(),
        )
        try:
            yield lambda: up and not keeping.done()
            if keeping.done():
                await keeping
        finally:
            holding.cancel()
            keeping.cancel()
            # Not for ever: whatever did not end by then is told once more when the event loop closes.
            await asyncio.wait({holding, keeping}, timeout=STOP_S)
            log.info(Event.SERVICE_STOPPED, cause="asked")


def _serve_metrics(address: str, frames: "Frames") -> None:
    """Serve /metrics on a loopback address, host:port. No label there, so nothing tells of a person or a question."""
    from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, start_http_server

    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    count = Gauge("accord_node_questions_turned_away", "Questions for which there was no room", registry=registry)
    count.set_function(lambda: frames.turned_away)
    host, _, port = address.rpartition(":")
    start_http_server(int(port), host.strip("[]"), registry=registry)


async def _hold_clock(frames: "Frames") -> None:
    """Look at the clock every second, also where nobody asks anything."""
    while True:
        try:
            frames.note_clock()
        except Problem as problem:
            log.error(Event.RPC_FAILED, method="clock", reason=problem.reason, kind="")
        await asyncio.sleep(CLOCK_EVERY_S)


async def serve(settings: NodeSettings) -> None:
    """Answer until told to stop (SIGTERM or Ctrl-C)."""
    refuse_other_backends(api_implementation.Type())
    events.configure(settings.log_level)
    stopping = _stopping()
    async with answering(settings):
        await stopping.wait()


def _stopping() -> asyncio.Event:
    """Set when this program is told to stop; from now on, also while it starts."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    loop.set_exception_handler(_unheard)
    return stopping


def _unheard(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Say that a task failed whose outcome nobody awaits; asyncio itself would print the text of it (T-PRV-1)."""
    kind = type(context["exception"]).__name__ if "exception" in context else ""
    log.error(Event.RPC_FAILED, method="task", reason="INTERNAL", kind=kind)


# -- The index --------------------------------------------------------------------------------------------------------


async def build_index(
    settings: NodeSettings,
    progress: "Callable[[index.Progress], None]",
    allow_vanishing: bool,
    workers: int = 1,
) -> "index.Built":
    """Bring this node's token index up to date.

    Args:
        settings: The node's.
        progress: Told of every step.
        allow_vanishing: Go on though most people, or all, are no longer in the records.
        workers: Processes that compute; 1 for none beside this one, 0 to choose by size and cores.
    """
    from agency_node import index

    async with _indexing(settings, workers) as (at, records, tokenise, terms, people):
        return await index.build(
            at.engine,
            records,
            tokenise,
            node_id=settings.agency,
            terms=terms,
            at_ns=time.time_ns(),
            expected=people,
            progress=progress,
            allow_vanishing=allow_vanishing,
        )


async def refresh_index(
    settings: NodeSettings, progress: "Callable[[index.Progress], None]", workers: int = 1
) -> "index.Refreshed":
    """Take in the people whose records say that they changed; see `build_index`.

    Raises:
        index.NoFullPass: There is no complete index, or the records do not say reliably when they changed.
    """
    from agency_node import index

    async with _indexing(settings, workers or 1) as (at, records, tokenise, terms, _):
        if not records.changed_at_usable:
            raise index.NoFullPass("the mapping does not say that changed_at moves with every change of a record")
        return await index.refresh(
            at.engine, records, tokenise, node_id=settings.agency, terms=terms, progress=progress
        )


@contextlib.asynccontextmanager
async def _indexing(
    settings: NodeSettings, count: int
) -> "AsyncIterator[tuple[Home, Records, index.Tokens, index.Terms, int]]":
    """What an index job needs, and how many people the records have where that was counted (0 where not)."""
    from agency_node import index
    from agency_node.mapping import open_records

    with home(settings) as at, contextlib.closing(open_records(settings.mapping)) as records:
        directory = at.directory.current()
        people = 0
        if count == 0:
            people = sum(1 for _ in records.people())
            count = min(len(os.sched_getaffinity(0)), MOST_WORKERS) if people >= WORKERS_FROM else 1
        async with _dialled(at) as (broker, steward), blinding.workers(count) as blinder:
            tokenise = _tokenise(at, directory, broker, steward, tokens.INDEX, INDEX_S, blinder)
            terms = index.Terms(directory.epoch.id, directory.key_servers_digest)
            yield at, records, tokenise, terms, people


def index_status(settings: NodeSettings) -> dict[str, Any]:
    """The indexes of this node, and whether they answer."""
    from agency_node import index
    from agency_node.store.index import IndexBusy, listing, only_job

    with home(settings) as at:
        directory, now_ns, fresh_for_s = at.directory.current(), time.time_ns(), settings.max_answer_age_s
        today = index.Terms(directory.epoch.id, directory.key_servers_digest)
        try:
            with only_job(at.engine):
                busy = False
        except IndexBusy:
            busy = True
        indexes = []
        for one in listing(at.engine):
            terms = index.Terms(**one.terms)
            state = index.TokenIndex(at.engine).state(terms, now_ns=now_ns, fresh_for_s=fresh_for_s)
            word = "answers" if state.ready else str(state.cause)
            built, until = one.built_at_ns, (one.built_at_ns or 0) + fresh_for_s * 1_000_000_000
            indexes.append(
                {
                    "epoch": one.epoch,
                    "state": word if terms == today else f"{word}; not of today's linkage keys",
                    "people": one.people,
                    "read": one.read,
                    "tokens": one.tokens,
                    "built_at": rfc3339(built) if built is not None else "",
                    "fresh_until": rfc3339(until) if built is not None else "",
                }
            )
        return {"indexes": indexes, "bytes": size(at.engine), "busy": busy}


class EpochInUse(Problem):
    """An index cannot be retired while questions name its linkage keys."""

    reason = "BAD_REQUEST"
    cure = "Take the new directory in first; it names the linkage keys that replace these."


def retire_index(settings: NodeSettings, epoch: str) -> int:
    """Remove the indexes of an epoch that is out of use, and say how many.

    Raises:
        EpochInUse: It is today's.
    """
    from agency_node import index

    with home(settings) as at:
        if epoch == at.directory.current().epoch.id:
            raise EpochInUse(f"questions name the linkage keys of {epoch}")
        return index.retire(at.engine, epoch)


def refit_weights(settings: NodeSettings, at_ns: int) -> "Relearnt":
    """Learn weights of linkage from what was opened here, and keep them as a draft.

    Args:
        settings: The node's.
        at_ns: Now, nanoseconds since 1970.

    Raises:
        index.NoFullPass: There is no complete index, whose statistics are needed.
        agency_node.refit.BadPattern: The counts hold something else.
        agency_node.weights.BadWeights: The weights in force cannot be read.
    """
    from agency_node import index, refit, weights
    from agency_node.scoring import shipped_prior
    from agency_node.store.patterns import counted

    with home(settings) as at:
        known = index.TokenIndex(at.engine).statistics()
        if known is None:
            raise index.NoFullPass("how common names and dates are here is not known before an index is complete")
        with reading(at.engine) as connection:
            pairs, months = counted(connection)
        used = weights.in_force(settings.link_prior)
        opened = {refit.from_text(pattern): count for pattern, count in pairs.items()}
        found = refit.refit(opened, known[0], shipped_prior(), used.prior, rfc3339(at_ns)[:10])
        digest = weights.keep_draft(settings.link_prior, found.after) if found.after is not None else ""
        return Relearnt(found, months, used, weights.draft_of(settings.link_prior), digest)


@dataclass(frozen=True, slots=True)
class Relearnt:
    """What a node has learnt, and where the draft lies.

    Attributes:
        refit: What was learnt, and what it would change.
        months: From which months the counts are, in order.
        used: The weights in force.
        draft: Where the draft lies, or would.
        digest: The draft's, hexadecimal; "" where there is none.
    """

    refit: "Refit"
    months: tuple[str, ...]
    used: "Weights"
    draft: Path
    digest: str


def check_mapping(settings: NodeSettings) -> "Records":
    """The agency's records, their mapping tried on the real database."""
    from agency_node.mapping import open_records

    return open_records(settings.mapping)


@contextlib.asynccontextmanager
async def _dialled(at: Home) -> AsyncIterator[tuple[grpc.aio.Channel, grpc.aio.Channel]]:
    """Channels to the broker and to the steward."""
    identity = at.own_identity()
    async with dial(at.settings.broker, identity) as broker, dial(at.settings.steward, identity) as steward:
        yield broker, steward


def _tokenise(
    at: Home,
    directory: Directory,
    broker: grpc.aio.Channel,
    steward: grpc.aio.Channel,
    use: "keys_pb2.KeyUse.ValueType",
    deadline_s: float,
    blinder: blinding.Blinder = HERE,
) -> Callable[[Sequence[MatchKey]], Awaitable[list[bytes]]]:
    """Turns match keys into tokens through both key servers, always with the keys that one directory pins."""

    async def tokenise(wanted: Sequence[MatchKey]) -> list[bytes]:
        return await tokens.tokens(
            wanted,
            broker=keys_pb2_grpc.KeyServiceStub(broker),
            steward=keys_pb2_grpc.KeyServiceStub(steward),
            publics=publics(directory),
            use=use,
            deadline_s=deadline_s,
            checkpoint=_newest_head(at),
            blinder=blinder,
        )

    return tokenise


def _newest_head(at: Home) -> str:
    seen = witness.seen(at.engine, at.directory.current().broker.ledger_origin)
    return "" if seen is None else seen.note


# -- Asking -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Desk:
    """The asking side, signed in: everything that a question or an agreement needs."""

    asker: Asker
    caller_token: str
    role: str
    ask: Callable[[broker_pb2.AskRequest], Awaitable[broker_pb2.AskResponse]]
    record: Callable[[agreements_pb2.RecordAgreementRequest], Awaitable[agreements_pb2.RecordAgreementResponse]]
    withdraw: Callable[[agreements_pb2.WithdrawAgreementRequest], Awaitable[agreements_pb2.WithdrawAgreementResponse]]
    keep: Callable[[str, bytes], None]
    explain: Callable[[str], Awaitable[broker_pb2.ExplainQuestionResponse]]


@contextlib.asynccontextmanager
async def desk(
    settings: NodeSettings, staff_token: str, heard: Callable[[int, int], None] = lambda asked, done: None
) -> AsyncIterator[Desk]:
    """Sign a member of staff in and dial broker and steward.

    Args:
        settings: The node's.
        staff_token: The identity provider's token.
        heard: Told how many agencies were asked and how many have been heard.

    Raises:
        StaffTokenRefused: The sign-in is not accepted.
        BadSettings: The node was told of no identity provider.
        NoRules: The node has not received the rules yet.
    """
    if settings.staff is None:
        raise BadSettings("nobody can sign in here: settings have no [staff] section for the identity provider")
    with home(settings) as at:
        now_s = int(time.time())
        secret = keys.read_secret(settings.pseudonym_secret)
        provider = settings.staff.identity_provider()
        member = sign_in.check(staff_token.strip(), provider, secret, now_s)
        directory = at.directory.current()
        asking_key = keys.read_ed25519(settings.asking_key)
        caller_token = sign_in.caller_token(
            member,
            agency=settings.agency,
            federation=directory.federation,
            certificate_der=at.certificate_der(),
            asking_key=asking_key,
            jti=new_id(),
            now_s=now_s,
        )
        policy, catalogue = catalogue_in_force(at.engine, directory)
        async with _dialled(at) as (broker, steward):

            async def tag(wanted: Sequence[MatchKey]) -> list[bytes]:
                return await tokens.subject_tags(
                    wanted,
                    steward=keys_pb2_grpc.KeyServiceStub(steward),
                    publics=publics(directory),
                    federation=directory.federation,
                    deadline_s=CALL_S,
                )

            agreeing = agreements_pb2_grpc.AgreementServiceStub(broker)

            async def find(caller_token: str, tags: Sequence[bytes]) -> list[Held]:
                request = agreements_pb2.FindAgreementsRequest(caller_token=caller_token, subject_tags=tags)
                found = await call(agreeing.FindAgreements(request, timeout=CALL_S))
                return [
                    held_agreement(one.agreement, one.state, one.receipted, _binding(at, one.agreement.statement))
                    for one in found.agreements
                ]

            def keep(record_id: str, binding: bytes) -> None:
                with writing(at.engine) as connection:
                    keep_binding(connection, Binding(record_id, Source.CAPTURED, binding, time.time_ns()))

            async def send(request: broker_pb2.AskRequest) -> broker_pb2.AskResponse:
                stub = broker_pb2_grpc.BrokerServiceStub(broker)
                # The same request gets the same answer, so asking once more is safe.
                response = await once_more(lambda: _ask(stub, request, heard))
                await witness.same_history(
                    at.engine,
                    response.receipted.receipt.partition("\n\n")[2],
                    prove,
                    origin=directory.broker.ledger_origin,
                    ledger_public=directory.broker.ledger_key,
                    at_ns=time.time_ns(),
                )
                return response

            async def explain(query_id: str) -> broker_pb2.ExplainQuestionResponse:
                wanted = broker_pb2.ExplainQuestionRequest(caller_token=caller_token, query_id=query_id)
                return await call(broker_pb2_grpc.BrokerServiceStub(broker).ExplainQuestion(wanted, timeout=CALL_S))

            async def prove(old: int, new: int) -> Sequence[bytes]:
                wanted = audit_pb2.GetConsistencyProofRequest(old_size=old, new_size=new)
                proof = await call(audit_pb2_grpc.AuditServiceStub(broker).GetConsistencyProof(wanted, timeout=CALL_S))
                return list(proof.hashes)

            def note(kind: Kind, fields: dict[str, Json]) -> None:
                with writing(at.engine) as connection:
                    append(connection, [Record(kind, time.time_ns(), {"user": member.user, **fields})])

            asker = Asker(
                agency=settings.agency,
                directory=directory,
                catalogue=catalogue,
                policy=policy,
                asking_key=asking_key,
                case_secret=sha256(lp(b"accord case secret v1", secret)),
                tokens=_tokenise(at, directory, broker, steward, tokens.ASK, CALL_S),
                subject_tokens=tag,
                agreements=find,
                now_ns=time.time_ns,
                new_id=new_id,
                asked=lambda prepared: note(Kind.ASKED_BY_US, _asked(prepared)),
                shown=lambda outcome: note(Kind.ANSWER_SHOWN, _shown(outcome)),
                supervisor=lambda name: sign_in.supervisor(member, name, provider, secret, now_s),
            )
            yield Desk(
                asker=asker,
                caller_token=caller_token,
                role=member.role,
                ask=send,
                record=lambda request: call(agreeing.RecordAgreement(request, timeout=CALL_S)),
                withdraw=lambda request: call(agreeing.WithdrawAgreement(request, timeout=CALL_S)),
                keep=keep,
                explain=explain,
            )


async def _ask(
    broker: broker_pb2_grpc.BrokerServiceStub, request: broker_pb2.AskRequest, heard: Callable[[int, int], None]
) -> broker_pb2.AskResponse:
    wrapped = broker_pb2.AskWithProgressRequest(ask=request)
    try:
        updates: AsyncIterator[broker_pb2.AskWithProgressResponse] = broker.AskWithProgress(  # type: ignore[assignment]
            wrapped, timeout=CALL_S
        )  # the stubs know the synchronous iterator only
        async for update in updates:
            if update.HasField("response"):
                return update.response
            heard(update.progress.asked, update.progress.heard)
    except grpc.aio.AioRpcError as error:
        raise problem_of(error) from None
    raise Remote("NODE_UNREACHABLE")


def _asked(prepared: Prepared) -> dict[str, Json]:
    core = prepared.core
    return {
        "query_id": core.query_id,
        "role": core.role,
        "question": core.question,
        "question_version": core.question_version,
        "purpose": core.purpose,
        "targets": [draft.node for draft in prepared.signed.drafts],
        "statement_digest": prepared.digest.hex(),
    }


def _shown(outcome: Outcome) -> dict[str, Json]:
    return {
        "query_id": outcome.query_id,
        "outcome": outcome.kind,
        "delivery": [one.delivery for one in outcome.agencies],
        "receipt_digest": sha256(outcome.receipt.encode()).hex(),
    }


def _binding(at: Home, statement: bytes) -> contract.Binding | None:
    record_id = contract.parse_agreement(statement).record_id
    with reading(at.engine) as connection:
        found = binding_of(connection, record_id)
    return None if found is None else agreements.read_binding(found.binding)


# -- The steward ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def steward_state(settings: StewardSettings) -> Iterator[tuple[Engine, DirectoryFile]]:
    """Open a steward's state, and its directory.

    In files there are two: the highest version of the directory lies beside what agencies used and reported.
    """
    kept = open_state(settings.database, settings.database_url_file)
    pinned = kept
    try:
        if settings.database_url_file is None:
            pinned = open_state(settings.database.with_suffix(".state"), None)
        public = keys.read_pinned(settings.federation_public)
        yield kept, DirectoryFile(settings.directory, public, pinned, time.time_ns)
    finally:
        pinned.dispose()
        kept.dispose()


@contextlib.asynccontextmanager
async def stewarding(settings: StewardSettings) -> AsyncIterator[str]:
    """A steward that serves keys until the block ends.

    Yields:
        The address it listens on, host:port.
    """
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    from grpc_health.v1._async import HealthServicer

    from agency_node import keyserver, tls
    from agency_node.gate import Gate, peer_of

    with steward_state(settings) as (kept, directory):
        now = directory.current()
        allow = {
            "accord.v1.KeyService": frozenset({"agency"}),
            "grpc.health.v1.Health": frozenset({"agency", "broker", "steward"}),
        }
        server = grpc.aio.server(interceptors=[Gate(directory.current, allow)], options=STEWARD_OPTIONS)
        key_server = keyserver.KeyServer(
            {
                now.epoch.id: keyserver.family_keys(
                    keys.read_secret(settings.key_server_seed), keys.read_secret(settings.subject_seed), now.epoch.id
                )
            },
            agency_of=lambda context: peer_of(context, directory.current()).agency,
            records_of=lambda agency: directory.current().agency(agency).records_up_to,
            ledger=keyserver.Ledger(now.broker.ledger_origin, now.broker.ledger_key),
            heads=keyserver.StoredHeads(kept),
            counters=keyserver.StoredCounters(kept),
        )
        keys_pb2_grpc.add_KeyServiceServicer_to_server(key_server, server)
        health = HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
        await health.set("", health_pb2.HealthCheckResponse.SERVING)
        credentials = tls.credentials(settings.tls_key, settings.tls_certificate, settings.ca)
        port = server.add_secure_port(settings.listen, credentials)
        await server.start()
        listening_on = f"{settings.listen.rpartition(':')[0]}:{port}"
        log.info(Event.SERVICE_STARTED, listening_on=listening_on, directory_version=now.version)
        try:
            yield listening_on
        finally:
            await server.stop(grace=1.0)
            log.info(Event.SERVICE_STOPPED, cause="asked")


async def serve_steward(settings: StewardSettings) -> None:
    """Serve keys until told to stop (SIGTERM or Ctrl-C)."""
    refuse_other_backends(api_implementation.Type())
    events.configure(settings.log_level)
    stopping = _stopping()
    async with stewarding(settings):
        await stopping.wait()
