"""`accord-node quickstart` as a person runs it: again and again, with all that may be wrong with a spreadsheet."""

import json
import os
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import openpyxl
import pytest

from agency_node import enrol
from tests.system.conftest import Program

TODAY: Final = datetime.now(UTC).date()
HEADINGS: Final = ("Client ref", "First name", "Surname", "DOB", "Postcode", "Last contact", "Notes")
SAID: Final = (
    *("--team", "Larkspur Trust", "--role", "Manager", "--phone", "01632 960001"),
    *("--federation", "midshire", "--agency", "charity", "--broker", "localhost:9", "--steward-at", "localhost:9"),
)
ASKED: Final = "\nLarkspur Trust\nManager\n01632 960001\nmidshire\ncharity\n\n\nlocalhost:9\nlocalhost:9\n"
"""What a person types after the columns: an empty line takes what is offered."""
SECRET: Final = "Quillfeather"
"""A last name that must stand in nothing that is said."""


def client(number: int) -> list[object]:
    seen = TODAY - timedelta(days=number)
    return [number, f"Ann{number}", SECRET, date(1980, 1, 1 + number), "MD4 7QT", seen, "rang"]


CLIENTS: Final = [list(HEADINGS), *(client(number) for number in range(1, 21))]


def save(file: Path, rows: Sequence[Sequence[object]] = CLIENTS) -> Path:
    """A spreadsheet that only this user may read."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(list(row))
    book.save(file)
    file.chmod(0o600)
    return file


def without(*headings: str) -> list[list[object]]:
    """The clients without some columns."""
    kept = [place for place, heading in enumerate(HEADINGS) if heading not in headings]
    return [[row[place] for place in kept] for row in CLIENTS]


def test_a_plain_list_needs_one_command_and_no_answer(run: Program, tmp_path: Path) -> None:
    """Everything is said in options; what to send, to whom, and what to read out is said at the end."""
    file, home = save(tmp_path / "clients.xlsx"), tmp_path / "home"
    before = file.read_bytes()
    said = run("accord-node", "quickstart", "--spreadsheet", file, "--home", home, "--yes", *SAID)
    told = json.loads(run("accord-node", "quickstart", "--home", home, "--json").out)

    assert 0 == said.code, said.words
    # Where lines break, inside a long path even, depends on how long the folder's name is.
    unbroken = "".join(said.words.split())
    assert all(words in unbroken for words in ("20clients", "request.jsontotheoperator", "mapping.yamliswritten"))
    assert told["fingerprint"] in said.words
    assert (20, False, ["agency.contact", "family.known", "family.known_anywhere"]) == (
        told["people"],
        told["joined"],
        told["answers"],
    )
    assert (before, 0o700) == (file.read_bytes(), home.stat().st_mode & 0o777)
    assert SECRET not in said.words


def test_a_person_is_asked_and_is_asked_nothing_twice(run: Program, tmp_path: Path) -> None:
    """What was said before Ctrl-C is kept; the second run goes on from there."""
    file, home = save(tmp_path / "clients.xlsx"), tmp_path / "home"
    stopped = run("accord-node", "quickstart", "--spreadsheet", file, "--home", home, told="y\n")
    went_on = run("accord-node", "quickstart", "--home", home, told=ASKED[1:])
    again = run("accord-node", "quickstart", "--home", home)

    assert (1, 0, 0) == (stopped.code, went_on.code, again.code), went_on.words
    assert "Its layout is as it was confirmed" in went_on.words
    assert (True, True) == ((home / "request.json").exists(), "Keys are in" in again.words)


def test_a_wrong_guess_is_corrected_by_a_person(run: Program, tmp_path: Path) -> None:
    """No; which column; what it is; then the rest."""
    file, home = save(tmp_path / "clients.xlsx"), tmp_path / "home"
    told = "n\nLast contact\nstarted\ny" + ASKED
    said = run("accord-node", "quickstart", "--spreadsheet", file, "--home", home, told=told)

    assert 0 == said.code, said.words
    assert '"Last contact": {name: started, type: date}' in (home / "mapping.yaml").read_text()


def test_doubts_are_settled_one_by_one(run: Program, tmp_path: Path) -> None:
    """A list without numbers, with a status of its own words."""
    rows = without("Client ref")
    rows = [[*row, "Status" if not number else ("Open", "On pause")[number % 2]] for number, row in enumerate(rows)]
    file, home = save(tmp_path / "clients.xlsx", rows), tmp_path / "home"
    told = "\ny\nOn pause\n\ny" + ASKED
    said = run("accord-node", "quickstart", "--spreadsheet", file, "--home", home, told=told)
    mapping = (home / "mapping.yaml").read_text()

    assert 0 == said.code, said.words
    assert ("digest:" in mapping, "'on pause'" in mapping) == (True, True)
    assert 32 == len((home / "spreadsheet.key").read_bytes())


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([], "EMPTY"),
        (CLIENTS[1:], "NO_HEADINGS"),
        (without("Client ref"), "NO_NUMBER"),
        (without("Surname"), "NO_NAME"),
        (without("Last contact"), "NO_ANSWERS"),
        ([*CLIENTS, client(7)], "NUMBER_TWICE"),
    ],
)
def test_with_yes_nothing_doubtful_is_taken(
    run: Program, tmp_path: Path, rows: Sequence[Sequence[object]], code: str
) -> None:
    """It ends with a code for programs and words for people, and leaves no home half made."""
    file, home = save(tmp_path / "clients.xlsx", rows), tmp_path / "home"
    said = run("accord-node", "quickstart", "--spreadsheet", file, "--home", home, "--yes", *SAID)

    assert (1, True) == (said.code, f"({code})" in said.words), said.words
    assert SECRET not in said.words
    assert [] == list(home.glob("*"))


def test_a_changed_layout_is_explained_and_not_taken_by_itself(run: Program, tmp_path: Path) -> None:
    """A night's job must not read another column from one day to the next."""
    file, home = save(tmp_path / "clients.xlsx"), tmp_path / "home"
    run("accord-node", "quickstart", "--spreadsheet", file, "--home", home, "--yes", *SAID)
    before = (home / "mapping.yaml").read_bytes()
    save(file, [["Start date" if cell == "Last contact" else cell for cell in row] for row in CLIENTS])
    refused = run("accord-node", "quickstart", "--home", home, "--yes")
    kept = (home / "mapping.yaml").read_bytes()
    taken = run("accord-node", "quickstart", "--home", home, told="y\ny\n")

    assert (1, 0) == (refused.code, taken.code), taken.words
    assert "'Last contact' (date of last contact) is gone" in refused.words
    assert (True, False) == (before == kept, before == (home / "mapping.yaml").read_bytes())


