"""Stories, one a file: what agencies hold, what was agreed, what is asked; and what everybody is told, keeps and saw.

A story has `people` and `facts` (agency -> records), may have an `agreement` and a `state` of an agency (down, stale,
other_normaliser, other_epoch), and then asks. `then` holds further steps of the same form, which may `withdraw` the
agreement, `replay` the very same question, or ask anew.

* `expect`: for each agency a word for each person (one for the family, where the question is about it as a whole), or
  `REFUSED` with codes, or `NOT_REACHED`; or one `error` for all. Where answers are put together, `together` is the one
  answer and an agency is only said to have `ANSWERED`; `left out` are those who were not asked about.
* `ledger`: every record that the broker's ledger gained. `nodes`: what each node's own ledger gained, beside heads.
* `saw`: `nothing` for an agency that was sent no question; `nobody` for one that could open nothing; else whom it could
  read about. The broker and the key servers see no identifier, ever; the runner looks at every byte they have.

All stories share one running federation, so people have different names in each.
"""

import asyncio
import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from accord import answer as answers
from accord import sealing
from accord.canonical import decode_object, from_rfc3339, rfc3339, sha256
from accord.identity import Description, describe, from_bytes
from accord.reasons import Problem
from accord.slot import parse_content
from accord.v1 import broker_pb2
from accord.working_days import end_of_next_working_day_ns
from agency_node import asking
from agency_node.cli import people as typed
from deploy.demo import county
from tests.world import stack as worlds
from tests.world.database_servers import DatabaseServer
from tests.world.state_servers import on_server

HERE: Final = Path(__file__).parent
BANK_HOLIDAYS: Final = frozenset(
    json.loads((Path(__file__).parents[2] / "policies/data/calendar/england.json").read_text())["days"]
)
AGENCIES: Final = ("housing", "police", "social-care")
DAYS_STALE: Final = 3


class _Words(yaml.SafeLoader):
    """YAML in which a date stays as it is written."""


_Words.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _read(path: Path) -> dict[str, Any]:
    story: dict[str, Any] = yaml.load(path.read_text("utf-8"), _Words)  # noqa: S506 # a safe loader
    return story


STORIES: Final = {path.stem: _read(path) for path in sorted(HERE.glob("*.yaml"))}


@dataclass(slots=True)
class Stage:
    """The one running federation, and the loop it runs in."""

    runner: asyncio.Runner
    world: worlds.World


TOLD_ON_A_SERVER: Final = ("family_known_anywhere", "family_of_three", "withdrawn")
"""Stories that are told once more with the state of these on a PostgreSQL server:"""
ON_A_SERVER: Final = ("broker", "steward", "police", "social-care")
_SERVER: Final = pytest.mark.needs("postgres", "initdb")
ON_FILES: Final = pytest.mark.parametrize("stage", ["sqlite"], indirect=True, scope="module")
EVERYWHERE: Final = pytest.mark.parametrize(
    ("stage", "name"),
    [
        *(pytest.param("sqlite", name, id=name) for name in STORIES),
        *(pytest.param("postgresql", name, id=f"{name} on a server", marks=_SERVER) for name in TOLD_ON_A_SERVER),
    ],
    indirect=["stage"],
    scope="module",
)


@pytest.fixture(scope="module")
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    states: dict[str, Path] = {}
    if request.param == "postgresql":
        server = request.getfixturevalue("state_server")
        states = on_server(server, tmp_path_factory.mktemp("addresses"), ON_A_SERVER)
    records: dict[str, list[county.Held]] = {agency: [] for agency in AGENCIES}
    for story in STORIES.values():
        for agency, rows in story.get("facts", {}).items():
            for row in rows:
                records[agency].append(_held(1_000 + len(records[agency]), row, story["people"]))
    with asyncio.Runner() as runner:
        running = contextlib.AsyncExitStack()
        home = tmp_path_factory.mktemp("midshire") / "homes"
        world = runner.run(running.enter_async_context(worlds.stack(home, records, states=states)))
        try:
            yield Stage(runner, world)
        finally:
            runner.run(running.aclose())


