"""Show what a mapping would make of the agency's records before anybody asks: shapes and counts, never a row.

    people -> per field: filled, readable, distinct, shapes -> faults, each with a cure
    a sample of people, each question looked up as if asked today -> yes by recency, no, cannot say

A shape is a value with each digit as 9 and each run of letters as A, so that 21/05/1988 shows as 99/99/9999. Shapes and
outcomes of fewer than five people are lumped or shown as "under 5": whoever sees the preview learns about no one
person, as is usual for small numbers (https://digital.nhs.uk/services/data-access-request-service-dars/
dars-products-and-services/disclosure-control).
"""

import datetime
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from accord.catalogue import Question
from agency_node.lookup import CannotSay, Cause, No, Yes, look_up
from agency_node.mapping import COMPARED, LONG_AGO, PersonRow, Records

FEW: Final = 5
"""Fewer people than this are never counted out."""
MOST_SHAPES: Final = 6
"""Shapes shown of one field."""
FIELDS: Final = ("first_name", "last_name", *COMPARED)
_RUN: Final = re.compile(r"[^\W\d_]+")
_MONTH_FIRST: Final = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-]\d{4}\Z", re.ASCII)
_MANY_DATES: Final = 200
"""So many dates without one day above the 12th: by chance less than once in 10^40."""
_DAY_NS: Final = 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class FieldView:
    """One field of everybody's.

    Attributes:
        name: As in the people query.
        filled: How many people have it.
        readable: Of how many it can be compared.
        distinct: How many different values there are.
        shapes: The commonest shapes, with how many values have each; none with fewer than `FEW`.
        other: How many values have other shapes.
    """

    name: str
    filled: int
    readable: int
    distinct: int
    shapes: tuple[tuple[str, int], ...]
    other: int


@dataclass(frozen=True, slots=True)
class QuestionView:
    """One question, asked about everybody in the sample as if today.

    Attributes:
        id: Its id.
        outcomes: `yes: open now`, `yes: within 3 months` ..., `no`, `cannot say: ...` -> how many people.
    """

    id: str
    outcomes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something that may be wrong.

    Attributes:
        about: Field, question or part of the mapping.
        told: What was found.
        cure: What to do, in one sentence.
    """

    about: str
    told: str
    cure: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What the mapping makes of the records.

    Attributes:
        people: How many.
        sample: About how many of them the questions were looked up.
        fields: One for each field that the people query yields.
        questions: One for each question that this agency answers.
        doubts: What may be wrong, gravest first.
    """

    people: int
    sample: int
    fields: tuple[FieldView, ...]
    questions: tuple[QuestionView, ...]
    doubts: tuple[Doubt, ...]


def shown(count: int) -> str:
    """A count for people: fewer than `FEW`, but some, is not counted out."""
    return f"under {FEW}" if 0 < count < FEW else str(count)


def shape(value: str) -> str:
    """A value's form without the value: 21/05/1988 as 99/99/9999, MD4 7QT as AA9 9AA, O'Neil as A'A."""
    letters = _RUN.sub(lambda run: "AA" if len(run[0]) == 2 else "A", value)
    return re.sub(r"\d", "9", re.sub(r"\s+", " ", letters))[:40]


