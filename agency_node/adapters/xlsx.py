"""Read a spreadsheet that a small organisation keeps its records in, as it lies there.

    declared headings -> archive bounded -> cells (openpyxl, read-only) -> tables in memory (`tables`)

A spreadsheet (ECMA-376, https://ecma-international.org/publications-and-standards/standards/ecma-376/) says less about
its values than a database does. What is lost or doubtful is handled here, counted, and told by `mapping check`:

* A formula never calculated, an error such as #N/A and an over-long text are unreadable, and so is their row doubtful.
* A cell merged over several rows counts for each of them, as it looks on the screen. One merged over several columns
  counts for the first, and makes the others unreadable; in the heading it refuses the sheet.
* Blank rows are passed over. Columns that the mapping does not declare are never read into memory.
* Entities in the XML are refused (defusedxml), and so are archives that would unpack to far more than they are.
"""

import datetime
import io
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from agency_node import keys
from agency_node.adapters import RecordsUnavailable
from agency_node.adapters.tables import Cell, Column, Digest, Filling, Unread, listed

MAX_FILE_BYTES: Final = 32 * 1024 * 1024
MAX_UNPACKED_BYTES: Final = 256 * 1024 * 1024
MAX_SHEETS: Final = 64
MAX_ROWS: Final = 200_000
"""Most filled rows of one sheet."""
MAX_COLUMNS: Final = 256
MAX_CELL_CHARS: Final = 4_000
MAX_MERGED: Final = 20_000
LAST_ROW: Final = 1_048_576
"""Rows that a sheet can have (https://support.microsoft.com/office/excel-specifications-and-limits)."""
MAX_HEADER_ROW: Final = 100

_SHEET: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_ERRORS: Final = frozenset(
    # Error values (ECMA-376 part 1, 18.18.11 ST_CellType "e"; later ones as Excel writes them).
    {"#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A", "#GETTING_DATA", "#SPILL!", "#CALC!"}
)
_FROM_1904: Final = 1_462
"""Days between the two ways to count them (ECMA-376 part 1, 18.17.4.1)."""
_UNREAD: Final = Unread()
Merged = tuple[int, int, int, int]
"""First column, first row, last column, last row; each from 1."""


@dataclass(frozen=True, slots=True)
class SheetTable:
    """One declared sheet.

    Attributes:
        sheet: Its name on the tab.
        columns: Heading, with single spaces -> column.
        header_row: In which row the headings stand, from 1.
        digest: What numbers its rows, where they have no numbers.
    """

    sheet: str
    columns: Mapping[str, Column]
    header_row: int = 1
    digest: Digest | None = None

    def numbering(self, folder: Path) -> tuple[Digest, bytes] | None:
        """What numbers its rows, with its key.

        Raises:
            RecordsUnavailable: The key cannot be read.
        """
        if self.digest is None:
            return None
        try:
            return self.digest, keys.read_secret(folder / self.digest.key_file)
        except keys.BadFile as error:
            raise _unsound(f"{error}. Without the key that numbers its rows, the list cannot be read.") from None


