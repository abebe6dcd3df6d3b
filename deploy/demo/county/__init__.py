"""An invented county, and the three databases in which its agencies remember it, each in its own way.

    generate(seed, people, as_of) -> County -> write(agency, folder, county) -> a database file or a folder of CSV

* Everybody here is invented. Postcodes use the area MD, which the Royal Mail has given to no place; NHS numbers come
  from 999 000 0000 to 999 999 9999, set aside for testing; telephone numbers come from the block Ofcom keeps for drama.
* The same seed, size and day make the same county, whatever else the machine is doing.
* Each agency's memory is damaged as real ones are: the police shout in capitals, drop middle names and write down the
  name somebody is called by; social care mistypes; housing loses the flat number, keeps maiden names and has turned
  a day and a month round. Linkage has to cope with all of it.
* One household is fixed, whatever the seed: Jamie, Anne and Stacey at Flat 3, 14 Larkspur Rise, and those around them.
  One family, the Okonjo-Reyeses, lives in the county and is in nobody's records.

Run by hand: `python -m deploy.demo.county FOLDER` writes one folder an agency.
"""

import argparse
import csv
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Final, TypeAlias

from nhs_number.validate import is_valid

from deploy.demo.names import HERITAGES, SHORT_FORMS, STREETS, Heritage

AGENCIES: Final = ("police", "social-care", "housing")
MAPPINGS: Final = Path(__file__).resolve().parents[1] / "mappings"
"""One mapping a file, `police.yaml` and so on: which of that agency's columns answer which question."""

SHARES: Final[Mapping[str, float]] = MappingProxyType({"police": 0.37, "social-care": 0.40, "housing": 0.46})
"""How much of the county each agency knows."""

