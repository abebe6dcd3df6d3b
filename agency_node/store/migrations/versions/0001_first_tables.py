"""The first tables.

What each column is for is said in `agency_node.store.tables`. A step that was released is never edited: the next
change is a further file.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_LARGE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_SQLITE = (
    """
    CREATE TRIGGER node_entry_stays BEFORE DELETE ON node_entry
    BEGIN SELECT RAISE(ABORT, 'ledger entries are not removed'); END
    """,
    """
    CREATE TRIGGER node_entry_only_erased BEFORE UPDATE ON node_entry
    WHEN NEW.idx IS NOT OLD.idx OR NEW.entry IS NOT OLD.entry OR NEW.kind IS NOT OLD.kind
      OR NEW.salt IS NOT NULL OR NEW.body IS NOT NULL OR NEW.query_id IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'ledger entries are not changed'); END
    """,
    """
    CREATE TRIGGER withdrawn_update BEFORE UPDATE ON withdrawn
    BEGIN SELECT RAISE(ABORT, 'withdrawals are not taken back'); END
    """,
    """
    CREATE TRIGGER withdrawn_delete BEFORE DELETE ON withdrawn
    BEGIN SELECT RAISE(ABORT, 'withdrawals are not taken back'); END
    """,
)
_POSTGRESQL = (
    """
    CREATE FUNCTION accord_refuse() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION USING MESSAGE = TG_ARGV[0]; END $$
    """,
    """
    CREATE TRIGGER node_entry_stays BEFORE DELETE OR TRUNCATE ON node_entry
    EXECUTE FUNCTION accord_refuse('ledger entries are not removed')
    """,
    """
    CREATE TRIGGER node_entry_only_erased BEFORE UPDATE ON node_entry FOR EACH ROW
    WHEN (NEW.idx IS DISTINCT FROM OLD.idx OR NEW.entry IS DISTINCT FROM OLD.entry OR NEW.kind IS DISTINCT FROM OLD.kind
      OR NEW.salt IS NOT NULL OR NEW.body IS NOT NULL OR NEW.query_id IS NOT NULL)
    EXECUTE FUNCTION accord_refuse('ledger entries are not changed')
    """,
    """
    CREATE TRIGGER withdrawn_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON withdrawn
    EXECUTE FUNCTION accord_refuse('withdrawals are not taken back')
    """,
)


def upgrade() -> None:
    """Make the tables, and the triggers that stop this program's own mistakes; evidence is the tree, not a trigger."""
    op.create_table(
        "node_entry",
        sa.Column("idx", _LARGE, primary_key=True, autoincrement=False),
        sa.Column("entry", sa.LargeBinary, nullable=False),
        sa.Column("salt", sa.LargeBinary),
        sa.Column("body", sa.LargeBinary),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("query_id", sa.String),
    )
    op.create_index("node_entry_query_id", "node_entry", ["query_id"])
    op.create_table(
        "node_tile",
        sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("idx", _LARGE, primary_key=True, autoincrement=False),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "node_head",
        sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
        sa.Column("size", _LARGE, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("note", sa.String),
    )
    op.create_table(
        "answered",
        sa.Column("jti", sa.String, primary_key=True),
        sa.Column("agency", sa.String, nullable=False),
        sa.Column("query_id", sa.String, nullable=False),
        sa.Column("statement_digest", sa.LargeBinary, nullable=False),
        sa.Column("agreements", sa.String, nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=False),
        sa.Column("expires_at_ns", _LARGE, nullable=False),
        sa.UniqueConstraint("agency", "query_id"),
    )
    op.create_index("answered_expires_at_ns", "answered", ["expires_at_ns"])
    op.create_table(
        "restored",
        sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
        sa.Column("at_ns", _LARGE, nullable=False),
    )
    op.create_table(
        "witness_head",
        sa.Column("origin", sa.String, primary_key=True),
        sa.Column("size", _LARGE, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("note", sa.String, nullable=False),
    )
    op.create_table(
        "withdrawn",
        sa.Column("record_id", sa.String, primary_key=True),
        sa.Column("at_ns", _LARGE, nullable=False),
        sa.Column("evidence", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "agreement_binding",
        sa.Column("record_id", sa.String, primary_key=True),
        sa.Column("source", sa.String, sa.CheckConstraint("source in ('captured', 'delivered')"), nullable=False),
        sa.Column("binding", sa.LargeBinary, nullable=False),
        sa.Column("at_ns", _LARGE, nullable=False),
    )
    op.create_table(
        "policy_bundle",
        sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
        sa.Column("revision", sa.String, nullable=False),
        sa.Column("bundle", sa.LargeBinary, nullable=False),
        sa.Column("at_ns", _LARGE, nullable=False),
    )
    op.create_table(
        "directory",
        sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("file", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "index_meta",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("epoch", sa.String, nullable=False),
        sa.Column("normaliser", sa.String, nullable=False),
        sa.Column("families", sa.String, nullable=False),
        sa.Column("key_servers", sa.String, nullable=False),
        sa.Column("state", sa.String, sa.CheckConstraint("state in ('building', 'complete')"), nullable=False),
        sa.Column("hash_key", sa.LargeBinary, nullable=False),
        sa.Column("built_at_ns", _LARGE),
        sa.Column("watermark", sa.Integer, nullable=False),
        sa.Column("people", sa.Integer, nullable=False),
        sa.Column("statistics", sa.String),
        sa.UniqueConstraint("epoch", "normaliser", "families", "key_servers"),
    )
    op.create_table(
        "index_record",
        sa.Column("id", _LARGE, primary_key=True),
        sa.Column("index_id", sa.Integer, sa.ForeignKey("index_meta.id", ondelete="CASCADE"), nullable=False),
        sa.Column("person_id", sa.String, nullable=False),
        sa.Column("entry", sa.Integer, nullable=False),
        sa.Column("row_hash", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("index_id", "person_id", "entry"),
    )
    op.create_table(
        "index_token",
        sa.Column("tag", sa.LargeBinary, primary_key=True),
        sa.Column("record_id", _LARGE, sa.ForeignKey("index_record.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("family", sa.Integer, nullable=False),
        sa.Column("token", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("index_token_record_id", "index_token", ["record_id"])
    for statement in _POSTGRESQL if op.get_bind().dialect.name == "postgresql" else _SQLITE:
        op.execute(statement)


def downgrade() -> None:
    """Refuse: a ledger is never taken back."""
    raise RuntimeError("the node's ledger is not removed; restore the file from its copy instead")
