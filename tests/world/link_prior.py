"""Make `agency_node/link_prior.json` anew: `python -m tests.world.link_prior` (about half a minute).

Everything is counted over one invented county (`deploy.demo.county`), in which it is known who is who and who is whose
relative; nothing is taken from a set that linkage is judged on. The same seed makes the same file, and a test compares.

* *Same person*: people as two agencies have written them down, and now and then a field taken from somebody else.
* *Chance*: two people of different homes, likewise.
* *Relatives*: every pair of relatives, each written down by some agency. How often a relative stands in for the person
  is counted too: an agency that knows the one mostly knows the other, and then has the right record as well.

Two things the county does not have are added, each said below: a field that holds something of somebody else
altogether, and twins who have grown up.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Final

from accord.identity import Description, describe
from agency_node.scoring import COUNTED, FIELDS, GENERATION, compare, rounded
from deploy.demo import county
from deploy.demo.county import County, Held, Person
from deploy.demo.county.agencies import AGENCIES
from deploy.demo.county.memory import written_down

VERSION: Final = "2026-11 county, seed 11"
SEED: Final = 11
PEOPLE: Final = 12_000
AS_OF: Final = date(2026, 11, 22)
OF_EACH: Final = 400
"""Most people of one pair of agencies, so that the large agencies do not drown the small ones."""
CHANCE_PAIRS: Final = 100_000
KIN_PAIRS: Final = 12_000
"""Pairs written down for each kind of relative; the few real ones are written down again and again."""

MISS: Final = 0.005
"""Share of fields that hold something of somebody else altogether: the next row, the flat below. Models of registers
need such a share (J. B. Copas and F. J. Hilton, Record linkage: statistical models for matching computer records, 1990,
https://doi.org/10.2307/2982975); no clerk of the county slips so, and a level that nobody there reached would otherwise
count as impossible."""
_MISSED: Final = ("first", "last", "middle", "dob", "sex", "number", "street", "postcode", "nhs")

GROWN: Final = 25
"""Age at which twins no longer count as living under one roof."""
TWINS: Final = 0.024
"""Share of grown people who have a twin: about one maternity in 80 was a multiple one when they were born (Office for
National Statistics, Birth characteristics in England and Wales). The county's own twins are children."""
TOGETHER: Final = 0.05
"""Share of grown twins who live at one address, and are found there in somebody's records."""

USUAL: Final[Mapping[str, float]] = {"first": 0.004, "last": 0.0015, "dob": 0.00004, "postcode": 0.0002}
"""Rough frequency of an ordinary value among the people of one area."""

FILE: Final = Path(__file__).parents[2] / "agency_node" / "link_prior.json"

Pair = tuple[Description, Description]
Table = dict[str, tuple[float, ...]]


def make(people: int = PEOPLE, chance_pairs: int = CHANCE_PAIRS, kin_pairs: int = KIN_PAIRS) -> dict[str, object]:
    """The prior as JSON."""
    grown = county.generate(SEED, people, AS_OF)
    chooser = Random(f"link prior {SEED}")
    records = {name: [_Record(one.truth, _description(one)) for one in held] for name, held in grown.held.items()}
    chance = _shares(_strangers(records, chooser, chance_pairs))
    same = _shares(_same(records, chooser))
    kin = _relatives(grown.people)
    odds = _odds(grown, kin)
    tables = {name: _shares(_written_by_two(pairs, chooser, kin_pairs)) for name, pairs in kin.items()}
    twins = list(_grown_twins(grown.people, chooser))
    children = sum(one.age(AS_OF) < GROWN for one in grown.people) / len(grown.people)
    apart = odds["twin"] / (len(kin["twin"]) / len(grown.people))
    relatives = {
        "twin": _kin(odds["twin"] / children, tables["twin"], below=GROWN),
        "grown twin": _kin(TWINS * apart, _shares(_written_by_two(twins, chooser, kin_pairs)), of=GROWN),
        "namesake": _kin(odds["namesake"], tables["namesake"]),
        "relative": _kin(odds["relative"], tables["relative"]),
    }
    return {
        "version": VERSION,
        "same": rounded(same),
        "chance": rounded(chance),
        "kin": relatives,
        "usual": {field: USUAL[field] for field in COUNTED},
        "known": 0.3,
        "strength_people": 1000,
        "strength_pairs": 2000,
    }


def _kin(odds: float, table: Table, of: int = 0, below: int = 200) -> dict[str, object]:
    return {"odds": round(odds, 4), "of": of, "below": below, "levels": rounded(table)}


# -- Pairs ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Record:
    """Somebody, and how one agency has written them down."""

    truth: Person
    description: Description


Records = Mapping[str, Sequence[_Record]]


def _same(records: Records, chooser: Random) -> Iterator[Pair]:
    """One person, as two agencies have written them down."""
    for left in records:
        for right in records:
            if left == right:
                continue
            known: dict[str, list[Description]] = defaultdict(list)
            for one in records[right]:
                known[one.truth.id].append(one.description)
            pairs = [(one.description, other) for one in records[left] for other in known[one.truth.id]]
            for description, other in chooser.sample(pairs, min(OF_EACH, len(pairs))):
                yield description, _missed(other, records[right], chooser)


def _missed(one: Description, others: Sequence[_Record], chooser: Random) -> Description:
    """The same, save that each field may be somebody else's."""
    missed = [name for name in _MISSED if getattr(one, name) and chooser.random() < MISS]
    return (
        replace(one, **{name: getattr(chooser.choice(others).description, name) for name in missed}) if missed else one
    )


def _strangers(records: Records, chooser: Random, wanted: int) -> Iterator[Pair]:
    """Two people of different homes, as any two agencies have written them down."""
    names = list(records)
    for _ in range(wanted):
        left, right = chooser.sample(names, 2)
        one, other = chooser.choice(records[left]), chooser.choice(records[right])
        if one.truth.household != other.truth.household:
            yield one.description, other.description


def _relatives(people: Sequence[Person]) -> dict[str, list[tuple[Person, Person]]]:
    """Everybody with each of their relatives: twin, namesake, or any other; of one household, or parent and child."""
    by_id = {one.id: one for one in people}
    homes: dict[str, list[Person]] = defaultdict(list)
    children: dict[str, list[Person]] = defaultdict(list)
    for one in people:
        homes[one.household].append(one)
        for parent in one.parents:
            children[parent].append(one)
    found: dict[str, list[tuple[Person, Person]]] = {"twin": [], "namesake": [], "relative": []}
    for one in people:
        near = {other.id: other for other in (*homes[one.household], *children[one.id])}
        for parent in one.parents:
            near |= {other.id: other for other in (by_id[parent], *children[parent])}
        for other in near.values():
            if other.id != one.id:
                found[_relation(one, other)].append((one, other))
    return found


def _relation(one: Person, other: Person) -> str:
    if one.date_of_birth == other.date_of_birth and set(one.parents) & set(other.parents):
        return "twin"
    apart = abs(one.date_of_birth.year - other.date_of_birth.year)
    return "namesake" if one.first_name == other.first_name and apart >= GENERATION else "relative"


def _odds(grown: County, kin: Mapping[str, Sequence[tuple[Person, Person]]]) -> dict[str, float]:
    """How many relatives are known where the person is not, for each person known: a mean over pairs of agencies."""
    known = {name: {one.truth.id for one in held} for name, held in grown.held.items()}
    counted: dict[str, list[float]] = {name: [] for name in kin}
    for left, asked in known.items():
        for right, held in known.items():
            both = len(asked & held)
            if left == right or both < 30:
                continue
            unknown = asked - held
            for name, pairs in kin.items():
                alone = sum(one.id in unknown and other.id in held for one, other in pairs)
                counted[name].append(alone / both)
    return {name: sum(values) / len(values) for name, values in counted.items()}


def _grown_twins(people: Sequence[Person], chooser: Random) -> Iterator[tuple[Person, Person]]:
    """Grown people with a twin made up: another's first names, this one's birthday and birth name, a home apart."""
    adults = [one for one in people if one.age(AS_OF) >= GROWN]
    for one in chooser.sample(adults, len(adults) // 4):
        other = chooser.choice(adults)
        takes = other.sex == "f" and other.former_last_name != ""
        twin = replace(
            other,
            last_name=other.last_name if takes else one.former_last_name or one.last_name,
            former_last_name=(one.former_last_name or one.last_name) if takes else "",
            date_of_birth=one.date_of_birth,
            heritage=one.heritage,
        )
        if chooser.random() < TOGETHER:
            twin = replace(twin, address=one.address, moves=one.moves)
        if twin.first_name != one.first_name:
            yield one, twin


def _written_by_two(pairs: Sequence[tuple[Person, Person]], chooser: Random, wanted: int) -> Iterator[Pair]:
    """Each of two people as some agency writes them down, another agency for each."""
    names = list(AGENCIES)
    for _ in range(wanted):
        one, other = chooser.choice(pairs)
        left, right = chooser.sample(names, 2)
        yield _written(one, left, chooser), _written(other, right, chooser)


def _written(person: Person, agency: str, chooser: Random) -> Description:
    born = (AS_OF - person.date_of_birth).days
    day = AS_OF - timedelta(days=chooser.randint(0, max(0, min(born, 2_000))))
    fields = written_down(person, day, AGENCIES[agency].habits, chooser)
    return _description(Held(ref=0, truth=person, contacts=(), assessments=(), **fields))


def _description(held: Held) -> Description:
    return describe(**county.described(held))


# -- Shares -----------------------------------------------------------------------------------------------------------


def _shares(pairs: Iterable[Pair]) -> Table:
    counted = {field: [0.5] * levels for field, levels in FIELDS.items()}
    for one, other in pairs:
        for field, level in zip(FIELDS, compare(one, other), strict=True):
            if level >= 0:
                counted[field][level] += 1
    return {field: tuple(count / sum(row) for count in row) for field, row in counted.items()}


if __name__ == "__main__":
    FILE.write_text(json.dumps(make(), indent=1) + "\n", encoding="utf-8")
