"""Make this agency's, or the steward's, keys; ask to be let in; put in place what came back.

    init -> keys + request.json -> the federation's operator enrols -> bundle -> join -> certificate, directory

* Private keys are made here and never leave. `request.json` carries public keys only, each signed by its private half.
* `join` believes nothing that the federation key did not sign. The first time, that key itself comes with the bundle:
  its identifier is shown, to be compared with the operator by telephone, or demanded with `federation_key_id`.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from accord import canonical, directory, identity, linkage, signing
from accord.canonical import Json, NotCanonical
from accord.directory import Agency, Directory, Epoch, Member, Steward
from accord.reasons import Problem
from agency_node import keys

REQUEST_LABEL: Final = "accord enrolment request v1"
BUNDLE_LABEL: Final = "accord enrolment bundle v1"
REQUEST: Final = "request.json"


class JoinRefused(Problem):
    """The bundle that came back does not hold together or is not for this home. The message says what to do."""

    reason: ClassVar[str] = "ENROLMENT_REFUSED"


class BadOwnCertificate(Problem):
    """The certificate here is not one that the others would take. The message says why."""

    reason: ClassVar[str] = "CERTIFICATE_UNUSABLE"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What `init_agency` and `init_steward` made.

    Attributes:
        request: The file to send to the federation's operator.
        settings: The settings file.
    """

    request: Path
    settings: Path


@dataclass(frozen=True, slots=True)
class Joined:
    """What `join` put in place.

    Attributes:
        member: Who this home speaks for.
        directory: The directory now in use.
        federation_key_id: Identifier of the pinned federation key.
        first: Whether that key was pinned just now, so that its identifier should be compared by telephone.
        certificate_ends_at_ns: When the certificate must have been renewed, nanoseconds since 1970.
    """

    member: Member
    directory: Directory
    federation_key_id: str
    first: bool
    certificate_ends_at_ns: int


def init_agency(
    home: Path,
    *,
    federation: str,
    agency: str,
    title: str,
    kind: str,
    characters: Sequence[str],
    records_up_to: int = directory.RECORDS_UP_TO,
    broker: str = "localhost:7443",
    steward: str = "localhost:7444",
) -> Prepared:
    """Make an agency's keys, settings and request.

    Args:
        home: The node's folder.
        federation: Name of the federation to join.
        agency: Identifier of the agency.
        title: Its name as people read it.
        kind: Kind of agency, for example `police_force`.
        characters: Legal characters it claims, for example `s11_body`.
        records_up_to: How many people its records may come to hold; its yearly allowance of index keys follows.
        broker: Where the broker listens, host:port.
        steward: Where the steward listens, host:port.

    Raises:
        JoinRefused: A name is not of the right form.
        agency_node.keys.FileExists: Keys are already there.
    """
    tls = ec.generate_private_key(ec.SECP256R1())
    sealing = X25519PrivateKey.generate()
    answer, asking, witness = (Ed25519PrivateKey.generate() for _ in range(3))
    unsigned = Agency(
        id=agency,
        title=title,
        kind=kind,
        characters=tuple(sorted(set(characters))),
        sealing=sealing.public_key().public_bytes_raw(),
        answer=signing.public_bytes(answer),
        asking=signing.public_bytes(asking),
        witness=signing.public_bytes(witness),
        certificate_spki=b"",
        records_up_to=records_up_to,
    )
    signers = {"answer": answer, "asking": asking, "witness": witness}
    request = _agency_request(federation, unsigned, tls, signers)
    keys.write_new(
        home,
        {
            "tls.key": keys.pem(tls),
            "sealing.key": keys.pem(sealing),
            "answer.key": keys.pem(answer),
            "asking.key": keys.pem(asking),
            "witness.key": keys.pem(witness),
            "pseudonym.secret": os.urandom(keys.KEY_BYTES),
            "node.toml": _node_settings(federation, agency, broker, steward).encode(),
            REQUEST: request,
        },
    )
    return Prepared(home / REQUEST, home / "node.toml")


