"""The ways into an agency's records: read-only, bounded in time, and sound or refused."""

import contextlib
import os
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from agency_node.adapters import RecordsUnavailable
from agency_node.adapters.csv_drop import CsvReader, CsvTable
from agency_node.adapters.sqlite import SqliteSource
from agency_node.adapters.tables import Column, TableSource, read_date

PEOPLE = (Column("id", "integer"), Column("name", "text"), Column("born", "date"), Column("open", "boolean"))
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
WRITES = [
    "INSERT INTO people VALUES (9, 'x', NULL, 0)",
    "UPDATE people SET name = 'x'",
    "DELETE FROM people",
    "DROP TABLE people",
    "CREATE TABLE more (x)",
    "CREATE TEMP TABLE more (x)",
    "ATTACH ':memory:' AS other",
    "PRAGMA query_only = OFF",
    "PRAGMA user_version = 3",
    "VACUUM",
    "SELECT load_extension('x')",
    "SELECT readfile('/etc/hostname')",
    "SELECT randomblob(100000000)",
]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A small database such as an agency might have."""
    path = tmp_path / "odd name?#%.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE people (id INTEGER, name TEXT, born TEXT, open INTEGER);"
        "INSERT INTO people VALUES (1, 'Ada', '1988-05-21', 1), (2, 'Bo', NULL, 0);"
    )
    connection.close()
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one CSV file, as Excel writes it: byte order mark, CR LF."""
    drop = tmp_path / "drop"
    drop.mkdir()
    (drop / "people.csv").write_bytes(b"\xef\xbb\xbfid,name,born,open\r\n1,Ada,21/05/1988,Y\r\n2,Bo,,no\r\n")
    return drop


def drop(folder: Path) -> TableSource:
    """The folder's source."""
    return TableSource(CsvReader(folder, {"people": CsvTable("people.csv", PEOPLE)}), timeout_s=0.3)


@pytest.mark.parametrize("write", WRITES)
def test_a_write_to_the_agencys_database_is_refused(database: Path, write: str) -> None:
    """A node may read its agency's records and change nothing, whatever the mapping says."""
    source = SqliteSource(database)
    before = database.read_bytes()

    with pytest.raises(RecordsUnavailable):
        source.rows(text(write), {})

    assert before == database.read_bytes()


@pytest.mark.parametrize("write", WRITES)
def test_a_write_to_a_csv_drop_is_refused(folder: Path, write: str) -> None:
    """The copy in memory is as read-only as a database."""
    source = drop(folder)

    with pytest.raises(RecordsUnavailable):
        source.rows(text(write), {})

    assert [(2,)] == source.rows(text("SELECT count(*) FROM people"), {})


def test_the_guard_is_what_refuses(database: Path) -> None:
    """Negative control: without the guard the same statement changes the file."""
    connection = sqlite3.connect(database)
    connection.execute("DELETE FROM people")
    connection.commit()
    connection.close()

    assert [(0,)] == SqliteSource(database).rows(text("SELECT count(*) FROM people"), {})


def test_a_slow_query_is_stopped_in_a_database(database: Path) -> None:
    """A query that would never end is stopped after its time, and the next one works."""
    source = SqliteSource(database, timeout_s=0.2)

    with pytest.raises(RecordsUnavailable) as caught:
        source.rows(text(ENDLESS), {})

    assert ("slow", [(2,)]) == (caught.value.cause, source.rows(text("SELECT count(*) FROM people"), {}))


def test_a_slow_query_is_stopped_in_a_csv_drop(folder: Path) -> None:
    """A query that would never end is stopped after its time, and the next one works."""
    source = drop(folder)

    with pytest.raises(RecordsUnavailable) as caught:
        source.rows(text(ENDLESS), {})

    assert ("slow", [(2,)]) == (caught.value.cause, source.rows(text("SELECT count(*) FROM people"), {}))


