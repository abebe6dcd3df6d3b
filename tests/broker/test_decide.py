"""Asked to Permit or Refusal: what goes into a decision, what comes out, and that no decision is never leave."""

import asyncio
import dataclasses
import json
from collections.abc import Iterator, Sequence

import pytest

from accord.statement import BrokerPart, Subject, Target
from broker import decide
from broker.decide import Facts, Rules
from broker.engines import Evaluation, PolicyError, PolicyUnavailable
from broker.engines.regorus import Regorus
from broker.stages import Decision, User
from tests.world.rules import AT_NS, broker_part, bundle_of, core, example, shipped, user

ID = "01934f4e-0000-7000-8000-0000000000ff"


@pytest.fixture(scope="module")
def rules() -> Iterator[Rules]:
    """The shipped rules on the embedded engine."""
    made = decide.load(shipped(), Regorus)
    yield made
    made.engine.close()


def _document(
    rules: Rules,
    purpose: str = "s47_enquiry",
    *,
    part: BrokerPart | None = None,
    who: User | None = None,
    facts: Facts | None = None,
) -> bytes:
    return decide.build_input(
        core=core(purpose),
        broker_part=part or broker_part(purpose),
        user=who or user(),
        facts=facts or Facts((), "fresh"),
        at_ns=AT_NS,
        rules=rules,
    )


def _decided(rules: Rules, document: bytes, targets: Sequence[Target] | None = None) -> Decision:
    addressed = broker_part("s47_enquiry").targets if targets is None else targets
    return asyncio.run(decide.decide(rules, document, addressed, ID))


def _refused(decision: Decision, agency: str) -> list[str]:
    return [denial.code for denial in decision.by_target[agency].denials]


def test_a_child_protection_question_is_allowed_without_an_agreement(rules: Rules) -> None:
    """LAW-01 through the whole step, with everything the record of it needs."""
    document = _document(rules)
    decision = _decided(rules, document)
    word = decision.by_target["housing"]

    assert word.allow
    assert ("s1", "s2") == word.subjects
    assert ("duty", "sharing_agreement") == word.grants
    assert ("not_operative", ()) == (word.agreement_mode, word.agreements_used)
    assert "ca1989_s47" == word.obligations["cite_gateway"]
    assert (shipped().revision, rules.catalogue.digest, ID) == (
        decision.revision,
        decision.catalogue,
        decision.decision_id,
    )
    assert decision.engine.startswith("regorus ")


def test_a_refusal_says_why_and_what_to_do(rules: Rules) -> None:
    """LAW-27: the person asking reads words, not codes."""
    word = _decided(rules, _document(rules, "early_help")).by_target["police"]
    first = word.denials[0]

    assert not word.allow
    assert ("AGREEMENT_MISSING", "s1", "Your team manager") == (first.code, first.ref, first.contact)
    assert first.reason.startswith("For this purpose the family's agreement is needed")
    assert "Ask the family" in first.cure


def test_agreements_used_are_named(rules: Rules) -> None:
    """The ledger looks at exactly these again before anything is released."""
    agreements = example("early_help")["agreements"]
    document = _document(rules, "early_help", facts=Facts(agreements, "fresh"))
    word = _decided(rules, document).by_target["police"]

    assert word.allow
    assert word.agreements_used == tuple(one["record_id"] for one in agreements)


def test_the_input_is_the_one_of_the_rules_own_examples(rules: Rules) -> None:
    """The tests beside the rules begin from what this code really builds."""
    built = json.loads(_document(rules))
    wanted = example("s47_enquiry")
    built["state"]["revision"] = wanted["state"]["revision"]

    assert wanted == built


def test_what_is_said_of_an_agency_comes_from_the_bundle(rules: Rules) -> None:
    """An agency that the bundle does not have is not taking part, whatever the asker says of it."""
    part = broker_part("s47_enquiry")
    unknown = dataclasses.replace(part.targets[0], agency="coastguard")
    part = dataclasses.replace(part, targets=(unknown, part.targets[1]))
    decision = _decided(rules, _document(rules, part=part), part.targets)

    assert "AGENCY_SUSPENDED" in _refused(decision, "coastguard")
    assert decision.by_target["police"].allow


def test_an_agency_suspended_since_the_bundle_was_built_is_refused(rules: Rules) -> None:
    """A suspension bites at the next question and needs no new bundle."""
    decision = _decided(rules, _document(rules, facts=Facts((), "fresh", suspended=("police",))))

    assert ["AGENCY_SUSPENDED"] == _refused(decision, "police")
    assert decision.by_target["housing"].allow


def test_a_sign_in_dated_after_the_question_is_refused(rules: Rules) -> None:
    """A negative age is no age."""
    late = dataclasses.replace(user(), auth_time_s=user().auth_time_s + 3600)
    decision = _decided(rules, _document(rules, who=late))

    assert ["INPUT_INVALID"] == _refused(decision, "police")


class _NeverAsked:
    """An engine that must not be reached."""

    async def decide(self, entrypoint: str, document: bytes) -> Evaluation:
        """Fail."""
        raise AssertionError("the engine was asked")

    def close(self) -> None:
        """Nothing to close."""


