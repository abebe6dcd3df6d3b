"""From a spreadsheet to an agency that answers, by one command that can be run again and goes on where it stopped.

    read -> understand, confirm -> whom to ring, which federation -> mapping.yaml -> keys, request.json
         -> (the operator's file comes back) -> join -> doctor -> index -> ready

* Each step is complete or is done anew. What a person said is kept at once (`quickstart.json`); the mapping is tried
  before it is put in place; keys are made aside and moved in with the request last.
* Nothing is overwritten without asking. The spreadsheet is only read, and stays where it is.
* No value of it is shown, in no message.
"""

import contextlib
import hashlib
import io
import json
import math
import os
import shutil
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.table import Table
from rich.text import Text

from accord.reasons import Problem
from agency_node.cli.app import JsonOption, app, out, show
from agency_node.quickstart import answers as said
from agency_node.quickstart.answers import Answers, over
from agency_node.quickstart.draft import Contact, Draft, draft
from agency_node.quickstart.guess import guess
from agency_node.quickstart.looks import printable
from agency_node.quickstart.meanings import Meaning, plain_name
from agency_node.quickstart.understood import Column, Doubt, Guess, Layout, Sheet, Told, Weight, letter, named

T = TypeVar("T")

KEPT: Final = "quickstart.json"
HOME: Final = Path.home() / "accord"
MAPPING: Final = "mapping.yaml"
BEFORE: Final = "mapping.before.yaml"
STAGED: Final = ".keys-being-made"
DIGEST_KEY: Final = "spreadsheet.key"
FRESH_DAYS: Final = 2
"""Most questions are answered from records at most this old; the catalogue has the limit of each."""
NEEDED: Final = frozenset(
    {"settings", "own database", "directory", "keys", "certificate", "broker", "steward", "clock", "records"}
)
"""What doctor must find well before an index can be built."""
ROOM: Final = 1_000
"""The request asks for room in the index for twice the clients there are, in thousands."""
_HOW: Final = (
    "Mend the spreadsheet; or run the same command without --yes and --json, and answer; or say it with --column "
    "'Heading=meaning', --sheet, --header-row or --answers."
)
_DATES: Final = frozenset({"DATE_ORDER", "DATES_MIXED", "DATES_EXCHANGED"})
_WHICH: Final = frozenset({"UNSURE", "TWO_COLUMNS", "UNREADABLE", "DATES_UNREADABLE"})


class Unclear(Problem):
    """The spreadsheet, or what was said about it, leaves something open. The message says what, and what to do."""

    reason = "SPREADSHEET_UNCLEAR"

    def __init__(self, message: str, cure: str = "") -> None:
        """Say what, and the cure."""
        self.cure = cure
        super().__init__(message)


