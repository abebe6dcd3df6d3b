"""The youth offending team's extract: two CSV files with headings as the case system's report gives them."""

from collections.abc import Sequence
from pathlib import Path

from deploy.demo.county.memory import Held
from deploy.demo.county.shapes.files import british, refuse_to_write_over, write_csv


def number(held: Held) -> str:
    """The number by which the mapping knows a record: "YP1234"."""
    return f"YP{held.ref}"


def write(folder: Path, records: Sequence[Held]) -> None:
    """Young people with their address in two columns; what was done with them, one row each.

    Raises:
        FileExistsError: There are records already.
    """
    young, work = folder / "young_people.csv", folder / "interventions.csv"
    refuse_to_write_over(young, work)
    people: list[Sequence[object]] = []
    done: list[Sequence[object]] = []
    for held in records:
        ref, home = number(held), held.address
        first, _, second = home.line.rpartition(", ") if home else ("", "", "")
        people.append(
            (
                ref,
                held.last_name,
                held.former_last_name,
                f"{held.first_name} {held.middle_name}".strip(),
                british(held.date_of_birth) if held.date_of_birth else "",
                {"f": "Female", "m": "Male"}.get(held.sex, ""),
                first,
                second,
                home.postcode if home else "",
                british(held.contacts[-1].on),
            )
        )
        for contact in held.contacts:
            ended = "" if contact.open else british(contact.on)
            done.append((ref, contact.team, "contact", british(contact.on), ended))
        done.extend((ref, one.team, "assessment", british(one.on), british(one.on)) for one in held.assessments)
    heading = (
        "YP_Ref", "Surname", "Previous_Surname", "Forenames", "Date_Of_Birth", "Gender", "Address_1", "Address_2",
        "Postcode", "Last_Updated",
    )  # fmt: skip
    write_csv(young, heading, people)
    write_csv(work, ("YP_Ref", "Team", "Kind", "Started", "Ended"), done)
