"""gRPC in and out: messages to our values and back. Decides nothing.

Every servicer relies on the gate having admitted the caller; who the caller is
comes from its certificate, never from the message.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, Protocol

import grpc.aio

from accord import agreement as agreements_contract
from accord import signing
from accord.answer import CANNOT_SAY, NO, YES
from accord.directory import Directory
from accord.reasons import REASONS, Problem
from accord.statement import Draft, SignedStatement
from accord.v1 import (
    agreements_pb2,
    agreements_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    broker_pb2,
    broker_pb2_grpc,
    common_pb2,
    directory_pb2,
    directory_pb2_grpc,
    node_pb2,
    node_pb2_grpc,
)
from broker import caller, metrics
from broker.admission import Place, Room
from broker.ask import Heard, nobody_listens
from broker.dispatch import head_size
from broker.events import Event, log
from broker.explain import Explained
from broker.gate import BadRequest, NotAllowed, Peer, peer_of
from broker.sessions import NotAttached, Session, Sessions
from broker.stages import (
    ANSWERED,
    NOT_REACHED,
    REFUSED,
    Asked,
    Denial,
    LedgerUnavailable,
    RateLimited,
    Released,
    User,
)

Context = grpc.aio.ServicerContext[Any, Any]
CHUNK_BYTES: Final = 65_536
HELLO_S: Final = 10.0
"""Longest wait for the first frame of a stream, seconds."""
DELIVERIES: Final = {
    ANSWERED: common_pb2.DELIVERY_ANSWERED,
    REFUSED: common_pb2.DELIVERY_REFUSED,
    NOT_REACHED: common_pb2.DELIVERY_NOT_REACHED,
}
WORDS: Final = {
    "": common_pb2.ANSWER_UNSPECIFIED,
    YES: common_pb2.ANSWER_YES,
    NO: common_pb2.ANSWER_NO,
    CANNOT_SAY: common_pb2.ANSWER_CANNOT_SAY,
}


class Bundle(Protocol):
    """The policy bundle in force."""

    @property
    def revision(self) -> str:
        """Its revision."""

    @property
    def data(self) -> bytes:
        """The signed archive."""

    @property
    def catalogue(self) -> bytes:
        """Canonical bytes of its catalogue."""

    @property
    def catalogue_digest(self) -> str:
        """SHA-256 of them, hexadecimal."""


class Agreements(Protocol):
    """Records, finds and withdraws agreements."""

    async def record(
        self,
        user: User,
        agreement: agreements_contract.Agreement,
        signed: common_pb2.Signed,
        deliveries: tuple[tuple[str, bytes], ...],
    ) -> common_pb2.Receipted:
        """Make an agreement durable."""

    async def find(
        self, user: User, tags: tuple[bytes, ...]
    ) -> list[tuple[common_pb2.Signed, str, common_pb2.Receipted]]:
        """Agreements of a person in whose scope the user's agency is, with their state now."""

    async def withdraw(
        self, user: User, withdrawal: agreements_contract.Withdrawal, signed: common_pb2.Signed
    ) -> common_pb2.Receipted:
        """Make a withdrawal durable."""

    async def scope(self, record_id: str) -> frozenset[str]:
        """The agencies that are party to an agreement."""

    async def pending(self, agency: str) -> list[tuple[str, bytes]]:
        """Deliveries the agency has not had yet: record identifier and sealed bytes."""

    async def withdrawn(self, agency: str) -> list[tuple[common_pb2.Signed, common_pb2.Receipted]]:
        """Every withdrawal of an agreement to which the agency is a party and that would still be valid."""

    async def delivered(self, agency: str, record_ids: Sequence[str]) -> None:
        """Forget deliveries that the agency has."""


class Reading(Protocol):
    """Reads the ledger."""

    def checkpoint(self) -> str:
        """The newest checkpoint with its cosignatures."""

    def head_from(self, size: int) -> node_pb2.Head:
        """The newest checkpoint and the proof that it extends the tree of `size`."""

    def entries(self, start: int, limit: int) -> list[audit_pb2.Entry]:
        """Entries from `start` on."""

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Inclusion proof."""

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Consistency proof."""


class Countersigned(Protocol):
    """Keeps what the nodes countersign."""

    def take(self, agency: str, size: int, line: str) -> bool:
        """Take a line; false when it cannot be one."""


