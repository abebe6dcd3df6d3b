"""The federation directory: who belongs, and which keys speak for them.

    directory.json = {"directory": {...}, "key_id": "...", "signature": "..."}, canonical JSON

Two kinds of signature hold it together:

* the *offline federation key* (Ed25519) signs the whole, with a version that only rises. Every process pins that
  key's public half by path, and the broker, which relays the file, does not hold it; so the broker cannot put a key
  of its own in an agency's place, and cannot bring a withdrawn key back.
* each agency signs its own row with its certificate key (ECDSA P-256), bound to the federation's name; so the
  federation's operator cannot invent a row for an agency whose certificate it does not hold.

Whoever speaks on a channel is known by the URI name in its certificate, `spiffe://<federation>/agency/<id>`,
`/broker` or `/steward` (SPIFFE-ID section 2, https://spiffe.io/docs/latest/spiffe-specs/spiffe-id/). For an agency the
certificate's public key must also be the one in its row (T-SEC-4). A certificate lives a day and is renewed with the
same key, so the directory need not change with it.

There is no clock and no file here: callers pass bytes and times.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from accord import canonical, signing
from accord.canonical import Json, NotCanonical
from accord.reasons import Problem

LABEL: Final = "accord directory v1"
ROW_LABEL: Final = "accord directory row v1"
VERSION: Final = 1

SUBJECT_EPOCH: Final = "subject-1"
"""The epoch from which the steward's subject-tag keys are derived: they outlive linkage epochs, as the ledger does."""

MAX_BYTES: Final = 1 << 20
"""Most bytes of a directory file; at some 900 bytes an agency that is about a thousand agencies."""
MAX_AGENCIES: Final = 1_000
MAX_FAMILIES: Final = 64
MAX_CERTIFICATE_BYTES: Final = 16_384

RECORDS_UP_TO: Final = 10_000
"""Records for which an agency is enrolled unless it says otherwise."""
MIN_RECORDS: Final = 100
MAX_RECORDS: Final = 10_000_000

ID: Final = r"[a-z][a-z0-9-]{0,47}"
"""Identifier of an agency: lower case, as it stands in certificates, warrants and ledgers."""
FEDERATION: Final = r"[a-z][a-z0-9.-]{0,62}"
"""Name of a federation: the trust domain of its certificates."""

_WORD = r"[A-Za-z][A-Za-z0-9_]{0,47}"
_TITLE = r"[^\x00-\x1f\x7f]{1,200}"
_KID = r"[A-Za-z0-9_.-]{1,64}"
_HEX32 = r"[0-9a-f]{64}"
_FAMILY = r"[a-z0-9.]{1,24}( [a-z0-9.]{1,24}){0,5}"
_HOST = r"[A-Za-z0-9.:-]{1,253}"
_EPOCH = r"[A-Za-z0-9_.-]{1,32}"


class BadDirectory(Problem):
    """The directory file is not valid, or the pinned federation key did not sign it."""

    reason = "BAD_DIRECTORY"


class DirectoryOlder(Problem):
    """The directory file is valid but older than one already in use."""

    reason = "DIRECTORY_OLDER"


class UnknownAgency(Problem):
    """The directory has no agency of this identifier."""

    reason = "UNKNOWN_AGENCY"


class BadCertificate(Problem):
    """A certificate does not name one member of this federation."""

    reason = "UNAUTHENTICATED"


class WrongAgency(Problem):
    """A certificate names an agency, but its key is not the one in the directory."""

    reason = "WRONG_AGENCY"


@dataclass(frozen=True, slots=True)
class Agency:
    """One row: an agency and its public keys.

    Attributes:
        id: Identifier, for example `police`.
        title: Name that people read.
        kind: Kind of agency, for example `police_force`.
        characters: Legal characters the row claims, sorted; policy data says which of them count.
        sealing: X25519 public key that questions are sealed to, 32 bytes.
        answer: Ed25519 public key that signs its answers and agreements, 32 bytes.
        asking: Ed25519 public key that signs its statements and caller tokens, 32 bytes.
        witness: Ed25519 public key that countersigns the broker's ledger, 32 bytes.
        certificate_spki: DER SubjectPublicKeyInfo of its certificate key, on the curve P-256.
        records_up_to: How many people its records may hold; its allowance of index keys follows (`accord.allowance`).
        row_signature: DER ECDSA signature by that key over `row_message`; empty while being built.
    """

    id: str
    title: str
    kind: str
    characters: tuple[str, ...]
    sealing: bytes
    answer: bytes
    asking: bytes
    witness: bytes
    certificate_spki: bytes
    records_up_to: int = RECORDS_UP_TO
    row_signature: bytes = b""

    @property
    def certificate_spki_sha256(self) -> str:
        """SHA-256 of the certificate key's SubjectPublicKeyInfo, hexadecimal."""
        return canonical.sha256(self.certificate_spki).hex()


