"""The token index: complete or not used, resumed as if never interrupted, and no description kept."""

import asyncio
import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha512
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, select, text

from accord.canonical import decode_object
from accord.identity import MAX_KEYS, Description, MatchKey, describe, entries, match_keys
from accord.linkage import tag
from agency_node.index import (
    BATCH,
    READ,
    Built,
    Cause,
    IndexState,
    NoFullPass,
    Progress,
    RecordsVanished,
    Refreshed,
    Stage,
    Terms,
    TokenIndex,
    build,
    refresh,
    retire,
)
from agency_node.ledger import entries as ledger_entries
from agency_node.store import open_state, open_store, reading, writing
from agency_node.store.index import (
    IndexBusy,
    Indexed,
    begin,
    clear,
    finish,
    known,
    listing,
    mark,
    noted,
    only_job,
    put,
    remove_unseen,
)
from agency_node.store.tables import index_meta, index_record, index_token
from tests.world.node_state import BOTH, Place

ON_BOTH = pytest.mark.parametrize("place", BOTH, indirect=True)
TERMS = Terms(epoch="2026-11", key_servers="ab" * 32)
DAY_S = 86_400
AT_NS = 1_795_311_783_000_000_000
NODE = "police"


@dataclass(frozen=True)
class Row:
    """One invented person as the mapping would give it."""

    person_id: str
    description: Description
    unreadable: tuple[str, ...] = ()
    changed_at: str = ""

    def described(self) -> "Row":
        return self


@dataclass
class SimulatedAgency:
    """Rows that a test can change, add and take away."""

    rows: dict[str, Row]

    def people(self) -> Iterator[Row]:
        yield from self.rows.values()


@dataclass
class SimulatedKeyServers:
    """Tokens as a keyed function of the input, counting what was asked for; stops where a test says."""

    stops_at_call: int = -1
    asked: list[int] = field(default_factory=list)

    async def __call__(self, keys: Sequence[MatchKey]) -> list[bytes]:
        if len(self.asked) == self.stops_at_call:
            raise ConnectionError("the line is down")
        self.asked.append(len(keys))
        return [token_of(key) for key in keys]


def token_of(key: MatchKey) -> bytes:
    return sha512(b"epoch key" + key.input).digest()


def person(number: int, **changed: str) -> Description:
    names = ["Jamie", "Anne", "Stacey", "Omar", "Bronagh", "Kwame", "Priya"]
    raw = {
        "first_name": names[number % 7],
        "last_name": f"Calloway{chr(97 + number % 26)}{chr(97 + number // 26 % 26)}",
        "middle_names": "Marie",
        "date_of_birth": f"{1950 + number % 60}-{1 + number % 12:02}-{1 + number % 28:02}",
        "sex": "f",
        "address": f"{1 + number % 90} Larkspur Rise",
        "postcode": f"MD{1 + number % 9} {number % 10}Q{chr(65 + number % 26)}",
    }
    return describe(**(raw | changed))


def agency(count: int) -> SimulatedAgency:
    return SimulatedAgency({f"p{n}": Row(f"p{n}", person(n)) for n in range(count)})


def zeros(count: int) -> bytes:
    return bytes(count)


def run(
    engine: Engine,
    people: SimulatedAgency,
    servers: SimulatedKeyServers | None = None,
    *,
    terms: Terms = TERMS,
    at_ns: int = AT_NS,
    allow_vanishing: bool = False,
    seen: list[Progress] | None = None,
) -> Built:
    return asyncio.run(
        build(
            engine,
            people,
            servers or SimulatedKeyServers(),
            node_id=NODE,
            terms=terms,
            at_ns=at_ns,
            progress=(lambda one: None) if seen is None else seen.append,
            allow_vanishing=allow_vanishing,
            random=zeros,
        )
    )


