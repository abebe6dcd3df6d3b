"""The broker's services as a member of the federation meets them: over mutual TLS, with real agencies' certificates."""

import asyncio
import contextlib
import os
import resource
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final, TypeVar

import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord import agreement as agreements
from accord import catalogue, signing
from accord.canonical import sha256
from accord.v1 import (
    agreements_pb2,
    agreements_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    broker_pb2,
    broker_pb2_grpc,
    common_pb2,
    directory_pb2,
    directory_pb2_grpc,
    node_pb2,
    node_pb2_grpc,
)
from agency_node import asking
from agency_node.channel import dial
from agency_node.cli import people as typed
from tests.world import gates, hostile
from tests.world import stack as worlds

Result = TypeVar("Result")
WREN: Final = {
    "first_name": "Wren",
    "last_name": "Abercorn",
    "date_of_birth": "2012-08-03",
    "sex": "female",
    "address": "22 Tollgate",
    "postcode": "MD6 2TG",
    "role": "child",
}
CALL_S: Final = 60.0


@dataclass(slots=True)
class Stage:
    """A running federation, and the loop it runs in."""

    runner: asyncio.Runner
    world: worlds.World

    def run(self, body: Callable[[worlds.World], Awaitable[Result]]) -> Result:
        async def inside() -> Result:
            return await body(self.world)

        return self.runner.run(inside())

    def refused(self, body: Callable[[worlds.World], Awaitable[Any]]) -> str:
        """The status that a call ends with."""

        async def inside(world: worlds.World) -> str:
            try:
                await body(world)
            except grpc.aio.AioRpcError as error:
                return gates.told(error)
            return "OK"

        return self.run(inside)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with asyncio.Runner() as runner:
        running = contextlib.AsyncExitStack()
        records = {"police": [worlds.held(1, WREN, contacts=[worlds.ago(20)])]}
        home = tmp_path_factory.mktemp("midshire") / "homes"
        world = runner.run(running.enter_async_context(worlds.stack(home, records)))
        try:
            yield Stage(runner, world)
        finally:
            runner.run(running.aclose())


def channel(world: worlds.World, agency: str = "social-care") -> Any:
    """An agency's channel to the broker."""
    return dial(world.settings[agency].broker, world.answering[agency].home.identity())


# -- Streams of nodes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "status"),
    [
        (node_pb2.AttachRequest(), "INVALID_ARGUMENT BAD_REQUEST"),
        (node_pb2.AttachRequest(alarm=node_pb2.Alarm(reason="INTERNAL")), "INVALID_ARGUMENT BAD_REQUEST"),
        (node_pb2.AttachRequest(hello=node_pb2.Hello()), "PERMISSION_DENIED NOT_ALLOWED"),
        (node_pb2.AttachRequest(hello=node_pb2.Hello(agency="police")), "PERMISSION_DENIED NOT_ALLOWED"),
    ],
    ids=["nothing", "no hello", "no name", "another agency's name"],
)
def test_a_stream_begins_with_its_own_agencys_hello(stage: Stage, first: node_pb2.AttachRequest, status: str) -> None:
    """T-SEC-4: housing's certificate opens no stream for the police."""

    async def attach(world: worlds.World) -> None:
        async def frames() -> AsyncIterator[node_pb2.AttachRequest]:
            yield first
            await asyncio.sleep(CALL_S)

        async with channel(world, "housing") as opened:
            async for _ in node_pb2_grpc.NodeSessionServiceStub(opened).Attach(frames()):
                pass

    before = stage.world.streams["police"].down[:]

    assert status == stage.refused(attach)
    assert before == stage.world.streams["police"].down


# -- Questions ---------------------------------------------------------------------------------------------------------


def test_the_catalogue_is_handed_out_as_it_is_in_force(stage: Stage) -> None:
    """The digest and revision are those that the next decision rests on."""

    async def fetch(world: worlds.World) -> broker_pb2.ListQuestionsResponse:
        async with channel(world) as opened:
            stub = broker_pb2_grpc.BrokerServiceStub(opened)
            listed: broker_pb2.ListQuestionsResponse = await stub.ListQuestions(
                broker_pb2.ListQuestionsRequest(), timeout=CALL_S
            )
            return listed

    listed = stage.run(fetch)
    rules = stage.world.answering["police"].rules.current()

    assert (sha256(listed.catalogue), rules.revision) == (listed.catalogue_sha256, listed.policy_revision)
    assert rules.catalogue == catalogue.parse(listed.catalogue)


