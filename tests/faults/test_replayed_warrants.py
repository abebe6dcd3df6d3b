"""One warrant, one look-up: whoever shows a warrant again, in whatever letters, where and when, gets nothing new.

A real node is handed real frames by a broker that has every key of the broker's. Its clock stands still, so that what
is refused is refused for what it is and not because it became too old meanwhile.
"""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, Final, TypeVar

import pytest
from sqlalchemy import delete

from accord.v1 import broker_pb2, node_pb2
from agency_node.store import writing
from agency_node.store.tables import answered
from tests.world import hostile, trust
from tests.world import stack as worlds

SEED: Final = 20_261_122
ASK: Final = "police"
ROB: Final = {
    "first_name": "Robin",
    "last_name": "Aldermoor",
    "date_of_birth": "2012-03-08",
    "sex": "male",
    "address": "5 Weir Bank",
    "postcode": "MD6 2RT",
    "role": "child",
}
AT_ONCE: Final = 64
BESIDE: Final = Path(sys.executable).parent
Result = TypeVar("Result")


@dataclass(slots=True)
class Tally:
    """What came of the attempts so far.

    Attributes:
        tried: Way -> attempts that must not be answered.
        accepted: Way -> attempts that were.
        retries: The same frame again on the same stream.
        identical: Those of them that got the bytes given before.
    """

    tried: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    identical: int = 0

    def count(self, way: str, stream: worlds.Stream) -> None:
        """An attempt that must get no answer."""
        self.tried[way] += 1
        self.accepted[way] += bool(stream.answers)

    def count_retry(self, first: Sequence[bytes], stream: worlds.Stream) -> None:
        """A repetition that must get the same bytes."""
        self.retries += 1
        self.identical += stream.answers == list(first)


@dataclass(slots=True)
class Stage:
    """Real nodes that are not attached, the broker that hands them frames, and a clock that stands still."""

    runner: asyncio.Runner
    world: worlds.World
    broker: hostile.DishonestBroker
    other: trust.Federation

    def run(self, body: Awaitable[Result]) -> Result:
        async def inside() -> Result:
            return await body

        return self.runner.run(inside())

    async def request(self) -> broker_pb2.AskRequest:
        """A really signed question to police and housing."""
        question = hostile.question([ROB], agencies=["housing", ASK])
        return (await hostile.prepared(self.world, question))[0].request

    async def hand(self, agency: str, frame: node_pb2.AttachResponse, at_ns: int) -> worlds.Stream:
        """What a node makes of a frame at a moment."""
        frames = replace(self.world.answering[agency].frames, now_ns=lambda: at_ns)
        return worlds.Stream([frame], list(await frames.handle(frame)))

    def lookups(self) -> int:
        """How often the node looked into its records, by its own ledger."""
        return sum(one["kind"] == "ANSWERED" for one in self.world.node_records(ASK))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    records = {ASK: [worlds.held(1, ROB, contacts=[worlds.ago(12)])]}
    with asyncio.Runner() as runner:
        running = contextlib.AsyncExitStack()
        home = tmp_path_factory.mktemp("midshire") / "homes"
        world = runner.run(running.enter_async_context(worlds.stack(home, records, attach=False)))
        try:
            yield Stage(runner, world, hostile.DishonestBroker(world), trust.make_federation(name="eastshire"))
        finally:
            runner.run(running.aclose())


def changed(frame: node_pb2.AttachResponse, **fields: Any) -> node_pb2.AttachResponse:
    """The frame with fields of its question replaced."""
    copy = node_pb2.AttachResponse()
    copy.CopyFrom(frame)
    for name, value in fields.items():
        setattr(copy.question, name, value)
    return copy


def respelt(token: str, random: Random) -> list[str]:
    """The same warrant in other letters, some of which lenient readers take for the same."""
    header, payload, signature = token.split(".")
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # 64 bytes fill 85 letters and two bits of the 86th; its other four bits are decoded by nobody who is lenient.
    stray = [signature[:-1] + last[last.index(signature[-1]) ^ bits] for bits in (1, 2, 4, 8)]
    at = random.randrange(len(token))
    return [
        token + "==",
        token + "=",
        f"{header}.{payload}=.{signature}",
        token.upper(),
        token.lower(),
        token.swapcase(),
        token + " ",
        " " + token,
        token + "\n",
        token + "\0",
        token + ".",
        token[:at] + " " + token[at:],
        token[:at] + "\n" + token[at:],
        token.replace("-", "+").replace("_", "/") + "=",
        token.replace(".", "%2E"),
        "Bearer " + token,
        *(f"{header}.{payload}.{one}" for one in stray),
    ]


