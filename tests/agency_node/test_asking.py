"""The agency's side when it asks: what leaves, what does not, and what is claimed in the agency's name."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest

from accord import answer as answers
from accord import sealing, statement
from accord.agreement import GIVEN, Agreement, Binding
from accord.answer import AgencyAnswer, SlotAnswer
from accord.canonical import sha256
from accord.identity import from_bytes
from accord.reasons import Problem
from accord.slot import parse_content
from accord.v1 import broker_pb2, common_pb2
from agency_node import asking
from agency_node.asking import AgencyOutcome, Asker, BadReply, Held, Outcome, Prepared
from agency_node.cli import people as typed
from tests.world import trust
from tests.world.asker import World, token
from tests.world.stack import found_in, identifiers

JAMIE: Final = {
    "first_name": "Jamie",
    "last_name": "Thorley",
    "middle_names": "Alan",
    "date_of_birth": "2013-03-09",
    "sex": "male",
    "address": "Flat 3, 14 Larkspur Rise",
    "postcode": "MD4 7QT",
    "nhs_number": "9990030499",
    "role": "child",
}
ANNE: Final = JAMIE | {"first_name": "Anne", "last_name": "Calloway", "date_of_birth": "1988-05-21", "role": "parent"}
CALLER_TOKEN: Final = "a.caller.token"


@pytest.fixture(scope="module")
def federation() -> trust.Federation:
    return trust.make_federation()


@pytest.fixture
def world(federation: trust.Federation) -> World:
    return World(federation)


def inquiry(*rows: Mapping[str, Any], **changes: Any) -> asking.Inquiry:
    value = {"question": "agency.contact", "purpose": "early_help", "case": "CF-1042", "need_tier": 2}
    found, _ = typed.inquiry({**value, "people": list(rows or (JAMIE,)), **changes})
    return found


def prepared(asker: Asker, asked: asking.Inquiry) -> Prepared:
    return asyncio.run(asking.prepare(asker, asked, CALLER_TOKEN, "practitioner"))


def refused(asker: Asker, asked: asking.Inquiry) -> Problem:
    with pytest.raises(Problem) as problem:
        prepared(asker, asked)
    return problem.value


def broker_part(made: Prepared) -> statement.BrokerPart:
    return statement.parse_broker_part(made.request.broker_part)


def contents(world: World, made: Prepared, agency: str = "police") -> list[Any]:
    """What lies in the slots of an envelope, for somebody who has every token."""
    (draft,) = (one for one in made.signed.drafts if one.node == agency)
    core_digest = sha256(made.signed.core)
    private = world.federation.agencies[agency].sealing
    slots = sealing.open_envelope(draft.payload, private=private, core_digest=core_digest)
    tokens = [token(key) for key in world.keys_asked]
    where = {"node_id": agency, "query_id": made.core.query_id, "core_digest": core_digest}
    opened = [
        sealing.open_slot(slot, {tag: tokens for tag, _ in slot.wraps}, **where)  # type: ignore[arg-type]  # as named
        for slot in slots
    ]
    return sorted((parse_content(one) for one in opened if one is not None), key=lambda one: one.ref)


# -- What leaves -------------------------------------------------------------------------------------------------------


def test_no_identifier_leaves_unsealed(world: World) -> None:
    """T-LNK-1: every byte of the request; name, date, address, numbers and case reference stay inside."""
    request = prepared(world.asker(), inquiry(JAMIE, ANNE | {"relates_to_child": True})).request

    sent = request.SerializeToString()

    assert [] == found_in(sent, [*identifiers(JAMIE), *identifiers(ANNE), b"CF-1042"])


def test_what_a_holder_can_open_is_the_description(world: World) -> None:
    """The control of the test above: with the tokens, and with them only, the slot says who is meant."""
    made = prepared(world.asker(), inquiry())
    (content,) = contents(world, made)

    assert ("jamie", "thorley", "20130309") == (
        from_bytes(content.description).first,
        from_bytes(content.description).last,
        from_bytes(content.description).dob,
    )


def test_a_protected_address_is_in_no_key_tag_or_slot(world: World) -> None:
    """T-LNK-1: neither in clear nor as something its holder could try addresses on."""
    made = prepared(world.asker(), inquiry(JAMIE | {"protected": True}))
    (content,) = contents(world, made)
    wanted = b"".join(key.input for key in world.keys_asked)

    assert ("", "") == (from_bytes(content.description).street, from_bytes(content.description).postcode)
    assert [] == found_in(wanted, [b"md47qt", b"larkspur"])


def test_envelopes_do_not_tell_how_many_are_asked_about(world: World) -> None:
    """T-LNK-4: one person or four, every agency's envelope has one size, and the signed list one length."""
    sizes = set()
    for people in (
        [JAMIE],
        [JAMIE, *[ANNE | {"first_name": name, "relates_to_child": True} for name in ["Abe", "Bea", "Cy"]]],
    ):
        made = prepared(world.asker(), inquiry(*people))
        sizes |= {(len(one.payload), len(made.signed.node_digests)) for one in made.signed.drafts}

    assert 1 == len(sizes)


