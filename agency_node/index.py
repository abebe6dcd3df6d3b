"""Build and refresh the token index: which tags of an envelope name one of this agency's people.

    people -> described -> row hash -> changed? -> match keys -> tokens (key servers) -> tags -> stored, 50 at a time
           -> people no longer there removed -> statistics -> complete

* An index answers only when a full pass has ended under exactly the epoch, normaliser, families and key servers that a
  question names; anything else is *cannot say*, never *no* (T-LNK-5).
* Killed at any moment, the job goes on where it was: unchanged people are known by a keyed hash of their description,
  and one person's tokens change in one transaction. The result is that of one undisturbed run.
* Records that have suddenly gone (an empty file, half a table) stop the job, or everybody in them would be *no*.
* No description is stored. What is kept of a value is a keyed hash, to say how common it is.
* Two indexes exist while the linkage keys change. When one is complete, an older one of the same epoch is removed.
"""

import heapq
import hmac
import os
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256
from typing import ClassVar, Final, Protocol

from sqlalchemy import Connection, Engine, delete, exists, func, insert, select, update

from accord.canonical import lp
from accord.identity import (
    FAMILIES,
    FAMILY_SET_DIGEST,
    NORMALISER_DIGEST,
    Description,
    MatchKey,
    entries,
    match_keys,
    to_bytes,
)
from accord.linkage import tag
from accord.reasons import Problem
from agency_node.exposure import Chance, chance, coverage
from agency_node.ledger import Kind, Record, append
from agency_node.scoring import Statistics, statistics
from agency_node.store import reading, writing
from agency_node.store.tables import index_meta, index_record, index_token

BATCH: Final = 50
"""People whose tokens are fetched together and committed together; about 2,000 keys."""

SAMPLE: Final = 100_000
"""Most descriptions held in memory for statistics, about 100 MB; a random sample where there are more people."""

EXPOSURE_SAMPLE: Final = 5_000
"""Most descriptions for which it is measured what guessing and chance could open; a few seconds."""

VANISHING: Final = 0.5
"""Share of the people of the last full pass that must still be there, unless the operator says otherwise."""

_HASH_BYTES: Final = 16
_NUMBER: Final = {family.id: number for number, family in enumerate(FAMILIES)}


class RecordsVanished(Problem):
    """Most of the people indexed before are no longer in the agency's records, or there is nobody at all."""

    reason: ClassVar[str] = "RECORDS_UNAVAILABLE"


class Described(Protocol):
    """A record in the form that is indexed."""

    @property
    def description(self) -> Description:
        """The record, normalised."""

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Names of the fields that could not be read."""


class Person(Protocol):
    """One person of the agency's records."""

    @property
    def person_id(self) -> str:
        """The agency's own number."""

    def described(self) -> Described:
        """The record, normalised."""


class People(Protocol):
    """The agency's records."""

    def people(self) -> Iterable[Person]:
        """Everybody, each once."""


Tokens = Callable[[Sequence[MatchKey]], Awaitable[list[bytes]]]
"""Tokens of these keys, 64 bytes each, in their order; from both key servers, as many calls as that takes."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Under what an index is built. A question names the same four.

    Attributes:
        epoch: Linkage epoch.
        key_servers: Digest over both key servers' public keys, hexadecimal.
        normaliser: Digest of the normaliser, hexadecimal.
        families: Digest of the family set, hexadecimal.
    """

    epoch: str
    key_servers: str
    normaliser: str = NORMALISER_DIGEST
    families: str = FAMILY_SET_DIGEST


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pass has come.

    Attributes:
        read: People read from the agency's records.
        expected: How many there were last time; 0 when this is the first pass.
        changed: How many of them were indexed anew.
    """

    read: int
    expected: int
    changed: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What guessing and chance could open; see `agency_node.exposure`.

    Attributes:
        sample: On how many descriptions the figures rest. Below about a thousand they read too high.
        coverage: Family id -> share of the area's people whom the best guesses of a year's quota reach.
        chance: How often another person's record opens an envelope.
    """

    sample: int
    coverage: Mapping[str, float]
    chance: Chance


