"""Agreements: bytes assembled by hand, and a binding that fits one person and nobody else."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from accord import agreement, canonical, signing
from accord.agreement import Agreement, BadAgreement, Binding, Withdrawal, binds
from accord.canonical import NotCanonical
from accord.identity import FAMILIES, Description, describe, entries, match_keys
from deploy.demo import county
from deploy.demo.county import Held
from tests.contract import ed25519_reference, known_answers
from tests.contract.mutation import SEED, bytes_mutant, value_mutant

KEY_SEED = bytes([1]) * 32
KEY = Ed25519PrivateKey.from_private_bytes(KEY_SEED)
PUBLIC = signing.public_bytes(KEY)
FIXES = {family.id: family.fixes for family in FAMILIES}
COMMITTED = frozenset(family.id for family in FAMILIES if agreement.committed(family))
DAY_NS = 86_400_000_000_000
NOW_NS = 1_795_310_625_678_000_000
SALT = bytes(range(32))
Tokens = Sequence[tuple[str, bytes]]


def person(first: str, last: str, born: str, sex: str = "f", **changed: Any) -> Description:
    """Somebody at 14 Larkspur Rise."""
    given_ = {"middle_names": "", "address": "14 Larkspur Rise", "postcode": "MD4 7QT", **changed}
    return describe(first_name=first, last_name=last, date_of_birth=born, sex=sex, **given_)


JAMIE = person("Jamie", "Thorley", "2013-03-09", "m", middle_names="Alan")
HOUSEHOLD = {
    "the father's partner": person("Anne", "Calloway", "1988-05-21", middle_names="Marie"),
    "her daughter": person("Stacey", "Calloway", "2009-01-30", middle_names="Dawn"),
    "a father of the same name": person("Jamie", "Thorley", "1984-11-02", "m"),
    "a father of the same name, born on the same day of the year": person("Jamie", "Thorley", "1984-03-09", "m"),
    "a twin": person("Alex", "Thorley", "2013-03-09", "m", middle_names="Alan"),
    "a twin whose name begins alike": person("James", "Thorley", "2013-03-09", "m", middle_names="Alan"),
    "a twin called by the nickname's other form": person("Jim", "Thorley", "2013-03-09", "m", middle_names="Alan"),
    "a brother": person("Owen", "Thorley", "2011-03-09", "m"),
    "a stepbrother born with day and month turned": person("Jamie", "Thorley", "2013-09-03", "m", middle_names="Alan"),
    "a stepbrother born a year later": person("Jamie", "Thorley", "2014-03-09", "m", middle_names="Alan"),
    "a lodger of the same age": person("Priya", "Sandhu", "2013-03-09"),
    "a neighbour's child of the same first name": person(
        "Jamie", "Marsh", "2013-03-19", "m", address="16 Larkspur Rise"
    ),
}


def tokens(description: Description, epoch: str = "2026-1") -> list[tuple[str, bytes]]:
    """Tokens as the key servers would make them, by a hash in their place; for every entry of the index."""
    return [
        (key.family, hashlib.sha512(epoch.encode() + key.input).digest())
        for entry in entries(description)
        for key in match_keys(entry)
    ]


def bound(description: Description, salt: bytes = SALT, families: Iterable[str] = COMMITTED) -> Binding:
    """What capture makes of a person."""
    wanted = frozenset(families)
    found = [(key.family, hashlib.sha512(b"2026-1" + key.input).digest()) for key in match_keys(description)]
    return agreement.commit(salt, [token for family, token in found if family in wanted])


def reference_binds(binding: Binding, record: Tokens) -> bool:
    """The rule once more, slowly: which fields do the matching families spell out whole?"""
    fixed = []
    for family, token in record:
        if any(hashlib.sha256(binding.salt + token).digest() == one for one in binding.commitments):
            fixed += ["first"] * ("first.x" in family.split() or "names.swap" in family.split())
            fixed += ["dob"] * ("dob.x" in family.split())
    return "first" in fixed and "dob" in fixed


AGREEMENT = Agreement(
    record_id="0198c0de-0000-7000-8000-00000000000a",
    kind="service_agreement",
    state=agreement.GIVEN,
    given_by="parent",
    capture="paper",
    captured_by="social-care",
    captured_at_ns=NOW_NS,
    valid_from_ns=NOW_NS,
    valid_to_ns=NOW_NS + 90 * DAY_NS,
    questions=("agency.contact", "agency.open_now"),
    purposes=("early_help",),
    requesters=("social-care",),
    responders=("housing", "police"),
    subject_tags=(bytes(16), bytes([1]) * 16),
    binding=agreement.binding_digest(bound(JAMIE)),
    notice="notice-2026-3",
    policy="77" * 32,
)
TEXT = (
    '{"binding":"' + AGREEMENT.binding + '","capture":"paper","captured_at":"2026-11-22T01:23:45.678Z",'
    '"captured_by":"social-care","given_by":"parent","kind":"service_agreement","notice":"notice-2026-3",'
    '"policy":"' + "77" * 32 + '","purposes":["early_help"],"questions":["agency.contact","agency.open_now"],'
    '"record_id":"0198c0de-0000-7000-8000-00000000000a","requesters":["social-care"],'
    '"responders":["housing","police"],"state":"ConsentGiven",'
    '"subject_tags":["AAAAAAAAAAAAAAAAAAAAAA","AQEBAQEBAQEBAQEBAQEBAQ"],"v":1,'
    '"valid_from":"2026-11-22T01:23:45.678Z","valid_to":"2027-02-20T01:23:45.678Z"}'
)
WITHDRAWAL = Withdrawal(AGREEMENT.record_id, "housing", NOW_NS + DAY_NS, "self")
WITHDRAWAL_TEXT = (
    '{"record_id":"0198c0de-0000-7000-8000-00000000000a","taken_at":"2026-11-23T01:23:45.678Z","taken_by":"housing",'
    '"v":1,"withdrawn_by":"self"}'
)


def changed(text: str, **given_: Any) -> bytes:
    """Canonical JSON with some fields replaced; a field given as ... is taken out."""
    value = {**json.loads(text), **given_}
    return canonical.encode({key: item for key, item in value.items() if item is not ...})


REFUSED = {
    "not canonical": TEXT.replace(":1,", ": 1,").encode(),
    "a list": b"[]",
    "nothing": b"",
    "of another version": changed(TEXT, v=2),
    "with a name": changed(TEXT, name="Jamie Thorley"),
    "without its end": changed(TEXT, valid_to=...),
    "that ends as it begins": changed(TEXT, valid_to="2026-11-22T01:23:45.678Z"),
    "that ends before it begins": changed(TEXT, valid_to="2026-11-21T01:23:45.678Z"),
    "without an end": changed(TEXT, valid_to=None),
    "of an unknown kind": changed(TEXT, kind="consent"),
    "in the state withdrawn": changed(TEXT, state="ConsentWithdrawn"),
    "in the state expired": changed(TEXT, state="ConsentExpired"),
    "given by a neighbour": changed(TEXT, given_by="neighbour"),
    "captured by telepathy": changed(TEXT, capture="telepathy"),
    "captured by a person": changed(TEXT, captured_by="Anne Calloway"),
    "with questions as a word": changed(TEXT, questions="agency.contact"),
    "for every question": changed(TEXT, questions=["*"]),
    "for every agency": changed(TEXT, responders=["*"]),
    "with a purpose of two words": changed(TEXT, purposes=["early help"]),
    "with 51 agencies": changed(TEXT, requesters=[f"a{n}" for n in range(51)]),
    "without subject tags": changed(TEXT, subject_tags=[]),
    "with a short tag": changed(TEXT, subject_tags=["AAAA"]),
    "with four tags": changed(TEXT, subject_tags=["AAAAAAAAAAAAAAAAAAAAAA"] * 4),
    "with a padded tag": changed(TEXT, subject_tags=["AAAAAAAAAAAAAAAAAAAAAA=="]),
    "without a binding": changed(TEXT, binding=""),
    "with a binding in capitals": changed(TEXT, binding="AB" * 32),
    "with a number in capitals": changed(TEXT, record_id="0198C0DE-0000-7000-8000-00000000000A"),
    "too long": changed(TEXT, notice="n" * 9_000),
}
REFUSED_WITHDRAWALS = {
    "not canonical": WITHDRAWAL_TEXT.replace(":1,", ": 1,").encode(),
    "of another version": changed(WITHDRAWAL_TEXT, v=2),
    "with a reason": changed(WITHDRAWAL_TEXT, reason="changed my mind"),
    "by nobody": changed(WITHDRAWAL_TEXT, withdrawn_by=""),
    "by an agency": changed(WITHDRAWAL_TEXT, withdrawn_by="agency"),
    "without its time": changed(WITHDRAWAL_TEXT, taken_at=...),
    "of no number": changed(WITHDRAWAL_TEXT, record_id="1"),
    "an agreement": TEXT.encode(),
}


def vectors() -> dict[str, Any]:
    """What stands in protos/vectors/agreement.json."""
    binding = bound(JAMIE)
    return {
        "about": "An agreement and a withdrawal, canonical JSON, each signed (Ed25519) over lp(label) and the text, "
        "where lp puts four bytes of length, big-endian, before each part. A commitment is SHA-256 of salt and token; "
        "the tokens are of `person` in the families listed in `committed`, in this file SHA-512 of '2026-1' and the "
        "match key's input. binding_digest: SHA-256 of lp(binding_label, salt, each commitment in order). binds: of "
        "whom it binds a record. refused: what must not be read.",
        "seed": KEY_SEED.hex(),
        "public": PUBLIC.hex(),
        "label": agreement.LABEL,
        "agreement": TEXT,
        "signature": signing.sign(KEY, agreement.LABEL, TEXT.encode()).hex(),
        "withdrawal_label": agreement.WITHDRAWAL_LABEL,
        "withdrawal": WITHDRAWAL_TEXT,
        "withdrawal_signature": signing.sign(KEY, agreement.WITHDRAWAL_LABEL, WITHDRAWAL_TEXT.encode()).hex(),
        "committed": sorted(COMMITTED),
        "person": as_object(JAMIE),
        "binding_label": agreement.BINDING_LABEL.decode(),
        "salt": binding.salt.hex(),
        "commitments": [one.hex() for one in binding.commitments],
        "binding_digest": agreement.binding_digest(binding),
        "binds": [
            {"who": who, "person": as_object(other), "binds": binds(binding, tokens(other), FIXES)}
            for who, other in {"the same person": JAMIE, **HOUSEHOLD}.items()
        ],
        "refused": {why: data.decode() for why, data in REFUSED.items() if len(data) < 4_000},
        "refused_withdrawals": {why: data.decode() for why, data in REFUSED_WITHDRAWALS.items()},
    }


def as_object(one: Description) -> dict[str, Any]:
    """A normalised description as JSON, without empty fields."""
    found = {field.name: getattr(one, field.name) for field in fields(one)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items() if value}


KNOWN = known_answers.read("agreement")


def test_the_known_answers_are_current() -> None:
    """Whoever changes a form has to say so here."""
    assert KNOWN == vectors()


def test_agreement_and_withdrawal_have_the_bytes_that_were_assembled_by_hand() -> None:
    """T-CON-4: text, binding and signatures, with a second implementation of the signature."""
    signed = ed25519_reference.sign(KEY_SEED, b"\0\0\0\x13accord agreement v1" + TEXT.encode())
    taken_back = ed25519_reference.sign(KEY_SEED, b"\0\0\0\x14accord withdrawal v1" + WITHDRAWAL_TEXT.encode())
    by_hand = b"\0\0\0\x1baccord agreement binding v1" + b"".join(
        b"\0\0\0\x20" + part for part in (SALT, *bound(JAMIE).commitments)
    )

    assert TEXT.encode() == agreement.agreement_bytes(AGREEMENT)
    assert WITHDRAWAL_TEXT.encode() == agreement.withdrawal_bytes(WITHDRAWAL)
    assert (KNOWN["signature"], KNOWN["withdrawal_signature"]) == (signed.hex(), taken_back.hex())
    assert hashlib.sha256(by_hand).hexdigest() == AGREEMENT.binding
    assert (AGREEMENT, WITHDRAWAL) == (
        agreement.parse_agreement(TEXT.encode()),
        agreement.parse_withdrawal(WITHDRAWAL_TEXT.encode()),
    )


def test_the_order_of_a_scope_does_not_change_the_bytes() -> None:
    """One agreement has one digest, in whatever order its agencies were ticked."""
    turned = replace(AGREEMENT, questions=AGREEMENT.questions[::-1], responders=AGREEMENT.responders[::-1])

    assert TEXT.encode() == agreement.agreement_bytes(turned)


@pytest.mark.parametrize("why", REFUSED)
def test_an_agreement_is_refused(why: str) -> None:
    """T-SEC-3: nothing is read into an agreement that does not stand in it."""
    with pytest.raises(BadAgreement):
        agreement.parse_agreement(REFUSED[why])


@pytest.mark.parametrize("why", REFUSED_WITHDRAWALS)
def test_a_withdrawal_is_refused(why: str) -> None:
    """T-SEC-3: and none is asked for its reason."""
    with pytest.raises(BadAgreement):
        agreement.parse_withdrawal(REFUSED_WITHDRAWALS[why])


def test_an_agreement_and_a_withdrawal_cannot_be_taken_for_each_other() -> None:
    """T-SEC-2: their labels differ, so one signature is never good for both."""
    with pytest.raises(signing.BadSignature):
        signing.verify(PUBLIC, agreement.WITHDRAWAL_LABEL, TEXT.encode(), bytes.fromhex(KNOWN["signature"]))


USE = {
    "question": "agency.contact",
    "purpose": "early_help",
    "requester": "social-care",
    "responder": "police",
    "at_ns": NOW_NS,
}


@pytest.mark.parametrize(
    ("covered", "given_"),
    [
        (True, {}),
        (True, {"at_ns": NOW_NS + 90 * DAY_NS - 1}),
        (False, {"at_ns": NOW_NS + 90 * DAY_NS}),
        (False, {"at_ns": NOW_NS - 1}),
        (False, {"question": "assessment.done"}),
        (False, {"question": "agency.contac"}),
        (False, {"purpose": "s47_enquiry"}),
        (False, {"requester": "police"}),
        (False, {"responder": "social-care"}),
        (False, {"responder": ""}),
    ],
)
def test_an_agreement_covers_what_was_agreed_and_no_more(covered: bool, given_: dict[str, Any]) -> None:
    """T-CON-4: question, purpose, both agencies and dates, the last moment excluded."""
    assert covered is AGREEMENT.covers(**{**USE, **given_})


def test_it_binds_the_person_who_gave_it() -> None:
    """Control for all that must not bind; also when the record is poorer or older than the description."""
    binding = bound(JAMIE)

    assert binds(binding, tokens(JAMIE), FIXES)
    assert binds(binding, tokens(replace(JAMIE, postcode="", number="", street="")), FIXES)
    assert binds(binding, tokens(replace(JAMIE, sex="", nhs="", number="")), FIXES)
    assert binds(binding, tokens(replace(JAMIE, last="marsh", former_last=("thorley",))), FIXES)


@pytest.mark.parametrize("who", HOUSEHOLD)
def test_it_does_not_bind(who: str) -> None:
    """T-CON-4: not the twin, not the father of the same name, nobody else at that address, in either direction."""
    other = HOUSEHOLD[who]

    assert not binds(bound(JAMIE), tokens(other), FIXES)
    assert not binds(bound(other), tokens(JAMIE), FIXES)


@pytest.mark.parametrize("field", ["first", "dob"])
def test_a_binding_that_fixes_one_of_both_binds_nobody(field: str) -> None:
    """T-CON-4: the first name alone fits a namesake, the birth date alone a twin."""
    only = [family for family in COMMITTED if field in FIXES[family] and not {"first", "dob"} <= FIXES[family]]
    binding = bound(JAMIE, families=only)

    assert binding.commitments
    assert not binds(binding, tokens(JAMIE), FIXES)


def test_the_families_committed_to_fix_first_name_or_birth_date_exactly() -> None:
    """T-CON-4: no family with spelling variants, and both fields are fixed by more than one way."""
    chosen = [family for family in FAMILIES if family.id in COMMITTED]

    assert all({"first", "dob"} & family.fixes for family in chosen)
    assert all("del" not in family.id and "mask" not in family.id for family in chosen)
    assert 2 <= min(sum(field in family.fixes for family in chosen) for field in ("first", "dob"))


def test_it_binds_under_its_own_salt_and_keys_only() -> None:
    """T-CON-4, T-LNK-1: another salt or another epoch's tokens fit nothing, so agreements cannot be joined."""
    binding = bound(JAMIE)
    resalted = replace(binding, salt=bytes(32))

    assert not binds(resalted, tokens(JAMIE), FIXES)
    assert not binds(binding, tokens(JAMIE, epoch="2027-1"), FIXES)
    assert set() == set(binding.commitments) & set(bound(JAMIE, bytes(32)).commitments)
    assert not binds(Binding(SALT, ()), tokens(JAMIE), FIXES)
    assert not binds(binding, [], FIXES)


