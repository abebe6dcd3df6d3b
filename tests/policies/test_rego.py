"""Every test that stands beside a rule is run on the engine that decides, each as a case of its own."""

import re

import pytest
import regorus

from tests.world.rules import POLICIES, embedded, shipped, value_of

TESTS = [
    (path.relative_to(POLICIES).as_posix(), package, name)
    for path in sorted(POLICIES.rglob("*_test.rego"))
    for package in re.findall(r"(?m)^package ([\w.]+)$", path.read_text())
    for name in re.findall(r"(?m)^(test_\w+) if", path.read_text())
]


@pytest.fixture(scope="module")
def engine() -> "regorus.Engine":
    """The embedded engine with the shipped rules and the tests beside them."""
    return embedded(shipped(), tests=True)


@pytest.mark.parametrize(
    ("package", "name"), [case[1:] for case in TESTS], ids=[f"{path}:{name}" for path, _, name in TESTS]
)
def test_a_rule_does_what_its_own_test_says(engine: "regorus.Engine", package: str, name: str) -> None:
    """Each ground, question and entry point keeps what its test file states."""
    outcome = value_of(engine, f"data.{package}.{name}")

    assert outcome is True


def test_no_two_rego_tests_share_a_name() -> None:
    """In Rego two tests of one name and package are one test that holds when either does."""
    names = [(package, name) for _, package, name in TESTS]

    assert sorted(set(names)) == sorted(names)


def test_every_rule_file_has_its_test_file() -> None:
    """A ground, an entry point or a question without a test would show no gap anywhere else."""
    untested = [
        path.name
        for folder in ("grounds", "query", "node", "questions")
        for path in sorted((POLICIES / "accord" / folder).rglob("*.rego"))
        if not path.name.endswith("_test.rego") and not path.with_name(f"{path.stem}_test.rego").exists()
    ]

    assert untested == []


def test_a_rego_test_that_fails_is_seen(engine: "regorus.Engine") -> None:
    """The runner can tell a test that does not hold: undefined is not a pass."""
    outcome = value_of(engine, "data.accord.grounds_test.test_that_does_not_exist")

    assert outcome is None
