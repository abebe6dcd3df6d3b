"""How well people are found: two labelled files through the code that answers real questions, counted against truth.

    left file  -> match keys -> tokens -> index          } under throw-away keys of both key servers,
    right file -> match keys -> tokens -> envelope       } in a temporary folder
               -> opened by the index -> scored -> yes, no or cannot say -> compared with who it truly is

Nothing is left out but the network: tokens are made with both servers' keys at once, which gives the same bytes as
asking them blindly, and faster; on a few people it is done blindly too, compared, and timed.

Every person of the right file is asked about alone. *Yes* is a link that is confirmed or probable. The same is counted
a second time with m learnt from these very files, as a node would learn it (`refit`): a figure that does not count,
since a prior that has seen a set cannot be judged on it, but one that says how much learning could gain.
"""

import asyncio
import datetime
import hashlib
import multiprocessing
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Engine

from accord.canonical import lp, sha256
from accord.identity import FAMILIES, Description, MatchKey, age_band, enough_to_go_on, match_keys, to_bytes
from accord.linkage import FamilyKey, blind, finalise, tag
from accord.sealing import LockedSlot, Slot, open_envelope, seal_envelope
from accord.slot import Content, content_bytes
from agency_node import index
from agency_node.labelled import Labelled
from agency_node.link import Ambiguous, Asked, Link, Linked, Scales, link
from agency_node.mapping import PersonRow
from agency_node.refit import refit
from agency_node.scoring import Levels, Prior, Tier
from agency_node.store import open_store

NODE: Final = "evaluation"
EPOCH: Final = "evaluation"
WORKERS: Final = max(1, min(8, os.cpu_count() or 1))
CHUNK: Final = 500
"""Keys that a worker is given at a time: about a tenth of a second."""
ASKED_TOGETHER: Final = 50
"""People whose tokens are made together; they are asked about one by one all the same."""
BLINDLY: Final = 10
"""People whose tokens are made blindly too."""

NOT_ENOUGH: Final = "not_enough_to_go_on"


@dataclass(frozen=True, slots=True)
class Doing:
    """How far the measurement has come.

    Attributes:
        what: indexing or asking.
        done: People.
        of: People in all.
    """

    what: str
    done: int
    of: int


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a way of deciding is.

    Attributes:
        right: Who was found and is meant.
        wrong: Who was found and is somebody else.
        known: Who should have been found.
    """

    right: int
    wrong: int
    known: int

    @property
    def precision(self) -> float:
        """Share of what was found that is right; 1 when nothing was found."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        """Share of the known who were found."""
        return self.right / self.known if self.known else 1.0

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What was counted, under one prior.

    Attributes:
        prior: Its version.
        yes: Confirmed or probable.
        confirmed: Confirmed alone.
        probable: Probable alone; its recall is what it adds.
        falsely_known: Unknown people of whom it was said that they are known.
        cannot_say: Why nothing could be said -> (known people, unknown people).
        missed: Why it was said of known people that they are not known -> how many.
        families: Whole households: known when anybody in them is. None where no household is given.
        families_falsely_known: Households of which nobody is known, said to be known.
    """

    prior: str
    yes: Quality
    confirmed: Quality
    probable: Quality
    falsely_known: int
    cannot_say: Mapping[str, tuple[int, int]]
    missed: Mapping[str, int]
    families: Quality | None
    families_falsely_known: int


@dataclass(frozen=True, slots=True)
class Report:
    """Everything measured.

    Attributes:
        held: Records of the left file.
        known: People asked about whom a record is there of.
        unknown: People asked about of whom none is.
        unreadable: Field -> rows in either file that have it in a form that cannot be read; it was left out.
        opened: Unknown people whose envelope opened, with anybody's record.
        opened_by_relatives: Those whose envelope opened with records of their own household only.
        shipped: Under the given prior: what counts.
        refitted: Under m learnt from these files, or None where there are too few candidates; does not count.
        tokens_per_person: Tokens of one person asked about, mean.
        index_s_per_thousand: Seconds to index a thousand records, tokens made in worker processes.
        ask_s_per_thousand: Seconds to ask about a thousand people: keys, tokens, envelope, opening, scoring.
        blind_s_per_person: Seconds to make one person's tokens blindly, all parties together, on one core.
    """

    held: int
    known: int
    unknown: int
    unreadable: Mapping[str, int]
    opened: int
    opened_by_relatives: int
    shipped: Figures
    refitted: Figures | None
    tokens_per_person: float
    index_s_per_thousand: float
    ask_s_per_thousand: float
    blind_s_per_person: float


