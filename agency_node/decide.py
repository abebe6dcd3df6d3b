"""This agency's own decision: its copy of the federation's rules, and rules of its own that can only refuse.

    Admitted -> closed input without people -> engine -> allowed to open the envelope?
    Opened slot -> closed input with that one person and what this record says -> engine -> allowed to answer?

* The first decision is made before the envelope is opened; its input says nothing about anybody.
* The second is made once for each slot, whether somebody was found or not, so that both take the same work.
* The rules checked here are those of the bundle that the warrant names; no engine and no bundle means no answer.
* Why an agency keeps something back goes into its own ledger and never leaves it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jsonschema_rs

from accord import canonical, catalogue
from accord.bundle import Bundle
from accord.catalogue import Catalogue
from accord.statement import Core
from agency_node.engines import Engine, PolicyError, PolicyOtherRevision

ENTRYPOINT: Final = "accord.node.decision"
DATA: Final = "accord/data/data.json"
INPUT_INVALID: Final = "INPUT_INVALID"


@dataclass(frozen=True, slots=True)
class Rules:
    """One policy revision, ready to decide at this agency.

    Attributes:
        revision: 64 hexadecimal digits.
        catalogue: The catalogue of this revision.
        profile: demo or production.
        agencies: Agency -> its row in the bundle.
        isa: Sharing agreement -> its row.
        input_schema: Validates an input document.
        decision_schema: Validates a decision document.
        engine: Evaluates this revision together with the agency's own rules.
    """

    revision: str
    catalogue: Catalogue
    profile: str
    agencies: Mapping[str, Mapping[str, Any]]
    isa: Mapping[str, Mapping[str, Any]]
    input_schema: jsonschema_rs.Draft202012Validator
    decision_schema: jsonschema_rs.Draft202012Validator
    engine: Engine


@dataclass(frozen=True, slots=True)
class Local:
    """What this agency's own record and people say about one slot.

    Attributes:
        linkage: matched, ambiguous, none or not_tried.
        agreement_binds: Whether the agreement holds and binds the person found; None when none is claimed.
        data_age_s: Age of the records answered from, seconds.
        withheld: A named person of this agency said that sharing would harm the child more.
        shielded: Refuge, witness protection, adoption: never answered.
        opt_out: The person opted out, where they may.
        court_restriction: A court forbids it.
        harm_confirmed: A person of this service found reasonable cause to suspect significant harm.
        manual: A person has to look first.
    """

    linkage: str
    agreement_binds: bool | None
    data_age_s: int
    withheld: bool = False
    shielded: bool = False
    opt_out: bool = False
    court_restriction: bool = False
    harm_confirmed: bool = False
    manual: bool = False


@dataclass(frozen=True, slots=True)
class Person:
    """What an opened slot says about the person asked about, beside who it is.

    Attributes:
        ref: s1 to s12.
        role: child, parent or other_adult.
        age_band: As asserted.
    """

    ref: str
    role: str
    age_band: str


@dataclass(frozen=True, slots=True)
class Word:
    """This agency's word.

    Attributes:
        allow: Whether it may go on.
        denials: Code and ref of each refusal; for this agency's own ledger only.
        answer_form: none, boolean or recency.
        revision: Policy revision that decided.
        input_sha256: Digest of the input, 64 hexadecimal digits.
        engine: Name and version of the engine.
        elapsed_us: Time the engine took, microseconds.
    """

    allow: bool
    denials: tuple[tuple[str, str], ...]
    answer_form: str
    revision: str
    input_sha256: str
    engine: str
    elapsed_us: int


def load(bundle: Bundle, engine: Callable[[Bundle], Engine]) -> Rules:
    """Make the rules of a checked bundle ready.

    Args:
        bundle: From accord.bundle.open_bundle.
        engine: Makes the engine that settings name, for example agency_node.engines.regorus.Regorus.

    Raises:
        BadCatalogue: The bundle's catalogue does not have its form.
        PolicyError: The bundle lacks a file, or its rules or this agency's own cannot be loaded.
    """
    try:
        data = json.loads(bundle.files[DATA])
        return Rules(
            revision=bundle.revision,
            catalogue=catalogue.parse(bundle.files[catalogue.PATH]),
            profile=data["profile"],
            agencies=data["agencies"],
            isa=data["isa"],
            input_schema=jsonschema_rs.Draft202012Validator(json.loads(bundle.files["schemas/input.json"])),
            decision_schema=jsonschema_rs.Draft202012Validator(json.loads(bundle.files["schemas/decision.json"])),
            engine=engine(bundle),
        )
    except (KeyError, ValueError) as error:
        raise PolicyError("the bundle lacks a file that decisions need") from error


def build_input(
    *,
    core: Core,
    gateway: str,
    node: str,
    at_ns: int,
    rules: Rules,
    person: Person | None = None,
    local: Local | None = None,
) -> bytes:
    """The closed input of one decision at this agency, as canonical JSON.

    Args:
        core: From the checked statement.
        gateway: From this agency's part of it.
        node: This agency.
        at_ns: This node's one clock reading of the question.
        rules: The revision that will decide.
        person: The opened slot; None before anything is opened.
        local: What this agency's record says; None before anything is opened.

    Raises:
        NotCanonical: A value cannot stand in an input.
    """
    return canonical.encode(
        {
            "schema_version": 1,
            "entrypoint": "node",
            "request": {
                "at": at_ns,
                "id": core.query_id,
                "question_id": core.question,
                "question_version": core.question_version,
                "subject_kind": "none" if person is None else "person",
                "answer_form": None,
                "purpose": core.purpose,
                "need_tier": None,
                "urgency": core.urgency,
                "necessity_code": None,
                "necessity_digest": None,
                "views_sought": None,
                "proportionality_code": None,
                "significant_harm_asserted": None,
                "public_task_stated": None,
                "dea_objective": None,
                "case_token": None,
                "watch_until": None,
                "model_id": None,
            },
            "requester": _party(core.agency, core, node, at_ns, rules),
            "targets": [
                {
                    "responder": _party(node, core, node, at_ns, rules),
                    "gateway_id": gateway,
                    "art6": None,
                    "art9": None,
                    "sch1": None,
                    "crime": None,
                    "isa_id": None,
                }
            ],
            "user": {
                "token": None,
                "role": core.role,
                "aal": None,
                "phishing_resistant": None,
                "auth_age_s": None,
                "supervisor_token": None,
            },
            "subjects": [] if person is None else [_subject(person)],
            "agreements": [],
            "told": None,
            "escalation": None,
            "break_glass": None,
            "state": None,
            "local": None if local is None else _local(local),
        }
    )


def _subject(person: Person) -> dict[str, object]:
    return {
        "ref": person.ref,
        "role": person.role,
        "age_band": person.age_band,
        # A slot says no more than this; the broker's decision has looked at the rest.
        "concerns_unborn": False,
        "competence": "not_assessed",
        "relates_to_child": False,
        "consistent_id": "unknown",
    }


def _local(local: Local) -> dict[str, object]:
    return {
        "linkage": local.linkage,
        "detriment": "withhold" if local.withheld else "none",
        "harm_confirmed": local.harm_confirmed,
        "opt_out": local.opt_out,
        "court_restriction": local.court_restriction,
        "shielded": local.shielded,
        "agreement_binds": local.agreement_binds,
        "data_age_s": local.data_age_s,
        "review": "manual" if local.manual else "auto",
    }


def _party(agency: str, core: Core, node: str, at_ns: int, rules: Rules) -> dict[str, object]:
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
    ends = [
        isa["effective_to_ns"]
        for isa in rules.isa.values()
        if {core.agency, node} <= set(isa["parties"]) and core.question in isa["questions"]
    ]
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
        "suspended": row["suspended"],
        "isa_until_ns": max(ends, default=None),
        "dpia_until_ns": row["dpia_until_ns"],
        "apd_until_ns": row["apd_until_ns"],
    }


async def decide(rules: Rules, document: bytes, node: str) -> Word:
    """Decide one input document.

    Args:
        rules: The revision that decides.
        document: From `build_input`.
        node: This agency.

    Raises:
        PolicyUnavailable: The engine is too slow, too busy, gone, or answered for another revision.
        PolicyUndefined: The rules gave no decision.
        PolicyError: The rules or the engine failed, or what came out is no decision.
    """
    digest = canonical.sha256(document).hex()
    if not rules.input_schema.is_valid(json.loads(document)):
        return Word(False, ((INPUT_INVALID, ""),), "none", rules.revision, digest, "none", 0)
    evaluation = await rules.engine.decide(ENTRYPOINT, document)
    if evaluation.revision != rules.revision:
        raise PolicyOtherRevision("the engine answered for other rules")
    if not rules.decision_schema.is_valid(evaluation.result):
        raise PolicyError("what the rules gave is no decision")
    by_target = evaluation.result["by_target"]
    if set(by_target) != {node}:
        raise PolicyError("the rules decided for another agency")
    row = by_target[node]
    return Word(
        allow=row["allow"],
        denials=tuple((denial["code"], denial["ref"]) for denial in row["denials"]),
        answer_form=row["answer_form"],
        revision=rules.revision,
        input_sha256=digest,
        engine=evaluation.engine,
        elapsed_us=evaluation.elapsed_us,
    )
