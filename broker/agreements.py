"""Agreements at the broker: kept without identity, found by keyed tags, ended at once.

    record   -> AGREEMENT_GIVEN      in the ledger and the state of the agreement, in one transaction
    withdraw -> AGREEMENT_WITHDRAWN  in the same ledger and by the same writer as releases

* The state of an agreement is a fold over its records in ledger order; the row is that fold, written together with
  each record, and `fsck` compares the two.
* A withdrawal takes effect at its position. `ledger` reads the state inside the transaction that writes RELEASED, so no
  release follows a withdrawal in ledger order (T-CON-1).
* Who signed what was checked before anything gets here. Whoever withdraws need not have captured: any agency may take a
  withdrawal, by whatever way the family comes.
* The broker holds scope, dates, signatures and tags. Names, commitments and salts never come here, except inside
  deliveries sealed to one agency, which are forgotten once they arrived (T-LNK-1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection

from accord import agreement as contract
from accord.agreement import Agreement, Withdrawal
from accord.canonical import sha256
from accord.reasons import Problem
from accord.v1 import common_pb2
from broker.sequencer import Batch, Sequencer, record
from broker.stages import Asked, LedgerUnavailable, User
from broker.store import Store, state, tree
from broker.store.state import StoredAgreement

GIVEN_KIND: Final = "AGREEMENT_GIVEN"
WITHDRAWN_KIND: Final = "AGREEMENT_WITHDRAWN"
FOUND_MOST: Final = 100
"""Most agreements that one search gives back."""


class AgreementExists(Problem):
    """This number belongs to another agreement."""

    reason = "AGREEMENT_EXISTS"


class AgreementUnknown(Problem):
    """No agreement has this number."""

    reason = "AGREEMENT_UNKNOWN"


class Agreements:
    """Keeps agreements. For the event loop's thread only."""

    def __init__(self, sequencer: Sequencer, store: Store, now_ns: Callable[[], int]) -> None:
        """Set up.

        Args:
            sequencer: The only writer; already started.
            store: For reading.
            now_ns: The clock, nanoseconds since 1970.
        """
        self._sequencer = sequencer
        self._store = store
        self._now_ns = now_ns
        self._tiles = tree.TileCache()

    async def record(
        self,
        user: User,
        agreement: Agreement,
        signed: common_pb2.Signed,
        deliveries: tuple[tuple[str, bytes], ...],
    ) -> common_pb2.Receipted:
        """Make an agreement durable. The same bytes again give the same record.

        Args:
            user: Who captured it.
            agreement: As parsed from `signed`, its signature checked.
            signed: The canonical bytes and the capturing node's signature.
            deliveries: Agency and what is sealed to it.

        Raises:
            AgreementExists: The number belongs to another agreement.
            LedgerUnavailable: It could not be recorded.
        """
        at_ns = self._now_ns()
        fields = {
            "agency": user.agency,
            "user": user.token,
            "record_id": agreement.record_id,
            "agreement": sha256(signed.statement).hex(),
            "key_id": signed.key_id,
            "state": agreement.state,
        }

        def guard(connection: Connection) -> None:
            if agreement.record_id in state.agreements(connection, [agreement.record_id]):
                raise AgreementExists(f"agreement {agreement.record_id} is recorded already")

        def write(connection: Connection, indices: tuple[int, ...]) -> None:
            stored = StoredAgreement(
                record_id=agreement.record_id,
                agency=user.agency,
                body=signed.statement,
                signature=signed.signature,
                key_id=signed.key_id,
                state=agreement.state,
                valid_from_ns=agreement.valid_from_ns,
                valid_to_ns=agreement.valid_to_ns,
                given_index=indices[0],
                withdrawn_index=None,
                withdrawn_at_ns=None,
                withdrawal=None,
                withdrawal_signature=None,
                withdrawal_key_id=None,
            )
            scope = {user.agency, *agreement.requesters, *agreement.responders}
            state.give_agreement(connection, stored, agreement.subject_tags, scope, dict(deliveries))

        batch = Batch((record(GIVEN_KIND, at_ns, fields, receipted=True),), guard, write)
        try:
            entry = (await self._sequencer.append(batch)).entries[0]
        except AgreementExists:
            found = self._one(agreement.record_id)
            if found.body != signed.statement:
                raise
            return self._receipted(found.given_index)
        return common_pb2.Receipted(record=entry.body, receipt=entry.receipt)

    async def withdraw(self, user: User, withdrawal: Withdrawal, signed: common_pb2.Signed) -> common_pb2.Receipted:
        """Make a withdrawal durable. Withdrawn again, an agreement keeps its first withdrawal.

        Args:
            user: Who took it.
            withdrawal: As parsed from `signed`, its signature checked.
            signed: The canonical bytes and the signature of the node that took it.

        Raises:
            AgreementUnknown: There is no such agreement.
            LedgerUnavailable: It could not be recorded.
        """
        at_ns = self._now_ns()
        record_id = withdrawal.record_id
        fields = {
            "agency": user.agency,
            "user": user.token,
            "record_id": record_id,
            "withdrawal": sha256(signed.statement).hex(),
            "key_id": signed.key_id,
            "withdrawn_by": withdrawal.withdrawn_by,
            "state": contract.WITHDRAWN,
        }

        def guard(connection: Connection) -> None:
            found = state.agreements(connection, [record_id]).get(record_id)
            if found is None:
                raise AgreementUnknown(f"there is no agreement {record_id}")
            if found.withdrawn_index is not None:
                raise _WithdrawnBefore(f"agreement {record_id} is withdrawn already")

        def write(connection: Connection, indices: tuple[int, ...]) -> None:
            state.withdraw_agreement(
                connection,
                record_id,
                state=contract.WITHDRAWN,
                index=indices[0],
                at_ns=at_ns,
                withdrawal=signed.statement,
                signature=signed.signature,
                key_id=signed.key_id,
            )

        batch = Batch((record(WITHDRAWN_KIND, at_ns, fields, receipted=True),), guard, write)
        try:
            entry = (await self._sequencer.append(batch)).entries[0]
        except _WithdrawnBefore:
            index = self._one(record_id).withdrawn_index
            if index is None:
                raise LedgerUnavailable("a withdrawal that was read a moment ago is gone") from None
            return self._receipted(index)
        return common_pb2.Receipted(record=entry.body, receipt=entry.receipt)

    async def find(
        self, user: User, tags: tuple[bytes, ...]
    ) -> list[tuple[common_pb2.Signed, str, common_pb2.Receipted]]:
        """Agreements of a person to which the user's agency is a party, newest first, with their state now.

        Raises:
            LedgerUnavailable: The store cannot be read.
        """
        now_ns = self._now_ns()
        with self._store.reading() as connection:
            found = state.agreements_with(connection, tags, user.agency, FOUND_MOST)
        return [(_signed(one), state_at(one, now_ns), self._receipted(one.given_index)) for one in found]

    async def scope(self, record_id: str) -> frozenset[str]:
        """The agencies that are party to an agreement; empty when there is none."""
        with self._store.reading() as connection:
            return state.parties(connection, record_id)

    async def pending(self, agency: str) -> list[tuple[str, bytes]]:
        """Deliveries the agency has not had yet: record identifier and sealed bytes, oldest first."""
        with self._store.reading() as connection:
            return list(state.pending(connection, agency, self._now_ns()))

    async def withdrawn(self, agency: str) -> list[tuple[common_pb2.Signed, common_pb2.Receipted]]:
        """Every withdrawal of an agreement to which the agency is a party and that would still be valid, in order."""
        with self._store.reading() as connection:
            found = state.withdrawn(connection, agency, self._now_ns())
        return [
            (
                common_pb2.Signed(
                    statement=one.withdrawal or b"",
                    signature=one.withdrawal_signature or b"",
                    key_id=one.withdrawal_key_id or "",
                ),
                self._receipted(one.withdrawn_index),
            )
            for one in found
            if one.withdrawn_index is not None
        ]

    async def delivered(self, agency: str, record_ids: Sequence[str]) -> None:
        """Forget deliveries that the agency has, and what has expired undelivered.

        Raises:
            LedgerUnavailable: It could not be noted; they will be sent again.
        """
        now_ns = self._now_ns()
        await self._sequencer.append(
            Batch((), write=lambda connection, _: state.mark_delivered(connection, agency, record_ids, now_ns))
        )

    def for_policy(self, asked: Asked) -> list[dict[str, object]]:
        """The agreements that a question relies on, as the policy input holds them.

        An agreement is left out when it shares no subject tag with the subject it is claimed for, or when asker and
        target are not party to it: the policy then finds no agreement, and says so.

        Returns:
            One object for each reference, in the order of the statement.

        Raises:
            LedgerUnavailable: The store cannot be read.
        """
        part = asked.statement.broker_part
        record_ids = {one.record_id for one in part.agreements}
        if not record_ids:
            return []
        with self._store.reading() as connection:
            found = state.agreements(connection, record_ids)
            tags = state.tags_of(connection, record_ids)
        return [
            _policy_form(found[one.record_id], one.subject_ref, asked.at_ns)
            for one in part.agreements
            if one.record_id in found and tags[one.record_id] & set(part.subject_tags.get(one.subject_ref, ()))
        ]

    def _one(self, record_id: str) -> StoredAgreement:
        with self._store.reading() as connection:
            found = state.agreements(connection, [record_id])
        if record_id not in found:
            raise AgreementUnknown(f"there is no agreement {record_id}")
        return found[record_id]

    def _receipted(self, index: int) -> common_pb2.Receipted:
        head = self._sequencer.head
        with self._store.reading() as connection:
            body, text = tree.receipted(connection, self._tiles, head.size, head.note, index)
        return common_pb2.Receipted(record=body, receipt=text)


