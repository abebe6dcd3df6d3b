"""The rows of a token index: passes over the agency's people, what they found, and what has to go.

    begin -> known, mark, put (again and again) -> unseen, remove_unseen -> finish

Memory stays flat however many people there are: which pass found a person stands in the person's row, and what is to be
removed is removed a few hundred people at a time, so that nobody else waits long for the file.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

from sqlalchemy import ColumnElement, Connection, Engine, bindparam, delete, exists, func, insert, select, update

from accord.reasons import Problem
from agency_node.store.database import reading, writing
from agency_node.store.failure import StateUnusable
from agency_node.store.prepared import Prepared
from agency_node.store.tables import index_meta, index_record, index_token

SLICE: Final = 500
"""People removed in one transaction."""
_AT_ONCE: Final = 64
"""People named in one statement."""
_TERMS: Final = ("epoch", "normaliser", "families", "key_servers")


class IndexBusy(Problem):
    """Another job is at work on this node's index."""

    reason: ClassVar[str] = "INDEX_BUSY"


@dataclass(frozen=True, slots=True)
class Opened:
    """An index that a job works on.

    Attributes:
        index_id: Its number.
        hash_key: 32 bytes; keys the hashes of rows and of values.
        number: Of the pass; what is found is marked with it.
        expected: How many people some index of these records had last; 0 when there was none.
        changed_to: The newest time of change among the records read before; "" when they told none.
    """

    index_id: int
    hash_key: bytes = field(repr=False)
    number: int
    expected: int
    changed_to: str


@dataclass(frozen=True, slots=True)
class Known:
    """What an index has of a person.

    Attributes:
        row_hash: Keyed hash of the description, 16 bytes.
        seen: The newest pass that found the person.
    """

    row_hash: bytes
    seen: int


@dataclass(frozen=True, slots=True)
class Token:
    """One token of an entry: 12 bytes of tag, the family's number, 64 bytes of token."""

    tag: bytes
    family: int
    token: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Indexed:
    """One person as an index keeps them.

    Attributes:
        person_id: The agency's own number.
        row_hash: Keyed hash of the description, 16 bytes.
        entries: Tokens of each entry: the record as it stands, then earlier names and postcodes.
    """

    person_id: str
    row_hash: bytes
    entries: Sequence[Sequence[Token]]


@dataclass(frozen=True, slots=True)
class Listed:
    """One index.

    Attributes:
        epoch: Linkage epoch.
        complete: Whether a full pass has ended.
        people: Indexed by the newest full pass.
        read: People done by the pass under way, or by the last one.
        built_at_ns: When the records of the newest full pass were begun to be read; None before the first.
        tokens: How many it holds.
        terms: What it was built under: column of `index_meta` -> value.
    """

    epoch: str
    complete: bool
    people: int
    read: int
    built_at_ns: int | None
    tokens: int
    terms: Mapping[str, str]


@contextmanager
def only_job(engine: Engine) -> Iterator[None]:
    """Keep every other index job of this node out, as long as the block lasts or this process lives.

    Two at once would take each other's people for gone. The lock is one of the kernel's, on a file beside the state
    file, so nothing is left of it after a power cut (https://man7.org/linux/man-pages/man2/flock.2.html); or one of the
    server's session, which ends with it. A server that restarts forgets it, so each write of a job looks whether
    another has begun since (`_still_ours`).

    Raises:
        IndexBusy: There is one.
        StateUnusable: The lock cannot be had.
    """
    if engine.dialect.name == "sqlite":
        lock = _file_lock(Path(f"{engine.url.database}.index-job"))
    else:
        from agency_node.store import postgresql

        lock = postgresql.session_lock(engine, postgresql.INDEX_JOB)
    with lock as held:
        if not held:
            raise IndexBusy("another index job of this node is at work")
        yield