class Witnesses(Protocol):
    """Hears what the nodes hold of the ledger."""

    def heard(self, agency: str, size: int, root: bytes, note: str) -> None:
        """Take the head that a node holds."""


class Caller:
    """Who is calling, for every servicer."""

    def __init__(self, directory: Callable[[], Directory], now_ns: Callable[[], int]) -> None:
        """Set up.

        Args:
            directory: Gives the directory in force.
            now_ns: The clock.
        """
        self.directory = directory
        self.now_ns = now_ns

    def peer(self, context: Context) -> Peer:
        """The peer of a call that the gate admitted."""
        return peer_of(context, self.directory())

    def user(self, token: str, context: Context) -> User:
        """The member of staff behind a call."""
        peer = self.peer(context)
        return caller.check_user(
            token,
            agency=peer.agency,
            certificate=peer.certificate,
            directory=self.directory(),
            now_ns=self.now_ns(),
        )

    def asked(self, request: broker_pb2.AskRequest, context: Context) -> Asked:
        """A checked question."""
        peer = self.peer(context)
        return caller.check(
            request.caller_token,
            SignedStatement(
                request.core,
                request.broker_part,
                tuple(request.node_digests),
                request.signature,
                request.key_id,
                tuple(Draft(part.node, part.part, part.salt, part.payload) for part in request.node_parts),
            ),
            agency=peer.agency,
            certificate=peer.certificate,
            directory=self.directory(),
            now_ns=self.now_ns(),
        )


class Asking(broker_pb2_grpc.BrokerServiceServicer):
    """Takes questions."""

    def __init__(
        self,
        who: Caller,
        carry: Callable[[Asked, Heard], Any],
        bundle: Callable[[], Bundle],
        known: Callable[[Asked], None],
        room: Room,
        explain: Callable[[str, User], Explained],
    ) -> None:
        """Set up.

        Args:
            who: Checks callers.
            carry: Carries a question through the pipeline.
            bundle: Gives the policy bundle in force.
            known: Raises a Problem when the question or an agency is unknown.
            room: Where questions wait for their turn, before anything is checked.
            explain: Says why a question was allowed or refused, to somebody who may read that.
        """
        self._who = who
        self._room = room
        self._carry = carry
        self._bundle = bundle
        self._known = known
        self._explain = explain
        # The event loop itself keeps no hold on a task that nobody awaits any more.
        self._going: set[asyncio.Task[object]] = set()

    async def Ask(self, request: broker_pb2.AskRequest, context: Context) -> broker_pb2.AskResponse:
        """Ask one question."""
        place = await self._enter(context)
        return _response(await asyncio.shield(self._begin(request, context, nobody_listens, place)))

    async def AskWithProgress(
        self, request: broker_pb2.AskWithProgressRequest, context: Context
    ) -> AsyncIterator[broker_pb2.AskWithProgressResponse]:
        """Ask one question, saying how many agencies have been heard."""
        place = await self._enter(context)
        updates: asyncio.Queue[broker_pb2.AskWithProgressResponse] = asyncio.Queue()

        def heard(total: int, so_far: int) -> None:
            progress = broker_pb2.AskProgress(asked=total, heard=so_far)
            updates.put_nowait(broker_pb2.AskWithProgressResponse(progress=progress))

        carried = self._begin(request.ask, context, heard, place)

        async def finish() -> None:
            response = _response(await carried)
            updates.put_nowait(broker_pb2.AskWithProgressResponse(response=response))

        task = self._kept(asyncio.create_task(finish()))
        wanted = asyncio.create_task(updates.get())
        try:
            while True:
                done, _ = await asyncio.wait({task, wanted}, return_when=asyncio.FIRST_COMPLETED)
                if wanted in done:
                    update = wanted.result()
                    yield update
                    if update.HasField("response"):
                        return
                    wanted = asyncio.create_task(updates.get())
                elif task.exception() is not None:
                    task.result()
                else:
                    await asyncio.sleep(0)
        finally:
            wanted.cancel()
            # An asker that hangs up does not stop a question that is on its way: its end is recorded all the same.

    async def ExplainQuestion(
        self, request: broker_pb2.ExplainQuestionRequest, context: Context
    ) -> broker_pb2.ExplainQuestionResponse:
        """Say why a question was allowed or refused."""
        user = self._who.user(request.caller_token, context)
        return _explained(await asyncio.to_thread(self._explain, request.query_id, user))

    async def ListQuestions(
        self, request: broker_pb2.ListQuestionsRequest, context: Context
    ) -> broker_pb2.ListQuestionsResponse:
        """List the catalogue in force."""
        bundle = self._bundle()
        return broker_pb2.ListQuestionsResponse(
            catalogue=bundle.catalogue,
            catalogue_sha256=bytes.fromhex(bundle.catalogue_digest),
            policy_revision=bundle.revision,
        )

    async def _enter(self, context: Context) -> Place:
        try:
            return await self._room.enter(self._who.peer(context).agency, context.time_remaining() or 0.0)
        except RateLimited:
            metrics.TURNED_AWAY.inc()
            raise

    def _begin(
        self, request: broker_pb2.AskRequest, context: Context, heard: Heard, place: Place
    ) -> "asyncio.Task[Released]":
        """Check a question and set it on its way; whoever hangs up, its terminal record must be written.

        Its place is free again when it ends, and not before: hanging up must not make room for more.
        """
        try:
            asked = self._who.asked(request, context)
            self._known(asked)
        except BaseException:
            place.leave()
            raise

        def both(total: int, so_far: int) -> None:
            place.heard(total, so_far)
            heard(total, so_far)

        carried: asyncio.Task[Released] = asyncio.ensure_future(self._carry(asked, both))
        carried.add_done_callback(lambda _: place.leave())
        self._kept(carried)
        return carried

    def _kept(self, task: "asyncio.Task[Any]") -> "asyncio.Task[Any]":
        self._going.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._going.discard(task)
        if not task.cancelled():
            # Looked at, so that a failure after the asker hung up is not printed with its text.
            task.exception()