@dataclass(frozen=True, slots=True)
class Epoch:
    """The linkage epoch: what both key servers and every index must agree on.

    Attributes:
        id: Name of the epoch, for example `2026-1`.
        normaliser: Digest of the normaliser, 64 hexadecimal digits.
        families: Digest of the match-key family set, 64 hexadecimal digits.
        family_ids: The families in use, sorted.
    """

    id: str
    normaliser: str
    families: str
    family_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Broker:
    """The broker's public keys.

    Attributes:
        hosts: DNS names at which nodes may find it, sorted; may be empty.
        warrant_key: Ed25519, 32 bytes; signs warrants.
        ledger_origin: Origin line of its ledger's checkpoints.
        ledger_key: Ed25519, 32 bytes; signs checkpoints.
        policy_keys: Key id -> DER SubjectPublicKeyInfo of a P-256 key that signs policy bundles.
        key_server: Family -> public key of the broker's key server, 32 bytes.
    """

    hosts: tuple[str, ...]
    warrant_key: bytes
    ledger_origin: str
    ledger_key: bytes
    policy_keys: Mapping[str, bytes]
    key_server: Mapping[str, bytes]

    def policy_public_keys(self) -> dict[str, ec.EllipticCurvePublicKey]:
        """Key id -> public key object, as `accord.bundle.open_bundle` wants them."""
        return {kid: _p256(der) for kid, der in self.policy_keys.items()}


@dataclass(frozen=True, slots=True)
class Steward:
    """The second key server's public keys.

    Attributes:
        key_server: Family -> public key, 32 bytes; the same families as the broker's.
        subject_keys: Subject family -> public key, 32 bytes.
    """

    key_server: Mapping[str, bytes]
    subject_keys: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Directory:
    """A whole directory.

    Attributes:
        federation: Name of the federation, for example `midshire`.
        version: Rises by at least one with every issue.
        issued_at_ns: When it was signed, nanoseconds since 1970, whole milliseconds.
        expires_at_ns: After when it must not be used, or None.
        epoch: The linkage epoch.
        broker: The broker's keys.
        steward: The steward's keys.
        agencies: Rows in order of identifier.
    """

    federation: str
    version: int
    issued_at_ns: int
    expires_at_ns: int | None
    epoch: Epoch
    broker: Broker
    steward: Steward
    agencies: tuple[Agency, ...]

    def agency(self, agency_id: str) -> Agency:
        """The row of an agency.

        Raises:
            UnknownAgency: There is none.
        """
        for agency in self.agencies:
            if agency.id == agency_id:
                return agency
        raise UnknownAgency("the directory has no agency of that identifier")

    def current(self, now_ns: int) -> bool:
        """Whether the directory may still be used at this time."""
        return self.expires_at_ns is None or now_ns < self.expires_at_ns

    @property
    def key_servers_digest(self) -> str:
        """SHA-256 over the epoch and both key servers' public keys, 64 hexadecimal digits.

        Families in order, the broker's first, then the steward's with its subject families. A statement carries it,
        so that a node never compares tokens made under other keys (T-LNK-5).
        """
        servers = (self.broker.key_server, {**self.steward.key_server, **self.steward.subject_keys})
        listed = (
            canonical.lp(*(part for family in sorted(keys) for part in (family.encode(), keys[family])))
            for keys in servers
        )
        return canonical.sha256(canonical.lp(b"accord key servers v1", self.epoch.id.encode(), *listed)).hex()


