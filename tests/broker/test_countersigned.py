"""What witnesses countersign is checked and kept, and holds up no question."""

import asyncio
from pathlib import Path

from sqlalchemy import text

from accord import checkpoint, signing
from broker.countersigned import LINE_CHARS, Countersigned
from broker.sequencer import Head
from tests.world import trust
from tests.world.ledger import Books, asked, open_books, permit

KEYS = trust.make_federation()
TIME_S = 1_795_312_801


def line(head: Head, agency: str = "police", signed_by: str = "police") -> str:
    """A countersignature of a head."""
    return checkpoint.cosign(head.note, f"midshire/{agency}", KEYS.agencies[signed_by].witness, TIME_S)


def stored(books: Books) -> list[tuple[int, str]]:
    """Size and witness of each that is kept."""
    with books.store.reading() as connection:
        rows = connection.execute(text("SELECT size, witness FROM cosignature ORDER BY size, witness")).all()
    return [(size, witness) for size, witness in rows]


def test_a_countersignature_is_kept_with_its_head(tmp_path: Path) -> None:
    """T-AUD-6: whoever asks for the newest checkpoint sees which witnesses stand behind it."""

    async def body() -> tuple[dict[str, int], bool]:
        books = await open_books(tmp_path / "ledger.db")
        kept = Countersigned(books.sequencer, books.reading, lambda: KEYS.directory)
        await books.questions.open_entry(permit(asked()))
        head = books.sequencer.head
        taken = kept.take("police", head.size, line(head))
        await kept.write()
        # The same again is the same one.
        kept.take("police", head.size, line(head))
        await kept.write()
        public = signing.public_bytes(KEYS.agencies["police"].witness)
        witnessed = checkpoint.witnessed(books.reading.checkpoint(), {"midshire/police": public})
        await books.close()
        return witnessed, taken

    assert ({"midshire/police": TIME_S}, True) == asyncio.run(body())


def test_the_newest_of_each_agency_is_kept_and_one_that_does_not_hold_is_not(tmp_path: Path) -> None:
    """T-AUD-6: one agency's nonsense costs no other its place, and only the newest of an agency's many is written."""

    async def body() -> tuple[list[tuple[int, str]], int]:
        books = await open_books(tmp_path / "ledger.db")
        kept = Countersigned(books.sequencer, books.reading, lambda: KEYS.directory)
        older = books.sequencer.head
        await books.questions.open_entry(permit(asked()))
        newer = books.sequencer.head
        kept.take("police", older.size, line(older))
        kept.take("police", newer.size, line(newer))
        kept.take("housing", newer.size, line(newer, "housing", signed_by="police"))
        await kept.write()
        found = stored(books), newer.size
        await books.close()
        return found

    found, size = asyncio.run(body())

    assert [(size, "midshire/police")] == found


def test_what_cannot_be_a_countersignature_is_not_even_taken(tmp_path: Path) -> None:
    """T-SEC-3: of a head that was never published, or longer than any line is."""

    async def body() -> list[bool]:
        books = await open_books(tmp_path / "ledger.db")
        kept = Countersigned(books.sequencer, books.reading, lambda: KEYS.directory)
        size = books.sequencer.head.size
        found = [kept.take("police", size + 1, "x"), kept.take("police", size, "x" * (LINE_CHARS + 1))]
        found.append(kept.take("police", size, "x"))
        await kept.write()
        found.append(bool(stored(books)))
        await books.close()
        return found

    assert [False, False, True, False] == asyncio.run(body())
