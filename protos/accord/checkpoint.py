"""Signed heads of a ledger, and the cosignatures of those who watched it grow.

    size, root -> sign -> note -> cosign (each witness) -> with_cosignatures -> open_note, verify_cosignature

* The text is a C2SP signed note (https://c2sp.org/signed-note) whose body is a C2SP checkpoint
  (https://c2sp.org/tlog-checkpoint): three lines, origin, size and root. Extension lines are refused: nobody who
  watches a ledger can audit them.
* A ledger signs with Ed25519, signature type 0x01. A witness cosigns with cosignature/v1
  (https://c2sp.org/tlog-cosignature), type 0x04, which also states a time. The type is part of the key id, so a later
  algorithm is one more line on the same note.
* A note's body begins with printable text and a message of `accord.signing` with a zero byte, so no signature of one
  kind can be shown for the other. A cosignature does not commit to its signer's name, so every witness must have a key
  of its own ("Ed25519 signed message").
* A signature by an unknown key is ignored; a wrong one by a known key spoils the note (signed-note, "Signatures").
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from accord.canonical import NotCanonical, b64, sha256, unb64
from accord.merkle import EMPTY_ROOT, HASH_BYTES, MAX_SIZE
from accord.reasons import Problem
from accord.signing import KEY_BYTES, SIGNATURE_BYTES, public_bytes

ED25519: Final = 0x01
"""Signature type of a ledger's own key (signed-note, "Signature types")."""

COSIGNATURE_V1: Final = 0x04
"""Signature type of a witness's key (signed-note, "Signature types")."""

MAX_NOTE_CHARS: Final = 131_072
"""Longest note read: sixteen signatures of the largest assigned type take about 110,000 characters."""

MAX_SIGNATURES: Final = 64
"""Signature lines read at most; at least 16 must be (signed-note, "Format")."""

MAX_TIME_S: Final = 2**63 - 1
"""Largest time in a cosignature (tlog-cosignature, "Format")."""

_DASH = "\u2014 "
_FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\ud800-\udfff]")
_NAME = re.compile("[!-*,-~]{1,255}")
_SIZE = re.compile("0|[1-9][0-9]{0,18}")
_KEY_ID_BYTES = 4
_TIME_BYTES = 8


class BadCheckpoint(Problem):
    """A signed head or a cosignature is malformed, or its signature does not match."""

    reason = "BAD_CHECKPOINT"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a ledger held at one moment.

    Attributes:
        origin: Name of the ledger, which is also the name of its key: "midshire/ledger". Printable ASCII without
            space or plus.
        size: Entries in the tree, 0 to 2**63 - 1.
        root: Root of the tree, 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        """Refuse what cannot be written down.

        Raises:
            ValueError: A name, size or root that no checkpoint may carry.
        """
        _check_name(self.origin)
        if not 0 <= self.size <= MAX_SIZE or len(self.root) != HASH_BYTES:
            raise ValueError("a checkpoint has a size up to 2**63 - 1 and a root of 32 bytes")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise ValueError("an empty tree has one root only")


@dataclass(frozen=True, slots=True)
class _Signature:
    name: str
    key_id: bytes
    value: bytes


def sign(checkpoint: Checkpoint, private: Ed25519PrivateKey) -> str:
    """Sign a head with the ledger's key. Do it after the tree is committed, never before (T-AUD-4).

    Returns:
        The signed note: three lines, an empty line, one signature line.
    """
    body = f"{checkpoint.origin}\n{checkpoint.size}\n{b64(checkpoint.root)}\n"
    key_id = _key_id(checkpoint.origin, ED25519, public_bytes(private))
    return f"{body}\n{_DASH}{checkpoint.origin} {b64(key_id + private.sign(body.encode()))}\n"