class _WithdrawnBefore(Problem):
    """Withdrawn before; told to the caller as the first withdrawal's receipt, never as an error."""

    reason = "AGREEMENT_WITHDRAWN"


def state_at(stored: StoredAgreement, at_ns: int) -> str:
    """The event state of an agreement at a moment: what was recorded, or expired."""
    if stored.state in contract.LIVE and stored.valid_to_ns is not None and at_ns >= stored.valid_to_ns:
        return contract.EXPIRED
    return stored.state


def _signed(stored: StoredAgreement) -> common_pb2.Signed:
    return common_pb2.Signed(statement=stored.body, signature=stored.signature, key_id=stored.key_id)


def _policy_form(stored: StoredAgreement, subject_ref: str, at_ns: int) -> dict[str, object]:
    agreement = contract.parse_agreement(stored.body)
    return {
        "record_id": agreement.record_id,
        "subject_ref": subject_ref,
        "kind": agreement.kind,
        "state": state_at(stored, at_ns),
        "given_by": agreement.given_by,
        "questions": list(agreement.questions),
        "purposes": list(agreement.purposes),
        "requesters": list(agreement.requesters),
        "responders": list(agreement.responders),
        "valid_from_ns": agreement.valid_from_ns,
        "valid_to_ns": agreement.valid_to_ns,
        "withdrawn_at_ns": stored.withdrawn_at_ns,
        "objection": "none",
        "ledger_index": stored.given_index,
    }
