"""Bind the catalogue's questions to one agency's own tables, and check every word of it before a question is answered.

    mapping file -> strict YAML -> one SELECT each (sqlglot) -> tried on the real database -> Records

* Closed keys: a word that is not known is a fault, not ignored.
* Each query is one SELECT without writes, side effects or binds of its own (`:person_ids`, `:since`), and the adapter
  refuses anything else once more when it runs.
* Each answer query is tried for a person who cannot exist: it must yield exactly one row that says "nothing". A query
  that forgets the person would answer *yes* about everybody; one that groups would answer nothing at all.
* A fault names the question, the column and the cure in plain English, and never shows a value from a record.

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
"""

import datetime
import difflib
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final, Literal, Protocol

import sqlglot
import yaml
from sqlalchemy import Executable, TextClause, bindparam, column, select, text
from sqlglot import exp

from accord.identity import FORMER_LIMIT, BadDescription, Description, describe
from accord.reasons import Problem
from accord.statement import AGENCY, QUESTION
from agency_node.adapters import RecordsUnavailable
from agency_node.adapters.csv_drop import COLUMN_TYPES, NAME, ColumnType, CsvSource, CsvTable, read_date
from agency_node.adapters.sqlite import QUERY_TIMEOUT_S, SAFE_FUNCTIONS, Row, SqliteSource

MAX_FILE_BYTES: Final = 256 * 1024
MAX_SQL_CHARS: Final = 16_000
MAX_DEPTH: Final = 16
"""Deepest nesting of the mapping file; a sound one needs six."""
MAX_CONTACT_CHARS: Final = 60
"""Longest word of a contact route; the routes of one answer share 384 bytes (accord.answer)."""

PEOPLE_TIMEOUT_S: Final = 120.0
"""How long reading every person may take, in seconds; done by jobs, never while a question waits."""

REQUIRED: Final = ("id", "first_name", "last_name")
OPTIONAL: Final = (
    "middle_names",
    "date_of_birth",
    "sex",
    "address",
    "postcode",
    "nhs_number",
    "former_last_names",
    "former_postcodes",
    "changed_at",
    "shielded",
    "withheld",
)
ANSWER_COLUMNS: Final = ("latest", "count", "open", "team")
LONG_AGO: Final = datetime.date(1, 1, 1)
"""What `:since` is when a question looks back without limit."""

_NOBODY_TEXT: Final = "\ufffdnobody\ufffd"
_NOBODY_INTEGER: Final = -(2**62)
_BIND: Final = re.compile(r"\(\s*:person_ids\s*\)")
_SPLIT: Final = re.compile(r"[;|]")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_TRUE: Final = frozenset({"1", "y", "yes", "true", "t"})
_FALSE: Final = frozenset({"0", "n", "no", "false", "f", ""})

IdKind = Literal["integer", "text"]


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
    """

    agency: str
    source: SqliteFile | CsvFolder
    people: str
    answers: Mapping[str, str]
    contacts: Mapping[str, ContactRoute]
    data_as_of: str = ""


@dataclass(frozen=True, slots=True)
class Described:
    """A record in the form that is compared, and the fields that could not be read (left out of it)."""

    description: Description
    unreadable: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One person of the agency, as its records have it. Held only while it is indexed or compared.

    Attributes:
        person_id: The agency's own number; never leaves the node.
        shielded: Nothing is said about this person, whatever the purpose.
        withheld: Nothing is said about this person, by a decision of the agency.
        changed_at: The record's own time of change, as written; "" when there is none.
    """

    person_id: str
    first_name: str = field(repr=False)
    last_name: str = field(repr=False)
    middle_names: str = field(default="", repr=False)
    date_of_birth: str = field(default="", repr=False)
    sex: str = field(default="", repr=False)
    address: str = field(default="", repr=False)
    postcode: str = field(default="", repr=False)
    nhs_number: str = field(default="", repr=False)
    former_last_names: tuple[str, ...] = field(default=(), repr=False)
    former_postcodes: tuple[str, ...] = field(default=(), repr=False)
    changed_at: str = ""
    shielded: bool = False
    withheld: bool = False

    def described(self) -> Described:
        """The record normalised; a field that cannot be read is left out, so that it neither helps nor hinders."""
        fields: dict[str, str | tuple[str, ...]] = {
            name: getattr(self, name) for name in (*REQUIRED[1:], *OPTIONAL[:8]) if getattr(self, name)
        }
        unreadable: list[str] = []
        while True:
            try:
                return Described(describe(**fields), tuple(unreadable))  # type: ignore[arg-type]  # names are describe's own
            except BadDescription as fault:
                # A postcode may have been read out of the address line.
                unread = fault.field if fault.field in fields else "address"
                unreadable.append(unread)
                del fields[unread]


