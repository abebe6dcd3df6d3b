"""Rules keep to what engines agree on, and every reference leads somewhere; each fault has its line and column."""

import json
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.lint import Fault, lint

SCHEMA: Final = {
    "type": "object",
    "properties": {
        "purpose": {"type": "string"},
        "people": {"type": "array", "items": {"$ref": "#/$defs/person"}},
        "told": {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"state": {"type": "string"}}}]},
    },
    "$defs": {"person": {"type": "object", "properties": {"age": {"type": "integer"}}}},
}
TABLES: Final = {"limits": {"most": 3}, "purposes": {"help": {"class": "supportive"}, "harm": {"class": "protective"}}}
HEAD: Final = "package accord.grounds\n"
SAID: Final = "# METADATA\n# title: Whether it holds\n"


def found(body: str, head: str = HEAD + SAID) -> tuple[Fault, ...]:
    """The faults of one rule file beside another that has a rule `at`."""
    return lint(
        {
            "schemas/input.json": json.dumps(SCHEMA).encode(),
            "accord/data/data.json": json.dumps(TABLES).encode(),
            "accord/data/catalogue/data.json": json.dumps({"questions": {}}).encode(),
            "accord/moment.rego": f"package accord\n{SAID}at := 1\n".encode(),
            "accord/grounds/case.rego": (head + body).encode(),
        }
    )


SOUND: Final = (
    "default held := false\nheld if input.purpose in {`help`}",
    'held if {\n  some person in input.people\n  person.age < data.accord.data.limits["most"]\n}',
    "held if input.people[0].age == 1",
    "held if {\n  some i\n  input.people[i].age > 3\n}",
    "held if data.accord.data.purposes[input.purpose].class == `supportive`",
    "held if data.accord.data.catalogue.questions[input.purpose].anything.at.all",
    "held(person) if person.anything.goes",
    "default held(_) := false\nheld(1) := true",
    "held contains person.age if some person in input.people",
    "held := {x | some x in input.people; x.age > data.accord.at}",
    "held := {k: v | some k, v in input.told}",
    "held if {\n  every person in input.people {\n    person.age > 1\n  }\n}",
    "held if not input.told.state",
    "held := object.get(input.told, `state`, ``)",
    "held[reason] := 1 if some reason in input.people",
    "held if data.accord.overlay.permit",
    "held if given(1, 2)\n\n# METADATA\n# title: Given\ndefault given(_, _) := false\n\ngiven(1, 2) := true",
    "held := 1 if input.purpose == `help` else := 2",
)


@pytest.mark.parametrize("body", SOUND)
def test_what_engines_agree_on_has_no_fault(body: str) -> None:
    """Governance staff are not kept from writing ordinary rules."""
    assert () == found(body)


