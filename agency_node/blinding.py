"""Blind match keys and finish tokens: in this process, or in worker processes that a large index keeps busy.

    Blinder.blind(inputs) -> elements for a key server ... its output -> Blinder.finalise -> tokens

The library holds the interpreter's lock while it computes, so threads gain nothing. A worker is this file run by the
same Python. It is given inputs and public keys, nothing else: no database, no key of the node, no setting, and no line
to anybody but this process. It ends when its standard input does, which the kernel closes however its parent ends.
"""

import asyncio
import contextlib
import itertools
import os
import struct
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, ClassVar, Final, Protocol

from accord import linkage
from accord.canonical import lp
from accord.linkage import BadProof, Blinding
from accord.reasons import Problem

MAX_WORKERS: Final = 16
_BLIND: Final = 0
_FINALISE: Final = 1
_DONE: Final = 0
_BAD_PROOF: Final = 1
_FRAME: Final = struct.Struct(">IBIH")
"""Bytes that follow, what to do or what became of it, number of the batch, its size."""
_LENGTH: Final = struct.Struct(">I")
_ENVIRONMENT: Final = ("PATH", "LD_LIBRARY_PATH", "LANG", "TZ")


class WorkerEnded(Problem):
    """A worker process ended before its work was done, for want of memory perhaps."""

    reason: ClassVar[str] = "INDEX_INTERRUPTED"


class Blinder(Protocol):
    """Where blinding and finishing are done."""

    async def blind(self, inputs: Sequence[bytes], size: int) -> tuple[object, list[bytes]]:
        """Blind a batch, padded to a size.

        Returns:
            What `finalise` needs, good once, and the elements to send, 32 bytes each.
        """

    async def finalise(self, blinded: object, evaluated: Sequence[bytes], proof: bytes, public: bytes) -> list[bytes]:
        """Check a key server's proof and unblind its output; see `accord.linkage.finalise`.

        Raises:
            accord.linkage.BadProof: It does not hold.
        """


@dataclass(slots=True)
class Here:
    """In this process, giving way to other work now and then: answers must go out.

    Attributes:
        random: Source of padding.
    """

    random: Callable[[int], bytes] = os.urandom
    _since: int = 0

    async def blind(self, inputs: Sequence[bytes], size: int) -> tuple[object, list[bytes]]:
        """As `Blinder.blind`."""
        made = linkage.blind(inputs, size, self.random)
        await self._give_way(len(made[1]))
        return made

    async def finalise(self, blinded: object, evaluated: Sequence[bytes], proof: bytes, public: bytes) -> list[bytes]:
        """As `Blinder.finalise`."""
        if not isinstance(blinded, Blinding):
            raise TypeError("another blinder blinded this batch")
        made = linkage.finalise(blinded, evaluated, proof, public)
        await self._give_way(len(evaluated))
        return made

    async def _give_way(self, elements: int) -> None:
        # A turn of the loop costs as much as an element, so it is not one for each family of a single person.
        self._since += elements
        if self._since >= linkage.AT_ONCE:
            self._since = 0
            await asyncio.sleep(0)


@dataclass(slots=True)
class _Worker:
    """One worker process, and how many batches wait for it."""

    process: asyncio.subprocess.Process
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0

    async def do(self, what: int, number: int, size: int, parts: Sequence[bytes]) -> list[bytes]:
        """Have it do one thing.

        Raises:
            BadProof: A key server's proof does not hold.
            WorkerEnded: The process is gone.
        """
        told, heard = self.process.stdin, self.process.stdout
        if told is None or heard is None:
            raise TypeError("a worker is started with pipes")
        body = lp(*parts)
        self.waiting += 1
        try:
            async with self.turn:
                told.write(_FRAME.pack(len(body), what, number, size) + body)
                await told.drain()
                length, became, _, _ = _FRAME.unpack(await heard.readexactly(_FRAME.size))
                reply = await heard.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise WorkerEnded("a worker process ended by itself; if memory is short, use fewer --workers") from None
        finally:
            self.waiting -= 1
        if became == _BAD_PROOF:
            raise BadProof("a key server's proof does not hold")
        return _parts(reply)


class Workers:
    """Several worker processes. A batch is finished where it was blinded."""

    def __init__(self, started: Sequence[_Worker]) -> None:
        """Use these processes; see `workers`."""
        self._workers = started
        self._numbers = itertools.count()

    async def blind(self, inputs: Sequence[bytes], size: int) -> tuple[object, list[bytes]]:
        """As `Blinder.blind`."""
        worker = min(self._workers, key=lambda one: one.waiting)
        number = next(self._numbers) % 2**32
        return (worker, number), await worker.do(_BLIND, number, size, inputs)

    async def finalise(self, blinded: object, evaluated: Sequence[bytes], proof: bytes, public: bytes) -> list[bytes]:
        """As `Blinder.finalise`."""
        match blinded:
            case (_Worker() as worker, int(number)):
                return await worker.do(_FINALISE, number, 0, [public, proof, *evaluated])
        raise TypeError("another blinder blinded this batch")


@contextlib.asynccontextmanager
async def workers(count: int) -> AsyncIterator[Blinder]:
    """Worker processes that last as long as the block; with a count of one, the work is done in this process.

    Args:
        count: 1 to MAX_WORKERS.

    Raises:
        ValueError: Another count.
    """
    if not 1 <= count <= MAX_WORKERS:
        raise ValueError(f"there can be 1 to {MAX_WORKERS} workers")
    if count == 1:
        yield Here()
        return
    started: list[_Worker] = []
    try:
        for _ in range(count):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-m", "agency_node.blinding"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                # Ctrl-C goes to the terminal's group: this process ends its workers, by closing the pipe.
                process_group=0,
            )
            started.append(_Worker(process))
        yield Workers(started)
    finally:
        for one in started:
            if one.process.stdin is not None:
                one.process.stdin.close()
        for one in started:
            await one.process.wait()


# -- Inside a worker --------------------------------------------------------------------------------------------------


def work(told: BinaryIO, says: BinaryIO) -> None:
    """Do what is told until there is no more.

    Args:
        told: Frames: what to do, number and size of the batch, and byte strings, each with its length before it.
        says: Takes a frame for each.
    """
    held: dict[int, Blinding] = {}
    while len(head := told.read(_FRAME.size)) == _FRAME.size:
        length, what, number, size = _FRAME.unpack(head)
        parts = _parts(told.read(length))
        became, made = _DONE, list[bytes]()
        if what == _BLIND:
            held[number], made = linkage.blind(parts, size)
        else:
            public, proof, *evaluated = parts
            try:
                made = linkage.finalise(held.pop(number), evaluated, proof, public)
            except BadProof:
                became = _BAD_PROOF
        body = lp(*made)
        says.write(_FRAME.pack(len(body), became, number, 0) + body)
        says.flush()


def _parts(joined: bytes) -> list[bytes]:
    """The byte strings that `accord.canonical.lp` joined."""
    found, at = [], 0
    while at < len(joined):
        end = at + _LENGTH.size + _LENGTH.unpack_from(joined, at)[0]
        found.append(joined[at + _LENGTH.size : end])
        at = end
    return found


if __name__ == "__main__":
    work(sys.stdin.buffer, sys.stdout.buffer)
