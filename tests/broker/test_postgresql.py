"""State and ledger on a PostgreSQL server: who may do what, who writes, what must hold before anything is written."""

import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
from psycopg import errors, sql
from sqlalchemy import Connection, insert, text

from accord import merkle
from accord.reasons import Problem
from broker import enrol as office
from broker.cli import database as command
from broker.sequencer import Appended, Batch, Writer, record
from broker.settings import BadSettings, load
from broker.stages import LedgerUnavailable
from broker.store import NEWEST, Server, Store, StoreUnusable, decisions, open_for_reading, open_store, tree
from broker.store import postgresql as servers
from broker.store.database import migrate
from broker.store.postgresql import LEDGER, RIGHTS, prepare, read_address
from broker.store.tables import COUNTS, LEDGER_ENTRY, METADATA
from tests.world.broker_databases import OWNER, PASSWORDS, SERVING, BrokerDatabases, broker_databases
from tests.world.ledger import LEDGER_KEY, NOW_NS, ORIGIN

pytestmark = pytest.mark.needs("postgres", "initdb")
Result = TypeVar("Result")


def batch(number: int = 0) -> Batch:
    return Batch((record("OUTCOME", NOW_NS, {"number": number}, receipted=True),))


def connect(databases: BrokerDatabases, place: Server, account: str) -> "psycopg.Connection[Any]":
    """A connection of the account's own, outside the program."""
    address = read_address(databases.address(databases.name(place), account))
    return psycopg.connect(
        host=address.host,
        port=address.port,
        user=address.user,
        password=address.password,
        dbname=address.database,
        autocommit=True,
    )


def _keep_decision(connection: Connection, indices: tuple[int, ...]) -> None:
    decisions.keep(connection, indices[0], NOW_NS, b'{"entrypoint":"query"}')


def filled(place: Server) -> None:
    """One of everything that a few records make."""
    store = open_store(place)
    writer = Writer(store, ORIGIN, LEDGER_KEY)
    for number in range(3):
        writer.commit([replace(batch(number), write=_keep_decision)])
    store.close()


# -- Who may do what --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["UPDATE", "DELETE", "TRUNCATE"])
def test_the_serving_account_can_only_add_to_the_ledger(databases: BrokerDatabases, verb: str) -> None:
    """T-AUD-5: no mistake of this program, and no SQL under its account, changes, removes or empties what is there."""
    place = databases.fresh()
    filled(place)
    refused = []
    with connect(databases, place, SERVING) as connection:
        for table in LEDGER:
            column = next(iter({**METADATA.tables, **COUNTS.tables}[table].columns)).name
            words = {
                "UPDATE": "UPDATE {0} SET {1} = {1}",
                "DELETE": "DELETE FROM {0}",
                "TRUNCATE": "TRUNCATE {0} CASCADE",
            }
            statement = sql.SQL(words[verb]).format(sql.Identifier(table), sql.Identifier(column))
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(statement)
            refused.append(table)

    assert list(LEDGER) == refused


def test_every_table_has_rights_that_somebody_thought_of(databases: BrokerDatabases) -> None:
    """A table that a later version adds must be named among the rights, or the broker could not use it."""
    place = databases.fresh()
    with connect(databases, place, OWNER) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()

    assert set(RIGHTS) == {name for (name,) in rows}
    assert {*METADATA.tables, *COUNTS.tables, "alembic_version"} == set(RIGHTS)


@pytest.mark.parametrize(
    "mistake",
    [
        "DELETE FROM ledger_entry",
        "UPDATE ledger_entry SET body = '{}'",
        "UPDATE ledger_entry SET salt = ''",
        "UPDATE ledger_head SET root = 'x'",
        "UPDATE ledger_note SET note = 'another'",
        "DELETE FROM ledger_note",
        "DELETE FROM ledger_edge",
        "UPDATE tenure SET number = 9",
        "UPDATE decision SET input = '{}'",
        "DELETE FROM decision",
        "TRUNCATE ledger_entry",
        "TRUNCATE ledger_head CASCADE",
    ],
)
def test_triggers_hold_against_the_owner_too(databases: BrokerDatabases, shared: Server, mistake: str) -> None:
    """Guard-rails: whoever works on the tables by hand must take a trigger down first, and so knows what they do."""
    with connect(databases, shared, OWNER) as connection, pytest.raises(errors.RestrictViolation, match="refused by"):
        connection.execute(mistake.encode())


