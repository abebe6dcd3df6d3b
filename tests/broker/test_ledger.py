"""Questions in the ledger: what is durable before what, and what is looked at again before anything leaves."""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TypeVar

import pytest
from sqlalchemy import Connection, event

from accord import checkpoint, merkle, receipt, signing, statement
from accord.canonical import decode_object, encode, sha256, unb64url
from broker import ask as pipeline
from broker.engines import PolicyUnavailable
from broker.ledger import AgreementWithdrawn, PolicyChanged
from broker.release import compose
from broker.stages import (
    ANSWERED,
    NOT_REACHED,
    REFUSED,
    Answers,
    Asked,
    Composed,
    InProgress,
    LedgerUnavailable,
    NotYourQuestion,
    Opened,
    Permit,
    QueryIdReused,
    Refusal,
    Released,
    Reply,
    Undecided,
)
from broker.store import Place, decisions, open_for_reading, tree
from tests.world.ledger import (
    ASKING_KEY,
    CATALOGUE,
    COLLEAGUE,
    LEDGER_PUBLIC,
    NOW_NS,
    ORIGIN,
    REVISION,
    WORKER,
    Books,
    DeadLedger,
    agreement,
    asked,
    composed,
    decision,
    open_books,
    permit,
    question_of,
    refusal,
    signed_agreement,
    uuid,
    withdrawal,
)

Result = TypeVar("Result")
OTHER_REVISION = "99" * 32


def with_books(place: Place, body: Callable[[Books], Awaitable[Result]]) -> Result:
    """Run `body` with a ledger opened as the broker opens it."""

    async def inside() -> Result:
        books = await open_books(place)
        try:
            return await body(books)
        finally:
            await books.close()

    return asyncio.run(inside())


def kinds(books: Books, query_id: str) -> list[str]:
    with books.store.reader.connect() as connection:
        return [entry.kind for entry in tree.entries_of(connection, query_id)]


def bodies(books: Books, query_id: str) -> list[dict[str, object]]:
    with books.store.reader.connect() as connection:
        return [dict(decode_object(entry.body)) for entry in tree.entries_of(connection, query_id)]


async def give(books: Books) -> str:
    """Record an agreement and return its number."""
    made = agreement()
    await books.agreements.record(WORKER, made, signed_agreement(made), ())
    return made.record_id


async def withdraw(books: Books, record_id: str) -> None:
    made, signed = withdrawal(record_id)
    await books.agreements.withdraw(WORKER, made, signed)


def test_a_question_leaves_its_records_in_order(place: Place) -> None:
    """Asked, decided and warranted before anyone hears of it; answered and released after."""

    async def body(books: Books) -> tuple[list[str], list[str]]:
        question = asked()
        opened = await books.questions.open_entry(permit(question))
        before = kinds(books, question.statement.core.query_id)
        await books.questions.close_entry(composed(opened, {"police": False}))
        return before, kinds(books, question.statement.core.query_id)

    before, after = with_books(place, body)

    assert ["ASKED", "DECIDED", "WARRANTED"] == before
    assert [*before, "ANSWERED", "NOT_REACHED", "RELEASED"] == after


def test_the_release_comes_with_a_receipt_that_holds(place: Place) -> None:
    """T-AUD-1: the asker can check, with the ledger's public key alone, that the release is recorded."""

    async def body(books: Books) -> tuple[bytes, str]:
        opened = await books.questions.open_entry(permit(asked()))
        released = await books.questions.close_entry(composed(opened))
        return released.record, released.receipt

    record, text = with_books(place, body)
    receipt.check(text, record, ORIGIN, LEDGER_PUBLIC)

    assert "RELEASED" == decode_object(record)["kind"]
    assert [sha256((agency.encode() * 1024)[:2048]).hex() for agency in ("housing", "police")] == [
        row["answer"] for row in decode_object(record)["rows"]
    ]


def test_an_auditor_can_check_the_askers_own_signature(place: Place) -> None:
    """The broker cannot have invented the asker: ASKED holds the whole signed statement."""

    async def body(books: Books) -> dict[str, object]:
        question = asked()
        await books.questions.open_entry(permit(question))
        return bodies(books, question.statement.core.query_id)[0]

    found = with_books(place, body)
    digests = [unb64url(digest) for digest in found["node_digests"]]
    message = statement.message(encode(found["core"]), sha256(encode(found["broker_part"])), digests)
    signing.verify(signing.public_bytes(ASKING_KEY), statement.LABEL, message, unb64url(found["signature"]))

    assert (
        statement.digest(encode(found["core"]), sha256(encode(found["broker_part"])), digests).hex()
        == found["statement"]
    )