def test_a_token_of_an_unknown_family_fixes_nothing() -> None:
    """T-CON-4: even if its commitment matches."""
    found = [("first.x dob.x of another federation", token) for _, token in tokens(JAMIE)]

    assert not binds(bound(JAMIE), found, FIXES)


def test_the_tag_of_a_token_does_not_reveal_its_commitment() -> None:
    """T-LNK-1: without salt and token a commitment is a number like any other."""
    binding = bound(JAMIE)
    public = {hashlib.sha256(token).digest() for _, token in tokens(JAMIE)} | {token[:32] for _, token in tokens(JAMIE)}

    assert set() == public & set(binding.commitments)


@pytest.mark.parametrize("who", HOUSEHOLD)
def test_another_persons_binding_is_not_the_one_that_was_signed(who: str) -> None:
    """T-CON-4: commitments swapped between two agreements of one household are noticed before they are used."""
    agreement.check_binding(AGREEMENT, bound(JAMIE))

    with pytest.raises(BadAgreement):
        agreement.check_binding(AGREEMENT, bound(HOUSEHOLD[who]))


def test_a_binding_with_anything_changed_is_not_the_one_that_was_signed() -> None:
    """T-CON-4: neither salt nor a commitment can be exchanged, added, removed or moved."""
    binding = bound(JAMIE)
    for other in (
        replace(binding, salt=bytes(32)),
        replace(binding, commitments=binding.commitments[1:]),
        replace(binding, commitments=(*binding.commitments, bytes(32))),
        replace(binding, commitments=binding.commitments[::-1]),
        Binding(binding.salt + binding.commitments[0], binding.commitments[1:]),
        Binding(binding.salt, ()),
    ):
        with pytest.raises(BadAgreement):
            agreement.check_binding(AGREEMENT, other)


