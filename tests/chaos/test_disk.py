"""Disks fill up under a running federation, and are emptied again."""

import contextlib
import resource
import time
from collections.abc import Iterator
from typing import Final

import pytest

from tests.chaos.stack import History, Stack

SEED: Final = 20_261_123
FULL_S: Final = 4.0
"""How long nothing can be written, seconds."""
SETTLE_S: Final = 0.5
"""What was durable before may still reach its asker within this time, seconds."""
HEAL_S: Final = 10.0
"""Longest time after which answers come again, seconds (T-OPS-1)."""


@contextlib.contextmanager
def no_file_may_grow(pid: int) -> Iterator[None]:
    """A disk without a free byte, as far as one process sees (RLIMIT_FSIZE, setrlimit(2)); needs no privilege."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def _through(world: Stack, fault: "contextlib.AbstractContextManager[None]", seed: int) -> tuple[History, int, float]:
    """Ask before, during and after a fault; what was released meanwhile, and how long healing took, seconds."""
    with world.asking(seed=seed) as history:
        time.sleep(1.0)
        with fault:
            since = time.monotonic() + SETTLE_S
            time.sleep(FULL_S)
            until = time.monotonic()
        time.sleep(HEAL_S / 2)
        if history.lines == []:
            time.sleep(HEAL_S / 2)
    return history, history.released_between(since, until), history.first_after(until)


@pytest.mark.prove
def test_a_broker_whose_disk_is_full_releases_nothing_and_heals(world: Stack) -> None:
    """T-OPS-1: refuse, then heal; nothing that was acknowledged is lost, and nothing stays open."""
    _, control, _ = _through(world, contextlib.nullcontext(), SEED)
    history, released, heal_s = _through(world, no_file_may_grow(world.processes.pid("broker")), SEED + 1)
    world.halt()
    world.start_all()
    world.halt()
    found, report = world.reconciled(), world.checked()
    print(
        f"T-OPS-1 released_while_full={released} heal_s={heal_s:.1f} lost={found.unlogged} abandoned={found.abandoned} "
        f"wrong_no={history.wrong('NO')} control_released={control} seed={SEED} (broker, RLIMIT_FSIZE, SQLite)"
    )

    assert (0, 0, 0) == (released, history.wrong("NO"), history.bad)
    assert heal_s <= HEAL_S
    assert ([], ()) == (found.found, report.findings)
    assert control > 0