class NotReady(Problem):
    """Something that an index needs is not well; doctor's rows say what."""

    reason = "NODE_UNREACHABLE"
    cure = "Mend what is named above, and run the same command again."


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known from earlier runs.

    Attributes:
        answers: What a person said.
        layout: What is read, as a person confirmed it; None before that.
        mapping: SHA-256 of the mapping that was written here, hexadecimal; "" before that.
    """

    answers: Answers = field(default_factory=Answers)
    layout: Layout | None = None
    mapping: str = ""


@dataclass(slots=True)
class Talk:
    """How this run asks, and how often it has."""

    interactive: bool
    quiet: bool
    prompts: int = 0

    def say(self, words: str = "", style: str = "") -> None:
        """Tell a person something."""
        if not self.quiet:
            # A line to be copied must not be broken into two.
            whole = words.lstrip().startswith(("accord-node", "systemd-run", "Then: "))
            out.print(words, style=style or None, markup=False, highlight=False, soft_wrap=whole)

    def ask(self, question: str, default: str = "", option: str = "") -> str:
        """One line from a person.

        Raises:
            Unclear: Nobody is there to be asked, and there is no default.
        """
        if not self.interactive:
            if default:
                return default
            raise Unclear(f"Not said yet: {question}.", f"Say it with {option}, or leave --yes and --json out.")
        self.prompts += 1
        return str(typer.prompt(question, default=default, show_default=bool(default))).strip()

    def sure(self, question: str, default: bool = True) -> bool:
        """Yes or no from a person; nobody there means the default."""
        if not self.interactive:
            return default
        self.prompts += 1
        return bool(typer.confirm(question, default=default))


@app.command()
def quickstart(
    spreadsheet: Annotated[Path | None, typer.Option(help="Your list of clients: a workbook (.xlsx) or CSV.")] = None,
    home: Annotated[
        Path, typer.Option("--home", envvar="ACCORD_HOME", help="The node's folder; made when it is not there.")
    ] = HOME,
    bundle: Annotated[Path | None, typer.Option(help="The file that the federation's operator sent back.")] = None,
    federation_key: Annotated[
        str, typer.Option(help="Identifier of the federation key, as the operator read it out by telephone.")
    ] = "",
    answers: Annotated[Path | None, typer.Option(help="A JSON file with answers, for use by a script.")] = None,
    column: Annotated[
        list[str] | None, typer.Option(help='What a column is: "Heading=date_of_birth"; repeat for more.')
    ] = None,
    sheet: Annotated[str, typer.Option(help="Name of the sheet with the clients.")] = "",
    header_row: Annotated[int, typer.Option(help="Number of the row with the headings.")] = 0,
    yes: Annotated[bool, typer.Option("--yes", help="Take the guesses, if nothing is doubtful; ask nothing.")] = False,
    federation: Annotated[str, typer.Option(help="The federation to join, for example midshire.")] = "",
    agency: Annotated[str, typer.Option(help="Your identifier in it, for example charity.")] = "",
    title: Annotated[str, typer.Option(help="Your organisation's name as people read it.")] = "",
    kind: Annotated[str, typer.Option(help="Kind of organisation, for example charity.")] = "",
    character: Annotated[list[str] | None, typer.Option(help="A legal character it claims; repeat for more.")] = None,
    broker: Annotated[str, typer.Option(help="Where the broker listens, host:port.")] = "",
    steward_at: Annotated[str, typer.Option("--steward-at", help="Where the steward listens, host:port.")] = "",
    team: Annotated[str, typer.Option(help="Whom others ring: the team.")] = "",
    role: Annotated[str, typer.Option(help="Whom others ring: whom to ask for.")] = "",
    phone: Annotated[str, typer.Option(help="Whom others ring: the number.")] = "",
    mailbox: Annotated[str, typer.Option(help="Whom others write to.")] = "",
    as_json: JsonOption = False,
) -> None:
    """From a spreadsheet to an agency that answers. Run it again at any time: it goes on where it stopped."""
    talk = Talk(interactive=not (yes or as_json), quiet=as_json)
    typed = Answers(
        spreadsheet=str(spreadsheet or ""),
        told=Told(sheet=sheet, header_row=header_row, columns=_columns(column or [])),
        contact=Contact(team, role, phone, mailbox),
        federation=federation,
        agency=agency,
        title=title,
        kind=kind,
        characters=tuple(character or ()),
        broker=broker,
        steward=steward_at,
    )
    home = home.expanduser().absolute()
    kept = _load(home)
    told = over(typed, over(_from_file(answers), kept.answers))
    file = (Path(told.spreadsheet) if told.spreadsheet else _ask_file(talk)).expanduser().absolute()
    told = replace(told, spreadsheet=str(file))
    # 1 and 2. Read, understand, confirm.
    talk.say(f"1. Reading {file.name}. It stays where it is, and is never changed.")
    _warn(file, talk)
    kept = replace(kept, answers=told)
    found, kept = _understand(_sheets(file), kept, home, talk, corrected=typed.told != Told())
    # 3. Whom to ring, and who we are.
    kept = replace(kept, answers=_member(_contact(kept.answers, talk), home, talk))
    _keep(home, kept)
    written, kept = _mapping(home, found, kept, talk)
    _keep(home, kept)
    # 4. Keys.
    request = _keys(home, kept.answers, found.people, talk)
    # 5. What the operator sent back.
    if bundle is not None:
        _join(home, bundle, federation_key, talk)
    joined = (home / "tls.crt").exists()
    if joined:
        _well(home, talk)
        _index(home, talk)
        _ready(home, file, written, talk)
    else:
        _send(home, request, kept.answers, talk)
    if as_json:
        show(_told(found, written, request, joined))


# -- 1. Reading -------------------------------------------------------------------------------------------------------


def _from_file(path: Path | None) -> Answers:
    if path is None:
        return Answers()
    try:
        return said.parse(path.read_bytes()[: said.MAX_BYTES + 1])
    except OSError as error:
        raise said.BadAnswers("answers", f"{path} cannot be read: {error.strerror}") from error


def _columns(pairs: Sequence[str]) -> dict[str, Meaning]:
    split = [pair.rpartition("=") for pair in pairs]
    if not all(heading for heading, _, _ in split):
        raise said.BadAnswers("column", 'write "Heading=meaning", for example "Kid=first_name"')
    return said.column_meanings({heading.strip(): word.strip() for heading, _, word in split})


def _ask_file(talk: Talk) -> Path:
    return Path(talk.ask("Where is your list of clients (.xlsx or .csv)", option="--spreadsheet"))


def _sheets(file: Path) -> list[Sheet]:
    from agency_node.adapters import whole

    return [Sheet(name, rows) for name, rows in whole.read(file)]


def _warn(file: Path, talk: Talk) -> None:
    """Say what may be wrong with where the spreadsheet lies; a file that cannot be looked at fails in reading."""
    with contextlib.suppress(OSError):
        if file.stat().st_mode & stat.S_IRWXO:
            talk.say(
                f"Take care: everybody on this machine may use {file.name}. Close it with: chmod 600 '{file}'", "yellow"
            )
        elif file.stat().st_mode & stat.S_IRWXG:
            talk.say(
                f"Take care: others in your group may use {file.name}. If they need not: chmod 600 '{file}'", "yellow"
            )
        if file.parent.stat().st_mode & stat.S_IWOTH:
            talk.say(f"Take care: everybody may put files into {file.parent}, and take {file.name} away.", "yellow")
    locks = (file.with_name(f"~${file.name}"), file.with_name(f".~lock.{file.name}#"))
    if any(lock.exists() for lock in locks):
        talk.say(f"{file.name} seems to be open in a spreadsheet program. What is not saved yet is not read.", "yellow")


# -- 2. Understanding -------------------------------------------------------------------------------------------------


def _understand(sheets: Sequence[Sheet], kept: Kept, home: Path, talk: Talk, corrected: bool) -> tuple[Guess, Kept]:
    """Guess, show, ask, until nothing is doubtful and a person has confirmed what will be read.

    Raises:
        Unclear: The spreadsheet has to be mended, or nobody is there to be asked.
    """
    today = datetime.now(UTC).date()
    while True:
        found = guess(sheets, today, kept.answers.told)
        open_ = found.weighing(Weight.STOPS, Weight.ASKS)
        if found.layout == kept.layout and not open_:
            talk.say(f"2. Its layout is as it was confirmed: {found.people} clients.")
            return found, kept
        if kept.layout is not None:
            talk.say("The spreadsheet is not laid out as it was confirmed:", "yellow")
            for words in kept.layout.changes(found.layout):
                talk.say(f"  {words};", "yellow")
        _show(found, talk)
        if not talk.interactive and (open_ or (kept.layout is not None and not corrected)):
            changes = [] if kept.layout is None else [f"- {words}" for words in kept.layout.changes(found.layout)]
            raise Unclear("\n".join([*changes, _listed(open_)]).strip(), _HOW)
        kept = replace(kept, layout=None)
        told = kept.answers.told
        changed = _settled(found, told, today, talk) if open_ else _confirmed(found, told, talk)
        if changed is not None:
            kept = replace(kept, answers=replace(kept.answers, told=changed))
        else:
            kept = replace(kept, layout=found.layout)
        _keep(home, kept)
        if changed is None:
            return found, kept


def _listed(doubts: Sequence[Doubt]) -> str:
    return "\n".join(f"- {doubt.words} ({doubt.code})" for doubt in doubts)


def _show(found: Guess, talk: Talk) -> None:
    if talk.quiet or not found.columns:
        return
    where = f"in the sheet '{printable(found.sheet)}', " if found.sheet else ""
    talk.say(f"2. {found.people} clients {where}below the headings in row {found.header_row}. What was understood:")
    table = Table(box=None, pad_edge=False)
    for heading in ("", "Heading", "What it is", "Filled", "Unreadable", "What the values look like"):
        table.add_column(heading)
    for one in found.columns:
        if one.meaning is Meaning.UNUSED and one.sure:
            continue
        shapes = ", ".join(f"{shape} ({count})" for shape, count in one.looks.shapes)
        words = plain_name(one.meaning) + ("" if one.sure else "?")
        cells = (letter(one.place), one.label, words, str(one.looks.filled), str(one.unreadable or ""), shapes)
        table.add_row(*map(Text, cells))
    out.print(table)
    unused = [one.label for one in found.columns if one.meaning is Meaning.UNUSED and one.sure]
    if unused:
        talk.say(f"Not needed, and never read: {', '.join(unused)}.")
    for doubt in found.weighing(Weight.TELLS):
        talk.say(f"To know: {doubt.words}")


def _settled(found: Guess, told: Told, today: date, talk: Talk) -> Told:
    """Settle the first doubt with a person.

    Raises:
        Unclear: Only the spreadsheet itself can be mended.
    """
    order = {"HEADINGS_UNSURE": 0, "WHICH_SHEET": 1}
    doubt = min(found.weighing(Weight.STOPS, Weight.ASKS), key=lambda one: order.get(one.code, 2))
    talk.say()
    talk.say(doubt.words, "bold")
    column = next((one for one in found.columns if one.label == doubt.column), None)
    if doubt.code in _WHICH and column is not None:
        default = Meaning.UNUSED if doubt.code == "TWO_COLUMNS" or doubt.weight is Weight.STOPS else column.meaning
        return _said(told, column, _which(f"What is '{column.label}'", default, talk))
    if doubt.code == "HEADINGS_UNSURE" and talk.sure(f"Is row {found.header_row} the row of the headings?"):
        return replace(told, header_row=found.header_row)
    if doubt.code == "WHICH_SHEET":
        return replace(told, sheet=talk.ask("Which sheet is right", default=found.sheet))
    if doubt.code in _DATES and column is not None and talk.sure("Does the day come first, and are they right?", False):
        return replace(told, dates_right=(*told.dates_right, _key(column)))
    if doubt.code == "STATUS_WORDS":
        opens = _checked(lambda: said.status_words(talk.ask("Words that mean open, apart by commas")), talk)
        closes = _checked(lambda: said.status_words(talk.ask("Words that mean closed, apart by commas")), talk)
        return replace(told, open_words=opens, closed_words=closes, other_words=True)
    missing = {"NO_BIRTH_DATE": Meaning.BORN, "NO_NUMBER": Meaning.NUMBER}.get(doubt.code)
    if doubt.code == "NO_NAME":
        have = {one.meaning for one in found.columns}
        missing = Meaning.LAST if Meaning.FIRST in have else Meaning.FIRST if Meaning.LAST in have else Meaning.FULL
    if missing is not None:
        chosen = _one(found, f"Which column holds {plain_name(missing)} (heading or letter; Enter for none)", talk)
        if chosen is not None:
            return _said(told, chosen, missing)
        if missing is Meaning.BORN:
            return replace(told, without_birth_date=True)
        if missing is Meaning.NUMBER and talk.sure("Number clients by a digest for now?", False):
            return replace(told, digest=True)
    raise Unclear(doubt.words)


def _confirmed(found: Guess, told: Told, talk: Talk) -> Told | None:
    """None when what is shown is right; else what a person said instead."""
    if talk.sure("Is this right?"):
        return None
    column = _one(found, "Which column is wrong (heading or letter)", talk)
    return told if column is None else _said(told, column, _which(f"What is '{column.label}'", column.meaning, talk))


def _key(column: Column) -> str:
    return column.heading or letter(column.place)


def _said(told: Told, column: Column, meaning: Meaning) -> Told:
    return replace(told, columns={**told.columns, _key(column): meaning})


def _which(question: str, default: Meaning, talk: Talk) -> Meaning:
    talk.say("It may be: " + ", ".join(f"{one} ({plain_name(one)})" for one in Meaning))
    return _checked(lambda: said.column_meanings({"": talk.ask(question, default=str(default))})[""], talk)


def _one(found: Guess, question: str, talk: Talk) -> Column | None:
    while name := talk.ask(question):
        there = [one for one in found.columns if named(one, name)]
        if len(there) == 1:
            return there[0]
        talk.say(f"There is no one such column. Columns: {', '.join(one.label for one in found.columns)}.")
    return None


def _checked(read: Callable[[], T], talk: Talk) -> T:
    """Ask again until it can be read."""
    while True:
        try:
            return read()
        except said.BadAnswers as fault:
            talk.say(fault.cure, "yellow")


# -- 3. Whom to ring, who we are, and the mapping ---------------------------------------------------------------------


def _contact(told: Answers, talk: Talk) -> Answers:
    one = told.contact
    if not one.team:
        talk.say()
        talk.say("3. Whom does a colleague of another agency ring when the answer is yes?")
        one = replace(one, team=talk.ask("Team or organisation", told.title, "--team"))
    if not one.role:
        one = replace(one, role=talk.ask("Whom to ask for, for example Duty manager", option="--role"))
    while not one.phone and not one.mailbox:
        one = replace(one, phone=talk.ask("Telephone number (Enter for none)", option="--phone or --mailbox"))
        if not one.phone:
            one = replace(one, mailbox=talk.ask("Mailbox", option="--phone or --mailbox"))
    return replace(told, contact=one)


def _member(told: Answers, home: Path, talk: Talk) -> Answers:
    """Who this organisation is in which federation; asked only until there are keys."""
    if (home / "node.toml").exists():
        from agency_node import settings

        here = settings.load(home / "node.toml")
        if (told.agency or here.agency) != here.agency or (told.federation or here.federation) != here.federation:
            raise Unclear(
                f"The keys in {home} were made for {here.agency} in {here.federation}.",
                "Leave --agency and --federation out, or choose another folder with --home.",
            )
        return replace(told, agency=here.agency, federation=here.federation)
    if not told.federation:
        talk.say()
        talk.say("The federation's operator has told you its name, your identifier and two addresses; ask them if not.")
    told = replace(
        told,
        federation=told.federation or talk.ask("Name of the federation, for example midshire", option="--federation"),
        agency=told.agency or talk.ask("Your identifier in it, for example charity", option="--agency"),
        title=told.title or talk.ask("Your organisation's name as people read it", told.contact.team, "--title"),
        kind=told.kind or talk.ask("What kind of organisation, in one word", "charity", "--kind"),
        broker=told.broker or talk.ask("Where the broker listens, host:port", option="--broker"),
        steward=told.steward or talk.ask("Where the steward listens, host:port", option="--steward-at"),
    )
    # Data Protection Act 2018 s.7: a charity is no public authority, and may claim no such character.
    characters = told.characters or (("non_public",) if told.kind == "charity" else ())
    return replace(told, characters=characters)


def _mapping(home: Path, found: Guess, kept: Kept, talk: Talk) -> tuple[Draft, Kept]:
    """Write the mapping, tried on the spreadsheet before it is put in place.

    Raises:
        Unclear: A mapping that was changed by hand does not fit any more, and was not to be written anew.
        agency_node.mapping.MappingInvalid: What was written does not fit; the message says why.
    """
    told = kept.answers
    digest_key = DIGEST_KEY if found.one(Meaning.NUMBER) is None else ""
    written = draft(found, told.agency, told.spreadsheet, told.contact, digest_key)
    data, path = written.text.encode(), home / MAPPING
    there = path.read_bytes() if path.exists() else b""
    if there == data or not _replaces(home, there, kept, talk):
        talk.say("3. The mapping is in place.")
        return written, kept
    from agency_node import keys, rehearsal
    from agency_node.mapping import open_records

    if digest_key and not (home / digest_key).exists():
        keys.write_new(home, {digest_key: os.urandom(keys.KEY_BYTES)})
    tried = "mapping.being-tried.yaml"
    keys.replace(home, tried, data)
    try:
        with contextlib.closing(open_records(home / tried)) as records:
            seen = rehearsal.check(records, datetime.now(UTC).date())
        if there and _digest(there) != kept.mapping:
            keys.replace(home, BEFORE, there)
        (home / tried).replace(path)
    finally:
        (home / tried).unlink(missing_ok=True)
    talk.say()
    talk.say(f"3. {path} is written and tried on your list: {seen.people} clients, {seen.held_back} held back.")
    for question in written.answers:
        unsure = f"; about {seen.doubtful[question]} it cannot say" if seen.doubtful[question] else ""
        talk.say(f"   {question}: yes, at some time, for {seen.answers[question]} of {seen.tried} tried{unsure}.")
    for question, why in written.missing.items():
        talk.say(f"   {question}: left out, because {why} About it your agency says 'cannot say'.")
    return written, replace(kept, mapping=_digest(data))


def _replaces(home: Path, there: bytes, kept: Kept, talk: Talk) -> bool:
    """Whether the mapping may be written over what is there."""
    if not there:
        return True
    if _digest(there) == kept.mapping:
        return talk.sure("The mapping has to be written anew for this. Shall it?")
    from agency_node.adapters import RecordsUnavailable
    from agency_node.mapping import open_records
    from agency_node.mapping_file import MappingInvalid

    try:
        open_records(home / MAPPING).close()
    except (MappingInvalid, RecordsUnavailable) as fault:
        why = str(fault)
    else:
        talk.say(f"{MAPPING} was changed by hand and fits; it is left as it is.")
        return False
    talk.say(f"{MAPPING} was changed by hand, and does not fit the spreadsheet any more: {why}", "yellow")
    if not talk.sure(f"Shall it be written anew? What is there now is kept as {BEFORE}.", False):
        raise Unclear(f"{MAPPING} does not fit: {why}", f"Mend it by hand, or move {home / MAPPING} away.")
    return True


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# -- 4. Keys ----------------------------------------------------------------------------------------------------------


def _keys(home: Path, told: Answers, people: int, talk: Talk) -> Path:
    """Make keys and the request: aside first, so that a home with half of its keys never is."""
    from agency_node import enrol

    staged, request = home / STAGED, home / enrol.REQUEST
    if not (home / "node.toml").exists() or staged.exists():
        if not (staged / enrol.REQUEST).exists():
            shutil.rmtree(staged, ignore_errors=True)
            enrol.init_agency(
                staged,
                federation=told.federation,
                agency=told.agency,
                title=told.title,
                kind=told.kind,
                characters=told.characters,
                # No more than it may need: an index with room for more lets its node try more guesses (T-LNK-6).
                records_up_to=ROOM * math.ceil(2 * people / ROOM),
                broker=told.broker,
                steward=told.steward,
            )
        # The request moves last: while it is here, an interrupted move is gone on with.
        for one in sorted(staged.iterdir(), key=lambda one: one.name == enrol.REQUEST):
            one.replace(home / one.name)
        staged.rmdir()
        talk.say(f"4. Keys are made in {home}. They never leave this machine.")
    else:
        talk.say(f"4. Keys are in {home}.")
    return request


def fingerprint(data: bytes) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a file, in fours, to be read out by telephone."""
    digits = hashlib.sha256(data).hexdigest()[:16]
    return " ".join(digits[at : at + 4] for at in range(0, 16, 4))


