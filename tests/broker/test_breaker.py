"""A breaker passes a node over that only fails, tries it now and then, and takes it back as soon as it answers."""

from dataclasses import dataclass, field

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from broker import breaker
from broker.breaker import (
    FAILURES,
    FIRST_WAIT_S,
    LIVELY_WAIT_S,
    LONGEST_WAIT_S,
    Breaker,
    Leave,
    Outcome,
    State,
    ended,
    leave,
)


def opened(at_s: float = 100.0, trials: int = 0) -> Breaker:
    """A breaker that opened, and whose trials failed so often since; the last failure was at `at_s`."""
    one = Breaker()
    for _ in range(FAILURES):
        one = ended(one, Leave.ASK, Outcome.FAILED, at_s)
    for _ in range(trials):
        one, allowed = leave(one, at_s + LONGEST_WAIT_S, 0.0, 0.0)
        assert allowed is Leave.TRY
        one = ended(one, allowed, Outcome.FAILED, at_s)
    return one


def test_five_failures_in_a_row_open_it() -> None:
    """T-NET-2: the sixth question does not wait for the node any more."""
    one, given_leave, waited = Breaker(), Leave.ASK, 0
    while (given_leave := leave(one, 1.0, 0.0, 0.0)[1]) is Leave.ASK:
        one = ended(one, given_leave, Outcome.FAILED, 1.0)
        waited += 1

    assert (5, State.OPEN, Leave.PASS_OVER) == (waited, one.state, given_leave)


def test_an_answer_between_failures_starts_the_count_anew() -> None:
    """A node that is slow now and then is not passed over."""
    one = Breaker()
    for _ in range(100):
        for outcome in [Outcome.FAILED] * (FAILURES - 1) + [Outcome.ANSWERED]:
            one = ended(one, Leave.ASK, outcome, 1.0)

    assert Breaker() == one


def test_what_says_nothing_of_the_node_does_not_count() -> None:
    """A node that says that it is too busy is alive."""
    one = Breaker()
    for _ in range(100):
        one = ended(one, Leave.ASK, Outcome.NEITHER, 1.0)

    assert Breaker() == one


def test_one_question_tries_and_the_others_do_not_wait_for_it() -> None:
    """Half open: exactly one leave until its outcome is known."""
    one, first = leave(opened(100.0), 100.0 + FIRST_WAIT_S, 0.0, 0.0)
    one, second = leave(one, 100.0 + 10 * LONGEST_WAIT_S, 0.0, 0.0)

    assert (Leave.TRY, Leave.PASS_OVER, State.HALF_OPEN) == (first, second, one.state)


def test_a_trial_that_is_answered_closes_it() -> None:
    """From then on it is a node like any other."""
    one, allowed = leave(opened(100.0), 100.0 + FIRST_WAIT_S, 0.0, 0.0)

    assert Breaker() == ended(one, allowed, Outcome.ANSWERED, 102.0)


def test_each_trial_that_fails_doubles_the_wait_to_a_limit() -> None:
    """T-NET-2: a node that stays away costs ever fewer questions their time."""
    waits = [opened(trials=trials).wait_s for trials in range(8)]

    assert [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0] == waits


def test_a_trial_that_came_to_nothing_is_followed_by_another() -> None:
    """A question that was called off must not leave the node passed over for ever."""
    one, allowed = leave(opened(100.0), 101.0, 0.0, 0.0)
    one, again = leave(ended(one, allowed, Outcome.NEITHER, 101.0), 101.0, 0.0, 0.0)

    assert Leave.TRY is again


