"""Every refusal says what is missing, what to do and whom to ask, and none says anything of a person."""

import json
import re

import pytest
import yaml

from accord.catalogue import PATH as CATALOGUE
from broker.engines.regorus import data_of
from tests.world.rules import POLICIES, shipped

REASONS = data_of(shipped().files)["accord"]["data"]["reasons"]
RULES = {
    path.relative_to(POLICIES).as_posix(): path.read_text()
    for path in sorted(POLICIES.rglob("*.rego"))
    if not path.name.endswith("_test.rego")
}
TESTS = "\n".join(path.read_text() for path in POLICIES.rglob("*_test.rego"))
CODE = re.compile(r'"([A-Z][A-Z0-9_]{3,})(?: [a-z0-9_]+)?"')


def _annotations(text: str) -> list[dict[str, object]]:
    blocks = re.findall(r"(?m)^# METADATA\n((?:#.*\n)+)", text)
    return [yaml.safe_load(re.sub(r"(?m)^# ?", "", block)) for block in blocks]


def _codes_of_rules() -> set[str]:
    return {code for text in RULES.values() for code in CODE.findall(text)}


def test_law_27_every_denial_explained() -> None:
    """LAW-27: the codes that rules can give and the codes that have words are the same."""
    assert set(REASONS) == _codes_of_rules()


def test_law_27_every_code_has_reason_cure_and_contact() -> None:
    """LAW-27: no field is left empty."""
    empty = [
        (code, field) for code, row in REASONS.items() for field in ("reason", "cure", "contact") if not row[field]
    ]

    assert empty == []


@pytest.mark.parametrize("code", sorted(REASONS))
def test_law_27_every_code_is_fired_by_a_test(code: str) -> None:
    """LAW-27: a refusal that no test brings about may never come about."""
    assert f'"{code}"' in TESTS


def test_every_ground_names_the_code_that_stands_in_its_place() -> None:
    """A ground without its refusal would be a no without a reason."""
    named = {
        note["custom"]["code"]
        for path, text in RULES.items()
        if path.startswith("accord/grounds/")
        for note in _annotations(text)
        if isinstance(note.get("custom"), dict) and "code" in note["custom"]
    }

    # Two codes say that something is not in a list at all; they have no ground of their own.
    assert named | {"GATEWAY_UNKNOWN"} == set(REASONS)


def test_law_27_no_text_depends_on_a_person() -> None:
    """LAW-27: texts are fixed; a brace or a percent sign would be the start of a template."""
    texts = [text for row in REASONS.values() for text in row.values()]

    assert [text for text in texts if re.search(r"[{}%<>$]", text)] == []


def test_texts_for_people_use_the_words_of_the_house() -> None:
    """A family agrees; consent is another thing in law and never what is meant here."""
    texts = [text for row in REASONS.values() for text in row.values()]
    texts += [
        text
        for row in json.loads(shipped().files[CATALOGUE])["questions"].values()
        for text in row.values()
        if isinstance(text, str)
    ]

    assert [text for text in texts if re.search(r"(?i)\bconsent|\bsubject\b|\bdata subject\b", text)] == []
