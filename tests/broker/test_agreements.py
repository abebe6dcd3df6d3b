"""Agreements at the broker: no identity, found by tag within scope, ended at once and for good."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import pytest

from accord import receipt
from accord.agreement import EXPIRED, GIVEN, WITHDRAWN
from accord.canonical import decode_object, sha256
from broker.agreements import AgreementExists, AgreementUnknown
from broker.store import Place, tree
from tests.world.ledger import (
    LEDGER_PUBLIC,
    NOW_NS,
    ORIGIN,
    WORKER,
    Books,
    agreement,
    asked,
    open_books,
    signed_agreement,
    uuid,
    withdrawal,
)

Result = TypeVar("Result")
HOUSING = replace(WORKER, agency="housing")
SCHOOL = replace(WORKER, agency="school")
JAMIE = b"jamie-thorley-01"
ANNE = b"anne-calloway-01"
DAY_NS = 86_400 * 10**9


def with_books(
    place: Place, body: Callable[[Books], Awaitable[Result]], now_ns: Callable[[], int] = lambda: NOW_NS
) -> Result:
    """Run `body` with a ledger opened as the broker opens it."""

    async def inside() -> Result:
        books = await open_books(place, now_ns)
        try:
            return await body(books)
        finally:
            await books.close()

    return asyncio.run(inside())


async def give(books: Books, deliveries: tuple[tuple[str, bytes], ...] = (), **changes: object) -> str:
    made = agreement(**changes)
    await books.agreements.record(WORKER, made, signed_agreement(made), deliveries)
    return made.record_id


async def withdraw(books: Books, record_id: str) -> object:
    made, signed = withdrawal(record_id)
    return await books.agreements.withdraw(HOUSING, made, signed)


def test_recording_gives_a_receipt_for_the_agreements_digest(place: Place) -> None:
    """T-CON-4: a node checks that the very bytes that were signed at capture are in the ledger."""

    async def body(books: Books) -> tuple[bytes, str, bytes]:
        made = agreement()
        signed = signed_agreement(made)
        receipted = await books.agreements.record(WORKER, made, signed, ())
        return receipted.record, receipted.receipt, signed.statement

    record, text, statement = with_books(place, body)
    receipt.check(text, record, ORIGIN, LEDGER_PUBLIC)
    found = decode_object(record)

    assert ("AGREEMENT_GIVEN", sha256(statement).hex(), GIVEN) == (found["kind"], found["agreement"], found["state"])


def test_the_same_agreement_again_is_recorded_once(place: Place) -> None:
    """A retry after a lost reply gets the same record, and a current receipt for it."""

    async def body(books: Books) -> tuple[bytes, bytes, int]:
        made = agreement()
        first = await books.agreements.record(WORKER, made, signed_agreement(made), ())
        before = books.sequencer.head.size
        again = await books.agreements.record(WORKER, made, signed_agreement(made), ())
        receipt.check(again.receipt, again.record, ORIGIN, LEDGER_PUBLIC)
        return first.record, again.record, books.sequencer.head.size - before

    first, again, added = with_books(place, body)

    assert (first, 0) == (again, added)


def test_a_number_belongs_to_one_agreement(place: Place) -> None:
    """The number on a family's receipt names one agreement for ever."""

    async def body(books: Books) -> None:
        made = agreement()
        await books.agreements.record(WORKER, made, signed_agreement(made), ())
        other = replace(made, responders=("housing", "police", "school"))
        with pytest.raises(AgreementExists):
            await books.agreements.record(WORKER, other, signed_agreement(other), ())

    with_books(place, body)


@pytest.mark.parametrize(
    ("user", "tags", "found"),
    [
        (WORKER, (JAMIE,), 1),
        (HOUSING, (JAMIE,), 1),
        (HOUSING, (ANNE, JAMIE), 1),
        (SCHOOL, (JAMIE,), 0),
        (WORKER, (ANNE,), 0),
        (WORKER, (), 0),
    ],
)
def test_an_agreement_is_found_by_tag_by_those_in_its_scope(
    place: Place, user: object, tags: tuple[bytes, ...], found: int
) -> None:
    """T-PRV-1: an agency outside the scope does not learn that an agreement exists."""

    async def body(books: Books) -> int:
        await give(books)
        return len(await books.agreements.find(user, tags))  # type: ignore[arg-type]  # parametrised

    assert found == with_books(place, body)


def test_a_found_agreement_comes_with_its_state_and_a_receipt(place: Place) -> None:
    """State is what the records say now: given, withdrawn, or run out."""
    clock = [NOW_NS]

    async def body(books: Books) -> list[str]:
        states = []
        ended = await give(books)
        await give(books)
        for at_ns in (NOW_NS, NOW_NS + 91 * DAY_NS):
            clock[0] = at_ns
            await withdraw(books, ended)
            for signed, state, receipted in await books.agreements.find(WORKER, (JAMIE,)):
                receipt.check(receipted.receipt, receipted.record, ORIGIN, LEDGER_PUBLIC)
                assert decode_object(receipted.record)["agreement"] == sha256(signed.statement).hex()
                states.append(state)
        return states

    assert [GIVEN, WITHDRAWN, EXPIRED, WITHDRAWN] == with_books(place, body, lambda: clock[0])


