"""Answers: always 2,048 bytes, hand-assembled frames, and nothing in them that can be mistaken."""

import hashlib
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from accord import answer, canonical, sealing, signing
from accord.answer import (
    ANSWER_BYTES,
    CANNOT_SAY,
    CONTACTS_BYTES,
    LINKAGES,
    NO,
    RECENCIES,
    YES,
    AgencyAnswer,
    BadAnswer,
    Contact,
    SlotAnswer,
)
from tests.contract import ed25519_reference, known_answers
from tests.contract.mutation import bytes_mutant, value_mutant

SEED = bytes([3]) * 32
KEY = Ed25519PrivateKey.from_private_bytes(SEED)
PUBLIC = signing.public_bytes(KEY)
STATEMENT = hashlib.sha256(b"statement").digest()
JTI, QUERY = "0198c0de-0000-7000-8000-000000000002", "0198c0de-0000-7000-8000-000000000001"
POLICY = hashlib.sha256(b"policy").hexdigest()
SEALED = bytes(range(216)) * 2
REFS = tuple(f"s{number}" for number in range(1, 13))
ANSWERS: tuple[str, ...] = (YES, NO, CANNOT_SAY)
SLOTS = (SlotAnswer("s1", YES, "WITHIN_3M", "CONFIRMED"), *(SlotAnswer(ref, NO) for ref in REFS[1:4]))
ANSWER = AgencyAnswer(
    statement=STATEMENT,
    jti=JTI,
    query_id=QUERY,
    node="police",
    question="agency.contact",
    question_version=1,
    as_of_ns=1_795_310_625_678_000_000,
    policy=POLICY,
    slots=SLOTS,
    sealed_contacts=SEALED,
)
LONGEST = replace(
    ANSWER,
    statement=b"\xff" * 32,
    node="a" * 31,
    question="a." + "b" * 126,
    question_version=10_000,
    slots=tuple(SlotAnswer(ref, CANNOT_SAY, "WITHIN_12M", "CONFIRMED") for ref in REFS),
)
CONTACTS = (
    Contact("s1", "Neighbourhood team", "sergeant", "01632 960001", "PS Example"),
    Contact("s2", "Public protection", "duty officer", "01632 960002"),
    Contact("s4", "Neighbourhood team", "sergeant", "01632 960001", "PS Example"),
)


def opened(data: bytes, node: str = "police") -> AgencyAnswer:
    return answer.open_answer(data, node=node, answer_public=PUBLIC)


def framed(body: bytes, key: Ed25519PrivateKey = KEY, size: int | None = None, fill: bytes = b"\0") -> bytes:
    """An answer of any body, assembled by hand and really signed."""
    frame = (len(body) if size is None else size).to_bytes(2, "big") + body
    frame += (fill * 2048)[: 1984 - len(frame)]
    label = b"accord answer v1"
    return frame + key.sign(len(label).to_bytes(4, "big") + label + frame)


BODY_TEXT = (
    '{"as_of":"2026-11-22T01:23:45.678Z","contacts":"'
    + canonical.b64url(SEALED)
    + '","jti":"0198c0de-0000-7000-8000-000000000002","node":"police","policy":"'
    + POLICY
    + '","query_id":"0198c0de-0000-7000-8000-000000000001","question":"agency.contact","question_version":1,"slots":['
    '{"a":"YES","l":"CONFIRMED","r":"WITHIN_3M","ref":"s1"},{"a":"NO","l":"","r":"","ref":"s2"},'
    '{"a":"NO","l":"","r":"","ref":"s3"},{"a":"NO","l":"","r":"","ref":"s4"}],"statement":"'
    + canonical.b64url(STATEMENT)
    + '","v":1}'
)


def changed(**fields: Any) -> bytes:
    """The body with some fields replaced, really signed; a field given as ... is taken out."""
    value = {**json.loads(BODY_TEXT), **fields}
    return framed(canonical.encode({key: item for key, item in value.items() if item is not ...}))


def slot(**fields: Any) -> bytes:
    """The answer with one slot of these fields."""
    return changed(slots=[{"ref": "s1", "a": "NO", "r": "", "l": "", **fields}])


