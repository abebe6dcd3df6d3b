"""A federation in a thread of its own for all tests of a file, and the two programs as a person starts them."""

import asyncio
import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from accord.bundle import open_bundle
from agency_node import cli as node_cli
from agency_node import events as node_events
from agency_node.service import RulesInForce
from agency_node.store import open_store
from broker import cli as broker_cli
from broker import events as broker_events
from broker import policy
from deploy.demo.identity_provider import IdentityProvider
from tests.world import stack as worlds
from tests.world import trust

BESIDE: Final = Path(sys.executable).parent
START_S: Final = 600
POLICIES: Final = Path(__file__).parents[2] / "policies"
NOBODY: Final = "localhost:9"
"""Where nothing listens (the discard port, RFC 863)."""


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
        timeout=600,
    )
    return Said(ran.returncode, ran.stdout, ran.stderr)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Program]:
    """Runs one of the two programs' `main` in this process, which takes a tenth of the time; otherwise as `start`.

    A command sets how its process logs, so this is not for tests in which a federation lives in this process too.
    """
    for name in list(os.environ):
        if name.startswith("ACCORD_"):
            monkeypatch.delenv(name)

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
    node_events.configure(strict=True)
    broker_events.configure(strict=True)


@dataclass(frozen=True, slots=True)
class Place:
    """An agency's home that has joined and has its rules, in a federation where nothing runs."""

    home: Path
    federation: trust.Federation
    providers: dict[str, IdentityProvider]

    def token(self, agency: str = "social-care", **change: Any) -> Path:
        """Sign a member of staff in; the file with their token."""
        file = self.home.parent / "token"
        now_s = change.pop("now_s", int(time.time()))
        file.write_text(self.providers[agency].token("worker-1", "practitioner", now_s=now_s, **change))
        return file


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Social care's home; nobody changes it."""
    root = tmp_path_factory.mktemp("alone")
    federation = trust.make_federation(root, now_ns=time.time_ns())
    providers = {name: IdentityProvider.make(f"https://login.{name}.example", name) for name in federation.agencies}
    home = root / "social-care"
    (home / "jwks.json").write_bytes(providers["social-care"].jwks())
    (home / "node.toml").write_text(
        f'federation = "midshire"\nagency = "social-care"\nbroker = "{NOBODY}"\nsteward = "{NOBODY}"\n'
        + providers["social-care"].settings("jwks.json")
    )
    bundle = policy.build(POLICIES, "demo", federation.broker.policy, federation.broker.policy_kid)
    engine = open_store(home / "node.db")
    rules = RulesInForce("social-care", engine, lambda: federation.directory)
    rules.take(bundle, open_bundle(bundle, federation.directory.broker.policy_public_keys()).revision, 1)
    rules.close()
    engine.dispose()
    return Place(home, federation, providers)


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[worlds.World]:
    """A federation of three agencies that answers until the last test of a file is done."""
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