def test_there_must_be_something_to_commit_to() -> None:
    """T-CON-4: an agreement that binds nobody is not made, nor one without a real salt."""
    with pytest.raises(BadAgreement):
        agreement.commit(SALT, [])
    with pytest.raises(BadAgreement):
        agreement.commit(SALT[:31], [bytes(64)])


def test_a_binding_is_read_as_it_was_written() -> None:
    """As it lies in a slot."""
    binding = bound(JAMIE)

    assert binding == agreement.parse_binding(agreement.binding_object(binding))


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"salt": "AAAA", "commitments": []},
        {"salt": canonical.b64url(SALT)},
        {"salt": canonical.b64url(SALT), "commitments": ["AAAA"]},
        {"salt": canonical.b64url(SALT), "commitments": [canonical.b64url(SALT)] * 65},
        {"salt": canonical.b64url(SALT), "commitments": [None]},
        {"salt": canonical.b64url(SALT) + "=", "commitments": []},
        {"salt": canonical.b64url(SALT), "commitments": [], "name": "x"},
    ],
)
def test_what_is_not_a_binding_is_refused(value: dict[str, Any]) -> None:
    """T-SEC-3: sizes and count are bounded."""
    with pytest.raises(NotCanonical):
        agreement.parse_binding(value)


NAMES = st.sampled_from(["Jamie", "Jamie Lee", "James", "Jim", "Alex", "Anne", "Ann", "Anna", "Thorley"])
LASTS = st.sampled_from(["Thorley", "Thorly", "Calloway", "Thorley-Calloway", "Jamie", "Marsh"])
DATES = st.sampled_from(["2013-03-09", "2013-09-03", "2013-03-19", "2013-03-08", "2012-03-09", "1988-05-21", ""])
ADDRESSES = st.sampled_from(["14 Larkspur Rise", "Flat 3, 14 Larkspur Rise", "16 Larkspur Rise", ""])
PEOPLE = st.builds(
    person,
    NAMES,
    LASTS,
    DATES,
    st.sampled_from(["f", "m", ""]),
    middle_names=st.sampled_from(["", "Alan", "Marie"]),
    address=ADDRESSES,
    postcode=st.sampled_from(["MD4 7QT", "MD4 7QS", ""]),
)


