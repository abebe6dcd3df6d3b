"""Read a list that an office saved as CSV: like one sheet of a spreadsheet, and not like a system's nightly extract.

    encoding and separator found -> declared headings -> tables in memory (`tables`)

* Excel writes commas or, where a comma stands in numbers, semicolons; UTF-8 with a byte order mark, or the encoding of
  Windows. All of them are read, and the separator is found by the lines themselves.
* Headings are declared as for `xlsx`, and columns that are not declared are not used.
* A row with fewer cells than the headings, or more, refuses the list: it may have been copied only in part, or a comma
  inside a cell moved the rest along, and whoever stands in it must never read as "no" (T-LNK-5).
"""

import codecs
import csv
import io
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agency_node.adapters import RecordsUnavailable
from agency_node.adapters.tables import Filling, listed
from agency_node.adapters.xlsx import MAX_FILE_BYTES, MAX_ROWS, SheetTable

ENDINGS: Final = frozenset({".csv", ".txt", ".tsv"})
"""Endings of files that are lists of text."""
SEPARATORS: Final = ",;\t|"
"""What programs write between the cells."""
_ENCODINGS: Final = ("utf-8-sig", "cp1252")
"""As Excel saves: 'CSV UTF-8' with a byte order mark, and plain 'CSV' in the encoding of Windows (windows-1252)."""
_UTF8_LETTER: Final = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}")
"""A letter as UTF-8 has it (RFC 3629 section 4); in a text of windows-1252 it would be a letter before a sign."""
_TRIED: Final = 50
"""Lines from the top by which the separator is found."""


@dataclass(frozen=True, slots=True)
class ListReader:
    """A file of text that is one list. Key files count from `folder`."""

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
        """Read the list.

        Raises:
            RecordsUnavailable: The file is unsound; the message names file and place, never a value.
        """
        try:
            found = rows(self.file.read_bytes(), self.file.name)
        except OSError:
            raise _unsound(f"The file '{self.file.name}' cannot be read.") from None
        for name, table in self.tables.items():
            filling.table(name, tuple(table.columns.values()), table.numbering(self.folder))
            self._fill(filling, table, found)

    def _fill(self, filling: Filling, table: SheetTable, found: Sequence[Sequence[str]]) -> None:
        above = found[table.header_row - 1] if table.header_row <= len(found) else ()
        headings = [" ".join(cell.split()) for cell in above]
        missing = [heading for heading in table.columns if heading not in headings]
        twice = [heading for heading in table.columns if headings.count(heading) > 1]
        if missing or twice:
            # What stands in that row may be a record; it must not stand in a message.
            what = f"lacks the declared heading{listed(missing)}" if missing else f"has a heading twice:{listed(twice)}"
            raise _unsound(f"Row {table.header_row} of the file '{self.file.name}' {what}.")
        order = [headings.index(heading) for heading in table.columns]
        for number, cells in enumerate(found[table.header_row :], table.header_row + 1):
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) < len(headings):
                raise _unsound(
                    f"The file '{self.file.name}' has {len(cells)} cells in row {number} where its headings are "
                    f"{len(headings)}. It may have been copied only in part."
                )
            if len(cells) > len(headings):
                raise _unsound(
                    f"The file '{self.file.name}' has {len(cells)} cells in row {number} where its headings are "
                    f"{len(headings)}. A separator may stand inside a cell: have your spreadsheet program save the "
                    "list again. If there is a column without a heading, give it one."
                )
            if any(cells[place].strip() for place in order):
                filling.row([cells[place] for place in order])
        filling.note("columns not declared, and not read", sum(map(bool, headings)) - len(order))


def rows(data: bytes, name: str) -> list[list[str]]:
    """The rows of a file of text.

    Raises:
        RecordsUnavailable: It is no such file.
    """
    if b"\x00" in data:
        raise _unsound(f"The file '{name}' holds zero bytes; save it as 'CSV UTF-8 (comma delimited)'.")
    text = _decoded(data, name)
    try:
        separator = max(SEPARATORS, key=lambda one: _width(text, one))
        found = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error:
        raise _unsound(f"The file '{name}' is not a sound CSV file; look for a stray quotation mark.") from None
    if len(found) > MAX_ROWS:
        raise _unsound(f"The file '{name}' has more than {MAX_ROWS} rows.")
    return found


def _decoded(data: bytes, name: str) -> str:
    for encoding in _ENCODINGS:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding == "cp1252" and (data.startswith(codecs.BOM_UTF8) or _UTF8_LETTER.search(data)):
            # Read as Windows's, every other accented name in it would be spoilt, and its owner not be found.
            raise _unsound(
                f"The file '{name}' mixes two encodings, so accented names in it would be spoilt; open it in your "
                "spreadsheet program and save it as 'CSV UTF-8 (comma delimited)'."
            )
        return text
    raise _unsound(f"The file '{name}' is not text; save it as 'CSV UTF-8 (comma delimited)'.")


def _width(text: str, separator: str) -> float:
    """How many cells a line usually has if this separates them."""
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    widths = [len(cells) for cells, _ in zip(lines, range(_TRIED), strict=False) if cells]
    return statistics.median(widths) if widths else 0.0


def _unsound(message: str) -> RecordsUnavailable:
    return RecordsUnavailable("files", message)
