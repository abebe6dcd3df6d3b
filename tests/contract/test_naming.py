"""Whoever steals everything the broker has, and one node's index, and knows everybody's name, names nobody by it.

The thief has the broker's key-server seed, the subject tags and binding digests of its database, a binding that went
astray (salt and commitments), one node's token index, and a list of people among whom are those he looks for. For each
of them he makes everything that can be made of it and looks for any of it in what he stole. With the steward's seeds
beside, the same search finds every one of them.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

import pytest

from accord import agreement
from accord.directory import SUBJECT_EPOCH
from accord.identity import FAMILIES, SUBJECT_FAMILIES, Description, describe, match_keys, subject_keys
from accord.linkage import FamilyKey, subject_tag, tag

EPOCH, FEDERATION, NODE = "2026-1", "midshire", "police"
BROKER, STEWARD, SUBJECT = (bytes([number]) * 32 for number in (1, 2, 3))
SALT: Final = bytes(range(32))
WANTED: Final = 20
TRIED: Final = ("first.x dob.x mid", "dob.x pc.x")
"""Families that agreements commit to, enough to name somebody by."""


@dataclass(frozen=True, slots=True)
class Loot:
    """What was stolen, all of it bytes that mean somebody.

    Attributes:
        known: Subject tags, commitments, binding digests, and tags under which questions reached the node.
        index: Tokens of the node's own people, who are others.
    """

    known: frozenset[bytes]
    index: tuple[bytes, ...]


class Keys:
    """Key servers whose seeds somebody has."""

    def __init__(self, *, steward: bool) -> None:
        seeds = [(BROKER, STEWARD, SUBJECT)] if steward else [(BROKER,)]
        self.steward = steward
        self.match = {family.id: [FamilyKey(seed, EPOCH, family.id) for seed in seeds[0][:2]] for family in FAMILIES}
        self.subject = {family.id: FamilyKey(seeds[0][-1], SUBJECT_EPOCH, family.id) for family in SUBJECT_FAMILIES}

    def token(self, family: str, value: bytes) -> bytes:
        for key in self.match[family]:
            value = key.direct(value)
        return value


def somebody(chooser: Random) -> Description:
    names = ["Jamie", "Anne", "Stacey", "Omar", "Bronagh", "Kwame", "Priya", "Mateo", "Ewa", "Ciaran"]
    syllables = ["cal", "lo", "way", "thor", "ley", "mar", "ton", "wick", "ash", "den", "ro", "by"]
    return describe(
        first_name=chooser.choice(names),
        last_name="".join(chooser.choices(syllables, k=3)),
        middle_names=chooser.choice(names),
        date_of_birth=f"{chooser.randint(1930, 2025)}-{chooser.randint(1, 12):02}-{chooser.randint(1, 28):02}",
        sex=chooser.choice("fm"),
        address=f"{chooser.randint(1, 200)} Larkspur Rise",
        postcode=f"MD{chooser.randint(1, 9)} {chooser.randint(1, 9)}{''.join(chooser.choices('ABDEFGHJ', k=2))}",
    )


def stolen(wanted: Sequence[Description], held: Sequence[Description]) -> Loot:
    """What broker and node have of these people, made with all the keys there are."""
    keys = Keys(steward=True)
    known: set[bytes] = set()
    for one in wanted:
        known.update(subject_tag(keys.subject[key.family].direct(key.input), FEDERATION) for key in subject_keys(one))
        tokens = [keys.token(key.family, key.input) for key in match_keys(one) if key.family in TRIED]
        binding = agreement.commit(SALT, tokens)
        known.update(binding.commitments)
        known.add(bytes.fromhex(agreement.binding_digest(binding)))
        known.update(tag(token, NODE) for token in tokens)
    index = [keys.token(key.family, key.input) for one in held for key in match_keys(one) if key.family in TRIED]
    return Loot(frozenset(known), tuple(index))


def made_of(value: bytes) -> Iterator[bytes]:
    """What is made of a token anywhere in the contract, and plain digests."""
    yield value
    yield tag(value, NODE)
    yield subject_tag(value, FEDERATION)
    yield hashlib.sha256(SALT + value).digest()
    yield hashlib.sha256(value).digest()
    yield bytes.fromhex(agreement.binding_digest(agreement.commit(SALT, [value])))


def found_out(one: Description, keys: Keys, loot: Loot) -> bool:
    """Whether anything that can be made of this candidate is among the stolen bytes."""
    values = [(key.input, keys.token(key.family, key.input)) for key in match_keys(one) if key.family in TRIED]
    values += [(key.input, keys.subject[key.family].direct(key.input)) for key in subject_keys(one)]
    return any(made in loot.known for pair in values for value in pair for made in made_of(value))


def trial(candidates: int, seed: int) -> tuple[int, int]:
    """How many the thief names; and how many of those looked for, when he has the steward's seeds too."""
    chooser = Random(f"naming {seed}")
    everybody = [somebody(chooser) for _ in range(candidates)]
    wanted, held = everybody[:WANTED], everybody[WANTED : 2 * WANTED]
    loot = stolen(wanted, held)
    chooser.shuffle(everybody)
    broker = Keys(steward=False)
    named = sum(found_out(one, broker, loot) for one in everybody)
    named += any(made in loot.known for token in loot.index for made in made_of(token))
    whole = Keys(steward=True)
    return named, sum(found_out(one, whole, loot) for one in wanted)


def test_the_brokers_keys_and_a_nodes_index_name_nobody() -> None:
    """T-LNK-1: subject tags, commitments and digests tell nothing without the steward; with it, everything."""
    assert (0, WANTED) == trial(500, seed=1)


@pytest.mark.prove
def test_a_list_of_a_hundred_thousand_people_names_nobody() -> None:
    """T-LNK-1: the same, with as many names as a district has people."""
    named, control = trial(100_000, seed=2)
    print(f"T-LNK-1 recovered={named} of 100000 control={control} of {WANTED} seed=2")

    assert (0, WANTED) == (named, control)
