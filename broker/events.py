"""Every line the broker may log: a closed list of events, each with the fields it may carry.

A list of what is allowed does not leak each new field as a list of what is forbidden would (T-PRV-1). The processor
`declared` compares every line with FIELDS: until `configure` is called, as in tests, a field that is not declared
raises; in service it is dropped and counted, because a log line must never stop an answer. Values are single words or
numbers; an object, a list or a long text is treated like an undeclared field.

Lines are JSON, one to a line, with the field names of the Elastic Common Schema
(https://www.elastic.co/docs/reference/ecs): `event.action` is the event, what it carries stands under `labels`.
"""

import json
import logging
import sys
from collections import Counter
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from enum import StrEnum, auto
from types import MappingProxyType
from typing import Any, Final, TextIO

import structlog
from structlog.typing import FilteringBoundLogger

DATASET: Final = "accord.broker"
MAX_VALUE: Final = 200
"""Longest text a field may hold, in characters: identifiers, codes and digests are shorter."""


class Event(StrEnum):
    """Every line this process may log."""

    SERVICE_STARTED = auto()
    SERVICE_STOPPED = auto()
    STANDING_BY = auto()
    DIRECTORY_READ = auto()
    DIRECTORY_REFUSED = auto()
    CERTIFICATE_READ = auto()
    CERTIFICATE_REFUSED = auto()
    CERTIFICATE_EXPIRES_SOON = auto()
    POLICY_ACTIVATED = auto()
    POLICY_FAILED = auto()
    QUESTION_ACCEPTED = auto()
    QUESTION_REFUSED = auto()
    QUESTION_RELEASED = auto()
    QUESTION_REPLAYED = auto()
    QUESTION_ABANDONED = auto()
    NODE_ATTACHED = auto()
    NODE_DETACHED = auto()
    NODE_ANSWERED = auto()
    NODE_NOT_REACHED = auto()
    NODE_ALARM = auto()
    NODE_BREAKER = auto()
    CHECKPOINT_COSIGNED = auto()
    WITNESS_ALARM = auto()
    LEDGER_OPENED = auto()
    LEDGER_FAILED = auto()
    AGREEMENT_RECORDED = auto()
    AGREEMENT_WITHDRAWN = auto()
    KEY_EVALUATION = auto()
    KEY_QUOTA_EXCEEDED = auto()
    CLOCK_STEP = auto()
    RPC_FAILED = auto()


FIELDS: Final[Mapping[Event, frozenset[str]]] = MappingProxyType(
    {
        Event.SERVICE_STARTED: frozenset({"listening_on", "version", "directory_version", "policy"}),
        Event.SERVICE_STOPPED: frozenset({"cause"}),
        Event.STANDING_BY: frozenset(),
        Event.DIRECTORY_READ: frozenset({"directory_version", "agencies"}),
        Event.DIRECTORY_REFUSED: frozenset({"reason"}),
        Event.CERTIFICATE_READ: frozenset({"expires_at"}),
        Event.CERTIFICATE_REFUSED: frozenset({"reason"}),
        Event.CERTIFICATE_EXPIRES_SOON: frozenset({"expires_at"}),
        Event.POLICY_ACTIVATED: frozenset({"policy", "catalogue"}),
        Event.POLICY_FAILED: frozenset({"query_id", "reason", "policy", "code"}),
        Event.QUESTION_ACCEPTED: frozenset(
            {"query_id", "caller_agency", "question", "question_version", "purpose", "targets"}
        ),
        Event.QUESTION_REFUSED: frozenset({"query_id", "caller_agency", "question", "purpose", "codes"}),
        Event.QUESTION_RELEASED: frozenset(
            {"query_id", "caller_agency", "question", "asked", "answered", "elapsed_ms", "index"}
        ),
        Event.QUESTION_REPLAYED: frozenset({"query_id", "caller_agency", "index"}),
        Event.QUESTION_ABANDONED: frozenset({"query_id", "cause"}),
        Event.NODE_ATTACHED: frozenset({"node", "policy", "directory_version", "head_size"}),
        Event.NODE_DETACHED: frozenset({"node", "cause"}),
        Event.NODE_ANSWERED: frozenset({"query_id", "node", "elapsed_ms"}),
        Event.NODE_NOT_REACHED: frozenset({"query_id", "node", "cause", "elapsed_ms"}),
        Event.NODE_ALARM: frozenset({"query_id", "node", "reason"}),
        Event.NODE_BREAKER: frozenset({"node", "state"}),
        Event.CHECKPOINT_COSIGNED: frozenset({"node", "size"}),
        Event.WITNESS_ALARM: frozenset({"node", "reason", "size"}),
        Event.LEDGER_OPENED: frozenset({"size", "abandoned"}),
        Event.LEDGER_FAILED: frozenset({"reason"}),
        Event.AGREEMENT_RECORDED: frozenset({"record_id", "caller_agency", "index"}),
        Event.AGREEMENT_WITHDRAWN: frozenset({"record_id", "caller_agency", "index", "elapsed_ms"}),
        Event.KEY_EVALUATION: frozenset({"caller_agency", "use", "families", "elements", "elapsed_ms"}),
        Event.KEY_QUOTA_EXCEEDED: frozenset({"caller_agency", "use"}),
        Event.CLOCK_STEP: frozenset({"by_ms"}),
        Event.RPC_FAILED: frozenset({"method", "reason", "kind"}),
    }
)
"""What each event may carry. Never a name, a date of birth, an address, a national number or a text someone wrote."""


