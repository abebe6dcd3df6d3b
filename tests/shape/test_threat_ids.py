"""The numbers of the threat register: none invented, none forgotten."""

import re
from typing import Final

from tests.shape.tree import ROOT, text_files

_ID: Final = re.compile(r"\b(?:T-(?:AUD|CON|POL|LNK|NET|SEC|PRV|OPS)-\d+|LAW-\d+)\b")

MOST_PENDING: Final = 5
"""How many numbers may still wait for a test. Lower it when the list gets shorter; it is never raised."""


def _register() -> list[str]:
    text = (ROOT / "THREAT_MODEL.md").read_text(encoding="utf-8")

    return re.findall(r"^\| (T-[A-Z]{3}-\d+|LAW-\d+) \|", text, re.MULTILINE)


def _cited_by_tests() -> set[str]:
    return {
        number
        for path, text in text_files()
        if path.parts[0] == "tests" and path.parts[1] != "shape" and path.name.startswith("test_")
        for number in _ID.findall(text)
    }


def _pending() -> list[str]:
    lines = (ROOT / "tests/shape/pending.txt").read_text(encoding="utf-8").splitlines()

    return [line.split()[0] for line in lines if line and not line.startswith("#")]


def test_every_number_stands_in_the_register_once() -> None:
    """A number given twice would let one test stand for two promises."""
    register = _register()

    assert sorted(set(register)) == sorted(register)


def test_no_file_cites_a_number_that_is_not_in_the_register() -> None:
    """A citation nobody can look up proves nothing."""
    register = set(_register())

    unknown = [
        f"{path}: {number}" for path, text in text_files() for number in sorted(set(_ID.findall(text)) - register)
    ]

    assert [] == unknown


def test_every_number_is_cited_by_a_test_or_waits_in_the_list() -> None:
    """A promise without a test must at least be admitted."""
    assert sorted(set(_register()) - _cited_by_tests()) == sorted(_pending())


def test_the_list_of_waiting_numbers_only_gets_shorter() -> None:
    """Whoever adds a test takes its number off the list, and lowers the mark."""
    assert len(_pending()) <= MOST_PENDING
