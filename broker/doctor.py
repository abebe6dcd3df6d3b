"""`accord-broker doctor`: look at everything the broker stands on, and say what is wrong and how to mend it.

Each check is one row: fine, wrong with its cure, or waiting for an earlier row. Nothing is changed that a start would
not change, and a broker that runs is not disturbed: its database is locked for a moment and let go.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from grpc_health.v1 import health_pb2, health_pb2_grpc

from accord import directory as contract
from accord.directory import Directory
from accord.reasons import REASONS, Problem
from accord.signing import public_bytes
from broker import decide, fsck, keys, keyserver
from broker.__main__ import engine_of, load_policy
from broker.directory import DirectoryFile
from broker.engines import Evaluation
from broker.settings import BrokerSettings, load
from broker.store import Place, open_for_reading, probe

if TYPE_CHECKING:
    from broker.store.postgresql import Found

PEER_S: Final = 3.0
"""Longest wait for the broker itself, seconds."""
SHORT_S: Final = 3_600
"""A certificate with less life than this left is wrong: it will run out before anybody looks again."""
RENEW: Final = "Renew it where the offline authority is: accord-broker renew."

T = TypeVar("T")


class State(StrEnum):
    """How a row stands."""

    OK = "ok"
    BAD = "bad"
    WAITS = "waits"


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was looked at.

    Attributes:
        name: What.
        state: Fine, wrong, or not to be seen before another row is mended.
        found: What was found, in words; never a name, a key or a value of a record.
        cure: What to do about it; empty when it is fine.
    """

    name: str
    state: State
    found: str
    cure: str = ""


class Unwell(Problem):
    """Something is wrong that no part of the broker would have said so plainly.

    Attributes:
        cure: What to do about it.
    """

    reason = "BAD_SETTINGS"

    def __init__(self, found: str, cure: str) -> None:
        """Say what was found, and the cure."""
        self.cure = cure
        super().__init__(found)


class _Waits(Exception):
    """A check needs what an earlier row could not give."""


@dataclass(frozen=True, slots=True)
class _Part(Generic[T]):
    name: str
    value: T | None

    def __call__(self) -> T:
        if self.value is None:
            raise _Waits(self.name)
        return self.value


@dataclass(slots=True)
class _Round:
    rows: list[Row] = field(default_factory=list)

    def look(self, name: str, check: Callable[[], tuple[str, T]]) -> _Part[T]:
        """Run one check and keep its row; what it found may be asked for by later ones."""
        value: T | None = None
        try:
            found, value = check()
            self.rows.append(Row(name, State.OK, found))
        except _Waits as waits:
            self.rows.append(Row(name, State.WAITS, f"mend the {waits} first"))
        except Problem as problem:
            cure = str(getattr(problem, "cure", "") or REASONS.get(problem.reason, REASONS["INTERNAL"]).cure)
            self.rows.append(Row(name, State.BAD, str(problem), cure))
        return _Part(name, value)


def look_at(home: Path, now_ns: int) -> tuple[Row, ...]:
    """Look at the broker in a folder.

    Args:
        home: The folder with keys and settings.
        now_ns: This machine's clock, nanoseconds since 1970.
    """
    told = _Round()
    settings = told.look("settings", lambda: ("broker.toml", load(home / "broker.toml")))
    rest = () if settings.value is None else examine(settings.value, now_ns)
    return (*told.rows, *rest)


def examine(settings: BrokerSettings, now_ns: int) -> tuple[Row, ...]:
    """Look at the broker.

    Args:
        settings: What it was told.
        now_ns: This machine's clock, nanoseconds since 1970.
    """
    done = _Round()
    file = done.look("directory", lambda: _directory(settings, now_ns))
    done.look("keys", lambda: _keys(settings, file().current()))
    certificate = done.look("certificate", lambda: _certificate(settings, file().current(), now_ns))
    done.look("clock", lambda: _clock(file().current(), certificate(), now_ns))
    done.look("policy", lambda: _policy(settings, file))
    if settings.policy_engine == "opa":
        done.look("policy engine", lambda: (_engine(settings, file()), True))
    database = done.look("database", lambda: _database(settings))
    if settings.database_url_file is not None:
        done.look("replicas", lambda: (_replicas(database()), True))
    done.look("ledger", lambda: _ledger(database(), file().current()))
    done.look("serving", lambda: (_serving(settings, file().current()), True))
    return tuple(done.rows)


# -- What lies here ---------------------------------------------------------------------------------------------------


