"""A node's state is put on a PostgreSQL server with two files and one command, and the doctor says how it stands."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agency_node import doctor as node_doctor
from agency_node.doctor import State
from tests.system.conftest import Place, Program
from tests.world.database_servers import DatabaseServer
from tests.world.state_servers import PASSWORD, StateDatabase, database

pytestmark = pytest.mark.needs("postgres", "initdb")
ROWS = ("own database", "durable", "rights")


@pytest.fixture
def bare(state_server: DatabaseServer, tmp_path: Path) -> Iterator[StateDatabase]:
    """An empty database."""
    made = database(state_server, tmp_path, "on_a_server")
    yield made
    state_server.run(f"DROP DATABASE {made.name} WITH (FORCE)")


@pytest.fixture
def home(place: Place, bare: StateDatabase, tmp_path: Path) -> Path:
    """Social care's home, told to keep its state there."""
    home = tmp_path / "social-care"
    shutil.copytree(place.home, home)
    (home / "node.db").unlink()
    settings = (home / "node.toml").read_text()
    (home / "node.toml").write_text(f'database_url_file = "{bare.url_file}"\n{settings}')
    return home


def looked(home: Path) -> dict[str, node_doctor.Row]:
    return {row.name: row for row in node_doctor.look_at(home, time.time_ns())}


def test_a_database_is_prepared_with_one_command(run: Program, home: Path, bare: StateDatabase) -> None:
    """Before it, the doctor names the command; after it, all three rows are well, and it may be repeated."""
    before = looked(home)
    done = [run("accord-node", "database", "prepare", "--home", home, "--owner-url-file", bare.owner_file)]
    after = looked(home)
    done.append(run("accord-node", "database", "prepare", "--home", home, "--owner-url-file", bare.owner_file))
    status = run("accord-node", "index", "--status", "--home", home)

    assert (State.BAD, State.WAITS, State.WAITS) == tuple(before[name].state for name in ROWS)
    assert "accord-node database prepare" in before["own database"].cure
    assert [0, 0, 0] == [one.code for one in (*done, status)]
    assert [State.OK] * 3 == [after[name].state for name in ROWS]
    assert "PostgreSQL 1" in after["own database"].found
    assert "synchronous_commit" in after["durable"].found
    assert "node_entry" in after["rights"].found
    assert not (home / "node.db").exists()
    assert PASSWORD not in "".join(one.out + one.err for one in (*done, status))


def test_the_doctor_sees_a_right_too_many(run: Program, home: Path, bare: StateDatabase) -> None:
    """T-AUD-5: a node refuses to start with it, and the command takes it back."""
    run("accord-node", "database", "prepare", "--home", home, "--owner-url-file", bare.owner_file)
    bare.server.run("GRANT DELETE ON node_entry TO accord_serving", database=bare.name)

    row = looked(home)["own database"]
    started = run("accord-node", "serve", "--home", home)

    assert State.BAD == row.state
    assert "may change the ledger" in row.found
    assert "may change the ledger" in started.words
    assert 1 == started.code


def test_a_node_with_a_file_has_nothing_to_prepare(run: Program, place: Place, bare: StateDatabase) -> None:
    """The message says so, and what a server would take."""
    said = run("accord-node", "database", "prepare", "--home", place.home, "--owner-url-file", bare.owner_file)

    assert 1 == said.code
    assert "database_url_file is not given" in said.words


def test_two_places_for_one_state_are_refused(run: Program, home: Path) -> None:
    """T-SEC-3: which of them holds the ledger must not depend on which is read first."""
    (home / "node.toml").write_text('database = "node.db"\n' + (home / "node.toml").read_text())

    said = run("accord-node", "ledger", "verify", "--home", home)

    assert 1 == said.code
    assert "name either database or database_url_file, not both" in said.words
