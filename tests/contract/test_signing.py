"""Signatures: RFC 8032's known answers, a second implementation, and labels that keep messages apart."""

import importlib
import pkgutil
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

import accord
from accord import signing
from accord.signing import BadSignature
from tests.contract import ed25519_reference as reference
from tests.contract import known_answers

RFC = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
        "4a7c15e9716ed28dc027beceea1ec40a",
    ),
)
SEED = bytes(range(32))
KEY = Ed25519PrivateKey.from_private_bytes(SEED)
PUBLIC = signing.public_bytes(KEY)
LABELS = (
    "accord statement v1",
    "accord answer v1",
    "accord agreement v1",
    "accord withdrawal v1",
)


def vectors() -> dict[str, Any]:
    """What stands in protos/vectors/signing.json."""
    messages = (b"", b"accord", bytes(100))
    return {
        "about": "Ed25519 (RFC 8032, pure) over lp(label) and the message, where lp puts four bytes of length, "
        "big-endian, first. key_id: the first 16 hexadecimal digits of the SHA-256 of the raw public key. refused: "
        "signatures over label and message that must not pass under `public`.",
        "rfc8032_7_1": [
            {"seed": seed, "public": public, "message": message, "signature": signature}
            for seed, public, message, signature in RFC
        ],
        "seed": SEED.hex(),
        "public": PUBLIC.hex(),
        "key_id": signing.key_id(PUBLIC),
        "signed": [
            {"label": label, "message": message.hex(), "signature": signing.sign(KEY, label, message).hex()}
            for label in LABELS
            for message in messages
        ],
        "refused": [{"why": why, **case} for why, case in refused().items()],
    }


def refused() -> dict[str, dict[str, str]]:
    """Signatures that look right."""
    label, message = LABELS[0], b"accord"
    right = signing.sign(KEY, label, message)
    made = {
        "another label": signing.sign(KEY, LABELS[1], message),
        "no label": KEY.sign(message),
        "label without its length": KEY.sign(label.encode() + message),
        "another message": signing.sign(KEY, label, b"accorD"),
        "another key": signing.sign(Ed25519PrivateKey.from_private_bytes(bytes(32)), label, message),
        "the group order added to the second half": reference.stretched(right),
        "one bit": right[:40] + bytes([right[40] ^ 1]) + right[41:],
        "cut off": right[:63],
        "too long": right + b"\0",
        "empty": b"",
        "zeros": bytes(64),
    }
    return {
        why: {"label": label, "message": message.hex(), "signature": signature.hex()} for why, signature in made.items()
    }


KNOWN = known_answers.read("signing")


def test_the_known_answers_are_current() -> None:
    """Whoever changes a form has to say so here."""
    assert KNOWN == vectors()


@pytest.mark.parametrize("case", KNOWN["rfc8032_7_1"], ids=["empty", "one byte", "two bytes"])
def test_both_implementations_give_the_answers_of_the_rfc(case: dict[str, str]) -> None:
    """RFC 8032 section 7.1: the library and the second implementation."""
    seed, public, message, signature = (
        bytes.fromhex(case[name]) for name in ("seed", "public", "message", "signature")
    )
    key = Ed25519PrivateKey.from_private_bytes(seed)

    assert (public, public) == (signing.public_bytes(key), reference.public(seed))
    assert (signature, signature) == (key.sign(message), reference.sign(seed, message))
    assert reference.verify(public, message, signature)


@pytest.mark.parametrize(
    "case", KNOWN["signed"], ids=lambda case: f"{case['label']}, {len(case['message']) // 2} bytes"
)
def test_a_signature_is_the_known_answer_and_holds(case: dict[str, str]) -> None:
    """Label and message are framed as the vector says, by hand."""
    label, message, signature = case["label"], bytes.fromhex(case["message"]), bytes.fromhex(case["signature"])
    framed = len(label).to_bytes(4, "big") + label.encode() + message

    signing.verify(PUBLIC, label, message, signature)

    assert reference.sign(SEED, framed) == signature


@pytest.mark.parametrize("case", KNOWN["refused"], ids=lambda case: case["why"])
def test_what_only_looks_like_a_signature_is_refused(case: dict[str, str]) -> None:
    """T-SEC-2: a signature for one kind of message is never good for another, and has no second spelling."""
    label, message, signature = case["label"], bytes.fromhex(case["message"]), bytes.fromhex(case["signature"])

    with pytest.raises(BadSignature):
        signing.verify(PUBLIC, label, message, signature)
    assert not reference.verify(PUBLIC, len(label).to_bytes(4, "big") + label.encode() + message, signature)


@given(st.text(max_size=20), st.binary(max_size=60), st.text(max_size=20), st.binary(max_size=60))
def test_a_signature_holds_for_its_own_label_and_message_only(a: str, m: bytes, b: str, n: bytes) -> None:
    """T-SEC-2: no byte can move between label and message."""
    signature = signing.sign(KEY, a, m)
    signing.verify(PUBLIC, a, m, signature)

    if (a, m) != (b, n):
        with pytest.raises(BadSignature):
            signing.verify(PUBLIC, b, n, signature)
    for cut in range(len(m) + 1):
        if cut:
            with pytest.raises(BadSignature):
                signing.verify(PUBLIC, a + m[:cut].decode("latin-1"), m[cut:], signature)


@settings(max_examples=60)
@given(st.binary(max_size=40), st.binary(max_size=70))
def test_any_key_and_signature_are_refused_in_one_way(public: bytes, signature: bytes) -> None:
    """T-SEC-3: a parser that meets strangers has one way to fail."""
    with pytest.raises(BadSignature):
        signing.verify(public, "accord answer v1", b"message", signature)


def test_labels_in_use_are_all_different() -> None:
    """T-SEC-2: each kind of message that is signed or hashed has a label of its own."""
    modules = [importlib.import_module(found.name) for found in pkgutil.iter_modules(accord.__path__, "accord.")]
    labels = {
        f"{module.__name__}.{name}": value.encode() if isinstance(value, str) else value
        for module in modules
        for name, value in vars(module).items()
        if name.endswith("LABEL")
    }

    assert len(labels) >= 8
    assert sorted(set(labels.values())) == sorted(labels.values())
