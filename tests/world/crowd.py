"""Broker and eight answering nodes as the real processes that they are, and more questions than they can answer.

    with crowd(home, {"agency_at_once": 16}) as world:
        ready = await world.prepare("social-care", 100)
        told = await world.flood(ready, per_s=200, seconds=5)

* Nodes check, decide, link, look up, write their own ledgers and sign, as anywhere; pace and deadlines are what ships.
* The shipped rules have four public bodies whom social care may ask in a section 47 enquiry; a copy of them has four
  health trusts more, so that there are eight.
* What asking would cost an asker's own machine (tokens, sealing) is done beforehand: askers share this one's cores.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import grpc.aio
import uuid_utils
import yaml

from accord import warrant
from accord.canonical import sha256
from accord.catalogue import PATH, parse
from accord.identity import MatchKey
from accord.v1 import broker_pb2, broker_pb2_grpc, common_pb2
from agency_node import __main__ as node
from agency_node import asking, index
from agency_node import settings as node_settings
from agency_node.channel import Identity, dial, problem_of
from agency_node.cli import people as typed
from agency_node.mapping import open_records
from broker import policy
from deploy.demo import county
from deploy.demo.processes import Processes
from tests.world import trust
from tests.world.key_servers import grow, write_records

ROOT: Final = Path(__file__).parents[2]
TRUSTS: Final = ("health-2", "health-3", "health-4", "health-5")
ANSWERING: Final = ("drug-alcohol", "health", *TRUSTS, "housing", "police")
NOISY: Final = "social-care"
QUIET: Final = "youth-offending"
PEOPLE: Final = 12
NICE: Final = 10
CALL_S: Final = 60.0
"""Longest wait of an asker, seconds; far beyond every deadline here, so that it is never the asker who gives up."""


@cache
def rules() -> Mapping[str, bytes]:
    """The shipped rules with four more health trusts, compiled once for a test run."""
    with tempfile.TemporaryDirectory() as folder:
        policies = Path(shutil.copytree(ROOT / "policies", Path(folder) / "policies"))
        data = policies / "data"
        agency = json.loads((data / "agencies" / "health.json").read_bytes())
        pact = json.loads((data / "isa" / "midshire-children.json").read_bytes())
        question = yaml.safe_load((data / "questions" / "agency.contact.yaml").read_text("utf-8"))
        for more in TRUSTS:
            (data / "agencies" / f"{more}.json").write_text(json.dumps(agency | {"id": more, "controller_id": more}))
            question["gateways"][more] = question["gateways"]["health"]
        pact["parties"] = sorted({*pact["parties"], *TRUSTS})
        question["owners"] = sorted({*question["owners"], *TRUSTS})
        (data / "isa" / "midshire-children.json").write_text(json.dumps(pact))
        (data / "questions" / "agency.contact.yaml").write_text(yaml.safe_dump(question))
        return policy.compile_files(policies, "demo")


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one question.

    Attributes:
        reason: Why there was no answer; empty when there was one.
        retry_s: How long to wait, where the broker said so.
        seconds: From sending it to the end of the call.
        most_heard_s: From sending it till all agencies but one had been heard; 0 where that was not asked for.
        at_s: When it was sent, seconds of the event loop's clock.
        not_reached: Agencies that were not reached.
        query_id: Its number.
    """

    reason: str
    retry_s: float
    seconds: float
    most_heard_s: float
    at_s: float
    not_reached: tuple[str, ...]
    query_id: str


