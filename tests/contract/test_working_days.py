"""The day by which an emergency question is looked at, by England's calendar."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as some

from accord.canonical import from_rfc3339, rfc3339
from accord.working_days import SECOND_NS, end_of_next_working_day_ns, summer_time, working

DAYS_OFF: Final = frozenset(
    json.loads((Path(__file__).parents[2] / "policies/data/calendar/england.json").read_text())["days"]
)


@pytest.mark.parametrize(
    ("asked", "due"),
    [
        ("2026-11-23T09:00:00.000Z", "2026-11-24T23:59:59.000Z"),
        ("2026-11-23T00:00:00.000Z", "2026-11-24T23:59:59.000Z"),
        ("2026-11-20T17:00:00.000Z", "2026-11-23T23:59:59.000Z"),
        ("2026-11-22T01:23:45.000Z", "2026-11-23T23:59:59.000Z"),
        # Christmas Day is a Friday and Boxing Day's substitute the Monday after.
        ("2026-12-24T12:00:00.000Z", "2026-12-29T23:59:59.000Z"),
        ("2027-12-24T12:00:00.000Z", "2027-12-29T23:59:59.000Z"),
        # Easter, with clocks an hour ahead: the day ends at eleven in the evening, Greenwich mean time.
        ("2026-04-02T12:00:00.000Z", "2026-04-07T22:59:59.000Z"),
        # Half past eleven in the evening, Greenwich mean time, is the next day in summer.
        ("2026-06-15T22:59:59.000Z", "2026-06-16T22:59:59.000Z"),
        ("2026-06-15T23:30:00.000Z", "2026-06-17T22:59:59.000Z"),
        # Clocks change on the Sunday between.
        ("2026-03-27T12:00:00.000Z", "2026-03-30T22:59:59.000Z"),
        ("2026-10-23T12:00:00.000Z", "2026-10-26T23:59:59.000Z"),
    ],
)
def test_a_question_is_looked_at_by_the_end_of_the_next_working_day(asked: str, due: str) -> None:
    """LAW-20: neither the day itself, nor weekends, nor bank holidays count."""
    assert due == rfc3339(end_of_next_working_day_ns(from_rfc3339(asked), DAYS_OFF))


@pytest.mark.parametrize(
    ("instant", "ahead"),
    [
        ("2026-03-29T00:59:59", False),
        ("2026-03-29T01:00:00", True),
        ("2026-10-25T00:59:59", True),
        ("2026-10-25T01:00:00", False),
        ("2028-03-26T01:00:00", True),
        ("2028-10-29T01:00:00", False),
    ],
)
def test_summer_time_begins_and_ends_as_the_act_says(instant: str, ahead: bool) -> None:
    """Summer Time Act 1972 s.1(2): at one o'clock, Greenwich mean time, on the last Sundays of March and October."""
    assert ahead == summer_time(datetime.fromisoformat(instant).replace(tzinfo=UTC))


@given(some.integers(1_700_000_000, 2_200_000_000), some.booleans())
def test_the_day_is_a_working_day_and_none_was_passed_over(asked_s: int, known: bool) -> None:
    """Against a slower count: the due day is the first after the day of the question on which people work."""
    days_off = DAYS_OFF if known else frozenset[str]()
    at = datetime.fromtimestamp(asked_s, UTC)
    found = datetime.fromtimestamp(end_of_next_working_day_ns(asked_s * SECOND_NS, days_off) // SECOND_NS, UTC)
    asked_on, due_on = _london(at), _london(found)
    between = [asked_on + timedelta(days=number) for number in range(1, (due_on - asked_on).days)]

    assert working(due_on, days_off)
    assert [] == [day for day in between if working(day, days_off)]
    assert _london(found + timedelta(seconds=1)) == due_on + timedelta(days=1)


def _london(at: datetime) -> date:
    return (at + timedelta(hours=summer_time(at))).date()


def test_a_list_that_nobody_continued_makes_a_review_early_and_never_late() -> None:
    """Without the list, Christmas Day counts as a working day."""
    asked = from_rfc3339("2026-12-24T12:00:00.000Z")

    assert "2026-12-25T23:59:59.000Z" == rfc3339(end_of_next_working_day_ns(asked, frozenset()))


def test_the_list_has_eight_days_a_year_and_none_at_a_weekend() -> None:
    """What the Banking and Financial Dealings Act 1971 and the proclamations give in an ordinary year."""
    days = [date.fromisoformat(day) for day in DAYS_OFF]
    years = {day.year for day in days}

    assert {8} == {sum(day.year == year for day in days) for year in years}
    assert [] == [day for day in days if day.weekday() > 4]
