"""Clocks that are wrong, and clocks that are set under way: nothing expired passes, and the ledger keeps its order.

Every part is handed its clock, so a clock is set here by adding to it; the machine's own is never touched.
"""

import asyncio
import contextlib
import itertools
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from accord.canonical import decode_object
from accord.reasons import Problem
from accord.v1 import broker_pb2
from accord.warrant import LEEWAY_S, WARRANT_LIFE_S
from broker import fsck
from broker.store import open_for_reading
from tests.world import hostile
from tests.world import stack as worlds

SEED: Final = 20_261_122
NS: Final = 1_000_000_000
ASK: Final = "police"
SKEWS_S: Final = (-3_600, -30, -5, -1, 0, 1, 5, 30, 3_600)
AGES_S: Final = (0, 1, 4, 6, 15, 29, 31, 33, 37, 40, 64, 66, 90, 3_595, 3_600, 3_634, 3_636)
"""How long a warrant was on its way, seconds: on both sides of its life, of the leeway, and of each of them skewed."""
INA: Final = {
    "first_name": "Ina",
    "last_name": "Copperfold",
    "date_of_birth": "2013-05-21",
    "sex": "female",
    "address": "17 Tannery Row",
    "postcode": "MD3 9LM",
    "role": "child",
}


@dataclass(slots=True)
class Hands:
    """A clock that is set by hand."""

    set_by_s: float = 0.0

    def __call__(self) -> int:
        return time.time_ns() + round(self.set_by_s * NS)


# -- Skew --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cell:
    """One warrant, minted by one clock and shown to another.

    Attributes:
        skew_s: How far the node's clock is ahead of the broker's.
        age_s: How long the warrant was on its way.
        answered: Whether the node answered.
    """

    skew_s: int
    age_s: int
    answered: bool

    @property
    def expired(self) -> bool:
        """Whether it has run out by the node's own clock, the one by which a node can go."""
        return self.age_s + self.skew_s >= WARRANT_LIFE_S + LEEWAY_S

    @property
    def overdue(self) -> bool:
        """Whether it is older than its life, the leeway and the skew together can explain."""
        return self.age_s > WARRANT_LIFE_S + LEEWAY_S + abs(self.skew_s)


async def skewed(world: worlds.World, skews_s: Sequence[int], stuck_s: int = 0) -> list[Cell]:
    """Every skew with every age.

    Args:
        world: The nodes are not attached.
        skews_s: How far the node's clock is ahead.
        stuck_s: For how long it stands still while the warrant is on its way: a broken clock, for the control.
    """
    broker = hostile.DishonestBroker(world)
    cells = []
    for skew_s in skews_s:
        for age_s in AGES_S:
            made, _ = await hostile.prepared(world, hostile.question([INA], agencies=[ASK]))
            now_s = world.now_ns() // NS
            token = broker.warrant(made.request, now_s=now_s - age_s)
            frame = await broker.frame(made.request, ASK, token=token)
            stream = await broker.hand(ASK, frame, clock_s=skew_s - stuck_s)
            cells.append(Cell(skew_s, age_s, bool(stream.answers)))
    return cells


@pytest.mark.prove
def test_no_skew_admits_an_expired_warrant(tmp_path: Path) -> None:
    """T-OPS-2: with either clock ahead by up to an hour; the control is a node whose clock stands still."""
    records = {ASK: [worlds.held(1, INA, contacts=[worlds.ago(12)])]}

    async def both() -> tuple[list[Cell], list[Cell]]:
        async with worlds.stack(tmp_path / "homes", records, attach=False) as world:
            return await skewed(world, SKEWS_S), await skewed(world, (0,), stuck_s=30)

    cells, stuck = asyncio.run(both())
    expired = [one for one in cells if one.answered and (one.expired or one.overdue)]
    control = [one for one in stuck if one.answered and (one.expired or one.overdue)]
    lived = {
        skew_s: max((one.age_s for one in cells if one.answered and one.skew_s == skew_s), default=-1)
        for skew_s in SKEWS_S
    }
    print(
        f"T-OPS-2 expired_accepted={len(expired)} of {len(cells)} control_expired_accepted={len(control)} "
        f"oldest_answered_s={lived} by skew, -1 where none"
    )

    assert [] == expired
    assert {(0, True), (1, True), (29, True), (37, False)} <= {
        (one.age_s, one.answered) for one in cells if one.skew_s == 0
    }
    assert len(control) > 0


# -- Steps -------------------------------------------------------------------------------------------------------------


STEPS_S: Final = (1, -1, 5, -5, 30, -30, 3_600, -3_600)


@dataclass(slots=True)
class Run:
    """What a run under stepping clocks left behind.

    Attributes:
        asked: Numbers of the questions that were asked, in the order in which their asker asked them.
        outcomes: What the asker was told, and how often.
        steps: Party -> steps made, milliseconds.
        records: Party -> its ledger.
        findings: What a check of the broker's whole ledger found wrong.
    """

    asked: list[str]
    outcomes: Counter[str]
    steps: dict[str, list[int]]
    records: dict[str, list[dict[str, Any]]]
    findings: tuple[fsck.Finding, ...]