SMALLEST: Final = 20
LARGEST: Final = 50_000
"""Fewest and most people a county may have: room for the fixed household, and streets enough for the rest."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where somebody lives.

    Attributes:
        flat: "3", or "" for a house.
        number: House number.
        street: Street name.
        postcode: With its space, "MD4 7QT".
    """

    flat: str
    number: str
    street: str
    postcode: str

    @property
    def line(self) -> str:
        """As on an envelope, without the postcode: "Flat 3, 14 Larkspur Rise"."""
        house = f"{self.number} {self.street}"

        return f"Flat {self.flat}, {house}" if self.flat else house


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody as they really are, before any agency has written them down.

    Attributes:
        id: "p0001": for tests and figures; in no database.
        household: "h0001": likewise.
        first_name: As on the birth certificate.
        middle_name: One middle name, or "".
        last_name: Now.
        former_last_name: Before a marriage or a new family, or "".
        date_of_birth: The true one.
        sex: "f" or "m".
        nhs_number: Ten digits from the range for testing.
        address: Now.
        former_address: Before the last move, or None.
    """

    id: str
    household: str
    first_name: str
    middle_name: str
    last_name: str
    former_last_name: str
    date_of_birth: date
    sex: str
    nhs_number: str
    address: Address
    former_address: Address | None


@dataclass(frozen=True, slots=True)
class Contact:
    """One time an agency had to do with somebody.

    Attributes:
        on: The day.
        team: Key of the team to ring, as in the agency's mapping.
        open: Whether the agency is still at work on it.
    """

    on: date
    team: str
    open: bool


@dataclass(frozen=True, slots=True)
class Assessment:
    """An assessment that was finished.

    Attributes:
        on: The day it was finished.
        team: Key of the team that made it.
    """

    on: date
    team: str


@dataclass(frozen=True, slots=True)
class Held:
    """What one agency has written down about one person, mistakes and all.

    Attributes:
        ref: The agency's own number for them.
        truth: Who it really is; for tests and figures, written nowhere.
        first_name: As written down.
        middle_name: As written down.
        last_name: As written down; may be the former one.
        former_last_name: The other name, where the agency keeps one.
        date_of_birth: As written down.
        address: As written down; None for no fixed abode.
        former_address: Where the agency keeps an earlier one.
        nhs_number: Where the agency has it, else "".
        shielded: Nothing may be said about them: a refuge, an adoption.
        contacts: Oldest first; at least one.
        assessments: Oldest first.
    """

    ref: int
    truth: Person
    first_name: str
    middle_name: str
    last_name: str
    former_last_name: str
    date_of_birth: date
    address: Address | None
    former_address: Address | None
    nhs_number: str
    shielded: bool
    contacts: tuple[Contact, ...]
    assessments: tuple[Assessment, ...]


@dataclass(frozen=True, slots=True)
class County:
    """Everybody, and who knows whom.

    Attributes:
        seed: What the county grew from.
        as_of: The day on which it is looked at; contacts lie before it.
        people: Everybody who may be in somebody's records.
        strangers: The Okonjo-Reyes family, in nobody's records.
        held: Per agency, what it has written down.
    """

    seed: int
    as_of: date
    people: tuple[Person, ...]
    strangers: tuple[Person, ...]
    held: Mapping[str, tuple[Held, ...]]

    def person(self, first_name: str, last_name: str) -> Person:
        """The one person of that true name in the fixed household or among the strangers.

        Raises:
            LookupError: Nobody there is called that.
        """
        for person in (*self.people[: len(_THORLEY_CALLOWAY)], *self.strangers):
            if (person.first_name, person.last_name) == (first_name, last_name):
                return person
        raise LookupError("nobody in the fixed households has that name")

    def record(self, agency: str, person: Person) -> Held | None:
        """What that agency has written down about this person, or None."""
        return next((held for held in self.held[agency] if held.truth.id == person.id), None)


# -- The household everybody's story is about -------------------------------------------------------------------------

LARKSPUR: Final = Address("3", "14", "Larkspur Rise", "MD4 7QT")
_QUARRY_MEAD: Final = Address("", "9", "Quarry Mead", "MD2 3HB")

_Row: TypeAlias = tuple[str, str, str, str, date, str]
"""First, middle, last, former last name, born, sex."""

_THORLEY_CALLOWAY: Final = (
    ("Jamie", "Alan", "Thorley", "", date(2013, 3, 9), "m"),
    ("Anne", "Marie", "Calloway", "Hebden", date(1988, 5, 21), "f"),
    ("Stacey", "Dawn", "Calloway", "", date(2009, 1, 30), "f"),
    ("Dean", "Robert", "Thorley", "", date(1981, 10, 2), "m"),
    ("Alfie", "George", "Thorley", "", date(2020, 6, 25), "m"),
    ("Kyle", "Dean", "Thorley", "", date(2008, 7, 11), "m"),
    ("Leanne", "Joy", "Thorley", "", date(2005, 4, 17), "f"),
    ("Ryan", "Lee", "Calloway", "", date(2005, 8, 19), "m"),
)

_OKONJO_REYES: Final = (
    ("Beatriz", "Ada", "Okonjo-Reyes", "Reyes", date(1991, 11, 4), "f"),
    ("Chike", "Daniel", "Okonjo-Reyes", "Okonjo", date(1989, 2, 13), "m"),
    ("Mateo", "Chidi", "Okonjo-Reyes", "", date(2017, 8, 28), "m"),
)

# Days before `as_of`, team, still open. Jamie: recent police contact, two short foster placements, poor attendance.
# Anne: in custody last winter; tenant, with an open complaint from neighbours. Stacey: years in care, once on the
# child protection register; known to police through friends only, and that was long ago.
_KNOWN: Final[Mapping[str, Mapping[str, tuple[tuple[int, str, bool], ...]]]] = MappingProxyType(
    {
        "police": {
            "Jamie": ((790, "response", False), (301, "youth", False), (23, "youth", False)),
            "Anne": ((1480, "response", False), (262, "custody", False)),
            "Stacey": ((888, "neighbourhood", False),),
            "Ryan": ((410, "custody", False), (96, "neighbourhood", False)),
        },
        "social-care": {
            "Jamie": ((2300, "looked-after", False), (655, "looked-after", False), (148, "assessment", False)),
            "Anne": ((1960, "assessment", False),),
            "Stacey": ((3900, "protection", False), (2900, "looked-after", False), (61, "leaving-care", True)),
            "Dean": ((2300, "assessment", False), (148, "assessment", False)),
            "Alfie": ((212, "disability", True),),
        },
        "housing": {
            "Anne": ((1690, "tenancy", False), (35, "nuisance", True)),
            "Dean": ((1690, "tenancy", False),),
            "Jamie": ((1690, "tenancy", False),),
            "Stacey": ((1690, "tenancy", False),),
            "Alfie": ((1690, "tenancy", False),),
            "Kyle": ((1690, "tenancy", False),),
        },
    }
)
_ASSESSED: Final[Mapping[str, Mapping[str, tuple[tuple[int, str], ...]]]] = MappingProxyType(
    {
        "police": {"Jamie": ((20, "youth"),)},
        "social-care": {
            "Jamie": ((600, "assessment"),),
            "Stacey": ((2870, "protection"), (40, "leaving-care")),
            "Alfie": ((180, "disability"),),
        },
        "housing": {"Anne": ((1700, "options"),)},
    }
)

_TEAMS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "police": ("neighbourhood", "response", "custody", "youth"),
        "social-care": ("assessment", "looked-after", "protection", "disability", "leaving-care"),
        "housing": ("tenancy", "options", "nuisance"),
    }
)
"""Order matters: the generator draws from it."""


# -- Growing the county -----------------------------------------------------------------------------------------------


def generate(seed: int = 2026, people: int = 300, as_of: date = date(2026, 11, 22)) -> County:
    """Grow a county.

    Args:
        seed: Same seed, same county.
        people: How many may be in somebody's records, SMALLEST to LARGEST; the strangers come on top.
        as_of: The day on which it is looked at. Births are fixed by the seed, contacts count back from this day.

    Raises:
        ValueError: `people` is out of range.
    """
    if not SMALLEST <= people <= LARGEST:
        raise ValueError(f"people: {people} is not between {SMALLEST} and {LARGEST}")
    random = Random(f"accord county {seed}")
    numbers = _nhs_numbers(random, people + len(_OKONJO_REYES))
    grown = _Grower(random, numbers)
    grown.fixed(_THORLEY_CALLOWAY, LARKSPUR)
    while len(grown.people) < people:
        grown.household(room=people - len(grown.people))
    population = tuple(grown.people)
    grown.fixed(_OKONJO_REYES, _QUARRY_MEAD)

    held = {agency: tuple(_remember(agency, population, seed, as_of)) for agency in AGENCIES}

    return County(seed, as_of, population, tuple(grown.people[people:]), MappingProxyType(held))


def _nhs_numbers(random: Random, count: int) -> list[str]:
    """Different valid NHS numbers from the range for testing, 999 000 0000 to 999 999 9999.

    Modulus 11 check digit: NHS Data Dictionary, NHS NUMBER,
    https://www.datadictionary.nhs.uk/attributes/nhs_number.html. The package's own generator draws from the wider
    synthetic range, some of which may be given out one day, so only the check is the package's.
    """
    numbers: list[str] = []
    for body in random.sample(range(1_000_000), min(1_000_000, count * 2)):
        digits = f"999{body:06d}"
        check = -sum(int(digit) * weight for digit, weight in zip(digits, range(10, 1, -1), strict=True)) % 11
        if check == 10:
            continue
        number = f"{digits}{check}"
        if not is_valid(number):
            raise RuntimeError("a made NHS number does not pass its own check")
        numbers.append(number)
        if len(numbers) == count:
            break

    return numbers


class _Grower:
    """Adds households one at a time; holds what must not be given out twice."""

    def __init__(self, random: Random, numbers: Sequence[str]) -> None:
        self.people: list[Person] = []
        self._random = random
        self._numbers = iter(numbers)
        self._households = 0
        self._taken = {LARKSPUR, _QUARRY_MEAD}
        # Ten numbers share a postcode, odd and even sides alike; letters avoid C I K M O V, as real inward codes do.
        letters = "ABDEFGHJLNPQRSTUWXYZ"
        self._sectors = [(random.randint(1, 9), random.randint(1, 9), random.choice(letters)) for _ in STREETS]
        self._letters = letters

    def fixed(self, rows: Iterable[_Row], address: Address) -> None:
        """Add a household whose people are given."""
        self._households += 1
        for row in rows:
            self._add(row, address, None)

    def household(self, room: int) -> None:
        """Add a drawn household of at most `room` people."""
        random = self._random
        self._households += 1
        heritage = random.choices(HERITAGES, [heritage.weight for heritage in HERITAGES])[0]
        surname = random.choice(heritage.surnames)
        address = self._address()
        former = self._address() if random.random() < 0.3 else None
        kind = random.choices(
            ("couple and children", "one parent", "couple", "alone", "three generations"), (38, 22, 14, 16, 10)
        )[0]
        parents = self._parents(kind, heritage, surname)
        children = self._children(kind, heritage, surname, parents)
        elders = self._elders(kind, heritage, surname, parents)
        for row in (*parents, *children, *elders)[:room]:
            self._add(row, address, former)

    def _parents(self, kind: str, heritage: Heritage, surname: str) -> list[_Row]:
        random = self._random
        age = random.randint(24, 78) if kind in ("couple", "alone") else random.randint(23, 52)
        woman = random.random() < (0.85 if kind == "one parent" else 0.5)
        first = self._adult(heritage, surname, age, "f" if woman else "m")
        if kind in ("alone", "one parent"):
            return [first]
        second = self._adult(heritage, surname, max(20, age + random.randint(-6, 6)), "m" if woman else "f")
        # Two of five couples keep two names; the others share one, and then one of them was called otherwise before.
        if random.random() < 0.4:
            second = (*second[:2], random.choice(heritage.surnames), "", *second[4:])
        else:
            second = (*second[:3], random.choice([name for name in heritage.surnames if name != surname]), *second[4:])
        return [first, second]

    def _children(self, kind: str, heritage: Heritage, surname: str, parents: Sequence[_Row]) -> list[_Row]:
        random = self._random
        if kind in ("couple", "alone"):
            return []
        mother_born = max(row[4] for row in parents)
        oldest = min(19, 2026 - mother_born.year - 17)
        children: list[_Row] = []
        for _ in range(random.choices((1, 2, 3, 4), (34, 40, 19, 7))[0]):
            born = self._birthday(2026 - random.randint(0, max(0, oldest)))
            # A child of an earlier family may carry another name, or have carried it.
            former = random.choice(heritage.surnames) if random.random() < 0.06 else ""
            children.append(self._child(heritage, surname, former, born))
            if random.random() < 0.04:  # twins: same day, same house, same surname
                children.append(self._child(heritage, surname, former, born))
        return children

    def _elders(self, kind: str, heritage: Heritage, surname: str, parents: Sequence[_Row]) -> list[_Row]:
        if kind != "three generations":
            return []
        age = 2026 - min(row[4] for row in parents).year + self._random.randint(20, 30)
        return [self._adult(heritage, surname, min(age, 94), self._random.choice("fm"))]

    def _adult(self, heritage: Heritage, surname: str, age: int, sex: str) -> _Row:
        names = heritage.women if sex == "f" else heritage.men

        return (*self._two(names), surname, "", self._birthday(2026 - age), sex)

    def _child(self, heritage: Heritage, surname: str, former: str, born: date) -> _Row:
        sex = self._random.choice("fm")

        return (*self._two(heritage.girls if sex == "f" else heritage.boys), surname, former, born, sex)

    def _two(self, names: Sequence[str]) -> tuple[str, str]:
        first, middle = self._random.sample(names, 2)

        return first, middle if self._random.random() < 0.75 else ""

    def _birthday(self, year: int) -> date:
        return date(year, 1, 1) + timedelta(
            days=self._random.randrange(319)
        )  # not after mid November, as_of by default

    def _address(self) -> Address:
        random = self._random
        while True:
            street = random.randrange(len(STREETS))
            number = random.randint(1, 160)
            flat = str(random.randint(1, 12)) if random.random() < 0.25 else ""
            district, sector, letter = self._sectors[street]
            last = self._letters[number // 10 % len(self._letters)]
            address = Address(flat, str(number), STREETS[street], f"MD{district} {sector}{letter}{last}")
            if address not in self._taken:
                self._taken.add(address)
                return address

    def _add(self, row: _Row, address: Address, former: Address | None) -> None:
        first, middle, last, former_last, born, sex = row
        self.people.append(
            Person(
                id=f"p{len(self.people) + 1:05d}",
                household=f"h{self._households:05d}",
                first_name=first,
                middle_name=middle,
                last_name=last,
                former_last_name=former_last,
                date_of_birth=born,
                sex=sex,
                nhs_number=next(self._numbers),
                address=address,
                former_address=former,
            )
        )


# -- What an agency remembers -----------------------------------------------------------------------------------------


def _remember(agency: str, population: Sequence[Person], seed: int, as_of: date) -> Iterable[Held]:
    """Draw whom the agency knows, why, and how it wrote them down; yields in order of its own numbers."""
    random = Random(f"accord county {seed} {agency}")
    fixed = {person.first_name: person for person in population[: len(_THORLEY_CALLOWAY)]}
    rest = population[len(_THORLEY_CALLOWAY) :]
    wanted = round(SHARES[agency] * len(population)) - len(_KNOWN[agency])
    known: list[tuple[Person, Held]] = []
    for name, contacts in _KNOWN[agency].items():
        assessed = _ASSESSED[agency].get(name, ())
        held = _as_is(
            fixed[name],
            tuple(Contact(as_of - timedelta(days=days), team, open_) for days, team, open_ in contacts),
            tuple(Assessment(as_of - timedelta(days=days), team) for days, team in assessed),
        )
        known.append((fixed[name], _FIXED_DAMAGE[agency](held)))
    for person in _choose(agency, rest, wanted, random, as_of):
        contacts_, assessments = _history(agency, person, random, as_of)
        known.append((person, _DAMAGE[agency](_as_is(person, contacts_, assessments), random)))
    if agency == "housing":
        homes: dict[str, list[Held]] = {}
        for person, held in known:
            homes.setdefault(person.household, []).append(held)
        # The address is the tenancy's, however many live there.
        known = [(person, replace(held, address=_tenant(homes[person.household]).address)) for person, held in known]
    random.shuffle(known)  # the fixed household is not at the top of anybody's table
    refs = sorted(random.sample(range(1_000, 1_000 + 40 * len(known)), len(known)))

    return [replace(held, ref=ref) for ref, (_, held) in zip(refs, known, strict=True)]


def _choose(agency: str, people: Sequence[Person], wanted: int, random: Random, as_of: date) -> Iterable[Person]:
    """Whom the agency knows: housing by the household, social care by families with children, police one by one."""
    if agency == "police":
        eligible = [person for person in people if (as_of - person.date_of_birth).days > 10 * 365]
        return random.sample(eligible, min(wanted, len(eligible)))
    homes: dict[str, list[Person]] = {}
    for person in people:
        homes.setdefault(person.household, []).append(person)
    order = list(homes.values())
    random.shuffle(order)
    if agency == "social-care":
        order.sort(key=lambda home: not any(p.date_of_birth.year >= as_of.year - 18 for p in home))
    return [person for home in order for person in home][:wanted]


def _history(
    agency: str, person: Person, random: Random, as_of: date
) -> tuple[tuple[Contact, ...], tuple[Assessment, ...]]:
    """One to four contacts since birth, the last one open for a fifth of people; an assessment for a third."""
    longest = max(30, (as_of - person.date_of_birth).days - 1)
    spans = ((0, 90), (91, 364), (366, 1094), (1096, 3600))
    contacts = []
    for _ in range(random.choices((1, 2, 3, 4), (50, 28, 14, 8))[0]):
        low, high = random.choices(spans, (22, 30, 28, 20))[0]
        days = min(random.randint(low, high), longest)
        contacts.append(Contact(as_of - timedelta(days=days), random.choice(_TEAMS[agency]), False))
    contacts.sort(key=lambda contact: contact.on)
    if random.random() < 0.2:
        contacts[-1] = replace(contacts[-1], open=True)
    assessed = random.random() < (0.1 if agency == "police" else 0.33)
    first = contacts[0]

    return tuple(contacts), (Assessment(first.on, first.team),) if assessed else ()


def _as_is(person: Person, contacts: tuple[Contact, ...], assessments: tuple[Assessment, ...]) -> Held:
    return Held(
        ref=0,
        truth=person,
        first_name=person.first_name,
        middle_name=person.middle_name,
        last_name=person.last_name,
        former_last_name="",
        date_of_birth=person.date_of_birth,
        address=person.address,
        former_address=None,
        nhs_number="",
        shielded=False,
        contacts=contacts,
        assessments=assessments,
    )


def _police_damage(held: Held, random: Random) -> Held:
    """Capitals come when writing. Called-by names, no middle name, an old address, a former name kept as an alias."""
    person = held.truth
    first = SHORT_FORMS.get(person.first_name, person.first_name) if random.random() < 0.25 else person.first_name
    address: Address | None = person.address
    if person.former_address and random.random() < 0.5:
        address = person.former_address
    if random.random() < 0.03:
        address = None
    return replace(
        held,
        first_name=first,
        middle_name=person.middle_name if random.random() < 0.6 else "",
        last_name=_mistype(person.last_name, random) if random.random() < 0.04 else person.last_name,
        former_last_name=person.former_last_name if random.random() < 0.5 else "",
        date_of_birth=_turned(person.date_of_birth) if random.random() < 0.02 else person.date_of_birth,
        address=address,
    )


def _social_care_damage(held: Held, random: Random) -> Held:
    """The fullest record: former names and addresses, most NHS numbers; but typed in a hurry."""
    person = held.truth
    return replace(
        held,
        first_name=_mistype(person.first_name, random) if random.random() < 0.04 else person.first_name,
        last_name=_mistype(person.last_name, random) if random.random() < 0.03 else person.last_name,
        former_last_name=person.former_last_name if random.random() < 0.7 else "",
        former_address=person.former_address if random.random() < 0.7 else None,
        nhs_number=person.nhs_number if random.random() < 0.7 else "",
        shielded=random.random() < 0.02,
    )


def _housing_damage(held: Held, random: Random) -> Held:
    """Flat numbers lost, maiden names, a middle initial, now and then a day and a month turned round."""
    person = held.truth
    maiden = person.former_last_name and random.random() < 0.5
    return replace(
        held,
        middle_name=person.middle_name[:1] if random.random() < 0.7 else "",
        last_name=person.former_last_name if maiden else person.last_name,
        date_of_birth=_turned(person.date_of_birth) if random.random() < 0.03 else person.date_of_birth,
        address=replace(person.address, flat="") if random.random() < 0.5 else person.address,
    )


_DAMAGE: Final[Mapping[str, Callable[[Held, Random], Held]]] = MappingProxyType(
    {"police": _police_damage, "social-care": _social_care_damage, "housing": _housing_damage}
)


def _fixed_police(held: Held) -> Held:
    """Nobody at the station wrote down the flat, and Jamie gave no middle name."""
    held = replace(held, address=replace(LARKSPUR, flat=""))

    return replace(held, middle_name="") if held.truth.first_name == "Jamie" else held


def _fixed_social_care(held: Held) -> Held:
    """Social care knows what Anne was called before; it has a number for the children."""
    person = held.truth

    return replace(
        held,
        former_last_name=person.former_last_name,
        nhs_number=person.nhs_number if person.date_of_birth.year >= 2008 else "",
    )


def _fixed_housing(held: Held) -> Held:
    """The tenancy lost its flat number; Kyle's birthday, 11 July, was typed as 7 November."""
    person = held.truth
    held = replace(held, address=replace(LARKSPUR, flat=""), middle_name=person.middle_name[:1])

    return replace(held, date_of_birth=_turned(person.date_of_birth)) if person.first_name == "Kyle" else held


