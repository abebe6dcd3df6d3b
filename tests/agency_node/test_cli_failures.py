"""What a command says when something fails that nobody foresaw: its kind and its place, never its text."""

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from accord.identity import describe
from accord.slot import Content
from agency_node.asking import Inquiry, Person
from agency_node.channel import Remote
from agency_node.cli.app import explain
from agency_node.cli.app import failing as node_failing
from broker.cli.app import failing as broker_failing

SIDES = pytest.mark.parametrize("failing", [node_failing, broker_failing], ids=["accord-node", "accord-broker"])
NEEDLES = ("Thorley", "thorley", "20130309", "2013-03-09", "md47qt", "CF-1042")


def fails(standalone_mode: bool) -> None:
    raise KeyError("Jamie Thorley, 2013-03-09")


@SIDES
@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_an_unforeseen_failure_says_nothing_of_whom_it_met(
    failing: Callable[[Callable[..., Any]], int],
    flags: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """T-PRV-1: a screen and a terminal's log are read by more people than the case."""
    monkeypatch.setattr(sys, "argv", ["accord", *flags])
    code = failing(fails)
    said = "".join(capsys.readouterr())

    assert 1 == code
    assert not [needle for needle in NEEDLES if needle in said]
    assert "Traceback" not in said
    assert "KeyError at test_cli_failures.py:" in said


def test_who_is_turned_away_is_told_how_long_to_wait(capsys: pytest.CaptureFixture[str]) -> None:
    """T-POL-5: in words, with the exit code for what is not available now; a program gets the same."""
    busy = Remote("RATE_LIMITED", retry_s=1.5)
    codes = [explain(busy, False), explain(busy, True)]
    written = capsys.readouterr()
    words, told = " ".join(written.err.split()), json.loads(written.out)["error"]
    cure = "Wait 2 seconds and try again; if it is urgent, telephone."

    assert [4, 4] == codes
    assert f"More is being asked at once than can be answered. What you can do: {cure} (RATE_LIMITED)" == words
    assert ("RATE_LIMITED", cure) == (told["reason"], told["cure"])


def test_what_is_known_of_a_person_does_not_write_itself_out() -> None:
    """T-PRV-1: wherever a value of these ends up in a message, the message says nothing."""
    description = describe(first_name="Jamie", last_name="Thorley", date_of_birth="2013-03-09", postcode="MD4 7QT")
    person = Person(description, "child")
    content = Content("s1", b"Jamie Thorley 20130309", "child", "10_15", (b"Thorley",), None)
    inquiry = Inquiry("agency.contact", "early_help", (person,), "CF-1042")
    said = f"{description!r} {person!r} {content!r} {inquiry!r}"

    assert not [needle for needle in NEEDLES if needle in said]