RIGHT = framed(BODY_TEXT.encode())
TWO_SLOTS = json.loads(BODY_TEXT)["slots"][:2]
REFUSED = {
    "cut off": RIGHT[:-1],
    "too long": RIGHT + b"\0",
    "empty": b"",
    "zeros": bytes(2048),
    "signed by another": framed(BODY_TEXT.encode(), Ed25519PrivateKey.from_private_bytes(bytes(32))),
    "signed under another label": RIGHT[:1984] + signing.sign(KEY, "accord statement v1", RIGHT[:1984]),
    "signed without a label": RIGHT[:1984] + KEY.sign(RIGHT[:1984]),
    "with the group order added": RIGHT[:1984] + ed25519_reference.stretched(RIGHT[1984:]),
    "padded with something else": framed(BODY_TEXT.encode(), fill=b" "),
    "with a length too short": framed(BODY_TEXT.encode(), size=len(BODY_TEXT) - 1),
    "with a length too long": framed(BODY_TEXT.encode(), size=len(BODY_TEXT) + 1),
    "with a length beyond the frame": framed(BODY_TEXT.encode(), size=65_535),
    "with no body": framed(b""),
    "not canonical": framed(BODY_TEXT.replace(":1,", ": 1,").encode()),
    "a list": framed(b"[]"),
    "of another version": changed(v=2),
    "with a field too many": changed(cause="withheld"),
    "without its slots": changed(slots=...),
    "naming another agency": changed(node="housing"),
    "with slots as an object": changed(slots={}),
    "with 13 slots": changed(slots=[{"ref": f"s{n}", "a": "NO", "r": "", "l": ""} for n in range(1, 14)]),
    "with a slot twice": changed(slots=[TWO_SLOTS[0], {**TWO_SLOTS[1], "ref": "s1"}]),
    "with a slot of no number": slot(ref="s0"),
    "with a slot of number 13": slot(ref="s13"),
    "with an unknown answer": slot(a="MAYBE"),
    "with an answer left open": slot(a=""),
    "with an answer in small letters": slot(a="yes"),
    "with two answers": slot(a="YES|NO"),
    "with true for an answer": slot(a=True),
    "with null for an answer": slot(a=None),
    "with an unknown recency": slot(r="LAST_WEEK"),
    "with an unknown linkage": slot(l="POSSIBLE"),
    "with a cause": slot(cause="ambiguous"),
    "with a line break in an answer": slot(a="NO\n"),
    "with a short statement": changed(statement="AAAA"),
    "with a padded statement": changed(statement=canonical.b64url(STATEMENT) + "="),
    "with a warrant of no number": changed(jti="x"),
    "with a version of 0": changed(question_version=0),
    "with a version that is true": changed(question_version=True),
    "with a question of one word": changed(question="contact"),
    "with a time of another form": changed(as_of="2026-11-22"),
    "with a policy of no digest": changed(policy="latest"),
    "with contacts not in base64": changed(contacts="?"),
}


def contacts_by_hand(text: str) -> bytes:
    """A contact block of this text."""
    data = text.encode()
    return len(data).to_bytes(2, "big") + data + bytes(382 - len(data))


CONTACTS_TEXT = (
    '{"routes":[["Neighbourhood team","sergeant","01632 960001","PS Example"],'
    '["Public protection","duty officer","01632 960002",""]],"slots":{"s1":0,"s2":1,"s4":0}}'
)
REFUSED_CONTACTS = {
    "cut off": contacts_by_hand(CONTACTS_TEXT)[:-1],
    "too long": contacts_by_hand(CONTACTS_TEXT) + b"\0",
    "empty": b"",
    "not padded with zeros": contacts_by_hand(CONTACTS_TEXT)[:-1] + b"x",
    "a list": contacts_by_hand("[]"),
    "without slots": contacts_by_hand('{"routes":[]}'),
    "a route that is not there": contacts_by_hand('{"routes":[],"slots":{"s1":0}}'),
    "a route before the first": contacts_by_hand('{"routes":[["a","b","c","d"]],"slots":{"s1":-1}}'),
    "a route as a truth value": contacts_by_hand('{"routes":[["a","b","c","d"]],"slots":{"s1":false}}'),
    "a slot of no number": contacts_by_hand('{"routes":[["a","b","c","d"]],"slots":{"s0":0}}'),
    "three fields": contacts_by_hand('{"routes":[["a","b","c"]],"slots":{"s1":0}}'),
    "five fields": contacts_by_hand('{"routes":[["a","b","c","d","e"]],"slots":{"s1":0}}'),
    "a number for a name": contacts_by_hand('{"routes":[["a","b",1,"d"]],"slots":{"s1":0}}'),
    "a control character": contacts_by_hand('{"routes":[["a\\n","b","c","d"]],"slots":{"s1":0}}'),
    "a field of 121 characters": contacts_by_hand('{"routes":[["' + "a" * 121 + '","b","c","d"]],"slots":{"s1":0}}'),
    "thirteen routes": contacts_by_hand('{"routes":[' + ",".join(['["a","b","c","d"]'] * 13) + '],"slots":{}}'),
    "slots as a list": contacts_by_hand('{"routes":[],"slots":[]}'),
}


