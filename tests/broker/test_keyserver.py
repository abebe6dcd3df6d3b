"""The broker's key server: who may use it, for what, and how much."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc.aio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.allowance import INDEX_PER_PERSON
from accord.identity import FAMILIES, describe, match_keys, subject_keys
from accord.linkage import MAX_BATCH, BadElement, blind, finalise
from accord.v1 import keys_pb2, keys_pb2_grpc
from broker.keyserver import (
    ASK,
    INDEX,
    BadBatches,
    Batch,
    Counters,
    KeyServer,
    MemoryCounters,
    NotAnAgency,
    Output,
    QuotaExceeded,
    Span,
    StoredCounters,
    WrongEpoch,
    evaluate,
    family_keys,
    spans,
)
from broker.stages import LedgerUnavailable
from tests.world.broker_databases import BrokerDatabases

EPOCH = "2026-1"
FAMILY = "dob.x pc.x"
KEYS = {EPOCH: family_keys(bytes(range(32)), EPOCH)}
JAMIE = describe(
    first_name="Jamie", last_name="Thorley", date_of_birth="2013-03-09", sex="m", postcode="MD4 7QT",
    address="Flat 3, 14 Larkspur Rise",
)  # fmt: skip
RECORDS = 10_000
NEW_YEAR = (date(2025, 1, 1) - date(1970, 1, 1)).days
"""Of the year after day 20,000, as days since 1970."""
ELEMENTS = [element for _ in range(4) for element in blind([b"somebody"])[1]]


def asked(
    batches: Sequence[Batch],
    *,
    agency: str = "police",
    epoch: str = EPOCH,
    use: int = ASK,
    day: int = 20_000,
    counters: Counters | None = None,
    records: int = RECORDS,
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


def test_tokens_come_with_a_proof_for_each_family() -> None:
    """What the server evaluates, the client can check against the pinned key."""
    wanted = [FAMILY, "nhs.x"]
    blindings = [blind([family.encode(), b"another"]) for family in wanted]
    outputs = asked([Batch(family, sent) for family, (_, sent) in zip(wanted, blindings, strict=True)])

    assert wanted == [output.family for output in outputs]
    for output, (blinding, _) in zip(outputs, blindings, strict=True):
        key = KEYS[EPOCH][output.family]
        assert [key.direct(output.family.encode()), key.direct(b"another")] == finalise(
            blinding, output.evaluated, output.proof, key.public
        )


def test_every_family_has_a_key_of_its_own() -> None:
    """An output of one family is of no use in another."""
    assert len(FAMILIES) == len({key.public for key in KEYS[EPOCH].values()})
    assert {family.id for family in FAMILIES} == set(KEYS[EPOCH])


@pytest.mark.parametrize(
    "batches",
    [
        [],
        [Batch(FAMILY, [])],
        [Batch("first.x", ELEMENTS)],
        [Batch("", ELEMENTS)],
        [Batch(FAMILY, ELEMENTS), Batch(FAMILY, ELEMENTS)],
        [Batch(family.id, ELEMENTS * 16) for family in FAMILIES],
        [Batch(subject_keys(JAMIE)[0].family, ELEMENTS)],
    ],
    ids=["none", "no element", "other family", "no family", "twice", "over 1,000", "subject family"],
)
def test_requests_of_another_form_are_refused(batches: list[Batch]) -> None:
    """T-SEC-3: one call cannot occupy the server, and a single field is no family."""
    with pytest.raises(BadBatches):
        asked(batches)


@pytest.mark.parametrize(
    "elements", [[bytes(32)], [b"\xff" * 32], [b"short"], ELEMENTS * 17], ids=["identity", "none", "short", "over 64"]
)
def test_only_few_and_real_elements_are_evaluated(elements: list[bytes]) -> None:
    """What is no point of the group never meets the key; a long batch would hold up everybody."""
    with pytest.raises(BadElement):
        asked([Batch(FAMILY, elements)])


@pytest.mark.parametrize("use", [keys_pb2.KEY_USE_UNSPECIFIED, keys_pb2.KEY_USE_SUBJECT, 99])
def test_the_broker_makes_no_subject_tags(use: int) -> None:
    """T-LNK-1: it would then be able to name the people behind them."""
    with pytest.raises(BadBatches):
        asked([Batch(FAMILY, ELEMENTS)], use=use)


def test_a_certificate_without_agency_gets_nothing() -> None:
    """Neither the steward's nor the broker's own certificate opens the key server."""
    with pytest.raises(NotAnAgency):
        asked([Batch(FAMILY, ELEMENTS)], agency="")


def test_another_epoch_is_named_as_such() -> None:
    """T-LNK-5: a node with old keys learns that it must fetch the directory."""
    with pytest.raises(WrongEpoch):
        asked([Batch(FAMILY, ELEMENTS)], epoch="2025-1")


@pytest.fixture(
    params=["memory", "file", pytest.param("server", marks=pytest.mark.needs("postgres", "initdb"))],
)
def counters(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Counters]:
    """Every way to count."""
    if request.param == "memory":
        yield MemoryCounters()
        return
    on_server = request.param == "server"
    stored = StoredCounters(request.getfixturevalue("databases").fresh() if on_server else tmp_path / "quota.db")
    yield stored
    stored.close()


def test_a_years_index_is_bounded_by_the_records_enrolled(counters: Counters) -> None:
    """T-LNK-6: a curious node guesses until it is refused; another agency, epoch, family or year is not touched."""
    records = 100
    guess = [Batch(FAMILY, ELEMENTS * 8)]
    guessed = []

    def guess_on() -> None:
        for day in itertools.count(20_000):
            guessed.extend(asked(guess, use=INDEX, counters=counters, records=records, day=day))

    with pytest.raises(QuotaExceeded):
        guess_on()

    assert len(guessed) * 32 == INDEX_PER_PERSON * records // 32 * 32
    with pytest.raises(QuotaExceeded):
        asked(guess, use=INDEX, counters=counters, records=records, day=NEW_YEAR - 1)
    for other in ({"agency": "housing"}, {"day": NEW_YEAR}, {"records": 1_000}, {"use": ASK}):
        asked(guess, counters=counters, **({"use": INDEX, "records": records} | other))  # type: ignore[arg-type]  # keywords of several types
    asked([Batch("nhs.x", ELEMENTS * 8)], use=INDEX, counters=counters, records=records)


def test_a_family_with_variants_has_as_many_times_more(counters: Counters) -> None:
    """T-LNK-6: an index of everybody enrolled must fit, with room for those who change."""
    (span,) = spans(INDEX, EPOCH, 20_000, 150)
    made = Counter[str]()
    for _ in range(150):
        person = describe(
            first_name="Jamie", last_name="Thorley", middle_names="Ann",
            date_of_birth="2013-03-09", sex="f", address="14 Larkspur Rise, MD4 7QT", nhs_number="9991234578",
        )  # fmt: skip
        made.update(key.family for key in match_keys(person))

    assert {family.id for family in FAMILIES} == set(made) == set(span.most)
    assert all(made[family] <= most <= 4 * made[family] for family, most in span.most.items())


def test_asking_is_bounded_by_day_and_by_year(counters: Counters) -> None:
    """T-LNK-6: keys made to ask would serve a guesser as well."""
    day, year = spans(ASK, EPOCH, 20_000, 100)
    full = day.most[FAMILY]

    assert counters.take(20_000, "police", "ask", {FAMILY: full}, (day, year))
    assert not counters.take(20_000, "police", "ask", {FAMILY: 1}, (day, year))
    assert counters.take(20_001, "police", "ask", {FAMILY: year.most[FAMILY] - full}, spans(ASK, EPOCH, 20_001, 100))
    assert not counters.take(20_002, "police", "ask", {FAMILY: 1}, spans(ASK, EPOCH, 20_002, 100))
    assert counters.take(NEW_YEAR, "police", "ask", {FAMILY: 1}, spans(ASK, EPOCH, NEW_YEAR, 100))
    assert counters.take(20_002, "police", "ask", {FAMILY: 1}, spans(ASK, "2027-1", 20_002, 100))


def test_a_refused_call_uses_up_nothing(counters: Counters) -> None:
    """All families and spans or none: a refusal must not eat the allowance of the others."""
    long, short = (Span(name, 9, {FAMILY: most, "nhs.x": most}) for name, most in (("long", 20), ("short", 8)))

    assert not counters.take(1, "police", "ask", {FAMILY: 3, "nhs.x": 9}, (long, short))
    assert counters.take(1, "police", "ask", {FAMILY: 8, "nhs.x": 8}, (long, short))
    assert not counters.take(1, "police", "ask", {FAMILY: 1}, (long, short))
    assert not counters.take(1, "police", "ask", {"another": 1}, (long,))
    assert counters.take(1, "police", "ask", {FAMILY: 12}, (long,))


def test_a_restart_gives_nothing_back(tmp_path: Path) -> None:
    """T-LNK-6: crashing the server is no way to more guesses."""
    (year,) = spans(INDEX, EPOCH, 20_000, 100)
    before = StoredCounters(tmp_path / "quota.db")
    before.take(20_000, "police", "index", {FAMILY: 200}, (year,))
    before.close()

    assert not StoredCounters(tmp_path / "quota.db").take(20_080, "police", "index", {FAMILY: 1}, (year,))
    assert 0o600 == (tmp_path / "quota.db").stat().st_mode & 0o777


@pytest.mark.needs("postgres", "initdb")
def test_the_next_broker_counts_on_from_where_the_last_one_stopped(databases: BrokerDatabases) -> None:
    """T-LNK-6: taking over from another broker is no way to more guesses; a server that is away refuses."""
    (year,) = spans(INDEX, EPOCH, 20_000, 100)
    place = databases.fresh()
    before, after = StoredCounters(place), StoredCounters(place)
    before.take(20_000, "police", "index", {FAMILY: 200}, (year,))
    more = after.take(20_080, "police", "index", {FAMILY: 1}, (year,))
    databases.server.stop()
    with pytest.raises(LedgerUnavailable):
        after.take(20_080, "housing", "index", {FAMILY: 1}, (year,))
    databases.server.start()
    before.close()
    after.close()

    assert not more


COUNTED = st.dictionaries(st.sampled_from("abc"), st.integers(1, 5))
TAKEN = st.tuples(st.integers(0, 5), st.sampled_from(["police", "housing"]), COUNTED)


@settings(max_examples=30, deadline=None)
@given(st.lists(TAKEN, max_size=12))
def test_both_counters_decide_alike(calls: list[tuple[int, str, Mapping[str, int]]]) -> None:
    """The file counts exactly as the memory does, as days and longer spans go by."""

    def over(day: int) -> tuple[Span, Span]:
        return Span(f"day {day}", day, dict.fromkeys("abc", 9)), Span(
            f"{day // 3}", day // 3 * 3 + 2, dict.fromkeys("ab", 15)
        )

    with TemporaryDirectory() as folder:
        memory, stored = MemoryCounters(), StoredCounters(Path(folder) / "quota.db")
        decided = [
            tuple(counters.take(day, agency, "ask", wanted, over(day)) for counters in (memory, stored))
            for day, agency, wanted in sorted(calls, key=lambda call: call[0])
        ]
        stored.close()

    assert [ours for ours, _ in decided] == [theirs for _, theirs in decided]


def test_the_loop_is_never_held_for_long() -> None:
    """A thousand elements must not hold up answers: between families others get their turn."""
    elements = [element for _ in range(MAX_BATCH) for element in blind([b"x"])[1]]
    batches = [Batch(family.id, elements) for family in FAMILIES[:7]]
    turns = []

    async def watched() -> None:
        async def others() -> None:
            while True:
                turns.append(1)
                await asyncio.sleep(0)

        watcher = asyncio.create_task(others())
        await evaluate(
            batches,
            agency="police",
            epoch=EPOCH,
            use=INDEX,
            day=1,
            keys=KEYS,
            counters=MemoryCounters(),
            records=RECORDS,
        )
        watcher.cancel()

    asyncio.run(watched())

    assert len(turns) >= len(batches)


def test_the_server_sees_nothing_of_the_person() -> None:
    """T-LNK-1: of the same person asked twice, no element recurs, and no input or value is in the bytes sent."""

    async def served() -> list[bytes]:
        heard: list[bytes] = []

        class Listening(KeyServer):
            async def Evaluate(self, request, context):
                heard.append(request.SerializeToString())
                return await super().Evaluate(request, context)

        server = grpc.aio.server()
        servicer = Listening(
            KEYS, agency_of=lambda _: "police", counters=MemoryCounters(), records_of=lambda _: RECORDS, today=lambda: 1
        )
        keys_pb2_grpc.add_KeyServiceServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = keys_pb2_grpc.KeyServiceStub(channel)
            for _ in range(2):
                request = keys_pb2.EvaluateRequest(epoch=EPOCH, use=keys_pb2.KEY_USE_ASK)
                for family in FAMILIES:
                    inputs = [key.input for key in match_keys(JAMIE) if key.family == family.id]
                    request.batches.add(family=family.id, blinded=blind(inputs, 12)[1])
                await stub.Evaluate(request, timeout=60)
        await server.stop(None)
        return heard

    first, second = asyncio.run(served())
    elements = [
        {element for batch in keys_pb2.EvaluateRequest.FromString(sent).batches for element in batch.blinded}
        for sent in (first, second)
    ]

    assert not elements[0] & elements[1]
    for value in (b"jamie", b"thorley", b"20130309", b"md47qt", b"larkspur", *(key.input for key in match_keys(JAMIE))):
        assert value not in first + second
