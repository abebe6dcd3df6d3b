"""How many keys an agency may have made: enough for its own people, too few to list an area's (T-LNK-6).

Every agency's row in the directory says for how many records it is enrolled, signed by the agency and by the
federation's operator. Both key servers count, for each agency, family, linkage epoch and calendar year, and refuse what
goes over. Padding counts: nobody can tell it from guesses.

A first index takes a half to two thirds of the year's allowance, the rest is for records that change. A new epoch has
keys and an allowance of its own.
"""

from collections.abc import Mapping
from datetime import date
from typing import Final

from accord.identity import FAMILIES, SUBJECT_FAMILIES, Family

INDEX_PER_PERSON: Final = 2
"""A year's index keys in one family: so many for each record enrolled and each variant of the family's key."""

ASK_PEOPLE: Final = 5_000
"""People whom any agency may ask about in a year; as many more as it has records enrolled."""

ASK_A_DAY: Final = 5_000
"""Elements of a family that an agency may use in one day to ask; a person takes 1 to 8 of them."""

SUBJECT_A_DAY: Final = 2_000
"""Subject tags of a family that an agency may use in one day; a person takes one."""

_NICKNAMES: Final = 2
"""Keys that a person's nickname roots and parts of a double last name give, on average, rounded up."""
_MASKS: Final = 7
_FIRST_DAY: Final = date(1970, 1, 1).toordinal()


def variants(family: Family) -> int:
    """Keys of a family that a person has in an index, on average, rounded up."""
    if "dob.mask" in family.parts:
        return _MASKS
    return _NICKNAMES if "first.nick" in family.parts else 1


def capacity(family: Family) -> int:
    """Elements of a family that one person takes in a question, whatever the name.

    Seven dates are masked; a name counts with up to seven nickname roots and itself. Who needs more, by a double last
    name with nicknames, counts as two people.
    """
    return 8 if "first.nick" in family.parts else variants(family)


def index_a_year(records: int) -> Mapping[str, int]:
    """Family -> elements that may be evaluated for an index in one year and epoch.

    Args:
        records: For how many records the agency is enrolled; 0 for none.
    """
    return {family.id: INDEX_PER_PERSON * records * variants(family) for family in FAMILIES}


def ask_a_year(records: int) -> Mapping[str, int]:
    """Family -> elements that may be evaluated to ask, in one year and epoch."""
    return {family.id: (ASK_PEOPLE + records) * capacity(family) for family in FAMILIES}


def ask_a_day() -> Mapping[str, int]:
    """Family -> elements that may be evaluated to ask, in one day."""
    return {family.id: ASK_A_DAY for family in FAMILIES}


def subject_a_day() -> Mapping[str, int]:
    """Subject family -> elements that may be evaluated in one day."""
    return {family.id: SUBJECT_A_DAY for family in SUBJECT_FAMILIES}


def year_of(day: int) -> tuple[int, int]:
    """The calendar year of a day, and the year's last day.

    Args:
        day: Days since 1970-01-01.

    Returns:
        The year, and its 31 December as days since 1970-01-01.
    """
    year = date.fromordinal(_FIRST_DAY + day).year
    return year, date(year, 12, 31).toordinal() - _FIRST_DAY
