"""Database servers: read as a file is, never changed, never waited for too long, and never talked about."""

import datetime
import os
import random
import signal
import sqlite3
import time
import traceback
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
import sqlalchemy
from sqlalchemy import text

from agency_node.adapters import RecordsUnavailable, older
from agency_node.adapters.server import ServerSource
from agency_node.adapters.servers import open_server
from agency_node.mapping import Records, open_records
from agency_node.mapping_file import MappingInvalid, parse
from agency_node.rehearsal import check
from tests.world import database_servers
from tests.world.database_servers import PASSWORDS, DatabaseServer

TODAY: Final = datetime.date(2026, 11, 22)
LONG_AGO: Final = datetime.date(1, 1, 1)
BOTH: Final = [
    pytest.param("postgresql", marks=pytest.mark.needs("postgres", "initdb")),
    pytest.param("mariadb", marks=pytest.mark.needs("mariadbd", "mariadb-install-db")),
]
MAPPING: Final = """\
version: 1
agency: police
source: {source}
people: SELECT ref AS id, forename AS first_name, surname AS last_name, dob AS date_of_birth, sex, postcode,
  nhs AS nhs_number, amended AS changed_at, shield AS shielded FROM nominal
answers:
  agency.contact:
    sql: SELECT max(happened) AS latest, count(*) AS count, max(CASE WHEN live THEN 1 ELSE 0 END) AS open,
      max(unit) AS team FROM incident WHERE nominal IN (:person_ids) AND happened >= :since
  agency.open_now:
    sql: SELECT max(CASE WHEN live THEN 1 ELSE 0 END) AS open, max(reported) AS latest FROM incident
      WHERE nominal IN (:person_ids)
contacts:
  default: {{team: Duty desk, role: Officer, phone: 01632 960100}}
changed_at: reliable
data_as_of: SELECT max(amended) FROM nominal
"""
TYPES: Final = {
    "sqlite": {"day": "TEXT", "time": "TEXT", "zoned": "TEXT", "yes": "INTEGER", "name": "TEXT", "number": "TEXT"},
    "postgresql": {
        **{"day": "date", "time": "timestamp", "zoned": "timestamptz", "yes": "boolean", "name": "varchar(80)"},
        "number": "char(12)",
    },
    "mariadb": {
        **{"day": "DATE", "time": "DATETIME", "zoned": "TIMESTAMP NULL", "yes": "BOOLEAN", "name": "VARCHAR(80)"},
        "number": "CHAR(12)",
    },
}
PEOPLE: Final = 60


def tables(kind: str) -> list[str]:
    """The police's two tables, in the words of each kind of database."""
    t = TYPES[kind]
    return [
        f"CREATE TABLE nominal (ref BIGINT PRIMARY KEY, forename {t['name']}, surname {t['name']}, dob {t['day']},"
        f" sex {t['name']}, postcode {t['name']}, nhs {t['number']}, amended {t['zoned']}, shield {t['yes']})",
        f"CREATE TABLE incident (id INTEGER PRIMARY KEY, nominal BIGINT, happened {t['day']}, reported {t['time']},"
        f" live {t['yes']}, unit {t['name']})",
    ]


def rows() -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """The same invented people and incidents for every kind; with gaps, accents and apostrophes."""
    draw = random.Random(7)
    day = datetime.date(2024, 1, 1)
    people = [
        (
            5_000_000_000 + number,
            draw.choice(["Zoë", "Ada", "O'Neil", "Jamie; DROP TABLE nominal", "Anne Marie"]),
            draw.choice(["Thorley", "Ní Bhriain", "Calloway%s", "Smith-Jones"]),
            draw.choice([None, "1988-05-21", "2013-03-09"]),
            draw.choice([None, "F", "M"]),
            draw.choice([None, "MD4 7QT"]),
            draw.choice([None, "9990000018", "999 000 0026"]),
            f"2026-10-{1 + number % 28:02} 10:30:00",
            draw.choice([None, 0, 1]),
        )
        for number in range(PEOPLE)
    ]
    incidents = [
        (
            number,
            5_000_000_000 + draw.randrange(PEOPLE),
            (day + datetime.timedelta(days=draw.randrange(1_000))).isoformat(),
            draw.choice([None, "2026-10-01 23:59:59"]),
            draw.choice([None, 0, 1]),
            draw.choice([None, "north", "south"]),
        )
        for number in range(3 * PEOPLE)
    ]
    return people, incidents


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[str], DatabaseServer]]:
    """Each kind of server, started once when first asked for, with the police's tables in it."""
    running: dict[str, DatabaseServer] = {}
    with ExitStack() as stack:

        def serve(kind: str) -> DatabaseServer:
            if kind not in running:
                server = stack.enter_context(getattr(database_servers, kind)())
                _fill(server)
                running[kind] = server
            return running[kind]

        yield serve


