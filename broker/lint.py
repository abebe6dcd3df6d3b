"""Hold rules to the part of Rego on which engines agree, and that people can read; every fault with its line.

    compiled files -> one syntax tree a rule file -> faults in its form -> faults in what it refers to

* The tree is that of the embedded engine, so that what is checked is what is evaluated.
* A mistyped reference is undefined in every engine, without a word. Here each one is looked up: `input.` in the schema
  of the decision's input, `data.` in the tables and packages of the same bundle.
* Where engines were seen to differ, the form is refused: `not` on anything but a plain name, fractions, functions off
  the list, `with` outside tests. Where a rule could grant by saying nothing, it is refused as well.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from broker.engines.regorus import data_of, syntax_tree

_FUNCTIONS: Final = (
    "abs array.concat array.slice concat contains count endswith intersection is_array is_boolean is_null is_number "
    "is_object is_set is_string lower max min object.get object.keys object.union set split startswith sum trim union "
    "upper"
)
FUNCTIONS: Final = frozenset(_FUNCTIONS.split())
"""The only functions a rule may call besides those that rules define: total, quick, and equal in every engine."""

OWN_RULES: Final = "accord/query/own.rego"
"""Made when a bundle is built: leads from a question's identifier to its own rule; nobody reads it as a rule."""

OVERLAY: Final = ("accord", "overlay")
"""The package in which an agency narrows the rules for itself; most have none."""

_DATA: Final = ("accord", "data")
_LOCATED: Final = re.compile(r"-->\s*\S+?:(\d+):(\d+).*?error:\s*([^\n]+)", re.DOTALL)
_METADATA: Final = re.compile(r"^#\s*METADATA\s*$")

