"""What the Open Policy Agent server beside the broker must be told, as the YAML that it reads.

    opa run --server --config-file opa.yaml --addr unix:///run/accord/opa.sock --unix-socket-perm 700 \
        --skip-version-check --log-level error

* It takes rules from the broker's signed bundle only, and checks the signature with a named key: without `keyid` older
  servers could be led past the check (GHSA-g2pf-6v5v-qcc8).
* It keeps nothing on disk, logs no decision and reports to nobody: the ledger is the record.
* It asks every few seconds, so a server that was started late or again has the rules soon; what has not changed is not
  sent again.

https://www.openpolicyagent.org/docs/configuration
"""

import json
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broker.engines.opa import BUNDLE

EVERY_S: Final = (1, 3)
"""Shortest and longest time between two looks at the broker's bundle, seconds."""


def server_settings(
    bundle_url: str, kid: str, public: EllipticCurvePublicKey, every_s: tuple[int, int] = EVERY_S
) -> str:
    """The server's configuration file.

    Args:
        bundle_url: Where the broker serves the bundle, `http://127.0.0.1:8282/bundles/accord.tar.gz`.
        kid: Identifier of the key that signs it.
        public: That key's public half, P-256.
        every_s: Shortest and longest time between two looks at the bundle, whole seconds.
    """
    base, _, resource = bundle_url.partition("/bundles/")
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    told = {
        "services": {"broker": {"url": base, "response_header_timeout_seconds": 5}},
        "bundles": {
            BUNDLE: {
                "service": "broker",
                "resource": f"bundles/{resource}",
                "persist": False,
                "polling": {"min_delay_seconds": every_s[0], "max_delay_seconds": every_s[1]},
                "signing": {"keyid": kid},
            }
        },
        "keys": {kid: {"algorithm": "ES256", "key": pem}},
    }
    # JSON is YAML, and quotes nothing wrongly.
    return json.dumps(told, indent=2) + "\n"
