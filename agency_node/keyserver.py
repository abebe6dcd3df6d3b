"""The steward's key server: the second of the two that turn match keys into tokens, and the only one for subject tags.

    EvaluateRequest -> who -> form -> ledger head -> key of the epoch -> allowance -> evaluate, family by family
        -> EvaluateResponse

It is run by somebody who is not the broker's operator. It sees uniformly random
points and nothing else (T-LNK-1), and only agencies may call it: with the
broker's certificate nobody gets a subject tag. Agencies bring the newest ledger
head they have countersigned; the steward compares what all of them saw, so a
broker that shows two histories is found out even if it keeps the agencies'
alarms from each other (T-AUD-6).
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import grpc.aio
from sqlalchemy import Connection, Engine, Executable, bindparam, delete, func, select

from accord import allowance
from accord.checkpoint import Checkpoint, open_note
from accord.directory import SUBJECT_EPOCH
from accord.identity import FAMILIES, SUBJECT_FAMILIES
from accord.linkage import AT_ONCE, MAX_ELEMENTS, FamilyKey
from accord.reasons import Problem
from accord.v1 import keys_pb2, keys_pb2_grpc
from agency_node.events import Event, log
from agency_node.store import counting, reading, upsert, writing
from agency_node.store.prepared import Prepared
from agency_node.store.tables import reported_head, reported_newest, spent

MAX_REQUEST_BYTES: Final = 65_536
"""Largest request: 1,000 elements of 32 bytes, their framing, and a ledger head."""

ASK: Final = keys_pb2.KEY_USE_ASK
INDEX: Final = keys_pb2.KEY_USE_INDEX
SUBJECT: Final = keys_pb2.KEY_USE_SUBJECT
_USES: Final[Mapping[int, str]] = {ASK: "ask", INDEX: "index", SUBJECT: "subject"}
_MATCH_IDS: Final = frozenset(family.id for family in FAMILIES)
_SUBJECT_IDS: Final = frozenset(family.id for family in SUBJECT_FAMILIES)

Keys = Mapping[str, Mapping[str, FamilyKey]]
"""Epoch -> family id -> key. Two epochs while the keys are being changed, otherwise one."""


class NotAnAgency(Problem):
    """The certificate names no agency."""

    reason = "NOT_ALLOWED"


class BadBatches(Problem):
    """Unknown use or family, a family twice, or too much for one call."""

    reason = "BAD_REQUEST"


class WrongEpoch(Problem):
    """There are no keys for this epoch."""

    reason = "WRONG_EPOCH"


class QuotaExceeded(Problem):
    """The agency's allowance for this day, or for this year and epoch, is used up."""

    reason = "QUOTA_EXCEEDED"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time with an allowance.

    Attributes:
        name: Tells it from every other.
        ends: Its last day, days since 1970-01-01.
        most: Family -> elements that an agency may have evaluated in it, padding included.
    """

    name: str
    ends: int
    most: Mapping[str, int]


class Counters(Protocol):
    """Counts what each agency used."""

    def take(self, day: int, agency: str, use: str, wanted: Mapping[str, int], spans: Sequence[Span]) -> bool:
        """Count elements of several families, all of them in every span or none in any.

        Args:
            day: Today, days since 1970-01-01.
            agency: The agency.
            use: ask, index or subject.
            wanted: Elements by family.
            spans: The spans that today lies in.

        Returns:
            False when one family would go over in one span; then nothing is counted.
        """


class MemoryCounters:
    """Counts until the process ends; for tests and pilots."""

    def __init__(self) -> None:
        """Start at nothing."""
        self._used: Counter[tuple[str, str, str, str]] = Counter()

    def take(self, day: int, agency: str, use: str, wanted: Mapping[str, int], spans: Sequence[Span]) -> bool:
        """As `Counters.take`."""
        counted = {
            (span.name, agency, use, family): (count, span.most.get(family, 0))
            for span in spans
            for family, count in wanted.items()
        }
        if any(self._used[one] + count > most for one, (count, most) in counted.items()):
            return False
        self._used.update({one: count for one, (count, _) in counted.items()})
        return True


_USED: Final = Prepared(
    lambda _: select(spent.c.family, spent.c.elements).where(
        spent.c.span == bindparam("span"), spent.c.agency == bindparam("agency"), spent.c.use == bindparam("use")
    )
)


def _put_used(connection: Connection) -> Executable:
    counted = upsert(connection, spent)
    return counted.on_conflict_do_update(
        index_elements=list(spent.primary_key), set_={"elements": spent.c.elements + counted.excluded.elements}
    )


_USE: Final = Prepared(_put_used)


class StoredCounters:
    """Counts in the steward's state, so that a restart gives nothing back.

    Commits do not wait for the disk: after a power failure the last few calls may be uncounted, which no guesser can
    bring about.
    """

    def __init__(self, engine: Engine) -> None:
        """Count there."""
        self._engine = engine
        self._pruned = 0

    def take(self, day: int, agency: str, use: str, wanted: Mapping[str, int], spans: Sequence[Span]) -> bool:
        """As `Counters.take`."""
        with counting(self._engine) as connection:
            if day != self._pruned:
                # Two days' grace, should a clock be set back.
                connection.execute(delete(spent).where(spent.c.ends < day - 2))
            for span in spans:
                used = dict(_USED.rows(connection, span=span.name, agency=agency, use=use))
                if any(used.get(family, 0) + count > span.most.get(family, 0) for family, count in wanted.items()):
                    return False
            _USE.many(
                connection,
                [
                    {
                        "span": span.name,
                        "agency": agency,
                        "use": use,
                        "family": family,
                        "ends": span.ends,
                        "elements": count,
                    }
                    for span in spans
                    for family, count in wanted.items()
                ],
            )
        self._pruned = day
        return True


@dataclass(frozen=True, slots=True)
class Ledger:
    """The broker's ledger, whose heads agencies report.

    Attributes:
        origin: Its name in checkpoints.
        public: Its Ed25519 public key, 32 raw bytes.
    """

    origin: str
    public: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """A ledger head as an agency reported it.

    Attributes:
        agency: Who brought it.
        size: Number of entries.
        root: Root of the tree, 32 bytes.
        note: The signed note, the evidence.
    """

    agency: str
    size: int
    root: bytes
    note: str


class Heads(Protocol):
    """Keeps the heads that agencies reported."""

    def report(self, head: Head) -> Head | None:
        """Keep a head.

        Returns:
            A head kept before with the same size and another root: then the broker has shown two histories.
        """

    def newest(self) -> Mapping[str, int]:
        """Size of the largest head that each agency has reported."""


class MemoryHeads:
    """Keeps heads until the process ends; for tests and pilots."""

    def __init__(self) -> None:
        """Start with none."""
        self._heads: dict[int, dict[bytes, Head]] = {}
        self._newest: dict[str, int] = {}

    def report(self, head: Head) -> Head | None:
        """As `Heads.report`."""
        self._newest[head.agency] = max(head.size, self._newest.get(head.agency, 0))
        same_size = self._heads.setdefault(head.size, {})
        same_size.setdefault(head.root, head)
        return next((other for other in same_size.values() if other.root != head.root), None)

    def newest(self) -> Mapping[str, int]:
        """As `Heads.newest`."""
        return dict(self._newest)


class StoredHeads:
    """Keeps heads in the steward's state: evidence outlives the process.

    Only the first note of every root is kept, and of the newest 100,000 sizes.
    """

    _KEPT: Final = 100_000

    def __init__(self, engine: Engine) -> None:
        """Keep them there."""
        self._engine = engine

    def report(self, head: Head) -> Head | None:
        """As `Heads.report`."""
        heads = reported_head.c
        with writing(self._engine) as connection:
            grown = upsert(connection, reported_newest).values(agency=head.agency, size=head.size)
            connection.execute(
                grown.on_conflict_do_update(
                    index_elements=["agency"],
                    set_={"size": grown.excluded.size},
                    where=grown.excluded.size > reported_newest.c.size,
                )
            )
            kept = upsert(connection, reported_head)
            connection.execute(
                kept.values(size=head.size, root=head.root, agency=head.agency, note=head.note).on_conflict_do_nothing()
            )
            other = connection.execute(
                select(heads.agency, heads.size, heads.root, heads.note).where(
                    heads.size == head.size, heads.root != head.root
                )
            ).first()
            if other is None:
                # Two roots of one size are evidence and stay for ever.
                twice = select(heads.size).group_by(heads.size).having(func.count() > 1)
                connection.execute(
                    delete(reported_head).where(heads.size < head.size - self._KEPT, heads.size.not_in(twice))
                )
        return Head(*other) if other else None

    def newest(self) -> Mapping[str, int]:
        """As `Heads.newest`."""
        newest = reported_newest.c
        with reading(self._engine) as connection:
            return dict(connection.execute(select(newest.agency, newest.size)).all())


def family_keys(seed: bytes, subject_seed: bytes, epoch: str) -> Mapping[str, FamilyKey]:
    """The steward's keys of one epoch, by family.

    Args:
        seed: 32 secret random bytes, for match keys.
        subject_seed: 32 other secret random bytes, for subject tags; kept as long as the ledger is.
        epoch: The linkage epoch. Subject tags outlive epochs, so their keys do not depend on it.
    """
    return {family.id: FamilyKey(seed, epoch, family.id) for family in FAMILIES} | {
        family.id: FamilyKey(subject_seed, SUBJECT_EPOCH, family.id) for family in SUBJECT_FAMILIES
    }


@dataclass(frozen=True, slots=True)
class Batch:
    """Blinded elements of one family, 32 bytes each."""

    family: str
    blinded: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Output:
    """Evaluated elements of one family in the order received, and one proof over all of them, 64 bytes."""

    family: str
    evaluated: Sequence[bytes]
    proof: bytes


def spans(use: int, epoch: str, day: int, records: int) -> tuple[Span, ...]:
    """The allowances that hold on a day.

    Args:
        use: ASK, INDEX or SUBJECT.
        epoch: The linkage epoch.
        day: Days since 1970-01-01.
        records: For how many records the agency is enrolled.
    """
    year, ends = allowance.year_of(day)
    if use == INDEX:
        return (Span(f"{year} {epoch}", ends, allowance.index_a_year(records)),)
    if use == SUBJECT:
        return (Span(f"day {day}", day, allowance.subject_a_day()),)
    return (
        Span(f"day {day}", day, allowance.ask_a_day()),
        Span(f"{year} {epoch}", ends, allowance.ask_a_year(records)),
    )


async def evaluate(
    batches: Sequence[Batch],
    *,
    agency: str,
    epoch: str,
    use: int,
    day: int,
    keys: Keys,
    counters: Counters,
    records: int,
) -> list[Output]:
    """Evaluate blinded elements, giving way to other work now and then.

    Args:
        batches: At most one for each family, at most MAX_ELEMENTS elements in all.
        agency: Who calls, as its certificate says; "" when it names no agency.
        epoch: The linkage epoch wanted.
        use: ASK, INDEX or SUBJECT; the last goes with the subject families, the others with the match-key families.
        day: Today, days since 1970-01-01.
        keys: The keys there are.
        counters: What was used so far.
        records: For how many records the agency is enrolled; its allowance follows.

    Returns:
        One output for each batch, in their order.

    Raises:
        NotAnAgency: The certificate names no agency.
        BadBatches: Unknown use or family, a family twice, nothing or too much.
        WrongEpoch: No keys for this epoch.
        QuotaExceeded: One family's allowance does not reach; nothing was evaluated.
        accord.linkage.BadElement: An element is not of the right form, or there are too many under one proof.
    """
    if not agency:
        raise NotAnAgency("the certificate names no agency")
    if use not in _USES:
        raise BadBatches("tokens are made to ask, to index or for subject tags")
    wanted = {batch.family: len(batch.blinded) for batch in batches}
    if len(wanted) != len(batches) or not 1 <= sum(wanted.values()) <= MAX_ELEMENTS:
        raise BadBatches(f"one batch for each family and at most {MAX_ELEMENTS} elements are taken")
    of_epoch = keys.get(epoch)
    if of_epoch is None:
        raise WrongEpoch("there are no keys for this epoch")
    # A subject family for any other use, an index above all, would make the broker's pseudonyms of people enumerable.
    if not wanted.keys() <= of_epoch.keys() & (_SUBJECT_IDS if use == SUBJECT else _MATCH_IDS):
        raise BadBatches("a family is not one of this epoch's, or not for this use")
    if not counters.take(day, agency, _USES[use], wanted, spans(use, epoch, day, records)):
        log.warning(Event.KEY_QUOTA_EXCEEDED, agency=agency, use=_USES[use])
        raise QuotaExceeded("the allowance of one family is used up")
    outputs, since = [], 0
    for batch in batches:
        evaluated, proof = of_epoch[batch.family].evaluate(batch.blinded)
        outputs.append(Output(batch.family, evaluated, proof))
        since += len(evaluated)
        if since >= AT_ONCE:
            since = 0
            await asyncio.sleep(0)
    return outputs


Context = grpc.aio.ServicerContext[Any, Any]


class KeyServer(keys_pb2_grpc.KeyServiceServicer):
    """gRPC in, gRPC out."""

    def __init__(
        self,
        keys: Keys,
        *,
        agency_of: Callable[[Context], str],
        ledger: Ledger,
        heads: Heads,
        counters: Counters,
        records_of: Callable[[str], int],
        alarm: Callable[[Head, Head], None] = lambda one, other: None,
        today: Callable[[], int] = lambda: int(time.time() // 86_400),
    ) -> None:
        """Set up the service.

        Args:
            keys: The keys of every epoch served.
            agency_of: The agency that a call's certificate names; "" when it names none.
            ledger: The broker's ledger.
            heads: Keeps the heads that agencies report.
            counters: Counts what is used.
            records_of: For how many records an agency is enrolled, as the directory says.
            alarm: Told of two heads that contradict each other, beside the log.
            today: Days since 1970-01-01.
        """
        self._keys = keys
        self._ledger = ledger
        self._heads = heads
        self._alarm = alarm
        self._agency_of = agency_of
        self._counters = counters
        self._records_of = records_of
        self._today = today
        self._compared: dict[str, str] = {}

    async def Evaluate(self, request: keys_pb2.EvaluateRequest, context: Context) -> keys_pb2.EvaluateResponse:
        """Evaluate blinded elements.

        Raises:
            accord.checkpoint.BadCheckpoint: The head brought along is not one of the broker's ledger.
            Problem: See `evaluate`.
        """
        started = time.perf_counter()
        agency = self._agency_of(context)
        if request.ByteSize() > MAX_REQUEST_BYTES:
            raise BadBatches("the request is too large")
        if agency and request.checkpoint:
            self._compare(agency, request.checkpoint)
        outputs = await evaluate(
            [Batch(batch.family, batch.blinded) for batch in request.batches],
            agency=agency,
            epoch=request.epoch,
            use=request.use,
            day=self._today(),
            keys=self._keys,
            counters=self._counters,
            records=self._records_of(agency) if agency else 0,
        )
        log.info(
            Event.KEY_EVALUATION,
            agency=agency,
            use=_USES[request.use],
            families=len(outputs),
            elements=sum(len(output.evaluated) for output in outputs),
            elapsed_ms=round(1_000 * (time.perf_counter() - started)),
        )
        return keys_pb2.EvaluateResponse(
            outputs=[
                keys_pb2.FamilyOutput(family=output.family, evaluated=output.evaluated, proof=output.proof)
                for output in outputs
            ]
        )

    def _compare(self, agency: str, note: str) -> None:
        """Keep a head; alarm when another agency was shown another history. The tokens are given all the same.

        What an agency brought last is not compared again: whoever brings another history later is compared with it.
        """
        if self._compared.get(agency) == note:
            return
        found: Checkpoint = open_note(note, self._ledger.origin, self._ledger.public)
        head = Head(agency, found.size, found.root, note)
        other = self._heads.report(head)
        if other is None:
            self._compared[agency] = note
        else:
            log.error(Event.HEADS_DIFFER, agency=agency, size=found.size)
            self._alarm(head, other)
