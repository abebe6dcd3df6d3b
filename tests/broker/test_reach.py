"""What rules would allow that nobody asked yet: which ways are open, what each demands, and what a draft changes."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from accord.bundle import Bundle
from accord.canonical import encode
from broker import decide
from broker.decide import DATA, Rules
from broker.reach import AGREED, Difference, Only, Reach, Way, combinations, compare, reach
from broker.rehearsal import ENGINE
from tests.world.rules import AT_NS, bundle_of, shipped

PROTECTION = Only(("agency.contact",), ("s47_enquiry",), ("social-care",))
EARLY = Only(("agency.contact",), ("early_help",), ("social-care",))
HOUSING = Way("social-care", "housing", "agency.contact", "s47_enquiry", "ca1989_s47")
AGREED_HOUSING = Way("social-care", "housing", "agency.contact", "early_help", "agreement_service")


@pytest.fixture(scope="module")
def rules() -> Iterator[Rules]:
    """The shipped rules on the embedded engine."""
    made = decide.load(shipped(), ENGINE)
    yield made
    made.engine.close()


def _changed(table: str, id_: str, **fields: Any) -> Bundle:
    data = json.loads(shipped().files[DATA])
    data[table][id_] |= fields
    return bundle_of({**shipped().files, DATA: encode(data)})


def _reach(bundle: Bundle, only: Only) -> Reach:
    made = decide.load(bundle, ENGINE)
    try:
        return asyncio.run(reach(made, bundle, AT_NS, only))
    finally:
        made.engine.close()


@pytest.fixture(scope="module")
def now(rules: Rules) -> Reach:
    """How social care may ask for child protection by the shipped rules."""
    return asyncio.run(reach(rules, shipped(), AT_NS, PROTECTION))


def test_a_way_that_is_open_says_what_it_demands(now: Reach) -> None:
    """T-POL-6: child protection asks for significant harm and no agreement; early help the other way round."""
    protection, early = now[HOUSING], _reach(shipped(), EARLY)[AGREED_HOUSING]

    assert {"a statement of significant harm", "a level of need of 4 or above", "a case"} <= protection
    assert AGREED not in protection
    assert {AGREED, "a level of need of 2 or above"} <= early
    assert "a statement of significant harm" not in early


def test_only_what_was_wanted_is_tried(rules: Rules, now: Reach) -> None:
    """Everything takes minutes; one question for one purpose by one agency does not. Nobody asks themselves."""
    assert {("social-care", "agency.contact", "s47_enquiry")} == {
        (way.requester, way.question, way.purpose) for way in now
    }
    assert "social-care" not in {way.holder for way in now}
    assert 0 < combinations(rules, shipped(), PROTECTION) < combinations(rules, shipped())


def test_a_draft_that_closes_a_way_is_seen(now: Reach) -> None:
    """A suspended agency can be reached by nobody."""
    then = _reach(_changed("agencies", "housing", suspended=True), PROTECTION)
    found = compare(now, then)

    assert {"closes"} == {one.verdict for one in found}
    assert {"housing"} == {one.way.holder for one in found}
    assert {"opens"} == {one.verdict for one in compare(then, now)}


def test_a_draft_that_demands_less_is_seen_though_nobody_asked(now: Reach) -> None:
    """T-POL-6: access cannot be widened quietly: a statement that is no longer wanted shows, and on which ways."""
    gateway = json.loads(shipped().files[DATA])["gateways"]["ca1989_s47"]
    assert gateway["needs_harm_asserted"]
    then = _reach(_changed("gateways", "ca1989_s47", needs_harm_asserted=False), PROTECTION)
    found = compare(now, then)

    assert {("easier", (), ("a statement of significant harm",))} == {
        (one.verdict, one.added, one.dropped) for one in found
    }
    assert {"ca1989_s47"} == {one.way.gateway for one in found}
    assert {"harder"} == {one.verdict for one in compare(then, now)}


def test_the_same_rules_differ_in_nothing() -> None:
    """A comparison of rules with themselves is empty; what opens comes first."""
    one, other = frozenset({"a case"}), frozenset({"another member of staff"})
    found = compare({HOUSING: one}, {HOUSING: other, AGREED_HOUSING: one})

    assert () == compare({HOUSING: one}, {HOUSING: one})
    assert [
        Difference(AGREED_HOUSING, "opens", ("a case",), ()),
        Difference(HOUSING, "otherwise", ("another member of staff",), ("a case",)),
    ] == list(found)
