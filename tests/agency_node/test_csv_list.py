"""A list that an office saved as CSV is read as Excel writes it, and one that was cut short is not read at all."""

from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agency_node import rehearsal
from agency_node.adapters import RecordsUnavailable, csv_list, whole
from agency_node.mapping import open_records
from agency_node.mapping_file import MappingInvalid
from agency_node.quickstart.draft import Contact, draft
from agency_node.quickstart.guess import guess
from agency_node.quickstart.understood import Sheet, Weight
from tests.agency_node.test_quickstart_draft import TODAY

CLIENTS: Final = "\r\n".join(
    [
        "Clients of the Larkspur Trust,,,,,",
        "",
        "Client ref,First name,Surname,D.O.B.,Last contact,Notes",
        *(
            f'{ref},Zoë,"Thorley, née Day",{13 + ref % 9}/02/1980,{TODAY:%d/%m/%Y},"rang; left word"'
            for ref in range(20)
        ),
        ",,,,,",
        "",
    ]
)


def mapped(file: Path) -> Path:
    """The mapping that quickstart writes for a list."""
    found = guess([Sheet(name, rows) for name, rows in whole.read(file)], TODAY)
    assert () == found.weighing(Weight.STOPS, Weight.ASKS), found.doubts
    mapping = file.with_name("mapping.yaml")
    mapping.write_text(draft(found, "charity", file.name, Contact("Trust", "Manager", "01632 960001"), "").text)
    return mapping


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_what_excel_writes_is_read(tmp_path: Path, encoding: str, separator: str) -> None:
    """Whichever separator and encoding it chose; titles and blank rows as in a workbook."""
    file = tmp_path / "clients.csv"
    swapped = {",": CLIENTS, ";": CLIENTS.replace(";", "+").replace(",", ";"), "\t": CLIENTS.replace(",", "\t")}
    file.write_bytes(swapped[separator].encode(encoding))
    records = open_records(mapped(file))
    found = records.person("7")
    seen = rehearsal.check(records, TODAY)

    assert (20, {}, 20) == (seen.people, dict(seen.unreadable), seen.answers["agency.contact"])
    assert found is not None
    assert ("Zoë", "1980-02-20") == (found.first_name, found.date_of_birth)


def test_a_list_that_was_cut_short_is_not_read(tmp_path: Path) -> None:
    """Half a list would be half a county of wrong noes (T-LNK-5)."""
    file = tmp_path / "clients.csv"
    file.write_text(CLIENTS, encoding="utf-8")
    mapping = mapped(file)
    file.write_text(CLIENTS[: CLIENTS.rindex("/02/")], encoding="utf-8")

    with pytest.raises((RecordsUnavailable, MappingInvalid), match="copied only in part"):
        open_records(mapping)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_list_in_two_encodings_is_not_read(encoding: str) -> None:
    """T-LNK-5: one stray byte would spoil every other accented name, and nobody would find its owner."""
    data = CLIENTS.encode(encoding) + "21,Zoë".encode("cp1252")

    with pytest.raises(RecordsUnavailable, match="two encodings"):
        csv_list.rows(data, "clients.csv")


@pytest.mark.parametrize("notes", ["rang", ""])
def test_a_list_with_a_row_that_was_moved_along_is_not_read(tmp_path: Path, notes: str) -> None:
    """T-LNK-5: with a comma too many, a date stands where a postcode should, and nobody would find the client."""
    file = tmp_path / "clients.csv"
    file.write_text(CLIENTS, encoding="utf-8")
    mapping = mapped(file)
    file.write_text(CLIENTS + f"21,Zoë,Thorley, née Day,13/02/1980,{TODAY:%d/%m/%Y},{notes}\r\n", encoding="utf-8")

    with pytest.raises((RecordsUnavailable, MappingInvalid), match="A separator may stand inside a cell") as refused:
        open_records(mapping)

    assert "Thorley" not in str(refused.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a,b\x00c\n", "zero bytes"),
        (b'Client ref,Name\n1,"Quillfeather\n', "stray quotation mark"),
        (b"\x81\x8d\x8f", "not text"),
    ],
)
def test_what_is_no_list_is_refused_without_a_value(tmp_path: Path, data: bytes, words: str) -> None:
    """With what to do about it."""
    with pytest.raises(RecordsUnavailable, match=words) as refused:
        csv_list.rows(data, "clients.csv")

    assert "Quillfeather" not in str(refused.value)


def test_a_heading_that_went_is_named_and_what_stands_there_is_not(tmp_path: Path) -> None:
    """The row may hold a client by now."""
    file = tmp_path / "clients.csv"
    file.write_text(CLIENTS, encoding="utf-8")
    mapping = mapped(file)
    file.write_text(CLIENTS.replace("D.O.B.", "Quillfeather"), encoding="utf-8")

    with pytest.raises(
        (RecordsUnavailable, MappingInvalid), match=r"lacks the declared heading 'D\.O\.B\.'"
    ) as refused:
        open_records(mapping)

    assert "Quillfeather" not in str(refused.value)


@given(st.binary(max_size=300))
def test_any_bytes_are_rows_or_refused(data: bytes) -> None:
    """Nothing else comes of them."""
    try:
        found = csv_list.rows(data, "clients.csv")
    except RecordsUnavailable:
        return

    assert all(isinstance(cell, str) for row in found for cell in row)
