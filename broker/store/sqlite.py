"""State in one SQLite file beside the process: the default, which needs nothing else.

* One process writes. The lock file beside the database is held for the life of the process, so a second broker on the
  same file stops with a plain sentence instead of interleaving two trees.
* Write-ahead log with `synchronous=FULL` is asserted on every connection, not assumed (T-AUD-2). With `OFF`, SQLite
  loses acknowledged entries when the power goes (https://www.sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool

from broker.store.database import NoPen, Store, migrate
from broker.store.failure import StoreUnusable
from broker.store.prepared import Prepared
from broker.store.tables import COUNTS

BUSY_TIMEOUT_MS: Final = 5_000
"""How long a statement waits for a lock; only a backup or a verifier could hold one."""

SYNCHRONOUS_FULL: Final = 2
"""What `PRAGMA synchronous` answers for FULL (https://www.sqlite.org/pragma.html#pragma_synchronous)."""
_NORMAL: Final = 1


@dataclass(frozen=True, slots=True)
class _FilePen:
    """Held from opening to closing, as an operating system's lock on the file beside the database."""

    lock: int
    lost: bool = False

    def take(self) -> bool:
        return True

    def drop(self) -> None:
        os.close(self.lock)


def open_file(path: Path) -> Store:
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
        migrate(writer)
    except BlockingIOError as error:
        os.close(lock)
        raise StoreUnusable(f"another broker is running on {path}; stop it first") from error
    except OSError as error:
        os.close(lock)
        raise StoreUnusable(f"{path} cannot be opened: {error.strerror}") from error
    except (SQLAlchemyError, StoreUnusable) as error:
        os.close(lock)
        raise StoreUnusable(f"{path} cannot be used: {error}") from error
    return Store(str(path), writer, _engine(path, begin="BEGIN", writable=False), _FilePen(lock))


def read_file(path: Path) -> Store:
    """Open the database beside a broker that may be running, to verify or export it.

    Raises:
        StoreUnusable: There is no such file.
    """
    if not path.is_file():
        raise StoreUnusable(f"{path} is not there")
    return Store(str(path), None, _engine(path, begin="BEGIN", writable=False), NoPen())


def count_in_file(path: Path) -> Engine:
    """One connection to a file of counts, made when it is not there.

    Its commits wait for no disk, and writing it holds up no ledger: so it is a file of its own.
    """
    path.touch(mode=0o600, exist_ok=True)
    engine = _engine(path, begin="BEGIN IMMEDIATE", writable=True, synchronous=_NORMAL)
    COUNTS.create_all(engine)
    return engine


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


def _engine(path: Path, *, begin: str, writable: bool, synchronous: int = SYNCHRONOUS_FULL) -> Engine:
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
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
            found = connection.execute("PRAGMA synchronous").fetchone()[0]
            if mode != "wal" or found != synchronous:
                raise StoreUnusable(f"{path} would not keep what it acknowledged: {mode}, synchronous {found}")
        else:
            connection.execute("PRAGMA query_only = ON")

    beginning = Prepared(text(begin))

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        beginning.run(connection)

    return engine