def vectors() -> dict[str, Any]:
    """What stands in protos/vectors/answer.json."""
    return {
        "about": "An answer is two bytes of length, big-endian, the body (canonical JSON), zeros up to 1,984 bytes, "
        "and the Ed25519 signature over lp(label) and those 1,984 bytes, where lp puts four bytes of length, "
        "big-endian, first. refused: bodies that must not be accepted from `node`, however rightly framed and signed. "
        "A contact block is two bytes of length, canonical JSON and zeros up to contacts_bytes, sealed (HPKE) with "
        "contacts_info.",
        "label": answer.LABEL,
        "seed": SEED.hex(),
        "public": PUBLIC.hex(),
        "node": "police",
        "answers": [
            {"node": one.node, "body": body_of(answer.build(one, KEY)).decode(), "signature": tail(one)}
            for one in (ANSWER, LONGEST, replace(ANSWER, slots=tuple(SlotAnswer(ref, CANNOT_SAY) for ref in REFS)))
        ],
        "refused": {
            why: body_of(data).decode()
            for why, data in REFUSED.items()
            if len(data) == ANSWER_BYTES and data == framed(body_of(data))
        },
        "contacts_bytes": CONTACTS_BYTES,
        "contacts_info": answer.contacts_info(STATEMENT, "police").hex(),
        "contacts": CONTACTS_TEXT,
        "refused_contacts": {
            why: body_of(data).decode()
            for why, data in REFUSED_CONTACTS.items()
            if data and len(data) == CONTACTS_BYTES
        },
    }


def body_of(data: bytes) -> bytes:
    """The body of a frame, by the length it states."""
    return data[2 : 2 + int.from_bytes(data[:2], "big")]


def tail(one: AgencyAnswer) -> str:
    """The signature of an answer."""
    return answer.build(one, KEY)[-64:].hex()


KNOWN = known_answers.read("answer")


def test_the_known_answers_are_current() -> None:
    """Whoever changes a form has to say so here."""
    assert KNOWN == vectors()


def test_an_answer_has_the_bytes_that_were_assembled_by_hand() -> None:
    """T-LNK-2: body, padding and signature, with a second implementation of the signature."""
    frame = len(BODY_TEXT).to_bytes(2, "big") + BODY_TEXT.encode() + bytes(1982 - len(BODY_TEXT))
    signed = ed25519_reference.sign(SEED, b"\0\0\0\x10accord answer v1" + frame)

    assert (frame + signed, RIGHT) == (answer.build(ANSWER, KEY), frame + signed)


@pytest.mark.parametrize("case", KNOWN["answers"], ids=["yes and no", "longest", "cannot say"])
def test_a_known_answer_is_accepted(case: dict[str, str]) -> None:
    """Control for all that is refused below."""
    data = framed(case["body"].encode())
    read = opened(data, case["node"])

    assert case["signature"] == data[-64:].hex()
    assert data == answer.build(read, KEY)


def test_an_answer_is_read_as_it_was_given() -> None:
    """Every field, and the slot of one person."""
    assert ANSWER == opened(RIGHT)
    assert SLOTS[0] == opened(RIGHT).slot("s1")


def test_a_slot_that_was_left_out_cannot_say() -> None:
    """T-NET-1: what a node does not mention is never a no."""
    assert SlotAnswer("s12", CANNOT_SAY) == opened(RIGHT).slot("s12")
    assert CANNOT_SAY == opened(changed(slots=[])).slot("s1").answer


