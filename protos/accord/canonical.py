"""The one way to turn a statement into bytes.

Everything that is hashed or signed in Accord is either canonical JSON or a
length-prefixed sequence of byte strings. Canonical JSON is RFC 8785
(https://www.rfc-editor.org/rfc/rfc8785) narrowed to what the ledger and the
statements need: strings in Unicode normal form C, integers, booleans, null,
arrays, and objects with ASCII keys. There are no floating-point numbers, so the
hard part of RFC 8785 (section 3.2.2.3) never arises. Integers have 63 bits and a
sign, so they may exceed 2^53: policy inputs carry nanoseconds and are read with
exact integers.

Bytes that arrive are verified as they arrived and never re-encoded for it;
`decode` refuses any text that is not already canonical, so one meaning has one
encoding.
"""

import base64
import binascii
import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TypeAlias

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"

MAX_BYTES: Final = 65_535
"""Most bytes in one ledger record: an entry bundle gives a record two bytes of length (C2SP tlog-tiles)."""

MAX_DEPTH: Final = 16
"""Deepest nesting that is read; nothing in the contract nests deeper than six."""

MAX_INTEGER: Final = 2**63 - 1
"""Largest integer, and the smallest without its sign: what every other language's signed 64-bit integer holds."""

_RFC3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")


class NotCanonical(ValueError):
    """The bytes or the value have no canonical form here."""