def same_first_and_dob(one: Description, other: Description) -> bool:
    """Whether a record is of somebody with this first name and birth date; a clerk may have turned the two names."""
    firsts = (
        {(one.first, one.dob), (one.last, one.dob)} if (other.first, other.last) == (one.last, one.first) else set()
    )
    return (other.first, other.dob) in {(one.first, one.dob), *firsts}


@settings(max_examples=200, deadline=None)
@given(PEOPLE, PEOPLE)
def test_it_binds_nobody_of_another_first_name_or_birth_date(one: Description, other: Description) -> None:
    """T-CON-4: over pairs that differ by as little as records do, and as the second implementation says."""
    found = [token for family, token in tokens(one) if family in COMMITTED]
    if not found:
        return
    binding = agreement.commit(SALT, found)
    bound_to_other = binds(binding, tokens(other), FIXES)

    assert reference_binds(binding, tokens(other)) == bound_to_other
    if bound_to_other:
        assert same_first_and_dob(one, other)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["agreement", "withdrawal"]), st.randoms(use_true_random=False), st.booleans())
def test_any_bytes_are_refused_or_are_exactly_what_was_read(which: str, random: Random, raw: bool) -> None:
    """T-SEC-3: one way to fail; what is read can be written again, save that a scope is put in order."""
    text, parse, write = {
        "agreement": (TEXT, agreement.parse_agreement, agreement.agreement_bytes),
        "withdrawal": (WITHDRAWAL_TEXT, agreement.parse_withdrawal, agreement.withdrawal_bytes),
    }[which]
    value = value_mutant(random, json.loads(text))
    data = bytes_mutant(random, text.encode()) if raw else canonical.encode(value)
    try:
        read = parse(data)
    except BadAgreement:
        return
    written, given_ = json.loads(write(read)), json.loads(data)

    assert {name: sorted(item) if isinstance(item, list) else item for name, item in given_.items()} == {
        name: sorted(item) if isinstance(item, list) else item for name, item in written.items()
    }


