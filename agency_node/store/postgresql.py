"""State on a PostgreSQL server: how it is reached, what each connection is held to, and who may do what.

Two accounts. The owner makes the tables and brings them up to date (`prepare`); nothing else uses it. The serving
account may add to the ledger and read it, and can neither change, remove nor empty what is there. Rights and triggers
stop this program's own mistakes; the evidence is the tree.

* Every commit waits for the server's disk: `synchronous_commit`, `fsync` and `full_page_writes` are looked at on each
  connection, not assumed (T-AUD-2).
* One writer: a writing transaction begins with a lock that only one session of this database can hold
  (https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS). Others wait for it.
* Every wait has an end: connecting, a lock, a statement, an idle transaction, and a server that says nothing any more.
* What a server says of an error may quote a value, so its text is never passed on, only what its code means.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import psycopg
from psycopg import sql
from psycopg.abc import PQGen
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    LargeBinary,
    String,
    Table,
    bindparam,
    create_engine,
    event,
    func,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError

from agency_node import keys
from agency_node.store.database import (
    COUNTS,
    NEWEST,
    ONCE,
    READS,
    TELLS,
    WRITES,
    beginning,
    failing,
    migrate,
    reading,
    version,
    writing,
)
from agency_node.store.failure import StateUnusable

CONNECT_S: Final = 5
"""How long connecting may take, in seconds."""
LOCK_S: Final = 30
"""How long a transaction waits for another process's, in seconds."""
STATEMENT_S: Final = 60
"""How long one statement may take, in seconds: the slowest reads a whole ledger or counts a whole index."""
MIGRATE_S: Final = 600
"""How long one statement of a migration may take, in seconds."""
REST_S: Final = 1.0
"""After a failure to connect, how long nobody tries again, in seconds: each try holds up all that the node does."""
WRITER: Final = 0x6163636F7264
"""Number of the lock of whoever writes."""
INDEX_JOB: Final = WRITER + 1
"""Number of the lock of the one index job."""

READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
WRITE: Final = f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT pg_advisory_xact_lock({WRITER})"
"""Each later statement sees what was committed before it began, and so all that whoever held the lock before wrote."""

_BEGINS: Final[Mapping[str, str]] = {
    WRITES: WRITE,
    COUNTS: f"{WRITE}; SET LOCAL synchronous_commit TO off",
    READS: READ,
    ONCE: "",
}

