"""A spreadsheet is read as it looks on the screen; what it cannot tell is counted, never guessed in silence."""

import datetime
import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from agency_node.adapters import RecordsUnavailable
from agency_node.adapters.tables import Column, TableSource
from agency_node.adapters.xlsx import SheetTable, XlsxReader
from agency_node.mapping import open_records
from agency_node.mapping_file import MappingInvalid
from agency_node.rehearsal import check

LONG_AGO = datetime.date(1, 1, 1)
COLUMNS = {
    "Ref": Column("ref", "text", digits=4),
    "First name": Column("first_name", "text"),
    "Born": Column("born", "date"),
    "NHS number": Column("nhs", "text", digits=10),
    "Visits": Column("visits", "integer"),
    "Open": Column("open", "boolean"),
}
HEADINGS = list(COLUMNS)
BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'


def saved(path: Path, rows: Sequence[Sequence[Any]], merged: Sequence[str] = (), sheet: str = "Clients") -> Path:
    """A spreadsheet with one sheet."""
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    page.title = sheet
    for row in rows:
        page.append(list(row))
    for cells in merged:
        page.merge_cells(cells)
    book.save(path)
    return path


def source(path: Path, columns: Mapping[str, Column] = COLUMNS, header_row: int = 1) -> TableSource:
    """What a node reads of it."""
    return TableSource(XlsxReader(path, {"clients": SheetTable("Clients", columns, header_row)}), timeout_s=5)


def rewritten(path: Path, member: str, change: dict[str, str], more: dict[str, bytes] | None = None) -> Path:
    """The file with one part of its archive changed, and others added."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    written = parts[member].decode()
    for old, new in change.items():
        assert old in written
        written = written.replace(old, new)
    parts[member] = written.encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in (parts | (more or {})).items():
            archive.writestr(name, part)
    return path


def test_cells_are_read_as_their_declared_types(tmp_path: Path) -> None:
    """Real dates, British dates in text, numbers and yes/no are all ordinary."""
    path = saved(
        tmp_path / "c.xlsx",
        [
            HEADINGS,
            ["0007", "Ada", datetime.date(1988, 5, 21), "9990000018", 3, True],
            ["0008", "Bo", "1/6/1990", None, "4", "no"],
            ["0009", "Cy", datetime.datetime.fromisoformat("2001-02-03 10:30"), "999 000 0026", 0.0, 1],
        ],
    )

    rows = source(path).rows(text("SELECT * FROM clients"), {})

    assert [
        ("0007", "Ada", "1988-05-21", "9990000018", 3, 1),
        ("0008", "Bo", "1990-06-01", None, 4, 0),
        ("0009", "Cy", "2001-02-03", "999 000 0026", 0, 1),
    ] == rows


def test_what_a_spreadsheet_spoilt_is_mended_and_counted(tmp_path: Path) -> None:
    """Lost zeros, dates that became numbers, stray spaces and blank rows: mended, and told in counts."""
    path = saved(
        tmp_path / "c.xlsx",
        [
            [*HEADINGS, "Notes"],
            [7, "Ada ", 32284, 999000018, 3, True, "secret"],
            [None] * 7,
            ["8", 12, datetime.date(1990, 6, 1), "9990000026", 4, False, "secret"],
            [None] * 7,
        ],
    )
    found = source(path)

    assert [
        ("0007", "Ada", "1988-05-21", "0999000018", 3, 1),
        ("0008", "12", "1990-06-01", "9990000026", 4, 0),
    ] == found.rows(text("SELECT * FROM clients"), {})
    assert {
        "clients.ref: leading zeros put back": 2,
        "clients.nhs: leading zeros put back": 1,
        "clients.first_name: spaces at the ends cut off": 1,
        "clients.first_name: number in a text column, leading zeros may be lost": 1,
        "clients.born: date kept as a number": 1,
        "clients: blank rows passed over": 1,
        "clients: columns not declared, and not read": 1,
    } == found.noted()
    assert {} == found.unreadable()


@pytest.mark.parametrize("spoilt", ["=A2", "#N/A", "x" * 5_000, "21/05/88", 1988, 21051988, 999999])
def test_a_value_that_cannot_be_had_is_counted_and_makes_its_row_doubtful(tmp_path: Path, spoilt: object) -> None:
    """T-LNK-5: a formula never calculated, an error, a year alone: none of them may read as no date."""
    path = saved(tmp_path / "c.xlsx", [["Ref", "Born"], [7, spoilt], [8, None]])
    found = source(path, {"Ref": Column("ref", "text", 4), "Born": Column("born", "date")})

    assert ([("0007", None), ("0008", None)], {"clients.born": 1}, [True, False]) == (
        found.rows(text("SELECT * FROM clients"), {}),
        found.unreadable(),
        [found.doubtful([one]) for one in ("0007", "0008")],
    )


def test_a_formula_that_was_calculated_is_read(tmp_path: Path) -> None:
    """What the spreadsheet program showed last counts."""
    path = saved(tmp_path / "c.xlsx", [["Ref"], ["=1+1"]])
    rewritten(path, "xl/worksheets/sheet1.xml", {"<v />": "<v>2</v>"})

    assert [(2,)] == source(path, {"Ref": Column("ref", "integer")}).rows(text("SELECT * FROM clients"), {})


def test_a_file_that_counts_days_from_1904_is_read_alike(tmp_path: Path) -> None:
    """Spreadsheets from old Macs count days from another year; four years' error would be another person."""
    path = saved(tmp_path / "c.xlsx", [["Born"], [32284 - 1462]])
    rewritten(path, "xl/workbook.xml", {"<workbookPr />": '<workbookPr date1904="1" />'})

    assert [("1988-05-21",)] == source(path, {"Born": Column("born", "date")}).rows(text("SELECT * FROM clients"), {})


