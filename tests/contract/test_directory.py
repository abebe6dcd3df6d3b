"""The federation directory: only what the offline key and the agencies themselves signed is believed."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from accord import canonical, signing
from accord.directory import (
    LABEL,
    Agency,
    BadCertificate,
    BadDirectory,
    Broker,
    Directory,
    DirectoryOlder,
    Epoch,
    Member,
    Steward,
    UnknownAgency,
    WrongAgency,
    build,
    check_row,
    entry_json,
    member,
    parse,
    parse_uri,
    read_row,
    sign_row,
    speaker,
    spki,
)

VECTORS = Path(__file__).parents[2] / "protos" / "vectors" / "directory.json"

# A real scalar is any number from 1 to the order of P-256; small ones keep the tests repeatable.
FEDERATION_KEY = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
FEDERATION_PUBLIC = signing.public_bytes(FEDERATION_KEY)


def certificate_key(number: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(number, ec.SECP256R1())


def ed25519(number: int) -> bytes:
    return signing.public_bytes(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))


def agency(agency_id: str, number: int) -> Agency:
    unsigned = Agency(
        id=agency_id,
        title=f"{agency_id.title()} of Midshire",
        kind="police_force",
        characters=("mappa_responsible", "s11_body"),
        sealing=X25519PrivateKey.from_private_bytes(bytes([number]) * 32).public_key().public_bytes_raw(),
        answer=ed25519(number + 1),
        asking=ed25519(number + 2),
        witness=ed25519(number + 3),
        certificate_spki=b"",
        records_up_to=20_000,
    )
    return sign_row("midshire", unsigned, certificate_key(number))


def example() -> Directory:
    families = ("dob.x pc.x", "nhs.x")
    return Directory(
        federation="midshire",
        version=7,
        issued_at_ns=1_795_312_800_000_000_000,
        expires_at_ns=None,
        epoch=Epoch("2026-1", "ab" * 32, "cd" * 32, families),
        broker=Broker(
            hosts=("broker.midshire.example",),
            warrant_key=ed25519(101),
            ledger_origin="midshire/broker",
            ledger_key=ed25519(102),
            policy_keys={"policy-1": spki(certificate_key(103).public_key())},
            key_server={family: ed25519(110 + index) for index, family in enumerate(families)},
        ),
        steward=Steward(
            key_server={family: ed25519(120 + index) for index, family in enumerate(families)},
            subject_keys={"dob.x pc.x first.x": ed25519(130)},
        ),
        agencies=(agency("housing", 10), agency("police", 20)),
    )


SIGNED = build(example(), FEDERATION_KEY)


def vectors() -> dict[str, object]:
    """What stands in protos/vectors/directory.json."""

    def signed(body: object, label: str = LABEL) -> str:
        signature = signing.sign(FEDERATION_KEY, label, canonical.encode(body))
        outer = {
            "directory": body,
            "key_id": signing.key_id(FEDERATION_PUBLIC),
            "signature": canonical.b64url(signature),
        }
        return canonical.encode(outer).decode()

    text = SIGNED.decode()
    body = json.loads(text)["directory"]
    backwards = {**body, "agencies": body["agencies"][::-1]}
    larger = json.loads(text)["directory"]
    larger["agencies"][1]["row"]["records_up_to"] = 1_000_000
    refused = {
        "the title of an agency was changed": text.replace("Police of", "Friends of"),
        "the version was raised": text.replace('"version":7', '"version":8'),
        "white space before the end": text[:-1] + " }",
        "signed for another kind of message": signed(body, "accord bundle v1"),
        "agencies in the wrong order, signed": signed(backwards),
        "enrolled for more records than the agency signed, signed": signed(larger),
    }
    return {
        "note": "A directory of two agencies under the federation key below; every other text must be refused. Keys are"
        " invented.",
        "federation_public": canonical.b64url(FEDERATION_PUBLIC),
        "directory": text,
        "agencies": [row.id for row in example().agencies],
        "key_servers_digest": example().key_servers_digest,
        "refused": [{"why": why, "directory": found} for why, found in refused.items()],
    }


def resigned(change: dict[str, canonical.Json]) -> bytes:
    """The example with some fields of its body exchanged, signed again by the real federation key."""
    outer = canonical.decode_object(SIGNED, 1 << 20)
    body = outer["directory"]
    assert isinstance(body, dict)
    body.update(change)
    signature = signing.sign(FEDERATION_KEY, LABEL, canonical.encode(body))
    return canonical.encode({**outer, "signature": canonical.b64url(signature)})


def certificate(uris: list[str], key: ec.EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([])
    now = datetime(2026, 11, 22, tzinfo=UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(hours=24))
    )
    if uris:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key, SHA256()).public_bytes(Encoding.DER)


def test_what_was_built_is_read_back_the_same() -> None:
    """Nothing is lost or altered between the federation's operator and a node."""
    read = parse(SIGNED, FEDERATION_PUBLIC)

    assert example() == read
    assert "Police of Midshire" == read.agency("police").title


