"""Keys and other files on disk: for this user only, written whole or not at all, read strictly.

A private key is made on the machine that uses it, is never overwritten and never leaves. Private keys are PKCS 8 PEM
(RFC 5958), seeds and secrets 32 raw bytes, a pinned public key one line of URL-safe base64.
"""

import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from accord import canonical
from accord.reasons import Problem

KEY_BYTES: Final = 32
MAX_FILE_BYTES: Final = 1 << 20
"""Longest key, certificate or directory file read."""


class FileExists(Problem):
    """A file is already there and is not overwritten."""

    reason: ClassVar[str] = "FILE_EXISTS"


class BadFile(Problem):
    """A key file or another file of the home is missing, open to everybody, or not what it should be."""

    reason: ClassVar[str] = "BAD_SETTINGS"


def write_new(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files that must not be there yet, each readable by this user only (mode 0600).

    Args:
        folder: Made with mode 0700 when it is not there.
        files: File name -> content.

    Raises:
        FileExists: One of them is there; then none is written.
        BadFile: The folder cannot be written.
    """
    for name in files:
        if (folder / name).exists() or (folder / name).is_symlink():
            raise FileExists(f"{folder / name} is already there; choose an empty folder, or move the old one away")
    try:
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        for name, content in files.items():
            fresh = _written(folder, name, content)
            try:
                # Unlike a rename, a link fails when somebody else made the file in the meantime.
                os.link(fresh, folder / name)
            finally:
                fresh.unlink()
        _sync(folder)
    except FileExistsError as error:
        raise FileExists(f"{error.filename2 or error.filename} appeared meanwhile; nothing was overwritten") from error
    except OSError as error:
        raise BadFile(f"cannot write in {folder}: {error.strerror}; check who owns it and the space left") from error


def replace(folder: Path, name: str, content: bytes) -> None:
    """Write a public file anew in one step, so that a reader sees the old or the new one, never half.

    Raises:
        BadFile: The folder cannot be written.
    """
    try:
        _written(folder, name, content).replace(folder / name)
        _sync(folder)
    except OSError as error:
        raise BadFile(f"cannot write {folder / name}: {error.strerror}; check who owns it") from error


def read(path: Path) -> bytes:
    """The content of a file.

    Raises:
        BadFile: Missing, unreadable or too long.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise BadFile(f"cannot read {path}: {error.strerror}; check the path and who owns the file") from error
    if len(content) > MAX_FILE_BYTES:
        raise BadFile(f"{path} is too long")
    return content


def read_private(path: Path) -> bytes:
    """The content of a file that only this user, or a service's own group, may read.

    Raises:
        BadFile: As `read`, or everybody on this machine may read or write it.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise BadFile(f"cannot read {path}: {error.strerror}; check the path and who owns the file") from error
    if mode & stat.S_IRWXO:
        raise BadFile(f"everybody on this machine may use {path}; close it with: chmod 600 {path}")
    return read(path)


def read_ed25519(path: Path) -> Ed25519PrivateKey:
    """An Ed25519 private key.

    Raises:
        BadFile: As `read_private`, or another kind of key.
    """
    key = _private_key(path)
    if not isinstance(key, Ed25519PrivateKey):
        raise BadFile(f"{path} is not an Ed25519 private key")
    return key


def read_p256(path: Path) -> EllipticCurvePrivateKey:
    """A private key on the curve P-256.

    Raises:
        BadFile: As `read_private`, or another kind of key.
    """
    key = _private_key(path)
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise BadFile(f"{path} is not a private key on the curve P-256")
    return key


def read_x25519(path: Path) -> X25519PrivateKey:
    """An X25519 private key.

    Raises:
        BadFile: As `read_private`, or another kind of key.
    """
    key = _private_key(path)
    if not isinstance(key, X25519PrivateKey):
        raise BadFile(f"{path} is not an X25519 private key")
    return key


def read_secret(path: Path) -> bytes:
    """A seed or secret of 32 raw bytes.

    Raises:
        BadFile: As `read_private`, or of another length.
    """
    secret = read_private(path)
    if len(secret) != KEY_BYTES:
        raise BadFile(f"{path} does not hold exactly {KEY_BYTES} bytes")
    return secret


def read_pinned(path: Path) -> bytes:
    """A pinned Ed25519 public key: 32 raw bytes, from one line of URL-safe base64.

    Raises:
        BadFile: As `read`, or not of that form.
    """
    try:
        public = canonical.unb64url(read(path).decode("ascii").rstrip("\n"))
    except (canonical.NotCanonical, UnicodeDecodeError) as error:
        raise BadFile(f"{path} is not a public key of the federation") from error
    if len(public) != KEY_BYTES:
        raise BadFile(f"{path} is not a public key of the federation")
    return public


def pinned(public: bytes) -> bytes:
    """What `read_pinned` reads."""
    return canonical.b64url(public).encode() + b"\n"


def pem(private: Ed25519PrivateKey | EllipticCurvePrivateKey | X25519PrivateKey) -> bytes:
    """A private key as it is kept: PKCS 8, PEM, not encrypted; the file's mode protects it."""
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _private_key(path: Path) -> object:
    content = read_private(path)
    try:
        return load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadFile(f"{path} is not a private key in PEM") from error


def _written(folder: Path, name: str, content: bytes) -> Path:
    # A name of its own for each writing: two threads of one process may write the same file at once.
    fresh = folder / f".{name}.{os.getpid()}.{secrets.token_hex(4)}.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return fresh


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