@dataclass(frozen=True, slots=True)
class Built:
    """What a full pass did.

    Attributes:
        people: People in the agency's records.
        changed: How many were new or different.
        removed: How many had gone.
        without_keys: How many cannot be found by anybody: their records give no match key.
        unreadable: Field -> how many records have it in a form that could not be read; it was left out.
        figures: What guessing and chance could open.
    """

    people: int
    changed: int
    removed: int
    without_keys: int
    unreadable: Mapping[str, int]
    figures: Figures


class Cause(StrEnum):
    """Why an index cannot answer. It stays inside the agency."""

    MISSING = "missing"
    INCOMPLETE = "incomplete"
    STALE = "stale"
    OTHER_EPOCH = "other_epoch"
    OTHER_KEY_SERVERS = "other_key_servers"
    OTHER_NORMALISER = "other_normaliser"
    OTHER_FAMILIES = "other_families"


@dataclass(frozen=True, slots=True)
class IndexState:
    """Whether the index can answer a question under given terms.

    Attributes:
        cause: None when it can; otherwise why every person is *cannot say*.
        people: People in it.
        built_at_ns: When the records of its newest full pass were begun to be read; None before the first.
    """

    cause: Cause | None
    people: int = 0
    built_at_ns: int | None = None

    @property
    def ready(self) -> bool:
        """Whether nobody found means nobody known."""
        return self.cause is None


@dataclass(frozen=True, slots=True)
class Hit:
    """One of our records that an envelope's tag names.

    Attributes:
        record: Number of the index entry; several belong to a person with earlier names.
        person_id: The agency's own number.
        family: Family id.
        token: 64 bytes, which open the lock.
    """

    record: int
    person_id: str
    family: str
    token: bytes = field(repr=False)


