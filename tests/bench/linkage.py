"""How well people are found, on sets that nobody here made: `make bench-linkage`.

    python -m tests.bench.linkage [--sets febrl4 census ssa] [--sample N] [--out build/bench-linkage.json]

Ours is `accord-node linkage evaluate`'s own code, with the prior that ships; Splink, which sees everything in clear
text, runs beside it on the same files in the same job. A plot beside the figures shows what each further family of
match keys brings: F1, and unknown people whose envelope opens.
"""

import argparse
import json
import logging
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from random import Random
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from accord.identity import FAMILIES, entries, match_keys
from agency_node import scoring
from agency_node.cli.linkage import as_object
from agency_node.evaluate import Quality, evaluate
from agency_node.labelled import Labelled, read_columns, read_labelled
from tests.bench import linkage_sets
from tests.bench.linkage_splink import ALL_OF_FEBRL, splink

OUT: Final = Path("build/bench-linkage.json")
KEY: Final = b"one key for one job."
DAY: Final[Mapping[str, date]] = {
    "febrl4": date(2026, 11, 22),
    "census": date(2030, 4, 1),
    "ssa": date(2020, 12, 31),
}
"""The day of the questions, which age bands count from: that of the second file."""
TARGET: Final[Mapping[str, float]] = {"febrl4": 0.980, "census": 0.977, "ssa": 0.960}
FAMILIES_TARGET: Final = 0.988
"""F1 to reach, for people and for whole families."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is found with the first so many families.

    Attributes:
        family: The one added.
        f1: Of people.
        opened: Share of unknown people of whom anything opens.
    """

    family: str
    f1: float
    opened: float


def growth(left: Sequence[Labelled], right: Sequence[Labelled], prior: scoring.Prior, on: date) -> list[Step]:
    """F1 and leak as families are added, the one that finds most first.

    Keys stand for tokens here, and the best score decides: what opens and what is found are the same.
    """
    held = [one.row.described().description for one in left]
    holders: dict[bytes, set[int]] = defaultdict(set)
    for number, one in enumerate(held):
        for entry in entries(one):
            for key in match_keys(entry):
                holders[key.input].add(number)
    statistics = scoring.statistics(held, 1, KEY)
    who = {one.truth: number for number, one in enumerate(left)}
    asked = []
    for one in right:
        said = one.row.described().description
        by_family: dict[str, set[int]] = defaultdict(set)
        for key in match_keys(said):
            by_family[key.family] |= holders.get(key.input, set())
        scores = {
            number: scoring.posterior(said, held[number], statistics, KEY, prior, on)
            for number in set().union(*by_family.values())
        }
        asked.append((who.get(one.truth), by_family, scores))

    def measured(chosen: Sequence[str]) -> tuple[float, float]:
        right_ones = wrong = opened = 0
        for meant, by_family, scores in asked:
            there = set().union(*(by_family.get(family, set()) for family in chosen))
            best = sorted(((scores[number], number) for number in there), reverse=True)
            opened += meant is None and bool(there)
            if best and best[0][0] >= scoring.PROBABLE and (len(best) == 1 or best[1][0] < scoring.PROBABLE):
                right_ones += best[0][1] == meant
                wrong += best[0][1] != meant
        known = sum(meant is not None for meant, *_ in asked)
        return Quality(right_ones, wrong, known).f1, opened / max(1, len(asked) - known)

    finds: dict[str, set[int]] = {
        family.id: {n for n, (meant, by_family, _) in enumerate(asked) if meant in by_family.get(family.id, set())}
        for family in FAMILIES
    }
    steps: list[Step] = []
    found: set[int] = set()
    while len(steps) < len(FAMILIES):
        chosen = [step.family for step in steps]
        family = max((one for one in finds if one not in chosen), key=lambda one: (len(finds[one] - found), one))
        found |= finds[family]
        steps.append(Step(family, *measured([*chosen, family])))
    return steps


