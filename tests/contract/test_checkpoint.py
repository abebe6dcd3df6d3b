"""Signed heads and cosignatures: known answers, and what must be refused."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from accord.canonical import b64, unb64
from accord.checkpoint import (
    COSIGNATURE_V1,
    ED25519,
    MAX_NOTE_CHARS,
    MAX_SIGNATURES,
    BadCheckpoint,
    Checkpoint,
    cosign,
    open_note,
    sign,
    verify_cosignature,
    vkey,
    with_cosignatures,
    witnessed,
)
from accord.merkle import EMPTY_ROOT
from accord.signing import public_bytes
from accord.signing import sign as sign_labelled

VECTORS = json.loads((Path(__file__).parents[2] / "protos/vectors/checkpoint.json").read_text())
OURS = VECTORS["accord"]
PUBLISHED = VECTORS["published"]
ORIGIN, POLICE, TIME_S = OURS["origin"], OURS["witness"], OURS["time_s"]
LEDGER = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(OURS["ledger_seed"]))
WITNESS = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(OURS["witness_seed"]))
PUBLIC, WITNESS_PUBLIC = public_bytes(LEDGER), public_bytes(WITNESS)
HEAD = Checkpoint(ORIGIN, OURS["size"], bytes.fromhex(OURS["root"]))
NOTE = sign(HEAD, LEDGER)
LINE = cosign(NOTE, POLICE, WITNESS, TIME_S)


def key_of(text: str) -> bytes:
    """The raw key in a vkey."""
    return unb64(text.split("+", 2)[2])[1:]


def test_a_head_is_signed_as_the_known_answer() -> None:
    """T-AUD-7: the note is byte for byte the one that other implementations are given."""
    assert OURS["note"] == NOTE
    assert OURS["cosignature"] == LINE
    assert OURS["cosigned"] == with_cosignatures(NOTE, [LINE])
    assert OURS["empty_note"] == sign(Checkpoint(ORIGIN, 0, EMPTY_ROOT), LEDGER)


def test_a_note_signed_by_another_implementation_opens() -> None:
    """T-AUD-7: the public format, not one of our own."""
    expected = Checkpoint(PUBLISHED["origin"], PUBLISHED["size"], bytes.fromhex(PUBLISHED["root"]))

    assert expected == open_note(PUBLISHED["note"], PUBLISHED["origin"], key_of(PUBLISHED["vkey"]))


@pytest.mark.parametrize("text", [*VECTORS["published_vkeys"], PUBLISHED["vkey"], OURS["ledger_vkey"]])
def test_a_published_key_is_written_with_its_own_key_id(text: str) -> None:
    """T-AUD-7: the key id is the one that signed-note recommends."""
    assert text == vkey(text.split("+", maxsplit=1)[0], key_of(text), ED25519)


def test_a_witness_key_has_the_type_of_a_cosigner() -> None:
    """T-AUD-7: a cosigner's key cannot be taken for a ledger's."""
    assert OURS["witness_vkey"] == vkey(POLICE, WITNESS_PUBLIC, COSIGNATURE_V1)


def test_a_signed_head_opens_with_and_without_cosignatures() -> None:
    """Lines by other keys are ignored, as signed-note demands."""
    assert HEAD == open_note(NOTE, ORIGIN, PUBLIC)
    assert HEAD == open_note(with_cosignatures(NOTE, [LINE]), ORIGIN, PUBLIC)


def test_a_cosignature_states_when_the_head_was_seen() -> None:
    """T-AUD-6: the witness's name, key, time and the head are all checked."""
    assert TIME_S == verify_cosignature(NOTE, LINE, POLICE, WITNESS_PUBLIC)
    assert {POLICE: TIME_S} == witnessed(with_cosignatures(NOTE, [LINE]), {POLICE: WITNESS_PUBLIC})
    assert witnessed(NOTE, {POLICE: WITNESS_PUBLIC}) == {}


