"""What an index of growing size costs on this machine: `make bench-index`.

    python -m tests.bench.index --people 300 1000 3000 --direct 10000 30000 [--out build/bench-index.json]

* `--people`: the real path. Broker and steward are processes of their own, reached over mutual TLS; blinding, proofs
  and padding as everywhere.
* `--direct`: for sizes at which that would take hours, a *direct key server* stands in this process, which holds both
  seeds and computes the same tokens without blinding (RFC 9497 section 3.3.1; a test compares them). Only what an index
  itself costs counts there: reading, storing, memory, disk. Its times for tokens are not those of a federation.
* One changed record goes the real path at every size. Its time is from asking the agency's database what changed until
  the transaction is committed after which its tokens answer, in a job that is running: programs started, connections
  open. Beside it stands the whole command `accord-node index --changed`, from its start to its end.

Each job runs in a process of its own, so that its largest memory is its own. Times per person are compared with the
smallest size of the same kind: 1.0 is linear.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from accord.identity import MatchKey
from agency_node import __main__ as node
from agency_node import index
from agency_node import settings as node_settings
from agency_node.blinding import MAX_WORKERS
from tests.bench.direct import DirectKeyServer
from tests.world.key_servers import Programs, grow, programs

OUT: Final = Path("build/bench-index.json")
AGENCY: Final = "police"
ONE_BY_ONE: Final = 30
"""How many records are changed and taken in, one at a time."""
WARM: Final = 5
"""How many before them are not counted."""
REST_S: Final = 0.02
TARGET_MS: Final = 50
"""What one changed record should take at most, at every size, milliseconds."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One size.

    Attributes:
        kind: real or direct.
        people: People in the records.
        keys: Tokens in the index.
        seconds: From the first record to the complete index.
        people_per_s: Of that.
        cpu_ms_person: Processor time of the index process for a person, milliseconds.
        reading_ms_person: Of `seconds`: reading and normalising, for a person.
        tokens_ms_person: Of `seconds`: while tokens were waited for, for a person; two batches at a time.
        measuring_s: Of `seconds`: statistics, and what guessing and chance could open.
        refresh_s: A second full pass, in which nothing has changed.
        peak_mib: Largest memory of the index process.
        disk_mb: The state file.
        changed: One changed record, taken in by a job that is running, through both key servers.
        changed_indexed: The same when the agency's database has an index on the time of change.
        command_s: The command that takes in one changed record, from its start to its end.
        linear: Time for a person, against the smallest size of this kind.
        linear_cpu: The same of the index process's own processor time, which other work on the machine hardly moves.
    """

    kind: str
    people: int
    keys: int
    seconds: float
    people_per_s: float
    cpu_ms_person: float
    reading_ms_person: float
    tokens_ms_person: float
    measuring_s: float
    refresh_s: float
    peak_mib: float
    disk_mb: float
    changed: "Changed"
    changed_indexed: "Changed"
    command_s: float
    linear: float = 1.0
    linear_cpu: float = 1.0


@dataclass(frozen=True, slots=True)
class Changed:
    """One changed record: medians, milliseconds.

    Attributes:
        whole: Everything.
        p90: Nine of ten took no longer.
        least: The quickest.
        reading: Of `whole`: asking the agency's database, and reading what it gives.
        tokens: Of `whole`: both key servers, blinding and proofs.
        rest: Of `whole`: match keys, comparing with the index, storing.
        cpu_index: Processor time of this process.
        cpu_broker: Of the broker, which makes the first half of the tokens.
        cpu_steward: Of the steward, which makes the second.
    """

    whole: float
    p90: float
    least: float
    reading: float
    tokens: float
    rest: float
    cpu_index: float
    cpu_broker: float
    cpu_steward: float


# -- In the process of the job ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Clocked:
    """Records and tokens with a clock beside them."""

    records: Any
    tokens: Callable[[Sequence[MatchKey]], Awaitable[list[bytes]]]
    reading_s: float = 0.0
    waited_s: float = 0.0
    under_way: int = 0
    since: float = 0.0

    def people(self) -> Iterator[Any]:
        """Everybody, timed."""
        return self._timed(self.records.people())

    def people_changed_since(self, watermark: str) -> Iterator[Any]:
        """Whoever changed, timed."""
        return self._timed(self.records.people_changed_since(watermark))

    def _timed(self, people: Iterable[Any]) -> Iterator[Any]:
        coming = iter(people)
        while True:
            began = time.perf_counter()
            person = next(coming, None)
            self.reading_s += time.perf_counter() - began
            if person is None:
                return
            yield person

    async def made(self, keys: Sequence[MatchKey]) -> list[bytes]:
        """Tokens, timed once while any are under way."""
        if self.under_way == 0:
            self.since = time.perf_counter()
        self.under_way += 1
        try:
            return await self.tokens(keys)
        finally:
            self.under_way -= 1
            if self.under_way == 0:
                self.waited_s += time.perf_counter() - self.since


async def _job(
    told: node_settings.NodeSettings, direct: Path | None, workers: int, pids: Sequence[int]
) -> dict[str, Any]:
    """Index everybody, again, and then one at a time."""
    async with node._indexing(told, workers) as (at, records, tokenise, terms, _):
        clocked = _Clocked(records, tokenise)
        if direct is not None:
            seeds = ((direct / party / "key-server.seed").read_bytes() for party in ("broker", "steward"))
            clocked.tokens = DirectKeyServer(*seeds, at.directory.current().epoch.id)
        measuring: list[float] = []

        def heard(now: index.Progress) -> None:
            if now.stage == index.Stage.MEASURING:
                measuring.append(time.perf_counter())

        async def whole() -> float:
            began = time.perf_counter()
            await index.build(
                *(at.engine, clocked, clocked.made),
                node_id=told.agency,
                terms=terms,
                at_ns=time.time_ns(),
                progress=heard,
            )
            return time.perf_counter() - began

        cpu = time.process_time()
        seconds = await whole()
        ended, cpu_s = time.perf_counter(), time.process_time() - cpu
        found = {
            "seconds": seconds,
            "cpu_s": cpu_s,
            "reading_s": clocked.reading_s,
            "waited_s": clocked.waited_s,
            "measuring_s": ended - measuring[0],
            "refresh_s": await whole(),
        }
        clocked.tokens = tokenise

        async def one_changed(hour: int) -> dict[str, float]:
            taken = []
            for number in range(WARM + ONE_BY_ONE):
                change(told.mapping.parent / "records.db", hour, number)
                clocked.reading_s = clocked.waited_s = 0.0
                spent = [_cpu_s(pid) for pid in pids]
                began, began_cpu = time.perf_counter(), time.process_time()
                done = await index.refresh(at.engine, clocked, clocked.made, node_id=told.agency, terms=terms)
                whole, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
                if done.changed != 1:
                    raise SystemExit(f"{done.changed} people were taken in, not one: these figures would mean nothing")
                # What a server does after its answer is counted too.
                await asyncio.sleep(REST_S)
                servers = [_cpu_s(pid) - before for pid, before in zip(pids, spent, strict=True)]
                rest = whole - clocked.reading_s - clocked.waited_s
                taken.append((whole, clocked.reading_s, clocked.waited_s, rest, cpu_s, *servers))
            columns = [sorted(1_000 * one for one in column) for column in zip(*taken[WARM:], strict=True)]
            whole_ms = columns[0]
            middle = dict(zip(_MEDIANS, map(median, columns), strict=True))
            return {**middle, "p90": whole_ms[int(len(whole_ms) * 0.9)], "least": whole_ms[0]}

        found["changed"] = await one_changed(10)
        with contextlib.closing(sqlite3.connect(told.mapping.parent / "records.db")) as own, own:
            own.execute("CREATE INDEX by_change ON person (changed_at)")
        found["changed_indexed"] = await one_changed(11)
        found["keys"] = sum(one.tokens for one in index.rows.listing(at.engine))
        found["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return found


_MEDIANS: Final = ("whole", "reading", "tokens", "rest", "cpu_index", "cpu_broker", "cpu_steward")


def change(records: Path, hour: int, number: int) -> None:
    """Change one person's address in the agency's own database."""
    with contextlib.closing(sqlite3.connect(records)) as own, own:
        own.execute(
            "UPDATE person SET address = ?, changed_at = ? WHERE id = ?",
            (f"{number} Quince Walk {hour}", f"2026-07-01T{hour}:{number:02}:00Z", number + 1),
        )


def _cpu_s(pid: int) -> float:
    """Processor time of a process's threads so far, seconds (first figure of proc_pid_schedstat, nanoseconds)."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(one.read_text("ascii").split()[0]) for one in threads) / 1e9


