"""Which servers a mapping may name, and opening one."""

from pathlib import Path
from typing import Literal

from agency_node.adapters import RecordsUnavailable, mariadb, postgresql
from agency_node.adapters.server import ServerSource, read_address


def open_server(kind: Literal["postgresql", "mariadb"], url_file: Path, timeout_s: float) -> ServerSource:
    """A database server whose address stands in a file; nothing connects yet.

    Args:
        kind: Which kind.
        url_file: See `agency_node.adapters.server.read_address`.
        timeout_s: Longest time for one statement, in seconds.

    Raises:
        RecordsUnavailable: The file or the address cannot be used, or the driver is not installed.
    """
    try:
        if kind == "postgresql":
            return ServerSource(
                postgresql.PostgreSql(), read_address(url_file, postgresql.PostgreSql(), postgresql.URLS), timeout_s
            )
        return ServerSource(mariadb.MariaDb(), read_address(url_file, mariadb.MariaDb(), mariadb.URLS), timeout_s)
    except ImportError:
        raise RecordsUnavailable(
            "files", f"The driver for {kind} is not installed. Install it with: pip install 'accord-broker[{kind}]'."
        ) from None
