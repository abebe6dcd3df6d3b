"""Policy engines: one file each, all behind the same small interface.

An engine either gives a decision or raises. Whatever it raises, and whatever it
gives that is not a decision, is a refusal to whoever asked: nothing is allowed
because an engine failed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from accord.reasons import Problem


class PolicyUnavailable(Problem):
    """The engine did not answer in time, is overloaded, or answered for other rules."""

    reason = "POLICY_UNAVAILABLE"


class PolicyUndefined(Problem):
    """The rules gave no decision."""

    reason = "POLICY_UNDEFINED"


class PolicyError(Problem):
    """The rules or the engine failed, or what came out is no decision."""

    reason = "POLICY_ERROR"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an engine says.

    Attributes:
        result: The decision document, not yet checked for its form.
        revision: Revision of the bundle that it was made under.
        engine: Name and version of the engine.
        elapsed_us: Time it took, microseconds.
    """

    result: Mapping[str, Any]
    revision: str
    engine: str
    elapsed_us: int


class Engine(Protocol):
    """Evaluates one bundle."""

    async def decide(self, entrypoint: str, document: bytes) -> Evaluation:
        """Evaluate `data.<entrypoint>` over one input document.

        Raises:
            PolicyUnavailable: Too slow, too busy, or gone.
            PolicyUndefined: There is no decision.
            PolicyError: It failed.
        """

    def close(self) -> None:
        """Stop; every later decision is refused."""
