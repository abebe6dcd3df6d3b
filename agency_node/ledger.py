"""This node's own ledger: what it was asked, decided, answered, countersigned and found wrong.

The same format as the broker's: canonical JSON with a random salt beside a Merkle
tree over salted digests (`accord.merkle`), so that an auditor reads both with one
tool and a record can be erased without breaking a proof.

    append (in the caller's transaction) -> commit -> checkpoint (signed) -> shown to others

* `append` takes the caller's connection: the answer's replay row and its entry commit together, or neither does.
* Nothing is signed before it is committed. After a crash the committed tree is signed.
* Records carry no identifier, and only the fields declared here: an undeclared one is a bug.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import ClassVar, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Engine, Executable, bindparam, insert, select, update

from accord import checkpoint as notes
from accord import merkle
from accord.canonical import Json, encode, rfc3339
from accord.checkpoint import Checkpoint
from accord.reasons import Problem
from agency_node.store import reading, upsert, writing
from agency_node.store.prepared import Prepared
from agency_node.store.tables import node_entry, node_head, node_tile

SALT_BYTES: Final = merkle.SALT_BYTES

_HEAD: Final = Prepared(lambda _: select(node_head.c.size, node_head.c.root))
_MOVE: Final = Prepared(
    lambda _: (
        update(node_head)
        .where(node_head.c.size == bindparam("from_size"), node_head.c.root == bindparam("from_root"))
        .values(size=bindparam("to_size"), root=bindparam("to_root"))
    )
)
_ENTRY: Final = Prepared(lambda _: insert(node_entry))
_READ_TILE: Final = Prepared(
    lambda _: select(node_tile.c.hashes).where(
        node_tile.c.level == bindparam("at_level"), node_tile.c.idx == bindparam("at_idx")
    )
)


def _put_tile(connection: Connection) -> Executable:
    tile = upsert(connection, node_tile)
    return tile.on_conflict_do_update(index_elements=["level", "idx"], set_={"hashes": tile.excluded.hashes})


_TILE: Final = Prepared(_put_tile)


class Kind(StrEnum):
    """Every kind of record in a node's ledger."""

    RECEIVED = "RECEIVED"
    LOCAL_DECIDED = "LOCAL_DECIDED"
    ANSWERED = "ANSWERED"
    REFUSED = "REFUSED"
    REPLAYED = "REPLAYED"
    COSIGNED = "COSIGNED"
    ALARM = "ALARM"
    INDEX_BUILT = "INDEX_BUILT"
    MAPPING_CHANGED = "MAPPING_CHANGED"
    WEIGHTS_CHANGED = "WEIGHTS_CHANGED"
    POLICY_ACTIVATED = "POLICY_ACTIVATED"
    DIRECTORY_ACCEPTED = "DIRECTORY_ACCEPTED"
    AGREEMENT_CAPTURED = "AGREEMENT_CAPTURED"
    AGREEMENT_RECEIVED = "AGREEMENT_RECEIVED"
    AGREEMENT_WITHDRAWN = "AGREEMENT_WITHDRAWN"
    ASKED_BY_US = "ASKED_BY_US"
    ANSWER_SHOWN = "ANSWER_SHOWN"
    AUDIT_READ = "AUDIT_READ"
    RESTORED = "RESTORED"
    CLOCK_STEP = "CLOCK_STEP"


FIELDS: Final = frozenset(
    {
        # which question, and who asks
        *("query_id", "request_id", "jti", "agency", "user", "role", "question", "question_version", "purpose"),
        *("gateway", "gateways", "urgency", "targets", "subjects", "statement_digest", "broker_part_digest"),
        # under which rules
        *("policy", "policy_revision", "catalogue", "directory_version", "agreements", "record_id", "mapping"),
        # what was decided and said; never the answer itself, which the asking agency is told
        *("allowed", "codes", "reason", "answer_digest", "signature", "slots", "outcome", "delivery", "receipt_digest"),
        # ledgers and their heads
        *("origin", "size", "root", "offered_size", "offered_root", "note_digest"),
        # the index
        *("epoch", "normaliser", "families", "key_servers", "people", "records", "changed", "removed", "refused"),
        # the weights of linkage
        *("weights", "weights_version"),
        # reading
        *("scope", "count"),
        # the clock: forwards above zero, back below
        "by_ms",
    }
)
"""Every field a record may carry beside v, kind and at."""