def resigned(body: str) -> str:
    """A note with any body, signed by the ledger's real key under its real name."""
    key_id = unb64(NOTE.rsplit(" ", 1)[1].strip())[:4]
    return f"{body}\n\u2014 {ORIGIN} {b64(key_id + LEDGER.sign(body.encode()))}\n"


ROOT = b64(HEAD.root)
BODIES = {
    "another ledger": f"midshire/police/ledger\n11\n{ROOT}\n",
    "leading zero": f"{ORIGIN}\n011\n{ROOT}\n",
    "plus sign": f"{ORIGIN}\n+11\n{ROOT}\n",
    "Arabic digits": f"{ORIGIN}\n\u0661\u0661\n{ROOT}\n",
    "superscript digit": f"{ORIGIN}\n1\u00b2\n{ROOT}\n",
    "too large": f"{ORIGIN}\n{2**63}\n{ROOT}\n",
    "far too large": f"{ORIGIN}\n{'9' * 5000}\n{ROOT}\n",
    "negative": f"{ORIGIN}\n-1\n{ROOT}\n",
    "no size": f"{ORIGIN}\n\n{ROOT}\n",
    "two lines": f"{ORIGIN}\n11\n",
    "extension line": f"{ORIGIN}\n11\n{ROOT}\nmore\n",
    "empty line": f"{ORIGIN}\n11\n{ROOT}\n\n",
    "short root": f"{ORIGIN}\n11\n{b64(HEAD.root[:31])}\n",
    "stray bits in the root": f"{ORIGIN}\n11\n{ROOT[:-2]}{chr(ord(ROOT[-2]) + 1)}=\n",
    "root without padding": f"{ORIGIN}\n11\n{ROOT[:-1]}\n",
    "empty tree with a root": f"{ORIGIN}\n0\n{ROOT}\n",
}


@pytest.mark.parametrize("name", BODIES)
def test_a_malformed_head_is_refused_even_when_rightly_signed(name: str) -> None:
    """T-SEC-3: one head has one text, and nothing else is read."""
    with pytest.raises(BadCheckpoint):
        open_note(resigned(BODIES[name]), ORIGIN, PUBLIC)


def test_the_helper_that_signs_malformed_heads_signs_good_ones_too() -> None:
    """Control of the test above: only the body makes the difference."""
    assert HEAD == open_note(resigned(f"{ORIGIN}\n11\n{ROOT}\n"), ORIGIN, PUBLIC)


NOTES = {
    "empty": "",
    "no signature": NOTE.split("\n\n")[0] + "\n\n",
    "no final newline": NOTE[:-1],
    "tab": NOTE.replace("11", "\t11"),
    "carriage return": NOTE.replace("\n", "\r\n"),
    "half a surrogate pair": NOTE + "\u2014 \ud800 AAAAAAA=\n",
    "hyphen": NOTE.replace("\u2014", "-"),
    "two spaces": NOTE.replace(f"{ORIGIN} ", f"{ORIGIN}  "),
    "short signature": NOTE + "\u2014 other AAAAAA==\n",
    "signature not base64": NOTE + "\u2014 other !!!!!!!!\n",
    "name with plus": NOTE + "\u2014 a+b AAAAAAA=\n",
    "name with a strange space": NOTE + "\u2014 a\u2003b AAAAAAA=\n",
    "too many signatures": NOTE + "\u2014 other AAAAAAA=\n" * MAX_SIGNATURES,
    "too long": NOTE + "\u2014 other " + "A" * MAX_NOTE_CHARS + "\n",
    "unsigned by us": PUBLISHED["note"],
    "good and bad signature by our key": NOTE + resigned("another text\n").split("\n\n")[1],
}


@pytest.mark.parametrize("name", NOTES)
def test_a_malformed_note_is_refused(name: str) -> None:
    """T-SEC-3: nothing that only looks like a signed note is read."""
    with pytest.raises(BadCheckpoint):
        open_note(NOTES[name], ORIGIN, PUBLIC)


