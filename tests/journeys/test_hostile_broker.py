"""A broker that holds every key of the broker's and is dishonest: what real nodes and a real asker make of it.

Each test replaces one part of an honest question's way and leaves the rest real. The answer it must never get is one
that an honest broker would not have got.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord import agreement as agreements
from accord import answer as answers
from accord import checkpoint as notes
from accord import sealing, signing, statement, warrant
from accord.canonical import decode_object, encode, sha256
from accord.checkpoint import Checkpoint
from accord.reasons import Problem
from accord.v1 import broker_pb2, common_pb2, node_pb2
from agency_node import asking, capture
from agency_node.cli import people as typed
from tests.world import hostile
from tests.world import stack as worlds

NED: Final = {
    "first_name": "Ned",
    "last_name": "Harkaway",
    "date_of_birth": "2013-09-30",
    "sex": "male",
    "address": "12 Osier Close",
    "postcode": "MD4 4DD",
    "role": "child",
}
TESS: Final = {
    "first_name": "Tess",
    "last_name": "Ravensworth",
    "date_of_birth": "2011-04-12",
    "sex": "female",
    "address": "3 Bridge Foot",
    "postcode": "MD5 1EE",
    "role": "child",
}
EARLY_HELP: Final = {"purpose": "early_help", "need_tier": 2, "significant_harm": False, "agencies": ["police"]}
KNOWN: Final = ["RECEIVED", "ANSWERED"]
Result = TypeVar("Result")


@dataclass(slots=True)
class Stage:
    """Real nodes that are not attached, and the dishonest broker that hands them frames."""

    runner: asyncio.Runner
    world: worlds.World
    broker: hostile.DishonestBroker

    def run(self, body: Awaitable[Result]) -> Result:
        async def inside() -> Result:
            return await body

        return self.runner.run(inside())

    def request(self, *about: dict[str, Any], **changes: Any) -> broker_pb2.AskRequest:
        """A really signed question about Ned, unless said otherwise."""
        asked = hostile.question(about or (NED,), **changes)
        return self.run(hostile.prepared(self.world, asked))[0].request


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    records = {
        "police": [
            worlds.held(1, NED, contacts=[worlds.ago(20, "youth")]),
            worlds.held(2, TESS, contacts=[worlds.ago(9, "response")]),
        ]
    }
    with asyncio.Runner() as runner:
        running = contextlib.AsyncExitStack()
        home = tmp_path_factory.mktemp("midshire") / "homes"
        world = runner.run(running.enter_async_context(worlds.stack(home, records, attach=False)))
        try:
            yield Stage(runner, world, hostile.DishonestBroker(world))
        finally:
            runner.run(running.aclose())


def query_id(request: broker_pb2.AskRequest) -> str:
    return str(decode_object(request.core)["query_id"])


def opened(stage: Stage, stream: worlds.Stream, agency: str = "police") -> answers.AgencyAnswer:
    """The one answer that a node gave, checked."""
    (answer,) = stream.answers
    return answers.open_answer(
        answer, node=agency, answer_public=stage.world.federation.directory.agency(agency).answer
    )


def word(stage: Stage, stream: worlds.Stream) -> str:
    return opened(stage, stream).slot("s1").answer


def signed_by(
    request: broker_pb2.AskRequest, key: Ed25519PrivateKey, core: bytes | None = None
) -> broker_pb2.AskRequest:
    """The same question, signed anew with some key."""
    drafts = [statement.Draft(part.node, part.part, part.salt, part.payload) for part in request.node_parts]
    made = statement.sign(core or request.core, request.broker_part, drafts, key)
    changed = broker_pb2.AskRequest()
    changed.CopyFrom(request)
    changed.core = made.core
    changed.signature = made.signature
    changed.key_id = made.key_id
    del changed.node_digests[:]
    changed.node_digests.extend(made.node_digests)
    return changed


def core_with(request: broker_pb2.AskRequest, **changes: Any) -> bytes:
    """The question's core with some fields altered."""
    return encode({**decode_object(request.core), **changes})


# -- An honest way first: each test below changes one thing of it ------------------------------------------------------


def test_the_honest_way_gets_an_answer(stage: Stage) -> None:
    """The control of all that follows: unchanged, the frame is answered, witnessed and recorded."""
    request = stage.request()

    stream = stage.run(honest(stage, request))

    assert ("YES", [], KNOWN) == (
        word(stage, stream),
        stream.alarms,
        stage.broker.recorded("police", query_id(request)),
    )


