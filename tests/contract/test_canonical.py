"""Canonical bytes: RFC 8785's own examples, a second implementation, and everything that is not canonical."""

import json
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from accord import canonical
from accord.canonical import MAX_BYTES, MAX_DEPTH, MAX_INTEGER, NotCanonical
from tests.contract import json_reference as reference
from tests.contract import known_answers
from tests.contract.mutation import bytes_mutant

# From RFC 8785 sections 3.2.2 and 3.2.3 and its published test data (arrays, structures), without their fractions and
# without keys that are not ASCII; then our own.
INPUTS = (
    r'{ "numbers": [333333333, 4, 0], "string": "\u20ac$\u000F\u000aA'
    "'"
    r'\u0042\u0022\u005c\\\"\/",'
    ' "literals": [null, true, false] }',
    r'{ "1": "One", "\r": "Carriage Return" }',
    '[56, { "d": true, "10": null, "1": [ ] }]',
    r'{ "1": {"f": {"f": "hi","F": 5} ,"\n": 56}, "10": { }, "": "empty", "a": { }, "111": [ {"e": "yes",'
    ' "E": "no" } ], "A": { } }',
    "9007199254740993",
    f"[{MAX_INTEGER}, {-MAX_INTEGER}]",
    '"Zo\\u00eb O\\u2019Hara \\ud83c\\udfe0"',
    '"\\u0000\\u001f\\u007f\\u0080\\u2028\\uffff"',
    '{ "a": [], "B": {}, "_": "", "~": -1 }',
)

REFUSED = {
    "nothing": b"",
    "white space": b'{"a": 1}',
    "a line at the end": b"{}\n",
    "two values": b"{}{}",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16-le"),
    "not UTF-8": b'"\xff"',
    "an overlong form": b'"\xc0\xaf"',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "half a surrogate pair": b'"\\ud800"',
    "a character escaped without need": b'"\\u0041"',
    "a slash escaped": b'"\\/"',
    "capital hexadecimal digits": b'"\\u001F"',
    "a long escape where there is a short one": b'"\\u000a"',
    "a bare control character": b'"\n"',
    "a string not in normal form C": '"e\u0301"'.encode(),
    "a composition that form C forbids": '"\ufb33"'.encode(),
    "keys out of order": b'{"b":1,"a":2}',
    "a key twice": b'{"a":1,"a":1}',
    "a key that is not ASCII": '{"\u00e9":1}'.encode(),
    "a fraction": b"1.5",
    "a fraction that is whole": b"1.0",
    "an exponent": b"1e3",
    "minus zero": b"-0",
    "a leading zero": b"01",
    "a plus sign": b"+1",
    "not a number": b"NaN",
    "infinity": b"-Infinity",
    "64 bits": b"9223372036854775808",
    "64 bits, negative": b"-9223372036854775808",
    "an integer without end": b"9" * 5000,
    "other digits": '"a":\u0661'.encode(),
    "a comma too many": b"[1,]",
    "a quote of another kind": b"{'a':1}",
    "a comment": b"{}//",
    "too deep": b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2),
    "deeper than any stack": b"[" * 60_000,
    "objects deeper than any stack": b'{"a":' * 13_000,
    "too long": b'"' + b"a" * (MAX_BYTES - 1) + b'"',
}

TIMES = {
    0: "1970-01-01T00:00:00.000Z",
    1795310625678000000: "2026-11-22T01:23:45.678Z",
    951782400000000000: "2000-02-29T00:00:00.000Z",
    -1000000: "1969-12-31T23:59:59.999Z",
    -62135596800000000000: "0001-01-01T00:00:00.000Z",
    253402300799999000000: "9999-12-31T23:59:59.999Z",
}

WRONG_TIMES = (
    "",
    "2026-11-22T01:23:45Z",
    "2026-11-22T01:23:45.6789Z",
    "2026-11-22T01:23:45.67Z",
    "2026-11-22t01:23:45.678Z",
    "2026-11-22 01:23:45.678Z",
    "2026-11-22T01:23:45.678z",
    "2026-11-22T01:23:45.678",
    "2026-11-22T01:23:45.678+00:00",
    "2026-11-22T01:23:45,678Z",
    "2026-02-29T00:00:00.000Z",
    "2026-13-01T00:00:00.000Z",
    "2026-11-22T24:00:00.000Z",
    "2026-11-22T23:59:60.000Z",
    "0000-01-01T00:00:00.000Z",
    " 2026-11-22T01:23:45.678Z",
    "2026-11-22T01:23:45.678Z\n",
    "2026-11-22T01:23:45.\uff16\uff17\uff18Z",
    "\u0662\u0660\u0662\u0666-11-22T01:23:45.678Z",
)

