"""Capturing a family's agreement and taking a withdrawal: what is signed, to whom it goes, what must come back."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord import agreement as contract
from accord import sealing, signing
from accord.canonical import sha256
from accord.reasons import Problem
from accord.v1 import agreements_pb2
from agency_node import agreements, capture
from agency_node.capture import Captured, Scope
from agency_node.cli import people as typed
from tests.world import trust
from tests.world.asker import World
from tests.world.stack import found_in, identifiers

JAMIE: Final = {
    "first_name": "Jamie",
    "last_name": "Thorley",
    "date_of_birth": "2013-03-09",
    "address": "Flat 3, 14 Larkspur Rise",
    "postcode": "MD4 7QT",
    "role": "child",
}
ANNE: Final = JAMIE | {"first_name": "Anne", "last_name": "Calloway", "date_of_birth": "1988-05-21", "role": "parent"}
SCOPE: Final = Scope(
    questions=("agency.contact",),
    purposes=("early_help",),
    requesters=("housing", "social-care"),
    responders=("police",),
    valid_days=90,
    capture="paper",
)
NUMBER: Final = "01890000-0000-7000-8000-000000000001"


@pytest.fixture(scope="module")
def federation() -> trust.Federation:
    return trust.make_federation()


@pytest.fixture
def world(federation: trust.Federation) -> World:
    return World(federation)


class Broker:
    """Records what it is sent, honestly unless told otherwise."""

    def __init__(self, world: World, change: Callable[[dict[str, Any]], None] = lambda body: None, key: Any = None):
        self.world = world
        self.change = change
        self.key = key
        self.sent: list[agreements_pb2.RecordAgreementRequest | agreements_pb2.WithdrawAgreementRequest] = []

    async def record(self, request: agreements_pb2.RecordAgreementRequest) -> agreements_pb2.RecordAgreementResponse:
        self.sent.append(request)
        given = contract.parse_agreement(request.agreement.statement)
        body = {
            "kind": "AGREEMENT_GIVEN",
            "record_id": given.record_id,
            "agreement": sha256(request.agreement.statement).hex(),
        }
        self.change(body)
        return agreements_pb2.RecordAgreementResponse(receipted=self.world.receipted(body, self.key))

    async def withdraw(
        self, request: agreements_pb2.WithdrawAgreementRequest
    ) -> agreements_pb2.WithdrawAgreementResponse:
        self.sent.append(request)
        body = {"kind": "AGREEMENT_WITHDRAWN", "record_id": NUMBER, "withdrawal": "00" * 32}
        self.change(body)
        return agreements_pb2.WithdrawAgreementResponse(receipted=self.world.receipted(body, self.key))


def captured(
    world: World, broker: Broker, *rows: Mapping[str, Any], scope: Scope = SCOPE, kept: dict[str, bytes] | None = None
) -> tuple[Captured, ...]:
    value = {"people": list(rows or (JAMIE,))}
    who, _ = typed.people(value)
    given = tuple(zip(who, typed.givers(value), strict=True))
    keeping: dict[str, bytes] = {} if kept is None else kept
    return asyncio.run(
        capture.capture(world.asker(), given, scope, "a.caller.token", broker.record, keeping.__setitem__)
    )


def test_each_person_has_an_agreement_of_their_own(world: World) -> None:
    """An adult agrees for themself, a parent for a child; numbers, tags and bindings are each person's own."""
    made = captured(world, Broker(world), JAMIE, ANNE)

    assert ["parent", "self"] == [one.agreement.given_by for one in made]
    assert 2 == len({one.agreement.record_id for one in made})
    assert set() == set(made[0].agreement.subject_tags) & set(made[1].agreement.subject_tags)
    assert set() == set(made[0].binding.commitments) & set(made[1].binding.commitments)


def test_an_agreement_goes_to_the_broker_without_identity(world: World) -> None:
    """T-LNK-1: scope, dates, tags and a digest of the binding; commitments only sealed to those who may ask."""
    broker = Broker(world)
    (one,) = captured(world, broker)
    (request,) = broker.sent
    sent = request.SerializeToString()

    assert [] == found_in(sent, identifiers(JAMIE))
    assert [] == [commitment for commitment in one.binding.commitments if commitment in sent]
    assert one.binding.salt not in sent


def test_the_binding_is_sealed_to_each_other_agency_that_may_ask(world: World) -> None:
    """T-CON-4: to housing, which may ask; not to the police, who only answer; and bound to this agreement."""
    broker = Broker(world)
    (one,) = captured(world, broker)
    (request,) = broker.sent
    assert isinstance(request, agreements_pb2.RecordAgreementRequest)
    (delivery,) = request.deliveries
    private = world.federation.agencies["housing"].sealing
    info = agreements.delivery_info(one.agreement.record_id)

    assert "housing" == delivery.agency
    assert one.binding == agreements.read_binding(sealing.unseal(private, info, delivery.sealed))
    with pytest.raises(Problem):
        sealing.unseal(private, agreements.delivery_info(NUMBER), delivery.sealed)


