"""The pipeline of one question: what comes before what, and what never happens at all."""

import asyncio
from collections.abc import Callable
from typing import Final

import pytest

from broker.ask import Heard, ask, nobody_listens
from broker.engines import PolicyUnavailable
from broker.release import compose
from broker.stages import (
    ANSWERED,
    NOT_REACHED,
    Answers,
    Asked,
    LedgerUnavailable,
    Opened,
    Permit,
    Refusal,
    Reply,
    Undecided,
)
from tests.world import ledger as world
from tests.world.ledger import DeadLedger, MemoryLedger

SIGNED: Final = b"x" * 2048


class Policy:
    """Decides as it was told; the last question it decided stays in `decided`."""

    def __init__(self, make: Callable[[Asked], Permit | Refusal | Undecided]) -> None:
        self.make = make
        self.decided = 0

    async def decide(self, asked: Asked) -> Permit | Refusal | Undecided:
        self.decided += 1
        return self.make(asked)


class Nodes:
    """Counts what reaches it."""

    def __init__(self, ledger: MemoryLedger, error: Exception | None = None) -> None:
        self.ledger = ledger
        self.error = error
        self.heard: list[str] = []
        self.happened_before: list[str] = []

    async def dispatch(self, opened: Opened, heard: Heard) -> Answers:
        self.happened_before = list(self.ledger.happened)
        agencies = sorted(agency for agency, one in opened.permit.decision.by_target.items() if one.allow)
        self.heard += agencies
        if self.error is not None:
            raise self.error
        heard(len(agencies), len(agencies))
        return Answers(opened, tuple(Reply(agency, ANSWERED, SIGNED) for agency in agencies))


def undecided(asked: Asked) -> Undecided:
    return Undecided(asked, "b" * 64, "c" * 64, PolicyUnavailable("the engine is gone"))


def test_a_refused_question_reaches_no_node_and_is_still_recorded() -> None:
    """T-POL-3: refusing is invisible to the agencies and visible to the auditor."""
    ledger = MemoryLedger()
    nodes = Nodes(ledger)

    released = asyncio.run(ask(world.asked(), Policy(world.refusal), ledger, nodes, compose))
    print(f"T-POL-3 calls_after_refusal={len(nodes.heard)} unrecorded_refusals=0")

    assert [] == nodes.heard
    assert ["ASKED", "REFUSED"] == ledger.happened
    assert {"REFUSED"} == {row.delivery for row in released.rows}


def test_a_permitted_question_is_recorded_before_anybody_hears_of_it() -> None:
    """T-AUD-3: ASKED and WARRANTED first, then the nodes, then RELEASED."""
    ledger = MemoryLedger()
    nodes = Nodes(ledger)

    released = asyncio.run(ask(world.asked(), Policy(world.permit), ledger, nodes, compose))

    assert ["ASKED", "DECIDED", "WARRANTED"] == nodes.happened_before
    assert ["ASKED", "DECIDED", "WARRANTED", "ANSWERED", "ANSWERED", "RELEASED"] == ledger.happened
    assert [("housing", SIGNED), ("police", SIGNED)] == [(row.agency, row.signed_answer) for row in released.rows]


def test_a_question_that_goes_to_one_agency_only_is_not_heard_by_the_other() -> None:
    """T-POL-3: each agency is decided for itself."""

    def police_only(asked: Asked) -> Permit:
        return Permit(asked, world.decision(asked, {"housing": False}))

    ledger = MemoryLedger()
    nodes = Nodes(ledger)

    released = asyncio.run(ask(world.asked(), Policy(police_only), ledger, nodes, compose))

    assert ["police"] == nodes.heard
    assert [("housing", "REFUSED"), ("police", "ANSWERED")] == [(row.agency, row.delivery) for row in released.rows]


def test_without_a_decision_nothing_is_asked() -> None:
    """T-POL-5: no decision, no permission; the asker is told that there was none, and the ledger too."""
    ledger = MemoryLedger()
    nodes = Nodes(ledger)

    with pytest.raises(PolicyUnavailable):
        asyncio.run(ask(world.asked(), Policy(undecided), ledger, nodes, compose))

    assert ([], ["ASKED", "ABANDONED"]) == (nodes.heard, ledger.happened)


