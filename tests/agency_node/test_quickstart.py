"""A spreadsheet is understood, or it is said plainly what is doubtful about it; no value is ever repeated."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agency_node.adapters.tables import Cell, Unread
from agency_node.quickstart.guess import guess
from agency_node.quickstart.looks import Order, date_signs, day_of, looks, shape, text
from agency_node.quickstart.meanings import Meaning, known, plain_name
from agency_node.quickstart.understood import Guess, Sheet, Told, Weight, letter

TODAY = datetime.date(2026, 11, 21)
DAY = datetime.timedelta(days=1)


def clients(headings: Mapping[str, str], count: int = 60, seed: int = 7) -> Sheet:
    """A sheet of invented clients: heading -> which of their facts stands below it."""
    chance = Random(seed)
    rows: list[list[Cell]] = [list(headings)]
    for number in range(count):
        born = datetime.date(1950, 1, 1) + chance.randrange(25_000) * DAY
        seen = TODAY - chance.randrange(900) * DAY
        first, last = f"Ann{'abcdefgh'[number % 8]}", f"Thorle{'ystrm'[number % 5]}"
        facts: dict[str, Cell] = {
            "number": 1_000 + number,
            "first": first,
            "last": last,
            "full": f"{first} {last}",
            "comma": f"{last}, {first}",
            "born": born,
            "born text": f"{born:%d/%m/%Y}",
            "born american": f"{born:%m/%d/%Y}",
            "born early": f"{born.replace(day=1 + born.day % 12):%d/%m/%Y}",
            "born words": f"{born:%d %b %Y}",
            "born short": f"{born:%d/%m/%y}",
            "sex": "FM"[number % 2],
            "house": f"{number + 1} Larkspur Rise",
            "town": "Midtown",
            "postcode": f"MD{number % 9 + 1} {number % 8 + 1}QT",
            "nhs": nhs(number),
            "seen": seen,
            "seen text": f"{seen:%d/%m/%Y}",
            "status": ("Open", "Closed")[number % 2],
            "status odd": ("Open", "Closed", "On pause")[number % 3],
            "worker": ("Team north", "Team south")[number % 2],
            "notes": f"rang on {seen:%d %B}, left word with a neighbour",
            "nothing": None,
        }
        rows.append([facts[fact] for fact in headings.values()])
    return Sheet("Clients", rows)


def nhs(number: int) -> str:
    """An NHS number from the range that is set aside for testing."""
    while True:
        digits = f"999{number:06}"
        left = 11 - sum(int(d) * w for d, w in zip(digits, range(10, 1, -1), strict=True)) % 11
        if left != 10:
            return f"{digits[:3]} {digits[3:6]} {digits[6:]}{0 if left == 11 else left}"
        number += 1_000


USUAL = {
    "Client ref": "number",
    "First name": "first",
    "Surname": "last",
    "DOB": "born",
    "Postcode": "postcode",
    "Last contact": "seen",
}


def usual(**change: str | None) -> dict[str, str]:
    """The usual columns, some with another fact below them, or None to leave them out."""
    named = {key.replace("_", " "): fact for key, fact in change.items()}
    kept = {heading: fact for heading, fact in USUAL.items() if named.get(heading, "") is not None}
    return {**kept, **{heading: fact for heading, fact in named.items() if fact is not None}}


def meanings(found: Guess) -> dict[str, str]:
    """Column -> meaning, of those that are used."""
    return {one.label: str(one.meaning) for one in found.columns if one.meaning is not Meaning.UNUSED}


def codes(found: Guess, *weights: Weight) -> set[str]:
    """The doubts of these weights; those that stand in the way when none is given."""
    return {doubt.code for doubt in found.weighing(*(weights or (Weight.STOPS, Weight.ASKS)))}


# -- Headings ---------------------------------------------------------------------------------------------------------

VARIANTS: Mapping[Meaning, Sequence[str]] = {
    Meaning.NUMBER: ["Client ref", "CLIENT REF.", "Ref No", "ID", "Case number", "URN", "Service User ID", "CRM_ID"],
    Meaning.FIRST: ["First name", "Forename", "Given name(s)", "FIRSTNAME", "first_name", "firstName", "Forename(s)"],
    Meaning.LAST: ["Surname", "Last name", "Family Name", "lastname", "SURNAME *", "Last Name:"],
    Meaning.FULL: ["Name", "Client name", "Full Name", "Client's name", "Service user", "Name (Surname, First)"],
    Meaning.BORN: ["DOB", "D.O.B.", "Date of birth", "D.o.B", "Date of Birth (dd/mm/yyyy)", "Birth date", "Client DOB"],
    Meaning.SEX: ["Gender", "Sex", "M/F", "Gender (M/F)"],
    Meaning.ADDRESS: ["Address", "Address 1", "Address Line 1", "Street", "ADDRESS_LINE_2", "1st line of address"],
    Meaning.POSTCODE: ["Postcode", "Post Code", "POSTCODE", "Postal code", "Home postcode"],
    Meaning.NHS: ["NHS no", "NHS Number", "NHS No."],
    Meaning.LAST_SEEN: ["Last seen", "Last contact date", "Date of last contact", "Last Visit", "Date last seen"],
    Meaning.STARTED: ["Referral date", "Start date", "Date joined", "Date opened", "Date of referral"],
    Meaning.CLOSED: ["Date closed", "End date", "Exit date", "Closure Date"],
    Meaning.ASSESSED: ["Assessment date", "Date of assessment", "Last assessment"],
    Meaning.STATUS: ["Status", "Case status", "Open/closed", "Active", "Current client?"],
    Meaning.TEAM: ["Worker", "Key worker", "Keyworker", "Team", "Support Worker", "Worker/Team", "Allocated to"],
}


@pytest.mark.parametrize(
    ("meaning", "heading"), [(meaning, heading) for meaning, headings in VARIANTS.items() for heading in headings]
)
def test_the_usual_headings_are_known(meaning: Meaning, heading: str) -> None:
    """However a small organisation writes them."""
    assert meaning is known(heading)


@pytest.mark.parametrize("heading", ["Notes", "Ethnicity", "Favourite colour", "", "123", "Mum's mobile"])
def test_other_headings_mean_nothing_to_us(heading: str) -> None:
    """A node is given no more than it needs."""
    assert known(heading) in {None, Meaning.UNUSED}


def test_a_plain_list_needs_no_asking() -> None:
    """Five hundred clients with ordinary headings: no doubt stands in the way."""
    told = usual(
        Gender="sex", Address="house", NHS_no="nhs", Status="status", Worker="worker", Notes="notes", Town="town"
    )

    found = guess([clients(told, 500)], TODAY)

    assert set() == codes(found), found.doubts
    assert ("Clients", 1, 500, 0) == (found.sheet, found.header_row, found.people, found.blanks)
    assert {
        "Client ref": "client_number",
        "First name": "first_name",
        "Surname": "last_name",
        "DOB": "date_of_birth",
        "Postcode": "postcode",
        "Last contact": "last_contact",
        "Gender": "sex",
        "Address": "address",
        "NHS no": "nhs_number",
        "Status": "status",
        "Worker": "team",
    } == meanings(found)
    assert {0} == {one.unreadable for one in found.columns}


def test_titles_above_the_headings_are_passed_over() -> None:
    """The headings are where most of them are known, not in the first row."""
    sheet = clients(USUAL)
    above: list[list[Cell]] = [["Clients of the Larkspur Trust"], [], ["Printed on", TODAY]]

    found = guess([Sheet("Sheet1", [*above, *sheet.rows])], TODAY)

    assert (4, 60, set()) == (found.header_row, found.people, codes(found))


def test_the_sheet_with_the_clients_is_found() -> None:
    """Not the first, and not the one with the lists behind the menus."""
    lists = Sheet("Lists", [["Status", "Team"], ["Open", "North"], ["Closed", "South"]])
    notes = Sheet("Read me", [["This workbook is kept by the office"], ["Ask Pat"]])

    found = guess([notes, lists, clients(USUAL)], TODAY)

    assert ("Clients", set()) == (found.sheet, codes(found))


def test_two_sheets_of_clients_are_asked_about() -> None:
    """Whoever stands in the other sheet only would seem unknown (T-LNK-5)."""
    here, there = clients(USUAL), clients(USUAL, seed=8)

    found = guess([here, Sheet("2025", there.rows)], TODAY)

    assert {"WHICH_SHEET"} == codes(found)
    assert set() == codes(guess([here, Sheet("2025", there.rows)], TODAY, Told(sheet="Clients")))


@pytest.mark.parametrize("fact", ["full", "comma"])
def test_one_column_may_hold_the_whole_name(fact: str) -> None:
    """First and last, or last, comma, first."""
    found = guess([clients(usual(First_name=None, Surname=None, Client_name=fact))], TODAY)

    assert (set(), "full_name") == (codes(found), meanings(found)["Client name"])


def test_name_beside_surname_is_the_first_name_and_is_asked_about() -> None:
    """Many write Name and Surname."""
    found = guess([clients(usual(First_name=None, Name="first"))], TODAY)

    assert ({"UNSURE"}, "first_name") == (codes(found), meanings(found)["Name"])


# -- Values -----------------------------------------------------------------------------------------------------------


def test_values_speak_where_headings_do_not_help() -> None:
    """NHS numbers and postcodes are plain; dates are asked about."""
    found = guess(
        [clients(usual(DOB=None, Postcode=None, Last_contact=None, When="born", Where="postcode", X="nhs", Y="seen"))],
        TODAY,
    )

    assert {"Where": "postcode", "X": "nhs_number", "When": "date_of_birth", "Y": "last_contact"}.items() <= meanings(
        found
    ).items()
    assert {"When", "Y"} == {doubt.column for doubt in found.doubts if doubt.code == "UNSURE"}


def test_a_heading_that_its_values_contradict_is_asked_about() -> None:
    """A column called DOB that holds no dates."""
    found = guess([clients(usual(DOB="notes"))], TODAY)

    assert {"UNSURE", "DATES_UNREADABLE"} <= codes(found)


@pytest.mark.parametrize(
    ("fact", "order", "expected"),
    [
        ("born", Order.PLAIN, set()),
        ("born text", Order.DAY_FIRST, set()),
        ("born american", Order.MONTH_FIRST, {"MONTH_FIRST"}),
        ("born early", Order.EITHER, {"DATE_ORDER"}),
        ("born words", Order.PLAIN, {"DATES_UNREADABLE"}),
        ("born short", Order.PLAIN, {"DATES_UNREADABLE"}),
    ],
)
def test_the_order_of_day_and_month_comes_from_evidence_or_is_asked(
    fact: str, order: Order, expected: set[str]
) -> None:
    """A day turned round is another person, so nothing is taken for granted."""
    found = guess([clients(usual(DOB=fact))], TODAY)
    born = found.one(Meaning.BORN)

    assert born is not None
    assert (order, expected) == (born.order, codes(found))


def test_dates_in_both_orders_are_asked_about() -> None:
    """Some rows came from another program."""
    ours, theirs = clients(usual(DOB="born text")).rows, clients(usual(DOB="born american")).rows

    found = guess([Sheet("Clients", [*ours[:30], *theirs[30:]])], TODAY)

    assert {"DATES_MIXED"} == codes(found)


def test_a_slip_or_two_among_many_dates_is_no_second_order() -> None:
    """One date of 200 with its day and month exchanged is unreadable, no more."""
    sheet = clients(usual(DOB="born text"), 300)
    rows = [list(row) for row in sheet.rows]
    rows[20][3] = "03/25/1980"

    found = guess([Sheet("Clients", rows)], TODAY)
    born = found.one(Meaning.BORN)

    assert born is not None
    assert (set(), {"DATES_UNREADABLE"}, 1) == (codes(found), codes(found, Weight.TELLS), born.unreadable)


def test_a_list_that_a_program_turned_round_is_noticed() -> None:
    """Dates up to the twelfth became dates with day and month exchanged; later ones stayed text."""
    rows = [list(row) for row in clients(usual(DOB="born"), 200).rows]
    for row in rows[1:]:
        born = row[3]
        assert isinstance(born, datetime.date)
        row[3] = datetime.date(born.year, born.day, born.month) if born.day <= 12 else f"{born:%d/%m/%Y}"

    found = guess([Sheet("Clients", rows)], TODAY)

    assert {"DATES_EXCHANGED"} == codes(found)


def test_what_a_person_says_wins() -> None:
    """By heading however written, or by letter; the guess gives way."""
    told = Told(columns={"dob": Meaning.UNUSED, "G": Meaning.BORN}, dates_right=("Kid",))

    found = guess([clients(usual(Kid="born early"))], TODAY, told)

    assert (set(), "date_of_birth") == (codes(found), meanings(found)["Kid"])
    assert "DOB" not in meanings(found)


def test_a_correction_of_a_column_that_is_not_there_says_which_are() -> None:
    """A slip in a heading is not passed over."""
    found = guess([clients(USUAL)], TODAY, Told(columns={"Dateofbirth": Meaning.BORN}))
    (doubt,) = found.weighing(Weight.STOPS)

    assert ("NO_COLUMN", True) == (doubt.code, "'DOB'" in doubt.words)


# -- Numbers of clients -----------------------------------------------------------------------------------------------


def test_without_client_numbers_it_explains_and_offers_a_digest() -> None:
    """A stop-gap whose cost is said."""
    sheet = clients(usual(Client_ref=None))

    assert {"NO_NUMBER"} == codes(guess([sheet], TODAY))
    assert set() == codes(guess([sheet], TODAY, Told(digest=True)))


def test_two_rows_that_a_digest_cannot_tell_apart_are_named_by_row() -> None:
    """Their numbers in the sheet, not their names."""
    rows = [*clients(usual(Client_ref=None)).rows]
    found = guess([Sheet("Clients", [*rows, rows[5]])], TODAY, Told(digest=True))
    (doubt,) = found.weighing(Weight.STOPS)

    assert ("DIGEST_TWICE", True) == (doubt.code, doubt.words.startswith("Rows 6, 62 "))


def test_a_number_twice_or_missing_stops_and_names_the_rows() -> None:
    """A total at the foot is no client."""
    rows = [list(row) for row in clients(USUAL).rows]
    rows[9][0] = rows[3][0]
    found = guess([Sheet("Clients", [*rows, [], [None, "Total", 60]])], TODAY)
    words = {doubt.code: doubt.words for doubt in found.weighing(Weight.STOPS)}

    assert {"NUMBER_TWICE", "NUMBER_MISSING"} == set(words)
    assert "rows 4, 10." in words["NUMBER_TWICE"]
    assert "row 63." in words["NUMBER_MISSING"]


# -- Open and closed --------------------------------------------------------------------------------------------------


def test_words_of_their_own_for_open_and_closed_are_asked_about() -> None:
    """How many, never which: the column could hold anything."""
    sheet = clients(usual(Status="status odd"))
    found = guess([sheet], TODAY)

    assert {"STATUS_WORDS"} == codes(found)
    assert not any("pause" in doubt.words.lower() for doubt in found.doubts)
    assert set() == codes(guess([sheet], TODAY, Told(open_words=("On pause",))))


# -- Hostile sheets ---------------------------------------------------------------------------------------------------


def swapped(rows: Sequence[Sequence[Cell]], row: int, place: int, cell: Cell) -> list[list[Cell]]:
    """The rows with one cell changed; row 0 holds the headings."""
    changed = [list(one) for one in rows]
    changed[row][place] = cell
    return changed


PLAIN = clients(USUAL).rows
HOSTILE: Mapping[str, tuple[list[Sheet], set[str]]] = {
    "no sheet": ([], {"EMPTY"}),
    "an empty sheet": ([Sheet("Sheet1", [])], {"EMPTY"}),
    "only blanks": ([Sheet("Sheet1", [[None, " "], ["", None]])], {"EMPTY"}),
    "headings and nobody": ([Sheet("Sheet1", [PLAIN[0]])], {"NOBODY"}),
    "no headings": ([Sheet("Sheet1", PLAIN[1:])], {"NO_HEADINGS"}),
    "one cell": ([Sheet("Sheet1", [["Clients"]])], {"NO_HEADINGS"}),
    "numbers only": ([Sheet("Sheet1", [[1, 2, 3]] * 20)], {"NO_HEADINGS"}),
    "two rows of headings": (
        [Sheet("Sheet1", [PLAIN[0], ["Ref", "Forename", "Family name", None, None, None], *PLAIN[1:]])],
        {"TWO_HEADER_ROWS"},
    ),
    "merged headings": (
        [Sheet("Sheet1", [[None, "Name", None, "DOB", "Postcode", "Last seen"],
                          ["Client ref", "First", "Last", None, None, None], *PLAIN[1:]])],
        {"TWO_HEADER_ROWS"},
    ),
    "ten thousand blank rows": ([Sheet("Sheet1", [*PLAIN, *[[None] * 6] * 10_000])], set()),
    "blank rows among the clients": ([Sheet("Sheet1", [*PLAIN[:9], [], [None], *PLAIN[9:]])], set()),
    "a formula without a result": ([Sheet("Sheet1", swapped(PLAIN, 4, 0, "=PROPER(B2)"))], {"FORMULAS"}),
    "a formula never worked out": ([Sheet("Sheet1", swapped(PLAIN, 4, 0, Unread()))], {"FORMULAS"}),
    "a formula that failed": ([Sheet("Sheet1", swapped(PLAIN, 4, 0, "#N/A"))], {"FORMULAS"}),
    "one column": ([Sheet("Sheet1", [["Client name"], ["Ann Thorley"]])], {"NO_HEADINGS"}),
    "no name": ([clients(usual(First_name=None, Surname=None))], {"NO_NAME"}),
    "no last name": ([clients(usual(Surname=None))], {"NO_NAME"}),
    "no birth date": ([clients(usual(DOB=None))], {"NO_BIRTH_DATE"}),
    "nothing to answer from": ([clients(usual(Last_contact=None))], {"NO_ANSWERS"}),
    "the same heading twice": (
        [Sheet("Sheet1", [[*row, row[3]] for row in PLAIN])],
        {"TWO_COLUMNS", "HEADING_TWICE"},
    ),
    "headings that nobody knows": (
        [Sheet("Sheet1", [["Kid", "When", "Bit", "Old", "Whence", "Then"], *PLAIN[1:]])],
        {"HEADINGS_UNSURE", "NO_NAME", "NO_NUMBER", "UNSURE"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_sheet_has_a_plain_outcome(what: str) -> None:
    """Each doubt says what to do; none of them is a crash or a silent guess."""
    sheets, expected = HOSTILE[what]

    found = guess(sheets, TODAY)

    assert expected == codes(found), found.doubts
    assert all(len(doubt.words) > 30 for doubt in found.doubts)


def test_columns_of_doubtful_headings_are_named_by_letter() -> None:
    """What stands in that row may be a client (T-PRV-1)."""
    found = guess(
        [Sheet("Sheet1", [["Zoltan", "Xanthippe", "Quux"], ["a", "b", "MD4 7QT"], *[["a", "b", 3]] * 9])], TODAY
    )

    assert {"column A", "column B", "column C"} == {one.label for one in found.columns}
    assert not any("Zoltan" in doubt.words for doubt in found.doubts)


# -- Properties -------------------------------------------------------------------------------------------------------

cells = st.one_of(
    st.none(),
    st.text(max_size=30),
    st.integers(-(10**12), 10**12),
    st.floats(),
    st.booleans(),
    st.dates(),
    st.datetimes(),
    st.sampled_from(["First name", "Surname", "DOB", "Ref", "Status", "Open", "=A1", "#N/A", "31/12/1999", "MD4 7QT"]),
)
grids = st.lists(st.lists(cells, max_size=8), max_size=25)


@given(st.lists(st.tuples(st.text(max_size=8), grids), max_size=3))
@example([("", [["0", "FIRSTNAME"], ["00"]])])
def test_any_sheet_at_all_is_understood_or_doubted(sheets: list[tuple[str, list[list[Cell]]]]) -> None:
    """No spreadsheet makes it fail, and whatever it takes for people lies below the headings it names."""
    found = guess([Sheet(name, rows) for name, rows in sheets], TODAY)

    assert found.people or found.weighing(Weight.STOPS)
    assert all(one.unreadable <= one.looks.filled <= found.people for one in found.columns)
    used = [one.meaning for one in found.columns if one.meaning not in {Meaning.UNUSED, Meaning.ADDRESS}]
    assert len(set(used)) == len(used)


secrets = st.text(st.characters(categories=["Lu", "Ll"], max_codepoint=0x17F), min_size=6, max_size=12)


@given(st.lists(secrets, min_size=12, max_size=12, unique=True), st.integers(0, 5), st.randoms())
def test_no_value_of_the_sheet_is_ever_repeated(words: list[str], place: int, chance: Random) -> None:
    """Neither doubts nor guesses hold what stands below the headings, whichever column is spoilt (T-PRV-1)."""
    rows = [list(row) for row in PLAIN[:13]]
    for row, word in zip(rows[1:], words, strict=True):
        row[place] = f"qz{word}zq"
        row[chance.randrange(6)] = f"qz{word}zq"

    found = guess([Sheet("Sheet1", rows)], TODAY)
    told = str(asdict(found)).lower()

    assert not [word for word in words if f"qz{word}zq".lower() in told]


@given(st.text(max_size=60))
def test_a_shape_holds_no_letter_and_no_digit_of_a_value(value: str) -> None:
    """Only A, a, 9, punctuation and a question mark."""
    assert set() == set(shape(value)) - set("Aa9? -/.,'@:")


@given(st.dates(datetime.date(1900, 1, 1), TODAY))
def test_a_date_is_read_the_british_way(day: datetime.date) -> None:
    """However it is written, it is the same day."""
    assert {day} == {day_of(day), day_of(f"{day:%d/%m/%Y}"), day_of(f"{day:%d.%m.%Y}"), day_of(day.isoformat())}


def test_shapes_of_few_are_not_shown() -> None:
    """A shape that one cell has may be as good as its value."""
    seen = looks(["MD4 7QT"] * 9 + ["a-b-c-d-e"], TODAY)

    assert (("A9 9A", 9),) == seen.shapes


def test_a_heading_cannot_command_the_terminal() -> None:
    """Whoever sends a list to the office does not get to write on its screen."""
    found = guess([clients(usual(**{"Hobby\x1b[2J\x07": "notes"}))], TODAY)

    assert "Hobby[2J" in {one.label for one in found.columns}


def test_letters_of_columns_are_those_of_a_spreadsheet() -> None:
    """After Z comes AA."""
    assert ["A", "Z", "AA", "AZ", "BA"] == [letter(place) for place in (0, 25, 26, 51, 52)]


def test_whole_numbers_are_written_without_a_point() -> None:
    """1001.0 of a spreadsheet is client 1001."""
    assert ["1001", "1001", "1.5", "true", "2026-11-21"] == [
        text(cell)
        for cell in (1001, 1001.0, 1.5, True, datetime.datetime(2026, 11, 21, 9, 0))  # noqa: DTZ001  a cell has no zone
    ]


def test_every_meaning_has_words() -> None:
    """What people are shown is no code."""
    assert all(plain_name(meaning) for meaning in Meaning)


def test_evidence_is_counted_by_kind() -> None:
    """What each date says of the order."""
    signs = date_signs(["31/01/2020", "01/31/2020", "01/02/2020", "2020-01-31", "1/2/20", "3 March 2020", TODAY, "x"])

    assert [1, 1, 1, 1, 1, 1, 1] == [
        *(signs.day_first, signs.month_first, signs.either),
        *(signs.year_first, signs.short, signs.written, signs.real),
    ]
