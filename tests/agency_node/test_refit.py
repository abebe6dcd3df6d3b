"""Weights of linkage learnt from counts of what was opened."""

from collections import Counter, defaultdict
from datetime import date
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agency_node.refit import NEEDED, STRENGTH, Mixture, fit, mixture, refit
from agency_node.scoring import (
    FIELDS,
    UNKNOWN,
    Levels,
    Prior,
    Statistics,
    Tier,
    compare,
    held_to,
    parse_prior,
    posterior,
    shipped_prior,
    statistics,
    tier,
)
from deploy.demo import county
from deploy.demo.county import Held
from tests.world.pairs import as_written, sharing_a_key

KEY = b"k" * 32
DAY = date(2026, 11, 22)
PRIOR = shipped_prior()

PATTERNS = st.tuples(*(st.integers(UNKNOWN, levels - 1) for levels in FIELDS.values()))
OPENED = st.dictionaries(PATTERNS, st.integers(1, 400), min_size=1, max_size=12)
SAME: Levels = (5, 5, 6, 3, 5, 1, 1, UNKNOWN)
MOVED: Levels = (5, 5, 6, 0, 0, 1, 1, UNKNOWN)


def shares(levels: int) -> st.SearchStrategy[tuple[float, ...]]:
    return st.lists(st.floats(0.001, 1), min_size=levels, max_size=levels).map(
        lambda row: tuple(one / sum(row) for one in row)
    )


TABLES = st.fixed_dictionaries({field: shares(levels) for field, levels in FIELDS.items()})


@cache
def opened_at_health(seed: int, people: int, *asks: str) -> tuple[list[tuple[Held, Held]], Statistics]:
    """Pairs that open when agencies ask health about everybody they know, and health's statistics."""
    held = county.generate(seed=seed, people=people).held
    pairs = [pair for one in asks for pair in sharing_a_key(held[one], held["health"])]
    return pairs, statistics(map(as_written, held["health"]), 1, KEY)


def patterns(pairs: list[tuple[Held, Held]]) -> Counter[Levels]:
    return Counter(compare(as_written(one), as_written(other)) for one, other in pairs)