def test_what_the_gateway_asks_to_be_stated_goes_to_the_broker_as_it_was_typed(world: World) -> None:
    """A charity answers a public task that somebody stated; nobody's computer states it for them."""
    said = [
        broker_part(prepared(world.asker(), inquiry(**stated))).assertions
        for stated in ({}, {"public_task": True}, {"significant_harm": True})
    ]

    assert [(False, False), (False, True), (True, False)] == [
        (one.significant_harm_asserted, one.public_task_stated) for one in said
    ]


def test_a_case_reference_leaves_as_a_token_that_only_this_agency_can_make(world: World) -> None:
    """T-PRV-1: the same reference gives the same token here, and another one elsewhere."""

    def case_token(asker: Asker, case: str) -> str:
        return broker_part(prepared(asker, inquiry(case=case))).case_token

    here, elsewhere = world.asker(), world.asker("housing")

    assert case_token(here, "CF-1042") == case_token(here, " CF-1042 ")
    assert 3 == len({case_token(here, "CF-1042"), case_token(here, "CF-1043"), case_token(elsewhere, "CF-1042")})
    assert case_token(here, "CF-1042") != case_token(world.asker(case_secret=b"d" * 32), "CF-1042")


# -- What is not asked -------------------------------------------------------------------------------------------------


LITTLE: Final = {"first_name": "Jo", "last_name": "Thorley", "role": "child"}


def test_a_description_with_too_little_in_it_is_not_asked(world: World) -> None:
    """T-LNK-5: whose it is is said, and no key server hears of anybody."""
    problem = refused(world.asker(), inquiry(LITTLE))

    assert ("TOO_LITTLE_TO_GO_ON", "s1") == (problem.reason, getattr(problem, "field", ""))
    assert [] == world.keys_asked


def test_somebody_of_whom_too_little_is_known_is_left_out(world: World) -> None:
    """T-LNK-5: the others are asked about; nothing of who was left out leaves, not even that they were."""
    made = prepared(world.asker(), inquiry(LITTLE, JAMIE, ANNE))

    assert ("s2", "s3") == made.refs
    assert ["s1", "s2"] == [subject.ref for subject in broker_part(made).subjects]
    assert ["jamie", "anne"] == [from_bytes(one.description).first for one in contents(world, made)]
    assert b"jo" not in {key.input[-2:] for key in world.keys_asked}


def test_nobody_hears_of_a_family_of_which_one_person_is_left(world: World) -> None:
    """T-LNK-2: a family's word about one person would be that person's; what to do instead is said."""
    problem = refused(world.asker(), inquiry(JAMIE, LITTLE, question="family.known"))

    assert ("BAD_REQUEST", "people") == (problem.reason, getattr(problem, "field", ""))
    assert "agency.contact" in getattr(problem, "cure", "")
    assert [] == world.keys_asked


def test_nothing_is_put_together_of_one_agencys_answer(world: World) -> None:
    """T-PRV-1: it would be that agency's own answer under another name."""
    about = inquiry(JAMIE, ANNE, question="family.known_anywhere", agencies=["police"])

    problem = refused(world.asker(), about)

    assert ("BAD_REQUEST", "agencies") == (problem.reason, getattr(problem, "field", ""))
    assert "family.known" in getattr(problem, "cure", "")
    assert [] == world.keys_asked


