"""What the broker's own process spends on a question.

    with alone(folder, 5) as here:
        asyncio.run(here.measure(callers=1, seconds=3))

The broker is the real program over mutual TLS, its ledger durable on disk. Nodes are streams of this process that sign
an answer and countersign each head, as real ones do, and do nothing besides. So what is counted is the broker's alone:
processor time, in Ed25519 verifications of the same machine and minute.

`waits` counts how often broker and node wait for the disk to confirm (`fsync` and `fdatasync`); there the node is real
as well, and strace counts.
"""

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from accord import answer, checkpoint, statement, warrant
from accord.answer import AgencyAnswer, SlotAnswer
from accord.v1 import node_pb2, node_pb2_grpc
from agency_node import events
from agency_node.channel import Identity, dial
from deploy.demo.processes import Processes
from tests.bench import federation, larger, paths
from tests.bench.cpu import verification_s
from tests.bench.federation import AGENCIES, ASKER, Ask, Asking, Started, clean, found, stub
from tests.world import trust

ROUND: Final = 32
"""Questions between two looks at the clock."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What the broker spent.

    Attributes:
        agencies: How many agencies each question went to.
        callers: How many asked at once.
        questions: How many were asked.
        p50_ms: Half of the questions took no longer.
        per_s: Questions per second.
        cpu: Processor time of the broker's process for a question, in verifications.
        verification_us: Of one verification, microseconds.
    """

    agencies: int
    callers: int
    questions: int
    p50_ms: float
    per_s: float
    cpu: float
    verification_us: float

    def __str__(self) -> str:
        """One line."""
        return (
            f"agencies={self.agencies} callers={self.callers} questions={self.questions} p50_ms={self.p50_ms:.1f}"
            f" per_s={self.per_s:.0f} broker_cpu={self.cpu:.1f} verification_us={self.verification_us:.0f}"
        )


@dataclass(frozen=True, slots=True)
class Waits:
    """How often broker and node waited for the disk to confirm.

    Attributes:
        callers: How many asked at once.
        questions: How many were asked, each of one agency.
        broker: Of the broker, for a question.
        node: Of the node, for a question.
    """

    callers: int
    questions: int
    broker: float
    node: float

    def __str__(self) -> str:
        """One line."""
        return f"callers={self.callers} questions={self.questions} broker={self.broker:.2f} node={self.node:.2f}"


@dataclass(slots=True)
class Alone:
    """A broker that is running.

    Attributes:
        pid: Of its process.
        address: Where it is asked.
        asking: Who asks.
        agencies: Whom to ask.
    """

    pid: int
    address: str
    asking: Asking
    agencies: tuple[str, ...]

    async def measure(self, callers: int, seconds: float) -> Spent:
        """Ask nodes that answer at once, so many questions at a time, for about so long."""
        taken, spent_s, units = paths.Taken(), 0.0, [verification_s()]
        async with contextlib.AsyncExitStack() as ending:
            for agency in self.agencies:
                await ending.enter_async_context(_attached(agency, self.asking.keys, self.address))
            ask = await ending.enter_async_context(self.asker())
            await paths.window(ask, await self.asking.requests(callers, self.agencies), callers, paths.Taken())
            until = time.monotonic() + seconds
            while time.monotonic() < until or not taken.latencies_s:
                requests = await self.asking.requests(max(ROUND, callers), self.agencies)
                before = federation.cpu_s(self.pid)
                await paths.window(ask, requests, callers, taken)
                spent_s += federation.cpu_s(self.pid) - before
                units.append(verification_s())
        number = len(taken.latencies_s)
        unit_s = sum(units) / len(units)
        return Spent(
            agencies=len(self.agencies),
            callers=callers,
            questions=number,
            p50_ms=taken.p(0.5),
            per_s=taken.per_s,
            cpu=spent_s / number / unit_s,
            verification_us=unit_s * 1e6,
        )

    @contextlib.asynccontextmanager
    async def asker(self) -> AsyncIterator[Ask]:
        """Asks as the asking agency."""
        own = self.asking.keys.agencies[ASKER].channel
        identity = Identity(own.key_pem, own.certificate_pem, self.asking.keys.ca_pem)
        async with dial(self.address, identity) as channel:
            yield stub(channel)


@contextlib.contextmanager
def alone(home: Path, number: int) -> Iterator[Alone]:
    """Start a broker.

    Args:
        home: An empty folder.
        number: How many agencies; those of a larger county where the demonstration has fewer.
    """
    more = max(number - len(AGENCIES), 0)
    agencies = tuple(sorted((*AGENCIES[:number], *larger.names(more))))
    rules = larger.policy_files(more)
    keys, people = found(home, agencies, rules)
    started = Started(home, keys.name)
    with Processes(home, clean()) as started.processes:
        started.broker("broker", "")
        said = started.listening("broker")
        pid = started.processes.pid("broker")
        yield Alone(pid, said["listening_on"], Asking(keys, said["policy"], people, rules), agencies)


