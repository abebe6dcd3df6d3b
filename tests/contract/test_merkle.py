"""The Merkle tree of every ledger: known answers, a slow second implementation, and what must be refused."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord import merkle
from accord.canonical import sha256

VECTORS = json.loads((Path(__file__).parents[2] / "protos/vectors/merkle.json").read_text())
CT = VECTORS["rfc6962"]
CT_LEAVES = [merkle.leaf_hash(bytes.fromhex(entry)) for entry in CT["entries"]]
LEAVES = [merkle.leaf_hash(n.to_bytes(4, "big")) for n in range(1_200)]


class Tiles:
    """A tile store that counts what is read from it."""

    def __init__(self) -> None:
        self.stored: dict[tuple[int, int], bytes] = {}
        self.reads = 0

    def read(self, level: int, index: int) -> bytes:
        self.reads += 1
        return self.stored.get((level, index), b"")


def grown(leaves: Sequence[bytes], cuts: Sequence[int] = ()) -> Tiles:
    """A store to which the leaves were appended in batches that end at `cuts`."""
    tiles = Tiles()
    edges = [0, *sorted(cuts), len(leaves)]
    for start, end in itertools.pairwise(edges):
        tiles.stored.update(merkle.append(start, leaves[start:end], tiles.read))
    return tiles


FULL = grown(LEAVES)


# The second implementation: the definitions of RFC 6962 section 2.1, word for word, over plain lists.


def slow_split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def slow_root(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    k = slow_split(len(leaves))
    return sha256(b"\x01" + slow_root(leaves[:k]) + slow_root(leaves[k:]))


def slow_path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = slow_split(len(leaves))
    if m < k:
        return [*slow_path(m, leaves[:k]), slow_root(leaves[k:])]
    return [*slow_path(m - k, leaves[k:]), slow_root(leaves[:k])]


def slow_subproof(m: int, leaves: Sequence[bytes], known: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if known else [slow_root(leaves)]
    k = slow_split(len(leaves))
    if m <= k:
        return [*slow_subproof(m, leaves[:k], known), slow_root(leaves[k:])]
    return [*slow_subproof(m - k, leaves[k:], False), slow_root(leaves[:k])]


def test_the_eight_leaf_tree_of_certificate_transparency_has_its_published_roots() -> None:
    """T-AUD-7: the roots are those of RFC 6962, for every size from the empty tree up."""
    tiles = grown(CT_LEAVES, cuts=[3])

    assert CT["roots"] == [merkle.root(CT_LEAVES[:n]).hex() for n in range(9)]
    assert CT["roots"] == [merkle.tree_root(n, tiles.read).hex() for n in range(9)]


@pytest.mark.parametrize("case", CT["inclusion"], ids=lambda case: f"{case['index']}-of-{case['size']}")
def test_an_inclusion_proof_is_the_published_one(case: dict[str, object]) -> None:
    """T-AUD-7: the audit paths are those of RFC 6962 and verify."""
    index, size, expected = int(str(case["index"])), int(str(case["size"])), case["proof"]
    proof = merkle.inclusion_proof(index, size, grown(CT_LEAVES).read)

    assert expected == [one.hex() for one in proof]
    assert merkle.verify_inclusion(index, size, CT_LEAVES[index], proof, bytes.fromhex(CT["roots"][size]))


@pytest.mark.parametrize("case", CT["consistency"], ids=lambda case: f"{case['old']}-to-{case['new']}")
def test_a_consistency_proof_is_the_published_one(case: dict[str, object]) -> None:
    """T-AUD-7: the consistency proofs are those of RFC 6962 and verify."""
    old, new, expected = int(str(case["old"])), int(str(case["new"])), case["proof"]
    proof = merkle.consistency_proof(old, new, grown(CT_LEAVES).read)
    roots = [bytes.fromhex(CT["roots"][size]) for size in (old, new)]

    assert expected == [one.hex() for one in proof]
    assert merkle.verify_consistency(old, new, roots[0], roots[1], proof)


@pytest.mark.parametrize("case", VECTORS["entry"])
def test_an_entry_is_the_salted_digest_of_its_record(case: dict[str, str]) -> None:
    """T-AUD-10: what the tree holds is 0x01 and a salted digest, never the record."""
    entry = merkle.entry(bytes.fromhex(case["salt"]), bytes.fromhex(case["body"]))

    assert case["entry"] == entry.hex()
    assert case["leaf_hash"] == merkle.leaf_hash(entry).hex()


def test_two_salts_hide_that_two_records_are_equal() -> None:
    """T-AUD-10: equal records have unequal entries, so siblings tell nothing."""
    assert merkle.entry(b"a" * 16, b"same") != merkle.entry(b"b" * 16, b"same")


def test_a_salt_of_another_length_is_a_mistake_of_ours() -> None:
    """A short salt would let salt and body be cut elsewhere under the same digest."""
    with pytest.raises(ValueError, match="16 bytes"):
        merkle.entry(b"a" * 15, b"body")


@settings(deadline=None, max_examples=120)
@given(st.data())
def test_tiles_roots_and_proofs_equal_those_of_the_slow_tree(data: st.DataObject) -> None:
    """T-AUD-7: however appends were batched, every root and proof is the one that RFC 6962 defines."""
    size = data.draw(st.integers(0, 600), label="size")
    cuts = data.draw(st.lists(st.integers(0, size), max_size=5), label="cuts")
    old = data.draw(st.integers(0, size), label="old")
    tiles, memo = grown(LEAVES[:size], cuts), {}
    widths = {place: len(tile) // 32 for place, tile in tiles.stored.items()}
    old_root, new_root = slow_root(LEAVES[:old]), slow_root(LEAVES[:size])
    consistency = merkle.consistency_proof(old, size, tiles.read, memo)

    assert merkle.tile_widths(size) == widths
    assert new_root == merkle.root(LEAVES[:size]) == merkle.tree_root(size, tiles.read, memo)
    assert old_root == merkle.tree_root(old, tiles.read, memo)
    assert (slow_subproof(old, LEAVES[:size], True) if old else []) == consistency
    assert merkle.verify_consistency(old, size, old_root, new_root, consistency)
    if size:
        index = data.draw(st.integers(0, size - 1), label="index")
        path = merkle.inclusion_proof(index, size, tiles.read, memo)
        assert slow_path(index, LEAVES[:size]) == path
        assert merkle.verify_inclusion(index, size, LEAVES[index], path, new_root)


def test_tiles_of_one_size_serve_every_earlier_size() -> None:
    """A node that last saw an older head gets its proof from today's tiles."""
    sizes = [1, 2, 255, 256, 257, 511, 512, 513, 1_000]

    assert [slow_root(LEAVES[:n]) for n in sizes] == [merkle.tree_root(n, FULL.read) for n in sizes]


