"""Compare what clients were given with the broker's ledger and the nodes' ledgers, and name every difference.

    receipts, broker's entries, nodes' entries -> reconcile -> Reconciled

Pure functions: they read records and decide, and touch nothing. Each question ends in exactly one of these:

    matched     RELEASED, with every answer in its node's own ledger and a receipt at the client
    refused     REFUSED by the rules, the rules' change or a withdrawal; no answer was given
    unacked     durable, and its client never heard of it: the connection or the broker broke after the commit
    abandoned   asked, then a crash: ABANDONED and no receipt
    open        no last record yet; only while a broker is running

beside which an agency's row can be a *one-way loss*: its node answered, the answer did not arrive, and the row says
not reached. Everything else is a `Violation`, which somebody must be called for (T-AUD-1, T-AUD-3, T-AUD-11).
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

TERMINAL: Final = frozenset({"RELEASED", "REFUSED", "ABANDONED"})
GIVES: Final = frozenset({"RELEASED", "REPLAYED"})
"""Records with which an answer leaves."""


class Violation(StrEnum):
    """What must never be found."""

    RECEIPT_NOT_IN_LEDGER = "a receipt is not in the ledger"
    NOT_SIGNED = "released without a node's signature"
    NOT_IN_NODE_LEDGER = "an answer that its node's ledger does not have"
    NOT_WARRANTED = "a node answered without a warrant"
    NOT_ASKED = "something was done about a question that was not asked"
    AFTER_WITHDRAWAL = "given after the withdrawal of its agreement"
    OTHER_RULES = "decided by rules not in force at its place"
    TWO_ENDS = "two last records"
    NO_END = "no last record"
    UNKNOWN_KIND = "a record with a receipt that gives no answer"


@dataclass(frozen=True, slots=True)
class Entry:
    """A record as a ledger keeps it.

    Attributes:
        index: Its position.
        raw: Canonical JSON, as stored.
    """

    index: int
    raw: bytes
    body: Mapping[str, Any] = field(compare=False)

    @property
    def kind(self) -> str:
        """Kind of record."""
        return str(self.body["kind"])

    @property
    def query_id(self) -> str:
        """The question it is about; "" for none."""
        return str(self.body.get("query_id", ""))


def entry(index: int, raw: bytes) -> Entry:
    """An entry from its stored bytes."""
    return Entry(index, raw, json.loads(raw))


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a client was given, its proof and signatures checked.

    Attributes:
        query_id: The question.
        index: Position that the proof names.
        record: The record, as received.
    """

    query_id: str
    index: int
    record: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """One violation.

    Attributes:
        violation: Which.
        query_id: The question; "" where it concerns none.
        where: Index in the broker's ledger, or the node.
    """

    violation: Violation
    query_id: str
    where: str


@dataclass(slots=True)
class Reconciled:
    """Every question, sorted.

    Attributes:
        asked: ASKED records.
        released: RELEASED and REPLAYED records.
        matched: Questions whose three accounts agree.
        refused: Questions that ended REFUSED.
        unacked: Questions that are durable and whose client heard nothing.
        abandoned: Questions that a crash left.
        open: Questions without a last record, where a broker may be running.
        one_way: Answers that a node gave and that did not arrive.
        not_reached: Rows of agencies that did not answer in time.
        found: Violations.
    """

    asked: int = 0
    released: int = 0
    matched: int = 0
    refused: int = 0
    unacked: int = 0
    abandoned: int = 0
    open: int = 0
    one_way: int = 0
    not_reached: int = 0
    found: list[Found] = field(default_factory=list)

    def count(self, *violations: Violation) -> int:
        """How often any of these was found."""
        return sum(one.violation in violations for one in self.found)

    @property
    def unlogged(self) -> int:
        """Receipts that the ledger does not have."""
        return self.count(Violation.RECEIPT_NOT_IN_LEDGER)

    @property
    def orphans(self) -> int:
        """Questions and warrants that do not stand between an ASKED and one last record."""
        return self.count(Violation.NOT_ASKED, Violation.NO_END, Violation.NOT_WARRANTED)

    @property
    def doubles(self) -> int:
        """Questions with two last records."""
        return self.count(Violation.TWO_ENDS)


@dataclass(slots=True)
class _Question:
    """What the broker's ledger says of one question."""

    asked: bool = False
    jti: str = ""
    nodes: frozenset[str] = frozenset()
    answers: dict[str, str] = field(default_factory=dict)
    end: Entry | None = None


