"""A small federation as the real processes that it is, made to be broken: broker, steward and two nodes that answer.

    with stack(home) as world:
        world.start("broker", "steward", *ANSWERING)
        with world.asking(seed=7) as history:
            world.kill("broker")                 # as a power cut would
            world.start("broker")
        world.halt()
        world.reconciled()

Whom each agency holds is known beforehand, so that every answer can be judged: `Known.expected`.
"""

import contextlib
import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psycopg

from accord import canonical
from broker import fsck, policy
from broker.store import Place, Server, open_for_reading
from deploy.demo import county
from deploy.demo.identity_provider import IdentityProvider
from deploy.demo.ports import free_ports
from deploy.demo.processes import Processes
from tests.chaos.reconcile import Entry, Receipt, Reconciled, entry, reconcile
from tests.world import state_servers, trust
from tests.world.database_servers import DatabaseServer
from tests.world.key_servers import grow, write_records
from tests.world.stack import policy_files

ROOT: Final = Path(__file__).parents[2]
ASKING: Final = "social-care"
ANSWERING: Final = ("housing", "police")
ANSWERS: Final = frozenset({"RELEASED", "REPLAYED"})
PEOPLE: Final = 60
"""Invented people, of whom each agency holds some and the children are asked about."""
READY_S: Final = 180.0
"""Longest wait for what must come, seconds; it bounds hanging and judges no speed."""
STOP_S: Final = 60.0
"""How long a program may take to stop, seconds, on machines far slower than meant."""
ASK_S: Final = 6.0
"""Longest time for one question, seconds: machines that run this are busy, and slowness is not the fault here."""
WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "broker": ("accord-broker", "serve"),
    "steward": ("accord-node", "steward"),
    **dict.fromkeys(ANSWERING, ("accord-node", "serve")),
}


@dataclass(frozen=True, slots=True)
class Known:
    """Somebody who is asked about.

    Attributes:
        row: As an asker would type them.
        expected: Agency -> YES or NO, the truth in that agency's own records.
    """

    row: Mapping[str, str]
    expected: Mapping[str, str]


@dataclass(slots=True)
class History:
    """What the askers wrote down, line after line, as things happened; there when they have stopped.

    Attributes:
        file: Where they write it down.
        lines: Invoked, answered, failed, unknown, whether the broker was serving; see `tests.chaos.client`.
    """

    file: Path
    lines: list[Mapping[str, Any]] = field(default_factory=list)

    def read(self) -> None:
        """Take what has been written down so far."""
        whole, _, _ = self.file.read_text("utf-8").rpartition("\n")
        self.lines = [json.loads(line) for line in whole.splitlines()]

    def wait_for(self, true: Callable[["History"], bool]) -> None:
        """Wait until what they wrote down shows something; no longer than anything may take."""
        until = time.monotonic() + READY_S
        self.read()
        while not true(self) and time.monotonic() < until:
            time.sleep(0.05)
            self.read()

    def of(self, *kinds: str) -> list[Mapping[str, Any]]:
        """The lines of some kinds."""
        return [one for one in self.lines if one["what"] in kinds]

    @property
    def receipts(self) -> list[Receipt]:
        """Every receipt that came, its proof checked."""
        return [Receipt(one["id"], one["index"], canonical.unb64(one["record"])) for one in self.of("ok")]

    @property
    def bad(self) -> int:
        """Replies whose proof or signatures did not hold."""
        return len(self.of("bad"))

    @property
    def released(self) -> int:
        """Answers that reached a client."""
        return self.released_between(-math.inf, math.inf)

    def released_between(self, since: float, until: float) -> int:
        """Answers that reached a client from one moment to another (`time.monotonic`)."""
        times = [one["at"] for one in self.of("ok") if one["kind"] in ANSWERS]
        return sum(since <= at < until for at in times)

    def released_of(self, since: float, until: float) -> int:
        """Answers that came before one moment to questions first asked after another (`time.monotonic`)."""
        asked: dict[str, float] = {}
        for one in self.of("invoke"):
            asked.setdefault(one["id"], one["at"])
        return sum(asked[one["id"]] >= since and one["at"] < until for one in self.of("ok") if one["kind"] in ANSWERS)

    def first_after(self, moment: float, what: str = "ok") -> float:
        """How long after a moment something happened first, seconds; infinite if it never did."""
        return min((one["at"] - moment for one in self.of(what) if one["at"] >= moment), default=math.inf)

    def wrong(self, word: str) -> int:
        """How often an agency's answer was this word while the truth is another; *cannot say* is never the truth."""
        expected = {one["id"]: one["expected"] for one in self.of("invoke")}
        return sum(
            said == word and expected[one["id"]][agency] != word
            for one in self.of("ok")
            for agency, said in one["said"].items()
        )

    def right(self) -> int:
        """How many agencies' answers were the truth."""
        expected = {one["id"]: one["expected"] for one in self.of("invoke")}
        return sum(expected[one["id"]][agency] == said for one in self.of("ok") for agency, said in one["said"].items())

    def back_s(self) -> list[float]:
        """How long each outage of the broker's health lasted, as its askers saw it, seconds."""
        outages, since = [], None
        for one in self.of("serving", "not_serving"):
            if one["what"] == "not_serving":
                since = one["at"] if since is None else since
            elif since is not None:
                outages.append(one["at"] - since)
                since = None
        return outages