class _Says:
    """An engine that says whatever it was given."""

    def __init__(self, result: object, revision: str | None = None) -> None:
        self._result = result
        self._revision = revision or shipped().revision

    async def decide(self, entrypoint: str, document: bytes) -> Evaluation:
        """Say it."""
        return Evaluation(self._result, self._revision, "test", 1)  # type: ignore[arg-type]  # garbage is the point

    def close(self) -> None:
        """Nothing to close."""


def test_an_input_that_the_schema_refuses_reaches_no_engine(rules: Rules) -> None:
    """LAW-14: INPUT_INVALID before any engine, for every agency, in words."""
    document = json.loads(_document(rules))
    document["surprise"] = True
    guarded = dataclasses.replace(rules, engine=_NeverAsked())
    decision = _decided(guarded, json.dumps(document).encode())

    assert {"housing": ["INPUT_INVALID"], "police": ["INPUT_INVALID"]} == {
        agency: _refused(decision, agency) for agency in decision.by_target
    }
    assert not any(word.allow for word in decision.by_target.values())


def test_the_guard_of_that_test_is_reached_by_a_good_input(rules: Rules) -> None:
    """Negative control: the same engine does fail when it is asked."""
    guarded = dataclasses.replace(rules, engine=_NeverAsked())

    with pytest.raises(AssertionError):
        _decided(guarded, _document(rules))


def test_a_child_of_eighteen_is_refused_before_the_rules(rules: Rules) -> None:
    """A subject cannot be a child and eighteen; the schema says so."""
    part = dataclasses.replace(
        broker_part("s47_enquiry"),
        subjects=(Subject("s1", "child", "18_plus", False, "n_a", False, "unknown"),),
        subject_tags={"s1": ()},
    )

    assert ["INPUT_INVALID"] == _refused(_decided(rules, _document(rules, part=part)), "police")


def _good(rules: Rules) -> dict[str, object]:
    async def evaluate() -> Evaluation:
        return await rules.engine.decide(decide.ENTRYPOINT, _document(rules))

    return json.loads(json.dumps(asyncio.run(evaluate()).result))


GARBAGE = {
    "true": True,
    "nothing": {},
    "a word at a wrong path": {"allow": True},
    "no agency": {"by_target": {}},
    "allow as a text": {"by_target": {"housing": {"allow": "true"}, "police": {"allow": "true"}}},
    "undefined as a text": {"by_target": "<undefined>"},
    "null": None,
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_from_an_engine_is_no_decision(rules: Rules, what: str) -> None:
    """T-POL-5: whatever is not a decision raises, and nothing is asked."""
    broken = dataclasses.replace(rules, engine=_Says(GARBAGE[what]))

    with pytest.raises(PolicyError):
        _decided(broken, _document(rules))


@pytest.mark.parametrize("field", ["grants", "denials", "answer_form", "agreement", "allow"])
def test_an_almost_good_decision_is_no_decision(rules: Rules, field: str) -> None:
    """T-POL-5: allow without a grant, with a denial, or with a field missing is refused."""
    result = _good(rules)
    word = result["by_target"]["housing"]  # type: ignore[index]  # the shape was checked by the tests above
    match field:
        case "grants":
            word["grants"] = []
        case "denials":
            word["denials"] = [{"code": "ISA_EXPIRED", "ref": ""}]
        case "answer_form":
            word["answer_form"] = "none"
        case _:
            del word[field]
    broken = dataclasses.replace(rules, engine=_Says(result))

    with pytest.raises(PolicyError):
        _decided(broken, _document(rules))


def test_a_good_decision_from_that_engine_is_taken(rules: Rules) -> None:
    """Negative control of the two tests above."""
    sane = dataclasses.replace(rules, engine=_Says(_good(rules)))

    assert _decided(sane, _document(rules)).by_target["housing"].allow


def test_a_word_on_another_agency_is_no_decision(rules: Rules) -> None:
    """T-POL-5: each addressed agency gets its word, and nobody else does."""
    with pytest.raises(PolicyError):
        _decided(rules, _document(rules), broker_part("s47_enquiry").targets[:1])


def test_an_answer_for_other_rules_is_no_decision(rules: Rules) -> None:
    """T-POL-2: a decision under a revision that is not the one asked for is thrown away."""
    stale = dataclasses.replace(rules, engine=_Says(_good(rules), "0" * 64))

    with pytest.raises(PolicyUnavailable):
        _decided(stale, _document(rules))


def test_a_code_without_words_is_no_decision(rules: Rules) -> None:
    """LAW-27: a refusal that cannot be explained is a fault of the rules, not of the person asking."""
    wordless = dataclasses.replace(rules, reasons={})

    with pytest.raises(PolicyError):
        _decided(wordless, _document(rules, "early_help"))


@pytest.mark.parametrize("path", ["accord/data/data.json", "schemas/input.json", "schemas/decision.json"])
def test_a_bundle_without_a_file_that_decisions_need_is_not_loaded(path: str) -> None:
    """Signed is not enough: what is missing would be found out in the middle of a question."""
    files = {name: content for name, content in shipped().files.items() if name != path}

    with pytest.raises(PolicyError):
        decide.load(bundle_of(files), lambda _: _NeverAsked())


def test_the_same_input_has_the_same_digest(rules: Rules) -> None:
    """What is stored of a decision is enough to make it again."""
    first, second = _decided(rules, _document(rules)), _decided(rules, _document(rules))

    assert (first.input_sha256, first.by_target) == (second.input_sha256, second.by_target)
