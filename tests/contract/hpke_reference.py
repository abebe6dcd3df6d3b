"""A second implementation of HPKE, base mode, from the parts that `cryptography` offers.

RFC 9180 (https://www.rfc-editor.org/rfc/rfc9180), DHKEM(X25519, HKDF-SHA256),
HKDF-SHA256, ChaCha20-Poly1305, sequence number 0 only. Unlike the implementation
we ship it takes the ephemeral key and additional data as arguments, so that it
can be compared with the RFC's own vectors.
"""

from __future__ import annotations

import hmac

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

_KEM = b"KEM" + (0x0020).to_bytes(2, "big")
_SUITE = b"HPKE" + b"".join(part.to_bytes(2, "big") for part in (0x0020, 0x0001, 0x0003))


def _extract(suite: bytes, salt: bytes, label: bytes, secret: bytes) -> bytes:
    """Section 4, LabeledExtract."""
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + secret, "sha256")


def _expand(suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    """Section 4, LabeledExpand, for one block."""
    return hmac.digest(key, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info + b"\1", "sha256")[:length]


def _context(shared: bytes, enc: bytes, recipient: bytes, info: bytes) -> tuple[bytes, bytes]:
    """Sections 4.1 and 5.1: the AEAD key and the base nonce."""
    prk = _extract(_KEM, b"", b"eae_prk", shared)
    secret = _expand(_KEM, prk, b"shared_secret", enc + recipient, 32)
    schedule = b"\0" + _extract(_SUITE, b"", b"psk_id_hash", b"") + _extract(_SUITE, b"", b"info_hash", info)
    key = _extract(_SUITE, secret, b"secret", b"")
    return _expand(_SUITE, key, b"key", schedule, 32), _expand(_SUITE, key, b"base_nonce", schedule, 12)


def seal(recipient: bytes, info: bytes, plaintext: bytes, aad: bytes, ephemeral: bytes) -> bytes:
    """Section 6.1, SealBase with the given ephemeral key: enc || ct."""
    private = X25519PrivateKey.from_private_bytes(ephemeral)
    enc = private.public_key().public_bytes_raw()
    shared = private.exchange(X25519PublicKey.from_public_bytes(recipient))
    key, nonce = _context(shared, enc, recipient, info)
    return enc + ChaCha20Poly1305(key).encrypt(nonce, plaintext, aad)


def unseal(private: bytes, info: bytes, sealed: bytes, aad: bytes) -> bytes:
    """Section 6.1, OpenBase."""
    own = X25519PrivateKey.from_private_bytes(private)
    shared = own.exchange(X25519PublicKey.from_public_bytes(sealed[:32]))
    key, nonce = _context(shared, sealed[:32], own.public_key().public_bytes_raw(), info)
    return ChaCha20Poly1305(key).decrypt(nonce, sealed[32:], aad)