@dataclass(frozen=True, slots=True)
class Member:
    """Who a certificate speaks for.

    Attributes:
        federation: Name of the federation.
        role: `agency`, `broker` or `steward`.
        agency: Identifier of the agency; empty for the other two.
    """

    federation: str
    role: Literal["agency", "broker", "steward"]
    agency: str = ""

    @property
    def uri(self) -> str:
        """The URI name its certificate carries."""
        return f"spiffe://{self.federation}/{self.role}" + (f"/{self.agency}" if self.role == "agency" else "")


def row_message(federation: str, agency: Agency) -> bytes:
    """The bytes an agency signs: label, federation, canonical row."""
    row = canonical.encode(_row_json(agency))
    return canonical.lp(ROW_LABEL.encode(), federation.encode(), row)


def sign_row(federation: str, agency: Agency, certificate_private: ec.EllipticCurvePrivateKey) -> Agency:
    """The same row with its certificate key written in and its signature made (ECDSA P-256, RFC 6979 nonce)."""
    complete = replace(agency, certificate_spki=spki(certificate_private.public_key()), row_signature=b"")
    signature = certificate_private.sign(
        row_message(federation, complete), ec.ECDSA(SHA256(), deterministic_signing=True)
    )
    return replace(complete, row_signature=signature)


def check_row(federation: str, agency: Agency) -> None:
    """Demand that a row is well formed and signed by the certificate key it names.

    Raises:
        BadDirectory: It is not.
    """
    try:
        _check_row(federation, agency)
    except NotCanonical as error:
        raise BadDirectory(f"the row of one agency is not valid: {error}") from error


def read_row(federation: str, value: Mapping[str, Json]) -> Agency:
    """Read and check one entry of the list of agencies, as `entry_json` writes it.

    Raises:
        BadDirectory: It is not of the agreed form, or its signature does not hold.
    """
    try:
        agency = _read_agency(value)
        _check_row(federation, agency)
    except NotCanonical as error:
        raise BadDirectory(f"the row of one agency is not valid: {error}") from error
    return agency


def entry_json(agency: Agency) -> dict[str, Json]:
    """One entry of the list of agencies, ready for `accord.canonical.encode`."""
    return {
        "row": _row_json(agency),
        "row_signature": canonical.b64url(agency.row_signature),
        "certificate_spki": canonical.b64url(agency.certificate_spki),
    }


def epoch_json(epoch: Epoch) -> dict[str, Json]:
    """The linkage epoch, ready for `accord.canonical.encode`."""
    return {
        "id": epoch.id,
        "normaliser": epoch.normaliser,
        "families": epoch.families,
        "family_ids": list(epoch.family_ids),
    }


def broker_json(broker: Broker) -> dict[str, Json]:
    """The broker's public keys, ready for `accord.canonical.encode`."""
    return {
        "hosts": list(broker.hosts),
        "warrant_key": canonical.b64url(broker.warrant_key),
        "ledger_origin": broker.ledger_origin,
        "ledger_key": canonical.b64url(broker.ledger_key),
        "policy_keys": _keys_json(broker.policy_keys),
        "key_server": _keys_json(broker.key_server),
    }


def steward_json(steward: Steward) -> dict[str, Json]:
    """The steward's public keys, ready for `accord.canonical.encode`."""
    return {"key_server": _keys_json(steward.key_server), "subject_keys": _keys_json(steward.subject_keys)}


def build(directory: Directory, federation_private: Ed25519PrivateKey) -> bytes:
    """Sign a directory.

    The result is read back before it is returned, so nothing leaves here that `parse` would refuse.

    Args:
        directory: Rows already signed by `sign_row`; sorted here.
        federation_private: The offline federation key.

    Returns:
        The bytes of directory.json.

    Raises:
        BadDirectory: A row or a key is not valid.
    """
    try:
        body = _directory_json(directory)
        message = canonical.encode(body)
    except NotCanonical as error:
        raise BadDirectory(f"the directory cannot be written: {error}") from error
    public = signing.public_bytes(federation_private)
    data = canonical.encode(
        {
            "directory": body,
            "key_id": signing.key_id(public),
            "signature": canonical.b64url(signing.sign(federation_private, LABEL, message)),
        }
    )
    parse(data, public, directory.version)
    return data


