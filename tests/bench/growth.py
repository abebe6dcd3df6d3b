"""What grows with the years: the ledger, and the agreements that a decision looks among.

Each size is compared with the smallest of the same run. Entries are written by the ledger's only writer, in its own
transactions; 500 records a batch and several batches a transaction, since a million questions one by one would take a
night.
"""

import asyncio
import functools
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Final

from rich.table import Table

from accord.statement import Assertions, Target
from broker import decide
from broker.__main__ import new_id
from broker.engines.regorus import Regorus
from broker.ledger import LedgerReading
from broker.sequencer import Batch, Sequencer, Writer, record
from broker.stages import Asked, Permit
from broker.store import open_store
from tests.world import ledger as books
from tests.world import rules as worded

LEDGER: Final = (1_000, 10_000, 100_000, 1_000_000)
AGREEMENTS: Final = (100, 1_000, 10_000)
BATCH: Final = 500
BATCHES: Final = 8
OFTEN: Final = 60
"""Measurements of each kind at each size."""


STATED: Final = Assertions(
    need_tier=2,
    necessity_code="decide_support",
    proportionality_code="least_needed",
    views_sought="yes",
    told_state="told",
)
"""What a practitioner states who asks with the family's agreement."""


@dataclass(frozen=True, slots=True)
class Grown:
    """One size of the ledger.

    Attributes:
        entries: In the ledger.
        filled_per_s: Entries a second while it was filled, in large batches.
        append_us: One question's five records, durable and signed; median, microseconds.
        proof_us: Inclusion proof of any entry; median, microseconds.
        restart_ms: Opening the file and checking the head, milliseconds.
        megabytes: On the disk.
        append: Against the smallest size; so are the next two.
        proof: As `append`.
        restart: As `append`.
    """

    entries: int
    filled_per_s: float
    append_us: float
    proof_us: float
    restart_ms: float
    megabytes: float
    append: float = 1.0
    proof: float = 1.0
    restart: float = 1.0


@dataclass(frozen=True, slots=True)
class Decided:
    """One number of agreements.

    Attributes:
        agreements: In force.
        decision_us: Facts from the store and one decision for two agencies, under one agreement; median, microseconds.
        ratio: Against the smallest number.
    """

    agreements: int
    decision_us: float
    ratio: float = 1.0