WRONG_BASE64URL = ("=", "AA==", "AB", "A", "AAAAA", "++", "//8", "AA\n", " AA", "A A", "\u0391A", "AAAA=")
WRONG_BASE64 = ("=", "AA", "AB==", "A===", "-_8=", "AA==\n", "AA ==", "AAAA=", "AA==AA==", "\u0391A==")


def vectors() -> dict[str, Any]:
    """What stands in protos/vectors/canonical.json."""
    written = [canonical.encode(json.loads(text)) for text in INPUTS]
    parts: list[list[bytes]] = [[], [b""], [b"", b""], [b"accord"], [b"ac", b"cord"], [bytes(300)]]
    return {
        "about": "Canonical JSON is RFC 8785 with strings in Unicode normal form C, integers of 63 bits and a sign, "
        "ASCII keys, no fractions, at most 16 levels and 65,535 bytes. encode: parse `input` with exact integers, "
        "write `canonical` (UTF-8). refused: bytes in hexadecimal that must not be read. lp: "
        "four bytes of length, big-endian, before each part. times: nanoseconds since 1970 in decimal, cut to "
        "milliseconds.",
        "encode": [
            {"input": text, "canonical": data.decode(), "sha256": canonical.sha256(data).hex()}
            for text, data in zip(INPUTS, written, strict=True)
        ],
        "refused": [{"why": why, "hex": data.hex()} for why, data in REFUSED.items() if len(data) < 100],
        "lp": [{"parts": [part.hex() for part in case], "joined": canonical.lp(*case).hex()} for case in parts],
        "base64url": {canonical.b64url(data): data.hex() for data in (b"", b"\0", b"\xfb\xff", bytes(range(32)))},
        "base64url_refused": list(WRONG_BASE64URL),
        "base64": {canonical.b64(data): data.hex() for data in (b"", b"\0", b"\xfb\xff", bytes(range(32)))},
        "base64_refused": list(WRONG_BASE64),
        "times": [{"ns": str(ns), "text": canonical.rfc3339(ns)} for ns in TIMES],
        "times_refused": list(WRONG_TIMES),
    }


