"""As many questions are in work as are heard of in good time."""

import hypothesis.strategies as st
from hypothesis import given

from broker import window
from broker.window import FIRST, LEAST, Window

MOST = 64


def rounds(one: Window, capacity: float, count: int, start_s: float = 0.0) -> tuple[list[int], float]:
    """Sizes after so many rounds, each of as many questions as may be, by a machine that carries so many a second.

    A question is late when its round takes more than a second.
    """
    sizes, now_s = [], start_s
    for _ in range(count):
        asked, began_s = int(one.size), now_s
        now_s += asked / capacity
        for _ in range(asked):
            late = now_s - began_s > 1.0
            one = window.ended(one, late=late, full=True, began_s=began_s, now_s=now_s, most=MOST)
        sizes.append(int(one.size))
    return sizes, now_s


def test_a_fast_machine_is_soon_given_all_that_settings_allow() -> None:
    """It doubles until the first question is late."""
    assert [32, 64, 64] == rounds(Window(), 1_000.0, 3)[0]


def test_a_slow_machine_is_given_what_it_can_carry() -> None:
    """T-POL-5: eight a second, each within a second: eight at once, give or take."""
    sizes = rounds(Window(), 8.0, 60)[0]

    assert {4, 5, 6, 7, 8, 9} >= set(sizes[1:])
    assert sizes[0] == FIRST // 2


def test_many_late_questions_of_one_moment_count_once() -> None:
    """What began before the size shrank says nothing about the size since."""
    one = Window()
    for _ in range(FIRST):
        one = window.ended(one, late=True, full=True, began_s=1.0, now_s=3.0, most=MOST)

    assert FIRST / 2 == one.size


def test_a_size_that_nobody_needs_does_not_grow() -> None:
    """One question now and then shows nothing of what a hundred would meet."""
    one = Window()
    for _ in range(1_000):
        one = window.ended(one, late=False, full=False, began_s=1.0, now_s=1.1, most=MOST)

    assert Window() == one


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0, 100), st.floats(0, 100)), max_size=200))
def test_no_size_is_out_of_bounds(ends: list[tuple[bool, bool, float, float]]) -> None:
    """Whatever happens, something is in work, and never more than settings allow."""
    one = Window()
    for late, full, began_s, took_s in ends:
        one = window.ended(one, late=late, full=full, began_s=began_s, now_s=began_s + took_s, most=MOST)

        assert LEAST <= one.size <= MOST