async def attempts(stage: Stage, tally: Tally, rounds: int, random: Random) -> None:
    """Each round: one question that is answered once, and its warrant shown again in every way."""
    request = await stage.request()
    # Nothing is asked of the broker meanwhile, so its head stays what it is.
    heads = {agency: await stage.broker.head(agency) for agency in (ASK, "housing")}
    for _ in range(rounds):
        other = await stage.request()
        at_ns = stage.world.now_ns()
        jti = hostile.new_id()
        token = stage.broker.warrant(request, [ASK], jti=jti, now_s=at_ns // hostile.SECOND_NS)
        frame = await stage.broker.frame(request, ASK, token=token, head=heads[ASK])
        misused = await stage.broker.frame(other, ASK, token=token, head=heads[ASK])
        elsewhere = await stage.broker.frame(request, "housing", token=token, head=heads["housing"])
        first = (await stage.hand(ASK, frame, at_ns)).answers
        assert 1 == len(first)

        for spelt in respelt(token, random):
            tally.count("other letters", await stage.hand(ASK, changed(frame, warrant=spelt), at_ns))
            tally.count("other letters", await stage.hand(ASK, changed(misused, warrant=spelt), at_ns))
        for _ in range(2):
            tally.count_retry(first, await stage.hand(ASK, frame, at_ns))
            tally.count("other question", await stage.hand(ASK, misused, at_ns))
            tally.count("other node", await stage.hand("housing", elsewhere, at_ns))
            # Signed anew by the broker itself for another question: the number counts, not the letters.
            again = stage.broker.warrant(other, [ASK], jti=jti, now_s=at_ns // hostile.SECOND_NS)
            tally.count("number minted anew", await stage.hand(ASK, changed(misused, warrant=again), at_ns))
            foreign = {"key": stage.other.broker.warrant, "jti": jti, "now_s": at_ns // hostile.SECOND_NS}
            for federation in ("midshire", "eastshire"):
                forged = stage.broker.warrant(request, [ASK], federation=federation, **foreign)
                tally.count("other broker", await stage.hand(ASK, changed(frame, warrant=forged), at_ns))
            misled = stage.broker.warrant(
                request, [ASK], federation="eastshire", jti=jti, now_s=at_ns // hostile.SECOND_NS
            )
            tally.count("other broker", await stage.hand(ASK, changed(frame, warrant=misled), at_ns))
            # A second warrant for the same question is no second look-up either.
            second = stage.broker.warrant(request, [ASK], now_s=at_ns // hostile.SECOND_NS)
            tally.count_retry(first, await stage.hand(ASK, changed(frame, warrant=second), at_ns))
        request = other


async def together(stage: Stage, tally: Tally) -> None:
    """64 at once: the same question, and as many questions with one warrant's number."""
    request, *others = [await stage.request() for _ in range(AT_ONCE + 1)]
    at_ns = stage.world.now_ns()
    minted = {"agencies": [ASK], "now_s": at_ns // hostile.SECOND_NS}
    head = await stage.broker.head(ASK)
    frame = await stage.broker.frame(request, ASK, token=stage.broker.warrant(request, **minted), head=head)
    streams = await asyncio.gather(*(stage.hand(ASK, frame, at_ns) for _ in range(AT_ONCE)))
    for stream in streams:
        tally.count_retry(streams[0].answers, stream)
    jti = hostile.new_id()
    frames = [
        await stage.broker.frame(one, ASK, token=stage.broker.warrant(one, jti=jti, **minted), head=head)
        for one in others
    ]
    streams = await asyncio.gather(*(stage.hand(ASK, one, at_ns) for one in frames))
    # One of them is the first use of that number; it is the only one that may be answered.
    winners = [stream for stream in streams if stream.answers]
    for stream in [one for one in streams if one is not winners[0]]:
        tally.count("at once", stream)


async def restarted(stage: Stage, tally: Tally) -> None:
    """The node is stopped and opened anew between two uses."""
    request, other = [await stage.request() for _ in range(2)]
    at_ns = stage.world.now_ns()
    token = stage.broker.warrant(request, [ASK], now_s=at_ns // hostile.SECOND_NS)
    frame = await stage.broker.frame(request, ASK, token=token)
    misused = await stage.broker.frame(other, ASK, token=token)
    first = (await stage.hand(ASK, frame, at_ns)).answers
    await stage.world.stop(ASK)
    await stage.world.start(ASK, attach=False)
    tally.count_retry(first, await stage.hand(ASK, frame, at_ns))
    tally.count("after a restart", await stage.hand(ASK, misused, at_ns))


async def restored(stage: Stage, told: bool) -> int:
    """The node's state is put back from a copy made before the answer; how many of its warrants are answered again.

    Args:
        stage: The nodes.
        told: Whether the operator runs the command that says so.
    """
    file = stage.world.settings[ASK].database
    await stage.world.stop(ASK)
    copy = file.with_suffix(".copy")
    shutil.copyfile(file, copy)
    await stage.world.start(ASK, attach=False)
    frames = []
    for _ in range(8):
        request = await stage.request()
        frames.append((await stage.broker.frame(request, ASK), stage.world.now_ns()))
        assert (await stage.hand(ASK, *frames[-1])).answers
    await asyncio.sleep(1.0)  # A warrant's time is in whole seconds.
    await stage.world.stop(ASK)
    for end in ("", "-wal", "-shm"):
        file.with_name(file.name + end).unlink(missing_ok=True)
    shutil.copyfile(copy, file)
    if told:
        words = [str(BESIDE / "accord-node"), "restored", "--home", str(stage.world.home / ASK)]
        subprocess.run(words, check=True, capture_output=True, timeout=600)
    await stage.world.start(ASK, attach=False)
    # By its clock as it was then: what is refused is not refused for its age.
    streams = [await stage.hand(ASK, frame, at_ns) for frame, at_ns in frames]
    return sum(bool(stream.answers) for stream in streams)


def figures(tally: Tally, seed: int) -> str:
    """The line of the register."""
    tried = sum(tally.tried.values())
    ways = " ".join(f"{way.replace(' ', '_')}={count}" for way, count in sorted(tally.tried.items()))
    return (
        f"T-SEC-1 accepted={sum(tally.accepted.values())} of {tried} "
        f"same_channel_identical={tally.identical}/{tally.retries} {ways} seed={seed}"
    )


@pytest.mark.parametrize("rounds", [pytest.param(2, id="few"), pytest.param(192, id="many", marks=pytest.mark.prove)])
def test_a_replayed_warrant_is_refused(stage: Stage, rounds: int) -> None:
    """T-SEC-1: nothing shown again is accepted, and an honest repetition gets the same bytes without a look-up."""
    seed = int(os.environ.get("SEED", SEED))
    tally = Tally()
    before = stage.lookups()

    stage.run(attempts(stage, tally, rounds, Random(seed)))
    stage.run(together(stage, tally))
    stage.run(restarted(stage, tally))
    # One for each question of a round, for the one asked 64 times, for the one winner, and for the one of the restart.
    lookups = stage.lookups() - before - rounds - 3
    print(figures(tally, seed), f"lookups_too_many={lookups}")

    assert {} == +tally.accepted
    assert tally.retries == tally.identical
    assert 0 == lookups
    assert sum(tally.tried.values()) > 50 * rounds


def test_a_node_that_forgot_what_it_answered_is_seen_to_accept(stage: Stage) -> None:
    """The control: with the used warrants gone from its state, the same count finds that replays are accepted.

    It comes before a copy is put back: right after that, warrants of the same second count as warrants of before.
    """

    async def forgetful() -> Tally:
        tally = Tally()
        jti = hostile.new_id()
        for _ in range(3):
            request = await stage.request()
            frame = await stage.broker.frame(request, ASK, token=stage.broker.warrant(request, [ASK], jti=jti))
            tally.count("number minted anew", await stage.hand(ASK, frame, stage.world.now_ns()))
            with writing(stage.world.answering[ASK].home.engine) as connection:
                connection.execute(delete(answered))
        return tally

    # The first use is none; one more is one too many.
    assert sum(stage.run(forgetful()).accepted.values()) > 1


def test_after_a_restored_copy_no_warrant_of_before_is_good(stage: Stage) -> None:
    """T-SEC-1: what was used since the copy was made is not known any more, so nothing of that time is accepted.

    The control: where nobody says that a copy was put back, all of them are answered again.
    """
    control = stage.run(restored(stage, told=False))
    accepted = stage.run(restored(stage, told=True))
    print(f"T-SEC-1 after_restore_accepted={accepted} of 8 control_accepted={control}")

    assert (0, 8) == (accepted, control)
    assert 1 == sum(one["kind"] == "RESTORED" for one in stage.world.node_records(ASK))