def open_note(note: str, origin: str, public: bytes) -> Checkpoint:
    """Read a signed head after checking the ledger's signature.

    Args:
        note: Text as received.
        origin: Name of the ledger it must come from.
        public: The ledger's public key, 32 raw bytes.

    Raises:
        BadCheckpoint: Malformed, of another ledger, unsigned by it, or wrongly signed.
    """
    body, signatures = _parse(note)
    wanted = (origin, _key_id(origin, ED25519, public))
    ours = [one.value for one in signatures if (one.name, one.key_id) == wanted]
    if not ours:
        raise BadCheckpoint("the note is not signed by the ledger's key")
    for value in ours:
        _verify(public, body.encode(), value)
    checkpoint = _read_body(body)
    if checkpoint.origin != origin:
        raise BadCheckpoint("the note is the head of another ledger")
    return checkpoint


def cosign(note: str, name: str, private: Ed25519PrivateKey, time_s: int) -> str:
    """State as a witness that this is the largest consistent head seen of its ledger.

    Call it only for a note that `open_note` accepted, whose consistency was proved, and which is already stored as the
    newest head seen.

    Args:
        note: The signed note.
        name: The witness: "midshire/police".
        private: A key used by this witness for nothing else.
        time_s: Now, in whole seconds since 1970.

    Returns:
        One signature line, without its newline.

    Raises:
        BadCheckpoint: The note is malformed.
        ValueError: The name or the time cannot be written down.
    """
    body, _ = _parse(note)
    _read_body(body)
    _check_name(name)
    if not 0 <= time_s <= MAX_TIME_S:
        raise ValueError("a time is 0 to 2**63 - 1 seconds")
    key_id = _key_id(name, COSIGNATURE_V1, public_bytes(private))
    stamp = time_s.to_bytes(_TIME_BYTES, "big")
    return f"{_DASH}{name} {b64(key_id + stamp + private.sign(_cosigned(body, time_s)))}"


def verify_cosignature(note: str, line: str, name: str, public: bytes) -> int:
    """Check one witness's line against a note.

    Args:
        note: The signed note.
        line: The line as `cosign` gives it, without its newline.
        name: The witness that it must come from.
        public: The witness's public key, 32 raw bytes.

    Returns:
        When it was cosigned, in seconds since 1970, by the witness's clock.

    Raises:
        BadCheckpoint: Malformed, by another key, or over another head.
    """
    body, _ = _parse(note)
    _read_body(body)
    signature = _parse_line(line)
    if (signature.name, signature.key_id) != (name, _key_id(name, COSIGNATURE_V1, public)):
        raise BadCheckpoint("the cosignature is by another key")
    return _cosigned_at(body, signature, public)


def witnessed(note: str, witnesses: Mapping[str, bytes]) -> dict[str, int]:
    """Which of these witnesses have cosigned the note, and when.

    Whoever relies on the note compares the number with its quorum and the times with its clock.

    Args:
        note: The signed note with its cosignature lines.
        witnesses: Name -> public key, 32 raw bytes. Other signers are ignored.

    Returns:
        Name -> seconds since 1970; the newest, where a witness cosigned more than once.

    Raises:
        BadCheckpoint: Malformed, or a line by one of these keys does not match.
    """
    body, signatures = _parse(note)
    _read_body(body)
    known = {(name, _key_id(name, COSIGNATURE_V1, public)): public for name, public in witnesses.items()}
    times: dict[str, int] = {}
    for one in signatures:
        public = known.get((one.name, one.key_id))
        if public is not None:
            times[one.name] = max(times.get(one.name, 0), _cosigned_at(body, one, public))
    return times


def with_cosignatures(note: str, lines: Sequence[str]) -> str:
    """The note with further signature lines, which the caller has verified.

    A line by a key that is on the note already is left out: readers look at the first line of each key.

    Args:
        note: The signed note.
        lines: Lines as `cosign` gives them.

    Raises:
        BadCheckpoint: The note or a line is malformed, or there are too many.
    """
    _, signatures = _parse(note)
    seen = {(one.name, one.key_id) for one in signatures}
    for line in lines:
        signature = _parse_line(line)
        if (signature.name, signature.key_id) not in seen:
            seen.add((signature.name, signature.key_id))
            note += line + "\n"
    _parse(note)
    return note


