"""Rules that change, refuse or are switched off while questions are on their way.

The broker's own pipeline, ledger and dispatch, with nodes that count what reaches them.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from accord import answer as answers
from accord.canonical import decode_object
from broker.ask import Heard, ask, nobody_listens
from broker.decide import Decider, Facts, load
from broker.dispatch import Dispatcher
from broker.engines.regorus import Regorus
from broker.release import compose
from broker.sessions import Sessions
from broker.stages import ANSWERED, Answers, Asked, Opened, Permit, Refusal, Reply
from broker.store import tree
from deploy.demo import county
from tests.world import hostile, trust
from tests.world import ledger as books_world
from tests.world import stack as worlds
from tests.world.ledger import CATALOGUE, REVISION, Books, asked, decision, open_books
from tests.world.nodes import NoHeads, SimulatedNodes
from tests.world.rules import shipped

SEED: Final = 20_261_122
OTHER: Final = "99" * 32
TARGETS: Final = ("housing", "police", "social-care")
AT_ONCE: Final = 32
PATIENCE_S: Final = 60.0
"""Longest wait for rules and nodes, seconds; it bounds hanging and judges no speed."""
IVO: Final = {
    "first_name": "Ivo",
    "last_name": "Thistlewood",
    "date_of_birth": "2012-10-30",
    "sex": "male",
    "address": "14 Fuller Street",
    "postcode": "MD5 4WN",
    "role": "child",
}


def records(books: Books) -> list[tuple[str, dict[str, Any]]]:
    """Kind and content of every record, in order of the ledger."""
    with books.store.reader.connect() as connection:
        return [(one.kind, dict(decode_object(one.body))) for one in tree.entries(connection, 0, 10**9)]


async def in_turns(count: int, one: Callable[[int], Awaitable[None]], at_once: int = AT_ONCE) -> None:
    """So many of them, a few at a time."""
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await one(number)

    await asyncio.gather(*(worker() for _ in range(at_once)))


# -- T-POL-2 -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Pointer:
    """The rules in force as a process has them in memory; a question reads it once, as `Decider` does."""

    revision: str = REVISION

    async def decide(self, question: Asked) -> Permit:
        return Permit(question, decision(question, revision=self.revision))


class Answering:
    """Nodes that answer after a moment, in which anything may change."""

    def __init__(self, random: Random) -> None:
        self.random = random

    async def dispatch(self, opened: Opened, heard: Heard) -> Answers:
        await asyncio.sleep(self.random.random() * 0.004)
        agencies = sorted(opened.permit.decision.by_target)
        return Answers(opened, tuple(Reply(agency, ANSWERED, b"x" * 2048) for agency in agencies))


@dataclass(slots=True)
class Mixed:
    """What a ledger says of rules and releases.

    Attributes:
        released: Releases.
        mixed: Those that carry other rules than were in force at their place.
        flips: Changes of the rules.
        stopped: Questions refused because the rules changed under way.
    """

    released: int = 0
    mixed: int = 0
    flips: int = 0
    stopped: int = 0


def folded(found: Sequence[tuple[str, dict[str, Any]]]) -> Mixed:
    """Read the ledger from the start, as an auditor would."""
    told, in_force = Mixed(), ""
    for kind, body in found:
        if kind == "POLICY_ACTIVATED":
            in_force = body["policy"]
            told.flips += 1
        elif kind in {"RELEASED", "REPLAYED"}:
            told.released += 1
            told.mixed += body["policy"] != in_force
        elif kind == "REFUSED":
            told.stopped += 1
    return told


@pytest.mark.prove
def test_every_release_carries_the_rules_in_force_at_its_place(tmp_path: Path) -> None:
    """T-POL-2: rules flip under load, before or after the process's own pointer does; no release is of other rules.

    The control: the questions that were stopped for it. Each would have been released under rules that were gone.
    """
    seed = int(os.environ.get("SEED", SEED))
    random = Random(seed)

    async def body() -> Mixed:
        books = await open_books(tmp_path / "broker.db")
        pointer, nodes = Pointer(), Answering(random)

        async def flip() -> None:
            revision = OTHER if pointer.revision == REVISION else REVISION
            if random.random() < 0.5:
                pointer.revision = revision
            await books.questions.activate(revision, CATALOGUE, "trial", b"")
            pointer.revision = revision

        async def one(number: int) -> None:
            if number % 50 == 49:
                await flip()
            # A question that met a change before it was asked fails, and its asker asks again.
            await asyncio.gather(ask(asked(), pointer, books.questions, nodes, compose), return_exceptions=True)

        await in_turns(2_500, one)
        told = folded(records(books))
        await books.close()
        return told

    told = asyncio.run(body())
    print(
        f"T-POL-2 mixed={told.mixed} flips={told.flips} released={told.released} control_stopped={told.stopped} "
        f"seed={seed}"
    )

    assert 0 == told.mixed
    assert told.released >= 1_000
    assert told.flips >= 40
    assert told.stopped > 0


# -- T-POL-3 -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Drawn:
    """Allows and refuses each agency as drawn; remembers what it said."""

    random: Random
    refused: dict[str, set[str]] = field(default_factory=dict)

    async def decide(self, question: Asked) -> Permit | Refusal:
        allow = {agency: self.random.random() < 0.5 for agency in TARGETS}
        self.refused[question.statement.core.query_id] = {agency for agency, yes in allow.items() if not yes}
        made = decision(question, allow)
        return Permit(question, made) if any(allow.values()) else Refusal(question, made)


@pytest.mark.prove
def test_no_refused_agency_hears_of_a_question_and_each_refusal_is_recorded(tmp_path: Path) -> None:
    """T-POL-3: refusals drawn at random, agency by agency; nodes count what reaches them, the ledger what was refused.

    The control: the same count of a dispatch that did not look at the decision.
    """
    seed = int(os.environ.get("SEED", SEED))
    federation = trust.make_federation()
    count = 600

    async def body() -> tuple[int, int, int, int]:
        books = await open_books(tmp_path / "broker.db")
        sessions, nodes = Sessions(), SimulatedNodes(federation, {})
        await nodes.attach(sessions, TARGETS)
        dispatcher = Dispatcher(
            sessions,
            lambda: federation.directory,
            NoHeads(),
            federation.broker.warrant,
            lambda: trust.NOW_NS,
            PATIENCE_S,
        )
        policy = Drawn(Random(seed))
        await in_turns(count, lambda _: _ask(asked(targets=TARGETS), policy, books, dispatcher))
        heard = [(one.core.query_id, one.agency) for one in nodes.heard]
        called = sum(agency in policy.refused[query_id] for query_id, agency in heard)
        told = {
            (body["query_id"], row["agency"])
            for kind, body in records(books)
            if kind in {"RELEASED", "REFUSED"}
            for row in body["rows"]
            if row["delivery"] == "REFUSED"
        }
        refused = {(query_id, agency) for query_id, agencies in policy.refused.items() for agency in agencies}
        # A dispatch that did not look: everything allowed.
        question = asked(targets=TARGETS)
        opened = await books.questions.open_entry(Permit(question, decision(question)))
        before = len(nodes.heard)
        await dispatcher.dispatch(opened, nobody_listens)
        control = len(nodes.heard) - before
        await nodes.close()
        await books.close()
        return called, len(refused - told), len(refused), control

    called, unrecorded, refused, control = asyncio.run(body())
    print(
        f"T-POL-3 calls_after_refusal={called} unrecorded_refusals={unrecorded} of {refused} questions={count} "
        f"control_calls={control} seed={seed}"
    )

    assert (0, 0, len(TARGETS)) == (called, unrecorded, control)
    assert refused >= count


async def _ask(question: Asked, policy: Any, books: Books, nodes: Any) -> None:
    await ask(question, policy, books.questions, nodes, compose)


# -- T-POL-4 -----------------------------------------------------------------------------------------------------------


class Open:
    """A node's rules, switched off: whatever comes is allowed."""

    def __init__(self, rules: Any) -> None:
        self.revision = rules.revision
        self.catalogue = rules.catalogue

    async def before(self, admitted: object) -> str:
        return ""

    async def after(self, admitted: object, opened: object) -> str:
        return ""


