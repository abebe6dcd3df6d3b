"""One file says what a decision is made from: `policies/schemas/input.json`.

The builder holds every `input.` of a rule against it, and broker and node check each input with it before an engine
sees it. Here it is held against what broker and node build, and against the lists that rows of data are checked with.
"""

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import jsonschema_rs
import pytest

from accord.statement import Assertions
from agency_node import decide as own
from agency_node.cli.people import EMERGENCIES
from broker import decide
from broker.engines.regorus import Regorus, data_of
from broker.lint import lint
from tests.world.rules import AT_NS, POLICIES, broker_part, core, example, shipped, user

SCHEMA: Final = json.loads(shipped().files["schemas/input.json"])
INPUT: Final = jsonschema_rs.Draft202012Validator(SCHEMA)
DATA: Final = data_of(shipped().files)["accord"]["data"]
ROWS: Final = {path.stem: json.loads(path.read_text()) for path in (POLICIES / "schemas").glob("*.json")}


@pytest.fixture(scope="module")
def rules() -> Iterator[decide.Rules]:
    """The shipped rules at the broker."""
    made = decide.load(shipped(), Regorus)
    yield made
    made.engine.close()


def _objects(schema: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for key, below in schema.items():
            # What stands under if, then and else narrows what was closed before.
            yield from _objects(below) if key not in {"if", "then", "else"} else ()
    elif isinstance(schema, list):
        for below in schema:
            yield from _objects(below)


def test_every_part_of_the_input_is_closed_and_complete() -> None:
    """LAW-14: no field beside those that are named, and none of those left out."""
    open_still = [
        sorted(one.get("properties", {}))
        for one in _objects(SCHEMA)
        if one.get("additionalProperties") is not False or set(one["required"]) != set(one["properties"])
    ]

    assert [] == open_still


@pytest.mark.parametrize("purpose", sorted(DATA["purposes"]))
def test_every_input_that_the_broker_builds_is_of_that_form(rules: decide.Rules, purpose: str) -> None:
    """T-POL-5: whatever a statement may assert, the input has every field in its form."""
    refused = []
    for tier, views, told, ground, agreed in itertools.product(
        (None, 1, 4),
        ("yes", "no", "not_safe", "not_practicable"),
        (("told", "none", None), ("not_told", "would_increase_risk", AT_NS + 1), ("n_a", "none", None)),
        (("none", ""), *((one, "b" * 64) for one in EMERGENCIES), ("risk_to_life", "")),
        ([], example("early_help")["agreements"]),
    ):
        assertions = Assertions(
            need_tier=tier,
            views_sought=views,
            told_state=told[0],
            told_reason=told[1],
            told_review_at_ns=told[2],
            break_glass_ground=ground[0],
            supervisor_token=ground[1],
        )
        document = decide.build_input(
            core=core(purpose),
            broker_part=replace(broker_part("early_help"), assertions=assertions),
            user=user(),
            facts=decide.Facts(agreed, "fresh"),
            at_ns=AT_NS,
            rules=rules,
        )
        refused += [document] if not INPUT.is_valid(json.loads(document)) else []

    assert [] == refused


def test_every_input_that_an_agency_builds_is_of_that_form(rules: decide.Rules) -> None:
    """T-POL-5: before anybody is linked, and for each that may have been found."""
    here = own.Rules(
        revision=rules.revision,
        catalogue=rules.catalogue,
        profile=rules.profile,
        agencies=rules.agencies,
        isa=rules.isa,
        input_schema=rules.input_schema,
        decision_schema=rules.decision_schema,
        engine=rules.engine,
    )
    people = [None, *(own.Person("s12", role, band) for role, band in (("child", "0_4"), ("other_adult", "unknown")))]
    refused = []
    for purpose, person, linkage, binds, held in itertools.product(
        DATA["purposes"], people, ("matched", "ambiguous", "none"), (True, False, None), (True, False)
    ):
        local = own.Local(linkage, binds, 60, held, held, held, held, held, held)
        document = own.build_input(
            core=core(purpose),
            gateway="ca1989_s47",
            node="housing",
            at_ns=AT_NS,
            rules=here,
            person=person,
            local=None if person is None else local,
        )
        refused += [document] if not INPUT.is_valid(json.loads(document)) else []

    assert [] == refused


def test_an_input_with_one_field_of_another_name_is_refused(rules: decide.Rules) -> None:
    """Control: the two tests above could fail."""
    document = json.loads(
        decide.build_input(
            core=core("early_help"),
            broker_part=broker_part("early_help"),
            user=user(),
            facts=decide.Facts([], "fresh"),
            at_ns=AT_NS,
            rules=rules,
        )
    )
    misspelt = {**document, "user": {f"{name}_": value for name, value in document["user"].items()}}

    assert INPUT.is_valid(document)
    assert not INPUT.is_valid(misspelt)


def _enum(schema: str, *path: str) -> set[str]:
    place: Any = ROWS[schema]
    for step in path:
        place = place[step]
    return set(place)


PURPOSES: Final = _enum("input", "properties", "request", "properties", "purpose", "enum")
PARTY: Final = ("$defs", "party", "properties")


@pytest.mark.parametrize(
    ("name", "written", "known"),
    [
        ("purposes", PURPOSES, set(DATA["purposes"])),
        ("purposes of purposes", PURPOSES, _enum("purpose", "properties", "id", "enum")),
        ("purposes of gateways", PURPOSES, _enum("gateway", "properties", "purposes", "items", "enum")),
        ("purposes of sharing agreements", PURPOSES, _enum("isa", "properties", "purposes", "items", "enum")),
        ("purposes of questions", PURPOSES, _enum("question", "properties", "purposes", "items", "enum")),
        (
            "legal characters",
            _enum("input", *PARTY, "characters", "items", "enum"),
            _enum("agency", "properties", "characters", "items", "properties", "id", "enum"),
        ),
        (
            "legal characters of gateways",
            _enum("input", *PARTY, "characters", "items", "enum") | {"any"},
            _enum("gateway", "properties", "requester_any", "items", "enum"),
        ),
        (
            "kinds of agencies",
            _enum("input", *PARTY, "kind", "enum") - {"unknown"},
            _enum("agency", "properties", "kind", "enum"),
        ),
        ("roles", _enum("input", "properties", "user", "properties", "role", "enum"), set(DATA["roles"])),
        ("emergencies", set(EMERGENCIES), set(DATA["limits"]["break_glass_grounds"])),
        (
            "emergencies of gateways",
            set(EMERGENCIES),
            _enum("gateway", "properties", "break_glass_grounds", "items", "enum"),
        ),
        (
            "emergencies of the input",
            set(EMERGENCIES) | {"none"},
            set(SCHEMA["properties"]["break_glass"]["anyOf"][0]["properties"]["ground"]["enum"]),
        ),
    ],
)
def test_a_list_of_words_is_the_same_wherever_it_stands(name: str, written: set[str], known: set[str]) -> None:
    """A word that one list has and another has not would be accepted in a file and refused in every question."""
    assert written == known, name


@pytest.mark.parametrize("path", [("user", "supervisor_token"), ("request", "model_id")])
def test_the_builder_knows_the_fields_from_nowhere_else(path: tuple[str, str]) -> None:
    """T-POL-5: take a field out of the file, and every rule that reads it is a fault; the whole file has none."""
    cut = json.loads(shipped().files["schemas/input.json"])
    part = cut["properties"][path[0]]
    del (part if "properties" in part else part["anyOf"][0])["properties"][path[1]]
    faults = lint({**shipped().files, "schemas/input.json": json.dumps(cut).encode()})

    assert {"NO_SUCH_REFERENCE"} == {one.code for one in faults}
