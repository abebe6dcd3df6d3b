"""What one agency remembers: whom it knows and since when, and how it wrote them down.

    remember(agency, people, seed, as_of) -> Held, Held, ...

Whom an agency knows is drawn by its own weights (`agencies`), together for people of one household, so that a family
with a hard life is known to many and most families to few. Names and addresses are those of the day on which the record
was last brought up to date; what was true then may not be true now. The slips come on top, each agency's own, and one
clerk in five makes four times as many.
"""

import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random
from typing import Any, Final

from deploy.demo.county import larkspur
from deploy.demo.county.agencies import AGENCIES, Agency, Habits
from deploy.demo.county.names import SHORT_FORMS, SPELLINGS
from deploy.demo.county.people import HIDDEN, NO_FIXED_ABODE, Person
from deploy.demo.county.slips import miscounted, mistyped_postcode, other_century, sector, turned
from deploy.demo.county.town import Address

_Chance = Callable[[float], bool]
"""Whether a slip of that share happens this time."""

_SPANS: Final = ((0, 90), (91, 364), (366, 1094), (1096, 3600))
"""How long ago contacts lie, in days: no further than a question's window says (within 3, 12, 36 months)."""


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
        date_of_birth: As written down; None where nobody asked.
        sex: "f", "m", or "" where nobody asked.
        address: As written down; None for no fixed abode.
        former_address: Where the agency keeps an earlier one.
        nhs_number: Where the agency has it, else "".
        shielded: Nothing may be said about them: a refuge, an adoption.
        contacts: Oldest first; at least one.
        assessments: Oldest first.
        withheld: The agency has decided that nothing is said about them.
    """

    ref: int
    truth: Person
    first_name: str
    middle_name: str
    last_name: str
    former_last_name: str
    date_of_birth: date | None
    sex: str
    address: Address | None
    former_address: Address | None
    nhs_number: str
    shielded: bool
    contacts: tuple[Contact, ...]
    assessments: tuple[Assessment, ...]
    withheld: bool = False


def remember(name: str, population: Sequence[Person], seed: int, as_of: date) -> tuple[Held, ...]:
    """What an agency has written down, in order of its own numbers.

    Args:
        name: The agency.
        population: Everybody; the household of the story comes first.
        seed: The county's.
        as_of: The day on which its records are looked at.
    """
    agency = AGENCIES[name]
    random = Random(f"accord county {seed} {name}")
    known = list(_fixed(name, population, as_of))
    wanted = max(round(agency.share * len(population)) - len(known), 0)
    again = round(agency.habits.twice * wanted)
    chosen = _choose(agency, population[len(larkspur.HOUSEHOLD) :], wanted - again, random, as_of)
    for person in chosen:
        known.append(_record(person, agency, random, as_of))
    for person in random.sample(chosen, min(again, len(chosen))):
        # Somebody did not find the record that was there, and made another.
        known.append(_record(person, agency, random, as_of))
    if agency.whole_homes:
        known = _one_address(known)
    random.shuffle(known)  # the fixed household is not at the top of anybody's table
    refs = sorted(random.sample(range(1_000, 1_000 + 12 * len(known) + 400), len(known)))

    return tuple(replace(held, ref=ref) for ref, held in zip(refs, known, strict=True))


def _fixed(name: str, population: Sequence[Person], as_of: date) -> Iterator[Held]:
    people = {person.first_name: person for person in population[: len(larkspur.HOUSEHOLD)]}
    for first_name, seen in larkspur.KNOWN[name].items():
        person = people[first_name]
        contacts = tuple(Contact(as_of - timedelta(days=days), team, open_) for days, team, open_ in seen)
        done = larkspur.ASSESSED[name].get(first_name, ())
        assessments = tuple(Assessment(as_of - timedelta(days=days), team) for days, team in done)
        yield _held(person, contacts, assessments, _as_is(person) | larkspur.written(name, person))


# -- Whom it knows ----------------------------------------------------------------------------------------------------


def _choose(agency: Agency, people: Sequence[Person], wanted: int, random: Random, as_of: date) -> list[Person]:
    """Draw without replacement by weight, whole homes or one by one; in the order in which people live.

    The largest of u^(1/w) win: Efraimidis and Spirakis, Weighted random sampling with a reservoir, 2006,
    https://doi.org/10.1016/j.ipl.2005.11.003.
    """
    homes: dict[str, float] = {}
    drawn: list[tuple[float, int]] = []
    for at, person in enumerate(people):
        if person.household not in homes:
            homes[person.household] = random.lognormvariate(0, agency.together)
        weight = agency.weight(person, person.age(as_of)) * agency.burden[person.burden] * homes[person.household]
        if weight > 0:
            drawn.append((math.log(1 - random.random()) / weight, at))
    if not agency.whole_homes:
        return [people[at] for at in sorted(at for _, at in heapq.nlargest(wanted, drawn))]
    living: dict[str, list[Person]] = {}
    for person in people:
        living.setdefault(person.household, []).append(person)
    heads = sorted(drawn, reverse=True)
    found: list[Person] = []
    for _, at in heads:
        home = living.pop(people[at].household, [])
        found += home[: wanted - len(found)]
        if len(found) >= wanted:
            break

    return found


def _record(person: Person, agency: Agency, random: Random, as_of: date) -> Held:
    contacts, assessments = _history(person, agency, random, as_of)
    # The record says what was so when somebody last looked it over.
    looked_over = (contacts[-1] if random.random() < agency.habits.current else contacts[0]).on
    return _held(person, contacts, assessments, written_down(person, looked_over, agency.habits, random))


def _history(
    person: Person, agency: Agency, random: Random, as_of: date
) -> tuple[tuple[Contact, ...], tuple[Assessment, ...]]:
    """One to four contacts since birth, the last of them perhaps still open; an assessment for some."""
    longest = (as_of - person.date_of_birth).days
    contacts = []
    for _ in range(random.choices((1, 2, 3, 4), (50, 28, 14, 8))[0]):
        low, high = random.choices(_SPANS, (22, 30, 28, 20))[0]
        on = as_of - timedelta(days=min(random.randint(low, high), longest))
        contacts.append(Contact(on, _team(agency, person, person.age(on), random), False))
    contacts.sort(key=lambda contact: contact.on)
    last = contacts[-1]
    if random.random() < (0.3 if (as_of - last.on).days < 400 else 0.03):
        contacts[-1] = replace(last, open=True)
    assessed = (Assessment(contacts[0].on, contacts[0].team),) if random.random() < agency.assessed else ()

    return tuple(contacts), assessed


def _team(agency: Agency, person: Person, age: int, random: Random) -> str:
    fitting = [team for team, suits in agency.teams.items() if suits(person, age)]
    return random.choice(fitting or list(agency.teams))


def _one_address(known: Sequence[Held]) -> list[Held]:
    """The address is the tenancy's, however many live there."""
    homes: dict[str, list[Held]] = {}
    for held in known:
        homes.setdefault(held.truth.household, []).append(held)

    return [replace(held, address=tenant(homes[held.truth.household]).address) for held in known]


