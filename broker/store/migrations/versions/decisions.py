"""Keeps what each decision was made of, and each set of rules that was ever in force.

So every decision can be made again, by the rules of its time or by a draft of others. An input holds codes, dates,
agencies and pseudonyms of staff, and nothing of who was asked about; it can be emptied after retention.
"""

import sqlalchemy as sa
from alembic import op

from broker.store import guards

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_POSITION = sa.BigInteger().with_variant(sa.Integer, "sqlite")

_GUARDS = {
    "policy_bundle_is_kept": ("DELETE", "policy_bundle", ""),
    "policy_bundle_is_fixed": ("UPDATE", "policy_bundle", ""),
    "decision_is_kept": ("DELETE", "decision", ""),
    "decision_is_fixed": (
        "UPDATE",
        "decision",
        """length(NEW.input) = 0 AND NEW."index" = OLD."index" AND NEW.at_ns = OLD.at_ns""",
    ),
}


def upgrade() -> None:
    """Make both tables, to which rows are only ever added."""
    op.create_table(
        "policy_bundle",
        sa.Column("revision", sa.Text, primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "decision",
        sa.Column("index", _POSITION, primary_key=True, autoincrement=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("input", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_decision_at_ns", "decision", ["at_ns"])
    guards.put_up(_GUARDS)
    guards.never_emptied("policy_bundle", "decision")
