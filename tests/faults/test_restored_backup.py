"""Yesterday's copy of the broker's database is put back and the broker started: before it signs, it is noticed.

The nodes keep what they countersigned, so they know; the broker asks them, and believes its own signature.
"""

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from accord.reasons import Problem
from agency_node import events as node_events
from agency_node import settings as node_settings
from broker import __main__ as broker
from broker import events as broker_events
from broker.settings import BrokerSettings
from broker.witnesses import LedgerOlder
from tests.world import hostile
from tests.world import stack as worlds

AGENCIES: Final = ("housing", "police")
LEN: Final = {
    "first_name": "Lennox",
    "last_name": "Farthingdale",
    "date_of_birth": "2010-12-03",
    "sex": "male",
    "address": "40 Mill Race",
    "postcode": "MD7 3QP",
    "role": "child",
}
Heads = Mapping[int, str]


def copy(database: Path, to: Path) -> None:
    """A copy as an operator's backup makes it (https://www.sqlite.org/backup.html)."""
    with contextlib.closing(sqlite3.connect(database)) as one, contextlib.closing(sqlite3.connect(to)) as other:
        one.backup(other)


def put_back(copied: Path, database: Path) -> None:
    """Replace the database by a copy."""
    for end in ("", "-wal", "-shm"):
        database.with_name(database.name + end).unlink(missing_ok=True)
    shutil.copyfile(copied, database)


def heads(database: Path) -> Heads:
    """Every head that a database holds: size -> root in hexadecimal."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return {size: root.hex() for size, root in connection.execute("SELECT size, root FROM ledger_head")}


def signed_smaller(known: Heads, now: Heads) -> int:
    """How many heads are no larger than one that was signed before, and are not among those."""
    return sum(known.get(size) != root for size, root in now.items() if size <= max(known))


@contextlib.asynccontextmanager
async def nodes(settings: Mapping[str, node_settings.NodeSettings], broker_at: str) -> AsyncIterator[None]:
    """The agencies' nodes, each attached to the broker as ever."""
    async with contextlib.AsyncExitStack() as running:
        for agency in AGENCIES:
            told = settings[agency].model_copy(update={"broker": broker_at})
            await running.enter_async_context(worlds.node.answering(told))
        yield


async def start(told: BrokerSettings, settings: Mapping[str, node_settings.NodeSettings]) -> str:
    """Start the broker where the nodes dial, which are there as soon as it listens; how that ends."""

    async def serve() -> str:
        try:
            async with broker.running(told):
                return "serves"
        except LedgerOlder as problem:
            return problem.reason

    serving = asyncio.create_task(serve())
    host, _, port = told.listen.rpartition(":")
    while not serving.done():
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.close()
            break
        await asyncio.sleep(0.01)
    async with nodes(settings, told.listen):
        return await serving


async def ask(world: worlds.World) -> list[str]:
    """Ask, and what the police say."""
    outcome = await world.ask("social-care", hostile.question([LEN], agencies=["police"]))
    return [one.answer for agency in outcome.agencies for one in agency.answers]


@dataclass(frozen=True, slots=True)
class Copies:
    """Copies of the broker's database, and what was signed when the newest was made.

    Attributes:
        unwitnessed: From before anybody countersigned.
        yesterday: From later, but not the newest.
        newest: The last.
        known: Every head of the newest.
    """

    unwitnessed: Path
    yesterday: Path
    newest: Path
    known: Heads


async def lived(homes: Path, folder: Path) -> tuple[worlds.World, Copies]:
    """A federation that asked and answered for a while, backed up now and then; it runs no more."""
    copies = [folder / f"{name}.db" for name in ("unwitnessed", "yesterday", "newest")]
    async with worlds.stack(homes, {"police": [worlds.held(1, LEN, contacts=[worlds.ago(12)])]}) as world:
        database = world.broker.database
        copy(database, copies[0])
        with contextlib.closing(sqlite3.connect(copies[0])) as connection, connection:
            connection.execute("DROP TRIGGER cosignature_is_kept")
            connection.execute("DELETE FROM cosignature")
        for _ in range(3):
            await ask(world)
        await world.until(lambda: witnessed(database) > 0)
        copy(database, copies[1])
        for _ in range(5):
            await ask(world)
        for agency in AGENCIES:
            # Attached anew, so that each has countersigned the newest head.
            await world.stop(agency)
            await world.start(agency)
    copy(database, copies[2])
    return world, Copies(copies[0], copies[1], copies[2], heads(database))


