"""The broker's own database: opening it safely, and reading it.

    open_store -> lock the file, bring the tables up to date, assert durability -> Store

* One process writes. The lock file beside the database is held for the life of the process, so a second broker on the
  same file stops with a plain sentence instead of interleaving two trees.
* Write-ahead log with `synchronous=FULL` is asserted on every connection, not assumed (T-AUD-2). With `OFF`, SQLite
  loses acknowledged entries when the power goes (https://www.sqlite.org/pragma.html#pragma_synchronous).
* Only `broker.sequencer` may use `writer`. Every other reader goes through `reader`, which cannot write.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool

from accord.reasons import Problem

MIGRATIONS: Final = Path(__file__).parent / "migrations"
NEWEST: Final = "0001"
"""The last of them: a file that has it needs none."""
BUSY_TIMEOUT_MS: Final = 5_000
"""How long a statement waits for a lock; only a backup or a verifier could hold one."""

SYNCHRONOUS_FULL: Final = 2
"""What `PRAGMA synchronous` answers for FULL (https://www.sqlite.org/pragma.html#pragma_synchronous)."""


class StoreUnusable(Problem):
    """The database cannot be opened, is open in another process, or cannot be made durable."""

    reason: ClassVar[str] = "STATE_UNUSABLE"


@dataclass(frozen=True, slots=True)
class Store:
    """An open database.

    Attributes:
        path: The SQLite file.
        writer: The one connection that writes; each transaction begins IMMEDIATE. The sequencer's only.
        reader: Connections that cannot write.
        lock: File descriptor of the lock file; -1 when the store was opened for reading only.
    """

    path: Path
    writer: Engine | None
    reader: Engine
    lock: int

    def close(self) -> None:
        """Close every connection and let go of the lock."""
        self.reader.dispose()
        if self.writer is not None:
            self.writer.dispose()
        if self.lock >= 0:
            os.close(self.lock)


def open_store(path: Path) -> Store:
    """Open the database for the process that writes it, making or upgrading the tables.

    Args:
        path: The SQLite file; made with mode 0600 when it is not there. Its directory must exist.

    Raises:
        StoreUnusable: Another process has it open, it cannot be written, or it does not sync every commit.
    """
    try:
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreUnusable(f"{path} cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        writer = _engine(path, begin="BEGIN IMMEDIATE", writable=True)
        _migrate(writer)
    except BlockingIOError as error:
        os.close(lock)
        raise StoreUnusable(f"another broker is running on {path}; stop it first") from error
    except OSError as error:
        os.close(lock)
        raise StoreUnusable(f"{path} cannot be opened: {error.strerror}") from error
    except (SQLAlchemyError, StoreUnusable) as error:
        os.close(lock)
        raise StoreUnusable(f"{path} cannot be used: {error}") from error
    return Store(path, writer, _engine(path, begin="BEGIN", writable=False), lock)


def open_for_reading(path: Path) -> Store:
    """Open the database beside a broker that may be running, to verify or export it.

    Raises:
        StoreUnusable: There is no such file.
    """
    if not path.is_file():
        raise StoreUnusable(f"{path} is not there")
    return Store(path, None, _engine(path, begin="BEGIN", writable=False), -1)


def probe(path: Path) -> None:
    """Take the write lock for a moment and let it go: needs a file and a disk that can be written; nothing is.

    Raises:
        StoreUnusable: The file is no database, or cannot be written now.
    """
    try:
        # A broker that runs holds the lock for one group of entries at most.
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
        try:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreUnusable(f"{path} cannot be written: {error}") from error


def _engine(path: Path, *, begin: str, writable: bool) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=QueuePool,
        pool_size=1 if writable else 4,
        max_overflow=0 if writable else 4,
        # A parameter can be a sealed or signed body: keep it out of every error text (T-PRV-1).
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _settle(connection: sqlite3.Connection, _record: object) -> None:
        # The driver must not begin or end transactions by itself; `begin` below does it.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        if writable:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
            synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
            if mode != "wal" or synchronous != SYNCHRONOUS_FULL:
                raise StoreUnusable(f"{path} would not keep what it acknowledged: {mode}, synchronous {synchronous}")
        else:
            connection.execute("PRAGMA query_only = ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _version(connection: Connection) -> str | None:
    """The last migration that a file has had; None for a new one."""
    there = connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").first()
    found = None if there is None else connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if found is None else str(found)


def _migrate(engine: Engine) -> None:
    with engine.begin() as connection:
        if _version(connection) == NEWEST:
            return
    # Loading it takes longer than everything else here, and hardly ever is there anything to migrate.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
