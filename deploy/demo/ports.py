"""Ports for programs that are told where to listen before they are started."""

import contextlib
import secrets
import socket
from typing import Final

_FROM: Final = 10_000
_BELOW: Final = 32_768
"""Where Linux begins to give ports to outgoing connections (net.ipv4.ip_local_port_range, ip(7)); whoever connects
meanwhile is given none of these, not even while what listens here is killed and started again."""


def free_port() -> int:
    """A port of this machine that nobody has now, and that no outgoing connection is given meanwhile."""
    while True:
        port = _FROM + secrets.randbelow(_BELOW - _FROM)
        with contextlib.suppress(OSError), socket.socket() as one:
            one.bind(("127.0.0.1", port))
            return port


def free_ports(count: int) -> list[int]:
    """Several that differ."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return list(found)
