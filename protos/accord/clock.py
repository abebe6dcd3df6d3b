"""A clock that notices when it was set.

The wall clock tells people the time and says whether a token has run out. It orders nothing: in a ledger only positions
do. But whoever reads a ledger later wants to know where its times cannot be trusted, so each process keeps its clock
beside one that nobody can set, and writes down where the two part.
"""

from collections.abc import Callable, Sequence
from typing import Final

STEP_NS: Final = 500_000_000
"""Least that counts as a step, nanoseconds. Time servers slew by at most 500 parts in a million
(https://docs.ntpsec.org/latest/clock.html), which makes less of a quarter of an
hour; warrants count in seconds."""

READINGS: Final = 8
"""Most attempts to read both clocks at one moment."""


class Clock:
    """The wall clock, held against a clock that only ever runs.

    Between two readings both must advance alike. A machine that slept looks like a step forwards, since CLOCK_MONOTONIC
    stands still meanwhile (https://man7.org/linux/man-pages/man2/clock_gettime.2.html), and is one for whoever waits.
    """

    def __init__(self, wall: Callable[[], int], running: Callable[[], int]) -> None:
        """Take the first reading.

        Args:
            wall: Nanoseconds since 1970, by this machine; somebody may set it.
            running: Nanoseconds since any moment; nobody can set it.
        """
        self._wall = wall
        self._running = running
        self._steps: list[int] = []
        self._behind = self._read()[1]

    def now_ns(self) -> int:
        """The time, nanoseconds since 1970; a step since the last reading is noted."""
        now, behind = self._read()
        step, self._behind = behind - self._behind, behind
        if abs(step) >= STEP_NS:
            self._steps.append(step)
        return now

    def _read(self) -> tuple[int, int]:
        """The wall clock, and how far it is from the other; the closest of a few readings.

        A busy machine may stop this process between two readings, which must not look like a step.
        """
        best = (0, 0)
        least = -1
        for _ in range(READINGS):
            before, now, after = self._running(), self._wall(), self._running()
            if least < 0 or after - before < least:
                least, best = after - before, (now, now - before)
            if least < STEP_NS // 8:
                break
        return best

    def steps(self) -> Sequence[int]:
        """The steps noted since this was last called, in nanoseconds: forwards above zero, back below."""
        self.now_ns()
        noted, self._steps = self._steps, []
        return noted
