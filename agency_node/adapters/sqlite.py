"""Read an agency's own SQLite database without ever being able to change it.

    open (mode=ro) -> query_only -> authorizer -> deadline -> rows

* `file:...?mode=ro` opens the file read-only (https://www.sqlite.org/uri.html#urimode).
* `PRAGMA query_only=ON` refuses every change (https://www.sqlite.org/pragma.html#pragma_query_only).
* The authorizer allows reading, selecting and a closed list of harmless functions, nothing else: no ATTACH, no
  pragma, no extension, no file function (https://www.sqlite.org/c3ref/set_authorizer.html).
* A progress handler stops a statement at its deadline (https://www.sqlite.org/c3ref/progress_handler.html).

Between two look-ups a connection is kept open, with its statements prepared, only while the file is exactly as it was
when that was opened; so one that is replaced or copied over overnight is noticed. It holds no lock then, and so never
keeps the agency's own program from writing. Of a database with a write-ahead log an open connection would hold one
(https://www.sqlite.org/wal.html), so there it lasts for one statement.
"""

import contextlib
import functools
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy import CursorResult, Executable, Select, create_engine, func, select, text
from sqlalchemy.exc import CompileError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement

from agency_node.adapters import OwnDatabase, RecordsUnavailable, Row

QUERY_TIMEOUT_S: Final = 2.0
"""How long one question's look-up may take, in seconds."""

LONG_S: Final = 120.0
"""How long reading every person may take, in seconds; done by jobs, never while a question waits."""

PORTION: Final = 1_000
"""Rows in one portion of a long reading."""

_STATEMENTS: Final = 64
"""Statements whose compiled form is kept; a mapping has about one for each question."""

_ENDLESS: Final = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
_TRIAL_S: Final = 0.2
"""Time limit of the endless statement that `stops_slow` tries, in seconds."""

_STEPS: Final = 1_000
"""Virtual-machine steps between two looks at the deadline; about 20 microseconds of work."""

SAFE_FUNCTIONS: Final = frozenset(
    # Core, aggregate, date and window functions that neither change nor reach anything outside the statement
    # (https://www.sqlite.org/lang_corefunc.html, lang_aggfunc.html, lang_datefunc.html, windowfunctions.html).
    {
        "abs",
        "avg",
        "char",
        "coalesce",
        "concat",
        "concat_ws",
        "count",
        "cume_dist",
        "date",
        "datetime",
        "dense_rank",
        "first_value",
        "format",
        "glob",
        "group_concat",
        "hex",
        "ifnull",
        "iif",
        "instr",
        "json_extract",
        "julianday",
        "lag",
        "last_value",
        "lead",
        "length",
        "like",
        "lower",
        "ltrim",
        "max",
        "min",
        "nth_value",
        "ntile",
        "nullif",
        "percent_rank",
        "printf",
        "quote",
        "rank",
        "replace",
        "round",
        "row_number",
        "rtrim",
        "sign",
        "strftime",
        "string_agg",
        "substr",
        "substring",
        "sum",
        "time",
        "timediff",
        "total",
        "trim",
        "typeof",
        "unicode",
        "unixepoch",
        "upper",
        "current_date",
        "current_time",
        "current_timestamp",
        "->",
        "->>",
    }
)
"""The only SQL functions that a mapping may call."""

_ALLOWED: Final = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE, sqlite3.SQLITE_TRANSACTION}
)


class Guarded(sqlite3.Connection):
    """A connection that may only read, and only until its deadline."""

    deadline: float = 0.0

    def guard(self, monotonic: Callable[[], float]) -> None:
        """Take away every right but reading; cannot be undone through SQL."""
        self.execute("PRAGMA query_only=ON")
        self.execute("PRAGMA trusted_schema=OFF")
        self.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        self.set_progress_handler(lambda: int(monotonic() > self.deadline), _STEPS)
        self.set_authorizer(_authorize)


def _authorize(action: int, first: str | None, second: str | None, _schema: str | None, _trigger: str | None) -> int:
    """Allow reading and harmless functions; deny anything else (SQLITE_DENY fails the statement)."""
    if action in _ALLOWED:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in SAFE_FUNCTIONS:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA and (first, second) == ("read_uncommitted", None):
        return sqlite3.SQLITE_OK  # SQLAlchemy reads this setting once per engine; it does not set it
    return sqlite3.SQLITE_DENY