def test_a_refusal_is_recorded_with_its_receipt(place: Place) -> None:
    """A no of the rules is an answer like any other: recorded, proved, and given back with its reasons."""

    async def body(books: Books) -> tuple[list[str], object]:
        question = asked()
        released = await books.questions.refuse(refusal(question))
        receipt.check(released.receipt, released.record, ORIGIN, LEDGER_PUBLIC)
        return kinds(books, released.query_id), released

    found, released = with_books(place, body)

    assert ["ASKED", "REFUSED"] == found
    assert [(REFUSED, "AGREEMENT_MISSING")] * 2 == [(row.delivery, row.denials[0].code) for row in released.rows]


def test_a_question_without_a_decision_is_recorded_and_costs_nothing(place: Place) -> None:
    """T-POL-5: the ledger says what failed and under which rules, and an outage uses up nobody's allowance."""

    async def body(books: Books) -> list[dict[str, object]]:
        question = asked()
        before = books.questions.budgets(question)
        problem = PolicyUnavailable("the engine is gone")
        await books.questions.undecided(Undecided(question, "b" * 64, "c" * 64, problem))
        with pytest.raises(QueryIdReused):
            await books.questions.stored(question)
        assert before == books.questions.budgets(question)
        return bodies(books, question.statement.core.query_id)

    first, last = with_books(place, body)

    assert ("ASKED", "b" * 64) == (first["kind"], first["policy"])
    assert ("ABANDONED", "POLICY_UNAVAILABLE", "b" * 64) == (last["kind"], last["cause"], last["policy"])


def test_the_engine_s_own_number_is_recorded_where_it_gives_one(place: Place) -> None:
    """Whoever has the policy server's log can find the decision there; where there is none, no field is left empty."""

    async def body(books: Books) -> list[object]:
        found = []
        for number in ("", "0193-4f4e"):
            permitted = permit(asked())
            decision = replace(permitted.decision, engine_decision_id=number)
            await books.questions.open_entry(replace(permitted, decision=decision))
            found.append(bodies(books, permitted.asked.statement.core.query_id)[1].get("engine_decision_id"))
        return found

    assert [None, "0193-4f4e"] == with_books(place, body)


def test_the_warrant_identifier_is_in_the_ledger_before_anyone_can_use_it(place: Place) -> None:
    """T-AUD-3: no warrant without a durable record of it."""

    async def body(books: Books) -> tuple[str, object]:
        opened = await books.questions.open_entry(permit(asked()))
        return opened.jti, bodies(books, opened.permit.asked.statement.core.query_id)[2]["jti"]

    chosen, recorded = with_books(place, body)

    assert chosen == recorded


def test_nothing_is_released_when_the_disk_fails(place: Place) -> None:
    """T-AUD-1: a release that cannot be made durable never leaves, and the question ends once the disk is back."""

    async def body(books: Books) -> list[str]:
        opened = await books.questions.open_entry(permit(asked()))
        assert books.store.writer is not None

        def fail(_: Connection) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        event.listen(books.store.writer, "commit", fail)
        with pytest.raises(LedgerUnavailable):
            await books.questions.close_entry(composed(opened))
        with pytest.raises(LedgerUnavailable):
            await books.questions.open_entry(permit(asked()))
        with pytest.raises(LedgerUnavailable):
            await books.questions.refuse(refusal(asked()))
        event.remove(books.store.writer, "commit", fail)
        await books.questions.close_entry(composed(opened))
        return kinds(books, opened.permit.asked.statement.core.query_id)

    assert "RELEASED" == with_books(place, body)[-1]


class _Permits:
    async def decide(self, asked: Asked) -> Permit | Refusal:
        return permit(asked)


class _Answering:
    asked_anyone = False

    async def dispatch(self, opened: Opened, heard: pipeline.Heard) -> Answers:
        self.asked_anyone = True
        return composed(opened).answers


