"""A PostgreSQL server is killed with all its children while it keeps everybody's state."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

import psycopg
import pytest

from tests.chaos import nemesis
from tests.chaos.stack import ANSWERING, ROOT, stack
from tests.world import state_servers
from tests.world.database_servers import DatabaseServer, postgresql

SEED: Final = 20_261_124
KILLS: Final = 3
CONTROL_KILLS: Final = 25
"""Most kills of the control; it may stop at the first that loses something."""
BREAKS_AFTER: Final = 40
"""Which fdatasync of a server's process fails."""
HEAL_S: Final = 120.0
"""Longest wait till answers come again, seconds; it bounds hanging and judges no speed."""

pytestmark = [pytest.mark.prove, pytest.mark.needs("postgres", "initdb")]


@pytest.fixture(scope="module")
def server() -> Iterator[DatabaseServer]:
    """One that keeps what it acknowledged; what nobody waits for is on its way to the disk for a second or more."""
    with postgresql(fsync="on", wal_writer_delay="1s") as running:
        state_servers.accounts(running)
        yield running


@contextlib.contextmanager
def _writing(url_file: Path, *how: str) -> Iterator[dict[int, tuple[str, str]]]:
    """Write until the block ends what the writing stands on; index -> salt and body of what had been acknowledged."""
    writer = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.writer", str(url_file), *how],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "protos")))},
    )
    assert writer.stdout is not None
    acknowledged: dict[int, tuple[str, str]] = {}
    lines = [writer.stdout.readline()]
    yield acknowledged
    # It ends by itself as soon as the ledger cannot be written.
    lines += writer.stdout.read().splitlines(keepends=True)
    writer.wait()
    writer.stdout.close()
    for line in lines:
        if line.endswith("\n"):
            index, salt, body = line.split()
            acknowledged[int(index)] = (salt, body)


def _acknowledged(server: DatabaseServer, url_file: Path, pause_s: float, *how: str) -> dict[int, tuple[str, str]]:
    """Write for a while, kill the server, start it again; what had been acknowledged."""
    with _writing(url_file, *how) as acknowledged:
        time.sleep(pause_s)
        nemesis.crash(server)
    server.start()
    return acknowledged


def _lost(url_file: Path, acknowledged: dict[int, tuple[str, str]]) -> int:
    with psycopg.connect(url_file.read_text("ascii").strip()) as connection:
        rows = connection.execute('SELECT "index", salt, body FROM ledger_entry').fetchall()
    stored = {row[0]: (row[1].hex(), row[2].hex()) for row in rows}
    return sum(stored.get(index) != value for index, value in acknowledged.items())


def _reachable(server: DatabaseServer) -> None:
    """Wait till the server answers again; it recovers by itself."""
    until = time.monotonic() + HEAL_S
    while time.monotonic() < until:
        with contextlib.suppress(psycopg.OperationalError):
            server.run("SELECT 1")
            return
        time.sleep(0.05)


def test_what_a_killed_server_acknowledged_is_there(server: DatabaseServer, tmp_path: Path) -> None:
    """T-AUD-2: kill -9 of postmaster and children loses no acknowledged entry; without waiting for the disk it does."""
    chance = Random(SEED)
    place = state_servers.on_server(server, tmp_path, ["broker"])["broker"]
    kept: dict[int, tuple[str, str]] = {}
    for _ in range(KILLS):
        kept |= _acknowledged(server, place, chance.uniform(0.5, 1.5))
    lost = _lost(place, kept)
    other = state_servers.on_server(server, tmp_path, ["broker"])["broker"]
    control_lost = control_acked = control_kills = 0
    while not control_lost and control_kills < CONTROL_KILLS:
        control_kills += 1
        forgotten = _acknowledged(server, other, chance.uniform(0.5, 1.0), "forgetful")
        control_acked += len(forgotten)
        control_lost += _lost(other, forgotten)
    print(
        f"T-AUD-2 lost={lost} acked={len(kept)} pg_kills={KILLS} control_lost={control_lost} of {control_acked} "
        f"in {control_kills} kills (synchronous_commit=off) seed={SEED}"
    )

    assert 0 == lost
    assert len(kept) > KILLS
    assert control_lost > 0


def test_what_was_acknowledged_before_the_disk_broke_is_there(server: DatabaseServer, tmp_path: Path) -> None:
    """T-AUD-2: the server is told by the kernel that a write did not reach the disk; nothing of it was acknowledged."""
    if why := nemesis.may_trace():
        print(f"T-AUD-2 EIO not tried: {why}")
        return
    place = state_servers.on_server(server, tmp_path, ["broker"])["broker"]
    with nemesis.disk_that_breaks(server.process.pid, BREAKS_AFTER), _writing(place) as acknowledged:
        pass
    _reachable(server)
    lost = _lost(place, acknowledged)
    print(f"T-AUD-2 lost={lost} acked={len(acknowledged)} (fdatasync: EIO, once, by strace)")

    assert (0, True) == (lost, len(acknowledged) > 0)


def test_a_killed_database_loses_no_answer_and_tells_no_false_no(server: DatabaseServer, tmp_path: Path) -> None:
    """T-AUD-1, T-AUD-2, T-AUD-3, T-AUD-11: with broker, steward and nodes on one server that is killed under load."""
    chance = Random(SEED + 1)
    downs = []
    with stack(tmp_path, server) as world:
        with world.asking(seed=SEED + 1) as history:
            for _ in range(KILLS):
                time.sleep(chance.uniform(1.0, 2.0))
                nemesis.crash(server)
                time.sleep(chance.uniform(0.2, 1.0))
                server.start()
                downs.append(time.monotonic())
                history.wait_for(lambda so_far: so_far.first_after(downs[-1]) < HEAL_S)
                time.sleep(1.0)
            world.kill("broker")
            world.start("broker")
            world.settle()
            time.sleep(1.0)
        alive = world.processes.alive()
        world.halt()
        found, report = world.reconciled(), world.checked()
    heals = [history.first_after(moment) for moment in downs]
    print(
        f"T-AUD-1 unlogged={found.unlogged} bad_receipts={history.bad} released={history.released} pg_kills={KILLS} "
        f"kills=1 seed={SEED + 1} (PostgreSQL)\n"
        f"T-AUD-3 orphans={found.orphans} doubles={found.doubles} asked={found.asked}\n"
        f"T-AUD-11 unexplained={len(found.found)} one_way={found.one_way} abandoned={found.abandoned} "
        f"unacked={found.unacked} matched={found.matched}\n"
        f"chaos wrong_no={history.wrong('NO')} wrong_yes={history.wrong('YES')} right={history.right()} "
        f"heal_s={max(heals):.1f} (longest of {len(heals)})"
    )

    assert sorted(["broker", "steward", *ANSWERING]) == sorted(alive)
    assert [] == found.found
    assert ((), 0) == (report.findings, report.open_questions)
    assert (0, 0, 0) == (history.bad, history.wrong("NO"), history.wrong("YES"))
    assert max(heals) <= HEAL_S
    assert found.matched > KILLS
