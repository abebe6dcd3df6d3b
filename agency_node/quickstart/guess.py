"""Guess what each column means: by its heading, held against its values, or by the values alone."""

import datetime
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from agency_node.adapters.tables import Cell
from agency_node.quickstart.doubts import judged
from agency_node.quickstart.looks import CLOSED, FEW, MOST, OPEN, Looks, looks, printable, text
from agency_node.quickstart.meanings import DATES, Meaning, known, plain_name, readable
from agency_node.quickstart.table import MAX_COLUMNS, Header, at, body, find
from agency_node.quickstart.understood import (
    Column,
    Doubt,
    Guess,
    Sheet,
    Told,
    Weight,
    letter,
    named,
)


def guess(sheets: Sequence[Sheet], today: datetime.date, told: Told | None = None) -> Guess:
    """Understand a spreadsheet as far as it goes; what does not is a doubt.

    Args:
        sheets: Every sheet, in their order.
        today: The day.
        told: What a person said; it wins.
    """
    told = told or Told()
    chosen, header, doubts = find(sheets, told)
    if header is None or chosen is None:
        return Guess(chosen.name if chosen else "", 0, 0, 0, (), tuple(doubts))
    rows = list(body(chosen, header))
    plain = header.matches >= 2 or bool(told.header_row)
    columns = _columns(header, [row for _, row in rows], today, plain)
    columns = _unlike(_claimed(columns, doubts))
    columns = _corrected(columns, told, doubts)
    # As the loader has it: a row with nothing in the columns that are used is no client.
    used = [column.place for column in columns if column.meaning is not Meaning.UNUSED]
    rows = [(number, row) for number, row in rows if any(text(at(row, place)) for place in used)] if used else rows
    columns = tuple(_counted(column, [at(row, column.place) for _, row in rows], today) for column in columns)
    last = rows[-1][0] if rows else header.number
    found = Guess(
        sheet=chosen.name,
        header_row=header.number,
        people=len(rows),
        blanks=max(0, last - header.number - len(rows)),
        columns=columns,
        doubts=(),
        openings=_openings(columns, [row for _, row in rows], told),
    )
    if any(doubt.weight is Weight.STOPS for doubt in doubts):
        # Columns below headings that are not understood say nothing worth reading.
        return replace(found, doubts=tuple(doubt for doubt in doubts if doubt.weight is Weight.STOPS))
    doubts += judged(found, rows, told)
    if not plain:
        doubts.insert(
            0,
            Doubt(
                "HEADINGS_UNSURE",
                Weight.ASKS,
                "",
                f"Row {header.number} may be the headings, but none of them is one that we know. If it is, say what "
                "each column is; if not, give every column a heading in the spreadsheet, and run this again.",
            ),
        )
    return replace(found, doubts=tuple(doubts))


def _columns(header: Header, rows: Sequence[Sequence[Cell]], today: datetime.date, plain: bool) -> tuple[Column, ...]:
    width = min(MAX_COLUMNS, max((len(row) for row in (header.cells, *rows)), default=0))
    found = []
    for place in range(width):
        heading = header.cells[place] if place < len(header.cells) else ""
        seen = looks([at(row, place) for row in rows], today)
        if not heading and not seen.filled:
            continue
        label = printable(heading) if plain and heading else f"column {letter(place)}"
        found.append(_meant(Column(place, label, heading, seen, Meaning.UNUSED, True, "")))
    return tuple(found)


def _meant(column: Column) -> Column:
    """The meaning by the heading, held against the values; or by the values alone."""
    seen, by_heading = column.looks, known(column.heading)
    if by_heading is not None:
        return replace(column, meaning=by_heading, sure=_agrees(by_heading, seen), why="heading")
    by_values = _by_values(seen)
    if by_values is None or not column.heading:
        return column
    return replace(column, meaning=by_values, sure=by_values in {Meaning.NHS, Meaning.POSTCODE}, why="values")


def _agrees(meaning: Meaning, seen: Looks) -> bool:
    """Whether the values do not speak against the heading. An empty column speaks against nothing."""
    if not seen.filled:
        return True
    if meaning in DATES:
        return seen.dates.dates + seen.dates.counted >= MOST * seen.filled
    if meaning is Meaning.POSTCODE:
        return seen.postcodes * 2 >= seen.filled
    if meaning is Meaning.NHS:
        return seen.nhs * 2 >= seen.filled
    if meaning in {Meaning.FIRST, Meaning.LAST, Meaning.FULL}:
        return not (seen.dates.dates + seen.postcodes) * 2 >= seen.filled
    if meaning is Meaning.STATUS:
        return seen.distinct <= max(FEW, 20) and not seen.dates.dates * 2 >= seen.filled
    if meaning is Meaning.SEX:
        return seen.sexes * 2 >= seen.filled
    if meaning is Meaning.WITHHELD:
        return seen.mostly(seen.truths) or seen.truths == seen.filled
    return True