def tenant(home: Sequence[Held]) -> Held:
    """Anne in the household the story is about; elsewhere the eldest."""
    anne = next((held for held in home if held.truth.first_name == "Anne" and "Thorley" in _surnames(home)), None)

    return anne or min(home, key=lambda held: (held.truth.date_of_birth, held.truth.id))


def _surnames(home: Iterable[Held]) -> set[str]:
    return {held.truth.last_name for held in home}


# -- How it wrote them down -------------------------------------------------------------------------------------------


def _as_is(person: Person) -> dict[str, Any]:
    return {
        "first_name": person.first_name,
        "middle_name": person.middle_name,
        "last_name": person.last_name,
        "former_last_name": "",
        "date_of_birth": person.date_of_birth,
        "sex": person.sex,
        "address": person.address,
        "former_address": None,
        "nhs_number": "",
        "shielded": False,
    }


def _held(
    person: Person, contacts: tuple[Contact, ...], assessments: tuple[Assessment, ...], fields: Mapping[str, Any]
) -> Held:
    return Held(ref=0, truth=person, contacts=contacts, assessments=assessments, **fields)


def written_down(person: Person, day: date, habits: Habits, random: Random) -> dict[str, Any]:
    """What a clerk of the agency writes down about somebody on a day: fields of `Held`.

    Args:
        person: As they are.
        day: When the record was last brought up to date.
        habits: The agency's.
        random: Whose slips.
    """
    hurry = 4.0 if random.random() < 0.2 else 1.0

    def slip(share: float) -> bool:
        return share > 0 and random.random() < min(share * hurry, max(share, 0.5))

    fields = _as_is(person)
    _names(fields, person, day, habits, random, slip)
    _birth(fields, habits, random, slip)
    _address(fields, person, day, habits, random, slip)
    fields["nhs_number"] = person.nhs_number if random.random() < habits.nhs else ""
    fields["shielded"] = habits.shields and (HIDDEN in person.marks or random.random() < 0.008)
    fields["withheld"] = random.random() < habits.withholds

    return fields