def reconcile(
    receipts: Iterable[Receipt],
    broker: Sequence[Entry],
    nodes: Mapping[str, Sequence[Entry]],
    *,
    running: bool = False,
) -> Reconciled:
    """Sort every difference.

    Args:
        receipts: Of all clients.
        broker: The broker's whole ledger, in order.
        nodes: Agency -> its node's whole ledger, in order; every agency that may have been asked.
        running: A broker may be at work, so that questions may be open.
    """
    result = Reconciled()
    questions = _follow(broker, result)
    given = _node_answers(nodes, questions, result)
    shown = _receipts(receipts, broker, result)
    for query_id, one in questions.items():
        _sort(query_id, one, given.get(query_id, {}), shown.get(query_id, ()), result, running=running)
    return result


def _follow(broker: Sequence[Entry], result: Reconciled) -> dict[str, _Question]:
    """Read the broker's ledger in order."""
    questions: dict[str, _Question] = {}
    withdrawn: set[str] = set()
    in_force = ("", "")

    def wrong(violation: Violation, one: Entry) -> None:
        result.found.append(Found(violation, one.query_id, str(one.index)))

    for one in broker:
        body = one.body
        if one.kind == "POLICY_ACTIVATED":
            in_force = (body["policy"], body["catalogue"])
        elif one.kind == "AGREEMENT_WITHDRAWN":
            withdrawn.add(body["record_id"])
        if not one.query_id:
            continue
        question = questions.setdefault(one.query_id, _Question())
        if one.kind == "ASKED":
            result.asked += 1
            question.asked = True
        elif not question.asked:
            wrong(Violation.NOT_ASKED, one)
        if one.kind == "WARRANTED":
            question.jti, question.nodes = body["jti"], frozenset(body["nodes"])
        elif one.kind == "ANSWERED" and body.get("signature"):
            question.answers[body["agency"]] = body["answer"]
        elif one.kind in TERMINAL:
            if question.end is not None:
                wrong(Violation.TWO_ENDS, one)
            question.end = one
        if one.kind in GIVES:
            result.released += 1
            if (body["policy"], body["catalogue"]) != in_force:
                wrong(Violation.OTHER_RULES, one)
            if withdrawn & set(body["agreements"]):
                wrong(Violation.AFTER_WITHDRAWAL, one)
            if any(row["answer"] and question.answers.get(row["agency"]) != row["answer"] for row in body["rows"]):
                wrong(Violation.NOT_SIGNED, one)
    return questions


def _node_answers(
    nodes: Mapping[str, Sequence[Entry]], questions: Mapping[str, _Question], result: Reconciled
) -> dict[str, dict[str, set[str]]]:
    """Question -> agency -> digests of what its node gave. A node answers only under a warrant that names it."""
    given: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for agency, entries in nodes.items():
        for one in entries:
            if one.kind not in {"ANSWERED", "REPLAYED"}:
                continue
            question = questions.get(one.query_id)
            if question is None or question.jti != one.body["jti"] or agency not in question.nodes:
                result.found.append(Found(Violation.NOT_WARRANTED, one.query_id, agency))
                continue
            given[one.query_id][agency].add(one.body["answer_digest"])
    return given


def _receipts(
    receipts: Iterable[Receipt], broker: Sequence[Entry], result: Reconciled
) -> dict[str, list[Mapping[str, Any]]]:
    """Question -> the records that its clients hold, each of which must stand in the ledger, byte for byte."""
    shown: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    at = {one.index: one for one in broker}
    for receipt in receipts:
        stored = at.get(receipt.index)
        if stored is None or stored.raw != receipt.record:
            result.found.append(Found(Violation.RECEIPT_NOT_IN_LEDGER, receipt.query_id, str(receipt.index)))
            continue
        if stored.kind not in {*GIVES, "REFUSED", "REPLAY_REFUSED"}:
            result.found.append(Found(Violation.UNKNOWN_KIND, receipt.query_id, str(receipt.index)))
        shown[receipt.query_id].append(stored.body)
    return shown


def _sort(
    query_id: str,
    one: _Question,
    given: Mapping[str, set[str]],
    shown: Sequence[Mapping[str, Any]],
    result: Reconciled,
    *,
    running: bool,
) -> None:
    """Put one question where it belongs."""
    if one.end is None:
        if running:
            result.open += 1
        else:
            result.found.append(Found(Violation.NO_END, query_id, ""))
        return
    if one.end.kind == "ABANDONED":
        result.abandoned += 1
        return
    if one.end.kind == "REFUSED":
        result.refused += bool(shown)
        result.unacked += not shown
        return
    for row in one.end.body["rows"]:
        agency, digest = row["agency"], row["answer"]
        if digest and digest not in given.get(agency, ()):
            result.found.append(Found(Violation.NOT_IN_NODE_LEDGER, query_id, agency))
        elif row["delivery"] == "NOT_REACHED":
            result.one_way += agency in given
            result.not_reached += agency not in given
    result.matched += bool(shown)
    result.unacked += not shown
