"""Core statements compiled once and run on the driver's own cursor.

A one-row read costs about 5 microseconds this way against 50 to 80 through the whole of SQLAlchemy, and the sequencer
runs a dozen a question while everyone waits for it. The statements stay Core expressions: nothing here builds SQL.

* Values pass as they are: use it for columns of integers, text and bytes only.
* It begins no transaction. Inside the sequencer one is open; a reader sees each statement by itself.
* A failure is raised as SQLAlchemy raises it, without the values that were bound (T-PRV-1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Executable
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import ClauseElement


class Prepared:
    """One statement, compiled at its first use."""

    def __init__(self, statement: Executable) -> None:
        """Keep a statement whose parameters are named by `bindparam`, or are the columns it inserts."""
        self._statement = statement
        self._sql = ""
        self._names: Sequence[str] = ()
        self._fixed: Mapping[str, Any] = {}

    def rows(self, connection: Connection, **values: object) -> list[tuple[Any, ...]]:
        """Every row, as tuples in the order of the columns selected."""
        return self._execute(connection, values).fetchall()  # type: ignore[no-any-return]  # a driver's cursor

    def first(self, connection: Connection, **values: object) -> tuple[Any, ...] | None:
        """The first row, or None."""
        return self._execute(connection, values).fetchone()  # type: ignore[no-any-return]  # a driver's cursor

    def run(self, connection: Connection, **values: object) -> None:
        """Change something."""
        self._execute(connection, values)

    def many(self, connection: Connection, several: Sequence[Mapping[str, object]]) -> None:
        """Change something once for each set of values."""
        if not several:
            return
        self._compile(connection)
        try:
            connection.connection.cursor().executemany(self._sql, [self._bound(values) for values in several])
        except connection.dialect.loaded_dbapi.Error as error:
            raise self._failure(connection, error) from error

    def _execute(self, connection: Connection, values: Mapping[str, object]) -> Any:
        if not self._sql:
            self._compile(connection)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(self._sql, self._bound(values))
        except connection.dialect.loaded_dbapi.Error as error:
            raise self._failure(connection, error) from error
        return cursor

    def _bound(self, values: Mapping[str, object]) -> tuple[object, ...]:
        return tuple(values[name] if name in values else self._fixed[name] for name in self._names)

    def _compile(self, connection: Connection) -> None:
        statement = self._statement
        if self._sql or not isinstance(statement, ClauseElement):
            return
        compiled = statement.compile(dialect=connection.dialect)
        names: Sequence[str] | None = getattr(compiled, "positiontup", None)
        if names is None:
            raise TypeError("the driver does not number its parameters")
        self._names = names
        self._fixed = {name: value for name, value in (compiled.params or {}).items() if value is not None}
        self._sql = str(compiled)

    def _failure(self, connection: Connection, error: Exception) -> Exception:
        return DBAPIError.instance(
            self._sql,
            None,
            error,
            connection.dialect.loaded_dbapi.Error,
            hide_parameters=True,
            dialect=connection.dialect,
        )
