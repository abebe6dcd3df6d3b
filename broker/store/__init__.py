"""The broker's own database: opening it safely, and reading it.

    open_store -> bring the tables up to date, or demand that they are -> assert durability -> Store

    failure      what is raised when it cannot be used
    database     an open store, who may write it, its migrations
    sqlite       a file beside the process: the default
    postgresql   a server, for whoever has one that is looked after, and for several brokers of which one writes
    tables       the tables, one set for both
    guards       triggers that refuse to change what the ledger holds
    prepared     statements compiled once
    spent        what was used of the key server's allowances
    state, tree  reading and changing the state; reading the ledger

Only `broker.sequencer` may use `writer`. Every other reader goes through `reader`, which cannot write.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from broker.store.database import MIGRATIONS, NEWEST, Store
from broker.store.failure import StoreUnusable
from broker.store.sqlite import count_in_file, open_file, probe, read_file

__all__ = [
    "MIGRATIONS",
    "NEWEST",
    "Place",
    "Server",
    "Store",
    "StoreUnusable",
    "counting",
    "open_for_reading",
    "open_store",
    "probe",
]


@dataclass(frozen=True, slots=True)
class Server:
    """State on a PostgreSQL server.

    Attributes:
        url_file: File of one line that says where it is and as whom we come; see `broker.store.postgresql.FORM`.
    """

    url_file: Path


Place = Path | Server
"""A SQLite file, or a server."""


def open_store(place: Place) -> Store:
    """Open the database for a process that writes it, or will when its turn comes (`Store.pen`).

    Raises:
        StoreUnusable: It cannot be used; see `open_file` and `open_server`.
    """
    if isinstance(place, Path):
        return open_file(place)
    # Its driver is installed only where it is wanted.
    from broker.store.postgresql import open_server

    return open_server(place.url_file)


def open_for_reading(place: Place) -> Store:
    """Open the database beside a broker that may be running, to verify or export it; it stands still meanwhile.

    Raises:
        StoreUnusable: It cannot be read.
    """
    if isinstance(place, Path):
        return read_file(place)
    from broker.store.postgresql import read_server

    return read_server(place.url_file)


def counting(place: Place) -> Engine:
    """One connection to the key server's counts: the server's table, or a file of their own.

    Raises:
        StoreUnusable: The server's address cannot be used.
    """
    if isinstance(place, Path):
        return count_in_file(place)
    from broker.store.postgresql import count_on_server

    return count_on_server(place.url_file)
