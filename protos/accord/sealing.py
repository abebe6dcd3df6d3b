"""Seal what is asked so that only a node that holds the person can read it.

An envelope has one *slot* for each person. A slot's content is encrypted under a
key fresh for this slot and node, and that key is *wrapped* once under the lock of
each of the person's tokens. A node finds the tags of the wraps in its own index:
without a matching token it opens nothing (T-LNK-4). Slots, wraps and contents are
padded with random bytes, so that envelopes are of one size whatever the people
(T-LNK-2), and slots stand in random order.

The whole is sealed to one node's key with HPKE in base mode (RFC 9180,
https://www.rfc-editor.org/rfc/rfc9180), suite DHKEM(X25519, HKDF-SHA256),
HKDF-SHA256, ChaCha20-Poly1305. Who asks is proved by the signature on the
statement; `info` binds the envelope to its core.

Layout before sealing, integers big-endian:

    u8 form = 1 | u8 slots: 4, 8 or 12 | u8 wraps a slot: 32 or 64 | slot...
    slot = ciphertext (4,112 bytes) | (tag (12) | wrap (48))..., by rising tag
    content = u16 length | bytes | zeros, 4,096 bytes in all
"""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from accord.canonical import lp, sha256
from accord.linkage import TAG_BYTES, lock, tag
from accord.reasons import Problem

CONTENT_LIMIT: Final = 4_094
"""Most bytes of one slot's content."""
SLOT_COUNTS: Final = (4, 8, 12)
"""The only numbers of slots an envelope may have."""
WRAP_COUNTS: Final = (32, 64)
"""The only numbers of wraps a slot may have."""

_FORM: Final = 1
_HEAD_BYTES: Final = 3
_PADDED_BYTES: Final = CONTENT_LIMIT + 2
_CIPHERTEXT_BYTES: Final = _PADDED_BYTES + 16
_KEY_BYTES: Final = 32
_WRAP_BYTES: Final = _KEY_BYTES + 16
_NONCE_BYTES: Final = 12
_HPKE_OVERHEAD: Final = 32 + 16
_DIGEST_BYTES: Final = 32
_SUITE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)

ENVELOPE_LIMIT: Final = _HPKE_OVERHEAD + _HEAD_BYTES + 12 * (_CIPHERTEXT_BYTES + 64 * (TAG_BYTES + _WRAP_BYTES))
"""Size of the largest envelope, in bytes."""


class BadEnvelope(Problem):
    """It was not sealed to this key for this statement, or it is not laid out as agreed."""

    reason = "BAD_ENVELOPE"


class SlotsDisagree(Problem):
    """The wraps that opened do not all lead to one content, so nobody can say who was meant."""

    reason = "SLOTS_DISAGREE"


@dataclass(frozen=True, slots=True)
class Slot:
    """One person of a question.

    Attributes:
        tokens: The person's tokens, at most 64; none of them is ever sent.
        content: What only a holder may see, at most 4,094 bytes.
    """

    tokens: Sequence[bytes] = field(repr=False)
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LockedSlot:
    """One slot as a node finds it.

    Attributes:
        number: Its place in the envelope, from 0; random, and no hint of how many people there are.
        wraps: Tag (12 bytes) and wrapped key (48 bytes); padding looks the same.
        ciphertext: 4,112 bytes.
    """

    number: int
    wraps: tuple[tuple[bytes, bytes], ...]
    ciphertext: bytes


def seal(public: bytes, info: bytes, plaintext: bytes) -> bytes:
    """Seal to one public key (RFC 9180 section 6.1, SealBase with empty aad).

    Args:
        public: X25519 public key, 32 raw bytes.
        info: What the sealed bytes are bound to.
        plaintext: Any length.

    Returns:
        The encapsulated key (32 bytes), then the ciphertext, 16 bytes longer than the plaintext.
    """
    return _SUITE.encrypt(plaintext, X25519PublicKey.from_public_bytes(public), info)


def unseal(private: X25519PrivateKey, info: bytes, sealed: bytes) -> bytes:
    """Open what `seal` made (RFC 9180 section 6.1, OpenBase with empty aad).

    Raises:
        BadEnvelope: Sealed to another key, bound to something else, or changed.
    """
    try:
        return _SUITE.decrypt(sealed, private, info)
    except (InvalidTag, ValueError) as error:
        raise BadEnvelope("the sealed bytes do not open with this key and binding") from error


