"""Open an envelope's slots with this node's own tokens, and decide whom each of them means here.

    tags -> hits -> open -> content -> candidates read live -> score -> Linked | NotLinked | Ambiguous

* A slot that nothing opens means nobody this node knows, or padding: both look alike, and `NotLinked` says neither
  more nor less. Whether that is a *no* depends on the index, which the caller checks (T-LNK-5).
* Ambiguous is *cannot say*, never *no* (T-LNK-3): two people, a weak link, a birth date that contradicts the asserted
  age band, wraps that disagree, a record that has gone, somebody shielded, two slots that mean one person.
* What was opened lives in the values returned and nowhere else; nothing here is stored or logged.
"""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from accord.identity import Description, age_band, from_bytes
from accord.reasons import Problem
from accord.sealing import LockedSlot, SlotsDisagree, open_slot
from accord.slot import Content, parse_content
from agency_node.mapping import PersonRow
from agency_node.scoring import (
    PROBABLE,
    Levels,
    Prior,
    Statistics,
    Tier,
    age_of,
    compare,
    held_to,
    shared,
    tier,
    weigh,
)


class Cause(StrEnum):
    """Why a slot cannot be answered about. For the agency's own ledger only."""

    WRAPS_DISAGREE = "wraps_disagree"
    CONTENT = "content"
    AGE_BAND = "age_band"
    TWO_PEOPLE = "two_people"
    WEAK = "weak"
    WITHHELD = "withheld"
    RECORD_GONE = "record_gone"
    UNAVAILABLE = "records_unavailable"
    SHARED = "shared"


@dataclass(frozen=True, slots=True)
class Linked:
    """A slot means this record, for certain enough.

    Attributes:
        slot: Number of the slot, from 0.
        content: What lay in it.
        person_id: The agency's own number.
        tier: CONFIRMED or PROBABLE.
        record: The record as it is now, normalised.
        others: Numbers of the other candidates that share a key with the slot; an agreement must not bind them too.
        compared: How each candidate agreed, for counts that weights are learnt from.
    """

    slot: int
    content: Content = field(repr=False)
    person_id: str
    tier: Tier
    record: Description = field(repr=False)
    others: tuple[str, ...]
    compared: tuple[Levels, ...] = ()


@dataclass(frozen=True, slots=True)
class NotLinked:
    """A slot means nobody whom this node knows.

    Attributes:
        slot: Number of the slot, from 0.
        content: What lay in it, where a key happened to be shared; None when nothing opened.
        compared: As for `Linked`.
    """

    slot: int
    content: Content | None = field(repr=False, default=None)
    compared: tuple[Levels, ...] = ()


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """It cannot be said whom a slot means, or nothing may be said about them.

    Attributes:
        slot: Number of the slot, from 0.
        cause: For the agency's own ledger.
        content: What lay in it, or None when it could not be read.
        compared: As for `Linked`.
    """

    slot: int
    cause: Cause
    content: Content | None = field(repr=False, default=None)
    compared: tuple[Levels, ...] = ()


Link = Linked | NotLinked | Ambiguous


class Hit(Protocol):
    """One of our records that a tag names (`agency_node.index.Hit`)."""

    @property
    def person_id(self) -> str:
        """The agency's own number."""

    @property
    def token(self) -> bytes:
        """64 bytes, which open the lock."""


class Index(Protocol):
    """What linking needs of the token index (`agency_node.index.TokenIndex`)."""

    def candidates(self, tags: Sequence[bytes]) -> Mapping[bytes, tuple[Hit, ...]]:
        """Records that these tags name."""


class People(Protocol):
    """What linking needs of the mapping (`agency_node.mapping.Records`)."""

    def person(self, person_id: str) -> PersonRow | None:
        """One person as the records have them now."""


