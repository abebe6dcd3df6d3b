"""Recorded decisions made again: by the rules of their time nothing differs; by a draft, who gains and who loses."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from accord.bundle import Bundle
from accord.canonical import encode, sha256
from broker import decide, rehearsal
from broker.decide import Facts, Rules
from broker.engines.regorus import Regorus
from broker.ledger import decided_fields
from broker.stages import User
from broker.store.decisions import Recorded
from tests.world.rules import AT_NS, broker_part, bundle_of, core, shipped, user

ID = "01934f4e-0000-7000-8000-{:012x}"
DATA = decide.DATA
HOUR_NS = 3_600 * 1_000_000_000


@pytest.fixture(scope="module")
def rules() -> Iterator[Rules]:
    """The shipped rules on the embedded engine."""
    made = decide.load(shipped(), Regorus)
    yield made
    made.engine.close()


def changed(**agencies: dict[str, object]) -> Bundle:
    """The shipped rules with other fields of some agencies."""
    data = json.loads(shipped().files[DATA])
    for agency, fields in agencies.items():
        data["agencies"][agency] |= fields
    return bundle_of({**shipped().files, DATA: encode(data)})


def record(rules: Rules, number: int, purpose: str = "s47_enquiry", who: User | None = None) -> Recorded:
    """A decision as the ledger keeps it."""
    asked, part = core(purpose), broker_part(purpose)
    asked = replace(asked, query_id=ID.format(number))
    at_ns = AT_NS + number * HOUR_NS
    signed_in = replace(who or user(), auth_time_s=at_ns // 10**9 - 60)
    document = decide.build_input(
        core=asked, broker_part=part, user=signed_in, facts=Facts((), "fresh"), at_ns=at_ns, rules=rules
    )
    decision = asyncio.run(decide.decide(rules, document, part.targets, ID.format(number)))
    body = encode({"policy": rules.revision, **decided_fields(decision)})
    return Recorded(number, at_ns, document, body)


@pytest.fixture(scope="module")
def some(rules: Rules) -> tuple[Recorded, ...]:
    """Decisions of several kinds: allowed, refused, and of an input that no engine is given."""
    return (
        record(rules, 1),
        record(rules, 2, "early_help"),
        record(rules, 3, who=user(aal=1)),
        record(rules, 4, who=replace(user(), role="nobody")),
    )


def _replay(recorded: tuple[Recorded, ...], rules: Rules) -> rehearsal.Replayed:
    return asyncio.run(rehearsal.replay(recorded, {rules.revision: rules}.get))


def _rehearse(recorded: tuple[Recorded, ...], rules: Rules, draft: Bundle) -> rehearsal.Rehearsed:
    other = decide.load(draft, Regorus)
    try:
        return asyncio.run(rehearsal.rehearse(recorded, rules, other))
    finally:
        other.engine.close()


def test_an_input_is_what_the_same_rules_would_be_given_again(rules: Rules, some: tuple[Recorded, ...]) -> None:
    """T-POL-6: what a rehearsal puts into an input is what a question puts there, byte for byte."""
    again = [decide.rebased(json.loads(one.input), rules) for one in some]

    assert [one.input for one in some] == again


def test_decisions_come_out_the_same_again(rules: Rules, some: tuple[Recorded, ...]) -> None:
    """T-POL-6: every past decision replays to the same document, refused ones too."""
    found = _replay(some, rules)
    allowed = [row["allow"] for one in some for row in json.loads(one.body)["targets"]]

    assert rehearsal.Replayed(4, (), (), 0, {}) == found
    assert found.sound
    assert {True, False} == set(allowed)


def _altered(one: Recorded, **fields: Any) -> Recorded:
    return replace(one, body=encode(json.loads(one.body) | fields))


def test_a_decision_that_was_rewritten_is_found(rules: Rules, some: tuple[Recorded, ...]) -> None:
    """T-POL-6: negative control. Another word in the record, another input, and both changed to fit."""
    first = some[0]
    targets = json.loads(first.body)["targets"]
    words = _altered(first, targets=[row | {"answer_form": "boolean"} for row in targets])
    given = replace(some[1], input=some[1].input.replace(b'"need_tier":2', b'"need_tier":3'))
    both = _altered(replace(some[2], input=some[0].input), input=sha256(some[0].input).hex())
    found = _replay((words, given, both, some[3]), rules)

    assert given.input != some[1].input
    assert (1, (1, 3), (2,)) == (found.same, found.differ, found.altered)
    assert not found.sound


def test_what_cannot_be_made_again_is_counted(rules: Rules, some: tuple[Recorded, ...]) -> None:
    """T-AUD-10: after retention there is nothing to decide, and rules that are not kept are named."""
    erased = (replace(some[0], input=b""), replace(some[1], body=b""))
    other = _altered(some[2], policy="ab" * 32)
    found = _replay((*erased, other), rules)

    assert rehearsal.Replayed(0, (), (), 2, {"ab" * 32: 1}) == found
    assert not found.sound


def test_a_draft_that_says_the_same_changes_nothing(rules: Rules, some: tuple[Recorded, ...]) -> None:
    """T-POL-6: a rehearsal against itself is empty."""
    found = _rehearse(some, rules, shipped())

    assert (4, 4, ()) == (found.decisions, found.unchanged, found.changes)


def test_a_draft_shows_who_loses_and_why(rules: Rules, some: tuple[Recorded, ...]) -> None:
    """A suspended agency is asked no more; what was refused before stays refused."""
    found = _rehearse(some, rules, changed(housing={"suspended": True}))
    lost = next(one for one in found.changes if one.lost)

    assert ("social-care", "housing", "agency.contact", "s47_enquiry", "ca1989_s47") == (
        lost.requester,
        lost.holder,
        lost.question,
        lost.purpose,
        lost.gateway,
    )
    assert (0, 1) == (lost.gained, lost.lost)
    assert [ID.format(1), ID.format(3)] == lost.samples
    assert lost.because
    assert {"housing"} == {one.holder for one in found.changes}


def test_a_draft_shows_who_gains(some: tuple[Recorded, ...], rules: Rules) -> None:
    """The other way round: from rules under which housing is suspended to those under which it is not."""
    suspended = decide.load(changed(housing={"suspended": True}), Regorus)
    found = _rehearse(some, suspended, shipped())
    suspended.engine.close()
    gains = [one for one in found.changes if one.gained]

    assert [("housing", 1, 0)] == [(one.holder, one.gained, one.lost) for one in gains]
    assert suspended.revision == found.in_force


def test_only_what_the_draft_changes_is_shown(rules: Rules) -> None:
    """Decisions of earlier rules are made again by those in force first, so an earlier change is nobody's gain now."""
    earlier = decide.load(changed(housing={"suspended": True}), Regorus)
    recorded = (record(earlier, 1), record(rules, 2))
    earlier.engine.close()
    found = _rehearse(recorded, rules, shipped())

    assert (2, 2, ()) == (found.decisions, found.unchanged, found.changes)


def test_progress_is_told(rules: Rules, some: tuple[Recorded, ...]) -> None:
    """Long work says how far it has come."""
    told: list[int] = []
    asyncio.run(rehearsal.replay(some, {rules.revision: rules}.get, told.append))

    assert [1, 2, 3, 4] == told
