"""Read a folder of CSV files that an agency's system drops every night; small agencies have nothing else.

    declared columns -> files checked -> private SQLite in memory -> guarded like any other database

* RFC 4180 files (https://www.rfc-editor.org/rfc/rfc4180), UTF-8 with or without a byte order mark.
* Columns are declared with types in the mapping. A column that is missing, undeclared or named twice, or a row with
  too many or too few cells, refuses the whole drop: half a file must never read as "no" (T-LNK-5).
* A value that is not of its declared type becomes NULL and is counted. A *no* about somebody whose number stands in
  such a row would be unsound, so `doubtful` names them.
* When a file's time, size or inode changes, the drop is loaded again before the next statement. A drop that has
  become unsound is unavailable until it is mended; the old rows are not used.
"""

import csv
import datetime
import re
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import Engine, Executable, create_engine
from sqlalchemy.pool import StaticPool

from agency_node.adapters import RecordsUnavailable
from agency_node.adapters.sqlite import QUERY_TIMEOUT_S, Guarded, Row, described, names, refused, run

ColumnType = Literal["text", "date", "integer", "boolean"]
COLUMN_TYPES: Final[tuple[ColumnType, ...]] = ("text", "date", "integer", "boolean")
_SQL_TYPES: Final[Mapping[ColumnType, str]] = {
    "text": "TEXT",
    "date": "TEXT",
    "integer": "INTEGER",
    "boolean": "INTEGER",
}

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")
"""A table or column name that needs no escaping in SQL."""

MAX_FILE_BYTES: Final = 512 * 1024 * 1024
"""Largest file read into memory."""