def _held(ref: int, row: Mapping[str, Any], people: Mapping[str, Mapping[str, Any]]) -> county.Held:
    written = {**people[row["person"]], **row.get("as", {})}
    return worlds.held(
        ref,
        written,
        contacts=[
            worlds.ago(one["days_ago"], one.get("team", "default"), open_=one.get("open", False))
            for one in row.get("contacts", [])
        ],
        assessments=[
            county.Assessment(worlds.ago(one["days_ago"]).on, one.get("team", "default"))
            for one in row.get("assessments", [])
        ],
        shielded=row.get("shielded", False),
    )


@dataclass(slots=True)
class Told:
    """One story as it is being told."""

    story: Mapping[str, Any]
    agreements: dict[str, str] = field(default_factory=dict)
    request: broker_pb2.AskRequest | None = None
    prepared: asking.Prepared | None = None
    first: asking.Outcome | None = None


@EVERYWHERE
def test_a_story_ends_as_it_is_written(stage: Stage, name: str) -> None:
    """T-LNK-1, T-LNK-2, T-LNK-3, T-LNK-5, T-CON-2, T-CON-3, T-NET-1, T-POL-3: each story says which it shows."""
    told = Told(STORIES[name])
    steps = [told.story, *told.story.get("then", [])]

    for number, step in enumerate(steps):
        happened = stage.runner.run(_step(stage.world, told, step))
        wanted = {part: step[part] for part in ("expect", "ledger", "nodes", "saw") if part in step}

        assert wanted == {part: happened[part] for part in wanted}, f"{name}, step {number + 1}"


@ON_FILES
def test_every_answer_of_every_story_had_one_size(stage: Stage) -> None:
    """T-LNK-2: yes, no and each cause of cannot say travel in 2,048 bytes; a refusal leaves no answer at all."""
    sizes = {len(answer) for stream in stage.world.streams.values() for answer in stream.answers}
    count = sum(len(stream.answers) for stream in stage.world.streams.values())
    print(f"T-LNK-2 sizes_equal={int(sizes == {answers.ANSWER_BYTES})} answers={count}")

    assert {answers.ANSWER_BYTES} == sizes


async def _step(world: worlds.World, told: Told, step: Mapping[str, Any]) -> dict[str, Any]:
    before = _counts(world)
    async with _as_it_is(world, step.get("state", {})):
        await _agree(world, told, step.get("agreement"))
        if "withdraw" in step:
            await world.withdraw(step["withdraw"]["at"], told.agreements[step["withdraw"]["for"]])
        expect = await _ask(world, told, step)
        return {
            "expect": expect,
            "ledger": [_line(one) for one in world.broker_records(before["broker"])],
            "nodes": {
                agency: [_line(one) for one in world.node_records(agency, before[agency]) if one["kind"] != "COSIGNED"]
                for agency in step.get("nodes", {})
            },
            "saw": _saw(world, told.story["people"], before["frames"]),
        }


def _counts(world: worlds.World) -> dict[str, Any]:
    return {
        "broker": len(world.broker_records()),
        "frames": {agency: len(world.streams[agency].questions) for agency in AGENCIES},
        **{agency: len(world.node_records(agency)) for agency in AGENCIES},
    }


async def _agree(world: worlds.World, told: Told, wanted: Mapping[str, Any] | None) -> None:
    if not wanted:
        return
    who = wanted["for"]
    rows = [{**told.story["people"][name], **wanted.get("given", {})} for name in who]
    more = {name: wanted[name] for name in ("questions", "purposes", "valid_days", "days_ago") if name in wanted}
    captured = await world.agree(wanted["at"], rows, responders=wanted["responders"], **more)
    told.agreements |= {name: one.agreement.record_id for name, one in zip(who, captured, strict=True)}


