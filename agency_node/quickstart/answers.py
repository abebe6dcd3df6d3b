"""What a person has said so far: read from a file or typed, and kept so that nothing is asked twice.

    {"spreadsheet": "clients.xlsx",
     "columns": {"Kid": "first_name"}, "dates_right": ["Seen"], "open_words": ["On pause"],
     "contact": {"team": "Larkspur Family Trust", "role": "Manager", "phone": "01632 960001"},
     "federation": "midshire", "agency": "charity", "title": "Larkspur Family Trust", "kind": "charity",
     "broker": "broker.midshire.example:7443", "steward": "steward.midshire.example:7444"}

Every field may be left out; what is missing is asked.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, Final

from accord.reasons import Problem
from agency_node.quickstart.draft import Contact
from agency_node.quickstart.meanings import Meaning
from agency_node.quickstart.understood import Told

MAX_BYTES: Final = 65_536
_WORD: Final = re.compile(r"\w[\w '/.()&+-]{0,39}")
"""A word that means open or closed, as it stands in a cell. No colon: it would begin a bind of the query."""
_LINE: Final = re.compile(r"[^\x00-\x1f\x7f]{1,300}")


class BadAnswers(Problem):
    """What was said about the spreadsheet or the agency is not of the agreed form.

    Attributes:
        field: Which field.
        cure: What to do about it.
    """

    reason: ClassVar[str] = "BAD_REQUEST"

    def __init__(self, name: str, cure: str) -> None:
        """Name the field and the cure; never the value."""
        self.field = name
        self.cure = cure
        super().__init__(f"{name}: {cure}")


@dataclass(frozen=True, slots=True)
class Answers:
    """Everything that may be said.

    Attributes:
        spreadsheet: Where the spreadsheet is, an absolute path; "" before it is known.
        told: What was said about its columns.
        contact: Whom others ring.
        federation: The federation to join.
        agency: The agency's identifier in it.
        title: Its name as people read it.
        kind: What kind of agency it is.
        characters: Legal characters it claims.
        broker: Where the broker listens, host:port.
        steward: Where the steward listens, host:port.
    """

    spreadsheet: str = ""
    told: Told = field(default_factory=Told)
    contact: Contact = field(default_factory=lambda: Contact("", ""))
    federation: str = ""
    agency: str = ""
    title: str = ""
    kind: str = ""
    characters: tuple[str, ...] = ()
    broker: str = ""
    steward: str = ""


_TOLD: Final = frozenset(one.name for one in fields(Told))
_PLAIN: Final = ("spreadsheet", "federation", "agency", "title", "kind", "broker", "steward")
FIELDS: Final = frozenset({*_TOLD, *_PLAIN, "contact", "characters"})


def parse(data: bytes) -> Answers:
    """Read answers, strictly.

    Raises:
        BadAnswers: Not a JSON object, or a field is unknown or of a wrong type.
    """
    try:
        value = json.loads(data) if len(data) <= MAX_BYTES else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BadAnswers("file", "write one JSON object, in UTF-8 and at most 64 KiB")
    unknown = sorted(set(value) - FIELDS)
    if unknown:
        raise BadAnswers(unknown[0][:40], f"there is no such field; these are: {', '.join(sorted(FIELDS))}")
    contact = value.get("contact", {})
    if not isinstance(contact, dict) or set(contact) - {"team", "role", "phone", "mailbox"}:
        raise BadAnswers("contact", "write an object with team, role, and phone or mailbox")
    return Answers(
        told=_told(value),
        contact=Contact(**{"team": "", "role": ""} | {name: _line(contact, name) for name in contact}),
        characters=tuple(_words(value, "characters")),
        **{name: _line(value, name) for name in _PLAIN if name in value},
    )


def to_bytes(answers: Answers) -> bytes:
    """What `parse` reads: only what was said."""
    said: dict[str, Any] = {name: getattr(answers, name) for name in (*_PLAIN, "characters")}
    said |= {name: getattr(answers.told, name) for name in _TOLD}
    said["contact"] = {name: word for name, word in asdict(answers.contact).items() if word}
    kept = {name: said[name] for name in sorted(said) if said[name]}
    return json.dumps(kept, indent=2, ensure_ascii=False, default=dict).encode() + b"\n"


def over(newer: Answers, older: Answers) -> Answers:
    """Both together; where both say something, the newer wins."""
    told = replace(
        older.told,
        columns={**older.told.columns, **newer.told.columns},
        dates_right=tuple(dict.fromkeys((*older.told.dates_right, *newer.told.dates_right))),
        open_words=tuple(dict.fromkeys((*older.told.open_words, *newer.told.open_words))),
        closed_words=tuple(dict.fromkeys((*older.told.closed_words, *newer.told.closed_words))),
        sheet=newer.told.sheet or older.told.sheet,
        header_row=newer.told.header_row or older.told.header_row,
        other_words=newer.told.other_words or older.told.other_words,
        digest=newer.told.digest or older.told.digest,
        without_birth_date=newer.told.without_birth_date or older.told.without_birth_date,
    )
    contact = Contact(**{name: word or getattr(older.contact, name) for name, word in asdict(newer.contact).items()})
    plain = {name: getattr(newer, name) or getattr(older, name) for name in (*_PLAIN, "characters")}
    return Answers(told=told, contact=contact, **plain)


def column_meanings(pairs: Mapping[str, str]) -> dict[str, Meaning]:
    """Meanings by heading, from words.

    Raises:
        BadAnswers: There is no such meaning.
    """
    found = {}
    for heading, word in pairs.items():
        if word not in set(Meaning):
            raise BadAnswers("columns", f"a meaning is one of: {', '.join(Meaning)}")
        found[heading] = Meaning(word)
    return found


def status_words(line: str) -> tuple[str, ...]:
    """Words for open or closed, apart by commas.

    Raises:
        BadAnswers: One of them is not a word or two.
    """
    words = tuple(word.strip() for word in line.split(",") if word.strip())
    if not all(_WORD.fullmatch(word) for word in words):
        raise BadAnswers("words", "write words as they stand in the cells, apart by commas, each of at most 40 letters")
    return words


def _told(value: Mapping[str, Any]) -> Told:
    columns = value.get("columns", {})
    if not isinstance(columns, dict) or not all(isinstance(one, str) for one in columns.values()):
        raise BadAnswers("columns", "write an object of heading and meaning")
    row = value.get("header_row", 0)
    if type(row) is not int or not 0 <= row <= 1_000:
        raise BadAnswers("header_row", "write the number of the row with the headings")
    for name in ("digest", "other_words", "without_birth_date"):
        if not isinstance(value.get(name, False), bool):
            raise BadAnswers(name, "write true or false")
    return Told(
        sheet=_line(value, "sheet") if "sheet" in value else "",
        header_row=row,
        columns=column_meanings(columns),
        dates_right=tuple(_words(value, "dates_right")),
        open_words=status_words(",".join(_words(value, "open_words"))),
        closed_words=status_words(",".join(_words(value, "closed_words"))),
        other_words=value.get("other_words", False),
        digest=value.get("digest", False),
        without_birth_date=value.get("without_birth_date", False),
    )


def _line(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name, "")
    if not isinstance(found, str) or not _LINE.fullmatch(found):
        raise BadAnswers(name, "write one line of text in quotation marks")
    return found.strip()


def _words(value: Mapping[str, Any], name: str) -> list[str]:
    found = value.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, str) and _LINE.fullmatch(one) for one in found):
        raise BadAnswers(name, "write a list of texts")
    return found