def parse(data: bytes, federation_public: bytes, at_least_version: int = 0) -> Directory:
    """Read directory.json, trusting only the pinned federation key.

    Args:
        data: The file, byte for byte; at most MAX_BYTES.
        federation_public: The pinned federation public key, 32 raw bytes.
        at_least_version: The highest version this process has accepted before; a lower one is refused.

    Raises:
        BadDirectory: Not of the agreed form, not signed by that key, or a row's own signature does not hold.
        DirectoryOlder: Valid, but its version is below `at_least_version`.
    """
    try:
        outer = canonical.decode_object(data, MAX_BYTES)
        canonical.closed(outer, ("directory", "key_id", "signature"))
        # 1. Whose signature, before anything inside is believed.
        if canonical.text(outer, "key_id") != signing.key_id(federation_public):
            raise BadDirectory("another federation key signed this directory than the one pinned here")
        body = outer["directory"]
        signing.verify(
            federation_public,
            LABEL,
            canonical.encode(body),  # `decode` has already proved that these are the bytes that arrived
            canonical.unb64url(canonical.text(outer, "signature")),
        )
        if not isinstance(body, dict):
            raise NotCanonical("the directory is not an object")
        # 2. What it says.
        directory = _read_directory(body)
        # 3. Each agency's own word for its row.
        for agency in directory.agencies:
            _check_row(directory.federation, agency)
    except signing.BadSignature as error:
        raise BadDirectory("the federation key did not sign this directory") from error
    except NotCanonical as error:
        raise BadDirectory(f"the directory is not of the agreed form: {error}") from error
    if directory.version < at_least_version:
        raise DirectoryOlder(
            f"directory version {directory.version} is older than version {at_least_version}, already in use;"
            " get the newest directory.json from the federation's operator"
        )
    return directory


def member(certificate_der: bytes) -> Member:
    """Who a certificate names. The TLS layer has checked its chain and dates; this reads its URI name only.

    Args:
        certificate_der: The certificate, DER.

    Raises:
        BadCertificate: Not a certificate, or not exactly one URI name of an agreed form.
    """
    if len(certificate_der) > MAX_CERTIFICATE_BYTES:
        raise BadCertificate("the certificate is too long")
    try:
        certificate = x509.load_der_x509_certificate(certificate_der)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (ValueError, TypeError, x509.ExtensionNotFound, x509.DuplicateExtension) as error:
        raise BadCertificate("the certificate carries no readable names") from error
    if len(uris) != 1:
        raise BadCertificate("the certificate does not carry exactly one URI name")
    return parse_uri(uris[0])


def parse_uri(uri: str) -> Member:
    """Read `spiffe://<federation>/agency/<id>`, `/broker` or `/steward`.

    Raises:
        BadCertificate: Any other form.
    """
    found = re.fullmatch(rf"spiffe://({FEDERATION})/(?:(broker|steward)|agency/({ID}))", uri)
    if found is None:
        raise BadCertificate("the certificate's URI name is not that of a member")
    federation, role, agency = found.groups()
    if role == "broker":
        return Member(federation, "broker")
    if role == "steward":
        return Member(federation, "steward")
    return Member(federation, "agency", agency)


def speaker(certificate_der: bytes, directory: Directory) -> Member:
    """Who speaks on a channel: the certificate's name, held against the directory (T-SEC-4).

    Args:
        certificate_der: The peer's certificate, DER; its chain and dates were checked by TLS.
        directory: The directory in force.

    Raises:
        BadCertificate: Another federation, or no readable name.
        UnknownAgency: It names an agency that is not, or no longer, in the directory.
        WrongAgency: Its key is not the one in that agency's row.
    """
    named = member(certificate_der)
    if named.federation != directory.federation:
        raise BadCertificate("the certificate belongs to another federation")
    if named.role == "agency":
        row = directory.agency(named.agency)
        try:
            presented = x509.load_der_x509_certificate(certificate_der).public_key()
            same = (
                spki(presented) == row.certificate_spki if isinstance(presented, ec.EllipticCurvePublicKey) else False
            )
        except (ValueError, UnsupportedAlgorithm) as error:
            raise BadCertificate("the certificate's key cannot be read") from error
        if not same:
            raise WrongAgency("the certificate's key is not the one in the directory")
    return named


