"""What a database leaves out itself when only what changed since a time is wanted."""

import datetime
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import column, create_engine, select, table, text

from agency_node.adapters import older
from agency_node.adapters.older import changed_since
from agency_node.adapters.postgresql import PostgreSql
from agency_node.adapters.sqlite import SAFE_FUNCTIONS
from agency_node.mapping import _moment

MOMENTS = st.builds(
    lambda day, time: f"{day}T{time.replace(microsecond=0)}Z",
    st.dates(datetime.date(1000, 1, 1), datetime.date(2300, 12, 31)),
    st.times(),
) | st.sampled_from(["2019-01-01T00:00:00Z", "2019-01-01T10:00:00Z", "2024-02-29T23:59:59Z", "1970-01-01T00:00:01Z"])
NUMBERS = st.sampled_from(
    ["00", "01", "02", "06", "09", "10", "12", "13", "23", "24", "28", "29", "30", "31", "59", "60"]
)
TIMES = st.builds(
    lambda gap, hour, minute, more, zone: f"{gap}{hour}:{minute}{more}{zone}",
    st.sampled_from([" ", "T", "t", "  ", " T", ""]),
    NUMBERS,
    NUMBERS,
    st.sampled_from(["", ":00", ":59", ":60", ":30.5", ":30.123", ":30.123456", ":30.1234567", ":30,5", ".5"]),
    st.sampled_from(["", "Z", "z", " Z", "+00", "+00:00", "+01:00", "-11:30", "+23:59", " UTC", "   "]),
)
"""Times of day in and out of use, many of them wrong."""
DAYS = st.builds(
    lambda year, month, day, gap: f"{year}{gap}{month}{gap}{day}",
    st.sampled_from(["0000", "0001", "0999", "1000", "1900", "2000", "2019", "2023", "2024", "2999", "3000", "19"]),
    NUMBERS,
    NUMBERS,
    st.sampled_from(["-", "/", "", "."]),
)
WRITTEN = st.one_of(
    st.builds(str.__add__, DAYS, st.just("") | TIMES),
    st.dates(datetime.date(1990, 1, 1), datetime.date(2040, 1, 1)).map(str),
    st.builds("{} {}".format, st.dates(datetime.date(1990, 1, 1), datetime.date(2040, 1, 1)), st.times()),
    st.sampled_from(
        [
            "21/05/1988",
            "1.2.2019",
            "20-05-2019",
            "19.5.2019",
            "2020",
            "20 May 2019",
            "2019W017",
            " 2019-01-01 ",
            "2019-01-01\n",
            "2019-W01-1",
            "soon",
            "",
            "0",
            "٢٠١٩-01-01",
        ]
    ),
)
VALUES = st.one_of(
    WRITTEN,
    st.none(),
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.binary(max_size=12),
    WRITTEN.map(str.encode),
)


