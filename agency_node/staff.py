"""Who is at the keyboard: the agency's identity provider's token, checked here and nowhere else.

    token -> strict checks -> organisation -> sign-in age -> role -> Staff -> caller token

* The token stays inside the agency. What goes on is a pseudonym, a role, and how and when the person signed in.
* Keys come from a file (JWK Set, RFC 7517, https://www.rfc-editor.org/rfc/rfc7517); nothing is fetched, and the token
  chooses neither its key's kind nor its algorithm (RFC 8725 section 3.1).
* Nobody has a role by default: settings map the provider's words to Accord's roles.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from accord import warrant
from accord.canonical import lp
from accord.reasons import Problem

ALGORITHMS: Final = ("ES256", "RS256", "EdDSA")
"""What an identity provider may sign with; settings choose exactly one (RFC 8725 section 3.1)."""
ROLES: Final = frozenset({"practitioner", "manager", "duty_officer", "dpo", "auditor"})
"""Roles a person can have; `system` is for processes."""
MAX_AUTH_AGE_S: Final = 43_200
"""Oldest sign-in accepted, seconds: twelve hours, a long shift."""
STEP_UP_S: Final = 900
"""Oldest sign-in accepted for an emergency or for changing rules, seconds."""
MAX_JWKS_BYTES: Final = 65_536
MIN_RSA_BITS: Final = 2_048
"""Smallest RSA key accepted (RFC 7518 section 3.3)."""

_REQUIRED: Final = ("exp", "iat", "aud", "iss", "sub", "auth_time")


class StaffTokenRefused(Problem):
    """The sign-in was not accepted. The message says why, in words for the person who signed in."""

    reason: ClassVar[str] = "STAFF_TOKEN_REFUSED"


class BadIdentityProvider(Problem):
    """What the node was told about the identity provider cannot be used."""

    reason: ClassVar[str] = "BAD_SETTINGS"


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """What the node was told about its agency's identity provider.

    Attributes:
        issuer: The `iss` of its tokens, exactly.
        audience: The `aud` of its tokens for Accord, exactly one.
        algorithm: The one algorithm: ES256, RS256 or EdDSA.
        typ: The `typ` of its tokens' headers: `JWT`, or `at+jwt` (RFC 9068 section 2.1).
        keys: Key id -> public key.
        role_claim: Path to the role or roles, for example ("resource_access", "accord", "roles").
        roles: The provider's word -> Accord's role; of several that fit, the first here wins.
        organisation_claim: Path to the code of the person's organisation; empty when not checked.
        organisation: The code it must hold.
        aal_by_acr: `acr` -> authenticator assurance level; others count 2 with `mfa` in `amr`, else 1.
        phishing_resistant_amr: Methods that resist phishing, in the words of `amr` (RFC 8176 section 2).
        max_token_life_s: Longest life of a token, seconds.
        max_auth_age_s: Oldest sign-in, seconds.
        step_up_max_age_s: Oldest sign-in where a fresh one is demanded, seconds.
    """

    issuer: str
    audience: str
    algorithm: str
    typ: str
    keys: Mapping[str, warrant.PublicKey]
    role_claim: tuple[str, ...]
    roles: Mapping[str, str]
    organisation_claim: tuple[str, ...]
    organisation: str
    aal_by_acr: Mapping[str, int]
    phishing_resistant_amr: frozenset[str]
    max_token_life_s: int = 3_600
    max_auth_age_s: int = MAX_AUTH_AGE_S
    step_up_max_age_s: int = STEP_UP_S


@dataclass(frozen=True, slots=True)
class Staff:
    """A signed-in member of staff.

    Attributes:
        user: Pseudonym, 64 hexadecimal digits; the same person gets the same one at this agency, and only there.
        role: Accord's role.
        aal: Authenticator assurance level, 1 to 3.
        phishing_resistant: Whether the sign-in resists phishing.
        auth_time_s: When they signed in, seconds since 1970.
        acr: Authentication context class, as the provider said; empty when it did not.
        amr: Authentication methods, as the provider said.
    """

    user: str
    role: str
    aal: int
    phishing_resistant: bool
    auth_time_s: int
    acr: str
    amr: tuple[str, ...]


def read_jwks(data: bytes, algorithm: str) -> dict[str, warrant.PublicKey]:
    """Read a JWK Set into key objects of the one kind that `algorithm` needs.

    Keys for encryption and keys for another algorithm are passed over, as providers publish them side by side.

    Args:
        data: The file.
        algorithm: One of ALGORITHMS.

    Raises:
        BadIdentityProvider: Not a JWK Set, a key twice, a private or weak key, or no usable key.
    """
    if algorithm not in ALGORITHMS:
        raise BadIdentityProvider(f"the identity provider's algorithm must be one of {', '.join(ALGORITHMS)}")
    if len(data) > MAX_JWKS_BYTES:
        raise BadIdentityProvider("the identity provider's key file is too long")
    try:
        listed = json.loads(data)["keys"]
        rows: list[dict[str, Any]] = [dict(row) for row in listed]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadIdentityProvider("the identity provider's key file is not a JWK Set") from error
    keys: dict[str, warrant.PublicKey] = {}
    for row in rows:
        if row.get("use", "sig") != "sig" or row.get("alg", algorithm) != algorithm:
            continue
        if "d" in row or row.get("kty") == "oct":
            raise BadIdentityProvider("the identity provider's key file holds a secret key; ask for the public keys")
        key = _public_key(row, algorithm)
        if key is None:
            continue
        kid = row.get("kid")
        if not isinstance(kid, str) or not 1 <= len(kid) <= 128 or kid in keys:
            raise BadIdentityProvider("a key of the identity provider has no identifier of its own")
        keys[kid] = key
    if not keys:
        raise BadIdentityProvider(f"the identity provider's key file holds no key for {algorithm}")
    return keys


def _public_key(row: Mapping[str, Any], algorithm: str) -> warrant.PublicKey | None:
    try:
        key = jwt.PyJWK.from_dict(dict(row), algorithm).key  # only to read the numbers; checks use the object inside
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    match algorithm, key:
        case "ES256", EllipticCurvePublicKey():
            return key if isinstance(key.curve, SECP256R1) else None
        case "RS256", RSAPublicKey():
            if key.key_size < MIN_RSA_BITS:
                raise BadIdentityProvider(f"an RSA key of the identity provider is shorter than {MIN_RSA_BITS} bits")
            return key
        case "EdDSA", Ed25519PublicKey():
            return key
    return None


def check(token: str, provider: IdentityProvider, pseudonym_secret: bytes, now_s: int) -> Staff:
    """Check the identity provider's token.

    Args:
        token: As the person's browser or case system presents it.
        provider: What settings say about the provider.
        pseudonym_secret: The agency's own 32 secret bytes.
        now_s: The time, seconds since 1970.

    Raises:
        StaffTokenRefused: It is not a live token of this provider for Accord, of this organisation, with a role here.
    """
    # 1. A concrete key by its identifier, from the file.
    try:
        kid = jwt.get_unverified_header(token).get("kid") if len(token) <= warrant.MAX_BYTES else None
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise StaffTokenRefused("That is not a sign-in token. Sign in again at your agency.") from error
    key = provider.keys.get(kid) if isinstance(kid, str) else None
    if key is None or not isinstance(kid, str):
        raise StaffTokenRefused("Your sign-in was signed with a key that this node does not know. Sign in again.")
    # 2. Everything that `accord.warrant` demands of a token, in its order.
    try:
        claims = warrant.open_token(
            token,
            algorithm=provider.algorithm,
            key=key,
            kid=kid,
            typ=provider.typ,
            issuer=provider.issuer,
            audience=provider.audience,
            now_s=now_s,
            max_life_s=provider.max_token_life_s,
            require=_REQUIRED,
        )
    except warrant.TokenRefused as error:
        raise StaffTokenRefused(f"Your sign-in has ended or is not valid here ({error}). Sign in again.") from error
    subject = claims["sub"]
    if not isinstance(subject, str) or not 1 <= len(subject) <= 255:
        raise StaffTokenRefused("Your sign-in does not say who you are. Sign in again.")
    # 3. The right organisation.
    if provider.organisation_claim:
        organisation = _at(claims, provider.organisation_claim)
        if not isinstance(organisation, str) or organisation != provider.organisation:
            raise StaffTokenRefused("Your sign-in belongs to another organisation. Sign in at this agency.")
    # 4. Recent enough.
    auth_time_s = claims["auth_time"]
    if type(auth_time_s) is not int or not 0 <= auth_time_s <= now_s + warrant.LEEWAY_S:
        raise StaffTokenRefused("Your sign-in does not say when you signed in. Sign in again.")
    if now_s - auth_time_s > provider.max_auth_age_s:
        raise StaffTokenRefused("You signed in too long ago. Sign in again.")
    # 5. A role.
    role = _role(_at(claims, provider.role_claim), provider.roles)
    acr = claims.get("acr", "")
    amr = claims.get("amr", [])
    if not isinstance(acr, str) or len(acr) > 128 or not _words(amr):
        raise StaffTokenRefused("Your sign-in does not say how you signed in, in a form that is known. Sign in again.")
    return Staff(
        user=pseudonym(pseudonym_secret, provider.issuer, subject),
        role=role,
        aal=provider.aal_by_acr.get(acr, 2 if "mfa" in amr else 1),
        phishing_resistant=not provider.phishing_resistant_amr.isdisjoint(amr),
        auth_time_s=auth_time_s,
        acr=acr,
        amr=tuple(amr),
    )


def pseudonym(secret: bytes, issuer: str, subject: str) -> str:
    """The same person's pseudonym at this agency: HMAC-SHA256, 64 hexadecimal digits (RFC 2104).

    Args:
        secret: The agency's own 32 secret bytes, so that nobody else can try out names.
        issuer: The identity provider.
        subject: Its name for the person.
    """
    mac = HMAC(secret, SHA256())
    mac.update(lp(b"accord staff v1", issuer.encode(), subject.encode()))
    return mac.finalize().hex()


def demand_fresh(staff: Staff, provider: IdentityProvider, now_s: int) -> None:
    """Demand a sign-in of the last few minutes, for an emergency or for changing rules.

    Raises:
        StaffTokenRefused: The sign-in is older than `step_up_max_age_s`.
    """
    if now_s - staff.auth_time_s > provider.step_up_max_age_s:
        minutes = provider.step_up_max_age_s // 60
        raise StaffTokenRefused(
            f"This step needs a sign-in of the last {minutes} minutes. Sign in again and repeat it."
        )


def supervisor(staff: Staff, name: str, provider: IdentityProvider, secret: bytes, now_s: int) -> str:
    """The pseudonym of the supervisor who was told of an emergency.

    Args:
        staff: Who asks.
        name: The supervisor's name at the identity provider; empty when nobody was named.
        provider: The identity provider.
        secret: The agency's own, as for `pseudonym`.
        now_s: The time, seconds since 1970.

    Returns:
        64 hexadecimal digits, or "" for nobody; the rules refuse that, and the asker as their own supervisor.

    Raises:
        StaffTokenRefused: The asker's sign-in is too old for an emergency.
    """
    demand_fresh(staff, provider, now_s)
    return pseudonym(secret, provider.issuer, name.strip()) if name.strip() else ""


def caller_token(
    staff: Staff,
    *,
    agency: str,
    federation: str,
    certificate_der: bytes,
    asking_key: Ed25519PrivateKey,
    jti: str,
    now_s: int,
) -> str:
    """Mint the token that the broker sees for this member of staff; it lives a minute at most.

    Args:
        staff: Who was checked.
        agency: This agency.
        federation: This federation.
        certificate_der: The node's own certificate, to which the token is bound.
        asking_key: This agency's asking key.
        jti: A new UUID.
        now_s: The time, seconds since 1970.
    """
    return warrant.mint_caller(
        agency=agency,
        federation=federation,
        user=staff.user,
        role=staff.role,
        aal=staff.aal,
        phishing_resistant=staff.phishing_resistant,
        auth_time_s=staff.auth_time_s,
        acr=staff.acr,
        amr=staff.amr,
        certificate_der=certificate_der,
        jti=jti,
        now_s=now_s,
        key=asking_key,
    )


def _at(claims: Mapping[str, Any], path: Sequence[str]) -> object:
    found: object = claims
    for step in path:
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _role(found: object, roles: Mapping[str, str]) -> str:
    held = [found] if isinstance(found, str) else found
    if isinstance(held, list):
        for word, role in roles.items():
            if word in held:
                return role
    raise StaffTokenRefused("Your sign-in gives you no role in Accord. Ask your agency's administrator for one.")


def _words(found: object) -> bool:
    return (
        isinstance(found, list)
        and len(found) <= 16
        and all(isinstance(item, str) and len(item) <= 64 for item in found)
    )
