"""The agency's own side when it asks: identifiers are typed here, turned into envelopes here, and never leave unsealed.

    Inquiry -> match keys -> key servers -> tokens -> envelopes -> signed statement -> broker
            -> receipt and every agency's signature checked -> Outcome

Nothing is shown before the receipt holds and each answer's signature is that of
the agency it names. No *yes* is not *no*: an agency that was not reached stays
*not reached* all the way to the screen.
"""

import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from accord import answer as answers
from accord import canonical, receipt, sealing, signing, slot, statement
from accord.agreement import Agreement, BadAgreement, Binding, committed, parse_agreement
from accord.answer import AgencyAnswer, Contact, SlotAnswer
from accord.canonical import Json, NotCanonical, decode_object, lp, sha256
from accord.catalogue import ANY, FEWEST_COMPOSED, FEWEST_FOR_FAMILY, Catalogue, Claim, Question
from accord.directory import Directory
from accord.identity import (
    FAMILIES,
    FAMILY_SET_DIGEST,
    NORMALISER_DIGEST,
    Description,
    MatchKey,
    age_band,
    enough_to_go_on,
    match_keys,
    subject_keys,
    to_bytes,
    without_address,
)
from accord.reasons import Problem
from accord.v1 import broker_pb2, common_pb2

STATEMENT_LIFE_S: Final = 60
_COMMITTED: Final = frozenset(family.id for family in FAMILIES if committed(family))


class TooLittleToGoOn(Problem):
    """A person's description gives too few keys; nothing was asked.

    Attributes:
        field: Which person of the question: s1 to s12.
    """

    reason = "TOO_LITTLE_TO_GO_ON"

    def __init__(self, ref: str) -> None:
        """Say which person."""
        self.field = ref
        super().__init__(f"person {ref.removeprefix('s')} of the question")


class NoFamily(Problem):
    """A question about a family as a whole is left with one person, and its answer would be that person's.

    Attributes:
        field: Always `people`.
        cure: What can be asked instead.
    """

    reason = "BAD_REQUEST"

    def __init__(self) -> None:
        """Say what it takes."""
        self.field = "people"
        self.cure = (
            "Name at least two people of whom enough is known (a full date of birth, a postcode or an earlier surname"
            " helps); or ask about the one person with agency.contact."
        )
        super().__init__("a family is two people or more")


class TooFewAgencies(Problem):
    """A question whose answers are put together goes to one agency, and the answer would be that agency's own.

    Attributes:
        field: Always `agencies`.
        cure: What can be asked instead.
    """

    reason = "BAD_REQUEST"

    def __init__(self) -> None:
        """Say what it takes."""
        self.field = "agencies"
        self.cure = f"Ask at least {FEWEST_COMPOSED} agencies, or ask the one agency with family.known."
        super().__init__("of one agency no answer is put together")


class UnknownQuestion(Problem):
    """The catalogue has no such question. What was asked for is not repeated: it may be anything."""

    reason = "QUESTION_UNKNOWN"


class UnknownPurpose(Problem):
    """The catalogue has no such purpose.

    Attributes:
        field: Always `purpose`.
        cure: The purposes for which this question may be asked.
    """

    reason = "BAD_REQUEST"

    def __init__(self, known: Iterable[str]) -> None:
        """Name those that would do; what was asked for is not repeated."""
        self.field = "purpose"
        self.cure = f"Say one of: {', '.join(sorted(known))}."
        super().__init__("there is no such purpose")


class WrongEpoch(Problem):
    """This software's normaliser or families are not those of the directory."""

    reason = "WRONG_EPOCH"


class BadReply(Problem):
    """The broker's reply does not hold: its proof, its record or an agency's signature."""

    reason = "BAD_RECEIPT"


@dataclass(frozen=True, slots=True)
class Person:
    """One person to ask about.

    Attributes:
        description: Normalised.
        role: child, parent or other_adult.
        protected: The address must not be sent, because a holder of it must not learn of it.
        relates_to_child: An adult asked about so far as it relates to a child in the same question.
        competence: competent, not_competent, not_assessed or n_a.
    """

    description: Description
    role: str
    protected: bool = False
    relates_to_child: bool = False
    competence: str = "n_a"