def spki(public: ec.EllipticCurvePublicKey) -> bytes:
    """DER SubjectPublicKeyInfo of a public key (RFC 5480 section 2)."""
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _row_json(agency: Agency) -> dict[str, Json]:
    return {
        "id": agency.id,
        "title": agency.title,
        "kind": agency.kind,
        "characters": list(agency.characters),
        "sealing": canonical.b64url(agency.sealing),
        "answer": canonical.b64url(agency.answer),
        "asking": canonical.b64url(agency.asking),
        "witness": canonical.b64url(agency.witness),
        "records_up_to": agency.records_up_to,
        "certificate_spki_sha256": agency.certificate_spki_sha256,
    }


def _directory_json(directory: Directory) -> dict[str, Json]:
    body: dict[str, Json] = {
        "v": VERSION,
        "federation": directory.federation,
        "version": directory.version,
        "issued_at": canonical.rfc3339(directory.issued_at_ns),
        "epoch": epoch_json(directory.epoch),
        "broker": broker_json(directory.broker),
        "steward": steward_json(directory.steward),
        "agencies": [entry_json(agency) for agency in sorted(directory.agencies, key=lambda row: row.id)],
    }
    if directory.expires_at_ns is not None:
        body["expires_at"] = canonical.rfc3339(directory.expires_at_ns)
    return body


def _keys_json(keys: Mapping[str, bytes]) -> dict[str, Json]:
    return {name: canonical.b64url(key) for name, key in keys.items()}


def _read_directory(body: Mapping[str, Json]) -> Directory:
    keys = ["v", "federation", "version", "issued_at", "epoch", "broker", "steward", "agencies"]
    if "expires_at" in body:
        keys.append("expires_at")
    canonical.closed(body, keys)
    canonical.integer(body, "v", VERSION, VERSION)
    issued_at_ns = canonical.from_rfc3339(canonical.text(body, "issued_at"))
    expires_at_ns = canonical.from_rfc3339(canonical.text(body, "expires_at")) if "expires_at" in body else None
    if expires_at_ns is not None and expires_at_ns <= issued_at_ns:
        raise NotCanonical("it ends before it begins")
    agencies = tuple(_read_agency(entry) for entry in canonical.objects(body, "agencies", MAX_AGENCIES))
    ids = [agency.id for agency in agencies]
    if ids != sorted(set(ids)):
        raise NotCanonical("the agencies are not in order, or one is there twice")
    if len({agency.certificate_spki for agency in agencies}) != len(agencies):
        raise NotCanonical("two agencies share a certificate key")
    own = [key for agency in agencies for key in (agency.sealing, agency.answer, agency.asking, agency.witness)]
    epoch = read_epoch(_object(body, "epoch"))
    broker = read_broker(_object(body, "broker"))
    steward = read_steward(_object(body, "steward"))
    own += [broker.warrant_key, broker.ledger_key]
    if len(set(own)) != len(own):
        raise NotCanonical("one key serves two purposes")
    if not sorted(broker.key_server) == sorted(steward.key_server) == list(epoch.family_ids):
        raise NotCanonical("the key servers do not serve exactly the families of the epoch")
    if steward.subject_keys.keys() & steward.key_server.keys():
        raise NotCanonical("a subject family has the name of a match-key family")
    return Directory(
        canonical.text(body, "federation", FEDERATION),
        canonical.integer(body, "version", 1),
        issued_at_ns,
        expires_at_ns,
        epoch,
        broker,
        steward,
        agencies,
    )


def read_epoch(value: Mapping[str, Json]) -> Epoch:
    """Read what `epoch_json` writes.

    Raises:
        NotCanonical: It is not of the agreed form.
    """
    canonical.closed(value, ("id", "normaliser", "families", "family_ids"))
    return Epoch(
        canonical.text(value, "id", _EPOCH),
        canonical.text(value, "normaliser", _HEX32),
        canonical.text(value, "families", _HEX32),
        _sorted(value, "family_ids", MAX_FAMILIES, _FAMILY),
    )


