"""Build and refresh the token index: which tags of an envelope name one of this agency's people.

    people -> described -> row hash -> changed? -> match keys -> tokens (key servers) -> tags -> stored, 64 at a time
           -> people no longer there removed -> statistics -> complete

* An index answers only when a full pass has ended under exactly the epoch, normaliser, families and key servers that a
  question names; anything else is *cannot say*, never *no* (T-LNK-5).
* Killed at any moment, the job goes on where it was: unchanged people are known by a keyed hash of their description,
  and one person's tokens change in one transaction. The result is that of one undisturbed run.
* Records that have suddenly gone (an empty file, half a table) stop the job, or everybody in them would be *no*.
* Memory is the same for a thousand people and for a million, but for what `agency_node.survey` counts.
* Two indexes exist while the linkage keys change. When one is complete, an older one of the same epoch is removed.
* Between full passes, `refresh` takes in the people whose records say that they changed. It makes nothing fresher: a
  record that changed without saying so is found by a full pass only, so only a full pass moves the time from which
  *no* counts.
"""

import asyncio
import os
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from itertools import islice
from typing import ClassVar, Final, NamedTuple, Protocol

from sqlalchemy import Connection, Engine, bindparam, select

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
from accord.linkage import MAX_BATCH, tag
from accord.reasons import Problem
from agency_node.ledger import Kind, Record, append
from agency_node.scoring import Statistics
from agency_node.store import index as rows
from agency_node.store import reading, writing
from agency_node.store.index import Indexed, Opened, Token
from agency_node.store.prepared import Prepared
from agency_node.store.tables import index_meta, index_record, index_token
from agency_node.survey import Figures, Survey, keyed

BATCH: Final = MAX_BATCH
"""People whose tokens are fetched together and committed together, some 4,000 keys: as many as there are elements under
one proof, so that a family with one key a person needs no padding."""

AHEAD: Final = 2
"""Batches whose tokens are under way: while the servers work on one, the other is blinded, finished or stored here."""

READ: Final = 256
"""People read, hashed and looked up at a time."""

VANISHING: Final = 0.5
"""Share of the people of the last full pass that must still be there, unless the operator says otherwise."""

_NUMBER: Final = {family.id: number for number, family in enumerate(FAMILIES)}


class RecordsVanished(Problem):
    """Most of the people indexed before are no longer in the agency's records, or there is nobody at all."""

    reason: ClassVar[str] = "RECORDS_UNAVAILABLE"


class NoFullPass(Problem):
    """There is no complete index that only needs to take in what changed."""

    reason: ClassVar[str] = "INDEX_MISSING"
    cure: ClassVar[str] = "Let a full pass end first, without --changed: accord-node index."


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

    @property
    def changed_at(self) -> str:
        """The record's own time of change, in a form whose order is that of time; "" when there is none."""

    def described(self) -> Described:
        """The record, normalised."""


class People(Protocol):
    """The agency's records."""

    def people(self) -> Iterable[Person]:
        """Everybody, each once."""


class ChangedPeople(Protocol):
    """Records that say when they changed."""

    def people_changed_since(self, watermark: str) -> Iterable[Person]:
        """Everybody whose record changed at or after a time, given as `Person.changed_at` gives it."""


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


class Stage(StrEnum):
    """What a job is doing."""

    READING = "reading"
    REMOVING = "removing"
    MEASURING = "measuring"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pass has come.

    Attributes:
        done: People who are in the index as their records are now.
        expected: How many there were last time; 0 when this is the first pass.
        changed: How many of those done were indexed anew; the others had not changed.
        stage: What is being done.
    """

    done: int
    expected: int
    changed: int
    stage: Stage = Stage.READING


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


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What taking in changed people did.

    Attributes:
        read: People whose records say that they changed.
        changed: How many of them were new or different.
    """

    read: int
    changed: int