@pytest.mark.parametrize(
    ("attached_s", "heard_s", "after_s", "expected"),
    [
        (50.0, 50.0, LONGEST_WAIT_S - 0.1, Leave.PASS_OVER),
        (50.0, 50.0, LONGEST_WAIT_S, Leave.TRY),
        (50.0, 100.5, LIVELY_WAIT_S - 0.1, Leave.PASS_OVER),
        (50.0, 100.5, LIVELY_WAIT_S, Leave.TRY),
        (100.5, 100.5, 0.6, Leave.TRY),
    ],
    ids=["silent", "silent for long", "heard of", "heard of for a while", "attached anew"],
)
def test_a_node_that_shows_itself_is_tried_sooner(
    attached_s: float, heard_s: float, after_s: float, expected: Leave
) -> None:
    """A process that hung and goes on, or was started again, is not passed over for half a minute more."""
    assert expected is leave(opened(100.0, trials=8), 100.0 + after_s, attached_s, heard_s)[1]


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6), st.integers(0, 20))
def test_no_breaker_stays_open_for_ever(at_s: float, attached_s: float, heard_s: float, trials: int) -> None:
    """Whatever happened: after the longest wait the next question tries."""
    one = opened(at_s, trials)

    assert leave(one, one.since_s + LONGEST_WAIT_S, attached_s, heard_s)[1] is Leave.TRY


@dataclass
class Asked:
    """A question on its way to the node."""

    given: Leave
    number: int


@dataclass
class Seen:
    """What an onlooker counts beside the breaker."""

    failed_in_a_row: int = 0
    way: list[Asked] = field(default_factory=list)


class Life(RuleBasedStateMachine):
    """Questions that go, overtake each other and end, at a node that does as it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.seen, self.number = Breaker(), Seen(), 0
        self.now_s, self.attached_s, self.heard_s = 1.0, 0.5, 0.5
        self.opened_s: float | None = None

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.5, 1.0, 6.0, 31.0]))
    def time_goes_on(self, seconds: float) -> None:
        self.now_s += seconds

    @rule(anew=st.booleans())
    def node_shows_itself(self, anew: bool) -> None:
        self.heard_s = self.now_s
        self.attached_s = self.now_s if anew else self.attached_s

    @rule()
    def question_wants_to_go(self) -> None:
        before = self.one
        self.one, allowed = leave(self.one, self.now_s, self.attached_s, self.heard_s)
        if before.state is State.CLOSED:
            assert allowed is Leave.ASK
        else:
            assert allowed is not Leave.ASK
        if before.state is State.HALF_OPEN:
            assert allowed is Leave.PASS_OVER
        if allowed is not Leave.PASS_OVER:
            self.number += 1
            self.seen.way.append(Asked(allowed, self.number))

    @precondition(lambda self: self.seen.way)
    @rule(data=st.data(), outcome=st.sampled_from(Outcome))
    def question_ends(self, data: st.DataObject, outcome: Outcome) -> None:
        asked = self.seen.way.pop(data.draw(st.integers(0, len(self.seen.way) - 1)))
        before = self.one
        self.one = ended(self.one, asked.given, outcome, self.now_s)
        if outcome is Outcome.ANSWERED:
            self.seen.failed_in_a_row = 0
            assert self.one == Breaker()
        if outcome is Outcome.FAILED and before.state is State.CLOSED:
            self.seen.failed_in_a_row += 1
        if before.state is State.CLOSED and self.one.state is State.OPEN:
            assert self.seen.failed_in_a_row == FAILURES
            self.seen.failed_in_a_row = 0
        if outcome is Outcome.FAILED and before.state is not State.CLOSED:
            assert self.one.state is not State.CLOSED

    @invariant()
    def half_open_means_that_somebody_tries(self) -> None:
        # Or it would stay half open for ever.
        if self.one.state is State.HALF_OPEN:
            assert any(asked.given is Leave.TRY for asked in self.seen.way)

    @invariant()
    def closed_means_fewer_failures_than_five(self) -> None:
        assert self.one.failures < FAILURES
        assert (self.one.wait_s == 0) == (self.one.state is State.CLOSED)
        assert self.one.wait_s <= LONGEST_WAIT_S


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


def test_without_the_count_it_would_never_open() -> None:
    """The control of the tests above: the same failures, with an answer put between them, open nothing."""
    outcomes = [Outcome.FAILED] * 4 + [Outcome.ANSWERED] + [Outcome.FAILED] * 4
    one = Breaker()
    for outcome in outcomes:
        one = breaker.ended(one, Leave.ASK, outcome, 1.0)

    assert (State.CLOSED, 4) == (one.state, one.failures)
