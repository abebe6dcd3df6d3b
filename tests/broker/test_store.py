"""The broker's database: opened by one process, durable, and guarded against mistakes."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, bindparam, delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from accord.reasons import REASONS
from broker import store as stores
from broker.store import Place, Store, StoreUnusable, open_for_reading, open_store, tree
from broker.store.prepared import Prepared
from broker.store.tables import (
    DECISION,
    LEDGER_EDGE,
    LEDGER_ENTRY,
    LEDGER_HEAD,
    LEDGER_NOTE,
    LEDGER_TILE,
    METADATA,
    POLICY_BUNDLE,
)


@pytest.fixture
def store(place: Place):
    """An open store on either engine."""
    opened = open_store(place)
    yield opened
    opened.close()


@pytest.fixture
def file(tmp_path: Path):
    """An open store on a file."""
    opened = open_store(tmp_path / "broker.db")
    yield opened
    opened.close()


def entry_row(index: int) -> dict[str, object]:
    return {
        "index": index,
        "kind": "ASKED",
        "query_id": None,
        "at": "2026-11-22T10:00:00.000Z",
        "salt": b"s" * 16,
        "body": b"{}",
        "entry": b"\x01" + b"e" * 32,
    }


def change(store: Store, *statements: object) -> None:
    assert store.writer is not None
    with store.writer.begin() as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]  # any statement


def test_every_commit_waits_for_the_disk(file: Store) -> None:
    """T-AUD-2: write-ahead log with synchronous=FULL, as SQLite itself reports it on the writing connection."""
    assert file.writer is not None
    with file.writer.connect() as connection:
        found = [connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous")]

    assert ["wal", 2] == found


def test_readers_cannot_write(store: Store) -> None:
    """Whoever is not the sequencer gets connections that SQLite itself keeps from writing."""
    with store.reader.connect() as connection, pytest.raises(DBAPIError, match=r"read-?only"):
        connection.execute(insert(LEDGER_ENTRY), entry_row(0))


def test_the_file_is_readable_by_its_owner_only(file: Store) -> None:
    """The database holds the stored answers of open cases."""
    assert 0o600 == stat.S_IMODE(Path(file.name).stat().st_mode)


def test_the_migrations_make_exactly_the_tables_that_the_code_uses(store: Store) -> None:
    """T-OPS-4: a column that the code expects and no migration makes would fail at the first question."""
    assert store.writer is not None
    with store.writer.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), METADATA)

    beside = {"alembic_version", "spent"}

    assert [] == [one for one in differences if one[0] != "remove_table" or one[1].name not in beside]


def test_a_file_at_the_newest_migration_is_left_alone(store: Store) -> None:
    """Whoever adds a migration names it in NEWEST, or no file would ever have it."""
    scripts = ScriptDirectory(str(stores.MIGRATIONS))
    with store.reader.connect() as connection:
        here = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()

    assert stores.NEWEST == scripts.get_current_head() == here


def test_a_second_broker_on_the_same_file_stops_with_a_plain_sentence(file: Store) -> None:
    """T-AUD-4: two writers could sign two histories."""
    program = (
        "import sys, pathlib, broker.store as s\n"
        "try: s.open_store(pathlib.Path(sys.argv[1]))\n"
        "except s.StoreUnusable as problem: print(problem)"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", program, file.name],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
        check=True,
    )

    assert f"another broker is running on {file.name}; stop it first\n" == done.stdout


def test_the_lock_is_let_go_when_the_store_is_closed(tmp_path: Path) -> None:
    """A restart in place must not need anyone to remove a lock file."""
    open_store(tmp_path / "broker.db").close()
    again = open_store(tmp_path / "broker.db")
    again.close()

    assert (tmp_path / "broker.db.lock").exists()


def test_a_file_that_is_no_database_is_refused_and_the_lock_let_go(tmp_path: Path) -> None:
    """A wrong path in the settings must not overwrite somebody's file."""
    path = tmp_path / "notes.txt"
    path.write_bytes(b"not a database at all" * 100)
    for _ in range(2):
        with pytest.raises(StoreUnusable):
            open_store(path)

    assert path.read_bytes().startswith(b"not a database")
    assert StoreUnusable.reason in REASONS


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """The operator must see which path is wrong."""
    with pytest.raises(StoreUnusable, match="nowhere"):
        open_store(tmp_path / "nowhere" / "broker.db")


def test_verifying_needs_an_existing_file(tmp_path: Path) -> None:
    """A verifier that made an empty database would find it perfectly in order."""
    with pytest.raises(StoreUnusable):
        open_for_reading(tmp_path / "broker.db")