_FIXED_DAMAGE: Final[Mapping[str, Callable[[Held], Held]]] = MappingProxyType(
    {"police": _fixed_police, "social-care": _fixed_social_care, "housing": _fixed_housing}
)


def _turned(born: date) -> date:
    """Day and month the other way round, where that is a date; else as it was."""
    return born.replace(month=born.day, day=born.month) if born.day <= 12 else born


def _mistype(name: str, random: Random) -> str:
    """One letter left out, doubled, or two turned round; never the first."""
    if len(name) < 4:
        return name
    at = random.randrange(1, len(name) - 1)
    kind = random.randrange(3)
    if kind == 0:
        return name[:at] + name[at + 1 :]
    if kind == 1:
        return name[:at] + name[at] + name[at:]
    return name[:at] + name[at + 1] + name[at] + name[at + 2 :]


# -- Writing it down, each agency in its own shape --------------------------------------------------------------------


def write(agency: str, folder: Path, county: County) -> Path:
    """Write one agency's records into `folder`, which is made if need be.

    Beside `police.sqlite`, `social_care.sqlite`, or `tenancy.csv`, `occupants.csv` and `contacts.csv` goes the mapping
    that reads them, since the paths in a mapping count from its own folder.

    Returns:
        The mapping file.

    Raises:
        KeyError: No such agency.
        FileExistsError: There are records already; nothing was changed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _WRITERS[agency](folder, county.held[agency])
    mapping = folder / "mapping.yaml"
    mapping.write_bytes((MAPPINGS / f"{agency}.yaml").read_bytes())

    return mapping


def _uk(day: date) -> str:
    return day.strftime("%d/%m/%Y")


def _new_database(file: Path, ddl: str) -> sqlite3.Connection:
    if file.exists():
        raise FileExistsError(f"{file.name} is there already; write into an empty folder")
    database = sqlite3.connect(file)
    database.executescript(ddl)

    return database


_POLICE_DDL: Final = """
CREATE TABLE nominal (
    nominal_ref TEXT PRIMARY KEY, surname TEXT NOT NULL, forenames TEXT NOT NULL, dob TEXT NOT NULL, sex TEXT NOT NULL,
    address TEXT NOT NULL, amended TEXT NOT NULL);