def content(engine: Engine) -> tuple[set[tuple[object, ...]], str | None]:
    """Everything an index says, without row numbers."""
    joined = select(
        index_record.c.person_id,
        index_record.c.entry,
        index_record.c.row_hash,
        index_token.c.family,
        index_token.c.tag,
        index_token.c.token,
    ).join(index_token, index_token.c.record_id == index_record.c.id)
    with reading(engine) as connection:
        rows = {tuple(row) for row in connection.execute(joined)}
        statistics: str | None = connection.execute(select(index_meta.c.statistics)).scalar()
    return rows, statistics


def state(engine: Engine, terms: Terms = TERMS, now_ns: int = AT_NS, fresh_for_s: int = DAY_S) -> IndexState:
    return TokenIndex(engine).state(terms, now_ns=now_ns, fresh_for_s=fresh_for_s)


@pytest.fixture
def place(request: pytest.FixtureRequest, place_on: Callable[[str], Place]) -> Place:
    """A new state: in a file, unless a test is marked `ON_BOTH`."""
    return place_on(getattr(request, "param", "sqlite"))


def test_every_key_of_every_person_leads_back_to_that_person(store: Engine) -> None:
    """A person who is held and described alike must be found under every tag an asker would send."""
    people = agency(60)
    built = run(store, people)
    index = TokenIndex(store)

    missing = [
        (row.person_id, key.family)
        for row in people.rows.values()
        for key in match_keys(row.description)
        for hits in [index.candidates([tag(token_of(key), NODE)])]
        if not any(
            (hit.person_id, hit.family, hit.token) == (row.person_id, key.family, token_of(key))
            for found in hits.values()
            for hit in found
        )
    ]

    assert [] == missing
    assert (60, 60, 0, 0) == (built.people, built.changed, built.removed, built.without_keys)


def test_tags_of_another_node_or_person_find_nothing(store: Engine) -> None:
    """T-LNK-4: a node cannot look another node's tags up, and holds nothing for an unknown person."""
    run(store, agency(60))
    stranger = describe(first_name="Nobody", last_name="Atall", date_of_birth="1999-09-09", postcode="MD9 9ZZ")
    other_node = [tag(token_of(key), "housing") for key in match_keys(person(3))]
    strange = [tag(token_of(key), NODE) for key in match_keys(stranger)]

    assert {} == TokenIndex(store).candidates([*other_node, *strange])


def test_tokens_of_a_person_are_all_that_the_person_is_indexed_under(store: Engine) -> None:
    """Used to re-derive a commitment for somebody who was linked."""
    run(store, agency(10))

    found = TokenIndex(store).tokens_of("p3")

    expected = {(key.family, token_of(key)) for key in match_keys(person(3))}
    assert expected == set(found)
    assert len(expected) == len(found)
    assert () == TokenIndex(store).tokens_of("nobody")


@ON_BOTH
def test_earlier_names_are_further_entries_of_the_same_person(store: Engine) -> None:
    """The cheapest recall there is; keys that the record has anyway are not fetched twice."""
    married = replace(person(1), former_last=("thorley",), former_postcodes=("md47qt",))
    servers = SimulatedKeyServers()
    run(store, SimulatedAgency({"p1": Row("p1", married)}), servers)

    by_earlier_name = match_keys(replace(married, last="thorley", former_last=()))
    hits = TokenIndex(store).candidates([tag(token_of(key), NODE) for key in by_earlier_name])

    every = {key.input for entry in entries(married) for key in match_keys(entry)}
    assert {"p1"} == {hit.person_id for found in hits.values() for hit in found}
    assert len(by_earlier_name) == len(hits)
    assert [len(every)] == servers.asked