async def honest(stage: Stage, request: broker_pb2.AskRequest) -> worlds.Stream:
    return await stage.broker.hand("police", await stage.broker.frame(request, "police"))


# -- Forged, altered and misdirected questions -------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["own key", "asker's key", "another agency's key"])
def test_a_question_that_the_broker_signed_itself_is_refused(stage: Stage, named: str) -> None:
    """T-SEC-2: the broker can invent no asker, whichever key it says it used."""
    keys = stage.world.federation
    key = keys.agencies["housing"].asking if named == "another agency's key" else keys.broker.warrant
    request = signed_by(stage.request(), key)
    if named == "asker's key":
        request.key_id = signing.key_id(keys.directory.agency("social-care").asking)

    stream = stage.run(honest(stage, request))

    assert (["BAD_SIGNATURE"], []) == (stream.alarms, stream.answers)
    assert [] == stage.broker.recorded("police", query_id(request))


def test_a_question_of_an_agency_that_does_not_exist_is_refused(stage: Stage) -> None:
    """T-SEC-2: an asker is who the directory says, and nobody else."""
    request = stage.request()
    request = signed_by(request, stage.world.federation.broker.warrant, core_with(request, agency="hospital"))

    stream = stage.run(honest(stage, request))

    assert (["UNKNOWN_AGENCY"], []) == (stream.alarms, stream.answers)


