"""How much of an index could be opened by guessing, and how often by chance: two figures for the agency to read.

*Guessing.* A curious agency could spend its yearly quota of index keys on made-up people and so open envelopes about
people it does not hold. `coverage` estimates, for each family, which share of the area's people the best such guesses
would reach. A family is admitted only up to 0.5 %.

*Chance.* A key that two people share opens the envelope of either. `chance` leaves each person of the agency out in
turn and counts how often somebody else's record would still open: the same person recorded twice, a relative or
neighbour, or a stranger. Families together are admitted only up to 0.1 % strangers.

Both are computed on a sample of descriptions that is held in memory while the index is made, and never stored.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from accord.identity import FAMILIES, Description, Family, MatchKey, entries, match_keys

COVERAGE_LIMIT: Final = 0.005
"""Largest share of an area's people that a year's guesses in one family may reach."""

STRANGERS_LIMIT: Final = 0.001
"""Largest share of unknown people whose envelope may open by chance."""

QUOTA_PER_PERSON: Final = 2
"""A year's quota of index keys in one family: this many for each person held and each variant of the family's key."""

_BINS_PER_DOUBLING: Final = 4
_PLACE: Final = frozenset({"pc", "addr"})
_LABELS: Final = 2
"""Length-prefixed parts before the fields in a key's input: the label and the family."""


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
    """For each family, the share of the area's people whom the best guesses of one year's quota would reach.

    Parts of a key that say where somebody lives are taken together, since streets and postcodes are public as pairs;
    the other parts are taken as independent, each as common as in the sample. Values seen once stand for the many never
    seen: their number is Chao's estimate (A. Chao 1984, Scandinavian Journal of Statistics 11, 265-270), their weight
    what they weigh in the sample. Reaching a person by any one variant counts, so this is an upper estimate; on a small
    agency's records it reads high.

    Args:
        sample: Descriptions of the agency's people.
        people: How many people the agency holds; its quota grows with them.

    Returns:
        Family id -> 0 to 1; families without a key in the sample are left out.
    """
    values: dict[tuple[str, ...], Counter[tuple[bytes, ...]]] = defaultdict(Counter)
    keys_of_family: Counter[str] = Counter()
    for description in sample:
        keys = match_keys(description)
        keys_of_family.update(key.family for key in keys)
        for group, found in _values(keys).items():
            values[group].update(found)
    spread = {group: _spread(counts, len(sample)) for group, counts in values.items()}
    reached = {}
    for family in FAMILIES:
        keys_made = keys_of_family[family.id]
        if keys_made:
            quota = people * QUOTA_PER_PERSON * keys_made / len(sample)
            reached[family.id] = _best(quota, [spread[group] for group, _ in _groups(family)])
    return reached


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


def _groups(family: Family) -> list[tuple[tuple[str, ...], tuple[int, ...]]]:
    """The parts of a key that are guessed independently: (part names, their positions in the key)."""
    place = [i for i, part in enumerate(family.parts) if part.split(".", 1)[0] in _PLACE]
    positions = [(i,) for i in range(len(family.parts)) if i not in place] + ([tuple(place)] if place else [])
    return [(tuple(family.parts[i] for i in chosen), chosen) for chosen in positions]


_GROUPS: Final[Mapping[str, list[tuple[tuple[str, ...], tuple[int, ...]]]]] = {
    family.id: _groups(family) for family in FAMILIES
}


def _values(keys: Iterable[MatchKey]) -> dict[tuple[str, ...], set[tuple[bytes, ...]]]:
    found: dict[tuple[str, ...], set[tuple[bytes, ...]]] = defaultdict(set)
    for key in keys:
        fields = _unjoin(key.input)[_LABELS:]
        for group, positions in _GROUPS[key.family]:
            found[group].add(tuple(fields[i] for i in positions))
    return found


def _unjoin(joined: bytes) -> list[bytes]:
    """The parts that `accord.canonical.lp` joined."""
    parts, at = [], 0
    while at < len(joined):
        end = at + 4 + int.from_bytes(joined[at : at + 4], "big")
        parts.append(joined[at + 4 : end])
        at = end
    return parts


def _spread(counts: Counter[tuple[bytes, ...]], people: int) -> dict[int, tuple[float, float]]:
    """Values by how common they are: bin of log frequency -> (how many values, people they reach, as a share)."""
    often = Counter(counts.values())
    bins: dict[int, tuple[float, float]] = {}
    for times, number in often.items():
        mass = number * times / people
        values = number + number * number / (2 * max(often[2], 1)) if times == 1 else float(number)
        place = math.floor(math.log2(mass / values) * _BINS_PER_DOUBLING)
        there = bins.get(place, (0.0, 0.0))
        bins[place] = (there[0] + values, there[1] + mass)
    return bins


def _best(quota: float, groups: Sequence[Mapping[int, tuple[float, float]]]) -> float:
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