# -- Tokens under throw-away keys -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Seeds of two key servers that live as long as one measurement."""

    broker: bytes = field(repr=False)
    steward: bytes = field(repr=False)

    def keys(self) -> Mapping[str, tuple[FamilyKey, FamilyKey]]:
        """Family id -> the broker's key and the steward's."""
        return {
            family.id: (FamilyKey(self.broker, EPOCH, family.id), FamilyKey(self.steward, EPOCH, family.id))
            for family in FAMILIES
        }


_keys: Mapping[str, tuple[FamilyKey, FamilyKey]] = {}


def _start_worker(pair: KeyPair) -> None:
    global _keys  # noqa: PLW0603 -- a worker process keeps its keys from one call to the next
    _keys = pair.keys()


def _evaluate(inputs: Sequence[tuple[str, bytes]]) -> list[bytes]:
    return [_keys[family][1].direct(_keys[family][0].direct(one)) for family, one in inputs]


class Tokeniser:
    """Makes tokens in worker processes, with the keys of both servers at hand."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        """Use these workers, started with `_start_worker`."""
        self._pool = pool

    async def __call__(self, keys: Sequence[MatchKey]) -> list[bytes]:
        """The tokens of these keys, in their order."""
        inputs = [(key.family, key.input) for key in keys]
        loop = asyncio.get_running_loop()
        chunks = [inputs[start : start + CHUNK] for start in range(0, len(inputs), CHUNK)]
        made = await asyncio.gather(*(loop.run_in_executor(self._pool, _evaluate, chunk) for chunk in chunks))
        return [token for some in made for token in some]


@contextmanager
def tokeniser(pair: KeyPair, workers: int = WORKERS) -> Iterator[Tokeniser]:
    """Worker processes that hold these keys, ended when the block is left."""
    # Started anew, not forked: this process may have threads by now.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker, (pair,)) as pool:
        yield Tokeniser(pool)


def blindly(
    keys: Sequence[MatchKey],
    pair: Mapping[str, tuple[FamilyKey, FamilyKey]],
    random: Callable[[int], bytes],
) -> list[bytes]:
    """The tokens of these keys as they are made between agency and key servers, who see nothing of them.

    Args:
        keys: Of one person.
        pair: From `KeyPair.keys`.
        random: Source of padding; there is none here.
    """
    made: dict[MatchKey, bytes] = {}
    for family, (broker, steward) in pair.items():
        mine = [key for key in keys if key.family == family]
        if not mine:
            continue
        values = [key.input for key in mine]
        for server in (broker, steward):
            blinding, elements = blind(values, random=random)
            evaluated, proof = server.evaluate(elements)
            values = finalise(blinding, evaluated, proof, server.public)
        made.update(zip(mine, values, strict=True))
    return [made[key] for key in keys]


# -- One measurement --------------------------------------------------------------------------------------------------


class _Agency:
    """The left file as an agency's records."""

    def __init__(self, held: Sequence[Labelled]) -> None:
        self._rows = {one.row.person_id: one.row for one in held}

    def people(self) -> Iterable[PersonRow]:
        return self._rows.values()

    def person(self, person_id: str) -> PersonRow | None:
        return self._rows.get(person_id)


@dataclass(frozen=True, slots=True)
class _Question:
    """One person asked about, with what came of it.

    Attributes:
        who: The row of the right file.
        sent: As it was described.
        slots: Of the envelope; none when there was not enough to ask.
        enough: Whether not being found means anything.
        asked: The question.
        candidates: Numbers of the records that share a key.
    """

    who: Labelled
    sent: Description
    slots: tuple[LockedSlot, ...]
    enough: bool
    asked: Asked
    candidates: tuple[str, ...]


