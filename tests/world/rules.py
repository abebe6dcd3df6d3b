"""The policies that this repository ships, built and signed with a key of the tests, and questions to change.

The examples are those of policies/accord/examples_test.rego, so tests here and beside the rules begin from the same
questions.
"""

import copy
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import regorus
from cryptography.hazmat.primitives.asymmetric import ec

from accord.bundle import Bundle, open_bundle
from accord.statement import Assertions, BrokerPart, Core, Subject, Target
from broker import policy
from broker.engines.regorus import data_of
from broker.stages import User

POLICIES: Final = Path(__file__).parents[2] / "policies"
KID: Final = "policy-test"
KEY: Final = ec.derive_private_key(0xACC02D, ec.SECP256R1())

AT_NS: Final = 1_795_310_625_000_000_000
"""The instant of every example: 2026-11-22T01:23:45Z."""

Document = dict[str, Any]


@functools.cache
def shipped(profile: str = "demo") -> Bundle:
    """The shipped policies as a signed and checked bundle."""
    return open_bundle(policy.build(POLICIES, profile, KEY, KID), {KID: KEY.public_key()})


def bundle_of(files: Mapping[str, bytes]) -> Bundle:
    """Any files as a signed and checked bundle."""
    return open_bundle(policy.pack(files, KEY, KID), {KID: KEY.public_key()})


def embedded(bundle: Bundle, tests: bool = False) -> "regorus.Engine":
    """The embedded engine itself, on this thread, with a bundle's rules and on demand the tests beside them."""
    engine = regorus.Engine()
    for path, content in sorted(bundle.files.items()):
        if path.endswith(".rego"):
            engine.add_policy(path, content.decode())
    if tests:
        for path in sorted(POLICIES.rglob("*_test.rego")):
            engine.add_policy(str(path.relative_to(POLICIES)), path.read_text())
    engine.add_data_json(json.dumps(data_of(bundle.files)))
    engine.set_input_json("{}")
    return engine


def value_of(engine: "regorus.Engine", query: str) -> Any:
    """The one value of a query, or None when it is undefined."""
    rows = json.loads(engine.eval_query_as_json(query)).get("result", [])
    return rows[0]["expressions"][0]["value"] if rows else None


@functools.cache
def _examples() -> dict[str, Document]:
    engine = embedded(shipped(), tests=True)
    names = ("early_help", "s47_enquiry", "emergency", "before_linking", "after_linking")
    return {name: value_of(engine, f"data.accord.examples.{name}") for name in names}


def example(name: str) -> Document:
    """A question that is allowed, by its name beside the rules, such as early_help. A fresh copy each time."""
    return copy.deepcopy(_examples()[name])


def example_for(purpose: str) -> Document:
    """The example of a purpose's class, for this purpose at its highest level of need; its gateways may not fit."""
    row = data_of(shipped().files)["accord"]["data"]["purposes"][purpose]
    document = example(
        "emergency" if row["break_glass"] else "early_help" if row["class"] == "supportive" else "s47_enquiry"
    )
    document["request"] |= {"purpose": purpose, "need_tier": row["max_tier"]}
    for agreement in document["agreements"]:
        agreement["purposes"] = [purpose]
    return document


@functools.cache
def _bare() -> "regorus.Engine":
    return embedded(shipped())


def unsafe_ask(document: Document) -> dict[str, Any]:
    """What the rules alone say to any document, without a schema in front: agency -> word; empty for no decision."""
    engine = _bare()
    engine.set_input_json(json.dumps(document))
    entrypoint = "node" if document.get("entrypoint") == "node" else "query"
    try:
        found = value_of(engine, f"data.accord.{entrypoint}.decision")
    except RuntimeError:
        return {}
    return found["by_target"] if isinstance(found, dict) else {}


def codes(word: Mapping[str, Any]) -> set[str]:
    """The codes of a word's denials."""
    return {denial["code"] for denial in word["denials"]}


def core(purpose: str, question: str = "agency.contact") -> Core:
    """The core of a question that social care asks."""
    return Core(
        query_id="01934f4e-0000-7000-8000-000000000001",
        agency="social-care",
        role="practitioner",
        caller_token_sha256="a" * 64,
        question=question,
        question_version=1,
        purpose=purpose,
        urgency="routine",
        reply_key=bytes(32),
        epoch="2026-11",
        normaliser="b" * 64,
        families="c" * 64,
        key_servers="d" * 64,
        issued_at_ns=AT_NS,
        expires_at_ns=AT_NS + 30_000_000_000,
    )


def broker_part(purpose: str, form: str = "recency") -> BrokerPart:
    """What only the broker sees of a question about a child and its mother, addressed to housing and police."""
    supportive = purpose == "early_help"
    gateways = {
        "housing": ("agreement_service", "e") if supportive else ("ca1989_s47", "c"),
        "police": ("agreement_service", "e") if supportive else ("common_law_police", "e"),
    }
    return BrokerPart(
        targets=tuple(
            Target(agency, gateway, art6, "none", "none", "none", "midshire-children")
            for agency, (gateway, art6) in gateways.items()
        ),
        subjects=(
            Subject("s1", "child", "10_15", False, "not_assessed", False, "unknown"),
            Subject("s2", "parent", "18_plus", True, "n_a", False, "unknown"),
        ),
        assertions=Assertions(
            need_tier=2 if supportive else 4,
            necessity_code="assess_risk",
            views_sought="yes",
            proportionality_code="least_needed",
            significant_harm_asserted=not supportive,
            public_task_stated=False,
            told_state="told",
            told_reason="none",
            told_review_at_ns=None,
        ),
        agreements=(),
        case_token="f" * 64,
        subject_tags={"s1": (), "s2": ()},
        answer_form=form,
    )


def user(aal: int = 2) -> User:
    """A practitioner of social care who signed in a minute ago."""
    return User("social-care", "a" * 64, "practitioner", aal, False, AT_NS // 1_000_000_000 - 60)
