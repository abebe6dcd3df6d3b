"""When a question takes its place in work, and when it gives it back."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from accord.v1 import broker_pb2
from broker.admission import Limits, Room
from broker.caller import BadStatement
from broker.gate import Peer
from broker.service import Asking
from broker.stages import RateLimited, Released

RELEASED = Released("q1", (), b"record", "receipt")
WAITS_FOR_NOBODY = Limits(at_once=1, agency_at_once=1, waiting=0, agency_waiting=0)


@dataclass
class Who:
    """Stands in for the checks of caller and statement, and counts them."""

    checked: int = 0
    wrong: bool = False

    def peer(self, context: Any) -> Peer:
        return Peer("agency", "police", b"")

    def asked(self, request: Any, context: Any) -> Any:
        self.checked += 1
        if self.wrong:
            raise BadStatement("it does not hold together")
        return request


class Context:
    """A call whose asker waits ten seconds."""

    def time_remaining(self) -> float:
        return 10.0


@dataclass
class Desk:
    """A servicer whose questions go on until told to end."""

    who: Who = field(default_factory=Who)
    room: Room = field(default_factory=lambda: Room(WAITS_FOR_NOBODY, 1.0, 1.0))
    end: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    def asking(self) -> Any:
        async def carry(asked: Any, heard: Any) -> Released:
            self.begun.set()
            await self.end.wait()
            return RELEASED

        none: Any = None
        who: Any = self.who
        return Asking(who, carry, none, lambda asked: None, self.room, none)


async def with_progress(asking: Any) -> broker_pb2.AskResponse:
    request = broker_pb2.AskWithProgressRequest()
    return [update async for update in asking.AskWithProgress(request, Context())][-1].response


async def plainly(asking: Any) -> broker_pb2.AskResponse:
    response: broker_pb2.AskResponse = await asking.Ask(broker_pb2.AskRequest(), Context())
    return response


@pytest.mark.parametrize("ask", [plainly, with_progress])
def test_who_is_turned_away_costs_no_check(ask: Any) -> None:
    """T-POL-5: no signature is verified, nothing decided and nothing written for a question without a place."""

    async def body() -> tuple[str, int, int]:
        desk = Desk()
        asking = desk.asking()
        first = asyncio.create_task(ask(asking))
        await desk.begun.wait()
        with pytest.raises(RateLimited):
            await ask(asking)
        checked = desk.who.checked
        desk.end.set()
        return (await first).query_id, checked, desk.room.at_work

    assert ("q1", 1, 0) == asyncio.run(body())


@pytest.mark.parametrize("ask", [plainly, with_progress])
def test_hanging_up_makes_no_room_for_more(ask: Any) -> None:
    """T-POL-5: a question goes on to its last record whoever hangs up, and keeps its place until then."""

    async def body() -> tuple[int, int]:
        desk = Desk()
        first = asyncio.create_task(ask(desk.asking()))
        await desk.begun.wait()
        first.cancel()
        await asyncio.wait({first})
        meanwhile = desk.room.at_work
        desk.end.set()
        for _ in range(5):
            await asyncio.sleep(0)
        return meanwhile, desk.room.at_work

    assert (1, 0) == asyncio.run(body())


@pytest.mark.parametrize("ask", [plainly, with_progress])
def test_a_question_that_is_refused_at_the_door_gives_its_place_back(ask: Any) -> None:
    """T-POL-5: or a few malformed questions would shut the broker for good."""

    async def body() -> tuple[int, int]:
        desk = Desk(who=Who(wrong=True))
        asking = desk.asking()
        for _ in range(3):
            with pytest.raises(BadStatement):
                await ask(asking)
        return desk.who.checked, desk.room.at_work

    assert (3, 0) == asyncio.run(body())