def test_columns_that_only_moved_are_no_change(run: Program, tmp_path: Path) -> None:
    """Headings tell columns apart, not their places; a new column that nobody needs is no matter."""
    file, home = save(tmp_path / "clients.xlsx"), tmp_path / "home"
    run("accord-node", "quickstart", "--spreadsheet", file, "--home", home, "--yes", *SAID)
    save(file, [[*reversed(row), "Hobby" if row is CLIENTS[0] else "cornet"] for row in CLIENTS])

    assert 0 == run("accord-node", "quickstart", "--home", home, "--yes").code


def test_a_mapping_changed_by_hand_is_left_alone_while_it_fits(run: Program, tmp_path: Path) -> None:
    """And is kept beside the new one when it does not fit any more."""
    file, home = save(tmp_path / "clients.xlsx"), tmp_path / "home"
    run("accord-node", "quickstart", "--spreadsheet", file, "--home", home, "--yes", *SAID)
    mapping = home / "mapping.yaml"
    by_hand = mapping.read_text().replace("Larkspur Trust", "Larkspur Family Trust")
    mapping.write_text(by_hand)
    fits = run("accord-node", "quickstart", "--home", home, "--yes")
    left = mapping.read_text()
    save(file, [["Seen" if cell == "Last contact" else cell for cell in row] for row in CLIENTS])
    told = "last_contact\ny\ny\n"
    anew = run("accord-node", "quickstart", "--home", home, told=told)

    assert (0, by_hand) == (fits.code, left), fits.words
    assert 0 == anew.code, anew.words
    assert (by_hand, True) == ((home / "mapping.before.yaml").read_text(), '"Seen"' in mapping.read_text())


