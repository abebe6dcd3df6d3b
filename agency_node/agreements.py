"""Whether an agreement that lay in a slot may be relied on here, for this record and this question.

    warrant names it -> the capturing agency signed it -> the ledger holds it -> its binding is the signed one
    -> scope and dates -> not withdrawn -> it binds the record that was linked, and no other

Each step has its own code for this node's own ledger. Outside, every one of them
is the same *cannot say*.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from accord import agreement as contract
from accord import canonical, receipt, signing
from accord.agreement import Agreement, BadAgreement
from accord.canonical import NotCanonical, decode_object, lp, sha256
from accord.directory import Broker, Directory
from accord.identity import FAMILIES
from accord.reasons import Problem
from accord.slot import AgreementProof
from accord.statement import NodeStatement
from accord.v1 import common_pb2
from accord.warrant import Warrant, agreement_mark

FIXES: Final[Mapping[str, frozenset[str]]] = {family.id: family.fixes for family in FAMILIES}
DELIVERY_LABEL: Final = b"accord agreement delivery v1"
Tokens = Sequence[tuple[str, bytes]]
"""(family, token) of every index entry of one record."""


class NotRelied(Problem):
    """The agreement does not carry this answer.

    Attributes:
        code: Why, for this node's own ledger.
    """

    reason = "BAD_AGREEMENT"

    def __init__(self, code: str) -> None:
        """Say why."""
        self.code = code
        super().__init__(code)


@dataclass(frozen=True, slots=True)
class Context:
    """The question in which an agreement is relied on.

    Attributes:
        statement: The checked statement.
        warrant: The checked warrant.
        node: This agency.
        directory: The directory in force.
        at_ns: This node's clock reading.
        withdrawn: Tells of an agreement's number whether this node has been told of its withdrawal.
    """

    statement: NodeStatement
    warrant: Warrant
    node: str
    directory: Directory
    at_ns: int
    withdrawn: Callable[[str], bool]


def rely(proof: AgreementProof, context: Context, record: Tokens, others: Sequence[Tokens]) -> Agreement:
    """Check an agreement from end to end.

    Args:
        proof: From the slot.
        context: The question.
        record: Tokens of the record that was linked.
        others: Tokens of every other candidate record that shares a key with the description.

    Raises:
        NotRelied: A step fails; its code says which.
    """
    core = context.statement.core
    # 1. The broker's warrant names this agreement to this node.
    mark = agreement_mark(context.statement.node_salt, sha256(proof.agreement))
    if mark not in context.warrant.agreements:
        raise NotRelied("not_in_warrant")
    # 2. The agency that captured it signed it.
    try:
        agreement = contract.parse_agreement(proof.agreement)
        public = context.directory.agency(agreement.captured_by).asking
        signing.verify(public, contract.LABEL, proof.agreement, proof.signature)
    except Problem as problem:
        raise NotRelied("not_signed_by_its_agency") from problem
    # 3. The ledger holds it.
    try:
        broker = context.directory.broker
        receipt.check(proof.receipt, proof.record, broker.ledger_origin, broker.ledger_key)
        _check_record(proof, agreement)
    except (Problem, NotCanonical) as problem:
        raise NotRelied("not_in_ledger") from problem
    # 4. Salt and commitments are those it was signed with.
    try:
        contract.check_binding(agreement, proof.binding)
    except BadAgreement as problem:
        raise NotRelied("binding_differs") from problem
    # 5. Scope and dates.
    if not agreement.covers(
        question=core.question,
        purpose=core.purpose,
        requester=core.agency,
        responder=context.node,
        at_ns=context.at_ns,
    ):
        raise NotRelied("out_of_scope")
    # 6. Not withdrawn, as far as this node has been told.
    if context.withdrawn(agreement.record_id):
        raise NotRelied("withdrawn")
    # 7. It binds the linked record, and no second record as well.
    if not contract.binds(proof.binding, record, FIXES):
        raise NotRelied("binds_another_person")
    if any(contract.binds(proof.binding, other, FIXES) for other in others):
        raise NotRelied("binds_two_records")
    return agreement


def _check_record(proof: AgreementProof, agreement: Agreement) -> None:
    body = decode_object(proof.record)
    if canonical.text(body, "kind") != "AGREEMENT_GIVEN" or canonical.text(body, "record_id") != agreement.record_id:
        raise NotCanonical("the record is not of this agreement")
    if canonical.text(body, "agreement") != sha256(proof.agreement).hex():
        raise NotCanonical("the record is of other bytes")


def check_withdrawn(
    receipted: common_pb2.Receipted, withdrawal: contract.Withdrawal, statement: bytes, broker: Broker
) -> None:
    """Check that the ledger holds a withdrawal.

    Args:
        receipted: The ledger's record and its receipt.
        withdrawal: As read from `statement`.
        statement: The withdrawal's canonical bytes.
        broker: The broker's row of the directory.

    Raises:
        BadAgreement: The record is of something else.
        BadReceipt: The ledger does not hold it.
    """
    receipt.check(receipted.receipt, receipted.record, broker.ledger_origin, broker.ledger_key)
    try:
        body = decode_object(receipted.record)
        found = tuple(canonical.text(body, name) for name in ("kind", "record_id", "withdrawal"))
    except NotCanonical as error:
        raise BadAgreement("the ledger's record of a withdrawal is malformed") from error
    if found != ("AGREEMENT_WITHDRAWN", withdrawal.record_id, sha256(statement).hex()):
        raise BadAgreement("the ledger's record is not of this withdrawal")


def delivery_info(record_id: str) -> bytes:
    """HPKE `info` to which an agreement's binding is bound on its way to an agency in scope."""
    return lp(DELIVERY_LABEL, record_id.encode())


def binding_bytes(binding: contract.Binding) -> bytes:
    """A binding as it is delivered and stored."""
    return canonical.encode(contract.binding_object(binding))


def read_binding(data: bytes) -> contract.Binding:
    """Read what `binding_bytes` made.

    Raises:
        BadAgreement: It is not a binding.
    """
    try:
        return contract.parse_binding(decode_object(data, 8192))
    except NotCanonical as error:
        raise BadAgreement("a binding is malformed") from error
