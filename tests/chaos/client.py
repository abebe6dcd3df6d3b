"""Askers for chaos runs: one process, several questions at a time, and a history of all that it was told.

    python -m tests.chaos.client HOME HISTORY SEED AT_ONCE        until SIGTERM

Every question is prepared, sealed and signed as any other, and every reply is checked as any other. What makes them
cheap is that the tokens of the few people asked about are kept: asking the key servers is left out of most questions,
and every tenth goes to them all the same. A question whose outcome is not known is sent once more, as it is.

Lines of the history, JSON, in the order of time:

    invoke   a signed question is about to be sent      id, expected
    ok       a reply whose proof and signatures hold    id, kind, index, record, note, said
    bad      a reply that does not hold                 id, reason
    fail     the broker says that nothing was released  id, reason
    unknown  the connection broke, or nothing came      id, reason
    unasked  it could not be prepared                   reason
    serving, not_serving   the broker's health changed
"""

import asyncio
import json
import random
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TextIO

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from accord.canonical import b64
from accord.identity import MatchKey
from accord.reasons import Problem
from accord.v1 import broker_pb2_grpc
from agency_node import __main__ as node
from agency_node import asking
from agency_node import settings as node_settings
from agency_node.channel import Identity, problem_of
from agency_node.cli import people as typed
from tests.chaos.stack import ASK_S, ASKING, Known

UNKNOWN: Final = frozenset({"NODE_UNREACHABLE", "INTERNAL"})
"""Reasons after which nobody knows whether an answer was released."""
PAUSE_S: Final = 0.05
LOOK_S: Final = 0.05


@dataclass(slots=True)
class Teller:
    """Writes the history."""

    file: TextIO

    def tell(self, what: str, **fields: Any) -> None:
        """Add a line; it is with the kernel when this returns."""
        self.file.write(json.dumps({"what": what, "at": time.monotonic(), **fields}) + "\n")
        self.file.flush()


@dataclass(slots=True)
class Remembered:
    """Tokens, asked for once; the same keys always give the same tokens."""

    ask: asking.Tokens
    kept: dict[tuple[MatchKey, ...], list[bytes]] = field(default_factory=dict)

    async def __call__(self, wanted: Sequence[MatchKey]) -> list[bytes]:
        """As the key servers say, or said before."""
        keys = tuple(wanted)
        if keys not in self.kept:
            self.kept[keys] = await self.ask(wanted)
        return self.kept[keys]


@dataclass(slots=True)
class Asker:
    """One process's askers."""

    desk: node.Desk
    channel: grpc.aio.Channel
    teller: Teller
    chance: random.Random
    known: Sequence[Known]
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    up: asyncio.Event = field(default_factory=asyncio.Event)

    async def work(self, cheap: asking.Asker) -> None:
        """Put one question after the other, while there is a broker that can be reached."""
        while not self.stopping.is_set():
            if not self.up.is_set():
                await asyncio.sleep(PAUSE_S)
                continue
            person = self.chance.choice(self.known)
            asker = self.desk.asker if self.chance.random() < 0.1 else cheap
            inquiry, _ = typed.inquiry(question(person.row))
            try:
                prepared = await asking.prepare(asker, inquiry, self.desk.caller_token, self.desk.role)
            except Problem as problem:
                self.teller.tell("unasked", reason=problem.reason)
                await asyncio.sleep(PAUSE_S)
                continue
            if not await self.once(prepared, person.expected):
                # Once more as it is: the broker says what became of it, or asks it now.
                await asyncio.sleep(PAUSE_S)
                await self.once(prepared, person.expected)

    async def once(self, prepared: asking.Prepared, expected: Mapping[str, str]) -> bool:
        """Send a question and write down what comes; whether it is known what became of it."""
        query_id = prepared.core.query_id
        self.teller.tell("invoke", id=query_id, expected=expected)
        self.desk.asker.asked(prepared)
        try:
            response = await broker_pb2_grpc.BrokerServiceStub(self.channel).Ask(prepared.request, timeout=ASK_S + 2)
        except grpc.aio.AioRpcError as error:
            reason = problem_of(error).reason
            self.teller.tell("unknown" if reason in UNKNOWN else "fail", id=query_id, reason=reason)
            return reason not in UNKNOWN
        try:
            outcome = asking.check(self.desk.asker, prepared, response)
        except Problem as problem:
            self.teller.tell("bad", id=query_id, reason=problem.reason)
            return True
        self.desk.asker.shown(outcome)
        said = {
            one.agency: one.answers[0].answer if one.delivery == "ANSWERED" else one.delivery
            for one in outcome.agencies
        }
        self.teller.tell(
            "ok",
            id=query_id,
            kind=outcome.kind,
            index=outcome.ledger_index,
            record=b64(outcome.record),
            note=outcome.receipt.partition("\n\n")[2],
            said=said,
        )
        return True

    async def watch(self) -> None:
        """Look at the broker's health again and again."""
        was: bool | None = None
        while not self.stopping.is_set():
            serving = await self.serving()
            if serving is not was:
                self.teller.tell("serving" if serving else "not_serving")
                was = serving
            (self.up.set if serving else self.up.clear)()
            await asyncio.sleep(LOOK_S)

    async def serving(self) -> bool:
        """What the broker says of itself; no is what it cannot say."""
        try:
            found = await health_pb2_grpc.HealthStub(self.channel).Check(health_pb2.HealthCheckRequest(), timeout=1.0)
        except grpc.aio.AioRpcError:
            return False
        return bool(found.status == health_pb2.HealthCheckResponse.SERVING)


def question(row: Mapping[str, str]) -> dict[str, Any]:
    """A question about somebody, as a practitioner would put it."""
    return {
        "question": "agency.contact",
        "purpose": "s47_enquiry",
        "need_tier": 4,
        "significant_harm": True,
        "necessity": "assess_risk",
        "case": "case-1",
        "people": [dict(row)],
        "agencies": ["housing", "police"],
    }


def _dial(address: str, identity: Identity) -> grpc.aio.Channel:
    """A channel that looks for its broker again at once: how long an outage lasts is measured here."""
    credentials = grpc.ssl_channel_credentials(identity.authority, identity.key, identity.certificate)
    soon = [(f"grpc.{name}_reconnect_backoff_ms", 100) for name in ("initial", "min", "max")]
    return grpc.aio.secure_channel(address, credentials, options=soon)


async def run(home: Path, history: Path, seed: int, at_once: int) -> None:
    """Ask until told to stop."""
    settings = node_settings.load(home / ASKING / "node.toml")
    known = [Known(row, expected) for row, expected in json.loads((home / "known.json").read_text("utf-8"))]
    sign_in = (home / ASKING / "sign-in.jwt").read_text("ascii")
    with history.open("a", encoding="utf-8") as file, node.home(settings) as at:
        async with node.desk(settings, sign_in) as desk, _dial(settings.broker, at.identity()) as channel:
            asker = Asker(desk, channel, Teller(file), random.Random(seed), known)
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asker.stopping.set)
            cheap = replace(
                desk.asker,
                tokens=Remembered(desk.asker.tokens),
                subject_tokens=Remembered(desk.asker.subject_tokens),
            )
            await asyncio.gather(asker.watch(), *(asker.work(cheap) for _ in range(at_once)))


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