CREATE TABLE alias (nominal_ref TEXT NOT NULL REFERENCES nominal, surname TEXT NOT NULL);
CREATE TABLE incident (
    incident_no TEXT PRIMARY KEY, recorded TEXT NOT NULL, status TEXT NOT NULL, unit TEXT NOT NULL);
CREATE TABLE incident_nominal (
    incident_no TEXT NOT NULL REFERENCES incident, nominal_ref TEXT NOT NULL REFERENCES nominal,
    PRIMARY KEY (incident_no, nominal_ref));
CREATE TABLE referral (
    referral_no INTEGER PRIMARY KEY, nominal_ref TEXT NOT NULL REFERENCES nominal, completed TEXT NOT NULL,
    unit TEXT NOT NULL);
CREATE INDEX incident_nominal_by_nominal ON incident_nominal (nominal_ref);
CREATE INDEX referral_by_nominal ON referral (nominal_ref);
"""


def _write_police(folder: Path, records: Sequence[Held]) -> None:
    """Capitals, dates as text the British way, forenames in one field, the address in one line."""
    file = folder / "police.sqlite"
    database = _new_database(file, _POLICE_DDL)
    incident = 60_000
    for held in records:
        ref = f"N/{held.ref:07d}"
        forenames = f"{held.first_name} {held.middle_name}".strip().upper()
        address = "NO FIXED ABODE"
        if held.address:
            address = f"{held.address.line}, Midshire, {held.address.postcode}".upper()
        amended = f"{_uk(held.contacts[-1].on)} {9 + held.ref % 12:02d}:{held.ref % 60:02d}"
        born = _uk(held.date_of_birth)
        row = (ref, held.last_name.upper(), forenames, born, held.truth.sex.upper(), address, amended)
        database.execute("INSERT INTO nominal VALUES (?,?,?,?,?,?,?)", row)
        if held.former_last_name:
            database.execute("INSERT INTO alias VALUES (?,?)", (ref, held.former_last_name.upper()))
        for contact in held.contacts:
            incident += 1
            number = f"{incident}/{contact.on:%y}"
            status = "LIVE" if contact.open else "FILED"
            database.execute(
                "INSERT INTO incident VALUES (?,?,?,?)", (number, _uk(contact.on), status, contact.team.upper())
            )
            database.execute("INSERT INTO incident_nominal VALUES (?,?)", (number, ref))
        for done in held.assessments:
            database.execute(
                "INSERT INTO referral (nominal_ref, completed, unit) VALUES (?,?,?)",
                (ref, _uk(done.on), done.team.upper()),
            )
    database.commit()
    database.close()


_SOCIAL_CARE_DDL: Final = """
CREATE TABLE person (
    person_id INTEGER PRIMARY KEY, forename TEXT NOT NULL, middle_names TEXT, surname TEXT NOT NULL,
    previous_surname TEXT, birth_date DATE NOT NULL, gender TEXT NOT NULL,
    house TEXT NOT NULL, postcode TEXT NOT NULL, previous_postcode TEXT,
    nhs_no TEXT, restricted INTEGER NOT NULL, last_modified TIMESTAMP NOT NULL);
