"""The broker's tables: the ledger, the questions it has open, and agreements without identity.

    ledger_entry   one row a record: salt, canonical body, and the tree's own entry bytes
    ledger_tile    full tiles of the Merkle tree, 256 hashes wide (https://c2sp.org/tlog-tiles)
    ledger_edge    the tile at the right edge of each level, not full yet; could be computed anew from the entries
    ledger_head    one row a committed group: size and root
    ledger_note    the signed note of a head, once there is one
    cosignature    what each witness signed
    question       one row a query id: who asked, whether it is closed, what was given back
    asking         which keyed subject tags a question touched, for budgets
    agreement      what a family agreed to, its state now; agreement_tag finds it again
    activation     which policy revision is in force from which position
    policy_bundle  each revision that was ever in force, as it was signed
    decision       what each decision was made of, so that it can be made again
    tenure         on a server: how often a broker took over the right to write
    spent          on a server: what agencies used of their allowances at the key server

* No row holds a name, a date of birth, an address or a national number: only keyed tags, pseudonyms of staff,
  codes, digests and sealed bytes (T-LNK-1).
* Salt and body of an entry can be emptied after retention; `entry` stays, so every proof still holds (T-AUD-10). So can
  what a decision was made of.
* The ledger's tables only grow: an account that may INSERT and SELECT can write them. What changes is state and edge.
* Positions (`index`) order everything. No clock reading is ever compared to decide what came first (T-OPS-2).

Types are those that SQLite and PostgreSQL share. Triggers that refuse edits are made by the migrations: they stop
mistakes, they are not evidence. The tree is the evidence.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text, text

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

LEDGER_ENTRY = Table(
    "ledger_entry",
    METADATA,
    Column("index", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("query_id", Text),
    Column("at", Text, nullable=False),  # RFC 3339, as in the body
    Column("salt", LargeBinary, nullable=False),  # 16 bytes; empty once erased
    Column("body", LargeBinary, nullable=False),  # canonical JSON; empty once erased
    Column("entry", LargeBinary, nullable=False),  # 33 bytes: 0x01 and a SHA-256; never erased
    Index(None, "query_id"),
)

LEDGER_TILE = Table(
    "ledger_tile",
    METADATA,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),  # 256 hashes of 32 bytes, in order
    sqlite_with_rowid=False,
)

LEDGER_EDGE = Table(
    "ledger_edge",
    METADATA,
    Column("level", Integer, primary_key=True, autoincrement=False),  # 0 to 7; all rows are there from the start
    Column("idx", BigInteger, nullable=False),
    Column("hashes", LargeBinary, nullable=False),  # 0 to 255 hashes of 32 bytes, in order
)

LEDGER_HEAD = Table(
    "ledger_head",
    METADATA,
    Column("size", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
)

LEDGER_NOTE = Table(
    "ledger_note",
    METADATA,
    Column(
        "size",
        BigInteger().with_variant(Integer, "sqlite"),
        ForeignKey("ledger_head.size"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("note", Text, nullable=False),  # written with the group after the one that it signs
)

COSIGNATURE = Table(
    "cosignature",
    METADATA,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("witness", Text, primary_key=True),
    Column("line", Text, nullable=False),
    Column("time_s", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

QUESTION = Table(
    "question",
    METADATA,
    Column("query_id", Text, primary_key=True),
    Column("agency", Text, nullable=False),
    Column("user", Text, nullable=False),  # hex pseudonym of the member of staff
    Column("statement_digest", LargeBinary, nullable=False),  # 32 bytes
    Column("state", Text, nullable=False),  # open | closed
    Column("agreements", Text, nullable=False),  # JSON list of record ids that the permit rests on
    Column("asked_index", BigInteger, nullable=False),
    Column("closed_index", BigInteger),
    Column("closed_kind", Text),  # RELEASED, REFUSED or ABANDONED
    Column("response", LargeBinary),  # what the asker was given, ready to give again
    Index("ix_question_open", "state", sqlite_where=text("state = 'open'"), postgresql_where=text("state = 'open'")),
)

ASKING = Table(
    "asking",
    METADATA,
    Column("tag", LargeBinary, primary_key=True),  # 16 bytes, keyed
    Column("query_id", Text, primary_key=True),
    Column("user", Text, nullable=False),
    Column("day", Integer, nullable=False),  # whole days since 1970-01-01 UTC
    Column("new_today", Boolean, nullable=False),  # one row a subject is true: the user's first asking that day
    Index(None, "user", "day"),
)

AGREEMENT = Table(
    "agreement",
    METADATA,
    Column("record_id", Text, primary_key=True),
    Column("agency", Text, nullable=False),  # where it was captured
    Column("body", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("state", Text, nullable=False),  # an event state of ISO/IEC TS 27560
    Column("valid_from_ns", BigInteger, nullable=False),
    Column("valid_to_ns", BigInteger),
    Column("given_index", BigInteger, nullable=False),
    Column("withdrawn_index", BigInteger),
    Column("withdrawn_at_ns", BigInteger),
    Column("withdrawal", LargeBinary),
    Column("withdrawal_signature", LargeBinary),
    Column("withdrawal_key_id", Text),
    Index(
        "ix_agreement_withdrawn",
        "withdrawn_index",
        sqlite_where=text("withdrawn_index IS NOT NULL"),
        postgresql_where=text("withdrawn_index IS NOT NULL"),
    ),
)

AGREEMENT_PARTY = Table(
    "agreement_party",
    METADATA,
    Column("record_id", Text, ForeignKey("agreement.record_id"), primary_key=True),
    Column("agency", Text, primary_key=True),  # captured it, may ask under it, or may answer under it
)

AGREEMENT_TAG = Table(
    "agreement_tag",
    METADATA,
    Column("tag", LargeBinary, primary_key=True),  # 16 bytes, keyed
    Column("record_id", Text, ForeignKey("agreement.record_id"), primary_key=True),
    Index(None, "record_id"),
)

AGREEMENT_DELIVERY = Table(
    "agreement_delivery",
    METADATA,
    Column("agency", Text, primary_key=True),
    Column("record_id", Text, ForeignKey("agreement.record_id"), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("delivered", Boolean, nullable=False),
)

ACTIVATION = Table(
    "activation",
    METADATA,
    Column("index", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("revision", Text, nullable=False),
    Column("catalogue", Text, nullable=False),  # hex SHA-256
)

POLICY_BUNDLE = Table(
    "policy_bundle",
    METADATA,
    Column("revision", Text, primary_key=True),
    Column("data", LargeBinary, nullable=False),  # the signed archive
)

DECISION = Table(
    "decision",
    METADATA,
    # Position of the record that says what was decided; the SHA-256 of the input stands there too.
    Column("index", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at_ns", BigInteger, nullable=False),  # the question's one clock reading
    Column("input", LargeBinary, nullable=False),  # canonical JSON; empty once erased
    Index(None, "at_ns"),
)

TENURE = Table(
    "tenure",
    METADATA,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
)

COUNTS = MetaData()
"""Tables of the key server's allowances; beside a SQLite file they are in a file of their own."""

SPENT = Table(
    "spent",
    COUNTS,
    Column("span", Text, primary_key=True),
    Column("agency", Text, primary_key=True),
    Column("use", Text, primary_key=True),
    Column("family", Text, primary_key=True),
    Column("ends", BigInteger, nullable=False),  # last day of the span, days since 1970-01-01
    Column("elements", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
