"""MariaDB and MySQL through PyMySQL (https://pymysql.readthedocs.io/), read-only.

* `tx_read_only`, and `START TRANSACTION READ ONLY` for every statement
  (https://mariadb.com/kb/en/start-transaction/); MySQL calls the variable `transaction_read_only`.
* `max_statement_time` in seconds (https://mariadb.com/kb/en/server-system-variables/#max_statement_time); MySQL has
  `max_execution_time` in milliseconds, for SELECT (https://dev.mysql.com/doc/refman/8.4/en/server-system-variables.html).
* Comparing a number with a text, MariaDB guesses ('7x' = 7 holds) and warns. A warning makes the answer unusable.
* Dates come as the server writes them, so that '0000-00-00' is one unreadable value. TIMESTAMP comes in UTC.
"""

import decimal
import os
import re
from dataclasses import dataclass
from typing import Any, Final

from agency_node.adapters import RecordsUnavailable
from agency_node.adapters.selects import Dialect
from agency_node.adapters.server import CONNECT_TIMEOUT_S, DENIED, Address

URLS: Final = frozenset({"mariadb", "mysql", "mariadb+pymysql", "mysql+pymysql"})
_INTEGERS: Final = frozenset({1, 2, 3, 8, 9})
_TEXTS: Final = frozenset({15, 253, 254, 252, 249, 250, 251})
_AS_WRITTEN: Final = (7, 10, 11, 12, 13, 14)
"""Column types by number (https://mariadb.com/kb/en/result-set-packets/#field-types)."""
_BIT: Final = 16
_SLOW: Final = frozenset({1969, 3024, 1317})
_DENIED: Final = frozenset({1044, 1142, 1143, 1227, 1370})
_REFUSED: Final = frozenset({1290, 1792, 1836})
_ACCOUNT: Final = frozenset({1045, 1698, 1049, 1130})
_SQL_MODE: Final = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
"""Neither ANSI_QUOTES nor NO_BACKSLASH_ESCAPES nor PIPES_AS_CONCAT: SQL is read here as it was checked."""


