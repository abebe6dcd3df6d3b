"""The charity's spreadsheet: one sheet of clients under a title, one of visits; kept by volunteers."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from deploy.demo.county.memory import Held
from deploy.demo.county.shapes.files import Cell, british, write_xlsx

_CLIENTS: Final = (
    "Client no", "First name", "Middle name", "Last name", "Date of birth", "Gender", "Address", "Postcode",
    "Do not share", "Last seen",
)  # fmt: skip
_VISITS: Final = ("Client no", "Date", "Project", "What for", "Still open?")


def number(held: Held) -> str:
    """The number by which the mapping knows a record: "1234"."""
    return str(held.ref)


def write(folder: Path, records: Sequence[Held]) -> None:
    """Real dates in most cells; every eighth was typed as text.

    Raises:
        FileExistsError: There are records already.
    """
    made_on = max(contact.on for held in records for contact in held.contacts)
    write_xlsx(folder / "clients.xlsx", {"Clients": _clients(records), "Visits": _visits(records)}, made_on)


def _clients(records: Sequence[Held]) -> Iterator[Sequence[Cell]]:
    yield ("Larkspur Family Trust: people we know",)
    yield ()
    yield _CLIENTS
    for held in records:
        born: Cell = held.date_of_birth
        if held.date_of_birth and held.ref % 8 == 0:
            born = british(held.date_of_birth)
        yield (
            held.ref,
            held.first_name,
            held.middle_name or None,
            held.last_name or None,
            born,
            {"f": "female", "m": "male"}.get(held.sex),
            held.address.line if held.address else None,
            (held.address.postcode or None) if held.address else None,
            "Yes" if held.shielded else "No",
            held.contacts[-1].on,
        )


def _visits(records: Sequence[Held]) -> Iterator[Sequence[Cell]]:
    yield _VISITS
    for held in records:
        for contact in held.contacts:
            yield (held.ref, contact.on, contact.team, "visit", "Yes" if contact.open else "No")
        for done in held.assessments:
            yield (held.ref, done.on, done.team, "assessment", "No")
