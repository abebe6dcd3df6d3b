"""Turn match keys into tokens that nobody can compute alone, and tokens into tags and locks.

The pseudorandom function is the verifiable oblivious PRF of RFC 9497
(https://www.rfc-editor.org/rfc/rfc9497), mode VOPRF, suite
ristretto255-SHA512. Two key servers are used one after the other: the broker's
evaluates the match key, the steward's evaluates the broker's output. A server
sees blinded elements only (RFC 9497 section 3.3.2): uniformly random points
that say nothing about the input. Every evaluation carries a proof that the
pinned key was used, so a server cannot single an asker out with a key of its own.
"""

import hmac
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from voprf.ristretto import BlindedInput, Client, Evaluator, PublicKey, VerifiableBatchOutput

from accord.canonical import lp
from accord.reasons import Problem

ELEMENT_BYTES: Final = 32
"""Size of a blinded or evaluated element, and of a public key (RFC 9497 section 4.1)."""
PROOF_BYTES: Final = 64
"""Size of a proof: two scalars (RFC 9497 section 2.2)."""
TOKEN_BYTES: Final = 64
"""Size of a token: one SHA-512 output."""
SEED_BYTES: Final = 32
MAX_ELEMENTS: Final = 1_000
"""Most blinded elements of one call to a key server, over all its batches."""
MAX_BATCH: Final = 64
"""Most elements under one proof: 5 to 15 ms of work, during which a process does nothing else."""
AT_ONCE: Final = 16
"""Elements after which a process that has other work gives way to it: 2 to 5 ms, by how many proofs they are under."""
TAG_BYTES: Final = 12
LOCK_BYTES: Final = 32
SUBJECT_TAG_BYTES: Final = 16

SIZES: Final = (1, 2, 4, 8, 12, 16, 24, 32, 48, MAX_BATCH)
"""Sizes to which the last batch of a family is padded, so that a server learns a size and not a count."""


class BadProof(Problem):
    """A key server's output is malformed, or its proof does not hold for the pinned key."""

    reason = "BAD_PROOF"


class BadElement(Problem):
    """A blinded element is not the encoding of a group element, or there are none or too many."""

    reason = "BAD_REQUEST"


@dataclass(frozen=True, slots=True, repr=False)
class Blinding:
    """The client's secret half of one batch; needed once, to finalise it.

    Attributes:
        clients: One state for each element sent, padding included.
        wanted: How many of them, from the first, are not padding.
    """

    clients: tuple[Client, ...]
    wanted: int


def padded_size(count: int, floor: int = 1) -> int:
    """The smallest size allowed that holds `count` elements.

    Args:
        count: 0 to MAX_BATCH.
        floor: Least size wanted.

    Raises:
        ValueError: More than MAX_BATCH.
    """
    for size in SIZES:
        if size >= max(count, floor):
            return size
    raise ValueError(f"at most {MAX_BATCH} elements fit one batch")


def blind(
    inputs: Sequence[bytes], size: int | None = None, random: Callable[[int], bytes] = os.urandom
) -> tuple[Blinding, list[bytes]]:
    """Blind inputs for one key server (RFC 9497 section 3.3.2, Blind).

    Two calls with one input give unrelated elements. Padding is made of random inputs, blinded like the others: the
    proof covers it, so the client must be able to finalise it too.

    Args:
        inputs: Each of 1 to 65,535 bytes.
        size: Size of the batch after padding; by default without padding.
        random: Source of the padding's inputs. The blinds themselves are drawn by the library from the system.

    Returns:
        What `finalise` needs, and the blinded elements to send, 32 bytes each.
    """
    padding = max(0, (size or 0) - len(inputs))
    pairs = [Client.blind(one) for one in (*inputs, *(random(32) for _ in range(padding)))]
    blinding = Blinding(tuple(client for client, _ in pairs), len(inputs))
    return blinding, [element.serialize() for _, element in pairs]


def finalise(blinding: Blinding, evaluated: Sequence[bytes], proof: bytes, public: bytes) -> list[bytes]:
    """Check a key server's proof and unblind its output (RFC 9497 section 3.3.2, Finalize).

    Args:
        blinding: From `blind`.
        evaluated: One element of 32 bytes for each that was sent, in their order.
        proof: 64 bytes, one proof for the whole batch.
        public: The server's pinned public key for this family and epoch, 32 bytes.

    Returns:
        One token of 64 bytes for each input; none for the padding.

    Raises:
        BadProof: Wrong sizes or number, not group elements, or the proof does not hold.
    """
    if (
        len(evaluated) != len(blinding.clients)
        or len(proof) != PROOF_BYTES
        or any(len(element) != ELEMENT_BYTES for element in evaluated)
    ):
        raise BadProof("a key server's output has the wrong size")
    try:
        output = VerifiableBatchOutput.deserialize(proof + b"".join(evaluated))
        return Client.finalize_batch(blinding.clients, output, PublicKey.deserialize(public))[: blinding.wanted]
    except ValueError as error:
        raise BadProof("a key server's output is not made of group elements") from error
    except BaseException as error:
        # The library reports a proof that does not hold as a Rust panic, whose class derives from BaseException only
        # and cannot be imported. Anything else (a cancelled task, an interrupt) must pass.
        if type(error).__name__ != "PanicException":
            raise
        raise BadProof("a key server's proof does not hold") from None