class BadLedger(Problem):
    """The node's own ledger does not verify."""

    reason: ClassVar[str] = "BAD_LEDGER"


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that happened.

    Attributes:
        kind: What.
        at_ns: When, nanoseconds since 1970. It tells people the time; only the position in the tree orders records.
        fields: Of FIELDS only; no identifier of a person.
    """

    kind: Kind
    at_ns: int
    fields: Mapping[str, Json] = field(default_factory=dict)

    def body(self) -> bytes:
        """Canonical JSON of the record.

        Raises:
            ValueError: A field is not declared in FIELDS.
        """
        if undeclared := set(self.fields) - FIELDS:
            raise ValueError(f"a ledger record may not carry {', '.join(sorted(undeclared))}")
        return encode({"v": 1, "kind": self.kind.value, "at": rfc3339(self.at_ns), **self.fields})


@dataclass(frozen=True, slots=True)
class Entry:
    """A record as the ledger keeps it.

    Attributes:
        index: Position in the tree, from 0.
        kind: Kind of the record.
        entry: 33 bytes that the tree holds.
        salt: 16 bytes; None once erased.
        body: Canonical JSON; None once erased.
    """

    index: int
    kind: str
    entry: bytes
    salt: bytes | None
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Asked:
    """One question that reached this agency, as its own people read of it. About whom is in no ledger.

    Attributes:
        at: When, RFC 3339.
        agency: Who asked.
        role: In which role.
        question: What.
        purpose: What for.
        urgency: How soon they needed it.
    """

    at: str
    agency: str
    role: str
    question: str
    purpose: str
    urgency: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What a full check of the ledger found in order.

    Attributes:
        size: Entries.
        erased: How many of them no longer have their record.
        root: 32 bytes.
        signed_size: Size of the newest signed checkpoint; 0 when there is none.
    """

    size: int
    erased: int
    root: bytes
    signed_size: int


def append(
    connection: Connection, records: Sequence[Record], random: Callable[[int], bytes] = os.urandom
) -> tuple[int, ...]:
    """Add records to the ledger, inside the caller's writing transaction.

    Args:
        connection: From `agency_node.store.writing`. Nothing here is durable until that transaction commits.
        records: In order.
        random: Gives that many random bytes; one salt a record.

    Returns:
        Their positions in the tree.

    Raises:
        BadLedger: The stored tree and its head do not fit each other.
        TilesDamaged: A tile is missing or too short.
        ValueError: A record carries an undeclared field.
    """
    if not records:
        return ()
    size, root = head(connection)
    bodies = [record.body() for record in records]
    salts = [random(SALT_BYTES) for _ in records]
    entries = [merkle.entry(salt, body) for salt, body in zip(salts, bodies, strict=True)]
    read = _tiles(connection)
    changed = merkle.append(size, [merkle.leaf_hash(entry) for entry in entries], read)
    positions = tuple(range(size, size + len(records)))
    new_root = merkle.tree_root(size + len(records), merkle.overlay(changed, read))
    rows = [
        {"idx": index, "entry": entry, "salt": salt, "body": body, "kind": record.kind.value, "query_id": query_id}
        for index, entry, salt, body, record in zip(positions, entries, salts, bodies, records, strict=True)
        for query_id in [record.fields.get("query_id")]
    ]
    for row in rows:
        _ENTRY.run(connection, **row)
    for (level, index), hashes in changed.items():
        _TILE.run(connection, level=level, idx=index, hashes=hashes)
    new = {"size": size + len(records), "root": new_root}
    if size == 0:
        connection.execute(insert(node_head).values(id=1, **new))
    elif _MOVE.run(connection, from_size=size, from_root=root, to_size=new["size"], to_root=new["root"]) != 1:
        raise BadLedger("the head moved while records were being added")
    return positions


def head(connection: Connection) -> tuple[int, bytes]:
    """Size and root of the tree as this transaction sees it."""
    row = _HEAD.first(connection)
    return (0, merkle.EMPTY_ROOT) if row is None else (row[0], row[1])


def checkpoint(engine: Engine, origin: str, private: Ed25519PrivateKey) -> str:
    """The signed head of the committed tree (C2SP tlog-checkpoint, https://c2sp.org/tlog-checkpoint).

    Args:
        engine: The node's state.
        origin: Name of this ledger.
        private: The node's witness key.

    Returns:
        The note's text; the same text as before when the tree has not grown.
    """
    with reading(engine) as connection:
        size, root = head(connection)
        note: str | None = connection.execute(select(node_head.c.note)).scalar()
    # The read transaction above saw a committed tree, so this signs nothing that a crash could take back. Ed25519 gives
    # the same signature for the same head.
    signed = notes.sign(Checkpoint(origin, size, root), private)
    if size > 0 and signed != note:
        with writing(engine) as connection:
            connection.execute(update(node_head).where(node_head.c.size == size).values(note=signed))
    return signed


