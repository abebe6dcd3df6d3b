"""A TCP connection that goes wrong on command: slow, trickling, one-way, half-closed, cut, garbled or never there.

    async with FaultProxy(host, port) as proxy:      listens on proxy.address; carries bytes to host:port and back
        proxy.up = Way(swallows=True)                from now on nothing that the dialling side sends arrives
        proxy.cut()                                  every connection ends as if a cable were pulled

The two ways of a connection go wrong apart from each other: a network may lose the answer and not the question.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final, Self

CHUNK: Final = 65_536
TRICKLE_S: Final = 0.02
"""Time between two bytes of a trickle, seconds."""


@dataclass(frozen=True, slots=True)
class Way:
    """What happens to the bytes of one direction.

    Attributes:
        late_s: How much later they arrive, seconds.
        swallows: Whether they are acknowledged and then lost.
        trickles: Whether they arrive one by one.
        garbles: Whether a bit of each piece is turned over.
        ends: Whether this direction is closed while the other stays open (RFC 9293 section 3.6, half-closed).
    """

    late_s: float = 0.0
    swallows: bool = False
    trickles: bool = False
    garbles: bool = False
    ends: bool = False


SOUND: Final = Way()


@dataclass(slots=True)
class FaultProxy:
    """One listener, and where its connections go.

    Attributes:
        host: Where connections go.
        port: Its port.
        random: Chooses the bits that are turned over.
        up: From the dialling side.
        down: Towards it.
        absent: Whether new connections are closed at once.
    """

    host: str
    port: int
    random: Random = field(default_factory=lambda: Random(0))
    up: Way = SOUND
    down: Way = SOUND
    absent: bool = False
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        """Listen on a port of localhost."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening and cut everything."""
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def address(self) -> str:
        """Where it listens, host:port."""
        if self._server is None:
            raise RuntimeError("not listening")
        return f"localhost:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """End every connection at once, without a word (a reset)."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def heal(self) -> None:
        """Carry bytes again as they come. What was lost stays lost, so the connections that lost it are cut."""
        self.up = self.down = SOUND
        self.absent = False
        self.cut()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.absent:
            writer.transport.abort()
            return
        try:
            there_reader, there_writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, there_writer}
        for pump in (
            self._pump(reader, there_writer, lambda: self.up),
            self._pump(there_reader, writer, lambda: self.down),
        ):
            task = asyncio.create_task(pump)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Callable[[], Way]) -> None:
        with contextlib.suppress(ConnectionError, OSError):
            while data := await reader.read(CHUNK):
                now = way()
                if now.late_s:
                    await asyncio.sleep(now.late_s)
                if now.ends:
                    break
                if now.swallows:
                    continue
                if now.garbles:
                    changed = bytearray(data)
                    changed[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
                    data = bytes(changed)
                await self._write(data, writer, now.trickles)
            writer.write_eof()

    async def _write(self, data: bytes, writer: asyncio.StreamWriter, trickles: bool) -> None:
        for piece in (data[at : at + 1] for at in range(len(data))) if trickles else (data,):
            writer.write(piece)
            await writer.drain()
            if trickles:
                await asyncio.sleep(TRICKLE_S)
