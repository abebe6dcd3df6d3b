"""The ledger stays shut until its witnesses are heard, and for good once one of them proves that it is an old copy."""

import asyncio
from dataclasses import dataclass, field

import pytest

from accord import checkpoint as notes
from accord.checkpoint import Checkpoint
from accord.reasons import Problem
from broker.witnesses import LedgerOlder, Witnesses
from tests.world.ledger import ASKING_KEY, LEDGER_KEY, LEDGER_PUBLIC, ORIGIN

SIZE = 40
ROOT = b"r" * 32


@dataclass(slots=True)
class Ledger:
    """A ledger of SIZE entries, and whether it may be written."""

    refused: list[Problem | None] = field(default_factory=list)

    def contradicts(self, size: int, root: bytes) -> bool:
        return size > SIZE or (size == SIZE and root != ROOT)

    @property
    def shut(self) -> bool:
        return bool(self.refused) and self.refused[-1] is not None

    def witnesses(self, *expected: str) -> Witnesses:
        return Witnesses(ORIGIN, LEDGER_PUBLIC, self.contradicts, self.refused.append, expected)


def note(size: int, root: bytes) -> str:
    return notes.sign(Checkpoint(ORIGIN, size, root), LEDGER_KEY)


def test_a_new_ledger_has_nobody_to_wait_for() -> None:
    """The control: without witnesses it is open at once."""
    ledger = Ledger()
    witnesses = ledger.witnesses()

    asyncio.run(witnesses.asked(0.0))

    assert not ledger.shut


def test_it_opens_when_more_than_half_were_heard() -> None:
    """T-AUD-8: one witness could be as old as the copy."""
    ledger = Ledger()
    witnesses = ledger.witnesses("housing", "police", "school")

    async def hear() -> list[bool]:
        asking = asyncio.create_task(witnesses.asked(5.0))
        shut = []
        for agency in ("housing", "police"):
            witnesses.heard(agency, SIZE, ROOT, note(SIZE, ROOT))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            shut.append(asking.done())
        await asking
        return shut

    before = ledger.shut or ledger.refused[-1] is not None

    assert (True, [False, True], False) == (before, asyncio.run(hear()), ledger.shut)


def test_it_opens_when_the_witnesses_stay_away() -> None:
    """T-AUD-8: agencies that are all down must not keep a family from withdrawing its agreement."""
    ledger = Ledger()

    asyncio.run(ledger.witnesses("housing", "police").asked(0.01))

    assert not ledger.shut


@pytest.mark.parametrize(("size", "root"), [(SIZE + 3, b"x" * 32), (SIZE, b"x" * 32)], ids=["older", "rewritten"])
@pytest.mark.parametrize("late", [False, True], ids=["at the start", "later"])
def test_its_own_signature_on_what_it_does_not_have_shuts_it_for_good(size: int, root: bytes, late: bool) -> None:
    """T-AUD-8: whenever the first witness comes who holds a head from after the copy."""
    ledger = Ledger()
    witnesses = ledger.witnesses("police")

    async def hear() -> None:
        if late:
            await witnesses.asked(0.01)
        witnesses.heard("police", size, root, note(size, root))
        if not late:
            with pytest.raises(LedgerOlder):
                await witnesses.asked(0.01)

    asyncio.run(hear())

    assert ledger.shut


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "nonsense",
        notes.sign(Checkpoint(ORIGIN, SIZE + 3, b"x" * 32), ASKING_KEY),
        note(SIZE + 4, b"x" * 32),
        note(SIZE + 3, b"y" * 32),
        notes.sign(Checkpoint("eastshire/ledger", SIZE + 3, b"x" * 32), LEDGER_KEY),
    ],
    ids=["nothing", "nonsense", "another key", "another size", "another root", "another ledger"],
)
def test_a_nodes_word_alone_stops_nobody(shown: str) -> None:
    """T-NET-2, T-AUD-8: otherwise any one member could stop the broker for everybody."""
    ledger = Ledger()
    witnesses = ledger.witnesses("police")
    witnesses.heard("police", SIZE + 3, b"x" * 32, shown)

    asyncio.run(witnesses.asked(0.01))

    assert not ledger.shut


def test_a_node_that_lags_behind_is_no_alarm() -> None:
    """The control: an older head that is a part of the ledger, and none at all."""
    ledger = Ledger()
    witnesses = ledger.witnesses("housing", "police")
    witnesses.heard("police", 7, b"z" * 32, note(7, b"z" * 32))
    witnesses.heard("housing", 0, b"", "")

    asyncio.run(witnesses.asked(0.0))

    assert not ledger.shut
