"""How a node reads its agency's records: one file per kind of database, each strictly read-only.

Every adapter refuses writes more than once (how a file or connection is opened, what the database is told, and a check
of each operation before it runs) and stops a query that takes too long. No adapter keeps a row after handing it over.
"""

from collections.abc import Collection, Mapping
from typing import ClassVar

from accord.reasons import Problem

Row = tuple[object, ...]
"""Cells as plain values: None, int, float, str or bytes; a date is text in ISO 8601."""


class RecordsUnavailable(Problem):
    """The agency's records could not be read now; nothing may be concluded from that.

    Attributes:
        cause: `open` (the file cannot be opened or is no database), `slow` (stopped after its time), `refused` (the
            guard refused an operation), `query` (the database refused the statement), `files` (a CSV drop or a
            spreadsheet is unsound).
    """

    reason: ClassVar[str] = "RECORDS_UNAVAILABLE"

    def __init__(self, cause: str, message: str) -> None:
        """Keep the cause beside the message for the operator; neither holds a value from a record."""
        super().__init__(message)
        self.cause = cause


class OwnDatabase:
    """What is true of a database that the agency keeps itself: nothing in it was read and mended on the way."""

    def doubtful(self, _person_ids: Collection[str]) -> bool:
        """Whether rows of these people were only partly understood."""
        return False

    def unreadable(self) -> Mapping[str, int]:
        """Values that could not be read, by `table.column`."""
        return {}

    def noted(self) -> Mapping[str, int]:
        """Values mended on the way in."""
        return {}