KNOWN = known_answers.read("canonical")
KEYS = st.text(st.characters(max_codepoint=0x7F), max_size=6)
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12).filter(
    lambda text: reference.unicodedata.is_normalized("NFC", text)
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def read_or_none(data: bytes) -> tuple[Any, ...] | None:
    """The value in a tuple of one, or None when the module refuses it."""
    try:
        return (canonical.decode(data),)
    except NotCanonical:
        return None


def reference_or_none(data: bytes) -> tuple[Any, ...] | None:
    """The same by the second implementation."""
    try:
        return (reference.read(data),)
    except reference.Refused:
        return None


def test_the_known_answers_are_current() -> None:
    """Whoever changes a form has to say so here."""
    assert KNOWN == vectors()


@pytest.mark.parametrize("case", KNOWN["encode"], ids=lambda case: case["sha256"][:8])
def test_both_implementations_write_the_known_answer(case: dict[str, str]) -> None:
    """T-SEC-3: one value has one encoding, ours and the second implementation's, and reading gives the value back."""
    value, expected = json.loads(case["input"]), case["canonical"].encode()

    assert (expected, expected) == (canonical.encode(value), reference.write(value))
    assert (value, value) == (canonical.decode(expected), reference.read(expected))


def test_the_example_of_the_rfc_has_the_bytes_that_the_rfc_prints() -> None:
    """RFC 8785 section 3.2.4, the bytes of `literals` and `string`; the numbers in between have fractions there."""
    head = bytes.fromhex("7b 22 6c 69 74 65 72 61 6c 73 22 3a 5b 6e 75 6c 6c 2c 74 72 75 65 2c 66 61 6c 73 65 5d 2c 22")
    tail = bytes.fromhex(
        "5d 2c 22 73 74 72 69 6e 67 22 3a 22 e2 82 ac 24 5c 75 30 30 30 66 5c 6e 41 27 42 5c 22 5c 5c 5c 5c"
        "5c 22 2f 22 7d"
    )

    written = canonical.encode(json.loads(INPUTS[0]))

    assert (head, tail) == (written[: len(head)], written[-len(tail) :])


@pytest.mark.parametrize("why", REFUSED)
def test_what_is_not_canonical_is_refused(why: str) -> None:
    """T-SEC-3: by both implementations, and in one way only."""
    with pytest.raises(NotCanonical):
        canonical.decode(REFUSED[why])
    if len(REFUSED[why]) < 10_000:
        with pytest.raises(reference.Refused):
            reference.read(REFUSED[why])


@settings(max_examples=60)
@given(VALUES)
def test_any_value_is_written_alike_by_both_and_read_back(value: Any) -> None:
    """T-SEC-3: encode and decode are inverse to each other, and agree with the second implementation."""
    data = canonical.encode(value)

    assert reference.write(value) == data
    assert (value, value) == (canonical.decode(data), reference.read(data))


@settings(max_examples=150)
@given(VALUES, st.randoms(use_true_random=False))
def test_damaged_bytes_are_refused_or_mean_the_same_to_both(value: Any, random: Random) -> None:
    """T-SEC-3: no text is read in two ways."""
    damaged = bytes_mutant(random, canonical.encode(value))

    assert reference_or_none(damaged) == read_or_none(damaged)


@given(st.binary(max_size=200) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b"[" * 100_000)
def test_any_bytes_are_read_alike_by_both(data: bytes) -> None:
    """T-SEC-3: a parser that meets strangers has one way to fail."""
    found = read_or_none(data)
    expected = reference_or_none(data[:60_000])

    assert expected == found


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        b"bytes",
        {1},
        {1: "a"},
        {"\u00e9": 1},
        {"a": [0.5]},
        "\ud800",
        "e\u0301",
        MAX_INTEGER + 1,
        -MAX_INTEGER - 1,
        10**5000,
        object(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_canonical_form_is_not_written(value: object) -> None:
    """T-SEC-3: a float or a decomposed letter in a signed record would be read differently elsewhere."""
    with pytest.raises(NotCanonical):
        canonical.encode(value)


def test_a_list_that_holds_itself_is_refused() -> None:
    """The depth is bounded before anything is written."""
    endless: list[Any] = []
    endless.append(endless)

    with pytest.raises(NotCanonical, match="deeply"):
        canonical.encode(endless)


def test_the_limits_are_where_they_are_said_to_be() -> None:
    """Sixteen levels and 65,535 bytes are read; one more is not (see REFUSED)."""
    deep: Any = 0
    for _ in range(MAX_DEPTH):
        deep = [deep]
    longest = "a" * (MAX_BYTES - 2)

    assert (deep, longest) == (
        canonical.decode(canonical.encode(deep)),
        canonical.decode(canonical.encode(longest)),
    )
    with pytest.raises(NotCanonical, match="longer"):
        canonical.decode(b"12345", limit=4)
    with pytest.raises(NotCanonical, match="object"):
        canonical.decode_object(b"[]")


def unlp(joined: bytes) -> list[bytes]:
    """The parts that `lp` joined."""
    found = []
    while joined:
        size = int.from_bytes(joined[:4], "big")
        found.append(joined[4 : 4 + size])
        joined = joined[4 + size :]
    return found


@given(st.lists(st.binary(max_size=9), max_size=5))
def test_joined_parts_can_be_taken_apart_in_one_way_only(parts: list[bytes]) -> None:
    """T-SEC-2: no two lists of parts are signed or hashed as the same bytes."""
    assert parts == unlp(canonical.lp(*parts))


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def strict_base64(text: str, last: str, padded: bool) -> bytes | None:
    """RFC 4648 read by hand, bit by bit; None for anything but the one encoding (section 3.5)."""
    body = text.rstrip("=") if padded else text
    if padded and len(text) - len(body) != -len(body) % 4:
        return None
    if len(body) % 4 == 1 or any(one not in ALPHABET + last for one in body):
        return None
    bits = "".join(f"{(ALPHABET + last).index(one):06b}" for one in body)
    size = len(bits) // 8 * 8
    return None if "1" in bits[size:] else bytes(int(bits[at : at + 8], 2) for at in range(0, size, 8))


def given_or_none(read: Any, text: str) -> bytes | None:
    """What `read` gives, or None when it refuses."""
    try:
        return bytes(read(text))
    except NotCanonical:
        return None


@settings(max_examples=300)
@given(st.text(st.sampled_from(ALPHABET[:6] + "-_+/= \n\u0391w"), max_size=9))
@example(WRONG_BASE64[0])
def test_base64_has_one_form_only(text: str) -> None:
    """T-SEC-2, T-AUD-5: padding, stray bits, white space and the other alphabet are refused, as RFC 4648 allows."""
    assert strict_base64(text, "-_", padded=False) == given_or_none(canonical.unb64url, text)
    assert strict_base64(text, "+/", padded=True) == given_or_none(canonical.unb64, text)


@given(st.binary(max_size=40))
def test_base64_is_read_back(data: bytes) -> None:
    """Both alphabets, against the reading by hand."""
    assert data == canonical.unb64(canonical.b64(data)) == strict_base64(canonical.b64(data), "+/", padded=True)
    assert (
        data == canonical.unb64url(canonical.b64url(data)) == strict_base64(canonical.b64url(data), "-_", padded=False)
    )


@pytest.mark.parametrize("text", KNOWN["base64url_refused"])
def test_wrong_base64url_is_refused(text: str) -> None:
    """T-SEC-2: a token has no second spelling."""
    with pytest.raises(NotCanonical):
        canonical.unb64url(text)


@pytest.mark.parametrize("text", KNOWN["base64_refused"])
def test_wrong_base64_is_refused(text: str) -> None:
    """T-AUD-5: nor has a line of a note or a receipt."""
    with pytest.raises(NotCanonical):
        canonical.unb64(text)


def civil(days: int) -> tuple[int, int, int]:
    """Year, month and day of a day since 1970-01-01, by counting leap years."""
    year = 1970
    while days < 0:
        year -= 1
        days += 366 if year % 4 == 0 and (year % 100 or year % 400 == 0) else 365
    while days >= (size := 366 if year % 4 == 0 and (year % 100 or year % 400 == 0) else 365):
        days -= size
        year += 1
    months = [31, 28 + size - 365, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    month = 0
    while days >= months[month]:
        days -= months[month]
        month += 1
    return year, month + 1, days + 1


@given(st.integers(min_value=-62135596800000, max_value=253402300799999))
def test_a_time_is_written_as_the_calendar_says_and_read_back(ms: int) -> None:
    """RFC 3339 section 5.6, with milliseconds and Z always."""
    seconds, rest = divmod(ms, 1000)
    days, second = divmod(seconds, 86_400)
    year, month, day = civil(days)
    expected = (
        f"{year:04d}-{month:02d}-{day:02d}T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}.{rest:03d}Z"
    )

    assert expected == canonical.rfc3339(ms * 1_000_000 + 999_999)
    assert ms * 1_000_000 == canonical.from_rfc3339(expected)


@pytest.mark.parametrize("text", WRONG_TIMES)
def test_a_time_has_one_form_only(text: str) -> None:
    """T-SEC-3: other digits, other separators, midnight as 24:00 and leap seconds are refused."""
    with pytest.raises(NotCanonical):
        canonical.from_rfc3339(text)


READERS = {
    "text": lambda value: canonical.text(value, "a", "[a-z]{1,3}"),
    "integer": lambda value: canonical.integer(value, "a", 1, 9),
    "boolean": lambda value: canonical.boolean(value, "a"),
    "array": lambda value: canonical.array(value, "a", 2),
    "strings": lambda value: canonical.strings(value, "a", 2, "[a-z]"),
    "objects": lambda value: canonical.objects(value, "a", 2),
    "closed": lambda value: canonical.closed(value, ["a"]),
}
RIGHT: dict[str, tuple[Any, ...]] = {
    "text": ("abc",),
    "integer": (1, 9),
    "boolean": (True, False),
    "array": ([], [1, None]),
    "strings": ([], ["a", "b"]),
    "objects": ([], [{}]),
    "closed": (None,),
}
WRONG: dict[str, tuple[Any, ...]] = {
    "text": (None, "", "abcd", "abc\n", "Abc", 1, ["abc"]),
    "integer": (None, True, False, 0, 10, "1", [1]),
    "boolean": (None, 0, 1, "true"),
    "array": (None, {}, "ab", [1, 2, 3]),
    "strings": (None, "a", [1], ["a", None], ["a\n"], ["a", "b", "c"]),
    "objects": (None, {}, [[]], [{}, None], [{}, {}, {}]),
    "closed": (),
}


@pytest.mark.parametrize("name", READERS)
def test_a_field_is_read_only_in_its_own_type_and_bounds(name: str) -> None:
    """T-SEC-3: true is not 1, a line break is not part of a word, and what is absent is refused."""
    for right in RIGHT[name]:
        READERS[name]({"a": right})
    for wrong in ({}, {"b": "abc"}, *({"a": value} for value in WRONG[name])):
        with pytest.raises(NotCanonical):
            READERS[name](wrong)


def test_unknown_fields_are_refused() -> None:
    """T-SEC-3: what is not understood is not passed over."""
    with pytest.raises(NotCanonical, match="unknown"):
        canonical.closed({"a": 1, "b": 2}, ["a"])


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=25)
@given(value=st.dictionaries(st.sampled_from("ab"), VALUES, max_size=2))
def test_reading_a_field_fails_in_one_way(name: str, value: dict[str, Any]) -> None:
    """T-SEC-3: whatever a stranger puts there."""
    try:
        READERS[name](value)
    except NotCanonical:
        return
    assert "a" in value
