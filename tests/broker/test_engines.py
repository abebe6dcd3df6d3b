"""The embedded engine: one thread, one bundle, and no way in which its failure becomes leave."""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from accord.bundle import Bundle
from agency_node.engines import regorus as node_engines
from broker import engines as interface
from broker.engines import Engine, PolicyError, PolicyUnavailable, PolicyUndefined
from broker.engines.regorus import Regorus, data_of
from tests.world.rules import bundle_of, example, shipped

DOCUMENT = json.dumps(example("s47_enquiry")).encode()


def _bundle(rule: str, data: str = "{}") -> Bundle:
    return bundle_of(
        {
            "accord/query/decision.rego": f"package accord.query\n\n{rule}\n".encode(),
            "accord/data/data.json": data.encode(),
        }
    )


async def _one(engine: Engine, document: bytes = b"{}", entrypoint: str = "accord.query.decision") -> object:
    return (await engine.decide(entrypoint, document)).result


def _run(rule: str, **settings: float) -> object:
    engine = Regorus(_bundle(rule), **settings)  # type: ignore[arg-type]  # both settings take a number
    try:
        return asyncio.run(_one(engine))
    finally:
        engine.close()


def test_a_decision_comes_with_its_revision() -> None:
    """What decided is named beside what was decided."""
    engine = Regorus(shipped())
    evaluation = asyncio.run(engine.decide("accord.query.decision", DOCUMENT))
    engine.close()

    assert shipped().revision == evaluation.revision
    assert {"housing", "police"} == set(evaluation.result["by_target"])
    assert evaluation.elapsed_us > 0


FAILURES = {
    "undefined": ("x := 1", PolicyUndefined),
    "undefined by a condition": ("decision := 1 if input.never", PolicyUndefined),
    "a truth value": ("decision := true", PolicyError),
    "a text": ('decision := "<undefined>"', PolicyError),
    "a fraction": ('decision := {"by_target": 1.5}', PolicyError),
    "a division by zero": ("decision := {1: 1 / input.zero} if input.zero == 0", PolicyUndefined),
    "two values at once": ("decision := {1: 1}\n\ndecision := {1: 2}", PolicyError),
    "a wrong type for a function": ('decision := {"by_target": count(5)}', PolicyError),
}


@pytest.mark.parametrize("what", FAILURES)
def test_a_failing_rule_raises(what: str) -> None:
    """T-POL-5: undefined, garbage and errors are refusals, each under its own reason."""
    rule, problem = FAILURES[what]

    with pytest.raises(problem):
        _run(rule)


@pytest.mark.parametrize("document", [b"", b"{", b"\xff", b"[]", b"null", b'{"a":NaN}'])
def test_an_input_that_is_no_document_raises(document: bytes) -> None:
    """T-POL-5: garbage in front of the engine is garbage out, never leave."""
    engine = Regorus(shipped())
    try:
        found = asyncio.run(_one(engine, document))
    except (PolicyError, PolicyUndefined, UnicodeDecodeError):
        found = {"by_target": {}}
    finally:
        engine.close()

    assert {"by_target": {}} == found


@pytest.mark.parametrize("kind", [Regorus, node_engines.Regorus])
def test_whoever_is_told_to_stop_while_a_decision_comes_stops(kind: Callable[[Bundle], Engine]) -> None:
    """T-OPS-4: a decision and the end of its asker that fall together: the end is not forgotten."""
    engine = kind(_bundle("decision := {1: 1}"))

    async def both() -> bool:
        asking = asyncio.create_task(_one(engine))
        await asyncio.sleep(0)
        # The loop stands still while the engine decides, so that it next learns of both at once.
        time.sleep(0.2)
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        return asking.cancelled()

    stopped = asyncio.run(both())
    engine.close()

    assert stopped


def test_after_a_failure_the_next_decision_is_made() -> None:
    """T-POL-5: the engine is made anew; one bad question does not stop the others."""
    engine = Regorus(_bundle('decision := {"n": count(input.list)}'))

    async def twice() -> object:
        with pytest.raises(PolicyError):
            await _one(engine, b'{"list": 5}')
        return await _one(engine, b'{"list": [1, 2]}')

    found = asyncio.run(twice())
    engine.close()

    assert {"n": 2} == found


