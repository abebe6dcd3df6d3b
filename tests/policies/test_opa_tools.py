"""The rules as Open Policy Agent's own tools see them: its strict check, its own runner, and few functions.

The server takes no list of functions that rules may call (`opa run` has no such option), so the list is held against
the rules before they are signed: by the builder, in `broker.lint`, and here by the other engine's compiler.
"""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.lint import FUNCTIONS
from tests.world.rules import POLICIES, shipped

pytestmark = pytest.mark.needs("opa")
FORBIDDEN = ("http.send", "net.lookup_ip_addr", "opa.runtime", "rego.parse_module", "trace", "time.now_ns", "walk")
COMMAND_S = 120
Opa = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped bundle, unpacked, with the tests that stand beside the rules."""
    root = tmp_path_factory.mktemp("rules")
    files = dict(shipped().files)
    files |= {path.relative_to(POLICIES).as_posix(): path.read_bytes() for path in POLICIES.rglob("*_test.rego")}
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


@pytest.fixture(scope="module")
def opa(require_tool: Callable[[str], str]) -> Opa:
    """Runs the program to its end."""
    program = require_tool("opa")

    def run(*words: str | Path) -> "subprocess.CompletedProcess[str]":
        command = [program, *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=COMMAND_S)

    return run


@pytest.fixture(scope="module")
def functions(opa: Opa, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What this version can do, less every function that rules may not call; operators stay."""
    can = json.loads(opa("capabilities", "--current").stdout)
    kept = [
        one
        for one in can["builtins"]
        if one["name"] in FUNCTIONS or "infix" in one or one["name"].startswith("internal.member_")
    ]
    file = tmp_path_factory.mktemp("told") / "capabilities.json"
    file.write_text(json.dumps({**can, "builtins": kept, "allow_net": []}))
    return file


def test_rules_and_tests_pass_the_strict_check(opa: Opa, folder: Path) -> None:
    """T-POL-7: no unused variable, no unsafe name, and descriptions of rules that can be read."""
    found = opa("check", "--strict", "--bundle", folder)

    assert (0, "") == (found.returncode, found.stderr)


def test_the_rules_need_few_functions(opa: Opa, folder: Path, functions: Path) -> None:
    """T-POL-7: no function beside those that the builder allows; tests may call more."""
    told = ("--capabilities", functions, "--ignore", "*_test.rego")
    found = opa("check", "--strict", *told, "--bundle", folder)

    assert (0, "") == (found.returncode, found.stderr)


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_rule_that_calls_out_does_not_pass(opa: Opa, functions: Path, tmp_path: Path, name: str) -> None:
    """T-POL-7: a rule that asks the network, the clock or the process is stopped here too, and for that reason."""
    (tmp_path / "odd.rego").write_text(f"package accord.odd\n\nx := {name}({{}})\n")
    found = opa("check", "--strict", "--capabilities", functions, tmp_path)

    assert 0 != found.returncode
    assert f"undefined function {name}" in found.stdout + found.stderr


@pytest.mark.prove
def test_the_other_engine_agrees_with_every_test_beside_the_rules(opa: Opa, folder: Path) -> None:
    """T-POL-7: `opa test` passes all that the embedded engine passes."""
    written = sum(len(re.findall(r"(?m)^test_\w+ if", path.read_text())) for path in POLICIES.rglob("*_test.rego"))
    found = opa("test", "--bundle", folder)
    print(f"T-POL-7 opa_test {' '.join(found.stdout.split()[-2:])} written={written}")

    assert (0, f"PASS: {written}/{written}") == (found.returncode, found.stdout.strip())


@pytest.mark.prove
def test_a_failing_test_is_seen(opa: Opa, folder: Path, tmp_path: Path) -> None:
    """Control: one test that does not hold turns the runner red."""
    (tmp_path / "odd_test.rego").write_text("package accord.odd_test\n\ntest_never if 1 == 2\n")
    found = opa("test", tmp_path)

    assert 0 != found.returncode
    assert "FAIL: 1/1" in found.stdout
