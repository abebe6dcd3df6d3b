"""How many questions may be in work at once: as many as are still heard of in good time. Pure.

What a machine and the nodes behind it can carry is not known beforehand and changes. With more in work than they can
carry, everything is late and agencies are *not reached*; so the number halves when a question was late, and creeps up
while none is, as a TCP sender's window does (V. Jacobson, "Congestion Avoidance and Control", SIGCOMM 1988; RFC 5681
section 3.1).
"""

from dataclasses import dataclass, replace
from typing import Final

FIRST: Final = 16
"""Where it starts; it doubles from there for each round of questions until the first is late."""
LEAST: Final = 4
"""Smallest size, unless settings say otherwise."""


@dataclass(frozen=True, slots=True)
class Window:
    """How many questions may be in work.

    Attributes:
        size: So many, a whole number rounded down; LEAST to the most that settings allow.
        doubling: Whether none was late yet.
        shrunk_s: When it last shrank, seconds; what began before then tells nothing of the size since.
    """

    size: float = FIRST
    doubling: bool = True
    shrunk_s: float = float("-inf")


def ended(
    one: Window, *, late: bool, full: bool, began_s: float, now_s: float, most: int, least: int = LEAST
) -> Window:
    """The window after a question has ended.

    Args:
        one: The window.
        late: Whether its agencies were heard late.
        full: Whether as many were in work as may be; a size that nobody needs says nothing about a larger one.
        began_s: When it came into work, seconds.
        now_s: Now, by the same clock.
        most: Largest size.
        least: Smallest size.
    """
    if late and began_s >= one.shrunk_s:
        return Window(max(float(least), one.size / 2), False, now_s)
    if late or not full:
        return one
    return replace(one, size=min(float(most), one.size + (1.0 if one.doubling else 1.0 / one.size)))
