"""Every parser of the contract against damaged input: it reads, or it fails in the one way that is documented."""

import base64
import json
import resource
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from accord import (
    agreement,
    answer,
    canonical,
    checkpoint,
    directory,
    identity,
    receipt,
    sealing,
    signing,
    slot,
    statement,
    warrant,
)
from accord.canonical import NotCanonical
from tests.contract import known_answers
from tests.contract.mutation import SEED, bytes_mutant, value_mutant

PER_PARSER = 60
"""Mutants for each parser in the ordinary run."""

STATEMENT, WARRANT, ANSWER, AGREEMENT, SLOT, RECEIPT, ENVELOPE = (
    known_answers.read(name) for name in ("statement", "warrant", "answer", "agreement", "slot", "receipt", "sealing")
)
IDENTITY = identity.to_bytes(identity.describe(first_name="Jamie", last_name="Thorley", date_of_birth="2013-03-09"))
ANSWER_KEY = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(ANSWER["seed"]))
ASKING_KEY = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(STATEMENT["asking_seed"]))
STATEMENT_PUBLIC = signing.public_bytes(ASKING_KEY)
Damage = Callable[[Random], Any]


@dataclass(frozen=True)
class Parser:
    """One parser.

    Attributes:
        damaged: Makes its input out of a good one, damaged.
        read: Reads it.
        fails: The only ways in which it may fail.
    """

    damaged: Damage
    read: Callable[[Any], object]
    fails: tuple[type[Exception], ...]


def octets(good: bytes) -> Damage:
    """Damage to the bytes themselves."""
    return lambda random: bytes_mutant(random, good)


def text(good: str) -> Damage:
    """Damage to a string."""
    return lambda random: bytes_mutant(random, good.encode()).decode("latin-1")


def canonically(good: str) -> Damage:
    """Damage to what canonical JSON says, written canonically again."""
    value = json.loads(good)
    return lambda random: canonical.encode(value_mutant(random, value))


def framed(random: Random) -> bytes:
    """A damaged answer, framed and signed rightly."""
    body = canonical.encode(value_mutant(random, json.loads(ANSWER["answers"][0]["body"])))[:1982]
    frame = (len(body).to_bytes(2, "big") + body).ljust(1984, b"\0")
    return frame + signing.sign(ANSWER_KEY, answer.LABEL, frame)


def contacts(random: Random) -> bytes:
    """A damaged contact block, framed rightly."""
    body = canonical.encode(value_mutant(random, json.loads(ANSWER["contacts"])))[:382]
    return (len(body).to_bytes(2, "big") + body).ljust(384, b"\0")


def resigned(kind: str) -> Damage:
    """Damaged claims or a damaged header, signed by the right key."""
    known, claims = WARRANT["keys"][kind], WARRANT["tokens"][kind]["claims"]
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(known["seed"]))

    def made(random: Random) -> str:
        parts: list[Any] = [{"alg": "EdDSA", "kid": known["kid"], "typ": known["typ"]}, claims]
        at = random.randrange(2)
        parts[at] = value_mutant(random, parts[at])
        signed = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
        return signed + "." + canonical.b64url(key.sign(signed.encode()))

    return made


def restated(random: Random) -> statement.SignedStatement:
    """A statement of damaged parts, signed by the right key."""
    core, part = STATEMENT["core"], STATEMENT["broker_part"]
    which = random.randrange(3)
    drafts = [
        statement.Draft(one["node"], one["part"].encode(), bytes.fromhex(one["salt"]), bytes.fromhex(one["payload"]))
        for one in STATEMENT["drafts"]
    ]
    if which == 2:
        damaged = canonical.encode(value_mutant(random, json.loads(drafts[0].part)))
        drafts[0] = statement.Draft(drafts[0].node, damaged, drafts[0].salt, drafts[0].payload)
    return statement.sign(
        canonically(core)(random) if which == 0 else core.encode(),
        canonically(part)(random) if which == 1 else part.encode(),
        drafts,
        ASKING_KEY,
        lambda size: bytes(random.randrange(256) for _ in range(size)),
    )


def read_as_node(one: statement.SignedStatement) -> object:
    """What the first addressed node makes of a statement."""
    return statement.open_for_node(
        core=one.core,
        broker_part_sha256=canonical.sha256(one.broker_part),
        node_digests=one.node_digests,
        signature=one.signature,
        key_id=one.key_id,
        draft=one.drafts[0],
        node=one.drafts[0].node,
        asking_public=lambda _: STATEMENT_PUBLIC,
    )


def read_caller(token: str) -> object:
    """What the broker makes of a caller token."""
    return warrant.open_caller(
        token,
        agency=WARRANT["agency"],
        federation=WARRANT["federation"],
        certificate_der=bytes.fromhex(WARRANT["certificate"]),
        asking_public=bytes.fromhex(WARRANT["keys"]["caller"]["public"]),
        now_s=WARRANT["now_s"],
    )


def read_warrant(token: str) -> object:
    """What a node makes of a warrant."""
    return warrant.open_warrant(
        token,
        federation=WARRANT["federation"],
        warrant_public=bytes.fromhex(WARRANT["keys"]["warrant"]["public"]),
        agency=WARRANT["agency"],
        now_s=WARRANT["now_s"],
    )


