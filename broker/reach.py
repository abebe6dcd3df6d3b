"""What rules would allow that nobody may have asked yet: every way a question could go, and what it would take.

    rules -> reach -> asking agency x holding agency x question x purpose x gateway -> what is demanded of whoever asks
    reach of the rules in force, reach of a draft -> compare -> ways that open, close, become easier or harder

* For each way a question is made up that states everything that can be stated, and is decided by the rules themselves;
  then one thing after the other is left out. What cannot be left out is demanded.
* Nothing of this is asked or recorded, and no recorded question is needed for it.
* It looks at one thing left out at a time, on one family (a child and its mother, or the child alone) and one instant:
  it shows what a change of rules does, and is no proof of what rules never do.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from accord.bundle import Bundle
from accord.catalogue import Question
from broker.decide import DATA, Rules, decide, rebased
from broker.rehearsal import Progress, targets_of, unheard

ID: Final = "01890000-0000-7000-8000-000000000000"
"""Number of every question made up here."""
_STAFF: Final = "a" * 64
_SENIOR: Final = "b" * 64
_WEEK_S: Final = 7 * 86_400
_BASES: Final = ("c", "e", "d", "ea", "a", "f", "part3")
"""Lawful bases of UK GDPR Article 6(1), in the order in which they are tried; part3 is Part 3 of the Data Protection
Act 2018."""

Document = dict[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Way:
    """A way a question could go."""

    requester: str
    holder: str
    question: str
    purpose: str
    gateway: str


Reach = Mapping[Way, frozenset[str]]
"""Each way that is open -> what is demanded, in words."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What a draft would do to one way.

    Attributes:
        way: Which.
        verdict: opens, closes, easier, harder, or otherwise (easier in one thing and harder in another).
        added: What would be demanded that is not now; of a way that opens, everything that would be.
        dropped: What is demanded now and would not be; of a way that closes, everything that is.
    """

    way: Way
    verdict: str
    added: tuple[str, ...]
    dropped: tuple[str, ...]


def compare(now: Reach, then: Reach) -> tuple[Difference, ...]:
    """What differs between two sets of rules, what opens or becomes easier first."""
    found = []
    for way in sorted(now.keys() | then.keys()):
        before, after = now.get(way), then.get(way)
        if before == after:
            continue
        none: frozenset[str] = frozenset()
        added, dropped = (after or none) - (before or none), (before or none) - (after or none)
        if before is None:
            verdict = "opens"
        elif after is None:
            verdict = "closes"
        else:
            verdict = "otherwise" if added and dropped else "easier" if dropped else "harder"
        found.append(Difference(way, verdict, tuple(sorted(added)), tuple(sorted(dropped))))
    order = ("opens", "easier", "otherwise", "harder", "closes")
    return tuple(sorted(found, key=lambda one: (order.index(one.verdict), one.way)))


@dataclass(frozen=True, slots=True)
class Only:
    """What to look at; everything where left out.

    Attributes:
        questions: Identifiers of questions.
        purposes: Identifiers of purposes.
        requesters: Asking agencies.
    """

    questions: Collection[str] = ()
    purposes: Collection[str] = ()
    requesters: Collection[str] = ()


EVERYTHING: Final = Only()


def combinations(rules: Rules, bundle: Bundle, only: Only = EVERYTHING) -> int:
    """How many combinations `reach` tries."""
    return sum(1 for _ in _combinations(rules, json.loads(bundle.files[DATA]), only))


async def reach(
    rules: Rules, bundle: Bundle, at_ns: int, only: Only = EVERYTHING, progress: Progress = unheard
) -> Reach:
    """Every way that is open, and what it demands.

    Args:
        rules: The rules, on the embedded engine.
        bundle: The same rules as files.
        at_ns: The instant at which is asked, nanoseconds since 1970.
        only: What to look at.
        progress: Told now and then how many combinations were tried.

    Raises:
        PolicyUnavailable: The engine failed, so that nothing can be said.
        PolicyUndefined: As above.
        PolicyError: As above.
    """
    data = json.loads(bundle.files[DATA])
    found: dict[Way, set[str]] = {}
    for number, (question, purpose, gateway, requester) in enumerate(_combinations(rules, data, only), start=1):
        progress(number)
        full = _everything_stated(question, purpose, gateway, requester, data, at_ns)
        if not full["targets"]:
            continue
        open_to = await _allowed(full, rules)
        for holder in open_to:
            found[Way(requester, holder, question.id, purpose, gateway)] = set()
        if not open_to:
            continue
        for words, less in _with_less(full, data):
            for holder in open_to - await _allowed(less, rules):
                found[Way(requester, holder, question.id, purpose, gateway)].add(words)
    return {way: frozenset(_strongest(words)) for way, words in found.items()}


def _combinations(rules: Rules, data: Mapping[str, Any], only: Only) -> Iterator[tuple[Question, str, str, str]]:
    for question in rules.catalogue.questions.values():
        for purpose in question.purposes:
            for gateway in sorted(data["purposes"][purpose]["gateways"]):
                for requester in sorted(data["agencies"]):
                    if (
                        question.id in (only.questions or (question.id,))
                        and purpose in (only.purposes or (purpose,))
                        and requester in (only.requesters or (requester,))
                    ):
                        yield question, purpose, gateway, requester


async def _allowed(document: Document, rules: Rules) -> frozenset[str]:
    decision = await decide(rules, rebased(document, rules), targets_of(document), ID)
    return frozenset(agency for agency, word in decision.by_target.items() if word.allow)


# -- A question that states everything --------------------------------------------------------------------------------


def _everything_stated(
    question: Question, purpose_id: str, gateway_id: str, requester: str, data: Mapping[str, Any], at_ns: int
) -> Document:
    purpose, gateway, limits = data["purposes"][purpose_id], data["gateways"][gateway_id], data["limits"]
    subjects = _subjects(question) if purpose["about_people"] else []
    pressing = purpose["break_glass"]
    grounds = [*gateway["break_glass_grounds"], *limits["break_glass_grounds"]]
    holders = [one for one in question.owners if one != requester]
    return {
        "schema_version": 1,
        "entrypoint": "query",
        "request": {
            "at": at_ns,
            "id": ID,
            "question_id": question.id,
            "question_version": question.version,
            "subject_kind": "none" if not subjects else "family" if len(subjects) > 1 else "person",
            "answer_form": question.answer,
            "purpose": purpose_id,
            "need_tier": purpose["max_tier"] if purpose["tier_required"] else None,
            "urgency": "immediate" if pressing else "routine",
            "necessity_code": _first(limits["necessity_codes"]),
            "necessity_digest": None,
            "views_sought": "yes",
            "proportionality_code": _first(limits["proportionality_codes"]),
            "significant_harm_asserted": True,
            "public_task_stated": True,
            "dea_objective": _first(limits["dea_objectives"]) if gateway["needs_objective"] else None,
            "case_token": "c" * 64 if subjects else None,
            "watch_until": None,
            "model_id": _first({id_: 0 for id_, row in data["models"].items() if question.id in row["questions"]}),
        },
        "requester": {"agency_id": requester},
        "targets": [_target(one, question, purpose_id, gateway, requester, data) for one in holders],
        "user": {
            "token": _STAFF,
            "role": max(data["roles"], key=lambda role: (data["roles"][role]["may_ask"], data["roles"][role]["rank"])),
            "aal": 3,
            "phishing_resistant": True,
            "auth_age_s": 60,
            "supervisor_token": _SENIOR,
        },
        "subjects": subjects,
        "agreements": [_agreement(one, question, purpose_id, requester, holders, at_ns) for one in subjects],
        "told": {"state": "told", "reason": "none", "review_at_ns": None},
        "escalation": _takeover(data) if purpose["may_escalate"] else None,
        "break_glass": {
            "claimed": pressing,
            "ground": grounds[0] if pressing and grounds else "none",
            "supervisor_notified": pressing,
        },
        "state": {
            "user_subjects_today": 0,
            "subject_askings_30d": 0,
            "break_glass_overdue": 0,
            "case": "open",
            "ledger": "fresh",
            "revision": "0" * 64,
        },
        "local": None,
    }


def _first(listed: Mapping[str, Any]) -> str | None:
    return min(listed, default=None)


def _subjects(question: Question) -> list[Document]:
    child = {
        "ref": "s1",
        "role": "child",
        "age_band": "10_15",
        "concerns_unborn": False,
        "competence": "not_assessed",
        "relates_to_child": False,
        "consistent_id": "unknown",
    }
    mother = child | {
        "ref": "s2",
        "role": "parent",
        "age_band": "18_plus",
        "competence": "n_a",
        "relates_to_child": True,
    }
    return [child, mother] if "family" in question.subjects else [child]


def _target(
    holder: str, question: Question, purpose: str, gateway: Mapping[str, Any], requester: str, data: Mapping[str, Any]
) -> Document:
    row, conditions = data["agencies"][holder], data["limits"]["sch1_conditions"]
    charity = any(one["id"] == "non_public" for one in row["characters"])
    bases = [
        one
        for one in _BASES
        if gateway["art6"].get(one) and (one == "part3") == (row["regime"] == "part3") and (one != "e" or not charity)
    ]
    article9 = _first(conditions) if question.sensitivity in {"special", "sensitive_service"} else None
    shared = data["isa_index"].get(requester, {}).get(holder, [])
    fitting = [
        one
        for one in shared
        if data["isa"][one]["questions"].get(question.id) and data["isa"][one]["purposes"].get(purpose)
    ]
    return {
        "responder": {"agency_id": holder},
        "gateway_id": gateway["id"],
        "art6": bases[0] if bases else "e",
        "art9": article9 or "none",
        "sch1": conditions[article9][0] if article9 else "none",
        "crime": "official_authority" if question.sensitivity == "criminal" else "none",
        "isa_id": [*fitting, *shared, "none"][0],
    }


def _agreement(
    subject: Document, question: Question, purpose: str, requester: str, holders: Sequence[str], at_ns: int
) -> Document:
    return {
        "record_id": ID,
        "subject_ref": subject["ref"],
        "kind": "service_agreement",
        "state": "ConsentGiven",
        "given_by": "parent" if subject["role"] == "child" else "self",
        "questions": [question.id],
        "purposes": [purpose],
        "requesters": [requester],
        "responders": list(holders),
        "valid_from_ns": at_ns - 1,
        "valid_to_ns": None,
        "withdrawn_at_ns": None,
        "objection": "none",
        "ledger_index": 0,
    }


def _takeover(data: Mapping[str, Any]) -> Document | None:
    gateways = sorted(data["gateways"].items())
    agreed = [id_ for id_, row in gateways if row["type"] == "agreement" and "a" not in row["art6"]]
    code = _first(data["limits"]["escalation_codes"])
    if not agreed or code is None:
        return None
    return {"manager_token": _SENIOR, "replaces_gateway": agreed[0], "reason_code": code, "ledger_index": 0}


# -- One thing left out -----------------------------------------------------------------------------------------------

TIER: Final = "a level of need of {} or above"
ROLE: Final = "a higher role than {}"
AGREED: Final = "the family's agreement"
EITHER: Final = "the family's agreement, or a manager who takes the question over"

_ADULT: Final = {"role": "other_adult", "age_band": "18_plus", "relates_to_child": False, "competence": "n_a"}
_LEFT_OUT: Final[Mapping[str, Callable[[Document], None]]] = {
    AGREED: lambda one: one.update(agreements=[]),
    EITHER: lambda one: one.update(agreements=[], escalation=None),
    "a case": lambda one: one["request"].update(case_token=None),
    "a case that is not closed": lambda one: one["state"].update(case="closed"),
    "why the answer is needed": lambda one: one["request"].update(necessity_code=None),
    "the family's views, or why they were not sought": lambda one: one["request"].update(views_sought="no"),
    "why it is in proportion": lambda one: one["request"].update(proportionality_code=None),
    "a statement of significant harm": lambda one: one["request"].update(significant_harm_asserted=False),
    "a statement that a public task needs it": lambda one: one["request"].update(public_task_stated=False),
    "a stated objective": lambda one: one["request"].update(dea_objective=None),
    "that the family is told, or why not": lambda one: one["told"].update(state="n_a"),
    "a sign-in by two factors": lambda one: one["user"].update(aal=1),
    "a sign-in of this week": lambda one: one["user"].update(auth_age_s=_WEEK_S),
    "another member of staff": lambda one: one["user"].update(supervisor_token=None),
    "a child in the question": lambda one: one.update(subjects=[person | _ADULT for person in one["subjects"]]),
    "witnesses that are heard": lambda one: one["state"].update(ledger="grace"),
}
"""What is demanded -> how a question looks without it."""


def _with_less(full: Document, data: Mapping[str, Any]) -> Iterator[tuple[str, Document]]:
    """Questions each of which lacks one thing, with what that is."""
    for words, leave_out in _LEFT_OUT.items():
        less = copy.deepcopy(full)
        leave_out(less)
        if less != full:
            yield words, less
    highest = full["request"]["need_tier"] or 1
    for tier in range(2, highest + 1):
        less = copy.deepcopy(full)
        less["request"]["need_tier"] = tier - 1
        yield TIER.format(tier), less
    for role, row in sorted(data["roles"].items()):
        if row["may_ask"] and role != full["user"]["role"]:
            less = copy.deepcopy(full)
            less["user"]["role"] = role
            yield ROLE.format(role.replace("_", " ")), less


def _strongest(words: set[str]) -> set[str]:
    """Without what follows from something else that is demanded: of levels the highest, of agreement the narrower."""
    tiers = sorted(one for one in words if one.startswith(TIER.partition("{")[0]))
    return words - set(tiers[:-1]) - ({EITHER} if AGREED in words else set())
