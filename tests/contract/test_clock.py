"""A clock knows when it was set, and makes nothing of the time that simply passes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from accord.clock import STEP_NS, Clock

SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class Machine:
    """Both clocks of a machine."""

    wall: int = 1_795_312_800 * SECOND_NS
    running: int = 77
    clock: Clock = field(init=False)

    def __post_init__(self) -> None:
        self.clock = Clock(lambda: self.wall, lambda: self.running)

    def passes(self, seconds: float, set_by: float = 0.0) -> None:
        self.running += round(seconds * SECOND_NS)
        self.wall += round((seconds + set_by) * SECOND_NS)


@pytest.mark.parametrize("by_s", [-3_600.0, -30.0, -1.0, 1.0, 5.0, 3_600.0])
def test_a_clock_that_was_set_is_noticed_once(by_s: float) -> None:
    """T-OPS-2: however long after it is read next, and the time it tells is the one it was set to."""
    machine = Machine()
    machine.passes(1_000, by_s)

    assert [round(by_s * SECOND_NS)] == machine.clock.steps()
    assert [] == machine.clock.steps()
    assert machine.wall == machine.clock.now_ns()


def test_a_step_that_was_taken_back_is_two_steps() -> None:
    """T-OPS-2: what somebody read in between was wrong, so both are kept till they are asked for."""
    machine = Machine()
    machine.passes(1, 30)
    machine.clock.now_ns()
    machine.passes(1, -30)

    assert [30 * SECOND_NS, -30 * SECOND_NS] == machine.clock.steps()


@pytest.mark.parametrize("slews", [[0.0] * 500, [0.000_5] * 500, [-0.000_5] * 500])
def test_time_that_passes_is_no_step(slews: Sequence[float]) -> None:
    """A clock that a time server draws right, as fast as it may, is not called set: here by a quarter of a second."""
    machine = Machine()
    for slew in slews:
        machine.passes(1, slew)
        machine.clock.now_ns()

    assert [] == machine.clock.steps()


def test_a_process_that_was_stopped_between_two_readings_saw_no_step() -> None:
    """The control of busy machines: the clocks are read one after the other, and two seconds may lie between."""
    running = iter([0, 0, *[10 * SECOND_NS, 12 * SECOND_NS], *[13 * SECOND_NS] * 4])
    wall = iter([100 * SECOND_NS, 112 * SECOND_NS, 113 * SECOND_NS, 113 * SECOND_NS])
    clock = Clock(lambda: next(wall), lambda: next(running))

    assert 113 * SECOND_NS == clock.now_ns()
    assert [] == clock.steps()


def test_the_least_step_is_half_a_second() -> None:
    """The control of the threshold: a little less is none."""
    less, enough = Machine(), Machine()
    less.wall += STEP_NS - 1
    enough.wall += STEP_NS

    assert ([], [STEP_NS]) == (less.clock.steps(), enough.clock.steps())
