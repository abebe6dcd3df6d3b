"""A second writer and reader of canonical JSON, straight from RFC 8785 and RFC 8259, without Python's json.

https://www.rfc-editor.org/rfc/rfc8785 sections 3.2.2 and 3.2.3. Slow and plain on purpose. The reader takes exactly
what the writer would have written, by another way than the module under test: it never writes again to compare.
"""

import unicodedata
from typing import Any, Final

_SHORT: Final = {8: "b", 9: "t", 10: "n", 12: "f", 13: "r", 34: '"', 92: "\\"}
"""RFC 8785 section 3.2.2.2: the characters with a short escape."""


class Refused(Exception):
    """Not canonical."""


def write(value: Any) -> bytes:
    """Canonical JSON of None, truth values, integers, strings, lists and objects."""
    if value is None:
        return b"null"
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, int):
        return (b"-" if value < 0 else b"") + bytes(48 + int(digit) for digit in str(abs(value)))
    if isinstance(value, str):
        return b'"' + b"".join(_character(ord(one)) for one in value) + b'"'
    if isinstance(value, list):
        return b"[" + b",".join(write(one) for one in value) + b"]"
    # Section 3.2.3 sorts by UTF-16 code units; here they are compared as such.
    names = sorted(value, key=lambda name: name.encode("utf-16-be"))
    return b"{" + b",".join(write(name) + b":" + write(value[name]) for name in names) + b"}"


def _character(code: int) -> bytes:
    if code in _SHORT:
        return b"\\" + _SHORT[code].encode()
    if code < 0x20:
        return (
            b"\\u00"
            + b"0123456789abcdef"[code >> 4 : (code >> 4) + 1]
            + b"0123456789abcdef"[code & 15 : (code & 15) + 1]
        )
    return chr(code).encode("utf-8")


def read(data: bytes) -> Any:
    """The value of canonical JSON.

    Raises:
        Refused: Anything else.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused from error
    value, end = _value(text, 0, 0)
    if end != len(text) or len(data) > 65_535:
        raise Refused
    return value


def _value(text: str, at: int, depth: int) -> tuple[Any, int]:
    if depth > 16:
        raise Refused
    for word, value in (("null", None), ("true", True), ("false", False)):
        if text.startswith(word, at):
            return value, at + len(word)
    match text[at : at + 1]:
        case '"':
            return _string(text, at + 1)
        case "[":
            return _array(text, at + 1, depth)
        case "{":
            return _members(text, at + 1, depth)
        case _:
            return _number(text, at)


def _number(text: str, at: int) -> tuple[int, int]:
    end = at + (text[at : at + 1] == "-")
    start = end
    while text[end : end + 1] in tuple("0123456789"):
        end += 1
    digits = text[start:end]
    if not digits or len(digits) > 19 or (digits[0] == "0" and text[at:end] != "0"):
        raise Refused
    value = int(text[at:end])
    if abs(value) >= 1 << 63:
        raise Refused
    return value, end


def _string(text: str, at: int) -> tuple[str, int]:
    found = []
    while True:
        one = text[at : at + 1]
        at += 1
        if one == '"':
            break
        if one == "" or ord(one) < 0x20:
            raise Refused
        if one == "\\":
            one, at = _escaped(text, at)
        found.append(one)
    whole = "".join(found)
    if unicodedata.normalize("NFC", whole) != whole:
        raise Refused
    return whole, at


def _escaped(text: str, at: int) -> tuple[str, int]:
    for code, letter in _SHORT.items():
        if text[at : at + 1] == letter:
            return chr(code), at + 1
    digits = text[at + 1 : at + 5]
    if text[at : at + 1] != "u" or len(digits) != 4 or any(one not in "0123456789abcdef" for one in digits):
        raise Refused
    code = int(digits, 16)
    if code >= 0x20 or code in _SHORT:
        raise Refused
    return chr(code), at + 5


def _array(text: str, at: int, depth: int) -> tuple[list[Any], int]:
    found: list[Any] = []
    if text[at : at + 1] == "]":
        return found, at + 1
    while True:
        value, at = _value(text, at, depth + 1)
        found.append(value)
        if text[at : at + 1] == "]":
            return found, at + 1
        if text[at : at + 1] != ",":
            raise Refused
        at += 1


def _members(text: str, at: int, depth: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    last: bytes | None = None
    if text[at : at + 1] == "}":
        return found, at + 1
    while True:
        if text[at : at + 1] != '"':
            raise Refused
        name, at = _string(text, at + 1)
        order = name.encode("utf-16-be")
        if any(ord(one) > 0x7F for one in name) or (last is not None and order <= last) or text[at : at + 1] != ":":
            raise Refused
        found[name], at = _value(text, at + 1, depth + 1)
        last = order
        if text[at : at + 1] == "}":
            return found, at + 1
        if text[at : at + 1] != ",":
            raise Refused
        at += 1
