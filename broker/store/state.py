"""Reading and changing the state beside the ledger: questions, agreements, the policy in force.

Statements are made once and bound each time. Whoever changes something does it inside the sequencer's transaction, as
the `write` of a batch.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import BindParameter, Connection, bindparam, delete, func, insert, select, update

from broker.store.prepared import Prepared
from broker.store.tables import (
    ACTIVATION,
    AGREEMENT,
    AGREEMENT_DELIVERY,
    AGREEMENT_PARTY,
    AGREEMENT_TAG,
    ASKING,
    QUESTION,
)

OPEN: Final = "open"
CLOSED: Final = "closed"
DAY_NS: Final = 86_400 * 1_000_000_000

_QUESTION = Prepared(select(QUESTION).where(QUESTION.c.query_id == bindparam("query_id")))
_OPENED = Prepared(
    insert(QUESTION).values(
        {
            name: bindparam(name)
            for name in ("query_id", "agency", "user", "statement_digest", "state", "agreements", "asked_index")
        }
    )
)
_CLOSED = Prepared(
    update(QUESTION)
    .where(QUESTION.c.query_id == bindparam("of_query_id"))
    .values(
        state=CLOSED,
        closed_index=bindparam("at_index"),
        closed_kind=bindparam("as_kind"),
        response=bindparam("with_response"),
    )
)
_STILL_OPEN = select(QUESTION).where(QUESTION.c.state == OPEN).order_by(QUESTION.c.asked_index)
_IN_FORCE = Prepared(select(ACTIVATION).order_by(ACTIVATION.c.index.desc()).limit(1))
_ASKED_ABOUT_TODAY = Prepared(
    select(ASKING.c.day).where(
        ASKING.c.tag == bindparam("tag"), ASKING.c.user == bindparam("user"), ASKING.c.day == bindparam("day")
    )
)
_ASKING = Prepared(insert(ASKING))
_SUBJECTS_TODAY = Prepared(
    select(func.count()).where(ASKING.c.user == bindparam("user"), ASKING.c.day == bindparam("day"), ASKING.c.new_today)
)
_AGREEMENT = Prepared(select(AGREEMENT).where(AGREEMENT.c.record_id == bindparam("record_id")))
_TAGS = Prepared(select(AGREEMENT_TAG.c.tag).where(AGREEMENT_TAG.c.record_id == bindparam("record_id")))
_FOUND = (
    select(AGREEMENT)
    .where(
        AGREEMENT.c.record_id.in_(
            select(AGREEMENT_TAG.c.record_id)
            .join(AGREEMENT_PARTY, AGREEMENT_PARTY.c.record_id == AGREEMENT_TAG.c.record_id)
            .where(AGREEMENT_TAG.c.tag.in_(bindparam("tags", expanding=True)))
            .where(AGREEMENT_PARTY.c.agency == bindparam("agency"))
        )
    )
    .order_by(AGREEMENT.c.given_index.desc())
    .limit(bindparam("most"))
)
_WITHDRAWN = (
    select(AGREEMENT)
    .join(AGREEMENT_PARTY, AGREEMENT_PARTY.c.record_id == AGREEMENT.c.record_id)
    .where(
        AGREEMENT_PARTY.c.agency == bindparam("agency"),
        AGREEMENT.c.withdrawn_index.is_not(None),
        AGREEMENT.c.valid_to_ns > bindparam("now_ns"),
    )
    .order_by(AGREEMENT.c.withdrawn_index)
)
_PENDING = (
    select(AGREEMENT_DELIVERY.c.record_id, AGREEMENT_DELIVERY.c.sealed)
    .join(AGREEMENT, AGREEMENT.c.record_id == AGREEMENT_DELIVERY.c.record_id)
    .where(
        AGREEMENT_DELIVERY.c.agency == bindparam("agency"),
        AGREEMENT_DELIVERY.c.delivered.is_(False),
        AGREEMENT.c.valid_to_ns > bindparam("now_ns"),
    )
    .order_by(AGREEMENT.c.given_index)
)
_PARTIES = select(AGREEMENT_PARTY.c.agency).where(AGREEMENT_PARTY.c.record_id == bindparam("record_id"))
_WITHDRAW = (
    update(AGREEMENT)
    .where(AGREEMENT.c.record_id == bindparam("of_record_id"))
    .values(
        state=bindparam("to_state"),
        withdrawn_index=bindparam("at_index"),
        withdrawn_at_ns=bindparam("at_ns"),
        withdrawal=bindparam("signed"),
        withdrawal_signature=bindparam("with_signature"),
        withdrawal_key_id=bindparam("with_key_id"),
    )
)
_DELIVERED = (
    update(AGREEMENT_DELIVERY)
    .where(
        AGREEMENT_DELIVERY.c.agency == bindparam("to_agency"), AGREEMENT_DELIVERY.c.record_id == bindparam("of_record")
    )
    .values(delivered=True, sealed=b"")
)
_EXPIRED = delete(AGREEMENT_DELIVERY).where(
    AGREEMENT_DELIVERY.c.record_id.in_(
        select(AGREEMENT.c.record_id).where(AGREEMENT.c.valid_to_ns <= bindparam("now_ns"))
    )
)


@dataclass(frozen=True, slots=True)
class StoredQuestion:
    """One row of `question`; see there."""

    query_id: str
    agency: str
    user: str
    statement_digest: bytes
    state: str
    agreements: tuple[str, ...]
    asked_index: int
    closed_index: int | None
    closed_kind: str | None
    response: bytes | None


@dataclass(frozen=True, slots=True)
class StoredAgreement:
    """One row of `agreement`; see there."""

    record_id: str
    agency: str
    body: bytes
    signature: bytes
    key_id: str
    state: str
    valid_from_ns: int
    valid_to_ns: int | None
    given_index: int
    withdrawn_index: int | None
    withdrawn_at_ns: int | None
    withdrawal: bytes | None
    withdrawal_signature: bytes | None
    withdrawal_key_id: str | None


@dataclass(frozen=True, slots=True)
class Activation:
    """Which policy revision and catalogue are in force since `index`."""

    index: int
    revision: str
    catalogue: str


def question(connection: Connection, query_id: str) -> StoredQuestion | None:
    """The question of this id, if it was ever asked."""
    row = _QUESTION.first(connection, query_id=query_id)
    return None if row is None else _question(row)


def still_open(connection: Connection) -> tuple[StoredQuestion, ...]:
    """Questions without a terminal record, oldest first."""
    return tuple(_question(row) for row in connection.execute(_STILL_OPEN).all())


def _question(row: Sequence[Any]) -> StoredQuestion:
    query_id, agency, user, statement_digest, state, agreements, asked_index, *closed = row
    return StoredQuestion(
        query_id, agency, user, statement_digest, state, tuple(json.loads(agreements)), asked_index, *closed
    )


def open_question(
    connection: Connection,
    *,
    query_id: str,
    agency: str,
    user: str,
    statement_digest: bytes,
    agreements: Iterable[str],
    asked_index: int,
) -> None:
    """Note that a question is on its way."""
    _OPENED.run(
        connection,
        query_id=query_id,
        agency=agency,
        user=user,
        statement_digest=statement_digest,
        state=OPEN,
        agreements=json.dumps(sorted(agreements)),
        asked_index=asked_index,
    )


def close_question(connection: Connection, query_id: str, index: int, kind: str, response: bytes | None) -> None:
    """Note a question's one terminal record and what was given back."""
    _CLOSED.run(connection, of_query_id=query_id, at_index=index, as_kind=kind, with_response=response)


