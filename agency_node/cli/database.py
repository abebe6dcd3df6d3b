"""State on a PostgreSQL server: `accord-node database prepare`."""

from pathlib import Path
from typing import Annotated

import typer

from agency_node.cli.app import HomeOption, app, out

database = typer.Typer(help="This node's, or the steward's, own state on a PostgreSQL server.", no_args_is_help=True)
app.add_typer(database, name="database")


@database.command("prepare")
def prepare(
    home: HomeOption,
    owner_url_file: Annotated[
        Path, typer.Option(help="A file with the address of the database, under the account that owns its tables.")
    ],
) -> None:
    """Make the tables or bring them up to date, and let the account that serves add to the ledger, not change it.

    Run it once before the first start, and after every update of Accord while nothing serves.
    """
    from agency_node import __main__ as parts

    version = parts.prepare_database(home, owner_url_file)
    out.print(
        f"The tables are those of version {version}, and the account of database_url_file has the rights it needs."
    )