def _explained(one: Explained) -> broker_pb2.ExplainQuestionResponse:
    return broker_pb2.ExplainQuestionResponse(
        query_id=one.query_id,
        asked_at=one.asked_at,
        agency=one.agency,
        question=one.question,
        purpose=one.purpose,
        policy=one.policy,
        end=one.end,
        cause=one.cause,
        agencies=[
            broker_pb2.ExplainedAgency(
                agency=row.agency,
                title=row.title,
                allowed=row.allowed,
                gateway=row.gateway,
                source=row.source,
                found=row.found,
                missing=[
                    common_pb2.Denial(
                        code=lack.code, reason=lack.reason, cure=lack.cure, contact=lack.contact, subject_ref=lack.ref
                    )
                    for lack in row.missing
                ],
                agreements=row.agreements,
                duties=row.duties,
                went=row.went,
            )
            for row in one.agencies
        ],
    )


def _response(released: Released) -> broker_pb2.AskResponse:
    return broker_pb2.AskResponse(
        query_id=released.query_id,
        rows=[
            broker_pb2.AgencyRow(
                agency=row.agency,
                delivery=DELIVERIES[row.delivery],
                signed_answer=row.signed_answer,
                denials=[_denial(denial) for denial in row.denials],
                gateway=row.gateway,
            )
            for row in released.rows
        ],
        receipted=common_pb2.Receipted(record=released.record, receipt=released.receipt),
        replayed=released.replayed,
        composed=WORDS[released.word],
    )


def _denial(denial: Denial) -> common_pb2.Denial:
    return common_pb2.Denial(
        code=denial.code, reason=denial.reason, cure=denial.cure, contact=denial.contact, subject_ref=denial.ref
    )


