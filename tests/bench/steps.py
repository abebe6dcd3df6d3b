"""What each step of a question costs on this machine, one after the other.

Every step is the product's own code on invented people. What shares this process (three nodes, broker, steward and
asker) shares its cores too, so a real question, spread over machines, waits less for others and more for the network.
"""

import asyncio
import json
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from rich.table import Table

from accord import receipt
from accord.canonical import sha256
from accord.identity import describe, match_keys
from accord.linkage import FamilyKey, blind, finalise, tag
from accord.sealing import Slot, open_envelope, open_slot, seal_envelope
from agency_node import asking
from agency_node.cli import people as typed
from broker import decide
from broker.engines.regorus import Regorus
from tests.world import ledger as books
from tests.world import rules as worded
from tests.world import stack as worlds

LIMIT_S: Final = 6.0
"""Longest time for one step."""
WHOLE: Final = "whole question, 2 agencies, 1 person"
QUERY: Final = "01934f4e-0000-7000-8000-000000000001"
CHILD: Final = {
    "first_name": "Jamie",
    "middle_names": "Alan",
    "last_name": "Thorley",
    "date_of_birth": "2013-03-09",
    "sex": "m",
    "address": "Flat 3, 14 Larkspur Rise",
    "postcode": "MD4 7QT",
}
QUESTION: Final = {
    "question": "agency.contact",
    "purpose": "s47_enquiry",
    "case": "CF-1042",
    "need_tier": 4,
    "significant_harm": True,
    "necessity": "assess_risk",
    "people": [CHILD | {"role": "child"}],
}


@dataclass(frozen=True, slots=True)
class Measured:
    """One step.

    Attributes:
        step: What was done.
        runs: How often.
        median_us: Half of the runs took no longer, microseconds.
        p95_us: Nineteen of twenty took no longer, microseconds.
    """

    step: str
    runs: int
    median_us: float
    p95_us: float


def measured(step: str, taken_s: list[float]) -> Measured:
    """The figures of a step from the seconds of its runs."""
    ordered = sorted(taken_s)
    p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    return Measured(step, len(ordered), statistics.median(ordered) * 1e6, p95 * 1e6)


def often(step: str, work: Callable[[], object], runs: int) -> Measured:
    """Do something so many times, no longer than LIMIT_S; the first run, which warms caches, does not count."""
    work()
    taken: list[float] = []
    until = time.perf_counter() + LIMIT_S
    while len(taken) < runs and time.perf_counter() < until:
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return measured(step, taken)


async def often_async(step: str, work: Callable[[], Awaitable[object]], runs: int) -> Measured:
    """As `often`, for something that is awaited."""
    await work()
    taken: list[float] = []
    until = time.perf_counter() + LIMIT_S
    while len(taken) < runs and time.perf_counter() < until:
        began = time.perf_counter()
        await work()
        taken.append(time.perf_counter() - began)
    return measured(step, taken)


def disk(folder: Path, runs: int) -> Measured:
    """One page written and confirmed by the disk."""
    with (folder / "page").open("wb") as file:

        def write() -> None:
            os.pwrite(file.fileno(), os.urandom(4_096), 0)
            os.fsync(file.fileno())

        return often("disk: 4 KiB written and confirmed", write, runs)


def linkage(runs: int) -> Iterator[Measured]:
    """From a description to tokens, at the asker and at a key server."""
    person = describe(**CHILD)
    inputs = [key.input for key in match_keys(person)]
    keys = [key.family for key in match_keys(person)]
    servers = {family: FamilyKey(b"b" * 32, "2026-1", family) for family in keys}
    yield often("asker: normalise one person, make match keys", lambda: match_keys(describe(**CHILD)), runs)
    yield often(f"asker: blind one person ({len(inputs)} keys)", lambda: blind(inputs), runs)
    blinding, blinded = blind([inputs[0]])
    evaluated, proof = servers[keys[0]].evaluate(blinded)
    public = servers[keys[0]].public
    yield often("key server: one key, with proof", lambda: servers[keys[0]].evaluate(blinded), runs)
    yield often("asker: check proof, finish one token", lambda: finalise(blinding, evaluated, proof, public), runs)


