"""Sign and verify, with a label on every kind of message.

One algorithm: Ed25519 (RFC 8032, https://www.rfc-editor.org/rfc/rfc8032). A
label goes in front of every message, so that a signature made for one kind of
message can never be shown for another.
"""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from accord.canonical import lp, sha256
from accord.reasons import Problem

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64


class BadSignature(Problem):
    """A signature does not match its message, label and key."""

    reason = "BAD_SIGNATURE"


def key_id(public: bytes) -> str:
    """Identifier of a public key: the first 16 hexadecimal digits of its SHA-256.

    Args:
        public: 32 raw bytes.
    """
    return sha256(public).hex()[:16]


def public_bytes(private: Ed25519PrivateKey) -> bytes:
    """The 32 raw bytes of the public half."""
    return private.public_key().public_bytes_raw()


def sign(private: Ed25519PrivateKey, label: str, message: bytes) -> bytes:
    """Sign `label` and `message`.

    Returns:
        64 bytes: the Ed25519 signature over lp(label) followed by the message.
    """
    return private.sign(lp(label.encode()) + message)


def verify(public: bytes, label: str, message: bytes, signature: bytes) -> None:
    """Check a signature made by `sign`.

    Args:
        public: 32 raw bytes.
        label: The label of this kind of message.
        message: The bytes as received.
        signature: 64 bytes.

    Raises:
        BadSignature: It was not made by this key over exactly this label and message.
    """
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, lp(label.encode()) + message)
    except (InvalidSignature, ValueError) as error:
        raise BadSignature(f"the signature labelled {label!r} does not match") from error
