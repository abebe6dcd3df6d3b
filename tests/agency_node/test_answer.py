"""Every reason not to tell looks alike from outside; yes, no and cannot say have one size."""

import asyncio
import contextlib
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final, TypeVar

import pytest
from hypothesis import given as generated
from hypothesis import strategies as st

from accord import answer as answers
from accord.answer import Contact, SlotAnswer
from accord.canonical import decode_object, encode
from accord.v1 import broker_pb2
from agency_node.answer import Said, fold
from agency_node.refit import to_text
from tests.world import hostile
from tests.world import stack as worlds

Result = TypeVar("Result")


def somebody(first: str, last: str, sex: str, born: str, address: str, postcode: str) -> dict[str, Any]:
    """A child, as an asker would type them. Nobody shares a birth date or a postcode with anybody, save twins."""
    named = {"first_name": first, "last_name": last, "sex": sex}
    return named | {"date_of_birth": born, "address": address, "postcode": postcode, "role": "child"}


KNOWN: Final = somebody("Edda", "Farrowby", "female", "2013-05-17", "11 Candle Lane", "MD2 5CL")
NO_CONTACT: Final = somebody("Sven", "Gillingate", "male", "2012-09-01", "2 Ash Row", "MD3 5AR")
TWICE: Final = somebody("Orla", "Hexgrave", "female", "2011-01-20", "6 Bell Yard", "MD4 5BY")
TWIN: Final = somebody("Leah", "Ironmonger", "female", "2010-10-10", "9 Cross Walk", "MD5 5CW")
OTHER_TWIN: Final = TWIN | {"first_name": "Noah", "sex": "male"}
UNREADABLE: Final = somebody("Vera", "Jarrold", "female", "2014-03-30", "4 Dove Mews", "MD6 5DM")
GONE: Final = somebody("Ivor", "Kettlewell", "male", "2015-12-08", "8 Elm Drift", "MD7 5ED")
STRANGER: Final = somebody("Ursa", "Lambourne", "female", "2016-06-26", "3 Fern Gate", "MD8 5FG")
CHANGING: Final = {"statement", "jti", "query_id", "contacts", "question_version"}
"""Fields that are about the question: digests, numbers, what is sealed, and the version that was asked for."""


@dataclass(slots=True)
class Stage:
    """Real nodes that are handed frames, and the loop they run in."""

    runner: asyncio.Runner
    world: worlds.World
    broker: hostile.DishonestBroker

    def run(self, body: Awaitable[Result]) -> Result:
        async def inside() -> Result:
            return await body

        return self.runner.run(inside())


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    contact = [worlds.ago(20)]
    records = {
        "police": [
            worlds.held(1, KNOWN, contacts=contact),
            worlds.held(2, NO_CONTACT),
            worlds.held(3, TWICE, contacts=contact),
            worlds.held(4, TWICE),
            worlds.held(5, OTHER_TWIN, contacts=contact),
            worlds.held(6, UNREADABLE, contacts=contact),
            worlds.held(7, GONE, contacts=contact),
        ],
    }
    with asyncio.Runner() as runner:
        running = contextlib.AsyncExitStack()
        home = tmp_path_factory.mktemp("midshire") / "homes"
        world = runner.run(running.enter_async_context(worlds.stack(home, records, attach=False)))
        _spoil(world)
        try:
            yield Stage(runner, world, hostile.DishonestBroker(world))
        finally:
            runner.run(running.aclose())


def _spoil(world: worlds.World) -> None:
    """After the index was built: one person's record goes, another's contact gets a date that nobody can read."""
    with contextlib.closing(sqlite3.connect(_records(world))) as records, records:
        records.execute("DELETE FROM nominal WHERE nominal_ref = 'N/0000007'")
        records.execute(
            "UPDATE incident SET recorded = '99/99/2026', status = 'LIVE' WHERE incident_no IN"
            " (SELECT incident_no FROM incident_nominal WHERE nominal_ref = 'N/0000006')"
        )


def _records(world: worlds.World) -> Any:
    return world.home / "police" / "records" / "police.sqlite"


def request(stage: Stage, person: Mapping[str, Any] = KNOWN, **changes: Any) -> broker_pb2.AskRequest:
    asked = hostile.question([person], agencies=["police"], **changes)
    return stage.run(hostile.prepared(stage.world, asked))[0].request


