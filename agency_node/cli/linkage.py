"""How well people are found: `accord-node linkage evaluate`, and weights of a node's own: `linkage refit`."""

import random
import tempfile
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table

from agency_node.cli.app import HomeOption, JsonOption, app, err, load, out, show

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agency_node.__main__ import Relearnt
    from agency_node.evaluate import Doing, Figures, Quality, Report
    from agency_node.scoring import Tier

    Shares = Mapping[str, Sequence[float]]

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
    prior: Annotated[
        Path | None, typer.Option(help="Other weights, held to those that ship as in force.", exists=True)
    ] = None,
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


# -- Weights of the node's own ----------------------------------------------------------------------------------------

SHOWN_FROM: Final = 0.005
"""Least change of a share that is shown; smaller ones move nobody."""
TIERS: Final = {"CONFIRMED": "confirmed", "PROBABLE": "probable", "POSSIBLE": "cannot say", "NONE": "not this person"}
_NAME: Final = ("another", "somewhat alike", "sounds alike", "spelt nearly alike")
LEVELS: Final = {
    "first": (*_NAME, "a short form, or part of it", "the same"),
    "last": (*_NAME, "part of it, or an earlier name", "the same"),
    "dob": (
        *("a generation apart", "years apart", "same year, or same day of the year", "two of day, month and year"),
        *("two digits differ", "one digit differs, or day and month swapped", "the same"),
    ),
    "postcode": ("another", "same area", "one character differs, or an earlier one", "the same"),
    "address": (
        *("another", "same house number only", "not in use", "same street", "same house, or nearly", "the same"),
    ),
    "sex": ("another", "the same"),
    "middle": ("another initial", "the same initial"),
    "nhs": ("another", "the same"),
}
"""Field -> what each of its levels of agreement is called, from the lowest."""
_FIELDS: Final = {
    **{"first": "first name", "last": "last name", "dob": "date of birth", "middle": "middle name"},
    "nhs": "NHS number",
}

_REFIT_HELP = """Learn how much each agreement counts from what was opened here, and say what that would change.

It needs 500 pairs of a description and a record that shared a key. Nothing changes: a draft is written beside
node.toml. Look at what it says would change; where you have labelled files, measure it with

    accord-node linkage evaluate LEFT.csv RIGHT.csv --mapping columns.toml --truth COLUMN --prior DRAFT

and put it in force with --use. Nobody is ever confirmed whom the weights that ship do not confirm, and nobody told to
be unknown of whom they do not say so.
"""


@linkage.command("refit", help=_REFIT_HELP.replace("\n\n", "\n\n\b\n"))
def refit(
    home: HomeOption,
    use: Annotated[bool, typer.Option("--use", help="Put the draft in force, as it lies there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Learn weights of linkage from what was opened here."""
    from agency_node import __main__ as parts
    from agency_node import weights

    told = load(home)
    if not use:
        found = parts.refit_weights(told, time.time_ns())
        if as_json:
            show(refit_as_object(found))
        else:
            _print_refit(found)
        return
    used = weights.use_draft(told.link_prior)
    if as_json:
        show({"in_force_from_next_start": {"version": used.prior.version, "digest": used.digest}})
        return
    out.print(f"In force from the next start of accord-node serve: {used.prior.version}.", highlight=False)
    out.print(f"To go back to the weights that ship, remove {told.link_prior} and start again.", highlight=False)


def refit_as_object(found: "Relearnt") -> dict[str, Any]:
    """What was learnt, as JSON."""
    from agency_node.refit import NEEDED

    learnt = found.refit
    tables = {"shipped": learnt.shipped, "in_force": learnt.before, "learnt": learnt.after}
    return {
        "pairs": learnt.pairs,
        "needed": NEEDED,
        "months": list(found.months),
        "taken_for_one_person": learnt.true,
        "in_force": {
            "version": found.used.prior.version,
            "digest": found.used.digest,
            "shipped": found.used.shipped is None,
        },
        "draft": None
        if learnt.after is None
        else {"path": str(found.draft), "version": learnt.after.version, "digest": found.digest},
        "same": {
            field: {name: list(prior.same[field]) for name, prior in tables.items() if prior is not None}
            for field in LEVELS
        },
        "moves": [
            {"from": now.value, "to": then.value, "pairs": pairs} for (now, then), pairs in sorted_moves(learnt.moves)
        ],
    }


def sorted_moves(moves: "Mapping[tuple[Tier, Tier], int]") -> "list[tuple[tuple[Tier, Tier], int]]":
    """Moves, those that begin at the surest tier first."""
    order = list(TIERS)
    return sorted(moves.items(), key=lambda one: [order.index(tier.value) for tier in one[0]])


def _print_refit(found: "Relearnt") -> None:
    from agency_node.refit import NEEDED

    learnt = found.refit
    since = f", from {found.months[0]} to {found.months[-1]}" if found.months else ""
    out.print(f"{learnt.pairs} pairs of a description and a record were compared here{since}.", highlight=False)
    out.print(f"In force: {learnt.before.version}.", highlight=False)
    if learnt.after is None:
        out.print(
            f"Weights are learnt from {NEEDED} pairs or more; {NEEDED - learnt.pairs} are wanting. Nothing to do."
        )
        return
    out.print(f"{learnt.true:.0f} of the pairs are taken for one person each.", highlight=False)
    _print_shares(learnt.shipped.same, learnt.before.same, learnt.after.same)
    _print_moves(learnt.moves)
    out.print(f"Draft: {found.draft}\nSHA-256 {found.digest}", highlight=False, soft_wrap=True)
    out.print("It counts for nothing until you put it in force: accord-node linkage refit --use")


def _print_shares(shipped: "Shares", before: "Shares", after: "Shares") -> None:
    table = Table(title="How often one person's two descriptions agree, where that would change", title_justify="left")
    for heading in ("", "Agreement", "As shipped", "In force", "Learnt"):
        table.add_column(heading, justify="left" if heading in {"", "Agreement"} else "right")
    for field, names in LEVELS.items():
        rows = zip(names, shipped[field], before[field], after[field], strict=True)
        changed = [row for row in rows if abs(row[2] - row[3]) >= SHOWN_FROM]
        for name, *shares in changed:
            table.add_row(_FIELDS.get(field, field), name, *(f"{share:.1%}" for share in shares))
    out.print(table if table.row_count else "No share would change by half a point or more.")


def _print_moves(moves: "Mapping[tuple[Tier, Tier], int]") -> None:
    pairs = sum(moves.values())
    stay = sum(count for (now, then), count in moves.items() if now is then)
    out.print(
        f"{stay} of these {pairs} pairs would be told as now (as far as counts show: names, birth dates and postcodes "
        "are taken to be as common as they usually are here).",
        highlight=False,
    )
    for (now, then), count in sorted_moves(moves):
        if now is not then:
            out.print(f"  {count}: {TIERS[now.value]} now, {TIERS[then.value]} then", highlight=False)