class Attaching(node_pb2_grpc.NodeSessionServiceServicer):
    """Holds the nodes' streams."""

    def __init__(
        self,
        who: Caller,
        sessions: Sessions,
        reading: Reading,
        agreements: Agreements,
        bundle: Callable[[], Bundle],
        witnesses: Witnesses,
        countersigned: Countersigned,
    ) -> None:
        """Set up.

        Args:
            who: Checks callers.
            sessions: Where streams are kept.
            reading: Reads the ledger.
            agreements: Gives what an agency must still be told.
            bundle: Gives the policy bundle in force.
            witnesses: Hears with which head a node attaches.
            countersigned: Keeps what it countersigns.
        """
        self._who = who
        self._sessions = sessions
        self._reading = reading
        self._agreements = agreements
        self._bundle = bundle
        self._witnesses = witnesses
        self._countersigned = countersigned

    async def Attach(
        self, request_iterator: AsyncIterator[node_pb2.AttachRequest], context: Context
    ) -> AsyncIterator[node_pb2.AttachResponse]:
        """One stream: frames go down as they are queued, and what comes up is taken in a task of its own."""
        peer = self._who.peer(context)
        try:
            async with asyncio.timeout(HELLO_S):
                first = await anext(aiter(request_iterator), None)
        except TimeoutError:
            first = None
        if first is None or first.WhichOneof("frame") != "hello":
            raise BadRequest("the first frame is not hello")
        if first.hello.agency != peer.agency:
            raise NotAllowed("the hello names another agency than the certificate")
        hello, now_s = first.hello, asyncio.get_running_loop().time()
        self._witnesses.heard(peer.agency, hello.head_size, hello.head_root, hello.head_note)
        session = Session(peer.agency, head_size=first.hello.head_size, attached_s=now_s, heard_s=now_s)
        up = asyncio.create_task(self._take(session, request_iterator))
        try:
            # Attached before the welcome is put together, so that a withdrawal made meanwhile is queued and not missed.
            await self._sessions.attach(session)
            for frame in await self._welcome(session, first.hello):
                yield frame
            # Queued, not yielded: heads must go down in the order in which their proofs follow from each other.
            head = self._reading.head_from(session.head_size)
            session.head_size = head_size(head)
            with contextlib.suppress(NotAttached):
                # What it sent meanwhile may have closed the session already; then it ends below, as any other.
                session.send(node_pb2.AttachResponse(head=head))
            log.info(Event.NODE_ATTACHED, node=peer.agency, directory_version=first.hello.directory_version)
            while (wanted := await session.next()) is not None:
                yield wanted
        finally:
            up.cancel()
            await self._sessions.detach(session)
            log.info(Event.NODE_DETACHED, node=peer.agency)

    async def _welcome(self, session: Session, hello: node_pb2.Hello) -> list[node_pb2.AttachResponse]:
        """What a node must have before it can answer: rules, withdrawals and agreements."""
        frames = []
        bundle = self._bundle()
        if hello.policy_revision != bundle.revision:
            frames += bundle_frames(bundle)
        for signed, receipted in await self._agreements.withdrawn(session.agency):
            frames.append(
                node_pb2.AttachResponse(withdrawn=node_pb2.AgreementWithdrawn(withdrawal=signed, receipted=receipted))
            )
        pending = await self._agreements.pending(session.agency)
        session.delivering = tuple(record_id for record_id, _ in pending)
        for record_id, sealed in pending:
            delivered = node_pb2.AgreementDelivered(record_id=record_id, sealed=sealed)
            frames.append(node_pb2.AttachResponse(delivered=delivered))
        return frames

    async def _take(self, session: Session, frames: AsyncIterator[node_pb2.AttachRequest]) -> None:
        """Take what the node sends until it stops or sends what it must not, then close the session."""
        try:
            async for frame in frames:
                session.heard_s = asyncio.get_running_loop().time()
                if not await self._taken(session, frame):
                    return
        except Problem as problem:
            log.warning(Event.NODE_ALARM, node=session.agency, reason=problem.reason)
        except Exception as error:  # noqa: BLE001  # nobody awaits this task: what it raised would be told to nobody
            log.error(Event.RPC_FAILED, method="Attach", reason="INTERNAL", kind=type(error).__name__)
        finally:
            session.close()

    async def _taken(self, session: Session, frame: node_pb2.AttachRequest) -> bool:
        """Take one frame; false when there is none in it that a node may send now."""
        match frame.WhichOneof("frame"):
            case "answered":
                session.answered(frame.answered.query_id, frame.answered.signed_answer)
            case "cosigned":
                try:
                    await self._arrived(session)
                except (LedgerUnavailable, RateLimited) as problem:
                    # Nothing is lost for good, and a stream cut for it would cost the answers on their way up.
                    log.warning(Event.LEDGER_FAILED, reason=problem.reason)
                return self._countersigned.take(session.agency, frame.cosigned.size, frame.cosigned.cosignature)
            case "alarm":
                if frame.alarm.reason == RateLimited.reason:
                    session.turned_away(frame.alarm.query_id, frame.alarm.retry_ms / 1_000)
                    return True
                session.refused(frame.alarm.query_id)
                if not frame.alarm.query_id:
                    # It may be about a delivery: all of them are sent again with the next welcome.
                    session.delivering = ()
                log.warning(
                    Event.NODE_ALARM,
                    node=session.agency,
                    reason=frame.alarm.reason if frame.alarm.reason in REASONS else "unknown",
                )
            case _:
                return False
        return True

    async def _arrived(self, session: Session) -> None:
        """Forget what was delivered with the welcome.

        A node handles frames in their order and countersigns every head. A welcome comes before every head of its
        stream, so the first countersignature says that the welcome was handled, and the alarms before it what was not.
        """
        delivered, session.delivering = session.delivering, ()
        if delivered:
            await self._agreements.delivered(session.agency, delivered)


