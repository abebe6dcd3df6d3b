"""How large one agency's part of a statement may be."""

import pytest

from accord import sealing, signing, statement
from accord.canonical import sha256
from accord.statement import MAX_PAYLOAD_BYTES, BadStatement, NodePart
from tests.world.ledger import ASKING_KEY, asked


def opened(payload: bytes) -> statement.Statement:
    """A sound statement whose only node part carries this payload."""
    whole = asked(targets=("police",)).statement
    draft = statement.draft(NodePart("police", "agreement_service", sha256(payload).hex()), payload)
    part = statement.broker_part_bytes(whole.broker_part)
    signed = statement.sign(whole.core_bytes, part, [draft], ASKING_KEY)
    return statement.open_for_broker(signed, signing.public_bytes(ASKING_KEY))


def test_the_largest_envelope_fits() -> None:
    """Twelve people with all their tokens."""
    assert sealing.ENVELOPE_LIMIT < MAX_PAYLOAD_BYTES
    assert {"police"} == set(opened(bytes(MAX_PAYLOAD_BYTES)).drafts)


def test_more_than_any_envelope_is_refused_before_anything_is_asked() -> None:
    """T-SEC-3: an asker could fill the streams of all others' nodes with what none of them can open."""
    with pytest.raises(BadStatement):
        opened(bytes(MAX_PAYLOAD_BYTES + 1))
