"""Keys on disk: private, whole, never overwritten, and read strictly."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agency_node import keys

ED25519 = Ed25519PrivateKey.generate()
P256 = ec.generate_private_key(ec.SECP256R1())
X25519 = X25519PrivateKey.generate()


def private(folder: Path, content: bytes) -> Path:
    (folder / "file").write_bytes(content)
    (folder / "file").chmod(0o600)
    return folder / "file"


def test_each_kind_of_key_is_read_back(tmp_path: Path) -> None:
    """What was written is what is used."""
    keys.write_new(tmp_path, {"a": keys.pem(ED25519), "b": keys.pem(P256), "c": bytes(32), "d": keys.pinned(b"k" * 32)})
    keys.write_new(tmp_path, {"e": keys.pem(X25519)})

    assert ED25519.private_bytes_raw() == keys.read_ed25519(tmp_path / "a").private_bytes_raw()
    assert P256.private_numbers() == keys.read_p256(tmp_path / "b").private_numbers()
    assert X25519.private_bytes_raw() == keys.read_x25519(tmp_path / "e").private_bytes_raw()
    assert bytes(32) == keys.read_secret(tmp_path / "c")
    assert b"k" * 32 == keys.read_pinned(tmp_path / "d")


@pytest.mark.parametrize(
    ("read", "content"),
    [
        (keys.read_ed25519, keys.pem(P256)),
        (keys.read_p256, keys.pem(ED25519)),
        (keys.read_p256, keys.pem(ec.generate_private_key(ec.SECP384R1()))),
        (keys.read_ed25519, b"-----BEGIN PRIVATE KEY-----"),
        (keys.read_secret, bytes(31)),
        (keys.read_secret, bytes(33)),
        (keys.read_pinned, b"AAAA\n"),
        (keys.read_pinned, b"\xff"),
        (keys.read, bytes(keys.MAX_FILE_BYTES + 1)),
        (keys.read_x25519, keys.pem(ED25519)),
        (keys.read_ed25519, keys.pem(X25519)),
    ],
)
def test_another_kind_of_file_is_refused_by_name(
    tmp_path: Path, read: Callable[[Path], object], content: bytes
) -> None:
    """T-SEC-4: a key in the wrong place is met at the start, and the file is named."""
    with pytest.raises(keys.BadFile, match="file"):
        read(private(tmp_path, content))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The cure is in the message."""
    for read in (keys.read, keys.read_private, keys.read_secret):
        with pytest.raises(keys.BadFile, match=r"cannot read .*absent.*check the path"):
            read(tmp_path / "absent")


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o644])
def test_a_key_that_everybody_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    """A key that others on the machine can read is not a key."""
    path = private(tmp_path, bytes(32))
    path.chmod(mode)

    with pytest.raises(keys.BadFile, match="chmod 600"):
        keys.read_secret(path)


def test_a_services_own_group_may_read_its_keys(tmp_path: Path) -> None:
    """Container platforms hand secrets over with a group of the service's own."""
    path = private(tmp_path, bytes(32))
    path.chmod(0o440)

    assert bytes(32) == keys.read_secret(path)


def test_writing_is_all_or_nothing(tmp_path: Path) -> None:
    """One file that is there means that none is written, and nothing half-written stays."""
    (tmp_path / "b").write_text("older")

    with pytest.raises(keys.FileExists, match="b is already there"):
        keys.write_new(tmp_path, {"a": b"new", "b": b"new"})

    assert ["b"] == os.listdir(tmp_path)
    assert "older" == (tmp_path / "b").read_text()


def test_a_link_that_leads_nowhere_counts_as_there(tmp_path: Path) -> None:
    """Nobody can have a key written where they want by leaving a link."""
    (tmp_path / "a").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(keys.FileExists):
        keys.write_new(tmp_path, {"a": b"new"})

    assert not (tmp_path / "elsewhere").exists()


def test_a_public_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    """A reader sees the old file or the new one; nothing else is left in the folder."""
    keys.replace(tmp_path, "directory.json", b"old")
    keys.replace(tmp_path, "directory.json", b"new")

    assert b"new" == keys.read(tmp_path / "directory.json")
    assert ["directory.json"] == os.listdir(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The cure is in the message."""
    (tmp_path / "file").write_text("")

    with pytest.raises(keys.BadFile, match="cannot write"):
        keys.write_new(tmp_path / "file" / "home", {"a": b""})
    with pytest.raises(keys.BadFile, match="cannot write"):
        keys.replace(tmp_path / "absent", "a", b"")


def test_two_threads_may_write_one_file_at_once(tmp_path: Path) -> None:
    """A broker and its doctor in one process both note the directory's version; neither finds the other's half."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: keys.replace(tmp_path, "version", str(n).encode()), range(200)))

    assert [tmp_path / "version"] == list(tmp_path.iterdir())
