"""The district council's housing extract: three CSV files, "SURNAME, First" in one column, postcodes in one piece."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deploy.demo.county.memory import Held, tenant
from deploy.demo.county.shapes.files import british, refuse_to_write_over, write_csv

_FILES: Final = ("tenancy.csv", "occupants.csv", "contacts.csv")


def number(held: Held) -> str:
    """The number by which the mapping knows a record: "1234"."""
    return str(held.ref)


def write(folder: Path, records: Sequence[Held]) -> None:
    """Tenancies with their address, occupants with their birthday the British way, contacts and assessments in one.

    Raises:
        FileExistsError: There are records already.
    """
    tenancy_file, occupants_file, contacts_file = (folder / name for name in _FILES)
    refuse_to_write_over(tenancy_file, occupants_file, contacts_file)
    homes: dict[str, list[Held]] = {}
    for held in records:
        homes.setdefault(held.truth.household, []).append(held)
    tenancies: list[Sequence[object]] = []
    occupants: list[Sequence[object]] = []
    contacts: list[Sequence[object]] = []
    for home in sorted(homes.values(), key=lambda home: min(held.ref for held in home)):
        tenancy = f"T{min(held.ref for held in home):06d}"
        signed = tenant(home)
        started = min(contact.on for held in home for contact in held.contacts)
        lines = (signed.address.line, signed.address.postcode.replace(" ", "")) if signed.address else ("", "")
        tenancies.append((tenancy, *lines, started.isoformat()))
        for held in sorted(home, key=lambda held: (held.truth.id, held.ref)):
            name = f"{held.last_name.upper()}, {held.first_name} {held.middle_name}".rstrip()
            born = british(held.date_of_birth) if held.date_of_birth else ""
            relation = "tenant" if held is signed else "occupant"
            seen = held.contacts[-1].on.isoformat()
            occupants.append((held.ref, tenancy, name, born, held.sex.upper(), relation, seen))
            contacts.extend(
                (held.ref, contact.on.isoformat(), "contact", contact.team, "Y" if contact.open else "N")
                for contact in held.contacts
            )
            contacts.extend((held.ref, done.on.isoformat(), "assessment", done.team, "N") for done in held.assessments)
    write_csv(tenancy_file, ("tenancy_ref", "property", "postcode", "started"), tenancies)
    heading = ("occupant_ref", "tenancy_ref", "name", "born", "sex", "relation", "updated")
    write_csv(occupants_file, heading, occupants)
    write_csv(contacts_file, ("occupant_ref", "on_date", "kind", "team", "open"), contacts)
