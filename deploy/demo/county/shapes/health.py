"""The community health system (health visiting and GP): names, addresses and birthdays each in a table of their own.

Laid out as patients' records usually are: several names and addresses with their use, and the codes of the NHS Data
Dictionary for gender (https://www.datadictionary.nhs.uk/attributes/person_gender_code.html: 1 male, 2 female, 0 not
known) and for no fixed abode (the postcode ZZ99 3VZ).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deploy.demo.county.memory import Held
from deploy.demo.county.shapes.files import database
from deploy.demo.county.town import Address

_DDL: Final = """
CREATE TABLE patient (
    patient_id INTEGER PRIMARY KEY, nhs_number TEXT, birth_date TEXT, gender_code TEXT NOT NULL,
    sensitive TEXT NOT NULL, updated TEXT NOT NULL);
CREATE TABLE patient_name (
    patient_id INTEGER NOT NULL REFERENCES patient, use TEXT NOT NULL, family TEXT NOT NULL, given TEXT,
    other_given TEXT, PRIMARY KEY (patient_id, use));
CREATE TABLE patient_address (
    patient_id INTEGER NOT NULL REFERENCES patient, use TEXT NOT NULL, line_1 TEXT, line_2 TEXT, town TEXT,
    postcode TEXT, PRIMARY KEY (patient_id, use));
CREATE TABLE encounter (
    encounter_id INTEGER PRIMARY KEY, patient_id INTEGER NOT NULL REFERENCES patient, service TEXT NOT NULL,
    took_place TEXT NOT NULL, discharged TEXT);
CREATE TABLE care_assessment (
    assessment_id INTEGER PRIMARY KEY, patient_id INTEGER NOT NULL REFERENCES patient, service TEXT NOT NULL,
    finished TEXT NOT NULL);
CREATE INDEX encounter_by_patient ON encounter (patient_id);
CREATE INDEX care_assessment_by_patient ON care_assessment (patient_id);
"""
_GENDERS: Final = {"m": "1", "f": "2"}
_NO_FIXED_ABODE: Final = "ZZ99 3VZ"


def number(held: Held) -> str:
    """The number by which the mapping knows a record: "1234"."""
    return str(held.ref)


def write(folder: Path, records: Sequence[Held]) -> None:
    """A patient, their names and addresses, what took place.

    Raises:
        FileExistsError: There are records already.
    """
    with database(folder / "health.sqlite", _DDL) as connection:
        for held in records:
            ref = held.ref
            connection.execute(
                "INSERT INTO patient VALUES (?,?,?,?,?,?)",
                (
                    ref,
                    held.nhs_number or None,
                    held.date_of_birth.isoformat() if held.date_of_birth else None,
                    _GENDERS.get(held.sex, "0"),
                    "Y" if held.shielded else "N",
                    f"{held.contacts[-1].on.isoformat()}T{8 + held.ref % 10:02d}:{held.ref % 60:02d}:00",
                ),
            )
            names: list[tuple[int, str, str, str | None, str | None]] = [
                (ref, "usual", held.last_name, held.first_name, held.middle_name or None)
            ]
            if held.former_last_name:
                names.append((ref, "old", held.former_last_name, None, None))
            connection.executemany("INSERT INTO patient_name VALUES (?,?,?,?,?)", names)
            lived = [(ref, "home", *_lines(held.address))]
            if held.former_address:
                lived.append((ref, "old", *_lines(held.former_address)))
            connection.executemany("INSERT INTO patient_address VALUES (?,?,?,?,?,?)", lived)
            connection.executemany(
                "INSERT INTO encounter (patient_id, service, took_place, discharged) VALUES (?,?,?,?)",
                [
                    (ref, one.team, one.on.isoformat(), None if one.open else one.on.isoformat())
                    for one in held.contacts
                ],
            )
            connection.executemany(
                "INSERT INTO care_assessment (patient_id, service, finished) VALUES (?,?,?)",
                [(ref, one.team, one.on.isoformat()) for one in held.assessments],
            )


def _lines(address: Address | None) -> tuple[str | None, str | None, str | None, str]:
    """Two lines, town, postcode: a flat stands in a line of its own."""
    if address is None:
        return None, None, None, _NO_FIXED_ABODE
    first, _, second = address.line.rpartition(", ")
    return (first, second, "Midshire", address.postcode) if first else (second, None, "Midshire", address.postcode)
