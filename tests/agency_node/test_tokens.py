"""Tokens through both key servers, over real channels on loopback."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
import pytest

from accord.identity import (
    FAMILIES,
    SUBJECT_FAMILIES,
    Description,
    MatchKey,
    describe,
    match_keys,
    subject_keys,
)
from accord.linkage import MAX_BATCH, MAX_ELEMENTS, BadProof, FamilyKey, subject_tag
from accord.v1 import keys_pb2, keys_pb2_grpc
from agency_node.channel import Remote
from agency_node.tokens import ASK, INDEX, KeyPublics, WrongEpoch, subject_tags, tokens
from tests.bench.direct import DirectKeyServer

EPOCH = "2026-1"
BROKER_KEYS = {one.id: FamilyKey(b"b" * 32, EPOCH, one.id) for one in FAMILIES}
STEWARD_KEYS = {one.id: FamilyKey(b"s" * 32, EPOCH, one.id) for one in (*FAMILIES, *SUBJECT_FAMILIES)}
PUBLICS = KeyPublics(
    EPOCH,
    {family: key.public for family, key in BROKER_KEYS.items()},
    {family: key.public for family, key in STEWARD_KEYS.items()},
)
JAMIE = describe(
    first_name="Jamie", last_name="Thorley", middle_names="Alan", date_of_birth="2013-03-09", sex="m",
    address="Flat 3, 14 Larkspur Rise", postcode="MD4 7QT",
)  # fmt: skip
ANNE = describe(
    first_name="Anne Marie", last_name="Calloway", date_of_birth="1988-05-21", postcode="MD4 7QT",
    nhs_number="999 123 4578",
)  # fmt: skip


@dataclass
class SimulatedKeyServer(keys_pb2_grpc.KeyServiceServicer):
    """Evaluates, remembers every request, and may spoil its response."""

    keys: dict[str, FamilyKey]
    spoil: Callable[[keys_pb2.EvaluateResponse], None] = lambda _: None
    delay_s: float = 0
    heard: list[keys_pb2.EvaluateRequest] = field(default_factory=list)

    async def Evaluate(self, request, context):
        self.heard.append(request)
        await asyncio.sleep(self.delay_s)
        response = keys_pb2.EvaluateResponse()
        for batch in request.batches:
            evaluated, proof = self.keys[batch.family].evaluate(batch.blinded)
            response.outputs.add(family=batch.family, evaluated=evaluated, proof=proof)
        self.spoil(response)
        return response


@asynccontextmanager
async def stub(servicer: SimulatedKeyServer) -> AsyncIterator[Any]:
    """A client of a key server that listens on loopback."""
    server = grpc.aio.server()
    keys_pb2_grpc.add_KeyServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield keys_pb2_grpc.KeyServiceStub(channel)
    finally:
        await server.stop(None)


def between(
    act: Callable[[Any, Any], Awaitable[list[bytes]]], broker: SimulatedKeyServer, steward: SimulatedKeyServer
) -> list[bytes]:
    """Run something against both servers."""

    async def run() -> list[bytes]:
        async with stub(broker) as first, stub(steward) as second:
            return await act(first, second)

    return asyncio.run(run())


def made(
    keys: list[MatchKey],
    broker: SimulatedKeyServer | None = None,
    steward: SimulatedKeyServer | None = None,
    **changed: Any,
) -> list[bytes]:
    """Tokens of keys."""

    def act(first: Any, second: Any) -> Coroutine[Any, Any, list[bytes]]:
        asked: dict[str, Any] = {"publics": PUBLICS, "use": ASK, "deadline_s": 20.0} | changed
        return tokens(keys, broker=first, steward=second, **asked)

    return between(act, broker or SimulatedKeyServer(BROKER_KEYS), steward or SimulatedKeyServer(STEWARD_KEYS))


def expected(keys: list[MatchKey]) -> list[bytes]:
    """The same tokens, computed by whoever holds both seeds."""
    return [STEWARD_KEYS[key.family].direct(BROKER_KEYS[key.family].direct(key.input)) for key in keys]


def sizes(server: SimulatedKeyServer) -> list[list[tuple[str, int]]]:
    """What a server can tell from its requests."""
    return [[(batch.family, len(batch.blinded)) for batch in request.batches] for request in server.heard]


def test_tokens_are_those_of_the_cascade_in_the_order_of_the_keys() -> None:
    """The broker's key server first, then the steward's."""
    keys = [*match_keys(JAMIE), *match_keys(ANNE)]

    assert expected(keys) == made(keys)


def test_many_people_go_in_several_calls_of_bounded_size() -> None:
    """An index is built fifty people at a time, never more than 1,000 elements or 64 KiB a call."""
    people = [
        describe(
            first_name="Jamie", last_name="Thorley", date_of_birth=f"2013-{1 + i % 12:02}-09", postcode=f"MD{i} 7QT"
        )
        for i in range(50)
    ]
    keys = [key for one in people for key in match_keys(one)]
    broker, steward = SimulatedKeyServer(BROKER_KEYS), SimulatedKeyServer(STEWARD_KEYS)
    found = made(keys, broker, steward, use=INDEX, checkpoint="x" * 4_000)

    assert expected(keys[::97]) == found[::97]
    for request in (*broker.heard, *steward.heard):
        families = [batch.family for batch in request.batches]
        counts = [len(batch.blinded) for batch in request.batches]
        assert keys_pb2.KEY_USE_INDEX == request.use
        assert len(families) == len(set(families))
        assert sum(counts) <= MAX_ELEMENTS
        assert max(counts) <= MAX_BATCH
        assert request.ByteSize() <= 65_536


@pytest.mark.parametrize(
    "other",
    [
        describe(first_name="Jo", last_name="Ng", date_of_birth="2013-03-09"),
        describe(first_name="Christina", last_name="O'Sullivan", date_of_birth="1950-01-02", postcode="AB12 3CD"),
        ANNE,
    ],
    ids=["little known", "long names", "with NHS number"],
)
def test_a_server_sees_the_same_sizes_whoever_is_asked_about(other: Description) -> None:
    """T-LNK-1: neither the length of a name nor which fields are known shows at a key server."""
    servers = [
        (SimulatedKeyServer(BROKER_KEYS), SimulatedKeyServer(STEWARD_KEYS), list(match_keys(person)))
        for person in (JAMIE, other)
    ]
    for broker, steward, keys in servers:
        made(keys, broker, steward)
    [(broker, steward, _), (broker_of_other, steward_of_other, _)] = servers

    assert sizes(broker) == sizes(broker_of_other)
    assert sizes(steward) == sizes(steward_of_other)
    assert {family.id for family in FAMILIES} == {family for family, _ in sizes(broker)[0]}


def test_few_people_of_an_index_show_a_server_no_more_than_a_question_does() -> None:
    """T-LNK-1: one changed record must not show how long its name is, nor which of its fields are known."""
    others = [JAMIE, ANNE, describe(first_name="Jo", last_name="Ng", date_of_birth="2013-03-09")]
    seen = []
    for other in others:
        broker, steward = SimulatedKeyServer(BROKER_KEYS), SimulatedKeyServer(STEWARD_KEYS)
        keys = list(match_keys(other))

        assert expected(keys) == made(keys, broker, steward, use=INDEX)
        seen.append(
            (
                sorted([pair for call in sizes(broker) for pair in call]),
                sorted([pair for call in sizes(steward) for pair in call]),
            )
        )

    assert [seen[0]] * len(others) == seen
    assert {family.id for family in FAMILIES} == {family for family, _ in seen[0][0]}


def test_families_with_one_key_a_person_are_sent_without_padding_in_a_full_batch() -> None:
    """An index of thousands costs what its people cost: 64 of them fill what one proof is over."""
    people = [
        describe(first_name="Jamie", last_name="Thorley", date_of_birth=f"19{10 + i}-01-09", postcode=f"MD{i} 7QT")
        for i in range(MAX_BATCH)
    ]
    keys = [key for one in people for key in match_keys(one)]
    broker = SimulatedKeyServer(BROKER_KEYS)
    made(keys, broker, use=INDEX)
    whole = [
        (family, size) for family, size in [pair for call in sizes(broker) for pair in call] if family == "dob.x pc.x"
    ]

    assert [("dob.x pc.x", MAX_BATCH)] == whole


def test_the_direct_key_server_of_measurements_gives_the_same_tokens() -> None:
    """What is measured at sizes that would take hours otherwise is the same index, byte for byte."""
    keys = [*match_keys(JAMIE), *match_keys(ANNE)]

    assert made(keys, use=INDEX) == asyncio.run(DirectKeyServer(b"b" * 32, b"s" * 32, EPOCH)(keys))


def test_twelve_people_are_asked_about_in_bounded_calls() -> None:
    """The largest question, with names that need more room than most."""
    keys = [
        key
        for i in range(12)
        for key in match_keys(
            describe(
                first_name="Bartholomew James" if i % 2 else "Jo",
                last_name="Featherstonehaugh",
                date_of_birth=f"2001-02-{10 + i}",
                postcode="MD4 7QT",
            )
        )
    ]
    broker = SimulatedKeyServer(BROKER_KEYS)

    assert expected(keys) == made(keys, broker)
    assert all(sum(size for _, size in call) <= MAX_ELEMENTS for call in sizes(broker))
    assert all(size <= MAX_BATCH for call in sizes(broker) for _, size in call)


def test_a_server_never_sees_one_element_twice() -> None:
    """T-LNK-1: neither server can tell that the same person was asked about again, nor compare notes with the other."""
    broker, steward = SimulatedKeyServer(BROKER_KEYS), SimulatedKeyServer(STEWARD_KEYS)
    for _ in range(2):
        made(list(match_keys(JAMIE)), broker, steward)
    sent = [
        element for request in (*broker.heard, *steward.heard) for batch in request.batches for element in batch.blinded
    ]

    assert len(sent) == len(set(sent))


def test_only_the_steward_hears_of_the_ledger() -> None:
    """T-AUD-6: the head goes to whoever compares, not to whoever made it."""
    broker, steward = SimulatedKeyServer(BROKER_KEYS), SimulatedKeyServer(STEWARD_KEYS)
    made(list(match_keys(JAMIE)), broker, steward, checkpoint="the head")

    assert [""] == [request.checkpoint for request in broker.heard]
    assert ["the head"] == [request.checkpoint for request in steward.heard]


def swapped(response: keys_pb2.EvaluateResponse) -> None:
    """Two outputs exchanged."""
    first, second = response.outputs[0], response.outputs[1]
    first.family, second.family = second.family, first.family


def shortened(response: keys_pb2.EvaluateResponse) -> None:
    """One output missing."""
    del response.outputs[-1]


def forged(response: keys_pb2.EvaluateResponse) -> None:
    """One proof changed by a bit."""
    proof = response.outputs[3].proof
    response.outputs[3].proof = bytes([proof[0] ^ 1]) + proof[1:]


@pytest.mark.parametrize("spoil", [swapped, shortened, forged])
@pytest.mark.parametrize("which", ["broker", "steward"])
def test_a_server_that_cheats_gives_no_token(which: str, spoil: Callable[[keys_pb2.EvaluateResponse], None]) -> None:
    """A key of its own for one asker would let a server single the asker out."""
    broker = SimulatedKeyServer(BROKER_KEYS, spoil if which == "broker" else lambda _: None)
    steward = SimulatedKeyServer(STEWARD_KEYS, spoil if which == "steward" else lambda _: None)
    with pytest.raises(BadProof):
        made(list(match_keys(JAMIE)), broker, steward)


def test_a_server_with_other_keys_than_the_pinned_gives_no_token() -> None:
    """T-LNK-5: tokens under unknown keys would find nobody, and that is not a no."""
    other = {family: FamilyKey(b"x" * 32, EPOCH, family) for family in BROKER_KEYS}
    with pytest.raises(BadProof):
        made(list(match_keys(JAMIE)), SimulatedKeyServer(other))


def test_a_directory_without_a_key_is_noticed_before_anything_is_sent() -> None:
    """T-LNK-5: the cure is a newer directory."""
    broker = SimulatedKeyServer(BROKER_KEYS)
    with pytest.raises(WrongEpoch):
        made(list(match_keys(JAMIE)), broker, publics=KeyPublics(EPOCH, {}, PUBLICS.steward))

    assert [] == broker.heard


def test_a_slow_server_is_not_waited_for_beyond_the_deadline() -> None:
    """T-NET-1: one deadline for both servers together; no answer is a failure, never a no."""
    steward = SimulatedKeyServer(STEWARD_KEYS, delay_s=30)
    with pytest.raises(Remote) as failed:
        made(list(match_keys(JAMIE)), steward=steward, deadline_s=1.0)

    assert "NODE_UNREACHABLE" == failed.value.reason


def test_no_time_left_means_nothing_is_sent() -> None:
    """A deadline that has passed before the call is a failure, not a call without one."""
    broker = SimulatedKeyServer(BROKER_KEYS)
    with pytest.raises(Remote):
        made(list(match_keys(JAMIE)), broker, deadline_s=0.0)

    assert [] == broker.heard


def test_nobody_to_ask_about_needs_no_call() -> None:
    """No keys, no tokens."""
    broker = SimulatedKeyServer(BROKER_KEYS)

    assert [] == made([], broker)
    assert [] == broker.heard


def test_subject_tags_come_from_the_steward_alone() -> None:
    """T-LNK-1: the broker has no part in the pseudonyms by which it recognises people."""
    keys = [*subject_keys(JAMIE), *subject_keys(ANNE)]
    broker, steward = SimulatedKeyServer(BROKER_KEYS), SimulatedKeyServer(STEWARD_KEYS)

    def act(_: Any, second: Any) -> Coroutine[Any, Any, list[bytes]]:
        return subject_tags(keys, steward=second, publics=PUBLICS, federation="midshire", deadline_s=20)

    found = between(act, broker, steward)

    assert [subject_tag(STEWARD_KEYS[key.family].direct(key.input), "midshire") for key in keys] == found
    assert [] == broker.heard
    assert [keys_pb2.KEY_USE_SUBJECT] == [request.use for request in steward.heard]
    assert [[(family.id, 2) for family in SUBJECT_FAMILIES]] == sizes(steward)


def test_other_work_goes_on_while_tokens_are_made() -> None:
    """A node builds its index and still answers: no step holds the loop for more than two families of twelve people."""
    keys = [key for i in range(12) for key in match_keys(describe(
        first_name="Jamie", last_name="Thorley", date_of_birth=f"2013-03-{10 + i}", postcode="MD4 7QT"))]  # fmt: skip
    turns = []

    async def act(first: Any, second: Any) -> list[bytes]:
        async def others() -> None:
            while True:
                turns.append(1)
                await asyncio.sleep(0)

        watcher = asyncio.create_task(others())
        found = await tokens(keys, broker=first, steward=second, publics=PUBLICS, use=INDEX, deadline_s=20)
        watcher.cancel()
        return found

    between(act, SimulatedKeyServer(BROKER_KEYS), SimulatedKeyServer(STEWARD_KEYS))

    assert len(turns) >= 4 * len(FAMILIES) // 2
