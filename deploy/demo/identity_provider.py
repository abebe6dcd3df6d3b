"""An identity provider for demonstrations and tests: it signs in invented staff and knows no real one.

    provider = IdentityProvider.make("https://login.police.example", "police")
    jwks_file.write_bytes(provider.jwks())
    token = provider.token("control-room-7", "practitioner", now_s=1_795_312_800)

One is made for each agency. Its tokens look like those of the usual products: roles under `resource_access.accord`,
the organisation's code under `organisation`, `acr` and `amr` for how somebody signed in
(OpenID Connect Core section 2, https://openid.net/specs/openid-connect-core-1_0.html#IDToken).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import ECAlgorithm

AUDIENCE = "accord"
KEY_ID = "demo-1"
ACR = "urn:example:aal2"


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """A test identity provider.

    Attributes:
        issuer: The `iss` of its tokens.
        organisation: Code of the agency whose staff it signs in.
        private: Its signing key, on the curve P-256.
    """

    issuer: str
    organisation: str
    private: ec.EllipticCurvePrivateKey

    @classmethod
    def make(cls, issuer: str, organisation: str) -> "IdentityProvider":
        """Make one with a new key."""
        return cls(issuer, organisation, ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def load(cls, issuer: str, organisation: str, key_pem: bytes) -> "IdentityProvider":
        """Make one with the key that `key_pem` gave."""
        private = load_pem_private_key(key_pem, password=None)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise ValueError("not a key of a test identity provider")
        return cls(issuer, organisation, private)

    def key_pem(self) -> bytes:
        """Its private key, for a demonstration that goes on later."""
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def jwks(self) -> bytes:
        """Its public keys: a JWK Set (RFC 7517 section 5)."""
        row = json.loads(ECAlgorithm.to_jwk(self.private.public_key()))
        return json.dumps({"keys": [{**row, "kid": KEY_ID, "use": "sig", "alg": "ES256"}]}, indent=1).encode()

    def settings(self, jwks_file: str = "identity-provider.jwks.json") -> str:
        """The `[staff]` section for the agency's node.toml.

        Args:
            jwks_file: Where `jwks` was written, from the folder of node.toml.
        """
        return f"""
[staff]
issuer = "{self.issuer}"
audience = "{AUDIENCE}"
algorithm = "ES256"
jwks_file = "{jwks_file}"
role_claim = ["resource_access", "accord", "roles"]
organisation_claim = ["organisation", "code"]
organisation = "{self.organisation}"
aal_by_acr = {{ "{ACR}" = 2 }}

[staff.roles]
accord-duty-officer = "duty_officer"
accord-manager = "manager"
accord-practitioner = "practitioner"
accord-dpo = "dpo"
accord-auditor = "auditor"
"""

    def token(
        self,
        person: str,
        role: str,
        *,
        now_s: int,
        life_s: int = 3_600,
        signed_in_s_ago: int = 60,
        amr: Sequence[str] = ("pwd", "hwk", "mfa"),
        change: Mapping[str, Any] | None = None,
    ) -> str:
        """Sign in an invented member of staff.

        Args:
            person: The provider's own name for them, never a real one.
            role: practitioner, manager, duty_officer, dpo or auditor.
            now_s: The time, seconds since 1970.
            life_s: Life of the token, seconds.
            signed_in_s_ago: How long ago they signed in, seconds.
            amr: How they signed in.
            change: Claims to set otherwise; None as a value leaves the claim out.
        """
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "azp": "case-system",
            "sub": person,
            "jti": f"{person}-{now_s}",
            "iat": now_s,
            "nbf": now_s,
            "exp": now_s + life_s,
            "auth_time": now_s - signed_in_s_ago,
            "acr": ACR,
            "amr": list(amr),
            "organisation": {"code": self.organisation},
            "resource_access": {"accord": {"roles": ["staff", f"accord-{role.replace('_', '-')}"]}},
        }
        claims.update(change or {})
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(kept, self.private, algorithm="ES256", headers={"typ": "JWT", "kid": KEY_ID})
