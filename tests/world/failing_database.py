"""Databases that fail at the n-th call, with words in the failure that must not leave the machine.

    with failing_databases() as faults:           every engine opened inside, whoever opens it, is watched
        async with worlds.stack(...) as world:
            with faults.at(7, error, "broker"):   the seventh call on a file below a folder of that name fails
                ...

It sits where the driver is: a connection of SQLAlchemy's that is made while it is in force is one of these. Statements,
batches of them and commits are calls alike; preparing a new connection is not one.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event


@dataclass(slots=True)
class Faults:
    """Which call fails, and how many did.

    Attributes:
        forced: Failures so far.
        counted: Calls since `at` was entered.
    """

    forced: int = 0
    counted: int = 0
    _number: int = 0
    _make: Callable[[], Exception] | None = None
    _folder: str = ""

    @contextlib.contextmanager
    def at(self, number: int, make: Callable[[], Exception], folder: str) -> Iterator[None]:
        """Fail one call, counted from 1, on databases in a folder of this name; every folder where it is empty."""
        self.counted, self._number, self._make, self._folder = 0, number, make, folder
        try:
            yield
        finally:
            self._make = None

    def called(self, file: Path) -> None:
        """Count a call, and fail it if it is the one."""
        if self._make is None or (self._folder and self._folder not in file.parts):
            return
        self.counted += 1
        if self.counted == self._number:
            self.forced += 1
            raise self._make()


class _Cursor(sqlite3.Cursor):
    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        self.connection.called()  # type: ignore[attr-defined]  # only connections of this module make such cursors
        return super().execute(*arguments)

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        self.connection.called()  # type: ignore[attr-defined]  # as above
        return super().executemany(*arguments)


@contextlib.contextmanager
def failing_databases() -> Iterator[Faults]:
    """Watch every engine's connections that are made inside."""
    faults = Faults()

    class Connection(sqlite3.Connection):
        def __init__(self, database: Any, *arguments: Any, **more: Any) -> None:
            super().__init__(database, *arguments, **more)
            self.file = Path(str(database).removeprefix("file:").partition("?")[0])

        def called(self) -> None:
            faults.called(self.file)

        def cursor(self, factory: Any = _Cursor) -> Any:
            return super().cursor(factory)

        def commit(self) -> None:
            self.called()
            super().commit()

    def connect(_dialect: object, _record: object, _arguments: object, parameters: dict[str, Any]) -> None:
        parameters["factory"] = Connection

    event.listen(Engine, "do_connect", connect)
    try:
        yield faults
    finally:
        event.remove(Engine, "do_connect", connect)