def vkey(name: str, public: bytes, algorithm: int) -> str:
    """A public key as other verifiers read it: name, key id and key in one line (signed-note, "Verifier keys").

    Args:
        name: The ledger or the witness.
        public: 32 raw bytes.
        algorithm: ED25519 for a ledger, COSIGNATURE_V1 for a witness.

    Raises:
        ValueError: The name cannot be written down, or the key is not 32 bytes.
    """
    _check_name(name)
    if len(public) != KEY_BYTES:
        raise ValueError("a public key is 32 bytes")
    return f"{name}+{_key_id(name, algorithm, public).hex()}+{b64(bytes([algorithm]) + public)}"


def _check_name(name: str) -> None:
    # Narrower than signed-note, which forbids only Unicode spaces and plus: names are compared by people too, and newer
    # cosignatures carry at most 255 bytes (tlog-cosignature, "ML-DSA-44 signed message").
    if not _NAME.fullmatch(name):
        raise ValueError("a name is 1 to 255 printable ASCII characters without space or plus")


def _key_id(name: str, algorithm: int, public: bytes) -> bytes:
    """SHA-256(name || 0x0A || type || public key)[:4] (signed-note, "Signatures")."""
    return sha256(name.encode(), b"\n", bytes([algorithm]), public)[:_KEY_ID_BYTES]


def _parse(note: str) -> tuple[str, list[_Signature]]:
    """Cut a note into its body and its signatures, none of them checked yet (signed-note, "Format")."""
    if len(note) > MAX_NOTE_CHARS:
        raise BadCheckpoint(f"the note is longer than {MAX_NOTE_CHARS} characters")
    if _FORBIDDEN.search(note):
        raise BadCheckpoint("the note holds a control character or is not Unicode text")
    text, gap, tail = note.rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        raise BadCheckpoint("the note has no signatures after an empty line")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise BadCheckpoint(f"the note has more than {MAX_SIGNATURES} signatures")
    return text + "\n", [_parse_line(line) for line in lines]


def _parse_line(line: str) -> _Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not name or "+" in name or name.split() != [name]:
        raise BadCheckpoint("a signature line is not of the form: dash, name, signature")
    try:
        value = unb64(encoded)
    except NotCanonical as error:
        raise BadCheckpoint("a signature is not base64") from error
    if len(value) <= _KEY_ID_BYTES:
        raise BadCheckpoint("a signature is too short")
    return _Signature(name, value[:_KEY_ID_BYTES], value[_KEY_ID_BYTES:])


def _read_body(body: str) -> Checkpoint:
    """Read the three lines (tlog-checkpoint, "Note text")."""
    lines = body.split("\n")
    if len(lines) != 4 or lines[3]:
        raise BadCheckpoint("a head has three lines: origin, size, root")
    origin, size, root = lines[:3]
    if not _SIZE.fullmatch(size):
        raise BadCheckpoint("the size is not a plain decimal number")
    try:
        return Checkpoint(origin, int(size), unb64(root))
    except ValueError as error:
        raise BadCheckpoint(str(error)) from error


def _verify(public: bytes, message: bytes, signature: bytes) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise BadCheckpoint("a signature by a known key does not match") from error


def _cosigned(body: str, time_s: int) -> bytes:
    """What a witness signs (tlog-cosignature, "Ed25519 signed message")."""
    return f"cosignature/v1\ntime {time_s}\n{body}".encode()


def _cosigned_at(body: str, signature: _Signature, public: bytes) -> int:
    if len(signature.value) != _TIME_BYTES + SIGNATURE_BYTES:
        raise BadCheckpoint("a cosignature is a time and 64 bytes")
    time_s = int.from_bytes(signature.value[:_TIME_BYTES], "big")
    if time_s > MAX_TIME_S:
        raise BadCheckpoint("a cosignature's time is out of range")
    _verify(public, _cosigned(body, time_s), signature.value[_TIME_BYTES:])
    return time_s
