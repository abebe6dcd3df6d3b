"""A federation of real processes that is asked in three ways, and questions made ready for each.

    with federation(folder, 5) as here:
        asked = await here.full.prepare(100, here.agencies)

* *F*: a bare relay, and nodes that answer at once (`tests.bench.relay`).
* *R*: the same bare relay, and real nodes. Each checks statement, warrant and head, decides by its own rules, opens the
  envelope, links, looks up, writes its own ledger to disk and signs.
* *Full*: the broker, and real nodes: everything in `README.md`, over mutual TLS, every ledger durable on disk.

Nodes of R and of Full have the same keys, rules, records and index, and a database each. Three settings differ from
what ships, for both alike: `answer_pace_ms = 0`, since a pace of 100 ms would hide what is measured; the longest
deadlines, since 64 askers at once wait for each other on a small machine; and room for 64 questions of one agency.
"""

import asyncio
import contextlib
import json
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import grpc.aio
import uuid_utils

from accord import checkpoint, merkle, statement, warrant
from accord.canonical import sha256
from accord.catalogue import PATH, parse
from accord.checkpoint import Checkpoint
from accord.identity import MatchKey
from accord.v1 import broker_pb2, broker_pb2_grpc, common_pb2, node_pb2
from agency_node import __main__ as node
from agency_node import asking, events, index
from agency_node import settings as node_settings
from agency_node.channel import Identity, dial
from agency_node.cli import people as typed
from agency_node.mapping import open_records
from broker import policy
from deploy.demo import county
from deploy.demo.processes import BESIDE, Processes
from tests.bench.direct import DirectKeyServer
from tests.bench.larger import policy_files
from tests.bench.relay import HEAD_FILE
from tests.world import database_servers, state_servers, trust
from tests.world.key_servers import write_records

ASKER: Final = "social-care"
AGENCIES: Final = ("charity", "drug-alcohol", "health", "housing", "police")
"""Whom social care may ask in a section 47 enquiry."""
HELD: Final = 12
"""People whom every agency holds."""
DEADLINE_MS: Final = 29_000
CALL_S: Final = 30.0
"""Longest wait for one question, seconds."""

Ask = Callable[[broker_pb2.AskRequest], Awaitable[broker_pb2.AskResponse]]


@dataclass(frozen=True, slots=True)
class Path_:
    """One way of asking.

    Attributes:
        name: What it is called in the table.
        address: Where it is asked, host:port.
        processes: Whose processor time is its own: part of it -> names of processes.
        tls: Whether the asker shows its certificate there.
        warranted: Whether the frames for nodes are made beforehand, with a warrant of the federation's own.
    """

    name: str
    address: str
    processes: dict[str, tuple[str, ...]]
    tls: bool = False
    warranted: bool = False


