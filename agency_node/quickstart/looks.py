"""What the values of one column look like: counts and shapes, never a value."""

import datetime
import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from typing import Any, Final

from accord.identity import BadDescription, describe
from agency_node.adapters.tables import DAY_ZERO, DAYS, Cell, Unread, read_date

WORDS: Final[Mapping[str, Any]] = json.loads(
    resources.files("agency_node").joinpath("quickstart", "words.json").read_text(encoding="utf-8")
)
"""Headings and words as people write them, in lower case; collected from the forms of small charities."""

MOST: Final = 0.8
"""Share of a column's values that must agree before they speak for it."""
FEW: Final = 5
"""Fewest values that can speak for a column, and fewest cells of one shape before the shape is shown."""
SLIPS: Final = 0.01
"""Share of dates that may contradict the order of the others and pass for slips of the pen."""

OPEN: Final = frozenset(WORDS["open"])
CLOSED: Final = frozenset(WORDS["closed"])
_SEXES: Final = frozenset(WORDS["sexes"])
_TRUTHS: Final = frozenset(WORDS["truths"])

POSTCODE: Final = re.compile(r"[A-Za-z]{1,2}[0-9][A-Za-z0-9]?\s*[0-9][A-Za-z]{2}")
"""A whole British postcode (BS 7666-0:2006, annex C gives the forms)."""
_NUMERIC: Final = re.compile(r"([0-9]{1,2})[-/. ]([0-9]{1,2})[-/. ]([0-9]{2}|[0-9]{4})(?:[ T][0-9:.]+)?")
_YEAR_FIRST: Final = re.compile(r"[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}(?:[ T][0-9:.Z+-]+)?")
_WRITTEN: Final = re.compile(
    r"[0-9]{1,2}(?:st|nd|rd|th)?[-/. ]*(?:of )?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[-/., ]*"
    r"[0-9]{2,4}",
    re.IGNORECASE,
)
_FORMULA: Final = re.compile(r"=.+|#(N/A|REF!|VALUE!|NAME\?|DIV/0!|NUM!|NULL!|SPILL!|CALC!|#*)", re.DOTALL)
_RUNS: Final = re.compile(r"([Aa])\1+")


def text(cell: Cell) -> str:
    """A cell as the loader reads it into a column of text; "" for an empty one, # for one without a value."""
    if cell is None:
        return ""
    if isinstance(cell, Unread):
        return "#"
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, datetime.datetime):
        return cell.date().isoformat()
    if isinstance(cell, datetime.date):
        return cell.isoformat()
    return str(cell).strip()


def printable(name: str) -> str:
    """A heading or the name of a sheet as it may be shown: short, and nothing that would command a terminal."""
    return "".join(letter for letter in name if letter.isprintable())[:40]


def shape(cell: Cell) -> str:
    """What a value looks like without telling it: A for capitals, a for small letters, 9 for each digit."""
    if isinstance(cell, datetime.date):
        return "date"
    drawn = "".join(
        "9" if c.isdigit() else "A" if c.isupper() else "a" if c.isalpha() else c if c in " -/.,'@:" else "?"
        for c in text(cell)[:80]
    )
    return _RUNS.sub(r"\1", drawn)[:24]


class Order(StrEnum):
    """In which order days and months stand."""

    DAY_FIRST = "day_first"
    MONTH_FIRST = "month_first"
    MIXED = "mixed"
    EITHER = "either"
    PLAIN = "plain"
    """Every date says for itself which part is the day: dates of the spreadsheet's own kind, or 2026-11-21."""


@dataclass(frozen=True, slots=True)
class DateSigns:
    """What the dates of one column show of their order.

    Attributes:
        real: Cells that are dates to the spreadsheet itself.
        real_early: Those of them whose day is at most 12.
        year_first: Texts such as 2026-11-21.
        day_first: Texts whose first part cannot be a month.
        month_first: Texts whose second part cannot be a month.
        either: Texts that could be either.
        short: Texts with a year of two digits, whose century nobody knows.
        written: Texts with a month in words.
        counted: Numbers that would be dates in a column of dates; anywhere else they are numbers.
    """

    real: int = 0
    real_early: int = 0
    year_first: int = 0
    day_first: int = 0
    month_first: int = 0
    either: int = 0
    short: int = 0
    written: int = 0
    counted: int = 0

    @property
    def dates(self) -> int:
        """How many cells look like a date at all."""
        return self.real + self.year_first + self.day_first + self.month_first + self.either + self.short + self.written

    @property
    def order(self) -> Order:
        """What the evidence says; a few slips do not count against many."""
        first, second = self.day_first, self.month_first
        if first and second:
            rarer, other = sorted((first, second))
            if rarer > SLIPS * other:
                return Order.MIXED
        if first or second:
            return Order.DAY_FIRST if first >= second else Order.MONTH_FIRST
        return Order.EITHER if self.either else Order.PLAIN

    @property
    def exchanged(self) -> bool:
        """Whether a program seems to have read 3 December as 12 March and left 13 December as text.

        That is what happens when a list with British dates is opened by a program set to American ones: what can be
        read the wrong way round is, and becomes a date; what cannot stays text.
        """
        texts_left = self.day_first and not self.either and not self.month_first
        return bool(texts_left and self.real >= 2 * FEW and self.real == self.real_early)


