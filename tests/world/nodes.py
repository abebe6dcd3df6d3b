"""Nodes at the far end of simulated sessions: honest ones, and one for each thing that can go wrong with a reply.

    sessions, nodes = Sessions(), SimulatedNodes(federation, {"police": silent})
    await nodes.attach(sessions)

A behaviour is given the question that came down and the session, and does what such a node would do. `answer` makes the
signed answer that an honest node would give; `tampered` are the ways in which a reply can be wrong.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord import answer as answers
from accord import canonical, signing, statement, warrant
from accord.answer import ANSWER_BYTES, BODY_BYTES, NO, AgencyAnswer, SlotAnswer
from accord.canonical import encode, sha256
from accord.statement import AgreementRef, Assertions, BrokerPart, Core, NodePart, Subject, Target
from accord.v1 import node_pb2
from broker.sessions import Session, Sessions
from broker.stages import Asked, Decision, Opened, Permit, TargetDecision, User
from tests.world import trust

REVISION: Final = "11" * 32
CATALOGUE: Final = "22" * 32
SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Heard:
    """A question as one node got it.

    Attributes:
        agency: Which node.
        frame: The question.
        session: The stream it came down.
    """

    agency: str
    frame: node_pb2.Question
    session: Session

    @property
    def core(self) -> Core:
        """The question's core."""
        return statement.parse_core(self.frame.core)

    def jti(self, federation: trust.Federation) -> str:
        """Number of its warrant."""
        opened = warrant.open_warrant(
            self.frame.warrant,
            federation=federation.name,
            warrant_public=federation.directory.broker.warrant_key,
            agency=self.core.agency,
            now_s=self.core.issued_at_ns // SECOND_NS,
        )
        return opened.jti


def honest_answer(heard: Heard, federation: trust.Federation, word: str = NO) -> AgencyAnswer:
    """What an honest node says about everybody, before it is signed."""
    core = heard.core
    digest = statement.digest(heard.frame.core, heard.frame.broker_part_sha256, list(heard.frame.node_digests))
    return AgencyAnswer(
        statement=digest,
        jti=heard.jti(federation),
        query_id=core.query_id,
        node=heard.agency,
        question=core.question,
        question_version=core.question_version,
        as_of_ns=core.issued_at_ns,
        policy=REVISION,
        slots=tuple(SlotAnswer(f"s{number}", word) for number in range(1, 13)),
        sealed_contacts=b"c" * 432,
    )


Behaviour = Callable[[Heard, trust.Federation], Awaitable[None]]


async def honest(heard: Heard, federation: trust.Federation) -> None:
    """Answer no, rightly signed."""
    signed = answers.build(honest_answer(heard, federation), federation.agencies[heard.agency].answer)
    heard.session.answered(heard.core.query_id, signed)


async def silent(heard: Heard, federation: trust.Federation) -> None:
    """Say nothing, ever."""


async def hung_up(heard: Heard, federation: trust.Federation) -> None:
    """Break the stream."""
    heard.session.close()


async def alarmed(heard: Heard, federation: trust.Federation) -> None:
    """Refuse the question and raise the alarm."""
    heard.session.refused(heard.core.query_id)


def saying(make: Callable[[Heard, trust.Federation, Random], bytes], random: Random) -> Behaviour:
    """Reply with bytes that are not an honest answer."""

    async def say(heard: Heard, federation: trust.Federation) -> None:
        heard.session.answered(heard.core.query_id, make(heard, federation, random))

    return say


def _signed(heard: Heard, federation: trust.Federation, **changes: Any) -> bytes:
    changed = replace(honest_answer(heard, federation), **changes)
    return answers.build(changed, federation.agencies[heard.agency].answer)


