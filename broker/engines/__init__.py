"""Policy engines: one file each, all behind the same small interface.

An engine either gives a decision or raises. Whatever it raises, and whatever it
gives that is not a decision, is a refusal to whoever asked: nothing is allowed
because an engine failed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from accord.reasons import Problem

SERVER: Final = r"http://(?:127(?:\.\d{1,3}){3}|localhost|\[::1\]):[1-9]\d{0,4}|unix:///[A-Za-z0-9_./-]{1,100}"
"""Where an engine that is a server may be: on this machine, by port or by socket, so that nobody listens between."""


class PolicyUnavailable(Problem):
    """The engine is gone, overloaded, or gave no word that counts."""

    reason = "POLICY_UNAVAILABLE"


class PolicyLate(PolicyUnavailable):
    """The engine did not answer in time."""

    reason = "POLICY_LATE"


class PolicyOtherRevision(PolicyUnavailable):
    """The engine answered for other rules than those in force here."""

    reason = "POLICY_OTHER_REVISION"


class PolicyUndefined(Problem):
    """The rules gave no decision."""

    reason = "POLICY_UNDEFINED"


class PolicyError(Problem):
    """The rules or the engine failed, or what came out is no decision.

    Attributes:
        code: The engine's own word for it, such as `status_500`; empty when it has none.
    """

    reason = "POLICY_ERROR"

    def __init__(self, message: str, code: str = "") -> None:
        """Say what failed."""
        self.code = code
        super().__init__(message)


class PolicyUnreadable(PolicyError):
    """What came back from the engine cannot be read."""

    reason = "POLICY_UNREADABLE"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an engine says.

    Attributes:
        result: The decision document, not yet checked for its form.
        revision: Revision of the bundle that it was made under.
        engine: Name and version of the engine.
        elapsed_us: Time it took, microseconds.
        decision_id: The engine's own number for it; empty when it gives none.
    """

    result: Mapping[str, Any]
    revision: str
    engine: str
    elapsed_us: int
    decision_id: str = ""


class Engine(Protocol):
    """Evaluates one bundle."""

    async def decide(self, entrypoint: str, document: bytes) -> Evaluation:
        """Evaluate `data.<entrypoint>` over one input document.

        Raises:
            PolicyUnavailable: Too slow, too busy, gone, or with other rules.
            PolicyUndefined: There is no decision.
            PolicyError: It failed.
        """

    def close(self) -> None:
        """Stop; every later decision is refused."""