@dataclass(slots=True)
class Stack:
    """The running federation.

    Attributes:
        home: Folder with a folder for each party.
        federation: Everybody's keys.
        processes: What runs.
        places: Broker and nodes -> where their state is.
        histories: What all askers wrote down so far; the ledgers hold all of it.
    """

    home: Path
    federation: trust.Federation
    processes: Processes
    places: Mapping[str, Place]
    histories: list[History] = field(default_factory=list)
    _began: int = 0

    def start(self, *names: str, wait: bool = True) -> None:
        """Start programs and wait until each is ready: broker and steward serve, nodes are attached."""
        before = {}
        for name in names:
            before[name] = self._said(name)
            if name == "broker":
                self._began = self._log(name).stat().st_size if self._log(name).exists() else 0
            self.processes.start(name, [*WORDS[name], "--home", str(self.home / name)], self._log(name))
        for name in names if wait else ():
            self._wait(name, lambda name=name: self._said(name) > before[name])  # type: ignore[misc]  # bound now

    def start_all(self) -> None:
        """Start whatever is not running, and wait until everybody can be reached."""
        running = self.processes.alive()
        self.start(*(name for name in WORDS if name not in running))
        self.settle()

    def settle(self) -> None:
        """Wait until every node is attached to the broker that runs now, so that everybody can be reached."""
        for name in ANSWERING:
            self._wait(name, lambda name=name: self._attached(name))  # type: ignore[misc]  # bound now

    def _wait(self, name: str, ready: Callable[[], bool]) -> None:
        self.processes.wait_for(name, ready, self._log(name), READY_S)

    def _attached(self, agency: str) -> bool:
        """Whether the newest broker has the node's session; asked of the broker's log, which outlives its process."""
        with self._log("broker").open("rb") as log:
            log.seek(self._began)
            lines = [json.loads(line) for line in log.read().splitlines() if line.endswith(b"}")]
        told = [one["event.action"] for one in lines if one.get("labels", {}).get("node") == agency]
        return "node_attached" in told and [one for one in told if one.startswith("node_")][-1] != "node_detached"

    def kill(self, *names: str) -> None:
        """End programs as a power cut would."""
        for name in names:
            self.processes.kill(name)

    def stop(self, *names: str) -> list[int]:
        """Ask programs to stop, one after the other; their exit codes."""
        return [self.processes.stop(name) for name in names]

    def halt(self) -> None:
        """Stop everything, so that what everybody wrote down stands still."""
        self.processes.stop_all()

    def _log(self, name: str) -> Path:
        return self.home / f"{name}.log"

    def _said(self, name: str) -> int:
        word = "session_attached" if name in ANSWERING else "service_started"
        log = self._log(name)
        return log.read_bytes().count(f'"event.action": "{word}"'.encode()) if log.exists() else 0

    # -- Asking -------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def asking(self, *, seed: int, at_once: int = 4) -> Iterator[History]:
        """Askers that put question after question until the block ends.

        Yields:
            Their history, filled when the block ends.
        """
        file = self.home / f"history-{len(self.histories) + 1}.jsonl"
        history = History(file)
        self.histories.append(history)
        arguments = [str(self.home), str(file), str(seed), str(at_once)]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.client", *arguments],
            cwd=ROOT,
            env={**_clean(), "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "protos")))},
            start_new_session=True,
        )
        try:
            until = time.monotonic() + READY_S
            while not (file.exists() and b'"invoke"' in file.read_bytes()):
                if process.poll() is not None or time.monotonic() > until:
                    raise AssertionError("the askers did not begin")
                time.sleep(0.02)
            yield history
            process.send_signal(signal.SIGTERM)
            assert process.wait(READY_S) == 0
        finally:
            process.kill()
            process.wait()
        history.read()

    # -- Reading what everybody wrote down ----------------------------------------------------------------------------

    def broker_entries(self) -> list[Entry]:
        """The broker's whole ledger."""
        return _entries(self.places["broker"], 'SELECT "index", body FROM ledger_entry ORDER BY "index"')

    def node_entries(self, agency: str) -> list[Entry]:
        """A node's whole ledger."""
        return _entries(self.places[agency], "SELECT idx, body FROM node_entry ORDER BY idx")

    def reconciled(self) -> Reconciled:
        """All accounts since the beginning, compared; nothing may be running."""
        receipts = [receipt for one in self.histories for receipt in one.receipts]
        return reconcile(receipts, self.broker_entries(), {one: self.node_entries(one) for one in ANSWERING})

    def checked(self) -> fsck.Report:
        """The broker's ledger from end to end, with the head of every receipt that a client kept."""
        kept = [one["note"] for history in self.histories for one in history.of("ok")]
        row = self.federation.directory.broker
        store = open_for_reading(self.places["broker"])
        try:
            return fsck.verify(store, row.ledger_origin, row.ledger_key, kept=kept)
        finally:
            store.close()