CREATE TABLE care_case (
    case_id INTEGER PRIMARY KEY, person_id INTEGER NOT NULL REFERENCES person, team TEXT NOT NULL,
    opened DATE NOT NULL, closed DATE);
CREATE TABLE assessment (
    assessment_id INTEGER PRIMARY KEY, person_id INTEGER NOT NULL REFERENCES person, team TEXT NOT NULL,
    completed DATE);
CREATE INDEX care_case_by_person ON care_case (person_id);
CREATE INDEX assessment_by_person ON assessment (person_id);
"""


def _write_social_care(folder: Path, records: Sequence[Held]) -> None:
    """The fullest of the three: ISO dates, names apart, former names and postcodes, most NHS numbers."""
    file = folder / "social_care.sqlite"
    database = _new_database(file, _SOCIAL_CARE_DDL)
    for held in records:
        address = held.address or held.truth.address
        database.execute(
            "INSERT INTO person VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                held.ref,
                held.first_name,
                held.middle_name or None,
                held.last_name,
                held.former_last_name or None,
                held.date_of_birth.isoformat(),
                "Female" if held.truth.sex == "f" else "Male",
                address.line,
                address.postcode,
                held.former_address.postcode if held.former_address else None,
                held.nhs_number or None,
                int(held.shielded),
                f"{held.contacts[-1].on.isoformat()} {9 + held.ref % 9:02d}:{held.ref % 60:02d}:00",
            ),
        )
        for contact in held.contacts:
            closed = None if contact.open else contact.on.isoformat()
            opened = contact.on - timedelta(days=held.ref % 50)
            database.execute(
                "INSERT INTO care_case (person_id, team, opened, closed) VALUES (?,?,?,?)",
                (held.ref, contact.team, (contact.on if contact.open else opened).isoformat(), closed),
            )
        for done in held.assessments:
            database.execute(
                "INSERT INTO assessment (person_id, team, completed) VALUES (?,?,?)",
                (held.ref, done.team, done.on.isoformat()),
            )
    database.commit()
    database.close()


def _write_housing(folder: Path, records: Sequence[Held]) -> None:
    """Three files as an overnight extract leaves them: "SURNAME, First" in one column, postcodes without a space."""
    homes: dict[str, list[Held]] = {}
    for held in sorted(records, key=lambda held: (held.truth.household, held.truth.id)):
        homes.setdefault(held.truth.household, []).append(held)
    tenancies: list[Sequence[object]] = []
    occupants: list[Sequence[object]] = []
    contacts: list[Sequence[object]] = []
    for home in sorted(homes.values(), key=lambda home: min(held.ref for held in home)):
        tenancy = f"T{min(held.ref for held in home):06d}"
        tenant = _tenant(home)
        address = tenant.address or tenant.truth.address
        started = min(contact.on for held in home for contact in held.contacts)
        tenancies.append((tenancy, address.line, address.postcode.replace(" ", ""), started.isoformat()))
        for held in home:
            name = f"{held.last_name.upper()}, {held.first_name} {held.middle_name}".strip()
            sex = "F" if held.truth.sex == "f" else "M"
            relation = "tenant" if held is tenant else "occupant"
            seen = held.contacts[-1].on.isoformat()
            occupants.append((held.ref, tenancy, name, _uk(held.date_of_birth), sex, relation, seen))
            contacts.extend(
                (held.ref, contact.on.isoformat(), "contact", contact.team, "Y" if contact.open else "N")
                for contact in held.contacts
            )
            contacts.extend((held.ref, done.on.isoformat(), "assessment", done.team, "N") for done in held.assessments)
    _write_csv(folder / "tenancy.csv", ("tenancy_ref", "property", "postcode", "started"), tenancies)
    heading = ("occupant_ref", "tenancy_ref", "name", "born", "sex", "relation", "updated")
    _write_csv(folder / "occupants.csv", heading, occupants)
    _write_csv(folder / "contacts.csv", ("occupant_ref", "on_date", "kind", "team", "open"), contacts)


def _tenant(home: Sequence[Held]) -> Held:
    """Anne in the household the story is about; elsewhere the eldest."""
    anne = next((held for held in home if (held.truth.first_name, held.truth.address) == ("Anne", LARKSPUR)), None)

    return anne or min(home, key=lambda held: held.truth.date_of_birth)


def _write_csv(file: Path, heading: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with file.open("x", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(heading)
        writer.writerows(rows)


_WRITERS: Final[Mapping[str, Callable[[Path, Sequence[Held]], None]]] = MappingProxyType(
    {"police": _write_police, "social-care": _write_social_care, "housing": _write_housing}
)


# -- The county as test data ------------------------------------------------------------------------------------------


def described(held: Held) -> dict[str, str | tuple[str, ...]]:
    """What an agency has written down of somebody, as the arguments of `accord.identity.describe`.

    Just what the agency's mapping reads out of its records; what the agency does not keep is left out.
    """
    raw: dict[str, str | tuple[str, ...]] = {
        "first_name": held.first_name,
        "middle_names": held.middle_name,
        "last_name": held.last_name,
        "date_of_birth": held.date_of_birth.isoformat(),
        "sex": held.truth.sex,
        "address": held.address.line if held.address else "",
        "postcode": held.address.postcode if held.address else "",
        "nhs_number": held.nhs_number,
        "former_last_names": (held.former_last_name,) if held.former_last_name else (),
        "former_postcodes": (held.former_address.postcode,) if held.former_address else (),
    }

    return {name: value for name, value in raw.items() if value}


def told(person: Person) -> dict[str, str | tuple[str, ...]]:
    """Somebody as a worker who knows them well would type them: as `described`, without a slip."""
    raw: dict[str, str | tuple[str, ...]] = {
        "first_name": person.first_name,
        "middle_names": person.middle_name,
        "last_name": person.last_name,
        "date_of_birth": person.date_of_birth.isoformat(),
        "sex": person.sex,
        "address": person.address.line,
        "postcode": person.address.postcode,
        "nhs_number": person.nhs_number,
        "former_last_names": (person.former_last_name,) if person.former_last_name else (),
        "former_postcodes": (person.former_address.postcode,) if person.former_address else (),
    }

    return {name: value for name, value in raw.items() if value}


def pairs(county: County, left: str, right: str) -> Iterator[tuple[Held, Held]]:
    """Every person whom both agencies know, as each has written them down; in order of the left agency's numbers.

    Raises:
        KeyError: No such agency.
    """
    known: dict[str, list[Held]] = {}
    for held in county.held[right]:
        known.setdefault(held.truth.id, []).append(held)
    for held in county.held[left]:
        yield from ((held, other) for other in known.get(held.truth.id, ()))


def main(arguments: Sequence[str]) -> int:
    """Write one folder an agency; print how many people each knows. Exit code 0, or 2 for wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.demo.county", description="Write an invented county's records."
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--people", type=int, default=300)
    parser.add_argument("--as-of", type=date.fromisoformat, default=datetime.now(UTC).date())
    chosen = parser.parse_args(arguments)
    try:
        county = generate(chosen.seed, chosen.people, chosen.as_of)
        for agency in AGENCIES:
            write(agency, chosen.folder / agency, county)
            print(f"{agency}: {len(county.held[agency])} of {len(county.people)} people known")
    except (ValueError, FileExistsError) as problem:
        print(problem, file=sys.stderr)
        return 2

    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
