"""Several brokers on one database: one serves, the others stand by, and whoever dials finds the one that serves."""

import asyncio
import contextlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from agency_node.channel import Identity, dial
from broker import __main__ as broker
from broker import doctor, fsck, policy
from broker.settings import BrokerSettings, load
from broker.store import Server, open_for_reading, tree
from deploy.demo.ports import free_ports
from tests.world import trust
from tests.world.broker_databases import BrokerDatabases
from tests.world.stack import policy_files

pytestmark = pytest.mark.needs("postgres", "initdb")
ROOT = Path(__file__).parents[2]
PATIENCE_S = 90.0
"""Longest wait for what must come, seconds; it bounds hanging and judges no speed."""
STANDS_BY = "one broker writes, 1 stands by"


def found(home: Path, place: Server, count: int) -> tuple[trust.Federation, list[BrokerSettings]]:
    """A federation whose broker's home stands on several machines: the same keys and rules, one address each."""
    federation = trust.make_federation(home, now_ns=time.time_ns())
    keys = federation.broker
    (home / "broker" / "policy.tar.gz").write_bytes(policy.pack(policy_files(), keys.policy, keys.policy_kid))
    told = []
    for number, port in enumerate(free_ports(count)):
        folder = home / f"broker-{number}"
        shutil.copytree(home / "broker", folder)
        (folder / "broker.toml").write_text(
            f'federation = "{federation.name}"\nlisten = "localhost:{port}"\ndatabase_url_file = "{place.url_file}"\n'
        )
        told.append(load(folder / "broker.toml"))
    return federation, told


def identity(home: Path) -> Identity:
    """An agency's."""
    folder = home / "police"
    return Identity(*((folder / name).read_bytes() for name in ("tls.key", "tls.crt", "ca.pem")))


async def serving(address: str, shown: Identity) -> str:
    """What the broker at an address, or at the first of several that answers, says of its health."""
    async with dial(address, shown) as channel:
        try:
            reply = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        except grpc.aio.AioRpcError as error:
            return str(error.code().name)
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status))


async def until(address: str, shown: Identity, wanted: str = "SERVING") -> float:
    """Ask until it says so; how long that took, in seconds."""
    began = time.monotonic()
    while await serving(address, shown) != wanted:
        assert time.monotonic() < began + PATIENCE_S, f"{address} did not become {wanted}"
        await asyncio.sleep(0.05)
    return time.monotonic() - began


@contextlib.asynccontextmanager
async def started(settings: BrokerSettings) -> AsyncIterator[asyncio.Event]:
    """A broker in a task of its own, active or standing by; what it gives is set when it was superseded."""
    superseded = asyncio.Event()

    async def whole() -> None:
        async with broker.running(settings, superseded=superseded.set):
            await superseded.wait()

    task = asyncio.create_task(whole())
    try:
        yield superseded
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def test_the_one_that_stands_by_takes_over(tmp_path: Path, databases: BrokerDatabases) -> None:
    """T-AUD-4, T-OPS-4: it does not listen while another serves; when that one loses the ledger, it serves instead."""
    place = databases.fresh()
    home = tmp_path / "homes"
    _, (first, second) = found(home, place, 2)
    shown = identity(home)
    both = f"{first.listen},{second.listen}"

    async def inside() -> tuple[str, str, str, dict[str, str]]:
        async with started(first) as superseded:
            await until(first.listen, shown)
            async with started(second):
                rows = await asyncio.to_thread(doctor.examine, second, time.time_ns())
                patience = time.monotonic() + PATIENCE_S
                while {"ok"} != {str(row.state) for row in rows} or STANDS_BY not in {row.found for row in rows}:
                    assert time.monotonic() < patience, rows
                    rows = await asyncio.to_thread(doctor.examine, second, time.time_ns())
                before = await serving(second.listen, shown)
                # As when the network between the first broker and its database breaks.
                databases.server.run(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND granted"
                    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
                    database=databases.name(place),
                )
                await until(second.listen, shown)
                await asyncio.wait_for(superseded.wait(), PATIENCE_S)
                await until(first.listen, shown, "UNAVAILABLE")
                told = {row.name: row.found for row in rows}
                return before, await serving(second.listen, shown), await serving(both, shown), told

    before, after, either, told = asyncio.run(inside())

    assert ("UNAVAILABLE", "SERVING", "SERVING") == (before, after, either)
    assert told["replicas"] == STANDS_BY
    assert told["serving"].startswith("stands by: another broker writes")
    assert "synchronous_commit=on, fsync=on, full_page_writes=on" in told["database"]


