"""People and questions from options, a JSON file or standard input: strictly read, with a cure for each mistake."""

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from accord.identity import RAW_FIELDS, describe
from accord.reasons import Problem
from accord.statement import Assertions
from agency_node.asking import Inquiry, Person

MAX_BYTES: Final = 65_536
PERSON: Final = frozenset(RAW_FIELDS)
PERSON_MORE: Final = frozenset({"role", "protected", "relates_to_child", "competence", "given_by"})
GIVERS: Final = ("self", "parent", "other_pr_holder", "court_order")
ROLES: Final = ("child", "parent", "other_adult")
INQUIRY: Final = frozenset(
    {
        "question",
        "purpose",
        "case",
        "people",
        "agencies",
        "gateways",
        "urgency",
        "need_tier",
        "necessity",
        "views_sought",
        "proportionality",
        "significant_harm",
        "public_task",
        "told",
        "told_reason",
        "emergency",
        "supervisor",
    }
)
EMERGENCIES: Final = ("risk_to_life", "serious_harm_now", "missing_child_high_risk")


class BadInput(Problem):
    """What was typed or read is not of the agreed form.

    Attributes:
        field: Which field.
        cure: What to do about it.
    """

    reason = "BAD_REQUEST"

    def __init__(self, field: str, cure: str) -> None:
        """Name the field and the cure; never the value."""
        self.field = field
        self.cure = cure
        super().__init__(f"{field}: {cure}")


