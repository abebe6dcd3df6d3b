"""State on a PostgreSQL server: `accord-broker database prepare`."""

from pathlib import Path
from typing import Annotated

import typer

from broker.cli.app import HomeOption, app, load, out

database = typer.Typer(help="The broker's state and ledger on a PostgreSQL server.", no_args_is_help=True)
app.add_typer(database, name="database")


@database.command("prepare")
def prepare(
    home: HomeOption,
    owner_url_file: Annotated[
        Path, typer.Option(help="A file with the address of the database, under the account that owns its tables.")
    ],
) -> None:
    """Make the tables or bring them up to date, and let the account that serves add to the ledger, not change it.

    Run it once before the first start, and after every update of Accord while no broker serves.
    """
    from broker.settings import BadSettings

    told = load(home)
    if told.database_url_file is None:
        raise BadSettings(
            "broker.toml names no database_url_file",
            'Add it: database_url_file = "database.url", a file with the address under the account that serves.',
        )
    from broker.store.postgresql import prepare as prepare_server

    version = prepare_server(owner_url_file, told.database_url_file)
    out.print(
        f"The tables are those of version {version}, and the account of database_url_file has the rights it needs."
    )
