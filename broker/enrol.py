"""Found a federation, let members in, and sign who belongs.

    init -> authority (offline) + broker home
    enrol REQUEST -> certificate + next directory.json + bundle for the member -> `accord-node join`

* The *authority* folder holds the certificate authority's key and the federation key. It belongs on a machine or disk
  that is off the network; the broker in service never reads it. Only `init`, `enrol`, `renew` and `withdraw` do.
* A member's private keys never come here: a request carries public keys, signed by their private halves.
* The first directory is signed when the steward joins, because tokens need both key servers. So the steward comes
  first, then the agencies.
* Certificates live a day at most and are renewed with the same key: `enrol` the same request again.
"""

import fcntl
import ipaddress
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from accord import canonical, directory, identity, linkage, signing
from accord.canonical import Json, NotCanonical
from accord.directory import Agency, Directory, Epoch, Member, Steward
from accord.reasons import Problem
from broker import keys

REQUEST_LABEL: Final = "accord enrolment request v1"
BUNDLE_LABEL: Final = "accord enrolment bundle v1"
MAX_REQUEST_BYTES: Final = 65_536
CERTIFICATE_LIFE_S: Final = 86_400
"""Longest and usual life of a certificate, seconds: one day."""
AUTHORITY_LIFE: Final = timedelta(days=3_650)
BACKDATED: Final = timedelta(minutes=5)
"""A certificate begins a little before it is made, for members whose clocks are slow."""
FOUNDING: Final = "founding.json"


class EnrolmentRefused(Problem):
    """A request, or what the authority was told to do, does not hold together. The message says what to do."""

    reason: ClassVar[str] = "ENROLMENT_REFUSED"


