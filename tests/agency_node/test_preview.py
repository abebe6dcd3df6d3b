"""A preview shows shapes and counts, and one cure for each fault; never a value, never one person."""

import re
import sqlite3
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.catalogue import Question
from agency_node.mapping import open_records
from agency_node.preview import Preview, preview, shape, shown

AT_NS = int(datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()) * 1_000_000_000
MAPPING = """\
version: 1
agency: social-care
source: {kind: sqlite, database_file: care.db}
people: SELECT id, forename AS first_name, surname AS last_name, dob AS date_of_birth, nhs AS nhs_number FROM clients
answers:
  agency.contact:
    sql: SELECT max(seen) AS latest, count(*) AS count, max(team) AS team FROM visits
      WHERE client IN (:person_ids) AND seen >= :since
contacts:
  north: {team: Family help north, role: Duty worker, phone: 01632 960001}
data_as_of: SELECT '2026-11-22T00:00:00Z'
"""
CONTACT = Question(
    id="agency.contact",
    version=1,
    title="Is there contact?",
    meaning_of_yes="There was.",
    meaning_of_no="There was none.",
    subjects=frozenset({"person"}),
    answer="recency",
    shows_recency=True,
    composition="per_agency",
    yes_when="count",
    window_days=1_095,
    owners=("social-care",),
    sensitivity="ordinary",
    min_tier=1,
    purposes=(),
    gateways={},
    min_role="",
    freshness_limit_s=3 * 86_400,
    next_step="",
    risk_factor_code="",
    deprecated_by=None,
)
PEOPLE = 300

See = Callable[..., Preview]


@pytest.fixture
def see(tmp_path: Path) -> See:
    """Previews the records after a change to them or to the mapping."""

    def seen(*changes: str, old: str = "", new: str = "") -> Preview:
        (tmp_path / "care.db").unlink(missing_ok=True)
        connection = sqlite3.connect(tmp_path / "care.db")
        connection.executescript(
            "CREATE TABLE clients (id INTEGER PRIMARY KEY, forename TEXT, surname TEXT, dob TEXT, nhs TEXT);"
            "CREATE TABLE visits (client INTEGER, seen TEXT, team TEXT);"
        )
        for number in range(PEOPLE):
            day, month = 1 + number % 28, 1 + number % 12
            connection.execute(
                "INSERT INTO clients VALUES (?, ?, ?, ?, ?)",
                (number, f"Jamie{'abcdefghij'[number % 10]}", "Thorley", f"{day:02}/{month:02}/1991", None),
            )
        connection.executemany(
            "INSERT INTO visits VALUES (?, ?, 'north')",
            [
                *((n, "2026-11-01") for n in range(10)),
                *((n, "2026-03-01") for n in range(10, 30)),
                *((n, "2024-03-01") for n in range(30, 32)),
            ],
        )
        for change in changes:
            connection.execute(change)
        connection.commit()
        connection.close()
        assert old in MAPPING
        (tmp_path / "mapping.yaml").write_text(MAPPING.replace(old, new) if old else MAPPING)
        return preview(open_records(tmp_path / "mapping.yaml"), [CONTACT], AT_NS)

    return seen


def test_sound_records_show_shapes_and_counts_and_no_doubt(see: See) -> None:
    """Everybody's fields, and what each question would answer today."""
    found = see()
    born = next(field for field in found.fields if field.name == "date_of_birth")
    (contact,) = found.questions

    assert (PEOPLE, PEOPLE, ()) == (found.people, found.sample, found.doubts)
    assert (PEOPLE, PEOPLE, 84, (("99/99/9999", PEOPLE),), 0) == (
        born.filled,
        born.readable,
        born.distinct,
        born.shapes,
        born.other,
    )
    assert {"yes: within 3 months": 10, "yes: within 12 months": 20, "yes: within 3 years": 2, "no": 268} == (
        contact.outcomes
    )


def test_no_value_of_a_record_is_in_a_preview(see: See) -> None:
    """T-LNK-1: whoever mends the mapping need not see the records; one odd value is lumped with the others."""
    found = see(
        "UPDATE clients SET dob = 'after the flood' WHERE id = 3",
        "UPDATE clients SET surname = 'O''Neil-17' WHERE id = 4",
    )
    fields = {field.name: field for field in found.fields}

    assert not [word for word in ("Jamie", "Thorley", "flood", "1991", "north") if word in repr(asdict(found))]
    assert (((("99/99/9999", PEOPLE - 1),), 1), ((("A", PEOPLE - 1),), 1)) == (
        (fields["date_of_birth"].shapes, fields["date_of_birth"].other),
        (fields["last_name"].shapes, fields["last_name"].other),
    )