def test_a_tile_is_what_the_tiles_specification_says() -> None:
    """T-AUD-7: C2SP tlog-tiles: 256 leaves are one full tile at level 0 and one hash at level 1."""
    tiles = grown(LEAVES[:256])

    assert {(0, 0): b"".join(LEAVES[:256]), (1, 0): slow_root(LEAVES[:256])} == tiles.stored


def test_seventy_thousand_leaves_give_the_tiles_of_the_specification() -> None:
    """T-AUD-7: the worked example of C2SP tlog-tiles, "Partial Tiles"."""
    widths = merkle.tile_widths(70_000)

    assert 273 == sum(1 for (level, _), width in widths.items() if level == 0 and width == 256)
    assert {(0, 273): 112, (1, 1): 17, (2, 0): 1} == {at: w for at, w in widths.items() if w != 256}


def test_appending_one_leaf_to_a_million_reads_at_most_one_tile_a_level() -> None:
    """Adding a record costs the same however long the ledger has been kept."""
    size = 256**2 * 15 + 256 * 7 + 255
    tiles = Tiles()
    tiles.stored = {place: b"h" * 32 * width for place, width in merkle.tile_widths(size).items()}

    changed = merkle.append(size, [LEAVES[0]], tiles.read)

    assert {(0, size >> 8), (1, size >> 16)} == set(changed)
    assert 2 == tiles.reads


