"""How questions are looked up in the agency's records: mapping check, mapping preview."""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import typer
from rich.bar import Bar
from rich.markup import escape
from rich.table import Table

from accord.reasons import Problem
from agency_node.cli.app import HomeOption, JsonOption, app, err, load, out, show

if TYPE_CHECKING:
    from agency_node.preview import Preview

mapping = typer.Typer(help="How questions are looked up in the agency's records.", no_args_is_help=True)
app.add_typer(mapping, name="mapping")
WIDTH: Final = 24
"""Width of a bar, in characters."""


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


@mapping.command("preview")
def mapping_preview(home: HomeOption, as_json: JsonOption = False) -> None:
    """Show what the mapping makes of the records, in shapes and counts, and what may be wrong with it."""
    from agency_node import __main__ as parts
    from agency_node.preview import preview
    from agency_node.rules import catalogue_in_force

    told = load(home)
    try:
        with parts.home(told) as at:
            questions = tuple(catalogue_in_force(at.engine, at.directory.current())[1].questions.values())
    except Problem:
        questions = ()
        err.print("No rules have come from the federation yet, so no question is tried. Let the node attach once.")
    with contextlib.closing(parts.check_mapping(told)) as records:
        found = preview(records, questions, time.time_ns())
    if as_json:
        show(_as_json(found))
        return
    _print(found)


def _as_json(found: "Preview") -> dict[str, object]:
    from agency_node.preview import shown

    return {
        **asdict(found),
        "questions": [
            {"id": one.id, "outcomes": {name: shown(count) for name, count in one.outcomes.items()}}
            for one in found.questions
        ],
    }


def _print(found: "Preview") -> None:
    from agency_node.preview import shown

    fields = Table(title=f"{found.people} people, and what stands in their fields:", title_justify="left")
    for heading in ("Field", "Filled", "", "Not readable", "Different", "Shapes"):
        fields.add_column(heading)
    for one in found.fields:
        shapes = [f"{escape(form)} × {count}" for form, count in one.shapes]
        if one.other:
            shapes.append(f"others × {shown(one.other)}")
        fields.add_row(
            one.name.replace("_", " "),
            shown(one.filled),
            Bar(max(found.people, 1), 0, one.filled, width=WIDTH),
            shown(one.filled - one.readable),
            shown(one.distinct),
            "\n".join(shapes),
        )
    out.print(fields)
    if found.questions:
        out.print(_questions({one.id: one.outcomes for one in found.questions}, found.sample))
    for doubt in found.doubts:
        out.print(f"[bold]{escape(doubt.about)}[/]: {escape(doubt.told)}", highlight=False)
        out.print(f"  What you can do: {doubt.cure}", markup=False, highlight=False)
    if not found.doubts:
        out.print("Nothing looks wrong.")


def _questions(outcomes: Mapping[str, Mapping[str, int]], sample: int) -> Table:
    from agency_node.preview import FEW, shown

    title = f"What {sample} of them would get for an answer today:"
    table = Table(title=title, title_justify="left", show_lines=True)
    for heading in ("Question", "Answer", "People", ""):
        table.add_column(heading)
    for question, counts in outcomes.items():
        rows = sorted(counts.items(), key=lambda one: (not one[0].startswith("yes"), one[0]))
        bars = Table.grid()
        for _, count in rows:
            # A bar must not tell apart what its number hides.
            bars.add_row(Bar(max(sample, 1), 0, 0 if count < FEW else count, width=WIDTH))
        table.add_row(question, "\n".join(name for name, _ in rows), "\n".join(shown(n) for _, n in rows), bars)
    return table