@pytest.fixture(scope="module")
def shared(databases: BrokerDatabases) -> Server:
    """A database with a few records, for tests that change nothing."""
    place = databases.fresh()
    filled(place)
    return place


def test_an_account_for_erasing_can_erase_and_nothing_else(databases: BrokerDatabases) -> None:
    """T-AUD-10: there is room for an account that empties salt and body together; the tree's own entry stays."""
    place = databases.fresh()
    filled(place)
    with connect(databases, place, OWNER) as owner:
        # Accounts belong to the server, not to one database.
        owner.execute("GRANT SELECT, UPDATE (salt, body) ON ledger_entry TO reader")
    name = databases.name(place)
    eraser = psycopg.connect(
        host="127.0.0.1",
        port=databases.server.port,
        user="reader",
        password="p@ss/word:1",
        dbname=name,
        autocommit=True,
    )
    with eraser:
        eraser.execute("UPDATE ledger_entry SET salt = '', body = '' WHERE \"index\" = 1")
        with pytest.raises(errors.RestrictViolation):
            eraser.execute("UPDATE ledger_entry SET body = '{}' WHERE \"index\" = 0")
        with pytest.raises(errors.InsufficientPrivilege):
            eraser.execute("UPDATE ledger_entry SET entry = ''")
    store = open_for_reading(place)
    with store.reader.connect() as connection:
        left = tree.entries(connection, 0, 3)
    store.close()

    assert [16, 0, 16] == [len(one.salt) for one in left]
    assert [33, 33, 33] == [len(one.entry) for one in left]


def test_an_account_that_could_change_the_ledger_is_refused(databases: BrokerDatabases) -> None:
    """T-AUD-5: the owner's account, or a right too many, keeps the broker from starting."""
    place = databases.fresh()
    with pytest.raises(StoreUnusable, match="may change the ledger") as as_owner:
        open_store(Server(databases.owner(place)))
    with connect(databases, place, OWNER) as owner:
        owner.execute(f"GRANT UPDATE (body) ON ledger_entry TO {SERVING}")
    with pytest.raises(StoreUnusable, match="may change the ledger"):
        open_store(place)
    prepare(databases.owner(place), place.url_file)
    open_store(place).close()

    assert "database prepare" in as_owner.value.cure


# -- What must hold before anything is written ------------------------------------------------------------------------


def test_a_server_that_would_lose_what_it_acknowledged_is_refused(databases: BrokerDatabases) -> None:
    """T-AUD-2: looked at on every connection that writes, not assumed; and as soon as it is right, it is well."""
    store = open_store(databases.fresh())
    databases.server.run("ALTER SYSTEM SET full_page_writes = off", "SELECT pg_reload_conf()")
    try:
        refused = eventually(lambda: refusal(store), bool)
    finally:
        databases.server.run("ALTER SYSTEM RESET full_page_writes", "SELECT pg_reload_conf()")
    taken = eventually(lambda: refusal(store), lambda found: not found)
    store.close()

    assert ("the server would lose what it acknowledged: its full_page_writes is off", "") == (refused, taken)


@pytest.mark.prove
def test_a_server_that_does_not_sync_is_refused(tmp_path: Path) -> None:
    """T-AUD-2: `fsync = off`, on a server that really runs so."""
    with broker_databases(tmp_path, fsync="off") as careless:
        store = open_store(careless.fresh())
        found = refusal(store)
        store.close()

    assert "the server would lose what it acknowledged: its fsync is off" == found


