"""Check a signed policy bundle, from bytes to files.

A bundle is what Open Policy Agent calls one
(https://www.openpolicyagent.org/docs/management-bundles): a gzipped tar archive
of rules and data with `.manifest` and `.signatures.json`. The signature is an
ES256 JSON web token over the SHA-256 of every file
(https://www.openpolicyagent.org/docs/management-bundles#signature-format). OPA
hashes `.manifest` and `data.json` by their meaning, as compact JSON with sorted
keys; here they are *stored* in that form, so the hash of the bytes is the same.

Stricter than OPA: one signature by a key that is named in advance, no file
unlisted and none missing, plain relative names, bounded sizes, and a revision
that is the hash of the content, so two bundles never share one.
"""

import io
import re
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey

from accord import canonical
from accord.canonical import NotCanonical, decode_object, lp, sha256
from accord.reasons import Problem

MANIFEST: Final = ".manifest"
SIGNATURES: Final = ".signatures.json"
ROOTS: Final = ["accord"]

MAX_BYTES: Final = 16 * 1024 * 1024
"""Largest bundle as sent, bytes."""

MAX_UNPACKED_BYTES: Final = 64 * 1024 * 1024
"""Largest bundle unpacked, bytes; a small archive cannot fill the memory."""

MAX_FILES: Final = 20_000

_NAME = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*/)*[A-Za-z0-9_][A-Za-z0-9_.-]*")
_KID: Final = r"[A-Za-z0-9_.-]{1,64}"
_REVISION_LABEL: Final = b"accord policy revision v1"


class BadBundle(Problem):
    """The bundle is damaged, or not signed by a key that this process trusts."""

    reason = "BAD_BUNDLE"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A policy bundle whose signature was checked.

    Attributes:
        revision: SHA-256 over the names and contents of all files, hexadecimal.
        files: Path -> content; without the manifest and the signature.
        kid: Identifier of the key that signed it.
    """

    revision: str
    files: Mapping[str, bytes]
    kid: str


def revision(files: Mapping[str, bytes]) -> str:
    """The revision of a set of files: the same files give the same 64 hexadecimal digits.

    Args:
        files: Path -> content; without the manifest and the signature.
    """
    return sha256(
        lp(_REVISION_LABEL), *(lp(path.encode(), files[path]) for path in sorted(files, key=str.encode))
    ).hex()


def manifest_bytes(revision_hex: str) -> bytes:
    """The manifest of a bundle with this revision."""
    return canonical.encode({"revision": revision_hex, "roots": ROOTS})


def open_bundle(data: bytes, public_keys: Mapping[str, EllipticCurvePublicKey]) -> Bundle:
    """Check a bundle and hand out its files.

    Args:
        data: The archive as received, at most MAX_BYTES.
        public_keys: Key identifier -> P-256 public key of those who may sign policy.

    Raises:
        BadBundle: Damaged, too large, signed by an unknown key or not at all, a file changed, added, left out or named
            in an unsafe way, or a manifest that does not fit the content.
    """
    # 1. Unpack into memory, within bounds; no name is ever used as a path here.
    files = _unpack(_gunzip(data))
    # 2. One signature, by a key that is known in advance.
    kid, listed = _verify(files.pop(SIGNATURES, None), public_keys)
    # 3. Exactly the files that were signed.
    if set(listed) != set(files):
        raise BadBundle("a file is missing or was added")
    for path, content in files.items():
        if sha256(content).hex() != listed[path]:
            raise BadBundle("a file was changed")
    # 4. The manifest names this content and no other.
    manifest = files.pop(MANIFEST, None)
    found = revision(files)
    if manifest != manifest_bytes(found):
        raise BadBundle("the manifest does not fit the content")
    return Bundle(found, files, kid)


def _gunzip(data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        raise BadBundle("larger than is read")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        raw = unpacker.decompress(data, MAX_UNPACKED_BYTES + 1)
    except zlib.error as error:
        raise BadBundle("not a gzip archive, or damaged") from error
    if len(raw) > MAX_UNPACKED_BYTES:
        raise BadBundle("unpacks to more than is read")
    if not unpacker.eof or unpacker.unused_data:
        raise BadBundle("cut short, or something follows the archive")
    return raw


def _unpack(raw: bytes) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as archive:
            for member in archive:
                name = member.name
                if not member.isreg() or member.issparse():
                    raise BadBundle("holds something that is not a plain file")
                if name not in {MANIFEST, SIGNATURES} and not _NAME.fullmatch(name):
                    raise BadBundle("holds a file with an unsafe name")
                if name in files or len(files) >= MAX_FILES:
                    raise BadBundle("holds a file twice, or too many files")
                content = archive.extractfile(member)
                if content is None:
                    raise BadBundle("holds a file without content")
                files[name] = content.read()
                if len(files[name]) != member.size:
                    raise BadBundle("cut short")
    except (tarfile.TarError, EOFError, ValueError, UnicodeError) as error:
        raise BadBundle("not a tar archive, or damaged") from error
    return files


def _verify(signatures: bytes | None, public_keys: Mapping[str, EllipticCurvePublicKey]) -> tuple[str, dict[str, str]]:
    if signatures is None:
        raise BadBundle("not signed")
    try:
        value = decode_object(signatures, MAX_UNPACKED_BYTES)
        canonical.closed(value, ["signatures"])
        (token,) = canonical.strings(value, "signatures", 1)
        header = jwt.get_unverified_header(token)
        if set(header) != {"alg", "kid", "typ"} or header["alg"] != "ES256" or header["typ"] != "JWT":
            raise BadBundle("the signature's header is not of the agreed form")
        kid = canonical.text(header, "kid", _KID)
        key = public_keys.get(kid)
        if key is None or not isinstance(key.curve, SECP256R1):
            raise BadBundle("signed by a key that is not trusted here")
        payload = decode_object(
            jwt.PyJWS(algorithms=["ES256"]).decode(token, key, algorithms=["ES256"]), MAX_UNPACKED_BYTES
        )
        canonical.closed(payload, ["files"])
        listed: dict[str, str] = {}
        for row in canonical.objects(payload, "files", MAX_FILES):
            canonical.closed(row, ["algorithm", "hash", "name"])
            canonical.text(row, "algorithm", "SHA-256")
            name = canonical.text(row, "name")
            if name in listed:
                raise BadBundle("the signature lists a file twice")
            listed[name] = canonical.text(row, "hash", "[0-9a-f]{64}")
    except (NotCanonical, ValueError, jwt.PyJWTError) as error:
        raise BadBundle("the signature does not hold") from error
    return kid, listed
