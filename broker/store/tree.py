"""Reading the ledger's tables: tiles, heads, entries, cosignatures."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, func, insert, select, union_all

from accord import merkle, receipt
from accord.merkle import HASH_BYTES, TILE_HEIGHT, TILE_WIDTH, TileReader, TilesDamaged
from broker.store.prepared import Prepared
from broker.store.tables import COSIGNATURE, LEDGER_EDGE, LEDGER_ENTRY, LEDGER_HEAD, LEDGER_NOTE, LEDGER_TILE

CACHED_TILES: Final = 256
"""Tiles kept in memory, 8 KiB each: the right edge of any tree, and what recent proofs touched."""

# One statement, so that a tile which is filled meanwhile is seen in one of the two places.
_TILE = Prepared(
    union_all(
        *(
            select(table.c.hashes).where(table.c.level == bindparam("level"), table.c.idx == bindparam("idx"))
            for table in (LEDGER_TILE, LEDGER_EDGE)
        )
    )
)
_HEADS = select(LEDGER_HEAD, LEDGER_NOTE.c.note).outerjoin(LEDGER_NOTE, LEDGER_NOTE.c.size == LEDGER_HEAD.c.size)
_HEAD = _HEADS.order_by(LEDGER_HEAD.c.size.desc()).limit(1)
_NOTE = select(LEDGER_NOTE.c.note).where(LEDGER_NOTE.c.size == bindparam("size"))
_COUNT = select(func.coalesce(func.max(LEDGER_ENTRY.c.index) + 1, 0))
_ENTRIES = Prepared(
    select(LEDGER_ENTRY)
    .where(LEDGER_ENTRY.c.index >= bindparam("start"), LEDGER_ENTRY.c.index < bindparam("end"))
    .order_by(LEDGER_ENTRY.c.index)
)
_OF_QUESTION = (
    select(LEDGER_ENTRY).where(LEDGER_ENTRY.c.query_id == bindparam("query_id")).order_by(LEDGER_ENTRY.c.index)
)
_COSIGNATURES = (
    select(COSIGNATURE.c.line).where(COSIGNATURE.c.size == bindparam("size")).order_by(COSIGNATURE.c.witness)
)
_COSIGNED = Prepared(
    select(COSIGNATURE.c.size).where(
        COSIGNATURE.c.size == bindparam("size"), COSIGNATURE.c.witness == bindparam("witness")
    )
)
_WITNESSES = select(COSIGNATURE.c.witness).where(COSIGNATURE.c.size >= bindparam("since")).distinct()
_COSIGN = Prepared(insert(COSIGNATURE))


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """One row of the ledger.

    Attributes:
        index: Position, from 0.
        kind: Kind of record.
        query_id: The question it belongs to, or None.
        at: RFC 3339.
        salt: 16 bytes; empty once erased.
        body: Canonical JSON; empty once erased.
        entry: 33 bytes, what the tree holds.
    """

    index: int
    kind: str
    query_id: str | None
    at: str
    salt: bytes
    body: bytes
    entry: bytes


@dataclass(frozen=True, slots=True)
class StoredHead:
    """One committed tree head; `note` is None until it was signed."""

    size: int
    root: bytes
    note: str | None


def head(connection: Connection) -> StoredHead | None:
    """The newest committed head, or None for an empty ledger."""
    row = connection.execute(_HEAD).one_or_none()
    return None if row is None else StoredHead(row.size, row.root, row.note)


def heads(connection: Connection) -> Iterator[StoredHead]:
    """Every committed head, smallest first."""
    for row in connection.execute(_HEADS.order_by(LEDGER_HEAD.c.size)):
        yield StoredHead(row.size, row.root, row.note)


def count(connection: Connection) -> int:
    """One more than the highest index; 0 for an empty ledger."""
    return int(connection.execute(_COUNT).scalar_one())


def entries(connection: Connection, start: int, end: int) -> tuple[StoredEntry, ...]:
    """Entries from `start` up to `end`, in order; those that are not there are left out."""
    return tuple(StoredEntry(*row) for row in _ENTRIES.rows(connection, start=max(start, 0), end=end))


def entries_of(connection: Connection, query_id: str) -> tuple[StoredEntry, ...]:
    """Every entry of one question, in order."""
    return tuple(StoredEntry(*row) for row in connection.execute(_OF_QUESTION, {"query_id": query_id}).all())


def cosignatures(connection: Connection, size: int) -> tuple[str, ...]:
    """The cosignature lines for the head of this size, by witness."""
    return tuple(connection.execute(_COSIGNATURES, {"size": size}).scalars())


def witnesses(connection: Connection, since: int) -> frozenset[str]:
    """Who countersigned a head of this size or a larger one."""
    return frozenset(connection.execute(_WITNESSES, {"since": since}).scalars())


def cosign(connection: Connection, *, size: int, witness: str, line: str, time_s: int) -> None:
    """Keep a witness's first cosignature for the head of this size; inside the sequencer's transaction."""
    if _COSIGNED.first(connection, size=size, witness=witness) is None:
        _COSIGN.run(connection, size=size, witness=witness, line=line, time_s=time_s)


def note(connection: Connection, size: int) -> str | None:
    """The signed note of the head of exactly this size, if there is one."""
    return connection.execute(_NOTE, {"size": size}).scalar_one_or_none()


def tile(connection: Connection, level: int, idx: int) -> bytes:
    """One tile as stored; empty when there is none."""
    row = _TILE.first(connection, level=level, idx=idx)
    return b"" if row is None else row[0]


def reader(connection: Connection) -> TileReader:
    """A tile reader over one connection, without a cache."""
    return lambda level, idx: tile(connection, level, idx)


class TileCache:
    """The most recently used tiles. For one thread.

    A cached tile may be shorter than a later tree needs, never wrong: tiles only grow. `at` says how much is needed.
    """

    def __init__(self, limit: int = CACHED_TILES) -> None:
        """Keep at most `limit` tiles."""
        self._limit = limit
        self._tiles: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    def put(self, changed: Mapping[tuple[int, int], bytes]) -> None:
        """Keep these tiles as the newest."""
        for key, hashes in changed.items():
            self._tiles[key] = hashes
            self._tiles.move_to_end(key)
        while len(self._tiles) > self._limit:
            self._tiles.popitem(last=False)

    def clear(self) -> None:
        """Forget everything, after a transaction whose end is not known."""
        self._tiles.clear()

    def at(self, size: int, load: Callable[[int, int], bytes]) -> TileReader:
        """A tile reader for a tree of `size` leaves, that loads what is not cached or too short."""

        def read(level: int, idx: int) -> bytes:
            wanted = HASH_BYTES * min((size >> TILE_HEIGHT * level) - idx * TILE_WIDTH, TILE_WIDTH)
            if wanted <= 0:
                raise TilesDamaged(f"a tree of {size} leaves has no tile {level}/{idx}")
            found = self._tiles.get((level, idx))
            if found is None or len(found) < wanted:
                found = load(level, idx)
                self.put({(level, idx): found})
            else:
                self._tiles.move_to_end((level, idx))
            return found

        return read


def receipted(connection: Connection, tiles: TileCache, size: int, signed: str, index: int) -> tuple[bytes, str]:
    """A record and a receipt for it against a published head.

    Args:
        connection: For reading.
        tiles: The calling thread's cache.
        size: Size of the head.
        signed: The head's note.
        index: Position of the record.

    Returns:
        The record's body and the C2SP tlog-proof text.

    Raises:
        ValueError: There is no such record under that head, or it was erased.
    """
    found = entries(connection, index, index + 1)
    if not found or not found[0].salt:
        raise ValueError(f"record {index} is not there, or was erased")
    proof = merkle.inclusion_proof(index, size, tiles.at(size, reader(connection)))
    return found[0].body, receipt.make(index, found[0].salt, proof, signed)
