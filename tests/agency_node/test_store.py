"""The node's state file: durable, bound to one version, and a warrant is good once."""

import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, func, select, text

from accord.canonical import sha256
from agency_node.store import StateUnusable, counting, database, open_store, reading, writing
from agency_node.store.agreements import (
    AgreementExists,
    Binding,
    Source,
    binding_of,
    bindings,
    keep_binding,
    withdraw,
    withdrawn_among,
)
from agency_node.store.answers import (
    Given,
    QueryIdReused,
    Stored,
    WarrantReplayed,
    forget_expired,
    keep,
    mark_restored,
    recall,
    warrants_from_ns,
)
from agency_node.store.in_force import (
    BundleInForce,
    DirectoryOlder,
    bundle_in_force,
    directory_in_force,
    keep_bundle,
    keep_directory,
)
from agency_node.store.tables import METADATA, answered
from tests.world.node_state import Place

GIVEN = Given(
    jti="warrant-1",
    agency="social-care",
    query_id="019aa000-0000-7000-8000-000000000001",
    statement_digest=sha256(b"statement"),
    agreements=("agreement-1",),
    answer=b"a signed answer",
    expires_at_ns=1_000,
)


SQLITE = pytest.mark.parametrize("place", ["sqlite"], indirect=True)
"""What only a file can have, or what takes long on a server that shows it elsewhere."""


def ask(store: Engine, given: Given) -> Stored | None:
    with writing(store) as connection:
        return keep(connection, given)


def test_the_migrations_make_exactly_the_tables_that_the_code_expects(store: Engine) -> None:
    """A column added to one of the two only is found here, not at an agency."""
    with reading(store) as connection:
        found = compare_metadata(MigrationContext.configure(connection), METADATA)

    # What a column is for is written in the code only; a server could keep that too.
    differences = [
        one for one in found if not (isinstance(one, list) and {"modify_comment"} == {part[0] for part in one})
    ]
    assert [] == differences


@SQLITE
def test_only_the_owner_may_read_the_file(store: Engine, place: Place) -> None:
    """The index is keyed, but it is still a list of who is known."""
    with writing(store) as connection:
        withdraw(connection, "agreement-1", 1, b"")

    assert {0o600} == {stat.S_IMODE(file.stat().st_mode) for file in place.file.parent.iterdir()}


@SQLITE
def test_every_connection_syncs_every_commit(store: Engine) -> None:
    """T-AUD-2: without synchronous=FULL (2) and a write-ahead log, an acknowledged entry can be lost."""
    with writing(store) as connection:
        one = (
            connection.execute(text("PRAGMA synchronous")).scalar(),
            connection.execute(text("PRAGMA journal_mode")).scalar(),
        )
        with reading(store) as second:
            other = (
                second.execute(text("PRAGMA synchronous")).scalar(),
                second.execute(text("PRAGMA journal_mode")).scalar(),
            )

    assert ((2, "wal"), (2, "wal")) == (one, other)


def test_only_counts_do_not_wait_for_the_disk(store: Engine) -> None:
    """T-AUD-2: on one connection, whatever it was used for before; SQLite says 1 for NORMAL and 2 for FULL."""
    sqlite = store.dialect.name == "sqlite"
    ask = text("PRAGMA synchronous" if sqlite else "SHOW synchronous_commit")
    said = []
    for kind in (counting, writing, counting, writing):
        with kind(store) as connection:
            said.append(connection.execute(ask).scalar_one())

    assert ([1, 2] if sqlite else ["off", "on"]) * 2 == said


def test_a_failed_transaction_leaves_nothing(store: Engine) -> None:
    """The replay row and the ledger entry commit together or not at all."""

    def killed() -> None:
        with writing(store) as connection:
            keep(connection, GIVEN)
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        killed()

    with reading(store) as connection:
        assert 0 == connection.execute(select(func.count()).select_from(answered)).scalar()


def test_a_database_at_the_newest_migration_is_left_alone(store: Engine) -> None:
    """Whoever adds a migration names it in NEWEST, or no database would ever have it."""
    scripts = ScriptDirectory(str(database.MIGRATIONS))
    with reading(store) as connection:
        here = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()

    assert database.NEWEST == scripts.get_current_head() == here