def date_signs(cells: Collection[Cell]) -> DateSigns:
    """Count what the dates of a column show."""
    found: Counter[str] = Counter()
    for cell in cells:
        if isinstance(cell, datetime.date):
            found["real"] += 1
            found["real_early"] += cell.day <= 12
            continue
        found["counted"] += day_of(cell) is not None and not isinstance(cell, str)
        if not isinstance(cell, str):
            continue
        written = cell.strip()
        numeric = _NUMERIC.fullmatch(written)
        if numeric:
            one, two = int(numeric[1]), int(numeric[2])
            if one > 31 or two > 31 or (one > 12 and two > 12) or not one or not two:
                continue
            if len(numeric[3]) == 2:
                found["short"] += 1
            found["day_first" if one > 12 else "month_first" if two > 12 else "either"] += len(numeric[3]) == 4
        elif _YEAR_FIRST.fullmatch(written):
            found["year_first"] += 1
        elif _WRITTEN.fullmatch(written):
            found["written"] += 1
    return DateSigns(**found)


def day_of(cell: Cell) -> datetime.date | None:
    """A cell as the date that the loader reads in a column of dates; None when it cannot."""
    if isinstance(cell, datetime.datetime):
        return cell.date()
    if isinstance(cell, datetime.date):
        return cell
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return DAY_ZERO + int(cell) * datetime.timedelta(days=1) if DAYS[0] <= cell < DAYS[1] else None
    return read_date(cell.strip()) if isinstance(cell, str) else None


@dataclass(frozen=True, slots=True)
class Looks:
    """What a column's values look like: counts and shapes, never a value.

    Attributes:
        filled: Cells with something in them.
        distinct: How many different values.
        shapes: The commonest shapes with their counts, each shared by at least FEW cells.
        dates: What its dates show.
        births: How many are dates on which a client may have been born: from 1900 to 30 days ago.
        recent: How many are dates of the last ten years.
        postcodes: How many are whole postcodes.
        nhs: How many are ten digits with the right check digit.
        sexes: How many are words for a sex.
        status: How many are words for open or closed.
        truths: How many are words for yes or no.
        commas: How many hold one comma between words.
        shouted: How many begin with a word in capitals and end with one that is not.
        spaced: How many are two to four words.
        formulas: How many cells hold a formula without a value, or one that failed such as #N/A.
    """

    filled: int
    distinct: int
    shapes: tuple[tuple[str, int], ...]
    dates: DateSigns
    births: int
    recent: int
    postcodes: int
    nhs: int
    sexes: int
    status: int
    truths: int
    commas: int
    shouted: int
    spaced: int
    formulas: int

    def mostly(self, count: int) -> bool:
        """Whether that many speak for the column."""
        return count >= FEW and count >= MOST * self.filled


def looks(cells: Sequence[Cell], today: datetime.date) -> Looks:
    """Look at one column.

    Args:
        cells: Its cells below the heading.
        today: The day, to tell birth dates from recent ones.
    """
    filled = [cell for cell in cells if text(cell)]
    texts = [text(cell) for cell in filled]
    words = [written.split() for written in texts]
    lower = [written.lower() for written in texts]
    days = [day for day in (day_of(cell) for cell in filled if not isinstance(cell, int | float)) if day is not None]
    shapes = Counter(map(shape, filled))
    return Looks(
        filled=len(filled),
        distinct=len(set(texts)),
        shapes=tuple((drawn, count) for drawn, count in shapes.most_common(3) if count >= FEW),
        dates=date_signs(filled),
        births=sum(datetime.date(1900, 1, 1) < day < today - datetime.timedelta(days=30) for day in days),
        recent=sum(abs((today - day).days) < 3_653 for day in days),
        postcodes=sum(bool(POSTCODE.fullmatch(one)) for one in texts),
        nhs=sum(_is_nhs(one) for one in texts),
        sexes=sum(one in _SEXES for one in lower),
        status=sum(one in OPEN | CLOSED for one in lower),
        truths=sum(one in _TRUTHS for one in lower),
        commas=sum(bool(re.fullmatch(r"[^,]*\w[^,]*,\s*\w[^,]*", one)) for one in texts),
        shouted=sum(
            len(some) > 1 and some[0].isupper() and len(some[0]) > 1 and not some[-1].isupper() for some in words
        ),
        spaced=sum(2 <= len(some) <= 4 for some in words),
        formulas=sum(bool(_FORMULA.fullmatch(one)) for one in texts),
    )


def _is_nhs(written: str) -> bool:
    digits = re.sub(r"[ -]", "", written)
    return len(digits) == 10 and digits.isdigit() and describes(nhs_number=digits) and digits != "0" * 10


def describes(**fields: str) -> bool:
    """Whether a description can be made of these fields."""
    try:
        describe(**fields)
    except BadDescription:
        return False
    return True
