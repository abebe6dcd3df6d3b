"""Wiring only: read what settings name, build the parts, serve, stop cleanly. The one place that sees everything."""

import asyncio
import contextlib
import functools
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
import uuid_utils
from google.protobuf.internal import api_implementation
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer

from accord import bundle as bundles
from accord import catalogue
from accord.bundle import Bundle
from accord.clock import Clock
from accord.reasons import Problem
from accord.v1 import (
    agreements_pb2_grpc,
    audit_pb2_grpc,
    broker_pb2_grpc,
    directory_pb2_grpc,
    keys_pb2_grpc,
    node_pb2_grpc,
)
from broker import decide, events, keys, keyserver, metrics, service, tls
from broker.admission import Limits, Room
from broker.agreements import Agreements
from broker.ask import Heard, ask
from broker.countersigned import EVERY_S as COUNTERSIGNED_EVERY_S
from broker.countersigned import Countersigned
from broker.decide import Decider, Facts, Rules
from broker.directory import DirectoryFile
from broker.dispatch import Dispatcher
from broker.engines import Engine, PolicyError, PolicyUnavailable, PolicyUndefined
from broker.engines.regorus import Regorus
from broker.events import Event, log
from broker.explain import Explained, may_read, read
from broker.gate import Gate
from broker.ledger import LedgerReading, QuestionLedger
from broker.release import compose
from broker.sequencer import Batch, Sequencer, Writer, record
from broker.sessions import Sessions
from broker.settings import BrokerSettings
from broker.stages import Asked, Released, User
from broker.store import Store, StoreUnusable, open_store
from broker.store.database import Pen
from broker.witnesses import Witnesses

MAX_ASK_BYTES: Final = 1024 * 1024 + 64 * 1024
"""An Ask of at most 1 MiB, with room for its frame."""
AGENCY: Final = frozenset({"agency"})
MEMBERS: Final = frozenset({"agency", "steward", "broker"})
ALLOW: Final = {
    "accord.v1.BrokerService": AGENCY,
    "accord.v1.NodeSessionService": AGENCY,
    "accord.v1.AgreementService": AGENCY,
    "accord.v1.KeyService": AGENCY,
    "accord.v1.DirectoryService": MEMBERS,
    # Heads and proofs are hashes. Records say which agencies were asked together, which no agency may learn.
    "accord.v1.AuditService": MEMBERS,
    "/accord.v1.AuditService/ListEntries": frozenset({"broker"}),
    "grpc.health.v1.Health": MEMBERS,
}
STREAMS: Final = frozenset({"/accord.v1.NodeSessionService/Attach"})
OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_ASK_BYTES),
    ("grpc.max_send_message_length", 2 * 1024 * 1024),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.max_concurrent_streams", 512),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # A certificate is looked at when a connection begins: one that ran out or was withdrawn since ends with it.
    ("grpc.max_connection_age_ms", 3_600_000),
    ("grpc.max_connection_age_grace_ms", 15_000),
    ("grpc.so_reuseport", 0),
)
SWITCH_S: Final = 0.0001
"""How long a thread that computes keeps others waiting, seconds
(https://docs.python.org/3.11/library/sys.html#sys.setswitchinterval). The ledger's writer lets go of the interpreter at
each of a dozen statements; at five milliseconds, Python's own choice, it then waits that long for the event loop to let
go in turn, and every question waits with it."""
HEALTH_EVERY_S: Final = 5.0
AGAIN_S: Final = 1.0
"""How soon after a failure, by whomever it was met, it is looked again, in seconds."""
TURN_EVERY_S: Final = 0.5
"""How often a broker that stands by looks whether it may write, in seconds."""
CLOCK_EVERY_S: Final = 1.0
"""How often this machine's clock is held against one that nobody can set, seconds; each reading does so too."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy bundle in force, as a file and as rules."""

    data: bytes
    revision: str
    catalogue: bytes
    catalogue_digest: str
    rules: Rules


def engine_of(settings: BrokerSettings) -> Callable[[Bundle], Engine]:
    """What makes the one engine that settings name."""
    if settings.opa_url is None:
        return Regorus
    # Few want it, and what it speaks HTTP with takes a fifth of the time that a broker needs to start.
    from broker.engines.opa import OpaServer

    return functools.partial(OpaServer, url=settings.opa_url)