async def stepping(home: Path, random: Random) -> Run:
    """Set the clocks of the broker and of a node forwards and back while questions are asked one after the other."""
    hands = {"broker": Hands(), ASK: Hands()}
    records = {ASK: [worlds.held(1, INA, contacts=[worlds.ago(12)])]}
    run = Run([], Counter(), {party: [] for party in hands}, {}, ())
    async with worlds.stack(home, records, clocks=hands) as world:
        question = hostile.question([INA], agencies=[ASK])
        for party, by_s in random.sample([(party, by_s) for party in hands for by_s in STEPS_S], 2 * len(STEPS_S)):
            # Out and back: both are steps, and in between questions are asked under the wrong time.
            for set_by_s in (by_s, 0):
                step_ms = round((set_by_s - hands[party].set_by_s) * 1_000)
                hands[party].set_by_s = set_by_s
                run.steps[party].append(step_ms)
                await ask(world, question, run)
                await until_recorded(world, party, len(run.steps[party]))
        run.records = {"broker": world.broker_records(), ASK: world.node_records(ASK)}
        store = open_for_reading(world.broker.database)
        with contextlib.closing(store):
            broker = world.federation.directory.broker
            run.findings = fsck.verify(store, broker.ledger_origin, broker.ledger_key, running=True).findings
    return run


async def ask(world: worlds.World, question: dict[str, Any], run: Run) -> None:
    """Ask, and count what the asker is told."""
    before = len(world.requests)
    try:
        outcome = await world.ask("social-care", question)
    except Problem as problem:
        run.outcomes[problem.reason] += 1
        return
    finally:
        run.asked += [asked_in(request) for request in world.requests[before:]]
    (agency,) = outcome.agencies
    run.outcomes[" ".join([agency.delivery, *(one.answer for one in agency.answers)])] += 1


def asked_in(request: bytes) -> str:
    """The number of the question that an asker sent."""
    return str(decode_object(broker_pb2.AskRequest.FromString(request).core)["query_id"])


async def until_recorded(world: worlds.World, party: str, count: int) -> None:
    """Wait till a party's ledger has as many steps; a node looks whenever a frame comes."""

    def recorded() -> bool:
        records = world.broker_records() if party == "broker" else world.node_records(party)
        return len(steps_in(records)) >= count

    if party != "broker":
        world.answering[party].frames.note_clock()
    await world.until(recorded)


def steps_in(records: Sequence[dict[str, Any]]) -> list[int]:
    """The steps that a ledger holds, milliseconds."""
    return [one["by_ms"] for one in records if one["kind"] == "CLOCK_STEP"]


def out_of_order(asked: Sequence[str], records: Sequence[dict[str, Any]]) -> int:
    """How many questions stand in these records before one that was asked earlier."""
    places = [asked.index(one["query_id"]) for one in records if one["kind"] == "ASKED"]
    return sum(later < earlier for earlier, later in itertools.pairwise(places))


def alike(made: Sequence[int], recorded: Sequence[int]) -> int:
    """How many steps were recorded as they were made, to a twentieth of a second."""
    return sum(abs(one - other) <= 50 for one, other in zip(made, recorded, strict=False))


@pytest.mark.prove
def test_a_clock_that_is_set_under_way_reorders_nothing_and_is_recorded(tmp_path: Path) -> None:
    """T-OPS-2: sixteen times out and back, at the broker and at a node; the control orders by the records' times."""
    seed = int(os.environ.get("SEED", SEED))

    run = asyncio.run(stepping(tmp_path / "homes", Random(seed)))
    ledger = run.records["broker"]
    violations = out_of_order(run.asked, ledger) + len(run.findings)
    control = out_of_order(run.asked, sorted(ledger, key=lambda one: str(one["at"])))
    made = sum(map(len, run.steps.values()))
    recorded = sum(alike(run.steps[party], steps_in(run.records[party])) for party in run.steps)
    print(
        f"T-OPS-2 order_violations={violations} of {len(run.asked)} control_by_time={control} "
        f"clock_steps_recorded={recorded}/{made} outcomes={dict(run.outcomes)} seed={seed}"
    )

    assert (0, made) == (violations, recorded)
    assert made == sum(len(steps_in(records)) for records in run.records.values())
    assert control > 0
    # Somebody who is known is denied by no clock.
    assert 0 == sum(count for told, count in run.outcomes.items() if told.endswith(" NO"))
    assert run.outcomes["ANSWERED YES"] >= len(STEPS_S)


def test_a_step_between_two_questions_stands_before_the_second(tmp_path: Path) -> None:
    """T-OPS-2: at the node, the record that says so comes before the first record whose time it concerns."""
    hands = {ASK: Hands()}
    records = {ASK: [worlds.held(1, INA, contacts=[worlds.ago(12)])]}

    async def two() -> list[str]:
        async with worlds.stack(tmp_path / "homes", records, clocks=hands) as world:
            question = hostile.question([INA], agencies=[ASK])
            await world.ask("social-care", question)
            start = len(world.node_records(ASK))
            hands[ASK].set_by_s = 3.0
            await world.ask("social-care", question)
            return [one["kind"] for one in world.node_records(ASK, start)]

    kinds = asyncio.run(two())

    assert ["CLOCK_STEP", "COSIGNED", "RECEIVED", "ANSWERED"] == kinds
