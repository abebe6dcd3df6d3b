"""`accord-node ask`: one question about one or several people, from options, a file or standard input."""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agency_node.cli.app import Exit, HomeOption, JsonOption, TokenFile, app, err, load, out, read_token, show

if TYPE_CHECKING:
    from agency_node.asking import Inquiry, Outcome
    from agency_node.settings import NodeSettings


REVIEWED = (
    "This was an emergency question. It is marked as one, the agencies asked can see that, and somebody outside your"
    " line looks at it by the end of the next working day."
)


@app.command()
def ask(
    home: HomeOption,
    token_file: TokenFile,
    file: Annotated[
        str, typer.Argument(help="A JSON file with the question, or - for standard input; or use the options.")
    ] = "",
    question: Annotated[str, typer.Option(help="Which question; see: accord-node questions.")] = "",
    purpose: Annotated[str, typer.Option(help="Why, for example early_help.")] = "",
    case: Annotated[str, typer.Option(help="Your case reference; only a keyed token of it leaves the agency.")] = "",
    first_name: Annotated[str, typer.Option(help="First name.")] = "",
    last_name: Annotated[str, typer.Option(help="Last name.")] = "",
    middle_names: Annotated[str, typer.Option(help="Middle names.")] = "",
    date_of_birth: Annotated[str, typer.Option(help="For example 2013-03-09 or 9/3/2013.")] = "",
    sex: Annotated[str, typer.Option(help="Female or male.")] = "",
    address: Annotated[str, typer.Option(help="House and street.")] = "",
    postcode: Annotated[str, typer.Option(help="Postcode.")] = "",
    nhs_number: Annotated[str, typer.Option(help="NHS number, where known; never needed.")] = "",
    former_last_name: Annotated[list[str] | None, typer.Option(help="An earlier surname; repeat for more.")] = None,
    role: Annotated[str, typer.Option(help="child, parent or other_adult.")] = "child",
    protected: Annotated[bool, typer.Option(help="The address must not be sent: refuge, shielded.")] = False,
    agency: Annotated[list[str] | None, typer.Option(help="Ask only this agency; repeat for more.")] = None,
    need_tier: Annotated[int, typer.Option(help="Level of need, 1 to 4.")] = 2,
    significant_harm: Annotated[bool, typer.Option(help="Reasonable cause to suspect significant harm.")] = False,
    public_task: Annotated[
        bool, typer.Option(help="This is needed for a task of a public authority; a charity may answer only that.")
    ] = False,
    emergency: Annotated[
        str,
        typer.Option(help="With --purpose emergency: risk_to_life, serious_harm_now or missing_child_high_risk."),
    ] = "",
    supervisor: Annotated[str, typer.Option(help="In an emergency: sign-in name of the supervisor you told.")] = "",
    save: Annotated[
        Path | None, typer.Option(help="Also keep the answer, with its proof, in this new file, as JSON.")
    ] = None,
    plain: Annotated[bool, typer.Option(help="Words in place of a picture, as a screen reader wants them.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Ask the agencies one question.

    accord-node ask --home . --token-file me.jwt --question agency.contact --purpose early_help --case CF-1042
    --first-name Jamie --last-name Thorley --date-of-birth 9/3/2013 --postcode "MD4 7QT"
    """
    from agency_node.cli import people
    from agency_node.cli.show import as_object, as_screen, exit_code

    if file:
        value: dict[str, Any] = dict(people.read(file))
    else:
        row: dict[str, Any] = {
            "first_name": first_name,
            "last_name": last_name,
            "middle_names": middle_names,
            "date_of_birth": date_of_birth,
            "sex": sex,
            "address": address,
            "postcode": postcode,
            "nhs_number": nhs_number,
            "former_last_names": former_last_name or [],
            "role": role,
            "protected": protected,
        }
        value = {
            "question": question,
            "purpose": purpose,
            "case": case,
            "people": [row],
            "agencies": agency or [],
            "need_tier": need_tier,
            "significant_harm": significant_harm,
            "public_task": public_task,
            "emergency": emergency,
            "supervisor": supervisor,
        }
    inquiry, names = people.inquiry(value)
    told, token = load(home), read_token(token_file)
    with _keeping(save) as keep:
        outcome, elapsed_ms = asyncio.run(_ask(told, token, inquiry))
        found = as_object(outcome) | {"elapsed_ms": elapsed_ms}
        keep(found)
    if as_json:
        show(found)
    else:
        out.print(as_screen(outcome, names, plain=plain or out.no_color or not out.is_terminal))
        if inquiry.assertions.break_glass:
            out.print(REVIEWED)
    raise Exit(exit_code(outcome))


@contextlib.contextmanager
def _keeping(path: Path | None) -> Iterator[Callable[[object], None]]:
    """Make the file before anything is asked: an answer that could not be kept would have to be asked for twice."""
    if path is None:
        yield lambda _: None
        return
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        from agency_node.cli import people

        raise people.BadInput("save", f"{path} cannot be made: {error.strerror}") from error
    with os.fdopen(made, "w", encoding="utf-8") as kept:
        try:
            yield lambda found: json.dump(found, kept, indent=2, ensure_ascii=False, sort_keys=True)
        except BaseException:
            path.unlink()
            raise


async def _ask(told: "NodeSettings", token: str, inquiry: "Inquiry") -> "tuple[Outcome, int]":
    """The outcome, and how long it took from the sign-in to the checked proof, milliseconds."""
    from rich.progress import Progress, SpinnerColumn, TextColumn

    from agency_node import __main__ as parts
    from agency_node import asking

    started = time.monotonic()
    bar = Progress(
        SpinnerColumn(), TextColumn("{task.description}"), console=err, transient=True, disable=not err.is_terminal
    )
    with bar:
        task = bar.add_task("Preparing the question")

        def heard(asked: int, done: int) -> None:
            bar.update(task, description=f"Asking: {done} of {asked} agencies heard")

        async with parts.desk(told, token, heard) as desk:
            outcome = await asking.ask(desk.asker, inquiry, desk.caller_token, desk.role, desk.ask)
    return outcome, round((time.monotonic() - started) * 1000)
