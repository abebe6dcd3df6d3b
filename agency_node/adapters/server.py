"""Read an agency's database on a server without ever being able to change it: what all kinds of server share.

    words checked (`selects`) -> pooled connection -> read-only transaction with a time limit -> rows

* Only SQL that `selects` lets through reaches the server, and there only inside a transaction that may read.
* The read-only mark and the time limit are set anew for every statement, whatever the connection did before.
* The server stops a slow statement; a watch here cuts the connection when the server itself says nothing any more.
* What a driver says of an error may quote a value. It is turned into one of our causes and never passed on.
* The address and password stand in a file that only the node's account can read, and nowhere else.
"""

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy import (
    URL,
    CursorResult,
    Executable,
    LargeBinary,
    Select,
    TextClause,
    cast,
    create_engine,
    func,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool
from sqlalchemy.sql import visitors

from agency_node import keys
from agency_node.adapters import OwnDatabase, RecordsUnavailable, Row, selects
from agency_node.adapters.sqlite import LONG_S, PORTION, QUERY_TIMEOUT_S

CONNECT_TIMEOUT_S: Final = 5
"""How long connecting may take, in seconds."""
_POOLED: Final = 2
"""Connections kept open: one question is looked up at a time, and an index may be built beside it."""
_RECYCLE_S: Final = 1_800
"""A connection older than this is replaced, in seconds; firewalls forget idle ones after an hour or so."""
_GRACE_S: Final = 1.0
"""How much longer than the server's own limit we wait before cutting the connection, in seconds."""
_TRIAL_S: Final = 0.2
"""Time limit of the endless statement with which `stops_slow` tries the server, in seconds."""

DENIED: Final = "no right to read"
"""What is told when the account may not read what a query names."""

_LOOPBACK: Final = re.compile(r"localhost|127(\.\d{1,3}){3}|::1", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, and as whom we come. Never shown: a password is in it.

    Attributes:
        host: Name or number; "" for a socket on this machine.
        options: Other parts of the address, of a closed list.
    """

    host: str
    port: int | None
    user: str
    password: str = field(repr=False)
    database: str
    options: Mapping[str, str]


class Driver(Protocol):
    """What is different from server to server."""

    @property
    def dialect(self) -> selects.Dialect:
        """How its SQL is read."""

    @property
    def engine(self) -> str:
        """What SQLAlchemy calls it."""

    @property
    def options(self) -> frozenset[str]:
        """What its address may say beside host, port, account and database."""

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What its connections raise."""

    @property
    def merges(self) -> bool:
        """Whether texts that differ only in capital letters or accents may be one to it."""

    @property
    def tells_who_writes(self) -> str:
        """A SELECT of one number: how many rights to change something the account has."""

    @property
    def endless(self) -> str:
        """A SELECT that takes long and changes nothing."""

    @property
    def tells_tables(self) -> str:
        """A SELECT of table and column, in order."""

    @property
    def tells_lag(self) -> str:
        """A SELECT of the time up to which a copy has followed its original, in seconds since 1970; NULL for none."""

    def encrypted(self, address: Address) -> bool:
        """Whether the address demands TLS with the server's certificate checked."""

    def connect(self, address: Address) -> Any:
        """A new connection, read-only by default."""

    def begin(self, connection: Any, timeout_s: float) -> None:
        """Start a transaction that may only read, each statement in it limited to so many seconds."""

    def write(self, connection: Any) -> None:
        """Try a write that harms nothing if it succeeds."""

    def cut(self, connection: Any) -> int:
        """A number of the connection's socket, of which the caller must dispose."""

    def doubtful(self, connection: Any) -> bool:
        """Whether the last statement had to compare values of different kinds by guessing."""

    def told(self, error: BaseException) -> RecordsUnavailable:
        """An error as one of our causes, without any value."""

    def kind(self, code: Any) -> str:
        """A column's type: `integer`, `text`, `uuid`, or its own name for another."""

    def plain(self, value: Any) -> object:
        """A cell as None, int, float, str or bytes."""


def read_address(path: Path, driver: Driver, drivernames: Collection[str]) -> Address:
    """Read where the server is from a file that only this user can read.

    Args:
        path: One line, as `postgresql://node:password@db.example/records?sslmode=verify-full`.
        driver: The kind of server.
        drivernames: What may stand before `://`.

    Raises:
        RecordsUnavailable: The file or the address cannot be used; the message never shows it.
    """
    try:
        written = keys.read_private(path).decode("ascii").strip()
        url = make_url(written)
    except keys.BadFile as fault:
        raise RecordsUnavailable("files", f"The file of url_file cannot be used: {fault}.") from None
    except (UnicodeDecodeError, ArgumentError, ValueError):
        raise RecordsUnavailable(
            "files", f"What stands in the file of url_file is no address. {_form(drivernames)}"
        ) from None
    address = _address(url, driver, drivernames)
    if address.host and not _LOOPBACK.fullmatch(address.host) and not driver.encrypted(address):
        raise RecordsUnavailable(
            "files",
            "The address in the file of url_file leads to another machine without TLS. Add the options that demand the "
            "server's certificate, as agency_node/adapters/README.md says.",
        )
    return address


def _address(url: URL, driver: Driver, drivernames: Collection[str]) -> Address:
    if url.drivername not in drivernames or not url.database:
        raise RecordsUnavailable(
            "files", f"The address in the file of url_file is of another kind. {_form(drivernames)}"
        )
    unknown = sorted(set(url.query) - driver.options)
    if not str(url.query.get("host", "/")).startswith("/"):
        raise RecordsUnavailable(
            "files", "In the address in the file of url_file, the option 'host' may only name the folder of a socket."
        )
    if unknown or any(not isinstance(value, str) for value in url.query.values()):
        # Options could switch the guards off again.
        raise RecordsUnavailable(
            "files",
            "The address in the file of url_file has an option that is not known, or has one twice. "
            f"Known: {', '.join(sorted(driver.options))}.",
        )
    return Address(
        host=url.host or "",
        port=url.port,
        user=url.username or "",
        password=url.password or "",
        database=url.database,
        options={name: str(value) for name, value in url.query.items()},
    )


def _form(drivernames: Collection[str]) -> str:
    return f"Write one line: {min(drivernames, key=len)}://account:password@host:port/database?options."


class ServerSource(OwnDatabase):
    """A database on a server, read through a few pooled connections."""

    def __init__(
        self,
        driver: Driver,
        address: Address,
        timeout_s: float = QUERY_TIMEOUT_S,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Remember where it is; the first statement connects.

        Args:
            driver: The kind of server.
            address: Where it is.
            timeout_s: Longest time for one statement, in seconds.
            now_ns: The clock of this machine, nanoseconds since 1970.
        """
        self._driver = driver
        self._timeout_s = timeout_s
        self._now_ns = now_ns
        self._engine = create_engine(
            driver.engine,
            creator=lambda: driver.connect(address),
            poolclass=QueuePool,
            pool_size=_POOLED,
            max_overflow=_POOLED,
            pool_timeout=CONNECT_TIMEOUT_S,
            pool_recycle=_RECYCLE_S,
            isolation_level="AUTOCOMMIT",
        )

    @property
    def dialect(self) -> selects.Dialect:
        """How its SQL is read."""
        return self._driver.dialect

    def rows(
        self,
        statement: Executable,
        binds: Mapping[str, object],
        limit: int | None = None,
        timeout_s: float | None = None,
    ) -> list[Row]:
        """Run one reading statement.

        Raises:
            RecordsUnavailable: Refused, too slow, not understood, or the server cannot be reached.
        """
        with self._run(statement, binds, timeout_s) as (result, raw):
            rows = result.fetchall() if limit is None else result.fetchmany(limit)
            if self._driver.doubtful(raw):
                raise RecordsUnavailable("query", "it compares values of different kinds; use CAST on one of them")
            return [self._row(row) for row in rows]

    def stream(
        self, statement: Executable, binds: Mapping[str, object], timeout_s: float | None = None
    ) -> Iterator[list[Row]]:
        """Run one reading statement and fetch its rows in portions, within one transaction.

        Raises:
            RecordsUnavailable: Refused, too slow, not understood, or the server cannot be reached.
        """
        with self._run(statement, binds, timeout_s, portions=True) as (result, _):
            for portion in result.partitions(PORTION):
                yield [self._row(row) for row in portion]

    def columns(self, statement: Executable, binds: Mapping[str, object]) -> tuple[str, ...]:
        """Names of the columns that a statement yields.

        Raises:
            RecordsUnavailable: Refused, too slow, not understood, or the server cannot be reached.
        """
        with self._run(statement, binds, None, portions=True) as (result, _):
            return tuple(result.keys())

    def kinds(self, statement: Select[Any]) -> frozenset[str]:
        """Of which kind the values of a statement's one column are, as the server declares it.

        Raises:
            RecordsUnavailable: Refused, too slow, not understood, or the server cannot be reached.
        """
        with self._run(statement.limit(0), {}, None) as (result, _):
            kinds = frozenset(self._driver.kind(column[1]) for column in result.cursor.description)
        if "text" in kinds and self._driver.merges:
            (value,) = statement.subquery("accord_values").c
            exact = func.count(func.distinct(cast(value, LargeBinary)))
            ((same,),) = self.rows(select(func.count(func.distinct(value)) == exact), {}, None, LONG_S)
            return kinds if same else frozenset({"text that differs only in capital letters or accents"})
        return kinds

    def tables(self) -> Mapping[str, tuple[str, ...]]:
        """Tables and views that the account may read, with their columns.

        Raises:
            RecordsUnavailable: The server cannot be reached.
        """
        found: dict[str, list[str]] = {}
        for table, name in self._own(self._driver.tells_tables):
            found.setdefault(str(table), []).append(str(name))
        return {table: tuple(names) for table, names in found.items()}

    def changed_ns(self) -> int:
        """How old the records are: now, unless the server is a copy that says how far it has followed.

        Raises:
            RecordsUnavailable: The server cannot be reached.
        """
        ((followed,),) = self._own(self._driver.tells_lag)
        return int(followed * 1_000_000_000) if isinstance(followed, int | float) else self._now_ns()

    def refuses_writes(self) -> bool:
        """Whether an attempt to write is refused.

        Raises:
            RecordsUnavailable: The server cannot be reached.
        """
        with self._begun(self._timeout_s) as raw:
            try:
                self._driver.write(raw)
            except self._driver.failures as error:
                return self._driver.told(error).cause != "open"
            return False

    def stops_slow(self) -> bool:
        """Whether a statement that takes too long is stopped.

        Raises:
            RecordsUnavailable: The server cannot be reached.
        """
        try:
            self._own(self._driver.endless, _TRIAL_S)
        except RecordsUnavailable as fault:
            if fault.cause != "slow":
                raise
            return True
        return False

    def account_may_write(self) -> bool:
        """Whether the account has rights to change anything, so that only our own guards stand before it.

        Raises:
            RecordsUnavailable: The server cannot be reached.
        """
        return any(row[0] for row in self._own(self._driver.tells_who_writes))

    def close(self) -> None:
        """Hang up."""
        self._engine.dispose()

    def _row(self, row: Any) -> Row:
        return tuple(self._driver.plain(value) for value in row)

    def _own(self, sql: str, timeout_s: float | None = None) -> list[Row]:
        """Run a statement of this module's own, whose words need no check."""
        with self._begun(self._timeout_s if timeout_s is None else timeout_s) as raw:
            try:
                with contextlib.closing(raw.cursor()) as cursor:
                    cursor.execute(sql)
                    return [self._row(row) for row in cursor.fetchall()]
            except self._driver.failures as error:
                raise self._driver.told(error) from None

    @contextlib.contextmanager
    def _begun(self, timeout_s: float) -> Iterator[Any]:
        with self._checked_out(timeout_s) as connection:
            yield connection.connection.driver_connection

    @contextlib.contextmanager
    def _run(
        self, statement: Executable, binds: Mapping[str, object], timeout_s: float | None, *, portions: bool = False
    ) -> Iterator[tuple[CursorResult[Any], Any]]:
        self._check(statement)
        options: dict[str, Any] = {"yield_per": PORTION} if portions else {}
        try:
            with self._checked_out(self._timeout_s if timeout_s is None else timeout_s) as connection:
                result = connection.execution_options(**options).execute(statement, dict(binds))
                with contextlib.closing(result):
                    yield result, connection.connection.driver_connection
        except DBAPIError as error:
            raise self._driver.told(error.orig or error) from None
        except self._driver.failures as error:
            raise self._driver.told(error) from None
        except (SQLAlchemyError, ValueError, OverflowError):
            raise RecordsUnavailable("query", "the database could not run it") from None

    @contextlib.contextmanager
    def _checked_out(self, timeout_s: float) -> Iterator[Any]:
        """A connection inside a fresh read-only transaction; one that broke while it lay in the pool is replaced."""
        connection, watch = self._connected(timeout_s)
        try:
            yield connection
        except RecordsUnavailable as fault:
            if fault.cause == "open":
                connection.invalidate()
            raise
        except Exception as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            if isinstance(cause, self._driver.failures) and self._driver.told(cause).cause == "open":
                connection.invalidate()
            if watch.cut:
                raise RecordsUnavailable("slow", "The database server did not answer in time.") from None
            raise
        finally:
            watch.stop()
            with contextlib.suppress(SQLAlchemyError, *self._driver.failures):
                connection.close()

    def _connected(self, timeout_s: float) -> tuple[Any, "_Watch"]:
        for last in (False, True):
            try:
                connection = self._engine.connect()
            except PoolTimeout:
                raise RecordsUnavailable("open", "All connections to the database server are in use.") from None
            except DBAPIError as error:
                raise self._driver.told(error.orig or error) from None
            except self._driver.failures as error:
                raise self._driver.told(error) from None
            raw = connection.connection.driver_connection
            watch = _Watch(self._driver.cut(raw), timeout_s + _GRACE_S)
            try:
                self._driver.begin(raw, timeout_s)
            except self._driver.failures as error:
                watch.stop()
                connection.invalidate()
                connection.close()
                if last or watch.cut:
                    raise self._driver.told(error) from None
                continue
            return connection, watch
        raise RecordsUnavailable("open", "The database server cannot be reached.")

    def _check(self, statement: Executable) -> None:
        """Refuse words that `selects` would not let through, wherever in the statement they stand.

        Raises:
            RecordsUnavailable: Not one harmless SELECT.
        """
        if not isinstance(statement, TextClause | Select):
            raise RecordsUnavailable("refused", "it is not one SELECT")
        for part in visitors.iterate(statement):
            if isinstance(part, TextClause):
                fault = selects.fault(part.text, self._driver.dialect)
                if fault is not None:
                    raise RecordsUnavailable("refused", f"it {fault.told}")


class _Watch:
    """Cuts a connection whose server does not even say that it stopped a statement."""

    def __init__(self, number: int, after_s: float) -> None:
        self._socket = socket.socket(fileno=number)
        self.cut = False
        self._timer = threading.Timer(after_s, self._now)
        self._timer.daemon = True
        self._timer.start()

    def _now(self) -> None:
        self.cut = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        self._timer.cancel()
        self._socket.close()