@dataclass(frozen=True, slots=True)
class XlsxReader:
    """A spreadsheet file with declared sheets: table name -> sheet. Key files count from `folder`."""

    file: Path
    tables: Mapping[str, SheetTable]
    folder: Path = Path()

    @property
    def largest(self) -> int:
        """Most bytes that the file may have."""
        return MAX_FILE_BYTES

    def files(self) -> Sequence[Path]:
        """The one file."""
        return [self.file]

    def fill(self, filling: Filling) -> None:
        """Read each sheet.

        Raises:
            RecordsUnavailable: The file is unsound; the message names sheet and place, never a value.
        """
        name = self.file.name
        try:
            data = self.file.read_bytes()
        except OSError:
            raise _unsound(f"The file '{name}' cannot be read.") from None
        try:
            _bounded(data, name)
            # Its warnings name cells and their values.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._read(data, filling)
        except RecordsUnavailable:
            raise
        except Exception:  # noqa: BLE001 - what a library says of a damaged file is of any kind, and may quote a value
            raise _unsound(
                f"The file '{name}' is not a sound spreadsheet. Open it in your spreadsheet program and save it again "
                "as .xlsx, without a password."
            ) from None

    def _read(self, data: bytes, filling: Filling) -> None:
        import openpyxl  # not everybody keeps records in a spreadsheet, and it is slow to load

        if not openpyxl.DEFUSEDXML:
            raise _unsound(
                "Reading spreadsheets safely is switched off. Remove OPENPYXL_DEFUSEDXML from the environment."
            )
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        try:
            if len(book.sheetnames) > MAX_SHEETS:
                raise _unsound(f"The file '{self.file.name}' has more than {MAX_SHEETS} sheets.")
            worksheets = {sheet.title: sheet for sheet in book.worksheets}
            for name, table in self.tables.items():
                if table.sheet not in worksheets:
                    raise _unsound(
                        f"The file '{self.file.name}' has no sheet '{table.sheet[:64]}'. "
                        f"Sheets there:{listed(list(worksheets))}."
                    )
                filling.table(name, tuple(table.columns.values()), table.numbering(self.folder))
                _fill(filling, table, worksheets[table.sheet], book.epoch)
        finally:
            book.close()


def _unsound(message: str) -> RecordsUnavailable:
    return RecordsUnavailable("files", message)


def _bounded(data: bytes, name: str) -> None:
    """Refuse what is no archive, or would unpack to too much."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile:
        raise _unsound(
            f"The file '{name}' is not an .xlsx file, or has a password. "
            "Save it as 'Excel workbook (.xlsx)' without one."
        ) from None
    if unpacked > MAX_UNPACKED_BYTES:
        raise _unsound(f"The file '{name}' unpacks to more than {MAX_UNPACKED_BYTES} bytes.")


@dataclass(slots=True)
class _Scan:
    """What the cells themselves do not tell.

    Attributes:
        uncalculated: Row and column of formulas without a value.
        merged: Cells merged into one.
    """

    uncalculated: set[tuple[int, int]] = field(default_factory=set)
    merged: list[Merged] = field(default_factory=list)


def _scan(source: Any) -> _Scan:
    """Look through a sheet's XML for what openpyxl's read-only cells leave out."""
    from defusedxml.ElementTree import iterparse
    from openpyxl.utils.cell import coordinate_to_tuple, range_boundaries

    found = _Scan()
    row = column = 0
    for event, element in iterparse(source, events=("start", "end"), forbid_dtd=True):
        if event == "start":
            if element.tag == _SHEET + "row":
                row, column = int(element.get("r", row + 1)), 0
            continue
        if element.tag == _SHEET + "c":
            place = element.get("r")
            row, column = coordinate_to_tuple(place) if place else (row, column + 1)
            value = element.find(_SHEET + "v")
            # A formula whose result is an empty text has a value of type "str" with nothing in it.
            had = value is not None and (value.text or element.get("t") == "str")
            if element.find(_SHEET + "f") is not None and not had:
                found.uncalculated.add((row, column))
        elif element.tag == _SHEET + "row":
            element.clear()
        elif element.tag == _SHEET + "mergeCell":
            left, top, right, bottom = range_boundaries(element.get("ref"))
            found.merged.append((int(left or 1), int(top or 1), int(right or LAST_ROW), int(bottom or LAST_ROW)))
            if len(found.merged) > MAX_MERGED:
                raise _unsound(f"A sheet has more than {MAX_MERGED} merged cells.")
    return found


def _fill(filling: Filling, table: SheetTable, sheet: Any, epoch: datetime.datetime) -> None:
    # The private name is the only way to a sheet's own XML; tests read it with the pinned version.
    with sheet._get_source() as source:
        scan = _scan(source)
    sheet.reset_dimensions()  # what a file says of its own size need not be true
    order: list[int] = []
    blank = filled = blank_since = 0
    merges = _Merges(scan.merged, table.header_row)
    shift = _FROM_1904 if epoch.year == 1904 else 0
    for number, row in _rows(table, sheet):
        if number < table.header_row:
            continue
        if number == table.header_row:
            order = _order(filling, table, row, scan.merged)
            continue
        cells = [
            merges.seen(number, place, _cell(row, number, place, scan, shift if column.type == "date" else 0))
            for place, column in zip(order, table.columns.values(), strict=True)
        ]
        if all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in cells):
            blank_since += 1
            continue
        blank, blank_since, filled = blank + blank_since, 0, filled + 1
        if filled > MAX_ROWS:
            raise _unsound(f"The sheet '{table.sheet[:64]}' has more than {MAX_ROWS} rows.")
        filling.row(cells)
    if not order:
        raise _no_headings(table)
    filling.note("blank rows passed over", blank)
    filling.note("merged cells read as they look", merges.used)


def _rows(table: SheetTable, sheet: Any) -> Iterator[tuple[int, tuple[Any, ...]]]:
    for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
        if number > LAST_ROW or len(row) > MAX_COLUMNS:
            raise _unsound(
                f"The sheet '{table.sheet[:64]}' has more than {LAST_ROW} rows or {MAX_COLUMNS} columns. "
                "Delete what lies beside and below the records."
            )
        yield number, row


def _cell(row: tuple[Any, ...], number: int, place: int, scan: _Scan, shift: int) -> Cell:
    """One cell as the reader of tables takes it; `place` counts from 1, and `shift` days are added to a bare number."""
    value = row[place - 1] if place <= len(row) else None
    if (number, place) in scan.uncalculated:
        return _UNREAD
    if isinstance(value, str) and (len(value) > MAX_CELL_CHARS or value in _ERRORS):
        return _UNREAD
    if shift and isinstance(value, int | float) and not isinstance(value, bool):
        return value + shift
    if value is None or isinstance(value, str | int | float | datetime.date | datetime.time | datetime.timedelta):
        return value
    return _UNREAD


class _Merges:
    """Cells merged below the headings: the first row's value counts for all, other columns have none."""

    def __init__(self, merged: Sequence[Merged], header_row: int) -> None:
        self._by_column: dict[int, list[Merged]] = {}
        for one in merged:
            if one[3] > header_row:
                for column in range(one[0], min(one[2], MAX_COLUMNS) + 1):
                    self._by_column.setdefault(column, []).append(one)
        self._values: dict[Merged, Cell] = {}
        self.used = 0

    def seen(self, row: int, column: int, cell: Cell) -> Cell:
        for one in self._by_column.get(column, ()):
            left, top, _, bottom = one
            if not top <= row <= bottom:
                continue
            if column != left:
                return _UNREAD
            if row == top:
                self._values[one] = cell
                return cell
            self.used += 1
            return self._values.get(one)
        return cell