FAULTY: Final = {
    "held if {\n  input.purpose ==\n}": ("NOT_REGO", 6, 1),
    "held if not count(input.people)": ("NOT_ON", 4, 9),
    "held if not input.purpose in {`help`}": ("NOT_ON", 4, 9),
    "held if not data.accord.data.purposes[input.purpose]": ("NOT_ON", 4, 9),
    "held if input.people[0].age > 1.5": ("FRACTION", 4, 31),
    "held if input.people[_].age > 2e-1": ("FRACTION", 4, 31),
    "held if time.now_ns() > 1": ("FUNCTION", 4, 9),
    "held if data.accord.at(1)": ("ARGUMENTS", 4, 9),
    "held if given(1, 2)\n\n# METADATA\n# title: Given\ngiven(1) := true": ("ARGUMENTS", 4, 9),
    "held if data.accord.grounds.given()\n\n# METADATA\n# title: Given\ngiven(1) := true": ("ARGUMENTS", 4, 9),
    "held if http.send({}).status_code == 200": ("FUNCTION", 4, 9),
    "held if regex.match(`^a`, input.purpose)": ("FUNCTION", 4, 9),
    "held := sprintf(`%v`, [input.purpose])": ("FUNCTION", 4, 9),
    "held if walk(input)": ("FUNCTION", 4, 9),
    "held if input.porpoise == `help`": ("NO_SUCH_REFERENCE", 4, 9),
    "held if input.people[_].aged > 1": ("NO_SUCH_REFERENCE", 4, 9),
    "held if input.people.age > 1": ("NO_SUCH_REFERENCE", 4, 9),
    "held if input.told.status == `told`": ("NO_SUCH_REFERENCE", 4, 9),
    "held if data.accord.data.limits.least > 1": ("NO_SUCH_REFERENCE", 4, 9),
    "held if data.accord.data.purposes[input.purpose].clas == `x`": ("NO_SUCH_REFERENCE", 4, 9),
    "held if data.accord.atx > 1": ("NO_SUCH_REFERENCE", 4, 9),
    "held if data.accord.other.rule": ("NO_SUCH_REFERENCE", 4, 9),
    "held if data.accord == {}": ("NO_SUCH_REFERENCE", 4, 9),
    "held if data[input.purpose].at": ("NO_SUCH_REFERENCE", 4, 9),
    "held if heldd == 1": ("NO_SUCH_NAME", 4, 9),
    "held if {\n  some person in input.people\n  persn.age > 1\n}": ("NO_SUCH_NAME", 6, 3),
    "held if data.accord.at == 1 with input as {}": ("WITH", 4, 9),
    "default held := true": ("GRANTS_ALWAYS", 4, 1),
    "held := true": ("GRANTS_ALWAYS", 4, 1),
    "held if true": ("GRANTS_ALWAYS", 4, 1),
    "held(_) := true": ("GRANTS_ALWAYS", 4, 1),
    "held.of := 1": ("DOTTED_NAME", 4, 1),
}


@pytest.mark.parametrize("body", FAULTY)
def test_each_fault_is_told_with_its_line_and_column(body: str) -> None:
    """LAW-14: what one engine reads otherwise, or reads as nothing, never gets as far as a bundle."""
    (fault,) = found(body)

    assert FAULTY[body] == (fault.code, fault.line, fault.column)
    assert "accord/grounds/case.rego" == fault.file
    assert fault.told.endswith(".")
    assert fault.cure.endswith(".")


def test_an_import_is_refused() -> None:
    """One engine reads a renamed package wrongly."""
    assert ["IMPORT"] == [one.code for one in found("held if m == 1", HEAD + "import data.accord.at as m\n" + SAID)][:1]


def test_a_package_is_that_of_its_directory() -> None:
    """Where a rule stands says what it is about."""
    assert ["PACKAGE"] == [one.code for one in found("held := 1", "package accord.ground\n" + SAID)]


@pytest.mark.parametrize(
    "head",
    [
        HEAD,
        HEAD + "# METADATA\n",
        HEAD + "# title: Held\n",
        HEAD + SAID + "\n",
        HEAD + "# METADATA\n# title:\n",
        HEAD + "# METADATA\n# title: a: b\n",
    ],
)
def test_a_rule_says_what_it_means(head: str) -> None:
    """The list of rules that people read is made of these titles."""
    assert ["NO_METADATA"] == [one.code for one in found("held := 1", head)]


def test_every_fault_is_told_at_once() -> None:
    """Mending one to find the next is how people lose patience."""
    body = "held if {\n  not count(input.people)\n  input.porpoise == 1.5\n}"

    assert ["NOT_ON", "NO_SUCH_REFERENCE", "FRACTION"] == [one.code for one in found(body)]


@given(st.text(max_size=200))
def test_any_text_at_all_is_read_or_refused(body: str) -> None:
    """A draft comes from an editor, with whatever stands in it."""
    assert all(one.line >= 1 and one.column >= 1 for one in found(body.replace("\x00", "")))
