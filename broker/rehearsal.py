"""Make recorded decisions again: by the rules of their time, or by a draft of other rules.

    recorded decisions -> replay   -> nothing may differ (T-POL-6)
    recorded decisions -> rehearse -> who would gain, who would lose: asking agency x holding agency x question x
                                      purpose x gateway, with the numbers of some decisions to look at

* Each decision is made at its own time: the rules have no clock, their input has.
* What an input says of agencies comes from the bundle that decides, so a draft that suspends an agency shows that too.
* The embedded engine decides, in this process; nothing is asked, recorded or released.
* An input that was erased, or that is not what its record says it was, is counted and never guessed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from accord.bundle import BadBundle, Bundle, open_bundle
from accord.canonical import encode, sha256
from accord.reasons import Problem
from accord.statement import Target
from broker.decide import Rules, decide, load, rebased
from broker.engines.regorus import Regorus
from broker.ledger import decided_fields
from broker.store.decisions import Recorded

ENGINE: Final = partial(Regorus, timeout_s=30.0)
"""Nobody waits for an answer here, so a decision is given more time than while a question is carried."""
SAMPLES: Final = 5
"""Most decisions named for one kind of change."""

Progress = Callable[[int], None]
"""Told how many decisions were looked at."""


def unheard(_: int) -> None:
    """The progress of whoever wants only the result."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of making decisions again by the rules of their time.

    Attributes:
        same: How many came out the same, word for word.
        differ: Positions of the records of those that did not.
        altered: Positions of the records whose input is not the one they name.
        erased: How many can no longer be made again.
        unknown_rules: Revisions whose rules are not kept, or not signed by a key that still counts -> how many.
    """

    same: int
    differ: tuple[int, ...]
    altered: tuple[int, ...]
    erased: int
    unknown_rules: Mapping[str, int]

    @property
    def sound(self) -> bool:
        """Whether every decision that could be made again came out the same."""
        return not (self.differ or self.altered or self.unknown_rules)


@dataclass(slots=True)
class Change:
    """What a draft would change for one kind of question.

    Attributes:
        requester: The asking agency.
        holder: The agency asked.
        question: The question.
        purpose: For what.
        gateway: Under which law.
        gained: Decisions by which the question would now go there, or be asked about more people.
        lost: Decisions by which it would no longer, or about fewer.
        otherwise: Decisions that differ in what is answered, or on what ground or with what duties.
        because: The denials that would now stand in the way, or no longer -> how often.
        samples: Identifiers of some of these decisions, first of those that gain or lose.
    """

    requester: str
    holder: str
    question: str
    purpose: str
    gateway: str
    gained: int = 0
    lost: int = 0
    otherwise: int = 0
    because: dict[str, int] = field(default_factory=dict)
    samples: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What a draft would have done.

    Attributes:
        in_force: Revision that it is compared with.
        draft: Its revision.
        decisions: How many decisions were made again.
        unchanged: How many of them came out the same for every agency.
        changes: Those that gain or lose most first.
        erased: How many can no longer be made again.
        altered: Positions of the records whose input is not the one they name.
    """

    in_force: str
    draft: str
    decisions: int
    unchanged: int
    changes: tuple[Change, ...]
    erased: int
    altered: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Case:
    """A recorded decision, read.

    Attributes:
        targets: Agency -> what was decided for it, as it stands in the record.
    """

    document: Mapping[str, Any]
    input: bytes
    decision_id: str
    revision: str
    targets: Mapping[str, Any]


class RulesNotKept(Problem):
    """The rules in force are not kept with the ledger, or their signature no longer counts."""

    reason = "BAD_BUNDLE"
    cure = "Start the broker once with its policy bundle; it keeps what it puts in force."


class Kept:
    """The rules that were ever in force, each loaded at its first use, on the embedded engine."""

    def __init__(
        self, bundles: Mapping[str, bytes], public_keys: Mapping[str, EllipticCurvePublicKey], current: str
    ) -> None:
        """Load nothing yet.

        Args:
            bundles: Revision -> signed archive.
            public_keys: Key identifier -> key of those who may sign policy.
            current: The revision in force.
        """
        self._bundles = bundles
        self._public_keys = public_keys
        self._current = current
        self._loaded: dict[str, Rules | None] = {}
        self._opened: dict[str, Bundle] = {}

    def get(self, revision: str) -> Rules | None:
        """The rules of a revision; None where they are not kept, or not as they were signed."""
        if revision not in self._loaded:
            self._loaded[revision] = self._load(revision)
        return self._loaded[revision]

    def in_force(self) -> Rules:
        """The rules in force.

        Raises:
            RulesNotKept: They are not to be had.
        """
        found = self.get(self._current)
        if found is None:
            raise RulesNotKept("the rules in force are not kept with the ledger")
        return found

    def files_in_force(self) -> Bundle:
        """The rules in force as files.

        Raises:
            RulesNotKept: They are not to be had.
        """
        return self._opened[self.in_force().revision]

    def close(self) -> None:
        """Stop their engines."""
        for rules in self._loaded.values():
            if rules is not None:
                rules.engine.close()

    def _load(self, revision: str) -> Rules | None:
        try:
            opened = open_bundle(self._bundles.get(revision, b""), self._public_keys)
        except BadBundle:
            return None
        if opened.revision != revision:
            return None
        self._opened[revision] = opened
        return load(opened, ENGINE)