@pytest.mark.parametrize("way", ["moved into its place", "copied over it", "changed by its own program"])
def test_records_that_were_replaced_since_the_last_look_up_are_read_anew(database: Path, way: str) -> None:
    """What is remembered of a file must never answer for another one, however alike the two are to SQLite."""
    source = SqliteSource(database)
    asked = text("SELECT name FROM people WHERE id = :id")
    before = [source.rows(asked, {"id": 1}) for _ in range(3)]
    new = database.with_name("new.db")
    shutil.copyfile(database, new)
    # The file's change counter, from which SQLite would see that its pages have changed, stays as it was.
    new.write_bytes(new.read_bytes().replace(b"Ada", b"Eve"))
    match way:
        case "moved into its place":
            new.replace(database)
        case "copied over it":
            shutil.copyfile(new, database)
        case _:
            with contextlib.closing(sqlite3.connect(database)) as program, program:
                program.execute("UPDATE people SET name = 'Eve' WHERE id = 1")

    assert ([[("Ada",)]] * 3, [("Eve",)]) == (before, source.rows(asked, {"id": 1}))
    source.close()


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_whoever_reads_never_keeps_the_agencys_own_program_from_its_file(database: Path, journal: str) -> None:
    """Between two look-ups its program can have the file to itself, change how it is journalled, and take it away."""
    with contextlib.closing(sqlite3.connect(database, timeout=0.0, isolation_level=None)) as program:
        program.execute(f"PRAGMA journal_mode={journal}")
        source = SqliteSource(database)
        counted = [source.rows(text("SELECT count(*) FROM people"), {}, 1) for _ in range(3)]
        program.execute("BEGIN EXCLUSIVE")
        program.execute("DELETE FROM people WHERE id = 2")
        program.execute("COMMIT")
        counted.append(source.rows(text("SELECT count(*) FROM people"), {}))
        other = "wal" if journal == "delete" else "delete"
        (now,) = program.execute(f"PRAGMA journal_mode={other}").fetchone()
    database.unlink()

    assert ([[(2,)]] * 3 + [[(1,)]], other) == (counted, now)
    with pytest.raises(RecordsUnavailable):
        source.rows(text("SELECT count(*) FROM people"), {})


def test_look_ups_from_many_threads_do_not_meet(database: Path) -> None:
    """A connection that is kept is lent to one of them at a time."""
    source = SqliteSource(database)
    asked = text("SELECT name FROM people WHERE id = :id")

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda number: source.rows(asked, {"id": number % 2 + 1}), range(200)))

    assert [[("Ada",)], [("Bo",)]] * 100 == found
    source.close()


def test_a_missing_database_is_unavailable_and_not_created(tmp_path: Path) -> None:
    """Reading must not leave an empty database behind, which would read as nobody known."""
    path = tmp_path / "absent.db"

    with pytest.raises(RecordsUnavailable):
        SqliteSource(path).rows(text("SELECT 1"), {})

    assert not path.exists()


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    """A wrong path is a fault with a cause, not an empty answer."""
    path = tmp_path / "letter.db"
    path.write_text("Dear colleague, " * 100)

    with pytest.raises(RecordsUnavailable) as caught:
        SqliteSource(path).rows(text("SELECT name FROM sqlite_master"), {})

    assert "open" == caught.value.cause


def test_tables_are_listed_with_their_columns(database: Path, folder: Path) -> None:
    """Both kinds of source describe themselves in the same way."""
    assert {"people": ("id", "name", "born", "open")} == SqliteSource(database).tables() == drop(folder).tables()


def test_a_csv_drop_reads_declared_types(folder: Path) -> None:
    """Byte order mark, CR LF, British dates and yes/no are all ordinary."""
    rows = drop(folder).rows(text("SELECT id, name, born, open FROM people ORDER BY id"), {})

    assert [(1, "Ada", "1988-05-21", 1), (2, "Bo", None, 0)] == rows


def test_a_changed_file_is_loaded_again(folder: Path) -> None:
    """A nightly drop counts from the moment it lands."""
    source = drop(folder)
    source.rows(text("SELECT 1"), {})
    (folder / "people.csv").write_text("id,name,born,open\n3,Cy,2001-02-03,1\n")

    assert [(3,)] == source.rows(text("SELECT id FROM people"), {})


