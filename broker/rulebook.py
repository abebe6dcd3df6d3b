"""The rules as a document for people: made from the data and from what each rule says of itself.

Nothing in it is written twice: a title stands in the rule's METADATA, a law's name in its row, and the words that
somebody who is refused reads in data/reasons. A test holds policies/RULES.md against this.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from broker.policy import read_rows

_COMMENT: Final = re.compile(r"^# ?")
_RULE: Final = re.compile(r"^(?:default )?([a-z_0-9]+)")
_CLASSES: Final = {
    "supportive": "supportive: the family's agreement is what allows it",
    "protective": "protective: does not depend on the family's agreement",
    "administrative": "administrative",
}
_TYPES: Final = {
    "duty": "a duty to share",
    "power": "a power to share",
    "common_law": "common law",
    "agreement": "the family's agreement",
    "vital_interest": "vital interest",
}

Row = Mapping[str, Any]


def rulebook(policies: Path) -> str:
    """What the policies directory says, as Markdown.

    Args:
        policies: The policies directory.

    Raises:
        PolicyMistake: The directory holds a mistake.
    """
    rows = read_rows(policies)
    names = {id_: row["title"] for table in ("agencies", "purposes", "gateways") for id_, row in rows[table].items()}
    parts = [
        "# The rules",
        "Made by `accord-broker policy rules` from the data and from what each rule says of itself; change those, and "
        "make it anew. A row that no lawyer has signed yet is marked *not yet checked*: a bundle for real use refuses "
        "it.",
        *_questions(rows["questions"], names),
        *_purposes(rows["purposes"], names),
        *_gateways(rows["gateways"]),
        *_sharing(rows["isa"], names),
        *_agencies(rows["agencies"]),
        *_grounds(policies, rows["reasons"]),
        *_refusals(rows["reasons"]),
    ]
    return "\n\n".join(parts) + "\n"


def _questions(rows: Mapping[str, Row], names: Mapping[str, str]) -> Iterator[str]:
    yield "## Questions that may be asked"
    for id_, row in sorted(rows.items()):
        purposes = sorted(row["purposes"])
        yield f"### {row['title']}\n\n`{id_}`, version {row['version']}."
        yield _list(
            [
                f"**Yes** means: {row['meaning_of_yes']}",
                f"**No** means: {row['meaning_of_no']}",
                f"Needs level of need {row['min_tier']} or above, and the role of {row['min_role'].replace('_', ' ')}.",
                f"Sensitivity: {row['sensitivity'].replace('_', ' ')}. Records may be "
                f"{row['freshness_limit_s'] // 3600} hours old.",
                f"Afterwards: {row['next_step']}",
            ]
        )
        yield _table(
            ["Who answers", *(names[one] for one in purposes)],
            (
                [names[agency], *(names.get(row["gateways"].get(agency, {}).get(one, ""), "–") for one in purposes)]
                for agency in sorted(row["owners"])
            ),
        )


def _purposes(rows: Mapping[str, Row], names: Mapping[str, str]) -> Iterator[str]:
    yield "## What for"
    yield _table(
        ["Purpose", "Class", "Levels of need", "Gateways that may be claimed", "Law"],
        (
            [
                f"{row['title']} (`{id_}`)",
                _CLASSES[row["class"]],
                f"{row['min_tier']} to {row['max_tier']}" if row["tier_required"] else "not asked",
                "; ".join(
                    names[one] + ("" if pair["verified"] else " (*pairing not yet checked*)")
                    for one, pair in sorted(row["gateways"].items())
                ),
                _state(row),
            ]
            for id_, row in sorted(rows.items())
        ),
    )


def _gateways(rows: Mapping[str, Row]) -> Iterator[str]:
    yield "## Gateways: the law that lets an agency share"
    yield _table(
        ["Gateway", "What it is", "Who asks", "Who answers", "Only if", "In force"],
        (
            [
                f"{row['title']}: {row['cite']} (`{id_}`)",
                _TYPES[row["type"]],
                _words(row["requester_any"]),
                _words([*row["responder_any"], *(f"kind {one}" for one in row["responder_kinds"] if one != "any")]),
                _words(_conditions(row)) or "–",
                _state(row),
            ]
            for id_, row in sorted(rows.items())
        ),
    )


def _conditions(row: Row) -> Iterator[str]:
    if row["child_nexus"]:
        yield "about a child"
    if row["needs_harm_asserted"]:
        yield "significant harm is suspected"
    if row["needs_public_task"]:
        yield "the asker states its public task"
    if row["needs_objective"]:
        yield "both are specified for the objective stated"
    if row["needs_decider"]:
        yield "a senior person who decided is named"
    if row["break_glass_grounds"]:
        yield "in an emergency: " + " or ".join(row["break_glass_grounds"])
    if row["within_one_controller"]:
        yield "both belong to one organisation"


def _sharing(rows: Mapping[str, Row], names: Mapping[str, str]) -> Iterator[str]:
    yield "## Sharing agreements between agencies"
    for id_, row in sorted(rows.items()):
        yield f"### {row['title']}\n\n`{id_}`, {_state(row)}; impact assessment {row['dpia_reference']}; review on " + (
            _day(row["review_on"]) + "."
        )
        yield _list(
            [
                "Parties: " + ", ".join(names[one] for one in sorted(row["parties"])) + ".",
                "Questions: " + ", ".join(f"`{one}`" for one in sorted(row["questions"])) + ".",
                "Purposes: " + ", ".join(names[one] for one in sorted(row["purposes"])) + ".",
            ]
        )


def _agencies(rows: Mapping[str, Row]) -> Iterator[str]:
    yield "## Agencies"
    yield _table(
        ["Agency", "At law", "Sensitivity", "Impact assessment until", "Whom to ask"],
        (
            [
                f"{row['title']} (`{id_}`)",
                "; ".join(
                    one["id"].replace("_", " ") + ("" if one["verified"] else " (*not yet checked*)")
                    for one in row["characters"]
                ),
                row["sensitivity"].replace("_", " ") + (", **suspended**" if row["suspended"] else ""),
                _day(row["dpia_until"]),
                row["contact"],
            ]
            for id_, row in sorted(rows.items())
        ),
    )


def _grounds(policies: Path, reasons: Mapping[str, Row]) -> Iterator[str]:
    yield "## What must hold"
    yield (
        "A question is allowed towards an agency when every ground was found, at least one grant came of it, and "
        "nothing refuses it. A ground that was not found refuses under its code."
    )
    by_file: dict[str, list[Sequence[str]]] = defaultdict(list)
    for path in sorted((policies / "accord").rglob("*.rego")):
        if not path.name.endswith("_test.rego"):
            for name, said in described(path.read_text("utf-8")):
                code = (said.get("custom") or {}).get("code", "")
                words = " ".join(str(said.get("description") or "").split())
                by_file[path.relative_to(policies).as_posix()].append(
                    [
                        f"`{name}`",
                        said["title"] + ("." if not words else f". {words}"),
                        f"`{code}`: {reasons[code]['title']}" if code in reasons else code and f"`{code}`",
                    ]
                )
    for file, rules in by_file.items():
        yield f"### {file}"
        yield _table(["Rule", "What it means", "Refusal in its place"], rules)


def described(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each rule of a file with its METADATA, in order.

    Args:
        text: A rule file that keeps to the dialect.
    """
    block: list[str] = []
    for line in text.splitlines():
        if line.startswith("#"):
            block.append(_COMMENT.sub("", line))
            continue
        rule = _RULE.match(line)
        if block and rule and not line.startswith("package ") and block[0].strip() == "METADATA":
            yield rule[1], yaml.safe_load("\n".join(block[1:]))
        block = []


def _refusals(rows: Mapping[str, Row]) -> Iterator[str]:
    yield "## What somebody who is refused reads"
    yield _table(
        ["Code", "Why", "What can be done", "Whom to ask"],
        ([f"`{code}`", row["reason"], row["cure"], row["contact"]] for code, row in sorted(rows.items())),
    )


def _state(row: Row) -> str:
    if row["effective_from"] is None:
        words = "**not in force**"
    else:
        words = f"from {_day(row['effective_from'])}" + (
            f" to {_day(row['effective_to'])}" if row["effective_to"] else ""
        )
    return words + ("" if row["verified"] else " (*not yet checked*)")


def _day(moment: str | None) -> str:
    return "–" if moment is None else moment[:10]


def _words(names: Iterable[str]) -> str:
    return ", ".join(one.replace("_", " ") for one in names)


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"* {line}" for line in lines)


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["--"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
