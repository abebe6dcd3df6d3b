"""An asking side without network: stand-in tokens, and a ledger of one entry that the broker's own key signs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha512
from typing import Any, Final

import uuid_utils

from accord import catalogue, merkle, receipt
from accord import checkpoint as notes
from accord.canonical import encode
from accord.checkpoint import Checkpoint
from accord.identity import MatchKey
from accord.v1 import common_pb2
from agency_node.asking import Asker, Held, Outcome, Prepared
from tests.world import trust
from tests.world.stack import policy_files

POLICY: Final = "11" * 32


@dataclass(slots=True)
class World:
    """What an asker meets.

    Attributes:
        federation: Everybody's keys.
        keys_asked: Every match key or subject key for which a token was wanted.
        held: The agreements that the broker will be said to have.
        noted: What the asker told its own ledger: questions, then outcomes.
    """

    federation: trust.Federation
    keys_asked: list[MatchKey] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    noted: list[Prepared | Outcome] = field(default_factory=list)

    def asker(self, agency: str = "social-care", **changes: Any) -> Asker:
        """An asking side."""

        async def tokens(wanted: Sequence[MatchKey]) -> list[bytes]:
            self.keys_asked.extend(wanted)
            return [token(key) for key in wanted]

        async def tags(wanted: Sequence[MatchKey]) -> list[bytes]:
            self.keys_asked.extend(wanted)
            return [token(key)[:16] for key in wanted]

        async def find(caller_token: str, wanted: Sequence[bytes]) -> list[Held]:
            return [one for one in self.held if set(one.agreement.subject_tags) & set(wanted)]

        fields: dict[str, Any] = {
            "agency": agency,
            "directory": self.federation.directory,
            "catalogue": catalogue.parse(policy_files()[catalogue.PATH]),
            "policy": POLICY,
            "asking_key": self.federation.agencies[agency].asking,
            "case_secret": b"c" * 32,
            "tokens": tokens,
            "subject_tokens": tags,
            "agreements": find,
            "now_ns": lambda: trust.NOW_NS,
            "new_id": lambda: str(uuid_utils.uuid7()),
            "asked": self.noted.append,
            "shown": self.noted.append,
        }
        return Asker(**{**fields, **changes})

    def receipted(self, body: Mapping[str, Any], key: Any = None) -> common_pb2.Receipted:
        """Any record, in a ledger of one entry signed with the broker's ledger key or another."""
        record, salt = encode(dict(body)), b"s" * merkle.SALT_BYTES
        root = merkle.root([merkle.leaf_hash(merkle.entry(salt, record))])
        origin = self.federation.directory.broker.ledger_origin
        note = notes.sign(Checkpoint(origin, 1, root), key or self.federation.broker.ledger)
        return common_pb2.Receipted(record=record, receipt=receipt.make(0, salt, [], note))


def token(key: MatchKey) -> bytes:
    """A stand-in for a token: as unlike the others as the real ones, and made without key servers."""
    return sha512(key.family.encode() + key.input).digest()
