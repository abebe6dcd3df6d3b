"""How an outcome looks: a table for people, an object for programs. Both say the same."""

from datetime import UTC, datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from accord.answer import CANNOT_SAY, NO, YES, SlotAnswer
from agency_node.asking import AgencyOutcome, Outcome

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


def as_table(outcome: Outcome, names: tuple[str, ...]) -> RenderableType:
    """The outcome for the person who asked.

    Args:
        outcome: Checked.
        names: How the asker wrote each person's name, in order; shown on the asker's own screen only.
    """
    table = Table(title=outcome.question.title, title_justify="left", expand=False)
    for heading in ("Agency", "Person", "Answer", "How recent", "Whom to ring"):
        table.add_column(heading)
    for agency in outcome.agencies:
        if agency.delivery == "ANSWERED":
            for number, (name, answer) in enumerate(zip(names, agency.answers, strict=True)):
                word = Text(WORDS[answer.answer], COLOURS[answer.answer])
                title = agency.title if number == 0 else ""
                last = number == len(names) - 1
                table.add_row(title, name, word, RECENCIES[answer.recency], _ring(agency, answer.ref), end_section=last)
        else:
            table.add_row(agency.title, "", Text(DELIVERIES[agency.delivery], "red"), "", "", end_section=True)
    parts: list[RenderableType] = [table]
    parts += _why(outcome)
    parts.append(Text(coverage(outcome), "bold"))
    if any(answer.answer == YES for agency in outcome.agencies for answer in agency.answers):
        parts.append(Text(f"Next: {outcome.question.next_step}"))
    if any(answer.answer == CANNOT_SAY for agency in outcome.agencies for answer in agency.answers):
        # The same for every cause, and worked out here: it tells nothing of what the agency holds.
        parts.append(
            Text("Where it says cannot say: a full date of birth, an earlier surname or an earlier postcode may help.")
        )
    parts.append(Text(f"Recorded in the ledger as entry {outcome.ledger_index}; the proof was checked here.", "dim"))
    return Group(*parts)


def _ring(agency: AgencyOutcome, ref: str) -> str:
    for contact in agency.contacts:
        if contact.ref == ref:
            return "\n".join(part for part in (contact.team, contact.role, contact.lead, contact.phone) if part)
    return ""


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
        "agencies": [
            {
                "agency": one.agency,
                "title": one.title,
                "gateway": one.gateway,
                "delivery": one.delivery,
                "summary": outcome.summary(one),
                "as_of": datetime.fromtimestamp(one.as_of_ns / 1e9, UTC).isoformat() if one.as_of_ns else None,
                "people": [_answer(one, answer) for answer in one.answers],
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


def _answer(agency: AgencyOutcome, answer: SlotAnswer) -> dict[str, object]:
    contact = next((one for one in agency.contacts if one.ref == answer.ref), None)
    return {
        "ref": answer.ref,
        "answer": answer.answer,
        "recency": answer.recency or None,
        "linkage": answer.linkage or None,
        "contact": None
        if contact is None
        else {"team": contact.team, "role": contact.role, "phone": contact.phone, "lead": contact.lead or None},
    }
