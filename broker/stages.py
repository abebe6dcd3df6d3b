"""The values passed from step to step while one question is carried.

    Asked -> Permit | Refusal -> Opened -> Answers -> Composed -> Released

Each is frozen, and each is made only by the step before the one that needs it,
so that leaving out policy, ledger or release is a type error. Imports nothing
of the broker's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from accord.catalogue import Question
from accord.reasons import Problem
from accord.statement import Statement

ANSWERED: Final = "ANSWERED"
REFUSED: Final = "REFUSED"
NOT_REACHED: Final = "NOT_REACHED"
"""The three deliveries. NOT_REACHED is never a no."""


class LedgerUnavailable(Problem):
    """An entry could not be made durable, so nothing was released."""

    reason = "AUDIT_UNAVAILABLE"


class QueryIdReused(Problem):
    """The question number was used for another statement."""

    reason = "QUERY_ID_REUSED"


class InProgress(Problem):
    """The same question is still being asked."""

    reason = "IN_PROGRESS"


class NotYourQuestion(Problem):
    """Another user asked this question."""

    reason = "NOT_YOUR_QUESTION"


class RateLimited(Problem):
    """A bounded queue is full.

    Attributes:
        retry_s: What the caller is told to wait before it tries again, seconds.
    """

    reason = "RATE_LIMITED"

    def __init__(self, message: str, retry_s: float = 1.0) -> None:
        """Say which queue, and how long to wait."""
        self.retry_s = retry_s
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class User:
    """Who asks, as the caller token says; checked against certificate and directory.

    Attributes:
        agency: The asking agency.
        token: Pseudonym of the member of staff, 64 hexadecimal digits.
        role: practitioner, manager, duty_officer, dpo, auditor or system.
        aal: Authenticator assurance level, 1 to 3 (NIST SP 800-63B).
        phishing_resistant: Whether the sign-in was.
        auth_time_s: When the person signed in, seconds since 1970.
    """

    agency: str
    token: str
    role: str
    aal: int
    phishing_resistant: bool
    auth_time_s: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A question whose caller token and statement were checked.

    Attributes:
        user: Who asks.
        statement: The checked statement.
        at_ns: The one clock reading of this question.
    """

    user: User
    statement: Statement
    at_ns: int


@dataclass(frozen=True, slots=True)
class Denial:
    """One reason why a question may not go to an agency; see accord.v1.Denial."""

    code: str
    reason: str
    cure: str
    contact: str
    ref: str = ""


@dataclass(frozen=True, slots=True)
class TargetDecision:
    """Policy's word on one addressed agency.

    Attributes:
        allow: Whether the question may go there.
        gateway: The gateway claimed for it.
        subjects: References of the people it may be asked about.
        grants: Identifiers of the positive grounds found.
        denials: Why not; empty when allowed.
        agreement_mode: required, not_operative or not_applicable.
        agreements_used: Record identifiers of the agreements relied on.
        obligations: Kind -> value.
        answer_form: none, boolean, recency, band, match, category or manual.
    """

    allow: bool
    gateway: str
    subjects: tuple[str, ...]
    grants: tuple[str, ...]
    denials: tuple[Denial, ...]
    agreement_mode: str
    agreements_used: tuple[str, ...]
    obligations: Mapping[str, str]
    answer_form: str


@dataclass(frozen=True, slots=True)
class Decision:
    """One policy decision over all targets.

    Attributes:
        by_target: Agency -> what was decided.
        decision_id: UUID version 7.
        revision: Policy revision, 64 hexadecimal digits.
        catalogue: Digest of the catalogue, 64 hexadecimal digits.
        input_sha256: Digest of the policy input, 64 hexadecimal digits.
        engine: Name and version of the engine.
        elapsed_us: Time the engine took, microseconds.
        question: The question, as the catalogue of this revision has it; None when it has none.
        engine_decision_id: The engine's own number for it, where it gives one.
        document: The policy input itself, canonical JSON.
    """

    by_target: Mapping[str, TargetDecision]
    decision_id: str
    revision: str
    catalogue: str
    input_sha256: str
    engine: str
    elapsed_us: int
    question: Question | None = None
    engine_decision_id: str = ""
    document: bytes = field(repr=False, default=b"")


@dataclass(frozen=True, slots=True)
class Permit:
    """Policy allowed `asked` to go to at least one agency."""

    asked: Asked
    decision: Decision


@dataclass(frozen=True, slots=True)
class Refusal:
    """Policy allowed `asked` to go to no agency."""

    asked: Asked
    decision: Decision


@dataclass(frozen=True, slots=True)
class Undecided:
    """There is no decision on `asked`: the engine or the rules failed.

    Attributes:
        asked: The question, which went nowhere.
        revision: Policy revision that should have decided, 64 hexadecimal digits.
        catalogue: Digest of its catalogue, 64 hexadecimal digits.
        problem: What failed; its reason is what the asker is told.
    """

    asked: Asked
    revision: str
    catalogue: str
    problem: Problem


@dataclass(frozen=True, slots=True)
class Opened:
    """The intent to ask is durable. Only a ledger makes one.

    Attributes:
        permit: What was permitted.
        jti: The one warrant's identifier, already in the ledger.
        index: Ledger index of the ASKED record.
        agreements: Record identifier -> digest (32 bytes) of the agreements relied on.
    """

    permit: Permit
    jti: str
    index: int
    agreements: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of asking one agency.

    Attributes:
        agency: Which.
        delivery: ANSWERED or NOT_REACHED.
        signed_answer: The 2,048 bytes as received, signature checked; empty unless ANSWERED.
        word: What it says of a family as a whole: YES, NO or CANNOT_SAY; empty unless the question is about one.
        cause: Why it was not reached, a code for the operator; empty when ANSWERED.
    """

    agency: str
    delivery: str
    signed_answer: bytes = b""
    word: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Answers:
    """Every permitted agency has been heard or given up on."""

    opened: Opened
    replies: tuple[Reply, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One addressed agency in the released answer.

    Attributes:
        agency: Which.
        gateway: Under what it was asked.
        delivery: ANSWERED, REFUSED or NOT_REACHED.
        signed_answer: What the asker is shown; empty where answers are put together.
        denials: Why it was not asked.
        kept: A signed answer that is put together with others and not shown. It stays with the broker, for auditors.
    """

    agency: str
    gateway: str
    delivery: str
    signed_answer: bytes = b""
    denials: tuple[Denial, ...] = ()
    kept: bytes = field(repr=False, default=b"")


@dataclass(frozen=True, slots=True)
class Composed:
    """What may be shown, before it is durable. Only release makes one.

    Attributes:
        answers: What it was made of.
        rows: One for each addressed agency, by identifier.
        word: The one answer that was put together: YES, NO or CANNOT_SAY; empty where each agency's own is shown.
    """

    answers: Answers
    rows: tuple[Row, ...]
    word: str = ""


@dataclass(frozen=True, slots=True)
class Released:
    """A terminal record is durable; its answer may leave.

    Attributes:
        query_id: Identifier of the question.
        rows: One for each addressed agency, by identifier.
        record: Canonical bytes of the RELEASED, REFUSED or REPLAYED record.
        receipt: Its C2SP tlog-proof text.
        replayed: True for a stored answer.
        word: The one answer that was put together, or empty.
    """

    query_id: str
    rows: tuple[Row, ...]
    record: bytes
    receipt: str
    replayed: bool = False
    word: str = ""
