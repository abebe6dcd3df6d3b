"""What every test may rely on: tools that may be absent are named, never silently missing."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


def find_tool(name: str) -> str | None:
    """Where a program is: beside this Python first, then on PATH; None when it is nowhere."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def _demand(name: str) -> str:
    found = find_tool(name)
    if found is not None:
        return found
    if os.environ.get("ACCORD_CI") == "1":
        pytest.fail(f"{name} is not installed, and ACCORD_CI=1 lets no test be left out", pytrace=False)
    pytest.skip(f"{name} is not installed")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked `needs("tool")` by that tool's name; with ACCORD_CI=1 fail it instead."""
    for marker in item.iter_markers("needs"):
        for name in marker.args:
            _demand(name)


@pytest.fixture(scope="session")
def require_tool() -> Callable[[str], str]:
    """Give the path of a program, or skip the test by its name; with ACCORD_CI=1 fail it instead."""
    return _demand
