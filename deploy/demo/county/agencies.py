"""The eight agencies: how many people each knows, whom, through which teams, and how carelessly it writes them down.

Shares add up to about one and a half records a person. They are invented, in proportions that a county would
recognise: most people have a doctor, few are known to a youth offending team, and nearly every family that is known to
one of the small services is known to several.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from deploy.demo.county.people import CARE_LEAVER, DISABLED, LOOKED_AFTER, NO_FIXED_ABODE, Person
from deploy.demo.county.slips import Slip, heard, scanned, typed

Suits = Callable[[Person, int], bool]
"""Whether a team deals with somebody of that age, in years."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How an agency writes people down. Every number is a share of records, 0 to 1.

    Attributes:
        slip: What kind of mistake its clerks make.
        first, last, street: So damaged.
        current: Brought up to date at the last contact and not only at the first.
        called_by: The name somebody is called by, instead of the first name.
        respelt: Another spelling, where there is one; half as often in last names.
        honorific: A middle name such as Kaur, taken for the last name.
        half: One of two last names, where there are two.
        middle, middle_initial: Middle name kept whole, or its first letter; else left out.
        initial: First name as a letter only.
        swapped: First and last name in each other's place.
        last_missing: No last name.
        one_field: The whole name is in one field, so a last name of two words cannot be told from a middle name.
        former_name, former_address: Kept, where there is one.
        turned, miscounted, century, unborn: Date of birth with day and month exchanged, a digit wrong, the century
            wrong, or none at all.
        sexless, other_sex: Not asked, or wrong.
        homeless: No address.
        flat: The flat's number lost, where there is one.
        postcode, sector, no_postcode: Mistyped, the first half and a digit only, or none.
        nhs: NHS number known.
        shields: Whether the system can mark a person as hidden.
        withholds: The agency lets nothing be said.
        twice: Entered a second time by somebody who did not find the first entry.
    """

    slip: Slip
    first: float
    last: float
    street: float
    current: float
    called_by: float
    respelt: float
    middle: float
    middle_initial: float
    flat: float
    turned: float
    miscounted: float
    postcode: float
    honorific: float = 0.0
    half: float = 0.0
    initial: float = 0.0
    swapped: float = 0.0
    last_missing: float = 0.0
    one_field: bool = False
    former_name: float = 0.0
    former_address: float = 0.0
    century: float = 0.0
    unborn: float = 0.0
    sexless: float = 0.0
    other_sex: float = 0.0
    homeless: float = 0.0
    sector: float = 0.0
    no_postcode: float = 0.0
    nhs: float = 0.0
    shields: bool = False
    withholds: float = 0.0
    twice: float = 0.0


@dataclass(frozen=True, slots=True)
class Agency:
    """One agency's knowledge of the county.

    Attributes:
        share: Records, as a share of the people.
        weight: How likely somebody of that age is known, in proportion to others; 0 for never.
        burden: How much likelier with a household's burden of 0, 1 and 2.
        together: How much households differ from each other, so that its members are known or unknown together: the
            standard deviation of a logarithm.
        teams: Key of a team, as in the mapping's contacts -> whom it deals with.
        assessed: Share of records with a finished assessment.
        habits: How it writes.
        whole_homes: It knows households and not single people.
    """

    share: float
    weight: Callable[[Person, int], float]
    burden: tuple[float, float, float]
    together: float
    teams: Mapping[str, Suits]
    assessed: float
    habits: Habits
    whole_homes: bool = False


def _anybody(_person: Person, _age: int) -> bool:
    return True


def _of(lowest: int, highest: int) -> Suits:
    return lambda _person, age: lowest <= age <= highest


def _police(person: Person, age: int) -> float:
    if age < 10:
        return 0
    young = 2.0 if 14 <= age <= 40 else 0.8
    return young * (1.8 if person.sex == "m" else 1) * (4 if NO_FIXED_ABODE in person.marks else 1)


def _schools(person: Person, age: int) -> float:
    """Pupils, and as contacts some of their parents."""
    if 4 <= age <= 18:
        return 6
    return 0.35 if 22 <= age <= 60 and person.relation in {"self", "partner"} and person.partner else 0


def _social_care(person: Person, age: int) -> float:
    if LOOKED_AFTER in person.marks or CARE_LEAVER in person.marks:
        return 60
    if age < 18:
        return 4
    return 1.2 if age <= 50 else 0.1


def _health(person: Person, age: int) -> float:
    if age < 5:
        return 4
    if age >= 65 or DISABLED in person.marks:
        return 1.8
    return 1.3 if person.sex == "f" and 18 <= age <= 45 else 0.8


def _youth_offending(person: Person, age: int) -> float:
    if not 10 <= age <= 20:
        return 0
    return (3 if person.sex == "m" else 1) * (3 if LOOKED_AFTER in person.marks else 1)


def _drug_alcohol(person: Person, age: int) -> float:
    if age < 15:
        return 0
    return (2 if 20 <= age <= 55 else 0.6) * (15 if NO_FIXED_ABODE in person.marks else 1)


def _charity(person: Person, age: int) -> float:
    if age < 14:
        return 0.3
    return 6 if {NO_FIXED_ABODE, CARE_LEAVER} & set(person.marks) else 1.5 if age < 60 else 0.8


AGENCIES: Final[Mapping[str, Agency]] = MappingProxyType(
    {
        "police": Agency(
            share=0.20,
            weight=_police,
            burden=(1, 5, 14),
            together=0.7,
            teams={
                "neighbourhood": _anybody,
                "response": _anybody,
                "custody": _of(14, 120),
                "youth": _of(0, 17),
            },
            assessed=0.1,
            # Taken down at a custody desk or over the radio: names as they sound and as people are called.
            habits=Habits(
                slip=heard, first=0.02, last=0.02, street=0.02, current=0.6, called_by=0.22, respelt=0.35,
                honorific=0.1, half=0.2, middle=0.55, middle_initial=0.05, swapped=0.004, former_name=0.5,
                turned=0.008, miscounted=0.012, unborn=0.005, sexless=0.005, other_sex=0.002, flat=0.2, postcode=0.01,
                no_postcode=0.03, homeless=0.01, twice=0.025,
            ),
        ),
        "schools": Agency(
            share=0.25,
            weight=_schools,
            burden=(1, 1.2, 1.3),
            together=0.3,
            teams={
                "admissions": _anybody,
                "pastoral": _anybody,
                "attendance": _anybody,
                "inclusion": _anybody,
            },
            assessed=0.08,
            # Copied from a birth certificate; a few are entered under the name that they like.
            habits=Habits(
                slip=typed, first=0.006, last=0.006, street=0.008, current=0.85, called_by=0.05, respelt=0.06,
                middle=0.85, middle_initial=0.05, flat=0.04, turned=0.003, miscounted=0.004, postcode=0.006,
                half=0.04, unborn=0.004, former_name=0.3, shields=True, twice=0.005,
            ),
        ),
        "social-care": Agency(
            share=0.12,
            weight=_social_care,
            burden=(1, 9, 30),
            together=1.0,
            teams={
                "assessment": _anybody,
                "looked-after": lambda person, _age: LOOKED_AFTER in person.marks or CARE_LEAVER in person.marks,
                "protection": _of(0, 17),
                "disability": lambda person, _age: DISABLED in person.marks,
                "leaving-care": lambda person, age: CARE_LEAVER in person.marks and age >= 16,
            },
            assessed=0.33,
            # The fullest record: former names and addresses, most NHS numbers; but typed in a hurry.
            habits=Habits(
                slip=typed, first=0.025, last=0.02, street=0.02, current=0.7, called_by=0.1, respelt=0.15,
                middle=0.7, middle_initial=0.05, flat=0.1, turned=0.01, miscounted=0.01, postcode=0.015,
                honorific=0.05, half=0.1, swapped=0.003, former_name=0.7, former_address=0.7, unborn=0.005,
                sexless=0.01, other_sex=0.003, no_postcode=0.02, nhs=0.6, shields=True, twice=0.015,
            ),
        ),
        "housing": Agency(
            share=0.25,
            weight=lambda person, age: (1.6 if person.relation == "self" and age < 40 else 1.0),
            burden=(1, 2.5, 3.5),
            together=0.5,
            teams={"tenancy": _anybody, "options": _anybody, "nuisance": _anybody},
            assessed=0.33,
            # Written at the start of a tenancy and hardly looked at since: maiden names, lost flats, day and month.
            habits=Habits(
                slip=typed, first=0.015, last=0.012, street=0.012, current=0.35, called_by=0.1, respelt=0.12,
                middle=0.0, middle_initial=0.7, flat=0.5, turned=0.02, miscounted=0.012, postcode=0.012, half=0.1,
                swapped=0.003, unborn=0.03, sexless=0.02, other_sex=0.004, twice=0.01,
            ),
            whole_homes=True,
        ),
        "health": Agency(
            share=0.45,
            weight=_health,
            burden=(1, 1.3, 1.7),
            together=0.5,
            teams={
                "gp": _anybody,
                "health-visiting": _of(0, 4),
                "midwifery": lambda person, age: person.sex == "f" and 16 <= age <= 44,
                "paediatrics": _of(5, 17),
                "urgent": _anybody,
            },
            assessed=0.2,
            # Registered once with an NHS number; letters are read by a machine, and nobody tells the doctor of a move.
            habits=Habits(
                slip=scanned, first=0.008, last=0.008, street=0.02, current=0.5, called_by=0.04, respelt=0.08,
                middle=0.65, middle_initial=0.1, flat=0.08, turned=0.004, miscounted=0.006, postcode=0.008,
                honorific=0.12, half=0.05, swapped=0.002, former_name=0.5, former_address=0.4, other_sex=0.001,
                no_postcode=0.01, nhs=0.96, shields=True, twice=0.008,
            ),
        ),
        "youth-offending": Agency(
            share=0.02,
            weight=_youth_offending,
            burden=(1, 8, 25),
            together=0.6,
            teams={"prevention": _of(8, 17), "orders": _of(11, 20), "court": _of(11, 20)},
            assessed=0.6,
            # Taken over from the police and from court lists, then corrected with the family.
            habits=Habits(
                slip=heard, first=0.015, last=0.015, street=0.015, current=0.75, called_by=0.12, respelt=0.2,
                middle=0.4, middle_initial=0.25, flat=0.2, turned=0.006, miscounted=0.008, postcode=0.01, half=0.1,
                former_name=0.2, no_postcode=0.02, homeless=0.005, twice=0.01,
            ),
        ),
        "drug-alcohol": Agency(
            share=0.04,
            weight=_drug_alcohol,
            burden=(1, 8, 25),
            together=0.8,
            teams={"treatment": _anybody, "young-people": _of(0, 24), "outreach": _anybody},
            assessed=0.5,
            # People say as much as they like: half a postcode, an initial, now and then another birthday.
            habits=Habits(
                slip=heard, first=0.02, last=0.02, street=0.02, current=0.6, called_by=0.28, respelt=0.3,
                middle=0.12, middle_initial=0.1, flat=0.4, turned=0.01, miscounted=0.02, postcode=0.02,
                honorific=0.1, half=0.3, initial=0.06, swapped=0.008, last_missing=0.005, one_field=True,
                century=0.006, unborn=0.03, sexless=0.03, other_sex=0.004, homeless=0.1, sector=0.25, no_postcode=0.06,
                withholds=0.03, twice=0.03,
            ),
        ),
        "charity": Agency(
            share=0.08,
            weight=_charity,
            burden=(1, 6, 16),
            together=0.9,
            teams={"family-support": _anybody, "young-parents": _of(14, 26), "advice": _anybody},
            assessed=0.25,
            # Volunteers, one spreadsheet: what was said at the door, as it was heard.
            habits=Habits(
                slip=heard, first=0.03, last=0.03, street=0.03, current=0.8, called_by=0.38, respelt=0.35,
                middle=0.1, middle_initial=0.05, flat=0.3, turned=0.015, miscounted=0.015, postcode=0.05, half=0.3,
                honorific=0.15, swapped=0.01, last_missing=0.006, century=0.002, unborn=0.12, sexless=0.2,
                other_sex=0.004, homeless=0.05, no_postcode=0.12, shields=True, twice=0.03,
            ),
        ),
    }
)  # fmt: skip
"""In the order in which they are written and counted."""
