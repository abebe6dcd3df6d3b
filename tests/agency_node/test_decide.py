"""The agency's own decision: nothing about people before linking, and a no of its own afterwards."""

import asyncio
import dataclasses
import json
from collections.abc import Iterator

import pytest

from agency_node import decide
from agency_node.decide import Local, Person, Rules, Word
from agency_node.engines import Evaluation, PolicyError, PolicyUnavailable
from agency_node.engines.regorus import Regorus
from tests.world.rules import AT_NS, core, example, shipped

CHILD = Person("s1", "child", "10_15")
FOUND = Local("matched", None, 60)


@pytest.fixture(scope="module")
def rules() -> Iterator[Rules]:
    """The shipped rules on the agency's embedded engine."""
    made = decide.load(shipped(), Regorus)
    yield made
    made.engine.close()


def _document(
    rules: Rules,
    *,
    purpose: str = "s47_enquiry",
    gateway: str = "ca1989_s47",
    person: Person | None = None,
    local: Local | None = None,
) -> bytes:
    return decide.build_input(
        core=core(purpose), gateway=gateway, node="housing", at_ns=AT_NS, rules=rules, person=person, local=local
    )


def _word(rules: Rules, document: bytes) -> Word:
    return asyncio.run(decide.decide(rules, document, "housing"))


def test_before_linking_the_input_says_nothing_about_people(rules: Rules) -> None:
    """T-LNK-2, T-PRV-6: who, how many, in which case and under which agreement is not there to be looked at."""
    built = json.loads(_document(rules))

    assert example("before_linking") == built
    assert ([], [], None, None) == (
        built["subjects"],
        built["agreements"],
        built["request"]["case_token"],
        built["state"],
    )
    assert _word(rules, _document(rules)).allow


def test_after_linking_the_input_holds_the_one_opened_slot(rules: Rules) -> None:
    """The tests beside the rules begin from what this code really builds."""
    assert example("after_linking") == json.loads(_document(rules, person=CHILD, local=FOUND))


def test_a_found_person_may_be_answered_about(rules: Rules) -> None:
    """The ordinary end of an allowed question."""
    word = _word(rules, _document(rules, person=CHILD, local=FOUND))

    assert (True, (), "recency") == (word.allow, word.denials, word.answer_form)
    assert shipped().revision == word.revision


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        ({"withheld": True}, "detriment"),
        ({"shielded": True}, "shielded"),
        ({"opt_out": True}, "opt_out"),
        ({"court_restriction": True}, "court_restriction"),
        ({"manual": True}, "review"),
        ({"linkage": "ambiguous"}, "linkage"),
        ({"linkage": "not_tried"}, "linkage"),
        ({"data_age_s": 172_801}, "stale"),
    ],
)
def test_what_the_agency_keeps_back_it_keeps_back(rules: Rules, mark: dict[str, object], reason: str) -> None:
    """LAW-06: the broker's leave is not enough; the cause is there for the agency's own ledger."""
    local = dataclasses.replace(FOUND, **mark)  # type: ignore[arg-type]  # field by field from the table above
    word = _word(rules, _document(rules, person=CHILD, local=local))

    assert (False, (("WITHHELD_HERE", reason),), "none") == (word.allow, word.denials, word.answer_form)


@pytest.mark.parametrize(("binds", "allow"), [(True, True), (False, False), (None, False)])
def test_law_31_agreement_binds_person(rules: Rules, binds: bool | None, allow: bool) -> None:
    """LAW-31: under early help the person found must be the person who agreed."""
    local = dataclasses.replace(FOUND, agreement_binds=binds)
    document = _document(rules, purpose="early_help", gateway="agreement_service", person=CHILD, local=local)

    assert allow is _word(rules, document).allow


def test_nobody_found_needs_no_binding(rules: Rules) -> None:
    """Not known is the same answer with and without an agreement."""
    document = _document(
        rules, purpose="early_help", gateway="agreement_service", person=CHILD, local=Local("none", None, 60)
    )

    assert _word(rules, document).allow


def test_an_agency_outside_the_bundle_is_refused(rules: Rules) -> None:
    """An asker that the rules do not know gets nothing, whatever the broker warranted."""
    stranger = dataclasses.replace(core("s47_enquiry"), agency="coastguard")
    document = decide.build_input(core=stranger, gateway="ca1989_s47", node="housing", at_ns=AT_NS, rules=rules)
    word = _word(rules, document)

    assert not word.allow
    assert ("AGENCY_SUSPENDED", "") in word.denials


OVERLAY = """package accord.overlay

refusals contains {"code": "SENSITIVE_SERVICE", "ref": "own"} if input.request.question_id == "agency.contact"
"""


def test_law_21_own_rules_refuse_more() -> None:
    """LAW-21: an agency's own rule can say no."""
    own = decide.load(shipped(), lambda bundle: Regorus(bundle, overlay={"own.rego": OVERLAY}))
    word = _word(own, _document(own, person=CHILD, local=FOUND))
    own.engine.close()

    assert (False, (("SENSITIVE_SERVICE", "own"),)) == (word.allow, word.denials)


@pytest.mark.parametrize(
    "text",
    [
        "package accord.grounds\n\ngateway_in_force(_) := true",
        "package accord.node\n\ndecision := {}",
        "package accord\n\nall_found(_) := true",
        "package accord.overlay.more\n\nx := 1",
        "not rego at all {",
    ],
)
def test_law_21_own_rules_speak_for_nothing_else(text: str) -> None:
    """LAW-21: a file that speaks for a shared package could allow more, so no engine is made with it."""
    with pytest.raises(PolicyError):
        Regorus(shipped(), overlay={"own.rego": text})


def test_law_21_own_rules_that_say_yes_are_not_heard() -> None:
    """LAW-21: nothing but refusals is read from an agency's own rules."""
    wishful = "package accord.overlay\n\nallow := true\n\npermit := true\n\nrefusals := set()"
    own = decide.load(shipped(), lambda bundle: Regorus(bundle, overlay={"own.rego": wishful}))
    word = _word(own, _document(own, person=CHILD, local=dataclasses.replace(FOUND, shielded=True)))
    own.engine.close()

    assert not word.allow


class _Says:
    """An engine that says whatever it was given."""

    def __init__(self, result: object, revision: str) -> None:
        self._result, self._revision = result, revision

    async def decide(self, entrypoint: str, document: bytes) -> Evaluation:
        """Say it."""
        return Evaluation(self._result, self._revision, "test", 1)  # type: ignore[arg-type]  # garbage is the point

    def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize("garbage", [True, {}, {"allow": True}, {"by_target": {}}, {"by_target": {"housing": True}}])
def test_garbage_is_no_decision(rules: Rules, garbage: object) -> None:
    """T-POL-5: whatever is not a decision raises, and nothing is opened."""
    broken = dataclasses.replace(rules, engine=_Says(garbage, shipped().revision))

    with pytest.raises(PolicyError):
        _word(broken, _document(rules))


def test_an_answer_for_other_rules_is_no_decision(rules: Rules) -> None:
    """T-POL-2: the node decides by the revision that the warrant names or not at all."""
    stale = dataclasses.replace(rules, engine=_Says({"by_target": {}}, "0" * 64))

    with pytest.raises(PolicyUnavailable):
        _word(stale, _document(rules))


def test_an_input_that_the_schema_refuses_is_refused_in_words(rules: Rules) -> None:
    """LAW-14 at the agency: unknown fields close."""
    document = json.loads(_document(rules))
    document["subjects"] = [{"name": "somebody"}]

    assert (("INPUT_INVALID", ""),) == _word(rules, json.dumps(document).encode()).denials
