"""The wheel alone, with nothing but the pinned packages beside it: founds a federation and answers a question.

No checkout is on the path, and none of the tools that tests need: what only they would bring along is missed here.
"""

import json
import re
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from importlib import metadata
from pathlib import Path
from typing import Final

import pytest

from deploy.demo.federation import DEADLINES
from deploy.demo.identity_provider import IdentityProvider
from deploy.demo.ports import free_ports

pytestmark = pytest.mark.prove

ROOT: Final = Path(__file__).parents[2]
START_S: Final = 120.0
CHILD: Final = {
    "first_name": "Jamie",
    "last_name": "Thorley",
    "date_of_birth": "9/3/2013",
    "address": "Flat 3, 14 Larkspur Rise",
    "postcode": "MD4 7QT",
    "role": "child",
}
QUESTION: Final = {
    "question": "agency.contact",
    "purpose": "s47_enquiry",
    "case": "CF-1",
    "need_tier": 4,
    "significant_harm": True,
    "necessity": "assess_risk",
    "agencies": ["police"],
    "people": [CHILD],
}
MAPPING: Final = """
version: 1
agency: police
source: {kind: sqlite, database_file: records.sqlite}
people: SELECT id, forename AS first_name, surname AS last_name, born AS date_of_birth, postcode FROM nominal
answers:
  agency.contact:
    sql: >
      SELECT max(on_day) AS latest, count(*) AS count FROM visit
      WHERE nominal IN (:person_ids) AND on_day >= :since
contacts:
  default: {team: Public protection, role: Duty officer, phone: 01632 960104}
"""
MEMBERS: Final = {
    "police": (
        *("--title", "Midshire Police", "--kind", "police"),
        *("--character", "competent_authority", "--character", "mappa_responsible"),
        *("--character", "relevant_authority", "--character", "s11_body", "--character", "safeguarding_partner"),
    ),
    "social-care": (
        *("--title", "Midshire children's social care", "--kind", "children_services"),
        *("--character", "local_authority", "--character", "s11_body", "--character", "safeguarding_partner"),
    ),
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built of this checkout without fetching anything."""
    folder = tmp_path_factory.mktemp("wheel")
    words = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", *words, str(ROOT)], check=True, timeout=900)
    return next(folder.glob("*.whl"))


def test_the_wheel_carries_what_is_not_code(wheel: Path) -> None:
    """Rules, contract, known answers, tables and types travel with the programs; tests and demonstration do not."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())

    def carried(folder: str, pattern: str, to: str) -> list[str]:
        found = sorted((ROOT / folder).glob(pattern))
        assert found
        return [name for path in found if (name := f"{to}/{path.relative_to(ROOT / folder)}") not in names]

    assert [] == carried("policies", "**/*.rego", "broker/starter_policies")
    assert [] == carried("policies", "data/**/*.yaml", "broker/starter_policies")
    assert [] == carried("policies", "schemas/*.json", "broker/starter_policies")
    assert [] == carried("protos/accord", "v1/*.proto", "accord")
    assert [] == carried("protos/vectors", "*.json", "accord/vectors")
    assert [] == carried("broker", "store/migrations/**/*.py", "broker")
    assert [] == carried("agency_node", "store/migrations/**/*.py", "agency_node")
    assert {"agency_node/link_prior.json", "accord/py.typed", "broker/py.typed", "agency_node/py.typed"} <= names
    assert {"accord", "agency_node", "broker"} == {name.split("/")[0] for name in names if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment of the wheel and of what .ci/requirements.lock pins: the folder of its programs."""
    root = tmp_path_factory.mktemp("installed")
    libraries = root / "libraries"
    libraries.mkdir()
    lock = (ROOT / ".ci" / "requirements.lock").read_text(encoding="utf-8")
    for name, marker in re.findall(r"^([a-z0-9._-]+)==[^ ]+(?: ;([^\\]*))? \\$", lock, re.M):
        try:
            files = metadata.distribution(name).files or []
        except metadata.PackageNotFoundError:
            assert marker, f"{name} is pinned and not installed"
            continue
        for path in files:
            top, here = libraries / path.parts[0], path.locate()
            if path.parts[0] != ".." and not top.exists() and not path.parts[0].endswith(".pth"):
                top.symlink_to(Path(str(here)).parents[len(path.parts) - 2] if len(path.parts) > 1 else Path(str(here)))
    environment = root / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True, timeout=600)
    python = environment / "bin" / "python"
    site = next((environment / "lib").glob("python*/site-packages"))
    (site / "libraries.pth").write_text(f"{libraries}\n")
    words = ["--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, timeout=900)
    return environment / "bin"


class Wheel:
    """The installed programs, in an empty folder."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs = programs
        self.folder = folder
        self.environment = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(folder), "NO_COLOR": "1"}
        self.running = ExitStack()

    def run(self, *words: str) -> str:
        """Run a program to its end; what it printed."""
        ran = subprocess.run(
            [str(self.programs / words[0]), *words[1:]],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert ran.returncode == 0, (words, ran.stdout, ran.stderr)
        return ran.stdout

    def start(self, event: str, *words: str) -> None:
        """Start a service, and wait till it has logged an event."""
        log = self.folder / f"{words[1]}-{words[-1].replace('/', '-')}.log"
        with log.open("w") as file:
            process = subprocess.Popen(
                [str(self.programs / words[0]), *words[1:]],
                cwd=self.folder,
                env=self.environment,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self.running.callback(process.wait, 60)
        self.running.callback(process.terminate)
        until = time.monotonic() + START_S
        while f'"event.action": "{event}"' not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)


@pytest.fixture
def installed(programs: Path, tmp_path: Path) -> Iterator[Wheel]:
    """The installed programs; whatever they started is stopped."""
    made = Wheel(programs, tmp_path)
    with made.running:
        yield made


def test_the_checkout_is_not_what_is_tested(installed: Wheel) -> None:
    """Control: the modules come from the wheel, and the tools of tests are not there."""
    code = "import accord, broker, agency_node; print(accord.__file__, broker.__file__, agency_node.__file__)"
    places = installed.run("python", "-c", code).split()
    missing = (
        "import importlib.util as u; print([n for n in ('click', 'pytest', 'hypothesis', 'tests') if u.find_spec(n)])"
    )

    assert all(str(installed.programs.parent) in place for place in places)
    assert "[]" == installed.run("python", "-c", missing).strip()


def test_an_installed_wheel_founds_a_federation_and_answers_a_question(installed: Wheel) -> None:
    """From an empty folder to a checked answer with the two programs alone, every process real."""
    began = time.monotonic()
    run, folder = installed.run, installed.folder
    broker, steward = free_ports(2)
    run(
        "accord-broker",
        "init",
        "--home",
        "broker",
        "--authority",
        "authority",
        "--federation",
        "midshire",
        "--listen",
        f"127.0.0.1:{broker}",
    )
    run(
        "accord-node",
        "init",
        "--home",
        "steward",
        "--federation",
        "midshire",
        "--steward",
        "--listen",
        f"127.0.0.1:{steward}",
    )

    def enrol(member: str) -> None:
        run("accord-broker", "enrol", f"{member}/request.json", "--authority", "authority", "--out", "out")

    enrol("steward")
    for agency, words in MEMBERS.items():
        run(
            "accord-node",
            "init",
            "--home",
            agency,
            "--federation",
            "midshire",
            "--agency",
            agency,
            *words,
            "--broker",
            f"localhost:{broker}",
            "--steward-at",
            f"localhost:{steward}",
        )
        enrol(agency)
    # Everybody's second answer brings the directory in which all are listed.
    for member in (*MEMBERS, "steward"):
        enrol(member)
        run("accord-node", "join", "--home", member, f"out/{member}.bundle.json")
    run("accord-broker", "install-directory", "--home", "broker", "out/directory.json")
    run("accord-broker", "policy", "build", "--home", "broker")
    provider = IdentityProvider.make("https://login.social-care.example", "social-care")
    (folder / "social-care" / "jwks.json").write_bytes(provider.jwks())
    with (folder / "social-care" / "node.toml").open("a") as settings:
        settings.write(provider.settings("jwks.json"))
    (folder / "token").write_text(provider.token("worker-1", "practitioner", now_s=int(time.time())))
    with (folder / "broker" / "broker.toml").open("a") as settings:
        settings.write(DEADLINES)
    (folder / "police" / "mapping.yaml").write_text(MAPPING)
    with closing(sqlite3.connect(folder / "police" / "records.sqlite")) as connection, connection:
        connection.execute("CREATE TABLE nominal (id INTEGER, forename TEXT, surname TEXT, born TEXT, postcode TEXT)")
        connection.execute("CREATE TABLE visit (nominal INTEGER, on_day TEXT)")
        connection.execute("INSERT INTO nominal VALUES (7, 'Jamie', 'Thorley', '2013-03-09', 'MD4 7QT')")
        connection.execute("INSERT INTO visit VALUES (7, date('now', '-20 days'))")
    (folder / "social-care" / "mapping.yaml").write_text(MAPPING.replace("police", "social-care"))
    (folder / "social-care" / "records.sqlite").write_bytes((folder / "police" / "records.sqlite").read_bytes())
    installed.start("service_started", "accord-broker", "serve", "--home", "broker")
    installed.start("service_started", "accord-node", "steward", "--home", "steward")
    for agency in MEMBERS:
        run("accord-node", "mapping", "check", "--home", agency)
        run("accord-node", "index", "--home", agency)
        installed.start("session_attached", "accord-node", "serve", "--home", agency)
    founded_s = time.monotonic() - began
    (folder / "question.json").write_text(json.dumps(QUESTION))

    asked = time.monotonic()
    said = json.loads(
        run("accord-node", "ask", "--home", "social-care", "--token-file", "token", "--json", "question.json")
    )
    asked_s = time.monotonic() - asked

    row = said["agencies"][0]
    assert ({"asked": 1, "answered": 1}, "police") == (said["coverage"], row["agency"])
    assert ("YES", "WITHIN_3M") == (row["people"][0]["answer"], row["people"][0]["recency"])
    assert "Public protection" == row["people"][0]["contact"]["team"]
    for home in MEMBERS:
        checks = json.loads(run("accord-node", "doctor", "--home", home, "--json"))["checks"]
        assert {"ok"} == {check["state"] for check in checks}
    assert json.loads(run("accord-broker", "doctor", "--home", "broker", "--json"))["ok"]
    print(f"wheel: founded_s={founded_s:.1f} asked_s={asked_s:.1f}")
