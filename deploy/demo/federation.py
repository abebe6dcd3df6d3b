"""Found the demonstration's federation with the two programs, as its operator and its agencies would.

accord-broker init, accord-node init ...   everybody makes their own keys
accord-broker enrol                        the operator lets them in: the steward first
accord-node join                           everybody checks what came back
accord-broker policy build                 the rules are checked and signed
records, mapping, sign-in                  each agency lays its own beside its node
"""

import json
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from deploy.demo import county
from deploy.demo.county import County
from deploy.demo.identity_provider import IdentityProvider
from deploy.demo.ports import free_ports
from deploy.demo.processes import COMMAND_S, Finished, Processes

NAME: Final = "midshire"
POLICIES: Final = Path(__file__).resolve().parents[2] / "policies"
ASKER: Final = "social-care"
AGENCIES: Final = tuple(sorted(county.AGENCIES))
TOKEN_LIFE_S: Final = 3_600
"""Life of a sign-in, seconds; the longest that a node accepts unless it is told otherwise."""
RECORD_S: Final = 0.5
"""Longest time that the index of an agency may take for each record, seconds, on a slow and busy machine."""
HOST: Final = "localhost"
DEADLINES: Final = "\nask_deadline_ms = 8000\nnode_deadline_ms = 6000\n"
"""Longer than usual, for machines that are small and busy: a slow agency is not part of the story."""

Show: TypeAlias = Callable[[str, int, int], None]
"""How progress is told: agency, people done, people in all."""


class CommandFailed(Exception):
    """A command of the two programs failed. The message shows it and what it said."""


@dataclass(frozen=True, slots=True)
class Federation:
    """Where everything of the demonstration is.

    Attributes:
        folder: The temporary folder that holds all of it.
        ports: Where broker and steward listen.
        providers: Who signs in each agency's staff.
    """

    folder: Path
    ports: Mapping[str, int]
    providers: Mapping[str, IdentityProvider]

    def home(self, member: str) -> Path:
        """The folder of one member: broker, steward or an agency."""
        return self.folder / member

    def log(self, member: str) -> Path:
        """What that member's process says."""
        return self.folder / f"{member}.log"

    def records(self, agency: str) -> Path:
        """The agency's own records, which only its own node reads."""
        return self.home(agency) / "records"

    @property
    def desk(self) -> Path:
        """What staff of the asking agency have typed, their sign-in, and the answers that they kept."""
        return self.folder / "desk"

    @property
    def sign_in(self) -> Path:
        """The sign-in of a social worker."""
        return self.desk / "sign-in.jwt"


def design(folder: Path) -> Federation:
    """Choose free ports and make the identity providers; nothing is written."""
    ports = dict(zip(("broker", "steward"), free_ports(2), strict=True))
    providers = {one: IdentityProvider.make(f"https://login.{one}.example", one) for one in AGENCIES}
    return Federation(folder, ports, providers)


def found(federation: Federation, processes: Processes) -> None:
    """Make everybody's keys, enrol them, and sign the rules.

    Raises:
        CommandFailed: A command did not do what it should.
    """
    home, authority, out = federation.home, federation.folder / "authority", federation.folder / "sent"
    broker, steward = (f"{HOST}:{federation.ports[one]}" for one in ("broker", "steward"))
    init = ["init", "--federation", NAME, "--home"]
    listen = {one: ["--host", HOST, "--listen", f"127.0.0.1:{federation.ports[one]}"] for one in federation.ports}
    begin = [
        ["accord-broker", *init, str(home("broker")), "--authority", str(authority), *listen["broker"]],
        ["accord-node", *init, str(home("steward")), "--steward", *listen["steward"]],
    ]
    for agency in AGENCIES:
        row = agency_row(agency)
        words = ["accord-node", *init, str(home(agency)), "--agency", agency]
        words += ["--title", row["title"], "--kind", row["kind"], "--broker", broker, "--steward-at", steward]
        for character in row["characters"]:
            words += ["--character", character["id"]]
        begin.append(words)
    _all_well(processes.run_all(begin, at_once=2), begin)

    def enrol(member: str) -> list[str]:
        request = str(home(member) / "request.json")
        return ["accord-broker", "enrol", request, "--authority", str(authority), "--out", str(out)]

    # The steward comes first, because tokens need both key servers. Each later enrolment is a newer directory.
    _all_well(processes.run_all([enrol("steward")]), [enrol("steward")])
    enrolling = [enrol(agency) for agency in AGENCIES]
    _all_well(processes.run_all(enrolling, at_once=2), enrolling)
    joining = [
        ["accord-node", "join", "--home", str(home(member)), str(out / f"{member}.bundle.json")]
        for member in ("steward", *AGENCIES)
    ]
    joining.append(["accord-broker", "policy", "build", "--home", str(home("broker")), str(POLICIES)])
    newest = authority / "directory.json"
    joining.append(["accord-broker", "install-directory", "--home", str(home("broker")), str(newest)])
    _all_well(processes.run_all(joining, at_once=2), joining)
    # Who joined early has an earlier directory; the operator hands out the newest one, which everybody checks anew.
    for member in ("steward", *AGENCIES):
        shutil.copyfile(newest, home(member) / "directory.json")


