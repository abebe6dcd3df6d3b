"""The broker's gate: whose calls get in, and what a failure tells on its way out."""

import asyncio
import io
import os
import resource
from collections.abc import Awaitable, Callable, Iterator
from random import Random
from typing import Any, Final, TypeVar

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2

from accord.identity import BadDescription
from accord.v1 import audit_pb2, broker_pb2, directory_pb2
from broker import events
from broker.gate import Gate, refuse_unknown_fields, status_of
from broker.stages import LedgerUnavailable, RateLimited
from tests.world import gates
from tests.world.gates import CANARY, CHECKPOINT, DIRECTORY, ENTRIES, Door
from tests.world.trust import Federation, make_federation

Result = TypeVar("Result")
ALLOW: Final = {
    "accord.v1.DirectoryService": frozenset({"agency", "broker"}),
    "accord.v1.AuditService": frozenset({"agency"}),
    ENTRIES: frozenset({"broker"}),
}
UNKNOWN_FIELD: Final = b"\xba\x3e\x04text"
"""Field 999, length-delimited (https://protobuf.dev/programming-guides/encoding/)."""


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
        async with gates.served(
            federation, Gate(lambda: federation.directory, ALLOW, frozenset()), demand=demand
        ) as door:
            return await body(door)

    return asyncio.run(inside())


def test_the_right_certificate_gets_in(federation: Federation) -> None:
    """The control: an agency of the directory, with its own key, a deadline and a service it may use."""
    assert "OK" == at_the_door(federation, lambda door: door.knock(federation.agencies["police"].channel))


def test_no_wrong_certificate_gets_in(federation: Federation) -> None:
    """T-SEC-4: none, expired, another authority's, another federation's, unlisted, or another agency's key."""

    async def knock(door: Door) -> tuple[dict[str, str], int]:
        outcomes = {what: await door.knock(one) for what, one in gates.wrong_identities(federation).items()}
        return outcomes, door.servicer.reached

    outcomes, reached = at_the_door(federation, knock)
    print(f"T-SEC-4 accepted={reached} of {len(outcomes)} cases")

    assert {
        "no certificate": "UNAVAILABLE",
        "expired": "UNAVAILABLE",
        "not valid yet": "UNAVAILABLE",
        "another authority": "UNAVAILABLE",
        "another federation": "UNAUTHENTICATED UNAUTHENTICATED",
        "an agency that is not listed": "UNAUTHENTICATED UNAUTHENTICATED",
        "police's name on another key": "PERMISSION_DENIED WRONG_AGENCY",
        "housing's key under police's name": "PERMISSION_DENIED WRONG_AGENCY",
    } == outcomes
    assert 0 == reached


def test_a_caller_without_certificate_is_refused_by_the_gate_itself(federation: Federation) -> None:
    """T-SEC-4: were the TLS library told not to ask for one, the gate would still."""
    assert "UNAUTHENTICATED UNAUTHENTICATED" == at_the_door(federation, lambda door: door.knock(None), demand=False)


def test_an_old_version_of_tls_is_refused(federation: Federation) -> None:
    """T-SEC-4: nothing below TLS 1.2."""

    async def knock(door: Door) -> str:
        return await asyncio.to_thread(gates.old_tls, door.address, federation)

    assert "refused" == at_the_door(federation, knock)


@pytest.mark.parametrize(
    ("who", "method", "outcome"),
    [
        ("police", ENTRIES, "PERMISSION_DENIED NOT_ALLOWED"),
        ("broker", CHECKPOINT, "PERMISSION_DENIED NOT_ALLOWED"),
        ("steward", DIRECTORY, "PERMISSION_DENIED NOT_ALLOWED"),
        ("police", "/accord.v1.DirectoryService/Nothing", "UNIMPLEMENTED"),
    ],
)
def test_a_role_may_call_what_is_named_for_it_and_nothing_else(
    federation: Federation, who: str, method: str, outcome: str
) -> None:
    """T-SEC-4: a method's own entry counts before its service's, and what is not named is for nobody."""
    one = getattr(federation, who).channel if who in {"broker", "steward"} else federation.agencies[who].channel

    assert outcome == at_the_door(federation, lambda door: door.knock(one, method=method))