def test_a_broker_outlives_a_restart_of_its_database(tmp_path: Path, databases: BrokerDatabases) -> None:
    """T-AUD-1, T-OPS-4: it says that it cannot serve while the server is away, and serves again by itself."""
    home = tmp_path / "homes"
    _, (told,) = found(home, databases.fresh(), 1)
    shown = identity(home)

    async def inside() -> bool:
        async with started(told) as superseded:
            await until(told.listen, shown)
            databases.server.stop()
            await until(told.listen, shown, "NOT_SERVING")
            await asyncio.to_thread(databases.server.start)
            await until(told.listen, shown)
            return superseded.is_set()

    assert not asyncio.run(inside())


@pytest.mark.prove
def test_brokers_that_are_killed_are_followed_by_the_next(tmp_path: Path, databases: BrokerDatabases) -> None:
    """T-AUD-4, T-OPS-4: kill -9 and freezing of whichever serves; the ledger holds, with one start after the other."""
    place = databases.fresh()
    home = tmp_path / "homes"
    federation, told = found(home, place, 2)
    shown = identity(home)
    both = ",".join(one.listen for one in told)
    running = {one.listen: start(home / f"broker-{number}", home) for number, one in enumerate(told)}
    takes_s, frozen_s = [], []
    try:
        asyncio.run(until(both, shown))
        stands_by(*(home / f"broker-{number}.log" for number in range(len(told))))
        for turn in range(4):
            (active,) = [one for one in running if asyncio.run(serving(one, shown)) == "SERVING"]
            (other,) = set(running) - {active}
            freeze = turn == 3
            running[active].send_signal(signal.SIGSTOP if freeze else signal.SIGKILL)
            taken = asyncio.run(until(other, shown))
            (frozen_s if freeze else takes_s).append(taken)
            if freeze:
                running[active].send_signal(signal.SIGCONT)
                asyncio.run(until(active, shown, "UNAVAILABLE"))
            else:
                running[active].wait()
                number = [one.listen for one in told].index(active)
                running[active] = start(home / f"broker-{number}", home)
                stands_by(home / f"broker-{number}.log")
                assert asyncio.run(serving(other, shown)) == "SERVING"
    finally:
        for process in running.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
    store = open_for_reading(place)
    row = federation.directory.broker
    report = fsck.verify(store, row.ledger_origin, row.ledger_key)
    with store.reader.connect() as connection:
        tenures = connection.exec_driver_sql("SELECT count(*) FROM tenure").scalar_one()
        entries = tree.count(connection)
    store.close()
    print(
        f"T-OPS-4 replicas: ledger_holds={report.ok} tenures={tenures} entries={entries} kills={len(takes_s)} "
        f"takeover_s_max={max(takes_s):.1f} frozen_takeover_s={frozen_s[0]:.1f}"
    )

    assert (True, 5) == (report.ok, tenures)


def start(folder: Path, logs: Path) -> "subprocess.Popen[bytes]":
    """A broker as the process that it is."""
    with (logs / f"{folder.name}.log").open("ab") as log:
        return subprocess.Popen(
            [Path(sys.executable).parent / "accord-broker", "serve", "--home", folder], stderr=log, cwd=ROOT
        )


def stands_by(*logs: Path) -> None:
    """Wait until the newest line of one of the logs says that its broker stands by."""
    deadline = time.monotonic() + PATIENCE_S
    while not any(b"standing_by" in (log.read_bytes().splitlines() or [b""])[-1] for log in logs):
        assert time.monotonic() < deadline, "no broker stands by"
        time.sleep(0.05)