def test_nobody_is_asked_when_the_ledger_is_down() -> None:
    """T-AUD-1, T-AUD-3: no agency hears of a question whose ASKED record is not durable."""
    nodes = _Answering()
    with pytest.raises(LedgerUnavailable):
        asyncio.run(pipeline.ask(asked(), _Permits(), DeadLedger(), nodes, lambda answers: Composed(answers, ())))

    assert nodes.asked_anyone is False


def test_a_question_goes_through_the_whole_pipeline_on_a_real_ledger(place: Place) -> None:
    """The ledger implements what the pipeline declares; asked again, the same statement replays the same rows."""

    async def body(books: Books) -> tuple[object, object, list[str]]:
        question = asked()

        async def carry() -> object:
            return await pipeline.ask(
                question,
                _Permits(),
                books.questions,
                _Answering(),
                lambda answers: Composed(answers, composed(answers.opened).rows),
            )

        first, second = await carry(), await carry()
        return first, second, kinds(books, question.statement.core.query_id)

    first, second, found = with_books(place, body)

    assert (first.rows, True, "REPLAYED") == (second.rows, second.replayed, found[-1])


def test_an_agreement_withdrawn_while_the_question_was_away_releases_nothing(place: Place) -> None:
    """T-CON-1: the answer stays inside, the terminal record is REFUSED, and the asker reads why."""

    async def body(books: Books) -> tuple[object, list[str]]:
        record_id = await give(books)
        question = asked(rely_on=[record_id])
        opened = await books.questions.open_entry(permit(question, [record_id]))
        await withdraw(books, record_id)
        released = await books.questions.close_entry(composed(opened))
        return released, kinds(books, released.query_id)

    released, found = with_books(place, body)
    receipt.check(released.receipt, released.record, ORIGIN, LEDGER_PUBLIC)

    assert ["ANSWERED", "ANSWERED", "REFUSED"] == found[3:]
    assert [(REFUSED, b"", "AGREEMENT_WITHDRAWN")] * 2 == [
        (row.delivery, row.signed_answer, row.denials[0].code) for row in released.rows
    ]


def test_an_agreement_withdrawn_between_decision_and_opening_asks_nobody(place: Place) -> None:
    """T-CON-1: no warrant is written on an agreement that has ended."""

    async def body(books: Books) -> list[str]:
        record_id = await give(books)
        await withdraw(books, record_id)
        question = asked(rely_on=[record_id])
        with pytest.raises(AgreementWithdrawn):
            await books.questions.open_entry(permit(question, [record_id]))
        return kinds(books, question.statement.core.query_id)

    assert [] == with_books(place, body)


def test_an_agreement_that_was_never_recorded_asks_nobody(place: Place) -> None:
    """A permit that rests on nothing the ledger knows is not acted on."""

    async def body(books: Books) -> None:
        with pytest.raises(AgreementWithdrawn):
            await books.questions.open_entry(permit(asked(), [uuid()]))

    with_books(place, body)


def test_opened_carries_the_digest_of_each_agreement_relied_on(place: Place) -> None:
    """The warrant marks agreements by digest; the digest is of the bytes the capturing node signed."""

    async def body(books: Books) -> tuple[dict[str, bytes], dict[str, bytes]]:
        made = agreement()
        signed = signed_agreement(made)
        await books.agreements.record(WORKER, made, signed, ())
        opened = await books.questions.open_entry(permit(asked(), [made.record_id]))
        return {made.record_id: sha256(signed.statement)}, dict(opened.agreements)

    expected, actual = with_books(place, body)

    assert expected == actual


def test_rules_that_changed_while_the_question_was_away_release_nothing(place: Place) -> None:
    """T-POL-2: one question is decided and released under one revision, or not at all."""

    async def body(books: Books) -> object:
        opened = await books.questions.open_entry(permit(asked()))
        await books.questions.activate(OTHER_REVISION, CATALOGUE, "ef" * 32, b"")
        return await books.questions.close_entry(composed(opened))

    released = with_books(place, body)

    assert [(REFUSED, "POLICY_UNAVAILABLE")] * 2 == [(row.delivery, row.denials[0].code) for row in released.rows]


