"""Words that occur nowhere else are planted in every field of people asked about and in every table of every agency.

After ordinary questions and every kind of failure, every byte that the broker, the steward, the nodes' own state, the
streams, the logs, the metrics and the error messages hold is searched for them.
"""

import asyncio
import base64
import contextlib
import gc
import itertools
import json
import sqlite3
import types
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import grpc.aio
import prometheus_client
import pytest

from accord import answer as answers
from accord.identity import MatchKey, match_keys
from accord.linkage import FamilyKey
from accord.reasons import Problem
from accord.v1 import broker_pb2, keys_pb2, node_pb2
from agency_node import __main__ as node_main
from agency_node import tokens
from agency_node.channel import dial
from agency_node.cli import people as typed
from broker import metrics
from deploy.demo import county
from tests.world import hostile
from tests.world import stack as worlds
from tests.world.failing_database import failing_databases

Result = TypeVar("Result")
ZYX: Final = {
    "first_name": "Zyxcanabel",
    "last_name": "Zyxcanathorn",
    "middle_names": "Zyxcanamid",
    "date_of_birth": "2013-11-27",
    "sex": "female",
    "address": "Flat 7, 93 Zyxcana Crescent",
    "postcode": "MD8 8ZX",
    "nhs_number": "9990030499",
    "former_last_names": ["Zyxcanaformer"],
    "former_postcodes": ["MD3 3ZX"],
    "role": "child",
}
KIN: Final = {
    "first_name": "Wqvcanadam",
    "last_name": "Wqvcanaheath",
    "date_of_birth": "1979-07-13",
    "sex": "male",
    "address": "Flat 7, 93 Zyxcana Crescent",
    "postcode": "MD8 8ZX",
    "role": "parent",
}
NEVER_ASKED: Final = {
    "first_name": "Jkxcanaruth",
    "last_name": "Jkxcanabrook",
    "middle_names": "Jkxcanamid",
    "date_of_birth": "1966-02-19",
    "sex": "female",
    "address": "40 Jkxcana Row",
    "postcode": "MD1 1JX",
    "nhs_number": "9990044503",
    "former_last_names": ["Jkxcanaformer"],
}
CASE: Final = "ZYXCANACASE-5521"
STAFF: Final = "zyxcanaworker"
TEAM: Final = "zyxcanateam"
NARRATIVE: Final = "Zyxcana narrative that no query asks for"
TABLE: Final = "zyxcanatable"
DATES: Final = (
    "2013-11-27",
    "20131127",
    "27/11/2013",
    "1979-07-13",
    "19790713",
    "1966-02-19",
    "19660219",
    "19/02/1966",
)
PLACES: Final = ("MD8 8ZX", "MD88ZX", "MD3 3ZX", "MD33ZX", "MD1 1JX", "MD11JX", "9990030499", "9990044503")
WORDS: Final = ("zyxcana", "wqvcana", "jkxcana")
ROUTE: Final = ("Multi-agency safeguarding desk", "01632 9601")
"""What an agency tells the asker to ring: sealed to the asker, so the broker has no business with it either."""


