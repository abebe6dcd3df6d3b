"""The tables of the version before, with a ledger in them, brought up to date: nothing is lost, every receipt holds."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, text

from accord import checkpoint, merkle, receipt
from accord.canonical import encode
from broker import fsck
from broker.store import Place, Server, open_for_reading, open_store, tree
from broker.store import postgresql as servers
from broker.store.database import migrate
from tests.world.broker_databases import OWNER, SERVING, BrokerDatabases
from tests.world.ledger import LEDGER_KEY, LEDGER_PUBLIC, ORIGIN, open_books

ENTRIES = 700
"""More than two full tiles, and an edge at two levels."""
AT = "2026-11-22T10:00:00.000Z"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgres", "initdb"))])
def older(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Place, Path | None]:
    """A place with the first version's tables, and the file with the owner's address on a server."""
    if request.param == "sqlite":
        path = tmp_path / "broker.db"
        engine = create_engine(f"sqlite:///{path}")
        migrate(engine, "0001")
        engine.dispose()
        return path, None
    databases: BrokerDatabases = request.getfixturevalue("databases")
    name = databases.bare()
    owner = databases.address(name, OWNER)
    engine = servers.owning(owner)
    migrate(engine, "0001")
    engine.dispose()
    return Server(databases.address(name, SERVING)), owner


@contextmanager
def writing(place: Place, owner: Path | None) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{place}") if owner is None else servers.owning(owner)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def fill(connection: Connection) -> list[tuple[bytes, bytes, str]]:
    """A ledger as the first version wrote it, a head for each hundred entries; each entry with its receipt."""
    tiles: dict[tuple[int, int], bytes] = {}
    made: list[tuple[bytes, bytes]] = []

    def read(level: int, idx: int) -> bytes:
        return tiles[level, idx]

    notes: dict[int, str] = {}
    for index in range(ENTRIES):
        body, salt = encode({"v": 1, "kind": "OUTCOME", "at": AT, "n": index}), index.to_bytes(16, "big")
        entry = merkle.entry(salt, body)
        connection.execute(
            text("INSERT INTO ledger_entry VALUES (:i, 'OUTCOME', NULL, :at, :salt, :body, :entry)"),
            {"i": index, "at": AT, "salt": salt, "body": body, "entry": entry},
        )
        tiles.update(merkle.append(index, [merkle.leaf_hash(entry)], read))
        made.append((salt, body))
        if (index + 1) % 100 == 0:
            size, root = index + 1, merkle.tree_root(index + 1, read)
            notes[size] = checkpoint.sign(checkpoint.Checkpoint(ORIGIN, size, root), LEDGER_KEY)
            connection.execute(
                text("INSERT INTO ledger_head VALUES (:size, :root, :note)"),
                # The newest head was committed, and the process ended before its note was stored.
                {"size": size, "root": root, "note": notes[size] if size < ENTRIES else None},
            )
    for (level, idx), hashes in tiles.items():
        connection.execute(
            text("INSERT INTO ledger_tile VALUES (:level, :idx, :hashes)"),
            {"level": level, "idx": idx, "hashes": hashes},
        )
    return [
        (salt, body, receipt.make(index, salt, merkle.inclusion_proof(index, ENTRIES, read), notes[ENTRIES]))
        for index, (salt, body) in enumerate(made)
    ]


def test_a_ledger_of_the_version_before_is_taken_over_whole(older: tuple[Place, Path | None]) -> None:
    """T-OPS-4, T-AUD-4: every receipt that was given still holds, the tree goes on from there, and the check passes."""
    place, owner = older
    with writing(place, owner) as connection:
        given = fill(connection)
    shown = [receipt.check(proof, body, ORIGIN, LEDGER_PUBLIC) for _, body, proof in given]
    if owner is not None and isinstance(place, Server):
        servers.prepare(owner, place.url_file)

    async def on() -> tuple[int, int]:
        books = await open_books(place)
        before = books.sequencer.head.size
        await books.questions.activate("99" * 32, "88" * 32, "start", b"")
        proof = books.reading.consistency(ENTRIES, books.sequencer.head.size)
        head = books.sequencer.head
        assert merkle.verify_consistency(ENTRIES, head.size, shown[0].checkpoint.root, head.root, proof)
        await books.close()
        return before, books.sequencer.head.size

    before, after = asyncio.run(on())
    store = open_for_reading(place)
    report = fsck.verify(store, ORIGIN, LEDGER_PUBLIC, kept=[shown[0].note])
    with store.reader.connect() as connection:
        stored = tree.entries(connection, 0, ENTRIES)
    store.close()

    assert (True, ENTRIES + 1, ENTRIES + 2) == (report.ok, before, after)
    assert [(one[0], one[1]) for one in given] == [(one.salt, one.body) for one in stored]


def test_a_change_that_the_upgrade_must_not_hide_is_still_found(tmp_path: Path) -> None:
    """T-AUD-5: a tile that was edited before the upgrade is wrong after it too."""
    path = tmp_path / "broker.db"
    engine = create_engine(f"sqlite:///{path}")
    migrate(engine, "0001")
    with engine.begin() as connection:
        fill(connection)
        connection.execute(text("DROP TRIGGER ledger_tile_grows"))
        connection.execute(text("UPDATE ledger_tile SET hashes = zeroblob(length(hashes)) WHERE level = 0 AND idx = 2"))
        connection.execute(text("CREATE TRIGGER ledger_tile_grows BEFORE UPDATE ON ledger_tile BEGIN SELECT 1; END"))
    engine.dispose()
    open_store(path).close()
    store = open_for_reading(path)
    report = fsck.verify(store, ORIGIN, LEDGER_PUBLIC)
    store.close()

    assert "entry 512 is not the one that the tree was built over" == report.findings[0].words