def _order(filling: Filling, table: SheetTable, row: tuple[Any, ...], merged: Sequence[Merged]) -> list[int]:
    """Where each declared column stands, from 1."""
    headings = [" ".join(str(cell).split()) if cell is not None else "" for cell in row]
    missing = [heading for heading in table.columns if heading not in headings]
    twice = [heading for heading in table.columns if headings.count(heading) > 1]
    if len(missing) == len(table.columns):
        raise _no_headings(table)
    if missing:
        raise _unsound(
            f"The sheet '{table.sheet[:64]}' lacks the declared heading{listed(missing)}. "
            f"Headings there:{listed([heading for heading in headings if heading])}."
        )
    if twice:
        raise _unsound(f"The sheet '{table.sheet[:64]}' has a heading twice:{listed(twice)}.")
    order = [headings.index(heading) + 1 for heading in table.columns]
    for left, top, right, bottom in merged:
        if top <= table.header_row <= bottom and right > left and any(left <= place <= right for place in order):
            raise _unsound(
                f"In the sheet '{table.sheet[:64]}' the heading '{headings[left - 1][:64]}' is merged over several "
                "columns. Split it, and give each column its own heading."
            )
    filling.note("columns not declared, and not read", sum(1 for heading in headings if heading) - len(order))
    return order


def _no_headings(table: SheetTable) -> RecordsUnavailable:
    # What stands in that row may be a record; it must not stand in a message.
    return _unsound(
        f"Row {table.header_row} of the sheet '{table.sheet[:64]}' has none of the declared headings"
        f"{listed(list(table.columns))}. Say in header_row in which row the headings stand."
    )