def load_policy(path: Path, directory: DirectoryFile, engine: Callable[[Bundle], Engine] = Regorus) -> Policy:
    """Read, verify and load a policy bundle.

    Args:
        path: The file.
        directory: Whose policy keys count.
        engine: Makes the engine that decides by it.

    Raises:
        BadBundle: It is not signed by a policy key that the directory lists, or not whole.
        PolicyError: Its rules cannot be loaded.
    """
    data = keys.read(path)
    opened = bundles.open_bundle(data, directory.current().broker.policy_public_keys())
    rules = decide.load(opened, engine)
    return Policy(data, opened.revision, opened.files[catalogue.PATH], rules.catalogue.digest, rules)


def new_id() -> str:
    """A fresh UUID version 7 (RFC 9562 section 5.7)."""
    return str(uuid_utils.uuid7())


class UnknownQuestion(Problem):
    """The catalogue has no such question, or not in this version."""

    reason = "QUESTION_UNKNOWN"


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


@contextlib.asynccontextmanager
async def running(
    settings: BrokerSettings,
    wall: Callable[[], int] = time.time_ns,
    superseded: Callable[[], None] = lambda: None,
) -> AsyncIterator[str]:
    """A broker that serves until the block ends.

    It does not listen before it may write the ledger: while another broker serves on the same database, it waits, and
    whoever dials finds that one.

    Args:
        settings: What it was told.
        wall: The clock, nanoseconds since 1970.
        superseded: Called when another broker has taken over; this one answers nothing more.

    Yields:
        The address it listens on, host:port.

    Raises:
        Problem: A part cannot be built; nothing was served.
    """
    clock = Clock(wall, time.monotonic_ns)
    directory = DirectoryFile(settings.directory, keys.read_pinned(settings.federation_public), clock.now_ns)
    federation = directory.current().federation
    policy = load_policy(settings.policy_bundle, directory, engine_of(settings))
    around = contextlib.AsyncExitStack()
    if settings.policy_listen is not None:
        # Few want it and it takes long to load, while a broker that starts again is waited for.
        from broker import bundle_server

        # While it waits for its turn as well, so that its policy server has the rules when the turn comes.
        await around.enter_async_context(bundle_server.serving(settings.policy_listen, lambda: policy.data))
    store = open_store(settings.place)
    if await _turn(store):
        # It may have been replaced meanwhile.
        policy.rules.engine.close()
        policy = load_policy(settings.policy_bundle, directory, engine_of(settings))
    origin = directory.current().broker.ledger_origin
    sequencer = Sequencer(Writer(store, origin, keys.read_ed25519(settings.ledger_key)))
    sequencer.start()
    questions = QuestionLedger(sequencer, store, clock.now_ns)
    reading = LedgerReading(sequencer, store, federation)
    witnesses = Witnesses(
        origin, directory.current().broker.ledger_key, reading.contradicts, sequencer.refuse, reading.witnesses()
    )
    countersigned = Countersigned(sequencer, reading, directory.current)
    agreements = Agreements(sequencer, store, clock.now_ns)
    sessions = Sessions()
    dispatcher = Dispatcher(
        sessions,
        directory.current,
        reading,
        keys.read_ed25519(settings.warrant_key),
        clock.now_ns,
        settings.node_deadline_ms / 1000,
        settings.breaker_failures,
    )

    def facts(asked: Asked) -> Facts:
        today, touched = questions.budgets(asked)
        return Facts(agreements.for_policy(asked), "fresh", today, touched)

    decider = Decider(lambda: policy.rules, facts, new_id)

    def known(asked: Asked) -> None:
        core = asked.statement.core
        found = policy.rules.catalogue.questions.get(core.question)
        if found is None or found.version != core.question_version:
            raise UnknownQuestion(core.question)
        here = directory.current()
        for target in asked.statement.broker_part.targets:
            here.agency(target.agency)

    async def carry(asked: Asked, heard: Heard) -> Released:
        started = time.monotonic()
        core = asked.statement.core
        log.info(
            Event.QUESTION_ACCEPTED,
            query_id=core.query_id,
            caller_agency=core.agency,
            question=core.question,
            question_version=core.question_version,
            purpose=core.purpose,
            targets=len(asked.statement.broker_part.targets),
        )
        released = await ask(asked, decider, questions, dispatcher, compose, heard)
        _told(asked, released, time.monotonic() - started)
        metrics.LEDGER_SIZE.set(sequencer.head.size)
        return released

    who = service.Caller(directory.current, clock.now_ns)
    server = grpc.aio.server(interceptors=[Gate(directory.current, ALLOW, STREAMS)], options=OPTIONS)
    room = _room(settings)
    metrics.IN_WORK.set_function(lambda: room.at_work)
    metrics.MAY_WORK.set_function(lambda: room.size)
    metrics.WAITING.set_function(lambda: room.waiting)
    metrics.PASSED_OVER.set_function(dispatcher.passed_over)

    def explained(query_id: str, user: User) -> Explained:
        with store.reading() as connection:
            may_read(connection, query_id, user)
            return read(connection, query_id, directory.current().broker.policy_public_keys())

    asking = service.Asking(who, carry, lambda: policy, known, room, explained)
    broker_pb2_grpc.add_BrokerServiceServicer_to_server(asking, server)
    attaching = service.Attaching(who, sessions, reading, agreements, lambda: policy, witnesses, countersigned)
    node_pb2_grpc.add_NodeSessionServiceServicer_to_server(attaching, server)
    agreements_pb2_grpc.add_AgreementServiceServicer_to_server(service.Agreeing(who, agreements, sessions), server)
    directory_pb2_grpc.add_DirectoryServiceServicer_to_server(service.Handing(lambda: directory.data), server)
    audit_pb2_grpc.add_AuditServiceServicer_to_server(service.Auditing(reading), server)
    counters = keyserver.StoredCounters(settings.counts)
    epoch = directory.current().epoch.id
    key_server = keyserver.KeyServer(
        keys={epoch: keyserver.family_keys(keys.read_secret(settings.key_server_seed), epoch)},
        counters=counters,
        agency_of=lambda context: who.peer(context).agency,
        records_of=lambda agency: directory.current().agency(agency).records_up_to,
    )
    keys_pb2_grpc.add_KeyServiceServicer_to_server(key_server, server)
    health = HealthServicer()
    # It would say SERVING of itself before anybody looked.
    await health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    credentials = tls.credentials(settings.tls_key, settings.tls_certificate, settings.ca)
    port = server.add_secure_port(settings.listen, credentials)
    await server.start()
    tasks = list[asyncio.Task[None]]()
    address = f"{settings.listen.rpartition(':')[0]}:{port}"
    try:
        await witnesses.asked()
        abandoned = await questions.start()
        await questions.activate(policy.revision, policy.catalogue_digest, "start", policy.data)
        log.info(Event.LEDGER_OPENED, size=sequencer.head.size, abandoned=abandoned)
        tasks.append(asyncio.create_task(_watch(health, sequencer, questions, policy, store.pen, superseded)))
        tasks.append(asyncio.create_task(_hold_clock(clock, sequencer)))
        tasks.append(asyncio.create_task(_keep(countersigned)))
        log.info(
            Event.SERVICE_STARTED,
            listening_on=address,
            directory_version=directory.current().version,
            policy=policy.revision,
        )
        metrics.ACTIVE.set(1)
        yield address
    finally:
        metrics.ACTIVE.set(0)
        for task in tasks:
            task.cancel()
        await around.aclose()
        await server.stop(grace=2.0)
        with contextlib.suppress(Problem):
            await countersigned.write()
        await sequencer.stop()
        policy.rules.engine.close()
        counters.close()
        store.close()
        log.info(Event.SERVICE_STOPPED, cause="superseded" if store.pen.lost else "asked")


