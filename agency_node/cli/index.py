"""The token index: bring it up to date, take in what changed, list, retire."""

import asyncio
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, TypeVar

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from accord.reasons import Problem
from agency_node.cli.app import HomeOption, JsonOption, app, err, load, out, show

if TYPE_CHECKING:
    from agency_node import index
    from agency_node.survey import Figures

TOO_FEW: Final = 1_000
"""Below about this many people the figures of guessing and chance read too high to mean much."""
LINE_EVERY_S: Final = 10.0
"""How often progress is said where it is not a terminal, seconds."""
LOOK_BACK_S: Final = 30.0
"""Over how long the pace is measured, seconds: it tells of now, not of the start."""
_DOING: Final[Mapping[str, str]] = {
    "reading": "Indexing people",
    "removing": "Removing people who have gone",
    "measuring": "Measuring what guessing and chance could open",
}
_T = TypeVar("_T")


class Interrupted(Problem):
    """Somebody stopped the job."""

    reason: ClassVar[str] = "INDEX_INTERRUPTED"


@app.command("index")
def index_build(
    home: HomeOption,
    as_json: JsonOption = False,
    allow_vanishing: Annotated[
        bool, typer.Option("--allow-vanishing", help="Go on though most people are no longer in the records.")
    ] = False,
    changed: Annotated[
        bool, typer.Option("--changed", help="Only take in records that say they changed; run it between full passes.")
    ] = False,
    workers: Annotated[
        int,
        typer.Option(
            min=0, max=16, help="Processes that compute; 1 is none beside this one, 0 chooses by size and cores."
        ),
    ] = 0,
    status: Annotated[bool, typer.Option("--status", help="List the indexes there are, and change nothing.")] = False,
    retire: Annotated[
        str, typer.Option(metavar="EPOCH", help="Remove the index of linkage keys that are out of use.")
    ] = "",
) -> None:
    """Bring the token index up to date; interrupted, it goes on where it stopped."""
    from agency_node import __main__ as parts

    told = load(home)
    if status + changed + bool(retire) + allow_vanishing > 1:
        raise typer.BadParameter("--status, --changed, --retire and --allow-vanishing do not go together")
    if status:
        _list(parts.index_status(told), as_json)
    elif retire:
        removed = parts.retire_index(told, retire)
        if as_json:
            show({"epoch": retire, "removed": removed})
        else:
            out.print(f"{removed or 'No'} index of epoch {retire} removed.", highlight=False)
    elif changed:
        refreshed = _working(lambda tell: parts.refresh_index(told, tell, workers))
        if as_json:
            show({"read": refreshed.read, "changed": refreshed.changed})
        else:
            out.print(f"{refreshed.read} records said that they changed; {refreshed.changed} people indexed anew.")
            out.print("How fresh the index is does not change: only a full pass finds who has gone.")
    else:
        _report(_working(lambda tell: parts.build_index(told, tell, allow_vanishing, workers)), as_json)


# -- Progress ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Pace:
    """How fast it goes now.

    Attributes:
        total: How many people there are, as far as is known.
    """

    total: int = 0
    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    def heard(self, done: int, now_s: float) -> None:
        """Take note of how many people are done at a time, seconds on any clock that only goes forward."""
        self._seen.append((now_s, done))
        while len(self._seen) > 2 and self._seen[1][0] <= now_s - LOOK_BACK_S:
            self._seen.popleft()

    def per_second(self) -> float:
        """People a second over the last part; 0 while that is not known."""
        if len(self._seen) < 2:
            return 0.0
        (since, before), (until, now) = self._seen[0], self._seen[-1]
        return (now - before) / (until - since) if until > since else 0.0

    def left(self) -> str:
        """How long it will take yet, in words; "" while that is not known."""
        rate, rest = self.per_second(), self.total - (self._seen[-1][1] if self._seen else 0)
        if rate <= 0 or rest <= 0:
            return ""
        seconds = rest / rate
        if seconds < 90:
            return f"about {max(seconds, 1):.0f} s left"
        return f"about {seconds / 60:.0f} min left" if seconds < 5_400 else f"about {seconds / 3_600:.1f} h left"


def said(now: "index.Progress", pace: Pace) -> str:
    """What is being done, in one line."""
    of = f" of {pace.total}" if pace.total else ""
    parts = [f"{now.done}{of} people", f"{now.changed} new or changed", f"{now.done - now.changed} unchanged"]
    if now.stage == "reading" and pace.per_second() > 0:
        parts += [f"{pace.per_second():.0f} people/s", pace.left()]
    return f"{_DOING[now.stage]}: " + ", ".join(part for part in parts if part)