@dataclass(slots=True)
class Asking:
    """The asking side: makes questions ready as a desk would, with tokens computed directly.

    Attributes:
        keys: Everybody's keys.
        revision: Of the rules.
        people: Whom it asks about, one after the other.
        rules: The files of the rules.
    """

    keys: trust.Federation
    revision: str
    people: Sequence[county.Person]
    rules: Mapping[str, bytes] = field(default_factory=lambda: policy_files(0))
    _tokens: dict[tuple[str, bytes], bytes] = field(default_factory=dict)

    async def requests(
        self, number: int, agencies: Sequence[str], warranted: bool = False
    ) -> list[broker_pb2.AskRequest]:
        """So many questions, each with a caller token of its own.

        Args:
            number: How many.
            agencies: Whom to ask.
            warranted: The frames for nodes are made here, with a warrant, as for a relay that makes none.
        """
        asker = self.asker()
        made = []
        for one in range(number):
            inquiry, _ = typed.inquiry(question(self.people[one % len(self.people)], agencies))
            prepared = await asking.prepare(asker, inquiry, self._caller_token(), "practitioner")
            made.append(self._warranted(prepared) if warranted else prepared.request)
        return made

    def asker(self) -> asking.Asker:
        """The asking side, with tokens computed directly."""
        return asking.Asker(
            agency=ASKER,
            directory=self.keys.directory,
            catalogue=parse(self.rules[PATH]),
            policy=self.revision,
            asking_key=self.keys.agencies[ASKER].asking,
            case_secret=b"c" * 32,
            tokens=self._tokens_of,
            subject_tokens=self._tags_of,
            agreements=_none,
            now_ns=time.time_ns,
            new_id=lambda: str(uuid_utils.uuid7()),
            asked=lambda prepared: None,
            shown=lambda outcome: None,
        )

    async def _tokens_of(self, wanted: Sequence[MatchKey]) -> list[bytes]:
        missing = [key for key in wanted if (key.family, key.input) not in self._tokens]
        for key, token in zip(missing, await direct(self.keys)(missing), strict=True):
            self._tokens[key.family, key.input] = token
        return [self._tokens[key.family, key.input] for key in wanted]

    async def _tags_of(self, wanted: Sequence[MatchKey]) -> list[bytes]:
        # What a tag is made of does not matter to what is measured, only that it is one person's.
        return [sha256(key.family.encode() + key.input)[:16] for key in wanted]

    def _caller_token(self) -> str:
        now_s = int(time.time())
        own = self.keys.agencies[ASKER]
        return warrant.mint_caller(
            agency=ASKER,
            federation=self.keys.name,
            user="ab" * 32,
            role="practitioner",
            aal=2,
            phishing_resistant=True,
            auth_time_s=now_s - 60,
            acr="",
            amr=("pwd", "hwk", "mfa"),
            certificate_der=own.channel.certificate_der,
            jti=str(uuid_utils.uuid7()),
            now_s=now_s,
            key=own.asking,
        )

    def _warranted(self, prepared: asking.Prepared) -> broker_pb2.AskRequest:
        """The frames that the broker would have sent, with a head that never moves."""
        signed = prepared.signed
        digests = [statement.part_digest(one.salt, one.part) for one in signed.drafts]
        token = warrant.mint_warrant(
            federation=self.keys.name,
            agency=ASKER,
            jti=str(uuid_utils.uuid7()),
            statement=prepared.digest,
            nodes=[*digests, *(os.urandom(32) for _ in range(8 - len(digests)))],
            policy=self.revision,
            catalogue=parse(self.rules[PATH]).digest,
            agreements=[os.urandom(32) for _ in range(4)],
            now_s=int(time.time()),
            key=self.keys.broker.warrant,
        )
        frames = [
            node_pb2.AttachResponse(
                question=node_pb2.Question(
                    warrant=token,
                    core=signed.core,
                    broker_part_sha256=sha256(signed.broker_part),
                    node_digests=signed.node_digests,
                    signature=signed.signature,
                    key_id=signed.key_id,
                    part=common_pb2.NodePart(node=one.node, part=one.part, salt=one.salt, payload=one.payload),
                    head=node_pb2.Head(checkpoint=fixed_head(self.keys), from_size=1),
                    deadline_ms=DEADLINE_MS,
                )
            )
            for one in signed.drafts
        ]
        parts = [
            common_pb2.NodePart(node=one.node, payload=frame.SerializeToString())
            for one, frame in zip(signed.drafts, frames, strict=True)
        ]
        return broker_pb2.AskRequest(key_id=prepared.core.query_id, node_parts=parts)


@dataclass(slots=True)
class Federation:
    """What is running.

    Attributes:
        home: A folder for each party.
        keys: Everybody's keys.
        processes: What runs.
        agencies: Who can be asked.
        paths: The ways of asking, by name.
        asking: Who asks.
    """

    home: Path
    keys: trust.Federation
    processes: Processes
    agencies: tuple[str, ...]
    paths: dict[str, Path_]
    asking: Asking

    def channel(self, path: Path_) -> grpc.aio.Channel:
        """Dial a path as the asking agency."""
        own = self.keys.agencies[ASKER].channel
        if not path.tls:
            return grpc.aio.insecure_channel(path.address)
        return dial(path.address, Identity(own.key_pem, own.certificate_pem, self.keys.ca_pem))

    def cpu_s(self, names: Sequence[str]) -> float:
        """Processor time that these have used so far, seconds."""
        return sum(cpu_s(self.processes.pid(name)) for name in names)


def cpu_s(pid: int) -> float:
    """Processor time that a process has used so far, seconds (proc_pid_stat(5), fields 14 and 15)."""
    stat = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def clean() -> dict[str, str]:
    """This process's environment without settings of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}


async def _none(caller_token: str, tags: Sequence[bytes]) -> list[asking.Held]:
    return []


def question(who: county.Person, agencies: Sequence[str]) -> dict[str, Any]:
    """A child's question as a practitioner types it."""
    return {
        "question": "agency.contact",
        "purpose": "s47_enquiry",
        "case": "CF-1042",
        "need_tier": 4,
        "significant_harm": True,
        "necessity": "assess_risk",
        "public_task": True,
        "agencies": list(agencies),
        "people": [
            {
                "role": "child",
                "first_name": who.first_name,
                "middle_names": who.middle_name,
                "last_name": who.last_name,
                "date_of_birth": who.date_of_birth.isoformat(),
                "sex": who.sex,
                "address": who.address.line,
                "postcode": who.address.postcode,
            }
        ],
    }