@pytest.mark.parametrize(
    "changes",
    [
        {"purpose": "early_help"},
        {"question": "agency.open_now"},
        {"role": "manager"},
        {"urgency": "immediate"},
        {"question_version": 2},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_question_altered_on_its_way_is_refused(stage: Stage, changes: dict[str, Any]) -> None:
    """T-SEC-2: the asker's own signature covers purpose, question and role; the broker can change none of them."""
    request = stage.request()
    request.core = core_with(request, **changes)

    stream = stage.run(honest(stage, request))

    assert (["BAD_SIGNATURE"], []) == (stream.alarms, stream.answers)


def test_another_agencys_envelope_is_refused(stage: Stage) -> None:
    """T-SEC-2, T-LNK-1: payloads cannot be swapped between nodes; each is signed for by its digest."""
    request = stage.request()
    parts = {part.node: part for part in request.node_parts}
    swapped = common_pb2.NodePart()
    swapped.CopyFrom(parts["police"])
    swapped.payload = parts["housing"].payload

    stream = stage.run(hand_part(stage, request, swapped))

    assert (["BAD_STATEMENT"], []) == (stream.alarms, stream.answers)


def test_an_envelope_that_the_broker_sealed_itself_is_refused(stage: Stage) -> None:
    """T-SEC-2: a broker that guesses at somebody cannot put its guess into an honest asker's question."""
    request = stage.request()
    part = common_pb2.NodePart()
    part.CopyFrom(next(part for part in request.node_parts if part.node == "police"))
    part.payload = sealing.seal_envelope(
        [sealing.Slot([b"t" * 64], b"a guess")],
        node_id="police",
        query_id=query_id(request),
        core_digest=sha256(request.core),
        public=stage.world.federation.directory.agency("police").sealing,
    )
    told = statement.NodePart("police", "common_law_police", sha256(part.payload).hex())
    whole = common_pb2.NodePart(
        node="police", part=statement.node_part_bytes(told), salt=part.salt, payload=part.payload
    )

    outcomes = [stage.run(hand_part(stage, request, one)) for one in (part, whole)]

    assert [(["BAD_STATEMENT"], [])] * 2 == [(stream.alarms, stream.answers) for stream in outcomes]


async def hand_part(stage: Stage, request: broker_pb2.AskRequest, part: common_pb2.NodePart) -> worlds.Stream:
    return await stage.broker.hand("police", await stage.broker.frame(request, "police", part=part))


def test_a_node_that_the_asker_did_not_address_refuses(stage: Stage) -> None:
    """T-SEC-2: the signed list says who may be asked; with its own keys the broker can add nobody to it."""
    request = stage.request(agencies=["housing"])
    payload = request.node_parts[0].payload
    told = statement.node_part_bytes(statement.NodePart("police", "common_law_police", sha256(payload).hex()))
    part = common_pb2.NodePart(node="police", part=told, salt=b"s" * statement.SALT_BYTES, payload=payload)
    digest = statement.part_digest(part.salt, part.part)
    padding = [sha256(b"%d" % number) for number in range(3)]

    async def add() -> worlds.Stream:
        token = stage.broker.warrant(request, nodes=[digest, *padding])
        return await stage.broker.hand("police", await stage.broker.frame(request, "police", part=part, token=token))

    stream = stage.run(add())

    assert (["BAD_STATEMENT"], []) == (stream.alarms, stream.answers)


def test_a_node_that_the_warrant_does_not_name_refuses(stage: Stage) -> None:
    """T-POL-3: where the rules said no there is no warrant; a frame that comes all the same gets no answer."""
    request = stage.request()

    stream = stage.run(with_warrant(stage, request, agencies=["housing"]))

    assert (["BAD_WARRANT"], []) == (stream.alarms, stream.answers)


async def with_warrant(
    stage: Stage, request: broker_pb2.AskRequest, *, clock_s: float = 0.0, **changes: Any
) -> worlds.Stream:
    token = stage.broker.warrant(request, **changes)
    return await stage.broker.hand("police", await stage.broker.frame(request, "police", token=token), clock_s=clock_s)


# -- Warrants ----------------------------------------------------------------------------------------------------------


def test_a_warrant_works_once(stage: Stage) -> None:
    """T-SEC-1: the same frame again gets the same bytes and no second look-up; for another question it is refused."""
    request, other = stage.request(), stage.request(TESS)

    async def replay() -> tuple[worlds.Stream, ...]:
        token = stage.broker.warrant(request)
        first = await stage.broker.hand("police", await stage.broker.frame(request, "police", token=token))
        again = await stage.broker.hand("police", await stage.broker.frame(request, "police", token=token))
        moved = await stage.broker.hand("police", await stage.broker.frame(other, "police", token=token))
        return first, again, moved

    first, again, moved = stage.run(replay())

    assert first.answers == again.answers
    assert KNOWN == stage.broker.recorded("police", query_id(request))
    assert (["BAD_WARRANT"], []) == (moved.alarms, moved.answers)


def test_a_warrants_number_works_once_even_when_the_broker_mints_it_again(stage: Stage) -> None:
    """T-SEC-1: the number counts, not the token's letters."""
    request, other = stage.request(), stage.request(TESS)
    jti = hostile.new_id()

    async def twice() -> worlds.Stream:
        await with_warrant(stage, request, jti=jti)
        return await with_warrant(stage, other, jti=jti)

    stream = stage.run(twice())

    assert (["WARRANT_REPLAYED"], []) == (stream.alarms, stream.answers)


def test_a_second_warrant_for_the_same_question_gets_the_bytes_given_before(stage: Stage) -> None:
    """T-SEC-1: one question, one look-up, however often the broker warrants it."""
    request = stage.request()

    async def twice() -> tuple[worlds.Stream, worlds.Stream]:
        return await honest(stage, request), await honest(stage, request)

    first, second = stage.run(twice())

    assert first.answers == second.answers
    assert KNOWN == stage.broker.recorded("police", query_id(request))


@pytest.mark.parametrize(
    ("clock_s", "reason"),
    [(-36.0, "CLOCK_SKEW"), (36.0, "CLOCK_SKEW"), (120.0, "CLOCK_SKEW"), (3_600.0, "CLOCK_SKEW")],
)
def test_a_node_whose_clock_is_far_off_answers_nothing(stage: Stage, clock_s: float, reason: str) -> None:
    """T-OPS-2: neither a late warrant nor one from the future is answered, and the alarm names the clocks."""
    stream = stage.run(with_warrant(stage, stage.request(), clock_s=clock_s))

    assert ([reason], []) == (stream.alarms, stream.answers)


def test_a_fresh_warrant_does_not_revive_an_old_question(stage: Stage) -> None:
    """T-OPS-2, T-SEC-1: the asker's statement runs out too, so a broker cannot keep questions to ask them later."""
    request = stage.request()
    later_s = 200

    async def late() -> worlds.Stream:
        now_s = stage.world.now_ns() // hostile.SECOND_NS
        return await with_warrant(stage, request, clock_s=later_s, now_s=now_s + later_s)

    stream = stage.run(late())

    assert (["BAD_WARRANT"], []) == (stream.alarms, stream.answers)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"agency": "housing"}, "BAD_WARRANT"),
        ({"federation": "eastshire"}, "UNAUTHENTICATED"),
        ({"key": Ed25519PrivateKey.generate()}, "UNAUTHENTICATED"),
        ({"life_s": 3_600}, "UNAUTHENTICATED"),
        ({"statement": b"\0" * 32}, "BAD_WARRANT"),
    ],
    ids=["another asker", "another federation", "another key", "too long a life", "another statement"],
)
def test_a_warrant_that_does_not_fit_is_refused(stage: Stage, changes: dict[str, Any], reason: str) -> None:
    """T-SEC-2: the warrant must be this broker's, for this asker and exactly this statement, and short-lived."""
    stream = stage.run(with_warrant(stage, stage.request(), **changes))

    assert ([reason], []) == (stream.alarms, stream.answers)