def test_the_directory_is_handed_out_as_it_was_signed(stage: Stage) -> None:
    """The broker relays the federation's file and can change nothing in it."""

    async def fetch(world: worlds.World) -> bytes:
        async with channel(world) as opened:
            stub = directory_pb2_grpc.DirectoryServiceStub(opened)
            found: directory_pb2.GetDirectoryResponse = await stub.GetDirectory(
                directory_pb2.GetDirectoryRequest(), timeout=CALL_S
            )
            return found.directory

    assert stage.world.federation.directory_bytes == stage.run(fetch)


def test_an_unknown_question_is_refused_at_the_broker_too(stage: Stage) -> None:
    """T-POL-3: an asker with a catalogue of its own reaches nobody, and nothing stands in the ledger as asked."""

    async def own_catalogue(world: worlds.World) -> None:
        inquiry, _ = typed.inquiry(hostile.question([WREN]))
        async with world.desk("social-care") as desk:
            known = desk.asker.catalogue
            invented = replace(known.questions["agency.contact"], id="police.intelligence")
            asker = replace(desk.asker, catalogue=replace(known, questions={**known.questions, invented.id: invented}))
            made = await asking.prepare(
                asker, replace(inquiry, question=invented.id, targets=("police",)), desk.caller_token, desk.role
            )
            async with channel(world) as opened:
                await broker_pb2_grpc.BrokerServiceStub(opened).Ask(made.request, timeout=CALL_S)

    before = len(stage.world.broker_records())

    assert "INVALID_ARGUMENT QUESTION_UNKNOWN" == stage.refused(own_catalogue)
    assert before == len(stage.world.broker_records())


def test_an_asker_who_hangs_up_leaves_a_question_with_an_end(stage: Stage) -> None:
    """T-AUD-3: ASKED gets its terminal record, whoever still listens."""

    async def hang_up(world: worlds.World) -> list[str]:
        inquiry, _ = typed.inquiry(hostile.question([WREN]))
        async with world.desk("social-care") as desk, channel(world) as opened:
            made = await asking.prepare(desk.asker, inquiry, desk.caller_token, desk.role)
            stub = broker_pb2_grpc.BrokerServiceStub(opened)
            before = len(world.broker_records())
            updates: Any = stub.AskWithProgress(broker_pb2.AskWithProgressRequest(ask=made.request), timeout=CALL_S)
            async for _ in updates:
                updates.cancel()
                break
            await world.until(lambda: any(one["kind"] == "RELEASED" for one in world.broker_records(before)))
            return [one["kind"] for one in world.broker_records(before)]

    assert ["ASKED", "DECIDED", "WARRANTED", "ANSWERED", "ANSWERED", "RELEASED"] == stage.run(hang_up)


def test_progress_counts_agencies_and_ends_with_the_answer(stage: Stage) -> None:
    """What is heard on the way are numbers only."""

    async def listen(world: worlds.World) -> tuple[list[tuple[int, int]], int]:
        inquiry, _ = typed.inquiry(hostile.question([WREN]))
        counts, rows = [], 0
        async with world.desk("social-care") as desk, channel(world) as opened:
            made = await asking.prepare(desk.asker, inquiry, desk.caller_token, desk.role)
            stub = broker_pb2_grpc.BrokerServiceStub(opened)
            updates: Any = stub.AskWithProgress(broker_pb2.AskWithProgressRequest(ask=made.request), timeout=CALL_S)
            async for update in updates:
                if update.HasField("response"):
                    rows = len(update.response.rows)
                else:
                    counts.append((update.progress.asked, update.progress.heard))
        return counts, rows

    assert ([(2, 0), (2, 1), (2, 2)], 2) == stage.run(listen)


# -- Agreements --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recording:
    """An agreement request of social care's that a test may spoil."""

    token: str
    agreement: agreements.Agreement
    key: Any

    def request(self, deliveries: tuple[tuple[str, bytes], ...] = ()) -> agreements_pb2.RecordAgreementRequest:
        body = agreements.agreement_bytes(self.agreement)
        signed = common_pb2.Signed(
            statement=body,
            signature=signing.sign(self.key, agreements.LABEL, body),
            key_id=signing.key_id(signing.public_bytes(self.key)),
        )
        sealed = [agreements_pb2.AgreementDelivery(agency=agency, sealed=data) for agency, data in deliveries]
        return agreements_pb2.RecordAgreementRequest(caller_token=self.token, agreement=signed, deliveries=sealed)