def test_a_decision_under_rules_no_longer_in_force_asks_nobody(place: Place) -> None:
    """T-POL-2: what was decided under the old rules is decided again."""

    async def body(books: Books) -> None:
        with pytest.raises(PolicyChanged):
            await books.questions.open_entry(permit(asked(), revision=OTHER_REVISION))

    with_books(place, body)


@pytest.mark.parametrize("allowed", [True, False])
def test_what_a_decision_was_made_of_is_kept_beside_its_record(place: Place, allowed: bool) -> None:
    """T-POL-6: in the same transaction, so that every decision in the ledger can be made again."""
    document = encode({"entrypoint": "query"})

    async def body(books: Books) -> None:
        one = asked()
        made = replace(decision(one, dict.fromkeys(("housing", "police"), allowed)), document=document)
        if allowed:
            await books.questions.open_entry(Permit(one, made))
        else:
            await books.questions.refuse(Refusal(one, made))

    with_books(place, body)
    store = open_for_reading(place)
    with store.reading() as connection:
        found = list(decisions.recorded(connection, NOW_NS, NOW_NS + 1))
        counted = decisions.count(connection, NOW_NS, NOW_NS + 1), decisions.count(connection, NOW_NS + 1, 2 * NOW_NS)
    store.close()

    assert [(document, NOW_NS)] == [(one.input, one.at_ns) for one in found]
    assert ("DECIDED" if allowed else "REFUSED") == json.loads(found[0].body)["kind"]
    assert (1, 0) == counted


def test_the_rules_in_force_are_kept_as_they_were_signed(place: Place) -> None:
    """T-POL-6: also where an earlier version of this program had put them in force without keeping them."""

    async def body(books: Books) -> int:
        await books.questions.activate(OTHER_REVISION, CATALOGUE, "ef" * 32, b"signed")
        await books.questions.activate(OTHER_REVISION, CATALOGUE, "start", b"again")
        return books.sequencer.head.size

    size = with_books(place, body)
    store = open_for_reading(place)
    with store.reading() as connection:
        kept = decisions.bundles(connection)
    store.close()

    assert {REVISION: b"", OTHER_REVISION: b"signed"} == kept
    assert 2 == size


def test_activating_what_is_in_force_adds_nothing(place: Place) -> None:
    """A restart with the same bundle is not a change of rules."""

    async def body(books: Books) -> tuple[int, int]:
        before = books.sequencer.head.size
        await books.questions.activate(REVISION, CATALOGUE, "start", b"")
        return before, books.sequencer.head.size

    before, after = with_books(place, body)

    assert before == after


def test_a_question_is_closed_once(place: Place) -> None:
    """T-AUD-3: exactly one terminal record for each question, even when it is closed twice at the same moment."""

    async def body(books: Books) -> tuple[list[str], list[str]]:
        opened = await books.questions.open_entry(permit(asked()))
        results = await asyncio.gather(
            *(books.questions.close_entry(composed(opened)) for _ in range(3)), return_exceptions=True
        )
        return sorted(type(one).__name__ for one in results), kinds(books, opened.permit.asked.statement.core.query_id)

    results, found = with_books(place, body)

    assert ["QueryIdReused", "QueryIdReused", "Released"] == results
    assert 1 == found.count("RELEASED")


def test_the_same_question_twice_at_once_is_opened_once(place: Place) -> None:
    """T-SEC-1: a repeated request never reaches the agencies twice."""

    async def body(books: Books) -> tuple[list[str], list[str]]:
        question = asked()
        results = await asyncio.gather(
            *(books.questions.open_entry(permit(question)) for _ in range(3)), return_exceptions=True
        )
        return sorted(type(one).__name__ for one in results), kinds(books, question.statement.core.query_id)

    results, found = with_books(place, body)

    assert ["InProgress", "InProgress", "Opened"] == results
    assert ["ASKED", "DECIDED", "WARRANTED"] == found


