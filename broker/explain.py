"""Say in plain words why a question was allowed or refused, from what was recorded about it and the rules of its time.

    query id -> its records + the rules that decided -> for each agency: the ground relied on, what was found for it,
                what was missing and what would cure it, the agreements used, what became of the question there

* Everything comes from the ledger and from the bundle of that revision: nothing is decided again, nothing guessed.
* What an agency answered is never said, nor whether it knows anybody: the broker cannot read it, and this does not try.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from sqlalchemy import Connection

from accord.bundle import BadBundle, Bundle, open_bundle
from accord.catalogue import PATH as CATALOGUE
from accord.catalogue import parse
from accord.reasons import REASONS, Problem
from broker.decide import DATA
from broker.stages import NotYourQuestion, User
from broker.store import decisions, state, tree
from broker.store.tree import StoredEntry

GROUNDS: Final[Mapping[str, str]] = {
    "duty": "a duty to share",
    "power": "a power to share",
    "common_law": "common law",
    "agreement": "the family's agreement",
    "vital_interest": "vital interest",
    "sharing_agreement": "a sharing agreement between the two agencies",
}
"""What a ground that was found is called."""
ENDS: Final[Mapping[str, str]] = {
    "RELEASED": "answered",
    "REFUSED": "refused",
    "ABANDONED": "broken off: nothing was released",
    "": "on its way",
}
OVERSEERS: Final = frozenset({"manager", "dpo", "auditor"})
"""Roles that may read why any question of their own agency was allowed or refused."""
WENT: Final[Mapping[str, str]] = {
    "ANSWERED": "The agency answered.",
    "NOT_REACHED": "The agency was not reached. That is not a no.",
    "REFUSED": "The agency was not asked, or what it said was not released.",
    "": "Nothing is recorded yet.",
}


class NoSuchQuestion(Problem):
    """The ledger has no question of this number."""

    reason = "QUESTION_UNKNOWN"
    cure = "Check the number: it stands on the answer and in the log of whoever asked."


@dataclass(frozen=True, slots=True)
class Missing:
    """What stood in the way.

    Attributes:
        code: For programs.
        reason: What was missing.
        cure: What would put it right.
        contact: Whom to ask.
        ref: Whom of the question it concerns, s1 to s12; empty where it concerns the question.
    """

    code: str
    reason: str
    cure: str
    contact: str
    ref: str = ""


@dataclass(frozen=True, slots=True)
class Agency:
    """What was decided for one agency, and what became of the question there.

    Attributes:
        agency: Its identifier.
        title: Its name.
        allowed: Whether the question might go there.
        gateway: The law that was claimed, in words.
        source: Where its text was read, and whether somebody checked it.
        found: Grounds that were found.
        missing: What was missing; empty when allowed.
        agreements: Numbers of the family's agreements that were relied on.
        duties: What the decision demanded besides.
        went: What became of it there; never what was answered.
    """

    agency: str
    title: str
    allowed: bool
    gateway: str
    source: str
    found: tuple[str, ...]
    missing: tuple[Missing, ...]
    agreements: tuple[str, ...]
    duties: Mapping[str, str]
    went: str


@dataclass(frozen=True, slots=True)
class Explained:
    """Why a question was allowed or refused.

    Attributes:
        query_id: Its number.
        asked_at: RFC 3339.
        agency: Who asked.
        question: In words.
        purpose: In words.
        policy: The revision that decided.
        end: What became of it as a whole.
        cause: Why it was broken off, for programs; else empty.
        agencies: In order; empty where there was no decision.
    """

    query_id: str
    asked_at: str
    agency: str
    question: str
    purpose: str
    policy: str
    end: str
    cause: str
    agencies: tuple[Agency, ...]


def may_read(connection: Connection, query_id: str, user: User) -> None:
    """Let somebody read why: whoever asked it, or who oversees the questions of the agency that asked.

    Raises:
        NoSuchQuestion: There is none, or another agency asked it: which questions others ask is not told.
        NotYourQuestion: Somebody else of the same agency asked it.
    """
    found = state.question(connection, query_id)
    if found is None or found.agency != user.agency:
        raise NoSuchQuestion("no question of this number was asked by this agency")
    if found.user != user.token and user.role not in OVERSEERS:
        raise NotYourQuestion(f"question {query_id} was asked by another user")


def read(connection: Connection, query_id: str, trusted: Mapping[str, EllipticCurvePublicKey]) -> Explained:
    """Explain a question from the ledger.

    Args:
        connection: Of the ledger.
        query_id: Its number.
        trusted: Key identifier -> key of those who may sign policy. Where the rules that decided are not kept, or not
            signed by one of them, identifiers stand for words.

    Raises:
        NoSuchQuestion: There is none of this number, or it was erased.
    """
    records = tree.entries_of(connection, query_id)
    rules = None
    for one in records:
        if one.kind == "ASKED" and one.body:
            with contextlib.suppress(BadBundle):
                rules = open_bundle(decisions.bundle(connection, json.loads(one.body)["policy"]), trusted)
    return explain(records, rules)


def explain(records: Sequence[StoredEntry], rules: Bundle | None) -> Explained:
    """Explain a question.

    Args:
        records: All records of it, in the order of the ledger.
        rules: The bundle that decided; None where it is not to be had, and identifiers stand for words.

    Raises:
        NoSuchQuestion: There are no records of it.
    """
    bodies = [(one.kind, json.loads(one.body)) for one in records if one.body]
    asked = next((body for kind, body in bodies if kind == "ASKED"), None)
    if asked is None:
        raise NoSuchQuestion("no question of this number is in the ledger, or it was erased")
    decided = next((body for kind, body in bodies if "targets" in body and kind in {"DECIDED", "REFUSED"}), None)
    end: tuple[str, dict[str, Any]] = next((one for one in bodies if one[0] in ENDS), ("", {}))
    data = {} if rules is None else json.loads(rules.files[DATA])
    questions = {} if rules is None else parse(rules.files[CATALOGUE]).questions
    question, purpose = asked["question"], asked["purpose"]
    rows = {row["agency"]: row for row in end[1].get("rows", ())}
    words = [] if decided is None else decided["targets"]
    return Explained(
        query_id=asked["query_id"],
        asked_at=asked["at"],
        agency=_title(data, "agencies", asked["agency"]),
        question=questions[question].title if question in questions else question,
        purpose=_title(data, "purposes", purpose),
        policy=asked["policy"],
        end=ENDS[end[0]],
        cause=str(end[1].get("cause", "")),
        agencies=tuple(_agency(row, rows.get(row["agency"]), data) for row in words),
    )


def _agency(row: Mapping[str, Any], end: Mapping[str, Any] | None, data: Mapping[str, Any]) -> Agency:
    gateway = data.get("gateways", {}).get(row["gateway"], {})
    denials = [(one["code"], one["ref"]) for one in row["denials"]]
    # What was allowed and could not be released after all says so in its last record.
    denials += [(code, "") for code in (end or {}).get("denials", ()) if code not in dict(denials)]
    # The gateway of agreements stands among the grounds by its kind even where no agreement was found.
    grants = [one for one in row["grants"] if one != "agreement" or row["agreements"]]
    checked = "checked" if gateway.get("verified") else "not yet checked by a lawyer"
    return Agency(
        agency=row["agency"],
        title=_title(data, "agencies", row["agency"]),
        allowed=row["allow"],
        gateway=f"{gateway['title']} ({gateway['cite']})" if gateway else row["gateway"],
        source=f"{gateway['source']}; {checked}" if gateway else "",
        found=tuple(GROUNDS.get(one, one.replace("_", " ")) for one in grants),
        missing=tuple(_missing(code, ref, data) for code, ref in denials),
        agreements=tuple(row["agreements"]),
        duties=dict(row["obligations"]),
        went=WENT["" if end is None else end["delivery"]],
    )


def _missing(code: str, ref: str, data: Mapping[str, Any]) -> Missing:
    row = data.get("reasons", {}).get(code)
    if row is not None:
        return Missing(code, row["reason"], row["cure"], row["contact"], ref)
    known = REASONS.get(code)
    return Missing(code, known.title if known else code, known.cure if known else "", "", ref)


def _title(data: Mapping[str, Any], table: str, id_: str) -> str:
    return str(data.get(table, {}).get(id_, {}).get("title", id_))