@dataclass(frozen=True, slots=True)
class Founded:
    """What `init` made.

    Attributes:
        federation_key_id: Identifier of the federation key, to be read out to each member.
        settings: The broker's settings file.
    """

    federation_key_id: str
    settings: Path


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What `enrol` made.

    Attributes:
        member: Who was let in.
        directory: The directory now in force.
        changed: Whether that directory is a new version.
        bundle: The file to hand to the member.
        certificate_ends_at_ns: When the certificate must have been renewed, nanoseconds since 1970.
        federation_key_id: Identifier of the federation key, to be read out to the member.
        records_up_to: For how many records an agency is now enrolled; None for the steward.
    """

    member: Member
    directory: Directory
    changed: bool
    bundle: Path
    certificate_ends_at_ns: int
    federation_key_id: str
    records_up_to: int | None


def init(
    home: Path,
    authority: Path,
    *,
    federation: str,
    hosts: Sequence[str],
    now_ns: int,
    epoch: str = "1",
    listen: str = "127.0.0.1:7443",
    database_url_file: Path | None = None,
) -> Founded:
    """Found a federation: the offline authority, and the broker's keys and settings.

    Args:
        home: The broker's folder.
        authority: The folder to be kept offline; not inside `home`.
        federation: Name of the federation.
        hosts: DNS names or addresses at which nodes find the broker, at least one.
        now_ns: The time, nanoseconds since 1970.
        epoch: First linkage epoch.
        listen: Where the broker listens, host:port.
        database_url_file: File with the address of a PostgreSQL database for state and ledger; a SQLite file in `home`
            when None.

    Raises:
        EnrolmentRefused: The folders are one inside the other, or a name is not of the right form.
        broker.keys.FileExists: Keys are already there.
    """
    if authority.absolute() == home.absolute() or home.absolute() in authority.absolute().parents:
        raise EnrolmentRefused("the authority folder must not lie in the broker's home: keep it apart, and offline")
    warrant, ledger = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    policy, tls = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    seed = os.urandom(linkage.SEED_BYTES)
    families = tuple(sorted(family.id for family in identity.FAMILIES))
    founding: dict[str, Json] = {
        "v": 1,
        "federation": federation,
        "epoch": directory.epoch_json(Epoch(epoch, identity.NORMALISER_DIGEST, identity.FAMILY_SET_DIGEST, families)),
        "broker": directory.broker_json(
            directory.Broker(
                hosts=tuple(sorted(set(hosts))),
                warrant_key=signing.public_bytes(warrant),
                ledger_origin=f"{federation}/broker",
                ledger_key=signing.public_bytes(ledger),
                policy_keys={"policy-1": directory.spki(policy.public_key())},
                key_server={family: linkage.FamilyKey(seed, epoch, family).public for family in families},
            )
        ),
    }
    if not hosts:
        raise EnrolmentRefused("say at which host nodes find the broker, for example: --host broker.midshire.example")
    _read_founding(canonical.encode(founding))  # names and bounds, before anything is written
    ca_key, federation_key = ec.generate_private_key(ec.SECP256R1()), Ed25519PrivateKey.generate()
    ca = _authority_certificate(federation, ca_key, now_ns)
    federation_public = signing.public_bytes(federation_key)
    shared = {"ca.pem": ca.public_bytes(Encoding.PEM), "federation.pub": keys.pinned(federation_public)}
    certificate = _certificate(
        ca_key, ca, Member(federation, "broker"), tls.public_key(), hosts, now_ns, CERTIFICATE_LIFE_S
    )
    keys.write_new(
        authority,
        {
            **shared,
            "ca.key": keys.pem(ca_key),
            "federation.key": keys.pem(federation_key),
            FOUNDING: canonical.encode(founding),
        },
    )
    keys.write_new(
        home,
        {
            **shared,
            "tls.key": keys.pem(tls),
            "tls.crt": certificate.public_bytes(Encoding.PEM),
            "warrant.key": keys.pem(warrant),
            "ledger.key": keys.pem(ledger),
            "policy.key": keys.pem(policy),
            "key-server.seed": seed,
            "broker.toml": _settings(federation, listen, database_url_file).encode(),
        },
    )
    return Founded(signing.key_id(federation_public), home / "broker.toml")


def enrol(
    request: Path,
    authority: Path,
    out: Path,
    *,
    now_ns: int,
    life_s: int = CERTIFICATE_LIFE_S,
    replace_keys: bool = False,
    records_up_to: int | None = None,
) -> Enrolled:
    """Let a member in, or renew its certificate: the same request twice renews.

    Args:
        request: The member's request.json.
        authority: The offline folder.
        out: Where the bundle and the newest directory.json are written.
        now_ns: The time, nanoseconds since 1970.
        life_s: Life of the certificate, seconds, 300 to 86,400.
        replace_keys: Let a member that is already in come back with another certificate key. Ask them by telephone
            first: otherwise whoever sent the request takes their place.
        records_up_to: The most records approved; None for as many as the agency was let in with before, or
            `directory.RECORDS_UP_TO` for a new one. An agency that asks for more is refused: its allowance of index
            keys follows from them, and what it does not need it could guess with.

    Raises:
        EnrolmentRefused: A signature in the request does not hold, it is for another federation or epoch, the steward
            is missing, the member is already in with another key, or asks for more records than approved.
        broker.keys.BadFile: The authority folder or the request cannot be read.
    """
    with _open(authority) as office:
        asked = _read_request(keys.read(request), office)
        before = office.latest
        if before is None and asked.member.role == "agency":
            raise EnrolmentRefused("enrol the steward first: agencies need both key servers")
        _refuse_more_records(asked, before, records_up_to)
        after = _admit(office, asked, before, now_ns, replace_keys)
        certificate = office.certify(asked.member, asked.public, asked.hosts, now_ns, life_s)
        if after is not before:
            office.publish(after)
        keys.replace(authority, _spki_file(asked.member), directory.spki(asked.public))
        office.note(asked.member, certificate, now_ns)
        data = keys.read(authority / "directory.json")
    bundle: dict[str, Json] = {
        "v": 1,
        "uri": asked.member.uri,
        "certificate": certificate.public_bytes(Encoding.PEM).decode(),
        "ca": office.ca.public_bytes(Encoding.PEM).decode(),
        "directory": data.decode(),
        "federation_public": canonical.b64url(office.federation_public),
    }
    signature = signing.sign(office.federation_key, BUNDLE_LABEL, canonical.encode(bundle))
    name = f"{asked.member.agency or asked.member.role}.bundle.json"
    _folder(out)
    keys.replace(out, name, canonical.encode({"bundle": bundle, "signature": canonical.b64url(signature)}))
    keys.replace(out, "directory.json", data)
    return Enrolled(
        asked.member,
        after,
        after is not before,
        out / name,
        int(certificate.not_valid_after_utc.timestamp()) * 1_000_000_000,
        signing.key_id(office.federation_public),
        asked.row.records_up_to if asked.row is not None else None,
    )


def renew(home: Path, authority: Path, *, now_ns: int, life_s: int = CERTIFICATE_LIFE_S) -> None:
    """Renew the broker's own certificate, with the key it has.

    Args:
        home: The broker's folder; its tls.crt is replaced.
        authority: The offline folder.
        now_ns: The time, nanoseconds since 1970.
        life_s: Life of the certificate, seconds, 300 to 86,400.

    Raises:
        EnrolmentRefused: The life is out of bounds.
        broker.keys.BadFile: A file is missing or not what it should be.
    """
    public = keys.read_p256(home / "tls.key").public_key()
    with _open(authority) as office:
        member = Member(office.federation, "broker")
        certificate = office.certify(member, public, office.broker.hosts, now_ns, life_s)
        office.note(member, certificate, now_ns)
    keys.replace(home, "tls.crt", certificate.public_bytes(Encoding.PEM))


def withdraw(agency: str, authority: Path, out: Path, *, now_ns: int) -> Directory:
    """Put an agency out of the federation: the next directory has no row for it, and its certificate speaks for nobody.

    Args:
        agency: Identifier of the agency.
        authority: The offline folder.
        out: Where the newest directory.json is written.
        now_ns: The time, nanoseconds since 1970.

    Raises:
        accord.directory.UnknownAgency: It is not in the directory.
        EnrolmentRefused: There is no directory yet.
    """
    with _open(authority) as office:
        if office.latest is None:
            raise EnrolmentRefused("there is no directory yet: enrol the steward first")
        office.latest.agency(agency)
        rows = tuple(row for row in office.latest.agencies if row.id != agency)
        after = _next(office.latest, now_ns, agencies=rows)
        office.publish(after)
        _folder(out)
        keys.replace(out, "directory.json", keys.read(authority / "directory.json"))
    return after


def install_directory(home: Path, data: bytes) -> Directory:
    """Put a newer directory.json into the broker's home, after checking it as every process does.

    Args:
        home: The broker's folder.
        data: The file.

    Raises:
        accord.directory.BadDirectory: The pinned federation key did not sign it, or its keys are not this broker's.
        accord.directory.DirectoryOlder: A newer one is in use.
    """
    public = keys.read_pinned(home / "federation.pub")
    current = home / "directory.json"
    least = directory.parse(keys.read(current), public).version if current.exists() else 0
    found = directory.parse(data, public, least)
    if found.broker.warrant_key != signing.public_bytes(keys.read_ed25519(home / "warrant.key")):
        raise directory.BadDirectory("this directory names another broker's keys; check that it is the right home")
    keys.replace(home, "directory.json", data)
    return found


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request whose signatures hold."""

    member: Member
    public: ec.EllipticCurvePublicKey
    hosts: tuple[str, ...]
    row: Agency | None = None
    steward: Steward | None = None