@pytest.mark.parametrize(
    ("again", "problem"),
    [
        (lambda first: first, None),
        (lambda first: asked(query_id=first.statement.core.query_id, tags=(b"another-person-1",)), QueryIdReused),
        (lambda first: replace(first, user=COLLEAGUE), NotYourQuestion),
        (lambda first: replace(first, user=replace(WORKER, agency="housing")), QueryIdReused),
    ],
)
def test_a_stored_answer_is_for_the_same_statement_of_the_same_user(
    place: Place, again: Callable[[Asked], Asked], problem: type[Exception] | None
) -> None:
    """Another statement or agency under the same number, or another user, gets nothing."""

    async def body(books: Books) -> bool:
        first = asked()
        assert await books.questions.stored(first) is None
        opened = await books.questions.open_entry(permit(first))
        with pytest.raises(InProgress if problem is None else problem):
            await books.questions.stored(again(first))
        await books.questions.close_entry(composed(opened))
        if problem is None:
            return await books.questions.stored(first) is not None
        with pytest.raises(problem):
            await books.questions.stored(again(first))
        return True

    assert with_books(place, body)


async def _answered(books: Books, used: list[str]) -> Asked:
    question = asked(rely_on=used)
    opened = await books.questions.open_entry(permit(question, used))
    await books.questions.close_entry(composed(opened))
    return question


def test_a_replay_after_a_withdrawal_gives_nothing(place: Place) -> None:
    """T-CON-1: a withdrawal beats a stored answer, even against a decision made before it."""

    async def body(books: Books) -> tuple[object, list[str]]:
        record_id = await give(books)
        question = await _answered(books, [record_id])
        stored = await books.questions.stored(question)
        decided = permit(question, [record_id])
        await withdraw(books, record_id)
        assert stored is not None
        return await books.questions.replay(decided, stored), kinds(books, stored.query_id)

    released, found = with_books(place, body)

    assert ("REPLAY_REFUSED", [REFUSED, REFUSED]) == (found[-1], [row.delivery for row in released.rows])


def test_a_replay_never_moves_an_answer_to_another_ground(place: Place) -> None:
    """T-CON-3: what was answered under an agreement is not given again under something else once that has ended."""

    async def body(books: Books) -> list[str]:
        record_id = await give(books)
        question = await _answered(books, [record_id])
        stored = await books.questions.stored(question)
        await withdraw(books, record_id)
        assert stored is not None
        released = await books.questions.replay(permit(question), stored)
        return [row.delivery for row in released.rows]

    assert [REFUSED, REFUSED] == with_books(place, body)


def test_a_replay_shows_only_agencies_that_would_be_asked_again(place: Place) -> None:
    """An agency that was suspended since drops out of the stored answer; the others stay."""

    async def body(books: Books) -> object:
        question = await _answered(books, [])
        stored = await books.questions.stored(question)
        assert stored is not None
        return await books.questions.replay(Permit(question, decision(question, {"police": False})), stored)

    released = with_books(place, body)

    assert [("housing", ANSWERED), ("police", REFUSED)] == [(row.agency, row.delivery) for row in released.rows]
    assert (b"", True) == (released.rows[1].signed_answer, released.replayed)


def _put_together(question: Asked, allow: Mapping[str, bool] | None = None) -> Permit:
    return Permit(question, replace(decision(question, allow), question=question_of("any")))


async def _all_said(books: Books, question: Asked) -> Released:
    """Release one answer of all agencies', the police alone saying yes."""
    opened = await books.questions.open_entry(_put_together(question))
    replies = tuple(
        Reply(agency, ANSWERED, agency.encode() * 100, "YES" if agency == "police" else "NO")
        for agency in sorted(opened.permit.decision.by_target)
    )
    return await books.questions.close_entry(compose(Answers(opened, replies)))


def test_one_answer_of_all_is_recorded_with_the_digest_of_each(place: Place) -> None:
    """T-AUD-9: what was told and of what it was made stand in one record; the asker gets no agency's own."""

    async def body(books: Books) -> Released:
        return await _all_said(books, asked())

    released = with_books(place, body)
    recorded = json.loads(released.record)

    assert ("YES", "YES") == (released.word, recorded["composed"])
    assert [sha256(b"housing" * 100).hex(), sha256(b"police" * 100).hex()] == [
        row["answer"] for row in recorded["rows"]
    ]
    assert {b""} == {row.signed_answer for row in released.rows}


@pytest.mark.parametrize(("suspended", "word"), [(None, "YES"), ("police", "CANNOT_SAY")])
def test_one_answer_of_all_is_given_again_only_whole(place: Place, suspended: str | None, word: str) -> None:
    """T-CON-1: what holds an answer that may not be given today cannot be taken apart, and is not said."""

    async def body(books: Books) -> Released:
        question = asked(targets=("charity", "housing", "police"))
        await _all_said(books, question)
        stored = await books.questions.stored(question)
        assert stored is not None
        return await books.questions.replay(_put_together(question, {suspended: False} if suspended else None), stored)

    released = with_books(place, body)

    assert (word, word) == (released.word, json.loads(released.record)["composed"])


