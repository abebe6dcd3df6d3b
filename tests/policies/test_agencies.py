"""The eight agencies of the county, with what the catalogue claims towards each, through the broker's own decision."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pytest

from accord import catalogue
from accord.statement import BrokerPart, Target
from broker import decide
from broker.decide import Facts, Rules
from broker.engines.regorus import Regorus, data_of
from broker.stages import Decision
from tests.world.rules import AT_NS, POLICIES, broker_part, codes, core, example, shipped, unsafe_ask, user

CATALOGUE: Final = catalogue.parse(shipped().files[catalogue.PATH])
DATA: Final = data_of(shipped().files)["accord"]["data"]
AGENCIES: Final = tuple(path.stem for path in sorted((POLICIES / "data" / "agencies").iterdir()))
ASKER: Final = "social-care"
OTHERS: Final = tuple(agency for agency in AGENCIES if agency != ASKER)
PURPOSES: Final = ("early_help", "s47_enquiry")
NOT_STATUTORY: Final = frozenset({"charity", "nursery", "school"})
NEVER_ASKED: Final = frozenset({("charity", "assessment.done"), ("schools", "assessment.done")})
"""Neither assesses a family's needs for the council."""


@pytest.fixture(scope="module")
def rules() -> Iterator[Rules]:
    """The shipped rules on the embedded engine."""
    made = decide.load(shipped(), Regorus)
    yield made
    made.engine.close()


def question_to_all(question: str, purpose: str, public_task: bool = True) -> BrokerPart:
    """A question to the seven other agencies, claiming towards each what the catalogue names."""
    part = broker_part(purpose, CATALOGUE.questions[question].answer)
    targets = []
    for agency in OTHERS:
        claim = CATALOGUE.claim(question, purpose, ASKER, agency)
        if claim is not None:
            targets.append(Target(agency, claim.gateway, claim.art6, claim.art9, claim.sch1, claim.crime, claim.isa_id))
    stated = replace(part.assertions, public_task_stated=public_task)
    return replace(part, targets=tuple(targets), assertions=stated)


def agreements(question: str) -> list[dict[str, Any]]:
    """The agreements of the example, for this question and towards everybody."""
    return [{**one, "responders": list(OTHERS), "questions": [question]} for one in example("early_help")["agreements"]]


def decided(rules: Rules, question: str, purpose: str, part: BrokerPart, agreed: bool) -> Decision:
    """The broker's decision on a question of social care's."""
    document = decide.build_input(
        core=core(purpose, question),
        broker_part=part,
        user=user(),
        facts=Facts(agreements(question) if agreed else (), "fresh"),
        at_ns=AT_NS,
        rules=rules,
    )
    return asyncio.run(decide.decide(rules, document, part.targets, "01934f4e-0000-7000-8000-0000000000ff"))


def refused(decision: Decision) -> dict[str, set[str]]:
    """Agency -> the codes of its refusals, of those that are refused."""
    return {
        agency: {denial.code for denial in word.denials}
        for agency, word in decision.by_target.items()
        if not word.allow
    }


QUESTIONS: Final = ("agency.contact", "agency.open_now", "assessment.done")


def test_the_county_has_eight_agencies_and_one_sharing_agreement_between_them() -> None:
    """Every one of them is a party, or no question could reach it."""
    (sharing,) = CATALOGUE.sharing_agreements

    assert 8 == len(AGENCIES)
    assert AGENCIES == tuple(sorted(sharing.parties))
    assert set(AGENCIES) == set(CATALOGUE.agencies)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_child_protection_enquiry_reaches_everybody_who_answers_the_question(rules: Rules, question: str) -> None:
    """LAW-01: each under a gateway of its own, the sensitive service and the charity among them."""
    part = question_to_all(question, "s47_enquiry")
    decision = decided(rules, question, "s47_enquiry", part, agreed=False)
    asked = {agency for agency in OTHERS if (agency, question) not in NEVER_ASKED}

    assert {} == refused(decision)
    assert asked == set(decision.by_target)
    assert {target.agency: target.gateway for target in part.targets} == {
        agency: word.obligations["cite_gateway"] for agency, word in decision.by_target.items()
    }


@pytest.mark.parametrize("question", QUESTIONS)
def test_early_help_reaches_everybody_but_the_sensitive_service(rules: Rules, question: str) -> None:
    """Below an enquiry the drug and alcohol service is refused for what it is, whatever the family agreed."""
    part = question_to_all(question, "early_help")
    decision = decided(rules, question, "early_help", part, agreed=True)

    assert {"drug-alcohol": {"SENSITIVE_SERVICE"}} == refused(decision)


