"""What tests of the broker share: a ledger's place on either engine, and one server for all tests of a run."""

from collections.abc import Iterator

import pytest

from broker.store import Place
from tests.world.broker_databases import BrokerDatabases, broker_databases


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerDatabases]:
    """A PostgreSQL server with databases for brokers; one for each worker of a run."""
    with broker_databases(tmp_path_factory.mktemp("addresses")) as running:
        yield running


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgres", "initdb"))])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """An empty place for state and ledger: a file, or a prepared database."""
    if request.param == "sqlite":
        yield request.getfixturevalue("tmp_path") / "broker.db"
        return
    running: BrokerDatabases = request.getfixturevalue("databases")
    database = running.lent()
    yield database
    running.give_back(database)
