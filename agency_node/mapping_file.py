"""Read a mapping file, strictly: every word of it and every SELECT in it, before any database is touched.

    mapping file -> strict YAML -> closed keys -> one SELECT each (sqlglot) -> MappingFile

* A word that is not known is a fault, not ignored.
* Each query is one SELECT without writes, side effects or binds other than `:person_ids` and `:since`; the adapter
  refuses anything else once more when it runs.
* A fault names the question, the column and the cure in plain English.

    version: 1
    agency: housing
    source: {kind: sqlite, database_file: records.db}
    people: SELECT id, forename AS first_name, surname AS last_name, dob AS date_of_birth FROM tenants
    answers:
      agency.contact:
        sql: SELECT max(seen) AS latest, count(*) AS count, max(team) AS team FROM visits
             WHERE tenant IN (:person_ids) AND seen >= :since
    contacts:
      north: {team: Housing support north, role: Duty officer, phone: 01632 960001}

The other kinds of source, and what each needs, stand in `agency_node/adapters/README.md`.
"""

import difflib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, TypeVar

import yaml

from accord.reasons import Problem
from accord.statement import AGENCY, QUESTION
from agency_node.adapters import selects
from agency_node.adapters.csv_drop import CsvTable
from agency_node.adapters.tables import COLUMN_TYPES, MAX_DIGITS, NAME, Column, Digest
from agency_node.adapters.xlsx import MAX_HEADER_ROW, SheetTable

MAX_FILE_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 16
"""Deepest nesting of the mapping file; a sound one needs seven."""
MAX_CONTACT_CHARS: Final = 60
"""Longest word of a contact route; the routes of one answer share 384 bytes (accord.answer)."""

_Table = TypeVar("_Table", CsvTable, SheetTable)

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_FILE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,127}")


class MappingInvalid(Problem):
    """The mapping does not fit the agency's records.

    Attributes:
        question: The question, or `people`, `source`, `contacts`, `data_as_of`; "" for the file as a whole.
        column: The column it is about, or "".
        cure: What to do, in plain English.
    """

    reason: ClassVar[str] = "MAPPING_INVALID"

    def __init__(self, message: str, *, question: str = "", column: str = "", cure: str = "") -> None:
        """Join what is wrong and what helps into one message."""
        super().__init__(f"{message} {cure}".strip())
        self.question = question
        self.column = column
        self.cure = cure


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """Where the agency's SQLite database is."""

    database_file: str


@dataclass(frozen=True, slots=True)
class CsvFolder:
    """Where the agency's CSV files are, and what is in them."""

    folder: str
    tables: Mapping[str, CsvTable]


@dataclass(frozen=True, slots=True)
class Spreadsheet:
    """Which spreadsheet the agency keeps, and what is in its sheets."""

    file: str
    tables: Mapping[str, SheetTable]


@dataclass(frozen=True, slots=True)
class Server:
    """Which kind of database server the agency has, and in which file its address stands."""

    kind: Literal["postgresql", "mariadb"]
    url_file: str


@dataclass(frozen=True, slots=True)
class OfficeList:
    """Which list the agency keeps as a CSV file of its own making, and what is in it."""

    file: str
    tables: Mapping[str, SheetTable]


@dataclass(frozen=True, slots=True)
class ContactRoute:
    """Whom to ring: a team of the agency, with phone or mailbox or both, and a lead professional if policy allows."""

    team: str
    role: str
    phone: str = ""
    mailbox: str = ""
    lead_professional: str = ""


@dataclass(frozen=True, slots=True)
class MappingFile:
    """A mapping whose words are checked, not yet tried on the database.

    Attributes:
        agency: Whose it is.
        source: Where the records are.
        people: One SELECT.
        answers: Question -> one SELECT.
        contacts: Team key -> route; the key `default` serves teams that are not named.
        data_as_of: One SELECT yielding one date or time; "" for the time of the file.
        changed_at: "reliable" when every change of a person's record moves its `changed_at`; else "".
    """

    agency: str
    source: SqliteFile | CsvFolder | Spreadsheet | OfficeList | Server
    people: str
    answers: Mapping[str, str]
    contacts: Mapping[str, ContactRoute]
    data_as_of: str = ""
    changed_at: str = ""

    @property
    def dialect(self) -> selects.Dialect:
        """How the queries are read."""
        if isinstance(self.source, Server):
            return "postgres" if self.source.kind == "postgresql" else "mysql"
        return "sqlite"


