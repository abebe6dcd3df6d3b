"""Policy bundles: one good one is read, and everything that was done to it afterwards is refused."""

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from hypothesis import given
from hypothesis import strategies as st

from accord import bundle
from accord.bundle import BadBundle, open_bundle
from accord.canonical import encode, sha256, unb64

VECTORS = json.loads((Path(__file__).parents[2] / "protos/vectors/bundle.json").read_text())
PUBLIC = load_der_public_key(unb64(VECTORS["public_key_der"]))
assert isinstance(PUBLIC, ec.EllipticCurvePublicKey)
KEYS = {VECTORS["kid"]: PUBLIC}
GOOD = unb64(VECTORS["bundle"])

OWN = ec.generate_private_key(ec.SECP256R1())
OWN_KEYS = {"own": OWN.public_key()}
FILES = {"accord/query/decision.rego": b"package accord.query\n", "accord/data/data.json": b"{}"}

Files = dict[str, bytes]


def _signed(files: Files, names: Files | None = None, kid: str = "own", **header: str) -> Files:
    """Files with a signature over `names`, by default over themselves."""
    listed = files if names is None else names
    rows = [{"algorithm": "SHA-256", "hash": sha256(listed[path]).hex(), "name": path} for path in sorted(listed)]
    token = jwt.api_jws.encode(encode({"files": rows}), OWN, "ES256", {"kid": kid, "typ": "JWT", **header})
    return {**files, ".signatures.json": encode({"signatures": [token]})}


def _whole(files: Files = FILES) -> Files:
    return {**files, ".manifest": bundle.manifest_bytes(bundle.revision(files))}


def _packed(files: Files, kind: bytes = tarfile.REGTYPE) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(content) if kind == tarfile.REGTYPE else 0
            member.type = kind if not path.startswith(".") else tarfile.REGTYPE
            if member.type == tarfile.REGTYPE:
                member.size = len(content)
            member.linkname = "/etc/passwd" if member.type != tarfile.REGTYPE else ""
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), mtime=0)


def test_the_vector_is_read() -> None:
    """Another implementation's bundle, byte for byte."""
    found = open_bundle(GOOD, KEYS)

    assert VECTORS["revision"] == found.revision
    assert VECTORS["files"] == {path: content.decode() for path, content in found.files.items()}
    assert VECTORS["kid"] == found.kid


def test_a_bundle_signed_here_is_read() -> None:
    """The refusals below begin from a bundle that is otherwise good."""
    found = open_bundle(_packed(_signed(_whole())), OWN_KEYS)

    assert found.files == FILES


def test_the_revision_is_the_content() -> None:
    """Two bundles with one revision hold the same; a name cannot be moved into a content."""
    revisions = {
        bundle.revision(files) for files in ({"a": b"bc"}, {"ab": b"c"}, {"a": b"b", "c": b""}, {"a": b"", "b": b"c"})
    }

    assert len(revisions) == 4


