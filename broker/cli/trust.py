"""Founding, enrolling and running: init, enrol, renew, withdraw-agency, install-directory, serve."""

import asyncio
import time
from pathlib import Path
from typing import Annotated

import typer

from broker import __main__ as parts
from broker import enrol as office
from broker import keys
from broker.cli.app import AuthorityOption, HomeOption, app, load, out


@app.command()
def init(
    home: HomeOption,
    authority: AuthorityOption,
    federation: Annotated[str, typer.Option(help="Name of the federation, for example midshire.")],
    host: Annotated[list[str] | None, typer.Option(help="A host name at which nodes find the broker.")] = None,
    listen: Annotated[str, typer.Option(help="Where the broker listens, host:port.")] = "127.0.0.1:7443",
) -> None:
    """Found a federation: the offline authority, and the broker's keys and settings."""
    founded = office.init(
        home,
        authority,
        federation=federation,
        hosts=host or ["localhost"],
        now_ns=time.time_ns(),
        listen=listen,
    )
    out.print(f"The broker's keys and settings are in {home}.")
    out.print(f"The federation's key and certificate authority are in {authority}: keep that folder offline.")
    out.print(f"The federation key's identifier, to be read out to each member: {founded.federation_key_id}")


@app.command()
def enrol(
    request: Annotated[Path, typer.Argument(help="The request.json of an agency's node or of the steward.")],
    authority: AuthorityOption,
    to: Annotated[Path, typer.Option("--out", help="Where the answer and the newest directory.json are written.")],
    replace_keys: Annotated[bool, typer.Option(help="Accept other keys than the agency had before.")] = False,
    life_hours: Annotated[int, typer.Option(min=1, max=24, help="Life of the certificate, in hours.")] = 24,
) -> None:
    """Let a member in, or renew its certificate."""
    enrolled = office.enrol(
        request, authority, to, now_ns=time.time_ns(), life_s=life_hours * 3600, replace_keys=replace_keys
    )
    out.print(f"{enrolled.member.uri} is enrolled. Send {enrolled.bundle} back to it.")
    out.print(f"Read the federation key's identifier out by telephone: {enrolled.federation_key_id}")
    if enrolled.changed:
        out.print(f"The directory is now version {enrolled.directory.version}: give it to the broker.")


@app.command("install-directory")
def install_directory(
    home: HomeOption, file: Annotated[Path, typer.Argument(help="The signed directory.json.")]
) -> None:
    """Put a newer directory.json into the broker's folder, after checking it."""
    found = office.install_directory(home, keys.read(file))
    out.print(f"Directory version {found.version} is in force: {len(found.agencies)} agencies.")


@app.command()
def serve(home: HomeOption) -> None:
    """Serve until stopped."""
    asyncio.run(parts.serve(load(home)))
