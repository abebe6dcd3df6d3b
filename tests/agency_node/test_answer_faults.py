"""What must not become a no, and what must not leave unrecorded, when something is old, wrong or fails under way."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import Connection, event

from accord import answer as answers
from accord import statement, warrant
from accord.canonical import sha256
from accord.v1 import node_pb2
from agency_node import asking, ledger
from agency_node.cli import people as typed
from agency_node.service import Frames
from agency_node.store.database import WRITES, beginning
from tests.world import hostile
from tests.world import stack as worlds

Result = TypeVar("Result")
NS = 1_000_000_000
DAY_NS = 86_400 * NS
MAYA = {
    "first_name": "Maya",
    "last_name": "Fenwright",
    "date_of_birth": "2012-10-17",
    "sex": "female",
    "address": "Flat 2, 8 Cobnut Row",
    "postcode": "MD2 1QA",
    "role": "child",
}
NOBODY = {**MAYA, "first_name": "Tobias", "last_name": "Quillfeather", "date_of_birth": "2014-02-09"}
NOBODY |= {"address": "61 Plover Lane", "postcode": "MD7 2WX", "sex": "male"}


@dataclass(slots=True)
class Stage:
    """A running federation whose police hold Maya, and the loop it runs in."""

    runner: asyncio.Runner
    world: worlds.World

    def run(self, body: Callable[[worlds.World], Awaitable[Result]]) -> Result:
        return self.runner.run(self._go(body))

    async def _go(self, body: Callable[[worlds.World], Awaitable[Result]]) -> Result:
        return await body(self.world)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with asyncio.Runner() as runner:
        running = contextlib.AsyncExitStack()
        records = {"police": [worlds.held(1, MAYA, contacts=[worlds.ago(20)])]}
        home = tmp_path_factory.mktemp("midshire") / "homes"
        world = runner.run(running.enter_async_context(worlds.stack(home, records)))
        try:
            yield Stage(runner, world)
        finally:
            runner.run(running.aclose())


def question(*people: dict[str, Any], **more: Any) -> dict[str, Any]:
    asked = {"question": "agency.contact", "purpose": "s47_enquiry", "case": "CF-1", "agencies": ["police"]}
    asked |= {"need_tier": 4, "significant_harm": True, "necessity": "assess_risk", "people": list(people)}
    return asked | more


def words(outcome: asking.Outcome) -> list[str]:
    (agency,) = outcome.agencies
    return [agency.delivery, *(one.answer for one in agency.answers)]


@contextlib.contextmanager
def index_of(world: worlds.World, agency: str, age_ns: int) -> Iterator[int]:
    """The agency's index as if it had been built that long ago; gives when."""
    file = world.settings[agency].database
    then = time.time_ns() - age_ns
    with contextlib.closing(sqlite3.connect(file)) as connection:
        (was,) = connection.execute("SELECT built_at_ns FROM index_meta").fetchone()
        for at in (then, was):
            with connection:
                connection.execute("UPDATE index_meta SET built_at_ns = ?", (at,))
            if at == then:
                yield then


class Failing:
    """Records that fail in a way nobody foresaw, with a value from a record in the message."""

    def __init__(self, records: Any) -> None:
        self._records = records

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def person(self, person_id: str) -> None:
        raise RuntimeError("Maya Fenwright")


def test_an_index_older_than_the_question_allows_is_never_a_no(stage: Stage) -> None:
    """T-LNK-5: somebody first recorded since it was read is not in it. The node's own limit of a week is too wide."""

    async def body(world: worlds.World) -> tuple[list[str], list[str]]:
        fresh = words(await world.ask("social-care", question(NOBODY)))
        with index_of(world, "police", 3 * DAY_NS):
            return fresh, words(await world.ask("social-care", question(NOBODY)))

    fresh, stale = stage.run(body)

    assert ["ANSWERED", "NO"] == fresh
    assert ["ANSWERED", "CANNOT_SAY"] == stale


