"""Triggers that refuse to change what the ledger holds, in the words of the engine at hand; for migrations only.

They are guard-rails against our own mistakes. Whoever owns the file or the tables can drop them, and what proves a
change is the tree (T-AUD-5). Conditions are written in SQL that both engines read alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from alembic import op

REFUSE: Final = """CREATE OR REPLACE FUNCTION accord_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'restrict_violation', MESSAGE = 'refused by ' || TG_NAME;
END $$"""
"""Class 23 is an integrity violation (https://www.postgresql.org/docs/current/errcodes-appendix.html)."""


def put_up(guards: Mapping[str, tuple[str, str, str]]) -> None:
    """Make triggers.

    Args:
        guards: Name -> the event (DELETE or UPDATE), the table, and the condition under which a row may pass; "" when
            none may.
    """
    for name, (what, table, passes) in guards.items():
        when = f" WHEN (NOT ({passes}))" if passes else ""
        if _on_server():
            op.execute(f"CREATE TRIGGER {name} BEFORE {what} ON {table} FOR EACH ROW{when} {_REFUSED}")
        else:
            refused = f"BEGIN SELECT RAISE(ABORT, 'refused by {name}'); END"
            op.execute(f"CREATE TRIGGER {name} BEFORE {what} ON {table}{when} {refused}")


def never_emptied(*tables: str) -> None:
    """Refuse TRUNCATE, which passes by triggers on rows; SQLite has no such statement."""
    if _on_server():
        for table in tables:
            op.execute(f"CREATE TRIGGER {table}_is_not_emptied BEFORE TRUNCATE ON {table} {_REFUSED}")


def take_down(table: str, *names: str) -> None:
    """Drop triggers of a table."""
    for name in names:
        op.execute(f"DROP TRIGGER {name} ON {table}" if _on_server() else f"DROP TRIGGER {name}")


def prepare() -> None:
    """Make what the triggers of a server call."""
    if _on_server():
        op.execute(REFUSE)


_REFUSED: Final = "EXECUTE FUNCTION accord_refuse()"


def _on_server() -> bool:
    return op.get_bind().dialect.name == "postgresql"
