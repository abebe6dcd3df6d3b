"""The tables of the state file, as `migrations/` leaves them (a test compares the two)."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

METADATA: Final = MetaData()
LARGE: Final = BigInteger().with_variant(Integer, "sqlite")
"""Positions and nanoseconds: 64 bits. SQLite gives so many to every INTEGER, and numbers rows of no other type."""

node_entry: Final = Table(
    "node_entry",
    METADATA,
    Column("idx", LARGE, primary_key=True, autoincrement=False, comment="position in the tree, from 0"),
    Column("entry", LargeBinary, nullable=False, comment="0x01 and the salted digest; survives erasure"),
    Column("salt", LargeBinary, comment="16 random bytes; null once erased"),
    Column("body", LargeBinary, comment="canonical JSON; null once erased"),
    Column("kind", String, nullable=False),
    Column("query_id", String, comment="for finding the record; null once erased"),
    Index("node_entry_query_id", "query_id"),
)
"""The node's own ledger, append-only by trigger; only salt, body and query_id may turn to null."""

node_tile: Final = Table(
    "node_tile",
    METADATA,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("idx", LARGE, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False, comment="at most 256 hashes of 32 bytes"),
)
"""The tree over `node_entry` (C2SP tlog-tiles)."""

node_head: Final = Table(
    "node_head",
    METADATA,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("size", LARGE, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", String, comment="newest signed checkpoint; may be of a smaller size"),
)
"""One row: how far the node's tree reaches."""

answered: Final = Table(
    "answered",
    METADATA,
    Column("jti", String, primary_key=True, comment="number of the warrant"),
    Column("agency", String, nullable=False, comment="the asking agency"),
    Column("query_id", String, nullable=False),
    Column("statement_digest", LargeBinary, nullable=False, comment="32 bytes"),
    Column("agreements", String, nullable=False, comment="canonical JSON array of agreement numbers"),
    Column("answer", LargeBinary, nullable=False, comment="the signed answer, byte for byte"),
    Column("expires_at_ns", LARGE, nullable=False),
    UniqueConstraint("agency", "query_id"),
    Index("answered_expires_at_ns", "expires_at_ns"),
)
"""Answers that may have to be repeated, until their warrant can no longer be valid."""

restored: Final = Table(
    "restored",
    METADATA,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("at_ns", LARGE, nullable=False),
)
"""One row, when this file was last put back from a copy: older warrants may have been used since the copy was made."""

witness_head: Final = Table(
    "witness_head",
    METADATA,
    Column("origin", String, primary_key=True),
    Column("size", LARGE, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", String, nullable=False),
)
"""The highest head of each ledger that this node has accepted."""

withdrawn: Final = Table(
    "withdrawn",
    METADATA,
    Column("record_id", String, primary_key=True, comment="number of the agreement"),
    Column("at_ns", LARGE, nullable=False),
    Column("evidence", LargeBinary, nullable=False, comment="the signed withdrawal as received"),
)
"""Agreements that the family has withdrawn. Rows are never removed."""

agreement_binding: Final = Table(
    "agreement_binding",
    METADATA,
    Column("record_id", String, primary_key=True),
    Column("source", String, CheckConstraint("source in ('captured', 'delivered')"), nullable=False),
    Column("binding", LargeBinary, nullable=False, comment="opaque here; sealed or signed by those who made it"),
    Column("at_ns", LARGE, nullable=False),
)
"""What this agency needs in order to ask or answer under an agreement."""

policy_bundle: Final = Table(
    "policy_bundle",
    METADATA,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("revision", String, nullable=False),
    Column("bundle", LargeBinary, nullable=False),
    Column("at_ns", LARGE, nullable=False),
)
"""One row: the signed bundle in force."""

directory: Final = Table(
    "directory",
    METADATA,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("file", LargeBinary, nullable=False),
)
"""One row: the newest federation directory accepted, so that an older one is refused after a restart too."""

index_meta: Final = Table(
    "index_meta",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("epoch", String, nullable=False),
    Column("normaliser", String, nullable=False, comment="digest of the normaliser, hexadecimal"),
    Column("families", String, nullable=False, comment="digest of the family set, hexadecimal"),
    Column("key_servers", String, nullable=False, comment="digest of both key servers' public keys, hexadecimal"),
    Column("state", String, CheckConstraint("state in ('building', 'complete')"), nullable=False),
    Column("hash_key", LargeBinary, nullable=False, comment="32 bytes; keys the hashes of rows and of values"),
    Column("built_at_ns", LARGE, comment="when the records of the newest full pass were begun to be read"),
    Column("watermark", Integer, nullable=False, comment="rows read by the pass under way, or by the last one"),
    Column("people", Integer, nullable=False, comment="people indexed by the newest full pass"),
    Column("statistics", String, comment="what scoring needs, as JSON"),
    Column("passes", Integer, nullable=False, server_default="0", comment="full passes begun so far"),
    Column("changed_to", String, comment="newest time of change among the records read; null when they tell none"),
    UniqueConstraint("epoch", "normaliser", "families", "key_servers"),
)
"""One row for each index: two while the linkage keys are being changed."""

index_record: Final = Table(
    "index_record",
    METADATA,
    Column("id", LARGE, primary_key=True),
    Column("index_id", Integer, ForeignKey("index_meta.id", ondelete="CASCADE"), nullable=False),
    Column("person_id", String, nullable=False, comment="the agency's own record number"),
    Column("entry", Integer, nullable=False, comment="0 for the record as it stands; more for earlier names"),
    Column("row_hash", LargeBinary, nullable=False, comment="16 bytes, keyed"),
    Column("seen", Integer, nullable=False, server_default="0", comment="the newest pass that found the person"),
    UniqueConstraint("index_id", "person_id", "entry"),
)
"""One row for each indexed description; the description itself is not kept."""

index_token: Final = Table(
    "index_token",
    METADATA,
    Column("tag", LargeBinary, primary_key=True, comment="12 bytes"),
    Column("record_id", LARGE, ForeignKey("index_record.id", ondelete="CASCADE"), primary_key=True),
    Column("family", Integer, nullable=False, comment="position in accord.identity.FAMILIES"),
    Column("token", LargeBinary, nullable=False, comment="64 bytes"),
    Index("index_token_record_id", "record_id"),
    sqlite_with_rowid=False,
)
"""Tags under which an envelope for this node can name the record, with the tokens that open it."""

spent: Final = Table(
    "spent",
    METADATA,
    Column("span", String, primary_key=True, comment="a day, or a year and the linkage epoch"),
    Column("agency", String, primary_key=True),
    Column("use", String, primary_key=True, comment="ask, index or subject"),
    Column("family", String, primary_key=True),
    Column("ends", Integer, nullable=False, comment="last day of the span, days since 1970"),
    Column("elements", LARGE, nullable=False, comment="evaluated so far, padding included"),
    sqlite_with_rowid=False,
)
"""At the steward: what each agency used of its allowances."""

reported_head: Final = Table(
    "reported_head",
    METADATA,
    Column("size", LARGE, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, primary_key=True),
    Column("agency", String, nullable=False, comment="who brought it first"),
    Column("note", String, nullable=False, comment="the signed head, the evidence"),
    sqlite_with_rowid=False,
)
"""At the steward: heads of the broker's ledger as agencies reported them."""

reported_newest: Final = Table(
    "reported_newest",
    METADATA,
    Column("agency", String, primary_key=True),
    Column("size", LARGE, nullable=False),
    sqlite_with_rowid=False,
)
"""At the steward: size of the largest head that each agency has reported."""

opened_pattern: Final = Table(
    "opened_pattern",
    METADATA,
    Column("month", String, primary_key=True, comment="of the answers, as 2026-11; no day"),
    Column("pattern", String, primary_key=True, comment="levels of agreement by field, - where a side lacks it"),
    Column("pairs", LARGE, nullable=False, comment="how many descriptions and records agreed so"),
    sqlite_with_rowid=False,
)
"""Counts of how descriptions agreed with records that they were compared with. About whom is not kept."""
