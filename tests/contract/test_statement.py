"""The asker's statement: known answers, bytes assembled by hand, and every part that could be swapped."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from accord import canonical, signing, statement
from accord.canonical import NotCanonical
from accord.reasons import Problem
from accord.signing import BadSignature
from accord.statement import (
    LIST_SIZES,
    AgreementRef,
    Assertions,
    BadStatement,
    BrokerPart,
    Core,
    Draft,
    NodePart,
    NodeStatement,
    SignedStatement,
    Statement,
    Subject,
    Target,
)
from tests.contract import ed25519_reference, known_answers
from tests.contract.mutation import value_mutant

NOW_NS = 1_795_310_625_678_000_000
SEEDS = {"social-care": bytes([1]) * 32, "police": bytes([3]) * 32, "housing": bytes([4]) * 32}
KEYS = {agency: Ed25519PrivateKey.from_private_bytes(seed) for agency, seed in SEEDS.items()}
PUBLIC = {agency: signing.public_bytes(key) for agency, key in KEYS.items()}
KEY = KEYS["social-care"]

CORE = Core(
    query_id="0198c0de-0000-7000-8000-000000000001",
    agency="social-care",
    role="social_worker",
    caller_token_sha256="11" * 32,
    question="agency.contact",
    question_version=1,
    purpose="early_help",
    urgency="routine",
    reply_key=bytes(range(32)),
    epoch="2026-1",
    normaliser="33" * 32,
    families="44" * 32,
    key_servers="55" * 32,
    issued_at_ns=NOW_NS,
    expires_at_ns=NOW_NS + 60_000_000_000,
)
CORE_TEXT = (
    '{"agency":"social-care","caller_token":"' + "11" * 32 + '","epoch":"2026-1",'
    '"expires_at":"2026-11-22T01:24:45.678Z","families":"' + "44" * 32 + '",'
    '"issued_at":"2026-11-22T01:23:45.678Z","key_servers":"' + "55" * 32 + '","normaliser":"' + "33" * 32 + '",'
    '"purpose":"early_help","query_id":"0198c0de-0000-7000-8000-000000000001","question":"agency.contact",'
    '"question_version":1,"reply_key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8","role":"social_worker",'
    '"urgency":"routine","v":1}'
)
RECORD = "0198c0de-0000-7000-8000-00000000000a"
BROKER = BrokerPart(
    targets=(Target("housing", "agreement_service", "e"), Target("police", "agreement_service", "e", crime="none")),
    subjects=(
        Subject("s1", "child", "10_15", competence="not_assessed", consistent_id="present"),
        Subject("s2", "other_adult", "18_plus", relates_to_child=True),
    ),
    assertions=Assertions(need_tier=2, views_sought="yes", told_state="told"),
    agreements=(AgreementRef(RECORD, "s1"),),
    case_token="66" * 32,
    subject_tags={"s1": (bytes(16), bytes([1]) * 16), "s2": ()},
    answer_form="recency",
)
BROKER_TEXT = (
    '{"agreements":[{"record_id":"0198c0de-0000-7000-8000-00000000000a","subject_ref":"s1"}],"answer_form":"recency",'
    '"assertions":{"necessity_code":"","need_tier":2,"proportionality_code":"","public_task_stated":false,'
    '"significant_harm_asserted":false,"told_reason":"none","told_review_at":null,"told_state":"told",'
    '"views_sought":"yes"},"case_token":"' + "66" * 32 + '","subjects":[{"age_band":"10_15",'
    '"competence":"not_assessed","concerns_unborn":false,"consistent_id":"present","ref":"s1",'
    '"relates_to_child":false,"role":"child","tags":["AAAAAAAAAAAAAAAAAAAAAA","AQEBAQEBAQEBAQEBAQEBAQ"]},'
    '{"age_band":"18_plus","competence":"n_a","concerns_unborn":false,"consistent_id":"unknown","ref":"s2",'
    '"relates_to_child":true,"role":"other_adult","tags":[]}],"targets":[{"agency":"housing","art6":"e",'
    '"art9":"none","crime":"none","gateway":"agreement_service","isa_id":"none","sch1":"none"},{"agency":"police",'
    '"art6":"e","art9":"none","crime":"none","gateway":"agreement_service","isa_id":"none","sch1":"none"}],"v":1}'
)
PAYLOADS = {"police": b"sealed for the police", "housing": b"sealed for housing"}


def drawn(seed: str) -> Callable[[int], bytes]:
    """Bytes drawn one after the other from SHAKE128(seed)."""
    stream = iter(hashlib.shake_128(seed.encode()).digest(10_000))
    return lambda size: bytes(next(stream) for _ in range(size))


def made(node: str, gateway: str = "agreement_service", payload: bytes | None = None) -> Draft:
    """The part of one node."""
    payload = PAYLOADS.get(node, b"sealed") if payload is None else payload
    part = NodePart(node, gateway, hashlib.sha256(payload).hexdigest())
    return statement.draft(part, payload, drawn(f"salt {node}"))


def signed(
    core: Core | bytes = CORE,
    broker: BrokerPart | bytes = BROKER,
    drafts: tuple[Draft, ...] | None = None,
    key: Ed25519PrivateKey = KEY,
) -> SignedStatement:
    """A statement, really signed, of whatever parts are given."""
    return statement.sign(
        core if isinstance(core, bytes) else statement.core_bytes(core),
        broker if isinstance(broker, bytes) else statement.broker_part_bytes(broker),
        (made("police"), made("housing")) if drafts is None else drafts,
        key,
        drawn("padding"),
    )


SIGNED = signed()


def at_broker(one: SignedStatement, public: bytes = PUBLIC["social-care"]) -> Statement:
    """What the broker makes of it."""
    return statement.open_for_broker(one, public)


class UnknownAgency(Problem):
    """As the directory raises it."""

    reason = "UNKNOWN_AGENCY"


def asking_public(agency: str) -> bytes:
    """The directory's asking key of an agency."""
    if agency not in PUBLIC:
        raise UnknownAgency(agency)
    return PUBLIC[agency]


