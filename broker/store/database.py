"""What a file and a server have in common: an open store, who may write it, and its migrations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.exc import SQLAlchemyError

from broker.stages import LedgerUnavailable
from broker.store.failure import StoreUnusable

MIGRATIONS: Final = Path(__file__).parent / "migrations"
NEWEST: Final = "0003"
"""The last of them: a database that has it needs none."""


class Pen(Protocol):
    """The right to write, which one process holds at a time."""

    def take(self) -> bool:
        """Take it if nobody else holds it; whether this process holds it now.

        Raises:
            StoreUnusable: The database cannot be reached or must not be written.
        """

    @property
    def lost(self) -> bool:
        """Whether another process has held it since; then nothing that is remembered here may be relied on."""

    def drop(self) -> None:
        """Let go of it."""


@dataclass(frozen=True, slots=True)
class Store:
    """An open database.

    Attributes:
        name: What may be shown of where it is.
        writer: The one connection that writes, for the sequencer only; None when opened for reading.
        reader: Connections that cannot write.
        pen: The right to write.
    """

    name: str
    writer: Engine | None
    reader: Engine
    pen: Pen

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for reading.

        Raises:
            LedgerUnavailable: The database cannot be read.
        """
        try:
            with self.reader.connect() as connection:
                yield connection
        except (SQLAlchemyError, StoreUnusable) as error:
            raise LedgerUnavailable(f"the ledger cannot be read: {type(error).__name__}") from error

    def close(self) -> None:
        """Close every connection and let go of the right to write."""
        self.reader.dispose()
        if self.writer is not None:
            self.writer.dispose()
        self.pen.drop()


@dataclass(frozen=True, slots=True)
class NoPen:
    """Of a store that was opened for reading."""

    lost: bool = False

    def take(self) -> bool:
        """Never."""
        return False

    def drop(self) -> None:
        """There is nothing to let go of."""


def version(connection: Connection) -> str | None:
    """The last migration that a database has had; None for a new one."""
    there = inspect(connection).has_table("alembic_version")
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() if there else None
    return None if found is None else str(found)


def migrate(engine: Engine, to: str = "head") -> None:
    """Run the migrations that a database lacks, in one transaction.

    Args:
        engine: May make tables.
        to: The last migration wanted.

    Raises:
        StoreUnusable: It was written by a later version of this program.
    """
    with engine.begin() as connection:
        if version(connection) == NEWEST:
            return
    # Loading it takes longer than everything else here, and hardly ever is there anything to migrate.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.begin() as connection:
        attributes: dict[str, Any] = config.attributes
        attributes["connection"] = connection
        try:
            command.upgrade(config, to)
        except CommandError as error:
            raise StoreUnusable(f"it was written by another version of this program ({error})") from error
