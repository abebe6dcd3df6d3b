"""What the README files say can be done and found here can be done and found."""

import os
import re
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from deploy.demo.federation import DEADLINES
from deploy.demo.ports import free_ports
from tests.shape.tree import ROOT, text_files

PAGES: Final = [path for path, _ in text_files() if path.suffix == ".md" and path.parts[0] != "tests"] + [
    path for path, _ in text_files() if path.name == "README.md" and path.parts[0] == "tests"
]

_BLOCK: Final = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_HERE: Final = re.compile(r"<<'(\w+)'\n.*?\n\1$", re.MULTILINE | re.DOTALL)
"""A file that a block writes out in full: none of it is a command."""

_UNTIL: Final = re.compile(r"^until (.*); do sleep \d+; done$")

_NAMED: Final = re.compile(r"`([\w.*{},-]*(?:/[\w.*{},-]*)*)`")
_ENDINGS: Final = (".py", ".md", ".proto", ".toml", ".yaml", ".json", ".rego", ".txt", ".sqlite", ".csv", ".service")

MADE_WHEN_RUN: Final = frozenset(
    {
        "directory.json",
        "police.bundle.json",
        "request.json",
        "link-prior.json",
        "link-prior.draft.json",
        "police.sqlite",
        "social_care.sqlite",
        "tenancy.csv",
        "occupants.csv",
        "contacts.csv",
        "schools.sqlite",
        "health.sqlite",
        "drug_alcohol.sqlite",
        "young_people.csv",
        "interventions.csv",
    }
)
"""Files that the programs make and the pages speak of."""


def _commands(page: Path) -> list[str]:
    """Lines of the page's shell blocks; comments and continuation lines joined away."""
    text = (ROOT / page).read_text(encoding="utf-8")

    return [
        _UNTIL.sub(r"\1", line.split(" #")[0].strip())
        for block in _BLOCK.findall(text)
        for line in _HERE.sub("", block.replace("\\\n", " ")).splitlines()
        if line.strip() and not line.startswith("#")
    ]


PLAIN: Final = ("cp", "cat", "echo", "kill", "sleep")
"""Commands of any system."""

COMMANDS: Final = [(str(page), command) for page in PAGES for command in _commands(page)]


def _make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def _is_subcommand(program: str, words: list[str]) -> bool:
    """Whether the program's own command tree has these words; options and arguments end the walk."""
    import typer

    if program == "accord-broker":
        from broker.cli import app
    else:
        from agency_node.cli import app
    command = typer.main.get_command(app)
    for word in words:
        commands = getattr(command, "commands", None)
        if commands is None or word.startswith("-"):
            return True
        if word not in commands:
            return False
        command = commands[word]
    return getattr(command, "commands", None) is None or not words


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_every_command_on_a_page_exists(page: str, command: str) -> None:
    """Somebody new copies these lines; each must name a real target, program, module or test."""
    words = shlex.split(command)
    program = Path(words[0]).name
    if program == "make":
        targets = [word for word in words[1:] if "=" not in word]

        assert set(targets) <= _make_targets(), page
    elif program in {"accord-broker", "accord-node"}:
        assert _is_subcommand(program, words[1:]), page
    elif program == "python" and words[1:2] == ["-m"]:
        module = Path(*words[2].split("."))
        files = [ROOT / module.with_suffix(".py"), ROOT / module / "__init__.py"]
        paths = [word for word in words[3:] if word.startswith(("tests", "policies", "protos"))]

        assert words[2] in {"pytest", "venv", "pip"} or any(file.exists() for file in files), page
        assert [] == [path for path in paths if not (ROOT / path).exists()], page
    else:
        assert program in {"git", "cd", "mypy", "ruff", "lint-imports", "opa", *PLAIN}, page


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_file_a_page_names_exists(page: Path) -> None:
    """A page that names a file long gone sends people looking for what is not there."""
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    missing = []
    for name in _NAMED.findall(text):
        looks_like_a_file = name.endswith(_ENDINGS) or (name.endswith("/") and len(name) > 1)
        if not looks_like_a_file or name in MADE_WHEN_RUN or "{" in name:
            continue
        places = [ROOT, (ROOT / page).parent, ROOT / "protos"]
        if not any(any(place.glob(name.rstrip("/"))) for place in places):
            missing.append(name)

    assert [] == missing


def test_there_are_pages_and_commands_to_check() -> None:
    """Control: an empty list would pass everything above."""
    assert len(PAGES) >= 5
    assert len(COMMANDS) >= 5


# -- What README.md says to do by hand, done ---------------------------------------------------------------------------


def _by_hand() -> tuple[str, str]:
    """The blocks of README.md that found a federation, and those that go on from there with running processes."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition("\n## Found a federation by hand\n")[2].partition("\n## ")[0]
    blocks = _BLOCK.findall(section)
    running = [" serve " in block for block in blocks].index(True)

    return "".join(blocks[:running]), "".join(blocks[running:])


def _run(folder: Path, script: str, limit_s: float) -> str:
    """Run the lines as a person would, one after the other until one fails; nothing that they start stays.

    Returns:
        What they said.
    """
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("ACCORD_")}
    kept |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}", "COLUMNS": "110"}
    heard = folder / "heard.log"
    with heard.open("wb") as sink:
        process = subprocess.Popen(
            ["bash", "-exuo", "pipefail", "-c", script],
            cwd=folder,
            env=kept,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(limit_s)
        finally:
            # The group has the number of its first process, and is still there as long as anything of it is.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    said = heard.read_text("utf-8", errors="replace")

    assert code == 0, said
    return said


def _on_a_busy_machine(folder: Path) -> None:
    """Tests run beside whatever else uses this machine, and the ports that the programs choose by themselves."""
    broker, steward = free_ports(2)
    ports = {"7443": str(broker), "7444": str(steward)}
    for settings in folder.glob("*/*.toml"):
        text = settings.read_text("utf-8")
        settings.write_text(re.sub(r":(7443|7444)\b", lambda found: f":{ports[found[1]]}", text), "utf-8")
    with (folder / "broker" / "broker.toml").open("a", encoding="utf-8") as told:
        told.write(DEADLINES)


def test_a_federation_can_be_founded_as_the_page_says(tmp_path: Path) -> None:
    """The first thing that somebody does with Accord by hand must not fail."""
    said = _run(tmp_path, _by_hand()[0], 600)

    assert "spiffe://midshire/agency/police is in" in said
    assert "The mapping fits" in said
    assert (tmp_path / "broker" / "policy.tar.gz").stat().st_size > 0


@pytest.mark.prove
def test_a_question_can_be_asked_as_the_page_says(tmp_path: Path) -> None:
    """From empty folder to checked proof with nothing but what the page says."""
    founding, running = _by_hand()
    _run(tmp_path, founding, 600)
    _on_a_busy_machine(tmp_path)
    said = _run(tmp_path, running, 900)

    assert "1 of 1 agency answered" in said
    assert "the proof was checked here" in said
    assert said.count("The ledger holds") == 2


def test_a_line_that_fails_is_found(tmp_path: Path) -> None:
    """Control: a script that went on after a failure would show nothing."""
    with pytest.raises(AssertionError):
        _run(tmp_path, "accord-node join --home nobody nothing.json\necho on\n", 300)
