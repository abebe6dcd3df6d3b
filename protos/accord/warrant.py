"""Short-lived tokens, minted and checked side by side, strictly.

Two kinds of JSON Web Token (RFC 7519, https://www.rfc-editor.org/rfc/rfc7519)
live here: the *caller token*, which an asking node mints for its member of
staff, and the *warrant*, the broker's leave to ask one question. PyJWT accepts
much that must not pass (no expiry, an expiry in the year 9999, another kind's
`typ`, a list as audience, duplicate claims, a trailing `==`), so every token
goes through `open_token`, in this order:

1. size and alphabet; 2. header keys; 3. algorithm and kind (RFC 8725 section
3.11); 4. a concrete key chosen beforehand; 5. signature and standard claims;
6. claims read again with duplicates refused, times as integers; 7. claims a
closed set. Binding and replay (8 and 9) are the callers' part.
"""

import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from accord import signing
from accord.canonical import NotCanonical, b64url, lp, sha256, unb64url
from accord.reasons import Problem

CALLER_TYP: Final = "accord-caller+jwt"
WARRANT_TYP: Final = "accord-warrant+jwt"
MAX_BYTES: Final = 8192
"""Longest token read; an 8 MB header costs PyJWT 0.7 s before it is refused."""
MAX_WARRANT_BYTES: Final = 16_384
"""Longest warrant: room for 64 node parts and 128 marks of agreements, 13 KB. More marks than that no Ask of 1 MiB
brings: its envelopes hold at most 10 agencies and 12 people, 16 and 8, or 32 and 4, one agreement each."""
MAX_LIFE_S: Final = 60
WARRANT_LIFE_S: Final = 30
LEEWAY_S: Final = 5
CLOCK_SKEW_S: Final = 35
"""Largest difference between a warrant's time and a node's own clock: its life and the leeway."""
MAX_AMR: Final = 16
"""Most authentication methods in a caller token."""
AGREEMENT_LABEL: Final = b"accord agreement in warrant v1"

_UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_HEX64: Final = r"[0-9a-f]{64}"
_WORD: Final = r"[A-Za-z0-9_.-]{1,64}"
_DIGEST: Final = r"[A-Za-z0-9_-]{43}"
_PRINTABLE: Final = r"[\x20-\x7e]{0,128}"
_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")
_HEADER_KEYS: Final = frozenset({"alg", "typ", "kid"})
_REQUIRED: Final = ("exp", "iat", "nbf", "jti", "aud", "iss", "sub")
_CALLER_CLAIMS: Final = frozenset(
    {*_REQUIRED, "role", "aal", "phr", "auth_time", "acr", "amr", "cnf"},
)
_WARRANT_CLAIMS: Final = frozenset({*_REQUIRED, "stm", "nod", "pol", "cat", "agr"})

Claims = Mapping[str, Any]
PublicKey = Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey


class TokenRefused(Problem):
    """A token was not accepted. Callers are told only UNAUTHENTICATED; the message is for the operator."""

    reason = "UNAUTHENTICATED"


class TokenUntimely(TokenRefused):
    """A token is sound, but not live at this time: expired, or not yet valid."""


class TooWide(Problem):
    """One question asks so many agencies about so many agreements that its warrant would be too long to be read."""

    reason = "QUESTION_TOO_WIDE"


class WarrantRefused(Problem):
    """A warrant does not fit what came with it."""

    reason = "BAD_WARRANT"


class ClockSkew(Problem):
    """The broker's time and this node's clock are too far apart."""

    reason = "CLOCK_SKEW"


@dataclass(frozen=True, slots=True)
class Caller:
    """What a caller token says.

    Attributes:
        agency: Issuer: the asking agency.
        user: Pseudonym of the member of staff, 64 hexadecimal digits.
        role: Their role.
        aal: Authenticator assurance level, 1 to 3.
        phishing_resistant: Whether the sign-in was.
        auth_time_s: When they signed in, seconds since 1970.
        acr: Authentication context class, as the identity provider said.
        amr: Authentication methods, as the identity provider said (RFC 8176).
        jti: Identifier of the token.
        expires_at_s: When the token ends.
    """

    agency: str
    user: str
    role: str
    aal: int
    phishing_resistant: bool
    auth_time_s: int
    acr: str
    amr: tuple[str, ...]
    jti: str
    expires_at_s: int