@pytest.mark.parametrize("moved", [0, 3, 7])
def test_keys_that_were_being_made_are_gone_on_with(run: Program, tmp_path: Path, moved: int) -> None:
    """Killed while keys are moved in, it moves the rest; killed while they are made, it makes them anew."""
    file, home = save(tmp_path / "clients.xlsx"), tmp_path / "home"
    staged = home / ".keys-being-made"
    run("accord-node", "quickstart", "--spreadsheet", file, "--home", home, "--yes", *SAID)
    names = sorted(
        (
            one.name
            for one in home.iterdir()
            if one.suffix in {".key", ".secret", ".toml"} or one.name == "request.json"
        ),
        key=lambda one: one == "request.json",
    )
    staged.mkdir()
    for name in names[moved:]:
        (home / name).replace(staged / name)
    request = (staged / "request.json").read_bytes()
    said = run("accord-node", "quickstart", "--home", home, "--yes", *SAID)

    assert (0, request, False) == (said.code, (home / "request.json").read_bytes(), staged.exists()), said.words


def test_half_made_keys_are_made_anew(run: Program, tmp_path: Path) -> None:
    """No request was made of them, so nobody has seen them."""
    file, home = save(tmp_path / "clients.xlsx"), tmp_path / "home"
    staged = home / ".keys-being-made"
    staged.mkdir(parents=True, mode=0o700)
    (staged / "tls.key").write_bytes(b"half")
    said = run("accord-node", "quickstart", "--spreadsheet", file, "--home", home, "--yes", *SAID)

    assert (0, False) == (said.code, staged.exists()), said.words
    assert b"half" != (home / "tls.key").read_bytes()


def test_joining_says_what_is_still_missing_and_goes_on_later(run: Program, tmp_path: Path) -> None:
    """The operator's file is in place, nobody listens yet: the same command again, once the broker is there."""
    file, home = save(tmp_path / "clients.xlsx"), tmp_path / "home"
    authority, sent = tmp_path / "authority", tmp_path / "sent"
    steward = tmp_path / "steward"
    run("accord-node", "quickstart", "--spreadsheet", file, "--home", home, "--yes", *SAID)
    run("accord-broker", "init", "--home", tmp_path / "broker", "--authority", authority, "--federation", "midshire")
    run("accord-node", "init", "--home", steward, "--federation", "midshire", "--steward")
    run("accord-broker", "enrol", steward / "request.json", "--authority", authority, "--out", sent)
    enrolled = run("accord-broker", "enrol", home / "request.json", "--authority", authority, "--out", sent)
    key = enrolled.words.split("identifier out by telephone:")[1].split()[0]
    bundle = ("--home", home, "--bundle", sent / "charity.bundle.json")
    other = run("accord-node", "quickstart", *bundle, told="0123456789abcdef\n")
    read_out = json.loads(run("accord-node", "quickstart", "--home", home, "--json").out)["fingerprint"]
    joined = run("accord-node", "quickstart", *bundle, told=f"{key}\n")
    later = run("accord-node", "quickstart", "--home", home, "--yes")

    assert read_out in enrolled.words
    assert "not the one you were told" in other.words
    assert [1, 4, 4] == [other.code, joined.code, later.code], joined.words
    assert all("broker: nobody answers at localhost:9" in said.words for said in (joined, later))


