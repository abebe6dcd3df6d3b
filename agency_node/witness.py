"""Watch the broker's ledger: countersign only heads that extend the last one seen.

    signed head + proof -> signature -> size and root against the stored head -> store -> commit -> countersign

The stored head is read, compared and replaced inside one writing transaction, so
two heads that contradict each other cannot both be accepted however they arrive
(T-AUD-6). A head that is smaller (an old copy restored, T-AUD-8) or that does not
extend the stored one is refused, and the refusal is an ALARM in this node's own
ledger before anybody is told.

    alone            check
    with a question  read -> demand -> (the question is answered) -> take, in the answer's transaction -> countersign

A head that comes with a question is compared before anything is done about that, and again, and stored, in the
transaction that makes the answer durable: one wait for the disk instead of two.

Take heads in the order in which they came down the stream: the broker sends each with a proof from the one it sent
before.
"""

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hmac import compare_digest
from typing import ClassVar, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Engine, bindparam, insert, select, update

from accord import checkpoint as notes
from accord import merkle
from accord.canonical import Json, sha256
from accord.checkpoint import BadCheckpoint, Checkpoint
from accord.reasons import Problem
from agency_node.ledger import Kind, Record, append
from agency_node.store import reading, writing
from agency_node.store.prepared import Prepared
from agency_node.store.tables import witness_head

_NS: Final = 1_000_000_000
_NEWEST: Final = Prepared(
    lambda _: select(witness_head.c.size, witness_head.c.root, witness_head.c.note).where(
        witness_head.c.origin == bindparam("of_origin")
    )
)
_MOVE: Final = Prepared(
    lambda _: (
        update(witness_head)
        .where(
            witness_head.c.origin == bindparam("of_origin"),
            witness_head.c.size == bindparam("from_size"),
            witness_head.c.root == bindparam("from_root"),
        )
        .values(size=bindparam("to_size"), root=bindparam("to_root"), note=bindparam("to_note"))
    )
)


class HeadInconsistent(Problem):
    """The head does not extend the one seen before: the log may have been rewritten, or shows us another history."""

    reason: ClassVar[str] = "CHECKPOINT_INCONSISTENT"


class HeadOlder(Problem):
    """The head is smaller than one seen before: an old copy may have been restored."""

    reason: ClassVar[str] = "CHECKPOINT_OLDER"


class HeadOutOfStep(Problem):
    """The proof does not start from the head seen before, so it proves nothing here; no sign of a changed log.

    Attributes:
        size: The size from which a proof is needed.
    """

    reason: ClassVar[str] = "CHECKPOINT_OUT_OF_STEP"

    def __init__(self, size: int) -> None:
        """Say from where the proof must start."""
        super().__init__(f"a proof from size {size} is needed")
        self.size = size


@dataclass(frozen=True, slots=True)
class Cosigned:
    """This node's countersignature.

    Attributes:
        line: C2SP cosignature/v1 line, without newline.
        size: Size of the head it is over.
    """

    line: str
    size: int


@dataclass(frozen=True, slots=True)
class Seen:
    """The highest head accepted of one ledger.

    Attributes:
        size: Entries.
        root: 32 bytes.
        note: The signed note as received.
    """

    size: int
    root: bytes
    note: str


@dataclass(frozen=True, slots=True)
class Head:
    """A head that the ledger signed, not yet stored.

    Attributes:
        note: The signed head, as received.
        checkpoint: What it says.
        proof: Consistency proof (RFC 9162 section 2.1.4, https://www.rfc-editor.org/rfc/rfc9162#section-2.1.4), hashes
            of 32 bytes.
        from_size: Size that the proof starts from; 0 for the first head ever.
        at_ns: When it came, nanoseconds since 1970.
        query_id: The question it came with, for the alarm's record.
    """

    note: str
    checkpoint: Checkpoint
    proof: Sequence[bytes]
    from_size: int
    at_ns: int
    query_id: str | None


