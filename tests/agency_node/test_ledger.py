"""The node's own ledger: what is appended stays provable, and any change is found."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from accord import checkpoint as notes
from accord import merkle
from accord.canonical import decode_object
from accord.checkpoint import BadCheckpoint, Checkpoint
from agency_node.ledger import Asked, BadLedger, Kind, Record, append, asked, checkpoint, entries, erase, head, verify
from agency_node.store import StateUnusable, reading, writing
from tests.world.node_state import Place

ORIGIN = "midshire/police/ledger"
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = KEY.public_key().public_bytes_raw()
AT_NS = 1_795_311_783_678_000_000


def record(number: int, kind: Kind = Kind.ANSWERED) -> Record:
    return Record(kind, AT_NS, {"query_id": f"q{number}"})


def add(store: Engine, *records: Record) -> tuple[int, ...]:
    with writing(store) as connection:
        return append(connection, records)


def test_records_are_canonical_json_with_a_salt_of_their_own(store: Engine) -> None:
    """T-AUD-10: two equal records must not give equal leaves, or one could be guessed from the other."""
    positions = add(store, record(1), record(1))

    with reading(store) as connection:
        first, second = entries(connection)
    assert (0, 1) == positions
    assert first.body is not None
    assert first.salt is not None
    assert {"v": 1, "kind": "ANSWERED", "at": "2026-11-22T01:43:03.678Z", "query_id": "q1"} == decode_object(first.body)
    assert merkle.entry(first.salt, first.body) == first.entry
    assert first.entry != second.entry


def test_an_undeclared_field_stops_the_record(store: Engine) -> None:
    """T-PRV-1: a name that slips into a record is a bug, found where it is made."""
    with pytest.raises(ValueError, match="last_name"):
        add(store, Record(Kind.ANSWERED, AT_NS, {"last_name": "Thorley"}))

    with reading(store) as connection:
        assert (0, merkle.EMPTY_ROOT) == head(connection)


def test_a_rolled_back_transaction_leaves_no_trace_in_the_tree(store: Engine) -> None:
    """T-AUD-4: an entry that was not committed must not be under any root."""
    add(store, record(1))

    def killed() -> None:
        with writing(store) as connection:
            append(connection, [record(2)])
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        killed()
    add(store, record(3))

    found = verify(store, ORIGIN, PUBLIC)

    with reading(store) as connection:
        kinds = [decode_object(entry.body or b"")["query_id"] for entry in entries(connection)]
    assert (2, ["q1", "q3"]) == (found.size, kinds)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.integers(0, 300), min_size=1, max_size=4))
def test_any_run_of_batches_gives_the_tree_of_its_entries(store: Engine, batches: list[int]) -> None:
    """T-AUD-4: tiles grown batch by batch equal the tree built at once, over tile boundaries too."""
    for batch in batches:
        with writing(store) as connection:
            size, _ = head(connection)
            append(connection, [record(size + n) for n in range(batch)])
        earlier = checkpoint(store, ORIGIN, KEY)

    found = verify(store, ORIGIN, PUBLIC)

    assert notes.open_note(earlier, ORIGIN, PUBLIC) == Checkpoint(ORIGIN, found.size, found.root)


def test_the_checkpoint_is_signed_once_for_each_size(store: Engine) -> None:
    """T-AUD-4: what was signed stays a part of the ledger."""
    empty = checkpoint(store, ORIGIN, KEY)
    add(store, record(1))
    first = checkpoint(store, ORIGIN, KEY)
    again = checkpoint(store, ORIGIN, KEY)
    add(store, record(2))

    found = verify(store, ORIGIN, PUBLIC)

    assert 0 == notes.open_note(empty, ORIGIN, PUBLIC).size
    assert first == again
    assert (2, 1) == (found.size, found.signed_size)


def test_erased_records_leave_every_proof_whole(store: Engine, place: Place) -> None:
    """T-AUD-10: retention ends, the tree stays."""
    add(store, *(record(n) for n in range(5)))
    before = checkpoint(store, ORIGIN, KEY)
    owner = place.open_to_erase()
    with writing(owner) as connection:
        gone = erase(connection, [1, 3, 3, 99])
        again = erase(connection, [1])
    owner.dispose()

    found = verify(store, ORIGIN, PUBLIC)

    with reading(store) as connection:
        left = [entry.index for entry in entries(connection) if entry.body is not None]
        by_question = entries(connection, query_id="q1")
    assert (2, 0, 2) == (gone, again, found.erased)
    assert before == checkpoint(store, ORIGIN, KEY)
    assert ([0, 2, 4], ()) == (left, by_question)


def test_an_entry_is_found_by_its_question(store: Engine) -> None:
    """What the console and `reconcile` ask for."""
    add(store, record(1, Kind.RECEIVED), record(2, Kind.RECEIVED), record(1, Kind.ANSWERED))

    with reading(store) as connection:
        found = [(entry.index, entry.kind) for entry in entries(connection, query_id="q1")]

    assert [(0, "RECEIVED"), (2, "ANSWERED")] == found


CHANGES = {
    "a body": "UPDATE node_entry SET body = (SELECT body FROM node_entry WHERE idx = 1) WHERE idx = 2",
    "a short salt": "UPDATE node_entry SET salt = zeroblob(1) WHERE idx = 2",
    "a salt": "UPDATE node_entry SET salt = zeroblob(16) WHERE idx = 2",
    "an entry": "UPDATE node_entry SET entry = (SELECT entry FROM node_entry WHERE idx = 0) WHERE idx = 2",
    "an erased entry": "UPDATE node_entry SET salt = NULL, body = NULL, entry = zeroblob(33) WHERE idx = 2",
    "half an erasure": "UPDATE node_entry SET salt = NULL WHERE idx = 2",
    "an entry in the middle": "DELETE FROM node_entry WHERE idx = 2",
    "the last entry": "DELETE FROM node_entry WHERE idx = 4",
    "a tile": "UPDATE node_tile SET hashes = zeroblob(length(hashes))",
    "a tile too many": "INSERT INTO node_tile VALUES (3, 9, zeroblob(32))",
    "the root": "UPDATE node_head SET root = zeroblob(32)",
    "the size": "UPDATE node_head SET size = 4",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_behind_its_back_is_found(store: Engine, place: Place, change: str) -> None:
    """T-AUD-5: no trigger is asked, as somebody with the file or the server could have it."""
    add(store, *(record(n) for n in range(5)))
    checkpoint(store, ORIGIN, KEY)
    verify(store, ORIGIN, PUBLIC)
    place.change(change)

    with pytest.raises(BadLedger):
        verify(store, ORIGIN, PUBLIC)


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_a_record_made_text_behind_its_back_is_found(store: Engine, place: Place) -> None:
    """T-AUD-5: SQLite keeps what it is given, whatever the column is said to hold."""
    add(store, *(record(n) for n in range(5)))
    place.change("UPDATE node_entry SET body = CAST(body AS TEXT) WHERE idx = 2")

    with pytest.raises(BadLedger):
        verify(store, ORIGIN, PUBLIC)


def test_a_ledger_rebuilt_over_changed_records_contradicts_its_signed_head(store: Engine, place: Place) -> None:
    """T-AUD-5: everything is made to fit again except the signature."""
    add(store, *(record(n) for n in range(5)))
    note = checkpoint(store, ORIGIN, KEY)
    place.change("DELETE FROM node_tile", "DELETE FROM node_head", "DELETE FROM node_entry")
    with writing(store) as connection:
        append(connection, [record(n + 1) for n in range(5)])
        connection.execute(text("UPDATE node_head SET note = :note"), {"note": note})

    with pytest.raises(BadLedger, match="signed checkpoint"):
        verify(store, ORIGIN, PUBLIC)


def test_a_checkpoint_by_another_key_is_refused(store: Engine) -> None:
    """T-AUD-5: the signature is checked, not only the numbers."""
    add(store, record(1))
    checkpoint(store, ORIGIN, Ed25519PrivateKey.from_private_bytes(b"x" * 32))

    with pytest.raises(BadCheckpoint):
        verify(store, ORIGIN, PUBLIC)


@pytest.mark.parametrize("statement", ["DELETE FROM node_entry", "UPDATE node_entry SET kind = 'ALARM'"])
def test_this_program_cannot_change_an_entry_by_mistake(place: Place, store: Engine, statement: str) -> None:
    """A mistake stops at the trigger, with whatever account it is made; evidence is the tree."""
    add(store, record(1))
    owner = place.open_to_erase()

    with pytest.raises(StateUnusable, match="ledger entries are not"), writing(owner) as connection:
        connection.execute(text(statement))
    owner.dispose()


def test_a_root_that_was_changed_stops_the_next_entry(store: Engine, place: Place) -> None:
    """A damaged tree must not grow on, or the damage would be signed."""
    add(store, *(record(n) for n in range(3)))
    place.change("UPDATE node_tile SET hashes = zeroblob(1)")

    with pytest.raises(merkle.TilesDamaged):
        add(store, record(4))


def test_what_was_asked_is_listed_the_newest_first_and_without_the_erased(store: Engine, place: Place) -> None:
    """Who answers reads who asked, what and why (S15); about whom is in no ledger."""
    told = {"role": "practitioner", "question": "agency.contact", "purpose": "early_help", "urgency": "routine"}
    received = [
        Record(Kind.RECEIVED, number * 1_000_000_000, {"query_id": f"q{number}", "agency": name, **told})
        for number, name in enumerate(("police", "housing", "schools"))
    ]
    add(store, received[0], record(1), received[1], record(2), received[2])
    owner = place.open_to_erase()
    with writing(owner) as connection:
        erase(connection, [2])
    owner.dispose()
    with reading(store) as connection:
        everything, one = asked(connection, 10), asked(connection, 1)

    assert ["schools", "police"] == [row.agency for row in everything]
    assert (Asked(at="1970-01-01T00:00:02.000Z", agency="schools", **told),) == one
