"""The document that people read says what the rules say, today."""

import json
import shutil
from pathlib import Path

from broker.rulebook import described, rulebook
from tests.world.rules import POLICIES


def test_the_document_is_current() -> None:
    """Make it anew with `accord-broker policy rules policies --out policies/RULES.md`."""
    assert rulebook(POLICIES) == (POLICIES / "RULES.md").read_text("utf-8")


def test_a_change_of_law_changes_the_document(tmp_path: Path) -> None:
    """Negative control, and what governance staff look at: the difference between two documents."""
    copy = Path(shutil.copytree(POLICIES, tmp_path / "policies"))
    gateway = copy / "data/gateways/ca1989_s47.json"
    row = json.loads(gateway.read_text())
    gateway.write_text(json.dumps({**row, "effective_from": None}))
    before, after = rulebook(POLICIES).splitlines(), rulebook(copy).splitlines()
    changed = [new for old, new in zip(before, after, strict=True) if old != new]

    assert 1 == len(changed)
    assert "**not in force**" in changed[0]


def test_what_a_rule_says_of_itself_is_read() -> None:
    """Its METADATA, and not that of the package or a comment."""
    text = (
        "# METADATA\n# scope: package\n# title: All\npackage accord.grounds\n\n"
        "# METADATA\n# title: Held\n# custom: {code: X}\ndefault held(_) := false\n\n# a remark\nheld(1) := true\n"
    )

    assert [("held", {"title": "Held", "custom": {"code": "X"}})] == list(described(text))
