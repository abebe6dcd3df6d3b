"""A state that an earlier version wrote is brought up to date with everything that is in it, on both engines."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, insert, text

from accord.canonical import sha256
from agency_node import witness
from agency_node.index import Terms, TokenIndex
from agency_node.keyserver import Head, Span, StoredCounters, StoredHeads
from agency_node.ledger import Kind, Record, append, checkpoint, verify
from agency_node.store import StateUnusable, open_store, prepare_state, reading, writing
from agency_node.store.agreements import Binding, Source, bindings, keep_binding, withdraw, withdrawn_among
from agency_node.store.answers import Given, Stored, keep, mark_restored, recall, warrants_from_ns
from agency_node.store.database import MIGRATIONS, NEWEST, connect, migrate, version
from agency_node.store.in_force import (
    BundleInForce,
    bundle_in_force,
    directory_in_force,
    keep_bundle,
    keep_directory,
)
from agency_node.store.postgresql import open_as_owner, open_database
from agency_node.store.tables import witness_head
from tests.world.database_servers import DatabaseServer
from tests.world.node_state import BOTH
from tests.world.state_servers import StateDatabase, database

ORIGIN = "midshire/police"
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
LATE_NS = 1_795_311_783_678_000_000
"""More than fits into 32 bits, as every time does."""
ENTRIES = 300
"""More than one tile of the tree."""
TERMS = Terms(epoch="2026-1", key_servers="ab" * 32)
GIVEN = Given("warrant-1", "social-care", "q1", sha256(b"statement"), ("agreement-1",), b"a signed answer", LATE_NS)
EARLIER = ("0001", "0002", "0003")
"""Every version but the newest; a test looks whether one is missing."""


@dataclass(frozen=True, slots=True)
class Older:
    """A state of an earlier version.

    Attributes:
        engine: With all rights, as that version's own migrations had.
        bring_up: Does what an operator does after an update, and opens it.
    """

    engine: Engine
    bring_up: Callable[[], Engine]


@pytest.fixture(params=BOTH)
def older(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Older]]:
    """Make an empty state of an earlier version on each engine."""
    made: list[StateDatabase] = []

    def make(revision: str) -> Older:
        if request.param == "sqlite":
            file = tmp_path / "node.db"
            engine = connect(file)
            bring_up = lambda: open_store(file)  # noqa: E731  # the other branch has it as a function too
        else:
            server: DatabaseServer = request.getfixturevalue("state_server")
            made.append(place := database(server, tmp_path, f"older_{revision}"))
            engine = open_as_owner(place.owner_file)

            def bring_up() -> Engine:
                prepare_state(place.owner_file, place.url_file)
                return open_database(place.url_file)

        migrate(engine, revision)
        return Older(engine, bring_up)

    yield make
    for place in made:
        place.server.run(f"DROP DATABASE {place.name} WITH (FORCE)")


def _fill(engine: Engine) -> None:
    with writing(engine) as connection:
        append(connection, [Record(Kind.ANSWERED, LATE_NS, {"query_id": f"q{number}"}) for number in range(ENTRIES)])
        keep(connection, GIVEN)
        mark_restored(connection, LATE_NS)
        withdraw(connection, "agreement-1", LATE_NS, b"signed")
        keep_binding(connection, Binding("agreement-2", Source.DELIVERED, b"opaque", LATE_NS))
        keep_bundle(connection, BundleInForce("r1", b"bundle"), LATE_NS)
        keep_directory(connection, 7, b"directory")
        connection.execute(insert(witness_head).values(origin="midshire/broker", size=9, root=b"r" * 32, note="head"))
        # Written as the first version wrote it: what was added since has to be filled in.
        connection.execute(
            text(
                "INSERT INTO index_meta (id, epoch, normaliser, families, key_servers, state, hash_key, built_at_ns, "
                "watermark, people) VALUES (1, :epoch, :normaliser, :families, :key_servers, 'complete', :key, :at, 1, "
                "1)"
            ),
            {
                "epoch": TERMS.epoch,
                "normaliser": TERMS.normaliser,
                "families": TERMS.families,
                "key_servers": TERMS.key_servers,
                "key": bytes(32),
                "at": LATE_NS,
            },
        )
        row = {"tag": b"t" * 12, "token": b"k" * 64, "hash": bytes(16)}
        record = "INSERT INTO index_record (id, index_id, person_id, entry, row_hash) VALUES (1, 1, 'p1', 0, :hash)"
        connection.execute(text(record), {"hash": row["hash"]})
        token = "INSERT INTO index_token (tag, record_id, family, token) VALUES (:tag, 1, 0, :token)"
        connection.execute(text(token), {"tag": row["tag"], "token": row["token"]})
    checkpoint(engine, ORIGIN, KEY)


def test_every_earlier_version_is_tried() -> None:
    """Whoever adds a migration adds the version before it to EARLIER."""
    versions = {one.revision for one in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}

    assert versions == {*EARLIER, NEWEST}


@pytest.mark.parametrize("revision", EARLIER)
def test_nothing_is_lost_when_an_earlier_state_is_brought_up_to_date(
    older: Callable[[str], Older], revision: str
) -> None:
    """T-OPS-4: every entry, used warrant, withdrawal and person of the index is there, and the ledger goes on."""
    before = older(revision)
    _fill(before.engine)
    public = KEY.public_key().public_bytes_raw()
    root = verify(before.engine, ORIGIN, public).root
    before.engine.dispose()

    engine = before.bring_up()

    found = verify(engine, ORIGIN, public)
    with reading(engine) as connection:
        stored = recall(connection, GIVEN.jti, GIVEN.agency, GIVEN.query_id, GIVEN.statement_digest)
        kept = (
            withdrawn_among(connection, ["agreement-1", "agreement-2"]),
            [one.record_id for one in bindings(connection)],
            bundle_in_force(connection),
            directory_in_force(connection),
            warrants_from_ns(connection),
        )
    seen = witness.seen(engine, "midshire/broker")
    index = TokenIndex(engine)
    with writing(engine) as connection:
        (position,) = append(connection, [Record(Kind.ANSWERED, LATE_NS)])
    again = verify(engine, ORIGIN, public)
    engine.dispose()
    assert (ENTRIES, ENTRIES, root) == (found.size, found.signed_size, found.root)
    assert Stored(GIVEN.answer, frozenset({"agreement-1"})) == stored
    assert (
        frozenset({"agreement-1"}),
        ["agreement-2"],
        BundleInForce("r1", b"bundle"),
        (7, b"directory"),
        LATE_NS,
    ) == kept
    assert seen is not None
    assert 9 == seen.size
    assert index.state(TERMS, now_ns=LATE_NS, fresh_for_s=60).ready
    assert ["p1"] == [hit.person_id for hits in index.candidates([b"t" * 12]).values() for hit in hits]
    assert (ENTRIES, ENTRIES + 1) == (position, again.size)


def test_a_state_that_is_brought_up_to_date_half_way_stays_as_it_was(older: Callable[[str], Older]) -> None:
    """T-OPS-4: a migration that fails leaves what was there, and the next attempt begins anew."""
    before = older("0002")
    with writing(before.engine) as connection:
        # What a later migration makes is in the way.
        connection.execute(text("CREATE TABLE opened_pattern (id integer)"))
    with pytest.raises(StateUnusable, match=r"OperationalError|SQLSTATE 42P07"):
        before.bring_up()
    with reading(before.engine) as connection:
        between = version(connection)
    with writing(before.engine) as connection:
        connection.execute(text("DROP TABLE opened_pattern"))
    before.engine.dispose()

    before.bring_up().dispose()

    assert "0002" == between


_OLD_STEWARD = """
CREATE TABLE spent (span TEXT, agency TEXT, use TEXT, family TEXT, ends INTEGER NOT NULL, elements INTEGER NOT NULL,
  PRIMARY KEY (span, agency, use, family)) WITHOUT ROWID;