def refusal(store: Store) -> str:
    """What is said when the pen is taken; "" when it could be."""
    try:
        store.pen.take()
    except StoreUnusable as problem:
        return str(problem)
    return ""


def eventually(look: Callable[[], Result], good: Callable[[Result], bool]) -> Result:
    """Look until what is found is good, two minutes at most."""
    deadline = time.monotonic() + 120
    while not good(found := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def test_a_commit_waits_for_the_servers_disk_whatever_the_account_is_set_to(databases: BrokerDatabases) -> None:
    """T-AUD-2: `synchronous_commit` is on in the session that writes, though the account's own setting is off."""
    place = databases.fresh()
    databases.server.run(f"ALTER ROLE {SERVING} IN DATABASE {databases.name(place)} SET synchronous_commit = off")
    store = open_store(place)
    assert store.writer is not None
    with store.writer.connect() as connection:
        found = connection.execute(text("SHOW synchronous_commit")).scalar()
    store.close()

    assert "on" == found


# -- Preparing --------------------------------------------------------------------------------------------------------


def test_a_database_that_was_not_prepared_is_refused_with_the_cure(databases: BrokerDatabases) -> None:
    """T-OPS-4: the account that serves cannot make tables, so it says who must."""
    with pytest.raises(StoreUnusable, match="has the tables of no version") as caught:
        open_store(Server(databases.address(databases.bare(), SERVING)))

    assert "accord-broker database prepare" in caught.value.cure


def test_preparing_again_changes_nothing(databases: BrokerDatabases) -> None:
    """T-OPS-4: an administrator may run it at any time, also while a broker writes."""
    place = databases.fresh()
    store = open_store(place)
    writer = Writer(store, ORIGIN, LEDGER_KEY)
    writer.commit([batch(1)])
    found = prepare(databases.owner(place), place.url_file)
    writer.commit([batch(2)])
    store.close()

    assert (NEWEST, 2) == (found, writer.head.size)


def test_a_federation_is_founded_on_a_server_from_the_start(
    databases: BrokerDatabases, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What an administrator runs: init names the address, `database prepare` makes the tables, and the store opens."""
    name = databases.bare()
    address = databases.address(name, SERVING)
    office.init(
        tmp_path / "broker",
        tmp_path / "authority",
        federation="midshire",
        hosts=["localhost"],
        now_ns=NOW_NS,
        database_url_file=address,
    )
    place = load(tmp_path / "broker" / "broker.toml").place
    command.prepare(tmp_path / "broker", databases.address(name, OWNER))
    open_store(place).close()

    assert place == Server(address)
    assert f"version {NEWEST}" in capsys.readouterr().out


def test_doctor_names_what_an_account_lacks(databases: BrokerDatabases) -> None:
    """A right that somebody took away is told with the table and the cure."""
    place = databases.fresh()
    with connect(databases, place, OWNER) as owner:
        owner.execute(f"REVOKE INSERT ON ledger_note FROM {SERVING}")
    found = servers.look(place.url_file)

    assert ((), ("ledger_note",), False, 0) == (found.careless, found.lacking, found.written, found.waiting)


def test_tables_are_not_brought_up_to_date_under_a_broker_that_writes(databases: BrokerDatabases) -> None:
    """T-OPS-4: two versions of the program never write one database at the same time."""
    name = databases.bare()
    owner = databases.address(name, OWNER)
    older(owner)
    with psycopg.connect(
        host="127.0.0.1", port=databases.server.port, user=SERVING, password=PASSWORDS[SERVING], dbname=name
    ) as broker:
        broker.execute("SELECT pg_advisory_lock(%s)", (servers.LOCK,))
        with pytest.raises(StoreUnusable, match="a broker is writing"):
            prepare(owner, databases.address(name, SERVING))
    prepare(owner, databases.address(name, SERVING))
    open_store(Server(databases.address(name, SERVING))).close()


def older(owner: Path) -> None:
    """Make the tables of the version before."""
    store = servers.owning(owner)
    migrate(store, "0001")
    store.dispose()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("mysql://a:b@localhost/c", "is not of a PostgreSQL database"),
        ("postgresql://localhost/c", "is not of a PostgreSQL database with an account"),
        ("postgresql://a:b@db.example/c", "leads to another machine without TLS"),
        ("postgresql://a:b@db.example/c?sslmode=require", "leads to another machine without TLS"),
        ("postgresql://a:b@localhost/c?options=-c%20synchronous_commit=off", "an option that is not known"),
        ("postgresql://a:b@localhost/c?host=db.example", "may only name the folder of a socket"),
        ("nonsense", "is no address"),
    ],
)
def test_an_address_that_could_harm_is_refused_and_never_shown(tmp_path: Path, line: str, said: str) -> None:
    """T-SEC-4: a password goes over TLS or stays on this machine, and no option can take a guard away."""
    file = tmp_path / "database.url"
    file.touch(mode=0o600)
    file.write_text(line)
    with pytest.raises(StoreUnusable, match=said) as caught:
        read_address(file)

    assert line not in str(caught.value)


def test_an_address_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """A password in a file that everybody can read is no secret."""
    file = tmp_path / "database.url"
    file.write_text("postgresql://a:b@localhost/c")
    file.chmod(0o644)
    with pytest.raises(StoreUnusable, match="the file of database_url_file cannot be used"):
        read_address(file)


def test_a_wrong_password_is_said_without_showing_it(databases: BrokerDatabases, tmp_path: Path) -> None:
    """The administrator must learn what is wrong; the log must not learn the password."""
    file = tmp_path / "database.url"
    file.touch(mode=0o600)
    file.write_text(f"postgresql://{SERVING}:canary-5f1c@127.0.0.1:{databases.server.port}/accord_template")
    with pytest.raises(StoreUnusable, match="does not accept the account") as caught:
        open_store(Server(file))

    assert "canary" not in str(caught.value)
    assert "database_url_file" in caught.value.cure


def test_a_broker_is_told_of_a_file_or_of_a_server_and_not_of_both(tmp_path: Path) -> None:
    """A ledger that lies in two places would be two ledgers."""
    file = tmp_path / "broker.toml"
    file.write_text('federation = "midshire"\ndatabase = "broker.db"\ndatabase_url_file = "database.url"\n')
    with pytest.raises(BadSettings, match="name either database or database_url_file, not both"):
        load(file)
    file.write_text('federation = "midshire"\ndatabase_url_file = "database.url"\n')
    told = load(file)

    assert (Server(tmp_path / "database.url"), told.place) == (told.place, told.counts)


# -- One of several writes --------------------------------------------------------------------------------------------


def test_of_two_brokers_one_writes_and_the_other_takes_over(databases: BrokerDatabases) -> None:
    """T-AUD-4: the second gets the pen when the first ends, and goes on from what the first committed."""
    place = databases.fresh()
    first, second = open_store(place), open_store(place)
    writer = Writer(first, ORIGIN, LEDGER_KEY)
    writer.commit([batch(1)])
    before = second.pen.take()
    first.close()
    after = second.pen.take()
    head = Writer(second, ORIGIN, LEDGER_KEY).head
    second.close()

    assert (False, True, writer.head) == (before, after, head)


def test_whoever_loses_the_connection_cannot_write_beside_the_next(databases: BrokerDatabases) -> None:
    """T-AUD-4: the lock lies on the connection that writes, so losing it fences the writer without anybody's help."""
    place = databases.fresh()
    first, second = open_store(place), open_store(place)
    old = Writer(first, ORIGIN, LEDGER_KEY)
    old.commit([batch(1)])
    cut_writers(databases, place)
    taken = eventually(second.pen.take, bool)
    new = Writer(second, ORIGIN, LEDGER_KEY)
    new.commit([batch(2)])
    for number in range(3):
        with pytest.raises(LedgerUnavailable):
            old.commit([batch(100 + number)])
    second.close()
    # Nobody holds the pen now, and still the old one may not: what it remembers is not what is there.
    with pytest.raises(LedgerUnavailable):
        old.commit([batch(200)])
    lost = first.pen.lost
    first.close()

    assert (True, True, 2) == (taken, lost, size(place))


def test_a_writer_whose_connection_broke_goes_on_when_nobody_took_over(databases: BrokerDatabases) -> None:
    """T-OPS-4: a broken connection costs the group that was on its way, and no restart."""
    place = databases.fresh()
    store = open_store(place)
    writer = Writer(store, ORIGIN, LEDGER_KEY)
    writer.commit([batch(1)])
    cut_writers(databases, place)
    with pytest.raises(LedgerUnavailable):
        writer.commit([batch(2)])
    (again,) = eventually(lambda: attempt(writer, batch(3)), bool)
    store.close()

    assert isinstance(again, Appended)
    assert ((1,), False, 2) == (again.indices, store.pen.lost, size(place))


def test_a_frozen_writer_does_not_keep_the_others_from_writing(databases: BrokerDatabases) -> None:
    """T-OPS-4: a session that says nothing for too long is ended by the server, and its lock with it."""
    place = databases.fresh()
    store = open_store(place)
    store.pen.take()
    with psycopg.connect(
        host=str(databases.server.folder), port=databases.server.port, user="admin", dbname=databases.name(place)
    ) as admin:
        row = admin.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'accord-broker writer'"
        ).fetchone()
    assert store.writer is not None
    with store.writer.connect() as connection:
        found = connection.execute(text("SHOW idle_session_timeout")).scalar()
    store.close()

    assert ((1,), f"{servers.IDLE_S}s") == (row, found)


def test_a_server_that_says_nothing_any_more_is_given_up(databases: BrokerDatabases) -> None:
    """T-NET-1: a frozen server ends a wait; it does not hold the process for ever."""
    place = databases.fresh()
    connection = servers.dial(read_address(place.url_file), "test", silence_s=0.5)
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    os.kill(row[0], signal.SIGSTOP)
    began = time.monotonic()
    try:
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            connection.execute("SELECT 1")
    finally:
        os.kill(row[0], signal.SIGCONT)

    assert (True, True) == (connection.closed, time.monotonic() - began < 60)


def test_after_the_server_restarts_the_ledger_is_written_and_read_again(databases: BrokerDatabases) -> None:
    """T-AUD-1, T-OPS-4: nothing is acknowledged while it is away, nothing acknowledged is lost, nobody helps."""
    place = databases.fresh()
    store = open_store(place)
    writer = Writer(store, ORIGIN, LEDGER_KEY)
    acknowledged = [one for number in range(5) for one in writer.commit([batch(number)])]
    with store.reading() as connection:
        tree.count(connection)
    databases.server.stop()
    refused = [attempt(writer, batch(100)) for _ in range(3)]
    with pytest.raises(LedgerUnavailable), store.reading() as connection:
        tree.count(connection)
    databases.server.start()
    began = time.monotonic()
    (again,) = eventually(lambda: attempt(writer, batch(5)), bool)
    healed_s = time.monotonic() - began
    counted = eventually(lambda: reads(store), bool)
    store.close()

    assert isinstance(again, Appended)
    assert ([()] * 3, 5, (5,), 6) == (refused, len(acknowledged), again.indices, counted)
    assert healed_s < 120


def reads(store: Store) -> int:
    try:
        with store.reading() as connection:
            return tree.count(connection)
    except LedgerUnavailable:
        return 0


def attempt(writer: Writer, one: Batch) -> tuple[Appended | Problem, ...]:
    """What came of a batch; nothing when the ledger could not be written."""
    try:
        return tuple(writer.commit([one]))
    except LedgerUnavailable:
        return ()


def cut_writers(databases: BrokerDatabases, place: Server) -> None:
    """End the session that holds the pen, as a network that breaks does."""
    databases.server.run(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        database=databases.name(place),
    )


def counted(place: Server) -> int:
    """How many rows the control has."""
    store = open_for_reading(place)
    try:
        with store.reader.connect() as connection:
            return int(connection.exec_driver_sql("SELECT count(*) FROM public.control").scalar_one())
    finally:
        store.close()


def size(place: Server) -> int:
    store = open_for_reading(place)
    try:
        with store.reader.connect() as connection:
            return tree.count(connection)
    finally:
        store.close()


def test_error_texts_of_the_server_leave_out_what_was_in_a_row(databases: BrokerDatabases) -> None:
    """T-PRV-1: a server quotes the row that it refused; what is raised here says only of what kind the error is."""
    store = open_store(databases.fresh())
    writer = Writer(store, ORIGIN, LEDGER_KEY)
    row = {"index": 0, "kind": None, "query_id": None, "at": "x", "salt": b"", "body": b"canary", "entry": b""}

    def wrong(connection: Connection, _: tuple[int, ...]) -> None:
        connection.execute(insert(LEDGER_ENTRY), row)

    with pytest.raises(LedgerUnavailable) as caught:
        writer.commit([Batch((), write=wrong)])
    store.close()

    assert "the ledger could not be written: NotNullViolation" == str(caught.value)


@pytest.mark.prove
def test_no_kill_of_the_server_loses_what_was_acknowledged(databases: BrokerDatabases) -> None:
    """T-AUD-2, T-AUD-4: kill -9 of the server while records are written; the control commits without waiting."""
    least, most, seed = 4, 40, 20261122
    chance = random.Random(seed)
    place = databases.fresh()
    store = open_store(place)
    writer = Writer(store, ORIGIN, LEDGER_KEY)
    acknowledged: dict[int, bytes] = {}
    heads: dict[int, bytes] = {}
    control_acked = control_kept = 0
    databases.server.run(
        "CREATE TABLE public.control (number integer)",
        f"GRANT INSERT, SELECT ON public.control TO {SERVING}",
        database=databases.name(place),
    )
    kills = 0
    # The control shows it only where the server is killed between its commit and the next that is waited for.
    while kills < least or (control_acked == control_kept and kills < most):
        control = servers.dial(read_address(place.url_file), "control", {"synchronous_commit": "off"})
        killing = threading.Timer(chance.uniform(0.3, 0.8), databases.server.process.kill)
        killing.start()
        for step in itertools.count():
            outcome = attempt(writer, batch(1_000 * kills + step))
            for one in outcome:
                assert isinstance(one, Appended)
                acknowledged[one.indices[0]] = one.entries[0].body
                heads[one.head.size] = one.head.root
            try:
                for _ in range(20):
                    control.execute("INSERT INTO public.control VALUES (%s)", (step,))
                    control.commit()
                    control_acked += 1
            except psycopg.Error:
                break
        killing.join()
        databases.server.process.wait()
        databases.server.start()
        eventually(lambda: attempt(writer, batch(0)), bool)
        control_kept = counted(place)
        kills += 1
    store.close()
    beside = open_for_reading(place)
    with beside.reader.connect() as connection:
        stored = {one.index: one.body for one in tree.entries(connection, 0, tree.count(connection))}
        contradicted = sum(merkle.tree_root(size, tree.reader(connection)) != root for size, root in heads.items())
    beside.close()
    lost = sum(stored.get(index) != body for index, body in acknowledged.items())
    print(
        f"T-AUD-2 postgresql lost={lost} acked={len(acknowledged)} kills={kills} seed={seed} (kill -9 of the server); "
        f"control synchronous_commit=off lost={control_acked - control_kept} of {control_acked}"
    )
    print(f"T-AUD-4 postgresql contradicted={contradicted} heads={len(heads)} kills={kills} seed={seed}")

    assert (0, 0) == (lost, contradicted)
    assert (True, True) == (len(acknowledged) > 0, control_acked > control_kept)