@pytest.mark.prove
def test_the_brokers_rules_alone_can_say_no(tmp_path: Path) -> None:
    """T-POL-4: the shipped rules refuse what has no agreement; with nodes that would answer anything, nobody is asked.

    The control: the same nodes answer where the rules let a question go.
    """
    count = 1_213
    federation = trust.make_federation(agencies=county.AGENCIES)
    rules = load(shipped(), lambda bundle: Regorus(bundle, timeout_s=PATIENCE_S))

    async def body() -> tuple[Counter[str], int, int]:
        books = await open_books(tmp_path / "broker.db")
        sessions, nodes = Sessions(), SimulatedNodes(federation, {})
        await nodes.attach(sessions, county.AGENCIES)
        dispatcher = Dispatcher(
            sessions,
            lambda: federation.directory,
            NoHeads(),
            federation.broker.warrant,
            lambda: trust.NOW_NS,
            PATIENCE_S,
        )
        policy = Decider(lambda: rules, lambda question: Facts((), "fresh"), books_world.uuid)
        rows: Counter[str] = Counter()

        async def one(_: int) -> None:
            question = asked(targets=county.AGENCIES)
            released = await ask(question, policy, books.questions, dispatcher, compose)
            rows.update(row.delivery for row in released.rows)

        # No more at once than the engine decides well within its deadline, also on a busy machine.
        await in_turns(count, one, 2)
        heard = len(nodes.heard)
        await _ask(asked(targets=county.AGENCIES), Pointer(), books, dispatcher)
        control = len(nodes.heard) - heard
        await nodes.close()
        await books.close()
        return rows, heard, control

    rows, heard, control = asyncio.run(body())
    rules.engine.close()
    every = count * len(county.AGENCIES)
    print(f"T-POL-4 answers={rows[ANSWERED] + heard} of {every} (broker's rules alone) control_answers={control}")

    assert {"REFUSED": every} == dict(rows)
    assert (0, len(county.AGENCIES)) == (heard, control)


