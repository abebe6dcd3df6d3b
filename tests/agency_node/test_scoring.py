"""How likely it is that a description and a record mean one person."""

import json
import math
from collections import defaultdict
from dataclasses import replace
from datetime import date
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.identity import Description, describe
from agency_node.scoring import (
    CONFIRMED,
    COUNTED,
    FIELDS,
    POSSIBLE,
    PROBABLE,
    BadStatistics,
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
from tests.world.link_prior import FILE, make
from tests.world.pairs import as_written, sharing_a_key

KEY = b"k" * 32
ON = date(2026, 11, 22)
PRIOR = shipped_prior()
JAMIE = describe(
    first_name="Jamie",
    last_name="Thorley",
    middle_names="Alan",
    date_of_birth="2013-03-09",
    sex="m",
    address="Flat 3, 14 Larkspur Rise",
    postcode="MD4 7QT",
)


@cache
def grown(seed: int, people: int) -> county.County:
    """An invented county that the prior has not seen."""
    return county.generate(seed=seed, people=people)


@cache
def town() -> Statistics:
    """Statistics of an invented agency that knows nearly half of 3,000 people."""
    return statistics(map(as_written, grown(3, 3_000).held["health"]), 1, KEY)


def chance(asked: Description, record: Description) -> float:
    """The posterior of one pair in the invented town."""
    return posterior(asked, record, town(), KEY, PRIOR, ON)


def weigh(asked: Description, record: Description) -> Tier:
    """Its tier."""
    return tier(chance(asked, record))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, Tier.CONFIRMED),
        ({"first": "james"}, Tier.CONFIRMED),
        ({"last": "thorly"}, Tier.CONFIRMED),
        ({"dob": "20130903"}, Tier.CONFIRMED),
        ({"number": "14"}, Tier.CONFIRMED),
        ({"last": "calloway"}, Tier.CONFIRMED),
        ({"street": "", "number": "", "postcode": ""}, Tier.CONFIRMED),
        ({"street": "mill lane", "number": "2", "postcode": "md29aa"}, Tier.CONFIRMED),
        ({"first": "thorley", "last": "jamie"}, Tier.CONFIRMED),
        ({"first": "kyle", "middle": "dean", "dob": "20080711"}, Tier.NONE),
        ({"first": "stacey", "sex": "f", "dob": "20090130", "last": "calloway"}, Tier.NONE),
    ],
)
def test_ordinary_slips_leave_the_person_recognisable(change: dict[str, str], expected: Tier) -> None:
    """A typing slip, a move or a new surname is the same child; a brother at the same address is not."""
    assert expected is weigh(JAMIE, replace(JAMIE, **change))


@pytest.mark.parametrize(
    "change",
    [
        {"first": "callum", "middle": ""},  # a twin, or the same child under another name
        {"first": "callum", "middle": "reece"},
        {"dob": "19810302"},  # his father's name, or a wrong birth date
        {"dob": "19810302", "middle": ""},
    ],
)
def test_a_twin_or_namesake_is_cannot_say(change: dict[str, str]) -> None:
    """T-LNK-3: one contradiction in a household is neither the person for certain nor certainly somebody else."""
    assert Tier.POSSIBLE is weigh(JAMIE, replace(JAMIE, **change))


@pytest.mark.parametrize(
    "change",
    [
        {"first": "daniel", "sex": "m"},
        {"first": "hannah", "middle": "rose"},
    ],
)
def test_a_like_name_of_another_sex_or_middle_name_is_cannot_say(change: dict[str, str]) -> None:
    """T-LNK-3: twins are often given names a letter apart; an answer about the wrong one is worse than none."""
    asked = describe(
        first_name={"daniel": "Danielle", "hannah": "Anna"}[change["first"]],
        last_name="Thorley",
        middle_names="Alice",
        date_of_birth="2013-03-09",
        sex="f",
        address="Flat 3, 14 Larkspur Rise",
        postcode="MD4 7QT",
    )
    record = replace(asked, **change)

    assert Tier.POSSIBLE is weigh(asked, record)


def test_a_former_name_known_to_either_side_helps() -> None:
    """Earlier surnames are the cheapest way to find somebody again."""
    anne = describe(first_name="Anne", last_name="Calloway", date_of_birth="1988-05-21", former_last_names=("Hebden",))
    before = describe(first_name="Anne", last_name="Hebden", date_of_birth="1988-05-21")

    without = chance(replace(anne, former_last=()), before)
    asker_knows, holder_knows = chance(anne, before), chance(before, anne)

    assert without < min(asker_knows, holder_knows)
    assert min(asker_knows, holder_knows) >= CONFIRMED


