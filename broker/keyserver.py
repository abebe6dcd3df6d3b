"""The broker's key server: the first of the two that turn match keys into tokens.

    EvaluateRequest -> who -> form -> key of the epoch -> allowance -> evaluate, family by family -> EvaluateResponse

It sees uniformly random points and nothing else (T-LNK-1). What it could still
help with is guessing, so every agency has an allowance for each family, use, day
and year (`accord.allowance`), counted before anything is evaluated. It has no keys for subject tags: those
are the steward's alone.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import grpc.aio
from sqlalchemy.exc import SQLAlchemyError

from accord import allowance
from accord.identity import FAMILIES
from accord.linkage import AT_ONCE, MAX_ELEMENTS, FamilyKey
from accord.reasons import Problem
from accord.v1 import keys_pb2, keys_pb2_grpc
from broker.events import Event, log
from broker.stages import LedgerUnavailable
from broker.store import Place, counting, spent

MAX_REQUEST_BYTES: Final = 65_536
"""Largest request: 1,000 elements of 32 bytes, their framing, and a ledger head."""

ASK: Final = keys_pb2.KEY_USE_ASK
INDEX: Final = keys_pb2.KEY_USE_INDEX
_USES: Final[Mapping[int, str]] = {ASK: "ask", INDEX: "index"}

GRACE_DAYS: Final = 2
"""Counts are kept so much longer than their span, should a clock be set back."""

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
            use: ask or index.
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


class StoredCounters:
    """Counts in a database, so that a restart gives nothing back.

    Commits are not synced one by one: after a power failure the last few calls may be uncounted, which no guesser can
    bring about (https://www.sqlite.org/pragma.html#pragma_synchronous).
    """

    def __init__(self, place: Place) -> None:
        """Open the file of the counts, or make it; or use the server's table.

        Raises:
            StoreUnusable: The server's address cannot be used.
        """
        self._engine = counting(place)
        self._pruned = 0

    def take(self, day: int, agency: str, use: str, wanted: Mapping[str, int], spans: Sequence[Span]) -> bool:
        """As `Counters.take`.

        Raises:
            LedgerUnavailable: The database cannot be read or written.
        """
        try:
            with self._engine.begin() as connection:
                if day != self._pruned:
                    spent.forget(connection, before=day - GRACE_DAYS)
                used = [spent.of(connection, span.name, agency, use) for span in spans]
                for span, of_span in zip(spans, used, strict=True):
                    if any(of_span.get(one, 0) + count > span.most.get(one, 0) for one, count in wanted.items()):
                        return False
                for span, of_span in zip(spans, used, strict=True):
                    spent.add(connection, span.name, agency, use, span.ends, wanted, of_span)
        except SQLAlchemyError as error:
            raise LedgerUnavailable("the allowances cannot be counted") from error
        self._pruned = day
        return True

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()


def family_keys(seed: bytes, epoch: str) -> Mapping[str, FamilyKey]:
    """The broker's keys of one epoch, by family.

    Args:
        seed: 32 secret random bytes.
        epoch: The linkage epoch.
    """
    return {family.id: FamilyKey(seed, epoch, family.id) for family in FAMILIES}


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
        use: ASK or INDEX.
        epoch: The linkage epoch.
        day: Days since 1970-01-01.
        records: For how many records the agency is enrolled.
    """
    year, ends = allowance.year_of(day)
    if use == INDEX:
        return (Span(f"{year} {epoch}", ends, allowance.index_a_year(records)),)
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
        use: ASK or INDEX.
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
        raise BadBatches("tokens are made to ask or to index")
    wanted = {batch.family: len(batch.blinded) for batch in batches}
    if len(wanted) != len(batches) or not 1 <= sum(wanted.values()) <= MAX_ELEMENTS:
        raise BadBatches(f"one batch for each family and at most {MAX_ELEMENTS} elements are taken")
    of_epoch = keys.get(epoch)
    if of_epoch is None:
        raise WrongEpoch("there are no keys for this epoch")
    if not wanted.keys() <= of_epoch.keys():
        raise BadBatches("a family is not one of this epoch's")
    if not counters.take(day, agency, _USES[use], wanted, spans(use, epoch, day, records)):
        log.warning(Event.KEY_QUOTA_EXCEEDED, caller_agency=agency, use=_USES[use])
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
        counters: Counters,
        records_of: Callable[[str], int],
        today: Callable[[], int] = lambda: int(time.time() // 86_400),
    ) -> None:
        """Set up the service.

        Args:
            keys: The keys of every epoch served.
            agency_of: The agency that a call's certificate names; "" when it names none.
            counters: Counts what is used.
            records_of: For how many records an agency is enrolled, as the directory says.
            today: Days since 1970-01-01.
        """
        self._keys = keys
        self._agency_of = agency_of
        self._counters = counters
        self._records_of = records_of
        self._today = today

    async def Evaluate(self, request: keys_pb2.EvaluateRequest, context: Context) -> keys_pb2.EvaluateResponse:
        """Evaluate blinded elements.

        Raises:
            Problem: See `evaluate`.
        """
        started = time.perf_counter()
        agency = self._agency_of(context)
        if request.ByteSize() > MAX_REQUEST_BYTES:
            raise BadBatches("the request is too large")
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
            caller_agency=agency,
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
