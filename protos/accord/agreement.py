"""A family's agreement: what was agreed, by whom it may be relied on, and that it binds one person.

An agreement is stored at the broker *without identity*: scope, purposes,
validity, capture, and subject tags that only the steward's key can make. It
binds to a person through *commitments*, SHA-256(salt | token), over that
person's linkage tokens. Salt and commitments never lie at the broker; they
travel inside the token-locked slot, so that only a node that already holds the
person can see them, and the agreement carries just a digest of them.

A node answers under an agreement only if the commitments that match *the record
it linked* together fix the first name and the full birth date. The event states
are those of ISO/IEC TS 27560:2023, by way of the W3C guide to it
(https://w3c.github.io/dpv/guides/consent-27560). An agreement to a service is
not UK GDPR consent; the record says so in `kind`.
"""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from accord import canonical
from accord.canonical import NotCanonical, b64url, decode_object, encode, lp, sha256, unb64url
from accord.identity import Family
from accord.reasons import Problem
from accord.statement import AGENCY, HEX64, QUESTION, UUID, WORD

LABEL: Final = "accord agreement v1"
WITHDRAWAL_LABEL: Final = "accord withdrawal v1"
BINDING_LABEL: Final = b"accord agreement binding v1"
GIVEN: Final = "ConsentGiven"
RENEWED: Final = "RenewedConsentGiven"
WITHDRAWN: Final = "ConsentWithdrawn"
EXPIRED: Final = "ConsentExpired"
LIVE: Final = frozenset({GIVEN, RENEWED})
"""The two event states under which an agreement may be relied on."""
SALT_BYTES: Final = 32
MUST_FIX: Final = frozenset({"first", "dob"})
"""What matching commitments must fix together before an agreement binds a record."""


class BadAgreement(Problem):
    """An agreement or a withdrawal does not hold together."""

    reason = "BAD_AGREEMENT"


@dataclass(frozen=True, slots=True)
class Agreement:
    """One person's agreement, as the capturing node signs it.

    Attributes:
        record_id: UUID version 7; the number on the family's receipt.
        kind: service_agreement or gdpr_consent.
        state: GIVEN or RENEWED.
        given_by: self, parent, other_pr_holder or court_order.
        capture: paper, voice or web.
        captured_by: The agency that captured it.
        captured_at_ns: When.
        valid_from_ns: From when it may be relied on.
        valid_to_ns: Until when.
        questions: Catalogue identifiers in scope.
        purposes: Purposes in scope.
        requesters: Agencies that may ask under it.
        responders: Agencies that may answer under it.
        subject_tags: The person's subject tags, 16 bytes each.
        binding: From `binding_digest`, hexadecimal.
        notice: Identifier of the privacy notice the person was given.
        policy: Policy revision in force at capture.
    """

    record_id: str
    kind: str
    state: str
    given_by: str
    capture: str
    captured_by: str
    captured_at_ns: int
    valid_from_ns: int
    valid_to_ns: int
    questions: tuple[str, ...]
    purposes: tuple[str, ...]
    requesters: tuple[str, ...]
    responders: tuple[str, ...]
    subject_tags: tuple[bytes, ...]
    binding: str
    notice: str
    policy: str

    def covers(self, *, question: str, purpose: str, requester: str, responder: str, at_ns: int) -> bool:
        """Whether this use lies within scope and dates; the bounds are valid_from <= at < valid_to."""
        return (
            question in self.questions
            and purpose in self.purposes
            and requester in self.requesters
            and responder in self.responders
            and self.valid_from_ns <= at_ns < self.valid_to_ns
        )


