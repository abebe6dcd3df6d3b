"""What one reading of all people gathers for scoring and for the operator, in bounded memory.

    add (everybody) -> statistics (for scoring), figures (what guessing and chance could open)

Counted exactly: people, unreadable fields, and how common names, dates and postcodes are, by keyed hash. Random pairs,
guessing and chance are measured on a sample, which is the same whatever the order and however often a job was resumed:
the people whose keyed hash is smallest. No description outlives the job, and none is stored.
"""

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from hmac import digest
from typing import Final

from accord.canonical import lp
from accord.identity import Description
from agency_node.exposure import Chance, chance, coverage
from agency_node.scoring import COUNTED, Statistics, hashed, statistics

SAMPLE: Final = 20_000
"""Most descriptions held in memory, about 20 MB."""

EXPOSURE_SAMPLE: Final = 5_000
"""Most descriptions for which it is measured what guessing and chance could open; a few seconds."""

HASH_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Figures:
    """What guessing and chance could open; see `agency_node.exposure`.

    Attributes:
        sample: On how many descriptions the figures rest. Below about a thousand they read too high.
        coverage: Family id -> share of the area's people whom the best guesses of a year's quota reach.
        chance: How often another person's record opens an envelope.
    """

    sample: int
    coverage: Mapping[str, float]
    chance: Chance


@dataclass(slots=True)
class Survey:
    """What was gathered so far.

    Attributes:
        hash_key: 32 bytes, a secret of the index.
        people: How many were added.
        unreadable: Field -> how many records have it in a form that could not be read.
    """

    hash_key: bytes = field(repr=False)
    people: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)
    _smallest: list[tuple[int, int, Description]] = field(default_factory=list, repr=False)
    # One number of 8 bytes for each different value: some 100 bytes each, of which a county has fewer than people.
    _often: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in COUNTED}, repr=False)

    def add(self, person_id: str, description: Description, unreadable: Sequence[str]) -> None:
        """Count one person."""
        self.people += 1
        self.unreadable.update(unreadable)
        for name, often in self._often.items():
            value = getattr(description, name)
            if value:
                often[hashed(name, value, self.hash_key)] += 1
        # A heap with the largest rank on top. The number keeps descriptions from being compared.
        rank = int.from_bytes(keyed(self.hash_key, b"sample", person_id.encode()))
        if len(self._smallest) < SAMPLE:
            heapq.heappush(self._smallest, (-rank, self.people, description))
        elif -rank > self._smallest[0][0]:
            heapq.heapreplace(self._smallest, (-rank, self.people, description))

    def statistics(self) -> Statistics:
        """What scoring needs to know of these records."""
        of_sample = statistics(self._sample(), int.from_bytes(self.hash_key[:8]), self.hash_key)
        return replace(
            of_sample,
            people=self.people,
            counts={
                name: {value: count for value, count in often.items() if count > 1}
                for name, often in self._often.items()
            },
            totals={name: often.total() for name, often in self._often.items()},
        )

    def figures(self) -> Figures:
        """What guessing and chance could open."""
        some = self._sample()[:EXPOSURE_SAMPLE]
        return Figures(len(some), coverage(some, self.people), chance(some, self.people))

    def _sample(self) -> list[Description]:
        return [description for _, _, description in sorted(self._smallest, key=lambda one: -one[0])]


def keyed(hash_key: bytes, *parts: bytes) -> bytes:
    """A keyed hash of 16 bytes: HMAC-SHA256 over the length-prefixed parts (RFC 2104), shortened."""
    return digest(hash_key, lp(*parts), sha256)[:HASH_BYTES]
