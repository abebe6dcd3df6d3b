"""`python -m deploy.demo`: found an invented county's federation, start it, and tell the story of one family.

    found -> records -> centre -> indexes -> nodes -> story -> everything stopped and removed

Exit code 0 when every step of the story was observed as it should be, 1 when one was not, 2 for wrong usage, and 128
and the number of the signal when it was told to stop. With the environment variable ACCORD_DEMO_JSON=FILE the outcome
is written to that file as JSON. With --stay everything keeps running afterwards, until Ctrl-C.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.demo import county, federation
from deploy.demo.federation import AGENCIES, ASKER, CommandFailed, Federation
from deploy.demo.processes import BESIDE, DidNotStart, Processes, Stopped
from deploy.demo.story import Step, Teller

OUTCOME: Final = "ACCORD_DEMO_JSON"
PEOPLE: Final = 2_000
"""How many people the county has, unless somebody says otherwise."""
WIDEST: Final = 110
SIGN_IN_AGAIN_S: Final = 1_800.0
"""How often the social worker's sign-in is renewed while everything stays, seconds."""


@dataclass(slots=True)
class Told:
    """What becomes of the demonstration.

    Attributes:
        began: When it began, seconds of a clock that only goes forward.
        phases: Seconds of each phase.
        steps: Steps of the story.
        failure: Why it ended before its time; empty when it did not.
    """

    began: float = field(default_factory=time.monotonic)
    phases: dict[str, float] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    failure: str = ""

    @property
    def ok(self) -> bool:
        """Every step holds, and it came to its end."""
        return not self.failure and bool(self.steps) and all(step.ok for step in self.steps)

    @contextmanager
    def phase(self, name: str, console: Console, words: str) -> Iterator[None]:
        """Time a phase and say how long it took."""
        console.print(f"{words} ...", highlight=False)
        since = time.monotonic()
        try:
            yield
        finally:
            self.phases[name] = round(time.monotonic() - since, 2)
        console.print(f"    {self.phases[name]:.1f} s", style="dim", highlight=False)

    def as_object(self, processes: Processes) -> dict[str, object]:
        """The outcome for a program."""
        return {
            "ok": self.ok,
            "seconds": round(time.monotonic() - self.began, 2),
            "peak_pss_mib": round(processes.peak_pss_mib, 1),
            "commands_at_once": processes.commands_at_once,
            "phases": self.phases,
            "failure": self.failure,
            "steps": [
                {
                    "name": step.name,
                    "ok": step.ok,
                    "detail": step.detail + _times(step.question_ms),
                    "seconds": step.seconds,
                    "question_ms": list(step.question_ms),
                }
                for step in self.steps
            ],
        }