async def replay(
    recorded: Iterable[Recorded], rules: Callable[[str], Rules | None], progress: Progress = unheard
) -> Replayed:
    """Make decisions again by the rules of their time.

    Args:
        recorded: The decisions.
        rules: Gives the rules of a revision, on the embedded engine; None where they are not to be had.
        progress: Told now and then how far it has come.

    Raises:
        PolicyUnavailable: The engine failed, so that nothing can be said.
        PolicyUndefined: As above.
        PolicyError: As above.
    """
    same, erased = 0, 0
    differ: list[int] = []
    altered: list[int] = []
    unknown: Counter[str] = Counter()
    for number, one in enumerate(recorded, start=1):
        progress(number)
        case = _read(one)
        if case is None:
            erased += 1
        elif isinstance(case, str):
            altered.append(one.index)
        elif (used := rules(case.revision)) is None:
            unknown[case.revision] += 1
        elif await _words(case, used, case.input) == case.targets:
            same += 1
        else:
            differ.append(one.index)
    return Replayed(same, tuple(differ), tuple(altered), erased, dict(unknown))


async def rehearse(
    recorded: Iterable[Recorded], in_force: Rules, draft: Rules, progress: Progress = unheard
) -> Rehearsed:
    """Make decisions again by the rules in force and by a draft, and compare.

    A decision that was made by other rules than those in force is made again by these first: what is told is what the
    draft changes, and nothing that was changed before.

    Args:
        recorded: The decisions.
        in_force: The rules in force, on the embedded engine.
        draft: The rules that may come, on the embedded engine.
        progress: Told now and then how far it has come.

    Raises:
        PolicyUnavailable: An engine failed, so that nothing can be said.
        PolicyUndefined: As above.
        PolicyError: As above.
    """
    unchanged, erased, made = 0, 0, 0
    altered: list[int] = []
    changes: dict[tuple[str, ...], Change] = {}
    for number, one in enumerate(recorded, start=1):
        progress(number)
        case = _read(one)
        if case is None:
            erased += 1
            continue
        if isinstance(case, str):
            altered.append(one.index)
            continue
        made += 1
        before = case.targets
        if case.revision != in_force.revision:
            before = await _words(case, in_force, rebased(case.document, in_force))
        after = await _words(case, draft, rebased(case.document, draft))
        if before == after:
            unchanged += 1
            continue
        for agency in sorted(before):
            if before[agency] != after[agency]:
                _note(changes, case, agency, before[agency], after[agency])
    ordered = sorted(changes.values(), key=lambda one: (-(one.gained + one.lost), -one.otherwise, one.holder))
    return Rehearsed(in_force.revision, draft.revision, made, unchanged, tuple(ordered), erased, tuple(altered))


def _read(one: Recorded) -> _Case | str | None:
    """A recorded decision; None once it was erased, and a word where the input is not the one recorded."""
    if not (one.input and one.body):
        return None
    body = json.loads(one.body)
    if sha256(one.input).hex() != body["input"]:
        return "altered"
    targets = {row["agency"]: row for row in body["targets"]}
    return _Case(json.loads(one.input), one.input, body["decision_id"], body["policy"], targets)


async def _words(case: _Case, rules: Rules, document: bytes) -> dict[str, Any]:
    """What these rules decide, in the form in which it is recorded: agency -> row."""
    decision = await decide(rules, document, targets_of(case.document), case.decision_id)
    # Through the record's own form, so that a list and a tuple are the same.
    rows = json.loads(encode(decided_fields(decision)))["targets"]
    return {row["agency"]: row for row in rows}


def targets_of(document: Mapping[str, Any]) -> list[Target]:
    """The targets of an input."""
    return [
        Target(
            row["responder"]["agency_id"],
            row["gateway_id"],
            row["art6"],
            row["art9"],
            row["sch1"],
            row["crime"],
            row["isa_id"],
        )
        for row in document["targets"]
    ]


def _note(
    changes: dict[tuple[str, ...], Change],
    case: _Case,
    agency: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> None:
    request = case.document["request"]
    key = (
        case.document["requester"]["agency_id"],
        agency,
        request["question_id"],
        request["purpose"],
        before["gateway"],
    )
    change = changes.setdefault(key, Change(*key))
    had, has = (set(row["subjects"]) if row["allow"] else set() for row in (before, after))
    if has - had:
        change.gained += 1
    if had - has:
        change.lost += 1
    if had == has:
        change.otherwise += 1
    for code in {row["code"] for row in before["denials"]} ^ {row["code"] for row in after["denials"]}:
        change.because[code] = change.because.get(code, 0) + 1
    # Those that gain or lose are worth looking at before the others.
    change.samples.insert(len(change.samples) if had == has else 0, case.decision_id)
    del change.samples[SAMPLES:]
