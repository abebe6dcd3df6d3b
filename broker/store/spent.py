"""What agencies used of their allowances at the key server; see `broker.keyserver`."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from broker.store.prepared import Prepared
from broker.store.tables import SPENT

_OF = Prepared(
    select(SPENT.c.family, SPENT.c.elements).where(
        SPENT.c.span == bindparam("span"), SPENT.c.agency == bindparam("agency"), SPENT.c.use == bindparam("use")
    )
)
_FIRST = Prepared(insert(SPENT))
_MORE = Prepared(
    update(SPENT)
    .where(
        SPENT.c.span == bindparam("of_span"),
        SPENT.c.agency == bindparam("of_agency"),
        SPENT.c.use == bindparam("of_use"),
        SPENT.c.family == bindparam("of_family"),
    )
    .values(elements=SPENT.c.elements + bindparam("more"))
)


def of(connection: Connection, span: str, agency: str, use: str) -> dict[str, int]:
    """Family -> elements that the agency used in a span."""
    return {family: elements for family, elements in _OF.rows(connection, span=span, agency=agency, use=use)}


def add(
    connection: Connection,
    span: str,
    agency: str,
    use: str,
    ends: int,
    wanted: Mapping[str, int],
    used: Mapping[str, int],
) -> None:
    """Count elements by family; `used` is what `of` said in the same transaction."""
    _FIRST.many(
        connection,
        [
            {"span": span, "agency": agency, "use": use, "family": family, "ends": ends, "elements": count}
            for family, count in wanted.items()
            if family not in used
        ],
    )
    _MORE.many(
        connection,
        [
            {"of_span": span, "of_agency": agency, "of_use": use, "of_family": family, "more": count}
            for family, count in wanted.items()
            if family in used
        ],
    )


def forget(connection: Connection, *, before: int) -> None:
    """Forget spans that ended before a day, days since 1970-01-01."""
    connection.execute(delete(SPENT).where(SPENT.c.ends < before))
