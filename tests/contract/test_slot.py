"""What lies in a slot: bytes assembled by hand, what fits, and what is refused."""

import hashlib
import json
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from accord import agreement, canonical, checkpoint, identity, receipt, sealing, slot
from accord.agreement import Agreement
from accord.slot import MAX_BYTES, AgreementProof, BadSlot, Content, TooLong
from tests.contract import json_reference, known_answers
from tests.contract.mutation import bytes_mutant, value_mutant

JAMIE = identity.describe(
    first_name="Jamie",
    last_name="Thorley",
    middle_names="Alan",
    date_of_birth="2013-03-09",
    sex="m",
    address="Flat 3, 14 Larkspur Rise",
    postcode="MD4 7QT",
)
DESCRIPTION_TEXT = identity.to_bytes(JAMIE).decode()
BINDING = agreement.commit(bytes(range(32)), [bytes([number]) * 64 for number in range(8)])
PROOF = AgreementProof(
    agreement=b'{"v":1}',
    signature=bytes(range(64)),
    binding=BINDING,
    record=b'{"kind":"AGREEMENT_GIVEN"}',
    receipt="c2sp.org/tlog-proof@v1\nindex 7\n\nmidshire/ledger\n",
)
CONTENT = Content("s1", identity.to_bytes(JAMIE), "child", "10_15", (bytes(16), bytes([1]) * 16), PROOF)
WITHOUT = replace(CONTENT, agreement=None)


def quoted(text: str) -> str:
    """A JSON string, by the second implementation."""
    return json_reference.write(text).decode()


TEXT = (
    '{"age_band":"10_15","agreement":{"agreement":"{\\"v\\":1}","binding":{"commitments":['
    + ",".join(f'"{canonical.b64url(one)}"' for one in BINDING.commitments)
    + f'],"salt":"{canonical.b64url(BINDING.salt)}"}},'
    '"receipt":"c2sp.org/tlog-proof@v1\\nindex 7\\n\\nmidshire/ledger\\n",'
    '"record":"{\\"kind\\":\\"AGREEMENT_GIVEN\\"}",'
    f'"signature":"{canonical.b64url(bytes(range(64)))}"}},"description":{quoted(DESCRIPTION_TEXT)},"ref":"s1","role":"child",'
    '"subject_tags":["AAAAAAAAAAAAAAAAAAAAAA","AQEBAQEBAQEBAQEBAQEBAQ"],"v":1}'
)
VALUE = json.loads(TEXT)


def changed(**given_: Any) -> bytes:
    """The content with some fields replaced; a field given as ... is taken out."""
    return canonical.encode({key: item for key, item in {**VALUE, **given_}.items() if item is not ...})


def proof(**given_: Any) -> bytes:
    """The content with some fields of its agreement replaced."""
    value = {**VALUE["agreement"], **given_}
    return changed(agreement={key: item for key, item in value.items() if item is not ...})


REFUSED = {
    "nothing": b"",
    "a list": b"[]",
    "not canonical": TEXT.replace(":1}", ": 1}").encode(),
    "padded": TEXT.encode() + b"\0",
    "of another version": changed(v=2),
    "with a field too many": changed(name="Jamie"),
    "without its agreement": changed(agreement=...),
    "with an agreement as text": changed(agreement="x"),
    "with an agreement as a list": changed(agreement=[]),
    "with a number of another form": changed(ref="1"),
    "with number 13": changed(ref="s13"),
    "with an unknown role": changed(role="suspect"),
    "with an exact age": changed(age_band="13"),
    "with a description as an object": changed(description={}),
    "with a short tag": changed(subject_tags=["AAAA"]),
    "with a padded tag": changed(subject_tags=["AAAAAAAAAAAAAAAAAAAAAA=="]),
    "with four tags": changed(subject_tags=["AAAAAAAAAAAAAAAAAAAAAA"] * 4),
    "with tags as text": changed(subject_tags="AAAAAAAAAAAAAAAAAAAAAA"),
    "with a short signature": proof(signature="AAAA"),
    "with a padded signature": proof(signature=VALUE["agreement"]["signature"] + "=="),
    "without a signature": proof(signature=...),
    "with a record as an object": proof(record={}),
    "with a receipt as a list": proof(receipt=[]),
    "without a binding": proof(binding=None),
    "with a binding as a list": proof(binding=[]),
    "with a short salt": proof(binding={**VALUE["agreement"]["binding"], "salt": "AAAA"}),
    "with a short commitment": proof(binding={**VALUE["agreement"]["binding"], "commitments": ["AAAA"]}),
    "too long": changed(description="x" * 4_000),
}


def vectors() -> dict[str, Any]:
    """What stands in protos/vectors/slot.json."""
    return {
        "about": "What lies in a slot, canonical JSON of at most 4,094 bytes: `content` with an agreement, `without` "
        "without. refused: what must not be read.",
        "content": TEXT,
        "sha256": hashlib.sha256(TEXT.encode()).hexdigest(),
        "without": slot.content_bytes(WITHOUT).decode(),
        "refused": {why: data.decode() for why, data in REFUSED.items() if len(data) < MAX_BYTES},
    }


