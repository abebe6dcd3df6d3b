"""Dial the broker and the steward over mutual TLS, and read their failures.

A failure on the wire becomes a `Remote` with the reason code that the other side
gave; its own text beside the code is never used.
"""

from collections.abc import Awaitable
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
    """

    def __init__(self, reason: str, field: str = "") -> None:
        """Take over the other side's reason."""
        self.reason = reason  # type: ignore[misc]  # the class variable's value for this one failure
        self.field = field
        super().__init__(REASONS[reason].title)


def dial(address: str, identity: Identity) -> grpc.aio.Channel:
    """Open a channel; nothing is sent before the first call.

    Args:
        address: host:port; the host must be one that the other side's certificate names.
        identity: What we show and trust.
    """
    credentials = grpc.ssl_channel_credentials(identity.authority, identity.key, identity.certificate)
    return grpc.aio.secure_channel(address, credentials, options=OPTIONS)


def problem_of(error: grpc.aio.AioRpcError) -> Remote:
    """The failure that an RPC error stands for."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # reads metadata, code and details only
    if status is not None:
        for detail in status.details:
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(info) and info.domain == DOMAIN and info.reason in REASONS:
                return Remote(info.reason, info.metadata.get("field", "")[:64])
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
