"""What a question costs on this machine: `make bench`.

    python -m tests.bench [--only paths cpu] [--seconds 20] [--entries 100000] [--runs N] [--out build/bench.json]

* *paths*: a whole federation of real processes against two floors, in turns (`tests.bench.paths`).
* *cpu*: processor time of a question without gRPC, in Ed25519 verifications (`tests.bench.cpu`).
* *broker*: processor time of the broker's own process; how often it and a node wait for the disk (`tests.bench.alone`).
* *growth*: the ledger to a hundred thousand entries (`--entries 1000000` for a million), agreements to ten thousand
  (`tests.bench.growth`).
* *steps*: each step of a question by itself, in this process (`tests.bench.steps`).

Only ratios travel from one machine to another: each figure stands beside a floor of the same run.
"""

import argparse
import asyncio
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from tests.bench import alone, cpu, growth, paths, plots, steps
from tests.bench.federation import federation

OUT: Final = Path("build/bench.json")
# Read in a log as well as on a screen: one figure, one line.
CONSOLE: Final = Console(width=max(Console().width, 200))
WAYS: Final = tuple((agencies, callers) for agencies in (1, 5) for callers in (1, 16, 64))
"""Agencies and callers of each comparison."""
MANY: Final = 20
"""Agencies of a question to a larger county. Its nodes are not real: sixty of them, for the floor and two ways, would
take some nine gigabytes and mostly wait for each other."""
FSYNCS: Final = 2
"""Most of them that a question waits for at the broker: before it is sent, and before its answer is released. What is
counted holds others that no question waits for, such as countersignatures once a second."""


def of_paths(folder: Path, told: argparse.Namespace) -> dict[str, Any]:
    """Whole questions against the floors."""
    found = []
    server = shutil.which("initdb") is not None
    if not server:
        said("PostgreSQL's initdb is not on this machine: the whole path is measured on SQLite only.")
    with federation(folder, max(agencies for agencies, _ in WAYS), server) as here:

        async def every() -> None:
            for agencies, callers in WAYS:
                said(f"{agencies} agencies, {callers} callers")
                found.extend(await paths.measure(here, agencies, callers, told.seconds))

        asyncio.run(every())
    CONSOLE.print(paths.table(found))
    reached = list(paths.judged(found))
    for what, ratio, bound, kept in reached:
        said(f"{what}: {ratio:.2f}, to reach {bound}: {'reached' if kept else 'NOT reached'}")
    return {
        "paths": [one.row() for one in found],
        "to_reach": [
            {"what": what, "ratio": round(ratio, 3), "bound": bound, "reached": kept}
            for what, ratio, bound, kept in reached
        ],
    }


def of_cpu(folder: Path, told: argparse.Namespace) -> dict[str, Any]:
    """A question without gRPC, first cold and then warm."""
    found = {}
    for agencies in sorted({agencies for agencies, _ in WAYS}):
        home = folder / str(agencies)
        home.mkdir()
        cold, warm = asyncio.run(cpu.cold_and_warm(home, agencies, max(told.runs // 4, 8)))
        said(f"cold: {cold}")
        said(f"warm: {warm}")
        found[str(agencies)] = {"cold": asdict(cold), "warm": asdict(warm)}
    return {"cpu": found}


def of_broker(folder: Path, told: argparse.Namespace) -> dict[str, Any]:
    """The broker's own process."""
    found = []
    for agencies in (*sorted({agencies for agencies, _ in WAYS}), MANY):
        home = folder / str(agencies)
        home.mkdir()
        with alone.alone(home, agencies) as here:
            for callers in (1, 16):
                found.append(asyncio.run(here.measure(callers, min(told.seconds, 5.0))))
                said(f"broker alone: {found[-1]}")
    waited = []
    for callers in (1, 16):
        home = folder / f"waits-{callers}"
        home.mkdir()
        counted = alone.waits(home, callers, 64)
        if counted is None:
            said("strace is not on this machine: how often the disk was waited for is not counted.")
            break
        waited.append(counted)
        kept = "reached" if callers > 1 or counted.broker < FSYNCS + 1 else "NOT reached"
        said(f"waits for the disk, a question: {counted}, to reach {FSYNCS} of the broker: {kept}")
    return {"broker": [asdict(one) for one in found], "waits": [asdict(one) for one in waited]}


def of_growth(folder: Path, told: argparse.Namespace) -> dict[str, Any]:
    """Ledger and agreements."""
    decided = asyncio.run(growth.agreements(folder, said=said))
    grown = growth.ledger(folder, [size for size in growth.LEDGER if size <= told.entries], said)
    for one in growth.table(grown, decided):
        CONSOLE.print(one)
    return {"ledger": [asdict(one) for one in grown], "agreements": [asdict(one) for one in decided]}


def of_steps(folder: Path, told: argparse.Namespace) -> dict[str, Any]:
    """Single steps."""
    found = steps.steps(folder, told.runs)
    CONSOLE.print(steps.table(found))
    question_us = steps.of_whole(found).median_us
    return {"steps": [{**asdict(one), "of_a_question": round(one.median_us / question_us, 5)} for one in found]}


PARTS: Final[dict[str, Callable[[Path, argparse.Namespace], dict[str, Any]]]] = {
    "paths": of_paths,
    "cpu": of_cpu,
    "broker": of_broker,
    "growth": of_growth,
    "steps": of_steps,
}


def said(line: str) -> None:
    """Say how far it has come."""
    print(line, flush=True)


def main() -> None:
    """Measure, print, and keep the figures."""
    reading = argparse.ArgumentParser(prog="python -m tests.bench", description=(__doc__ or "").splitlines()[0])
    reading.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="measure these (default all)")
    reading.add_argument("--seconds", type=float, default=20, help="for each comparison of paths (default 20)")
    reading.add_argument(
        "--entries", type=int, default=100_000, help="largest ledger (default 100000; 1000000 takes some minutes more)"
    )
    reading.add_argument("--runs", type=int, default=200, help="most runs of a step (default 200)")
    reading.add_argument("--out", type=Path, default=OUT, help=f"where the figures are kept (default {OUT})")
    told = reading.parse_args()
    began = time.monotonic()
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "machine": platform.machine()}
    kept: dict[str, Any] = {"machine": machine}
    for part in told.only:
        said(f"{part} ...")
        with tempfile.TemporaryDirectory(prefix="accord-bench-") as name:
            kept |= PARTS[part](Path(name), told)
    kept |= {"load_1min": os.getloadavg()[0], "seconds": round(time.monotonic() - began, 1)}
    told.out.parent.mkdir(parents=True, exist_ok=True)
    told.out.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    said(f"{kept['seconds']} s on {machine['cores']} cores, load {kept['load_1min']:.1f}; kept in {told.out}")
    if plots.able():
        said(f"drawn: {', '.join(str(one) for one in plots.draw(kept, told.out.parent)) or 'nothing'}")
    else:
        said("matplotlib is not installed, so nothing was drawn; make bench-linkage installs it.")
    if "steps" in told.only and kept["load_1min"] > 2 * (os.cpu_count() or 1):
        print("This machine is busy with something else: take only the ratios.", file=sys.stderr)


if __name__ == "__main__":
    main()
