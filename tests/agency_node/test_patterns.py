"""Counts of how descriptions and records agreed."""

import pytest
from sqlalchemy import Engine

from agency_node.refit import BadPattern, from_text, to_text
from agency_node.scoring import FIELDS, UNKNOWN, Levels
from agency_node.store import reading, writing
from agency_node.store.patterns import count, counted
from agency_node.store.tables import opened_pattern

SAME: Levels = (5, 5, 6, 3, 5, 1, 1, UNKNOWN)


def add(store: Engine, month: str, **pairs: int) -> None:
    with writing(store) as connection:
        count(connection, pairs, month)


def test_counts_add_up_over_months(store: Engine) -> None:
    """A month's counts are one row for each pattern, whatever number of answers they came with."""
    add(store, "2026-10", a=2, b=1)
    add(store, "2026-11", a=3)
    add(store, "2026-11", c=1, a=4)
    add(store, "2026-11")

    with reading(store) as connection:
        assert ({"a": 9, "b": 1, "c": 1}, ("2026-10", "2026-11")) == counted(connection)


def test_counts_of_too_long_ago_are_forgotten(store: Engine) -> None:
    """Two years, to the month."""
    add(store, "2024-10", a=1)
    add(store, "2024-11", a=10)
    add(store, "2026-11", a=100)

    with reading(store) as connection:
        assert ({"a": 110}, ("2024-11", "2026-11")) == counted(connection)


def test_a_row_holds_a_month_a_pattern_and_a_number_and_no_more() -> None:
    """T-PRV-1: no person, no question, no day: beside the ledger they would tell how a known question agreed."""
    assert ["month", "pattern", "pairs"] == [column.name for column in opened_pattern.columns]


def test_a_pattern_survives_being_written() -> None:
    """One character a field."""
    assert "5563511-" == to_text(SAME)
    assert SAME == from_text("5563511-")


@pytest.mark.parametrize("written", ["", "5563511", "5563511--", "6563511-", "556351x-", "٥563511-", "5563512-"])
def test_a_pattern_that_is_none_is_refused(written: str) -> None:
    """Whoever changed the state file may have left anything there."""
    with pytest.raises(BadPattern):
        from_text(written)


def test_every_level_has_a_character() -> None:
    """A field with ten levels or more would need another form."""
    assert max(FIELDS.values()) <= 10
