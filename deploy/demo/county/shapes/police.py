"""The police's records system: nominals, aliases, incidents. Capitals, dates as text the British way."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deploy.demo.county.memory import Held
from deploy.demo.county.shapes.files import british, database

_DDL: Final = """
CREATE TABLE nominal (
    nominal_ref TEXT PRIMARY KEY, surname TEXT NOT NULL, forenames TEXT NOT NULL, dob TEXT NOT NULL, sex TEXT NOT NULL,
    address TEXT NOT NULL, amended TEXT NOT NULL);
CREATE TABLE alias (nominal_ref TEXT NOT NULL REFERENCES nominal, surname TEXT NOT NULL);
CREATE TABLE incident (
    incident_no TEXT PRIMARY KEY, recorded TEXT NOT NULL, status TEXT NOT NULL, unit TEXT NOT NULL);
CREATE TABLE incident_nominal (
    incident_no TEXT NOT NULL REFERENCES incident, nominal_ref TEXT NOT NULL REFERENCES nominal,
    PRIMARY KEY (incident_no, nominal_ref));
CREATE TABLE referral (
    referral_no INTEGER PRIMARY KEY, nominal_ref TEXT NOT NULL REFERENCES nominal, completed TEXT NOT NULL,
    unit TEXT NOT NULL);
CREATE INDEX incident_nominal_by_nominal ON incident_nominal (nominal_ref);
CREATE INDEX alias_by_nominal ON alias (nominal_ref);
CREATE INDEX referral_by_nominal ON referral (nominal_ref);
"""


def number(held: Held) -> str:
    """The number by which the mapping knows a record: "N/0001234"."""
    return f"N/{held.ref:07d}"


def write(folder: Path, records: Sequence[Held]) -> None:
    """Forenames in one field, the address in one line that ends in the postcode.

    Raises:
        FileExistsError: There are records already.
    """
    with database(folder / "police.sqlite", _DDL) as connection:
        incident = 60_000
        for held in records:
            ref = number(held)
            forenames = f"{held.first_name} {held.middle_name}".strip().upper()
            address = "NO FIXED ABODE"
            if held.address:
                address = f"{held.address.line}, Midshire, {held.address.postcode}".upper()
            amended = f"{british(held.contacts[-1].on)} {9 + held.ref % 12:02d}:{held.ref % 60:02d}"
            born = british(held.date_of_birth) if held.date_of_birth else ""
            row = (ref, held.last_name.upper(), forenames, born, held.sex.upper(), address, amended)
            connection.execute("INSERT INTO nominal VALUES (?,?,?,?,?,?,?)", row)
            if held.former_last_name:
                connection.execute("INSERT INTO alias VALUES (?,?)", (ref, held.former_last_name.upper()))
            for contact in held.contacts:
                incident += 1
                case = f"{incident}/{contact.on:%y}"
                happened = (case, british(contact.on), "LIVE" if contact.open else "FILED", contact.team.upper())
                connection.execute("INSERT INTO incident VALUES (?,?,?,?)", happened)
                connection.execute("INSERT INTO incident_nominal VALUES (?,?)", (case, ref))
            for done in held.assessments:
                connection.execute(
                    "INSERT INTO referral (nominal_ref, completed, unit) VALUES (?,?,?)",
                    (ref, british(done.on), done.team.upper()),
                )