@dataclass(slots=True)
class _Pass:
    """What one reading of all people gathers."""

    seen: set[str] = field(default_factory=set)
    changed: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)
    # The descriptions whose keyed hash is smallest: the same ones whatever the order and however often it was resumed.
    smallest: list[tuple[int, Description]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Changed:
    person_id: str
    row_hash: bytes
    entries: tuple[tuple[MatchKey, ...], ...]


async def build(
    engine: Engine,
    people: People,
    tokens: Tokens,
    *,
    node_id: str,
    terms: Terms,
    at_ns: int,
    progress: Callable[[Progress], None] = lambda _: None,
    allow_vanishing: bool = False,
    random: Callable[[int], bytes] = os.urandom,
) -> Built:
    """Read every person and bring the index up to date; resume one that was interrupted.

    Args:
        engine: The node's state.
        people: The agency's records.
        tokens: Turns match keys into tokens; may raise, and then what was committed stays.
        node_id: This agency's identifier, which its tags are made for.
        terms: Under what to build.
        at_ns: Now, nanoseconds since 1970: how fresh the index will be.
        progress: Told after every batch.
        allow_vanishing: Go on though most people, or all, are no longer in the records.
        random: Gives that many random bytes.

    Raises:
        RecordsVanished: See VANISHING; the index stays as it was, save people already brought up to date.
        StateUnusable: Our own state failed.
        ValueError: Two rows carry one number, or there are not as many tokens as keys.
    """
    index_id, hash_key, expected = _open(engine, terms, random)
    known = _known(engine, index_id)
    found = _Pass()
    waiting: list[_Changed] = []

    async def flush() -> None:
        await _store(engine, index_id, node_id, waiting, tokens)
        found.changed += len(waiting)
        waiting.clear()
        with writing(engine) as connection:
            connection.execute(update(index_meta).where(index_meta.c.id == index_id).values(watermark=len(found.seen)))
        progress(Progress(len(found.seen), expected, found.changed))

    for person in people.people():
        changed = _read(person, hash_key, known, found)
        if changed is not None:
            waiting.append(changed)
        if len(waiting) == BATCH:
            await flush()
    gone = sorted(set(known) - found.seen)
    _refuse_vanishing(len(found.seen), max(expected, len(known)), allow_vanishing)
    await flush()
    sample = [description for _, description in sorted(found.smallest, key=lambda one: -one[0])]
    count = len(found.seen)
    known_here = replace(statistics(sample, int.from_bytes(hash_key[:8]), hash_key), people=count)
    some = sample[:EXPOSURE_SAMPLE]
    figures = Figures(len(some), coverage(some, count), chance(some, count))
    with writing(engine) as connection:
        _remove(connection, index_id, gone)
        unfindable = _without_keys(connection, index_id)
        built = Built(count, found.changed, len(gone), unfindable, dict(found.unreadable), figures)
        _complete(connection, index_id, count, known_here.to_json(), at_ns)
        append(connection, [_record(terms, built, at_ns)], random)
    return built


def retire(engine: Engine, epoch: str) -> int:
    """Remove the indexes of an epoch whose keys are gone.

    Returns:
        How many were removed.
    """
    with writing(engine) as connection:
        return connection.execute(delete(index_meta).where(index_meta.c.epoch == epoch)).rowcount


class TokenIndex:
    """The index as a question meets it."""

    def __init__(self, engine: Engine) -> None:
        """Read the index in this state file, whatever it holds at the moment of each call."""
        self._engine = engine
        # Reading the statistics of 100,000 people takes a while; they change with a full pass only.
        self._read: tuple[tuple[int, int], Statistics, bytes] | None = None

    def state(self, terms: Terms, *, now_ns: int, fresh_for_s: int) -> IndexState:
        """Whether nobody found means nobody known, for a question that names these terms.

        Args:
            terms: As the question's statement names them.
            now_ns: Now, nanoseconds since 1970.
            fresh_for_s: Oldest full pass that counts, in seconds.
        """
        with reading(self._engine) as connection:
            rows = connection.execute(_STATES).all()
        if not rows:
            return IndexState(Cause.MISSING)
        for cause, named in _NARROWING:
            rows = [row for row in rows if getattr(row, named) == getattr(terms, named)]
            if not rows:
                return IndexState(cause)
        row = rows[0]
        built_at_ns: int | None = row.built_at_ns
        if row.state != "complete" or built_at_ns is None:
            return IndexState(Cause.INCOMPLETE, row.people, built_at_ns)
        # An index from the future is one whose age is not known.
        fresh = 0 <= now_ns - built_at_ns <= fresh_for_s * 1_000_000_000
        return IndexState(None if fresh else Cause.STALE, row.people, built_at_ns)

    def candidates(self, tags: Sequence[bytes]) -> Mapping[bytes, tuple[Hit, ...]]:
        """Records that these tags name, in complete indexes only; tags without any are left out.

        Args:
            tags: 12 bytes each, as an envelope carries them.
        """
        with reading(self._engine) as connection:
            rows = connection.execute(_HITS.where(index_token.c.tag.in_(tags)).order_by(index_token.c.record_id)).all()
        found: dict[bytes, list[Hit]] = defaultdict(list)
        for row in rows:
            found[row.tag].append(Hit(row.record_id, row.person_id, FAMILIES[row.family].id, row.token))
        return {one: tuple(hits) for one, hits in found.items()}

    def tokens_of(self, person_id: str) -> tuple[tuple[str, bytes], ...]:
        """(family id, token) of everything one person is indexed under, in complete indexes."""
        with reading(self._engine) as connection:
            rows = connection.execute(
                _HITS.where(index_record.c.person_id == person_id).order_by(index_token.c.family, index_token.c.tag)
            ).all()
        return tuple((FAMILIES[row.family].id, row.token) for row in rows)

    def statistics(self) -> tuple[Statistics, bytes] | None:
        """What scoring needs to know of these records, with the key of its hashes; None before the first full pass.

        Raises:
            BadStatistics: What is stored cannot be read.
        """
        with reading(self._engine) as connection:
            newest = connection.execute(_NEWEST).first()
            if newest is None:
                return None
            if self._read is None or self._read[0] != (newest.id, newest.built_at_ns):
                written = connection.execute(
                    select(index_meta.c.statistics).where(index_meta.c.id == newest.id)
                ).scalar_one()
                self._read = ((newest.id, newest.built_at_ns), Statistics.from_json(written), newest.hash_key)
            return self._read[1], self._read[2]


_STATES: Final = select(*(column for column in index_meta.c if column.name not in {"statistics", "hash_key"}))
_NARROWING: Final = (
    (Cause.OTHER_EPOCH, "epoch"),
    (Cause.OTHER_KEY_SERVERS, "key_servers"),
    (Cause.OTHER_NORMALISER, "normaliser"),
    (Cause.OTHER_FAMILIES, "families"),
)
_HITS: Final = (
    select(
        index_token.c.tag, index_token.c.record_id, index_token.c.family, index_token.c.token, index_record.c.person_id
    )
    .join(index_record, index_record.c.id == index_token.c.record_id)
    .join(index_meta, index_meta.c.id == index_record.c.index_id)
    .where(index_meta.c.state == "complete")
)
_NEWEST: Final = (
    select(index_meta.c.id, index_meta.c.built_at_ns, index_meta.c.hash_key)
    .where(index_meta.c.state == "complete")
    .order_by(index_meta.c.built_at_ns.desc())
    .limit(1)
)


def _open(engine: Engine, terms: Terms, random: Callable[[int], bytes]) -> tuple[int, bytes, int]:
    """Number and hash key of the index under these terms, made if need be, and how many people to expect."""
    same = (
        (index_meta.c.epoch == terms.epoch)
        & (index_meta.c.key_servers == terms.key_servers)
        & (index_meta.c.normaliser == terms.normaliser)
        & (index_meta.c.families == terms.families)
    )
    with writing(engine) as connection:
        # Another index of these people, if there is one, tells how many to expect.
        expected = connection.execute(select(func.max(index_meta.c.people))).scalar() or 0
        row = connection.execute(select(index_meta.c.id, index_meta.c.hash_key).where(same)).first()
        if row is not None:
            return row.id, row.hash_key, expected
        hash_key = random(32)
        made = connection.execute(
            insert(index_meta).values(
                epoch=terms.epoch,
                normaliser=terms.normaliser,
                families=terms.families,
                key_servers=terms.key_servers,
                state="building",
                hash_key=hash_key,
                watermark=0,
                people=0,
            )
        )
        key = made.inserted_primary_key
    if key is None:
        raise RuntimeError("SQLite gave no number to a new row")
    return int(key[0]), hash_key, expected


def _known(engine: Engine, index_id: int) -> dict[str, bytes]:
    with reading(engine) as connection:
        rows = connection.execute(
            select(index_record.c.person_id, index_record.c.row_hash).where(
                index_record.c.index_id == index_id, index_record.c.entry == 0
            )
        )
        return {row.person_id: row.row_hash for row in rows}


def _read(person: Person, hash_key: bytes, known: Mapping[str, bytes], found: _Pass) -> _Changed | None:
    """Count one person, and say what to index anew."""
    person_id = person.person_id
    if person_id in found.seen:
        raise ValueError("two rows of the agency's records carry one number")
    found.seen.add(person_id)
    described = person.described()
    found.unreadable.update(described.unreadable)
    description = described.description
    row_hash = _keyed(hash_key, b"row", to_bytes(description))
    rank = int.from_bytes(_keyed(hash_key, b"sample", person_id.encode()))
    # A heap of the largest on top, by negated rank; ranks are 128 bits, so descriptions are never compared.
    if len(found.smallest) < SAMPLE:
        heapq.heappush(found.smallest, (-rank, description))
    elif -rank > found.smallest[0][0]:
        heapq.heapreplace(found.smallest, (-rank, description))
    if known.get(person_id) == row_hash:
        return None
    return _Changed(person_id, row_hash, tuple(_new_keys(description)))


def _new_keys(description: Description) -> Iterator[tuple[MatchKey, ...]]:
    """Keys of each entry of a record, leaving out what an earlier entry has."""
    seen: set[bytes] = set()
    for entry in entries(description):
        keys = tuple(key for key in match_keys(entry) if key.input not in seen)
        seen.update(key.input for key in keys)
        yield keys


async def _store(engine: Engine, index_id: int, node_id: str, changed: Sequence[_Changed], tokens: Tokens) -> None:
    if not changed:
        return
    keys = [key for one in changed for entry in one.entries for key in entry]
    made = await tokens(keys) if keys else []
    if len(made) != len(keys):
        raise ValueError("there are not as many tokens as keys")
    token_of = iter(made)
    records: list[dict[str, object]] = []
    rows: list[dict[str, object]] = []
    with writing(engine) as connection:
        _remove(connection, index_id, [one.person_id for one in changed])
        record_id = connection.execute(select(func.max(index_record.c.id))).scalar() or 0
        for one in changed:
            for number, entry in enumerate(one.entries):
                record_id += 1
                records.append(
                    {
                        "id": record_id,
                        "index_id": index_id,
                        "person_id": one.person_id,
                        "entry": number,
                        "row_hash": one.row_hash,
                    }
                )
                for key, token in zip(entry, token_of, strict=False):
                    rows.append(
                        {
                            "tag": tag(token, node_id),
                            "record_id": record_id,
                            "family": _NUMBER[key.family],
                            "token": token,
                        }
                    )
        connection.execute(insert(index_record), records)
        if rows:
            connection.execute(insert(index_token), rows)


def _remove(connection: Connection, index_id: int, person_ids: Sequence[str]) -> None:
    for start in range(0, len(person_ids), 500):
        some = person_ids[start : start + 500]
        connection.execute(
            delete(index_record).where(index_record.c.index_id == index_id, index_record.c.person_id.in_(some))
        )


def _refuse_vanishing(read: int, before: int, allowed: bool) -> None:
    if not allowed and (read == 0 or read < before * VANISHING):
        raise RecordsVanished(
            f"only {read} people are in the records, {before} were before; if that is right, say so and run it again"
        )


def _without_keys(connection: Connection, index_id: int) -> int:
    """How many people no key leads to."""
    mine = index_record.c.index_id == index_id
    everybody = select(func.count(index_record.c.person_id.distinct())).where(mine)
    found = everybody.where(exists().where(index_token.c.record_id == index_record.c.id))
    return int(connection.execute(everybody).scalar_one() - connection.execute(found).scalar_one())


def _complete(connection: Connection, index_id: int, people: int, known_here: str, at_ns: int) -> None:
    epoch = select(index_meta.c.epoch).where(index_meta.c.id == index_id).scalar_subquery()
    connection.execute(delete(index_meta).where(index_meta.c.epoch == epoch, index_meta.c.id != index_id))
    connection.execute(
        update(index_meta)
        .where(index_meta.c.id == index_id)
        .values(state="complete", built_at_ns=at_ns, people=people, watermark=people, statistics=known_here)
    )


def _record(terms: Terms, built: Built, at_ns: int) -> Record:
    return Record(
        Kind.INDEX_BUILT,
        at_ns,
        {
            "epoch": terms.epoch,
            "normaliser": terms.normaliser,
            "families": terms.families,
            "key_servers": terms.key_servers,
            "people": built.people,
            "changed": built.changed,
            "removed": built.removed,
            "refused": built.without_keys,
        },
    )


def _keyed(hash_key: bytes, *parts: bytes) -> bytes:
    return hmac.new(hash_key, lp(*parts), sha256).digest()[:_HASH_BYTES]