def test_a_caller_token_is_no_warrant(stage: Stage) -> None:
    """T-SEC-2: one kind of token is never taken for another."""
    request = stage.request()

    async def misuse() -> worlds.Stream:
        frame = await stage.broker.frame(request, "police", token=request.caller_token)
        return await stage.broker.hand("police", frame)

    stream = stage.run(misuse())

    assert (["UNAUTHENTICATED"], []) == (stream.alarms, stream.answers)


@pytest.mark.parametrize("which", ["policy", "catalogue"])
def test_a_warrant_under_other_rules_is_cannot_say(stage: Stage, which: str) -> None:
    """T-POL-4, T-POL-2: the node answers only under the rules that it holds itself."""
    request = stage.request()

    stream = stage.run(with_warrant(stage, request, clock_s=0.0, **{which: "ab" * 32}))

    assert "CANNOT_SAY" == word(stage, stream)
    assert ["RECEIVED", "ANSWERED other_rules"] == stage.broker.recorded("police", query_id(request))


def test_the_nodes_own_rules_refuse_what_the_broker_let_through(stage: Stage) -> None:
    """T-POL-4: a warrant for what the rules forbid is cannot say; the broker's yes is not enough."""
    request = stage.request(**EARLY_HELP, gateways={"police": "common_law_police"})

    stream = stage.run(honest(stage, request))

    assert "CANNOT_SAY" == word(stage, stream)
    assert ["RECEIVED", "ANSWERED GATEWAY_WRONG_PURPOSE"] == stage.broker.recorded("police", query_id(request))


# -- Agreements --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Relying:
    """A question that relies on an agreement, and the warrant's mark of it."""

    request: broker_pb2.AskRequest
    captured: capture.Captured

    @property
    def marks(self) -> list[bytes]:
        salt = self.request.node_parts[0].salt
        mark = warrant.agreement_mark(salt, sha256(agreements.agreement_bytes(self.captured.agreement)))
        return [mark, *(sha256(b"%d" % number) for number in range(3))]


async def relying(stage: Stage, person: dict[str, Any], **more: Any) -> Relying:
    """Capture an agreement for somebody, and ask relying on it."""
    (captured,) = await stage.world.agree("social-care", [person], responders=["police"], **more)

    def only_this(asker: asking.Asker) -> asking.Asker:
        async def find(caller_token: str, tags: Sequence[bytes]) -> list[asking.Held]:
            found = await asker.agreements(caller_token, tags)
            return [one for one in found if one.agreement.record_id == captured.agreement.record_id]

        return replace(asker, agreements=find)

    question = hostile.question([person], **EARLY_HELP)
    made, _ = await hostile.prepared(stage.world, question, change=only_this)
    return Relying(made.request, captured)


def answered_under(stage: Stage, asked: Relying, before: Sequence[node_pb2.AttachResponse] = ()) -> tuple[str, str]:
    """What the node says, and the cause in its own ledger."""

    async def hand() -> worlds.Stream:
        for frame in before:
            await stage.broker.hand("police", frame)
        return await with_warrant(stage, asked.request, agreements=asked.marks)

    stream = stage.run(hand())
    return word(stage, stream), stage.broker.recorded("police", query_id(asked.request))[-1]


def test_a_live_agreement_is_relied_on(stage: Stage) -> None:
    """The control of the agreements below: given, in scope and the person's own, it is answered under."""
    asked = stage.run(relying(stage, NED | {"given_by": "parent"}))

    assert ("YES", "ANSWERED") == answered_under(stage, asked)