def parse(data: bytes) -> MappingFile:
    """Read a mapping's words, strictly; the database is not touched.

    Raises:
        MappingInvalid: Not the agreed form, or a query that is not one harmless SELECT.
    """
    top = _Block(_yaml(data), "", "the mapping")
    top.closed({"version", "agency", "source", "people", "answers", "contacts"}, {"data_as_of", "changed_at"})
    if top.text("version") != "1":
        raise MappingInvalid("The mapping's version is not 1.", cure="Write: version: 1.")
    agency = top.text("agency")
    if not re.fullmatch(AGENCY, agency):
        raise MappingInvalid("The mapping's agency is not an agency id.", cure="Use the id from the directory.")
    answers = {}
    for question, body in top.block("answers").items():
        if not re.fullmatch(QUESTION, question):
            raise MappingInvalid(
                f"'{question[:64]}' is not a question's id.",
                question="answers",
                cure="Use ids from the catalogue, such as agency.contact.",
            )
        block = _Block(body, question, f"the answer to {question}")
        block.closed({"sql"}, set())
        answers[question] = block.text("sql")
    mapping = MappingFile(
        agency=agency,
        source=_source(top.block("source")),
        people=top.text("people"),
        answers=answers,
        contacts={key: _contact(key, body) for key, body in top.block("contacts").items()},
        data_as_of=top.text("data_as_of") if "data_as_of" in top else "",
        changed_at=top.text("changed_at") if "changed_at" in top else "",
    )
    if mapping.changed_at not in {"", "reliable"}:
        raise MappingInvalid(
            "What the mapping says of changed_at is not known.",
            cure="Write 'changed_at: reliable', or leave the line out.",
        )
    for question, sql in answers.items():
        if "person_ids" not in binds_of(sql, question, mapping.dialect):
            raise MappingInvalid(
                f"The query for {question} is not limited to the person asked about.",
                question=question,
                cure="Limit it with ... IN (:person_ids).",
            )
    for name, sql in (("people", mapping.people), ("data_as_of", mapping.data_as_of)):
        if sql and binds_of(sql, name, mapping.dialect):
            raise MappingInvalid(
                f"The {name} query uses a bind.", question=name, cure="Only the answers know :person_ids and :since."
            )
    return mapping


def _source(block: "_Block") -> SqliteFile | CsvFolder | Spreadsheet | OfficeList | Server:
    kind = block.text("kind") if "kind" in block else ""
    if kind == "sqlite":
        block.closed({"kind", "database_file"}, set())
        return SqliteFile(block.text("database_file"))
    if kind == "csv" and "file" in block:
        block.closed({"kind", "file", "tables"}, set())
        return OfficeList(block.text("file"), _tables(block, _list_table))
    if kind == "csv":
        block.closed({"kind", "folder", "tables"}, set())
        return CsvFolder(block.text("folder"), _tables(block, _csv_table))
    if kind == "xlsx":
        block.closed({"kind", "file", "tables"}, set())
        return Spreadsheet(block.text("file"), _tables(block, _sheet_table))
    if kind in {"postgresql", "mariadb"}:
        block.closed({"kind", "url_file"}, set())
        return Server("postgresql" if kind == "postgresql" else "mariadb", block.text("url_file"))
    raise MappingInvalid(
        "The source's kind is not known.", question="source", cure="Use sqlite, csv, xlsx, postgresql or mariadb."
    )


def _tables(block: "_Block", read: Callable[[str, "_Block"], _Table]) -> dict[str, _Table]:
    tables = {}
    for name, body in block.block("tables").items():
        if not NAME.match(name) or name.lower().startswith("sqlite_"):
            raise MappingInvalid(
                f"{quoted(name)} is not a usable table.", question="source", cure="Letters, digits and _ make its name."
            )
        tables[name] = read(name, _Block(body, "source", f"the table {name[:64]}"))
    if not tables:
        raise MappingInvalid("The source has no tables.", question="source", cure="Declare each file or sheet.")
    _different(tables, "tables")
    return tables


def _csv_table(name: str, table: "_Block") -> CsvTable:
    table.closed({"file", "columns"}, set())
    file = table.text("file")
    if not _FILE.fullmatch(file):
        raise MappingInvalid(
            f"The file of the table '{name[:64]}' is not a plain file name.",
            question="source",
            cure="Name a file inside the folder, without a path.",
        )
    columns = []
    for key, value in table.block("columns").items():
        if isinstance(value, dict):
            body = _Block(value, "source", f"the column {key[:64]}")
            body.closed({"type"}, {"digits"})
            columns.append(_column(name, key, body))
        else:
            columns.append(_column(name, key, _Block({"type": value}, "source", f"the column {key[:64]}")))
    _different([column.name for column in columns], "columns")
    return CsvTable(file, tuple(columns))


