"""A whole federation in one process and one event loop: real parts, real mutual TLS, real files, invented people.

    async with stack(home, records) as world:
        outcome = await world.ask("social-care", {...})

* Broker, steward, three nodes and the asking side are put together by the two programs' own `__main__`; what a test
  adds is a record of every frame that went down a node's stream and came up it (`world.streams`), and of every question
  that an asker handed to the broker (`world.requests`).
* Agencies hold what a story says they hold, in the shapes of the demonstration: the police and social care in SQLite,
  housing in CSV. Four invented neighbours keep each index from being empty.
* Everybody signs in at their own agency's test identity provider.
"""

import asyncio
import contextlib
import io
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Connection

from accord.identity import describe
from accord.v1 import broker_pb2, node_pb2
from agency_node import __main__ as node
from agency_node import asking, capture, ledger, session
from agency_node import events as node_events
from agency_node import settings as node_settings
from agency_node.cli import people as typed
from agency_node.store import open_state, reading
from broker import __main__ as broker
from broker import events as broker_events
from broker import policy
from broker.settings import BrokerSettings
from broker.store import open_for_reading, state, tree
from deploy.demo import county, identity_provider
from deploy.demo.ports import free_ports
from tests.world import trust
from tests.world.state_servers import tables

ROOT: Final = Path(__file__).parents[2]
DAY_NS: Final = 86_400 * 1_000_000_000
PATIENCE_S: Final = 60.0
"""Longest wait for a node to attach or let go, seconds; it bounds hanging and judges no speed."""
DEADLINES: Final = {"ask_deadline_ms": 8_000, "node_deadline_ms": 6_000}
"""Everybody shares one event loop here; what is too late in a federation may be a busy machine."""

_NEIGHBOURS: Final = (
    ("Odette", "Brisley", date(1971, 2, 3), "f", county.Address("", "2", "Quince Walk", "MD9 1AB")),
    ("Rufus", "Tranmere", date(1994, 8, 19), "m", county.Address("", "77", "Sallow Lane", "MD9 2DE")),
    ("Imelda", "Okafor", date(1959, 12, 30), "f", county.Address("4", "10", "Tallis Court", "MD9 3FG")),
    ("Wendell", "Pryce", date(2003, 5, 11), "m", county.Address("", "31", "Marram Close", "MD9 4HJ")),
)


def held(
    ref: int,
    row: Mapping[str, Any],
    *,
    contacts: Sequence[county.Contact] = (),
    assessments: Sequence[county.Assessment] = (),
    shielded: bool = False,
    today: date | None = None,
) -> county.Held:
    """What an agency holds about somebody, from the fields in which an asker would type them.

    Args:
        ref: The agency's own number.
        row: first_name, last_name, date_of_birth (ISO), and what else there is.
        contacts: Oldest first; one filed long ago when left out, so that the record says "known, but no".
        assessments: Oldest first.
        shielded: Nothing may be said about them.
        today: Contacts count back from it; today when left out.
    """
    born = date.fromisoformat(str(row["date_of_birth"]))
    address = _address(row)
    first = str(row["first_name"])
    middle = str(row.get("middle_names", ""))
    former = [*row.get("former_last_names", ()), ""][0]
    truth = county.Person(
        id=f"p{ref}",
        household=f"h{address.line if address else ref}{row['last_name']}",
        first_name=first,
        middle_name=middle,
        last_name=str(row["last_name"]),
        former_last_name=former,
        date_of_birth=born,
        sex=str(row.get("sex", "m"))[0],
        nhs_number=str(row.get("nhs_number", "")),
        address=address or county.Address("", "1", "Unknown Road", "MD9 9ZZ"),
    )
    long_ago = county.Contact((today or _today()) - timedelta(days=3_000), "default", False)
    return county.Held(
        ref=ref,
        truth=truth,
        first_name=first,
        middle_name=middle,
        last_name=truth.last_name,
        former_last_name=former,
        date_of_birth=born,
        sex=truth.sex,
        address=address,
        former_address=None,
        nhs_number=truth.nhs_number,
        shielded=shielded,
        contacts=tuple(contacts) or (long_ago,),
        assessments=tuple(assessments),
    )


