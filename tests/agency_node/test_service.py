"""Frames that bring rules: only whole bundles that a policy key of the directory signed come into force."""

import asyncio
import contextlib
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from accord import bundle as bundles
from accord.v1 import node_pb2
from agency_node import service
from agency_node.rules import NoRules, catalogue_in_force
from agency_node.store import open_store
from broker import policy
from broker.service import bundle_frames
from tests.world import stack as worlds
from tests.world import trust

Result = TypeVar("Result")
UNKNOWN_FIELD: Final = b"\xba\x3e\x04text"
"""Field 999, length-delimited (https://protobuf.dev/programming-guides/encoding/)."""


@dataclass(slots=True)
class Stage:
    """A node that is handed frames, and the loop it runs in."""

    runner: asyncio.Runner
    world: worlds.World

    def run(self, body: Awaitable[Result]) -> Result:
        async def inside() -> Result:
            return await body

        return self.runner.run(inside())

    @property
    def frames(self) -> service.Frames:
        return self.world.answering["police"].frames

    def handed(self, *frames: node_pb2.AttachResponse) -> list[str]:
        """What a node says to frames: reasons of alarms, or the kind of frame."""
        said: list[str] = []
        for frame in frames:
            for one in self.run(self.frames.handle(frame)):
                said.append(one.alarm.reason if one.WhichOneof("frame") == "alarm" else str(one.WhichOneof("frame")))
        return said

    def activated(self) -> list[str]:
        return [one["policy"] for one in self.world.node_records("police") if one["kind"] == "POLICY_ACTIVATED"]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with asyncio.Runner() as runner:
        running = contextlib.AsyncExitStack()
        home = tmp_path_factory.mktemp("midshire") / "homes"
        world = runner.run(running.enter_async_context(worlds.stack(home, attach=False)))
        try:
            yield Stage(runner, world)
        finally:
            runner.run(running.aclose())


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle on its way down."""

    revision: str
    data: bytes
    catalogue: bytes = b""
    catalogue_digest: str = ""


def bundle(stage: Stage, *, key: ec.EllipticCurvePrivateKey | None = None, marked: str = "") -> Bundle:
    """The shipped rules, or rules that differ in a comment, signed by the broker's policy key or another."""
    files = dict(worlds.policy_files())
    if marked:
        path = "accord/obligations.rego"
        files[path] = files[path] + f"\n# {marked}\n".encode()
    broker = stage.world.federation.broker
    return Bundle(bundles.revision(files), policy.pack(files, key or broker.policy, broker.policy_kid))


def chunks(one: Bundle, size: int | None = None) -> list[node_pb2.AttachResponse]:
    if size is None:
        return bundle_frames(one)
    parts = [one.data[start : start + size] for start in range(0, len(one.data), size)]
    return [
        node_pb2.AttachResponse(
            bundle=node_pb2.BundleChunk(revision=one.revision, number=number, total=len(parts), content=part)
        )
        for number, part in enumerate(parts)
    ]


def test_a_signed_bundle_comes_into_force(stage: Stage) -> None:
    """T-POL-2: in one piece or in many, it is recorded and is what the node decides by from then on."""
    for marked, size in (("one", None), ("two", 1_000)):
        made = bundle(stage, marked=marked)

        assert [] == stage.handed(*chunks(made, size))
        assert (made.revision, made.revision) == (stage.frames.rules.revision(), stage.activated()[-1])
        assert (made.revision, stage.frames.rules.current().catalogue) == catalogue_in_force(
            stage.frames.node.engine, stage.frames.node.directory()
        )


def test_who_asks_finds_no_catalogue_where_no_bundle_is(tmp_path: Path) -> None:
    """T-POL-5: without rules nothing is asked, and the cure says where they come from."""
    engine = open_store(tmp_path / "node.db")

    with pytest.raises(NoRules):
        catalogue_in_force(engine, trust.make_federation().directory)
    engine.dispose()


