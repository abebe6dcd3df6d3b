"""How much of an index could be opened by guessing, and how often by chance: two figures for the agency to read.

*Guessing.* A curious agency could spend its yearly allowance of index keys on made-up people and so open envelopes
about people it does not hold. `coverage` estimates, for each family, which share of the area's people the best such
guesses would reach. A family is admitted only up to 0.5 %.

*Chance.* A key that two people share opens the envelope of either. `chance` leaves each person of the agency out in
turn and counts how often somebody else's record would still open: the same person recorded twice, a relative or
neighbour, or a stranger. Families together are admitted only up to 0.1 % strangers.

Both are computed on a sample of descriptions that is held in memory while the index is made, and never stored.
"""

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from accord.allowance import index_a_year
from accord.identity import FAMILIES, Description, Family, entries, match_keys, values_of

COVERAGE_LIMIT: Final = 0.005
"""Largest share of an area's people that a year's guesses in one family may reach."""

READS_HIGH: Final = 4
"""How many times too high the estimate of guessing may read, where an agency holds whole households."""

STRANGERS_LIMIT: Final = 0.001
"""Largest share of unknown people whose envelope may open by chance."""

_Spread = Mapping[int, tuple[float, float]]

_BINS_PER_DOUBLING: Final = 4
_PLACE: Final = frozenset({"pc", "addr"})


@dataclass(frozen=True, slots=True)
class Chance:
    """What leaving one out found, as shares of the agency's people, 0 to 1.

    Attributes:
        again: Opened, among others, by a record that looks like the same person recorded twice.
        near: Opened by a relative's or neighbour's record (a shared last name, postcode or address), not by the above.
        strangers: Opened by a stranger's record only.
    """

    again: float
    near: float
    strangers: float


def coverage(sample: Sequence[Description], people: int) -> dict[str, float]:
    """For each family, the share of the area's people whom the best guesses of one year's allowance would reach.

    The agency's own people stand for the area's. Parts of a key that say where somebody lives are taken together, since
    streets and postcodes are public as pairs; the other parts are taken as independent. What is common is decided on
    one half of the sample and weighed on the other, or a value would seem common because it was drawn twice. Values not
    in the first half are as many as Chao's estimate says (A. Chao 1984, Scandinavian Journal of Statistics 11,
    265-270).

    Neighbours count, people who live together do not: whoever shares a home with somebody in the first half is left out
    of the second. Beside a simulated guesser (`tests/agency_node/test_enumeration.py`) the estimate comes to about as
    much where the agency's people live all over the area, and to as much as READS_HIGH times where it holds whole
    households: it then sees too few of the area's addresses, and counts whom it holds as reached.

    Args:
        sample: Descriptions of the agency's people, in random order.
        people: How many people the agency holds; its allowance grows with them.

    Returns:
        Family id -> 0 to 1; families without a key in the sample are left out.
    """
    ranking, weighing = sample[::2], sample[1::2]
    homes = {_home(one) for one in ranking} - {None}
    weighing = [one for one in weighing if _home(one) not in homes]
    ranked, weighed = _counted(ranking), _counted(weighing)
    spread = {group: _spread(ranked[group], weighed[group], len(weighing)) for group in ranked}
    allowed = index_a_year(people)
    return {
        family.id: _best(allowed[family.id], [spread[group] for group in _GROUPS[family.id]])
        for family in FAMILIES
        if all(ranked[group] for group in _GROUPS[family.id])
    }


def chance(sample: Sequence[Description], people: int) -> Chance:
    """How often a person whom the agency does not hold would open something, each held person left out in turn.

    Args:
        sample: Descriptions of the agency's people.
        people: How many people the agency holds; shares found in the sample are scaled to them.
    """
    holders: dict[bytes, set[int]] = defaultdict(set)
    for number, description in enumerate(sample):
        for entry in entries(description):
            for key in match_keys(entry):
                holders[key.input].add(number)
    met: dict[int, set[str]] = {}
    for number, description in enumerate(sample):
        others = {other for key in match_keys(description) for other in holders[key.input]} - {number}
        met[number] = {_relation(description, sample[other]) for other in others}
    again = sum("again" in relations for relations in met.values())
    near = sum("near" in relations and "again" not in relations for relations in met.values())
    strangers = sum(relations == {"stranger"} for relations in met.values())
    scale = (people - 1) / (len(sample) - 1) / len(sample) if len(sample) > 1 else 0.0
    return Chance(*(min(1.0, count * scale) for count in (again, near, strangers)))


