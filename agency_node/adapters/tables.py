"""Tables that are no database, held in memory as one: what CSV files and spreadsheets have in common.

    reader (csv_drop, xlsx) -> Filling: declared types -> private SQLite in memory -> read-only like any other database

* A value that is not of its declared type becomes NULL and is counted. A *no* about somebody whose number stands in
  such a row would be unsound, so `doubtful` names them (T-LNK-5).
* What was mended on the way in (leading zeros put back, spaces cut off, dates kept as numbers) is counted as well and
  told by `accord-node mapping check`: nothing is changed silently.
* When a file's time, size or inode changes, all is loaded again before the next statement. What has become unsound is
  unavailable until it is mended; the old rows are not used.
"""

import datetime
import hmac
import itertools
import re
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from sqlalchemy import Executable, Select

from accord.canonical import lp
from agency_node.adapters import RecordsUnavailable, Row
from agency_node.adapters.sqlite import QUERY_TIMEOUT_S, ReadOnly

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
MAX_DIGITS: Final = 18
"""Longest number that `digits` may ask for."""

_TRUE: Final = frozenset({"1", "y", "yes", "true", "t"})
_FALSE: Final = frozenset({"0", "n", "no", "false", "f", ""})
_ISO: Final = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})(?:[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?Z?)?\Z", re.ASCII
)
_UK: Final = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})\Z", re.ASCII)
_INTEGER: Final = re.compile(r"[+-]?\d{1,18}\Z", re.ASCII)

_EXACT: Final = 10**15
"""Spreadsheets keep 15 digits of a number exactly (ECMA-376 cells are IEEE 754 doubles); longer ones are spoilt."""
DAY_ZERO: Final = datetime.date(1899, 12, 30)
"""The day from which a spreadsheet counts (ECMA-376 part 1, 18.17.4.1)."""
DAYS: Final = (datetime.date(1920, 1, 1) - DAY_ZERO).days, (datetime.date(2100, 1, 1) - DAY_ZERO).days
"""Days that a bare number in a date column may be: outside them stand years (1988) and dates without separators."""


@dataclass(frozen=True, slots=True)
class Column:
    """One declared column.

    Attributes:
        name: As queries know it; matches `NAME`.
        type: What its values are.
        digits: A text of digits only that is shorter gets its leading zeros back; 0 to leave it as it is.
    """

    name: str
    type: ColumnType
    digits: int = 0


@dataclass(frozen=True, slots=True)
class Digest:
    """A number for the rows of a list that has none: a keyed digest of some of their values.

    Without the key, which lies beside the node's own, nobody can tell whose number it is by trying names.

    Attributes:
        name: The column that it becomes; matches `NAME`.
        of: Names of the columns that it is made of.
        key_file: Where its key lies: 32 raw bytes.
    """

    name: str
    of: tuple[str, ...]
    key_file: str

    def number(self, row: Mapping[str, str | int | None], key: bytes) -> str | None:
        """A row's number, 128 bits in hexadecimal: HMAC-SHA256 (RFC 2104). None where nothing stands in it."""
        parts = [" ".join(str(row[name] or "").lower().split()).encode() for name in self.of]
        return hmac.new(key, lp(*parts), "sha256").hexdigest()[:32] if any(parts) else None


class Unread:
    """A cell whose value could not be had: a formula never calculated, an error, or too long."""


Cell = str | int | float | datetime.date | datetime.time | datetime.timedelta | Unread | None


class Filling:
    """What a reader fills: tables in memory, and counts of what was mended or could not be read."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Start with no table."""
        self._connection = connection
        self._table = ""
        self._columns: tuple[Column, ...] = ()
        self._insert = ""
        self._digest: tuple[Digest, bytes] | None = None
        self.unreadable: Counter[str] = Counter()
        self.noted: Counter[str] = Counter()
        self.doubtful: set[str] = set()

    def table(self, name: str, columns: Sequence[Column], digest: tuple[Digest, bytes] | None = None) -> None:
        """Begin a table; rows go into it until the next begins. Names match `NAME`.

        Args:
            name: The table.
            columns: Its columns.
            digest: What numbers its rows, and its key; None where the rows have numbers.
        """
        made = [*columns, Column(digest[0].name, "text")] if digest else columns
        declared = ", ".join(f'"{column.name}" {_SQL_TYPES[column.type]}' for column in made)
        self._connection.execute(f'CREATE TABLE "{name}" ({declared})')
        self._insert = f'INSERT INTO "{name}" VALUES ({", ".join("?" * len(made))})'  # noqa: S608 - names match NAME
        self._table = name
        self._columns = tuple(columns)
        self._digest = digest

    def row(self, cells: Sequence[Cell]) -> None:
        """Add a row, its cells in the order of the table's columns."""
        row: list[str | int | None] = []
        unsound = False
        for column, cell in zip(self._columns, cells, strict=True):
            value, understood, mended = _read(column, cell)
            row.append(value)
            if mended:
                self.noted[f"{self._table}.{column.name}: {mended}"] += 1
            if not understood:
                self.unreadable[f"{self._table}.{column.name}"] += 1
                unsound = True
        if self._digest is not None:
            digest, key = self._digest
            row.append(digest.number({one.name: value for one, value in zip(self._columns, row, strict=True)}, key))
        if unsound:
            self.doubtful.update(str(value) for value in row if value is not None)
            self.doubtful.update(cell.strip() for cell in cells if isinstance(cell, str))
        self._connection.execute(self._insert, row)

    def note(self, what: str, count: int = 1) -> None:
        """Count something about the table as a whole; `what` holds nothing from a record."""
        if count:
            self.noted[f"{self._table}: {what}"] += count


