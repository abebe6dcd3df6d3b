"""Every judgement of the demonstration's story can go against it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from deploy.demo import story
from deploy.demo.evidence import Hit, Meaning
from deploy.demo.federation import AGENCIES
from deploy.demo.processes import Finished
from deploy.demo.story import Asked

CURE = "Ask the family, or leave this person out."
DENIAL = {"code": "AGREEMENT_MISSING", "cure": CURE, "reason": "", "contact": "", "ref": "s1"}
SENSITIVE = DENIAL | {"code": "SENSITIVE_SERVICE"}
RING = {"team": "Youth engagement team", "role": "Duty officer", "phone": "01632 960104", "lead": None}
COUNTS = dict.fromkeys(AGENCIES, 1) | {"social-care": 0}
NAME = Hit("broker.db", Meaning("last name", "plain"))
PLANTED = (NAME, Hit("planted.bin", Meaning("whole name", "base64")))
KNOWN = (
    Hit("police.sqlite", Meaning("first name", "plain")),
    Hit("police.sqlite", Meaning("date of birth", "plain")),
)
SCREEN = f"│ {CURE[:15]} │\n│ {CURE[16:]} │"
"""The cure as a table breaks it over two lines."""


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


def reply(code: int, *others: Mapping[str, Any], agencies: Sequence[str] = story.OTHERS, screen: str = "") -> Asked:
    """A question to these agencies: the rows given, and NO from everybody else."""
    rows = {one: row(one, "ANSWERED", "NO", "ca1989_s47") for one in agencies} | {one["agency"]: one for one in others}
    return asked(code, *(rows[one] for one in agencies), screen=screen)


def refused(code: int, denial: Mapping[str, Any], screen: str = "") -> Asked:
    """A question that every agency refused for this reason."""
    return asked(code, *(row(one, "REFUSED") | {"denials": [denial]} for one in story.OTHERS), screen=screen)


POLICE = row("police", "ANSWERED", "YES")
NOT_ASKED = tuple(row(one, "REFUSED") | {"denials": [SENSITIVE]} for one in sorted(story.SENSITIVE))
"""Early help does not reach them."""
PARTLY = 6
REFUSED = refused(3, DENIAL, SCREEN)
ANSWERED = reply(PARTLY, POLICE, *NOT_ASKED, screen=SCREEN)
STRANGERS = reply(0)
GONE = reply(6, row("housing", "NOT_REACHED"), POLICE, agencies=story.REACHED)
BACK = reply(0, POLICE, agencies=story.REACHED)
ENQUIRY = reply(0, row("police", "ANSWERED", "YES", "common_law_police"))


def finished(code: int, value: object = None) -> Finished:
    """A command that printed this value as JSON."""
    return Finished(code, json.dumps(value), "", 10)


def test_a_refusal_holds_only_when_nobody_heard_of_it_and_the_cure_is_shown() -> None:
    """T-POL-3: exit code, code, cure and silence are each looked at, agency by agency."""
    heard = COUNTS | {"police": 2}
    without_cure = replace(REFUSED, screen="not asked")
    other_code = refused(3, DENIAL | {"code": "OTHER"}, SCREEN)
    one_other = asked(3, *REFUSED.reply["agencies"][1:], other_code.reply["agencies"][0], screen=SCREEN)
    one_less = asked(3, *REFUSED.reply["agencies"][1:], screen=SCREEN)

    assert story.judge_refused(REFUSED, COUNTS, COUNTS).ok
    assert not story.judge_refused(REFUSED, COUNTS, heard).ok
    assert not story.judge_refused(REFUSED, {}, {}).ok
    assert not story.judge_refused(without_cure, COUNTS, COUNTS).ok
    assert not story.judge_refused(replace(REFUSED, code=0), COUNTS, COUNTS).ok
    assert not story.judge_refused(other_code, COUNTS, COUNTS).ok
    assert not story.judge_refused(one_other, COUNTS, COUNTS).ok
    assert not story.judge_refused(one_less, COUNTS, COUNTS).ok
    assert not story.judge_refused(ANSWERED, COUNTS, COUNTS).ok
    assert not story.judge_refused(Asked(3, {}, "", 1), COUNTS, COUNTS).ok


def test_an_answer_holds_only_when_everybody_answered_and_a_yes_says_whom_to_ring() -> None:
    """A yes that leads nowhere helps nobody."""
    nobody_to_ring = row("police", "ANSWERED", "YES")
    nobody_to_ring["people"][0]["contact"] = None
    not_recent = row("police", "ANSWERED", "YES")
    not_recent["people"][0]["recency"] = None
    one_gone = reply(PARTLY, row("housing", "NOT_REACHED"), POLICE, *NOT_ASKED, screen=SCREEN)

    assert story.judge_answered(ANSWERED, ["one"], 1).ok
    assert not story.judge_answered(ANSWERED, [], 1).ok
    assert not story.judge_answered(ANSWERED, ["one", "two"], 2).ok
    assert not story.judge_answered(replace(ANSWERED, code=0), ["one"], 1).ok
    assert not story.judge_answered(replace(ANSWERED, code=3), ["one"], 1).ok
    assert not story.judge_answered(reply(PARTLY, *NOT_ASKED, screen=SCREEN), ["one"], 1).ok
    assert not story.judge_answered(one_gone, ["one"], 1).ok
    assert not story.judge_answered(reply(PARTLY, nobody_to_ring, *NOT_ASKED, screen=SCREEN), ["one"], 1).ok
    assert not story.judge_answered(reply(PARTLY, not_recent, *NOT_ASKED, screen=SCREEN), ["one"], 1).ok


def test_early_help_must_not_reach_a_sensitive_service() -> None:
    """It is refused for what it is, with words for the worker, and answers nothing."""
    missing = tuple(one | {"denials": [DENIAL]} for one in NOT_ASKED)

    assert not story.judge_answered(replace(ANSWERED, screen="not asked"), ["one"], 1).ok
    assert not story.judge_answered(reply(PARTLY, POLICE, *missing, screen=SCREEN), ["one"], 1).ok
    assert not story.judge_answered(reply(PARTLY, POLICE, screen=SCREEN), ["one"], 1).ok
    assert not story.judge_answered(reply(0, POLICE, screen=SCREEN), ["one"], 1).ok


def test_a_family_is_unknown_only_when_nothing_is_found_and_the_search_can_find() -> None:
    """T-LNK-1: an empty search proves nothing unless the nodes were asked and the same search finds what is there."""
    gained, worked = COUNTS, {"broker": 2, "steward": 3}
    plain_only = PLANTED[:1]

    assert story.judge_blind(STRANGERS, gained, worked, (), 40, PLANTED, KNOWN).ok
    assert not story.judge_blind(STRANGERS, gained, worked, (NAME,), 40, PLANTED, KNOWN).ok
    assert not story.judge_blind(STRANGERS, gained, worked, (), 0, PLANTED, KNOWN).ok
    assert not story.judge_blind(STRANGERS, gained, worked, (), 40, (), KNOWN).ok
    assert not story.judge_blind(STRANGERS, gained, worked, (), 40, plain_only, KNOWN).ok
    assert not story.judge_blind(STRANGERS, gained, worked, (), 40, PLANTED, ()).ok
    assert not story.judge_blind(STRANGERS, {}, worked, (), 40, PLANTED, KNOWN).ok
    assert not story.judge_blind(STRANGERS, gained | {"housing": 0}, worked, (), 40, PLANTED, KNOWN).ok
    assert not story.judge_blind(STRANGERS, gained, {"broker": 2, "steward": 0}, (), 40, PLANTED, KNOWN).ok
    assert not story.judge_blind(ENQUIRY, gained, worked, (), 40, PLANTED, KNOWN).ok
    assert not story.judge_blind(replace(STRANGERS, code=6), gained, worked, (), 40, PLANTED, KNOWN).ok
    assert not story.judge_blind(
        reply(0, agencies=("housing", "police")[:1]), gained, worked, (), 40, PLANTED, KNOWN
    ).ok


def test_a_killed_node_must_be_not_reached_and_never_no() -> None:
    """T-LNK-5: no yes is not no, and a node that is gone has said nothing."""
    said_no = reply(6, row("housing", "ANSWERED", "NO"), POLICE, agencies=story.REACHED)
    left_out = reply(6, POLICE, agencies=[one for one in story.REACHED if one != "housing"])
    another_gone = reply(6, row("housing", "NOT_REACHED"), row("police", "NOT_REACHED"), agencies=story.REACHED)

    assert story.judge_not_reached(-9, GONE, BACK, "housing").ok
    assert not story.judge_not_reached(0, GONE, BACK, "housing").ok
    assert not story.judge_not_reached(-9, said_no, BACK, "housing").ok
    assert not story.judge_not_reached(-9, left_out, BACK, "housing").ok
    assert not story.judge_not_reached(-9, another_gone, BACK, "housing").ok
    assert not story.judge_not_reached(-9, replace(GONE, code=0), BACK, "housing").ok
    assert not story.judge_not_reached(-9, GONE, replace(BACK, code=6), "housing").ok
    assert not story.judge_not_reached(-9, GONE, GONE, "housing").ok


def test_a_withdrawal_holds_only_when_the_next_question_is_refused_for_it() -> None:
    """No answer leaves after a withdrawal."""
    withdrawn = refused(3, DENIAL | {"code": "AGREEMENT_WITHDRAWN"})

    assert story.judge_withdrawn(finished(0), withdrawn, COUNTS, COUNTS).ok
    assert not story.judge_withdrawn(finished(1), withdrawn, COUNTS, COUNTS).ok
    assert not story.judge_withdrawn(finished(0), REFUSED, COUNTS, COUNTS).ok
    assert not story.judge_withdrawn(finished(0), ANSWERED, COUNTS, COUNTS).ok
    assert not story.judge_withdrawn(finished(0), withdrawn, COUNTS, COUNTS | {"housing": 9}).ok
    assert not story.judge_withdrawn(finished(0), replace(withdrawn, code=0), COUNTS, COUNTS).ok


def test_a_protective_question_must_not_rest_on_an_agreement() -> None:
    """After a withdrawal only the law itself may carry the question, and it carries it to everybody."""
    assert story.judge_protective(ENQUIRY).ok
    assert not story.judge_protective(reply(0, POLICE)).ok
    assert not story.judge_protective(replace(ENQUIRY, code=6)).ok
    assert not story.judge_protective(STRANGERS).ok
    assert not story.judge_protective(reply(0, row("housing", "NOT_REACHED"), ENQUIRY.reply["agencies"][-1])).ok
    assert not story.judge_protective(asked(0)).ok


def test_who_knows_the_family_must_be_what_their_records_say() -> None:
    """T-LNK-5: one known person who is missed, or one yes too many, is not as it should be."""
    yes = [row(one, "ANSWERED", "YES", "ca1989_s47") for one in story.OTHERS]
    truth = {(one, "s1"): story.Known(recent=True, otherwise=one == "housing") for one in story.OTHERS}
    everybody = reply(0, *yes)
    long_ago = truth | {("police", "s1"): story.Known(recent=False, otherwise=False)}
    as_they_are = dict.fromkeys(truth, story.Known(recent=True, otherwise=False))
    few = {("housing", "s1"): truth["housing", "s1"]}

    assert story.judge_known(everybody, truth).ok
    assert not story.judge_known(reply(0, *yes[1:]), truth).ok
    assert not story.judge_known(everybody, long_ago).ok
    assert not story.judge_known(everybody, as_they_are).ok
    assert not story.judge_known(everybody, {}).ok
    assert not story.judge_known(reply(0, row("housing", "ANSWERED", "YES")), few).ok
    assert not story.judge_known(replace(everybody, code=6), truth).ok
    assert not story.judge_known(asked(0, *yes[1:]), truth).ok


def test_ledgers_hold_only_when_each_verifies_and_a_changed_record_does_not() -> None:
    """T-AUD-2: the controls must fail."""
    broker = finished(0, {"ok": True, "entries": 30, "questions": 7})
    nodes = {one: finished(0, {"entries": 9}) for one in AGENCIES}
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