KNOWN = known_answers.read("slot")


def test_the_known_answers_are_current() -> None:
    """Whoever changes a form has to say so here."""
    assert KNOWN == vectors()


def test_a_slots_content_has_the_bytes_that_were_assembled_by_hand() -> None:
    """T-SEC-3: with an agreement and without; texts inside are quoted by a second implementation."""
    assert TEXT.encode() == slot.content_bytes(CONTENT)
    assert json_reference.write({**VALUE, "agreement": None}) == slot.content_bytes(WITHOUT)
    assert (CONTENT, WITHOUT) == (
        slot.parse_content(KNOWN["content"].encode()),
        slot.parse_content(KNOWN["without"].encode()),
    )


@pytest.mark.parametrize("why", REFUSED)
def test_a_slot_is_refused(why: str) -> None:
    """T-SEC-3: an asker that is hostile, but signed rightly, gets no further than the form allows."""
    with pytest.raises(BadSlot):
        slot.parse_content(REFUSED[why])


def test_what_is_too_long_for_a_slot_is_not_cut_off() -> None:
    """T-LNK-2: all slots have one size; the asker is told instead, in words of its own."""
    with pytest.raises(TooLong, match="fit") as caught:
        slot.content_bytes(replace(CONTENT, description=b"x" * 4_000))

    assert "TOO_LONG_FOR_SLOT" == caught.value.reason


def test_the_limit_is_that_of_the_envelope() -> None:
    """What is written here can be sealed."""
    assert sealing.CONTENT_LIMIT == MAX_BYTES


def full_receipt() -> tuple[bytes, str]:
    """A ledger record and its receipt in a tree of sixteen million records."""
    record = canonical.encode(
        {
            "v": 1,
            "kind": "AGREEMENT_GIVEN",
            "at": "2026-11-22T01:23:45.678Z",
            "agency": "a" * 31,
            "user": "0" * 64,
            "record_id": "0198c0de-0000-7000-8000-00000000000a",
            "agreement": "0" * 64,
            "key_id": "0" * 16,
            "state": agreement.RENEWED,
        }
    )
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    note = checkpoint.sign(checkpoint.Checkpoint("midshire/ledger", 2**24, bytes(32)), key)
    return record, receipt.make(2**24 - 1, bytes(16), [bytes(range(32))] * 24, note)


def agreed(parties: int) -> bytes:
    """An agreement with so many agencies on either side, all three questions and the longest names."""
    return agreement.agreement_bytes(
        Agreement(
            record_id="0198c0de-0000-7000-8000-00000000000a",
            kind="service_agreement",
            state=agreement.RENEWED,
            given_by="other_pr_holder",
            capture="paper",
            captured_by="childrens-social-care",
            captured_at_ns=0,
            valid_from_ns=0,
            valid_to_ns=10**18,
            questions=("agency.contact", "agency.open_now", "assessment.done"),
            purposes=("early_help",),
            requesters=tuple(f"agency-of-midshire-{n:02d}" for n in range(parties)),
            responders=tuple(f"agency-of-midshire-{n:02d}" for n in range(parties)),
            subject_tags=(bytes(16),) * 3,
            binding="0" * 64,
            notice="notice-2026-3",
            policy="0" * 64,
        )
    )


@pytest.mark.parametrize("parties", [1, 4, 10])
def test_an_agreement_of_a_whole_partnership_fits_into_a_slot(parties: int) -> None:
    """T-CON-4: with everything a node must check, in a large ledger, for ten agencies either way."""
    record, text = full_receipt()
    families = [family for family in identity.FAMILIES if agreement.committed(family)]
    binding = agreement.commit(bytes(32), [bytes([number]) * 64 for number in range(len(families))])
    data = slot.content_bytes(
        replace(CONTENT, agreement=AgreementProof(agreed(parties), bytes(64), binding, record, text))
    )

    assert len(data) <= MAX_BYTES
    assert text == slot.parse_content(data).agreement.receipt


@settings(max_examples=200, deadline=None)
@given(st.randoms(use_true_random=False), st.booleans())
def test_any_content_is_refused_or_has_exactly_these_bytes(random: Random, raw: bool) -> None:
    """T-SEC-3: what is read can be written again to the same bytes, so nothing was passed over."""
    data = bytes_mutant(random, TEXT.encode()) if raw else canonical.encode(value_mutant(random, VALUE))
    try:
        read = slot.parse_content(data)
    except BadSlot:
        return

    assert data == slot.content_bytes(read)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_and_nothing_else_happens(data: bytes) -> None:
    """T-SEC-3: a parser that meets strangers has one way to fail."""
    with pytest.raises(BadSlot):
        slot.parse_content(data)
