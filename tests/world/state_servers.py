"""Databases on a private PostgreSQL server for the state of a broker, a node or a steward.

    with postgresql() as server:
        accounts(server)
        place = database(server, folder, "police")     # its owner and the account that serves, each in a file
        prepare(place.owner_file, place.url_file)

Names of databases are the caller's; the two accounts are the same for all of them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.world.database_servers import DatabaseServer

OWNER: Final = "accord_owner"
SERVING: Final = "accord_serving"
PASSWORD: Final = "p@ss/word:1"


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


def address_file(file: Path, server: DatabaseServer, name: str, account: str) -> Path:
    """Write where a database is into a file that only we may read."""
    password = PASSWORD.replace("@", "%40").replace("/", "%2F").replace(":", "%3A")
    file.write_text(f"postgresql://{account}:{password}@127.0.0.1:{server.port}/{name}\n")
    file.chmod(0o600)
    return file


ACCOUNTS: Final = (OWNER, SERVING)
