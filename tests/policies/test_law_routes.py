"""The invariants about routes beside the ordinary one, each over all combinations against a plain statement of the law.

Rows that are not in force yet (a table for statistics, a model, a body specified for an objective) are given to the
engine that decides as if they were, and nothing else of the shipped bundle is changed.
"""

import functools
import itertools
import json
from collections.abc import Mapping
from typing import Any, Final

import pytest
import regorus

from broker.engines.regorus import data_of
from tests.world.rules import AT_NS, Document, codes, embedded, example, shipped, unsafe_ask, value_of

DATA: Final = data_of(shipped().files)["accord"]["data"]
MANAGER: Final = "c" * 64
GROUNDS: Final = ("none", "risk_to_life", "serious_harm_now", "missing_child_high_risk", "in_a_hurry")
EMERGENCY: Final = frozenset({"mark_break_glass", "notify_holder", "review_by"})


@functools.cache
def _engine() -> "regorus.Engine":
    return embedded(shipped())


def _word(document: Document, **tables: Any) -> Mapping[str, Any]:
    """The broker's word on housing, over data of which some tables are replaced."""
    _engine().clear_data()
    _engine().add_data_json(json.dumps({"accord": {"data": {**DATA, **tables}}}))
    _engine().set_input_json(json.dumps(document))
    word: Mapping[str, Any] = value_of(_engine(), "data.accord.query.decision")["by_target"]["housing"]
    return word


def _taken_over(**escalation: Any) -> Document:
    """An assessment that a manager has taken over from a withdrawn agreement to the duty between public bodies."""
    document = example("early_help")
    document["request"] |= {"purpose": "s17_assessment", "need_tier": 3}
    document["targets"] = document["targets"][:1]
    document["targets"][0] |= {"gateway_id": "ca1989_s27", "art6": "c"}
    for agreement in document["agreements"]:
        agreement |= {"purposes": ["s17_assessment"], "state": "ConsentWithdrawn", "withdrawn_at_ns": AT_NS - 1}
    document["escalation"] = {
        "manager_token": MANAGER,
        "replaces_gateway": "agreement_service",
        "reason_code": "needs_unmet",
        "ledger_index": 7,
        **escalation,
    }
    return document


def test_law_03_no_silent_switch() -> None:
    """LAW-03: over purposes, gateways and escalations, a withdrawn agreement is passed by one way only, and marked."""
    wrong, opened = [], set()
    own = _taken_over()["user"]["token"]
    for purpose, gateway, manager, replaced, kind in itertools.product(
        ("early_help", "s17_assessment"),
        DATA["gateways"],
        (MANAGER, own, ""),
        ("agreement_service", "consent_gdpr", "ca2004_s10"),
        ("service_agreement", "gdpr_consent"),
    ):
        document = _taken_over(manager_token=manager, replaces_gateway=replaced)
        document["request"]["purpose"] = purpose
        document["targets"][0] |= {"gateway_id": gateway, "art6": next(iter(DATA["gateways"][gateway]["art6"]))}
        for agreement in document["agreements"]:
            agreement |= {"purposes": [purpose], "kind": kind}
        word = unsafe_ask(document)["housing"]
        # Of the gateways that let share by themselves, one is in force for this purpose between these two bodies.
        fits = (purpose, gateway, manager, replaced, kind) == (
            "s17_assessment",
            "ca1989_s27",
            MANAGER,
            "agreement_service",
            "service_agreement",
        )
        marked = {"kind": "basis_changed", "value": "agreement_service"} in word["obligations"]
        opened |= {gateway} if word["allow"] else set()
        if (word["allow"], marked) != (fits, fits):
            wrong.append((purpose, gateway, manager, replaced, kind))

    assert wrong == []
    assert {"ca1989_s27"} == opened


def test_law_03_for_a_protective_purpose_an_escalation_changes_nothing() -> None:
    """LAW-01, LAW-03: a child protection question neither needs a manager's escalation nor is marked by one."""
    document = example("s47_enquiry")
    document["escalation"] = _taken_over()["escalation"]

    assert unsafe_ask(example("s47_enquiry")) == unsafe_ask(document)


