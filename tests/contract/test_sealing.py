"""Envelopes: known answers, another implementation, and who can open what."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.canonical import lp, sha256
from accord.linkage import lock, tag
from accord.sealing import (
    CONTENT_LIMIT,
    ENVELOPE_LIMIT,
    BadEnvelope,
    LockedSlot,
    Slot,
    SlotsDisagree,
    lay_out,
    open_envelope,
    open_slot,
    seal,
    seal_envelope,
    unseal,
)
from tests.contract import hpke_reference as reference

VECTORS = json.loads((Path(__file__).parents[2] / "protos/vectors/sealing.json").read_text())
RFC, OURS = VECTORS["rfc9180_a_2_1"], VECTORS["accord"]
NODE, QUERY, CORE = "police", "0198c0de-0000-7000-8000-000000000001", sha256(b"core")
PRIVATE = X25519PrivateKey.from_private_bytes(bytes.fromhex(OURS["node_private"]))
PUBLIC = bytes.fromhex(OURS["node_public"])
TOKENS = st.binary(min_size=64, max_size=64)


def raw(text: str) -> bytes:
    """Bytes of a hexadecimal vector."""
    return bytes.fromhex(text)


def stream(seed: bytes) -> Callable[[int], bytes]:
    """Bytes drawn one after the other from SHAKE128(seed)."""
    drawn = iter(hashlib.shake_128(seed).digest(400_000))
    return lambda size: bytes(next(drawn) for _ in range(size))


def token(name: str) -> bytes:
    """A token of 64 bytes."""
    return hashlib.sha512(name.encode()).digest()


def sealed(*slots: Slot, query: str = QUERY) -> bytes:
    """An envelope for the police."""
    return seal_envelope(slots, node_id=NODE, query_id=query, core_digest=CORE, public=PUBLIC)


def opened(payload: bytes, *tokens: bytes, node: str = NODE, query: str = QUERY) -> list[bytes]:
    """Contents of all slots that a node with these tokens can read."""
    index = {tag(one, node): [one] for one in tokens}
    contents = (
        open_slot(slot, index, node_id=node, query_id=query, core_digest=CORE)
        for slot in open_envelope(payload, private=PRIVATE, core_digest=CORE)
    )
    return sorted(content for content in contents if content is not None)


def test_the_second_implementation_gives_the_answer_of_the_rfc() -> None:
    """RFC 9180 appendix A.2.1, with the RFC's ephemeral key and additional data."""
    written = reference.seal(
        raw(RFC["public"]), raw(RFC["info"]), raw(RFC["plaintext"]), raw(RFC["aad"]), raw(RFC["ephemeral_private"])
    )
    without_aad = reference.seal(
        raw(RFC["public"]), raw(RFC["info"]), raw(RFC["plaintext"]), b"", raw(RFC["ephemeral_private"])
    )

    assert RFC["enc"] + RFC["ciphertext"] == written.hex()
    assert RFC["without_aad"] == without_aad.hex()
    assert RFC["plaintext"] == reference.unseal(raw(RFC["private"]), raw(RFC["info"]), written, raw(RFC["aad"])).hex()


def test_ours_opens_what_the_keys_of_the_rfc_sealed() -> None:
    """RFC 9180 appendix A.2.1 with empty additional data, as we use it."""
    private = X25519PrivateKey.from_private_bytes(raw(RFC["private"]))

    assert RFC["plaintext"] == unseal(private, raw(RFC["info"]), raw(RFC["without_aad"])).hex()


@given(st.binary(max_size=300), st.binary(max_size=64))
def test_both_implementations_open_each_others(plaintext: bytes, info: bytes) -> None:
    """Two implementations, one format."""
    private = raw(OURS["node_private"])
    theirs = reference.seal(PUBLIC, info, plaintext, b"", raw(OURS["ephemeral_private"]))

    assert plaintext == reference.unseal(private, info, seal(PUBLIC, info, plaintext), b"")
    assert plaintext == unseal(PRIVATE, info, theirs)


