"""The only writer of the broker's ledger and state.

    append(batch) -> queue -> one transaction a group: guards, writes, entries, tiles, head -> COMMIT
                  -> sign the head -> make receipts -> publish -> each batch's Appended

* Whatever waits goes into one transaction, so concurrent questions share one fsync. There is no timer: a batch that
  finds the writer idle is written at once.
* Guards and writes run in the order of the queue, inside that transaction. So a withdrawal and a release that arrive
  together have an order, and the second sees the first (T-CON-1).
* Commit, then sign, then publish. A head is never signed before it is durable; after a crash the committed tree is
  signed again, and Ed25519 gives the same bytes (T-AUD-4).
* A guard's Problem drops its own batch only. Anything else that goes wrong fails every batch of the group with
  LedgerUnavailable, nothing of it is kept, and the state in memory is read anew before the next group (T-AUD-1).
* One thread of its own does all this, so the event loop never waits for the disk. `Writer` is the same without the
  thread, for trials that must replay (T-OPS-5).
* The tree's hashes in memory (`memo`) are of whole subtrees, which never change once they are durable. After a failure
  they are dropped with everything else: they could be of what was rolled back.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, bindparam, insert, update
from sqlalchemy.exc import SQLAlchemyError

from accord import checkpoint, merkle, receipt
from accord.canonical import MAX_BYTES, NotCanonical, encode, rfc3339
from accord.checkpoint import Checkpoint
from accord.merkle import EMPTY_ROOT, SALT_BYTES
from accord.reasons import Problem
from broker.stages import LedgerUnavailable, RateLimited
from broker.store import Store, tree
from broker.store.prepared import Prepared, together
from broker.store.tables import LEDGER_EDGE, LEDGER_ENTRY, LEDGER_HEAD, LEDGER_NOTE, LEDGER_TILE

QUEUE_BATCHES: Final = 1_024
"""Most batches that wait; more are turned away at once."""

GROUP_BATCHES: Final = 128
"""Most batches in one transaction, so that no batch waits long for those behind it."""

MEMO_MOST: Final = 8_192
"""Most hashes kept, about a mebibyte; then all are forgotten, and found again as they are needed."""

Guard = Callable[[Connection], None]
"""Reads, and raises a Problem to drop its batch. It must not write."""

Write = Callable[[Connection, tuple[int, ...]], None]
"""Changes state beside the entries, whose indices it is given. Whatever it raises fails the group.

It reads through `Prepared` only: its statements travel together."""

_ENTRY = Prepared(insert(LEDGER_ENTRY))
_HEAD = Prepared(insert(LEDGER_HEAD))
_NOTE = Prepared(insert(LEDGER_NOTE))
_TILE = Prepared(insert(LEDGER_TILE))
_EDGE = Prepared(
    update(LEDGER_EDGE)
    .where(LEDGER_EDGE.c.level == bindparam("of_level"))
    .values(idx=bindparam("at_idx"), hashes=bindparam("now"))
)
_SAME = Prepared(update(LEDGER_EDGE).values(idx=LEDGER_EDGE.c.idx).where(LEDGER_EDGE.c.level == bindparam("of_level")))
_FULL: Final = merkle.TILE_WIDTH * merkle.HASH_BYTES


class LedgerDamaged(Problem):
    """What is stored is not the tree whose head was committed."""

    reason = "BAD_LEDGER"


@dataclass(frozen=True, slots=True)
class Record:
    """One record on its way into the ledger. Only `record` makes one.

    Attributes:
        kind: Kind of record.
        query_id: The question it belongs to, or None.
        at: RFC 3339.
        body: Canonical JSON, at most 65,535 bytes.
        receipted: Whether a receipt is made for it.
    """

    kind: str
    query_id: str | None
    at: str
    body: bytes
    receipted: bool


def record(
    kind: str,
    at_ns: int,
    fields: Mapping[str, object],
    *,
    written: Mapping[str, bytes] | None = None,
    query_id: str | None = None,
    receipted: bool = False,
) -> Record:
    """Write a record down.

    Args:
        kind: Kind of record.
        at_ns: The one clock reading of the request it belongs to.
        fields: What it says, beside the header. Never a name, date of birth, address or national number.
        written: Further fields whose values are canonical JSON already, as bytes that were checked; a signed statement
            goes in as it was signed.
        query_id: The question it belongs to.
        receipted: Whether the caller needs a receipt for it.

    Raises:
        NotCanonical: A field has no canonical form, or the whole is longer than 65,535 bytes.
    """
    at = rfc3339(at_ns)
    header: dict[str, object] = {"v": 1, "kind": kind, "at": at}
    if query_id is not None:
        header["query_id"] = query_id
    if not written:
        body = encode({**fields, **header})
    else:
        # Keys are ASCII and sorted, so canonical values joined in their order are the canonical object.
        parts = {key: encode(value) for key, value in {**fields, **header}.items()} | dict(written)
        body = b"{" + b",".join(encode(key) + b":" + parts[key] for key in sorted(parts)) + b"}"
    if len(body) > MAX_BYTES:
        raise NotCanonical(f"a {kind} record of {len(body)} bytes is longer than {MAX_BYTES}")
    return Record(kind, query_id, at, body, receipted)


@dataclass(frozen=True, slots=True)
class Batch:
    """Records and state that become durable together or not at all.

    Attributes:
        records: In the order they get their indices; may be empty when only state changes.
        guard: See Guard.
        write: See Write.
    """

    records: tuple[Record, ...]
    guard: Guard | None = None
    write: Write | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A record that is durable.

    Attributes:
        index: Its position.
        kind: Kind of record.
        salt: 16 bytes.
        body: Canonical JSON.
        receipt: C2SP tlog-proof text; empty unless one was asked for.
    """

    index: int
    kind: str
    salt: bytes
    body: bytes
    receipt: str


