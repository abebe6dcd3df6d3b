"""Find the list of clients in the sheets of a spreadsheet: which sheet, and in which row the headings stand."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from agency_node.adapters.tables import Cell
from agency_node.quickstart.looks import POSTCODE, date_signs, printable, text
from agency_node.quickstart.meanings import Meaning, known
from agency_node.quickstart.understood import Doubt, Sheet, Told, Weight

MAX_COLUMNS: Final = 200
"""Columns looked at; a list of clients has a few dozen."""
TOP_ROWS: Final = 40
"""How many filled rows from the top may hold the headings; above them stand titles and notes."""


@dataclass(frozen=True, slots=True)
class Header:
    """The row of the headings.

    Attributes:
        number: Which row of the sheet, from 1.
        cells: What stands in it, "" for nothing.
        matches: How many different meanings its headings name.
    """

    number: int
    cells: tuple[str, ...]
    matches: int


def at(row: Sequence[Cell], place: int) -> Cell:
    """One cell of a row, which may end early."""
    return row[place] if place < len(row) else None


def body(sheet: Sheet, header: Header) -> Iterator[tuple[int, Sequence[Cell]]]:
    """The rows below the headings that are not empty, each with its number in the sheet."""
    for number, row in enumerate(sheet.rows[header.number :], header.number + 1):
        if any(map(text, row[:MAX_COLUMNS])):
            yield number, row


def _is_value(cell: Cell) -> bool:
    """Whether a cell is plainly data and no heading."""
    if cell is None or isinstance(cell, str):
        written = text(cell)
        return bool(
            POSTCODE.fullmatch(written)
            or date_signs([written]).dates
            or re.fullmatch(r"[0-9 +-]{2,}", written)
            or "@" in written
        )
    return True


def _heading_row(number: int, row: Sequence[Cell]) -> Header:
    cells = tuple(" ".join(text(cell).split()) for cell in row[:MAX_COLUMNS])
    meanings = {known(cell) for cell in cells if cell} - {None}
    several = sum(known(cell) is Meaning.ADDRESS for cell in cells) > 1
    return Header(number, cells, len(meanings) + several)


def find(sheets: Sequence[Sheet], told: Told) -> tuple[Sheet | None, Header | None, list[Doubt]]:
    """The sheet and the row with the headings."""
    if told.sheet:
        wanted = [sheet for sheet in sheets if sheet.name.strip().lower() == told.sheet.strip().lower()]
        if not wanted:
            named = ", ".join(f"'{printable(sheet.name)}'" for sheet in sheets[:20])
            return None, None, [Doubt("NO_SHEET", Weight.STOPS, "", f"There is no such sheet. Sheets there: {named}.")]
        sheets = wanted
    filled = [sheet for sheet in sheets if any(any(map(text, row)) for row in sheet.rows)]
    if not filled:
        return None, None, [Doubt("EMPTY", Weight.STOPS, "", "The spreadsheet is empty. Is it the right file?")]
    best: list[tuple[int, int, Sheet, Header]] = []
    for sheet in filled:
        header = _header(sheet, told.header_row)
        if header is not None:
            below = sum(1 for _ in body(sheet, header))
            best.append((min(header.matches, 12) if below else 0, below, sheet, header))
    if not best:
        return (
            filled[0],
            None,
            [
                Doubt(
                    "NO_HEADINGS",
                    Weight.STOPS,
                    "",
                    "No row of headings was found. Give every column a heading such as First name, Surname, Date of "
                    "birth, Postcode and Client ref, in one row above the clients, and run this again.",
                )
            ],
        )
    best.sort(key=lambda one: one[:2], reverse=True)
    _, below, sheet, header = best[0]
    doubts = []
    rivals = [one[2].name for one in best[1:] if one[0] >= max(3, best[0][0] - 1) and one[1]]
    if rivals and not told.sheet:
        named = ", ".join(f"'{printable(name)}'" for name in rivals[:10])
        doubts.append(
            Doubt(
                "WHICH_SHEET",
                Weight.ASKS,
                "",
                f"Clients may stand in more than one sheet: '{printable(sheet.name)}' and {named}. Only one is read; "
                "anybody in another would seem unknown. Put everybody into one sheet, or say which is right.",
            )
        )
    if not below:
        words = f"There are headings in row {header.number} and nobody below them. Is it the right file and sheet?"
        doubts.append(Doubt("NOBODY", Weight.STOPS, "", words))
    two = _second_header(sheet, header)
    if two:
        first, second = sorted((header.number, two))
        doubts.append(
            Doubt(
                "TWO_HEADER_ROWS",
                Weight.STOPS,
                "",
                f"Headings stand in two rows, {first} and {second}. Put every heading into one row, each in one cell "
                "(no merged cells), and run this again.",
            )
        )
    return sheet, header, doubts


def _header(sheet: Sheet, number: int) -> Header | None:
    if number:
        row = sheet.rows[number - 1] if number <= len(sheet.rows) else ()
        return _heading_row(number, row) if any(map(text, row)) else None
    rows = [(at, row) for at, row in enumerate(sheet.rows, 1) if any(map(text, row))][:TOP_ROWS]
    scored = [_heading_row(at, row) for at, row in rows if not any(map(_is_value, row))]
    if not scored:
        return None
    best = max(scored, key=lambda one: (one.matches, -one.number))
    if best.matches >= 2:
        return best
    # Headings that nobody knows: several different words above something that is data.
    for at, row in rows:
        words = [text(cell) for cell in row if text(cell)]
        below = sheet.rows[at] if at < len(sheet.rows) else ()
        if len(words) > 1 and len(set(words)) == len(words) and not any(map(_is_value, row)):
            return _heading_row(at, row) if any(_is_value(cell) for cell in below if text(cell)) else None
    return None


def _second_header(sheet: Sheet, header: Header) -> int:
    """Number of another row that holds headings, just above or below; 0 when there is none."""
    for at in (header.number - 1, header.number + 1):
        if not 1 <= at <= len(sheet.rows):
            continue
        row = sheet.rows[at - 1]
        other = _heading_row(at, row)
        extends = any(
            known(cell) not in {None, Meaning.UNUSED} and not (place < len(header.cells) and header.cells[place])
            for place, cell in enumerate(other.cells)
            if cell
        )
        if not any(map(_is_value, row)) and (extends or other.matches >= 3):
            return at
    return 0
