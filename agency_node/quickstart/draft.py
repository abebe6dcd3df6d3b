"""Write the mapping that answers from a spreadsheet: readable, commented, for later hands to change.

    guess, whom to ring -> mapping.yaml: the sheet's columns, one SELECT for people, one for each question that can be

* Every rule about *no* stands in the SELECTs (T-LNK-5): a client without a date of last contact, or with a status that
  is neither open nor closed, makes a query yield what the mapping takes for *cannot say*.
* A question for which the sheet has no column is left out; about it the agency says *cannot say*.
* Only the columns that are used are declared, so the node reads no other.
"""

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agency_node.quickstart.meanings import DATES, Meaning, plain_name
from agency_node.quickstart.understood import Column, Guess

TABLE: Final = "clients"
NUMBERED: Final = "client_number"
TITLES: Final = "'mr', 'mrs', 'miss', 'ms', 'mx', 'dr', 'master'"
"""As `accord.identity` drops them in front of a first name."""
QUESTIONS: Final = ("agency.contact", "agency.open_now", "assessment.done", "family.known", "family.known_anywhere")
"""Questions of the catalogue that a list of clients may answer."""


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom others ring.

    Attributes:
        team: Team or organisation.
        role: Whom to ask for.
        phone: Number, or "".
        mailbox: Address, or "".
    """

    team: str
    role: str
    phone: str = ""
    mailbox: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """A mapping that was written.

    Attributes:
        text: The file.
        answers: Questions that it answers.
        missing: Question -> what the sheet lacks for it.
    """

    text: str
    answers: tuple[str, ...]
    missing: Mapping[str, str]


def draft(found: Guess, agency: str, file: str, contact: Contact, digest_key: str) -> Draft:
    """Write the mapping of a spreadsheet that was understood.

    Args:
        found: What each column means; nothing in it stops.
        agency: Identifier of the agency.
        file: Where the spreadsheet is.
        contact: Whom others ring.
        digest_key: The file whose key numbers clients where the sheet has no numbers; "" where it has.
    """
    names = _names(found)
    answers, missing = _answers(found)
    parts = [
        "# How questions are looked up in a spreadsheet. Written by: accord-node quickstart. It may be changed by",
        "# hand; then try it with: accord-node mapping check. What each part means: agency_node/README.md, section 8.",
        "version: 1",
        f"agency: {agency}",
        _source(found, names, file, digest_key),
        "# Everybody in the list, in the words of Accord.",
        "people: |",
        textwrap.indent(_people(found, names), "  "),
        "",
        "answers:",
    ]
    for question, (comment, sql) in answers.items():
        parts += [
            textwrap.indent(textwrap.fill(comment, 108, initial_indent="# ", subsequent_indent="# "), "  "),
            f"  {question}:",
            "    sql: |",
            textwrap.indent(sql, "      "),
        ]
    parts += [
        f"  # {question} is left out, so your agency says 'cannot say': {why}" for question, why in missing.items()
    ]
    parts += ["", _contacts(found, contact), ""]
    return Draft("\n".join(parts), tuple(answers), missing)


def _quoted(word: str) -> str:
    """A word as YAML in double quotes (YAML 1.2, 7.3.1), of which JSON's strings are a subset."""
    return json.dumps(word, ensure_ascii=False)


def _names(found: Guess) -> dict[int, str]:
    """Place of each column that is used -> its name in queries."""
    lines = found.having(Meaning.ADDRESS)
    names = {column.place: str(column.meaning) for column in found.columns if column.meaning is not Meaning.UNUSED}
    if len(lines) > 1:
        names |= {column.place: f"address_{number}" for number, column in enumerate(lines, 1)}
    return names


def _source(found: Guess, names: Mapping[int, str], file: str, digest_key: str) -> str:
    columns = [
        f"        {_quoted(column.heading)}: {{name: {names[column.place]}, type: {_type(column)}}}"
        for column in found.columns
        if column.place in names
    ]
    digest = (
        [
            "      # A stop-gap for a list without client numbers. Better: a column Client ref, and quickstart again.",
            f"      digest: {{name: {NUMBERED}, of: [{', '.join(names[one.place] for one in found.digested)}], "
            f"key_file: {digest_key}}}",
        ]
        if digest_key
        else []
    )
    return "\n".join(
        [
            "source:",
            # Only a CSV file has a sheet without a name.
            f"  kind: {'xlsx' if found.sheet else 'csv'}",
            f"  file: {_quoted(file)}",
            "  tables:",
            f"    {TABLE}:",
            *([f"      sheet: {_quoted(found.sheet)}"] if found.sheet else []),
            f"      header_row: {found.header_row}",
            "      # Heading in the sheet: name in the queries below. Columns that do not stand here are never read.",
            "      columns:",
            *columns,
            *digest,
            "",
        ]
    )


