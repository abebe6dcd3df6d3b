"""The sequencer: one writer, one transaction a group, commit before signing, and nothing half done."""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import Connection, event, text

from accord import checkpoint, merkle, receipt
from accord.canonical import NotCanonical, decode_object, encode
from accord.reasons import Problem
from broker.sequencer import (
    GROUP_BATCHES,
    Appended,
    Batch,
    LedgerDamaged,
    Sequencer,
    Writer,
    record,
)
from broker.stages import LedgerUnavailable, RateLimited
from broker.store import Place, Store, open_for_reading, open_store, tree
from tests.world.ledger import LEDGER_KEY, LEDGER_PUBLIC, NOW_NS, ORIGIN


class Refused(Problem):
    """What a guard of these tests raises."""

    reason = "BAD_REQUEST"


def one(number: int = 0, *, receipted: bool = True) -> Batch:
    return Batch((record("OUTCOME", NOW_NS, {"number": number}, receipted=receipted),))


def refuse(_: Connection) -> None:
    raise Refused("not this one")


def run(path: Place, body: Callable[[Sequencer, Store], Awaitable[object]], limit: int = 1024) -> object:
    """Run `body` with a started sequencer on a fresh or existing file."""

    async def inside() -> object:
        store = open_store(path)
        sequencer = Sequencer(Writer(store, ORIGIN, LEDGER_KEY), limit)
        sequencer.start()
        try:
            return await body(sequencer, store)
        finally:
            await sequencer.stop()
            store.close()

    return asyncio.run(inside())


@pytest.fixture
def writer(place: Place):
    store = open_store(place)
    yield Writer(store, ORIGIN, LEDGER_KEY)
    store.close()


def reopened(path: Place) -> tuple[Store, Writer]:
    store = open_store(path)
    return store, Writer(store, ORIGIN, LEDGER_KEY)


def test_an_append_gives_indices_bodies_and_receipts_that_hold(place: Place) -> None:
    """T-AUD-1: what comes back proves, with the ledger's public key alone, that the record is in the ledger."""

    async def body(sequencer: Sequencer, _: Store) -> Appended:
        await sequencer.append(one(1))
        return await sequencer.append(Batch((*one(2).records, *one(3, receipted=False).records)))

    appended = run(place, body)
    assert isinstance(appended, Appended)
    proved = receipt.check(appended.entries[0].receipt, appended.entries[0].body, ORIGIN, LEDGER_PUBLIC)

    assert ((1, 2), 1, 3, "") == (appended.indices, proved.index, proved.checkpoint.size, appended.entries[1].receipt)


