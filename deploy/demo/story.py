"""The story of one family, told with real processes, and the judgement of each step by what was observed.

    refused without an agreement -> answered with one -> a family nobody knows stays unknown -> a killed node is
    "not reached" -> withdrawn means refused -> a child at risk is another matter -> many know this family, and not of
    each other -> the ledgers hold -> tampering shows

Telling and judging are apart: `tell` runs the programs and gathers what can be seen from outside (exit codes, the
answers that were kept, records in ledgers, bytes on disk); each `judge_...` function decides from that alone whether
its step holds, so a test can hand it a false observation and see it refused.
"""

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from deploy.demo import evidence, federation
from deploy.demo.county import County, Person
from deploy.demo.evidence import Hit
from deploy.demo.federation import AGENCIES, ASKER, Federation
from deploy.demo.processes import Finished, Processes

OTHERS: Final = tuple(agency for agency in AGENCIES if agency != ASKER)
SENSITIVE: Final = frozenset(one for one in OTHERS if federation.agency_row(one)["sensitivity"] == "sensitive_service")
"""Services that early help does not reach, whatever the family agreed: their very name tells something."""
EARLY_HELP: Final[Mapping[str, str]] = {one: "REFUSED" if one in SENSITIVE else "ANSWERED" for one in OTHERS}
"""What becomes of a question for early help under the family's agreement."""
REACHED: Final = tuple(one for one in OTHERS if one not in SENSITIVE)
QUESTION: Final = "agency.contact"
WINDOW: Final = timedelta(days=1096)
"""How far back QUESTION looks, as data/questions/agency.contact.yaml says."""
_NUMBER: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
"""A number as RFC 9562 section 5.7 writes it (UUID version 7)."""


