"""Hand the signed policy bundle in force to Open Policy Agent on this machine, over HTTP.

The server beside the broker asks again every few seconds and says which bundle it has (`If-None-Match`); it is told
"the same" with status 304 and nothing else (RFC 9110 section 13.1.2, https://www.rfc-editor.org/rfc/rfc9110;
https://www.openpolicyagent.org/docs/management-bundles#bundle-service-api). The bundle is no secret, every node
holds it, and its signature protects it on the way; this listener is on the machine's own addresses all the same.
"""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

from aiohttp import web

from accord.canonical import sha256
from accord.reasons import Problem

PATH: Final = "/bundles/accord.tar.gz"
QUIET_S: Final = 10.0
"""A connection on which nothing is asked for so long is closed, seconds."""
STOP_S: Final = 1.0
"""Longest wait for a bundle that is being sent when the broker stops, seconds."""


class AddressTaken(Problem):
    """Something listens there already, or this machine has no such address."""

    reason = "BAD_SETTINGS"
    cure = "Stop what listens there, or name another free port of this machine as policy_listen."


@contextlib.asynccontextmanager
async def serving(address: str, bundle: Callable[[], bytes]) -> AsyncIterator[str]:
    """Serve the bundle until the block ends.

    Args:
        address: Loopback host:port; port 0 takes any.
        bundle: Gives the signed bundle in force.

    Yields:
        The address it listens on, host:port.

    Raises:
        AddressTaken: Something listens there already.
    """

    async def hand_out(request: web.Request) -> web.Response:
        data = bundle()
        tag = sha256(data).hex()
        held = request.if_none_match or ()
        headers = {"ETag": f'"{tag}"', "Cache-Control": "no-cache"}
        if any(one.value == tag for one in held):
            return web.Response(status=304, headers=headers)
        return web.Response(body=data, content_type="application/gzip", headers=headers)

    app = web.Application(client_max_size=1024)
    app.router.add_get(PATH, hand_out)
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=QUIET_S, shutdown_timeout=STOP_S)
    await runner.setup()
    try:
        host, _, port = address.rpartition(":")
        try:
            await web.TCPSite(runner, host.strip("[]"), int(port)).start()
        except OSError as error:
            raise AddressTaken(f"cannot listen at {address}, where the policy server fetches its rules") from error
        yield f"{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
