"""`accord-node doctor`: look at everything a node or the steward stands on, and say what is wrong and how to mend it.

Each check is one row: fine, wrong with its cure, or waiting for an earlier row. Nothing is changed that a start
would not change: the node's own database is locked for a moment and let go, the agency's records are only asked to
refuse a write. The steward and the
broker are asked whether they serve, under this process's own certificate.
"""

import contextlib
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final, Generic, TypeVar

import grpc
from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy import Engine

from accord.directory import Directory
from accord.reasons import REASONS, Problem
from accord.signing import public_bytes
from agency_node import enrol, index, keys, keyserver, ledger, weights, witness
from agency_node.directory import DirectoryFile
from agency_node.mapping import Records, open_records
from agency_node.rules import RulesInForce
from agency_node.settings import NodeSettings, StewardSettings, load, load_steward
from agency_node.store import open_state, writing

PEER_S: Final = 3.0
"""Longest wait for a peer, seconds."""
SHORT_S: Final = 3_600
"""A certificate with less life than this left is wrong: it will run out before anybody looks again."""
RENEW: Final = REASONS["CERTIFICATE_UNUSABLE"].cure

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
    """Something is wrong that no part of the node would have said so plainly.

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
    """Look at a home: an agency's node, or the steward where there is a steward.toml.

    Args:
        home: The folder with keys and settings.
        now_ns: This machine's clock, nanoseconds since 1970.
    """
    told = _Round()
    if (home / "steward.toml").exists():
        steward = told.look("settings", lambda: ("steward.toml", load_steward(home / "steward.toml")))
        rest = () if steward.value is None else examine_steward(steward.value, now_ns)
    else:
        node = told.look("settings", lambda: ("node.toml", load(home / "node.toml")))
        rest = () if node.value is None else examine(node.value, now_ns)
    return (*told.rows, *rest)


def examine(settings: NodeSettings, now_ns: int) -> tuple[Row, ...]:
    """Look at an agency's node.

    Args:
        settings: What it was told.
        now_ns: This machine's clock, nanoseconds since 1970.
    """
    done = _Round()
    engine = done.look("own database", lambda: _database(settings.database, settings.database_url_file))
    _server(done, settings, engine)
    directory = done.look(
        "directory", lambda: _directory(settings.directory, settings.federation_public, engine(), now_ns)
    )
    done.look("keys", lambda: _keys(settings, directory()))
    named = f"spiffe://{settings.federation}/agency/{settings.agency}"
    certificate = done.look("certificate", lambda: _certificate(settings, named, directory(), now_ns))
    tls = _Tls(settings.ca, settings.tls_certificate, settings.tls_key)
    broker = done.look("broker", lambda: (_any_serving(settings.broker, tls), True))
    done.look("steward", lambda: (_serving(settings.steward, tls, "steward"), True))
    done.look("clock", lambda: _clock(directory(), certificate(), broker, now_ns))
    done.look("rules", lambda: _rules(settings, engine(), directory()))
    done.look("own ledger", lambda: _own_ledger(settings, engine(), directory()))
    done.look("broker's ledger", lambda: _seen(engine(), directory()))
    records = done.look("records", lambda: _records(settings))
    done.look("write refused", lambda: _refuses_writes(records()))
    done.look("slow query", lambda: _stops_slow(records()))
    done.look("index", lambda: _index(settings, engine(), directory(), now_ns))
    done.look("weights", lambda: _weights(settings))
    if settings.staff is not None:
        provider = settings.staff
        done.look("sign-in", lambda: (f"keys of {provider.issuer}", provider.identity_provider()))
    if records.value is not None:
        records.value.close()
    if engine.value is not None:
        engine.value.dispose()
    return tuple(done.rows)


def examine_steward(settings: StewardSettings, now_ns: int) -> tuple[Row, ...]:
    """Look at the steward.

    Args:
        settings: What it was told.
        now_ns: This machine's clock, nanoseconds since 1970.
    """
    done = _Round()
    engine = done.look(
        "own database", lambda: _database(settings.database.with_suffix(".state"), settings.database_url_file)
    )
    _server(done, settings, engine)
    directory = done.look(
        "directory", lambda: _directory(settings.directory, settings.federation_public, engine(), now_ns)
    )
    done.look("keys", lambda: _steward_keys(settings, directory()))
    named = f"spiffe://{settings.federation}/steward"
    certificate = done.look("certificate", lambda: _certificate(settings, named, directory(), now_ns))
    tls = _Tls(settings.ca, settings.tls_certificate, settings.tls_key)
    done.look("serving", lambda: (_serving(settings.listen, tls, "steward", _host(certificate())), True))
    if engine.value is not None:
        engine.value.dispose()
    return tuple(done.rows)


# -- What lies here ---------------------------------------------------------------------------------------------------


def _database(path: Path, url_file: Path | None) -> tuple[str, Engine]:
    engine = open_state(path, url_file)
    try:
        # Taking the write lock needs a file and a disk that can be written; nothing is.
        with writing(engine):
            pass
    except Problem:
        engine.dispose()
        raise
    if url_file is None:
        return f"{path.name} can be written", engine
    from agency_node.store import postgresql

    return f"{postgresql.named(engine)} can be written", engine


def _server(done: _Round, settings: NodeSettings | StewardSettings, engine: _Part[Engine]) -> None:
    """Rows that only state on a server has. A start would refuse the same; here it is seen while a node serves."""
    if settings.database_url_file is None:
        return
    from agency_node.store import postgresql

    done.look("durable", lambda: (f"{', '.join(postgresql.durable(engine()))} are on", True))
    done.look("rights", lambda: (f"only INSERT and SELECT on {', '.join(postgresql.only_adds(engine()))}", True))


def _directory(path: Path, pinned: Path, engine: Engine, now_ns: int) -> tuple[str, Directory]:
    found = DirectoryFile(path, keys.read_pinned(pinned), engine, lambda: now_ns).current()
    until = "" if found.expires_at_ns is None else f", until {_day(found.expires_at_ns)}"
    return f"version {found.version} of {_day(found.issued_at_ns)}, {len(found.agencies)} agencies{until}", found


def _keys(settings: NodeSettings, directory: Directory) -> tuple[str, bool]:
    row = directory.agency(settings.agency)
    keys.read_secret(settings.pseudonym_secret)
    here = {
        "sealing": keys.read_x25519(settings.sealing_key).public_key().public_bytes_raw(),
        "answer": public_bytes(keys.read_ed25519(settings.answer_key)),
        "asking": public_bytes(keys.read_ed25519(settings.asking_key)),
        "witness": public_bytes(keys.read_ed25519(settings.witness_key)),
    }
    _same({name: (public, getattr(row, name)) for name, public in here.items()}, directory.version)
    return "the directory has the same four", True


def _steward_keys(settings: StewardSettings, directory: Directory) -> tuple[str, bool]:
    seed, subject_seed = keys.read_secret(settings.key_server_seed), keys.read_secret(settings.subject_seed)
    made = keyserver.family_keys(seed, subject_seed, directory.epoch.id)
    pinned: Mapping[str, bytes] = {**directory.steward.key_server, **directory.steward.subject_keys}
    _same(
        {name: (made[name].public if name in made else b"", public) for name, public in pinned.items()},
        directory.version,
    )
    return f"the directory has the same {len(pinned)}", True


def _same(pairs: Mapping[str, tuple[bytes, bytes]], version: int) -> None:
    other = sorted(name for name, (here, there) in pairs.items() if here != there)
    if other:
        raise Unwell(
            f"directory version {version} has another public key for: {', '.join(other)}",
            "Put back the keys that were enrolled, or enrol the new ones with the federation's operator.",
        )


def _certificate(
    settings: NodeSettings | StewardSettings, uri: str, directory: Directory, now_ns: int
) -> tuple[str, x509.Certificate]:
    pem, ca = keys.read(settings.tls_certificate), keys.read(settings.ca)
    found = enrol.own_certificate(pem, keys.read_p256(settings.tls_key), ca, uri, directory, now_ns)
    left_s = found.not_valid_after_utc.timestamp() - now_ns / 1e9
    if left_s < SHORT_S:
        raise Unwell(f"it runs out in {left_s / 60:.0f} minutes", RENEW)
    return f"runs out in {left_s / 3600:.0f} hours", found


def _rules(settings: NodeSettings, engine: Engine, directory: Directory) -> tuple[str, bool]:
    rules = RulesInForce(settings.agency, engine, lambda: directory)
    try:
        now = rules.current()
        return f"revision {now.revision[:12]}, {len(now.catalogue.questions)} questions, signed", True
    finally:
        rules.close()


def _own_ledger(settings: NodeSettings, engine: Engine, directory: Directory) -> tuple[str, bool]:
    public = public_bytes(keys.read_ed25519(settings.witness_key))
    found = ledger.verify(engine, f"{directory.federation}/{settings.agency}", public)
    return f"{found.size} entries hold, {found.erased} erased", True


def _seen(engine: Engine, directory: Directory) -> tuple[str, bool]:
    seen = witness.seen(engine, directory.broker.ledger_origin)
    if seen is None:
        raise Unwell("this node has seen no head of it yet", "Let the node attach: accord-node serve.")
    return f"seen up to {seen.size} entries", True


def _weights(settings: NodeSettings) -> tuple[str, bool]:
    found = weights.in_force(settings.link_prior)
    whose = "those that ship" if found.shipped is None else "the node's own"
    return f"{whose}: {found.prior.version}", True


def _records(settings: NodeSettings) -> tuple[str, Records]:
    records = open_records(settings.mapping)
    if records.agency != settings.agency:
        records.close()
        raise Unwell("the mapping is that of another agency", "Name this agency's mapping in settings.")
    return f"the mapping fits, {len(records.questions)} questions", records


def _refuses_writes(records: Records) -> tuple[str, bool]:
    if not records.refuses_writes():
        raise Unwell(
            "the agency's records let this node write",
            "Stop the node, and give it a read-only copy or account.",
        )
    if records.account_may_write():
        raise Unwell(
            "the node's account at the database server may change records, though the node never does",
            "Give it an account with SELECT on what the mapping reads, and nothing else.",
        )
    return "an attempt to write was refused", True


def _stops_slow(records: Records) -> tuple[str, bool]:
    if not records.stops_slow():
        raise Unwell(
            "the agency's records do not stop a query that takes too long",
            "Let the database's own operator say why its time limit does not hold.",
        )
    return "a query that never ends was stopped", True


_INDEX: Final[Mapping[index.Cause, tuple[str, str]]] = {
    index.Cause.MISSING: ("there is none", "Build it: accord-node index."),
    index.Cause.INCOMPLETE: ("it is not complete", "Let it finish: accord-node index."),
    index.Cause.STALE: (
        "it is too old to answer from",
        "Bring it up to date, and do so every night: accord-node index.",
    ),
    index.Cause.OTHER_EPOCH: (
        "it was built with the linkage keys of another time",
        "Build it anew: accord-node index.",
    ),
    index.Cause.OTHER_KEY_SERVERS: ("it was built with other key servers", "Build it anew: accord-node index."),
    index.Cause.OTHER_NORMALISER: ("it was built by another version of Accord", "Build it anew: accord-node index."),
    index.Cause.OTHER_FAMILIES: ("it was built by another version of Accord", "Build it anew: accord-node index."),
}


def _index(settings: NodeSettings, engine: Engine, directory: Directory, now_ns: int) -> tuple[str, bool]:
    terms = index.Terms(directory.epoch.id, directory.key_servers_digest)
    state = index.TokenIndex(engine).state(terms, now_ns=now_ns, fresh_for_s=settings.max_answer_age_s)
    if state.cause is not None:
        raise Unwell(*_INDEX[state.cause])
    age_h = (now_ns - (state.built_at_ns or 0)) / 3.6e12
    return f"{state.people} people, complete, {age_h:.0f} hours old", True


# -- What lies elsewhere ----------------------------------------------------------------------------------------------


class NotServing(Unwell):
    """A peer cannot be reached, is not who it should be, or does not serve."""

    reason = "NODE_UNREACHABLE"


@dataclass(frozen=True, slots=True)
class _Tls:
    ca: Path
    certificate: Path
    key: Path


def _host(certificate: x509.Certificate) -> str:
    """A host name that a certificate is for."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    hosts = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    return hosts[0] if hosts else ""