def in_force(connection: Connection) -> Activation | None:
    """The policy revision in force, or None before the first activation."""
    row = _IN_FORCE.first(connection)
    return None if row is None else Activation(*row)


def activate(connection: Connection, activation: Activation) -> None:
    """Put a policy revision in force from its position on."""
    connection.execute(
        insert(ACTIVATION),
        {"index": activation.index, "revision": activation.revision, "catalogue": activation.catalogue},
    )


def note_asking(
    connection: Connection, *, query_id: str, user: str, at_ns: int, subjects: Iterable[Sequence[bytes]]
) -> None:
    """Count a question against its user's and its subjects' budgets.

    Args:
        connection: Inside the sequencer's transaction.
        query_id: The question.
        user: Pseudonym of the member of staff.
        at_ns: The question's one clock reading.
        subjects: The keyed tags of each subject.
    """
    day = at_ns // DAY_NS
    rows: dict[bytes, dict[str, object]] = {}
    for tags in subjects:
        fresh = [tag for tag in dict.fromkeys(tags) if tag not in rows]
        if not fresh:
            continue
        known = any(_ASKED_ABOUT_TODAY.first(connection, tag=tag, user=user, day=day) for tag in tags)
        for number, tag in enumerate(fresh):
            rows[tag] = {
                "tag": tag,
                "query_id": query_id,
                "user": user,
                "day": day,
                "new_today": number == 0 and not known,
            }
    _ASKING.many(connection, list(rows.values()))