def _type(column: Column) -> str:
    return "date" if column.meaning in DATES else "text"


def _people(found: Guess, names: Mapping[int, str]) -> str:
    have = {column.meaning for column in found.columns}
    picked = [f"{NUMBERED} AS id"]
    source = TABLE
    if Meaning.FULL in have:
        source = _split(found)
        picked += [
            "CASE WHEN instr(given, ' ') > 0 THEN substr(given, 1, instr(given, ' ') - 1) ELSE given END AS first_name",
            "family AS last_name",
        ]
        if Meaning.MIDDLE not in have:
            picked.append(
                "CASE WHEN instr(given, ' ') > 0 THEN substr(given, instr(given, ' ') + 1) END AS middle_names"
            )
    plain = (Meaning.FIRST, Meaning.LAST, Meaning.MIDDLE, Meaning.FORMER, Meaning.BORN, Meaning.SEX)
    picked += [str(meaning) for meaning in plain if meaning in have]
    lines = [names[column.place] for column in found.having(Meaning.ADDRESS)]
    if lines:
        joined = " || ', ' || ".join(f"coalesce({line}, '')" for line in lines)
        picked.append(f"trim({joined}, ', ') AS address" if len(lines) > 1 else str(Meaning.ADDRESS))
    picked += [str(meaning) for meaning in (Meaning.POSTCODE, Meaning.NHS) if meaning in have]
    if Meaning.WITHHELD in have:
        picked.append(f"{Meaning.WITHHELD} AS withheld")
    return "SELECT " + ",\n       ".join(picked) + f"\nFROM {source}"


def _split(found: Guess) -> str:
    """First and last name out of one column: after and before a comma, else the last word is the last name."""
    full = Meaning.FULL
    column = found.one(full)
    shouted = column is not None and column.looks.mostly(column.looks.shouted)
    given = f"substr({full}, instr({full}, ' ') + 1)" if shouted else f"rtrim({full}, replace({full}, ' ', ''))"
    family = (
        f"substr({full}, 1, instr({full} || ' ', ' ') - 1)"
        if shouted
        else f"substr({full}, length(rtrim({full}, replace({full}, ' ', ''))) + 1)"
    )
    parted = f"""(SELECT *,
             CASE WHEN lower(trim(substr(spoken, 1, instr(spoken, ' ')), ' .')) IN ({TITLES})
                  THEN trim(substr(spoken, instr(spoken, ' '))) ELSE spoken END AS given
      FROM (SELECT *,
                   trim(CASE WHEN instr({full}, ',') > 0 THEN substr({full}, instr({full}, ',') + 1)
                             ELSE {given} END) AS spoken,
                   trim(CASE WHEN instr({full}, ',') > 0 THEN substr({full}, 1, instr({full}, ',') - 1)
                             ELSE {family} END) AS family
            FROM {TABLE}) AS parted) AS named"""  # noqa: S608 - made of our own words only
    return parted


def _answers(found: Guess) -> tuple[dict[str, tuple[str, str]], dict[str, str]]:
    """Question -> its comment and SELECT, and question -> what is missing for it."""
    dates = [
        meaning
        for meaning in (Meaning.LAST_SEEN, Meaning.CLOSED, Meaning.ASSESSED, Meaning.STARTED)
        if found.one(meaning)
    ]
    opened = _opened(found)
    team = "max(team) AS team" if found.one(Meaning.TEAM) else ""
    answers: dict[str, tuple[str, str]] = {}
    missing: dict[str, str] = {}
    if dates or opened:
        comment, sql = _contact(found, dates, opened)
        answers["agency.contact"] = comment, sql.replace("{TEAM}", f",\n       {team}" if team else "")
    else:
        missing["agency.contact"] = "no column says when you last had contact."
    if opened:
        answers["agency.open_now"] = _open_now(opened, team)
    else:
        missing["agency.open_now"] = "no column says whether you work with a client now."
    if Meaning.ASSESSED in dates:
        picked = ", ".join(
            filter(None, [f"max({Meaning.ASSESSED}) AS latest", f"count({Meaning.ASSESSED}) AS count", team])
        )
        answers["assessment.done"] = (
            "The date of the latest assessment. An empty cell counts as none.",
            f"SELECT {picked}\nFROM {TABLE}\nWHERE {NUMBERED} IN (:person_ids) AND {Meaning.ASSESSED} >= :since",
        )
    else:
        missing["assessment.done"] = "no column has the date of an assessment."
    for question in ("family.known", "family.known_anywhere"):
        if "agency.contact" in answers:
            comment, sql = _contact(found, dates, opened)
            answers[question] = (
                "As agency.contact, for a family as a whole; a team would tell who is known.",
                sql.replace("{TEAM}", ""),
            )
        else:
            missing[question] = missing["agency.contact"]
    return answers, missing


