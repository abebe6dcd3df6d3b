"""Every judgement of the demonstration's story can go against it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from deploy.demo import story
from deploy.demo.evidence import Hit, Meaning
from deploy.demo.processes import Finished
from deploy.demo.story import Asked

CURE = "Ask the family, or leave this person out."
DENIAL = {"code": "AGREEMENT_MISSING", "cure": CURE, "reason": "", "contact": "", "ref": "s1"}
RING = {"team": "Youth engagement team", "role": "Duty officer", "phone": "01632 960104", "lead": None}
COUNTS = {"housing": 1, "police": 1, "social-care": 0}
NAME = Hit("broker.db", Meaning("last name", "plain"))
PLANTED = (NAME, Hit("planted.bin", Meaning("whole name", "base64")))
KNOWN = (
    Hit("police.sqlite", Meaning("first name", "plain")),
    Hit("police.sqlite", Meaning("date of birth", "plain")),
)


def row(agency: str, delivery: str, word: str = "", gateway: str = "agreement_service") -> dict[str, Any]:
    """One agency's row of a reply, about one person."""
    person = {"ref": "s1", "answer": word, "recency": "WITHIN_3M" if word == "YES" else None, "linkage": None}
    return {
        "agency": agency,
        "gateway": gateway,
        "delivery": delivery,
        "people": [person | {"contact": RING if word == "YES" else None}] if word else [],
        "denials": [DENIAL] if delivery == "REFUSED" else [],
    }


def asked(code: int, *rows: Mapping[str, Any], screen: str = "") -> Asked:
    """A question with these rows in its reply."""
    return Asked(code, {"agencies": list(rows), "elapsed_ms": 120}, screen, 900)


REFUSED = asked(3, row("housing", "REFUSED"), row("police", "REFUSED"), screen=f"│ {CURE[:15]} │\n│ {CURE[16:]} │")
ANSWERED = asked(0, row("housing", "ANSWERED", "NO"), row("police", "ANSWERED", "YES"))
STRANGERS = asked(0, row("housing", "ANSWERED", "NO"), row("police", "ANSWERED", "NO"))
GONE = asked(6, row("housing", "NOT_REACHED"), row("police", "ANSWERED", "YES"))
ENQUIRY = asked(
    0, row("housing", "ANSWERED", "NO", "ca1989_s47"), row("police", "ANSWERED", "YES", "common_law_police")
)


def finished(code: int, value: object = None) -> Finished:
    """A command that printed this value as JSON."""
    return Finished(code, json.dumps(value), "", 10)


def test_a_refusal_holds_only_when_nobody_heard_of_it_and_the_cure_is_shown() -> None:
    """T-POL-3: exit code, code, cure and silence are each looked at."""
    heard = COUNTS | {"police": 2}
    without_cure = replace(REFUSED, screen="not asked")
    other_code = asked(3, *(row(one, "REFUSED") | {"denials": [DENIAL | {"code": "OTHER"}]} for one in story.OTHERS))

    assert story.judge_refused(REFUSED, COUNTS, COUNTS).ok
    assert not story.judge_refused(REFUSED, COUNTS, heard).ok
    assert not story.judge_refused(REFUSED, {}, {}).ok
    assert not story.judge_refused(without_cure, COUNTS, COUNTS).ok
    assert not story.judge_refused(replace(REFUSED, code=0), COUNTS, COUNTS).ok
    assert not story.judge_refused(replace(other_code, screen=REFUSED.screen), COUNTS, COUNTS).ok
    assert not story.judge_refused(ANSWERED, COUNTS, COUNTS).ok
    assert not story.judge_refused(Asked(3, {}, "", 1), COUNTS, COUNTS).ok


def test_an_answer_holds_only_when_everybody_answered_and_a_yes_says_whom_to_ring() -> None:
    """A yes that leads nowhere helps nobody."""
    nobody_to_ring = row("police", "ANSWERED", "YES")
    nobody_to_ring["people"][0]["contact"] = None
    not_recent = row("police", "ANSWERED", "YES")
    not_recent["people"][0]["recency"] = None

    assert story.judge_answered(ANSWERED, ["one"], 1).ok
    assert not story.judge_answered(ANSWERED, [], 1).ok
    assert not story.judge_answered(ANSWERED, ["one", "two"], 2).ok
    assert not story.judge_answered(replace(ANSWERED, code=6), ["one"], 1).ok
    assert not story.judge_answered(STRANGERS, ["one"], 1).ok
    assert not story.judge_answered(GONE, ["one"], 1).ok
    assert not story.judge_answered(asked(0, row("housing", "ANSWERED", "NO"), nobody_to_ring), ["one"], 1).ok
    assert not story.judge_answered(asked(0, row("housing", "ANSWERED", "NO"), not_recent), ["one"], 1).ok