def entries(
    connection: Connection, start: int = 0, limit: int = 1000, query_id: str | None = None
) -> tuple[Entry, ...]:
    """Entries from a position onwards.

    Args:
        connection: A transaction on the node's state.
        start: First position wanted.
        limit: Most entries given.
        query_id: Only those of this question.
    """
    wanted = select(node_entry).where(node_entry.c.idx >= start).order_by(node_entry.c.idx).limit(limit)
    if query_id is not None:
        wanted = wanted.where(node_entry.c.query_id == query_id)
    return tuple(Entry(row.idx, row.kind, row.entry, row.salt, row.body) for row in connection.execute(wanted))


def asked(connection: Connection, newest: int) -> tuple[Asked, ...]:
    """The newest questions that reached this agency, the newest first; those whose records were erased are left out.

    Args:
        connection: A transaction on the node's state.
        newest: Most of them given.
    """
    wanted = (
        select(node_entry.c.body)
        .where(node_entry.c.kind == Kind.RECEIVED, node_entry.c.body.is_not(None))
        .order_by(node_entry.c.idx.desc())
        .limit(newest)
    )
    bodies = [json.loads(row.body) for row in connection.execute(wanted)]
    return tuple(Asked(**{one.name: str(body.get(one.name, "")) for one in fields(Asked)}) for body in bodies)


def erase(connection: Connection, indexes: Sequence[int]) -> int:
    """Erase records past their retention. Their places in the tree stay, so every proof still holds (T-AUD-10).

    Returns:
        How many were erased now.
    """
    gone = update(node_entry).where(node_entry.c.idx.in_(indexes), node_entry.c.body.is_not(None))
    return connection.execute(gone.values(salt=None, body=None, query_id=None)).rowcount


def verify(engine: Engine, origin: str, public: bytes) -> Verified:
    """Rebuild the tree from its entries and compare everything that is stored with it.

    Args:
        engine: The node's state.
        origin: Name of this ledger.
        public: 32 bytes: the public half of the key that signs it.

    Raises:
        BadLedger: An entry is missing or does not match its record, a tile, the head or the signed checkpoint differs.
        BadCheckpoint: The stored checkpoint is not signed by this key.
    """
    with reading(engine) as connection:
        size, root = head(connection)
        note: str | None = connection.execute(select(node_head.c.note)).scalar()
        leaves: list[bytes] = []
        erased = 0
        # A server gives them a thousand at a time; it would send the whole ledger at once.
        for row in connection.execute(select(node_entry).order_by(node_entry.c.idx).execution_options(yield_per=1_000)):
            if row.idx != len(leaves):
                raise BadLedger(f"entry {len(leaves)} is missing")
            if row.salt is None or row.body is None:
                if row.salt is not None or row.body is not None:
                    raise BadLedger(f"entry {row.idx} is half erased")
                erased += 1
            elif not _made_of(row.entry, row.salt, row.body):
                raise BadLedger(f"entry {row.idx} does not match its record")
            leaves.append(merkle.leaf_hash(row.entry))
        stored = {(row.level, row.idx): row.hashes for row in connection.execute(select(node_tile))}
    if len(leaves) != size or merkle.root(leaves) != root:
        raise BadLedger("the head does not match the entries")
    if stored != merkle.append(0, leaves, lambda level, index: b""):
        raise BadLedger("a tile does not match the entries")
    signed = Checkpoint(origin, 0, merkle.EMPTY_ROOT) if note is None else notes.open_note(note, origin, public)
    if signed.size > size or merkle.root(leaves[: signed.size]) != signed.root:
        raise BadLedger("the signed checkpoint is not a part of this ledger")
    return Verified(size, erased, root, signed.size)


def _made_of(entry: object, salt: object, body: object) -> bool:
    # SQLite keeps what it is given: whoever changed a value may have left text where bytes were.
    return (
        isinstance(salt, bytes)
        and isinstance(body, bytes)
        and len(salt) == SALT_BYTES
        and merkle.entry(salt, body) == entry
    )


def _tiles(connection: Connection) -> merkle.TileReader:
    def read(level: int, index: int) -> bytes:
        found = _READ_TILE.first(connection, at_level=level, at_idx=index)
        return b"" if found is None else bytes(found[0])

    return read