def test_without_an_agreement_early_help_reaches_nobody(rules: Rules) -> None:
    """LAW-02: use inside one council needs the family's agreement no less than sharing between two bodies."""
    part = question_to_all("agency.contact", "early_help")
    found = refused(decided(rules, "agency.contact", "early_help", part, agreed=False))

    assert set(OTHERS) == set(found)
    assert all("AGREEMENT_MISSING" in one for one in found.values())


def test_a_charity_is_refused_until_the_public_task_is_stated(rules: Rules) -> None:
    """LAW-10: the others' duties do not depend on it; the charity's leave does, and the refusal says what to do."""
    part = question_to_all("agency.contact", "s47_enquiry", public_task=False)
    decision = decided(rules, "agency.contact", "s47_enquiry", part, agreed=False)
    (denial,) = decision.by_target["charity"].denials

    assert {"charity": {"NECESSITY_MISSING"}} == refused(decision)
    assert "gateway" == denial.ref
    assert denial.reason
    assert denial.cure


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("agency", OTHERS)
def test_each_agency_s_own_rules_decide_as_the_broker_s_do(rules: Rules, agency: str, purpose: str) -> None:
    """LAW-21: with what it can see, before and after linking; the sensitive service says no itself."""
    part = question_to_all("agency.contact", purpose)
    built = decide.build_input(
        core=core(purpose), broker_part=part, user=user(), facts=Facts((), "fresh"), at_ns=AT_NS, rules=rules
    )
    (target,) = [one for one in json.loads(built)["targets"] if one["responder"]["agency_id"] == agency]
    before, after = example("before_linking"), example("after_linking")
    after["local"]["agreement_binds"] = True
    for document in (before, after):
        document["request"]["purpose"] = purpose
        document["targets"][0] |= {"responder": target["responder"], "gateway_id": target["gateway_id"]}
    closed = agency == "drug-alcohol" and purpose == "early_help"
    words = [unsafe_ask(document)[agency] for document in (before, after)]

    assert [not closed, not closed] == [word["allow"] for word in words]
    assert [{"SENSITIVE_SERVICE"} if closed else set()] * 2 == [codes(word) for word in words]


@pytest.mark.parametrize("agency", ["charity", "schools"])
def test_no_agency_answers_a_question_it_does_not_own(rules: Rules, agency: str) -> None:
    """Claimed by hand all the same, it is refused as a question that this agency does not answer."""
    usual = CATALOGUE.claim("agency.contact", "s47_enquiry", ASKER, agency)
    assert usual is not None
    target = Target(agency, usual.gateway, usual.art6, usual.art9, usual.sch1, usual.crime, usual.isa_id)
    part = replace(question_to_all("assessment.done", "s47_enquiry"), targets=(target,))
    decision = decided(rules, "assessment.done", "s47_enquiry", part, agreed=False)

    assert {agency: {"QUESTION_UNKNOWN"}} == refused(decision)


@pytest.mark.parametrize("purpose", sorted({one for row in CATALOGUE.questions.values() for one in row.purposes}))
def test_law_16_narrower_for_non_statutory(purpose: str) -> None:
    """LAW-16: charities and schools may be asked some of what statutory bodies may be asked, and not all of it."""

    def asked_of(kinds: frozenset[str], other: bool) -> set[str]:
        return {
            question.id
            for question in CATALOGUE.questions.values()
            if purpose in question.purposes
            for agency, claimed in question.gateways.items()
            if purpose in claimed and (DATA["agencies"][agency]["kind"] in kinds) != other
        }

    narrow, wide = asked_of(NOT_STATUTORY, False), asked_of(NOT_STATUTORY, True)

    assert narrow or purpose not in PURPOSES
    assert narrow < wide


def test_every_gateway_that_the_catalogue_claims_covers_both_bodies() -> None:
    """A claim that could never be allowed would only teach people to ignore refusals."""
    wrong = []
    for question in CATALOGUE.questions.values():
        for agency, by_purpose in question.gateways.items():
            for purpose, gateway in by_purpose.items():
                row = DATA["gateways"][gateway]
                held = {"any"} | {one["id"] for one in DATA["agencies"][agency]["characters"]}
                same = DATA["agencies"][agency]["controller_id"] == DATA["agencies"][ASKER]["controller_id"]
                fits = bool(held & set(row["responder_any"])) and (
                    agency == ASKER or row["within_one_controller"] == same
                )
                if not fits or row["effective_from_ns"] > AT_NS or gateway not in DATA["purposes"][purpose]["gateways"]:
                    wrong.append((question.id, agency, purpose))

    assert [] == wrong


def test_no_row_of_the_new_law_claims_to_be_checked() -> None:
    """LAW-26: every legal character says where it was read, and none was signed by a lawyer."""
    rows = [
        character
        for path in (POLICIES / "data" / "agencies").iterdir()
        for character in json.loads(path.read_text())["characters"]
    ]

    assert [] == [row for row in rows if row["verified"] or not row["source"] or not row["source_read_on"]]
