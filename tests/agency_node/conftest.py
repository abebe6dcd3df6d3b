"""The node's state on both engines: a fixture gives a place, which can be opened again."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from agency_node.store import prepare_state
from tests.world.database_servers import DatabaseServer
from tests.world.node_state import BOTH, Place
from tests.world.state_servers import database


@pytest.fixture(scope="session")
def prepared(state_server: DatabaseServer, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A prepared database, which each test that uses it empties first."""
    made = database(state_server, tmp_path_factory.mktemp("prepared"), "prepared_node")
    prepare_state(made.owner_file, made.url_file)
    return Place(Path("no file"), made)


@pytest.fixture
def place_on(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Place]:
    """Make a new state on `sqlite` or on `postgresql`."""

    def make(kind: str) -> Place:
        if kind == "sqlite":
            return Place(tmp_path / "node.db")
        made: Place = request.getfixturevalue("prepared")
        made.empty()
        return made

    return make


@pytest.fixture(params=BOTH)
def place(request: pytest.FixtureRequest, place_on: Callable[[str], Place]) -> Place:
    """A new state on each engine."""
    return place_on(request.param)


@pytest.fixture
def store(place: Place) -> Iterator[Engine]:
    """A new state, open."""
    engine = place.open()
    yield engine
    engine.dispose()