class Reader(Protocol):
    """One kind of file."""

    def files(self) -> Sequence[Path]:
        """The files that are read."""

    @property
    def largest(self) -> int:
        """Most bytes that one of them may have."""

    def fill(self, filling: Filling) -> None:
        """Read them.

        Raises:
            RecordsUnavailable: A file is unsound; the message names file, place and cure, never a value.
        """


@dataclass(frozen=True, slots=True)
class _Loaded:
    keeper: sqlite3.Connection
    reading: ReadOnly
    stamp: tuple[tuple[int, int, int], ...]
    unreadable: Mapping[str, int]
    noted: Mapping[str, int]
    doubtful: frozenset[str]


_numbers = itertools.count()


class TableSource:
    """Declared tables out of files, held in memory."""

    def __init__(
        self,
        reader: Reader,
        timeout_s: float = QUERY_TIMEOUT_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Remember what is declared; files are read at the first statement.

        Args:
            reader: Knows the files and how they are read.
            timeout_s: Longest time for one statement, in seconds.
            monotonic: The clock that measures it, in seconds.
        """
        self._reader = reader
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
            RecordsUnavailable: The files are unsound, or the statement was refused, too slow or not understood.
        """
        return self._current().reading.rows(statement, binds, limit, timeout_s)

    def stream(
        self, statement: Executable, binds: Mapping[str, object], timeout_s: float | None = None
    ) -> Iterator[list[Row]]:
        """Run one reading statement and give its rows in portions.

        Raises:
            RecordsUnavailable: The files are unsound, or the statement was refused, too slow or not understood.
        """
        yield from self._current().reading.stream(statement, binds, timeout_s)

    def columns(self, statement: Executable, binds: Mapping[str, object]) -> tuple[str, ...]:
        """Names of the columns that a statement yields.

        Raises:
            RecordsUnavailable: The files are unsound, or the statement was refused, too slow or not understood.
        """
        return self._current().reading.columns(statement, binds)

    def kinds(self, statement: Select[Any]) -> frozenset[str]:
        """Of which kinds the values of a statement's one column are.

        Raises:
            RecordsUnavailable: The files are unsound, or the statement was refused, too slow or not understood.
        """
        return self._current().reading.kinds(statement)

    def tables(self) -> Mapping[str, tuple[str, ...]]:
        """Tables with their columns.

        Raises:
            RecordsUnavailable: The files are unsound.
        """
        return self._current().reading.tables()

    def changed_ns(self) -> int:
        """When the *oldest* of the files was written, in nanoseconds since 1970: all else is at least as new.

        Raises:
            RecordsUnavailable: A file is missing.
        """
        return min(stamp[0] for stamp in self._stamp())

    def doubtful(self, person_ids: Collection[str]) -> bool:
        """Whether any of these numbers stands in a row that was only partly understood.

        Raises:
            RecordsUnavailable: The files are unsound.
        """
        doubtful = self._current().doubtful
        return any(person_id in doubtful for person_id in person_ids)

    def unreadable(self) -> Mapping[str, int]:
        """How many values were not of their declared type, by `table.column`.

        Raises:
            RecordsUnavailable: The files are unsound.
        """
        return self._current().unreadable

    def noted(self) -> Mapping[str, int]:
        """How many values were mended, or passed over, on the way in: `table.column: what` -> count.

        Raises:
            RecordsUnavailable: The files are unsound.
        """
        return self._current().noted

    def refuses_writes(self) -> bool:
        """Whether an attempt to write is refused.

        Raises:
            RecordsUnavailable: The files are unsound.
        """
        return self._current().reading.refuses_writes()

    def stops_slow(self) -> bool:
        """Whether a statement that takes too long is stopped.

        Raises:
            RecordsUnavailable: The files are unsound.
        """
        return self._current().reading.stops_slow()

    def account_may_write(self) -> bool:
        """Whether an account that stands between may change anything: there is none."""
        return False

    def close(self) -> None:
        """Forget every row."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        if self._loaded is not None:
            self._loaded.reading.close()
            self._loaded.keeper.close()
            self._loaded = None

    def _current(self) -> _Loaded:
        with self._lock:
            stamp = self._stamp()
            if self._loaded is None or self._loaded.stamp != stamp:
                self._forget()
                loaded = self._load(stamp)
                if self._stamp() != stamp:
                    loaded.keeper.close()
                    raise RecordsUnavailable("files", "A file changed while it was being read. Try again in a minute.")
                self._loaded = loaded
            return self._loaded

    def _stamp(self) -> tuple[tuple[int, int, int], ...]:
        found = []
        for file in self._reader.files():
            try:
                state = file.stat()
            except (OSError, ValueError):
                raise RecordsUnavailable("files", f"The file '{file.name}' is not in the folder.") from None
            if state.st_size > self._reader.largest:
                raise RecordsUnavailable(
                    "files", f"The file '{file.name}' is larger than {self._reader.largest} bytes."
                )
            found.append((state.st_mtime_ns, state.st_size, state.st_ino))
        return tuple(found)

    def _load(self, stamp: tuple[tuple[int, int, int], ...]) -> _Loaded:
        # A name beginning with / is shared by the connections of this process (https://www.sqlite.org/inmemorydb.html,
        # memdb VFS): one keeps the tables alive, and statements have another, which can only read.
        name = f"file:/accord-{next(_numbers)}?vfs=memdb"
        keeper = sqlite3.connect(name, uri=True, check_same_thread=False)
        try:
            filling = Filling(keeper)
            self._reader.fill(filling)
            keeper.commit()
        except BaseException:
            keeper.close()
            raise
        reading = ReadOnly(name + "&mode=ro", self._timeout_s, self._monotonic)
        return _Loaded(
            keeper, reading, stamp, dict(filling.unreadable), dict(filling.noted), frozenset(filling.doubtful)
        )


def listed(columns: Sequence[str]) -> str:
    """Names of columns for a message."""
    return " " + ", ".join(f"'{column[:64]}'" for column in columns[:40])


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


_Read = tuple[str | int | None, bool, str]
"""The value, whether it was understood, and what was mended ("" for nothing)."""


def _read(column: Column, cell: Cell) -> _Read:
    """A cell as its declared type. Empty is NULL, and understood."""
    if cell is None:
        return None, True, ""
    if isinstance(cell, str):
        text = cell.strip()
        value, understood, mended = _text(column, text)
        return value, understood, mended or ("spaces at the ends cut off" if text != cell and text else "")
    if isinstance(cell, bool):
        if column.type == "text":
            return str(cell).lower(), True, ""
        return (int(cell), True, "") if column.type == "boolean" else (None, False, "")
    if isinstance(cell, int | float):
        return _number(column, cell)
    if isinstance(cell, datetime.date):
        day = cell.date() if isinstance(cell, datetime.datetime) else cell
        if column.type == "text":
            return day.isoformat(), True, "date in a text column"
        return (day.isoformat(), True, "") if column.type == "date" else (None, False, "")
    if isinstance(cell, datetime.time) and column.type == "text":
        return cell.isoformat()[:8], True, ""
    return None, False, ""


def _text(column: Column, text: str) -> _Read:
    if text == "":
        return None, True, ""
    if column.type == "text":
        short = column.digits > len(text) and _INTEGER.match(text) and text.isdigit()
        return (text.zfill(column.digits), True, "leading zeros put back") if short else (text, True, "")
    if column.type == "integer":
        return (int(text), True, "") if _INTEGER.match(text) else (None, False, "")
    if column.type == "boolean":
        known = text.lower()
        return (int(known in _TRUE), True, "") if known in _TRUE | _FALSE else (None, False, "")
    day = read_date(text)
    return (None, False, "") if day is None else (day.isoformat(), True, "")


def _number(column: Column, number: float) -> _Read:
    """A cell that holds a number, as only spreadsheets have them."""
    if not abs(number) < _EXACT:
        return None, False, ""
    whole = int(number)
    if column.type == "date":
        # A date whose cell lost its date format, counted in days (ECMA-376 part 1, 18.17.4.1).
        if not DAYS[0] <= number < DAYS[1]:
            return None, False, ""
        return (DAY_ZERO + datetime.timedelta(days=whole)).isoformat(), True, "date kept as a number"
    if column.type == "text":
        if whole != number:
            return str(number), True, "number in a text column"
        value, _, mended = _text(column, str(whole))
        return value, True, mended or "number in a text column, leading zeros may be lost"
    if whole != number or (column.type == "boolean" and whole not in {0, 1}):
        return None, False, ""
    return whole, True, ""