def _opened(found: Guess) -> str:
    """1 for a client you work with now, 0 for one you do not, 2 where that cannot be told; "" without such a column."""
    status = found.one(Meaning.STATUS)
    if status is not None:
        words = {
            state: ", ".join(_literal(word) for word, opens in sorted(found.openings.items()) if opens is state)
            for state in (True, False)
        }
        return (
            f"CASE WHEN lower({Meaning.STATUS}) IN ({words[True]}) THEN 1\n"
            f"                  WHEN lower({Meaning.STATUS}) IN ({words[False]}) THEN 0\n"
            "                  ELSE 2 END"
        )
    # Work that is planned to end has not ended.
    still = f"{Meaning.CLOSED} IS NULL OR {Meaning.CLOSED} > date('now')"
    return f"CASE WHEN {still} THEN 1 ELSE 0 END" if found.one(Meaning.CLOSED) else ""


def _literal(word: str) -> str:
    """A word as a text of SQL. A colon would begin a bind."""
    return "'" + word.replace("'", "''") + "'"


def _contact(found: Guess, dates: Sequence[Meaning], opened: str) -> tuple[str, str]:
    newest = _newest(dates)
    # Only these say that contact has ended; a client of whom the sheet does not say so is never "no".
    ends = [meaning for meaning in (Meaning.LAST_SEEN, Meaning.CLOSED) if meaning in dates]
    ended = " OR ".join(f"{meaning} IS NOT NULL" for meaning in ends) if ends else "0"
    comment = (
        "Yes: open now, or a date within the time asked about ("
        + ", or ".join(plain_name(meaning) for meaning in dates)
        + "). No: "
        + (
            "only where " + " or ".join(plain_name(meaning) for meaning in ends) + " stands there and nothing is newer"
            if ends
            else "never"
        )
        + ". Anything else: cannot say."
    )
    hit = "newest >= :since OR opened = 1"
    sql = f"""SELECT max(CASE WHEN {hit} THEN newest END) AS latest,
       CASE WHEN max({hit}) THEN count(CASE WHEN {hit} THEN 1 END)
            WHEN max(opened = 2 OR NOT ended) THEN NULL
            ELSE 0 END AS count,
       max(opened = 1) AS open{{TEAM}}
FROM (SELECT {newest} AS newest, {ended} AS ended{", " + str(Meaning.TEAM) if found.one(Meaning.TEAM) else ""},
             {opened or "0"} AS opened
      FROM {TABLE}
      WHERE {NUMBERED} IN (:person_ids)) AS seen"""  # noqa: S608 - made of our own words, and of words in quotes
    return comment, sql


def _newest(dates: Sequence[Meaning]) -> str:
    """The date that tells most, if it lies within the time asked about; else the latest of them all.

    An old date of last contact beside an assessment of this year is no "no". A date yet to come is taken only where no
    other would do, and makes the answer "cannot say".
    """
    if len(dates) < 2:
        return str(dates[0]) if dates else "NULL"
    first = f"coalesce({', '.join(dates)})"
    latest = ", ".join(f"coalesce({meaning}, '')" for meaning in dates)
    return f"CASE WHEN {first} >= :since THEN {first} ELSE nullif(max({latest}), '') END"


def _open_now(opened: str, team: str) -> tuple[str, str]:
    sql = f"""SELECT CASE WHEN max(opened = 1) THEN 1 ELSE max(opened) END AS open{", " + team if team else ""}
FROM (SELECT {"team, " if team else ""}{opened} AS opened
      FROM {TABLE}
      WHERE {NUMBERED} IN (:person_ids)) AS seen"""  # noqa: S608 - made of our own words, and of words in quotes
    return "1 is open, 0 is not; 2, for an empty cell or any other word, makes the answer 'cannot say'.", sql


def _contacts(found: Guess, contact: Contact) -> str:
    words = {"team": contact.team, "role": contact.role, "phone": contact.phone, "mailbox": contact.mailbox}
    route = ", ".join(f"{name}: {_quoted(word)}" for name, word in words.items() if word)
    more = (
        ["  # A team of its own: the word in the column of workers or teams, and whom to ring there, as above."]
        if found.one(Meaning.TEAM)
        else []
    )
    return "\n".join(["# Whom others ring.", "contacts:", f"  default: {{{route}}}", *more])
