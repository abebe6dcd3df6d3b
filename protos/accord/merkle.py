"""The Merkle tree under every ledger: entries, leaf and node hashes, tiles, proofs.

    salt, body -> entry -> leaf_hash -> append (tiles) -> tree_root, inclusion_proof, consistency_proof

* Hashing is RFC 6962 section 2.1 (https://www.rfc-editor.org/rfc/rfc6962#section-2.1) with SHA-256; the verifying
  algorithms are those of RFC 9162 section 2.1 (https://www.rfc-editor.org/rfc/rfc9162#section-2.1).
* Stored hashes are cut into tiles as C2SP tlog-tiles says (https://c2sp.org/tlog-tiles): a tile holds up to 256
  consecutive hashes of one level, and a hash at level L + 1 is the root of one full tile at level L.
* What goes into the tree is a salted digest of a record, so whoever is handed sibling hashes cannot guess a short
  record (T-AUD-10), and erasing salt and body leaves every proof valid.
* Nothing here stores anything: tiles are read through a function and changed tiles are given back.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import Final, TypeAlias

from accord.canonical import sha256
from accord.reasons import Problem

HASH_BYTES: Final = 32
SALT_BYTES: Final = 16
TILE_WIDTH: Final = 256
"""Hashes in a full tile (C2SP tlog-tiles, "Merkle Tree")."""

TILE_HEIGHT: Final = 8
"""Levels of the tree that one level of tiles spans: 2**8 = 256."""

MAX_SIZE: Final = 2**63 - 1
"""Most leaves in a tree; other implementations keep the size in a signed 64-bit integer."""

MAX_PROOF: Final = 64
"""Most hashes in a proof: ceil(log2(MAX_SIZE)) = 63, and one more for consistency (RFC 6962 section 2.1.2)."""

EMPTY_ROOT: Final = sha256()
"""Root of the tree without leaves: SHA-256 of the empty string (RFC 6962 section 2.1)."""

ENTRY_LABEL: Final = b"accord/ledger/entry/v1"

TileReader: TypeAlias = Callable[[int, int], bytes]
"""(level, index) -> the hashes of that tile, 32 bytes each, at least as many as the tree in question reaches.

An unknown tile may be given as b"" or raise the store's own Problem.
"""

Memo: TypeAlias = MutableMapping[tuple[int, int], bytes]
"""(height, index) -> root of the perfect subtree over leaves index * 2**height up to (index + 1) * 2**height.

