"""What is doubtful about a spreadsheet that was understood, and what to do about each doubt."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from agency_node.adapters.tables import Cell
from agency_node.quickstart.looks import FEW, Order, text
from agency_node.quickstart.meanings import DATES, Meaning, plain_name
from agency_node.quickstart.table import at
from agency_node.quickstart.understood import Column, Doubt, Guess, Told, Weight, named

Body = Sequence[tuple[int, Sequence[Cell]]]
"""The rows below the headings that are not empty, each with its number in the sheet."""


def _rows(numbers: Sequence[int]) -> str:
    """Row numbers in words: the first five."""
    shown = ", ".join(map(str, numbers[:5]))
    more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
    return f"row{'s' if len(numbers) > 1 else ''} {shown}{more}"


def judged(found: Guess, body: Body, told: Told) -> list[Doubt]:
    """What is not plain about the columns and their values."""
    doubts = [
        Doubt(
            "UNSURE",
            Weight.ASKS,
            column.label,
            f"'{column.label}' may be {plain_name(column.meaning)}, but its "
            + ("heading does not say so." if column.why == "values" else "values do not look like that."),
        )
        for column in found.columns
        if not column.sure
    ]
    doubts += _about_names(found, told)
    doubts += _about_numbers(found, body, told)
    for column in found.having(*DATES):
        doubts += _about_dates(column, told)
    doubts += _about_status(found, body, told)
    used = [column for column in found.columns if column.meaning is not Meaning.UNUSED]
    doubts += _about_headings(found, used)
    for column in used:
        doubts += _about_cells(column)
    return doubts


def _about_headings(found: Guess, used: Sequence[Column]) -> list[Doubt]:
    times = Counter(found.headings)
    doubts = []
    for column in used:
        if not column.heading or times[column.heading] > 1:
            what = "is the heading of two columns" if column.heading else "has no heading"
            words = f"'{column.label}' {what}. Give each column that is used a heading of its own."
            doubts.append(Doubt("HEADING_TWICE" if column.heading else "NO_HEADING", Weight.STOPS, column.label, words))
    bare = [column.label for column in found.columns if not column.heading and column.looks.filled >= FEW]
    if bare:
        words = f"There is no heading above {', '.join(bare[:10])}, so it is not used. If it is needed, give it one."
        doubts.append(Doubt("BARE_COLUMN", Weight.TELLS, "", words))
    return doubts


def _about_names(found: Guess, told: Told) -> list[Doubt]:
    have = {column.meaning for column in found.columns}
    doubts = []
    if Meaning.FULL not in have and not {Meaning.FIRST, Meaning.LAST} <= have:
        which = "last name" if Meaning.FIRST in have else "first name" if Meaning.LAST in have else "name"
        words = f"No column was found for the client's {which}. Say which one it is."
        doubts.append(Doubt("NO_NAME", Weight.STOPS, "", words))
    if Meaning.BORN not in have:
        doubts.append(
            Doubt(
                "NO_BIRTH_DATE",
                Weight.TELLS if told.without_birth_date else Weight.ASKS,
                "",
                "No column was found for the date of birth. Without it hardly anybody can be found; without a whole "
                "address or NHS number too, nobody can.",
            )
        )
    if not have & {Meaning.LAST_SEEN, Meaning.STARTED, Meaning.CLOSED, Meaning.STATUS, Meaning.ASSESSED}:
        doubts.append(
            Doubt(
                "NO_ANSWERS",
                Weight.STOPS,
                "",
                "No column says when you last had contact, whether you work with the client now, or when there was an "
                "assessment, so no question could be answered. Add a column such as Last contact or Status.",
            )
        )
    for meaning in (Meaning.FIRST, Meaning.LAST, Meaning.FULL):
        column = found.one(meaning)
        if column is not None and column.looks.filled < found.people:
            missing = found.people - column.looks.filled
            words = f"{missing} of {found.people} rows have no {plain_name(meaning)}; those clients cannot be found."
            doubts.append(Doubt("NAMES_MISSING", Weight.TELLS, column.label, words))
    return doubts


_WHY_NUMBER: Final = (
    "A client needs a number that stays the same when the list is sorted or a name is mended: the node keeps it beside "
    "what it can be asked for, and looks the row up by it when a question comes."
)
_DIGEST_COSTS: Final = (
    "As a stop-gap, each client can be numbered by a keyed digest of name and date of birth. What that costs: when "
    "either is mended the client counts as new until the index is brought up to date, and two rows with the same name "
    "and date of birth stop the index."
)


def _about_numbers(found: Guess, body: Body, told: Told) -> list[Doubt]:
    column = found.one(Meaning.NUMBER)
    if column is None:
        if told.digest:
            return _about_digests(found, body)
        words = f"No column holds a client number. {_WHY_NUMBER} Best: add a column Client ref. {_DIGEST_COSTS}"
        return [Doubt("NO_NUMBER", Weight.ASKS, "", words)]
    numbers = [(number, text(at(row, column.place))) for number, row in body]
    times = Counter(value for _, value in numbers if value)
    missing = [number for number, value in numbers if not value]
    twice = [number for number, value in numbers if times[value] > 1]
    doubts = []
    if missing:
        doubts.append(
            Doubt(
                "NUMBER_MISSING",
                Weight.STOPS,
                column.label,
                f"'{column.label}' is empty in {_rows(missing)}. {_WHY_NUMBER} Give those clients a number; take out "
                "rows that are not clients, such as totals.",
            )
        )
    if twice:
        doubts.append(
            Doubt(
                "NUMBER_TWICE",
                Weight.STOPS,
                column.label,
                f"'{column.label}' has the same number more than once, in {_rows(twice)}. Each client needs one row "
                "and a number of their own. If rows are visits, make a list of clients with the latest visit of each.",
            )
        )
    return doubts


def _about_digests(found: Guess, body: Body) -> list[Doubt]:
    columns = found.digested
    times = Counter(tuple(_folded(at(row, column.place)) for column in columns) for _, row in body)
    twice = [number for number, row in body if times[tuple(_folded(at(row, column.place)) for column in columns)] > 1]
    if not twice:
        return [Doubt("DIGEST", Weight.TELLS, "", _DIGEST_COSTS)]
    words = f"{_rows(twice).capitalize()} have the same name and date of birth, so a digest cannot tell them apart. "
    return [Doubt("DIGEST_TWICE", Weight.STOPS, "", words + "Take out the doubled row, or add a column Client ref.")]


def _folded(cell: Cell) -> str:
    return " ".join(text(cell).lower().split())


def _about_dates(column: Column, told: Told) -> list[Doubt]:
    said = any(named(column, name) for name in told.dates_right)
    signs, label = column.looks.dates, column.label
    doubts = []
    if signs.exchanged and not said:
        doubts.append(
            Doubt(
                "DATES_EXCHANGED",
                Weight.ASKS,
                label,
                f"In '{label}', {signs.real} dates all fall on day 1 to 12 of a month, and the {signs.day_first} later "
                "ones are text. That happens when a program set to American dates opens a British list: it turns day "
                "and month round. Load the list again with dates set to day, month, year; or say that they are right.",
            )
        )
    if column.order is Order.MIXED and not said:
        doubts.append(
            Doubt(
                "DATES_MIXED",
                Weight.ASKS,
                label,
                f"In '{label}', {signs.day_first} dates can only have the day first and {signs.month_first} only the "
                f"month; {signs.either} could be either. Mend them in the spreadsheet; or say that the day comes "
                "first, and the others are left out.",
            )
        )
    if column.order is Order.EITHER and not said:
        words = f"In '{label}', nothing shows whether day or month comes first. Does the day come first?"
        doubts.append(Doubt("DATE_ORDER", Weight.ASKS, label, words))
    if column.order is Order.MONTH_FIRST:
        words = (
            f"In '{label}', the month comes before the day. Turn the column into dates: in Excel, choose Data, then "
            "Text to Columns, and in its third step Date: MDY. Save, and run this again."
        )
        return [*doubts, Doubt("MONTH_FIRST", Weight.STOPS, label, words)]
    if column.unreadable:
        kinds = [
            words
            for count, words in (
                (signs.short, "years with two digits, whose century nobody knows"),
                (signs.written, "months in words"),
            )
            if count
        ]
        found = f" ({' and '.join(kinds)})" if kinds else ""
        mostly = column.unreadable * 2 > column.looks.filled
        doubts.append(
            Doubt(
                "DATES_UNREADABLE",
                Weight.STOPS if mostly else Weight.TELLS,
                label,
                f"In '{label}', {column.unreadable} of {column.looks.filled} dates cannot be read{found}. Write "
                "them as day, month and four digits of the year, best as dates of the spreadsheet's own kind.",
            )
        )
    return doubts


def _about_status(found: Guess, body: Body, told: Told) -> list[Doubt]:
    column = found.one(Meaning.STATUS)
    if column is None:
        return []
    words = [text(at(row, column.place)).lower() for _, row in body]
    strange = [word for word in words if word and word not in found.openings]
    empty = sum(not word for word in words)
    doubts = []
    if strange:
        doubts.append(
            Doubt(
                "STATUS_WORDS",
                Weight.TELLS if told.other_words else Weight.ASKS,
                column.label,
                f"'{column.label}' has {len(set(strange))} words of yours, in {len(strange)} rows, that we do not "
                "know. Say which words mean that you work with the client now and which that you do not; about rows "
                "with any other word your agency will say 'cannot say'.",
            )
        )
    if empty:
        words_of = f"'{column.label}' is empty in {empty} of {found.people} rows; whether those are open, your agency "
        doubts.append(Doubt("STATUS_EMPTY", Weight.TELLS, column.label, words_of + "cannot say."))
    return doubts


def _about_cells(column: Column) -> list[Doubt]:
    doubts = []
    seen, label = column.looks, column.label
    if seen.formulas:
        words = (
            f"In '{label}', {seen.formulas} cells hold a formula without a result, or one that failed. Your agency "
            "cannot say anything about those rows. Open the spreadsheet, put values in place of formulas, and save it."
        )
        stops = seen.formulas * 2 > seen.filled or column.meaning is Meaning.NUMBER
        doubts.append(Doubt("FORMULAS", Weight.STOPS if stops else Weight.TELLS, label, words))
    if not seen.filled:
        doubts.append(Doubt("COLUMN_EMPTY", Weight.TELLS, label, f"'{label}' has a heading and nothing below it."))
    elif column.unreadable and column.meaning not in DATES:
        mostly = column.unreadable * 2 > seen.filled
        doubts.append(
            Doubt(
                "UNREADABLE",
                Weight.ASKS if mostly and column.why != "you" else Weight.TELLS,
                label,
                f"In '{label}', {column.unreadable} of {seen.filled} cells cannot be read as "
                f"{plain_name(column.meaning)}; they are left out.",
            )
        )
    return doubts
