"""What the ledger proves to a node beside a stream's heads: a receipt's head, a withdrawal whose signer has gone."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine

from accord import merkle, signing
from accord.canonical import decode_object
from accord.checkpoint import BadCheckpoint, Checkpoint, sign
from accord.v1 import common_pb2, node_pb2
from agency_node import ledger, witness
from agency_node.service import Frames
from agency_node.store import open_store, reading
from agency_node.store.agreements import withdrawn_among
from agency_node.witness import HeadInconsistent
from tests.world import ledger as world
from tests.world.trust import Federation, make_federation

ORIGIN = "midshire/broker"
KEY = Ed25519PrivateKey.generate()
PUBLIC = signing.public_bytes(KEY)
NOW_NS = world.NOW_NS


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open_store(tmp_path / "node.db")
    yield made
    made.dispose()


class Log:
    """A ledger of some entries, with its heads and proofs."""

    def __init__(self, entries: Sequence[bytes]) -> None:
        self.leaves = [merkle.leaf_hash(entry) for entry in entries]
        tiles = merkle.append(0, self.leaves, lambda level, index: b"")
        self.read = lambda level, index: tiles[level, index]

    def note(self, size: int) -> str:
        return sign(Checkpoint(ORIGIN, size, merkle.root(self.leaves[:size])), KEY)

    async def prove(self, old: int, new: int) -> Sequence[bytes]:
        return merkle.consistency_proof(old, new, self.read)


TRUE = Log([b"entry %d" % number for number in range(40)])
FORK = Log([b"entry %d" % number if number < 30 else b"off the record %d" % number for number in range(40)])


def countersign(engine: Engine, size: int) -> None:
    note = TRUE.note(size)
    name = "midshire/police"
    witness.check(engine, note, [], 0, origin=ORIGIN, ledger_public=PUBLIC, name=name, private=KEY, at_ns=1)


def compare(engine: Engine, note: str, log: Log) -> None:
    asyncio.run(witness.same_history(engine, note, log.prove, origin=ORIGIN, ledger_public=PUBLIC, at_ns=NOW_NS))


def alarms(engine: Engine) -> list[object]:
    with reading(engine) as connection:
        bodies = [decode_object(one.body or b"") for one in ledger.entries(connection)]
    return [body["reason"] for body in bodies if body["kind"] == "ALARM"]


@pytest.mark.parametrize("size", [1, 34, 35, 36, 40])
def test_a_receipt_of_the_ledger_that_was_countersigned_is_taken(engine: Engine, size: int) -> None:
    """Whether the node has seen more of it by then, or less."""
    countersign(engine, 35)
    compare(engine, TRUE.note(size), TRUE)

    assert [] == alarms(engine)


@pytest.mark.parametrize("size", [31, 35, 40])
@pytest.mark.parametrize("proofs", [TRUE, FORK], ids=["with the true ledger's proof", "with the fork's proof"])
def test_a_receipt_of_a_ledger_that_no_witness_saw_is_refused(engine: Engine, size: int, proofs: Log) -> None:
    """T-AUD-6: what was recorded there would be found by nobody. Nothing is shown, and the refusal is on record."""
    countersign(engine, 35)
    with pytest.raises(HeadInconsistent):
        compare(engine, FORK.note(size), proofs)

    assert ["CHECKPOINT_INCONSISTENT"] == alarms(engine)


def test_a_receipt_signed_by_somebody_else_is_refused(engine: Engine) -> None:
    """T-AUD-6: whatever its tree."""
    countersign(engine, 35)
    with pytest.raises(BadCheckpoint):
        compare(engine, sign(Checkpoint(ORIGIN, 35, b"r" * 32), Ed25519PrivateKey.generate()), TRUE)


# -- Withdrawals ------------------------------------------------------------------------------------------------------


class SimulatedNode:
    """What a node has for a withdrawal."""

    agency = "police"

    def __init__(self, federation: Federation, engine: Engine) -> None:
        broker = replace(federation.directory.broker, ledger_origin=world.ORIGIN, ledger_key=world.LEDGER_PUBLIC)
        self.listed = replace(federation.directory, broker=broker)
        self.engine = engine
        self.directory = lambda: self.listed


async def withdrawn(path: Path) -> tuple[str, common_pb2.Signed, common_pb2.Receipted]:
    """A withdrawal in a real ledger, signed with a key that the directory does not list any more."""
    books = await world.open_books(path / "broker.db")
    try:
        made = world.agreement()
        await books.agreements.record(world.WORKER, made, world.signed_agreement(made), ())
        taken, signed = world.withdrawal(made.record_id)
        return made.record_id, signed, await books.agreements.withdraw(world.WORKER, taken, signed)
    finally:
        await books.close()


def handle(engine: Engine, signed: common_pb2.Signed, receipted: common_pb2.Receipted) -> list[Any]:
    node: Any = SimulatedNode(make_federation(), engine)
    rules: Any = None
    frames = Frames(node, rules, KEY)
    frame = node_pb2.AgreementWithdrawn(withdrawal=signed, receipted=receipted)
    return list(asyncio.run(frames.handle(node_pb2.AttachResponse(withdrawn=frame))))


def obeyed(engine: Engine, record_id: str) -> bool:
    with reading(engine) as connection:
        return bool(withdrawn_among(connection, [record_id]))


def test_a_withdrawal_outlives_the_key_of_whoever_took_it(engine: Engine, tmp_path: Path) -> None:
    """T-CON-2, T-OPS-3: the ledger holds it. Lost for want of a key, the agreement would seem live again here."""
    record_id, signed, receipted = asyncio.run(withdrawn(tmp_path))
    replies = handle(engine, signed, receipted)

    assert [] == replies
    assert obeyed(engine, record_id)


@pytest.mark.parametrize("part", ["record", "receipt", "both"])
def test_a_withdrawal_without_signer_and_without_proof_is_refused(engine: Engine, tmp_path: Path, part: str) -> None:
    """T-SEC-2: somebody must vouch for it."""
    record_id, signed, receipted = asyncio.run(withdrawn(tmp_path))
    other = asyncio.run(withdrawn(tmp_path))[2]
    forged = common_pb2.Receipted(
        record=receipted.record if part == "receipt" else other.record,
        receipt=receipted.receipt if part == "record" else other.receipt,
    )
    (reply,) = handle(engine, signed, forged)

    assert "BAD_SIGNATURE" == reply.alarm.reason
    assert not obeyed(engine, record_id)