@dataclass(slots=True)
class Crowd:
    """What runs.

    Attributes:
        home: A folder for each party.
        federation: Everybody's keys.
        processes: What runs.
        address: Where the broker listens.
        people: Whom everybody holds.
    """

    home: Path
    federation: trust.Federation
    processes: Processes
    address: str
    revision: str
    people: Sequence[county.Person]
    _tokens: dict[MatchKey, bytes] = field(default_factory=dict)

    # -- Asking -------------------------------------------------------------------------------------------------------

    async def prepare(
        self, agency: str, number: int, targets: Sequence[str] = ANSWERING
    ) -> list[broker_pb2.AskRequest]:
        """Questions of an agency's, sealed and signed; good for a minute."""
        asker, token = self.asker(agency), self._caller_token(agency)
        ready = []
        for one in range(number):
            inquiry, _ = typed.inquiry(_question(self.people[one % len(self.people)], targets))
            ready.append((await asking.prepare(asker, inquiry, token, "practitioner")).request)
            # Answers to questions on their way must not wait for this.
            await asyncio.sleep(0)
        return ready

    def channel(self, agency: str) -> grpc.aio.Channel:
        """Dial the broker as an agency."""
        own = self.federation.agencies[agency].channel
        return dial(self.address, Identity(own.key_pem, own.certificate_pem, self.federation.ca_pem))

    async def ask(self, channel: grpc.aio.Channel, request: broker_pb2.AskRequest) -> Told:
        """Send a question once, and tell what became of it."""
        began = asyncio.get_running_loop().time()
        query_id = json.loads(request.core)["query_id"]
        most_heard_s, not_reached, reason, retry_s = 0.0, (), "", 0.0
        try:
            wrapped = broker_pb2.AskWithProgressRequest(ask=request)
            updates: Any = broker_pb2_grpc.BrokerServiceStub(channel).AskWithProgress(wrapped, timeout=CALL_S)
            async for update in updates:
                if update.HasField("response"):
                    not_reached = tuple(
                        row.agency for row in update.response.rows if row.delivery == common_pb2.DELIVERY_NOT_REACHED
                    )
                elif update.progress.heard == update.progress.asked - 1:
                    most_heard_s = asyncio.get_running_loop().time() - began
        except grpc.aio.AioRpcError as error:
            problem = problem_of(error)
            reason, retry_s = problem.reason, problem.retry_s
        seconds = asyncio.get_running_loop().time() - began
        return Told(reason, retry_s, seconds, most_heard_s, began, not_reached, query_id)

    async def in_turn(
        self, channel: grpc.aio.Channel, ready: Sequence[broker_pb2.AskRequest], at_once: int
    ) -> list[Told]:
        """Ask all of these, so many at a time, each as soon as one before it has ended."""
        left, told = deque(ready), []

        async def one() -> None:
            while left:
                told.append(await self.ask(channel, left.popleft()))

        await asyncio.gather(*(one() for _ in range(at_once)))
        return told

    async def flood(
        self, channel: grpc.aio.Channel, ready: Sequence[broker_pb2.AskRequest], per_s: float, seconds: float
    ) -> list[Told]:
        """Send so many a second, whatever becomes of them.

        A question that was turned away has left no trace at the broker, so it is sent again as a new one.
        """
        loop = asyncio.get_running_loop()
        left, told, going = deque(ready), [], set()
        began = loop.time()

        async def one(request: broker_pb2.AskRequest) -> None:
            outcome = await self.ask(channel, request)
            told.append(outcome)
            if outcome.reason == "RATE_LIMITED":
                left.append(request)

        sent = 0
        while (passed := loop.time() - began) < seconds:
            while sent < passed * per_s and left:
                sent += 1
                task = asyncio.create_task(one(left.popleft()))
                going.add(task)
                task.add_done_callback(going.discard)
            await asyncio.sleep(0.002)
        await asyncio.gather(*going)
        return told

    def asker(self, agency: str) -> asking.Asker:
        """An agency's asking side, its tokens made without key servers."""

        async def agreements(token: str, tags: Sequence[bytes]) -> list[asking.Held]:
            return []

        async def tags(wanted: Sequence[MatchKey]) -> list[bytes]:
            return [sha256(key.family.encode() + key.input)[:16] for key in wanted]

        return asking.Asker(
            agency=agency,
            directory=self.federation.directory,
            catalogue=parse(rules()[PATH]),
            policy=self.revision,
            asking_key=self.federation.agencies[agency].asking,
            case_secret=b"c" * 32,
            tokens=self.tokens,
            subject_tokens=tags,
            agreements=agreements,
            now_ns=time.time_ns,
            new_id=lambda: str(uuid_utils.uuid7()),
            asked=lambda prepared: None,
            shown=lambda outcome: None,
        )

    async def tokens(self, wanted: Sequence[MatchKey]) -> list[bytes]:
        """What both key servers would have made of these."""
        first, second = self.federation.family_keys()
        for key in wanted:
            if key not in self._tokens:
                self._tokens[key] = second[key.family].direct(first[key.family].direct(key.input))
        return [self._tokens[key] for key in wanted]

    def _caller_token(self, agency: str) -> str:
        own, now_s = self.federation.agencies[agency], int(time.time())
        return warrant.mint_caller(
            agency=agency,
            federation=self.federation.name,
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

    # -- Stopping a node, and reading what was written down ------------------------------------------------------------

    def freeze(self, agency: str) -> None:
        """Let a node's process hang, its connection up (SIGSTOP)."""
        os.kill(self.processes.pid(agency), signal.SIGSTOP)

    def thaw(self, agency: str) -> None:
        """Let it go on."""
        os.kill(self.processes.pid(agency), signal.SIGCONT)

    def logged(self, name: str, event: str) -> list[dict[str, Any]]:
        """What a process logged of an event."""
        return _logged(self.home / f"{name}.log", event)

    def records(self) -> dict[str, Counter[str]]:
        """Question -> kinds of the records that the broker's ledger has of it, read beside the running broker."""
        found: dict[str, Counter[str]] = {}
        with contextlib.closing(sqlite3.connect(self.home / "broker" / "broker.db")) as connection:
            for (body,) in connection.execute("SELECT body FROM ledger_entry"):
                record = json.loads(body)
                found.setdefault(record.get("query_id", ""), Counter())[record["kind"]] += 1
        return found


def _question(who: county.Person, targets: Sequence[str]) -> dict[str, Any]:
    return {
        "question": "agency.contact",
        "purpose": "s47_enquiry",
        "case": "CF-1042",
        "need_tier": 4,
        "significant_harm": True,
        "necessity": "assess_risk",
        "agencies": list(targets),
        "people": [
            {
                "role": "child",
                "first_name": who.first_name,
                "last_name": who.last_name,
                "date_of_birth": who.date_of_birth.isoformat(),
                "sex": who.sex,
                "address": who.address.line,
                "postcode": who.address.postcode,
            }
        ],
    }


def _logged(file: Path, event: str) -> list[dict[str, Any]]:
    lines = file.read_text("utf-8", errors="replace").splitlines() if file.exists() else []
    return [json.loads(line)["labels"] for line in lines if f'"event.action": "{event}"' in line]


@contextlib.contextmanager
def crowd(home: Path, told: Mapping[str, Any] | None = None, answering: Sequence[str] = ANSWERING) -> Iterator[Crowd]:
    """Found a federation and run its broker and its nodes till the block ends.

    Args:
        home: An empty folder.
        told: Settings of the broker beside those that it must have.
        answering: Whose nodes run.
    """
    federation = trust.make_federation(home, (*ANSWERING, NOISY, QUIET), now_ns=time.time_ns())
    keys = federation.broker
    (home / "broker" / "policy.tar.gz").write_bytes(policy.pack(dict(rules()), keys.policy, keys.policy_kid))
    more = "".join(f"{name} = {json.dumps(value)}\n" for name, value in (told or {}).items())
    settings = f'federation = "{federation.name}"\nlisten = "localhost:0"\n{more}'
    (home / "broker" / "broker.toml").write_text(settings, "utf-8")
    people = _children(PEOPLE)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
    with Processes(home, clean) as processes:

        def start(name: str, *words: str) -> None:
            processes.start(name, [*words, "--home", str(home / name)], home / f"{name}.log")

        start("broker", "accord-broker", "serve")
        broker_log = home / "broker.log"
        processes.wait_for("broker", lambda: bool(_logged(broker_log, "service_started")), broker_log)
        started = _logged(broker_log, "service_started")[0]
        world = Crowd(home, federation, processes, started["listening_on"], started["policy"], people)
        for agency in answering:
            _furnish(world, agency)
            asyncio.run(_index(world, agency))
            start(agency, "accord-node", "serve")
            # Elsewhere each has a machine of its own; here they must not take the broker's.
            os.setpriority(os.PRIO_PROCESS, processes.pid(agency), NICE)

        def attached() -> bool:
            there = {one["node"] for one in _logged(broker_log, "node_attached")}
            return there >= set(answering) and all(_has_rules(home / agency / "node.db") for agency in answering)

        processes.wait_for("broker", attached, broker_log)
        yield world


def _children(number: int) -> list[county.Person]:
    everybody = grow(number * 14)
    found = {one.household: one for one in everybody if one.date_of_birth.year in range(2012, 2020)}
    return list(found.values())[:number]


def _furnish(world: Crowd, agency: str) -> None:
    write_records(world.home / agency / "records", agency, world.people)
    (world.home / agency / "node.toml").write_text(
        f'federation = "{world.federation.name}"\nagency = "{agency}"\nbroker = "{world.address}"\n'
        'steward = "localhost:9"\nmapping = "records/mapping.yaml"\n',
        "utf-8",
    )


async def _index(world: Crowd, agency: str) -> None:
    settings = node_settings.load(world.home / agency / "node.toml")
    with node.home(settings) as at, contextlib.closing(open_records(settings.mapping)) as records:
        directory = at.directory.current()
        await index.build(
            *(at.engine, records, world.tokens),
            node_id=agency,
            terms=index.Terms(directory.epoch.id, directory.key_servers_digest),
            at_ns=time.time_ns(),
        )


def _has_rules(file: Path) -> bool:
    with contextlib.suppress(sqlite3.OperationalError), contextlib.closing(sqlite3.connect(file)) as connection:
        return bool(connection.execute("SELECT 1 FROM node_entry WHERE kind = 'POLICY_ACTIVATED'").fetchall())
    return False
