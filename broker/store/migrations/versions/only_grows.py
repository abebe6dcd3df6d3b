"""Makes every table of the ledger one to which rows are only ever added.

Two things used to be changed in place: the tiles at the right edge of the tree, and the note of a head, which is signed
after its head is durable. The edge gets a table of its own, which can be computed anew from the entries at any time;
a note gets a row of its own. Then an account may write the ledger with INSERT alone.

A server also holds what a file keeps elsewhere: who writes (`tenure`) and what the key server counted (`spent`).
"""

import sqlalchemy as sa
from alembic import op

from broker.store import guards

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_POSITION = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_LEVELS = 8

_GUARDS = {
    "ledger_tile_is_kept": ("DELETE", "ledger_tile", ""),
    "ledger_tile_is_fixed": ("UPDATE", "ledger_tile", ""),
    "ledger_head_is_fixed": ("UPDATE", "ledger_head", ""),
    "ledger_note_is_kept": ("DELETE", "ledger_note", ""),
    "ledger_note_is_fixed": ("UPDATE", "ledger_note", ""),
    "ledger_edge_is_kept": ("DELETE", "ledger_edge", ""),
    "cosignature_is_kept": ("DELETE", "cosignature", ""),
    "cosignature_is_fixed": ("UPDATE", "cosignature", ""),
    "asking_is_fixed": ("UPDATE", "asking", ""),
    "tenure_is_kept": ("DELETE", "tenure", ""),
    "tenure_is_fixed": ("UPDATE", "tenure", ""),
}


def upgrade() -> None:
    """Move the edge and the notes, then fix what is left."""
    guards.take_down("ledger_tile", "ledger_tile_is_kept", "ledger_tile_grows")
    guards.take_down("ledger_head", "ledger_head_is_fixed")
    op.create_table(
        "ledger_edge",
        sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("idx", sa.BigInteger, nullable=False),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
    )
    edge = sa.table("ledger_edge", sa.column("level"), sa.column("idx"), sa.column("hashes", sa.LargeBinary))
    op.bulk_insert(edge, [{"level": level, "idx": 0, "hashes": b""} for level in range(_LEVELS)])
    op.execute(
        "UPDATE ledger_edge SET idx = (SELECT coalesce(max(tile.idx) + 1, 0) FROM ledger_tile AS tile"
        " WHERE tile.level = ledger_edge.level AND length(tile.hashes) = 8192)"
    )
    op.execute(
        "UPDATE ledger_edge SET hashes = (SELECT hashes FROM ledger_tile AS tile"
        " WHERE tile.level = ledger_edge.level AND tile.idx = ledger_edge.idx)"
        " WHERE EXISTS (SELECT 1 FROM ledger_tile AS tile"
        " WHERE tile.level = ledger_edge.level AND tile.idx = ledger_edge.idx)"
    )
    op.execute("DELETE FROM ledger_tile WHERE length(hashes) < 8192")
    op.create_table(
        "ledger_note",
        sa.Column("size", _POSITION, sa.ForeignKey("ledger_head.size"), primary_key=True, autoincrement=False),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.execute("INSERT INTO ledger_note SELECT size, note FROM ledger_head WHERE note IS NOT NULL ORDER BY size")
    op.drop_column("ledger_head", "note")
    op.create_table("tenure", sa.Column("number", _POSITION, primary_key=True, autoincrement=False))
    if _on_server():
        # Hashes do not compress, and a row of the edge is written anew with every group.
        op.execute("ALTER TABLE ledger_edge ALTER hashes SET STORAGE EXTERNAL")
        op.execute("ALTER TABLE ledger_tile ALTER hashes SET STORAGE EXTERNAL")
        op.create_table(
            "spent",
            sa.Column("span", sa.Text, primary_key=True),
            sa.Column("agency", sa.Text, primary_key=True),
            sa.Column("use", sa.Text, primary_key=True),
            sa.Column("family", sa.Text, primary_key=True),
            sa.Column("ends", sa.BigInteger, nullable=False),
            sa.Column("elements", sa.BigInteger, nullable=False),
        )
    guards.put_up(_GUARDS)
    guards.never_emptied(
        "ledger_entry", "ledger_tile", "ledger_edge", "ledger_head", "ledger_note", "cosignature", "question", "asking"
    )
    guards.never_emptied("agreement", "agreement_party", "agreement_tag", "activation", "tenure")


def _on_server() -> bool:
    return op.get_bind().dialect.name == "postgresql"
