"""Open the state, bring its tables up to date, and run transactions on it.

Two engines, one set of statements. A SQLite file is the default and needs nothing beside it; a PostgreSQL server
(`postgresql`) is for whoever has one that is looked after. On both, every commit is on the disk before it returns
(SQLite: write-ahead log with `synchronous=FULL`, https://www.sqlite.org/pragma.html#pragma_synchronous): an answer may
leave only after its ledger entry is durable (T-AUD-2). On both, one transaction writes at a time, over all processes.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL, Connection, Engine, RootTransaction, Table, create_engine, event, inspect
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from agency_node.store.failure import StateUnusable

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

MIGRATIONS: Final = Path(__file__).parent / "migrations"
NEWEST: Final = "0004"
"""The last of them: a database that has it needs none."""
BUSY_S: Final = 30
"""How long a transaction on a file waits for another process's, in seconds."""

_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA trusted_schema=OFF",
    # Deleted tokens and erased records are overwritten, not only unlinked.
    "PRAGMA secure_delete=ON",
)
TELLS: Final = "accord_tells"
"""Option of an engine: what turns its driver's errors into words without values; absent where they have none."""
_KEPT: Final = "accord_kept"
"""Option of an engine: connections that wait for their next transaction; absent where the pool keeps them."""
_MOST_KEPT: Final = 8
WRITES, COUNTS, READS, ONCE = "writes", "counts", "reads", "reads once"
"""What a transaction may do."""
_WHAT: Final = "accord_what"
_LOOK_AT_SERVER: Final = (
    "Check that the database server runs and has room, and its address in the file of database_url_file."
)
_FULL: Final = 2
_SYNCHRONOUS: Final = {WRITES: "FULL", COUNTS: "NORMAL"}