@dataclass(frozen=True, slots=True)
class MariaDb:
    """The kind of server; see `agency_node.adapters.server.Driver`."""

    dialect: Dialect = "mysql"
    engine: str = "mysql+pymysql://"
    merges: bool = True
    options: frozenset[str] = frozenset({"ssl_ca", "ssl_cert", "ssl_key", "unix_socket"})
    tells_who_writes: str = (
        "SELECT count(*) FROM ("
        "SELECT privilege_type FROM information_schema.user_privileges "
        "UNION ALL SELECT privilege_type FROM information_schema.schema_privileges "
        "UNION ALL SELECT privilege_type FROM information_schema.table_privileges) AS rights "
        "WHERE privilege_type NOT IN ('SELECT', 'USAGE', 'SHOW VIEW', 'SHOW DATABASES')"
    )
    endless: str = (
        "SELECT count(*) FROM information_schema.columns a, information_schema.columns b, information_schema.columns c"
    )
    tells_tables: str = (
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = database() ORDER BY table_name, ordinal_position"
    )
    tells_lag: str = "SELECT NULL"

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What its connections raise."""
        import pymysql

        return (pymysql.Error, OSError)

    def encrypted(self, address: Address) -> bool:
        """Whether the server's certificate is demanded and checked."""
        return "ssl_ca" in address.options or "unix_socket" in address.options

    def connect(self, address: Address) -> Any:
        """A new connection, read-only by default; each transaction says so once more."""
        import pymysql
        from pymysql import converters

        decoders = {key: value for key, value in converters.conversions.items() if key not in _AS_WRITTEN}
        decoders[_BIT] = lambda data: int.from_bytes(data, "big")
        options = address.options
        connection: Any = pymysql.connect(
            host=address.host or "localhost",
            port=address.port or 3306,
            user=address.user,
            password=address.password,
            database=address.database,
            unix_socket=options.get("unix_socket"),
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT_S,
            # Until the session is set; afterwards the watch of `server` cuts what takes too long.
            read_timeout=CONNECT_TIMEOUT_S,
            write_timeout=CONNECT_TIMEOUT_S,
            local_infile=False,
            conv=decoders,
            program_name="accord-node",
            ssl_ca=options.get("ssl_ca"),
            ssl_cert=options.get("ssl_cert"),
            ssl_key=options.get("ssl_key"),
            ssl_verify_cert="ssl_ca" in options or None,
            ssl_verify_identity="ssl_ca" in options or None,
        )
        with connection.cursor() as cursor:
            cursor.execute(f"SET SESSION sql_mode = '{_SQL_MODE}', time_zone = '+00:00', innodb_lock_wait_timeout = 1")
        connection._read_timeout = None
        return connection

    def begin(self, connection: Any, timeout_s: float) -> None:
        """Start a transaction that may only read, with its view of the records as of now."""
        if "MariaDB" in connection.get_server_info():
            limits = f"tx_read_only = 1, max_statement_time = {max(0.001, timeout_s):.3f}"
        else:
            limits = f"transaction_read_only = 1, max_execution_time = {max(1, int(timeout_s * 1_000))}"
        with connection.cursor() as cursor:
            cursor.execute(f"SET SESSION {limits}")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")

    def write(self, connection: Any) -> None:
        """Try to make a table. A read-only transaction refuses before any right is looked at."""
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE accord_doctor (tried integer)")
            cursor.execute("DROP TABLE accord_doctor")

    def cut(self, connection: Any) -> int:
        """A second number of its socket."""
        held: Any = connection._sock
        return os.dup(held.fileno())

    def doubtful(self, connection: Any) -> bool:
        """Whether the last statement drew a warning."""
        result: Any = connection._result
        return bool(result is not None and result.warning_count)

    def told(self, error: BaseException) -> RecordsUnavailable:
        """By number (https://mariadb.com/kb/en/mariadb-error-code-reference/)."""
        number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        text = str(error.args[1]) if len(error.args) > 1 else ""
        if number in _SLOW:
            return RecordsUnavailable("slow", "The query was stopped because it took too long.")
        if number in _DENIED:
            return RecordsUnavailable("query", DENIED)
        if number in _REFUSED:
            return RecordsUnavailable("refused", "the transaction may only read")
        if number in {1146, 1054, 1305, 1630}:
            return RecordsUnavailable("query", _named(number, text))
        if number in {1205, 1213}:
            return RecordsUnavailable("open", "The table is locked by another program.")
        if number in _ACCOUNT:
            return RecordsUnavailable(
                "open", "The database server does not accept the account or database of url_file."
            )
        if number == 0 or number in {1040, 1053, 1158, 1159, 1160, 1161, 1203, 1927} or 2000 <= number < 3000:
            return RecordsUnavailable("open", "The database server cannot be reached, or hung up.")
        return RecordsUnavailable("query", f"the server refused it with error {number}")

    def kind(self, code: Any) -> str:
        """By the number of its type."""
        return "integer" if code in _INTEGERS else "text" if code in _TEXTS else "something else"

    def plain(self, value: Any) -> object:
        """A cell as None, int, float, str or bytes."""
        match value:
            case bool():
                return int(value)
            case None | int() | float() | str() | bytes():
                return value
            case decimal.Decimal():
                return int(value) if value == value.to_integral_value() else float(value)
        return str(value)


def _named(number: int, text: str) -> str:
    """What is missing, by name. These messages name parts of the query and no value."""
    name = re.search(r"(?:Table|column|FUNCTION) '?([\w.$-]{1,130})'?", text, re.IGNORECASE)
    found = name[1].split(".")[-1] if name else ""
    what = {1146: "table", 1054: "column"}.get(number, "function")
    return f"no such {what}: {found}"
