"""Every call to a database fails once, with a family's name in the failure: nothing of it is told, written or shown.

Broker, steward, nodes and the asking side run as ever in one process; the call that fails is the n-th, for every n,
of each kind of request, on each party's own database.
"""

import asyncio
import itertools
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import prometheus_client
import pytest

from accord import agreement as agreements
from accord import answer as answers
from accord import signing
from accord.answer import NO, YES
from accord.reasons import Problem
from accord.v1 import common_pb2, node_pb2
from agency_node import capture
from broker import metrics
from tests.world import hostile
from tests.world import stack as worlds
from tests.world.failing_database import Faults, failing_databases

HOLDER: Final = "police"
ASKER: Final = "social-care"
TOLD: Final = {"ask_deadline_ms": 2_000, "node_deadline_ms": 1_500}
"""Short, because a broker whose database fails may wait in vain; nothing here must be in time but the last answer."""
TRIES: Final = 20
"""How often is asked afterwards till everything answers again."""
LEAST: Final = 1_000
"""Forced faults that the register asks for (T-PRV-1)."""
CANARY: Final = {
    "first_name": "Vexcanora",
    "last_name": "Vexcanathwaite",
    "date_of_birth": "2012-02-27",
    "sex": "female",
    "address": "81 Vexcana Parade",
    "postcode": "MD8 8VX",
    "nhs_number": "9990058598",
    "role": "child",
}
EARLY_HELP: Final = {"purpose": "early_help", "need_tier": 2, "significant_harm": False, "agencies": [HOLDER]}
TEXT: Final = f"near '{CANARY['last_name']}', {CANARY['date_of_birth']}: disk I/O error at {CANARY['postcode']}"
ERRORS: Final[dict[str, Callable[[], Exception]]] = {
    "operational": lambda: sqlite3.OperationalError(TEXT),
    "integrity": lambda: sqlite3.IntegrityError(TEXT),
    "corrupt": lambda: sqlite3.DatabaseError(TEXT),
    "programming": lambda: sqlite3.ProgrammingError(TEXT),
    "unforeseen": lambda: RuntimeError(TEXT),
    "key": lambda: KeyError(TEXT),
    "value": lambda: ValueError(TEXT),
    "memory": lambda: MemoryError(TEXT),
    "decoding": lambda: UnicodeDecodeError("utf-8", TEXT.encode(), 0, 1, TEXT),
}
"""What a driver may raise, and after these what it should not but some day will."""


@dataclass(slots=True)
class Told:
    """Everything that came out while databases failed.

    Attributes:
        errors: What askers, and whoever called, were told.
        words: Outcome -> how often.
    """

    errors: list[str] = field(default_factory=list)
    words: Counter[str] = field(default_factory=Counter)


Frame = node_pb2.AttachResponse
Request = Callable[[Frame], Awaitable[str]]
Ready = Callable[[], Awaitable[Frame]]


async def nothing() -> Frame:
    """What most requests need to be made ready."""
    return Frame()


async def each(
    party: str,
    faults: Faults,
    told: Told,
    request: Request,
    kinds: int = len(ERRORS),
    ready: Ready = nothing,
) -> None:
    """Fail the n-th call of a request, for every n, in every kind of way.

    Args:
        party: Whose database fails.
        faults: What fails it.
        told: What came out.
        request: Makes the request anew, and gives what came of it in a word.
        kinds: In how many kinds of ways.
        ready: Makes what the request needs, while nothing fails.
    """
    for make in itertools.islice(ERRORS.values(), kinds):
        for number in itertools.count(1):
            before = faults.forced
            made = await ready()
            with faults.at(number, make, party):
                try:
                    word = await request(made)
                except Problem as problem:
                    told.errors.append(f"{problem} {problem.args!r} {problem.reason} {getattr(problem, 'field', '')}")
                    word = problem.reason
            told.words[word] += 1
            if faults.forced == before:
                break


def said(outcome: Any) -> str:
    """What the holder is shown as saying."""
    (row,) = [one for one in outcome.agencies if one.agency == HOLDER]
    return " ".join([row.delivery, *(one.answer for one in row.answers)])