def test_a_withdrawal_is_recorded_once_whoever_takes_it(place: Place) -> None:
    """T-CON-1: one call, from any agency; repeated, it keeps its first place in the ledger."""

    async def body(books: Books) -> tuple[object, object, int]:
        record_id = await give(books)
        first = await withdraw(books, record_id)
        again = await withdraw(books, record_id)
        with books.store.reader.connect() as connection:
            entries = tree.entries(connection, 0, 100)
        return first.record, again.record, sum(one.kind == "AGREEMENT_WITHDRAWN" for one in entries)

    first, again, count = with_books(place, body)

    assert (first, 1) == (again, count)


def test_an_unknown_agreement_cannot_be_withdrawn(place: Place) -> None:
    """The person at the desk hears that the number is wrong, and does not go home believing it is done."""

    async def body(books: Books) -> None:
        with pytest.raises(AgreementUnknown):
            await withdraw(books, uuid())

    with_books(place, body)


def test_nodes_that_attach_are_told_every_withdrawal_that_still_matters(place: Place) -> None:
    """T-CON-2: in order, with the signature of the node that took it and a receipt; none that has run out anyway."""

    async def body(books: Books) -> tuple[list[str], list[str]]:
        short = await give(books, valid_to_ns=NOW_NS)
        ended = [await give(books) for _ in range(3)]
        await give(books)
        for record_id in (short, *reversed(ended)):
            await withdraw(books, record_id)
        told = await books.agreements.withdrawn("housing")
        for _, receipted in told:
            receipt.check(receipted.receipt, receipted.record, ORIGIN, LEDGER_PUBLIC)
        return list(reversed(ended)), [str(decode_object(signed.statement)["record_id"]) for signed, _ in told]

    expected, told = with_books(place, body)

    assert expected == told


def test_a_delivery_waits_until_it_arrived_and_is_then_forgotten(place: Place) -> None:
    """What is sealed to an agency is sent until it is there, then forgotten; after a withdrawal it never is sent."""

    async def body(books: Books) -> list[object]:
        sealed = (("housing", b"sealed to housing"), ("police", b"sealed to police"))
        first = await give(books, sealed)
        second = await give(books, sealed)
        steps: list[object] = [
            await books.agreements.pending("housing") == [(first, sealed[0][1]), (second, sealed[0][1])]
        ]
        await books.agreements.delivered("housing", [first])
        steps.append([record_id for record_id, _ in await books.agreements.pending("housing")] == [second])
        await withdraw(books, second)
        steps.append(await books.agreements.pending("housing"))
        steps.append([record_id for record_id, _ in await books.agreements.pending("police")] == [first])
        return steps

    assert [True, True, [], True] == with_books(place, body)


def test_the_scope_is_capturing_asking_and_answering_agencies(place: Place) -> None:
    """Withdrawals and deliveries go to these, and to nobody else."""

    async def body(books: Books) -> tuple[frozenset[str], frozenset[str]]:
        return await books.agreements.scope(await give(books)), await books.agreements.scope(uuid())

    assert (frozenset({"social-care", "housing", "police"}), frozenset()) == with_books(place, body)


def test_the_policy_sees_an_agreement_as_the_ledger_left_it(place: Place) -> None:
    """The fields are those of the closed policy input, folded from the records."""

    async def body(books: Books) -> list[dict[str, object]]:
        record_id = await give(books)
        question = asked(rely_on=[record_id])
        before = books.agreements.for_policy(question)
        await withdraw(books, record_id)
        return [*before, *books.agreements.for_policy(question)]

    before, after = with_books(place, body)

    assert (GIVEN, None, WITHDRAWN, NOW_NS) == (
        before["state"],
        before["withdrawn_at_ns"],
        after["state"],
        after["withdrawn_at_ns"],
    )
    assert {
        "record_id", "subject_ref", "kind", "state", "given_by", "questions", "purposes", "requesters", "responders",
        "valid_from_ns", "valid_to_ns", "withdrawn_at_ns", "objection", "ledger_index",
    } == set(before)  # fmt: skip
    assert ("s1", ["agency.contact"], ["housing", "police"], "none") == (
        before["subject_ref"],
        before["questions"],
        before["responders"],
        before["objection"],
    )


def test_an_agreement_of_somebody_else_is_not_shown_to_the_policy(place: Place) -> None:
    """T-CON-4: an agreement claimed for a person with whom it shares no tag counts as none."""

    async def body(books: Books) -> list[dict[str, object]]:
        record_id = await give(books, tags=(ANNE,))
        return books.agreements.for_policy(asked(tags=(JAMIE,), rely_on=[record_id, uuid()]))

    assert [] == with_books(place, body)