def _by_values(seen: Looks) -> Meaning | None:
    for meaning, count in (
        (Meaning.NHS, seen.nhs),
        (Meaning.POSTCODE, seen.postcodes),
        (Meaning.SEX, seen.sexes),
    ):
        if seen.mostly(count) and (meaning is not Meaning.SEX or seen.distinct <= 6):
            return meaning
    if seen.mostly(seen.dates.dates):
        # A column of birth dates goes back decades; one of contacts does not.
        return Meaning.LAST_SEEN if seen.recent >= MOST * seen.filled else Meaning.BORN
    if seen.mostly(seen.status) and seen.truths * 2 < seen.filled:
        return Meaning.STATUS
    return None


_SEVERAL: Final = frozenset({Meaning.ADDRESS, Meaning.UNUSED})


def _claimed(columns: tuple[Column, ...], doubts: list[Doubt]) -> tuple[Column, ...]:
    """One column for each meaning: those that a heading claims come first, then the fullest."""
    kept: dict[Meaning, Column] = {}
    for column in sorted(columns, key=lambda one: (one.why != "heading", not one.sure, -one.looks.filled)):
        if column.meaning in _SEVERAL:
            continue
        first = kept.setdefault(column.meaning, column)
        if first is not column and first.why == column.why:
            doubts.append(
                Doubt(
                    "TWO_COLUMNS",
                    Weight.ASKS if column.looks.filled else Weight.TELLS,
                    column.label,
                    f"'{first.label}' and '{column.label}' both look like {plain_name(column.meaning)}. "
                    f"'{first.label}' was taken; if that is wrong, say what each is.",
                )
            )
    return tuple(
        column
        if column.meaning in _SEVERAL or kept[column.meaning] is column
        else replace(column, meaning=Meaning.UNUSED, sure=True)
        for column in columns
    )


def _unlike(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Drop a full name where first and last name stand by themselves, and a first without a last."""
    have = {column.meaning for column in columns}
    if {Meaning.FIRST, Meaning.LAST, Meaning.FULL} <= have:
        drop = {Meaning.FULL}
    elif {Meaning.LAST, Meaning.FULL} <= have:
        # "Name" beside "Surname" is the first name.
        return tuple(
            replace(column, meaning=Meaning.FIRST, sure=False) if column.meaning is Meaning.FULL else column
            for column in columns
        )
    else:
        drop = set()
    return tuple(replace(one, meaning=Meaning.UNUSED) if one.meaning in drop else one for one in columns)


def _corrected(columns: tuple[Column, ...], told: Told, doubts: list[Doubt]) -> tuple[Column, ...]:
    """What a person said wins, and takes the meaning away from the column that had it by guess."""
    said: dict[int, Meaning] = {}
    for name, meaning in told.columns.items():
        places = [column.place for column in columns if named(column, name)]
        if len(places) == 1:
            said[places[0]] = meaning
        else:
            words = "There is no column with that heading" if not places else "Two columns have that heading"
            there = ", ".join(f"'{column.label}'" for column in columns[:40])
            doubts.append(
                Doubt("NO_COLUMN", Weight.STOPS, name[:40], f"{words}. Columns there: {there}; or give the letter.")
            )
    taken = set(said.values()) - _SEVERAL
    corrected = tuple(
        replace(column, meaning=said[column.place], sure=True, why="you")
        if column.place in said
        else replace(column, meaning=Meaning.UNUSED, sure=True)
        if column.meaning in taken
        else column
        for column in columns
    )
    doubts[:] = [
        doubt
        for doubt in doubts
        if doubt.code != "TWO_COLUMNS" or not any(one.why == "you" and one.label == doubt.column for one in corrected)
    ]
    return corrected


def _openings(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], told: Told) -> dict[str, bool]:
    """What the words of the status column mean: the plainest ones, those that stand there, and those of a person."""
    status = next((column for column in columns if column.meaning is Meaning.STATUS), None)
    there = set() if status is None else {text(at(row, status.place)).lower() for row in rows}
    return {
        **dict.fromkeys(sorted(OPEN & (there | {"open", "active"})), True),
        **dict.fromkeys(sorted(CLOSED & (there | {"closed", "inactive"})), False),
        **{word.strip().lower(): True for word in told.open_words},
        **{word.strip().lower(): False for word in told.closed_words},
    }


def _counted(column: Column, cells: Sequence[Cell], today: datetime.date) -> Column:
    """What the clients' own cells look like: rows that turned out to be no clients count no longer."""
    unreadable = sum(bool(text(cell)) and not readable(column.meaning, cell) for cell in cells)
    return replace(column, looks=looks(cells, today), unreadable=unreadable)
