"""Programs are restarted one after the other while questions are asked, and a broker with a long ledger comes back."""

import time
from typing import Final

import pytest

from broker import witnesses
from broker.keys import read_ed25519
from broker.sequencer import Batch, Writer, record
from broker.store import open_store
from tests.chaos.stack import ANSWERING, Stack

SEED: Final = 20_261_125
ENTRIES: Final = 100_000
GROUP: Final = 2_000
SERVING_S: Final = 10.0
"""Longest time to SERVING, seconds, on machines far slower than meant; the figure printed is what counts."""


@pytest.mark.prove
def test_a_rolling_restart_loses_nothing(world: Stack) -> None:
    """T-OPS-4: each program is asked to stop and started again under load; old receipts still hold."""
    before = len(world.histories)
    with world.asking(seed=SEED) as history:
        codes, stops_s = [], []
        for name in ("steward", *ANSWERING, "broker"):
            time.sleep(0.7)
            began = time.monotonic()
            codes += world.stop(name)
            stops_s.append(time.monotonic() - began)
            world.start(name)
        world.settle()
        time.sleep(1.0)
    world.halt()
    found, report = world.reconciled(), world.checked()
    lost = len(history.of("unknown"))
    print(
        f"T-OPS-4 lost={found.unlogged} receipts_ok={100 if not (found.unlogged or report.findings) else 0}% "
        f"released={history.released} outcome_unknown={lost} restarts={len(codes)} wrong_no={history.wrong('NO')} "
        f"stop_s_max={max(stops_s):.1f} "
        f"runs_before={before} seed={SEED}"
    )

    assert [0] * 4 == codes
    assert ([], (), 0) == (found.found, report.findings, report.open_questions)
    assert (0, 0, 0) == (history.bad, history.wrong("NO"), history.wrong("YES"))
    assert history.released > 0


@pytest.mark.prove
def test_a_broker_with_a_long_ledger_is_soon_back(world: Stack) -> None:
    """T-OPS-4: starting reads no more of a long ledger than it must; nodes go on from the head that they have seen."""
    shorter = _restart_s(world)
    world.halt()
    grown_s = _grow(world, ENTRIES)
    world.start_all()
    longer = _restart_s(world)
    with world.asking(seed=SEED + 1) as history:
        time.sleep(1.0)
    world.halt()
    found = world.reconciled()
    report = world.checked()
    print(
        f"T-OPS-4 restart_s={longer:.1f} entries={len(world.broker_entries())} beside {shorter:.1f} before; "
        f"grown_in_s={grown_s:.0f} "
        f"unexplained={len(found.found)} released={history.released}"
    )

    # How long it waits for its witnesses is luck, and has a bound.
    assert longer - witnesses.SECONDS <= max(SERVING_S, 2 * shorter)
    assert ([], (), 0) == (found.found, report.findings, report.open_questions)
    assert history.released > 0


def _restart_s(world: Stack) -> float:
    """How long the broker takes from its start to serving, seconds."""
    world.kill("broker")
    began = time.monotonic()
    world.start("broker")
    return time.monotonic() - began


def _grow(world: Stack, count: int) -> float:
    """Add entries through the broker's own writer; how long that took, seconds."""
    home = world.home / "broker"
    began = time.monotonic()
    store = open_store(home / "broker.db")
    try:
        writer = Writer(store, world.federation.directory.broker.ledger_origin, read_ed25519(home / "ledger.key"))
        for start in range(0, count, GROUP):
            records = tuple(record("OUTCOME", time.time_ns(), {"n": start + number}) for number in range(GROUP))
            writer.commit([Batch(records)])
        writer.close()
    finally:
        store.close()
    return time.monotonic() - began
