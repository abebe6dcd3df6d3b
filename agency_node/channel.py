"""Dial the broker and the steward over mutual TLS, and read their failures.

A failure on the wire becomes a `Remote` with the reason code that the other side
gave; its own text beside the code is never used.
"""

import asyncio
import contextlib
import math
import random
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import grpc
import grpc.aio
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from accord.reasons import DOMAIN, REASONS, Problem

MAX_BYTES: Final = 2 * 1024 * 1024
"""Largest message taken or sent on a channel: an Ask of 1 MiB with room for its frame."""
OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_BYTES),
    ("grpc.max_send_message_length", MAX_BYTES),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.enable_retries", 0),
)
LONGEST_RETRY_S: Final = 300.0
"""Longest wait that another side's word is taken for, seconds."""
PATIENCE_S: Final = 5.0
"""Longest wait that somebody at a screen is not asked about first, seconds."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Identity:
    """What a process shows and trusts on a channel, all PEM.

    Attributes:
        key: Its private key.
        certificate: Its certificate chain.
        authority: The federation's certificate authority.
    """

    key: bytes
    certificate: bytes
    authority: bytes


class Remote(Problem):
    """The other side failed with a reason of the contract, or could not be reached.

    Attributes:
        reason: A key of REASONS.
        field: The field that the other side named, if any.
        retry_s: How long to wait before trying again, seconds, where the other side said so; otherwise 0.
        cure: What to do about it, where that depends on how long to wait; otherwise empty.
    """

    def __init__(self, reason: str, field: str = "", retry_s: float = 0.0) -> None:
        """Take over the other side's reason."""
        self.reason = reason  # type: ignore[misc]  # the class variable's value for this one failure
        self.field = field
        self.retry_s = retry_s
        seconds = max(1, math.ceil(retry_s))
        wait = f"Wait {seconds} second{'s' if seconds > 1 else ''} and try again; if it is urgent, telephone."
        self.cure = wait if retry_s > 0 else ""
        super().__init__(REASONS[reason].title)


def dial(address: str, identity: Identity) -> grpc.aio.Channel:
    """Open a channel; nothing is sent before the first call.

    Args:
        address: host:port; or several, separated by commas, of which the first that answers is used. The other side's
            certificate must name the first host.
        identity: What we show and trust.

    Raises:
        Remote: None of several hosts can be found.
    """
    credentials = grpc.ssl_channel_credentials(identity.authority, identity.key, identity.certificate)
    if "," not in address:
        return grpc.aio.secure_channel(address, credentials, options=OPTIONS)
    named = address.partition(",")[0].rpartition(":")[0].strip("[]")
    options = (*OPTIONS, ("grpc.ssl_target_name_override", named))
    return grpc.aio.secure_channel(_several(address.split(",")), credentials, options=options)


def _several(addresses: Sequence[str]) -> str:
    """Several places as one target, which gRPC tries in their order (https://grpc.io/docs/guides/custom-name-resolution).

    Of one kind of address only, because a target may not mix them.
    """
    kinds: dict[socket.AddressFamily, list[str]] = {socket.AF_INET: [], socket.AF_INET6: []}
    for address in addresses:
        host, _, port = address.rpartition(":")
        with contextlib.suppress(OSError):
            for kind, _, _, _, place in socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM):
                if kind in kinds:
                    kinds[kind].append(f"{place[0]}:{port}" if kind is socket.AF_INET else f"[{place[0]}]:{port}")
    four, six = kinds[socket.AF_INET], kinds[socket.AF_INET6]
    if not four and not six:
        raise Remote("NODE_UNREACHABLE")
    return f"ipv4:{','.join(four)}" if len(four) >= len(six) else f"ipv6:{','.join(six)}"


def problem_of(error: grpc.aio.AioRpcError) -> Remote:
    """The failure that an RPC error stands for."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # reads metadata, code and details only
    if status is not None:
        info, wait, retry_s = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo(), 0.0
        for detail in status.details:
            if detail.Unpack(wait):
                retry_s = min(max(0.0, wait.retry_delay.ToMilliseconds() / 1000), LONGEST_RETRY_S)
        for detail in status.details:
            if detail.Unpack(info) and info.domain == DOMAIN and info.reason in REASONS:
                return Remote(info.reason, info.metadata.get("field", "")[:64], retry_s)
    unreachable = error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    return Remote("NODE_UNREACHABLE" if unreachable else "INTERNAL")


async def call(rpc: Awaitable[T]) -> T:
    """Await a call.

    Raises:
        Remote: It failed.
    """
    try:
        return await rpc
    except grpc.aio.AioRpcError as error:
        raise problem_of(error) from None


async def once_more(
    attempt: Callable[[], Awaitable[T]],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    spread: Callable[[float, float], float] = random.uniform,
) -> T:
    """Try; where the other side had no room and said how long to wait, wait a little longer and try once more.

    Only for what may be repeated. A random part keeps those who were turned away together from coming back together
    (M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015).

    Args:
        attempt: What to do.
        sleep: Waits, seconds.
        spread: Draws a number between two.

    Raises:
        Remote: It failed for good, or would have to wait longer than PATIENCE_S.
    """
    try:
        return await attempt()
    except Remote as problem:
        if problem.reason != "RATE_LIMITED" or not 0 < problem.retry_s <= PATIENCE_S:
            raise
        await sleep(spread(problem.retry_s, 2 * problem.retry_s))
    return await attempt()
