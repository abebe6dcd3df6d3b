"""What a column may mean, which headings say so, and whether a value can be read as it."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from agency_node.adapters.tables import Cell
from agency_node.quickstart.looks import WORDS, day_of, describes, text


class Meaning(StrEnum):
    """What a column may be."""

    NUMBER = "client_number"
    FIRST = "first_name"
    LAST = "last_name"
    FULL = "full_name"
    MIDDLE = "middle_names"
    FORMER = "former_last_names"
    BORN = "date_of_birth"
    SEX = "sex"
    ADDRESS = "address"
    POSTCODE = "postcode"
    NHS = "nhs_number"
    LAST_SEEN = "last_contact"
    STARTED = "started"
    CLOSED = "closed"
    ASSESSED = "assessed"
    STATUS = "status"
    TEAM = "team"
    WITHHELD = "do_not_share"
    UNUSED = "not_used"


DATES: Final = frozenset({Meaning.BORN, Meaning.LAST_SEEN, Meaning.STARTED, Meaning.CLOSED, Meaning.ASSESSED})
"""Meanings whose values are dates."""

_KNOWN: Final[Mapping[str, Meaning]] = {
    heading: Meaning(meaning) for meaning, headings in WORDS["headings"].items() for heading in headings
}

_PLAIN: Final[Mapping[Meaning, str]] = {
    Meaning.NUMBER: "the client's number",
    Meaning.FIRST: "first name",
    Meaning.LAST: "last name",
    Meaning.FULL: "first and last name together",
    Meaning.MIDDLE: "middle names",
    Meaning.FORMER: "earlier last name",
    Meaning.BORN: "date of birth",
    Meaning.SEX: "sex",
    Meaning.ADDRESS: "address",
    Meaning.POSTCODE: "postcode",
    Meaning.NHS: "NHS number",
    Meaning.LAST_SEEN: "date of last contact",
    Meaning.STARTED: "date when your work began",
    Meaning.CLOSED: "date when your work ended",
    Meaning.ASSESSED: "date of an assessment",
    Meaning.STATUS: "open or closed",
    Meaning.TEAM: "worker or team",
    Meaning.WITHHELD: "do not share (yes or no)",
    Meaning.UNUSED: "not used",
}


def plain_name(meaning: Meaning) -> str:
    """A meaning in words for people."""
    return _PLAIN[meaning]


def normalised(heading: str) -> str:
    """A heading in lower case without punctuation: `D.O.B.*` is `dob`."""
    bare = re.sub(r"\([^)]*\)|\[[^]]*\]", " ", heading)
    bare = bare if bare.strip() else heading
    bare = re.sub(r"['\u2019.]", "", bare.lower())
    # "firstName" of an export is two words; "FIRSTNAME" is in the list as it is.
    return " ".join(re.findall(r"[a-z0-9]+", bare))


def known(heading: str) -> Meaning | None:
    """What a heading means by itself, or None."""
    found = _KNOWN.get(normalised(heading))
    if found is None:
        found = _KNOWN.get(normalised(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", heading)))
    return found


def readable(meaning: Meaning, cell: Cell) -> bool:
    """Whether a filled cell can be read as its meaning says, by the rules that index and loader have."""
    written = text(cell)
    if meaning is Meaning.BORN:
        day = day_of(cell)
        return day is not None and describes(date_of_birth=day.isoformat())
    if meaning in DATES:
        return day_of(cell) is not None
    if meaning is Meaning.POSTCODE:
        return describes(postcode=written)
    if meaning is Meaning.NHS:
        return describes(nhs_number=written)
    if meaning in {Meaning.FIRST, Meaning.LAST, Meaning.MIDDLE}:
        return describes(first_name=written)
    if meaning is Meaning.FULL:
        return len(re.split(r"[,\s]+", written)) > 1
    if meaning is Meaning.ADDRESS:
        return describes(address=written)
    return True
