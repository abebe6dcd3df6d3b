"""Whether an agreement may be relied on: each step can say no alone, and says which to this node's own ledger only."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest

from accord import agreement as contract
from accord import signing, statement, warrant
from accord.agreement import GIVEN, Agreement
from accord.canonical import sha256
from accord.identity import FAMILIES
from accord.slot import AgreementProof
from accord.statement import Core, NodePart, NodeStatement
from accord.warrant import Warrant
from agency_node import agreements
from agency_node.agreements import Context, NotRelied, Tokens, rely
from tests.world import trust
from tests.world.asker import World

NUMBER: Final = "01890000-0000-7000-8000-000000000001"
FIXING: Final = tuple(family.id for family in FAMILIES if contract.committed(family))
JAMIE: Final[Tokens] = tuple((family, sha256(b"jamie", family.encode()) * 2) for family in FIXING)
OTHER: Final[Tokens] = tuple((family, sha256(b"other", family.encode()) * 2) for family in FIXING)
SALT: Final = b"n" * statement.SALT_BYTES


@dataclass(frozen=True, slots=True)
class Case:
    """An agreement on its way to being relied on, all of it right unless changed."""

    proof: AgreementProof
    context: Context
    record: Tokens = JAMIE
    others: tuple[Tokens, ...] = ()

    def outcome(self) -> str:
        """The number relied on, or why not."""
        try:
            return rely(self.proof, self.context, self.record, self.others).record_id
        except NotRelied as problem:
            return problem.code


@pytest.fixture(scope="module")
def federation() -> trust.Federation:
    return trust.make_federation()


def case(federation: trust.Federation, /, captured_by: str = "social-care", **changes: Any) -> Case:
    """Jamie's agreement, relied on by social care towards the police; `changes` are fields of the agreement."""
    binding = contract.commit(b"s" * contract.SALT_BYTES, [token for _, token in JAMIE])
    agreement = Agreement(
        record_id=NUMBER,
        kind="service_agreement",
        state=GIVEN,
        given_by="parent",
        capture="web",
        captured_by=captured_by,
        captured_at_ns=trust.NOW_NS - 10**15,
        valid_from_ns=trust.NOW_NS - 10**15,
        valid_to_ns=trust.NOW_NS + 10**15,
        questions=("agency.contact",),
        purposes=("early_help",),
        requesters=("social-care",),
        responders=("police",),
        subject_tags=(b"t" * 16,),
        binding=contract.binding_digest(binding),
        notice="notice-1",
        policy="11" * 32,
    )
    body = contract.agreement_bytes(replace(agreement, **changes))
    record = {"kind": "AGREEMENT_GIVEN", "record_id": NUMBER, "agreement": sha256(body).hex()}
    receipted = World(federation).receipted(record)
    key = federation.agencies["social-care"].asking
    signature = signing.sign(key, contract.LABEL, body)
    proof = AgreementProof(body, signature, binding, receipted.record, receipted.receipt)
    mark = warrant.agreement_mark(SALT, sha256(body))
    return Case(proof, context(federation, marks=(mark,)))


def context(federation: trust.Federation, marks: tuple[bytes, ...]) -> Context:
    core = Core(
        query_id=NUMBER,
        agency="social-care",
        role="practitioner",
        caller_token_sha256="00" * 32,
        question="agency.contact",
        question_version=1,
        purpose="early_help",
        urgency="routine",
        reply_key=b"r" * 32,
        epoch="2026-1",
        normaliser="33" * 32,
        families="44" * 32,
        key_servers="55" * 32,
        issued_at_ns=trust.NOW_NS,
        expires_at_ns=trust.NOW_NS + 60 * 10**9,
    )
    part = NodePart("police", "agreement_service", "66" * 32)
    asked = NodeStatement(core, b"c" * 32, part, b"d" * 32, SALT, b"", (), b"s" * 32)
    now_s = trust.NOW_NS // 10**9
    warranted = Warrant(NUMBER, "social-care", b"s" * 32, (), "11" * 32, "22" * 32, marks, now_s, now_s + 30)
    return Context(asked, warranted, "police", federation.directory, trust.NOW_NS, lambda record_id: False)


def test_a_whole_agreement_is_relied_on(federation: trust.Federation) -> None:
    """The control: named, signed, recorded, bound, in scope, in date, not withdrawn, and this person's alone."""
    assert NUMBER == case(federation).outcome()


def spoilt_proof(name: str, spoil: Callable[[Any], Any]) -> Callable[[trust.Federation], Case]:
    def make(federation: trust.Federation) -> Case:
        good = case(federation)
        changes: dict[str, Any] = {name: spoil(getattr(good.proof, name))}
        return replace(good, proof=replace(good.proof, **changes))

    return make


