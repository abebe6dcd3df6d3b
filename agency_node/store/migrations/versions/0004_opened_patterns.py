"""Counts of how descriptions and records agreed, from which a node may learn weights of linkage of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "opened_pattern",
        sa.Column("month", sa.String, primary_key=True),
        sa.Column("pattern", sa.String, primary_key=True),
        sa.Column("pairs", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Refuse: a ledger is never taken back."""
    raise RuntimeError("the node's ledger is not removed; restore the database from its copy instead")
