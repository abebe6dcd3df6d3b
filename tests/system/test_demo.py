"""`make demo` tells its story with real processes, says so truthfully, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.federation import AGENCIES
from tests.shape.tree import ROOT

STEPS = (
    "refused_without_agreement",
    "answered_with_agreement",
    "unknown_family_blind",
    "node_killed_not_reached",
    "withdrawn_refused",
    "s47_without_agreement",
    "known_by_many",
    "centre_never_learned",
    "ledger_verified",
    "tamper_detected",
)
PHASES = ("found", "records", "centre", "indexes", "nodes", "story")
PSS_MIB = 1536
"""Most memory that the whole demonstration may take, MiB."""
SECONDS = 180
"""How long it should take at its usual size on two cores that do nothing else; said and not demanded."""
SMALL = ("--people", "200")
SERVICES = 2 + len(AGENCIES)
"""Broker, steward and the nodes."""


@contextmanager
def demo(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The demonstration, with its temporary folder inside `folder`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
    environment = kept | {"TMPDIR": str(folder), "ACCORD_DEMO_JSON": str(folder / "outcome.json")}
    words = [sys.executable, "-u", "-m", "deploy.demo", *arguments]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def running_in(folder: Path) -> list[str]:
    """Command lines of the processes that work in a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue  # it ended meanwhile
            if f"{folder}/accord-demo-" in words:
                found.append(words)
    return found


def read_until(process: subprocess.Popen[str], words: str) -> list[str]:
    """What it prints, up to the line that holds these words."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return lines
    raise AssertionError("".join(lines))


def wait_for_processes(folder: Path, least: int) -> list[str]:
    """Wait until at least so many processes work in a folder."""
    until = time.monotonic() + 120
    while len(running_in(folder)) < least and time.monotonic() < until:
        time.sleep(0.05)
    return running_in(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_in_the_middle_it_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """Somebody presses Ctrl-C while keys are made: no process, no folder, and a code that says so."""
    with demo(tmp_path) as process:
        before = wait_for_processes(tmp_path, 1)
        process.send_signal(number)
        code = process.wait(120)

    assert before
    assert 128 + number == code
    assert [] == running_in(tmp_path)
    assert [] == list(tmp_path.iterdir())


def test_a_word_it_does_not_know_is_refused(tmp_path: Path) -> None:
    """A misspelt option must not start anything."""
    with demo(tmp_path, "--stey") as process:
        code = process.wait(120)

    assert 2 == code
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("size", ["19", "100001", "many", "-200", ""])
def test_a_county_that_cannot_be_is_refused(tmp_path: Path, size: str) -> None:
    """Said before anything is made: twenty people at least, and no more than there are streets for."""
    with demo(tmp_path, f"--people={size}") as process:
        said = process.stdout.read() if process.stdout else ""
        code = process.wait(120)

    assert 2 == code
    assert "say a number between 20 and" in said
    assert [] == list(tmp_path.iterdir())


@pytest.mark.prove
def test_the_story_is_told_and_every_step_is_as_it_should_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """T-LNK-1, T-LNK-5, T-AUD-2: with real processes and mutual TLS, judged from outside; then nothing is left."""
    with demo(tmp_path) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        code = process.wait(120)
    outcome: dict[str, Any] = json.loads((tmp_path / "outcome.json").read_text())
    with capsys.disabled():
        print(f"\ndemo: {outcome['seconds']} s (at most {SECONDS} on two quiet cores), {outcome['peak_pss_mib']} MiB")
        print(f"  phases {outcome['phases']}, {outcome['commands_at_once']} commands at once")
        for step in outcome["steps"]:
            print(f"  {step['name']}: ok={step['ok']}, {step['seconds']} s, questions {step['question_ms']} ms")

    assert (0, True) == (code, outcome["ok"]), said
    assert list(STEPS) == [step["name"] for step in outcome["steps"]]
    assert [] == [step["name"] for step in outcome["steps"] if step["ok"] is not True]
    assert all(step["detail"] for step in outcome["steps"])
    assert set(PHASES) == set(outcome["phases"])
    assert 0 < outcome["peak_pss_mib"] <= PSS_MIB
    assert 2 == outcome["commands_at_once"]
    assert 8 == sum(len(step["question_ms"]) for step in outcome["steps"])
    assert "\x1b[" not in said
    assert [] == running_in(tmp_path)
    assert ["outcome.json"] == [one.name for one in tmp_path.iterdir()]


@pytest.mark.prove
def test_it_can_stay_and_be_asked_and_be_stopped(tmp_path: Path) -> None:
    """With --stay the lines that it prints work as they are, and Ctrl-C ends everything."""
    with demo(tmp_path, "--stay", *SMALL) as process:
        lines = read_until(process, "To stop everything")
        printed = [line.split() for line in lines if line.startswith(str(Path(sys.executable).parent))]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
        codes = [subprocess.run(words, env=kept, capture_output=True, check=False).returncode for words in printed]
        services = running_in(tmp_path)
        process.send_signal(signal.SIGINT)
        process.wait(120)

    assert [0] * 5 == codes
    assert SERVICES == len(services)
    assert [] == running_in(tmp_path)
