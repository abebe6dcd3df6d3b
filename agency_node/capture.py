"""Capture a family's agreement, and take a withdrawal, at the agency the family speaks to.

    people -> tokens -> commitments and subject tags -> one signed agreement a person -> broker -> receipt checked
           -> binding kept here and delivered, sealed, to the other agencies in scope

An adult agrees for themself and for children they hold parental responsibility
for, never for another adult, so each person has an agreement of their own.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from accord import agreement as contract
from accord import canonical, receipt, sealing, signing
from accord.agreement import Agreement, BadAgreement, Binding, Withdrawal
from accord.canonical import NotCanonical, decode_object, sha256
from accord.reasons import Problem
from accord.v1 import agreements_pb2, common_pb2
from agency_node.agreements import binding_bytes, delivery_info
from agency_node.asking import Asker, Person, committed_tokens, tokenise

DAY_NS: Final = 86_400 * 1_000_000_000
NOTICE: Final = "notice-1"
"""Identifier of the privacy notice that goes with the agreement form."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a family agrees to.

    Attributes:
        questions: Catalogue identifiers.
        purposes: Purposes.
        requesters: Agencies that may ask.
        responders: Agencies that may answer.
        valid_days: How long, in days.
        capture: paper, voice or web.
    """

    questions: tuple[str, ...]
    purposes: tuple[str, ...]
    requesters: tuple[str, ...]
    responders: tuple[str, ...]
    valid_days: int
    capture: str


@dataclass(frozen=True, slots=True)
class Captured:
    """One person's agreement, recorded.

    Attributes:
        agreement: What was agreed; its number goes on the family's receipt.
        binding: Kept at this agency.
        record: The ledger's record.
        receipt: Its proof, checked.
    """

    agreement: Agreement
    binding: Binding
    record: bytes
    receipt: str


Record = Callable[[agreements_pb2.RecordAgreementRequest], Awaitable[agreements_pb2.RecordAgreementResponse]]
Withdraw = Callable[[agreements_pb2.WithdrawAgreementRequest], Awaitable[agreements_pb2.WithdrawAgreementResponse]]


async def capture(
    asker: Asker,
    people: Sequence[tuple[Person, str]],
    scope: Scope,
    caller_token: str,
    record: Record,
    keep: Callable[[str, bytes], None],
) -> tuple[Captured, ...]:
    """Record an agreement for each person.

    Args:
        asker: What the asking side needs.
        people: Each person with who gives their agreement: self, parent, other_pr_holder or court_order.
        scope: To what.
        caller_token: Of the member of staff who captures it.
        record: Sends one agreement to the broker.
        keep: Keeps a binding at this agency, by record identifier.

    Raises:
        BadAgreement: There is too little to bind it to, or the ledger's proof does not hold.
        UnknownAgency: The directory has no such agency.
        TooLittleToGoOn: A description gives too few keys.
    """
    for agency in {*scope.requesters, *scope.responders}:
        asker.directory.agency(agency)
    captured = []
    tokenised = await tokenise(asker, [person for person, _ in people])
    for one, (_, given_by) in zip(tokenised, people, strict=True):
        now_ns = asker.now_ns()
        binding = contract.commit(asker.random(contract.SALT_BYTES), committed_tokens(one))
        agreement = Agreement(
            record_id=asker.new_id(),
            kind="service_agreement",
            state=contract.GIVEN,
            given_by=given_by,
            capture=scope.capture,
            captured_by=asker.agency,
            captured_at_ns=now_ns,
            valid_from_ns=now_ns - now_ns % 1_000_000,
            valid_to_ns=now_ns + scope.valid_days * DAY_NS,
            questions=scope.questions,
            purposes=scope.purposes,
            requesters=scope.requesters,
            responders=scope.responders,
            subject_tags=one.tags,
            binding=contract.binding_digest(binding),
            notice=NOTICE,
            policy=asker.policy,
        )
        statement = contract.agreement_bytes(agreement)
        others = {*scope.requesters} - {asker.agency}
        # Kept before it is recorded: an agreement in the ledger whose binding was lost on the way could never be used.
        keep(agreement.record_id, binding_bytes(binding))
        response = await record(
            agreements_pb2.RecordAgreementRequest(
                caller_token=caller_token,
                agreement=_signed(asker, contract.LABEL, statement),
                deliveries=[
                    agreements_pb2.AgreementDelivery(
                        agency=agency,
                        sealed=sealing.seal(
                            asker.directory.agency(agency).sealing,
                            delivery_info(agreement.record_id),
                            binding_bytes(binding),
                        ),
                    )
                    for agency in sorted(others)
                ],
            )
        )
        _check(asker, response.receipted, "AGREEMENT_GIVEN", agreement.record_id, "agreement", statement)
        captured.append(Captured(agreement, binding, response.receipted.record, response.receipted.receipt))
    return tuple(captured)


class NotANumber(Problem):
    """What was given as the number on the family's receipt cannot be one."""

    reason = "AGREEMENT_UNKNOWN"


async def withdraw(
    asker: Asker, record_id: str, withdrawn_by: str, caller_token: str, send: Withdraw
) -> common_pb2.Receipted:
    """Take a withdrawal. It bites at the next question.

    Args:
        asker: What the asking side needs.
        record_id: The number on the family's receipt.
        withdrawn_by: self, parent, other_pr_holder or court_order.
        caller_token: Of the member of staff who takes it.
        send: Sends it to the broker.

    Raises:
        NotANumber: The number, or the word for who withdraws, is not of the agreed form.
        BadAgreement: The ledger's proof does not hold.
    """
    statement = contract.withdrawal_bytes(Withdrawal(record_id, asker.agency, asker.now_ns(), withdrawn_by))
    try:
        contract.parse_withdrawal(statement)
    except BadAgreement as error:
        raise NotANumber("the number, or who withdraws, is not of the agreed form") from error
    signed = _signed(asker, contract.WITHDRAWAL_LABEL, statement)
    response = await send(agreements_pb2.WithdrawAgreementRequest(caller_token=caller_token, withdrawal=signed))
    _check(asker, response.receipted, "AGREEMENT_WITHDRAWN", record_id, "", statement)
    return response.receipted


def _signed(asker: Asker, label: str, statement: bytes) -> common_pb2.Signed:
    return common_pb2.Signed(
        statement=statement,
        signature=signing.sign(asker.asking_key, label, statement),
        key_id=signing.key_id(signing.public_bytes(asker.asking_key)),
    )


def _check(
    asker: Asker, receipted: common_pb2.Receipted, kind: str, record_id: str, digest_field: str, statement: bytes
) -> None:
    """The record is in the ledger, is of this kind and number, and of these bytes where it is ours alone.

    A withdrawal that was taken before keeps its first record, whose digest is of other bytes.
    """
    broker = asker.directory.broker
    receipt.check(receipted.receipt, receipted.record, broker.ledger_origin, broker.ledger_key)
    try:
        body = decode_object(receipted.record)
        right = canonical.text(body, "kind") == kind and canonical.text(body, "record_id") == record_id
        if digest_field:
            right = right and canonical.text(body, digest_field) == sha256(statement).hex()
    except NotCanonical as error:
        raise BadAgreement("the ledger's record of it is malformed") from error
    if not right:
        raise BadAgreement("the ledger's record is of something else")
