"""Start, watch, measure and stop the programs of the demonstration.

    with Processes(...) as processes:            whatever happens inside, nothing is left running
        processes.run(["accord-node", ...])      one command, to its end
        processes.run_all([...], at_once=2)      several, a few at a time
        processes.start("broker", [...], log)    a service, until stop, kill or the end of the block

* Every program is the one that stands beside this Python, so nothing of another installation is used.
* Every program has a process group of its own and is told by the kernel when this process dies, even by SIGKILL
  (PR_SET_PDEATHSIG, https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html).
* While it waits, it adds up how much memory everything takes: the proportional set size, in which a page that n
  processes share counts 1/n for each (https://www.kernel.org/doc/html/latest/filesystems/proc.html).
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, Self

BESIDE: Final = Path(sys.executable).parent
"""Where the two programs are: in the same virtual environment as this Python."""

POLL_S: Final = 0.01
MEASURE_S: Final = 0.5
"""How often memory is added up, seconds; the kernel has to walk every page table for it."""
MEANWHILE_S: Final = 0.25
"""How often progress is looked at, seconds."""
GRACE_S: Final = 6.0
"""`Processes.grace_s`, unless more is allowed. The broker gives calls under way two seconds to end, and then has
work of its own to write down."""
COMMAND_S: Final = 180.0
"""Longest time for one command, seconds, unless more is allowed."""

STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class Stopped(BaseException):
    """Somebody pressed Ctrl-C or told the demonstration to stop."""

    def __init__(self, number: int) -> None:
        """Take the number of the signal."""
        self.number = number
        super().__init__(number)


class DidNotStart(Exception):
    """A program did not come up. The message names it and shows the end of what it said."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that has ended.

    Attributes:
        code: Its exit code; negative where a signal ended it.
        out: What it printed.
        err: What it said on the side.
        ms: How long it took, start to end, milliseconds.
    """

    code: int
    out: str
    err: str
    ms: int


@dataclass(slots=True)
class _Running:
    """A command under way."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path
    since: float