def read(source: str) -> Mapping[str, Any]:
    """A JSON object from a file, or from standard input for "-".

    Raises:
        BadInput: It cannot be read, is too long, or is not an object.
    """
    try:
        data = sys.stdin.buffer.read(MAX_BYTES + 1) if source == "-" else Path(source).read_bytes()
        value = json.loads(data) if len(data) <= MAX_BYTES else None
    except OSError as error:
        raise BadInput("file", f"{source} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BadInput("file", "write JSON in UTF-8") from error
    if not isinstance(value, dict):
        raise BadInput("file", "write one JSON object of at most 64 KiB")
    return value


def person(row: object, number: int) -> Person:
    """One person.

    Raises:
        BadInput: A field is unknown or of a wrong type.
        BadDescription: A field's value cannot be used.
    """
    where = f"people[{number}]"
    if not isinstance(row, dict):
        raise BadInput(where, "write an object with first_name, last_name, date_of_birth and so on")
    unknown = sorted(set(row) - PERSON - PERSON_MORE)
    if unknown:
        known = ", ".join(sorted(PERSON | PERSON_MORE))
        raise BadInput(f"{where}.{unknown[0][:40]}", f"there is no such field; these are: {known}")
    for name in PERSON - {"former_last_names", "former_postcodes"}:
        if not isinstance(row.get(name, ""), str):
            raise BadInput(f"{where}.{name}", "write text in quotation marks")
    for name in ("former_last_names", "former_postcodes"):
        items = row.get(name, [])
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise BadInput(f"{where}.{name}", "write a list of texts")
    role = row.get("role", "")
    if role not in ROLES:
        raise BadInput(f"{where}.role", "say child, parent or other_adult")
    if row.get("given_by", "self") not in GIVERS:
        raise BadInput(f"{where}.given_by", f"say one of {', '.join(GIVERS)}")
    for name in ("protected", "relates_to_child"):
        if not isinstance(row.get(name, False), bool):
            raise BadInput(f"{where}.{name}", "say true or false")
    return Person(
        description=describe(**{name: row[name] for name in PERSON if name in row}),
        role=role,
        protected=row.get("protected", False),
        relates_to_child=row.get("relates_to_child", role != "child"),
        competence=str(row.get("competence", "n_a" if role != "child" else "not_assessed")),
    )


def people(value: Mapping[str, Any]) -> tuple[tuple[Person, ...], tuple[str, ...]]:
    """The people of a file, and how the asker wrote their names.

    Raises:
        BadInput: There is nobody, or there are more than twelve.
    """
    rows = value.get("people")
    if not isinstance(rows, list) or not 1 <= len(rows) <= 12:
        raise BadInput("people", "name one to twelve people")
    found = tuple(person(row, number) for number, row in enumerate(rows, 1))
    names = tuple(f"{row.get('first_name', '')} {row.get('last_name', '')}".strip() for row in rows)
    if not any(one.role == "child" for one in found):
        found = tuple(replace(one, relates_to_child=False) for one in found)
    return found, names


def givers(value: Mapping[str, Any]) -> tuple[str, ...]:
    """Who gives each person's agreement: as the file says, else a parent for a child and an adult for themself."""
    return tuple(str(row.get("given_by", "parent" if row["role"] == "child" else "self")) for row in value["people"])


def inquiry(value: Mapping[str, Any]) -> tuple[Inquiry, tuple[str, ...]]:
    """A question from a JSON object.

    Raises:
        BadInput: A field is missing, unknown or of a wrong type.
    """
    unknown = sorted(set(value) - INQUIRY)
    if unknown:
        raise BadInput(unknown[0][:40], f"there is no such field; these are: {', '.join(sorted(INQUIRY))}")
    for name in ("question", "purpose", "case"):
        if not isinstance(value.get(name), str) or not value[name].strip():
            raise BadInput(name, {"case": "give the reference of your case"}.get(name, f"say which {name}"))
    agencies = value.get("agencies", [])
    gateways = value.get("gateways", {})
    if not isinstance(agencies, list) or not all(isinstance(one, str) for one in agencies):
        raise BadInput("agencies", "write a list of agency identifiers, or leave it out to ask all that may answer")
    if not isinstance(gateways, dict) or not all(isinstance(one, str) for one in gateways.values()):
        raise BadInput("gateways", "write an object of agency identifier and gateway")
    found, names = people(value)
    return (
        Inquiry(
            question=value["question"],
            purpose=value["purpose"],
            people=found,
            case_reference=value["case"],
            targets=tuple(agencies),
            gateways=gateways,
            urgency=_word(value, "urgency", "routine", ("routine", "same_day", "immediate")),
            assertions=_assertions(value),
            supervisor=_supervisor(value),
        ),
        names,
    )


def _supervisor(value: Mapping[str, Any]) -> str:
    """Who was told of an emergency."""
    emergency = value.get("purpose") == "emergency"
    if emergency != bool(value.get("emergency")):
        cure = f"say what the emergency is, one of {', '.join(EMERGENCIES)}; only the purpose emergency has one"
        raise BadInput("emergency", cure)
    name = value.get("supervisor", "")
    if not isinstance(name, str) or len(name) > 256 or emergency != bool(name.strip()):
        raise BadInput("supervisor", "in an emergency, and only then, give the sign-in name of the supervisor you told")
    return name


def _assertions(value: Mapping[str, Any]) -> Assertions:
    tier = value.get("need_tier")
    if tier is not None and (type(tier) is not int or not 1 <= tier <= 4):
        raise BadInput("need_tier", "say 1 universal, 2 early help, 3 child in need or 4 child protection")
    for name in ("significant_harm", "public_task"):
        if not isinstance(value.get(name, False), bool):
            raise BadInput(name, "say true or false")
    # Whoever claims an emergency states significant harm with it, and that a child has to be made safe.
    emergency = _word(value, "emergency", "none", ("none", *EMERGENCIES)) if value.get("emergency") else "none"
    necessity, proportion = ("decide_support", "least_needed")
    if emergency != "none":
        necessity, proportion = ("make_safe", "risk_outweighs")
    return Assertions(
        need_tier=tier,
        necessity_code=_word(value, "necessity", necessity),
        views_sought=_word(value, "views_sought", "yes", ("yes", "no", "not_safe", "not_practicable")),
        proportionality_code=_word(value, "proportionality", proportion),
        significant_harm_asserted=value.get("significant_harm", False) or emergency != "none",
        public_task_stated=value.get("public_task", False),
        told_state=_word(value, "told", "told" if emergency == "none" else "n_a", ("told", "not_told", "n_a")),
        told_reason=_word(
            value, "told_reason", "none", ("none", "would_increase_risk", "would_prejudice_crime", "impracticable")
        ),
        break_glass_ground=emergency,
    )


def _word(value: Mapping[str, Any], name: str, default: str, allowed: tuple[str, ...] = ()) -> str:
    found = value.get(name, default)
    if not isinstance(found, str) or (allowed and found not in allowed):
        raise BadInput(name, f"say one of {', '.join(allowed)}" if allowed else "write a code of the catalogue")
    return found