def given(stage: Stage, made: broker_pb2.AskRequest, **warranted: Any) -> tuple[dict[str, Any], str]:
    """The body of the police's answer, and the cause in its own ledger."""

    async def hand() -> worlds.Stream:
        token = stage.broker.warrant(made, **warranted)
        return await stage.broker.hand("police", await stage.broker.frame(made, "police", token=token))

    (signed,) = stage.run(hand()).answers
    assert answers.ANSWER_BYTES == len(signed)
    public = stage.world.federation.directory.agency("police").answer
    answers.open_answer(signed, node="police", answer_public=public)
    length = int.from_bytes(signed[:2], "big")
    query_id = str(decode_object(made.core)["query_id"])
    cause = stage.broker.recorded("police", query_id)[-1].removeprefix("ANSWERED").strip()
    return dict(decode_object(signed[2 : 2 + length])), cause


def resigned(stage: Stage, made: broker_pb2.AskRequest, payload: bytes | None = None, **core: Any) -> Any:
    return hostile.resigned(stage.world, made, payload, **core)


@contextlib.contextmanager
def stale(stage: Stage) -> Iterator[None]:
    file = _records(stage.world)
    then = file.stat().st_mtime
    os.utime(file, (time.time() - 3 * 86_400,) * 2)
    yield
    os.utime(file, (then, then))


@contextlib.contextmanager
def no_tables(stage: Stage) -> Iterator[None]:
    """The agency renames a table that a query needs."""
    for one, other in (("incident", "elsewhere"), ("elsewhere", "incident")):
        with contextlib.closing(sqlite3.connect(_records(stage.world))) as records, records:
            records.execute(f"ALTER TABLE {one} RENAME TO {other}")
        if one == "incident":
            yield


def _stale(stage: Stage) -> tuple[dict[str, Any], str]:
    made = request(stage)
    with stale(stage):
        return given(stage, made)


def _no_tables(stage: Stage) -> tuple[dict[str, Any], str]:
    made = request(stage)
    with no_tables(stage):
        return given(stage, made)


def _early_help(stage: Stage, **changes: Any) -> tuple[dict[str, Any], str]:
    return given(stage, request(stage, purpose="early_help", need_tier=2, significant_harm=False, **changes))


CAUSES: Final[Mapping[str, Callable[[Stage], tuple[dict[str, Any], str]]]] = {
    "question_unknown": lambda stage: given(stage, resigned(stage, request(stage), question_version=2)),
    "other_rules": lambda stage: given(stage, request(stage), policy="ab" * 32),
    "GATEWAY_WRONG_PURPOSE": lambda stage: _early_help(stage, gateways={"police": "common_law_police"}),
    "AGREEMENT_NOT_THIS_PERSON alike": _early_help,
    "index_other_normaliser": lambda stage: given(stage, resigned(stage, request(stage), normaliser="00" * 32)),
    "index_other_families": lambda stage: given(stage, resigned(stage, request(stage), families="00" * 32)),
    "index_other_epoch": lambda stage: given(stage, resigned(stage, request(stage), epoch="2027-1")),
    "index_other_key_servers": lambda stage: given(stage, resigned(stage, request(stage), key_servers="00" * 32)),
    "envelope": lambda stage: given(stage, resigned(stage, request(stage), payload=b"no envelope")),
    "alike two_people": lambda stage: given(stage, request(stage, TWICE)),
    "alike weak": lambda stage: given(stage, request(stage, TWIN)),
    "alike record_gone": lambda stage: given(stage, request(stage, GONE)),
    "alike unreadable": lambda stage: given(stage, request(stage, UNREADABLE)),
    "alike stale": _stale,
    "alike records_unavailable": _no_tables,
}
"""What the node's own ledger says -> how to bring it about."""


def visible(body: Mapping[str, Any]) -> bytes:
    """What an onlooker can compare: everything but what is about the question, and how long the rest is."""
    kept = {name: value for name, value in body.items() if name not in CHANGING}
    return encode({**kept, "contacts": len(body["contacts"])})


