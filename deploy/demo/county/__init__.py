"""An invented county, and the records in which its eight agencies remember it, each in its own way.

    generate(seed, people, as_of) -> County -> write(agency, folder, county) -> a database, CSV files or a spreadsheet

| file | what it holds |
|--|--|
| `names`, `town` | names of several heritages and their spellings; streets, houses, postcodes |
| `people` | everybody as they really are: households, relatives, moves, changes of name |
| `larkspur` | the one household that is always the same, and who knows it |
| `agencies` | what each agency is like: whom it knows, and its habits of writing |
| `slips`, `memory` | how writing goes wrong; what each agency remembers |
| `shapes/` | the form of each agency's records |

* Everybody here is invented. Postcodes use the area MD, which the Royal Mail has given to no place; NHS numbers come
  from 999 000 0000 to 999 999 9999, set aside for testing; telephone numbers come from the block Ofcom keeps for drama.
* The same seed, size and day make the same county, whatever else the machine is doing.
* One household is fixed, whatever the seed: Jamie, Anne and Stacey at Flat 3, 14 Larkspur Rise, and those around them.
  One family, the Okonjo-Reyeses, lives in the county and is in nobody's records.

Run by hand: `python -m deploy.demo.county FOLDER` writes one folder an agency.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Final

from deploy.demo.county import larkspur
from deploy.demo.county.agencies import AGENCIES as _AGENCIES
from deploy.demo.county.memory import Assessment, Contact, Held, remember
from deploy.demo.county.people import Grower, Move, Person
from deploy.demo.county.shapes import SHAPES
from deploy.demo.county.town import LARKSPUR, QUARRY_MEAD, Address

AGENCIES: Final = tuple(_AGENCIES)
MAPPINGS: Final = Path(__file__).resolve().parents[1] / "mappings"
"""One mapping a file, `police.yaml` and so on: which of that agency's columns answer which question."""

SMALLEST: Final = 20
LARGEST: Final = 100_000
"""Fewest and most people a county may have: room for the fixed household, and streets enough for the rest."""
PEOPLE: Final = 2_000
SEED: Final = 2026
AS_OF: Final = date(2026, 11, 22)
"""What a county is like when nothing else is said."""


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
        for person in (*self.people[: len(larkspur.HOUSEHOLD)], *self.strangers):
            if (person.first_name, person.last_name) == (first_name, last_name):
                return person
        raise LookupError("nobody in the fixed households has that name")

    def record(self, agency: str, person: Person) -> Held | None:
        """What that agency has written down about this person, or None; the first where it did so twice."""
        return next((held for held in self.held[agency] if held.truth.id == person.id), None)


def generate(seed: int = SEED, people: int = PEOPLE, as_of: date = AS_OF) -> County:
    """Grow a county.

    Args:
        seed: Same seed, same county.
        people: How many may be in somebody's records, SMALLEST to LARGEST; the strangers come on top.
        as_of: The day on which it is looked at. Ages and contacts count back from it; the fixed birthdays do not move.

    Raises:
        ValueError: `people` is out of range.
    """
    if not SMALLEST <= people <= LARGEST:
        raise ValueError(f"people: {people} is not between {SMALLEST} and {LARGEST}")
    grown = Grower(seed, people + len(larkspur.STRANGERS), as_of)
    grown.fixed(larkspur.HOUSEHOLD, LARKSPUR, larkspur.BURDEN)
    while len(grown.people) < people:
        grown.household(room=people - len(grown.people))
    population = tuple(grown.people)
    grown.fixed(larkspur.STRANGERS, QUARRY_MEAD, 0)
    held = {agency: remember(agency, population, seed, as_of) for agency in AGENCIES}

    return County(seed, as_of, population, tuple(grown.people[people:]), MappingProxyType(held))


def write(agency: str, folder: Path, county: County) -> Path:
    """Write one agency's records into `folder`, which is made if need be.

    Beside `police.sqlite`, `clients.xlsx` and the like goes the mapping that reads them, since the paths in a mapping
    count from its own folder.

    Returns:
        The mapping file.

    Raises:
        KeyError: No such agency.
        FileExistsError: There are records already; nothing was changed.
    """
    shape = SHAPES[agency]
    folder.mkdir(parents=True, exist_ok=True)
    shape.write(folder, county.held[agency])
    mapping = folder / "mapping.yaml"
    mapping.write_bytes((MAPPINGS / f"{agency}.yaml").read_bytes())

    return mapping


# -- The county as test data ------------------------------------------------------------------------------------------


def number(agency: str, held: Held) -> str:
    """The number by which the agency's mapping knows a record.

    Raises:
        KeyError: No such agency.
    """
    return SHAPES[agency].number(held)


def described(held: Held) -> dict[str, str | tuple[str, ...]]:
    """What an agency has written down of somebody, as the arguments of `accord.identity.describe`.

    Just what the agency's mapping reads out of its records; what the agency does not keep is left out.
    """
    return _raw(
        held.first_name,
        held.middle_name,
        held.last_name,
        held.date_of_birth,
        held.sex,
        held.address,
        held.nhs_number,
        held.former_last_name,
        held.former_address,
    )


def told(person: Person) -> dict[str, str | tuple[str, ...]]:
    """Somebody as a worker who knows them well would type them: as `described`, without a slip."""
    return _raw(
        person.first_name,
        person.middle_name,
        person.last_name,
        person.date_of_birth,
        person.sex,
        person.address,
        person.nhs_number,
        person.former_last_name,
        person.former_address,
    )


def _raw(
    first_name: str,
    middle_name: str,
    last_name: str,
    born: date | None,
    sex: str,
    address: Address | None,
    nhs_number: str,
    former_last_name: str,
    former_address: Address | None,
) -> dict[str, str | tuple[str, ...]]:
    raw: dict[str, str | tuple[str, ...]] = {
        "first_name": first_name,
        "middle_names": middle_name,
        "last_name": last_name,
        "date_of_birth": born.isoformat() if born else "",
        "sex": sex,
        "address": address.line if address else "",
        "postcode": address.postcode if address else "",
        "nhs_number": nhs_number,
        "former_last_names": (former_last_name,) if former_last_name else (),
        "former_postcodes": (former_address.postcode,) if former_address else (),
    }

    return {name: value for name, value in raw.items() if value}


def pairs(county: County, left: str, right: str) -> Iterator[tuple[Held, Held]]:
    """Every person whom both agencies know, as each has written them down; in order of the left agency's numbers.

    Somebody whom an agency has entered twice comes twice.

    Raises:
        KeyError: No such agency.
    """
    known: dict[str, list[Held]] = {}
    for held in county.held[right]:
        known.setdefault(held.truth.id, []).append(held)
    for held in county.held[left]:
        yield from ((held, other) for other in known.get(held.truth.id, ()))


__all__ = [
    "AGENCIES",
    "AS_OF",
    "LARGEST",
    "LARKSPUR",
    "MAPPINGS",
    "PEOPLE",
    "SEED",
    "SMALLEST",
    "Address",
    "Assessment",
    "Contact",
    "County",
    "Held",
    "Move",
    "Person",
    "described",
    "generate",
    "number",
    "pairs",
    "told",
    "write",
]
