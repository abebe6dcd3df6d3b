"""State on a PostgreSQL server: how it is reached, what each connection is held to, who may do what, and who writes.

    owner   -> prepare      -> tables up to date, rights of the serving account
    serving -> open_server  -> looks at tables, durability and its own rights -> Store
    serving -> Seat.take    -> the lock, on the very connection that writes   -> one of several brokers writes

* Two accounts. The owner makes the tables and brings them up to date; nothing else uses it. The serving account may add
  to the ledger and read it, and can neither change, remove nor empty what is there. Rights and triggers stop this
  program's own mistakes; the evidence is the tree.
* Every commit waits for the server's disk: `synchronous_commit`, `fsync` and `full_page_writes` are looked at on each
  connection that writes, not assumed (T-AUD-2).
* Of several brokers on one database, one writes. Its right is a lock that ends with its session
  (https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS), and it is held by the connection that
  writes: whoever loses the connection can write nothing more, and the server has ended that session's transaction
  before anybody else gets the lock (T-AUD-4). There is no clock and no lease in it.
* Each taking over is a row of `tenure`. A broker whose connection broke goes on only if nobody took over meanwhile.
* Every wait has an end: connecting, a lock, a statement, an idle session, and a server that says nothing any more.
* What a server says of an error may quote a value, so its text is never passed on, only what its code means.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, bindparam, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import QueuePool

from broker import keys
from broker.store.database import NEWEST, NoPen, Store, migrate, version
from broker.store.failure import StoreUnusable

try:
    import psycopg
    from psycopg.abc import PQGen
except ImportError as absent:
    raise StoreUnusable(
        "the driver for PostgreSQL is not installed", "Install it: pip install 'accord-broker[postgresql]'."
    ) from absent

CONNECT_S: Final = 3
"""How long connecting may take, in seconds."""
REST_S: Final = 1.0
"""After a failure to connect, how long nobody tries again, in seconds: each try holds up whoever reads."""
STATEMENT_S: Final = 10
"""How long one statement of a broker that serves may take, in seconds."""
READ_S: Final = 2
"""How long one reading statement of a broker that serves may take, in seconds; the event loop waits for it."""
VERIFY_S: Final = 600
"""How long one statement of a verifier or of a migration may take, in seconds."""
IDLE_S: Final = 12
"""After how long without a statement the server ends the session that writes, in seconds: a broker that is frozen must
not keep the others from writing. One that runs is asked for its health more often than that."""
WRITER: Final = "accord-broker writer"
"""What the sessions of brokers that write, or stand by to, call themselves to the server's administrator."""
LOCK: Final = 0x6163636F726462
"""Number of the lock of the one that writes: "accordb"."""

OPTIONS: Final = frozenset({"sslmode", "sslrootcert", "sslcert", "sslkey", "host"})
_CHECKED: Final = frozenset({"verify-full", "verify-ca"})
_LOOPBACK: Final = re.compile(r"localhost|127(\.\d{1,3}){3}|::1", re.IGNORECASE)
FORM: Final = "Write one line: postgresql://account:password@host:port/database?sslmode=verify-full&sslrootcert=ca.pem"