def subjects_today(connection: Connection, user: str, at_ns: int) -> int:
    """How many different people this user has asked about on the day of `at_ns` (UTC)."""
    row = _SUBJECTS_TODAY.first(connection, user=user, day=at_ns // DAY_NS)
    return 0 if row is None else int(row[0])


def askings(connection: Connection, tags: Sequence[bytes], at_ns: int, days: int) -> int:
    """How many questions by anyone touched one of these tags in the `days` up to `at_ns`."""
    if not tags:
        return 0
    named = {f"tag_{number}": tag for number, tag in enumerate(tags)}
    row = _askings(len(tags)).first(connection, **named, after_day=at_ns // DAY_NS - days)
    return 0 if row is None else int(row[0])


@lru_cache(maxsize=64)
def _askings(number: int) -> Prepared:
    """How many questions touched one of so many tags; compiled once for each number."""
    tags: list[BindParameter[bytes]] = [bindparam(f"tag_{one}") for one in range(number)]
    return Prepared(
        select(func.count(ASKING.c.query_id.distinct())).where(
            ASKING.c.tag.in_(tags), ASKING.c.day > bindparam("after_day")
        )
    )


def agreements(connection: Connection, record_ids: Collection[str]) -> dict[str, StoredAgreement]:
    """The agreements of these ids that exist, by id."""
    rows = [_AGREEMENT.first(connection, record_id=record_id) for record_id in record_ids]
    return {row[0]: StoredAgreement(*row) for row in rows if row is not None}


def tags_of(connection: Connection, record_ids: Collection[str]) -> dict[str, frozenset[bytes]]:
    """The subject tags of these agreements, by id."""
    return {
        record_id: frozenset(tag for (tag,) in _TAGS.rows(connection, record_id=record_id)) for record_id in record_ids
    }


def agreements_with(
    connection: Connection, tags: Collection[bytes], agency: str, most: int
) -> tuple[StoredAgreement, ...]:
    """Agreements with one of these tags to which the agency is a party, newest first."""
    if not tags:
        return ()
    rows = connection.execute(_FOUND, {"tags": list(tags), "agency": agency, "most": most}).all()
    return tuple(StoredAgreement(*row) for row in rows)


def withdrawn(connection: Connection, agency: str, now_ns: int) -> tuple[StoredAgreement, ...]:
    """Withdrawn agreements to which the agency is a party and that would still be valid, in order of withdrawal."""
    rows = connection.execute(_WITHDRAWN, {"agency": agency, "now_ns": now_ns}).all()
    return tuple(StoredAgreement(*row) for row in rows)


def parties(connection: Connection, record_id: str) -> frozenset[str]:
    """The agencies that captured an agreement or are in its scope."""
    return frozenset(connection.execute(_PARTIES, {"record_id": record_id}).scalars())


def pending(connection: Connection, agency: str, now_ns: int) -> tuple[tuple[str, bytes], ...]:
    """Deliveries of agreements still valid that the agency has not had: record id and sealed bytes, oldest first."""
    rows = connection.execute(_PENDING, {"agency": agency, "now_ns": now_ns})
    return tuple((row.record_id, row.sealed) for row in rows)


def give_agreement(
    connection: Connection,
    stored: StoredAgreement,
    tags: Iterable[bytes],
    scope: Iterable[str],
    deliveries: Mapping[str, bytes],
) -> None:
    """Keep an agreement, how it is found, and what its parties must still be sent."""
    names = [column.name for column in AGREEMENT.columns]
    connection.execute(insert(AGREEMENT), {name: getattr(stored, name) for name in names})
    connection.execute(insert(AGREEMENT_TAG), [{"tag": tag, "record_id": stored.record_id} for tag in set(tags)])
    connection.execute(
        insert(AGREEMENT_PARTY), [{"record_id": stored.record_id, "agency": agency} for agency in set(scope)]
    )
    if deliveries:
        connection.execute(
            insert(AGREEMENT_DELIVERY),
            [
                {"agency": agency, "record_id": stored.record_id, "sealed": sealed, "delivered": False}
                for agency, sealed in deliveries.items()
            ],
        )


def withdraw_agreement(
    connection: Connection,
    record_id: str,
    *,
    state: str,
    index: int,
    at_ns: int,
    withdrawal: bytes,
    signature: bytes,
    key_id: str,
) -> None:
    """End an agreement from its position in the ledger on, and drop what was still to be delivered."""
    connection.execute(
        _WITHDRAW,
        {
            "of_record_id": record_id,
            "to_state": state,
            "at_index": index,
            "at_ns": at_ns,
            "signed": withdrawal,
            "with_signature": signature,
            "with_key_id": key_id,
        },
    )
    connection.execute(delete(AGREEMENT_DELIVERY).where(AGREEMENT_DELIVERY.c.record_id == record_id))


def mark_delivered(connection: Connection, agency: str, record_ids: Collection[str], now_ns: int) -> None:
    """Forget the sealed bytes of deliveries that arrived, and of all whose agreement has expired."""
    for record_id in record_ids:
        connection.execute(_DELIVERED, {"to_agency": agency, "of_record": record_id})
    connection.execute(_EXPIRED, {"now_ns": now_ns})
