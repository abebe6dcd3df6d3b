"""Turn match keys into tokens through both key servers, broker's first, then steward's.

    keys -> padded batches by family -> blind -> broker -> check and unblind
        -> blind again -> steward -> check and unblind -> tokens

Both are called directly. What they see is roughly how many people: every family of the set is sent, padded with random
elements to a size from a fixed table. For up to twelve people that size depends on nothing else, neither on names nor
on which fields are known (T-LNK-1); for more, each family is filled up to the table's next size, where single people no
longer show. An output whose proof does not hold for the key pinned in the directory is never used.

A call goes from the broker's key server to the steward's as soon as it is unblinded, so both servers and this process
work at the same time.
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from accord.allowance import capacity
from accord.identity import FAMILIES, SUBJECT_FAMILIES, Family, MatchKey
from accord.linkage import MAX_BATCH, MAX_ELEMENTS, BadProof, padded_size, subject_tag
from accord.reasons import Problem
from accord.v1 import keys_pb2
from agency_node.blinding import Blinder, Evaluated, Here, Plain
from agency_node.channel import Remote, call, once_more

ASK: Final = keys_pb2.KEY_USE_ASK
INDEX: Final = keys_pb2.KEY_USE_INDEX
IN_FLIGHT: Final = 3
"""Calls under way at a time: while the servers work on two, the third is blinded or finished here."""
PARTS: Final = 3
"""Calls into which the keys of few people are parted for an index, so that nobody waits for the others."""
_HERE: Final = Here()


class WrongEpoch(Problem):
    """The directory pins no key for a family that is needed."""

    reason = "WRONG_EPOCH"


class KeyServer(Protocol):
    """What is called: a `KeyServiceStub`."""

    @property
    def Evaluate(self) -> "Evaluate":
        """The one method."""


class Evaluate(Protocol):
    """Its call."""

    def __call__(
        self, request: keys_pb2.EvaluateRequest, /, *, timeout: float | None = None
    ) -> Awaitable[keys_pb2.EvaluateResponse]:
        """Evaluate blinded elements."""


@dataclass(frozen=True, slots=True)
class KeyPublics:
    """The pinned public keys of one epoch, by family, 32 bytes each.

    Attributes:
        epoch: The linkage epoch.
        broker: The broker's keys.
        steward: The steward's, those of the subject families among them.
    """

    epoch: str
    broker: Mapping[str, bytes]
    steward: Mapping[str, bytes]


async def tokens(
    keys: Sequence[MatchKey],
    *,
    broker: KeyServer,
    steward: KeyServer,
    publics: KeyPublics,
    use: keys_pb2.KeyUse.ValueType,
    deadline_s: float,
    checkpoint: str = "",
    blinder: Blinder = _HERE,
) -> list[bytes]:
    """The tokens of match keys, of one person or of many.

    Args:
        keys: As `accord.identity.match_keys` gives them.
        broker: The broker's key server.
        steward: The steward's.
        publics: The pinned keys.
        use: ASK or INDEX.
        deadline_s: Longest time for everything, seconds.
        checkpoint: The newest head of the broker's ledger that this node has countersigned; the steward compares.
        blinder: Where blinding and finishing are done.

    Returns:
        One token of 64 bytes for each key, in their order.

    Raises:
        accord.linkage.BadProof: A server did not use its pinned key, or answered something else.
        WrongEpoch: The directory pins no key for a family.
        Remote: A server refused, or did not answer in time.
    """
    until = asyncio.get_running_loop().time() + deadline_s
    first = _Round(broker, publics.broker, publics.epoch, use, "", until, blinder)
    second = _Round(steward, publics.steward, publics.epoch, use, checkpoint, until, blinder)
    return await _evaluate([first, second], FAMILIES, keys)


async def subject_tags(
    keys: Sequence[MatchKey],
    *,
    steward: KeyServer,
    publics: KeyPublics,
    federation: str,
    deadline_s: float,
    checkpoint: str = "",
    blinder: Blinder = _HERE,
) -> list[bytes]:
    """The subject tags of keys, under the key that only the steward has.

    Args:
        keys: As `accord.identity.subject_keys` gives them.
        steward: The steward's key server.
        publics: The pinned keys.
        federation: The federation's name.
        deadline_s: Longest time, seconds.
        checkpoint: As for `tokens`.
        blinder: As for `tokens`.

    Returns:
        One tag of 16 bytes for each key, in their order.

    Raises:
        accord.linkage.BadProof: As for `tokens`.
        WrongEpoch: As for `tokens`.
        Remote: As for `tokens`.
    """
    until = asyncio.get_running_loop().time() + deadline_s
    use = keys_pb2.KEY_USE_SUBJECT
    only = _Round(steward, publics.steward, publics.epoch, use, checkpoint, until, blinder)
    made = await _evaluate([only], SUBJECT_FAMILIES, keys)
    return [subject_tag(token, federation) for token in made]


@dataclass(frozen=True, slots=True)
class _Round:
    """One key server, and everything that its calls have in common."""

    server: KeyServer
    publics: Mapping[str, bytes]
    epoch: str
    use: keys_pb2.KeyUse.ValueType
    checkpoint: str
    until: float
    blinder: Blinder


@dataclass(frozen=True, slots=True)
class _Batch:
    """Inputs of one family, with their places among all of them, and the size to which they are padded."""

    family: str
    size: int
    places: tuple[int, ...]
    inputs: tuple[bytes, ...]


_PEOPLE: Final = (1, 2, 3, 4, 6, 8, 12)


def _wanted(families: Sequence[Family], counts: Mapping[str, int], use: int) -> dict[str, int]:
    """Elements to send of each family, padding included.

    For a question, and for the few people that an index takes anew, they depend on one number only, roughly how many
    people. In an index of many, each family's own number is filled up.
    """
    people = max(-(-counts[family.id] // capacity(family)) for family in families)
    size = next((size for size in _PEOPLE if size >= people), people)
    if use == INDEX and size > _PEOPLE[-1]:
        full = {family.id: counts[family.id] // MAX_BATCH * MAX_BATCH for family in families}
        return {
            name: whole + padded_size(counts[name] - whole) if counts[name] > whole or not whole else whole
            for name, whole in full.items()
        }
    return {family.id: size * capacity(family) for family in families}


def _calls(families: Sequence[Family], keys: Sequence[MatchKey], use: int) -> list[list[_Batch]]:
    """Batches of at most MAX_BATCH, gathered into calls with at most one batch of each family."""
    places: dict[str, list[int]] = {family.id: [] for family in families}
    for place, key in enumerate(keys):
        places[key.family].append(place)
    wanted = _wanted(families, {name: len(found) for name, found in places.items()}, use)
    calls: list[list[_Batch]] = []
    for start in range(0, max(wanted.values()), MAX_BATCH):
        room = 0
        for name, total in wanted.items():
            size = min(total - start, MAX_BATCH)
            if size <= 0:
                continue
            if size > room:
                calls.append([])
                room = MAX_ELEMENTS
            taken = places[name][start : start + MAX_BATCH]
            calls[-1].append(_Batch(name, size, tuple(taken), tuple(keys[place].input for place in taken)))
            room -= size
    if use == INDEX and len(calls) == 1:
        return [calls[0][part::PARTS] for part in range(PARTS)]
    return calls


async def _evaluate(rounds: Sequence[_Round], families: Sequence[Family], keys: Sequence[MatchKey]) -> list[bytes]:
    """Pass every key through the servers, one after the other."""
    if not keys:
        return []
    if not all({family.id for family in families} <= one.publics.keys() for one in rounds):
        raise WrongEpoch("the directory pins no key for a family")
    gate = asyncio.Semaphore(IN_FLIGHT)

    async def pass_through(batches: Sequence[_Batch]) -> Sequence[_Batch]:
        async with gate:
            for one in rounds:
                batches = await _call(one, batches)
        return batches

    tasks = [asyncio.create_task(pass_through(batches)) for batches in _calls(families, keys, rounds[0].use)]
    try:
        ended = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
    made = {
        place: token
        for batches in ended
        for batch in batches
        for place, token in zip(batch.places, batch.inputs, strict=True)
    }
    return [made[place] for place in range(len(keys))]


async def _call(round_: _Round, batches: Sequence[_Batch]) -> list[_Batch]:
    """The same batches with what one server made of their inputs."""
    request = keys_pb2.EvaluateRequest(epoch=round_.epoch, use=round_.use, checkpoint=round_.checkpoint)
    blinded, sent = await round_.blinder.blind([Plain(batch.inputs, batch.size) for batch in batches])
    for batch, elements in zip(batches, sent, strict=True):
        request.batches.add(family=batch.family, blinded=elements)

    async def evaluate() -> keys_pb2.EvaluateResponse:
        left = round_.until - asyncio.get_running_loop().time()
        if left <= 0:
            raise Remote("NODE_UNREACHABLE")
        return await call(round_.server.Evaluate(request, timeout=left))

    # A server without room has counted nothing, so trying again costs no allowance.
    response = await once_more(evaluate)
    if [output.family for output in response.outputs] != [batch.family for batch in batches]:
        raise BadProof("a key server answered for other families than it was asked")
    outputs = [Evaluated(one.evaluated, one.proof, round_.publics[one.family]) for one in response.outputs]
    made = await round_.blinder.finalise(blinded, outputs)
    return [replace(batch, inputs=tuple(tokens)) for batch, tokens in zip(batches, made, strict=True)]
