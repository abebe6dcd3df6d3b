"""Tokens, tags and locks: the RFC's known answers, ours, and another implementation."""

import json
from pathlib import Path
from typing import NoReturn

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st
from voprf.ristretto import BlindedInput, Client, Evaluator

from accord.canonical import lp
from accord.directory import SUBJECT_EPOCH
from accord.linkage import (
    MAX_BATCH,
    SIZES,
    BadElement,
    BadProof,
    Blinding,
    FamilyKey,
    blind,
    finalise,
    lock,
    padded_size,
    subject_tag,
    tag,
)
from tests.contract import oprf_rbcl as other

VECTORS = json.loads((Path(__file__).parents[2] / "protos/vectors/linkage.json").read_text())
RFC = VECTORS["rfc9497_a_1_2"]
OURS = VECTORS["accord"]
KEY = FamilyKey(bytes.fromhex(OURS["broker_seed"]), OURS["epoch"], OURS["family"])


def raw(text: str) -> bytes:
    """Bytes of a hexadecimal vector."""
    return bytes.fromhex(text)


@pytest.mark.parametrize("case", RFC["single"], ids=["one byte", "17 bytes"])
def test_both_implementations_give_the_answers_of_the_rfc(case: dict[str, str]) -> None:
    """RFC 9497 appendix A.1.2: the library we ship and the one in these tests."""
    shipped = Evaluator.from_seed(raw(RFC["seed"]), raw(RFC["key_info"]))
    secret, public = other.derive(raw(RFC["seed"]), raw(RFC["key_info"]), other.VOPRF)
    blinded = other.blind(raw(case["input"]), raw(case["blind"]), other.VOPRF)
    evaluated = other.evaluate(secret, blinded)

    assert (RFC["secret"], RFC["public"]) == (secret.hex(), public.hex())
    assert RFC["public"] == shipped.public_key.serialize().hex()
    assert (case["blinded"], case["evaluated"]) == (blinded.hex(), evaluated.hex())
    assert case["evaluated"] == shipped.evaluate(BlindedInput.deserialize(blinded)).serialize()[64:].hex()
    assert case["proof"] == other.prove(secret, public, [blinded], [evaluated], raw(case["proof_scalar"])).hex()
    assert other.verify(public, [blinded], [evaluated], raw(case["proof"]))
    assert case["output"] == other.finalise(raw(case["input"]), raw(case["blind"]), evaluated).hex()
    assert case["output"] == shipped.evaluate_known_input(raw(case["input"])).hex()


def test_the_batch_of_the_rfc_is_proved_in_one() -> None:
    """RFC 9497 appendix A.1.2.3: one proof over two elements."""
    batch = RFC["batch"]
    secret, public = other.derive(raw(RFC["seed"]), raw(RFC["key_info"]), other.VOPRF)
    blinded = [
        other.blind(raw(one), raw(scalar), other.VOPRF)
        for one, scalar in zip(batch["inputs"], batch["blinds"], strict=True)
    ]
    evaluated = [other.evaluate(secret, one) for one in blinded]
    proof = other.prove(secret, public, blinded, evaluated, raw(batch["proof_scalar"]))

    assert batch["blinded"] == [one.hex() for one in blinded]
    assert batch["evaluated"] == [one.hex() for one in evaluated]
    assert batch["proof"] == proof.hex()
    assert other.verify(public, blinded, evaluated, proof)


def test_the_cascade_gives_the_known_token_tag_and_lock() -> None:
    """Our own vector, from match key to lock, also through blinding."""
    steward = FamilyKey(raw(OURS["steward_seed"]), OURS["epoch"], OURS["family"])
    token = raw(OURS["input"])
    for server in (KEY, steward):
        blinding, sent = blind([token], 4)
        [token] = finalise(blinding, *server.evaluate(sent), server.public)

    assert (OURS["broker_public"], OURS["steward_public"]) == (KEY.public.hex(), steward.public.hex())
    assert OURS["broker_token"] == KEY.direct(raw(OURS["input"])).hex()
    assert OURS["token"] == token.hex()
    assert OURS["tag"] == tag(token, OURS["node"]).hex()
    assert OURS["lock"] == lock(token, OURS["query_id"], OURS["node"], OURS["slot"]).hex()


