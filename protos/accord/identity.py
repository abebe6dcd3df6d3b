"""Describe a person so that two agencies reach the same match keys.

`describe` normalises what somebody typed or a database holds; `match_keys` joins
several normalised fields at a time into *match keys*, each nearly unique to one
person. Askers and indexes use these same functions. No single field is ever a
key, save the NHS number: names and dates alone could be listed and tried out.

Text is folded by Unicode compatibility decomposition (NFKD, Unicode Standard
Annex 15, https://www.unicode.org/reports/tr15/) and full case folding, then
stripped of accents and punctuation. Decomposition is stable for every character
that has been assigned, so Python releases agree on it.

Both sides state NORMALISER_DIGEST and FAMILY_SET_DIGEST. A node whose digests
differ answers *cannot say*, never *no*.
"""

import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Final

from doublemetaphone import doublemetaphone

from accord.canonical import NotCanonical, closed, decode_object, encode, integer, lp, sha256, strings, text
from accord.nicknames import DIGEST as NICKNAMES_DIGEST
from accord.nicknames import NICKNAMES_VERSION, roots_of
from accord.reasons import Problem

RAW_LIMIT: Final = 500
"""Most characters read from any one raw field."""
NAME_LIMIT: Final = 64
"""Most characters of one normalised name, and of a street."""
NUMBER_LIMIT: Final = 32
POSTCODE_LIMIT: Final = 10
FORMER_LIMIT: Final = 4
"""Most former surnames, and most former postcodes, of one description."""
MAX_KEYS: Final = 64
"""Most match keys of one asked person: the larger number of wraps that a slot of an envelope has room for."""
MINIMUM_KEYS: Final = 4
"""Families that must have a usable key before a person may be asked about (see `enough_to_go_on`). A full name with a
full birth date reaches it, and so does a full name with a whole address; a name alone never does."""

_CURES: Final = {
    "first_name": "Give the first name as it is spoken or written, in at most 64 letters.",
    "last_name": "Give the last name as it is spoken or written, in at most 64 letters.",
    "middle_names": "Give the middle names in at most 64 letters, or leave them out.",
    "date_of_birth": "Give the whole date with four digits for the year, for example 9/3/2013 or 2013-03-09.",
    "sex": "Give female, male, or leave it out.",
    "address": "Give house number and street, for example: Flat 3, 14 Larkspur Rise.",
    "postcode": "Give one postcode, for example MD4 7QT.",
    "nhs_number": "Give the ten digits of the NHS number; one of them does not fit the others.",
    "former_last_names": "Give at most four former last names.",
    "former_postcodes": "Give at most four former postcodes.",
    "description": "Update the software that made the description.",
}
RAW_FIELDS: Final = tuple(name for name in _CURES if name != "description")
"""What `describe` takes: every raw field that may be known of a person."""


class BadDescription(Problem):
    """A field of a description cannot be used. Neither message nor cure repeats the value.

    Attributes:
        field: Name of the raw field, as in the arguments of `describe`.
        cure: What to do about it, in plain English.
    """

    reason = "BAD_DESCRIPTION"

    def __init__(self, field: str) -> None:
        """Name the field only."""
        self.field = field
        self.cure = _CURES[field]
        super().__init__(f"{field} cannot be used. {self.cure}")


@dataclass(frozen=True, slots=True, repr=False)
class Description:
    """One person, normalised. An empty string means not known. Written out it says nothing, wherever that happens.

    Attributes:
        first: First name; the parts of a double name apart by one space.
        last: Last name, likewise.
        middle: Middle names, likewise.
        dob: Date of birth, YYYYMMDD.
        sex: "f", "m" or "".
        number: House number or house name, then "/" and the flat where there is one.
        street: Street, words apart by one space.
        postcode: Without space, lower case.
        nhs: NHS number, ten digits with a right check digit.
        former_last: Earlier last names.
        former_postcodes: Earlier postcodes.
    """

    first: str = ""
    last: str = ""
    middle: str = ""
    dob: str = ""
    sex: str = ""
    number: str = ""
    street: str = ""
    postcode: str = ""
    nhs: str = ""
    former_last: tuple[str, ...] = ()
    former_postcodes: tuple[str, ...] = ()