SLOW = """decision := {"n": count([1 | some a in input.l; some b in input.l; some c in input.l; a + b + c == -1])}"""


def test_a_late_decision_is_refused_and_overload_sheds() -> None:
    """T-POL-5: slow means refused, a full queue means refused at once, and afterwards it works again."""
    engine = Regorus(_bundle(SLOW), timeout_s=0.15, waiting_max=4)
    slow, quick = json.dumps({"l": list(range(75))}).encode(), b'{"l": []}'

    async def flood() -> list[object]:
        outcomes = await asyncio.gather(*(_one(engine, slow) for _ in range(40)), return_exceptions=True)
        for _ in range(200):
            try:
                return [*outcomes, await _one(engine, quick)]
            except PolicyUnavailable:
                await asyncio.sleep(0.05)
        return [*outcomes, None]

    *flooded, after = asyncio.run(flood())
    engine.close()
    shed = [outcome for outcome in flooded if isinstance(outcome, PolicyUnavailable)]

    assert 35 <= len(shed)
    assert {"n": 0} == after


def test_a_closed_engine_refuses() -> None:
    """T-POL-5: an engine that was stopped gives no decision."""
    engine = Regorus(shipped())
    engine.close()

    with pytest.raises(PolicyUnavailable):
        asyncio.run(_one(engine, DOCUMENT))


def test_a_closed_engine_ends_its_thread() -> None:
    """Changing rules must not leave a thread behind for each revision."""
    engine = Regorus(shipped())
    engine.close()
    engine._thread.join(5)

    assert not engine._thread.is_alive()


@pytest.mark.parametrize("rule", ["decision := {", "decision := nonsense(1)", "package other"])
def test_rules_that_cannot_be_loaded_make_no_engine(rule: str) -> None:
    """T-POL-5: a mistake in the rules is found before the first question, or is an error at it."""
    with pytest.raises(PolicyError):
        _run(rule)


def test_many_at_once_get_each_their_own() -> None:
    """One thread and one engine: no question is answered with another's decision."""
    engine = Regorus(_bundle('decision := {"n": input.n}'))

    async def all_of_them() -> list[object]:
        return list(await asyncio.gather(*(_one(engine, json.dumps({"n": n}).encode()) for n in range(100))))

    found = asyncio.run(all_of_them())
    engine.close()

    assert [{"n": n} for n in range(100)] == found


def test_an_event_loop_that_ended_does_not_stop_the_thread() -> None:
    """A caller that went away is nobody's failure."""
    engine = Regorus(_bundle(SLOW), timeout_s=5)

    async def leave() -> None:
        waiting = asyncio.ensure_future(_one(engine, json.dumps({"l": list(range(40))}).encode()))
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(leave())
    found = asyncio.run(_one(engine, b'{"l": []}'))
    engine.close()

    assert {"n": 0} == found


def test_the_engine_runs_on_a_thread_of_its_own() -> None:
    """An engine object panics when another thread touches it."""
    before = {thread.name for thread in threading.enumerate()}
    engine = Regorus(shipped())
    found = {thread.name for thread in threading.enumerate()}
    engine.close()

    assert "policy" in found - before or "policy" in before


def test_data_lies_under_its_directory() -> None:
    """As in Open Policy Agent: accord/data/data.json is data.accord.data."""
    found = data_of(
        {"accord/data/data.json": b'{"a":1}', "accord/data/more/data.json": b'{"b":2}', "schemas/x.json": b"3"}
    )

    assert {"accord": {"data": {"a": 1, "more": {"b": 2}}}} == found


def test_both_sides_have_the_same_interface() -> None:
    """Broker and agency keep their own copy; where they share words they mean the same."""
    root = Path(interface.__file__).parents[2]

    assert (root / "broker/engines/__init__.py").read_text() == (root / "agency_node/engines/__init__.py").read_text()