@pytest.mark.parametrize("word", ANSWERS)
def test_an_answer_has_no_truth_value(word: str) -> None:
    """T-NET-1: `if answer:` would make one of two things out of three."""
    one = SlotAnswer("s1", word)

    for use in (bool, lambda value: not value, lambda value: value and True, lambda value: 1 if value else 0):
        with pytest.raises(TypeError, match="no truth value"):
            use(one)


@pytest.mark.parametrize("why", REFUSED)
def test_a_wrong_answer_is_refused(why: str) -> None:
    """T-NET-1, T-SEC-3: an unknown word, an unset field or another's signature is no answer at all."""
    assert RIGHT != REFUSED[why]
    with pytest.raises(BadAnswer):
        opened(REFUSED[why])


def test_an_answer_is_of_one_agency() -> None:
    """T-SEC-4: the police's answer is not housing's, under either key."""
    housing = Ed25519PrivateKey.from_private_bytes(bytes([4]) * 32)

    with pytest.raises(BadAnswer, match="another agency"):
        opened(RIGHT, "housing")
    with pytest.raises(BadAnswer, match="not signed"):
        answer.open_answer(RIGHT, node="police", answer_public=signing.public_bytes(housing))


@pytest.mark.parametrize("count", [0, 1, 4, 8, 12])
def test_every_combination_has_the_same_size(count: int) -> None:
    """T-LNK-2: answer, recency and linkage in all combinations, with contacts or without, in 2,048 bytes."""
    sizes = set()
    for word, recency, linkage in itertools.product(ANSWERS, ("", *RECENCIES), ("", *LINKAGES)):
        slots = tuple(SlotAnswer(ref, word, recency, linkage) for ref in REFS[:count])
        data = answer.build(replace(ANSWER, slots=slots), KEY)
        sizes.add(len(data))
        assert slots == opened(data).slots

    assert {ANSWER_BYTES} == sizes


@given(st.lists(st.sampled_from(ANSWERS), min_size=12, max_size=12), st.randoms(use_true_random=False))
def test_any_mixture_has_the_same_size(words: list[str], random: Random) -> None:
    """T-LNK-2: whatever the twelve slots hold."""
    slots = tuple(
        SlotAnswer(ref, word, random.choice(("", *RECENCIES)), random.choice(("", *LINKAGES)))
        for ref, word in zip(REFS, words, strict=True)
    )

    assert ANSWER_BYTES == len(answer.build(replace(ANSWER, slots=slots), KEY))


def test_the_longest_answer_fits() -> None:
    """T-LNK-2: twelve slots and the longest word in every field that has a bound."""
    assert LONGEST == opened(answer.build(LONGEST, KEY), "a" * 31)
    assert ANSWER_BYTES == len(answer.build(LONGEST, KEY))


def test_what_does_not_fit_is_a_mistake_of_the_nodes() -> None:
    """T-LNK-2: it is never sent in a longer frame."""
    with pytest.raises(BadAnswer, match="fit"):
        answer.build(replace(LONGEST, sealed_contacts=bytes(700)), KEY)


@pytest.mark.parametrize("contacts", [(), CONTACTS[:1], CONTACTS], ids=["none", "one", "three"])
def test_contacts_are_read_as_they_were_given(contacts: tuple[Contact, ...]) -> None:
    """T-LNK-2: in a block of one size, with equal routes stored once."""
    block = answer.contacts_bytes(contacts)

    assert CONTACTS_BYTES == len(block)
    assert contacts == answer.parse_contacts(block)
    assert contacts_by_hand(CONTACTS_TEXT) == answer.contacts_bytes(CONTACTS)


def test_sealed_contacts_have_one_size_and_only_the_asker_reads_them() -> None:
    """T-LNK-2: the broker cannot tell from its length whether there is anybody to ring."""
    reply = X25519PrivateKey.from_private_bytes(bytes(range(32)))
    info = answer.contacts_info(STATEMENT, "police")
    sealed = [
        sealing.seal(reply.public_key().public_bytes_raw(), info, answer.contacts_bytes(one))
        for one in ((), CONTACTS[:1], CONTACTS)
    ]
    by_hand = b"\0\0\0\x12accord contacts v1\0\0\0\x20" + STATEMENT + b"\0\0\0\x06police"

    assert {len(SEALED)} == {len(one) for one in sealed}
    assert CONTACTS == answer.parse_contacts(sealing.unseal(reply, info, sealed[2]))
    assert by_hand == info


