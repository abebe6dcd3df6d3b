"""A mapping binds questions to an agency's own tables: strict, tried before use, and plain about what is wrong."""

import datetime
import json
import re
import sqlite3
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agency_node.adapters import RecordsUnavailable, selects
from agency_node.mapping import Records, open_records
from agency_node.mapping_file import MappingInvalid, parse
from agency_node.rehearsal import check

TODAY = datetime.date(2026, 11, 22)
LONG_AGO = datetime.date(1, 1, 1)
MAPPING = """\
version: 1
agency: social-care
source: {kind: sqlite, database_file: care.db}
people: >
  SELECT id, forename AS first_name, surname AS last_name, dob AS date_of_birth, pc AS postcode, nhs AS nhs_number,
         names_before AS former_last_names, shield AS shielded FROM clients
answers:
  agency.contact:
    sql: SELECT max(seen) AS latest, count(*) AS count, max(team) AS team FROM visits
      WHERE client IN (:person_ids) AND seen >= :since
  agency.open_now:
    sql: SELECT max(closed IS NULL) AS open, max(opened) AS latest FROM cases WHERE client IN (:person_ids)
contacts:
  north: {team: Family help north, role: Duty worker, phone: 01632 960001}
  default: {team: Front door, role: Duty worker, mailbox: duty@midshire.example, lead_professional: R. Ncube}
data_as_of: SELECT max(at) FROM refreshed
"""
SCHEMA = """
CREATE TABLE clients (id INTEGER PRIMARY KEY, forename TEXT, surname TEXT, dob TEXT, pc TEXT, nhs TEXT,
                      names_before TEXT, shield TEXT);
CREATE TABLE visits (client INTEGER, seen TEXT, team TEXT, notes TEXT);
CREATE TABLE cases (client INTEGER, opened TEXT, closed TEXT);
CREATE TABLE refreshed (at TEXT);
INSERT INTO clients VALUES
  (1, 'Jamie', 'Thorley', '2013-03-09', 'MD4 7QT', '999 000 0018', '', 'N'),
  (2, 'Anne Marie', 'Calloway', '21/05/1988', 'MD4 7QT', NULL, 'Thorley; Reeve', NULL),
  (3, 'Stacey', 'Calloway', '2009-01-32', '', '123', NULL, 'Y'),
  (4, 'Kim', 'Odd', NULL, NULL, NULL, NULL, 'perhaps');
INSERT INTO visits VALUES (1, '2026-10-01', 'north', 'secret'), (1, '2024-02-01', 'south', 'secret'),
  (2, 'last week', 'north', 'secret');
INSERT INTO cases VALUES (1, '2026-09-01', NULL), (2, '2020-01-01', '2020-02-01');
INSERT INTO refreshed VALUES ('2026-11-21T22:00:00Z');
"""


@pytest.fixture
def care(tmp_path: Path) -> Path:
    """A mapping file beside the database it names."""
    connection = sqlite3.connect(tmp_path / "care.db")
    connection.executescript(SCHEMA)
    connection.close()
    path = tmp_path / "mapping.yaml"
    path.write_text(MAPPING)
    return path


def with_change(path: Path, old: str, new: str) -> Path:
    """The mapping with one change made."""
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    return path


def refusal(path: Path) -> MappingInvalid:
    """What opening this mapping is refused with."""
    with pytest.raises(MappingInvalid) as caught:
        open_records(path)
    return caught.value


def test_people_are_read_with_what_can_be_read(care: Path) -> None:
    """An unreadable birth date or number is left out, not guessed and not a reason to lose the person."""
    people = {person.person_id: person for person in open_records(care).people()}

    assert ["1", "2", "3", "4"] == list(people)
    assert ("Thorley", "Reeve") == people["2"].former_last_names
    assert ("19880521", ("thorley", "reeve")) == (
        people["2"].described().description.dob,
        people["2"].described().description.former_last,
    )
    assert {"date_of_birth", "nhs_number"} == set(people["3"].described().unreadable)


def test_a_mark_that_is_neither_yes_nor_no_holds_back(care: Path) -> None:
    """Reading an odd mark as 'not shielded' would name a shielded person."""
    marks = {person.person_id: person.shielded for person in open_records(care).people()}

    assert {"1": False, "2": False, "3": True, "4": True} == marks


