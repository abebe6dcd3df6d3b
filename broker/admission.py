"""How many questions are in work, how many wait, and whose turn it is.

    question -> room for it?                    -> in work
             -> its turn would come in time?    -> waits; agencies take turns, one question each
             -> else                            -> turned away at once, and told when to come again

Nothing is checked, signed or written for a question before it is in work, so turning it away costs next to nothing and
leaves no record. One agency may have only part of the work and of the waiting room: its flood does not keep another's
question waiting longer than the questions take that are in work already (T-POL-5).

`Turns` is the bookkeeping, without clock or tasks. `Room` lets tasks wait for it, and keeps no more in work than are
heard of in good time (`broker/window.py`).
"""

import asyncio
import math
from collections import Counter, deque
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from broker import window
from broker.stages import RateLimited
from broker.window import FIRST, LEAST, Window

COME_AGAIN_S: Final = 1.0
"""What whoever is turned away is told to wait, seconds: about as long as the questions in work and waiting take. Askers
add a random part of their own, lest they all come back together."""

Ticket = TypeVar("Ticket")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at once.

    Attributes:
        at_once: Most questions in work, however fast they are.
        agency_at_once: Most of them that one agency asked; of fewer, the same part.
        waiting: Most questions that wait.
        agency_waiting: Most of them that one agency asked.
        at_least: So many are let into work, however late they are.
    """

    at_once: int
    agency_at_once: int
    waiting: int
    agency_waiting: int
    at_least: int = LEAST


class Turns(Generic[Ticket]):
    """Who is in work, who waits, and who is next.

    Nobody waits who could be in work: that holds after every call.
    """

    def __init__(self, limits: Limits, size: int) -> None:
        """Start empty, with room for so many in work until `leave` says otherwise."""
        self._limits = limits
        self._size = size
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

    def arrive(self, agency: str, ticket: Ticket, most_before: float = math.inf) -> tuple[bool, Ticket | None]:
        """Take a question in.

        A full waiting room does not keep out an agency of which hardly anybody waits: then the newest question of the
        agency with the most gives way (longest queue drop: B. Suter et al., IEEE INFOCOM 1998).

        Args:
            agency: Who asks.
            ticket: Names the question; given back by `leave` when its turn has come.
            most_before: How many others may come into work before it, lest its turn come too late. Turns do not come
                evenly, so of an agency of which somebody waits already a quarter counts: few are to wait in vain.

        Returns:
            True when it is in work at once, false when it waits; and the question that gave way, which waits no more.

        Raises:
            RateLimited: There is no room for it.
        """
        if self.room_for(agency):
            self._at_work[agency] += 1
            return True, None
        mine = len(self._waiting.get(agency, ()))
        gave_way = None
        if mine >= self._limits.agency_waiting:
            raise RateLimited("too many questions of this agency wait already", COME_AGAIN_S)
        before = mine + sum(min(len(one), mine + 1) for name, one in self._waiting.items() if name != agency)
        if before > (most_before / 4 if mine else most_before):
            raise RateLimited("its turn would not come in time", COME_AGAIN_S)
        if self.waiting >= self._limits.waiting:
            longest = max(self._waiting.values(), key=len, default=deque[Ticket]())
            if len(longest) <= mine + 1:
                raise RateLimited("too many questions wait already", COME_AGAIN_S)
            gave_way = longest.pop()
        self._waiting.setdefault(agency, deque()).append(ticket)
        return False, gave_way

    def leave(self, agency: str, size: int) -> list[Ticket]:
        """End one of an agency's questions in work.

        Args:
            agency: Whose.
            size: How many may be in work from now on.

        Returns:
            The questions whose turn has come; they are in work now.
        """
        self._size = size
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

    def room_for(self, agency: str) -> bool:
        """Whether another question of an agency's could be in work."""
        part = max(1, self._size * self._limits.agency_at_once // self._limits.at_once)
        return self.at_work < self._size and self._at_work[agency] < part

    def _next(self) -> list[Ticket]:
        came: list[Ticket] = []
        while (agency := next(filter(self.room_for, self._waiting), None)) is not None:
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
        self._limits = limits
        self._least = min(limits.at_least, limits.at_once)
        self._window = Window(min(max(FIRST, self._least), limits.at_once))
        self._turns: Turns[asyncio.Future[bool]] = Turns(limits, int(self._window.size))
        self._longest_s = longest_s
        self._needed_s = needed_s
        # Seconds from turn to turn while questions are in work: a mean of the latest, weighed as in RFC 6298 section 2.
        self._turn_s = 0.0
        self._turned_s: float | None = None

    @property
    def at_work(self) -> int:
        """How many questions are in work."""
        return self._turns.at_work

    @property
    def waiting(self) -> int:
        """How many questions wait."""
        return self._turns.waiting

    @property
    def late_s(self) -> float:
        """A question of which half the agencies are heard only after this long was one of too many; seconds."""
        return self._needed_s / 2

    @property
    def size(self) -> int:
        """How many may be in work now."""
        return int(self._window.size)

    async def enter(self, agency: str, remaining_s: float) -> "Place":
        """Wait for a place.

        Args:
            agency: Who asks.
            remaining_s: Till the asker gives up, seconds.

        Returns:
            The place, to be left when the question has ended.

        Raises:
            RateLimited: There is none, or none became free in time, or would.
        """
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        wait_s = max(0.0, min(self._longest_s, remaining_s - self._needed_s))
        most_before = wait_s / self._turn_s - 1 if self._turn_s else math.inf
        at_once, gave_way = self._turns.arrive(agency, turn, most_before)
        if gave_way is not None:
            gave_way.set_result(False)
        if at_once:
            return Place(self, agency, loop.time())
        try:
            await asyncio.wait({turn}, timeout=wait_s)
        except asyncio.CancelledError:
            # The asker hung up; its turn may have come in the same moment.
            if self._came(agency, turn):
                self.leave(agency, loop.time(), late=False)
            raise
        if self._came(agency, turn):
            return Place(self, agency, loop.time())
        raise RateLimited("its turn did not come in time", COME_AGAIN_S)

    def leave(self, agency: str, began_s: float, *, late: bool) -> None:
        """Give a place back; see `Place`."""
        now_s = asyncio.get_running_loop().time()
        if self._turned_s is not None:
            latest_s = now_s - self._turned_s
            self._turn_s += (latest_s - self._turn_s) / (8 if self._turn_s else 1)
        most, full = self._limits.at_once, not self._turns.room_for(agency)
        self._window = window.ended(
            self._window, late=late, full=full, began_s=began_s, now_s=now_s, most=most, least=self._least
        )
        for turn in self._turns.leave(agency, int(self._window.size)):
            turn.set_result(True)
        self._turned_s = now_s if self._turns.at_work else None

    def _came(self, agency: str, turn: "asyncio.Future[bool]") -> bool:
        """Whether a question that has waited is in work; if not, it waits no more."""
        if not turn.done():
            self._turns.give_up(agency, turn)
            return False
        return turn.result()


@dataclass(slots=True)
class Place:
    """A question's place in work.

    Attributes:
        room: Where it is.
        agency: Whose question it is.
        began_s: When it came into work, seconds of the event loop's clock.
        heard_s: When half of its agencies had been heard, by the same clock; None until then.
    """

    room: Room
    agency: str
    began_s: float
    heard_s: float | None = None

    def heard(self, asked: int, so_far: int) -> None:
        """Take note of how many agencies have been heard.

        Half of them count, lest one that hangs passes for a machine that is overloaded.
        """
        if self.heard_s is None and 2 * so_far >= asked:
            self.heard_s = asyncio.get_running_loop().time()

    def leave(self) -> None:
        """Give the place back; once, when the question has ended."""
        until_s = asyncio.get_running_loop().time() if self.heard_s is None else self.heard_s
        self.room.leave(self.agency, self.began_s, late=until_s - self.began_s > self.room.late_s)