def read_broker(value: Mapping[str, Json]) -> Broker:
    """Read what `broker_json` writes.

    Raises:
        NotCanonical: It is not of the agreed form.
    """
    canonical.closed(value, ("hosts", "warrant_key", "ledger_origin", "ledger_key", "policy_keys", "key_server"))
    policy_keys = _named_keys(value, "policy_keys", _KID, None)
    for der in policy_keys.values():
        _p256(der)
    return Broker(
        _sorted(value, "hosts", 16, _HOST),
        _key(value, "warrant_key"),
        canonical.text(value, "ledger_origin", r"[!-~]{1,128}"),
        _key(value, "ledger_key"),
        policy_keys,
        _named_keys(value, "key_server", _FAMILY, signing.KEY_BYTES),
    )


def read_steward(value: Mapping[str, Json]) -> Steward:
    """Read what `steward_json` writes.

    Raises:
        NotCanonical: It is not of the agreed form.
    """
    canonical.closed(value, ("key_server", "subject_keys"))
    return Steward(
        _named_keys(value, "key_server", _FAMILY, signing.KEY_BYTES),
        _named_keys(value, "subject_keys", _FAMILY, signing.KEY_BYTES),
    )


def _read_agency(entry: Mapping[str, Json]) -> Agency:
    canonical.closed(entry, ("row", "row_signature", "certificate_spki"))
    row = _object(entry, "row")
    canonical.closed(
        row,
        (
            "id",
            "title",
            "kind",
            "characters",
            "sealing",
            "answer",
            "asking",
            "witness",
            "records_up_to",
            "certificate_spki_sha256",
        ),
    )
    agency = Agency(
        canonical.text(row, "id", ID),
        canonical.text(row, "title", _TITLE),
        canonical.text(row, "kind", _WORD),
        _sorted(row, "characters", 16, _WORD),
        _key(row, "sealing"),
        _key(row, "answer"),
        _key(row, "asking"),
        _key(row, "witness"),
        canonical.unb64url(canonical.text(entry, "certificate_spki")),
        canonical.integer(row, "records_up_to", MIN_RECORDS, MAX_RECORDS),
        canonical.unb64url(canonical.text(entry, "row_signature")),
    )
    if canonical.text(row, "certificate_spki_sha256", _HEX32) != agency.certificate_spki_sha256:
        raise NotCanonical("a row names another certificate key than the one beside it")
    return agency


def _check_row(federation: str, agency: Agency) -> None:
    # Reading back what would be written checks form and bounds of a row that never was bytes.
    _read_agency(entry_json(agency))
    public = _p256(agency.certificate_spki)
    try:
        public.verify(agency.row_signature, row_message(federation, agency), ec.ECDSA(SHA256()))
    except InvalidSignature as error:
        raise NotCanonical("the agency's certificate key did not sign its row") from error


def _p256(der: bytes) -> ec.EllipticCurvePublicKey:
    try:
        public = load_der_public_key(der)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise NotCanonical("a P-256 public key cannot be read") from error
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
        raise NotCanonical("a public key is not on the curve P-256")
    if spki(public) != der:
        raise NotCanonical("a public key is not in its one encoding")
    return public


def _object(value: Mapping[str, Json], key: str) -> dict[str, Json]:
    found = value.get(key)
    if not isinstance(found, dict):
        raise NotCanonical(f"{key} is missing or not an object")
    return found


def _key(value: Mapping[str, Json], key: str) -> bytes:
    raw = canonical.unb64url(canonical.text(value, key))
    if len(raw) != signing.KEY_BYTES:
        raise NotCanonical(f"{key} is not 32 bytes")
    return raw


def _named_keys(value: Mapping[str, Json], key: str, names: str, size: int | None) -> dict[str, bytes]:
    found = _object(value, key)
    if not 1 <= len(found) <= MAX_FAMILIES:
        raise NotCanonical(f"{key} holds no keys, or too many")
    keys: dict[str, bytes] = {}
    for name in sorted(found):
        if not re.fullmatch(names, name):
            raise NotCanonical(f"{key} holds a name that is not of the right form")
        keys[name] = canonical.unb64url(canonical.text(found, name))
        if size is not None and len(keys[name]) != size:
            raise NotCanonical(f"{key} holds a key that is not {size} bytes")
    return keys


def _sorted(value: Mapping[str, Json], key: str, most: int, pattern: str) -> tuple[str, ...]:
    found: Sequence[str] = canonical.strings(value, key, most, pattern)
    if list(found) != sorted(set(found)):
        raise NotCanonical(f"{key} is not in order, or holds something twice")
    return tuple(found)