def request_anew(home: Path, *, records_up_to: int) -> Path:
    """Ask to be enrolled for another number of records, with the keys that are here.

    Args:
        home: The node's folder, which has joined.
        records_up_to: How many people its records may come to hold.

    Returns:
        The request to send to the federation's operator, in place of the earlier one.

    Raises:
        JoinRefused: The number is not one that can be enrolled.
        accord.directory.UnknownAgency: The directory does not list this agency, or no longer.
        agency_node.keys.BadFile: A file is missing or not what it should be.
    """
    listed = directory.parse(keys.read(home / "directory.json"), keys.read_pinned(home / "federation.pub"))
    certificate = x509.load_pem_x509_certificate(keys.read(home / "tls.crt"))
    member = directory.member(certificate.public_bytes(Encoding.DER))
    row = replace(listed.agency(member.agency), records_up_to=records_up_to)
    signers = {name: keys.read_ed25519(home / f"{name}.key") for name in ("answer", "asking", "witness")}
    request = _agency_request(listed.federation, row, keys.read_p256(home / "tls.key"), signers)
    keys.replace(home, REQUEST, request)
    return home / REQUEST


def _agency_request(
    federation: str, unsigned: Agency, tls: ec.EllipticCurvePrivateKey, signers: Mapping[str, Ed25519PrivateKey]
) -> bytes:
    member = _member(f"spiffe://{federation}/agency/{unsigned.id}")
    try:
        row = directory.sign_row(federation, unsigned, tls)
        directory.check_row(federation, row)
    except (NotCanonical, directory.BadDirectory) as error:
        raise JoinRefused(
            f"the agency's title, kind, characters or number of records are not of the right form ({error});"
            " kind and characters are single words such as police_force and s11_body, and records go from"
            f" {directory.MIN_RECORDS} to {directory.MAX_RECORDS:,}"
        ) from error
    message = directory.row_message(federation, row)
    request: dict[str, Json] = {
        "v": 1,
        "kind": "agency",
        "federation": federation,
        "entry": directory.entry_json(row),
        "csr": _csr(member, tls),
        "proofs": {name: canonical.b64url(signing.sign(key, REQUEST_LABEL, message)) for name, key in signers.items()},
    }
    return _signed(request, tls)


def init_steward(
    home: Path, *, federation: str, hosts: Sequence[str], epoch: str = "1", listen: str = "127.0.0.1:7444"
) -> Prepared:
    """Make the steward's keys, settings and request.

    Args:
        home: The steward's folder.
        federation: Name of the federation to join.
        hosts: DNS names or addresses at which nodes find it, at least one.
        epoch: The linkage epoch, as the federation's operator names it.
        listen: Where it listens, host:port.

    Raises:
        JoinRefused: A name is not of the right form.
        agency_node.keys.FileExists: Keys are already there.
    """
    if not hosts:
        raise JoinRefused("say at which host nodes find the steward, for example: --host steward.midshire.example")
    member = _member(f"spiffe://{federation}/steward")
    tls = ec.generate_private_key(ec.SECP256R1())
    seed, subject_seed = os.urandom(linkage.SEED_BYTES), os.urandom(linkage.SEED_BYTES)
    families = tuple(sorted(family.id for family in identity.FAMILIES))
    request: dict[str, Json] = {
        "v": 1,
        "kind": "steward",
        "federation": federation,
        "epoch": directory.epoch_json(Epoch(epoch, identity.NORMALISER_DIGEST, identity.FAMILY_SET_DIGEST, families)),
        "hosts": [*sorted(set(hosts))],
        "steward": directory.steward_json(_steward(seed, subject_seed, epoch, families)),
        "csr": _csr(member, tls),
    }
    keys.write_new(
        home,
        {
            "tls.key": keys.pem(tls),
            "key-server.seed": seed,
            "subject.seed": subject_seed,
            "steward.toml": _steward_settings(federation, listen).encode(),
            REQUEST: _signed(request, tls),
        },
    )
    return Prepared(home / REQUEST, home / "steward.toml")


