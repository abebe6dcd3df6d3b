"""Learn weights of linkage from what was opened here, out of counts of patterns that nobody has labelled.

    patterns of agreement, counted -> expectation and maximisation, held by the shipped weights -> m
                                   -> every pattern weighed before and after -> what would change

The mixture is that of `agency_node.scoring`: same person, two strangers, and the kinds of relatives. Only m, the levels
of agreement of one person's two descriptions, is learnt; how levels agree by chance and among relatives stays as it is,
since the few pairs that were opened say nothing about the many that were not. After I. P. Fellegi and A. B. Sunter
(https://doi.org/10.1080/01621459.1969.10501049); W. E. Winkler, Using the EM algorithm for weight computation in the
Fellegi-Sunter model of record linkage, 1988
(https://www.census.gov/content/dam/Census/library/working-papers/2000/adrm/rr2000-05.pdf); and A. P. Dempster,
N. M. Laird and D. B. Rubin (https://doi.org/10.1111/j.2517-6161.1977.tb01600.x), whose proof that the likelihood never
falls holds with the prior added to it.

The shipped m is the prior of each field, a Dirichlet distribution worth `STRENGTH` pairs, so that little data changes
little; and a fit starts from the shipped m every time, so that one fit is not the ground of the next.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from accord.reasons import Problem
from agency_node.scoring import (
    COUNTED,
    FIELDS,
    UNKNOWN,
    Levels,
    Prior,
    Statistics,
    Tier,
    by_chance,
    held_to,
    known_share,
    rounded,
    tier,
    weigh,
)

NEEDED: Final = 500
"""Fewest opened pairs from which weights are learnt. A share of four in five is then known to about two points (its
standard error), and a level that one pair in a hundred reaches has been seen about five times; below, chance would be
learnt."""
STRENGTH: Final = 500.0
"""How many pairs the shipped weights count for: with just enough pairs, both have an equal say."""

Table = Mapping[str, Sequence[float]]
"""Field -> probability of each level of agreement."""


class BadPattern(Problem):
    """What stands among the counts is no pattern of agreement."""

    reason: ClassVar[str] = "STATE_UNUSABLE"


def to_text(levels: Levels) -> str:
    """A pattern of agreement, one character a field: 5563511-."""
    return "".join("-" if level == UNKNOWN else str(level) for level in levels)


def from_text(written: str) -> Levels:
    """Read what `to_text` wrote.

    Raises:
        BadPattern: It is something else.
    """
    if len(written) == len(FIELDS) and all(
        one == "-" or one in _DIGITS[:levels] for one, levels in zip(written, FIELDS.values(), strict=True)
    ):
        return tuple(UNKNOWN if one == "-" else int(one) for one in written)
    raise BadPattern("the counts of what was opened hold something else")


_DIGITS: Final = "0123456789"


@dataclass(frozen=True, slots=True)
class Mixture:
    """What a pair that was opened may be, beside one person described twice.

    Attributes:
        same: The share of all pairs that mean one person, 0 to 1.
        others: The other hypotheses: share of all pairs, and probabilities by field.
    """

    same: float
    others: Sequence[tuple[float, Table]]


@dataclass(frozen=True, slots=True)
class Fit:
    """What was learnt.

    Attributes:
        same: Field -> probability of each level when both descriptions mean one person (m).
        true: How many of the pairs it takes for one person.
        likelihoods: Logarithm of the likelihood times the prior after each round, but for a constant.
    """

    same: Mapping[str, tuple[float, ...]]
    true: float
    likelihoods: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Refit:
    """What a node's own weights would be, and what they would change.

    Attributes:
        pairs: How many pairs of a description and a record were opened here, as far as counts are kept.
        true: How many of them the fit takes for one person; 0 where there are too few pairs.
        shipped: The weights that ship.
        before: The weights in force.
        after: The weights learnt; None where there are too few pairs.
        moves: (tier under the weights in force, tier under those learnt) -> pairs. Each pair is weighed as somebody of
            unknown age whose name, birth date and postcode are as common as they usually are here: the counts hold
            neither.
    """

    pairs: int
    true: float
    shipped: Prior
    before: Prior
    after: Prior | None
    moves: Mapping[tuple[Tier, Tier], int]


def mixture(known: Statistics, prior: Prior) -> Mixture:
    """What `agency_node.scoring.weigh` reckons with at this agency, for people of unknown age."""
    share = known_share(known, prior)
    chance = {
        field: tuple(by_chance(field, level, known, prior) for level in range(levels))
        for field, levels in FIELDS.items()
    }
    relatives = [(share * kin.odds, kin.levels) for kin in prior.kin.values()]
    return Mixture(share, [(1 - share, chance), *relatives])


def fit(
    opened: Mapping[Levels, int], mixed: Mixture, prior: Table, strength: float = STRENGTH, rounds: int = 200
) -> Fit:
    """Learn m from pairs that nobody has labelled.

    Args:
        opened: Pattern of agreement -> how many pairs had it.
        mixed: What else a pair may be.
        prior: m before any pair is seen; every probability above 0.
        strength: For how many pairs it counts, above 0.
        rounds: Most rounds.
    """
    tables = [(weight, _logged(table)) for weight, table in mixed.others]
    others = {pattern: sum(weight * math.exp(_log_of(logs, pattern)) for weight, logs in tables) for pattern in opened}
    m = {field: tuple(prior[field]) for field in FIELDS}
    likelihoods: list[float] = []
    true = 0.0
    for _ in range(rounds):
        # Expectation: how many of the pairs with each pattern mean one person.
        logs = _logged(m)
        mine = {pattern: mixed.same * math.exp(_log_of(logs, pattern)) for pattern in opened}
        expected = {
            pattern: count * mine[pattern] / (mine[pattern] + others[pattern]) for pattern, count in opened.items()
        }
        true = sum(expected.values())
        # Maximisation: shares of these, the prior's pairs added.
        weights = {field: [strength * share for share in prior[field]] for field in FIELDS}
        for pattern, count in expected.items():
            for field, level in zip(FIELDS, pattern, strict=True):
                if level != UNKNOWN:
                    weights[field][level] += count
        learnt = {field: tuple(weight / sum(row) for weight in row) for field, row in weights.items()}
        likelihoods.append(_likelihood(opened, mixed.same, others, learnt, prior, strength))
        moved = max(abs(one - other) for field in FIELDS for one, other in zip(learnt[field], m[field], strict=True))
        m = learnt
        if moved < 1e-6:
            break
    return Fit(m, true, tuple(likelihoods))


def refit(opened: Mapping[Levels, int], known: Statistics, shipped: Prior, before: Prior, day: str) -> Refit:
    """Learn a node's own weights, and say what they would change.

    Args:
        opened: Pattern of agreement -> how many pairs had it.
        known: The agency's statistics.
        shipped: The weights that ship.
        before: The weights in force, which may be these.
        day: Today, for the name of what is learnt: 2026-11-22.
    """
    pairs = sum(opened.values())
    if pairs < NEEDED:
        return Refit(pairs, 0.0, shipped, before, None, {})
    found = fit(opened, mixture(known, shipped), shipped.same)
    after = replace(
        shipped,
        version=f"{shipped.version}; learnt {day} from {pairs} opened pairs",
        same={field: tuple(row) for field, row in rounded(found.same).items()},
    )
    moves: Counter[tuple[Tier, Tier]] = Counter()
    for pattern, count in opened.items():
        now, then = (_tier(pattern, known, shipped, prior) for prior in (before, after))
        moves[now, then] += count
    return Refit(pairs, found.true, shipped, before, after, moves)


def _tier(pattern: Levels, known: Statistics, shipped: Prior, own: Prior) -> Tier:
    common = {field: known.usually(field, shipped) for field in COUNTED}
    ours, theirs = (weigh(pattern, common, known, prior, None) for prior in (own, shipped))
    return held_to(tier(theirs), tier(ours))


def _likelihood(
    opened: Mapping[Levels, int],
    share: float,
    others: Mapping[Levels, float],
    m: Table,
    prior: Table,
    strength: float,
) -> float:
    logs = _logged(m)
    of_pairs = sum(
        count * math.log(share * math.exp(_log_of(logs, pattern)) + others[pattern])
        for pattern, count in opened.items()
    )
    return of_pairs + strength * sum(
        before * after for field in FIELDS for before, after in zip(prior[field], logs[field], strict=True)
    )


def _logged(table: Table) -> dict[str, list[float]]:
    return {field: [math.log(share) for share in table[field]] for field in FIELDS}


def _log_of(logs: Table, pattern: Levels) -> float:
    return sum(logs[field][level] for field, level in zip(FIELDS, pattern, strict=True) if level != UNKNOWN)
