"""The policies directory as this repository ships it, built once: bundle, rules, engine, and questions to change."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import regorus
from cryptography.hazmat.primitives.asymmetric import ec

from accord.bundle import Bundle, open_bundle
from broker import decide, policy
from broker.engines.regorus import Regorus, data_of

POLICIES = Path(__file__).parents[2] / "policies"
KID = "policy-test"

Document = dict[str, Any]


def embedded(files: dict[str, bytes], tests: bool = False) -> "regorus.Engine":
    """The embedded engine itself, on this thread, with the rules of a bundle and on demand the rules' own tests."""
    engine = regorus.Engine()
    for path, content in sorted(files.items()):
        if path.endswith(".rego"):
            engine.add_policy(path, content.decode())
    if tests:
        for path in sorted(POLICIES.rglob("*_test.rego")):
            engine.add_policy(str(path.relative_to(POLICIES)), path.read_text())
    engine.add_data_json(json.dumps(data_of(files)))
    engine.set_input_json("{}")
    return engine


def value_of(engine: "regorus.Engine", query: str) -> Any:
    """The one value of a query, or None when it is undefined."""
    rows = json.loads(engine.eval_query_as_json(query)).get("result", [])
    return rows[0]["expressions"][0]["value"] if rows else None


@pytest.fixture(scope="session")
def policy_key() -> ec.EllipticCurvePrivateKey:
    """The key that signs policy in these tests."""
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="session")
def bundle(policy_key: ec.EllipticCurvePrivateKey) -> Bundle:
    """The shipped policies as a signed and checked bundle."""
    data = policy.build(POLICIES, "demo", policy_key, KID)
    return open_bundle(data, {KID: policy_key.public_key()})


@pytest.fixture(scope="session")
def rules(bundle: Bundle) -> Iterator[decide.Rules]:
    """The shipped rules on the broker's embedded engine."""
    made = decide.load(bundle, Regorus)
    yield made
    made.engine.close()


@pytest.fixture(scope="session")
def engine(bundle: Bundle) -> "regorus.Engine":
    """The embedded engine itself, with the rules' own tests."""
    return embedded(dict(bundle.files), tests=True)


@pytest.fixture(scope="session")
def example(engine: "regorus.Engine") -> Callable[[str], Document]:
    """A question that is allowed: early_help, s47_enquiry, before_linking or after_linking. A fresh copy each time."""

    def give(name: str) -> Document:
        found = value_of(engine, f"data.accord.examples.{name}")
        assert isinstance(found, dict)
        return found

    return give


@pytest.fixture(scope="session")
def ask(bundle: Bundle) -> Callable[[Document], dict[str, Any]]:
    """What the rules say to a document, without any schema in front: agency -> word; empty when there is none."""
    bare = embedded(dict(bundle.files))

    def asked(document: Document) -> dict[str, Any]:
        bare.set_input_json(json.dumps(document))
        entrypoint = "node" if document.get("entrypoint") == "node" else "query"
        found = value_of(bare, f"data.accord.{entrypoint}.decision")
        return found["by_target"] if isinstance(found, dict) else {}

    return asked