@contextlib.contextmanager
def stack(home: Path, server: DatabaseServer | None = None) -> Iterator[Stack]:
    """Found a federation whose nodes have their records; index them, and start everything.

    Args:
        home: An empty folder.
        server: Where all but the asking agency keep their state, with `state_servers.accounts`; SQLite when left out.
    """
    agencies = (*ANSWERING, ASKING)
    federation = trust.make_federation(home, agencies, now_ns=time.time_ns())
    keys = federation.broker
    (home / "broker" / "policy.tar.gz").write_bytes(policy.pack(policy_files(), keys.policy, keys.policy_kid))
    at = dict(zip(("broker", "steward"), free_ports(2), strict=True))
    deadlines = f"ask_deadline_ms = {round(ASK_S * 1_000)}\nnode_deadline_ms = {round(ASK_S * 1_000) - 2_000}\n"
    placed = {} if server is None else state_servers.on_server(server, home, tuple(WORDS))
    for name, port in at.items():
        told = f'federation = "{federation.name}"\nlisten = "localhost:{port}"\n'
        told += (deadlines if name == "broker" else "") + _database(placed.get(name))
        (home / name / f"{name}.toml").write_text(told, "utf-8")
    people = grow(PEOPLE)
    for agency in agencies:
        _furnish(home / agency, agency, federation.name, at, _held(agency, people), _database(placed.get(agency)))
    known = _known(people)
    (home / "known.json").write_text(json.dumps([[one.row, one.expected] for one in known]), "utf-8")
    with Processes(home, _clean(), grace_s=STOP_S) as processes:
        files = {
            name: home / name / ("broker.db" if name == "broker" else "node.db") for name in ("broker", *ANSWERING)
        }
        places = {name: Server(placed[name]) if name in placed else file for name, file in files.items()}
        world = Stack(home, federation, processes, places)
        world.start("broker", "steward")
        commands = [["accord-node", "index", "--home", str(home / agency)] for agency in ANSWERING]
        for ran in processes.run_all(commands, at_once=2):
            assert ran.code == 0, ran.out + ran.err
        world.start(*ANSWERING)
        # Whoever asks needs the rules, which come down a node's own session.
        world.processes.start(ASKING, ["accord-node", "serve", "--home", str(home / ASKING)], world._log(ASKING))
        world.processes.wait_for(ASKING, lambda: _has_rules(home / ASKING / "node.db"), world._log(ASKING))
        world.kill(ASKING)
        yield world


