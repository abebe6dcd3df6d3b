"""The receipt that comes with every answer and every refusal: proof that the ledger holds its record.

A receipt is a C2SP tlog-proof@v1 file (https://c2sp.org/tlog-proof). Its `extra` line carries the record's salt. That
line is not authenticated by itself; the salt is checked by making the entry again from salt and body, so a changed
salt gives another leaf and the proof fails. The record's body travels beside the receipt, so a receipt can be shown to
an auditor without showing the record.

Checked before an answer is shown to anyone (T-AUD-1, T-AUD-5). Whoever checks also keeps the highest checkpoint seen of
each ledger: that, not the receipt, is what notices a ledger cut short.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from accord.canonical import NotCanonical, b64, unb64
from accord.checkpoint import MAX_NOTE_CHARS, BadCheckpoint, Checkpoint, open_note
from accord.merkle import HASH_BYTES, MAX_PROOF, MAX_SIZE, SALT_BYTES, entry, leaf_hash, verify_inclusion
from accord.reasons import Problem

FIRST_LINE: Final = "c2sp.org/tlog-proof@v1"
MAX_CHARS: Final = MAX_NOTE_CHARS + 8_192
"""Longest receipt read: a note, and room for a proof of MAX_PROOF lines."""

_INDEX = re.compile("0|[1-9][0-9]{0,18}")


class BadReceipt(Problem):
    """A receipt is malformed, or does not prove that this record is in this ledger."""

    reason = "BAD_RECEIPT"


@dataclass(frozen=True, slots=True)
class Proved:
    """A record is in the ledger. Only `check` makes one.

    Attributes:
        index: Number of the entry, from 0.
        salt: 16 bytes.
        checkpoint: The signed head that it was proved against.
        note: That head's text, for the witnesses' cosignatures on it.
    """

    index: int
    salt: bytes
    checkpoint: Checkpoint
    note: str


def make(index: int, salt: bytes, proof: Sequence[bytes], note: str) -> str:
    """Write a receipt.

    Args:
        index: Number of the entry, from 0.
        salt: 16 bytes.
        proof: Inclusion proof, the leaf's sibling first, at the size that the note states.
        note: The signed head.

    Raises:
        ValueError: The index, the salt or a hash is of the wrong size.
    """
    if not 0 <= index < MAX_SIZE or len(salt) != SALT_BYTES or any(len(one) != HASH_BYTES for one in proof):
        raise ValueError("a receipt has an index, a salt of 16 bytes and hashes of 32 bytes")
    lines = [FIRST_LINE, f"extra {b64(salt)}", f"index {index}", *map(b64, proof)]
    return "\n".join(lines) + "\n\n" + note


def check(text: str, body: bytes, origin: str, ledger_public: bytes) -> Proved:
    """Check that a record is in a ledger.

    Args:
        text: The receipt as received.
        body: The record as received.
        origin: Name of the ledger: "midshire/ledger".
        ledger_public: The ledger's public key, 32 raw bytes.

    Raises:
        BadReceipt: Malformed, another record, another ledger, or the head's signature does not match.
    """
    if len(text) > MAX_CHARS:
        raise BadReceipt(f"the receipt is longer than {MAX_CHARS} characters")
    # 1. The lines, as tlog-proof "Format" orders them; base64 strictly, so that one proof has one text.
    head, gap, note = text.partition("\n\n")
    lines = head.split("\n")
    if not gap or len(lines) < 3 or len(lines) > 3 + MAX_PROOF or lines[0] != FIRST_LINE:
        raise BadReceipt(f"the receipt is not a {FIRST_LINE} file")
    salt = _decode(_after(lines[1], "extra "), SALT_BYTES)
    index = _after(lines[2], "index ")
    if not _INDEX.fullmatch(index):
        raise BadReceipt("the index is not a plain decimal number")
    proof = [_decode(line, HASH_BYTES) for line in lines[3:]]
    # 2. The head is signed by this ledger.
    try:
        checkpoint = open_note(note, origin, ledger_public)
    except BadCheckpoint as problem:
        raise BadReceipt(f"its head is not valid: {problem}") from problem
    # 3. The record, salted, is the entry at that index.
    leaf = leaf_hash(entry(salt, body))
    if not verify_inclusion(int(index), checkpoint.size, leaf, proof, checkpoint.root):
        raise BadReceipt("the record is not in the ledger at that index")
    return Proved(int(index), salt, checkpoint, note)


def _after(line: str, prefix: str) -> str:
    if not line.startswith(prefix):
        raise BadReceipt(f"the receipt has no line {prefix.strip()!r} in its place")
    return line.removeprefix(prefix)


def _decode(text: str, length: int) -> bytes:
    try:
        value = unb64(text)
    except NotCanonical as error:
        raise BadReceipt("the receipt holds something that is not base64") from error
    if len(value) != length:
        raise BadReceipt(f"the receipt holds a value that is not {length} bytes long")
    return value