OPTIONS: Final = frozenset({"sslmode", "sslrootcert", "sslcert", "sslkey", "host"})
_CHECKED: Final = frozenset({"verify-full", "verify-ca"})
_LOOPBACK: Final = re.compile(r"localhost|127(\.\d{1,3}){3}|::1", re.IGNORECASE)
_SESSION: Final[Mapping[str, str]] = {
    "synchronous_commit": "on",
    "default_transaction_read_only": "off",
    "search_path": "public,pg_temp",
    "lock_timeout": f"{LOCK_S}s",
    # A process that is frozen must not keep the others from writing.
    "idle_in_transaction_session_timeout": f"{LOCK_S}s",
    # A server forgets a machine that vanished, and its lock with it.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
"""What every session is held to, whatever the account or the server says otherwise
(https://www.postgresql.org/docs/current/runtime-config-client.html)."""

FORM: Final = "Write one line: postgresql://account:password@host:port/database?sslmode=verify-full&sslrootcert=ca.pem"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, and as whom we come. Never shown: a password is in it.

    Attributes:
        host: Name or number; "" for a socket on this machine.
        port: None for the usual one.
        user: The account.
        password: Its password; "" where the server asks for none.
        database: The database.
        options: Other parts of the address, of OPTIONS.
    """

    host: str
    port: int | None
    user: str
    password: str = field(repr=False)
    database: str
    options: Mapping[str, str]

    def __str__(self) -> str:
        """Database and host: what may be shown."""
        return f"database {self.database} on {self.host or 'this machine'}"


def read_address(path: Path) -> Address:
    """Read where the server is from a file that only this process's account can read.

    Args:
        path: A file of one line; see FORM.

    Raises:
        StateUnusable: The file or the address cannot be used. The message never shows the address.
    """
    try:
        url = make_url(keys.read_private(path).decode("ascii").strip())
    except keys.BadFile as fault:
        raise StateUnusable(f"the file of database_url_file cannot be used: {fault}") from None
    except (UnicodeDecodeError, ArgumentError, ValueError):
        raise StateUnusable(f"what stands in {path} is no address", FORM) from None
    options = {name: value for name, value in url.query.items() if isinstance(value, str)}
    if url.drivername not in {"postgresql", "postgresql+psycopg"} or not url.database or not url.username:
        raise StateUnusable(f"the address in {path} is not of a PostgreSQL database with an account", FORM)
    if set(url.query) - OPTIONS or len(options) != len(url.query):
        # Others could switch off what every session is held to.
        raise StateUnusable(
            f"the address in {path} has an option that is not known, or has one twice",
            f"Known are: {', '.join(sorted(OPTIONS))}.",
        )
    if not options.get("host", "/").startswith("/"):
        raise StateUnusable(
            f"the option 'host' of the address in {path} may only name the folder of a socket",
            "Write the host after @.",
        )
    if url.host and not _LOOPBACK.fullmatch(url.host) and options.get("sslmode") not in _CHECKED:
        raise StateUnusable(
            f"the address in {path} leads to another machine without TLS",
            "Add ?sslmode=verify-full&sslrootcert= and the path of the authority that signed the server's certificate.",
        )
    return Address(url.host or "", url.port, url.username, url.password or "", url.database, options)


class Bounded(psycopg.Connection[Any]):
    """A connection on which no wait is without end, even when the server itself says nothing any more."""

    silence_s: float = STATEMENT_S + 5.0
    """How long the server may say nothing, in seconds; it would have stopped the statement itself by then."""

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Wait for the server, no longer than `silence_s`."""
        try:
            return super().wait(gen, interval, self.silence_s if timeout is None else timeout)
        except psycopg.OperationalError as error:
            if error.sqlstate is None and not self.closed:
                # Neither the server nor a broken connection raised it: the time is up. What it may still say belongs
                # to a statement that nobody waits for, so this connection is of no use any more.
                self.pgconn.finish()
            raise


def open_database(url_file: Path) -> Engine:
    """Open state that lies on a server, with the serving account.

    Args:
        url_file: A file of one line; see FORM.

    Returns:
        An engine for `reading` and `writing`, safe to share between threads. It dials anew when the server restarted.

    Raises:
        StateUnusable: The file or its address cannot be used, the server cannot be reached, the database has not been
            prepared for this version, or the account could change what stands in the ledger.
    """
    address = read_address(url_file)
    engine = _engine(address)
    try:
        with reading(engine) as connection:
            _refuse_unprepared(address, version(connection))
            _refuse_too_much(address, connection)
    except BaseException:
        engine.dispose()
        raise
    return engine


def open_as_owner(owner_file: Path) -> Engine:
    """As `open_database`, with the account that owns the tables: for erasing records past their retention.

    Raises:
        StateUnusable: The address cannot be used.
    """
    return _engine(read_address(owner_file), MIGRATE_S)


def prepare(owner_file: Path, url_file: Path) -> str:
    """Make the tables, or bring them up to date, and give the serving account the rights it needs and no other.

    May be repeated at any time; must be after an update of this program, while nothing serves.

    Args:
        owner_file: A file of one line, as `url_file`, with the account that owns the tables.
        url_file: The serving account's.

    Returns:
        The migration that the tables have now.

    Raises:
        StateUnusable: One of the addresses cannot be used, both name one account or different databases, something
            serves that knows the tables as they are, or the owner may not do this.
    """
    owner, serving = read_address(owner_file), read_address(url_file)
    if owner.database != serving.database:
        raise StateUnusable("the two addresses name different databases", "Write the same database into both files.")
    if owner.user == serving.user:
        raise StateUnusable(
            "the owner and the serving account are one, so nothing would keep it from changing the ledger",
            "Make a second account, and write it into the file of database_url_file.",
        )
    engine = _engine(owner, MIGRATE_S)
    try:
        with reading(engine) as connection:
            busy = connection.execute(_AT_WORK, {"user": serving.user}).scalar_one()
            if busy and version(connection) != NEWEST:
                raise StateUnusable(f"something is at work in {owner}", "Stop everything that serves there first.")
        migrate(engine)
        with writing(engine) as connection:
            _grant(connection, serving.user)
    finally:
        engine.dispose()
    return NEWEST


def _engine(address: Address, statement_s: int = STATEMENT_S) -> Engine:
    """Connections to a server, made when they are needed, each held to what `_SESSION` says."""
    session = {**_SESSION, "statement_timeout": f"{statement_s}s"}

    def dial() -> Bounded:
        where: dict[str, Any] = {"host": address.host or None, **address.options}
        connection = Bounded.connect(
            **where,
            port=address.port,
            user=address.user,
            password=address.password or None,
            dbname=address.database,
            # Transactions begin as the "begin" event below says.
            autocommit=True,
            connect_timeout=CONNECT_S,
            tcp_user_timeout=1_000 * 2 * CONNECT_S,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            client_encoding="utf8",
            application_name="accord-node",
            options=" ".join(f"-c {name}={value}" for name, value in session.items()),
        )
        connection.silence_s = statement_s + 5.0
        return connection

    engine = create_engine(
        "postgresql+psycopg://",
        creator=_resting(dial),
        use_native_hstore=False,
        pool_size=8,
        max_overflow=64,
        pool_timeout=LOCK_S,
        # A parameter can be about a person: keep it out of every error text (T-PRV-1).
        hide_parameters=True,
        execution_options={TELLS: told},
    )
    event.listen(engine, "connect", _settle)
    event.listen(engine, "begin", _begin)
    return engine


def _resting(dial: Callable[[], Bounded]) -> Callable[[], Bounded]:
    """Dial, but not again right after a failure."""
    failed = -REST_S

    def dialled() -> Bounded:
        nonlocal failed
        if time.monotonic() < failed + REST_S:
            raise psycopg.OperationalError("the server could not be reached a moment ago")
        try:
            return dial()
        except psycopg.Error:
            failed = time.monotonic()
            raise

    return dialled


DURABLE: Final = ("synchronous_commit", "fsync", "full_page_writes")
"""What must be on, or the server would lose what it acknowledged when it or its machine stops
(https://www.postgresql.org/docs/current/runtime-config-wal.html). Measured: `synchronous_commit=off` lost 416 of 7,442
acknowledged entries to a kill, `on` none of 8,420."""
_DURABLE: Final = "SELECT " + ", ".join(f"current_setting('{name}')" for name in DURABLE)


def _settle(connection: Bounded, _record: object) -> None:
    if connection.info.parameter_status("server_encoding") != "UTF8":
        # Text would come as bytes of whatever alphabet the database was made with.
        raise StateUnusable("the database is not in UTF-8", "Make it anew with ENCODING 'UTF8' TEMPLATE template0.")
    _refuse_forgetful(connection.execute(_DURABLE.encode()).fetchone() or ())


def _refuse_forgetful(row: Sequence[str]) -> None:
    for name, found in zip(DURABLE, row, strict=True):
        if found != "on":
            raise StateUnusable(
                f"the server would lose what it acknowledged: its {name} is {found}",
                f"Set {name} = on in the server's configuration.",
            )


def named(engine: Engine) -> str:
    """What kind of server it is."""
    with reading(engine) as connection:
        return f"PostgreSQL {connection.exec_driver_sql('SHOW server_version').scalar_one()}"


def durable(engine: Engine) -> tuple[str, ...]:
    """What is on, so that nothing acknowledged is lost.

    Raises:
        StateUnusable: One of them is off by now.
    """
    with reading(engine) as connection:
        _refuse_forgetful(connection.exec_driver_sql(_DURABLE).one())
    return DURABLE


def only_adds(engine: Engine) -> tuple[str, ...]:
    """The tables of the ledger, to which this account may only add.

    Raises:
        StateUnusable: It may do more by now.
    """
    with reading(engine) as connection:
        _refuse_too_much("the state database", connection)
    return LEDGER


def _begin(connection: Connection) -> None:
    begin = _BEGINS[beginning(connection)]
    if begin:
        connection.exec_driver_sql(begin)


@contextmanager
def session_lock(engine: Engine, number: int) -> Iterator[bool]:
    """Hold a lock of the server's as long as the block lasts and the connection lives; nobody waits for it.

    Args:
        engine: From `open_database`.
        number: Which lock.

    Yields:
        Whether it could be had.

    Raises:
        StateUnusable: The server cannot be reached.
    """
    with failing(engine):
        connection = engine.connect()
    try:
        with failing(engine), connection.begin():
            held = connection.execute(select(func.pg_try_advisory_lock(number))).scalar_one()
        yield bool(held)
    finally:
        with suppress(StateUnusable), failing(engine), connection.begin():
            connection.execute(select(func.pg_advisory_unlock(number)))
        # Should that have failed: in the pool, its session would keep the lock.
        connection.invalidate()
        connection.close()


def copy_in(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Add many rows at once, in the caller's transaction.

    Three to four times as fast as one INSERT for each (https://www.postgresql.org/docs/current/sql-copy.html).

    Args:
        connection: A writing transaction.
        table: Of columns of integers, text and bytes.
        rows: Each with the same columns in the same order.

    Raises:
        psycopg.Error: The server refused them; none is there.
    """
    names = list(rows[0])
    into = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, names))
    )
    cursor: psycopg.Cursor[Any] = connection.connection.cursor()  # type: ignore[assignment]  # the driver's own
    with cursor, cursor.copy(into) as copying:
        copying.set_types([_kind(table.c[name]) for name in names])
        for row in rows:
            copying.write_row(tuple(row.values()))


def _kind(column: Column[Any]) -> str:
    if isinstance(column.type, LargeBinary):
        return "bytea"
    if isinstance(column.type, String):
        return "text"
    return "int8" if isinstance(column.type, BigInteger) else "int4"


# -- Rights -----------------------------------------------------------------------------------------------------------

RIGHTS: Final[Mapping[str, str]] = {
    "alembic_version": "SELECT",
    # The ledger, and what cannot be taken back, only grow.
    "node_entry": "SELECT, INSERT",
    "withdrawn": "SELECT, INSERT",
    "agreement_binding": "SELECT, INSERT",
    # The tree over the ledger and its head move on as it grows.
    "node_tile": "SELECT, INSERT, UPDATE (hashes)",
    "node_head": "SELECT, INSERT, UPDATE (size, root, note)",
    "witness_head": "SELECT, INSERT, UPDATE (size, root, note)",
    # An answer is kept as long as its warrant could come again, and never changed.
    "answered": "SELECT, INSERT, DELETE",
    "opened_pattern": "SELECT, INSERT, UPDATE, DELETE",
    "restored": "SELECT, INSERT, UPDATE (at_ns)",
    "policy_bundle": "SELECT, INSERT, UPDATE (revision, bundle, at_ns)",
    "directory": "SELECT, INSERT, UPDATE (version, file)",
    # The index can be built again.
    "index_meta": "SELECT, INSERT, UPDATE, DELETE",
    "index_record": "SELECT, INSERT, UPDATE, DELETE",
    "index_token": "SELECT, INSERT, DELETE",
    # The steward's.
    "spent": "SELECT, INSERT, UPDATE (elements), DELETE",
    "reported_head": "SELECT, INSERT, DELETE",
    "reported_newest": "SELECT, INSERT, UPDATE (size)",
}
"""Table -> what the serving account may do with it. Nobody may TRUNCATE."""
LEDGER: Final = ("node_entry", "withdrawn")
"""Tables that the serving account may only add to, or it is refused."""

_AT_WORK: Final = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = :user")
_TOO_MUCH: Final = text(
    "SELECT c.relname FROM pg_class c WHERE c.relname IN :ledger AND c.relnamespace = 'public'::regnamespace AND ("
    "has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE') OR has_any_column_privilege(c.oid, 'UPDATE') "
    "OR pg_has_role(c.relowner, 'MEMBER'))"
).bindparams(bindparam("ledger", LEDGER, expanding=True))
"""A superuser has every right; a member of the owner's role can take its rights
(https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-ACCESS)."""


def _grant(connection: Connection, user: str) -> None:
    account = connection.dialect.identifier_preparer.quote_identifier(user)
    # No rights stay from an earlier version, nor any that everybody had.
    connection.exec_driver_sql(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, {account}")
    connection.exec_driver_sql(f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM PUBLIC, {account}")
    # Up to version 14 everybody may make tables (https://www.postgresql.org/docs/release/15.0/).
    connection.exec_driver_sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA public TO {account}")
    for table, rights in RIGHTS.items():
        connection.exec_driver_sql(f"GRANT {rights} ON {table} TO {account}")
    connection.exec_driver_sql(f"GRANT USAGE ON SEQUENCE index_meta_id_seq TO {account}")


def _refuse_unprepared(address: Address, found: str | None) -> None:
    if found != NEWEST:
        raise StateUnusable(
            f"{address} has the tables of {'no' if found is None else 'another'} version of this program",
            "Stop what serves, then run: accord-node database prepare.",
        )


def _refuse_too_much(place: object, connection: Connection) -> None:
    if connection.execute(_TOO_MUCH).first() is not None:
        raise StateUnusable(
            f"the account of database_url_file may change the ledger in {place}",
            "Use an account that does not own the tables, and run: accord-node database prepare.",
        )


# -- Errors -----------------------------------------------------------------------------------------------------------


def told(error: BaseException) -> str:
    """What went wrong, by SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html), without values."""
    state = getattr(error, "sqlstate", None) or ""
    if state == "P0001":
        # Raised by our own triggers, in fixed words.
        return str(getattr(getattr(error, "diag", None), "message_primary", None) or "a trigger refused it")
    for begins, words in _WORDS.items():
        if state.startswith(begins):
            return words
    if not state:
        # While connecting there is no SQLSTATE, only words.
        said = str(error)
        return _WORDS["28" if _ACCOUNT.search(said) else "3D000" if _DATABASE.search(said) else "08"]
    return f"the database server refused it with SQLSTATE {state[:5]}"


_ACCOUNT: Final = re.compile("authentication failed|role .* does not exist|no pg_hba.conf entry|no password supplied")
_DATABASE: Final = re.compile('database "[^"]*" does not exist')
_WORDS: Final[Mapping[str, str]] = {
    "28": "the database server does not accept the account of database_url_file",
    "3D000": "the database server has no database of the name in database_url_file",
    "42501": "the account lacks a right; run: accord-node database prepare",
    "42P01": "the database has not been prepared; run: accord-node database prepare",
    "42704": "the serving account is not there; make it first",
    "53100": "the database server's disk is full",
    "53": "the database server has no room for another connection",
    "55P03": "another process of this node has been writing for too long",
    "57014": "a statement was stopped because it took too long",
    "57P": "the database server is stopping or starting",
    "25P03": "this process stood still while it was writing, and the database server gave up on it",
    "25006": "the database server only reads: it is a copy",
    "58": "the database server's disk failed",
    "08": "the database server cannot be reached, or hung up",
}
