"""What the witnesses countersign: checked and kept together, now and then, beside the questions and never before them.

    a node's line -> the newest of each agency, in memory -> every EVERY_S: checked, then written in one transaction

A countersignature gates nothing: no question and no answer waits for it, and of an agency's many only the newest says
something, since each head contains those before it. One that a crash loses is made up for by the agency's next.
"""

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection

from accord import checkpoint as notes
from accord.directory import Directory
from accord.reasons import Problem
from broker.events import Event, log
from broker.ledger import LedgerReading
from broker.sequencer import Batch, Sequencer
from broker.store import tree

EVERY_S: Final = 1.0
"""How often they are written, seconds: every question of every agency would else cost a transaction of its own."""
LINE_CHARS: Final = 512
"""Longest line that is kept: a name, and 76 bytes in base64 (https://c2sp.org/tlog-cosignature)."""


class Countersigned:
    """The newest countersignature of each agency."""

    def __init__(self, sequencer: Sequencer, reading: LedgerReading, directory: Callable[[], Directory]) -> None:
        """Start with none.

        Args:
            sequencer: Stores them.
            reading: Gives the notes that were published.
            directory: Gives the directory in force, with the witnesses' keys.
        """
        self._sequencer = sequencer
        self._reading = reading
        self._directory = directory
        self._newest: dict[str, tuple[int, str]] = {}

    def take(self, agency: str, size: int, line: str) -> bool:
        """Take a line; false when no head of that size was ever published, or no line is so long."""
        if size > self._reading.head.size or len(line) > LINE_CHARS:
            return False
        self._newest[agency] = size, line
        return True

    async def write(self) -> None:
        """Check what came since the last time, and store what holds.

        Raises:
            LedgerUnavailable: It could not be stored; the agencies' next ones will be.
        """
        newest, self._newest = self._newest, {}
        found = [one for agency, (size, line) in newest.items() if (one := self._checked(agency, size, line))]

        def write(connection: Connection, _: tuple[int, ...]) -> None:
            for witness, size, line, time_s in found:
                tree.cosign(connection, size=size, witness=witness, line=line, time_s=time_s)

        if found:
            await self._sequencer.append(Batch((), write=write))

    def _checked(self, agency: str, size: int, line: str) -> tuple[str, int, str, int] | None:
        note = self._reading.note(size)
        if note is None:
            return None
        directory = self._directory()
        witness = f"{directory.federation}/{agency}"
        try:
            time_s = notes.verify_cosignature(note, line, witness, directory.agency(agency).witness)
        except Problem as problem:
            log.warning(Event.WITNESS_ALARM, node=agency, reason=problem.reason)
            return None
        log.debug(Event.CHECKPOINT_COSIGNED, node=agency, size=size)
        return witness, size, line, time_s
