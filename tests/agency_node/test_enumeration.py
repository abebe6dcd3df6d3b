"""What a curious agency reaches by guessing, and what somebody learns who steals everything the broker has."""

import pytest

from accord.identity import Description, Family, values_of
from agency_node.exposure import COVERAGE_LIMIT
from tests.world.area import Area, area
from tests.world.curious import GUESSED, Reached, trial

SEED = 1
ENUMERABLE = ("last.x dob.y", "dob.x pc.area", "names.swap addr.st", "dob.y pc.x addr.x")
"""Families that must never be admitted."""


def family(family_id: str) -> Family:
    return Family(family_id, tuple(family_id.split(" ")), frozenset())


def level(part: str, one: Description) -> tuple[str, ...]:
    """As the contract has it, and two parts that it has not."""
    if part == "dob.y":
        return (one.dob[:4],) if one.dob else ()
    if part == "pc.area":
        return (one.postcode[:-2],) if one.postcode else ()
    return values_of(part, one)


@pytest.fixture(scope="module")
def town() -> Area:
    return area(SEED, 3_000)


@pytest.mark.parametrize("family_id", ENUMERABLE)
def test_a_family_that_can_be_listed_is_found_out(family_id: str, town: Area) -> None:
    """T-LNK-6, the control: the same guesser reaches far more than the limit through a family that is too weak."""
    reached = max(one.covered for one in trial(town, SEED, [family(family_id)], level))

    assert reached > 1.5 * COVERAGE_LIMIT


def test_whoever_guesses_more_reaches_more(town: Area) -> None:
    """T-LNK-6, the control: nearly half of an area's people have more guesses than a fifth."""
    police, health = trial(town, SEED, [family("dob.y pc.x addr.x")], level)

    assert police.guesses < health.guesses
    assert 0 < police.covered < health.covered


@pytest.mark.prove
def test_no_family_can_be_listed_within_the_allowance() -> None:
    """T-LNK-6: a year's guesses in any family reach at most 0.5 % of an area of 100,000 people."""
    reached: list[Reached] = list(trial(area(SEED, 16_000), SEED, of=100_000))
    worst = max(reached, key=lambda one: one.covered)
    print(f"T-LNK-6 covered_max={worst.covered:.2%} family={worst.family!r} agency={worst.agency} seed={SEED}")

    assert 2 * len(GUESSED) == len(reached)
    assert all(one.guesses > 0 for one in reached)
    assert worst.covered <= COVERAGE_LIMIT