def test_one_person_is_read_live(care: Path) -> None:
    """Scoring compares with the record as it is now, not as it was indexed."""
    records = open_records(care)
    connection = sqlite3.connect(care.parent / "care.db")
    connection.execute("UPDATE clients SET surname = 'Thorley-Reeve' WHERE id = 1")
    connection.commit()
    connection.close()

    person = records.person("1")

    assert person is not None
    assert ("Thorley-Reeve", None, None) == (person.last_name, records.person("77"), records.person("x"))


def test_a_person_does_not_show_in_a_log_line(care: Path) -> None:
    """T-LNK-1: a row that slips into a log shows its number only."""
    (person,) = [person for person in open_records(care).people() if person.person_id == "1"]

    assert "Jamie" not in repr(person)


def timed(care: Path) -> Records:
    """Records that say when each person's changed: by day, by time with a zone, not at all, and unreadably."""
    connection = sqlite3.connect(care.parent / "care.db")
    connection.executescript(
        "ALTER TABLE clients ADD COLUMN at TEXT; UPDATE clients SET at = '01/10/2026' WHERE id = 1;"
        "UPDATE clients SET at = '2026-10-02 00:30:00+01:00' WHERE id = 2; UPDATE clients SET at = 'soon' WHERE id = 4"
    )
    connection.close()
    with_change(care, "SELECT id,", "SELECT id, at AS changed_at,")
    return open_records(with_change(care, "data_as_of", "changed_at: reliable\ndata_as_of"))


@pytest.mark.parametrize(
    ("watermark", "ids"),
    [
        ("", "1234"),
        ("2026-10-01T00:00:00Z", "1234"),
        ("2026-10-01T00:00:01Z", "234"),
        ("2026-10-01T23:30:00Z", "234"),
        ("2026-10-01T23:30:01Z", "34"),
    ],
)
def test_people_changed_since_a_time_are_those_changed_then_or_later(care: Path, watermark: str, ids: str) -> None:
    """T-LNK-5: who does not say when counts as changed, and one second too many is read rather than one too few."""
    records = timed(care)

    assert records.changed_at_usable
    assert list(ids) == [person.person_id for person in records.people_changed_since(watermark)]


def test_times_of_change_are_given_in_one_form(care: Path) -> None:
    """Their order as text is that of time, whatever form the agency writes them in."""
    times = [person.changed_at for person in timed(care).people()]

    assert ["2026-10-01T00:00:00Z", "2026-10-01T23:30:00Z", "", ""] == times


def test_times_of_change_are_not_relied_on_unless_the_mapping_says_so(care: Path) -> None:
    """A column that somebody forgets to move would hide a change of name from the index."""
    assert not open_records(care).changed_at_usable


def test_an_answer_is_aggregates_of_the_right_type(care: Path) -> None:
    """Dates, counts and flags, never rows and never notes."""
    records = open_records(care)

    found = records.answer("agency.contact", ["1"], datetime.date(2026, 1, 1))
    opened = records.answer("agency.open_now", ["1"], LONG_AGO)

    assert (datetime.date(2026, 10, 1), 1, None, "north", False) == (
        found.latest,
        found.count,
        found.open,
        found.team,
        found.doubtful,
    )
    assert (True, None) == (opened.open, opened.count)


def test_a_date_that_cannot_be_read_makes_the_answer_doubtful(care: Path) -> None:
    """A visit 'last week' must not read as no visit."""
    assert open_records(care).answer("agency.contact", ["2"], LONG_AGO).doubtful


def test_an_id_the_database_could_not_hold_makes_the_answer_doubtful(care: Path) -> None:
    """An id of the wrong kind finds nothing, which must not read as no."""
    assert open_records(care).answer("agency.contact", ["one"], LONG_AGO).doubtful


def test_the_age_of_the_records_comes_from_the_query(care: Path) -> None:
    """A query can tell better than the file's time when records were last refreshed."""
    assert 1_795_298_400_000_000_000 == open_records(care).as_of_ns()


def test_the_age_of_the_records_is_else_that_of_the_file(care: Path) -> None:
    """Without a query the file's time counts."""
    with_change(care, "data_as_of: SELECT max(at) FROM refreshed\n", "")

    assert (care.parent / "care.db").stat().st_mtime_ns == open_records(care).as_of_ns()