def ago(days: int, team: str = "default", *, open_: bool = False, today: date | None = None) -> county.Contact:
    """A contact so many days ago."""
    return county.Contact((today or _today()) - timedelta(days=days), team, open_)


def _today() -> date:
    return datetime.now(UTC).date()


def _address(row: Mapping[str, Any]) -> county.Address | None:
    line = str(row.get("address", ""))
    if not line:
        return None
    flat, _, house = line.rpartition(", ")
    number, _, street = house.partition(" ")
    return county.Address(flat.removeprefix("Flat "), number, street, str(row.get("postcode", "")))


@cache
def policy_files() -> dict[str, bytes]:
    """The shipped policies, compiled once for all federations of a test run."""
    return policy.compile_files(ROOT / "policies", "demo")


@dataclass(slots=True)
class Stream:
    """Everything that passed between the broker and one node, in order.

    Attributes:
        down: Frames that the node was sent.
        up: Frames that it sent, beside its hello.
        dealt_with: When each of `down` had been dealt with, by the event loop's clock, seconds.
    """

    down: list[node_pb2.AttachResponse] = field(default_factory=list)
    up: list[node_pb2.AttachRequest] = field(default_factory=list)
    dealt_with: list[float] = field(default_factory=list)

    @property
    def questions(self) -> list[node_pb2.Question]:
        """The questions it was asked."""
        return [frame.question for frame in self.down if frame.WhichOneof("frame") == "question"]

    @property
    def answers(self) -> list[bytes]:
        """The signed answers it gave."""
        return [frame.answered.signed_answer for frame in self.up if frame.WhichOneof("frame") == "answered"]

    @property
    def alarms(self) -> list[str]:
        """Reasons of the alarms it raised."""
        return [frame.alarm.reason for frame in self.up if frame.WhichOneof("frame") == "alarm"]

    @property
    def withdrawn(self) -> list[str]:
        """Numbers of the agreements of whose withdrawal it was told."""
        told = [frame.withdrawn for frame in self.down if frame.WhichOneof("frame") == "withdrawn"]
        return [json.loads(one.withdrawal.statement)["record_id"] for one in told]

    def received(self) -> bytes:
        """Every byte that came down, frame after frame."""
        return b"".join(frame.SerializeToString() for frame in self.down)