class FamilyKey:
    """One key server's key for one family in one epoch.

    The key pair is derived from the server's seed (RFC 9497 section 3.2.1, DeriveKeyPair) with
    info = lp(epoch) lp(family).

    Attributes:
        epoch: The linkage epoch.
        family: The family's id.
        public: The public key, 32 bytes.
    """

    __slots__ = ("_evaluator", "epoch", "family", "public")

    def __init__(self, seed: bytes, epoch: str, family: str) -> None:
        """Derive the key.

        Args:
            seed: 32 secret random bytes, one seed for each server.
            epoch: The linkage epoch.
            family: The family's id.

        Raises:
            ValueError: The seed is not 32 bytes.
        """
        if len(seed) != SEED_BYTES:
            raise ValueError(f"a key server's seed has {SEED_BYTES} bytes")
        self._evaluator = Evaluator.from_seed(seed, lp(epoch.encode(), family.encode()))
        self.epoch = epoch
        self.family = family
        self.public = self._evaluator.public_key.serialize()

    def evaluate(self, blinded: Sequence[bytes]) -> tuple[list[bytes], bytes]:
        """Evaluate blinded elements with one proof over all of them (RFC 9497 section 3.3.2, BlindEvaluate).

        Args:
            blinded: 1 to MAX_BATCH elements of 32 bytes.

        Returns:
            The evaluated elements in the same order, and the proof of 64 bytes.

        Raises:
            BadElement: None or too many, or one is not the encoding of a group element other than the identity.
        """
        if not 1 <= len(blinded) <= MAX_BATCH or any(len(element) != ELEMENT_BYTES for element in blinded):
            raise BadElement(f"one to {MAX_BATCH} blinded elements of {ELEMENT_BYTES} bytes are taken")
        try:
            output = self._evaluator.evaluate_batch([BlindedInput.deserialize(element) for element in blinded])
        except ValueError as error:
            raise BadElement("a blinded element is not the encoding of a group element") from error
        # The library writes the proof first, then the elements.
        wire = output.serialize()
        proof, elements = wire[:PROOF_BYTES], wire[PROOF_BYTES:]
        return [elements[i : i + ELEMENT_BYTES] for i in range(0, len(elements), ELEMENT_BYTES)], proof

    def direct(self, key: bytes) -> bytes:
        """The token of an input in the clear (RFC 9497 section 3.3.1, Evaluate): for tests and vectors."""
        return self._evaluator.evaluate_known_input(key)


def tag(token: bytes, node_id: str) -> bytes:
    """The name of a token at one node: 12 bytes. Nodes cannot compare tags with each other.

    HMAC-SHA256(token, lp("accord tag v1") lp(node id))[:12] (RFC 2104).
    """
    return hmac.digest(token, _tag_message(node_id), "sha256")[:TAG_BYTES]


@lru_cache(maxsize=256)
def _tag_message(node_id: str) -> bytes:
    return lp(b"accord tag v1", node_id.encode())


def lock(token: bytes, query_id: str, node_id: str, slot: int) -> bytes:
    """The key that wraps a slot's key under one token: 32 bytes, good for one question, node and slot.

    HKDF-SHA256 (RFC 5869, https://www.rfc-editor.org/rfc/rfc5869) with salt = lp(query id) lp(node id) u8(slot) and
    info = "accord lock v1". One output block is needed, so section 2.3 comes to a single HMAC.

    Args:
        token: 64 bytes.
        query_id: The question's id.
        node_id: The addressed node.
        slot: 0 to 255.
    """
    return hmac.digest(
        hmac.digest(_lock_salt(query_id, node_id, slot), token, "sha256"), b"accord lock v1\x01", "sha256"
    )


@lru_cache(maxsize=256)
def _lock_salt(query_id: str, node_id: str, slot: int) -> bytes:
    return lp(query_id.encode(), node_id.encode()) + slot.to_bytes(1, "big")


def subject_tag(token: bytes, federation: str) -> bytes:
    """The pseudonym under which the broker recognises the same unknown person: 16 bytes.

    HMAC-SHA256(token, lp("accord subject v1") lp(federation))[:16].
    """
    return hmac.digest(token, lp(b"accord subject v1", federation.encode()), "sha256")[:SUBJECT_TAG_BYTES]