FAULTS = [
    (
        ["UPDATE clients SET dob = substr(dob, 4, 2) || '/13/1988' WHERE id < 40"],
        ("date_of_birth", "40 dates have the month before the day", "Turn them round"),
    ),
    (
        ["UPDATE clients SET dob = printf('1988-%02d-%02d', 1 + id % 7, 1 + id % 12)"],
        ("date_of_birth", "None of 300 dates of birth lies after the 12th", "Day and month are the wrong way round"),
    ),
    (
        ["UPDATE clients SET dob = '21/05/88' WHERE id < 20"],
        ("date_of_birth", "20 of 300 values cannot be read as a date of birth", "four digits of the year"),
    ),
    (
        ["UPDATE clients SET nhs = '999000018' WHERE id < 3"],
        ("nhs_number", "under 5 of 3 values cannot be read", "'digits: 10'"),
    ),
    (
        ["UPDATE visits SET team = 'ops-7' WHERE client < 6"],
        ("agency.contact", "6 people would be a yes without anybody to ring", "named default"),
    ),
    (
        ["UPDATE visits SET seen = 'z last week' WHERE client < 9"],
        ("agency.contact", "For 9 of 300 people the query's dates or counts cannot be read", "Make 'latest' a date"),
    ),
    (
        ["UPDATE visits SET seen = '2027-10-01' WHERE client < 9"],
        ("agency.contact", "For 9 people the latest date lies in the future", "appointments"),
    ),
    (["DELETE FROM visits"], ("agency.contact", "The answer is no about all 300 people tried", "ids")),
    (
        ["INSERT INTO visits SELECT id, '2026-11-02', 'north' FROM clients"],
        ("agency.contact", "The answer is yes about everybody", "inside brackets"),
    ),
    (["DELETE FROM clients"], ("people", "finds nobody", "WHERE")),
    (["UPDATE clients SET dob = NULL"], ("date_of_birth", "Nobody has a date of birth", "AS date_of_birth")),
    (["UPDATE clients SET surname = NULL WHERE id < 7"], ("people", "7 people have no first or no last name", "split")),
    (["UPDATE clients SET forename = 'Mrs'"], ("first_name", "Only 1 different first names", "title")),
]


@pytest.mark.parametrize(("changes", "doubt"), FAULTS, ids=[doubt[1][:40] for _, doubt in FAULTS])
def test_each_fault_has_its_cure(see: See, changes: list[str], doubt: tuple[str, str, str]) -> None:
    """T-LNK-5: what would read as no, or as nobody, is told before anybody asks."""
    about, told, cure = doubt
    found = see(*changes)

    assert [True] == [
        told in one.told and cure in one.cure for one in found.doubts if one.about == about and told in one.told
    ], found.doubts


def test_old_records_and_unmapped_questions_are_told(see: See) -> None:
    """Both read as cannot say for everybody, which nobody would notice from the outside."""
    old = see(old="2026-11-22T00:00:00Z", new="2026-10-22T00:00:00Z")
    unmapped = see(old="agency.contact", new="agency.other")

    assert {"cannot say: records too old": PEOPLE} == old.questions[0].outcomes
    assert {"cannot say: not in the mapping": PEOPLE} == unmapped.questions[0].outcomes
    assert "31.5 days old" in old.doubts[0].told
    assert "Add a query for it" in unmapped.doubts[0].cure


def test_few_people_are_not_counted_out() -> None:
    """A count of one may be somebody whom the reader knows."""
    assert ["0", "under 5", "under 5", "5", "1203"] == [shown(count) for count in (0, 1, 4, 5, 1203)]


@given(st.text(max_size=60))
def test_a_shape_holds_neither_letters_nor_digits_of_the_value(value: str) -> None:
    """Whatever is written, only A, 9 and marks are left of it."""
    assert not re.search(r"[^\W\d_A]|[0-8]", shape(value))
    assert len(shape(value)) <= 40


@pytest.mark.parametrize(
    ("value", "form"),
    [("21/05/1988", "99/99/9999"), ("MD4 7QT", "AA9 9AA"), ("Zoë O'Neil", "A A'A"), ("x" * 300, "A"), ("٣/5", "9/9")],
)
def test_shapes_tell_forms_apart(value: str, form: str) -> None:
    """Enough to see that a date has two digits of the year, and no more."""
    assert form == shape(value)