@dataclass(slots=True)
class World:
    """A running federation.

    Attributes:
        home: Folder with a folder for each party.
        federation: Everybody's keys.
        broker: What the broker was told.
        settings: What each node was told.
        providers: Each agency's identity provider.
        streams: What passed between the broker and each node.
        requests: Questions as the broker was handed them.
        answering: The answering side of each running node.
        logs: What the broker, and what nodes and steward, logged.
        clocks: The clock of the broker or of an agency, where it is not this machine's.
        states: Where the state of each party is that has it on a server.
    """

    home: Path
    federation: trust.Federation
    broker: BrokerSettings
    settings: dict[str, node_settings.NodeSettings]
    providers: dict[str, identity_provider.IdentityProvider]
    streams: dict[str, Stream]
    requests: list[bytes]
    answering: dict[str, node.Answerer]
    logs: tuple[io.StringIO, io.StringIO]
    clocks: Mapping[str, Callable[[], int]] = field(default_factory=dict)
    states: Mapping[str, Path] = field(default_factory=dict)
    _running: dict[str, contextlib.AsyncExitStack] = field(default_factory=dict)

    async def start(self, agency: str, *, attach: bool = True) -> None:
        """Attach an agency's node; or have it fetch the rules and then only stand ready for a test's own frames."""
        running = contextlib.AsyncExitStack()
        clock = self.clocks.get(agency, time.time_ns)
        parts = running.enter_context(node.answerer(self.settings[agency], clock))
        up = asyncio.Event()
        stream = self.streams[agency]

        async def handle(frame: node_pb2.AttachResponse) -> Sequence[node_pb2.AttachRequest]:
            stream.down.append(frame)
            replies = await parts.frames.handle(frame)
            stream.dealt_with.append(asyncio.get_running_loop().time())
            stream.up += replies
            if frame.WhichOneof("frame") == "head":
                # The last frame of a welcome: rules, withdrawals and agreements have come before it.
                up.set()
            return replies

        address, identity = self.settings[agency].broker, parts.home.identity
        keeping = asyncio.create_task(session.keep(address, identity, parts.frames.hello, handle, lambda up: None))
        running.push_async_callback(_cancel, keeping)
        self._running[agency] = running
        self.answering[agency] = parts
        await asyncio.wait_for(up.wait(), PATIENCE_S)
        if not attach:
            before = self._detached(agency)
            await _cancel(keeping)
            await self.until(lambda: self._detached(agency) > before)

    async def stop(self, agency: str) -> None:
        """Detach an agency's node, as when its process ends, and wait till the broker has noticed."""
        before = self._detached(agency)
        attached = self._attached(agency) > before
        await self._running.pop(agency).aclose()
        del self.answering[agency]
        if attached:
            await self.until(lambda: self._detached(agency) > before)

    def _attached(self, agency: str) -> int:
        return self._logged("node_attached", agency)

    def _detached(self, agency: str) -> int:
        return self._logged("node_detached", agency)

    def _logged(self, event: str, agency: str) -> int:
        lines = map(json.loads, self.logs[0].getvalue().splitlines())
        return sum(line["event.action"] == event and line["labels"]["node"] == agency for line in lines)

    async def close(self) -> None:
        """Detach every node."""
        for agency in list(self._running):
            await self.stop(agency)

    async def index(self, agency: str) -> None:
        """Bring an agency's index up to date."""
        await node.build_index(self.settings[agency], lambda progress: None, allow_vanishing=True)

    def staff_token(self, agency: str, person: str = "worker-1", role: str = "practitioner", **more: Any) -> str:
        """Sign somebody in at their agency."""
        return self.providers[agency].token(person, role, now_s=int(time.time()), **more)

    @contextlib.asynccontextmanager
    async def desk(self, agency: str, person: str = "worker-1", role: str = "practitioner") -> AsyncIterator[node.Desk]:
        """An agency's asking side, somebody signed in; what they send to the broker is kept."""
        async with node.desk(self.settings[agency], self.staff_token(agency, person, role)) as desk:

            async def send(request: broker_pb2.AskRequest) -> broker_pb2.AskResponse:
                self.requests.append(request.SerializeToString())
                return await desk.ask(request)

            yield replace(desk, ask=send)

    async def ask(self, agency: str, question: Mapping[str, Any], **signed_in: str) -> asking.Outcome:
        """Ask as a practitioner of an agency would type it; see `agency_node.cli.people`."""
        inquiry, _ = typed.inquiry(question)
        async with self.desk(agency, **signed_in) as desk:
            return await asking.ask(desk.asker, inquiry, desk.caller_token, desk.role, desk.ask)

    async def agree(
        self,
        agency: str,
        people: Sequence[Mapping[str, Any]],
        *,
        responders: Sequence[str],
        questions: Sequence[str] = ("agency.contact",),
        requesters: Sequence[str] = (),
        purposes: Sequence[str] = ("early_help",),
        valid_days: int = 180,
        days_ago: int = 0,
    ) -> tuple[capture.Captured, ...]:
        """Capture an agreement at an agency, today or some days ago, for people as an asker would type them."""
        value = {"people": list(people)}
        who, _ = typed.people(value)
        scope = capture.Scope(
            questions=tuple(questions),
            purposes=tuple(purposes),
            requesters=tuple(requesters or (agency,)),
            responders=tuple(responders),
            valid_days=valid_days,
            capture="paper",
        )
        given = tuple(zip(who, typed.givers(value), strict=True))
        async with self.desk(agency) as desk:
            asker = replace(desk.asker, now_ns=lambda: time.time_ns() - days_ago * DAY_NS)
            return await capture.capture(asker, given, scope, desk.caller_token, desk.record, desk.keep)

    async def withdraw(self, agency: str, record_id: str) -> None:
        """Take a withdrawal at an agency, and wait till every attached node that is party to it has been told."""
        async with self.desk(agency) as desk:
            await capture.withdraw(desk.asker, record_id, "self", desk.caller_token, desk.withdraw)
        with self._broker_store() as connection:
            parties = state.parties(connection, record_id) & set(self._running)
        await self.until(lambda: all(record_id in self.streams[one].withdrawn for one in parties))

    def now_ns(self) -> int:
        """The time, by the one clock that everybody here has."""
        return time.time_ns()

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait till something is true, no longer than PATIENCE_S."""
        async with asyncio.timeout(PATIENCE_S):
            while not true():
                await asyncio.sleep(0.005)

    def broker_records(self, start: int = 0) -> list[dict[str, Any]]:
        """The broker's ledger from an entry on."""
        with self._broker_store() as connection:
            return [json.loads(one.body) for one in tree.entries(connection, start, tree.count(connection))]

    @contextlib.contextmanager
    def _broker_store(self) -> Iterator[Connection]:
        store = open_for_reading(self.broker.place)
        try:
            with store.reader.connect() as connection:
                yield connection
        finally:
            store.close()

    def node_records(self, agency: str, start: int = 0) -> list[dict[str, Any]]:
        """A node's own ledger from an entry on."""
        told = self.settings[agency]
        engine = open_state(told.database, told.database_url_file)
        try:
            with reading(engine) as connection:
                return [json.loads(one.body or b"") for one in ledger.entries(connection, start, limit=1_000_000)]
        finally:
            engine.dispose()

    def files(self, party: str) -> dict[str, bytes]:
        """Every byte that a party keeps beside its agency's records: name of a file or table -> content."""
        folder = self.home / party
        files = {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and "records" not in path.relative_to(folder).parts
        }
        return files | (tables(self.states[party]) if party in self.states else {})


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@contextlib.asynccontextmanager
async def stack(
    home: Path,
    records: Mapping[str, Sequence[county.Held]] | None = None,
    *,
    attach: bool = True,
    clocks: Mapping[str, Callable[[], int]] | None = None,
    broker_told: Mapping[str, Any] = MappingProxyType({}),
    agencies: Sequence[str] = tuple(trust.AGENCIES),
    states: Mapping[str, Path] = MappingProxyType({}),
) -> AsyncIterator[World]:
    """Found a federation, give its agencies their records, and run it till the block ends.

    Args:
        home: An empty folder.
        records: Agency -> what it holds, beside the neighbours that every agency holds.
        attach: False leaves the nodes with rules and index, ready for frames that a test makes, but not attached.
        clocks: "broker" or an agency -> its clock, nanoseconds since 1970; this machine's when left out.
        broker_told: What the broker is told otherwise than usual.
        agencies: Which of the demonstration's agencies there are.
        states: "broker", "steward" or an agency -> file with the address of its prepared database; see `on_server` of
            `tests.world.state_servers`. Whoever is not in it has a file.
    """
    federation = trust.make_federation(home, agencies, now_ns=time.time_ns())
    logs = (io.StringIO(), io.StringIO())
    broker_events.configure("debug", logs[0], strict=True)
    node_events.configure("debug", logs[1], strict=True)
    try:
        async with _running(home, federation, records or {}, logs, clocks or {}, broker_told, states) as world:
            for agency in world.settings:
                await world.index(agency)
            for agency in world.settings:
                await world.start(agency, attach=attach)
            try:
                yield world
            finally:
                await world.close()
    finally:
        broker_events.configure(strict=True)
        node_events.configure(strict=True)