def _directory(settings: BrokerSettings, now_ns: int) -> tuple[str, DirectoryFile]:
    file = DirectoryFile(settings.directory, keys.read_pinned(settings.federation_public), lambda: now_ns)
    found = file.current()
    until = "" if found.expires_at_ns is None else f", until {_day(found.expires_at_ns)}"
    return f"version {found.version} of {_day(found.issued_at_ns)}, {len(found.agencies)} agencies{until}", file


def _keys(settings: BrokerSettings, directory: Directory) -> tuple[str, bool]:
    made = keyserver.family_keys(keys.read_secret(settings.key_server_seed), directory.epoch.id)
    policy = contract.spki(keys.read_p256(settings.policy_key).public_key())
    pairs = {
        "warrant": (public_bytes(keys.read_ed25519(settings.warrant_key)), directory.broker.warrant_key),
        "ledger": (public_bytes(keys.read_ed25519(settings.ledger_key)), directory.broker.ledger_key),
        "policy": (policy, directory.broker.policy_keys.get(settings.policy_key_id, b"")),
        **{
            name: (made[name].public if name in made else b"", public)
            for name, public in directory.broker.key_server.items()
        },
    }
    other = sorted(name for name, (here, there) in pairs.items() if here != there)
    if other:
        raise Unwell(
            f"directory version {directory.version} has another public key for: {', '.join(other)}",
            "Put back the keys with which the federation was founded, or install the directory that names these.",
        )
    return f"the directory has the same {len(pairs)}", True


def _certificate(settings: BrokerSettings, directory: Directory, now_ns: int) -> tuple[str, x509.Certificate]:
    try:
        certificate = x509.load_pem_x509_certificate(keys.read(settings.tls_certificate))
    except ValueError:
        raise Unwell(f"{settings.tls_certificate.name} is no certificate in PEM", RENEW) from None
    speaks = contract.speaker(certificate.public_bytes(Encoding.DER), directory)
    if speaks.role != "broker":
        raise Unwell(f"it speaks for {speaks.uri}", "Put the broker's own certificate back.")
    public = certificate.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey) or public != keys.read_p256(settings.tls_key).public_key():
        raise Unwell("the certificate belongs to another key than the one here", RENEW)
    left_s = certificate.not_valid_after_utc.timestamp() - now_ns / 1e9
    if left_s < SHORT_S:
        ends = "ran" if left_s <= 0 else "runs"
        raise Unwell(f"it {ends} out at {_minute(certificate.not_valid_after_utc)}", RENEW)
    return f"runs out in {left_s / 3600:.0f} hours", certificate


def _clock(directory: Directory, certificate: x509.Certificate, now_ns: int) -> tuple[str, bool]:
    """Hold this clock against times that the federation's office signed. That tells minutes and hours, not seconds."""
    latest_s = max(directory.issued_at_ns / 1e9, certificate.not_valid_before_utc.timestamp())
    if now_ns / 1e9 < latest_s:
        raise Unwell(
            f"it is at least {(latest_s - now_ns / 1e9) / 60:.0f} minutes behind what was signed elsewhere",
            "Set this machine's clock by its time server.",
        )
    return "not behind what the federation signed", True


def _policy(settings: BrokerSettings, file: _Part[DirectoryFile]) -> tuple[str, bool]:
    if not settings.policy_bundle.exists():
        raise Unwell("there is no policy bundle", "Build and sign one: accord-broker policy build.")
    policy = load_policy(settings.policy_bundle, file())
    policy.rules.engine.close()
    return f"revision {policy.revision[:12]}, {len(policy.rules.catalogue.questions)} questions, signed", True


def _engine(settings: BrokerSettings, file: DirectoryFile) -> str:
    """Have the server decide a question to nobody: it answers only if it holds the rules in force."""
    rules = load_policy(settings.policy_bundle, file, engine_of(settings)).rules

    async def ask() -> Evaluation:
        try:
            return await rules.engine.decide(decide.ENTRYPOINT, b"{}")
        finally:
            rules.engine.close()

    found = asyncio.run(ask())
    return f"{found.engine} at {settings.opa_url} decides by revision {found.revision[:12]}"


def _database(settings: BrokerSettings) -> tuple[str, Place]:
    if settings.database_url_file is not None:
        return _server(settings.database_url_file), settings.place
    if not settings.database.exists():
        raise Unwell("it is not there yet", "Start the broker, which makes it: accord-broker serve.")
    probe(settings.database)
    return f"SQLite, {settings.database.name} can be written", settings.place


