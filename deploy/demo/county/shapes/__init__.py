"""The shapes in which eight agencies keep what they know: a database, a drop of files or a spreadsheet of its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from deploy.demo.county.memory import Held
from deploy.demo.county.shapes import (
    charity,
    drug_alcohol,
    health,
    housing,
    police,
    schools,
    social_care,
    youth_offending,
)


@dataclass(frozen=True, slots=True)
class Shape:
    """How one agency keeps its records.

    Attributes:
        write: Writes them into a folder.
        number: The number by which the agency's mapping knows a record.
    """

    write: Callable[[Path, Sequence[Held]], None]
    number: Callable[[Held], str]


SHAPES: Final[Mapping[str, Shape]] = MappingProxyType(
    {
        "police": Shape(police.write, police.number),
        "schools": Shape(schools.write, schools.number),
        "social-care": Shape(social_care.write, social_care.number),
        "housing": Shape(housing.write, housing.number),
        "health": Shape(health.write, health.number),
        "youth-offending": Shape(youth_offending.write, youth_offending.number),
        "drug-alcohol": Shape(drug_alcohol.write, drug_alcohol.number),
        "charity": Shape(charity.write, charity.number),
    }
)