class _Field:
    """What is gathered of one field."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.filled = self.readable = self.month_first = 0
        self.values: set[int] = set()
        self.shapes: Counter[str] = Counter()
        self.unreadable: Counter[str] = Counter()

    def add(self, written: str, readable: bool) -> None:
        self.filled += 1
        self.readable += readable
        self.values.add(hash(written))
        form = shape(written)
        self.shapes[form] += 1
        if not readable:
            self.unreadable[form] += 1
        parts = _MONTH_FIRST.match(written) if self.name == "date_of_birth" else None
        if parts:
            self.month_first += int(parts[1]) <= 12 < int(parts[2])

    def view(self) -> FieldView:
        shapes = tuple((form, count) for form, count in self.shapes.most_common(MOST_SHAPES) if count >= FEW)
        return FieldView(
            self.name,
            self.filled,
            self.readable,
            len(self.values),
            shapes,
            self.filled - sum(count for _, count in shapes),
        )


def preview(records: Records, questions: Collection[Question], at_ns: int, sample: int = 500) -> Preview:
    """Look at the records through their mapping.

    Args:
        records: Through the mapping.
        questions: The catalogue's.
        at_ns: Now, nanoseconds since 1970.
        sample: About how many people questions are looked up; evenly spread.

    Raises:
        RecordsUnavailable: The records cannot be read.
        MappingInvalid: What only whole data shows: an id that occurs twice, a query that yields no single row.
    """
    fields = {name: _Field(name) for name in FIELDS if name in records.fields}
    days: Counter[int] = Counter()
    nameless = held_back = 0
    ids: list[str] = []
    for person in records.people():
        ids.append(person.person_id)
        nameless += not (person.first_name and person.last_name)
        held_back += person.shielded or person.withheld
        described = person.described()
        for name, field in fields.items():
            written = _written(person, name)
            if written:
                field.add(written, name not in described.unreadable)
        born = described.description.dob
        if born:
            days[int(born[6:8])] += 1
    tried = ids[:: max(1, len(ids) // sample)][:sample]
    doubts = [
        *_people_doubts(len(ids), nameless, held_back),
        *(doubt for field in fields.values() for doubt in _field_doubts(field, len(ids))),
        *_day_doubts(days),
        *_file_doubts(records),
    ]
    views = []
    for question in sorted(questions, key=lambda one: one.id):
        if records.agency in question.owners:
            view, found = _asked(records, question, tried, at_ns)
            views.append(view)
            doubts += found
    return Preview(len(ids), len(tried), tuple(field.view() for field in fields.values()), tuple(views), tuple(doubts))


def _written(person: PersonRow, name: str) -> str:
    value = getattr(person, name)
    return ";".join(value) if isinstance(value, tuple) else str(value)


def _people_doubts(people: int, nameless: int, held_back: int) -> list[Doubt]:
    found = []
    if people == 0:
        found.append(Doubt("people", "The people query finds nobody.", "Check its WHERE and its joins."))
    if nameless:
        found.append(
            Doubt(
                "people",
                f"{shown(nameless)} people have no first or no last name, and hardly anybody can find them.",
                "Name the right columns with AS first_name and AS last_name, or split the one that holds both.",
            )
        )
    if people and held_back > people // 2:
        found.append(
            Doubt(
                "shielded, withheld",
                f"{shown(held_back)} of {people} people are held back, so nothing is ever said about them.",
                "If that is not meant, make the columns yield 0 or 1, and not a word or a date.",
            )
        )
    return found


def _field_doubts(field: _Field, people: int) -> list[Doubt]:
    name = field.name.replace("_", " ")
    unreadable = field.filled - field.readable
    found = []
    if people and not field.filled and field.name in {"date_of_birth", "postcode", "sex"}:
        found.append(Doubt(field.name, f"Nobody has a {name}.", f"Name the column that holds it with AS {field.name}."))
    if field.month_first:
        found.append(
            Doubt(
                field.name,
                f"{shown(field.month_first)} dates have the month before the day.",
                "Turn them round in the query, or in the export, to year-month-day: 05/21/1988 as 1988-05-21.",
            )
        )
    elif unreadable:
        common = [form for form, count in field.unreadable.most_common(3) if count >= FEW]
        like = f" They look like {', '.join(common)}." if common else ""
        found.append(
            Doubt(
                field.name,
                f"{shown(unreadable)} of {field.filled} values cannot be read as a {name} and are left out.{like}",
                _FIELD_CURES.get(field.name, "Correct them in the agency's own records."),
            )
        )
    if field.name == "first_name" and field.filled >= 100 and len(field.values) * 100 < field.filled:
        found.append(
            Doubt(
                field.name,
                f"Only {len(field.values)} different first names stand in {field.filled} records.",
                "Check that the column holds names, and not a title or a code.",
            )
        )
    return found


_FIELD_CURES: Final = {
    "date_of_birth": "Make the query yield 1988-05-21 or 21/05/1988, with four digits of the year.",
    "nhs_number": "Numbers of nine digits lost a zero: declare 'digits: 10'; others have a wrong digit in the records.",
    "postcode": "Make the query yield one full postcode, such as MD4 7QT, and nothing else.",
    "sex": "Make the query yield F or M, for example with CASE WHEN.",
}


def _day_doubts(days: Mapping[int, int]) -> list[Doubt]:
    """Days of birth that never pass the 12th are months in the wrong place."""
    total = sum(days.values())
    if total < _MANY_DATES or any(day > 12 for day in days):
        return []
    return [
        Doubt(
            "date_of_birth",
            f"None of {total} dates of birth lies after the 12th of its month.",
            "Day and month are the wrong way round: turn them in the query to year-month-day.",
        )
    ]


def _file_doubts(records: Records) -> list[Doubt]:
    ownerless = records.ownerless(records.questions)
    found = []
    for place, count in sorted(records.unreadable().items()):
        words = f"{shown(count)} values could not be read while the file was loaded."
        if place in ownerless:
            words += " Nobody knows whose rows those are, so every answer from this list is 'cannot say'."
        found.append(Doubt(place, words, "Correct them in the file."))
    for noted, count in sorted(records.noted().items()):
        place, _, what = noted.partition(": ")
        cure = next((cure for word, cure in _NOTED_CURES.items() if word in what), "Nothing need be done.")
        found.append(Doubt(place, f"{shown(count)}: {what}.", cure))
    return found


_NOTED_CURES: Final = {
    "zeros may be lost": "If they are numbers that begin with 0, declare 'digits' for the column.",
    "kept as a number": "Format the column as a date in the spreadsheet, and look whether the dates are right.",
    "merged": "Unmerge them, so that every row says whom it is about.",
    "date in a text column": "Declare the column as a date, or format it as text in the spreadsheet.",
}

_BANDS: Final = {
    "OPEN_NOW": "yes: open now",
    "WITHIN_3M": "yes: within 3 months",
    "WITHIN_12M": "yes: within 12 months",
    "WITHIN_3Y": "yes: within 3 years",
    "OLDER": "yes: older",
    "": "yes",
}
_CAUSES: Final = {
    Cause.STALE: "cannot say: records too old",
    Cause.UNREADABLE: "cannot say: not readable",
    Cause.NOT_MAPPED: "cannot say: not in the mapping",
    Cause.UNAVAILABLE: "cannot say: records not available",
}


def _asked(records: Records, question: Question, tried: Sequence[str], at_ns: int) -> tuple[QuestionView, list[Doubt]]:
    outcomes: Counter[str] = Counter()
    without_contact = 0
    for person_id in tried:
        match look_up(question, [person_id], records, at_ns):
            case Yes(recency, contact):
                outcomes[_BANDS[recency]] += 1
                without_contact += contact is None
            case No():
                outcomes["no"] += 1
            case CannotSay(cause):
                outcomes[_CAUSES[cause]] += 1
    return QuestionView(question.id, dict(outcomes)), [
        *_outcome_doubts(records, question, outcomes, at_ns),
        *_contact_doubts(question, without_contact),
        *_future_doubts(records, question, tried, at_ns),
    ]


def _outcome_doubts(records: Records, question: Question, outcomes: Counter[str], at_ns: int) -> list[Doubt]:
    found = []
    total = outcomes.total()
    if outcomes[_CAUSES[Cause.NOT_MAPPED]]:
        found.append(
            Doubt(
                question.id,
                "The catalogue expects this agency to answer it, and the mapping does not.",
                "Add a query for it under answers, or leave it out: it then always reads as cannot say.",
            )
        )
    if outcomes[_CAUSES[Cause.STALE]]:
        days = (at_ns - records.as_of_ns()) / _DAY_NS
        found.append(
            Doubt(
                question.id,
                f"The records are {days:.1f} days old, older than this question allows, so nobody gets an answer.",
                "Bring them up to date, or let data_as_of yield when they were last brought up to date.",
            )
        )
    unreadable = outcomes[_CAUSES[Cause.UNREADABLE]]
    if unreadable:
        found.append(
            Doubt(
                question.id,
                f"For {shown(unreadable)} of {total} people the query's dates or counts cannot be read.",
                "Make 'latest' a date such as 2026-10-01, 'count' a whole number and 'open' 0 or 1.",
            )
        )
    yes = sum(count for name, count in outcomes.items() if name.startswith("yes"))
    if total >= FEW and yes == total:
        found.append(
            Doubt(
                question.id,
                "The answer is yes about everybody.",
                "Check that every part of the query is limited by :person_ids, also inside brackets.",
            )
        )
    if total >= 100 and yes == 0 and not any(name.startswith("cannot") for name in outcomes):
        found.append(
            Doubt(
                question.id,
                f"The answer is no about all {total} people tried.",
                "Check that the ids it looks for are those of the people query, and compare one by hand.",
            )
        )
    return found


def _contact_doubts(question: Question, without_contact: int) -> list[Doubt]:
    if not without_contact:
        return []
    return [
        Doubt(
            question.id,
            f"{shown(without_contact)} people would be a yes without anybody to ring: their team is not in contacts.",
            "Add the team's key under contacts, or a route named default.",
        )
    ]


def _future_doubts(records: Records, question: Question, tried: Sequence[str], at_ns: int) -> list[Doubt]:
    if question.id not in records.questions:
        return []
    tomorrow = datetime.datetime.fromtimestamp(at_ns // 1_000_000_000, datetime.UTC).date() + datetime.timedelta(days=1)
    latest = (records.answer(question.id, [person_id], LONG_AGO).latest for person_id in tried)
    ahead = sum(1 for day in latest if day is not None and day > tomorrow)
    if not ahead:
        return []
    return [
        Doubt(
            question.id,
            f"For {shown(ahead)} people the latest date lies in the future.",
            "Leave appointments yet to come out of the query, or turn day and month round.",
        )
    ]
