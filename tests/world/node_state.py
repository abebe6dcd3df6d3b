"""Where a node's state is in a test: in a file or on a server, and what may be done to it behind its back."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import Engine

from agency_node.store import open_state, postgresql
from agency_node.store.database import NEWEST
from agency_node.store.tables import METADATA
from tests.world.state_servers import StateDatabase

BOTH: Final = ("sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgres", "initdb")))
"""Both engines, as parameters of a test."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node's state is.

    Attributes:
        file: The SQLite file, where there is no server.
        database: On a server.
    """

    file: Path
    database: StateDatabase | None = None

    def open(self) -> Engine:
        """Open it, as another process of the node would."""
        return open_state(self.file, self.url_file)

    def open_to_erase(self) -> Engine:
        """Open it with the account that may erase records: on a server its owner."""
        return self.open() if self.database is None else postgresql.open_as_owner(self.database.owner_file)

    def change(self, *statements: str) -> None:
        """Change what is stored behind our back, as somebody with the file or the server could: no trigger is asked."""
        if self.database is not None:
            self.database.server.run(_ZEROS, "SET session_replication_role = replica", *statements, database=self.name)
            return
        with closing(sqlite3.connect(self.file)) as connection, connection:
            triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for statement in (*(f"DROP TRIGGER {name}" for (name,) in triggers), *statements):
                connection.execute(statement)

    def empty(self) -> None:
        """Make it as if it were new. Whoever still uses it is cut off."""
        if self.database is None:
            self.file.unlink(missing_ok=True)
            return
        tables = ", ".join(sorted(METADATA.tables))
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        self.change(
            f"SELECT pg_terminate_backend(pid) {others}",
            f"TRUNCATE {tables} RESTART IDENTITY",
            f"UPDATE alembic_version SET version_num = '{NEWEST}'",  # noqa: S608  # a constant of ours
        )

    @property
    def url_file(self) -> Path | None:
        """The file with the address of the database on a server."""
        return None if self.database is None else self.database.url_file

    @property
    def name(self) -> str:
        """Of the database on a server."""
        return "" if self.database is None else self.database.name


_ZEROS = """CREATE OR REPLACE FUNCTION zeroblob(n integer) RETURNS bytea LANGUAGE sql
AS $$ SELECT decode(repeat('00', n), 'hex') $$"""
"""What SQLite calls so."""