@pytest.mark.parametrize("cut", [1, 9, 100, len(GOOD) // 2, len(GOOD) - 1])
def test_a_bundle_cut_short_is_refused(cut: int) -> None:
    """T-SEC-3: a download that broke off is no policy."""
    with pytest.raises(BadBundle):
        open_bundle(GOOD[:cut], KEYS)


def test_what_follows_the_archive_is_refused() -> None:
    """T-SEC-3: a second archive behind the first would not be covered by the signature."""
    with pytest.raises(BadBundle):
        open_bundle(GOOD + GOOD, KEYS)


REFUSED: dict[str, Callable[[], tuple[bytes, dict[str, ec.EllipticCurvePublicKey]]]] = {
    "not signed": lambda: (_packed(_whole()), OWN_KEYS),
    "signed again by another key": lambda: (
        _packed(_signed(_whole())),
        {"own": ec.generate_private_key(ec.SECP256R1()).public_key()},
    ),
    "a key nobody knows": lambda: (_packed(_signed(_whole(), kid="stranger")), OWN_KEYS),
    "a key of another curve": lambda: (
        _packed(_signed(_whole())),
        {"own": ec.generate_private_key(ec.SECP384R1()).public_key()},
    ),
    "a file added": lambda: (_packed({**_signed(_whole()), "accord/more.rego": b"package accord"}), OWN_KEYS),
    "a file left out": lambda: (
        _packed({p: c for p, c in _signed(_whole()).items() if not p.endswith(".rego")}),
        OWN_KEYS,
    ),
    "a file changed": lambda: (_packed({**_signed(_whole()), "accord/data/data.json": b"[]"}), OWN_KEYS),
    "no manifest": lambda: (_packed(_signed(FILES)), OWN_KEYS),
    "a manifest of other content": lambda: (
        _packed(_signed({**FILES, ".manifest": bundle.manifest_bytes("0" * 64)})),
        OWN_KEYS,
    ),
    "a manifest with other roots": lambda: (
        _packed(_signed({**FILES, ".manifest": encode({"revision": bundle.revision(FILES), "roots": [""]})})),
        OWN_KEYS,
    ),
    "a path upwards": lambda: (_packed(_signed(_whole({**FILES, "../evil.rego": b""}))), OWN_KEYS),
    "a path upwards inside": lambda: (_packed(_signed(_whole({**FILES, "accord/../../x.rego": b""}))), OWN_KEYS),
    "a path from the root": lambda: (_packed(_signed(_whole({**FILES, "/etc/x.rego": b""}))), OWN_KEYS),
    "a hidden file": lambda: (_packed(_signed(_whole({**FILES, "accord/.x.rego": b""}))), OWN_KEYS),
    "a link": lambda: (_packed(_signed(_whole()), tarfile.SYMTYPE), OWN_KEYS),
    "a directory": lambda: (_packed(_signed(_whole()), tarfile.DIRTYPE), OWN_KEYS),
    "a signature without a type": lambda: (_packed(_signed(_whole(), typ="")), OWN_KEYS),
    "more in the header": lambda: (_packed(_signed(_whole(), jku="https://elsewhere.example")), OWN_KEYS),
    "larger than is read": lambda: (bytes(bundle.MAX_BYTES + 1), OWN_KEYS),
    "unpacks to more than is read": lambda: (gzip.compress(bytes(bundle.MAX_UNPACKED_BYTES + 1)), OWN_KEYS),
    "not an archive": lambda: (b"policy", OWN_KEYS),
    "gzip, but no archive": lambda: (gzip.compress(b"policy" * 200), OWN_KEYS),
    "empty": lambda: (b"", OWN_KEYS),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_bundle_that_was_tampered_with_is_refused(what: str) -> None:
    """T-SEC-3: nothing reaches an engine but what a known key signed, whole and unchanged."""
    data, keys = REFUSED[what]()

    with pytest.raises(BadBundle):
        open_bundle(data, keys)


def test_the_unsigned_algorithm_is_refused() -> None:
    """T-SEC-2: a token that says it needs no signature is none (RFC 8725 section 3.1)."""
    files = _whole()
    rows = [{"algorithm": "SHA-256", "hash": sha256(files[path]).hex(), "name": path} for path in sorted(files)]
    token = jwt.api_jws.encode(encode({"files": rows}), None, "none", {"kid": "own", "typ": "JWT"})
    data = _packed({**files, ".signatures.json": encode({"signatures": [token]})})

    with pytest.raises(BadBundle):
        open_bundle(data, OWN_KEYS)


def test_a_file_that_stands_twice_is_refused() -> None:
    """T-SEC-3: of two files of one name, one reader takes the first and another the last."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for path, content in [*_signed(_whole()).items(), ("accord/data/data.json", b"{}")]:
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))

    with pytest.raises(BadBundle):
        open_bundle(gzip.compress(raw.getvalue()), OWN_KEYS)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_one_changed_byte_is_refused_or_changes_nothing(place: int, by: int) -> None:
    """T-SEC-3: whatever byte changes, either nothing is read or the very files that were signed."""
    changed = GOOD[:place] + bytes([GOOD[place] ^ by]) + GOOD[place + 1 :]
    try:
        found = open_bundle(changed, KEYS)
    except BadBundle:
        return

    assert found.files == open_bundle(GOOD, KEYS).files


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_and_never_crash(data: bytes) -> None:
    """T-SEC-3: whatever arrives, the only failure is BadBundle."""
    with pytest.raises(BadBundle):
        open_bundle(data, KEYS)


@given(st.binary(max_size=2000))
def test_any_archive_content_is_refused_and_never_crashes(raw: bytes) -> None:
    """T-SEC-3: the same for what lies inside the compression."""
    with pytest.raises(BadBundle):
        open_bundle(gzip.compress(raw), KEYS)
