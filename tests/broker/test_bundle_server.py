"""The bundle listener: the signed bundle in force, to whoever asks on this machine, and nothing twice."""

import asyncio
import http.client
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from broker.bundle_server import PATH, AddressTaken, serving
from tests.world.opa_server import serving_bundle


@dataclass(slots=True)
class Listener:
    """A running listener and what it hands out."""

    url: str = ""
    data: bytes = b"first"
    replies: list[tuple[int, bytes, str]] = field(default_factory=list)

    def ask(self, method: str = "GET", path: str = PATH, held: str = "") -> tuple[int, bytes, str]:
        """Status, body and tag of one request."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)
        connection.request(method, path, headers={"If-None-Match": held} if held else {})
        reply = connection.getresponse()
        found = reply.status, reply.read(), reply.getheader("ETag", "")
        connection.close()
        return found


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    one = Listener()
    with serving_bundle(lambda: one.data) as one.url:
        yield one


def test_the_bundle_in_force_is_handed_out(listener: Listener) -> None:
    """T-POL-2: what is in force now, byte for byte, also after a change."""
    listener.data = b"first"
    before = listener.ask()
    listener.data = b"second"
    after = listener.ask()

    assert (200, b"first") == before[:2]
    assert (200, b"second") == after[:2]
    assert before[2] != after[2]


def test_who_has_it_is_told_so_and_no_more(listener: Listener) -> None:
    """A server that asks every few seconds costs a few bytes; another bundle is sent at once."""
    listener.data = b"first"
    tag = listener.ask()[2]
    same, among = listener.ask(held=tag), listener.ask(held=f'"0", {tag}')
    listener.data = b"second"
    other = listener.ask(held=tag)

    assert (304, b"", tag) == same
    assert (304, b"", tag) == among
    assert (200, b"second") == other[:2]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/bundles/", 404),
        ("GET", "/bundles/../broker.toml", 404),
        ("POST", PATH, 405),
        ("PUT", PATH, 405),
        ("HEAD", PATH, 200),
    ],
)
def test_there_is_nothing_else_to_ask_for(listener: Listener, method: str, path: str, status: int) -> None:
    """T-SEC-4: one path, read only."""
    assert status == listener.ask(method, path)[0]
    assert b"second" not in listener.ask(method, path)[1]


def test_an_address_that_is_taken_stops_the_start(listener: Listener) -> None:
    """An operator is told which setting, and the broker does not run without handing out its rules."""

    async def second() -> None:
        async with serving(urlsplit(listener.url).netloc, lambda: b""):
            pass

    with pytest.raises(AddressTaken, match="cannot listen") as refused:
        asyncio.run(second())

    assert "policy_listen" in refused.value.cure
