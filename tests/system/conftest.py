"""A federation that runs for all tests of a file in a thread of its own, and the two programs as a person starts them."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.world import stack as worlds

BESIDE: Final = Path(sys.executable).parent
START_S: Final = 120


@dataclass(frozen=True, slots=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """All that it said, its line breaks taken out."""
        return " ".join((self.out + " " + self.err).split())


Program = Callable[..., Said]


def run(name: str, *words: str | Path, told: str = "", also: Mapping[str, str] | None = None) -> Said:
    """Run one of the two programs to its end.

    Args:
        name: accord-node or accord-broker.
        words: Its arguments.
        told: What it reads on standard input.
        also: Environment variables beside the usual ones.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
    ran = subprocess.run(
        [str(BESIDE / name), *map(str, words)],
        input=told,
        env=clean | {"COLUMNS": "200", "NO_COLOR": "1"} | dict(also or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return Said(ran.returncode, ran.stdout, ran.stderr)


@pytest.fixture(scope="session")
def node() -> Program:
    """Runs `accord-node`."""
    return lambda *words, **more: run("accord-node", *words, **more)


@pytest.fixture(scope="session")
def broker() -> Program:
    """Runs `accord-broker`."""
    return lambda *words, **more: run("accord-broker", *words, **more)


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[worlds.World]:
    """A federation of three agencies that answers until the file's last test is done."""
    home = tmp_path_factory.mktemp("federation")
    came: list[worlds.World | BaseException] = []
    up, loop = threading.Event(), asyncio.new_event_loop()
    ending = asyncio.Event()

    async def live() -> None:
        try:
            async with worlds.stack(home) as world:
                came.append(world)
                up.set()
                await ending.wait()
        except BaseException as error:
            came.append(error)
            up.set()
            raise

    thread = threading.Thread(target=loop.run_until_complete, args=(live(),), name="federation")
    thread.start()
    assert up.wait(START_S)
    world = came[0]
    if isinstance(world, BaseException):
        raise world
    try:
        yield world
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join(START_S)
        loop.close()
