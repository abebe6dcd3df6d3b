"""Which rows a database may leave out itself when only what changed since a time is wanted.

    changed_at < day, in one of the forms whose order as text is that of time -> left out there
    anything else                                                            -> read, and looked at here

A clause says of a row that it is *certainly* older: its time of change stands in ISO 8601
(https://www.iso.org/iso-8601-date-and-time-format.html), in UTC or without a zone (which is read as UTC), names a day
that exists, and names one before the day of the time that is asked for. So nothing is left out that reading it here
would keep: other zones, British dates, days that do not exist and what is no time at all come through.
"""

import datetime
import re
from typing import Any, Final

from sqlalchemy import ColumnElement, LargeBinary, String, Text, and_, case, cast, false, func, literal, or_

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


def certainly_older(changed_at: ColumnElement[Any], moment: str, dialect: Dialect) -> ColumnElement[bool]:
    """A clause that is true of rows which certainly changed before a time, and never NULL.

    Args:
        changed_at: The column, of any type.
        moment: The time, as 2026-07-01T10:00:00Z; of another text, the clause is true of no row.
        dialect: That of the database.
    """
    found = _MOMENT.fullmatch(moment)
    if found is None or moment <= _FIRST:
        return false()
    day, time = found.groups()
    if dialect == "sqlite":
        seconds = min(int(datetime.datetime.fromisoformat(moment).timestamp()), _LAST_S)
        kind = func.typeof(changed_at)
        # SQLite turns the 31st of June into the 1st of July, so a day that it gives back unchanged exists.
        exists = func.date(changed_at) == func.substr(changed_at, 1, 10)
        globs = {length: changed_at.op("GLOB", is_comparison=True)(glob) for length, glob in _GLOBS.items()}
        form: ColumnElement[bool] = case(globs, value=func.length(changed_at), else_=false())
        older = or_(
            and_(kind == "text", _before(changed_at, day, time), form, exists),
            and_(kind.in_(["integer", "real"]), changed_at >= 0, changed_at < seconds),
        )
    else:
        # By bytes: a language's own order may pass over the marks between digits.
        bytewise = cast(changed_at, LargeBinary) if dialect == "mysql" else cast(changed_at, Text).collate("C")
        written: ColumnElement[Any] = bytewise
        matches = "REGEXP" if dialect == "mysql" else "~"
        form = written.op(matches, is_comparison=True)(literal(_REGEX, String))
        older = and_(_before(written, day, time), form)
    return func.coalesce(older, false())


def _before(written: ColumnElement[Any], day: str, time: str) -> ColumnElement[bool]:
    """Whether a text in one of the forms stands for an earlier second; a day alone is its first one."""
    earlier = written < literal(day, String)
    if time == "00:00:00":
        return earlier
    return or_(earlier, and_(func.substr(written, 1, 10) == day, func.substr(written, 12, 8) < time))
