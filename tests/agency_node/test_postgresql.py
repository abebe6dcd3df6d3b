"""State on a PostgreSQL server: who may do what, what is refused before anything is served, and what a restart does."""

import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, func, select, text

from agency_node import store as store_package
from agency_node.ledger import Kind, Record, append, head
from agency_node.store import StateUnusable, open_state, postgresql, prepare_state, reading, writing
from agency_node.store.agreements import withdraw
from agency_node.store.database import migrate
from agency_node.store.index import IndexBusy, only_job
from agency_node.store.tables import METADATA, index_record
from tests.world.database_servers import DatabaseServer
from tests.world.node_state import Place
from tests.world.state_servers import OWNER, PASSWORD, SERVING, StateDatabase, address_file, database

pytestmark = pytest.mark.needs("postgres", "initdb")
_NUMBERS = itertools.count()


@pytest.fixture
def place(place_on: Callable[[str], Place]) -> Place:
    """A new state on the server."""
    return place_on("postgresql")


@pytest.fixture
def bare(state_server: DatabaseServer, tmp_path: Path) -> Iterator[StateDatabase]:
    """A database of its own that nobody has prepared."""
    made = database(state_server, tmp_path, f"bare_{next(_NUMBERS)}")
    yield made
    state_server.run(f"DROP DATABASE {made.name} WITH (FORCE)")


def add(store: Engine, number: int = 1) -> None:
    with writing(store) as connection:
        append(connection, [Record(Kind.ANSWERED, number, {"query_id": f"q{number}"})])


def size(store: Engine) -> int:
    with reading(store) as connection:
        return head(connection)[0]


# ---- who may do what ------------------------------------------------------------------------------------------------


def test_every_table_has_its_rights() -> None:
    """Whoever adds a table says there what a node that serves may do with it, or nobody could use it."""
    assert {*METADATA.tables, "alembic_version"} == set(postgresql.RIGHTS)
    assert [] == [table for table in postgresql.LEDGER if postgresql.RIGHTS[table] != "SELECT, INSERT"]