def sealing(runs: int) -> Iterator[Measured]:
    """Envelopes for one agency."""
    private = X25519PrivateKey.generate()
    public, core = private.public_key().public_bytes_raw(), sha256(b"core")
    tokens = [os.urandom(64) for _ in range(30)]

    def seal(people: int) -> bytes:
        slots = [Slot([os.urandom(64) for _ in tokens] if number else tokens, b"{}") for number in range(people)]
        return seal_envelope(slots, node_id="police", query_id=QUERY, core_digest=core, public=public)

    yield often("asker: seal for one agency, 1 person", lambda: seal(1), runs)
    yield often("asker: seal for one agency, 4 people", lambda: seal(4), runs)
    sealed = seal(1)
    index = {tag(token, "police"): [token] for token in tokens}
    yield often("node: open an envelope", lambda: open_envelope(sealed, private=private, core_digest=core), runs)
    slots = open_envelope(sealed, private=private, core_digest=core)
    yield often(
        "node: find and open a slot",
        lambda: [open_slot(slot, index, node_id="police", query_id=QUERY, core_digest=core) for slot in slots],
        runs,
    )


async def deciding(runs: int) -> Measured:
    """The broker's decision on a question to two agencies, by the embedded engine."""
    rules = decide.load(worded.shipped(), Regorus)
    document = json.dumps(worded.example("s47_enquiry")).encode()
    targets = worded.broker_part("s47_enquiry").targets
    try:
        return await often_async(
            "broker: decide by the rules, 2 agencies", lambda: decide.decide(rules, document, targets, QUERY), runs
        )
    finally:
        rules.engine.close()


async def recording(folder: Path, runs: int) -> list[Measured]:
    """Questions put on the broker's ledger, durable before they count; and a receipt checked."""
    here = await books.open_books(folder / "ledger.db")
    last: list[tuple[str, bytes]] = []

    async def one() -> None:
        released = await here.questions.refuse(books.refusal(books.asked()))
        last[:] = [(released.receipt, released.record)]

    async def many(number: int) -> None:
        await asyncio.gather(*(one() for _ in range(number)))

    try:
        alone = await often_async("broker: record a question, alone", one, runs)
        together = await often_async("broker: record 32 questions at once", lambda: many(32), max(runs // 8, 3))
        shared = Measured(
            "broker: record a question, 32 at once", together.runs, together.median_us / 32, together.p95_us / 32
        )
        text, body = last[0]
        checking = often(
            "asker: check a receipt", lambda: receipt.check(text, body, books.ORIGIN, books.LEDGER_PUBLIC), runs
        )
    finally:
        await here.close()
    return [alone, shared, checking]


async def whole(folder: Path, runs: int) -> list[Measured]:
    """Whole questions: broker, steward, three nodes and the asking side in this process, over mutual TLS."""
    known = {"police": [worlds.held(1, CHILD, contacts=[worlds.ago(20)])]}
    async with worlds.stack(folder, known) as world:

        async def ask() -> None:
            outcome = await world.ask("social-care", QUESTION)
            if outcome.answered != 2:
                raise SystemExit("a question was not answered: these figures would mean nothing")

        inquiry, _ = typed.inquiry(QUESTION)
        async with world.desk("social-care") as desk:
            tokens = await often_async(
                "asker and both key servers: tokens of one person",
                lambda: asking.tokenise(desk.asker, inquiry.people),
                runs,
            )
        found = [tokens, await often_async(WHOLE, ask, runs)]

        async def eight() -> None:
            await asyncio.gather(*(ask() for _ in range(8)))

        together = await often_async("eight", eight, max(runs // 8, 2))
        found.append(
            Measured("whole question, 8 at once, each", together.runs, together.median_us / 8, together.p95_us / 8)
        )
    return found


def steps(folder: Path, runs: int) -> list[Measured]:
    """Every step, the disk first.

    Args:
        folder: An empty one, on the disk whose speed counts.
        runs: Most runs of a step.
    """
    (folder / "federation").mkdir()
    found = [disk(folder, runs), *linkage(runs), *sealing(runs), asyncio.run(deciding(runs))]
    found += asyncio.run(recording(folder, runs))
    return found + asyncio.run(whole(folder / "federation", max(runs // 4, 3)))


def table(found: Sequence[Measured]) -> Table:
    """The steps, each beside a whole question and beside one write to the disk."""
    rows = Table(box=None, pad_edge=False)
    for heading in ("Step", "Runs", "Median", "95 in 100 within", "Of a question", "Disk writes"):
        rows.add_column(heading, justify="left" if heading == "Step" else "right")
    question = of_whole(found)
    for one in found:
        rows.add_row(
            *(one.step, str(one.runs), _time(one.median_us), _time(one.p95_us)),
            *(f"{one.median_us / question.median_us:.2%}", f"{one.median_us / found[0].median_us:.1f}"),
        )
    return rows


def of_whole(found: Sequence[Measured]) -> Measured:
    """The step that is a whole question."""
    return next(one for one in found if one.step == WHOLE)


def _time(us: float) -> str:
    return f"{us:,.0f} µs" if us < 10_000 else f"{us / 1_000:,.1f} ms"