async def _ask(world: worlds.World, told: Told, step: Mapping[str, Any]) -> dict[str, Any]:
    people = told.story["people"]
    about = step.get("ask", told.story.get("ask", {})).get("about", [])
    try:
        if "ask" in step:
            outcome = await _first(world, told, step["ask"], people)
        elif "replay" in step:
            outcome = await _again(world, told, step["replay"])
        else:
            return {}
    except Problem as problem:
        return {"error": problem.reason}
    if outcome.question.of_family:
        whole = {one.agency: _of_family(one, outcome.left_out) for one in outcome.agencies}
    else:
        whole = {one.agency: _words(one, about) for one in outcome.agencies}
    together = {"together": outcome.word} if outcome.together else {}
    left_out = [name for number, name in enumerate(about, 1) if f"s{number}" in outcome.left_out]
    return whole | together | ({"left out": left_out} if left_out else {})


async def _first(
    world: worlds.World, told: Told, ask: Mapping[str, Any], people: Mapping[str, Mapping[str, Any]]
) -> asking.Outcome:
    value = {name: ask[name] for name in ask if name not in {"by", "about", "staff", "without"}}
    without = ask.get("without", {})
    rows = [
        {field: people[name][field] for field in people[name] if field not in without.get(name, ())}
        for name in ask["about"]
    ]
    value |= {"case": "CF-2041", "people": rows}
    inquiry, _ = typed.inquiry(value)
    async with world.desk(ask["by"], **ask.get("staff", {})) as desk:
        told.prepared = await asking.prepare(desk.asker, inquiry, desk.caller_token, desk.role)
        told.request = told.prepared.request
        outcome = asking.check(desk.asker, told.prepared, await desk.ask(told.request))
    told.first = outcome
    return outcome


async def _again(world: worlds.World, told: Told, replay: Mapping[str, Any]) -> asking.Outcome:
    """Send the very bytes of the story's last question once more."""
    if told.prepared is None or told.request is None:
        raise AssertionError("a story replays before it asks")
    async with world.desk(replay["by"], **replay.get("staff", {})) as desk:
        request = broker_pb2.AskRequest()
        request.CopyFrom(told.request)
        if replay.get("token") == "own":
            request.caller_token = desk.caller_token
        return asking.check(desk.asker, told.prepared, await desk.ask(request))


def _of_family(one: asking.AgencyOutcome, left_out: tuple[str, ...]) -> str:
    """What an agency says of a family as a whole; its delivery where its answer is not shown."""
    if not one.answers:
        return _without_answer(one)
    (word,) = {(said.answer, said.recency, said.linkage) for said in one.answers if said.ref not in left_out}
    return ", ".join(part for part in (*word, *(f"ring {contact.team}" for contact in one.contacts)) if part)


def _without_answer(one: asking.AgencyOutcome) -> str:
    return " ".join([one.delivery, *sorted({denial.code for denial in one.denials})])


def _words(one: asking.AgencyOutcome, about: list[str]) -> Any:
    if one.delivery != "ANSWERED":
        return _without_answer(one)
    rung = {contact.ref: contact for contact in one.contacts}
    found = {}
    for number, (name, said) in enumerate(zip(about, one.answers, strict=True), 1):
        words = [said.answer, said.recency, said.linkage]
        if f"s{number}" in rung:
            words.append(f"ring {rung[f's{number}'].team}")
        found[name] = ", ".join(word for word in words if word)
    return found


def _line(record: Mapping[str, Any]) -> str:
    """A record in a few words: its kind, the agency it is about, and codes."""
    words = [record["kind"]]
    if record["kind"] in {"ANSWERED", "NOT_REACHED"} and "agency" in record:
        words.append(record["agency"])
    words += [record[name] for name in ("cause", "reason") if name in record]
    words += ["emergency"] if record.get("purpose") == "emergency" else []
    words += sorted({_marked(target["obligations"], record["at"]) for target in record.get("targets", [])} - {""})
    if record["kind"] != "RELEASED":
        words += sorted({code for row in record.get("rows", []) for code in row["denials"]})
    words += sorted(record.get("codes", []))
    return " ".join(words)


