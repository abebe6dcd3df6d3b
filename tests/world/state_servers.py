"""Databases on a private PostgreSQL server for the state of a broker, a node or a steward.

    with postgresql() as server:
        accounts(server)
        place = database(server, folder, "police")     # its owner and the account that serves, each in a file
        prepare(place.owner_file, place.url_file)

Names of databases are the caller's; the two accounts are the same for all of them.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from agency_node.store import prepare_state
from broker.store.postgresql import prepare as prepare_broker
from tests.world.database_servers import DatabaseServer

OWNER: Final = "accord_owner"
SERVING: Final = "accord_serving"
PASSWORD: Final = "p@ss/word:1"
ACCOUNTS: Final = (OWNER, SERVING)
_NUMBERS: Final = itertools.count()


@dataclass(frozen=True, slots=True)
class StateDatabase:
    """One database.

    Attributes:
        server: Where it is.
        name: Its name.
        owner_file: A file with its address under the account that owns its tables.
        url_file: A file with its address under the account that serves.
    """

    server: DatabaseServer
    name: str
    owner_file: Path
    url_file: Path


def accounts(server: DatabaseServer) -> None:
    """Make both accounts, once for a server."""
    server.run(*(f"CREATE ROLE {account} LOGIN PASSWORD '{PASSWORD}'" for account in (OWNER, SERVING)))


def database(server: DatabaseServer, folder: Path, name: str, template: str = "template1") -> StateDatabase:
    """Make a database, and the two files that say where it is.

    Args:
        server: With `accounts`.
        folder: For the files.
        name: Of the database.
        template: Another database that it is a copy of; nobody may be using that one.
    """
    server.run(f'CREATE DATABASE "{name}" OWNER {OWNER} TEMPLATE "{template}"')
    files = {account: address_file(folder / f"{name}.{account}.url", server, name, account) for account in ACCOUNTS}
    return StateDatabase(server, name, files[OWNER], files[SERVING])


def on_server(server: DatabaseServer, folder: Path, parties: Sequence[str]) -> dict[str, Path]:
    """Prepare a database for the broker, the steward and agencies' nodes, each its own.

    Args:
        server: With `accounts`.
        folder: For the files.
        parties: "broker", "steward" and agencies.

    Returns:
        Party -> the file with the address under the account that serves.
    """
    placed = {}
    for party in parties:
        made = database(server, folder, f"{party}_{next(_NUMBERS)}")
        (prepare_broker if party == "broker" else prepare_state)(made.owner_file, made.url_file)
        placed[party] = made.url_file
    return placed


def tables(url_file: Path) -> dict[str, bytes]:
    """Everything that a database holds: table -> its cells as bytes, one after the other."""
    with psycopg.connect(url_file.read_text().strip()) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        return {
            f"table {name}": b"\n".join(
                cell if isinstance(cell, bytes) else str(cell).encode()
                for row in connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(name)))
                for cell in row
            )
            for (name,) in names
        }


def address_file(file: Path, server: DatabaseServer, name: str, account: str) -> Path:
    """Write where a database is into a file that only we may read."""
    password = PASSWORD.replace("@", "%40").replace("/", "%2F").replace(":", "%3A")
    file.write_text(f"postgresql://{account}:{password}@127.0.0.1:{server.port}/{name}\n")
    file.chmod(0o600)
    return file
