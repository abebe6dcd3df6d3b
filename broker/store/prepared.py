"""Core statements compiled once and run on the driver's own cursor.

A one-row read costs about 5 microseconds this way against 50 to 80 through the whole of SQLAlchemy, and the sequencer
runs a dozen a question while everyone waits for it. The statements stay Core expressions: nothing here builds SQL.

* It is compiled once for each engine, in the form in which its driver takes values: by position, or by name.
* Values pass as they are: use it for columns of integers, text and bytes only.
* It begins no transaction. Inside the sequencer one is open; a reader sees each statement by itself.
* A failure is raised as SQLAlchemy raises it, without the values that were bound (T-PRV-1). A server that hung up on
  one connection hung up on all, so none that is kept is used again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Executable
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import ClauseElement


@dataclass(frozen=True, slots=True)
class _Compiled:
    sql: str
    names: Sequence[str]
    positional: bool
    fixed: Mapping[str, Any]

    def bound(self, values: Mapping[str, object]) -> Any:
        if self.positional:
            return tuple(values[name] if name in values else self.fixed[name] for name in self.names)
        return {name: values[name] if name in values else self.fixed[name] for name in self.names}


class Prepared:
    """One statement, compiled at its first use."""

    def __init__(self, statement: Executable) -> None:
        """Keep a statement whose parameters are named by `bindparam`, or are the columns it inserts."""
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

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
        made = self._for(connection)
        try:
            connection.connection.cursor().executemany(made.sql, [made.bound(values) for values in several])
        except connection.dialect.loaded_dbapi.Error as error:
            raise _failure(connection, made, error) from error

    def _execute(self, connection: Connection, values: Mapping[str, object]) -> Any:
        made = self._compiled.get(connection.dialect.name) or self._for(connection)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(made.sql, made.bound(values))
        except connection.dialect.loaded_dbapi.Error as error:
            raise _failure(connection, made, error) from error
        return cursor

    def _for(self, connection: Connection) -> _Compiled:
        made = self._compiled.get(connection.dialect.name)
        if made is None:
            if not isinstance(self._statement, ClauseElement):
                raise TypeError("this statement cannot be compiled")
            compiled = self._statement.compile(dialect=connection.dialect)
            places: Sequence[str] | None = getattr(compiled, "positiontup", None)
            params = compiled.params or {}
            fixed = {name: value for name, value in params.items() if value is not None}
            made = _Compiled(str(compiled), places or tuple(params), places is not None, fixed)
            self._compiled[connection.dialect.name] = made
        return made


@contextmanager
def together(connection: Connection) -> Iterator[None]:
    """Let statements whose rows nobody asks for travel together, where the driver can.

    PostgreSQL's pipeline mode (https://www.postgresql.org/docs/current/libpq-pipeline-mode.html): several statements
    cost one journey to the server and back. What one of them fails with is raised at the next row that is asked for, or
    at the end of the block. A SELECT goes through `Prepared` there, whose rows are fetched; SQLAlchemy would look for
    them too early.
    """
    pipeline = getattr(connection.connection.dbapi_connection, "pipeline", None)
    if pipeline is None:
        yield
        return
    with pipeline():
        yield


def _failure(connection: Connection, made: _Compiled, error: Exception) -> Exception:
    dialect = connection.dialect
    raw = connection.connection.dbapi_connection
    if dialect.is_disconnect(error, raw, None):  # type: ignore[arg-type]  # only its own errors are caught
        connection.invalidate(error)
        connection.engine.dispose()
    return DBAPIError.instance(made.sql, None, error, dialect.loaded_dbapi.Error, hide_parameters=True, dialect=dialect)