def direct(keys: trust.Federation) -> DirectKeyServer:
    """Both key servers of a federation in one."""
    return DirectKeyServer(keys.broker.key_server_seed, keys.steward.key_server_seed, keys.directory.epoch.id)


def children(number: int) -> list[county.Person]:
    """So many invented children, one of a family."""
    today = datetime.now(UTC).date()
    everybody = county.generate(seed=2026, people=number * 12, as_of=today).people
    found = {one.household: one for one in everybody if today.year - one.date_of_birth.year in range(6, 15)}
    return list(found.values())[:number]


def found(
    home: Path, agencies: Sequence[str], rules: Mapping[str, bytes] | None = None
) -> tuple[trust.Federation, list[county.Person]]:
    """Make everybody's keys, the broker's rules, and the children whom every agency will hold."""
    keys = trust.make_federation(home, (ASKER, *agencies), now_ns=time.time_ns())
    packed = policy.pack(rules or policy_files(0), keys.broker.policy, keys.broker.policy_kid)
    (home / "broker" / "policy.tar.gz").write_bytes(packed)
    return keys, children(HELD)


def fixed_head(keys: trust.Federation) -> str:
    """A signed head of one entry, for nodes that have no broker."""
    root = merkle.root([merkle.leaf_hash(b"the one entry of a ledger that never grows")])
    return checkpoint.sign(Checkpoint(keys.directory.broker.ledger_origin, 1, root), keys.broker.ledger)


# -- Starting ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def federation(home: Path, number: int, server: bool = False) -> Iterator[Federation]:
    """Found a federation with so many agencies to ask, and run everything till the block ends.

    Args:
        home: An empty folder.
        number: How many nodes of each kind.
        server: Also run the whole path with every state and ledger on a PostgreSQL server, as `Full, PostgreSQL`.
    """
    events.configure("warning")
    agencies = AGENCIES[:number]
    keys, people = found(home, agencies)
    shutil.copytree(home / "broker", home / "floor")
    (home / "floor" / HEAD_FILE).write_text(fixed_head(keys), "utf-8")
    started = Started(home, keys.name)
    with contextlib.ExitStack() as ending:
        placed = ending.enter_context(_on_server(home, agencies)) if server else {}
        started.processes = ending.enter_context(Processes(home, clean()))
        if server:
            shutil.copytree(home / "broker", home / "broker-on-server")
            started.broker("broker-on-server", f'database_url_file = "{placed["broker"]}"\n')
        started.broker("broker", "")
        started.steward()
        broker, steward = (started.listening(name)["listening_on"] for name in ("broker", "steward"))
        floor, streams = started.relay()
        unary = started.at_once(agencies)
        for agency in agencies:
            write_node(home / agency, agency, people, broker, steward)
        asyncio.run(index_all([home / agency for agency in agencies], direct(keys)))
        floors = tuple(f"{agency}-of-floor" for agency in agencies)
        kinds = [("relay", floors, streams, ""), ("broker", agencies, broker, "")]
        if server:
            other = started.listening("broker-on-server")["listening_on"]
            kinds.append(("broker-on-server", tuple(f"{agency}-on-server" for agency in agencies), other, "server"))
        for _, names, at, where in kinds:
            for name, agency in zip(names, agencies, strict=True):
                if name != agency:
                    shutil.copytree(home / agency, home / name)
                url = f'database_url_file = "{placed[agency]}"\n' if where else ""
                write_node(home / name, agency, (), at, steward, url)
        if server:
            asyncio.run(index_all([home / name for name in kinds[-1][1]], direct(keys)))
        for _, names, _, _ in kinds:
            for name in names:
                started.program(name, "accord-node")
        for middle, _, _, _ in kinds:
            started.wait(middle, lambda middle=middle: started.attached(middle) >= set(agencies))  # type: ignore[misc]  # bound now
        at_once = tuple(f"{one}-at-once" for one in agencies)
        paths = {
            "F": Path_("F", unary, {"relay": ("unary",), "nodes": at_once}),
            "R": Path_("R", floor, {"relay": ("relay",), "nodes": floors}, warranted=True),
            "Full": Path_("Full", broker, {"broker": ("broker",), "nodes": agencies}, tls=True),
        }
        if server:
            name, parts = "Full, PostgreSQL", {"broker": ("broker-on-server",), "nodes": kinds[-1][1]}
            paths[name] = Path_(name, other, parts, tls=True)
        asker = Asking(keys, started.revision("broker"), people)
        yield Federation(home, keys, started.processes, agencies, paths, asker)


@contextlib.contextmanager
def _on_server(home: Path, agencies: Sequence[str]) -> Iterator[dict[str, Path]]:
    """A database for the broker and each node: party -> the file with its address."""
    with database_servers.postgresql(fsync="on") as running:
        state_servers.accounts(running)
        yield state_servers.on_server(running, home, ["broker", *agencies])


