"""The figures of build/bench.json as pictures, where matplotlib is installed (`.ci/requirements-bench.lock`)."""

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def able() -> bool:
    """Whether pictures can be made here."""
    return importlib.util.find_spec("matplotlib") is not None


def draw(kept: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw whatever was measured.

    Args:
        kept: As in bench.json.
        folder: Where the pictures go; replaced when there.

    Returns:
        The pictures.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    made = []
    if "paths" in kept:
        made.append(_paths(kept["paths"], folder / "bench-paths.png"))
    if "ledger" in kept:
        made.append(_growth(kept["ledger"], kept["agreements"], folder / "bench-growth.png"))
    return made


def _paths(rows: Sequence[Mapping[str, Any]], file: Path) -> Path:
    """p50 and throughput of every path against R, by agencies and callers."""
    from matplotlib import pyplot

    ways = sorted({(row["agencies"], row["callers"]) for row in rows})
    names = list(dict.fromkeys(row["path"] for row in rows))
    figure, places = pyplot.subplots(1, 2, figsize=(12, 4.5))
    width = 0.8 / len(names)
    for axes, value, title in zip(places, ("p50_ms", "per_s"), ("p50, ms", "questions a second"), strict=True):
        for number, name in enumerate(names):
            by_way = {(row["agencies"], row["callers"]): row[value] for row in rows if row["path"] == name}
            axes.bar([at + number * width for at in range(len(ways))], [by_way[way] for way in ways], width, label=name)
        labels = [f"{agencies} agencies\n{callers} callers" for agencies, callers in ways]
        axes.set_xticks([at + 0.4 - width / 2 for at in range(len(ways))], labels, fontsize=7)
        axes.set_yscale("log")
        axes.set_title(title)
        axes.legend()
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    pyplot.close(figure)
    return file


def _growth(ledger: Sequence[Mapping[str, Any]], agreements: Sequence[Mapping[str, Any]], file: Path) -> Path:
    """Append, proof, search and start over the size of the ledger; a decision over the number of agreements."""
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 4.5))
    sizes = [row["entries"] for row in ledger]
    for name, value, scale in (
        ("append", "append_us", 1e-3),
        ("proof", "proof_us", 1e-3),
        ("search", "search_us", 1e-3),
        ("start", "restart_s", 1e3),
    ):
        left.plot(sizes, [row[value] * scale for row in ledger], marker="o", label=f"{name}, ms")
    left.set_title("ledger")
    left.set_xlabel("entries")
    left.set_yscale("log")
    right.plot([row["agreements"] for row in agreements], [row["decision_us"] / 1e3 for row in agreements], marker="o")
    right.set_title("one decision, ms")
    right.set_xlabel("agreements")
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.set_xscale("log")
    left.legend()
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    pyplot.close(figure)
    return file
