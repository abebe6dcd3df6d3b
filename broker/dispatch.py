"""Send one warranted question down the attached nodes' streams and gather their signed answers.

    Opened -> one warrant -> a frame per permitted node -> answers, signatures checked -> Answers

Everything that is not a valid signed answer to exactly this question is *not
reached*: no status, silence or garbage can ever become a no. A node that lately
only failed is passed over (`broker/breaker.py`), which is *not reached* at once.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.answer import BadAnswer, open_answer
from accord.directory import Directory, UnknownAgency
from accord.statement import LIST_SIZES, part_digest
from accord.v1 import common_pb2, node_pb2
from accord.warrant import TooWide, agreement_mark, mint_warrant
from broker import breaker
from broker.breaker import Breaker, Leave, Outcome, State
from broker.events import Event, log
from broker.sessions import NodeBusy, NotAttached, Session, Sessions
from broker.stages import ANSWERED, NOT_REACHED, Answers, Opened, Reply

DEADLINE_S: Final = 2.0
"""Longest wait for one node, seconds, unless settings say otherwise."""


MARK_SIZES: Final = (*LIST_SIZES, 128)
"""Sizes that the marks of agreements are padded to: one for each agency and person, as many as fit into one Ask."""


class Heads(Protocol):
    """Gives the ledger's newest head as a node needs it."""

    def head_from(self, size: int) -> node_pb2.Head:
        """The newest checkpoint and the proof that it extends the tree of `size`."""


