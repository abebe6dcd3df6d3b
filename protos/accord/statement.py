"""The asker's signed statement of one question, in three parts.

* The *core* is seen by the broker and by every addressed node.
* The *broker part* is seen by the broker only: which agencies are asked, under
  which gateway each, and about how many people in which roles, but not who.
* A *node part* for each addressed agency is seen by the broker and that node.

The asker signs core | SHA-256(broker part) | a sorted list of salted digests of
the node parts, padded with random ones. So a node can check that its own part
belongs to the statement, and cannot tell which other agencies were asked, nor
how many. The broker can neither invent an asker nor change a question.
"""

import hmac
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord import canonical, signing
from accord.canonical import Json, NotCanonical, b64url, decode_object, encode, lp, sha256, unb64url
from accord.reasons import Problem

LABEL: Final = "accord statement v1"
PART_LABEL: Final = b"accord node part v1"
SALT_BYTES: Final = 32
LIST_SIZES: Final = (4, 8, 16, 32, 64)
"""Sizes the list of node digests is padded to, so that its length tells little."""
MAX_LIFE_S: Final = 60
"""Longest time from issue to expiry of a statement, in seconds; as long as its caller token."""
MAX_PAYLOAD_BYTES: Final = 104 * 1024
"""Largest envelope: with everything beside it, a frame to one node stays within 128 KiB."""
MAX_SUBJECTS: Final = 12
MAX_TARGETS: Final = 50

AGENCY: Final = r"[a-z][a-z0-9-]{1,30}"
QUESTION: Final = r"(?=.{3,128}\Z)[a-z0-9_]+(\.[a-z0-9_]+)+"
"""Form of a catalogue identifier; its length is bounded because it must fit into an answer of constant size."""
UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
HEX64: Final = r"[0-9a-f]{64}"
WORD: Final = r"[A-Za-z0-9_.-]{1,64}"
REF: Final = r"s([1-9]|1[0-2])"


class BadStatement(Problem):
    """The statement does not hold together."""

    reason = "BAD_STATEMENT"


@dataclass(frozen=True, slots=True)
class Core:
    """What the broker and every addressed node see.

    Attributes:
        query_id: UUID version 7 (RFC 9562 section 5.7); single use for each asking agency.
        agency: The asking agency.
        role: The asking user's role.
        caller_token_sha256: SHA-256 of the caller token, hexadecimal.
        question: Catalogue identifier.
        question_version: Its version.
        purpose: Why it is asked.
        urgency: routine, same_day or immediate.
        reply_key: One-time X25519 public key to which contact routes are sealed, 32 bytes.
        epoch: Linkage epoch.
        normaliser: Digest of the normaliser, hexadecimal.
        families: Digest of the family set, hexadecimal.
        key_servers: Digest over both key servers' public keys, hexadecimal.
        issued_at_ns: When the statement was made.
        expires_at_ns: When it stops counting.
    """

    query_id: str
    agency: str
    role: str
    caller_token_sha256: str
    question: str
    question_version: int
    purpose: str
    urgency: str
    reply_key: bytes
    epoch: str
    normaliser: str
    families: str
    key_servers: str
    issued_at_ns: int
    expires_at_ns: int


@dataclass(frozen=True, slots=True)
class Target:
    """One agency to be asked and the lawful ground claimed for it."""

    agency: str
    gateway: str
    art6: str
    art9: str = "none"
    sch1: str = "none"
    crime: str = "none"
    isa_id: str = "none"


@dataclass(frozen=True, slots=True)
class Subject:
    """One person asked about, by reference only.

    Attributes:
        ref: s1 to s12.
        role: child, parent or other_adult.
        age_band: 0_4, 5_9, 10_15, 16_17, 18_plus or unknown.
        relates_to_child: An adult asked about so far as it relates to a child in the same question.
        competence: competent, not_competent, not_assessed or n_a.
        concerns_unborn: The question concerns an unborn child.
        consistent_id: present, unknown, withheld_detriment or would_delay; never changes a decision.
    """

    ref: str
    role: str
    age_band: str
    relates_to_child: bool = False
    competence: str = "n_a"
    concerns_unborn: bool = False
    consistent_id: str = "unknown"


