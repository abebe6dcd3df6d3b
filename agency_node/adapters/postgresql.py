"""PostgreSQL through psycopg (https://www.psycopg.org/psycopg3/docs/), read-only.

* `default_transaction_read_only`, and `BEGIN READ ONLY` for every statement
  (https://www.postgresql.org/docs/current/sql-set-transaction.html): no insert, no table, no `nextval`, no `COPY`.
* `statement_timeout` for every transaction (https://www.postgresql.org/docs/current/runtime-config-client.html).
* Dates come as the server writes them in ISO form, so that 'infinity' or a year before Christ is one unreadable value
  and not the end of the reading. Times with a zone come in UTC.
"""

import decimal
import json
import os
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agency_node.adapters import RecordsUnavailable
from agency_node.adapters.selects import Dialect
from agency_node.adapters.server import CONNECT_TIMEOUT_S, DENIED, Address

if TYPE_CHECKING:
    import psycopg

URLS: Final = frozenset({"postgresql", "postgresql+psycopg"})
_KINDS: Final = {20: "integer", 21: "integer", 23: "integer", 25: "text", 1042: "text", 1043: "text", 2950: "uuid"}
"""Types by number (https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat)."""
_CHECKED: Final = frozenset({"verify-full", "verify-ca"})
_UTC: Final = re.compile(r"(\d\d:\d\d:\d\d(?:\.\d+)?)\+00\Z", re.ASCII)
_ACCOUNT: Final = re.compile("authentication failed|role .* does not exist|no pg_hba.conf entry|no password supplied")
_SESSION: Final = (
    "SET default_transaction_read_only = on; SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; "
    "SET standard_conforming_strings = on; SET lock_timeout = '1s'; SET bytea_output = 'hex'"
)


@dataclass(frozen=True, slots=True)
class PostgreSql:
    """The kind of server; see `agency_node.adapters.server.Driver`."""

    dialect: Dialect = "postgres"
    engine: str = "postgresql+psycopg://"
    merges: bool = False
    options: frozenset[str] = frozenset({"sslmode", "sslrootcert", "sslcert", "sslkey", "host"})
    tells_who_writes: str = (
        "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f') "
        "AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) "
        "AND has_table_privilege(oid, 'INSERT, UPDATE, DELETE, TRUNCATE')"
    )
    endless: str = "SELECT pg_sleep(5)"
    tells_tables: str = (
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY table_name, ordinal_position"
    )
    tells_lag: str = (
        "SELECT CASE WHEN pg_is_in_recovery() "
        "THEN extract(epoch FROM pg_last_xact_replay_timestamp())::double precision END"
    )

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What its connections raise."""
        import psycopg

        return (psycopg.Error, OSError)

    def encrypted(self, address: Address) -> bool:
        """Whether the server's certificate is demanded and checked."""
        return address.options.get("sslmode") in _CHECKED or "host" in address.options

    def connect(self, address: Address) -> "psycopg.Connection[Any]":
        """A new connection, read-only by default; each transaction says so once more."""
        import psycopg
        from psycopg.types.string import TextLoader

        where: dict[str, Any] = {"host": address.host or None, **address.options}
        connection = psycopg.connect(
            **where,
            port=address.port,
            user=address.user or None,
            password=address.password or None,
            dbname=address.database,
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name="accord-node",
            # Prepared statements do not survive poolers that hand connections round.
            prepare_threshold=None,
        )
        for name in ("date", "timestamp", "timestamptz", "time", "timetz", "interval"):
            connection.adapters.register_loader(name, TextLoader)
        connection.execute(_SESSION)
        return connection

    def begin(self, connection: "psycopg.Connection[Any]", timeout_s: float) -> None:
        """Start a transaction that may only read."""
        connection.execute(f"BEGIN READ ONLY; SET LOCAL statement_timeout = {max(1, int(timeout_s * 1_000))}".encode())

    def write(self, connection: "psycopg.Connection[Any]") -> None:
        """Try to make a table that nobody else could see, and that ends with the transaction."""
        connection.execute("CREATE TEMPORARY TABLE accord_doctor (tried integer) ON COMMIT DROP")

    def cut(self, connection: "psycopg.Connection[Any]") -> int:
        """A second number of its socket."""
        return os.dup(connection.fileno())

    def doubtful(self, _connection: "psycopg.Connection[Any]") -> bool:
        """PostgreSQL refuses to compare what is not of one kind."""
        return False

    def told(self, error: BaseException) -> RecordsUnavailable:
        """By SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html)."""
        state = getattr(error, "sqlstate", None) or ""
        text = str(getattr(getattr(error, "diag", None), "message_primary", None) or "")
        if state == "57014":
            return RecordsUnavailable("slow", "The query was stopped because it took too long.")
        if state == "42501":
            return RecordsUnavailable("query", DENIED)
        if state == "25006":
            return RecordsUnavailable("refused", "the transaction may only read")
        if state in {"42P01", "42703", "42883"}:
            return RecordsUnavailable("query", _named(state, text))
        if state == "55P03":
            return RecordsUnavailable("open", "The table is locked by another program.")
        if state[:2] == "28":
            return RecordsUnavailable("open", "The database server does not accept the account of url_file.")
        if state == "3D000":
            return RecordsUnavailable("open", "The database server has no database of the name in url_file.")
        if not state and _ACCOUNT.search(str(error)):
            # While connecting there is no SQLSTATE, only words.
            return RecordsUnavailable("open", "The database server does not accept the account of url_file.")
        if not state or state[:2] in {"08", "53", "57", "58"}:
            return RecordsUnavailable("open", "The database server cannot be reached, or hung up.")
        return RecordsUnavailable("query", f"the server refused it with SQLSTATE {state[:5]}")

    def kind(self, code: Any) -> str:
        """By the number of its type."""
        return _KINDS.get(code, "something else")

    def plain(self, value: Any) -> object:
        """A cell as None, int, float, str or bytes."""
        match value:
            case bool():
                return int(value)
            case str():
                return _UTC.sub(r"\1Z", value) if value.endswith("+00") else value
            case None | int() | float() | bytes():
                return value
            case decimal.Decimal():
                return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)
            case uuid.UUID():
                return str(value)
            case list():
                return ";".join(str(self.plain(part)) for part in value if part is not None)
            case dict():
                return json.dumps(value)
        return str(value)


def _named(state: str, text: str) -> str:
    """What is missing, by name. These three messages name parts of the query and no value."""
    name = re.search(r'"([^"]{1,64})"|column ([\w.]{1,64}) does not|function ([\w.]{1,64})\(', text)
    found = next((part for part in name.groups() if part), "") if name else ""
    if state == "42P01":
        return f"no such table: {found}"
    if state == "42703":
        return f"no such column: {found}"
    if found:
        return f"no such function: {found}"
    return "it compares values of different kinds; use CAST on one of them"
