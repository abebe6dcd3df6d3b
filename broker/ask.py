"""Carry one question, from asked to released.

    Asked -> decide -> Permit | Refusal -> open entry -> Opened -> dispatch -> Answers
          -> compose -> Composed -> close entry -> Released

* No agency hears of a question before its ASKED and WARRANTED records are durable.
* No answer leaves before its RELEASED record is durable.
* A question that was asked before is decided again, then its stored answer is released again and recorded.
* A question on which there is no decision goes nowhere: it is recorded with the cause, and the asker is told.
* A question that fails after ASKED is durable becomes ABANDONED: it never stays open for want of a last record.

Failures are Problems and come from the parts; this file adds none.
"""

from collections.abc import Callable
from typing import Protocol

from broker.stages import Answers, Asked, Composed, Opened, Permit, Refusal, Released, Undecided

Heard = Callable[[int, int], None]
"""Called with how many agencies were asked and how many have been heard or given up on."""


class Policy(Protocol):
    """Decides a question for all its targets at once."""

    async def decide(self, asked: Asked) -> Permit | Refusal | Undecided:
        """One decision, by the one engine that settings name."""


class Nodes(Protocol):
    """Reaches the agencies' nodes."""

    async def dispatch(self, opened: Opened, heard: Heard) -> Answers:
        """Ask every permitted agency and wait for each no longer than its deadline."""


class Ledger(Protocol):
    """Makes records durable. Each method raises LedgerUnavailable when it could not."""

    async def stored(self, asked: Asked) -> Released | None:
        """The stored answer to the same statement by the same user, if there is one."""

    async def replay(self, decided: Permit | Refusal, stored: Released) -> Released:
        """Record REPLAYED, or refuse, after the same checks as a first release."""

    async def refuse(self, refusal: Refusal) -> Released:
        """Record ASKED and REFUSED."""

    async def undecided(self, undecided: Undecided) -> None:
        """Record ASKED and ABANDONED, with the cause."""

    async def open_entry(self, permit: Permit) -> Opened:
        """Record ASKED, DECIDED and WARRANTED."""

    async def close_entry(self, composed: Composed) -> Released:
        """Look at agreements and policy once more and record ANSWERED and RELEASED."""

    async def abandon(self, opened: Opened) -> None:
        """Record ABANDONED, unless the question has its terminal record."""


Compose = Callable[[Answers], Composed]


def nobody_listens(asked: int, heard: int) -> None:
    """The progress listener of a caller that wants only the answer."""


async def ask(
    asked: Asked, policy: Policy, ledger: Ledger, nodes: Nodes, compose: Compose, heard: Heard = nobody_listens
) -> Released:
    """Answer one question, or refuse it.

    Args:
        asked: A question whose token and statement were checked.
        policy: Who decides.
        ledger: Who makes records durable.
        nodes: Who reaches the agencies.
        compose: Who says what may be shown.
        heard: Told whenever an agency has been heard.

    Raises:
        LedgerUnavailable: An entry could not be made durable; nothing was released.
        QueryIdReused: The question number was used for another statement.
        Problem: There was no decision, for the reason it names; nothing was asked.
    """
    stored = await ledger.stored(asked)
    decided = await policy.decide(asked)
    if isinstance(decided, Undecided):
        if stored is None:
            await ledger.undecided(decided)
        raise decided.problem
    if stored is not None:
        return await ledger.replay(decided, stored)
    if isinstance(decided, Refusal):
        return await ledger.refuse(decided)
    opened = await ledger.open_entry(decided)
    try:
        answers = await nodes.dispatch(opened, heard)
        return await ledger.close_entry(compose(answers))
    except Exception:
        # With the ledger down this fails too; the next start then finds the question open and abandons it.
        await ledger.abandon(opened)
        raise