async def _turn(store: Store) -> bool:
    """Wait until this broker may write; whether it had to wait."""
    try:
        if store.pen.take():
            return False
        log.info(Event.STANDING_BY)
        while not await _taken(store):
            await asyncio.sleep(TURN_EVERY_S)
    except BaseException:
        store.close()
        raise
    return True


async def _taken(store: Store) -> bool:
    try:
        return await asyncio.to_thread(store.pen.take)
    except StoreUnusable as problem:
        # The server is down for everybody; this one is as ready as any when it comes back.
        log.error(Event.LEDGER_FAILED, reason=problem.reason)
        return False


def _room(settings: BrokerSettings) -> Room:
    """As many questions as settings say; none waits so long that it could not be answered by its deadline."""
    limits = Limits(
        at_once=settings.questions_at_once,
        agency_at_once=settings.agency_at_once,
        waiting=settings.questions_waiting,
        agency_waiting=settings.agency_waiting,
        at_least=settings.questions_at_least,
    )
    needed_s = settings.node_deadline_ms / 1000
    return Room(limits, settings.ask_deadline_ms / 1000 - needed_s, needed_s)


def _told(asked: Asked, released: Released, seconds: float) -> None:
    core = asked.statement.core
    answered = sum(row.delivery == "ANSWERED" for row in released.rows)
    if released.replayed:
        log.info(Event.QUESTION_REPLAYED, query_id=core.query_id, caller_agency=core.agency)
        kind = "REPLAYED"
    elif all(row.delivery == "REFUSED" for row in released.rows):
        codes = sorted({denial.code for row in released.rows for denial in row.denials})
        log.info(
            Event.QUESTION_REFUSED,
            query_id=core.query_id,
            caller_agency=core.agency,
            question=core.question,
            purpose=core.purpose,
            codes=" ".join(codes)[: events.MAX_VALUE],
        )
        kind = "REFUSED"
    else:
        log.info(
            Event.QUESTION_RELEASED,
            query_id=core.query_id,
            caller_agency=core.agency,
            question=core.question,
            asked=len(released.rows),
            answered=answered,
            elapsed_ms=round(seconds * 1000),
        )
        kind = "RELEASED"
    metrics.released(released, kind, seconds)