@dataclass(frozen=True, slots=True)
class Inquiry:
    """One question as the practitioner puts it.

    Attributes:
        question: Catalogue identifier.
        purpose: Why.
        people: 1 to 12.
        case_reference: The agency's own; only a keyed token of it leaves.
        targets: Agencies to ask; empty for all that may answer.
        gateways: Agency -> gateway claimed, where the catalogue's default is not wanted.
        urgency: routine, same_day or immediate.
        assertions: What the practitioner asserts.
        supervisor: In an emergency, the sign-in name of the supervisor who was told; only a pseudonym of it leaves.
    """

    question: str
    purpose: str
    people: tuple[Person, ...]
    case_reference: str = field(repr=False)
    targets: tuple[str, ...] = ()
    gateways: Mapping[str, str] | None = None
    urgency: str = "routine"
    assertions: statement.Assertions = field(default_factory=statement.Assertions)
    supervisor: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Held:
    """An agreement in whose scope this agency is.

    Attributes:
        agreement: What was agreed.
        signed: Its bytes and signature.
        state: Its state now.
        record: The ledger's AGREEMENT_GIVEN record.
        receipt: Proof that the record is in the ledger.
        binding: Salt and commitments, when this agency has them.
    """

    agreement: Agreement
    signed: bytes
    signature: bytes
    state: str
    record: bytes
    receipt: str
    binding: Binding | None


@dataclass(frozen=True, slots=True)
class Denied:
    """One reason why an agency was not asked."""

    code: str
    reason: str
    cure: str
    contact: str
    ref: str