def _list_table(name: str, table: "_Block") -> SheetTable:
    table.closed({"columns"}, {"header_row", "digest"})
    return _headed(name, "", table)


def _sheet_table(name: str, table: "_Block") -> SheetTable:
    table.closed({"sheet", "columns"}, {"header_row", "digest"})
    return _headed(name, table.text("sheet"), table)


def _headed(name: str, sheet: str, table: "_Block") -> SheetTable:
    """A table whose columns are declared by the headings above them."""
    row = table.text("header_row") if "header_row" in table else "1"
    if not re.fullmatch("[1-9][0-9]{0,2}", row) or int(row) > MAX_HEADER_ROW:
        raise MappingInvalid(
            f"The header_row of the table '{name[:64]}' is not a row number.",
            question="source",
            cure=f"Count from 1, to at most {MAX_HEADER_ROW}.",
        )
    columns = {}
    for heading, value in table.block("columns").items():
        body = _Block(value, "source", f"the column {heading[:64]}")
        body.closed({"name", "type"}, {"digits"})
        columns[" ".join(heading.split())] = _column(name, body.text("name"), body)
    _different([column.name for column in columns.values()], "columns")
    digest = _digest(name, table, columns.values()) if "digest" in table else None
    return SheetTable(sheet, columns, int(row), digest)


def _digest(table: str, block: "_Block", columns: Collection[Column]) -> Digest:
    body = block.block("digest")
    body.closed({"name", "of", "key_file"}, set())
    name, of, names = body.text("name"), body.plain("of"), {column.name for column in columns}
    if not isinstance(of, list) or not of or not names.issuperset(of) or name in names or not NAME.match(name):
        raise MappingInvalid(
            f"The digest of the table '{table[:64]}' is not usable.",
            question="source",
            cure=f"Give it a name of its own, made of letters, digits and _; it is made of: {listed(sorted(names))}.",
        )
    return Digest(name, tuple(of), body.text("key_file"))


def _column(table: str, name: str, body: "_Block") -> Column:
    kind = next((known for known in COLUMN_TYPES if "type" in body and known == body.plain("type")), None)
    if kind is None or not NAME.match(name):
        raise MappingInvalid(
            f"The column '{name[:64]}' of the table '{table[:64]}' is not usable.",
            question="source",
            column=name[:64],
            cure=f"Letters, digits and _ make its name; its type is one of {listed(COLUMN_TYPES)}.",
        )
    digits = body.text("digits") if "digits" in body else "0"
    if not re.fullmatch("[0-9]{1,2}", digits) or int(digits) > MAX_DIGITS or (digits != "0" and kind != "text"):
        raise MappingInvalid(
            f"The digits of the column '{name[:64]}' of the table '{table[:64]}' are not usable.",
            question="source",
            column=name[:64],
            cure=f"Say how many digits a text has that lost its leading zeros: 1 to {MAX_DIGITS}.",
        )
    return Column(name, kind, int(digits))


def _different(names: Collection[str], what: str) -> None:
    if not names:
        raise MappingInvalid(f"A table has no {what}.", question="source", cure="Declare at least one.")
    if len({name.lower() for name in names}) != len(names):
        raise MappingInvalid(
            f"Two {what} have one name, or differ only in capital letters.",
            question="source",
            cure="Give them different names.",
        )


def _contact(key: str, body: object) -> ContactRoute:
    block = _Block(body, "contacts", f"the contact {key[:64]}")
    block.closed({"team", "role"}, {"phone", "mailbox", "lead_professional"})
    if "phone" not in block and "mailbox" not in block:
        raise MappingInvalid(
            f"The contact '{key[:64]}' has neither phone nor mailbox.", question="contacts", cure="Give one of them."
        )
    words = {name: block.text(name) for name in block}
    for name, word in words.items():
        if len(word.encode()) > MAX_CONTACT_CHARS or "\n" in word:
            raise MappingInvalid(
                f"The {name} of the contact '{key[:64]}' is too long.",
                question="contacts",
                column=name,
                cure=f"Use at most {MAX_CONTACT_CHARS} characters in one line.",
            )
    return ContactRoute(**words)


