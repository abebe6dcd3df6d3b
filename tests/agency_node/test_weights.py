"""Weights of linkage of a node's own: learnt, looked at, put in force by its operator, noted in its ledger."""

import json
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from accord.canonical import sha256
from accord.identity import describe
from agency_node import ledger, weights
from agency_node import settings as node_settings
from agency_node.cli.linkage import LEVELS, TIERS
from agency_node.index import Terms
from agency_node.refit import NEEDED, to_text
from agency_node.scoring import FIELDS, UNKNOWN, Levels, Tier, parse_prior, shipped_prior, statistics
from agency_node.store import open_store, reading, writing
from agency_node.store.index import begin, finish
from agency_node.store.patterns import count
from agency_node.weights import BadWeights
from deploy.demo import county
from tests.world import trust

AT_NS = 1_795_311_783_000_000_000
PRIOR = shipped_prior()
OWN = replace(PRIOR, version="the node's own", same={**PRIOR.same, "sex": (0.1, 0.9)})
KEY = b"k" * 32

SAME: Levels = (5, 5, 6, 3, 5, 1, 1, UNKNOWN)
MOVED: Levels = (5, 5, 6, 0, 0, 1, 1, UNKNOWN)
SISTER: Levels = (0, 5, 1, 3, 5, 1, 0, UNKNOWN)
WEAK: Levels = (4, 5, 5, 0, 0, UNKNOWN, UNKNOWN, UNKNOWN)


# -- In force ---------------------------------------------------------------------------------------------------------


def noted(engine: Engine) -> list[Mapping[str, Any]]:
    """What the node's own ledger says of its weights."""
    with reading(engine) as connection:
        entries = ledger.entries(connection)
    return [json.loads(one.body or b"{}") for one in entries if one.kind == "WEIGHTS_CHANGED"]


def test_without_a_file_those_that_ship_are_used(tmp_path: Path) -> None:
    """A node that was told nothing answers as every other one."""
    found = weights.in_force(tmp_path / "link-prior.json")

    assert (PRIOR, None) == (found.prior, found.shipped)


def test_a_draft_counts_for_nothing_until_it_is_put_in_force(tmp_path: Path) -> None:
    """The operator decides, and what is put in force is byte for byte what lay there."""
    path = tmp_path / "link-prior.json"
    digest = weights.keep_draft(path, OWN)
    before = weights.in_force(path)
    draft = weights.draft_of(path).read_bytes()

    used = weights.use_draft(path)

    assert None is before.shipped
    assert (digest, OWN, PRIOR) == (used.digest, used.prior, used.shipped)
    assert used == weights.in_force(path)
    assert (draft, sha256(draft).hex()) == (path.read_bytes(), digest)
    assert 0 == path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    with pytest.raises(BadWeights, match="no draft"):
        weights.use_draft(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"\xff", b"[" * 100_000, b" " * ((1 << 20) + 1), PRIOR.to_json().replace("0.992461", "0.9").encode()],
)
def test_a_file_that_holds_no_weights_stops_the_start(tmp_path: Path, content: bytes) -> None:
    """Neither the file nor those that ship are taken in its stead without a word; the cure is said."""
    path = tmp_path / "link-prior.json"
    path.write_bytes(content)
    weights.draft_of(path).write_bytes(content)

    with pytest.raises(BadWeights) as raised:
        weights.in_force(path)
    with pytest.raises(BadWeights):
        weights.use_draft(path)
    assert "linkage refit" in raised.value.cure


def test_other_weights_than_at_the_last_start_are_noted_once(store: Engine, tmp_path: Path) -> None:
    """T-AUD-2: whoever put them there, the auditor reads from when on which weights counted."""
    path = tmp_path / "link-prior.json"
    shipped = weights.in_force(path)
    weights.keep_draft(path, OWN)
    own = weights.use_draft(path)

    changed = [weights.note(store, one, AT_NS) for one in (shipped, shipped, own, own, shipped, shipped)]

    assert [False, False, True, False, True, False] == changed
    assert [own.digest, shipped.digest] == [one["weights"] for one in noted(store)]
    assert ["the node's own", PRIOR.version] == [one["weights_version"] for one in noted(store)]


