"""The legal invariants that are about all inputs, each against something slower and simpler than the rules."""

import copy
import itertools
import json
from collections.abc import Iterator
from random import Random
from typing import Any, Final

import jsonschema_rs
import pytest

from accord.canonical import encode
from broker.engines.regorus import data_of
from tests.world.rules import AT_NS, Document, codes, embedded, example, example_for, shipped, unsafe_ask, value_of

INPUT_SCHEMA: Final = json.loads(shipped().files["schemas/input.json"])
INPUT: Final = jsonschema_rs.Draft202012Validator(INPUT_SCHEMA)
DATA: Final = data_of(shipped().files)["accord"]["data"]
EXAMPLES: Final = ("early_help", "s47_enquiry", "before_linking", "after_linking")
STATES: Final = (
    "ConsentRequested",
    "ConsentRequestDeferred",
    "ConsentGiven",
    "RenewedConsentGiven",
    "ConsentRefused",
    "ConsentWithdrawn",
    "ConsentRevoked",
    "ConsentExpired",
    "ConsentInvalidated",
    "ConsentUnknown",
)


def _allowed(document: Document) -> set[str]:
    return {agency for agency, word in unsafe_ask(document).items() if word.get("allow") is True}


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_allowed_everywhere(name: str) -> None:
    """What follows changes one thing at a time; it would prove nothing from a question that is refused anyway."""
    document = example(name)

    assert INPUT.is_valid(document)
    assert _allowed(document) == {target["responder"]["agency_id"] for target in document["targets"]}


def test_law_01_protective_never_needs_agreement() -> None:
    """LAW-01: whatever stands under agreements, a child protection question is decided the same."""
    agreements = example("early_help")["agreements"]
    words = []
    for state, giver, objection in itertools.product(STATES, ("self", "parent"), ("none", "pending", "upheld")):
        document = example("s47_enquiry")
        document["agreements"] = [
            {**one, "state": state, "given_by": giver, "objection": objection} for one in agreements
        ]
        words.append(unsafe_ask(document))

    assert words == [unsafe_ask(example("s47_enquiry"))] * len(words)


def test_law_02_supportive_needs_live_agreement() -> None:
    """LAW-02: over states, dates, scope, givers and objections, leave is given exactly where an oracle says so."""
    wrong = []
    for state, start, end, withdrawn, holders, giver, objection in itertools.product(
        STATES,
        (AT_NS, AT_NS + 1),
        (AT_NS, AT_NS + 1, None),
        (None, AT_NS),
        (["police"], ["housing"]),
        ("self", "parent"),
        ("none", "pending", "overridden"),
    ):
        document = example("early_help")
        document["agreements"][0] |= {
            "state": state,
            "valid_from_ns": start,
            "valid_to_ns": end,
            "withdrawn_at_ns": withdrawn,
            "responders": holders,
            "given_by": giver,
            "objection": objection,
        }
        # The first agreement is the child's, who is not known to be competent.
        live = (
            state in {"ConsentGiven", "RenewedConsentGiven"}
            and start == AT_NS
            and end in {AT_NS + 1, None}
            and withdrawn is None
            and giver == "parent"
            and objection in {"none", "overridden"}
        )
        if _allowed(document) != (set(holders) if live else set()):
            wrong.append((state, start, end, withdrawn, holders, giver, objection))

    assert wrong == []


FITTING: Final = {
    "early_help": "agreement_service",
    "s17_assessment": "agreement_service",
    "s47_enquiry": "ca1989_s47",
    "strategy_discussion": "ca1989_s47",
    "cp_plan_review": "ca1989_s47",
    "missing_child": "ca1989_s47",
    "marac": "",
    "mappa": "cja2003_s325",
}
"""A gateway under which housing answers for each purpose that asks for a level of need; there is none yet for marac."""
ASKED_FOR: Final = frozenset(one for row in DATA["catalogue"]["questions"].values() for one in row["purposes"])
"""Purposes of the shipped questions. The others wait for law that somebody has read."""