def test_contacts_that_do_not_fit_are_left_out_from_the_end() -> None:
    """T-LNK-2: twelve teams with long names never make an answer longer, and the first ones stay whole."""
    many = tuple(Contact(ref, f"Team {ref} " + "x" * 60, "duty officer", "01632 960001") for ref in REFS)
    block = answer.contacts_bytes(many)
    kept = answer.parse_contacts(block)

    assert CONTACTS_BYTES == len(block)
    assert 1 <= len(kept) < 12
    assert many[: len(kept)] == kept


def test_the_same_team_for_everybody_fits_for_twelve() -> None:
    """Equal routes are stored once."""
    many = tuple(Contact(ref, "Public protection " + "x" * 100, "duty officer", "01632 960002") for ref in REFS)

    assert set(many) == set(answer.parse_contacts(answer.contacts_bytes(many)))


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("Equipe sociale de\u0301ja\u0300", "Equipe sociale d\u00e9j\u00e0"),
        ("Team\r\none\tEast\x00", "TeamoneEast"),
        ("half \ud83c of a pair", "half  of a pair"),
        ("e\n\u0301", "\u00e9"),
        ("x" * 200, "x" * 120),
    ],
    ids=["decomposed", "control characters", "half a pair", "composed only when cleaned", "long"],
)
def test_a_contact_is_made_fit_to_print(stored: str, shown: str) -> None:
    """T-NET-1: a slip in the agency's list of teams keeps no answer from leaving, nor the asker from reading it."""
    block = answer.contacts_bytes([Contact("s1", stored, "duty officer", "01632 960001")])

    assert (Contact("s1", shown, "duty officer", "01632 960001"),) == answer.parse_contacts(block)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(REFS), st.text(), st.text(), st.text(), st.text()), max_size=14))
def test_any_contacts_make_a_block_of_one_size_that_can_be_read(rows: list[tuple[str, str, str, str, str]]) -> None:
    """T-LNK-2, T-SEC-3: whatever stands in the agency's records."""
    block = answer.contacts_bytes([Contact(*row) for row in rows])

    assert CONTACTS_BYTES == len(block)
    assert {contact.ref for contact in answer.parse_contacts(block)} <= {row[0] for row in rows}


@pytest.mark.parametrize("why", REFUSED_CONTACTS)
def test_a_wrong_contact_block_is_refused(why: str) -> None:
    """T-SEC-3: a hostile node cannot break the asker's screen."""
    with pytest.raises(BadAnswer):
        answer.parse_contacts(REFUSED_CONTACTS[why])


@settings(max_examples=120, deadline=None)
@given(st.randoms(use_true_random=False))
def test_any_body_under_a_right_signature_is_refused_or_has_exactly_these_bytes(random: Random) -> None:
    """T-SEC-3: what a hostile node signs is read to the last byte, or not at all."""
    data = framed(canonical.encode(value_mutant(random, json.loads(BODY_TEXT)))[:1982])
    try:
        read = opened(data)
    except BadAnswer:
        return

    assert data == answer.build(read, KEY)


@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=False), st.booleans())
def test_a_damaged_answer_is_refused(random: Random, same_size: bool) -> None:
    """T-NET-1: one bit is enough."""
    damaged = bytes_mutant(random, RIGHT)
    if same_size:
        damaged = (damaged + RIGHT)[:ANSWER_BYTES]
    if damaged == RIGHT:
        damaged = bytes([RIGHT[0] ^ 1]) + RIGHT[1:]

    with pytest.raises(BadAnswer):
        opened(damaged)


@pytest.mark.parametrize("read", [opened, answer.parse_contacts], ids=["answer", "contacts"])
@given(st.binary(max_size=500) | st.binary(min_size=CONTACTS_BYTES, max_size=CONTACTS_BYTES))
def test_any_bytes_are_refused_and_nothing_else_happens(read: Callable[[bytes], object], data: bytes) -> None:
    """T-SEC-3: a parser that meets strangers has one way to fail."""
    with pytest.raises(BadAnswer):
        read(data)
