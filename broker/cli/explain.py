"""Say why a question was allowed or refused."""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.padding import Padding
from rich.text import Text

from broker.cli.app import HomeOption, JsonOption, app, load, out, show

if TYPE_CHECKING:
    from broker.explain import Explained


@app.command("explain")
def explain_question(
    home: HomeOption,
    query_id: Annotated[str, typer.Argument(help="The question's number; it stands on the answer.")],
    as_json: JsonOption = False,
) -> None:
    """Say why a question was allowed or refused: the law, what was found, what was missing and what cures it."""
    from accord.bundle import BadBundle, open_bundle
    from broker import keys
    from broker.directory import DirectoryFile
    from broker.explain import explain, revision_of
    from broker.store import decisions, open_for_reading

    told = load(home)
    directory = DirectoryFile(told.directory, keys.read_pinned(told.federation_public), time.time_ns).current()
    store = open_for_reading(told.place)
    try:
        with store.reading() as connection:
            records = decisions.of_question(connection, query_id)
            data = decisions.bundle(connection, revision_of(records))
    finally:
        store.close()
    try:
        rules = open_bundle(data, directory.broker.policy_public_keys())
    except BadBundle:
        rules = None
    explained = explain(records, rules)
    if as_json:
        show(asdict(explained))
    else:
        _show_explained(explained)


def _show_explained(one: "Explained") -> None:
    def say(words: str, indent: int = 0) -> None:
        out.print(Padding(Text(words), (0, 0, 0, indent)))

    say(f"{one.agency} asked on {one.asked_at}: {one.question}")
    say(f"Purpose: {one.purpose}. It was {one.end}{f' ({one.cause})' if one.cause else ''}.")
    for target in one.targets:
        out.print()
        word = "[green]allowed[/]" if target.allowed else "[red]refused[/]"
        out.print(f"[bold]{escape(target.title)}[/]: {word}")
        say(f"Law claimed: {target.gateway}", 2)
        if target.source:
            say(f"Its text: {target.source}", 4)
        if target.found:
            say(f"Found: {', '.join(target.found)}", 2)
        if target.agreements:
            say(f"Agreements relied on: {', '.join(target.agreements)}", 2)
        for missing in target.missing:
            say(f"Missing: {missing.reason}", 2)
            say(f"What to do: {missing.cure}", 4)
            if missing.contact:
                say(f"Whom to ask: {missing.contact}", 4)
        say(target.went, 2)
    out.print()
    say(f"Decided by policy revision {one.policy}.")