def test_a_drop_that_became_unsound_is_unavailable_and_old_rows_are_not_used(folder: Path) -> None:
    """T-LNK-5: half a file must never read as no."""
    source = drop(folder)
    source.rows(text("SELECT 1"), {})
    (folder / "people.csv").write_text("id,name,born,open\n3,Cy,20")

    with pytest.raises(RecordsUnavailable) as caught:
        source.rows(text("SELECT id FROM people"), {})

    assert "files" == caught.value.cause


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("id,name,born\n1,Ada,\n", "lacks the declared column 'open'"),
        ("id,name,born,open,notes\n1,Ada,,1,secret\n", "does not declare: 'notes'"),
        ("id,name,born,open,open\n1,Ada,,1,1\n", "names a column twice: 'open'"),
        ("id,name,born,open\n1,Ada,,1,secret\n", "5 cells in line 2"),
        ('id,name,born,open\n1,"Ada,,1\n', "stray quote"),
        ("", "none of the declared columns"),
        ("1,secret,,1\n", "none of the declared columns"),
        ("id,name,born,open\n1,A\x00da,,1\n", "zero bytes"),
    ],
)
def test_an_unsound_file_is_refused_without_repeating_a_value(folder: Path, content: str, told: str) -> None:
    """The message names file, line and column, never what stands in a record."""
    (folder / "people.csv").write_text(content)

    with pytest.raises(RecordsUnavailable, match=told) as caught:
        drop(folder).rows(text("SELECT 1"), {})

    assert "secret" not in str(caught.value)


def test_a_file_that_is_not_utf8_is_refused(folder: Path) -> None:
    """A name in an unknown encoding would be indexed wrongly."""
    (folder / "people.csv").write_bytes("id,name,born,open\n1,Zoë,,1\n".encode("cp1252"))

    with pytest.raises(RecordsUnavailable, match="CSV UTF-8"):
        drop(folder).rows(text("SELECT 1"), {})


def test_values_of_the_wrong_type_are_counted_and_make_their_row_doubtful(folder: Path) -> None:
    """T-LNK-5: a no about somebody with an unreadable row would be unsound, so the row is remembered."""
    (folder / "people.csv").write_text("id,name,born,open\n1,Ada,31/02/1988,Y\n2,Bo,1999-01-01,maybe\n3,Cy,,\n")
    source = drop(folder)

    assert ({"people.born": 1, "people.open": 1}, [True, True, False]) == (
        source.unreadable(),
        [source.doubtful([person_id]) for person_id in ("1", "2", "3")],
    )


def test_the_age_of_a_drop_is_that_of_its_oldest_file(folder: Path) -> None:
    """One file that stopped coming makes the whole drop old."""
    (folder / "cases.csv").write_text("id\n1\n")
    os.utime(folder / "people.csv", ns=(5_000_000_000, 5_000_000_000))
    cases = CsvTable("cases.csv", (Column("id", "integer"),))
    source = TableSource(CsvReader(folder, {"people": CsvTable("people.csv", PEOPLE), "cases": cases}))

    assert 5_000_000_000 == source.changed_ns()


@given(st.binary(max_size=300) | st.text(alphabet='id,name,born,open\n\r"1;é', max_size=200).map(str.encode))
def test_any_bytes_as_a_csv_file_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Whatever lands in the folder, nothing but RecordsUnavailable comes out."""
    folder = tmp_path_factory.mktemp("drop")
    (folder / "people.csv").write_bytes(b"id,name,born,open\n" + content)

    try:
        (count,) = drop(folder).rows(text("SELECT count(*) FROM people"), {})
    except RecordsUnavailable as refused:
        count = (refused.cause,)

    assert count[0] == "files" or isinstance(count[0], int)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1988-05-21", "1988-05-21"),
        ("1988-05-21 10:30:00", "1988-05-21"),
        ("1988-05-21T10:30:00Z", "1988-05-21"),
        ("1/5/1988", "1988-05-01"),
        ("21.05.1988", "1988-05-21"),
        ("21/05/88", None),
        ("31/02/1988", None),
        ("05/21/1988", None),
        ("1988", None),
        ("１988-05-21", None),
    ],
)
def test_a_date_is_iso_or_british_and_nothing_else(written: str, read: str | None) -> None:
    """A two-digit year or an American order is not guessed at."""
    day = read_date(written)

    assert read == (None if day is None else day.isoformat())