def test_what_was_agreed_is_signed_by_the_agency_that_captured_it(world: World) -> None:
    """T-SEC-2: with its asking key, over exactly the bytes that are recorded."""
    broker = Broker(world)
    (one,) = captured(world, broker)
    (request,) = broker.sent
    assert isinstance(request, agreements_pb2.RecordAgreementRequest)
    public = world.federation.directory.agency("social-care").asking
    signing.verify(public, contract.LABEL, request.agreement.statement, request.agreement.signature)

    assert one.agreement == contract.parse_agreement(request.agreement.statement)
    assert trust.NOW_NS + 90 * capture.DAY_NS == one.agreement.valid_to_ns


def test_the_binding_is_kept_before_the_agreement_is_recorded(world: World) -> None:
    """An agreement in the ledger whose binding was lost on the way could never be used."""
    kept: dict[str, bytes] = {}
    kept_before: list[int] = []

    class Watching(Broker):
        async def record(
            self, request: agreements_pb2.RecordAgreementRequest
        ) -> agreements_pb2.RecordAgreementResponse:
            kept_before.append(len(kept))
            return await super().record(request)

    captured(world, Watching(world), JAMIE, ANNE, kept=kept)

    assert [1, 2] == kept_before


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.update(kind="AGREEMENT_WITHDRAWN"),
        lambda body: body.update(record_id=NUMBER),
        lambda body: body.update(agreement="00" * 32),
        lambda body: body.pop("agreement"),
    ],
    ids=["another kind", "another number", "other bytes", "no bytes"],
)
def test_a_receipt_of_something_else_is_not_taken_for_the_agreements(
    world: World, change: Callable[[dict[str, Any]], None]
) -> None:
    """T-AUD-1: the family gets a number only for what the ledger really holds."""
    with pytest.raises(contract.BadAgreement):
        captured(world, Broker(world, change))


def test_a_receipt_under_another_key_is_not_taken(world: World) -> None:
    """T-AUD-1: nor one that the ledger of the directory did not sign."""
    with pytest.raises(Problem) as problem:
        captured(world, Broker(world, key=Ed25519PrivateKey.generate()))

    assert "BAD_RECEIPT" == problem.value.reason


def test_nothing_is_captured_for_an_agency_that_is_not_there(world: World) -> None:
    """T-CON-4: an agreement names members of the federation."""
    broker = Broker(world)
    elsewhere = Scope(("agency.contact",), ("early_help",), ("social-care",), ("hospital",), 90, "paper")

    with pytest.raises(Problem) as problem:
        captured(world, broker, scope=elsewhere)

    assert "UNKNOWN_AGENCY" == problem.value.reason
    assert ([], []) == (broker.sent, world.keys_asked)


def test_nothing_is_captured_for_somebody_who_could_not_be_found(world: World) -> None:
    """T-CON-4: with too little to bind it to, an agreement would bind nobody or anybody."""
    broker = Broker(world)

    with pytest.raises(Problem) as problem:
        captured(world, broker, {"first_name": "Jamie", "last_name": "Thorley", "role": "child"})

    assert ("TOO_LITTLE_TO_GO_ON", []) == (problem.value.reason, broker.sent)


# -- Withdrawal --------------------------------------------------------------------------------------------------------


def withdrawn(world: World, broker: Broker, number: str = NUMBER, by: str = "self") -> bytes:
    asker = world.asker("housing")
    return asyncio.run(capture.withdraw(asker, number, by, "a.caller.token", broker.withdraw)).record


def test_a_withdrawal_is_taken_and_signed_where_the_family_is(world: World) -> None:
    """T-CON-2: at any agency, under its own key, without a reason."""
    broker = Broker(world)

    withdrawn(world, broker)
    (request,) = broker.sent
    assert isinstance(request, agreements_pb2.WithdrawAgreementRequest)
    public = world.federation.directory.agency("housing").asking
    signed = request.withdrawal
    signing.verify(public, contract.WITHDRAWAL_LABEL, signed.statement, signed.signature)
    said = contract.parse_withdrawal(signed.statement)

    assert (NUMBER, "housing", trust.NOW_NS) == (said.record_id, said.taken_by, said.taken_at_ns)


@pytest.mark.parametrize("change", [{"kind": "AGREEMENT_GIVEN"}, {"record_id": NUMBER[:-1] + "2"}])
def test_a_withdrawal_counts_only_with_its_receipt(world: World, change: dict[str, str]) -> None:
    """T-CON-2: nobody is told "withdrawn" before the ledger has it."""
    with pytest.raises(contract.BadAgreement):
        withdrawn(world, Broker(world, lambda body: body.update(change)))


@pytest.mark.parametrize(("number", "by"), [("12345", "self"), (NUMBER, "a neighbour"), ("", "self")])
def test_what_cannot_be_a_number_is_not_sent(world: World, number: str, by: str) -> None:
    """T-SEC-3: a slip of the pen is told at once."""
    broker = Broker(world)

    with pytest.raises(capture.NotANumber):
        withdrawn(world, broker, number, by)

    assert [] == broker.sent
