"""What a statement says of an emergency, and that an ordinary one says nothing of it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from accord import statement
from accord.canonical import NotCanonical, decode_object, encode
from accord.statement import Assertions, BrokerPart
from tests.world.rules import broker_part

CLAIM = Assertions(break_glass_ground="risk_to_life", supervisor_token="b" * 64)


def claiming(assertions: Assertions) -> BrokerPart:
    """The broker part of a question with these assertions, without tags."""
    return replace(broker_part("early_help"), assertions=assertions)


@pytest.mark.parametrize(
    "assertions",
    [CLAIM, Assertions(), Assertions(break_glass_ground="risk_to_life"), Assertions(supervisor_token="b" * 64)],
)
def test_what_is_written_of_an_emergency_is_read_again(assertions: Assertions) -> None:
    """LAW-20: the reason and the supervisor are signed with the question."""
    data = statement.broker_part_bytes(claiming(assertions))

    assert assertions == statement.parse_broker_part(data).assertions
    assert assertions.break_glass == (b"break_glass" in data)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda claim: {},
        lambda claim: None,
        lambda claim: {"ground": "none", "supervisor": ""},
        lambda claim: {**claim, "more": ""},
        lambda claim: {"ground": claim["ground"]},
        lambda claim: {**claim, "ground": "Risk to life"},
        lambda claim: {**claim, "ground": ""},
        lambda claim: {**claim, "supervisor": "Angela Marsh"},
        lambda claim: {**claim, "supervisor": "B" * 64},
        lambda claim: {**claim, "supervisor": None},
    ],
)
def test_a_claim_of_another_form_is_refused(spoil: Callable[[Any], Any]) -> None:
    """T-SEC-3: a claim has one form, and a name has no place in it."""
    value = decode_object(statement.broker_part_bytes(claiming(CLAIM)))
    assertions: Any = value["assertions"]
    assertions["break_glass"] = spoil(assertions["break_glass"])

    with pytest.raises(NotCanonical):
        statement.parse_broker_part(encode(value))