def left_out(values: list[Any], moment: str) -> list[Any]:
    """Those values whose rows SQLite leaves out; NULL would drop a row too, and count as neither."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE record (id INTEGER PRIMARY KEY, at)")
        connection.exec_driver_sql("INSERT INTO record (at) VALUES (?)", [(one,) for one in values])
        at = column("at")
        query = select(column("id"), ~changed_since(at, "sqlite")).select_from(table("record")).order_by("id")
        binds = older.bound(moment)
        rows = connection.execute(query, binds).all() if binds else []
        connection.exec_driver_sql("CREATE INDEX by_time ON record (at)")
        kept = select(column("id")).select_from(table("record")).where(changed_since(at, "sqlite"))
        through_index = set(connection.execute(kept, binds or {}).scalars()) if binds else set()
    assert {0, 1} >= {out for _, out in rows}
    assert through_index == {number for number, out in rows if not out}
    return [values[number - 1] for number, out in rows if out]


def long_ago(value: Any, moment: str) -> bool:
    """Whether a value is a text that is no time, and begins as a year or day before the day of a time does."""
    return isinstance(value, str) and _moment(value) == "" and "19" <= value[:2] <= "20" and value < moment[:10]


def stays(value: Any, moment: str) -> bool:
    """Whether reading the row here would keep it."""
    read = _moment(value)
    return read == "" or read >= moment


@settings(max_examples=300, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=20), MOMENTS)
def test_sqlite_leaves_out_no_row_that_reading_it_here_would_keep(values: list[Any], moment: str) -> None:
    """T-LNK-5: whatever the agency writes for a time, a changed record is never passed over.

    A text that is no time and begins as a day long before is left to the full pass.
    """
    kept_here = [one for one in left_out(values, moment) if stays(one, moment)]

    assert [] == [one for one in kept_here if not long_ago(one, moment)]


@settings(max_examples=500, deadline=None)
@given(WRITTEN, MOMENTS)
def test_a_server_leaves_out_no_row_that_reading_it_here_would_keep(written: str, moment: str) -> None:
    """T-LNK-5: the same of the form that servers match; `test_servers` tries it on real ones."""
    day, time = moment[:10], moment[11:19]
    earlier = written < day or (time != "00:00:00" and written[:10] == day and written[11:19] < time)
    out = earlier and re.search(older._REGEX, written) is not None

    assert not (out and stays(PostgreSql().plain(written), moment))


def test_what_is_plainly_older_is_left_out() -> None:
    """Control: a clause that is never true would make every refresh read everybody."""
    day = "2026-06-30"
    usual = [
        day,
        f"{day} 23:59:59",
        f"{day}T23:59:59Z",
        f"{day} 23:59:59.123456",
        f"{day}T23:59:59.123Z",
    ]

    assert [*usual, 1_780_000_000, 0.5] == left_out([*usual, 1_780_000_000, 0.5], "2026-07-01T00:00:00Z")
    assert usual[:1] == left_out(usual, "2026-06-30T23:59:59Z")
    assert [] == left_out(usual, "2026-06-30T00:00:00Z")
    assert all(re.search(older._REGEX, one) for one in usual)


def test_what_is_no_time_leaves_nobody_out() -> None:
    """An index that was built by an earlier version may hold another watermark."""
    assert older.bound("") is None
    assert older.bound("2026-07-01") is None
    assert older.bound("1970-01-01T00:00:00Z") is None


@pytest.mark.parametrize("declared", ["", "TEXT", "DATETIME", "INTEGER", "TEXT COLLATE NOCASE"])
def test_an_index_of_the_agencys_leads_past_what_is_older(declared: str) -> None:
    """One changed record of 100,000 must not cost a look at each; whatever type the column was declared with."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE TABLE record (id INTEGER PRIMARY KEY, at {declared})")
        connection.exec_driver_sql("CREATE INDEX by_time ON record (at)")
        people = text("SELECT id, at FROM record").columns(column("id"), column("at")).subquery("people")
        query = select(people.c.id).where(changed_since(people.c.at, "sqlite"))
        asked = query.params(older.bound("2026-07-01T10:00:00Z"))
        words = str(asked.compile(engine, compile_kwargs={"literal_binds": True}))
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}").all()
        rows = ["2026-06-20", "2026-06-30T12:00:00Z", "2026-07-01T10:00:00Z", "02/07/2026", "20-07-2026", "soon"]
        connection.exec_driver_sql("INSERT INTO record (at) VALUES (?)", [(one,) for one in [*rows, None]])
        kept = connection.execute(asked).scalars().all()

    assert not any("SCAN" in row[-1] for row in plan)
    assert [3, 4, 5, 6, 7] == sorted(kept)


def test_the_last_week_of_a_year_reaches_into_the_next() -> None:
    """T-LNK-5: ISO 8601 counts the 3rd of January 2027 to the last week of 2026."""
    assert [] == left_out(["2026-W53-7", "2027-01-02T23:59:59-23:59"], "2027-01-03T00:00:00Z")


def test_the_clause_reads_only() -> None:
    """The node's own guard lets every function of it through."""
    words = str(changed_since(column("at"), "sqlite"))
    called = {name.lower() for name in re.findall(r"(\w+)\(", words)} - {"and", "or", "in"}

    assert called <= SAFE_FUNCTIONS