@dataclass(frozen=True, slots=True)
class Found:
    """What one answer query said: aggregates, never rows.

    Attributes:
        latest: Latest date, or None.
        count: How many, or None when the query does not count.
        open: Whether anything is open, or None when the query does not say.
        team: Team key, or "". A key only: it is looked up in the contacts and never leaves the node.
        doubtful: A value was not of the expected kind, or rows behind it could only partly be read.
    """

    latest: datetime.date | None
    count: int | None
    open: bool | None
    team: str
    doubtful: bool


@dataclass(frozen=True, slots=True)
class Check:
    """What a rehearsal found: counts only, never a row.

    Attributes:
        people: How many.
        filled: Field -> how many people have it readable.
        unreadable: Field, or `table.column` of a CSV drop -> how many values could not be read.
        held_back: How many people are shielded or withheld.
        tried: On how many people the answer queries were tried.
        answers: Question -> for how many of those it found anything.
        doubtful: Question -> for how many of those the answer could not be read.
    """

    people: int
    filled: Mapping[str, int]
    unreadable: Mapping[str, int]
    held_back: int
    tried: int
    answers: Mapping[str, int]
    doubtful: Mapping[str, int]


class Source(Protocol):
    """What a mapping needs of an adapter."""

    def rows(
        self,
        statement: Executable,
        binds: Mapping[str, object],
        limit: int | None = None,
        timeout_s: float | None = None,
    ) -> list[Row]:
        """Run one reading statement."""

    def columns(self, statement: Executable, binds: Mapping[str, object]) -> tuple[str, ...]:
        """Names of the columns that a statement yields."""

    def tables(self) -> Mapping[str, tuple[str, ...]]:
        """Tables with their columns."""

    def changed_ns(self) -> int:
        """When the records last changed, in nanoseconds since 1970."""

    def doubtful(self, person_ids: Collection[str], /) -> bool:
        """Whether rows of these people were only partly understood."""

    def unreadable(self) -> Mapping[str, int]:
        """Values that could not be read, by `table.column`."""

    def refuses_writes(self) -> bool:
        """Whether an attempt to write is refused."""

    def close(self) -> None:
        """Let go of the records."""