def test_agreeing_on_a_rare_name_says_more_than_on_a_common_one() -> None:
    """Term frequency: Smith agrees with Smith by chance."""
    people = [replace(JAMIE, last="smith", dob=f"19{n % 90 + 10}0{n % 9 + 1}11") for n in range(500)]
    known = statistics(people, 1, KEY)
    asked = replace(JAMIE, dob="", number="", street="", middle="")

    common = posterior(replace(asked, last="smith"), replace(asked, last="smith"), known, KEY, PRIOR, ON)
    rare = posterior(asked, asked, known, KEY, PRIOR, ON)

    assert common < rare


def test_the_tiers_begin_where_they_are_published() -> None:
    """0.999, 0.95 and 0.5, inclusive."""
    values = (CONFIRMED, math.nextafter(CONFIRMED, 0), PROBABLE, math.nextafter(PROBABLE, 0), POSSIBLE, 0.49)

    assert ["CONFIRMED", "PROBABLE", "PROBABLE", "POSSIBLE", "POSSIBLE", "NONE"] == [tier(one).value for one in values]


def test_statistics_survive_being_stored_and_hold_no_value() -> None:
    """T-LNK-1: the file has keyed hashes and counts; without the key no name can be looked up in it."""
    people = [as_written(one) for one in grown(5, 600).held["health"]]
    known = statistics(people, 1, KEY)
    stored = known.to_json()

    assert known == Statistics.from_json(stored)
    assert known == statistics(people, 1, KEY)
    assert not [one.last for one in people if len(one.last) > 3 and one.last in stored]
    common = max({one.last for one in people}, key=[one.last for one in people].count)
    assert (True, 0) == (known.others("last", common, KEY) > 0, known.others("last", common, b"x" * 32))


def test_a_value_that_stands_alone_is_not_in_the_statistics() -> None:
    """A count of one would tell whoever holds the key that this person is known."""
    known = statistics([JAMIE, replace(JAMIE, first="anne")], 1, KEY)

    assert (0, 2) == (len(known.counts["first"]), next(iter(known.counts["last"].values())))


@pytest.mark.parametrize("written", ["", "{}", "[]", '{"v": 2}', "null", '{"v": 1, "people": -1}', "[" * 50_000])
def test_damaged_statistics_are_refused(written: str) -> None:
    """A torn state file says to build the index again."""
    with pytest.raises(BadStatistics):
        Statistics.from_json(written)


@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda v: st.dictionaries(st.sampled_from(["v", *FIELDS]), v))
)
def test_any_json_as_statistics_or_prior_is_refused(value: object) -> None:
    """Nothing but BadStatistics comes out."""
    for read in (Statistics.from_json, parse_prior):
        with pytest.raises(BadStatistics):
            read(json.dumps(value))


def test_a_key_that_is_too_short_is_refused() -> None:
    """Hashes under a guessable key would be as good as names."""
    with pytest.raises(ValueError, match="16 bytes"):
        statistics([JAMIE], 1, b"short")


TEXT = st.text(alphabet="abcdefgh ", max_size=8).map(lambda value: " ".join(value.split()))
DESCRIPTIONS = st.builds(
    Description,
    first=TEXT,
    last=TEXT,
    middle=TEXT,
    dob=st.just("") | st.dates().map(lambda day: f"{day.year:04}{day.month:02}{day.day:02}"),
    sex=st.sampled_from(["f", "m", ""]),
    number=st.sampled_from(["", "14", "14/3", "larches"]),
    street=TEXT,
    postcode=st.sampled_from(["", "md47qt", "md47qu", "md12ab"]),
    nhs=st.sampled_from(["", "9990000018", "9990000026"]),
    former_last=st.lists(TEXT.filter(bool), max_size=2).map(tuple),
    former_postcodes=st.lists(st.sampled_from(["md47qt", "md12ab"]), max_size=2).map(tuple),
)


@given(DESCRIPTIONS, DESCRIPTIONS)
def test_a_posterior_is_a_probability_for_any_two_descriptions(asked: Description, record: Description) -> None:
    """No pair of descriptions divides by zero or overflows."""
    assert 0 <= chance(asked, record) <= 1


@given(DESCRIPTIONS, DESCRIPTIONS)
def test_levels_are_within_their_fields_and_symmetric(asked: Description, record: Description) -> None:
    """Who asks and who holds the record makes no difference."""
    levels = compare(asked, record)

    assert levels == compare(record, asked)
    assert all(-1 <= level < top for level, top in zip(levels, FIELDS.values(), strict=True))


@pytest.mark.prove
def test_the_shipped_prior_is_what_the_fitting_makes() -> None:
    """The shipped numbers come from invented people and from nothing else."""
    assert make() == json.loads(FILE.read_text())


