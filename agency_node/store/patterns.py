"""How descriptions and records agreed that were compared here: counts, for learning weights of linkage.

A row is a month, a pattern of agreement and a number. It names no person, no question and no day: beside the ledger,
which has the time of every question, a day's counts at a small agency would tell how a known question agreed.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, Executable, bindparam, delete, select

from agency_node.store.database import upsert
from agency_node.store.prepared import Prepared
from agency_node.store.tables import opened_pattern

KEPT_MONTHS: Final = 24
"""How long counts are kept: who asks, and how records are kept, changes over the years."""


def _adding(connection: Connection) -> Executable:
    statement = upsert(connection, opened_pattern)
    more = opened_pattern.c.pairs + statement.excluded.pairs
    return statement.on_conflict_do_update(index_elements=["month", "pattern"], set_={"pairs": more})


# SQLAlchemy would take longer to see that it has compiled this INSERT before than the rest of the transaction takes.
_ADD: Final = Prepared(_adding)
_FORGET: Final = Prepared(lambda _: delete(opened_pattern).where(opened_pattern.c.month < bindparam("before")))


def count(connection: Connection, pairs: Mapping[str, int], month: str) -> None:
    """Add to this month's counts, in the transaction of the answer, and forget those of too long ago.

    Args:
        connection: A writing transaction.
        pairs: Pattern -> how many pairs had it.
        month: As 2026-11.
    """
    if not pairs:
        return
    for pattern, number in sorted(pairs.items()):
        _ADD.run(connection, month=month, pattern=pattern, pairs=number)
    _FORGET.run(connection, before=_earlier(month, KEPT_MONTHS))


def counted(connection: Connection) -> tuple[Mapping[str, int], tuple[str, ...]]:
    """Pattern -> how many pairs had it, over all months that are kept, and these months, in order."""
    rows = connection.execute(select(opened_pattern)).all()
    pairs: Counter[str] = Counter()
    for row in rows:
        pairs[row.pattern] += row.pairs
    return pairs, tuple(sorted({row.month for row in rows}))


def _earlier(month: str, months: int) -> str:
    number = int(month[:4]) * 12 + int(month[5:]) - 1 - months
    return f"{number // 12:04}-{number % 12 + 1:02}"