# -- Around it --------------------------------------------------------------------------------------------------------


def measured(kind: str, people: int, world: Programs, workers: int) -> Measured:
    """Run a job in a process of its own."""
    home = world.home
    words = [sys.executable, "-m", "tests.bench.index", "--job", str(home / AGENCY), "--workers", str(workers)]
    words += ["--pids", *(str(world.processes.pid(name)) for name in ("broker", "steward"))]
    if kind == "direct":
        words += ["--seeds", str(home)]
    ran = subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True)
    found = json.loads(ran.stdout.splitlines()[-1])
    change(home / AGENCY / "records" / "records.db", 12, 0)
    command = world.node(AGENCY, "index", "--changed", "--json")
    if command.code != 0:
        raise SystemExit(f"the command that takes in what changed failed: {command.err}")
    files = (home / AGENCY / f"node.db{end}" for end in ("", "-wal"))
    return Measured(
        kind=kind,
        people=people,
        keys=found["keys"],
        seconds=found["seconds"],
        people_per_s=people / found["seconds"],
        cpu_ms_person=1_000 * found["cpu_s"] / people,
        reading_ms_person=1_000 * found["reading_s"] / people,
        tokens_ms_person=1_000 * found["waited_s"] / people,
        measuring_s=found["measuring_s"],
        refresh_s=found["refresh_s"],
        peak_mib=found["peak_mib"],
        disk_mb=sum(file.stat().st_size for file in files if file.exists()) / 1e6,
        changed=Changed(**found["changed"]),
        changed_indexed=Changed(**found["changed_indexed"]),
        command_s=command.seconds,
    )


