"""Read a folder of CSV files that an agency's system drops every night; small agencies have nothing else.

    declared columns -> files checked -> tables in memory (`tables`)

* RFC 4180 files (https://www.rfc-editor.org/rfc/rfc4180), UTF-8 with or without a byte order mark.
* Columns are declared with types in the mapping. A column that is missing, undeclared or named twice, or a row with
  too many or too few cells, refuses the whole drop: half a file must never read as "no" (T-LNK-5).
"""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agency_node.adapters import RecordsUnavailable
from agency_node.adapters.tables import Column, Filling, listed

MAX_FILE_BYTES: Final = 512 * 1024 * 1024
"""Largest file read into memory."""


@dataclass(frozen=True, slots=True)
class CsvTable:
    """One declared file.

    Attributes:
        file: File name inside the folder, no path.
        columns: Named as in the header.
    """

    file: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class CsvReader:
    """A folder of declared CSV files: table name -> file."""

    folder: Path
    tables: Mapping[str, CsvTable]

    @property
    def largest(self) -> int:
        """Most bytes that one file may have."""
        return MAX_FILE_BYTES

    def files(self) -> Sequence[Path]:
        """The declared files."""
        return [self.folder / table.file for table in self.tables.values()]

    def fill(self, filling: Filling) -> None:
        """Read each file.

        Raises:
            RecordsUnavailable: A file is unsound; the message names the file and line, never a value.
        """
        for name, table in self.tables.items():
            filling.table(name, table.columns)
            _fill(filling, table, self.folder / table.file)


def _fill(filling: Filling, table: CsvTable, path: Path) -> None:
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
    try:
        header = [cell.strip() for cell in next(reader, [])]
        _check_header(table, header)
        order = [header.index(column.name) for column in table.columns]
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise RecordsUnavailable(
                    "files",
                    f"The file '{table.file}' has {len(cells)} cells in line {reader.line_num} where its header has "
                    f"{len(header)}. It may have been copied only in part.",
                )
            filling.row([cells[position] for position in order])
    except csv.Error:
        raise RecordsUnavailable(
            "files",
            f"The file '{table.file}' is not a sound CSV file near line {reader.line_num}; look for a stray quote.",
        ) from None


def _lines(text: str) -> list[str]:
    """Split at CR LF, LF or CR only: other line separators may stand inside a quoted cell."""
    return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z", text)


def _check_header(table: CsvTable, header: list[str]) -> None:
    declared = [column.name for column in table.columns]
    missing = [column for column in declared if column not in header]
    twice = sorted({column for column in header if header.count(column) > 1})
    undeclared = [column for column in header if column not in declared]
    if len(missing) == len(declared):
        # The first line may be a record; it must not stand in a message.
        raise RecordsUnavailable(
            "files",
            f"The first line of the file '{table.file}' has none of the declared columns{listed(declared)}. "
            "Export it with its header.",
        )
    if missing:
        raise RecordsUnavailable(
            "files",
            f"The file '{table.file}' lacks the declared column{listed(missing)}. Columns there:{listed(header)}.",
        )
    if twice:
        raise RecordsUnavailable("files", f"The file '{table.file}' names a column twice:{listed(twice)}.")
    if undeclared:
        raise RecordsUnavailable(
            "files",
            f"The file '{table.file}' has a column that the mapping does not declare:{listed(undeclared)}. Declare it, "
            "or leave it out of the export: a node should be given no more than it needs.",
        )