def _rewritten(change: Callable[[dict[str, Any]], None]) -> Callable[[Heard, trust.Federation, Random], bytes]:
    """An answer whose body is changed before it is rightly signed by the node itself."""

    def make(heard: Heard, federation: trust.Federation, random: Random) -> bytes:
        key = federation.agencies[heard.agency].answer
        honest_bytes = answers.build(honest_answer(heard, federation), key)
        length = int.from_bytes(honest_bytes[:2], "big")
        body: dict[str, Any] = dict(canonical.decode_object(honest_bytes[2 : 2 + length]))
        change(body)
        written = encode(body)
        frame = (len(written).to_bytes(2, "big") + written).ljust(2 + BODY_BYTES, b"\0")
        return frame + signing.sign(key, answers.LABEL, frame)

    return make


def _flipped(heard: Heard, federation: trust.Federation, random: Random) -> bytes:
    data = bytearray(_signed(heard, federation))
    for _ in range(random.randint(1, 4)):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(data) if bytes(data) != _signed(heard, federation) else b""


def _word(word: Any) -> Callable[[Heard, trust.Federation, Random], bytes]:
    def change(body: dict[str, Any]) -> None:
        body["slots"][0]["a"] = word

    return _rewritten(change)


def _left_out(name: str) -> Callable[[Heard, trust.Federation, Random], bytes]:
    return _rewritten(lambda body: body.pop(name))


TAMPERED: Final[Mapping[str, Callable[[Heard, trust.Federation, Random], bytes]]] = {
    "nothing at all": lambda heard, federation, random: b"",
    "garbage": lambda heard, federation, random: random.randbytes(ANSWER_BYTES),
    "garbage of another size": lambda heard, federation, random: random.randbytes(random.randrange(4_096)),
    "zeros": lambda heard, federation, random: bytes(ANSWER_BYTES),
    "flipped bits": _flipped,
    "one byte short": lambda heard, federation, random: _signed(heard, federation)[:-1],
    "one byte long": lambda heard, federation, random: _signed(heard, federation) + b"\0",
    "signed by the asker": lambda heard, federation, random: answers.build(
        honest_answer(heard, federation), federation.agencies[heard.core.agency].answer
    ),
    "signed by a stranger": lambda heard, federation, random: answers.build(
        honest_answer(heard, federation), Ed25519PrivateKey.generate()
    ),
    "signed with another of its keys": lambda heard, federation, random: answers.build(
        honest_answer(heard, federation), federation.agencies[heard.agency].witness
    ),
    "another question's number": lambda heard, federation, random: _signed(
        heard, federation, query_id="01890000-0000-7000-8000-00000000ffff"
    ),
    "another warrant's number": lambda heard, federation, random: _signed(
        heard, federation, jti="01890000-0000-7000-8000-00000000ffff"
    ),
    "another statement": lambda heard, federation, random: _signed(heard, federation, statement=random.randbytes(32)),
    "another question": lambda heard, federation, random: _signed(heard, federation, question="agency.nothing"),
    "another version": lambda heard, federation, random: _signed(heard, federation, question_version=99),
    "another agency's name": lambda heard, federation, random: _signed(heard, federation, node="somebody-else"),
    "nobody in it": lambda heard, federation, random: _signed(heard, federation, slots=()),
    "not everybody in it": lambda heard, federation, random: _signed(heard, federation, slots=(SlotAnswer("s2", NO),)),
    "one person twice": lambda heard, federation, random: _signed(
        heard, federation, slots=(SlotAnswer("s1", NO), SlotAnswer("s1", NO))
    ),
    "an unknown word": _word("MAYBE"),
    "no word": _word(""),
    "an unspecified word": _word("UNSPECIFIED"),
    "a small word": _word("no"),
    "zero for a word": _word(0),
    "null for a word": _word(None),
    "no slots": _left_out("slots"),
    "no statement": _left_out("statement"),
    "no date": _left_out("as_of"),
    "an unknown field": _rewritten(lambda body: body.update({"note": "x"})),
    "another format version": _rewritten(lambda body: body.update({"v": 2})),
}
"""Fault -> the bytes of such a reply."""