@pytest.mark.parametrize("table", ["node_entry", "withdrawn", "agreement_binding"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_account_that_serves_only_adds_to_the_ledger(store: Engine, table: str, statement: str) -> None:
    """T-AUD-5: a mistake of this program cannot change, remove or empty what was recorded."""
    add(store)
    column = METADATA.tables[table].primary_key.columns[0].name

    with pytest.raises(StateUnusable, match="lacks a right"), writing(store) as connection:
        connection.execute(text(statement.format(table, column, column)))

    assert 1 == size(store)


def test_nobody_who_serves_may_empty_a_table_or_make_one(store: Engine) -> None:
    """T-AUD-5: TRUNCATE passes by triggers on rows."""
    statements = [f"TRUNCATE {table}" for table in (*METADATA.tables, "alembic_version")]
    for statement in (*statements, "CREATE TABLE public.other (id integer)", "DROP TABLE node_entry"):
        with pytest.raises(StateUnusable, match="lacks a right"), writing(store) as connection:
            connection.execute(text(statement))


@pytest.mark.parametrize("table", ["node_tile", "node_head"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "TRUNCATE {}", "UPDATE {} SET {}"])
def test_the_tree_over_the_ledger_only_grows(place: Place, store: Engine, table: str, statement: str) -> None:
    """T-AUD-5: not even the owner's account takes it back by mistake."""
    add(store)
    add(store, 2)
    owner = place.open_to_erase()
    shrunk = {"node_tile": "hashes = substr(hashes, 1, 32)", "node_head": "size = size - 1"}[table]

    with pytest.raises(StateUnusable, match="only grows"), writing(owner) as connection:
        connection.execute(text(statement.format(table, shrunk)))
    owner.dispose()

    assert 2 == size(store)


TOO_MUCH = {
    "the owner": (OWNER, ()),
    "somebody who may take the owner's rights": (SERVING, (f"GRANT {OWNER} TO {SERVING}",)),
    "somebody who may change one column": (SERVING, (f"GRANT UPDATE (body) ON node_entry TO {SERVING}",)),
    "somebody who may empty it": (SERVING, (f"GRANT TRUNCATE ON node_entry TO {SERVING}",)),
    "somebody who may do everything": (SERVING, (f"ALTER ROLE {SERVING} SUPERUSER",)),
}


@pytest.mark.parametrize("who", TOO_MUCH)
def test_an_account_that_may_change_the_ledger_does_not_serve(bare: StateDatabase, tmp_path: Path, who: str) -> None:
    """T-AUD-5: it is refused at the start, with what to do about it; after preparing it, it may serve."""
    account, grants = TOO_MUCH[who]
    prepare_state(bare.owner_file, bare.url_file)
    file = address_file(tmp_path / "other.url", bare.server, bare.name, account)
    bare.server.run(*grants, database=bare.name)
    try:
        with pytest.raises(StateUnusable, match="may change the ledger") as caught:
            postgresql.open_database(file)
    finally:
        bare.server.run(f"REVOKE {OWNER} FROM {SERVING}", f"ALTER ROLE {SERVING} NOSUPERUSER", database=bare.name)
    prepare_state(bare.owner_file, bare.url_file)
    postgresql.open_database(bare.url_file).dispose()

    assert "accord-node database prepare" in caught.value.cure


def test_preparing_again_changes_nothing_and_takes_back_rights(bare: StateDatabase) -> None:
    """It may be run at any time."""
    prepare_state(bare.owner_file, bare.url_file)
    engine = postgresql.open_database(bare.url_file)
    add(engine)
    bare.server.run(f"GRANT DELETE ON directory TO {SERVING}, PUBLIC", database=bare.name)

    prepare_state(bare.owner_file, bare.url_file)

    with pytest.raises(StateUnusable, match="lacks a right"), writing(engine) as connection:
        connection.execute(text("DELETE FROM directory"))
    assert 1 == size(engine)
    engine.dispose()


def test_a_node_that_serves_keeps_its_tables_from_being_brought_up_to_date(bare: StateDatabase) -> None:
    """T-OPS-4: an older program at work must not find the tables changed under it."""
    owner = postgresql.open_as_owner(bare.owner_file)
    migrate(owner, "0002")
    owner.dispose()
    with (
        psycopg.connect(bare.url_file.read_text().strip()),
        pytest.raises(StateUnusable, match="at work"),
    ):
        prepare_state(bare.owner_file, bare.url_file)

    prepare_state(bare.owner_file, bare.url_file)
    postgresql.open_database(bare.url_file).dispose()


# ---- what is refused ------------------------------------------------------------------------------------------------


def test_a_database_that_was_not_prepared_is_refused_with_the_cure(bare: StateDatabase) -> None:
    """The account that serves makes no tables."""
    with pytest.raises(StateUnusable, match="no version") as caught:
        postgresql.open_database(bare.url_file)

    assert "accord-node database prepare" in caught.value.cure


def test_a_database_in_another_alphabet_is_refused(bare: StateDatabase) -> None:
    """Text would come back as bytes, and no comparison would hold."""
    bare.server.run(
        f"DROP DATABASE {bare.name} WITH (FORCE)",
        f"CREATE DATABASE {bare.name} OWNER {OWNER} ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'",
    )

    with pytest.raises(StateUnusable, match="not in UTF-8"):
        prepare_state(bare.owner_file, bare.url_file)


ADDRESSES = {
    "nothing": "",
    "no address": "p@ss/word:1",
    "another kind": "mysql://accord:s3cret@127.0.0.1/accord",
    "no database": "postgresql://accord:s3cret@127.0.0.1",
    "no account": "postgresql://127.0.0.1/accord",
    "another machine without TLS": "postgresql://accord:s3cret@db.example/accord",
    "TLS without a look at the certificate": "postgresql://accord:s3cret@db.example/accord?sslmode=require",
    "an option that lifts a limit": "postgresql://accord:s3cret@127.0.0.1/accord?options=-c%20statement_timeout%3D0",
    "an option twice": "postgresql://accord:s3cret@127.0.0.1/accord?sslmode=disable&sslmode=verify-full",
    "a host in the options": "postgresql://accord:s3cret@127.0.0.1/accord?host=db.example",
}


@pytest.mark.parametrize("written", ADDRESSES.values(), ids=ADDRESSES)
def test_an_address_that_cannot_be_used_is_refused_and_never_shown(tmp_path: Path, written: str) -> None:
    """T-SEC-3, T-PRV-1: the message names the file and the cure."""
    file = tmp_path / "database.url"
    file.write_text(written + "\n")
    file.chmod(0o600)

    with pytest.raises(StateUnusable, match=r"database\.url") as caught:
        postgresql.read_address(file)

    assert caught.value.cure
    assert "s3cret" not in f"{caught.value} {caught.value.cure}"


def test_an_address_that_everybody_may_read_is_refused(tmp_path: Path) -> None:
    """A password is in it."""
    file = tmp_path / "database.url"
    file.write_text("postgresql://accord:s3cret@127.0.0.1/accord\n")
    file.chmod(0o644)

    with pytest.raises(StateUnusable, match="everybody on this machine"):
        postgresql.read_address(file)


def test_each_failure_to_connect_has_its_words(place: Place, tmp_path: Path) -> None:
    """T-PRV-1: what the server or the driver says is not passed on; it names account and database."""
    made = place.database
    assert made is not None
    good = made.url_file.read_text()
    changed = {
        "does not accept the account": good.replace("p%40ss", "wrong"),
        "no database of the name": good.replace(made.name, "elsewhere"),
        "cannot be reached": good.replace(str(made.server.port), "9"),
    }
    for words, written in changed.items():
        file = tmp_path / "database.url"
        file.write_text(written)
        file.chmod(0o600)
        with pytest.raises(StateUnusable, match=words) as caught:
            postgresql.open_database(file)
        assert not any(word in str(caught.value) for word in (PASSWORD, "127.0.0.1", SERVING))


def test_two_accounts_and_one_database_are_demanded(bare: StateDatabase, place: Place) -> None:
    """T-AUD-5: with one account for both, nothing would keep it from changing the ledger."""
    assert place.database is not None

    with pytest.raises(StateUnusable, match="are one"):
        prepare_state(bare.owner_file, bare.owner_file)
    with pytest.raises(StateUnusable, match="different databases"):
        prepare_state(bare.owner_file, place.database.url_file)


# ---- durable --------------------------------------------------------------------------------------------------------


def test_every_commit_waits_for_the_disk_whatever_the_server_says(bare: StateDatabase) -> None:
    """T-AUD-2: `synchronous_commit` is off for the database and the account, and on for us."""
    prepare_state(bare.owner_file, bare.url_file)
    bare.server.run(
        f"ALTER DATABASE {bare.name} SET synchronous_commit = off",
        f"ALTER ROLE {SERVING} IN DATABASE {bare.name} SET synchronous_commit = off",
    )
    with psycopg.connect(bare.url_file.read_text().strip()) as plain:
        otherwise = plain.execute("SHOW synchronous_commit").fetchone()
    engine = postgresql.open_database(bare.url_file)

    with writing(engine) as one, reading(engine) as other:
        found = [connection.execute(text("SHOW synchronous_commit")).scalar_one() for connection in (one, other)]

    engine.dispose()
    assert (("off",), ["on", "on"]) == (otherwise, found)


def test_a_server_that_may_lose_what_it_acknowledged_is_refused(place: Place) -> None:
    """T-AUD-2: `full_page_writes` stands for the three that are looked at; it alone can be switched while one runs."""
    server, before = _server(place), place.open()
    server.run("ALTER SYSTEM SET full_page_writes = off", "SELECT pg_reload_conf()")
    try:
        _until(lambda: [("off",)] == server.run("SHOW full_page_writes"))
        with pytest.raises(StateUnusable, match="full_page_writes is off"):
            place.open()
        with pytest.raises(StateUnusable, match="full_page_writes is off"):
            postgresql.durable(before)
    finally:
        server.run("ALTER SYSTEM RESET full_page_writes", "SELECT pg_reload_conf()")
        _until(lambda: [("on",)] == server.run("SHOW full_page_writes"))
    before.dispose()

    place.open().dispose()


def _kept_open(store: Engine) -> postgresql.Bounded:
    """The connection that the next transaction will have."""
    raw = store.raw_connection()
    driver = raw.driver_connection
    raw.close()
    assert isinstance(driver, postgresql.Bounded)
    return driver


# ---- one writer -----------------------------------------------------------------------------------------------------


def test_a_second_process_waits_till_the_first_has_written(place: Place, store: Engine) -> None:
    """T-SEC-1: what is read in a writing transaction cannot change before it is written back."""
    other, done = place.open(), threading.Event()

    def second() -> None:
        add(other, 2)
        done.set()

    waiting = threading.Thread(target=second)
    with writing(store) as connection:
        append(connection, [Record(Kind.ANSWERED, 1)])
        waiting.start()
        early = done.wait(0.3)
    waiting.join()
    other.dispose()

    assert (False, True, 2) == (early, done.is_set(), size(store))


def test_a_reader_sees_one_state_throughout(store: Engine) -> None:
    """T-AUD-4: a head that was read fits the entries that are read after it."""
    add(store)
    with reading(store) as connection:
        before = head(connection)
        add(store, 2)
        after = head(connection)

    assert (before, 2) == (after, size(store))


def test_one_statement_that_only_reads_begins_nothing(store: Engine) -> None:
    """Half a dozen of them stand in every answer, and each beginning and end is a way to the server and back."""
    add(store)
    driver = _kept_open(store)

    with reading(store, once=True) as connection:
        found = head(connection)
        once = driver.info.transaction_status
    with reading(store) as connection:
        head(connection)
        usually = driver.info.transaction_status

    assert (1, TransactionStatus.IDLE, TransactionStatus.INTRANS) == (found[0], once, usually)


def test_a_lock_that_is_never_let_go_is_not_waited_for_forever(place: Place) -> None:
    """T-OPS-1: the wait has an end, and the words say what it was for."""
    one, other = place.open(), place.open()
    _kept_open(other).execute("SET lock_timeout = '50ms'")

    with writing(one), pytest.raises(StateUnusable, match="has been writing for too long"), writing(other):
        pass

    one.dispose()
    other.dispose()


# ---- errors ---------------------------------------------------------------------------------------------------------


def test_an_error_never_quotes_a_value(store: Engine) -> None:
    """T-PRV-1: a server names the row that was in the way, and in it somebody's number."""
    with writing(store) as connection:
        withdraw(connection, "Thorley", 1, b"")
    statements = [
        "INSERT INTO withdrawn VALUES ('Thorley', 1, '')",
        "SELECT CAST('Thorley' AS integer)",
        "SELECT * FROM withdrawn WHERE record_id = 'Thorley' AND",
        "INSERT INTO index_record VALUES (1, 99, 'Thorley', 0, '', 0)",
    ]
    said = []
    for statement in statements:
        with pytest.raises(StateUnusable) as caught, writing(store) as connection:
            connection.execute(text(statement))
        said.append(f"{caught.value} {caught.value.cure}")

    assert [] == [one for one in said if "thorley" in one.lower()]
    assert "SQLSTATE 23505" in said[0]


def test_rows_that_are_refused_in_bulk_are_not_quoted(store: Engine) -> None:
    """T-PRV-1: as for one statement; nothing of them stays."""
    row = {"id": 1, "index_id": 99, "person_id": "Thorley", "entry": 0, "row_hash": b"", "seen": 0}

    with pytest.raises(StateUnusable, match="SQLSTATE 23503") as caught, writing(store) as connection:
        postgresql.copy_in(connection, index_record, [row])

    with reading(store) as connection:
        left = connection.execute(select(func.count()).select_from(index_record)).scalar_one()
    assert "Thorley" not in str(caught.value)
    assert 0 == left


def test_a_server_that_says_nothing_is_not_waited_for_forever(place: Place) -> None:
    """T-NET-1: the connection is given up, and the next transaction has another."""
    store = place.open()
    _kept_open(store).silence_s = 0.2
    started = time.monotonic()

    with pytest.raises(StateUnusable, match="cannot be reached"), reading(store) as connection:
        connection.execute(text("SELECT pg_sleep(20)"))

    assert time.monotonic() - started < 15
    assert 0 == size(store)
    store.dispose()


# ---- restart --------------------------------------------------------------------------------------------------------


def _until(true: Callable[[], bool], patience_s: float = 120.0) -> None:
    deadline = time.monotonic() + patience_s
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError("it never became so")
        time.sleep(0.05)


def _server(place: Place) -> DatabaseServer:
    assert place.database is not None
    return place.database.server


def _works(store: Engine) -> bool:
    try:
        size(store)
    except StateUnusable:
        return False
    return True


def test_a_restart_of_the_server_loses_nothing_and_fails_nobody(place: Place, store: Engine) -> None:
    """T-AUD-2: the server is ended at once, as a crash would; connections that were kept open are dialled anew."""
    for number in range(20):
        add(store, number)
    server = _server(place)
    server.stop()
    server.start()

    add(store, 20)

    assert 21 == size(store)


def test_while_the_server_is_away_everything_fails_and_nothing_is_half_done(place: Place, store: Engine) -> None:
    """T-OPS-1: it heals by itself when the server is back."""
    add(store)
    server = _server(place)

    def cut() -> None:
        with writing(store) as connection:
            append(connection, [Record(Kind.ANSWERED, 2)])
            server.stop()

    with pytest.raises(StateUnusable):
        cut()
    with pytest.raises(StateUnusable, match="cannot be reached"):
        add(store, 3)
    with pytest.raises(StateUnusable, match="cannot be reached"):
        size(store)
    server.start()
    _until(lambda: _works(store))

    add(store, 4)

    assert 2 == size(store)


def test_an_index_job_is_alone_again_after_a_restart(place: Place, store: Engine) -> None:
    """T-OPS-6: the lock went with the server's memory, so the next job need not wait for a dead one."""
    other = place.open()
    server = _server(place)
    with only_job(store):
        with pytest.raises(IndexBusy), only_job(other):
            pass
        server.stop()
        server.start()
        _until(lambda: _works(other))
        with only_job(other):
            pass
    with only_job(other):
        pass
    other.dispose()


def test_without_the_driver_the_cure_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is an extra of the installation; who keeps state in a file does without."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "agency_node.store.postgresql")
    monkeypatch.delattr(store_package, "postgresql")

    with pytest.raises(StateUnusable, match="driver") as caught:
        open_state(tmp_path / "node.db", tmp_path / "database.url")

    assert "pip install" in caught.value.cure
