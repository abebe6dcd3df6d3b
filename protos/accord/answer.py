"""One node's signed answer to one question: always 2,048 bytes.

    2 bytes   length of the body, big-endian
    n bytes   body: canonical JSON
    zeros     up to 1,984 bytes
    64 bytes  Ed25519 signature by the node's answer key over all before it

*Yes*, *no* and every cause of *cannot say* look alike from outside: same size,
same fields. A node speaks of all twelve slots that an envelope can have: it
cannot tell how many people were asked about, and its answer does not tell
whether it could open the envelope. Contact routes for all slots travel in one
block of constant size, sealed (HPKE, RFC 9180) to the asker's one-time reply key
with `info` = statement digest | node | "contacts", so the broker carries names
of teams that it cannot read.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord import canonical, signing
from accord.canonical import Json, NotCanonical, b64url, decode_object, encode, lp, unb64url
from accord.reasons import Problem
from accord.statement import AGENCY, HEX64, QUESTION, REF, UUID

LABEL: Final = "accord answer v1"
CONTACTS_LABEL: Final = b"accord contacts v1"
ANSWER_BYTES: Final = 2048
CONTACT_CHARS: Final = 120
"""Most characters in one field of a contact."""
BODY_BYTES: Final = ANSWER_BYTES - 2 - signing.SIGNATURE_BYTES
CONTACTS_BYTES: Final = 384
"""Size of the contact block before sealing, padded; HPKE adds 48 bytes."""

YES: Final = "YES"
NO: Final = "NO"
CANNOT_SAY: Final = "CANNOT_SAY"
RECENCIES: Final = ("OPEN_NOW", "WITHIN_3M", "WITHIN_12M", "WITHIN_3Y", "OLDER")
LINKAGES: Final = ("CONFIRMED", "PROBABLE")


class BadAnswer(Problem):
    """A signed answer does not hold."""

    reason = "BAD_ANSWER"


@dataclass(frozen=True, slots=True)
class SlotAnswer:
    """What the agency says about one slot.

    Attributes:
        ref: s1 to s12.
        answer: YES, NO or CANNOT_SAY.
        recency: One of RECENCIES, or "".
        linkage: One of LINKAGES when the person was found, or "".
    """

    ref: str
    answer: str
    recency: str = ""
    linkage: str = ""

    def __bool__(self) -> bool:
        """Refuse to be a truth value: an answer has three, and `if answer:` would hide one.

        Raises:
            TypeError: Always.
        """
        raise TypeError("an answer has no truth value; compare .answer")


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom to ring about one slot. Work contacts of the agency, never a family's."""

    ref: str
    team: str
    role: str
    phone: str
    lead: str = ""


@dataclass(frozen=True, slots=True)
class AgencyAnswer:
    """A node's answer, signature checked.

    Attributes:
        statement: Digest of the statement it answers, 32 bytes.
        jti: The warrant it was given under.
        query_id: The question.
        node: The answering agency.
        question: Catalogue identifier.
        question_version: Its version.
        as_of_ns: How old the records are that it was read from.
        policy: Policy revision of the node.
        slots: One for each slot of the envelope.
        sealed_contacts: The sealed contact block.
    """

    statement: bytes
    jti: str
    query_id: str
    node: str
    question: str
    question_version: int
    as_of_ns: int
    policy: str
    slots: tuple[SlotAnswer, ...]
    sealed_contacts: bytes

    def slot(self, ref: str) -> SlotAnswer:
        """The answer about one subject; CANNOT_SAY when the node gave none."""
        return next((slot for slot in self.slots if slot.ref == ref), SlotAnswer(ref, CANNOT_SAY))

    def of_family(self) -> SlotAnswer:
        """The one answer about a family as a whole, which stands in every slot.

        Raises:
            BadAnswer: The slots differ, and so tell who of the family is known.
        """
        first, *others = self.slots or (SlotAnswer("s1", CANNOT_SAY),)
        if any(
            (one.answer, one.recency, one.linkage) != (first.answer, first.recency, first.linkage) for one in others
        ):
            raise BadAnswer("the answer about a family tells its members apart")
        return first


def contacts_info(statement: bytes, node: str) -> bytes:
    """HPKE `info` to which the contact block is bound."""
    return lp(CONTACTS_LABEL, statement, node.encode())


def contacts_bytes(contacts: Sequence[Contact]) -> bytes:
    """The contact block before sealing: always CONTACTS_BYTES.

    Equal routes are stored once. Routes that do not fit are left out from the end; the agency can still be rung
    through the directory. What the agency's records hold is made fit to print first: normal form C, no control
    characters, at most CONTACT_CHARS; a decomposed accent in a team's name must not keep an answer from leaving.
    """
    kept = list(contacts)
    while True:
        routes: list[list[str]] = []
        slots: dict[str, int] = {}
        for contact in kept:
            route = [_printable(field) for field in (contact.team, contact.role, contact.phone, contact.lead)]
            if route not in routes:
                routes.append(route)
            slots[contact.ref] = routes.index(route)
        body = encode({"routes": routes, "slots": slots})
        if len(body) + 2 <= CONTACTS_BYTES:
            return (len(body).to_bytes(2, "big") + body).ljust(CONTACTS_BYTES, b"\0")
        kept.pop()