def test_no_description_is_in_the_file(store: Engine, tmp_path: Path) -> None:
    """T-LNK-1: whoever copies the state file learns record numbers and keyed values only."""
    rows = {f"p{n}": Row(f"p{n}", person(n % 40, last_name="Okonjoreyes")) for n in range(80)}
    run(store, SimulatedAgency(rows))
    store.dispose()

    written = b"".join(file.read_bytes() for file in tmp_path.iterdir()).lower()

    canaries = [b"okonjoreyes", b"larkspur", b"bronagh", b"19500101", *(person(n).postcode.encode() for n in range(9))]
    assert [] == [canary for canary in canaries if canary in written]
    assert b"p79" in written


# ---- refreshing -----------------------------------------------------------------------------------------------------


def test_only_changed_people_cost_tokens(store: Engine) -> None:
    """A refresh of an unchanged register asks the key servers for nothing."""
    people = agency(3 * BATCH)
    run(store, people)
    again = SimulatedKeyServers()
    nothing = run(store, people, again)
    people.rows["p7"] = Row("p7", person(7, last_name="Thorley"))
    people.rows["new"] = Row("new", person(499))
    del people.rows["p8"]
    changed = SimulatedKeyServers()

    built = run(store, people, changed)

    fresh = len(match_keys(people.rows["p7"].description)) + len(match_keys(people.rows["new"].description))
    assert (0, []) == (nothing.changed, again.asked)
    assert (2, 1, [fresh]) == (built.changed, built.removed, changed.asked)


@ON_BOTH
def test_a_refreshed_index_is_the_index_of_the_records_as_they_are(store: Engine, tmp_path: Path) -> None:
    """Nothing of an old name or of somebody who has gone stays behind."""
    people = agency(80)
    run(store, people)
    people.rows["p7"] = Row("p7", person(7, last_name="Thorley"))
    del people.rows["p8"]
    run(store, people)
    other = open_store(tmp_path / "other.db")
    run(other, people)

    assert content(other) == content(store)
    other.dispose()


@pytest.mark.parametrize("call", [0, 1, 2, 3])
def test_a_run_that_was_interrupted_goes_on_and_ends_as_one_run_would(store: Engine, tmp_path: Path, call: int) -> None:
    """T-OPS-6: people that were committed are not asked for again."""
    people = agency(4 * BATCH - 10)
    with pytest.raises(ConnectionError):
        run(store, people, SimulatedKeyServers(stops_at_call=call))
    half = state(store)
    resumed = SimulatedKeyServers()
    run(store, people, resumed)
    undisturbed = open_store(tmp_path / "other.db")
    run(undisturbed, people)

    assert Cause.INCOMPLETE == half.cause
    assert 4 - call == len(resumed.asked)
    assert content(undisturbed) == content(store)
    undisturbed.dispose()


def _killed(file: Path, url_file: Path | None) -> None:
    async def tokens(keys: Sequence[MatchKey]) -> list[bytes]:
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return [token_of(key) for key in keys]

    calls: list[int] = []
    engine = open_state(file, url_file)
    asyncio.run(
        build(engine, agency(4 * BATCH), tokens, node_id=NODE, terms=TERMS, at_ns=AT_NS, random=zeros),
    )


@ON_BOTH
def test_a_killed_process_leaves_an_index_that_is_finished_by_the_next(place: Place, tmp_path: Path) -> None:
    """The process is ended as a power cut would end it, between two batches."""
    process = multiprocessing.get_context("spawn").Process(target=_killed, args=(place.file, place.url_file))
    process.start()
    process.join()
    engine = place.open()
    half = state(engine)
    resumed = SimulatedKeyServers()
    run(engine, agency(4 * BATCH), resumed)
    undisturbed = open_store(tmp_path / "other.db")
    run(undisturbed, agency(4 * BATCH))

    assert -signal.SIGKILL == process.exitcode
    assert Cause.INCOMPLETE == half.cause
    assert 2 == len(resumed.asked)
    assert content(undisturbed) == content(engine)
    engine.dispose()
    undisturbed.dispose()


