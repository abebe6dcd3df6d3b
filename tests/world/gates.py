"""A server behind a gate, and everybody who might knock: the right certificate, and each kind of wrong one."""

import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import grpc
import grpc.aio
from cryptography.hazmat.primitives.asymmetric import ec
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from accord.directory import Member
from accord.v1 import audit_pb2_grpc, directory_pb2, directory_pb2_grpc
from tests.world.trust import Channel, Federation, make_federation

CALL_S: Final = 60.0
DIRECTORY: Final = "/accord.v1.DirectoryService/GetDirectory"
CHECKPOINT: Final = "/accord.v1.AuditService/GetCheckpoint"
ENTRIES: Final = "/accord.v1.AuditService/ListEntries"
CANARY: Final = "Zyxcanathorn"


class Failing(directory_pb2_grpc.DirectoryServiceServicer, audit_pb2_grpc.AuditServiceServicer):
    """Answers, or raises what it was told to."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.reached = 0

    async def GetDirectory(self, request: Any, context: Any) -> directory_pb2.GetDirectoryResponse:
        self.reached += 1
        if self.error is not None:
            raise self.error
        return directory_pb2.GetDirectoryResponse(directory=b"here")


@dataclass(frozen=True, slots=True)
class Door:
    """A served gate.

    Attributes:
        address: host:port.
        servicer: What is behind it.
    """

    federation: Federation
    address: str
    servicer: Failing

    async def knock(
        self,
        identity: Channel | None,
        *,
        method: str = DIRECTORY,
        message: bytes = b"",
        timeout: float | None = CALL_S,
        authority: bytes | None = None,
    ) -> str:
        """Call a method with a certificate, or none.

        Returns:
            "OK", or the status and what came with it: reason code, field, and the text.
        """
        key, certificate = (None, None) if identity is None else (identity.key_pem, identity.certificate_pem)
        credentials = grpc.ssl_channel_credentials(authority or self.federation.ca_pem, key, certificate)
        async with grpc.aio.secure_channel(self.address, credentials) as channel:
            call: Any = channel.unary_unary(method, None, None)
            try:
                await call(message, timeout=timeout)
            except grpc.aio.AioRpcError as error:
                return told(error)
        return "OK"


def told(error: grpc.aio.AioRpcError) -> str:
    """A status in one line: its name, then the reason code and the field, or the text where there is no reason."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # reads metadata, code and details only
    words = [error.code().name]
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            words += [info.reason, info.metadata.get("field", "")]
    return " ".join(word for word in words if word)


def everything_told(error: grpc.aio.AioRpcError) -> str:
    """Every text that a failure carries."""
    return f"{error.code()} {error.details()} {error.trailing_metadata()} {error.debug_error_string()}"


@contextlib.asynccontextmanager
async def served(federation: Federation, gate: Any, *, demand: bool = True) -> AsyncIterator[Door]:
    """Serve behind a gate with the broker's certificate.

    Args:
        federation: Everybody's keys.
        gate: The interceptor.
        demand: Whether the TLS library already demands a client's certificate, as the real servers do.
    """
    servicer = Failing()
    server = grpc.aio.server(interceptors=[gate])
    directory_pb2_grpc.add_DirectoryServiceServicer_to_server(servicer, server)
    audit_pb2_grpc.add_AuditServiceServicer_to_server(servicer, server)
    channel = federation.broker.channel
    pair = (channel.key_pem, channel.certificate_pem)
    port = server.add_secure_port(
        "localhost:0",
        grpc.ssl_server_credentials([pair], federation.ca_pem if demand else None, require_client_auth=demand),
    )
    await server.start()
    try:
        yield Door(federation, f"localhost:{port}", servicer)
    finally:
        await server.stop(0)


def wrong_identities(federation: Federation) -> Mapping[str, Channel | None]:
    """Everybody who must not get in, by what is wrong with them."""
    now = datetime.now(UTC)
    police = Member(federation.name, "agency", "police")

    def made(member: Member, **more: Any) -> Channel:
        private = ec.generate_private_key(ec.SECP256R1())
        return Channel(private, federation.certificate(member, private, **more))

    real = federation.agencies["police"].channel.private
    day = timedelta(days=1)
    return {
        "no certificate": None,
        "expired": Channel(real, federation.certificate(police, real, not_before=now - 3 * day, life=day)),
        "not valid yet": Channel(real, federation.certificate(police, real, not_before=now + day, life=day)),
        "another authority": make_federation(agencies=["police"]).agencies["police"].channel,
        "another federation": made(Member("eastshire", "agency", "police")),
        "an agency that is not listed": made(Member(federation.name, "agency", "hospital")),
        "police's name on another key": made(police),
        "housing's key under police's name": Channel(
            federation.agencies["housing"].channel.private,
            federation.certificate(police, federation.agencies["housing"].channel.private),
        ),
    }


def old_tls(address: str, federation: Federation) -> str:
    """Try to agree on TLS 1.1.

    Returns:
        "refused", or the version agreed on.
    """
    import socket
    import warnings

    host, _, port = address.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=federation.ca_pem.decode())
    context.set_alpn_protocols(["h2"])
    # Otherwise the client's own library would refuse before the server could.
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    try:
        with (
            socket.create_connection((host, int(port)), timeout=CALL_S) as plain,
            context.wrap_socket(plain, server_hostname=host) as wrapped,
        ):
            return str(wrapped.version())
    except (ssl.SSLError, OSError):
        return "refused"
