"""From a catalogue question and people who were found to yes, no or cannot say; never rows, never words from a record.

    question, person ids -> fresh enough? -> one SELECT of the mapping -> Yes | No | CannotSay(cause)

* Records older than the question allows answer neither yes nor no.
* Anything that could not be read, or that does not add up, is *cannot say*: a contact with an unreadable date must not
  read as no contact. The cause stays inside the agency (T-LNK-2).
* An answer has three values and no truth value.
"""

import calendar
import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from accord.catalogue import Question
from accord.reasons import Problem
from agency_node.mapping import LONG_AGO, Found
from agency_node.mapping_file import ContactRoute

CLOCK_SKEW_NS: Final = 35_000_000_000
"""Records may seem this much newer than the question; clocks in a federation differ by up to 35 seconds."""

_ZONES: Final = datetime.timedelta(days=1)
"""A record's day may be one ahead of the day in UTC."""


class Cause(StrEnum):
    """Why the agency cannot say. For its own ledger only."""

    STALE = "stale"
    UNREADABLE = "unreadable"
    NOT_MAPPED = "not_mapped"
    UNAVAILABLE = "records_unavailable"


class _NoTruth:
    """Answers that refuse to be a truth value: `if answer:` would hide one of three."""

    __slots__ = ()

    def __bool__(self) -> bool:
        """Refuse.

        Raises:
            TypeError: Always.
        """
        raise TypeError("an answer has no truth value; match on Yes, No and CannotSay")


@dataclass(frozen=True, slots=True)
class Yes(_NoTruth):
    """The agency found the person and the fact holds.

    Attributes:
        recency: OPEN_NOW, WITHIN_3M, WITHIN_12M, WITHIN_3Y, OLDER; "" where the question does not show it or the
            records have no date.
        contact: Whom to ring, or None.
        as_of_ns: How old the records are, nanoseconds since 1970.
    """

    recency: str
    contact: ContactRoute | None
    as_of_ns: int


@dataclass(frozen=True, slots=True)
class No(_NoTruth):
    """The agency looked, and the fact does not hold.

    Attributes:
        as_of_ns: How old the records are, nanoseconds since 1970.
    """

    as_of_ns: int


@dataclass(frozen=True, slots=True)
class CannotSay(_NoTruth):
    """The agency will not or cannot tell.

    Attributes:
        cause: For this agency's own ledger; hidden outside.
    """

    cause: Cause


Answer = Yes | No | CannotSay


class Records(Protocol):
    """What a look-up needs of the mapping (`agency_node.mapping.Records`)."""

    @property
    def questions(self) -> frozenset[str]:
        """Questions that the mapping binds."""

    def uses_since(self, question: str) -> bool:
        """Whether the question's query limits itself by date."""

    def answer(self, question: str, person_ids: Sequence[str], since: datetime.date) -> Found:
        """What the records say, in aggregates."""

    def as_of_ns(self) -> int:
        """How old the records are."""

    def contact(self, team: str) -> ContactRoute | None:
        """The route for a team key."""


def look_up(question: Question, person_ids: Sequence[str], records: Records, at_ns: int) -> Answer:
    """Answer a question about people who were found.

    Args:
        question: From the catalogue in force.
        person_ids: The agency's own numbers; one, or those of a family; at least one.
        records: The agency's records.
        at_ns: When it was asked, nanoseconds since 1970; recency and window count from its day (UTC).

    Raises:
        ValueError: Nobody is given.
    """
    if not person_ids:
        raise ValueError("a look-up needs somebody; for nobody there is not_known")
    fresh = not_known(question, records, at_ns)
    if not isinstance(fresh, No):
        return fresh
    today = _day(at_ns)
    since = LONG_AGO if question.window_days is None else today - datetime.timedelta(days=question.window_days)
    try:
        found = records.answer(question.id, person_ids, since)
        dated = records.uses_since(question.id)
    except Problem:
        return CannotSay(Cause.UNAVAILABLE)
    holds = _holds(question, found, since, dated)
    if found.doubtful or holds is None or (found.latest is not None and found.latest > today + _ZONES):
        return CannotSay(Cause.UNREADABLE)
    if not holds:
        return No(fresh.as_of_ns)
    recency = _recency(found, today) if question.shows_recency else ""
    return Yes(recency, records.contact(found.team), fresh.as_of_ns)


def not_known(question: Question, records: Records, at_ns: int) -> No | CannotSay:
    """The answer about somebody whom this agency does not know: no, if its records are fresh enough to tell.

    The caller has already seen that the index is complete and fresh.

    Args:
        question: From the catalogue in force.
        records: The agency's records.
        at_ns: When it was asked, nanoseconds since 1970.
    """
    if question.id not in records.questions:
        return CannotSay(Cause.NOT_MAPPED)
    try:
        as_of_ns = records.as_of_ns()
    except Problem:
        return CannotSay(Cause.UNAVAILABLE)
    age_ns = at_ns - as_of_ns
    # Records from the future have an age that nobody knows.
    if not -CLOCK_SKEW_NS <= age_ns <= question.freshness_limit_s * 1_000_000_000:
        return CannotSay(Cause.STALE)
    return No(as_of_ns)


def _holds(question: Question, found: Found, since: datetime.date, dated: bool) -> bool | None:
    """Whether the fact holds; None when the query does not say what the question needs, or contradicts itself."""
    if question.yes_when == "open":
        return found.open
    if found.count is None or (found.count == 0 and (found.latest is not None or found.open)):
        return None
    if found.count == 0 or dated or question.window_days is None:
        return found.count > 0
    # The query looks back without limit, so its latest date tells whether anything is inside the window.
    if found.open:
        return True
    return None if found.latest is None else found.latest >= since


def _recency(found: Found, today: datetime.date) -> str:
    if found.open:
        return "OPEN_NOW"
    if found.latest is None:
        return ""
    for months, band in ((3, "WITHIN_3M"), (12, "WITHIN_12M"), (36, "WITHIN_3Y")):
        if found.latest >= _months_before(today, months):
            return band
    return "OLDER"


def _months_before(day: datetime.date, months: int) -> datetime.date:
    """The same day of an earlier month, or that month's last."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return datetime.date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _day(at_ns: int) -> datetime.date:
    return datetime.datetime.fromtimestamp(at_ns // 1_000_000_000, datetime.UTC).date()