def test_law_07_s35_both_specified() -> None:
    """LAW-07: the power opens where both bodies are specified for the objective stated, outside Northern Ireland."""
    wrong, opened = [], 0
    some: tuple[dict[str, bool], ...] = ({}, {"multiple_disadvantages": True}, {"another": True})
    for asker, holder, objective, places in itertools.product(
        some,
        some,
        ("multiple_disadvantages", "another", None),
        (("E", "E"), ("W", "S"), ("NI", "E"), ("E", "NI")),
    ):
        agencies = {
            **DATA["agencies"],
            "social-care": {**DATA["agencies"]["social-care"], "objectives": asker},
            "housing": {**DATA["agencies"]["housing"], "objectives": holder},
        }
        document = example("early_help")
        document["request"]["dea_objective"] = objective
        document["targets"] = document["targets"][:1]
        document["targets"][0]["gateway_id"] = "dea2017_s35"
        for party, place in zip((document["requester"], document["targets"][0]["responder"]), places, strict=True):
            party["characters"] = [*party["characters"], "dea_specified"]
            party["jurisdiction"] = place
        # The list of objectives has one; a body that is specified for something else is specified for nothing here.
        fits = objective == "multiple_disadvantages" and asker == holder == some[1] and "NI" not in places
        word = _word(document, agencies=agencies)
        opened += word["allow"]
        if word["allow"] != fits:
            wrong.append((asker, holder, objective, places))

    assert wrong == []
    assert 2 == opened


def test_law_18_statistics_names_nobody() -> None:
    """LAW-18: over people, agreements, cases and filters, statistics are about nobody and of a declared table."""
    contact = DATA["catalogue"]["questions"]["agency.open_now"]
    agreements, people = example("early_help")["agreements"], example("s47_enquiry")["subjects"]
    wrong, seen = [], set()
    for declared in (["none"], ["person"], ["none", "person"]):
        table = {**contact, "subjects": declared, "purposes": [*contact["purposes"], "statistics"]}
        tables = dict[str, Any](
            catalogue={"questions": {**DATA["catalogue"]["questions"], "agency.open_now": table}},
            purposes={**DATA["purposes"], "statistics": {**DATA["purposes"]["statistics"], "effective_from_ns": 0}},
            gateways={
                **DATA["gateways"],
                "statistics_public_task": {**DATA["gateways"]["statistics_public_task"], "effective_from_ns": 0},
            },
            isa={"midshire-children": {**DATA["isa"]["midshire-children"], "purposes": {"statistics": True}}},
        )
        for subjects, given, case, kind in itertools.product(
            ([], people), ([], agreements), (None, "f" * 64), ("none", "person", "family", "address")
        ):
            document = example("s47_enquiry")
            document |= {"subjects": subjects, "agreements": given}
            document["request"] |= {
                "question_id": "agency.open_now",
                "answer_form": "boolean",
                "purpose": "statistics",
                "need_tier": None,
                "case_token": case,
                "subject_kind": kind,
            }
            document["targets"] = document["targets"][:1]
            document["targets"][0] |= {"gateway_id": "statistics_public_task", "art6": "e"}
            said = codes(_word(document, **tables))
            named = bool(subjects or given or case)
            table_only = declared == ["none"] and kind == "none"
            # The question's own rule is about people and is not part of this.
            if ("STATISTICS_NAMED_PERSON" in said) != named or ("STATISTICS_UNDECLARED" in said) == table_only:
                wrong.append((declared, bool(subjects), bool(given), case, kind))
            seen.add((named, table_only))

    assert wrong == []
    assert set(itertools.product((True, False), repeat=2)) == seen


@pytest.mark.parametrize("purpose", ["early_help", "s47_enquiry"])
def test_law_30_no_silent_score(purpose: str) -> None:
    """LAW-30: a model answers only declared, in force, named, as a band, with the family told and agreeing."""
    wrong, opened = [], 0
    contact = DATA["catalogue"]["questions"]["agency.contact"]
    for made, start, named, form, told, state in itertools.product(
        (["agency.contact"], ["family.known"]),
        (AT_NS, AT_NS + 1),
        ("strain_band", "guess", None),
        ("band", "recency"),
        ("told", "n_a"),
        ("ConsentGiven", "ConsentWithdrawn"),
    ):
        model = {"questions": made, "effective_from_ns": start, "effective_to_ns": AT_NS + 2, "verified": False}
        tables = dict[str, Any](
            models={"strain_band": model},
            catalogue={"questions": {**DATA["catalogue"]["questions"], "agency.contact": {**contact, "answer": form}}},
        )
        document = example(purpose)
        document["request"] |= {"model_id": named, "answer_form": form}
        document["told"]["state"] = told
        document["agreements"] = [
            {**one, "purposes": [purpose], "state": state} for one in example("early_help")["agreements"]
        ]
        silent = named is None and made == ["family.known"]
        ordinary = silent and (purpose == "s47_enquiry" or (told == "told" and state == "ConsentGiven"))
        declared = (made, start, named, form) == (["agency.contact"], AT_NS, "strain_band", "band")
        fits = ordinary or (declared and told == "told" and state == "ConsentGiven")
        word = _word(document, **tables)
        opened += word["allow"] and declared
        if word["allow"] != fits:
            wrong.append((made, start, named, form, told, state))

    assert wrong == []
    assert 1 == opened


