"""Which nodes are attached, and what becomes of those who wait when a stream goes."""

import asyncio

import pytest

from accord.answer import BadAnswer
from accord.v1 import node_pb2
from broker.sessions import QUEUE, NotAttached, Session, Sessions

FRAME = node_pb2.AttachResponse(head=node_pb2.Head(checkpoint="x"))


def waiting(session: Session, query_id: str) -> "asyncio.Future[bytes]":
    """Somebody who waits for an answer."""
    future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    session.waiting[query_id] = future
    return future


def test_an_answer_goes_to_whoever_waits_for_it() -> None:
    """By the question's number, once; what nobody waits for is dropped."""

    async def body() -> tuple[bytes, bool, dict[str, object]]:
        session = Session("police")
        mine, other = waiting(session, "q1"), waiting(session, "q2")
        session.answered("q1", b"first")
        session.answered("q1", b"second")
        session.answered("q9", b"nobody's")
        return await mine, other.done(), dict(session.waiting)

    answer, other_done, left = asyncio.run(body())

    assert (b"first", False, ["q2"]) == (answer, other_done, list(left))


def test_a_refusal_ends_the_waiting() -> None:
    """T-NET-1: a node that raises the alarm is not waited for till the deadline."""

    async def body() -> None:
        session = Session("police")
        mine = waiting(session, "q1")
        session.refused("q1")
        session.refused("q1")
        await mine

    with pytest.raises(BadAnswer):
        asyncio.run(body())


def test_everybody_who_waits_learns_that_the_stream_is_gone() -> None:
    """T-NET-1: silence of a dead stream is known at once."""

    async def body() -> list[type[BaseException]]:
        session = Session("police")
        futures = [waiting(session, f"q{number}") for number in range(3)]
        session.close()
        session.close()
        return [
            type(one) for one in await asyncio.gather(*futures, return_exceptions=True) if isinstance(one, Exception)
        ]

    assert [NotAttached] * 3 == asyncio.run(body())


def test_nothing_is_sent_down_a_stream_that_is_gone() -> None:
    """Whoever sends is told."""

    async def body() -> None:
        session = Session("police")
        session.close()
        session.send(FRAME)

    with pytest.raises(NotAttached):
        asyncio.run(body())


def test_a_node_that_does_not_read_is_cut_off() -> None:
    """T-NET-2: it must not make the broker hoard; when it comes back, it says how far it had come."""

    async def body() -> tuple[int, bool]:
        session = Session("police")
        for _ in range(QUEUE):
            session.send(FRAME)
        with pytest.raises(NotAttached):
            session.send(FRAME)
        return session.frames.qsize(), session.closed.is_set()

    assert (QUEUE, True) == asyncio.run(body())


def test_a_second_stream_of_an_agency_takes_the_place_of_the_first() -> None:
    """A node that comes back before its old stream was noticed to be dead is answered on the new one."""

    async def body() -> tuple[bool, bool, tuple[str, ...]]:
        sessions = Sessions()
        first, second = Session("police"), Session("police")
        await sessions.attach(first)
        await sessions.attach(second)
        # The end of the old stream must not take the new one along.
        await sessions.detach(first)
        return first.closed.is_set(), sessions.find("police") is second, sessions.attached()

    assert (True, True, ("police",)) == asyncio.run(body())


def test_a_detached_node_is_not_found() -> None:
    """Not attached is not reached, at once."""

    async def body() -> tuple[Session | None, tuple[str, ...]]:
        sessions = Sessions()
        session = Session("police")
        await sessions.attach(session)
        await sessions.detach(session)
        return sessions.find("police"), sessions.attached()

    assert (None, ()) == asyncio.run(body())


def test_a_question_waits_for_the_next_stream_of_the_same_agency() -> None:
    """Another agency's stream is not taken for it."""

    async def body() -> bool:
        sessions = Sessions()
        lost, back = Session("police"), Session("police")
        await sessions.attach(lost)
        coming = asyncio.create_task(sessions.come_back(lost, 2.0))
        await asyncio.sleep(0)
        await sessions.attach(Session("housing"))
        await asyncio.sleep(0)
        assert not coming.done()
        await sessions.attach(back)
        return await coming is back

    assert asyncio.run(body())


@pytest.mark.parametrize("seconds", [0.02, 0.0, -1.0])
def test_a_node_that_does_not_come_back_in_time_is_given_up(seconds: float) -> None:
    """T-NET-2: also when no time is left."""

    async def body() -> None:
        sessions = Sessions()
        lost = Session("police")
        await sessions.attach(lost)
        await sessions.come_back(lost, seconds)

    with pytest.raises(NotAttached):
        asyncio.run(body())


def test_a_broadcast_reaches_those_named_and_passes_over_the_dead() -> None:
    """T-CON-2: one node that is gone does not keep a withdrawal from the others."""

    async def body() -> dict[str, int]:
        sessions = Sessions()
        made = {agency: Session(agency) for agency in ("housing", "police", "school")}
        for session in made.values():
            await sessions.attach(session)
        made["housing"].close()
        sessions.broadcast(FRAME)
        sessions.broadcast(FRAME, frozenset({"housing", "police"}))
        return {agency: session.frames.qsize() for agency, session in made.items()}

    assert {"housing": 0, "police": 2, "school": 1} == asyncio.run(body())