_SESSION: Final[Mapping[str, str]] = {
    "synchronous_commit": "on",
    "search_path": "public,pg_temp",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": f"{IDLE_S}s",
    # A server forgets a machine that vanished, and its lock with it.
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
"""What every session is held to, whatever the account or the server says otherwise
(https://www.postgresql.org/docs/current/runtime-config-client.html)."""
_T = TypeVar("_T")


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


class Occupied(StoreUnusable):
    """Another broker writes."""


def read_address(path: Path) -> Address:
    """Read where the server is from a file that only this process's account can read.

    Args:
        path: A file of one line; see FORM.

    Raises:
        StoreUnusable: The file or the address cannot be used. The message never shows the address.
    """
    try:
        url = make_url(keys.read_private(path).decode("ascii").strip())
    except keys.BadFile as fault:
        raise StoreUnusable(f"the file of database_url_file cannot be used: {fault}") from None
    except (UnicodeDecodeError, ArgumentError, ValueError):
        raise StoreUnusable(f"what stands in {path} is no address", FORM) from None
    options = {name: value for name, value in url.query.items() if isinstance(value, str)}
    if url.drivername not in {"postgresql", "postgresql+psycopg"} or not url.database or not url.username:
        raise StoreUnusable(f"the address in {path} is not of a PostgreSQL database with an account", FORM)
    if set(url.query) - OPTIONS or len(options) != len(url.query):
        # Others could switch off what every session is held to.
        raise StoreUnusable(
            f"the address in {path} has an option that is not known, or has one twice",
            f"Known are: {', '.join(sorted(OPTIONS))}.",
        )
    if not options.get("host", "/").startswith("/"):
        raise StoreUnusable(
            f"the option 'host' of the address in {path} may only name the folder of a socket",
            "Write the host after @.",
        )
    if url.host and not _LOOPBACK.fullmatch(url.host) and options.get("sslmode") not in _CHECKED:
        raise StoreUnusable(
            f"the address in {path} leads to another machine without TLS",
            "Add ?sslmode=verify-full&sslrootcert= and the path of the authority that signed the server's certificate.",
        )
    return Address(url.host or "", url.port, url.username, url.password or "", url.database, options)


class Bounded(psycopg.Connection[Any]):
    """A connection on which no wait is without end, even when the server itself says nothing any more."""

    silence_s: float = STATEMENT_S + 2.0
    """How long the server may say nothing, in seconds; it would have stopped the statement itself by then."""

    def wait(self, gen: PQGen[_T], interval: float = 0.1, timeout: float | None = None) -> _T:
        """Wait for the server, no longer than `silence_s`."""
        try:
            return super().wait(gen, interval, self.silence_s if timeout is None else timeout)
        except psycopg.OperationalError as error:
            if error.sqlstate is None and not self.closed:
                # Neither the server nor a broken connection raised it: the time is up. What it may still say belongs
                # to a statement that nobody waits for, so this connection is of no use any more.
                self.pgconn.finish()
            raise


class Seat:
    """The one place from which is written, and how to get it. For one thread at a time."""

    def __init__(self, address: Address) -> None:
        """Nothing is dialled yet."""
        self._address = address
        self._waiting: Bounded | None = None
        self._tenure: int | None = None
        self._lost = False
        self.engine = _engine(self._sit, pool_size=1, max_overflow=0)

    @property
    def lost(self) -> bool:
        """Whether another broker took over since this one did."""
        return self._lost

    def take(self) -> bool:
        """Take the lock if nobody holds it; whether this process holds it now.

        Raises:
            StoreUnusable: The server cannot be reached, or would not keep what it acknowledged.
        """
        try:
            with self.engine.connect():
                return not self._lost
        except Occupied:
            return False
        except DBAPIError as error:
            raise StoreUnusable(told(error.orig), _REACH) from error

    def drop(self) -> None:
        """Let go of the lock; the engine's own connection is closed with it."""
        self.engine.dispose()
        if self._waiting is not None:
            self._waiting.close()
            self._waiting = None

    def _sit(self) -> Bounded:
        """A connection that holds the lock: the engine has no other."""
        connection, self._waiting = self._waiting, None
        if connection is None:
            connection = dial(self._address, WRITER, {"idle_session_timeout": f"{IDLE_S}s"})
        try:
            _refuse_forgetful(connection)
            held = connection.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,)).fetchone() == (True,)
            row = connection.execute("SELECT coalesce(max(number), 0) FROM tenure").fetchone()
            newest = int(row[0]) if row else 0
            self._lost = self._lost or (self._tenure is not None and newest != self._tenure)
            if held and self._tenure is None:
                connection.execute("INSERT INTO tenure VALUES (%s)", (newest + 1,))
                self._tenure = newest + 1
            connection.commit()
            if held and not self._lost:
                return connection
        except BaseException:
            connection.close()
            raise
        if held:
            connection.close()
        else:
            # The next try is then one statement and not a new session.
            self._waiting = connection
        raise Occupied("another broker writes in this database", "Nothing: this one takes over when that one ends.")


def open_server(url_file: Path) -> Store:
    """Open state that lies on a server, with the serving account.

    Args:
        url_file: A file of one line; see FORM.

    Raises:
        StoreUnusable: The file or its address cannot be used, the server cannot be reached or would not keep what it
            acknowledged, the database has not been prepared for this version, or the account could change what stands
            in the ledger.
    """
    address = read_address(url_file)
    reader = _reader(address, READ_S, isolation="AUTOCOMMIT")
    try:
        with reader.connect() as connection:
            _refuse_unprepared(address, version(connection))
            _refuse_too_much(address, connection)
    except DBAPIError as error:
        reader.dispose()
        raise StoreUnusable(told(error.orig), _REACH) from error
    except BaseException:
        reader.dispose()
        raise
    seat = Seat(address)
    return Store(str(address), seat.engine, reader, seat)


