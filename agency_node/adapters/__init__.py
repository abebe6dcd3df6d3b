"""How a node reads its agency's records: one file per kind of database, each strictly read-only.

Every adapter refuses writes three times over (how the file is opened, a pragma, an authorizer that sees each
operation before it runs) and stops a query that takes too long. No adapter keeps a row after handing it over.
"""

from typing import ClassVar

from accord.reasons import Problem


class RecordsUnavailable(Problem):
    """The agency's records could not be read now; nothing may be concluded from that.

    Attributes:
        cause: `open` (the file cannot be opened or is no database), `slow` (stopped after its time), `refused` (the
            guard refused an operation), `query` (the database refused the statement), `files` (a CSV drop is unsound).
    """

    reason: ClassVar[str] = "RECORDS_UNAVAILABLE"

    def __init__(self, cause: str, message: str) -> None:
        """Keep the cause beside the message for the operator; neither holds a value from a record."""
        super().__init__(message)
        self.cause = cause
