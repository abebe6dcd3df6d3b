"""Blind match keys and finish tokens: in this process, or in worker processes that a large index keeps busy.

    Blinder.blind(batches) -> elements for a key server ... its output -> Blinder.finalise -> tokens

What one call to a key server carries goes to a worker at one go, for a journey there and back costs as much as an
element.

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
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, ClassVar, Final, NamedTuple, Protocol

from accord import linkage
from accord.canonical import lp
from accord.linkage import BadProof, Blinding
from accord.reasons import Problem

MAX_WORKERS: Final = 16
_BLIND: Final = 0
_FINALISE: Final = 1
_DONE: Final = 0
_BAD_PROOF: Final = 1
_FRAME: Final = struct.Struct(">IBI")
"""Bytes that follow, what to do or what became of it, and the number of what was blinded together."""
_LENGTH: Final = struct.Struct(">I")
_SIZE: Final = struct.Struct(">H")
_ENVIRONMENT: Final = ("PATH", "LD_LIBRARY_PATH", "LANG", "TZ")


class WorkerEnded(Problem):
    """A worker process ended before its work was done, for want of memory perhaps."""

    reason: ClassVar[str] = "INDEX_INTERRUPTED"


class Plain(NamedTuple):
    """Inputs of one family, and the size to which they are padded."""

    inputs: Sequence[bytes]
    size: int


class Evaluated(NamedTuple):
    """What a key server made of a batch, its proof, and its pinned public key; see `accord.linkage.finalise`."""

    elements: Sequence[bytes]
    proof: bytes
    public: bytes


class Blinder(Protocol):
    """Where blinding and finishing are done."""

    async def blind(self, batches: Sequence[Plain]) -> tuple[object, list[list[bytes]]]:
        """Blind the batches of one call.

        Returns:
            What `finalise` needs, good once, and the elements to send for each batch, 32 bytes each.
        """

    async def finalise(self, blinded: object, outputs: Sequence[Evaluated]) -> list[list[bytes]]:
        """Check a key server's proofs and unblind its outputs, one for each batch that was blinded.

        Raises:
            accord.linkage.BadProof: One does not hold, or they are not as many as the batches; then none is used.
        """


@dataclass(slots=True)
class Here:
    """In this process, giving way to other work now and then: answers must go out.

    Attributes:
        random: Source of padding.
    """

    random: Callable[[int], bytes] = os.urandom
    _since: int = 0

    async def blind(self, batches: Sequence[Plain]) -> tuple[object, list[list[bytes]]]:
        """As `Blinder.blind`."""
        held, sent = _Held([]), []
        for batch in batches:
            blinding, elements = linkage.blind(*batch, self.random)
            held.batches.append(blinding)
            sent.append(elements)
            await self._give_way(len(elements))
        return held, sent

    async def finalise(self, blinded: object, outputs: Sequence[Evaluated]) -> list[list[bytes]]:
        """As `Blinder.finalise`."""
        if not isinstance(blinded, _Held):
            raise TypeError("another blinder blinded this")
        made = []
        for blinding, output in _pairs(blinded.take(), outputs):
            made.append(linkage.finalise(blinding, *output))
            await self._give_way(len(output.elements))
        return made

    async def _give_way(self, elements: int) -> None:
        # A turn of the loop costs as much as an element, so it is not one for each family of a single person.
        self._since += elements
        if self._since >= linkage.AT_ONCE:
            self._since = 0
            await asyncio.sleep(0)


@dataclass(slots=True)
class _Held:
    """The secret halves of what one call carries, good once."""

    batches: list[Blinding]

    def take(self) -> list[Blinding]:
        """Them, once."""
        taken, self.batches = self.batches, []
        return taken


def _pairs(held: Sequence[Blinding], outputs: Sequence[Evaluated]) -> Iterator[tuple[Blinding, Evaluated]]:
    if not held or len(held) != len(outputs):
        raise BadProof("a key server answered for other batches than it was sent")
    return zip(held, outputs, strict=True)


@dataclass(slots=True)
class _Worker:
    """One worker process, and how many batches wait for it."""

    process: asyncio.subprocess.Process
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0

    async def do(self, what: int, number: int, batches: Iterable[bytes]) -> list[list[bytes]]:
        """Have it do one thing.

        Raises:
            BadProof: A key server's proof does not hold.
            WorkerEnded: The process is gone.
        """
        told, heard = self.process.stdin, self.process.stdout
        if told is None or heard is None:
            raise TypeError("a worker is started with pipes")
        body = lp(*batches)
        self.waiting += 1
        try:
            async with self.turn:
                told.write(_FRAME.pack(len(body), what, number) + body)
                await told.drain()
                length, became, _ = _FRAME.unpack(await heard.readexactly(_FRAME.size))
                reply = await heard.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise WorkerEnded("a worker process ended by itself; if memory is short, use fewer --workers") from None
        finally:
            self.waiting -= 1
        if became == _BAD_PROOF:
            raise BadProof("a key server's proof does not hold")
        return [_parts(batch) for batch in _parts(reply)]


class Workers:
    """Several worker processes. What was blinded in one is finished there."""

    def __init__(self, started: Sequence[_Worker]) -> None:
        """Use these processes; see `workers`."""
        self._workers = started
        self._numbers = itertools.count()

    async def blind(self, batches: Sequence[Plain]) -> tuple[object, list[list[bytes]]]:
        """As `Blinder.blind`."""
        worker = min(self._workers, key=lambda one: one.waiting)
        number = next(self._numbers) % 2**32
        words = (_SIZE.pack(size) + lp(*inputs) for inputs, size in batches)
        return (worker, number), await worker.do(_BLIND, number, words)

    async def finalise(self, blinded: object, outputs: Sequence[Evaluated]) -> list[list[bytes]]:
        """As `Blinder.finalise`."""
        match blinded:
            case (_Worker() as worker, int(number)):
                words = (lp(public, proof, *elements) for elements, proof, public in outputs)
                return await worker.do(_FINALISE, number, words)
        raise TypeError("another blinder blinded this")


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
        told: Frames: what to do, a number, and byte strings for each batch, each with its length before it.
        says: Takes a frame for each.
    """
    held: dict[int, list[Blinding]] = {}
    while len(head := told.read(_FRAME.size)) == _FRAME.size:
        length, what, number = _FRAME.unpack(head)
        batches = _parts(told.read(length))
        became, made = _DONE, list[list[bytes]]()
        if what == _BLIND:
            held[number] = []
            for batch in batches:
                blinding, elements = linkage.blind(_parts(batch[_SIZE.size :]), *_SIZE.unpack_from(batch))
                held[number].append(blinding)
                made.append(elements)
        else:
            outputs = [Evaluated(elements, proof, public) for public, proof, *elements in map(_parts, batches)]
            try:
                made = [
                    linkage.finalise(blinding, *output) for blinding, output in _pairs(held.pop(number, []), outputs)
                ]
            except BadProof:
                became, made = _BAD_PROOF, []
        body = lp(*(lp(*batch) for batch in made))
        says.write(_FRAME.pack(len(body), became, number) + body)
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
