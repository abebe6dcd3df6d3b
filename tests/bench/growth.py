"""What grows with the years: the ledger, and the agreements that a decision looks among.

Each size is compared with the smallest of the same run. Questions are written by the ledger's only writer, in its own
transactions, with what the state keeps of them; hundreds a transaction, since two hundred thousand one by one would
take hours. The broker that is started on them is the real program, and counts as started when it says SERVING.
"""

import asyncio
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Final

from grpc_health.v1 import health_pb2, health_pb2_grpc
from rich.table import Table
from sqlalchemy import Connection

from accord.statement import Assertions, Target
from agency_node.channel import Identity, dial
from broker import decide
from broker.__main__ import new_id
from broker.engines.regorus import Regorus
from broker.ledger import LedgerReading
from broker.sequencer import Batch, Sequencer, Writer, record
from broker.stages import Asked, Permit
from broker.store import Store, open_store, state, tree
from deploy.demo.processes import Processes
from tests.bench.federation import AGENCIES, ASKER, Started, clean, cpu_s, found
from tests.world import ledger as books
from tests.world import rules as worded
from tests.world import trust

LEDGER: Final = (1_000, 10_000, 100_000, 1_000_000)
AGREEMENTS: Final = (100, 1_000, 10_000)
KINDS: Final = ("ASKED", "DECIDED", "WARRANTED", "ANSWERED", "RELEASED")
"""The records of one question."""
GROUP: Final = 400
"""Questions in a transaction while the ledger is filled."""
STARTS: Final = 3
OFTEN: Final = 60
"""Measurements of each kind at each size."""
_SERVING: Final = health_pb2.HealthCheckResponse.SERVING

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
        filled_per_s: Entries a second while it was filled, in large transactions.
        append_us: One question's five records and its state, durable and signed; median, microseconds.
        proof_us: Inclusion proof of any entry; median, microseconds.
        search_us: Every record of any question; median, microseconds.
        restart_s: From starting the program to SERVING; median, seconds.
        restart_cpu_s: Processor time of its process till then; median, seconds.
        memory_mb: Most memory that it then had (`VmHWM` of proc_pid_status(5)), megabytes.
        megabytes: On the disk.
        append: Against the smallest size; so are the next two.
        search: As `append`.
        restart: As `append`.
    """

    entries: int
    filled_per_s: float
    append_us: float
    proof_us: float
    search_us: float
    restart_s: float
    restart_cpu_s: float
    memory_mb: float
    megabytes: float
    append: float = 1.0
    search: float = 1.0
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


def _question(query_id: str, tag: bytes) -> Batch:
    """Everything that is written for one question."""
    fields = {"agency": "police", "answer": "ab" * 32, "signature": "c" * 86}
    records = tuple(
        record(kind, books.NOW_NS, fields, query_id=query_id, receipted=kind == "RELEASED") for kind in KINDS
    )

    def write(connection: Connection, indices: tuple[int, ...]) -> None:
        state.open_question(
            connection,
            query_id=query_id,
            agency="police",
            user="ab" * 32,
            statement_digest=tag * 2,
            agreements=(),
            asked_index=indices[0],
        )
        state.note_asking(connection, query_id=query_id, user=tag.hex(), at_ns=books.NOW_NS, subjects=[[tag]])
        state.close_question(connection, query_id, indices[-1], "RELEASED", bytes(2_048))

    return Batch(records, write=write)


def _fill(writer: Writer, questions: int, draw: random.Random, number: Callable[[int], str]) -> None:
    done = 0
    while done < questions:
        many = min(GROUP, questions - done)
        writer.commit([_question(number(done + one), draw.randbytes(16)) for one in range(many)])
        done += many


def _number(question: int) -> str:
    return f"01890000-0000-7000-8000-{question:012x}"


def ledger(folder: Path, sizes: Sequence[int] = LEDGER, said: Callable[[str], None] = print) -> list[Grown]:
    """Grow one ledger through these sizes."""
    keys, _ = found(folder, AGENCIES[:1])
    place, origin = folder / "broker" / "broker.db", keys.directory.broker.ledger_origin
    draw = random.Random(2026)  # whom the questions are about, and which are looked at
    grown: list[Grown] = []
    asked = 0
    for wanted in sizes:
        store = open_store(place)
        writer = Writer(store, origin, keys.broker.ledger)
        more = (wanted - writer.head.size) // len(KINDS)
        began = time.perf_counter()
        _fill(writer, more, draw, lambda one, first=asked: _number(first + one))  # type: ignore[misc]  # bound now
        filled_per_s = more * len(KINDS) / (time.perf_counter() - began)
        asked += more
        said(f"ledger filled to {wanted:,} entries, {filled_per_s:,.0f} a second")
        coming = iter(range(asked, asked + OFTEN))
        append_us = _median_us(lambda: writer.commit([_question(_number(next(coming)), draw.randbytes(16))]))  # noqa: B023  # used at once
        asked += OFTEN
        size = writer.head.size
        writer.close()
        reading = LedgerReading(Sequencer(writer), store, keys.name)
        proof_us = _median_us(lambda: reading.inclusion(draw.randrange(size), size))  # noqa: B023  # used at once
        search_us = _median_us(lambda: _search(store, _number(draw.randrange(asked))))  # noqa: B023  # used at once
        store.close()
        starts = [_started(folder, keys) for _ in range(STARTS)]
        files = (place.with_name(f"{place.name}{end}") for end in ("", "-wal"))
        first = grown[0] if grown else None
        restart_s, restart_cpu_s = (statistics.median(one[which] for one in starts) for which in (0, 1))
        grown.append(
            Grown(
                entries=wanted,
                filled_per_s=filled_per_s,
                append_us=append_us,
                proof_us=proof_us,
                search_us=search_us,
                restart_s=restart_s,
                restart_cpu_s=restart_cpu_s,
                memory_mb=max(memory for _, _, memory in starts),
                megabytes=sum(file.stat().st_size for file in files if file.exists()) / 1e6,
                append=append_us / first.append_us if first else 1.0,
                search=search_us / first.search_us if first else 1.0,
                restart=restart_s / first.restart_s if first else 1.0,
            )
        )
        memory = f"{grown[-1].memory_mb:.0f} MB"
        said(f"a broker on {wanted:,}: SERVING after {restart_s:.2f} s ({restart_cpu_s:.2f} s computing), {memory}")
    return grown


def _search(store: Store, query_id: str) -> None:
    with store.reading() as connection:
        if len(tree.entries_of(connection, query_id)) != len(KINDS):
            raise RuntimeError("a question lacks records: these figures would mean nothing")


def _started(folder: Path, keys: trust.Federation) -> tuple[float, float, float]:
    """Start the broker and stop it again: seconds till it said SERVING, of them computing, and megabytes."""
    started = Started(folder, keys.name)
    (folder / "broker.log").unlink(missing_ok=True)
    with Processes(folder, clean()) as started.processes:
        began = time.perf_counter()
        started.broker("broker", "")
        address = started.listening("broker")["listening_on"]
        asyncio.run(_serving(address, keys))
        seconds = time.perf_counter() - began
        pid = started.processes.pid("broker")
        computing_s, status = cpu_s(pid), Path(f"/proc/{pid}/status").read_text("ascii")
    (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return seconds, computing_s, int(peak) / 1_000


async def _serving(address: str, keys: trust.Federation) -> None:
    own = keys.agencies[ASKER].channel
    async with dial(address, Identity(own.key_pem, own.certificate_pem, keys.ca_pem)) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        while (await check(health_pb2.HealthCheckRequest(), timeout=5.0)).status != _SERVING:
            await asyncio.sleep(0.01)


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
    made_of: list[Decided] = []
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
            made_of.append(Decided(wanted, median_us, median_us / made_of[0].decision_us if made_of else 1.0))
            said(f"{wanted:,} agreements")
    finally:
        rules.engine.close()
        await here.close()
    return made_of


def table(entries: Sequence[Grown], decisions: Sequence[Decided]) -> list[Table]:
    """Both, a size a line."""
    first = Table(box=None, pad_edge=False)
    for heading in (
        *("Ledger entries", "Filled, a second", "Append", "x", "Proof", "Search", "x"),
        *("SERVING after", "x", "CPU of it", "Memory", "On disk"),
    ):
        first.add_column(heading, justify="right")
    for one in entries:
        first.add_row(
            *(f"{one.entries:,}", f"{one.filled_per_s:,.0f}"),
            *(f"{one.append_us:,.0f} µs", f"{one.append:.2f}", f"{one.proof_us:,.0f} µs"),
            *(f"{one.search_us:,.0f} µs", f"{one.search:.2f}", f"{one.restart_s:.2f} s", f"{one.restart:.2f}"),
            *(f"{one.restart_cpu_s:.2f} s", f"{one.memory_mb:,.0f} MB", f"{one.megabytes:,.0f} MB"),
        )
    second = Table(box=None, pad_edge=False)
    for heading in ("Agreements", "Decision", "x"):
        second.add_column(heading, justify="right")
    for each in decisions:
        second.add_row(f"{each.agreements:,}", f"{each.decision_us:,.0f} µs", f"{each.ratio:.2f}")
    return [first, second]
