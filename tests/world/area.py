"""An invented area as large as a district, to guess at: who lives where, and what anybody knows.

    area(seed, people) -> Area(people, laws): the people, and the public facts that they were drawn from

Built only to be realistic in what makes people hard or easy to guess: a few common names and many rare ones, first
names that belong to their decade, streets and postcodes of very different sizes, households, the age structure. Its
shapes are chosen to be about as uneven as Britain's, not fitted: the commonest last name has 1.2 % of people and the
tenth 0.6 %; the commonest first name 5 % of those born around 1960 and 1.7 % of those born around 2015; homes hold 1 to
6 people, 2.4 on average; a postcode has 15 addresses, few have more than 50; ages are level up to 60 and fall to
nothing at 100. It shares nothing with the demo's county or the invented households.

Left out: halls, barracks and prisons, where hundreds of one age share a postcode.
"""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from random import Random
from typing import Final

from accord.identity import Description
from accord.nicknames import ROOTS

AS_OF: Final = 2026
FIRST_YEAR: Final = 1930
COHORT: Final = 10
"""Years that share one table of first names."""
SURNAMES: Final = 60_000
GIVEN: Final = 1_600
"""First names of each sex."""
MIDDLE: Final = 0.75
"""People with a middle name."""
HOUSEHOLDS: Final = {1: 30, 2: 34, 3: 16, 4: 13, 5: 5, 6: 2}
"""People in a household -> households in a hundred."""

_HEADS: Final = """
b bl br c ch cl cr d dr f fl fr g gl gr h j k kn l m n p pr qu r s sh sl st t th tr v w wh y"""
_MIDDLES: Final = """
a e i o u ai ea ee oo ou"""
_CLOSES: Final = """
b ck d ff g l ll m mp n nd ng nt p r rd rk rn rt s sh st t th x"""
_TAILS: Final = """
son s er ley ton ham man field ford worth wood well den ing by ett land more shaw stead wick ridge house"""
_ONSETS: Final = tuple(_HEADS.split())
_VOWELS: Final = tuple(_MIDDLES.split())
_CODAS: Final = tuple(_CLOSES.split())
_ENDINGS: Final = ("", *_TAILS.split())
_STREET_KINDS: Final = ("road", "street", "close", "avenue", "lane", "drive", "way", "crescent")


@dataclass(frozen=True, slots=True)
class Resident:
    """Somebody who lives here.

    Attributes:
        household: Number of the household; also that of its address in `Laws.addresses`.
        description: As everybody has them written down: nothing here is misspelt.
    """

    household: int
    description: Description


@dataclass(frozen=True, slots=True)
class Laws:
    """What anybody can look up, and what the people were drawn from.

    Attributes:
        years: Year of birth -> share of people.
        first: (sex, cohort) -> first name -> share.
        middle: Sex -> middle name -> share of those who have one.
        last: Last name -> share.
        addresses: Number, street, postcode of every home.
        per_home: People in a home, on average.
    """

    years: Mapping[int, float]
    first: Mapping[tuple[str, int], Mapping[str, float]]
    middle: Mapping[str, Mapping[str, float]]
    last: Mapping[str, float]
    addresses: Sequence[tuple[str, str, str]]
    per_home: float


@dataclass(frozen=True, slots=True)
class Area:
    """People, and the public facts about them."""

    people: tuple[Resident, ...]
    laws: Laws


def cohort(year: int) -> int:
    """The first year of the table of first names that a year of birth belongs to."""
    return year - year % COHORT


def area(seed: int, people: int) -> Area:
    """Draw an area of so many people or a few more."""
    chooser = Random(f"area {seed}")
    homes = round(people / _per_home())
    laws = Laws(_years(), _first_names(), _middle_names(), _surnames(), _addresses(chooser, homes), _per_home())
    years, year_weights = list(laws.years), list(accumulate(laws.years.values()))
    lasts, last_weights = list(laws.last), list(accumulate(laws.last.values()))
    firsts = {key: (list(table), list(accumulate(table.values()))) for key, table in laws.first.items()}

    middles = {sex: (list(table), list(accumulate(table.values()))) for sex, table in laws.middle.items()}

    found: list[Resident] = []
    sizes = chooser.choices(list(HOUSEHOLDS), list(HOUSEHOLDS.values()), k=homes)
    for household, size in enumerate(sizes):
        number, street, postcode = laws.addresses[household]
        shared = chooser.choices(lasts, cum_weights=last_weights)[0]
        for _ in range(size):
            last = shared if chooser.random() < 0.8 else chooser.choices(lasts, cum_weights=last_weights)[0]
            year = chooser.choices(years, cum_weights=year_weights)[0]
            born = datetime.date(year, 1, 1) + datetime.timedelta(days=chooser.randrange(365))
            sex = chooser.choice("fm")
            names, weights = firsts[sex, cohort(year)]
            first = chooser.choices(names, cum_weights=weights)[0]
            names, weights = middles[sex]
            middle = chooser.choices(names, cum_weights=weights)[0] if chooser.random() < MIDDLE else ""
            found.append(
                Resident(
                    household,
                    Description(
                        first=first,
                        last=last,
                        middle=middle,
                        dob=f"{born:%Y%m%d}",
                        sex=sex,
                        number=number,
                        street=street,
                        postcode=postcode,
                    ),
                )
            )
    return Area(tuple(found), laws)


