"""A second implementation of Ed25519, after the sample code of RFC 8032 section 6.

https://www.rfc-editor.org/rfc/rfc8032. Not constant-time and not fast; it exists to disagree with the library if
that is ever wrong, and to make signatures that no library would make.
"""

import hashlib
from typing import Final

P: Final = 2**255 - 19
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
D: Final = -121665 * pow(121666, -1, P) % P
ROOT: Final = pow(2, (P - 1) // 4, P)

Point = tuple[int, int, int, int]


def _add(one: Point, other: Point) -> Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % P
    b = (one[1] + one[0]) * (other[1] + other[0]) % P
    c = 2 * one[3] * other[3] * D % P
    d = 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(scalar: int, point: Point) -> Point:
    found: Point = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            found = _add(found, point)
        point = _add(point, point)
        scalar >>= 1
    return found


def _x(y: int, sign: int) -> int | None:
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    if square == 0:
        return None if sign else 0
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P:
        return None
    return P - x if x & 1 != sign else x


def _base() -> Point:
    y = 4 * pow(5, -1, P) % P
    x = _x(y, 0)
    if x is None:
        raise RuntimeError("the base point is on the curve")
    return x, y, 1, x * y % P


BASE: Final = _base()


def _packed(point: Point) -> bytes:
    inverse = pow(point[2], -1, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _unpacked(data: bytes) -> Point | None:
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    x = _x(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


def _expanded(seed: bytes) -> tuple[int, bytes]:
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little") & (1 << 254) - 8 | 1 << 254
    return scalar, digest[32:]


def _hashed(*parts: bytes) -> int:
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % ORDER


def public(seed: bytes) -> bytes:
    """The public key of a 32-byte seed."""
    return _packed(_times(_expanded(seed)[0], BASE))


def sign(seed: bytes, message: bytes) -> bytes:
    """The 64-byte signature of RFC 8032 section 5.1.6."""
    scalar, prefix = _expanded(seed)
    own = _packed(_times(scalar, BASE))
    nonce = _hashed(prefix, message)
    point = _packed(_times(nonce, BASE))
    rest = (nonce + _hashed(point, own, message) * scalar) % ORDER
    return point + rest.to_bytes(32, "little")


def verify(own: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a signature holds, by RFC 8032 section 5.1.7."""
    if len(own) != 32 or len(signature) != 64:
        return False
    key, point = _unpacked(own), _unpacked(signature[:32])
    rest = int.from_bytes(signature[32:], "little")
    if key is None or point is None or rest >= ORDER:
        return False
    right = _add(point, _times(_hashed(signature[:32], own, message), key))
    return _packed(_times(rest, BASE)) == _packed(right)


def stretched(signature: bytes) -> bytes:
    """The same signature with the group order added to its second half: equal modulo the order, other bytes."""
    rest = int.from_bytes(signature[32:], "little") + ORDER
    return signature[:32] + rest.to_bytes(32, "little")
