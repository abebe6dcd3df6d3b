"""A broker that has every key of the broker's and does as it likes, and questions for it to misuse.

    broker = DishonestBroker(world)
    frame = await broker.frame(request, "police")         # honest so far
    replies = await broker.hand("police", frame)          # what a real node makes of it

Everything here is the real thing with one part replaced: a frame is made from a really signed question, under a
warrant of the real warrant key, with a head of the real ledger; a test then changes one piece. The nodes are real and
answer from their records, but are not attached: what they are handed comes from here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import uuid_utils

from accord import checkpoint as notes
from accord import merkle, receipt, statement, warrant
from accord.canonical import decode_object, encode, sha256
from accord.checkpoint import Checkpoint
from accord.identity import MatchKey
from accord.v1 import audit_pb2, audit_pb2_grpc, broker_pb2, common_pb2, node_pb2
from agency_node import asking, witness
from agency_node.channel import dial
from agency_node.cli import people as typed
from agency_node.ledger import Kind
from tests.world import stack as worlds

SECOND_NS: Final = 1_000_000_000
CALL_S: Final = 60.0


def question(about: Sequence[Mapping[str, Any]], **changes: Any) -> dict[str, Any]:
    """A section 47 question about people, as an asker would type it."""
    return {
        "question": "agency.contact",
        "purpose": "s47_enquiry",
        "case": "CF-77",
        "need_tier": 4,
        "significant_harm": True,
        "necessity": "assess_risk",
        "people": list(about),
        **changes,
    }


async def prepared(
    world: worlds.World,
    typed_question: Mapping[str, Any],
    agency: str = "social-care",
    change: Callable[[asking.Asker], asking.Asker] = lambda asker: asker,
) -> tuple[asking.Prepared, asking.Asker]:
    """A question ready to be sent, and who asks; `change` makes the asker a dishonest one."""
    inquiry, _ = typed.inquiry(typed_question)
    async with world.desk(agency) as desk:
        asker = change(replace(desk.asker, tokens=_remembered(world, desk.asker.tokens)))
        return await asking.prepare(asker, inquiry, desk.caller_token, desk.role), asker


def resigned(
    world: worlds.World, made: broker_pb2.AskRequest, payload: bytes | None = None, **core: Any
) -> broker_pb2.AskRequest:
    """The question of a dishonest asker: its core or its envelope changed, and signed anew with the asker's own key."""
    key = world.federation.agencies["social-care"].asking
    (part,) = made.node_parts
    sealed = part.payload if payload is None else payload
    told = statement.NodePart("police", "common_law_police", sha256(sealed).hex())
    drafts = [statement.draft(told, sealed)]
    signed = statement.sign(encode({**decode_object(made.core), **core}), made.broker_part, drafts, key)
    parts = [common_pb2.NodePart(node=one.node, part=one.part, salt=one.salt, payload=one.payload) for one in drafts]
    return broker_pb2.AskRequest(
        core=signed.core,
        broker_part=signed.broker_part,
        node_digests=signed.node_digests,
        signature=signed.signature,
        key_id=signed.key_id,
        node_parts=parts,
    )


_TOKENS: Final[dict[tuple[str, MatchKey], bytes]] = {}


def _remembered(world: worlds.World, tokens: asking.Tokens) -> asking.Tokens:
    """The key servers are asked about the same person once: what they make of a key never changes in an epoch."""
    key_servers = world.federation.directory.key_servers_digest

    async def made(wanted: Sequence[MatchKey]) -> list[bytes]:
        new = [key for key in wanted if (key_servers, key) not in _TOKENS]
        if new:
            found = zip(new, await tokens(new), strict=True)
            _TOKENS.update({(key_servers, key): token for key, token in found})
        return [_TOKENS[key_servers, key] for key in wanted]

    return made


