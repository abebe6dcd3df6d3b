"""Answer one warranted question out of this agency's own records.

    Received -> admit -> Admitted -> own policy -> link -> Linked per slot -> own policy again -> look up
             -> own ledger -> sign -> Given

* Nothing of ours is read before the warrant and the asker's own signature hold and agree; a bad one is alarmed and
  gets no answer.
* From then on there is always an answer of 2,048 bytes that speaks of twelve slots. Every reason not to tell, a failure
  of ours among them, becomes the same *cannot say*; its cause goes to this node's own ledger only (T-LNK-2).
* A question about a family as a whole gets one word, the same in every slot: who of them is known here, and how many,
  stays here (`fold`).
* A slot that nothing opens is *not known*, which is a *no* only if the index is complete, fresh, and built under
  exactly the keys, normaliser and families that the statement names (T-LNK-5).
* One look-up per warrant: the answer and its ledger entry commit together, and a repeated question gets the same bytes,
  unless its agreement was withdrawn meanwhile (T-SEC-1).
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import Connection, Engine

from accord import answer as contract
from accord import sealing
from accord.answer import CANNOT_SAY, LINKAGES, NO, RECENCIES, YES, AgencyAnswer, Contact, SlotAnswer
from accord.canonical import Json, sha256
from accord.catalogue import Catalogue, Question
from accord.directory import Directory
from accord.reasons import Problem
from accord.statement import open_for_node
from accord.warrant import CLOCK_SKEW_S, open_warrant
from agency_node import agreements, link, lookup
from agency_node.events import Event, log
from agency_node.index import Terms, TokenIndex
from agency_node.ledger import Kind, Record, append
from agency_node.link import Linked, NotLinked
from agency_node.mapping import Records
from agency_node.mapping_file import ContactRoute
from agency_node.refit import to_text
from agency_node.scoring import Tier
from agency_node.stages import Admitted, Given, Opened, Received, Refused
from agency_node.store import answers as kept
from agency_node.store import patterns, reading, writing
from agency_node.store.agreements import withdrawn_among
from agency_node.store.answers import Given as Keeping

SECOND_NS: Final = 1_000_000_000
SLOTS: Final = 12
"""Most slots of an envelope. Every answer speaks of so many: a shorter one would tell that the envelope was opened."""


class Rules(Protocol):
    """This node's own policy."""

    @property
    def revision(self) -> str:
        """Policy revision in force here."""

    @property
    def catalogue(self) -> Catalogue:
        """Its catalogue."""

    async def before(self, admitted: Admitted) -> str:
        """Decide knowing nothing about the people. Empty when allowed, else the codes why not."""

    async def after(self, admitted: Admitted, opened: Opened) -> str:
        """Decide again for one person who was found. Empty when allowed, else the codes why not."""


@dataclass(frozen=True, slots=True)
class Node:
    """What answering needs.

    Attributes:
        agency: This agency.
        directory: Gives the directory in force.
        engine: The node's state.
        sealing_key: Opens envelopes.
        answer_key: Signs answers.
        rules: Gives the policy in force; raises a Problem when there is none yet.
        index: The token index.
        records: The agency's records.
        scales: Gives what candidates are weighed with; None before the index is complete.
        fresh_for_s: Oldest index that counts, seconds.
    """

    agency: str
    directory: Callable[[], Directory]
    engine: Engine
    sealing_key: X25519PrivateKey
    answer_key: Ed25519PrivateKey
    rules: Callable[[], Rules]
    index: TokenIndex
    records: Records
    scales: Callable[[], link.Scales | None]
    fresh_for_s: int


@dataclass(frozen=True, slots=True)
class Said:
    """What is said about one slot, and why, for this node's own ledger.

    Attributes:
        slot: As it goes out.
        cause: Why it cannot be said; empty for yes and no.
        contact: Whom to ring.
        as_of_ns: How old the records are.
        agreements: Agreements that the answer rests on.
    """

    slot: SlotAnswer
    cause: str = ""
    contact: Contact | None = None
    as_of_ns: int = 0
    agreements: tuple[str, ...] = ()