@given(st.data())
def test_a_note_with_one_bit_changed_is_refused(data: st.DataObject) -> None:
    """T-AUD-5: any edit of a signed head is noticed."""
    whole = bytearray(NOTE.encode())
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8

    with pytest.raises(BadCheckpoint):
        open_note(whole.decode(errors="surrogateescape"), ORIGIN, PUBLIC)


@given(st.text())
def test_any_text_is_refused_and_nothing_else_happens(text: str) -> None:
    """T-SEC-3: a parser that meets strangers has one way to fail."""
    with pytest.raises(BadCheckpoint):
        open_note(text, ORIGIN, PUBLIC)


def test_another_ledgers_key_or_name_opens_nothing() -> None:
    """T-AUD-6: a head proves something about one ledger only."""
    with pytest.raises(BadCheckpoint, match="not signed"):
        open_note(NOTE, ORIGIN, WITNESS_PUBLIC)
    with pytest.raises(BadCheckpoint, match="not signed"):
        open_note(NOTE, "midshire/other", PUBLIC)


def test_a_signature_over_a_labelled_message_is_not_a_head() -> None:
    """T-SEC-2: the ledger's key may sign other things; none of them passes for a head."""
    body = NOTE.split("\n\n")[0] + "\n"
    forged = b64(unb64(NOTE.rsplit(" ", 1)[1].strip())[:4] + sign_labelled(LEDGER, "accord/answer/v1", body.encode()))

    with pytest.raises(BadCheckpoint, match="does not match"):
        open_note(f"{body}\n\u2014 {ORIGIN} {forged}\n", ORIGIN, PUBLIC)


def test_a_ledger_cannot_pass_its_own_signature_for_a_cosignature() -> None:
    """T-AUD-6: a head without an outside witness stays without one, whatever names the lines carry."""
    own = NOTE.split("\n\n")[1].strip().replace(ORIGIN, POLICE)

    with pytest.raises(BadCheckpoint):
        verify_cosignature(NOTE, own, POLICE, WITNESS_PUBLIC)
    assert witnessed(with_cosignatures(NOTE, [own]), {POLICE: WITNESS_PUBLIC}) == {}


def altered(position: int) -> str:
    """The cosignature line with one byte of its value changed."""
    start, encoded = LINE.rsplit(" ", 1)
    value = bytearray(unb64(encoded))
    value[position] ^= 1
    return f"{start} {b64(bytes(value))}"


@pytest.mark.parametrize("position", [0, 3, 4, 11, 12, 75])
def test_a_changed_cosignature_is_refused(position: int) -> None:
    """T-AUD-6: key id, time and signature are all bound."""
    with pytest.raises(BadCheckpoint):
        verify_cosignature(NOTE, altered(position), POLICE, WITNESS_PUBLIC)


@pytest.mark.parametrize("position", [4, 11, 12, 75])
def test_a_known_witness_with_a_wrong_line_spoils_the_note(position: int) -> None:
    """T-AUD-6: a wrong signature by a known key is an alarm, not a missing witness."""
    with pytest.raises(BadCheckpoint):
        witnessed(with_cosignatures(NOTE, [altered(position)]), {POLICE: WITNESS_PUBLIC})


def test_a_cosignature_is_good_for_one_head_only() -> None:
    """T-AUD-6: a line moved to another head is refused."""
    other = sign(Checkpoint(ORIGIN, 12, HEAD.root), LEDGER)

    with pytest.raises(BadCheckpoint, match="does not match"):
        verify_cosignature(other, LINE, POLICE, WITNESS_PUBLIC)


@pytest.mark.parametrize(
    "line", ["", LINE + "\n", LINE + " x", LINE[:-4], LINE.replace("\u2014 ", ""), LINE + "\n" + LINE]
)
def test_a_malformed_cosignature_is_never_put_on_a_note(line: str) -> None:
    """T-SEC-3: a witness cannot add lines of its own making."""
    with pytest.raises(BadCheckpoint):
        verify_cosignature(NOTE, line, POLICE, WITNESS_PUBLIC)
    if line != LINE[:-4]:
        with pytest.raises(BadCheckpoint):
            with_cosignatures(NOTE, [line])