def test_a_team_leads_to_a_route_and_an_unknown_one_to_the_default(care: Path) -> None:
    """The team key itself never leaves the node."""
    records = open_records(care)
    north, other = records.contact("north"), records.contact("ops-7")

    assert north is not None
    assert other is not None
    assert ("01632 960001", "duty@midshire.example") == (north.phone, other.mailbox)


def test_a_check_shows_counts_and_never_a_row(care: Path) -> None:
    """`accord-node mapping check` can be shown to anybody."""
    found = check(open_records(care), TODAY)

    assert (4, 2, 2, 4) == (found.people, found.filled["date_of_birth"], found.held_back, found.tried)
    assert {"agency.contact": 2, "agency.open_now": 1} == found.answers
    assert {"agency.contact": 1, "agency.open_now": 0} == found.doubtful
    assert {"date_of_birth": 1, "nhs_number": 1} == found.unreadable
    assert not [word for word in ("Jamie", "Calloway", "MD4", "secret", "1988") if word in repr(found)]


CHANGES = [
    ("dob AS", "birthdate AS", "people", "birthdate", "'clients' does not have. Columns there: 'id', 'forename'"),
    ("FROM clients", "FROM client", "people", "", "table 'client' that the database does not have.*mean 'clients'"),
    ("surname AS last_name", "surname AS lastname", "people", "lastname", "Did you mean 'last_name'"),
    ("surname AS last_name,", "", "people", "last_name", "does not yield 'last_name'"),
    ("SELECT id, forename", "SELECT 'x' || id AS id, id, forename", "people", "id", "'id' twice"),
    ("count(*) AS count, ", "", "agency.contact", "", "neither 'count' nor 'open'"),
    ("count(*) AS count", "total(1) AS count, notes", "agency.contact", "notes", "'notes' that is not known"),
    ("count(*) AS count", "sum(1) AS count", "agency.contact", "count", "count for a person|'count' for a person"),
    ("client IN (:person_ids) AND seen", "seen", "agency.contact", "", "not limited to the person"),
    ("client IN (:person_ids) AND seen", "client IN (:person_ids) OR seen", "agency.contact", "", "does not exist"),
    (">= :since", ">= :since GROUP BY team", "agency.contact", "", "exactly one row"),
    (">= :since", ">= :name", "agency.contact", "", "bind that is not known: 'name'"),
    ("FROM clients", "FROM clients; DELETE FROM clients", "people", "", "not one SELECT"),
    ("max(team) AS team", "load_extension('x') AS team", "agency.contact", "", "'load_extension'"),
    ("max(team) AS team", "readfile('x') AS team", "agency.contact", "", "'readfile'"),
    ("FROM clients", "FROM pragma_table_info('clients')", "people", "", "'pragma_table_info'"),
    ("care.db", "absent.db", "source", "", "path"),
    ("kind: sqlite", "kind: oracle", "source", "", "sqlite, csv, xlsx, postgresql or mariadb"),
    ("version: 1", "version: 2", "", "", "version"),
    ("agency: social-care", "agency: Social Care", "", "", "agency id"),
    ("phone:", "telephone:", "contacts", "", "Did you mean 'phone'"),
    ("data_as_of:", "as_of:", "", "", "'as_of' is not known"),
    ("  agency.open_now:", "  agency.contact:", "", "", "near line"),
    ("agency.open_now:", "open now:", "answers", "", "not a question's id"),
    ("data_as_of:", "changed_at: reliable\ndata_as_of:", "people", "changed_at", "does not yield it"),
    ("data_as_of:", "changed_at: often\ndata_as_of:", "", "", "'changed_at: reliable'"),
    ("SELECT max(at) FROM refreshed", "SELECT at, 1 FROM refreshed", "data_as_of", "", "exactly one column"),
]


@pytest.mark.parametrize(("old", "new", "question", "column", "told"), CHANGES)
def test_a_fault_names_question_column_and_cure(
    care: Path, old: str, new: str, question: str, column: str, told: str
) -> None:
    """Whoever wrote the mapping can mend it from the message alone."""
    fault = refusal(with_change(care, old, new))

    assert (question, column, True) == (fault.question, fault.column, bool(re.search(told, str(fault))))


@pytest.mark.parametrize("old", [old for old, *_ in CHANGES[:5]])
def test_a_fault_never_shows_a_record(care: Path, old: str) -> None:
    """The message may be pasted into a ticket."""
    fault = refusal(with_change(care, old, "nonsense " + old))

    assert not [word for word in ("Jamie", "Calloway", "secret") if word in str(fault)]