@dataclass(slots=True)
class Processes:
    """Everything that this demonstration has started.

    Attributes:
        folder: Where the output of commands is kept while they run.
        environment: What every program is given as its environment.
        grace_s: How long a program may take to stop when asked, before it is killed; seconds.
        peak_pss_mib: Most memory that everything together, this process included, took at once, MiB.
        commands_at_once: Most commands that ran together, beside the services.
    """

    folder: Path
    environment: Mapping[str, str]
    grace_s: float = GRACE_S
    peak_pss_mib: float = 0.0
    commands_at_once: int = 0
    _services: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _commands: list[_Running] = field(default_factory=list)
    _measured: float = 0.0
    _number: int = 0
    _starting: bool = False
    _told: int = 0

    def __enter__(self) -> Self:
        """Take over the signals that mean stop."""
        for number in STOPPING:
            signal.signal(number, self._stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything. From now on a second Ctrl-C is ignored: it must not cut stopping and tidying up short."""
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)
        self.stop_all()

    # -- Commands -----------------------------------------------------------------------------------------------------

    def run(self, words: Sequence[str]) -> Finished:
        """Run one command to its end."""
        return self.run_all([words])[0]

    def run_all(
        self,
        commands: Sequence[Sequence[str]],
        at_once: int = 1,
        meanwhile: Callable[[], None] = lambda: None,
        within_s: float = COMMAND_S,
    ) -> list[Finished]:
        """Run several commands, a few at a time.

        Args:
            commands: Program and arguments of each.
            at_once: How many may run together.
            meanwhile: Called now and then while they run.
            within_s: Longest time for each, seconds; it is killed then.

        Returns:
            What became of each, in the order of `commands`.
        """
        ended: dict[int, Finished] = {}
        running: dict[int, _Running] = {}
        waiting = list(enumerate(commands))
        looked = 0.0
        while waiting or running:
            while waiting and len(running) < at_once:
                place, words = waiting.pop(0)
                running[place] = self._begin(words)
            for place, one in list(running.items()):
                if one.process.poll() is None and time.monotonic() - one.since > within_s:
                    _signal_group(one.process, signal.SIGKILL)
                    one.process.wait()
                if one.process.poll() is not None:
                    ended[place] = self._end(one)
                    del running[place]
            if time.monotonic() - looked >= MEANWHILE_S:
                looked = time.monotonic()
                meanwhile()
            self.pause(POLL_S)
        return [ended[place] for place in range(len(commands))]

    def _begin(self, words: Sequence[str]) -> _Running:
        self._number += 1
        out, err = self.folder / f"{self._number}.out", self.folder / f"{self._number}.err"
        with out.open("wb") as out_file, err.open("wb") as err_file:
            since = time.monotonic()
            self._starting = True
            try:
                one = _Running(self._spawn(words, out_file.fileno(), err_file.fileno()), out, err, since)
                self._commands.append(one)
                self.commands_at_once = max(self.commands_at_once, len(self._commands))
            finally:
                self._starting = False
        self._stop_if_told()
        return one

    def _end(self, one: _Running) -> Finished:
        ms = round((time.monotonic() - one.since) * 1000)
        self._commands.remove(one)
        out, err = (file.read_text("utf-8", errors="replace") for file in (one.out, one.err))
        one.out.unlink()
        one.err.unlink()
        return Finished(one.process.returncode, out, err, ms)

    # -- Services -----------------------------------------------------------------------------------------------------

    def start(self, name: str, words: Sequence[str], log: Path) -> None:
        """Start a service.

        Args:
            name: What it is called here.
            words: Program and arguments.
            log: File that takes everything it says; added to when it is there.
        """
        with log.open("ab") as file:
            self._starting = True
            try:
                self._services[name] = self._spawn(words, file.fileno(), file.fileno())
            finally:
                self._starting = False
        self._stop_if_told()

    def wait_for(self, name: str, ready: Callable[[], bool], log: Path, within_s: float = 60.0) -> None:
        """Wait until a service is ready.

        Args:
            name: The service.
            ready: Tells whether it is.
            log: Its log, shown when it is not.
            within_s: Longest wait, seconds.

        Raises:
            DidNotStart: It ended, or was not ready in time.
        """
        until = time.monotonic() + within_s
        while not ready():
            if self._services[name].poll() is not None or time.monotonic() > until:
                said = log.read_text("utf-8", errors="replace")[-2_000:]
                raise DidNotStart(f"{name} did not start. The end of its log:\n{said}")
            self.pause(POLL_S)

    def pid(self, name: str) -> int:
        """Number of a service's process."""
        return self._services[name].pid

    def kill(self, name: str) -> int:
        """End a service as a power cut would (SIGKILL), and say with which code it went."""
        process = self._services.pop(name)
        _signal_group(process, signal.SIGKILL)
        return process.wait()

    def stop(self, name: str) -> int:
        """Ask a service to stop (SIGTERM), kill it if it does not, and say with which code it went."""
        process = self._services.pop(name)
        _signal_group(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self.grace_s)
        _signal_group(process, signal.SIGKILL)
        return process.wait()

    def alive(self) -> list[str]:
        """Names of the services that are running."""
        return [name for name, process in self._services.items() if process.poll() is None]

    def pids(self) -> list[int]:
        """Numbers of everything that is running."""
        everything = [*self._services.values(), *(one.process for one in self._commands)]
        return [process.pid for process in everything if process.poll() is None]

    def stop_all(self) -> None:
        """Ask everything to stop, the newest first; kill what does not."""
        everything = [*(one.process for one in self._commands), *reversed(self._services.values())]
        for process in everything:
            _signal_group(process, signal.SIGTERM)
        until = time.monotonic() + self.grace_s
        for process in everything:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - time.monotonic()))
            _signal_group(process, signal.SIGKILL)  # also whatever it may have started itself
            process.wait()
        self._services.clear()
        self._commands.clear()

    # -- Waiting, measuring, stopping ---------------------------------------------------------------------------------

    def pause(self, seconds: float) -> None:
        """Wait a moment, and now and then add up the memory in use."""
        now = time.monotonic()
        if now - self._measured >= MEASURE_S:
            self._measured = now
            together = sum(_pss_kib(pid) for pid in (os.getpid(), *self.pids()))
            self.peak_pss_mib = max(self.peak_pss_mib, together / 1024)
        time.sleep(seconds)

    def _spawn(self, words: Sequence[str], out: int, err: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [str(BESIDE / words[0]), *words[1:]],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=dict(self.environment),
            start_new_session=True,
            preexec_fn=_end_with(os.getpid()),  # noqa: PLW1509  this process has one thread
        )

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        # Between the birth of a process and its entry in our list an exception would lose it.
        self._told = number
        if not self._starting:
            raise Stopped(number)

    def _stop_if_told(self) -> None:
        if self._told:
            raise Stopped(self._told)


def _end_with(parent: int) -> Callable[[], None] | None:
    """What a new process does first: ask to be told when its parent dies, and end if that has happened already."""
    if _LIBC is None:
        return None

    def ask() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return ask


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to a process and whatever it started; gone already is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _pss_kib(pid: int) -> int:
    """Proportional set size of a process, KiB; 0 when it is gone or the kernel does not tell."""
    try:
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
    except OSError:
        return 0
    return next((int(row.split()[1]) for row in rows if row.startswith("Pss:")), 0)