def test_an_answer_is_as_old_as_its_index(stage: Stage) -> None:
    """T-LNK-2: and alike for somebody known and somebody not known, or the age would tell which of them is known."""

    async def body(world: worlds.World) -> tuple[int, list[int]]:
        with index_of(world, "police", DAY_NS) as built:
            outcomes = [await world.ask("social-care", question(one)) for one in (MAYA, NOBODY)]
        return built, [outcome.agencies[0].as_of_ns for outcome in outcomes]

    built, ages = stage.run(body)

    assert [built // 10**6 * 10**6] * 2 == ages


def test_a_failure_that_only_a_holder_meets_tells_nobody_that_it_holds(stage: Stage) -> None:
    """T-LNK-2, T-PRV-1: it is a signed cannot say like every other, and its text stays where it arose."""

    async def body(world: worlds.World) -> tuple[list[str], list[str], str]:
        frames: Frames = world.answering["police"].frames
        sound = frames.node
        alarms = len(world.streams["police"].alarms)
        frames.node = replace(sound, records=Failing(sound.records))
        try:
            told = words(await world.ask("social-care", question(MAYA)))
        finally:
            frames.node = sound
        return told, world.streams["police"].alarms[alarms:], "".join(log.getvalue() for log in world.logs)

    told, alarms, logged = stage.run(body)

    assert ["ANSWERED", "CANNOT_SAY"] == told
    assert [] == alarms
    assert "Fenwright" not in logged
    assert '"RuntimeError"' in logged


def test_the_answer_that_a_withdrawal_puts_in_the_place_of_another_is_recorded(stage: Stage) -> None:
    """T-CON-2: the same question again after the withdrawal; nothing signed leaves without its ledger entry."""

    async def body(world: worlds.World) -> tuple[list[str], list[str], bool]:
        help_ = {"purpose": "early_help", "need_tier": 2, "significant_harm": False}
        (given,) = await world.agree("social-care", [MAYA | {"given_by": "parent"}], responders=["police"])
        first = words(await world.ask("social-care", question(MAYA, **help_)))
        frame = world.streams["police"].questions[-1]
        await world.withdraw("social-care", given.agreement.record_id)
        start = len(world.node_records("police"))
        replies = await world.answering["police"].frames.handle(node_pb2.AttachResponse(question=frame))
        instead = next(one.answered.signed_answer for one in replies if one.HasField("answered"))
        row = world.federation.directory.agency("police")
        opened = answers.open_answer(instead, node="police", answer_public=row.answer)
        digests = [one.get("answer_digest") for one in world.node_records("police", start)]
        return first, sorted({slot.answer for slot in opened.slots}), sha256(instead).hex() in digests

    first, second, recorded = stage.run(body)

    assert ["ANSWERED", "YES"] == first
    assert ["CANNOT_SAY"] == second
    assert recorded


def test_an_answer_is_forgotten_when_its_warrant_can_no_longer_be_used(stage: Stage) -> None:
    """T-SEC-1: until then it is what makes a repeated warrant harmless; after that it is only something to steal."""

    async def body(world: worlds.World) -> list[int]:
        with contextlib.closing(sqlite3.connect(world.settings["police"].database)) as connection:
            with connection:
                connection.execute("UPDATE answered SET expires_at_ns = 1")
            await world.ask("social-care", question(MAYA))
            return [row[0] for row in connection.execute("SELECT expires_at_ns FROM answered")]

    (left,) = stage.run(body)

    assert left > time.time_ns()


def test_a_statement_from_the_future_is_refused_although_its_warrant_is_timely(stage: Stage) -> None:
    """T-OPS-2: a broker may mint a warrant for any moment; the asker's own time must fit the node's clock as well."""

    async def body(world: worlds.World) -> list[str]:
        await world.ask("social-care", question(MAYA))
        frame = node_pb2.Question()
        frame.CopyFrom(world.streams["police"].questions[-1])
        frames: Frames = world.answering["police"].frames
        rules = frames.node.rules()
        earlier_ns = time.time_ns() - 40 * NS
        frame.warrant = warrant.mint_warrant(
            federation="midshire",
            agency="social-care",
            jti="01890000-0000-7000-8000-000000000001",
            statement=statement.digest(frame.core, frame.broker_part_sha256, list(frame.node_digests)),
            nodes=[statement.part_digest(frame.part.salt, frame.part.part)],
            policy=rules.revision,
            catalogue=rules.catalogue.digest,
            agreements=[],
            now_s=earlier_ns // NS,
            key=world.federation.broker.warrant,
        )
        slow = Frames(frames.node, frames.rules, frames.witness_key, lambda: earlier_ns)
        replies = await slow.handle(node_pb2.AttachResponse(question=frame))
        return [one.alarm.reason for one in replies]

    assert ["BAD_WARRANT"] == stage.run(body)


def test_a_question_waits_for_the_disk_once(stage: Stage) -> None:
    """T-AUD-2: the head, that it was asked and what it answered commit together, in this order."""

    async def body(world: worlds.World) -> list[list[str]]:
        engine = world.answering["police"].frames.node.engine
        start = len(world.node_records("police"))
        committed: list[list[str]] = []

        def commit(connection: Connection) -> None:
            if beginning(connection) == WRITES:
                committed.append([one.kind for one in ledger.entries(connection, start)])

        event.listen(engine, "commit", commit)
        try:
            await world.ask("social-care", question(MAYA))
        finally:
            event.remove(engine, "commit", commit)
        return committed

    assert ["COSIGNED", "RECEIVED", "ANSWERED"] == stage.run(body)[0]


@pytest.mark.parametrize("why", ["repeated", "refused"])
def test_the_head_of_a_question_that_is_not_answered_anew_counts(stage: Stage, why: str) -> None:
    """T-AUD-6: the next head is proved from this one, so a question that comes to nothing must not lose it."""

    async def body(world: worlds.World) -> tuple[list[str], list[str], bool]:
        broker = hostile.DishonestBroker(world)
        await world.ask("social-care", question(MAYA))
        frame = node_pb2.Question()
        frame.CopyFrom(world.streams["police"].questions[-1])
        # The broker's ledger has grown since: what it released stands there too.
        frame.head.CopyFrom(await broker.head("police"))
        if why == "refused":
            frame.warrant = "no warrant"
        start = len(world.node_records("police"))
        replies = await world.answering["police"].frames.handle(node_pb2.AttachResponse(question=frame))
        kinds = [one["kind"] for one in world.node_records("police", start)]
        size = int(frame.head.checkpoint.split("\n")[1])
        return [str(one.WhichOneof("frame")) for one in replies], kinds, size == broker.seen("police")

    expected = {
        "repeated": (["cosigned", "answered"], ["COSIGNED"], True),
        "refused": (["alarm"], ["COSIGNED", "ALARM"], True),
    }[why]

    assert expected == stage.run(body)


def test_nothing_about_a_protected_address_can_be_tried_out_on_the_tags(stage: Stage) -> None:
    """T-LNK-1: tags lie in the slot too. One made with a refuge's postcode would let its holder try postcodes."""

    async def body(world: worlds.World) -> tuple[int, int]:
        open_, _ = typed.people({"people": [MAYA]})
        hidden, _ = typed.people({"people": [MAYA | {"protected": True}]})
        async with world.desk("social-care") as desk:
            (plain,) = await asking.tokenise(desk.asker, open_)
            (protected,) = await asking.tokenise(desk.asker, hidden)
        return len(plain.tags), len(set(protected.tags) & set(plain.tags[:1])) * 10 + len(protected.tags)

    plain, protected = stage.run(body)

    # Three families for somebody with an address; of the one without, only name and birth date, and the same tag.
    assert (3, 11) == (plain, protected)


def test_contacts_that_cannot_be_read_cost_nobody_their_answers(stage: Stage) -> None:
    """T-NET-2: one agency that seals rubbish must not keep the answers of all the others from the screen."""

    async def body(world: worlds.World) -> tuple[list[str], int]:
        inquiry, _ = typed.inquiry(question(MAYA))
        async with world.desk("social-care") as desk:
            prepared = await asking.prepare(desk.asker, inquiry, desk.caller_token, desk.role)
            response = await desk.ask(prepared.request)
            # What the agency sealed was sealed to another key than this one.
            other = replace(prepared, reply_key=X25519PrivateKey.generate())
            outcome = asking.check(desk.asker, other, response)
        return words(outcome), len(outcome.agencies[0].contacts)

    assert (["ANSWERED", "YES"], 0) == stage.run(body)
