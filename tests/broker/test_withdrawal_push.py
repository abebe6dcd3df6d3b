"""What goes down a node's stream beside questions: who is told of a withdrawal, and when a delivery is forgotten."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from accord.v1 import node_pb2, node_pb2_grpc
from agency_node import asking
from agency_node.channel import dial
from tests.world import stack as worlds

Result = TypeVar("Result")
ORA = {
    "first_name": "Ora",
    "last_name": "Penhallow",
    "date_of_birth": "2011-06-04",
    "sex": "female",
    "address": "9 Sorrel Close",
    "postcode": "MD5 6TY",
    "role": "child",
    "given_by": "parent",
}
ASKED = {"question": "agency.contact", "purpose": "early_help", "case": "CF-7", "need_tier": 2, "people": [ORA]}


@dataclass(slots=True)
class Stage:
    """A running federation, and the loop it runs in."""

    runner: asyncio.Runner
    world: worlds.World

    def run(self, body: Callable[[worlds.World], Awaitable[Result]]) -> Result:
        async def inside() -> Result:
            return await body(self.world)

        return self.runner.run(inside())


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with asyncio.Runner() as runner:
        running = contextlib.AsyncExitStack()
        records = {"police": [worlds.held(1, ORA, contacts=[worlds.ago(20)])]}
        home = tmp_path_factory.mktemp("midshire") / "homes"
        world = runner.run(running.enter_async_context(worlds.stack(home, records)))
        try:
            yield Stage(runner, world)
        finally:
            runner.run(running.aclose())


async def agree(world: worlds.World, **more: Any) -> str:
    (given,) = await world.agree("social-care", [ORA], responders=["police"], **more)
    return given.agreement.record_id


def words(outcome: asking.Outcome) -> list[str]:
    return [one.delivery for one in outcome.agencies]


def deliveries(world: worlds.World, record_id: str) -> list[tuple[bool, bytes]]:
    with contextlib.closing(sqlite3.connect(world.broker.database)) as connection:
        sql = "SELECT delivered, sealed FROM agreement_delivery WHERE record_id = ?"
        return [(bool(row[0]), row[1]) for row in connection.execute(sql, (record_id,))]


def told(world: worlds.World, record_id: str) -> set[str]:
    return {agency for agency, stream in world.streams.items() if record_id in stream.withdrawn}


def test_only_the_parties_to_an_agreement_are_told_of_its_withdrawal(stage: Stage) -> None:
    """T-CON-2: to everybody else, that a family somewhere withdrew would be one more thing known about families."""

    async def body(world: worlds.World) -> set[str]:
        record_id = await agree(world)
        await world.withdraw("social-care", record_id)
        await world.ask("social-care", ASKED | {"purpose": "s47_enquiry", "need_tier": 4, "significant_harm": True})
        return told(world, record_id)

    assert {"police", "social-care"} == stage.run(body)


def test_a_node_that_missed_a_withdrawal_is_told_when_it_attaches(stage: Stage) -> None:
    """T-CON-2: before any question can reach it, and again nobody else is."""

    async def body(world: worlds.World) -> tuple[set[str], set[str]]:
        record_id = await agree(world)
        await world.stop("police")
        await world.stop("housing")
        await world.withdraw("social-care", record_id)
        before = told(world, record_id)
        await world.start("police")
        await world.start("housing")
        return before, told(world, record_id)

    before, after = stage.run(body)

    assert {"social-care"} == before
    assert {"police", "social-care"} == after


def test_a_delivery_is_forgotten_once_it_is_known_to_have_arrived(stage: Stage) -> None:
    """T-LNK-1: what is sealed to an agency stays at the broker no longer than it must, and no shorter."""

    async def body(world: worlds.World) -> tuple[Any, Any, Any]:
        await world.stop("housing")
        record_id = await agree(world, requesters=["social-care", "housing"])
        waiting = deliveries(world, record_id)
        await world.start("housing")
        await world.until(lambda: deliveries(world, record_id)[0][0])
        kept = [one["kind"] for one in world.node_records("housing") if one.get("record_id") == record_id]
        return waiting, deliveries(world, record_id), kept

    ((arrived, sealed),), after, kept = stage.run(body)

    assert (False, True) == (arrived, len(sealed) > 0)
    assert [(True, b"")] == after
    assert ["AGREEMENT_RECEIVED"] == kept


def test_a_delivery_that_could_not_be_used_is_kept(stage: Stage) -> None:
    """T-OPS-4: the node says so before it countersigns; the delivery comes again with its next welcome."""

    async def body(world: worlds.World) -> tuple[Any, int]:
        await world.stop("housing")
        record_id = await agree(world, requesters=["social-care", "housing"])
        with contextlib.closing(sqlite3.connect(world.broker.database)) as connection, connection:
            sql = "UPDATE agreement_delivery SET sealed = ? WHERE record_id = ?"
            connection.execute(sql, (b"sealed to another key", record_id))
        alarms = len(world.streams["housing"].alarms)
        await world.start("housing")
        await world.ask("social-care", ASKED | {"purpose": "s47_enquiry", "need_tier": 4, "significant_harm": True})
        return deliveries(world, record_id), len(world.streams["housing"].alarms) - alarms

    ((arrived, sealed),), alarms = stage.run(body)

    assert (False, True, 1) == (arrived, len(sealed) > 0, alarms)


def test_a_node_whose_head_fell_behind_is_asked_again_on_a_new_stream(stage: Stage) -> None:
    """T-NET-1, T-OPS-6: as when its disk failed for a moment. Nobody has to restart anything, nor ask again."""

    async def body(world: worlds.World) -> tuple[list[str], int]:
        await agree(world)
        with contextlib.closing(sqlite3.connect(world.settings["police"].database)) as connection:
            sql = "SELECT size, root, note FROM witness_head"
            older = connection.execute(sql).fetchone()
            await world.ask("social-care", ASKED)
            with connection:
                connection.execute("UPDATE witness_head SET size = ?, root = ?, note = ?", older)
        attached = world.logs[0].getvalue().count("node_attached")
        outcome = await world.ask("social-care", ASKED | {"agencies": ["police"]})
        return words(outcome), world.logs[0].getvalue().count("node_attached") - attached

    assert (["ANSWERED"], 1) == stage.run(body)


@pytest.mark.parametrize(
    "frame",
    [
        node_pb2.AttachRequest.FromString(b"\x0a\x00" + b"\xfa\x3e\x01x"),
        node_pb2.AttachRequest(cosigned=node_pb2.Cosigned(size=2**64 - 1, cosignature="x")),
        node_pb2.AttachRequest(),
    ],
    ids=["a field that nobody knows", "a size that no database holds", "nothing"],
)
def test_a_frame_that_must_not_be_ends_the_stream_and_nothing_else(
    stage: Stage, frame: node_pb2.AttachRequest, capfd: pytest.CaptureFixture[str]
) -> None:
    """T-SEC-3, T-PRV-1: no text of a failure reaches a log by way of a task that nobody waits for."""

    async def body(world: worlds.World) -> tuple[int, list[str]]:
        await world.stop("housing")
        settings = world.settings["housing"]
        parts = worlds.node.answerer(settings)
        with parts as answerer:
            hello = answerer.frames.hello()
            identity = answerer.home.identity()
        async with dial(settings.broker, identity) as channel:

            async def frames() -> AsyncIterator[node_pb2.AttachRequest]:
                yield node_pb2.AttachRequest(hello=hello)
                yield frame
                await asyncio.sleep(worlds.PATIENCE_S)

            stream = node_pb2_grpc.NodeSessionServiceStub(channel).Attach(frames())
            came = [one async for one in stream]
        await world.start("housing")
        protective = ASKED | {
            "purpose": "s47_enquiry",
            "need_tier": 4,
            "significant_harm": True,
            "agencies": ["housing"],
        }
        return len(came), words(await world.ask("social-care", protective))

    came, after = stage.run(body)

    assert came >= 0
    assert ["ANSWERED"] == after
    assert "Traceback" not in capfd.readouterr().err