@dataclass(slots=True)
class Started:
    """Starts the programs of a federation.

    Attributes:
        home: A folder for each party.
        name: Of the federation.
        processes: What runs.
    """

    home: Path
    name: str
    processes: Processes = field(init=False)

    def start(self, name: str, *words: str) -> None:
        self.processes.start(name, words, self.home / f"{name}.log")

    def wait(self, name: str, ready: Callable[[], bool]) -> None:
        self.processes.wait_for(name, ready, self.home / f"{name}.log")

    def listening(self, name: str) -> dict[str, str]:
        """What a service said when it began to listen; waits for it."""
        self.wait(name, lambda: bool(self.said(name, "service_started")))
        return self.said(name, "service_started")[0]

    def said(self, name: str, event: str) -> list[dict[str, str]]:
        lines = (self.home / f"{name}.log").read_text("utf-8", errors="replace").splitlines()
        return [json.loads(line)["labels"] for line in lines if f'"{event}"' in line]

    def attached(self, name: str) -> set[str]:
        return {one["node"] for one in self.said(name, "node_attached")}

    def revision(self, name: str) -> str:
        return self.listening(name)["policy"]

    def broker(self, name: str, place: str, around: Sequence[str] = ()) -> None:
        """A broker in the folder of this name.

        Args:
            name: The folder, and what the process is called.
            place: Further lines of its settings.
            around: Program and arguments that run it.
        """
        (self.home / name / "broker.toml").write_text(
            f'federation = "{self.name}"\nlisten = "localhost:0"\n'
            f"node_deadline_ms = {DEADLINE_MS}\nask_deadline_ms = {DEADLINE_MS + 1_000}\n"
            f"agency_at_once = 64\nquestions_at_least = 64\n{place}",
            "utf-8",
        )
        self.program(name, "accord-broker", around)

    def program(self, name: str, program: str, around: Sequence[str] = ()) -> None:
        """A program that serves from the folder of this name; `around` is what runs it, with its arguments."""
        self.start(name, *around, str(BESIDE / program), "serve", "--home", str(self.home / name))

    def steward(self) -> None:
        """The steward."""
        (self.home / "steward" / "steward.toml").write_text(f'federation = "{self.name}"\nlisten = "localhost:0"\n')
        self.start("steward", "accord-node", "steward", "--home", str(self.home / "steward"))

    def relay(self) -> tuple[str, str]:
        """The relay to real nodes; where it is asked and where they dial."""
        self.start("relay", "python", "-m", "tests.bench.relay", "sessions", str(self.home / "floor"))
        said = self.listening("relay")
        return said["listening_on"], said["streams_on"]

    def at_once(self, agencies: Sequence[str]) -> str:
        """Nodes that answer at once, and their relay; where it is asked."""
        for agency in agencies:
            self.start(f"{agency}-at-once", "python", "-m", "tests.bench.relay", "node")
        nodes = [f"{agency}={self.listening(f'{agency}-at-once')['listening_on']}" for agency in agencies]
        self.start("unary", "python", "-m", "tests.bench.relay", "unary", *nodes)
        return self.listening("unary")["listening_on"]


def write_node(
    home: Path,
    agency: str,
    people: Sequence[county.Person],
    broker: str = "localhost:9",
    steward: str = "localhost:9",
    more: str = "",
) -> None:
    """A node's settings; and its records where there are people."""
    if people:
        write_records(home / "records", agency, people)
    (home / "node.toml").write_text(
        f'federation = "midshire"\nagency = "{agency}"\nbroker = "{broker}"\nsteward = "{steward}"\n'
        f'mapping = "records/mapping.yaml"\nanswer_pace_ms = 0\n{more}',
        "utf-8",
    )


async def index_all(homes: Sequence[Path], tokens: DirectKeyServer) -> None:
    """Index everybody whom these nodes hold."""
    for home in homes:
        settings = node_settings.load(home / "node.toml")
        with node.home(settings) as at, contextlib.closing(open_records(settings.mapping)) as records:
            directory = at.directory.current()
            await index.build(
                *(at.engine, records, tokens),
                node_id=settings.agency,
                terms=index.Terms(directory.epoch.id, directory.key_servers_digest),
                at_ns=time.time_ns(),
            )


def stub(channel: grpc.aio.Channel) -> Ask:
    """Asks over a channel."""
    call = broker_pb2_grpc.BrokerServiceStub(channel).Ask

    async def ask(request: broker_pb2.AskRequest) -> broker_pb2.AskResponse:
        return await call(request, timeout=CALL_S)

    return ask
