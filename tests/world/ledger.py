"""A broker's ledger for tests: on a real file or server, in memory without one, or dead; and questions to put into it.

`Books` opens a store, writer and sequencer, the way the broker does. `MemoryLedger` implements what
`broker.ask` declares, keeping only the order of what happened. `DeadLedger` cannot write.
"""

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord import agreement as agreements
from accord import catalogue, signing, statement
from accord.canonical import sha256
from accord.statement import AgreementRef, Assertions, BrokerPart, Core, NodePart, SignedStatement, Subject, Target
from accord.v1 import common_pb2
from broker.agreements import Agreements
from broker.ledger import LedgerReading, QuestionLedger
from broker.sequencer import Sequencer, Writer
from broker.stages import (
    ANSWERED,
    NOT_REACHED,
    REFUSED,
    Answers,
    Asked,
    Composed,
    Decision,
    Denial,
    LedgerUnavailable,
    Opened,
    Permit,
    Refusal,
    Released,
    Reply,
    Row,
    TargetDecision,
    Undecided,
    User,
)
from broker.store import Place, Store, open_store

NOW_NS = 1_795_312_800_000_000_000
"""2026-11-22T10:00:00Z."""

ORIGIN = "midshire/ledger"
LEDGER_KEY = Ed25519PrivateKey.from_private_bytes(b"l" * 32)
LEDGER_PUBLIC = signing.public_bytes(LEDGER_KEY)
ASKING_KEY = Ed25519PrivateKey.from_private_bytes(b"a" * 32)
REVISION = "11" * 32
CATALOGUE = "22" * 32
WORKER = User("social-care", "ab" * 32, "practitioner", 2, True, NOW_NS // 10**9 - 600)
COLLEAGUE = replace(WORKER, token="cd" * 32)
WITHDRAWN = Denial("AGREEMENT_MISSING", "No agreement covers this question", "Ask the family", "your manager", "s1")

_numbers = itertools.count(1)


def uuid() -> str:
    """The next number in the form of a UUID version 7."""
    return f"01890000-0000-7000-8000-{next(_numbers):012x}"


@dataclass(slots=True)
class Books:
    """An open ledger on a file, with everything that reads and writes it."""

    store: Store
    writer: Writer
    sequencer: Sequencer
    questions: QuestionLedger
    reading: LedgerReading
    agreements: Agreements

    async def close(self) -> None:
        """Stop writing and let go of the file."""
        await self.sequencer.stop()
        self.store.close()


async def open_books(place: Place, now_ns: Callable[[], int] = lambda: NOW_NS, limit: int = 1024) -> Books:
    """Open a ledger as the broker does at its start."""
    store = open_store(place)
    writer = Writer(store, ORIGIN, LEDGER_KEY)
    sequencer = Sequencer(writer, limit)
    sequencer.start()
    questions = QuestionLedger(sequencer, store, now_ns, uuid)
    await questions.start()
    await questions.activate(REVISION, CATALOGUE, "start", b"")
    return Books(
        store,
        writer,
        sequencer,
        questions,
        LedgerReading(sequencer, store, "midshire"),
        Agreements(sequencer, store, now_ns),
    )


def asked(
    *,
    query_id: str | None = None,
    user: User = WORKER,
    tags: Sequence[bytes] = (b"jamie-thorley-01",),
    rely_on: Sequence[str] = (),
    targets: Sequence[str] = ("housing", "police"),
    purpose: str = "early_help",
    at_ns: int = NOW_NS,
) -> Asked:
    """A checked question about one child, its statement really signed."""
    core = Core(
        query_id=query_id or uuid(),
        agency=user.agency,
        role=user.role,
        caller_token_sha256="00" * 32,
        question="agency.contact",
        question_version=1,
        purpose=purpose,
        urgency="routine",
        reply_key=b"r" * 32,
        epoch="2026-1",
        normaliser="33" * 32,
        families="44" * 32,
        key_servers="55" * 32,
        issued_at_ns=at_ns,
        expires_at_ns=at_ns + 60 * 10**9,
    )
    part = BrokerPart(
        targets=tuple(Target(agency, "agreement_service", "e") for agency in targets),
        subjects=(Subject("s1", "child", "10_15"),),
        assertions=Assertions(need_tier=2, views_sought="yes"),
        agreements=tuple(AgreementRef(record_id, "s1") for record_id in rely_on),
        case_token="66" * 32,
        subject_tags={"s1": tuple(tags)},
        answer_form="recency",
    )
    drafts = [
        statement.draft(NodePart(agency, "agreement_service", sha256(b"sealed").hex()), b"sealed") for agency in targets
    ]
    signed: SignedStatement = statement.sign(
        statement.core_bytes(core), statement.broker_part_bytes(part), drafts, ASKING_KEY
    )
    return Asked(user, statement.open_for_broker(signed, signing.public_bytes(ASKING_KEY)), at_ns)


def decision(
    question: Asked, allow: Mapping[str, bool] | None = None, revision: str = REVISION, used: Sequence[str] = ()
) -> Decision:
    """A decision over the question's targets; every one allowed unless `allow` says otherwise."""
    allowed = allow or {}
    return Decision(
        by_target={
            target.agency: TargetDecision(
                allow=allowed.get(target.agency, True),
                gateway=target.gateway,
                subjects=("s1",),
                grants=("agreement",) if allowed.get(target.agency, True) else (),
                denials=() if allowed.get(target.agency, True) else (WITHDRAWN,),
                agreement_mode="required",
                agreements_used=tuple(used) if allowed.get(target.agency, True) else (),
                obligations={},
                answer_form="recency",
            )
            for target in question.statement.broker_part.targets
        },
        decision_id=uuid(),
        revision=revision,
        catalogue=CATALOGUE,
        input_sha256="77" * 32,
        engine="test",
        elapsed_us=100,
    )


def question_of(composition: str, subjects: Sequence[str] = ("family",)) -> catalogue.Question:
    """A question of a catalogue: about a family as a whole unless said otherwise."""
    return catalogue.Question(
        id="family.known_anywhere",
        version=1,
        title="Is this family known to any of these agencies?",
        meaning_of_yes="One of them has a record.",
        meaning_of_no="None has.",
        subjects=frozenset(subjects),
        answer="boolean",
        shows_recency=False,
        composition=composition,
        yes_when="count",
        window_days=1096,
        owners=("housing", "police"),
        sensitivity="ordinary",
        min_tier=2,
        purposes=("early_help",),
        gateways={},
        min_role="practitioner",
        freshness_limit_s=172_800,
        next_step="",
        risk_factor_code="",
        deprecated_by=None,
    )


def permit(question: Asked, used: Sequence[str] = (), revision: str = REVISION) -> Permit:
    """A permit for every target."""
    return Permit(question, decision(question, revision=revision, used=used))


def refusal(question: Asked) -> Refusal:
    """A refusal for every target."""
    nowhere = {target.agency: False for target in question.statement.broker_part.targets}
    return Refusal(question, decision(question, nowhere))


def composed(opened: Opened, reached: Mapping[str, bool] | None = None) -> Composed:
    """Every permitted agency answered, unless `reached` says otherwise."""
    replies, rows = [], []
    for agency, one in sorted(opened.permit.decision.by_target.items()):
        if not one.allow:
            rows.append(Row(agency, one.gateway, REFUSED, denials=one.denials))
        elif (reached or {}).get(agency, True):
            signed_answer = (agency.encode() * 1024)[:2048]
            replies.append(Reply(agency, ANSWERED, signed_answer))
            rows.append(Row(agency, one.gateway, ANSWERED, signed_answer))
        else:
            replies.append(Reply(agency, NOT_REACHED, cause="deadline"))
            rows.append(Row(agency, one.gateway, NOT_REACHED))
    return Composed(Answers(opened, tuple(replies)), tuple(rows))


def agreement(tags: Sequence[bytes] = (b"jamie-thorley-01",), **changes: object) -> agreements.Agreement:
    """A family's agreement to early help."""
    made = agreements.Agreement(
        record_id=uuid(),
        kind="service_agreement",
        state=agreements.GIVEN,
        given_by="parent",
        capture="web",
        captured_by="social-care",
        captured_at_ns=NOW_NS - 10**9,
        valid_from_ns=NOW_NS - 10**9,
        valid_to_ns=NOW_NS + 90 * 86_400 * 10**9,
        questions=("agency.contact",),
        purposes=("early_help",),
        requesters=("social-care",),
        responders=("housing", "police"),
        subject_tags=tuple(tags),
        binding="88" * 32,
        notice="early-help-2026",
        policy=REVISION,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # named fields of the dataclass


def signed_agreement(made: agreements.Agreement) -> common_pb2.Signed:
    """An agreement as the capturing node sends it."""
    body = agreements.agreement_bytes(made)
    signature = signing.sign(ASKING_KEY, agreements.LABEL, body)
    return common_pb2.Signed(statement=body, signature=signature, key_id="a" * 16)


def withdrawal(record_id: str) -> tuple[agreements.Withdrawal, common_pb2.Signed]:
    """A withdrawal, and as the node that took it sends it."""
    made = agreements.Withdrawal(record_id, "social-care", NOW_NS, "parent")
    body = agreements.withdrawal_bytes(made)
    signature = signing.sign(ASKING_KEY, agreements.WITHDRAWAL_LABEL, body)
    return made, common_pb2.Signed(statement=body, signature=signature, key_id="a" * 16)


class MemoryLedger:
    """Implements the pipeline's ledger without a file; `happened` is the order of events."""

    def __init__(self) -> None:
        self.happened: list[str] = []
        self._kept: dict[str, Released] = {}

    async def stored(self, asked: Asked) -> Released | None:
        return self._kept.get(asked.statement.core.query_id)

    async def replay(self, decided: Permit | Refusal, stored: Released) -> Released:
        self.happened.append("REPLAYED")
        return replace(stored, replayed=True)

    async def refuse(self, refusal: Refusal) -> Released:
        self.happened += ["ASKED", "REFUSED"]
        rows = tuple(
            Row(agency, one.gateway, REFUSED, denials=one.denials)
            for agency, one in sorted(refusal.decision.by_target.items())
        )
        return self._keep(refusal.asked, rows)

    async def undecided(self, undecided: Undecided) -> None:
        self.happened += ["ASKED", "ABANDONED"]

    async def open_entry(self, permit: Permit) -> Opened:
        self.happened += ["ASKED", "DECIDED", "WARRANTED"]
        used = {one for target in permit.decision.by_target.values() for one in target.agreements_used}
        return Opened(permit, uuid(), 0, {record_id: os.urandom(32) for record_id in used})

    async def close_entry(self, composed: Composed) -> Released:
        self.happened += [*(reply.delivery for reply in composed.answers.replies), "RELEASED"]
        return self._keep(composed.answers.opened.permit.asked, composed.rows)

    async def abandon(self, opened: Opened) -> None:
        self.happened.append("ABANDONED")

    def _keep(self, asked: Asked, rows: tuple[Row, ...]) -> Released:
        query_id = asked.statement.core.query_id
        self._kept[query_id] = Released(query_id, rows, b"{}", "")
        return self._kept[query_id]


class DeadLedger(MemoryLedger):
    """A ledger whose disk is gone."""

    async def refuse(self, refusal: Refusal) -> Released:
        raise LedgerUnavailable("no disk")

    async def undecided(self, undecided: Undecided) -> None:
        raise LedgerUnavailable("no disk")

    async def open_entry(self, permit: Permit) -> Opened:
        raise LedgerUnavailable("no disk")

    async def close_entry(self, composed: Composed) -> Released:
        raise LedgerUnavailable("no disk")
