"""What was understood of a spreadsheet, what is doubtful about it, and what a person said: values only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from agency_node.adapters.tables import Cell
from agency_node.quickstart.looks import Looks, Order
from agency_node.quickstart.meanings import Meaning, normalised, plain_name


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet as it stands.

    Attributes:
        name: Its name; "" for a CSV file.
        rows: Every row from the first, empty ones too.
    """

    name: str
    rows: Sequence[Sequence[Cell]] = field(repr=False)


class Weight(StrEnum):
    """What follows from a doubt."""

    STOPS = "stops"
    """The spreadsheet has to be changed, or another column chosen."""
    ASKS = "asks"
    """A person has to say how it is."""
    TELLS = "tells"
    """It goes on without; the person should know."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something about the spreadsheet that is not plain.

    Attributes:
        code: For programs, such as `DATE_ORDER`.
        weight: What follows from it.
        column: Heading of the column, or "".
        words: What is the matter, where, and what to do about it. No value from the sheet.
    """

    code: str
    weight: Weight
    column: str
    words: str


@dataclass(frozen=True, slots=True)
class Column:
    """One column and its guess.

    Attributes:
        place: Which column, from 0.
        label: Its heading; its letter where the headings are not sure to be headings, or there is none.
        heading: What stands in the header row, stripped.
        looks: What its values look like.
        meaning: The guess, or what a person said.
        sure: Whether it needs no asking.
        why: Where the guess comes from: heading, values, you.
        unreadable: How many filled cells cannot be read as that.
    """

    place: int
    label: str
    heading: str
    looks: Looks
    meaning: Meaning
    sure: bool
    why: str
    unreadable: int = 0

    @property
    def order(self) -> Order:
        """The order of its dates, by their own evidence."""
        return self.looks.dates.order


@dataclass(frozen=True, slots=True)
class Guess:
    """What was understood of a spreadsheet.

    Attributes:
        sheet: Name of the sheet.
        header_row: Number of the row with the headings, from 1.
        people: Rows below it with something in them.
        blanks: Empty rows between those.
        columns: Every column with a heading or a value.
        doubts: What is not plain.
        openings: What the words of the status column mean, in lower case: word -> open.
    """

    sheet: str
    header_row: int
    people: int
    blanks: int
    columns: tuple[Column, ...]
    doubts: tuple[Doubt, ...]
    openings: Mapping[str, bool] = field(default_factory=dict)

    def having(self, *meanings: Meaning) -> tuple[Column, ...]:
        """The columns with one of these meanings, from left to right."""
        return tuple(column for column in self.columns if column.meaning in meanings)

    def one(self, meaning: Meaning) -> Column | None:
        """The column with this meaning, or None."""
        return next(iter(self.having(meaning)), None)

    @property
    def digested(self) -> tuple[Column, ...]:
        """The columns of which a digest can stand for a client's number, in an order that is always the same."""
        order = (Meaning.FIRST, Meaning.LAST, Meaning.FULL, Meaning.BORN)
        return tuple(column for column in map(self.one, order) if column is not None)

    @property
    def headings(self) -> tuple[str, ...]:
        """The headings from left to right."""
        return tuple(column.heading for column in self.columns)

    @property
    def layout(self) -> "Layout":
        """What is read, and from where."""
        used = {column.heading: column.meaning for column in self.columns if column.meaning is not Meaning.UNUSED}
        return Layout(self.sheet, self.header_row, used)

    def weighing(self, *weights: Weight) -> tuple[Doubt, ...]:
        """The doubts of these weights."""
        return tuple(doubt for doubt in self.doubts if doubt.weight in weights)


@dataclass(frozen=True, slots=True)
class Layout:
    """What is read of a spreadsheet, and from where. It is kept, so that a change is noticed.

    Attributes:
        sheet: Name of the sheet.
        header_row: Number of the row with the headings, from 1.
        columns: Heading -> meaning, of the columns that are used.
    """

    sheet: str
    header_row: int
    columns: Mapping[str, Meaning]

    def changes(self, now: "Layout") -> tuple[str, ...]:
        """What is different now, in words; in which order columns stand does not matter."""
        words = []
        if self.sheet != now.sheet:
            words.append(f"the sheet was '{self.sheet}', and is '{now.sheet}'")
        if self.header_row != now.header_row:
            words.append(f"the headings stood in row {self.header_row}, and stand in row {now.header_row}")
        for heading, meaning in self.columns.items():
            if heading not in now.columns:
                words.append(f"'{heading}' ({plain_name(meaning)}) is gone, or is not used any more")
            elif now.columns[heading] is not meaning:
                words.append(
                    f"'{heading}' was {plain_name(meaning)}, and seems to be {plain_name(now.columns[heading])}"
                )
        for heading in now.columns:
            if heading not in self.columns:
                words.append(f"'{heading}' ({plain_name(now.columns[heading])}) is new")
        return tuple(words)


@dataclass(frozen=True, slots=True)
class Told:
    """What a person said about their spreadsheet; it wins over every guess.

    Attributes:
        sheet: The sheet, or "".
        header_row: The row of the headings from 1, or 0.
        columns: Heading (or column letter) -> meaning.
        dates_right: Headings (or column letters) of dates that are right as they stand, and have the day first.
        open_words: Words of the status column that mean open.
        closed_words: Words of it that mean closed.
        other_words: Whether it is understood that about any other word of it the agency cannot say.
        digest: Whether clients may be numbered by a digest of name and birth date.
        without_birth_date: Whether it is understood that there is no birth date.
    """

    sheet: str = ""
    header_row: int = 0
    columns: Mapping[str, Meaning] = field(default_factory=dict)
    dates_right: tuple[str, ...] = ()
    open_words: tuple[str, ...] = ()
    closed_words: tuple[str, ...] = ()
    other_words: bool = False
    digest: bool = False
    without_birth_date: bool = False


def letter(place: int) -> str:
    """The letters of a column as a spreadsheet shows them: A, Z, AA."""
    letters = ""
    place += 1
    while place:
        place, left = divmod(place - 1, 26)
        letters = chr(65 + left) + letters
    return letters


def named(column: Column, name: str) -> bool:
    """Whether somebody means this column: by heading, however it is punctuated, or by letter."""
    wanted = name.strip()
    return (
        wanted in {column.heading, column.label}
        or wanted.upper() == letter(column.place)
        or (bool(normalised(wanted)) and normalised(wanted) == normalised(column.heading))
    )
