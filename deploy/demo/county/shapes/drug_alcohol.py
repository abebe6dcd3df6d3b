"""The drug and alcohol service's register: one field for the whole name, often half a postcode, times since 1970."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from deploy.demo.county.memory import Held
from deploy.demo.county.shapes.files import database

_DDL: Final = """
CREATE TABLE client (
    client_no INTEGER PRIMARY KEY, client_name TEXT NOT NULL, born TEXT, sex TEXT, lives_at TEXT, postcode TEXT,
    keep_back INTEGER NOT NULL, touched INTEGER NOT NULL);
CREATE TABLE episode (
    episode_no INTEGER PRIMARY KEY, client_no INTEGER NOT NULL REFERENCES client, service TEXT NOT NULL,
    began INTEGER NOT NULL, ended INTEGER, reviewed INTEGER NOT NULL);
CREATE INDEX episode_by_client ON episode (client_no);
"""


def number(held: Held) -> str:
    """The number by which the mapping knows a record: "1234"."""
    return str(held.ref)


def write(folder: Path, records: Sequence[Held]) -> None:
    """A client; episodes of treatment and reviews in one table.

    Raises:
        FileExistsError: There are records already.
    """
    with database(folder / "drug_alcohol.sqlite", _DDL) as connection:
        for held in records:
            name = " ".join(filter(None, (held.first_name, held.middle_name, held.last_name)))
            born = held.date_of_birth.isoformat() if held.date_of_birth else None
            lives_at = held.address.line if held.address else "NFA"
            postcode = held.address.postcode if held.address else None
            touched = _noon(held.contacts[-1].on)
            connection.execute(
                "INSERT INTO client VALUES (?,?,?,?,?,?,?,?)",
                (held.ref, name, born, held.sex.upper() or None, lives_at, postcode, int(held.withheld), touched),
            )
            episodes = [
                (held.ref, one.team, _noon(one.on), None if one.open else _noon(one.on), 0) for one in held.contacts
            ] + [(held.ref, one.team, _noon(one.on), _noon(one.on), 1) for one in held.assessments]
            connection.executemany(
                "INSERT INTO episode (client_no, service, began, ended, reviewed) VALUES (?,?,?,?,?)", episodes
            )


def _noon(day: date) -> int:
    """Seconds since 1970 at midday."""
    return int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp())