def test_a_replay_that_policy_refuses_gives_nothing_and_is_recorded(place: Place) -> None:
    """The stored answer is decided again; a no today keeps it inside."""

    async def body(books: Books) -> tuple[object, list[str]]:
        question = await _answered(books, [])
        stored = await books.questions.stored(question)
        assert stored is not None
        return await books.questions.replay(refusal(question), stored), kinds(books, stored.query_id)

    released, found = with_books(place, body)

    assert ([REFUSED, REFUSED], "REPLAY_REFUSED") == ([row.delivery for row in released.rows], found[-1])


def test_a_not_reached_agency_stays_not_reached_in_a_replay(place: Place) -> None:
    """T-NET-1: silence never turns into anything else."""

    async def body(books: Books) -> object:
        question = asked()
        opened = await books.questions.open_entry(permit(question))
        await books.questions.close_entry(composed(opened, {"housing": False}))
        stored = await books.questions.stored(question)
        assert stored is not None
        return await books.questions.replay(permit(question), stored)

    released = with_books(place, body)

    assert [NOT_REACHED, ANSWERED] == [row.delivery for row in released.rows]


def test_questions_left_open_by_a_crash_are_abandoned_at_the_next_start(place: Place) -> None:
    """T-AUD-3: every ASKED has exactly one terminal record, and the number cannot be used again."""
    question = asked()

    async def crash(books: Books) -> None:
        await books.questions.open_entry(permit(question))

    async def restarted(books: Books) -> list[str]:
        with pytest.raises(QueryIdReused):
            await books.questions.stored(question)
        with pytest.raises(QueryIdReused):
            await books.questions.open_entry(permit(question))
        return kinds(books, question.statement.core.query_id)

    with_books(place, crash)
    found = with_books(place, restarted)
    again = with_books(place, restarted)

    assert ["ASKED", "DECIDED", "WARRANTED", "ABANDONED"] == found
    assert found == again


def test_budgets_count_people_once_a_day_and_questions_each_time(place: Place) -> None:
    """T-PRV-2: two questions about one person are one person and two questions, whoever shares a tag."""

    async def body(books: Books) -> list[tuple[int, int]]:
        jamie = (b"jamie-tag-000001", b"jamie-tag-000002")
        found = []
        for tags in (jamie, jamie[1:], (b"anne-tag-0000001",)):
            await books.questions.refuse(refusal(asked(tags=tags)))
            found.append(books.questions.budgets(asked(tags=jamie)))
        next_day = NOW_NS + 86_400 * 10**9
        found.append(books.questions.budgets(asked(tags=jamie, at_ns=next_day)))
        found.append(books.questions.budgets(asked(tags=jamie, at_ns=NOW_NS + 31 * 86_400 * 10**9)))
        found.append(books.questions.budgets(asked(tags=jamie, user=COLLEAGUE)))
        return found

    assert [(1, 1), (1, 2), (2, 2), (0, 2), (0, 0), (0, 2)] == with_books(place, body)


def test_witnesses_and_auditors_get_proofs_that_hold(place: Place) -> None:
    """T-AUD-4: proofs between any two published sizes verify, as does every entry."""

    async def body(books: Books) -> None:
        heads = [(0, merkle.EMPTY_ROOT), (books.sequencer.head.size, books.sequencer.head.root)]
        for _ in range(5):
            opened = await books.questions.open_entry(permit(asked()))
            await books.questions.close_entry(composed(opened))
            heads.append((books.sequencer.head.size, books.sequencer.head.root))
        size, root = heads[-1]
        for old, old_root in heads:
            head = books.reading.head_from(old)
            found = checkpoint.open_note(head.checkpoint, ORIGIN, LEDGER_PUBLIC)

            assert (size, root, old) == (found.size, found.root, head.from_size)
            assert merkle.verify_consistency(old, size, old_root, root, list(head.consistency))
            assert list(head.consistency) == list(books.reading.head_from(old).consistency)
        entries = books.reading.entries(0, 1000)
        for entry in entries:
            proof = books.reading.inclusion(entry.index, size)

            assert merkle.verify_inclusion(entry.index, size, merkle.leaf_hash(entry.entry), proof, root)
            assert merkle.entry(entry.salt, entry.body) == entry.entry
        assert size == len(entries)
        for wrong in ((0, size + 1), (size + 1, size + 2)):
            with pytest.raises(ValueError, match="published"):
                books.reading.consistency(*wrong)
        with pytest.raises(ValueError, match=r"no such leaf"):
            books.reading.inclusion(size, size)
        assert [False, True, True] == [
            books.reading.contradicts(size, root),
            books.reading.contradicts(size, b"x" * 32),
            books.reading.contradicts(size + 1, root),
        ]

    with_books(place, body)