@contextlib.asynccontextmanager
async def _running(
    home: Path,
    federation: trust.Federation,
    records: Mapping[str, Sequence[county.Held]],
    logs: tuple[io.StringIO, io.StringIO],
    clocks: Mapping[str, Callable[[], int]],
    broker_told: Mapping[str, Any],
    states: Mapping[str, Path],
) -> AsyncIterator[World]:
    keys = federation.broker
    bundle = policy.pack(policy_files(), keys.policy, keys.policy_kid)
    (home / "broker" / "policy.tar.gz").write_bytes(bundle)
    # Chosen beforehand, so that either can be started again where the nodes dial.
    broker_port, steward_port = free_ports(2)
    listen = f"localhost:{broker_port}"
    told = _absolute(BrokerSettings(federation=federation.name, listen=listen), home / "broker")
    placed = {"database_url_file": states.get("broker")}
    told = told.model_copy(update={**DEADLINES, **placed, **broker_told})
    steward = node_settings.StewardSettings(
        federation=federation.name,
        listen=f"localhost:{steward_port}",
        database_url_file=states.get("steward"),
    )
    async with (
        broker.running(told, clocks.get("broker", time.time_ns)) as broker_at,
        node.stewarding(_absolute(steward, home / "steward")) as steward_at,
    ):
        settings, providers = {}, {}
        for agency in federation.agencies:
            mapping = _write_records(agency, home / agency / "records", records.get(agency, ()))
            provider = identity_provider.IdentityProvider.make(f"https://login.{agency}.example", agency)
            (home / agency / "jwks.json").write_bytes(provider.jwks())
            (home / agency / "node.toml").write_text(
                f'federation = "{federation.name}"\nagency = "{agency}"\nbroker = "{broker_at}"\n'
                f'steward = "{steward_at}"\nmapping = "{mapping.relative_to(home / agency)}"\n'
                + (f'database_url_file = "{states[agency]}"\n' if agency in states else "")
                + provider.settings("jwks.json")
            )
            settings[agency] = node_settings.load(home / agency / "node.toml")
            providers[agency] = provider
        streams = {agency: Stream() for agency in settings}
        yield World(home, federation, told, settings, providers, streams, [], {}, logs, clocks, states)