# -- What is observed -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that was asked at the command line.

    Attributes:
        code: Exit code.
        reply: The answer as it was kept; empty where none was given.
        screen: What the person saw.
        ms: Whole time at the command line, milliseconds.
    """

    code: int
    reply: Mapping[str, Any]
    screen: str
    ms: int

    @property
    def inside_ms(self) -> int:
        """The question itself as the asking side measured it, milliseconds: from sign-in to the proof checked."""
        return int(self.reply.get("elapsed_ms", self.ms))

    def deliveries(self) -> dict[str, str]:
        """Agency -> ANSWERED, REFUSED or NOT_REACHED."""
        return {row["agency"]: row["delivery"] for row in self.reply.get("agencies", [])}

    def answers(self) -> dict[tuple[str, str], str]:
        """(agency, person) -> YES, NO or CANNOT_SAY, of those that answered."""
        rows = self.reply.get("agencies", [])
        return {(row["agency"], one["ref"]): one["answer"] for row in rows for one in row["people"]}

    def codes(self) -> frozenset[str]:
        """Codes of every refusal."""
        return frozenset(code for codes in self.refusals().values() for code in codes)

    def refusals(self) -> dict[str, frozenset[str]]:
        """Agency -> codes of its refusals, of those that refused."""
        rows = self.reply.get("agencies", [])
        return {row["agency"]: frozenset(one["code"] for one in row["denials"]) for row in rows if row["denials"]}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a step holds.

    Attributes:
        ok: It does.
        detail: What was seen; where it does not hold, what was not so.
    """

    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the story, judged.

    Attributes:
        name: Its fixed name.
        ok: Whether it holds.
        detail: What was seen.
        seconds: How long it took.
        question_ms: Each of its questions, as measured inside the asking side, milliseconds.
    """

    name: str
    ok: bool
    detail: str
    seconds: float
    question_ms: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """What one agency has written down about one person.

    Attributes:
        recent: Contact in the time that the question looks back.
        otherwise: With another first name, surname or postcode than they have now, or without one.
    """

    recent: bool
    otherwise: bool


def _verdict(seen: str, checks: Mapping[str, bool]) -> Verdict:
    """Holds when every check does; otherwise the detail names those that do not."""
    wrong = [words for words, holds in checks.items() if not holds]
    return Verdict(False, f"not so: {'; '.join(wrong)}. Seen: {seen}") if wrong else Verdict(True, seen)


# -- Judging ----------------------------------------------------------------------------------------------------------


def judge_refused(asked: Asked, received_before: Mapping[str, int], received_after: Mapping[str, int]) -> Verdict:
    """Without an agreement nobody is asked, and whoever asks is told what is missing and what to do about it.

    Args:
        asked: The question.
        received_before: Agency -> RECEIVED records in its own ledger before.
        received_after: The same, after.
    """
    return _verdict(
        f"exit code {asked.code}, {_said(asked)}, {', '.join(sorted(asked.codes()))}; no node heard of it",
        {
            "every other agency was refused": asked.deliveries() == dict.fromkeys(OTHERS, "REFUSED"),
            "the exit code is 3": asked.code == 3,
            "each was refused because AGREEMENT_MISSING": _refused_all(asked, "AGREEMENT_MISSING"),
            "every cure stands on the screen": _cured(asked),
            "no node's ledger has a new question": set(received_before) == set(AGENCIES)
            and received_before == received_after,
        },
    )


def judge_answered(asked: Asked, numbers: Sequence[str], people: int) -> Verdict:
    """With an agreement all but the sensitive services answer, and a yes says how recent it is and whom to ring.

    Args:
        asked: The question.
        numbers: Numbers of the agreements that were recorded.
        people: How many people were asked about.
    """
    useful = [
        one
        for row in asked.reply.get("agencies", [])
        for one in row["people"]
        if one["answer"] == "YES" and one["recency"] and one["contact"] and one["contact"]["phone"]
    ]
    yes = sum(answer == "YES" for answer in asked.answers().values())
    return _verdict(
        f"exit code {asked.code}, {_said(asked)}, {yes} times yes, {len(useful)} with how recent and whom to ring",
        {
            "each person's agreement has a number": len(set(numbers)) == people,
            "every agency that may be asked answered, and no other": asked.deliveries() == EARLY_HELP,
            "a sensitive service is refused for what it is": set(asked.refusals()) == SENSITIVE
            and asked.codes() <= {"SENSITIVE_SERVICE"},
            "every cure stands on the screen": not SENSITIVE or _cured(asked),
            "the exit code tells whether somebody was left out": asked.code == (6 if SENSITIVE else 0),
            "there is an answer for each person from each of them": len(asked.answers()) == people * len(REACHED),
            "a yes says how recent and whom to ring": len(useful) >= 1,
        },
    )


def judge_blind(
    asked: Asked,
    received: Mapping[str, int],
    evaluations: Mapping[str, int],
    learned: Sequence[Hit],
    searched: int,
    planted: Sequence[Hit],
    known: Sequence[Hit],
) -> Verdict:
    """Nobody knows this family, and from being asked nobody learned of it.

    Args:
        asked: The question.
        received: Agency -> how many RECEIVED records its ledger gained: the nodes were really asked.
        evaluations: Key server -> how many more evaluations its log shows: they really worked for this question.
        learned: What the search found in the processes' own records.
        searched: How many files it read.
        planted: What the same search finds where somebody has written the family's names down.
        known: What a search of the same kind for Jamie finds in the police's own records.
    """
    answers = asked.answers()
    where = ", ".join(sorted({f"{hit.meaning.what} ({hit.meaning.how}) in {hit.file}" for hit in learned}))
    return _verdict(
        f"exit code {asked.code}, {_said(asked)}, every answer no; {where or 'nothing'} found in {searched} files;"
        f" planted names found {len(planted)} times, Jamie in the police's records {len(known)} times",
        {
            "every other agency answered": asked.deliveries() == dict.fromkeys(OTHERS, "ANSWERED"),
            "every answer is no": bool(answers) and set(answers.values()) == {"NO"},
            "the exit code is 0": asked.code == 0,
            "every node was really asked": all(received.get(agency, 0) == 1 for agency in OTHERS),
            "both key servers really worked": all(evaluations.get(one, 0) > 0 for one in ("broker", "steward")),
            "files were searched": searched >= 5,
            f"no process wrote down who it was ({where})": not learned,
            "control: planted names are found": {"plain", "base64"} <= {hit.meaning.how for hit in planted},
            "control: Jamie is found in the police's own records": {"first name", "date of birth"}
            <= {hit.meaning.what for hit in known},
        },
    )


def judge_not_reached(killed_code: int, during: Asked, after: Asked, killed: str) -> Verdict:
    """A node that is gone is *not reached* and never *no*; back again, it answers again.

    Args:
        killed_code: With which code the killed process ended; -9 for SIGKILL.
        during: The question while it was gone.
        after: The question after it came back.
        killed: Which agency's node.
    """
    others = [agency for agency in REACHED if agency != killed]
    said_no = [one for one in during.answers() if one[0] == killed]
    return _verdict(
        f"while it was gone: exit code {during.code}, {_said(during)}; back again: exit code {after.code},"
        f" {_said(after)}",
        {
            "the process was killed": killed_code == -9,
            "its agency is not reached": during.deliveries().get(killed) == "NOT_REACHED",
            "nothing is said in its name": not said_no and killed in during.deliveries(),
            "the others answered": all(during.deliveries().get(agency) == "ANSWERED" for agency in others),
            "the exit code is 6": during.code == 6,
            "nobody else was addressed": set(during.deliveries()) == set(REACHED),
            "back again it answers": after.deliveries() == dict.fromkeys(REACHED, "ANSWERED"),
            "the exit code is then 0": after.code == 0,
        },
    )


def judge_withdrawn(
    withdrawal: Finished, asked: Asked, received_before: Mapping[str, int], received_after: Mapping[str, int]
) -> Verdict:
    """A withdrawal needs the number only, and bites at the next question.

    Args:
        withdrawal: The command that took it.
        asked: The next question.
        received_before: Agency -> RECEIVED records in its own ledger before that question.
        received_after: The same, after.
    """
    return _verdict(
        f"exit code {asked.code}, {_said(asked)}, {', '.join(sorted(asked.codes()))}; no node heard of it",
        {
            "the withdrawal was taken": withdrawal.code == 0,
            "every agency was refused": asked.deliveries() == dict.fromkeys(OTHERS, "REFUSED"),
            "the exit code is 3": asked.code == 3,
            "each was refused because AGREEMENT_WITHDRAWN": _refused_all(asked, "AGREEMENT_WITHDRAWN"),
            "no node's ledger has a new question": set(received_before) == set(AGENCIES)
            and received_before == received_after,
        },
    )


def judge_protective(asked: Asked) -> Verdict:
    """Where a child may be suffering significant harm, the law lets the question go without an agreement."""
    relied = {row["agency"]: row["gateway"] for row in asked.reply.get("agencies", [])}
    return _verdict(
        f"exit code {asked.code}, {_said(asked)}, relying on {', '.join(sorted(set(relied.values())))}",
        {
            "every other agency answered": asked.deliveries() == dict.fromkeys(OTHERS, "ANSWERED"),
            "the exit code is 0": asked.code == 0,
            "no agreement was relied on": bool(relied) and "agreement_service" not in relied.values(),
            "somebody says yes": "YES" in asked.answers().values(),
        },
    )


def judge_known(asked: Asked, truth: Mapping[tuple[str, str], Known]) -> Verdict:
    """Who knows this family is said as the agencies' own records have it, whatever name or address they have.

    Args:
        asked: The question.
        truth: (agency, person) -> what that agency wrote down; nothing for somebody it does not know.
    """
    answers = asked.answers()
    said_yes = {one for one, word in answers.items() if word == "YES"}
    wanted = {one for one, known in truth.items() if known.recent}
    otherwise = {one for one in wanted if truth[one].otherwise}
    agencies = {agency for agency, _ in said_yes}
    return _verdict(
        f"exit code {asked.code}, {len(agencies)} of {len(OTHERS)} agencies know somebody of the family,"
        f" {len(said_yes)} times yes, {len(otherwise & said_yes)} of them written down with another name or address",
        {
            "every other agency answered": asked.deliveries() == dict.fromkeys(OTHERS, "ANSWERED"),
            "the exit code is 0": asked.code == 0,
            f"whoever is known is found ({_pairs(wanted - said_yes)})": wanted <= said_yes,
            f"nobody else is ({_pairs(said_yes - wanted)})": said_yes <= wanted,
            "most agencies know somebody": len(agencies) * 2 > len(OTHERS),
            "a sensitive service is among them": not SENSITIVE or bool(SENSITIVE & agencies),
            "somebody is found who is written down with another name or address": bool(otherwise & said_yes),
        },
    )


def judge_ledgers(
    broker: Finished, nodes: Mapping[str, Finished], kept: int, holding: int, changed_holding: int
) -> Verdict:
    """The broker's ledger and every node's verify, and so does the proof kept with every answer.

    Args:
        broker: `accord-broker ledger verify --json`.
        nodes: Agency -> `accord-node ledger verify --json`.
        kept: How many answers were kept in this story.
        holding: How many of their proofs hold.
        changed_holding: How many hold after one character of the record was changed: none may.
    """
    report = _json(broker.out)
    sizes = {agency: _json(one.out).get("entries", 0) for agency, one in nodes.items()}
    return _verdict(
        f"broker: {report.get('entries', 0)} entries, {report.get('questions', 0)} questions;"
        f" nodes: {', '.join(f'{agency} {size}' for agency, size in sorted(sizes.items()))} entries;"
        f" {holding} of {kept} proofs hold, {changed_holding} after a change",
        {
            "the broker's ledger holds": broker.code == 0 and report.get("ok") is True,
            "every question is in it": kept > 0 and report.get("questions", 0) >= kept,
            "every node's ledger holds": set(nodes) == set(AGENCIES) and all(one.code == 0 for one in nodes.values()),
            "no node's ledger is empty": bool(sizes) and all(size > 0 for size in sizes.values()),
            "every proof holds": holding == kept,
            "control: no proof holds for a changed record": changed_holding == 0,
        },
    )


def judge_tampered(tampered: Finished, untouched: Finished, entry: int) -> Verdict:
    """One bit turned over in one record is found and named; the same copy without it verifies.

    Args:
        tampered: `accord-broker ledger verify --json` on the copy with one bit turned over.
        untouched: The same on the copy without.
        entry: Which entry was changed.
    """
    found = [one["index"] for one in _json(tampered.out).get("findings", [])]
    return _verdict(
        f"one bit of entry {entry}: exit code {tampered.code}, names entries {found}; without it: exit code"
        f" {untouched.code}",
        {
            "the changed copy does not verify": tampered.code == 5,
            "the entry is named": entry in found,
            "control: the untouched copy verifies": untouched.code == 0 and _json(untouched.out).get("ok") is True,
        },
    )


def judge_learned(learned: Sequence[Hit], searched: int, known: Sequence[Hit]) -> Verdict:
    """After the whole story, broker and steward still do not know whom it was about.

    Args:
        learned: What the search for the family found in the records of broker and steward.
        searched: How many files it read.
        known: What the same search finds in the asking agency's typed questions.
    """
    return _verdict(
        f"{len(learned)} found in {searched} files of broker and steward; {len(known)} in what social care typed",
        {
            "nothing is found at broker and steward": not learned,
            "files were searched": searched >= 4,
            "control: it is found in what was typed": len(known) > 0,
        },
    )


def _refused_all(asked: Asked, code: str) -> bool:
    refusals = asked.refusals()
    return set(refusals) == set(OTHERS) and all(code in codes for codes in refusals.values())


def _cured(asked: Asked) -> bool:
    """Whether what can be done about every refusal stands on the screen."""
    screen = _one_line(asked.screen)
    cures = [denial["cure"] for row in asked.reply.get("agencies", []) for denial in row["denials"]]
    return bool(cures) and all(cure and " ".join(cure.split()) in screen for cure in cures)


def _said(asked: Asked) -> str:
    """What became of the question: "ANSWERED by health, housing; REFUSED by drug-alcohol"."""
    found = asked.deliveries()
    by_word = {word: sorted(one for one in found if found[one] == word) for word in sorted(set(found.values()))}
    return "; ".join(f"{word} by {', '.join(agencies)}" for word, agencies in by_word.items()) or "no reply"


def _pairs(found: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{ref} at {agency}" for agency, ref in sorted(found)) or "none"


def _one_line(screen: str) -> str:
    """A screen's words without the frames and line breaks of its tables."""
    return " ".join(re.sub(r"[^\w\s.,;:'()/-]", " ", screen).split())


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