@settings(max_examples=60, deadline=None)
@given(OPENED, TABLES, TABLES, st.floats(1e-6, 0.5), st.floats(0.5, 5_000))
def test_probabilities_stay_between_nothing_and_certainty_whatever_was_opened(
    opened: dict[Levels, int],
    prior: dict[str, tuple[float, ...]],
    chance: dict[str, tuple[float, ...]],
    share: float,
    strength: float,
) -> None:
    """No pattern makes a level impossible or certain, which no later evidence could undo."""
    found = fit(opened, Mixture(share, [(1 - share, chance)]), prior, strength)

    assert all(0 < one < 1 for row in found.same.values() for one in row)
    assert all(sum(row) == pytest.approx(1) for row in found.same.values())
    assert 0 <= found.true <= sum(opened.values()) * (1 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(OPENED, TABLES, TABLES, st.floats(1e-6, 0.5), st.floats(0.5, 5_000))
def test_the_likelihood_never_falls_from_one_round_to_the_next(
    opened: dict[Levels, int],
    prior: dict[str, tuple[float, ...]],
    chance: dict[str, tuple[float, ...]],
    share: float,
    strength: float,
) -> None:
    """What expectation and maximisation promise, with the prior added; a wrong step of either would break it."""
    likelihoods = fit(opened, Mixture(share, [(1 - share, chance)]), prior, strength).likelihoods

    assert all(after >= before - 1e-9 * abs(before) for before, after in pairwise(likelihoods))


def test_m_is_learnt_without_labels() -> None:
    """From enough pairs the fit finds nearly the m that labels would have given, whatever it began with."""
    pairs, known = opened_at_health(21, 3_000, "schools")
    flat = {field: (1 / levels,) * levels for field, levels in FIELDS.items()}

    found = fit(patterns(pairs), mixture(known, PRIOR), flat, strength=1.0)

    labelled: dict[str, list[int]] = defaultdict(list)
    for one, other in pairs:
        if one.truth is other.truth:
            for field, level in zip(FIELDS, compare(as_written(one), as_written(other)), strict=True):
                labelled[field].append(level)
    exact = {
        field: levels.count(FIELDS[field] - 1) / sum(level >= 0 for level in levels)
        for field, levels in labelled.items()
        if max(levels) >= 0
    }
    assert {field: found.same[field][-1] for field in exact} == pytest.approx(exact, abs=0.03)
    assert found.true == pytest.approx(sum(one.truth is other.truth for one, other in pairs), rel=0.03)


def test_little_data_changes_little_and_much_changes_much() -> None:
    """Three people who have moved do not make moving usual; three thousand do."""
    mixed = mixture(Statistics(3_000, {}, {}, {}), PRIOR)

    few, many = (fit({MOVED: count}, mixed, PRIOR.same).same["postcode"][0] for count in (3, 3_000))

    assert few == pytest.approx(PRIOR.same["postcode"][0], abs=0.01)
    assert many == pytest.approx(1 - (1 - PRIOR.same["postcode"][0]) * STRENGTH / (STRENGTH + 3_000), abs=0.01)


def test_nothing_is_learnt_from_fewer_pairs_than_are_needed() -> None:
    """The floor is the number that is published, and not one fewer."""
    known = Statistics(3_000, {}, {}, {})

    few = refit({SAME: NEEDED - 1}, known, PRIOR, PRIOR, "2026-11-22")
    enough = refit({SAME: NEEDED - 1, MOVED: 1}, known, PRIOR, PRIOR, "2026-11-22")

    assert (None, NEEDED - 1, {}) == (few.after, few.pairs, few.moves)
    assert enough.after is not None
    assert {(Tier.CONFIRMED, Tier.CONFIRMED): NEEDED} == enough.moves


def test_what_was_learnt_names_its_origin_and_can_be_written_down() -> None:
    """Another prior is another version, and only m differs from what ships."""
    after = refit({SAME: 600, MOVED: 300}, Statistics(3_000, {}, {}, {}), PRIOR, PRIOR, "2026-11-22").after

    assert after is not None
    assert f"{PRIOR.version}; learnt 2026-11-22 from 900 opened pairs" == after.version
    assert parse_prior(after.to_json()) == after
    assert (PRIOR.chance, PRIOR.kin, PRIOR.usual, PRIOR.known) == (after.chance, after.kin, after.usual, after.known)
    assert after.same != PRIOR.same


def test_learning_again_begins_with_the_shipped_weights() -> None:
    """One fit is not the ground of the next, or a slow drift would add up."""
    opened = {SAME: 600, MOVED: 900}
    known = Statistics(3_000, {}, {}, {})
    once = refit(opened, known, PRIOR, PRIOR, "2026-11-22").after
    assert once is not None

    again = refit(opened, known, PRIOR, once, "2026-11-22")

    assert once == again.after
    assert all(now is then for now, then in again.moves)


def test_whoever_asks_many_odd_questions_does_not_teach_a_node_to_deny_people() -> None:
    """T-LNK-3: a flood of people of other names at known addresses, as a hostile asker could send it."""
    pairs, known = opened_at_health(77, 3_000, "schools")
    described = [(as_written(one), as_written(other)) for one, other in pairs]
    flood: Levels = (0, 0, 6, 3, 5, 1, UNKNOWN, UNKNOWN)
    taught = refit(patterns(pairs) + Counter({flood: 50_000}), known, PRIOR, PRIOR, "2026-11-22").after
    assert taught is not None

    shipped, alone = (
        [tier(posterior(sent, record, known, KEY, prior, DAY)) for sent, record in described]
        for prior in (PRIOR, taught)
    )
    held = [held_to(*both) for both in zip(shipped, alone, strict=True)]

    for alike in (Tier.CONFIRMED, Tier.NONE):
        assert {alike} == {before for before, now in zip(shipped, held, strict=True) if now is alike}
    # Control: left to themselves, the weights would deny people who are known; `test_link` has who would be confirmed.
    assert alone.count(Tier.NONE) > shipped.count(Tier.NONE) + 10


def test_learnt_weights_link_nobody_wrongly_in_a_county_they_did_not_see() -> None:
    """Learnt in one county, tried on another: nobody unknown becomes known, and as many are found."""
    pairs, known = opened_at_health(21, 3_000, "schools", "police", "housing")
    learnt = refit(patterns(pairs), known, PRIOR, PRIOR, "2026-11-22").after
    assert learnt is not None
    others, there = opened_at_health(77, 3_000, "schools")

    found = {
        name: wrong_and_right(others, there, prior) for name, prior in {"shipped": PRIOR, "learnt": learnt}.items()
    }

    assert found["learnt"][0] <= found["shipped"][0]
    assert found["learnt"][1] >= found["shipped"][1] * 0.995


def wrong_and_right(pairs: list[tuple[Held, Held]], known: Statistics, own: Prior) -> tuple[int, int]:
    """How many pairs of two people, and of one person, are a yes."""
    said: Counter[bool] = Counter()
    for one, other in pairs:
        both = (tier(posterior(as_written(one), as_written(other), known, KEY, prior, DAY)) for prior in (PRIOR, own))
        if held_to(*both) in {Tier.CONFIRMED, Tier.PROBABLE}:
            said[one.truth is other.truth] += 1
    return said[False], said[True]


def test_an_ordinary_value_is_as_common_as_values_are_here() -> None:
    """The counts hold no value, so every pair is weighed with the geometric mean of what records have."""
    known = Statistics(4, {}, {"last": {"aa": 3}}, {"last": 4})
    weight = 4 + 1 / PRIOR.usual["last"]

    # Three of four records share a value, the fourth stands alone.
    assert (3 / weight) ** (3 / 4) * (1 / weight) ** (1 / 4) == pytest.approx(known.usually("last", PRIOR))
    assert PRIOR.usual["first"] == pytest.approx(Statistics(0, {}, {}, {}).usually("first", PRIOR))


def test_an_empty_count_learns_nothing() -> None:
    """A node that was never asked keeps what ships."""
    found: Prior | None = refit({}, Statistics(0, {}, {}, {}), PRIOR, PRIOR, "2026-11-22").after

    assert found is None