class _Strict(yaml.BaseLoader):
    """YAML in which every plain value is text (no octal telephone numbers), without aliases or doubled keys."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse aliases and deep nesting, with which a small file could become enormous."""
        self.depth += 1
        if self.check_event(yaml.AliasEvent) or self.depth > MAX_DEPTH:
            raise yaml.constructor.ConstructorError(
                problem="aliases and deep nesting are not used here", problem_mark=parent.start_mark if parent else None
            )
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        """Refuse a key written twice, of which one would silently be lost."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if any(not isinstance(key, str) for key in keys) or len(set(keys)) != len(keys):
            raise yaml.constructor.ConstructorError(
                problem="a key is written twice or is not a word", problem_mark=node.start_mark
            )
        return super().construct_mapping(node, deep=True)


def _yaml(data: bytes) -> object:
    cure = "Compare it with the example in the module's documentation."
    if len(data) > MAX_FILE_BYTES:
        raise MappingInvalid("The mapping file is too large.", cure=f"At most {MAX_FILE_BYTES} bytes.")
    try:
        written = data.decode("utf-8-sig")
        # A loader of ours over BaseLoader: it makes text, lists and mappings only, never an object.
        return yaml.load(written, Loader=_Strict)  # noqa: S506 - BaseLoader is the safest of all loaders
    except UnicodeDecodeError:
        raise MappingInvalid("The mapping file is not UTF-8.", cure="Save it as UTF-8.") from None
    except yaml.MarkedYAMLError as error:
        line = f" near line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise MappingInvalid(f"The mapping file is not sound YAML{line}.", cure=cure) from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise MappingInvalid("The mapping file is not sound YAML.", cure=cure) from None


class _Block:
    """One YAML mapping with its place, for messages."""

    def __init__(self, value: object, question: str, where: str) -> None:
        if not isinstance(value, dict):
            raise MappingInvalid(
                f"In {where}, a block of 'key: value' lines is missing.",
                question=question,
                cure="Indent them below it.",
            )
        self._value: dict[str, object] = value
        self._question = question
        self._where = where

    def __contains__(self, key: str) -> bool:
        return key in self._value

    def __iter__(self) -> Iterator[str]:
        return iter(self._value)

    def items(self) -> Iterator[tuple[str, object]]:
        return iter(self._value.items())

    def closed(self, required: set[str], optional: set[str]) -> None:
        unknown = [key for key in self._value if key not in required | optional]
        missing = sorted(required - set(self._value))
        if unknown:
            raise MappingInvalid(
                f"In {self._where}, {quoted(unknown[0])} is not known.",
                question=self._question,
                cure=f"Known here: {listed(sorted(required | optional))}.{nearest(unknown[0], required | optional)}",
            )
        if missing:
            raise MappingInvalid(
                f"In {self._where}, {listed(missing)} is missing.", question=self._question, cure="Add it."
            )

    def block(self, key: str) -> "_Block":
        return _Block(self._value.get(key), self._question or key, f"'{key}'")

    def plain(self, key: str) -> object:
        return self._value.get(key)

    def text(self, key: str) -> str:
        value = self._value.get(key)
        if not isinstance(value, str) or not value.strip() or _CONTROL.search(value) or not _encodable(value):
            raise MappingInvalid(
                f"In {self._where}, '{key}' is not plain text.",
                question=self._question,
                cure="Write it in one line or block.",
            )
        return value.strip()


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def binds_of(sql: str, question: str, dialect: selects.Dialect) -> frozenset[str]:
    """The binds of one harmless SELECT.

    Raises:
        MappingInvalid: It is not one SELECT, calls a function that is not allowed, or has other binds.
    """
    where = "The people query" if question == "people" else f"The query for {question}"
    fault = selects.fault(sql, dialect)
    if fault is not None:
        raise MappingInvalid(f"{where} {fault.told}", question=question, cure=fault.cure)
    binds = selects.binds(sql, dialect)
    unknown = binds - {"person_ids", "since"}
    if unknown:
        raise MappingInvalid(
            f"{where} uses a bind that is not known: {listed(sorted(unknown))}.",
            question=question,
            cure="Only :person_ids and :since are known; write '::' or times like '12:30' with char(58).",
        )
    return binds


def quoted(name: str) -> str:
    """A name for a message, not too long."""
    return f"'{name[:64]}'"


def listed(names: Collection[str]) -> str:
    """Names for a message, not too many."""
    return ", ".join(quoted(name) for name in list(names)[:40]) or "none"


def nearest(name: str, known: Collection[str]) -> str:
    """What may have been meant, or nothing."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {quoted(near[0])}?" if near else ""
