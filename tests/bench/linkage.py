"""How well people are found, beside what they are found with in clear text: `make bench-linkage`.

    python -m tests.bench.linkage [--sets febrl4,census,ssa] [--out build/bench-linkage.json]

Each set goes through everything that a question goes through (`agency_node.evaluate`) with the prior that ships, and
through Splink in the same run. The table says what was to be reached; a figure that was missed is marked, and the file
beside it says of what the misses are. A picture shows what each match family adds.
"""

import argparse
import datetime
import json
import logging
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from accord.identity import FAMILIES
from agency_node.cli.linkage import as_object
from agency_node.evaluate import Doing, Quality, Report, evaluate
from agency_node.labelled import read_columns, read_labelled
from agency_node.scoring import shipped_prior
from tests.bench import linkage_families
from tests.bench.linkage_sets import SETS, load
from tests.bench.linkage_splink import ALL_OF_FEBRL, splink

OUT: Final = Path("build/bench-linkage.json")
_ON: Final[Mapping[str, datetime.date]] = {
    "febrl4": datetime.date(2026, 11, 22),
    "census": datetime.date(2030, 4, 1),
    "ssa": datetime.date(2020, 12, 31),
}
"""The day of the questions: that of the second file."""
TARGETS: Final[Mapping[str, float]] = {"febrl4": 0.980, "census": 0.977, "ssa": 0.960}
FAMILY_TARGET: Final = 0.988
CONFIRMED_TARGET: Final = 0.999
FALSELY_TARGET: Final = 0.0005
OPENED_TARGET: Final = 0.002


@dataclass(frozen=True, slots=True)
class Measured:
    """One set: ours, and Splink's two lines."""

    report: Report
    clear: Quality
    whole_address: Quality


def measure(name: str, console: Console) -> Measured:
    """Measure one set."""
    one = load(name)
    left, right = (
        read_labelled(path, columns, one.truth, one.household)
        for path, columns in zip((one.left, one.right), read_columns(one.mapping), strict=True)
    )
    started = time.monotonic()
    said = [started]

    def progress(now: Doing) -> None:
        if time.monotonic() - said[0] > 10:
            said[0] = time.monotonic()
            console.print(f"  {one.title}: {now.what} {now.done} of {now.of}, {said[0] - started:.0f} s", style="dim")

    with tempfile.TemporaryDirectory(prefix="accord-linkage-") as folder:
        report = evaluate(
            left, right, shipped_prior(), folder=Path(folder), on=_ON[name], at_ns=time.time_ns(), progress=progress
        )
    console.print(f"  {one.title}: ours {report.shipped.yes.f1:.4f} in {time.monotonic() - started:.0f} s", style="dim")
    extra = {column: (one.left, one.right) for column in ALL_OF_FEBRL} if name == "febrl4" else None
    return Measured(report, splink(left, right, False), splink(left, right, True, extra))


def table(found: Mapping[str, Measured]) -> Table:
    """What was to be reached, and what was."""
    made = Table(title="Is this person known? Yes = confirmed or probable", title_justify="left")
    for heading in ("", "Target", "Ours", "", "Splink", "Splink, whole address"):
        made.add_column(heading, justify="right" if heading else "left")

    def row(what: str, target: str, ours: str, reached: bool, *clear: Quality) -> None:
        made.add_row(what, target, ours, "" if reached else "missed", *(f"{one.f1:.4f}" for one in clear))

    for name, one in found.items():
        report, shipped = one.report, one.report.shipped
        title = f"{SETS[name][0]} ({report.known} known, {report.unknown} unknown)"
        f1 = shipped.yes.f1
        row(f"{title}: F1", f"{TARGETS[name]:.3f}", f"{f1:.4f}", f1 >= TARGETS[name], one.clear, one.whole_address)
        if shipped.families is not None:
            f1, falsely = shipped.families.f1, shipped.families_falsely_known
            row("  families: F1", f"{FAMILY_TARGET}", f"{f1:.4f}", f1 >= FAMILY_TARGET)
            row("  families falsely known", "0", f"{falsely}", falsely == 0)
        sure = shipped.confirmed.precision
        row("  precision of confirmed", f"{CONFIRMED_TARGET}", f"{sure:.4f}", sure >= CONFIRMED_TARGET)
        falsely = shipped.falsely_known / max(1, report.unknown)
        row("  unknown people falsely known", f"{FALSELY_TARGET:.2%}", f"{falsely:.2%}", falsely <= FALSELY_TARGET)
        opened = report.opened / max(1, report.unknown)
        row("  unknown people opened", f"{OPENED_TARGET:.1%}", f"{opened:.2%}", opened <= OPENED_TARGET)
        row("    by relatives only", "", f"{report.opened_by_relatives}", True)
        cannot = sum(known for known, _ in shipped.cannot_say.values()) / max(1, report.known)
        row("  known people of whom nothing can be said", "", f"{cannot:.2%}", True)
        if report.refitted is not None:
            row("  F1, m learnt from this set: does not count", "", f"{report.refitted.yes.f1:.4f}", True)
        row("  seconds for a thousand asked about", "", f"{report.ask_s_per_thousand:.1f}", True)
    return made


def as_file(found: Mapping[str, Measured]) -> dict[str, Any]:
    """Everything measured."""
    return {
        name: as_object(one.report)
        | {"splink_f1": one.clear.f1, "splink_whole_address_f1": one.whole_address.f1, "target_f1": TARGETS[name]}
        for name, one in found.items()
    }


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="How well people are found.")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--out", type=Path, default=OUT)
    told = parser.parse_args()
    logging.disable(logging.WARNING)
    console = Console(width=140)
    found = {name: measure(name, console) for name in told.sets.split(",")}
    console.print(table(found))
    console.print("What each match family adds: F1, and unknown people opened", style="bold")

    def said(step: linkage_families.Step) -> None:
        figures = "  ".join(f"{name} {step.f1[name]:.4f} {step.opened[name]:.3%}" for name in step.f1)
        console.print(f"  {step.family:32}{figures}", highlight=False)

    made = linkage_families.steps([linkage_families.join(name, FAMILIES) for name in found], FAMILIES, said)
    picture = told.out.with_suffix(".png")
    linkage_families.plot(made, picture)
    told.out.write_text(
        json.dumps(as_file(found) | {"families": linkage_families.as_rows(made)}, indent=1) + "\n", encoding="utf-8"
    )
    console.print(f"Written: {told.out} and {picture}", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