Node = Mapping[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fault in a rule file.

    Attributes:
        file: Path from the policies directory.
        line: From 1.
        column: From 1.
        code: Stable name of the kind of fault.
        told: What is wrong.
        cure: What to write instead.
    """

    file: str
    line: int
    column: int
    code: str
    told: str
    cure: str

    def __str__(self) -> str:
        """As people read it: where, what, and the cure."""
        return f"{self.file}:{self.line}:{self.column}: {self.told} {self.cure}"


@dataclass(frozen=True, slots=True)
class _Rules:
    """One rule file, read.

    Attributes:
        file: Its path.
        text: What stands in it.
        package: Its package, without `data`.
        imports: Where imports stand.
        rules: Name of a rule -> its definitions.
        dotted: Definitions whose name has dots.
    """

    file: str
    text: bytes
    package: tuple[str, ...]
    imports: tuple[Node, ...]
    rules: Mapping[str, tuple[Node, ...]]
    dotted: tuple[Node, ...]


def lint(files: Mapping[str, bytes]) -> tuple[Fault, ...]:
    """Every fault in the rules of a bundle, in the order of files and lines.

    Args:
        files: What a bundle holds, path -> content: rules, `accord/data/**/data.json` and `schemas/input.json`. Rules
            for tests are not among them.

    Raises:
        KeyError: The input's schema is not among them.
        ValueError: A JSON file is none.
    """
    read: list[_Rules] = []
    faults: list[Fault] = []
    for file, content in sorted(files.items()):
        if file.endswith(".rego"):
            one = _read(file, content.decode())
            if isinstance(one, Fault):
                faults.append(one)
            else:
                read.append(one)
    packages: dict[tuple[str, ...], set[str]] = defaultdict(set)
    arguments: dict[tuple[tuple[str, ...], str], int] = {}
    for one in read:
        packages[one.package] |= set(one.rules)
        for name, definitions in one.rules.items():
            arguments[one.package, name] = max(map(_arguments, definitions))
    tables = data_of(files).get("accord", {}).get("data", {})
    known = _Known(json.loads(files["schemas/input.json"]), tables, packages, arguments)
    for one in read:
        faults += _of_file(one)
        for name, definitions in one.rules.items():
            for definition in definitions:
                faults += _of_rule(one, name, definition, known)
    return tuple(sorted(set(faults)))


def _read(file: str, text: str) -> _Rules | Fault:
    try:
        tree = syntax_tree(file, text)
    except ValueError as error:
        found = _LOCATED.search(str(error))
        line, column, told = (int(found[1]), max(1, int(found[2])), found[3]) if found else (1, 1, "it cannot be read")
        return Fault(file, line, column, "NOT_REGO", f"This is not Rego: {told}.", "Mend it here, or just above.")
    rules: dict[str, list[Node]] = defaultdict(list)
    dotted: list[Node] = []
    for rule in tree["rules"]:
        ((kind, body),) = rule.items()
        head = body if kind == "Default" else next(iter(body["head"].values()))
        reference = head["refr"]
        base, steps = _steps(reference)
        if len(steps) > 0 and "RefDot" in reference:
            dotted.append(body)
        rules[base].append(rule)
    base, steps = _steps(tree["package"]["refr"])
    return _Rules(
        file=file,
        text=text.encode(),
        package=(base, *(step for step in steps if isinstance(step, str))),
        imports=tuple(tree["imports"]),
        rules={name: tuple(some) for name, some in rules.items()},
        dotted=tuple(dotted),
    )


# -- Form -------------------------------------------------------------------------------------------------------------


def _of_file(one: _Rules) -> Iterator[Fault]:
    wanted = tuple(one.file.split("/")[:-1])
    if one.package != wanted:
        yield Fault(
            one.file,
            *_package_at(one),
            "PACKAGE",
            "The package is not that of the directory.",
            f"Write package {'.'.join(wanted)}.",
        )
    for node in one.imports:
        yield _fault(
            one,
            node,
            "IMPORT",
            "An import renames what a rule reads, and one engine reads it wrongly.",
            "Write the whole name, such as data.accord.grounds.at.",
        )
    for node in one.dotted:
        yield _fault(one, node, "DOTTED_NAME", "A rule's name has one part.", "Leave out the dots.")
    if one.file != OWN_RULES:
        for name, definitions in one.rules.items():
            first = min(_place(definition)[0] for definition in definitions)
            if not _described(one.text.decode().splitlines(), first):
                yield Fault(
                    one.file,
                    first,
                    1,
                    "NO_METADATA",
                    f"The rule '{name}' does not say what it means.",
                    "Write '# METADATA' and '# title: ...' above its first line, without a colon in the title.",
                )


def _package_at(one: _Rules) -> tuple[int, int]:
    return next(
        (number for number, line in enumerate(one.text.decode().splitlines(), 1) if line.startswith("package")), 1
    ), 1


def _described(lines: Sequence[str], first: int) -> bool:
    """Whether the comment right above a line is METADATA with a title."""
    block = []
    for line in reversed(lines[: first - 1]):
        if not line.startswith("#"):
            break
        block.append(line)
    block.reverse()
    if not (block and _METADATA.match(block[0])):
        return False
    try:
        said = yaml.safe_load("\n".join(line[1:].removeprefix(" ") for line in block[1:]))
    except yaml.YAMLError:
        # Open Policy Agent refuses the whole bundle for it, such as for a title with a colon in it.
        return False
    return isinstance(said, dict) and isinstance(said.get("title"), str) and bool(said["title"].strip())


def _of_rule(one: _Rules, name: str, rule: Node, known: "_Known") -> Iterator[Fault]:
    if _grants_always(rule):
        yield _fault(
            one,
            rule,
            "GRANTS_ALWAYS",
            f"'{name}' is true without a condition.",
            "A ground is false unless something was found: write 'default ... := false', and what must hold after if.",
        )
    yield from _forms(one, rule)
    yield from _calls(one, rule, known)
    bound = set(_bound(one, rule))
    own = known.packages[one.package]
    for kind, node, called in _outermost(rule):
        base, steps = _steps({kind: node})
        if called and not steps and base not in own | FUNCTIONS:
            yield _off_list(one, node, base)
        elif called and steps and base not in {"data", "input"} and ".".join([base, *map(str, steps)]) not in FUNCTIONS:
            yield _off_list(one, node, ".".join([base, *map(str, steps)]))
        elif base in {"data", "input"}:
            missing = known.missing(base, steps)
            if missing:
                yield _fault(one, node, "NO_SUCH_REFERENCE", f"There is no {missing}.", known.cure(base))
        elif not called and base not in bound | own | {"_"}:
            yield _fault(
                one,
                node,
                "NO_SUCH_NAME",
                f"Nothing here is called '{base}'.",
                "Name a rule of this package, or a variable of this rule.",
            )


def _calls(one: _Rules, rule: Node, known: "_Known") -> Iterator[Fault]:
    """Calls with another number of arguments than the rule takes, at which an engine gives up in the middle."""
    for kind, node in _nodes(rule):
        if kind != "Call":
            continue
        base, steps = _steps(node["fcn"])
        whole = tuple(step or "" for step in steps)
        called = (whole[:-1], whole[-1]) if base == "data" and whole else (one.package, base)
        wanted = known.arguments.get(called)
        if wanted is not None and wanted != len(node["params"]):
            told = f"'{called[1]}' takes {wanted} and is given {len(node['params'])}."
            yield _fault(one, node, "ARGUMENTS", told, "Give it what its definition names, in that order.")


def _arguments(rule: Node) -> int:
    ((kind, body),) = rule.items()
    return len(body.get("args", ()) if kind == "Default" else next(iter(body["head"].values())).get("args", ()))


def _off_list(one: _Rules, node: Node, name: str) -> Fault:
    return _fault(
        one,
        node,
        "FUNCTION",
        f"The function '{name}' may not be called: engines differ on it, or what it gives cannot be repeated.",
        "Use count, object.get, array.concat and the like, or a function of these rules.",
    )


def _grants_always(rule: Node) -> bool:
    ((kind, body),) = rule.items()
    if kind == "Default":
        return bool(body["value"].get("Bool", {}).get("value"))
    ((form, head),) = body["head"].items()
    if form == "Set":
        return False
    given = head["assign"]
    if not (given is None or given["value"].get("Bool", {}).get("value") is True):
        return False
    if any("Var" not in argument for argument in head.get("args", ())):
        return False  # it holds for these arguments only
    return all(
        statement["literal"].get("Expr", {}).get("expr", {}).get("Bool", {}).get("value") is True
        for part in body["bodies"]
        for statement in part["query"]["stmts"]
    )


def _forms(one: _Rules, rule: Node) -> Iterator[Fault]:
    for kind, node in _nodes(rule):
        if kind == "NotExpr" and not _plain(node["expr"]):
            yield _fault(
                one,
                node,
                "NOT_ON",
                "After 'not' stands something that engines read differently when it is undefined.",
                "Write a ground of its own that is true or false, and 'not' before its name.",
            )
        elif kind == "Number" and isinstance(node["value"], float):
            yield _fault(one, node, "FRACTION", "Numbers are whole.", "Use a smaller unit, such as seconds.")
        elif kind == "stmt" and node["with_mods"]:
            yield _fault(
                one, node, "WITH", "Only tests replace input or data.", "Give the value to a function instead."
            )


def _plain(node: Node) -> bool:
    """Whether this is a name, such as `found` or `input.user.role`, without an index or a call."""
    ((kind, body),) = node.items()
    return kind == "Var" or (kind == "RefDot" and _plain(body["refr"]))


# -- References -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Known:
    """What references may lead to.

    Attributes:
        schema: JSON Schema of the decision's input.
        tables: What stands below `data.accord.data`.
        packages: Package -> names of its rules.
        arguments: Package and name of a rule -> how many arguments it takes.
    """

    schema: Mapping[str, Any]
    tables: Mapping[str, Any]
    packages: Mapping[tuple[str, ...], set[str]]
    arguments: Mapping[tuple[tuple[str, ...], str], int]

    def missing(self, base: str, steps: Sequence[str | None]) -> str:
        """The reference as far as it leads nowhere; "" when it leads somewhere."""
        at = self._in_input(steps) if base == "input" else self._in_data(steps)
        return "" if at is None else ".".join([base, *(step or "[...]" for step in steps[: at + 1])])

    def cure(self, base: str) -> str:
        """Where to look."""
        if base == "input":
            return "The fields of the input stand in schemas/input.json."
        return "The tables stand below data, and the names of rules in the files of their package."

    def _in_input(self, steps: Sequence[str | None]) -> int | None:
        here = self._choices(self.schema)
        for at, step in enumerate(steps):
            below: list[Mapping[str, Any]] = []
            for schema in here:
                fields = schema.get("properties", {})
                if step is None:
                    below += [schema["items"]] if "items" in schema else fields.values()
                elif step in fields:
                    below.append(fields[step])
                elif "items" in schema and step.isdigit():
                    below.append(schema["items"])
            here = [choice for schema in below for choice in self._choices(schema)]
            if not here:
                return at
        return None

    def _choices(self, schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """A schema without its detours: what it refers to, and each alternative."""
        if "$ref" in schema:
            target: Any = self.schema
            for part in schema["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            return self._choices(target)
        several = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]
        return [schema, *(choice for one in several for choice in self._choices(one))] if several else [schema]

    def _in_data(self, steps: Sequence[str | None]) -> int | None:
        if tuple(steps[:2]) == _DATA:
            return self._in_tables(steps)
        if tuple(steps[:2]) == OVERLAY and OVERLAY not in self.packages:
            return None
        for length in range(len(steps), 0, -1):
            names = self.packages.get(tuple(step or "" for step in steps[:length]))
            if names is not None:
                # A whole package, or one chosen while evaluating, would read rules that nobody named.
                return None if length < len(steps) and steps[length] in names else min(length, len(steps) - 1)
        return len(steps) - 1 if steps else 0

    def _in_tables(self, steps: Sequence[str | None]) -> int | None:
        here: list[Any] = [self.tables]
        for at, step in enumerate(steps[2:], 2):
            rows = [one for one in here if isinstance(one, dict | list)]
            if any(not one for one in rows):
                return None  # an empty table says nothing about its rows
            below: list[Any] = []
            for one in rows:
                if isinstance(one, list):
                    below += one if step is None or step.isdigit() else []
                elif step is None:
                    below += one.values()
                elif step in one:
                    below.append(one[step])
            if not below:
                return at
            here = below
        return None


# -- The syntax tree --------------------------------------------------------------------------------------------------


def _nodes(node: Any) -> Iterator[tuple[str, Node]]:
    """Every node of a tree with its kind; a statement with what replaces its input is a `stmt`."""
    if isinstance(node, dict):
        if "with_mods" in node:
            yield "stmt", node
        for kind, body in node.items():
            if kind[0].isupper() and isinstance(body, dict):
                yield kind, body
            yield from _nodes(body)
    elif isinstance(node, list):
        for one in node:
            yield from _nodes(one)


_REFERENCES: Final = frozenset({"Var", "RefDot", "RefBrack"})


def _outermost(node: Any, called: bool = False) -> Iterator[tuple[str, Node, bool]]:
    """Every reference at its full length, and whether it is called; then what stands in its indexes."""
    if isinstance(node, list):
        for one in node:
            yield from _outermost(one)
    elif isinstance(node, dict):
        for kind, body in node.items():
            if kind in _REFERENCES:
                yield kind, body, called
                yield from _indexes(kind, body)
            elif kind == "Call":
                yield from _outermost(body["fcn"], called=True)
                yield from _outermost(body["params"])
            elif kind == "head":
                # A rule's own name is no reference; its arguments, index and value are.
                for head in body.values():
                    yield from _indexes(*next(iter(head["refr"].items())))
                    yield from _outermost([value for key, value in head.items() if key != "refr"])
            elif kind == "Default":
                yield from _outermost(body["value"])
            else:
                yield from _outermost(body)


def _indexes(kind: str, body: Node) -> Iterator[tuple[str, Node, bool]]:
    while kind != "Var":
        if kind == "RefBrack":
            yield from _outermost(body["index"])
        elif kind != "RefDot":
            yield from _outermost({kind: body})
            return
        ((kind, body),) = body["refr"].items()


def _steps(node: Node) -> tuple[str, list[str | None]]:
    """Where a reference starts and where it goes from there; None for a step that is only known while evaluating."""
    ((kind, body),) = node.items()
    if kind == "Var":
        return str(body["value"]), []
    if kind not in _REFERENCES:
        return "_", []  # what a call or a literal gives has no fields that could be looked up
    base, steps = _steps(body["refr"])
    if kind == "RefDot":
        return base, [*steps, str(body["field"][1])]
    ((of, index),) = body["index"].items()
    return base, [*steps, str(index["value"]) if of in {"String", "RawString", "Number"} else None]


def _bound(one: _Rules, rule: Node) -> Iterator[str]:
    """Names that a rule gives to things itself: arguments, `some`, `:=`, `every`, and indexes of its name."""
    ((_, body),) = rule.items()
    for head in body.get("head", {}).values():
        yield from _variables(head.get("args", []))
        yield from _variables([index for _, index, _ in _indexes(*next(iter(head["refr"].items())))], bare=True)
    yield from _variables(body.get("args", []))
    for kind, node in _nodes(rule):
        if kind == "SomeIn":
            yield from _variables([node["key"], node["value"]])
        elif kind == "SomeVars":
            yield from (_word(one, span) for span in node["vars"])
        elif kind == "AssignExpr":
            yield from _variables([node["lhs"]])
        elif kind == "Every":
            yield from (_word(one, span) for span in (node["key"], node["value"]) if span)


def _variables(nodes: Any, *, bare: bool = False) -> Iterator[str]:
    for node in nodes:
        if bare:
            yield str(node.get("value", "_"))
            continue
        for kind, body in _nodes(node):
            if kind == "Var":
                yield str(body["value"])


def _word(one: _Rules, span: Node) -> str:
    return one.text[span["start"] : span["end"]].decode()


def _place(node: Any) -> tuple[int, int]:
    """Line and column at which a part of the tree begins."""
    places = list(_places(node))
    return min(places) if places else (1, 1)


def _places(node: Any) -> Iterator[tuple[int, int]]:
    if isinstance(node, dict):
        if "line" in node and "col" in node:
            yield node["line"], node["col"]
        for body in node.values():
            yield from _places(body)
    elif isinstance(node, list):
        for one in node:
            yield from _places(one)


def _fault(one: _Rules, node: Any, code: str, told: str, cure: str) -> Fault:
    return Fault(one.file, *_place(node), code, told, cure)
