"""The stream to the broker: whatever happens to it or in it, the node attaches again."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from sqlalchemy import Engine, text

from accord import sealing
from accord.agreement import commit
from accord.canonical import decode_object, encode
from accord.checkpoint import Checkpoint, sign
from accord.v1 import node_pb2, node_pb2_grpc
from agency_node import agreements, events, ledger, session
from agency_node.channel import Identity
from agency_node.keys import BadFile
from agency_node.service import Frames
from agency_node.store import StateUnusable, open_store, reading, writing
from agency_node.witness import HeadOutOfStep
from tests.world.trust import Federation, make_federation

PATIENCE_S = 60.0
"""Longest wait for what must come, seconds; it bounds hanging and judges no speed."""
FIRST_TAKES_S = 0.6
RECORD_ID = "01890000-0000-7000-8000-000000000001"


@pytest.fixture(scope="module")
def federation() -> Federation:
    return make_federation()


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    written = io.StringIO()
    events.configure("debug", written, strict=True)
    yield written
    events.configure(strict=True)


class SimulatedBroker(node_pb2_grpc.NodeSessionServiceServicer):
    """Sends one head down every stream, and ends those that are to be ended."""

    def __init__(self) -> None:
        self.hellos: list[node_pb2.Hello] = []

    async def Attach(self, frames: AsyncIterator[node_pb2.AttachRequest], context: Any) -> AsyncIterator[Any]:
        first = await anext(aiter(frames))
        self.hellos.append(first.hello)
        yield node_pb2.AttachResponse(head=node_pb2.Head(checkpoint="a head"))
        await asyncio.sleep(PATIENCE_S)


@contextlib.asynccontextmanager
async def broker_at(federation: Federation) -> AsyncIterator[tuple[SimulatedBroker, str]]:
    broker = SimulatedBroker()
    server = grpc.aio.server()
    node_pb2_grpc.add_NodeSessionServiceServicer_to_server(broker, server)
    channel = federation.broker.channel
    pair = (channel.key_pem, channel.certificate_pem)
    credentials = grpc.ssl_server_credentials([pair], federation.ca_pem, require_client_auth=True)
    port = server.add_secure_port("localhost:0", credentials)
    await server.start()
    try:
        yield broker, f"localhost:{port}"
    finally:
        await server.stop(0)


def identity(federation: Federation) -> Identity:
    channel = federation.agencies["police"].channel
    return Identity(channel.key_pem, channel.certificate_pem, federation.ca_pem)


async def attaches_again(
    federation: Federation,
    handle: Callable[[int], Sequence[node_pb2.AttachRequest]],
    show: Callable[[int], Identity],
    hello: Callable[[int], node_pb2.Hello],
) -> int:
    """How often a broker was reached, when what a node does at its first try fails."""
    tries = 0

    def number() -> int:
        nonlocal tries
        tries += 1
        return tries

    async def take(frame: node_pb2.AttachResponse) -> Sequence[node_pb2.AttachRequest]:
        return handle(tries)

    async with broker_at(federation) as (broker, address):
        keeping = asyncio.create_task(
            session.keep(address, lambda: show(number()), lambda: hello(tries), take, lambda up: None)
        )
        try:
            async with asyncio.timeout(PATIENCE_S):
                while tries < 2 or not broker.hellos or broker.hellos[-1].head_size != 2:
                    assert not keeping.done()
                    await asyncio.sleep(0.01)
        finally:
            keeping.cancel()
            await asyncio.wait({keeping})
        return len(broker.hellos)


def fail_first(number: int) -> None:
    if number == 1:
        raise RuntimeError("Maya Fenwright")


def test_a_cancellation_that_was_meant_for_something_else_ends_no_session(
    federation: Federation, logged: io.StringIO
) -> None:
    """T-OPS-6: gRPC raises CancelledError out of a call that it gave up by itself; that tells nobody to stop."""

    def handle(number: int) -> Sequence[node_pb2.AttachRequest]:
        if number == 1:
            raise asyncio.CancelledError
        return []

    reached = asyncio.run(
        attaches_again(
            federation,
            handle,
            lambda number: identity(federation),
            lambda number: node_pb2.Hello(agency="police", head_size=number),
        )
    )

    assert 2 == reached
    assert '"CancelledError"' in logged.getvalue()


@pytest.mark.parametrize("where", ["handling a frame", "saying hello", "reading the certificate"])
def test_nothing_unforeseen_ends_the_session_for_good(federation: Federation, logged: io.StringIO, where: str) -> None:
    """T-OPS-6, T-PRV-1: a task that died in silence would leave the agency not reached till somebody noticed."""

    def handle(number: int) -> Sequence[node_pb2.AttachRequest]:
        if where == "handling a frame":
            fail_first(number)
        return []

    def show(number: int) -> Identity:
        if where == "reading the certificate":
            fail_first(number)
        return identity(federation)

    def hello(number: int) -> node_pb2.Hello:
        if where == "saying hello":
            fail_first(number)
        return node_pb2.Hello(agency="police", head_size=number)

    asyncio.run(attaches_again(federation, handle, show, hello))

    assert '"RuntimeError"' in logged.getvalue()
    assert "Fenwright" not in logged.getvalue()


def test_a_certificate_that_is_being_exchanged_is_waited_for(federation: Federation) -> None:
    """T-OPS-3: a file that cannot be read for a moment is not the end."""

    def show(number: int) -> Identity:
        if number == 1:
            raise BadFile("tls.crt cannot be read")
        return identity(federation)

    reached = asyncio.run(
        attaches_again(
            federation, lambda number: [], show, lambda number: node_pb2.Hello(agency="police", head_size=number)
        )
    )

    assert 1 == reached


# -- Frames -----------------------------------------------------------------------------------------------------------


class SimulatedNode:
    """What a node has for frames that carry no question."""

    agency = "police"

    def __init__(self, federation: Federation, engine: Engine) -> None:
        self.engine = engine
        self.sealing_key = federation.agencies["police"].sealing
        self.directory = lambda: federation.directory


@contextlib.contextmanager
def frames_of(federation: Federation, path: Path, directory: Callable[[], Any] | None = None) -> Iterator[Frames]:
    engine = open_store(path / "node.db")
    node: Any = SimulatedNode(federation, engine)
    if directory is not None:
        node.directory = directory
    rules: Any = None
    try:
        yield Frames(node, rules, federation.agencies["police"].witness)
    finally:
        engine.dispose()


def head(federation: Federation, size: int, from_size: int) -> node_pb2.AttachResponse:
    note = sign(Checkpoint("midshire/broker", size, b"r" * 32), federation.broker.ledger)
    return node_pb2.AttachResponse(head=node_pb2.Head(checkpoint=note, from_size=from_size))


def run(body: Awaitable[Any]) -> Any:
    async def inside() -> Any:
        return await body

    return asyncio.run(inside())


def test_heads_that_are_out_of_step_end_the_stream(federation: Federation, tmp_path: Path) -> None:
    """T-OPS-6: a head that could not be stored leaves a gap that no later proof on this stream can close."""
    with frames_of(federation, tmp_path) as frames:
        run(frames.handle(head(federation, 3, 0)))

        with pytest.raises(HeadOutOfStep):
            run(frames.handle(head(federation, 9, 5)))


def test_an_unforeseen_failure_is_an_alarm_without_its_text(
    federation: Federation, tmp_path: Path, logged: io.StringIO
) -> None:
    """T-PRV-1, T-OPS-6: the session goes on, and neither wire nor log learns more than that it happened."""

    def broken() -> Any:
        raise KeyError("Maya Fenwright")

    with frames_of(federation, tmp_path, broken) as frames:
        replies = run(frames.handle(head(federation, 3, 0)))

    assert [node_pb2.AttachRequest(alarm=node_pb2.Alarm(reason="INTERNAL"))] == replies
    assert "Fenwright" not in logged.getvalue()


def test_a_delivery_that_comes_twice_is_recorded_once(federation: Federation, tmp_path: Path) -> None:
    """T-OPS-4: the broker sends it until it knows that it arrived."""
    binding = agreements.binding_bytes(commit(b"s" * 32, [b"t" * 64]))
    sealed = sealing.seal(
        federation.agencies["police"].sealing.public_key().public_bytes_raw(),
        agreements.delivery_info(RECORD_ID),
        binding,
    )
    frame = node_pb2.AttachResponse(delivered=node_pb2.AgreementDelivered(record_id=RECORD_ID, sealed=sealed))
    with frames_of(federation, tmp_path) as frames:
        replies = [run(frames.handle(frame)) for _ in range(2)]
        with reading(frames.node.engine) as connection:
            kinds = [decode_object(one.body or b"")["kind"] for one in ledger.entries(connection)]

    assert [[], []] == replies
    assert ["AGREEMENT_RECEIVED"] == kinds


def test_a_question_without_room_is_not_looked_at_but_its_head_counts(federation: Federation, tmp_path: Path) -> None:
    """T-POL-5, T-AUD-6: no warrant is used up and no record read; the next head can still be proved."""
    core = encode({"query_id": RECORD_ID})
    with frames_of(federation, tmp_path) as frames:
        question = node_pb2.Question(core=core, head=head(federation, 3, 0).head)
        first, second = run(frames.turn_away(node_pb2.AttachResponse(question=question)))
        (third,) = run(frames.handle(head(federation, 3, 3)))
        count = frames.turned_away

    assert (3, 3, 1) == (first.cosigned.size, third.cosigned.size, count)
    assert ("RATE_LIMITED", RECORD_ID, True) == (second.alarm.reason, second.alarm.query_id, second.alarm.retry_ms > 0)


def test_no_value_of_a_failed_statement_is_in_the_message(tmp_path: Path) -> None:
    """T-PRV-1: a statement that cannot even be sent names its values unless it is told not to."""
    engine = open_store(tmp_path / "node.db")
    try:
        with pytest.raises(StateUnusable) as met, writing(engine) as connection:
            connection.execute(text("SELECT :name, :missing"), {"name": "Maya Fenwright"})
    finally:
        engine.dispose()

    assert "Fenwright" not in str(met.value) + str(met.value.__cause__)


# -- More questions than can be answered -------------------------------------------------------------------------------


class Flooding(node_pb2_grpc.NodeSessionServiceServicer):
    """Sends many questions at once and then a head, and keeps what comes back."""

    def __init__(self, count: int, deadline_ms: int) -> None:
        self.count = count
        self.deadline_ms = deadline_ms
        self.replies: list[str] = []
        self.done = asyncio.Event()

    async def Attach(self, frames: AsyncIterator[node_pb2.AttachRequest], context: Any) -> AsyncIterator[Any]:
        await anext(aiter(frames))
        taking = asyncio.create_task(self._take(frames))
        for number in range(self.count):
            question = node_pb2.Question(core=str(number).encode(), deadline_ms=self.deadline_ms)
            yield node_pb2.AttachResponse(question=question)
        yield node_pb2.AttachResponse(head=node_pb2.Head(checkpoint="a head"))
        await self.done.wait()
        taking.cancel()

    async def _take(self, frames: AsyncIterator[node_pb2.AttachRequest]) -> None:
        async for frame in frames:
            kind = frame.WhichOneof("frame")
            self.replies.append({"answered": frame.answered.query_id, "alarm": frame.alarm.query_id}.get(kind, kind))
            if kind == "cosigned":
                self.done.set()


def flooded(
    federation: Federation, count: int, *, deadline_ms: int, most_waiting: int
) -> tuple[list[str], list[str], list[str]]:
    """Numbers of the questions that a node handled and turned away, and all that it sent back, in order.

    The first question takes so long that all others wait behind it, also on a busy machine.
    """
    handled: list[str] = []
    turned_away: list[str] = []

    async def handle(frame: node_pb2.AttachResponse) -> Sequence[node_pb2.AttachRequest]:
        if frame.WhichOneof("frame") == "head":
            return [node_pb2.AttachRequest(cosigned=node_pb2.Cosigned(size=1))]
        await asyncio.sleep(0.0 if handled else FIRST_TAKES_S)
        number = frame.question.core.decode()
        handled.append(number)
        return [node_pb2.AttachRequest(answered=node_pb2.Answered(query_id=number))]

    async def turn_away(frame: node_pb2.AttachResponse) -> Sequence[node_pb2.AttachRequest]:
        number = frame.question.core.decode()
        turned_away.append(number)
        return [node_pb2.AttachRequest(alarm=node_pb2.Alarm(reason="RATE_LIMITED", query_id=number))]

    async def body() -> list[str]:
        flooding = Flooding(count, deadline_ms)
        server = grpc.aio.server()
        node_pb2_grpc.add_NodeSessionServiceServicer_to_server(flooding, server)
        channel = federation.broker.channel
        pair = (channel.key_pem, channel.certificate_pem)
        credentials = grpc.ssl_server_credentials([pair], federation.ca_pem, require_client_auth=True)
        port = server.add_secure_port("localhost:0", credentials)
        await server.start()
        address = f"localhost:{port}"
        hello = node_pb2.Hello(agency="police")
        keeping = asyncio.create_task(
            session.keep(
                *(address, lambda: identity(federation), lambda: hello, handle, lambda up: None),
                turn_away=turn_away,
                most_waiting=most_waiting,
            )
        )
        try:
            await asyncio.wait_for(flooding.done.wait(), PATIENCE_S)
        finally:
            keeping.cancel()
            await asyncio.wait({keeping})
            await server.stop(0)
        return flooding.replies

    return handled, turned_away, asyncio.run(body())


def test_a_question_before_which_too_many_wait_is_turned_away(federation: Federation) -> None:
    """T-POL-5: the work of a node is bounded; everything is still dealt with in the order in which it came."""
    handled, turned_away, replies = flooded(federation, 40, deadline_ms=60_000, most_waiting=5)

    assert (40, True) == (len(handled) + len(turned_away), 6 <= len(handled) < 40)
    assert [str(number) for number in range(6)] == handled[:6]
    assert [*map(str, range(40)), "cosigned"] == replies


def test_a_question_that_the_broker_has_given_up_is_not_answered_any_more(federation: Federation) -> None:
    """T-POL-5: work for nobody would make the next ones late too; a head counts however late it is."""
    handled, turned_away, replies = flooded(federation, 10, deadline_ms=400, most_waiting=200)

    assert "0" == handled[0]
    assert len(turned_away) >= 5
    assert "cosigned" == replies[-1]


def test_without_bounds_every_question_is_answered_however_late(federation: Federation) -> None:
    """The control of both: the same flood with room and time for all."""
    handled, turned_away, _ = flooded(federation, 40, deadline_ms=60_000, most_waiting=200)

    assert (40, []) == (len(handled), turned_away)