async def build(
    engine: Engine,
    people: People,
    tokens: Tokens,
    *,
    node_id: str,
    terms: Terms,
    at_ns: int,
    expected: int = 0,
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
        expected: How many people there are, for the progress; 0 for as many as last time.
        progress: Told after every step.
        allow_vanishing: Go on though most people, or all, are no longer in the records.
        random: Gives that many random bytes.

    Raises:
        RecordsVanished: See VANISHING; the index stays as it was, save people already brought up to date.
        agency_node.store.index.IndexBusy: Another job is at work on this node's index.
        StateUnusable: Our own state failed.
        ValueError: Two rows carry one number, or there are not as many tokens as keys.
    """
    with rows.only_job(engine):
        with writing(engine) as connection:
            index = rows.begin(connection, asdict(terms), random(32))
            held = rows.held(connection, index.index_id)
        job = _Job(engine, index, node_id, tokens, progress, expected or index.expected)
        survey = Survey(index.hash_key)
        await job.run(people.people(), survey.add)
        _refuse_vanishing(survey.people, max(index.expected, held), allow_vanishing)
        job.tell(Stage.REMOVING)
        removed = rows.remove_unseen(engine, index)
        job.tell(Stage.MEASURING)
        known_here, figures = survey.statistics().to_json(), survey.figures()
        with writing(engine) as connection:
            unfindable = rows.without_tokens(connection, index.index_id)
            built = Built(survey.people, job.changed, removed, unfindable, dict(survey.unreadable), figures)
            rows.finish(connection, index, survey.people, known_here, job.changed_to, at_ns)
            replaced = rows.others_of_its_epoch(connection, index)
            append(connection, [_record(terms, built, at_ns)], random)
        for one in replaced:
            rows.clear(engine, one)
        return built


async def refresh(
    engine: Engine,
    people: ChangedPeople,
    tokens: Tokens,
    *,
    node_id: str,
    terms: Terms,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Refreshed:
    """Take in the people whose records changed since they were last read, in a complete index.

    Nobody is removed and the index grows no fresher: `built_at_ns` stays that of the newest full pass. A person who
    moved here since is found from now on; that somebody is not here is still known as of the full pass only, since a
    record may change without saying so, arrive late with an old time, or be gone altogether (T-LNK-5).

    Args:
        engine: The node's state.
        people: The agency's records.
        tokens: As for `build`.
        node_id: As for `build`.
        terms: As for `build`.
        progress: As for `build`.

    Raises:
        NoFullPass: No index is complete under these terms, or its records say nothing of when they changed.
        agency_node.store.index.IndexBusy: Another job is at work on this node's index.
        StateUnusable: Our own state failed.
        ValueError: There are not as many tokens as keys.
    """
    with rows.only_job(engine):
        with reading(engine) as connection:
            index = rows.complete(connection, asdict(terms))
        if index is None:
            raise NoFullPass("there is no complete index under today's linkage keys")
        if not index.changed_to:
            raise NoFullPass("the records do not say when they changed")
        job = _Job(engine, index, node_id, tokens, progress, 0, whole=False, changed_to=index.changed_to)
        read = await job.run(
            people.people_changed_since(index.changed_to),
            ending=lambda connection: rows.noted(connection, index, job.changed_to),
        )
        return Refreshed(read, job.changed)


@dataclass(frozen=True, slots=True)
class _Read:
    """One person as read: number, keyed hash of the description, and the description until the keys are made."""

    person_id: str
    row_hash: bytes
    description: Description = field(repr=False)


@dataclass(slots=True)
class _Job:
    """People on their way into the index, some of them with their tokens under way."""

    engine: Engine
    index: Opened
    node_id: str
    tokens: Tokens
    progress: Callable[[Progress], None]
    expected: int
    whole: bool = True
    changed_to: str = ""
    unchanged: int = 0
    changed: int = 0
    _waiting: list[_Read] = field(default_factory=list)
    _under_way: deque["asyncio.Task[None]"] = field(default_factory=deque)
    _not_stored: set[str] = field(default_factory=set)

    async def run(
        self,
        people: Iterable[Person],
        heard: Callable[[str, Description, Sequence[str]], None] = lambda person_id, description, unreadable: None,
        ending: Callable[[Connection], None] = lambda connection: None,
    ) -> int:
        """Bring people up to date, and say how many they were.

        Args:
            people: Each once.
            heard: Told of everybody.
            ending: Done in the transaction that stores the last of them.
        """
        coming, read = iter(people), 0
        try:
            while some := list(islice(coming, READ)):
                read += len(some)
                await self._take([self._read(person, heard) for person in some])
                # Reading does not wait for anything; tokens that came meanwhile are looked at here.
                await asyncio.sleep(0)
            await self._leave_under_way(AHEAD - 1)
            await self._store(self._waiting, ending)
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)
        return read

    def tell(self, stage: "Stage") -> None:
        """Say how far it is."""
        self.progress(Progress(self.unchanged + self.changed, self.expected, self.changed, stage))

    def _read(self, person: Person, heard: Callable[[str, Description, Sequence[str]], None]) -> _Read:
        described = person.described()
        heard(person.person_id, described.description, described.unreadable)
        self.changed_to = max(self.changed_to, person.changed_at)
        row_hash = keyed(self.index.hash_key, b"row", to_bytes(described.description))
        return _Read(person.person_id, row_hash, described.description)

    async def _take(self, some: Sequence[_Read]) -> None:
        with reading(self.engine) as connection:
            known = rows.known(connection, self.index.index_id, [one.person_id for one in some])
        same: list[str] = []
        for one in some:
            there = known.get(one.person_id)
            twice = self.whole and there is not None and there.seen == self.index.number
            if twice or one.person_id in self._not_stored:
                raise ValueError("two rows of the agency's records carry one number")
            self._not_stored.add(one.person_id)
            if there is not None and there.row_hash == one.row_hash:
                same.append(one.person_id)
            else:
                self._waiting.append(one)
        if same:
            if self.whole:
                with writing(self.engine) as connection:
                    rows.mark(connection, self.index, same)
                    self._done(connection, len(same))
            # Between full passes it matters to nobody who was read: the next one counts anew.
            self._not_stored.difference_update(same)
            self.unchanged += len(same)
            self.tell(Stage.READING)
        while len(self._waiting) >= BATCH:
            await self._begin(self._waiting[:BATCH])
            del self._waiting[:BATCH]

    async def _begin(self, batch: Sequence[_Read]) -> None:
        await self._leave_under_way(AHEAD - 1)
        self._under_way.append(asyncio.create_task(self._store(batch)))

    async def _leave_under_way(self, most: int) -> None:
        while len(self._under_way) > most:
            await self._under_way.popleft()

    async def _store(self, batch: Sequence[_Read], ending: Callable[[Connection], None] | None = None) -> None:
        """Fetch the tokens of a batch and store it; with an `ending`, as the last one, when the others are stored."""
        made = [list(_new_keys(one.description)) for one in batch]
        keys = [key for person in made for entry in person for key in entry]
        tokens = await self.tokens(keys) if keys else []
        if len(tokens) != len(keys):
            raise ValueError("there are not as many tokens as keys")
        token_of = iter(tokens)
        people = [
            Indexed(
                one.person_id,
                one.row_hash,
                [
                    [
                        Token(tag(token, self.node_id), _NUMBER[key.family], token)
                        for key, token in zip(entry, islice(token_of, len(entry)), strict=True)
                    ]
                    for entry in person
                ],
            )
            for one, person in zip(batch, made, strict=True)
        ]
        if ending is not None:
            await self._leave_under_way(0)
        with writing(self.engine) as connection:
            if people:
                rows.put(connection, self.index, people)
                self._done(connection, len(people))
            if ending is not None:
                ending(connection)
        if batch:
            self._not_stored.difference_update(one.person_id for one in batch)
            self.changed += len(batch)
            self.tell(Stage.READING)

    def _done(self, connection: Connection, more: int) -> None:
        if self.whole:
            rows.came_to(connection, self.index, self.unchanged + self.changed + more)


def _new_keys(description: Description) -> Iterator[tuple[MatchKey, ...]]:
    """Keys of each entry of a record, leaving out what an earlier entry has."""
    seen: set[bytes] = set()
    for entry in entries(description):
        keys = tuple(key for key in match_keys(entry) if key.input not in seen)
        seen.update(key.input for key in keys)
        yield keys


def _refuse_vanishing(read: int, before: int, allowed: bool) -> None:
    if not allowed and (read == 0 or read < before * VANISHING):
        raise RecordsVanished(
            f"only {read} people are in the records, {before} were before; if that is right, say so and run it again"
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


def retire(engine: Engine, epoch: str) -> int:
    """Remove the indexes of an epoch whose keys are gone.

    Returns:
        How many were removed.

    Raises:
        agency_node.store.index.IndexBusy: A job is at work on this node's index.
    """
    with rows.only_job(engine):
        with reading(engine) as connection:
            old = rows.of_epoch(connection, epoch)
        for one in old:
            rows.clear(engine, one)
    return len(old)


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
        with reading(self._engine, once=True) as connection:
            rows = [_State(*row) for row in _STATES.rows(connection)]
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
        found: dict[bytes, list[Hit]] = defaultdict(list)
        wanted = iter(dict.fromkeys(tags))
        with reading(self._engine, once=True) as connection:
            while some := list(islice(wanted, _TAGS_AT_ONCE)):
                # One tag stands for those that the last portion lacks: to look for it twice finds it once.
                some += some[:1] * (_TAGS_AT_ONCE - len(some))
                named = {f"tag_{number}": one for number, one in enumerate(some)}
                for one, record_id, family, token, person_id in _NAMED.rows(connection, **named):
                    found[one].append(Hit(record_id, person_id, FAMILIES[family].id, token))
        return {one: tuple(hits) for one, hits in found.items()}

    def tokens_of(self, person_id: str) -> tuple[tuple[str, bytes], ...]:
        """(family id, token) of everything one person is indexed under, in complete indexes."""
        with reading(self._engine, once=True) as connection:
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
            newest = _NEWEST.first(connection)
            if newest is None:
                return None
            index_id, built_at_ns, hash_key = newest
            if self._read is None or self._read[0] != (index_id, built_at_ns):
                written = connection.execute(
                    select(index_meta.c.statistics).where(index_meta.c.id == index_id)
                ).scalar_one()
                self._read = ((index_id, built_at_ns), Statistics.from_json(written), hash_key)
            return self._read[1], self._read[2]


class _State(NamedTuple):
    """What a question asks of an index."""

    epoch: str
    normaliser: str
    families: str
    key_servers: str
    state: str
    people: int
    built_at_ns: int | None


_STATES: Final = Prepared(lambda _: select(*(index_meta.c[name] for name in _State._fields)))
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
_TAGS_AT_ONCE: Final = 64
"""Tags that one statement looks for; about as many as one person's slot has."""
_NAMED: Final = Prepared(
    lambda _: _HITS.where(
        index_token.c.tag.in_([bindparam(f"tag_{number}") for number in range(_TAGS_AT_ONCE)])
    ).order_by(index_token.c.record_id)
)
_NEWEST: Final = Prepared(
    lambda _: (
        select(index_meta.c.id, index_meta.c.built_at_ns, index_meta.c.hash_key)
        .where(index_meta.c.state == "complete")
        .order_by(index_meta.c.built_at_ns.desc())
        .limit(1)
    )
)