def _fill(server: DatabaseServer) -> None:
    server.run(*tables(server.kind), "CREATE TABLE secret (word varchar(20))", "INSERT INTO secret VALUES ('Rumpel')")
    with server.administrator() as connection, connection.cursor() as cursor:
        for table, found in zip(("nominal", "incident"), rows(), strict=True):
            for row in found:
                places = ", ".join(["%s"] * len(row))
                # A boolean of PostgreSQL takes no number.
                cells = [bool(cell) if cell in (0, 1) and place >= 4 else cell for place, cell in enumerate(row)]
                cursor.execute(f"INSERT INTO {table} VALUES ({places})", cells)  # noqa: S608 - names of this file
        connection.commit()
    names = ("nominal", "incident")
    if server.kind == "postgresql":
        server.run(
            f"GRANT SELECT ON {', '.join(names)} TO reader", "GRANT ALL ON ALL TABLES IN SCHEMA public TO writer"
        )
        server.run("CREATE SEQUENCE counter", "GRANT ALL ON counter TO writer")
    else:
        server.run(*(f"GRANT SELECT ON records.{name} TO reader@'%'" for name in names))


def address(server: DatabaseServer, account: str = "reader", options: str = "", host: str = "127.0.0.1") -> str:
    """Where the node finds the server."""
    return f"{server.kind}://{account}:{quote(PASSWORDS[account], safe='')}@{host}:{server.port}/records{options}"


def written(folder: Path, url: str, mode: int = 0o600) -> Path:
    """A file that holds an address."""
    path = folder / "database.url"
    path.write_text(url + "\n")
    path.chmod(mode)
    return path


@pytest.fixture
def source(tmp_path: Path, servers: Callable[[str], DatabaseServer]) -> Iterator[Callable[..., ServerSource]]:
    """Opens a server as the node does."""
    with ExitStack() as stack:

        def opened(kind: str, account: str = "reader", timeout_s: float = 2.0, **options: Any) -> ServerSource:
            path = written(tmp_path, address(servers(kind), account, **options))
            found = open_server(kind, path, timeout_s)  # type: ignore[arg-type]  # both kinds are known
            stack.callback(found.close)
            return found

        yield opened


@pytest.fixture
def records(tmp_path: Path, servers: Callable[[str], DatabaseServer]) -> Iterator[Callable[..., Records]]:
    """Opens a mapping as the node does."""
    with ExitStack() as stack:

        def opened(kind: str, old: str = "", new: str = "") -> Records:
            folder = tmp_path / kind
            folder.mkdir(exist_ok=True)
            if kind == "sqlite":
                declared = "{kind: sqlite, database_file: police.db}"
                connection = sqlite3.connect(folder / "police.db")
                for table in tables(kind):
                    connection.execute(table)
                for table, found in zip(("nominal", "incident"), rows(), strict=True):
                    places = ", ".join("?" * len(found[0]))
                    connection.executemany(f"INSERT INTO {table} VALUES ({places})", found)  # noqa: S608 - as above
                connection.commit()
                connection.close()
            else:
                declared = f"{{kind: {kind}, url_file: database.url}}"
                written(folder, address(servers(kind)))
            mapping = MAPPING.format(source=declared)
            assert old in mapping
            (folder / "mapping.yaml").write_text(mapping.replace(old, new) if old else mapping)
            found_records = open_records(folder / "mapping.yaml")
            stack.callback(found_records.close)
            return found_records

        yield opened