# ---- folding text ---------------------------------------------------------------------------------------------------

_APART = re.compile(r"[\s\-/,;_&+]+")
_DROPPED_ASCII = re.compile(r"[^a-z0-9 ]+")
_LATIN: Final = str.maketrans(
    # Latin letters that have no decomposition in Unicode, as they are commonly typed on a British keyboard.
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ħ": "h", "ı": "i", "ŋ": "n", "ŧ": "t"}
)
_DASH = "Pd"  # Unicode general category: dash punctuation.


def _words(raw: str) -> list[str]:
    """Lower-case words of letters and digits, without accents or punctuation."""
    if raw.isascii():
        return _DROPPED_ASCII.sub("", _APART.sub(" ", raw.lower())).split()
    # Compatibility caseless matching folds and decomposes twice: Unicode Standard, section 3.13, D146.
    folded = unicodedata.normalize("NFD", raw)
    for _ in range(3):
        folded = unicodedata.normalize("NFKD", folded.casefold())
    folded = folded.translate(_LATIN)
    kept = (
        character if character.isalnum() else " " if _parts_words(character) else ""
        for character in folded
        if not unicodedata.combining(character)
    )
    # Canonical JSON wants normal form C; of what is left, only Korean syllables compose.
    return unicodedata.normalize("NFC", "".join(kept)).split()


def _parts_words(character: str) -> bool:
    return bool(_APART.fullmatch(character)) or unicodedata.category(character) == _DASH


def _bounded(field: str, raw: str, limit: int = RAW_LIMIT) -> str:
    if len(raw) > limit:
        raise BadDescription(field)
    return raw


_TITLES: Final = frozenset({"mr", "mrs", "miss", "ms", "mx", "dr", "master"})
_NOT_NAMES: Final = frozenset(
    # Written where no name is known. As keys they would join people who have nothing in common.
    {"unknown", "notknown", "unk", "none", "null", "anonymous", "unborn", "unbornbaby", "baby", "babyboy", "babygirl"}
    | {"infant", "male", "female", "child", "tbc"}
)


def _name(field: str, raw: str) -> str:
    words = _words(_bounded(field, raw))
    while len(words) > 1 and words[0] in _TITLES:
        words = words[1:]
    if "".join(words) in _NOT_NAMES:
        return ""
    return _bounded(field, " ".join(words), NAME_LIMIT)


_YEAR_FIRST = re.compile(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})(?:[T ][0-9:.,]+(?:Z|[+-][0-9:]+)?)?")
_DAY_FIRST = re.compile(r"([0-9]{1,2})[-/. ]([0-9]{1,2})[-/. ]([0-9]{4})(?:[T ][0-9:.]+)?")
_COMPACT = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
_NOT_DATES: Final = frozenset({"19000101", "19010101", "18000101", "99991231", "11111111"})


def _date(raw: str) -> str:
    """YYYYMMDD. A compact date is taken as recorded, since records hold dates with day and month exchanged."""
    written = unicodedata.normalize("NFKC", _bounded("date_of_birth", raw)).strip()
    if not written:
        return ""
    compact = _COMPACT.fullmatch(written)
    if compact:
        year, month, day = (int(part) for part in compact.groups())
        plausible = 1 <= month <= 31 and 1 <= day <= 31
    else:
        year_first, day_first = _YEAR_FIRST.fullmatch(written), _DAY_FIRST.fullmatch(written)
        if year_first:
            year, month, day = (int(part) for part in year_first.groups())
        elif day_first:
            day, month, year = (int(part) for part in day_first.groups())
        else:
            raise BadDescription("date_of_birth")
        plausible = _calendar(year, month, day) is not None
    found = f"{year:04}{month:02}{day:02}"
    if found in _NOT_DATES:
        return ""
    if not plausible or not 1850 <= year <= 2150:
        raise BadDescription("date_of_birth")
    return found


