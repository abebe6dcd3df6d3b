"""The node as a witness: no ledger may show it two histories, and every refusal is on record first."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from accord import checkpoint as notes
from accord import merkle
from accord.canonical import Json, decode_object, sha256
from accord.checkpoint import BadCheckpoint, Checkpoint
from accord.reasons import REASONS, Problem
from agency_node.ledger import append, entries, verify
from agency_node.store import open_store, reading, writing
from agency_node.witness import (
    Cosigned,
    Head,
    HeadInconsistent,
    HeadOlder,
    HeadOutOfStep,
    check,
    demand,
    read,
    seen,
    store,
    take,
)
from tests.world.node_state import Place

ORIGIN = "midshire/ledger"
NAME = "midshire/police"
BROKER = Ed25519PrivateKey.from_private_bytes(b"b" * 32)
WITNESS = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
AT_NS = 1_795_311_783_678_000_000


@dataclass
class SimulatedBroker:
    """A broker's ledger that a test can fork or put back, with the real key."""

    leaves: list[bytes] = field(default_factory=list)
    origin: str = ORIGIN
    key: Ed25519PrivateKey = BROKER

    def grow(self, count: int, history: str = "true") -> "SimulatedBroker":
        self.leaves += [sha256(history.encode(), bytes([len(self.leaves) + n])) for n in range(count)]
        return self

    def fork(self, size: int) -> "SimulatedBroker":
        return SimulatedBroker(self.leaves[:size], self.origin, self.key)

    def note(self) -> str:
        return notes.sign(Checkpoint(self.origin, len(self.leaves), merkle.root(self.leaves)), self.key)

    def proof(self, from_size: int) -> list[bytes]:
        tiles = merkle.append(0, self.leaves, lambda level, index: b"")
        return merkle.consistency_proof(from_size, len(self.leaves), lambda level, index: tiles[level, index])


def show(store: Engine, broker: SimulatedBroker, from_size: int, proof: list[bytes] | None = None) -> Cosigned:
    return check(
        store,
        broker.note(),
        (broker.proof(from_size) if from_size <= len(broker.leaves) else []) if proof is None else proof,
        from_size,
        origin=ORIGIN,
        ledger_public=BROKER.public_key().public_bytes_raw(),
        name=NAME,
        private=WITNESS,
        at_ns=AT_NS,
        query_id="q1",
    )


def came(engine: Engine, broker: SimulatedBroker, from_size: int) -> Head:
    """A head that came with a question."""
    public = BROKER.public_key().public_bytes_raw()
    told = (broker.note(), broker.proof(from_size), from_size)
    return read(engine, *told, origin=ORIGIN, ledger_public=public, at_ns=AT_NS, query_id="q1")


def recorded(store: Engine) -> list[dict[str, Json]]:
    with reading(store) as connection:
        return [decode_object(entry.body or b"") for entry in entries(connection)]


def alarms(store: Engine) -> list[Json]:
    return [record["reason"] for record in recorded(store) if record["kind"] == "ALARM"]


def test_a_head_that_extends_the_last_one_is_countersigned(store: Engine) -> None:
    """The line is a C2SP cosignature that anybody can check with the witness's public key."""
    broker = SimulatedBroker().grow(3)
    first = show(store, broker, 0)
    broker.grow(4)

    second = show(store, broker, 3)

    public = WITNESS.public_key().public_bytes_raw()
    found = seen(store, ORIGIN)
    assert (3, 7) == (first.size, second.size)
    assert AT_NS // 1_000_000_000 == notes.verify_cosignature(broker.note(), second.line, NAME, public)
    assert found is not None
    assert (7, merkle.root(broker.leaves), broker.note()) == (found.size, found.root, found.note)
    assert [("COSIGNED", 3), ("COSIGNED", 7)] == [(record["kind"], record["size"]) for record in recorded(store)]


