"""Which nodes are attached, and the questions that wait for them.

A stream carries no state that matters. A node that is not attached is not
reached, at once; a question whose stream breaks waits, inside its deadline, for
the node to attach again.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from accord.answer import BadAnswer
from accord.reasons import Problem
from accord.v1 import node_pb2

QUEUE: Final = 256
"""Most frames waiting to go down one stream; a node that falls further behind is cut off and attaches again."""
LONGEST_REST_S: Final = 5.0
"""Longest time that a node is left alone at its own word, seconds."""


class NodeBusy(Problem):
    """The node has no room for the question.

    Attributes:
        retry_s: How long it wants not to be asked, seconds.
    """

    reason = "RATE_LIMITED"

    def __init__(self, agency: str, retry_s: float) -> None:
        """Name the agency, and how long."""
        self.retry_s = retry_s
        super().__init__(agency)


class NotAttached(Problem):
    """The node has no stream here, or lost it and did not come back in time."""

    reason = "NODE_UNREACHABLE"


@dataclass(slots=True, eq=False)
class Session:
    """One attached stream.

    Attributes:
        agency: Whose node it is.
        head_size: Size of the newest head sent down this stream, or that the node had when it attached. The next proof
            starts there: a node checks heads in the order in which they come.
        frames: What goes down.
        closed: Set when the stream is gone.
        waiting: Question -> where its answer is wanted.
        attached_s: When it was opened, seconds of the event loop's clock.
        heard_s: When anything last came up it, by the same clock.
        delivering: Numbers of the agreements delivered with the welcome, until it is known that they arrived.
    """

    agency: str
    head_size: int = 0
    frames: asyncio.Queue[node_pb2.AttachResponse] = field(default_factory=lambda: asyncio.Queue(QUEUE))
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: dict[str, asyncio.Future[bytes]] = field(default_factory=dict)
    attached_s: float = 0.0
    heard_s: float = 0.0
    delivering: tuple[str, ...] = ()
    _awaited: asyncio.Future[None] | None = None

    def send(self, frame: node_pb2.AttachResponse) -> None:
        """Queue a frame.

        Raises:
            NotAttached: The stream is gone, or so far behind that it is cut off now.
        """
        if self.closed.is_set():
            raise NotAttached(self.agency)
        try:
            self.frames.put_nowait(frame)
        except asyncio.QueueFull:
            self.close()
            raise NotAttached(self.agency) from None
        self._wake()

    async def next(self) -> node_pb2.AttachResponse | None:
        """The next frame to go down, for the one who sends them; None once the stream is gone."""
        while self.frames.empty() and not self.closed.is_set():
            self._awaited = asyncio.get_running_loop().create_future()
            await self._awaited
        return None if self.closed.is_set() else self.frames.get_nowait()

    def answered(self, query_id: str, signed_answer: bytes) -> None:
        """Hand an answer to whoever waits for it; an answer nobody waits for is dropped."""
        waiter = self.waiting.pop(query_id, None)
        if waiter is not None and not waiter.done():
            waiter.set_result(signed_answer)

    def refused(self, query_id: str) -> None:
        """The node will not answer this question at all; whoever waits need not wait longer."""
        waiter = self.waiting.pop(query_id, None)
        if waiter is not None and not waiter.done():
            waiter.set_exception(BadAnswer("the node refused the question and raised the alarm"))

    def turned_away(self, query_id: str, retry_s: float) -> None:
        """The node has no room for this question; whoever waits need not wait longer."""
        waiter = self.waiting.pop(query_id, None)
        if waiter is not None and not waiter.done():
            waiter.set_exception(NodeBusy(self.agency, min(retry_s, LONGEST_REST_S)))

    def close(self) -> None:
        """Give up the stream; every question that waits on it learns so."""
        self.closed.set()
        for waiter in self.waiting.values():
            if not waiter.done():
                waiter.set_exception(NotAttached(self.agency))
        self.waiting.clear()
        self._wake()

    def _wake(self) -> None:
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_result(None)


class Sessions:
    """The attached nodes of this process."""

    def __init__(self) -> None:
        """Start with nobody attached."""
        self._by_agency: dict[str, Session] = {}
        self._changed = asyncio.Condition()

    async def attach(self, session: Session) -> None:
        """Take a new stream; an older one of the same agency is closed."""
        async with self._changed:
            older = self._by_agency.get(session.agency)
            self._by_agency[session.agency] = session
            self._changed.notify_all()
        if older is not None:
            older.close()

    async def detach(self, session: Session) -> None:
        """Forget a stream that ended."""
        session.close()
        async with self._changed:
            if self._by_agency.get(session.agency) is session:
                del self._by_agency[session.agency]

    def attached(self) -> tuple[str, ...]:
        """The agencies attached now, in order."""
        return tuple(sorted(self._by_agency))

    def find(self, agency: str) -> Session | None:
        """The agency's stream, if it has one."""
        return self._by_agency.get(agency)

    async def come_back(self, session: Session, seconds: float) -> Session:
        """Wait for another stream of the same agency.

        Raises:
            NotAttached: None came within `seconds`.
        """
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(
                    lambda: (found := self._by_agency.get(session.agency)) is not None and found is not session
                )
                return self._by_agency[session.agency]
        except TimeoutError:
            raise NotAttached(session.agency) from None

    def broadcast(self, frame: node_pb2.AttachResponse, agencies: frozenset[str] | None = None) -> None:
        """Send a frame to every attached node, or to those named; one that is cut off meanwhile is passed over."""
        for agency, session in list(self._by_agency.items()):
            if agencies is None or agency in agencies:
                try:
                    session.send(frame)
                except NotAttached:
                    continue
