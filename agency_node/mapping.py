"""An agency's records through its mapping, every query tried on them before a question is answered.

    MappingFile -> tried on the real records -> Records: people, one person, answers

* Each answer query is tried for a person who cannot exist: it must yield exactly one row that says "nothing". A query
  that forgets the person would answer *yes* about everybody; one that groups would answer nothing at all.
* A fault names the question, the column and the cure in plain English, and never shows a value from a record.
"""

import datetime
import functools
import json
import re
import uuid
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from sqlalchemy import (
    BigInteger,
    Date,
    Executable,
    Select,
    String,
    Subquery,
    TextClause,
    Uuid,
    bindparam,
    column,
    select,
    text,
)
from sqlalchemy.types import TypeEngine

from accord.identity import FORMER_LIMIT, BadDescription, Description, describe
from agency_node.adapters import RecordsUnavailable, Row, older, selects
from agency_node.adapters.csv_drop import CsvReader
from agency_node.adapters.csv_list import ListReader
from agency_node.adapters.server import DENIED
from agency_node.adapters.servers import open_server
from agency_node.adapters.sqlite import LONG_S, QUERY_TIMEOUT_S, SqliteSource
from agency_node.adapters.tables import TableSource, read_date
from agency_node.adapters.xlsx import XlsxReader
from agency_node.mapping_file import (
    MAX_FILE_BYTES,
    ContactRoute,
    CsvFolder,
    MappingFile,
    MappingInvalid,
    OfficeList,
    Server,
    Spreadsheet,
    SqliteFile,
    binds_of,
    listed,
    nearest,
    parse,
    quoted,
)

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
COMPARED: Final = OPTIONAL[:8]
"""Fields beside the names that are compared."""
ANSWER_COLUMNS: Final = ("latest", "count", "open", "team")
LONG_AGO: Final = datetime.date(1, 1, 1)
"""What `:since` is when a question looks back without limit."""

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BIND: Final = re.compile(r"\(\s*:person_ids\s*\)")
_SPLIT: Final = re.compile(r"[;|]")
_FALSE: Final = frozenset({"0", "n", "no", "false", "f", ""})