# -- Telling ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Teller:
    """Tells the story step by step.

    Attributes:
        at: The federation, running.
        processes: Runs the programs.
        county: Its people.
        console: Where the story is told.
        today: For people's ages.
        asked: Every question that was answered or refused, in order.
        numbers: Numbers on the family's receipt, by person.
    """

    at: Federation
    processes: Processes
    county: County
    console: Console
    today: date
    asked: list[Asked] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)

    def tell(self) -> Iterator[Step]:
        """Tell each step and judge it; a step that fails does not end the story."""
        steps: tuple[tuple[str, str, Callable[[], Verdict]], ...] = (
            ("refused_without_agreement", "Without the family's agreement", self._refused),
            ("answered_with_agreement", "With it", self._answered),
            ("unknown_family_blind", "A family nobody knows", self._blind),
            ("node_killed_not_reached", "A computer fails", self._killed),
            ("withdrawn_refused", "The agreement is withdrawn", self._withdrawn),
            ("s47_without_agreement", "A child at risk", self._protective),
            ("known_by_many", "Who knows this family", self._known),
            ("centre_never_learned", "What the middle knows", self._learned),
            ("ledger_verified", "The auditor comes", self._ledgers),
            ("tamper_detected", "Somebody changes the past", self._tampered),
        )
        for number, (name, title, step) in enumerate(steps, 1):
            self.console.rule(Text(f"{number} of {len(steps)}. {title}", "bold"), align="left")
            before, since = len(self.asked), time.monotonic()
            try:
                verdict = step()
            except Exception as problem:  # noqa: BLE001  one broken step must not hide what the others show
                verdict = Verdict(False, f"{type(problem).__name__}: {problem}")
            mark = "[bold green]As it should be[/]" if verdict.ok else "[bold red]NOT as it should be[/]"
            self.console.print(f"{mark}: {escape(verdict.detail)}\n")
            times = tuple(one.inside_ms for one in self.asked[before:])
            yield Step(name, verdict.ok, verdict.detail, round(time.monotonic() - since, 2), times)

    # Each step: what happens, in plain words; the real programs; the judgement.

    def _refused(self) -> Verdict:
        self._say(
            "A social worker wants to know whether other agencies have had contact with Jamie (13), his father's"
            " partner Anne, and Anne's daughter Stacey (17), so that the family gets early help. Nobody has asked the"
            " family yet."
        )
        before = self._received()
        asked = self._ask("family-early-help", self._family("early_help"))
        self._say("Nothing left social care but a refused question. No other agency heard anything of it.")
        return judge_refused(asked, before, self._received())

    def _answered(self) -> Verdict:
        self._say("The social worker talks to the family, and they agree. Each gets a receipt with a number.")
        words = ["agreement", "record", *self._desk(), str(self._write("family", {"people": self._people()}))]
        words += ["--question", QUESTION]
        for agency in OTHERS:
            words += ["--responder", agency]
        recorded = self._node(words)
        self.numbers = _NUMBER.findall(recorded.out)
        self._say(
            "The same question again. A service whose very name tells something about a person is not asked for early"
            " help, and says what to do instead:"
        )
        asked = self._ask("family-early-help", self._family("early_help"))
        if "CANNOT_SAY" in asked.answers().values():
            self._say(
                "Who has written a name or a birthday down otherwise cannot be sure that it was this person who agreed,"
                " and cannot say."
            )
        return judge_answered(asked, self.numbers, len(self._people()))

    def _blind(self) -> Verdict:
        self._say(
            "The Okonjo-Reyes family moved here. A neighbour rang; no agency has heard of them. Will asking make them"
            " known?"
        )
        received, evaluations = self._received(), self._evaluations()
        strangers = [_typed(person, self.today) for person in self.county.strangers]
        asked = self._ask("strangers", self._inquiry("s47_enquiry", strangers))
        gained = {agency: after - received[agency] for agency, after in self._received().items()}
        worked = {one: after - evaluations[one] for one, after in self._evaluations().items()}
        self._say(
            "Everybody says no. Now every byte that any process has written is searched for the family's names,"
            " birthdays, address and NHS numbers, in many spellings."
        )
        wanted = evidence.spellings(self.county.strangers)
        records = [self.at.records(agency) for agency in AGENCIES]
        files = evidence.files_of([self.at.folder], without=[self.at.desk, *records])
        learned = evidence.search(files, wanted)
        planted = evidence.search([self._plant()], wanted)
        jamie = evidence.spellings([self.county.person("Jamie", "Thorley")])
        known = evidence.search(evidence.files_of([self.at.records("police")]), jamie)
        return judge_blind(asked, gained, worked, learned, len(files), planted, known)

    def _killed(self) -> Verdict:
        self._say("The council's housing computer loses power in the middle of the day. Somebody asks meanwhile.")
        code = self.processes.kill("housing")
        question = self._family("early_help") | {"agencies": list(REACHED)}
        during = self._ask("family-reached", question)
        self._say("Not reached is not no: ask again later. The computer comes back:")
        federation.start_nodes(self.at, self.processes, ("housing",))
        after = self._ask("family-reached", question)
        return judge_not_reached(code, during, after, "housing")

    def _withdrawn(self) -> Verdict:
        self._say("Jamie's father changes his mind. He shows the number on the receipt; he gives no reason.")
        withdrawal = self._node(["agreement", "withdraw", *self._desk(), self.numbers[0], "--withdrawn-by", "parent"])
        before = self._received()
        asked = self._ask("family-early-help", self._family("early_help"))
        return judge_withdrawn(withdrawal, asked, before, self._received())

    def _protective(self) -> Verdict:
        self._say(
            "Weeks later a teacher sees bruises. There is reasonable cause to suspect that Jamie is suffering"
            " significant harm, so social care makes enquiries under section 47 of the Children Act 1989. That is asked"
            " anew, with its own reason, and does not need the family's agreement."
        )
        return judge_protective(self._ask("family-enquiry", self._family("s47_enquiry")))

    def _known(self) -> Verdict:
        self._say(
            "Each agency has seen a piece of this family, and none of them knows of the others. Some have written a"
            " name or an address down otherwise, and one is a service that must not be named lightly. Now the social"
            " worker sees who knows whom, and how recently:"
        )
        asked = self._ask("family-picture", self._family("s47_enquiry"))
        return judge_known(asked, self._truth())

    def _truth(self) -> dict[tuple[str, str], Known]:
        """What the agencies have written down about the family: the county was made so."""
        truth = {}
        for agency in OTHERS:
            for number, person in enumerate(self._persons(), 1):
                held = self.county.record(agency, person)
                if held is not None:
                    recent = not held.shielded and self.county.as_of - held.contacts[-1].on <= WINDOW
                    now = (person.first_name, person.last_name, person.address.postcode.replace(" ", ""))
                    postcode = held.address.postcode.replace(" ", "") if held.address else ""
                    otherwise = (held.first_name, held.last_name, postcode) != now
                    truth[agency, f"s{number}"] = Known(recent, otherwise)
        return truth

    def _learned(self) -> Verdict:
        self._say("After all this, do the broker and the steward in the middle know whom the questions were about?")
        wanted = evidence.spellings(self._persons())
        places = [self.at.home("broker"), self.at.log("broker"), self.at.home("steward"), self.at.log("steward")]
        files = evidence.files_of(places)
        known = evidence.search(evidence.files_of([self.at.desk]), wanted)
        return judge_learned(evidence.search(files, wanted), len(files), known)

    def _ledgers(self) -> Verdict:
        self._say("An auditor checks every ledger, and the proof that came with every answer.")
        homes = {agency: str(self.at.home(agency)) for agency in AGENCIES}
        commands = [["accord-broker", "ledger", "verify", "--running", "--json", "--home", str(self.at.home("broker"))]]
        commands += [["accord-node", "ledger", "verify", "--json", "--home", home] for home in homes.values()]
        broker, *nodes = self.processes.run_all(commands, at_once=2)
        ledger = evidence.ledger_of(self.at.home(ASKER))
        replies = [one.reply for one in self.asked if one.reply]
        holding = sum(evidence.receipt_holds(one, ledger) for one in replies)
        changed = sum(evidence.receipt_holds(evidence.changed(one), ledger) for one in replies)
        return judge_ledgers(broker, dict(zip(homes, nodes, strict=True)), len(self.asked), holding, changed)

    def _tampered(self) -> Verdict:
        self._say("Somebody with all rights on the broker's machine changes one record: one bit of it, in a copy.")
        homes = {name: self.at.folder / "copies" / name for name in ("untouched", "changed")}
        source = self.at.home("broker")
        for home in homes.values():
            home.mkdir(parents=True, mode=0o700)
            for name in ("broker.toml", "directory.json", "federation.pub", "ca.pem"):
                (home / name).write_bytes((source / name).read_bytes())
        copy = homes["untouched"] / "broker.db"
        evidence.copy_database(source / "broker.db", copy)
        (homes["changed"] / "broker.db").write_bytes(copy.read_bytes())
        entry = evidence.choose_entry(copy)
        evidence.flip_one_bit(homes["changed"] / "broker.db", entry)
        verify = [["accord-broker", "ledger", "verify", "--json", "--home", str(home)] for home in homes.values()]
        untouched, tampered = self.processes.run_all(verify, at_once=2)
        for one in _json(tampered.out).get("findings", []):
            self.console.print(Text(one["words"]))
        return judge_tampered(tampered, untouched, entry)

    # -- Asking -------------------------------------------------------------------------------------------------------

    def _ask(self, name: str, inquiry: Mapping[str, Any]) -> Asked:
        """Ask at the command line, show what the person sees, and read what was kept."""
        kept = self.at.desk / f"{name}.{len(self.asked) + 1}.answer.json"
        ended = self._node(["ask", *self._desk(), "--save", str(kept), str(self._write(name, inquiry))])
        reply = _json(kept.read_text("utf-8")) if kept.exists() else {}
        asked = Asked(ended.code, reply, ended.out, ended.ms)
        self.asked.append(asked)
        return asked

    def _node(self, words: Sequence[str]) -> Finished:
        shown = [_shown(word, self.at.folder) for word in words]
        self.console.print(Text(f"$ accord-node {' '.join(shown)}", "dim"), soft_wrap=True)
        ended = self.processes.run(["accord-node", *words])
        # On the side there are only moving bars, unless something failed.
        self.console.print(Text.from_ansi(ended.out or ended.err), soft_wrap=True)
        return ended

    def _desk(self) -> list[str]:
        return ["--home", str(self.at.home(ASKER)), "--token-file", str(self.at.sign_in)]

    def _write(self, name: str, value: Mapping[str, Any]) -> Path:
        file = self.at.desk / f"{name}.json"
        file.write_text(json.dumps(value, indent=2, ensure_ascii=False), "utf-8")
        return file

    def _persons(self) -> list[Person]:
        return [
            self.county.person(*name) for name in (("Jamie", "Thorley"), ("Anne", "Calloway"), ("Stacey", "Calloway"))
        ]

    def _people(self) -> list[dict[str, Any]]:
        jamie, anne, stacey = (_typed(person, self.today) for person in self._persons())
        if stacey["role"] == "child":
            stacey |= {"competence": "competent", "given_by": "self"}  # at 17 she decides for herself
        return [jamie, anne | {"role": "other_adult"}, stacey]

    def _family(self, purpose: str) -> dict[str, Any]:
        return self._inquiry(purpose, self._people())

    def _inquiry(self, purpose: str, people: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        told: dict[str, Any] = {"question": QUESTION, "purpose": purpose, "case": "CF-1042", "people": list(people)}
        if purpose == "s47_enquiry":
            return told | {"need_tier": 4, "significant_harm": True, "public_task": True, "necessity": "assess_risk"}
        return told | {"need_tier": 2}

    # -- Observing ----------------------------------------------------------------------------------------------------

    def _received(self) -> dict[str, int]:
        return {agency: federation.count(self.at.home(agency), "RECEIVED") for agency in AGENCIES}

    def _evaluations(self) -> dict[str, int]:
        return {one: federation.said(self.at.log(one), "key_evaluation") for one in ("broker", "steward")}

    def _plant(self) -> Path:
        """A file in which somebody has written the family's names down, plainly and in base64."""
        person = self.county.strangers[0]
        folder = self.at.folder / "control"
        folder.mkdir(exist_ok=True)
        file = folder / "planted.bin"
        name = f"{person.first_name} {person.last_name}"
        file.write_bytes(b"\x00\x01" + name.upper().encode() + b"\xff" + evidence.as_base64(f"seen: {name}!") + b"\x00")
        return file

    def _say(self, words: str) -> None:
        self.console.print(words, markup=False, highlight=False)


def _typed(person: Person, today: date) -> dict[str, Any]:
    """A person as a social worker types them."""
    born = person.date_of_birth
    age = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    return {
        "first_name": person.first_name,
        "middle_names": person.middle_name,
        "last_name": person.last_name,
        "date_of_birth": f"{born.day}/{born.month}/{born.year}",
        "address": person.address.line,
        "postcode": person.address.postcode,
        "role": "child" if age < 18 else "parent",
    }


def _shown(word: str, folder: Path) -> str:
    """A word of a command as it is shown: paths from the demonstration's folder."""
    return word.removeprefix(f"{folder}/")
