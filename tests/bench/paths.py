"""What a question costs from asker to asker: two floors and the whole path, window by window beside each other.

A window is a number of questions, made ready beforehand, that so many callers ask one after the other. F, R, the whole
path and F again take turns until the time is up, so that whatever else the machine does meets them alike. What is
reported are ratios within one run; a run counts only where the two Fs lie within `FAIR` of each other.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from rich.table import Table

from accord.v1 import broker_pb2, common_pb2
from tests.bench.federation import Federation, stub

FAIR: Final = (0.9, 1.1)
"""Between these, F against itself, for a run to count."""
WINDOW: Final = {1: 12, 16: 64, 64: 128}
"""Callers -> questions in a window."""
FLOOR_TIMES: Final = 3
"""A window of F has so many times as many questions: they are short, and the check of F against itself needs them."""
AGAIN: Final = "F again"


@dataclass(slots=True)
class Taken:
    """What the windows of one path took.

    Attributes:
        latencies_s: Of each question, seconds.
        seconds: Of all windows together.
        cpu_s: Part of the path -> processor time, seconds.
    """

    latencies_s: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cpu_s: dict[str, float] = field(default_factory=dict)

    def p(self, share: float) -> float:
        """What this share of the questions took no longer than, milliseconds."""
        ordered = sorted(self.latencies_s)
        return 1_000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    @property
    def per_s(self) -> float:
        """Questions per second."""
        return len(self.latencies_s) / self.seconds


@dataclass(frozen=True, slots=True)
class Compared:
    """One way of asking, with so many agencies and callers.

    Attributes:
        path: F, R or Full.
        agencies: How many agencies each question goes to.
        callers: How many ask at once.
        questions: How many were asked.
        p50_ms: Half took no longer.
        p99_ms: 99 of 100 took no longer.
        per_s: Questions per second.
        cpu_ms: Part of the path -> processor time for a question, milliseconds.
        of_f: p50 and throughput against F.
        of_r: p50, throughput and p99 against R; empty for the floors.
        fair: p50 and throughput of F against F again.
        counts: Whether both are within `FAIR`.
    """

    path: str
    agencies: int
    callers: int
    questions: int
    p50_ms: float
    p99_ms: float
    per_s: float
    cpu_ms: dict[str, float]
    of_f: tuple[float, float]
    of_r: tuple[float, ...]
    fair: tuple[float, float]
    counts: bool

    def row(self) -> dict[str, Any]:
        """As kept."""
        return asdict(self)


class NotAnswered(Exception):
    """A question was not answered by everybody: the figures would mean nothing."""


async def window(ask: Any, requests: Sequence[broker_pb2.AskRequest], callers: int, taken: Taken) -> None:
    """Ask all of these, so many at a time."""
    coming = iter(requests)
    responses: list[broker_pb2.AskResponse] = []

    async def caller() -> None:
        for request in coming:
            began = time.perf_counter()
            response = await ask(request)
            taken.latencies_s.append(time.perf_counter() - began)
            responses.append(response)

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    taken.seconds += time.perf_counter() - began
    for response in responses:
        if any(row.delivery != common_pb2.DELIVERY_ANSWERED for row in response.rows):
            raise NotAnswered(f"{len(response.rows)} agencies, not all of which answered")


async def measure(here: Federation, agencies: int, callers: int, seconds: float) -> list[Compared]:
    """Let F, every other path and F again take turns.

    Args:
        here: What is running.
        agencies: How many agencies each question goes to.
        callers: How many ask at once.
        seconds: About how long, making questions ready included; every path has at least two windows.
    """
    addressed = here.agencies[:agencies]
    turns = [(name, here.paths[name]) for name in here.paths] + [(AGAIN, here.paths["F"])]
    asking = {name: stub(here.channel(path)) for name, path in turns}
    found = {name: Taken() for name, _ in turns}
    until = time.monotonic() + seconds
    rounds = 0
    # The first round opens connections and warms caches; it does not count.
    while rounds < 3 or time.monotonic() < until:
        for name, path in turns if rounds % 2 else turns[::-1]:
            number = WINDOW[callers] * (FLOOR_TIMES if path.name == "F" else 1)
            requests = await here.asking.requests(number if rounds else callers, addressed, path.warranted)
            before = {part: here.cpu_s(names) for part, names in path.processes.items()}
            taken = found[name] if rounds else Taken()
            await window(asking[name], requests, callers, taken)
            for part, names in path.processes.items():
                taken.cpu_s[part] = taken.cpu_s.get(part, 0.0) + here.cpu_s(names) - before[part]
        rounds += 1
    f, again = found["F"], found[AGAIN]
    fair = f.p(0.5) / again.p(0.5), f.per_s / again.per_s
    counts = all(FAIR[0] <= one <= FAIR[1] for one in fair)
    floor = Taken(f.latencies_s + again.latencies_s, f.seconds + again.seconds)
    for part in f.cpu_s:
        floor.cpu_s[part] = f.cpu_s[part] + again.cpu_s[part]
    r = found["R"]
    return [
        Compared(
            path=name,
            agencies=agencies,
            callers=callers,
            questions=len(one.latencies_s),
            p50_ms=one.p(0.5),
            p99_ms=one.p(0.99),
            per_s=one.per_s,
            cpu_ms={part: 1_000 * cpu / len(one.latencies_s) for part, cpu in one.cpu_s.items()},
            of_f=(one.p(0.5) / floor.p(0.5), one.per_s / floor.per_s),
            of_r=() if name in {"F", "R"} else (one.p(0.5) / r.p(0.5), one.per_s / r.per_s, one.p(0.99) / r.p(0.99)),
            fair=fair,
            counts=counts,
        )
        for name, one in {**found, "F": floor}.items()
        if name != AGAIN
    ]


def table(found: Sequence[Compared]) -> Table:
    """The figures, a path a line."""
    rows = Table(box=None, pad_edge=False)
    for heading in (
        *("Agencies", "Callers", "Path", "Questions", "p50", "p99", "a second"),
        *("p50/F", "a second/F", "p50/R", "a second/R", "p99/R", "CPU of a question", "F/F", "Counts"),
    ):
        rows.add_column(heading, justify="left" if heading in {"Path", "CPU of a question"} else "right")
    for one in found:
        of_r = [f"{ratio:.2f}" for ratio in one.of_r] or ["", "", ""]
        cpu = ", ".join(f"{part} {ms:.1f} ms" for part, ms in one.cpu_ms.items())
        rows.add_row(
            *(str(one.agencies), str(one.callers), one.path, str(one.questions)),
            *(f"{one.p50_ms:.1f} ms", f"{one.p99_ms:.1f} ms", f"{one.per_s:.0f}"),
            *(f"{ratio:.2f}" for ratio in one.of_f),
            *(*of_r, cpu, f"{one.fair[0]:.2f} {one.fair[1]:.2f}", "yes" if one.counts else "NO"),
        )
    return rows


def judged(found: Sequence[Compared]) -> Iterator[tuple[str, float, str, bool]]:
    """Each figure to reach, what was measured, the bound, and whether it is kept."""
    bounds = (
        ("what the broker adds, p50, 5 agencies, 1 caller: Full/R", 1, "of_r", 0, "<=", 1.35),
        ("the same, questions a second, 16 callers: Full/R", 16, "of_r", 1, ">=", 0.75),
        ("the same, p99, 16 callers: Full/R", 16, "of_r", 2, "<=", 1.6),
        ("everything, p50, 5 agencies, 1 caller: Full/F", 1, "of_f", 0, "<=", 2.5),
        ("everything, questions a second, 16 callers: Full/F", 16, "of_f", 1, ">=", 0.5),
    )
    for what, callers, against, place, sign, bound in bounds:
        for one in found:
            if one.agencies == 5 and one.callers == callers and one.path not in {"F", "R"}:
                ratio = getattr(one, against)[place]
                kept = ratio <= bound if sign == "<=" else ratio >= bound
                yield f"{what} ({one.path})" if one.path != "Full" else what, ratio, f"{sign} {bound}", kept