@dataclass(slots=True)
class SimulatedNodes:
    """The far ends of all sessions.

    Attributes:
        federation: Everybody's keys.
        behaviours: Agency -> what its node does; honest when not named.
        heard: Every question that arrived, in order.
    """

    federation: trust.Federation
    behaviours: Mapping[str, Behaviour]
    heard: list[Heard] = field(default_factory=list)
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    async def attach(self, sessions: Sessions, agencies: Sequence[str]) -> None:
        """Attach these agencies."""
        for agency in agencies:
            session = Session(agency)
            await sessions.attach(session)
            self._tasks.append(asyncio.create_task(self._serve(session)))

    async def close(self) -> None:
        """End every node."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _serve(self, session: Session) -> None:
        while True:
            frame = await session.frames.get()
            if frame.WhichOneof("frame") == "question":
                heard = Heard(session.agency, frame.question, session)
                self.heard.append(heard)
                await self.behaviours.get(session.agency, honest)(heard, self.federation)


class NoHeads:
    """A ledger of which no test here looks at the head."""

    def head_from(self, size: int) -> node_pb2.Head:
        return node_pb2.Head(checkpoint="midshire/broker\n1\nroot\n")


def opened(
    federation: trust.Federation,
    targets: Sequence[str],
    *,
    asker: str,
    question: str = "agency.contact",
    number: int = 1,
    people: int = 1,
    refused: Sequence[str] = (),
    relied_on: Sequence[str] = (),
) -> Opened:
    """A really signed question that policy lets go to `targets` but for those refused, as a ledger hands it on."""
    core = Core(
        query_id=f"01890000-0000-7000-8000-{number:012x}",
        agency=asker,
        role="practitioner",
        caller_token_sha256="00" * 32,
        question=question,
        question_version=1,
        purpose="s47_enquiry",
        urgency="routine",
        reply_key=b"r" * 32,
        epoch="2026-1",
        normaliser="33" * 32,
        families="44" * 32,
        key_servers="55" * 32,
        issued_at_ns=trust.NOW_NS,
        expires_at_ns=trust.NOW_NS + 60 * SECOND_NS,
    )
    part = BrokerPart(
        targets=tuple(Target(agency, "ca1989_s47", "e") for agency in targets),
        subjects=tuple(Subject(f"s{one}", "child", "10_15") for one in range(1, people + 1)),
        assertions=Assertions(need_tier=4),
        agreements=tuple(AgreementRef(record_id, "s1") for record_id in relied_on),
        case_token="66" * 32,
        subject_tags={f"s{one}": (b"t" * 16,) for one in range(1, people + 1)},
        answer_form="recency",
    )
    drafts = [
        statement.draft(NodePart(agency, "ca1989_s47", sha256(agency.encode()).hex()), agency.encode())
        for agency in targets
    ]
    key = federation.agencies[asker].asking
    signed = statement.sign(statement.core_bytes(core), statement.broker_part_bytes(part), drafts, key)
    user = User(asker, "ab" * 32, "practitioner", 2, True, trust.NOW_NS // SECOND_NS - 60)
    asked = Asked(user, statement.open_for_broker(signed, signing.public_bytes(key)), trust.NOW_NS)
    by_target = {
        agency: TargetDecision(
            allow=agency not in refused,
            gateway="ca1989_s47",
            subjects=("s1",),
            grants=("duty",),
            denials=(),
            agreement_mode="not_operative",
            agreements_used=() if agency in refused else tuple(relied_on),
            obligations={},
            answer_form="recency",
        )
        for agency in targets
    }
    decision = Decision(by_target, core.query_id, REVISION, CATALOGUE, "77" * 32, "test", 1)
    digests = {record_id: sha256(record_id.encode()) for record_id in relied_on}
    return Opened(Permit(asked, decision), f"01890000-0000-7000-8000-{number + 10**6:012x}", 0, digests)