async def _watch(
    health: HealthServicer,
    sequencer: Sequencer,
    questions: QuestionLedger,
    policy: Policy,
    pen: Pen,
    superseded: Callable[[], None],
) -> None:
    """SERVING only while this process can decide, sign and write its ledger."""
    while not pen.lost:
        try:
            await sequencer.probe()
            await questions.tidy()
            await policy.rules.engine.decide(decide.ENTRYPOINT, b"{}")
            able = True
        except (PolicyUnavailable, PolicyUndefined, PolicyError) as problem:
            # The empty question has no targets: an engine that works decides it, one that does not raises.
            able = False
            log.error(Event.POLICY_FAILED, reason=problem.reason, policy=policy.revision)
        except Problem as problem:
            able = False
            log.error(Event.LEDGER_FAILED, reason=problem.reason)
        except Exception as error:  # noqa: BLE001  # whatever it is, it must not leave SERVING standing
            able = False
            log.error(Event.RPC_FAILED, method="health", reason="INTERNAL", kind=type(error).__name__)
        serving = health_pb2.HealthCheckResponse.SERVING if able else health_pb2.HealthCheckResponse.NOT_SERVING
        await health.set("", serving)
        until = time.monotonic() + HEALTH_EVERY_S
        await asyncio.sleep(AGAIN_S)
        while able and sequencer.writable and time.monotonic() < until:
            await asyncio.sleep(AGAIN_S)
    superseded()


async def _hold_clock(clock: Clock, sequencer: Sequencer) -> None:
    """Write down every step of the clock, so that nobody takes a record's time for more than it is (T-OPS-2)."""
    steps: list[int] = []
    while True:
        steps += clock.steps()
        try:
            if steps:
                at_ns, by_ms = clock.now_ns(), [round(step / 1_000_000) for step in steps]
                await sequencer.append(Batch(tuple(record("CLOCK_STEP", at_ns, {"by_ms": one}) for one in by_ms)))
                for one in by_ms:
                    log.warning(Event.CLOCK_STEP, by_ms=one)
                steps.clear()
        except Problem as problem:
            # They stay where they are, for when the ledger can be written again.
            log.error(Event.LEDGER_FAILED, reason=problem.reason)
        await asyncio.sleep(CLOCK_EVERY_S)


async def _keep(countersigned: Countersigned) -> None:
    """Write down now and then what the witnesses countersigned."""
    while True:
        await asyncio.sleep(COUNTERSIGNED_EVERY_S)
        try:
            await countersigned.write()
        except Problem as problem:
            log.error(Event.LEDGER_FAILED, reason=problem.reason)


def _unheard(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Say that a task failed whose outcome nobody awaits; asyncio itself would print the text of it (T-PRV-1)."""
    kind = type(context["exception"]).__name__ if "exception" in context else ""
    log.error(Event.RPC_FAILED, method="task", reason="INTERNAL", kind=kind)


async def serve(settings: BrokerSettings) -> None:
    """Serve until told to stop (SIGTERM or Ctrl-C)."""
    sys.setswitchinterval(SWITCH_S)
    refuse_other_backends(api_implementation.Type())
    events.configure(settings.log_level)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    loop.set_exception_handler(_unheard)
    if settings.metrics is not None:
        metrics.serve(settings.metrics)
    serving, told = asyncio.create_task(_serving(settings)), asyncio.create_task(stopping.wait())
    await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving


async def _serving(settings: BrokerSettings) -> None:
    """Serve; once another broker has taken over, begin again from the start and stand by."""
    while True:
        superseded = asyncio.Event()
        async with running(settings, superseded=superseded.set):
            await superseded.wait()