@dataclass(frozen=True, slots=True)
class Head:
    """A tree head that is durable and signed."""

    size: int
    root: bytes
    note: str


@dataclass(frozen=True, slots=True)
class Appended:
    """A batch is durable and its head is signed. Only the writer makes one."""

    entries: tuple[Entry, ...]
    head: Head

    @property
    def indices(self) -> tuple[int, ...]:
        """Positions of the records, in the order of the batch."""
        return tuple(entry.index for entry in self.entries)


class Writer:
    """Writes groups of batches, one at a time, on whichever thread calls it."""

    def __init__(
        self, store: Store, origin: str, private: Ed25519PrivateKey, random: Callable[[int], bytes] = os.urandom
    ) -> None:
        """Check what is stored, and sign its head.

        Args:
            store: Opened for writing.
            origin: Name of the ledger, which is also the name of its key.
            private: The ledger's key.
            random: Source of salts.

        Raises:
            LedgerDamaged: Entries, tiles and head do not fit together.
            LedgerUnavailable: The store cannot be read.
            ValueError: The store was opened for reading.
        """
        if store.writer is None:
            raise ValueError("the store was opened for reading")
        self._engine = store.writer
        self._origin = origin
        self._private = private
        self._random = random
        self._tiles = tree.TileCache()
        self._memo: merkle.Memo = {}
        self._unsaved: Head | None = None
        self._head = Head(0, EMPTY_ROOT, "")
        self._sound = False
        try:
            self._reload()
        except Problem:
            raise
        except Exception as error:
            raise LedgerUnavailable(f"the ledger cannot be read: {error}") from error

    @property
    def head(self) -> Head:
        """The newest head: durable, signed, and the one to show."""
        return self._head

    @property
    def sound(self) -> bool:
        """Whether the last group could be written."""
        return self._sound

    def commit(self, group: Sequence[Batch]) -> list[Appended | Problem]:
        """Make a group of batches durable in one transaction.

        Returns:
            For each batch what came of it: Appended, or the Problem that its guard raised.

        Raises:
            LedgerUnavailable: Nothing of the group was acknowledged. It can have become durable only if the disk failed
                while committing; then it is in the ledger, and never acknowledged.
            LedgerDamaged: What is stored is no longer the tree that was signed.
        """
        try:
            if not self._sound:
                self._reload()
            self._sound = False
            outcomes = self._commit(group)
        except LedgerDamaged:
            raise
        except Exception as error:
            # Whatever went wrong, a full disk or a mistake of ours in a guard or a write, nothing was acknowledged.
            self._forget()
            raise LedgerUnavailable(f"the ledger could not be written: {type(error).__name__}") from error
        self._sound = True
        return outcomes

    def close(self) -> None:
        """Store the last signed note, if the disk lets us; it would be made again at the next start."""
        if self._unsaved is not None and self._sound:
            with contextlib.suppress(SQLAlchemyError, Problem), self._engine.begin() as connection:
                self._save_note(connection)

    def _forget(self) -> None:
        self._tiles.clear()
        self._memo.clear()

    def _commit(self, group: Sequence[Batch]) -> list[Appended | Problem]:
        start = self._head.size
        refused: dict[int, Problem] = {}
        accepted: list[Record] = []
        if len(self._memo) > MEMO_MOST:
            self._memo.clear()
        memo = self._memo
        with self._engine.begin() as connection:
            # 1. Guards and writes, in the order of the queue; each sees what the one before it wrote.
            for number, batch in enumerate(group):
                try:
                    if batch.guard is not None:
                        batch.guard(connection)
                except Problem as problem:
                    refused[number] = problem
                    continue
                first = start + len(accepted)
                accepted.extend(batch.records)
                if batch.write is not None:
                    with together(connection):
                        batch.write(connection, tuple(range(first, start + len(accepted))))
            # 2. Entries, tiles, head.
            size, root = start + len(accepted), self._head.root
            salts = self._salts(len(accepted))
            changed: dict[tuple[int, int], bytes] = {}
            read = self._tiles.at(start, lambda level, idx: tree.tile(connection, level, idx))
            if accepted:
                entries = [merkle.entry(salt, one.body) for salt, one in zip(salts, accepted, strict=True)]
                changed = merkle.append(start, [merkle.leaf_hash(entry) for entry in entries], read)
                root = merkle.tree_root(size, merkle.overlay(changed, read), memo)
                with together(connection):
                    self._insert(connection, start, accepted, salts, entries)
                    _put_tiles(connection, changed)
                    self._save_note(connection)
                    _HEAD.run(connection, size=size, root=root)
            # Inclusion proofs read tiles, so they are made here; nothing leaves before the commit below.
            proofs = {
                number: merkle.inclusion_proof(start + number, size, merkle.overlay(changed, read), memo)
                for number, one in enumerate(accepted)
                if one.receipted
            }
        # 3. Durable from here on. Sign, then publish.
        if accepted:
            self._tiles.put(changed)
            self._head = self._unsaved = Head(size, root, self._sign(size, root))
        note = self._head.note
        durable = [
            Entry(
                start + number,
                one.kind,
                salt,
                one.body,
                receipt.make(start + number, salt, proofs[number], note) if one.receipted else "",
            )
            for number, (one, salt) in enumerate(zip(accepted, salts, strict=True))
        ]
        # 4. To each batch its own entries.
        outcomes: list[Appended | Problem] = []
        taken = 0
        for number, batch in enumerate(group):
            if number in refused:
                outcomes.append(refused[number])
            else:
                own = durable[taken : taken + len(batch.records)]
                taken += len(own)
                outcomes.append(Appended(tuple(own), self._head))
        return outcomes

    def _insert(
        self,
        connection: Connection,
        start: int,
        records: Sequence[Record],
        salts: Sequence[bytes],
        entries: Sequence[bytes],
    ) -> None:
        _ENTRY.many(
            connection,
            [
                {
                    "index": start + number,
                    "kind": one.kind,
                    "query_id": one.query_id,
                    "at": one.at,
                    "salt": salts[number],
                    "body": one.body,
                    "entry": entries[number],
                }
                for number, one in enumerate(records)
            ],
        )

    def _salts(self, count: int) -> list[bytes]:
        drawn = self._random(SALT_BYTES * count) if count else b""
        return [drawn[SALT_BYTES * number : SALT_BYTES * (number + 1)] for number in range(count)]

    def _save_note(self, connection: Connection) -> None:
        if self._unsaved is not None:
            _NOTE.run(connection, size=self._unsaved.size, note=self._unsaved.note)

    def _sign(self, size: int, root: bytes) -> str:
        return checkpoint.sign(Checkpoint(self._origin, size, root), self._private)

    def _reload(self) -> None:
        """Read the committed head and check it against the tree; never go back behind what was signed."""
        self._forget()
        with self._engine.begin() as connection:
            stored = tree.head(connection)
            size, root = (0, EMPTY_ROOT) if stored is None else (stored.size, stored.root)
            read = self._tiles.at(max(size, self._head.size), lambda level, idx: tree.tile(connection, level, idx))
            if tree.count(connection) != size:
                raise LedgerDamaged(f"the head says {size} entries, the ledger holds {tree.count(connection)}")
            try:
                if merkle.tree_root(size, read) != root:
                    raise LedgerDamaged(f"the tree of {size} entries is not the one whose head was committed")
                if size < self._head.size or merkle.tree_root(self._head.size, read) != self._head.root:
                    raise LedgerDamaged(f"the head of {self._head.size} entries that was signed is no longer there")
            except merkle.TilesDamaged as error:
                raise LedgerDamaged(f"the tree cannot be read: {error}") from error
        self._head = Head(size, root, self._sign(size, root))
        self._unsaved = self._head if stored is not None and stored.note is None else None
        self._sound = True