@pytest.mark.parametrize("what", ["another key", "altered", "another revision", "cut short", "no bundle"])
def test_a_bundle_that_is_not_the_federations_changes_nothing(stage: Stage, what: str) -> None:
    """T-POL-2: it is alarmed, and the rules in force stay in force."""
    before = (stage.frames.rules.revision(), stage.activated())
    good = bundle(stage, marked=what)
    bad = {
        "another key": lambda: bundle(stage, key=ec.generate_private_key(ec.SECP256R1()), marked=what),
        "altered": lambda: Bundle(good.revision, good.data[:-20] + b"x" * 20),
        "another revision": lambda: Bundle("ab" * 32, good.data),
        "cut short": lambda: Bundle(good.revision, good.data[: len(good.data) // 2]),
        "no bundle": lambda: Bundle(good.revision, b"nothing of the kind"),
    }[what]()

    assert ["BAD_BUNDLE"] == stage.handed(*chunks(bad))
    assert before == (stage.frames.rules.revision(), stage.activated())


def test_a_bundle_without_end_is_refused(stage: Stage) -> None:
    """T-SEC-3: what a broker can make a node hold in memory is bounded."""
    content = b"x" * 1024 * 1024
    total = service.MAX_BUNDLE_BYTES // len(content) + 2

    def chunk(number: int) -> node_pb2.AttachResponse:
        piece = node_pb2.BundleChunk(revision="ab" * 32, number=number, total=total + 9, content=content)
        return node_pb2.AttachResponse(bundle=piece)

    assert "BAD_BUNDLE" in stage.handed(*(chunk(number) for number in range(total)))


def test_a_bundle_that_begins_anew_is_taken_whole(stage: Stage) -> None:
    """A stream that broke half-way leaves nothing of the old bundle in the new one."""
    old, new = bundle(stage, marked="old"), bundle(stage, marked="new")
    half: Sequence[node_pb2.AttachResponse] = chunks(old, 1_000)[:3]

    stage.handed(*half)
    stage.frames.hello()
    stage.handed(*half)

    assert [] == stage.handed(*chunks(new, 1_000))
    assert new.revision == stage.frames.rules.revision()


@pytest.mark.parametrize(
    "frame",
    [
        node_pb2.AttachResponse(delivered=node_pb2.AgreementDelivered(record_id="x", sealed=b"not sealed")),
        node_pb2.AttachResponse(withdrawn=node_pb2.AgreementWithdrawn()),
        node_pb2.AttachResponse(question=node_pb2.Question()),
        node_pb2.AttachResponse(head=node_pb2.Head(checkpoint="no checkpoint")),
        node_pb2.AttachResponse.FromString(UNKNOWN_FIELD),
    ],
    ids=["delivery", "withdrawal", "question", "head", "unknown field"],
)
def test_a_malformed_frame_is_an_alarm_and_no_more(stage: Stage, frame: node_pb2.AttachResponse) -> None:
    """T-SEC-3: one alarm with a code of the list; the next frame is handled as if nothing had been."""
    (reason,) = stage.handed(frame)

    assert reason in {"BAD_AGREEMENT", "BAD_CHECKPOINT", "BAD_REQUEST", "BAD_ENVELOPE"}
    assert [] == stage.handed(*chunks(bundle(stage, marked="after")))


def test_a_frame_of_no_kind_is_passed_over(stage: Stage) -> None:
    """A broker that is newer than this node may send what it does not know; it gets no answer, and no alarm."""
    assert [] == stage.handed(node_pb2.AttachResponse())


def test_the_hello_says_how_far_this_node_has_come(stage: Stage) -> None:
    """T-AUD-6: the newest head it countersigned, the rules it holds, and its directory's version."""
    hello = stage.frames.hello()

    assert ("police", stage.frames.rules.revision(), 1) == (
        hello.agency,
        hello.policy_revision,
        hello.directory_version,
    )
    assert hello.head_size > 0
    assert 32 == len(hello.head_root)