@pytest.mark.parametrize(
    "home",
    [
        {},
        {"address": "", "postcode": "MD4 7QT"},
        {"postcode": ""},
        {"postcode": "MD1 1AA", "former_postcodes": ["MD4 7QT"]},
    ],
    ids=["the same", "postcode alone", "street alone", "lived there before"],
)
def test_a_protected_address_is_not_given_away_by_a_relative(world: World, home: dict[str, Any]) -> None:
    """T-LNK-1: whoever lives at it is asked about without it: the mother's slot is no way to the child's refuge."""
    made = prepared(world.asker(), inquiry(JAMIE | {"protected": True}, ANNE | home))
    wanted = b"".join(key.input for key in world.keys_asked)

    assert [("", "", ())] * 2 == [
        (one.street, one.postcode, one.former_postcodes)
        for one in (from_bytes(content.description) for content in contents(world, made))
    ]
    assert [] == found_in(wanted, [b"md47qt", b"larkspur"])


def test_a_relative_who_lives_elsewhere_is_asked_about_with_their_address(world: World) -> None:
    """The control of the test above: an address that gives nothing away helps to find its person."""
    elsewhere = ANNE | {"address": "9 Elm Row", "postcode": "MD2 2BB"}
    made = prepared(world.asker(), inquiry(JAMIE | {"protected": True}, elsewhere))

    assert ["", "md22bb"] == [from_bytes(one.description).postcode for one in contents(world, made)]


@pytest.mark.parametrize("field", ["normaliser", "families"])
def test_software_of_another_epoch_does_not_ask(world: World, field: str) -> None:
    """T-LNK-5: keys made otherwise than the directory says would find nobody, and that would read as no."""
    directory = world.federation.directory
    changes: dict[str, Any] = {field: "00" * 32}
    other = replace(directory, epoch=replace(directory.epoch, **changes))

    assert "WRONG_EPOCH" == refused(world.asker(directory=other), inquiry()).reason
    assert [] == world.keys_asked


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"question": "police.intelligence"}, "QUESTION_UNKNOWN"), ({"agencies": ["hospital"]}, "UNKNOWN_AGENCY")],
)
def test_what_the_federation_does_not_know_is_not_asked(world: World, changes: dict[str, Any], reason: str) -> None:
    """T-POL-3: an unknown question or agency is refused before anything is derived from a name."""
    assert reason == refused(world.asker(), inquiry(**changes)).reason
    assert [] == world.keys_asked


# -- What is claimed ---------------------------------------------------------------------------------------------------


def test_by_default_every_other_owner_is_asked_under_its_own_ground(world: World) -> None:
    """The catalogue's default gateway for this purpose, agency by agency; oneself is left out."""
    made = broker_part(prepared(world.asker(), inquiry(purpose="s47_enquiry", need_tier=4)))

    assert [("housing", "ca1989_s47"), ("police", "common_law_police")] == [
        (target.agency, target.gateway) for target in made.targets
    ]


def test_a_ground_that_is_claimed_is_taken_for_that_agency_only(world: World) -> None:
    """T-CON-3: what somebody claims they claim; it spreads to no other agency."""
    made = broker_part(prepared(world.asker(), inquiry(gateways={"police": "ca2004_s16LA"})))

    assert [("housing", "agreement_service"), ("police", "ca2004_s16LA")] == [
        (target.agency, target.gateway) for target in made.targets
    ]


def agreement_of(made: Prepared, state: str, captured_at_ns: int, **changes: Any) -> Held:
    """An agreement of the first person of a question."""
    tags = broker_part(made).subject_tags["s1"]
    given = Agreement(
        record_id=f"01890000-0000-7000-8000-{captured_at_ns % 10**12:012d}",
        kind="service_agreement",
        state=GIVEN,
        given_by="parent",
        capture="web",
        captured_by="social-care",
        captured_at_ns=captured_at_ns,
        valid_from_ns=trust.NOW_NS - 10**15,
        valid_to_ns=trust.NOW_NS + 10**15,
        questions=("agency.contact",),
        purposes=("early_help",),
        requesters=("social-care",),
        responders=("housing", "police"),
        subject_tags=tags,
        binding="88" * 32,
        notice="notice-1",
        policy="11" * 32,
    )
    # Alone for which one is chosen: its bytes and receipt are looked at by the node.
    bound = None if changes.pop("unbound", False) else Binding(b"s" * 32, (b"c" * 32,))
    return Held(replace(given, **changes), b"{}", b"s" * 64, state, b"{}", "r", bound)


