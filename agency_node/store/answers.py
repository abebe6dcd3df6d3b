"""Signed answers kept for repetition, so that a warrant is good for exactly one look-up.

    ask again: same agency, query id and statement   -> the stored bytes, never a new look-up
               same query id, another statement      -> refused
               same warrant number, another question -> refused
               an agreement it rests on is withdrawn -> the withdrawal wins

The row is written in the transaction of the ledger entry that records the answer
(T-SEC-1). Rows are keyed on the warrant's number, never on the token text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hmac import compare_digest
from typing import ClassVar, Final

from sqlalchemy import Connection, bindparam, delete, insert, select

from accord.canonical import decode, encode
from accord.reasons import Problem
from agency_node.store.agreements import withdrawn_among
from agency_node.store.database import upsert
from agency_node.store.prepared import Prepared
from agency_node.store.tables import answered, restored

_OF_WARRANT: Final = Prepared(
    lambda _: select(answered.c.agency, answered.c.query_id).where(answered.c.jti == bindparam("of_jti"))
)
_OF_QUESTION: Final = Prepared(
    lambda _: select(answered.c.statement_digest, answered.c.answer, answered.c.agreements).where(
        answered.c.agency == bindparam("of_agency"), answered.c.query_id == bindparam("of_query")
    )
)
_KEEP: Final = Prepared(lambda _: insert(answered))
_FORGET: Final = Prepared(lambda _: delete(answered).where(answered.c.expires_at_ns < bindparam("before_ns")))
_RESTORED: Final = Prepared(lambda _: select(restored.c.at_ns))


class WarrantReplayed(Problem):
    """A warrant's number came back with another question."""

    reason: ClassVar[str] = "WARRANT_REPLAYED"


class QueryIdReused(Problem):
    """The asking agency's query id came back with another statement."""

    reason: ClassVar[str] = "QUERY_ID_REUSED"


@dataclass(frozen=True, slots=True)
class Given:
    """An answer that is about to be given.

    Attributes:
        jti: Number of the warrant.
        agency: The asking agency.
        query_id: Its question.
        statement_digest: 32 bytes.
        agreements: Numbers of the agreements the answer rests on.
        answer: The signed answer, byte for byte as it will be sent.
        expires_at_ns: Until when to keep it: the warrant's end plus twice the allowed clock difference.
    """

    jti: str
    agency: str
    query_id: str
    statement_digest: bytes
    agreements: Sequence[str]
    answer: bytes
    expires_at_ns: int


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer that was given before.

    Attributes:
        answer: The signed answer, byte for byte.
        withdrawn: Those of its agreements that were withdrawn since. Unless empty, the answer must not be sent again.
    """

    answer: bytes
    withdrawn: frozenset[str]


def recall(connection: Connection, jti: str, agency: str, query_id: str, statement_digest: bytes) -> Stored | None:
    """The answer already given to this question, or None when it was never answered.

    Raises:
        QueryIdReused: The question was answered for another statement.
        WarrantReplayed: The warrant was used for another question.
    """
    used = _OF_WARRANT.first(connection, of_jti=jti)
    if used is not None and used != (agency, query_id):
        raise WarrantReplayed("this warrant was used for another question")
    row = _OF_QUESTION.first(connection, of_agency=agency, of_query=query_id)
    if row is None:
        return None
    digest, answer, agreements = row
    if not compare_digest(digest, statement_digest):
        raise QueryIdReused("this question number was answered for another statement")
    numbers = decode(agreements.encode())
    rests_on = [item for item in numbers if isinstance(item, str)] if isinstance(numbers, list) else []
    return Stored(answer, withdrawn_among(connection, rests_on))


def keep(connection: Connection, given: Given) -> Stored | None:
    """Store an answer, in the transaction of its ledger entry, unless this question was answered in the meantime.

    Returns:
        None when the answer was stored: append its ledger entry and, after the commit, send it. Otherwise the answer
        given before: append nothing and send that one.

    Raises:
        QueryIdReused: As `recall`.
        WarrantReplayed: As `recall`.
    """
    earlier = recall(connection, given.jti, given.agency, given.query_id, given.statement_digest)
    if earlier is None:
        # Inside `writing` nobody can come between; if somebody did, the UNIQUE constraints fail the transaction.
        _KEEP.run(
            connection,
            jti=given.jti,
            agency=given.agency,
            query_id=given.query_id,
            statement_digest=given.statement_digest,
            agreements=encode(sorted(given.agreements)).decode(),
            answer=given.answer,
            expires_at_ns=given.expires_at_ns,
        )
    return earlier


def forget_expired(connection: Connection, now_ns: int) -> int:
    """Remove answers whose warrants can no longer be valid.

    Returns:
        How many were removed.
    """
    return _FORGET.run(connection, before_ns=now_ns)


def mark_restored(connection: Connection, at_ns: int) -> None:
    """Note that this file was put back from a copy, so that every warrant issued before `at_ns` is refused."""
    values = {"id": 1, "at_ns": at_ns}
    connection.execute(
        upsert(connection, restored).values(values).on_conflict_do_update(index_elements=["id"], set_={"at_ns": at_ns})
    )


def warrants_from_ns(connection: Connection) -> int:
    """The time, in nanoseconds since 1970, before which no warrant may have been issued; 0 when never restored."""
    found = _RESTORED.first(connection)
    return 0 if found is None else int(found[0])