def _marked(obligations: Mapping[str, str], at: str) -> str:
    """What a decision says of an emergency, its date compared with the calendar."""
    if "mark_break_glass" not in obligations:
        return ""
    due = end_of_next_working_day_ns(from_rfc3339(at), BANK_HOLIDAYS)
    on_time = "reviewed by the next working day" if obligations["review_by"] == rfc3339(due) else "reviewed some day"
    return f"{obligations['mark_break_glass']} {on_time}, holder of {obligations['notify_holder']} told"


def _saw(world: worlds.World, people: Mapping[str, Mapping[str, Any]], before: Mapping[str, int]) -> dict[str, Any]:
    """What each party could see of these people, from every byte that it was sent or keeps."""
    needles = [needle for row in people.values() for needle in worlds.identifiers(row)]
    sent = b"".join(world.requests)
    kept = {party: b"".join(world.files(party).values()) for party in ("broker", "steward", *AGENCIES)}
    kept["logs"] = "".join(log.getvalue() for log in world.logs).encode()
    found = {party: worlds.found_in(data, needles) for party, data in kept.items()}
    # A node's stream carries nothing readable even to an agency that knows the person, and its state keeps none.
    for agency in AGENCIES:
        found[agency] += worlds.found_in(world.streams[agency].received(), needles)
    found["broker"] += worlds.found_in(sent, needles)
    given_away = {party: hits for party, hits in found.items() if hits}
    saw: dict[str, Any] = {agency: _read_by(world, agency, people, before[agency]) for agency in AGENCIES}
    saw["broker"] = given_away.get("broker", "no identifier")
    saw["key servers"] = given_away.get("steward", "no identifier")
    return saw | {f"{party} keeps": hits for party, hits in given_away.items() if party not in {"broker", "steward"}}


def _read_by(world: worlds.World, agency: str, people: Mapping[str, Mapping[str, Any]], start: int) -> Any:
    """Whom an agency could read about: everything in the envelopes it was sent that its own tokens open."""
    questions = world.streams[agency].questions[start:]
    if not questions:
        return "nothing"
    node = world.answering[agency].frames.node
    names: list[str] = []
    for question in questions:
        core_digest = sha256(question.core)
        slots = sealing.open_envelope(question.part.payload, private=node.sealing_key, core_digest=core_digest)
        hits = node.index.candidates([tag for slot in slots for tag, _ in slot.wraps])
        for slot in slots:
            opened = sealing.open_slot(
                slot,
                {tag: [hit.token for hit in found] for tag, found in hits.items()},
                node_id=agency,
                query_id=str(decode_object(question.core)["query_id"]),
                core_digest=core_digest,
            )
            if opened is not None:
                names.append(_name(from_bytes(parse_content(opened).description), people))
    return sorted(names) or "nobody"


def _name(sent: Description, people: Mapping[str, Mapping[str, Any]]) -> str:
    for name, row in people.items():
        whole = describe(**{key: row[key] for key in typed.PERSON if key in row})
        if (whole.first, whole.last, whole.dob) == (sent.first, sent.last, sent.dob):
            return name if (sent.street, sent.postcode) == (whole.street, whole.postcode) else f"{name} without address"
    return "somebody else"


@contextlib.asynccontextmanager
async def _as_it_is(world: worlds.World, state: Mapping[str, str]) -> Any:
    """Put agencies into a state, and back afterwards."""
    async with contextlib.AsyncExitStack() as back:
        for agency, word in state.items():
            if word == "down":
                await world.stop(agency)
                back.push_async_callback(world.start, agency)
            elif word == "stale":
                for path in (world.home / agency / "records").iterdir():
                    then = path.stat().st_mtime
                    back.callback(os.utime, path, (then, then))
                    old = time.time() - DAYS_STALE * 86_400
                    os.utime(path, (old, old))
            elif word in {"other_normaliser", "other_epoch"}:
                column = word.removeprefix("other_")
                was = _index_meta(world, agency, column, "0" * 64)
                back.callback(_index_meta, world, agency, column, was)
            else:
                raise AssertionError(f"no such state: {word}")
        yield


