"""This node's own durable state: one SQLite file beside the process.

It holds the node's ledger, the signed answers that may have to be repeated, the
newest ledger heads it has countersigned, withdrawals, agreements, the policy
bundle and directory in force, and the token index. It holds no description of a
person: the index keeps the agency's own record numbers and keyed tokens, and
scoring reads the agency's database live.

    database      open the file, bring its tables up to date, reading and writing transactions
    tables        the tables
    answers       signed answers kept for repetition: a warrant is good once
    agreements    withdrawals, and agreements captured here or delivered to us
    patterns      counts of how descriptions and records agreed
    in_force      the policy bundle and the federation directory in force
    migrations/   Alembic steps, run when the file is opened

Callers hold the transaction: every function takes the connection, so that what
belongs together commits together.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from agency_node.store.database import counting, open_store, reading, size, upsert, writing
from agency_node.store.failure import StateUnusable

__all__ = [
    "StateUnusable",
    "counting",
    "open_state",
    "open_store",
    "prepare_state",
    "reading",
    "size",
    "upsert",
    "writing",
]


def open_state(file: Path, url_file: Path | None) -> Engine:
    """Open the state where the settings say that it is.

    Args:
        file: The SQLite file, used where there is no address of a server.
        url_file: The file with the address of a PostgreSQL database.

    Raises:
        StateUnusable: It cannot be used, or the driver for it is not installed.
    """
    if url_file is None:
        return open_store(file)
    with _driver():
        from agency_node.store import postgresql
    return postgresql.open_database(url_file)


def prepare_state(owner_file: Path, url_file: Path) -> str:
    """Prepare a PostgreSQL database, as `postgresql.prepare` says.

    Raises:
        StateUnusable: It cannot be prepared, or the driver for it is not installed.
    """
    with _driver():
        from agency_node.store import postgresql
    return postgresql.prepare(owner_file, url_file)


@contextmanager
def _driver() -> Iterator[None]:
    try:
        yield
    except ImportError:
        raise StateUnusable(
            "the driver for PostgreSQL is not installed", "Install it: pip install 'accord-broker[postgresql]'."
        ) from None
