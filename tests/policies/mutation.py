"""Drop one condition at a time from the rules, and count how many of these broken rules the tests beside them notice.

    .venv/bin/python -m tests.policies.mutation            every rule, a line of figures, and each mutant that lived
    .venv/bin/python -m tests.policies.mutation need role  rule files of these names only

A condition is one line of a body, one condition after `if` on a rule's own line, one condition of a comprehension, or
one row of a table of grounds. A mutant that the engine does not load, because a variable is then nowhere bound, is
*stillborn* and not counted. Every other one must turn a test red that was green: it is *killed*. The rules are laid out
as `opa fmt` lays them out, which the conditions are found by.
"""

import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import regorus

from broker.engines.regorus import data_of
from tests.policies.test_rego import TESTS
from tests.world.rules import POLICIES, shipped, value_of

WANTED_PERCENT: Final = 95
_BODY: Final = re.compile(r"(\bif \{|\|)$")
_TABLE: Final = re.compile(r":= \{$")
_ROW: Final = re.compile(r'^\t"[A-Z_]+(?: \w+)?": .*,$')
_ONE_LINE: Final = re.compile(r"^(?!default )(?P<head>\S.* if )(?P<condition>[^{]\S*.*[^{])$")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One rule file with one condition less.

    Attributes:
        file: Its path in the bundle.
        line: Where the condition stood, from 1.
        condition: What stood there.
        text: The whole file without it.
    """

    file: str
    line: int
    condition: str
    text: str

    def __str__(self) -> str:
        """Where to look, and for what."""
        return f"{self.file}:{self.line}: {self.condition}"


def mutants(file: str, text: str) -> Iterator[Mutant]:
    """Every mutant of one rule file.

    Args:
        file: Its path in the bundle.
        text: What stands in it.
    """
    lines = text.splitlines()
    inside = ""
    for number, line in enumerate(lines):
        condition = line.strip()
        if not line.startswith("\t"):
            inside = "body" if _BODY.search(line) else "table" if _TABLE.search(line) else ""
            found = _ONE_LINE.match(line)
            if found and not line.startswith("#"):
                yield _without(file, lines, number, found["condition"], [found["head"] + "true"])
        elif inside == "table" and _ROW.match(line):
            yield _without(file, lines, number, condition, [])
        elif inside == "body" and line.count("\t") == 1 and not re.search(r"[\[{(|]$|^[\]})]", condition):
            yield _without(file, lines, number, condition, ["\ttrue"])


def _without(file: str, lines: list[str], number: int, condition: str, instead: list[str]) -> Mutant:
    text = "\n".join([*lines[:number], *instead, *lines[number + 1 :]]) + "\n"
    return Mutant(file, number + 1, condition, text)


class Trial:
    """The tests beside the rules, run against one mutant after the other; those that killed lately go first."""

    def __init__(self) -> None:
        self._files = {path: content.decode() for path, content in shipped().files.items() if path.endswith(".rego")}
        self._beside = {
            path.relative_to(POLICIES).as_posix(): path.read_text() for path in POLICIES.rglob("*_test.rego")
        }
        data = data_of(shipped().files)
        self._data = json.dumps(data)
        self._tests = [(path, f"data.{package}.{name}") for path, package, name in TESTS]

    @property
    def rules(self) -> dict[str, str]:
        """Rule file -> what stands in it; without the one that the builder makes."""
        return {path: text for path, text in self._files.items() if (POLICIES / path).exists()}

    def killer(self, mutant: Mutant | None) -> str:
        """The first test that a mutant turns red; empty when it lives.

        Raises:
            RuntimeError: The mutant is stillborn.
        """
        engine = regorus.Engine()
        for path, text in {**self._files, **self._beside}.items():
            engine.add_policy(path, mutant.text if mutant is not None and mutant.file == path else text)
        engine.add_data_json(self._data)
        engine.set_input_json("{}")
        own = "" if mutant is None else mutant.file.replace(".rego", "_test.rego")
        for test in sorted(self._tests, key=lambda one: one[0] != own):
            try:
                held = value_of(engine, test[1]) is True
            except RuntimeError as error:
                if re.search(r"unsafe|use of undefined|not found|cannot be resolved", str(error)):
                    raise
                held = False
            if not held:
                self._tests.remove(test)
                self._tests.insert(0, test)
                return test[1]
        return ""


def main(names: list[str]) -> int:
    """Try every mutant, print what lived and one line of figures.

    Args:
        names: Stems of rule files to try; all when empty.

    Returns:
        0 when enough were killed.
    """
    trial, started = Trial(), time.monotonic()
    if trial.killer(None):
        print("a test beside the rules is red without any mutant")
        return 1
    killed, stillborn, lived = 0, 0, list[Mutant]()
    for file, text in sorted(trial.rules.items()):
        if names and Path(file).stem not in names:
            continue
        for mutant in mutants(file, text):
            try:
                if trial.killer(mutant):
                    killed += 1
                else:
                    lived.append(mutant)
                    print(f"lived: {mutant}", flush=True)
            except RuntimeError:
                stillborn += 1
    tried = killed + len(lived)
    percent = 100 * killed / tried if tried else 100.0
    seconds = time.monotonic() - started
    print(f"T-POL-1 mutants={tried} killed={killed} ({percent:.1f} %) stillborn={stillborn} seconds={seconds:.0f}")
    return 0 if percent >= WANTED_PERCENT else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