@contextmanager
def _file_lock(path: Path) -> Iterator[bool]:
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StateUnusable(f"cannot open {path}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(file)


def begin(connection: Connection, terms: Mapping[str, str], new_hash_key: bytes) -> Opened:
    """Open the index of these terms for a full pass, made if need be, and count the pass."""
    # Another index of these people, if there is one, tells how many to expect.
    expected = connection.execute(select(func.max(index_meta.c.people))).scalar() or 0
    row = connection.execute(select(index_meta).where(_under(terms))).first()
    if row is None:
        made = connection.execute(
            insert(index_meta).values(**terms, state="building", hash_key=new_hash_key, watermark=0, people=0, passes=1)
        ).inserted_primary_key
        if made is None:
            raise RuntimeError("the database gave no number to a new row")
        return Opened(int(made[0]), new_hash_key, 1, expected, "")
    connection.execute(update(index_meta).where(index_meta.c.id == row.id).values(passes=row.passes + 1, watermark=0))
    return Opened(row.id, row.hash_key, row.passes + 1, expected, row.changed_to or "")


def complete(connection: Connection, terms: Mapping[str, str]) -> Opened | None:
    """The complete index of these terms, as its newest full pass left it; None when there is none."""
    row = _COMPLETE.first(connection, **terms)
    if row is None:
        return None
    index_id, hash_key, passes, people, changed_to = row
    return Opened(index_id, hash_key, passes, people, changed_to or "")


def known(connection: Connection, index_id: int, person_ids: Sequence[str]) -> dict[str, Known]:
    """What the index has of these people; those it does not have are left out."""
    found = {}
    for some in _named(person_ids):
        for person_id, row_hash, seen in _KNOWN.rows(connection, of_index=index_id, **some):
            found[person_id] = Known(row_hash, seen)
    return found


def held(connection: Connection, index_id: int) -> int:
    """How many people the index has."""
    mine = select(func.count()).where(index_record.c.index_id == index_id, index_record.c.entry == 0)
    return int(connection.execute(mine).scalar_one())


def mark(connection: Connection, index: Opened, person_ids: Sequence[str]) -> None:
    """Say that this pass found these people as they were.

    Raises:
        IndexBusy: Another job has begun since, as whenever a job writes here.
    """
    _still_ours(connection, index)
    for some in _named(person_ids):
        _MARK.run(connection, of_index=index.index_id, now_seen=index.number, **some)


def put(connection: Connection, index: Opened, people: Sequence[Indexed]) -> None:
    """Put people into the index in place of what it had of them."""
    _still_ours(connection, index)
    _remove(connection, index.index_id, [one.person_id for one in people])
    (record_id,) = _LAST.first(connection) or (0,)
    records: list[dict[str, object]] = []
    tokens: list[dict[str, object]] = []
    for one in people:
        for number, entry in enumerate(one.entries):
            record_id += 1
            records.append(
                {
                    "id": record_id,
                    "index_id": index.index_id,
                    "person_id": one.person_id,
                    "entry": number,
                    "row_hash": one.row_hash,
                    "seen": index.number,
                }
            )
            tokens += (
                {"tag": token.tag, "record_id": record_id, "family": token.family, "token": token.token}
                for token in entry
            )
    if connection.dialect.name == "sqlite":
        _RECORD.many(connection, records)
        _TOKEN.many(connection, tokens)
    else:
        from agency_node.store import postgresql

        for table, some in ((index_record, records), (index_token, tokens)):
            if some:
                postgresql.copy_in(connection, table, some)


def came_to(connection: Connection, index: Opened, people: int) -> None:
    """Say how many people the pass under way has done."""
    connection.execute(update(index_meta).where(index_meta.c.id == index.index_id).values(watermark=people))


def noted(connection: Connection, index: Opened, changed_to: str) -> None:
    """Keep the newest time of change that was read."""
    _still_ours(connection, index)
    _NOTED.run(connection, of_index=index.index_id, newest=changed_to or None)


def remove_unseen(engine: Engine, index: Opened) -> int:
    """Remove the people whom this pass did not find, a few hundred in each transaction.

    Returns:
        How many they were.
    """
    mine = (index_record.c.index_id == index.index_id) & (index_record.c.seen != index.number)
    return _remove_all(engine, index.index_id, mine, lambda connection: _still_ours(connection, index))


def without_tokens(connection: Connection, index_id: int) -> int:
    """How many people no token leads to."""
    mine = index_record.c.index_id == index_id
    found = select(func.count(index_record.c.person_id.distinct())).where(
        mine, exists().where(index_token.c.record_id == index_record.c.id)
    )
    return held(connection, index_id) - int(connection.execute(found).scalar_one())


def finish(connection: Connection, index: Opened, people: int, statistics: str, changed_to: str, at_ns: int) -> None:
    """Make the index complete. Another one of its epoch names nobody from now on; see `clear`."""
    _still_ours(connection, index)
    epoch = select(index_meta.c.epoch).where(index_meta.c.id == index.index_id).scalar_subquery()
    connection.execute(
        update(index_meta)
        .where(index_meta.c.epoch == epoch, index_meta.c.id != index.index_id)
        .values(state="building")
    )
    connection.execute(
        update(index_meta)
        .where(index_meta.c.id == index.index_id)
        .values(
            state="complete",
            built_at_ns=at_ns,
            people=people,
            watermark=people,
            statistics=statistics,
            changed_to=changed_to or None,
        )
    )


def others_of_its_epoch(connection: Connection, index: Opened) -> Sequence[int]:
    """Numbers of the other indexes of an index's epoch."""
    epoch = select(index_meta.c.epoch).where(index_meta.c.id == index.index_id).scalar_subquery()
    wanted = select(index_meta.c.id).where(index_meta.c.epoch == epoch, index_meta.c.id != index.index_id)
    return connection.execute(wanted).scalars().all()


def of_epoch(connection: Connection, epoch: str) -> Sequence[int]:
    """Numbers of the indexes of an epoch."""
    return connection.execute(select(index_meta.c.id).where(index_meta.c.epoch == epoch)).scalars().all()


def clear(engine: Engine, index_id: int) -> None:
    """Remove a whole index. It names nobody from the first moment, or half of it would answer."""
    with writing(engine) as connection:
        connection.execute(update(index_meta).where(index_meta.c.id == index_id).values(state="building"))
    _remove_all(engine, index_id, index_record.c.index_id == index_id)
    with writing(engine) as connection:
        connection.execute(delete(index_meta).where(index_meta.c.id == index_id))


def listing(engine: Engine) -> list[Listed]:
    """Every index, the newest epoch first."""
    tokens = (
        select(func.count())
        .select_from(index_token.join(index_record, index_record.c.id == index_token.c.record_id))
        .where(index_record.c.index_id == index_meta.c.id)
        .scalar_subquery()
    )
    plain = [index_meta.c[name] for name in (*_TERMS, "state", "people", "watermark", "built_at_ns")]
    with reading(engine) as connection:
        rows = connection.execute(select(*plain, tokens.label("tokens")).order_by(index_meta.c.epoch.desc())).all()
    return [
        Listed(
            row.epoch,
            row.state == "complete",
            row.people,
            row.watermark,
            row.built_at_ns,
            row.tokens,
            {name: getattr(row, name) for name in _TERMS},
        )
        for row in rows
    ]


def _still_ours(connection: Connection, index: Opened) -> None:
    if _PASSES.first(connection, of_index=index.index_id) != (index.number,):
        # Both would take each other's people for gone, which would be silence where somebody is known (T-LNK-5).
        raise IndexBusy("another index job of this node has begun since")


def _under(terms: Mapping[str, str]) -> ColumnElement[bool]:
    epoch, *others = (index_meta.c[name] == terms[name] for name in _TERMS)
    for one in others:
        epoch &= one
    return epoch


def _named(person_ids: Sequence[str]) -> Iterator[dict[str, object]]:
    """Binds for as many people as one statement names; the last is filled up with one of them, named again."""
    for start in range(0, len(person_ids), _AT_ONCE):
        some = person_ids[start : start + _AT_ONCE]
        yield {f"person_{at}": some[at] if at < len(some) else some[0] for at in range(_AT_ONCE)}


_THESE: Final = (index_record.c.index_id == bindparam("of_index")) & index_record.c.person_id.in_(
    [bindparam(f"person_{at}") for at in range(_AT_ONCE)]
)
_COMPLETE: Final = Prepared(
    lambda _: select(*(index_meta.c[name] for name in ("id", "hash_key", "passes", "people", "changed_to"))).where(
        *(index_meta.c[name] == bindparam(name) for name in _TERMS), index_meta.c.state == "complete"
    )
)
_PASSES: Final = Prepared(lambda _: select(index_meta.c.passes).where(index_meta.c.id == bindparam("of_index")))
_NOTED: Final = Prepared(
    lambda _: update(index_meta).where(index_meta.c.id == bindparam("of_index")).values(changed_to=bindparam("newest"))
)
_KNOWN: Final = Prepared(
    lambda _: select(index_record.c.person_id, index_record.c.row_hash, index_record.c.seen).where(
        _THESE, index_record.c.entry == 0
    )
)
_MARK: Final = Prepared(lambda _: update(index_record).where(_THESE).values(seen=bindparam("now_seen")))
_REMOVE: Final = Prepared(lambda _: delete(index_record).where(_THESE))
_LAST: Final = Prepared(lambda _: select(func.coalesce(func.max(index_record.c.id), 0)))
_RECORD: Final = Prepared(lambda _: insert(index_record))
_TOKEN: Final = Prepared(lambda _: insert(index_token))


def _remove(connection: Connection, index_id: int, person_ids: Sequence[str]) -> None:
    for some in _named(person_ids):
        _REMOVE.run(connection, of_index=index_id, **some)


def _remove_all(
    engine: Engine,
    index_id: int,
    which: ColumnElement[bool],
    check: Callable[[Connection], None] = lambda connection: None,
) -> int:
    removed = 0
    while True:
        with writing(engine) as connection:
            check(connection)
            some = connection.execute(select(index_record.c.person_id).where(which).distinct().limit(SLICE)).scalars()
            person_ids = some.all()
            _remove(connection, index_id, person_ids)
        removed += len(person_ids)
        if len(person_ids) < SLICE:
            return removed