def _send(home: Path, request: Path, told: Answers, talk: Talk) -> None:
    talk.say()
    if not request.exists():
        talk.say(f"{request.name} is not in {home} any more; it seems to be sent. Keep the keys where they are.")
    else:
        talk.say("What you do now:", "bold")
        talk.say(f"  Send {request} to the operator of the federation '{told.federation}'. It holds public keys only.")
        talk.say(f"  Ring them, and read this out: {fingerprint(request.read_bytes())}")
        talk.say("  They send back a file that ends in .bundle.json, and read out the identifier of their key.")
    talk.say(f"  Then: accord-node quickstart --home '{home}' --bundle FILE", "bold")


# -- 5. Joining, and getting ready ------------------------------------------------------------------------------------


def _join(home: Path, bundle: Path, federation_key: str, talk: Talk) -> None:
    from agency_node import enrol

    first = not (home / "federation.pub").exists()
    key = federation_key
    if first and not key and talk.interactive:
        key = talk.ask("Ring the operator. Which identifier of the federation key do they read out")
    joined = enrol.join(home, bundle, now_ns=time.time_ns(), federation_key_id=key or None)
    talk.say(f"5. Your agency is in, as {joined.member.agency}, with {len(joined.directory.agencies)} agencies.")
    if joined.first and not key:
        talk.say(f"   Ring the operator and compare the federation key: {joined.federation_key_id}", "yellow")