def sized(kind: str, people: int, folder: Path, workers: int) -> Measured:
    """One size, its index made through broker and steward or through the direct key server."""
    with programs(folder, {AGENCY: grow(people)}) as world:
        return measured(kind, people, world, workers)


def killed(people: int, folder: Path) -> dict[str, float]:
    """How long an index takes that is killed half way and started again, against one that is not."""

    def took(world: Programs, database: str, kill: bool) -> float:
        own = os.environ | {"ACCORD_DATABASE": str(folder / database)}
        words = world.command(AGENCY, "index", "--json", "--workers", "1")
        began = time.perf_counter()
        with subprocess.Popen(words, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as job:
            while kill and job.poll() is None and stored(folder / database) < people / 2:
                time.sleep(0.02)
            if kill:
                job.send_signal(signal.SIGKILL)
        if kill:
            subprocess.run(words, env=own, check=True, capture_output=True)
        return time.perf_counter() - began

    with programs(folder, {AGENCY: grow(people)}) as world:
        return {"undisturbed_s": took(world, "one.db", False), "killed_half_way_s": took(world, "other.db", True)}


def stored(database: Path) -> int:
    """How many people are in an index so far."""
    with (
        contextlib.suppress(sqlite3.OperationalError),
        contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection,
    ):
        return int(connection.execute("SELECT count(*) FROM index_record WHERE entry = 0").fetchone()[0])
    return 0


def plotted(found: Sequence[Measured], file: Path) -> str:
    """Draw it where matplotlib is installed; says what became of it."""
    try:
        from matplotlib import pyplot
    except ImportError:
        return "No picture: matplotlib is not installed."
    figure, (speed, memory, changed) = pyplot.subplots(1, 3, figsize=(15, 4.5), layout="constrained")
    names = {"real": "through both key servers", "direct": "tokens computed directly"}
    for kind, name in names.items():
        some = [one for one in found if one.kind == kind]
        if some:
            people = [one.people for one in some]
            speed.plot(people, [1_000 * one.seconds / one.people for one in some], "o-", label=name)
            memory.plot(people, [one.peak_mib for one in some], "o-", label=name)
    sizes = {one.people: one for one in found}
    for name, steps in (
        ("no index on the time of change", {people: one.changed for people, one in sizes.items()}),
        ("an index on the time of change", {people: one.changed_indexed for people, one in sizes.items()}),
    ):
        shown = sorted(steps)
        middle = [steps[people].whole for people in shown]
        down = [steps[people].whole - steps[people].least for people in shown]
        up = [steps[people].p90 - steps[people].whole for people in shown]
        changed.errorbar(shown, middle, yerr=(down, up), fmt="o-", capsize=4, label=name)
    changed.axhline(TARGET_MS, color="grey", linestyle="--", label=f"target, {TARGET_MS} ms")
    for axes, heading, label in (
        (speed, "A whole index", "ms for each person"),
        (memory, "A whole index", "largest memory, MiB"),
        (changed, "One changed record, through both key servers", "ms: median, with the least and 9 of 10"),
    ):
        axes.set(xscale="log", xlabel="people in the records", ylabel=label, title=heading)
        axes.set_ylim(0, 1.25 * axes.get_ylim()[1])
        axes.set_xticks(sorted(sizes), [f"{people:,}" for people in sorted(sizes)])
        axes.minorticks_off()
        axes.margins(x=0.15)
        axes.grid(alpha=0.3)
        axes.legend(loc="upper left")
    figure.savefig(file, dpi=120)
    pyplot.close(figure)
    return f"Drawn in {file}."


def _table(found: Sequence[Measured]) -> Table:
    table = Table(box=None, pad_edge=False)
    headings = (
        *("Path", "People", "Keys", "People/s", "ms/person", "of it reading", "tokens", "Linear", "of CPU"),
        *("Unchanged pass", "Measuring", "Memory", "Disk"),
    )
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "Path" else "right")
    for one in found:
        table.add_row(
            *(one.kind, f"{one.people:,}", f"{one.keys:,}", f"{one.people_per_s:.1f}"),
            *(f"{1_000 * one.seconds / one.people:.1f}", f"{one.reading_ms_person:.2f}", f"{one.tokens_ms_person:.1f}"),
            *(f"{one.linear:.2f}", f"{one.linear_cpu:.2f}", f"{one.refresh_s:.1f} s", f"{one.measuring_s:.1f} s"),
            *(f"{one.peak_mib:.0f} MiB", f"{one.disk_mb:.1f} MB"),
        )
    return table