def join(home: Path, bundle: Path, *, now_ns: int, federation_key_id: str | None = None) -> Joined:
    """Check what the federation's operator sent back, and put it in place. Also renews a certificate.

    Args:
        home: The folder that `init_agency` or `init_steward` made.
        bundle: The file that came back.
        now_ns: The time, nanoseconds since 1970.
        federation_key_id: Identifier of the federation key as the operator read it out; demanded when given.

    Raises:
        JoinRefused: Anything in it is not signed, not for the keys of this home, or not current.
        accord.directory.DirectoryOlder: A newer directory is in use.
        agency_node.keys.BadFile: A file is missing or not what it should be.
    """
    try:
        outer = canonical.decode_object(keys.read(bundle), keys.MAX_FILE_BYTES)
        canonical.closed(outer, ("bundle", "signature"))
        found = outer["bundle"]
        if not isinstance(found, dict):
            raise NotCanonical("the bundle is not an object")
        canonical.closed(found, ("v", "uri", "certificate", "ca", "directory", "federation_public"))
        canonical.integer(found, "v", 1, 1)
        # 1. Which federation key: the one pinned before, or the one that was read out.
        public = canonical.unb64url(canonical.text(found, "federation_public"))
        first = not (home / "federation.pub").exists()
        if not first and keys.read_pinned(home / "federation.pub") != public:
            raise JoinRefused("the bundle comes from another federation key than the one pinned here; do not use it")
        key_id = signing.key_id(public)
        if federation_key_id is not None and federation_key_id.replace(" ", "").lower() != key_id:
            raise JoinRefused("the bundle's federation key is not the one you were told; do not use it")
        # 2. That key signed everything else.
        signature = canonical.unb64url(canonical.text(outer, "signature"))
        signing.verify(public, BUNDLE_LABEL, canonical.encode(found), signature)
        certificate_pem = canonical.text(found, "certificate").encode()
        ca_pem = canonical.text(found, "ca").encode()
        directory_bytes = canonical.text(found, "directory").encode()
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        ca = x509.load_pem_x509_certificate(ca_pem)
        member = directory.member(certificate.public_bytes(Encoding.DER))
        certificate.verify_directly_issued_by(ca)
    except (NotCanonical, ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise JoinRefused(f"the bundle is not of the agreed form ({error}); have it sent again") from error
    except signing.BadSignature as error:
        raise JoinRefused("the bundle was changed on its way; have it sent again") from error
    # 3. The certificate is for this home's key, and current.
    if certificate.public_key() != keys.read_p256(home / "tls.key").public_key():
        raise JoinRefused("the certificate is for another key than this home's; send this home's request.json")
    moment = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC)
    if not certificate.not_valid_before_utc <= moment < certificate.not_valid_after_utc:
        raise JoinRefused("the certificate is not valid now: check this machine's clock, or have it issued again")
    # 4. The directory is signed, not older than the one in use, and says of this member what its own keys say.
    least = _version_in_use(home, public)
    listed = directory.parse(directory_bytes, public, least)
    _is_ours(home, member, listed)
    if first:
        keys.write_new(home, {"federation.pub": keys.pinned(public)})
    keys.replace(home, "ca.pem", ca_pem)
    keys.replace(home, "directory.json", directory_bytes)
    keys.replace(home, "tls.crt", certificate_pem)
    ends = int(certificate.not_valid_after_utc.timestamp()) * 1_000_000_000
    return Joined(member, listed, key_id, first, ends)


def install_directory(home: Path, data: bytes) -> Directory:
    """Put a newer directory.json in place, after checking it against the pinned key.

    Args:
        home: The node's or steward's folder.
        data: The file, as the broker relays it or the operator sends it.

    Raises:
        accord.directory.BadDirectory: The pinned federation key did not sign it.
        accord.directory.DirectoryOlder: A newer one is in use.
    """
    public = keys.read_pinned(home / "federation.pub")
    found = directory.parse(data, public, _version_in_use(home, public))
    keys.replace(home, "directory.json", data)
    return found


def own_certificate(
    certificate: bytes, private: ec.EllipticCurvePrivateKey, ca: bytes, uri: str, listed: Directory, now_ns: int
) -> x509.Certificate:
    """Look at our own certificate as the others will. They would only hang up, and a refusal names no cause.

    Args:
        certificate: PEM.
        private: Its private key, as it lies here.
        ca: The federation's certificate authority, PEM.
        uri: Who we are: the URI name that it must carry.
        listed: The directory in force.
        now_ns: The time, nanoseconds since 1970.

    Raises:
        BadOwnCertificate: It is another's, from another authority, for another key, or not valid now.
    """
    try:
        found = x509.load_pem_x509_certificate(certificate)
        found.verify_directly_issued_by(x509.load_pem_x509_certificate(ca))
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        raise BadOwnCertificate("it does not come from this federation's certificate authority") from None
    der = found.public_bytes(Encoding.DER)
    try:
        named = directory.member(der).uri
        if named != uri:
            raise BadOwnCertificate(f"it speaks for {named}, not for {uri}")
        directory.speaker(der, listed)
    except directory.BadCertificate as error:
        raise BadOwnCertificate(str(error)) from None
    except directory.UnknownAgency:
        raise BadOwnCertificate("the directory does not list this agency, or no longer") from None
    except directory.WrongAgency:
        raise BadOwnCertificate("the directory lists another certificate key for this agency") from None
    if found.public_key() != private.public_key():
        raise BadOwnCertificate("it is for another private key than the one here")
    moment = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC)
    if moment < found.not_valid_before_utc:
        raise BadOwnCertificate(f"it is not valid before {_minute(found.not_valid_before_utc)}; check this clock")
    if moment >= found.not_valid_after_utc:
        raise BadOwnCertificate(f"it ran out at {_minute(found.not_valid_after_utc)}")
    return found