@dataclass(frozen=True, slots=True)
class Binding:
    """What ties an agreement to a person: never at the broker.

    Attributes:
        salt: 32 random bytes.
        commitments: SHA-256(salt | token), 32 bytes each, sorted.
    """

    salt: bytes
    commitments: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A withdrawal, as the node that took it signs it. No reason is asked."""

    record_id: str
    taken_by: str
    taken_at_ns: int
    withdrawn_by: str


def agreement_bytes(agreement: Agreement) -> bytes:
    """Canonical bytes of an agreement, to be signed under LABEL."""
    return encode(
        {
            "v": 1,
            "record_id": agreement.record_id,
            "kind": agreement.kind,
            "state": agreement.state,
            "given_by": agreement.given_by,
            "capture": agreement.capture,
            "captured_by": agreement.captured_by,
            "captured_at": canonical.rfc3339(agreement.captured_at_ns),
            "valid_from": canonical.rfc3339(agreement.valid_from_ns),
            "valid_to": canonical.rfc3339(agreement.valid_to_ns),
            "questions": sorted(agreement.questions),
            "purposes": sorted(agreement.purposes),
            "requesters": sorted(agreement.requesters),
            "responders": sorted(agreement.responders),
            "subject_tags": [b64url(tag) for tag in agreement.subject_tags],
            "binding": agreement.binding,
            "notice": agreement.notice,
            "policy": agreement.policy,
        }
    )


def parse_agreement(data: bytes) -> Agreement:
    """Read an agreement.

    Raises:
        BadAgreement: It is not one, or its dates are the wrong way round.
    """
    try:
        value = decode_object(data, 8192)
        canonical.closed(
            value,
            [
                "v",
                "record_id",
                "kind",
                "state",
                "given_by",
                "capture",
                "captured_by",
                "captured_at",
                "valid_from",
                "valid_to",
                "questions",
                "purposes",
                "requesters",
                "responders",
                "subject_tags",
                "binding",
                "notice",
                "policy",
            ],
        )
        canonical.integer(value, "v", 1, 1)
        tags = tuple(unb64url(tag) for tag in canonical.strings(value, "subject_tags", 3))
        agreement = Agreement(
            record_id=canonical.text(value, "record_id", UUID),
            kind=canonical.text(value, "kind", "service_agreement|gdpr_consent"),
            state=canonical.text(value, "state", f"{GIVEN}|{RENEWED}"),
            given_by=canonical.text(value, "given_by", "self|parent|other_pr_holder|court_order"),
            capture=canonical.text(value, "capture", "paper|voice|web"),
            captured_by=canonical.text(value, "captured_by", AGENCY),
            captured_at_ns=canonical.from_rfc3339(canonical.text(value, "captured_at")),
            valid_from_ns=canonical.from_rfc3339(canonical.text(value, "valid_from")),
            valid_to_ns=canonical.from_rfc3339(canonical.text(value, "valid_to")),
            questions=canonical.strings(value, "questions", 50, QUESTION),
            purposes=canonical.strings(value, "purposes", 20, WORD),
            requesters=canonical.strings(value, "requesters", 50, AGENCY),
            responders=canonical.strings(value, "responders", 50, AGENCY),
            subject_tags=tags,
            binding=canonical.text(value, "binding", HEX64),
            notice=canonical.text(value, "notice", WORD),
            policy=canonical.text(value, "policy", HEX64),
        )
    except NotCanonical as error:
        raise BadAgreement("the agreement is malformed") from error
    if not tags or any(len(tag) != 16 for tag in tags):
        raise BadAgreement("a subject tag is not 16 bytes, or there is none")
    if not agreement.valid_from_ns < agreement.valid_to_ns:
        raise BadAgreement("the agreement ends before it begins")
    return agreement


def withdrawal_bytes(withdrawal: Withdrawal) -> bytes:
    """Canonical bytes of a withdrawal, to be signed under WITHDRAWAL_LABEL."""
    return encode(
        {
            "v": 1,
            "record_id": withdrawal.record_id,
            "taken_by": withdrawal.taken_by,
            "taken_at": canonical.rfc3339(withdrawal.taken_at_ns),
            "withdrawn_by": withdrawal.withdrawn_by,
        }
    )


def parse_withdrawal(data: bytes) -> Withdrawal:
    """Read a withdrawal.

    Raises:
        BadAgreement: It is not one.
    """
    try:
        value = decode_object(data, 1024)
        canonical.closed(value, ["v", "record_id", "taken_by", "taken_at", "withdrawn_by"])
        canonical.integer(value, "v", 1, 1)
        return Withdrawal(
            record_id=canonical.text(value, "record_id", UUID),
            taken_by=canonical.text(value, "taken_by", AGENCY),
            taken_at_ns=canonical.from_rfc3339(canonical.text(value, "taken_at")),
            withdrawn_by=canonical.text(value, "withdrawn_by", "self|parent|other_pr_holder|court_order"),
        )
    except NotCanonical as error:
        raise BadAgreement("the withdrawal is malformed") from error


def committed(family: Family) -> bool:
    """Whether an agreement commits to a person's tokens of this family.

    Those that fix two fields whole, the first name or the full birth date among them, and have no spelling variants:
    others would add bytes and fix little or nothing more.
    """
    return bool(family.fixes & MUST_FIX) and len(family.fixes) > 1 and "dob.mask" not in family.parts


def commit(salt: bytes, tokens: Iterable[bytes]) -> Binding:
    """Commit to a person's tokens.

    Args:
        salt: 32 random bytes, fresh for each agreement.
        tokens: The person's tokens of the families that are `committed`.

    Raises:
        BadAgreement: There is no token to commit to.
    """
    commitments = tuple(sorted({sha256(salt, token) for token in tokens}))
    if not commitments or len(salt) != SALT_BYTES:
        raise BadAgreement("there is nothing to bind the agreement to")
    return Binding(salt, commitments)


def binding_digest(binding: Binding) -> str:
    """Digest that the agreement carries in place of its binding, hexadecimal."""
    return sha256(lp(BINDING_LABEL, binding.salt, *binding.commitments)).hex()


def check_binding(agreement: Agreement, binding: Binding) -> None:
    """Check that a binding is the one that was signed for.

    Raises:
        BadAgreement: It is another.
    """
    if not hmac.compare_digest(binding_digest(binding), agreement.binding):
        raise BadAgreement("the binding is not the one this agreement was signed with")


def binds(binding: Binding, tokens: Iterable[tuple[str, bytes]], fixes: Mapping[str, frozenset[str]]) -> bool:
    """Whether an agreement binds the record that these tokens belong to.

    Args:
        binding: From the slot.
        tokens: (family, token) of every index entry of the record.
        fixes: Family -> the fields that it fixes exactly.

    Returns:
        True when the matching families together fix all of MUST_FIX.
    """
    committed = set(binding.commitments)
    fixed: set[str] = set()
    for family, token in tokens:
        if sha256(binding.salt, token) in committed:
            fixed |= fixes.get(family, frozenset())
    return fixed >= MUST_FIX


def binding_object(binding: Binding) -> dict[str, canonical.Json]:
    """A binding as it stands in a slot or a delivery."""
    return {"salt": b64url(binding.salt), "commitments": [b64url(item) for item in binding.commitments]}


def parse_binding(value: Mapping[str, canonical.Json]) -> Binding:
    """Read what `binding_object` made.

    Raises:
        NotCanonical: It is not a binding.
    """
    canonical.closed(value, ["salt", "commitments"])
    salt = unb64url(canonical.text(value, "salt"))
    commitments: Sequence[bytes] = [unb64url(item) for item in canonical.strings(value, "commitments", 64)]
    if len(salt) != SALT_BYTES or any(len(item) != 32 for item in commitments):
        raise NotCanonical("salt or commitment is not 32 bytes")
    return Binding(salt, tuple(commitments))
