"""Our trees, heads and receipts, read by a verifier that we did not write.

The Go program in `auditverify/` uses golang.org/x/mod/sumdb, the library behind Go's checksum database, and none of
our code. It must accept everything we write and refuse whatever was changed.
"""

import itertools
import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord import checkpoint, merkle, receipt
from accord.canonical import b64, unb64
from accord.signing import public_bytes

pytestmark = pytest.mark.needs("go")

SOURCE = Path(__file__).parent / "auditverify"
ORIGIN, POLICE, TIME_S = "midshire/ledger", "midshire/police", 1_795_310_625
LEDGER = Ed25519PrivateKey.from_private_bytes(b"L" * 32)
WITNESS = Ed25519PrivateKey.from_private_bytes(b"W" * 32)
SALTS = [n.to_bytes(16, "big") for n in range(1_000)]
BODIES = [b'{"kind":"ASKED","n":%d,"v":1}' % n for n in range(1_000)]
ENTRIES = [merkle.entry(salt, body) for salt, body in zip(SALTS, BODIES, strict=True)]
LEAVES = [merkle.leaf_hash(entry) for entry in ENTRIES]


@pytest.fixture(scope="session")
def verifier(
    require_tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Sequence[Path]], dict[str, dict[str, object]]]:
    """The Go program, built once; gives its verdict on each directory."""
    program = tmp_path_factory.mktemp("go") / "auditverify"
    command = [require_tool("go"), "build", "-trimpath", "-o", str(program), "."]
    built = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, check=False, timeout=300)
    if built.returncode and "dial tcp" in built.stderr and os.environ.get("ACCORD_CI") != "1":
        pytest.skip("golang.org/x/mod is not here and cannot be fetched without a network")
    assert built.returncode == 0, built.stderr

    keys = ["-log", checkpoint.vkey(ORIGIN, public_bytes(LEDGER), checkpoint.ED25519), "-quorum", "1"]
    keys += ["-witness", checkpoint.vkey(POLICE, public_bytes(WITNESS), checkpoint.COSIGNATURE_V1)]

    def verify(folders: Sequence[Path]) -> dict[str, dict[str, object]]:
        command = [str(program), *keys, *map(str, folders)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        found = [json.loads(line) for line in ran.stdout.splitlines()]

        assert ran.stderr == ""
        assert ran.returncode == (0 if all(one["ok"] for one in found) else 1)
        return {Path(one["dir"]).name: one for one in found}

    return verify


def head(size: int, read: merkle.TileReader, private: Ed25519PrivateKey = LEDGER) -> str:
    """A signed head with the police's cosignature."""
    note = checkpoint.sign(checkpoint.Checkpoint(ORIGIN, size, merkle.tree_root(size, read)), private)
    return checkpoint.with_cosignatures(note, [checkpoint.cosign(note, POLICE, WITNESS, TIME_S)])


def place(index: int, width: int) -> str:
    """Name of a tile in its level's folder (C2SP tlog-tiles)."""
    groups = [f"{index % 1000:03d}"]
    while index := index // 1000:
        groups.insert(0, f"x{index % 1000:03d}")
    return "/".join(groups) + ("" if width == 256 else f".p/{width}")


def files(size: int, olds: Sequence[int], indexes: Sequence[int], cuts: Sequence[int] = ()) -> dict[str, bytes]:
    """An exported ledger: path -> content.

    Args:
        size: Entries in it.
        olds: Earlier sizes to prove growth from.
        indexes: Entries to give receipts for.
        cuts: Where its batches of appends ended.
    """
    tiles: dict[tuple[int, int], bytes] = {}

    def read(level: int, index: int) -> bytes:
        return tiles.get((level, index), b"")

    edges = [0, *cuts, size]
    for start, end in itertools.pairwise(edges):
        tiles |= merkle.append(start, LEAVES[start:end], read)
    memo: dict[tuple[int, int], bytes] = {}
    note = head(size, read)
    out = {"checkpoint": note.encode()}
    for (level, index), width in merkle.tile_widths(size).items():
        out[f"tile/{level}/{place(index, width)}"] = tiles[level, index]
        if level == 0:
            bundle = ENTRIES[index * 256 : index * 256 + width]
            out[f"tile/entries/{place(index, width)}"] = b"".join(len(e).to_bytes(2, "big") + e for e in bundle)
    for i in indexes:
        text = receipt.make(i, SALTS[i], merkle.inclusion_proof(i, size, read, memo), note)
        out[f"proofs/{i}.tlog-proof"] = text.encode()
        out[f"proofs/{i}.body"] = BODIES[i]
    for old in olds:
        proof = merkle.consistency_proof(old, size, read, memo)
        out[f"heads/{old}.checkpoint"] = head(old, read).encode()
        out[f"heads/{old}.add-checkpoint"] = "\n".join([f"old {old}", *map(b64, proof), "", note]).encode()
    return out


def write(folder: Path, content: dict[str, bytes]) -> Path:
    for name, data in content.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def refusals(verdicts: dict[str, dict[str, object]]) -> dict[str, object]:
    return {name: one["error"] for name, one in verdicts.items() if not one["ok"]}


def test_go_accepts_every_tree_of_up_to_seventy_entries_whole(verifier, tmp_path: Path) -> None:
    """T-AUD-7: every entry's receipt and the growth from every earlier size, for every size from 0."""
    folders = [write(tmp_path / str(n), files(n, range(n + 1), range(n), cuts=[n // 3])) for n in range(71)]

    verdicts = verifier(folders)

    assert refusals(verdicts) == {}
    for size in range(71):
        expected = (size, len(merkle.tile_widths(size)), size, size, size + 1, 1)
        found = verdicts[str(size)]
        assert expected == tuple(found[k] for k in ("size", "tiles", "entries", "proofs", "heads", "witnesses"))


@pytest.mark.parametrize("size", [255, 256, 257, 1_000])
def test_go_accepts_trees_around_a_full_tile(verifier, tmp_path: Path, size: int) -> None:
    """T-AUD-7: full and partial tiles, and a second level of tiles."""
    olds = sorted({0, 1, 2, 3, 127, 128, 129, 200, 254, 255, size // 2, size - 1, size} | set(range(256, size, 61)))
    indexes = range(size) if size < 300 else range(0, size, 3)
    folder = write(tmp_path / str(size), files(size, olds, indexes, cuts=[100, 101, 254]))

    found = verifier([folder])[str(size)]

    assert "" == found.get("error", "")
    expected = (size, len(merkle.tile_widths(size)), size, len(indexes), len(olds), 1)
    assert expected == tuple(found[k] for k in ("size", "tiles", "entries", "proofs", "heads", "witnesses"))


def swapped(content: dict[str, bytes], name: str, old: bytes, new: bytes) -> dict[str, bytes]:
    assert old in content[name], f"nothing to change in {name}"
    return content | {name: content[name].replace(old, new)}


def line(content: dict[str, bytes], name: str, number: int) -> bytes:
    return content[name].split(b"\n")[number] + b"\n"


def forged(size: int, changed: int) -> Callable[[int, int], bytes]:
    """Tiles of a ledger in which one entry was replaced, to be signed with the ledger's real key."""
    leaves = list(LEAVES[:size])
    leaves[changed] = merkle.leaf_hash(b"another entry")
    tiles = merkle.append(0, leaves, lambda _level, _index: b"")
    return lambda level, index: tiles.get((level, index), b"")


def edits() -> dict[str, dict[str, bytes]]:
    """Every kind of edit we can think of, by name."""
    good = files(300, [0, 7, 256], [5, 299])
    proof, body, grown = "proofs/5.tlog-proof", "proofs/5.body", "heads/7.add-checkpoint"
    half, stranger = "tile/0/001.p/44", Ed25519PrivateKey.from_private_bytes(b"S" * 32)
    rewritten = forged(300, 3)
    note = good["checkpoint"].decode()
    read = forged(300, 299)
    alone = checkpoint.sign(checkpoint.open_note(note, ORIGIN, public_bytes(LEDGER)), LEDGER)
    other = head(300, rewritten).encode()
    seven = merkle.consistency_proof(7, 300, rewritten)
    flipped = bytes([good[half][0] ^ 1]) + good[half][1:]
    without = {name: data for name, data in good.items() if name != half}
    return {
        "size": swapped(good, "checkpoint", b"300", b"299"),
        "origin": swapped(good, "checkpoint", b"midshire/ledger\n", b"midshire/ledgex\n"),
        "root, signed again": good | {"checkpoint": other},
        "another key": good | {"checkpoint": head(300, forged(300, 299), stranger).encode()},
        "no witness": good | {"checkpoint": alone.encode()},
        "witness's time": swapped(
            good, "checkpoint", *map(str.encode, (note.rsplit(" ", 1)[1], later(note.rsplit(" ", 1)[1])))
        ),
        "leaf hash": good | {half: flipped},
        "inner hash": good | {"tile/1/000.p/1": bytes(32)},
        "tile missing": without,
        "tile cut short": good | {half: good[half][:-32]},
        "tile too long": good | {half: good[half] + bytes(32)},
        "two leaves swapped": good | {half: good[half][32:64] + good[half][:32] + good[half][64:]},
        "entry": swapped(good, "tile/entries/001.p/44", ENTRIES[260], ENTRIES[261]),
        "record": good | {body: BODIES[6]},
        "salt": swapped(good, proof, line(good, proof, 1), b"extra " + b64(SALTS[6]).encode() + b"\n"),
        "index": swapped(good, proof, b"index 5", b"index 4"),
        "proof hash": swapped(good, proof, line(good, proof, 3), b64(bytes(32)).encode() + b"\n"),
        "proof hash missing": swapped(good, proof, line(good, proof, 3), b""),
        "proof hash twice": swapped(good, proof, line(good, proof, 3), line(good, proof, 3) * 2),
        "receipt under a stranger's head": swapped(good, proof, note.encode(), head(300, read, stranger).encode()),
        "receipt of a rewritten ledger": swapped(good, proof, note.encode(), other),
        "earlier head rewritten": good | {"heads/7.checkpoint": head(7, rewritten).encode()},
        "growth to a rewritten ledger": swapped(good, grown, note.encode(), other),
        "growth inside a rewritten ledger only": good
        | {grown: "\n".join(["old 7", *map(b64, seven), "", other.decode()]).encode()},
        "growth hash missing": swapped(good, grown, line(good, grown, 1), b""),
        "growth from another size": good | {grown: good["heads/256.add-checkpoint"]},
        "growth from nothing with a proof": swapped(
            good, "heads/0.add-checkpoint", b"old 0\n", b"old 0\n" + line(good, grown, 1)
        ),
    }


def later(encoded: str) -> str:
    """A cosignature whose time was moved by a second."""
    value = bytearray(unb64(encoded.strip()))
    value[11] ^= 1
    return b64(bytes(value)) + "\n"


def test_go_refuses_every_kind_of_edit(verifier, tmp_path: Path) -> None:
    """T-AUD-5: also where the editor holds the ledger's own key, while someone keeps a receipt or an earlier head."""
    cases = edits()
    good = write(tmp_path / "good", files(300, [0, 7, 256], [5, 299]))

    verdicts = verifier([good, *(write(tmp_path / name, content) for name, content in cases.items())])

    assert "" == verdicts["good"].get("error", "")
    assert [] == sorted(cases.keys() - refusals(verdicts).keys())


def test_go_refuses_any_flipped_bit(verifier, tmp_path: Path) -> None:
    """T-AUD-5: 300 random bits anywhere in an exported ledger: none is missed, unless the bytes decode alike."""
    chance = random.Random(20261122)
    good = files(3, [0, 1, 2, 3], [0, 1, 2])
    names = sorted(good)
    cases: dict[str, dict[str, bytes]] = {}
    while len(cases) < 300:
        name = chance.choice(names)
        changed = bytearray(good[name])
        bit = chance.randrange(len(changed) * 8)
        changed[bit // 8] ^= 1 << bit % 8
        if not only_stray_bits(good[name], bytes(changed)):
            cases[f"{len(cases)} {name.replace('/', '_')} bit {bit}"] = good | {name: bytes(changed)}

    folders = [write(tmp_path / name, content) for name, content in cases.items()]
    verdicts = verifier(folders)
    for folder in folders:
        shutil.rmtree(folder)

    assert [] == sorted(cases.keys() - refusals(verdicts).keys())


def only_stray_bits(before: bytes, after: bytes) -> bool:
    """Did only unused bits at the end of a note's signature change? Go's notes take them; ours do not."""
    lines = [(b, a) for b, a in zip(before.split(b"\n"), after.split(b"\n"), strict=False) if b != a]
    if len(lines) != 1 or not lines[0][0].startswith("\u2014 ".encode()):
        return False
    old, new = lines[0]
    return old[:-3] == new[:-3] and old.endswith(b"=") and old[-1:] == new[-1:] and old[-2:-1] != b"="