@pytest.mark.prove
def test_the_nodes_rules_alone_can_say_no(tmp_path: Path) -> None:
    """T-POL-4: a broker without rules warrants everything; the node, which knows the person, says that it cannot say.

    The control: with the node's rules switched off as well, it answers yes.
    """
    count = 300
    question = hostile.question(
        [IVO],
        purpose="early_help",
        need_tier=2,
        significant_harm=False,
        agencies=["police"],
        gateways={"police": "common_law_police"},
    )

    async def body() -> tuple[Counter[str], Counter[str]]:
        home = tmp_path / "homes"
        async with worlds.stack(
            home, {"police": [worlds.held(1, IVO, contacts=[worlds.ago(9)])]}, attach=False
        ) as world:
            broker = hostile.DishonestBroker(world)
            public = world.federation.directory.agency("police").answer
            frames = world.answering["police"].frames

            async def said(times: int) -> Counter[str]:
                found: Counter[str] = Counter()
                for _ in range(times):
                    made, _asker = await hostile.prepared(world, question)
                    stream = await broker.hand("police", await broker.frame(made.request, "police"))
                    found.update(
                        answers.open_answer(one, node="police", answer_public=public).slot("s1").answer
                        for one in stream.answers
                    )
                return found

            strict = await said(count)
            own = frames.node
            frames.node = replace(own, rules=lambda: Open(own.rules()))
            return strict, await said(2)

    strict, control = asyncio.run(body())
    said = strict[answers.YES] + strict[answers.NO]
    print(f"T-POL-4 answers={said} of {count} (node's rules alone) control={dict(control)}")

    assert {answers.CANNOT_SAY: count} == dict(strict)
    assert {answers.YES: 2} == dict(control)