def test_a_leaf_that_fits_the_last_tile_changes_only_that_tile() -> None:
    """Adding a record rewrites one tile, not the tree."""
    tiles = grown(LEAVES[:300])
    tiles.reads = 0

    changed = merkle.append(300, LEAVES[300:301], tiles.read)

    assert {(0, 1): b"".join(LEAVES[256:301])} == changed
    assert 1 == tiles.reads


def test_hashes_left_over_by_a_writer_that_stopped_are_not_used() -> None:
    """T-AUD-4: a tile longer than the committed size does not change what is appended next."""
    tiles = grown(LEAVES[:10])
    tiles.stored[0, 0] += b"x" * 32 * 4

    tiles.stored.update(merkle.append(10, LEAVES[10:12], tiles.read))

    assert slow_root(LEAVES[:12]) == merkle.tree_root(12, tiles.read)


def test_the_root_of_a_batch_is_known_before_it_is_stored() -> None:
    """T-AUD-4: a signer can compute the head from the changed tiles and the stored ones."""
    tiles = grown(LEAVES[:250])
    changed = merkle.append(250, LEAVES[250:260], tiles.read)

    assert slow_root(LEAVES[:260]) == merkle.tree_root(260, merkle.overlay(changed, tiles.read))


def test_a_memo_saves_reads_and_changes_nothing() -> None:
    """One batch's proofs share work through a memo that the caller owns and drops."""
    tiles, memo = grown(LEAVES[:1_000]), {}
    without = [merkle.inclusion_proof(i, 1_000, tiles.read) for i in range(990, 1_000)]
    plain, tiles.reads = tiles.reads, 0

    assert without == [merkle.inclusion_proof(i, 1_000, tiles.read, memo) for i in range(990, 1_000)]
    assert tiles.reads < plain / 2


@pytest.mark.parametrize("tile", [b"", b"short", b"x" * 32 * 9, b"x" * (32 * 10 + 1), b"x" * 32 * 257])
def test_a_damaged_tile_is_named_and_never_hashed(tile: bytes) -> None:
    """T-AUD-5: a missing or cut tile stops the ledger instead of giving a wrong root."""
    tiles = Tiles()
    tiles.stored[0, 0] = tile

    with pytest.raises(merkle.TilesDamaged, match="tile 0/0"):
        merkle.tree_root(10, tiles.read)
    with pytest.raises(merkle.TilesDamaged, match="tile 0/0"):
        merkle.append(10, LEAVES[:1], tiles.read)


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_a_changed_inclusion_proof_is_refused(data: st.DataObject) -> None:
    """T-AUD-5: another leaf, index, root or path is never accepted."""
    size = data.draw(st.integers(1, 600), label="size")
    index = data.draw(st.integers(0, size - 1), label="index")
    proof = merkle.inclusion_proof(index, size, FULL.read)
    root = merkle.tree_root(size, FULL.read)
    at = data.draw(st.integers(0, max(len(proof) - 1, 0)), label="at")
    flipped = bytes([root[0] ^ 1]) + root[1:]
    cases = {
        "leaf": (index, size, LEAVES[size], proof, root),
        "root": (index, size, LEAVES[index], proof, flipped),
        "longer": (index, size, LEAVES[index], [*proof, root], root),
        "negative": (-1, size, LEAVES[index], proof, root),
        "outside": (size, size, LEAVES[index], proof, root),
        "short hash": (index, size, LEAVES[index][:31], proof, root),
    }
    if size > 1:
        other = data.draw(st.integers(0, size - 1).filter(lambda n: n != index), label="other")
        cases["index"] = (other, size, LEAVES[index], proof, root)
        cases["shorter"] = (index, size, LEAVES[index], proof[:-1], root)
        cases["hash"] = (index, size, LEAVES[index], [*proof[:at], flipped, *proof[at + 1 :]], root)
        cases["cut elsewhere"] = (index, size, LEAVES[index], [*proof[:at], proof[at] + b"x", *proof[at + 1 :]], root)

    assert [] == [name for name, case in cases.items() if merkle.verify_inclusion(*case)]


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_a_changed_consistency_proof_is_refused(data: st.DataObject) -> None:
    """T-AUD-5: a head that does not extend the earlier one is never accepted."""
    new = data.draw(st.integers(2, 600), label="new")
    old = data.draw(st.integers(1, new - 1), label="old")
    proof = merkle.consistency_proof(old, new, FULL.read)
    old_root, new_root = merkle.tree_root(old, FULL.read), merkle.tree_root(new, FULL.read)
    wrong = bytes([old_root[0] ^ 1]) + old_root[1:]
    at = data.draw(st.integers(0, len(proof) - 1), label="at")
    cases = {
        "old root": (old, new, wrong, new_root, proof),
        "new root": (old, new, old_root, wrong, proof),
        "swapped": (old, new, new_root, old_root, proof),
        "backwards": (new, old, old_root, new_root, proof),
        "longer": (old, new, old_root, new_root, [*proof, new_root]),
        "shorter": (old, new, old_root, new_root, proof[:-1]),
        "none": (old, new, old_root, new_root, []),
        "hash": (old, new, old_root, new_root, [*proof[:at], wrong, *proof[at + 1 :]]),
        "same size": (new, new, old_root, new_root, []),
        "from nothing": (0, new, old_root, new_root, []),
        "from nothing with a proof": (0, new, merkle.EMPTY_ROOT, new_root, proof),
    }

    assert [] == [name for name, case in cases.items() if merkle.verify_consistency(*case)]


