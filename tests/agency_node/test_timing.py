"""How long a node takes tells nothing of what it found: its answers leave at a steady pace."""

import asyncio
import contextlib
import itertools
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

import grpc
import grpc.aio
import pytest

from accord.v1 import node_pb2, node_pb2_grpc
from agency_node import session
from tests.world import hostile
from tests.world import stack as worlds

PATIENCE_S: Final = 60.0
"""Longest wait for what must come, seconds; it bounds hanging and judges no speed."""
PACE_S: Final = 0.1
EACH: Final = 250
FEWEST: Final = 125
"""Answers of each kind: so many at this pace, fewer at a slower one, but no fewer than this."""
DEVIATIONS: Final = 3.6
"""How many standard deviations of the measure count as telling apart. One pair of kinds that do not differ is that far
off by chance 3.2 times in 10,000 (both sides of a normal distribution); that one of six is, and is once more when
measured anew, happens less than once in a million runs: 6 * 0.00032 ** 2 = 6e-7."""
SEED: Final = 20261122


class Timekeeper(node_pb2_grpc.NodeSessionServiceServicer):
    """The broker's end of one stream: sends a question and takes the time until its answer is there."""

    def __init__(self) -> None:
        self._down: asyncio.Queue[node_pb2.AttachResponse] = asyncio.Queue()
        self._answers: asyncio.Queue[float] = asyncio.Queue()
        self._reading: asyncio.Task[None] | None = None
        self.heard: list[tuple[str, float]] = []

    async def Attach(self, frames: AsyncIterator[node_pb2.AttachRequest], context: Any) -> AsyncIterator[Any]:
        self._reading = asyncio.create_task(self._read(frames))
        while True:
            yield await self._down.get()

    async def _read(self, frames: AsyncIterator[node_pb2.AttachRequest]) -> None:
        async for frame in frames:
            self.heard.append((frame.WhichOneof("frame") or "", time.monotonic()))
            if frame.WhichOneof("frame") == "answered":
                self._answers.put_nowait(time.monotonic())

    async def seconds(self, frame: node_pb2.AttachResponse) -> float:
        """From sending this frame to its answer."""
        sent = time.monotonic()
        self._down.put_nowait(frame)
        return await asyncio.wait_for(self._answers.get(), PATIENCE_S) - sent


@contextlib.asynccontextmanager
async def attached(world: worlds.World, handle: session.Handle, pace_s: float) -> AsyncIterator[Timekeeper]:
    """The police's node, or what stands for it, on a stream of its own."""
    keeper = Timekeeper()
    server = grpc.aio.server()
    node_pb2_grpc.add_NodeSessionServiceServicer_to_server(keeper, server)
    channel = world.federation.broker.channel
    credentials = grpc.ssl_server_credentials(
        [(channel.key_pem, channel.certificate_pem)], world.federation.ca_pem, require_client_auth=True
    )
    port = server.add_secure_port("localhost:0", credentials)
    await server.start()
    parts = world.answering["police"]
    keeping = asyncio.create_task(
        session.keep(f"localhost:{port}", parts.home.identity, parts.frames.hello, handle, lambda _: None, pace_s)
    )
    try:
        yield keeper
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})
        await server.stop(0)


@pytest.mark.parametrize(("elapsed_ms", "wanted_ms"), [(0, 40), (1, 40), (39.9, 40), (40, 40), (40.1, 80), (95, 120)])
def test_an_answer_leaves_at_a_whole_step(elapsed_ms: float, wanted_ms: float) -> None:
    """T-LNK-2: whatever was done meanwhile."""
    assert pytest.approx(wanted_ms / 1_000) == elapsed_ms / 1_000 + session.held_s(elapsed_ms / 1_000, 0.04)


def test_without_a_pace_nothing_waits() -> None:
    """The setting 0 is for measuring."""
    assert session.held_s(0.013, 0.0) == 0.0