@pytest.mark.parametrize(
    ("shipped", "held"),
    [
        # own: confirmed, probable, possible, none
        (Tier.CONFIRMED, (Tier.CONFIRMED, Tier.PROBABLE, Tier.POSSIBLE, Tier.POSSIBLE)),
        (Tier.PROBABLE, (Tier.PROBABLE, Tier.PROBABLE, Tier.POSSIBLE, Tier.POSSIBLE)),
        (Tier.POSSIBLE, (Tier.PROBABLE, Tier.PROBABLE, Tier.POSSIBLE, Tier.POSSIBLE)),
        (Tier.NONE, (Tier.POSSIBLE, Tier.POSSIBLE, Tier.POSSIBLE, Tier.NONE)),
    ],
)
def test_weights_of_a_nodes_own_neither_confirm_nor_deny_alone(shipped: Tier, held: tuple[Tier, ...]) -> None:
    """Nobody teaches a node to be sure, nor to say no where the shipped weights do not (T-LNK-3)."""
    assert held == tuple(held_to(shipped, own) for own in Tier)


def test_a_prior_survives_being_written() -> None:
    """What an operator looks at in the file is what counts."""
    assert parse_prior(PRIOR.to_json()) == PRIOR


def test_known_people_are_found_and_unknown_ones_are_not() -> None:
    """Accuracy on a county whom the prior has not seen; other sets are measured by `linkage evaluate`."""
    everybody = grown(77, 4_000)
    asked, held = (everybody.held[name] for name in ("schools", "health"))
    scales = statistics(map(as_written, held), 1, KEY)
    scores: dict[int, list[tuple[float, str]]] = defaultdict(list)
    whom = {one.ref: one.truth.id for one in asked}
    for one, other in sharing_a_key(asked, held):
        score = posterior(as_written(one), as_written(other), scales, KEY, PRIOR, ON)
        scores[one.ref].append((score, other.truth.id))
    known = {one.truth.id for one in held}

    right = wrong = falsely_known = 0
    for ref, found in scores.items():
        best, *rest = sorted(found, reverse=True)
        if best[0] >= PROBABLE and not (rest and rest[0][0] >= PROBABLE):
            right += best[1] == whom[ref]
            wrong += best[1] != whom[ref]
            falsely_known += whom[ref] not in known

    assert right / (right + wrong) >= 0.998
    assert right / sum(one in known for one in whom.values()) >= 0.92
    assert 0 == falsely_known


def test_age_and_birthdays_a_generation_apart_tell_relatives_from_slips() -> None:
    """T-LNK-3: another first name at one home is a child's twin and a grown person's slip."""
    grown_up = replace(JAMIE, dob="19630309", middle="")
    brothers_birthday = replace(JAMIE, dob="20081130", middle="")

    assert chance(replace(JAMIE, middle=""), replace(JAMIE, first="callum", middle="")) < PROBABLE
    assert chance(grown_up, replace(grown_up, first="callum")) > chance(
        replace(JAMIE, middle=""), replace(JAMIE, first="callum", middle="")
    )
    assert chance(brothers_birthday, replace(JAMIE, middle="")) > chance(
        replace(JAMIE, dob="19810302", middle=""), replace(JAMIE, middle="")
    )


def test_somebody_who_goes_by_a_middle_name_is_recognised() -> None:
    """Entered as Alan by one agency and as Jamie Alan by the other."""
    assert weigh(JAMIE, replace(JAMIE, first="alan", middle="")) in {Tier.CONFIRMED, Tier.PROBABLE}


def with_change(path: tuple[str, ...], value: object) -> str:
    """The shipped prior with one value changed."""
    prior = json.loads(FILE.read_text())
    inner = prior
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return json.dumps(prior)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("same", "sex"), [0.5, 0.4]),
        (("same", "sex"), [0.0, 1.0]),
        (("chance", "dob"), [1.0]),
        (("known",), 0.0),
        (("usual", "first"), "rare"),
        (("kin", "twin", "odds"), -1.0),
        (("strength_people",), True),
    ],
)
def test_a_prior_that_does_not_add_up_is_refused(path: tuple[str, ...], value: object) -> None:
    """Weights that are no probabilities would link at random."""
    with pytest.raises(BadStatistics):
        parse_prior(with_change(path, value))


def test_every_table_of_the_shipped_prior_is_complete() -> None:
    """Each hypothesis has each level of each field."""
    prior: Prior = PRIOR
    tables = [prior.same, prior.chance, *(kin.levels for kin in prior.kin.values())]

    assert [FIELDS] * len(tables) == [{field: len(row) for field, row in table.items()} for table in tables]
    assert set(COUNTED) == set(prior.usual)
