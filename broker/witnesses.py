"""Ask the witnesses before anything is signed: does one of them hold a head that this ledger does not contain?

    start -> shut -> nodes attach, each with the newest head it countersigned -> most of them heard, or SECONDS -> open
    a head outside this ledger, signed by this ledger's own key               -> shut until the right copy is put back

A ledger that was put back from an old copy would otherwise go on from there, and sign a second history over what nodes,
askers and auditors already hold proofs of (T-AUD-8). The broker cannot know that by itself; its own signature on a head
that it does not have is proof. Without one a node's word counts for nothing: it could stop the broker for everybody.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Final

from accord import checkpoint as notes
from accord.checkpoint import BadCheckpoint
from accord.reasons import Problem
from broker.events import Event, log

SECONDS: Final = 6.0
"""Longest wait for the witnesses at the start: a node that lost its stream dials again within five seconds. Those that
stay away cannot be asked anything either, and whoever comes later is heard as well."""


class LedgerOlder(Problem):
    """A witness holds a head of this ledger that is not in it: an old copy was put back, or history was rewritten."""

    reason = "CHECKPOINT_OLDER"


class Witnesses:
    """What the nodes say of this ledger's heads."""

    def __init__(
        self,
        origin: str,
        public: bytes,
        contradicts: Callable[[int, bytes], bool],
        refuse: Callable[[Problem | None], None],
        expected: Collection[str],
    ) -> None:
        """Shut the ledger until those are heard who countersigned it before; a new one has nobody to wait for.

        Args:
            origin: Name of the ledger.
            public: Its key, 32 bytes.
            contradicts: Whether a head of this size and root is not a part of the ledger.
            refuse: Has the ledger refuse to write, for a reason; None lets it write again.
            expected: The agencies that countersigned lately.
        """
        self._origin = origin
        self._public = public
        self._contradicts = contradicts
        self._refuse = refuse
        self._waiting = set(expected)
        self._enough = len(expected) // 2
        self._heard = asyncio.Event()
        self._found: LedgerOlder | None = None
        if self._waiting:
            refuse(LedgerOlder("the witnesses have not been heard yet"))

    def heard(self, agency: str, size: int, root: bytes, note: str) -> None:
        """Take the head that a node holds.

        Args:
            agency: Whose node it is.
            size: Size of the head; 0 where it has seen none.
            root: Its root.
            note: The signed note of it, as the node received it.
        """
        if size and self._contradicts(size, root):
            try:
                seen = notes.open_note(note, self._origin, self._public)
            except BadCheckpoint as problem:
                log.warning(Event.WITNESS_ALARM, node=agency, reason=problem.reason)
            else:
                if (seen.size, seen.root) == (size, root):
                    log.error(Event.WITNESS_ALARM, node=agency, reason=LedgerOlder.reason, size=size)
                    self._found = LedgerOlder(f"{agency} holds a signed head of {size} entries that is not in it")
                    self._refuse(self._found)
        self._waiting.discard(agency)
        if len(self._waiting) <= self._enough or self._found is not None:
            self._heard.set()

    async def asked(self, seconds: float = SECONDS) -> None:
        """Wait until more than half of them were heard, or the time is over; then let the ledger write.

        Raises:
            LedgerOlder: One of them proved that this is not the ledger it was.
        """
        if self._waiting:
            try:
                async with asyncio.timeout(seconds):
                    await self._heard.wait()
            except TimeoutError:
                log.warning(Event.WITNESS_ALARM, reason="NODE_UNREACHABLE")
        if self._found is not None:
            raise self._found
        self._refuse(None)
