"""How well people are found: `accord-node linkage evaluate`."""

import random
import tempfile
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from agency_node.cli.app import JsonOption, app, err, out, show

if TYPE_CHECKING:
    from agency_node.evaluate import Doing, Figures, Quality, Report

linkage = typer.Typer(help="How well people are found.", no_args_is_help=True)
app.add_typer(linkage, name="linkage")

_EVALUATE_HELP = """Measure how well people are found, on two labelled files of your own.

LEFT holds the records of an agency, RIGHT the people who are asked about: CSV files in UTF-8 with a heading. Both have
a column that says who is who (--truth): rows of one person, and of nobody else, have the same entry there.

The mapping says in TOML which column holds what:

    first_name = "given_name"
    last_name = "surname"
    date_of_birth = "dob"
    date_order = "month first"                       (left out: the day comes first, or the year)
    address = ["street_number", "street", "flat"]    (put together with commas)
    postcode = "postcode"

    [right]                                          (where the second file differs)
    first_name = "forename"

Fields: first_name, last_name, middle_names, date_of_birth, sex, address, postcode, nhs_number, former_last_names,
former_postcodes. Everything runs on this machine, in a temporary folder that is removed; no key server is asked.
"""


@linkage.command("evaluate", help=_EVALUATE_HELP.replace("\n\n", "\n\n\b\n"))
def evaluate(
    left: Annotated[Path, typer.Argument(help="Records that an agency holds.", exists=True, dir_okay=False)],
    right: Annotated[Path, typer.Argument(help="People who are asked about.", exists=True, dir_okay=False)],
    mapping: Annotated[Path, typer.Option(help="Which column holds what, in TOML.", exists=True, dir_okay=False)],
    truth: Annotated[str, typer.Option(help="The column that says who is who.")],
    household: Annotated[str, typer.Option(help="The column that says who lives together.")] = "",
    sample: Annotated[int, typer.Option(min=0, help="Ask about so many people, chosen at random; 0 for all.")] = 0,
    prior: Annotated[Path | None, typer.Option(help="A prior other than the one that ships.", exists=True)] = None,
    on: Annotated[str, typer.Option(help="The day of the questions, for ages: 2026-11-22; today when left out.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Measure how well people are found."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from agency_node import evaluate as parts
    from agency_node.labelled import read_columns, read_labelled
    from agency_node.scoring import parse_prior, shipped_prior

    try:
        day = date.fromisoformat(on) if on else datetime.now(UTC).date()
    except ValueError:
        raise typer.BadParameter("write the day as 2026-11-22", param_hint="--on") from None
    columns = read_columns(mapping)
    held, people = (read_labelled(path, of, truth, household) for path, of in zip((left, right), columns, strict=True))
    if 0 < sample < len(people):
        # The same people each time, so that two measurements can be compared.
        people = tuple(random.Random(sample).sample(people, sample))  # noqa: S311 - a sample, no secret
    shipped = shipped_prior()
    weights = parse_prior(prior.read_text(encoding="utf-8")) if prior else shipped
    bars = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        tempfile.TemporaryDirectory(prefix="accord-linkage-") as folder,
        Progress(*bars, console=err, transient=True, disable=not err.is_terminal) as bar,
    ):
        tasks = {
            what: bar.add_task(what.capitalize(), total=of)
            for what, of in {"indexing": len(held), "asking": len(people)}.items()
        }

        def progress(now: "Doing") -> None:
            bar.update(tasks[now.what], completed=now.done, total=now.of)

        report = parts.evaluate(
            held,
            people,
            weights,
            base=shipped if prior else None,
            folder=Path(folder),
            on=day,
            at_ns=time.time_ns(),
            progress=progress,
        )
    if as_json:
        show(as_object(report))
    else:
        _print(report)


def as_object(report: "Report") -> dict[str, Any]:
    """The report as JSON."""
    return {
        "held": report.held,
        "known": report.known,
        "unknown": report.unknown,
        "unreadable": dict(report.unreadable),
        "opened_among_unknown": report.opened,
        "opened_by_relatives_only": report.opened_by_relatives,
        "shipped": _figures(report.shipped),
        "refitted_does_not_count": None if report.refitted is None else _figures(report.refitted),
        "tokens_per_person": report.tokens_per_person,
        "index_s_per_thousand": report.index_s_per_thousand,
        "ask_s_per_thousand": report.ask_s_per_thousand,
        "blind_s_per_person": report.blind_s_per_person,
    }


def _figures(of: "Figures") -> dict[str, Any]:
    return {
        "prior": of.prior,
        "yes": _quality(of.yes),
        "confirmed": _quality(of.confirmed),
        "probable": _quality(of.probable),
        "falsely_known": of.falsely_known,
        "cannot_say": {
            cause: {"known": known, "unknown": unknown} for cause, (known, unknown) in of.cannot_say.items()
        },
        "missed": dict(of.missed),
        "families": None if of.families is None else _quality(of.families),
        "families_falsely_known": of.families_falsely_known,
    }


def _quality(of: "Quality") -> dict[str, Any]:
    return {
        "right": of.right,
        "wrong": of.wrong,
        "known": of.known,
        "precision": of.precision,
        "recall": of.recall,
        "f1": of.f1,
    }


def _print(report: "Report") -> None:
    shipped = report.shipped
    out.print(
        f"{report.held} records held; asked about {report.known} known and {report.unknown} unknown people.",
        highlight=False,
    )
    for name, count in sorted(report.unreadable.items()):
        out.print(f"  {count} rows have a {name.replace('_', ' ')} that cannot be read; it was left out.")
    table = Table(title=f"Found, with the prior {shipped.prior}", title_justify="left")
    for heading in ("", "Right", "Wrong", "Precision", "Recall", "F1"):
        table.add_column(heading, justify="left" if not heading else "right")
    rows = [("yes: confirmed or probable", shipped.yes), ("confirmed", shipped.confirmed)]
    rows += [("probable", shipped.probable)]
    if shipped.families is not None:
        rows.append(("families, by anybody in them", shipped.families))
    if report.refitted is not None:
        rows.append(("m learnt from these files: does not count", report.refitted.yes))
    for name, one in rows:
        table.add_row(
            name, str(one.right), str(one.wrong), f"{one.precision:.4f}", f"{one.recall:.4f}", f"{one.f1:.4f}"
        )
    out.print(table)
    out.print(f"Unknown people said to be known: {_of(shipped.falsely_known, report.unknown)}.", highlight=False)
    if shipped.families is not None:
        out.print(f"Families said to be known though nobody in them is: {shipped.families_falsely_known}.")
    out.print(
        f"Unknown people whose envelope opened anywhere: {_of(report.opened, report.unknown)}, "
        f"{report.opened_by_relatives} of them with records of their own household only.",
        highlight=False,
    )
    known, unknown = (sum(counts[side] for counts in shipped.cannot_say.values()) for side in (0, 1))
    out.print(
        f"Cannot say: {_of(known, report.known)} of known, {_of(unknown, report.unknown)} of unknown people.",
        highlight=False,
    )
    for cause, (of_known, of_unknown) in shipped.cannot_say.items():
        out.print(f"  {cause.replace('_', ' ')}: {of_known} known, {of_unknown} unknown", highlight=False)
    for cause, count in sorted(shipped.missed.items()):
        out.print(f"  not found, {cause.replace('_', ' ')}: {count} known", highlight=False)
    out.print(
        f"Seconds for a thousand people: indexing {report.index_s_per_thousand:.1f}, asking "
        f"{report.ask_s_per_thousand:.1f}; {report.tokens_per_person:.1f} tokens a person, made blindly in "
        f"{report.blind_s_per_person * 1000:.0f} ms.",
        highlight=False,
    )


def _of(count: int, all_of_them: int) -> str:
    return f"{count} of {all_of_them} ({count / all_of_them:.2%})" if all_of_them else "none asked"