@dataclass(frozen=True, slots=True)
class _Office:
    """The authority folder, open and locked."""

    folder: Path
    federation: str
    epoch: Epoch
    broker: directory.Broker
    ca_key: ec.EllipticCurvePrivateKey
    ca: x509.Certificate
    federation_key: Ed25519PrivateKey
    latest: Directory | None

    @property
    def federation_public(self) -> bytes:
        return signing.public_bytes(self.federation_key)

    def certify(
        self, member: Member, public: ec.EllipticCurvePublicKey, hosts: Sequence[str], now_ns: int, life_s: int
    ) -> x509.Certificate:
        if not 300 <= life_s <= CERTIFICATE_LIFE_S:
            raise EnrolmentRefused("a certificate lives from 5 minutes to 24 hours: choose a life between")
        return _certificate(self.ca_key, self.ca, member, public, hosts, now_ns, life_s)

    def publish(self, after: Directory) -> None:
        keys.replace(self.folder, "directory.json", directory.build(after, self.federation_key))

    def note(self, member: Member, certificate: x509.Certificate, now_ns: int) -> None:
        """One line for each certificate, so that it can be said later who was given what."""
        line = {
            "at": canonical.rfc3339(now_ns),
            "uri": member.uri,
            "serial": f"{certificate.serial_number:x}",
            "until": certificate.not_valid_after_utc.isoformat(),
        }
        descriptor = os.open(self.folder / "issued.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "a") as file:
            file.write(json.dumps(line) + "\n")


@contextmanager
def _open(authority: Path) -> Iterator[_Office]:
    federation, epoch, broker = _read_founding(keys.read(authority / FOUNDING))
    federation_key = keys.read_ed25519(authority / "federation.key")
    with (authority / FOUNDING).open("rb") as lock:
        # Two people enrolling at once would sign the same version twice.
        fcntl.flock(lock, fcntl.LOCK_EX)
        latest = None
        if (authority / "directory.json").exists():
            latest = directory.parse(keys.read(authority / "directory.json"), signing.public_bytes(federation_key))
        yield _Office(
            authority,
            federation,
            epoch,
            broker,
            keys.read_p256(authority / "ca.key"),
            x509.load_pem_x509_certificate(keys.read(authority / "ca.pem")),
            federation_key,
            latest,
        )


def _read_founding(data: bytes) -> tuple[str, Epoch, directory.Broker]:
    try:
        found = canonical.decode_object(data, keys.MAX_FILE_BYTES)
        canonical.closed(found, ("v", "federation", "epoch", "broker"))
        epoch, broker = found["epoch"], found["broker"]
        if not isinstance(epoch, dict) or not isinstance(broker, dict):
            raise NotCanonical("epoch or broker is not an object")
        return (
            canonical.text(found, "federation", directory.FEDERATION),
            directory.read_epoch(epoch),
            directory.read_broker(broker),
        )
    except NotCanonical as error:
        raise EnrolmentRefused(
            f"the federation's name, hosts or epoch are not of the right form ({error});"
            " use lower-case letters, digits and hyphens"
        ) from error


def _read_request(data: bytes, office: _Office) -> _Asked:
    """Read a request and check every signature in it: nobody can ask for keys that are not theirs."""
    try:
        outer = canonical.decode_object(data, MAX_REQUEST_BYTES)
        canonical.closed(outer, ("request", "signature"))
        found = outer["request"]
        if not isinstance(found, dict):
            raise NotCanonical("the request is not an object")
        federation = canonical.text(found, "federation")
        if federation != office.federation:
            raise EnrolmentRefused(f"the request is for another federation than {office.federation}; make a new one")
        # 1. The certificate key signs its own certificate request, and the whole.
        csr = x509.load_pem_x509_csr(canonical.text(found, "csr").encode())
        public = csr.public_key()
        if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
            raise EnrolmentRefused("the certificate key is not on the curve P-256; make a new request")
        if not csr.is_signature_valid:
            raise EnrolmentRefused("the certificate request is not signed by its own key; make a new request")
        message = canonical.lp(REQUEST_LABEL.encode(), canonical.encode(found))
        public.verify(canonical.unb64url(canonical.text(outer, "signature")), message, ec.ECDSA(SHA256()))
        if canonical.text(found, "kind") == "steward":
            return _steward_request(found, public, office)
        return _agency_request(found, public, office)
    except (InvalidSignature, signing.BadSignature) as error:
        raise EnrolmentRefused("the request is not signed by the keys it names; have it sent again") from error
    except (NotCanonical, ValueError, TypeError, UnsupportedAlgorithm, directory.BadDirectory) as error:
        raise EnrolmentRefused(f"the request is not of the agreed form ({error}); make a new one") from error


def _agency_request(found: dict[str, Json], public: ec.EllipticCurvePublicKey, office: _Office) -> _Asked:
    canonical.closed(found, ("v", "kind", "federation", "entry", "csr", "proofs"))
    canonical.integer(found, "v", 1, 1)
    canonical.text(found, "kind", "agency")
    entry, proofs = found["entry"], found["proofs"]
    if not isinstance(entry, dict) or not isinstance(proofs, dict):
        raise NotCanonical("entry or proofs is not an object")
    # 2. The certificate key signs the row.
    row = directory.read_row(office.federation, entry)
    if row.certificate_spki != directory.spki(public):
        raise EnrolmentRefused("the row and the certificate request name different keys; make a new request")
    # 3. Each signing key signs the row, so nobody enters another agency's key as their own.
    canonical.closed(proofs, ("answer", "asking", "witness"))
    message = directory.row_message(office.federation, row)
    for name, key in (("answer", row.answer), ("asking", row.asking), ("witness", row.witness)):
        signing.verify(key, REQUEST_LABEL, message, canonical.unb64url(canonical.text(proofs, name)))
    return _Asked(Member(office.federation, "agency", row.id), public, (), row=row)


def _steward_request(found: dict[str, Json], public: ec.EllipticCurvePublicKey, office: _Office) -> _Asked:
    canonical.closed(found, ("v", "kind", "federation", "epoch", "hosts", "steward", "csr"))
    canonical.integer(found, "v", 1, 1)
    epoch, steward = found["epoch"], found["steward"]
    if not isinstance(epoch, dict) or not isinstance(steward, dict):
        raise NotCanonical("epoch or steward is not an object")
    if directory.read_epoch(epoch) != office.epoch:
        raise EnrolmentRefused(
            f"the steward made its keys for another linkage epoch or version; make them anew, epoch {office.epoch.id}"
        )
    hosts = canonical.strings(found, "hosts", 16, r"[A-Za-z0-9.:-]{1,253}")
    return _Asked(Member(office.federation, "steward"), public, hosts, steward=directory.read_steward(steward))


def _admit(office: _Office, asked: _Asked, before: Directory | None, now_ns: int, replace_keys: bool) -> Directory:
    """The directory with this member in it; `before` itself when nothing changes."""
    known = office.folder / _spki_file(asked.member)
    if known.exists() and keys.read(known) != directory.spki(asked.public) and not replace_keys:
        raise EnrolmentRefused(
            f"{asked.member.uri} is already in with another key. If they made new keys, confirm it with them by"
            " telephone, then repeat with --replace-keys; otherwise someone is trying to take their place"
        )
    if asked.steward is not None:
        if before is None:
            return Directory(
                office.federation, 1, now_ns, None, office.epoch, office.broker, asked.steward, agencies=()
            )
        if asked.steward == before.steward:
            return before
        if not replace_keys:
            raise EnrolmentRefused(
                "the steward's key-server keys changed within the epoch, so every index would be lost; use the seeds it"
                " had, or confirm by telephone and repeat with --replace-keys"
            )
        return _next(before, now_ns, steward=asked.steward)
    if before is None or asked.row is None:
        raise RuntimeError("an agency is admitted only into a directory")
    if asked.row in before.agencies:
        return before
    others = (row for row in before.agencies if row.id != asked.row.id)
    return _next(before, now_ns, agencies=tuple(sorted((*others, asked.row), key=lambda row: row.id)))


def _refuse_more_records(asked: _Asked, before: Directory | None, approved: int | None) -> None:
    if asked.row is None or before is None:
        return
    # A certificate is renewed every day by the same command: that must not let a small agency grow unseen.
    had = max((row.records_up_to for row in before.agencies if row.id == asked.row.id), default=0)
    if asked.row.records_up_to > max(had, approved or had or directory.RECORDS_UP_TO):
        raise EnrolmentRefused(
            f"{asked.row.id} asks for room for {asked.row.records_up_to:,} people in its index; if its records are that"
            f" large, repeat with --records-up-to {asked.row.records_up_to}; otherwise have a smaller request made"
        )


def _next(
    before: Directory, now_ns: int, *, agencies: tuple[Agency, ...] | None = None, steward: Steward | None = None
) -> Directory:
    return replace(
        before,
        version=before.version + 1,
        issued_at_ns=now_ns,
        agencies=before.agencies if agencies is None else agencies,
        steward=before.steward if steward is None else steward,
    )


def _spki_file(member: Member) -> str:
    return f"{member.role}-{member.agency}.spki" if member.agency else f"{member.role}.spki"


def _folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise keys.BadFile(f"cannot make {out}: {error.strerror}") from error


def _settings(federation: str, listen: str, database_url_file: Path | None) -> str:
    database = "" if database_url_file is None else f"database_url_file = {json.dumps(str(database_url_file))}\n"
    return f"""# Settings of the broker. Every name, with units and bounds, is described in broker/settings.py.
# An environment variable ACCORD_<NAME> wins over a line here. Secrets are named by path only.
federation = "{federation}"
listen = "{listen}"
{database}"""


def _authority_certificate(federation: str, key: ec.EllipticCurvePrivateKey, now_ns: int) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{federation} federation")])
    start = _moment(now_ns) - BACKDATED
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )


def _certificate(
    ca_key: ec.EllipticCurvePrivateKey,
    ca: x509.Certificate,
    member: Member,
    public: ec.EllipticCurvePublicKey,
    hosts: Sequence[str],
    now_ns: int,
    life_s: int,
) -> x509.Certificate:
    """A member's certificate (RFC 5280; names as in the X.509-SVID profile of SPIFFE, section 2)."""
    start = _moment(now_ns) - BACKDATED
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(member.uri), *map(_host, hosts)]
    uses = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, member.agency or member.role)]))
        .issuer_name(ca.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(seconds=life_s))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, SHA256())
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _moment(now_ns: int) -> datetime:
    return datetime.fromtimestamp(now_ns // 1_000_000_000, UTC)