def test_law_20_break_glass_bounds() -> None:
    """LAW-20: over purposes, claims, grounds, supervisors, reviews, ledgers and sign-ins: one way in, always marked."""
    wrong, opened = [], 0
    own = example("emergency")["user"]["token"]
    for purpose, claimed, ground, notified, supervisor, (overdue, ledger, age_s) in itertools.product(
        ("emergency", "s47_enquiry"),
        (True, False),
        GROUNDS,
        (True, False),
        ("b" * 64, own, None),
        ((0, "fresh", 900), (0, "grace", 900), (0, "stale", 900), (1, "fresh", 900), (0, "fresh", 901)),
    ):
        document = example("emergency")
        document["request"] |= {"purpose": purpose, "need_tier": 4}
        document["targets"] = document["targets"][1:]
        document["break_glass"] = {"claimed": claimed, "ground": ground, "supervisor_notified": notified}
        document["user"] |= {"supervisor_token": supervisor, "auth_age_s": age_s}
        document["state"] |= {"break_glass_overdue": overdue, "ledger": ledger}
        named = supervisor == "b" * 64
        if purpose == "emergency":
            stated = claimed and notified and ground in GROUNDS[1:4]
            fits = stated and named and not overdue and ledger != "stale" and age_s == 900
        else:
            # The gateway of this question wants somebody senior named, for every purpose.
            fits = not claimed and ground == "none" and named and ledger == "fresh"
        word = unsafe_ask(document)["police"]
        opened += word["allow"]
        kinds = {one["kind"] for one in word["obligations"]}
        if word["allow"] != fits or (EMERGENCY <= kinds) != (fits and purpose == "emergency"):
            wrong.append((purpose, claimed, ground, notified, supervisor, overdue, ledger, age_s))

    assert wrong == []
    assert opened > 0


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        (("user", "aal"), 1, "STEP_UP_REQUIRED"),
        (("user", "role"), "auditor", "ROLE_NARROWER"),
        (("request", "question_id"), "agency.secrets", "QUESTION_UNKNOWN"),
        (("request", "necessity_code"), "", "NECESSITY_MISSING"),
        (("targets", 0, "responder", "suspended"), True, "AGENCY_SUSPENDED"),
        (("requester", "suspended"), True, "AGENCY_SUSPENDED"),
        (("targets", 0, "responder", "dpia_until_ns"), AT_NS, "DPIA_EXPIRED"),
        (("targets", 0, "gateway_id"), "good_will", "GATEWAY_UNKNOWN"),
    ],
)
def test_law_20_an_emergency_lifts_nothing_else(path: tuple[Any, ...], value: Any, code: str) -> None:
    """LAW-20: sign-in, role, catalogue, suspension and a gateway of its own are asked for in an emergency too."""
    document = example("emergency")
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value

    assert code in codes(unsafe_ask(document)["housing"])


def test_law_20_agreement_need_and_contract_are_lifted() -> None:
    """LAW-20: nothing of these changes the word on an emergency."""
    words = [unsafe_ask(example("emergency"))]
    for tier, isa, agreements in itertools.product(
        (None, 1, 4), (None, "another"), ([], example("early_help")["agreements"])
    ):
        document = example("emergency")
        document["request"]["need_tier"] = tier
        document["agreements"] = agreements
        for target in document["targets"]:
            target["isa_id"] = isa
            target["responder"]["isa_until_ns"] = None
        words.append(unsafe_ask(document))
    allowed = [{agency: word["allow"] for agency, word in one.items()} for one in words]

    assert [{"housing": True, "police": True}] * len(words) == allowed