def _calendar(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


_SEXES: Final = {
    # The digits are the person gender codes of the NHS Data Dictionary.
    **dict.fromkeys(("f", "female", "woman", "girl", "2"), "f"),
    **dict.fromkeys(("m", "male", "man", "boy", "1"), "m"),
}


def _sex(raw: str) -> str:
    """Anything else counts as not known: a third entry is no evidence for or against a match."""
    return _SEXES.get("".join(_words(_bounded("sex", raw))), "")


def _postcode(field: str, raw: str) -> str:
    found = "".join(_words(_bounded(field, raw)))
    if found in _NOT_NAMES or found.startswith("zz99"):
        # ZZ99 stands for "no fixed abode" and the like, shared by people who have nothing in common:
        # https://archive.datadictionary.nhs.uk/DD%20Release%20September%202021/supporting_information/postcode.html
        return ""
    return _bounded(field, found, POSTCODE_LIMIT)


def _nhs_number(raw: str) -> str:
    """Ten digits whose check digit is right, modulus 11.

    https://archive.datadictionary.nhs.uk/DD%20Release%20September%202021/attributes/nhs_number.html
    """
    digits = "".join(_words(_bounded("nhs_number", raw)))
    if not digits or digits == "0" * 10:
        return ""
    if not re.fullmatch(r"[0-9]{10}", digits):
        raise BadDescription("nhs_number")
    check = 11 - sum(int(digit) * weight for digit, weight in zip(digits[:9], range(10, 1, -1), strict=True)) % 11
    if (0 if check == 11 else check) != int(digits[9]):
        raise BadDescription("nhs_number")
    return digits


# ---- addresses ------------------------------------------------------------------------------------------------------

_STREET_TYPES: Final = {
    "st": "street",
    "str": "street",
    "rd": "road",
    "ave": "avenue",
    "av": "avenue",
    "cl": "close",
    "clo": "close",
    "ct": "court",
    "cres": "crescent",
    "dr": "drive",
    "gdns": "gardens",
    "gdn": "gardens",
    "grv": "grove",
    "gr": "grove",
    "ln": "lane",
    "pk": "park",
    "pl": "place",
    "sq": "square",
    "terr": "terrace",
    "ter": "terrace",
    "wlk": "walk",
}
_STREET_WORDS: Final = frozenset(_STREET_TYPES.values()) | {
    "way",
    "rise",
    "hill",
    "row",
    "mews",
    "green",
    "walk",
    "view",
}
_FLATS: Final = frozenset({"flat", "apartment", "apt", "unit", "room", "maisonette", "studio"})
_HOUSE = re.compile(r"[0-9]+[a-z]?")
_POSTCODE_AT_END = re.compile(r"(?:^|[\s,])([a-z]{1,2}[0-9][a-z0-9]?\s?[0-9][a-z]{2})[\s.]*$")
_RANGE = re.compile(r"\b([0-9]+)\s*[-\u2013]\s*[0-9]+\b")
_HOUSE_SLASH_FLAT = re.compile(r"^\s*([0-9]+[a-z]?)\s*/\s*([0-9]+[a-z]?)\b")


def _address(raw: str) -> tuple[str, str, str]:
    """Number (with flat), street, and the postcode if the address ends in one.

    "Flat 3, 14 Larkspur Rise" and "14/3 Larkspur Rise" both give 14/3 and larkspur rise: without the flat, everybody
    of one age in a tower block would share a key.
    """
    written = unicodedata.normalize("NFKC", _bounded("address", raw)).lower()
    ending = _POSTCODE_AT_END.search(written)
    if ending:
        written = written[: ending.start()]
    flat = ""
    segments: list[list[str]] = []
    for piece in re.split(r"[,;\n\r\t]+", written):
        slashed = _HOUSE_SLASH_FLAT.match(piece)
        if slashed and not flat:
            flat = slashed[2]
            piece = f"{slashed[1]} {piece[slashed.end() :]}"  # noqa: PLW2901 -- the same piece, rewritten
        words = _words(_RANGE.sub(r"\1", piece))
        at = next((i for i, word in enumerate(words[:-1]) if word in _FLATS and _is_flat(words[i + 1])), None)
        if at is not None and not flat:
            flat = words[at + 1]
            words = words[:at] + words[at + 2 :]
        if words:
            segments.append(words)
    number, street = _number_and_street(segments)
    if street:
        street[-1] = _STREET_TYPES.get(street[-1], street[-1])
    if flat:
        number = f"{number}/{flat}"
    return (
        _bounded("address", number, NUMBER_LIMIT),
        _bounded("address", " ".join(street), NAME_LIMIT),
        ending[1] if ending else "",
    )


def _is_flat(word: str) -> bool:
    return len(word) == 1 or word[0].isdigit()


def _number_and_street(segments: Sequence[list[str]]) -> tuple[str, list[str]]:
    for i, words in enumerate(segments):
        if not _HOUSE.fullmatch(words[0]):
            continue
        number, street = words[0], words[1:]
        if len(street) > 1 and number.isdigit() and len(street[0]) == 1 and street[0].isalpha():
            number, street = number + street[0], street[1:]  # "12 a Elm Street" is 12a
        if not street and i + 1 < len(segments):
            street = segments[i + 1]
        return number, list(street)
    for i, words in enumerate(segments):
        if words[-1] in _STREET_WORDS or words[-1] in _STREET_TYPES:
            return "".join(segments[i - 1]) if i else "", list(words)
    return "", list(segments[0]) if segments else []


# ---- descriptions ---------------------------------------------------------------------------------------------------


def describe(
    *,
    first_name: str = "",
    last_name: str = "",
    middle_names: str = "",
    date_of_birth: str = "",
    sex: str = "",
    address: str = "",
    postcode: str = "",
    nhs_number: str = "",
    former_last_names: Sequence[str] = (),
    former_postcodes: Sequence[str] = (),
) -> Description:
    """Normalise what is known of a person. Every field may be left empty.

    Args:
        first_name: As written; a title in front is dropped.
        last_name: As written; hyphens and spaces part a double name.
        middle_names: As written.
        date_of_birth: 2013-03-09, 9/3/2013 (day first) or 20130309; a time after it is ignored.
        sex: Words or codes for female and male; anything else counts as not known.
        address: House and street in one line, for example "Flat 3, 14 Larkspur Rise, MD4 7QT".
        postcode: Taken from the end of `address` when empty.
        nhs_number: Ten digits, spaces allowed.
        former_last_names: At most four.
        former_postcodes: At most four.

    Raises:
        BadDescription: A field cannot be used; its `field` says which.
    """
    number, street, found_postcode = _address(address)
    return Description(
        first=_name("first_name", first_name),
        last=_name("last_name", last_name),
        middle=_name("middle_names", middle_names),
        dob=_date(date_of_birth),
        sex=_sex(sex),
        number=number,
        street=street,
        postcode=_postcode("postcode", postcode) or _postcode("postcode", found_postcode),
        nhs=_nhs_number(nhs_number),
        former_last=_former("former_last_names", former_last_names, _name),
        former_postcodes=_former("former_postcodes", former_postcodes, _postcode),
    )


def _former(field: str, raw: Sequence[str], normalise: Callable[[str, str], str]) -> tuple[str, ...]:
    listed = re.split(r"[,;]", _bounded(field, raw)) if isinstance(raw, str) else raw
    if len(listed) > 16:
        raise BadDescription(field)
    found = tuple(dict.fromkeys(filter(None, (normalise(field, one) for one in listed))))
    if len(found) > FORMER_LIMIT:
        raise BadDescription(field)
    return found


def without_address(description: Description) -> Description:
    """The same person without where they live or lived, for a protected address.

    A holder sees the description that was sent, so the landlord of the old flat must not learn of the new one.
    """
    return replace(description, number="", street="", postcode="", former_postcodes=())


def entries(description: Description) -> tuple[Description, ...]:
    """The description, and one more for each former last name and postcode: what an index keeps for one record.

    A former postcode stands without number and street, which belong to the present address.
    """
    return (
        description,
        *(replace(description, last=last) for last in description.former_last),
        *(replace(description, postcode=old, number="", street="") for old in description.former_postcodes),
    )


_FIELDS: Final = ("first", "last", "middle", "dob", "sex", "number", "street", "postcode", "nhs")
_FORM: Final = 1


def to_bytes(description: Description) -> bytes:
    """Canonical JSON of a description."""
    return encode(
        {field: getattr(description, field) for field in _FIELDS}
        | {
            "v": _FORM,
            "former_last": description.former_last,
            "former_postcodes": description.former_postcodes,
        }
    )


def from_bytes(data: bytes) -> Description:
    """Read what `to_bytes` wrote.

    Raises:
        BadDescription: Not canonical, a field too many or too few, or a value that is not normalised.
    """
    try:
        value = decode_object(data)
        closed(value, (*_FIELDS, "v", "former_last", "former_postcodes"))
        integer(value, "v", _FORM, _FORM)
        found = Description(
            **{field: text(value, field) for field in _FIELDS},
            former_last=strings(value, "former_last", FORMER_LIMIT),
            former_postcodes=strings(value, "former_postcodes", FORMER_LIMIT),
        )
    except NotCanonical as error:
        raise BadDescription("description") from error
    if not _is_normalised(found):
        raise BadDescription("description")
    return found


def _is_normalised(one: Description) -> bool:
    return (
        (one.first, one.last, one.middle)
        == tuple(_name("description", name) for name in (one.first, one.last, one.middle))
        and one.former_last == _former("description", one.former_last, _name)
        and one.former_postcodes == _former("description", one.former_postcodes, _postcode)
        and one.postcode == _postcode("description", one.postcode)
        and re.fullmatch(r"[0-9]{8}|", one.dob) is not None
        and one.sex in {"f", "m", ""}
        and re.fullmatch(r"[0-9]{10}|", one.nhs) is not None
        and one.street == " ".join(_words(_bounded("description", one.street, NAME_LIMIT)))
        and one.number == "/".join("".join(_words(part)) for part in one.number.split("/", 1))
        and len(one.number) <= NUMBER_LIMIT
    )


def age_band(dob: str, on: date) -> str:
    """The age band of the policies' input on a day.

    A person born on 29 February comes of age on 1 March in years that have no 29 February.

    Args:
        dob: YYYYMMDD or "".
        on: The day of the question.

    Returns:
        0_4, 5_9, 10_15, 16_17, 18_plus, or unknown (no date, no calendar date, or after `on`).
    """
    born = _calendar(int(dob[:4]), int(dob[4:6]), int(dob[6:])) if len(dob) == 8 else None
    if born is None or born > on:
        return "unknown"
    years = on.year - born.year - ((on.month, on.day) < (born.month, born.day))
    for limit, band in ((5, "0_4"), (10, "5_9"), (16, "10_15"), (18, "16_17")):
        if years < limit:
            return band
    return "18_plus"


# ---- match keys -----------------------------------------------------------------------------------------------------

KEY_LABEL: Final = b"accord key v1"


@dataclass(frozen=True, slots=True)
class Family:
    """One way of joining fields into keys.

    Attributes:
        id: Its parts apart by spaces, for example "dob.x pc.x".
        parts: Levels of fields, in the order in which they enter the key.
        fixes: Fields that a shared key proves equal as a whole: some of first, last, dob, sex, pc, addr, nhs.
    """

    id: str
    parts: tuple[str, ...]
    fixes: frozenset[str]


@dataclass(frozen=True, slots=True)
class MatchKey:
    """One key of one person, to be turned into a token.

    Attributes:
        family: The family's id.
        input: lp("accord key v1") lp(family) lp(field) ..., the input of the first key server.
    """

    family: str
    input: bytes


@dataclass(frozen=True, slots=True)
class _Person:
    first: str
    last: str
    parts: tuple[str, ...]
    middle: str
    dob: str
    sex: str
    number: str
    street: str
    postcode: str
    nhs: str


@lru_cache(maxsize=65_536)
def _sound(name: str) -> str:
    return doublemetaphone(name)[0] or name[:2]


def _nickname_roots(name: str) -> tuple[str, ...]:
    return (name, *roots_of(name)[:7])


def _masks(dob: str) -> tuple[str, ...]:
    """Dates with one digit hidden, and with the century hidden."""
    return (*(dob[:i] + "_" + dob[i + 1 :] for i in range(2, 8)), "__" + dob[2:])


def _day_and_month_unordered(dob: str) -> str:
    first, second = sorted((dob[4:6], dob[6:]))
    return dob[:4] + first + second


_LEVELS: Final[dict[str, Callable[[_Person], tuple[str, ...]]]] = {
    "first.x": lambda one: (one.first,),
    "first.i": lambda one: (one.first[:1],),
    "first.3": lambda one: (one.first[:3],),
    "first.ph": lambda one: (_sound(one.first),) if one.first else (),
    "first.nick": lambda one: _nickname_roots(one.first),
    "last.x": lambda one: (one.last,),
    "last.i": lambda one: (one.last[:1],),
    "last.3": lambda one: (one.last[:3],),
    "last.4": lambda one: (one.last[:4],),
    "last.ph": lambda one: (_sound(one.last),) if one.last else (),
    "last.part": lambda one: one.parts,
    "names.swap": lambda one: ("|".join(sorted((one.first, one.last))),) if one.first and one.last else (),
    "mid": lambda one: (one.middle[:1],),
    "sex": lambda one: (one.sex,),
    "dob.x": lambda one: (one.dob,),
    "dob.ym": lambda one: (one.dob[:6],),
    "dob.swap": lambda one: (_day_and_month_unordered(one.dob),) if one.dob else (),
    "dob.mask": lambda one: _masks(one.dob) if one.dob else (),
    "pc.x": lambda one: (one.postcode,),
    "addr.x": lambda one: (f"{one.number}|{one.street}",) if one.number and one.street else (),
    "addr.no": lambda one: (one.number,),
    "addr.st": lambda one: (one.street,),
    "nhs.x": lambda one: (one.nhs,),
}
_FIXES: Final = {
    "first.x": ("first",),
    "last.x": ("last",),
    "names.swap": ("first", "last"),
    "dob.x": ("dob",),
    "sex": ("sex",),
    "pc.x": ("pc",),
    "addr.x": ("addr",),
    "nhs.x": ("nhs",),
}


def _family(family_id: str) -> Family:
    parts = tuple(family_id.split(" "))
    return Family(family_id, parts, frozenset(itertools.chain.from_iterable(_FIXES.get(part, ()) for part in parts)))


FAMILIES: Final = tuple(
    map(
        _family,
        (
            # Names and birth date: for somebody who has moved, or whose address is protected.
            "first.3 last.4 dob.x",
            "first.ph last.ph dob.swap",
            "first.nick last.part dob.swap",
            "names.swap dob.x",
            "first.x last.x dob.mask mid",
            "first.x dob.x mid",
            "last.x dob.swap sex mid",
            # Birth date and place: for a name that was changed or misspelt.
            "dob.x pc.x",
            "dob.x addr.no first.3",
            "dob.x addr.no last.3",
            "first.i addr.st dob.x",
            "last.x addr.st dob.x",
            "first.x pc.x dob.ym",
            # Names and place: for a birth date that is missing or wrong.
            "names.swap pc.x",
            "names.swap addr.x",
            "first.3 last.3 addr.x",
            "first.x last.i pc.x addr.no",
            "nhs.x",
        ),
    )
)
"""The federation's default set. Each was admitted by measurement (`tests/agency_node/test_enumeration.py`): in an area
of 100,000 people the best use of a node's yearly allowance for it reaches at most 0.5 % of them, whether the node holds
a fifth of the area or nearly half. What names with birth dates reach grows with the area's size."""

SUBJECT_FAMILIES: Final = tuple(map(_family, ("first.x last.x dob.x", "dob.x pc.x first.x", "first.x last.x addr.x")))
"""One-person families for subject tags; under a key of their own, held by the steward only."""


def values_of(part: str, description: Description) -> tuple[str, ...]:
    """The values that one part of a family takes for a person, "dob.mask" for example; none where it is not known.

    Args:
        part: One of `Family.parts`.
        description: One person.
    """
    return tuple(value for value in _LEVELS[part](_person(description)) if value)


def match_keys(description: Description) -> tuple[MatchKey, ...]:
    """The keys under which this person is asked about or kept in an index.

    Args:
        description: One person. Former names and postcodes give no keys here; see `entries`.

    Returns:
        At most MAX_KEYS, without doubles, in the order of FAMILIES. Where there would be more (very long names), every
        family keeps its first keys, exact values before variants.
    """
    return _keys(FAMILIES, description)


def subject_keys(description: Description) -> tuple[MatchKey, ...]:
    """The keys of subject tags: at most three, in the order of SUBJECT_FAMILIES."""
    return _keys(SUBJECT_FAMILIES, description)


def enough_to_go_on(keys: Iterable[MatchKey]) -> bool:
    """Whether a person with these match keys may be asked about: at least MINIMUM_KEYS families have one."""
    return len({key.family for key in keys}) >= MINIMUM_KEYS


def _keys(families: Sequence[Family], description: Description) -> tuple[MatchKey, ...]:
    one = _person(description)
    values: dict[str, tuple[bytes, ...]] = {}
    by_family: list[list[MatchKey]] = []
    for family in families:
        for part in family.parts:
            if part not in values:
                values[part] = tuple(lp(value.encode()) for value in _LEVELS[part](one) if value)
        prefix = _PREFIXES[family.id]
        fields = [values[part] for part in family.parts]
        by_family.append([MatchKey(family.id, prefix + b"".join(chosen)) for chosen in itertools.product(*fields)])
    if sum(map(len, by_family)) > MAX_KEYS:
        rounds = itertools.chain.from_iterable(itertools.zip_longest(*by_family))
        kept = set(itertools.islice(filter(None, rounds), MAX_KEYS))
        by_family = [[key for key in keys if key in kept] for keys in by_family]
    return tuple(itertools.chain.from_iterable(by_family))


_PREFIXES: Final = {family.id: lp(KEY_LABEL, family.id.encode()) for family in (*FAMILIES, *SUBJECT_FAMILIES)}


def _person(description: Description) -> _Person:
    last = description.last.replace(" ", "")
    parts = tuple(dict.fromkeys((last, *(part for part in description.last.split(" ")[:4] if len(part) > 2))))
    return _Person(
        first=description.first.replace(" ", ""),
        last=last,
        parts=parts,
        middle=description.middle,
        dob=description.dob,
        sex=description.sex,
        number=description.number,
        street=description.street.replace(" ", ""),
        postcode=description.postcode,
        nhs=description.nhs,
    )


# ---- digests --------------------------------------------------------------------------------------------------------


def _digest(definition: object) -> str:
    return sha256(encode(definition)).hex()


NORMALISER_DIGEST: Final = _digest(
    {
        "normaliser": "accord normaliser v1",
        "phonetics": "doublemetaphone 1.2",
        "nicknames": [NICKNAMES_VERSION, NICKNAMES_DIGEST],
        "latin": sorted(f"{chr(letter)}{plain}" for letter, plain in _LATIN.items()),
        "titles": sorted(_TITLES),
        "not_names": sorted(_NOT_NAMES),
        "not_dates": sorted(_NOT_DATES),
        "street_types": sorted(f"{short} {long}" for short, long in _STREET_TYPES.items()),
        "street_words": sorted(_STREET_WORDS),
        "flats": sorted(_FLATS),
    }
)
"""Hexadecimal SHA-256 over the version of the rules above and every table they read."""

FAMILY_SET_DIGEST: Final = _digest(
    {
        "families": [family.id for family in FAMILIES],
        "subject_families": [family.id for family in SUBJECT_FAMILIES],
        "label": KEY_LABEL.decode(),
        "levels": "accord levels v2",
        "max_keys": MAX_KEYS,
        "minimum": MINIMUM_KEYS,
    }
)
"""Hexadecimal SHA-256 over the families and the version of the levels they join."""