def bundle_frames(bundle: Bundle) -> list[node_pb2.AttachResponse]:
    """A policy bundle as frames of at most 64 KiB."""
    chunks = [bundle.data[start : start + CHUNK_BYTES] for start in range(0, len(bundle.data), CHUNK_BYTES)]
    return [
        node_pb2.AttachResponse(
            bundle=node_pb2.BundleChunk(revision=bundle.revision, number=number, total=len(chunks), content=chunk)
        )
        for number, chunk in enumerate(chunks)
    ]


class Agreeing(agreements_pb2_grpc.AgreementServiceServicer):
    """Takes agreements and withdrawals."""

    def __init__(self, who: Caller, agreements: Agreements, sessions: Sessions) -> None:
        """Set up.

        Args:
            who: Checks callers.
            agreements: Keeps them.
            sessions: Where withdrawals and deliveries are pushed.
        """
        self._who = who
        self._agreements = agreements
        self._sessions = sessions

    async def RecordAgreement(
        self, request: agreements_pb2.RecordAgreementRequest, context: Context
    ) -> agreements_pb2.RecordAgreementResponse:
        """Record an agreement and hand it on to the agencies in its scope."""
        user = self._who.user(request.caller_token, context)
        agreement = agreements_contract.parse_agreement(request.agreement.statement)
        self._signed(user, request.agreement, agreements_contract.LABEL)
        if agreement.captured_by != user.agency:
            raise agreements_contract.BadAgreement("the agreement was captured by another agency")
        self._who.directory().agency(agreement.captured_by)
        for agency in (*agreement.requesters, *agreement.responders):
            self._who.directory().agency(agency)
        deliveries = tuple((one.agency, one.sealed) for one in request.deliveries)
        scope = frozenset(agreement.requesters + agreement.responders)
        if any(agency not in scope or len(sealed) > CHUNK_BYTES for agency, sealed in deliveries):
            raise agreements_contract.BadAgreement("a delivery is too large, or to an agency outside the scope")
        receipted = await self._agreements.record(user, agreement, request.agreement, deliveries)
        log.info(Event.AGREEMENT_RECORDED, record_id=agreement.record_id, caller_agency=user.agency)
        for agency, sealed in deliveries:
            await self._deliver(agency, agreement.record_id, sealed)
        return agreements_pb2.RecordAgreementResponse(receipted=receipted)

    async def FindAgreements(
        self, request: agreements_pb2.FindAgreementsRequest, context: Context
    ) -> agreements_pb2.FindAgreementsResponse:
        """Find a person's agreements by subject tag."""
        user = self._who.user(request.caller_token, context)
        tags = tuple(request.subject_tags)
        if len(tags) > 36 or any(len(tag) != 16 for tag in tags):
            raise BadRequest("more than 36 tags, or one that is not 16 bytes")
        found = await self._agreements.find(user, tags)
        return agreements_pb2.FindAgreementsResponse(
            agreements=[
                agreements_pb2.FoundAgreement(agreement=signed, state=state, receipted=receipted)
                for signed, state, receipted in found
            ]
        )

    async def WithdrawAgreement(
        self, request: agreements_pb2.WithdrawAgreementRequest, context: Context
    ) -> agreements_pb2.WithdrawAgreementResponse:
        """Withdraw an agreement and push the withdrawal to every attached node that is party to it."""
        user = self._who.user(request.caller_token, context)
        withdrawal = agreements_contract.parse_withdrawal(request.withdrawal.statement)
        self._signed(user, request.withdrawal, agreements_contract.WITHDRAWAL_LABEL)
        if withdrawal.taken_by != user.agency:
            raise agreements_contract.BadAgreement("the withdrawal was taken by another agency")
        # To the parties only: to all others, that some family somewhere withdrew is none of their business. Looked up
        # first, so that nothing can come between the record and the push.
        parties = await self._agreements.scope(withdrawal.record_id)
        receipted = await self._agreements.withdraw(user, withdrawal, request.withdrawal)
        log.info(Event.AGREEMENT_WITHDRAWN, record_id=withdrawal.record_id, caller_agency=user.agency)
        withdrawn = node_pb2.AgreementWithdrawn(withdrawal=request.withdrawal, receipted=receipted)
        self._sessions.broadcast(node_pb2.AttachResponse(withdrawn=withdrawn), parties)
        return agreements_pb2.WithdrawAgreementResponse(receipted=receipted)

    def _signed(self, user: User, signed: common_pb2.Signed, label: str) -> None:
        public = self._who.directory().agency(user.agency).asking
        if signed.key_id != signing.key_id(public):
            raise signing.BadSignature("the record names a key that the directory does not list for this agency")
        signing.verify(public, label, signed.statement, signed.signature)

    async def _deliver(self, agency: str, record_id: str, sealed: bytes) -> None:
        session = self._sessions.find(agency)
        if session is None:
            return
        try:
            delivered = node_pb2.AgreementDelivered(record_id=record_id, sealed=sealed)
            session.send(node_pb2.AttachResponse(delivered=delivered))
        except NotAttached:
            return