# -- The command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def node(tmp_path: Path) -> Callable[..., Path]:
    """Makes a node's home with a complete index and these pairs counted."""

    def made(opened: Mapping[Levels, int], indexed: bool = True) -> Path:
        trust.make_federation(tmp_path, ("police",), now_ns=time.time_ns())
        home = tmp_path / "police"
        (home / "node.toml").write_text(
            'federation = "midshire"\nagency = "police"\nbroker = "localhost:9"\nsteward = "localhost:9"\n', "utf-8"
        )
        engine = open_store(node_settings.load(home / "node.toml").database)
        people = [describe(**county.described(one)) for one in county.generate(seed=3, people=300).held["police"]]
        with writing(engine) as connection:
            if indexed:
                job = begin(connection, asdict(Terms("2026-1", "ab" * 32)), KEY)
                finish(connection, job, len(people), statistics(people, 1, KEY).to_json(), "", AT_NS)
            count(connection, {to_text(levels): pairs for levels, pairs in opened.items()}, "2026-11")
        engine.dispose()
        return home

    return made


def refit(home: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """The command as an operator gives it."""
    program = Path(sys.executable).parent / "accord-node"
    return subprocess.run(
        [program, "linkage", "refit", "--home", home, *more],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={"COLUMNS": "200"},
    )


def test_the_command_says_what_would_change_and_changes_nothing(node: Callable[..., Path]) -> None:
    """Who moves from which tier to which, and a draft beside the settings."""
    home = node({SAME: 300, MOVED: 500, SISTER: 40, WEAK: 60})

    ran = refit(home, "--json")

    assert (0, "") == (ran.returncode, ran.stderr)
    found = json.loads(ran.stdout)
    draft = Path(found["draft"]["path"])
    assert (900, ["2026-11"], True) == (found["pairs"], found["months"], found["in_force"]["shipped"])
    assert home / "link-prior.draft.json" == draft
    assert found["draft"]["digest"] == sha256(draft.read_bytes()).hex()
    assert 900 == sum(one["pairs"] for one in found["moves"])
    assert found["same"]["postcode"]["learnt"][0] > found["same"]["postcode"]["in_force"][0]
    assert list(parse_prior(draft.read_text()).same["postcode"]) == found["same"]["postcode"]["learnt"]
    assert not (home / "link-prior.json").exists()


def test_the_operator_puts_a_draft_in_force_and_may_go_back(node: Callable[..., Path]) -> None:
    """In plain words, with the file to look at and the next step."""
    home = node({SAME: 300, MOVED: 500, WEAK: 100})

    said, used, again = refit(home), refit(home, "--use"), refit(home, "--json")

    assert [0, 0, 0] == [one.returncode for one in (said, used, again)]
    assert "900 pairs" in said.stdout
    assert "link-prior.draft.json" in said.stdout
    assert "linkage refit --use" in said.stdout
    assert "postcode" in said.stdout
    assert "next start" in used.stdout
    found = json.loads(again.stdout)
    assert "learnt" in found["in_force"]["version"]
    assert {(one["from"], one["to"]) for one in found["moves"]} <= {(name, name) for name in TIERS}


def test_too_few_pairs_teach_nothing(node: Callable[..., Path]) -> None:
    """A small agency keeps what ships, and reads how many are wanting."""
    home = node({SAME: NEEDED - 1})

    said, used = refit(home), refit(home, "--use")

    assert 0 == said.returncode
    assert "1 are wanting" in said.stdout
    assert 0 != used.returncode
    assert "no draft" in used.stderr


def test_without_an_index_the_cure_is_said(node: Callable[..., Path]) -> None:
    """How common names are here is part of what is learnt."""
    ran = refit(node({SAME: NEEDED}, indexed=False))

    assert 0 != ran.returncode
    assert "accord-node index" in ran.stderr


def test_every_level_and_every_tier_has_a_name() -> None:
    """An operator reads words, not numbers."""
    assert {field: len(names) for field, names in LEVELS.items()} == dict(FIELDS)
    assert {tier.value for tier in Tier} == set(TIERS)