def test_the_layout_is_the_known_one() -> None:
    """Our own vector: random bytes from a seed, then every byte is fixed."""
    inner = lay_out(
        [Slot([raw(one) for one in slot["tokens"]], raw(slot["content"])) for slot in OURS["slots"]],
        node_id=OURS["node"],
        query_id=OURS["query_id"],
        core_digest=raw(OURS["core_digest"]),
        wraps=OURS["wraps"],
        random=stream(raw(OURS["random_seed"])),
    )
    payload = reference.seal(PUBLIC, CORE, inner, b"", raw(OURS["ephemeral_private"]))
    slot = open_envelope(payload, private=PRIVATE, core_digest=CORE)[OURS["place_of_first"]]

    assert (OURS["laid_out_bytes"], OURS["laid_out_sha256"]) == (len(inner), sha256(inner).hex())
    assert OURS["sealed_sha256"] == sha256(payload).hex()
    assert (raw(OURS["tag_of_first"]), raw(OURS["wrap_of_first"])) in slot.wraps
    assert OURS["ciphertext_of_first_sha256"] == sha256(slot.ciphertext).hex()
    assert [raw(OURS["slots"][0]["content"])] == opened(payload, raw(OURS["slots"][0]["tokens"][0]))
    assert [] == opened(payload, raw(OURS["slots"][0]["tokens"][1]))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.lists(TOKENS, max_size=64), st.binary(max_size=CONTENT_LIMIT)), min_size=1, max_size=4),
)
def test_envelopes_have_one_size_whatever_the_people(people: list[tuple[list[bytes], bytes]]) -> None:
    """T-LNK-2: neither names, keys nor how many people up to four show in the size."""
    size = len(sealed(Slot([token("a")], b"x")))

    assert size == len(sealed(*(Slot(tokens, content) for tokens, content in people)))


def test_there_are_three_sizes() -> None:
    """T-LNK-2: one for up to four people, one for up to eight, one for up to twelve."""
    sizes = [len(sealed(*(Slot([token(f"{i}")], b"") for i in range(count)))) for count in range(1, 13)]

    assert [4, 4, 4] == [sizes.count(size) for size in sorted(set(sizes))]
    assert ENVELOPE_LIMIT == max(sizes)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(TOKENS, min_size=1, max_size=5), min_size=1, max_size=5), st.lists(TOKENS, max_size=50))
def test_a_node_without_a_matching_token_opens_nothing(people: list[list[bytes]], held: list[bytes]) -> None:
    """T-LNK-4: with every token but the right ones, all stays shut; with a right one exactly its person opens."""
    payload = sealed(*(Slot(tokens, bytes([i])) for i, tokens in enumerate(people)))
    asked = [one for tokens in people for one in set(tokens)]
    others = [one for one in held if one not in asked]

    assert [] == opened(payload, *others)
    for i, tokens in enumerate(people):
        expected = [bytes([i])] if asked.count(tokens[0]) == 1 else []
        assert expected == opened(payload, *others, tokens[0])


def test_a_token_of_two_people_opens_neither() -> None:
    """T-LNK-4: twins at one postcode are told apart by what differs, or not at all."""
    shared = token("dob and postcode")
    payload = sealed(Slot([shared, token("jamie")], b"jamie"), Slot([shared, token("jordan")], b"jordan"))

    assert [] == opened(payload, shared)
    assert [b"jamie"] == opened(payload, shared, token("jamie"))


def test_a_slot_opens_only_at_its_node_and_for_its_question() -> None:
    """T-LNK-4: an envelope kept or passed on is of no use elsewhere."""
    payload = sealed(Slot([token("jamie")], b"jamie"))

    assert [b"jamie"] == opened(payload, token("jamie"))
    assert [] == opened(payload, token("jamie"), node="housing")
    assert [] == opened(payload, token("jamie"), query="0198c0de-0000-7000-8000-000000000002")


def test_an_envelope_opens_only_with_its_key_and_core() -> None:
    """The broker can neither read it nor put it under another statement."""
    payload = sealed(Slot([token("jamie")], b"jamie"))
    with pytest.raises(BadEnvelope):
        open_envelope(payload, private=X25519PrivateKey.generate(), core_digest=CORE)
    with pytest.raises(BadEnvelope):
        open_envelope(payload, private=PRIVATE, core_digest=sha256(b"another core"))


def test_places_do_not_tell_how_many_people_there_are() -> None:
    """T-LNK-2: the only person of a question is found at every place in turn."""
    places = set()
    for _ in range(100):
        payload = sealed(Slot([token("jamie")], b"jamie"))
        index = {tag(token("jamie"), NODE): [token("jamie")]}
        slots = open_envelope(payload, private=PRIVATE, core_digest=CORE)
        places |= {
            slot.number
            for slot in slots
            if open_slot(slot, index, node_id=NODE, query_id=QUERY, core_digest=CORE) is not None
        }

    assert {0, 1, 2, 3} == places