def _index_meta(world: worlds.World, agency: str, column: str, value: str) -> str:
    with contextlib.closing(sqlite3.connect(world.settings[agency].database)) as connection, connection:
        found: str = connection.execute(f"SELECT {column} FROM index_meta").fetchone()[0]  # noqa: S608 # a fixed name
        connection.execute(f"UPDATE index_meta SET {column} = ?", (value,))  # noqa: S608 # a fixed name
    return found


# -- State on a server ------------------------------------------------------------------------------------------------

ON_ONE_SERVER: Final = pytest.mark.parametrize(
    "stage", [pytest.param("postgresql", marks=_SERVER)], indirect=True, scope="module"
)
HEALS_S: Final = 120.0
"""Longest wait till everybody has healed, seconds; it bounds hanging and judges no speed."""


async def _told_of_mark(world: worlds.World) -> dict[str, str]:
    """What the police say of somebody whom they know; or the reason why nothing is said."""
    story = STORIES["family_of_three"]
    ask = {**story["ask"], "about": ["mark"]}
    try:
        outcome = await _first(world, Told(story), ask, story["people"])
    except Problem as problem:
        return {"error": problem.reason}
    return {one.agency: one.answers[0].answer if one.answers else one.delivery for one in outcome.agencies}


async def _until_told(world: worlds.World) -> list[dict[str, str]]:
    """Ask till they say yes, and give all that was said."""
    said = [await _told_of_mark(world)]
    async with asyncio.timeout(HEALS_S):
        while said[-1] != {"police": "YES"}:
            await asyncio.sleep(0.2)
            said.append(await _told_of_mark(world))
    return said


@ON_ONE_SERVER
def test_a_node_without_its_database_is_not_reached_and_heals(stage: Stage, state_server: DatabaseServer) -> None:
    """T-OPS-1, T-LNK-3: what it could not record it does not say, and *no* is not what it says instead."""
    name = stage.world.states["police"].name.partition(".")[0]
    stage.runner.run(_until_told(stage.world))
    state_server.run(
        f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false',
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",  # noqa: S608 # our own name
    )
    try:
        away = [stage.runner.run(_told_of_mark(stage.world)) for _ in range(2)]
    finally:
        state_server.run(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')

    healing = stage.runner.run(_until_told(stage.world))

    assert [{"police": "NOT_REACHED"}] * 2 == away
    assert "NO" not in {said.get("police") for said in healing}


@pytest.mark.prove
@ON_ONE_SERVER
def test_everybody_heals_when_the_server_has_restarted(stage: Stage, state_server: DatabaseServer) -> None:
    """T-OPS-1, T-AUD-2: it is ended at once, as by a crash; every ledger holds what was acknowledged, and goes on."""
    world = stage.world
    stage.runner.run(_until_told(world))
    before = {agency: world.node_records(agency) for agency in AGENCIES} | {"broker": world.broker_records()}
    state_server.stop()
    away = stage.runner.run(_told_of_mark(world))
    state_server.start()

    started = time.monotonic()
    healing = stage.runner.run(_until_told(world))
    healed_s = time.monotonic() - started

    after = {agency: world.node_records(agency) for agency in AGENCIES} | {"broker": world.broker_records()}
    lost = sum(before[party] != after[party][: len(before[party])] for party in before)
    false_no = sum(said.get("police") == "NO" for said in (away, *healing))
    print(f"T-OPS-1 engine=postgresql parties=4 healed_s={healed_s:.1f} ledgers_changed={lost} false_no={false_no}")
    assert {"error"} == set(away)
    assert (0, 0) == (lost, false_no)
    assert len(before["police"]) < len(after["police"])