def test_all_causes_of_cannot_say_look_alike(stage: Stage) -> None:
    """T-LNK-2, T-LNK-3, T-LNK-5: byte for byte, whoever looks cannot tell which; the node's own ledger can."""
    seen: dict[bytes, list[str]] = {}
    causes: dict[str, str] = {}
    for wanted, bring_about in CAUSES.items():
        body, cause = bring_about(stage)
        seen.setdefault(visible(body), []).append(wanted)
        causes[wanted] = cause
        assert {"CANNOT_SAY"} == {slot["a"] for slot in body["slots"]}
    print(f"T-LNK-2 sizes_equal=1 causes={len(CAUSES)} kinds_seen_outside={len(seen)}")

    assert {wanted: wanted for wanted in CAUSES} == causes
    assert [list(CAUSES)] == list(seen.values())


def test_yes_and_no_say_as_much_as_cannot_say(stage: Stage) -> None:
    """T-LNK-2: the same fields about the same twelve slots; a stranger and somebody without the fact are one no."""
    people = (KNOWN, NO_CONTACT, STRANGER)
    bodies = {person["last_name"]: given(stage, request(stage, person))[0] for person in people}
    words = {name: {slot["ref"]: slot["a"] for slot in body["slots"]} for name, body in bodies.items()}
    fields = {frozenset(body) for body in bodies.values()}

    assert ["YES", "NO", "NO"] == [words[person["last_name"]]["s1"] for person in people]
    assert {12} == {len(found) for found in words.values()}
    assert 1 == len(fields)
    assert visible(bodies["Gillingate"]) == visible(bodies["Lambourne"])


def test_what_a_family_is_told_of_each_is_said_about_each(stage: Stage) -> None:
    """T-LNK-3: a no is a no only where nobody in the question is unclear."""

    def asked(*people: Mapping[str, Any]) -> list[str]:
        made = stage.run(hostile.prepared(stage.world, hostile.question([*people], agencies=["police"])))[0].request
        body, _ = given(stage, made)
        return [slot["a"] for slot in body["slots"][: len(people)]]

    assert ["YES", "NO", "NO"] == asked(KNOWN, NO_CONTACT, STRANGER)
    assert ["YES", "CANNOT_SAY", "CANNOT_SAY"] == asked(KNOWN, TWICE, STRANGER)


def compared(stage: Stage) -> Counter[str]:
    """How records and descriptions agreed that the police have compared so far."""
    with contextlib.closing(sqlite3.connect(stage.world.home / "police" / "node.db")) as state:
        return Counter(dict(state.execute("SELECT pattern, sum(pairs) FROM opened_pattern GROUP BY pattern")))


def test_how_a_record_agreed_is_counted_once_and_only_where_something_opened(stage: Stage) -> None:
    """The counts that weights may be learnt from: one for each record compared, none for who is not held."""
    found = []
    made = request(stage, KNOWN)
    for one in (request(stage, STRANGER), made, made, request(stage, TWICE), request(stage, TWIN)):
        before = compared(stage)
        given(stage, one)
        found.append(compared(stage) - before)

    same = to_text((5, 5, 6, 3, 5, 1, -1, -1))
    twin = to_text((0, 5, 6, 3, 5, 0, -1, -1))
    assert [{}, {same: 1}, {}, {same: 2}, {twin: 1}] == found


def test_an_envelope_of_another_question_is_not_opened(stage: Stage) -> None:
    """T-SEC-2: what was sealed for one question opens for no other, even where its asker signs for it."""
    one, other = request(stage), request(stage, NO_CONTACT)

    body, cause = given(stage, resigned(stage, other, payload=one.node_parts[0].payload))

    assert ({"CANNOT_SAY"}, "envelope") == ({slot["a"] for slot in body["slots"]}, cause)


# -- A family as a whole -----------------------------------------------------------------------------------------------


SAID: Final = st.builds(
    lambda slot, cause, as_of_ns, contact: Said(slot, cause, contact, as_of_ns, ()),
    st.one_of(
        st.builds(
            lambda recency, linkage: SlotAnswer("s1", "YES", recency, linkage),
            st.sampled_from((*answers.RECENCIES, "")),
            st.sampled_from(answers.LINKAGES),
        ),
        st.just(SlotAnswer("s1", "NO")),
        st.just(SlotAnswer("s1", "CANNOT_SAY")),
    ),
    st.sampled_from(("", "weak", "withheld")),
    st.integers(0, 5),
    st.sampled_from((None, Contact("s1", "Youth engagement team", "Duty officer", "01632 960104"))),
)
DESK: Final = Contact("s1", "Safeguarding desk", "Duty officer", "01632 960100")