def _any_serving(addresses: str, tls: _Tls) -> str:
    """Reach the one of several brokers that serves; the others stand by, and do not listen."""
    first, *rest = addresses.split(",")
    try:
        return _serving(first, tls, "broker")
    except NotServing:
        for address in rest:
            with contextlib.suppress(NotServing):
                return _serving(address, tls, "broker", first.rpartition(":")[0].strip("[]"))
        raise


def _serving(address: str, tls: _Tls, who: str, named: str = "") -> str:
    """Reach a peer in three steps, so that the first that fails tells what is wrong: TCP, TLS, service.

    Args:
        address: host:port.
        tls: What this process shows and trusts.
        who: What the peer is, in words.
        named: The host that its certificate must be for; that of the address when empty.
    """
    host, _, port = address.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104  # told apart, not listened on
    named = named or host.strip("[]")
    try:
        context = ssl.create_default_context(cafile=str(tls.ca))
        context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise Unwell("this process's own certificate, key or authority cannot be used", RENEW) from error
    context.set_alpn_protocols(["h2"])
    try:
        with (
            socket.create_connection((host.strip("[]"), int(port)), PEER_S) as plain,
            context.wrap_socket(plain, server_hostname=named),
        ):
            pass
    except ssl.SSLCertVerificationError as error:
        raise NotServing(
            f"whoever listens at {address} shows a certificate that does not hold: {error.verify_message}",
            f"If its time is over or has not come, check this machine's clock, then the {who} renews its certificate; "
            "else check the address and ca.pem.",
        ) from None
    except ssl.SSLError as error:
        raise NotServing(
            f"whoever listens at {address} does not speak TLS as the {who} does", "Check the address."
        ) from error
    except OSError as error:
        raise NotServing(
            f"nobody answers at {address}", f"Check that the {who} runs, its address in settings, and the network."
        ) from error
    return _healthy(f"{host}:{port}", tls, who, named)