def _working(job: "Callable[[Callable[[index.Progress], None]], Awaitable[_T]]") -> _T:
    """Run a job, showing how far it is: a bar on a terminal, a line now and then elsewhere."""
    pace, last = Pace(), list["index.Progress"]()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[more]}"))
    spoken = time.monotonic()
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(_DOING["reading"], total=None, more="")

        def tell(now: "index.Progress") -> None:
            nonlocal spoken
            at = time.monotonic()
            last[:] = [now]
            pace.total = max(now.expected, now.done)
            pace.heard(now.done, at)
            doing, _, more = said(now, pace).partition(": ")
            rest = more.split(", ", 1)[-1]
            bar.update(task, description=doing, completed=now.done, total=pace.total or None, more=rest)
            if not err.is_terminal and at - spoken >= LINE_EVERY_S:
                spoken = at
                print(said(now, pace), file=sys.stderr, flush=True)  # noqa: T201  a plain line, whatever reads it

        async def run() -> _T:
            return await job(tell)

        try:
            return asyncio.run(run())
        except KeyboardInterrupt:
            done = f"{last[0].done} people are done and stay so" if last else "nothing was changed"
            raise Interrupted(f"stopped on request; {done}") from None


# -- What came of it --------------------------------------------------------------------------------------------------


def _report(built: "index.Built", as_json: bool) -> None:
    figures = verdicts(built.figures)
    if as_json:
        show(
            {
                "people": built.people,
                "changed": built.changed,
                "removed": built.removed,
                "without_keys": built.without_keys,
                "unreadable": dict(built.unreadable),
                "coverage": dict(built.figures.coverage),
                "sample": built.figures.sample,
                "chance": {name: getattr(built.figures.chance, name) for name in built.figures.chance.__slots__},
                "verdicts": figures,
            }
        )
        return
    out.print(f"{built.people} people indexed: {built.changed} new or changed, {built.removed} gone.")
    for name, count in sorted(built.unreadable.items()):
        out.print(f"  {count} records have a {name.replace('_', ' ')} that cannot be read; it was left out.")
    if built.without_keys:
        out.print(f"  {built.without_keys} people cannot be found by anybody: their records say too little.")
    for line in figures.values():
        out.print(line, highlight=False)


def verdicts(figures: "Figures") -> dict[str, str]:
    """What guessing and chance could open, against the limits, in plain words."""
    from agency_node.exposure import COVERAGE_LIMIT, READS_HIGH, STRANGERS_LIMIT

    family, worst = max(figures.coverage.items(), key=lambda one: one[1], default=("no family", 0.0))
    chance = figures.chance
    return {
        "guessing": f"Guessing with a year's allowance would reach {worst:.2%} of people at best, by {family}:"
        f" {_verdict(worst, COVERAGE_LIMIT, figures.sample, READS_HIGH)}",
        "chance": f"Of people who are not here, {chance.strangers:.2%} would share a key with a stranger who is:"
        f" {_verdict(chance.strangers, STRANGERS_LIMIT, figures.sample)}",
        "known": f"Relatives and neighbours {chance.near:.2%}; the same person recorded twice {chance.again:.2%}.",
    }


def _verdict(share: float, limit: float, sample: int, reads_high: int = 1) -> str:
    if sample < TOO_FEW:
        return f"too few people to tell; below {TOO_FEW:,} this reads too high. The limit is {limit:.1%}."
    if share <= limit:
        return f"within the limit of {limit:.1%}."
    if share <= limit * reads_high:
        return f"over the limit of {limit:.1%}, by less than such an estimate may read too high. Nothing to do."
    return f"over the limit of {limit:.1%}. Tell the federation's operator before you go on."


# -- The list ---------------------------------------------------------------------------------------------------------


def _list(found: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        show(found)
        return
    table = Table(title="Indexes", title_justify="left")
    for heading in ("Linkage keys", "State", "People", "Keys", "Records read", "Good until"):
        table.add_column(heading)
    for one in found["indexes"]:
        table.add_row(
            one["epoch"],
            one["state"],
            str(one["people"]),
            str(one["tokens"]),
            _day(one["built_at"]),
            _day(one["fresh_until"]),
        )
    out.print(table)
    out.print(
        f"State: {found['bytes'] / 1e6:,.1f} MB. " + ("A job is at work." if found["busy"] else "No job is at work.")
    )


def _day(written: str) -> str:
    return datetime.fromisoformat(written).astimezone(UTC).strftime("%d %B %Y %H:%M UTC") if written else "never"
