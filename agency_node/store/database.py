"""Open the state file, bring its tables up to date, and run transactions on it.

Every commit is synced to the disk before it returns (write-ahead log with
`synchronous=FULL`, https://www.sqlite.org/pragma.html#pragma_synchronous): an
answer may leave only after its ledger entry is durable (T-AUD-2).
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from accord.reasons import Problem

MIGRATIONS: Final = Path(__file__).parent / "migrations"
NEWEST: Final = "0002"
"""The last of them: a file that has it needs none."""
BUSY_S: Final = 30
"""How long a transaction waits for another process's, in seconds."""

_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA trusted_schema=OFF",
    # Deleted tokens and erased records are overwritten, not only unlinked.
    "PRAGMA secure_delete=ON",
)
_BEGIN: Final = "accord_begin"
_FULL: Final = 2


class StateUnusable(Problem):
    """The node's own database cannot be opened, brought up to date, read or written."""

    reason: ClassVar[str] = "STATE_UNUSABLE"


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
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        # None: the sqlite3 module must not open transactions of its own; the "begin" event below does.
        connect_args={"isolation_level": None, "timeout": BUSY_S},
        pool_size=8,
        max_overflow=64,
        # A parameter can be about a person: keep it out of every error text (T-PRV-1).
        hide_parameters=True,
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    try:
        _migrate(engine)
    except (StateUnusable, sqlite3.Error, DBAPIError) as error:
        engine.dispose()
        raise StateUnusable(f"cannot use {path}: {error}") from error
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that may write. Only one runs at a time over all processes; leaving it normally commits it.

    The write lock is taken at the start (`BEGIN IMMEDIATE`, https://www.sqlite.org/lang_transaction.html), so what is
    read inside cannot change before it is written back: this is what makes compare-and-set atomic.

    Raises:
        StateUnusable: The database failed; nothing was committed.
    """
    with _transaction(engine, "BEGIN IMMEDIATE") as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads and sees one state of the database throughout.

    Raises:
        StateUnusable: The database failed.
    """
    with _transaction(engine, "BEGIN") as connection:
        yield connection


@contextmanager
def _transaction(engine: Engine, begin: str) -> Iterator[Connection]:
    try:
        with engine.connect().execution_options(**{_BEGIN: begin}) as connection, connection.begin():
            yield connection
    except DBAPIError as error:
        # The statement and its values stay out of the message: they may be about a person.
        raise StateUnusable(f"the state database failed: {type(error.orig).__name__}: {error.orig}") from error
    except SQLAlchemyError as error:
        # No connection was free, or a value cannot be stored at all.
        raise StateUnusable(f"the state database failed: {type(error).__name__}") from error


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in _PRAGMAS:
        connection.execute(pragma)
    journal = connection.execute("PRAGMA journal_mode").fetchone()[0]
    synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
    if journal != "wal" or synchronous != _FULL:
        raise StateUnusable("this file system keeps no write-ahead log, so nothing here would be durable")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))


def _version(connection: Connection) -> str | None:
    """The last migration that a file has had; None for a new one."""
    there = connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").first()
    found = None if there is None else connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if found is None else str(found)


def _migrate(engine: Engine) -> None:
    with reading(engine) as connection:
        if _version(connection) == NEWEST:
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
            command.upgrade(config, "head")
        except CommandError as error:
            raise StateUnusable(f"it was written by another version of this program ({error})") from error