def test_known_answers_hold() -> None:
    """Another implementation must read and refuse exactly the same files."""
    written = json.loads(VECTORS.read_text())
    public = canonical.unb64url(written["federation_public"])

    read = parse(written["directory"].encode(), public)

    assert vectors() == written
    assert written["key_servers_digest"] == read.key_servers_digest
    assert written["agencies"] == [row.id for row in read.agencies]
    for refused in written["refused"]:
        with pytest.raises(BadDirectory):
            parse(refused["directory"].encode(), public)


@pytest.mark.parametrize("records", [0, 99, 10_000_001])
def test_an_agency_is_enrolled_for_a_sensible_number_of_records(records: int) -> None:
    """T-LNK-6: the allowance of index keys follows from it."""
    row = replace(example().agencies[0], records_up_to=records)

    with pytest.raises(BadDirectory):
        check_row("midshire", sign_row("midshire", row, certificate_key(10)))


def test_a_directory_of_another_federation_key_is_refused() -> None:
    """T-SEC-4: only the pinned key says who belongs."""
    other = build(example(), Ed25519PrivateKey.from_private_bytes(bytes([2]) * 32))

    with pytest.raises(BadDirectory):
        parse(other, FEDERATION_PUBLIC)


def test_any_flipped_byte_is_refused() -> None:
    """T-SEC-4: whoever relays the file can change nothing in it, not one bit of one byte."""
    accepted = []
    for position in range(len(SIGNED)):
        changed = bytearray(SIGNED)
        changed[position] ^= 1 << (position % 8)
        try:
            parse(bytes(changed), FEDERATION_PUBLIC)
        except BadDirectory:
            continue
        accepted.append(position)

    assert [] == accepted


def test_an_older_version_is_refused_with_a_cure() -> None:
    """T-SEC-4: an old file could bring a withdrawn key back."""
    with pytest.raises(DirectoryOlder, match=r"version 7 is older than version 8.*newest directory\.json"):
        parse(SIGNED, FEDERATION_PUBLIC, at_least_version=8)

    assert 7 == parse(SIGNED, FEDERATION_PUBLIC, at_least_version=7).version


def test_a_row_signed_by_another_key_is_refused() -> None:
    """T-SEC-4: even the holder of the federation key cannot write an agency's row."""
    honest = example()
    forged = replace(honest.agencies[1], sealing=bytes([9]) * 32)
    signed_by_other = replace(
        sign_row("midshire", forged, certificate_key(66)), certificate_spki=honest.agencies[1].certificate_spki
    )

    for bad in (forged, signed_by_other, replace(forged, row_signature=b"")):
        with pytest.raises(BadDirectory):
            build(replace(honest, agencies=(honest.agencies[0], bad)), FEDERATION_KEY)


def test_a_row_of_another_federation_is_refused() -> None:
    """T-SEC-4: a row is good in the federation it was signed for and nowhere else."""
    with pytest.raises(BadDirectory):
        check_row("wessex", example().agencies[0])
    with pytest.raises(BadDirectory):
        build(replace(example(), federation="wessex"), FEDERATION_KEY)


