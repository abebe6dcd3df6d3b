"""The steward's gate: whose calls get in, and what a failure tells on its way out."""

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, TypeVar

import grpc
import grpc.aio
import pytest

from accord.reasons import Problem
from agency_node import events
from agency_node.gate import Gate
from tests.world import gates
from tests.world.gates import CANARY, CHECKPOINT, DIRECTORY, Door
from tests.world.trust import Federation, make_federation

Result = TypeVar("Result")
ALLOW: Final = {"accord.v1.DirectoryService": frozenset({"agency"})}
UNKNOWN_FIELD: Final = b"\xba\x3e\x04text"
"""Field 999, length-delimited (https://protobuf.dev/programming-guides/encoding/)."""


class QuotaUsed(Problem):
    """A failure with a code of the list, and a text that must stay inside."""

    reason = "QUOTA_EXCEEDED"


class Unlisted(Problem):
    """A failure whose code nobody has listed."""

    reason = CANARY


@pytest.fixture(scope="module")
def federation() -> Federation:
    return make_federation()


@pytest.fixture(autouse=True)
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    events.configure(stream=stream, strict=True)
    yield stream
    events.configure(strict=True)


def at_the_door(federation: Federation, body: Callable[[Door], Awaitable[Result]], *, demand: bool = True) -> Result:
    async def inside() -> Result:
        async with gates.served(federation, Gate(lambda: federation.directory, ALLOW), demand=demand) as door:
            return await body(door)

    return asyncio.run(inside())


def test_an_agency_gets_in(federation: Federation) -> None:
    """The control: an agency of the directory, with its own key, a deadline and a service it may use."""
    assert "OK" == at_the_door(federation, lambda door: door.knock(federation.agencies["police"].channel))


def test_no_wrong_certificate_gets_in(federation: Federation) -> None:
    """T-SEC-4: none, expired, another authority's, another federation's, unlisted, or another agency's key."""

    async def knock(door: Door) -> tuple[list[str], int]:
        outcomes = [await door.knock(one) for one in gates.wrong_identities(federation).values()]
        return outcomes, door.servicer.reached

    outcomes, reached = at_the_door(federation, knock)
    print(f"T-SEC-4 accepted={reached} of {len(outcomes)} cases")

    assert "OK" not in outcomes
    assert 0 == reached


def test_a_caller_without_certificate_is_refused_by_the_gate_itself(federation: Federation) -> None:
    """T-SEC-4: were the TLS library told not to ask for one, the gate would still."""
    assert "UNAUTHENTICATED UNAUTHENTICATED" == at_the_door(federation, lambda door: door.knock(None), demand=False)


@pytest.mark.parametrize(("who", "method"), [("broker", DIRECTORY), ("steward", DIRECTORY), ("police", CHECKPOINT)])
def test_a_role_may_call_what_is_named_for_it_and_nothing_else(federation: Federation, who: str, method: str) -> None:
    """T-SEC-4: the broker above all gets no keys evaluated by the steward."""
    one = getattr(federation, who).channel if who in {"broker", "steward"} else federation.agencies[who].channel

    assert "PERMISSION_DENIED NOT_ALLOWED" == at_the_door(federation, lambda door: door.knock(one, method=method))


def test_a_call_without_a_deadline_is_refused(federation: Federation) -> None:
    """T-NET-2: nobody may wait for ever."""
    police = federation.agencies["police"].channel

    outcome = at_the_door(federation, lambda door: door.knock(police, timeout=None))

    assert "INVALID_ARGUMENT DEADLINE_MISSING" == outcome


@pytest.mark.parametrize("message", [UNKNOWN_FIELD, b"\xff\xff\xff", b"\x0a\x05abc"])
def test_a_message_that_is_not_of_the_contract_is_refused(federation: Federation, message: bytes) -> None:
    """T-SEC-3: unknown fields and malformed bytes get a code of ours, never the library's UNKNOWN with its text."""
    police = federation.agencies["police"].channel

    async def knock(door: Door) -> tuple[str, int]:
        return await door.knock(police, message=message), door.servicer.reached

    assert ("INVALID_ARGUMENT BAD_REQUEST", 0) == at_the_door(federation, knock)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (KeyError(CANARY), "INTERNAL INTERNAL"),
        (RuntimeError(f"near {CANARY}: syntax error"), "INTERNAL INTERNAL"),
        (Unlisted(CANARY), "INTERNAL INTERNAL"),
        (QuotaUsed(f"{CANARY} asked too often"), "RESOURCE_EXHAUSTED QUOTA_EXCEEDED"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_failure_tells_its_code_and_no_text(
    federation: Federation, log: io.StringIO, error: Exception, outcome: str
) -> None:
    """T-PRV-1: what an exception says may hold what must not leave; a code and its own words go out."""
    police = federation.agencies["police"].channel
    seen: list[str] = []

    async def knock(door: Door) -> str:
        door.servicer.error = error
        credentials = grpc.ssl_channel_credentials(federation.ca_pem, police.key_pem, police.certificate_pem)
        async with grpc.aio.secure_channel(door.address, credentials) as channel:
            call: Any = channel.unary_unary(DIRECTORY, None, None)
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await call(b"", timeout=gates.CALL_S)
        seen.append(gates.everything_told(failed.value))
        return gates.told(failed.value)

    assert outcome == at_the_door(federation, knock)
    assert CANARY not in "".join(seen)
    assert CANARY not in log.getvalue()
