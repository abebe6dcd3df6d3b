"""A charity with a spreadsheet of 500 clients and no IT department, from nothing to answering, with real processes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final

import openpyxl
import pytest

from deploy.demo.federation import DEADLINES
from deploy.demo.ports import free_ports
from tests.system.conftest import BESIDE, Said, start
from tests.world.stack import found_in, identifiers

pytestmark = pytest.mark.prove

Answered = tuple[str, str | None, str | None]
"""Answer, recency, and the number to ring."""

SEED: Final = 2026
JAMIE: Final = {
    "role": "child",
    "first_name": "Jamie",
    "last_name": "Thorley",
    "date_of_birth": "2013-03-09",
    "address": "Flat 3, 14 Larkspur Rise",
    "postcode": "MD4 7QT",
}
STRANGER: Final = JAMIE | {"first_name": "Zebedee", "last_name": "Quillfeather", "date_of_birth": "2011-07-30"}
FIRST: Final = ("Anna", "Bela", "Carys", "Dilip", "Esme", "Farid", "Gwen", "Hugo", "Ines", "Jonah", "Kezia", "Lubna")
LAST: Final = ("Abernethy", "Brackenbury", "Colquhoun", "Dunwoody", "Entwistle", "Featherstone", "Golightly", "Haverly")
STREETS: Final = ("Larkspur Rise", "Tansy Road", "Comfrey Lane", "Yarrow Close", "Sorrel Street")


def spreadsheet(file: Path, today: date) -> None:
    """The list as an office keeps it: a title, headings of its own, names in one column, notes that nobody needs."""
    chance = Random(SEED)
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Clients"
    sheet.append(["Larkspur Family Trust: clients"])
    sheet.append([])
    sheet.append(["Ref", "Client name", "D.O.B.", "Address", "Post code", "Last contact", "Status", "Worker", "Notes"])
    sheet.append(
        [
            *("LFT-0001", "Thorley, Jamie", date(2013, 3, 9), "Flat 3, 14 Larkspur Rise", "MD4 7QT"),
            *(today - timedelta(days=20), "Open", "Pat", "plays the cornet"),
        ]
    )
    for number in range(2, 501):
        born = date(1950, 1, 1) + timedelta(days=chance.randrange(26_000))
        sheet.append(
            [
                f"LFT-{number:04}",
                f"{chance.choice(LAST)}, {chance.choice(FIRST)}",
                born,
                f"{chance.randrange(1, 200)} {chance.choice(STREETS)}",
                f"MD{chance.randrange(1, 9)} {chance.randrange(1, 9)}{''.join(chance.choices('ABDEFGHJLN', k=2))}",
                today - timedelta(days=chance.randrange(1_400)),
                chance.choice(("Open", "Closed", "Closed")),
                chance.choice(("Pat", "Sam")),
                "rang, left word",
            ]
        )
    book.save(file)
    file.chmod(0o600)


@contextlib.contextmanager
def running(log: Path, *words: str | Path) -> Iterator[None]:
    """One of the two programs as a service, until the block ends."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
    with log.open("wb") as file:
        service = subprocess.Popen(
            [str(BESIDE / str(words[0])), *map(str, words[1:])], stderr=file, stdout=file, env=clean
        )
    try:
        yield
    finally:
        service.send_signal(signal.SIGTERM)
        try:
            service.wait(60)
        except subprocess.TimeoutExpired:
            service.kill()
            service.wait()