def test_a_cell_merged_over_rows_counts_for_each_of_them(tmp_path: Path) -> None:
    """T-LNK-5: the second visit of a merged client is that client's, not nobody's."""
    columns = {"Ref": Column("ref", "integer"), "Born": Column("born", "date"), "Open": Column("open", "boolean")}
    rows = [["Ref", "Born", "Open"], [7, "1/6/1990", "y"], [None, "2/6/1990", None], [8, "3/6/1990", "n"]]
    path = saved(tmp_path / "c.xlsx", rows, merged=["A2:A3", "B4:C4"])
    found = source(path, columns)

    assert [(7, "1990-06-01", 1), (7, "1990-06-02", None), (8, "1990-06-03", None)] == found.rows(
        text("SELECT * FROM clients"), {}
    )
    assert ({"clients: merged cells read as they look": 1}, {"clients.open": 1}) == (found.noted(), found.unreadable())


@pytest.mark.parametrize(
    ("rows", "merged", "header_row", "told"),
    [
        ([["Ref", "Name", None]], ["B1:C1"], 1, "'Name' is merged over several columns"),
        ([["Ref", "Given", "Name", "Name"]], [], 1, "has a heading twice: 'Name'"),
        ([["Ref", "Given"]], [], 1, "lacks the declared heading 'Name'. Headings there: 'Ref', 'Given'"),
        ([["Ref", "Name"], ["7", "secret"]], [], 2, "Row 2 of the sheet 'Clients' has none of the declared headings"),
        ([["Ref", "Name"]], [], 9, "Row 9 of the sheet"),
        ([["Ref", "Name", *range(300)]], [], 1, "256 columns"),
    ],
)
def test_an_unsound_sheet_is_refused_without_repeating_a_value(
    tmp_path: Path, rows: list[list[Any]], merged: list[str], header_row: int, told: str
) -> None:
    """The message names the sheet, the place and the cure, never what stands in a record."""
    path = saved(tmp_path / "c.xlsx", rows, merged)
    columns = {"Ref": Column("ref", "text"), "Name": Column("name", "text")}

    with pytest.raises(RecordsUnavailable, match=re.escape(told)) as caught:
        source(path, columns, header_row).rows(text("SELECT 1"), {})

    assert ("files", False) == (caught.value.cause, "secret" in str(caught.value))


def test_a_heading_is_found_below_a_title_and_over_a_line_break(tmp_path: Path) -> None:
    """Spreadsheets begin with a title, and headings are broken to fit."""
    path = saved(tmp_path / "c.xlsx", [["Our clients 2026"], [], ["Client\nref ", "x"], ["7", ""]], merged=["A1:D1"])

    found = source(path, {"Client ref": Column("ref", "text")}, header_row=3)

    assert [("7",)] == found.rows(text("SELECT * FROM clients"), {})


@pytest.mark.parametrize("member", ["xl/worksheets/sheet1.xml", "xl/workbook.xml", "xl/styles.xml"])
def test_entities_are_refused(tmp_path: Path, member: str) -> None:
    """A small file must not become enormous, nor fetch another file, wherever in it that is tried."""
    path = saved(tmp_path / "c.xlsx", [["Ref"], ["7"]])
    with zipfile.ZipFile(path) as archive:
        root = re.search(r"<(?!\?)", archive.read(member).decode())
        assert root is not None
        whole = archive.read(member).decode()
    rewritten(path, member, {whole: whole[: root.start()] + BOMB + whole[root.start() :]})

    with pytest.raises(RecordsUnavailable, match="not a sound spreadsheet"):
        source(path, {"Ref": Column("ref", "text")}).rows(text("SELECT 1"), {})


@pytest.mark.parametrize(
    ("doctype", "said", "outcome"), [("", "7", [("7",)]), (BOMB, "&b;", "files")], ids=["sound", "bomb"]
)
def test_entities_in_shared_texts_are_refused(tmp_path: Path, doctype: str, said: str, outcome: object) -> None:
    """Spreadsheet programs keep the texts of all cells in one part; that one is guarded as well."""
    path = saved(tmp_path / "c.xlsx", [["Ref"], ["x"]])
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    texts = f'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>{said}</t></si></sst>'
    named = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kind}"/></Types>'
    rewritten(path, "[Content_Types].xml", {"</Types>": named}, {"xl/sharedStrings.xml": (doctype + texts).encode()})
    rewritten(path, "xl/worksheets/sheet1.xml", {'t="inlineStr"><is><t>x</t></is>': 't="s"><v>0</v>'})

    try:
        found: object = source(path, {"Ref": Column("ref", "text")}).rows(text("SELECT * FROM clients"), {})
    except RecordsUnavailable as refused:
        found = refused.cause

    assert outcome == found


