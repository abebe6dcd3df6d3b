"""Invented households, and how two agencies each write the same people down, with the slips that records have.

Used to fit and to measure linkage. Names are put together from syllables and from the table of given names; no figure
here is taken from a set that linkage is judged on. It shares nothing with the demo's county, which serves as a second,
independent measure.
"""

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from random import Random
from typing import Final

from accord.identity import Description, describe
from accord.nicknames import ROOTS

GIVEN: Final = tuple(sorted({root for roots in ROOTS.values() for root in roots if len(root) > 2}))
"""First names, both sexes."""
SHORT: Final = {root: tuple(short for short, roots in ROOTS.items() if root in roots) for root in GIVEN}
_HEAD_WORDS: Final = """
ash bar black brad brook burn carl clay cob cran dal dun ed elm fair fen gar graf hal har hol kel king lang lin
lock mal mar mel nor oak old pen ray red ros shel stan thor tol wal wes whit win wood"""
_TAIL_WORDS: Final = """
bury by combe cote croft den don field ford ham hurst land ley low man mere more ridge son stead stock ton well
wick wood worth"""
_HEADS: Final = tuple(_HEAD_WORDS.split())
_TAILS: Final = tuple(_TAIL_WORDS.split())
SURNAMES: Final = tuple(head + tail for head in _HEADS for tail in _TAILS)
# A few names are common and many are rare (Zipf).
_GIVEN_WEIGHTS: Final = tuple(accumulate(1 / (rank + 15) for rank in range(len(GIVEN))))
_SURNAME_WEIGHTS: Final = tuple(accumulate(1 / (rank + 40) for rank in range(len(SURNAMES))))
STREETS: Final = tuple(f"{head}{tail} {kind}" for head in _HEADS for tail in _TAILS[::3] for kind in ("road", "close"))


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody as they are: raw fields for `describe`, and what they were before."""

    household: int
    twin: int
    first: str
    middle: str
    last: str
    maiden: str
    born: datetime.date
    sex: str
    number: str
    street: str
    postcode: str
    old_number: str
    old_street: str
    old_postcode: str
    nhs: str


def households(seed: int, people: int) -> tuple[Person, ...]:
    """So many people or a few more, in households with parents, children, twins and namesakes."""
    chooser = Random(f"households {seed}")
    given, surnames = list(GIVEN), list(SURNAMES)
    chooser.shuffle(given)
    chooser.shuffle(surnames)
    found: list[Person] = []
    household = 0
    while len(found) < people:
        household += 1
        found.extend(_household(chooser, household, given, surnames))
    return tuple(found)


def _household(chooser: Random, household: int, given: Sequence[str], surnames: Sequence[str]) -> Iterator[Person]:
    def named() -> str:
        return chooser.choices(given, cum_weights=_GIVEN_WEIGHTS)[0]

    def surname() -> str:
        return chooser.choices(surnames, cum_weights=_SURNAME_WEIGHTS)[0]

    def home() -> tuple[str, str, str]:
        street = chooser.randrange(len(STREETS))
        flat = f"Flat {chooser.randint(1, 9)}, " if chooser.random() < 0.2 else ""
        letters = "ABDEFGHJLNPQRSTUWXYZ"
        code = f"MD{street % 9 + 1} {street // 9 % 9 + 1}{letters[street // 81 % 20]}{chooser.choice(letters[:4])}"
        return f"{flat}{chooser.randint(1, 120)}", STREETS[street], code

    number, street, postcode = home()
    old_number, old_street, old_postcode = home() if chooser.random() < 0.3 else ("", "", "")
    last = surname()

    def person(born: datetime.date, sex: str, first: str, own: str, maiden: str, twin: int = 0) -> Person:
        return Person(
            household, twin, first, named() if chooser.random() < 0.7 else "", own, maiden, born, sex, number, street,
            postcode, old_number, old_street, old_postcode, _nhs(chooser),
        )  # fmt: skip

    father = named()
    if chooser.random() < 0.7:
        yield person(_born(chooser, 1955, 1998), "m", father, last, "")
    if chooser.random() < 0.9:
        own, maiden = (last, surname()) if chooser.random() < 0.5 else (surname(), "")
        yield person(_born(chooser, 1955, 1999), "f", named(), own, maiden)
    for child in range(chooser.choices((0, 1, 2, 3, 4), (30, 25, 28, 12, 5))[0]):
        born = _born(chooser, 2006, 2025)
        sex = chooser.choice("fm")
        first = father if sex == "m" and chooser.random() < 0.03 else named()
        twins = chooser.random() < 0.02
        mark = household * 10 + child if twins else 0
        yield person(born, sex, first, last, "", mark)
        if twins:
            alike = chooser.random() < 0.6
            yield person(born, sex if alike else "fm"[sex == "f"], named(), last, "", mark)


def _born(chooser: Random, first: int, last: int) -> datetime.date:
    if chooser.random() < 0.01:
        return datetime.date(chooser.randint(first, last), 1, 1)
    start = datetime.date(first, 1, 1).toordinal()
    return datetime.date.fromordinal(chooser.randint(start, datetime.date(last, 12, 31).toordinal()))


def _nhs(chooser: Random) -> str:
    while True:
        digits = f"999{chooser.randrange(1_000_000):06d}"
        check = -sum(int(digit) * weight for digit, weight in zip(digits, range(10, 1, -1), strict=True)) % 11
        if check != 10:
            return f"{digits}{check}"


def written_down(person: Person, chooser: Random) -> Description:
    """One agency's record of somebody. One clerk in five makes four times as many slips."""
    slips = 4.0 if chooser.random() < 0.2 else 1.0

    def slip(share: float) -> bool:
        return chooser.random() < min(share * slips, 0.5)

    if person.old_street and chooser.random() < 0.3:
        person = replace(
            person, number=person.old_number, street=person.old_street, postcode=person.old_postcode, old_postcode=""
        )
    first, last, former = person.first, person.last, ""
    if person.maiden and chooser.random() < 0.35:
        last = person.maiden
    elif person.maiden and chooser.random() < 0.4:
        former = person.maiden
    if slip(0.05) and SHORT.get(first):
        first = chooser.choice(SHORT[first])
    if slip(0.006):
        first = person.middle or chooser.choice(GIVEN)
    first = _mistyped(first, chooser) if slip(0.02) else first
    last = _mistyped(last, chooser) if slip(0.02) else last
    last = f"{last}-{chooser.choice(SURNAMES)}" if slip(0.01) else last
    if slip(0.004):
        first, last = last, first
    number = "" if slip(0.02) else person.number
    number = number.split(", ")[-1] if slip(0.15) else number
    street = _mistyped(person.street, chooser) if slip(0.03) else person.street
    return describe(
        first_name="" if slip(0.003) else first,
        last_name="" if slip(0.003) else last,
        middle_names="" if slip(0.25) else chooser.choice(GIVEN) if slip(0.02) else person.middle,
        date_of_birth="" if slip(0.015) else _misdated(person.born, chooser, slip(0.015), slip(0.008), slip(0.003)),
        sex="" if slip(0.03) else "fm"[person.sex == "f"] if slip(0.002) else person.sex,
        address="" if slip(0.03) or not number else f"{number} {street}",
        postcode="" if slip(0.03) else _mistyped(person.postcode, chooser) if slip(0.015) else person.postcode,
        nhs_number=(_nhs(chooser) if slip(0.002) else person.nhs) if chooser.random() < 0.3 else "",
        former_last_names=(former,) if former else (),
        former_postcodes=(person.old_postcode,) if person.old_postcode and chooser.random() < 0.3 else (),
    )


def _mistyped(text: str, chooser: Random) -> str:
    at = chooser.randrange(1, len(text)) if len(text) > 1 else 0
    kind = chooser.randrange(4)
    letter = chooser.choice("abcdefghijklmnoprstuwy")
    if kind == 0:
        return text[:at] + text[at + 1 :]
    if kind == 1:
        return text[:at] + letter + text[at:]
    if kind == 2:
        return text[:at] + letter + text[at + 1 :]
    return text[: at - 1] + text[at] + text[at - 1] + text[at + 1 :] if at else text


def _misdated(born: datetime.date, chooser: Random, digit: bool, turned: bool, gross: bool) -> str:
    written = born.strftime("%Y%m%d")
    if gross:
        return _born(chooser, 1950, 2025).strftime("%Y%m%d")
    if turned:
        return written[:4] + written[6:] + written[4:6]
    if digit:
        at = chooser.choice((2, 3, 7, 7, 6, 5))
        changed = written[:at] + str(chooser.randrange(10)) + written[at + 1 :]
        month, day = int(changed[4:6]), int(changed[6:])
        return changed if 1 <= month <= 12 and 1 <= day <= 31 else written
    return written