def encode(value: object) -> bytes:
    """Canonical JSON of a value.

    Args:
        value: Built from None, bool, int, str, sequences and mappings with ASCII string keys.

    Returns:
        UTF-8 bytes with keys sorted and no white space.

    Raises:
        NotCanonical: A float, an integer beyond MAX_INTEGER, a string that is not in normal form C, a key that is not
            ASCII, or any other type.
    """
    _check(value, 0)
    # Keys are ASCII, so code-point order is the UTF-16 order of RFC 8785 section 3.2.3.
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def _check(value: object, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise NotCanonical("nested too deeply")
    match value:
        case None | bool():
            return
        case int():
            if abs(value) > MAX_INTEGER:
                raise NotCanonical("an integer of more than 63 bits")
        case str():
            if value.isascii():
                return
            if not unicodedata.is_normalized("NFC", value):
                raise NotCanonical("a string is not in Unicode normal form C")
            if any("\ud800" <= character <= "\udfff" for character in value):
                raise NotCanonical("a string holds half of a surrogate pair")
        case dict():
            for key, item in value.items():
                if not isinstance(key, str) or not key.isascii():
                    raise NotCanonical("an object key is not an ASCII string")
                _check(item, depth + 1)
        case list() | tuple():
            for item in value:
                _check(item, depth + 1)
        case _:
            raise NotCanonical(f"a value of type {type(value).__name__} has no canonical form")


def decode(data: bytes, limit: int = MAX_BYTES) -> Json:
    """Read canonical JSON, refusing everything that `encode` would not have written.

    Args:
        data: The bytes as received.
        limit: Most bytes accepted.

    Raises:
        NotCanonical: Too long, not UTF-8, not JSON, or JSON written in another way.
    """
    if len(data) > limit:
        raise NotCanonical(f"longer than {limit} bytes")
    try:
        value: Json = json.loads(data.decode("utf-8"), parse_float=_refuse, parse_constant=_refuse)
        again = encode(value)
    except NotCanonical:
        raise
    except (ValueError, RecursionError) as error:
        raise NotCanonical("not JSON") from error
    if again != data:
        raise NotCanonical("JSON, but not in canonical form")
    return value


def _refuse(_: str) -> Json:
    raise NotCanonical("a number that is not an integer")


def decode_object(data: bytes, limit: int = MAX_BYTES) -> dict[str, Json]:
    """Read canonical JSON that must be an object.

    Raises:
        NotCanonical: As `decode`, or the value is not an object.
    """
    value = decode(data, limit)
    if not isinstance(value, dict):
        raise NotCanonical("not an object")
    return value


def lp(*parts: bytes) -> bytes:
    """Join byte strings so that no two lists of parts give the same bytes.

    Returns:
        For each part its length as four bytes, big-endian, then the part.
    """
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def sha256(*parts: bytes) -> bytes:
    """SHA-256 of the parts one after the other: 32 bytes (FIPS 180-4)."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()


def b64(data: bytes) -> str:
    """Standard base64 with padding (RFC 4648 section 4), as C2SP notes use it."""
    return base64.b64encode(data).decode()


def unb64(text: str) -> bytes:
    """Read standard base64 strictly.

    Python accepts stray trailing bits even when asked to validate, so the result is encoded again and compared.

    Raises:
        NotCanonical: Not base64, or not the one encoding of those bytes.
    """
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotCanonical("not base64") from error
    if b64(data) != text:
        raise NotCanonical("base64 with stray bits")
    return data


def b64url(data: bytes) -> str:
    """URL-safe base64 without padding (RFC 4648 section 5), as in JSON and tokens."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64url(text: str) -> bytes:
    """Read URL-safe base64 without padding, strictly.

    Raises:
        NotCanonical: Not base64, padded, or not the one encoding of those bytes.
    """
    try:
        data = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise NotCanonical("not base64") from error
    if b64url(data) != text:
        raise NotCanonical("base64 with padding or stray bits")
    return data


def rfc3339(ns: int) -> str:
    """A time as `2026-11-22T01:23:45.678Z` (RFC 3339 section 5.6).

    Args:
        ns: Nanoseconds since 1970-01-01T00:00:00Z; what is finer than a millisecond is cut off.
    """
    seconds, rest = divmod(ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    # isoformat writes four digits of the year; strftime writes as many as the platform likes.
    return f"{moment.isoformat(timespec='seconds')}.{rest // 1_000_000:03d}Z"


def from_rfc3339(text: str) -> int:
    """Nanoseconds since 1970 of a time written by `rfc3339`.

    Raises:
        NotCanonical: Any other form.
    """
    if not _RFC3339.fullmatch(text):
        raise NotCanonical("not a time of the form 2026-11-22T01:23:45.678Z")
    try:
        moment = datetime.fromisoformat(text[:-5] + "+00:00")
    except ValueError as error:
        raise NotCanonical("not a time of the form 2026-11-22T01:23:45.678Z") from error
    ns = int(moment.timestamp()) * 1_000_000_000 + int(text[-4:-1]) * 1_000_000
    # Later versions of Python read 24:00:00 as the next day; one time has one form.
    if rfc3339(ns) != text:
        raise NotCanonical("not a time of the form 2026-11-22T01:23:45.678Z")
    return ns


def text(value: Mapping[str, Json], key: str, pattern: str | None = None) -> str:
    """The string under `key`.

    Args:
        value: An object as `decode_object` gives it.
        key: Its key.
        pattern: Regular expression that the whole string must match.

    Raises:
        NotCanonical: Absent, not a string, or of another form.
    """
    found = value.get(key)
    if not isinstance(found, str) or (pattern is not None and not re.fullmatch(pattern, found)):
        raise NotCanonical(f"{key} is missing or not of the right form")
    return found


def integer(value: Mapping[str, Json], key: str, low: int = 0, high: int = 2**63 - 1) -> int:
    """The integer under `key`, from `low` to `high`.

    Raises:
        NotCanonical: Absent, not an integer, or out of range.
    """
    found = value.get(key)
    if type(found) is not int or not low <= found <= high:
        raise NotCanonical(f"{key} is missing or not a whole number from {low} to {high}")
    return found


def boolean(value: Mapping[str, Json], key: str) -> bool:
    """The truth value under `key`.

    Raises:
        NotCanonical: Absent or not a truth value.
    """
    found = value.get(key)
    if not isinstance(found, bool):
        raise NotCanonical(f"{key} is missing or not true or false")
    return found


def array(value: Mapping[str, Json], key: str, most: int) -> list[Json]:
    """The array under `key`, of at most `most` items.

    Raises:
        NotCanonical: Absent, not an array, or too long.
    """
    found = value.get(key)
    if not isinstance(found, list) or len(found) > most:
        raise NotCanonical(f"{key} is missing or not a list of at most {most}")
    return found


def strings(value: Mapping[str, Json], key: str, most: int, pattern: str | None = None) -> tuple[str, ...]:
    """The array of strings under `key`.

    Raises:
        NotCanonical: Absent, too long, or an item is not a string of the right form.
    """
    found = array(value, key, most)
    return tuple(text({"item": item}, "item", pattern) for item in found)


def objects(value: Mapping[str, Json], key: str, most: int) -> tuple[dict[str, Json], ...]:
    """The array of objects under `key`.

    Raises:
        NotCanonical: Absent, too long, or an item is not an object.
    """
    found = array(value, key, most)
    if not all(isinstance(item, dict) for item in found):
        raise NotCanonical(f"{key} holds something that is not an object")
    return tuple(item for item in found if isinstance(item, dict))


def closed(value: Mapping[str, Json], keys: Sequence[str]) -> None:
    """Demand exactly these keys.

    Raises:
        NotCanonical: One is missing or one is unknown.
    """
    if set(value) != set(keys):
        raise NotCanonical("a field is missing or unknown: " + ", ".join(sorted(set(value) ^ set(keys)))[:200])