def at_node(one: SignedStatement, draft: Draft | None = None, node: str = "police", **changed: Any) -> NodeStatement:
    """What a node makes of the parts that reach it."""
    found: dict[str, Any] = {
        "core": one.core,
        "broker_part_sha256": hashlib.sha256(one.broker_part).digest(),
        "node_digests": one.node_digests,
        "signature": one.signature,
        "key_id": one.key_id,
        "draft": draft or next(item for item in one.drafts if item.node == node),
        "node": node,
        "asking_public": asking_public,
    }
    return statement.open_for_node(**{**found, **changed})


def vectors() -> dict[str, Any]:
    """What stands in protos/vectors/statement.json."""
    return {
        "about": "A statement in its parts; bytes are hexadecimal unless they are JSON text. signature: Ed25519 over "
        "lp(label) and lp(core, SHA-256(broker_part), each of node_digests), where lp puts four bytes of length, "
        "big-endian, before each part. A node digest is SHA-256 of lp(part_label, salt, part); the list is sorted and "
        "padded to one of list_sizes. digest: SHA-256 of lp(label) and the same message. refused_cores and "
        "refused_broker_parts must not be accepted even under a right signature.",
        "label": statement.LABEL,
        "part_label": statement.PART_LABEL.decode(),
        "list_sizes": list(LIST_SIZES),
        "asking_seed": SEEDS["social-care"].hex(),
        "asking_public": PUBLIC["social-care"].hex(),
        "key_id": SIGNED.key_id,
        "core": SIGNED.core.decode(),
        "core_digest": hashlib.sha256(SIGNED.core).hexdigest(),
        "broker_part": SIGNED.broker_part.decode(),
        "drafts": [
            {
                "node": item.node,
                "part": item.part.decode(),
                "salt": item.salt.hex(),
                "payload": item.payload.hex(),
                "digest": statement.part_digest(item.salt, item.part).hex(),
            }
            for item in SIGNED.drafts
        ],
        "node_digests": [item.hex() for item in SIGNED.node_digests],
        "signature": SIGNED.signature.hex(),
        "digest": at_broker(SIGNED).digest.hex(),
        "refused_cores": {why: data.decode() for why, data in BAD_CORES.items()},
        "refused_broker_parts": {why: data.decode() for why, data in BAD_BROKER_PARTS.items() if len(data) < 3_000},
    }


