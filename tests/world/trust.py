"""A whole federation's keys, certificates and directory, made in a moment for tests.

`make_federation()` keeps everything in memory; `write_homes` puts the same keys on disk in the places that the two
programs use, for tests that start real processes. Everything here is invented and throwaway.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from accord import canonical, directory, identity, linkage, signing
from accord.directory import Agency, Directory, Member

NOW_NS = 1_795_312_800_000_000_000
"""2026-11-22T10:00:00Z: the time of tests that need no real clock."""

RECORDS_UP_TO = 200_000
"""For how many records every agency is enrolled."""

AGENCIES: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "housing": (
        "Midshire District Council Housing",
        "district_housing",
        ("mappa_cooperating", "relevant_authority", "s11_body"),
    ),
    "police": (
        "Midshire Police",
        "police_force",
        ("competent_authority", "mappa_responsible", "relevant_authority", "s11_body", "safeguarding_partner"),
    ),
    "social-care": (
        "Midshire County Council Children's Social Care",
        "council_childrens_services",
        ("local_authority", "mappa_cooperating", "relevant_authority", "s11_body", "safeguarding_partner"),
    ),
}
"""Identifier -> title, kind, legal characters."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A TLS key with its certificate."""

    private: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def key_pem(self) -> bytes:
        return _pem(self.private)

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def certificate_der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


@dataclass(frozen=True, slots=True)
class AgencyKeys:
    """Everything one agency keeps to itself."""

    id: str
    channel: Channel
    sealing: X25519PrivateKey
    answer: Ed25519PrivateKey
    asking: Ed25519PrivateKey
    witness: Ed25519PrivateKey
    pseudonym_secret: bytes


@dataclass(frozen=True, slots=True)
class BrokerKeys:
    """Everything the broker keeps to itself."""

    channel: Channel
    warrant: Ed25519PrivateKey
    ledger: Ed25519PrivateKey
    key_server_seed: bytes
    policy: ec.EllipticCurvePrivateKey
    policy_kid: str


@dataclass(frozen=True, slots=True)
class StewardKeys:
    """Everything the steward keeps to itself."""

    channel: Channel
    key_server_seed: bytes
    subject_seed: bytes


@dataclass(frozen=True, slots=True)
class Federation:
    """A federation with every private key at hand, as no real party ever holds it."""

    name: str
    ca_private: ec.EllipticCurvePrivateKey
    ca: x509.Certificate
    federation_private: Ed25519PrivateKey
    directory: Directory
    directory_bytes: bytes
    broker: BrokerKeys
    steward: StewardKeys
    agencies: Mapping[str, AgencyKeys]

    @property
    def federation_public(self) -> bytes:
        return signing.public_bytes(self.federation_private)

    @property
    def ca_pem(self) -> bytes:
        return self.ca.public_bytes(Encoding.PEM)

    def family_keys(self) -> tuple[dict[str, linkage.FamilyKey], dict[str, linkage.FamilyKey]]:
        """The broker's and the steward's key for each family, ready to evaluate."""
        epoch = self.directory.epoch
        return (
            _family_keys(self.broker.key_server_seed, epoch.id, epoch.family_ids),
            _family_keys(self.steward.key_server_seed, epoch.id, epoch.family_ids),
        )

    def subject_keys(self) -> dict[str, linkage.FamilyKey]:
        """The steward's subject-tag keys."""
        return _family_keys(self.steward.subject_seed, directory.SUBJECT_EPOCH, _ids(identity.SUBJECT_FAMILIES))

    def reissue(self, changed: Directory) -> bytes:
        """Sign another version of the directory."""
        return directory.build(changed, self.federation_private)

    def certificate(
        self,
        member: Member,
        private: ec.EllipticCurvePrivateKey,
        *,
        hosts: Sequence[str] = ("localhost",),
        not_before: datetime | None = None,
        life: timedelta = timedelta(hours=24),
    ) -> x509.Certificate:
        """Have the federation's certificate authority sign any certificate, honest or not."""
        return _certificate(
            self.ca_private, self.ca, member.uri, private, hosts=hosts, not_before=not_before, life=life
        )