_TRUE: Final = frozenset({"1", "y", "yes", "true", "t"})
_FALSE: Final = frozenset({"0", "n", "no", "false", "f", ""})
_ISO: Final = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})(?:[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?Z?)?\Z", re.ASCII
)
_UK: Final = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})\Z", re.ASCII)
_INTEGER: Final = re.compile(r"[+-]?\d{1,18}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class CsvTable:
    """One declared file.

    Attributes:
        file: File name inside the folder, no path.
        columns: Column name as in the header -> type.
    """

    file: str
    columns: Mapping[str, ColumnType]


@dataclass(frozen=True, slots=True)
class _Loaded:
    engine: Engine
    connection: Guarded
    stamp: tuple[tuple[int, int, int], ...]
    unreadable: Mapping[str, int]
    doubtful: frozenset[str]


class CsvSource:
    """A folder of declared CSV files, held as tables in memory."""

    def __init__(
        self,
        folder: Path,
        tables: Mapping[str, CsvTable],
        timeout_s: float = QUERY_TIMEOUT_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Remember what is declared; files are read at the first statement.

        Args:
            folder: Where the files are.
            tables: Table name -> declared file; names match `NAME`.
            timeout_s: Longest time for one statement, in seconds.
            monotonic: The clock that measures it, in seconds.
        """
        self._folder = folder
        self._tables = dict(tables)
        self._timeout_s = timeout_s
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None

    def rows(
        self,
        statement: Executable,
        binds: Mapping[str, object],
        limit: int | None = None,
        timeout_s: float | None = None,
    ) -> list[Row]:
        """Run one reading statement over the files as they are now.

        Raises:
            RecordsUnavailable: The drop is unsound, or the statement was refused, too slow or not understood.
        """
        with self._lock:
            return run(self._current().engine, statement, binds, limit, self._until(timeout_s))

    def columns(self, statement: Executable, binds: Mapping[str, object]) -> tuple[str, ...]:
        """Names of the columns that a statement yields.

        Raises:
            RecordsUnavailable: The drop is unsound, or the statement was refused, too slow or not understood.
        """
        with self._lock:
            return names(self._current().engine, statement, binds, self._until(None))

    def tables(self) -> Mapping[str, tuple[str, ...]]:
        """Tables with their columns.

        Raises:
            RecordsUnavailable: The drop is unsound.
        """
        with self._lock:
            connection = self._current().connection
            connection.deadline = self._until(None)
            return described(connection)

    def changed_ns(self) -> int:
        """When the *oldest* of the files was written, in nanoseconds since 1970: all else is at least as new.

        Raises:
            RecordsUnavailable: A file is missing.
        """
        return min(stamp[0] for stamp in self._stamp())

    def doubtful(self, person_ids: Collection[str]) -> bool:
        """Whether any of these numbers stands in a row that was only partly understood.

        Raises:
            RecordsUnavailable: The drop is unsound.
        """
        with self._lock:
            doubtful = self._current().doubtful
        return any(person_id in doubtful for person_id in person_ids)

    def unreadable(self) -> Mapping[str, int]:
        """How many values were not of their declared type, by `table.column`.

        Raises:
            RecordsUnavailable: The drop is unsound.
        """
        with self._lock:
            return self._current().unreadable

    def refuses_writes(self) -> bool:
        """Whether an attempt to write is refused.

        Raises:
            RecordsUnavailable: The drop is unsound.
        """
        with self._lock:
            connection = self._current().connection
            connection.deadline = self._until(None)
            return refused(connection)

    def close(self) -> None:
        """Forget every row."""
        with self._lock:
            self._forget()

    def _until(self, timeout_s: float | None) -> float:
        return self._monotonic() + (self._timeout_s if timeout_s is None else timeout_s)

    def _forget(self) -> None:
        if self._loaded is not None:
            self._loaded.engine.dispose()
            self._loaded.connection.close()
            self._loaded = None

    def _current(self) -> _Loaded:
        stamp = self._stamp()
        if self._loaded is None or self._loaded.stamp != stamp:
            self._forget()
            loaded = self._load(stamp)
            if self._stamp() != stamp:
                loaded.connection.close()
                raise RecordsUnavailable("files", "A CSV file changed while it was being read. Try again in a minute.")
            self._loaded = loaded
        return self._loaded

    def _stamp(self) -> tuple[tuple[int, int, int], ...]:
        found = []
        for table in self._tables.values():
            try:
                state = (self._folder / table.file).stat()
            except (OSError, ValueError):
                raise RecordsUnavailable("files", f"The file '{table.file}' is not in the folder.") from None
            if state.st_size > MAX_FILE_BYTES:
                raise RecordsUnavailable("files", f"The file '{table.file}' is larger than {MAX_FILE_BYTES} bytes.")
            found.append((state.st_mtime_ns, state.st_size, state.st_ino))
        return tuple(found)

    def _load(self, stamp: tuple[tuple[int, int, int], ...]) -> _Loaded:
        connection = sqlite3.connect(":memory:", check_same_thread=False, factory=Guarded)
        connection.deadline = self._until(None)
        unreadable: Counter[str] = Counter()
        doubtful: set[str] = set()
        try:
            for name, table in self._tables.items():
                _fill(connection, name, table, self._folder / table.file, unreadable=unreadable, doubtful=doubtful)
            connection.commit()
            connection.guard(self._monotonic)
        except BaseException:
            connection.close()
            raise
        engine = create_engine("sqlite+pysqlite://", creator=lambda: connection, poolclass=StaticPool)
        return _Loaded(engine, connection, stamp, dict(unreadable), frozenset(doubtful))


def _fill(
    connection: sqlite3.Connection,
    name: str,
    table: CsvTable,
    path: Path,
    *,
    unreadable: Counter[str],
    doubtful: set[str],
) -> None:
    """Create one table and put the file's rows into it.

    Raises:
        RecordsUnavailable: The file is unsound; the message names the file and line, never a value.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecordsUnavailable(
            "files", f"The file '{table.file}' is not UTF-8 (byte {error.start}). Export it as 'CSV UTF-8'."
        ) from None
    except OSError:
        raise RecordsUnavailable("files", f"The file '{table.file}' cannot be read.") from None
    if "\x00" in text:
        raise RecordsUnavailable("files", f"The file '{table.file}' holds zero bytes; it is not a CSV file.")
    reader = csv.reader(_lines(text), strict=True)
    columns = tuple(table.columns)
    try:
        header = next(reader, [])
        _check_header(table, [cell.strip() for cell in header])
        order = [[cell.strip() for cell in header].index(column) for column in columns]
        declared = ", ".join(f'"{column}" {_SQL_TYPES[table.columns[column]]}' for column in columns)
        connection.execute(f'CREATE TABLE "{name}" ({declared})')
        insert = f'INSERT INTO "{name}" VALUES ({", ".join("?" * len(columns))})'  # noqa: S608 - names match NAME
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise RecordsUnavailable(
                    "files",
                    f"The file '{table.file}' has {len(cells)} cells in line {reader.line_num} where its header has "
                    f"{len(header)}. It may have been copied only in part.",
                )
            row = []
            for column, position in zip(columns, order, strict=True):
                value, understood = _read(table.columns[column], cells[position].strip())
                row.append(value)
                if not understood:
                    unreadable[f"{name}.{column}"] += 1
                    doubtful.update(cell.strip() for cell in cells)
            connection.execute(insert, row)
    except csv.Error:
        raise RecordsUnavailable(
            "files",
            f"The file '{table.file}' is not a sound CSV file near line {reader.line_num}; look for a stray quote.",
        ) from None


def _lines(text: str) -> list[str]:
    """Split at CR LF, LF or CR only: other line separators may stand inside a quoted cell."""
    return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z", text)


def _check_header(table: CsvTable, header: list[str]) -> None:
    missing = [column for column in table.columns if column not in header]
    twice = sorted({column for column in header if header.count(column) > 1})
    undeclared = [column for column in header if column not in table.columns]
    if missing:
        raise RecordsUnavailable(
            "files",
            f"The file '{table.file}' lacks the declared column{_list(missing)}. Columns there:{_list(header)}.",
        )
    if twice:
        raise RecordsUnavailable("files", f"The file '{table.file}' names a column twice:{_list(twice)}.")
    if undeclared:
        raise RecordsUnavailable(
            "files",
            f"The file '{table.file}' has a column that the mapping does not declare:{_list(undeclared)}. Declare it, "
            "or leave it out of the export: a node should be given no more than it needs.",
        )


def _list(columns: list[str]) -> str:
    return " " + ", ".join(f"'{column[:64]}'" for column in columns[:40])


def _read(kind: ColumnType, cell: str) -> tuple[str | int | None, bool]:
    """A cell as its declared type, and whether it was understood. Empty is NULL, and understood."""
    if cell == "":
        return None, True
    if kind == "text":
        return cell, True
    if kind == "integer":
        return (int(cell), True) if _INTEGER.match(cell) else (None, False)
    if kind == "boolean":
        known = cell.lower()
        return (int(known in _TRUE), True) if known in _TRUE | _FALSE else (None, False)
    day = read_date(cell)
    return (None, False) if day is None else (day.isoformat(), True)


def read_date(text: str) -> datetime.date | None:
    """A date in ISO 8601 (with or without a time of day) or in British order, 21/05/1988; None if it is neither."""
    iso, uk = _ISO.match(text), _UK.match(text)
    try:
        if iso:
            return datetime.date(int(iso[1]), int(iso[2]), int(iso[3]))
        if uk:
            return datetime.date(int(uk[3]), int(uk[2]), int(uk[1]))
    except ValueError:
        return None
    return None
