"""The agency's records: mapping check, index, questions, agencies."""

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer
from rich.table import Table

from agency_node.cli.app import HomeOption, JsonOption, app, err, load, out, show

if TYPE_CHECKING:
    from agency_node import index

mapping = typer.Typer(help="How questions are looked up in the agency's records.", no_args_is_help=True)
app.add_typer(mapping, name="mapping")
TOO_FEW = 1_000
"""Below about this many people the figures of guessing and chance read too high to mean much."""


@mapping.command("check")
def mapping_check(home: HomeOption, as_json: JsonOption = False) -> None:
    """Try the mapping on the real database and show counts, never rows."""
    from agency_node import __main__ as parts
    from agency_node import rehearsal

    with contextlib.closing(parts.check_mapping(load(home))) as records:
        found = rehearsal.check(records, datetime.now(UTC).date())
    if as_json:
        show({name: getattr(found, name) for name in found.__slots__})
        return
    table = Table(title="The mapping fits. What it finds, in counts:", title_justify="left")
    table.add_column("What")
    table.add_column("How many")
    for name in found.__slots__:
        value = getattr(found, name)
        for key, count in value.items() if isinstance(value, dict) else [("", value)]:
            table.add_row(" ".join(part for part in (name.replace("_", " "), str(key)) if part), str(count))
    out.print(table)


@app.command("index")
def index_build(home: HomeOption, as_json: JsonOption = False, allow_vanishing: bool = False) -> None:
    """Bring the token index up to date; interrupted, it goes on where it stopped."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from agency_node import __main__ as parts

    told = load(home)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("Indexing people", total=None)

        def progress(now: "index.Progress") -> None:
            bar.update(task, completed=now.read, total=max(now.expected, now.read) or None)

        built = asyncio.run(parts.build_index(told, progress, allow_vanishing))
    worst = max(built.figures.coverage.items(), key=lambda one: one[1], default=("", 0.0))
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
            }
        )
        return
    out.print(f"{built.people} people indexed: {built.changed} new or changed, {built.removed} gone.")
    for field, count in sorted(built.unreadable.items()):
        out.print(f"  {count} records have a {field.replace('_', ' ')} that cannot be read; it was left out.")
    if built.without_keys:
        out.print(f"  {built.without_keys} people cannot be found by anybody: their records say too little.")
    out.print(f"Best guessing within a year's allowance: {worst[1]:.2%} of people, by {worst[0] or 'no family'}.")
    chance = {name: getattr(built.figures.chance, name) for name in built.figures.chance.__slots__}
    out.print("Chance openings: " + ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in chance.items()))
    if built.figures.sample < TOO_FEW:
        out.print(f"With {built.figures.sample} people these two figures read too high; they mean little below 1,000.")


@app.command()
def questions(home: HomeOption, as_json: JsonOption = False) -> None:
    """List the questions that may be asked, with the meaning of yes and of no."""
    from agency_node import __main__ as parts
    from agency_node.rules import catalogue_in_force

    told = load(home)
    with parts.home(told) as at:
        _, catalogue = catalogue_in_force(at.engine, at.directory.current())
    if as_json:
        show(
            [
                {
                    "id": one.id,
                    "version": one.version,
                    "title": one.title,
                    "meaning_of_yes": one.meaning_of_yes,
                    "meaning_of_no": one.meaning_of_no,
                    "purposes": list(one.purposes),
                    "agencies": list(one.owners),
                }
                for one in catalogue.questions.values()
            ]
        )
        return
    table = Table(show_lines=True)
    for heading in ("Question", "What it asks", "Yes means", "No means"):
        table.add_column(heading)
    for one in catalogue.questions.values():
        table.add_row(one.id, one.title, one.meaning_of_yes, one.meaning_of_no)
    out.print(table)


@app.command()
def agencies(home: HomeOption, as_json: JsonOption = False) -> None:
    """List the agencies of the federation."""
    from agency_node import __main__ as parts

    with parts.home(load(home)) as at:
        directory = at.directory.current()
    if as_json:
        show([{"id": one.id, "title": one.title, "kind": one.kind} for one in directory.agencies])
        return
    for one in directory.agencies:
        out.print(f"{one.id}: {one.title}", highlight=False)
