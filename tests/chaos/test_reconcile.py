"""Every violation, planted once, is found and named; every difference with a cause is explained (T-AUD-11)."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from tests.chaos.reconcile import Entry, Receipt, Violation, entry, reconcile

QUESTION: Final = "01890000-0000-7000-8000-000000000001"
JTI: Final = "01890000-0000-7000-8000-00000000000a"
RULES: Final = {"policy": "11" * 32, "catalogue": "22" * 32}
ANSWER: Final = "33" * 32


@dataclass(slots=True)
class Books:
    """What everybody wrote down about one question that went well, to be spoiled."""

    broker: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {"kind": "POLICY_ACTIVATED", **RULES},
            {"kind": "ASKED", "query_id": QUESTION, **RULES},
            {"kind": "DECIDED", "query_id": QUESTION, **RULES},
            {"kind": "WARRANTED", "query_id": QUESTION, "jti": JTI, "nodes": ["housing", "police"]},
            {"kind": "NOT_REACHED", "query_id": QUESTION, "agency": "housing", "cause": "deadline"},
            {"kind": "ANSWERED", "query_id": QUESTION, "agency": "police", "answer": ANSWER, "signature": "c2ln"},
            {
                "kind": "RELEASED",
                "query_id": QUESTION,
                **RULES,
                "agreements": ["a1"],
                "rows": [
                    {"agency": "housing", "delivery": "NOT_REACHED", "answer": ""},
                    {"agency": "police", "delivery": "ANSWERED", "answer": ANSWER},
                ],
            },
        ]
    )
    police: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {"kind": "RECEIVED", "query_id": QUESTION, "jti": JTI},
            {"kind": "ANSWERED", "query_id": QUESTION, "jti": JTI, "answer_digest": ANSWER},
        ]
    )
    housing: list[dict[str, Any]] = field(default_factory=list)
    held: int | None = 6
    """Index of the record for which the client holds a receipt."""

    def reconciled(self, **options: bool) -> Any:
        """The whole, sorted."""
        broker = ledger(self.broker)
        receipts = [] if self.held is None else [Receipt(QUESTION, self.held, _raw(RELEASED))]
        return reconcile(receipts, broker, {"police": ledger(self.police), "housing": ledger(self.housing)}, **options)


def _raw(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True).encode()


def ledger(bodies: list[dict[str, Any]]) -> list[Entry]:
    """Entries of these records."""
    return [entry(index, _raw(body)) for index, body in enumerate(bodies)]


RELEASED: Final = Books().broker[6]


def test_three_accounts_that_agree_are_matched() -> None:
    """T-AUD-11: nothing is explained away where nothing differs."""
    result = Books().reconciled()

    assert ([], 1, 1, 1, 1) == (result.found, result.asked, result.released, result.matched, result.not_reached)
    assert (0, 0, 0, 0) == (result.unacked, result.abandoned, result.one_way, result.open)


def test_an_answer_lost_on_its_way_is_a_one_way_loss() -> None:
    """T-AUD-11: the node has it in its ledger, the broker says not reached: neither of them lies."""
    books = Books()
    books.housing.append({"kind": "ANSWERED", "query_id": QUESTION, "jti": JTI, "answer_digest": "44" * 32})
    result = books.reconciled()

    assert ([], 1, 0, 1) == (result.found, result.one_way, result.not_reached, result.matched)


def test_a_crash_under_way_is_explained() -> None:
    """T-AUD-11: ABANDONED and no receipt, whether or not a node had answered already."""
    books = Books(held=None)
    books.broker[4:] = [{"kind": "ABANDONED", "query_id": QUESTION}]
    result = books.reconciled()

    assert ([], 1, 0) == (result.found, result.abandoned, result.matched)


def test_a_release_of_which_nobody_heard_is_explained() -> None:
    """T-AUD-11: durable, then the connection broke: allowed, and never hidden."""
    result = Books(held=None).reconciled()

    assert ([], 1, 0) == (result.found, result.unacked, result.matched)


def test_a_question_under_way_is_open_only_while_a_broker_runs() -> None:
    """T-AUD-3: after a restart nothing may be open."""
    books = Books(held=None)
    del books.broker[4:]

    assert (1, []) == (books.reconciled(running=True).open, books.reconciled(running=True).found)
    assert [Violation.NO_END] == [one.violation for one in books.reconciled().found]


def _unlogged(books: Books) -> None:
    books.held = 9


def _changed(books: Books) -> None:
    books.broker[6] = {**books.broker[6], "agreements": []}


def _unsigned(books: Books) -> None:
    del books.broker[5]["signature"]


def _another_answer(books: Books) -> None:
    books.broker[5]["answer"] = "55" * 32


def _unheard_of(books: Books) -> None:
    books.police.clear()


def _another_in_the_node(books: Books) -> None:
    books.police[1]["answer_digest"] = "66" * 32


def _no_warrant(books: Books) -> None:
    books.broker[3]["jti"] = "01890000-0000-7000-8000-00000000000b"


def _not_named(books: Books) -> None:
    books.broker[3]["nodes"] = ["housing"]


def _asked_by_nobody(books: Books) -> None:
    books.broker[1] = {"kind": "OUTCOME"}


def _withdrawn(books: Books) -> None:
    books.broker[2] = {"kind": "AGREEMENT_WITHDRAWN", "record_id": "a1"}


def _other_rules(books: Books) -> None:
    books.broker[2] = {"kind": "POLICY_ACTIVATED", "policy": "77" * 32, "catalogue": RULES["catalogue"]}


def _two_ends(books: Books) -> None:
    books.broker.append({"kind": "ABANDONED", "query_id": QUESTION})


def _proof_of_something_else(books: Books) -> None:
    books.broker[6]["kind"] = "DECIDED"
    books.broker.append(RELEASED)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (_unlogged, Violation.RECEIPT_NOT_IN_LEDGER),
        (_changed, Violation.RECEIPT_NOT_IN_LEDGER),
        (_unsigned, Violation.NOT_SIGNED),
        (_another_answer, Violation.NOT_SIGNED),
        (_unheard_of, Violation.NOT_IN_NODE_LEDGER),
        (_another_in_the_node, Violation.NOT_IN_NODE_LEDGER),
        (_no_warrant, Violation.NOT_WARRANTED),
        (_not_named, Violation.NOT_WARRANTED),
        (_asked_by_nobody, Violation.NOT_ASKED),
        (_withdrawn, Violation.AFTER_WITHDRAWAL),
        (_other_rules, Violation.OTHER_RULES),
        (_two_ends, Violation.TWO_ENDS),
        (_proof_of_something_else, Violation.RECEIPT_NOT_IN_LEDGER),
    ],
)
def test_what_must_never_be_is_found(spoil: Callable[[Books], None], expected: Violation) -> None:
    """T-AUD-11: each violation, planted once in books that are otherwise in order, is named."""
    books = Books()
    spoil(books)

    assert expected in {one.violation for one in books.reconciled().found}


def test_a_receipt_for_a_record_that_gives_nothing_is_found() -> None:
    """T-AUD-11: a proof that DECIDED is in the ledger is no proof of a release."""
    books = Books(held=2)
    raw = _raw(books.broker[2])
    result = reconcile([Receipt(QUESTION, 2, raw)], ledger(books.broker), {"police": ledger(books.police)})

    assert [Violation.UNKNOWN_KIND] == [one.violation for one in result.found]