def test_law_12_tier() -> None:
    """LAW-12: leave is given exactly in the purpose's range, at or above the question's level."""
    wrong = []
    for name, tier in itertools.product(FITTING, (None, 1, 2, 3, 4)):
        document = example_for(name)
        document["request"]["need_tier"] = tier
        document["targets"] = [one for one in document["targets"] if one["responder"]["agency_id"] == "housing"]
        document["targets"][0]["gateway_id"] = FITTING[name]
        if not FITTING[name]:
            continue
        purpose = DATA["purposes"][name]
        fits = tier is not None and max(2, purpose["min_tier"]) <= tier <= purpose["max_tier"]
        if bool(_allowed(document)) != fits:
            wrong.append((name, tier))

    assert {name for name in ASKED_FOR if DATA["purposes"][name]["tier_required"]} == set(FITTING)
    assert wrong == []


def _places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict):
        for key in value:
            yield (*path, key)
            yield from _places(value[key], (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _places(item, (*path, index))


def _holder(document: Document, path: tuple[str | int, ...]) -> Any:
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    return place


def _break(document: Document, path: tuple[str | int, ...], how: str) -> None:
    holder, key = _holder(document, path), path[-1]
    match how:
        case "delete":
            del holder[key]
        case "misspell":
            holder[f"{key}_"] = holder.pop(key)
        case "null":
            holder[key] = None
        case "retype":
            holder[key] = {"bool": "true", "int": "9", "str": 7, "list": {}, "dict": [], "NoneType": 1.5}[
                type(holder[key]).__name__
            ]


BREAKS: Final = ("delete", "misspell", "null", "retype")
NULLABLE: Final = frozenset(
    {
        "isa_until_ns",
        "dpia_until_ns",
        "apd_until_ns",
        "art6",
        "art9",
        "sch1",
        "crime",
        "isa_id",
        "valid_to_ns",
        "withdrawn_at_ns",
        "need_tier",
        "proportionality_code",
        "necessity_digest",
        "case_token",
        "supervisor_token",
        "review_at_ns",
        "agreement_binds",
        "local",
    }
)


@pytest.mark.parametrize("name", EXAMPLES)
def test_law_14_unknown_closes_at_the_schema(name: str) -> None:
    """LAW-14: any one field deleted, misspelt, retyped, or nulled where it may not be null, is INPUT_INVALID."""
    passed = []
    for path, how in itertools.product(list(_places(example(name))), BREAKS):
        document = example(name)
        before = copy.deepcopy(document)
        _break(document, path, how)
        may = document == before or (how == "null" and path[-1] in NULLABLE)
        if INPUT.is_valid(document) and not may:
            passed.append((path, how))

    assert passed == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_law_14_unknown_closes_in_the_rules(name: str) -> None:
    """LAW-14: forced past the schema, no broken field opens a way that was closed.

    Every example is closed in one way; then each field, and pairs of fields, are broken in turn.
    """
    base = example(name)
    if base["entrypoint"] == "query":
        base["user"]["aal"] = 1
    else:
        base["requester"]["suspended"] = True
    pairs = [(path, how) for path in _places(base) for how in BREAKS]
    chance = Random(name)
    opened = []
    for breaks in [(one,) for one in pairs] + [tuple(chance.sample(pairs, 2)) for _ in range(200)]:
        document = copy.deepcopy(base)
        try:
            for path, how in breaks:
                _break(document, path, how)
        except (AttributeError, KeyError, IndexError, TypeError):
            continue
        if _allowed(document):
            opened.append(breaks)

    assert _allowed(base) == set()
    assert opened == []


READ_BY_RULES: Final = (
    ("request", "at"),
    ("request", "question_id"),
    ("request", "question_version"),
    ("request", "purpose"),
    ("request", "need_tier"),
    ("request", "necessity_code"),
    ("request", "case_token"),
    ("request", "answer_form"),
    ("request", "subject_kind"),
    ("requester", "agency_id"),
    ("requester", "controller_id"),
    ("requester", "characters"),
    ("requester", "jurisdiction"),
    ("requester", "regime"),
    ("requester", "suspended"),
    ("requester", "dpia_until_ns"),
    ("targets",),
    ("user", "role"),
    ("user", "aal"),
    ("user", "auth_age_s"),
    ("subjects",),
    ("told", "state"),
    ("break_glass", "claimed"),
    ("state", "case"),
    ("state", "ledger"),
    ("entrypoint",),
    ("schema_version",),
)


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("path", READ_BY_RULES, ids=".".join)
def test_law_14_a_fact_that_rules_read_closes_when_it_is_broken(path: tuple[str, ...], how: str) -> None:
    """LAW-14: without the schema in front, housing is not allowed when a fact that its rules read is broken."""
    document = example("s47_enquiry")
    _break(document, path, how)

    assert "housing" not in _allowed(document)


def test_law_14_what_rules_read_of_a_target_closes_when_it_is_broken() -> None:
    """LAW-14: the same for everything that is said of one agency."""
    read = ("gateway_id", "art6", "isa_id")
    read_of_responder = ("agency_id", "controller_id", "kind", "characters", "regime", "jurisdiction", "suspended")
    open_still = []
    for how in BREAKS:
        for path in [("targets", 0, key) for key in read] + [
            ("targets", 0, "responder", key) for key in (*read_of_responder, "isa_until_ns", "dpia_until_ns")
        ]:
            document = example("s47_enquiry")
            _break(document, path, how)
            # The gateway of this question reaches any kind of agency, so its kind is not read.
            if "housing" in _allowed(document) and path[-1] != "kind":
                open_still.append((path, how))

    assert open_still == []


def _cut(document: Document, agency: str) -> Document:
    """A broker's input as the agency would see it."""
    cut = example("before_linking")
    (target,) = [one for one in document["targets"] if one["responder"]["agency_id"] == agency]
    cut["request"] |= {key: document["request"][key] for key in ("at", "question_id", "question_version", "purpose")}
    cut["requester"] = document["requester"]
    cut["user"]["role"] = document["user"]["role"]
    cut["targets"] = [{**cut["targets"][0], "responder": target["responder"], "gateway_id": target["gateway_id"]}]
    return cut


def _generated(chance: Random) -> Document:
    """A question with a few things changed, most of which make it refused."""
    document = example(chance.choice(("early_help", "s47_enquiry")))
    gateways = [*DATA["gateways"], "good_will"]
    for _ in range(chance.randint(0, 3)):
        target = chance.choice(document["targets"])
        match chance.randint(0, 10):
            case 0:
                target["gateway_id"] = chance.choice(gateways)
            case 1:
                target["responder"]["suspended"] = True
            case 2:
                document["request"]["purpose"] = chance.choice(("early_help", "s47_enquiry", "marac"))
            case 3:
                document["user"]["role"] = chance.choice(("practitioner", "manager", "dpo", "auditor"))
            case 4:
                target["responder"]["jurisdiction"] = chance.choice(("E", "W", "S", "NI"))
            case 5:
                document["request"]["at"] = chance.choice((AT_NS, AT_NS - 10**18, 10**18))
            case 6:
                target["responder"]["controller_id"] = chance.choice(("midshire-county-council", "another"))
            case 7:
                target["responder"]["characters"] = chance.choice(([], ["non_public"], ["local_authority"]))
            case 8:
                document["request"]["question_id"] = chance.choice(("agency.contact", "agency.secrets"))
            case 9:
                target["responder"]["dpia_until_ns"] = chance.choice((None, AT_NS, AT_NS + 1))
            case 10:
                target["responder"]["regime"] = "part3"
    return document


def test_law_21_node_only_narrows() -> None:
    """LAW-21: an agency says yes after linking only where it did before, and refuses what it sees the broker refuse."""
    chance = Random(21)
    seen = {
        "QUESTION_UNKNOWN",
        "QUESTION_RETIRED",
        "PURPOSE_NOT_ALLOWED",
        "ROLE_NARROWER",
        "AGENCY_SUSPENDED",
        "ISA_EXPIRED",
        "DPIA_EXPIRED",
        "GATEWAY_UNKNOWN",
        "GATEWAY_NOT_IN_FORCE",
        "GATEWAY_WRONG_PARTIES",
        "JURISDICTION",
        "SAME_CONTROLLER",
    }
    wider, missed, ends = [], [], set()
    for _ in range(400):
        document = _generated(chance)
        for agency, word in unsafe_ask(document).items():
            before = _cut(document, agency)
            after = {**before, "subjects": example("after_linking")["subjects"]}
            after["local"] = {**example("after_linking")["local"], "agreement_binds": True}
            after["local"]["shielded"] = chance.random() < 0.3
            first, second = _allowed(before), _allowed(after)
            ends.add((word["allow"], bool(first), bool(second)))
            if second - first:
                wider.append(document)
            if codes(word) & seen and first:
                missed.append((codes(word), document))

    assert (wider, missed) == ([], [])
    # Negative control: the questions were of every sort.
    assert {(True, True, True), (True, True, False), (False, False, False)} <= ends


def test_law_22_claimed_gateway_alone() -> None:
    """LAW-22: whichever gateway is claimed, every grant is of that gateway, and no other one rescues it."""
    foreign = []
    for name, gateway in itertools.product(("early_help", "s47_enquiry"), [*DATA["gateways"], "good_will"]):
        document = example(name)
        for target in document["targets"]:
            target["gateway_id"] = gateway
        for word in unsafe_ask(document).values():
            foreign += [grant for grant in word["grants"] if grant["gateway"] != gateway]
            if word["allow"] and not any(grant["id"] == DATA["gateways"][gateway]["type"] for grant in word["grants"]):
                foreign.append(gateway)

    assert foreign == []


def test_law_24_one_controller() -> None:
    """LAW-24: inside one controller only internal use grants, and between two it never does."""
    wrong = []
    for name, gateway, same, art6 in itertools.product(
        ("early_help", "s47_enquiry"), DATA["gateways"], (True, False), ("c", "e")
    ):
        document = example(name)
        target = document["targets"][0]
        target |= {"gateway_id": gateway, "art6": art6}
        if same:
            target["responder"]["controller_id"] = document["requester"]["controller_id"]
        if "housing" in _allowed(document) and (gateway == "internal_use") != same:
            wrong.append((name, gateway, same))

    assert wrong == []


def test_law_25_jurisdiction() -> None:
    """LAW-25: leave is given only where the gateway is law at both ends."""
    wrong = []
    for name, asker, holder in itertools.product(
        ("early_help", "s47_enquiry"), ("E", "W", "S", "NI"), ("E", "W", "S", "NI")
    ):
        document = example(name)
        document["requester"]["jurisdiction"] = asker
        for target in document["targets"]:
            target["responder"]["jurisdiction"] = holder
        for target in document["targets"]:
            agency = target["responder"]["agency_id"]
            law = DATA["gateways"][target["gateway_id"]]["jurisdictions"]
            if (agency in _allowed(document)) != (asker in law and holder in law):
                wrong.append((name, agency, asker, holder))

    assert wrong == []


def test_law_08_s115_to_relevant_authority() -> None:
    """LAW-08: were s.115 in force, it would open towards a relevant authority and nobody else, whoever holds."""
    engine = embedded(shipped())
    gateways = {**DATA["gateways"], "cda1998_s115": {**DATA["gateways"]["cda1998_s115"], "effective_from_ns": 0}}
    engine.clear_data()
    engine.add_data_json(json.dumps({"accord": {"data": {**DATA, "gateways": gateways}}}))
    characters = INPUT_SCHEMA["$defs"]["party"]["properties"]["characters"]["items"]["enum"]
    opened = set()
    for purpose, asker, holder in itertools.product(("marac", "mappa", "missing_child"), characters, characters):
        document = example_for(purpose)
        document["requester"]["characters"] = [asker]
        document["targets"] = document["targets"][:1]
        document["targets"][0] |= {"gateway_id": "cda1998_s115", "art6": "e"}
        document["targets"][0]["responder"]["characters"] = [holder]
        engine.set_input_json(json.dumps(document))
        (word,) = value_of(engine, "data.accord.query.decision")["by_target"].values()
        opened |= {(purpose, asker, holder)} if word["allow"] else set()

    # A body that is not public has no public task of its own, so basis e is not open to it.
    holders = set(characters) - {"non_public"}

    assert set(itertools.product(("marac", "mappa", "missing_child"), ["relevant_authority"], holders)) == opened


def test_law_09_s325_listed_bodies_only() -> None:
    """LAW-09: over purposes and pairs of legal characters, s.325 opens for mappa between two listed bodies only."""
    characters = INPUT_SCHEMA["$defs"]["party"]["properties"]["characters"]["items"]["enum"]
    listed = {"mappa_responsible", "mappa_cooperating"}
    wrong = []
    for name, asker, holder in itertools.product(DATA["purposes"], characters, characters):
        document = example_for(name)
        document["requester"]["characters"] = [asker]
        document["targets"] = document["targets"][:1]
        document["targets"][0]["gateway_id"] = "cja2003_s325"
        document["targets"][0]["responder"]["characters"] = [holder]
        fits = name == "mappa" and asker in listed and holder in listed
        if bool(_allowed(document)) != fits:
            wrong.append((name, asker, holder))

    assert wrong == []


def test_law_26_unverified_law_stays_out() -> None:
    """LAW-26: as no row was checked by a lawyer yet, a production bundle allows nothing at all."""
    production = data_of(shipped("production").files)["accord"]["data"]
    unverified = [row["id"] for row in production["gateways"].values() if not row["verified"]]

    assert production["profile"] == "production"
    assert unverified == list(production["gateways"])


def test_law_32_gateway_fits_purpose() -> None:
    """LAW-32: over every pair of purpose and gateway, one that is not listed for the purpose is refused as that."""
    wrong = []
    for name, gateway in itertools.product(DATA["purposes"], DATA["gateways"]):
        document = example_for(name)
        for target in document["targets"]:
            target["gateway_id"] = gateway
        listed = gateway in DATA["purposes"][name]["gateways"]
        for word in unsafe_ask(document).values():
            refused = any(one == {"code": "GATEWAY_WRONG_PURPOSE", "ref": ""} for one in word["denials"])
            if refused == listed or (word["allow"] and not listed):
                wrong.append((name, gateway))

    assert wrong == []


def test_prv_6_the_input_has_no_place_for_a_name() -> None:
    """T-PRV-6: no field of the input takes free text, and canary names, dates and numbers are refused everywhere."""
    canaries = ("Jamie Alan Thorley", "Thorley", "09/03/2013", "MD4 7QT", "14 Larkspur Rise", "999 000 0000", "é")
    taken = []
    for name, canary in itertools.product(EXAMPLES, canaries):
        for path in _places(example(name)):
            document = example(name)
            _holder(document, path)[path[-1]] = canary
            # One surname without a space has the form of a code; it is then a code that no list has, and is refused by
            # the rules instead.
            if INPUT.is_valid(document) and (canary != "Thorley" or _allowed(document) == _allowed(example(name))):
                taken.append((path, canary))

    assert taken == []


def test_the_schema_knows_the_conditions_of_the_lists() -> None:
    """A condition that a lawyer adds to the list must be accepted by the schema as well."""
    known = INPUT_SCHEMA["$defs"]["target"]["properties"]["sch1"]["anyOf"][0]["enum"]
    listed = {condition for row in DATA["limits"]["sch1_conditions"].values() for condition in row}

    assert listed | {"none"} == set(known)


def test_prv_6_the_decision_has_no_place_for_a_name() -> None:
    """T-PRV-6: what is recorded of a decision holds codes, references and identifiers of the bundle only."""
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.- ,':{}[]\"")
    document = example("s47_enquiry")
    text = encode(unsafe_ask(document)).decode()

    assert set(text) <= allowed