def read_server(url_file: Path) -> Store:
    """Open state on a server to verify or export it: each use of a connection sees one state of it throughout.

    Raises:
        StoreUnusable: It cannot be reached, or has not been prepared for this version.
    """
    address = read_address(url_file)
    reader = _reader(address, VERIFY_S, isolation="REPEATABLE READ")
    try:
        with reader.connect() as connection:
            _refuse_unprepared(address, version(connection))
    except DBAPIError as error:
        reader.dispose()
        raise StoreUnusable(told(error.orig), _REACH) from error
    except BaseException:
        reader.dispose()
        raise
    return Store(str(address), None, reader, NoPen())


def count_on_server(url_file: Path) -> Engine:
    """Connections for the key server's counts, which may be lost with the last moments before a power failure.

    Raises:
        StoreUnusable: The file or its address cannot be used.
    """
    address = read_address(url_file)
    lately = {"synchronous_commit": "off", "statement_timeout": f"{READ_S}s"}
    return _engine(_resting(lambda: dial(address, "accord-broker counts", lately, READ_S)), pool_size=1, max_overflow=0)


def prepare(owner_file: Path, url_file: Path) -> str:
    """Make the tables, or bring them up to date, and give the serving account the rights it needs and no other.

    May be repeated at any time; must be after an update of this program, while no broker serves.

    Args:
        owner_file: A file of one line, as `url_file`, with the account that owns the tables.
        url_file: The serving account's.

    Returns:
        The migration that the tables have now.

    Raises:
        StoreUnusable: One of the addresses cannot be used, both name one account or different databases, a broker is
            writing, or the owner may not do this.
    """
    owner, serving = read_address(owner_file), read_address(url_file)
    if owner.database != serving.database:
        raise StoreUnusable("the two addresses name different databases", "Write the same database into both files.")
    if owner.user == serving.user:
        raise StoreUnusable(
            "the owner and the serving account are one, so nothing would keep it from changing the ledger",
            "Make a second account, and write it into the file of database_url_file.",
        )
    engine = owning(owner_file)
    try:
        with engine.begin() as connection:
            # One connection is all there is, so the lock lies on the one that migrates.
            free = connection.execute(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": LOCK}).scalar_one()
            if not free and version(connection) != NEWEST:
                raise StoreUnusable(f"a broker is writing in {owner}", "Stop every broker on it first.")
        migrate(engine)
        with engine.begin() as connection:
            _grant(connection, serving.user)
    except DBAPIError as error:
        raise StoreUnusable(told(error.orig), _REACH) from error
    finally:
        engine.dispose()
    return NEWEST


def owning(owner_file: Path) -> Engine:
    """One connection under the owner's account, for making tables.

    Raises:
        StoreUnusable: The file or its address cannot be used.
    """
    owner = read_address(owner_file)
    limits = {"statement_timeout": f"{VERIFY_S}s", "idle_in_transaction_session_timeout": "0"}
    return _engine(lambda: dial(owner, "accord-broker owner", limits, VERIFY_S + 2.0), pool_size=1, max_overflow=0)


# -- Connections ------------------------------------------------------------------------------------------------------


def dial(address: Address, who: str, more: Mapping[str, str] | None = None, silence_s: float = 0.0) -> Bounded:
    """A new session that is held to _SESSION.

    Args:
        address: Where, and as whom.
        who: What the session is for; an administrator sees it.
        more: Further settings of the session.
        silence_s: How long the server may say nothing, in seconds; 0 for the usual.

    Raises:
        psycopg.Error: It cannot be had.
    """
    settings = {**_SESSION, "statement_timeout": f"{STATEMENT_S}s", **(more or {})}
    where: dict[str, Any] = {"host": address.host or None, **address.options}
    connection = Bounded.connect(
        **where,
        port=address.port,
        user=address.user,
        password=address.password or None,
        dbname=address.database,
        connect_timeout=CONNECT_S,
        tcp_user_timeout=1_000 * 2 * CONNECT_S,
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=3,
        client_encoding="utf8",
        application_name=who,
        options=" ".join(f"-c {name}={value}" for name, value in settings.items()),
    )
    if silence_s:
        connection.silence_s = silence_s
    return connection


def _reader(address: Address, statement_s: int, *, isolation: str) -> Engine:
    limits = {"default_transaction_read_only": "on", "statement_timeout": f"{statement_s}s"}
    if isolation != "AUTOCOMMIT":
        limits["idle_in_transaction_session_timeout"] = "0"
    creator = _resting(lambda: dial(address, "accord-broker reader", limits, statement_s + 1.0))
    return _engine(creator, pool_size=4, max_overflow=4, isolation_level=isolation)


def _engine(creator: Callable[[], Bounded], **more: Any) -> Engine:
    return create_engine(
        "postgresql+psycopg://",
        creator=creator,
        poolclass=QueuePool,
        pool_timeout=STATEMENT_S,
        use_native_hstore=False,
        # A parameter can be a sealed or signed body: keep it out of every error text (T-PRV-1).
        hide_parameters=True,
        **more,
    )


def _resting(connect: Callable[[], Bounded]) -> Callable[[], Bounded]:
    """Connect, but not again right after a failure."""
    failed = -REST_S

    def connected() -> Bounded:
        nonlocal failed
        if time.monotonic() < failed + REST_S:
            raise psycopg.OperationalError("the server could not be reached a moment ago")
        try:
            return connect()
        except psycopg.Error:
            failed = time.monotonic()
            raise

    return connected


# -- Durability and rights --------------------------------------------------------------------------------------------

DURABLE: Final[Mapping[str, frozenset[str]]] = {
    "synchronous_commit": frozenset({"on", "remote_apply"}),
    "fsync": frozenset({"on"}),
    "full_page_writes": frozenset({"on"}),
}
"""What a server must say, or it would lose what it acknowledged when it or its machine stops
(https://www.postgresql.org/docs/current/runtime-config-wal.html). Measured: `synchronous_commit=off` lost 416 of 7,442
acknowledged entries to a kill, `on` none of 8,420."""

LEDGER: Final = (
    "ledger_entry",
    "ledger_tile",
    "ledger_head",
    "ledger_note",
    "cosignature",
    "activation",
    "policy_bundle",
    "decision",
    "asking",
    "agreement_party",
    "agreement_tag",
    "tenure",
)
"""Tables to which the serving account may only add, or it is refused."""

RIGHTS: Final[Mapping[str, str]] = {
    "alembic_version": "SELECT",
    **dict.fromkeys(LEDGER, "SELECT, INSERT"),
    # Computed anew from the entries at any time; moves on as the ledger grows.
    "ledger_edge": "SELECT, UPDATE (idx, hashes)",
    "question": "SELECT, INSERT, UPDATE (state, closed_index, closed_kind, response)",
    "agreement": "SELECT, INSERT, UPDATE (state, withdrawn_index, withdrawn_at_ns, withdrawal, withdrawal_signature,"
    " withdrawal_key_id)",
    "agreement_delivery": "SELECT, INSERT, UPDATE (sealed, delivered), DELETE",
    "spent": "SELECT, INSERT, UPDATE (elements), DELETE",
}
"""Table -> what the serving account may do with it. Nobody may TRUNCATE. Erasing a record's text after retention is for
an account of its own, with UPDATE (salt, body) on `ledger_entry` and UPDATE (input) on `decision`; the triggers there
let nothing else through."""

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
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA public TO {account}")
    for table, rights in RIGHTS.items():
        connection.exec_driver_sql(f"GRANT {rights} ON {table} TO {account}")


def _refuse_unprepared(address: Address, found: str | None) -> None:
    if found != NEWEST:
        raise StoreUnusable(
            f"{address} has the tables of {'no' if found is None else 'another'} version of this program",
            "Stop every broker on it, then run: accord-broker database prepare.",
        )


def _refuse_too_much(address: Address, connection: Connection) -> None:
    if connection.execute(_TOO_MUCH).first() is not None:
        raise StoreUnusable(
            f"the account of database_url_file may change the ledger in {address}",
            "Use an account that does not own the tables, and run: accord-broker database prepare.",
        )


def _refuse_forgetful(connection: Bounded) -> None:
    for name, good in DURABLE.items():
        row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
        if row is None or row[0] not in good:
            raise StoreUnusable(
                f"the server would lose what it acknowledged: its {name} is {row[0] if row else 'not known'}",
                f"Set {name} = on in the server's configuration.",
            )


# -- Looking ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """What a server says of itself, of the serving account, and of who writes.

    Attributes:
        name: What may be shown of where it is.
        server: Its version.
        durable: What it says of each setting of DURABLE.
        careless: Those of them that would lose what it acknowledged.
        lacking: Tables with which the account may not do what it needs.
        written: Whether a broker writes now.
        waiting: How many brokers stand by.
        waiting_here: How many of them come from where this process comes from.
    """

    name: str
    server: str
    durable: Mapping[str, str]
    careless: tuple[str, ...]
    lacking: tuple[str, ...]
    written: bool
    waiting: int
    waiting_here: int


_LACKING: Final = text(
    "SELECT c.relname FROM pg_class c WHERE c.relname IN :all AND c.relnamespace = 'public'::regnamespace AND NOT ("
    "has_table_privilege(c.oid, 'SELECT') AND (c.relname NOT IN :ledger OR has_table_privilege(c.oid, 'INSERT')))"
    " ORDER BY c.relname"
).bindparams(bindparam("all", tuple(RIGHTS), expanding=True), bindparam("ledger", LEDGER, expanding=True))
_WRITERS: Final = text(
    "SELECT count(*) FILTER (WHERE held), count(*) FILTER (WHERE NOT held), "
    "count(*) FILTER (WHERE NOT held AND client_addr IS NOT DISTINCT FROM inet_client_addr()) "
    "FROM (SELECT client_addr, pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted) AS held "
    "FROM pg_stat_activity WHERE datname = current_database() AND application_name = :writer) AS sessions"
)


def look(url_file: Path) -> Found:
    """Look at a server without disturbing who writes.

    Raises:
        StoreUnusable: As `open_server`, but for durability, which is told.
    """
    store = open_server(url_file)
    try:
        with store.reader.connect() as connection:
            server = str(connection.exec_driver_sql("SHOW server_version").scalar_one()).split()[0]
            durable = {name: str(connection.exec_driver_sql(f"SHOW {name}").scalar_one()) for name in DURABLE}
            lacking = tuple(connection.execute(_LACKING).scalars())
            held, waiting, here = connection.execute(_WRITERS, {"writer": WRITER}).one()
    except DBAPIError as error:
        raise StoreUnusable(told(error.orig), _REACH) from error
    finally:
        store.close()
    careless = tuple(name for name, value in durable.items() if value not in DURABLE[name])
    return Found(store.name, server, durable, careless, lacking, bool(held), waiting, here)


# -- Errors -----------------------------------------------------------------------------------------------------------


def told(error: BaseException | None) -> str:
    """What went wrong, by SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html), without values."""
    state = getattr(error, "sqlstate", None) or ""
    for begins, words in _WORDS.items():
        if state.startswith(begins):
            return words
    if not state and _ACCOUNT.search(str(error)):
        # While connecting there is no SQLSTATE, only words.
        return _WORDS["28"]
    if not state:
        return _WORDS["08"]
    return f"the database server refused it with SQLSTATE {state[:5]}"


_REACH: Final = (
    "Check that the database server runs, the address in database_url_file, and the network: accord-broker doctor."
)
_ACCOUNT: Final = re.compile("authentication failed|role .* does not exist|no pg_hba.conf entry|no password supplied")
_WORDS: Final[Mapping[str, str]] = {
    "28": "the database server does not accept the account of database_url_file",
    "3D000": "the database server has no database of the name in database_url_file",
    "42501": "the account lacks a right; run: accord-broker database prepare",
    "42P01": "the database has not been prepared; run: accord-broker database prepare",
    "42704": "the serving account is not there; make it first",
    "53100": "the database server's disk is full",
    "53": "the database server has no room for another connection",
    "55P03": "another program has locked the tables for too long",
    "57014": "a statement was stopped because it took too long",
    "57P": "the database server is stopping or starting",
    "25006": "the database server only reads: it is a copy",
    "58": "the database server's disk failed",
    "08": "the database server cannot be reached, or hung up",
}