@ON_BOTH
def test_an_unfinished_index_names_nobody(store: Engine) -> None:
    """T-LNK-5: half an index must not be asked at all."""
    with pytest.raises(ConnectionError):
        run(store, agency(3 * BATCH), SimulatedKeyServers(stops_at_call=2))

    tags = [tag(token_of(key), NODE) for key in match_keys(person(0))]
    with reading(store) as connection:
        stored = connection.execute(text("SELECT count(*) FROM index_record")).scalar()
    assert 2 * BATCH == stored
    assert {} == TokenIndex(store).candidates(tags)
    assert () == TokenIndex(store).tokens_of("p0")
    assert TokenIndex(store).statistics() is None


# ---- when the index may answer --------------------------------------------------------------------------------------


def test_an_index_built_under_the_same_terms_is_ready(store: Engine) -> None:
    """Control for the mismatches below."""
    run(store, agency(10))

    assert IndexState(None, 10, AT_NS) == state(store)
    assert state(store).ready


MISMATCHES = {
    Cause.OTHER_EPOCH: replace(TERMS, epoch="2027-11"),
    Cause.OTHER_KEY_SERVERS: replace(TERMS, key_servers="cd" * 32),
    Cause.OTHER_NORMALISER: replace(TERMS, normaliser="0" * 64),
    Cause.OTHER_FAMILIES: replace(TERMS, families="0" * 64),
}


@pytest.mark.parametrize("cause", MISMATCHES)
def test_an_index_built_under_other_terms_says_so(store: Engine, cause: Cause) -> None:
    """T-LNK-5: under another key or form of names, nobody found does not mean nobody known."""
    run(store, agency(10))

    assert IndexState(cause) == state(store, MISMATCHES[cause])


def test_no_index_at_all_says_so(store: Engine) -> None:
    """T-LNK-5: a node that was just set up."""
    assert IndexState(Cause.MISSING) == state(store)


@pytest.mark.parametrize(("later_s", "cause"), [(DAY_S, None), (DAY_S + 1, Cause.STALE), (-1, Cause.STALE)])
def test_an_index_counts_only_while_it_is_fresh(store: Engine, later_s: int, cause: Cause | None) -> None:
    """T-LNK-5: whoever came into the records since is not in it; a clock that went back makes its age unknown."""
    run(store, agency(10))

    assert cause == state(store, now_ns=AT_NS + later_s * 1_000_000_000).cause


@ON_BOTH
def test_both_epochs_answer_while_the_keys_change(store: Engine) -> None:
    """The old index serves until the federation has moved; a retired epoch is erased."""
    coming = replace(TERMS, epoch="2027-11")
    run(store, agency(10))
    with pytest.raises(ConnectionError):
        run(store, agency(10), SimulatedKeyServers(stops_at_call=0), terms=coming)
    during = state(store).cause, state(store, coming).cause
    run(store, agency(10), terms=coming)
    both = state(store).cause, state(store, coming).cause
    retired = retire(store, TERMS.epoch)

    with reading(store) as connection:
        left = connection.execute(text("SELECT count(DISTINCT index_id), count(*) FROM index_record")).one()
        orphans = connection.execute(
            text("SELECT count(*) FROM index_token WHERE record_id NOT IN (SELECT id FROM index_record)")
        ).scalar()
    assert ((None, Cause.INCOMPLETE), (None, None), 1) == (during, both, retired)
    assert (Cause.OTHER_EPOCH, None) == (state(store).cause, state(store, coming).cause)
    assert ((1, 10), 0) == (tuple(left), orphans)


def test_an_index_for_a_new_normaliser_replaces_the_old_one_when_it_is_complete(store: Engine) -> None:
    """After an update of the program: the same epoch, another form of names."""
    old = replace(TERMS, normaliser="0" * 64)
    run(store, agency(10), terms=old)
    run(store, agency(10))

    assert (Cause.OTHER_NORMALISER, None) == (state(store, old).cause, state(store).cause)