@dataclass(frozen=True, slots=True)
class _Waiting:
    batch: Batch
    future: asyncio.Future[Appended]


class Sequencer:
    """The writer with its queue and its thread. One for each ledger."""

    def __init__(self, writer: Writer, limit: int = QUEUE_BATCHES) -> None:
        """Prepare; nothing runs before `start`.

        Args:
            writer: What writes. From `start` to `stop` nobody else may use it.
            limit: Most batches that wait.
        """
        self._writer = writer
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(limit)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._refused: Problem | None = None

    @property
    def head(self) -> Head:
        """The newest head: durable, signed, and the one to show."""
        return self._writer.head

    @property
    def writable(self) -> bool:
        """Whether the writer runs and could write its last group; part of the process's health."""
        return self._thread is not None and self._writer.sound

    def start(self) -> None:
        """Start the thread. Call it on the running event loop."""
        if self._thread is not None:
            raise RuntimeError("the sequencer runs already")
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="sequencer", daemon=True)
        self._thread.start()

    def refuse(self, why: Problem | None) -> None:
        """Take nothing more from now on, for a reason; None ends that."""
        self._refused = why

    async def stop(self) -> None:
        """Write what waits, then end the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.to_thread(self._queue.put, None)
            await asyncio.to_thread(thread.join)
            self._writer.close()

    async def append(self, batch: Batch) -> Appended:
        """Make a batch durable and signed.

        A caller that is cancelled while it waits may still find its batch in the ledger: durable, never acknowledged.

        Raises:
            LedgerUnavailable: It could not be made durable.
            RateLimited: Too many batches wait already; nothing was written.
            Problem: The batch's own guard refused it.
        """
        if self._thread is None or self._loop is None:
            raise LedgerUnavailable("the sequencer is not running")
        if self._refused is not None:
            raise LedgerUnavailable(f"nothing may be written: {self._refused}")
        waiting = _Waiting(batch, self._loop.create_future())
        try:
            self._queue.put_nowait(waiting)
        except queue.Full:
            raise RateLimited(f"{self._queue.maxsize} batches wait for the ledger") from None
        return await waiting.future

    async def probe(self) -> None:
        """Commit a transaction that writes and adds no entry, to see whether the disk takes writes (T-OPS-1).

        Raises:
            LedgerUnavailable: It does not.
        """
        await self.append(Batch((), write=_touch))

    def _run(self) -> None:
        loop = self._loop
        if loop is None:
            raise RuntimeError("started without an event loop")
        while group := self._take():
            waiting = [one for one in group if one is not None]
            outcomes: Sequence[Appended | Problem]
            try:
                outcomes = self._writer.commit([one.batch for one in waiting])
            except Problem as problem:
                # Each its own: one exception raised in many tasks would mix up their tracebacks.
                outcomes = [type(problem)(*problem.args) for _ in waiting]
            # One call for the group: a call for each batch would wake the loop that many times.
            loop.call_soon_threadsafe(_resolve, waiting, outcomes)
            if len(waiting) < len(group):
                return

    def _take(self) -> list[_Waiting | None]:
        """Wait for a batch, then take what else is there; None, the sign to stop, comes last or not at all."""
        group = [self._queue.get()]
        while group[-1] is not None and len(group) < GROUP_BATCHES:
            try:
                group.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return group


def _resolve(group: Sequence[_Waiting], outcomes: Sequence[Appended | Problem]) -> None:
    for waiting, outcome in zip(group, outcomes, strict=True):
        if waiting.future.done():
            continue
        if isinstance(outcome, Appended):
            waiting.future.set_result(outcome)
        else:
            waiting.future.set_exception(outcome)


def _put_tiles(connection: Connection, changed: Mapping[tuple[int, int], bytes]) -> None:
    """Add the tiles that are full now, and move the edge of each level that changed to what is not."""
    edges: dict[int, tuple[int, bytes]] = {}
    full = []
    for (level, idx), hashes in sorted(changed.items()):
        if len(hashes) == _FULL:
            full.append({"level": level, "idx": idx, "hashes": hashes})
        edges[level] = (idx + 1, b"") if len(hashes) == _FULL else (idx, hashes)
    _TILE.many(connection, full)
    for level, (idx, hashes) in edges.items():
        _EDGE.run(connection, of_level=level, at_idx=idx, now=hashes)


def _touch(connection: Connection, _: tuple[int, ...]) -> None:
    """Write something that means nothing."""
    if connection.dialect.name == "sqlite":
        # A row that stays as it was is not written by SQLite at all. This number is the program's own to use, stands in
        # the file's first page, and changes with the transaction (https://www.sqlite.org/pragma.html#pragma_user_version).
        number = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
        connection.exec_driver_sql(f"PRAGMA user_version = {1 - number % 2}")
    else:
        _SAME.run(connection, of_level=0)