def main(arguments: Sequence[str]) -> int:
    """Run the demonstration.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m deploy.demo", description="Tell the story of one family.")
    parser.add_argument("--stay", action="store_true", help="keep everything running afterwards, until Ctrl-C")
    parser.add_argument("--people", type=_people, default=PEOPLE, help=f"size of the county (default {PEOPLE})")
    chosen = parser.parse_args(arguments)
    console = Console(highlight=False)
    console = Console(highlight=False, width=min(console.width, WIDEST))
    outcome = os.environ.get(OUTCOME)
    told = Told()
    with tempfile.TemporaryDirectory(prefix="accord-demo-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "commands").mkdir()
        processes = Processes(folder / "commands", _environment(os.environ, console))
        code = 0
        try:
            with processes:
                at = federation.design(folder)
                try:
                    _demonstrate(at, chosen.people, processes, console, told)
                except (CommandFailed, DidNotStart) as problem:
                    told.failure = str(problem)
                    console.print(told.failure, style="red", markup=False)
                _finish(told, processes, console, outcome)
                code = 0 if told.ok else 1
                if chosen.stay:
                    _stay(at, processes, console)
        except Stopped as stopped:
            console.print("Stopped; nothing is left running.")
            code = code if chosen.stay and told.steps else 128 + stopped.number
    return code


def _people(text: str) -> int:
    if not text.isdecimal() or not county.SMALLEST <= int(text) <= county.LARGEST:
        raise argparse.ArgumentTypeError(f"say a number between {county.SMALLEST} and {county.LARGEST}")
    return int(text)


def _demonstrate(at: Federation, people: int, processes: Processes, console: Console, told: Told) -> None:
    now = datetime.now(UTC)
    with told.phase("found", console, "Founding the federation: everybody makes keys, the operator lets them in"):
        federation.found(at, processes)
    with told.phase("records", console, f"Inventing a county of {people} people and {len(AGENCIES)} agencies' records"):
        grown = county.generate(people=people, as_of=now.date())
        federation.furnish(at, grown)
    with told.phase("centre", console, "Starting the broker, and the steward that keeps the second key"):
        federation.start_centre(at, processes)
    with told.phase("indexes", console, "Each agency makes an index of its own records, with no name in it"):
        columns = (TextColumn("    {task.description:15}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            tasks = {agency: bar.add_task(agency, total=None) for agency in AGENCIES}
            federation.build_indexes(
                at, processes, grown, lambda agency, done, of: bar.update(tasks[agency], completed=done, total=of)
            )
    with told.phase("nodes", console, "Starting the agencies' nodes; they dial the broker, nobody opens a port"):
        federation.start_nodes(at, processes)
    since = time.monotonic()
    federation.sign_in(at, int(time.time()))
    for step in Teller(at, processes, grown, console, now.date()).tell():
        told.steps.append(step)
    told.phases["story"] = round(time.monotonic() - since, 2)


def _finish(told: Told, processes: Processes, console: Console, outcome: str | None) -> None:
    console.rule(align="left")
    for step in told.steps:
        mark = "[green]ok  [/]" if step.ok else "[bold red]FAIL[/]"
        console.print(f"{mark} {step.name:28}{step.seconds:5.1f} s{_times(step.question_ms)}")
    found = told.as_object(processes)
    phases = ", ".join(f"{name} {seconds:.1f}" for name, seconds in told.phases.items())
    console.print(
        f"{found['seconds']} s in all ({phases}); at most {found['peak_pss_mib']} MiB of memory in use at once."
    )
    if outcome:
        Path(outcome).write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _stay(at: Federation, processes: Processes, console: Console) -> None:
    """Keep everything running, and the sign-in fresh, until told to stop."""
    program, desk = BESIDE / "accord-node", f"--home {at.home(ASKER)} --token-file {at.sign_in}"
    broker = BESIDE / "accord-broker"
    console.print("\nEverything is running. In another terminal, copy and paste:\n")
    for words in (
        f"{program} questions --home {at.home(ASKER)}",
        f"{program} ask {desk} {at.desk / 'family-enquiry.json'}",
        f"{program} agreement find {desk} {at.desk / 'family.json'}",
        f"{broker} ledger search --home {at.home('broker')}",
        f"{broker} ledger verify --running --home {at.home('broker')}",
    ):
        console.print(words, soft_wrap=True, markup=False, style="bold")
    console.print(f"\nThe questions that were typed are in {at.desk}; change them and ask again.", soft_wrap=True)
    console.print("To stop everything and remove the folder: press Ctrl-C here, or run", end=" ")
    console.print(f"kill {os.getpid()}", style="bold")
    renewed = time.monotonic()
    while True:
        processes.pause(0.5)
        if time.monotonic() - renewed > SIGN_IN_AGAIN_S:
            federation.sign_in(at, int(time.time()))
            renewed = time.monotonic()


def _times(question_ms: Sequence[int]) -> str:
    if not question_ms:
        return ""
    return f" ({'question' if len(question_ms) == 1 else 'questions'}: {', '.join(f'{one} ms' for one in question_ms)})"


def _environment(given: Mapping[str, str], console: Console) -> dict[str, str]:
    """What the programs are given: nothing named ACCORD_, which they would take for a setting."""
    kept = {name: value for name, value in given.items() if not name.upper().startswith("ACCORD_")}
    kept["COLUMNS"] = str(console.width)
    if console.is_terminal and not console.no_color:
        kept["FORCE_COLOR"] = "1"
    else:
        kept.pop("FORCE_COLOR", None)
    return kept


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
