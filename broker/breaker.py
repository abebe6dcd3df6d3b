"""Whether a node is asked, or passed over because lately it has only failed. Pure: every time is an argument.

    CLOSED --FAILURES in a row--> OPEN --its wait is over, or the node was heard of--> HALF_OPEN: one question tries
       ^                            ^                                                      |
       |                            +-------- the trial failed: open again, for longer ----+
       +------------------------------------------ the trial was answered -----------------+

A breaker saves waiting: a node that hangs would cost every question its whole deadline. What it keeps from a node is
*not reached* at once, never a no (M. Nygard, Release It!, 2nd edition, 2018, "Circuit Breaker").
"""

from dataclasses import dataclass, replace
from enum import StrEnum, auto
from typing import Final

FAILURES: Final = 5
"""So many failures in a row open it (T-NET-2). Fewer would pass a node over for one restart."""
FIRST_WAIT_S: Final = 1.0
"""Time before the first trial, seconds; each failed trial doubles it."""
LONGEST_WAIT_S: Final = 30.0
"""Most time between two trials of a node that says nothing, seconds."""
LIVELY_WAIT_S: Final = 5.0
"""Most time between two trials of a node that says something, though not what it was asked in time; seconds."""


class State(StrEnum):
    """What a breaker lets through: everything, nothing, or one question."""

    CLOSED = auto()
    OPEN = auto()
    HALF_OPEN = auto()


class Leave(StrEnum):
    """What one question may do: ask like any other, ask as the trial, or pass the node over."""

    ASK = auto()
    TRY = auto()
    PASS_OVER = auto()


class Outcome(StrEnum):
    """What came of asking a node.

    ANSWERED is a valid answer. FAILED is silence until the deadline, a broken stream or what is no valid answer.
    NEITHER says nothing of the node: it had no room and said so, or the question ended before it.
    """

    ANSWERED = auto()
    FAILED = auto()
    NEITHER = auto()


@dataclass(frozen=True, slots=True)
class Breaker:
    """One node's breaker. All times are of one clock that only goes forward, in seconds.

    Attributes:
        state: Where it stands.
        failures: Failures in a row while closed; fewer than open it.
        since_s: When it last opened.
        wait_s: How long after that a trial is due, whatever is heard; 0 while closed.
    """

    state: State = State.CLOSED
    failures: int = 0
    since_s: float = 0.0
    wait_s: float = 0.0


def leave(one: Breaker, now_s: float, attached_s: float, heard_s: float) -> tuple[Breaker, Leave]:
    """What a question that wants to go to the node now may do.

    Args:
        one: The node's breaker.
        now_s: Now.
        attached_s: When the node attached.
        heard_s: When it last sent anything.

    Returns:
        The breaker from now on, and the leave. Whoever gets ASK or TRY must say what came of it: `ended`.
    """
    match one.state:
        case State.CLOSED:
            return one, Leave.ASK
        case State.OPEN if _due(one, now_s, attached_s, heard_s):
            return replace(one, state=State.HALF_OPEN), Leave.TRY
        case _:
            return one, Leave.PASS_OVER


def _due(one: Breaker, now_s: float, attached_s: float, heard_s: float) -> bool:
    if attached_s > one.since_s:
        # A new stream is a new beginning, as after a restart.
        return True
    wait_s = min(one.wait_s, LIVELY_WAIT_S) if heard_s > one.since_s else one.wait_s
    return now_s >= one.since_s + wait_s


def ended(one: Breaker, given: Leave, outcome: Outcome, now_s: float, failures: int = FAILURES) -> Breaker:
    """The breaker after a question that was let through.

    Args:
        one: The node's breaker now; others may have changed it since the leave was given.
        given: The leave it had, ASK or TRY.
        outcome: What came of it.
        now_s: Now.
        failures: How many failures in a row open it.
    """
    match outcome, one.state:
        case Outcome.ANSWERED, _:
            return Breaker()
        case Outcome.FAILED, State.CLOSED if one.failures + 1 < failures:
            return replace(one, failures=one.failures + 1)
        case Outcome.FAILED, State.CLOSED:
            return Breaker(State.OPEN, 0, now_s, FIRST_WAIT_S)
        case Outcome.FAILED, State.HALF_OPEN if given is Leave.TRY:
            return Breaker(State.OPEN, 0, now_s, min(2 * one.wait_s, LONGEST_WAIT_S))
        case Outcome.NEITHER, State.HALF_OPEN if given is Leave.TRY:
            # Nothing was learnt: the next question tries.
            return replace(one, state=State.OPEN)
        case _:
            # A straggler from before it opened.
            return one
