"""Who knows this family: one question about several people, as a picture for people who see it and as words for all.

The picture is a grid of people and agencies. Each symbol has a shape of its own, so that it can be read without
colour, and each agency a line that says the same in words. `in_words` is the whole of it without a picture: for a
screen reader, a file, or somebody who prefers words. It fits eight people and seven agencies into 80 columns.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from accord.answer import CANNOT_SAY, NO, RECENCIES, YES, SlotAnswer
from agency_node.asking import AgencyOutcome, Outcome

BAR: Final = len(RECENCIES)
"""Length of the longest bar: something is open now."""


class Mark(NamedTuple):
    """How one answer looks: a symbol, the same in words, and a colour that adds nothing to them."""

    symbol: str
    words: str
    style: str


YES_UNDATED: Final = Mark("✓", "yes", "bold green")
MARKS: Final = {
    "OPEN_NOW": Mark("●", "open now", "bold magenta"),
    "WITHIN_3M": Mark("◕", "within 3 months", "bold red"),
    "WITHIN_12M": Mark("◑", "within a year", "yellow"),
    "WITHIN_3Y": Mark("◔", "within 3 years", "cyan"),
    "OLDER": Mark("○", "longer ago", "blue"),
    "": YES_UNDATED,
    NO: Mark("·", "no", "dim"),
    CANNOT_SAY: Mark("?", "cannot say", "bold yellow"),
    "NOT_REACHED": Mark("✕", "not reached", "bold red"),
    "REFUSED": Mark("–", "not asked", "red"),
}
"""Every recency of a yes, the other answers, and what else can come of an agency; in the order of the legend."""


def mark(agency: AgencyOutcome, answer: SlotAnswer | None) -> Mark:
    """How one person looks at one agency; no answer for an agency that gave none."""
    if answer is None or agency.delivery != "ANSWERED":
        return MARKS.get(agency.delivery, MARKS[CANNOT_SAY])
    return MARKS[answer.recency if answer.answer == YES else answer.answer]


def newest(agency: AgencyOutcome) -> str:
    """The most recent band among an agency's answers; empty when it has none."""
    found = {one.recency for one in agency.answers if one.answer == YES}
    return next((band for band in RECENCIES if band in found), "")


def in_short(outcome: Outcome, agency: AgencyOutcome) -> str:
    """What one agency says, in one line: how many people, and how recent the most recent is."""
    if agency.delivery != "ANSWERED":
        return MARKS[agency.delivery].words
    if outcome.together:
        return "answered"
    if outcome.question.of_family:
        shown = _of_family(outcome, agency)
        return f"yes, {shown.words}" if outcome.summary(agency) == YES and newest(agency) else shown.words
    said = [one.answer for one in agency.answers]
    yes, unclear = said.count(YES), said.count(CANNOT_SAY)
    if unclear == len(said):
        return "cannot say for anybody"
    parts = (
        [f"{yes or 'none'} of {len(said)} people"]
        if yes or not unclear
        else [f"no for {said.count(NO)} of {len(said)}"]
    )
    if newest(agency):
        recency = MARKS[newest(agency)].words
        parts.append(recency if newest(agency) == RECENCIES[0] else f"most recent {recency}")
    if unclear:
        parts.append(f"cannot say for {unclear}")
    return ", ".join(parts)


def _of_family(outcome: Outcome, agency: AgencyOutcome) -> Mark:
    """How a family as a whole looks at one agency: never better known than its least known member is."""
    word = outcome.summary(agency)
    return MARKS[agency.delivery if not word else newest(agency) if word == YES else word]


def as_picture(outcome: Outcome, names: Sequence[str]) -> RenderableType:
    """The grid, its legend, and one line for each agency with a bar for how recent the most recent is.

    Args:
        outcome: Checked; each agency's own answers are shown.
        names: How the asker wrote each person's name, in order.
    """
    lines = _agencies(outcome)
    if outcome.question.of_family:
        return lines
    grid = Table(box=None, padding=(0, 1, 0, 0), show_edge=False, header_style="bold")
    grid.add_column("Who knows this family", overflow="fold")
    for letter, _ in _lettered(outcome):
        grid.add_column(letter, justify="center", width=2)
    used = []
    for number, name in enumerate(names):
        marks = [mark(one, one.answers[number] if one.answers else None) for one in outcome.agencies]
        used += marks
        grid.add_row(_name(name, number), *(Text(one.symbol, one.style) for one in marks))
    legend = Text("  ").join(
        Text.assemble((one.symbol, one.style), " ", one.words.replace(" ", "\N{NO-BREAK SPACE}"))
        for one in MARKS.values()
        if one in used
    )
    return Group(grid, legend, Text(), lines)


def _agencies(outcome: Outcome) -> Table:
    lines = Table(box=None, padding=(0, 1, 0, 0), show_edge=False, show_header=False)
    lines.add_column(style="bold")
    lines.add_column(overflow="fold")
    lines.add_column(width=BAR, no_wrap=True)
    lines.add_column(overflow="fold")
    for letter, agency in _lettered(outcome):
        recency = newest(agency)
        length = BAR - RECENCIES.index(recency) if recency else 0
        shown = _of_family(outcome, agency)
        first = Text(shown.symbol, shown.style) if outcome.question.of_family else Text(letter)
        style = MARKS[recency].style if recency else ""
        lines.add_row(first, agency.title, Text("█" * length, style), in_short(outcome, agency))
    return lines


def _lettered(outcome: Outcome) -> list[tuple[str, AgencyOutcome]]:
    """Agencies with a letter each, after Z two: an agency's name is too long for the head of a column."""
    return [(_letter(number), agency) for number, agency in enumerate(outcome.agencies)]


def _letter(number: int) -> str:
    tens, ones = divmod(number, 26)
    return ("" if tens == 0 else chr(ord("A") + tens - 1)) + chr(ord("A") + ones)


def _name(name: str, number: int) -> str:
    return name or f"Person {number + 1}"


def in_words(outcome: Outcome, names: Sequence[str]) -> list[str]:
    """The same as `as_picture` in sentences: each agency, then for each answer who it is about."""
    lines = []
    for agency in outcome.agencies:
        lines.append(f"{agency.title}: {in_short(outcome, agency)}.")
        if outcome.question.of_family or agency.delivery != "ANSWERED":
            continue
        by_words: dict[str, list[str]] = {}
        for number, answer in enumerate(agency.answers):
            by_words.setdefault(mark(agency, answer).words, []).append(_name(names[number], number))
        for one in dict.fromkeys(MARKS.values()):
            if one.words in by_words:
                lines.append(f"  {one.words}: {', '.join(by_words[one.words])}")
    return lines