def _server(url_file: Path) -> str:
    """A server that keeps what it acknowledges, and an account that can add to the ledger and no more."""
    found = _looked(url_file)
    settings = ", ".join(f"{name}={value}" for name, value in found.durable.items())
    if found.careless:
        raise Unwell(
            f"{found.name} would lose what it acknowledged: {settings}",
            f"Set in the server's configuration: {', '.join(f'{name} = on' for name in found.careless)}.",
        )
    if found.lacking:
        raise Unwell(
            f"the account of database_url_file has too few rights in {found.name}: {', '.join(found.lacking)}",
            "Run: accord-broker database prepare.",
        )
    return f"PostgreSQL {found.server}, {found.name}, {settings}; the account may add to the ledger, not change it"


def _looked(url_file: Path) -> "Found":
    # Its driver is installed only where it is wanted.
    from broker.store import postgresql

    return postgresql.look(url_file)


def _replicas(place: Place) -> str:
    """Who writes in a database that several brokers may share."""
    if isinstance(place, Path):
        return "a file has one broker"
    found = _looked(place.url_file)
    standing = f"{found.waiting} {'stands' if found.waiting == 1 else 'stand'} by"
    return f"{'one broker writes' if found.written else 'no broker writes now'}, {standing}"


def _stands_by(settings: BrokerSettings) -> bool:
    """Whether a broker of this machine waits while another writes; it does not listen then."""
    if settings.database_url_file is None:
        return False
    try:
        found = _looked(settings.database_url_file)
    except Problem:
        return False
    return found.written and found.waiting_here > 0


def _ledger(database: Place, directory: Directory) -> tuple[str, bool]:
    store = open_for_reading(database)
    try:
        report = fsck.verify(
            store,
            directory.broker.ledger_origin,
            directory.broker.ledger_key,
            witnesses={f"{directory.federation}/{one.id}": one.witness for one in directory.agencies},
            answer_keys={one.id: one.answer for one in directory.agencies},
            running=True,
        )
    finally:
        store.close()
    if not report.ok:
        raise Unwell(report.findings[0].words, REASONS["BAD_LEDGER"].cure)
    return f"{report.entries} entries hold, {report.questions} questions, {report.heads} heads", True


# -- What listens -----------------------------------------------------------------------------------------------------


def _serving(settings: BrokerSettings, directory: Directory) -> str:
    """Reach the broker as an agency would, in three steps: TCP, TLS, service."""
    host, _, port = settings.listen.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104  # told apart, not listened on
    named = host.strip("[]") if host in directory.broker.hosts else next(iter(directory.broker.hosts), host)
    try:
        context = ssl.create_default_context(cafile=str(settings.ca))
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise Unwell("the broker's own certificate, key or authority cannot be used", RENEW) from error
    context.set_alpn_protocols(["h2"])
    try:
        with (
            socket.create_connection((host.strip("[]"), int(port)), PEER_S) as plain,
            context.wrap_socket(plain, server_hostname=named),
        ):
            pass
    except ssl.SSLCertVerificationError as error:
        raise NotServing(
            f"the certificate shown at {settings.listen} does not hold: {error.verify_message}",
            f"If it ran out: {RENEW}",
        ) from None
    except OSError as error:
        if _stands_by(settings):
            return f"stands by: another broker writes, and this one does not listen at {settings.listen} meanwhile"
        raise NotServing(f"nobody answers at {settings.listen}", "Start the broker: accord-broker serve.") from error
    credentials = grpc.ssl_channel_credentials(
        keys.read(settings.ca), keys.read_private(settings.tls_key), keys.read(settings.tls_certificate)
    )
    options = (("grpc.ssl_target_name_override", named),)
    with grpc.secure_channel(f"{host}:{port}", credentials, options) as channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=PEER_S)
        except grpc.RpcError as error:
            code = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
            raise NotServing(
                f"the broker refused its own certificate ({code.name.lower()})",
                "Restart the broker with the newest directory.json and certificate.",
            ) from None
    if reply.status != health_pb2.HealthCheckResponse.SERVING:
        raise NotServing(
            "the broker runs and says that it cannot write its ledger or consult its rules",
            "Look at its log, the disk and the policy bundle; then restart it.",
        )
    return f"serves at {settings.listen}"


class NotServing(Unwell):
    """The broker does not listen, is not who it should be, or cannot work."""

    reason = "NODE_UNREACHABLE"


def _day(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, UTC).strftime("%-d %B %Y")


def _minute(at: datetime) -> str:
    return at.strftime("%H:%M UTC on %-d %B %Y")
