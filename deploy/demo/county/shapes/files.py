"""Putting rows into files: an SQLite database, comma-separated values, a spreadsheet. Never over what is there."""

import csv
import io
import sqlite3
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Final

import openpyxl
from openpyxl.cell import WriteOnlyCell

_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a ZIP archive can note (PKWARE APPNOTE 4.4.6); the same bytes whenever they are written."""

Cell = str | int | date | None


def british(day: date) -> str:
    """09/03/2013."""
    return f"{day.day:02d}/{day.month:02d}/{day.year:04d}"


@contextmanager
def database(file: Path, ddl: str) -> Iterator[sqlite3.Connection]:
    """A new database with these tables, which is saved at the end.

    Raises:
        FileExistsError: There is one already.
    """
    refuse_to_write_over(file)
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(ddl)
        yield connection
        connection.commit()


def write_csv(file: Path, heading: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A file of comma-separated values with a heading (RFC 4180, https://www.rfc-editor.org/rfc/rfc4180).

    Raises:
        FileExistsError: There is one already.
    """
    refuse_to_write_over(file)
    with file.open("x", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(heading)
        writer.writerows(rows)


def write_xlsx(file: Path, sheets: Mapping[str, Iterable[Sequence[Cell]]], made_on: date) -> None:
    """A spreadsheet; dates become real dates, shown the British way. The same rows make the same bytes.

    Args:
        file: Where.
        sheets: Name on the tab -> rows, headings and titles among them.
        made_on: What the file says of its own age.

    Raises:
        FileExistsError: There is one already.
    """
    refuse_to_write_over(file)
    book = openpyxl.Workbook(write_only=True)
    book.properties.created = book.properties.modified = _midnight(made_on)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            cells = [WriteOnlyCell(sheet, _midnight(cell) if isinstance(cell, date) else cell) for cell in row]
            for cell in cells:
                if isinstance(cell.value, datetime):
                    cell.number_format = "DD/MM/YYYY"
            sheet.append(cells)
    written = io.BytesIO()
    book.save(written)
    with zipfile.ZipFile(written) as before, zipfile.ZipFile(file, "x", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            data = before.read(name)
            if name == "docProps/core.xml":
                # The library notes the moment of saving in here, whatever it is told.
                data = _unsaved(data, made_on)
            after.writestr(zipfile.ZipInfo(name, _ZIP_TIME), data, zipfile.ZIP_DEFLATED)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001  a spreadsheet knows no time zones


def _unsaved(core: bytes, made_on: date) -> bytes:
    start, end = core.index(b"<dcterms:modified"), core.index(b"</dcterms:modified>")
    begun = core.index(b">", start) + 1
    return core[:begun] + f"{made_on.isoformat()}T00:00:00Z".encode() + core[end:]


def refuse_to_write_over(*files: Path) -> None:
    """Keep what is there.

    Raises:
        FileExistsError: One of the files is there already.
    """
    for file in files:
        if file.exists():
            raise FileExistsError(f"{file.name} is there already; write into an empty folder")
