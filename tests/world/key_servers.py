"""Broker and steward as the real processes that they are, and agencies whose records are as large as wanted.

    with programs(home, {"police": people}) as world:
        world.node("police", "index", "--json")

What happens inside them (mutual TLS, allowances, proofs) is what happens anywhere; only keys and people are invented.
"""

import contextlib
import json
import os
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from broker import policy
from deploy.demo import county
from deploy.demo.processes import Processes
from tests.world import trust
from tests.world.stack import policy_files

BESIDE: Final = Path(sys.executable).parent
AS_OF: Final = date(2026, 7, 1)
_CENTRE: Final = {"broker": ("accord-broker", "serve"), "steward": ("accord-node", "steward")}
_TABLE: Final = (
    "CREATE TABLE person (id INTEGER PRIMARY KEY, first_name TEXT, middle_names TEXT, last_name TEXT, former TEXT,"
    " born TEXT, sex TEXT, nhs TEXT, address TEXT, postcode TEXT, former_postcode TEXT, changed_at TEXT);"
    "CREATE TABLE contact (person_id INTEGER, seen TEXT)"
)
_MAPPING: Final = """\
version: 1
agency: {agency}
source: {{kind: sqlite, database_file: records.db}}
people: >-
  SELECT id, first_name, middle_names, last_name, former AS former_last_names, born AS date_of_birth, sex,
    nhs AS nhs_number, address, postcode, former_postcode AS former_postcodes, changed_at FROM person
answers:
  agency.contact:
    sql: >-
      SELECT max(seen) AS latest, count(*) AS count, NULL AS team FROM contact
      WHERE person_id IN (:person_ids) AND seen >= :since
changed_at: reliable
contacts:
  default: {{team: Front desk, role: Duty officer, phone: 01632 960001}}
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended.

    Attributes:
        code: Its exit code.
        out: What it printed.
        err: What it said on the side.
        seconds: How long it took.
        cpu_s: Processor time of it and of the processes that it started, seconds.
    """

    code: int
    out: str
    err: str
    seconds: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Programs:
    """Broker and steward, running.

    Attributes:
        home: A folder for each party.
        processes: What runs.
        federation: Everybody's keys.
    """

    home: Path
    processes: Processes
    federation: trust.Federation

    def command(self, agency: str, *words: str) -> list[str]:
        """`accord-node` for an agency, with the words of a command."""
        return [str(BESIDE / "accord-node"), *words, "--home", str(self.home / agency)]

    def node(self, agency: str, *words: str) -> Ran:
        """Run a command of an agency's node to its end."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        ran = subprocess.run(self.command(agency, *words), capture_output=True, text=True, check=False)
        taken = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Ran(ran.returncode, ran.stdout, ran.stderr, taken, cpu_s)

    def cpu_s(self, name: str) -> float:
        """Processor time that broker or steward has used so far, seconds (proc_pid_stat(5), fields 14 and 15)."""
        fields = Path(f"/proc/{self.processes.pid(name)}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def write_records(folder: Path, agency: str, people: Sequence[county.Person]) -> Path:
    """One agency's database of these people, with the mapping that reads it; returns the mapping."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(folder / "records.db")) as connection, connection:
        connection.executescript(_TABLE)
        connection.executemany(
            "INSERT INTO person VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                (
                    number,
                    *(one.first_name, one.middle_name, one.last_name, one.former_last_name),
                    *(one.date_of_birth.isoformat(), one.sex, one.nhs_number, one.address.line, one.address.postcode),
                    one.former_address.postcode if one.former_address else "",
                    "2026-06-01T09:00:00Z",
                )
                for number, one in enumerate(people, 1)
            ),
        )
    mapping = folder / "mapping.yaml"
    mapping.write_text(_MAPPING.format(agency=agency), "utf-8")
    return mapping


def grow(people: int, seed: int = 2026) -> Sequence[county.Person]:
    """So many invented people."""
    return list(county.generate(seed=seed, people=people, as_of=AS_OF).people)


@contextlib.contextmanager
def programs(home: Path, held: Mapping[str, Sequence[county.Person]]) -> Iterator[Programs]:
    """Found a federation and run its two key servers until the block ends.

    Args:
        home: An empty folder.
        held: Agency -> whom it knows.
    """
    federation = trust.make_federation(home, tuple(held), now_ns=time.time_ns())
    keys = federation.broker
    (home / "broker" / "policy.tar.gz").write_bytes(policy.pack(policy_files(), keys.policy, keys.policy_kid))
    for name in _CENTRE:
        file = home / name / f"{name}.toml"
        file.write_text(f'federation = "{federation.name}"\nlisten = "localhost:0"\n', "utf-8")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
    with Processes(home, clean) as processes:
        for name, words in _CENTRE.items():
            processes.start(name, [*words, "--home", str(home / name)], home / f"{name}.log")
        at = {}
        for name in _CENTRE:
            log = home / f"{name}.log"
            processes.wait_for(name, lambda log=log: _listening(log) != "", log)  # type: ignore[misc]  # bound now
            at[name] = _listening(log)
        for agency, people in held.items():
            mapping = write_records(home / agency / "records", agency, people)
            (home / agency / "node.toml").write_text(
                f'federation = "{federation.name}"\nagency = "{agency}"\nbroker = "{at["broker"]}"\n'
                f'steward = "{at["steward"]}"\nmapping = "{mapping.relative_to(home / agency)}"\n',
                "utf-8",
            )
        yield Programs(home, processes, federation)


def _listening(log: Path) -> str:
    """Where a service says that it listens; "" before it has said so."""
    for line in log.read_text("utf-8", errors="replace").splitlines():
        if '"service_started"' in line:
            return str(json.loads(line)["labels"]["listening_on"])
    return ""