def recorded_as(**changes: Any) -> Callable[[trust.Federation], Case]:
    """The agreement with another record, which the ledger's own key vouches for."""

    def make(federation: trust.Federation) -> Case:
        good = case(federation)
        record = {"kind": "AGREEMENT_GIVEN", "record_id": NUMBER, "agreement": sha256(good.proof.agreement).hex()}
        receipted = World(federation).receipted(record | changes)
        return replace(good, proof=replace(good.proof, record=receipted.record, receipt=receipted.receipt))

    return make


def in_context(**changes: Any) -> Callable[[trust.Federation], Case]:
    def make(federation: trust.Federation) -> Case:
        good = case(federation)
        return replace(good, context=replace(good.context, **changes))

    return make


SPOILT: Final[dict[str, tuple[Callable[[trust.Federation], Case], str]]] = {
    "the warrant names none": (
        lambda federation: replace(case(federation), context=context(federation, ())),
        "not_in_warrant",
    ),
    "the warrant names another": (
        lambda federation: replace(case(federation), context=context(federation, (b"m" * 32,))),
        "not_in_warrant",
    ),
    "other bytes": (spoilt_proof("agreement", lambda body: body + b" "), "not_in_warrant"),
    "signed by nobody": (spoilt_proof("signature", lambda _: b"0" * 64), "not_signed_by_its_agency"),
    "signed by another agency": (
        lambda federation: case(federation, captured_by="housing"),
        "not_signed_by_its_agency",
    ),
    "captured by nobody we know": (
        lambda federation: case(federation, captured_by="hospital"),
        "not_signed_by_its_agency",
    ),
    "without a receipt": (spoilt_proof("receipt", lambda _: ""), "not_in_ledger"),
    "with a receipt of another record": (spoilt_proof("record", lambda _: b"{}"), "not_in_ledger"),
    "recorded as withdrawn": (recorded_as(kind="AGREEMENT_WITHDRAWN"), "not_in_ledger"),
    "recorded under another number": (recorded_as(record_id=NUMBER[:-1] + "2"), "not_in_ledger"),
    "recorded with other bytes": (recorded_as(agreement="00" * 32), "not_in_ledger"),
    "another binding": (
        spoilt_proof("binding", lambda _: contract.commit(b"s" * 32, [token for _, token in OTHER])),
        "binding_differs",
    ),
    "another salt": (
        spoilt_proof("binding", lambda _: contract.commit(b"z" * 32, [token for _, token in JAMIE])),
        "binding_differs",
    ),
    "another question": (lambda federation: case(federation, questions=("assessment.done",)), "out_of_scope"),
    "another purpose": (lambda federation: case(federation, purposes=("s47_enquiry",)), "out_of_scope"),
    "another asker": (lambda federation: case(federation, requesters=("housing",)), "out_of_scope"),
    "another holder": (lambda federation: case(federation, responders=("housing",)), "out_of_scope"),
    "run out": (lambda federation: case(federation, valid_to_ns=trust.NOW_NS - 10**6), "out_of_scope"),
    "run out by our own clock": (in_context(at_ns=trust.NOW_NS + 10**15), "out_of_scope"),
    "not valid yet": (lambda federation: case(federation, valid_from_ns=trust.NOW_NS + 10**9), "out_of_scope"),
    "withdrawn": (in_context(withdrawn=lambda record_id: record_id == NUMBER), "withdrawn"),
    "another person's": (lambda federation: replace(case(federation), record=OTHER), "binds_another_person"),
    "a person without keys": (lambda federation: replace(case(federation), record=()), "binds_another_person"),
    "two people's": (lambda federation: replace(case(federation), others=(OTHER, JAMIE)), "binds_two_records"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_one_thing_wrong_is_enough(federation: trust.Federation, what: str) -> None:
    """T-CON-2, T-CON-4: every step is needed, and each has its own code for the node's ledger."""
    make, code = SPOILT[what]

    assert code == make(federation).outcome()


def test_no_stranger_is_bound(federation: trust.Federation) -> None:
    """T-CON-4: Jamie's agreement against a thousand other records."""
    good = case(federation)
    wrong = 0
    for number in range(1_000):
        record: Tokens = tuple((family, sha256(b"%d" % number, family.encode()) * 2) for family in FIXING)
        wrong += replace(good, record=record).outcome() == NUMBER
    print(f"T-CON-4 wrong_person={wrong} of 1000")

    assert 0 == wrong


def test_a_binding_survives_its_way(federation: trust.Federation) -> None:
    """As it is delivered and stored, so it is read."""
    binding = case(federation).proof.binding

    assert binding == agreements.read_binding(agreements.binding_bytes(binding))


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"salt":1}', b"\xff"])
def test_what_is_no_binding_is_refused(data: bytes) -> None:
    """T-SEC-3: a delivery is input like any other."""
    with pytest.raises(contract.BadAgreement):
        agreements.read_binding(data)