def _median_us(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(OFTEN):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1e6


def _records(number: int, kinds: str = "ANSWERED") -> Batch:
    fields = {"agency": "police", "answer": "ab" * 32, "signature": "c" * 86}
    return Batch(tuple(record(kinds, books.NOW_NS, fields, query_id=books.uuid()) for _ in range(number)))


def _append(writer: Writer) -> None:
    writer.commit([_records(5)])


def _prove(reading: LedgerReading, draw: random.Random, size: int) -> None:
    reading.inclusion(draw.randrange(size), size)


def ledger(folder: Path, sizes: Sequence[int] = LEDGER, said: Callable[[str], None] = print) -> list[Grown]:
    """Grow one ledger through these sizes."""
    place = folder / "grown.db"
    draw = random.Random(2026)  # which entries are proved
    found: list[Grown] = []
    size = 0
    for wanted in sizes:
        began_size, began = size, time.perf_counter()
        store = open_store(place)
        writer = Writer(store, books.ORIGIN, books.LEDGER_KEY)
        while size < wanted:
            left = min(wanted - size, BATCH * BATCHES)
            batches = [_records(min(BATCH, left - start)) for start in range(0, left, BATCH)]
            writer.commit(batches)
            size += left
        filled_s = time.perf_counter() - began
        append_us = _median_us(functools.partial(_append, writer))
        size = writer.head.size
        writer.close()
        reading = LedgerReading(Sequencer(writer), store, "midshire")
        proof_us = _median_us(functools.partial(_prove, reading, draw, size))
        store.close()
        restarts = []
        for _ in range(3):
            began = time.perf_counter()
            again = open_store(place)
            Writer(again, books.ORIGIN, books.LEDGER_KEY).close()
            restarts.append(time.perf_counter() - began)
            again.close()
        files = (place.with_name(f"{place.name}{end}") for end in ("", "-wal"))
        first = found[0] if found else None
        restart_ms = statistics.median(restarts) * 1e3
        found.append(
            Grown(
                entries=wanted,
                filled_per_s=(wanted - began_size) / filled_s,
                append_us=append_us,
                proof_us=proof_us,
                restart_ms=restart_ms,
                megabytes=sum(file.stat().st_size for file in files if file.exists()) / 1e6,
                append=append_us / first.append_us if first else 1.0,
                proof=proof_us / first.proof_us if first else 1.0,
                restart=restart_ms / first.restart_ms if first else 1.0,
            )
        )
        said(f"ledger of {wanted:,} entries")
    return found


def _claimed(asked: Asked, rules: decide.Rules) -> Asked:
    """The question with what the catalogue claims towards each agency, as an asking side fills it in."""
    core, part = asked.statement.core, asked.statement.broker_part
    targets = []
    for target in part.targets:
        claim = rules.catalogue.claim(core.question, core.purpose, core.agency, target.agency)
        if claim is None:
            raise RuntimeError("the catalogue claims nothing here")
        targets.append(Target(target.agency, *astuple(claim)))
    return replace(
        asked, statement=replace(asked.statement, broker_part=replace(part, targets=tuple(targets), assertions=STATED))
    )


async def agreements(
    folder: Path, sizes: Sequence[int] = AGREEMENTS, said: Callable[[str], None] = print
) -> list[Decided]:
    """Decide among more and more agreements.

    Raises:
        RuntimeError: The agreement did not carry the question: the figures would mean nothing.
    """
    here = await books.open_books(folder / "agreed.db")
    rules = decide.load(worded.shipped(), Regorus)
    found: list[Decided] = []
    number = 0

    def facts(asked: Asked) -> decide.Facts:
        today, touched = here.questions.budgets(asked)
        return decide.Facts(here.agreements.for_policy(asked), "fresh", today, touched)

    decider = decide.Decider(lambda: rules, facts, new_id)

    async def give(one: int) -> tuple[str, bytes]:
        tag = one.to_bytes(16, "big")
        made = books.agreement((tag,))
        await here.agreements.record(books.WORKER, made, books.signed_agreement(made), ())
        return made.record_id, tag

    try:
        for wanted in sizes:
            known: list[tuple[str, bytes]] = []
            while number < wanted:
                more = range(number, min(number + 128, wanted))
                known = list(await asyncio.gather(*(give(one) for one in more)))
                number += len(more)
            taken = []
            for one in range(OFTEN):
                record_id, tag = known[one % len(known)]
                asked = _claimed(books.asked(rely_on=[record_id], tags=[tag]), rules)
                began = time.perf_counter()
                decided = await decider.decide(asked)
                taken.append(time.perf_counter() - began)
                if not isinstance(decided, Permit):
                    codes = {denial.code for word in decided.decision.by_target.values() for denial in word.denials}
                    raise RuntimeError(f"an agreement did not carry its question: {sorted(codes)}")
            median_us = statistics.median(taken) * 1e6
            found.append(Decided(wanted, median_us, median_us / found[0].decision_us if found else 1.0))
            said(f"{wanted:,} agreements")
    finally:
        rules.engine.close()
        await here.close()
    return found


def table(entries: Sequence[Grown], decisions: Sequence[Decided]) -> list[Table]:
    """Both, a size a line."""
    first = Table(box=None, pad_edge=False)
    for heading in ("Ledger entries", "Filled, a second", "Append", "x", "Proof", "x", "Restart", "x", "On disk"):
        first.add_column(heading, justify="right")
    for one in entries:
        first.add_row(
            *(f"{one.entries:,}", f"{one.filled_per_s:,.0f}"),
            *(f"{one.append_us:,.0f} µs", f"{one.append:.2f}", f"{one.proof_us:,.0f} µs", f"{one.proof:.2f}"),
            *(f"{one.restart_ms:,.0f} ms", f"{one.restart:.2f}", f"{one.megabytes:,.0f} MB"),
        )
    second = Table(box=None, pad_edge=False)
    for heading in ("Agreements", "Decision", "x"):
        second.add_column(heading, justify="right")
    for each in decisions:
        second.add_row(f"{each.agreements:,}", f"{each.decision_us:,.0f} µs", f"{each.ratio:.2f}")
    return [first, second]
