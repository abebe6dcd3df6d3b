"""How many questions are in work, how many wait, and whose turn it is.

    question -> room for it?         -> in work
             -> room to wait?        -> waits; agencies take turns, one question each
             -> neither, or too long -> turned away at once, and told when to come again

Nothing is checked, signed or written for a question before it is in work, so turning it away costs next to nothing and
leaves no record. One agency may have only part of the work and of the waiting room: its flood does not keep another's
question waiting longer than the questions take that are in work already (T-POL-5).

`Turns` is the bookkeeping, without clock or tasks. `Room` lets tasks wait for it.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from broker.stages import RateLimited

COME_AGAIN_S: Final = 1.0
"""What whoever is turned away is told to wait, seconds: about as long as the questions in work and waiting take. Askers
add a random part of their own, lest they all come back together."""

Ticket = TypeVar("Ticket")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at once.

    Attributes:
        at_once: Most questions in work.
        agency_at_once: Most of them that one agency asked.
        waiting: Most questions that wait.
        agency_waiting: Most of them that one agency asked.
    """

    at_once: int
    agency_at_once: int
    waiting: int
    agency_waiting: int


class Turns(Generic[Ticket]):
    """Who is in work, who waits, and who is next.

    Nobody waits who could be in work: that holds after every call.
    """

    def __init__(self, limits: Limits) -> None:
        """Start empty."""
        self._limits = limits
        self._at_work: Counter[str] = Counter()
        # The agencies that wait, in the order of their turns; each with its questions, the oldest first.
        self._waiting: dict[str, deque[Ticket]] = {}

    @property
    def at_work(self) -> int:
        """How many questions are in work."""
        return self._at_work.total()

    @property
    def waiting(self) -> int:
        """How many questions wait."""
        return sum(map(len, self._waiting.values()))

    def arrive(self, agency: str, ticket: Ticket) -> tuple[bool, Ticket | None]:
        """Take a question in.

        A full waiting room does not keep out an agency of which hardly anybody waits: then the newest question of the
        agency with the most gives way (longest queue drop: B. Suter et al., IEEE INFOCOM 1998).

        Args:
            agency: Who asks.
            ticket: Names the question; given back by `leave` when its turn has come.

        Returns:
            True when it is in work at once, false when it waits; and the question that gave way, which waits no more.

        Raises:
            RateLimited: There is no room for it.
        """
        if self._room_for(agency):
            self._at_work[agency] += 1
            return True, None
        mine = len(self._waiting.get(agency, ()))
        gave_way = None
        if mine >= self._limits.agency_waiting:
            raise RateLimited("too many questions of this agency wait already", COME_AGAIN_S)
        if self.waiting >= self._limits.waiting:
            longest = max(self._waiting.values(), key=len, default=deque[Ticket]())
            if len(longest) <= mine + 1:
                raise RateLimited("too many questions wait already", COME_AGAIN_S)
            gave_way = longest.pop()
        self._waiting.setdefault(agency, deque()).append(ticket)
        return False, gave_way

    def leave(self, agency: str) -> list[Ticket]:
        """End one of an agency's questions in work.

        Returns:
            The questions whose turn has come; they are in work now.
        """
        self._at_work[agency] -= 1
        if not self._at_work[agency]:
            del self._at_work[agency]
        return self._next()

    def give_up(self, agency: str, ticket: Ticket) -> None:
        """Take a question that waits out again."""
        mine = self._waiting[agency]
        mine.remove(ticket)
        if not mine:
            del self._waiting[agency]

    def _room_for(self, agency: str) -> bool:
        return self.at_work < self._limits.at_once and self._at_work[agency] < self._limits.agency_at_once

    def _next(self) -> list[Ticket]:
        came: list[Ticket] = []
        while (agency := next(filter(self._room_for, self._waiting), None)) is not None:
            mine = self._waiting.pop(agency)
            came.append(mine.popleft())
            self._at_work[agency] += 1
            if mine:
                # Behind everybody else who waits.
                self._waiting[agency] = mine
        return came


class Room:
    """Lets tasks wait for their turn."""

    def __init__(self, limits: Limits, longest_s: float, needed_s: float) -> None:
        """Set up.

        Args:
            limits: How much at once.
            longest_s: Longest wait, seconds.
            needed_s: What a question may take once it is in work, seconds. Nobody waits so long that less is left.
        """
        self._turns: Turns[asyncio.Future[bool]] = Turns(limits)
        self._longest_s = longest_s
        self._needed_s = needed_s

    @property
    def at_work(self) -> int:
        """How many questions are in work."""
        return self._turns.at_work

    @property
    def waiting(self) -> int:
        """How many questions wait."""
        return self._turns.waiting

    async def enter(self, agency: str, remaining_s: float) -> Callable[[], None]:
        """Wait for a place.

        Args:
            agency: Who asks.
            remaining_s: Till the asker gives up, seconds.

        Returns:
            Gives the place back; to be called once, when the question has ended.

        Raises:
            RateLimited: There is none, or none became free in time.
        """
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        at_once, gave_way = self._turns.arrive(agency, turn)
        if gave_way is not None:
            gave_way.set_result(False)
        if at_once:
            return lambda: self._leave(agency)
        try:
            await asyncio.wait({turn}, timeout=max(0.0, min(self._longest_s, remaining_s - self._needed_s)))
        except asyncio.CancelledError:
            # The asker hung up; its turn may have come in the same moment.
            if self._came(agency, turn):
                self._leave(agency)
            raise
        if self._came(agency, turn):
            return lambda: self._leave(agency)
        raise RateLimited("no place became free in time", COME_AGAIN_S)

    def _came(self, agency: str, turn: "asyncio.Future[bool]") -> bool:
        """Whether a question that has waited is in work; if not, it waits no more."""
        if not turn.done():
            self._turns.give_up(agency, turn)
            return False
        return turn.result()

    def _leave(self, agency: str) -> None:
        for turn in self._turns.leave(agency):
            turn.set_result(True)