def make_federation(
    home: Path | None = None,
    agencies: Sequence[str] = tuple(AGENCIES),
    *,
    name: str = "midshire",
    epoch: str = "2026-1",
    now_ns: int = NOW_NS,
) -> Federation:
    """Make every key, every certificate and a signed directory.

    Args:
        home: Where `write_homes` is to put them; None keeps them in memory.
        agencies: Identifiers; unknown ones get an invented row.
        name: Name of the federation.
        epoch: Linkage epoch.
        now_ns: When the directory is issued. Certificates run from the real clock, since TLS looks at it.
    """
    ca_private = ec.generate_private_key(ec.SECP256R1())
    ca = _authority(name, ca_private)

    def channel(member: Member, hosts: Sequence[str]) -> Channel:
        private = ec.generate_private_key(ec.SECP256R1())
        return Channel(private, _certificate(ca_private, ca, member.uri, private, hosts=hosts))

    broker = BrokerKeys(
        channel(Member(name, "broker"), ("localhost",)),
        Ed25519PrivateKey.generate(),
        Ed25519PrivateKey.generate(),
        os.urandom(32),
        ec.generate_private_key(ec.SECP256R1()),
        "policy-1",
    )
    steward = StewardKeys(channel(Member(name, "steward"), ("localhost",)), os.urandom(32), os.urandom(32))
    keys = {
        agency: AgencyKeys(
            agency,
            channel(Member(name, "agency", agency), ("localhost",)),
            X25519PrivateKey.generate(),
            Ed25519PrivateKey.generate(),
            Ed25519PrivateKey.generate(),
            Ed25519PrivateKey.generate(),
            os.urandom(32),
        )
        for agency in agencies
    }
    families = _ids(identity.FAMILIES)
    issued = Directory(
        federation=name,
        version=1,
        issued_at_ns=now_ns,
        expires_at_ns=None,
        epoch=directory.Epoch(epoch, identity.NORMALISER_DIGEST, identity.FAMILY_SET_DIGEST, families),
        broker=directory.Broker(
            hosts=("localhost",),
            warrant_key=signing.public_bytes(broker.warrant),
            ledger_origin=f"{name}/broker",
            ledger_key=signing.public_bytes(broker.ledger),
            policy_keys={broker.policy_kid: directory.spki(broker.policy.public_key())},
            key_server=_public(_family_keys(broker.key_server_seed, epoch, families)),
        ),
        steward=directory.Steward(
            key_server=_public(_family_keys(steward.key_server_seed, epoch, families)),
            subject_keys=_public(
                _family_keys(steward.subject_seed, directory.SUBJECT_EPOCH, _ids(identity.SUBJECT_FAMILIES))
            ),
        ),
        agencies=tuple(sorted((row(name, one) for one in keys.values()), key=lambda agency: agency.id)),
    )
    federation_private = Ed25519PrivateKey.generate()
    data = directory.build(issued, federation_private)
    federation = Federation(name, ca_private, ca, federation_private, issued, data, broker, steward, keys)
    if home is not None:
        write_homes(federation, home)
    return federation


def row(federation: str, keys: AgencyKeys) -> Agency:
    """An agency's signed row for its keys."""
    title, kind, characters = AGENCIES.get(keys.id, (keys.id.title(), "charity", ("non_public",)))
    unsigned = Agency(
        id=keys.id,
        title=title,
        kind=kind,
        characters=characters,
        sealing=keys.sealing.public_key().public_bytes_raw(),
        answer=signing.public_bytes(keys.answer),
        asking=signing.public_bytes(keys.asking),
        witness=signing.public_bytes(keys.witness),
        certificate_spki=b"",
        records_up_to=RECORDS_UP_TO,
    )
    return directory.sign_row(federation, unsigned, keys.channel.private)


def with_row(issued: Directory, changed: Agency, version: int) -> Directory:
    """A directory with one agency's row exchanged."""
    rows = tuple(changed if agency.id == changed.id else agency for agency in issued.agencies)
    return replace(issued, agencies=rows, version=version)


def write_homes(federation: Federation, home: Path) -> None:
    """Put each party's files where its program looks: `home/broker`, `home/steward`, `home/<agency>`."""
    pinned = canonical.b64url(federation.federation_public).encode() + b"\n"
    public = {"ca.pem": federation.ca_pem, "federation.pub": pinned, "directory.json": federation.directory_bytes}
    broker, steward = federation.broker, federation.steward
    _write(
        home / "broker",
        {
            **public,
            **_channel_files(broker.channel),
            "warrant.key": _pem(broker.warrant),
            "ledger.key": _pem(broker.ledger),
            "policy.key": _pem(broker.policy),
            "key-server.seed": broker.key_server_seed,
        },
    )
    _write(
        home / "steward",
        {
            **public,
            **_channel_files(steward.channel),
            "key-server.seed": steward.key_server_seed,
            "subject.seed": steward.subject_seed,
        },
    )
    for agency in federation.agencies.values():
        _write(
            home / agency.id,
            {
                **public,
                **_channel_files(agency.channel),
                "sealing.key": _pem(agency.sealing),
                "answer.key": _pem(agency.answer),
                "asking.key": _pem(agency.asking),
                "witness.key": _pem(agency.witness),
                "pseudonym.secret": agency.pseudonym_secret,
            },
        )


def _channel_files(channel: Channel) -> dict[str, bytes]:
    return {"tls.key": channel.key_pem, "tls.crt": channel.certificate_pem}


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir(parents=True, mode=0o700)
    for name, content in files.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)


def _ids(families: Sequence[identity.Family]) -> tuple[str, ...]:
    return tuple(sorted(family.id for family in families))


def _family_keys(seed: bytes, epoch: str, families: Sequence[str]) -> dict[str, linkage.FamilyKey]:
    return {family: linkage.FamilyKey(seed, epoch, family) for family in families}


def _public(keys: Mapping[str, linkage.FamilyKey]) -> dict[str, bytes]:
    return {family: key.public for family, key in keys.items()}


def _pem(private: ec.EllipticCurvePrivateKey | Ed25519PrivateKey | X25519PrivateKey) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _authority(name: str, private: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} test authority")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, SHA256())
    )


def _certificate(
    ca_private: ec.EllipticCurvePrivateKey,
    ca: x509.Certificate,
    uri: str,
    private: ec.EllipticCurvePrivateKey,
    *,
    hosts: Sequence[str],
    not_before: datetime | None = None,
    life: timedelta = timedelta(hours=24),
) -> x509.Certificate:
    start = not_before if not_before is not None else datetime.now(UTC) - timedelta(minutes=5)
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri)]
    names += [x509.DNSName(host) for host in hosts]
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, uri.rsplit("/", 1)[-1])]))
        .issuer_name(ca.subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]),
            critical=False,
        )
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_private.public_key()), critical=False)
        .sign(ca_private, SHA256())
    )
