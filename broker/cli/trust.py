"""Founding, enrolling and running: init, enrol, renew, withdraw-agency, install-directory, serve, doctor."""

import asyncio
import hashlib
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from broker.cli.app import AuthorityOption, Exit, HomeOption, JsonOption, app, load, out, show


@app.command()
def init(
    home: HomeOption,
    authority: AuthorityOption,
    federation: Annotated[str, typer.Option(help="Name of the federation, for example midshire.")],
    host: Annotated[list[str] | None, typer.Option(help="A host name at which nodes find the broker.")] = None,
    listen: Annotated[str, typer.Option(help="Where the broker listens, host:port.")] = "127.0.0.1:7443",
    database_url_file: Annotated[
        Path | None,
        typer.Option(help="A file with the address of a PostgreSQL database for state and ledger, in place of SQLite."),
    ] = None,
) -> None:
    """Found a federation: the offline authority, and the broker's keys and settings."""
    from broker import enrol as office

    founded = office.init(
        home,
        authority,
        federation=federation,
        hosts=host or ["localhost"],
        now_ns=time.time_ns(),
        listen=listen,
        database_url_file=None if database_url_file is None else database_url_file.absolute(),
    )
    out.print(f"The broker's keys and settings are in {home}.")
    out.print(f"The federation's key and certificate authority are in {authority}: keep that folder offline.")
    out.print(f"The federation key's identifier, to be read out to each member: {founded.federation_key_id}")
    if database_url_file is not None:
        out.print("Before the first start, have the tables made: accord-broker database prepare.")


@app.command()
def enrol(
    request: Annotated[Path, typer.Argument(help="The request.json of an agency's node or of the steward.")],
    authority: AuthorityOption,
    to: Annotated[Path, typer.Option("--out", help="Where the answer and the newest directory.json are written.")],
    replace_keys: Annotated[bool, typer.Option(help="Accept other keys than the agency had before.")] = False,
    records_up_to: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="The most records you approve; an agency that asks for more is refused. As many as before, or 10,000"
            " for a new one, when left out.",
        ),
    ] = None,
    life_hours: Annotated[int, typer.Option(min=1, max=24, help="Life of the certificate, in hours.")] = 24,
) -> None:
    """Let a member in, or renew its certificate."""
    from broker import enrol as office

    enrolled = office.enrol(
        request,
        authority,
        to,
        now_ns=time.time_ns(),
        life_s=life_hours * 3600,
        replace_keys=replace_keys,
        records_up_to=records_up_to,
    )
    digits = hashlib.sha256(request.read_bytes()).hexdigest()[:16]
    read_out = " ".join(digits[at : at + 4] for at in range(0, 16, 4))
    out.print(f"Fingerprint of the request, to be compared with what the member reads out by telephone: {read_out}")
    out.print(f"{enrolled.member.uri} is enrolled. Send {enrolled.bundle} back to it.")
    out.print(f"Read the federation key's identifier out by telephone: {enrolled.federation_key_id}")
    if enrolled.records_up_to is not None:
        out.print(f"Its index may hold up to {enrolled.records_up_to:,} people.")
    if enrolled.changed:
        out.print(f"The directory is now version {enrolled.directory.version}: give it to the broker.")


@app.command()
def renew(
    home: HomeOption,
    authority: AuthorityOption,
    life_hours: Annotated[int, typer.Option(min=1, max=24, help="Life of the certificate, in hours.")] = 24,
) -> None:
    """Renew the broker's own certificate, with the key it has."""
    from broker import enrol as office

    office.renew(home, authority, now_ns=time.time_ns(), life_s=life_hours * 3600)
    out.print(f"The broker's certificate in {home} is new.")


@app.command("withdraw-agency")
def withdraw_agency(
    agency: Annotated[str, typer.Argument(help="Identifier of the agency.")],
    authority: AuthorityOption,
    to: Annotated[Path, typer.Option("--out", help="Where the newest directory.json is written.")],
) -> None:
    """Put an agency out of the federation: under the next directory its certificate speaks for nobody."""
    from broker import enrol as office

    found = office.withdraw(agency, authority, to, now_ns=time.time_ns())
    out.print(f"Directory version {found.version} has no row for {agency}: give it to the broker and every member.")


@app.command("install-directory")
def install_directory(
    home: HomeOption, file: Annotated[Path, typer.Argument(help="The signed directory.json.")]
) -> None:
    """Put a newer directory.json into the broker's folder, after checking it."""
    from broker import enrol as office
    from broker import keys

    found = office.install_directory(home, keys.read(file))
    out.print(f"Directory version {found.version} is in force: {len(found.agencies)} agencies.")


@app.command()
def serve(home: HomeOption) -> None:
    """Serve until stopped."""
    from broker import __main__ as parts

    asyncio.run(parts.serve(load(home)))


@app.command()
def doctor(home: HomeOption, as_json: JsonOption = False) -> None:
    """Look at everything the broker stands on; say what is wrong and how to mend it."""
    from broker import doctor as examination
    from broker.doctor import State

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