def test_keys_are_never_made_twice(run: Program, tmp_path: Path) -> None:
    """A request that was moved away to be sent is not made anew: it would be for other keys."""
    file, home = save(tmp_path / "clients.xlsx"), tmp_path / "home"
    run("accord-node", "quickstart", "--spreadsheet", file, "--home", home, "--yes", *SAID)
    key = (home / "tls.key").read_bytes()
    (home / enrol.REQUEST).rename(tmp_path / "to-be-sent.json")
    said = run("accord-node", "quickstart", "--home", home, "--yes")

    assert (0, key, False) == (said.code, (home / "tls.key").read_bytes(), (home / enrol.REQUEST).exists())
    assert "seems to be sent" in said.words


def test_places_where_others_can_read_are_warned_of(run: Program, tmp_path: Path) -> None:
    """And a list that is open in a spreadsheet program."""
    file, home = save(tmp_path / "clients.xlsx"), tmp_path / "home"
    file.chmod(0o644)
    (tmp_path / "~$clients.xlsx").touch()
    tmp_path.chmod(0o777)
    said = run("accord-node", "quickstart", "--spreadsheet", file, "--home", home, "--yes", *SAID)

    assert all(
        words in said.words for words in ("everybody on this machine may use", "chmod 600", "open in a spreadsheet")
    )
    assert "everybody may put files into" in said.words


@pytest.mark.parametrize("kind", ["missing", "not a workbook", "old kind", "unreadable bytes"])
def test_a_file_that_is_no_spreadsheet_is_said_to_be_none(run: Program, tmp_path: Path, kind: str) -> None:
    """With what to do, and without anything of it."""
    file = tmp_path / ("clients.xls" if kind == "old kind" else "clients.xlsx")
    if kind != "missing":
        file.write_bytes(os.urandom(2_000) if kind == "unreadable bytes" else SECRET.encode())
    said = run("accord-node", "quickstart", "--spreadsheet", file, "--home", tmp_path / "home", "--yes", *SAID)

    assert 0 != said.code
    assert ("What you can do" in said.words, SECRET in said.words) == (True, False)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--column", "DOB"), "column"),
        (("--column", "DOB=birthday"), "columns"),
        (("--column", "Birthday=date_of_birth"), "NO_COLUMN"),
        (("--sheet", "Other"), "NO_SHEET"),
        (("--answers", "answers.json"), "answers"),
    ],
)
def test_a_slip_in_an_option_is_named(run: Program, tmp_path: Path, options: Sequence[str], named: str) -> None:
    """With what may stand there."""
    file = save(tmp_path / "clients.xlsx")
    said = run(
        "accord-node", "quickstart", "--spreadsheet", file, "--home", tmp_path / "home", "--yes", *SAID, *options
    )

    assert 0 != said.code
    assert named in said.words


def test_a_script_may_say_everything_in_a_file(run: Program, tmp_path: Path) -> None:
    """What options and prompts say, as JSON."""
    rows = [["Kid" if cell == "First name" else cell for cell in row] for row in CLIENTS]
    answers = {
        "spreadsheet": str(save(tmp_path / "clients.xlsx", rows)),
        "columns": {"Kid": "first_name"},
        "contact": {"team": "Larkspur Trust", "role": "Manager", "mailbox": "office@larkspur.example"},
        **{"federation": "midshire", "agency": "charity", "kind": "charity", "title": "Larkspur Trust"},
        **{"broker": "localhost:9", "steward": "localhost:9"},
    }
    (tmp_path / "answers.json").write_text(json.dumps(answers))
    home = tmp_path / "home"
    said = run("accord-node", "quickstart", "--answers", tmp_path / "answers.json", "--home", home, "--json")

    assert 0 == said.code, said.words
    assert {"Kid": "first_name"}.items() <= {
        one["heading"]: one["meaning"] for one in json.loads(said.out)["columns"]
    }.items()