@dataclass(frozen=True, slots=True)
class Assertions:
    """What the asker asserts; signed, and audited later.

    Attributes:
        need_tier: 1 to 4, or None.
        necessity_code: Why the answer is needed; a code of the policy data, or "".
        views_sought: yes, no, not_safe or not_practicable.
        proportionality_code: A code of the policy data, or "".
        significant_harm_asserted: Reasonable cause to suspect significant harm.
        public_task_stated: The asker states that it needs the answer for its public task.
        told_state: told, not_told or n_a.
        told_reason: none, would_increase_risk, would_prejudice_crime or impracticable.
        told_review_at_ns: When a delay of telling is reviewed, or None.
        break_glass_ground: Which emergency it is, a code of the policy data; none where there is none.
        supervisor_token: Pseudonym of the supervisor who was told of an emergency, 64 hexadecimal digits, or "".
    """

    need_tier: int | None = None
    necessity_code: str = ""
    views_sought: str = "no"
    proportionality_code: str = ""
    significant_harm_asserted: bool = False
    public_task_stated: bool = False
    told_state: str = "n_a"
    told_reason: str = "none"
    told_review_at_ns: int | None = None
    break_glass_ground: str = "none"
    supervisor_token: str = ""

    @property
    def break_glass(self) -> bool:
        """Whether the emergency route is claimed."""
        return (self.break_glass_ground, self.supervisor_token) != ("none", "")


@dataclass(frozen=True, slots=True)
class AgreementRef:
    """An agreement relied on, and the subject it covers."""

    record_id: str
    subject_ref: str


@dataclass(frozen=True, slots=True)
class BrokerPart:
    """What only the broker sees. `subject_tags` are 16 bytes each, keyed by subject reference."""

    targets: tuple[Target, ...]
    subjects: tuple[Subject, ...]
    assertions: Assertions
    agreements: tuple[AgreementRef, ...]
    case_token: str
    subject_tags: Mapping[str, tuple[bytes, ...]]
    answer_form: str


@dataclass(frozen=True, slots=True)
class NodePart:
    """What one addressed agency sees beside the core."""

    node: str
    gateway: str
    payload_sha256: str


