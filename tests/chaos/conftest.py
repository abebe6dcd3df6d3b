"""One federation for all chaos on SQLite; what is asked in one trial is still looked at in the next."""

from collections.abc import Iterator

import pytest

from tests.chaos.stack import Stack, stack


@pytest.fixture(scope="session")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A federation on SQLite."""
    with stack(tmp_path_factory.mktemp("chaos")) as running:
        yield running


@pytest.fixture
def world(federation: Stack) -> Stack:
    """The same, with everything running."""
    federation.start_all()
    return federation
