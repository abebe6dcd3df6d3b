"""Receipts: known answers, and what must be refused before anyone is shown an answer."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from accord import checkpoint, merkle, receipt
from accord.canonical import b64
from accord.receipt import BadReceipt, Proved
from accord.signing import public_bytes

FOLDER = Path(__file__).parents[2] / "protos/vectors"
VECTORS = json.loads((FOLDER / "receipt.json").read_text())
SEED = json.loads((FOLDER / "checkpoint.json").read_text())["accord"]["ledger_seed"]
LEDGER = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(SEED))
ORIGIN, PUBLIC = VECTORS["origin"], bytes.fromhex(VECTORS["ledger_public"])
CASE = VECTORS["receipts"][1]
TEXT, BODY, SALT, INDEX = CASE["text"], CASE["body"].encode(), bytes.fromhex(CASE["salt"]), CASE["index"]
NOTE = TEXT.partition("\n\n")[2]


def lines() -> list[str]:
    return TEXT.partition("\n\n")[0].split("\n")


def built(top: list[str]) -> str:
    return "\n".join(top) + "\n\n" + NOTE


@pytest.mark.parametrize("case", VECTORS["receipts"], ids=lambda case: f"entry-{case['index']}")
def test_a_receipt_proves_its_record(case: dict[str, object]) -> None:
    """T-AUD-1: the receipt of a record that is in the ledger is accepted, and says where it is."""
    text, body = str(case["text"]), str(case["body"]).encode()
    note = text.partition("\n\n")[2]
    head = checkpoint.open_note(note, ORIGIN, PUBLIC)

    assert Proved(case["index"], bytes.fromhex(str(case["salt"])), head, note) == receipt.check(
        text, body, ORIGIN, PUBLIC
    )


def test_a_receipt_is_written_as_the_known_answer() -> None:
    """T-AUD-7: byte for byte a tlog-proof@v1 file."""
    salts = [bytes([n]) * 16 for n in range(11)]
    leaves = [
        merkle.leaf_hash(merkle.entry(salt, b'{"kind":"ASKED","n":%d,"v":1}' % n)) for n, salt in enumerate(salts)
    ]
    tiles = merkle.append(0, leaves, lambda _level, _index: b"")
    proof = merkle.inclusion_proof(INDEX, 11, lambda level, index: tiles[level, index])

    assert TEXT == receipt.make(INDEX, SALT, proof, NOTE)


def test_the_receipt_of_the_only_record_has_an_empty_proof() -> None:
    """The first question ever asked gets a receipt like any other."""
    leaf = merkle.leaf_hash(merkle.entry(SALT, BODY))
    note = checkpoint.sign(checkpoint.Checkpoint(ORIGIN, 1, leaf), LEDGER)

    proved = receipt.check(receipt.make(0, SALT, [], note), BODY, ORIGIN, public_bytes(LEDGER))

    assert Proved(0, SALT, checkpoint.Checkpoint(ORIGIN, 1, leaf), note) == proved


CHANGED = {
    "empty": "",
    "another format": TEXT.replace("tlog-proof@v1", "tlog-proof@v2"),
    "no salt": built([lines()[0], *lines()[2:]]),
    "salt and index swapped": built([lines()[0], lines()[2], lines()[1], *lines()[3:]]),
    "salt twice": built([*lines()[:2], *lines()[1:]]),
    "short salt": built([lines()[0], f"extra {b64(SALT[:15])}", *lines()[2:]]),
    "another salt": built([lines()[0], f"extra {b64(bytes(16))}", *lines()[2:]]),
    "salt without padding": TEXT.replace(b64(SALT), b64(SALT).rstrip("=")),
    "stray bits in the salt": TEXT.replace("Bg==", "Bh=="),
    "another index": TEXT.replace("index 6", "index 7"),
    "leading zero": TEXT.replace("index 6", "index 06"),
    "negative index": TEXT.replace("index 6", "index -6"),
    "no index": TEXT.replace("index 6", "index "),
    "endless index": TEXT.replace("index 6", "index " + "9" * 5000),
    "index beyond the tree": TEXT.replace("index 6", "index 11"),
    "hash missing": built(lines()[:-1]),
    "hash twice": built([*lines(), lines()[-1]]),
    "hashes swapped": built([*lines()[:3], lines()[4], lines()[3], *lines()[5:]]),
    "hash not base64": built([*lines()[:-1], "?"]),
    "short hash": built([*lines()[:-1], b64(bytes(31))]),
    "endless proof": built([*lines()[:3], *[lines()[3]] * 100]),
    "space at the end of a line": built([*lines()[:-1], lines()[-1] + " "]),
    "carriage returns": TEXT.replace("\n", "\r\n"),
    "no note": TEXT.partition("\n\n")[0],
    "unsigned note": TEXT.rpartition("\n\n")[0] + "\n\n",
    "something after it": TEXT + "x",
    "empty line before it": "\n" + TEXT,
    "too long": TEXT + "\u2014 x " + "A" * receipt.MAX_CHARS,
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_changed_receipt_is_refused(name: str) -> None:
    """T-AUD-5: an answer without a sound receipt is not shown."""
    assert TEXT != CHANGED[name]
    with pytest.raises(BadReceipt):
        receipt.check(CHANGED[name], BODY, ORIGIN, PUBLIC)


def test_a_receipt_is_for_one_record_one_ledger_and_one_key() -> None:
    """T-AUD-5: nothing else passes under it."""
    stranger = public_bytes(Ed25519PrivateKey.from_private_bytes(bytes(32)))

    with pytest.raises(BadReceipt, match="not in the ledger"):
        receipt.check(TEXT, BODY + b" ", ORIGIN, PUBLIC)
    with pytest.raises(BadReceipt, match="not signed"):
        receipt.check(TEXT, BODY, "midshire/other", PUBLIC)
    with pytest.raises(BadReceipt, match="not signed"):
        receipt.check(TEXT, BODY, ORIGIN, stranger)


def test_an_endless_receipt_is_not_even_read() -> None:
    """T-SEC-3: what is refused for its length costs nothing."""
    with pytest.raises(BadReceipt, match="longer than"):
        receipt.check("x" * (receipt.MAX_CHARS + 1), BODY, ORIGIN, PUBLIC)


def test_bytes_cannot_move_between_salt_and_record() -> None:
    """T-AUD-10: the salt has one length, so a record cannot lend it a byte."""
    shifted = built([lines()[0], f"extra {b64(SALT + BODY[:1])}", *lines()[2:]])

    with pytest.raises(BadReceipt, match="16 bytes"):
        receipt.check(shifted, BODY[1:], ORIGIN, PUBLIC)


@given(st.data())
def test_a_receipt_with_one_bit_changed_is_refused(data: st.DataObject) -> None:
    """T-AUD-5: any edit is noticed, except of cosignatures, which have their own check."""
    end = len((TEXT.rpartition("\n\n")[0] + "\n\n").encode())
    whole = bytearray(TEXT.encode())
    bit = data.draw(st.integers(0, end * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8

    with pytest.raises(BadReceipt):
        receipt.check(whole.decode(errors="surrogateescape"), BODY, ORIGIN, PUBLIC)


@given(st.text(), st.binary())
def test_any_text_is_refused_and_nothing_else_happens(text: str, body: bytes) -> None:
    """T-SEC-3: a parser that meets strangers has one way to fail."""
    with pytest.raises(BadReceipt):
        receipt.check(text, body, ORIGIN, PUBLIC)


def test_parts_of_the_wrong_size_are_a_mistake_of_ours() -> None:
    """What could not be read back is never written."""
    with pytest.raises(ValueError, match="16 bytes"):
        receipt.make(0, b"short", [], NOTE)
    with pytest.raises(ValueError, match="32 bytes"):
        receipt.make(0, SALT, [b"short"], NOTE)
    with pytest.raises(ValueError, match="index"):
        receipt.make(-1, SALT, [], NOTE)