@dataclass(frozen=True, slots=True)
class Scales:
    """What candidates are weighed with.

    Attributes:
        statistics: The agency's own frequencies, from its index.
        key: Key of their hashes.
        prior: The weights in force.
        shipped: The weights that ship, where those in force are others: these are held to them.
    """

    statistics: Statistics
    key: bytes = field(repr=False)
    prior: Prior
    shipped: Prior | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """Which question the envelope belongs to.

    Attributes:
        node_id: This agency.
        query_id: The question's number.
        core_digest: SHA-256 of the statement's core, 32 bytes.
        asked_on: The day of the question, from its statement; age bands count from it.
    """

    node_id: str
    query_id: str
    core_digest: bytes
    asked_on: datetime.date


def link(slots: Sequence[LockedSlot], asked: Asked, index: Index, people: People, scales: Scales) -> tuple[Link, ...]:
    """Decide whom each slot means here.

    Args:
        slots: From `open_envelope`.
        asked: The question they belong to.
        index: This node's token index.
        people: This agency's records, read live.
        scales: What candidates are weighed with.

    Returns:
        One for each slot, in order.
    """
    tags = [tag for slot in slots for tag, _ in slot.wraps]
    hits = index.candidates(tags)
    opened = [_open(slot, asked, hits, people) for slot in slots]
    own = _settle(opened, asked, scales, scales.prior)
    if scales.shipped is None:
        return own
    return tuple(map(_held, _settle(opened, asked, scales, scales.shipped), own))


def _held(shipped: Link, own: Link) -> Link:
    """What a node's own weights say of a slot, held to what the shipped ones say of it (`scoring.held_to`).

    To make a link of what is too weak for the shipped weights is what own ones are for. To make one where they see two
    people, somebody held back, or two slots that mean one person, is not.
    """
    unclear = Ambiguous(own.slot, Cause.WEAK, own.content, own.compared)
    if isinstance(shipped, Ambiguous) and shipped.cause is not Cause.WEAK:
        return shipped
    if isinstance(own, Linked):
        other = isinstance(shipped, Linked) and shipped.person_id != own.person_id
        held = held_to(_tier(shipped), own.tier)
        return unclear if other or held is Tier.POSSIBLE else replace(own, tier=held)
    if isinstance(own, NotLinked) and not isinstance(shipped, NotLinked):
        return unclear
    return own


