"""The floors that the whole path is measured against: relays that check, decide and write nothing.

    python -m tests.bench.relay node                             answers at once, always the same 2,048 bytes
    python -m tests.bench.relay unary police=localhost:7001 ...  asks such nodes, a call each
    python -m tests.bench.relay sessions HOME                    asks real nodes, down the streams that they open

* All speak asyncio gRPC in one process, as the broker does, and take the broker's own message `AskRequest`; what goes
  to a node lies in its part's payload.
* Nobody listens on anything but this machine. Between relay and asker, and to nodes that answer at once, there is no
  TLS: a floor is as low as it can be. Real nodes know nothing but mutual TLS, so their streams have it.
* Each prints one line when it listens, and `sessions` one for each node that has attached.
"""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio

from accord import bundle
from accord.v1 import broker_pb2, broker_pb2_grpc, common_pb2, node_pb2, node_pb2_grpc
from broker import tls
from broker.__main__ import OPTIONS
from broker.directory import DirectoryFile
from broker.keys import read, read_pinned
from broker.service import bundle_frames

METHOD: Final = "/bench.Floor/Answer"
ANSWER: Final = bytes(2_048)
HEAD_FILE: Final = "floor.head"
"""In the home of a relay with sessions: the signed head that its nodes are shown, always the same."""

Context = grpc.aio.ServicerContext[Any, Any]


def _response(rows: Sequence[tuple[str, bytes]]) -> broker_pb2.AskResponse:
    return broker_pb2.AskResponse(
        rows=[
            broker_pb2.AgencyRow(agency=agency, delivery=common_pb2.DELIVERY_ANSWERED, signed_answer=answer)
            for agency, answer in rows
        ]
    )


# -- A node that answers at once --------------------------------------------------------------------------------------


class _AtOnce(grpc.GenericRpcHandler):
    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        async def answer(request: bytes, context: Context) -> bytes:
            return ANSWER

        return grpc.unary_unary_rpc_method_handler(answer) if handler_call_details.method == METHOD else None


# -- A relay that calls such nodes ------------------------------------------------------------------------------------


class Unary(broker_pb2_grpc.BrokerServiceServicer):
    """Passes each part on in a call of its own and waits for all."""

    def __init__(self, nodes: Mapping[str, str]) -> None:
        """Dial every node: agency -> host:port."""
        self._calls = {agency: grpc.aio.insecure_channel(at).unary_unary(METHOD) for agency, at in nodes.items()}

    async def Ask(self, request: broker_pb2.AskRequest, context: Context) -> broker_pb2.AskResponse:
        """Ask everybody at once."""
        agencies = [part.node for part in request.node_parts]
        answers = await asyncio.gather(*(self._calls[part.node](part.payload) for part in request.node_parts))
        return _response(list(zip(agencies, answers, strict=True)))


# -- A relay to real nodes --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Stream:
    down: asyncio.Queue[node_pb2.AttachResponse] = field(default_factory=asyncio.Queue)
    waiting: dict[str, asyncio.Future[bytes]] = field(default_factory=dict)


class Attached(node_pb2_grpc.NodeSessionServiceServicer, broker_pb2_grpc.BrokerServiceServicer):
    """Keeps real nodes' streams, and passes each part, a frame that was made beforehand, down one of them."""

    def __init__(self, welcome: Sequence[node_pb2.AttachResponse], head: str) -> None:
        """Take the frames of the rules, and the head that every node is shown."""
        self._welcome = welcome
        self._head = head
        self._streams: dict[str, _Stream] = {}

    async def Attach(
        self, request_iterator: AsyncIterator[node_pb2.AttachRequest], context: Context
    ) -> AsyncIterator[node_pb2.AttachResponse]:
        """One node's stream."""
        hello = (await anext(aiter(request_iterator))).hello
        stream = self._streams[hello.agency] = _Stream()
        for frame in self._welcome:
            yield frame
        yield node_pb2.AttachResponse(head=node_pb2.Head(checkpoint=self._head, from_size=hello.head_size))
        up = asyncio.create_task(self._take(stream, request_iterator))
        _say("node_attached", node=hello.agency)
        try:
            while True:
                yield await stream.down.get()
        finally:
            up.cancel()

    async def Ask(self, request: broker_pb2.AskRequest, context: Context) -> broker_pb2.AskResponse:
        """Ask everybody at once."""
        waiting = []
        for part in request.node_parts:
            stream = self._streams[part.node]
            stream.waiting[request.key_id] = waiter = asyncio.get_running_loop().create_future()
            stream.down.put_nowait(node_pb2.AttachResponse.FromString(part.payload))
            waiting.append(waiter)
        answers = await asyncio.gather(*waiting)
        return _response(list(zip((part.node for part in request.node_parts), answers, strict=True)))

    async def _take(self, stream: _Stream, frames: AsyncIterator[node_pb2.AttachRequest]) -> None:
        async for frame in frames:
            if frame.WhichOneof("frame") == "answered":
                stream.waiting.pop(frame.answered.query_id).set_result(frame.answered.signed_answer)
            elif frame.WhichOneof("frame") == "alarm":
                # A refused question fails, so that it cannot pass for a quick one.
                _say("alarm", reason=frame.alarm.reason)
                if frame.alarm.query_id in stream.waiting:
                    stream.waiting.pop(frame.alarm.query_id).set_exception(RuntimeError(frame.alarm.reason))


# -- Serving ----------------------------------------------------------------------------------------------------------


def _say(event: str, **labels: str) -> None:
    print(json.dumps({"event.action": event, "labels": labels}), flush=True)


async def _serve(told: argparse.Namespace) -> None:
    server = grpc.aio.server(options=OPTIONS)
    streams = ""
    if told.kind == "node":
        server.add_generic_rpc_handlers((_AtOnce(),))
    elif told.kind == "unary":
        unary = Unary(dict(one.split("=", 1) for one in told.nodes))
        broker_pb2_grpc.add_BrokerServiceServicer_to_server(unary, server)
    else:
        home: Path = told.home
        data = read(home / "policy.tar.gz")
        directory = DirectoryFile(home / "directory.json", read_pinned(home / "federation.pub"), lambda: 0).current()
        opened = bundle.open_bundle(data, directory.broker.policy_public_keys())
        attached = Attached(bundle_frames(_Bundle(data, opened.revision)), (home / HEAD_FILE).read_text("utf-8"))
        broker_pb2_grpc.add_BrokerServiceServicer_to_server(attached, server)
        node_pb2_grpc.add_NodeSessionServiceServicer_to_server(attached, server)
        credentials = tls.credentials(home / "tls.key", home / "tls.crt", home / "ca.pem")
        streams = f"localhost:{server.add_secure_port('localhost:0', credentials)}"
    port = server.add_insecure_port("localhost:0")
    await server.start()
    _say("service_started", listening_on=f"localhost:{port}", streams_on=streams)
    await server.wait_for_termination()


@dataclass(frozen=True, slots=True)
class _Bundle:
    data: bytes
    revision: str
    catalogue: bytes = b""
    catalogue_digest: str = ""


def main() -> None:
    """Serve until told to stop."""
    reading = argparse.ArgumentParser(prog="python -m tests.bench.relay", description=(__doc__ or "").splitlines()[0])
    kinds = reading.add_subparsers(dest="kind", required=True)
    kinds.add_parser("node")
    kinds.add_parser("unary").add_argument("nodes", nargs="+", metavar="AGENCY=HOST:PORT")
    kinds.add_parser("sessions").add_argument("home", type=Path, metavar="HOME")
    asyncio.run(_serve(reading.parse_args()))


if __name__ == "__main__":
    main()
