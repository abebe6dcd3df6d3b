"""The steward's key server: subject tags, and what all agencies saw of the ledger."""

import asyncio
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.allowance import ASK_A_DAY, SUBJECT_A_DAY
from accord.checkpoint import BadCheckpoint, Checkpoint, sign
from accord.identity import FAMILIES, SUBJECT_FAMILIES
from accord.linkage import blind, finalise
from accord.signing import public_bytes
from accord.v1 import keys_pb2
from agency_node.keyserver import (
    ASK,
    INDEX,
    SUBJECT,
    BadBatches,
    Batch,
    Counters,
    Head,
    Heads,
    KeyServer,
    Ledger,
    MemoryCounters,
    MemoryHeads,
    NotAnAgency,
    Output,
    QuotaExceeded,
    Span,
    StoredCounters,
    StoredHeads,
    WrongEpoch,
    evaluate,
    family_keys,
    spans,
)
from tests.world.node_state import BOTH, Place

KINDS = pytest.mark.parametrize("kind", ["memory", *BOTH])
EPOCH = "2026-1"
MATCH, SUBJECTS = FAMILIES[1].id, SUBJECT_FAMILIES[0].id
KEYS = {EPOCH: family_keys(bytes(range(32)), bytes(range(32, 64)), EPOCH)}
RECORDS = 10_000
ELEMENTS = [element for _ in range(4) for element in blind([b"somebody"])[1]]
LEDGER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(64, 96)))
LEDGER = Ledger("broker.midshire.example/ledger", public_bytes(LEDGER_KEY))


def asked(
    batches: Sequence[Batch],
    *,
    agency: str = "police",
    epoch: str = EPOCH,
    use: int = ASK,
    counters: Counters | None = None,
    records: int = RECORDS,
    day: int = 20_000,
) -> list[Output]:
    """One evaluation by the police, unless told otherwise."""
    return asyncio.run(
        evaluate(
            batches,
            agency=agency,
            epoch=epoch,
            use=use,
            day=day,
            keys=KEYS,
            counters=counters or MemoryCounters(),
            records=records,
        )
    )


def note(size: int, root: bytes = bytes(32), key: Ed25519PrivateKey = LEDGER_KEY) -> str:
    """A signed head of the broker's ledger."""
    return sign(Checkpoint(LEDGER.origin, size, root), key)


def test_subject_tags_have_keys_of_their_own() -> None:
    """T-LNK-1: neither the broker's keys nor the steward's match keys give a subject tag."""
    blinding, sent = blind([b"somebody"])
    [output] = asked([Batch(SUBJECTS, sent)], use=SUBJECT)
    key = KEYS[EPOCH][SUBJECTS]
    other = family_keys(bytes(range(32)), bytes(32), EPOCH)

    assert [key.direct(b"somebody")] == finalise(blinding, output.evaluated, output.proof, key.public)
    assert key.public != other[SUBJECTS].public
    assert KEYS[EPOCH][MATCH].public == other[MATCH].public


@pytest.mark.parametrize(
    ("use", "family"), [(ASK, SUBJECTS), (INDEX, SUBJECTS), (SUBJECT, MATCH), (0, MATCH), (99, SUBJECTS)]
)
def test_a_family_is_evaluated_for_its_own_use_only(use: int, family: str) -> None:
    """T-LNK-1: subject keys for an index would let a node name the people behind the broker's pseudonyms."""
    with pytest.raises(BadBatches):
        asked([Batch(family, ELEMENTS)], use=use)


def test_the_broker_gets_no_subject_tag() -> None:
    """T-LNK-1: its certificate names no agency, so it cannot ask who is behind a tag."""
    with pytest.raises(NotAnAgency):
        asked([Batch(SUBJECTS, ELEMENTS)], use=SUBJECT, agency="")


def test_other_requests_are_refused_as_at_the_broker() -> None:
    """T-SEC-3: form, epoch and allowance."""
    with pytest.raises(BadBatches):
        asked([Batch(MATCH, ELEMENTS), Batch(MATCH, ELEMENTS)])
    with pytest.raises(BadBatches):
        asked([Batch(family.id, ELEMENTS * 16) for family in FAMILIES])
    with pytest.raises(WrongEpoch):
        asked([Batch(MATCH, ELEMENTS)], epoch="2025-1")


@KINDS
def test_each_use_has_its_allowance(kind: str, place_on: Callable[[str], Place]) -> None:
    """T-LNK-6: the steward counts for itself, so that a broker's operator who looks away changes nothing."""
    counters = MemoryCounters() if kind == "memory" else StoredCounters(place_on(kind).open())
    counted = {"counters": counters, "records": 100}
    counters.take(20_000, "police", "subject", {SUBJECTS: SUBJECT_A_DAY - 7}, spans(SUBJECT, EPOCH, 20_000, 100))
    counters.take(20_000, "police", "index", {MATCH: 2 * 100 - 7}, spans(INDEX, EPOCH, 20_000, 100))
    counters.take(20_000, "police", "ask", {MATCH: ASK_A_DAY - 7}, spans(ASK, EPOCH, 20_000, 100))

    for use, family in ((SUBJECT, SUBJECTS), (INDEX, MATCH), (ASK, MATCH)):
        asked([Batch(family, ELEMENTS)], use=use, **counted)  # type: ignore[arg-type]  # keywords of two types
        with pytest.raises(QuotaExceeded):
            asked([Batch(family, ELEMENTS)], use=use, **counted)  # type: ignore[arg-type]  # keywords of two types
    asked([Batch(SUBJECTS, ELEMENTS)], use=SUBJECT, day=20_001, **counted)  # type: ignore[arg-type]  # keywords of two types
    asked([Batch(MATCH, ELEMENTS)], use=ASK, day=20_001, **counted)  # type: ignore[arg-type]  # keywords of two types
    with pytest.raises(QuotaExceeded):
        asked([Batch(MATCH, ELEMENTS)], use=INDEX, day=20_001, **counted)  # type: ignore[arg-type]  # keywords of two types