def needles(texts: Iterable[str]) -> dict[bytes, str]:
    """Every form in which a text might lie about: as it is, in capitals, small, UTF-16, base64 at any offset, hex."""
    found: dict[bytes, str] = {}
    for text in texts:
        for form in {text, text.upper(), text.lower(), text.capitalize()}:
            raw = form.encode()
            found |= dict.fromkeys((raw, form.encode("utf-16-le"), raw.hex().encode()), text)
            for start, encode in itertools.product(range(3), (base64.b64encode, base64.urlsafe_b64encode)):
                # Only the letters that do not depend on what stands before and after.
                first, end = -(-start * 8 // 6), (start + len(raw)) * 8 // 6
                found[encode(b"\0" * start + raw)[first:end]] = text
    return {needle: text for needle, text in found.items() if len(needle) >= 6}


NEEDLES: Final = needles((*WORDS, *DATES, *PLACES))


def hits(data: bytes, wanted: Mapping[bytes, str] = NEEDLES) -> set[str]:
    """Which canaries are in there, in any form."""
    return {text for needle, text in wanted.items() if needle in data}


@dataclass(slots=True)
class Told:
    """Everything that reached somebody who is not meant to know, and the world it came from."""

    world: worlds.World
    errors: list[str] = field(default_factory=list)

    def everything(self) -> dict[str, bytes]:
        """Place -> every byte of it."""
        places = {
            f"{party}/{name}": content
            for party in ("broker", "steward", "housing", "police", "social-care")
            for name, content in self.world.files(party).items()
        }
        for agency, stream in self.world.streams.items():
            places[f"stream down to {agency}"] = stream.received()
            places[f"stream up from {agency}"] = b"".join(frame.SerializeToString() for frame in stream.up)
        places["questions to the broker"] = b"".join(self.world.requests)
        places["log of the broker"] = self.world.logs[0].getvalue().encode()
        places["log of nodes and steward"] = self.world.logs[1].getvalue().encode()
        places["metrics"] = prometheus_client.generate_latest(metrics.REGISTRY)
        places["default metrics"] = prometheus_client.generate_latest()
        places["errors"] = "\n".join(self.errors).encode()
        return places


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(scope="module")
def told(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """A federation in which the set of stories below has been told."""
    people: tuple[dict[str, Any], ...] = (ZYX, KIN, NEVER_ASKED)
    child, kin, other = (
        worlds.held(number, row, contacts=[worlds.ago(9, TEAM, open_=True)], assessments=[_assessed()])
        for number, row in enumerate(people, 1)
    )
    running = contextlib.AsyncExitStack()
    home = tmp_path_factory.mktemp("midshire") / "homes"
    # Housing knows nobody of those asked about; police and social care know them all.
    records = {"police": [child, kin, other], "social-care": [child, kin, other], "housing": [other]}
    world = runner.run(running.enter_async_context(worlds.stack(home, records)))
    try:
        found = Told(world)
        runner.run(_stories(found))
        yield found
    finally:
        runner.run(running.aclose())


def _assessed() -> county.Assessment:
    return county.Assessment(worlds.ago(50).on, TEAM)


async def _stories(told: Told) -> None:
    world = told.world
    _add_narratives(world)
    both = hostile.question([ZYX, KIN | {"relates_to_child": True}], case=CASE)
    for question in ("agency.contact", "agency.open_now", "assessment.done"):
        outcome = await world.ask("social-care", both | {"question": question}, person=STAFF)
        assert ["ANSWERED", "ANSWERED"] == [one.delivery for one in outcome.agencies]
    (given,) = await world.agree("social-care", [ZYX | {"given_by": "parent"}], responders=["police"])
    early_help = {"purpose": "early_help", "need_tier": 2, "agencies": ["police"], "case": CASE}
    await world.ask("social-care", hostile.question([ZYX], **early_help), person=STAFF)
    await world.withdraw("housing", given.agreement.record_id)
    await world.ask("social-care", hostile.question([ZYX], **early_help), person=STAFF)
    for failing in _FAILURES:
        told.errors.append(await failing(world))
    await world.stop("police")
    await world.ask("social-care", both)
    await world.start("police")


def _add_narratives(world: worlds.World) -> None:
    """What agencies' tables hold beside what a question may touch."""
    for agency, table, file in (
        ("police", "incident", "police.sqlite"),
        ("social-care", "care_case", "social_care.sqlite"),
    ):
        with contextlib.closing(sqlite3.connect(world.home / agency / "records" / file)) as records, records:
            records.execute(f"ALTER TABLE {table} ADD COLUMN narrative TEXT")
            records.execute(f"UPDATE {table} SET narrative = ?", (NARRATIVE,))  # noqa: S608 # a fixed name
            records.execute(f"CREATE TABLE {TABLE} (secret TEXT)")
            records.execute(f"INSERT INTO {TABLE} VALUES (?)", (NARRATIVE,))  # noqa: S608 # a fixed name


# -- Failures, each of which hands somebody an error -------------------------------------------------------------------


async def _malformed_date(world: worlds.World) -> str:
    return await _text(lambda: world.ask("social-care", hostile.question([ZYX | {"date_of_birth": "Zyxcana 2013"}])))


async def _malformed_address(world: worlds.World) -> str:
    wrong = ZYX | {"nhs_number": "Zyxcana", "postcode": "Zyxcana Crescent"}
    return await _text(lambda: world.ask("social-care", hostile.question([wrong])))


async def _wrong_staff_token(world: worlds.World) -> str:
    token = world.staff_token("social-care", STAFF, change={"aud": "zyxcana"})

    async def sign_in() -> None:
        async with node_main.desk(world.settings["social-care"], token):
            pass

    return await _text(sign_in)


async def _garbage_caller_token(world: worlds.World) -> str:
    made, _ = await hostile.prepared(world, hostile.question([ZYX]))
    request = broker_pb2.AskRequest()
    request.CopyFrom(made.request)
    request.caller_token = "eyJ6eXhjYW5h.Zyxcana.Zyxcana"
    return await _sent(world, request.SerializeToString())


async def _garbage_statement(world: worlds.World) -> str:
    made, _ = await hostile.prepared(world, hostile.question([ZYX]))
    request = broker_pb2.AskRequest()
    request.CopyFrom(made.request)
    request.core = json.dumps(ZYX).encode()
    return await _sent(world, request.SerializeToString())


async def _no_protobuf(world: worlds.World) -> str:
    return await _sent(world, b"\xff" + json.dumps(ZYX).encode())


async def _unknown_field(world: worlds.World) -> str:
    # Field 999, length-delimited (https://protobuf.dev/programming-guides/encoding/): a field the contract lacks.
    text = b"Zyxcanathorn"
    return await _sent(world, b"\xba\x3e" + bytes([len(text)]) + text)


async def _unknown_method(world: worlds.World) -> str:
    return await _sent(world, b"", "/accord.v1.BrokerService/Zyxcana")


async def _broken_records(world: worlds.World) -> str:
    """The agency's own tables change under the node: whatever SQLite says of it stays inside."""
    file = world.home / "police" / "records" / "police.sqlite"
    with contextlib.closing(sqlite3.connect(file)) as records, records:
        records.execute(f"ALTER TABLE incident_nominal RENAME TO {TABLE}_links")
    try:
        outcome = await world.ask("social-care", hostile.question([ZYX], agencies=["police"]))
        return f"{outcome.agencies[0].delivery} {outcome.agencies[0].answers[0].answer}"
    finally:
        with contextlib.closing(sqlite3.connect(file)) as records, records:
            records.execute(f"ALTER TABLE {TABLE}_links RENAME TO incident_nominal")


_FAILURES: Final[tuple[Callable[[worlds.World], Awaitable[str]], ...]] = (
    _malformed_date,
    _malformed_address,
    _wrong_staff_token,
    _garbage_caller_token,
    _garbage_statement,
    _no_protobuf,
    _unknown_field,
    _unknown_method,
    _broken_records,
)


async def _text(failing: Callable[[], Awaitable[object]]) -> str:
    """Everything that a problem tells whoever meets it."""
    try:
        await failing()
    except Problem as problem:
        shown = {name: getattr(problem, name, "") for name in ("reason", "field", "cure")}
        return f"{type(problem).__name__} {problem} {shown} {problem.args!r}"
    raise AssertionError("that should have failed")


async def _sent(world: worlds.World, message: bytes, method: str = "/accord.v1.BrokerService/Ask") -> str:
    """Everything that a status tells whoever sent these bytes."""
    identity = world.answering["social-care"].home.identity()
    async with dial(world.settings["social-care"].broker, identity) as channel:
        call: Any = channel.unary_unary(method, None, None)
        try:
            await call(message, timeout=60.0)
        except grpc.aio.AioRpcError as error:
            return f"{error.code()} {error.details()} {error.trailing_metadata()} {error.debug_error_string()}"
    raise AssertionError("that should have failed")


# -- What must hold ----------------------------------------------------------------------------------------------------


def test_no_canary_is_anywhere_but_with_those_who_know_the_person(told: Told) -> None:
    """T-PRV-1, T-LNK-1: no name, date, place, case, member of staff or narrative, in any form, in any byte."""
    places = told.everything()
    found = {place: sorted(hits(data)) for place, data in places.items() if hits(data)}
    searched = sum(map(len, places.values()))
    print(f"T-LNK-1 canary_hits={len(found)} bytes_searched={searched} places={len(places)}")
    print(f"T-PRV-1 canaries_outside_node={len(found)} failures={len(told.errors)}")

    assert {} == found
    assert searched > 1_000_000


def test_the_broker_does_not_learn_whom_to_ring(told: Told) -> None:
    """T-LNK-1: contact routes pass the broker sealed to the asker."""
    wanted = needles(ROUTE)
    places = {place: data for place, data in told.everything().items() if "broker" in place or "stream" in place}
    found = {place: sorted(hits(data, wanted)) for place, data in places.items() if hits(data, wanted)}

    assert {} == found


def test_the_search_finds_what_is_there(told: Told) -> None:
    """The control: in the agencies' own databases, which were not searched above, every canary is found."""
    found: dict[str, set[str]] = {}
    for agency in ("police", "housing", "social-care"):
        folder = told.world.home / agency / "records"
        found[agency] = set().union(*(hits(path.read_bytes()) for path in folder.iterdir()))

    assert {"zyxcana", "wqvcana", "jkxcana", "27/11/2013", "MD8 8ZX"} <= found["police"]
    assert {"zyxcana", "wqvcana", "jkxcana", "2013-11-27", "MD8 8ZX", "9990030499"} <= found["social-care"]
    assert {"jkxcana", "19/02/1966", "MD11JX"} <= found["housing"]


@pytest.mark.parametrize("text", ["zyxcana", "2013-11-27", "MD8 8ZX", "9990030499"])
@pytest.mark.parametrize("before", [b"", b"x", b"xy"])
def test_the_search_finds_every_form(text: str, before: bytes) -> None:
    """The control of the forms: plain, in capitals, UTF-16, hexadecimal and both kinds of base64, at any offset."""
    raw = text.encode()
    hidden = [
        before + raw,
        before + raw.upper(),
        before + text.encode("utf-16-le"),
        (before + raw).hex().encode(),
        base64.b64encode(before + raw + b"tail"),
        base64.urlsafe_b64encode(before + raw + b"tail"),
    ]

    assert [True] * len(hidden) == [bool(hits(data)) for data in hidden]


def test_the_failures_were_met(told: Told) -> None:
    """The control of the errors: each failure really was one, and said no more than its code's own words."""
    assert [
        "BadDescription",
        "BadDescription",
        "StaffTokenRefused",
        "StatusCode.UNAUTHENTICATED",
        "StatusCode.UNAUTHENTICATED",
        "StatusCode.INVALID_ARGUMENT",
        "StatusCode.INVALID_ARGUMENT",
        "StatusCode.UNIMPLEMENTED",
        "ANSWERED",
    ] == [text.split()[0] for text in told.errors]
    assert "ANSWERED CANNOT_SAY" == told.errors[-1]


def test_a_node_that_does_not_know_the_person_holds_nothing_of_them_in_memory(told: Told) -> None:
    """T-LNK-4: everything that housing's node can reach is walked, object by object."""
    asked = {form: text for form, text in NEEDLES.items() if text not in {"jkxcana", "1966-02-19", "MD1 1JX", "MD11JX"}}
    asked = {form: text for form, text in asked.items() if not text.startswith(("19660219", "19/02", "9990044503"))}
    node = told.world.answering["housing"]
    objects, size, found = walk(node, asked)
    control = walk([node, {"left": ["behind", ZYX["last_name"]]}], asked)[2]
    print(f"T-LNK-4 canary_hits={len(found)} objects={objects} bytes_searched={size}")

    assert set() == found
    assert {"zyxcana"} == control
    assert objects > 5_000


def walk(start: object, wanted: Mapping[bytes, str]) -> tuple[int, int, set[str]]:
    """Every text and byte string that can be reached without leaving for other modules: objects, bytes, canaries."""
    seen: set[int] = set()
    waiting: list[object] = [start]
    size, found = 0, set[str]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, types.ModuleType | type | asyncio.AbstractEventLoop):
            continue
        seen.add(id(one))
        if isinstance(one, str | bytes | bytearray | memoryview):
            data = one.encode("utf-8", "replace") if isinstance(one, str) else bytes(one)
            size += len(data)
            found |= hits(data, wanted)
        elif isinstance(one, types.FunctionType):
            # Its globals are the whole program; what it was given is what it keeps.
            waiting += [one.__closure__, one.__defaults__, one.__kwdefaults__]
        else:
            waiting += gc.get_referents(one)
    return len(seen), size, found


# -- Key servers -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Listening:
    """A key server that keeps every byte it is sent."""

    keys: Mapping[str, FamilyKey]
    heard: list[bytes] = field(default_factory=list)

    async def Evaluate(
        self, request: keys_pb2.EvaluateRequest, /, *, timeout: float | None = None
    ) -> keys_pb2.EvaluateResponse:
        self.heard.append(request.SerializeToString())
        outputs = []
        for batch in request.batches:
            evaluated, proof = self.keys[batch.family].evaluate(list(batch.blinded))
            outputs.append(keys_pb2.FamilyOutput(family=batch.family, evaluated=evaluated, proof=proof))
        return keys_pb2.EvaluateResponse(outputs=outputs)


def test_key_servers_see_blinded_elements_only(told: Told, runner: asyncio.Runner) -> None:
    """T-LNK-4: nothing sent to a key server tells who is meant, and the same person asked about twice looks new."""
    federation = told.world.federation
    servers = [Listening(keys) for keys in federation.family_keys()]
    wanted: tuple[MatchKey, ...] = match_keys(typed.person(ZYX, 1).description)

    async def twice() -> list[list[bytes]]:
        return [
            await tokens.tokens(
                wanted,
                broker=servers[0],
                steward=servers[1],
                publics=node_main.publics(federation.directory),
                use=tokens.ASK,
                deadline_s=60.0,
                checkpoint="",
            )
            for _ in range(2)
        ]

    made = runner.run(twice())
    sent = b"".join(one for server in servers for one in server.heard)
    elements = [element for server in servers for one in server.heard for element in _elements(one)]
    inputs = {key.input for key in wanted}

    assert made[0] == made[1]
    assert set() == hits(sent)
    assert [] == [key for key in inputs if key in sent]
    assert len(elements) == len(set(elements))
    assert {32} == {len(element) for element in elements}


def _elements(request: bytes) -> list[bytes]:
    return [element for batch in keys_pb2.EvaluateRequest.FromString(request).batches for element in batch.blinded]


# -- Forced faults -----------------------------------------------------------------------------------------------------


def test_no_database_fault_lets_a_canary_out(told: Told, runner: asyncio.Runner) -> None:
    """T-PRV-1, T-NET-1: the n-th statement on the node's own state fails, for every n, with canaries in its text.

    What comes up the stream says nothing of it, and a person who is known is never denied because of it.
    """
    world, broker = told.world, hostile.DishonestBroker(told.world)
    runner.run(world.stop("police"))
    public = world.federation.directory.agency("police").answer
    up: list[bytes] = []
    words: Counter[str] = Counter()
    with failing_databases() as faults:
        runner.run(world.start("police", attach=False))
        for number in itertools.count(1):
            frame = runner.run(_fresh(broker))
            with faults.at(number, _fault, "police"):
                stream = runner.run(broker.hand("police", frame))
            up += [one.SerializeToString() for one in stream.up]
            opened = [answers.open_answer(one, node="police", answer_public=public) for one in stream.answers]
            words.update([one.slot("s1").answer for one in opened] or stream.alarms)
            if faults.counted < number:
                break
    logged = "".join(log.getvalue() for log in world.logs).encode()
    found = hits(b"".join(up)) | hits(logged)
    print(f"T-PRV-1 canaries_outside_node={len(found)} forced_faults={number - 1} outcomes={dict(words)}")

    assert set() == found
    assert 0 == words["NO"]
    assert faults.forced == number - 1 > 5


async def _fresh(broker: hostile.DishonestBroker) -> node_pb2.AttachResponse:
    made, _ = await hostile.prepared(broker.world, hostile.question([ZYX]))
    return await broker.frame(made.request, "police")


def _fault() -> Exception:
    return sqlite3.OperationalError("near 'Zyxcanathorn': disk I/O error at MD8 8ZX")