def until(true: object, what: str, within_s: float = 120.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + within_s
    while not true():  # type: ignore[operator]  # any callable without arguments
        assert time.monotonic() < end, what
        time.sleep(0.25)


def well(*words: str | Path, told: str = "", code: int = 0) -> Said:
    """A command that ends as it should."""
    said = start(*words, told=told)
    assert code == said.code, f"{words[:2]}: {said.out}{said.err}"
    return said


def files(place: Path) -> list[Path]:
    """A file, or every file of a folder."""
    return [one for one in place.rglob("*") if one.is_file()] if place.is_dir() else [place]


def shared_strings(file: Path) -> list[str]:
    """Every text of a workbook."""
    book = openpyxl.load_workbook(file)
    return [str(cell) for row in book.active.iter_rows(values_only=True) for cell in row]  # type: ignore[union-attr]  # it has one sheet


def logged(log: Path, event: str) -> bool:
    return f'"event.action": "{event}"' in log.read_text("utf-8", errors="replace")


def test_a_charity_answers_out_of_its_spreadsheet(tmp_path: Path) -> None:
    """S15: a spreadsheet extract and one command; every party sees what it should and no more (T-PRV-1, T-LNK-5)."""
    root, today = tmp_path, datetime.now(UTC).date()
    broker_port, steward_port = free_ports(2)
    at = {"broker": f"localhost:{broker_port}", "steward": f"localhost:{steward_port}"}
    office = root / "office"
    office.mkdir()
    sheet, home = office / "clients 2026.xlsx", office / "accord"
    spreadsheet(sheet, today)
    before = sheet.read_bytes()

    # The operator and the asking agency, as everywhere else.
    authority, sent = root / "authority", root / "sent"
    made = ("--federation", "midshire")
    listening = ("--listen", f"127.0.0.1:{broker_port}")
    well("accord-broker", "init", "--home", root / "broker", "--authority", authority, *made, *listening)
    well("accord-node", "init", "--home", root / "steward", *made, "--steward", "--listen", f"127.0.0.1:{steward_port}")
    addressed = ("--broker", at["broker"], "--steward-at", at["steward"])
    asking = ("--agency", "social-care", "--title", "Children's social care", "--kind", "council")
    well("accord-node", "init", "--home", root / "social-care", *made, *asking, *addressed)

    # 1. The office manager, once: what is typed, line by line. An empty line takes what is offered.
    began = time.monotonic()
    answers = ["y", "Larkspur Family Trust", "Family support manager", "01632 960700"]
    answers += ["midshire", "charity", "", "", at["broker"], at["steward"]]
    first = well("accord-node", "quickstart", "--spreadsheet", sheet, "--home", home, told="\n".join(answers) + "\n")
    spent = time.monotonic() - began

    # 2. The operator lets everybody in.
    for member in ("steward", "social-care"):
        well("accord-broker", "enrol", root / member / "request.json", "--authority", authority, "--out", sent)
    enrolled = well("accord-broker", "enrol", home / "request.json", "--authority", authority, "--out", sent)
    key = enrolled.words.rsplit("telephone:", 1)[1].split()[0]
    for member in ("steward", "social-care"):
        well("accord-node", "join", "--home", root / member, sent / f"{member}.bundle.json")
        (root / member / "directory.json").write_bytes((sent / "directory.json").read_bytes())
    well("accord-broker", "install-directory", "--home", root / "broker", sent / "directory.json")
    well("accord-broker", "policy", "build", "--home", root / "broker")
    with (root / "broker" / "broker.toml").open("a", encoding="utf-8") as settings:
        settings.write(DEADLINES)
    grow = [sys.executable, "-m", "deploy.demo.county", str(root / "records"), "--people", "30"]
    subprocess.run(grow, check=True, capture_output=True)
    with (root / "social-care" / "node.toml").open("a", encoding="utf-8") as settings:
        settings.write(f'\nmapping = "{root / "records" / "social-care" / "mapping.yaml"}"\n')
    sign_in = [sys.executable, "-m", "deploy.demo.identity_provider", "social-care", str(root / "sign-in.jwt")]
    subprocess.run(sign_in, check=True, capture_output=True, cwd=root)

    logs = {name: root / f"{name}.log" for name in ("broker", "steward", "social-care", "charity")}
    with contextlib.ExitStack() as services:
        services.enter_context(running(logs["broker"], "accord-broker", "serve", "--home", root / "broker"))
        services.enter_context(running(logs["steward"], "accord-node", "steward", "--home", root / "steward"))
        until(lambda: all(logged(logs[one], "service_started") for one in ("broker", "steward")), "broker or steward")

        # 3. The office manager, with the file that came back, and the identifier read out by telephone.
        began = time.monotonic()
        told = f"{key}\n"
        second = well("accord-node", "quickstart", "--home", home, "--bundle", sent / "charity.bundle.json", told=told)
        spent += time.monotonic() - began

        # 4. The node is started.
        for name, folder in (("charity", home), ("social-care", root / "social-care")):
            services.enter_context(running(logs[name], "accord-node", "serve", "--home", folder))
        until(lambda: all(logged(logs[one], "session_attached") for one in ("charity", "social-care")), "a node")

        def ask(person: dict[str, str]) -> Answered:
            """What the charity says of somebody, as social care sees it; their agreement is recorded first."""
            question = {"question": "agency.contact", "purpose": "early_help", "need_tier": 2, "case": "CF-1042"}
            told = root / "question.json"
            told.write_text(json.dumps(question | {"people": [person], "agencies": ["charity"]}))
            signed = ("--home", root / "social-care", "--token-file", root / "sign-in.jwt")
            recording = ("agreement", "record", *signed, told, "--question", "agency.contact", "--responder", "charity")
            well("accord-node", *recording)
            (row,) = json.loads(well("accord-node", "ask", *signed, told, "--json").out)["agencies"]
            told.unlink()
            (said,) = row["people"]
            return said["answer"], said["recency"], (said["contact"] or {}).get("phone")

        known, stranger = ask(JAMIE), ask(STRANGER)
        three_days_ago = time.time() - 3 * 86_400
        os.utime(sheet, (three_days_ago, three_days_ago))
        stale = ask(STRANGER)
        asked = json.loads(well("accord-node", "ledger", "asked", "--home", home, "--json").out)

    print(f"S15 steps=3 prompts={len(answers) + 1} seconds={spent:.0f} clients=500 seed={SEED}")
    print(first.out + second.out)
    assert ("YES", "OPEN_NOW", "01632 960700") == known
    assert (("NO", None, None), ("CANNOT_SAY", None, None)) == (stranger, stale)
    assert before == sheet.read_bytes()
    # What each party saw: names and dates are in the charity's own list, and nowhere else that anything was written.
    needles = [*identifiers(JAMIE), *identifiers(STRANGER), *(name.encode() for name in LAST)]
    parties = {"operator": (sent, authority), "broker": (root / "broker", logs["broker"])}
    parties |= {"steward": (root / "steward", logs["steward"])}
    parties |= {"social care": (root / "social-care", logs["social-care"]), "charity": (home, logs["charity"])}
    saw = {
        party: found_in(b"".join(file.read_bytes() for place in places for file in files(place)), needles)
        for party, places in parties.items()
    }
    print("S15 identifiers found: " + ", ".join(f"{party} {len(found)}" for party, found in saw.items()))
    assert {party: [] for party in parties} == saw
    assert [("social-care", "agency.contact", "early_help")] * 3 == [
        (one["agency"], one["question"], one["purpose"]) for one in asked
    ]
    assert [] == [name for name in LAST if name in first.out + first.err + second.out + second.err]
    # Control: the list itself, and what the office would read of it, do hold them.
    assert [] != found_in(" ".join(shared_strings(sheet)).encode(), needles)
