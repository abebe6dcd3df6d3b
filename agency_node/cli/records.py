"""What the federation agreed on: questions, agencies."""

from rich.table import Table

from agency_node.cli.app import HomeOption, JsonOption, app, load, out, show


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
