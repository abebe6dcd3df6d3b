"""What lies inside one locked slot of an envelope: only a node that holds the person ever reads it."""

from dataclasses import dataclass, field
from typing import Final

from accord import canonical
from accord.agreement import Binding, binding_object, parse_binding
from accord.canonical import Json, NotCanonical, b64url, decode_object, encode, unb64url
from accord.reasons import Problem
from accord.signing import SIGNATURE_BYTES
from accord.statement import REF

MAX_BYTES: Final = 4094


class BadSlot(Problem):
    """A slot opened, but what lies in it is malformed."""

    reason = "BAD_ENVELOPE"


class TooLong(Problem):
    """Description and agreement together are longer than a slot, and nothing is ever cut off."""

    reason = "TOO_LONG_FOR_SLOT"


@dataclass(frozen=True, slots=True)
class AgreementProof:
    """Everything a node needs to rely on an agreement.

    Attributes:
        agreement: The agreement's canonical bytes.
        signature: The capturing node's signature over them.
        binding: Salt and commitments.
        record: The ledger's AGREEMENT_GIVEN record.
        receipt: Proof that the record is in the ledger.
    """

    agreement: bytes
    signature: bytes
    binding: Binding
    record: bytes
    receipt: str


@dataclass(frozen=True, slots=True)
class Content:
    """The description that was sent and what only a holder may see.

    Attributes:
        ref: s1 to s12, as in the broker part.
        description: Canonical bytes of the normalised description.
        role: child, parent or other_adult.
        age_band: As asserted to the policy.
        subject_tags: As given to the broker, so that a holder can check them.
        agreement: The agreement relied on, or None.
    """

    ref: str
    description: bytes = field(repr=False)
    role: str
    age_band: str
    subject_tags: tuple[bytes, ...] = field(repr=False)
    agreement: AgreementProof | None = field(repr=False)


def content_bytes(content: Content) -> bytes:
    """Canonical bytes of a slot's content.

    Raises:
        TooLong: They do not fit.
    """
    proof: Json = None
    if content.agreement is not None:
        proof = {
            "agreement": content.agreement.agreement.decode(),
            "signature": b64url(content.agreement.signature),
            "binding": binding_object(content.agreement.binding),
            "record": content.agreement.record.decode(),
            "receipt": content.agreement.receipt,
        }
    data = encode(
        {
            "v": 1,
            "ref": content.ref,
            "description": content.description.decode(),
            "role": content.role,
            "age_band": content.age_band,
            "subject_tags": [b64url(tag) for tag in content.subject_tags],
            "agreement": proof,
        }
    )
    if len(data) > MAX_BYTES:
        raise TooLong("what is known of this person does not fit into a slot")
    return data


def parse_content(data: bytes) -> Content:
    """Read a slot's content.

    Raises:
        BadSlot: It is malformed.
    """
    try:
        value = decode_object(data, MAX_BYTES)
        canonical.closed(value, ["v", "ref", "description", "role", "age_band", "subject_tags", "agreement"])
        canonical.integer(value, "v", 1, 1)
        proof = value["agreement"]
        tags = tuple(unb64url(tag) for tag in canonical.strings(value, "subject_tags", 3))
        if any(len(tag) != 16 for tag in tags):
            raise NotCanonical("a subject tag is not 16 bytes")
        return Content(
            ref=canonical.text(value, "ref", REF),
            description=canonical.text(value, "description").encode(),
            role=canonical.text(value, "role", "child|parent|other_adult"),
            age_band=canonical.text(value, "age_band", "0_4|5_9|10_15|16_17|18_plus|unknown"),
            subject_tags=tags,
            agreement=None if proof is None else _proof(proof),
        )
    except NotCanonical as error:
        raise BadSlot("the slot's content is malformed") from error


def _proof(value: Json) -> AgreementProof:
    if not isinstance(value, dict):
        raise NotCanonical("agreement is not an object")
    canonical.closed(value, ["agreement", "signature", "binding", "record", "receipt"])
    binding = value["binding"]
    signature = unb64url(canonical.text(value, "signature"))
    if not isinstance(binding, dict) or len(signature) != SIGNATURE_BYTES:
        raise NotCanonical("binding or signature is malformed")
    return AgreementProof(
        agreement=canonical.text(value, "agreement").encode(),
        signature=signature,
        binding=parse_binding(binding),
        record=canonical.text(value, "record").encode(),
        receipt=canonical.text(value, "receipt"),
    )
