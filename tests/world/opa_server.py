"""A real Open Policy Agent server, private to one test module, fed by the broker's own bundle listener."""

import asyncio
import contextlib
import http.client
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from broker import bundle_server
from broker.engines.opa_settings import server_settings
from deploy.demo.ports import free_port
from tests.conftest import find_tool

START_S: Final = 120.0
"""How long a server may take to listen, or to take up a bundle, in seconds."""


@dataclass(slots=True)
class OpaProcess:
    """A server that may be stopped, held and started again.

    Attributes:
        port: On 127.0.0.1.
        folder: With its configuration, its log and its socket.
        process: What runs now.
    """

    port: int
    folder: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Where it listens, as settings say it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        """Its socket, as settings say it."""
        return f"unix://{self.folder / 'opa.sock'}"

    def start(self) -> None:
        """Start it and wait till it listens; it may not have its rules yet."""
        (self.folder / "opa.sock").unlink(missing_ok=True)
        command = [
            find_tool("opa") or "opa",
            *("run", "--server", "--config-file", str(self.folder / "opa.yaml")),
            *("--addr", f"127.0.0.1:{self.port}", "--addr", self.socket_url),
            *("--skip-version-check", "--log-level", "error", "--shutdown-grace-period", "0"),
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        self._until(lambda: self._status("/health") is not None)

    def ready(self) -> None:
        """Wait till it has taken up its bundle."""
        self._until(lambda: self._status("/health?bundles") == 200)

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def log(self) -> str:
        """What it logged."""
        return (self.folder / "log").read_text()

    def _status(self, path: str) -> int | None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return None
        finally:
            connection.close()

    def _until(self, true: Callable[[], bool]) -> None:
        end = time.monotonic() + START_S
        while not true():
            if time.monotonic() > end or (self.process is not None and self.process.poll() is not None):
                raise RuntimeError(f"the server is not ready: {self.log()[-2000:]}")
            time.sleep(0.05)


@contextlib.contextmanager
def serving_bundle(bundle: Callable[[], bytes]) -> Iterator[str]:
    """The broker's bundle listener on a thread of its own; gives the bundle's address."""
    ready: list[str] = []
    listening, stopping = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with bundle_server.serving("127.0.0.1:0", bundle) as address:
            ready.append(address)
            listening.set()
            await stopping.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert listening.wait(10)
        yield f"http://{ready[0]}{bundle_server.PATH}"
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(10)
        loop.close()


@contextlib.contextmanager
def opa_server(folder: Path, told: str, port: int = 0) -> Iterator[OpaProcess]:
    """A server that runs until the block ends.

    Args:
        folder: For its files; made when absent.
        told: Its configuration, from the broker; see also `quick`.
        port: Where it listens; any when 0.
    """
    folder.mkdir(exist_ok=True)
    (folder / "opa.yaml").write_text(told)
    server = OpaProcess(port or free_port(), folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def quick(bundle_url: str, kid: str, public: EllipticCurvePublicKey) -> str:
    """The configuration that the broker writes, of a server that looks at its bundle every second."""
    return server_settings(bundle_url, kid, public, (1, 1))


@contextlib.contextmanager
def lying_server(reply: bytes, *, hold_s: float = 0.0) -> Iterator[str]:
    """Something that listens where the server should be, answers every request with these bytes and closes.

    Args:
        reply: What it sends, HTTP or not.
        hold_s: How long it then keeps the connection open, seconds.
    """
    stopping = threading.Event()

    class Liar(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65_536)
            with contextlib.suppress(OSError):
                self.request.sendall(reply)
            stopping.wait(hold_s)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Liar) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            stopping.set()
            server.shutdown()
            thread.join(10)