TOKEN = (warrant.TokenRefused, warrant.WarrantRefused, warrant.ClockSkew)
STATED = (statement.BadStatement, signing.BadSignature)
RECEIPT_TEXT, RECEIPT_BODY = RECEIPT["receipts"][1]["text"], RECEIPT["receipts"][1]["body"].encode()
NOTE = RECEIPT_TEXT.partition("\n\n")[2]
NODE_KEY = X25519PrivateKey.from_private_bytes(bytes.fromhex(ENVELOPE["accord"]["node_private"]))
SEALED = sealing.seal_envelope(
    [sealing.Slot([bytes(64)], b"content")],
    node_id="police",
    query_id="0198c0de-0000-7000-8000-000000000001",
    core_digest=bytes(32),
    public=bytes.fromhex(ENVELOPE["accord"]["node_public"]),
)

PARSERS = {
    "canonical.decode": Parser(octets(STATEMENT["broker_part"].encode()), canonical.decode, (NotCanonical,)),
    "canonical.unb64": Parser(text("AAECAwQFBgcICQoLDA0ODw=="), canonical.unb64, (NotCanonical,)),
    "canonical.unb64url": Parser(text("AAECAwQFBgcICQoLDA0ODw"), canonical.unb64url, (NotCanonical,)),
    "canonical.from_rfc3339": Parser(text("2026-11-22T01:23:45.678Z"), canonical.from_rfc3339, (NotCanonical,)),
    "statement.parse_core": Parser(canonically(STATEMENT["core"]), statement.parse_core, (NotCanonical,)),
    "statement.parse_broker_part": Parser(
        canonically(STATEMENT["broker_part"]), statement.parse_broker_part, (NotCanonical,)
    ),
    "statement.parse_node_part": Parser(
        canonically(STATEMENT["drafts"][0]["part"]), statement.parse_node_part, (NotCanonical,)
    ),
    "statement.open_for_broker": Parser(restated, lambda one: statement.open_for_broker(one, STATEMENT_PUBLIC), STATED),
    "statement.open_for_node": Parser(restated, read_as_node, STATED),
    "warrant.open_caller, damaged": Parser(text(WARRANT["tokens"]["caller"]["token"]), read_caller, TOKEN),
    "warrant.open_caller, signed": Parser(resigned("caller"), read_caller, TOKEN),
    "warrant.open_warrant, damaged": Parser(text(WARRANT["tokens"]["warrant"]["token"]), read_warrant, TOKEN),
    "warrant.open_warrant, signed": Parser(resigned("warrant"), read_warrant, TOKEN),
    "answer.open_answer": Parser(
        framed,
        lambda data: answer.open_answer(data, node="police", answer_public=signing.public_bytes(ANSWER_KEY)),
        (answer.BadAnswer,),
    ),
    "answer.parse_contacts": Parser(contacts, answer.parse_contacts, (answer.BadAnswer,)),
    "agreement.parse_agreement": Parser(
        canonically(AGREEMENT["agreement"]), agreement.parse_agreement, (agreement.BadAgreement,)
    ),
    "agreement.parse_withdrawal": Parser(
        canonically(AGREEMENT["withdrawal"]), agreement.parse_withdrawal, (agreement.BadAgreement,)
    ),
    "slot.parse_content": Parser(canonically(SLOT["content"]), slot.parse_content, (slot.BadSlot,)),
    "identity.from_bytes": Parser(canonically(IDENTITY.decode()), identity.from_bytes, (identity.BadDescription,)),
    "receipt.check": Parser(
        text(RECEIPT_TEXT),
        lambda one: receipt.check(one, RECEIPT_BODY, RECEIPT["origin"], bytes.fromhex(RECEIPT["ledger_public"])),
        (receipt.BadReceipt,),
    ),
    "checkpoint.open_note": Parser(
        text(NOTE),
        lambda one: checkpoint.open_note(one, RECEIPT["origin"], bytes.fromhex(RECEIPT["ledger_public"])),
        (checkpoint.BadCheckpoint,),
    ),
    "sealing.open_envelope": Parser(
        octets(SEALED),
        lambda data: sealing.open_envelope(data, private=NODE_KEY, core_digest=bytes(32)),
        (sealing.BadEnvelope,),
    ),
    "directory.parse_uri": Parser(
        text("spiffe://midshire/agency/police/node"), directory.parse_uri, (directory.BadCertificate,)
    ),
}


def crashes(parser: Parser, random: Random, count: int) -> list[str]:
    """What came out of a parser that is not documented."""
    found = []
    for _ in range(count):
        given = parser.damaged(random)
        try:
            parser.read(given)
        except parser.fails:
            continue
        except Exception as error:  # noqa: BLE001 - what is looked for is exactly everything else that could come out
            found.append(f"{type(error).__name__}: {given!r}"[:500])
    return found


@pytest.mark.parametrize("name", PARSERS)
def test_damaged_input_fails_in_the_documented_way(name: str) -> None:
    """T-SEC-3: no KeyError, no TypeError, no UnicodeError, no RecursionError, from bytes or from signed nonsense."""
    assert [] == crashes(PARSERS[name], Random(f"{name} {SEED}"), PER_PARSER)


@pytest.mark.prove
def test_no_parser_crashes_on_a_hundred_thousand_mutants() -> None:
    """T-SEC-3: all parsers in turn, and memory does not grow."""
    total = 100_000
    each = total // len(PARSERS)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {name: crashes(parser, Random(f"prove {name} {SEED}"), each) for name, parser in PARSERS.items()}
    growth_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024
    count = sum(map(len, found.values()))
    print(
        f"T-SEC-3 crashes={count} of {each * len(PARSERS)} mutants over {len(PARSERS)} parsers "
        f"(bound {3 / (each * len(PARSERS)):.0e}) rss_growth_mb={growth_mb:.0f} seed={SEED}"
    )

    assert {} == {name: some[:3] for name, some in found.items() if some}
    assert growth_mb < 50