# ---- records that cannot be right -----------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [0, 49])
def test_records_that_have_vanished_do_not_become_no(store: Engine, left: int) -> None:
    """T-LNK-5: an empty or cut-off file must not turn everybody into *no*."""
    run(store, agency(100))
    before = content(store)

    with pytest.raises(RecordsVanished):
        run(store, agency(left), at_ns=AT_NS + 1)

    assert before == content(store)
    assert AT_NS == state(store).built_at_ns


def test_an_agency_without_anybody_has_no_complete_index(store: Engine) -> None:
    """T-LNK-5: the first run on an empty export."""
    with pytest.raises(RecordsVanished):
        run(store, agency(0))

    assert Cause.INCOMPLETE == state(store).cause


def test_the_operator_may_say_that_people_are_really_gone(store: Engine) -> None:
    """After a transfer of cases to another agency."""
    run(store, agency(100))

    built = run(store, agency(10), allow_vanishing=True)

    assert (10, 90) == (built.people, built.removed)
    assert state(store).ready


def test_two_rows_with_one_number_stop_the_job(store: Engine) -> None:
    """One of two people would silently not be found."""
    rows = {"a": Row("p1", person(1)), "b": Row("p1", person(2))}

    with pytest.raises(ValueError, match="one number"):
        run(store, SimulatedAgency(rows))


def test_too_few_tokens_stop_the_job(store: Engine) -> None:
    """Tokens must not slip to the wrong key."""

    async def short(keys: Sequence[MatchKey]) -> list[bytes]:
        return [token_of(key) for key in keys][:-1]

    with pytest.raises(ValueError, match="not as many tokens"):
        asyncio.run(build(store, agency(3), short, node_id=NODE, terms=TERMS, at_ns=AT_NS))

    with reading(store) as connection:
        assert 0 == connection.execute(text("SELECT count(*) FROM index_record")).scalar()


def test_what_could_not_be_read_is_counted_and_never_shown(store: Engine) -> None:
    """The operator mends the mapping from counts; a person nobody can find is one of them."""
    people = agency(5)
    people.rows["p1"] = replace(people.rows["p1"], unreadable=("date_of_birth",))
    people.rows["p2"] = replace(people.rows["p2"], unreadable=("date_of_birth", "nhs_number"))
    people.rows["p3"] = Row("p3", describe(first_name="Jamie"))
    built = run(store, people)

    with reading(store) as connection:
        records = [decode_object(entry.body or b"") for entry in ledger_entries(connection)]
    assert {"date_of_birth": 2, "nhs_number": 1} == built.unreadable
    assert 1 == built.without_keys
    assert [("INDEX_BUILT", 5, 5, 1)] == [
        (record["kind"], record["people"], record["changed"], record["refused"]) for record in records
    ]


def test_progress_is_told_after_every_batch(store: Engine) -> None:
    """A bar that moves; on the first run it does not know how long it is."""
    count = 2 * BATCH + 1
    ends = [Stage.REMOVING, Stage.MEASURING]
    first: list[Progress] = []
    run(store, agency(count), seen=first)
    second: list[Progress] = []
    run(store, agency(count), seen=second)

    assert [
        *(Progress(done, 0, done) for done in (BATCH, 2 * BATCH, count)),
        *(Progress(count, 0, count, stage) for stage in ends),
    ] == first
    assert [Progress(count, count, 0), *(Progress(count, count, 0, stage) for stage in ends)] == second


# ---- statistics ----------------------------------------------------------------------------------------


@ON_BOTH
def test_statistics_for_scoring_come_with_the_key_of_their_hashes(store: Engine) -> None:
    """Frequencies can be looked up for a value that was opened, and not read off."""
    people = SimulatedAgency({f"p{n}": Row(f"p{n}", person(n, last_name="Thorley")) for n in range(30)})
    run(store, people)
    index = TokenIndex(store)

    found = index.statistics()

    assert found is not None
    statistics, key = found
    assert 30 == statistics.people
    assert (29, 0) == (statistics.others("last", "thorley", key), statistics.others("last", "calloway", key))
    assert found[0] is (index.statistics() or found)[0]