def test_mixed_kinds_of_id_are_refused(care: Path) -> None:
    """T-LNK-5: SQLite holds 7 and '7' for different, so a mixed id would find nothing and read as no."""
    fault = refusal(with_change(care, "SELECT id,", "SELECT CASE id WHEN 1 THEN 'a' ELSE id END AS id,"))

    assert "id" == fault.column


def test_one_id_in_two_rows_is_refused(care: Path) -> None:
    """Two addresses of one person must not look like two people."""
    records = open_records(with_change(care, "FROM clients", "FROM clients JOIN (SELECT 1 UNION ALL SELECT 2)"))

    with pytest.raises(MappingInvalid, match="more than once"):
        check(records, TODAY)
    with pytest.raises(MappingInvalid, match="more than once"):
        records.person("1")


def test_text_ids_in_a_column_without_a_type_are_found(tmp_path: Path) -> None:
    """T-LNK-5: the id is compared as the kind it has in the records."""
    connection = sqlite3.connect(tmp_path / "care.db")
    connection.executescript("CREATE TABLE p (id, f, l); INSERT INTO p VALUES (7, 'A', 'B')")
    connection.close()
    (tmp_path / "m.yaml").write_text(
        "{version: 1, agency: housing, source: {kind: sqlite, database_file: care.db}, contacts: {},"
        " people: 'SELECT id, f AS first_name, l AS last_name FROM p',"
        " answers: {agency.contact: {sql: 'SELECT count(*) AS count FROM p WHERE id IN (:person_ids)'}}}"
    )
    records = open_records(tmp_path / "m.yaml")

    assert (True, 1) == (
        records.person("7") is not None,
        records.answer("agency.contact", ["7"], LONG_AGO).count,
    )


def csv_records(folder: Path, contacts: str) -> Records:
    """A housing agency's drop with these rows of contacts."""
    return drop(folder, "T1,Ada,Byron,10/12/1815\nT2,Bo,Peep,1/1/1990\n", contacts, "text")


def numbered_records(folder: Path, contacts: str) -> Records:
    """The same, its people numbered."""
    return drop(folder, "1,Ada,Byron,10/12/1815\n2,Bo,Peep,1/1/1990\n", contacts, "integer")


def drop(folder: Path, tenants: str, contacts: str, kind: str) -> Records:
    """Two files and their mapping; a tenant's number is of this kind."""
    (folder / "tenants.csv").write_text("ref,given,family,born\n" + tenants)
    (folder / "contacts.csv").write_text("ref,on,open\n" + contacts)
    (folder / "m.yaml").write_text(
        "version: 1\nagency: housing\ncontacts: {}\n"
        "source:\n  kind: csv\n  folder: .\n  tables:\n"
        "    tenants: {file: tenants.csv, columns: {ref: KIND, given: text, family: text, born: date}}\n"
        "    contacts: {file: contacts.csv, columns: {ref: KIND, 'on': date, open: boolean}}\n"
        "people: SELECT ref AS id, given AS first_name, family AS last_name, born AS date_of_birth FROM tenants\n"
        "answers:\n  agency.contact:\n"
        '    sql: SELECT count(*) AS count, max("on") AS latest FROM contacts WHERE ref IN (:person_ids)\n'
        '      AND "on" >= :since\n'.replace("KIND", kind)
    )
    return open_records(folder / "m.yaml")


def test_a_csv_drop_answers_like_a_database(tmp_path: Path) -> None:
    """A small agency's nightly export is enough to take part."""
    found = csv_records(tmp_path, "T1,01/10/2026,Y\n").answer("agency.contact", ["T1"], LONG_AGO)

    assert (1, datetime.date(2026, 10, 1), False) == (found.count, found.latest, found.doubtful)


def test_an_unreadable_row_makes_the_answer_about_its_person_doubtful(tmp_path: Path) -> None:
    """T-LNK-5: a contact whose date cannot be read must not read as no contact."""
    records = csv_records(tmp_path, "T1,soon,Y\nT2,01/10/2026,N\n")

    assert [True, False] == [records.answer("agency.contact", [one], LONG_AGO).doubtful for one in ("T1", "T2")]


