"""What guessing and chance could open: small cases worked out by hand."""

from dataclasses import replace
from random import Random

import pytest

from accord.identity import FAMILIES, Description, describe
from agency_node.cli.index import verdicts
from agency_node.exposure import Chance, chance, coverage
from agency_node.survey import Figures
from tests.world.area import area
from tests.world.curious import guess, hold


def person(number: int) -> Description:
    names = ["Jamie", "Anne", "Stacey", "Omar", "Bronagh", "Kwame", "Priya"]
    return describe(
        first_name=names[number % 7],
        last_name=f"Calloway{chr(97 + number % 26)}{chr(97 + number // 26 % 26)}",
        middle_names="Marie",
        date_of_birth=f"{1950 + number % 60}-{1 + number % 12:02}-{1 + number % 28:02}",
        sex="f",
        address=f"{1 + number % 90} Larkspur Rise",
        postcode=f"MD{1 + number % 9} {number % 10}Q{chr(65 + number % 26)}",
    )


@pytest.mark.parametrize("postcodes", [4, 8])
def test_guessing_reaches_as_much_as_the_quota_buys_of_the_values(postcodes: int) -> None:
    """T-LNK-6, by hand: 200 guesses among the estimated birth dates in so many postcodes, all equally common."""
    people = [
        describe(
            date_of_birth=f"{1950 + n}-{1 + n % 12:02}-{1 + n % 28:02}", postcode=f"MD{1 + n // 2 % postcodes} 1AA"
        )
        for n in range(64)
    ]

    reached = coverage(people, 100)

    # Half of them are 32 dates, each seen once: Chao's estimate of those not seen is 32 * 32 / 2.
    assert reached["dob.x pc.x"] == pytest.approx(100 * 2 / (32 * 32 / 2 * postcodes))


def test_a_larger_quota_never_reaches_less() -> None:
    """T-LNK-6: the more people an agency may index, the more it could guess."""
    people = [person(n) for n in range(200)]

    small, large = coverage(people, 200), coverage(people, 2_000)

    assert {family.id for family in FAMILIES} - {"nhs.x"} == set(small)
    assert all(0 < small[family] <= large[family] <= 1 for family in small)
    assert small["dob.x pc.x"] < large["dob.x pc.x"]


def test_a_quota_that_exhausts_the_values_reaches_everybody() -> None:
    """T-LNK-6, by hand: two people share every value, so each field has one value and each family one key or so."""
    twins = [describe(first_name="Al", last_name="Ng", date_of_birth="2000-01-02", postcode="MD1 1AA")] * 2

    assert {1.0} == set(coverage(twins, 2).values())


def test_chance_tells_strangers_from_relatives_and_double_records() -> None:
    """T-LNK-4: what opens for somebody who is not held, in three kinds; nobody shares a key in the control."""
    apart = [
        describe(first_name=first, last_name=last, date_of_birth=born, address=where, postcode=postcode)
        for first, last, born, where, postcode in (
            ("Jamie", "Thorley", "2013-03-09", "14 Larkspur Rise", "MD4 7QT"),
            ("Anne", "Calloway", "1988-05-21", "9 Quarry Mead", "MD2 3HB"),
            ("Bronagh", "Okonjo", "1971-11-30", "2 Mill Row", "MD9 1XY"),
            ("Kwame", "Adeyemi", "1990-07-14", "77 Harbour Street", "MD1 5AB"),
        )
    ]
    double = replace(apart[0], street="elsewhere", postcode="md88zz")
    twin = replace(apart[1], first="beatrice")
    stranger = replace(apart[2], first="bronwen", last="okonjo", postcode="md66cc", street="far away", number="5")
    namesake = replace(stranger, last="okonjor", former_last=())

    alone = chance(apart, 4)
    crowded = chance([*apart, double, twin], 6)
    met = chance([*apart, namesake], 5)

    assert (0.0, 0.0, 0.0) == (alone.again, alone.near, alone.strangers)
    assert (2 / 6, 2 / 6, 0.0) == (crowded.again, crowded.near, crowded.strangers)
    assert (0.0, 0.0, 2 / 5) == (met.again, met.near, met.strangers)


def test_the_estimate_agrees_with_a_guesser() -> None:
    """T-LNK-6: what an agency reads is about what guessing comes to, on an area whose every person is known."""
    town = area(1, 8_000)
    held = hold(town, 0.5, "one by one", homes=False)
    families = [
        family for family in FAMILIES if family.id in {"dob.x pc.x", "names.swap pc.x", "first.3 last.3 addr.x"}
    ]
    people = [town.people[position].description for position in sorted(held)]
    Random("shuffled").shuffle(people)

    estimated = coverage(people, len(people))
    # The estimate counts the agency's own people too; they are half of all.
    simulated = {one.family: 2 * one.covered for one in guess(town, held, families)}

    assert {family.id for family in families} == set(simulated)
    for family, reached in simulated.items():
        assert reached / 3 <= estimated[family] <= reached * 3, (family, reached, estimated[family])


@pytest.mark.parametrize(
    ("reached", "sample", "says"),
    [
        (0.004, 5_000, "within the limit of 0.5%"),
        (0.015, 5_000, "by less than such an estimate may read too high"),
        (0.03, 5_000, "Tell the federation's operator"),
        (0.03, 500, "too few people to tell"),
    ],
)
def test_the_figures_come_with_a_verdict(reached: float, sample: int, says: str) -> None:
    """T-LNK-6: an operator reads what a figure means, and is not alarmed by what a small sample or a rough one says."""
    figures = Figures(sample, {"dob.x pc.x": reached, "nhs.x": 0.0}, Chance(0.0, 0.01, 0.0))

    guessing = verdicts(figures)["guessing"]

    assert "dob.x pc.x" in guessing
    assert says in guessing
