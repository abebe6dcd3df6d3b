"""Withdrawals, and agreements captured here or delivered to us.

A withdrawal is never taken back: a new agreement has a new number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from sqlalchemy import Connection, select

from accord.reasons import Problem
from agency_node.store.database import upsert
from agency_node.store.tables import agreement_binding, withdrawn


class Source(StrEnum):
    """How an agreement came to this agency."""

    CAPTURED = "captured"
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class Binding:
    """What this agency needs in order to ask or answer under an agreement.

    Attributes:
        record_id: Number of the agreement.
        source: Captured here, or delivered through the broker.
        binding: Opaque bytes, as stored.
        at_ns: When it came, nanoseconds since 1970.
    """

    record_id: str
    source: Source
    binding: bytes
    at_ns: int


class AgreementExists(Problem):
    """The agreement's number is taken by another agreement."""

    reason: ClassVar[str] = "AGREEMENT_EXISTS"


def withdraw(connection: Connection, record_id: str, at_ns: int, evidence: bytes) -> bool:
    """Record a withdrawal. The first one stands; repeating it changes nothing.

    Args:
        connection: A writing transaction.
        record_id: Number of the agreement, which need not be known here.
        at_ns: When it was learnt of, nanoseconds since 1970.
        evidence: The signed withdrawal as received.

    Returns:
        True when it was new.
    """
    statement = upsert(connection, withdrawn).values(record_id=record_id, at_ns=at_ns, evidence=evidence)
    made = statement.on_conflict_do_nothing().returning(withdrawn.c.record_id)
    return connection.execute(made).first() is not None


def withdrawn_among(connection: Connection, record_ids: Sequence[str]) -> frozenset[str]:
    """Those of the agreements that were withdrawn."""
    if not record_ids:
        return frozenset()
    found = connection.execute(select(withdrawn.c.record_id).where(withdrawn.c.record_id.in_(record_ids)))
    return frozenset(found.scalars())


def keep_binding(connection: Connection, binding: Binding) -> bool:
    """Store an agreement. Storing the same one again changes nothing.

    Returns:
        True when it was new.

    Raises:
        AgreementExists: The number is taken by other bytes.
    """
    statement = upsert(connection, agreement_binding).values(
        record_id=binding.record_id, source=binding.source.value, binding=binding.binding, at_ns=binding.at_ns
    )
    made = statement.on_conflict_do_nothing().returning(agreement_binding.c.record_id)
    if connection.execute(made).first() is not None:
        return True
    there = binding_of(connection, binding.record_id)
    # The broker also delivers an agreement to the agency that captured it; what was captured stands.
    if there is None or (there.source is binding.source and there.binding != binding.binding):
        raise AgreementExists(f"agreement {binding.record_id} is already here with other content")
    return False


def binding_of(connection: Connection, record_id: str) -> Binding | None:
    """The agreement of this number, or None."""
    row = connection.execute(select(agreement_binding).where(agreement_binding.c.record_id == record_id)).first()
    return None if row is None else Binding(row.record_id, Source(row.source), row.binding, row.at_ns)


def bindings(connection: Connection) -> tuple[Binding, ...]:
    """Every agreement that is here and was not withdrawn, oldest first."""
    rows = connection.execute(
        select(agreement_binding)
        .where(agreement_binding.c.record_id.not_in(select(withdrawn.c.record_id)))
        .order_by(agreement_binding.c.at_ns, agreement_binding.c.record_id)
    )
    return tuple(Binding(row.record_id, Source(row.source), row.binding, row.at_ns) for row in rows)