IdKind = Literal["integer", "text", "uuid"]
_ID_TYPES: Final[Mapping[IdKind, TypeEngine[Any]]] = {"integer": BigInteger(), "text": String(), "uuid": Uuid()}
_NOBODY: Final[Mapping[IdKind, int | str | uuid.UUID]] = {
    "integer": -(2**62),
    "text": "\ufffdnobody\ufffd",
    "uuid": uuid.UUID(int=2**128 - 1),
}
"""Ids that nobody has."""


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
        changed_at: The record's own time of change, as 2026-10-01T23:30:00Z; "" when there is none to be read.
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
            name: getattr(self, name) for name in (*REQUIRED[1:], *COMPARED) if getattr(self, name)
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

    def stream(
        self, statement: Executable, binds: Mapping[str, object], timeout_s: float | None = None
    ) -> Iterator[list[Row]]:
        """Run one reading statement; its rows in portions, all as they were at one moment."""

    def columns(self, statement: Executable, binds: Mapping[str, object]) -> tuple[str, ...]:
        """Names of the columns that a statement yields."""

    def kinds(self, statement: Select[Any]) -> frozenset[str]:
        """Of which kinds the values of a statement's one column are."""

    def tables(self) -> Mapping[str, tuple[str, ...]]:
        """Tables with their columns."""

    def changed_ns(self) -> int:
        """When the records last changed, in nanoseconds since 1970."""

    def doubtful(self, person_ids: Collection[str], /) -> bool:
        """Whether rows of these people were only partly understood."""

    def unreadable(self) -> Mapping[str, int]:
        """Values that could not be read, by `table.column`."""

    def noted(self) -> Mapping[str, int]:
        """Values that were mended on the way in: `table.column: what` -> count."""

    def refuses_writes(self) -> bool:
        """Whether an attempt to write is refused."""

    def stops_slow(self) -> bool:
        """Whether a statement that takes too long is stopped."""

    def account_may_write(self) -> bool:
        """Whether an account that stands between may change anything."""

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

    @property
    def fields(self) -> tuple[str, ...]:
        """What the people query yields."""
        return self._columns

    def uses_since(self, question: str) -> bool:
        """Whether the question's query limits itself by `:since`."""
        return "since" in self._answers[question][2]

    def people(self) -> Iterator[PersonRow]:
        """Every person, for the index.

        All are read from the records at one go and within one transaction, so that the agency's own program is not
        kept waiting while each is indexed; until then they are held packed, about 10 MB for 100,000 people.

        Raises:
            RecordsUnavailable: The records cannot be read.
            MappingInvalid: Two rows have one id, or a row has none.
        """
        return self._read(self._people, lambda _: True)

    @property
    def changed_at_usable(self) -> bool:
        """Whether the mapping says that a record's `changed_at` moves with every change of it."""
        return self._mapping.changed_at == "reliable"

    def people_changed_since(self, watermark: str) -> Iterator[PersonRow]:
        """The people whose records changed at this time or later, or do not say readably when they changed.

        Nothing tells here who is no longer in the records: only `people` does.

        Args:
            watermark: The latest `changed_at` that was seen; one that is no time yields everybody.

        Raises:
            RecordsUnavailable: The records cannot be read.
            MappingInvalid: Two of the rows have one id, or a row has none.
        """
        if "changed_at" not in self._columns:
            return self.people()
        at, binds = self._columns.index("changed_at"), older.bound(watermark)
        # The database leaves out what is certainly older; of the rest, the one form of all times decides.
        people = self._people if binds is None else self._changed
        return self._read(people, lambda row: not row[at] or row[at] >= watermark, binds or {})

    @functools.cached_property
    def _changed(self) -> Select[Any]:
        """The people query for those who may have changed; put together once."""
        within = self._within()
        return select(within).where(older.changed_since(within.c.changed_at, self._mapping.dialect))

    @functools.cached_property
    def _one(self) -> Select[Any]:
        """The people query for one person; put together once, since every answer asks it."""
        within = self._within()
        return select(within).where(within.c.id == bindparam("person_id", type_=_ID_TYPES[self._id_kind]))

    def _within(self) -> Subquery:
        """The people query, to be narrowed."""
        return self._people.columns(*(column(name) for name in self._columns)).subquery("accord_people")

    def _read(
        self, people: Executable, wanted: Callable[[Sequence[str]], bool], binds: Mapping[str, object] | None = None
    ) -> Iterator[PersonRow]:
        packed = [
            zlib.compress(json.dumps([row for row in map(self._plain, portion) if wanted(row)]).encode(), 1)
            for portion in self._source.stream(people, binds or {}, LONG_S)
        ]
        seen: set[str] = set()
        for portion in packed:
            for row in json.loads(zlib.decompress(portion)):
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
        rows = self._source.rows(self._one, {"person_id": wanted}, 2)
        if len(rows) > 1:
            raise _twice()
        return self._person(self._plain(rows[0])) if rows else None

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
        rows = self._source.rows(statement, self._values(binds, ids, since), 2)
        if len(rows) != 1:
            raise _not_one_row(question)
        found = _found(dict(zip(columns, rows[0], strict=True)))
        if self._source.doubtful(person_ids) or self.ownerless([question]):
            return Found(found.latest, found.count, found.open, found.team, doubtful=True)
        return found

    def ownerless(self, questions: Collection[str]) -> frozenset[str]:
        """Places whose unreadable values leave open whose a row is, which may then be anybody's: `table.column`.

        Args:
            questions: Whose queries count, of `questions`.

        Raises:
            RecordsUnavailable: The records cannot be read.
        """
        unreadable = self._source.unreadable()
        if not unreadable:
            return frozenset()
        whose = {
            name
            for question in questions
            for name in selects.compared(self._mapping.answers[question], self._mapping.dialect)
        }
        return frozenset(place for place in unreadable if place.rpartition(".")[2].lower() in whose)

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

    def unreadable(self) -> Mapping[str, int]:
        """Values that could not be read while files were loaded: `table.column` -> count.

        Raises:
            RecordsUnavailable: The records cannot be read.
        """
        return self._source.unreadable()

    def noted(self) -> Mapping[str, int]:
        """Values that were mended while files were loaded: `table.column: what` -> count.

        Raises:
            RecordsUnavailable: The records cannot be read.
        """
        return self._source.noted()

    def refuses_writes(self) -> bool:
        """Whether the records refuse an attempt to write; for `accord-node doctor`.

        Raises:
            RecordsUnavailable: The records cannot be read.
        """
        return self._source.refuses_writes()

    def stops_slow(self) -> bool:
        """Whether a statement that takes too long is stopped; for `accord-node doctor`.

        Raises:
            RecordsUnavailable: The records cannot be read.
        """
        return self._source.stops_slow()

    def account_may_write(self) -> bool:
        """Whether a server's account has rights to change records, though this node never uses them.

        Raises:
            RecordsUnavailable: The records cannot be read.
        """
        return self._source.account_may_write()

    def close(self) -> None:
        """Let go of the records."""
        self._source.close()

    def _bound(self, person_id: str) -> int | str | uuid.UUID | None:
        """The id as the database has it: SQLite compares 7 and '7' as different where a column has no type."""
        if self._id_kind == "text":
            return person_id
        if self._id_kind == "uuid":
            return uuid.UUID(person_id) if _UUID.fullmatch(person_id) else None
        return int(person_id) if re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", person_id) else None

    def _plain(self, row: Row) -> list[str]:
        """A row of the people query in words; the time of its change in one form for all records."""
        return [
            _moment(value) if name == "changed_at" else _written(value)
            for name, value in zip(self._columns, row, strict=True)
        ]

    def _person(self, row: Sequence[str]) -> PersonRow:
        cells = dict(zip(self._columns, row, strict=True))
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
        statement = text(self._mapping.people)
        columns = self._tried_columns("people", self._mapping.people, statement, {})
        _check_columns("people", columns, REQUIRED, OPTIONAL)
        if self._mapping.changed_at and "changed_at" not in columns:
            raise MappingInvalid(
                "The mapping calls changed_at reliable, but the people query does not yield it.",
                question="people",
                column="changed_at",
                cure="Name the right column with AS changed_at, or leave the line 'changed_at: reliable' out.",
            )
        return statement, columns

    def _try_ids(self) -> IdKind:
        within = self._within()
        try:
            kinds = self._source.kinds(select(within.c.id))
        except RecordsUnavailable as fault:
            raise self._explained("people", "", fault) from None
        if kinds - set(_ID_TYPES) or len(kinds) > 1:
            raise MappingInvalid(
                f"The id of the people query must be all whole numbers or all text; it is {listed(sorted(kinds))}.",
                question="people",
                column="id",
                cure="Write CAST(... AS TEXT) AS id (in MariaDB AS CHAR), and the same in every answer, or leave rows "
                "without an id out.",
            )
        return next((kind for kind in _ID_TYPES if kind in kinds), "text")

    def _try_answer(self, question: str) -> tuple[TextClause, tuple[str, ...], frozenset[str]]:
        sql = self._mapping.answers[question]
        binds = binds_of(sql, question, self._mapping.dialect)
        statement = self._statement(sql, binds)
        values = self._values(binds, [_NOBODY[self._id_kind]], LONG_AGO)
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

    def _statement(self, sql: str, binds: Collection[str]) -> TextClause:
        types = {
            "person_ids": _ID_TYPES[self._id_kind],
            "since": String() if self._mapping.dialect == "sqlite" else Date(),
        }
        return text(_BIND.sub(":person_ids", sql)).bindparams(
            *(bindparam(name, type_=types[name], expanding=name == "person_ids") for name in sorted(binds))
        )

    def _values(
        self, used: Collection[str], ids: Sequence[int | str | uuid.UUID], since: datetime.date
    ) -> dict[str, object]:
        # SQLite has no dates; they are compared as text.
        day = since.isoformat() if self._mapping.dialect == "sqlite" else since
        values: dict[str, object] = {"person_ids": list(ids), "since": day}
        return {name: value for name, value in values.items() if name in used}

    def _try_as_of(self) -> TextClause | None:
        sql = self._mapping.data_as_of
        if not sql:
            return None
        statement = text(sql)
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
            return self._source.rows(statement, binds or {}, limit, LONG_S)
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
        if told == DENIED:
            return MappingInvalid(
                f"{where} reads what the node's account may not read, or what is not there.",
                question=question,
                cure=f"Check the names, and GRANT SELECT on them to the account. It may read: {listed(tables)}.",
            )
        called = re.search(r"no such function: (\S+)", told)
        if called:
            return MappingInvalid(
                f"{where} calls {quoted(called[1])}, which the database does not have for values of these kinds.",
                question=question,
                cure="CAST them to what it works on, or use another function.",
            )
        table = re.search(r"no such table: (\S+)", told)
        if table:
            return MappingInvalid(
                f"{where} reads a table {quoted(table[1])} that the database does not have.",
                question=question,
                cure=f"Tables there: {listed(tables)}.{nearest(table[1], tables)}",
            )
        absent = re.search(r"no such column: (\S+)", told)
        if absent:
            name = absent[1].split(".")[-1].rstrip(".,")
            used = [known for known in tables if known.lower() in selects.tables(sql, self._mapping.dialect)] or list(
                tables
            )
            there = [known for one in used for known in tables[one]]
            which = "the table " + quoted(used[0]) + " does" if len(used) == 1 else "its tables do"
            return MappingInvalid(
                f"{where} names a column {quoted(name)} that {which} not have.",
                question=question,
                column=name,
                cure=f"Columns there: {listed(there)}.{nearest(name, there)}",
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
    try:
        source = _open(mapping, path.parent, timeout_s)
    except RecordsUnavailable as fault:
        raise MappingInvalid(str(fault), question="source") from None
    return Records(mapping, source)


def _open(mapping: MappingFile, folder: Path, timeout_s: float) -> Source:
    source = mapping.source
    match source:
        case SqliteFile():
            return SqliteSource(folder / source.database_file, timeout_s)
        case CsvFolder():
            return TableSource(CsvReader(folder / source.folder, source.tables), timeout_s)
        case OfficeList():
            return TableSource(ListReader(folder / source.file, source.tables, folder), timeout_s)
        case Spreadsheet():
            return TableSource(XlsxReader(folder / source.file, source.tables, folder), timeout_s)
        case Server():
            return open_server(source.kind, folder / source.url_file, timeout_s)


def _check_columns(question: str, columns: Sequence[str], required: Sequence[str], optional: Sequence[str]) -> None:
    known = (*required, *optional)
    where = "The people query" if question == "people" else f"The query for {question}"
    for name in columns:
        if name not in known:
            raise MappingInvalid(
                f"{where} yields a column {quoted(name)} that is not known.",
                question=question,
                column=name,
                cure=f"Known: {listed(known)}. Name columns with AS.{nearest(name, known)}",
            )
        if list(columns).count(name) > 1:
            raise MappingInvalid(
                f"{where} yields {quoted(name)} twice.", question=question, column=name, cure="Leave one out."
            )
    for name in required:
        if name not in columns:
            raise MappingInvalid(
                f"{where} does not yield {quoted(name)}.",
                question=question,
                column=name,
                cure=f"Name the right column with AS {name}. Yielded: {listed(columns)}.",
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
        day = read_date(value.strip())
        if day is None:
            return None
        moment = datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.UTC)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return int(moment.timestamp()) * 1_000_000_000


def _moment(value: object) -> str:
    """A time in one form, whose order as text is that of time; "" for what is no time."""
    read = _instant(value)
    if read is None:
        return ""
    moment = datetime.datetime.fromtimestamp(read // 1_000_000_000, datetime.UTC)
    return moment.replace(tzinfo=None).isoformat() + "Z"


def _written(value: object) -> str:
    if value is None or isinstance(value, bytes):
        return ""
    return str(value).strip()
