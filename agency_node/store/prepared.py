"""Core statements compiled once and run on the driver's own cursor.

An answer runs some twenty statements, and SQLAlchemy takes ten times as long over each as the database does. The
statements stay Core expressions: nothing here builds SQL.

* It is compiled once for each engine, in the form in which its driver takes values: by position, or by name.
* Values pass as they are: use it for columns of integers, text and bytes only.
* It runs in the caller's transaction, and only there; a failure is raised as SQLAlchemy raises it, without the values
  that were bound (T-PRV-1).
"""

from collections.abc import Callable, Mapping, Sequence
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
    """One statement, compiled at its first use on each engine."""

    def __init__(self, statement: Callable[[Connection], Executable]) -> None:
        """Keep what makes the statement.

        Args:
            statement: Makes it, for the engine of a connection; its parameters are named by `bindparam`, or are the
                columns that it inserts.
        """
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def rows(self, connection: Connection, **values: object) -> list[tuple[Any, ...]]:
        """Every row, as tuples in the order of the columns selected."""
        return self._execute(connection, values).fetchall()  # type: ignore[no-any-return]  # a driver's cursor

    def first(self, connection: Connection, **values: object) -> tuple[Any, ...] | None:
        """The first row, or None."""
        return self._execute(connection, values).fetchone()  # type: ignore[no-any-return]  # a driver's cursor

    def run(self, connection: Connection, **values: object) -> int:
        """Change something, and say how many rows."""
        return int(self._execute(connection, values).rowcount)

    def many(self, connection: Connection, several: Sequence[Mapping[str, object]]) -> None:
        """Change something once for each set of values."""
        if not several:
            return
        made = self._compiled.get(connection.dialect.name) or self._compile(connection)
        try:
            connection.connection.cursor().executemany(made.sql, [made.bound(values) for values in several])
        except connection.dialect.loaded_dbapi.Error as error:
            raise _failure(connection, made, error) from error

    def _execute(self, connection: Connection, values: Mapping[str, object]) -> Any:
        made = self._compiled.get(connection.dialect.name) or self._compile(connection)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(made.sql, made.bound(values))
        except connection.dialect.loaded_dbapi.Error as error:
            raise _failure(connection, made, error) from error
        return cursor

    def _compile(self, connection: Connection) -> _Compiled:
        statement = self._statement(connection)
        if not isinstance(statement, ClauseElement):
            raise TypeError("this statement cannot be compiled")
        compiled = statement.compile(dialect=connection.dialect)
        places: Sequence[str] | None = getattr(compiled, "positiontup", None)
        params = compiled.params or {}
        fixed = {name: value for name, value in params.items() if value is not None}
        made = _Compiled(str(compiled), places or tuple(params), places is not None, fixed)
        self._compiled[connection.dialect.name] = made
        return made


def _failure(connection: Connection, made: _Compiled, error: Exception) -> Exception:
    dialect = connection.dialect
    raw = connection.connection.dbapi_connection
    broken = dialect.is_disconnect(error, raw, None)  # type: ignore[arg-type]  # only its own errors are caught
    if broken:
        connection.invalidate(error)
        # A server that hung up on one connection hung up on all.
        connection.engine.dispose()
    failed = DBAPIError.instance(
        made.sql, None, error, dialect.loaded_dbapi.Error, hide_parameters=True, dialect=dialect
    )
    if isinstance(failed, DBAPIError):
        failed.connection_invalidated = broken
    return failed