@pytest.mark.parametrize(
    "mistake",
    [
        delete(LEDGER_ENTRY),
        update(LEDGER_ENTRY).values(body=b'{"kind":"RELEASED"}'),
        update(LEDGER_ENTRY).values(salt=b""),
        update(LEDGER_ENTRY).values(body=b"", salt=b"", kind="NOTHING"),
        delete(LEDGER_TILE),
        update(LEDGER_TILE).values(hashes=b"x" * 32),
        update(LEDGER_TILE).values(hashes=b""),
        delete(LEDGER_HEAD),
        update(LEDGER_HEAD).values(root=b"x" * 32),
        delete(LEDGER_NOTE),
        update(LEDGER_NOTE).values(note="another"),
        delete(LEDGER_EDGE),
        insert(LEDGER_ENTRY).values(entry_row(0)),
        delete(DECISION),
        update(DECISION).values(input=b"{}"),
        delete(POLICY_BUNDLE),
        update(POLICY_BUNDLE).values(data=b"other rules"),
    ],
)
def test_a_mistake_that_would_change_history_is_refused(file: Store, mistake: object) -> None:
    """Guard-rails against our own bugs: what is in the ledger is neither changed nor deleted."""
    change(
        file,
        insert(LEDGER_ENTRY).values(entry_row(0)),
        insert(LEDGER_TILE).values(level=0, idx=0, hashes=b"h" * 32 * 256),
        insert(LEDGER_HEAD).values(size=1, root=b"r" * 32),
        insert(LEDGER_NOTE).values(size=1, note="signed"),
        insert(DECISION).values(index=0, at_ns=1, input=b'{"entrypoint":"query"}'),
        insert(POLICY_BUNDLE).values(revision="a" * 64, data=b"signed"),
    )

    with pytest.raises(IntegrityError):
        change(file, mistake)


def test_erasing_salt_and_body_together_is_allowed(file: Store) -> None:
    """T-AUD-10: after retention, salt and body go and the tree's own entry stays; an input goes too."""
    change(file, insert(LEDGER_ENTRY).values(entry_row(0)), insert(DECISION).values(index=0, at_ns=1, input=b"{}"))
    change(file, update(LEDGER_ENTRY).values(salt=b"", body=b""), update(DECISION).values(input=b""))
    with file.reader.connect() as connection:
        left = tree.entries(connection, 0, 1)[0]

    assert (b"", b"", b"\x01" + b"e" * 32) == (left.salt, left.body, left.entry)


def test_error_texts_leave_out_what_was_bound(store: Store) -> None:
    """T-PRV-1: an SQL error that reaches a log must not carry a body."""
    change(store, insert(LEDGER_ENTRY).values(entry_row(0)))
    canary = entry_row(0) | {"body": b"canary-5f1c"}
    with pytest.raises(IntegrityError) as caught:
        change(store, insert(LEDGER_ENTRY).values(canary))

    assert "canary" not in str(caught.value)


def test_a_prepared_statement_fails_as_any_other_and_says_no_more(store: Store) -> None:
    """T-PRV-1: the fast way to the driver raises SQLAlchemy's errors, and leaves out what was bound too."""
    adding = Prepared(insert(LEDGER_ENTRY))
    assert store.writer is not None
    with store.writer.begin() as connection:
        adding.many(connection, [entry_row(0), entry_row(1)])
    row = entry_row(0) | {"body": b"canary-5f1c"}
    with store.writer.begin() as connection, pytest.raises(IntegrityError) as once:
        adding.run(connection, **row)
    with store.writer.begin() as connection, pytest.raises(IntegrityError) as several:
        adding.many(connection, [row])

    assert "canary" not in f"{once.value} {several.value}"


def test_a_prepared_statement_reads_what_the_plain_one_reads(store: Store) -> None:
    """The two ways to the same row agree, literal values in the statement included."""
    wanted = select(LEDGER_ENTRY).where(LEDGER_ENTRY.c.index == bindparam("index"), LEDGER_ENTRY.c.kind == "ASKED")
    change(store, insert(LEDGER_ENTRY).values(entry_row(3)))
    with store.reader.connect() as connection:
        plain = tuple(connection.execute(wanted, {"index": 3}).one())
        fast = Prepared(wanted)

        assert (plain, [plain], None) == (
            fast.first(connection, index=3),
            fast.rows(connection, index=3),
            fast.first(connection, index=4),
        )


def test_no_column_could_hold_who_a_person_is() -> None:
    """T-LNK-1: the tables have no place for names, dates of birth, addresses or national numbers."""
    words = {word for table in METADATA.tables.values() for column in table.columns for word in column.name.split("_")}
    forbidden = {"name", "first", "last", "dob", "birth", "address", "postcode", "nhs", "street", "phone", "email"}

    assert set() == words & forbidden


def test_a_tile_that_is_too_short_for_a_later_tree_is_read_again() -> None:
    """A cache that served yesterday's short tile would make proofs fail for a tree that is in order."""
    cache = tree.TileCache()
    cache.put({(0, 0): b"a" * 32})
    loaded: list[tuple[int, int]] = []

    def load(level: int, idx: int) -> bytes:
        loaded.append((level, idx))
        return b"a" * 32 + b"b" * 32

    first = cache.at(1, load)(0, 0)
    second = cache.at(2, load)(0, 0)

    assert (b"a" * 32, b"a" * 32 + b"b" * 32, [(0, 0)]) == (first, second, loaded)


def test_the_cache_keeps_no_more_tiles_than_it_was_told_to() -> None:
    """Memory stays flat however large the ledger grows."""
    cache = tree.TileCache(limit=2)
    loaded: list[tuple[int, int]] = []

    def load(level: int, idx: int) -> bytes:
        loaded.append((level, idx))
        return b"h" * 32 * 256

    read = cache.at(10**6, load)
    for idx in (0, 1, 2, 2, 0):
        read(0, idx)

    assert [(0, 0), (0, 1), (0, 2), (0, 0)] == loaded


def test_nothing_is_counted_in_an_empty_ledger(store: Store) -> None:
    """A fresh broker has no head and no entry."""
    with store.reader.connect() as connection:
        found = (tree.head(connection), tree.count(connection), _rows(connection))

    assert (None, 0, 0) == found


def _rows(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(LEDGER_ENTRY)).scalar_one())
