"""What the index command says: how fast, how long yet, and whether the figures are within their limits."""

import pytest

from agency_node.cli.index import Pace, said, verdicts
from agency_node.exposure import COVERAGE_LIMIT, STRANGERS_LIMIT, Chance
from agency_node.index import Progress, Stage
from agency_node.survey import Figures


def paced(total: int, *heard: tuple[float, int]) -> Pace:
    pace = Pace(total)
    for now_s, done in heard:
        pace.heard(done, now_s)
    return pace


def test_the_pace_is_that_of_the_last_part_and_not_since_the_start() -> None:
    """Unchanged people go by in a moment; those that need tokens must not look as quick."""
    quick_then_slow = paced(3_000, (0, 0), (10, 1_000), (40, 1_010), (60, 1_020), (80, 1_030))

    assert 0.5 == quick_then_slow.per_second()
    assert "about 66 min left" == quick_then_slow.left()


@pytest.mark.parametrize(
    ("rate", "words"),
    [(100, "about 9 s left"), (1, "about 15 min left"), (0.1, "about 2.5 h left"), (0, "")],
)
def test_time_left_is_said_in_words_that_fit(rate: float, words: str) -> None:
    """Nobody wants seconds of an hour."""
    assert words == paced(1_000, (0, 100 - round(10 * rate)), (10, 100)).left()


def test_nothing_is_said_of_what_is_not_known() -> None:
    """On the first pass, or before the first step."""
    assert ("", "", 0.0) == (Pace().left(), paced(0, (0, 0), (1, 10)).left(), paced(5, (1, 1), (1, 2)).per_second())


def test_a_line_says_what_is_done_how_fast_and_how_long() -> None:
    """Off the terminal it is all that an operator sees."""
    pace = paced(200, (0, 0), (10, 100))

    reading = said(Progress(100, 200, 30), pace)
    measuring = said(Progress(200, 200, 30, Stage.MEASURING), pace)

    assert (
        "Indexing people: 100 of 200 people, 30 new or changed, 70 unchanged, 10 people/s, about 10 s left" == reading
    )
    assert measuring.startswith("Measuring what guessing and chance could open: 200 of 200 people")


def figures(worst: float, strangers: float, sample: int) -> Figures:
    return Figures(sample, {"dob.x pc.x": worst, "first.x dob.x mid": worst / 2}, Chance(0.01, 0.02, strangers))


@pytest.mark.parametrize(
    ("guessing", "strangers", "sample", "words"),
    [
        (COVERAGE_LIMIT, STRANGERS_LIMIT, 1_000, ("within the limit of 0.5%", "within the limit of 0.1%")),
        (COVERAGE_LIMIT * 1.01, 0.0, 1_000, ("over the limit of 0.5%", "within the limit of 0.1%")),
        (0.0, STRANGERS_LIMIT * 1.01, 1_000, ("within the limit of 0.5%", "over the limit of 0.1%")),
        (0.5, 0.5, 999, ("too few people to tell", "too few people to tell")),
    ],
)
def test_figures_stand_beside_their_limits(
    guessing: float, strangers: float, sample: int, words: tuple[str, str]
) -> None:
    """T-LNK-6: an operator need not know the limits by heart, and is not alarmed by a handful of people."""
    told = verdicts(figures(guessing, strangers, sample))

    assert words[0] in told["guessing"]
    assert words[1] in told["chance"]
    assert "dob.x pc.x" in told["guessing"]


def test_nobody_at_all_has_no_worst_family() -> None:
    """An empty sample gives no figures, and no failure."""
    assert "no family" in verdicts(Figures(0, {}, Chance(0, 0, 0)))["guessing"]