def test_a_withdrawn_agreement_that_the_broker_warrants_all_the_same_is_cannot_say(stage: Stage) -> None:
    """T-CON-2: a node that was told of the withdrawal refuses a warrant that is still valid."""
    asked = stage.run(relying(stage, NED | {"given_by": "parent"}))
    told = withdrawal(stage, asked.captured.agreement.record_id)

    outcome = answered_under(stage, asked, [told])

    assert ("CANNOT_SAY", "ANSWERED AGREEMENT_NOT_THIS_PERSON withdrawn alike") == (outcome[0], _codes(outcome[1]))


def test_a_stored_answer_is_not_given_again_after_the_withdrawal(stage: Stage) -> None:
    """T-CON-2: withdrawal beats the answer that was given before, byte for byte the same question or not."""
    asked = stage.run(relying(stage, NED | {"given_by": "parent"}))
    first = answered_under(stage, asked)
    told = withdrawal(stage, asked.captured.agreement.record_id)

    again = answered_under(stage, asked, [told])

    assert ("YES", "CANNOT_SAY") == (first[0], again[0])


def withdrawal(stage: Stage, record_id: str) -> node_pb2.AttachResponse:
    """The family's withdrawal as its agency signed it."""
    key = stage.world.federation.agencies["social-care"].asking
    body = agreements.withdrawal_bytes(agreements.Withdrawal(record_id, "social-care", stage.world.now_ns(), "parent"))
    signed = common_pb2.Signed(
        statement=body,
        signature=signing.sign(key, agreements.WITHDRAWAL_LABEL, body),
        key_id=signing.key_id(signing.public_bytes(key)),
    )
    return node_pb2.AttachResponse(withdrawn=node_pb2.AgreementWithdrawn(withdrawal=signed))


def _codes(line: str) -> str:
    kind, *codes = line.split()
    order = ["AGREEMENT_NOT_THIS_PERSON", "withdrawn", "out_of_scope", "binds_another_person", "not_in_warrant"]
    return " ".join([kind, *(code for code in order if code in codes), *(code for code in codes if code not in order)])


def test_an_agreement_that_has_run_out_is_cannot_say(stage: Stage) -> None:
    """T-CON-2: by the node's own clock; a broker that shows it as live gains nothing."""
    asked = stage.run(relying(stage, NED | {"given_by": "parent"}, days_ago=200, valid_days=180))

    outcome = answered_under(stage, asked)

    assert ("CANNOT_SAY", "ANSWERED AGREEMENT_NOT_THIS_PERSON out_of_scope alike") == (outcome[0], _codes(outcome[1]))


def test_an_agreement_for_another_question_is_cannot_say(stage: Stage) -> None:
    """T-CON-4: scope is checked where the record is, not only where the warrant is made."""
    asked = stage.run(relying(stage, NED | {"given_by": "parent"}, questions=["assessment.done"]))

    outcome = answered_under(stage, asked)

    assert ("CANNOT_SAY", "ANSWERED AGREEMENT_NOT_THIS_PERSON out_of_scope alike") == (outcome[0], _codes(outcome[1]))


def test_an_agreement_that_the_warrant_does_not_name_is_cannot_say(stage: Stage) -> None:
    """T-CON-4: an agreement that the broker's decision did not use carries nothing."""
    asked = stage.run(relying(stage, NED | {"given_by": "parent"}))

    stream = stage.run(with_warrant(stage, asked.request))

    line = stage.broker.recorded("police", query_id(asked.request))[-1]
    assert "CANNOT_SAY" == word(stage, stream)
    assert "ANSWERED AGREEMENT_NOT_THIS_PERSON not_in_warrant alike" == _codes(line)


def test_another_persons_agreement_in_the_envelope_is_cannot_say(stage: Stage) -> None:
    """T-CON-4: a dishonest asker and a dishonest broker together cannot use Tess's agreement to ask about Ned."""
    asked = stage.run(relying_on_another(stage))

    outcome = answered_under(stage, asked)

    assert "CANNOT_SAY" == outcome[0]
    assert "ANSWERED AGREEMENT_NOT_THIS_PERSON binds_another_person alike" == _codes(outcome[1])


def test_an_honest_broker_does_not_let_another_persons_agreement_through(stage: Stage) -> None:
    """T-CON-4: what the asker claims for Ned shares no subject tag with him, so for the rules there is none."""
    response = stage.run(relying_on_another(stage, send=True))

    assert ["AGREEMENT_MISSING"] == [denial.code for denial in response.rows[0].denials]


