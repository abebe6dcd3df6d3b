"""Programs are killed while questions are asked; then every account is compared."""

import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Final

import pytest

from tests.chaos import nemesis
from tests.chaos.stack import Stack

SEED: Final = 20_261_122
KILLS: Final = 25
OTHERS: Final = {"housing": 3, "police": 3, "steward": 2}


@pytest.mark.prove
def test_killed_processes_lose_no_answer_and_tell_no_false_no(world: Stack) -> None:
    """T-AUD-1, T-AUD-3, T-AUD-4, T-AUD-11: 25 kills of the broker, others of nodes and key server, under load."""
    with world.asking(seed=SEED) as history:
        seconds = nemesis.kills(world, Random(SEED), {"broker": KILLS, **OTHERS})
        time.sleep(1.0)
    world.halt()
    found, report = world.reconciled(), world.checked()
    outages = sorted(history.back_s())
    print(
        f"T-AUD-1 unlogged={found.unlogged} bad_receipts={history.bad} released={history.released} kills={KILLS} "
        f"other_kills={sum(OTHERS.values())} seconds={seconds:.0f} seed={SEED} (SQLite)\n"
        f"T-AUD-3 orphans={found.orphans} doubles={found.doubles} asked={found.asked}\n"
        f"T-AUD-4 contradicted={len(report.findings)} checkpoints={report.heads} entries={report.entries}\n"
        f"T-AUD-11 unexplained={len(found.found)} one_way={found.one_way} abandoned={found.abandoned} "
        f"unacked={found.unacked} matched={found.matched}\n"
        f"chaos wrong_no={history.wrong('NO')} wrong_yes={history.wrong('YES')} right={history.right()} "
        f"restart_to_serving_s={outages[len(outages) // 2]:.1f} (median of {len(outages)})"
    )

    assert [] == found.found
    assert ((), 0) == (report.findings, report.open_questions)
    assert (0, 0, 0) == (history.bad, history.wrong("NO"), history.wrong("YES"))
    # Askers look at the broker's health now and then, so that a short outage may pass unseen.
    assert outages
    assert min(found.matched, history.right()) >= KILLS


@pytest.mark.prove
def test_a_ledger_put_back_from_an_older_copy_is_missed_by_its_receipts(world: Stack) -> None:
    """T-AUD-1: negative control. The same comparison finds answers that left and are not in the ledger."""
    copy = _copy(world)
    with world.asking(seed=SEED + 1) as history:
        time.sleep(2.0)
    world.halt()
    before = world.reconciled().unlogged
    kept = world.home / "broker" / "broker.db"
    shutil.move(kept, kept.with_suffix(".newer"))
    shutil.copyfile(copy, kept)
    found, report = world.reconciled(), world.checked()
    shutil.move(kept.with_suffix(".newer"), kept)
    print(
        f"T-AUD-1 control unlogged={found.unlogged} of released={history.released} (an older copy put back), "
        f"before={before}; heads contradicted={len(report.findings)}"
    )

    assert (0, history.released) == (before, found.unlogged)
    assert history.released > 0
    assert report.findings


def _copy(world: Stack) -> Path:
    """The broker's state as it is now; then everything runs."""
    world.halt()
    database = world.home / "broker" / "broker.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    copy = Path(shutil.copyfile(database, world.home / "older.db"))
    world.start_all()
    return copy