def _relation(one: Description, other: Description) -> str:
    names = {one.last, *one.former_last} & {other.last, *other.former_last} - {""}
    if one.dob == other.dob != "" and (one.first == other.first or names):
        # Twins have two first names: they are recorded as relatives.
        return "again" if one.first == other.first else "near"
    places = {one.postcode, *one.former_postcodes} & {other.postcode, *other.former_postcodes} - {""}
    address = one.street == other.street != "" and one.number == other.number
    return "near" if names or places or address else "stranger"


def _home(one: Description) -> tuple[str, str, str] | None:
    return (one.postcode, one.number, one.street) if one.street and one.number else None


def _groups(family: Family) -> tuple[tuple[str, ...], ...]:
    """The parts of a key that are guessed independently. First and last name in either order are guessed as two."""
    parts = tuple(("first.x", "last.x") if part == "names.swap" else (part,) for part in family.parts)
    single = tuple(itertools.chain.from_iterable(parts))
    place = tuple(part for part in single if part.partition(".")[0] in _PLACE)
    return (*((part,) for part in single if part not in place), *((place,) if place else ()))


_GROUPS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {family.id: _groups(family) for family in FAMILIES}


def _counted(people: Sequence[Description]) -> dict[tuple[str, ...], Counter[tuple[str, ...]]]:
    """Group -> how many people have each value of it."""
    counted: dict[tuple[str, ...], Counter[tuple[str, ...]]] = {
        group: Counter() for groups in _GROUPS.values() for group in groups
    }
    for one in people:
        values = {part: values_of(part, one) for part in _PARTS}
        for group, often in counted.items():
            often.update(set(itertools.product(*(values[part] for part in group))))
    return counted


_PARTS: Final = sorted({part for groups in _GROUPS.values() for group in groups for part in group})


def _spread(ranked: Counter[tuple[str, ...]], weighed: Counter[tuple[str, ...]], people: int) -> _Spread:
    """Values by how common they are: bin of log frequency -> (how many values, people they reach, as a share).

    Args:
        ranked: Values in one half of the sample, which says how common each is.
        weighed: Values in the other half, which says how many people each kind of value reaches.
        people: How many people there are in the other half.
    """
    number = Counter(ranked.values())
    mass: Counter[int] = Counter()
    for value, times in weighed.items():
        mass[ranked[value]] += times
    number[0] = max(number[1] * number[1] // (2 * max(number[2], 1)), len(weighed.keys() - ranked.keys()), 1)
    bins: dict[int, tuple[float, float]] = {}
    for times, reached in mass.items():
        share = reached / max(people, 1)
        place = math.floor(math.log2(share / number[times]) * _BINS_PER_DOUBLING)
        there = bins.get(place, (0.0, 0.0))
        bins[place] = (there[0] + number[times], there[1] + share)
    return bins


def _best(quota: float, groups: Sequence[_Spread]) -> float:
    joint = {0: (1.0, 1.0)}
    for group in groups:
        crossed: dict[int, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
        for place, (values, mass) in joint.items():
            for other, (more, weight) in group.items():
                there = crossed[place + other]
                crossed[place + other] = (there[0] + values * more, there[1] + mass * weight)
        joint = dict(crossed)
    reached = 0.0
    for _, (values, mass) in sorted(joint.items(), reverse=True):
        share = min(1.0, quota / values)
        reached += mass * share
        quota -= values * share
        if quota <= 0:
            break
    return min(1.0, reached)