def test_the_subject_tag_is_the_known_one() -> None:
    """Our own vector for the pseudonym of an unknown person."""
    key = FamilyKey(raw(OURS["steward_seed"]), OURS["subject_epoch"], OURS["subject_family"])
    token = key.direct(raw(OURS["subject_input"]))

    assert SUBJECT_EPOCH == OURS["subject_epoch"]
    assert OURS["subject_public"] == key.public.hex()
    assert OURS["subject_token"] == token.hex()
    assert OURS["subject_tag"] == subject_tag(token, OURS["federation"]).hex()


def test_the_key_is_derived_as_the_other_implementation_derives_it() -> None:
    """DeriveKeyPair over lp(epoch) lp(family)."""
    _, public = other.derive(raw(OURS["broker_seed"]), lp(OURS["epoch"].encode(), OURS["family"].encode()), other.VOPRF)

    assert public == KEY.public


@settings(max_examples=25, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=80), min_size=1, max_size=6))
def test_our_client_accepts_the_other_server(inputs: list[bytes]) -> None:
    """Two implementations, one protocol: ours asks."""
    secret, public = other.derive(bytes(32), b"interop", other.VOPRF)
    blinding, sent = blind(inputs, 8)
    evaluated = [other.evaluate(secret, one) for one in sent]
    proof = other.prove(secret, public, sent, evaluated, other.random_scalar())

    assert [other.direct(secret, one, other.VOPRF) for one in inputs] == finalise(blinding, evaluated, proof, public)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=80), min_size=1, max_size=6))
def test_the_other_client_accepts_our_server(inputs: list[bytes]) -> None:
    """Two implementations, one protocol: ours answers."""
    scalars = [other.random_scalar() for _ in inputs]
    sent = [other.blind(one, scalar, other.VOPRF) for one, scalar in zip(inputs, scalars, strict=True)]
    evaluated, proof = KEY.evaluate(sent)

    assert other.verify(KEY.public, sent, evaluated, proof)
    assert [KEY.direct(one) for one in inputs] == [
        other.finalise(*three) for three in zip(inputs, scalars, evaluated, strict=True)
    ]


def test_two_blinds_of_one_input_are_unrelated() -> None:
    """T-LNK-1: a key server cannot tell that somebody was asked about before."""
    same = b"the same person"
    sent = [blind([same])[1][0] for _ in range(200)]
    tokens = {KEY.direct(same)}

    assert 200 == len(set(sent))
    assert not tokens & set(sent)


def test_padding_cannot_be_told_from_keys_and_gives_no_tokens() -> None:
    """T-LNK-1: a server learns a size, not a count."""
    blinding, sent = blind([b"one", b"two"], 16)
    tokens = finalise(blinding, *KEY.evaluate(sent), KEY.public)

    assert 16 == len(set(sent))
    assert [KEY.direct(b"one"), KEY.direct(b"two")] == tokens


@pytest.mark.parametrize(
    "spoil",
    [
        lambda evaluated, proof: (evaluated[::-1], proof),
        lambda evaluated, proof: (evaluated[:-1], proof),
        lambda evaluated, proof: (evaluated, proof[:-1]),
        lambda evaluated, proof: (evaluated, bytes(64)),
        lambda evaluated, proof: (evaluated, b"\xff" * 64),
        lambda evaluated, proof: ([bytes(32), evaluated[1]], proof),
        lambda evaluated, proof: ([evaluated[0][:-1], evaluated[1]], proof),
        lambda evaluated, proof: (evaluated, proof[:40] + bytes([proof[40] ^ 1]) + proof[41:]),
    ],
    ids=["order", "one less", "proof short", "proof zero", "proof no scalar", "identity", "element short", "one bit"],
)
def test_a_server_that_cheats_is_found_out(spoil) -> None:
    """Another key for one asker, or any other change, must never yield a token."""
    blinding, sent = blind([b"one", b"two"])
    evaluated, proof = spoil(*KEY.evaluate(sent))
    with pytest.raises(BadProof):
        finalise(blinding, evaluated, proof, KEY.public)


