"""What whoever asks gets to see: one person's table, a family's picture, and the same in words; each says all of it."""

import io
import json
from collections.abc import Sequence
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from accord.answer import LINKAGES, RECENCIES, Contact, SlotAnswer
from agency_node.asking import AgencyOutcome, Denied, Outcome
from agency_node.cli.picture import MARKS, in_short
from agency_node.cli.show import as_object, as_screen
from tests.world.ledger import question_of

NAMES: Final = (
    "Jamie Thorley",
    "Anne Calloway",
    "Stacey Calloway",
    "Theodora Featherstonehaugh-Calloway",
    "Ben Thorley",
    "Moses Ekundayo",
    "Jo Thorley",
    "Ivy Calloway",
)
TITLES: Final = (
    "Larkspur Family Trust (charity)",
    "Midshire drug and alcohol service",
    "Midshire community health (health visiting and GP)",
    "Marlow Vale District Council housing",
    "Midshire Police",
    "Midshire schools",
    "Midshire youth offending team",
)
RING: Final = ("Response", "Duty inspector", "01632 960102")


def agency(title: str, words: Sequence[str], people: int = 8) -> AgencyOutcome:
    """What one agency says: a recency for a yes, NO, CANNOT_SAY, or how else it ended for all."""
    if words[0] in {"REFUSED", "NOT_REACHED"}:
        denials = (Denied("X", "It may not be asked", "Ask otherwise", "Your manager", ""),) * (words[0] == "REFUSED")
        return AgencyOutcome(title, title, "g", words[0], denials=denials)
    said = []
    for number in range(people):
        word = words[number % len(words)]
        yes = word in RECENCIES
        ref = f"s{number + 1}"
        said.append(SlotAnswer(ref, "YES", word, LINKAGES[0]) if yes else SlotAnswer(ref, word))
    contacts = tuple(Contact(one.ref, *RING) for one in said if one.answer == "YES")
    return AgencyOutcome(title, title, "g", "ANSWERED", tuple(said), contacts, 1)


def outcome(*agencies: AgencyOutcome, people: int = 8, subjects: Sequence[str] = ("person",), **more: Any) -> Outcome:
    question = question_of("per_agency", subjects)
    return Outcome("q", question, people, agencies, "RELEASED", 17, b"{}", "receipt", **more)


def screen(shown: Outcome, *, plain: bool = False, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=False, no_color=True)
    console.print(as_screen(shown, NAMES[: shown.people], plain=plain))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue().splitlines()


def words(shown: Outcome, **options: Any) -> str:
    return " ".join(" ".join(screen(shown, **options)).split())


WIDE: Final = outcome(
    agency(TITLES[0], ["OPEN_NOW", "NO", "WITHIN_3Y", "CANNOT_SAY"]),
    agency(TITLES[1], ["REFUSED"]),
    agency(TITLES[2], ["WITHIN_3M", "NO"]),
    agency(TITLES[3], ["NO"]),
    agency(TITLES[4], ["WITHIN_12M", "OLDER", "CANNOT_SAY"]),
    agency(TITLES[5], ["CANNOT_SAY"]),
    agency(TITLES[6], ["NOT_REACHED"]),
)


def test_eight_people_and_seven_agencies_fit_into_eighty_columns() -> None:
    """Each person has one line of the grid, with one symbol for each agency and no name cut off."""
    lines = screen(WIDE)
    grid = lines[2:10]

    assert 80 >= max(cell_len(line) for line in lines)
    assert list(NAMES) == [name for name, line in zip(NAMES, grid, strict=True) if line.startswith(name)]
    assert ["●", "–", "◕", "·", "◑", "?", "✕"] == grid[0].removeprefix(NAMES[0]).split()
    assert ["·", "–", "·", "·", "○", "?", "✕"] == grid[1].removeprefix(NAMES[1]).split()


def test_every_symbol_of_the_picture_is_explained_beside_it() -> None:
    """Read without colour, and without having learned it before."""
    picture = words(WIDE).replace("\N{NO-BREAK SPACE}", " ")

    assert [] == [
        mark.words for mark in MARKS.values() if mark.words != "yes" and f"{mark.symbol} {mark.words}" not in picture
    ]
    assert len(MARKS) == len({mark.symbol for mark in MARKS.values()})


def test_each_agency_has_a_line_in_words() -> None:
    """How many of the family it knows and how recent the most recent is; what is missing is said as missing."""
    assert [
        "4 of 8 people, open now, cannot say for 2",
        "not asked",
        "4 of 8 people, most recent within 3 months",
        "none of 8 people",
        "6 of 8 people, most recent within a year, cannot say for 2",
        "cannot say for anybody",
        "not reached",
    ] == [in_short(WIDE, one) for one in WIDE.agencies]
    assert "no for 4 of 8, cannot say for 4" == in_short(WIDE, agency("x", ["NO", "CANNOT_SAY"]))


def test_the_newer_an_agencys_contact_the_longer_its_bar() -> None:
    """And no bar for what is not a yes."""
    bars = [line.count("█") for line in screen(WIDE) if "█" in line]

    assert [5, 4, 3] == bars


WORDS: Final = st.one_of(
    st.lists(st.sampled_from((*RECENCIES, "NO", "CANNOT_SAY")), min_size=1, max_size=8),
    st.sampled_from((["REFUSED"], ["NOT_REACHED"])),
)


