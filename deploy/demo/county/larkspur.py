"""The household that everybody's story is about, and the family whom nobody knows; the same whatever the seed.

Flat 3, 14 Larkspur Rise, overcrowded: Jamie, 13, with an order for antisocial behaviour and hardly ever at school; his
father Dean, who is disabled; Dean's partner Anne, who drinks; her daughter Stacey, 17, who was in care and is pregnant;
Alfie, 6, who is autistic; Kyle, Leanne who visits, and Ryan, who uses heroin and stays for periods. Each agency knows
some of them, has written them down as such systems do, and does not know what the others know.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from types import MappingProxyType
from typing import Any, Final

from deploy.demo.county.people import CARE_LEAVER, DISABLED, Person, Row
from deploy.demo.county.town import LARKSPUR

BURDEN: Final = 2

HOUSEHOLD: Final = (
    Row("Jamie", "Alan", "Thorley", "", date(2013, 3, 9), "m", "child", ("Dean",)),
    Row("Anne", "Marie", "Calloway", "Hebden", date(1988, 5, 21), "f", "partner", (), "Dean"),
    Row("Stacey", "Dawn", "Calloway", "", date(2009, 1, 30), "f", "stepchild", ("Anne",), marks=(CARE_LEAVER,)),
    Row("Dean", "Robert", "Thorley", "", date(1981, 10, 2), "m", "self", (), "Anne", (DISABLED,)),
    Row("Alfie", "George", "Thorley", "", date(2020, 6, 25), "m", "child", ("Dean",), marks=(DISABLED,)),
    Row("Kyle", "Dean", "Thorley", "", date(2008, 7, 11), "m", "child", ("Dean",)),
    Row("Leanne", "Joy", "Thorley", "", date(2005, 4, 17), "f", "child", ("Dean",)),
    Row("Ryan", "Lee", "Calloway", "", date(2005, 8, 19), "m", "stepchild", ("Anne",)),
)

STRANGERS: Final = (
    Row("Beatriz", "Ada", "Okonjo-Reyes", "Reyes", date(1991, 11, 4), "f", "self", (), "Chike"),
    Row("Chike", "Daniel", "Okonjo-Reyes", "Okonjo", date(1989, 2, 13), "m", "partner", (), "Beatriz"),
    Row("Mateo", "Chidi", "Okonjo-Reyes", "", date(2017, 8, 28), "m", "child", ("Beatriz", "Chike")),
)

_Seen = tuple[tuple[int, str, bool], ...]
_Done = tuple[tuple[int, str], ...]

KNOWN: Final[Mapping[str, Mapping[str, _Seen]]] = MappingProxyType(
    {
        "police": {
            "Jamie": ((790, "response", False), (301, "youth", False), (23, "youth", False)),
            "Anne": ((1480, "response", False), (262, "custody", False)),
            "Stacey": ((888, "neighbourhood", False),),
            "Ryan": ((410, "custody", False), (96, "neighbourhood", False)),
        },
        "schools": {
            "Jamie": ((1500, "admissions", False), (420, "attendance", False), (12, "attendance", True)),
            "Stacey": ((1900, "admissions", False), (540, "attendance", False), (230, "attendance", False)),
            "Alfie": ((800, "admissions", False), (45, "inclusion", True)),
            "Kyle": ((2600, "admissions", False), (880, "pastoral", False)),
            "Dean": ((1500, "admissions", False), (45, "inclusion", False)),
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
        "health": {
            "Jamie": ((4900, "health-visiting", False), (212, "urgent", False)),
            "Anne": ((900, "gp", False), (400, "gp", False), (120, "gp", False), (16, "gp", True)),
            "Stacey": ((3300, "gp", False), (9, "midwifery", True)),
            "Dean": ((2000, "gp", False), (75, "gp", True)),
            "Alfie": ((2100, "health-visiting", False), (160, "paediatrics", True)),
            "Ryan": ((98, "urgent", False),),
        },
        "youth-offending": {
            "Jamie": ((330, "prevention", False), (26, "orders", True)),
            "Kyle": ((1100, "orders", False), (760, "orders", False)),
        },
        "drug-alcohol": {
            "Anne": ((640, "treatment", False), (52, "treatment", True)),
            "Ryan": ((700, "outreach", False), (31, "outreach", True)),
        },
        "charity": {
            "Stacey": ((58, "young-parents", True),),
            "Dean": ((1200, "advice", False), (410, "advice", False)),
        },
    }
)
"""Agency -> first name -> contacts: days before the day on which the county is looked at, team, still open. Anne was in
prison last winter; Stacey is known to the police through friends only, and that was long ago."""

ASSESSED: Final[Mapping[str, Mapping[str, _Done]]] = MappingProxyType(
    {
        "police": {"Jamie": ((20, "youth"),)},
        "schools": {"Alfie": ((130, "inclusion"),)},
        "social-care": {
            "Jamie": ((600, "assessment"),),
            "Stacey": ((2870, "protection"), (40, "leaving-care")),
            "Alfie": ((180, "disability"),),
        },
        "housing": {"Anne": ((1700, "options"),)},
        "health": {"Stacey": ((70, "midwifery"),), "Alfie": ((520, "paediatrics"),)},
        "youth-offending": {"Jamie": ((24, "orders"),)},
        "drug-alcohol": {"Anne": ((50, "treatment"),)},
        "charity": {"Stacey": ((40, "young-parents"),)},
    }
)
"""Agency -> first name -> assessments that were finished: days before, team."""

_NO_FLAT: Final = replace(LARKSPUR, flat="")


_WRITTEN: Final[Mapping[str, Mapping[str, Mapping[str, Any]]]] = MappingProxyType(
    {
        # Nobody at the station wrote down the flat, and Jamie gave no middle name.
        "police": {"": {"address": _NO_FLAT}, "Jamie": {"middle_name": ""}},
        # Stacey's name is spelt as it sounds; a parent's birthday is nobody's business at school.
        "schools": {
            "Stacey": {"first_name": "Stacy", "middle_name": ""},
            "Alfie": {"address": _NO_FLAT},
            "Dean": {"middle_name": "", "date_of_birth": None},
        },
        "social-care": {},
        # The tenancy lost its flat number; Kyle's birthday, 11 July, was typed as 7 November.
        "housing": {"": {"address": _NO_FLAT}, "Kyle": {"date_of_birth": date(2008, 11, 7)}},
        # Ryan came to the emergency department and gave no address.
        "health": {"Ryan": {"address": None}, "Anne": {"middle_name": ""}, "Jamie": {"middle_name": ""}},
        "youth-offending": {"": {"address": _NO_FLAT}},
        # Anne gave half a postcode; Ryan no address, and a birthday that is a day out.
        "drug-alcohol": {
            "Anne": {"middle_name": "", "address": replace(_NO_FLAT, postcode="MD4 7")},
            "Ryan": {"address": None, "date_of_birth": date(2005, 8, 18)},
        },
        # A volunteer typed what she heard.
        "charity": {
            "": {"middle_name": ""},
            "Stacey": {"first_name": "Stace", "address": replace(LARKSPUR, postcode="MD47QT")},
            "Dean": {"address": replace(_NO_FLAT, postcode="MD4 7OT")},
        },
    }
)
"""Agency -> first name, or "" for everybody -> fields of `Held` that are not as they are."""


def written(agency: str, person: Person) -> dict[str, Any]:
    """What the agency has written down otherwise than it is: fields of `Held`."""
    fields = dict(_WRITTEN[agency].get("", {})) | dict(_WRITTEN[agency].get(person.first_name, {}))
    if agency in {"housing", "youth-offending"}:
        fields["middle_name"] = person.middle_name[:1]
    if agency in {"social-care", "health"}:
        fields["former_last_name"] = person.former_last_name
    if agency == "health" or (agency == "social-care" and person.date_of_birth.year >= 2008):
        # Social care has a number for the children only.
        fields["nhs_number"] = person.nhs_number

    return fields
