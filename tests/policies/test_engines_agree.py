"""One corpus on every engine: embedded, Open Policy Agent inside this process, and its real server."""

import asyncio
import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from accord.bundle import Bundle
from broker import policy
from broker.engines import Engine, Evaluation, PolicyError, PolicyUndefined
from broker.engines.opa import OpaServer
from broker.engines.regorus import Regorus, data_of
from tests.world import corpus
from tests.world.opa_server import opa_server, quick, serving_bundle
from tests.world.rules import KEY, KID, POLICIES, bundle_of, example, shipped

SEED = 20261122
AT_ONCE = 8
PATIENCE_S = 30.0
STORIES = [json.loads(path.read_text()) for path in sorted((POLICIES / "conformance").glob("*.json"))]


class InProcess:
    """Open Policy Agent's own evaluator, inside this process: an engine of tests only."""

    def __init__(self, bundle: Bundle) -> None:
        self._opa = pytest.importorskip("opa_bindings")
        self._engine = self._opa.OpaEngine()
        for path, content in sorted(bundle.files.items()):
            if path.endswith(".rego"):
                self._engine.add_policy(path, content.decode())
        self._engine.add_data(data_of(bundle.files))
        self._revision = bundle.revision

    async def decide(self, entrypoint: str, document: bytes) -> Evaluation:
        """See Engine."""
        try:
            found = await asyncio.to_thread(self._engine.eval_document, entrypoint, json.loads(document))
        except self._opa.OpaUndefinedError as error:
            raise PolicyUndefined("the rules gave no decision") from error
        except self._opa.OpaError as error:
            raise PolicyError("the evaluation failed") from error
        return Evaluation(found, self._revision, "opa in process", 0)

    def close(self) -> None:
        """See Engine."""
        self._engine.close()


@dataclass(slots=True)
class Comparison:
    """What came of one corpus on several engines.

    Attributes:
        questions: How many.
        differ: Questions on which two engines gave other documents.
        opened: Questions on which one engine allowed an agency that another did not.
        undecided: Questions on which no engine gave a decision.
        allowed: Agencies allowed by all.
        refused: Agencies refused by all.
        first: The first question that differs, for whoever has to look.
    """

    questions: int = 0
    differ: int = 0
    opened: int = 0
    undecided: int = 0
    allowed: int = 0
    refused: int = 0
    first: list[Any] = field(default_factory=list)

    def __str__(self) -> str:
        """The figures, as they are printed."""
        return f"differ={self.differ} not_allow_to_allow={self.opened} of {self.questions}"


async def _said(engine: Engine, document: Any) -> Any:
    """The decision, or None when there is none."""
    node = isinstance(document, dict) and document.get("entrypoint") == "node"
    try:
        found = await engine.decide(f"accord.{'node' if node else 'query'}.decision", json.dumps(document).encode())
    except (PolicyError, PolicyUndefined):
        return None
    return found.result


def _allows(said: Any) -> dict[str, bool]:
    words = said.get("by_target", {}) if isinstance(said, dict) else {}
    return {agency: isinstance(word, dict) and word.get("allow") is True for agency, word in words.items()}


def _addressed_twice(document: Any) -> bool:
    agencies = [target["responder"]["agency_id"] for target in document["targets"]]
    return len(set(agencies)) < len(agencies)


async def _compare(engines: Sequence[Engine], documents: Iterable[Any]) -> Comparison:
    found, waiting = Comparison(), asyncio.Semaphore(AT_ONCE)

    async def one(document: Any) -> None:
        async with waiting:
            said = await asyncio.gather(*(_said(engine, document) for engine in engines))
        allows = [_allows(each) for each in said]
        agencies = {agency for each in allows for agency in each}
        opened = any(len({each.get(agency, False) for each in allows}) > 1 for agency in agencies)
        found.questions += 1
        found.opened += opened
        found.undecided += all(each is None for each in said)
        found.allowed += sum(all(each.get(agency, False) for each in allows) for agency in agencies)
        found.refused += sum(not any(each.get(agency, False) for each in allows) for agency in agencies)
        if any(each != said[0] for each in said[1:]):
            found.differ += 1
            found.first = found.first or [document, *said]

    await asyncio.gather(*(one(document) for document in documents))
    return found


@contextlib.contextmanager
def _engines(folder: Path, here: Bundle) -> Iterator[list[Engine]]:
    """The embedded engine with one bundle, and the two others with the shipped one."""
    data = policy.build(POLICIES, "demo", KEY, KID)
    with (
        serving_bundle(lambda: data) as address,
        opa_server(folder / "opa", quick(address, KID, KEY.public_key())) as running,
    ):
        running.ready()
        yield [
            Regorus(here, timeout_s=PATIENCE_S),
            InProcess(shipped()),
            OpaServer(shipped(), url=running.url, timeout_s=PATIENCE_S, waiting_max=AT_ONCE * 2),
        ]


def _run(folder: Path, documents: Iterable[Any], here: Bundle | None = None) -> Comparison:
    async def inside(engines: Sequence[Engine]) -> Comparison:
        try:
            return await _compare(engines, documents)
        finally:
            for engine in engines:
                engine.close()

    with _engines(folder, here or shipped()) as engines:
        return asyncio.run(inside(engines))


@pytest.mark.needs("opa")
@pytest.mark.parametrize(
    "count", [pytest.param(100, id="some"), pytest.param(4_000, id="thousands", marks=pytest.mark.prove)]
)
def test_every_engine_gives_the_same_document(tmp_path: Path, count: int) -> None:
    """T-POL-7: the stories, and questions made from them that the schema lets in, end alike on all engines.

    An agency addressed twice may get two words, which no engine can put under one name: no decision, on all of them.
    """
    documents = [one["input"] for one in STORIES] + list(corpus.valid(SEED, count))
    found = _run(tmp_path, documents)
    ends = f"allowed={found.allowed} refused={found.refused} undecided={found.undecided}"
    print(f"T-POL-7 {found} {ends} engines=3 seed={SEED}")

    assert [] == found.first
    assert (0, 0) == (found.differ, found.opened)
    assert found.undecided <= sum(_addressed_twice(document) for document in documents)
    assert min(found.allowed, found.refused) > count / 4


@pytest.mark.needs("opa")
@pytest.mark.parametrize(
    "count", [pytest.param(100, id="some"), pytest.param(500, id="hundreds", marks=pytest.mark.prove)]
)
def test_what_no_schema_lets_in_opens_nothing_on_one_engine_alone(tmp_path: Path, count: int) -> None:
    """T-POL-7: forced past the schema, a malformed question is allowed by all engines or by none."""
    found = _run(tmp_path, corpus.malformed(SEED, count))
    print(f"T-POL-7 malformed {found} undecided={found.undecided} engines=3 seed={SEED}")

    assert (0, count) == (found.opened, found.questions)


@pytest.mark.needs("opa")
def test_a_rule_that_one_engine_lacks_is_found(tmp_path: Path) -> None:
    """Control: a ground that one engine always finds; the comparison shows it, as leave on that one alone."""
    files = dict(shipped().files)
    file, ground = "accord/grounds/ledger.rego", b"default ledger_not_stale(_) := "
    assert ground + b"false" in files[file]
    files[file] = files[file].replace(ground + b"false", ground + b"true")
    stale = example("s47_enquiry")
    stale["state"]["ledger"] = "stale"
    found = _run(tmp_path, [example("s47_enquiry"), stale], bundle_of(files))

    assert (1, 1) == (found.differ, found.opened)
