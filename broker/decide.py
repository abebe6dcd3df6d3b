"""Decide a question for all its targets: Asked -> Permit | Refusal.

    facts -> closed input -> schema -> the one engine -> shape and revision checked -> denials put in plain words

* Every field of the input is present; names, birth dates, addresses and free text have no field to stand in (T-PRV-6).
* What the asker asserts is passed on as asserted. What is said of the agencies comes from the bundle, never from the
  asker.
* An input that the schema refuses never reaches an engine: every target is denied with INPUT_INVALID.
* No decision is no leave: an engine that fails, is late, or answers for other rules raises (T-POL-5).
* One `Rules` value is read once for each question, so a decision never mixes two revisions (T-POL-2).
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import jsonschema_rs

from accord import canonical, catalogue, working_days
from accord.bundle import Bundle
from accord.catalogue import Catalogue
from accord.statement import BrokerPart, Core, Target
from broker.engines import Engine, PolicyError, PolicyOtherRevision, PolicyUnavailable, PolicyUndefined
from broker.events import Event, log
from broker.stages import Asked, Decision, Denial, Permit, Refusal, TargetDecision, Undecided, User

ENTRYPOINT: Final = "accord.query.decision"
DATA: Final = "accord/data/data.json"
INPUT_INVALID: Final = "INPUT_INVALID"
SECOND_NS: Final = 1_000_000_000
REVIEW: Final = {"kind": "review_by", "value": "end_of_next_working_day"}
"""What the rules say of an emergency: they know no calendar."""


@dataclass(frozen=True, slots=True)
class Rules:
    """One policy revision, ready to decide.

    Attributes:
        revision: 64 hexadecimal digits.
        catalogue: The catalogue of this revision.
        profile: demo or production.
        agencies: Agency -> its row in the bundle.
        isa: Sharing agreement -> its row.
        reasons: Denial code -> reason, cure, contact.
        days_off: Bank holidays, each as 2026-12-25.
        input_schema: Validates an input document.
        decision_schema: Validates a decision document.
        engine: Evaluates this revision.
    """

    revision: str
    catalogue: Catalogue
    profile: str
    agencies: Mapping[str, Mapping[str, Any]]
    isa: Mapping[str, Mapping[str, Any]]
    reasons: Mapping[str, Mapping[str, str]]
    days_off: frozenset[str]
    input_schema: jsonschema_rs.Draft202012Validator
    decision_schema: jsonschema_rs.Draft202012Validator
    engine: Engine


def load(bundle: Bundle, engine: Callable[[Bundle], Engine]) -> Rules:
    """Make the rules of a checked bundle ready.

    Args:
        bundle: From accord.bundle.open_bundle.
        engine: Makes the engine that settings name, for example broker.engines.regorus.Regorus.

    Raises:
        BadCatalogue: The bundle's catalogue does not have its form.
        PolicyError: The bundle lacks a file, or its rules cannot be loaded.
    """
    try:
        data = json.loads(bundle.files[DATA])
        return Rules(
            revision=bundle.revision,
            catalogue=catalogue.parse(bundle.files[catalogue.PATH]),
            profile=data["profile"],
            agencies=data["agencies"],
            isa=data["isa"],
            reasons=data["reasons"],
            # A bundle from before there were emergencies has none, and needs none.
            days_off=frozenset(data.get("bank_holidays", ())),
            input_schema=jsonschema_rs.Draft202012Validator(json.loads(bundle.files["schemas/input.json"])),
            decision_schema=jsonschema_rs.Draft202012Validator(json.loads(bundle.files["schemas/decision.json"])),
            engine=engine(bundle),
        )
    except (KeyError, ValueError) as error:
        raise PolicyError("the bundle lacks a file that decisions need") from error


@dataclass(frozen=True, slots=True)
class Facts:
    """What the broker itself knows about a question.

    Attributes:
        agreements: The agreements named in the question, folded from the ledger; see `agreement`.
        ledger: fresh, grace or stale.
        user_subjects_today: How many people this user asked about today.
        subject_askings_30d: Most questions about one of these people in 30 days.
        case: open, closed or not_checked.
        suspended: Agencies suspended since the bundle was built.
    """

    agreements: Sequence[Mapping[str, object]]
    ledger: str
    user_subjects_today: int = 0
    subject_askings_30d: int = 0
    case: str = "not_checked"
    suspended: Collection[str] = ()


def agreement(
    *,
    record_id: str,
    subject_ref: str,
    kind: str,
    state: str,
    given_by: str,
    questions: Sequence[str],
    purposes: Sequence[str],
    requesters: Sequence[str],
    responders: Sequence[str],
    valid_from_ns: int,
    valid_to_ns: int | None,
    withdrawn_at_ns: int | None,
    ledger_index: int,
    objection: str = "none",
) -> dict[str, object]:
    """One agreement for one person asked about, as the rules read it.

    Args:
        record_id: UUID; the number on the family's receipt.
        subject_ref: Whom of the question it is for, s1 to s12.
        kind: service_agreement or gdpr_consent.
        state: State of the consent record in the words of the W3C Data Privacy Vocabulary, such as ConsentGiven.
        given_by: self, parent, other_pr_holder or court_order.
        questions: Catalogue identifiers in scope.
        purposes: Purposes in scope.
        requesters: Agencies that may ask under it.
        responders: Agencies that may answer under it.
        valid_from_ns: From when, nanoseconds since 1970.
        valid_to_ns: Until when; None for no end.
        withdrawn_at_ns: When it was withdrawn, or None.
        ledger_index: Where it stands in the ledger.
        objection: none, pending, upheld or overridden.
    """
    return {
        "record_id": record_id,
        "subject_ref": subject_ref,
        "kind": kind,
        "state": state,
        "given_by": given_by,
        "questions": list(questions),
        "purposes": list(purposes),
        "requesters": list(requesters),
        "responders": list(responders),
        "valid_from_ns": valid_from_ns,
        "valid_to_ns": valid_to_ns,
        "withdrawn_at_ns": withdrawn_at_ns,
        "objection": objection,
        "ledger_index": ledger_index,
    }


def build_input(*, core: Core, broker_part: BrokerPart, user: User, facts: Facts, at_ns: int, rules: Rules) -> bytes:
    """The closed input of one decision, as canonical JSON.

    Args:
        core: From the checked statement.
        broker_part: From the checked statement.
        user: From the caller token.
        facts: What the broker itself knows.
        at_ns: The one clock reading of this question.
        rules: The revision that will decide.

    Raises:
        NotCanonical: A value cannot stand in an input, so the question is not of the agreed form.
    """
    asserted = broker_part.assertions
    requester = _party(core.agency, [target.isa_id for target in broker_part.targets], facts, at_ns, rules)
    return canonical.encode(
        {
            "schema_version": 1,
            "entrypoint": "query",
            "request": {
                "at": at_ns,
                "id": core.query_id,
                "question_id": core.question,
                "question_version": core.question_version,
                "subject_kind": "person" if len(broker_part.subjects) == 1 else "family",
                "answer_form": broker_part.answer_form,
                "purpose": core.purpose,
                "need_tier": asserted.need_tier,
                "urgency": core.urgency,
                "necessity_code": asserted.necessity_code,
                "necessity_digest": None,
                "views_sought": asserted.views_sought,
                "proportionality_code": asserted.proportionality_code or None,
                "significant_harm_asserted": asserted.significant_harm_asserted,
                "public_task_stated": asserted.public_task_stated,
                "dea_objective": None,
                "case_token": broker_part.case_token or None,
                "watch_until": None,
                "model_id": None,
            },
            "requester": requester,
            "targets": [_target(target, facts, at_ns, rules) for target in broker_part.targets],
            "user": {
                "token": user.token,
                "role": user.role,
                "aal": user.aal,
                "phishing_resistant": user.phishing_resistant,
                # A sign-in dated after the question is as good as none: the schema refuses a negative age.
                "auth_age_s": at_ns // SECOND_NS - user.auth_time_s,
                "supervisor_token": asserted.supervisor_token or None,
            },
            "subjects": [
                {
                    "ref": subject.ref,
                    "role": subject.role,
                    "age_band": subject.age_band,
                    "concerns_unborn": subject.concerns_unborn,
                    "competence": subject.competence,
                    "relates_to_child": subject.relates_to_child,
                    "consistent_id": subject.consistent_id,
                }
                for subject in broker_part.subjects
            ],
            "agreements": list(facts.agreements),
            "told": {
                "state": asserted.told_state,
                "reason": asserted.told_reason,
                "review_at_ns": asserted.told_review_at_ns,
            },
            "escalation": None,
            "break_glass": {
                "claimed": asserted.break_glass,
                "ground": asserted.break_glass_ground,
                "supervisor_notified": bool(asserted.supervisor_token),
            },
            "state": {
                "user_subjects_today": facts.user_subjects_today,
                "subject_askings_30d": facts.subject_askings_30d,
                "break_glass_overdue": 0,
                "case": facts.case,
                "ledger": facts.ledger,
                "revision": rules.revision,
            },
            "local": None,
        }
    )


def _target(target: Target, facts: Facts, at_ns: int, rules: Rules) -> dict[str, object]:
    return {
        "responder": _party(target.agency, [target.isa_id], facts, at_ns, rules),
        "gateway_id": target.gateway,
        "art6": target.art6,
        "art9": target.art9,
        "sch1": target.sch1,
        "crime": target.crime,
        "isa_id": target.isa_id,
    }


def _party(agency: str, isa_ids: Sequence[str], facts: Facts, at_ns: int, rules: Rules) -> dict[str, object]:
    """An agency as the bundle describes it; one that the bundle does not have is not taking part."""
    row = rules.agencies.get(agency)
    if row is None:
        return {
            "agency_id": agency,
            "controller_id": agency,
            "kind": "unknown",
            "characters": [],
            "regime": "part2",
            "jurisdiction": "E",
            "sensitivity": "ordinary",
            "suspended": True,
            "isa_until_ns": None,
            "dpia_until_ns": None,
            "apd_until_ns": None,
        }
    ends = [rules.isa[id_]["effective_to_ns"] for id_ in isa_ids if agency in rules.isa.get(id_, {}).get("parties", [])]
    return {
        "agency_id": agency,
        "controller_id": row["controller_id"],
        "kind": row["kind"],
        "characters": sorted(
            {
                character["id"]
                for character in row["characters"]
                if character["effective_from_ns"] <= at_ns < character["effective_to_ns"]
                and (rules.profile == "demo" or character["verified"])
            }
        ),
        "regime": row["regime"],
        "jurisdiction": row["jurisdiction"],
        "sensitivity": row["sensitivity"],
        "suspended": row["suspended"] or agency in facts.suspended,
        "isa_until_ns": min(ends, default=None),
        "dpia_until_ns": row["dpia_until_ns"],
        "apd_until_ns": row["apd_until_ns"],
    }


def rebased(document: Mapping[str, Any], rules: Rules) -> bytes:
    """A recorded input as it would be if these rules were in force: what is said of agencies comes from them.

    Args:
        document: An input that `build_input` made, read.
        rules: The revision that will decide it.

    Raises:
        NotCanonical: It is not such an input.
    """
    at_ns = document["request"]["at"]
    isa_ids = [target["isa_id"] for target in document["targets"]]
    facts = Facts(agreements=(), ledger="")
    return canonical.encode(
        {
            **document,
            "requester": _party(document["requester"]["agency_id"], isa_ids, facts, at_ns, rules),
            "targets": [
                target
                | {"responder": _party(target["responder"]["agency_id"], [target["isa_id"]], facts, at_ns, rules)}
                for target in document["targets"]
            ],
            "state": {**document["state"], "revision": rules.revision},
        }
    )


async def decide(rules: Rules, document: bytes, targets: Sequence[Target], decision_id: str) -> Decision:
    """Decide one input document.

    Args:
        rules: The revision that decides.
        document: From `build_input`.
        targets: The targets of the question; each gets its word.
        decision_id: A fresh UUID version 7.

    Raises:
        PolicyUnavailable: The engine is too slow, too busy, gone, or answered for another revision.
        PolicyUndefined: The rules gave no decision.
        PolicyError: The rules or the engine failed, or what came out is no decision.
    """
    gateways = {target.agency: target.gateway for target in targets}
    value = json.loads(document)
    if not rules.input_schema.is_valid(value):
        return _invalid(rules, gateways, document, decision_id)
    evaluation = await rules.engine.decide(ENTRYPOINT, document)
    if evaluation.revision != rules.revision:
        raise PolicyOtherRevision("the engine answered for other rules")
    if not rules.decision_schema.is_valid(evaluation.result):
        raise PolicyError("what the rules gave is no decision")
    by_target = evaluation.result["by_target"]
    if set(by_target) != set(gateways):
        raise PolicyError("the rules decided for other agencies than were addressed")
    return Decision(
        by_target={
            agency: _word(rules, gateways[agency], by_target[agency], value["request"]["at"])
            for agency in sorted(by_target)
        },
        decision_id=decision_id,
        revision=rules.revision,
        catalogue=rules.catalogue.digest,
        input_sha256=canonical.sha256(document).hex(),
        engine=evaluation.engine,
        elapsed_us=evaluation.elapsed_us,
        engine_decision_id=evaluation.decision_id,
        document=document,
    )


def _word(rules: Rules, gateway: str, row: Mapping[str, Any], at_ns: int) -> TargetDecision:
    # The schema has already demanded that an allowed agency has a grant and no denial.
    return TargetDecision(
        allow=row["allow"],
        gateway=gateway,
        subjects=tuple(row["subjects"]),
        grants=tuple(grant["id"] for grant in row["grants"]),
        denials=tuple(explain(rules, denial["code"], denial["ref"]) for denial in row["denials"]),
        agreement_mode=row["agreement"]["mode"],
        agreements_used=tuple(row["agreement"]["used"]),
        obligations={
            item["kind"]: _by_then(rules, at_ns) if item == REVIEW else str(item["value"])
            for item in row["obligations"]
        },
        answer_form=row["answer_form"],
    )


def _by_then(rules: Rules, at_ns: int) -> str:
    """The instant that the rules leave to a calendar, as people and the ledger read it."""
    return canonical.rfc3339(working_days.end_of_next_working_day_ns(at_ns, rules.days_off))


def explain(rules: Rules, code: str, ref: str = "") -> Denial:
    """A denial in the plain words that the bundle has for its code.

    Raises:
        PolicyError: The bundle has no words for it.
    """
    try:
        row = rules.reasons[code]
    except KeyError as error:
        raise PolicyError(f"the bundle has no words for {code}") from error
    return Denial(code, row["reason"], row["cure"], row["contact"], ref)


def _invalid(rules: Rules, gateways: Mapping[str, str], document: bytes, decision_id: str) -> Decision:
    return Decision(
        by_target={
            agency: TargetDecision(
                allow=False,
                gateway=gateways[agency],
                subjects=(),
                grants=(),
                denials=(explain(rules, INPUT_INVALID),),
                agreement_mode="not_applicable",
                agreements_used=(),
                obligations={},
                answer_form="none",
            )
            for agency in sorted(gateways)
        },
        decision_id=decision_id,
        revision=rules.revision,
        catalogue=rules.catalogue.digest,
        input_sha256=canonical.sha256(document).hex(),
        engine="none",
        elapsed_us=0,
        document=document,
    )


class Decider:
    """The pipeline's Policy: builds the input, decides, and makes the Permit or the Refusal."""

    def __init__(self, rules: Callable[[], Rules], facts: Callable[[Asked], Facts], new_id: Callable[[], str]) -> None:
        """Take the parts.

        Args:
            rules: The rules in force now; called once for each question.
            facts: What the broker knows about a question; may raise a Problem.
            new_id: Makes a decision's identifier, a UUID version 7.
        """
        self._rules = rules
        self._facts = facts
        self._new_id = new_id

    async def decide(self, asked: Asked) -> Permit | Refusal | Undecided:
        """One decision for all targets, or why there is none."""
        rules = self._rules()
        statement = asked.statement
        document = build_input(
            core=statement.core,
            broker_part=statement.broker_part,
            user=asked.user,
            facts=self._facts(asked),
            at_ns=asked.at_ns,
            rules=rules,
        )
        try:
            decision = await decide(rules, document, statement.broker_part.targets, self._new_id())
        except (PolicyUnavailable, PolicyUndefined, PolicyError) as problem:
            log.error(
                Event.POLICY_FAILED,
                query_id=statement.core.query_id,
                reason=problem.reason,
                policy=rules.revision,
                code=getattr(problem, "code", ""),
            )
            return Undecided(asked, rules.revision, rules.catalogue.digest, problem)
        decision = replace(decision, question=rules.catalogue.questions.get(statement.core.question))
        if any(word.allow for word in decision.by_target.values()):
            return Permit(asked, decision)
        return Refusal(asked, decision)