CREATE TABLE head (size INTEGER, root BLOB, agency TEXT NOT NULL, note TEXT NOT NULL, PRIMARY KEY (size, root))
  WITHOUT ROWID;
CREATE TABLE newest (agency TEXT PRIMARY KEY, size INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO spent VALUES ('day 1', 'police', 'ask', 'f', 1, 7);
INSERT INTO head VALUES (3, x'61', 'police', 'first'), (3, x'62', 'housing', 'second');
INSERT INTO newest VALUES ('police', 5);
"""


def test_what_an_earlier_steward_counted_and_kept_still_counts(tmp_path: Path) -> None:
    """T-AUD-6, T-LNK-6: evidence of two histories outlives an update, and nothing is given back."""
    with closing(sqlite3.connect(tmp_path / "steward.db")) as connection, connection:
        connection.executescript(_OLD_STEWARD)

    engine = open_store(tmp_path / "steward.db")

    heads, day = StoredHeads(engine), [Span("day 1", 1, {"f": 8})]
    counters = StoredCounters(engine)
    more, least = counters.take(1, "police", "ask", {"f": 2}, day), counters.take(1, "police", "ask", {"f": 1}, day)
    other = heads.report(Head("schools", 3, b"a", "third"))
    newest = heads.newest()
    engine.dispose()
    assert (False, True) == (more, least)
    assert Head("housing", 3, b"b", "second") == other
    assert {"police": 5, "schools": 3} == newest
