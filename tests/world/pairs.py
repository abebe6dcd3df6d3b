"""Pairs of two agencies' records that a token index would bring together, out of the invented county."""

from collections import defaultdict
from collections.abc import Sequence

from accord.identity import Description, describe, entries, match_keys
from deploy.demo import county
from deploy.demo.county import Held


def as_written(held: Held) -> Description:
    """One agency's record of somebody, without the NHS number that would find everybody."""
    return describe(**(county.described(held) | {"nhs_number": ""}))


def sharing_a_key(asked: Sequence[Held], held: Sequence[Held]) -> list[tuple[Held, Held]]:
    """Pairs that share a match key, as the token index would find them."""
    holders: dict[bytes, dict[int, Held]] = defaultdict(dict)
    for one in held:
        for entry in entries(as_written(one)):
            for key in match_keys(entry):
                holders[key.input][one.ref] = one
    pairs = []
    for one in asked:
        shared: dict[int, Held] = {}
        for key in match_keys(as_written(one)):
            shared |= holders.get(key.input, {})
        pairs += [(one, other) for other in shared.values()]
    return pairs