def admit(received: Received, node: Node, now_ns: int) -> Admitted:
    """Check the asker's statement and the broker's warrant, and that they agree.

    Args:
        received: As it came.
        node: What answering needs.
        now_ns: This node's clock.

    Raises:
        Refused: Warrant and statement do not agree, or the statement has expired or is from the future.
        BadSignature: The asker did not sign this.
        BadStatement: Malformed, or not for this node.
        TokenRefused: The warrant is not a live one of this broker.
        WarrantRefused: The warrant is for another asker.
        ClockSkew: The clocks are too far apart.
    """
    directory = node.directory()
    statement = open_for_node(
        core=received.core,
        broker_part_sha256=received.broker_part_sha256,
        node_digests=received.node_digests,
        signature=received.signature,
        key_id=received.key_id,
        draft=received.draft,
        node=node.agency,
        asking_public=lambda agency: directory.agency(agency).asking,
    )
    warrant = open_warrant(
        received.warrant,
        federation=directory.federation,
        warrant_public=directory.broker.warrant_key,
        agency=statement.core.agency,
        now_s=now_ns // SECOND_NS,
    )
    if warrant.statement != statement.digest:
        raise Refused("the warrant is for another statement")
    if statement.part_digest not in warrant.nodes:
        raise Refused("the warrant does not name this node")
    if now_ns >= statement.core.expires_at_ns + CLOCK_SKEW_S * SECOND_NS:
        raise Refused("the statement has expired")
    if statement.core.issued_at_ns > now_ns + CLOCK_SKEW_S * SECOND_NS:
        raise Refused("the statement is from the future")
    with reading(node.engine, once=True) as connection:
        restored_ns = kept.warrants_from_ns(connection)
    if warrant.issued_at_s * SECOND_NS < restored_ns:
        raise Refused("the warrant is older than the copy that this node was restored from")
    return Admitted(statement, warrant, now_ns)


First = Callable[[Connection], Sequence[Record]]
"""Writes what must be durable before an answer leaves, in the answer's transaction, and gives its ledger records."""


async def answer(received: Received, node: Node, now_ns: int, first: First = lambda _: ()) -> Given:
    """Answer one question.

    Args:
        received: As it came.
        node: What answering needs.
        now_ns: The one clock reading of this question.
        first: Written with whatever is written last about this question. What it raises undoes that, and is raised.

    Raises:
        Refused: As `admit`, or the warrant or the question's number was used for something else. Alarmed in the
            node's own ledger; there is no answer.
    """
    try:
        admitted = admit(received, node, now_ns)
        earlier = _recall(admitted, node, first)
    except Problem as problem:
        _alarm(node, problem, now_ns, first)
        raise
    if earlier is not None:
        return earlier
    rules = node.rules()
    question = rules.catalogue.questions.get(admitted.statement.core.question)
    compared = Counter[str]()
    try:
        said = await _say(admitted, node, rules, question, compared)
    except Exception as error:  # noqa: BLE001  # a failure met only where somebody is held would tell that they are
        reason = error.reason if isinstance(error, Problem) else "INTERNAL"
        log.error(Event.RPC_FAILED, method="answer", reason=reason, kind=type(error).__name__)
        said = _all(CANNOT_SAY, f"failed_{reason.lower()}")
    return _give(admitted, node, rules, said, compared, first)


def _recall(admitted: Admitted, node: Node, first: First) -> Given | None:
    core = admitted.statement.core
    with reading(node.engine) as connection:
        stored = kept.recall(connection, admitted.warrant.jti, core.agency, core.query_id, admitted.statement.digest)
    if stored is None:
        return None
    if stored.withdrawn:
        # Withdrawal beats any stored answer; what goes out instead is not stored in its place, but recorded.
        instead = _signed(admitted, node, node.rules().revision, _all(CANNOT_SAY, "withdrawn"))
        fields: dict[str, Json] = {
            "query_id": core.query_id,
            "jti": admitted.warrant.jti,
            "agreements": [*sorted(stored.withdrawn)],
            "codes": ["withdrawn"],
            "answer_digest": sha256(instead).hex(),
        }
        with writing(node.engine) as connection:
            append(connection, [*first(connection), Record(Kind.REPLAYED, admitted.at_ns, fields)])
        return Given(core.query_id, instead, repeated=True)
    with writing(node.engine) as connection:
        append(connection, first(connection))
    return Given(core.query_id, stored.answer, repeated=True)


