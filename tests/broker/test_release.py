"""What may be shown: one row for each addressed agency, and nothing that was not said."""

import asyncio
from dataclasses import replace
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from broker.release import any_of, compose
from broker.stages import ANSWERED, NOT_REACHED, REFUSED, Answers, Composed, Permit, Reply
from tests.world import ledger as world
from tests.world.ledger import MemoryLedger

SIGNED = b"y" * 2048


def test_each_addressed_agency_has_one_row_in_order() -> None:
    """T-NET-1: a refused agency has its reasons, one not reached has nothing, and none is left out."""
    question = world.asked(targets=("police", "housing", "charity"))
    permit = Permit(question, world.decision(question, {"charity": False}))
    opened = asyncio.run(MemoryLedger().open_entry(permit))
    answers = Answers(opened, (Reply("police", ANSWERED, SIGNED), Reply("housing", NOT_REACHED, cause="deadline")))

    rows = compose(answers).rows

    assert [
        ("charity", REFUSED, b"", ("AGREEMENT_MISSING",)),
        ("housing", NOT_REACHED, b"", ()),
        ("police", ANSWERED, SIGNED, ()),
    ] == [(row.agency, row.delivery, row.signed_answer, tuple(one.code for one in row.denials)) for row in rows]


def test_why_an_agency_was_not_reached_is_not_shown() -> None:
    """T-PRV-1: the cause is for the operator; a row has no place for it."""
    question = world.asked(targets=("police",))
    opened = asyncio.run(MemoryLedger().open_entry(world.permit(question)))

    (row,) = compose(Answers(opened, (Reply("police", NOT_REACHED, cause="bad_answer"),))).rows

    assert "bad_answer" not in repr(row)


# -- Answers that are put together -------------------------------------------------------------------------------------

AGENCIES: Final = ("charity", "health", "housing", "police", "schools")
WHAT: Final = st.sampled_from(("YES", "NO", "CANNOT_SAY", NOT_REACHED, REFUSED))
"""What can come of one agency: its word, or that there is none."""


def put_together(came: dict[str, str], composition: str = "any") -> Composed:
    """What is released of a question about a family, given what came of each agency."""
    question = world.asked(targets=sorted(came))
    decided = world.decision(question, {agency: what != REFUSED for agency, what in came.items()})
    permit = Permit(question, replace(decided, question=world.question_of(composition)))
    opened = asyncio.run(MemoryLedger().open_entry(permit))
    replies = [
        Reply(agency, NOT_REACHED, cause="deadline")
        if what == NOT_REACHED
        else Reply(agency, ANSWERED, agency.encode() * 100, what)
        for agency, what in came.items()
        if what != REFUSED
    ]
    return compose(Answers(opened, tuple(replies)))


def told(came: dict[str, str]) -> str:
    """The slow way to the one word: count, and look at every agency for each word that could be said."""
    answered = 0
    for what in came.values():
        if what not in (NOT_REACHED, REFUSED):
            answered += 1
    if answered <= 1:
        return "CANNOT_SAY"
    for what in came.values():
        if what == "YES":
            return "YES"
    for what in came.values():
        if what != "NO":
            return "CANNOT_SAY"
    return "NO"


@given(st.dictionaries(st.sampled_from(AGENCIES), WHAT, min_size=1))
def test_one_word_is_made_of_all_agencies(came: dict[str, str]) -> None:
    """T-NET-1: yes if one says yes; no only if every agency addressed answered no; of a single answer, nothing."""
    released = put_together(came)

    assert told(came) == released.word


@given(st.dictionaries(st.sampled_from(AGENCIES), WHAT, min_size=2), st.permutations(AGENCIES))
def test_which_agency_said_what_changes_nothing_that_is_shown(came: dict[str, str], order: list[str]) -> None:
    """T-PRV-1: agencies that answered may have exchanged their answers, and the asker sees the same."""
    answered = [agency for agency in order if came.get(agency) in {"YES", "NO", "CANNOT_SAY"}]
    exchanged = came | dict(zip(answered, [came[agency] for agency in sorted(answered)], strict=True))

    def shown(released: Composed) -> list[object]:
        return [released.word, *((row.agency, row.delivery, row.signed_answer, row.denials) for row in released.rows)]

    assert shown(put_together(came)) == shown(put_together(exchanged))
    assert {b""} == {row.signed_answer for row in put_together(came).rows}


def test_an_answer_that_is_not_shown_is_kept_for_the_auditor() -> None:
    """T-AUD-9: the one word can be checked against the agencies' own signatures later."""
    released = put_together({"housing": "NO", "police": "YES"})

    assert [b"housing" * 100, b"police" * 100] == [row.kept for row in released.rows]
    assert "policepolice" not in repr(released.rows)


def test_where_each_agency_is_shown_no_word_is_made() -> None:
    """A question about a family that is shown agency by agency has no answer of the broker's."""
    released = put_together({"housing": "NO", "police": "YES"}, "per_agency")

    assert "" == released.word
    assert [b"housing" * 100, b"police" * 100] == [row.signed_answer for row in released.rows]
    assert {b""} == {row.kept for row in released.rows}


def test_of_nothing_nothing_is_said() -> None:
    """T-NET-1: no agency, or none that answered, is cannot say."""
    assert ["CANNOT_SAY"] * 3 == [any_of([]), any_of([""]), any_of(["", ""])]
