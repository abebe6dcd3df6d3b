"""Open Policy Agent's own server as the engine: the same decisions, and no failure of it becomes leave."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import pytest

from broker import policy
from broker.engines import (
    Engine,
)
from broker.engines.opa import OpaServer
from broker.engines.regorus import Regorus
from tests.world.opa_server import OpaProcess, opa_server, serving_bundle
from tests.world.rules import KEY, KID, POLICIES, example, shipped

ENTRYPOINT = "accord.query.decision"
DOCUMENT = json.dumps(example("s47_enquiry")).encode()
real = pytest.mark.needs("opa")
Outcome = TypeVar("Outcome")


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