@dataclass(slots=True)
class DishonestBroker:
    """Has the broker's keys."""

    world: worlds.World

    async def head(self, agency: str) -> node_pb2.Head:
        """The real ledger's newest head, with the proof that this node needs."""
        seen = self.seen(agency)
        identity = self.world.answering[agency].home.identity()
        async with dial(self.world.settings[agency].broker, identity) as channel:
            audit = audit_pb2_grpc.AuditServiceStub(channel)
            request = audit_pb2.GetCheckpointRequest()
            checkpoint: str = (await audit.GetCheckpoint(request, timeout=CALL_S)).checkpoint
            size = int(checkpoint.split("\n")[1])
            proof = audit_pb2.GetConsistencyProofRequest(old_size=seen, new_size=size)
            hashes = (await audit.GetConsistencyProof(proof, timeout=CALL_S)).hashes
        return node_pb2.Head(checkpoint=checkpoint, consistency=hashes, from_size=seen)

    def seen(self, agency: str) -> int:
        """Size of the newest head that this node has accepted."""
        node = self.world.answering[agency].frames.node
        found = witness.seen(node.engine, self.world.federation.directory.broker.ledger_origin)
        return 0 if found is None else found.size

    def warrant(self, request: broker_pb2.AskRequest, agencies: Sequence[str] = (), **changes: Any) -> str:
        """A warrant for a question, signed with the broker's own key.

        Args:
            request: The question.
            agencies: Whom it warrants; everybody the question addresses when left out.
            changes: Arguments of `accord.warrant.mint_warrant` to set otherwise.
        """
        core = decode_object(request.core)
        digest = statement.digest(request.core, sha256(request.broker_part), list(request.node_digests))
        parts = [part for part in request.node_parts if not agencies or part.node in agencies]
        rules = next(iter(self.world.answering.values())).rules.current()
        told: dict[str, Any] = {
            "federation": self.world.federation.name,
            "agency": str(core["agency"]),
            "jti": new_id(),
            "statement": digest,
            "nodes": _four([statement.part_digest(part.salt, part.part) for part in parts]),
            "policy": rules.revision,
            "catalogue": rules.catalogue.digest,
            "agreements": _four([]),
            "now_s": self.world.now_ns() // SECOND_NS,
            "key": self.world.federation.broker.warrant,
        }
        return warrant.mint_warrant(**{**told, **changes})

    async def frame(
        self, request: broker_pb2.AskRequest, agency: str, *, token: str | None = None, **changes: Any
    ) -> node_pb2.AttachResponse:
        """The frame in which a node gets a question; `changes` are fields of `node_pb2.Question`."""
        part = next(part for part in request.node_parts if part.node == agency) if "part" not in changes else None
        fields: dict[str, Any] = {
            "warrant": self.warrant(request) if token is None else token,
            "core": request.core,
            "broker_part_sha256": sha256(request.broker_part),
            "node_digests": request.node_digests,
            "signature": request.signature,
            "key_id": request.key_id,
            "part": part,
            "head": changes["head"] if "head" in changes else await self.head(agency),
            "deadline_ms": 1_000,
        }
        return node_pb2.AttachResponse(question=node_pb2.Question(**{**fields, **changes}))

    async def hand(self, agency: str, frame: node_pb2.AttachResponse, *, clock_s: float = 0.0) -> worlds.Stream:
        """Hand a frame to a real node, its clock ahead by so many seconds.

        Returns:
            What went down and came up.
        """
        frames = self.world.answering[agency].frames
        if clock_s:
            frames = replace(frames, now_ns=lambda: self.world.now_ns() + round(clock_s * SECOND_NS))
        return worlds.Stream([frame], list(await frames.handle(frame)))

    def recorded(self, agency: str, query_id: str) -> list[str]:
        """Kinds and codes of a node's own records of a question."""
        return [
            " ".join([one["kind"], *sorted(one.get("codes", []))])
            for one in self.world.node_records(agency)
            if one.get("query_id") == query_id
        ]

    def alarms(self, agency: str) -> list[str]:
        """Reasons of the alarms in a node's own ledger."""
        return [one["reason"] for one in self.world.node_records(agency) if one["kind"] == Kind.ALARM]

    def own_receipt(self, body: Mapping[str, Any]) -> common_pb2.Receipted:
        """Any record at all, in a ledger of one entry that the broker's own ledger key has signed."""
        record, salt = encode(dict(body)), b"s" * merkle.SALT_BYTES
        root = merkle.root([merkle.leaf_hash(merkle.entry(salt, record))])
        broker = self.world.federation.directory.broker
        note = notes.sign(Checkpoint(broker.ledger_origin, 1, root), self.world.federation.broker.ledger)
        return common_pb2.Receipted(record=record, receipt=receipt.make(0, salt, [], note))


def new_id() -> str:
    """A fresh UUID version 7."""
    return str(uuid_utils.uuid7())


def _four(digests: Sequence[bytes]) -> list[bytes]:
    return [*digests, *(sha256(b"padding %d" % number) for number in range(4 - len(digests)))]