def test_the_same_head_again_is_countersigned_without_a_new_entry(store: Engine) -> None:
    """Quiet hours send the same head every minute; whatever proof comes with it is not needed."""
    broker = SimulatedBroker().grow(3)
    first = show(store, broker, 0)
    again = [show(store, broker, 3), show(store, broker, 0), show(store, broker, 2)]

    assert [first, first, first] == again
    assert 1 == len(recorded(store))


def test_a_forked_history_is_refused_and_alarmed(store: Engine) -> None:
    """T-AUD-6: with the real key and a proof that is honest about the fork."""
    broker = SimulatedBroker().grow(10)
    show(store, broker, 0)
    forked = broker.fork(6).grow(9, history="false")

    with pytest.raises(HeadInconsistent):
        show(store, forked, 10)

    record = recorded(store)[-1]
    assert ["CHECKPOINT_INCONSISTENT"] == alarms(store)
    assert ("q1", 10, 15) == (record["query_id"], record["size"], record["offered_size"])
    assert merkle.root(forked.leaves).hex() == record["offered_root"]


def test_another_root_of_the_same_size_is_refused_and_alarmed(store: Engine) -> None:
    """T-AUD-6: two histories of one length."""
    broker = SimulatedBroker().grow(10)
    show(store, broker, 0)

    with pytest.raises(HeadInconsistent):
        show(store, broker.fork(9).grow(1, history="false"), 10)

    assert ["CHECKPOINT_INCONSISTENT"] == alarms(store)


def test_an_old_copy_put_back_is_refused_and_alarmed(store: Engine, place: Place) -> None:
    """T-AUD-8: a true head, but of yesterday; also after the node itself was restarted."""
    broker = SimulatedBroker().grow(10)
    yesterday = broker.fork(7)
    show(store, broker, 0)
    store.dispose()
    again = place.open()

    with pytest.raises(HeadOlder):
        show(again, yesterday, 7)
    with pytest.raises(HeadInconsistent):
        show(again, yesterday.grow(5, history="since the restore"), 10)

    found = seen(again, ORIGIN)
    assert ["CHECKPOINT_OLDER", "CHECKPOINT_INCONSISTENT"] == alarms(again)
    assert found is not None
    assert 10 == found.size
    again.dispose()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.integers(1, 30), at=st.integers(0, 29), more=st.integers(0, 30), mend=st.booleans())
def test_no_fork_is_ever_countersigned(
    tmp_path_factory: pytest.TempPathFactory, size: int, at: int, more: int, mend: bool
) -> None:
    """T-AUD-6: wherever the history parts, however long it grows, whatever proof of its own tree it brings."""
    engine = open_store(tmp_path_factory.mktemp("witness") / "node.db")
    broker = SimulatedBroker().grow(size)
    show(engine, broker, 0)
    forked = broker.fork(min(at, size - 1)).grow(more + 1, history="false")
    proof = forked.proof(min(at, len(forked.leaves))) if mend else None

    with pytest.raises((HeadInconsistent, HeadOlder)):
        show(engine, forked, size, proof)

    found = seen(engine, ORIGIN)
    assert 1 == len(alarms(engine))
    assert found is not None
    assert merkle.root(broker.leaves) == found.root
    engine.dispose()


def test_of_two_histories_shown_at_once_one_is_accepted(store: Engine) -> None:
    """T-AUD-6: the comparison and the storing are one step; reading first and writing later would accept both."""
    broker = SimulatedBroker().grow(5)
    show(store, broker, 0)
    histories = [broker.fork(5).grow(3, history=f"history {n}") for n in range(16)]
    barrier = threading.Barrier(len(histories))

    def attempt(history: SimulatedBroker) -> str:
        barrier.wait()
        try:
            return f"cosigned {show(store, history, 5).size}"
        except Problem as problem:
            return problem.reason

    with ThreadPoolExecutor(len(histories)) as threads:
        outcomes = sorted(threads.map(attempt, histories))

    assert ["CHECKPOINT_INCONSISTENT"] * 15 + ["cosigned 8"] == outcomes
    assert 15 == len(alarms(store))
    assert 17 == verify(store, "midshire/police/ledger", b"").size