def test_an_archive_that_would_unpack_to_far_more_is_refused(tmp_path: Path) -> None:
    """Three hundred megabytes of nothing take a few hundred kilobytes to send."""
    path = saved(tmp_path / "c.xlsx", [["Ref"], ["7"]])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/media/x", "w") as padding:
        for _ in range(300):
            padding.write(bytes(1024 * 1024))

    with pytest.raises(RecordsUnavailable, match="unpacks to more"):
        source(path).rows(text("SELECT 1"), {})


@pytest.mark.parametrize("content", [b"", b"Dear colleague", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512)])
def test_a_file_that_is_no_spreadsheet_is_refused(tmp_path: Path, content: bytes) -> None:
    """Another kind of file, or one with a password."""
    path = tmp_path / "c.xlsx"
    path.write_bytes(content)

    with pytest.raises(RecordsUnavailable, match=r"not an \.xlsx file, or has a password"):
        source(path).rows(text("SELECT 1"), {})


GOOD = io.BytesIO()
saved(GOOD, [["Ref", "Born"], ["7", "1/6/1990"], ["=A2", 32284]], merged=["A4:A5"])  # type: ignore[arg-type]  # openpyxl saves to both


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 40_000), st.binary(min_size=1, max_size=6)), min_size=1, max_size=8))
def test_any_damage_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[int, bytes]]
) -> None:
    """Whatever happened to the file, nothing but RecordsUnavailable comes out."""
    parts: dict[str, bytes] = {}
    with zipfile.ZipFile(GOOD) as archive:
        for name in archive.namelist():
            parts[name] = archive.read(name)
    names = sorted(parts)
    for place, garbage in damage:
        name = names[place % len(names)]
        at = place % len(parts[name])
        parts[name] = parts[name][:at] + garbage + parts[name][at + len(garbage) :]
    path = tmp_path_factory.mktemp("x") / "c.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    columns = {"Ref": Column("ref", "text"), "Born": Column("born", "date")}

    try:
        (count,) = source(path, columns).rows(text("SELECT count(*) FROM clients"), {})
    except RecordsUnavailable as refused:
        count = (refused.cause,)

    assert count[0] == "files" or isinstance(count[0], int)


MAPPING = """\
version: 1
agency: charity
source:
  kind: xlsx
  file: clients.xlsx
  tables:
    clients:
      sheet: Clients
      header_row: 1
      columns:
        Ref: {name: ref, type: text, digits: 4}
        First name: {name: first_name, type: text}
        Last name: {name: last_name, type: text}
        Seen: {name: seen, type: date}
people: SELECT ref AS id, first_name, last_name FROM clients
answers:
  agency.contact:
    sql: SELECT max(seen) AS latest, count(*) AS count FROM clients WHERE ref IN (:person_ids) AND seen >= :since
contacts: {}
"""


def test_a_mapping_answers_from_a_spreadsheet(tmp_path: Path) -> None:
    """A charity's one spreadsheet is enough to take part."""
    rows = [["Ref", "First name", "Last name", "Seen"], [7, "Ada", "Byron", datetime.date(2026, 10, 1)]]
    saved(tmp_path / "clients.xlsx", rows)
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    records = open_records(tmp_path / "mapping.yaml")

    found = records.answer("agency.contact", ["0007"], LONG_AGO)

    assert (1, datetime.date(2026, 10, 1), False) == (found.count, found.latest, found.doubtful)
    assert {"clients.ref: leading zeros put back": 1} == check(records, datetime.date(2026, 11, 1)).noted


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("sheet: Clients", "sheet: Client", "has no sheet 'Client'. Sheets there: 'Clients'"),
        ("header_row: 1", "header_row: 0", "not a row number"),
        ("type: date", "type: day", "its type is one of"),
        ("name: seen", "name: ref", "one name"),
        ("digits: 4", "digits: 99", "how many digits"),
        ("{name: seen, type: date}", "date", "'key: value' lines is missing"),
        ("clients.xlsx", "absent.xlsx", "'absent.xlsx' is not in the folder"),
    ],
)
def test_a_fault_in_a_spreadsheets_mapping_names_place_and_cure(tmp_path: Path, old: str, new: str, told: str) -> None:
    """Whoever wrote the mapping can mend it from the message alone."""
    saved(tmp_path / "clients.xlsx", [["Ref", "First name", "Last name", "Seen"]])
    (tmp_path / "mapping.yaml").write_text(MAPPING.replace(old, new))

    with pytest.raises(MappingInvalid, match=re.escape(told)) as caught:
        open_records(tmp_path / "mapping.yaml")

    assert "source" == caught.value.question