def evaluate(
    left: Sequence[Labelled],
    right: Sequence[Labelled],
    prior: Prior,
    *,
    base: Prior | None = None,
    folder: Path,
    on: datetime.date,
    at_ns: int,
    random: Callable[[int], bytes] = os.urandom,
    workers: int = WORKERS,
    progress: Callable[[Doing], None] = lambda _: None,
) -> Report:
    """Measure.

    Args:
        left: Records that an agency holds.
        right: Who is asked about.
        prior: What counts.
        base: The weights that ship, where `prior` is another: it is held to them, as it would be in force.
        folder: An empty folder for the index; it holds tokens when this ends, so it should be a temporary one.
        on: The day of the questions: age bands count from it.
        at_ns: Now, nanoseconds since 1970.
        random: Source of keys, padding and order.
        workers: Processes that make tokens.
        progress: Told after every few people.

    Raises:
        accord.reasons.Problem: The temporary state cannot be written.
    """
    pair = KeyPair(random(32), random(32))
    engine = open_store(folder / "state.db")
    try:
        with tokeniser(pair, workers) as tokens:
            started = time.perf_counter()
            agency = _Agency(left)
            asyncio.run(_build(engine, agency, tokens, len(left), at_ns, random, progress))
            indexed = time.perf_counter()
            found = index.TokenIndex(engine)
            read = found.statistics()
            if read is None:
                raise RuntimeError("a full pass left no statistics")
            scales = Scales(*read, prior, base)
            questions = asyncio.run(_ask(right, found, tokens, on, random, progress))
            links = [_linked(one, found, agency, scales) for one in questions]
            ended = time.perf_counter()
            blind_s = _time_blindly(questions, pair, tokens, random)
        truths = {one.row.person_id: one for one in left}
        shipped = _count(questions, links, truths, prior.version)
        refitted = None
        learnt = refit(_compared(links), read[0], base or prior, prior, on.isoformat()).after
        if learnt is not None:
            own = replace(scales, prior=learnt, shipped=base or prior)
            again = [_linked(one, found, agency, own) for one in questions]
            refitted = _count(questions, again, truths, learnt.version)
    finally:
        engine.dispose()
    held = {one.truth for one in left}
    unknown = [one for one in questions if one.who.truth not in held]
    opened = [one for one in unknown if one.candidates]
    unreadable = Counter(name for one in (*left, *right) for name in one.row.described().unreadable)
    return Report(
        held=len(left),
        known=len(questions) - len(unknown),
        unknown=len(unknown),
        unreadable=dict(unreadable),
        opened=len(opened),
        opened_by_relatives=sum(_relatives_only(one, truths) for one in opened),
        shipped=shipped,
        refitted=refitted,
        tokens_per_person=_mean([len(match_keys(one.sent)) for one in questions]),
        index_s_per_thousand=(indexed - started) / max(1, len(left)) * 1000,
        ask_s_per_thousand=(ended - indexed) / max(1, len(right)) * 1000,
        blind_s_per_person=blind_s,
    )


async def _build(
    engine: Engine,
    agency: _Agency,
    tokens: Tokeniser,
    people: int,
    at_ns: int,
    random: Callable[[int], bytes],
    progress: Callable[[Doing], None],
) -> None:
    await index.build(
        engine,
        agency,
        tokens,
        node_id=NODE,
        terms=index.Terms(EPOCH, sha256(b"throw-away keys").hex()),
        at_ns=at_ns,
        progress=lambda now: progress(Doing("indexing", now.changed, people)),
        random=random,
    )


async def _ask(
    right: Sequence[Labelled],
    found: index.TokenIndex,
    tokens: Tokeniser,
    on: datetime.date,
    random: Callable[[int], bytes],
    progress: Callable[[Doing], None],
) -> list[_Question]:
    private = X25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    questions: list[_Question] = []
    for start in range(0, len(right), ASKED_TOGETHER):
        some = right[start : start + ASKED_TOGETHER]
        described = [one.row.described().description for one in some]
        keys = [match_keys(one) for one in described]
        made = iter(await tokens([key for mine in keys for key in mine]))
        for who, sent, mine in zip(some, described, keys, strict=True):
            number = len(questions)
            asked = Asked(
                NODE, f"question-{number}", hashlib.sha256(lp(b"core", number.to_bytes(8, "big"))).digest(), on
            )
            own = [next(made) for _ in mine]
            questions.append(_pose(who, sent, own, enough_to_go_on(mine), asked, found, private, public, random))
        progress(Doing("asking", len(questions), len(right)))
    return questions