def _names(fields: dict[str, Any], person: Person, day: date, habits: Habits, random: Random, slip: _Chance) -> None:
    first, middle, last = person.first_name, person.middle_name, person.last_name_on(day)
    if random.random() < habits.called_by:
        first = person.known_as or random.choice(SHORT_FORMS.get(first, (first,)))
    if random.random() < habits.respelt:
        first = random.choice(SPELLINGS.get(first, (first,)))
    if random.random() < habits.respelt / 2:
        last = random.choice(SPELLINGS.get(last, (last,)))
    first = habits.slip(first, random) if slip(habits.first) else first
    last = habits.slip(last, random) if slip(habits.last) else last
    if random.random() < habits.honorific and person.heritage == "South Asian" and middle:
        middle, last = "", middle
    if (" " in last or "-" in last) and random.random() < habits.half:
        last = random.choice(last.replace("-", " ").split())
    keeps = random.random()
    if keeps > habits.middle:
        middle = middle[:1] if keeps < habits.middle + habits.middle_initial else ""
    if slip(habits.initial):
        first = first[:1]
    if slip(habits.swapped * (6 if person.heritage == "Chinese and Vietnamese" else 1)):
        first, last = last.replace(" ", "-"), first
    if slip(habits.last_missing):
        last = ""
    if habits.one_field:
        # Read back, the last word is the last name.
        first, *between = f"{first} {middle} {last}".split()
        last = between.pop() if between else ""
        middle = " ".join(between)
    other = person.former_last_name if person.last_name_on(day) == person.last_name else ""
    fields["first_name"], fields["middle_name"], fields["last_name"] = first, middle, last
    fields["former_last_name"] = other if other and random.random() < habits.former_name else ""


def _birth(fields: dict[str, Any], habits: Habits, random: Random, slip: _Chance) -> None:
    for share, wrong in ((habits.turned, turned), (habits.miscounted, miscounted), (habits.century, other_century)):
        if slip(share):
            fields["date_of_birth"] = wrong(fields["date_of_birth"], random)
            break
    if slip(habits.unborn):
        fields["date_of_birth"] = None
    if slip(habits.sexless):
        fields["sex"] = ""
    elif slip(habits.other_sex):
        fields["sex"] = "fm"[fields["sex"] == "f"]


def _address(fields: dict[str, Any], person: Person, day: date, habits: Habits, random: Random, slip: _Chance) -> None:
    lived = person.address_on(day)
    if slip(habits.homeless) or (NO_FIXED_ABODE in person.marks and random.random() < 0.7):
        fields["address"] = None
        return
    earlier = next((move.left for move in person.moves if move.on <= day), None)
    if earlier and random.random() < habits.former_address:
        fields["former_address"] = earlier
    changes: dict[str, str] = {}
    if lived.flat and random.random() < habits.flat:
        changes["flat"] = ""
    if slip(habits.street):
        changes["street"] = habits.slip(lived.street, random)
    draw = random.random()
    if draw < habits.sector:
        changes["postcode"] = sector(lived.postcode)
    elif draw < habits.sector + habits.no_postcode:
        changes["postcode"] = ""
    elif slip(habits.postcode):
        changes["postcode"] = mistyped_postcode(lived.postcode, random)
    fields["address"] = replace(lived, **changes) if changes else lived
