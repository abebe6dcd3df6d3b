"""What a failure on the wire becomes: the other side's code, never its text."""

import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from accord.reasons import DOMAIN, REASONS
from agency_node.channel import Remote, call, once_more, problem_of

TEXT = "near Zyxcanathorn: syntax error"


def failed(code: grpc.StatusCode, details: list[Any], text: str = TEXT) -> grpc.aio.AioRpcError:
    """An RPC error as the library raises it."""
    packed = []
    for detail in details:
        one = any_pb2.Any()
        one.Pack(detail)
        packed.append(one)
    status = rpc_status.to_status(status_pb2.Status(code=code.value[0], message=text, details=packed))
    trailing = grpc.aio.Metadata(*status.trailing_metadata)
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, details=text, debug_error_string=text)


def info(reason: str, domain: str = DOMAIN, **metadata: str) -> error_details_pb2.ErrorInfo:
    return error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata)


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_a_listed_reason_is_taken_over(reason: str) -> None:
    """Each code of the list comes through as itself."""
    assert reason == problem_of(failed(grpc.StatusCode.INTERNAL, [info(reason)])).reason


@pytest.mark.parametrize(
    ("code", "details", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, [], "NODE_UNREACHABLE"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, [], "NODE_UNREACHABLE"),
        (grpc.StatusCode.UNKNOWN, [], "INTERNAL"),
        (grpc.StatusCode.INTERNAL, [info("ZYXCANATHORN")], "INTERNAL"),
        (grpc.StatusCode.INTERNAL, [info("BAD_REQUEST", "elsewhere.example")], "INTERNAL"),
        (grpc.StatusCode.PERMISSION_DENIED, [status_pb2.Status(message=TEXT)], "INTERNAL"),
        (grpc.StatusCode.NOT_FOUND, [status_pb2.Status(), info("NOT_ALLOWED")], "NOT_ALLOWED"),
    ],
    ids=["gone", "late", "unknown", "unlisted", "another domain", "no info", "second detail"],
)
def test_anything_else_is_a_code_of_ours(code: grpc.StatusCode, details: list[Any], reason: str) -> None:
    """T-PRV-1, T-NET-1: a status proves nothing, and its text is never used."""
    problem = problem_of(failed(code, details))

    assert reason == problem.reason
    assert REASONS[reason].title == str(problem)
    assert "Zyxcanathorn" not in repr(problem) + str(problem.args)


def test_the_field_that_is_named_is_taken_over_and_bounded() -> None:
    """T-SEC-3: a name of a field is short."""
    problem = problem_of(failed(grpc.StatusCode.INVALID_ARGUMENT, [info("BAD_REQUEST", field="p" * 500)]))

    assert "p" * 64 == problem.field


def test_a_call_that_works_gives_what_it_gives_and_one_that_fails_its_reason() -> None:
    """Nothing else is raised."""

    async def works() -> int:
        return 7

    async def fails() -> int:
        raise failed(grpc.StatusCode.UNAVAILABLE, [])

    with pytest.raises(Remote) as problem:
        asyncio.run(call(fails()))

    assert 7 == asyncio.run(call(works()))
    assert "NODE_UNREACHABLE" == problem.value.reason


# -- Turned away for want of room --------------------------------------------------------------------------------------


def busy(seconds: float) -> list[Any]:
    wait = error_details_pb2.RetryInfo()
    wait.retry_delay.FromMilliseconds(round(seconds * 1000))
    return [info("RATE_LIMITED"), wait]


@pytest.mark.parametrize(
    ("seconds", "taken", "cure"),
    [
        (1.5, 1.5, "Wait 2 seconds and try again; if it is urgent, telephone."),
        (0.2, 0.2, "Wait 1 second and try again; if it is urgent, telephone."),
        (1e6, 300.0, "Wait 300 seconds and try again; if it is urgent, telephone."),
        (-3.0, 0.0, ""),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_the_time_to_wait_is_taken_over_and_bounded(seconds: float, taken: float, cure: str, order: int) -> None:
    """T-POL-5, T-SEC-3: what the person at the screen is told to do, in whatever order the details come."""
    problem = problem_of(failed(grpc.StatusCode.RESOURCE_EXHAUSTED, busy(seconds)[::order]))

    assert ("RATE_LIMITED", taken, cure) == (problem.reason, problem.retry_s, problem.cure)


def tried(*outcomes: Remote | str) -> tuple[str, list[float]]:
    """What comes of attempts that end so, one after the other, and how long was waited between them."""
    waits: list[float] = []
    left = list(outcomes)

    async def attempt() -> str:
        outcome = left.pop(0)
        if isinstance(outcome, Remote):
            raise outcome
        return outcome

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    try:
        return asyncio.run(once_more(attempt, sleep, lambda low, high: high)), waits
    except Remote as problem:
        return problem.reason, waits


BUSY = Remote("RATE_LIMITED", retry_s=2.0)


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (("answer",), ("answer", [])),
        ((BUSY, "answer"), ("answer", [4.0])),
        ((BUSY, BUSY, "answer"), ("RATE_LIMITED", [4.0])),
        ((Remote("RATE_LIMITED", retry_s=5.1), "answer"), ("RATE_LIMITED", [])),
        ((Remote("RATE_LIMITED"), "answer"), ("RATE_LIMITED", [])),
        ((Remote("QUOTA_EXCEEDED", retry_s=1.0), "answer"), ("QUOTA_EXCEEDED", [])),
        ((BUSY, Remote("NODE_UNREACHABLE"), "answer"), ("NODE_UNREACHABLE", [4.0])),
    ],
    ids=["room", "room later", "never room", "too long", "no time", "not for want of room", "gone meanwhile"],
)
def test_who_is_turned_away_waits_as_told_and_tries_once_more(
    outcomes: tuple[Remote | str, ...], expected: tuple[str, list[float]]
) -> None:
    """T-POL-5: once, so that nobody's patience makes the flood longer."""
    assert expected == tried(*outcomes)
