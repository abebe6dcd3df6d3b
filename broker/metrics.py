"""Counts for the operator, on this machine only. No label ever tells of a person or a question's subject."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from broker.stages import Released

REGISTRY: Final = CollectorRegistry()
QUESTIONS: Final = Counter("accord_questions", "Questions that ended, by record kind", ["kind"], registry=REGISTRY)
ROWS: Final = Counter(
    "accord_answers", "Agency rows, by agency and delivery", ["agency", "delivery"], registry=REGISTRY
)
SECONDS: Final = Histogram("accord_question_seconds", "Time from question to release", registry=REGISTRY)
LEDGER_SIZE: Final = Gauge("accord_ledger_entries", "Entries in the ledger", registry=REGISTRY)
IN_WORK: Final = Gauge("accord_questions_in_work", "Questions in work now", registry=REGISTRY)
MAY_WORK: Final = Gauge("accord_questions_may_be_in_work", "Questions that may be in work now", registry=REGISTRY)
WAITING: Final = Gauge("accord_questions_waiting", "Questions that wait for their turn now", registry=REGISTRY)
TURNED_AWAY: Final = Counter(
    "accord_questions_turned_away", "Questions turned away for want of room", registry=REGISTRY
)
PASSED_OVER: Final = Gauge(
    "accord_nodes_passed_over",
    "Nodes whose breaker is open now: not asked, because they only failed",
    registry=REGISTRY,
)
ACTIVE: Final = Gauge("accord_broker_active", "1 while this broker serves, 0 while it stands by", registry=REGISTRY)


def released(one: Released, kind: str, seconds: float) -> None:
    """Count one question that ended."""
    QUESTIONS.labels(kind).inc()
    SECONDS.observe(seconds)
    for row in one.rows:
        ROWS.labels(row.agency, row.delivery).inc()


def serve(address: str) -> None:
    """Serve /metrics on a loopback address, host:port."""
    host, _, port = address.rpartition(":")
    start_http_server(int(port), host.strip("[]"), registry=REGISTRY)