@given(st.lists(WORDS, min_size=1, max_size=7), st.integers(2, 8))
def test_the_plain_form_says_of_everybody_what_the_picture_shows(drawn: list[list[str]], people: int) -> None:
    """T-NET-1: each person stands under one answer for each agency that answered, and nobody under one that did not."""
    shown = outcome(*(agency(title, one, people) for title, one in zip(TITLES, drawn, strict=False)), people=people)
    lines = screen(shown, plain=True, width=400)
    found: dict[tuple[str, str], str] = {}
    heading = ""
    for line in lines:
        title = next((one for one in TITLES if line.startswith(f"{one}: ")), "")
        heading = title or (heading if line.startswith("  ") and ": " in line else "")
        if heading and not title:
            said, _, who = line.strip().partition(": ")
            found |= {(heading, name): said for name in who.split(", ") if name in NAMES}
    wanted = {
        (one.title, NAMES[number]): MARKS[answer.recency or answer.answer].words
        for one in shown.agencies
        for number, answer in enumerate(one.answers)
    }

    assert wanted == found


def test_whom_to_ring_stands_once_for_each_agency() -> None:
    """Below the picture, and with names only where there are several teams."""
    one = outcome(agency("Police", ["OPEN_NOW"]), agency("Housing", ["NO"]))

    assert 1 == words(one).count("01632 960102")
    assert "Police: Response, Duty inspector, 01632 960102" in words(one)
    assert "Housing: Response" not in words(one)


def test_about_one_person_there_is_a_table() -> None:
    """As it always was: agency, person, answer, how recent, whom to ring."""
    lines = words(outcome(agency("Police", ["WITHIN_3M"], 1), agency("Housing", ["NOT_REACHED"], 1), people=1))

    assert "Whom to ring" in lines
    assert "yes" in lines
    assert "Who knows this family" not in lines
    assert "not reached" in lines


@pytest.mark.parametrize("plain", [False, True])
def test_a_family_as_a_whole_has_one_line_for_each_agency(plain: bool) -> None:
    """T-LNK-2: nobody's name stands beside a yes that says nothing of whom."""
    shown = outcome(agency("Police", ["WITHIN_3M"]), agency("Housing", ["NO"]), subjects=["family"])

    told = words(shown, plain=plain)

    assert "yes, within 3 months" in told
    assert [] == [name for name in NAMES if name in told]


def test_the_symbol_of_a_family_is_never_a_no_beside_cannot_say() -> None:
    """T-LNK-5: whoever is left out or thinly described makes it cannot say, whoever was named first."""
    shown = outcome(agency("Police", ["NO", "CANNOT_SAY"], 2), people=2, subjects=["family"], left_out=("s2",))

    line = next(line for line in screen(shown) if "Police" in line)

    assert [MARKS["CANNOT_SAY"].symbol, "cannot say"] == [line.split()[0], " ".join(line.split()[2:])]


@pytest.mark.parametrize("plain", [False, True])
def test_who_was_left_out_is_said_with_what_would_help(plain: bool) -> None:
    """T-LNK-5: not asked about is not the same as not known."""
    shown = outcome(agency("Police", ["NO", "CANNOT_SAY"], 2), people=2, left_out=("s2",))

    told = words(shown, plain=plain)

    assert "Not asked about: Anne Calloway. Cannot say: not enough to go on." in told
    assert "date of birth" in told


@pytest.mark.parametrize("plain", [False, True])
def test_of_whom_little_is_known_is_said_with_what_would_help(plain: bool) -> None:
    """T-LNK-5: not found is not the same as not known."""
    shown = outcome(agency("Police", ["NO", "CANNOT_SAY"], 2), people=2, thinly_described=("s2",))

    assert "Little is known of Anne Calloway" in words(shown, plain=plain)
    assert ["s2"] == [one["ref"] for one in as_object(shown)["thinly_described"]]


@pytest.mark.parametrize("plain", [False, True])
def test_an_answer_put_together_says_whose_work_it_is(plain: bool) -> None:
    """T-AUD-9: one word, who answered, that the broker made it, and nobody's own answer."""
    agencies = (
        AgencyOutcome("police", "Police", "g", "ANSWERED"),
        AgencyOutcome("housing", "Housing", "g", "NOT_REACHED"),
    )
    shown = outcome(*agencies, subjects=["family"], together="CANNOT_SAY")

    told = words(shown, plain=plain)

    assert "? cannot say" in told
    assert "The broker put this answer together." in told
    assert "Police: answered. Housing: not reached." in told
    assert "1 of 2 agencies answered." in told


def test_a_program_gets_the_same_in_words() -> None:
    """Each answer, each agency's line, who was left out and what was put together, as JSON."""
    shown = outcome(agency("Police", ["WITHIN_3M", "CANNOT_SAY"], 2), people=2, left_out=("s2",))

    found = json.loads(json.dumps(as_object(shown)))

    assert "1 of 2 people, most recent within 3 months, cannot say for 1" == found["agencies"][0]["in_words"]
    assert ["within 3 months", "not enough to go on"] == [one["in_words"] for one in found["agencies"][0]["people"]]
    assert [("s2", "not enough to go on")] == [(one["ref"], one["why"]) for one in found["left_out"]]
    assert found["together"] is None
