"""The agency's records: mapping check, questions, agencies."""

import contextlib
from datetime import UTC, datetime

import typer
from rich.table import Table

from agency_node.cli.app import HomeOption, JsonOption, app, load, out, show

mapping = typer.Typer(help="How questions are looked up in the agency's records.", no_args_is_help=True)
app.add_typer(mapping, name="mapping")


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