class Records:
    """An agency's records through a mapping that was tried on them. Made by `open_records`."""

    def __init__(self, mapping: MappingFile, source: Source) -> None:
        """Try the mapping on the records.

        Raises:
            MappingInvalid: A query does not fit; the message says which, where and what to do.
        """
        self._mapping = mapping
        self._source = source
        self._people, self._columns = self._try_people()
        self._id_kind = self._try_ids()
        self._answers = {question: self._try_answer(question) for question in mapping.answers}
        self._as_of = self._try_as_of()

    @property
    def agency(self) -> str:
        """Whose records these are."""
        return self._mapping.agency

    @property
    def questions(self) -> frozenset[str]:
        """Questions that the mapping binds."""
        return frozenset(self._answers)

    def uses_since(self, question: str) -> bool:
        """Whether the question's query limits itself by `:since`."""
        return "since" in self._answers[question][2]

    def people(self) -> Iterator[PersonRow]:
        """Every person, for the index. Read at one go, so that the agency's own program is not kept waiting.

        Raises:
            RecordsUnavailable: The records cannot be read.
            MappingInvalid: Two rows have one id, or a row has none.
        """
        seen: set[str] = set()
        for row in self._source.rows(self._people, {}, timeout_s=PEOPLE_TIMEOUT_S):
            person = self._person(row)
            if person.person_id in seen:
                raise _twice()
            seen.add(person.person_id)
            yield person

    def person(self, person_id: str) -> PersonRow | None:
        """One person as the records have them now; None when there is no such record (any more).

        Raises:
            RecordsUnavailable: The records cannot be read.
            MappingInvalid: Two rows have this id.
        """
        wanted = self._bound(person_id)
        if wanted is None:
            return None
        within = self._people.columns(*(column(name) for name in self._columns)).subquery("accord_people")
        rows = self._source.rows(select(within).where(within.c.id == bindparam("person_id")), {"person_id": wanted}, 2)
        if len(rows) > 1:
            raise _twice()
        return self._person(rows[0]) if rows else None

    def answer(self, question: str, person_ids: Sequence[str], since: datetime.date) -> Found:
        """What the records say about these people, in aggregates.

        Args:
            question: One of `questions`.
            person_ids: At least one.
            since: Nothing older counts, where the query uses `:since`.

        Raises:
            KeyError: The mapping does not bind this question.
            RecordsUnavailable: The records cannot be read.
            MappingInvalid: The query did not yield one row.
        """
        statement, columns, binds = self._answers[question]
        ids = [bound for bound in map(self._bound, person_ids) if bound is not None]
        if not ids or len(ids) != len(person_ids):
            return Found(None, None, None, "", doubtful=True)
        rows = self._source.rows(statement, _binds(binds, ids, since), 2)
        if len(rows) != 1:
            raise _not_one_row(question)
        found = _found(dict(zip(columns, rows[0], strict=True)))
        if self._source.doubtful(person_ids):
            return Found(found.latest, found.count, found.open, found.team, doubtful=True)
        return found

    def as_of_ns(self) -> int:
        """How old the records are: nanoseconds since 1970, of the mapping's query or else of the file.

        Raises:
            RecordsUnavailable: The records cannot be read, or the query yields no date.
        """
        if self._as_of is None:
            return self._source.changed_ns()
        rows = self._source.rows(self._as_of, {}, 2)
        read = _instant(rows[0][0]) if len(rows) == 1 and len(rows[0]) == 1 else None
        if read is None:
            raise RecordsUnavailable("query", "The data_as_of query did not yield one date or time.")
        return read

    def contact(self, team: str) -> ContactRoute | None:
        """The route for a team key; that of `default` for a key not named; None when there is neither."""
        return self._mapping.contacts.get(team) or self._mapping.contacts.get("default")

    def check(self, today: datetime.date, sample: int = 500) -> Check:
        """Rehearse the mapping on the records.

        Args:
            today: The day from which questions would look back.
            sample: On how many people the answer queries are tried; evenly spread.

        Raises:
            RecordsUnavailable: The records cannot be read.
            MappingInvalid: What only whole data shows: an id that occurs twice, a query that yields no single row.
        """
        filled: Counter[str] = Counter()
        unreadable: Counter[str] = Counter(self._source.unreadable())
        held_back = 0
        ids: list[str] = []
        for person in self.people():
            ids.append(person.person_id)
            held_back += person.shielded or person.withheld
            seen = person.described()
            unreadable.update(seen.unreadable)
            filled.update(name for name in OPTIONAL[:8] if getattr(person, name) and name not in seen.unreadable)
        tried = ids[:: max(1, len(ids) // sample)][:sample]
        answers = dict.fromkeys(self._answers, 0)
        doubtful = dict.fromkeys(self._answers, 0)
        for question in self._answers:
            for person_id in tried:
                found = self.answer(question, [person_id], LONG_AGO)
                answers[question] += bool(found.count) or bool(found.open)
                doubtful[question] += found.doubtful or (found.latest is not None and found.latest > today)
        return Check(len(ids), dict(filled), dict(unreadable), held_back, len(tried), answers, doubtful)

    def refuses_writes(self) -> bool:
        """Whether the records refuse an attempt to write; for `accord-node doctor`.

        Raises:
            RecordsUnavailable: The records cannot be read.
        """
        return self._source.refuses_writes()

    def close(self) -> None:
        """Let go of the records."""
        self._source.close()

    def _bound(self, person_id: str) -> int | str | None:
        """The id as the database has it: SQLite compares 7 and '7' as different where a column has no type."""
        if self._id_kind == "text":
            return person_id
        return int(person_id) if re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", person_id) else None

    def _person(self, row: Row) -> PersonRow:
        cells = {name: _written(value) for name, value in zip(self._columns, row, strict=True)}
        person_id = cells["id"]
        if not person_id:
            raise MappingInvalid(
                "The people query yields somebody without an id.",
                question="people",
                column="id",
                cure="Leave rows without an id out, with WHERE ... IS NOT NULL.",
            )
        plain = {name: cells[name] for name in cells if name in {*REQUIRED[1:], *OPTIONAL[:6], "changed_at"}}
        listed = {
            name: tuple(part for part in map(str.strip, _SPLIT.split(cells.get(name, ""))) if part)[:FORMER_LIMIT]
            for name in ("former_last_names", "former_postcodes")
        }
        # A mark that is neither yes nor no holds back: the wrong way round would name a shielded person.
        marks = {name: cells.get(name, "").lower() not in _FALSE for name in ("shielded", "withheld")}
        return PersonRow(person_id=person_id, **plain, **listed, **marks)  # type: ignore[arg-type]  # grouped by type above

    def _try_people(self) -> tuple[TextClause, tuple[str, ...]]:
        statement = _statement(self._mapping.people, "people")
        columns = self._tried_columns("people", self._mapping.people, statement, {})
        _check_columns("people", columns, REQUIRED, OPTIONAL)
        return statement, columns

    def _try_ids(self) -> IdKind:
        within = self._people.columns(*(column(name) for name in self._columns)).subquery("accord_people")
        kinds = {str(row[0]) for row in self._run("people", select(text("typeof(id)")).select_from(within).distinct())}
        if kinds - {"integer", "text"} or len(kinds) > 1:
            raise MappingInvalid(
                f"The id of the people query must be all whole numbers or all text; it is {_list(sorted(kinds))}.",
                question="people",
                column="id",
                cure="Write CAST(... AS TEXT) AS id, and the same in every answer, or leave rows without an id out.",
            )
        return "integer" if kinds == {"integer"} else "text"

    def _try_answer(self, question: str) -> tuple[TextClause, tuple[str, ...], frozenset[str]]:
        sql = self._mapping.answers[question]
        statement = _statement(sql, question)
        binds = frozenset(_placeholders(sql, question))
        nobody: int | str = _NOBODY_INTEGER if self._id_kind == "integer" else _NOBODY_TEXT
        values = _binds(binds, [nobody], LONG_AGO)
        columns = self._tried_columns(question, sql, statement, values)
        _check_columns(question, columns, (), ANSWER_COLUMNS)
        if not {"count", "open"} & set(columns):
            raise MappingInvalid(
                f"The query for {question} yields neither 'count' nor 'open', so it could never say yes.",
                question=question,
                cure="Add count(*) AS count, or an aggregate such as max(closed_on IS NULL) AS open.",
            )
        rows = self._run(question, statement, values, 2)
        if len(rows) != 1:
            raise _not_one_row(question)
        empty = dict(zip(columns, rows[0], strict=True))
        if empty.get("count") not in {None, 0} or empty.get("open") not in {None, 0}:
            raise MappingInvalid(
                f"The query for {question} finds something even for a person who does not exist.",
                question=question,
                cure="Limit every part of it with ... IN (:person_ids).",
            )
        if "count" in columns and empty["count"] is None:
            raise MappingInvalid(
                f"The query for {question} yields no number as 'count' for a person without records.",
                question=question,
                column="count",
                cure="Use count(...), which is 0 when there is nothing; sum(...) is empty.",
            )
        return statement, columns, binds

    def _try_as_of(self) -> TextClause | None:
        sql = self._mapping.data_as_of
        if not sql:
            return None
        statement = _statement(sql, "data_as_of")
        if len(self._tried_columns("data_as_of", sql, statement, {})) != 1:
            raise MappingInvalid(
                "The data_as_of query must yield exactly one column.",
                question="data_as_of",
                cure="For example: SELECT max(changed_at) FROM people.",
            )
        return statement

    def _run(
        self, question: str, statement: Executable, binds: Mapping[str, object] | None = None, limit: int | None = None
    ) -> list[Row]:
        try:
            return self._source.rows(statement, binds or {}, limit, PEOPLE_TIMEOUT_S)
        except RecordsUnavailable as fault:
            raise self._explained(question, "", fault) from None

    def _tried_columns(
        self, question: str, sql: str, statement: Executable, binds: Mapping[str, object]
    ) -> tuple[str, ...]:
        try:
            return self._source.columns(statement, binds)
        except RecordsUnavailable as fault:
            raise self._explained(question, sql, fault) from None

    def _explained(self, question: str, sql: str, fault: RecordsUnavailable) -> MappingInvalid | RecordsUnavailable:
        """What the database refused, in the words of the mapping. A damaged database is not the mapping's fault."""
        told = str(fault)
        if fault.cause == "open" and "unable to open" not in told:
            return fault
        if fault.cause in {"open", "files"}:
            return MappingInvalid(told, question="source", cure="Check the path in 'source' and who may read it.")
        where = "The people query" if question == "people" else f"The query for {question}"
        if fault.cause == "slow":
            return MappingInvalid(
                f"{where} takes too long.", question=question, cure="Ask for an index on the columns it looks in."
            )
        if fault.cause == "refused":
            return MappingInvalid(f"{where} tried to do more than read.", question=question, cure="Use only SELECT.")
        return self._missing(where, question, sql, told)

    def _missing(self, where: str, question: str, sql: str, told: str) -> MappingInvalid:
        tables = self._source.tables()
        table = re.search(r"no such table: (\S+)", told)
        if table:
            return MappingInvalid(
                f"{where} reads a table {_quoted(table[1])} that the database does not have.",
                question=question,
                cure=f"Tables there: {_list(tables)}.{_nearest(table[1], tables)}",
            )
        absent = re.search(r"no such column: (\S+)", told)
        if absent:
            name = absent[1].split(".")[-1].rstrip(".,")
            used = [known for known in tables if known.lower() in _tables_of(sql)] or list(tables)
            there = [known for one in used for known in tables[one]]
            which = "the table " + _quoted(used[0]) + " does" if len(used) == 1 else "its tables do"
            return MappingInvalid(
                f"{where} names a column {_quoted(name)} that {which} not have.",
                question=question,
                column=name,
                cure=f"Columns there: {_list(there)}.{_nearest(name, there)}",
            )
        return MappingInvalid(
            f"{where} is not understood by the database ({told[:200]}).",
            question=question,
            cure="Try it there by hand.",
        )


def open_records(path: Path, timeout_s: float = QUERY_TIMEOUT_S) -> Records:
    """Read a mapping file, open the records it names and try every query on them.

    Args:
        path: The mapping file. Paths inside it count from its folder.
        timeout_s: Longest time for one look-up, in seconds.

    Raises:
        MappingInvalid: The file, a query or the records do not fit.
        RecordsUnavailable: The database is damaged, or locked.
    """
    try:
        data = path.read_bytes()[: MAX_FILE_BYTES + 1]
    except OSError:
        raise MappingInvalid("The mapping file cannot be read.", cure="Check its path and who may read it.") from None
    mapping = parse(data)
    if isinstance(mapping.source, SqliteFile):
        return Records(mapping, SqliteSource(path.parent / mapping.source.database_file, timeout_s))
    return Records(mapping, CsvSource(path.parent / mapping.source.folder, mapping.source.tables, timeout_s))


def parse(data: bytes) -> MappingFile:
    """Read a mapping's words, strictly; the database is not touched.

    Raises:
        MappingInvalid: Not the agreed form, or a query that is not one harmless SELECT.
    """
    top = _Block(_yaml(data), "", "the mapping")
    top.closed({"version", "agency", "source", "people", "answers", "contacts"}, {"data_as_of"})
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
        sql = block.text("sql")
        if "person_ids" not in _placeholders(sql, question):
            raise MappingInvalid(
                f"The query for {question} is not limited to the person asked about.",
                question=question,
                cure="Limit it with ... IN (:person_ids).",
            )
        answers[question] = sql
    mapping = MappingFile(
        agency=agency,
        source=_source(top.block("source")),
        people=top.text("people"),
        answers=answers,
        contacts={key: _contact(key, body) for key, body in top.block("contacts").items()},
        data_as_of=top.text("data_as_of") if "data_as_of" in top else "",
    )
    for name, sql in (("people", mapping.people), ("data_as_of", mapping.data_as_of)):
        if sql and _placeholders(sql, name):
            raise MappingInvalid(
                f"The {name} query uses a bind.", question=name, cure="Only the answers know :person_ids and :since."
            )
    return mapping


def _source(block: "_Block") -> SqliteFile | CsvFolder:
    kind = block.text("kind") if "kind" in block else ""
    if kind == "sqlite":
        block.closed({"kind", "database_file"}, set())
        return SqliteFile(block.text("database_file"))
    if kind != "csv":
        raise MappingInvalid("The source's kind is not known.", question="source", cure="Use sqlite or csv.")
    block.closed({"kind", "folder", "tables"}, set())
    tables = {}
    for name, body in block.block("tables").items():
        table = _Block(body, "source", f"the table {name[:64]}")
        table.closed({"file", "columns"}, set())
        file = table.text("file")
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,127}", file):
            raise MappingInvalid(
                f"The file of the table '{name[:64]}' is not a plain file name.",
                question="source",
                cure="Name a file inside the folder, without a path.",
            )
        columns = {key: _column_type(name, key, value) for key, value in table.block("columns").items()}
        if not NAME.match(name) or name.lower().startswith("sqlite_") or not columns:
            raise MappingInvalid(
                f"'{name[:64]}' is not a usable table.",
                question="source",
                cure="Letters, digits and _ make its name, and it needs at least one column.",
            )
        tables[name] = CsvTable(file, columns)
    for names, what in ((tables, "tables"), *((table.columns, "columns") for table in tables.values())):
        if len({name.lower() for name in names}) != len(names):
            raise MappingInvalid(
                f"Two {what} differ only in capital letters.", question="source", cure="Give them different names."
            )
    if not tables:
        raise MappingInvalid("The source has no tables.", question="source", cure="Declare each CSV file.")
    return CsvFolder(block.text("folder"), tables)


def _column_type(table: str, name: str, kind: object) -> ColumnType:
    found = next((known for known in COLUMN_TYPES if known == kind), None)
    if found is None or not NAME.match(name):
        raise MappingInvalid(
            f"The column '{name[:64]}' of the table '{table[:64]}' is not usable.",
            question="source",
            column=name[:64],
            cure=f"Letters, digits and _ make its name; its type is one of {_list(COLUMN_TYPES)}.",
        )
    return found


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
                f"In {self._where}, {_quoted(unknown[0])} is not known.",
                question=self._question,
                cure=f"Known here: {_list(sorted(required | optional))}.{_nearest(unknown[0], required | optional)}",
            )
        if missing:
            raise MappingInvalid(
                f"In {self._where}, {_list(missing)} is missing.", question=self._question, cure="Add it."
            )

    def block(self, key: str) -> "_Block":
        return _Block(self._value.get(key), self._question or key, f"'{key}'")

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