async def relying_on_another(stage: Stage, *, send: bool = False) -> Any:
    """A question about Ned in which a dishonest asker puts Tess's agreement."""
    world = stage.world
    (captured,) = await world.agree("social-care", [TESS | {"given_by": "parent"}], responders=["police"])

    def claim(asker: asking.Asker) -> asking.Asker:
        async def find(caller_token: str, tags: Sequence[bytes]) -> list[asking.Held]:
            key = world.federation.agencies["social-care"].asking
            body = agreements.agreement_bytes(captured.agreement)
            return [
                asking.Held(
                    agreement=replace(captured.agreement, subject_tags=tuple(tags)),
                    signed=body,
                    signature=signing.sign(key, agreements.LABEL, body),
                    state="ConsentGiven",
                    record=captured.record,
                    receipt=captured.receipt,
                    binding=captured.binding,
                )
            ]

        return replace(asker, agreements=find)

    inquiry = hostile.question([NED], **EARLY_HELP)
    if not send:
        made, _ = await hostile.prepared(world, inquiry, change=claim)
        return Relying(made.request, captured)
    async with world.desk("social-care") as desk:
        wanted, _ = typed.inquiry(inquiry)
        made = await asking.prepare(claim(desk.asker), wanted, desk.caller_token, desk.role)
        return await desk.ask(made.request)


def test_a_withdrawal_that_no_agency_signed_and_no_ledger_holds_is_refused(stage: Stage) -> None:
    """T-CON-2, T-SEC-2: the broker cannot withdraw a family's agreement in an agency's name without a trace."""
    record_id = hostile.new_id()
    frame = withdrawal(stage, record_id)
    frame.withdrawn.withdrawal.signature = signing.sign(
        stage.world.federation.broker.warrant, agreements.WITHDRAWAL_LABEL, frame.withdrawn.withdrawal.statement
    )

    stream = stage.run(stage.broker.hand("police", frame))

    assert ["BAD_SIGNATURE"] == stream.alarms
    assert [] == [one for one in stage.world.node_records("police") if one.get("record_id") == record_id]


# -- The ledger --------------------------------------------------------------------------------------------------------


def test_a_ledger_rolled_back_is_refused_and_alarmed(stage: Stage) -> None:
    """T-AUD-8: an older head, rightly signed, gets no answer and stands as an alarm in the node's own ledger."""
    stage.run(honest(stage, stage.request()))
    older = head_of(stage, Checkpoint(origin(stage), stage.broker.seen("police") - 1, b"r" * 32))

    assert ("CHECKPOINT_OLDER", [], True) == shown(stage, older)


def test_a_forked_ledger_is_refused_and_alarmed(stage: Stage) -> None:
    """T-AUD-6: another tree of the same size, or a longer one that does not continue, is seen at the first warrant."""
    stage.run(honest(stage, stage.request()))
    size = stage.broker.seen("police")
    same = head_of(stage, Checkpoint(origin(stage), size, b"r" * 32))
    longer = head_of(stage, Checkpoint(origin(stage), size + 1, b"r" * 32), [b"h" * 32], size)

    assert [("CHECKPOINT_INCONSISTENT", [], True)] * 2 == [shown(stage, same), shown(stage, longer)]


def test_a_head_signed_by_somebody_else_is_refused_and_alarmed(stage: Stage) -> None:
    """T-AUD-6: a head counts only under the ledger key of the directory."""
    note = notes.sign(Checkpoint(origin(stage), 10_000, b"r" * 32), stage.world.federation.broker.warrant)

    assert ("BAD_CHECKPOINT", [], True) == shown(stage, node_pb2.Head(checkpoint=note))


def test_a_question_without_a_head_is_refused(stage: Stage) -> None:
    """T-AUD-6: no witness, no answer."""
    assert ("BAD_CHECKPOINT", [], True) == shown(stage, node_pb2.Head())


def origin(stage: Stage) -> str:
    return stage.world.federation.directory.broker.ledger_origin


def head_of(stage: Stage, found: Checkpoint, consistency: Sequence[bytes] = (), from_size: int = 0) -> node_pb2.Head:
    note = notes.sign(found, stage.world.federation.broker.ledger)
    return node_pb2.Head(checkpoint=note, consistency=list(consistency), from_size=from_size)


def shown(stage: Stage, head: node_pb2.Head) -> tuple[str, list[bytes], bool]:
    """What a node says to a question with this head: the alarm, its answers, and whether its ledger has the alarm."""
    before = len(stage.broker.alarms("police"))
    stream = stage.run(_shown(stage, head))
    (alarm,) = stream.alarms
    return alarm, stream.answers, stage.broker.alarms("police")[before:] == [alarm]


