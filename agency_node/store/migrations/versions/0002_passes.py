"""An index says which pass found a person, so that a pass need not remember everybody it has seen."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. People indexed before count as found by pass 0, which no pass to come is."""
    op.add_column("index_meta", sa.Column("passes", sa.Integer, nullable=False, server_default="0"))
    op.add_column("index_meta", sa.Column("changed_to", sa.String))
    op.add_column("index_record", sa.Column("seen", sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    """Refuse: a ledger is never taken back."""
    raise RuntimeError("the node's ledger is not removed; restore the file from its copy instead")
