"""What every test may rely on: tools that may be absent are named, never silently missing."""

import os
import shutil
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.world.database_servers import DatabaseServer

# How long an example takes says how busy the machine is, and nothing about what is tested. What a change is judged by
# is the same at every run; everybody else's run looks somewhere new.
settings.register_profile(
    "accord",
    deadline=None,
    derandomize=os.environ.get("ACCORD_CI") == "1",
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("accord")


def find_tool(name: str) -> str | None:
    """Where a program is: beside this Python first, then on PATH; None when it is nowhere."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def _demand(name: str) -> str:
    found = find_tool(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def left_out(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a report that something was skipped into a failure where ACCORD_CI=1 lets nothing be left out."""
    if os.environ.get("ACCORD_CI") == "1" and report.skipped and not hasattr(report, "wasxfail"):
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{why}; ACCORD_CI=1 lets no test be left out"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Hold a skipped test for a failure under ACCORD_CI=1, whoever skipped it."""
    report = yield
    left_out(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Hold a skipped module for a failure under ACCORD_CI=1."""
    report = yield
    left_out(report)
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked `needs("tool")` by that tool's name; with ACCORD_CI=1 fail it instead."""
    for marker in item.iter_markers("needs"):
        for name in marker.args:
            _demand(name)


@pytest.fixture(scope="session")
def state_server() -> "Iterator[DatabaseServer]":
    """One PostgreSQL server for the state of all tests that ask for it; they mark `needs("postgres", "initdb")`."""
    from tests.world import database_servers, state_servers

    with database_servers.postgresql(fsync="on") as server:
        state_servers.accounts(server)
        yield server


@pytest.fixture(scope="session")
def require_tool() -> Callable[[str], str]:
    """Give the path of a program, or skip the test by its name; with ACCORD_CI=1 fail it instead."""
    return _demand