def _printable(field: str) -> str:
    kept = "".join(c for c in field if not (c < " " or "\ud800" <= c <= "\udfff"))
    return unicodedata.normalize("NFC", kept)[:CONTACT_CHARS]


def parse_contacts(data: bytes) -> tuple[Contact, ...]:
    """Read a contact block that was unsealed.

    Raises:
        BadAnswer: It is not one.
    """
    try:
        value = decode_object(_unpad(data, CONTACTS_BYTES))
        canonical.closed(value, ["routes", "slots"])
        routes = [
            canonical.strings({"route": route}, "route", 4, rf"[^\x00-\x1f]{{0,{CONTACT_CHARS}}}")
            for route in canonical.array(value, "routes", 12)
        ]
        slots = value["slots"]
        if not isinstance(slots, dict):
            raise NotCanonical("slots is not an object")
        found = []
        for ref in slots:
            team, role, phone, lead = routes[canonical.integer(slots, ref, 0, len(routes) - 1)]
            found.append(Contact(canonical.text({"ref": ref}, "ref", REF), team, role, phone, lead))
    except (NotCanonical, ValueError) as error:
        raise BadAnswer("the contact block is malformed") from error
    return tuple(found)


def build(answer: AgencyAnswer, answer_key: Ed25519PrivateKey) -> bytes:
    """Sign an answer.

    Returns:
        2,048 bytes.

    Raises:
        BadAnswer: The body does not fit, a bug of the node's.
    """
    slots: list[Json] = [
        {"ref": slot.ref, "a": slot.answer, "r": slot.recency, "l": slot.linkage} for slot in answer.slots
    ]
    body = encode(
        {
            "v": 1,
            "statement": b64url(answer.statement),
            "jti": answer.jti,
            "query_id": answer.query_id,
            "node": answer.node,
            "question": answer.question,
            "question_version": answer.question_version,
            "as_of": canonical.rfc3339(answer.as_of_ns),
            "policy": answer.policy,
            "slots": slots,
            "contacts": b64url(answer.sealed_contacts),
        }
    )
    if len(body) > BODY_BYTES:
        raise BadAnswer("the answer does not fit into its frame")
    frame = (len(body).to_bytes(2, "big") + body).ljust(2 + BODY_BYTES, b"\0")
    return frame + signing.sign(answer_key, LABEL, frame)


def open_answer(data: bytes, *, node: str, answer_public: bytes) -> AgencyAnswer:
    """Check a signed answer.

    Args:
        data: The 2,048 bytes as received.
        node: The agency that must have signed it.
        answer_public: The directory's answer key of that agency.

    Raises:
        BadAnswer: Wrong size, malformed, signed by another, or an unknown word in it.
    """
    if len(data) != ANSWER_BYTES:
        raise BadAnswer("the answer is not 2,048 bytes")
    frame, signature = data[: -signing.SIGNATURE_BYTES], data[-signing.SIGNATURE_BYTES :]
    try:
        signing.verify(answer_public, LABEL, frame, signature)
        value = decode_object(_unpad(frame, 2 + BODY_BYTES))
        canonical.closed(
            value,
            [
                "v",
                "statement",
                "jti",
                "query_id",
                "node",
                "question",
                "question_version",
                "as_of",
                "policy",
                "slots",
                "contacts",
            ],
        )
        canonical.integer(value, "v", 1, 1)
        if canonical.text(value, "node", AGENCY) != node:
            raise BadAnswer("the answer names another agency")
        statement = unb64url(canonical.text(value, "statement"))
        slots = tuple(_slot(item) for item in canonical.objects(value, "slots", 12))
        if len(statement) != 32 or len({slot.ref for slot in slots}) != len(slots):
            raise BadAnswer("the answer is malformed")
        return AgencyAnswer(
            statement=statement,
            jti=canonical.text(value, "jti", UUID),
            query_id=canonical.text(value, "query_id", UUID),
            node=node,
            question=canonical.text(value, "question", QUESTION),
            question_version=canonical.integer(value, "question_version", 1, 10_000),
            as_of_ns=canonical.from_rfc3339(canonical.text(value, "as_of")),
            policy=canonical.text(value, "policy", HEX64),
            slots=slots,
            sealed_contacts=unb64url(canonical.text(value, "contacts")),
        )
    except (NotCanonical, signing.BadSignature) as error:
        raise BadAnswer("the answer is malformed or not signed by this agency") from error


def _slot(value: dict[str, Json]) -> SlotAnswer:
    canonical.closed(value, ["ref", "a", "r", "l"])
    return SlotAnswer(
        ref=canonical.text(value, "ref", REF),
        answer=canonical.text(value, "a", "YES|NO|CANNOT_SAY"),
        recency=canonical.text(value, "r", "|".join(RECENCIES) + "|"),
        linkage=canonical.text(value, "l", "|".join(LINKAGES) + "|"),
    )


def _unpad(data: bytes, size: int) -> bytes:
    length = int.from_bytes(data[:2], "big")
    if len(data) != size or length > size - 2 or any(data[2 + length :]):
        raise NotCanonical("the padding is not zeros, or the length is wrong")
    return data[2 : 2 + length]