def seal_envelope(
    slots: Sequence[Slot],
    *,
    node_id: str,
    query_id: str,
    core_digest: bytes,
    public: bytes,
    wraps: int = 64,
    random: Callable[[int], bytes] = os.urandom,
) -> bytes:
    """Build and seal the envelope for one node.

    Args:
        slots: 1 to 12 people.
        node_id: The addressed node.
        query_id: The question's id, never used for another question.
        core_digest: SHA-256 of the statement's core, 32 bytes.
        public: The node's X25519 key from the directory, 32 raw bytes.
        wraps: 64, or 32 where a federation's descriptions never give more tokens.
        random: Source of keys, padding and order.

    Raises:
        ValueError: Too many or no people, too many tokens, or too long a content.
    """
    inner = lay_out(slots, node_id=node_id, query_id=query_id, core_digest=core_digest, wraps=wraps, random=random)
    return seal(public, core_digest, inner)


def lay_out(
    slots: Sequence[Slot],
    *,
    node_id: str,
    query_id: str,
    core_digest: bytes,
    wraps: int,
    random: Callable[[int], bytes],
) -> bytes:
    """The envelope before it is sealed; arguments as in `seal_envelope`.

    A token that two slots share is used in neither: it could not say which of them is meant. Random bytes are drawn in
    this order: 8 for the place of each slot, padding ones included; then, place by place, for a real slot 32 for its
    key and 60 for each missing wrap, for a padding slot 4,112 and 60 for each wrap.

    Raises:
        ValueError: As `seal_envelope`.
    """
    if not 1 <= len(slots) <= SLOT_COUNTS[-1] or wraps not in WRAP_COUNTS or len(core_digest) != _DIGEST_BYTES:
        raise ValueError("an envelope is for 1 to 12 people, with 32 or 64 wraps each and a digest of 32 bytes")
    count = next(count for count in SLOT_COUNTS if count >= len(slots))
    shared = Counter(token for slot in slots for token in set(slot.tokens))
    places = sorted(range(count), key=lambda _: random(8))
    filled = {place: slot for place, slot in zip(places, slots, strict=False)}
    out = [bytes((_FORM, count, wraps))]
    for place in range(count):
        slot = filled.get(place)
        made: list[bytes] = []
        if slot is None:
            ciphertext = random(_CIPHERTEXT_BYTES)
        else:
            tokens = [token for token in dict.fromkeys(slot.tokens) if shared[token] == 1]
            bound = _Bound(node_id, query_id, core_digest, place)
            ciphertext, made = _lock_slot(tokens, slot.content, bound, random(_KEY_BYTES))
        if len(made) > wraps:
            raise ValueError(f"a slot has room for {wraps} wraps")
        made += [random(TAG_BYTES + _WRAP_BYTES) for _ in range(wraps - len(made))]
        out += [ciphertext, *sorted(made)]
    return b"".join(out)


@dataclass(frozen=True, slots=True)
class _Bound:
    """What one slot and its wraps are bound to."""

    node_id: str
    query_id: str
    core_digest: bytes
    number: int

    def lock(self, token: bytes) -> ChaCha20Poly1305:
        return ChaCha20Poly1305(lock(token, self.query_id, self.node_id, self.number))

    def aad(self, label: bytes) -> bytes:
        """For a wrap, lp(tag) follows."""
        return lp(label, self.core_digest, self.node_id.encode(), self.number.to_bytes(1, "big"))


_SLOT: Final = b"accord slot v1"
_WRAP: Final = b"accord wrap v1"


def _lock_slot(tokens: Sequence[bytes], content: bytes, bound: _Bound, key: bytes) -> tuple[bytes, list[bytes]]:
    if len(content) > CONTENT_LIMIT:
        raise ValueError(f"a slot's content has at most {CONTENT_LIMIT} bytes")
    padded = (len(content).to_bytes(2, "big") + content).ljust(_PADDED_BYTES, b"\0")
    # The key is used once, so the nonce may be constant.
    ciphertext = ChaCha20Poly1305(key).encrypt(bytes(_NONCE_BYTES), padded, bound.aad(_SLOT))
    nonce, binding = _wrap_nonce(ciphertext), bound.aad(_WRAP)
    made = []
    for token in tokens:
        name = tag(token, bound.node_id)
        made.append(name + bound.lock(token).encrypt(nonce, key, binding + lp(name)))
    return ciphertext, made