async def suffer(world: worlds.World, faults: Faults, told: Told) -> None:
    """Every kind of request, at every party."""
    protective = hostile.question([CANARY], agencies=[HOLDER])

    async def ask(_: Frame) -> str:
        return said(await world.ask(ASKER, protective))

    async def agree(_: Frame) -> str:
        (given,) = await world.agree(ASKER, [CANARY | {"given_by": "parent"}], responders=[HOLDER])
        last.append(given.agreement.record_id)
        return "agreed"

    async def withdraw(_: Frame) -> str:
        async with world.desk(ASKER) as desk:
            await capture.withdraw(desk.asker, last[-1], "self", desk.caller_token, desk.withdraw)
        return "withdrawn"

    last: list[str] = []
    await each("broker", faults, told, ask, 2)
    for party in (ASKER, "steward"):
        await each(party, faults, told, ask, 2)
    for party in ("broker", ASKER):
        await each(party, faults, told, agree, 2)
    await each("broker", faults, told, withdraw, 1)
    # The answering side by itself, without the wire: a hundred times as many for the same time.
    await world.stop(HOLDER)
    await world.start(HOLDER, attach=False)
    broker = hostile.DishonestBroker(world)
    public = world.federation.directory.agency(HOLDER).answer

    async def fresh(question: str = "agency.contact") -> Frame:
        made, _ = await hostile.prepared(world, protective | {"question": question})
        return await broker.frame(made.request, HOLDER)

    async def open_now() -> Frame:
        return await fresh("agency.open_now")

    asked: list[Frame] = []

    async def again() -> Frame:
        if not asked:
            asked.append(await fresh())
            await broker.hand(HOLDER, asked[0])
        return asked[0]

    async def head() -> Frame:
        return Frame(head=await broker.head(HOLDER))

    async def withdrawn() -> Frame:
        return withdrawal(world, hostile.new_id())

    async def handed(frame: Frame) -> str:
        stream = await broker.hand(HOLDER, frame)
        world.streams[HOLDER].up += stream.up
        opened = [answers.open_answer(one, node=HOLDER, answer_public=public) for one in stream.answers]
        return " ".join([one.slot("s1").answer for one in opened] or stream.alarms or ["nothing"])

    frames: tuple[Ready, ...] = (fresh, open_now, again, head, withdrawn)
    for make in frames:
        await each(HOLDER, faults, told, handed, ready=make)

    async def opened(_: Frame) -> str:
        with worlds.node.answerer(world.settings[HOLDER]):
            return "opened"

    async def indexed(_: Frame) -> str:
        await world.index(HOLDER)
        return "indexed"

    await each(HOLDER, faults, told, opened, 3)
    await each(HOLDER, faults, told, indexed, 3)


def withdrawal(world: worlds.World, record_id: str) -> Frame:
    """A withdrawal as the agency that took it signed it."""
    key = world.federation.agencies[ASKER].asking
    body = agreements.withdrawal_bytes(agreements.Withdrawal(record_id, ASKER, world.now_ns(), "parent"))
    signed = common_pb2.Signed(
        statement=body,
        signature=signing.sign(key, agreements.WITHDRAWAL_LABEL, body),
        key_id=signing.key_id(signing.public_bytes(key)),
    )
    return Frame(withdrawn=node_pb2.AgreementWithdrawn(withdrawal=signed))


@pytest.mark.prove
def test_no_database_fault_anywhere_lets_a_name_out(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """T-PRV-1, T-NET-1: a thousand faults; no canary outside the agency's records, and nobody known is denied.

    The control: the same search finds what the failing databases said, and afterwards everything answers again.
    """
    told = Told()

    async def body() -> tuple[dict[str, list[str]], int, str]:
        with failing_databases() as faults:
            records = {HOLDER: [worlds.held(1, CANARY, contacts=[worlds.ago(12, open_=True)])]}
            async with worlds.stack(tmp_path / "homes", records, broker_told=TOLD) as world:
                await suffer(world, faults, told)
                await world.stop(HOLDER)
                await world.start(HOLDER)
                for _ in range(TRIES):
                    after = said(await world.ask(ASKER, hostile.question([CANARY], agencies=[HOLDER])))
                    if after == f"ANSWERED {YES}":
                        break
                places = everything(world, told) | {"standard error": capfd.readouterr().err.encode()}
            return found_in(places), faults.forced, after

    found, forced, after = asyncio.run(body())
    control = worlds.found_in(TEXT.encode(), worlds.identifiers(CANARY))
    print(
        f"T-PRV-1 canaries_outside_node={len(found)} forced_faults={forced} control_found={len(control)} "
        f"no_from_fault={told.words[NO] + told.words[f'ANSWERED {NO}']} after={after!r} outcomes={dict(told.words)}"
    )

    assert {} == found
    assert 0 == told.words[NO] + told.words[f"ANSWERED {NO}"]
    assert forced >= LEAST
    assert len(control) > 0
    assert f"ANSWERED {YES}" == after


def everything(world: worlds.World, told: Told) -> dict[str, bytes]:
    """Place -> every byte of it: all that is written, sent, logged, counted and told."""
    places = {
        f"{party}/{name}": content
        for party in ("broker", "steward", *world.settings)
        for name, content in world.files(party).items()
    }
    for agency, stream in world.streams.items():
        places[f"stream down to {agency}"] = stream.received()
        places[f"stream up from {agency}"] = b"".join(frame.SerializeToString() for frame in stream.up)
    places["questions to the broker"] = b"".join(world.requests)
    places["log of the broker"] = world.logs[0].getvalue().encode()
    places["log of nodes and steward"] = world.logs[1].getvalue().encode()
    places["metrics"] = prometheus_client.generate_latest(metrics.REGISTRY)
    places["errors"] = "\n".join(told.errors).encode()
    return places


def found_in(places: dict[str, bytes]) -> dict[str, list[str]]:
    """Which canaries are where."""
    needles = worlds.identifiers(CANARY)
    return {place: hits for place, content in places.items() if (hits := worlds.found_in(content, needles))}