def read(
    engine: Engine,
    note: str,
    proof: Sequence[bytes],
    from_size: int,
    *,
    origin: str,
    ledger_public: bytes,
    at_ns: int,
    query_id: str | None = None,
    random: Callable[[int], bytes] = os.urandom,
) -> Head:
    """Read a head of another ledger and check its signature.

    Args:
        engine: The node's state.
        note: The signed head, as received.
        proof: As in `Head`.
        from_size: As in `Head`.
        origin: Name of the ledger.
        ledger_public: Its public key from the directory, 32 bytes.
        at_ns: Now, nanoseconds since 1970.
        query_id: The question it came with.
        random: Gives that many random bytes, for the salts of our own ledger.

    Raises:
        BadCheckpoint: Not a head of this ledger, or not signed by it. Alarmed.
        StateUnusable: Our own state failed.
    """
    try:
        offered = notes.open_note(note, origin, ledger_public)
    except BadCheckpoint:
        with writing(engine) as connection:
            fields: dict[str, Json] = {"origin": origin, "note_digest": sha256(note.encode("utf-8", "replace")).hex()}
            append(connection, [_alarm(BadCheckpoint.reason, fields, at_ns, query_id)], random)
        raise
    return Head(note, offered, proof, from_size, at_ns, query_id)


def demand(engine: Engine, head: Head) -> None:
    """Demand that a head extends the stored one, before anything is done about what came with it.

    Raises:
        HeadOlder: As `store`; so are the others.
        HeadInconsistent: As `store`.
        HeadOutOfStep: As `store`.
        StateUnusable: Our own state failed.
    """
    if _compare(seen(engine, head.checkpoint.origin), head) is not None:
        store(engine, head)


def take(connection: Connection, head: Head) -> Sequence[Record]:
    """Compare a head with the stored one and store it, in the caller's writing transaction.

    Returns:
        What to append to our own ledger in this transaction, in front of what rests on the head.

    Raises:
        HeadOlder: Smaller than the stored one. As with the others, the transaction must be undone; then call `store`,
            which alarms it.
        HeadInconsistent: Does not extend the stored one.
        HeadOutOfStep: The proof starts from another size.
    """
    records, problem = _settle(connection, head)
    if problem is not None:
        raise problem
    return records


def store(engine: Engine, head: Head, random: Callable[[int], bytes] = os.urandom) -> None:
    """Store a head in a transaction of its own, or refuse it and raise the alarm.

    Args:
        engine: The node's state.
        head: From `read`.
        random: Gives that many random bytes, for the salts of our own ledger.

    Raises:
        HeadOlder: Smaller than the stored one. Alarmed.
        HeadInconsistent: Does not extend the stored one. Alarmed.
        HeadOutOfStep: The proof starts from another size; ask for one from `size`. Not alarmed.
        StateUnusable: Our own state failed; nothing was stored.
    """
    with writing(engine) as connection:
        records, problem = _settle(connection, head)
        append(connection, records, random)
    # Only now is the comparison, or the alarm, on the disk.
    if problem is not None:
        raise problem


