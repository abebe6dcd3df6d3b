"""Log lines of the broker: nothing that is not declared is ever written."""

import ast
import errno
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker import events
from broker.events import FIELDS, Event, UndeclaredField, configure, dropped, log


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    configure(strict=True)


def test_every_event_declares_its_fields() -> None:
    """T-PRV-1: the list is closed: no event without fields, no fields without an event."""
    assert set(Event) == set(FIELDS)


def test_no_event_can_carry_what_names_a_person() -> None:
    """T-PRV-1: whatever is declared is a code, a number or a pseudonym."""
    forbidden = {"name", "first_name", "last_name", "surname", "dob", "date_of_birth", "address", "postcode", "nhs"}

    assert set() == forbidden & {field for fields in FIELDS.values() for field in fields}


def test_every_line_in_the_program_carries_only_what_its_event_declares() -> None:
    """T-PRV-1: read from the source, so that a line no test reaches is checked too."""
    wrong = []
    for file in Path(events.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text())):
            match call:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="log")),
                    args=[ast.Attribute(value=ast.Name(id="Event"), attr=name)],
                    keywords=fields,
                ):
                    given = {str(field.arg) for field in fields}
                    wrong += [f"{file.name}:{call.lineno} {name} {field}" for field in given - FIELDS[Event[name]]]
                case ast.Call(func=ast.Attribute(value=ast.Name(id="log"))):
                    wrong.append(f"{file.name}:{call.lineno} logs something that is no event")

    assert [] == wrong


def test_an_undeclared_field_raises_in_tests() -> None:
    """T-PRV-1: the mistake is met by whoever makes it."""
    with pytest.raises(UndeclaredField, match="rpc_failed may not carry surname"):
        log.info(Event.RPC_FAILED, method="Ask", surname="Thorley")


def test_in_service_an_undeclared_field_is_dropped_and_counted() -> None:
    """T-PRV-1: a log line never stops an answer, and never leaks."""
    written = io.StringIO()
    configure("info", written)
    before = dropped().get("rpc_failed.surname", 0)

    log.warning(Event.RPC_FAILED, method="Ask", reason="INTERNAL", surname="Thorley")

    line = json.loads(written.getvalue())
    assert "Thorley" not in written.getvalue()
    assert {"method": "Ask", "reason": "INTERNAL"} == line["labels"]
    assert ("rpc_failed", "warning", "accord.broker") == (
        line["event.action"],
        line["log.level"],
        line["event.dataset"],
    )
    assert before + 1 == dropped()["rpc_failed.surname"]


@pytest.mark.parametrize(
    "value", [["a"], {"a": 1}, b"bytes", "x" * 201, ValueError("Thorley")], ids=lambda v: type(v).__name__
)
def test_only_short_plain_values_are_written(value: object) -> None:
    """T-PRV-1: an object or a long text may hold anything, so it is treated as undeclared."""
    written = io.StringIO()
    configure("info", written)

    log.info(Event.RPC_FAILED, reason=value)

    assert {} == json.loads(written.getvalue())["labels"]


def test_an_event_that_is_not_in_the_list_is_not_written() -> None:
    """T-PRV-1: free text is no event."""
    written = io.StringIO()
    configure("info", written)

    log.info("Jamie Thorley asked")

    assert "" == written.getvalue()
    assert "unknown.event" in dropped()


def test_lines_below_the_level_are_not_written() -> None:
    """The operator decides how much is written."""
    written = io.StringIO()
    configure("warning", written)

    log.info(Event.RPC_FAILED, reason="INTERNAL")
    log.error(Event.SERVICE_STOPPED, cause="signal")

    assert ["service_stopped"] == [json.loads(line)["event.action"] for line in written.getvalue().splitlines()]


def test_an_exception_leaves_no_trace_in_the_log() -> None:
    """T-PRV-1: the text of an exception may hold a record."""
    written = io.StringIO()
    configure("info", written)
    try:
        raise KeyError("Thorley")
    except KeyError:
        log.exception(Event.RPC_FAILED, reason="INTERNAL")

    assert "Thorley" not in written.getvalue()
    assert "rpc_failed" == json.loads(written.getvalue())["event.action"]


def test_lines_go_to_standard_error_unless_told_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output belongs to what a command answers."""
    events.configure("info")

    log.info(Event.SERVICE_STARTED, listening_on="localhost:7001")

    out, err = capsys.readouterr()
    assert "" == out
    assert "localhost:7001" == json.loads(err)["labels"]["listening_on"]


class Full(io.StringIO):
    """A disk without a free byte."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    """T-OPS-1: a full disk under the log costs no question its answer, and no health check its say."""
    configure("info", Full())
    before = dropped().get("unwritten", 0)

    log.info(Event.SERVICE_STARTED, listening_on="localhost:7001")

    assert before + 1 == dropped()["unwritten"]