async def _shown(stage: Stage, head: node_pb2.Head) -> worlds.Stream:
    made, _ = await hostile.prepared(stage.world, hostile.question([NED]))
    return await stage.broker.hand("police", await stage.broker.frame(made.request, "police", head=head))


# -- What the asker is shown -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reply:
    """A question, who asked it, and an honest reply to it that a dishonest broker may change."""

    prepared: asking.Prepared
    asker: asking.Asker
    response: broker_pb2.AskResponse
    broker: hostile.DishonestBroker

    def refused(self, response: broker_pb2.AskResponse) -> str:
        """The reason for which the asker shows nothing."""
        with pytest.raises(Problem) as problem:
            asking.check(self.asker, self.prepared, response)
        return problem.value.reason

    def recorded_anew(self, change: Callable[[dict[str, Any]], None]) -> broker_pb2.AskResponse:
        """The reply with its record changed, in a ledger that the broker's key signs."""
        body: dict[str, Any] = dict(decode_object(self.response.receipted.record))
        change(body)
        changed = copied(self.response)
        changed.receipted.CopyFrom(self.broker.own_receipt(body))
        return changed


def copied(response: broker_pb2.AskResponse) -> broker_pb2.AskResponse:
    changed = broker_pb2.AskResponse()
    changed.CopyFrom(response)
    return changed


@pytest.fixture(scope="module")
def reply(stage: Stage) -> Reply:
    """What an honest broker would reply; the real nodes' answers, in a record of the dishonest one's own."""
    made, asker = stage.run(hostile.prepared(stage.world, hostile.question([NED])))
    rows = []
    for agency in ("housing", "police"):

        async def hand(agency: str = agency) -> worlds.Stream:
            return await stage.broker.hand(agency, await stage.broker.frame(made.request, agency))

        (answer,) = stage.run(hand()).answers
        rows.append(broker_pb2.AgencyRow(agency=agency, delivery=common_pb2.DELIVERY_ANSWERED, signed_answer=answer))
    body = {
        "kind": "RELEASED",
        "query_id": made.core.query_id,
        "statement": made.digest.hex(),
        "rows": [
            {"agency": row.agency, "delivery": "ANSWERED", "answer": sha256(row.signed_answer).hex()} for row in rows
        ],
    }
    response = broker_pb2.AskResponse(query_id=made.core.query_id, rows=rows, receipted=stage.broker.own_receipt(body))
    return Reply(made, asker, response, stage.broker)


def test_the_honest_reply_is_shown(reply: Reply) -> None:
    """The control of the replies below."""
    outcome = asking.check(reply.asker, reply.prepared, reply.response)

    assert [("housing", "NO"), ("police", "YES")] == [(one.agency, one.answers[0].answer) for one in outcome.agencies]


def test_an_answer_that_the_broker_signed_for_a_node_is_not_shown(stage: Stage, reply: Reply) -> None:
    """T-NET-1: with its own keys, record and receipt the broker still cannot answer in an agency's place."""
    housing = reply.response.rows[0]
    real = answers.open_answer(
        housing.signed_answer, node="housing", answer_public=stage.world.federation.directory.agency("housing").answer
    )
    forged = answers.build(
        replace(real, slots=tuple(answers.SlotAnswer(one.ref, "YES") for one in real.slots)),
        stage.world.federation.broker.warrant,
    )

    def change(body: dict[str, Any]) -> None:
        body["rows"][0]["answer"] = sha256(forged).hex()

    response = reply.recorded_anew(change)
    response.rows[0].signed_answer = forged

    assert "BAD_ANSWER" == reply.refused(response)


def test_an_answer_to_another_question_is_not_shown(stage: Stage, reply: Reply) -> None:
    """T-NET-1: a real answer about Tess, really signed, is no answer about Ned."""
    other = stage.run(honest(stage, stage.request(TESS))).answers[0]

    def change(body: dict[str, Any]) -> None:
        body["rows"][1]["answer"] = sha256(other).hex()

    response = reply.recorded_anew(change)
    response.rows[1].signed_answer = other

    assert "BAD_RECEIPT" == reply.refused(response)