def test_nobody_is_allowed_by_default(federation: Federation) -> None:
    """T-SEC-4: an empty list lets nobody in."""

    async def inside() -> str:
        async with gates.served(federation, Gate(lambda: federation.directory, {}, frozenset())) as door:
            return await door.knock(federation.agencies["police"].channel)

    assert "PERMISSION_DENIED NOT_ALLOWED" == asyncio.run(inside())


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
        (AssertionError(CANARY), "INTERNAL INTERNAL"),
        (ExceptionGroup(CANARY, [ValueError(CANARY)]), "INTERNAL INTERNAL"),
        (LedgerUnavailable(f"disk full at {CANARY}"), "UNAVAILABLE AUDIT_UNAVAILABLE"),
        (BadDescription("postcode"), "INVALID_ARGUMENT BAD_DESCRIPTION postcode"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_failure_tells_its_code_and_no_text(
    federation: Federation, log: io.StringIO, error: Exception, outcome: str
) -> None:
    """T-PRV-1: what an exception says may hold what must not leave; a code, its own words and a field name go out."""
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
    assert type(error).__name__ in log.getvalue() or outcome.split()[1] in log.getvalue()


@pytest.mark.parametrize(
    ("error", "seconds"), [(RateLimited("full", 2.5), [2.5]), (RateLimited("full"), [1.0]), (KeyError(), [])]
)
def test_whoever_is_turned_away_is_told_how_long_to_wait(error: Exception, seconds: list[float]) -> None:
    """T-POL-5: as google.rpc.RetryInfo beside the reason, and with no other failure."""
    wait = error_details_pb2.RetryInfo()
    found = [wait.retry_delay.ToMilliseconds() / 1000 for detail in status_of(error).details if detail.Unpack(wait)]

    assert seconds == found


def test_unknown_fields_are_found_at_any_depth() -> None:
    """T-SEC-3: the runtime would keep them and pass them on."""
    inner = audit_pb2.Entry.FromString(audit_pb2.Entry(index=7).SerializeToString() + UNKNOWN_FIELD)
    deep = audit_pb2.ListEntriesResponse(entries=[audit_pb2.Entry(), inner])
    asked = broker_pb2.AskWithProgressRequest(ask=broker_pb2.AskRequest.FromString(UNKNOWN_FIELD))

    for message in (deep, asked, directory_pb2.GetDirectoryRequest.FromString(UNKNOWN_FIELD)):
        with pytest.raises(Exception, match="a field that the contract does not know"):
            refuse_unknown_fields(message)


def _thrown(federation: Federation, count: int, seed: int) -> dict[str, int]:
    """Throw random bytes at the door and count what came back."""
    random = Random(seed)
    police = federation.agencies["police"].channel
    methods = (DIRECTORY, CHECKPOINT, "/accord.v1.AuditService/GetInclusionProof")

    async def throw(door: Door) -> dict[str, int]:
        found: dict[str, int] = {}
        credentials = grpc.ssl_channel_credentials(federation.ca_pem, police.key_pem, police.certificate_pem)
        async with grpc.aio.secure_channel(door.address, credentials) as channel:
            for _ in range(count):
                call: Any = channel.unary_unary(random.choice(methods), None, None)
                message = random.randbytes(random.choice((1, 2, 8, 64, 1_024)))
                try:
                    await call(message, timeout=gates.CALL_S)
                    outcome = "OK"
                except grpc.aio.AioRpcError as error:
                    outcome = error.code().name
                found[outcome] = found.get(outcome, 0) + 1
        return found

    return at_the_door(federation, throw)


@pytest.mark.parametrize(
    "count", [pytest.param(300, id="few"), pytest.param(10_000, id="many", marks=pytest.mark.prove)]
)
def test_random_bytes_harm_nothing(federation: Federation, count: int) -> None:
    """T-SEC-3: no status UNKNOWN, whatever is thrown at the door; random bytes are refused as such."""
    seed = int(os.environ.get("SEED", "20261122"))

    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = _thrown(federation, count, seed)
    growth_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024
    print(
        f"T-SEC-3 crashes=0 UNKNOWN={found.get('UNKNOWN', 0)} of {count} rss_growth_mb={growth_mb:.0f} "
        f"outcomes={found} seed={seed}"
    )

    # A few bytes may be an empty message by chance; AuditService here implements nothing.
    assert {"INVALID_ARGUMENT", "OK", "UNIMPLEMENTED", "INTERNAL"} >= set(found)
    assert 0 == found.get("UNKNOWN", 0)
    assert growth_mb < 50
