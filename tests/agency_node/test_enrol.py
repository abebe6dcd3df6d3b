"""Joining a federation: nothing that the federation key did not sign is put in place."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord import canonical, directory, signing
from accord.directory import BadDirectory, DirectoryOlder
from agency_node import enrol, keys
from agency_node.enrol import JoinRefused, init_agency, init_steward, install_directory, join
from broker import enrol as authority

NOW_NS = 1_795_312_800_000_000_000
DAY_NS = 86_400_000_000_000


def agency(home: Path, agency_id: str = "police", federation: str = "midshire") -> Path:
    return init_agency(
        home,
        federation=federation,
        agency=agency_id,
        title="Midshire Police",
        kind="police_force",
        characters=["s11_body", "competent_authority"],
    ).request


def enrolled(root: Path, request: Path, out: str = "out") -> Path:
    return authority.enrol(request, root / "authority", root / out, now_ns=NOW_NS).bundle


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A founded federation with its steward enrolled and an agency's request made."""
    authority.init(
        tmp_path / "broker", tmp_path / "authority", federation="midshire", hosts=["localhost"], now_ns=NOW_NS
    )
    enrolled(tmp_path, init_steward(tmp_path / "steward", federation="midshire", hosts=["localhost"]).request)
    agency(tmp_path / "police")
    return tmp_path


def test_a_request_carries_no_private_key(tmp_path: Path) -> None:
    """Private keys never leave the machine they were made on."""
    request = agency(tmp_path / "police").read_bytes()
    secrets = [path for path in (tmp_path / "police").iterdir() if path.suffix in {".key", ".secret"}]

    assert 6 == len(secrets)
    for path in secrets:
        content = path.read_bytes()
        body = b"".join(content.splitlines()[1:-1]) if content.startswith(b"-----") else content
        assert body not in request
        assert canonical.b64url(content).encode() not in request
        assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_keys_are_never_overwritten(root: Path) -> None:
    """Whoever runs the command twice keeps the keys the directory knows."""
    before = {path.name: path.read_bytes() for path in (root / "police").iterdir()}

    with pytest.raises(keys.FileExists, match="move the old one away"):
        agency(root / "police")

    assert before == {path.name: path.read_bytes() for path in (root / "police").iterdir()}


def test_half_a_home_is_not_filled_up(tmp_path: Path) -> None:
    """One key of an older home means none is written: keys of two homes must not mix."""
    (tmp_path / "police").mkdir()
    (tmp_path / "police" / "witness.key").write_text("older")

    with pytest.raises(keys.FileExists, match=r"witness\.key"):
        agency(tmp_path / "police")

    assert ["witness.key"] == [path.name for path in (tmp_path / "police").iterdir()]


@pytest.mark.parametrize(
    "change",
    [
        {"agency": "Police"},
        {"agency": ""},
        {"federation": "mid shire"},
        {"title": ""},
        {"title": "a\nb"},
        {"kind": "a b"},
    ],
    ids=str,
)
def test_a_bad_name_is_refused_before_anything_is_written(tmp_path: Path, change: dict[str, str]) -> None:
    """Whoever types the command wrongly reads what the right form is."""
    words: dict[str, Any] = {
        "federation": "midshire",
        "agency": "police",
        "title": "Police",
        "kind": "police_force",
        "characters": ["s11_body"],
    }

    with pytest.raises(JoinRefused, match="right form"):
        init_agency(tmp_path / "home", **{**words, **change})

    assert not (tmp_path / "home").exists()


def test_a_steward_needs_a_host(tmp_path: Path) -> None:
    """Nodes call it by name."""
    with pytest.raises(JoinRefused, match="--host"):
        init_steward(tmp_path / "s", federation="midshire", hosts=[])


def test_joining_puts_everything_in_place(root: Path) -> None:
    """After it, the home holds a certificate, the authority, the pinned key and the directory."""
    joined = join(root / "police", enrolled(root, root / "police" / "request.json"), now_ns=NOW_NS)
    home = root / "police"

    assert joined.first
    assert "police" == joined.member.agency
    assert signing.key_id(keys.read_pinned(home / "federation.pub")) == joined.federation_key_id
    assert 2 == directory.parse(keys.read(home / "directory.json"), keys.read_pinned(home / "federation.pub")).version
    assert (home / "ca.pem").read_bytes() == (root / "broker" / "ca.pem").read_bytes()
    assert NOW_NS < joined.certificate_ends_at_ns <= NOW_NS + DAY_NS


def test_the_steward_joins_and_finds_its_own_keys(root: Path) -> None:
    """T-LNK-5: tokens are compared only under the keys in the directory."""
    bundle = root / "out" / "steward.bundle.json"

    assert "steward" == join(root / "steward", bundle, now_ns=NOW_NS).member.role


def test_the_key_that_was_read_out_is_demanded(root: Path) -> None:
    """T-SEC-4: whoever swaps the whole bundle cannot swap what the operator said on the telephone."""
    bundle = enrolled(root, root / "police" / "request.json")
    true = signing.key_id(keys.read_pinned(root / "authority" / "federation.pub"))

    with pytest.raises(JoinRefused, match="not the one you were told"):
        join(root / "police", bundle, now_ns=NOW_NS, federation_key_id="0" * 16)

    assert not (root / "police" / "tls.crt").exists()
    spoken = f"{true[:4]} {true[4:8]} {true[8:12]} {true[12:]}".upper()
    assert true == join(root / "police", bundle, now_ns=NOW_NS, federation_key_id=spoken).federation_key_id


