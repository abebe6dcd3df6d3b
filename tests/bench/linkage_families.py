"""What each match family adds: how many people are found, and how many unknown people's envelopes open.

    python -m tests.bench.linkage_families [--families FILE] [--sets febrl4,census] [--plot FILE.png]

FILE holds one family a line; without it the set in force is taken. Each set of `linkage_sets` is read, and families are
put in order of usefulness: at each step the one that brings the most true pairs within reach, over all sets. Keys stand
in for tokens and nothing is sealed, so it takes a minute; people are scored and decided about as `agency_node.link`
does, age bands apart. `python -m tests.bench.linkage` measures the whole path.
"""

import argparse
import datetime
import itertools
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from accord import identity
from accord.identity import FAMILIES, Family, entries
from agency_node.evaluate import Quality
from agency_node.labelled import Labelled, read_columns, read_labelled
from agency_node.scoring import POSSIBLE, PROBABLE, posterior, shipped_prior, statistics
from tests.bench.linkage_sets import SETS, load

ON: Final = datetime.date(2030, 12, 31)
_KEY: Final = b"frequencies of a measurement"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record that shares keys with somebody asked about.

    Attributes:
        record: Its place in the left file.
        score: The posterior.
        families: Ids of the families of the shared keys.
    """

    record: int
    score: float
    families: frozenset[str]


@dataclass(frozen=True, slots=True)
class Joined:
    """One set, with every pair that shares a key."""

    name: str
    held: Sequence[str]
    asked: Sequence[str]
    candidates: Sequence[Sequence[Candidate]]

    def found(self, families: Collection[str]) -> tuple[Quality, int, int]:
        """Who is found by these families: quality of yes, and unknown people in all and with an envelope opened."""
        known = set(self.held)
        chosen = set(families)
        right = wrong = opened = unknown = 0
        for truth, candidates in zip(self.asked, self.candidates, strict=True):
            near = sorted((one for one in candidates if one.families & chosen), key=lambda one: -one.score)
            unknown += truth not in known
            opened += truth not in known and bool(near)
            if near and near[0].score >= PROBABLE and not (len(near) > 1 and near[1].score >= PROBABLE):
                meant = self.held[near[0].record] == truth
                right, wrong = right + meant, wrong + (not meant)
        return Quality(right, wrong, sum(truth in known for truth in self.asked)), unknown, opened

    def within_reach(self, families: Collection[str]) -> int:
        """True pairs that share a key and would count as possible at least."""
        chosen = set(families)
        return sum(
            any(
                self.held[one.record] == truth and one.score >= POSSIBLE and one.families & chosen for one in candidates
            )
            for truth, candidates in zip(self.asked, self.candidates, strict=True)
        )


def join(name: str, families: Sequence[Family]) -> Joined:
    """Read a set and join it on the keys of these families."""
    one = load(name)
    left, right = (
        read_labelled(path, columns, one.truth, one.household)
        for path, columns in zip((one.left, one.right), read_columns(one.mapping), strict=True)
    )
    held = [row.row.described().description for row in left]
    holders: dict[bytes, set[int]] = defaultdict(set)
    for at, description in enumerate(held):
        for entry in entries(description):
            for key in _keys(families, entry):
                holders[key.input].add(at)
    known, prior = statistics(held, 1, _KEY), shipped_prior()
    candidates = []
    for row in right:
        sent = row.row.described().description
        shared: dict[int, set[str]] = defaultdict(set)
        for key in _keys(families, sent):
            for at in holders.get(key.input, ()):
                shared[at].add(key.family)
        candidates.append(
            [
                Candidate(at, posterior(sent, held[at], known, _KEY, prior, ON), frozenset(by))
                for at, by in shared.items()
            ]
        )
    return Joined(name, _truths(left), _truths(right), candidates)


def _truths(side: Sequence[Labelled]) -> list[str]:
    return [one.truth for one in side]


def _keys(families: Sequence[Family], description: identity.Description) -> Sequence[identity.MatchKey]:
    # The product makes keys of its own set only; here other sets are tried.
    return identity._keys(families, description)


def families_of(written: str) -> tuple[Family, ...]:
    """Families named one a line."""
    named = tuple(identity._family(line.strip()) for line in written.splitlines() if line.strip())
    for family in named:
        identity._PREFIXES.setdefault(family.id, identity.lp(identity.KEY_LABEL, family.id.encode()))
    return named


def in_order(sets: Sequence[Joined], families: Sequence[Family]) -> list[str]:
    """Ids, the most useful first."""
    order: list[str] = []
    left = [family.id for family in families]
    while left:
        best = max(left, key=lambda one: sum(joined.within_reach([*order, one]) for joined in sets))
        order.append(best)
        left.remove(best)
    return order


@dataclass(frozen=True, slots=True)
class Step:
    """One more family.

    Attributes:
        family: The one that was added.
        f1: Set -> F1 with it and all before it.
        opened: Set -> share of unknown people whose envelope opens.
    """

    family: str
    f1: Mapping[str, float]
    opened: Mapping[str, float]


def steps(
    sets: Sequence[Joined], families: Sequence[Family], told: Callable[[Step], None] = lambda _: None
) -> list[Step]:
    """Figures with one family after another."""
    order = in_order(sets, families)
    made = []
    for count in range(1, len(order) + 1):
        f1, opened = {}, {}
        for joined in sets:
            quality, unknown, leaked = joined.found(order[:count])
            f1[joined.name], opened[joined.name] = quality.f1, leaked / max(1, unknown)
        made.append(Step(order[count - 1], f1, opened))
        told(made[-1])
    return made


def plot(made: Sequence[Step], path: Path) -> None:
    """F1 and leak against the number of families, as a picture."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 1, sharex=True, figsize=(9, 8))
    numbers = range(1, len(made) + 1)
    # Lines that lie on each other are told apart by their marks.
    for name, mark, size in zip(made[0].f1, itertools.cycle("os^"), itertools.cycle((8, 6, 4)), strict=False):
        label = SETS[name][0]
        axes[0].plot(numbers, [step.f1[name] for step in made], marker=mark, markersize=size, label=label)
        axes[1].plot(
            numbers, [100 * step.opened[name] for step in made], marker=mark, markersize=size, label=f"_{label}"
        )
    axes[0].set_ylabel("F1, person level")
    axes[0].legend()
    axes[1].axhline(0.2, color="grey", linestyle="--", label="most that is allowed")
    axes[1].legend(loc="center right")
    axes[1].set_ylabel("unknown people opened, %")
    for one in axes:
        one.grid(alpha=0.3)
    axes[1].set_xticks(
        list(numbers), [step.family for step in made], rotation=45, ha="right", rotation_mode="anchor", fontsize=8
    )
    figure.suptitle("What each match family adds, the most useful first")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def as_rows(made: Sequence[Step]) -> list[dict[str, Any]]:
    """For a file of figures."""
    return [{"family": step.family, "f1": dict(step.f1), "opened": dict(step.opened)} for step in made]


def main() -> None:
    """Measure the families that are named, or those in force."""
    parser = argparse.ArgumentParser(description="What each match family adds.")
    parser.add_argument("--families", type=Path, help="one family a line; the set in force when left out")
    parser.add_argument("--sets", default=",".join(SETS), help="which sets")
    parser.add_argument("--plot", type=Path, help="where to draw it")
    told = parser.parse_args()
    families = families_of(told.families.read_text(encoding="utf-8")) if told.families else FAMILIES
    sets = [join(name, families) for name in told.sets.split(",")]

    def said(step: Step) -> None:
        print(f"{step.family:32}", *(f"{name} {step.f1[name]:.4f} {step.opened[name]:.3%}" for name in step.f1))

    made = steps(sets, families, said)
    if told.plot:
        plot(made, told.plot)


if __name__ == "__main__":
    main()