def _absolute(told: Any, folder: Path) -> Any:
    paths = {name: folder / value for name, value in told if isinstance(value, Path)}
    return told.model_copy(update=paths)


def _write_records(agency: str, folder: Path, rows: Sequence[county.Held]) -> Path:
    neighbours = [
        held(9_000 + number, {"first_name": first, "last_name": last, "date_of_birth": born, "sex": sex} | _typed(home))
        for number, (first, last, born, sex, home) in enumerate(_NEIGHBOURS)
    ]
    everybody = county.County(0, _today(), (), (), {agency: (*rows, *neighbours)})
    return county.write(agency, folder, everybody)


def _typed(address: county.Address) -> dict[str, str]:
    return {"address": address.line, "postcode": address.postcode}


def identifiers(row: Mapping[str, Any]) -> list[bytes]:
    """What would give a person away, in every form in which a part of the system might hold it.

    Args:
        row: The person as an asker would type them.
    """
    born = date.fromisoformat(str(row["date_of_birth"]))
    texts = {str(row["last_name"]), born.isoformat(), born.strftime("%Y%m%d"), born.strftime("%d/%m/%Y")}
    texts |= {str(row[name]) for name in ("address", "postcode", "nhs_number") if row.get(name)}
    described = describe(**{name: row[name] for name in typed.PERSON if name in row})
    texts |= {described.last, described.postcode, described.street, described.nhs}
    forms = {form for text in texts if len(text) >= 5 for form in (text, text.upper(), text.lower())}
    # Given names are ordinary words to a search ("June" would be found in a date), so they count with their neighbour.
    names = f"{row['first_name']} {row['last_name']}"
    return sorted({form.encode() for form in (*forms, names, names.upper(), names.lower())})


def found_in(haystack: bytes, needles: Sequence[bytes]) -> list[str]:
    """Which of them are there."""
    return [needle.decode() for needle in needles if needle in haystack]
