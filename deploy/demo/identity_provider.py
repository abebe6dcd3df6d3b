"""An identity provider for demonstrations and tests: it signs in invented staff and knows no real one.

    provider = IdentityProvider.make("https://login.police.example", "police")
    jwks_file.write_bytes(provider.jwks())
    token = provider.token("control-room-7", "practitioner", now_s=1_795_312_800)

Run by hand: `python -m deploy.demo.identity_provider HOME TOKEN` signs somebody in at the agency whose node lives in
HOME. The first time it makes the provider's key there, and tells the node to believe it.

One is made for each agency. Its tokens look like those of the usual products: roles under `resource_access.accord`,
the organisation's code under `organisation`, `acr` and `amr` for how somebody signed in
(OpenID Connect Core section 2, https://openid.net/specs/openid-connect-core-1_0.html#IDToken).
"""

import argparse
import json
import os
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import ECAlgorithm

AUDIENCE: Final = "accord"
KEY_ID: Final = "demo-1"
ACR: Final = "urn:example:aal2"
KEY_FILE: Final = "invented-identity-provider.key"
JWKS_FILE: Final = "identity-provider.jwks.json"
ROLES: Final = ("practitioner", "manager", "duty_officer", "dpo", "auditor")


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

    def settings(self, jwks_file: str = JWKS_FILE) -> str:
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


def of_node(home: Path) -> IdentityProvider:
    """The provider of the agency whose node lives here; made, and made known to the node, when there is none yet."""
    settings = home / "node.toml"
    agency = str(tomllib.loads(settings.read_text("utf-8"))["agency"])
    issuer, key = f"https://login.{agency}.example", home / KEY_FILE
    if key.exists():
        return IdentityProvider.load(issuer, agency, key.read_bytes())
    provider = IdentityProvider.make(issuer, agency)
    _write_private(key, provider.key_pem())
    (home / JWKS_FILE).write_bytes(provider.jwks())
    with settings.open("a", encoding="utf-8") as more:
        more.write(provider.settings())
    return provider


def _write_private(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)


def main(arguments: Sequence[str]) -> int:
    """Sign an invented member of staff in. Exit code 0, or 2 for wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.demo.identity_provider", description="Sign an invented member of staff in, for an hour."
    )
    parser.add_argument("home", type=Path, help="the node's folder")
    parser.add_argument("token", type=Path, help="where the sign-in is written; an earlier one is replaced")
    parser.add_argument("--person", default="social-worker-1")
    parser.add_argument("--role", choices=ROLES, default=ROLES[0])
    chosen = parser.parse_args(arguments)
    try:
        provider = of_node(chosen.home)
        token = provider.token(chosen.person, chosen.role, now_s=int(time.time()))
        _write_private(chosen.token, token.encode("ascii"))
    except (OSError, ValueError, KeyError) as problem:
        print(f"Nobody was signed in: {problem}", file=sys.stderr)
        return 2
    print(f"{chosen.person} is signed in at {provider.organisation} as {chosen.role}, for an hour: {chosen.token}")

    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
