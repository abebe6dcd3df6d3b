"""What every call passes before anything of ours runs, and every failure on its way out.

    certificate -> Peer -> allow list -> deadline -> room -> message -> servicer -> Problem -> status

A `Problem` becomes its gRPC status with `ErrorInfo{reason, domain}` (and the
field it names, if any, and how long to wait); anything else becomes INTERNAL without text, because
the text of a KeyError or of an SQL error may hold what must not leave. Bytes are
read as a message here and not by the library, which would answer malformed ones
with UNKNOWN and the text of its exception.
"""

import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import grpc
import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from accord.directory import BadCertificate, Directory, UnknownAgency, speaker
from accord.reasons import DOMAIN, REASONS, Problem
from broker.events import Event, log
from broker.stages import RateLimited

BULKHEAD: Final = 128
"""Most calls that one member may have under way, its stream apart: the flood of one must not drown the others."""


class NotAllowed(Problem):
    """The caller may not use this service."""

    reason = "NOT_ALLOWED"


class DeadlineMissing(Problem):
    """The call has no deadline."""

    reason = "DEADLINE_MISSING"


class BadRequest(Problem):
    """The message is malformed, has fields that the contract does not know, or lacks some."""

    reason = "BAD_REQUEST"


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of a channel, from its certificate alone.

    Attributes:
        role: agency, broker or steward.
        agency: The agency's identifier; empty for the other roles.
        certificate: The certificate in DER.
    """

    role: str
    agency: str
    certificate: bytes


class _This:
    """A directory as a key: this very one, and not another that says the same."""

    __slots__ = ("directory",)

    def __init__(self, directory: Directory) -> None:
        self.directory = directory

    def __hash__(self) -> int:
        return id(self.directory)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _This) and other.directory is self.directory


def peer_of(context: grpc.aio.ServicerContext[Any, Any], directory: Directory) -> Peer:
    """Who is calling.

    The TLS library has already checked chain and dates; `accord.directory.speaker` checks the name in the
    certificate, and for an agency that its key is the one in the agency's own signed row.

    Raises:
        BadCertificate: No certificate, or one that names nobody who is, or still is, a member of this federation.
        WrongAgency: The certificate's key is not the one that the directory lists for the agency.
    """
    pem = context.auth_context().get("x509_pem_cert")
    if not pem:
        raise BadCertificate("the call came without a certificate")
    return _peer(next(iter(pem)), _This(directory))


@lru_cache(maxsize=1024)
def _peer(pem: bytes, this: _This) -> Peer:
    # Two certificates and a name are read for it, three times a question. A newer directory is another key.
    certificate = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    try:
        member = speaker(certificate, this.directory)
    except UnknownAgency as error:
        raise BadCertificate("the certificate is of an agency that the directory does not list") from error
    return Peer(member.role, member.agency, certificate)


def refuse_unknown_fields(message: Message) -> None:
    """Demand that a message has no field that the contract does not know, at any depth.

    The runtime keeps unknown fields and would pass them on.

    Raises:
        BadRequest: It has one.
    """
    if len(UnknownFieldSet(message)):
        raise BadRequest("the message has a field that the contract does not know")
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for item in value if field.is_repeated else (value,):
                refuse_unknown_fields(item)


def read_message(data: bytes, parse: Callable[[bytes], Message]) -> Message:
    """Read the bytes of a request.

    Raises:
        BadRequest: They are not a message of this kind, or it has a field that the contract does not know.
    """
    try:
        message = parse(data)
    except DecodeError as error:
        raise BadRequest("the request is not a message of its kind") from error
    refuse_unknown_fields(message)
    return message


def status_of(error: BaseException) -> status_pb2.Status:
    """The status that a failure becomes.

    Only the reason code's own texts cross the wire, and the name of a field where the problem has one. Whoever is
    turned away for want of room is told how long to wait (`google.rpc.RetryInfo`, https://google.aip.dev/193).
    """
    reason = error.reason if isinstance(error, Problem) and error.reason in REASONS else "INTERNAL"
    entry = REASONS[reason]
    metadata = {"cure": entry.cure}
    field = getattr(error, "field", "")
    if isinstance(error, Problem) and field:
        metadata["field"] = str(field)
    details = [_packed(error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata))]
    if isinstance(error, RateLimited):
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(round(error.retry_s * 1000))
        details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    return status_pb2.Status(code=entry.status, message=entry.title, details=details)


def _packed(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed


async def _messages(stream: AsyncIterator[bytes], parse: Callable[[bytes], Message]) -> AsyncIterator[Message]:
    """The messages of a stream; a malformed one ends it for whoever reads."""
    async for data in stream:
        yield read_message(data, parse)


class Gate(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs only
    """The outermost interceptor of the broker's server."""

    def __init__(
        self, directory: Callable[[], Directory], allow: Mapping[str, frozenset[str]], without_deadline: frozenset[str]
    ) -> None:
        """Set up the gate.

        Args:
            directory: Gives the directory in force; an agency that it no longer lists is turned away.
            allow: Full method or service name -> roles that may call it; the method's own entry counts first. What
                is not named may be called by nobody.
            without_deadline: Full method names of the streams that live long.
        """
        self._directory = directory
        self._allow = allow
        self._without_deadline = without_deadline
        self._under_way: Counter[str] = Counter()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handler of one method."""
        handler = await continuation(details)
        if handler is None:
            return None
        method = str(details.method)
        if handler.response_streaming:
            stream = self._stream(method, handler.stream_stream or handler.unary_stream, handler.request_deserializer)
            kind = "stream_stream" if handler.request_streaming else "unary_stream"
            return handler._replace(**{kind: stream, "request_deserializer": None})
        guarded = self._unary(method, handler.unary_unary, handler.request_deserializer)
        return handler._replace(unary_unary=guarded, request_deserializer=None)

    @contextlib.contextmanager
    def _admitted(self, method: str, context: grpc.aio.ServicerContext[Any, Any]) -> Iterator[None]:
        peer = self._admit(method, context)
        if method in self._without_deadline:
            yield
            return
        member = f"{peer.role}/{peer.agency}"
        if self._under_way[member] >= BULKHEAD:
            raise RateLimited("this member has too many calls under way")
        self._under_way[member] += 1
        try:
            yield
        finally:
            self._under_way[member] -= 1

    def _admit(self, method: str, context: grpc.aio.ServicerContext[Any, Any]) -> Peer:
        service = method.split("/")[1]
        peer = peer_of(context, self._directory())
        if peer.role not in self._allow.get(method, self._allow.get(service, frozenset())):
            raise NotAllowed(f"{peer.role} may not call {service}")
        if method not in self._without_deadline and context.time_remaining() is None:
            raise DeadlineMissing("the call has no deadline")
        return peer

    def _unary(
        self, method: str, behaviour: Callable[..., Awaitable[Any]], parse: Callable[[bytes], Message]
    ) -> Callable[..., Awaitable[Any]]:
        async def guarded(data: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            try:
                with self._admitted(method, context):
                    return await behaviour(read_message(data, parse), context)
            except Exception as error:  # noqa: BLE001  # the one place where everything unknown loses its text
                await self._abort(method, context, error)

        return guarded

    def _stream(
        self, method: str, behaviour: Callable[..., AsyncGenerator[Any, None]], parse: Callable[[bytes], Message]
    ) -> Callable[..., AsyncIterator[Any]]:
        async def guarded(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
            try:
                with self._admitted(method, context):
                    asked = read_message(request, parse) if isinstance(request, bytes) else _messages(request, parse)
                    # Closed with the call, not when the collector comes: a node's stream tells its session so.
                    async with contextlib.aclosing(behaviour(asked, context)) as responses:
                        async for response in responses:
                            yield response
            except Exception as error:  # noqa: BLE001  # as above
                await self._abort(method, context, error)

        return guarded

    async def _abort(self, method: str, context: grpc.aio.ServicerContext[Any, Any], error: Exception) -> None:
        if isinstance(error, grpc.aio.AbortError):
            raise error
        status = status_of(error)
        reason = error.reason if isinstance(error, Problem) and error.reason in REASONS else "INTERNAL"
        kind = "" if isinstance(error, Problem) else type(error).__name__
        log.info(Event.RPC_FAILED, method=method.rsplit("/", 1)[1], reason=reason, kind=kind)
        told = rpc_status.to_status(status)
        await context.abort(told.code, told.details, tuple(told.trailing_metadata))
