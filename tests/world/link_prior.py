"""Make `agency_node/link_prior.json` anew: `python -m tests.world.link_prior` (about a minute).

m is learnt without labels from invented candidate pairs (scoring.fit_m); chance, twins and relatives are counted over
the same invented people. The same seed makes the same file, and a test compares.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random
from typing import Final

from accord.identity import Description, entries, match_keys
from agency_node.scoring import COUNTED, FIELDS, Levels, compare, fit_m
from tests.world.households import Person, households, written_down

VERSION: Final = "2026-11 invented households, seed 11"
SEED: Final = 11
PEOPLE: Final = 4_000
CHANCE_PAIRS: Final = 150_000
USUAL: Final[Mapping[str, float]] = {"first": 0.004, "last": 0.0015, "dob": 0.00004, "postcode": 0.0002}
"""Rough frequency of an ordinary value among the people of one area."""
NAMESAKES: Final = 0.02
"""People of the same first and last name in one household, for each person known."""

FILE: Final = Path(__file__).parents[2] / "agency_node" / "link_prior.json"


def candidates(asked: Iterable[Description], records: Iterable[Description]) -> tuple[tuple[int, int], ...]:
    """Pairs of positions that share a match key, as the token index would find them."""
    holders: dict[bytes, set[int]] = defaultdict(set)
    for position, record in enumerate(records):
        for entry in entries(record):
            for key in match_keys(entry):
                holders[key.input].add(position)
    pairs = {
        (position, other)
        for position, description in enumerate(asked)
        for key in match_keys(description)
        for other in holders.get(key.input, ())
    }
    return tuple(sorted(pairs))


def make(people: int = PEOPLE, chance_pairs: int = CHANCE_PAIRS) -> dict[str, object]:
    """The prior as JSON."""
    world = households(SEED, people)
    chooser = Random(f"written down {SEED}")
    asked = [written_down(person, chooser) for person in world]
    records = [written_down(person, chooser) for person in world]
    homes: dict[int, list[int]] = defaultdict(list)
    for position, person in enumerate(world):
        homes[person.household].append(position)

    kin = [(one, other) for home in homes.values() for one in home for other in home if one != other]
    twins = [pair for pair in kin if _twins(world[pair[0]], world[pair[1]])]
    relatives = [pair for pair in kin if not _twins(world[pair[0]], world[pair[1]])]
    strangers = [(chooser.randrange(len(world)), chooser.randrange(len(world))) for _ in range(chance_pairs)]

    def shares(pairs: Iterable[tuple[int, int]]) -> dict[str, tuple[float, ...]]:
        counted = {field: [0.5] * levels for field, levels in FIELDS.items()}
        for one, other in pairs:
            _count(counted, compare(asked[one], records[other]))
        return {field: tuple(count / sum(row) for count in row) for field, row in counted.items()}

    twin, relative = shares(twins), shares(relatives)
    chance = shares(pair for pair in strangers if world[pair[0]].household != world[pair[1]].household)
    found = [compare(asked[one], records[other]) for one, other in candidates(asked, records)]
    size = len(world) ** 2
    # A namesake is a relative with the first name of the other, written down with the same slips.
    namesake = relative | {"first": twin["last"]}
    kin = {
        "twin": (len(twins) / len(world), twin),
        "namesake": (NAMESAKES, namesake),
        "relative": (len(relatives) / len(world), relative),
    }
    same, _ = fit_m(found, [(1.0, chance), *((odds / len(world), table) for odds, table in kin.values())], size)
    return {
        "version": VERSION,
        "same": _rounded(same),
        "chance": _rounded(chance),
        "kin": {name: {"odds": round(odds, 4), "levels": _rounded(table)} for name, (odds, table) in kin.items()},
        "usual": {field: USUAL[field] for field in COUNTED},
        "known": 0.3,
        "strength_people": 1000,
        "strength_pairs": 2000,
    }


def _twins(one: Person, other: Person) -> bool:
    return one.twin != 0 and one.twin == other.twin


def _count(counted: dict[str, list[float]], levels: Levels) -> None:
    for field, level in zip(FIELDS, levels, strict=True):
        if level >= 0:
            counted[field][level] += 1


def _rounded(table: Mapping[str, tuple[float, ...]]) -> dict[str, list[float]]:
    """Six digits, adding up to one."""
    rounded = {}
    for field, shares in table.items():
        row = [max(round(share, 6), 0.000001) for share in shares]
        row[row.index(max(row))] = round(row[row.index(max(row))] + 1 - sum(row), 6)
        rounded[field] = row
    return rounded


if __name__ == "__main__":
    FILE.write_text(json.dumps(make(), indent=1) + "\n", encoding="utf-8")
