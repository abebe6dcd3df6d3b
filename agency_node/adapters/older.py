"""Which rows a database may leave out itself when only what changed since a time is wanted.

    begins as a year or a day long before            -> passed over; an index on the column leads past it (SQLite)
    in a form whose order as text is that of time,
    and before                                       -> left out there
    anything else                                    -> read, and looked at here

What is left out there is *certainly* older: its time of change stands in ISO 8601
(https://www.iso.org/iso-8601-date-and-time-format.html), in UTC or without a zone (which is read as UTC), names a day
that exists, and names one before the day of the time that is asked for. So nothing is left out that reading it here
would keep: other zones, British dates, days that do not exist and what is no time at all come through. Of what begins
as a day long before, only what is no time at all would be kept here; a full pass finds it.

The clauses are put together once for each mapping; the time is bound.
"""

import datetime
import re
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    LargeBinary,
    String,
    Text,
    and_,
    bindparam,
    case,
    cast,
    false,
    func,
    literal,
    or_,
)

from agency_node.adapters.selects import Dialect

_MOMENT: Final = re.compile(r"([12][0-9]{3}-[0-9]{2}-[0-9]{2})T([0-9]{2}:[0-9]{2}:[0-9]{2})Z")
_FIRST: Final = "1970-01-01T00:00:00Z"
"""Before it a fraction of a second counts upwards when a time is read."""
_LAST_S: Final = 2**33
"""Numbers from here on are no seconds since 1970."""

_DAY: Final = "[12][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]"
_SECOND: Final = f"{_DAY}[ T][0-2][0-9]:[0-5][0-9]:[0-5][0-9]"
_GLOBS: Final = {
    10: _DAY,
    19: _SECOND,
    20: f"{_SECOND}Z",
    **{23 + more: f"{_SECOND}.{'[0-9]' * 3}{'Z' * more}" for more in (0, 1)},
    **{26 + more: f"{_SECOND}.{'[0-9]' * 6}{'Z' * more}" for more in (0, 1)},
}
"""Forms for SQLite, by length; it matches a whole text (https://www.sqlite.org/lang_expr.html#glob)."""

_REGEX: Final = (
    "^[12][0-9]{3}-"
    "((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)"
    "([ T]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,6})?(Z|[+]00)?)?$"
)
"""The same for servers, days that exist among it (save 29 February, which is read); no backslash, which MariaDB
doubles. PostgreSQL writes a time with a zone with +00, since connections are held to UTC."""


_LONG_AGO: Final = ("19", "20")
"""How the years begin that are passed over: of them, no British date that begins with its day stands between."""


def changed_since(changed_at: ColumnElement[Any], dialect: Dialect) -> ColumnElement[bool]:
    """A clause that is true of rows which changed at a time or later, or may have.

    Args:
        changed_at: The column, of any type.
        dialect: That of the database.
    """
    perhaps = ~certainly_older(changed_at, dialect)
    return and_(_not_long_ago(changed_at), perhaps) if dialect == "sqlite" else perhaps


def bound(moment: str) -> Mapping[str, object] | None:
    """What the clauses bind for a time; None for what is no such time, or lies before every number of seconds.

    Args:
        moment: As 2026-07-01T10:00:00Z.
    """
    found = _MOMENT.fullmatch(moment)
    if found is None or moment <= _FIRST:
        return None
    at = datetime.datetime.fromisoformat(moment)
    day, time = found.groups()
    return {
        "older_day": day,
        # A day alone is its first second, and nothing of that day is older than that.
        "older_time": "" if time == "00:00:00" else time,
        "older_seconds": min(int(at.timestamp()), _LAST_S),
        "older_from": _oldest_day(at.date()),
    }


def certainly_older(changed_at: ColumnElement[Any], dialect: Dialect) -> ColumnElement[bool]:
    """A clause that is true of rows which certainly changed before a time, and never NULL.

    Args:
        changed_at: The column, of any type.
        dialect: That of the database.
    """
    if dialect == "sqlite":
        kind = func.typeof(changed_at)
        # SQLite turns the 31st of June into the 1st of July, so a day that it gives back unchanged exists.
        exists = func.date(changed_at) == func.substr(changed_at, 1, 10)
        globs = {length: changed_at.op("GLOB", is_comparison=True)(glob) for length, glob in _GLOBS.items()}
        form: ColumnElement[bool] = case(globs, value=func.length(changed_at), else_=false())
        older = or_(
            and_(kind == "text", _before(changed_at), form, exists),
            and_(kind.in_(["integer", "real"]), changed_at >= 0, changed_at < _SECONDS),
        )
    else:
        # By bytes: a language's own order may pass over the marks between digits.
        bytewise = cast(changed_at, LargeBinary) if dialect == "mysql" else cast(changed_at, Text).collate("C")
        written: ColumnElement[Any] = bytewise
        matches = "REGEXP" if dialect == "mysql" else "~"
        form = written.op(matches, is_comparison=True)(literal(_REGEX, String))
        older = and_(_before(written), form)
    return func.coalesce(older, false())


_DAY_ASKED: Final = bindparam("older_day", type_=String)
_TIME_ASKED: Final = bindparam("older_time", type_=String)
_SECONDS: Final = bindparam("older_seconds", type_=BigInteger)
_FROM: Final = bindparam("older_from", type_=String)


def _before(written: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a text in one of the forms stands for an earlier second."""
    same_day = func.substr(written, 1, 10) == _DAY_ASKED
    return or_(written < _DAY_ASKED, and_(same_day, func.substr(written, 12, 8) < _TIME_ASKED))


def _not_long_ago(changed_at: ColumnElement[Any]) -> ColumnElement[bool]:
    """Everything but numbers of seconds before the time, and texts that begin with a year or day long before it.

    Each part is one stretch of the order in which SQLite sorts: nothing, numbers, texts, bytes
    (https://www.sqlite.org/datatype3.html#sort_order); so each is found in an index
    (https://www.sqlite.org/optoverview.html#or_optimizations). No bound looks like a number, or a column of numbers
    would take it for one (https://www.sqlite.org/datatype3.html#type_conversions_prior_to_comparison).
    """
    first, second = _LONG_AGO
    # Where there is no index, a row that is older costs one comparison for each.
    return or_(
        changed_at >= _FROM,
        and_(changed_at < f"{second}/~", changed_at >= f"{first}:"),
        and_(changed_at < f"{first}00-", changed_at >= ""),
        and_(changed_at < "", changed_at >= _SECONDS),
        changed_at < 0,
        changed_at.is_(None),
    )


def _oldest_day(day: datetime.date) -> str:
    """The text from which on a time in any zone, or in ISO 8601's weeks, may be of this day or later."""
    if not 2001 <= day.year <= 2099:
        return ""
    before = day - datetime.timedelta(days=1)
    # The last week of a year ends in the next one by the 3rd of January.
    return f"{before.year - 1}-W" if (before.month, before.day) < (1, 8) else before.isoformat()