class Dispatcher:
    """Reaches the nodes that are attached to this process."""

    def __init__(
        self,
        sessions: Sessions,
        directory: Callable[[], Directory],
        heads: Heads,
        warrant_key: Ed25519PrivateKey,
        now_ns: Callable[[], int],
        deadline_s: float = DEADLINE_S,
        failures: int = breaker.FAILURES,
    ) -> None:
        """Set up.

        Args:
            sessions: Who is attached.
            directory: Gives the directory in force.
            heads: Gives the ledger's head.
            warrant_key: Signs warrants.
            now_ns: The clock.
            deadline_s: Longest wait for one node, seconds.
            failures: How many failures in a row pass a node over.
        """
        self._sessions = sessions
        self._directory = directory
        self._heads = heads
        self._warrant_key = warrant_key
        self._now_ns = now_ns
        self._deadline_s = deadline_s
        self._failures = failures
        self._breakers: dict[str, Breaker] = {}
        # Until when a node asked to be left alone, seconds of the event loop's clock.
        self._resting: dict[str, float] = {}

    def passed_over(self) -> int:
        """How many nodes are not asked now, because lately they only failed."""
        return sum(one.state is not State.CLOSED for one in self._breakers.values())

    async def dispatch(self, opened: Opened, heard: Callable[[int, int], None]) -> Answers:
        """Ask every permitted agency at once.

        Returns:
            One reply for each permitted agency, in order of identifier.
        """
        permitted = sorted(agency for agency, one in opened.permit.decision.by_target.items() if one.allow)
        warrant = self._warrant(opened, permitted)
        count = 0
        heard(len(permitted), 0)

        async def one(agency: str) -> Reply:
            nonlocal count
            reply = await self._one(opened, agency, warrant)
            count += 1
            heard(len(permitted), count)
            return reply

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(agency)) for agency in permitted]
        return Answers(opened, tuple(task.result() for task in tasks))

    def _warrant(self, opened: Opened, permitted: Sequence[str]) -> str:
        statement = opened.permit.asked.statement
        decision = opened.permit.decision
        nodes = [part_digest(statement.drafts[agency].salt, statement.drafts[agency].part) for agency in permitted]
        marks = [
            agreement_mark(statement.drafts[agency].salt, opened.agreements[record_id])
            for agency in permitted
            for record_id in decision.by_target[agency].agreements_used
        ]
        return mint_warrant(
            federation=self._directory().federation,
            agency=statement.core.agency,
            jti=opened.jti,
            statement=statement.digest,
            nodes=_pad(nodes, LIST_SIZES),
            policy=decision.revision,
            catalogue=decision.catalogue,
            agreements=_pad(marks, MARK_SIZES),
            now_s=self._now_ns() // 1_000_000_000,
            key=self._warrant_key,
        )

    async def _one(self, opened: Opened, agency: str, warrant: str) -> Reply:
        query_id = opened.permit.asked.statement.core.query_id
        loop = asyncio.get_running_loop()
        started = loop.time()
        session = self._sessions.find(agency)
        if session is None:
            reply = Reply(agency, NOT_REACHED, cause="not_attached")
        elif started < self._resting.get(agency, started):
            reply = Reply(agency, NOT_REACHED, cause="node_busy")
        elif (given := self._leave(session, started)) is Leave.PASS_OVER:
            reply = Reply(agency, NOT_REACHED, cause="breaker_open")
        else:
            outcome = Outcome.FAILED
            try:
                async with asyncio.timeout(self._deadline_s):
                    answer = await self._twice(opened, session, warrant, started + self._deadline_s)
                reply = Reply(agency, ANSWERED, answer, self._check(opened, agency, answer))
                outcome = Outcome.ANSWERED
            except NotAttached:
                reply = Reply(agency, NOT_REACHED, cause="not_attached")
            except TimeoutError:
                reply = Reply(agency, NOT_REACHED, cause="deadline")
            except BadAnswer:
                reply = Reply(agency, NOT_REACHED, cause="bad_answer")
            except NodeBusy as busy:
                outcome = Outcome.NEITHER
                self._resting[agency] = loop.time() + busy.retry_s
                reply = Reply(agency, NOT_REACHED, cause="node_busy")
            except UnknownAgency:
                outcome = Outcome.NEITHER
                reply = Reply(agency, NOT_REACHED, cause="left_directory")
            except BaseException:
                outcome = Outcome.NEITHER
                raise
            finally:
                self._ended(agency, given, outcome, loop.time())
        elapsed_ms = round((loop.time() - started) * 1000)
        if reply.delivery == ANSWERED:
            log.info(Event.NODE_ANSWERED, query_id=query_id, node=agency, elapsed_ms=elapsed_ms)
        else:
            log.info(Event.NODE_NOT_REACHED, query_id=query_id, node=agency, cause=reply.cause, elapsed_ms=elapsed_ms)
        return reply

    def _leave(self, session: Session, now_s: float) -> Leave:
        one = self._breakers.get(session.agency, Breaker())
        self._breakers[session.agency], given = breaker.leave(one, now_s, session.attached_s, session.heard_s)
        return given

    def _ended(self, agency: str, given: Leave, outcome: Outcome, now_s: float) -> None:
        before = self._breakers[agency]
        self._breakers[agency] = after = breaker.ended(before, given, outcome, now_s, self._failures)
        if before.state is not after.state:
            log.warning(Event.NODE_BREAKER, node=agency, state=after.state.value)

    async def _twice(self, opened: Opened, session: Session, warrant: str, until: float) -> bytes:
        """Ask once, and once more on another stream if the first breaks before the deadline."""
        try:
            return await self._send(opened, session, warrant)
        except NotAttached:
            another = await self._sessions.come_back(session, until - asyncio.get_running_loop().time())
            return await self._send(opened, another, warrant)

    async def _send(self, opened: Opened, session: Session, warrant: str) -> bytes:
        statement = opened.permit.asked.statement
        draft = statement.drafts[session.agency]
        waiter: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        question = node_pb2.Question(
            warrant=warrant,
            core=statement.core_bytes,
            broker_part_sha256=statement.broker_part_sha256,
            node_digests=statement.node_digests,
            signature=statement.signature,
            key_id=statement.key_id,
            part=common_pb2.NodePart(node=draft.node, part=draft.part, salt=draft.salt, payload=draft.payload),
            head=self._heads.head_from(session.head_size),
            deadline_ms=round(self._deadline_s * 1000),
        )
        session.head_size = head_size(question.head)
        session.waiting[statement.core.query_id] = waiter
        try:
            session.send(node_pb2.AttachResponse(question=question))
            return await waiter
        finally:
            session.waiting.pop(statement.core.query_id, None)

    def _check(self, opened: Opened, agency: str, signed_answer: bytes) -> str:
        """Demand a signed answer to exactly this question; see the failure table in the threat model.

        Returns:
            What it says of a family as a whole; empty unless the question is about one.

        Raises:
            BadAnswer: It is anything else.
        """
        statement = opened.permit.asked.statement
        answer = open_answer(signed_answer, node=agency, answer_public=self._directory().agency(agency).answer)
        expected = (
            statement.digest,
            opened.jti,
            statement.core.query_id,
            statement.core.question,
            statement.core.question_version,
        )
        found = (answer.statement, answer.jti, answer.query_id, answer.question, answer.question_version)
        if found != expected:
            raise BadAnswer("the answer is to another question")
        asked = {subject.ref for subject in statement.broker_part.subjects}
        if not asked <= {slot.ref for slot in answer.slots}:
            raise BadAnswer("the answer leaves somebody out")
        question = opened.permit.decision.question
        return answer.of_family().answer if question is not None and question.of_family else ""


def head_size(head: node_pb2.Head) -> int:
    """The size that a head of our own states, on the second line of its note."""
    return int(head.checkpoint.split("\n", 2)[1])


def _pad(digests: Sequence[bytes], sizes: Sequence[int], random: Callable[[int], bytes] = os.urandom) -> list[bytes]:
    size = next((size for size in sizes if size >= len(digests)), None)
    if size is None:
        raise TooWide(f"{len(digests)} digests do not fit into a warrant")
    return [*digests, *(random(32) for _ in range(size - len(digests)))]
