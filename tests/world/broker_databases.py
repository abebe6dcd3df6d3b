"""Databases for brokers on a real PostgreSQL server of the tests' own, prepared as an administrator would.

    with broker_databases(folder) as databases:
        place = databases.fresh()        # an empty prepared database, and the file with its address

The server syncs every commit to the disk: a broker refuses one that does not.
"""

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import delete

from broker.store import Server
from broker.store.postgresql import prepare
from broker.store.tables import LEDGER_EDGE, METADATA, SPENT
from tests.world import database_servers
from tests.world.database_servers import DatabaseServer

OWNER, SERVING = "accord_owner", "accord_broker"
PASSWORDS = {OWNER: "owner:p@ss", SERVING: "serving/p@ss"}
_QUOTED = {OWNER: "owner%3Ap%40ss", SERVING: "serving%2Fp%40ss"}


@dataclass(frozen=True, slots=True)
class BrokerDatabases:
    """A running server and where the files with addresses are put."""

    server: DatabaseServer
    folder: Path
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    _returned: list[Server] = field(default_factory=list)

    def fresh(self, name: str = "") -> Server:
        """An empty, prepared database of its own; `name` of another database copies that one."""
        made = f"accord_{next(self._numbers)}"
        self.server.run(f"CREATE DATABASE {made} OWNER {OWNER} TEMPLATE {name or 'accord_template'}")
        return Server(self.address(made, SERVING))

    def lent(self) -> Server:
        """An empty, prepared database that may have been used before; quicker than a fresh one."""
        if not self._returned:
            return self.fresh()
        place = self._returned.pop()
        # As an administrator could: with the triggers passed by.
        self.server.run(
            "SET session_replication_role = replica",
            *(str(delete(table)) for table in (*METADATA.tables.values(), SPENT) if table is not LEDGER_EDGE),
            "UPDATE ledger_edge SET idx = 0, hashes = ''",
            database=self.name(place),
        )
        return place

    def give_back(self, place: Server) -> None:
        """Let another test have the database."""
        self._returned.append(place)

    def bare(self) -> str:
        """The name of an empty database without tables."""
        made = f"accord_{next(self._numbers)}"
        self.server.run(f"CREATE DATABASE {made} OWNER {OWNER}")
        return made

    def address(self, database: str, account: str) -> Path:
        """The file with the address of a database under an account."""
        file = self.folder / f"{database}-{account}.url"
        line = f"postgresql://{account}:{_QUOTED[account]}@127.0.0.1:{self.server.port}/{database}"
        file.touch(mode=0o600)
        file.write_text(line + "\n", encoding="ascii")
        return file

    def owner(self, place: Server) -> Path:
        """The file with the same database's address under the owner's account."""
        return self.address(self.name(place), OWNER)

    def name(self, place: Server) -> str:
        """The name of the database."""
        return place.url_file.name.removesuffix(f"-{SERVING}.url")


@contextlib.contextmanager
def broker_databases(folder: Path, fsync: str = "on") -> Iterator[BrokerDatabases]:
    """A server with the two accounts and a prepared template, until the block ends.

    Args:
        folder: Where the files with addresses are put.
        fsync: Whether the server syncs every commit to the disk.
    """
    with database_servers.postgresql(fsync=fsync) as server:
        server.run(*(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'" for name, password in PASSWORDS.items()))
        server.run(f"CREATE DATABASE accord_template OWNER {OWNER}")
        databases = BrokerDatabases(server, folder)
        prepare(databases.address("accord_template", OWNER), databases.address("accord_template", SERVING))
        yield databases