# -- The same answers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", BOTH)
def test_the_same_records_say_the_same_through_every_kind_of_database(
    kind: str, records: Callable[..., Records]
) -> None:
    """T-LNK-5: people, one person, every answer and every count are those of a plain file."""
    here, there = records("sqlite"), records(kind)
    everybody = list(here.people())
    days = (LONG_AGO, datetime.date(2026, 1, 1))

    assert PEOPLE == len(everybody)
    assert everybody == sorted(there.people(), key=lambda person: int(person.person_id))
    assert [here.person(one.person_id) for one in everybody] == [there.person(one.person_id) for one in everybody]
    assert here.as_of_ns() == there.as_of_ns()
    for question in sorted(here.questions):
        for since in days:
            ids = [[one.person_id] for one in everybody] + [[one.person_id for one in everybody[:5]]]
            expected = [here.answer(question, one, since) for one in ids]

            assert expected == [there.answer(question, one, since) for one in ids]
            assert [found for found in expected if found.open] or question == "agency.contact"
    assert check(here, TODAY) == check(there, TODAY)


@pytest.mark.parametrize("kind", BOTH)
def test_only_changed_people_are_read(kind: str, records: Callable[..., Records]) -> None:
    """Times of change compare alike, whatever the server's zone."""
    here, there = records("sqlite"), records(kind)
    watermark = sorted(person.changed_at for person in here.people())[PEOPLE // 2]
    expected = {person.person_id for person in here.people_changed_since(watermark)}

    assert 0 < len(expected) < PEOPLE
    assert expected == {person.person_id for person in there.people_changed_since(watermark)}


@pytest.mark.parametrize("kind", BOTH)
def test_a_server_leaves_out_only_what_is_certainly_older(kind: str, source: Callable[..., ServerSource]) -> None:
    """T-LNK-5: of every type and every way of writing a time; what cannot be told is read and looked at here."""
    before = [
        "2026-06-30",
        "2026-07-01 09:59:59",
        "2026-06-30T23:59:59Z",
        "2026-06-30 23:59:59.5",
        "1999-12-31 00:00:00",
    ]
    newer = ["2026-07-01T10:00:00", "2026-07-01 10:00:00.9", "2027-01-01T00:00:00.123456Z", "2999-12-31"]
    doubtful = ["", "soon", "30/06/2026", "2026-06-31", "2026-02-30", "2026-06-30 24:00", "2026-06-30 10:00 +01:00"]
    doubtful += ["2026-06-30T10:00:00+01:00", "0000-00-00", "0999-01-01", "2026-06-30" + " " * 30 + "x", "1780000000"]
    texts = [sqlalchemy.literal(one, sqlalchemy.String) for one in (*before, *newer, *doubtful)]
    moments = [sqlalchemy.cast(one, sqlalchemy.DateTime) for one in texts[:9]]
    days = [sqlalchemy.cast(one, sqlalchemy.Date) for one in texts[:9]]
    others: list[sqlalchemy.ColumnElement[Any]] = [sqlalchemy.literal(1_780_000_000), sqlalchemy.null()]
    server = source(kind)

    def left_out(values: Sequence[sqlalchemy.ColumnElement[Any]]) -> list[int]:
        every = sqlalchemy.union_all(
            *(sqlalchemy.select(sqlalchemy.literal(at).label("at"), one.label("v")) for at, one in enumerate(values))
        ).subquery()
        clause = older.certainly_older(every.c.v, server.dialect)
        binds = older.bound("2026-07-01T10:00:00Z") or {}
        portions = server.stream(sqlalchemy.select(every.c.at).where(clause), binds)
        return [int(str(at)) for portion in portions for (at,) in portion]

    assert [0, 1, 2, 3, 4] == sorted(left_out(texts))
    assert [0, 1, 2, 3, 4] == sorted(left_out(moments))
    # The day of the time asked for is older than that time.
    assert [0, 1, 2, 3, 4, 5, 6] == sorted(left_out(days))
    assert [] == left_out(others[:1]) + left_out(others[1:])


# -- Never changed ----------------------------------------------------------------------------------------------------

WRITES = [
    ("INSERT INTO nominal (ref) VALUES (1)", "both"),
    ("UPDATE nominal SET surname = 'x'", "both"),
    ("DELETE FROM incident", "both"),
    ("CREATE TABLE more (x integer)", "both"),
    ("DROP TABLE incident", "both"),
    ("TRUNCATE TABLE incident", "both"),
    ("SELECT 1; DELETE FROM incident", "both"),
    ("SELECT ref FROM nominal FOR UPDATE", "both"),
    ("CREATE TEMPORARY TABLE more (x integer)", "postgresql"),
    ("WITH gone AS (DELETE FROM incident RETURNING *) SELECT * FROM gone", "postgresql"),
    ("SELECT * INTO more FROM nominal", "postgresql"),
    ("SELECT nextval('counter')", "postgresql"),
    ("COPY nominal FROM PROGRAM 'true'", "postgresql"),
    ("GRANT ALL ON nominal TO PUBLIC", "both"),
]
SIDEWAYS = [
    ("SELECT pg_sleep(1)", "postgresql"),
    ("SELECT pg_read_file('/etc/hostname')", "postgresql"),
    ('SELECT "pg_sleep"(1)', "postgresql"),
    ("SELECT pg_catalog.pg_sleep(1)", "postgresql"),
    ("SELECT somebody.date(1)", "both"),
    ("SELECT ref FROM nominal WHERE somebody.in(1)", "both"),
    ("SELECT set_config('transaction_read_only', 'off', false)", "postgresql"),
    ("SELECT pg_advisory_lock(1)", "postgresql"),
    ("SELECT lo_create(0)", "postgresql"),
    ("SELECT * FROM dblink('x', 'y') AS t(x integer)", "postgresql"),
    ("SELECT query_to_xml('delete from incident', true, true, '')", "postgresql"),
    ("SET TRANSACTION READ WRITE", "both"),
    ("SELECT load_file('/etc/hostname')", "mariadb"),
    ("SELECT 1 INTO OUTFILE '/srv/accord-never'", "mariadb"),
    ("SELECT 1 /*! INTO OUTFILE '/srv/accord-never' */", "mariadb"),
    ("SELECT 1 --1 INTO OUTFILE '/srv/accord-never'", "mariadb"),
    ("SELECT sleep(1)", "mariadb"),
    ("SELECT get_lock('x', 1)", "mariadb"),
    ("SELECT 'a\\' , sleep(1), ' '", "mariadb"),
    ("SELECT ref FROM nominal LOCK IN SHARE MODE", "mariadb"),
    ("CALL something()", "both"),
    ("DO 1", "both"),
]


def of_kind(cases: list[tuple[str, str]]) -> list[Any]:
    """Cases with the servers they are for."""
    return [
        pytest.param(*kind.values, statement, marks=kind.marks, id=f"{kind.values[0]}-{statement[:40]}")
        for kind in BOTH
        for statement, of in cases
        if of in {"both", kind.values[0]}
    ]


def counts(server: DatabaseServer) -> list[Any]:
    """What a write would change."""
    return [server.run("SELECT count(*), max(surname) FROM nominal"), server.run("SELECT count(*) FROM incident")]


@pytest.mark.parametrize(("kind", "statement"), of_kind(WRITES + SIDEWAYS))
def test_words_that_do_more_than_read_never_reach_the_server(
    kind: str, statement: str, source: Callable[..., ServerSource]
) -> None:
    """First guard: one SELECT of allowed functions, or nothing, even for an account that may do everything."""
    with pytest.raises(RecordsUnavailable) as caught:
        source(kind, "writer").rows(text(statement), {})

    assert "refused" == caught.value.cause


@pytest.mark.parametrize(("kind", "statement"), of_kind(SIDEWAYS + WRITES[:8]))
def test_a_mapping_with_such_words_is_refused(kind: str, statement: str) -> None:
    """And whoever wrote them reads so when the mapping is loaded."""
    told = MAPPING.format(source=f"{{kind: {kind}, url_file: x}}")
    told = told.replace("SELECT max(amended) FROM nominal", "|\n  " + statement)

    with pytest.raises(MappingInvalid) as caught:
        parse(told.encode())

    assert "data_as_of" == caught.value.question


@pytest.mark.parametrize(("kind", "statement"), of_kind([case for case in WRITES if "FOR UPDATE" not in case[0]]))
def test_the_transaction_refuses_writes_by_itself(
    kind: str, statement: str, source: Callable[..., ServerSource], servers: Callable[[str], DatabaseServer]
) -> None:
    """Second guard: were the words let through, and the account allowed to write, the server would still refuse."""
    before = counts(servers(kind))
    opened = source(kind, "writer")

    with opened._begun(2.0) as raw, pytest.raises(opened._driver.failures):
        raw.cursor().execute(statement)

    assert before == counts(servers(kind))


@pytest.mark.parametrize("kind", BOTH)
def test_read_only_is_said_anew_for_every_statement(
    kind: str, source: Callable[..., ServerSource], servers: Callable[[str], DatabaseServer]
) -> None:
    """A connection whose session was told otherwise is read-only again at the next statement."""
    opened = source(kind, "writer")
    name = "default_transaction_read_only" if kind == "postgresql" else "tx_read_only"
    with opened._checked_out(2.0) as connection:
        cursor = connection.connection.driver_connection.cursor()
        cursor.execute("ROLLBACK")
        cursor.execute(f"SET SESSION {name} = 0" if kind == "mariadb" else f"SET {name} = off")

    with opened._begun(2.0) as raw, pytest.raises(opened._driver.failures):
        raw.cursor().execute("DELETE FROM incident")

    assert opened.refuses_writes()


@pytest.mark.parametrize("kind", BOTH)
def test_without_the_guard_the_same_account_writes(
    kind: str, source: Callable[..., ServerSource], servers: Callable[[str], DatabaseServer]
) -> None:
    """Negative control: it is the guard that refuses, not the account."""
    opened = source(kind, "writer")
    with opened._begun(2.0) as raw:
        cursor = raw.cursor()
        cursor.execute("ROLLBACK")
        cursor.execute(
            "SET SESSION tx_read_only = 0" if kind == "mariadb" else "SET default_transaction_read_only = off"
        )
        cursor.execute("CREATE TABLE proof (x integer)")
        cursor.execute("DROP TABLE proof")
        cursor.execute("BEGIN")

    assert opened.account_may_write()


@pytest.mark.parametrize("kind", BOTH)
def test_doctor_sees_what_the_account_may_do(kind: str, source: Callable[..., ServerSource]) -> None:
    """Writes refused, slow statements stopped, and whether the account's own rights would stop a write too."""
    reader, writer = source(kind), source(kind, "writer")

    assert [(True, True, False), (True, True, True)] == [
        (one.refuses_writes(), one.stops_slow(), one.account_may_write()) for one in (reader, writer)
    ]


# -- Never waited for too long ----------------------------------------------------------------------------------------

SLOW: Final = "SELECT count(*) FROM incident a, incident b, incident c, incident d, incident e"


@pytest.mark.parametrize("kind", BOTH)
def test_a_slow_query_is_stopped_and_the_next_one_works(kind: str, source: Callable[..., ServerSource]) -> None:
    """The server itself stops it, at the time that a look-up may take."""
    opened = source(kind, timeout_s=0.8)
    began = time.monotonic()

    with pytest.raises(RecordsUnavailable) as caught:
        opened.rows(text(SLOW), {})

    assert ("slow", True, [(PEOPLE,)]) == (
        caught.value.cause,
        time.monotonic() - began < 20,
        opened.rows(text("SELECT count(*) FROM nominal"), {}),
    )


@pytest.mark.parametrize("kind", BOTH)
def test_a_longer_reading_may_take_longer(kind: str, source: Callable[..., ServerSource]) -> None:
    """The limit is that of the use, and does not stay with the connection."""
    opened = source(kind, timeout_s=0.2)
    slow = "SELECT count(*) FROM incident a, incident b, incident c WHERE a.id + b.id > c.id"

    assert [(True,)] == [(row[0] > 0,) for row in opened.rows(text(slow), {}, timeout_s=30)]

    with pytest.raises(RecordsUnavailable) as caught:
        opened.rows(text(SLOW), {})

    assert "slow" == caught.value.cause


@pytest.mark.parametrize("kind", BOTH)
def test_a_server_that_says_nothing_any_more_is_hung_up_on(
    kind: str, source: Callable[..., ServerSource], servers: Callable[[str], DatabaseServer]
) -> None:
    """Frozen machines stop nothing in time; a look-up ends all the same, and the server is used again once it wakes."""
    opened = source(kind, timeout_s=0.6)
    opened.rows(text("SELECT 1"), {})
    frozen = _processes(servers(kind))
    began = time.monotonic()
    for process in frozen:
        os.kill(process, signal.SIGSTOP)
    try:
        with pytest.raises(RecordsUnavailable):
            opened.rows(text("SELECT 1"), {})
    finally:
        for process in frozen:
            os.kill(process, signal.SIGCONT)

    assert time.monotonic() - began < 60
    assert [(1,)] == opened.rows(text("SELECT 1"), {})


def _processes(server: DatabaseServer) -> list[int]:
    import psutil

    return [server.process.pid, *(child.pid for child in psutil.Process(server.process.pid).children())]


@pytest.mark.parametrize("kind", BOTH)
def test_a_connection_is_used_again_and_replaced_when_it_broke(
    kind: str, source: Callable[..., ServerSource], servers: Callable[[str], DatabaseServer]
) -> None:
    """A look-up pays for no new connection, and does not fail because the last one was cut in the night."""
    opened, server = source(kind), servers(kind)

    def session() -> object:
        with opened._begun(2.0) as raw:
            return raw.info.backend_pid if kind == "postgresql" else raw.thread_id()

    first, again = session(), session()
    server.run(f"SELECT pg_terminate_backend({first})" if kind == "postgresql" else f"KILL {first}")
    after = session()

    assert (True, True) == (first == again, first != after)
    assert [(PEOPLE,)] == opened.rows(text("SELECT count(*) FROM nominal"), {})


@pytest.mark.parametrize("kind", BOTH)
def test_no_transaction_is_left_open(
    kind: str, source: Callable[..., ServerSource], servers: Callable[[str], DatabaseServer]
) -> None:
    """An old transaction would keep the agency's own database from cleaning up, and would show old records."""
    opened, server = source(kind), servers(kind)
    opened.rows(text("SELECT count(*) FROM nominal"), {})
    next(opened.stream(text("SELECT ref FROM nominal"), {}))
    held = (
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader' AND xact_start IS NOT NULL"
        if kind == "postgresql"
        else "SELECT count(*) FROM information_schema.innodb_trx"
    )

    assert [(0,)] == [tuple(row) for row in server.run(held)]


@pytest.mark.parametrize("kind", BOTH)
def test_a_long_reading_takes_little_memory(
    kind: str, source: Callable[..., ServerSource], servers: Callable[[str], DatabaseServer]
) -> None:
    """Rows are fetched in portions; thirty thousand wide ones are never in memory together."""
    opened = source(kind)
    many = text(
        "SELECT a.ref, b.ref, a.forename, b.surname, a.postcode FROM nominal a, nominal b, incident c LIMIT 30000"
    )
    opened.rows(text("SELECT 1"), {})

    tracemalloc.start()
    try:
        total = sum(len(portion) for portion in opened.stream(many, {}, 30))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        whole = opened.rows(many, {}, timeout_s=30)
        _, all_at_once = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (30_000, 30_000) == (total, len(whole))
    assert peak < 3_000_000 < all_at_once


# -- Never talked about -----------------------------------------------------------------------------------------------


def shown(error: BaseException) -> str:
    """What a log would show of an error at most."""
    return "".join(traceback.format_exception(error))


FAULTS = [
    ("dob AS", "birthdate AS", "birthdate", "'nominal' does not have. Columns there: 'ref', 'forename'"),
    ("FROM nominal\n", "FROM nominals\n", "", "ominal"),
    ("SELECT ref AS id", "SELECT ref + 0.5 AS id", "id", "CAST"),
    ("max(unit) AS team", "min(word) AS team", "word", "a column 'word'"),
    (
        "FROM nominal\n",
        "FROM secret, nominal\n",
        "",
        "GRANT SELECT on them to the account. It may read: 'incident', 'nominal'",
    ),
    ("nominal IN (:person_ids) AND happened", "unit IN (:person_ids) AND happened", "", "CAST"),
]


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize(("old", "new", "column", "told"), FAULTS, ids=[new[:30].strip() for _, new, _, _ in FAULTS])
def test_a_fault_names_its_place_and_no_value(
    kind: str, old: str, new: str, column: str, told: str, records: Callable[..., Records]
) -> None:
    """The driver's own words may quote a record; ours name table, column and cure."""
    with pytest.raises(MappingInvalid) as caught:
        records(kind, old, new)

    assert (column, True) == (caught.value.column, told in str(caught.value)), str(caught.value)
    assert not [word for word in ("Thorley", "Rumpel", "MD4", "1988") if word in str(caught.value)]


@pytest.mark.parametrize("kind", BOTH)
def test_a_value_that_the_server_cannot_cast_is_not_repeated(kind: str, source: Callable[..., ServerSource]) -> None:
    """PostgreSQL says: invalid input syntax for type date, and then the value."""
    with pytest.raises(RecordsUnavailable) as caught:
        source(kind).rows(text("SELECT count(*) FROM nominal WHERE CAST(surname AS integer) = 1"), {})

    assert not [word for word in ("Thorley", "Bhriain", "Calloway") if word in shown(caught.value)]


ADDRESSES = [
    ("{kind}://reader:hunter2@127.0.0.1:1/records", "reached"),
    ("{kind}://reader:hunter2@127.0.0.1:{port}/records", "does not accept the account"),
    ("{kind}://reader:hunter2@db.example/records", "without TLS"),
    ("{kind}://reader:hunter2@db.example/records?sslmode=require", "without TLS|not known"),
    ("{kind}://reader:hunter2@127.0.0.1/records?options=-c%20x", "option that is not known"),
    ("{kind}://reader:hunter2@127.0.0.1/records?init_command=x", "option that is not known"),
    ("{kind}://reader:hunter2@/records?host=db.example", "socket|not known"),
    ("oracle://reader:hunter2@127.0.0.1/records", "another kind"),
    ("{kind}+asyncpg://reader:hunter2@127.0.0.1/records", "another kind"),
    ("{kind}://reader:hunter2@127.0.0.1", "another kind"),
    ("hunter2", "no address"),
]


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize(("url", "told"), ADDRESSES, ids=[url for url, _ in ADDRESSES])
def test_an_address_that_cannot_be_used_is_never_repeated(
    kind: str, url: str, told: str, tmp_path: Path, servers: Callable[[str], DatabaseServer]
) -> None:
    """The password stands in a file, and nowhere else: not in a message, not in a trace."""
    path = written(tmp_path, url.format(kind=kind, port=servers(kind).port))

    with pytest.raises(RecordsUnavailable, match=told) as caught:
        open_server(kind, path, 2.0).rows(text("SELECT 1"), {})  # type: ignore[arg-type]  # both kinds are known

    assert "hunter2" not in shown(caught.value)


def test_an_address_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """A password that everybody on the machine can read is not one."""
    with pytest.raises(RecordsUnavailable, match="chmod 600"):
        open_server("postgresql", written(tmp_path, "postgresql://a:b@127.0.0.1/c", mode=0o644), 2.0)


@pytest.mark.parametrize("kind", BOTH)
def test_the_servers_certificate_is_checked(
    kind: str, tmp_path: Path, source: Callable[..., ServerSource], servers: Callable[[str], DatabaseServer]
) -> None:
    """With TLS demanded, a server of another name or another certificate is not spoken to."""
    certificate = servers(kind).folder / "ca.pem"
    demand = "?sslmode=verify-full&sslrootcert=" if kind == "postgresql" else "?ssl_ca="
    other = tmp_path / "other.pem"
    other.write_bytes(database_servers.self_signed("localhost")[0])

    assert [(1,)] == source(kind, options=f"{demand}{certificate}", host="localhost").rows(text("SELECT 1"), {})
    for options, host in ((f"{demand}{certificate}", "127.0.0.1"), (f"{demand}{other}", "localhost")):
        with pytest.raises(RecordsUnavailable, match="cannot be reached"):
            source(kind, options=options, host=host).rows(text("SELECT 1"), {})


# -- Values as each server has them -----------------------------------------------------------------------------------


@pytest.mark.needs("postgres", "initdb")
def test_what_only_postgresql_has_is_read_too(
    tmp_path: Path, servers: Callable[[str], DatabaseServer], source: Callable[..., ServerSource]
) -> None:
    """Dates beyond all dates, decimals, lists and times with a zone; ids that are UUIDs."""
    server = servers("postgresql")
    server.run(
        "CREATE TABLE odd (id uuid, born date, seen timestamptz, many numeric, half numeric, names text[], yes bool)",
        "INSERT INTO odd VALUES ('6F9619FF-8B86-D011-B42D-00C04FC964FF', 'infinity', '2026-10-01 00:30:00+01', 3, 2.5,"
        " '{Thorley,Reeve}', true)",
        "GRANT SELECT ON odd TO reader",
    )
    written(tmp_path, address(server))
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(
        "version: 1\nagency: police\nsource: {kind: postgresql, url_file: database.url}\ncontacts: {}\n"
        "people: SELECT id, yes AS first_name, names AS former_last_names, half AS last_name, born AS date_of_birth"
        " FROM odd\nanswers:\n  agency.contact:\n    sql: SELECT max(seen) AS latest, coalesce(sum(many), 0) AS count,"
        " bool_or(yes) AS open FROM odd WHERE id IN (:person_ids)\n"
    )
    records = open_records(mapping)
    (person,) = records.people()

    found = records.answer("agency.contact", [person.person_id], LONG_AGO)

    assert ("6f9619ff-8b86-d011-b42d-00c04fc964ff", ("Thorley", "Reeve"), ("date_of_birth",)) == (
        person.person_id,
        person.former_last_names,
        person.described().unreadable,
    )
    assert (datetime.date(2026, 9, 30), 3, True, False) == (found.latest, found.count, found.open, found.doubtful)
    assert person == records.person(person.person_id)
    records.close()


@pytest.mark.needs("mariadbd", "mariadb-install-db")
def test_ids_that_differ_only_in_capitals_are_refused_where_the_server_takes_them_for_one(
    tmp_path: Path, servers: Callable[[str], DatabaseServer]
) -> None:
    """T-LNK-5: MariaDB finds 'a1' when asked for 'A1'; an answer would be that of two people."""
    server = servers("mariadb")
    server.run(
        "CREATE TABLE twins (id varchar(9), name varchar(9))",
        "INSERT INTO twins VALUES ('A1', 'x'), ('a1', 'y')",
        "GRANT SELECT ON records.twins TO reader@'%'",
    )
    written(tmp_path, address(server))
    (tmp_path / "mapping.yaml").write_text(
        "{version: 1, agency: police, source: {kind: mariadb, url_file: database.url}, contacts: {},"
        " people: 'SELECT id, name AS first_name, name AS last_name FROM twins', answers: {}}"
    )

    with pytest.raises(MappingInvalid, match="capital") as caught:
        open_records(tmp_path / "mapping.yaml")

    assert "id" == caught.value.column
