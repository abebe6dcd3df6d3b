"""Two labelled files of people, read by a short mapping: what linkage is measured on.

    LEFT.csv, RIGHT.csv + mapping.toml -> what each row says of a person, who it truly is, with whom they live

The mapping names, for each field of a description, the column that holds it, or several columns:

    first_name = "given_name"
    last_name = "surname"
    date_of_birth = "dob"
    date_order = "month first"                      # of 03/09/2013; left out, the day comes first
    address = ["street_number", "street", "flat"]   # put together with commas; empty ones left out
    postcode = "postcode"

    [right]                                         # where the second file differs; [left] likewise
    first_name = "forename"

Other fields: middle_names, sex, nhs_number, former_last_names, former_postcodes. A column that no field names is not
read, apart from the one that says who is who.
"""

import csv
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

from accord.identity import RAW_FIELDS
from accord.reasons import Problem
from agency_node.mapping import PersonRow

MAX_ROWS: Final = 1_000_000
MAX_CELL: Final = 500
"""Longest cell, characters; `describe` reads no more of a field."""

_LISTS: Final = frozenset({"former_last_names", "former_postcodes"})
_DATE_ORDER: Final = "date_order"
_MONTH_FIRST: Final = "month first"
_ORDERS: Final = ("day first", _MONTH_FIRST)
_PARTS = re.compile(r"[^0-9A-Za-z]+")


class BadLabelled(Problem):
    """A file of people or its mapping cannot be used. Names files, columns and lines, never a value.

    Attributes:
        cure: What to do about it.
    """

    reason: ClassVar[str] = "MAPPING_INVALID"

    def __init__(self, message: str, cure: str) -> None:
        """Take both."""
        self.cure = cure
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a file say what.

    Attributes:
        of: Field -> columns, put together with commas.
        month_first: 03/09/2013 is the ninth of March.
    """

    of: Mapping[str, tuple[str, ...]]
    month_first: bool


@dataclass(frozen=True, slots=True)
class Labelled:
    """One row.

    Attributes:
        row: What it says of the person, under a number of its own.
        truth: Who it truly is: rows of one person have one truth.
        household: With whom they live; "" when not known.
    """

    row: PersonRow = field(repr=False)
    truth: str = field(repr=False)
    household: str = field(repr=False)


def read_columns(path: Path) -> tuple[Columns, Columns]:
    """The mapping: columns of the left file and of the right file.

    Raises:
        BadLabelled: It cannot be read, names no field, or something that is no field.
    """
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadLabelled(f"{path} cannot be read: {error}", "Give a file in TOML.") from None
    sides = {side: written.pop(side, {}) for side in ("left", "right")}
    left, right = (_columns(path, side, written | own) for side, own in sides.items() if _is_table(path, side, own))
    return left, right


def _is_table(path: Path, side: str, own: object) -> bool:
    if not isinstance(own, dict):
        raise BadLabelled(f"{path}: {side} is not a table", f"Write [{side}] on a line of its own.")
    return True


def _columns(path: Path, side: str, written: Mapping[str, object]) -> Columns:
    order = written.get(_DATE_ORDER, "day first")
    if order not in _ORDERS:
        raise BadLabelled(f"{path}: date_order is not known", "Write one of: " + ", ".join(_ORDERS) + ".")
    found: dict[str, tuple[str, ...]] = {}
    for name, value in written.items():
        if name == _DATE_ORDER:
            continue
        columns = (value,) if isinstance(value, str) else value
        if name not in RAW_FIELDS:
            raise BadLabelled(f"{path}: {name} is no field of a person", "Fields are: " + ", ".join(RAW_FIELDS) + ".")
        if not isinstance(columns, list | tuple) or not all(isinstance(one, str) and one for one in columns):
            raise BadLabelled(f"{path}: {name} names no column", f'Write {name} = "column", or several in brackets.')
        found[name] = tuple(columns)
    if not {"first_name", "last_name"} <= set(found):
        raise BadLabelled(
            f"{path}: names of people in the {side} file are missing", "Give first_name and last_name a column each."
        )
    return Columns(found, order == _MONTH_FIRST)


def read_labelled(path: Path, columns: Columns, truth: str, household: str = "") -> tuple[Labelled, ...]:
    """Everybody in a CSV file with a heading.

    Args:
        path: The file, UTF-8.
        columns: Which of its columns say what.
        truth: The column that says who a row truly is.
        household: The column that says who lives together; "" when there is none.

    Raises:
        BadLabelled: It cannot be read, lacks a column, or does not say who a row is.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return tuple(_rows(path, csv.DictReader(file, strict=True), columns, truth, household))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadLabelled(f"{path} cannot be read: {type(error).__name__}", "Give a CSV file in UTF-8.") from None


def _rows(
    path: Path, reader: "csv.DictReader[str]", columns: Columns, truth: str, household: str
) -> Iterator[Labelled]:
    heading = reader.fieldnames or ()
    wanted = {name for names in columns.of.values() for name in names} | {truth, household} - {""}
    missing = sorted(wanted - set(heading))
    if missing:
        # Where none of them is there, the first line may be a person; it must not stand in a message.
        there = f"Its columns are: {', '.join(heading)}." if set(missing) < wanted else "Its first line names none."
        raise BadLabelled(f"{path} has no column {', '.join(missing)}", f"{there} Mend the mapping, or the heading.")
    for number, row in enumerate(reader, 1):
        if number > MAX_ROWS:
            raise BadLabelled(f"{path} has more than {MAX_ROWS} rows", "Give a part of it.")
        if None in row or None in row.values() or any(len(cell) > MAX_CELL for cell in row.values()):
            raise BadLabelled(f"{path}, row {number}: too many, too few or too long cells", "Mend this row.")
        if not row[truth].strip():
            raise BadLabelled(f"{path}, row {number}: {truth} is empty", "Say of each row who it is.")
        fields = {name: ", ".join(filter(None, (row[one] for one in of))) for name, of in columns.of.items()}
        if columns.month_first:
            fields["date_of_birth"] = _year_first(fields.get("date_of_birth", ""))
        listed = {name: tuple(filter(None, re.split("[,;]", fields.get(name, "")))) for name in _LISTS}
        yield Labelled(
            PersonRow(
                str(number),
                fields["first_name"],
                fields["last_name"],
                middle_names=fields.get("middle_names", ""),
                date_of_birth=fields.get("date_of_birth", ""),
                sex=fields.get("sex", ""),
                address=fields.get("address", ""),
                postcode=fields.get("postcode", ""),
                nhs_number=fields.get("nhs_number", ""),
                former_last_names=listed["former_last_names"],
                former_postcodes=listed["former_postcodes"],
            ),
            row[truth].strip(),
            row[household].strip() if household else "",
        )


def _year_first(written: str) -> str:
    """03/09/2013, month first, as 20130309: digits in another order, whatever they are."""
    parts = [part for part in _PARTS.split(written) if part]
    return f"{parts[2]}{parts[0]:0>2}{parts[1]:0>2}" if len(parts) == 3 else written