def test_a_row_without_a_readable_number_makes_every_answer_doubtful(tmp_path: Path) -> None:
    """T-LNK-5: a contact whose number cannot be read may be anybody's, so nobody is safely unknown."""
    records = numbered_records(tmp_path, "1,01/10/2026,Y\n1O,02/10/2026,Y\n")

    assert {"contacts.ref"} == records.ownerless(records.questions)
    assert [True, True] == [records.answer("agency.contact", [one], LONG_AGO).doubtful for one in ("1", "2")]


def test_a_row_whose_number_is_readable_is_nobody_elses(tmp_path: Path) -> None:
    """An unreadable date is its own person's doubt."""
    records = numbered_records(tmp_path, "1,soon,Y\n")

    assert frozenset() == records.ownerless(records.questions)
    assert [True, False] == [records.answer("agency.contact", [one], LONG_AGO).doubtful for one in ("1", "2")]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT count(*) AS count FROM visits WHERE client IN (:person_ids) AND seen >= :since", {"client"}),
        ("SELECT count(*) AS count FROM visits WHERE trim(client) IN (:person_ids)", {"client"}),
        (
            "SELECT count(*) AS count FROM visits v JOIN e ON e.id = v.episode WHERE e.client IN (:person_ids)",
            {"client", "id", "episode"},
        ),
        ("SELECT count(*) AS count FROM v JOIN e USING (episode) WHERE client IN (:person_ids)", {"client", "episode"}),
        (
            "SELECT count(*) AS count FROM v WHERE Episode IN (SELECT id FROM e WHERE client IN (:person_ids))",
            {"client", "episode", "id"},
        ),
        ("SELECT count(*) AS count FROM v WHERE kind = 'visit' AND client IN (:person_ids)", {"client"}),
    ],
)
def test_the_columns_that_say_whose_a_row_is_are_found(sql: str, expected: set[str]) -> None:
    """Whatever the query compares a person's number with, at one remove or two."""
    assert expected == selects.compared(sql, "sqlite")


def test_a_drop_that_breaks_later_is_unavailable(tmp_path: Path) -> None:
    """A broken file overnight is told, and no answer is made of what is left."""
    records = csv_records(tmp_path, "T1,01/10/2026,Y\n")
    (tmp_path / "contacts.csv").write_text("ref,on\n")

    with pytest.raises(RecordsUnavailable):
        records.answer("agency.contact", ["T1"], LONG_AGO)


VOCABULARY = """version agency source people answers contacts kind sqlite csv folder tables file columns sql data_as_of
1 : { } [ ] , & * ! | > - ~ null 0x1 SELECT count(*) AS FROM WHERE ( ) ; -- 'a' " :person_ids id agency.contact"""
WORDS = st.sampled_from(VOCABULARY.split())
VALUES = st.recursive(
    st.text(max_size=12) | WORDS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4)
)


@settings(deadline=None)
@given(
    st.binary(max_size=200) | st.lists(WORDS | st.just("\n"), max_size=40).map(lambda words: " ".join(words).encode())
)
@example(b"a: &a [*a]")
@example(b"[" * 5000)
@example(b"? {a: b}\n: c")
@example(b'"\\ud800": 1')
@example(b"2001-99-99: 1")
def test_any_bytes_as_a_mapping_are_refused_as_a_mapping(data: bytes) -> None:
    """Nothing but MAPPING_INVALID comes out of reading a mapping file."""
    with pytest.raises(MappingInvalid):
        parse(data)


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {"version": st.just("1"), "agency": st.just("housing")},
        optional={"source": VALUES, "people": VALUES, "answers": VALUES, "contacts": VALUES, "data_as_of": VALUES},
    )
)
def test_any_structure_as_a_mapping_is_refused_as_a_mapping(value: dict[str, object]) -> None:
    """A structure that is nearly right is refused with MAPPING_INVALID too."""
    with pytest.raises(MappingInvalid):
        parse(json.dumps(value).encode())


@settings(deadline=None)
@given(st.lists(WORDS, max_size=12).map(" ".join) | st.text(max_size=60))
def test_any_text_as_a_query_is_refused_or_is_one_select(sql: str) -> None:
    """Nonsense in a query is MAPPING_INVALID, whatever the parser makes of it."""
    try:
        mapping = parse(
            json.dumps(
                {
                    "version": "1",
                    "agency": "housing",
                    "source": {"kind": "sqlite", "database_file": "x"},
                    "people": sql,
                    "answers": {},
                    "contacts": {},
                }
            ).encode()
        )
    except MappingInvalid:
        return

    assert "select" in mapping.people.lower()
