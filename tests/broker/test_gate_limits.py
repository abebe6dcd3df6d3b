"""What a gate turns away because of how much it is, or of what kind, and a directory that has run out."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from accord.directory import BadDirectory
from agency_node import directory as node_directory
from agency_node import gate as steward_gate
from agency_node.store import open_store
from broker import directory as broker_directory
from broker.gate import BULKHEAD, Gate
from tests.world.trust import NOW_NS, Federation, make_federation

HEALTH = "grpc.health.v1.Health"


@pytest.fixture(scope="module")
def federation() -> Federation:
    return make_federation()


class Waits(health_pb2_grpc.HealthServicer):
    """Answers nobody before it is told to."""

    def __init__(self) -> None:
        self.inside = 0
        self.go = asyncio.Event()

    async def Check(self, request: Any, context: Any) -> health_pb2.HealthCheckResponse:
        self.inside += 1
        await self.go.wait()
        return health_pb2.HealthCheckResponse()

    async def Watch(self, request: Any, context: Any) -> Any:
        yield health_pb2.HealthCheckResponse()


async def served(federation: Federation, gate: Any, body: Callable[[Waits, str], Awaitable[Any]]) -> Any:
    servicer = Waits()
    server = grpc.aio.server(interceptors=[gate])
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    channel = federation.broker.channel
    pair = (channel.key_pem, channel.certificate_pem)
    credentials = grpc.ssl_server_credentials([pair], federation.ca_pem, require_client_auth=True)
    port = server.add_secure_port("localhost:0", credentials)
    await server.start()
    try:
        return await body(servicer, f"localhost:{port}")
    finally:
        await server.stop(0)


def dial(federation: Federation, agency: str, address: str) -> grpc.aio.Channel:
    channel = federation.agencies[agency].channel
    shown = grpc.ssl_channel_credentials(federation.ca_pem, channel.key_pem, channel.certificate_pem)
    return grpc.aio.secure_channel(address, shown)


@pytest.mark.parametrize("side", ["broker", "steward"])
def test_one_agencys_flood_leaves_room_for_the_others(federation: Federation, side: str) -> None:
    """T-NET-2: it is told to come back later; another agency's call goes through, and so does its own afterwards."""

    async def body(waits: Waits, address: str) -> tuple[list[Any], int, int]:
        async with dial(federation, "police", address) as police, dial(federation, "housing", address) as housing:
            flood = health_pb2_grpc.HealthStub(police)
            calls = [asyncio.ensure_future(_check(flood)) for _ in range(BULKHEAD + 1)]
            (refused,), _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
            other = asyncio.ensure_future(_check(health_pb2_grpc.HealthStub(housing)))
            while waits.inside <= BULKHEAD:
                await asyncio.sleep(0.01)
            most = waits.inside
            waits.go.set()
            await asyncio.gather(*calls, other)
            return [refused.result(), other.result(), await _check(flood)], most, waits.inside

    allow = {HEALTH: frozenset({"agency"})}
    gates = {
        "broker": Gate(lambda: federation.directory, allow, frozenset()),
        "steward": steward_gate.Gate(lambda: federation.directory, allow),
    }
    codes, most, after = asyncio.run(served(federation, gates[side], body))

    assert [grpc.StatusCode.RESOURCE_EXHAUSTED, None, None] == codes
    assert (BULKHEAD + 1, BULKHEAD + 2) == (most, after)


async def _check(stub: Any) -> grpc.StatusCode | None:
    try:
        await stub.Check(health_pb2.HealthCheckRequest(), timeout=60)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return None


def test_no_stream_passes_by_the_stewards_gate(federation: Federation) -> None:
    """T-SEC-4: a library's health service brings a stream along, and the gate looks at single calls."""

    async def body(waits: Waits, address: str) -> grpc.StatusCode:
        async with dial(federation, "police", address) as police:
            stream = health_pb2_grpc.HealthStub(police).Watch(health_pb2.HealthCheckRequest(), timeout=60)
            with contextlib.suppress(grpc.aio.AioRpcError):
                async for _ in stream:
                    pass
            code: grpc.StatusCode = await stream.code()
            return code

    gate = steward_gate.Gate(lambda: federation.directory, {})

    assert grpc.StatusCode.UNIMPLEMENTED is asyncio.run(served(federation, gate, body))


def test_a_stream_is_closed_with_its_call(federation: Federation) -> None:
    """T-NET-1: a node whose stream broke while something was on its way down is known at once to be gone."""
    ended: list[str] = []

    class Streams:
        """One that is still known to somebody, so that no collector closes it."""

        def __init__(self) -> None:
            self.down = self.frames()

        async def frames(self) -> AsyncGenerator[str, None]:
            try:
                yield "a frame"
                yield "another"
            finally:
                ended.append("told")

    class Calling:
        def auth_context(self) -> dict[str, list[bytes]]:
            return {"x509_pem_cert": [federation.agencies["police"].channel.certificate_pem]}

        def time_remaining(self) -> float:
            return 10.0

    async def body() -> tuple[str, list[str]]:
        streams = Streams()

        async def continuation(_: Any) -> Any:
            return grpc.unary_stream_rpc_method_handler(lambda request, context: streams.down, lambda data: data)

        gate = Gate(lambda: federation.directory, {HEALTH: frozenset({"agency"})}, frozenset())
        details: Any = type("Details", (), {"method": f"/{HEALTH}/Watch"})
        handler = await gate.intercept_service(continuation, details)
        call = handler.unary_stream(None, Calling())
        first = await anext(call)
        await call.aclose()
        return first, list(ended)

    assert ("a frame", ["told"]) == asyncio.run(body())


@pytest.mark.parametrize("side", ["broker", "node"])
def test_a_directory_that_runs_out_while_it_is_in_use_is_used_no_longer(
    federation: Federation, tmp_path: Path, side: str
) -> None:
    """T-SEC-4: keys that somebody meant to have withdrawn by now must not go on counting till the next restart."""
    now = [NOW_NS]
    limited = replace(federation.directory, version=2, expires_at_ns=NOW_NS + 1_000_000_000)
    path = tmp_path / "directory.json"
    path.write_bytes(federation.reissue(limited))
    engine = open_store(tmp_path / "node.db")
    try:
        file: Any = (
            broker_directory.DirectoryFile(path, federation.federation_public, lambda: now[0])
            if side == "broker"
            else node_directory.DirectoryFile(path, federation.federation_public, engine, lambda: now[0])
        )
        in_use = file.current().version
        now[0] += 1_000_000_000
        with pytest.raises(BadDirectory, match="has run out"):
            file.current()
        path.write_bytes(federation.reissue(replace(federation.directory, version=3)))
        newest = file.current().version
    finally:
        engine.dispose()

    assert (2, 3) == (in_use, newest)