def _placeholders(sql: str, question: str) -> set[str]:
    """The binds of one harmless SELECT.

    Raises:
        MappingInvalid: It is not one SELECT, calls a function that is not allowed, or has other binds.
    """
    where = "The people query" if question == "people" else f"The query for {question}"
    tree = _select(sql, question, where)
    for function in tree.find_all(exp.Anonymous):
        name = str(function.this).lower()
        if name not in SAFE_FUNCTIONS:
            raise MappingInvalid(
                f"{where} calls {_quoted(name)}, which is not among the functions allowed.",
                question=question,
                cure="Use plain SQL functions such as count, max, date, coalesce.",
            )
    binds = {str(node.this or "?") for node in tree.find_all(exp.Placeholder, exp.Parameter)}
    # The database layer finds binds by its own rule; both must see the same ones.
    binds |= set(text(sql).compile().params)
    unknown = binds - {"person_ids", "since"}
    if unknown:
        raise MappingInvalid(
            f"{where} uses a bind that is not known: {_list(sorted(unknown))}.",
            question=question,
            cure="Only :person_ids and :since are known; write '::' or times like '12:30' with char(58).",
        )
    return binds


def _select(sql: str, question: str, where: str) -> exp.Expression:
    only = MappingInvalid(f"{where} is not one SELECT.", question=question, cure="Write one SELECT and nothing else.")
    if len(sql) > MAX_SQL_CHARS:
        raise MappingInvalid(f"{where} is too long.", question=question, cure="Ask for a view that does the work.")
    try:
        trees = sqlglot.parse(sql, read="sqlite")
    except (sqlglot.errors.SqlglotError, RecursionError):
        raise only from None
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        # The parser's own slips on nonsense; a text it cannot read is not a SELECT that we could vouch for.
        raise only from None
    if len(trees) != 1 or not isinstance(trees[0], exp.Select | exp.SetOperation):
        raise only
    tree = trees[0]
    if tree.find(exp.DML, exp.DDL, exp.Command, exp.Into, exp.Pragma, exp.Attach):
        raise only
    return tree


