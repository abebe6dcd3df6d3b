"""The mapping that quickstart writes fits the spreadsheet it was written for, and never turns a gap into a no."""

import datetime
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

import openpyxl
import pytest

from accord import catalogue
from accord.catalogue import Question
from agency_node import rehearsal
from agency_node.adapters import whole
from agency_node.lookup import CannotSay, No, Yes, look_up
from agency_node.mapping import Records, open_records
from agency_node.quickstart.draft import QUESTIONS, Contact, Draft, draft
from agency_node.quickstart.guess import guess
from agency_node.quickstart.understood import Sheet, Told, Weight
from tests.world.rules import shipped

TODAY: Final = datetime.datetime.now(datetime.UTC).date()
RECENT: Final = TODAY - datetime.timedelta(days=40)
LONG_AGO: Final = TODAY - datetime.timedelta(days=1_500)
CONTACT: Final = Contact('The "Larkspur" Trust: family support', "Manager", "01632 960001")
Rows = Sequence[Sequence[object]]


def written(folder: Path, rows: Rows, told: Told | None = None) -> tuple[Draft, Records]:
    """The draft for a spreadsheet of these rows, and the records through it."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Clients, all #1"
    for row in rows:
        sheet.append(list(row))
    book.save(folder / "clients list.xlsx")
    sheets = [Sheet(name, cells) for name, cells in whole.read(folder / "clients list.xlsx")]
    found = guess(sheets, TODAY, told)
    assert () == found.weighing(Weight.STOPS, Weight.ASKS), found.doubts
    key = "spreadsheet.key" if told is not None and told.digest else ""
    (folder / "spreadsheet.key").write_bytes(bytes(32))
    (folder / "spreadsheet.key").chmod(0o600)
    made = draft(found, "charity", "clients list.xlsx", CONTACT, key)
    (folder / "mapping.yaml").write_text(made.text, encoding="utf-8")
    return made, open_records(folder / "mapping.yaml")


def test_clients_in_a_hidden_sheet_are_asked_about(tmp_path: Path) -> None:
    """T-LNK-5: only one sheet is read, and whoever is in another would be "not known"."""
    book = openpyxl.Workbook()
    for title, state in (("Current", "visible"), ("Closed", "hidden")):
        sheet = book.create_sheet(title)
        sheet.sheet_state = state
        for row in CLIENTS:
            sheet.append(list(row))
    book.remove(book.worksheets[0])
    book.save(tmp_path / "clients.xlsx")

    found = guess([Sheet(name, cells) for name, cells in whole.read(tmp_path / "clients.xlsx")], TODAY)

    assert ["WHICH_SHEET"] == [doubt.code for doubt in found.weighing(Weight.ASKS) if "'Closed'" in doubt.words]


@cache
def question(name: str) -> Question:
    """As the shipped catalogue has it."""
    return catalogue.parse(shipped().files[catalogue.PATH]).questions[name]


def said(records: Records, name: str, client: str) -> str:
    """yes, no or cannot say."""
    answer = look_up(question(name), [client], records, time.time_ns())
    return {Yes: "yes", No: "no", CannotSay: "cannot say"}[type(answer)]


HEADINGS = ["Client ref", "First name", "Surname", "DOB", "Postcode", "Last contact", "Status", "Assessment date"]


def client(ref: object, seen: object, status: object, assessed: object = None) -> list[object]:
    return [ref, "Ann", "Thorley", datetime.date(1980, 1, 2), "MD4 7QT", seen, status, assessed]


CLIENTS: Final = [
    HEADINGS,
    client(1, RECENT, "Open", RECENT),
    client(2, RECENT, "Closed", LONG_AGO),
    client(3, LONG_AGO, "Closed"),
    client(4, LONG_AGO, "OPEN "),
    client(5, None, "closed"),
    client(6, None, "Open"),
    client(7, LONG_AGO, "On pause"),
    client(8, LONG_AGO, None),
    client(9, "31/31/2020", "Closed"),
    *[client(number, RECENT, "Open") for number in range(10, 20)],
    client(20, LONG_AGO, "Closed", RECENT),
    client(21, LONG_AGO, "Closed", TODAY + datetime.timedelta(days=90)),
]


@pytest.mark.parametrize(
    ("ref", "contact", "open_now", "assessed"),
    [
        ("1", "yes", "yes", "yes"),
        ("2", "yes", "no", "no"),
        ("3", "no", "no", "no"),
        ("4", "yes", "yes", "no"),
        ("5", "cannot say", "no", "no"),
        ("6", "yes", "yes", "no"),
        ("7", "cannot say", "cannot say", "no"),
        ("8", "cannot say", "cannot say", "no"),
        ("9", "cannot say", "cannot say", "cannot say"),
        ("20", "yes", "no", "yes"),
        ("21", "cannot say", "no", "cannot say"),
    ],
)
def test_a_gap_in_the_list_is_never_a_no(tmp_path: Path, ref: str, contact: str, open_now: str, assessed: str) -> None:
    """Open counts as contact; a missing date, unknown word or unreadable cell is not taken for none (T-LNK-5)."""
    made, records = written(tmp_path, CLIENTS, Told(other_words=True))

    assert set(QUESTIONS) == set(made.answers)
    assert (contact, open_now, assessed, contact, contact) == (
        said(records, "agency.contact", ref),
        said(records, "agency.open_now", ref),
        said(records, "assessment.done", ref),
        said(records, "family.known", ref),
        said(records, "family.known_anywhere", ref),
    )


def test_work_that_is_planned_to_end_is_open(tmp_path: Path) -> None:
    """T-LNK-5: an end that lies ahead is no end, and "not open" would be a wrong no."""
    ends = [None, TODAY + datetime.timedelta(days=90), RECENT, *[LONG_AGO] * 10]
    rows: list[list[object]] = [["Client ref", "First name", "Surname", "DOB", "Last contact", "Date closed"]]
    rows += [
        [ref, "Ann", "Thorley", datetime.date(1980, 1, 2), LONG_AGO if end else RECENT, end]
        for ref, end in enumerate(ends, 1)
    ]
    _, records = written(tmp_path, rows)

    assert ["yes", "yes", "no", "no"] == [said(records, "agency.open_now", ref) for ref in "1234"]
    assert ["yes", "cannot say", "yes", "no"] == [said(records, "agency.contact", ref) for ref in "1234"]


def test_the_contact_route_is_the_one_that_was_given(tmp_path: Path) -> None:
    """With quotation marks and a colon in it."""
    _, records = written(tmp_path, CLIENTS, Told(other_words=True))
    answer = look_up(question("agency.contact"), ["1"], records, time.time_ns())

    assert isinstance(answer, Yes)
    assert answer.contact is not None
    assert (CONTACT.team, CONTACT.role, CONTACT.phone) == (
        answer.contact.team,
        answer.contact.role,
        answer.contact.phone,
    )


@pytest.mark.parametrize(
    ("name", "first", "middle", "last"),
    [
        ("Ann Thorley", "Ann", "", "Thorley"),
        ("Thorley, Ann", "Ann", "", "Thorley"),
        ("Thorley , Ann Marie", "Ann", "Marie", "Thorley"),
        ("Mrs Ann Thorley", "Ann", "", "Thorley"),
        ("Thorley, Mr. Ben", "Ben", "", "Thorley"),
        ("Ann Marie Rose Thorley", "Ann", "Marie Rose", "Thorley"),
        ("van der Berg, Ann", "Ann", "", "van der Berg"),
        ("Madonna", "", "", "Madonna"),
    ],
)
def test_one_column_of_names_is_taken_apart(tmp_path: Path, name: str, first: str, middle: str, last: str) -> None:
    """However each row is written."""
    rows = [["Client ref", "Client name", "DOB", "Last contact"]]
    rows += [[str(ref), "Ann Thorley", RECENT.replace(year=1980), RECENT] for ref in range(2, 12)]  # type: ignore[list-item]  # cells of any kind
    rows.append(["1", name, RECENT.replace(year=1980), RECENT])  # type: ignore[list-item]  # cells of any kind
    _, records = written(tmp_path, rows)
    found = records.person("1")

    assert found is not None
    assert (first, middle, last) == (found.first_name, found.middle_names, found.last_name)


def test_names_in_capitals_come_first_where_they_mostly_do(tmp_path: Path) -> None:
    """THORLEY Ann."""
    rows: list[list[object]] = [["Client ref", "Client name", "DOB", "Last contact"]]
    rows += [[ref, "THORLEY Ann Marie", RECENT.replace(year=1980), RECENT] for ref in range(1, 12)]
    _, records = written(tmp_path, rows)
    found = records.person("1")

    assert found is not None
    assert ("Ann", "Marie", "THORLEY") == (found.first_name, found.middle_names, found.last_name)


def test_lines_of_an_address_become_one_and_marks_hold_back(tmp_path: Path) -> None:
    """A house number in a column of its own, an empty line, a client of whom nothing is to be said."""
    born = RECENT.replace(year=1980)
    headings = [
        "Client ref",
        "First name",
        "Surname",
        "DOB",
        "House no",
        "Street",
        "Address 3",
        "Last contact",
        "Restricted",
    ]
    rows: list[list[object]] = [
        list(headings),
        *[[ref, "Ann", "Thorley", born, 14, "Larkspur Rise", None, RECENT, None] for ref in (1, 2, 3)],
        [4, "Ben", "Thorley", born, "14a", "Larkspur Rise", "Midtown", RECENT, "yes"],
        [5, "Ben", "Thorley", born, "14a", "Larkspur Rise", "Midtown", RECENT, "no"],
    ]
    _, records = written(tmp_path, rows)
    found = {person.person_id: person for person in records.people()}

    assert ("14, Larkspur Rise", "14a, Larkspur Rise, Midtown") == (found["1"].address, found["4"].address)
    assert ("14", "larkspur rise") == (
        found["1"].described().description.number,
        found["1"].described().description.street,
    )
    assert [False, True, False] == [found[ref].withheld for ref in ("1", "4", "5")]


def test_a_digest_numbers_clients_who_have_no_number(tmp_path: Path) -> None:
    """The same client has the same number after sorting, however the birth date is written."""
    rows: list[list[object]] = [["First name", "Surname", "DOB", "Last contact"]]
    rows += [[f"Ann{letter}", "Thorley", datetime.date(1980, 1, 2), RECENT] for letter in "abcdefgh"]
    _, before = written(tmp_path, rows, Told(digest=True))
    numbers = {person.first_name: person.person_id for person in before.people()}
    rows[1][2] = "02/01/1980"
    rows[2][0] = "ANNB "
    (tmp_path / "again").mkdir()
    _, after = written(tmp_path / "again", [rows[0], *reversed(rows[1:])], Told(digest=True, dates_right=("DOB",)))

    assert numbers == {person.first_name.title().replace("Annb", "Annb"): person.person_id for person in after.people()}
    assert {32} == {len(number) for number in numbers.values()}
    assert "yes" == said(after, "agency.contact", numbers["Anna"])


def test_without_the_key_of_the_digest_nothing_is_read(tmp_path: Path) -> None:
    """Another key would make every client a stranger, and every answer a no (T-LNK-5)."""
    rows: list[list[object]] = [["First name", "Surname", "DOB", "Last contact"]]
    rows += [[f"Ann{letter}", "Thorley", datetime.date(1980, 1, 2), RECENT] for letter in "abcdefgh"]
    _, records = written(tmp_path, rows, Told(digest=True))
    records.close()
    (tmp_path / "spreadsheet.key").unlink()

    with pytest.raises(Exception, match=r"spreadsheet\.key"):
        open_records(tmp_path / "mapping.yaml")


def test_a_list_without_answers_to_a_question_leaves_it_out(tmp_path: Path) -> None:
    """It is said which, and why."""
    rows: list[list[object]] = [["Client ref", "First name", "Surname", "DOB", "Referral date"]]
    rows += [
        [ref, "Ann", "Thorley", datetime.date(1980, 1, 2), LONG_AGO if ref == 1 else RECENT] for ref in range(1, 9)
    ]
    made, records = written(tmp_path, rows)

    assert {"agency.open_now", "assessment.done"} == set(made.missing)
    assert all(f"# {name} is left out" in made.text for name in made.missing)
    assert ("cannot say", "yes", "cannot say") == (
        said(records, "agency.contact", "1"),
        said(records, "agency.contact", "2"),
        said(records, "agency.open_now", "2"),
    )


def test_an_end_date_tells_open_from_closed(tmp_path: Path) -> None:
    """Where there is no status: open until it is filled."""
    rows: list[list[object]] = [["Client ref", "First name", "Surname", "DOB", "Start date", "End date"]]
    rows += [
        [ref, "Ann", "Thorley", datetime.date(1980, 1, 2), LONG_AGO, ended]
        for ref, ended in enumerate([None, RECENT, LONG_AGO, None, RECENT, RECENT], 1)
    ]
    _, records = written(tmp_path, rows)

    assert ["yes", "yes", "no"] == [said(records, "agency.contact", ref) for ref in "123"]
    assert ["yes", "no", "no"] == [said(records, "agency.open_now", ref) for ref in "123"]


def test_only_the_columns_that_are_used_are_declared(tmp_path: Path) -> None:
    """Notes, telephone numbers and the like are never read; and a rehearsal finds nothing unreadable."""
    rows: list[list[object]] = [["Client ref", "First name", "Surname", "DOB", "Last contact", "Notes", "Mobile"]]
    rows += [
        [ref, "Ann", "Thorley", datetime.date(1980, 1, 2), RECENT, "call back", "07700 900001"] for ref in range(9)
    ]
    made, records = written(tmp_path, rows)
    seen = rehearsal.check(records, TODAY)

    assert ("Notes" in made.text, "Mobile" in made.text) == (False, False)
    assert (9, {}) == (seen.people, dict(seen.unreadable))