def open_store(path: Path) -> Engine:
    """Open the state file, creating it (mode 0600) if it is not there, and run the migrations it lacks.

    Args:
        path: The file. Its folder must exist and belong to this process.

    Returns:
        An engine for `reading` and `writing`, safe to share between threads.

    Raises:
        StateUnusable: The file cannot be opened or written, is not a database, cannot be kept durable, or was written
            by a later version of this program.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StateUnusable(f"cannot open {path}: {error.strerror}") from error
    engine = connect(path)
    try:
        migrate(engine)
    except (StateUnusable, sqlite3.Error, DBAPIError) as error:
        engine.dispose()
        said = str(error) if isinstance(error, StateUnusable) else told(getattr(error, "orig", error))
        raise StateUnusable(f"cannot use {path}: {said}") from error
    return engine


def connect(path: Path) -> Engine:
    """Connections to a state file, whichever tables it has; nothing is opened yet."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        # None: the sqlite3 module must not open transactions of its own; the "begin" event below does.
        connect_args={"isolation_level": None, "timeout": BUSY_S},
        pool_size=_MOST_KEPT,
        max_overflow=64,
        # A parameter can be about a person: keep it out of every error text (T-PRV-1).
        hide_parameters=True,
        execution_options={_KEPT: []},
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "engine_disposed", _let_go)
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that may write. Only one runs at a time over all processes; leaving it normally commits it.

    The write lock is taken at the start (`BEGIN IMMEDIATE`, https://www.sqlite.org/lang_transaction.html; on a server
    `postgresql.WRITE`), so what is read inside cannot change before it is written back: this is what makes
    compare-and-set atomic.

    Raises:
        StateUnusable: The database failed. Nothing was committed, unless the connection broke while committing.
    """
    with _transaction(engine, WRITES) as connection:
        yield connection


@contextmanager
def counting(engine: Engine) -> Iterator[Connection]:
    """As `writing`, but leaving it does not wait for the disk: for counts whose last moments a power failure may lose.

    A process that is killed loses nothing, and whatever `writing` commits later makes all before it durable as well
    (SQLite: `synchronous=NORMAL`, https://www.sqlite.org/pragma.html#pragma_synchronous; on a server
    `synchronous_commit=off`, https://www.postgresql.org/docs/current/wal-async-commit.html).

    Raises:
        StateUnusable: The database failed.
    """
    with _transaction(engine, COUNTS) as connection:
        yield connection


@contextmanager
def reading(engine: Engine, *, once: bool = False) -> Iterator[Connection]:
    """A transaction that only reads and sees one state of the database throughout.

    Args:
        engine: The state.
        once: It is one statement, which sees one state by itself: a server is then not asked to begin and to end
            anything, which would take twice as long again.

    Raises:
        StateUnusable: The database failed.
    """
    with _transaction(engine, ONCE if once else READS) as connection:
        yield connection


def upsert(connection: Connection, table: Table) -> "sqlite.Insert | postgresql.Insert":
    """An INSERT that can say what to do when the row is there; both engines take the same words."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def size(engine: Engine) -> int:
    """Bytes that the state takes on the disk."""
    if engine.dialect.name != "sqlite":
        with reading(engine) as connection:
            return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())
    files = (Path(f"{engine.url.database}{end}") for end in ("", "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def told(error: object) -> str:
    """What went wrong with a file, by SQLite's result code (https://www.sqlite.org/rescode.html), in words of ours."""
    code = str(getattr(error, "sqlite_errorname", ""))
    if code == "SQLITE_CONSTRAINT_TRIGGER":
        # Raised by our own triggers, in fixed words.
        return str(error)
    return next((words for begins, words in _WORDS.items() if code.startswith(begins)), type(error).__name__)


_WORDS: Final = {
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "the file or its disk cannot be written",
    "SQLITE_IOERR": "the disk failed",
    "SQLITE_BUSY": "another process keeps the file to itself",
    "SQLITE_CORRUPT": "the file is damaged",
    "SQLITE_NOTADB": "the file is no database",
    "SQLITE_CANTOPEN": "the file cannot be opened",
    "SQLITE_CONSTRAINT": "a row contradicts the tables",
}


@contextmanager
def failing(engine: Engine) -> Iterator[None]:
    """Turn what SQLAlchemy raises into StateUnusable."""
    try:
        yield
    except (DBAPIError, engine.dialect.loaded_dbapi.Error) as error:
        # The statement, its values and the driver's own words stay out of the message: they may be about a person.
        cause = error.orig if isinstance(error, DBAPIError) else error
        tells = engine.get_execution_options().get(TELLS, told)
        cure = "" if tells is told else _LOOK_AT_SERVER
        raise StateUnusable(f"the state database failed: {tells(cause)}", cure) from error
    except SQLAlchemyError as error:
        # No connection was free, or a value cannot be stored at all.
        raise StateUnusable(f"the state database failed: {type(error).__name__}") from error


@contextmanager
def _transaction(engine: Engine, what: str) -> Iterator[Connection]:
    with failing(engine):
        connection, transaction = _begun(engine, what)
        try:
            with transaction:
                yield connection
        except BaseException:
            connection.close()
            raise
        # To take one out of the pool and to put it back costs as much as a transaction on it.
        kept = engine.get_execution_options().get(_KEPT)
        if kept is None or len(kept) >= _MOST_KEPT:
            connection.close()
        else:
            kept.append(connection)


def _let_go(engine: Engine) -> None:
    """Close the connections that were kept: they are not in the pool that has just been emptied."""
    for connection in _waiting(engine):
        connection.detach()
        connection.close()


def _waiting(engine: Engine) -> Iterator[Connection]:
    """Take out of what is kept. Whoever takes a connection has it alone, also among threads."""
    kept = engine.get_execution_options().get(_KEPT)
    while kept:
        try:
            yield kept.pop()
        except IndexError:
            return


def _begun(engine: Engine, what: str) -> tuple[Connection, RootTransaction]:
    for again in (True, False):
        connection = next(_waiting(engine), None) or engine.connect()
        connection.execution_options(**{_WHAT: what})
        try:
            return connection, connection.begin()
        except BaseException as error:
            connection.close()
            # A server that was restarted hung up on every connection kept open. Nothing was begun on this one, so a
            # new one may try.
            if not (again and isinstance(error, DBAPIError) and error.connection_invalidated):
                raise
    raise AssertionError("the second attempt returned or raised")


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in _PRAGMAS:
        connection.execute(pragma)
    journal = connection.execute("PRAGMA journal_mode").fetchone()[0]
    synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
    if journal != "wal" or synchronous != _FULL:
        raise StateUnusable("this file system keeps no write-ahead log, so nothing here would be durable")


def _begin(connection: Connection) -> None:
    what = beginning(connection)
    raw = connection.connection.driver_connection
    if what == ONCE or not isinstance(raw, sqlite3.Connection):
        # A statement by itself sees one state of the database.
        return
    if what in _SYNCHRONOUS:
        # Said at each beginning, because it stays with the connection, and cannot be said inside a transaction.
        raw.execute(f"PRAGMA synchronous={_SYNCHRONOUS[what]}")
    raw.execute("BEGIN IMMEDIATE" if what in _SYNCHRONOUS else "BEGIN")


def beginning(connection: Connection) -> str:
    """What the transaction that is being begun on a connection may do."""
    return str(connection.get_execution_options().get(_WHAT, READS))


def version(connection: Connection) -> str | None:
    """The last migration that a database has had; None for a new one."""
    there = inspect(connection).has_table("alembic_version")
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() if there else None
    return None if found is None else str(found)


def migrate(engine: Engine, to: str = "head") -> None:
    """Run the migrations that a database lacks.

    Args:
        engine: May make tables.
        to: The last migration wanted.

    Raises:
        StateUnusable: It was written by a later version of this program.
    """
    with reading(engine) as connection:
        if version(connection) == NEWEST:
            return
    # Loading it takes as long as a whole question, and hardly ever is there anything to migrate.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with writing(engine) as connection:
        attributes: dict[str, Any] = config.attributes
        attributes["connection"] = connection
        try:
            command.upgrade(config, to)
        except CommandError as error:
            raise StateUnusable(f"it was written by another version of this program ({error})") from error