def _well(home: Path, talk: Talk) -> None:
    """Look at what an index needs.

    Raises:
        NotReady: Something is not well.
    """
    from agency_node import doctor

    rows = doctor.look_at(home, time.time_ns())
    ill = [row for row in rows if row.name in NEEDED and row.state is not doctor.State.OK]
    if not ill:
        talk.say("6. Clock, certificate, broker and steward are well.")
        return
    bad: list[doctor.Row] = [row for row in ill if row.state is doctor.State.BAD]
    raise NotReady("\n".join(f"- {row.name}: {row.found}. {row.cure}" for row in bad or ill))


def _index(home: Path, talk: Talk) -> None:
    from agency_node.cli import index

    with contextlib.redirect_stdout(io.StringIO()) if talk.quiet else contextlib.nullcontext():
        index.index_build(home, as_json=False, allow_vanishing=False)


def _ready(home: Path, file: Path, written: Draft, talk: Talk) -> None:
    where = f"--home '{home}'"
    talk.say()
    talk.say("Ready.", "bold green")
    talk.say(f"  Your agency can answer: {', '.join(written.answers)}.")
    talk.say("Keep it answering:", "bold")
    talk.say(f"  accord-node serve {where}")
    talk.say("  or, so that it starts by itself and stays up (Linux):")
    talk.say(f"  systemd-run --user --unit accord --property Restart=always accord-node serve {where}")
    talk.say("When the spreadsheet has changed, the same command again:", "bold")
    talk.say(f"  accord-node quickstart {where} --yes")
    talk.say(
        f"  Save {file.name} at least every {FRESH_DAYS} days, even if nothing changed: most questions are not "
        "answered from an older list. Then your agency says 'cannot say', never 'no'."
    )
    talk.say("Your certificate lasts a day at most. With each new file from the operator:", "bold")
    talk.say(f"  accord-node quickstart {where} --yes --bundle FILE")
    talk.say("See what was asked, and that nothing was taken out of your ledger:", "bold")
    talk.say(f"  accord-node ledger asked {where}")
    talk.say(f"  accord-node ledger verify {where}")
    talk.say("Say no:", "bold")
    talk.say("  about one client: a column 'Do not share' with yes in their row, and the command above;")
    talk.say(f"  to one kind of question: take its lines out of {home / MAPPING};")
    talk.say("  to everything: stop the node. None of these reads as 'no' to anybody.")
    talk.say(f"If something seems wrong: accord-node doctor {where}")


