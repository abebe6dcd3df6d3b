"""Read a whole spreadsheet, every sheet and cell, so that it can be understood before anything is declared about it.

    .xlsx -> archive bounded -> every sheet        .csv -> encoding and separator found -> one sheet

Nothing read here answers a question: that is done by what the mapping declares (`xlsx`). What is read is let go as soon
as the columns are understood. Bounds and refusals are those of `xlsx`.
"""

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agency_node.adapters import RecordsUnavailable, csv_list
from agency_node.adapters import xlsx as declared
from agency_node.adapters.tables import Cell

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
    if file.suffix.lower() in csv_list.ENDINGS:
        return [("", csv_list.rows(data, file.name))]
    if file.suffix.lower() != ".xlsx":
        raise _unsound(
            f"The file '{file.name}' is neither .xlsx nor .csv. Open it in your spreadsheet program, and save it as "
            "'Excel workbook (.xlsx)'."
        )
    return _workbook(data, file.name)


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
        # Hidden ones too: closed cases are often put out of sight, and whoever is only there would seem unknown.
        return [(str(sheet.title), _rows(sheet)) for sheet in book.worksheets]
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
