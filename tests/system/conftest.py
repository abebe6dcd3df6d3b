"""A federation that runs in a thread of its own for all tests here, and the two programs as a person starts them."""

import asyncio
import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import structlog

from agency_node import cli as node_cli
from broker import cli as broker_cli
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
MAINS: Final[Mapping[str, Callable[[], None]]] = {"accord-node": node_cli.main, "accord-broker": broker_cli.main}


def start(*words: str | Path, told: str = "", also: Mapping[str, str] | None = None) -> Said:
    """Run one of the two programs to its end, as a process of its own.

    Args:
        words: accord-node or accord-broker, and its arguments.
        told: What it reads on standard input.
        also: Environment variables beside the usual ones.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
    ran = subprocess.run(
        [str(BESIDE / str(words[0])), *map(str, words[1:])],
        input=told,
        env=clean | {"COLUMNS": "200", "NO_COLOR": "1"} | dict(also or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return Said(ran.returncode, ran.stdout, ran.stderr)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Program]:
    """Runs one of the two programs' `main` in this process, which takes a tenth of the time; otherwise as `start`."""
    for name in list(os.environ):
        if name.startswith("ACCORD_"):
            monkeypatch.delenv(name)
    # A command sets how it logs; the federation in the other thread keeps its own way.
    logging = structlog.get_config()

    def here(*words: str | Path, told: str = "", also: Mapping[str, str] | None = None) -> Said:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", [str(word) for word in words])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(told.encode())))
            for name, value in (also or {}).items():
                patch.setenv(name, value)
            capsys.readouterr()
            with pytest.raises(SystemExit) as ended:
                MAINS[str(words[0])]()
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Said(ended.value.code, said.out, said.err)

    yield here
    structlog.configure(**logging)


@pytest.fixture(scope="session")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[worlds.World]:
    """A federation of three agencies that answers until the last test is done."""
    home = tmp_path_factory.mktemp("federation")
    came: list[worlds.World | BaseException] = []
    up = threading.Event()
    end: list[Callable[[], object]] = []

    async def live() -> None:
        ending = asyncio.Event()
        loop = asyncio.get_running_loop()
        end.append(lambda: loop.call_soon_threadsafe(ending.set))
        try:
            async with worlds.stack(home) as world:
                came.append(world)
                up.set()
                await ending.wait()
        except BaseException as error:
            came.append(error)
            up.set()
            raise

    thread = threading.Thread(target=lambda: asyncio.run(live()), name="federation", daemon=True)
    thread.start()
    assert up.wait(START_S)
    world = came[0]
    if isinstance(world, BaseException):
        raise world
    try:
        yield world
    finally:
        end[0]()
        thread.join(START_S)