@pytest.mark.parametrize(
    ("worse", "why"),
    [
        ({"state": "ConsentWithdrawn", "captured_at_ns": 9}, "withdrawn"),
        ({"state": "ConsentGiven", "captured_at_ns": 9, "responders": ("housing",)}, "covers less"),
        ({"state": "ConsentGiven", "captured_at_ns": 9, "unbound": True}, "its binding is not here"),
        ({"state": "ConsentGiven", "captured_at_ns": 1}, "older"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_of_several_agreements_the_best_is_relied_on(world: World, worse: dict[str, Any], why: str) -> None:
    """T-CON-3: live before withdrawn, wider before narrower, usable here before not, newer before older."""
    first = prepared(world.asker(), inquiry())
    best = agreement_of(first, "ConsentGiven", 5)
    world.held = [agreement_of(first, **worse), best]

    found = [broker_part(prepared(world.asker(), inquiry())).agreements]
    world.held.reverse()
    found.append(broker_part(prepared(world.asker(), inquiry())).agreements)

    assert [[best.agreement.record_id]] * 2 == [[one.record_id for one in refs] for refs in found]


def test_a_protective_purpose_relies_on_no_agreement(world: World) -> None:
    """T-CON-3: where an agreement is not the ground, none is looked for, named or put into a slot."""
    first = prepared(world.asker(), inquiry())
    world.held = [agreement_of(first, "ConsentGiven", 5)]

    made = prepared(world.asker(), inquiry(purpose="s47_enquiry", need_tier=4))

    assert () == broker_part(made).agreements
    assert [None] == [one.agreement for one in contents(world, made)]


def test_an_agreement_lies_inside_the_slot_and_nowhere_else(world: World) -> None:
    """T-CON-4: its commitments are for whoever holds the person, not for the broker."""
    first = prepared(world.asker(), inquiry())
    world.held = [agreement_of(first, "ConsentGiven", 5)]

    made = prepared(world.asker(), inquiry())
    (content,) = contents(world, made)

    assert (b"c" * 32,) == content.agreement.binding.commitments
    assert b"c" * 32 not in made.request.SerializeToString()


# -- What is shown -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "summary"),
    [
        (["NO", "YES", "CANNOT_SAY"], "YES"),
        (["NO", "CANNOT_SAY"], "CANNOT_SAY"),
        (["NO", "NO"], "NO"),
        ([], ""),
    ],
)
def test_a_family_in_one_word(world: World, words: list[str], summary: str) -> None:
    """T-NET-1: no is said of a family only if it was said of each; without answers nothing is."""
    said = tuple(SlotAnswer(f"s{number}", word) for number, word in enumerate(words, 1))
    agency = AgencyOutcome("police", "Police", "x", "ANSWERED" if words else "NOT_REACHED", said)
    question = world.asker().catalogue.questions["agency.contact"]
    outcome = Outcome("q", question, max(1, len(words)), (agency,), "RELEASED", 0, b"", "")

    assert summary == outcome.summary(agency)
    assert int(bool(words)) == outcome.answered


@dataclass(frozen=True, slots=True)
class Reply:
    """What a broker makes of a question: what each agency says of each person, or how else it ended there.

    Attributes:
        made: The question.
        came: Agency -> words for the slots in order, or REFUSED or NOT_REACHED.
        together: What is said to be the answer of all.
        recorded: What the record says it is.
    """

    made: Prepared
    came: Mapping[str, tuple[str, ...] | str]
    together: str = ""
    recorded: str | None = None

    def response(self, world: World, *, shown: bool) -> broker_pb2.AskResponse:
        """The reply, with a record in a ledger of one entry; with the agencies' own answers or without."""
        rows, written = [], []
        for agency, came in sorted(self.came.items()):
            signed = b"" if isinstance(came, str) else self._signed(world, agency, came)
            delivery = came if isinstance(came, str) else "ANSWERED"
            written.append({"agency": agency, "delivery": delivery, "answer": sha256(signed).hex() if signed else ""})
            rows.append(
                broker_pb2.AgencyRow(
                    agency=agency,
                    delivery=common_pb2.Delivery.Value(f"DELIVERY_{delivery}"),
                    signed_answer=signed if shown else b"",
                )
            )
        body: dict[str, Any] = {
            "kind": "RELEASED",
            "query_id": self.made.core.query_id,
            "statement": self.made.digest.hex(),
            "rows": written,
        }
        recorded = self.together if self.recorded is None else self.recorded
        return broker_pb2.AskResponse(
            query_id=self.made.core.query_id,
            rows=rows,
            receipted=world.receipted(body | ({"composed": recorded} if recorded else {})),
            composed=common_pb2.Answer.Value(f"ANSWER_{self.together or 'UNSPECIFIED'}"),
        )

    def _signed(self, world: World, agency: str, words: tuple[str, ...]) -> bytes:
        said = (*words, *[words[-1]] * (12 - len(words)))
        given = AgencyAnswer(
            statement=self.made.digest,
            jti="01890000-0000-7000-8000-000000000001",
            query_id=self.made.core.query_id,
            node=agency,
            question=self.made.question.id,
            question_version=1,
            as_of_ns=trust.NOW_NS,
            policy="11" * 32,
            slots=tuple(SlotAnswer(f"s{number}", word) for number, word in enumerate(said, 1)),
            sealed_contacts=b"",
        )
        return answers.build(given, world.federation.agencies[agency].answer)


def checked(world: World, reply: Reply, *, shown: bool = True) -> Outcome:
    return asking.check(world.asker(), reply.made, reply.response(world, shown=shown))


def asked_of(world: World, question: str, *people: Mapping[str, Any]) -> Prepared:
    told = inquiry(*people, question=question, purpose="s47_enquiry", need_tier=4, agencies=["housing", "police"])
    return prepared(world.asker(), told)


def test_somebody_left_out_is_cannot_say_beside_the_others(world: World) -> None:
    """T-LNK-5: each answer stands beside whom it is about, and a family's no becomes cannot say."""
    made = asked_of(world, "agency.contact", JAMIE, LITTLE, ANNE)

    outcome = checked(world, Reply(made, {"housing": ("YES", "NO"), "police": ("NO", "NO")}))

    assert ("s2",) == outcome.left_out
    assert [["YES", "CANNOT_SAY", "NO"], ["NO", "CANNOT_SAY", "NO"]] == [
        [one.answer for one in agency.answers] for agency in outcome.agencies
    ]
    assert ["s1", "s2", "s3"] == [one.ref for one in outcome.agencies[0].answers]
    assert ["YES", "CANNOT_SAY"] == [outcome.summary(agency) for agency in outcome.agencies]


THIN: Final = {"first_name": "Jamie", "date_of_birth": "2013-03-09", "middle_names": "Alan", "role": "child"}


def test_of_a_thin_description_yes_is_said_and_no_is_not(world: World) -> None:
    """T-LNK-5: with few ways of finding somebody, not finding them does not mean that they are not known."""
    made = asked_of(world, "agency.contact", THIN, ANNE)

    outcome = checked(world, Reply(made, {"housing": ("NO", "NO"), "police": ("YES", "NO")}))

    assert ((), ("s1",)) == (outcome.left_out, outcome.thinly_described)
    assert [["CANNOT_SAY", "NO"], ["YES", "NO"]] == [
        [one.answer for one in agency.answers] for agency in outcome.agencies
    ]


def test_no_is_not_said_of_a_family_with_a_thin_description_in_it(world: World) -> None:
    """T-LNK-5: neither by one agency nor by all of them together; a yes is."""
    each, together = (asked_of(world, name, ANNE, THIN) for name in ("family.known", "family.known_anywhere"))
    came = {"housing": ("NO",), "police": ("YES",)}

    outcome = checked(world, Reply(each, came))
    assert ["CANNOT_SAY", "YES"] == [outcome.summary(agency) for agency in outcome.agencies]

    for word, shown in (("NO", "CANNOT_SAY"), ("YES", "YES")):
        came = {"housing": ("NO",), "police": (word,)}
        outcome = checked(world, Reply(together, came, word), shown=False)

        assert shown == outcome.word


@pytest.mark.parametrize("question", ["agency.contact", "family.known"])
def test_no_is_not_said_of_somebody_named_twice(world: World, question: str) -> None:
    """T-LNK-5: keys that two people share find neither of them, so nobody could be found."""
    made = asked_of(world, question, JAMIE, JAMIE)

    outcome = checked(world, Reply(made, {"housing": ("NO", "NO"), "police": ("NO", "NO")}))

    assert ("s1", "s2") == outcome.thinly_described
    assert {"CANNOT_SAY"} == {one.answer for agency in outcome.agencies for one in agency.answers}


def test_an_agency_that_tells_a_familys_members_apart_is_not_shown(world: World) -> None:
    """T-LNK-2: a family's answer stands in every slot or nowhere."""
    made = asked_of(world, "family.known", JAMIE, ANNE)

    with pytest.raises(answers.BadAnswer):
        checked(world, Reply(made, {"housing": ("NO", "NO"), "police": ("YES", "NO")}))


def test_a_familys_answer_is_one_for_everybody(world: World) -> None:
    """A yes is a yes of the family; of whom it says nothing."""
    made = asked_of(world, "family.known", JAMIE, ANNE)

    outcome = checked(world, Reply(made, {"housing": ("NO",), "police": ("YES",)}))

    assert ["NO", "YES"] == [outcome.summary(agency) for agency in outcome.agencies]
    assert "" == outcome.word


@pytest.mark.parametrize(
    ("came", "together"),
    [
        ({"housing": ("NO",), "police": ("YES",)}, "YES"),
        ({"housing": ("NO",), "police": ("NO",)}, "NO"),
        ({"housing": ("NO",), "police": "NOT_REACHED"}, "CANNOT_SAY"),
        ({"housing": "REFUSED", "police": "NOT_REACHED"}, "CANNOT_SAY"),
    ],
)
def test_an_answer_put_together_is_shown_without_the_agencies_own(
    world: World, came: Mapping[str, Any], together: str
) -> None:
    """T-NET-1: who answered is shown, what they said is not."""
    made = asked_of(world, "family.known_anywhere", JAMIE, ANNE)

    outcome = checked(world, Reply(made, came, together), shown=False)

    assert together == outcome.word
    assert [()] * 2 == [one.answers for one in outcome.agencies]


def test_no_is_not_said_of_a_family_of_which_somebody_was_left_out(world: World) -> None:
    """T-LNK-5: the agencies looked for the others only."""
    made = asked_of(world, "family.known_anywhere", JAMIE, ANNE, LITTLE)

    outcome = checked(world, Reply(made, {"housing": ("NO",), "police": ("NO",)}, "NO"), shown=False)

    assert ("NO", "CANNOT_SAY") == (outcome.together, outcome.word)


@pytest.mark.parametrize(
    ("why", "came", "together", "recorded", "shown"),
    [
        ("another answer than the ledger's", {"housing": ("NO",), "police": ("NO",)}, "YES", "NO", False),
        ("no, and one did not answer", {"housing": ("NO",), "police": "NOT_REACHED"}, "NO", None, False),
        ("yes of a single answer", {"housing": ("YES",), "police": "NOT_REACHED"}, "YES", None, False),
        ("yes of nobody", {"housing": "REFUSED", "police": "NOT_REACHED"}, "YES", None, False),
        ("no answer at all", {"housing": ("NO",), "police": ("NO",)}, "", None, False),
        ("the agencies' own beside it", {"housing": ("NO",), "police": ("NO",)}, "NO", None, True),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_an_answer_that_cannot_have_been_put_together_so_is_not_shown(
    world: World, why: str, came: Mapping[str, Any], together: str, recorded: str | None, shown: bool
) -> None:
    """T-SEC-2: what the deliveries and the ledger's record contradict is caught here, whatever the broker says."""
    made = asked_of(world, "family.known_anywhere", JAMIE, ANNE)

    with pytest.raises(BadReply):
        checked(world, Reply(made, came, together, recorded), shown=shown)


def test_an_answer_put_together_has_no_place_where_each_agency_is_shown(world: World) -> None:
    """T-SEC-2: a broker adds no word of its own to what agencies signed."""
    made = asked_of(world, "agency.contact", JAMIE, ANNE)

    with pytest.raises(BadReply):
        checked(world, Reply(made, {"housing": ("NO", "NO"), "police": ("NO", "NO")}, "YES"))


def test_an_answer_has_no_truth_value() -> None:
    """Three answers do not fit into two: `if answer:` is an error and no yes."""
    with pytest.raises(TypeError):
        bool(SlotAnswer("s1", "NO"))