def area_under_curve(one: Sequence[float], other: Sequence[float]) -> float:
    """How well times tell two kinds apart: 0.5 not at all, 1 always (Mann and Whitney's U over all pairs)."""
    ranked = sorted([(value, 0) for value in one] + [(value, 1) for value in other])
    above, score = 0, 0
    for _, kind in ranked:
        above += kind == 0
        score += above if kind == 1 else 0
    area = score / (len(one) * len(other))
    return max(area, 1 - area)


def by_chance(each: int) -> float:
    """The most that two kinds of so many times each come to that do not differ.

    The standard deviation of U / n^2 is that of H. B. Mann and D. R. Whitney, "On a test of whether one of two random
    variables is stochastically larger than the other", Annals of Mathematical Statistics 18, 1947.
    """
    return 0.5 + DEVIATIONS * math.sqrt((2 * each + 1) / (12 * each * each))


def test_the_measure_of_telling_apart_tells_apart() -> None:
    """A measure that always says one half would pass anything."""
    random = Random(SEED)
    alike = [[random.random() for _ in range(2_000)] for _ in range(2)]

    assert 1.0 == area_under_curve([1.0, 2.0], [3.0, 4.0])
    assert area_under_curve(*alike) == pytest.approx(0.5, abs=0.03)


def somebody(first: str, last: str, born: str, postcode: str) -> dict[str, Any]:
    named = {"first_name": first, "last_name": last, "sex": "female", "role": "child"}
    return named | {"date_of_birth": born, "address": "11 Candle Lane", "postcode": postcode}


KNOWN: Final = somebody("Edda", "Farrowby", "2013-05-17", "MD2 5CL")
TWICE: Final = somebody("Orla", "Hexgrave", "2011-01-20", "MD4 5BY")
STRANGER: Final = somebody("Ursa", "Lambourne", "2016-06-26", "MD8 5FG")


@contextlib.asynccontextmanager
async def police(folder: Path) -> AsyncIterator[worlds.World]:
    contact = [worlds.ago(20)]
    records = {
        "police": [
            worlds.held(1, KNOWN, contacts=contact),
            worlds.held(2, TWICE, contacts=contact),
            worlds.held(3, TWICE),
        ]
    }
    async with worlds.stack(folder / "homes", records, attach=False) as world:
        yield world


async def times(
    world: worlds.World, broker: hostile.DishonestBroker, pace_s: float, each: int, seed: int = SEED
) -> Mapping[str, list[float]]:
    """Seconds for each kind of outcome, in an order drawn at random."""
    kinds: Mapping[str, tuple[Mapping[str, Any], dict[str, Any]]] = {
        "yes": (KNOWN, {}),
        "no": (STRANGER, {}),
        "ambiguous": (TWICE, {}),
        "other rules": (KNOWN, {"policy": "ab" * 32}),
    }
    order = [kind for kind in kinds for _ in range(each)]
    Random(seed).shuffle(order)
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    frames = world.answering["police"].frames
    async with attached(world, frames.handle, pace_s) as keeper:
        for kind in order:
            person, warranted = kinds[kind]
            asked = hostile.question([person], agencies=["police"])
            made = (await hostile.prepared(world, asked))[0].request
            frame = await broker.frame(made, "police", token=broker.warrant(made, **warranted))
            found[kind].append(await keeper.seconds(frame))
    return found


def areas(found: Mapping[str, list[float]]) -> dict[str, float]:
    """How well time tells each two kinds apart."""
    return {
        f"{one}/{other}": area_under_curve(found[one], found[other])
        for one, other in itertools.combinations(sorted(found), 2)
    }


