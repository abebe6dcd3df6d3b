"""What decisions were made of, and the rules that made them: kept with the ledger, read to make a decision again.

    open_entry, refuse -> keep        in the transaction that records the decision
    activate           -> keep_bundle in the transaction that puts the rules in force
    rehearsal          <- recorded, bundles
    explain            <- bundle

Nothing here says who was asked about (T-PRV-6).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, func, insert, select

from broker.store.prepared import Prepared
from broker.store.tables import DECISION, LEDGER_ENTRY, POLICY_BUNDLE

PAGE: Final = 500
"""Decisions read at once."""

_KEEP = Prepared(insert(DECISION))
_KEEP_BUNDLE = Prepared(insert(POLICY_BUNDLE))
_HAS_BUNDLE = Prepared(select(POLICY_BUNDLE.c.revision).where(POLICY_BUNDLE.c.revision == bindparam("revision")))
_BUNDLES = select(POLICY_BUNDLE.c.revision, POLICY_BUNDLE.c.data)
_BUNDLE = Prepared(select(POLICY_BUNDLE.c.data).where(POLICY_BUNDLE.c.revision == bindparam("revision")))
_WITHIN = (DECISION.c.at_ns >= bindparam("since_ns"), DECISION.c.at_ns < bindparam("until_ns"))
_COUNT = select(func.count()).select_from(DECISION).where(*_WITHIN)
_PAGE = (
    select(DECISION.c.index, DECISION.c.at_ns, DECISION.c.input, LEDGER_ENTRY.c.body)
    .join(LEDGER_ENTRY, LEDGER_ENTRY.c.index == DECISION.c.index)
    .where(*_WITHIN, DECISION.c.index > bindparam("after"))
    .order_by(DECISION.c.index)
    .limit(PAGE)
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A decision as it was recorded.

    Attributes:
        index: Position of the record that says what was decided.
        at_ns: The question's one clock reading, nanoseconds since 1970.
        input: What the rules were given, canonical JSON; empty once erased.
        body: The record, canonical JSON; empty once erased.
    """

    index: int
    at_ns: int
    input: bytes
    body: bytes


def keep(connection: Connection, index: int, at_ns: int, document: bytes) -> None:
    """Keep what a decision was made of, beside its record."""
    _KEEP.run(connection, index=index, at_ns=at_ns, input=document)


def keep_bundle(connection: Connection, revision: str, data: bytes) -> None:
    """Keep a signed bundle, unless it is there already."""
    if not has_bundle(connection, revision):
        _KEEP_BUNDLE.run(connection, revision=revision, data=data)


def has_bundle(connection: Connection, revision: str) -> bool:
    """Whether the rules of this revision are kept."""
    return _HAS_BUNDLE.first(connection, revision=revision) is not None


def bundles(connection: Connection) -> dict[str, bytes]:
    """Every set of rules that was ever in force: revision -> signed archive."""
    return {row.revision: row.data for row in connection.execute(_BUNDLES)}


def count(connection: Connection, since_ns: int, until_ns: int) -> int:
    """How many decisions were made from one moment to another."""
    return int(connection.execute(_COUNT, {"since_ns": since_ns, "until_ns": until_ns}).scalar_one())


def bundle(connection: Connection, revision: str) -> bytes:
    """The signed rules of a revision; empty where they are not kept."""
    row = _BUNDLE.first(connection, revision=revision)
    return b"" if row is None else bytes(row[0])


def recorded(connection: Connection, since_ns: int, until_ns: int) -> Iterator[Recorded]:
    """The decisions from one moment to another, in the order of the ledger."""
    after = -1
    while rows := connection.execute(_PAGE, {"since_ns": since_ns, "until_ns": until_ns, "after": after}).all():
        for row in rows:
            yield Recorded(*row)
        after = rows[-1][0]
