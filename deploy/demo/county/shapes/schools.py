"""The schools' information system: pupils and their guardians apart, one list of events for both; compact dates."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deploy.demo.county.memory import Held
from deploy.demo.county.shapes.files import database

_DDL: Final = """
CREATE TABLE pupil (
    admission_no TEXT PRIMARY KEY, legal_surname TEXT NOT NULL, former_surname TEXT, forename TEXT NOT NULL,
    middle_names TEXT, born TEXT, gender TEXT, home TEXT, postcode TEXT, do_not_disclose INTEGER NOT NULL,
    changed TEXT NOT NULL);
CREATE TABLE guardian (
    guardian_no TEXT PRIMARY KEY, title TEXT, surname TEXT NOT NULL, former_surname TEXT, forename TEXT NOT NULL,
    middle_names TEXT, born TEXT, home TEXT, postcode TEXT, do_not_disclose INTEGER NOT NULL, changed TEXT NOT NULL);
CREATE TABLE event (
    event_no INTEGER PRIMARY KEY, about TEXT NOT NULL, kind TEXT NOT NULL, team TEXT NOT NULL, happened TEXT NOT NULL,
    continues INTEGER NOT NULL);
CREATE INDEX event_by_person ON event (about);
"""
_LEAVING_AGE: Final = 19


def number(held: Held) -> str:
    """The number by which the mapping knows a record: "P" and digits for a pupil, "G" for a guardian."""
    return f"{'G' if is_guardian(held) else 'P'}{held.ref:06d}"


def is_guardian(held: Held) -> bool:
    """Whether somebody was too old for school when the school last had to do with them."""
    return held.truth.age(held.contacts[-1].on) >= _LEAVING_AGE


def write(folder: Path, records: Sequence[Held]) -> None:
    """House and street under each other in one field; birthdays as eight digits.

    Raises:
        FileExistsError: There are records already.
    """
    with database(folder / "schools.sqlite", _DDL) as connection:
        for held in records:
            ref, home = number(held), held.address
            shared = (
                f"{home.line.replace(', ', chr(10))}" if home else None,
                home.postcode if home else None,
                int(held.shielded),
                held.contacts[-1].on.isoformat(),
            )
            names = (held.last_name, held.former_last_name or None, held.first_name, held.middle_name or None)
            born = f"{held.date_of_birth:%Y%m%d}" if held.date_of_birth else None
            sex = held.sex.upper() or None
            if is_guardian(held):
                title = {"F": "Ms", "M": "Mr"}.get(sex or "")
                connection.execute(
                    "INSERT INTO guardian VALUES (?,?,?,?,?,?,?,?,?,?,?)", (ref, title, *names, born, *shared)
                )
            else:
                connection.execute(
                    "INSERT INTO pupil VALUES (?,?,?,?,?,?,?,?,?,?,?)", (ref, *names, born, sex, *shared)
                )
            events = [
                *((ref, "contact", one.team, one.on.isoformat(), int(one.open)) for one in held.contacts),
                *((ref, "plan review", one.team, one.on.isoformat(), 0) for one in held.assessments),
            ]
            connection.executemany(
                "INSERT INTO event (about, kind, team, happened, continues) VALUES (?,?,?,?,?)", events
            )