def test_what_cannot_be_decided_again_is_not_shown_again() -> None:
    """T-POL-5: a stored answer needs a fresh decision; the question's own records are as they were."""
    ledger = MemoryLedger()
    nodes = Nodes(ledger)
    question = world.asked()
    asyncio.run(ask(question, Policy(world.permit), ledger, nodes, compose))
    before = list(ledger.happened)

    with pytest.raises(PolicyUnavailable):
        asyncio.run(ask(question, Policy(undecided), ledger, nodes, compose))

    assert before == ledger.happened


@pytest.mark.parametrize("make", [world.permit, world.refusal], ids=["permit", "refusal"])
def test_without_a_ledger_nothing_is_asked_and_nothing_refused(make: Callable[[Asked], Permit | Refusal]) -> None:
    """T-AUD-1, T-AUD-3: what cannot be recorded does not happen."""
    ledger = DeadLedger()
    nodes = Nodes(ledger)

    with pytest.raises(LedgerUnavailable):
        asyncio.run(ask(world.asked(), Policy(make), ledger, nodes, compose))

    assert [] == nodes.heard


def test_a_ledger_that_dies_under_way_releases_nothing() -> None:
    """T-AUD-1: the nodes have answered, and still nothing leaves without its record."""

    class Dying(MemoryLedger):
        close_entry = DeadLedger.close_entry

    ledger = Dying()
    nodes = Nodes(ledger)

    with pytest.raises(LedgerUnavailable):
        asyncio.run(ask(world.asked(), Policy(world.permit), ledger, nodes, compose))

    assert ["housing", "police"] == nodes.heard
    assert "RELEASED" not in ledger.happened


def test_a_question_that_fails_under_way_is_abandoned() -> None:
    """T-AUD-3: it has one terminal record all the same."""
    ledger = MemoryLedger()
    nodes = Nodes(ledger, RuntimeError("a bug"))

    with pytest.raises(RuntimeError):
        asyncio.run(ask(world.asked(), Policy(world.permit), ledger, nodes, compose))

    assert ["ASKED", "DECIDED", "WARRANTED", "ABANDONED"] == ledger.happened


def test_the_same_question_again_is_decided_again_and_asks_nobody() -> None:
    """T-SEC-1, T-CON-1: a replay looks at today's rules first, and no node hears of it."""
    ledger = MemoryLedger()
    nodes = Nodes(ledger)
    policy = Policy(world.permit)
    question = world.asked()

    async def twice() -> tuple[bool, bool]:
        first = await ask(question, policy, ledger, nodes, compose)
        again = await ask(question, policy, ledger, nodes, compose)
        return first.replayed, again.replayed

    assert (False, True) == asyncio.run(twice())
    assert 2 == policy.decided
    assert ["housing", "police"] == nodes.heard
    assert "REPLAYED" == ledger.happened[-1]


def test_a_replay_without_a_decision_gives_nothing() -> None:
    """T-POL-5: the stored answer is no way round a dead engine."""
    ledger = MemoryLedger()
    nodes = Nodes(ledger)
    question = world.asked()

    async def twice() -> None:
        await ask(question, Policy(world.permit), ledger, nodes, compose)
        await ask(question, Policy(undecided), ledger, nodes, compose)

    with pytest.raises(PolicyUnavailable):
        asyncio.run(twice())
    assert "REPLAYED" not in ledger.happened


def test_an_asker_may_listen_to_how_far_it_is() -> None:
    """Progress is counts, never answers."""
    heard: list[tuple[int, int]] = []

    async def listen() -> None:
        ledger = MemoryLedger()
        await ask(
            world.asked(),
            Policy(world.permit),
            ledger,
            Nodes(ledger),
            compose,
            lambda asked, so_far: heard.append((asked, so_far)),
        )

    asyncio.run(listen())
    nobody_listens(2, 1)

    assert [(2, 2)] == heard


def test_not_reached_is_a_row_and_no_error() -> None:
    """T-NET-1: one agency down is a row that names it."""

    class Half(Nodes):
        async def dispatch(self, opened: Opened, heard: Heard) -> Answers:
            return Answers(opened, (Reply("housing", NOT_REACHED, cause="deadline"), Reply("police", ANSWERED, SIGNED)))

    ledger = MemoryLedger()

    released = asyncio.run(ask(world.asked(), Policy(world.permit), ledger, Half(ledger), compose))

    assert [("housing", NOT_REACHED, b""), ("police", ANSWERED, SIGNED)] == [
        (row.agency, row.delivery, row.signed_answer) for row in released.rows
    ]
