"""Everything that a question goes through from the broker's door and back, in this process and without gRPC.

    async with pipeline(home, 5) as here:
        await here.ask(request)

Token and statement are checked, the rules decide, the ledger is written to disk, each node answers out of its records
and its own ledger, signatures are checked, and the answer is released: the product's own parts, put together as the two
programs put them together. Frames go from the broker's session to the node's handler as they are.
"""

import asyncio
import contextlib
import io
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from accord.statement import Draft, SignedStatement
from accord.v1 import broker_pb2
from agency_node import __main__ as node
from agency_node import events as node_events
from agency_node import settings as node_settings
from broker import __main__ as programs
from broker import caller
from broker import events as broker_events
from broker.agreements import Agreements
from broker.ask import ask
from broker.decide import Decider, Facts
from broker.directory import DirectoryFile
from broker.dispatch import Dispatcher
from broker.keys import read_pinned
from broker.ledger import LedgerReading, QuestionLedger
from broker.release import compose
from broker.sequencer import Sequencer, Writer
from broker.sessions import Session, Sessions
from broker.stages import ANSWERED, Asked, Released
from broker.store import open_store
from tests.bench.federation import AGENCIES, ASKER, Asking, direct, found, index_all, write_node
from tests.world import trust


@dataclass(slots=True)
class Pipeline:
    """A broker and its nodes without a wire.

    Attributes:
        asking: Makes questions ready.
        agencies: Who can be asked.
        keys: Everybody's keys.
        parts: Policy, ledger and nodes, as `broker.ask` wants them.
    """

    asking: Asking
    agencies: tuple[str, ...]
    keys: trust.Federation
    parts: tuple[Decider, QuestionLedger, Dispatcher]

    async def ask(self, request: broker_pb2.AskRequest) -> Released:
        """Carry one question.

        Raises:
            RuntimeError: Not everybody answered.
        """
        asked = self.check(request)
        released = await ask(asked, self.parts[0], self.parts[1], self.parts[2], compose)
        if any(row.delivery != ANSWERED for row in released.rows):
            raise RuntimeError("a question was not answered by everybody: its figures would mean nothing")
        return released

    def check(self, request: broker_pb2.AskRequest) -> Asked:
        """What the broker does at its door."""
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
            agency=ASKER,
            certificate=self.keys.agencies[ASKER].channel.certificate_der,
            directory=self.keys.directory,
            now_ns=time.time_ns(),
        )


@contextlib.asynccontextmanager
async def pipeline(home: Path, number: int) -> AsyncIterator[Pipeline]:
    """Put everything together.

    Args:
        home: An empty folder.
        number: How many nodes.
    """
    agencies = AGENCIES[:number]
    # What the two programs log is made as always, and goes nowhere.
    for events in (broker_events, node_events):
        events.configure("info", io.StringIO(), strict=True)
    keys, people = found(home, agencies)
    for agency in agencies:
        write_node(home / agency, agency, people)
    await index_all([home / agency for agency in agencies], direct(keys))
    directory = DirectoryFile(
        home / "broker" / "directory.json", read_pinned(home / "broker" / "federation.pub"), time.time_ns
    )
    policy = programs.load_policy(home / "broker" / "policy.tar.gz", directory)
    store = open_store(home / "broker" / "broker.db")
    origin = keys.directory.broker.ledger_origin
    sequencer = Sequencer(Writer(store, origin, keys.broker.ledger))
    sequencer.start()
    questions = QuestionLedger(sequencer, store, time.time_ns)
    await questions.start()
    await questions.activate(policy.revision, policy.catalogue_digest, "start", b"")
    agreements = Agreements(sequencer, store, time.time_ns)
    sessions = Sessions()
    reading = LedgerReading(sequencer, store, keys.name)
    dispatcher = Dispatcher(sessions, directory.current, reading, keys.broker.warrant, time.time_ns, 20.0)

    def facts(asked: Asked) -> Facts:
        today, touched = questions.budgets(asked)
        return Facts(agreements.for_policy(asked), "fresh", today, touched)

    decider = Decider(lambda: policy.rules, facts, programs.new_id)
    here = Pipeline(Asking(keys, policy.revision, people), agencies, keys, (decider, questions, dispatcher))
    async with contextlib.AsyncExitStack() as ending:
        for agency in agencies:
            parts = ending.enter_context(node.answerer(node_settings.load(home / agency / "node.toml")))
            parts.rules.take(policy.data, policy.revision, time.time_ns())
            session = Session(agency)
            await sessions.attach(session)
            ending.push_async_callback(_stop, asyncio.create_task(_pump(session, parts)))
        try:
            yield here
        finally:
            await sequencer.stop()
            policy.rules.engine.close()
            store.close()
            for events in (broker_events, node_events):
                events.configure(strict=True)


async def _pump(session: Session, parts: node.Answerer) -> None:
    """What a stream does: frames down, answers up; countersignatures are not kept."""
    while True:
        frame = await session.frames.get()
        for reply in await parts.frames.handle(frame):
            if reply.WhichOneof("frame") == "answered":
                session.answered(reply.answered.query_id, reply.answered.signed_answer)
            elif reply.WhichOneof("frame") == "alarm":
                session.refused(reply.alarm.query_id)


async def _stop(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def asked_one_by_one(here: Pipeline, requests: Sequence[broker_pb2.AskRequest]) -> None:
    """One question after the other."""
    for request in requests:
        await here.ask(request)