def measure(name: str, sample: int, console: Console) -> dict[str, Any]:
    """Everything about one set."""
    files = linkage_sets.load(name)
    columns = read_columns(files.mapping)
    left = read_labelled(files.left, columns[0], files.truth, files.household)
    right = read_labelled(files.right, columns[1], files.truth, files.household)
    if 0 < sample < len(right):
        right = tuple(Random(sample).sample(right, sample))
    prior = scoring.shipped_prior()
    with tempfile.TemporaryDirectory(prefix="accord-bench-") as folder:
        since = time.monotonic()
        report = evaluate(left, right, prior, folder=Path(folder), on=DAY[name], at_ns=time.time_ns())
    console.print(f"  {files.title}: ours in {time.monotonic() - since:.0f} s", highlight=False)
    since = time.monotonic()
    others = {"documented settings": splink(left, right, whole_address=False)}
    # Splink reads further columns straight from the files, so a sample goes without.
    if name == "febrl4" and not sample:
        extra = {one: (files.left, files.right) for one in ALL_OF_FEBRL}
        others["every address field"] = splink(left, right, whole_address=True, extra=extra)
    elif name == "census":
        others["every address field"] = splink(left, right, whole_address=True)
    console.print(f"  {files.title}: Splink in {time.monotonic() - since:.0f} s", highlight=False)
    steps = growth(left, right, prior, DAY[name])
    return {
        "title": files.title,
        "target_f1": TARGET[name],
        "ours": as_object(report),
        "splink": {
            how: {"f1": one.f1, "precision": one.precision, "recall": one.recall} for how, one in others.items()
        },
        "growth": [{"family": one.family, "f1": one.f1, "opened": one.opened} for one in steps],
    }


def table(found: Mapping[str, Mapping[str, Any]]) -> Table:
    """The figures for people."""
    made = Table(title="Is this person known? Yes when confirmed or probable; no national number", title_justify="left")
    for heading in ("Set", "To reach", "Ours", "Splink"):
        made.add_column(heading, justify="left" if heading == "Set" else "right")
    for heading in ("Confirmed precision", "Falsely known", "Opened among unknown", "Cannot say, known"):
        made.add_column(heading, justify="right")
    for one in found.values():
        ours, shipped = one["ours"], one["ours"]["shipped"]
        beside = "\n".join(f"{figures['f1']:.4f} ({how})" for how, figures in one["splink"].items())
        unsure = sum(counts["known"] for counts in shipped["cannot_say"].values())
        relatives = ours["opened_by_relatives_only"]
        made.add_row(
            one["title"],
            f"{one['target_f1']:.3f}",
            f"{shipped['yes']['f1']:.4f}",
            beside,
            f"{shipped['confirmed']['precision']:.4f}",
            f"{shipped['falsely_known']} of {ours['unknown']}",
            f"{ours['opened_among_unknown'] / max(1, ours['unknown']):.2%} ({relatives} by relatives)",
            f"{unsure / max(1, ours['known']):.1%}",
        )
        if shipped["families"] is not None:
            made.add_row(
                "  whole families",
                f"{FAMILIES_TARGET:.3f}",
                f"{shipped['families']['f1']:.4f}",
                "",
                "",
                str(shipped["families_falsely_known"]),
                "",
                "",
            )
    return made


def plot(found: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """F1 and leak against the number of families."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (above, below) = pyplot.subplots(2, 1, sharex=True, figsize=(8, 7))
    for one in found.values():
        numbers = range(1, len(one["growth"]) + 1)
        above.plot(numbers, [step["f1"] for step in one["growth"]], marker="o", label=one["title"])
        below.plot(numbers, [100 * step["opened"] for step in one["growth"]], marker="o")
    above.set_ylabel("F1")
    above.legend(loc="lower right", fontsize=8)
    below.set_ylabel("% of unknown people\nwhose envelope opens")
    below.axhline(0.2, color="grey", linestyle="--", linewidth=1)
    below.set_xlabel("families of match keys, the one that finds most first")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and write.

    Returns:
        0; figures below what is to be reached are said, and are not an error of the program.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.bench.linkage", description=__doc__)
    parser.add_argument("--sets", nargs="+", choices=[*linkage_sets.SETS], default=[*linkage_sets.SETS])
    parser.add_argument("--sample", type=int, default=0, help="ask about so many people of each set; 0 for all")
    parser.add_argument("--out", type=Path, default=OUT)
    chosen = parser.parse_args(arguments)
    console = Console(width=140)
    logging.getLogger("splink").setLevel(logging.CRITICAL)
    console.print("Measuring how well people are found; about a quarter of an hour for all sets on two cores.")
    found = {name: measure(name, chosen.sample, console) for name in chosen.sets}
    console.print(table(found))
    for one in found.values():
        missed = one["ours"]["shipped"]
        causes = {cause: counts["known"] for cause, counts in missed["cannot_say"].items() if counts["known"]}
        console.print(f"{one['title']}, known people who were missed: ", missed["missed"], causes, soft_wrap=True)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    picture = chosen.out.with_suffix(".png")
    plot(found, picture)
    console.print(f"Written: {chosen.out} and {picture}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
