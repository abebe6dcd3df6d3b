"""Questions without end, for trying engines against each other: well-formed ones, and ones that no schema would let in.

Each begins as one of the stories of policies/conformance or one of the examples beside the rules, so that leave and
refusal both stay near; then a few places are changed. The same seed gives the same questions.
"""

import copy
import functools
import json
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, Final

import jsonschema_rs

from broker.engines.regorus import data_of
from tests.world.rules import AT_NS, POLICIES, Document, example, shipped

SCHEMA: Final = json.loads(shipped().files["schemas/input.json"])
VALID: Final = jsonschema_rs.Draft202012Validator(SCHEMA)
EXAMPLES: Final = ("early_help", "s47_enquiry", "before_linking", "after_linking")
CHANGES: Final = (0, 1, 1, 1, 2, 2, 3, 5)
"""How many places are changed; a few only, or everything would be refused for many reasons at once."""
DAY_NS: Final = 86_400_000_000_000
INSTANTS: Final = (0, 1, AT_NS - DAY_NS, AT_NS - 1, AT_NS, AT_NS + 1, AT_NS + 400 * DAY_NS, 2**62)
ODD: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 1, 2**53 + 1, -(2**63), 10**30, 1.5, "", "true", "none", "social-care", "\u0000", "é"),
    *([], {}, [[]], ["s1"], [None], [True], {"allow": True}, {"": None}, [{}] * 3, {"0": {}}),
)

Path = tuple[Any, ...]


def valid(seed: int, count: int) -> Iterator[Document]:
    """Questions that the schema lets in."""
    random = Random(seed)
    made = 0
    while made < count:
        document = copy.deepcopy(random.choice(_starts()))
        for _ in range(random.choice(CHANGES)):
            _change(document, random)
        if VALID.is_valid(document):
            made += 1
            yield document


def malformed(seed: int, count: int) -> Iterator[Any]:
    """Questions that the schema does not let in: fields missing, of another type, under another name."""
    random = Random(seed)
    made = 0
    while made < count:
        document: Any = copy.deepcopy(random.choice(_starts()))
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            document = _spoil(document, random)
        if not VALID.is_valid(document):
            made += 1
            yield document


@functools.cache
def _starts() -> tuple[Document, ...]:
    stories = [json.loads(path.read_text())["input"] for path in sorted((POLICIES / "conformance").glob("*.json"))]
    return (*stories, *(example(name) for name in EXAMPLES))


@functools.cache
def _words() -> Mapping[str, tuple[str, ...]]:
    """Field -> words that stand there somewhere, or that the data know for it, and one that nobody knows."""
    data = data_of(shipped().files)["accord"]["data"]
    found: dict[str, set[str]] = {
        "question_id": set(data_of(shipped().files)["accord"]["data"]["catalogue"]["questions"]),
        "gateway_id": set(data["gateways"]),
        "isa_id": set(data["isa"]),
        "agency_id": set(data["agencies"]),
        "role": set(data["roles"]),
        "necessity_code": set(data["limits"]["necessity_codes"]),
        "proportionality_code": set(data["limits"]["proportionality_codes"]),
        "sch1": set(data["limits"]["sch1_conditions"]),
        "characters": {one["id"] for row in data["agencies"].values() for one in row["characters"]},
    }
    for start in _starts():
        for path, value in _places(start):
            if isinstance(value, str):
                found.setdefault(_field(path), set()).add(value)
    return {field: (*sorted(words), "nobody-knows", "nobody_knows") for field, words in found.items()}


def _places(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every place in a document, outermost first."""
    yield path, value
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield from _places(inner, (*path, step))


def _field(path: Path) -> str:
    return next((step for step in reversed(path) if isinstance(step, str)), "")


def _change(document: Document, random: Random) -> None:
    """Put another value of the same kind in one place."""
    path, value = random.choice([one for one in _places(document) if one[0]])
    inside = _at(document, path[:-1])
    schema = _schema_at(path)
    if isinstance(value, list):
        inside[path[-1]] = _shuffled(value, random)
    elif not isinstance(value, dict):
        inside[path[-1]] = _sample(schema, _field(path), random)


def _shuffled(value: list[Any], random: Random) -> list[Any]:
    """A list with an item left out, in another order, or with one of its items changed into another's."""
    kept = [copy.deepcopy(one) for one in value]
    random.shuffle(kept)
    if kept and random.random() < 0.6:
        kept.pop()
    if kept and random.random() < 0.1:
        kept.append(copy.deepcopy(kept[0]))
    return kept


def _sample(schema: Mapping[str, Any], field: str, random: Random) -> Any:
    if "anyOf" in schema:
        return _sample(random.choice(schema["anyOf"]), field, random)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return random.choice(schema["enum"])
    kind = schema.get("type")
    if kind == "boolean":
        return random.random() < 0.5
    if kind == "integer":
        near = INSTANTS if field == "at" or field.endswith("_ns") else (0, 1, 2, 3, 4, 20, 40, 59, 60, 900, 43_200)
        return random.choice((*near, schema.get("minimum", 0), schema.get("maximum", 0)))
    if kind == "string":
        return random.choice(_words().get(field, ("",)))
    return None


def _schema_at(path: Path) -> Mapping[str, Any]:
    """What the schema says of a place; of several forms the one that leads on."""
    node: Mapping[str, Any] = SCHEMA
    for step in path:
        node = _resolved(node)
        node = node["items"] if isinstance(step, int) else node["properties"][step]
    while "$ref" in node:
        node = SCHEMA["$defs"][node["$ref"].rpartition("/")[2]]
    return node


def _resolved(node: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in node or "anyOf" in node:
        if "$ref" in node:
            node = SCHEMA["$defs"][node["$ref"].rpartition("/")[2]]
        else:
            node = next(one for one in node["anyOf"] if one.get("type") != "null")
    return node


def _spoil(document: Any, random: Random) -> Any:
    """The document with one place taken away, misspelt, of another type, or with something beside it."""
    path, value = random.choice(list(_places(document)))
    if not path:
        return copy.deepcopy(random.choice(ODD)) if random.random() < 0.2 else document
    inside, step = _at(document, path[:-1]), path[-1]
    how = random.randrange(6)
    if how == 0:
        del inside[step]
    elif how == 1 and isinstance(inside, dict):
        inside[random.choice((str(step).upper(), f"{step} ", f"{step}s", ""))] = inside.pop(step)
    elif how == 2 and isinstance(value, list):
        inside[step] = {str(at): one for at, one in enumerate(value)}
    elif how == 2 and isinstance(inside, dict):
        inside[f"x_{step}"] = copy.deepcopy(value)
    elif how == 3:
        inside[step] = [value]
    else:
        inside[step] = copy.deepcopy(random.choice(ODD))
    return document


def _at(document: Any, path: Path) -> Any:
    for step in path:
        document = document[step]
    return document
