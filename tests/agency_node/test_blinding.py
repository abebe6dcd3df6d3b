"""Blinding and finishing, here and in worker processes."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from accord.linkage import BadProof, FamilyKey
from agency_node.blinding import Blinder, Evaluated, Here, Plain, WorkerEnded, workers

KEY = FamilyKey(b"b" * 32, "2026-1", "dob.x pc.x")
INPUTS = [b"one", b"two", b"three"]
SIZE = 4


async def made(blinder: Blinder) -> list[bytes]:
    """Tokens of three inputs through a key server that is honest."""
    (tokens,) = await finished(blinder, (SIZE,), KEY)
    return tokens


async def finished(blinder: Blinder, sizes: Sequence[int], *servers: FamilyKey) -> list[list[bytes]]:
    """The same inputs padded to several sizes in one call, each evaluated with a key of its own."""
    blinded, sent = await blinder.blind([Plain(INPUTS, size) for size in sizes])
    evaluated = (key.evaluate(elements) for key, elements in zip(servers, sent, strict=True))
    return await blinder.finalise(blinded, [Evaluated(*one, KEY.public) for one in evaluated])


def between(count: int, act: Callable[[Blinder], Awaitable[object]]) -> object:
    """Do something with so many workers."""

    async def run() -> object:
        async with workers(count) as blinder:
            return await act(blinder)

    return asyncio.run(run())


@pytest.mark.parametrize("count", [1, 2])
def test_tokens_are_the_same_wherever_they_are_computed(count: int) -> None:
    """An index computed by several processes is the index that one computes."""
    expected = [KEY.direct(one) for one in INPUTS]

    async def many(blinder: Blinder) -> object:
        return await asyncio.gather(*(made(blinder) for _ in range(5)))

    assert [expected] * 5 == between(count, many)


@pytest.mark.parametrize("count", [1, 2])
def test_a_proof_that_does_not_hold_is_noticed_wherever_it_is_checked(count: int) -> None:
    """T-LNK-5: tokens under a key that is not pinned would find nobody; and the worker lives on."""
    other = FamilyKey(b"x" * 32, "2026-1", "dob.x pc.x")

    async def cheated(blinder: Blinder) -> object:
        with pytest.raises(BadProof):
            await finished(blinder, (SIZE, SIZE, SIZE), KEY, other, KEY)
        return await made(blinder)

    assert [KEY.direct(one) for one in INPUTS] == between(count, cheated)


def test_padding_is_sent_and_never_returned() -> None:
    """T-LNK-1: a server sees the size of the table; the caller gets as many tokens as inputs."""

    async def sizes(blinder: Blinder) -> object:
        _, sent = await blinder.blind([Plain(INPUTS, 8), Plain([], 4)])
        return [len(elements) for elements in sent], len(await made(blinder))

    assert ([8, 4], 3) == between(2, sizes)


@pytest.mark.parametrize("count", [1, 2])
def test_what_was_blinded_is_finished_once_and_whole(count: int) -> None:
    """T-LNK-1: a blind that served twice, or an answer that leaves a batch out, opens nothing."""

    async def again(blinder: Blinder) -> object:
        blinded, sent = await blinder.blind([Plain(INPUTS, SIZE), Plain(INPUTS, SIZE)])
        outputs = [Evaluated(*KEY.evaluate(elements), KEY.public) for elements in sent]
        with pytest.raises(BadProof):
            await blinder.finalise(blinded, outputs[:1])
        with pytest.raises(BadProof):
            await blinder.finalise(blinded, outputs)
        return await made(blinder)

    assert [KEY.direct(one) for one in INPUTS] == between(count, again)


def test_a_batch_of_another_blinder_is_refused() -> None:
    """A mistake of this program, not of a key server."""

    async def mixed(blinder: Blinder) -> object:
        ours, (elements,) = await Here().blind([Plain(INPUTS, SIZE)])
        output = Evaluated(*KEY.evaluate(elements), KEY.public)
        with pytest.raises(TypeError):
            await blinder.finalise(ours, [output])
        theirs, _ = await blinder.blind([Plain(INPUTS, SIZE)])
        with pytest.raises(TypeError):
            await Here().finalise(theirs, [output])
        return "refused"

    assert "refused" == between(2, mixed)


@pytest.mark.parametrize("count", [0, 17])
def test_there_are_neither_no_workers_nor_too_many(count: int) -> None:
    """Bounded, as everything is that somebody can set."""
    with pytest.raises(ValueError, match="workers"):
        between(count, made)


def children(pid: int) -> list[int]:
    """Processes that a process has started and that are still there."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def gone(pids: list[int]) -> bool:
    """Whether all of them end within a minute."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return True
        time.sleep(0.02)
    return False


def test_a_worker_that_is_killed_ends_the_job_with_a_cure() -> None:
    """T-OPS-6: as when the kernel is short of memory; nothing hangs."""

    async def killed(blinder: Blinder) -> object:
        for pid in children(os.getpid()):
            if b"agency_node.blinding" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
        with pytest.raises(WorkerEnded):
            await made(blinder)
        return "ended"

    assert "ended" == between(2, killed)


PARENT = """
import asyncio
from agency_node.blinding import workers
async def run():
    async with workers(2):
        print("up", flush=True)
        await asyncio.sleep(60)
asyncio.run(run())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent_however_it_ends(number: signal.Signals) -> None:
    """T-OPS-6: the pipe closes when the parent is killed too, so nothing is left running."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        started = children(parent.pid)
        parent.send_signal(number)
        parent.wait()

    assert 2 == len(started)
    assert gone(started)


def test_a_worker_is_given_none_of_this_nodes_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers get inputs and public keys only."""
    monkeypatch.setenv("ACCORD_DATABASE", "secret-place")

    async def environments(blinder: Blinder) -> object:
        found = [
            Path(f"/proc/{pid}/environ").read_bytes()
            for pid in children(os.getpid())
            if b"agency_node.blinding" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        await made(blinder)
        return found

    found = between(2, environments)

    assert isinstance(found, list)
    assert 2 == len(found)
    assert not any(b"ACCORD" in one for one in found)