def _per_home() -> float:
    return sum(size * weight for size, weight in HOUSEHOLDS.items()) / sum(HOUSEHOLDS.values())


def _years() -> dict[int, float]:
    weights = {year: min(1.0, (AS_OF - year - 100) / -40) for year in range(FIRST_YEAR, AS_OF)}
    return {year: weight / sum(weights.values()) for year, weight in weights.items()}


def _zipf(ranks: int, offset: float, power: float) -> list[float]:
    """Shares by rank (Zipf and Mandelbrot)."""
    weights = [(rank + offset) ** -power for rank in range(1, ranks + 1)]
    whole = sum(weights)
    return [weight / whole for weight in weights]


@cache
def _surnames() -> Mapping[str, float]:
    chooser = Random("surnames of an area")
    names: dict[str, None] = {}
    while len(names) < SURNAMES:
        names["".join(map(chooser.choice, (_ONSETS, _VOWELS, _CODAS, _ENDINGS)))] = None
    return dict(zip(names, _zipf(SURNAMES, 6, 0.97), strict=True))


def _middle_names() -> dict[str, Mapping[str, float]]:
    """Fewer and commoner than first names, and slower to change: one in ten has the commonest."""
    return {sex: dict(zip(_first_names()[sex, 1970], _zipf(GIVEN, 2, 1.3), strict=True)) for sex in "fm"}


@cache
def _first_names() -> Mapping[tuple[str, int], Mapping[str, float]]:
    """By sex and decade: fashion moves names up and down, and spreads them out since the seventies."""
    real = sorted({root for roots in ROOTS.values() for root in roots if len(root) > 2})
    found: dict[tuple[str, int], Mapping[str, float]] = {}
    for sex in "fm":
        chooser = Random(f"first names of an area {sex}")
        names = real[sex == "m" :: 2]
        made: dict[str, None] = dict.fromkeys(chooser.sample(names, len(names)))
        while len(made) < GIVEN:
            made["".join(map(chooser.choice, (_ONSETS, _VOWELS, _CODAS, ["a", "ie", "o", "an", "el", ""])))] = None
        fashion = {name: float(rank) for rank, name in enumerate(made)}
        for decade in range(FIRST_YEAR, AS_OF, COHORT):
            fashion = {name: rank * chooser.lognormvariate(0, 0.5) + 1 for name, rank in fashion.items()}
            offset = min(15, max(3, 3 + (decade - 1970) * 0.3))
            ranked = sorted(fashion, key=lambda name: fashion[name])
            found[sex, decade] = dict(zip(ranked, _zipf(GIVEN, offset, 1.1), strict=True))
    return found


def _addresses(chooser: Random, homes: int) -> tuple[tuple[str, str, str], ...]:
    """Streets of 5 to 400 homes; a postcode for every 15 or so along a street, and for every block of flats."""
    letters = "abdefghjlnpqrstuwxyz"
    units = [f"{sector}{one}{two}" for sector in range(10) for one in letters for two in letters]
    codes = (f"md{district}{unit}" for district in range(1, 100) for unit in units)
    found: list[tuple[str, str, str]] = []
    streets: dict[str, None] = {}
    while len(found) < homes:
        name = f"{''.join(map(chooser.choice, (_ONSETS, _VOWELS, _CODAS, _ENDINGS)))} {chooser.choice(_STREET_KINDS)}"
        if name in streets:
            continue
        streets[name] = None
        length = min(400, max(5, round(chooser.lognormvariate(3.4, 0.9))))
        number, left, code = 0, 0, ""
        while number < length:
            number += 1
            if chooser.random() < 0.01:
                block = next(codes)
                found += [(f"{number}/{flat}", name, block) for flat in range(1, chooser.randint(8, 60))]
                continue
            if left == 0:
                left, code = max(2, min(60, round(chooser.lognormvariate(2.6, 0.5)))), next(codes)
            left -= 1
            found.append((str(number), name, code))
    return tuple(found[:homes])