def _statement(sql: str, question: str) -> TextClause:
    binds = _placeholders(sql, question)
    statement = text(_BIND.sub(":person_ids", sql))
    return statement.bindparams(bindparam("person_ids", expanding=True)) if "person_ids" in binds else statement


def _binds(used: Collection[str], ids: Sequence[int | str], since: datetime.date) -> dict[str, object]:
    values: dict[str, object] = {"person_ids": list(ids), "since": since.isoformat()}
    return {name: value for name, value in values.items() if name in used}


def _tables_of(sql: str) -> set[str]:
    try:
        return {
            table.name.lower()
            for tree in sqlglot.parse(sql, read="sqlite")
            if tree
            for table in tree.find_all(exp.Table)
        }
    except sqlglot.errors.SqlglotError:
        return set()


def _check_columns(question: str, columns: Sequence[str], required: Sequence[str], optional: Sequence[str]) -> None:
    known = (*required, *optional)
    where = "The people query" if question == "people" else f"The query for {question}"
    for name in columns:
        if name not in known:
            raise MappingInvalid(
                f"{where} yields a column {_quoted(name)} that is not known.",
                question=question,
                column=name,
                cure=f"Known: {_list(known)}. Name columns with AS.{_nearest(name, known)}",
            )
        if list(columns).count(name) > 1:
            raise MappingInvalid(
                f"{where} yields {_quoted(name)} twice.", question=question, column=name, cure="Leave one out."
            )
    for name in required:
        if name not in columns:
            raise MappingInvalid(
                f"{where} does not yield {_quoted(name)}.",
                question=question,
                column=name,
                cure=f"Name the right column with AS {name}. Yielded: {_list(columns)}.",
            )


