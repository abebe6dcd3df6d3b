"""Nothing older than what its advisories allow is installed, and what is pinned is what the project asks for."""

import re
import tomllib
from collections.abc import Callable, Mapping
from importlib import metadata
from types import ModuleType
from typing import Final

import pytest
from google.protobuf.internal import api_implementation
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from agency_node import __main__ as node
from broker import __main__ as broker
from tests.shape.tree import ROOT

FLOORS: Final = {
    "pyjwt": "2.15.1",  # CVE-2026-48523, CVE-2026-32597, CVE-2026-102272 to 102275, CVE-2022-29217
    "protobuf": "6.33.5",  # CVE-2025-4565, CVE-2026-0994
    "grpcio": "1.85",  # CVE-2023-33953, -4785, -32731, -44487, CVE-2024-7246, -11407
}
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
GROUPS: Final = PROJECT["dependency-groups"]
LOCKS: Final = {
    ".ci/requirements.lock": [*PROJECT["project"]["dependencies"], *GROUPS["build"]],
    ".ci/requirements-dev.lock": [*PROJECT["project"]["dependencies"], *GROUPS["build"], *GROUPS["dev"]],
}


def pinned(lock: str) -> Mapping[str, Version]:
    """Name -> version of every pin in a lock file."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    return {
        canonicalize_name(name): Version(version)
        for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", text, re.M)
    }


@pytest.mark.parametrize("name", FLOORS)
def test_nothing_below_its_floor_is_installed(name: str) -> None:
    """Each floor is the first version without a known hole that reaches us."""
    assert Version(metadata.version(name)) >= Version(FLOORS[name])


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_is_what_the_project_asks_for(lock: str) -> None:
    """A dependency that was added or raised without `make lock` would install something nobody chose."""
    pins = pinned(lock)
    wanted = [Requirement(text) for text in LOCKS[lock]]

    assert len(wanted) > 20
    assert [] == [
        str(one) for one in wanted if not one.specifier.contains(pins.get(canonicalize_name(one.name), Version("0")))
    ]


def test_what_is_pinned_to_run_is_pinned_the_same_for_tests() -> None:
    """Tests prove the versions that run."""
    run, tests = pinned(".ci/requirements.lock"), pinned(".ci/requirements-dev.lock")

    assert run == {name: tests.get(name) for name in run}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash_and_names_no_host(lock: str) -> None:
    """What is installed is byte for byte what was chosen, from wherever it is fetched."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", text.strip())

    assert [] == [entry[:60] for entry in entries if "--hash=sha256:" not in entry]
    assert "://" not in text


def test_messages_are_parsed_by_the_fast_and_bounded_backend() -> None:
    """The pure Python one has no limit on depth that holds (CVE-2025-4565)."""
    assert api_implementation.Type() == "upb"


@pytest.mark.parametrize("process", [broker, node])
@pytest.mark.parametrize("backend", ["python", "cpp"])
def test_no_process_starts_on_another_backend(process: ModuleType, backend: str) -> None:
    """Control: the check at the start refuses what a wrong installation would give."""
    check: Callable[[str], None] = process.refuse_other_backends
    check("upb")

    with pytest.raises(process.WrongInstallation, match=backend):
        check(backend)
