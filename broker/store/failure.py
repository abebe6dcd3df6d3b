"""What is raised when the broker's own database cannot be used."""

from typing import ClassVar

from accord.reasons import REASONS, Problem


class StoreUnusable(Problem):
    """The database cannot be opened, is open in another process, or would not keep what it acknowledged.

    Attributes:
        cure: What to do about it.
    """

    reason: ClassVar[str] = "STATE_UNUSABLE"

    def __init__(self, message: str, cure: str = "") -> None:
        """Say what is wrong, and the cure where it is a special one."""
        self.cure = cure or REASONS[self.reason].cure
        super().__init__(message)