def test_statistics_follow_a_new_pass(store: Engine) -> None:
    """What is kept in memory must not outlive the pass that made it."""
    index = TokenIndex(store)
    run(store, agency(10))
    before = index.statistics()
    run(store, agency(12), at_ns=AT_NS + 1)
    after = index.statistics()

    assert before is not None
    assert after is not None
    assert (10, 12) == (before[0].people, after[0].people)


def test_what_is_stored_of_values_is_keyed(store: Engine) -> None:
    """T-LNK-1: the same name under another key is another hash."""
    run(store, SimulatedAgency({f"p{n}": Row(f"p{n}", person(n, last_name="Thorley")) for n in range(5)}))
    _, written = content(store)

    counts = json.loads(written or "{}")["counts"]["last"]
    assert [5] == list(counts.values())
    assert "thorley" not in str(written)


# ---- many people ----------------------------------------------------------------------------------------------------


def test_a_number_met_again_hundreds_of_people_later_stops_the_job(store: Engine) -> None:
    """One of two people would silently not be found; nothing in memory remembers the first of them."""
    rows = {str(n): Row(f"p{n}", person(n)) for n in range(READ + 40)} | {"again": Row("p3", person(3))}
    run(store, SimulatedAgency(dict(list(rows.items())[:-1])))

    with pytest.raises(ValueError, match="one number"):
        run(store, SimulatedAgency(rows))


def test_whoever_has_gone_is_removed_however_many_they_are(store: Engine) -> None:
    """T-LNK-5: removed a few hundred at a time, and nobody who is still there with them."""
    run(store, agency(700))

    built = run(store, agency(100), allow_vanishing=True)

    with reading(store) as connection:
        people = connection.execute(text("SELECT count(DISTINCT person_id) FROM index_record")).scalar()
        orphans = connection.execute(
            text("SELECT count(*) FROM index_token WHERE record_id NOT IN (SELECT id FROM index_record)")
        ).scalar()
    assert (600, 100, 0) == (built.removed, people, orphans)


@ON_BOTH
def test_one_job_at_a_time_works_on_an_index(store: Engine) -> None:
    """Two passes at once would take each other's people for gone."""
    run(store, agency(3))

    with only_job(store), pytest.raises(IndexBusy):
        run(store, agency(3))

    assert 0 == run(store, agency(3)).changed


@ON_BOTH
def test_a_job_writes_nothing_once_another_has_begun(store: Engine) -> None:
    """T-LNK-5: a server that restarts forgets who held the lock; the older job must not take the newer one's people."""
    with writing(store) as connection:
        older = begin(connection, asdict(TERMS), bytes(32))
        put(connection, older, [Indexed("p1", bytes(16), [[]])])
        newer = begin(connection, asdict(TERMS), bytes(32))
        put(connection, newer, [Indexed("p1", bytes(16), [[]]), Indexed("p2", bytes(16), [[]])])
    writes: list[Callable[[Connection], None]] = [
        lambda connection: put(connection, older, [Indexed("p3", bytes(16), [[]])]),
        lambda connection: mark(connection, older, ["p1"]),
        lambda connection: noted(connection, older, "2026-06-02"),
        lambda connection: finish(connection, older, 1, "{}", "", AT_NS),
    ]

    for write in writes:
        with pytest.raises(IndexBusy), writing(store) as connection:
            write(connection)
    with pytest.raises(IndexBusy):
        remove_unseen(store, older)

    with reading(store) as connection:
        assert {"p1", "p2"} == set(known(connection, newer.index_id, ["p1", "p2", "p3"]))


