"""Dial the broker, keep one stream, and feed what comes down it to whoever handles frames.

The node dials, so no agency opens a port. A stream carries no state that
matters: when it breaks, the node attaches again after a short random wait, at
most five seconds, and says in its hello how far it had come.
"""

import asyncio
import contextlib
import math
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import grpc.aio

from accord.reasons import Problem
from accord.v1 import node_pb2, node_pb2_grpc
from agency_node.channel import Identity, dial, problem_of
from agency_node.events import Event, log

FIRST_WAIT_S: Final = 0.2
LONGEST_WAIT_S: Final = 5.0
READ_AHEAD: Final = 256
"""Most frames read and not handled yet; the broker cuts off a node that leaves as many more with it."""
_RANDOM: Final = random.SystemRandom()

Handle = Callable[[node_pb2.AttachResponse], Awaitable[Sequence[node_pb2.AttachRequest]]]


async def keep(
    address: str,
    identity: Callable[[], Identity],
    hello: Callable[[], node_pb2.Hello],
    handle: Handle,
    attached: Callable[[bool], None],
    pace_s: float = 0.0,
    turn_away: Handle | None = None,
    most_waiting: int = READ_AHEAD,
) -> None:
    """Stay attached until cancelled.

    Nothing ends it but that: a node that stopped dialling in silence would be *not reached* until somebody noticed.

    Args:
        address: The broker, host:port.
        identity: Gives what we show and trust, read anew for each attempt, so that a renewed certificate is used.
        hello: Gives the first frame.
        handle: Handles one frame and gives the frames to send back. What it raises ends this stream, and the next one
            begins from what hello then says.
        attached: Told whenever the stream comes up or goes down.
        pace_s: Replies leave a whole number of such steps after their frame came, seconds; 0 sends them at once.
        turn_away: Handles a question instead where too many wait before it, or it waited so long that the broker has
            given it up; where it is left out, every question is handled.
        most_waiting: How many questions may wait before one that is still handled.
    """
    work = _Work(handle, turn_away or handle, most_waiting)
    wait_s = FIRST_WAIT_S
    while True:
        try:
            channel = dial(address, identity())
            try:
                async with contextlib.aclosing(_once(channel, hello(), work, pace_s)) as stream:
                    async for _ in stream:
                        attached(True)
                        wait_s = FIRST_WAIT_S
            finally:
                attached(False)
                await channel.close(None)
        except grpc.aio.AioRpcError as error:
            log.info(Event.SESSION_LOST, cause=problem_of(error).reason)
        except Problem as problem:
            log.warning(Event.SESSION_LOST, cause=problem.reason)
        except asyncio.CancelledError:
            # gRPC raises this as well where it gave the stream up by itself; that tells nobody to stop.
            if _told_to_stop():
                raise
            log.error(Event.SESSION_LOST, cause="CancelledError")
        except Exception as error:  # noqa: BLE001  # whatever it is, the node must attach again; its text stays here
            log.error(Event.SESSION_LOST, cause=type(error).__name__)
        # Full jitter, so that a county of nodes does not dial in step after the broker restarts.
        await asyncio.sleep(random.uniform(wait_s / 2, wait_s))  # noqa: S311  # spreads load, protects nothing
        wait_s = min(wait_s * 2, LONGEST_WAIT_S)


def _told_to_stop() -> bool:
    """Whether somebody cancelled the task that runs now; a cancellation may also come out of what it awaits."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def held_s(elapsed_s: float, pace_s: float) -> float:
    """How much longer an answer waits, in seconds, so that it leaves at a whole step.

    Args:
        elapsed_s: Since its question came.
        pace_s: Length of a step; 0 for no waiting.
    """
    return max(1, math.ceil(elapsed_s / pace_s)) * pace_s - elapsed_s if pace_s > 0 else 0.0


@dataclass(frozen=True, slots=True)
class _Work:
    handle: Handle
    turn_away: Handle
    most_waiting: int


@dataclass(frozen=True, slots=True)
class _Came:
    """A frame that waits to be handled.

    Attributes:
        frame: The frame.
        at_s: When it came, seconds of the event loop's clock.
        before: How many questions waited then; 0 unless it is one.
    """

    frame: node_pb2.AttachResponse
    at_s: float
    before: int

    def handler(self, work: _Work, now_s: float) -> Handle:
        """Who handles it now. A head or a withdrawal always counts; a question only while somebody waits for it."""
        if self.frame.WhichOneof("frame") != "question":
            return work.handle
        in_time = now_s - self.at_s <= self.frame.question.deadline_ms / 1_000
        return work.handle if in_time and self.before <= work.most_waiting else work.turn_away


async def _once(
    channel: grpc.aio.Channel, hello: node_pb2.Hello, work: _Work, pace_s: float
) -> AsyncGenerator[None, None]:
    up: asyncio.Queue[node_pb2.AttachRequest | None] = asyncio.Queue()
    up.put_nowait(node_pb2.AttachRequest(hello=hello))

    async def frames() -> AsyncIterator[node_pb2.AttachRequest]:
        while (frame := await up.get()) is not None:
            yield frame

    def leave(replies: Sequence[node_pb2.AttachRequest]) -> None:
        for reply in replies:
            up.put_nowait(reply)

    stream = node_pb2_grpc.NodeSessionServiceStub(channel).Attach(frames())
    loop = asyncio.get_running_loop()
    since = leaving = -math.inf
    # Read ahead, so that it is known how long a question has waited here; no further than that, so that a node that is
    # far behind is noticed at the other end.
    waiting: asyncio.Queue[_Came | None] = asyncio.Queue()
    room = asyncio.Semaphore(READ_AHEAD)
    questions = 0

    async def read() -> None:
        nonlocal questions
        async for frame in stream:
            await room.acquire()
            question = frame.WhichOneof("frame") == "question"
            waiting.put_nowait(_Came(frame, loop.time(), questions if question else 0))
            questions += question

    reading = asyncio.create_task(read())
    reading.add_done_callback(lambda _: waiting.put_nowait(None))
    try:
        # One frame after the other: heads and withdrawals count in the order in which they came. What waits for its
        # step holds up no other frame. When the stream is gone, what waits is of no use: the next one begins anew.
        while (one := await waiting.get()) is not None and not reading.done():
            room.release()
            frame, came = one.frame, loop.time()
            questions -= frame.WhichOneof("frame") == "question"
            yield
            # A frame behind a question is only seen when that has been dealt with, so its own time would tell how long
            # that took; its steps are counted from the question.
            if frame.WhichOneof("frame") == "question" or came >= since + pace_s:
                since = came
            replies = await one.handler(work, came)(frame)
            # Whatever is sent back waits, a countersignature or an alarm as much as the answer: it would tell the same.
            # A timer is late by a fraction of a millisecond that depends on when it was set; the random part drowns
            # that. What came first leaves first.
            now = loop.time()
            due = now + held_s(now - since, pace_s) + _RANDOM.uniform(0.0, pace_s / 4)
            leaving = max(due, math.nextafter(leaving, math.inf))
            loop.call_at(leaving, leave, replies)
        await reading
    finally:
        reading.cancel()
        up.put_nowait(None)
        stream.cancel()
