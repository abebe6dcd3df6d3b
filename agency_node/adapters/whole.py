"""Read a whole spreadsheet, every sheet and cell, so that it can be understood before anything is declared about it.

    .xlsx -> archive bounded -> every sheet that is shown        .csv -> encoding and separator found -> one sheet

Nothing read here answers a question: that is done by what the mapping declares (`xlsx`). What is read is let go as soon
as the columns are understood. Bounds and refusals are those of `xlsx`.
"""

import csv
import io
import statistics
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from agency_node.adapters import RecordsUnavailable
from agency_node.adapters import xlsx as declared
from agency_node.adapters.tables import Cell

TEXTS: Final = frozenset({".csv", ".txt", ".tsv"})
"""Endings of files that are one sheet of text."""
SEPARATORS: Final = ",;\t|"
"""What programs write between the cells; Excel writes a semicolon where a comma stands in numbers."""
_ENCODINGS: Final = ("utf-8-sig", "cp1252")
"""As Excel saves: 'CSV UTF-8' with a byte order mark, and plain 'CSV' in the encoding of Windows (windows-1252)."""
_TRIED: Final = 50
"""Lines from the top by which the separator is found."""

Rows = Sequence[Sequence[Cell]]


def read(file: Path) -> list[tuple[str, Rows]]:
    """Every sheet of a spreadsheet: its name and its rows from the first, empty ones too.

    Raises:
        RecordsUnavailable: It cannot be read, is no spreadsheet, or is larger than the bounds; no value is named.
    """
    try:
        if file.stat().st_size > declared.MAX_FILE_BYTES:
            raise _unsound(f"The file '{file.name}' is larger than {declared.MAX_FILE_BYTES} bytes.")
        data = file.read_bytes()
    except OSError as error:
        raise _unsound(f"The file '{file.name}' cannot be read: {error.strerror}.") from None
    if file.suffix.lower() in TEXTS:
        return [("", text_rows(data, file.name)[0])]
    if file.suffix.lower() != ".xlsx":
        raise _unsound(
            f"The file '{file.name}' is neither .xlsx nor .csv. Open it in your spreadsheet program, and save it as "
            "'Excel workbook (.xlsx)'."
        )
    return _workbook(data, file.name)


def text_rows(data: bytes, name: str) -> tuple[list[list[str]], str]:
    """The rows of a file of text, and what separates its cells.

    Raises:
        RecordsUnavailable: It is no such file.
    """
    if b"\x00" in data:
        raise _unsound(f"The file '{name}' holds zero bytes; save it as 'CSV UTF-8 (comma delimited)'.")
    text = ""
    for encoding in _ENCODINGS:
        try:
            text = data.decode(encoding)
            break
        except UnicodeDecodeError:
            if encoding == _ENCODINGS[-1]:
                raise _unsound(f"The file '{name}' is not text; save it as 'CSV UTF-8 (comma delimited)'.") from None
    try:
        separator = max(SEPARATORS, key=lambda one: _width(text, one))
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error:
        raise _unsound(f"The file '{name}' is not a sound CSV file; look for a stray quotation mark.") from None
    if len(rows) > declared.MAX_ROWS:
        raise _unsound(f"The file '{name}' has more than {declared.MAX_ROWS} rows.")
    return rows, separator


def _width(text: str, separator: str) -> float:
    """How many cells a line usually has if this separates them."""
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    widths = [len(cells) for cells, _ in zip(lines, range(_TRIED), strict=False) if cells]
    return statistics.median(widths) if widths else 0.0


def _workbook(data: bytes, name: str) -> list[tuple[str, Rows]]:
    try:
        declared._bounded(data, name)
        # Its warnings name cells and their values.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _sheets(data, name)
    except RecordsUnavailable:
        raise
    except Exception:  # noqa: BLE001 - what a library says of a damaged file is of any kind, and may quote a value
        raise _unsound(
            f"The file '{name}' is not a sound spreadsheet. Open it in your spreadsheet program and save it again as "
            ".xlsx, without a password."
        ) from None


def _sheets(data: bytes, name: str) -> list[tuple[str, Rows]]:
    import openpyxl

    if not openpyxl.DEFUSEDXML:
        raise _unsound("Reading spreadsheets safely is switched off. Remove OPENPYXL_DEFUSEDXML from the environment.")
    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
    try:
        if len(book.sheetnames) > declared.MAX_SHEETS:
            raise _unsound(f"The file '{name}' has more than {declared.MAX_SHEETS} sheets.")
        return [(str(sheet.title), _rows(sheet)) for sheet in book.worksheets if sheet.sheet_state == "visible"]
    finally:
        book.close()


def _rows(sheet: Any) -> list[list[Cell]]:
    with sheet._get_source() as source:
        scan = declared._scan(source)
    sheet.reset_dimensions()
    rows: list[list[Cell]] = []
    filled = 0
    for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
        cells = [
            declared._cell(row, number, place, scan, 0) for place in range(1, min(len(row), declared.MAX_COLUMNS) + 1)
        ]
        filled += any(cell is not None for cell in cells)
        if filled > declared.MAX_ROWS or number > declared.LAST_ROW:
            raise _unsound(f"The sheet '{str(sheet.title)[:64]}' has more than {declared.MAX_ROWS} rows.")
        rows.append(cells)
    for left, top, right, bottom in scan.merged:
        # As it looks on the screen: one value for several rows.
        if left == right and top <= len(rows) and left <= len(rows[top - 1]):
            for row_below in rows[top : min(bottom, len(rows))]:
                row_below.extend([None] * (left - len(row_below)))
                row_below[left - 1] = rows[top - 1][left - 1]
    return rows


def _unsound(message: str) -> RecordsUnavailable:
    return RecordsUnavailable("files", message)