def test_a_family_is_unknown_only_when_nothing_is_found_and_the_search_can_find() -> None:
    """T-LNK-1: an empty search proves nothing unless the nodes were asked and the same search finds what is there."""
    gained, worked = {"housing": 1, "police": 1, "social-care": 0}, {"broker": 2, "steward": 3}
    plain_only = PLANTED[:1]

    assert story.judge_blind(STRANGERS, gained, worked, (), 40, PLANTED, KNOWN).ok
    assert not story.judge_blind(STRANGERS, gained, worked, (NAME,), 40, PLANTED, KNOWN).ok
    assert not story.judge_blind(STRANGERS, gained, worked, (), 0, PLANTED, KNOWN).ok
    assert not story.judge_blind(STRANGERS, gained, worked, (), 40, (), KNOWN).ok
    assert not story.judge_blind(STRANGERS, gained, worked, (), 40, plain_only, KNOWN).ok
    assert not story.judge_blind(STRANGERS, gained, worked, (), 40, PLANTED, ()).ok
    assert not story.judge_blind(STRANGERS, {}, worked, (), 40, PLANTED, KNOWN).ok
    assert not story.judge_blind(STRANGERS, gained, {"broker": 2, "steward": 0}, (), 40, PLANTED, KNOWN).ok
    assert not story.judge_blind(ANSWERED, gained, worked, (), 40, PLANTED, KNOWN).ok
    assert not story.judge_blind(replace(STRANGERS, code=6), gained, worked, (), 40, PLANTED, KNOWN).ok


def test_a_killed_node_must_be_not_reached_and_never_no() -> None:
    """T-LNK-5: no yes is not no, and a node that is gone has said nothing."""
    said_no = asked(6, row("housing", "ANSWERED", "NO"), row("police", "ANSWERED", "YES"))
    left_out = asked(6, row("police", "ANSWERED", "YES"))

    assert story.judge_not_reached(-9, GONE, ANSWERED, "housing").ok
    assert not story.judge_not_reached(0, GONE, ANSWERED, "housing").ok
    assert not story.judge_not_reached(-9, said_no, ANSWERED, "housing").ok
    assert not story.judge_not_reached(-9, left_out, ANSWERED, "housing").ok
    assert not story.judge_not_reached(-9, replace(GONE, code=0), ANSWERED, "housing").ok
    assert not story.judge_not_reached(-9, GONE, GONE, "housing").ok


def test_a_withdrawal_holds_only_when_the_next_question_is_refused_for_it() -> None:
    """No answer leaves after a withdrawal."""
    rows = [row(one, "REFUSED") | {"denials": [DENIAL | {"code": "AGREEMENT_WITHDRAWN"}]} for one in story.OTHERS]
    refused = asked(3, *rows)

    assert story.judge_withdrawn(finished(0), refused, COUNTS, COUNTS).ok
    assert not story.judge_withdrawn(finished(1), refused, COUNTS, COUNTS).ok
    assert not story.judge_withdrawn(finished(0), REFUSED, COUNTS, COUNTS).ok
    assert not story.judge_withdrawn(finished(0), ANSWERED, COUNTS, COUNTS).ok
    assert not story.judge_withdrawn(finished(0), refused, COUNTS, COUNTS | {"housing": 9}).ok
    assert not story.judge_withdrawn(finished(0), replace(refused, code=0), COUNTS, COUNTS).ok


def test_a_protective_question_must_not_rest_on_an_agreement() -> None:
    """After a withdrawal only the law itself may carry the question."""
    assert story.judge_protective(ENQUIRY).ok
    assert not story.judge_protective(ANSWERED).ok
    assert not story.judge_protective(replace(ENQUIRY, code=6)).ok
    assert not story.judge_protective(STRANGERS).ok
    assert not story.judge_protective(asked(0)).ok


def test_ledgers_hold_only_when_each_verifies_and_a_changed_record_does_not() -> None:
    """T-AUD-2: the controls must fail."""
    broker = finished(0, {"ok": True, "entries": 30, "questions": 7})
    nodes = {one: finished(0, {"entries": 9}) for one in story.AGENCIES}
    broken = nodes | {"police": finished(5, {"error": {}})}
    two = {one: nodes[one] for one in story.OTHERS}

    assert story.judge_ledgers(broker, nodes, 7, 7, 0).ok
    assert not story.judge_ledgers(finished(5, {"ok": False, "questions": 7}), nodes, 7, 7, 0).ok
    assert not story.judge_ledgers(finished(0, {"ok": True, "questions": 6}), nodes, 7, 7, 0).ok
    assert not story.judge_ledgers(broker, broken, 7, 7, 0).ok
    assert not story.judge_ledgers(broker, two, 7, 7, 0).ok
    assert not story.judge_ledgers(broker, nodes, 7, 6, 0).ok
    assert not story.judge_ledgers(broker, nodes, 7, 7, 1).ok
    assert not story.judge_ledgers(broker, nodes, 0, 0, 0).ok


def test_tampering_must_be_found_at_its_entry_and_only_there() -> None:
    """A verifier that always complains, or never, shows nothing."""
    found = finished(5, {"ok": False, "findings": [{"index": 4, "words": "changed"}]})
    fine = finished(0, {"ok": True, "findings": []})

    assert story.judge_tampered(found, fine, 4).ok
    assert not story.judge_tampered(found, fine, 5).ok
    assert not story.judge_tampered(fine, fine, 4).ok
    assert not story.judge_tampered(found, found, 4).ok


def test_the_centre_has_learned_when_one_name_is_found() -> None:
    """T-PRV-1: one is too many, and a search that finds nothing anywhere is no search."""
    assert story.judge_learned((), 20, KNOWN).ok
    assert not story.judge_learned((NAME,), 20, KNOWN).ok
    assert not story.judge_learned((), 20, ()).ok
    assert not story.judge_learned((), 0, KNOWN).ok


@pytest.mark.parametrize("text", ["", "not JSON", "[1]"])
def test_output_that_is_no_report_counts_as_none(text: str) -> None:
    """A command that prints something else has not verified anything."""
    assert not story.judge_tampered(Finished(5, text, "", 1), Finished(0, text, "", 1), 0).ok