async def recording(world: worlds.World) -> Recording:
    """A good one, as social care would send it."""
    now_ns = world.now_ns() - world.now_ns() % 1_000_000
    async with world.desk("social-care") as desk:
        made = agreements.Agreement(
            record_id=hostile.new_id(),
            kind="service_agreement",
            state=agreements.GIVEN,
            given_by="parent",
            capture="paper",
            captured_by="social-care",
            captured_at_ns=now_ns,
            valid_from_ns=now_ns,
            valid_to_ns=now_ns + 90 * worlds.DAY_NS,
            questions=("agency.contact",),
            purposes=("early_help",),
            requesters=("social-care",),
            responders=("police",),
            subject_tags=(b"t" * 16,),
            binding="88" * 32,
            notice="notice-1",
            policy="11" * 32,
        )
        return Recording(desk.caller_token, made, world.federation.agencies["social-care"].asking)


def recorded(stage: Stage, spoil: Callable[[Recording], agreements_pb2.RecordAgreementRequest]) -> str:
    async def send(world: worlds.World) -> None:
        request = spoil(await recording(world))
        async with channel(world) as opened:
            await agreements_pb2_grpc.AgreementServiceStub(opened).RecordAgreement(request, timeout=CALL_S)

    before = len(stage.world.broker_records())
    status = stage.refused(send)
    kinds = [one["kind"] for one in stage.world.broker_records(before)]
    assert (["AGREEMENT_GIVEN"] if status == "OK" else []) == kinds
    return status


def test_an_agreement_of_the_callers_own_is_recorded(stage: Stage) -> None:
    """The control of the two tests below."""
    assert "OK" == recorded(stage, lambda one: one.request((("police", b"sealed"),)))


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"captured_by": "housing"}, "INVALID_ARGUMENT BAD_AGREEMENT"),
        ({"responders": ("hospital",)}, "UNKNOWN_AGENCY"),
        ({"requesters": ("hospital",)}, "UNKNOWN_AGENCY"),
    ],
    ids=["captured elsewhere", "unknown responder", "unknown requester"],
)
def test_an_agreement_for_somebody_else_is_refused(stage: Stage, changes: dict[str, Any], status: str) -> None:
    """T-CON-4: an agency records what it captured itself, among members of the federation."""
    outcome = recorded(stage, lambda one: replace(one, agreement=replace(one.agreement, **changes)).request())

    assert outcome.endswith(status)


@pytest.mark.parametrize(
    ("spoil", "status"),
    [
        (
            lambda one: replace(one, key=Ed25519PrivateKey.from_private_bytes(b"z" * 32)).request(),
            "UNAUTHENTICATED BAD_SIGNATURE",
        ),
        (lambda one: one.request((("housing", b"sealed"),)), "INVALID_ARGUMENT BAD_AGREEMENT"),
        (lambda one: one.request((("police", b"s" * 70_000),)), "INVALID_ARGUMENT BAD_AGREEMENT"),
        (lambda one: replace(one, token="x.y.z").request(), "UNAUTHENTICATED UNAUTHENTICATED"),
    ],
    ids=["another key", "delivered outside the scope", "too large a delivery", "no token"],
)
def test_a_spoilt_agreement_is_refused(stage: Stage, spoil: Any, status: str) -> None:
    """T-SEC-2, T-SEC-3: signed by the agency's asking key, delivered inside its scope, by somebody signed in."""
    assert status == recorded(stage, spoil)


@pytest.mark.parametrize("tags", [[b"short"], [b"t" * 16] * 37, [b"t" * 17]], ids=["short", "too many", "long"])
def test_agreements_are_searched_for_by_tags_only(stage: Stage, tags: list[bytes]) -> None:
    """T-SEC-3: at most the tags of twelve people, each of its size."""

    async def find(world: worlds.World) -> None:
        async with world.desk("social-care") as desk, channel(world) as opened:
            request = agreements_pb2.FindAgreementsRequest(caller_token=desk.caller_token, subject_tags=tags)
            await agreements_pb2_grpc.AgreementServiceStub(opened).FindAgreements(request, timeout=CALL_S)

    assert "INVALID_ARGUMENT BAD_REQUEST" == stage.refused(find)


def test_an_agency_finds_no_agreement_to_which_it_is_no_party(stage: Stage) -> None:
    """T-LNK-1: that some family agreed to something is told to the parties only."""

    async def find(world: worlds.World) -> list[int]:
        await world.agree("social-care", [WREN | {"given_by": "parent"}], responders=["police"])
        found = []
        for agency in ("social-care", "police", "housing"):
            async with world.desk(agency) as desk:
                (one,) = await asking.tokenise(desk.asker, [typed.person(WREN, 1)])
                found.append(len(await desk.asker.agreements(desk.caller_token, one.tags)))
        return found

    assert [1, 1, 0] == stage.run(find)


