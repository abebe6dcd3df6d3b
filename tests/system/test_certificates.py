"""Only the right certificate speaks for an agency, at the broker and at the steward, over real TLS (T-SEC-4)."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from accord.directory import Member
from accord.v1 import audit_pb2, audit_pb2_grpc, broker_pb2, broker_pb2_grpc, keys_pb2, keys_pb2_grpc, node_pb2
from accord.v1 import node_pb2_grpc as node_grpc
from tests.world import gates, hostile, trust
from tests.world import stack as worlds

CALL_S: Final = 60.0
PERSON: Final = {
    "first_name": "Perdita",
    "last_name": "Hallowby",
    "date_of_birth": "2014-06-02",
    "sex": "female",
    "address": "3 Drovers End",
    "postcode": "MD1 5CB",
    "role": "child",
}
OURS: Final = Member("midshire", "agency", "social-care")
REFUSED: Final = {
    grpc.StatusCode.UNAVAILABLE,  # TLS hung up
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
}
Shown = tuple[bytes | None, bytes | None]


def signed(world: worlds.World, member: Member, **change: Any) -> Shown:
    """A certificate that the federation's own authority signed for any name, with a key of its own."""
    private = trust.make_federation(agencies=["social-care"]).agencies["social-care"].channel.private
    certificate = world.federation.certificate(member, private, **change)
    channel = trust.Channel(private, certificate)
    return channel.certificate_pem, channel.key_pem


def own(world: worlds.World, **change: Any) -> Shown:
    """A certificate for social care's own key."""
    channel = world.federation.agencies["social-care"].channel
    certificate = world.federation.certificate(OURS, channel.private, **change)
    return trust.Channel(channel.private, certificate).certificate_pem, channel.key_pem


def elsewhere(world: worlds.World) -> Shown:
    """Social care of a federation of the same name, with another authority."""
    channel = trust.make_federation(agencies=["social-care"]).agencies["social-care"].channel
    return channel.certificate_pem, channel.key_pem


def named(world: worlds.World, uri: str) -> Shown:
    """A certificate for social care's own key under any name at all."""
    channel = world.federation.agencies["social-care"].channel
    certificate = world.federation.certificate(Named(uri), channel.private)  # type: ignore[arg-type]  # no member's name
    return trust.Channel(channel.private, certificate).certificate_pem, channel.key_pem


@dataclass(frozen=True, slots=True)
class Named:
    """A name that no member can have."""

    uri: str


WRONG: Final[dict[str, Callable[[worlds.World], Shown]]] = {
    "none": lambda world: (None, None),
    "of another authority": elsewhere,
    "expired": lambda world: own(world, not_before=datetime.now(UTC) - timedelta(days=2)),
    "not valid yet": lambda world: own(world, not_before=datetime.now(UTC) + timedelta(hours=2)),
    "for another key than the directory's": lambda world: signed(world, OURS),
    "of another federation": lambda world: signed(world, Member("otherwick", "agency", "social-care")),
    "of an agency that was put out": lambda world: signed(world, Member("midshire", "agency", "probation")),
    "of a name with something behind it": lambda world: named(world, "spiffe://midshire/agency/social-care/node"),
    "of a name in capitals": lambda world: named(world, "spiffe://MIDSHIRE/agency/social-care"),
    "of a name in escapes": lambda world: named(world, "spiffe://midshire/agency/%73ocial-care"),
    "of a web page": lambda world: named(world, "https://midshire/agency/social-care"),
    "of no agency": lambda world: named(world, "spiffe://midshire/agency//x"),
}


class NothingCame(Exception):
    """No frame came down a stream."""


async def knock(world: worlds.World, where: str, shown: Shown) -> list[str]:
    """Call everything that broker or steward offers, with a certificate; the names of the calls that were let in."""
    address: str = getattr(world.settings["social-care"], where)
    credentials = grpc.ssl_channel_credentials(world.federation.ca_pem, shown[1], shown[0])
    let_in = []
    async with grpc.aio.secure_channel(address, credentials) as channel:

        async def attach() -> None:
            hello = iter([node_pb2.AttachRequest(hello=node_pb2.Hello(directory_version=1))])
            stream = node_grpc.NodeSessionServiceStub(channel).Attach(hello, timeout=CALL_S)
            # When the other side ends a stream while we still write, the library may lose its code.
            with contextlib.suppress(grpc.aio.AioRpcError):
                if await stream.read() is not grpc.aio.EOF:
                    return
            raise NothingCame

        broker = broker_pb2_grpc.BrokerServiceStub(channel)
        calls: dict[str, Callable[[], Any]] = {
            "ListQuestions": lambda: broker.ListQuestions(broker_pb2.ListQuestionsRequest(), timeout=CALL_S),
            "Ask": lambda: broker.Ask(broker_pb2.AskRequest(), timeout=CALL_S),
            "Attach": attach,
            "Evaluate": lambda: keys_pb2_grpc.KeyServiceStub(channel).Evaluate(
                keys_pb2.EvaluateRequest(epoch="2026-1"), timeout=CALL_S
            ),
            "ListEntries": lambda: audit_pb2_grpc.AuditServiceStub(channel).ListEntries(
                audit_pb2.ListEntriesRequest(), timeout=CALL_S
            ),
            "Check": lambda: health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=CALL_S),
        }
        offered = {"broker": tuple(calls), "steward": ("Evaluate", "Check")}[where]
        for name, call in ((name, calls[name]) for name in offered):
            try:
                await call()
            except NothingCame:
                pass
            except grpc.aio.AioRpcError as error:
                if error.code() not in REFUSED:
                    let_in.append(name)
            else:
                let_in.append(name)
    return let_in