@pytest.fixture(params=["memory", *BOTH])
def heads(request: pytest.FixtureRequest, place_on: Callable[[str], Place]) -> Heads:
    """Every way to keep heads; the state is shared with the counters, as in service."""
    if request.param == "memory":
        return MemoryHeads()
    state = place_on(request.param).open()
    StoredCounters(state).take(1, "police", "ask", {MATCH: 1}, [Span("day 1", 1, {MATCH: 8})])
    return StoredHeads(state)


def test_two_roots_of_one_size_are_a_fork(heads: Heads) -> None:
    """T-AUD-6: whoever brings it and however late, and the other head is the evidence."""
    ours, theirs = Head("police", 7, b"a" * 32, "one note"), Head("housing", 7, b"b" * 32, "other note")

    assert heads.report(ours) is None
    assert heads.report(Head("housing", 8, b"b" * 32, "")) is None
    assert heads.report(Head("housing", 7, b"a" * 32, "")) is None
    assert ours == heads.report(theirs)
    assert theirs == heads.report(ours)
    assert {"police": 7, "housing": 8} == heads.newest()


def test_a_head_brought_again_is_compared_once_and_a_fork_is_found_all_the_same(
    heads: Heads, capsys: pytest.CaptureFixture[str]
) -> None:
    """T-AUD-6: every call of an index brings the same head; whoever brings another one is compared with it."""
    calls = [("police", note(3))] * 3 + [("housing", note(3, b"\1" * 32))] * 2 + [("police", note(3))]
    alarms = served(*calls, heads=heads)

    assert [("housing", "police")] * 2 == [(one.agency, other.agency) for one, other in alarms]
    assert 2 == capsys.readouterr().err.lower().count("heads_differ")


def test_evidence_of_a_fork_is_kept_for_ever(place: Place) -> None:
    """T-AUD-6: old heads are dropped, contradictory ones are not, and a restart forgets nothing."""
    state = place.open()
    heads = StoredHeads(state)
    for size, root in ((1, b"a"), (2, b"a"), (2, b"b"), (200_000, b"a")):
        heads.report(Head("police", size, root, "note"))
    state.dispose()
    again = StoredHeads(place.open())

    assert again.report(Head("housing", 1, b"b", "")) is None
    assert again.report(Head("housing", 2, b"c", "")) is not None


def served(*calls: tuple[str, str], heads: Heads) -> list[tuple[Head, Head]]:
    """What the steward is alarmed about when agencies call with these heads."""
    alarms: list[tuple[Head, Head]] = []
    caller = SimpleNamespace(agency="")
    server = KeyServer(
        KEYS,
        agency_of=lambda _: caller.agency,
        records_of=lambda _: RECORDS,
        ledger=LEDGER,
        heads=heads,
        counters=MemoryCounters(),
        alarm=lambda *pair: alarms.append(pair),
        today=lambda: 1,
    )

    async def run() -> None:
        for agency, written in calls:
            caller.agency = agency
            request = keys_pb2.EvaluateRequest(epoch=EPOCH, use=keys_pb2.KEY_USE_ASK, checkpoint=written)
            request.batches.add(family=MATCH, blinded=ELEMENTS)
            response = await server.Evaluate(request, None)  # type: ignore[arg-type]  # only agency_of reads it
            assert 1 == len(response.outputs)

    asyncio.run(run())
    return alarms


def test_a_ledger_shown_in_two_versions_raises_the_alarm(heads: Heads, capsys: pytest.CaptureFixture[str]) -> None:
    """T-AUD-6: a broker that keeps alarms from the agencies is still found out, and tokens are given all the same."""
    quiet = served(("police", note(3)), ("housing", note(4)), ("police", note(4)), ("housing", ""), heads=heads)
    alarms = served(("housing", note(3, b"\1" * 32)), heads=heads)

    assert [] == quiet
    assert [("housing", "police", 3)] == [(one.agency, other.agency, one.size) for one, other in alarms]
    assert "heads_differ" in capsys.readouterr().err.lower()


@pytest.mark.parametrize(
    "written", [note(3, key=Ed25519PrivateKey.from_private_bytes(bytes(32))), "no note", note(3) + "more"]
)
def test_a_head_that_the_broker_did_not_sign_is_refused(written: str) -> None:
    """T-AUD-6: nobody can raise the alarm with a head of their own making."""
    heads = MemoryHeads()
    with pytest.raises(BadCheckpoint):
        served(("police", written), heads=heads)

    assert {} == heads.newest()


def test_a_request_that_is_too_large_is_refused() -> None:
    """T-SEC-3: 64 KiB hold everything that is asked for."""
    with pytest.raises(BadBatches):
        served(("police", "x" * 70_000), heads=MemoryHeads())
