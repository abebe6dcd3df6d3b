"""How an outcome looks: a table, picture or words for people, an object for programs. All say the same."""

from datetime import UTC, datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from accord.answer import CANNOT_SAY, NO, YES, SlotAnswer
from agency_node.asking import AgencyOutcome, Outcome
from agency_node.cli.picture import as_picture, in_short, in_words, mark

WORDS: Final = {YES: "yes", NO: "no", CANNOT_SAY: "cannot say"}
DELIVERIES: Final = {"ANSWERED": "answered", "REFUSED": "not asked", "NOT_REACHED": "not reached"}
RECENCIES: Final = {
    "": "",
    "OPEN_NOW": "open now",
    "WITHIN_3M": "within 3 months",
    "WITHIN_12M": "within a year",
    "WITHIN_3Y": "within 3 years",
    "OLDER": "longer ago",
}
LINKAGES: Final = {"": "", "CONFIRMED": "confirmed", "PROBABLE": "probable"}
NOT_ENOUGH: Final = "not enough to go on"
WHAT_HELPS: Final = "A full date of birth, a postcode or an earlier surname would help."
COLOURS: Final = {YES: "bold green", NO: "white", CANNOT_SAY: "yellow"}


def coverage(outcome: Outcome) -> str:
    """The one line that says how much the answer rests on."""
    addressed = len(outcome.agencies)
    noun = "agency" if addressed == 1 else "agencies"
    return f"{outcome.answered} of {addressed} {noun} answered. No yes is not no."


def exit_code(outcome: Outcome) -> int:
    """0 every addressed agency answered, 3 all refused, 6 incomplete."""
    if outcome.answered == len(outcome.agencies):
        return 0
    if all(one.delivery == "REFUSED" for one in outcome.agencies):
        return 3
    return 6


def as_screen(outcome: Outcome, names: tuple[str, ...], *, plain: bool = False) -> RenderableType:
    """The outcome for the person who asked: a table about one person, a picture or words about several.

    Args:
        outcome: Checked.
        names: How the asker wrote each person's name, in order; shown on the asker's own screen only.
        plain: Words in place of a picture, for a screen reader or a file.
    """
    parts: list[RenderableType] = []
    if outcome.together:
        parts += _together(outcome)
    elif outcome.people == 1:
        parts.append(_table(outcome, names))
    else:
        parts.append(Text(outcome.question.title, "italic"))
        parts += [Text(line) for line in in_words(outcome, names)] if plain else [as_picture(outcome, names)]
        parts += _rings(outcome, names)
    parts += [_left_out(outcome, names)] if outcome.left_out else []
    parts += [_thinly_described(outcome, names)] if outcome.thinly_described else []
    parts += _why(outcome)
    parts.append(Text(coverage(outcome), "bold"))
    words = {answer.answer for agency in outcome.agencies for answer in agency.answers} | {outcome.word}
    if YES in words:
        parts.append(Text(f"Next: {outcome.question.next_step}"))
    if CANNOT_SAY in words:
        # The same for every cause, and worked out here: it tells nothing of what the agency holds.
        parts.append(
            Text("Where it says cannot say: a full date of birth, an earlier surname or an earlier postcode may help.")
        )
    parts.append(Text(f"Recorded in the ledger as entry {outcome.ledger_index}; the proof was checked here.", "dim"))
    return Group(*parts)


def _table(outcome: Outcome, names: tuple[str, ...]) -> Table:
    table = Table(title=outcome.question.title, title_justify="left", expand=False)
    for heading in ("Agency", "Person", "Answer", "How recent", "Whom to ring"):
        table.add_column(heading)
    for agency in outcome.agencies:
        for name, answer in zip(names, agency.answers, strict=False):
            word = Text(WORDS[answer.answer], COLOURS[answer.answer])
            ring = "\n".join(_ring(agency, answer.ref))
            table.add_row(agency.title, name, word, RECENCIES[answer.recency], ring, end_section=True)
        if agency.delivery != "ANSWERED":
            table.add_row(agency.title, "", Text(DELIVERIES[agency.delivery], "red"), "", "", end_section=True)
    return table


def _together(outcome: Outcome) -> list[RenderableType]:
    answer = Text.assemble(f"{outcome.question.title} ", (WORDS[outcome.word], COLOURS[outcome.word]))
    return [
        answer,
        *(Text(f"{agency.title}: {in_short(outcome, agency)}.") for agency in outcome.agencies),
        Text(
            "The broker put this answer together. Which agency said what is not shown; the broker keeps their signed"
            " answers for the auditor, and the ledger names each of them.",
            "dim",
        ),
    ]