@pytest.mark.parametrize("where", ["broker", "steward"])
@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_certificate_opens_nothing(living: worlds.World, what: str, where: str) -> None:
    """T-SEC-4: no call of any service gets past TLS or past the directory: accepted=0."""
    assert [] == asyncio.run(knock(living, where, WRONG[what](living)))


def test_the_right_certificate_is_let_in(living: worlds.World) -> None:
    """Control: what the test above knocks with is heard when it is right; an empty question is not."""
    assert ["ListQuestions", "Evaluate", "Check"] == asyncio.run(knock(living, "broker", own(living)))
    assert ["Evaluate", "Check"] == asyncio.run(knock(living, "steward", own(living)))


@pytest.mark.parametrize("role", ["steward", "broker"])
def test_another_role_may_not_do_what_agencies_do(living: worlds.World, role: str) -> None:
    """T-SEC-4: neither of the centre's own certificates can ask a question or fetch a token."""
    channel = {"steward": living.federation.steward.channel, "broker": living.federation.broker.channel}[role]
    shown = (channel.certificate_pem, channel.key_pem)

    assert {"steward": ["Check"], "broker": ["ListEntries", "Check"]}[role] == asyncio.run(
        knock(living, "broker", shown)
    )
    assert ["Check"] == asyncio.run(knock(living, "steward", shown))


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("where", ["broker", "steward"])
def test_old_tls_is_refused(living: worlds.World, where: str) -> None:
    """T-SEC-4: nothing below TLS 1.2 is spoken (RFC 8996, https://www.rfc-editor.org/rfc/rfc8996)."""
    host, _, port = getattr(living.settings["social-care"], where).rpartition(":")
    home = living.home / "police"

    def speak(newest: ssl.TLSVersion) -> str:
        context = ssl.create_default_context(cafile=str(home / "ca.pem"))
        context.load_cert_chain(home / "tls.crt", home / "tls.key")
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = newest
        context.set_alpn_protocols(["h2"])
        try:
            with (
                socket.create_connection((host, int(port)), CALL_S) as plain,
                context.wrap_socket(plain, server_hostname=host) as tls,
            ):
                return str(tls.version())
        except (ssl.SSLError, ConnectionError):
            return "refused"

    assert "TLSv1.2" == speak(ssl.TLSVersion.TLSv1_2)
    assert ["refused", "refused"] == [speak(ssl.TLSVersion.TLSv1), speak(ssl.TLSVersion.TLSv1_1)]


def test_one_agencys_key_cannot_speak_for_another(living: worlds.World) -> None:
    """T-SEC-4: housing's key under social care's name, as a careless authority might sign it, opens nothing."""
    housing = living.federation.agencies["housing"].channel
    certificate = living.federation.certificate(OURS, housing.private)
    shown = (trust.Channel(housing.private, certificate).certificate_pem, housing.key_pem)

    assert [] == asyncio.run(knock(living, "broker", shown))


def test_a_question_under_another_certificate_of_the_same_agency_is_refused(living: worlds.World) -> None:
    """T-SEC-4, T-SEC-2: what a member of staff signed for goes over the certificate it is bound to, and no other."""
    assert ["UNAUTHENTICATED UNAUTHENTICATED", "OK"] == asyncio.run(bound(living))


async def bound(world: worlds.World) -> list[str]:
    """What comes of a question over a renewed certificate of its own agency, and over the one it was bound to."""
    ours = world.federation.agencies["social-care"].channel
    found = []
    for certificate, key in (own(world), (ours.certificate_pem, ours.key_pem)):
        made, _ = await hostile.prepared(world, hostile.question([PERSON]))
        credentials = grpc.ssl_channel_credentials(world.federation.ca_pem, key, certificate)
        async with grpc.aio.secure_channel(world.settings["social-care"].broker, credentials) as channel:
            try:
                await broker_pb2_grpc.BrokerServiceStub(channel).Ask(made.request, timeout=CALL_S)
                found.append("OK")
            except grpc.aio.AioRpcError as error:
                found.append(gates.told(error))
    return found


@pytest.mark.prove
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_nobody_speaks_for_an_agency_but_its_own_certificate(living: worlds.World) -> None:
    """T-SEC-4: everything above at both listeners, counted; the control is the right certificate."""
    accepted: list[str] = []
    cases = 0
    for where in ("broker", "steward"):
        for what, make in WRONG.items():
            cases += 1
            accepted += [f"{what} at the {where}: {call}" for call in asyncio.run(knock(living, where, make(living)))]
        cases += 1
        address = getattr(living.settings["social-care"], where)
        accepted += [f"old TLS at the {where}"] if gates.old_tls(address, living.federation) != "refused" else []
    housing = living.federation.agencies["housing"].channel
    crossed = trust.Channel(housing.private, living.federation.certificate(OURS, housing.private))
    accepted += asyncio.run(knock(living, "broker", (crossed.certificate_pem, housing.key_pem)))
    moved, control = asyncio.run(bound(living))
    accepted += ["another certificate"] if moved == "OK" else []
    cases += 2
    let_in = len(asyncio.run(knock(living, "broker", own(living))))
    print(f"T-SEC-4 accepted={len(accepted)} of {cases} cases control_let_in={let_in} control_asked={control}")

    assert [] == accepted
    assert (3, "OK") == (let_in, control)
