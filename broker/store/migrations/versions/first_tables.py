"""The first tables, and triggers that stop mistakes.

The triggers refuse to delete or change what the ledger holds; see `broker.store.guards`.
"""

import sqlalchemy as sa
from alembic import op

from broker.store import guards

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_POSITION = sa.BigInteger().with_variant(sa.Integer, "sqlite")

_GUARDS = {
    "ledger_entry_is_kept": ("DELETE", "ledger_entry", ""),
    "ledger_tile_is_kept": ("DELETE", "ledger_tile", ""),
    "ledger_head_is_kept": ("DELETE", "ledger_head", ""),
    "agreement_is_kept": ("DELETE", "agreement", ""),
    "activation_is_kept": ("DELETE", "activation", ""),
    "activation_is_fixed": ("UPDATE", "activation", ""),
    # Erasure empties salt and body together and leaves everything else.
    "ledger_entry_is_fixed": (
        "UPDATE",
        "ledger_entry",
        """length(NEW.salt) = 0 AND length(NEW.body) = 0 AND NEW."index" = OLD."index" AND NEW.entry = OLD.entry
        AND NEW.kind = OLD.kind AND NEW.at = OLD.at AND NEW.query_id IS NOT DISTINCT FROM OLD.query_id""",
    ),
    # A tile only grows.
    "ledger_tile_grows": (
        "UPDATE",
        "ledger_tile",
        """NEW.level = OLD.level AND NEW.idx = OLD.idx AND length(NEW.hashes) >= length(OLD.hashes)
        AND substr(NEW.hashes, 1, length(OLD.hashes)) = OLD.hashes""",
    ),
    # The signed note is filled in once.
    "ledger_head_is_fixed": (
        "UPDATE",
        "ledger_head",
        """NEW.size = OLD.size AND NEW.root = OLD.root
        AND (OLD.note IS NULL OR NEW.note IS NOT DISTINCT FROM OLD.note)""",
    ),
    # A question is opened once and closed once.
    "question_closes_once": (
        "UPDATE",
        "question",
        """OLD.state = 'open' AND NEW.state = 'closed' AND NEW.query_id = OLD.query_id
        AND NEW.statement_digest = OLD.statement_digest AND NEW."user" = OLD."user" AND NEW.agency = OLD.agency""",
    ),
    # A withdrawn agreement stays withdrawn.
    "agreement_stays_withdrawn": (
        "UPDATE",
        "agreement",
        "OLD.withdrawn_index IS NULL OR NEW.withdrawn_index IS NOT DISTINCT FROM OLD.withdrawn_index",
    ),
}


def upgrade() -> None:
    """Make every table, index and trigger."""
    op.create_table(
        "ledger_entry",
        sa.Column("index", _POSITION, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("query_id", sa.Text),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("entry", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_ledger_entry_query_id", "ledger_entry", ["query_id"])
    op.create_table(
        "ledger_tile",
        sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("idx", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ledger_head",
        sa.Column("size", _POSITION, primary_key=True, autoincrement=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("note", sa.Text),
    )
    op.create_table(
        "cosignature",
        sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("witness", sa.Text, primary_key=True),
        sa.Column("line", sa.Text, nullable=False),
        sa.Column("time_s", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "question",
        sa.Column("query_id", sa.Text, primary_key=True),
        sa.Column("agency", sa.Text, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("statement_digest", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("agreements", sa.Text, nullable=False),
        sa.Column("asked_index", sa.BigInteger, nullable=False),
        sa.Column("closed_index", sa.BigInteger),
        sa.Column("closed_kind", sa.Text),
        sa.Column("response", sa.LargeBinary),
    )
    op.create_index(
        "ix_question_open",
        "question",
        ["state"],
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "asking",
        sa.Column("tag", sa.LargeBinary, primary_key=True),
        sa.Column("query_id", sa.Text, primary_key=True),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("new_today", sa.Boolean, nullable=False),
    )
    op.create_index("ix_asking_user_day", "asking", ["user", "day"])
    op.create_table(
        "agreement",
        sa.Column("record_id", sa.Text, primary_key=True),
        sa.Column("agency", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("valid_from_ns", sa.BigInteger, nullable=False),
        sa.Column("valid_to_ns", sa.BigInteger),
        sa.Column("given_index", sa.BigInteger, nullable=False),
        sa.Column("withdrawn_index", sa.BigInteger),
        sa.Column("withdrawn_at_ns", sa.BigInteger),
        sa.Column("withdrawal", sa.LargeBinary),
        sa.Column("withdrawal_signature", sa.LargeBinary),
        sa.Column("withdrawal_key_id", sa.Text),
    )
    op.create_index(
        "ix_agreement_withdrawn",
        "agreement",
        ["withdrawn_index"],
        sqlite_where=sa.text("withdrawn_index IS NOT NULL"),
        postgresql_where=sa.text("withdrawn_index IS NOT NULL"),
    )
    op.create_table(
        "agreement_party",
        sa.Column("record_id", sa.Text, sa.ForeignKey("agreement.record_id"), primary_key=True),
        sa.Column("agency", sa.Text, primary_key=True),
    )
    op.create_table(
        "agreement_tag",
        sa.Column("tag", sa.LargeBinary, primary_key=True),
        sa.Column("record_id", sa.Text, sa.ForeignKey("agreement.record_id"), primary_key=True),
    )
    op.create_index("ix_agreement_tag_record_id", "agreement_tag", ["record_id"])
    op.create_table(
        "agreement_delivery",
        sa.Column("agency", sa.Text, primary_key=True),
        sa.Column("record_id", sa.Text, sa.ForeignKey("agreement.record_id"), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("delivered", sa.Boolean, nullable=False),
    )
    op.create_table(
        "activation",
        sa.Column("index", _POSITION, primary_key=True, autoincrement=False),
        sa.Column("revision", sa.Text, nullable=False),
        sa.Column("catalogue", sa.Text, nullable=False),
    )
    guards.prepare()
    guards.put_up(_GUARDS)