def _held(agency: str, people: Sequence[county.Person]) -> list[county.Person]:
    """Every third person is held by both, every third by the police, every third by neither."""
    return [one for number, one in enumerate(people) if number % 3 == 0 or (number % 3 == 1 and agency == "police")]


def _seen(one: county.Person, people: Sequence[county.Person]) -> bool:
    return people.index(one) % 2 == 0


def _known(people: Sequence[county.Person]) -> tuple[Known, ...]:
    return tuple(
        Known(
            _typed(one),
            {agency: "YES" if one in _held(agency, people) and _seen(one, people) else "NO" for agency in ANSWERING},
        )
        for one in people
        if (datetime.now(UTC).date() - one.date_of_birth).days < 17 * 365
    )


def _typed(one: county.Person) -> dict[str, str]:
    row = {
        "first_name": one.first_name,
        "last_name": one.last_name,
        "date_of_birth": one.date_of_birth.isoformat(),
        "sex": one.sex,
        "address": one.address.line,
        "postcode": one.address.postcode,
        "role": "child",
    }
    return {name: value for name, value in row.items() if value}


def _database(url_file: Path | None) -> str:
    return "" if url_file is None else f'database_url_file = "{url_file}"\n'


def _furnish(
    home: Path, agency: str, federation: str, at: Mapping[str, int], held: Sequence[county.Person], database: str
) -> None:
    """Lay an agency's records, its mapping and its identity provider beside its node."""
    mapping = write_records(home / "records", agency, held)
    everybody = grow(PEOPLE)
    day = (datetime.now(UTC) - timedelta(days=10)).date().isoformat()
    with contextlib.closing(sqlite3.connect(home / "records" / "records.db")) as connection, connection:
        seen = [(number, day) for number, one in enumerate(held, 1) if _seen(one, everybody)]
        connection.executemany("INSERT INTO contact VALUES (?, ?)", seen)
    provider = IdentityProvider.make(f"https://login.{agency}.example", agency)
    (home / "jwks.json").write_bytes(provider.jwks())
    (home / "sign-in.jwt").write_text(provider.token("worker-1", "practitioner", now_s=int(time.time())), "ascii")
    (home / "node.toml").write_text(
        f'federation = "{federation}"\nagency = "{agency}"\nbroker = "localhost:{at["broker"]}"\n'
        f'steward = "localhost:{at["steward"]}"\nmapping = "{mapping.relative_to(home)}"\n'
        f"{database}{provider.settings('jwks.json')}",
        "utf-8",
    )


def _entries(place: Place, sql: str) -> list[Entry]:
    if isinstance(place, Server):
        with psycopg.connect(place.url_file.read_text("ascii").strip()) as server:
            return [entry(row[0], row[1]) for row in server.execute(sql.encode())]
    with contextlib.closing(sqlite3.connect(place)) as connection:
        return [entry(row[0], row[1]) for row in connection.execute(sql)]


def _has_rules(file: Path) -> bool:
    with contextlib.suppress(sqlite3.OperationalError), contextlib.closing(sqlite3.connect(file)) as connection:
        return bool(connection.execute("SELECT 1 FROM node_entry WHERE kind = 'POLICY_ACTIVATED'").fetchall())
    return False


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
