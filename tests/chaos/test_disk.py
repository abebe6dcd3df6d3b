"""Disks fill up under a running federation, and are emptied again."""

import contextlib
import math
import resource
import time
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import pytest

from tests.chaos.stack import History, Stack

SEED: Final = 20_261_123
FULL_S: Final = 6.0
"""How long nothing can be written at least, seconds: the broker looks at its disk every five."""
HEALED_S: Final = 2.0
"""How long is asked once answers have come again, seconds."""


Felt: TypeAlias = Callable[[History, float], bool]


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
    world: Stack, fault: contextlib.AbstractContextManager[None], seed: int, full_s: float, felt: Felt, healed: Felt
) -> tuple[History, float, float]:
    """Ask before, during and after a fault; when it was there (`time.monotonic`).

    Args:
        world: What runs.
        fault: What goes wrong.
        seed: Of what is asked.
        full_s: How long the fault lasts at least, seconds.
        felt: Whether something came of the fault that must, after a moment; it lasts until then.
        healed: The same of its end; is waited for.
    """
    with world.asking(seed=seed) as history:
        history.wait_for(lambda so_far: so_far.released > 0)
        with fault:
            since = time.monotonic()
            time.sleep(full_s)
            history.wait_for(lambda so_far: felt(so_far, since))
            until = time.monotonic()
        history.wait_for(lambda so_far: healed(so_far, until))
        time.sleep(HEALED_S)
    return history, since, until


def _not_serving(history: History, since: float) -> bool:
    return history.first_after(since, "not_serving") < math.inf


def _answers(history: History, since: float) -> bool:
    return history.released_of(since, math.inf) > 0


def _says(history: History, agency: str, since: float) -> list[float]:
    """When an agency said something to questions asked since a moment."""
    asked = {one["id"]: one["at"] for one in reversed(history.of("invoke"))}
    return [
        one["at"]
        for one in history.of("ok")
        if one["said"].get(agency) in {"YES", "NO", "CANNOT_SAY"} and asked[one["id"]] >= since
    ]


@pytest.mark.prove
def test_a_broker_whose_disk_is_full_releases_nothing_and_heals(world: Stack) -> None:
    """T-OPS-1: it refuses and says so, then heals by itself; nothing is lost, and nothing stays open."""
    full = no_file_may_grow(world.processes.pid("broker"))
    history, since, until = _through(world, full, SEED, FULL_S, _not_serving, _answers)
    # What was durable before may reach its asker later; what was asked since cannot have been recorded.
    released, control = history.released_of(since, until), history.released_of(until, math.inf)
    told = history.first_after(since, "not_serving")
    world.halt()
    found, report = world.reconciled(), world.checked()
    print(
        f"T-OPS-1 released_while_full={released} heal_s={history.first_after(until):.1f} lost={found.unlogged} "
        f"abandoned={found.abandoned} not_serving_after_s={told:.1f} wrong_no={history.wrong('NO')} "
        f"control_released={control} seed={SEED} (broker on SQLite; RLIMIT_FSIZE, so that no privilege is needed)"
    )

    assert (0, 0, 0) == (released, history.wrong("NO"), history.bad)
    assert told < until - since
    assert ([], (), 0) == (found.found, report.findings, report.open_questions)
    assert control > 0


@pytest.mark.prove
def test_a_node_whose_disk_is_full_is_not_reached_and_heals(world: Stack) -> None:
    """T-OPS-1, T-NET-1: no answer leaves without its entry in the node's own ledger, and none of it reads as no."""
    full = no_file_may_grow(world.processes.pid("police"))
    history, since, until = _through(
        *(world, full, SEED + 1, FULL_S / 2),
        felt=lambda so_far, then: bool(_says(so_far, "housing", then)),
        healed=lambda so_far, then: bool(_says(so_far, "police", then)),
    )
    # What was recorded before may reach its asker later; what was asked since cannot have been.
    answered = sum(at < until for at in _says(history, "police", since))
    others = sum(at < until for at in _says(history, "housing", since))
    healed = [at - until for at in _says(history, "police", until)]
    world.halt()
    found, report = world.reconciled(), world.checked()
    print(
        f"T-OPS-1 answered_while_full={answered} others_answered={others} heal_s={min(healed, default=-1):.1f} "
        f"wrong_no={history.wrong('NO')} unexplained={len(found.found)} seed={SEED + 1} (node on SQLite)"
    )

    assert (0, 0, 0) == (answered, history.wrong("NO"), history.bad)
    assert others > 0
    assert healed
    assert ([], (), 0) == (found.found, report.findings, report.open_questions)
