"""Other linkage keys than the federation's: nothing is found, and *no* is never said (T-LNK-5)."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from tests.system.conftest import Said, start
from tests.world import stack as worlds

CHILD: Final = {
    "first_name": "Jamie",
    "last_name": "Thorley",
    "date_of_birth": "2013-03-09",
    "address": "Flat 3, 14 Larkspur Rise",
    "postcode": "MD4 7QT",
    "role": "child",
}
"""Whom no agency of this federation knows."""
QUESTION: Final[dict[str, Any]] = {
    "question": "agency.contact",
    "purpose": "s47_enquiry",
    "case": "CF-1",
    "need_tier": 4,
    "significant_harm": True,
    "necessity": "assess_risk",
    "people": [CHILD],
}


def ask(world: worlds.World, folder: Path, **also: str) -> Said:
    """Social care asks, with the installed program."""
    (folder / "token").write_text(world.staff_token("social-care"))
    told = ("accord-node", "ask", "--home", world.home / "social-care", "--token-file", folder / "token", "--json", "-")
    return start(*told, told=json.dumps(QUESTION), also=also)


def answers(said: Said) -> dict[str, str]:
    """Agency -> what it said about the one person."""
    return {row["agency"]: row["people"][0]["answer"] for row in json.loads(said.out)["agencies"]}


@contextlib.contextmanager
def other_epoch(world: worlds.World, agency: str) -> Iterator[None]:
    """An agency whose index was built with the linkage keys of another time."""

    def write(epoch: str) -> str:
        with contextlib.closing(sqlite3.connect(world.settings[agency].database)) as connection, connection:
            was: str = connection.execute("SELECT epoch FROM index_meta").fetchone()[0]
            connection.execute("UPDATE index_meta SET epoch = ?", (epoch,))
        return was

    was = write("2019-4")
    try:
        yield
    finally:
        write(was)


def test_an_index_of_another_epoch_cannot_say(living: worlds.World, tmp_path: Path) -> None:
    """T-LNK-5: every addressed agency answers, so exit 0; the one that cannot look says so."""
    before = ask(living, tmp_path)
    with other_epoch(living, "police"):
        said = ask(living, tmp_path)

    assert (0, {"housing": "NO", "police": "NO"}) == (before.code, answers(before))
    assert (0, {"housing": "NO", "police": "CANNOT_SAY"}) == (said.code, answers(said))


def test_an_asker_of_another_epoch_gets_no_keys(living: worlds.World, tmp_path: Path) -> None:
    """T-LNK-5: with a directory of another epoch nothing can be asked, and the cure is to fetch the current one."""
    issued = living.federation.directory
    later = replace(issued, version=2, epoch=replace(issued.epoch, id="2027-1"))
    (tmp_path / "directory.json").write_bytes(living.federation.reissue(later))
    with (
        contextlib.closing(sqlite3.connect(living.settings["social-care"].database)) as here,
        contextlib.closing(sqlite3.connect(tmp_path / "node.db")) as copy,
    ):
        here.backup(copy)
    also = {"ACCORD_DATABASE": str(tmp_path / "node.db"), "ACCORD_DIRECTORY": str(tmp_path / "directory.json")}

    said = ask(living, tmp_path, **also)

    assert (1, "WRONG_EPOCH") == (said.code, json.loads(said.out)["error"]["reason"])
    assert "Fetch the current directory" in json.loads(said.out)["error"]["cure"]


@pytest.mark.parametrize("server", ["BROKER", "STEWARD"])
def test_a_key_server_that_is_away_leaves_the_question_unasked(
    living: worlds.World, tmp_path: Path, server: str
) -> None:
    """T-NET-1: exit 4 and nothing on the ledger: it was not asked, so nobody can take it for an answer."""
    before = len(living.broker_records())

    said = ask(living, tmp_path, **{f"ACCORD_{server}": "localhost:9"})

    assert (4, "NODE_UNREACHABLE") == (said.code, json.loads(said.out)["error"]["reason"])
    assert before == len(living.broker_records())