def _wrap_nonce(ciphertext: bytes) -> bytes:
    """From the slot's ciphertext: should an asker ever seal one question twice, no nonce repeats under a lock."""
    return sha256(ciphertext)[:_NONCE_BYTES]


def open_envelope(payload: bytes, *, private: X25519PrivateKey, core_digest: bytes) -> tuple[LockedSlot, ...]:
    """Unseal an envelope and take it apart; its slots stay locked.

    Args:
        payload: As received.
        private: This node's key.
        core_digest: SHA-256 of the core as received, 32 bytes.

    Raises:
        BadEnvelope: Not sealed to this key for this core, or not laid out as agreed.
    """
    if len(payload) > ENVELOPE_LIMIT:
        raise BadEnvelope("the envelope is too large")
    inner = unseal(private, core_digest, payload)
    if len(inner) < _HEAD_BYTES:
        raise BadEnvelope("the envelope is too short")
    form, count, wraps = inner[:_HEAD_BYTES]
    slot_bytes = _CIPHERTEXT_BYTES + wraps * (TAG_BYTES + _WRAP_BYTES)
    if (
        form != _FORM
        or count not in SLOT_COUNTS
        or wraps not in WRAP_COUNTS
        or len(inner) != _HEAD_BYTES + count * slot_bytes
    ):
        raise BadEnvelope("the envelope is not laid out as agreed")
    return tuple(_locked(number, inner[_HEAD_BYTES + number * slot_bytes :][:slot_bytes]) for number in range(count))


def _locked(number: int, written: bytes) -> LockedSlot:
    one = TAG_BYTES + _WRAP_BYTES
    wraps = tuple(
        (written[i : i + TAG_BYTES], written[i + TAG_BYTES : i + one])
        for i in range(_CIPHERTEXT_BYTES, len(written), one)
    )
    return LockedSlot(number, wraps, written[:_CIPHERTEXT_BYTES])


def open_slot(
    slot: LockedSlot,
    tokens_by_tag: Mapping[bytes, Sequence[bytes]],
    *,
    node_id: str,
    query_id: str,
    core_digest: bytes,
) -> bytes | None:
    """Open a slot with the tokens of this node's index.

    Args:
        slot: From `open_envelope`.
        tokens_by_tag: This node's tokens by their tags; at least those whose tags occur in the slot.
        node_id: This node.
        query_id: The question's id.
        core_digest: As in `open_envelope`.

    Returns:
        The content; None when no token opens a wrap: the node does not hold this person, or the slot is padding.

    Raises:
        SlotsDisagree: Two wraps give different keys, or the key does not open the content.
    """
    bound = _Bound(node_id, query_id, core_digest, slot.number)
    nonce, binding = _wrap_nonce(slot.ciphertext), bound.aad(_WRAP)
    keys: set[bytes] = set()
    for name, wrapped in slot.wraps:
        for token in tokens_by_tag.get(name, ()):
            try:
                key = bound.lock(token).decrypt(nonce, wrapped, binding + lp(name))
            except InvalidTag:
                continue  # Padding whose random tag happens to be in the index, or a wrap meant for another question.
            keys.add(key)
    if not keys:
        return None
    if len(keys) > 1:
        raise SlotsDisagree("the wraps of one slot give different keys")
    try:
        padded = ChaCha20Poly1305(keys.pop()).decrypt(bytes(_NONCE_BYTES), slot.ciphertext, bound.aad(_SLOT))
    except InvalidTag as error:
        raise SlotsDisagree("the wrapped key does not open the slot") from error
    length = int.from_bytes(padded[:2], "big")
    if length > CONTENT_LIMIT or any(padded[2 + length :]):
        raise SlotsDisagree("the slot's content is not padded as agreed")
    return padded[2 : 2 + length]