def _pose(
    who: Labelled,
    sent: Description,
    tokens: Sequence[bytes],
    enough: bool,
    asked: Asked,
    found: index.TokenIndex,
    private: X25519PrivateKey,
    public: bytes,
    random: Callable[[int], bytes],
) -> _Question:
    """Seal one person into an envelope and take it apart as the node does."""
    if not tokens:
        return _Question(who, sent, (), enough, asked, ())
    band = age_band(sent.dob, asked.asked_on)
    role = "other_adult" if band in {"18_plus", "unknown"} else "child"
    slot = Slot(tokens, content_bytes(Content("s1", to_bytes(sent), role, band, (), None)))
    payload = seal_envelope(
        [slot], node_id=NODE, query_id=asked.query_id, core_digest=asked.core_digest, public=public, random=random
    )
    slots = open_envelope(payload, private=private, core_digest=asked.core_digest)
    hits = found.candidates([tag(token, NODE) for token in tokens])
    candidates = tuple(dict.fromkeys(hit.person_id for some in hits.values() for hit in some))
    # The slots of padding are looked up by the node too; they are not kept, or a large file would fill the memory.
    mine = {tag(token, NODE) for token in tokens}
    kept = tuple(one for one in slots if any(name in mine for name, _ in one.wraps))
    return _Question(who, sent, kept, enough, asked, candidates)


def _linked(question: _Question, found: index.TokenIndex, agency: _Agency, scales: Scales) -> Link | None:
    """What the node makes of it; None when it was not asked."""
    if not question.slots:
        return None
    (one,) = link(question.slots, question.asked, found, agency, scales)
    return one


def _compared(links: Sequence[Link | None]) -> Counter[Levels]:
    return Counter(levels for one in links if one is not None for levels in one.compared)


def _time_blindly(
    questions: Sequence[_Question], pair: KeyPair, tokens: Tokeniser, random: Callable[[int], bytes]
) -> float:
    some = [one for one in questions if one.slots][:BLINDLY]
    if not some:
        return 0.0
    keys = [key for one in some for key in match_keys(one.sent)]
    at_hand = pair.keys()
    started = time.perf_counter()
    made = [token for one in some for token in blindly(match_keys(one.sent), at_hand, random)]
    taken = time.perf_counter() - started
    if made != asyncio.run(tokens(keys)):
        raise RuntimeError("tokens made blindly are not those that were measured with")
    return taken / len(some)


# -- Counting ---------------------------------------------------------------------------------------------------------


def _count(
    questions: Sequence[_Question], links: Sequence[Link | None], truths: Mapping[str, Labelled], version: str
) -> Figures:
    held = {one.truth for one in truths.values()}
    right: Counter[Tier] = Counter()
    wrong: Counter[Tier] = Counter()
    cannot: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    missed: Counter[str] = Counter()
    homes: dict[str, list[bool]] = defaultdict(lambda: [False, False])
    known = falsely = 0
    for question, found in zip(questions, links, strict=True):
        is_known = question.who.truth in held
        known += is_known
        said_yes = isinstance(found, Linked)
        if isinstance(found, Linked):
            meant = truths[found.person_id].truth == question.who.truth
            (right if meant else wrong)[found.tier] += 1
            falsely += not is_known
        elif isinstance(found, Ambiguous):
            cannot[found.cause.value][not is_known] += 1
        elif not question.enough:
            # The asking side says no of nobody whom there were too few ways of finding.
            cannot[NOT_ENOUGH][not is_known] += 1
        elif is_known:
            shared = any(truths[one].truth == question.who.truth for one in question.candidates)
            missed["too_unlike" if shared else "no_key_shared"] += 1
        if question.who.household:
            home = homes[question.who.household]
            home[0] |= is_known
            home[1] |= said_yes
    right_homes = sum(is_known and said for is_known, said in homes.values())
    wrong_homes = sum(said and not is_known for is_known, said in homes.values())
    known_homes = sum(is_known for is_known, _ in homes.values())
    return Figures(
        prior=version,
        yes=Quality(right.total(), wrong.total(), known),
        confirmed=Quality(right[Tier.CONFIRMED], wrong[Tier.CONFIRMED], known),
        probable=Quality(right[Tier.PROBABLE], wrong[Tier.PROBABLE], known),
        falsely_known=falsely,
        cannot_say={cause: (counts[0], counts[1]) for cause, counts in sorted(cannot.items())},
        missed=dict(missed),
        families=Quality(right_homes, wrong_homes, known_homes) if homes else None,
        families_falsely_known=wrong_homes,
    )


def _relatives_only(question: _Question, truths: Mapping[str, Labelled]) -> bool:
    home = question.who.household
    return bool(home) and all(truths[one].household == home for one in question.candidates)


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values) if values else 0.0