def countersign(head: Head, name: str, private: Ed25519PrivateKey) -> Cosigned:
    """Countersign a head that is durably stored.

    Args:
        head: From `read`, after what stored it was committed.
        name: This witness: "<federation>/<agency>".
        private: The node's witness key.
    """
    return Cosigned(notes.cosign(head.note, name, private, head.at_ns // _NS), head.checkpoint.size)


def check(
    engine: Engine,
    note: str,
    proof: Sequence[bytes],
    from_size: int,
    *,
    origin: str,
    ledger_public: bytes,
    name: str,
    private: Ed25519PrivateKey,
    at_ns: int,
    query_id: str | None = None,
    random: Callable[[int], bytes] = os.urandom,
) -> Cosigned:
    """Countersign a head that came alone, or refuse it and raise the alarm.

    Takes and raises what `read`, `store` and `countersign` do.

    Returns:
        The countersignature. The head is durably stored.
    """
    head = read(
        *(engine, note, proof, from_size),
        origin=origin,
        ledger_public=ledger_public,
        at_ns=at_ns,
        query_id=query_id,
        random=random,
    )
    store(engine, head, random)
    return countersign(head, name, private)


async def same_history(
    engine: Engine,
    note: str,
    prove: Callable[[int, int], Awaitable[Sequence[bytes]]],
    *,
    origin: str,
    ledger_public: bytes,
    at_ns: int,
) -> None:
    """Demand that the head of a receipt and the head that this node countersigned belong to one history.

    Without this a broker could hand out receipts of a ledger that no witness ever sees, and what it recorded there
    would be found by nobody (T-AUD-6). Nothing is stored: heads are accepted in the order of the stream only.

    Args:
        engine: The node's state.
        note: The signed head on which the receipt rests.
        prove: Asks the broker for the consistency proof from one size to a larger one.
        origin: Name of the ledger.
        ledger_public: Its public key from the directory, 32 bytes.
        at_ns: Now, nanoseconds since 1970, for the alarm.

    Raises:
        BadCheckpoint: Not a head of this ledger, or not signed by it.
        HeadInconsistent: The two heads do not lie on one history. Alarmed.
        Remote: The proof could not be had.
    """
    offered = notes.open_note(note, origin, ledger_public)
    stored = seen(engine, origin)
    if stored is None:
        return
    (old, old_root), (new, new_root) = sorted([(stored.size, stored.root), (offered.size, offered.root)])
    one = compare_digest(old_root, new_root) if old == new else False
    if old != new:
        one = merkle.verify_consistency(old, new, old_root, new_root, await prove(old, new))
    if one:
        return
    fields: dict[str, Json] = {"origin": origin, "size": stored.size, "root": stored.root.hex()}
    fields |= {"offered_size": offered.size, "offered_root": offered.root.hex()}
    with writing(engine) as connection:
        append(connection, [_alarm(HeadInconsistent.reason, fields, at_ns, None)])
    raise HeadInconsistent("the receipt rests on another history than the one that was countersigned here")


def newest(connection: Connection, origin: str) -> Seen | None:
    """The highest head accepted of this ledger, or None when none was ever seen."""
    row = _NEWEST.first(connection, of_origin=origin)
    return None if row is None else Seen(*row)


def seen(engine: Engine, origin: str) -> Seen | None:
    """As `newest`, in a transaction of its own: what the node says when it attaches, and tells the steward."""
    with reading(engine, once=True) as connection:
        return newest(connection, origin)


def _settle(connection: Connection, head: Head) -> tuple[Sequence[Record], Problem | None]:
    """Store a head that extends the stored one; what to record of it, and why it was refused."""
    stored, offered = newest(connection, head.checkpoint.origin), head.checkpoint
    problem = _compare(stored, head)
    if problem is None:
        if stored is not None and stored.size == offered.size:
            return [], None
        _replace(connection, stored, offered, head.note)
        fields: dict[str, Json] = {"origin": offered.origin, "size": offered.size, "root": offered.root.hex()}
        return [Record(Kind.COSIGNED, head.at_ns, fields)], None
    if stored is None or isinstance(problem, HeadOutOfStep):
        return [], problem
    fields = {"origin": offered.origin, "size": stored.size, "root": stored.root.hex()}
    fields |= {"offered_size": offered.size, "offered_root": offered.root.hex()}
    return [_alarm(problem.reason, fields, head.at_ns, head.query_id)], problem


def _compare(stored: Seen | None, head: Head) -> Problem | None:
    size, root = (0, merkle.EMPTY_ROOT) if stored is None else (stored.size, stored.root)
    offered = head.checkpoint
    if offered.size < size:
        return HeadOlder(f"size {offered.size} was offered, {size} was seen before")
    if offered.size == size:
        # The same head needs no proof, whatever it came with.
        return None if compare_digest(offered.root, root) else HeadInconsistent(f"two roots of size {size}")
    if head.from_size != size:
        return HeadOutOfStep(size)
    if not merkle.verify_consistency(size, offered.size, root, offered.root, head.proof):
        return HeadInconsistent(f"size {offered.size} does not extend size {size}")
    return None


def _replace(connection: Connection, stored: Seen | None, offered: Checkpoint, note: str) -> None:
    if stored is None:
        row = {"origin": offered.origin, "size": offered.size, "root": offered.root, "note": note}
        connection.execute(insert(witness_head).values(**row))
        return
    # Compare-and-set in the statement too, so that it does not rest on the transaction's lock alone.
    moved = _MOVE.run(
        connection,
        of_origin=offered.origin,
        from_size=stored.size,
        from_root=stored.root,
        to_size=offered.size,
        to_root=offered.root,
        to_note=note,
    )
    if moved != 1:
        raise HeadOutOfStep(stored.size)


def _alarm(reason: str, fields: dict[str, Json], at_ns: int, query_id: str | None) -> Record:
    question: dict[str, Json] = {} if query_id is None else {"query_id": query_id}
    return Record(Kind.ALARM, at_ns, {**fields, **question, "reason": reason})
