"""The index as its operator meets it: real processes, killed, stopped, refreshed, listed and retired."""

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.world.key_servers import Programs, grow, programs

AGENCY: Final = "police"
PEOPLE: Final = 60
KILLS: Final = 12
SEED: Final = 20_261_122
PATIENCE_S: Final = 120.0

CONTENT: Final = """
SELECT r.person_id, r.entry, r.row_hash, t.family, t.tag, t.token
FROM index_record r JOIN index_token t ON t.record_id = r.id ORDER BY t.tag, r.person_id, r.entry
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    """Two key servers and an agency with a few dozen people, indexed once."""
    with programs(tmp_path_factory.mktemp("federation"), {AGENCY: grow(PEOPLE)}) as running:
        built = running.node(AGENCY, "index", "--json", "--workers", "2")
        assert (0, PEOPLE) == (built.code, json.loads(built.out)["people"])
        yield running


def records(world: Programs, agency: str = AGENCY) -> contextlib.closing[sqlite3.Connection]:
    """The agency's own database, which its own program writes."""
    return contextlib.closing(sqlite3.connect(world.home / agency / "records" / "records.db"))


def content(database: Path) -> tuple[list[tuple[object, ...]], tuple[object, ...]]:
    """Everything that an index says, and what it says of itself."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        about = connection.execute("SELECT state, people, statistics, changed_to FROM index_meta").fetchone()
        return connection.execute(CONTENT).fetchall(), about


def test_a_changed_record_is_taken_in_by_command(world: Programs) -> None:
    """Between full passes; the list says that nothing became fresher by it."""
    before = json.loads(world.node(AGENCY, "index", "--status", "--json").out)["indexes"]
    with records(world) as connection, connection:
        connection.execute(
            "UPDATE person SET last_name = 'Zyxcanath', changed_at = '2026-06-05T10:00:00Z' WHERE id = 7"
        )

    taken = world.node(AGENCY, "index", "--changed", "--json")
    after = json.loads(world.node(AGENCY, "index", "--status", "--json").out)

    assert (0, 1) == (taken.code, json.loads(taken.out)["changed"])
    assert [(one["state"], one["people"], one["built_at"]) for one in before] == [
        (one["state"], one["people"], one["built_at"]) for one in after["indexes"]
    ]
    assert ("answers", False) == (after["indexes"][0]["state"], after["busy"])
    assert "Zyxcanath" not in taken.out + taken.err


def test_linkage_keys_in_use_are_not_retired(world: Programs) -> None:
    """T-LNK-5: every question would be *cannot say*; the cure is said."""
    kept = world.node(AGENCY, "index", "--retire", world.federation.directory.epoch.id, "--json")
    other = world.node(AGENCY, "index", "--retire", "2019-1", "--json")

    assert (2, "BAD_REQUEST") == (kept.code, json.loads(kept.out)["error"]["reason"])
    assert (0, 0) == (other.code, json.loads(other.out)["removed"])


def test_options_that_contradict_each_other_are_refused(world: Programs) -> None:
    """Exit 2, and nothing is done."""
    said = world.node(AGENCY, "index", "--status", "--changed")

    assert 2 == said.code
    assert "do not go together" in said.err


def started(world: Programs, database: Path, *words: str) -> "subprocess.Popen[str]":
    """An index job on a state file of its own, in a process group of its own."""
    return subprocess.Popen(
        world.command(AGENCY, "index", "--json", *words),
        env=os.environ | {"ACCORD_DATABASE": str(database)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def came_to(database: Path) -> int:
    """How many people a job has done so far; -1 before it has begun."""
    with (
        contextlib.suppress(sqlite3.OperationalError),
        contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection,
    ):
        row = connection.execute("SELECT max(watermark) FROM index_meta").fetchone()
        return -1 if row is None or row[0] is None else int(row[0])
    return -1


def stored(database: Path) -> int:
    """How many people an index has; -1 before there is one."""
    with (
        contextlib.suppress(sqlite3.OperationalError),
        contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection,
    ):
        born = connection.execute("SELECT count(*) FROM index_meta").fetchone()[0]
        people = connection.execute("SELECT count(*) FROM index_record WHERE entry = 0").fetchone()[0]
        return int(people) if born else -1
    return -1


def wait(true: Callable[[], bool]) -> None:
    """Wait until something is true."""
    until = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_ctrl_c_leaves_word_that_nothing_is_lost(world: Programs, tmp_path: Path) -> None:
    """The operator reads how to go on, and doing so ends it."""
    database = tmp_path / "node.db"
    job = started(world, database, "--workers", "2")
    wait(lambda: came_to(database) >= 0)
    os.killpg(job.pid, signal.SIGINT)
    out, err = job.communicate(timeout=PATIENCE_S)
    again = started(world, database)
    end, _ = again.communicate(timeout=PATIENCE_S)

    told = json.loads(out)["error"]
    assert (1, "INDEX_INTERRUPTED") == (job.returncode, told["reason"])
    assert "goes on where it was" in told["cure"]
    assert "Traceback" not in err
    assert (0, PEOPLE) == (again.returncode, json.loads(end)["people"])


def copy(source: Path, to: Path) -> None:
    """A state file as it is now, with what is still in its log."""
    with (
        contextlib.closing(sqlite3.connect(source)) as there,
        contextlib.closing(sqlite3.connect(to)) as here,
    ):
        there.backup(here)


@pytest.mark.prove
def test_an_index_killed_at_random_points_is_that_of_one_undisturbed_run(tmp_path: Path) -> None:
    """T-OPS-6: same tags, records and statistics, whenever and however often the power goes."""
    chance = random.Random(SEED)
    killed, undisturbed = tmp_path / "killed.db", tmp_path / "undisturbed.db"
    people = 8 * 64
    targets = [0, *sorted(chance.sample(range(people), KILLS - 1))]
    points: list[int] = []
    (tmp_path / "federation").mkdir()
    with programs(tmp_path / "federation", {AGENCY: grow(people)}) as world:
        for number, target in enumerate(targets):
            job = started(world, killed, "--workers", str(1 + number % 2))
            wait(lambda target=target: stored(killed) >= target)  # type: ignore[misc]  # bound now
            time.sleep(chance.uniform(0.0, 0.4))
            os.kill(job.pid, signal.SIGKILL)
            job.communicate()
            points.append(stored(killed))
            if number == 0:
                # Hashes are keyed with a key of the index's own: both jobs go on from its birth.
                copy(killed, undisturbed)
                clear_index(undisturbed)
        codes = []
        for database in (killed, undisturbed):
            last = started(world, database)
            last.communicate(timeout=PATIENCE_S)
            codes.append(last.returncode)

    found, expected = content(killed), content(undisturbed)
    assert [0, 0] == codes
    assert "complete" == found[1][0]
    assert expected == found
    assert len(set(points)) > 3
    print(
        f"\nT-OPS-6 index_kills={KILLS} at_people={_short(points)} of={people} keys={len(found[0])}"
        f" differences=0 seed={SEED}"
    )


def clear_index(database: Path) -> None:
    """Take out what a job had put into an index, but for the index itself."""
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM index_token")
        connection.execute("DELETE FROM index_record")


def _short(points: Sequence[int]) -> str:
    return ",".join(map(str, points))
