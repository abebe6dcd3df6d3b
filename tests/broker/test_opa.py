"""Open Policy Agent's own server as the engine: the same decisions, and no failure of it becomes leave."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from accord.reasons import Problem
from agency_node import asking
from broker import bundle_server, policy
from broker.engines import (
    Engine,
)
from broker.engines.opa import PAUSE_S, OpaServer
from broker.engines.regorus import Regorus
from tests.world import hostile
from tests.world import stack as worlds
from tests.world.opa_server import OpaProcess, free_port, opa_server, serving_bundle
from tests.world.rules import KEY, KID, POLICIES, example, shipped

ENTRYPOINT = "accord.query.decision"
DOCUMENT = json.dumps(example("s47_enquiry")).encode()
real = pytest.mark.needs("opa")
Outcome = TypeVar("Outcome")
WREN = {
    "first_name": "Wren",
    "last_name": "Abercorn",
    "date_of_birth": "2012-08-03",
    "sex": "female",
    "address": "22 Tollgate",
    "postcode": "MD6 2TG",
    "role": "child",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpaProcess]:
    data = policy.build(POLICIES, "demo", KEY, KID)
    with (
        serving_bundle(lambda: data) as address,
        opa_server(tmp_path_factory.mktemp("opa"), address, KID, KEY.public_key()) as running,
    ):
        running.ready()
        yield running


def run(make: Callable[[], Engine], body: Callable[[Engine], Awaitable[Outcome]]) -> Outcome:
    async def inside() -> Outcome:
        engine = make()
        try:
            return await body(engine)
        finally:
            engine.close()

    return asyncio.run(inside())


@real
@pytest.mark.parametrize("by", ["port", "socket"])
def test_the_server_decides_as_the_embedded_engine_does(server: OpaProcess, by: str) -> None:
    """T-POL-7: the same bundle and the same question, the same document; over a port and over a socket."""
    url = server.url if by == "port" else server.socket_url
    here = run(lambda: Regorus(shipped()), lambda engine: engine.decide(ENTRYPOINT, DOCUMENT))
    there = run(lambda: OpaServer(shipped(), url=url), lambda engine: engine.decide(ENTRYPOINT, DOCUMENT))

    assert here.result == there.result
    assert (shipped().revision, "opa 1.") == (there.revision, there.engine[:6])


@real
def test_a_broker_decides_on_the_server(tmp_path: Path) -> None:
    """T-POL-5: until the server has the rules in force nothing is asked; then it decides, and the ledger says so."""
    port, listen = free_port(), free_port()
    told = {"policy_engine": "opa", "opa_url": f"http://127.0.0.1:{port}", "policy_listen": f"127.0.0.1:{listen}"}

    async def story() -> tuple[str, asking.Outcome, list[dict[str, Any]]]:
        records = {"police": [worlds.held(1, WREN, contacts=[worlds.ago(20)])]}
        async with worlds.stack(tmp_path / "homes", records, broker_told=told) as world:
            before = await reason_of(world.ask("social-care", hostile.question([WREN])))
            keys = world.federation.broker
            address = f"http://127.0.0.1:{listen}{bundle_server.PATH}"
            (tmp_path / "opa").mkdir()
            with opa_server(tmp_path / "opa", address, keys.policy_kid, keys.policy.public_key(), port) as server:
                await asyncio.to_thread(server.ready)
                # The broker looks at its engine every five seconds; a pause of the circuit is shorter.
                await asyncio.sleep(PAUSE_S)
                outcome = await world.ask("social-care", hostile.question([WREN]))
            return before, outcome, world.broker_records()

    before, outcome, records = asyncio.run(story())
    by_kind = {kind: [one for one in records if one["kind"] == kind] for kind in ("ABANDONED", "DECIDED")}

    assert "POLICY_UNAVAILABLE" == before
    assert ["POLICY_UNAVAILABLE"] == [one["cause"] for one in by_kind["ABANDONED"]]
    assert "RELEASED" == outcome.kind
    assert ["opa 1."] == [one["engine"][:6] for one in by_kind["DECIDED"]]


async def reason_of(awaited: Awaitable[object]) -> str:
    """The reason with which something fails; empty when it does not."""
    try:
        await awaited
    except Problem as problem:
        return problem.reason
    return ""