A caller may pass one dict to many calls and keep it as long as every batch that it served became durable: whole
subtrees never change. It must be emptied as soon as one did not: it would hold hashes of leaves that were never stored
(T-AUD-4).
"""


class TilesDamaged(Problem):
    """A stored tile is missing, too short or not a whole number of hashes."""

    reason = "BAD_LEDGER"


def entry(salt: bytes, body: bytes) -> bytes:
    """What the tree holds for one record: 0x01 and the salted digest of the record.

    Args:
        salt: 16 random bytes, fresh for each record.
        body: The record as stored, in canonical JSON.

    Returns:
        33 bytes: 0x01 || SHA-256("accord/ledger/entry/v1" || salt || body). The first byte is the version of this form.

    Raises:
        ValueError: The salt is not 16 bytes.
    """
    if len(salt) != SALT_BYTES:
        raise ValueError("a salt is 16 bytes")
    return b"\x01" + sha256(ENTRY_LABEL, salt, body)


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 || entry): 32 bytes (RFC 6962 section 2.1)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right): 32 bytes (RFC 6962 section 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """Merkle tree hash of the leaves, in order (RFC 6962 section 2.1, https://www.rfc-editor.org/rfc/rfc6962#section-2.1).

    Args:
        leaves: n leaf hashes of 32 bytes each, n >= 0.

    Returns:
        32 bytes; EMPTY_ROOT when n is 0.
    """
    if not leaves:
        return EMPTY_ROOT
    row = list(leaves)
    while len(row) > 1:
        # Pairing neighbours and carrying a last odd hash upwards unchanged gives the tree that section 2.1 defines by
        # splitting at the largest power of two.
        pairs = [node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)]
        row = pairs + row[len(pairs) * 2 :]
    return row[0]


def append(size: int, leaves: Sequence[bytes], read: TileReader) -> dict[tuple[int, int], bytes]:
    """Add leaves to a tree and give back every tile that changed.

    Reads at most one tile a level, and only the levels that change: O(new leaves + log size) work.

    Args:
        size: Leaves in the tree so far.
        leaves: Leaf hashes to add, 32 bytes each.
        read: Tiles of the tree of `size` leaves. Hashes beyond that size, left by a writer that stopped half way, are
            not used.

    Returns:
        (level, index) -> the whole tile, 1 to 256 hashes. Store them together with the entries, in one transaction.

    Raises:
        TilesDamaged: The last tile of a level is missing or too short.
        ValueError: A leaf hash is not 32 bytes, or the tree would grow past MAX_SIZE.
    """
    if size < 0 or size + len(leaves) > MAX_SIZE:
        raise ValueError("tree size out of range")
    if any(len(leaf) != HASH_BYTES for leaf in leaves):
        raise ValueError("a leaf hash is 32 bytes")
    changed: dict[tuple[int, int], bytes] = {}
    level, filled, arriving = 0, size, list(leaves)
    while arriving:
        index, width = divmod(filled, TILE_WIDTH)
        tile = _hashes(read, level, index, 0, width)
        above = []
        taken = 0
        while taken < len(arriving):
            part = arriving[taken : taken + TILE_WIDTH - len(tile)]
            taken += len(part)
            tile += part
            changed[level, index] = b"".join(tile)
            if len(tile) == TILE_WIDTH:
                above.append(root(tile))
                index, tile = index + 1, []
        level, filled, arriving = level + 1, filled // TILE_WIDTH, above
    return changed


def overlay(changed: Mapping[tuple[int, int], bytes], read: TileReader) -> TileReader:
    """A reader that sees `changed` tiles first and asks `read` for the others.

    With it the root of a batch is known before the batch is stored.
    """

    def reader(level: int, index: int) -> bytes:
        tile = changed.get((level, index))
        return read(level, index) if tile is None else tile

    return reader


def tile_widths(size: int) -> dict[tuple[int, int], int]:
    """Every tile of a tree of `size` leaves: (level, index) -> width, 1 to 256 (C2SP tlog-tiles, "Partial Tiles").

    One item for each 256 leaves: meant for export and checking, not for a question.
    """
    widths: dict[tuple[int, int], int] = {}
    level = 0
    while size:
        full, part = divmod(size, TILE_WIDTH)
        widths.update({(level, index): TILE_WIDTH for index in range(full)})
        if part:
            widths[level, full] = part
        level, size = level + 1, full
    return widths


def tree_root(size: int, read: TileReader, memo: Memo | None = None) -> bytes:
    """Root of the first `size` leaves (RFC 6962 section 2.1).

    Args:
        size: Leaves, 0 up to what the tiles reach; an earlier size than the newest is allowed.
        read: Tiles.
        memo: See Memo.

    Returns:
        32 bytes.

    Raises:
        TilesDamaged: A tile is missing or too short.
    """
    return EMPTY_ROOT if size == 0 else _range(0, size, read, memo)


def inclusion_proof(index: int, size: int, read: TileReader, memo: Memo | None = None) -> list[bytes]:
    """Audit path of one leaf (RFC 6962 section 2.1.1, https://www.rfc-editor.org/rfc/rfc6962#section-2.1.1).

    Args:
        index: Number of the leaf, from 0.
        size: Leaves in the tree; index < size.
        read: Tiles.
        memo: See Memo.

    Returns:
        Hashes of 32 bytes, the leaf's sibling first.

    Raises:
        TilesDamaged: A tile is missing or too short.
        ValueError: The leaf is not in a tree of that size.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise ValueError("no such leaf in a tree of that size")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        split = start + _split(end - start)
        if index < split:
            path.append(_range(split, end, read, memo))
            end = split
        else:
            path.append(_range(start, split, read, memo))
            start = split
    return path[::-1]


def consistency_proof(old: int, new: int, read: TileReader, memo: Memo | None = None) -> list[bytes]:
    """Proof that the first `old` leaves are unchanged in the tree of `new` leaves (RFC 6962 section 2.1.2).

    https://www.rfc-editor.org/rfc/rfc6962#section-2.1.2

    Args:
        old: Leaves of the earlier tree, 0 <= old <= new. From 0 every tree grows, so that proof is empty.
        new: Leaves of the later tree.
        read: Tiles of the later tree.
        memo: See Memo.

    Returns:
        Hashes of 32 bytes; empty when old is 0 or new.

    Raises:
        TilesDamaged: A tile is missing or too short.
        ValueError: The sizes are not in order.
    """
    if not 0 <= old <= new <= MAX_SIZE:
        raise ValueError("tree sizes out of order")
    if old in (0, new):
        return []
    path: list[bytes] = []
    start, end, known = 0, new, True
    # SUBPROOF of section 2.1.2 as a loop. `known` is its boolean b: the verifier holds the root of what is left.
    while old != end:
        split = start + _split(end - start)
        if old <= split:
            path.append(_range(split, end, read, memo))
            end = split
        else:
            path.append(_range(start, split, read, memo))
            start, known = split, False
    if not known:
        path.append(_range(start, end, read, memo))
    return path[::-1]


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Is the leaf at `index` of the tree with this size and root?

    RFC 9162 section 2.1.3.2, https://www.rfc-editor.org/rfc/rfc9162#section-2.1.3.2

    Args:
        index: Number of the leaf, from 0.
        size: Leaves in the tree.
        leaf: Leaf hash, 32 bytes.
        proof: Hashes of 32 bytes, the leaf's sibling first.
        root: Root of the tree, 32 bytes.

    Returns:
        False for anything that does not prove it, whatever is wrong with it.
    """
    if not 0 <= index < size <= MAX_SIZE or not _all_hashes([leaf, root, *proof]):
        return False
    node, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            computed = node_hash(sibling, computed)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and computed == root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Does the tree of `new` leaves begin with the tree of `old` leaves?

    RFC 9162 section 2.1.4.2, https://www.rfc-editor.org/rfc/rfc9162#section-2.1.4.2

    Args:
        old: Leaves of the earlier tree. 0 is accepted with EMPTY_ROOT and an empty proof, which the RFC leaves out.
        new: Leaves of the later tree.
        old_root: 32 bytes.
        new_root: 32 bytes.
        proof: Hashes of 32 bytes, as `consistency_proof` gives them.

    Returns:
        False for anything that does not prove it, whatever is wrong with it.
    """
    if not 0 <= old <= new <= MAX_SIZE or not _all_hashes([old_root, new_root, *proof]):
        return False
    if old in (0, new):
        return not proof and old_root == (EMPTY_ROOT if old == 0 else new_root) and (new != 0 or new_root == EMPTY_ROOT)
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    computed_old = computed_new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            computed_old = node_hash(sibling, computed_old)
            computed_new = node_hash(sibling, computed_new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            computed_new = node_hash(computed_new, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and computed_old == old_root and computed_new == new_root


def _split(size: int) -> int:
    """The largest power of two smaller than `size`, which is at least 2: k of RFC 6962 section 2.1."""
    return 1 << ((size - 1).bit_length() - 1)


def _all_hashes(hashes: Iterable[bytes]) -> bool:
    # Hashes of another length would let one run of bytes be cut in two ways under a node hash.
    found = list(hashes)
    return len(found) <= MAX_PROOF + 2 and all(len(one) == HASH_BYTES for one in found)


def _range(start: int, end: int, read: TileReader, memo: Memo | None) -> bytes:
    """MTH(D[start:end]) for a range that the splits of section 2.1 can give, so `start` is aligned to its size."""
    size = end - start
    if size & (size - 1) == 0:
        height = size.bit_length() - 1
        return _perfect(height, start >> height, read, memo)
    split = start + _split(size)
    return node_hash(_range(start, split, read, memo), _range(split, end, read, memo))


def _perfect(height: int, index: int, read: TileReader, memo: Memo | None) -> bytes:
    """Root of the perfect subtree of 2**height leaves that is number `index` among those of its height."""
    if memo is not None and (height, index) in memo:
        return memo[height, index]
    level, inside = divmod(height, TILE_HEIGHT)
    tile, offset = divmod(index << inside, TILE_WIDTH)
    row = _hashes(read, level, tile, offset, offset + (1 << inside))
    for above in range(inside):
        row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row), 2)]
        if memo is not None:
            below = inside - above - 1
            memo.update({(height - below, (index << below) + i): one for i, one in enumerate(row)})
    return row[0]


def _hashes(read: TileReader, level: int, index: int, start: int, end: int) -> list[bytes]:
    """Hashes start up to end of one tile; nothing is read when there are none."""
    if start == end:
        return []
    tile = read(level, index)
    if len(tile) % HASH_BYTES or len(tile) > HASH_BYTES * TILE_WIDTH or len(tile) < HASH_BYTES * end:
        raise TilesDamaged(f"tile {level}/{index} holds {len(tile)} bytes; {HASH_BYTES * end} are needed")
    return [tile[HASH_BYTES * i : HASH_BYTES * (i + 1)] for i in range(start, end)]