def test_a_node_that_has_seen_more_gets_no_proof(place: Place) -> None:
    """T-AUD-8: an old copy that was restored cannot look like a continuation."""

    async def body(books: Books) -> tuple[int, list[bytes]]:
        head = books.reading.head_from(books.sequencer.head.size + 7)
        return head.from_size - books.sequencer.head.size, list(head.consistency)

    assert (7, []) == with_books(place, body)


def test_the_ledger_holds_no_free_text_of_a_denial(place: Place) -> None:
    """T-PRV-6: codes only; the words come from the rules and go to the asker."""

    async def body(books: Books) -> str:
        released = await books.questions.refuse(refusal(asked()))
        return released.record.decode()

    assert "Ask the family" not in with_books(place, body)


@pytest.mark.prove
def test_no_release_follows_a_withdrawal_however_they_race(place: Place) -> None:
    """T-CON-1: withdrawals race releases and replays; in ledger order none comes after its withdrawal."""
    rounds, workers = 300, 16

    async def body(books: Books) -> tuple[int, int, int, int, int, list[float]]:
        loop = asyncio.get_running_loop()
        waits: list[float] = []
        closed = 0

        async def client(record_id: str, repeats: int) -> None:
            nonlocal closed
            for _ in range(repeats):
                question = asked(rely_on=[record_id])
                try:
                    opened = await books.questions.open_entry(permit(question, [record_id]))
                except AgreementWithdrawn:
                    return
                await books.questions.close_entry(composed(opened))
                closed += 1
                stored = await books.questions.stored(question)
                assert stored is not None
                await books.questions.replay(permit(question, [record_id]), stored)

        async def ender(record_id: str, number: int) -> None:
            # After so many ends, not after some time: how many come meanwhile depends on the machine.
            so_many = closed + 3 * (number % 15) // 2
            while closed < so_many:
                await asyncio.sleep(0.001)
            began = loop.time()
            await withdraw(books, record_id)
            waits.append(loop.time() - began)

        for number in range(rounds):
            record_id = await give(books)
            await asyncio.gather(ender(record_id, number), *(client(record_id, 3) for _ in range(workers)))
        return (*_fold(books), waits)

    releases, replays, refused, withdrawals, stale, waits = with_books(place, body)
    waits.sort()
    print(
        f"T-CON-1 stale={stale} releases={releases} replays={replays} refused={refused} withdrawals={withdrawals} "
        f"ack_p50_ms={waits[len(waits) // 2] * 1e3:.1f} ack_p99_ms={waits[int(len(waits) * 0.99)] * 1e3:.1f}"
    )

    assert (0, True) == (stale, refused > 0)
    assert releases + replays >= 5000


def _fold(books: Books) -> tuple[int, int, int, int, int]:
    """Read the ledger from the start, as an auditor would; count releases after the withdrawal of their agreement."""
    releases = replays = refused = stale = 0
    ended: set[str] = set()
    with books.store.reader.connect() as connection:
        for entry in tree.entries(connection, 0, 10**9):
            found = decode_object(entry.body)
            if entry.kind == "AGREEMENT_WITHDRAWN":
                ended.add(str(found["record_id"]))
            releases += entry.kind == "RELEASED"
            replays += entry.kind == "REPLAYED"
            refused += entry.kind in {"REFUSED", "REPLAY_REFUSED"}
            if entry.kind in {"RELEASED", "REPLAYED"}:
                stale += bool(ended & set(found["agreements"]))
    return releases, replays, refused, len(ended), stale
