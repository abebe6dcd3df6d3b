"""Damage done on purpose: to bytes, and to values before they are encoded and signed again."""

import copy
import os
from random import Random
from typing import Any, Final

SEED: Final = int(os.environ.get("ACCORD_SEED", "20261122"))
"""Set ACCORD_SEED to the seed that a figure line shows, and the same damage is done again."""

_PIECES: Final = (
    b"",
    b"\0",
    b"\xff",
    b"=",
    b"==",
    b'"',
    b"\\",
    b"\\ud800",
    b"{",
    b"[",
    b"]}",
    b",",
    b"-0",
    b"1e9",
    b"\xc3",
)


def bytes_mutant(random: Random, whole: bytes) -> bytes:
    """Other bytes than `whole`: up to three bits flipped, pieces cut out, put in, doubled, swapped or cut off."""
    found = whole
    while found == whole:
        for _ in range(random.randint(1, 3)):
            found = _damage(random, found)
    return found


def _damage(random: Random, whole: bytes) -> bytes:
    start = random.randrange(len(whole) + 1)
    end = min(len(whole), start + random.choice((1, 1, 1, 2, 4, 16, 64)))
    match random.randrange(6):
        case 0 if whole:
            at = random.randrange(len(whole))
            return whole[:at] + bytes([whole[at] ^ 1 << random.randrange(8)]) + whole[at + 1 :]
        case 1:
            return whole[:start] + whole[end:]
        case 2:
            return whole[:start] + random.choice(_PIECES) + whole[start:]
        case 3:
            return whole[:end] + whole[start:end] + whole[end:]
        case 4:
            return whole[end:] + whole[:end]
        case _:
            return whole[:start]


WRONG: Final[tuple[Any, ...]] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    13,
    2**53 + 1,
    2**63 - 1,
    -(2**63) + 1,
    "",
    "0",
    "é",
    "\u0000",
    "\ufdfa",
    "🂡",
    "a" * 300,
    "../../etc",
    "YES",
    "s13",
    "2026-02-30T00:00:00.000Z",
    "0001-01-01T00:00:00.000Z",
    "AAAA",
    "AB",
    [],
    [[]],
    [None],
    ["x"] * 70,
    {},
    {"": {}},
    {"s1": 0},
    [[[[]]]],
)
"""Values that some field somewhere is not prepared for; all have a canonical form, whichever three are nested."""


def value_mutant(random: Random, value: Any) -> Any:
    """A copy of a JSON value with one to three places changed: replaced, removed, added, doubled or swapped."""
    found = copy.deepcopy(value)
    for _ in range(random.randint(1, 3)):
        places = list(_places(found))
        if not places:
            return copy.deepcopy(random.choice(WRONG))
        holder, key = random.choice(places)
        match random.randrange(5):
            case 0 if isinstance(holder, dict):
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[random.choice(("", "v", "x", "alg", "ref", "s1", str(key) + "_"))] = copy.deepcopy(
                    random.choice(WRONG)
                )
            case 2 if isinstance(holder, list):
                holder.insert(key, copy.deepcopy(holder[key]))
            case 3 if len(holder) > 1:
                other = random.choice([at for inside, at in places if inside is holder and at != key])
                holder[key], holder[other] = holder[other], holder[key]
            case _:
                holder[key] = copy.deepcopy(random.choice(WRONG))
    return found


def _places(value: Any) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield value, key
        yield from _places(item)