async def _say(
    admitted: Admitted, node: Node, rules: Rules, question: Question | None, compared: Counter[str]
) -> list[Said]:
    """One word for each slot. Whatever is raised here becomes *cannot say* too.

    Args:
        admitted: The question.
        node: What answering needs.
        rules: The policy in force.
        question: Its entry in the catalogue; None when there is none.
        compared: Gets how each record agreed with the description that its key opened.
    """
    core = admitted.statement.core
    if question is None or question.version != core.question_version:
        return _all(CANNOT_SAY, "question_unknown")
    if rules.revision != admitted.warrant.policy or rules.catalogue.digest != admitted.warrant.catalogue:
        return _all(CANNOT_SAY, "other_rules")
    # 1. Own policy, knowing nothing about the people.
    try:
        refused = await rules.before(admitted)
    except Problem as problem:
        refused = problem.reason
    if refused:
        return _all(CANNOT_SAY, refused)
    # 2. Can this index tell "not known" at all, under the keys that the asker used? Somebody first recorded since it
    # was read is not in it, so it may be no older than the question allows records to be.
    terms = Terms(core.epoch, core.key_servers, core.normaliser, core.families)
    fresh_for_s = min(node.fresh_for_s, question.freshness_limit_s)
    state = node.index.state(terms, now_ns=admitted.at_ns, fresh_for_s=fresh_for_s)
    scales = node.scales()
    if not state.ready or state.built_at_ns is None or scales is None:
        return _all(CANNOT_SAY, f"index_{state.cause or 'missing'}")
    # 3. Open and link.
    try:
        slots = sealing.open_envelope(
            admitted.statement.payload, private=node.sealing_key, core_digest=admitted.statement.core_digest
        )
    except sealing.BadEnvelope:
        return _all(CANNOT_SAY, "envelope")
    # The asker counted age bands from this day; by our own clock it may be the next one already.
    asked_on = datetime.fromtimestamp(core.issued_at_ns // SECOND_NS, UTC).date()
    asking = link.Asked(node.agency, core.query_id, admitted.statement.core_digest, asked_on)
    links = link.link(slots, asking, node.index, node.records, scales)
    compared.update(to_text(levels) for one in links for levels in one.compared)
    # 4. Say something for each slot. Slots lie in random order; those that opened say which person they are.
    found: dict[str, Said] = {}
    for one in links:
        content = one.content
        if content is None and isinstance(one, NotLinked):
            continue
        if content is None or content.ref in found:
            # Which person this slot is about, nobody can tell; so nothing is said about anybody.
            return _all(CANNOT_SAY, "slot_unreadable")
        found[content.ref] = await _say_one(admitted, node, rules, question, one)
    nobody = _from_lookup("s1", lookup.not_known(question, node.records, admitted.at_ns), "")
    if not set(found) <= {f"s{number}" for number in range(1, len(slots) + 1)}:
        return _all(CANNOT_SAY, "slot_unreadable")
    if any(one.slot.answer == CANNOT_SAY for one in found.values()):
        # Were the rest a plain no, one cannot say among them would tell that this agency holds somebody it will not
        # speak of. So nobody else's absence is told either, and the causes look alike (T-LNK-2).
        nobody = Said(SlotAnswer("s1", CANNOT_SAY), "alike")
    refs = [f"s{number}" for number in range(1, SLOTS + 1)]
    said = [found.get(ref) or replace(nobody, slot=replace(nobody.slot, ref=ref)) for ref in refs]
    # What is said rests on the index as much as on the records, so it is no newer than either; alike for everybody.
    said = [replace(one, as_of_ns=min(one.as_of_ns, state.built_at_ns)) for one in said]
    # The agency's default team: another would tell which member of the family is known.
    return fold(said, _route("s1", node.records.contact(""))) if question.of_family else said


def fold(said: Sequence[Said], contact: Contact | None) -> list[Said]:
    """One word for a family as a whole, the same in every slot, so that who is known and how many never leaves here.

    *Yes* if anybody is a yes, *no* only if everybody is a no, else *cannot say*. How recent is the most recent, and how
    sure is the least sure tier among those that say yes: what is shown may rest on any one of them.

    Args:
        said: About each slot.
        contact: Whom to ring about a family, whoever in it is known.

    Returns:
        As many. Causes and agreements stay with their slots, for this node's own ledger.
    """
    words = {one.slot.answer for one in said}
    word = YES if YES in words else NO if words == {NO} else CANNOT_SAY
    meant = [one for one in said if one.slot.answer == word]
    recency = next((known for known in RECENCIES if any(one.slot.recency == known for one in meant)), "")
    linkage = next((known for known in reversed(LINKAGES) if any(one.slot.linkage == known for one in meant)), "")
    as_of_ns = max((one.as_of_ns for one in meant), default=0)
    return [
        replace(
            one,
            slot=replace(one.slot, answer=word, recency=recency, linkage=linkage),
            contact=contact if word == YES and contact is not None and one.slot.ref == contact.ref else None,
            as_of_ns=as_of_ns,
        )
        for one in said
    ]


async def _say_one(admitted: Admitted, node: Node, rules: Rules, question: Question, one: link.Link) -> Said:
    content = one.content
    if content is None:
        raise RuntimeError("a slot without content has nobody to speak of")
    ref = content.ref
    if isinstance(one, NotLinked):
        return _from_lookup(ref, lookup.not_known(question, node.records, admitted.at_ns), "")
    if not isinstance(one, Linked):
        return Said(SlotAnswer(ref, CANNOT_SAY), one.cause.value)
    # The family's agreement, if the asker relies on one.
    relied, why = None, ""
    if content.agreement is not None:
        try:
            relied = agreements.rely(
                content.agreement,
                agreements.Context(
                    admitted.statement,
                    admitted.warrant,
                    node.agency,
                    node.directory(),
                    admitted.at_ns,
                    lambda record_id: _withdrawn(node, record_id),
                ),
                node.index.tokens_of(one.person_id),
                [node.index.tokens_of(other) for other in one.others],
            )
        except agreements.NotRelied as problem:
            why = problem.code
    linkage = "CONFIRMED" if one.tier is Tier.CONFIRMED else "PROBABLE"
    try:
        refused = await rules.after(admitted, Opened(content, one.person_id, linkage, relied))
    except Problem as problem:
        refused = problem.reason
    if refused:
        return Said(SlotAnswer(ref, CANNOT_SAY), f"{refused} {why}".strip())
    said = _from_lookup(ref, lookup.look_up(question, [one.person_id], node.records, admitted.at_ns), linkage)
    return replace(said, agreements=() if relied is None else (relied.record_id,))


def _withdrawn(node: Node, record_id: str) -> bool:
    with reading(node.engine, once=True) as connection:
        return bool(withdrawn_among(connection, [record_id]))


def _from_lookup(ref: str, found: lookup.Answer, linkage: str) -> Said:
    match found:
        case lookup.Yes():
            return Said(SlotAnswer(ref, YES, found.recency, linkage), "", _route(ref, found.contact), found.as_of_ns)
        case lookup.No():
            # Alike for somebody known without the fact and somebody not known at all.
            return Said(SlotAnswer(ref, NO), "", None, found.as_of_ns)
        case lookup.CannotSay():
            return Said(SlotAnswer(ref, CANNOT_SAY), found.cause.value)


def _route(ref: str, route: ContactRoute | None) -> Contact | None:
    if route is None:
        return None
    return Contact(ref, route.team, route.role, route.phone or route.mailbox, route.lead_professional)


def _all(word: str, cause: str) -> list[Said]:
    return [Said(SlotAnswer(f"s{number}", word), cause) for number in range(1, SLOTS + 1)]


def _signed(admitted: Admitted, node: Node, revision: str, said: Sequence[Said]) -> bytes:
    statement = admitted.statement
    contacts = contract.contacts_bytes([one.contact for one in said if one.contact is not None])
    info = contract.contacts_info(statement.digest, node.agency)
    return contract.build(
        AgencyAnswer(
            statement=statement.digest,
            jti=admitted.warrant.jti,
            query_id=statement.core.query_id,
            node=node.agency,
            question=statement.core.question,
            question_version=statement.core.question_version,
            as_of_ns=max((one.as_of_ns for one in said), default=0),
            policy=revision,
            slots=tuple(one.slot for one in said),
            sealed_contacts=sealing.seal(statement.core.reply_key, info, contacts),
        ),
        node.answer_key,
    )


def _give(
    admitted: Admitted, node: Node, rules: Rules, said: Sequence[Said], compared: Mapping[str, int], first: First
) -> Given:
    """Sign, and make answer and ledger entry durable in one transaction. Only then may the answer leave."""
    core = admitted.statement.core
    signed_answer = _signed(admitted, node, rules.revision, said)
    rests_on = sorted({record_id for one in said for record_id in one.agreements})
    until_s = admitted.warrant.expires_at_s + 2 * CLOCK_SKEW_S
    with writing(node.engine) as connection:
        if withdrawn_among(connection, rests_on):
            # Another process of this node may have been told of it since the agreement was looked at.
            said, rests_on = _all(CANNOT_SAY, "withdrawn"), []
            signed_answer = _signed(admitted, node, rules.revision, said)
        keeping = Keeping(
            jti=admitted.warrant.jti,
            agency=core.agency,
            query_id=core.query_id,
            statement_digest=admitted.statement.digest,
            agreements=rests_on,
            answer=signed_answer,
            expires_at_ns=until_s * SECOND_NS,
        )
        kept.forget_expired(connection, admitted.at_ns)
        earlier = kept.keep(connection, keeping)
        records = [*first(connection)]
        if earlier is None:
            records += [_received(admitted), _answered(admitted, rules, said, signed_answer, rests_on)]
        append(connection, records)
        if earlier is None:
            patterns.count(connection, compared, f"{datetime.fromtimestamp(admitted.at_ns // SECOND_NS, UTC):%Y-%m}")
    if earlier is not None:
        return Given(core.query_id, earlier.answer, repeated=True)
    return Given(core.query_id, signed_answer)


def _received(admitted: Admitted) -> Record:
    core = admitted.statement.core
    fields: dict[str, Json] = {
        "query_id": core.query_id,
        "jti": admitted.warrant.jti,
        "agency": core.agency,
        "role": core.role,
        "question": core.question,
        "question_version": core.question_version,
        "purpose": core.purpose,
        "gateway": admitted.statement.part.gateway,
        "urgency": core.urgency,
        "statement_digest": admitted.statement.digest.hex(),
    }
    return Record(Kind.RECEIVED, admitted.at_ns, fields)


def _answered(
    admitted: Admitted, rules: Rules, said: Sequence[Said], signed_answer: bytes, rests_on: Sequence[str]
) -> Record:
    causes: Mapping[str, None] = dict.fromkeys(one.cause for one in said if one.cause)
    fields: dict[str, Json] = {
        "query_id": admitted.statement.core.query_id,
        "jti": admitted.warrant.jti,
        "policy": rules.revision,
        "catalogue": rules.catalogue.digest,
        "agreements": list(rests_on),
        "codes": list(causes),
        "answer_digest": sha256(signed_answer).hex(),
    }
    return Record(Kind.ANSWERED, admitted.at_ns, fields)


def _alarm(node: Node, problem: Problem, at_ns: int, first: First) -> None:
    with writing(node.engine) as connection:
        append(connection, [*first(connection), Record(Kind.ALARM, at_ns, {"reason": problem.reason})])