def test_whatever_waits_shares_one_transaction(place: Place) -> None:
    """Group commit: 200 batches that wait together take 2 transactions, not 200."""
    commits = 0

    async def body(sequencer: Sequencer, store: Store) -> tuple[int, list[int]]:
        nonlocal commits
        assert store.writer is not None

        @event.listens_for(store.writer, "commit")
        def count(_: Connection) -> None:
            nonlocal commits
            commits += 1

        held = await _hold(sequencer)
        waiting = [asyncio.ensure_future(sequencer.append(one(number))) for number in range(200)]
        await asyncio.sleep(0)
        held.set()
        appended = await asyncio.gather(*waiting)
        return commits, [item.indices[0] for item in appended]

    # One commit for the batch that held the writer up, and one for each GROUP_BATCHES of the rest.
    assert (1 + -(-200 // GROUP_BATCHES), list(range(200))) == run(place, body)


async def _hold(sequencer: Sequencer) -> "_Held":
    """Keep the writer busy inside a transaction until the result is set."""
    held = _Held()
    loop = asyncio.get_running_loop()
    begun = asyncio.Event()

    def write(_: Connection, __: tuple[int, ...]) -> None:
        loop.call_soon_threadsafe(begun.set)
        while not held.done:
            time.sleep(0.001)

    held.task = asyncio.ensure_future(sequencer.append(Batch((), write=write)))
    await begun.wait()
    return held


class _Held:
    done = False
    task: "asyncio.Future[Appended]"

    def set(self) -> None:
        self.done = True


def test_a_full_queue_turns_the_next_batch_away_at_once(tmp_path: Path) -> None:
    """Bounded: a broker whose disk is slow says so, and does not gather questions until it dies."""

    async def body(sequencer: Sequencer, _: Store) -> tuple[bool, int]:
        held = await _hold(sequencer)
        waiting = [asyncio.ensure_future(sequencer.append(one(number))) for number in range(4)]
        await asyncio.sleep(0)
        with pytest.raises(RateLimited):
            await sequencer.append(one(99))
        held.set()
        return True, len(await asyncio.gather(*waiting))

    assert (True, 4) == run(tmp_path / "broker.db", body, limit=4)


def test_a_guard_drops_its_own_batch_and_no_other(writer: Writer) -> None:
    """A refused batch takes no index and leaves no trace; its neighbours in the group are written."""
    first, dropped, last = writer.commit([one(1), Batch(one(2).records, refuse), one(3)])
    assert isinstance(first, Appended)
    assert isinstance(last, Appended)

    assert (Refused, (0,), (1,), 2) == (type(dropped), first.indices, last.indices, writer.head.size)


def test_a_guard_sees_what_an_earlier_batch_of_its_group_wrote(writer: Writer) -> None:
    """T-CON-1: two batches in one group have an order, and the later one is judged after the earlier one."""
    seen: list[int] = []

    def write(connection: Connection, indices: tuple[int, ...]) -> None:
        connection.execute(text("INSERT INTO activation VALUES (:i, 'r', 'c')"), {"i": indices[0]})

    def guard(connection: Connection) -> None:
        seen.append(int(connection.execute(text("SELECT count(*) FROM activation")).scalar_one()))

    writer.commit([Batch(one(1).records, guard, write), Batch(one(2).records, guard, write)])

    assert [0, 1] == seen


def test_a_mistake_in_a_write_fails_the_whole_group_and_keeps_nothing(place: Place) -> None:
    """T-AUD-1: fail closed. No batch of the group is acknowledged, none is stored, and the next group is written."""

    def wrong(connection: Connection, _: tuple[int, ...]) -> None:
        connection.execute(text("INSERT INTO activation VALUES (7, 'r', 'c')"))
        raise ZeroDivisionError

    async def body(sequencer: Sequencer, store: Store) -> tuple[list[type], tuple[int, ...], int]:
        held = await _hold(sequencer)
        waiting = [
            asyncio.ensure_future(sequencer.append(batch))
            for batch in (one(1), Batch(one(2).records, write=wrong), one(3))
        ]
        await asyncio.sleep(0)
        held.set()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        after = await sequencer.append(one(4))
        with store.reader.connect() as connection:
            left = int(connection.execute(text("SELECT count(*) FROM activation")).scalar_one())
        return [type(result) for result in results], after.indices, left

    assert ([LedgerUnavailable] * 3, (0,), 0) == run(place, body)


def test_nothing_is_signed_before_it_is_durable(place: Place) -> None:
    """T-AUD-4: when the commit itself fails, no head of that size was ever signed or shown."""
    store, writer = reopened(place)
    writer.commit([one(1)])
    before = writer.head
    assert store.writer is not None

    @event.listens_for(store.writer, "commit")
    def fail(_: Connection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with pytest.raises(LedgerUnavailable):
        writer.commit([one(2)])
    event.remove(store.writer, "commit", fail)
    after_failure = writer.head
    appended = writer.commit([one(3)])[0]
    assert isinstance(appended, Appended)
    store.close()

    assert (before, (1,)) == (after_failure, appended.indices)


def test_an_unsigned_head_left_by_a_crash_is_signed_at_the_next_start(place: Place) -> None:
    """T-AUD-4: Ed25519 is deterministic (RFC 8032), so the head signed after a crash is the one signed before it."""
    store, writer = reopened(place)
    writer.commit([one(1)])
    signed = writer.head
    store.close()  # without writer.close(): the note was never stored
    store, writer = reopened(place)
    with store.reader.connect() as connection:
        stored = tree.head(connection)
    again = writer.head
    writer.close()
    with store.reader.connect() as connection:
        kept = tree.head(connection)
    store.close()
    assert stored is not None
    assert kept is not None

    assert (None, signed, signed.note) == (stored.note, again, kept.note)


def test_every_head_but_the_newest_is_stored_with_its_note(writer: Writer, place: Place) -> None:
    """An auditor can read every head that was ever published."""
    for number in range(5):
        writer.commit([one(number)])
    beside = open_for_reading(place)
    with beside.reader.connect() as connection:
        *older, newest = tree.heads(connection)
    beside.close()
    opened = [checkpoint.open_note(head.note or "", ORIGIN, LEDGER_PUBLIC).size for head in older]

    assert ([1, 2, 3, 4], (5, None)) == (opened, (newest.size, newest.note))


def test_a_start_on_a_tree_that_was_changed_is_refused(tmp_path: Path) -> None:
    """T-AUD-5: a broker does not go on signing on top of what somebody edited."""
    store, writer = reopened(tmp_path / "broker.db")
    writer.commit([one(number) for number in range(3)])
    store.close()
    with sqlite3.connect(tmp_path / "broker.db") as connection:
        connection.execute("UPDATE ledger_edge SET hashes = zeroblob(96) WHERE level = 0")
    connection.close()
    store = open_store(tmp_path / "broker.db")
    with pytest.raises(LedgerDamaged):
        Writer(store, ORIGIN, LEDGER_KEY)
    store.close()


def test_a_ledger_cut_short_while_the_broker_runs_is_noticed(tmp_path: Path) -> None:
    """T-AUD-8: after a failure the state is read anew, and never goes back behind what was signed."""
    store, writer = reopened(tmp_path / "broker.db")
    writer.commit([one(1)])
    writer.commit([one(2)])

    def wrong(_: Connection, __: tuple[int, ...]) -> None:
        raise ZeroDivisionError

    with pytest.raises(LedgerUnavailable):
        writer.commit([Batch(one(3).records, write=wrong)])
    with sqlite3.connect(tmp_path / "broker.db") as connection:
        for name in ("ledger_entry_is_kept", "ledger_head_is_kept"):
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute('DELETE FROM ledger_entry WHERE "index" = 1')
        connection.execute("DELETE FROM ledger_head WHERE size = 2")
    connection.close()
    with pytest.raises(LedgerDamaged):
        writer.commit([one(3)])
    store.close()


def test_appending_after_the_end_is_refused(tmp_path: Path) -> None:
    """A stopped sequencer acknowledges nothing."""

    async def body(sequencer: Sequencer, _: Store) -> str:
        await sequencer.stop()
        with pytest.raises(LedgerUnavailable):
            await sequencer.append(one())
        return "refused"

    assert "refused" == run(tmp_path / "broker.db", body)


def test_a_caller_that_goes_away_does_not_disturb_its_group(tmp_path: Path) -> None:
    """Durable, never acknowledged: the batch of a cancelled caller is written, and the others get their answers."""

    async def body(sequencer: Sequencer, store: Store) -> tuple[tuple[int, ...], int]:
        held = await _hold(sequencer)
        gone = asyncio.ensure_future(sequencer.append(one(1)))
        stays = asyncio.ensure_future(sequencer.append(one(2)))
        await asyncio.sleep(0)
        gone.cancel()
        held.set()
        appended = await stays
        with store.reader.connect() as connection:
            return appended.indices, tree.count(connection)

    assert ((1,), 2) == run(tmp_path / "broker.db", body)


def test_a_record_that_no_ledger_can_hold_is_refused_before_it_is_queued() -> None:
    """Ledger bodies are canonical JSON of at most 65,535 bytes."""
    with pytest.raises(NotCanonical):
        record("OUTCOME", NOW_NS, {"long": "x" * 70_000})
    with pytest.raises(NotCanonical):
        record("OUTCOME", NOW_NS, {"half": 0.5})


def test_a_value_that_is_written_already_stands_in_the_record_as_it_is() -> None:
    """A signed statement goes into its record byte for byte, and the record is the canonical one all the same."""
    inner = encode({"b": [1, 2], "a": "ä"})
    made = record("ASKED", NOW_NS, {"zone": "x", "agency": "y"}, written={"core": inner}, query_id="q")

    assert made.body == encode(decode_object(made.body))
    assert inner in made.body
    assert ["agency", "at", "core", "kind", "query_id", "v", "zone"] == list(decode_object(made.body))


def test_a_probe_writes_to_the_disk_and_adds_no_entry(tmp_path: Path) -> None:
    """T-OPS-1: health is asked of the disk itself, each time, without growing the ledger."""
    log = tmp_path / "broker.db-wal"

    async def body(sequencer: Sequencer, _: Store) -> tuple[int, bool, int]:
        await sequencer.append(one())
        sizes = {log.stat().st_size}
        for _again in range(3):
            await sequencer.probe()
            sizes.add(log.stat().st_size)
        return len(sizes), sequencer.writable, sequencer.head.size

    assert (4, True, 1) == run(tmp_path / "broker.db", body)


def test_the_loop_runs_on_while_the_disk_is_slow(tmp_path: Path) -> None:
    """The event loop never waits for a transaction: it keeps its own beat while the writer is held up."""

    async def body(sequencer: Sequencer, _: Store) -> int:
        held = await _hold(sequencer)
        beats = 0
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            await asyncio.sleep(0.01)
            beats += 1
        held.set()
        await held.task
        return beats

    beats = run(tmp_path / "broker.db", body)
    assert isinstance(beats, int)

    assert beats >= 5


class AppendCrashReopen(RuleBasedStateMachine):
    """Append, fail, crash and reopen in any order; the tree is always that of what was acknowledged."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "broker.db"
        self.store, self.writer = reopened(self.path)
        self.kept: list[bytes] = []
        self.heads: list[tuple[int, bytes]] = []
        self.number = 0

    def batch(self, size: int) -> Batch:
        self.number += 1
        return Batch(tuple(record("OUTCOME", NOW_NS, {"n": self.number, "k": k}) for k in range(size)))

    @rule(sizes=st.lists(st.integers(0, 40), min_size=1, max_size=6), refused=st.sets(st.integers(0, 5)))
    def append(self, sizes: list[int], refused: set[int]) -> None:
        batches = [self.batch(size) for size in sizes]
        group = [Batch(batch.records, refuse if number in refused else None) for number, batch in enumerate(batches)]
        for number, outcome in enumerate(self.writer.commit(group)):
            assert isinstance(outcome, Refused if number in refused else Appended)
            if isinstance(outcome, Appended):
                assert list(outcome.indices) == list(range(len(self.kept), len(self.kept) + sizes[number]))
                self.kept += [merkle.entry(entry.salt, entry.body) for entry in outcome.entries]
        self.heads.append((self.writer.head.size, self.writer.head.root))

    @rule(size=st.integers(0, 300))
    def fail(self, size: int) -> None:
        def wrong(_: Connection, __: tuple[int, ...]) -> None:
            raise ZeroDivisionError

        with pytest.raises(LedgerUnavailable):
            self.writer.commit([self.batch(3), Batch(self.batch(size).records, write=wrong)])

    @rule()
    def crash_and_reopen(self) -> None:
        self.store.close()
        self.store, self.writer = reopened(self.path)

    @precondition(lambda self: self.heads)
    @rule(data=st.data())
    def prove_an_old_head(self, data: st.DataObject) -> None:
        old, root = data.draw(st.sampled_from(self.heads))
        with self.store.reader.connect() as connection:
            proof = merkle.consistency_proof(old, self.writer.head.size, tree.reader(connection))
        assert merkle.verify_consistency(old, self.writer.head.size, root, self.writer.head.root, proof)

    @invariant()
    def the_head_is_the_root_of_what_was_acknowledged(self) -> None:
        expected = merkle.root([merkle.leaf_hash(entry) for entry in self.kept])

        assert (len(self.kept), expected) == (self.writer.head.size, self.writer.head.root)

    def teardown(self) -> None:
        self.store.close()
        self.directory.cleanup()


TestAppendCrashReopen = AppendCrashReopen.TestCase
TestAppendCrashReopen.settings = settings(
    max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


CHILD = """
import asyncio, sys, pathlib
from broker.sequencer import Batch, Sequencer, Writer, record
from broker.store import open_store
from tests.world.ledger import LEDGER_KEY, NOW_NS, ORIGIN

async def main():
    store = open_store(pathlib.Path(sys.argv[1]))
    sequencer = Sequencer(Writer(store, ORIGIN, LEDGER_KEY))
    sequencer.start()
    async def client(number):
        count = 0
        while True:
            count += 1
            fields = {"client": number, "count": count}
            appended = await sequencer.append(Batch((record("OUTCOME", NOW_NS, fields, receipted=True),)))
            entry = appended.entries[0]
            head = appended.head
            sys.stdout.write(f"{entry.index} {entry.salt.hex()} {entry.body.hex()} {head.size} {head.root.hex()}\\n")
            sys.stdout.flush()
    await asyncio.gather(*(client(number) for number in range(16)))

asyncio.run(main())
"""


def _kill_and_count(path: Path, kills: int, seed: int) -> tuple[int, int, int]:
    """Kill a writing process at random, `kills` times; count what it acknowledged, lost and contradicted."""
    chance = random.Random(seed)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(one for one in sys.path if one)}
    root = Path(__file__).parents[2]
    acknowledged: dict[int, str] = {}
    heads: dict[int, str] = {}
    for _ in range(kills):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True, env=environment, cwd=root
        )
        assert child.stdout is not None
        first = child.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.25))
        child.send_signal(signal.SIGKILL)
        lines = [first, *child.stdout.read().splitlines(keepends=True)]
        child.wait()
        child.stdout.close()
        for line in lines:
            if not line.endswith("\n"):
                continue  # cut off in the pipe: not acknowledged
            index, salt, body, size, head_root = line.split()
            acknowledged[int(index)] = salt + body
            heads[int(size)] = head_root
    store, writer = reopened(path)
    with store.reader.connect() as connection:
        stored = {entry.index: entry.salt.hex() + entry.body.hex() for entry in tree.entries(connection, 0, 10**9)}
        contradicted = sum(
            merkle.tree_root(size, tree.reader(connection)).hex() != head_root for size, head_root in heads.items()
        )
    assert len(stored) == writer.head.size
    store.close()
    lost = sum(stored.get(index) != value for index, value in acknowledged.items())
    return len(acknowledged), lost, contradicted


def test_what_was_acknowledged_is_there_after_a_kill(tmp_path: Path) -> None:
    """T-AUD-2, T-AUD-4: kill -9 of the writing process loses no acknowledged record and contradicts no signed head."""
    acknowledged, lost, contradicted = _kill_and_count(tmp_path / "broker.db", kills=2, seed=1)

    assert (True, 0, 0) == (acknowledged > 0, lost, contradicted)


@pytest.mark.prove
def test_what_was_acknowledged_is_there_after_many_kills(tmp_path: Path) -> None:
    """T-AUD-2, T-AUD-4: the same over 25 kills at random moments."""
    kills, seed = 25, 20261122
    acknowledged, lost, contradicted = _kill_and_count(tmp_path / "broker.db", kills, seed)
    print(f"T-AUD-2 lost={lost} acked={acknowledged} kills={kills} seed={seed} (kill -9 of the writer, SQLite FULL)")
    print(f"T-AUD-4 contradicted={contradicted} kills={kills} seed={seed}")

    assert (0, 0) == (lost, contradicted)


@pytest.mark.prove
def test_group_commit_beats_one_commit_a_batch(tmp_path: Path) -> None:
    """With 64 writers, transactions are shared by several batches each; how much faster that is depends on the disk."""
    store, writer = reopened(tmp_path / "one.db")
    started = time.perf_counter()
    for number in range(500):
        writer.commit([one(number)])
    alone = 500 / (time.perf_counter() - started)
    store.close()
    waits: list[float] = []
    commits = 0

    async def body(sequencer: Sequencer, store: Store) -> float:
        assert store.writer is not None

        @event.listens_for(store.writer, "commit")
        def count(_: Connection) -> None:
            nonlocal commits
            commits += 1

        async def client(number: int) -> None:
            for _ in range(50):
                began = time.perf_counter()
                await sequencer.append(one(number))
                waits.append(time.perf_counter() - began)

        began = time.perf_counter()
        await asyncio.gather(*(client(number) for number in range(64)))
        return 64 * 50 / (time.perf_counter() - began)

    grouped = run(tmp_path / "many.db", body)
    assert isinstance(grouped, float)
    waits.sort()
    print(
        f"ledger group commit: {grouped:.0f} batches/s at 64 writers, p50 {waits[len(waits) // 2] * 1e3:.1f} ms, "
        f"p99 {waits[int(len(waits) * 0.99)] * 1e3:.1f} ms; one commit a batch {alone:.0f}/s; {grouped / alone:.1f}x "
        f"batches_per_commit={64 * 50 / commits:.1f}"
    )

    assert 64 * 50 >= 4 * commits
