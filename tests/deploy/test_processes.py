"""Whatever happens to the demonstration, nothing that it started is left running."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.demo.processes import STOPPING, DidNotStart, Processes

SLEEPS = ["python", "-c", "import time; time.sleep(600)"]
STUBBORN = [
    "python",
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)",
]
STARTS_ANOTHER = [
    "python",
    "-c",
    "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid,"
    " flush=True); import time; time.sleep(600)",
]
OWNER = """
import sys, time
from pathlib import Path
from deploy.demo.processes import Processes, Stopped
folder = Path(sys.argv[1])
try:
    with Processes(folder, {}) as processes:
        processes.start("one", ["python", "-c", "import time; time.sleep(600)"], folder / "one.log")
        print(processes.pid("one"), flush=True)
        processes.run(["python", "-c", "import time; time.sleep(600)"])
except Stopped as stopped:
    sys.exit(128 + stopped.number)
"""


def gone(pid: int) -> bool:
    """Whether a process has ended; one that waits to be collected has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def soon(true: Callable[[], bool]) -> bool:
    """Whether it becomes true within a minute."""
    until = time.monotonic() + 60
    while not true() and time.monotonic() < until:
        time.sleep(0.02)
    return true()


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in STOPPING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has started a service and runs a command."""
    words = [sys.executable, "-c", OWNER, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        yield process
        process.kill()


def children(pid: int) -> list[int]:
    """Everything that a process has started and not yet collected."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_command_gives_its_output_and_its_code(tmp_path: Path) -> None:
    """What a command said on each side, and how it ended."""
    words = ["python", "-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"]
    with Processes(tmp_path, {}) as processes:
        ended = processes.run(words)

    assert (3, "out\n", "err\n") == (ended.code, ended.out, ended.err)
    assert [] == list(tmp_path.iterdir())


def test_commands_run_a_few_at_a_time_and_come_back_in_order(tmp_path: Path) -> None:
    """Two at once, whichever ends first."""
    running: list[int] = []
    commands = [["python", "-c", f"import time; time.sleep({pause}); print({pause})"] for pause in (0.4, 0.1, 0.2)]
    with Processes(tmp_path, {}) as processes:
        ended = processes.run_all(commands, at_once=2, meanwhile=lambda: running.append(len(processes.pids())))

    assert ["0.4\n", "0.1\n", "0.2\n"] == [one.out for one in ended]
    assert 2 == max(running)
    assert 2 == processes.commands_at_once


def test_a_command_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    """One that hangs must not hold up the others, and an ended one is no failure of theirs."""
    commands = [["python", "-c", f"import time; time.sleep({pause})"] for pause in (60, 0)]
    with Processes(tmp_path, {}) as processes:
        ended = processes.run_all(commands, at_once=2, within_s=4.0)

    assert [-9, 0] == [one.code for one in ended]


def test_programs_are_given_only_the_environment_that_is_meant_for_them(tmp_path: Path) -> None:
    """A name beginning with ACCORD_ would be taken for a setting and refused."""
    words = ["python", "-c", "import os; print(sorted(name for name in os.environ if name != 'LC_CTYPE'))"]
    with Processes(tmp_path, {"COLUMNS": "80"}) as processes:
        ended = processes.run(words)

    assert "['COLUMNS']\n" == ended.out


def test_leaving_the_block_stops_services_even_deaf_ones(tmp_path: Path) -> None:
    """Asked first, then killed."""
    with Processes(tmp_path, {}, grace_s=1.0) as processes:
        processes.start("sleeps", SLEEPS, tmp_path / "sleeps.log")
        processes.start("deaf", STUBBORN, tmp_path / "deaf.log")
        log = tmp_path / "deaf.log"
        processes.wait_for("deaf", lambda: "deaf" in log.read_text(), log)
        pids = processes.pids()

    assert 2 == len(pids)
    assert all(gone(pid) for pid in pids)


def test_what_a_service_has_started_goes_with_it(tmp_path: Path) -> None:
    """A whole process group is stopped, not only its first process."""
    log = tmp_path / "log"
    with Processes(tmp_path, {}) as processes:
        processes.start("parent", STARTS_ANOTHER, log)
        processes.wait_for("parent", lambda: log.read_text().strip().isdigit(), log)
        grandchild = int(log.read_text())
        before = gone(grandchild)

    assert not before
    assert soon(lambda: gone(grandchild))


def test_a_service_that_ends_at_once_is_reported_with_what_it_said(tmp_path: Path) -> None:
    """Waiting for it would only hide why."""
    log = tmp_path / "log"
    with Processes(tmp_path, {}) as processes:
        processes.start("broken", ["python", "-c", "raise SystemExit('no such key')"], log)
        with pytest.raises(DidNotStart, match="no such key"):
            processes.wait_for("broken", lambda: False, log)


def test_a_killed_service_had_no_time_to_do_anything(tmp_path: Path) -> None:
    """The kernel says that it was SIGKILL."""
    with Processes(tmp_path, {}) as processes:
        processes.start("sleeps", SLEEPS, tmp_path / "log")

        assert -signal.SIGKILL == processes.kill("sleeps")
        assert [] == processes.alive()


def test_memory_in_use_is_added_up(tmp_path: Path) -> None:
    """A process that holds 64 MiB more makes the sum larger by about that."""
    with Processes(tmp_path, {}) as processes:
        processes.pause(0)
        alone = processes.peak_pss_mib
        processes.run(["python", "-c", "held = bytearray(b'x') * (64 << 20); import time; time.sleep(2)"])

    assert alone > 5
    assert 60 < processes.peak_pss_mib - alone < 120


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_stops_everything(owner: subprocess.Popen[str], number: signal.Signals) -> None:
    """Ctrl-C, kill, or the terminal closing: services and the command under way go too."""
    assert owner.stdout is not None
    service = int(owner.stdout.readline())
    assert soon(lambda: len(children(owner.pid)) == 2)
    started = children(owner.pid)
    owner.send_signal(number)

    assert 128 + number == owner.wait(60)
    assert service in started
    assert all(gone(pid) for pid in started)


def test_even_a_killed_demonstration_leaves_nothing(owner: subprocess.Popen[str]) -> None:
    """It cannot tidy up after SIGKILL; the kernel tells what it started."""
    assert owner.stdout is not None
    owner.stdout.readline()
    assert soon(lambda: len(children(owner.pid)) == 2)
    started = children(owner.pid)
    owner.kill()
    owner.wait(60)

    assert soon(lambda: all(gone(pid) for pid in started))


def test_a_second_signal_does_not_cut_stopping_short(owner: subprocess.Popen[str]) -> None:
    """Somebody presses Ctrl-C again and again."""
    assert owner.stdout is not None
    owner.stdout.readline()
    assert soon(lambda: len(children(owner.pid)) == 2)
    started = children(owner.pid)
    for _ in range(20):
        owner.send_signal(signal.SIGINT)

    assert 128 + signal.SIGINT == owner.wait(60)
    assert all(gone(pid) for pid in started)
