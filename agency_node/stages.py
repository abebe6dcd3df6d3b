"""The values passed from step to step while one question is answered.

    Received -> Admitted -> Opened, for each slot that means somebody here -> Given

Each is frozen. Imports nothing of the node's.
"""

from dataclasses import dataclass

from accord.agreement import Agreement
from accord.reasons import Problem
from accord.slot import Content
from accord.statement import Draft, NodeStatement
from accord.warrant import Warrant


class Refused(Problem):
    """A question was not admitted: warrant, statement and envelope do not fit together. Alarmed, never answered."""

    reason = "BAD_WARRANT"


@dataclass(frozen=True, slots=True)
class Received:
    """One question as it came down the stream; nothing of it has been checked.

    Attributes:
        warrant: The broker's warrant.
        core: Canonical bytes of the statement's core.
        broker_part_sha256: Digest of the part that only the broker sees.
        node_digests: The signed list.
        signature: The asker's signature.
        key_id: Whose key made it.
        draft: This node's part, salt and payload.
    """

    warrant: str
    core: bytes
    broker_part_sha256: bytes
    node_digests: tuple[bytes, ...]
    signature: bytes
    key_id: str
    draft: Draft


@dataclass(frozen=True, slots=True)
class Admitted:
    """Warrant and asker's statement hold, agree, and are for this node.

    Attributes:
        statement: The statement, as this node may know it.
        warrant: The warrant.
        at_ns: This node's one clock reading of the question.
    """

    statement: NodeStatement
    warrant: Warrant
    at_ns: int


@dataclass(frozen=True, slots=True)
class Opened:
    """One slot that opened, and whom it means here.

    Attributes:
        content: What lay in the slot.
        person_id: The agency's own record number; empty when nobody is meant for certain.
        linkage: CONFIRMED or PROBABLE; empty when nobody is meant for certain.
        agreement: The agreement, when it holds and binds this person.
    """

    content: Content
    person_id: str
    linkage: str
    agreement: Agreement | None


@dataclass(frozen=True, slots=True)
class Given:
    """A signed answer whose ledger entry is durable; it may leave.

    Attributes:
        query_id: The question.
        signed_answer: 2,048 bytes.
        repeated: True when these are the bytes given before.
    """

    query_id: str
    signed_answer: bytes
    repeated: bool = False
