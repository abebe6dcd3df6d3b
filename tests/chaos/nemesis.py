"""Faults at moments that a seed chooses.

    kills(world, Random(seed), {"broker": 25, "police": 3})      one after the other, each started again
    crash(server)                                                PostgreSQL, with all its children

The broker is waited for, so that most kills meet one that is at work: half of them with every node attached, half while
the nodes come back; now and then it is killed while it starts. Everybody else is back by themselves while the next
fault is under way already.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Final

from tests.chaos.stack import Stack
from tests.world.database_servers import DatabaseServer

LONGEST_PAUSE_S: Final = 0.6
"""Longest time at work between two faults, seconds: a few questions at least are under way."""
SETTLED: Final = 0.5
"""Share of the broker's kills that wait until every node is attached."""
WHILE_STARTING: Final = 0.1
"""Share of restarts that are not waited for."""

INJECT: Final = ("strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=fdatasync", "-e")
GONE_S: Final = 60.0
"""How long the kernel may take to clear away what was killed, seconds."""


def kills(world: Stack, chance: Random, counts: Mapping[str, int]) -> float:
    """Kill programs as a power cut would (SIGKILL), so many times each, in a random order; all are up at the end.

    Returns:
        How long it took, seconds.
    """
    began = time.monotonic()
    order = [name for name, count in counts.items() for _ in range(count)]
    chance.shuffle(order)
    for name in order:
        if name == "broker" and chance.random() < SETTLED:
            world.settle()
        time.sleep(chance.uniform(0.0, LONGEST_PAUSE_S))
        world.kill(name)
        if name == "broker" and chance.random() < WHILE_STARTING:
            world.start(name, wait=False)
            time.sleep(chance.uniform(0.0, LONGEST_PAUSE_S))
            world.kill(name)
        world.start(name, wait=name == "broker")
    world.settle()
    return time.monotonic() - began


def crash(server: DatabaseServer) -> None:
    """End a PostgreSQL server with all its children, the postmaster first, as a power cut would end the programs.

    What the kernel was given to write is still written: whether that is on the disk, this does not try.
    """
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text("ascii").split()
    for pid in (server.process.pid, *map(int, children)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    server.process.wait()
    until = time.monotonic() + GONE_S
    while any(Path(f"/proc/{pid}/fd/0").exists() for pid in children) and time.monotonic() < until:
        time.sleep(0.01)


def may_trace() -> str:
    """Why faults cannot be put into system calls on this machine; "" where they can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run([*INJECT, "inject=fdatasync:error=EIO", "true"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "ptrace is not allowed"


@contextlib.contextmanager
def disk_that_breaks(pid: int, after: int) -> Iterator[None]:
    """A process, and each that it starts from now on, is told once by fdatasync that the disk failed (strace(1))."""
    tracer = subprocess.Popen([*INJECT, f"inject=fdatasync:error=EIO:when={after}", "-p", str(pid)])
    try:
        until = time.monotonic() + GONE_S
        while b"TracerPid:\t0\n" in Path(f"/proc/{pid}/status").read_bytes() and time.monotonic() < until:
            time.sleep(0.01)
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