class Handing(directory_pb2_grpc.DirectoryServiceServicer):
    """Hands out the directory file."""

    def __init__(self, file: Callable[[], bytes]) -> None:
        """Set up.

        Args:
            file: Gives the bytes of the directory in force.
        """
        self._file = file

    async def GetDirectory(
        self, request: directory_pb2.GetDirectoryRequest, context: Context
    ) -> directory_pb2.GetDirectoryResponse:
        """The file as the federation key signed it."""
        return directory_pb2.GetDirectoryResponse(directory=self._file())


class Auditing(audit_pb2_grpc.AuditServiceServicer):
    """Reads the ledger; apart from everything that writes."""

    def __init__(self, reading: Reading) -> None:
        """Set up.

        Args:
            reading: Reads the ledger.
        """
        self._reading = reading

    async def GetCheckpoint(
        self, request: audit_pb2.GetCheckpointRequest, context: Context
    ) -> audit_pb2.GetCheckpointResponse:
        """The newest checkpoint with its cosignatures."""
        return audit_pb2.GetCheckpointResponse(checkpoint=self._reading.checkpoint())

    async def GetInclusionProof(
        self, request: audit_pb2.GetInclusionProofRequest, context: Context
    ) -> audit_pb2.GetInclusionProofResponse:
        """Inclusion proof."""
        try:
            return audit_pb2.GetInclusionProofResponse(hashes=self._reading.inclusion(request.index, request.size))
        except (ValueError, KeyError) as error:
            raise BadRequest("no such entry in a tree of that size") from error

    async def GetConsistencyProof(
        self, request: audit_pb2.GetConsistencyProofRequest, context: Context
    ) -> audit_pb2.GetConsistencyProofResponse:
        """Consistency proof."""
        try:
            hashes = self._reading.consistency(request.old_size, request.new_size)
        except (ValueError, KeyError) as error:
            raise BadRequest("no such two trees") from error
        return audit_pb2.GetConsistencyProofResponse(hashes=hashes)

    async def ListEntries(
        self, request: audit_pb2.ListEntriesRequest, context: Context
    ) -> audit_pb2.ListEntriesResponse:
        """A page of entries."""
        if not 1 <= request.limit <= 1000:
            raise BadRequest("limit is not from 1 to 1,000")
        return audit_pb2.ListEntriesResponse(entries=self._reading.entries(request.start, request.limit))
