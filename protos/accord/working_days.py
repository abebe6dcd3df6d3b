"""The end of the next working day in England, where an emergency question is looked at by then.

    instant -> day in London -> first later day that is neither weekend nor bank holiday -> its last second

The days off come in as data and the instant as an argument; nothing here reads a clock or a table of time zones. A day
beyond the list of bank holidays counts as a working day, so that a list nobody has continued makes a review due early,
and never late.
"""

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

SECOND_NS: Final = 1_000_000_000
_SATURDAY: Final = 5
_CHANGE_OF_HOUR: Final = time(1, tzinfo=UTC)
"""Summer time begins and ends at one o'clock in the morning, Greenwich mean time (Summer Time Act 1972 s.1(2),
https://www.legislation.gov.uk/ukpga/1972/6/section/1)."""


def summer_time(instant: datetime) -> bool:
    """Whether clocks in England are an hour ahead: between the last Sundays of March and October (the Act's s.1(2)).

    Args:
        instant: In UTC.
    """
    start = datetime.combine(_last_sunday(instant.year, 3), _CHANGE_OF_HOUR)
    end = datetime.combine(_last_sunday(instant.year, 10), _CHANGE_OF_HOUR)
    return start <= instant < end


def _last_sunday(year: int, month: int) -> date:
    """The last Sunday of a month of 31 days."""
    last = date(year, month, 31)
    return last - timedelta(days=last.isoweekday() % 7)


def working(day: date, days_off: Collection[str]) -> bool:
    """Whether people work on this day.

    Args:
        day: A day in England.
        days_off: Bank holidays, each as 2026-12-25.
    """
    return day.weekday() < _SATURDAY and day.isoformat() not in days_off


def end_of_next_working_day_ns(at_ns: int, days_off: Collection[str]) -> int:
    """The last second of the first working day after the day of an instant.

    Args:
        at_ns: Nanoseconds since 1970, UTC.
        days_off: Bank holidays, each as 2026-12-25.

    Returns:
        Nanoseconds since 1970, UTC.
    """
    instant = datetime.fromtimestamp(at_ns // SECOND_NS, UTC)
    day = (instant + timedelta(hours=summer_time(instant))).date() + timedelta(days=1)
    while not working(day, days_off):
        day += timedelta(days=1)
    # Clocks change on Sundays, so a working day has one offset from its beginning to its end.
    noon = datetime.combine(day, time(12, tzinfo=UTC))
    end = datetime.combine(day, time(23, 59, 59, tzinfo=UTC)) - timedelta(hours=summer_time(noon))
    return int(end.timestamp()) * SECOND_NS