def test_a_database_of_a_later_version_is_refused(store: Engine, place: Place) -> None:
    """T-OPS-4: an older program must not write into tables it does not know."""
    store.dispose()
    place.change("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(StateUnusable, match="another version"):
        place.open()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """A wrong path must not be taken over."""
    (tmp_path / "node.db").write_bytes(b"name,date of birth\n" * 100)

    with pytest.raises(StateUnusable, match="the file is no database"):
        open_store(tmp_path / "node.db")


def test_a_path_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    """The message names the path, so that somebody can mend it."""
    with pytest.raises(StateUnusable, match="nowhere"):
        open_store(tmp_path / "nowhere" / "node.db")


def test_a_database_failure_does_not_repeat_the_values(store: Engine) -> None:
    """T-PRV-1: an SQL error carries its parameters; ours must not."""
    with writing(store) as connection:
        withdraw(connection, "agreement-1", 1, b"")

    with pytest.raises(StateUnusable) as caught, writing(store) as connection:
        connection.execute(text("UPDATE withdrawn SET record_id = :value"), {"value": "Thorley"})

    assert "Thorley" not in str(caught.value)


# ---- a warrant is good once -----------------------------------------------------------------------------------------


def test_sixty_four_attempts_at_once_give_one_answer(store: Engine) -> None:
    """T-SEC-1: each attempt carries an answer of its own; all of them must be told the first one that committed."""
    barrier = threading.Barrier(64)

    def attempt(number: int) -> bytes:
        mine = replace(GIVEN, answer=b"answer %d" % number)
        barrier.wait()
        earlier = ask(store, mine)
        return mine.answer if earlier is None else earlier.answer

    with ThreadPoolExecutor(64) as threads:
        told = set(threads.map(attempt, range(64)))

    with reading(store) as connection:
        kept = set(connection.execute(select(answered.c.answer)).scalars())
    assert 1 == len(told)
    assert told == kept


@SQLITE
def test_sixty_four_questions_with_one_warrant_give_one_answer(store: Engine) -> None:
    """T-SEC-1: a warrant cannot be shared out over questions."""
    barrier = threading.Barrier(64)

    def attempt(number: int) -> bool:
        barrier.wait()
        try:
            return ask(store, replace(GIVEN, query_id=f"question {number}")) is None
        except WarrantReplayed:
            return False

    with ThreadPoolExecutor(64) as threads:
        accepted = sum(threads.map(attempt, range(64)))

    assert 1 == accepted


def test_a_used_warrant_stays_used_after_reopening(store: Engine, place: Place) -> None:
    """T-SEC-1: a restart forgets nothing."""
    ask(store, GIVEN)
    store.dispose()
    again = place.open()

    told = ask(again, replace(GIVEN, answer=b"another answer"))
    with pytest.raises(WarrantReplayed):
        ask(again, replace(GIVEN, query_id="another question"))
    with pytest.raises(WarrantReplayed):
        ask(again, replace(GIVEN, agency="housing"))

    again.dispose()
    assert Stored(GIVEN.answer, frozenset()) == told


def test_a_second_warrant_for_the_same_question_gets_the_stored_bytes(store: Engine) -> None:
    """Exactly one look-up for a question, however many warrants it is sent with."""
    ask(store, GIVEN)

    told = ask(store, replace(GIVEN, jti="warrant-2", answer=b"another answer"))

    assert Stored(GIVEN.answer, frozenset()) == told


def test_a_question_number_with_another_statement_is_refused(store: Engine) -> None:
    """Anything but the same statement is refused."""
    ask(store, GIVEN)

    with pytest.raises(QueryIdReused):
        ask(store, replace(GIVEN, jti="warrant-2", statement_digest=sha256(b"another")))


def test_two_agencies_may_choose_the_same_question_number(store: Engine) -> None:
    """One agency must not be able to block another's question by guessing its number."""
    ask(store, GIVEN)

    assert ask(store, replace(GIVEN, jti="warrant-2", agency="housing")) is None


def test_a_stored_answer_says_when_its_agreement_was_withdrawn_since(store: Engine) -> None:
    """T-CON-2: the withdrawal wins over the repetition."""
    ask(store, GIVEN)
    with writing(store) as connection:
        withdraw(connection, "agreement-1", 5, b"signed withdrawal")
        withdraw(connection, "agreement-2", 5, b"signed withdrawal")

    with reading(store) as connection:
        told = recall(connection, GIVEN.jti, GIVEN.agency, GIVEN.query_id, GIVEN.statement_digest)

    assert Stored(GIVEN.answer, frozenset({"agreement-1"})) == told


def test_only_expired_answers_are_forgotten(store: Engine) -> None:
    """An answer is kept as long as its warrant could come again, and no longer."""
    ask(store, GIVEN)
    ask(store, replace(GIVEN, jti="warrant-2", query_id="another", expires_at_ns=1_001))

    with writing(store) as connection:
        removed = forget_expired(connection, 1_001)
        left = list(connection.execute(select(answered.c.jti)).scalars())

    assert (1, ["warrant-2"]) == (removed, left)


def test_a_restored_file_says_from_when_warrants_are_good(store: Engine) -> None:
    """T-SEC-1, after a restore: warrants from before it may have been used since the copy was made."""
    with writing(store) as connection:
        before = warrants_from_ns(connection)
        mark_restored(connection, 77)
        mark_restored(connection, 99)
        after = warrants_from_ns(connection)

    assert (0, 99) == (before, after)


# ---- agreements -----------------------------------------------------------------------------------------------------


def test_a_withdrawal_stands_and_the_first_one_counts(store: Engine) -> None:
    """T-CON-2: it may arrive before the agreement itself, and twice."""
    with writing(store) as connection:
        new = [withdraw(connection, "agreement-1", at, b"signed") for at in (5, 6)]
        found = withdrawn_among(connection, ["agreement-1", "agreement-2"])

    assert ([True, False], frozenset({"agreement-1"})) == (new, found)


@pytest.mark.parametrize("statement", ["DELETE FROM withdrawn", "UPDATE withdrawn SET record_id = 'other'"])
def test_a_withdrawal_cannot_be_taken_back(store: Engine, place: Place, statement: str) -> None:
    """A mistake in this program stops at the trigger, with whatever account it is made."""
    with writing(store) as connection:
        withdraw(connection, "agreement-1", 5, b"signed")
    owner = place.open_to_erase()

    with pytest.raises(StateUnusable, match="not taken back"), writing(owner) as connection:
        connection.execute(text(statement))
    owner.dispose()


def test_a_withdrawn_agreement_is_no_longer_listed(store: Engine) -> None:
    """Staff are offered only agreements that live."""
    kept = [Binding(f"agreement-{n}", Source.CAPTURED, b"opaque", n) for n in (2, 1)]
    with writing(store) as connection:
        for binding in kept:
            keep_binding(connection, binding)
        withdraw(connection, "agreement-1", 5, b"signed")
        listed = bindings(connection)

    assert (kept[0],) == listed


def test_an_agreement_cannot_be_replaced(store: Engine) -> None:
    """T-CON-4: another body under the same number would open the answers for another person."""
    delivered = Binding("agreement-1", Source.DELIVERED, b"opaque", 1)
    with writing(store) as connection:
        keep_binding(connection, delivered)
        keep_binding(connection, delivered)

    with pytest.raises(AgreementExists), writing(store) as connection:
        keep_binding(connection, replace(delivered, binding=b"other"))

    with reading(store) as connection:
        assert delivered == binding_of(connection, "agreement-1")


def test_a_delivery_does_not_replace_what_was_captured_here(store: Engine) -> None:
    """The agency that captured an agreement may be sent it too."""
    captured = Binding("agreement-1", Source.CAPTURED, b"ours", 1)
    with writing(store) as connection:
        keep_binding(connection, captured)
        keep_binding(connection, Binding("agreement-1", Source.DELIVERED, b"sealed", 2))

        assert captured == binding_of(connection, "agreement-1")


# ---- bundle and directory -------------------------------------------------------------------------------------------


def test_the_newest_bundle_is_in_force_after_reopening(store: Engine, place: Place) -> None:
    """T-POL-2: one bundle at a time."""
    with writing(store) as connection:
        keep_bundle(connection, BundleInForce("r1", b"one"), 1)
        keep_bundle(connection, BundleInForce("r2", b"two"), 2)
    store.dispose()
    again = place.open()

    with reading(again) as connection:
        found = bundle_in_force(connection)

    again.dispose()
    assert BundleInForce("r2", b"two") == found


@pytest.mark.parametrize(("version", "file"), [(6, b"older"), (7, b"other")])
def test_an_older_or_different_directory_is_refused(store: Engine, version: int, file: bytes) -> None:
    """T-OPS-3: an older directory could bring a withdrawn key back."""
    with writing(store) as connection:
        keep_directory(connection, 7, b"seven")

    with pytest.raises(DirectoryOlder), writing(store) as connection:
        keep_directory(connection, version, file)

    with reading(store) as connection:
        assert (7, b"seven") == directory_in_force(connection)