def test_one_agencys_answer_is_not_shown_as_anothers(reply: Reply) -> None:
    """T-NET-1: the police's yes stays the police's."""
    police = reply.response.rows[1].signed_answer

    def change(body: dict[str, Any]) -> None:
        body["rows"][0]["answer"] = sha256(police).hex()

    response = reply.recorded_anew(change)
    response.rows[0].signed_answer = police

    assert "BAD_ANSWER" == reply.refused(response)


def test_changed_bytes_are_not_shown(reply: Reply) -> None:
    """T-AUD-1: what is shown is what the ledger holds, byte for byte."""
    response = copied(reply.response)
    answer = response.rows[1].signed_answer
    response.rows[1].signed_answer = answer[:100] + bytes([answer[100] ^ 1]) + answer[101:]

    assert "BAD_RECEIPT" == reply.refused(response)


@pytest.mark.parametrize(
    "delivery",
    [common_pb2.DELIVERY_REFUSED, common_pb2.DELIVERY_NOT_REACHED, common_pb2.DELIVERY_UNSPECIFIED, 9],
)
def test_a_delivery_that_is_not_the_recorded_one_is_not_shown(reply: Reply, delivery: int) -> None:
    """T-NET-1: a yes cannot be turned into "not reached", nor into a word that nobody knows."""
    response = copied(reply.response)
    response.rows[1].delivery = delivery  # type: ignore[assignment]  # a number that the enum does not have

    assert "BAD_RECEIPT" == reply.refused(response)


@pytest.mark.parametrize("both", [False, True], ids=["in the reply", "in reply and record"])
def test_a_reply_that_leaves_an_agency_out_is_not_shown(reply: Reply, both: bool) -> None:
    """T-NET-1: nobody's answer can be suppressed without a trace."""

    def change(body: dict[str, Any]) -> None:
        del body["rows"][1]

    response = reply.recorded_anew(change) if both else copied(reply.response)
    del response.rows[1]

    assert "BAD_RECEIPT" == reply.refused(response)


def test_a_reply_that_adds_an_agency_is_not_shown(reply: Reply) -> None:
    """T-NET-1: an agency that was not asked says nothing."""

    def change(body: dict[str, Any]) -> None:
        body["rows"].append({**body["rows"][0], "agency": "social-care"})

    response = reply.recorded_anew(change)
    response.rows.add().CopyFrom(response.rows[0])
    response.rows[2].agency = "social-care"

    assert "BAD_RECEIPT" == reply.refused(response)


@pytest.mark.parametrize(
    "changes",
    [{"kind": "DECIDED"}, {"query_id": "01890000-0000-7000-8000-000000000000"}, {"statement": "00" * 32}],
    ids=["no release", "another question", "another statement"],
)
def test_a_receipt_of_another_record_is_not_taken(reply: Reply, changes: dict[str, Any]) -> None:
    """T-AUD-1: the receipt must prove the RELEASED record of this question, as it was signed."""
    response = reply.recorded_anew(lambda body: body.update(changes))

    assert "BAD_RECEIPT" == reply.refused(response)


def test_a_reply_without_a_receipt_is_not_shown(reply: Reply) -> None:
    """T-AUD-1: an answer whose RELEASED record was dropped is worth nothing to its asker."""
    response = copied(reply.response)
    response.receipted.ClearField("receipt")

    assert "BAD_RECEIPT" == reply.refused(response)


def test_a_receipt_under_another_key_is_not_taken(stage: Stage, reply: Reply) -> None:
    """T-AUD-1: only the ledger key of the directory signs heads."""
    keys = stage.world.federation
    others = replace(keys, broker=replace(keys.broker, ledger=keys.broker.warrant))
    body: dict[str, Any] = dict(decode_object(reply.response.receipted.record))
    response = copied(reply.response)
    response.receipted.CopyFrom(hostile.DishonestBroker(replace(stage.world, federation=others)).own_receipt(body))

    assert "BAD_RECEIPT" == reply.refused(response)


def test_a_caller_of_another_agency_is_turned_away(stage: Stage) -> None:
    """T-SEC-4: a token of one agency is worth nothing over the channel of another."""

    async def borrow() -> None:
        async with stage.world.desk("social-care") as one, stage.world.desk("housing") as other:
            inquiry, _ = typed.inquiry(hostile.question([NED], agencies=["police"]))
            made = await asking.prepare(one.asker, inquiry, one.caller_token, one.role)
            await other.ask(made.request)

    with pytest.raises(Problem) as refused:
        stage.run(borrow())

    assert "UNAUTHENTICATED" == refused.value.reason