@ON_BOTH
def test_an_index_that_was_replaced_is_cleared_and_names_nobody_meanwhile(store: Engine) -> None:
    """T-LNK-5: half of an index that is being removed must not be asked."""
    old = replace(TERMS, normaliser="0" * 64)
    run(store, agency(10), terms=old)
    with writing(store) as connection:
        index = begin(connection, asdict(TERMS), bytes(32))
        finish(connection, index, 0, "{}", "", AT_NS)
    between = state(store, old).cause
    clear(store, 1)

    assert (Cause.INCOMPLETE, Cause.OTHER_NORMALISER) == (between, state(store, old).cause)


@ON_BOTH
def test_what_indexes_there_are_can_be_listed(store: Engine) -> None:
    """For the operator: which linkage keys, how many people, how large."""
    run(store, agency(10))

    (only,) = listing(store)

    tokens = sum(len(match_keys(person(n))) for n in range(10))
    assert (TERMS.epoch, True, 10, 10, AT_NS, tokens) == (
        *(only.epoch, only.complete, only.people, only.read, only.built_at_ns, only.tokens),
    )
    assert asdict(TERMS) == only.terms


# ---- between full passes --------------------------------------------------------------------------------------------


@dataclass
class ChangingAgency(SimulatedAgency):
    """Rows that say when they changed."""

    asked_since: list[str] = field(default_factory=list)

    def people_changed_since(self, watermark: str) -> Iterator[Row]:
        self.asked_since.append(watermark)
        yield from (row for row in self.rows.values() if row.changed_at >= watermark)


def changing(count: int) -> ChangingAgency:
    return ChangingAgency({f"p{n}": Row(f"p{n}", person(n), changed_at="2026-06-01") for n in range(count)})


def take_in(engine: Engine, people: ChangingAgency, servers: SimulatedKeyServers | None = None) -> Refreshed:
    return asyncio.run(refresh(engine, people, servers or SimulatedKeyServers(), node_id=NODE, terms=TERMS))


def test_a_changed_record_is_taken_in_and_nobody_else_is_asked_for(store: Engine) -> None:
    """A person who was registered an hour ago can be found before the night's full pass."""
    people = changing(100)
    run(store, people)
    people.rows["p7"] = Row("p7", person(7, last_name="Thorley"), changed_at="2026-06-02")
    people.rows["new"] = Row("new", person(499), changed_at="2026-06-03")
    del people.rows["p8"]
    servers = SimulatedKeyServers()

    done = take_in(store, people, servers)
    again = take_in(store, people, servers)

    keys = [*match_keys(person(7, last_name="Thorley")), *match_keys(person(499))]
    held = {hits[0].person_id for hits in TokenIndex(store).candidates([tag(token_of(k), NODE) for k in keys]).values()}
    assert (Refreshed(100, 2), Refreshed(1, 0)) == (done, again)
    assert [len(keys)] == servers.asked
    assert ["2026-06-01", "2026-06-03"] == people.asked_since
    assert {"p7", "new"} <= held


@pytest.mark.parametrize("stops_at_call", [0, 1, 2])
def test_a_job_that_stops_half_way_begins_again_at_the_same_time(store: Engine, stops_at_call: int) -> None:
    """T-LNK-5: the newest time is kept with the last of the changed people, or some would never be taken in."""
    people = changing(3 * BATCH)
    run(store, people)
    for number in range(2 * BATCH + 1):
        at = f"2026-06-{2 + number % 28:02}"
        people.rows[f"p{number}"] = Row(f"p{number}", person(number, last_name="Thorley"), changed_at=at)

    with pytest.raises(ConnectionError):
        take_in(store, people, SimulatedKeyServers(stops_at_call=stops_at_call))
    stopped = take_in(store, people)
    again = take_in(store, people)

    assert ["2026-06-01", "2026-06-01", "2026-06-29"] == people.asked_since
    assert 2 * BATCH + 1 >= stopped.changed >= 1
    assert (0, 0) == (again.changed, run(store, people).changed)


