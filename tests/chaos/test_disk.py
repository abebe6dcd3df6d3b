"""Disks fill up under a running federation, and are emptied again."""

import contextlib
import resource
import time
from collections.abc import Iterator
from typing import Final

import pytest

from tests.chaos.stack import History, Stack

SEED: Final = 20_261_123
FULL_S: Final = 6.5
"""How long nothing can be written, seconds: the broker looks at its disk every five."""
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


def _through(
    world: Stack, fault: contextlib.AbstractContextManager[None], seed: int, full_s: float = FULL_S
) -> tuple[History, float, float]:
    """Ask before, during and after a fault; when it was there (`time.monotonic`)."""
    with world.asking(seed=seed) as history:
        time.sleep(1.0)
        with fault:
            since = time.monotonic() + SETTLE_S
            time.sleep(full_s)
            until = time.monotonic()
        time.sleep(HEAL_S / 2)
    return history, since, until


@pytest.mark.prove
def test_a_broker_whose_disk_is_full_releases_nothing_and_heals(world: Stack) -> None:
    """T-OPS-1: it refuses and says so, then heals by itself; nothing is lost, and nothing stays open."""
    history, since, until = _through(world, no_file_may_grow(world.processes.pid("broker")), SEED)
    control = history.released_between(until, until + FULL_S)
    released = history.released_between(since, until)
    told = history.first_after(since - SETTLE_S, "not_serving")
    world.halt()
    found, report = world.reconciled(), world.checked()
    print(
        f"T-OPS-1 released_while_full={released} heal_s={history.first_after(until):.1f} lost={found.unlogged} "
        f"abandoned={found.abandoned} not_serving_after_s={told:.1f} wrong_no={history.wrong('NO')} "
        f"control_released={control} seed={SEED} (broker on SQLite; RLIMIT_FSIZE, so that no privilege is needed)"
    )

    assert (0, 0, 0) == (released, history.wrong("NO"), history.bad)
    assert told < FULL_S
    assert history.first_after(until) <= HEAL_S
    assert ([], (), 0) == (found.found, report.findings, report.open_questions)
    assert control > 0


@pytest.mark.prove
def test_a_node_whose_disk_is_full_is_not_reached_and_heals(world: Stack) -> None:
    """T-OPS-1, T-NET-1: no answer leaves without its entry in the node's own ledger, and none of it reads as no."""
    history, since, until = _through(world, no_file_may_grow(world.processes.pid("police")), SEED + 1, FULL_S / 2)
    told = [one for one in history.of("ok") if since <= one["at"] < until]
    answered = sum(one["said"]["police"] not in {"NOT_REACHED"} for one in told)
    others = sum(one["said"]["housing"] in {"YES", "NO", "CANNOT_SAY"} for one in told)
    healed = [
        one["at"] - until for one in history.of("ok") if one["at"] > until and one["said"]["police"] in {"YES", "NO"}
    ]
    world.halt()
    found, report = world.reconciled(), world.checked()
    print(
        f"T-OPS-1 answered_while_full={answered} others_answered={others} heal_s={min(healed, default=-1):.1f} "
        f"wrong_no={history.wrong('NO')} unexplained={len(found.found)} seed={SEED + 1} (node on SQLite)"
    )

    assert (0, 0, 0) == (answered, history.wrong("NO"), history.bad)
    assert others > 0
    assert healed
    assert min(healed) <= HEAL_S
    assert ([], (), 0) == (found.found, report.findings, report.open_questions)