# -- The ledger --------------------------------------------------------------------------------------------------------


def test_an_agency_reads_heads_and_proofs_but_no_records(stage: Stage) -> None:
    """T-PRV-1: records say which agencies were asked together, which no agency may learn."""

    async def read(world: worlds.World) -> None:
        async with channel(world) as opened:
            request = audit_pb2.ListEntriesRequest(start=0, limit=10)
            await audit_pb2_grpc.AuditServiceStub(opened).ListEntries(request, timeout=CALL_S)

    async def head(world: worlds.World) -> None:
        async with channel(world) as opened:
            stub = audit_pb2_grpc.AuditServiceStub(opened)
            await stub.GetCheckpoint(audit_pb2.GetCheckpointRequest(), timeout=CALL_S)
            proof = audit_pb2.GetConsistencyProofRequest(old_size=1, new_size=2)
            await stub.GetConsistencyProof(proof, timeout=CALL_S)

    assert ["PERMISSION_DENIED NOT_ALLOWED", "OK"] == [stage.refused(read), stage.refused(head)]


@pytest.mark.parametrize(
    ("index", "size"), [(0, 0), (9, 3), (0, 10**9), (2**63, 2**63 + 1)], ids=["empty", "outside", "future", "absurd"]
)
def test_a_proof_of_what_is_not_there_is_refused(stage: Stage, index: int, size: int) -> None:
    """T-SEC-3: a wrong number is a bad request, never a failure of the broker's."""

    async def inclusion(world: worlds.World) -> None:
        async with channel(world) as opened:
            request = audit_pb2.GetInclusionProofRequest(index=index, size=size)
            await audit_pb2_grpc.AuditServiceStub(opened).GetInclusionProof(request, timeout=CALL_S)

    async def consistency(world: worlds.World) -> None:
        async with channel(world) as opened:
            request = audit_pb2.GetConsistencyProofRequest(old_size=size + 1, new_size=size)
            await audit_pb2_grpc.AuditServiceStub(opened).GetConsistencyProof(request, timeout=CALL_S)

    assert ["INVALID_ARGUMENT BAD_REQUEST"] * 2 == [stage.refused(inclusion), stage.refused(consistency)]


# -- Malformed input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "count", [pytest.param(150, id="few"), pytest.param(10_000, id="many", marks=pytest.mark.prove)]
)
def test_a_mutated_question_harms_nothing(stage: Stage, count: int) -> None:
    """T-SEC-3: every mutant of a real question is refused with a code of ours; none is answered, none is UNKNOWN."""
    seed = int(os.environ.get("SEED", "20261122"))
    random = Random(seed)

    async def throw(world: worlds.World) -> dict[str, int]:
        made, _ = await hostile.prepared(world, hostile.question([WREN]))
        whole = made.request.SerializeToString()
        found: dict[str, int] = {}
        async with channel(world) as opened:
            for _ in range(count):
                call: Any = opened.unary_unary("/accord.v1.BrokerService/Ask", None, None)
                try:
                    await call(_mutant(whole, random), timeout=CALL_S)
                    status = "OK"
                except grpc.aio.AioRpcError as error:
                    status = gates.told(error)
                found[status] = found.get(status, 0) + 1
        return found

    asked_before = sum(one["kind"] == "ASKED" for one in stage.world.broker_records())
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = stage.run(throw)
    growth_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024
    asked = sum(one["kind"] == "ASKED" for one in stage.world.broker_records()) - asked_before
    print(
        f"T-SEC-3 crashes=0 UNKNOWN={found.get('UNKNOWN', 0)} answered={asked} of {count} "
        f"rss_growth_mb={growth_mb:.0f} outcomes={found} seed={seed}"
    )

    assert {"INVALID_ARGUMENT", "UNAUTHENTICATED"} >= {status.split()[0] for status in found}
    assert 0 == asked
    assert growth_mb < 50


def _mutant(whole: bytes, random: Random) -> bytes:
    data = bytearray(whole)
    match random.randrange(4):
        case 0:
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        case 1:
            del data[random.randrange(len(data)) :]
        case 2:
            # Two encodings one after the other merge into one message with twice as much in it.
            data += whole
        case _:
            start = random.randrange(len(data))
            data[start : start + random.randrange(1, 64)] = random.randbytes(random.randrange(64))
    return bytes(data) if bytes(data) != whole else b"\xff"