@ON_BOTH
def test_taking_in_changes_makes_no_index_fresher_and_removes_nobody(store: Engine) -> None:
    """T-LNK-5: a record may change without saying so, so *no* counts as of the last full pass only."""
    people = changing(100)
    run(store, people)
    del people.rows["p8"]
    people.rows["new"] = Row("new", person(499), changed_at="2026-06-03")

    take_in(store, people)

    assert IndexState(None, 100, AT_NS) == state(store)
    assert Cause.STALE == state(store, now_ns=AT_NS + (DAY_S + 1) * 10**9).cause
    assert TokenIndex(store).tokens_of("p8")


@ON_BOTH
def test_a_full_pass_after_taking_in_changes_ends_as_if_there_had_been_none(store: Engine, tmp_path: Path) -> None:
    """T-OPS-6: both ways lead to one index."""
    people = changing(100)
    run(store, people)
    people.rows["p7"] = Row("p7", person(7, last_name="Thorley"), changed_at="2026-06-02")
    take_in(store, people)
    del people.rows["p8"]
    built = run(store, people)
    other = open_store(tmp_path / "other.db")
    run(other, people)

    assert (0, 1) == (built.changed, built.removed)
    assert content(other) == content(store)
    other.dispose()


def test_changes_are_taken_in_only_where_a_full_pass_has_ended(store: Engine) -> None:
    """T-LNK-5: an index that was never whole would look complete."""
    with pytest.raises(NoFullPass, match="no complete index"):
        take_in(store, changing(10))
    with pytest.raises(ConnectionError):
        run(store, changing(3 * BATCH), SimulatedKeyServers(stops_at_call=1))
    with pytest.raises(NoFullPass, match="no complete index"):
        take_in(store, changing(10))


def test_records_that_say_no_times_take_full_passes(store: Engine) -> None:
    """The cure is said; nothing is guessed."""
    run(store, agency(10))

    with pytest.raises(NoFullPass, match="when they changed"):
        take_in(store, changing(10))


def test_a_new_name_keeps_the_old_one_findable_where_the_records_keep_it(store: Engine) -> None:
    """T-LNK-3: who married is asked about under either name for years; without the field the old name is gone."""
    people = changing(20)
    run(store, people)
    married = replace(person(7), last="thorley", former_last=(person(7).last,))
    people.rows["p7"] = Row("p7", married, changed_at="2026-06-02")
    forgotten = replace(person(8), last="thorley")
    people.rows["p8"] = Row("p8", forgotten, changed_at="2026-06-02")
    take_in(store, people)

    def only_by(name: Description, other: Description) -> set[bytes]:
        """Tags that depend on which of two names somebody is asked about under."""
        mine, theirs = ({key.input for key in match_keys(one)} for one in (name, other))
        return {tag(token_of(MatchKey("", one)), NODE) for one in mine - theirs}

    found = {}
    for number, new in ((7, married), (8, forgotten)):
        tags = only_by(person(number), new), only_by(new, person(number))
        found[number] = [TokenIndex(store).candidates(list(one)).keys() == one for one in tags]
    assert {7: [True, True], 8: [False, True]} == found


def test_earlier_names_and_postcodes_cost_a_bounded_number_of_keys() -> None:
    """Four of each at most, so that one record cannot fill an index."""
    most = describe(
        first_name="Christopher",
        last_name="Featherstonehaugh",
        middle_names="Marie",
        date_of_birth="1988-05-21",
        address="1 Larkspur Rise",
        postcode="MD4 7QT",
        sex="f",
        former_last_names=["Cholmondeley", "Wriothesley", "Leveson", "Marjoribanks"],
        former_postcodes=["MD1 1AA", "MD1 1AB", "MD1 1AC", "MD1 1AD"],
    )

    keys = {key.input for entry in entries(most) for key in match_keys(entry)}

    assert 9 == len(entries(most))
    assert len(keys) <= 9 * MAX_KEYS
    assert len(keys) > MAX_KEYS
