"""`accord-node explain`: why a question was allowed or refused."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.padding import Padding
from rich.text import Text

from agency_node.cli.app import HomeOption, JsonOption, TokenFile, app, load, out, read_token, show

if TYPE_CHECKING:
    from accord.v1 import broker_pb2


@app.command("explain")
def explain(
    home: HomeOption,
    token_file: TokenFile,
    query_id: Annotated[str, typer.Argument(help="The question's number; it stands on the answer.")],
    as_json: JsonOption = False,
) -> None:
    """Say why a question was allowed or refused: the law, what was found, what was missing and what cures it.

    For whoever asked it, and for their manager, data protection officer or auditor.
    """
    from agency_node import __main__ as parts

    async def read() -> "broker_pb2.ExplainQuestionResponse":
        async with parts.desk(load(home), read_token(token_file)) as desk:
            return await desk.explain(query_id)

    explained = asyncio.run(read())
    if as_json:
        from google.protobuf.json_format import MessageToDict

        words = MessageToDict(explained, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
        show(words)
    else:
        _show(explained)


def _show(one: "broker_pb2.ExplainQuestionResponse") -> None:
    def say(words: str, indent: int = 0) -> None:
        out.print(Padding(Text(words), (0, 0, 0, indent)))

    say(f"{one.agency} asked on {one.asked_at}: {one.question}")
    say(f"Purpose: {one.purpose}. It was {one.end}{f' ({one.cause})' if one.cause else ''}.")
    for row in one.agencies:
        out.print()
        out.print(f"[bold]{escape(row.title)}[/]: {'[green]allowed[/]' if row.allowed else '[red]refused[/]'}")
        say(f"Law claimed: {row.gateway}", 2)
        if row.source:
            say(f"Its text: {row.source}", 4)
        if row.found:
            say(f"Found: {', '.join(row.found)}", 2)
        if row.agreements:
            say(f"Agreements relied on: {', '.join(row.agreements)}", 2)
        for lack in row.missing:
            say(f"Missing: {lack.reason}", 2)
            say(f"What to do: {lack.cure}", 4)
            if lack.contact:
                say(f"Whom to ask: {lack.contact}", 4)
        say(row.went, 2)
    out.print()
    say(f"Decided by policy revision {one.policy}.")