def _not_one_row(question: str) -> MappingInvalid:
    return MappingInvalid(
        f"The query for {question} does not yield exactly one row.",
        question=question,
        cure="Use aggregates (max, count) over all its rows, and no GROUP BY at the outside.",
    )


def _twice() -> MappingInvalid:
    return MappingInvalid(
        "The people query yields one id more than once.",
        question="people",
        column="id",
        cure="Join only the current name and address of each person, so that there is one row a person.",
    )


def _found(cells: Mapping[str, object]) -> Found:
    """Aggregates as our types; whatever is not of its kind makes the whole doubtful."""
    latest, latest_read = _day(cells.get("latest"))
    count = cells.get("count")
    opened = cells.get("open")
    team = cells.get("team")
    count_read = "count" not in cells or (isinstance(count, int) and count >= 0)
    open_read = opened is None or opened in {0, 1}
    return Found(
        latest=latest,
        count=count if isinstance(count, int) and count >= 0 else None,
        open=None if "open" not in cells else bool(opened),
        team=_written(team),
        doubtful=not (latest_read and count_read and open_read),
    )


def _day(value: object) -> tuple[datetime.date | None, bool]:
    if value is None or value == "":
        return None, True
    day = read_date(value.strip()) if isinstance(value, str) else None
    return day, day is not None


def _instant(value: object) -> int | None:
    """A date, a time (read as UTC) or seconds since 1970, as nanoseconds since 1970."""
    if isinstance(value, int | float) and 0 <= value < 2**33:
        return int(value * 1_000_000_000)
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        moment = datetime.datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return int(moment.timestamp()) * 1_000_000_000


def _written(value: object) -> str:
    if value is None or isinstance(value, bytes):
        return ""
    return str(value).strip()


def _quoted(name: str) -> str:
    return f"'{name[:64]}'"


def _list(names: Collection[str]) -> str:
    return ", ".join(_quoted(name) for name in list(names)[:40]) or "none"


def _nearest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {_quoted(near[0])}?" if near else ""