class UndeclaredField(RuntimeError):
    """A line carries what its event does not declare: a mistake in the program, met in tests."""


@dataclass(slots=True)
class _State:
    strict: bool = True
    level: int = logging.INFO
    stream: TextIO | None = None
    dropped: Counter[str] = field(default_factory=Counter)


_STATE: Final = _State()


def configure(level: str = "info", stream: TextIO | None = None, *, strict: bool = False) -> None:
    """Log as a service does: drop and count what is not declared, instead of raising.

    Args:
        level: The least level written: debug, info, warning or error.
        stream: Where lines go; standard error when None.
        strict: Whether an undeclared field raises, as before this call.
    """
    _STATE.level = logging.getLevelNamesMapping()[level.upper()]
    _STATE.stream = stream
    _STATE.strict = strict


def dropped() -> Mapping[str, int]:
    """How often something undeclared was dropped, by `event.field`, and how many lines could not be written."""
    return dict(_STATE.dropped)


def declared(_: object, level: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Let through only what FIELDS declares for the event.

    Raises:
        UndeclaredField: In tests, something is not declared.
        structlog.DropEvent: Below the level, or in service an event that is not in the list.
    """
    if logging.getLevelNamesMapping()[level.upper()] < _STATE.level:
        raise structlog.DropEvent
    name = line.pop("event")
    event = name if isinstance(name, Event) else None
    wrong = [key for key, value in line.items() if event is None or key not in FIELDS[event] or not _plain(value)]
    if event is None:
        wrong.append("event")
    if wrong and _STATE.strict:
        raise UndeclaredField(f"{event or 'an event that is not in the list'} may not carry {', '.join(wrong)}")
    # The name of an unknown event or field might itself be text from a record, so only declared names are counted.
    _STATE.dropped.update(f"{event or 'unknown'}.{key if key.isidentifier() else '?'}" for key in wrong)
    if event is None:
        raise structlog.DropEvent
    return {"event": event, "level": level, **{key: value for key, value in line.items() if key not in wrong}}


def _plain(value: object) -> bool:
    return value is None or isinstance(value, int | float) or (isinstance(value, str) and len(value) <= MAX_VALUE)


def _render(_: object, __: str, line: MutableMapping[str, Any]) -> str:
    head = {
        "@timestamp": line.pop("at"),
        "log.level": line.pop("level"),
        "event.action": line.pop("event"),
        "event.dataset": DATASET,
    }
    return json.dumps({**head, "labels": dict(sorted(line.items()))}, ensure_ascii=False)


class _Output:
    """Writes finished lines where `configure` said, looked up at each call."""

    def msg(self, line: str) -> None:
        stream = _STATE.stream or sys.stderr
        try:
            stream.write(line + "\n")
            stream.flush()
        except (OSError, ValueError):
            # A full disk or a closed pipe: what is logged is worth less than what is being done (T-OPS-1).
            _STATE.dropped["unwritten"] += 1

    debug = info = warning = error = critical = msg


log: FilteringBoundLogger = structlog.wrap_logger(
    _Output(),
    processors=[declared, structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"), _render],
    wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
    context_class=dict,
)
"""The process's one logger: `log.info(Event.SERVICE_STARTED, listening_on="localhost:7001")`."""