def hand_made(*keys: bytes, opens: bytes, padded: bytes) -> LockedSlot:
    """A slot 0 that only a dishonest asker would make: one wrap for each key."""
    binding = (CORE, NODE.encode(), b"\0")
    ciphertext = ChaCha20Poly1305(opens).encrypt(bytes(12), padded, lp(b"accord slot v1", *binding))
    wraps = []
    for i, key in enumerate(keys):
        one = token(f"{i}")
        name = tag(one, NODE)
        aad = lp(b"accord wrap v1", *binding, name)
        wrap = ChaCha20Poly1305(lock(one, QUERY, NODE, 0)).encrypt(sha256(ciphertext)[:12], key, aad)
        wraps.append((name, wrap))
    return LockedSlot(0, tuple(wraps), ciphertext)


GOOD = (5).to_bytes(2, "big") + b"jamie" + bytes(4096 - 7)


@pytest.mark.parametrize(
    "slot",
    [
        hand_made(bytes(32), b"\1" * 32, opens=bytes(32), padded=GOOD),
        hand_made(b"\1" * 32, opens=bytes(32), padded=GOOD),
        hand_made(bytes(32), opens=bytes(32), padded=b"\xff" * 4096),
        hand_made(bytes(32), opens=bytes(32), padded=GOOD[:-1] + b"\1"),
    ],
    ids=["two keys", "wrong key", "length", "padding"],
)
def test_a_slot_that_contradicts_itself_is_refused(slot: LockedSlot) -> None:
    """T-LNK-3: an asker may not show one node two people in one slot."""
    index = {tag(token(f"{i}"), NODE): [token(f"{i}")] for i in range(2)}
    with pytest.raises(SlotsDisagree):
        open_slot(slot, index, node_id=NODE, query_id=QUERY, core_digest=CORE)


def test_an_honest_slot_made_by_hand_opens() -> None:
    """The slots above are refused for what they are, not for how they were made."""
    slot = hand_made(bytes(32), bytes(32), opens=bytes(32), padded=GOOD)
    index = {tag(token(f"{i}"), NODE): [token("wrong"), token(f"{i}")] for i in range(2)}

    assert b"jamie" == open_slot(slot, index, node_id=NODE, query_id=QUERY, core_digest=CORE)


@given(st.binary(max_size=200) | st.builds(bytes, st.integers(0, 200)))
def test_sealed_bytes_that_are_no_envelope_are_refused(inner: bytes) -> None:
    """Whatever another agency sealed, nothing but BadEnvelope may come of it."""
    for payload in (inner, seal(PUBLIC, CORE, inner)):
        with pytest.raises(BadEnvelope):
            open_envelope(payload, private=PRIVATE, core_digest=CORE)


@pytest.mark.parametrize("head", [b"\2\4\x40", b"\1\5\x40", b"\1\4\x21", b"\1\4\x20", b"\1\x08\x40"])
def test_an_envelope_laid_out_otherwise_is_refused(head: bytes) -> None:
    """Form, number of slots and of wraps are of the agreed few, and the length fits them."""
    inner = lay_out([Slot([], b"")], node_id=NODE, query_id=QUERY, core_digest=CORE, wraps=64, random=stream(b""))

    assert b"\1\4\x40" == inner[:3]
    with pytest.raises(BadEnvelope):
        open_envelope(seal(PUBLIC, CORE, head + inner[3:]), private=PRIVATE, core_digest=CORE)
    with pytest.raises(BadEnvelope):
        open_envelope(seal(PUBLIC, CORE, bytes(ENVELOPE_LIMIT)), private=PRIVATE, core_digest=CORE)


@pytest.mark.parametrize(
    "slots",
    [
        [],
        [Slot([], b"")] * 13,
        [Slot([], bytes(CONTENT_LIMIT + 1))],
        [Slot([token(f"{i}") for i in range(65)], b"")],
    ],
    ids=["nobody", "thirteen", "long", "too many tokens"],
)
def test_what_has_no_room_is_not_sealed(slots: list[Slot]) -> None:
    """Better no envelope than one whose size tells something."""
    with pytest.raises(ValueError, match=r"envelope|slot"):
        sealed(*slots)


def test_nothing_prints_a_content() -> None:
    """T-PRV-1: a stray log line shows nobody's name."""
    assert "jamie" not in repr(Slot([token("jamie")], b"jamie"))
