"""What may be shown: one row for each addressed agency, and nothing that was not said."""

import asyncio

from broker.release import compose
from broker.stages import ANSWERED, NOT_REACHED, REFUSED, Answers, Permit, Reply
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