def told_of(slots: list[Said]) -> tuple[str, str, str]:
    """The slow way to a family's word: look for each word, how recent and how sure, one after the other."""
    for recency in ("OPEN_NOW", "WITHIN_3M", "WITHIN_12M", "WITHIN_3Y", "OLDER", ""):
        for one in slots:
            if one.slot.answer == "YES" and one.slot.recency == recency:
                unsure = [other for other in slots if other.slot.answer == "YES" and other.slot.linkage == "PROBABLE"]
                return "YES", recency, "PROBABLE" if unsure else "CONFIRMED"
    for one in slots:
        if one.slot.answer == "CANNOT_SAY":
            return "CANNOT_SAY", "", ""
    return "NO", "", ""


@generated(st.lists(SAID, min_size=12, max_size=12))
def test_a_family_has_one_word_in_every_slot(drawn: list[Said]) -> None:
    """T-LNK-2: yes if anybody is, no only if everybody is; word, recency and tier are alike in all slots."""
    slots = [replace(one, slot=replace(one.slot, ref=f"s{number}")) for number, one in enumerate(drawn, 1)]

    folded = fold(slots, DESK)

    assert {told_of(slots)} == {(one.slot.answer, one.slot.recency, one.slot.linkage) for one in folded}
    assert [one.slot.ref for one in slots] == [one.slot.ref for one in folded]
    assert [DESK] * (told_of(slots)[0] == "YES") == [one.contact for one in folded if one.contact is not None]
    assert [one.cause for one in slots] == [one.cause for one in folded]


@generated(st.lists(SAID, min_size=12, max_size=12), st.randoms(use_true_random=False))
def test_who_of_a_family_is_known_changes_nothing(drawn: list[Said], random: Random) -> None:
    """T-LNK-2: the same family in another order says the same, slot by slot; nobody's place is in the answer."""

    def outside(slots: list[Said]) -> list[tuple[SlotAnswer, Contact | None, int]]:
        numbered = [replace(one, slot=replace(one.slot, ref=f"s{number}")) for number, one in enumerate(slots, 1)]
        return [(one.slot, one.contact, one.as_of_ns) for one in fold(numbered, DESK)]

    assert outside(drawn) == outside(random.sample(drawn, len(drawn)))


def about_family(stage: Stage, *people: Mapping[str, Any], question: str = "family.known") -> dict[str, Any]:
    asked = hostile.question([*people], agencies=["housing", "police"], question=question)
    made = stage.run(hostile.prepared(stage.world, asked))[0].request
    return given(stage, made)[0]


def test_whoever_of_a_family_is_known_the_agencys_answer_is_one(stage: Stage) -> None:
    """T-LNK-2: known first, last, or together with others who cannot be told: what can be read is one."""
    families = [(KNOWN, STRANGER), (STRANGER, KNOWN), (NO_CONTACT, STRANGER, KNOWN), (TWICE, KNOWN), (TWIN, KNOWN)]
    bodies = [about_family(stage, *family) for family in families]

    assert {("YES", "WITHIN_3M", "CONFIRMED")} == {
        (slot["a"], slot["r"], slot["l"]) for body in bodies for slot in body["slots"]
    }
    assert 1 == len({visible(body) for body in bodies})


def test_a_family_is_not_known_only_if_nobody_in_it_is(stage: Stage) -> None:
    """T-LNK-3, T-LNK-5: no of strangers and of people without the fact; one unclear person is enough not to say."""
    words = [
        {slot["a"] for slot in about_family(stage, *family)["slots"]}
        for family in [(STRANGER, NO_CONTACT), (STRANGER, TWICE), (NO_CONTACT, TWIN)]
    ]

    assert [{"NO"}, {"CANNOT_SAY"}, {"CANNOT_SAY"}] == words


def test_an_answer_that_will_be_put_together_says_no_more_than_a_word(stage: Stage) -> None:
    """T-PRV-1: how recent is not part of it, and so says nothing of which agency it was."""
    body = about_family(stage, STRANGER, KNOWN, question="family.known_anywhere")

    assert {("YES", "")} == {(slot["a"], slot["r"]) for slot in body["slots"]}