@dataclass(frozen=True, slots=True)
class AgencyOutcome:
    """What came of one addressed agency, checked.

    Attributes:
        agency: Which.
        title: Its name for people.
        gateway: Under what it was asked.
        delivery: ANSWERED, REFUSED or NOT_REACHED.
        answers: One for each person of the inquiry, in order, cannot say for those left out; about a family as a whole
            the same for everybody. Empty unless answered, and where answers are put together.
        contacts: Whom to ring, where the agency said so.
        as_of_ns: How old its records were; 0 unless answered.
        denials: Why it was not asked.
    """

    agency: str
    title: str
    gateway: str
    delivery: str
    answers: tuple[SlotAnswer, ...] = ()
    contacts: tuple[Contact, ...] = ()
    as_of_ns: int = 0
    denials: tuple[Denied, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The checked outcome of a question.

    Attributes:
        query_id: Identifier.
        question: The catalogue's entry.
        people: How many the inquiry names.
        agencies: One for each addressed agency.
        kind: RELEASED, REFUSED, REPLAYED or REPLAY_REFUSED.
        ledger_index: Where the record stands in the broker's ledger.
        record: The record.
        receipt: Its proof.
        left_out: References of the people of whom too little is known to ask about them.
        thinly_described: References of people asked about of whom so little is known that not being found means
            nothing: a yes is said of them, a no is not.
        together: The one answer that the broker put together, as the ledger has it; empty where each agency's is shown.
    """

    query_id: str
    question: Question
    people: int
    agencies: tuple[AgencyOutcome, ...]
    kind: str
    ledger_index: int
    record: bytes
    receipt: str
    left_out: tuple[str, ...] = ()
    thinly_described: tuple[str, ...] = ()
    together: str = ""

    @property
    def word(self) -> str:
        """The one answer for everybody who was meant: no is not said of a family of which somebody was left out."""
        unsure = self.left_out or self.thinly_described
        return answers.CANNOT_SAY if self.together == answers.NO and unsure else self.together

    @property
    def answered(self) -> int:
        """How many agencies answered."""
        return sum(one.delivery == "ANSWERED" for one in self.agencies)

    def summary(self, agency: AgencyOutcome) -> str:
        """One word for a whole family at one agency: YES if any is, else CANNOT_SAY if any is, else NO."""
        found = {one.answer for one in agency.answers}
        return next((word for word in (answers.YES, answers.CANNOT_SAY, answers.NO) if word in found), "")


class Agreements(Protocol):
    """Finds agreements by subject tag, and their bindings here."""

    async def __call__(self, caller_token: str, tags: Sequence[bytes]) -> Sequence[Held]:
        """Agreements of these people in whose scope this agency is."""


Tokens = Callable[[Sequence[MatchKey]], Awaitable[list[bytes]]]
Send = Callable[[broker_pb2.AskRequest], Awaitable[broker_pb2.AskResponse]]


@dataclass(frozen=True, slots=True)
class Asker:
    """Everything the asking side needs.

    Attributes:
        agency: This agency.
        directory: The directory in force.
        catalogue: The catalogue of the bundle in force.
        policy: Its revision.
        asking_key: Signs statements.
        case_secret: Keys the token of case references, 32 bytes.
        tokens: Turns match keys into tokens through both key servers.
        subject_tokens: Turns subject keys into subject tags through the steward.
        agreements: Finds agreements.
        now_ns: The clock.
        random: Source of random bytes.
        new_id: Makes UUIDs version 7.
        asked: Makes durable, in this agency's own ledger, that a question is about to leave.
        shown: Makes durable that an answer is about to be shown.
        supervisor: Turns a supervisor's sign-in name into the pseudonym that leaves; raises a Problem when the asker's
            own sign-in is too old for an emergency.
    """

    agency: str
    directory: Directory
    catalogue: Catalogue
    policy: str
    asking_key: Ed25519PrivateKey
    case_secret: bytes
    tokens: Tokens
    subject_tokens: Tokens
    agreements: Agreements
    now_ns: Callable[[], int]
    new_id: Callable[[], str]
    asked: "Callable[[Prepared], None]"
    shown: Callable[[Outcome], None]
    supervisor: Callable[[str], str] = lambda name: ""
    random: Callable[[int], bytes] = os.urandom


@dataclass(frozen=True, slots=True)
class Prepared:
    """A question ready to be sent, and what is needed to check its reply.

    Attributes:
        refs: Who of the inquiry each person asked about is; to everybody else they are s1, s2 and so on. Where somebody
            of whom too little is known is left out, the two differ.
        thinly_described: Those of them of whom not being found means nothing.
    """

    inquiry: Inquiry
    refs: tuple[str, ...]
    thinly_described: tuple[str, ...]
    question: Question
    core: statement.Core
    signed: statement.SignedStatement
    digest: bytes
    reply_key: X25519PrivateKey
    request: broker_pb2.AskRequest


@dataclass(frozen=True, slots=True)
class Tokenised:
    """One person with what the key servers made of their keys."""

    person: Person
    sent: Description
    tokens: tuple[tuple[str, bytes], ...] = field(repr=False)
    tags: tuple[bytes, ...] = field(repr=False)


def sent(people: Sequence[Person]) -> tuple[Description, ...]:
    """What may be sent of each: a protected address is left out, and so is everybody's who lives at it.

    A holder of one person sees what was sent of that person; the sister's address would give the refuge away.
    """
    hidden = [one.description for one in people if one.protected]
    return tuple(
        without_address(one.description)
        if one.protected or any(_same_home(one.description, other) for other in hidden)
        else one.description
        for one in people
    )


def _same_home(one: Description, other: Description) -> bool:
    if other.postcode and other.postcode in (one.postcode, *one.former_postcodes):
        return True
    return bool(other.street) and (one.number, one.street) == (other.number, other.street)


async def tokenise(asker: Asker, people: Sequence[Person]) -> tuple[Tokenised, ...]:
    """Derive every person's tokens and subject tags.

    Args:
        asker: What the asking side needs.
        people: 1 to 12.

    Raises:
        TooLittleToGoOn: A description gives no key; nothing was sent for anybody.
        WrongEpoch: This software and the directory disagree about normaliser or families.
    """
    epoch = asker.directory.epoch
    if (epoch.normaliser, epoch.families) != (NORMALISER_DIGEST, FAMILY_SET_DIGEST):
        raise WrongEpoch("the directory names another normaliser or family set than this software has")
    told = sent(people)
    keys = [match_keys(one) for one in told]
    for number, found in enumerate(keys, 1):
        if not found:
            raise TooLittleToGoOn(f"s{number}")
    # From what is sent, not from what is known: a tag over a protected address would let its holder try addresses.
    tags_wanted = [subject_keys(one) for one in told]
    tokens = iter(await asker.tokens([key for found in keys for key in found]))
    tags = iter(await asker.subject_tokens([key for found in tags_wanted for key in found]))
    return tuple(
        Tokenised(
            person,
            description,
            tuple((key.family, next(tokens)) for key in found),
            tuple(next(tags) for _ in wanted),
        )
        for person, description, found, wanted in zip(people, told, keys, tags_wanted, strict=True)
    )


def _able(inquiry: Inquiry, question: Question) -> tuple[dict[str, Person], tuple[str, ...]]:
    """Who can be asked about, by their reference in the inquiry, and who of them so thinly that only a yes counts.

    Raises:
        TooLittleToGoOn: Nobody can.
        NoFamily: One person can, and the question is about a family as a whole.
    """
    keys = [match_keys(one) for one in sent(inquiry.people)]
    able = {f"s{number}": one for number, one in enumerate(inquiry.people, 1) if keys[number - 1]}
    if not able:
        raise TooLittleToGoOn("s1")
    if question.of_family and len(able) < FEWEST_FOR_FAMILY:
        raise NoFamily
    # What two of them share finds neither (`accord.sealing.lay_out`): somebody named twice could never be found.
    times = Counter(one.input for found in keys for one in set(found))
    own = [[one for one in found if times[one.input] == 1] for found in keys]
    return able, tuple(ref for ref in able if not enough_to_go_on(own[int(ref[1:]) - 1]))


async def prepare(asker: Asker, inquiry: Inquiry, caller_token: str, role: str) -> Prepared:
    """Turn a question into a signed statement with one sealed envelope for each agency.

    Args:
        asker: What the asking side needs.
        inquiry: The question.
        caller_token: Minted for the member of staff who asks.
        role: Their role, as the token says.

    Raises:
        UnknownQuestion: The catalogue has no such question.
        UnknownPurpose: It has no such purpose.
        UnknownAgency: The directory has no such agency.
        TooLittleToGoOn: Nobody's description gives a key.
        NoFamily: A question about a family is left with one person.
        TooFewAgencies: Answers would be put together of one agency's.
    """
    question = asker.catalogue.questions.get(inquiry.question)
    if question is None:
        raise UnknownQuestion
    if inquiry.purpose not in asker.catalogue.purposes:
        raise UnknownPurpose(question.purposes)
    assertions = inquiry.assertions
    if assertions.break_glass:
        assertions = replace(assertions, supervisor_token=asker.supervisor(inquiry.supervisor))
    targets = _targets(asker, inquiry, question)
    if question.composition == ANY and len(targets) < FEWEST_COMPOSED:
        raise TooFewAgencies
    able, thinly_described = _able(inquiry, question)
    people = await tokenise(asker, tuple(able.values()))
    now_ns = asker.now_ns()
    held = await _relied_on(asker, inquiry, targets, people, caller_token, now_ns)
    reply_key = X25519PrivateKey.generate()
    core = statement.Core(
        query_id=asker.new_id(),
        agency=asker.agency,
        role=role,
        caller_token_sha256=sha256(caller_token.encode()).hex(),
        question=question.id,
        question_version=question.version,
        purpose=inquiry.purpose,
        urgency=inquiry.urgency,
        reply_key=reply_key.public_key().public_bytes_raw(),
        epoch=asker.directory.epoch.id,
        normaliser=NORMALISER_DIGEST,
        families=FAMILY_SET_DIGEST,
        key_servers=asker.directory.key_servers_digest,
        issued_at_ns=now_ns,
        expires_at_ns=now_ns + STATEMENT_LIFE_S * 1_000_000_000,
    )
    core_bytes = statement.core_bytes(core)
    today = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).date()
    subjects = tuple(_subject(number, one, today) for number, one in enumerate(people, 1))
    part = statement.BrokerPart(
        targets=targets,
        subjects=subjects,
        assertions=assertions,
        agreements=tuple(statement.AgreementRef(one.agreement.record_id, ref) for ref, one in sorted(held.items())),
        case_token=_case_token(asker, inquiry.case_reference),
        subject_tags={subject.ref: one.tags for subject, one in zip(subjects, people, strict=True)},
        answer_form=question.answer,
    )
    drafts = [_draft(asker, target, core, core_bytes, subjects, people, held) for target in targets]
    signed = statement.sign(core_bytes, statement.broker_part_bytes(part), drafts, asker.asking_key, asker.random)
    request = broker_pb2.AskRequest(
        caller_token=caller_token,
        core=signed.core,
        broker_part=signed.broker_part,
        node_digests=signed.node_digests,
        signature=signed.signature,
        key_id=signed.key_id,
        node_parts=[
            common_pb2.NodePart(node=one.node, part=one.part, salt=one.salt, payload=one.payload) for one in drafts
        ],
    )
    digest = statement.digest(signed.core, sha256(signed.broker_part), signed.node_digests)
    return Prepared(inquiry, tuple(able), thinly_described, question, core, signed, digest, reply_key, request)


async def ask(asker: Asker, inquiry: Inquiry, caller_token: str, role: str, send: Send) -> Outcome:
    """Ask one question and check everything that comes back.

    The agency's own ledger holds the question before it leaves, and the answer before it is shown.

    Args:
        asker: What the asking side needs.
        inquiry: The question.
        caller_token: Minted for the member of staff who asks.
        role: Their role.
        send: Carries the request to the broker.

    Raises:
        BadReply: The proof, the record or an agency's signature does not hold; nothing is shown.
        Problem: As `prepare` and `send`.
    """
    prepared = await prepare(asker, inquiry, caller_token, role)
    asker.asked(prepared)
    outcome = check(asker, prepared, await send(prepared.request))
    asker.shown(outcome)
    return outcome


def check(asker: Asker, prepared: Prepared, response: broker_pb2.AskResponse) -> Outcome:
    """Check a reply: the receipt, that the record is of this question, and each agency's signature.

    Raises:
        BadReply: Anything does not hold.
    """
    broker = asker.directory.broker
    record = response.receipted.record
    try:
        proved = receipt.check(response.receipted.receipt, record, broker.ledger_origin, broker.ledger_key)
        body = decode_object(record)
        kind = canonical.text(body, "kind", "RELEASED|REFUSED|REPLAYED|REPLAY_REFUSED")
        if canonical.text(body, "query_id") != prepared.core.query_id:
            raise BadReply("the record is of another question")
        if canonical.text(body, "statement") != prepared.digest.hex():
            raise BadReply("the record is of another statement: the question was changed on its way")
        recorded = {canonical.text(row, "agency"): row for row in canonical.objects(body, "rows", 50)}
    except NotCanonical as error:
        raise BadReply("the record is malformed") from error
    expected = [one.node for one in prepared.signed.drafts]
    if sorted(expected) != [row.agency for row in response.rows] or sorted(recorded) != sorted(expected):
        raise BadReply("the reply leaves out an agency or names one that was not asked")
    agencies = tuple(_row(asker, prepared, row, recorded[row.agency]) for row in response.rows)
    together = _together(prepared, response, body, agencies)
    named = [f"s{number}" for number in range(1, len(prepared.inquiry.people) + 1)]
    return Outcome(
        query_id=prepared.core.query_id,
        question=prepared.question,
        people=len(prepared.inquiry.people),
        agencies=agencies,
        kind=kind,
        ledger_index=proved.index,
        record=record,
        receipt=response.receipted.receipt,
        left_out=tuple(ref for ref in named if ref not in prepared.refs),
        thinly_described=prepared.thinly_described,
        together=together,
    )


_WORDS: Final = {
    common_pb2.ANSWER_UNSPECIFIED: "",
    common_pb2.ANSWER_YES: answers.YES,
    common_pb2.ANSWER_NO: answers.NO,
    common_pb2.ANSWER_CANNOT_SAY: answers.CANNOT_SAY,
}


def _together(
    prepared: Prepared, response: broker_pb2.AskResponse, body: Mapping[str, Json], agencies: Sequence[AgencyOutcome]
) -> str:
    """The answer that the broker put together: that of the ledger, and one that these agencies can have come to.

    Whether an agency said yes is not seen here. The digests of the signed answers stand in the record, so that a broker
    that makes a yes of noes is found out by whoever is shown the answers (T-AUD-9).
    """
    word = _WORDS.get(response.composed)
    if word is None or word != body.get("composed", ""):
        raise BadReply("the answer put together is not the one in the ledger")
    delivered = [one.delivery == "ANSWERED" for one in agencies]
    wanted = prepared.question.composition == ANY and body.get("kind") in {"RELEASED", "REPLAYED"}
    if wanted != bool(word):
        raise BadReply("an answer was put together where none should be, or is missing")
    if word == answers.NO and not all(delivered):
        raise BadReply("no was said for agencies that did not answer")
    if word in {answers.YES, answers.NO} and sum(delivered) < FEWEST_COMPOSED:
        raise BadReply("an answer was put together of too few")
    return word


_DELIVERIES: Final = {
    common_pb2.DELIVERY_ANSWERED: "ANSWERED",
    common_pb2.DELIVERY_REFUSED: "REFUSED",
    common_pb2.DELIVERY_NOT_REACHED: "NOT_REACHED",
}


def _row(asker: Asker, prepared: Prepared, row: broker_pb2.AgencyRow, recorded: Mapping[str, Json]) -> AgencyOutcome:
    delivery = _DELIVERIES.get(row.delivery)
    if delivery is None or recorded.get("delivery") != delivery:
        raise BadReply("a row's delivery is unknown or not the one in the ledger")
    agency = asker.directory.agency(row.agency)
    who = {f"s{number}": ref for number, ref in enumerate(prepared.refs, 1)}
    outcome = AgencyOutcome(
        row.agency,
        agency.title,
        row.gateway,
        delivery,
        denials=tuple(
            Denied(one.code, one.reason, one.cure, one.contact, who.get(one.subject_ref, one.subject_ref))
            for one in row.denials
        ),
    )
    if delivery != "ANSWERED":
        return outcome
    if prepared.question.composition == ANY:
        if row.signed_answer or not recorded.get("answer"):
            raise BadReply("an agency's own answer is shown beside one put together, or is not in the ledger")
        return outcome
    if recorded.get("answer") != sha256(row.signed_answer).hex():
        raise BadReply("an answer is not the one in the ledger")
    given = answers.open_answer(row.signed_answer, node=row.agency, answer_public=agency.answer)
    asked = (prepared.digest, prepared.core.query_id, prepared.question.id, prepared.question.version)
    if (given.statement, given.query_id, given.question, given.question_version) != asked:
        raise BadReply("an agency's answer is to another question")
    if prepared.question.of_family:
        given.of_family()
    said = {ref: replace(given.slot(sent_as), ref=ref) for sent_as, ref in who.items()}
    for ref in prepared.thinly_described:
        # There are too few ways of finding them for not finding them to mean that they are not known (T-LNK-5).
        said[ref] = SlotAnswer(ref, answers.CANNOT_SAY) if said[ref].answer == answers.NO else said[ref]
    named = [f"s{number}" for number in range(1, len(prepared.inquiry.people) + 1)]
    return replace(
        outcome,
        answers=tuple(said.get(ref, SlotAnswer(ref, answers.CANNOT_SAY)) for ref in named),
        contacts=tuple(replace(one, ref=who[one.ref]) for one in _contacts(prepared, given) if one.ref in who),
        as_of_ns=given.as_of_ns,
    )


def _contacts(prepared: Prepared, given: AgencyAnswer) -> tuple[Contact, ...]:
    """Whom to ring. A block that cannot be read costs that agency its contacts, and nobody their answers."""
    info = answers.contacts_info(given.statement, given.node)
    try:
        return answers.parse_contacts(sealing.unseal(prepared.reply_key, info, given.sealed_contacts))
    except (sealing.BadEnvelope, answers.BadAnswer):
        return ()


def _targets(asker: Asker, inquiry: Inquiry, question: Question) -> tuple[statement.Target, ...]:
    chosen = inquiry.targets or tuple(agency for agency in question.owners if agency != asker.agency)
    listed = {agency.id for agency in asker.directory.agencies}
    if not inquiry.targets:
        chosen = tuple(agency for agency in chosen if agency in listed)
    claimed = inquiry.gateways or {}
    targets = []
    for agency in sorted(set(chosen)):
        asker.directory.agency(agency)
        targets.append(_target(asker, inquiry, agency, claimed.get(agency)))
    return tuple(targets)


def _target(asker: Asker, inquiry: Inquiry, agency: str, gateway: str | None) -> statement.Target:
    """What is claimed towards one agency. Where the catalogue knows nothing to claim, policy will say so."""
    claim = asker.catalogue.claim(inquiry.question, inquiry.purpose, asker.agency, agency)
    if claim is None:
        claim = Claim("none", "e", "none", "none", "none", "none")
    if gateway is not None and gateway != claim.gateway:
        known = asker.catalogue.gateways.get(gateway)
        claim = replace(claim, gateway=gateway, art6=known.art6[0] if known is not None else "e")
    return statement.Target(agency, claim.gateway, claim.art6, claim.art9, claim.sch1, claim.crime, claim.isa_id)


def _needs_agreement(asker: Asker, purpose: str) -> bool:
    """Whether the family's agreement is the operative safeguard of this purpose."""
    known = asker.catalogue.purposes.get(purpose)
    return known is not None and known.agreement == "required"


def _subject(number: int, one: Tokenised, today: date) -> statement.Subject:
    return statement.Subject(
        ref=f"s{number}",
        role=one.person.role,
        age_band=age_band(one.person.description.dob, today),
        relates_to_child=one.person.relates_to_child,
        competence=one.person.competence,
        consistent_id="present" if one.person.description.nhs else "unknown",
    )


def _case_token(asker: Asker, reference: str) -> str:
    return sha256(lp(b"accord case v1", asker.case_secret, asker.agency.encode(), reference.strip().encode())).hex()


async def _relied_on(
    asker: Asker,
    inquiry: Inquiry,
    targets: Sequence[statement.Target],
    people: Sequence[Tokenised],
    caller_token: str,
    now_ns: int,
) -> dict[str, Held]:
    """The agreement relied on for each subject: live ones with a binding here first, the newest first among them."""
    if not _needs_agreement(asker, inquiry.purpose):
        return {}
    wanted = [target.agency for target in targets]
    found = await asker.agreements(caller_token, [tag for one in people for tag in one.tags])

    def rank(held: Held) -> tuple[bool, int, bool, int]:
        covered = sum(
            held.agreement.covers(
                question=inquiry.question,
                purpose=inquiry.purpose,
                requester=asker.agency,
                responder=agency,
                at_ns=now_ns,
            )
            for agency in wanted
        )
        return (
            held.state in {"ConsentGiven", "RenewedConsentGiven"},
            covered,
            held.binding is not None,
            (held.agreement.captured_at_ns),
        )

    relied: dict[str, Held] = {}
    for number, one in enumerate(people, 1):
        mine = [held for held in found if set(held.agreement.subject_tags) & set(one.tags)]
        if mine:
            relied[f"s{number}"] = max(mine, key=rank)
    return relied


def _draft(
    asker: Asker,
    target: statement.Target,
    core: statement.Core,
    core_bytes: bytes,
    subjects: Sequence[statement.Subject],
    people: Sequence[Tokenised],
    held: Mapping[str, Held],
) -> statement.Draft:
    slots = []
    for subject, one in zip(subjects, people, strict=True):
        relied = held.get(subject.ref)
        content = slot.Content(
            ref=subject.ref,
            description=to_bytes(one.sent),
            role=subject.role,
            age_band=subject.age_band,
            subject_tags=one.tags,
            agreement=None if relied is None or relied.binding is None else _proof(relied, relied.binding),
        )
        slots.append(sealing.Slot([token for _, token in one.tokens], slot.content_bytes(content)))
    payload = sealing.seal_envelope(
        slots,
        node_id=target.agency,
        query_id=core.query_id,
        core_digest=sha256(core_bytes),
        public=asker.directory.agency(target.agency).sealing,
        random=asker.random,
    )
    part = statement.NodePart(target.agency, target.gateway, sha256(payload).hex())
    return statement.draft(part, payload, asker.random)


def _proof(held: Held, binding: Binding) -> slot.AgreementProof:
    return slot.AgreementProof(held.signed, held.signature, binding, held.record, held.receipt)


def committed_tokens(one: Tokenised) -> tuple[bytes, ...]:
    """The tokens to which an agreement commits."""
    return tuple(token for family, token in one.tokens if family in _COMMITTED)


def held_agreement(
    signed: common_pb2.Signed, state: str, receipted: common_pb2.Receipted, binding: Binding | None
) -> Held:
    """An agreement as the broker found it.

    Raises:
        BadAgreement: It is malformed.
    """
    agreement = parse_agreement(signed.statement)
    if len(signed.signature) != signing.SIGNATURE_BYTES:
        raise BadAgreement("the agreement's signature has a wrong size")
    return Held(agreement, signed.statement, signed.signature, state, receipted.record, receipted.receipt, binding)
