"""What the README files say can be done and found here can be done and found."""

import re
import shlex
from pathlib import Path
from typing import Final

import pytest

from tests.shape.tree import ROOT, text_files

PAGES: Final = [path for path, _ in text_files() if path.suffix == ".md" and path.parts[0] != "tests"] + [
    path for path, _ in text_files() if path.name == "README.md" and path.parts[0] == "tests"
]

_BLOCK: Final = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_NAMED: Final = re.compile(r"`([\w.*{},-]*(?:/[\w.*{},-]*)*)`")
_ENDINGS: Final = (".py", ".md", ".proto", ".toml", ".yaml", ".json", ".rego", ".txt", ".sqlite", ".csv", ".service")

MADE_WHEN_RUN: Final = frozenset(
    {
        "directory.json",
        "police.sqlite",
        "social_care.sqlite",
        "tenancy.csv",
        "occupants.csv",
        "contacts.csv",
    }
)
"""Files that the programs make and the pages speak of."""


def _commands(page: Path) -> list[str]:
    """Lines of the page's shell blocks; comments and continuation lines joined away."""
    text = (ROOT / page).read_text(encoding="utf-8")

    return [
        line.split(" #")[0].strip()
        for block in _BLOCK.findall(text)
        for line in block.replace("\\\n", " ").splitlines()
        if line.strip() and not line.startswith("#")
    ]


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
        assert program in {"git", "cd", "mypy", "ruff", "lint-imports"}, page


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