def test_each_key_has_one_line_on_a_note() -> None:
    """A witness that cosigns again and again does not make the note grow."""
    later = cosign(NOTE, POLICE, WITNESS, TIME_S + 60)
    once = with_cosignatures(NOTE, [LINE, later, LINE])

    assert NOTE + LINE + "\n" == once
    assert once == with_cosignatures(once, [later])


def test_a_note_takes_no_more_lines_than_it_may_carry() -> None:
    """T-SEC-3: a note stays readable however many witnesses answer."""
    lines = [f"\u2014 witness{n} AAAAAAA=" for n in range(MAX_SIGNATURES)]

    with pytest.raises(BadCheckpoint, match="more than"):
        with_cosignatures(NOTE, lines)
    assert HEAD == open_note(with_cosignatures(NOTE, lines[1:]), ORIGIN, PUBLIC)


@pytest.mark.parametrize("time_s", [0, 2**63 - 1])
def test_every_time_that_can_be_written_is_read_back(time_s: int) -> None:
    """The time is an argument and comes back as it went in."""
    assert time_s == verify_cosignature(NOTE, cosign(NOTE, POLICE, WITNESS, time_s), POLICE, WITNESS_PUBLIC)


@pytest.mark.parametrize("time_s", [-1, 2**63])
def test_a_time_that_cannot_be_written_is_a_mistake_of_ours(time_s: int) -> None:
    """tlog-cosignature bounds the time."""
    with pytest.raises(ValueError, match="a time is"):
        cosign(NOTE, POLICE, WITNESS, time_s)


def test_a_time_out_of_range_is_refused_even_when_rightly_signed() -> None:
    """tlog-cosignature: a time never exceeds 2**63 - 1, or other verifiers would read it as long ago."""
    start, encoded = LINE.rsplit(" ", 1)
    body = NOTE.split("\n\n")[0] + "\n"
    stamped = (2**63).to_bytes(8, "big") + WITNESS.sign(f"cosignature/v1\ntime {2**63}\n{body}".encode())
    line = f"{start} {b64(unb64(encoded)[:4] + stamped)}"

    with pytest.raises(BadCheckpoint, match="out of range"):
        verify_cosignature(NOTE, line, POLICE, WITNESS_PUBLIC)


def test_a_witness_signs_no_malformed_head() -> None:
    """T-AUD-6: a cosignature always speaks of a size and a root."""
    with pytest.raises(BadCheckpoint):
        cosign(resigned(BODIES["extension line"]), POLICE, WITNESS, TIME_S)


@pytest.mark.parametrize("name", ["", "mid shire", "a+b", "a\nb", "caf\u00e9", "a\u2003b", "x" * 256, "\x7f"])
def test_a_name_that_people_cannot_compare_is_a_mistake_of_ours(name: str) -> None:
    """Names are printable ASCII without space or plus."""
    with pytest.raises(ValueError, match="a name is"):
        Checkpoint(name, 11, HEAD.root)
    with pytest.raises(ValueError, match="a name is"):
        cosign(NOTE, name, WITNESS, TIME_S)
    with pytest.raises(ValueError, match="a name is"):
        vkey(name, PUBLIC, ED25519)


@pytest.mark.parametrize(("size", "root"), [(-1, HEAD.root), (2**63, HEAD.root), (1, b"short"), (0, HEAD.root)])
def test_a_head_that_no_tree_can_have_is_a_mistake_of_ours(size: int, root: bytes) -> None:
    """T-AUD-4: what cannot be a head is never signed."""
    with pytest.raises(ValueError, match=r"root"):
        Checkpoint(ORIGIN, size, root)


def test_a_key_of_another_length_is_a_mistake_of_ours() -> None:
    """Ed25519 keys are 32 bytes."""
    with pytest.raises(ValueError, match="32 bytes"):
        vkey(ORIGIN, PUBLIC[:31], ED25519)