def furnish(federation: Federation, grown: County) -> None:
    """Lay each agency's records, its mapping and its identity provider beside its node.

    Args:
        federation: Founded.
        grown: The county whose people the agencies remember.
    """
    with (federation.home("broker") / "broker.toml").open("a", encoding="utf-8") as settings:
        settings.write(DEADLINES)
    for agency in AGENCIES:
        home = federation.home(agency)
        mapping = county.write(agency, federation.records(agency), grown)
        provider = federation.providers[agency]
        (home / "identity-provider.jwks.json").write_bytes(provider.jwks())
        with (home / "node.toml").open("a", encoding="utf-8") as settings:
            settings.write(f'\nmapping = "{mapping.relative_to(home)}"\n{provider.settings()}')
    federation.desk.mkdir(mode=0o700)


def sign_in(federation: Federation, now_s: int) -> None:
    """Sign a social worker in; an earlier sign-in is replaced."""
    token = federation.providers[ASKER].token("social-worker-1", "practitioner", now_s=now_s, life_s=TOKEN_LIFE_S)
    federation.sign_in.touch(mode=0o600)
    federation.sign_in.write_text(token, "ascii")


def start_centre(federation: Federation, processes: Processes) -> None:
    """Start the broker and the steward, and wait until both serve.

    Raises:
        DidNotStart: One of them did not come up.
    """
    homes = {one: str(federation.home(one)) for one in ("broker", "steward")}
    processes.start("broker", ["accord-broker", "serve", "--home", homes["broker"]], federation.log("broker"))
    processes.start("steward", ["accord-node", "steward", "--home", homes["steward"]], federation.log("steward"))
    for one in homes:
        _wait_until_said(processes, one, federation.log(one), "service_started")


def build_indexes(federation: Federation, processes: Processes, grown: County, show: Show) -> None:
    """Build every agency's index, two at a time: more would only wait for each other on a small machine.

    Args:
        federation: Broker and steward are running.
        processes: Runs the commands.
        grown: How many people each agency knows.
        show: Told again and again, for each agency, how many people are done and how many there are.

    Raises:
        CommandFailed: An index could not be built.
    """
    commands = [["accord-node", "index", "--home", str(federation.home(agency))] for agency in AGENCIES]

    def meanwhile() -> None:
        for agency in AGENCIES:
            show(agency, indexed(federation.home(agency)), len(grown.held[agency]))

    within_s = COMMAND_S + RECORD_S * max(len(held) for held in grown.held.values())
    _all_well(processes.run_all(commands, at_once=2, meanwhile=meanwhile, within_s=within_s), commands)
    meanwhile()


def start_nodes(federation: Federation, processes: Processes, agencies: tuple[str, ...] = AGENCIES) -> None:
    """Start agencies' nodes and wait until each is attached to the broker and has the rules.

    Raises:
        DidNotStart: One of them did not come up.
    """
    before = {one: said(federation.log(one), "session_attached") for one in agencies}
    for one in agencies:
        processes.start(one, ["accord-node", "serve", "--home", str(federation.home(one))], federation.log(one))
    for one in agencies:

        def ready(one: str = one) -> bool:
            attached = said(federation.log(one), "session_attached") > before[one]
            return attached and count(federation.home(one), "POLICY_ACTIVATED") > 0

        processes.wait_for(one, ready, federation.log(one))


# -- Reading what the processes wrote down ----------------------------------------------------------------------------


def agency_row(agency: str) -> dict[str, Any]:
    """What the policies say of an agency: title, kind, legal characters."""
    row: dict[str, Any] = json.loads((POLICIES / "data" / "agencies" / f"{agency}.json").read_bytes())
    return row


def said(log: Path, event: str) -> int:
    """How often a log names an event."""
    try:
        return log.read_text("utf-8", errors="replace").count(f'"event.action": "{event}"')
    except FileNotFoundError:
        return 0


def count(home: Path, kind: str) -> int:
    """How many records of a kind an agency's own ledger has."""
    return _number(home / "node.db", "SELECT count(*) FROM node_entry WHERE kind = ?", (kind,))


def indexed(home: Path) -> int:
    """How many people an agency's index has read so far."""
    return _number(home / "node.db", "SELECT max(watermark) FROM index_meta", ())


def _number(database: Path, sql: str, values: tuple[str, ...]) -> int:
    """One number, read beside the process that owns the file; 0 where it is not there yet."""
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            row = connection.execute(sql, values).fetchone()
    except sqlite3.OperationalError:
        return 0
    return 0 if row is None else int(row[0] or 0)


def _wait_until_said(processes: Processes, name: str, log: Path, event: str) -> None:
    processes.wait_for(name, lambda: said(log, event) > 0, log)


def _all_well(ended: list[Finished], commands: list[list[str]]) -> None:
    for one, words in zip(ended, commands, strict=True):
        if one.code != 0:
            raise CommandFailed(f"{' '.join(words[:2])} ended with code {one.code}:\n{one.out}{one.err}")