def _changed_table(found: Sequence[Measured]) -> Table:
    title = "One changed record through both key servers, ms: median of the job's step"
    table = Table(box=None, pad_edge=False, title=title, title_justify="left")
    headings = (
        *("People", "Records' index", "Whole", "9 of 10", "Least", "Reading", "Tokens", "Rest"),
        *("CPU index", "broker", "steward", "Whole command"),
    )
    for heading in headings:
        table.add_column(heading, justify="right")
    for one in found:
        for which, step in (("none", one.changed), ("changed_at", one.changed_indexed)):
            parts = (step.whole, step.p90, step.least, step.reading, step.tokens, step.rest)
            spent = (step.cpu_index, step.cpu_broker, step.cpu_steward)
            table.add_row(
                *(f"{one.people:,}", which, *(f"{part:.1f}" for part in (*parts, *spent))),
                f"{one.command_s:.1f} s" if which != "none" else "",
            )
    return table


def main() -> None:
    """Measure, print, and keep the figures."""
    reading = argparse.ArgumentParser(prog="python -m tests.bench.index", description=(__doc__ or "").splitlines()[0])
    reading.add_argument("--people", type=int, nargs="*", default=[300, 1_000, 3_000], help="sizes for the real path")
    reading.add_argument(
        "--direct", type=int, nargs="*", default=[3_000, 10_000, 30_000], help="sizes without blinding"
    )
    reading.add_argument("--workers", type=int, default=1, choices=range(1, MAX_WORKERS + 1), help="of the real path")
    reading.add_argument("--out", type=Path, default=OUT, help=f"where the figures are kept (default {OUT})")
    reading.add_argument("--job", type=Path, help=argparse.SUPPRESS)
    reading.add_argument("--seeds", type=Path, help=argparse.SUPPRESS)
    reading.add_argument("--pids", type=int, nargs=2, default=(), help=argparse.SUPPRESS)
    told = reading.parse_args()
    if told.job is not None:
        found = asyncio.run(_job(node_settings.load(told.job / "node.toml"), told.seeds, told.workers, told.pids))
        print(json.dumps(found))
        return
    began = time.monotonic()
    every: list[Measured] = []
    for kind, sizes in (("real", told.people), ("direct", told.direct)):
        first: Measured | None = None
        for people in sorted(sizes):
            with _folder() as folder:
                one = sized(kind, people, folder, told.workers)
            first = first or one
            wall = one.seconds / people / (first.seconds / first.people)
            every.append(replace(one, linear=wall, linear_cpu=one.cpu_ms_person / first.cpu_ms_person))
            _keep(told.out, every, {}, began)
            print(f"{kind} {people:,}: {one.seconds:.1f} s", file=sys.stderr, flush=True)
    screen = Console(width=max(Console().width, 160))
    screen.print(_table(every))
    screen.print(_changed_table(every))
    if told.people:
        with _folder() as folder:
            resumed = killed(min(told.people), folder)
        print(
            "Killed half way and started again: {killed_half_way_s:.1f} s, undisturbed {undisturbed_s:.1f} s".format(
                **resumed
            )
        )
        _keep(told.out, every, resumed, began)
    print(plotted(every, told.out.with_suffix(".png")))
    load = os.getloadavg()[0]
    print(f"{time.monotonic() - began:.0f} s, load {load:.1f}; kept in {told.out}")
    if load > 2 * (os.cpu_count() or 1):
        print("This machine is busy with something else: take only the ratios.", file=sys.stderr)


def _keep(out: Path, every: Sequence[Measured], resumed: dict[str, float], began: float) -> None:
    """Write what is known so far: the largest size takes a quarter of an hour, and must not cost the others."""
    kept = {
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "machine": platform.machine()},
        "load_1min": os.getloadavg()[0],
        "seconds": round(time.monotonic() - began, 1),
        "sizes": [asdict(one) for one in every],
        "resumed": resumed,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="accord-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