def _healthy(address: str, tls: _Tls, who: str, named: str) -> str:
    credentials = grpc.ssl_channel_credentials(
        keys.read(tls.ca), keys.read_private(tls.key), keys.read(tls.certificate)
    )
    with grpc.secure_channel(address, credentials, (("grpc.ssl_target_name_override", named),)) as channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=PEER_S)
        except grpc.RpcError as error:
            code = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
            raise NotServing(
                f"the {who} refused this certificate ({code.name.lower()})",
                f"Check that the {who} has the newest directory.json, and that this certificate has not run out.",
            ) from None
    if reply.status != health_pb2.HealthCheckResponse.SERVING:
        raise NotServing(f"the {who} runs and says that it cannot serve", f"Its operator runs the {who}'s own doctor.")
    return f"serves at {address}"


def _clock(directory: Directory, certificate: x509.Certificate, broker: _Part[bool], now_ns: int) -> tuple[str, bool]:
    """Hold this clock against times that others signed. That tells minutes and hours; a warrant tells seconds."""
    set_it = "Set this machine's clock by its time server."
    latest = max(directory.issued_at_ns / 1e9, certificate.not_valid_before_utc.timestamp())
    if now_ns / 1e9 < latest:
        behind = latest - now_ns / 1e9
        raise Unwell(f"it is at least {behind / 60:.0f} minutes behind what was signed elsewhere", set_it)
    broker()
    return "within the times that the federation and the broker signed", True


def _day(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, UTC).strftime("%-d %B %Y")
