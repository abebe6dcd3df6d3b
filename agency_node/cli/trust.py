"""Joining and running: init, join, serve, restored, steward, doctor, ledger verify."""

import asyncio
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from agency_node.cli.app import Exit, HomeOption, JsonOption, app, load, out, show


@app.command()
def init(
    home: HomeOption,
    federation: Annotated[str, typer.Option(help="The federation to join, for example midshire.")],
    agency: Annotated[str, typer.Option(help="Identifier of the agency, for example police.")] = "",
    title: Annotated[str, typer.Option(help="The agency's name as people read it.")] = "",
    kind: Annotated[str, typer.Option(help="Kind of agency, for example police.")] = "",
    character: Annotated[list[str] | None, typer.Option(help="A legal character it claims; repeat for more.")] = None,
    records_up_to: Annotated[
        int, typer.Option(help="How many people the agency's records may come to hold, with room to grow.")
    ] = 10_000,
    broker: Annotated[str, typer.Option(help="Where the broker listens, host:port.")] = "localhost:7443",
    steward_at: Annotated[str, typer.Option("--steward-at", help="Where the steward listens.")] = "localhost:7444",
    steward: Annotated[bool, typer.Option("--steward", help="Make the steward's keys instead of an agency's.")] = False,
    host: Annotated[list[str] | None, typer.Option(help="Steward: a host name at which nodes find it.")] = None,
    listen: Annotated[str, typer.Option(help="Steward: where it listens, host:port.")] = "127.0.0.1:7444",
) -> None:
    """Make keys and settings here, and a request to be sent to the federation's operator."""
    from agency_node import enrol

    if steward:
        made = enrol.init_steward(home, federation=federation, hosts=host or ["localhost"], listen=listen)
    else:
        made = enrol.init_agency(
            home,
            federation=federation,
            agency=agency,
            title=title,
            kind=kind,
            characters=character or [],
            records_up_to=records_up_to,
            broker=broker,
            steward=steward_at,
        )
    out.print(f"Keys and settings are in {home}. They never leave this machine.")
    out.print(f"Send {made.request} to the federation's operator; it holds public keys only.")
    if not steward:
        out.print(f"It asks for room for {records_up_to:,} people in this agency's index, which the operator approves.")


@app.command()
def request(
    home: HomeOption,
    records_up_to: Annotated[int, typer.Option(help="How many people the agency's records may come to hold.")],
) -> None:
    """Ask to be enrolled for another number of records; the keys stay as they are."""
    from agency_node import enrol

    file = enrol.request_anew(home, records_up_to=records_up_to)
    out.print(
        f"Send {file} to the federation's operator, who approves {records_up_to:,} records and sends a bundle back."
    )


@app.command()
def join(
    home: HomeOption,
    bundle: Annotated[Path, typer.Argument(help="The file that the federation's operator sent back.")],
    federation_key: Annotated[
        str, typer.Option(help="Identifier of the federation key, as the operator read it out by telephone.")
    ] = "",
) -> None:
    """Check what the federation's operator sent back, and put it in place. Also renews a certificate."""
    from agency_node import enrol

    joined = enrol.join(home, bundle, now_ns=time.time_ns(), federation_key_id=federation_key or None)
    out.print(f"{joined.member.uri} is in, under directory version {joined.directory.version}.")
    if joined.first and not federation_key:
        out.print(f"Pinned federation key {joined.federation_key_id}: ring the operator and compare it.")


@app.command()
def serve(home: HomeOption) -> None:
    """Stay attached to the broker and answer questions, until stopped."""
    from agency_node import __main__ as parts

    asyncio.run(parts.serve(load(home)))


@app.command()
def restored(home: HomeOption) -> None:
    """Say, before starting again, that this node's own database was put back from a copy."""
    from agency_node import __main__ as parts
    from agency_node.ledger import Kind, Record, append
    from agency_node.store import writing
    from agency_node.store.answers import mark_restored

    with parts.home(load(home)) as at, writing(at.engine) as connection:
        # Which warrants were used since the copy was made, nothing here knows any more (T-SEC-1).
        at_ns = time.time_ns()
        mark_restored(connection, at_ns)
        append(connection, [Record(Kind.RESTORED, at_ns)])
    out.print("Noted. Whatever the broker asked before this moment is refused; new questions are answered as ever.")


@app.command()
def steward(home: HomeOption) -> None:
    """Serve keys as the steward, until stopped."""
    from agency_node import __main__ as parts
    from agency_node import settings

    asyncio.run(parts.serve_steward(settings.load_steward(home / "steward.toml")))


@app.command()
def doctor(home: HomeOption, as_json: JsonOption = False) -> None:
    """Look at everything this node, or the steward, stands on; say what is wrong and how to mend it."""
    from agency_node import doctor as examination
    from agency_node.doctor import State

    rows = examination.look_at(home, time.time_ns())
    well = all(row.state is State.OK for row in rows)
    if as_json:
        checks = [{"name": row.name, "state": row.state, "found": row.found, "cure": row.cure} for row in rows]
        show({"ok": well, "checks": checks})
    else:
        table = Table(show_header=False, box=None, pad_edge=False)
        for row in rows:
            colour = {State.OK: "green", State.BAD: "bold red", State.WAITS: "yellow"}[row.state]
            cure = f"\nWhat you can do: {row.cure}" if row.cure else ""
            table.add_row(Text(row.state, colour), row.name, Text(row.found + cure))
        out.print(table)
    raise Exit(0 if well else 1)


ledgers = typer.Typer(help="This node's own ledger.", no_args_is_help=True)
app.add_typer(ledgers, name="ledger")


@ledgers.command("verify")
def ledger_verify(home: HomeOption, as_json: JsonOption = False) -> None:
    """Rebuild the tree from its entries and compare it with what was signed."""
    from agency_node import __main__ as parts
    from agency_node import keys, ledger

    told = load(home)
    with parts.home(told) as at:
        origin = f"{at.directory.current().federation}/{told.agency}"
        private = keys.read_ed25519(told.witness_key)
        ledger.checkpoint(at.engine, origin, private)
        verified = ledger.verify(at.engine, origin, private.public_key().public_bytes_raw())
    if as_json:
        show({"entries": verified.size, "root": verified.root.hex(), "erased": verified.erased})
    else:
        out.print(f"The ledger holds: {verified.size} entries, {verified.erased} erased.")


@ledgers.command("asked")
def ledger_asked(
    home: HomeOption,
    newest: Annotated[int, typer.Option(min=1, max=1_000, help="How many, counted from the newest.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List what this agency was asked: when, by whom, what and why. Never about whom: the ledger does not hold it."""
    from agency_node import __main__ as parts
    from agency_node import ledger
    from agency_node.store import reading

    with parts.home(load(home)) as at, reading(at.engine) as connection:
        asked = ledger.asked(connection, newest)
    if as_json:
        show([{name: getattr(one, name) for name in one.__slots__} for one in asked])
        return
    table = Table(title="What this agency was asked, the newest first:", title_justify="left")
    for heading in ("When", "Agency", "Role", "Question", "Purpose", "Urgency"):
        table.add_column(heading)
    for one in asked:
        table.add_row(*map(Text, (one.at, one.agency, one.role, one.question, one.purpose, one.urgency)))
    out.print(table if asked else "Nobody has asked this agency anything yet.")