def _tier(link: Link) -> Tier:
    match link:
        case Linked():
            return link.tier
        case Ambiguous():
            return Tier.POSSIBLE
        case NotLinked():
            return Tier.NONE


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One of our records that shares a key with a slot, as it is now."""

    person_id: str
    record: Description = field(repr=False)
    levels: Levels
    held_back: bool


@dataclass(frozen=True, slots=True)
class _Opened:
    """A slot that opened, and what there is to weigh it against.

    Attributes:
        slot: Number of the slot.
        content: What lay in it.
        sent: The description among it.
        candidates: Our records that share a key.
        gone: Whether the index names a record that is no longer there.
    """

    slot: int
    content: Content = field(repr=False)
    sent: Description = field(repr=False)
    candidates: tuple[_Candidate, ...]
    gone: bool


def _open(slot: LockedSlot, asked: Asked, hits: Mapping[bytes, Sequence[Hit]], people: People) -> _Opened | Link:
    # 1. Open. All wraps that open must lead to one content.
    mine = {tag: hits[tag] for tag, _ in slot.wraps if tag in hits}
    tokens = {tag: tuple(dict.fromkeys(hit.token for hit in found)) for tag, found in mine.items()}
    try:
        opened = open_slot(
            slot,
            tokens,
            node_id=asked.node_id,
            query_id=asked.query_id,
            core_digest=asked.core_digest,
        )
    except SlotsDisagree:
        return Ambiguous(slot.number, Cause.WRAPS_DISAGREE)
    if opened is None:
        return NotLinked(slot.number)

    # 2. Read what lay in it. The asserted age band is what the policy was told; it must fit the birth date sent.
    try:
        content = parse_content(opened)
        sent = from_bytes(content.description)
    except Problem:
        return Ambiguous(slot.number, Cause.CONTENT)
    # An asker that sends a birth date knows the band; to assert none misleads the broker's policy like a false one.
    hidden = content.age_band == "unknown" != age_band(sent.dob, asked.asked_on)
    if hidden or _contradicts(content, sent, asked):
        return Ambiguous(slot.number, Cause.AGE_BAND, content)

    # 3. Read every candidate as the records have it now. One that is no longer there was deleted or merged since it was
    # indexed: under which number the person is now, nobody knows yet.
    ids = tuple(dict.fromkeys(hit.person_id for found in mine.values() for hit in found))
    try:
        rows = [(person_id, row) for person_id in ids if (row := people.person(person_id)) is not None]
    except Problem:
        return Ambiguous(slot.number, Cause.UNAVAILABLE, content)
    candidates = []
    for person_id, row in rows:
        record = row.described().description
        candidates.append(_Candidate(person_id, record, compare(sent, record), row.shielded or row.withheld))
    return _Opened(slot.number, content, sent, tuple(candidates), len(rows) < len(ids))


def _settle(opened: Sequence[_Opened | Link], asked: Asked, scales: Scales, prior: Prior) -> tuple[Link, ...]:
    """Whom each slot means under one set of weights."""
    links = [_decide(one, asked, scales, prior) if isinstance(one, _Opened) else one for one in opened]
    # Two slots cannot mean one person: at least one of them is somebody else, and nobody knows which.
    meant = [one.person_id for one in links if isinstance(one, Linked)]
    return tuple(
        Ambiguous(one.slot, Cause.SHARED, one.content, one.compared)
        if isinstance(one, Linked) and meant.count(one.person_id) > 1
        else one
        for one in links
    )


def _decide(opened: _Opened, asked: Asked, scales: Scales, prior: Prior) -> Link:
    content, compared = opened.content, tuple(one.levels for one in opened.candidates)
    scored: list[tuple[float, _Candidate]] = []
    for one in opened.candidates:
        common = shared(one.levels, one.record, scales.statistics, scales.key, prior)
        age = age_of(opened.sent.dob or one.record.dob, asked.asked_on)
        scored.append((weigh(one.levels, common, scales.statistics, prior, age), one))
    scored.sort(key=lambda one: (-one[0], one[1].person_id))
    unclear = Ambiguous(opened.slot, Cause.WEAK, content, compared)

    # 4. Nobody comes near: not known here, unless a record has gone.
    if not scored or tier(scored[0][0]) is Tier.NONE:
        return replace(unclear, cause=Cause.RECORD_GONE) if opened.gone else NotLinked(opened.slot, content, compared)
    probability, best = scored[0]
    # 5. Somebody shielded who may be meant: nothing is said, whatever the purpose.
    if any(one.held_back and tier(likely) is not Tier.NONE for likely, one in scored):
        return replace(unclear, cause=Cause.WITHHELD)
    # 6. Two people, or too weak.
    if len(scored) > 1 and scored[1][0] >= PROBABLE:
        return replace(unclear, cause=Cause.TWO_PEOPLE)
    if probability < PROBABLE:
        return unclear
    if opened.gone:
        return replace(unclear, cause=Cause.RECORD_GONE)
    # 7. The record's own birth date must fit the asserted age band too.
    if _contradicts(content, best.record, asked):
        return replace(unclear, cause=Cause.AGE_BAND)
    others = tuple(one.person_id for one in opened.candidates if one is not best)
    return Linked(opened.slot, content, best.person_id, tier(probability), best.record, others, compared)


def _contradicts(content: Content, description: Description, asked: Asked) -> bool:
    """Whether a birth date is of another age band than asserted. An unknown band or date contradicts nothing.

    Save that a child is under eighteen: what was decided about a child of unknown age does not hold for an adult.
    """
    band = age_band(description.dob, asked.asked_on)
    if content.role == "child" and band == "18_plus":
        return True
    return "unknown" not in {band, content.age_band} and band != content.age_band
