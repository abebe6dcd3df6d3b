"""Every line the agency node or the steward may log: a closed list of events, each with the fields it may carry.

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

DATASET: Final = "accord.node"
MAX_VALUE: Final = 200
"""Longest text a field may hold, in characters: identifiers, codes and digests are shorter."""


class Event(StrEnum):
    """Every line this process may log."""

    SERVICE_STARTED = auto()
    SERVICE_STOPPED = auto()
    DIRECTORY_READ = auto()
    DIRECTORY_REFUSED = auto()
    CERTIFICATE_READ = auto()
    CERTIFICATE_REFUSED = auto()
    CERTIFICATE_EXPIRES_SOON = auto()
    POLICY_RECEIVED = auto()
    POLICY_FAILED = auto()
    SESSION_ATTACHED = auto()
    SESSION_LOST = auto()
    QUESTION_RECEIVED = auto()
    QUESTION_ANSWERED = auto()
    QUESTION_REFUSED = auto()
    QUESTION_REPEATED = auto()
    QUESTION_ASKED = auto()
    ANSWER_SHOWN = auto()
    RECEIPT_REFUSED = auto()
    STAFF_SIGNED_IN = auto()
    STAFF_REFUSED = auto()
    CHECKPOINT_COSIGNED = auto()
    WITNESS_ALARM = auto()
    AGREEMENT_RECORDED = auto()
    AGREEMENT_WITHDRAWN = auto()
    AGREEMENT_DELIVERED = auto()
    INDEX_STARTED = auto()
    INDEX_BUILT = auto()
    INDEX_FAILED = auto()
    WEIGHTS_CHANGED = auto()
    RECORDS_FAILED = auto()
    KEY_EVALUATION = auto()
    KEY_QUOTA_EXCEEDED = auto()
    HEADS_DIFFER = auto()
    CLOCK_STEP = auto()
    RPC_FAILED = auto()


FIELDS: Final[Mapping[Event, frozenset[str]]] = MappingProxyType(
    {
        Event.SERVICE_STARTED: frozenset({"listening_on", "agency", "version", "directory_version", "policy"}),
        Event.SERVICE_STOPPED: frozenset({"cause"}),
        Event.DIRECTORY_READ: frozenset({"directory_version", "agencies"}),
        Event.DIRECTORY_REFUSED: frozenset({"reason"}),
        Event.CERTIFICATE_READ: frozenset({"expires_at"}),
        Event.CERTIFICATE_REFUSED: frozenset({"reason"}),
        Event.CERTIFICATE_EXPIRES_SOON: frozenset({"expires_at"}),
        Event.POLICY_RECEIVED: frozenset({"policy", "chunks"}),
        Event.POLICY_FAILED: frozenset({"query_id", "reason", "policy"}),
        Event.SESSION_ATTACHED: frozenset({"broker", "attempt"}),
        Event.SESSION_LOST: frozenset({"broker", "cause", "retry_ms"}),
        Event.QUESTION_RECEIVED: frozenset({"query_id", "agency", "question", "purpose"}),
        # Whether and what was answered is in the agency's own ledger, not here: a log travels further.
        Event.QUESTION_ANSWERED: frozenset({"query_id", "elapsed_ms"}),
        Event.QUESTION_REFUSED: frozenset({"query_id", "reason"}),
        Event.QUESTION_REPEATED: frozenset({"query_id"}),
        Event.QUESTION_ASKED: frozenset({"query_id", "question", "purpose", "targets"}),
        Event.ANSWER_SHOWN: frozenset({"query_id", "answered", "elapsed_ms"}),
        Event.RECEIPT_REFUSED: frozenset({"query_id", "reason"}),
        Event.STAFF_SIGNED_IN: frozenset({"user", "role"}),
        Event.STAFF_REFUSED: frozenset({"cause"}),
        Event.CHECKPOINT_COSIGNED: frozenset({"size"}),
        Event.WITNESS_ALARM: frozenset({"reason", "size"}),
        Event.AGREEMENT_RECORDED: frozenset({"record_id"}),
        Event.AGREEMENT_WITHDRAWN: frozenset({"record_id"}),
        Event.AGREEMENT_DELIVERED: frozenset({"record_id"}),
        Event.INDEX_STARTED: frozenset({"people", "changed"}),
        Event.INDEX_BUILT: frozenset({"people", "tokens", "elapsed_ms"}),
        Event.INDEX_FAILED: frozenset({"reason"}),
        Event.WEIGHTS_CHANGED: frozenset({"weights"}),
        Event.RECORDS_FAILED: frozenset({"reason"}),
        Event.KEY_EVALUATION: frozenset({"agency", "use", "families", "elements", "elapsed_ms"}),
        Event.KEY_QUOTA_EXCEEDED: frozenset({"agency", "use"}),
        Event.HEADS_DIFFER: frozenset({"agency", "size"}),
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
