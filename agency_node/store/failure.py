"""What is raised when the node's own state cannot be used."""

from typing import ClassVar

from accord.reasons import REASONS, Problem


class StateUnusable(Problem):
    """The node's own database cannot be opened, brought up to date, read or written.

    Attributes:
        cure: What to do about it.
    """

    reason: ClassVar[str] = "STATE_UNUSABLE"

    def __init__(self, message: str, cure: str = "") -> None:
        """Say what is wrong, and the cure where it is a special one."""
        self.cure = cure or REASONS[self.reason].cure
        super().__init__(message)