@dataclass(slots=True)
class Walk:
    """What came of each copy."""

    outcome: str = ""
    smaller: int = -1
    alarms: tuple[int, ...] = ()
    control: int = -1
    late: str = ""
    recovered: tuple[str, ...] = ()


async def walk(homes: Path, folder: Path) -> Walk:
    """Put back one copy after the other, and start."""
    walked = Walk()
    world, copies = await lived(homes, folder)
    settings, database = dict(world.settings), world.broker.database
    broker_events.configure("info", world.logs[0], strict=True)
    node_events.configure("info", world.logs[1], strict=True)
    told = world.broker.model_copy(update={"listen": settings["police"].broker})
    steward = homes / "steward" / "steward.toml"
    steward.write_text(f'federation = "midshire"\nlisten = "{settings["police"].steward}"\n')
    async with worlds.node.stewarding(node_settings.load_steward(steward)):
        before = [alarmed(world, agency) for agency in AGENCIES]
        put_back(copies.yesterday, database)
        walked.outcome = await start(told, settings)
        walked.smaller = signed_smaller(copies.known, heads(database))
        walked.alarms = tuple(alarmed(world, agency) - was for agency, was in zip(AGENCIES, before, strict=True))

        put_back(copies.unwitnessed, database)
        async with broker.running(told):
            await ask(world)
            walked.control = signed_smaller(copies.known, heads(database))
            was = alarmed(world, "police")
            async with nodes(settings, told.listen):
                # The node looks at the broker's head after the broker has looked at the node's.
                await world.until(lambda: alarmed(world, "police") > was)
                with pytest.raises(Problem) as refused:
                    await ask(world)
                walked.late = refused.value.reason

        put_back(copies.newest, database)
        async with nodes(settings, told.listen), broker.running(told):
            walked.recovered = tuple(await ask(world))
    return walked


@pytest.fixture
def quiet() -> Iterator[None]:
    """Log lines are held to their declaration as ever, but not shown among the figures."""
    yield
    broker_events.configure(strict=True)
    node_events.configure(strict=True)


@pytest.mark.prove
def test_a_restored_backup_is_noticed_before_anything_is_signed(tmp_path: Path, quiet: None) -> None:
    """T-AUD-8: the broker does not start, each node has its alarm, and with the newest copy all is as it was.

    The control: a copy of which nobody was a witness yet is gone on from, and signed over what was signed before, until
    the first witness comes.
    """
    walked = asyncio.run(walk(tmp_path / "homes", tmp_path))
    print(
        f"T-AUD-8 signed_smaller={walked.smaller} control_signed_smaller={walked.control} start={walked.outcome} "
        f"alarms_before_any_warrant={walked.alarms} witness_came_late={walked.late} recovered={walked.recovered}"
    )

    assert ("CHECKPOINT_OLDER", 0) == (walked.outcome, walked.smaller)
    assert [True, True] == [count >= 1 for count in walked.alarms]
    assert walked.control > 0
    assert "AUDIT_UNAVAILABLE" == walked.late
    assert ("YES",) == walked.recovered


def witnessed(database: Path) -> int:
    """How many countersignatures a broker's database holds."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("SELECT count(*) FROM cosignature").fetchone()[0])


def alarmed(world: worlds.World, agency: str) -> int:
    """How many alarms of an older head a node's own ledger holds."""
    return sum(one.get("reason") == "CHECKPOINT_OLDER" for one in world.node_records(agency))
