"""Frames that come down the session, turned into our values, and what is sent back. Decides nothing.

question  -> witness, answer        -> cosigned and answered, or an alarm (one transaction for both)
head      -> witness                -> cosigned, or an alarm
bundle    -> verify, store, load
withdrawn -> verify, store          (beats every stored answer from then on)
delivered -> unseal, store
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord import agreement as contract
from accord import bundle as bundles
from accord import sealing, signing
from accord.canonical import Json, NotCanonical, decode_object, text
from accord.directory import UnknownAgency
from accord.reasons import Problem
from accord.statement import Draft
from accord.v1 import node_pb2
from agency_node import agreements, witness
from agency_node.answer import Node, answer
from agency_node.events import Event, log
from agency_node.gate import refuse_unknown_fields
from agency_node.ledger import Kind, Record, append
from agency_node.rules import RulesInForce
from agency_node.stages import Received
from agency_node.store import writing
from agency_node.store.agreements import Binding, Source, keep_binding, withdraw

MAX_BUNDLE_BYTES = 8 * 1024 * 1024
"""Longest bundle that is put together from chunks."""
RETRY_MS = 500
"""What the broker is told to wait when there is no room for a question, milliseconds: some dozen questions' time."""


@dataclass(slots=True)
class Frames:
    """Handles the frames of one session.

    Attributes:
        node: What answering needs.
        rules: The policy bundle in force.
        witness_key: Countersigns the broker's ledger.
        now_ns: The clock.
        steps: Gives how often and how far that clock was set since it was last called, nanoseconds.
        turned_away: How many questions there was no room for.
    """

    node: Node
    rules: RulesInForce
    witness_key: Ed25519PrivateKey
    now_ns: Callable[[], int] = time.time_ns
    steps: Callable[[], Sequence[int]] = tuple
    turned_away: int = 0
    _stepped: list[int] = field(default_factory=list)
    _chunks: dict[int, bytes] = field(default_factory=dict)

    def hello(self) -> node_pb2.Hello:
        """The first frame of a session."""
        self._chunks.clear()
        directory = self.node.directory()
        seen = witness.seen(self.node.engine, directory.broker.ledger_origin)
        return node_pb2.Hello(
            agency=self.node.agency,
            policy_revision=self.rules.revision(),
            head_size=0 if seen is None else seen.size,
            head_root=b"" if seen is None else seen.root,
            directory_version=directory.version,
            head_note="" if seen is None else seen.note,
        )

    async def handle(self, frame: node_pb2.AttachResponse) -> Sequence[node_pb2.AttachRequest]:
        """Handle one frame. Whatever is wrong with it is alarmed, never answered.

        Raises:
            HeadOutOfStep: What was sent down this stream and what was stored here have parted, so that no later head on
                it can be proved; only a new stream, begun from the head that is stored, helps.
        """
        query_id = ""
        try:
            refuse_unknown_fields(frame)
            # First, so that a record whose time is doubtful stands behind the one that says so.
            self.note_clock()
            match frame.WhichOneof("frame"):
                case "question":
                    # For the broker's own bookkeeping only; what counts is the checked statement inside.
                    query_id = _query_id(frame.question)
                    return await self._question(frame.question, query_id)
                case "head":
                    return [self._head(frame.head)]
                case "bundle":
                    self._bundle(frame.bundle)
                case "withdrawn":
                    self._withdrawn(frame.withdrawn)
                case "delivered":
                    self._delivered(frame.delivered)
        except witness.HeadOutOfStep:
            raise
        except Problem as problem:
            log.warning(Event.QUESTION_REFUSED, query_id=query_id, reason=problem.reason)
            return [node_pb2.AttachRequest(alarm=node_pb2.Alarm(reason=problem.reason, query_id=query_id))]
        except Exception as error:  # noqa: BLE001  # one bad frame must not end the session; its text stays here
            log.error(Event.RPC_FAILED, method="Attach", reason="INTERNAL", kind=type(error).__name__)
            return [node_pb2.AttachRequest(alarm=node_pb2.Alarm(reason="INTERNAL", query_id=query_id))]
        return []

    def note_clock(self) -> None:
        """Write down every step of the clock (T-OPS-2).

        Raises:
            StateUnusable: It could not be written; it is kept for the next time.
        """
        self._stepped += self.steps()
        if self._stepped:
            at_ns, by_ms = self.now_ns(), [round(step / 1_000_000) for step in self._stepped]
            with writing(self.node.engine) as connection:
                append(connection, [Record(Kind.CLOCK_STEP, at_ns, {"by_ms": one}) for one in by_ms])
            for one in by_ms:
                log.warning(Event.CLOCK_STEP, by_ms=one)
            self._stepped.clear()

    async def turn_away(self, frame: node_pb2.AttachResponse) -> Sequence[node_pb2.AttachRequest]:
        """Answer a question with nothing but when to ask again: there is no room for it. Its head counts all the same.

        Raises:
            HeadOutOfStep: As `handle`.
        """
        self.turned_away += 1
        query_id = _query_id(frame.question)
        told = await self.handle(node_pb2.AttachResponse(head=frame.question.head))
        log.warning(Event.QUESTION_REFUSED, query_id=query_id, reason="RATE_LIMITED")
        alarm = node_pb2.Alarm(reason="RATE_LIMITED", query_id=query_id, retry_ms=RETRY_MS)
        return [*told, node_pb2.AttachRequest(alarm=alarm)]

    async def _question(self, question: node_pb2.Question, query_id: str) -> list[node_pb2.AttachRequest]:
        now_ns = self.now_ns()
        part = question.part
        received = Received(
            warrant=question.warrant,
            core=question.core,
            broker_part_sha256=question.broker_part_sha256,
            node_digests=tuple(question.node_digests),
            signature=question.signature,
            key_id=question.key_id,
            draft=Draft(part.node, part.part, part.salt, part.payload),
        )
        with _alarming():
            head = self._read_head(question.head, query_id)
            witness.demand(self.node.engine, head)
        try:
            given = await answer(received, self.node, now_ns, lambda connection: witness.take(connection, head))
        except Exception:
            # Whatever became of its question, a head counts: the next one's proof begins there.
            with _alarming():
                witness.store(self.node.engine, head)
            raise
        elapsed_ms = round((self.now_ns() - now_ns) / 1_000_000)
        if given.repeated:
            log.info(Event.QUESTION_REPEATED, query_id=given.query_id)
        else:
            log.info(Event.QUESTION_ANSWERED, query_id=given.query_id, elapsed_ms=elapsed_ms)
        answered = node_pb2.Answered(query_id=given.query_id, signed_answer=given.signed_answer)
        return [self._countersigned(head), node_pb2.AttachRequest(answered=answered)]

    def _head(self, head: node_pb2.Head) -> node_pb2.AttachRequest:
        with _alarming():
            came = self._read_head(head, None)
            witness.store(self.node.engine, came)
        return self._countersigned(came)

    def _read_head(self, head: node_pb2.Head, query_id: str | None) -> witness.Head:
        broker = self.node.directory().broker
        return witness.read(
            *(self.node.engine, head.checkpoint, list(head.consistency), head.from_size),
            origin=broker.ledger_origin,
            ledger_public=broker.ledger_key,
            at_ns=self.now_ns(),
            query_id=query_id,
        )

    def _countersigned(self, head: witness.Head) -> node_pb2.AttachRequest:
        name = f"{self.node.directory().federation}/{self.node.agency}"
        line = witness.countersign(head, name, self.witness_key)
        return node_pb2.AttachRequest(cosigned=node_pb2.Cosigned(size=line.size, cosignature=line.line))

    def _bundle(self, chunk: node_pb2.BundleChunk) -> None:
        if chunk.number == 0:
            self._chunks.clear()
        self._chunks[chunk.number] = chunk.content
        if sum(map(len, self._chunks.values())) > MAX_BUNDLE_BYTES:
            self._chunks.clear()
            raise bundles.BadBundle("the bundle is too large")
        if len(self._chunks) == chunk.total:
            data = b"".join(self._chunks[number] for number in sorted(self._chunks))
            self._chunks.clear()
            self.rules.take(data, chunk.revision, self.now_ns())
            log.info(Event.POLICY_RECEIVED, policy=chunk.revision, chunks=chunk.total)

    def _withdrawn(self, frame: node_pb2.AgreementWithdrawn) -> None:
        signed = frame.withdrawal
        withdrawal = contract.parse_withdrawal(signed.statement)
        directory = self.node.directory()
        try:
            public = directory.agency(withdrawal.taken_by).asking
            signing.verify(public, contract.WITHDRAWAL_LABEL, signed.statement, signed.signature)
        except (UnknownAgency, signing.BadSignature) as problem:
            # Whoever took it may have other keys by now, or have left. What the ledger holds counts all the same: a
            # withdrawal only ever narrows, so it is better obeyed on one proof than lost for want of the other.
            try:
                agreements.check_withdrawn(frame.receipted, withdrawal, signed.statement, directory.broker)
            except Problem:
                raise problem from None
        at_ns = self.now_ns()
        with writing(self.node.engine) as connection:
            if withdraw(connection, withdrawal.record_id, at_ns, signed.SerializeToString()):
                fields: dict[str, Json] = {"record_id": withdrawal.record_id}
                append(connection, [Record(Kind.AGREEMENT_WITHDRAWN, at_ns, fields)])
        log.info(Event.AGREEMENT_WITHDRAWN, record_id=withdrawal.record_id)

    def _delivered(self, frame: node_pb2.AgreementDelivered) -> None:
        info = agreements.delivery_info(frame.record_id)
        data = sealing.unseal(self.node.sealing_key, info, frame.sealed)
        agreements.read_binding(data)
        at_ns = self.now_ns()
        with writing(self.node.engine) as connection:
            # The broker sends a delivery until it knows that it arrived, so it may come more than once.
            if keep_binding(connection, Binding(frame.record_id, Source.DELIVERED, data, at_ns)):
                fields: dict[str, Json] = {"record_id": frame.record_id}
                append(connection, [Record(Kind.AGREEMENT_RECEIVED, at_ns, fields)])
        log.info(Event.AGREEMENT_DELIVERED, record_id=frame.record_id)


@contextmanager
def _alarming() -> Iterator[None]:
    """Say of a head that it was refused; its alarm stands in this node's own ledger."""
    try:
        yield
    except Problem as problem:
        log.error(Event.WITNESS_ALARM, reason=problem.reason)
        raise


def _query_id(question: node_pb2.Question) -> str:
    try:
        return str(text(decode_object(question.core, 4096), "query_id"))
    except NotCanonical:
        return ""
