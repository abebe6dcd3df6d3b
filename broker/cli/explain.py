"""Say why a question was allowed or refused."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.padding import Padding
from rich.text import Text

from broker.cli.app import HomeOption, JsonOption, app, directory_of, load, out, show

if TYPE_CHECKING:
    from broker.explain import Explained


@app.command("explain")
def explain_question(
    home: HomeOption,
    query_id: Annotated[str, typer.Argument(help="The question's number; it stands on the answer.")],
    as_json: JsonOption = False,
) -> None:
    """Say why a question was allowed or refused: the law, what was found, what was missing and what cures it."""
    from broker.explain import read
    from broker.store import open_for_reading

    told = load(home)
    trusted = directory_of(told).broker.policy_public_keys()
    store = open_for_reading(told.place)
    try:
        with store.reading() as connection:
            explained = read(connection, query_id, trusted)
    finally:
        store.close()
    if as_json:
        show(asdict(explained))
    else:
        _show_explained(explained)


def _show_explained(one: "Explained") -> None:
    def say(words: str, indent: int = 0) -> None:
        out.print(Padding(Text(words), (0, 0, 0, indent)))

    say(f"{one.agency} asked on {one.asked_at}: {one.question}")
    say(f"Purpose: {one.purpose}. It was {one.end}{f' ({one.cause})' if one.cause else ''}.")
    for agency in one.agencies:
        out.print()
        word = "[green]allowed[/]" if agency.allowed else "[red]refused[/]"
        out.print(f"[bold]{escape(agency.title)}[/]: {word}")
        say(f"Law claimed: {agency.gateway}", 2)
        if agency.source:
            say(f"Its text: {agency.source}", 4)
        if agency.found:
            say(f"Found: {', '.join(agency.found)}", 2)
        if agency.agreements:
            say(f"Agreements relied on: {', '.join(agency.agreements)}", 2)
        for missing in agency.missing:
            say(f"Missing: {missing.reason}", 2)
            say(f"What to do: {missing.cure}", 4)
            if missing.contact:
                say(f"Whom to ask: {missing.contact}", 4)
        say(agency.went, 2)
    out.print()
    say(f"Decided by policy revision {one.policy}.")
