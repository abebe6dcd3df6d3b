"""The embedded engine: Rego inside this process, on a thread of its own.

    decide -> bounded queue -> evaluator thread -> result, back on the event loop

* An engine object belongs to the thread that made it, so it is made, used and dropped there.
* The class used is `regorus.Engine`. The package's faster virtual machine allowed malformed inputs that Open Policy
  Agent refuses, and is never used.
* `eval_query_as_json` tells undefined from a text; `eval_rule_as_json` does not, and is never used.
* The engine can panic, which arrives as a BaseException. After any failure the engine is made anew.
* A full queue refuses at once, and a late answer is thrown away: overload sheds, and never opens (T-POL-5).
"""

import asyncio
import json
import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

import regorus

from accord.bundle import Bundle
from broker.engines import Evaluation, PolicyError, PolicyLate, PolicyUnavailable, PolicyUndefined

NAME: Final = f"regorus {version('gordon-to-regorus')}"

TIMEOUT_S: Final = 1.0
"""Longest wait for a decision, seconds; one usually takes about a thousandth of that."""

WAITING_MAX: Final = 256
"""Most decisions waiting; the next one is refused at once."""


@dataclass(frozen=True, slots=True)
class _Job:
    """One decision asked for, and where its outcome goes."""

    query: str
    document: str
    loop: asyncio.AbstractEventLoop
    outcome: "asyncio.Future[tuple[str, int]]"


class Regorus:
    """Evaluates one bundle on one thread."""

    def __init__(self, bundle: Bundle, *, timeout_s: float = TIMEOUT_S, waiting_max: int = WAITING_MAX) -> None:
        """Load the bundle's rules and data and start the thread.

        Args:
            bundle: A checked bundle.
            timeout_s: Longest wait for a decision, seconds.
            waiting_max: Most decisions waiting.

        Raises:
            PolicyError: The rules cannot be loaded.
        """
        self._rules = {path: text.decode() for path, text in sorted(bundle.files.items()) if path.endswith(".rego")}
        self._data = json.dumps(data_of(bundle.files))
        self._revision = bundle.revision
        self._timeout_s = timeout_s
        self._jobs: queue.Queue[_Job | None] = queue.Queue(waiting_max)
        self._closed = False
        started: queue.Queue[str] = queue.Queue()
        self._thread = threading.Thread(target=self._run, args=(started,), name="policy", daemon=True)
        self._thread.start()
        fault = started.get()
        if fault:
            raise PolicyError(fault)

    async def decide(self, entrypoint: str, document: bytes) -> Evaluation:
        """See Engine."""
        if self._closed:
            raise PolicyUnavailable("the engine is closed")
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[tuple[str, int]] = loop.create_future()
        try:
            self._jobs.put_nowait(_Job(f"data.{entrypoint}", document.decode(), loop, outcome))
        except queue.Full as error:
            raise PolicyUnavailable("too many decisions are waiting") from error
        try:
            # Not wait_for: before Python 3.12 it forgets that it was cancelled when the outcome has just come, and a
            # program told to stop would go on (https://github.com/python/cpython/issues/86296).
            async with asyncio.timeout(self._timeout_s):
                text, elapsed_us = await outcome
        except TimeoutError as error:
            raise PolicyLate("the engine did not answer in time") from error
        return Evaluation(_result(text), self._revision, NAME, elapsed_us)

    def close(self) -> None:
        """See Engine."""
        if not self._closed:
            self._closed = True
            try:
                self._jobs.put_nowait(None)
            except queue.Full:
                # The thread sees the flag once it has taken the next job.
                return

    def _run(self, started: "queue.Queue[str]") -> None:
        engine = None
        try:
            engine = _engine(self._rules, self._data)
            started.put("")
        except BaseException as error:  # noqa: BLE001 - a panic of the engine is a BaseException
            started.put(f"the rules cannot be loaded: {_first_part(error)}")
            return
        while not self._closed:
            job = self._jobs.get()
            if job is None:
                break
            if job.outcome.cancelled():
                continue
            begun = time.perf_counter_ns()
            try:
                if engine is None:
                    engine = _engine(self._rules, self._data)
                engine.set_input_json(job.document)
                text = engine.eval_query_as_json(job.query)
            except BaseException as error:  # noqa: BLE001 - a panic of the engine is a BaseException
                engine = None
                _tell(job, PolicyError(f"the evaluation failed: {type(error).__name__}"))
                continue
            _tell(job, (text, (time.perf_counter_ns() - begun) // 1_000))
        # Dropped on the thread that made it.
        del engine


def _tell(job: _Job, outcome: tuple[str, int] | PolicyError) -> None:
    def settle() -> None:
        if job.outcome.done():
            return
        if isinstance(outcome, PolicyError):
            job.outcome.set_exception(outcome)
        else:
            job.outcome.set_result(outcome)

    try:
        job.loop.call_soon_threadsafe(settle)
    except RuntimeError:
        # The event loop has ended; nobody waits for this decision any more.
        return


def _engine(rules: Mapping[str, str], data: str) -> "regorus.Engine":
    engine = regorus.Engine()
    for path, text in rules.items():
        engine.add_policy(path, text)
    engine.add_data_json(data)
    return engine


def _result(text: str) -> Mapping[str, Any]:
    """The one value in the engine's answer to a query.

    Raises:
        PolicyUndefined: There is none.
        PolicyError: It is no object.
    """
    try:
        answer = json.loads(text, parse_float=_whole)
    except ValueError as error:
        raise PolicyError("the engine's answer is not JSON of whole numbers") from error
    rows = answer.get("result") if isinstance(answer, dict) else None
    if not rows:
        raise PolicyUndefined("the rules gave no decision")
    try:
        (row,) = rows
        (expression,) = row["expressions"]
        value = expression["value"]
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise PolicyError("the engine's answer is not of the agreed form") from error
    if not isinstance(value, dict):
        raise PolicyError("the decision is no object")
    return value


def _whole(found: str) -> Any:
    raise ValueError(f"{found} is not a whole number")


def data_of(files: Mapping[str, bytes]) -> dict[str, Any]:
    """The data of a bundle as one document: each data.json under the path of its directory."""
    root: dict[str, Any] = {}
    for path, content in sorted(files.items()):
        folder, _, name = path.rpartition("/")
        if name != "data.json":
            continue
        place = root
        for step in folder.split("/"):
            place = place.setdefault(step, {})
        place.update(json.loads(content))
    return root


def syntax_tree(file: str, text: str) -> Mapping[str, Any]:
    """The syntax tree of a rule file as the engine has it.

    Raises:
        ValueError: It is not Rego; the message says at which line.
    """
    engine = regorus.Engine()
    try:
        engine.add_policy(file, text)
        (one,) = json.loads(engine.get_ast_as_json())
    except RuntimeError as error:
        raise ValueError(_first_part(error)) from error
    tree: Mapping[str, Any] = one["ast"]
    return tree


def _first_part(error: BaseException) -> str:
    """The engine's message without the trace of its own stack that it appends."""
    return str(error).partition("Stack backtrace:")[0].strip()[:500]