def test_a_key_other_than_the_pinned_one_is_found_out() -> None:
    """A server that keeps a key for one asker could single it out."""
    blinding, sent = blind([b"one"])
    evaluated = FamilyKey(bytes(32), OURS["epoch"], OURS["family"]).evaluate(sent)
    with pytest.raises(BadProof):
        finalise(blinding, *evaluated, KEY.public)
    with pytest.raises(BadProof):
        finalise(blinding, *evaluated, b"\xff" * 32)


def test_a_cancelled_task_is_not_mistaken_for_a_bad_proof() -> None:
    """Only the library's own failure counts; anything else must pass through."""

    class Stopping(tuple[Client, ...]):
        __slots__ = ()

        def __iter__(self) -> NoReturn:
            raise KeyboardInterrupt

    blinding, sent = blind([b"one"])
    with pytest.raises(KeyboardInterrupt):
        finalise(Blinding(Stopping(blinding.clients), 1), *KEY.evaluate(sent), KEY.public)


@pytest.mark.parametrize(
    "blinded",
    [[], [bytes(32)], [b"\xff" * 32], [bytes(31)], [b""], [bytes(33)]],
    ids=["none", "identity", "no point", "short", "empty", "long"],
)
def test_only_group_elements_are_evaluated(blinded: list[bytes]) -> None:
    """What strangers send is checked before a secret key touches it."""
    with pytest.raises(BadElement):
        KEY.evaluate(blinded)


def test_too_many_elements_are_refused() -> None:
    """One call may not occupy a server."""
    _, [element] = blind([b"one"])
    with pytest.raises(BadElement):
        KEY.evaluate([element] * (MAX_BATCH + 1))


@given(st.integers(0, MAX_BATCH), st.sampled_from(SIZES))
def test_sizes_are_few(count: int, floor: int) -> None:
    """T-LNK-1: the sizes seen at a server are ten, never a count."""
    size = padded_size(count, floor)

    assert size in SIZES
    assert size >= max(count, floor)
    with pytest.raises(ValueError, match="at most"):
        padded_size(MAX_BATCH + 1)


@given(st.binary(min_size=64, max_size=64), st.text(max_size=20), st.text(max_size=20), st.integers(0, 255))
def test_the_lock_is_hkdf(token: bytes, query: str, node: str, slot: int) -> None:
    """RFC 5869, compared with the library's own."""
    salt = lp(query.encode(), node.encode()) + bytes([slot])
    expected = HKDF(SHA256(), 32, salt, b"accord lock v1").derive(token)

    assert expected == lock(token, query, node, slot)


def test_nodes_cannot_compare_tags_nor_questions_locks() -> None:
    """T-LNK-4: what one node sees is of no use at another, nor in another question."""
    token = bytes(64)

    assert tag(token, "police") != tag(token, "housing")
    assert 4 == len(
        {lock(token, "q1", "police", 0), lock(token, "q2", "police", 0), lock(token, "q1", "housing", 0)}
        | {lock(token, "q1", "police", 1)}
    )
    assert subject_tag(token, "midshire") != subject_tag(token, "northshire")


def test_nothing_prints_a_secret() -> None:
    """T-PRV-1: a stray log line shows neither seed, key nor blind."""
    blinding, _ = blind([b"the person"])

    assert b"the person".hex() not in repr(blinding)
    assert OURS["broker_seed"] not in repr(KEY)
