"""Children's social care's case system, the fullest: ISO dates, names apart, former names and postcodes."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from deploy.demo.county.memory import Held
from deploy.demo.county.shapes.files import database

_DDL: Final = """
CREATE TABLE person (
    person_id INTEGER PRIMARY KEY, forename TEXT NOT NULL, middle_names TEXT, surname TEXT NOT NULL,
    previous_surname TEXT, birth_date DATE, gender TEXT,
    house TEXT, postcode TEXT, previous_postcode TEXT,
    nhs_no TEXT, restricted INTEGER NOT NULL, last_modified TIMESTAMP NOT NULL);
CREATE TABLE care_case (
    case_id INTEGER PRIMARY KEY, person_id INTEGER NOT NULL REFERENCES person, team TEXT NOT NULL,
    opened DATE NOT NULL, closed DATE);
CREATE TABLE assessment (
    assessment_id INTEGER PRIMARY KEY, person_id INTEGER NOT NULL REFERENCES person, team TEXT NOT NULL,
    completed DATE);
CREATE INDEX care_case_by_person ON care_case (person_id);
CREATE INDEX assessment_by_person ON assessment (person_id);
"""
_SEXES: Final = {"f": "Female", "m": "Male"}


def number(held: Held) -> str:
    """The number by which the mapping knows a record: "1234"."""
    return str(held.ref)


def write(folder: Path, records: Sequence[Held]) -> None:
    """A person, their cases, their assessments.

    Raises:
        FileExistsError: There are records already.
    """
    with database(folder / "social_care.sqlite", _DDL) as connection:
        for held in records:
            connection.execute(
                "INSERT INTO person VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
                (
                    held.ref,
                    held.first_name,
                    held.middle_name or None,
                    held.last_name,
                    held.former_last_name or None,
                    held.date_of_birth.isoformat() if held.date_of_birth else None,
                    _SEXES.get(held.sex),
                    held.address.line if held.address else None,
                    held.address.postcode if held.address else None,
                    held.former_address.postcode if held.former_address else None,
                    held.nhs_number or None,
                    int(held.shielded),
                    f"{held.contacts[-1].on.isoformat()} {9 + held.ref % 9:02d}:{held.ref % 60:02d}:00",
                ),
            )
            for contact in held.contacts:
                closed = None if contact.open else contact.on.isoformat()
                opened = contact.on - timedelta(days=held.ref % 50)
                connection.execute(
                    "INSERT INTO care_case (person_id, team, opened, closed) VALUES (?,?,?,?)",
                    (held.ref, contact.team, (contact.on if contact.open else opened).isoformat(), closed),
                )
            for done in held.assessments:
                connection.execute(
                    "INSERT INTO assessment (person_id, team, completed) VALUES (?,?,?)",
                    (held.ref, done.team, done.on.isoformat()),
                )