@pytest.mark.prove
def test_time_does_not_tell_what_was_found(tmp_path: Path) -> None:
    """T-LNK-2: whoever times a thousand answers does no better than guessing; without the pace they would."""

    async def measure() -> tuple[dict[str, float], dict[str, float], dict[str, float], float, int]:
        async with police(tmp_path) as world:
            broker = hostile.DishonestBroker(world)
            control = await times(world, broker, 0.0, 60)
            # A step must have room for the work of every kind, also on a slow machine.
            pace_s = max(PACE_S, 2.0 * max(map(max, control.values())))
            each = max(FEWEST, round(EACH * PACE_S / pace_s))
            paced = again = areas(await times(world, broker, pace_s, each))
            if max(paced.values()) > by_chance(each):
                again = areas(await times(world, broker, pace_s, each, SEED + 1))
            return paced, again, areas(control), pace_s, each

    paced, again, control, pace_s, each = asyncio.run(measure())
    pair, control_pair = max(paced, key=paced.__getitem__), max(control, key=control.__getitem__)
    print(
        f"T-LNK-2 auc={paced[pair]:.3f} ({pair}; again {again[pair]:.3f}) by_chance={by_chance(each):.3f} "
        f"of {4 * each} answers at {pace_s * 1_000:.0f} ms, seed={SEED};"
        f" control without pace auc={control[control_pair]:.3f} ({control_pair})"
    )

    assert max(min(paced[one], again[one]) for one in paced) <= by_chance(each)
    assert control[control_pair] > 0.8


def test_what_waits_for_its_step_holds_up_nothing_else(tmp_path: Path) -> None:
    """T-CON-2: a withdrawal or a head behind a question is dealt with at once."""
    waiting = node_pb2.AttachRequest(answered=node_pb2.Answered(query_id="q"))
    came: list[float] = []

    async def handle(frame: node_pb2.AttachResponse) -> Sequence[node_pb2.AttachRequest]:
        came.append(time.monotonic())
        return [waiting]

    async def run(body: Callable[[Timekeeper], Any]) -> list[float]:
        async with (
            worlds.stack(tmp_path / "homes", {"police": []}, attach=False) as world,
            attached(world, handle, 1.5) as keeper,
        ):
            return list(await body(keeper))

    async def both(keeper: Timekeeper) -> list[float]:
        frame = node_pb2.AttachResponse(head=node_pb2.Head())
        return list(await asyncio.gather(keeper.seconds(frame), keeper.seconds(frame)))

    took = asyncio.run(run(both))

    # The first answer had not left yet.
    assert came[1] - came[0] < 1.4
    assert min(took) >= 1.5


def test_nothing_else_that_is_sent_back_tells_how_long_a_question_took(tmp_path: Path) -> None:
    """T-LNK-2: neither the countersignature sent with the answer, nor that of a head right behind the question."""
    cosigned = node_pb2.AttachRequest(cosigned=node_pb2.Cosigned(size=1))

    async def handle(frame: node_pb2.AttachResponse) -> Sequence[node_pb2.AttachRequest]:
        asked = frame.WhichOneof("frame") == "question"
        return [cosigned, node_pb2.AttachRequest(answered=node_pb2.Answered())] if asked else [cosigned]

    async def run() -> tuple[float, list[tuple[str, float]]]:
        async with (
            worlds.stack(tmp_path / "homes", {"police": []}, attach=False) as world,
            attached(world, handle, 0.5) as keeper,
        ):
            sent = time.monotonic()
            asked = keeper.seconds(node_pb2.AttachResponse(question=node_pb2.Question()))
            behind = keeper.seconds(node_pb2.AttachResponse(head=node_pb2.Head()))
            waiting = asyncio.gather(asked, behind, return_exceptions=True)
            while len(keeper.heard) < 4:
                await asyncio.sleep(0.01)
            waiting.cancel()
            return sent, keeper.heard

    sent, heard = asyncio.run(asyncio.wait_for(run(), PATIENCE_S))

    assert ["hello", "cosigned", "answered", "cosigned"] == [what for what, _ in heard]
    assert min(at for what, at in heard if what != "hello") - sent >= 0.5
