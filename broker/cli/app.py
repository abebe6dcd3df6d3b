"""The command line's frame: options that every command shares, and how failures are said."""

import json
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from typer.exceptions import TyperException

from accord import reasons
from accord.reasons import REASONS, Problem
from broker import events

if TYPE_CHECKING:
    from accord.directory import Directory
    from broker.settings import BrokerSettings

app = typer.Typer(
    name="accord-broker",
    help="The federation's broker: carries questions, never learns who they are about.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
out = Console()
err = Console(stderr=True)

HomeOption = Annotated[
    Path, typer.Option("--home", envvar="ACCORD_HOME", help="The broker's folder, with its keys and settings.")
]
AuthorityOption = Annotated[
    Path, typer.Option("--authority", help="The federation's offline folder: CA and federation key. Kept apart.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program instead of text.")]

_EXITS: Final = {
    reasons.INVALID_ARGUMENT: 2,
    reasons.UNAVAILABLE: 4,
    reasons.DEADLINE_EXCEEDED: 4,
    reasons.DATA_LOSS: 5,
}


class Exit(Exception):
    """Ends a command with an exit code of its own."""

    def __init__(self, code: int) -> None:
        """Take the code."""
        self.code = code
        super().__init__(code)


def load(home: Path) -> "BrokerSettings":
    """The settings in the broker's folder."""
    from broker import settings

    return settings.load(home / "broker.toml")


def directory_of(told: "BrokerSettings") -> "Directory":
    """The directory in force, its signature checked."""
    from broker import keys
    from broker.directory import DirectoryFile

    return DirectoryFile(told.directory, keys.read_pinned(told.federation_public), time.time_ns).current()


def show(value: object) -> None:
    """Print a value as JSON on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n")


def explain(problem: Problem, as_json: bool) -> int:
    """Say what went wrong and what to do about it.

    Returns:
        The exit code.
    """
    reason = REASONS.get(problem.reason, REASONS["INTERNAL"])
    detail = str(problem)
    cure = str(getattr(problem, "cure", "") or reason.cure)
    if as_json:
        show({"error": {"reason": problem.reason, "title": reason.title, "detail": detail, "cure": cure}})
    else:
        err.print(f"[bold red]{reason.title}.[/]", highlight=False)
        if detail and detail not in {reason.title, cure}:
            err.print(detail, markup=False, highlight=False)
        if cure not in detail:
            err.print(f"What you can do: {cure}", markup=False, highlight=False)
        err.print(f"({problem.reason})", style="dim", highlight=False)
    return _EXITS.get(reason.status, 1)


def failing(command: Callable[..., Any]) -> int:
    """Run the command line and turn what is raised into messages and exit codes."""
    # A command talks to a person; a service that it starts sets its own level.
    events.configure("error")
    try:
        command(standalone_mode=False)
    except Exit as end:
        return end.code
    except Problem as problem:
        return explain(problem, "--json" in sys.argv)
    except TyperException as error:
        return _usage(error, "--json" in sys.argv)
    except (typer.Abort, KeyboardInterrupt):
        err.print("Stopped.")
        return 1
    except Exception as error:  # noqa: BLE001  # its text may hold what was typed or read, so only kind and place are said
        return explain(_unforeseen(error), "--json" in sys.argv)
    return 0


class Unforeseen(Problem):
    """A mistake in this program, by its kind and place."""

    reason = "INTERNAL"


def _unforeseen(error: Exception) -> Unforeseen:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return Unforeseen(f"{type(error).__name__}{place}")


def _usage(error: TyperException, as_json: bool) -> int:
    """Say that a command was not written as it should be, or what commands there are."""
    said = error.format_message()
    if as_json:
        cure = "See how it is written with: --help."
        title = "The command is not written as it should be"
        show({"error": {"reason": "USAGE", "title": title, "detail": said, "field": "", "cure": cure}})
    else:
        err.print(said, markup=False, highlight=False, soft_wrap=True)
        if "Usage:" not in said:
            err.print("See how it is written with: --help.")
    return 2
