"""`accord-node agreement`: record what a family agreed to, find it, withdraw it."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from accord.reasons import Problem
from agency_node.cli.app import HomeOption, JsonOption, TokenFile, app, load, out, read_token, show

if TYPE_CHECKING:
    from agency_node.asking import Held, Person
    from agency_node.capture import Captured, Scope
    from agency_node.settings import NodeSettings

agreements = typer.Typer(help="What families agreed to and withdrew.", no_args_is_help=True)
app.add_typer(agreements, name="agreement")


class BadScope(Problem):
    """The scope of an agreement is not complete."""

    reason = "BAD_AGREEMENT"


@agreements.command("record")
def record(
    home: HomeOption,
    token_file: TokenFile,
    file: Annotated[str, typer.Argument(help="A JSON file with the people, or - for standard input.")],
    question: Annotated[list[str], typer.Option(help="A question agreed to; repeat for more.")],
    responder: Annotated[list[str], typer.Option(help="An agency that may answer; repeat for more.")],
    requester: Annotated[list[str] | None, typer.Option(help="An agency that may ask; this one by default.")] = None,
    purpose: Annotated[list[str] | None, typer.Option(help="A purpose; early_help by default.")] = None,
    on: Annotated[str, typer.Option(help="paper, voice or web.")] = "paper",
    valid_days: Annotated[int, typer.Option(min=1, max=730, help="How long it holds, in days.")] = 180,
    as_json: JsonOption = False,
) -> None:
    """Record an agreement for each person in the file; prints the numbers for the family's receipt.

    Each person may have given_by: self, parent, other_pr_holder or court_order. Left out, a parent agrees for a child
    and an adult for themself; say self for a child who is able to decide.
    """
    from agency_node.capture import Scope
    from agency_node.cli import people

    told = load(home)
    value = people.read(file)
    who, names = people.people(value)
    given = tuple(zip(who, people.givers(value), strict=True))
    scope = Scope(
        questions=tuple(question),
        purposes=tuple(purpose or ["early_help"]),
        requesters=tuple(requester or [told.agency]),
        responders=tuple(responder),
        valid_days=valid_days,
        capture=on,
    )
    captured = asyncio.run(_record(told, read_token(token_file), given, scope))
    if as_json:
        show([_object(one) for one in captured])
        return
    for name, one in zip(names, captured, strict=True):
        until = datetime.fromtimestamp(one.agreement.valid_to_ns / 1e9, UTC).date()
        out.print(f"{name}: agreement {one.agreement.record_id}, until {until}.", highlight=False)
    out.print("Give the family these numbers; with a number they can withdraw at any agency, and no reason is asked.")


async def _record(
    told: "NodeSettings", token: str, given: "tuple[tuple[Person, str], ...]", scope: "Scope"
) -> "tuple[Captured, ...]":
    from agency_node import __main__ as parts
    from agency_node import asking, capture

    async with parts.desk(told, token) as desk:
        known = desk.asker.catalogue
        for question in scope.questions:
            if question not in known.questions:
                raise asking.UnknownQuestion
        unknown = [purpose for purpose in scope.purposes if purpose not in known.purposes]
        if unknown or scope.capture not in {"paper", "voice", "web"}:
            raise BadScope("a purpose or the way of capture is not one of those that there are")
        return await capture.capture(desk.asker, given, scope, desk.caller_token, desk.record, desk.keep)


def _object(one: "Captured") -> dict[str, object]:
    return {
        "record_id": one.agreement.record_id,
        "questions": list(one.agreement.questions),
        "purposes": list(one.agreement.purposes),
        "requesters": list(one.agreement.requesters),
        "responders": list(one.agreement.responders),
        "valid_to": datetime.fromtimestamp(one.agreement.valid_to_ns / 1e9, UTC).isoformat(),
        "ledger": {"record": one.record.decode(), "receipt": one.receipt},
    }


@agreements.command("withdraw")
def withdraw(
    home: HomeOption,
    token_file: TokenFile,
    record_id: Annotated[str, typer.Argument(help="The number on the family's receipt.")],
    withdrawn_by: Annotated[str, typer.Option(help="self, parent, other_pr_holder or court_order.")] = "self",
    as_json: JsonOption = False,
) -> None:
    """Take a withdrawal. It bites at the next question."""
    from agency_node import __main__ as parts
    from agency_node import capture

    async def send() -> str:
        async with parts.desk(load(home), read_token(token_file)) as desk:
            receipted = await capture.withdraw(desk.asker, record_id, withdrawn_by, desk.caller_token, desk.withdraw)
            return receipted.receipt

    receipt = asyncio.run(send())
    if as_json:
        show({"record_id": record_id, "state": "ConsentWithdrawn", "receipt": receipt})
    else:
        out.print(f"Agreement {record_id} is withdrawn, from the next question on.", highlight=False)


@agreements.command("find")
def find(
    home: HomeOption,
    token_file: TokenFile,
    file: Annotated[str, typer.Argument(help="A JSON file with the people, or - for standard input.")],
    as_json: JsonOption = False,
) -> None:
    """Find these people's agreements to which this agency is a party."""
    from agency_node import __main__ as parts
    from agency_node import asking
    from agency_node.cli import people

    who, _ = people.people(people.read(file))

    async def search() -> "list[Held]":
        async with parts.desk(load(home), read_token(token_file)) as desk:
            made = await asking.tokenise(desk.asker, who)
            tags = [tag for one in made for tag in one.tags]
            return list(await desk.asker.agreements(desk.caller_token, tags))

    found = asyncio.run(search())
    if as_json:
        show([{"record_id": one.agreement.record_id, "state": one.state} for one in found])
        return
    for one in found:
        out.print(f"{one.agreement.record_id}: {one.state}", highlight=False)
    if not found:
        out.print("No agreement is recorded for these people.")