@dataclass(frozen=True, slots=True)
class Warrant:
    """What a warrant says.

    Attributes:
        jti: Identifier; single use at a node.
        agency: The asking agency.
        statement: Digest of the asker's statement, 32 bytes.
        nodes: Digests of the node parts that may be answered, padded.
        policy: Policy revision.
        catalogue: Digest of the catalogue.
        agreements: Salted digests of the agreements relied on, padded.
        issued_at_s: When it was minted.
        expires_at_s: When it ends.
    """

    jti: str
    agency: str
    statement: bytes
    nodes: tuple[bytes, ...]
    policy: str
    catalogue: str
    agreements: tuple[bytes, ...]
    issued_at_s: int
    expires_at_s: int


def open_token(
    token: str,
    *,
    algorithm: str,
    key: PublicKey,
    kid: str,
    typ: str,
    issuer: str,
    audience: str,
    now_s: int,
    max_life_s: int = MAX_LIFE_S,
    max_bytes: int = MAX_BYTES,
    claims: frozenset[str] | None = None,
    require: Sequence[str] = _REQUIRED,
) -> Claims:
    """Check one token and give its claims.

    Args:
        token: As received.
        algorithm: The one algorithm of `key`; never one that the token chooses.
        key: A concrete key object, chosen by issuer and `kid` from settings or directory.
        kid: The key identifier that the header must name.
        typ: The one kind expected.
        issuer: Who must have issued it.
        audience: Whom it must be for, exactly one.
        now_s: The time, seconds since 1970.
        max_life_s: Longest `exp - iat` accepted, seconds.
        max_bytes: Longest token accepted.
        claims: The closed set of claims, or None for an identity provider's token, whose further claims are ignored.
        require: Claims that must be there.

    Raises:
        TokenUntimely: It is sound, but has expired or is not yet valid.
        TokenRefused: Anything else at all is wrong with it.
    """
    # 1. Size and alphabet, before anything is parsed.
    segments = token.split(".") if len(token) <= max_bytes else []
    if len(segments) != 3 or not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise TokenRefused(f"not three segments of the URL-safe alphabet within {max_bytes // 1024} KiB")
    try:
        header_bytes, payload_bytes, _ = (unb64url(segment) for segment in segments)
    except NotCanonical as error:
        raise TokenRefused("a segment is not strict base64") from error
    # 2. and 3. Header: closed keys, the expected algorithm, kind and key.
    header = _object(header_bytes)
    if not header.keys() <= _HEADER_KEYS:
        raise TokenRefused("the header has a key other than alg, typ and kid")
    if header.get("alg") != algorithm or header.get("kid") != kid:
        raise TokenRefused("the header names another algorithm or key")
    if str(header.get("typ", "")).lower() != typ.lower():
        raise TokenRefused("the token is of another kind")
    # 4. and 5. Signature over the bytes received, with the key chosen beforehand; times are checked below, against
    # the clock reading that the caller passed in.
    try:
        jwt.decode(
            token,
            key=key,
            algorithms=[algorithm],
            audience=audience,
            issuer=issuer,
            options={
                "require": list(require),
                "strict_aud": True,
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise TokenRefused("signature, issuer, audience or a required claim") from error
    # 6. The payload once more, with duplicate keys refused and times as integers.
    payload = _object(payload_bytes)
    issued, expires = _time(payload, "iat"), _time(payload, "exp")
    not_before = _time(payload, "nbf") if "nbf" in payload else issued
    if not 0 < expires - issued <= max_life_s:
        raise TokenRefused("the token's life is too long, or ends before it begins")
    # 7. A closed set of claims.
    if claims is not None and payload.keys() != claims:
        raise TokenRefused("a claim is missing or unknown")
    # The times last, so that what is called untimely is sound in all else.
    if not_before > now_s + LEEWAY_S or issued > now_s + LEEWAY_S:
        raise TokenUntimely("the token is not yet valid")
    if expires <= now_s - LEEWAY_S:
        raise TokenUntimely("the token has expired")
    return payload


def _object(data: bytes) -> dict[str, Any]:
    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in found}) != len(found):
            raise TokenRefused("a key stands twice")
        return dict(found)

    try:
        # Decoded here: given bytes, json would also take UTF-16, UTF-32 and halves of surrogate pairs.
        value = json.loads(data.decode("utf-8"), object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:
        raise TokenRefused("a segment is not JSON") from error
    if not isinstance(value, dict):
        raise TokenRefused("a segment is not an object")
    return value


def _time(payload: Mapping[str, Any], name: str) -> int:
    found = payload.get(name)
    if type(found) is not int or not 0 <= found < 2**40:
        raise TokenRefused(f"{name} is not a time in whole seconds")
    return found


def _text(payload: Mapping[str, Any], name: str, pattern: str) -> str:
    found = payload[name]
    if not isinstance(found, str) or not re.fullmatch(pattern, found):
        raise TokenRefused(f"{name} is not of its form")
    return found


def _mint(claims: Mapping[str, Any], typ: str, key: Ed25519PrivateKey) -> str:
    kid = signing.key_id(signing.public_bytes(key))
    return jwt.encode(dict(claims), key, algorithm="EdDSA", headers={"typ": typ, "kid": kid})


def certificate_thumbprint(der: bytes) -> str:
    """SHA-256 thumbprint of a certificate as `x5t#S256` carries it (RFC 8705 section 3.1).

    Args:
        der: The certificate in DER.
    """
    return b64url(sha256(der))


def mint_caller(
    *,
    agency: str,
    federation: str,
    user: str,
    role: str,
    aal: int,
    phishing_resistant: bool,
    auth_time_s: int,
    acr: str,
    amr: Sequence[str],
    certificate_der: bytes,
    jti: str,
    now_s: int,
    key: Ed25519PrivateKey,
    life_s: int = MAX_LIFE_S,
) -> str:
    """Mint a caller token, bound to the asking node's certificate.

    Args:
        agency: The asking agency, the issuer.
        federation: Its broker is the audience.
        user: Pseudonym of the member of staff.
        role: Their role.
        aal: Authenticator assurance level.
        phishing_resistant: Whether the sign-in was.
        auth_time_s: When they signed in.
        acr: As the identity provider said.
        amr: As the identity provider said.
        certificate_der: The node's client certificate.
        jti: Identifier of the token.
        now_s: The time.
        key: The agency's asking key.
        life_s: Seconds it lives, at most 60.
    """
    claims = {
        "iss": agency,
        "aud": f"{federation}/broker",
        "sub": user,
        "jti": jti,
        "iat": now_s,
        "nbf": now_s,
        "exp": now_s + life_s,
        "role": role,
        "aal": aal,
        "phr": phishing_resistant,
        "auth_time": auth_time_s,
        "acr": acr,
        "amr": list(amr),
        "cnf": {"x5t#S256": certificate_thumbprint(certificate_der)},
    }
    return _mint(claims, CALLER_TYP, key)


def open_caller(
    token: str, *, agency: str, federation: str, certificate_der: bytes, asking_public: bytes, now_s: int
) -> Caller:
    """Check a caller token at the broker.

    Args:
        token: As received.
        agency: The agency that the certificate names.
        federation: This federation.
        certificate_der: The certificate the call came with.
        asking_public: The directory's asking key for that agency.
        now_s: The time.

    Raises:
        TokenRefused: It is not a live token of this agency, bound to this certificate.
    """
    claims = open_token(
        token,
        algorithm="EdDSA",
        key=Ed25519PublicKey.from_public_bytes(asking_public),
        kid=signing.key_id(asking_public),
        typ=CALLER_TYP,
        issuer=agency,
        audience=f"{federation}/broker",
        now_s=now_s,
        claims=_CALLER_CLAIMS,
    )
    bound = claims["cnf"]
    if not isinstance(bound, dict) or bound.keys() != {"x5t#S256"}:
        raise TokenRefused("cnf is not a certificate thumbprint")
    # 8. Binding to the certificate of the channel (RFC 8705 section 3).
    thumbprint = _text(bound, "x5t#S256", _DIGEST)
    if not hmac.compare_digest(thumbprint, certificate_thumbprint(certificate_der)):
        raise TokenRefused("the token is bound to another certificate")
    amr = claims["amr"]
    if not isinstance(amr, list) or len(amr) > MAX_AMR:
        raise TokenRefused("amr is not a short list")
    if type(claims["aal"]) is not int or not 1 <= claims["aal"] <= 3 or not isinstance(claims["phr"], bool):
        raise TokenRefused("aal or phr is not of its type")
    return Caller(
        agency=agency,
        user=_text(claims, "sub", _HEX64),
        role=_text(claims, "role", _WORD),
        aal=claims["aal"],
        phishing_resistant=claims["phr"],
        auth_time_s=_time(claims, "auth_time"),
        acr=_text(claims, "acr", _PRINTABLE),
        amr=tuple(_text({"amr": item}, "amr", _PRINTABLE) for item in amr),
        jti=_text(claims, "jti", _WORD),
        expires_at_s=claims["exp"],
    )


def agreement_mark(node_salt: bytes, agreement_digest: bytes) -> bytes:
    """How a warrant names an agreement to one node and to nobody else: 32 bytes.

    Args:
        node_salt: The salt of that node's part of the statement.
        agreement_digest: SHA-256 of the agreement's signed bytes.
    """
    return sha256(lp(AGREEMENT_LABEL, node_salt, agreement_digest))


def mint_warrant(
    *,
    federation: str,
    agency: str,
    jti: str,
    statement: bytes,
    nodes: Sequence[bytes],
    policy: str,
    catalogue: str,
    agreements: Sequence[bytes],
    now_s: int,
    key: Ed25519PrivateKey,
    life_s: int = WARRANT_LIFE_S,
) -> str:
    """Mint the one warrant of a question.

    Args:
        federation: Its broker issues, its nodes are the audience.
        agency: The asking agency.
        jti: Already durable in the ledger.
        statement: Digest of the statement.
        nodes: Digests of the permitted node parts, padded by the caller.
        policy: Policy revision.
        catalogue: Digest of the catalogue.
        agreements: From `agreement_mark`, padded by the caller.
        now_s: The time.
        key: The broker's warrant key.
        life_s: Seconds it lives.

    Raises:
        TooWide: With this many digests it would be longer than MAX_WARRANT_BYTES. There is room for 64 of `nodes` and
            128 of `agreements`.
    """
    claims = {
        "iss": f"{federation}/broker",
        "aud": f"{federation}/nodes",
        "sub": agency,
        "jti": jti,
        "iat": now_s,
        "nbf": now_s,
        "exp": now_s + life_s,
        "stm": b64url(statement),
        "nod": sorted(b64url(item) for item in nodes),
        "pol": policy,
        "cat": catalogue,
        "agr": sorted(b64url(item) for item in agreements),
    }
    token = _mint(claims, WARRANT_TYP, key)
    if len(token) > MAX_WARRANT_BYTES:
        raise TooWide(f"a warrant of {len(token)} bytes would be refused by every node")
    return token


def open_warrant(token: str, *, federation: str, warrant_public: bytes, agency: str, now_s: int) -> Warrant:
    """Check a warrant at a node.

    Args:
        token: As received.
        federation: This federation.
        warrant_public: The directory's warrant key of the broker.
        agency: The asking agency that the statement names.
        now_s: The node's own clock.

    Raises:
        TokenRefused: It is not a warrant of this broker.
        WarrantRefused: It speaks of another agency.
        ClockSkew: It is a warrant of this broker, too old or too new for this node's clock.
    """
    try:
        claims = open_token(
            token,
            algorithm="EdDSA",
            key=Ed25519PublicKey.from_public_bytes(warrant_public),
            kid=signing.key_id(warrant_public),
            typ=WARRANT_TYP,
            issuer=f"{federation}/broker",
            audience=f"{federation}/nodes",
            now_s=now_s,
            max_bytes=MAX_WARRANT_BYTES,
            claims=_WARRANT_CLAIMS,
        )
    except TokenUntimely as error:
        raise ClockSkew("by this node's clock the warrant has expired, or is not yet valid") from error
    if abs(now_s - claims["iat"]) > CLOCK_SKEW_S:
        raise ClockSkew("the warrant's time is more than 35 seconds away")
    if claims["sub"] != agency:
        raise WarrantRefused("the warrant is for another asking agency")
    return Warrant(
        jti=_text(claims, "jti", _UUID),
        agency=agency,
        statement=_digest(claims["stm"]),
        nodes=_digests(claims["nod"]),
        policy=_text(claims, "pol", _HEX64),
        catalogue=_text(claims, "cat", _HEX64),
        agreements=_digests(claims["agr"]),
        issued_at_s=claims["iat"],
        expires_at_s=claims["exp"],
    )


def _digests(value: object) -> tuple[bytes, ...]:
    if not isinstance(value, list):
        raise TokenRefused("not a list of digests")
    return tuple(_digest(item) for item in value)


def _digest(value: object) -> bytes:
    try:
        found = unb64url(value) if isinstance(value, str) else b""
    except NotCanonical as error:
        raise TokenRefused("a digest in the warrant is malformed") from error
    if len(found) != 32:
        raise TokenRefused("a digest in the warrant is not 32 bytes")
    return found