def changed_json(text: str, **changed: Any) -> bytes:
    """Canonical JSON with some fields replaced; a field given as ... is taken out."""
    value = {**json.loads(text), **changed}
    return canonical.encode({key: item for key, item in value.items() if item is not ...})


BAD_CORES = {
    "not canonical": CORE_TEXT.replace(":1,", ": 1,").encode(),
    "of another version": changed_json(CORE_TEXT, v=2),
    "with a field too many": changed_json(CORE_TEXT, x=1),
    "without its purpose": changed_json(CORE_TEXT, purpose=...),
    "with a purpose of two words": changed_json(CORE_TEXT, purpose="early help"),
    "with an unknown urgency": changed_json(CORE_TEXT, urgency="urgent"),
    "with a question of one word": changed_json(CORE_TEXT, question="contact"),
    "with a question too long": changed_json(CORE_TEXT, question="a." + "b" * 127),
    "with version 0": changed_json(CORE_TEXT, question_version=0),
    "with version true": changed_json(CORE_TEXT, question_version=True),
    "with a number for an agency": changed_json(CORE_TEXT, agency=1),
    "with a path for an agency": changed_json(CORE_TEXT, agency="../police"),
    "with a short reply key": changed_json(CORE_TEXT, reply_key="AAEC"),
    "with a padded reply key": changed_json(CORE_TEXT, reply_key="AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
    "with a number in capitals": changed_json(CORE_TEXT, query_id="0198C0DE-0000-7000-8000-000000000001"),
    "that lives 61 seconds": changed_json(CORE_TEXT, expires_at="2026-11-22T01:24:46.678Z"),
    "that ends as it begins": changed_json(CORE_TEXT, expires_at="2026-11-22T01:23:45.678Z"),
    "that ends before it begins": changed_json(CORE_TEXT, expires_at="2026-11-22T01:23:44.678Z"),
    "with a time in other digits": changed_json(CORE_TEXT, issued_at="2026-11-22T01:23:45.\uff16\uff17\uff18Z"),
    "with a time of another form": changed_json(CORE_TEXT, issued_at="2026-11-22T01:23:45Z"),
    "that is a list": b"[]",
    "that is empty": b"",
    "too long": changed_json(CORE_TEXT, role="a" * 5_000),
}
_SUBJECT = json.loads(BROKER_TEXT)["subjects"][0]
_TARGET = json.loads(BROKER_TEXT)["targets"][0]
_ASSERTIONS = json.loads(BROKER_TEXT)["assertions"]
BAD_BROKER_PARTS = {
    "not canonical": BROKER_TEXT.replace(":true", ": true").encode(),
    "of another version": changed_json(BROKER_TEXT, v=2),
    "with a field too many": changed_json(BROKER_TEXT, name="x"),
    "with no target": changed_json(BROKER_TEXT, targets=[]),
    "with a target twice": changed_json(BROKER_TEXT, targets=[_TARGET, {**_TARGET, "gateway": "ca1989_s47"}]),
    "with 51 targets": changed_json(BROKER_TEXT, targets=[{**_TARGET, "agency": f"a{n}"} for n in range(51)]),
    "with a target without a gateway": changed_json(
        BROKER_TEXT, targets=[{name: item for name, item in _TARGET.items() if name != "gateway"}]
    ),
    "with nobody asked about": changed_json(BROKER_TEXT, subjects=[], agreements=[]),
    "with 13 subjects": changed_json(BROKER_TEXT, subjects=[{**_SUBJECT, "ref": f"s{n}"} for n in range(1, 14)]),
    "with a subject twice": changed_json(BROKER_TEXT, subjects=[_SUBJECT, _SUBJECT]),
    "with subjects out of order": changed_json(BROKER_TEXT, subjects=[{**_SUBJECT, "ref": "s2"}, _SUBJECT]),
    "with a subject left out": changed_json(BROKER_TEXT, subjects=[_SUBJECT, {**_SUBJECT, "ref": "s3"}]),
    "with a name on a subject": changed_json(BROKER_TEXT, subjects=[{**_SUBJECT, "name": "Jamie"}]),
    "with an unknown role": changed_json(BROKER_TEXT, subjects=[{**_SUBJECT, "role": "suspect"}]),
    "with an exact age": changed_json(BROKER_TEXT, subjects=[{**_SUBJECT, "age_band": "13"}]),
    "with a short tag": changed_json(BROKER_TEXT, subjects=[{**_SUBJECT, "tags": ["AAAA"]}]),
    "with four tags": changed_json(BROKER_TEXT, subjects=[{**_SUBJECT, "tags": _SUBJECT["tags"] * 2}]),
    "with an agreement of nobody asked about": changed_json(
        BROKER_TEXT, agreements=[{"record_id": RECORD, "subject_ref": "s3"}]
    ),
    "with an agreement without a number": changed_json(
        BROKER_TEXT, agreements=[{"record_id": "x", "subject_ref": "s1"}]
    ),
    "with tier 5": changed_json(BROKER_TEXT, assertions={**_ASSERTIONS, "need_tier": 5}),
    "with tier true": changed_json(BROKER_TEXT, assertions={**_ASSERTIONS, "need_tier": True}),
    "with harm as a word": changed_json(BROKER_TEXT, assertions={**_ASSERTIONS, "significant_harm_asserted": "yes"}),
    "with free text for necessity": changed_json(
        BROKER_TEXT, assertions={**_ASSERTIONS, "necessity_code": "Mother told me"}
    ),
    "with assertions as a list": changed_json(BROKER_TEXT, assertions=[]),
    "with the case number itself": changed_json(BROKER_TEXT, case_token="CASE/2026/17"),
}

KNOWN = known_answers.read("statement")


def lp(*parts: bytes) -> bytes:
    """Four bytes of length, then the part, by hand."""
    return b"".join(bytes([0, 0, len(part) >> 8, len(part) & 255]) + part for part in parts)


def test_the_known_answers_are_current() -> None:
    """Whoever changes a form has to say so here."""
    assert KNOWN == vectors()


def test_a_statement_has_the_bytes_that_were_assembled_by_hand() -> None:
    """T-SEC-2: text, framing, digests and signature, with a second implementation of the signature."""
    digests = sorted(
        [hashlib.sha256(lp(b"accord node part v1", item.salt, item.part)).digest() for item in SIGNED.drafts]
        + [drawn("padding")(64)[:32], drawn("padding")(64)[32:]]
    )
    message = lp(CORE_TEXT.encode(), hashlib.sha256(BROKER_TEXT.encode()).digest(), *digests)
    payload = hashlib.sha256(PAYLOADS["police"]).hexdigest()
    part = f'{{"gateway":"agreement_service","node":"police","payload":"{payload}","v":1}}'

    assert (CORE_TEXT.encode(), BROKER_TEXT.encode()) == (SIGNED.core, SIGNED.broker_part)
    assert part.encode() == SIGNED.drafts[0].part
    assert tuple(digests) == SIGNED.node_digests
    assert ed25519_reference.sign(SEEDS["social-care"], lp(b"accord statement v1") + message) == SIGNED.signature
    assert hashlib.sha256(lp(b"accord statement v1") + message).digest() == at_broker(SIGNED).digest


def test_the_broker_reads_what_was_stated() -> None:
    """Control for all that is refused below."""
    opened = at_broker(SIGNED)

    assert (CORE, BROKER) == (opened.core, opened.broker_part)
    assert {item.node: item for item in SIGNED.drafts} == opened.drafts
    assert hashlib.sha256(SIGNED.broker_part).digest() == opened.broker_part_sha256


@pytest.mark.parametrize("node", ["police", "housing"])
def test_each_node_reads_its_own_part_and_the_broker_names_the_same_statement(node: str) -> None:
    """Control for all that is refused below."""
    opened = at_node(SIGNED, node=node)

    assert (CORE, node, PAYLOADS[node]) == (opened.core, opened.part.node, opened.payload)
    assert at_broker(SIGNED).digest == opened.digest
    assert opened.part_digest in opened.node_digests
    assert hashlib.sha256(CORE_TEXT.encode()).digest() == opened.core_digest


POLICE, HOUSING = SIGNED.drafts
DIGESTS = SIGNED.node_digests
ELSEWHERE = signed(key=KEYS["police"])
OTHER = signed(replace(CORE, query_id="0198c0de-0000-7000-8000-000000000009"))

AT_NODE: dict[str, dict[str, Any]] = {
    "the part of another node": {"draft": HOUSING},
    "the part of another node under this node's name": {"draft": replace(HOUSING, node="police")},
    "this node's part under another name": {"draft": replace(POLICE, node="housing")},
    "the payload of another node": {"draft": replace(POLICE, payload=HOUSING.payload)},
    "a payload with one byte more": {"draft": replace(POLICE, payload=POLICE.payload + b"\0")},
    "no payload": {"draft": replace(POLICE, payload=b"")},
    "another salt": {"draft": replace(POLICE, salt=HOUSING.salt)},
    "a short salt": {"draft": replace(POLICE, salt=POLICE.salt[:31])},
    "no salt": {"draft": replace(POLICE, salt=b"")},
    "another gateway": {"draft": replace(POLICE, part=made("police", "ca1989_s47").part)},
    "the same part in other bytes": {"draft": replace(POLICE, part=POLICE.part.replace(b":", b": ", 1))},
    "a part that is not one": {"draft": replace(POLICE, part=b"{}")},
    "a part for this node that was never signed": {"draft": made("police", payload=b"planted")},
    "a part of another statement": {
        "draft": signed(drafts=(made("police", payload=b"other"), made("housing"))).drafts[0],
    },
    "a changed purpose": {"core": statement.core_bytes(replace(CORE, purpose="s47_enquiry"))},
    "a changed question": {"core": statement.core_bytes(replace(CORE, question="agency.open_now"))},
    "a changed reply key": {"core": statement.core_bytes(replace(CORE, reply_key=bytes(32)))},
    "a longer life": {"core": statement.core_bytes(replace(CORE, issued_at_ns=NOW_NS + 10**9))},
    "the core of another statement": {"core": OTHER.core},
    "another broker part": {"broker_part_sha256": bytes(32)},
    "a short digest of the broker part": {"broker_part_sha256": bytes(31)},
    "no digest of the broker part": {"broker_part_sha256": b""},
    "an added digest": {"node_digests": tuple(sorted((*DIGESTS, bytes(32))))},
    "an added digest, padded to a right size": {
        "node_digests": tuple(sorted((*DIGESTS, *(bytes([n]) * 32 for n in range(4)))))
    },
    "a digest exchanged": {"node_digests": tuple(sorted((*DIGESTS[:3], bytes(32))))},
    "a digest taken out": {"node_digests": DIGESTS[1:]},
    "a digest twice": {"node_digests": (DIGESTS[0], *DIGESTS[:3])},
    "an unsorted list": {"node_digests": DIGESTS[::-1]},
    "an empty list": {"node_digests": ()},
    "a short digest": {"node_digests": (DIGESTS[0][:31], *DIGESTS[1:])},
    "two digests run into one": {"node_digests": (DIGESTS[0] + DIGESTS[1], *DIGESTS[2:], b"\xff" * 32)},
    "another signature": {"signature": OTHER.signature},
    "a signature with one bit changed": {"signature": bytes([SIGNED.signature[0] ^ 1]) + SIGNED.signature[1:]},
    "a signature with the group order added": {"signature": ed25519_reference.stretched(SIGNED.signature)},
    "no signature": {"signature": b""},
    "another agency's signature": {"signature": ELSEWHERE.signature},
    "another agency's signature and key": {"signature": ELSEWHERE.signature, "key_id": ELSEWHERE.key_id},
    "another key's name": {"key_id": ELSEWHERE.key_id},
    "no key's name": {"key_id": ""},
    "another node": {"node": "housing"},
    "a node that was not asked": {"node": "health"},
}


@pytest.mark.parametrize("why", AT_NODE)
def test_a_node_refuses(why: str) -> None:
    """T-SEC-2: nothing that the asker signed can be exchanged on its way, and nothing shown to another node."""
    draft = AT_NODE[why].get("draft", POLICE)
    changed = {name: value for name, value in AT_NODE[why].items() if name != "draft"}

    with pytest.raises((BadStatement, BadSignature)):
        at_node(SIGNED, draft, **changed)


def listed(*digests: bytes, drafts: tuple[Draft, ...] = (POLICE, HOUSING)) -> SignedStatement:
    """A statement with exactly this list, rightly signed by an asker who does not keep to the form."""
    message = statement.message(SIGNED.core, hashlib.sha256(SIGNED.broker_part).digest(), digests)
    signature = signing.sign(KEY, statement.LABEL, message)
    return replace(SIGNED, node_digests=digests, signature=signature, drafts=drafts)


SHORT_SALT = replace(POLICE, salt=b"")
OUT_OF_FORM = {
    "not sorted": listed(*DIGESTS[::-1]),
    "with one digest twice": listed(DIGESTS[0], *DIGESTS[:3]),
    "with a size of its own": listed(*sorted(item for item in DIGESTS if item in {at_node(SIGNED).part_digest})),
    "of five": listed(*sorted((*DIGESTS, bytes(32)))),
    "with a short digest": listed(*sorted((*DIGESTS[:3], b"\xff"))),
    "over an unsalted part": listed(
        *sorted((statement.part_digest(b"", POLICE.part), *DIGESTS[1:])), drafts=(SHORT_SALT, HOUSING)
    ),
}


@pytest.mark.parametrize("why", OUT_OF_FORM)
def test_a_list_is_refused_even_when_it_is_signed(why: str) -> None:
    """T-LNK-1: an order or a size of one's own would tell nodes who else was asked."""
    with pytest.raises(BadStatement):
        at_broker(OUT_OF_FORM[why])
    with pytest.raises(BadStatement):
        at_node(OUT_OF_FORM[why])


def test_a_node_refuses_an_agency_that_signs_for_another() -> None:
    """T-SEC-4: the police cannot ask in social care's name, nor social care in the name of nobody."""
    with pytest.raises(BadSignature):
        at_node(signed(key=KEYS["police"]))
    with pytest.raises(BadSignature):
        at_node(signed(replace(CORE, agency="police")))
    with pytest.raises(UnknownAgency):
        at_node(signed(replace(CORE, agency="nobody")))


def broker_attacks() -> dict[str, SignedStatement]:
    """Statements that the broker must refuse; those made by `signed` carry a right signature."""
    third = made("health")
    return {
        "a changed purpose": replace(SIGNED, core=statement.core_bytes(replace(CORE, purpose="s47_enquiry"))),
        "a changed broker part": replace(
            SIGNED, broker_part=statement.broker_part_bytes(replace(BROKER, case_token="77" * 32))
        ),
        "another signature": replace(SIGNED, signature=OTHER.signature),
        "another key's name": replace(SIGNED, key_id=ELSEWHERE.key_id),
        "another agency's signature": replace(SIGNED, signature=ELSEWHERE.signature),
        "another agency's statement": ELSEWHERE,
        "an unsorted list": replace(SIGNED, node_digests=DIGESTS[::-1]),
        "an added digest": replace(SIGNED, node_digests=tuple(sorted((*DIGESTS, bytes(32))))),
        "a digest exchanged": replace(SIGNED, node_digests=tuple(sorted((*DIGESTS[:3], bytes(32))))),
        "a digest twice": replace(SIGNED, node_digests=(DIGESTS[0], *DIGESTS[:3])),
        "an empty list": replace(SIGNED, node_digests=()),
        "two parts exchanged": replace(
            SIGNED, drafts=(replace(POLICE, part=HOUSING.part), replace(HOUSING, part=POLICE.part))
        ),
        "two payloads exchanged": replace(
            SIGNED, drafts=(replace(POLICE, payload=HOUSING.payload), replace(HOUSING, payload=POLICE.payload))
        ),
        "two salts exchanged": replace(
            SIGNED, drafts=(replace(POLICE, salt=HOUSING.salt), replace(HOUSING, salt=POLICE.salt))
        ),
        "a part left out": replace(SIGNED, drafts=(POLICE,)),
        "no part": replace(SIGNED, drafts=()),
        "a part twice": replace(SIGNED, drafts=(POLICE, HOUSING, POLICE)),
        "a part of a part's name": replace(SIGNED, drafts=(POLICE, replace(HOUSING, node="police"))),
        "a part added afterwards": replace(SIGNED, drafts=(POLICE, HOUSING, third)),
        "a signed part for an agency that is no target": signed(drafts=(POLICE, HOUSING, third)),
        "a target without a part": signed(drafts=(POLICE,)),
        "two signed parts for one target": signed(drafts=(POLICE, HOUSING, made("police", payload=b"second"))),
        "a part under another gateway than the broker is told": signed(drafts=(made("police", "ca1989_s47"), HOUSING)),
        "a part that is not one": signed(drafts=(replace(POLICE, part=b"[]"), HOUSING)),
        **{f"a core {why}": signed(core=core) for why, core in BAD_CORES.items()},
        **{f"a broker part {why}": signed(broker=part) for why, part in BAD_BROKER_PARTS.items()},
    }


BROKER_ATTACKS = broker_attacks()


@pytest.mark.parametrize("why", BROKER_ATTACKS)
def test_the_broker_refuses(why: str) -> None:
    """T-SEC-2: what does not belong together is not asked, even when the asker itself signed it so."""
    with pytest.raises((BadStatement, BadSignature)):
        at_broker(BROKER_ATTACKS[why])


@pytest.mark.parametrize("why", BAD_CORES)
def test_a_node_refuses_a_core(why: str) -> None:
    """T-SEC-3: a core under a right signature is still read strictly."""
    with pytest.raises(BadStatement):
        at_node(signed(core=BAD_CORES[why]))


def test_a_part_of_a_signed_statement_is_worth_nothing_under_another_label() -> None:
    """T-SEC-2: an agency's signature over something else is not its question."""
    digests = SIGNED.node_digests
    message = statement.message(SIGNED.core, hashlib.sha256(SIGNED.broker_part).digest(), digests)

    with pytest.raises(BadSignature):
        at_broker(replace(SIGNED, signature=signing.sign(KEY, "accord agreement v1", message)))


@given(st.integers(1, len(CORE_TEXT) - 1))
def test_no_byte_moves_between_core_and_broker_part(cut: int) -> None:
    """T-SEC-2: the parts are framed by their lengths."""
    core, digest = SIGNED.core, hashlib.sha256(SIGNED.broker_part).digest()

    moved = statement.message(core[:-cut], (core[-cut:] + digest)[:32], SIGNED.node_digests)

    assert statement.message(core, digest, SIGNED.node_digests) != moved


@pytest.mark.parametrize("count", range(1, 51))
def test_the_list_of_digests_hides_how_many_agencies_are_asked(count: int) -> None:
    """T-LNK-1: it has one of five sizes; which entries are padding, and whose the others are, cannot be seen."""
    drafts = tuple(made(f"agency-{number}") for number in range(count))
    one = signed(drafts=drafts)
    own = statement.part_digest(drafts[0].salt, drafts[0].part)
    opened = at_node(one, drafts[0], node="agency-0")

    assert min(size for size in LIST_SIZES if size >= count) == len(opened.node_digests)
    assert sorted(opened.node_digests) == list(opened.node_digests)
    assert 1 == opened.node_digests.count(own)


def test_a_node_sees_the_same_whether_one_agency_is_asked_or_four() -> None:
    """T-LNK-1: everything that reaches it has the same size, and the number of the others is nowhere in it."""
    alone = signed(drafts=(POLICE,))
    among = signed(drafts=(POLICE, *(made(f"agency-{number}") for number in range(3))))
    seen = [at_node(one, POLICE) for one in (alone, among)]

    assert [len(one.node_digests) for one in seen] == [4, 4]
    assert (seen[0].core, seen[0].part, seen[0].payload) == (seen[1].core, seen[1].part, seen[1].payload)


def test_more_agencies_than_the_largest_list_holds_are_refused() -> None:
    """Fifty may be asked; the list has room for 64."""
    with pytest.raises(BadStatement, match="too many"):
        signed(drafts=tuple(made(f"agency-{number}") for number in range(65)))


def test_a_digest_tells_nothing_without_its_salt() -> None:
    """T-LNK-1: a node that guesses another's whole part, gateway and payload included, cannot confirm it."""
    guess = HOUSING.part
    without_salt = {
        hashlib.sha256(guess).digest(),
        hashlib.sha256(lp(b"accord node part v1", guess)).digest(),
        statement.part_digest(b"", guess),
        statement.part_digest(POLICE.salt, guess),
        statement.part_digest(bytes(32), guess),
    }
    drawn_twice = {statement.part_digest(statement.draft(NodePart("a1", "b", "c"), b"").salt, guess) for _ in range(20)}

    assert set() == without_salt & set(SIGNED.node_digests)
    assert 20 == len(drawn_twice)
    assert 32 == len(statement.draft(NodePart("a1", "b", "c"), b"").salt)


def test_the_broker_part_is_not_what_a_node_gets() -> None:
    """T-LNK-1: targets, assertions, case token and subject tags stay with the broker; a node has a digest of them."""
    opened = at_node(SIGNED)
    shown = repr(opened)

    assert [] == [word for word in ("housing", "66" * 32, RECORD, "not_assessed") if word in shown]


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["core", "broker", "node"]), st.randoms(use_true_random=False))
def test_any_part_is_refused_or_has_exactly_these_bytes(which: str, random: Random) -> None:
    """T-SEC-3: what is read can be written again to the same bytes, so nothing was passed over."""
    text, parse, write = {
        "core": (CORE_TEXT.encode(), statement.parse_core, statement.core_bytes),
        "broker": (BROKER_TEXT.encode(), statement.parse_broker_part, statement.broker_part_bytes),
        "node": (POLICE.part, statement.parse_node_part, statement.node_part_bytes),
    }[which]
    data = canonical.encode(value_mutant(random, json.loads(text)))
    try:
        read = parse(data)
    except NotCanonical:
        return

    assert data == write(read)


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(["core", "broker_part", "signature", "node_digests", "part", "salt", "payload"]),
    st.binary(max_size=100),
)
def test_any_bytes_in_any_place_are_refused_in_one_way(place: str, data: bytes) -> None:
    """T-SEC-3: a parser that meets strangers has one way to fail."""
    if place in {"part", "salt", "payload"}:
        draft = replace(POLICE, **{place: data})
        changed = replace(SIGNED, drafts=(draft, HOUSING))
    else:
        draft = POLICE
        changed = replace(SIGNED, **{place: (data,) if place == "node_digests" else data})

    with pytest.raises((BadStatement, BadSignature)):
        at_broker(changed)
    if place != "broker_part":
        with pytest.raises((BadStatement, BadSignature)):
            at_node(changed, draft)