@pytest.mark.parametrize("from_size", [0, 4, 6])
def test_a_proof_from_elsewhere_is_refused_without_an_alarm(store: Engine, from_size: int) -> None:
    """A broker that is merely out of step is told from where to prove."""
    broker = SimulatedBroker().grow(5)
    show(store, broker, 0)

    with pytest.raises(HeadOutOfStep) as caught:
        show(store, broker.grow(3), from_size)

    assert (5, []) == (caught.value.size, alarms(store))


FALSE_HEADS = {
    "another key": SimulatedBroker(key=WITNESS).grow(3).note(),
    "another ledger": SimulatedBroker(origin="elsewhere/ledger").grow(3).note(),
    "another size than signed": SimulatedBroker().grow(3).note().replace("\n3\n", "\n4\n"),
    "no signature": "midshire/ledger\n3\n",
    "nothing": "",
    "half a character": "\ud800",
}


@pytest.mark.parametrize("note", FALSE_HEADS.values(), ids=FALSE_HEADS)
def test_what_the_ledger_did_not_sign_is_refused_and_alarmed(store: Engine, note: str) -> None:
    """T-AUD-6: nobody but the ledger speaks for the ledger, and nothing is stored."""
    with pytest.raises(BadCheckpoint):
        check(
            store,
            note,
            [],
            0,
            origin=ORIGIN,
            ledger_public=BROKER.public_key().public_bytes_raw(),
            name=NAME,
            private=WITNESS,
            at_ns=AT_NS,
        )

    assert (["BAD_CHECKPOINT"], None) == (alarms(store), seen(store, ORIGIN))


def test_a_head_is_stored_with_what_rests_on_it_or_not_at_all(place: Place) -> None:
    """T-AUD-2: one transaction makes head and answer durable; what fails in it takes both along."""
    engine = place.open()
    broker = SimulatedBroker().grow(5)
    show(engine, broker, 0)
    head = came(engine, broker.grow(3), 5)
    left = []

    for fails in (True, False):
        with pytest.raises(ZeroDivisionError) if fails else nullcontext(), writing(engine) as connection:
            append(connection, take(connection, head))
            1 / (0 if fails else 1)
        found = seen(engine, ORIGIN)
        left.append((0 if found is None else found.size, len(recorded(engine))))

    assert [(5, 1), (8, 2)] == left
    engine.dispose()


def test_of_two_histories_that_came_with_questions_one_is_accepted(place: Place) -> None:
    """T-AUD-6: both extended the stored head when they came; the second undoes what rests on it, and is alarmed."""
    engine = place.open()
    broker = SimulatedBroker().grow(5)
    show(engine, broker, 0)
    heads = [came(engine, broker.fork(5).grow(3, history), 5) for history in ("one", "other")]
    for head in heads:
        demand(engine, head)
    store(engine, heads[0])

    with pytest.raises(HeadInconsistent), writing(engine) as connection:
        take(connection, heads[1])
    unsaid = alarms(engine)
    with pytest.raises(HeadInconsistent):
        store(engine, heads[1])

    assert ([], ["CHECKPOINT_INCONSISTENT"]) == (unsaid, alarms(engine))
    engine.dispose()


def test_a_head_that_does_not_extend_the_last_one_stops_its_question_at_once(place: Place) -> None:
    """T-AUD-6: nothing is done about a question whose head is wrong, and the alarm is on record before that."""
    engine = place.open()
    broker = SimulatedBroker().grow(5)
    show(engine, broker, 0)

    with pytest.raises(HeadInconsistent):
        demand(engine, came(engine, broker.fork(3).grow(9, history="false"), 5))

    assert ["CHECKPOINT_INCONSISTENT"] == alarms(engine)
    engine.dispose()


def test_every_refusal_has_its_words() -> None:
    """Whoever meets a code finds it in the table."""
    codes = {HeadInconsistent.reason, HeadOlder.reason, HeadOutOfStep.reason}

    assert set() == codes - set(REASONS)