def waits(home: Path, callers: int, questions: int) -> Waits | None:
    """Count how often broker and node wait for the disk.

    Args:
        home: An empty folder.
        callers: How many ask at once.
        questions: How many questions.

    Returns:
        What was counted; None where strace is not installed.
    """
    strace = shutil.which("strace")
    if strace is None:
        return None
    events.configure("warning")
    (agency,) = agencies = AGENCIES[:1]
    keys, people = found(home, agencies)
    started = Started(home, keys.name)

    def around(name: str) -> tuple[str, ...]:
        told = ("-e", "trace=fsync,fdatasync", "-o", str(home / f"{name}.calls"))
        return (strace, "-f", "--seccomp-bpf", "-qq", *told)

    def counted(name: str) -> int:
        return (home / f"{name}.calls").read_text("utf-8", errors="replace").count("sync(")

    async def ask(here: Alone) -> Waits:
        async with here.asker() as asked:
            await paths.window(asked, await here.asking.requests(callers, agencies), callers, paths.Taken())
            before = counted("broker"), counted(agency)
            await paths.window(asked, await here.asking.requests(questions, agencies), callers, paths.Taken())
        of_broker, of_node = counted("broker") - before[0], counted(agency) - before[1]
        return Waits(callers, questions, of_broker / questions, of_node / questions)

    with Processes(home, clean()) as started.processes:
        started.broker("broker", "", around("broker"))
        said = started.listening("broker")
        federation.write_node(home / agency, agency, people, said["listening_on"])
        asyncio.run(federation.index_all([home / agency], federation.direct(keys)))
        started.program(agency, "accord-node", around(agency))
        started.wait("broker", lambda: started.attached("broker") >= set(agencies))
        asking = Asking(keys, said["policy"], people)
        return asyncio.run(ask(Alone(started.processes.pid("broker"), said["listening_on"], asking, agencies)))


@contextlib.asynccontextmanager
async def _attached(agency: str, keys: trust.Federation, address: str) -> AsyncIterator[None]:
    """A node that answers at once."""
    own = keys.agencies[agency]
    up: asyncio.Queue[node_pb2.AttachRequest] = asyncio.Queue()
    up.put_nowait(node_pb2.AttachRequest(hello=node_pb2.Hello(agency=agency, directory_version=1)))
    attached = asyncio.Event()

    async def frames() -> AsyncIterator[node_pb2.AttachRequest]:
        while True:
            yield await up.get()

    async def serve() -> None:
        async for frame in node_pb2_grpc.NodeSessionServiceStub(channel).Attach(frames()):
            head = frame.question.head if frame.HasField("question") else frame.head
            if head.checkpoint:
                up.put_nowait(node_pb2.AttachRequest(cosigned=_cosigned(head, agency, keys)))
                attached.set()
            if frame.HasField("question"):
                up.put_nowait(node_pb2.AttachRequest(answered=_answered(frame.question, agency, keys)))

    async with dial(address, Identity(own.channel.key_pem, own.channel.certificate_pem, keys.ca_pem)) as channel:
        serving = asyncio.create_task(serve())
        try:
            await attached.wait()
            yield
        finally:
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving


def _cosigned(head: node_pb2.Head, agency: str, keys: trust.Federation) -> node_pb2.Cosigned:
    name = f"{keys.name}/{agency}"
    line = checkpoint.cosign(head.checkpoint, name, keys.agencies[agency].witness, int(time.time()))
    return node_pb2.Cosigned(size=int(head.checkpoint.split("\n", 2)[1]), cosignature=line)


def _answered(question: node_pb2.Question, agency: str, keys: trust.Federation) -> node_pb2.Answered:
    core = statement.parse_core(question.core)
    opened = warrant.open_warrant(
        question.warrant,
        federation=keys.name,
        warrant_public=keys.directory.broker.warrant_key,
        agency=core.agency,
        now_s=int(time.time()),
    )
    said = AgencyAnswer(
        statement=statement.digest(question.core, question.broker_part_sha256, list(question.node_digests)),
        jti=opened.jti,
        query_id=core.query_id,
        node=agency,
        question=core.question,
        question_version=core.question_version,
        as_of_ns=core.issued_at_ns,
        policy=opened.policy,
        slots=tuple(SlotAnswer(f"s{number}", answer.NO) for number in range(1, 13)),
        sealed_contacts=b"c" * 432,
    )
    signed = answer.build(said, keys.agencies[agency].answer)
    return node_pb2.Answered(query_id=core.query_id, signed_answer=signed)