@given(st.dictionaries(st.sampled_from(["salt", "commitments", "x"]), st.text() | st.lists(st.text()) | st.none()))
def test_any_object_is_no_binding(value: dict[str, Any]) -> None:
    """T-SEC-3: a parser that meets strangers has one way to fail."""
    with pytest.raises(NotCanonical):
        agreement.parse_binding(value)


@pytest.mark.prove
def test_over_whole_towns_nobody_elses_agreement_binds() -> None:
    """T-CON-4: everyone against their household, their namesakes and everyone born on the same day."""
    people = county.generate(seed=SEED, people=9_000).held["health"]
    chooser = Random(SEED)
    records = [describe(**(county.described(one) | {"nhs_number": ""})) for one in people]
    found = [tokens(record) for record in records]
    groups: dict[tuple[str, object], list[int]] = {}
    for number, one in enumerate(people):
        for group in near(one):
            groups.setdefault(group, []).append(number)
    pairs = {
        (one, other)
        for group in groups.values()
        for one in group
        for other in group
        if one != other and len(group) < 60
    }
    pairs |= {(chooser.randrange(len(people)), chooser.randrange(len(people))) for _ in range(20_000)}
    wrong = tested = namesakes = 0
    for one, other in sorted(pairs):
        mine = [token for family, token in found[one] if family in COMMITTED]
        if people[one].truth is people[other].truth or not mine:
            continue
        tested += 1
        if binds(agreement.commit(SALT, mine), found[other], FIXES):
            # Two people of one first name and birth date: linkage must tell them apart, or say that it cannot.
            alike = same_first_and_dob(records[one], records[other])
            namesakes, wrong = namesakes + alike, wrong + (not alike)
    own = sum(
        binds(agreement.commit(SALT, mine), record, FIXES)
        for record in found
        if (mine := [token for family, token in record if family in COMMITTED])
    )
    print(
        f"T-CON-4 wrong_person={wrong} of {tested} pairs (bound {3 / tested:.0e}) "
        f"namesakes_born_the_same_day={namesakes} own_record={own} of {len(people)} seed={SEED}"
    )

    assert 0 == wrong
    assert own >= 0.95 * len(people)


def near(one: Held) -> list[tuple[str, object]]:
    """The groups in which somebody could be mistaken for somebody else."""
    return [
        ("household", one.truth.household),
        ("namesake", (one.first_name, one.last_name)),
        ("born", one.date_of_birth),
        ("address", one.address),
    ]