def test_a_bundle_of_another_federation_key_is_refused_once_one_is_pinned(root: Path) -> None:
    """T-SEC-4: trust on first use, and never again."""
    join(root / "police", enrolled(root, root / "police" / "request.json"), now_ns=NOW_NS)
    other = root / "other"
    authority.init(other / "broker", other / "authority", federation="midshire", hosts=["localhost"], now_ns=NOW_NS)
    steward = init_steward(other / "steward", federation="midshire", hosts=["localhost"]).request
    enrolled(other, steward)
    before = (root / "police" / "directory.json").read_bytes()

    with pytest.raises(JoinRefused, match="another federation key"):
        join(root / "police", enrolled(other, root / "police" / "request.json"), now_ns=NOW_NS)

    assert before == (root / "police" / "directory.json").read_bytes()


def test_any_changed_byte_of_a_bundle_is_refused(root: Path) -> None:
    """T-SEC-4: certificate, authority and directory come as they were signed, or not at all."""
    bundle = enrolled(root, root / "police" / "request.json")
    key_id = signing.key_id(keys.read_pinned(root / "authority" / "federation.pub"))
    data = bundle.read_bytes()
    changed = root / "changed.json"

    for position in range(0, len(data), 41):
        changed.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        with pytest.raises(JoinRefused):
            join(root / "police", changed, now_ns=NOW_NS, federation_key_id=key_id)

    assert not (root / "police" / "directory.json").exists()


def test_a_bundle_for_another_home_is_refused(root: Path) -> None:
    """A mix-up of two agencies' bundles is met at once, with what to send."""
    agency(root / "housing", "housing")
    bundle = enrolled(root, root / "housing" / "request.json")

    with pytest.raises(JoinRefused, match=r"send this home's request\.json"):
        join(root / "police", bundle, now_ns=NOW_NS)


def test_a_certificate_that_is_not_current_is_refused(root: Path) -> None:
    """T-OPS-2: a slow clock or an old bundle is named as such."""
    bundle = enrolled(root, root / "police" / "request.json")

    for now_ns in (NOW_NS + 2 * DAY_NS, NOW_NS - DAY_NS):
        with pytest.raises(JoinRefused, match="clock"):
            join(root / "police", bundle, now_ns=now_ns)


def test_an_older_directory_does_not_come_back_with_a_bundle(root: Path) -> None:
    """T-SEC-4: an old bundle must not bring a withdrawn agency's key back."""
    old = enrolled(root, root / "police" / "request.json", "old")
    agency(root / "housing", "housing")
    enrolled(root, root / "housing" / "request.json")
    join(root / "police", enrolled(root, root / "police" / "request.json", "new"), now_ns=NOW_NS)

    with pytest.raises(DirectoryOlder):
        join(root / "police", old, now_ns=NOW_NS)

    assert 3 == json.loads((root / "police" / "directory.json").read_bytes())["directory"]["version"]


def test_keys_exchanged_after_the_request_are_noticed(root: Path) -> None:
    """An agency whose answers nobody could verify is told so before it answers anything."""
    bundle = enrolled(root, root / "police" / "request.json")
    (root / "police" / "answer.key").write_bytes(keys.pem(Ed25519PrivateKey.generate()))

    with pytest.raises(JoinRefused, match="lists other keys"):
        join(root / "police", bundle, now_ns=NOW_NS)


def test_a_newer_directory_is_taken_and_an_older_or_forged_one_is_not(root: Path) -> None:
    """T-SEC-4: the broker relays the file, and can neither change it nor turn it back."""
    join(root / "police", enrolled(root, root / "police" / "request.json"), now_ns=NOW_NS)
    old = (root / "police" / "directory.json").read_bytes()
    agency(root / "housing", "housing")
    enrolled(root, root / "housing" / "request.json")
    new = (root / "out" / "directory.json").read_bytes()

    assert 3 == install_directory(root / "police", new).version
    with pytest.raises(DirectoryOlder):
        install_directory(root / "police", old)
    with pytest.raises(BadDirectory):
        install_directory(root / "police", new.replace(b'"version":3', b'"version":4'))

    assert new == (root / "police" / "directory.json").read_bytes()


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"bundle":{},"signature":""}', b'{"bundle":1,"signature":""}'], ids=repr
)
def test_a_file_that_is_no_bundle_is_refused_cleanly(root: Path, content: bytes) -> None:
    """T-SEC-3: whatever arrives by post is refused as a bundle, never by another error."""
    (root / "bundle.json").write_bytes(content)

    with pytest.raises(JoinRefused):
        join(root / "police", root / "bundle.json", now_ns=NOW_NS)


def test_the_two_sides_speak_of_the_same_labels() -> None:
    """Both sides sign and check the same words."""
    assert (authority.REQUEST_LABEL, authority.BUNDLE_LABEL) == (enrol.REQUEST_LABEL, enrol.BUNDLE_LABEL)