@dataclass(frozen=True, slots=True)
class Draft:
    """One node part before it is signed: its bytes, its salt and the sealed envelope."""

    node: str
    part: bytes
    salt: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class SignedStatement:
    """A whole statement with its signature, as it travels."""

    core: bytes
    broker_part: bytes
    node_digests: tuple[bytes, ...]
    signature: bytes
    key_id: str
    drafts: tuple[Draft, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement whose signature the broker checked.

    Attributes:
        core: The core.
        core_bytes: As received.
        broker_part: The broker part.
        broker_part_bytes: As received.
        broker_part_sha256: 32 bytes.
        node_digests: The signed list.
        signature: The asker's signature.
        key_id: Whose key made it.
        digest: 32 bytes that name the whole statement.
        drafts: The node parts by agency.
    """

    core: Core
    core_bytes: bytes
    broker_part: BrokerPart
    broker_part_bytes: bytes
    broker_part_sha256: bytes
    node_digests: tuple[bytes, ...]
    signature: bytes
    key_id: str
    digest: bytes
    drafts: Mapping[str, Draft]


@dataclass(frozen=True, slots=True)
class NodeStatement:
    """What one node may know of a statement, its signature and its own part checked."""

    core: Core
    core_digest: bytes
    part: NodePart
    part_digest: bytes
    node_salt: bytes
    payload: bytes
    node_digests: tuple[bytes, ...]
    digest: bytes


def core_bytes(core: Core) -> bytes:
    """Canonical bytes of a core."""
    return encode(
        {
            "v": 1,
            "query_id": core.query_id,
            "agency": core.agency,
            "role": core.role,
            "caller_token": core.caller_token_sha256,
            "question": core.question,
            "question_version": core.question_version,
            "purpose": core.purpose,
            "urgency": core.urgency,
            "reply_key": b64url(core.reply_key),
            "epoch": core.epoch,
            "normaliser": core.normaliser,
            "families": core.families,
            "key_servers": core.key_servers,
            "issued_at": canonical.rfc3339(core.issued_at_ns),
            "expires_at": canonical.rfc3339(core.expires_at_ns),
        }
    )


_CORE_KEYS: Final = [
    "v",
    "query_id",
    "agency",
    "role",
    "caller_token",
    "question",
    "question_version",
    "purpose",
    "urgency",
    "reply_key",
    "epoch",
    "normaliser",
    "families",
    "key_servers",
    "issued_at",
    "expires_at",
]


def parse_core(data: bytes) -> Core:
    """Read a core.

    Raises:
        NotCanonical: It is not one.
    """
    value = decode_object(data, 4096)
    canonical.closed(value, _CORE_KEYS)
    canonical.integer(value, "v", 1, 1)
    reply_key = unb64url(canonical.text(value, "reply_key"))
    if len(reply_key) != signing.KEY_BYTES:
        raise NotCanonical("reply_key is not 32 bytes")
    core = Core(
        query_id=canonical.text(value, "query_id", UUID),
        agency=canonical.text(value, "agency", AGENCY),
        role=canonical.text(value, "role", WORD),
        caller_token_sha256=canonical.text(value, "caller_token", HEX64),
        question=canonical.text(value, "question", QUESTION),
        question_version=canonical.integer(value, "question_version", 1, 10_000),
        purpose=canonical.text(value, "purpose", WORD),
        urgency=canonical.text(value, "urgency", "routine|same_day|immediate"),
        reply_key=reply_key,
        epoch=canonical.text(value, "epoch", WORD),
        normaliser=canonical.text(value, "normaliser", HEX64),
        families=canonical.text(value, "families", HEX64),
        key_servers=canonical.text(value, "key_servers", HEX64),
        issued_at_ns=canonical.from_rfc3339(canonical.text(value, "issued_at")),
        expires_at_ns=canonical.from_rfc3339(canonical.text(value, "expires_at")),
    )
    if not 0 < core.expires_at_ns - core.issued_at_ns <= MAX_LIFE_S * 1_000_000_000:
        raise NotCanonical("the statement's life is not between 0 and 60 seconds")
    return core


def broker_part_bytes(part: BrokerPart) -> bytes:
    """Canonical bytes of a broker part."""
    told = part.assertions.told_review_at_ns
    return encode(
        {
            "v": 1,
            "targets": [
                {
                    "agency": target.agency,
                    "gateway": target.gateway,
                    "art6": target.art6,
                    "art9": target.art9,
                    "sch1": target.sch1,
                    "crime": target.crime,
                    "isa_id": target.isa_id,
                }
                for target in part.targets
            ],
            "subjects": [
                {
                    "ref": subject.ref,
                    "role": subject.role,
                    "age_band": subject.age_band,
                    "relates_to_child": subject.relates_to_child,
                    "competence": subject.competence,
                    "concerns_unborn": subject.concerns_unborn,
                    "consistent_id": subject.consistent_id,
                    "tags": [b64url(tag) for tag in part.subject_tags[subject.ref]],
                }
                for subject in part.subjects
            ],
            "assertions": {
                "need_tier": part.assertions.need_tier,
                "necessity_code": part.assertions.necessity_code,
                "views_sought": part.assertions.views_sought,
                "proportionality_code": part.assertions.proportionality_code,
                "significant_harm_asserted": part.assertions.significant_harm_asserted,
                "public_task_stated": part.assertions.public_task_stated,
                "told_state": part.assertions.told_state,
                "told_reason": part.assertions.told_reason,
                "told_review_at": None if told is None else canonical.rfc3339(told),
                **_break_glass(part.assertions),
            },
            "agreements": [{"record_id": ref.record_id, "subject_ref": ref.subject_ref} for ref in part.agreements],
            "case_token": part.case_token,
            "answer_form": part.answer_form,
        }
    )


def _break_glass(assertions: Assertions) -> dict[str, Json]:
    """What is said of an emergency; nothing in an ordinary question, whose bytes stay as they were."""
    if not assertions.break_glass:
        return {}
    return {"break_glass": {"ground": assertions.break_glass_ground, "supervisor": assertions.supervisor_token}}


def parse_broker_part(data: bytes) -> BrokerPart:
    """Read a broker part.

    Raises:
        NotCanonical: It is not one.
    """
    value = decode_object(data)
    canonical.closed(value, ["v", "targets", "subjects", "assertions", "agreements", "case_token", "answer_form"])
    canonical.integer(value, "v", 1, 1)
    targets = tuple(_target(item) for item in canonical.objects(value, "targets", MAX_TARGETS))
    read = [_subject(item) for item in canonical.objects(value, "subjects", MAX_SUBJECTS)]
    if not targets or len({target.agency for target in targets}) != len(targets):
        raise NotCanonical("no target, or one named twice")
    if [subject.ref for subject, _ in read] != [f"s{number}" for number in range(1, len(read) + 1)]:
        raise NotCanonical("subjects are not numbered s1, s2 and so on")
    if not read:
        raise NotCanonical("nobody is asked about")
    assertions = value["assertions"]
    if not isinstance(assertions, dict):
        raise NotCanonical("assertions is not an object")
    agreements = tuple(_agreement_ref(item) for item in canonical.objects(value, "agreements", 100))
    if not {ref.subject_ref for ref in agreements} <= {subject.ref for subject, _ in read}:
        raise NotCanonical("an agreement names a subject that is not asked about")
    return BrokerPart(
        targets=targets,
        subjects=tuple(subject for subject, _ in read),
        assertions=_assertions(assertions),
        agreements=agreements,
        case_token=canonical.text(value, "case_token", HEX64),
        subject_tags={subject.ref: tags for subject, tags in read},
        answer_form=canonical.text(value, "answer_form", WORD),
    )


def _target(value: dict[str, Json]) -> Target:
    canonical.closed(value, ["agency", "gateway", "art6", "art9", "sch1", "crime", "isa_id"])
    return Target(
        agency=canonical.text(value, "agency", AGENCY),
        gateway=canonical.text(value, "gateway", WORD),
        art6=canonical.text(value, "art6", WORD),
        art9=canonical.text(value, "art9", WORD),
        sch1=canonical.text(value, "sch1", WORD),
        crime=canonical.text(value, "crime", WORD),
        isa_id=canonical.text(value, "isa_id", WORD),
    )


def _subject(value: dict[str, Json]) -> tuple[Subject, tuple[bytes, ...]]:
    canonical.closed(
        value,
        ["ref", "role", "age_band", "relates_to_child", "competence", "concerns_unborn", "consistent_id", "tags"],
    )
    tags = tuple(unb64url(tag) for tag in canonical.strings(value, "tags", 3))
    if any(len(tag) != 16 for tag in tags):
        raise NotCanonical("a subject tag is not 16 bytes")
    return (
        Subject(
            ref=canonical.text(value, "ref", REF),
            role=canonical.text(value, "role", "child|parent|other_adult"),
            age_band=canonical.text(value, "age_band", "0_4|5_9|10_15|16_17|18_plus|unknown"),
            relates_to_child=canonical.boolean(value, "relates_to_child"),
            competence=canonical.text(value, "competence", "competent|not_competent|not_assessed|n_a"),
            concerns_unborn=canonical.boolean(value, "concerns_unborn"),
            consistent_id=canonical.text(value, "consistent_id", "present|unknown|withheld_detriment|would_delay"),
        ),
        tags,
    )


def _assertions(value: dict[str, Json]) -> Assertions:
    canonical.closed(
        value,
        [
            "need_tier",
            "necessity_code",
            "views_sought",
            "proportionality_code",
            "significant_harm_asserted",
            "public_task_stated",
            "told_state",
            "told_reason",
            "told_review_at",
            *(["break_glass"] if "break_glass" in value else []),
        ],
    )
    review = value["told_review_at"]
    claim = value.get("break_glass", {"ground": "none", "supervisor": ""})
    if not isinstance(claim, dict):
        raise NotCanonical("break_glass is not an object")
    canonical.closed(claim, ["ground", "supervisor"])
    if "break_glass" in value and claim == {"ground": "none", "supervisor": ""}:
        raise NotCanonical("an emergency that claims nothing is left out")
    return Assertions(
        need_tier=None if value["need_tier"] is None else canonical.integer(value, "need_tier", 1, 4),
        necessity_code=canonical.text(value, "necessity_code", "[a-z0-9_]{0,64}"),
        views_sought=canonical.text(value, "views_sought", "yes|no|not_safe|not_practicable"),
        proportionality_code=canonical.text(value, "proportionality_code", "[a-z0-9_]{0,64}"),
        significant_harm_asserted=canonical.boolean(value, "significant_harm_asserted"),
        public_task_stated=canonical.boolean(value, "public_task_stated"),
        told_state=canonical.text(value, "told_state", "told|not_told|n_a"),
        told_reason=canonical.text(
            value, "told_reason", "none|would_increase_risk|would_prejudice_crime|impracticable"
        ),
        told_review_at_ns=None if review is None else canonical.from_rfc3339(canonical.text(value, "told_review_at")),
        break_glass_ground=canonical.text(claim, "ground", "[a-z_]{1,64}"),
        supervisor_token=canonical.text(claim, "supervisor", f"({HEX64})?"),
    )


def _agreement_ref(value: dict[str, Json]) -> AgreementRef:
    canonical.closed(value, ["record_id", "subject_ref"])
    return AgreementRef(canonical.text(value, "record_id", UUID), canonical.text(value, "subject_ref", REF))


def node_part_bytes(part: NodePart) -> bytes:
    """Canonical bytes of a node part."""
    return encode({"v": 1, "node": part.node, "gateway": part.gateway, "payload": part.payload_sha256})


def parse_node_part(data: bytes) -> NodePart:
    """Read a node part.

    Raises:
        NotCanonical: It is not one.
    """
    value = decode_object(data, 1024)
    canonical.closed(value, ["v", "node", "gateway", "payload"])
    canonical.integer(value, "v", 1, 1)
    return NodePart(
        canonical.text(value, "node", AGENCY),
        canonical.text(value, "gateway", WORD),
        canonical.text(value, "payload", HEX64),
    )


def part_digest(salt: bytes, part: bytes) -> bytes:
    """Salted digest of a node part: 32 bytes that tell nothing without the salt."""
    return sha256(lp(PART_LABEL, salt, part))


def message(core: bytes, broker_part_sha256: bytes, node_digests: Sequence[bytes]) -> bytes:
    """The bytes that the asker signs under LABEL."""
    return lp(core, broker_part_sha256, *node_digests)


def digest(core: bytes, broker_part_sha256: bytes, node_digests: Sequence[bytes]) -> bytes:
    """The 32 bytes that name a statement in warrants, answers and the ledger."""
    return sha256(lp(LABEL.encode()), message(core, broker_part_sha256, node_digests))


def draft(part: NodePart, payload: bytes, random: Callable[[int], bytes] = os.urandom) -> Draft:
    """Make one node part ready to be signed, with a fresh salt."""
    return Draft(part.node, node_part_bytes(part), random(SALT_BYTES), payload)


def sign(
    core: bytes,
    broker_part: bytes,
    drafts: Sequence[Draft],
    asking_key: Ed25519PrivateKey,
    random: Callable[[int], bytes] = os.urandom,
) -> SignedStatement:
    """Sign a statement.

    Args:
        core: From `core_bytes`.
        broker_part: From `broker_part_bytes`.
        drafts: One for each target.
        asking_key: The asking agency's asking key.
        random: Source of random bytes for the padding of the list.

    Raises:
        BadStatement: More targets than the largest list holds.
    """
    size = next((size for size in LIST_SIZES if size >= len(drafts)), None)
    if size is None:
        raise BadStatement("too many targets")
    digests = [part_digest(item.salt, item.part) for item in drafts]
    digests += [random(32) for _ in range(size - len(digests))]
    digests.sort()
    signature = signing.sign(asking_key, LABEL, message(core, sha256(broker_part), digests))
    public = signing.public_bytes(asking_key)
    return SignedStatement(core, broker_part, tuple(digests), signature, signing.key_id(public), tuple(drafts))


def open_for_broker(signed: SignedStatement, asking_public: bytes) -> Statement:
    """Check a statement as the broker sees it.

    Args:
        signed: As received.
        asking_public: The asking key that the directory lists for the agency the certificate names.

    Raises:
        BadSignature: The signature is not this key's.
        BadStatement: A part is malformed, or the parts do not belong together.
    """
    _check_list(signed.node_digests)
    if signed.key_id != signing.key_id(asking_public):
        raise signing.BadSignature("the statement names a key that the directory does not list for this agency")
    broker_part_sha256 = sha256(signed.broker_part)
    signing.verify(
        asking_public, LABEL, message(signed.core, broker_part_sha256, signed.node_digests), signed.signature
    )
    try:
        core = parse_core(signed.core)
        broker_part = parse_broker_part(signed.broker_part)
        gateways = {target.agency: target.gateway for target in broker_part.targets}
        for item in signed.drafts:
            part = parse_node_part(item.part)
            _check_part(part, item, signed.node_digests)
            if gateways.get(item.node) != part.gateway:
                raise BadStatement("a node part names another gateway than the broker part")
    except NotCanonical as error:
        raise BadStatement("a part of the statement is malformed") from error
    drafts = {item.node: item for item in signed.drafts}
    if set(drafts) != set(gateways) or len(drafts) != len(signed.drafts):
        raise BadStatement("the node parts are not those of the targets")
    return Statement(
        core=core,
        core_bytes=signed.core,
        broker_part=broker_part,
        broker_part_bytes=signed.broker_part,
        broker_part_sha256=broker_part_sha256,
        node_digests=signed.node_digests,
        signature=signed.signature,
        key_id=signed.key_id,
        digest=digest(signed.core, broker_part_sha256, signed.node_digests),
        drafts=drafts,
    )


def open_for_node(
    *,
    core: bytes,
    broker_part_sha256: bytes,
    node_digests: tuple[bytes, ...],
    signature: bytes,
    key_id: str,
    draft: Draft,
    node: str,
    asking_public: Callable[[str], bytes],
) -> NodeStatement:
    """Check a statement as one node sees it.

    Args:
        core: As received.
        broker_part_sha256: Digest of the part that only the broker sees.
        node_digests: The signed list.
        signature: The asker's signature.
        key_id: Whose key made it.
        draft: This node's part, salt and payload.
        node: This node's own identifier.
        asking_public: The directory's asking key of an agency; raises a Problem for an unknown one.

    Raises:
        BadSignature: The signature is not the asking agency's.
        BadStatement: A part is malformed, or this node's part is not in the signed list.
    """
    _check_list(node_digests)
    if len(broker_part_sha256) != 32:
        raise BadStatement("the digest of the broker part is not 32 bytes")
    try:
        parsed = parse_core(core)
        public = asking_public(parsed.agency)
        if key_id != signing.key_id(public):
            raise signing.BadSignature("the statement names a key that the directory does not list for this agency")
        signing.verify(public, LABEL, message(core, broker_part_sha256, node_digests), signature)
        part = parse_node_part(draft.part)
    except NotCanonical as error:
        raise BadStatement("a part of the statement is malformed") from error
    if part.node != node:
        raise BadStatement("the node part is addressed to another node")
    _check_part(part, draft, node_digests)
    return NodeStatement(
        core=parsed,
        core_digest=sha256(core),
        part=part,
        part_digest=part_digest(draft.salt, draft.part),
        node_salt=draft.salt,
        payload=draft.payload,
        node_digests=node_digests,
        digest=digest(core, broker_part_sha256, node_digests),
    )


def _check_list(node_digests: Sequence[bytes]) -> None:
    if len(node_digests) not in LIST_SIZES or any(len(item) != 32 for item in node_digests):
        raise BadStatement("the list of node digests has a wrong size")
    if list(node_digests) != sorted(set(node_digests)):
        raise BadStatement("the list of node digests is not sorted")


def _check_part(part: NodePart, item: Draft, node_digests: Sequence[bytes]) -> None:
    if part.node != item.node or len(item.salt) != SALT_BYTES or len(item.payload) > MAX_PAYLOAD_BYTES:
        raise BadStatement("a node part does not fit its frame")
    if not hmac.compare_digest(part.payload_sha256, sha256(item.payload).hex()):
        raise BadStatement("the payload is not the one that was signed for")
    if part_digest(item.salt, item.part) not in node_digests:
        raise BadStatement("a node part is not in the signed list")