def _left_out(outcome: Outcome, names: tuple[str, ...]) -> Text:
    who = _named(outcome.left_out, names)
    return Text(f"Not asked about: {who}. Cannot say: {NOT_ENOUGH}. {WHAT_HELPS}", "yellow")


def _thinly_described(outcome: Outcome, names: tuple[str, ...]) -> Text:
    who = _named(outcome.thinly_described, names)
    return Text(f"Little is known of {who}: whoever does not find them cannot say no. {WHAT_HELPS}", "yellow")


def _named(refs: tuple[str, ...], names: tuple[str, ...]) -> str:
    return ", ".join(names[int(ref[1:]) - 1] or f"person {ref[1:]}" for ref in refs)


def _rings(outcome: Outcome, names: tuple[str, ...]) -> list[RenderableType]:
    """Whom to ring, once for each agency and team, with the people it is about where there are several teams."""
    lines: list[RenderableType] = []
    for agency in outcome.agencies:
        teams: dict[str, list[str]] = {}
        for answer in agency.answers:
            ring = ", ".join(_ring(agency, answer.ref))
            if ring:
                teams.setdefault(ring, []).append(names[int(answer.ref[1:]) - 1] or f"person {answer.ref[1:]}")
        for ring, who in teams.items():
            about = f" (about {', '.join(who)})" if len(teams) > 1 else ""
            lines.append(Padding(Text(f"{agency.title}: {ring}{about}"), (0, 0, 0, 2)))
    return [Text("\nWhom to ring", "bold"), *lines, Text()] if lines else []


def _ring(agency: AgencyOutcome, ref: str) -> list[str]:
    for contact in agency.contacts:
        if contact.ref == ref:
            return [part for part in (contact.team, contact.role, contact.lead, contact.phone) if part]
    return []


def _why(outcome: Outcome) -> list[RenderableType]:
    """Why agencies were not asked; those with the same reasons together."""
    alike: dict[str, list[str]] = {}
    for agency in outcome.agencies:
        reasons = {
            denial.code: f"{denial.reason}\n  What you can do: {denial.cure}\n  Help: {denial.contact}"
            for denial in agency.denials
        }
        if reasons:
            alike.setdefault("\n".join(reasons.values()), []).append(agency.title)
    return [
        Panel(Text(text), title=f"Why {' and '.join(titles)} could not be asked", title_align="left", expand=False)
        for text, titles in alike.items()
    ]


def as_object(outcome: Outcome) -> dict[str, object]:
    """The outcome for a program. People are named by reference only."""
    return {
        "query_id": outcome.query_id,
        "question": outcome.question.id,
        "question_version": outcome.question.version,
        "outcome": outcome.kind,
        "coverage": {"asked": len(outcome.agencies), "answered": outcome.answered},
        "together": outcome.word or None,
        "left_out": [{"ref": ref, "why": NOT_ENOUGH, "what_helps": WHAT_HELPS} for ref in outcome.left_out],
        "thinly_described": [{"ref": ref, "what_helps": WHAT_HELPS} for ref in outcome.thinly_described],
        "agencies": [
            {
                "agency": one.agency,
                "title": one.title,
                "gateway": one.gateway,
                "delivery": one.delivery,
                "summary": outcome.summary(one),
                "in_words": in_short(outcome, one),
                "as_of": datetime.fromtimestamp(one.as_of_ns / 1e9, UTC).isoformat() if one.as_of_ns else None,
                "people": [_answer(one, answer, outcome.left_out) for answer in one.answers],
                "denials": [
                    {
                        "code": denial.code,
                        "reason": denial.reason,
                        "cure": denial.cure,
                        "contact": denial.contact,
                        "ref": denial.ref,
                    }
                    for denial in one.denials
                ],
            }
            for one in outcome.agencies
        ],
        "next_step": outcome.question.next_step,
        "ledger": {"index": outcome.ledger_index, "record": outcome.record.decode(), "receipt": outcome.receipt},
    }


def _answer(agency: AgencyOutcome, answer: SlotAnswer, left_out: tuple[str, ...]) -> dict[str, object]:
    contact = next((one for one in agency.contacts if one.ref == answer.ref), None)
    return {
        "ref": answer.ref,
        "answer": answer.answer,
        "recency": answer.recency or None,
        "linkage": answer.linkage or None,
        "in_words": NOT_ENOUGH if answer.ref in left_out else mark(agency, answer).words,
        "contact": None
        if contact is None
        else {"team": contact.team, "role": contact.role, "phone": contact.phone, "lead": contact.lead or None},
    }