def _told(error: BaseException | None) -> RecordsUnavailable:
    """What the database said, as one of our causes. SQLite names tables and columns, never the values in them."""
    text = str(error)
    if "interrupted" in text:
        return RecordsUnavailable("slow", "The query was stopped because it took too long.")
    if "not authorized" in text or "prohibited" in text or "readonly" in text or "read-only" in text:
        return RecordsUnavailable("refused", f"The query tried to do more than read: {text}.")
    if "unable to open" in text or "not a database" in text or "malformed" in text or "disk I/O" in text:
        return RecordsUnavailable("open", f"The database cannot be read: {text}.")
    if "locked" in text or "busy" in text:
        return RecordsUnavailable("open", "The database is locked by another program.")
    if isinstance(error, sqlite3.Error):
        return RecordsUnavailable("query", text)
    return RecordsUnavailable("query", "The database could not run the query.")


class ReadOnly:
    """An SQLite database that is read and never changed."""

    def __init__(
        self, uri: str, timeout_s: float = QUERY_TIMEOUT_S, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Remember where it is; it is opened at the first statement.

        Args:
            uri: With `mode=ro` (https://www.sqlite.org/uri.html).
            timeout_s: Longest time for one statement, in seconds.
            monotonic: The clock that measures it, in seconds.
        """
        self._uri = uri
        self._timeout_s = timeout_s
        self._monotonic = monotonic
        self._engine = create_engine("sqlite+pysqlite://", creator=self._connect, poolclass=NullPool)
        self._compiled = functools.lru_cache(_STATEMENTS)(self._compile)
        self._kept: list[tuple[object, Guarded]] = []

    def rows(
        self,
        statement: Executable,
        binds: Mapping[str, object],
        limit: int | None = None,
        timeout_s: float | None = None,
    ) -> list[Row]:
        """Run one reading statement.

        Args:
            statement: What to run.
            binds: Values for its binds.
            limit: Fetch at most so many rows; None for all.
            timeout_s: Longest time, in seconds; None for that of a look-up.

        Raises:
            RecordsUnavailable: Refused, too slow, or not understood by the database.
        """
        try:
            state = self._compiled(statement).construct_expanded_state(dict(binds))
            values = [
                state.processors[name](state.parameters[name]) if name in state.processors else state.parameters[name]
                for name in state.positiontup or ()
            ]
            with self._lent() as connection:
                connection.deadline = self._until(timeout_s)
                # Closing it ends the statement, and with it whatever lock that has.
                with contextlib.closing(connection.execute(state.statement, values)) as cursor:
                    return cursor.fetchall() if limit is None else cursor.fetchmany(limit)
        except (SQLAlchemyError, sqlite3.Error, ValueError, OverflowError) as error:
            raise _told(error) from None

    def stream(
        self, statement: Executable, binds: Mapping[str, object], timeout_s: float | None = None
    ) -> Iterator[list[Row]]:
        """Run one reading statement and give its rows in portions, all as they were at one moment.

        Raises:
            RecordsUnavailable: Refused, too slow, or not understood by the database.
        """
        with self._run(statement, binds, timeout_s) as result:
            while rows := result.fetchmany(PORTION):
                yield [tuple(row) for row in rows]

    def kinds(self, statement: Select[Any]) -> frozenset[str]:
        """Of which kinds the values of a statement's one column are: `integer`, `text` or another.

        A column of SQLite may hold values of several kinds (https://www.sqlite.org/datatype3.html).

        Raises:
            RecordsUnavailable: Refused, too slow, or not understood by the database.
        """
        (value,) = statement.subquery("accord_values").c
        return frozenset(str(row[0]) for row in self.rows(select(func.typeof(value)).distinct(), {}, None, LONG_S))

    def columns(self, statement: Executable, binds: Mapping[str, object]) -> tuple[str, ...]:
        """Names of the columns that a statement yields; no row is kept.

        Raises:
            RecordsUnavailable: Refused, too slow, or not understood by the database.
        """
        with self._run(statement, binds, None) as result:
            return tuple(result.keys())

    def tables(self) -> Mapping[str, tuple[str, ...]]:
        """Tables and views with their columns, for messages that help to mend a mapping.

        Raises:
            RecordsUnavailable: It cannot be read.
        """
        with self._opened() as connection:
            return described(connection)

    def refuses_writes(self) -> bool:
        """Whether an attempt to write is refused (see `refused`).

        Raises:
            RecordsUnavailable: It cannot be read.
        """
        with self._opened() as connection:
            return refused(connection)

    def stops_slow(self) -> bool:
        """Whether a statement that takes too long is stopped.

        Raises:
            RecordsUnavailable: It cannot be read.
        """
        try:
            self.rows(text(_ENDLESS), {}, None, _TRIAL_S)
        except RecordsUnavailable as fault:
            if fault.cause != "slow":
                raise
            return True
        return False

    def account_may_write(self) -> bool:
        """Whether an account that stands between may change anything: there is none."""
        return False

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()
        while self._kept:
            self._kept.pop()[1].close()

    def _stamp(self) -> object:
        """What stays the same for as long as a connection may be kept; None if it must not be."""
        return ()

    @contextlib.contextmanager
    def _lent(self) -> Iterator[Guarded]:
        """A connection for one statement: the one that was kept, or a new one. One that failed is not kept."""
        # Taken before it is opened: a file that changes at that moment is opened once too often, never too seldom.
        stamp, connection = self._stamp(), None
        # Whoever takes it off the list has it alone, also among threads.
        with contextlib.suppress(IndexError):
            was, connection = self._kept.pop()
            if was != stamp:
                connection.close()
                connection = None
        connection = connection or self._connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if stamp is None or stamp != self._stamp() or self._kept:
            connection.close()
        else:
            self._kept.append((stamp, connection))

    def _compile(self, statement: Executable) -> SQLCompiler:
        compiled = statement.compile(dialect=self._engine.dialect) if isinstance(statement, ClauseElement) else None
        if not isinstance(compiled, SQLCompiler):
            raise CompileError("this statement cannot be compiled")
        return compiled

    def _until(self, timeout_s: float | None) -> float:
        return self._monotonic() + (self._timeout_s if timeout_s is None else timeout_s)

    def _connect(self) -> Guarded:
        connection = sqlite3.connect(self._uri, uri=True, timeout=1.0, check_same_thread=False, factory=Guarded)
        connection.deadline = self._monotonic() + self._timeout_s
        connection.guard(self._monotonic)
        return connection

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Guarded]:
        try:
            connection = self._connect()
        except sqlite3.Error as error:
            raise _told(error) from None
        with contextlib.closing(connection):
            yield connection

    @contextlib.contextmanager
    def _run(
        self, statement: Executable, binds: Mapping[str, object], timeout_s: float | None
    ) -> Iterator[CursorResult[Any]]:
        until = self._until(timeout_s)
        try:
            with self._engine.connect() as connection:
                raw = connection.connection.driver_connection
                if not isinstance(raw, Guarded):
                    raise TypeError("the engine's connections are not guarded")
                raw.deadline = until
                yield connection.execute(statement, dict(binds))
        except DBAPIError as error:
            raise _told(error.orig) from None
        except (SQLAlchemyError, sqlite3.Error, ValueError, OverflowError) as error:
            raise _told(error) from None


class SqliteSource(ReadOnly, OwnDatabase):
    """One SQLite file of the agency's own."""

    def __init__(
        self, file: Path, timeout_s: float = QUERY_TIMEOUT_S, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Remember where the file is.

        Args:
            file: The agency's database file.
            timeout_s: Longest time for one statement, in seconds.
            monotonic: The clock that measures it, in seconds.
        """
        self._file = file
        # Path.as_uri escapes ? and #, so no part of a file name can become an option.
        super().__init__(file.absolute().as_uri() + "?mode=ro", timeout_s, monotonic)

    def _stamp(self) -> object:
        """Which file it is and when it changed; None if it has a write-ahead log, or is not there.

        Two copies of a file may agree in all that SQLite itself looks at to see whether its pages are still good.
        """
        try:
            found = os.stat(self._file)
        except OSError:
            return None
        logged = os.path.exists(f"{self._file}-wal")
        return None if logged else (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)

    def changed_ns(self) -> int:
        """When the file last changed, in nanoseconds since 1970.

        Raises:
            RecordsUnavailable: There is no such file.
        """
        try:
            return max(
                path.stat().st_mtime_ns
                for path in (self._file, self._file.with_name(self._file.name + "-wal"))
                if path == self._file or path.exists()
            )
        except OSError:
            raise RecordsUnavailable("open", "There is no readable database file at the path given.") from None


def refused(connection: sqlite3.Connection) -> bool:
    """Whether a connection refuses to write. A table of its own that nobody else could see is what it tries to make."""
    try:
        connection.execute("CREATE TEMP TABLE accord_doctor (tried INTEGER)")
    except sqlite3.Error:
        return True
    connection.execute("DROP TABLE temp.accord_doctor")
    return False


def described(connection: sqlite3.Connection) -> Mapping[str, tuple[str, ...]]:
    """Tables and views of a database with their columns.

    Raises:
        RecordsUnavailable: It cannot be read.
    """
    try:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name")
        return {str(name): _columns(connection, str(name)) for (name,) in tables.fetchall()}
    except sqlite3.Error as error:
        raise _told(error) from None


def _columns(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    quoted = '"' + table.replace('"', '""') + '"'
    try:
        # Quoted as SQLite requires (https://www.sqlite.org/lang_keywords.html); a name cannot be a bind.
        cursor = connection.execute("SELECT * FROM " + quoted + " LIMIT 0")  # noqa: S608 - quoted, from the schema itself
    except sqlite3.Error:
        return ()
    return tuple(str(column[0]) for column in cursor.description)
