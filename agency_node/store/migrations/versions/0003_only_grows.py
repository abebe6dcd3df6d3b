"""The tree over the ledger only grows, and what the steward counts and keeps stands in tables of this kind too.

Before, the steward made two of its tables by itself; they are taken over with what is in them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_LARGE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_SHRINKS = {
    "node_tile": "NEW.level {other} OLD.level OR NEW.idx {other} OLD.idx"
    " OR substr(NEW.hashes, 1, length(OLD.hashes)) {other} OLD.hashes",
    "node_head": "NEW.size < OLD.size",
}


def upgrade() -> None:
    """Put the guards up, and make or take over the steward's tables."""
    for table, shrinks in _SHRINKS.items():
        for statement in _guards(table, shrinks, on_server=op.get_bind().dialect.name == "postgresql"):
            op.execute(statement)
    op.create_table(
        "spent",
        sa.Column("span", sa.String, primary_key=True),
        sa.Column("agency", sa.String, primary_key=True),
        sa.Column("use", sa.String, primary_key=True),
        sa.Column("family", sa.String, primary_key=True),
        sa.Column("ends", sa.Integer, nullable=False),
        sa.Column("elements", _LARGE, nullable=False),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    there = set(sa.inspect(op.get_bind()).get_table_names())
    if "head" in there:
        op.rename_table("head", "reported_head")
    else:
        op.create_table(
            "reported_head",
            sa.Column("size", _LARGE, primary_key=True, autoincrement=False),
            sa.Column("root", sa.LargeBinary, primary_key=True),
            sa.Column("agency", sa.String, nullable=False),
            sa.Column("note", sa.String, nullable=False),
            sqlite_with_rowid=False,
        )
    if "newest" in there:
        op.rename_table("newest", "reported_newest")
    else:
        op.create_table(
            "reported_newest",
            sa.Column("agency", sa.String, primary_key=True),
            sa.Column("size", _LARGE, nullable=False),
            sqlite_with_rowid=False,
        )


def downgrade() -> None:
    """Refuse: a ledger is never taken back."""
    raise RuntimeError("the node's ledger is not removed; restore the database from its copy instead")


def _guards(table: str, shrinks: str, *, on_server: bool) -> tuple[str, str]:
    words = "'the tree over the ledger only grows'"
    if on_server:
        refuse = f"EXECUTE FUNCTION accord_refuse({words})"
        return (
            f"CREATE TRIGGER {table}_stays BEFORE DELETE OR TRUNCATE ON {table} {refuse}",
            f"CREATE TRIGGER {table}_only_grows BEFORE UPDATE ON {table} FOR EACH ROW"
            f" WHEN ({shrinks.format(other='IS DISTINCT FROM')}) {refuse}",
        )
    refuse = f"BEGIN SELECT RAISE(ABORT, {words}); END"
    return (
        f"CREATE TRIGGER {table}_stays BEFORE DELETE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_only_grows BEFORE UPDATE ON {table} WHEN {shrinks.format(other='IS NOT')} {refuse}",
    )