def test_a_proof_for_a_tree_of_another_height_is_refused() -> None:
    """T-AUD-5: the size belongs to what is proved, not only the root."""
    proof, root = merkle.inclusion_proof(0, 4, FULL.read), merkle.tree_root(4, FULL.read)

    accepted = [size for size in range(1, 20) if merkle.verify_inclusion(0, size, LEAVES[0], proof, root)]

    # In trees of 3 and of 4 leaves the path of leaf 0 has the same form; the signed head tells them apart.
    assert [3, 4] == accepted


def test_bytes_cannot_move_between_two_hashes_of_a_pair() -> None:
    """T-AUD-5: a leaf that lends its sibling a byte gives the same node hash, and is refused for its length."""
    left, right, other = LEAVES[:3]
    longer, shorter = left + right[:1], right[1:]
    root = merkle.node_hash(left, right)
    three = merkle.node_hash(root, other)

    assert root == merkle.node_hash(longer, shorter)
    assert not merkle.verify_inclusion(0, 2, longer, [shorter], root)
    assert not merkle.verify_consistency(1, 3, longer, three, [shorter, other])


def test_the_empty_tree_is_a_beginning_of_every_tree_and_contains_nothing() -> None:
    """A ledger without records can be signed, witnessed and extended."""
    root = merkle.tree_root(5, FULL.read)

    assert {} == merkle.append(0, [], FULL.read)
    assert merkle.EMPTY_ROOT == merkle.tree_root(0, Tiles().read)
    assert merkle.verify_consistency(0, 5, merkle.EMPTY_ROOT, root, [])
    assert merkle.verify_consistency(0, 0, merkle.EMPTY_ROOT, merkle.EMPTY_ROOT, [])
    assert not merkle.verify_consistency(0, 0, merkle.EMPTY_ROOT, root, [])
    assert not merkle.verify_inclusion(0, 0, LEAVES[0], [], merkle.EMPTY_ROOT)


def test_proofs_of_what_cannot_be_are_mistakes_of_ours() -> None:
    """A leaf outside the tree or sizes out of order are bugs, not answers."""
    with pytest.raises(ValueError, match="no such leaf"):
        merkle.inclusion_proof(5, 5, FULL.read)
    with pytest.raises(ValueError, match="out of order"):
        merkle.consistency_proof(6, 5, FULL.read)
    with pytest.raises(ValueError, match="out of range"):
        merkle.append(-1, [], FULL.read)
    with pytest.raises(ValueError, match="32 bytes"):
        merkle.append(0, [b"short"], FULL.read)
