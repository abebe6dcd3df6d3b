"""Turn match keys into tokens through both key servers, broker's first, then steward's.

    keys -> padded batches by family -> blind -> broker -> check and unblind
        -> blind again -> steward -> check and unblind -> tokens

Both are called directly. What they see is roughly how many people: every family
of the set is in every request, padded with random elements to a size that does
not depend on names or on which fields are known (T-LNK-1). An output whose proof does not hold for
the key pinned in the directory is never used.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from accord.identity import FAMILIES, SUBJECT_FAMILIES, Family, MatchKey
from accord.linkage import MAX_BATCH, MAX_ELEMENTS, BadProof, Blinding, blind, finalise, padded_size, subject_tag
from accord.reasons import Problem
from accord.v1 import keys_pb2
from agency_node.channel import Remote, call

ASK: Final = keys_pb2.KEY_USE_ASK
INDEX: Final = keys_pb2.KEY_USE_INDEX
IN_FLIGHT: Final = 2
"""Calls to one server at a time: while it works on one, the next is blinded."""


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
    random: Callable[[int], bytes] = os.urandom,
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
        random: Source of padding.

    Returns:
        One token of 64 bytes for each key, in their order.

    Raises:
        accord.linkage.BadProof: A server did not use its pinned key, or answered something else.
        WrongEpoch: The directory pins no key for a family.
        Remote: A server refused, or did not answer in time.
    """
    until = asyncio.get_running_loop().time() + deadline_s
    first = _Round(broker, publics.broker, publics.epoch, use, "", until, random)
    second = _Round(steward, publics.steward, publics.epoch, use, checkpoint, until, random)
    once = await _evaluate(first, FAMILIES, [(key.family, key.input) for key in keys])
    return await _evaluate(second, FAMILIES, [(key.family, one) for key, one in zip(keys, once, strict=True)])


async def subject_tags(
    keys: Sequence[MatchKey],
    *,
    steward: KeyServer,
    publics: KeyPublics,
    federation: str,
    deadline_s: float,
    checkpoint: str = "",
    random: Callable[[int], bytes] = os.urandom,
) -> list[bytes]:
    """The subject tags of keys, under the key that only the steward has.

    Args:
        keys: As `accord.identity.subject_keys` gives them.
        steward: The steward's key server.
        publics: The pinned keys.
        federation: The federation's name.
        deadline_s: Longest time, seconds.
        checkpoint: As for `tokens`.
        random: Source of padding.

    Returns:
        One tag of 16 bytes for each key, in their order.

    Raises:
        accord.linkage.BadProof: As for `tokens`.
        WrongEpoch: As for `tokens`.
        Remote: As for `tokens`.
    """
    until = asyncio.get_running_loop().time() + deadline_s
    use = keys_pb2.KEY_USE_SUBJECT
    only = _Round(steward, publics.steward, publics.epoch, use, checkpoint, until, random)
    made = await _evaluate(only, SUBJECT_FAMILIES, [(key.family, key.input) for key in keys])
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
    random: Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class _Batch:
    """Inputs of one family, with their places among all of them, and the size to which they are padded."""

    family: str
    size: int
    places: tuple[int, ...]
    inputs: tuple[bytes, ...]


_PEOPLE: Final = (1, 2, 3, 4, 6, 8, 12)


def _capacity(family: Family) -> int:
    """Elements of a family that one person takes in a question, whatever the name.

    A one-deletion neighbourhood has a key for each letter and one more; seven dates are masked; a postcode has up to
    seven characters; a name counts with up to seven nickname roots. Who needs more, by a very long or a double last
    name, counts as two people.
    """
    if {"first.del", "last.del"} & set(family.parts):
        return 12
    if {"pc.del", "first.nick"} & set(family.parts):
        return 8
    return 7 if "dob.mask" in family.parts else 1


def _wanted(families: Sequence[Family], counts: Mapping[str, int], use: int) -> dict[str, int]:
    """Elements to send of each family, padding included.

    For a question they depend on one number only, roughly how many people; an index says its size anyhow.
    """
    if use == INDEX:
        full = {family.id: counts[family.id] // MAX_BATCH * MAX_BATCH for family in families}
        return {name: whole + padded_size(counts[name] - whole) for name, whole in full.items()}
    people = max(-(-counts[family.id] // _capacity(family)) for family in families)
    size = next((size for size in _PEOPLE if size >= people), people)
    return {family.id: size * _capacity(family) for family in families}


def _calls(families: Sequence[Family], inputs: Sequence[tuple[str, bytes]], use: int) -> list[list[_Batch]]:
    """Batches of at most MAX_BATCH, gathered into calls with at most one batch of each family."""
    places: dict[str, list[int]] = {family.id: [] for family in families}
    for place, (family_id, _) in enumerate(inputs):
        places[family_id].append(place)
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
            calls[-1].append(_Batch(name, size, tuple(taken), tuple(inputs[place][1] for place in taken)))
            room -= size
    return calls


async def _evaluate(round_: _Round, families: Sequence[Family], inputs: Sequence[tuple[str, bytes]]) -> list[bytes]:
    if not inputs:
        return []
    if not {family.id for family in families} <= round_.publics.keys():
        raise WrongEpoch("the directory pins no key for a family")
    gate = asyncio.Semaphore(IN_FLIGHT)

    async def one(batches: Sequence[_Batch]) -> list[tuple[int, bytes]]:
        async with gate:
            return await _call(round_, batches)

    tasks = [asyncio.create_task(one(batches)) for batches in _calls(families, inputs, round_.use)]
    try:
        made = dict(pair for pairs in await asyncio.gather(*tasks) for pair in pairs)
    finally:
        for task in tasks:
            task.cancel()
    return [made[place] for place in range(len(inputs))]


async def _call(round_: _Round, batches: Sequence[_Batch]) -> list[tuple[int, bytes]]:
    request = keys_pb2.EvaluateRequest(epoch=round_.epoch, use=round_.use, checkpoint=round_.checkpoint)
    blindings: list[Blinding] = []
    for batch in batches:
        blinding, blinded = blind(batch.inputs, batch.size, round_.random)
        blindings.append(blinding)
        request.batches.add(family=batch.family, blinded=blinded)
        await asyncio.sleep(0)  # A batch takes about 10 ms; in between, answers must go out.
    left = round_.until - asyncio.get_running_loop().time()
    if left <= 0:
        raise Remote("NODE_UNREACHABLE")
    response = await call(round_.server.Evaluate(request, timeout=left))
    if [output.family for output in response.outputs] != [batch.family for batch in batches]:
        raise BadProof("a key server answered for other families than it was asked")
    made: list[tuple[int, bytes]] = []
    for batch, blinding, output in zip(batches, blindings, response.outputs, strict=True):
        public = round_.publics[batch.family]
        made += zip(batch.places, finalise(blinding, output.evaluated, output.proof, public), strict=True)
        await asyncio.sleep(0)
    return made