# -- What is kept between runs ----------------------------------------------------------------------------------------


def _load(home: Path) -> Kept:
    """What earlier runs left.

    Raises:
        BadAnswers: The file is not one of ours.
    """
    path = home / KEPT
    if not path.exists():
        return Kept()
    try:
        value: dict[str, Any] = json.loads(path.read_bytes()[: 2 * said.MAX_BYTES])
        layout = value["layout"] and Layout(
            str(value["layout"]["sheet"]),
            int(value["layout"]["header_row"]),
            said.column_meanings(value["layout"]["columns"]),
        )
        return Kept(said.parse(json.dumps(value["answers"]).encode()), layout, str(value["mapping"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise said.BadAnswers(KEPT, f"it cannot be read; move {path} away, and answer again") from error


def _keep(home: Path, kept: Kept) -> None:
    from agency_node import keys

    home.mkdir(parents=True, mode=0o700, exist_ok=True)
    layout = kept.layout and {name: getattr(kept.layout, name) for name in kept.layout.__slots__}
    value = {"answers": json.loads(said.to_bytes(kept.answers)), "layout": layout, "mapping": kept.mapping}
    keys.replace(home, KEPT, json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n")


def _told(found: Guess, written: Draft, request: Path, joined: bool) -> dict[str, Any]:
    """Everything for a program: counts, shapes and file names."""
    return {
        "joined": joined,
        "request": str(request),
        "fingerprint": fingerprint(request.read_bytes()) if request.exists() else "",
        "sheet": found.sheet,
        "header_row": found.header_row,
        "people": found.people,
        "answers": list(written.answers),
        "left_out": dict(written.missing),
        "columns": [
            {
                "column": letter(one.place),
                "heading": one.label,
                "meaning": one.meaning,
                "filled": one.looks.filled,
                "unreadable": one.unreadable,
                "shapes": dict(one.looks.shapes),
            }
            for one in found.columns
        ],
        "doubts": [
            {"code": one.code, "weight": one.weight, "column": one.column, "words": one.words} for one in found.doubts
        ],
    }
