"""A second implementation of the oblivious PRF, over libsodium.

RFC 9497 (https://www.rfc-editor.org/rfc/rfc9497), modes OPRF (0) and VOPRF (1),
suite ristretto255-SHA512, written from the RFC alone. Slow and plain on purpose:
it exists so that the implementation we ship is compared with another one.
"""

from __future__ import annotations

import hashlib

import rbcl

OPRF, VOPRF = 0, 1

_multiply = rbcl.crypto_scalarmult_ristretto255
_add = rbcl.crypto_core_ristretto255_add
_base = rbcl.crypto_scalarmult_ristretto255_base


def context(mode: int) -> bytes:
    """Section 3.1, CreateContextString."""
    return b"OPRFV1-" + mode.to_bytes(1, "big") + b"-ristretto255-SHA512"


def expand(message: bytes, dst: bytes) -> bytes:
    """RFC 9380 section 5.3.1, expand_message_xmd with SHA-512, to 64 bytes: exactly one block."""
    dst_prime = dst + len(dst).to_bytes(1, "big")
    first = hashlib.sha512(bytes(128) + message + (64).to_bytes(2, "big") + b"\0" + dst_prime).digest()
    return hashlib.sha512(first + b"\1" + dst_prime).digest()


def to_group(message: bytes, mode: int) -> bytes:
    """Section 4.1, HashToGroup."""
    return bytes(rbcl.crypto_core_ristretto255_from_hash(expand(message, b"HashToGroup-" + context(mode))))


def to_scalar(message: bytes, mode: int, dst: bytes | None = None) -> bytes:
    """Section 4.1, HashToScalar."""
    wide = expand(message, dst or b"HashToScalar-" + context(mode))
    return bytes(rbcl.crypto_core_ristretto255_scalar_reduce(wide))


def derive(seed: bytes, info: bytes, mode: int) -> tuple[bytes, bytes]:
    """Section 3.2.1, DeriveKeyPair: secret and public key."""
    for counter in range(256):
        secret = to_scalar(
            seed + len(info).to_bytes(2, "big") + info + counter.to_bytes(1, "big"),
            mode,
            b"DeriveKeyPair" + context(mode),
        )
        if any(secret):
            return secret, bytes(_base(secret))
    raise AssertionError("DeriveKeyPairError")


def random_scalar() -> bytes:
    """A uniformly random scalar."""
    return bytes(rbcl.crypto_core_ristretto255_scalar_random())


def blind(message: bytes, scalar: bytes, mode: int) -> bytes:
    """Section 3.3.1, Blind, with the given blind."""
    return bytes(_multiply(scalar, to_group(message, mode)))


def evaluate(secret: bytes, blinded: bytes) -> bytes:
    """Section 3.3.1, BlindEvaluate without proof."""
    return bytes(_multiply(secret, blinded))


def finalise(message: bytes, scalar: bytes, evaluated: bytes) -> bytes:
    """Section 3.3.1, Finalize."""
    return _hash(message, _multiply(rbcl.crypto_core_ristretto255_scalar_invert(scalar), evaluated))


def direct(secret: bytes, message: bytes, mode: int) -> bytes:
    """Section 3.3.1, Evaluate."""
    return _hash(message, _multiply(secret, to_group(message, mode)))


def _hash(message: bytes, element: bytes) -> bytes:
    return hashlib.sha512(_short(message) + _short(element) + b"Finalize").digest()


def _short(part: bytes) -> bytes:
    return len(part).to_bytes(2, "big") + part


def _composites(public: bytes, blinded: list[bytes], evaluated: list[bytes]) -> tuple[bytes, bytes]:
    """Section 2.2.2, ComputeComposites."""
    seed = hashlib.sha512(_short(public) + _short(b"Seed-" + context(VOPRF))).digest()
    left = right = None
    for i, (before, after) in enumerate(zip(blinded, evaluated, strict=True)):
        weight = to_scalar(_short(seed) + i.to_bytes(2, "big") + _short(before) + _short(after) + b"Composite", VOPRF)
        weighted = _multiply(weight, before), _multiply(weight, after)
        left = weighted[0] if left is None else _add(weighted[0], left)
        right = weighted[1] if right is None else _add(weighted[1], right)
    return bytes(left), bytes(right)


def _challenge(*elements: bytes) -> bytes:
    return to_scalar(b"".join(_short(bytes(element)) for element in elements) + b"Challenge", VOPRF)


def prove(secret: bytes, public: bytes, blinded: list[bytes], evaluated: list[bytes], scalar: bytes) -> bytes:
    """Section 2.2.1, GenerateProof, with the given random scalar."""
    left, right = _composites(public, blinded, evaluated)
    challenge = _challenge(public, left, right, _base(scalar), _multiply(scalar, left))
    answer = rbcl.crypto_core_ristretto255_scalar_sub(
        scalar, rbcl.crypto_core_ristretto255_scalar_mul(challenge, secret)
    )
    return challenge + bytes(answer)


def verify(public: bytes, blinded: list[bytes], evaluated: list[bytes], proof: bytes) -> bool:
    """Section 2.2.2, VerifyProof."""
    left, right = _composites(public, blinded, evaluated)
    challenge, answer = proof[:32], proof[32:]
    first = _add(_base(answer), _multiply(challenge, public))
    second = _add(_multiply(answer, left), _multiply(challenge, right))
    return challenge == _challenge(public, left, right, first, second)
