"""Stories with the whole input and the whole decision, the same on every engine.

To write the expected decisions anew after a meant change: `ACCORD_REWRITE=1 pytest tests/policies/test_conformance.py`;
the difference is there to be reviewed.
"""

import json
import os
from pathlib import Path

import jsonschema_rs
import pytest

from tests.world.rules import POLICIES, shipped, unsafe_ask

CASES = sorted((POLICIES / "conformance").glob("*.json"))
INPUT = jsonschema_rs.Draft202012Validator(json.loads(shipped().files["schemas/input.json"]))
DECISION = jsonschema_rs.Draft202012Validator(json.loads(shipped().files["schemas/decision.json"]))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_story_ends_as_it_is_told(path: Path) -> None:
    """T-POL-1: the whole decision is the one written down, not only the word allow."""
    case = json.loads(path.read_text())
    found = {"by_target": unsafe_ask(case["input"])}
    if os.environ.get("ACCORD_REWRITE") == "1":
        path.write_text(json.dumps({**case, "decision": found}, indent=1, ensure_ascii=False) + "\n")

    assert INPUT.is_valid(case["input"])
    assert DECISION.is_valid(found)
    assert case["decision"] == found


def test_stories_end_both_ways() -> None:
    """A corpus of refusals only, or of leave only, would prove little."""
    ends = {word["allow"] for path in CASES for word in json.loads(path.read_text())["decision"]["by_target"].values()}

    assert ends == {True, False}


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_deciding_twice_gives_the_same_document(path: Path) -> None:
    """The stored input and the bundle give the decision again, with anything decided in between."""
    document = json.loads(path.read_text())["input"]
    first = json.dumps(unsafe_ask(document))
    unsafe_ask({})

    assert first == json.dumps(unsafe_ask(document))