def _minute(at: datetime) -> str:
    return at.strftime("%H:%M UTC on %-d %B %Y")


def _version_in_use(home: Path, public: bytes) -> int:
    current = home / "directory.json"
    return directory.parse(keys.read(current), public).version if current.exists() else 0


def _is_ours(home: Path, member: Member, listed: Directory) -> None:
    if member.federation != listed.federation:
        raise JoinRefused("certificate and directory belong to different federations; have the bundle made again")
    if member.role == "agency":
        row = listed.agency(member.agency)
        ours = (
            keys.read_x25519(home / "sealing.key").public_key().public_bytes_raw(),
            *(
                signing.public_bytes(keys.read_ed25519(home / f"{name}.key"))
                for name in ("answer", "asking", "witness")
            ),
        )
        if ours != (row.sealing, row.answer, row.asking, row.witness):
            raise JoinRefused(
                "the directory lists other keys for this agency than this home's; send request.json again"
            )
    elif member.role == "steward":
        epoch = listed.epoch
        seeds = keys.read_secret(home / "key-server.seed"), keys.read_secret(home / "subject.seed")
        if _steward(*seeds, epoch.id, epoch.family_ids) != listed.steward:
            raise JoinRefused("the directory lists other key-server keys than this home's; send request.json again")
    else:
        raise JoinRefused("the certificate is the broker's; a node or steward cannot use it")


def _steward(seed: bytes, subject_seed: bytes, epoch: str, families: Sequence[str]) -> Steward:
    subject = sorted(family.id for family in identity.SUBJECT_FAMILIES)
    return Steward(
        {family: linkage.FamilyKey(seed, epoch, family).public for family in families},
        {family: linkage.FamilyKey(subject_seed, directory.SUBJECT_EPOCH, family).public for family in subject},
    )


def _member(uri: str) -> Member:
    try:
        return directory.parse_uri(uri)
    except directory.BadCertificate as error:
        raise JoinRefused(
            "the name of the federation or agency is not of the right form: use lower-case letters, digits and hyphens,"
            " for example midshire and social-care"
        ) from error


def _csr(member: Member, private: ec.EllipticCurvePrivateKey) -> str:
    """A certificate request (RFC 2986) that names the member; only its key and signature are used."""
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, member.agency or member.role)]))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(member.uri)]), critical=False)
        .sign(private, SHA256())
    )
    return request.public_bytes(Encoding.PEM).decode()


def _signed(request: Mapping[str, Json], private: ec.EllipticCurvePrivateKey) -> bytes:
    try:
        message = canonical.encode(request)
    except NotCanonical as error:
        raise JoinRefused(f"a name cannot be written ({error})") from error
    signature = private.sign(canonical.lp(REQUEST_LABEL.encode(), message), ec.ECDSA(SHA256()))
    return canonical.encode({"request": request, "signature": canonical.b64url(signature)})


def _node_settings(federation: str, agency: str, broker: str, steward: str) -> str:
    return f"""# Settings of this agency's node. Each name, with units and bounds: agency_node/settings.py.
# An environment variable ACCORD_<NAME> wins over a line here. Secrets are named by path only.
federation = "{federation}"
agency = "{agency}"
broker = "{broker}"
steward = "{steward}"
# mapping = "mapping.yaml"    # how questions are looked up in this agency's records

# Where staff ask questions from here, say which identity provider signs them in:
# [staff]
# issuer = "https://login.example/realms/agency"
# audience = "accord"
# algorithm = "ES256"
# jwks_file = "identity-provider.jwks.json"
# role_claim = ["resource_access", "accord", "roles"]
# roles = {{ accord-practitioner = "practitioner", accord-manager = "manager" }}
"""


def _steward_settings(federation: str, listen: str) -> str:
    return f"""# Settings of the steward. Every name, with units and bounds, is described in agency_node/settings.py.
# An environment variable ACCORD_<NAME> wins over a line here. Secrets are named by path only.
federation = "{federation}"
listen = "{listen}"
"""