def test_a_row_travels_alone_and_is_checked_alone() -> None:
    """An enrolment request carries one row; it is held to the same rules."""
    row = example().agencies[0]

    assert row == read_row("midshire", entry_json(row))


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"version": 0},
        {"version": True},
        {"federation": "Midshire"},
        {"issued_at": "2026-11-22"},
        {"expires_at": "2026-11-21T10:00:00.000Z"},
        {"agencies": []},
        {"unknown": 1},
        {"epoch": {"id": "2026-1", "normaliser": "ab" * 32, "families": "cd" * 32, "family_ids": ["nhs.x"]}},
        {"steward": {"key_server": {}, "subject_keys": {}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_badly_formed_directory_is_refused_even_when_signed(change: dict[str, canonical.Json]) -> None:
    """T-SEC-3: the signature does not excuse the form."""
    data = resigned(change)

    if change == {"agencies": []}:  # an empty federation is lawful, and knows nobody
        with pytest.raises(UnknownAgency):
            parse(data, FEDERATION_PUBLIC).agency("police")
    else:
        with pytest.raises(BadDirectory):
            parse(data, FEDERATION_PUBLIC)


def test_agencies_out_of_order_or_twice_are_refused() -> None:
    """T-SEC-4: a lookup by identifier finds one row and there is only one."""
    rows: list[canonical.Json] = [entry_json(row) for row in example().agencies]

    for wrong in ([rows[1], rows[0]], [rows[0], rows[0]]):
        with pytest.raises(BadDirectory):
            parse(resigned({"agencies": wrong}), FEDERATION_PUBLIC)


def test_two_agencies_cannot_share_a_key() -> None:
    """T-SEC-4: a signature names one agency, so one key belongs to one agency and one purpose."""
    twin = sign_row("midshire", replace(agency("school", 40), answer=example().agencies[0].answer), certificate_key(40))
    same_certificate = sign_row("midshire", agency("school", 40), certificate_key(10))

    for bad in (twin, same_certificate):
        with pytest.raises(BadDirectory):
            build(replace(example(), agencies=(*example().agencies, bad)), FEDERATION_KEY)


def test_a_certificate_key_on_another_curve_is_refused() -> None:
    """T-SEC-4: one kind of certificate key, so that nothing weaker slips in."""
    row = sign_row("midshire", agency("school", 40), ec.derive_private_key(5, ec.SECP384R1()))

    with pytest.raises(BadDirectory):
        check_row("midshire", row)


def test_expiry_is_said_and_judged_by_the_callers_clock() -> None:
    """The contract reads no clock: whoever has one asks whether the directory is current."""
    ends = example().issued_at_ns + 1_000_000_000
    directory = parse(build(replace(example(), expires_at_ns=ends), FEDERATION_KEY), FEDERATION_PUBLIC)

    assert (True, False) == (directory.current(ends - 1), directory.current(ends))
    assert example().current(2**62)


def test_key_servers_digest_changes_with_any_of_the_keys() -> None:
    """T-LNK-5: tokens made under other keys must be told apart before they are compared."""
    one = example()
    changes = [
        replace(one, epoch=replace(one.epoch, id="2026-2")),
        replace(one, broker=replace(one.broker, key_server={**one.broker.key_server, "nhs.x": ed25519(200)})),
        replace(one, steward=replace(one.steward, key_server={**one.steward.key_server, "nhs.x": ed25519(200)})),
        replace(one, steward=replace(one.steward, subject_keys={"dob.x pc.x first.x": ed25519(200)})),
        replace(one, broker=replace(one.broker, key_server=one.steward.key_server)),
    ]

    assert len(changes) + 1 == len({one.key_servers_digest, *(changed.key_servers_digest for changed in changes)})


def test_an_agency_is_known_by_name_and_key() -> None:
    """T-SEC-4: the right name with the right key speaks for the agency; either alone does not."""
    directory = example()
    police = "spiffe://midshire/agency/police"

    assert Member("midshire", "agency", "police") == speaker(certificate([police], certificate_key(20)), directory)
    assert police == Member("midshire", "agency", "police").uri
    with pytest.raises(WrongAgency):
        speaker(certificate([police], certificate_key(10)), directory)
    with pytest.raises(UnknownAgency):
        speaker(certificate(["spiffe://midshire/agency/school"], certificate_key(40)), directory)
    with pytest.raises(BadCertificate):
        speaker(certificate(["spiffe://wessex/agency/police"], certificate_key(20)), directory)


def test_broker_and_steward_are_known_by_name() -> None:
    """T-SEC-4: a service that only the steward or only the broker may use can tell them apart."""
    for role in ("broker", "steward"):
        assert role == speaker(certificate([f"spiffe://midshire/{role}"], certificate_key(50)), example()).role


@pytest.mark.parametrize(
    "uris",
    [
        [],
        ["spiffe://midshire/agency/police", "spiffe://midshire/broker"],
        ["spiffe://midshire/agency/"],
        ["spiffe://midshire/agency/police/x"],
        ["spiffe://midshire/agency/Police"],
        ["spiffe://midshire/agency/police\n"],
        ["https://midshire/agency/police"],
        ["spiffe://midshire/auditor"],
        ["spiffe:///broker"],
    ],
    ids=str,
)
def test_a_certificate_without_one_good_name_is_nobody(uris: list[str]) -> None:
    """T-SEC-4: two names, no name, or a name of another form speak for nobody."""
    with pytest.raises(BadCertificate):
        member(certificate(uris, certificate_key(20)))


@given(st.binary(max_size=400))
def test_bytes_that_are_no_certificate_are_refused_cleanly(data: bytes) -> None:
    """T-SEC-3: a malformed certificate is refused as one, never by another error."""
    with pytest.raises(BadCertificate):
        member(data)


@given(st.text(max_size=80))
def test_a_name_is_read_strictly(uri: str) -> None:
    """T-SEC-4: whatever is accepted is written back the same."""
    try:
        assert uri == parse_uri(uri).uri
    except BadCertificate:
        assert uri not in {"spiffe://midshire/broker", "spiffe://midshire/steward"}


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_bytes_that_are_no_directory_are_refused_cleanly(data: bytes) -> None:
    """T-SEC-3: a malformed file is refused as one, never by another error."""
    with pytest.raises(BadDirectory):
        parse(data, FEDERATION_PUBLIC)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["row", "id", "v"]), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(["v", "federation", "version", "issued_at", "epoch", "broker", "steward", "agencies"]), JSON)
def test_any_field_of_another_type_is_refused_cleanly(field: str, value: canonical.Json) -> None:
    """T-SEC-3: even the holder of the federation key cannot crash a node with a strange file."""
    try:
        data = resigned({field: value})
    except canonical.NotCanonical:
        return  # it cannot even be written
    try:
        read = parse(data, FEDERATION_PUBLIC)
    except BadDirectory:
        return

    assert field in {"version", "federation", "v", "agencies"}
    assert isinstance(read, Directory)
