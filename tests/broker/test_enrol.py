"""Founding a federation and letting members in: only whoever holds the keys gets a certificate for them."""

import json
import stat
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from accord import canonical, directory, signing
from accord.canonical import Json
from accord.directory import BadDirectory, DirectoryOlder, Member, UnknownAgency, WrongAgency
from agency_node import enrol as node
from broker import enrol, keys, settings
from broker.enrol import EnrolmentRefused
from tests.world.trust import AGENCIES

# TLS looks at the real clock, so certificates for it start there; everything else takes the time as an argument.
HOUR_NS = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Office:
    """A federation on disk: its folders, and how to enrol into it."""

    root: Path
    now_ns: int

    @property
    def authority(self) -> Path:
        return self.root / "authority"

    @property
    def broker(self) -> Path:
        return self.root / "broker"

    def request(self, name: str) -> Path:
        home = self.root / name
        if name == "steward":
            return node.init_steward(home, federation="midshire", hosts=["localhost"]).request
        title, kind, characters = AGENCIES[name]
        return node.init_agency(
            home, federation="midshire", agency=name, title=title, kind=kind, characters=characters
        ).request

    def enrol(self, request: Path, **options: object) -> enrol.Enrolled:
        return enrol.enrol(request, self.authority, self.root / "out", now_ns=self.now_ns, **options)  # type: ignore[arg-type]  # one helper for every option


@pytest.fixture
def office(tmp_path: Path) -> Office:
    found = Office(tmp_path, time.time_ns())
    enrol.init(found.broker, found.authority, federation="midshire", hosts=["localhost"], now_ns=found.now_ns)
    return found


def altered(
    request: Path, change: Callable[[dict[str, Json]], None], key: ec.EllipticCurvePrivateKey | None = None
) -> Path:
    """The request with something changed, signed again by `key` when one is given."""
    outer = canonical.decode_object(request.read_bytes())
    body = outer["request"]
    assert isinstance(body, dict)
    change(body)
    if key is not None:
        message = canonical.lp(node.REQUEST_LABEL.encode(), canonical.encode(body))
        outer["signature"] = canonical.b64url(key.sign(message, ec.ECDSA(SHA256())))
    changed = request.with_name("altered.json")
    changed.write_bytes(canonical.encode(outer))
    return changed


def tls_key(home: Path) -> ec.EllipticCurvePrivateKey:
    return keys.read_p256(home / "tls.key")


def test_founding_makes_two_folders_that_share_no_secret(office: Office) -> None:
    """T-LNK-1: the broker holds no federation key and no authority key, so it can take no agency's place."""
    secrets = {path.name: path.read_bytes() for path in office.authority.glob("*.key")}

    assert {"ca.key", "federation.key"} == set(secrets)
    for path in office.broker.iterdir():
        assert path.read_bytes() not in secrets.values()
    assert "midshire" == settings.load(office.broker / "broker.toml").federation


def test_every_file_is_for_this_user_only(office: Office) -> None:
    """A key that others on the machine can read is not a key."""
    office.enrol(office.request("steward"))
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for folder in (office.authority, office.broker, office.root / "steward")
        for path in folder.iterdir()
    }

    assert {0o600} == set(modes.values())
    assert 0o700 == stat.S_IMODE(office.broker.stat().st_mode)


def test_nothing_is_ever_overwritten(office: Office) -> None:
    """A second founding in the same place would destroy every key of the federation."""
    before = {path: path.read_bytes() for path in office.broker.iterdir()}

    with pytest.raises(keys.FileExists, match="choose an empty folder"):
        enrol.init(office.broker, office.root / "other", federation="midshire", hosts=["localhost"], now_ns=1)
    with pytest.raises(keys.FileExists):
        enrol.init(office.root / "other", office.authority, federation="midshire", hosts=["localhost"], now_ns=1)

    assert before == {path: path.read_bytes() for path in office.broker.iterdir()}


def test_the_authority_may_not_lie_in_the_brokers_home(tmp_path: Path) -> None:
    """The broker's home is on the network; the authority must not be."""
    with pytest.raises(EnrolmentRefused, match="offline"):
        enrol.init(tmp_path / "b", tmp_path / "b" / "ca", federation="midshire", hosts=["localhost"], now_ns=1)

    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("federation", "hosts"), [("Mid shire", ["localhost"]), ("midshire", []), ("midshire", ["a b"])]
)
def test_bad_names_are_refused_before_anything_is_written(tmp_path: Path, federation: str, hosts: list[str]) -> None:
    """Whoever types the command wrongly can type it again."""
    with pytest.raises(EnrolmentRefused):
        enrol.init(tmp_path / "b", tmp_path / "a", federation=federation, hosts=hosts, now_ns=10**18)

    assert [] == list(tmp_path.iterdir())


def test_the_steward_comes_first(office: Office) -> None:
    """Tokens need both key servers, so there is no directory without the steward."""
    with pytest.raises(EnrolmentRefused, match="enrol the steward first"):
        office.enrol(office.request("police"))


def test_members_join_one_after_the_other(office: Office) -> None:
    """Each enrolment makes the next version; each member checks it and finds itself."""
    office.enrol(office.request("steward"))
    for name in AGENCIES:
        enrolled = office.enrol(office.request(name))
        joined = node.join(office.root / name, enrolled.bundle, now_ns=office.now_ns)

    assert 4 == joined.directory.version
    assert sorted(AGENCIES) == [row.id for row in joined.directory.agencies]
    assert AGENCIES["police"][0] == joined.directory.agency("police").title
    assert enrolled.federation_key_id == joined.federation_key_id


def test_a_certificate_names_one_member_and_lives_a_day_at_most(office: Office) -> None:
    """T-SEC-4: name, use and life are the authority's choice, not the member's."""
    office.enrol(office.request("steward"))
    enrolled = office.enrol(office.request("police"), life_s=3_600)
    node.join(office.root / "police", enrolled.bundle, now_ns=office.now_ns)
    certificate = x509.load_pem_x509_certificate((office.root / "police" / "tls.crt").read_bytes())
    uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value

    assert Member("midshire", "agency", "police") == directory.speaker(
        certificate.public_bytes(Encoding.DER), enrolled.directory
    )
    assert 3_600 == (certificate.not_valid_after_utc - certificate.not_valid_before_utc).total_seconds()
    assert {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH} == set(uses)
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize("life_s", [0, 299, 86_401])
def test_a_life_out_of_bounds_is_refused(office: Office, life_s: int) -> None:
    """T-SEC-4: a certificate that outlives a day outlives its withdrawal."""
    with pytest.raises(EnrolmentRefused, match="24 hours"):
        office.enrol(office.request("steward"), life_s=life_s)


def test_the_same_request_again_renews_and_changes_nothing(office: Office) -> None:
    """Renewal is the same command; the directory keeps its version because no key changed."""
    office.enrol(office.request("steward"))
    request = office.request("police")
    first = office.enrol(request)
    node.join(office.root / "police", first.bundle, now_ns=office.now_ns)
    before = (office.root / "police" / "tls.crt").read_bytes()

    second = office.enrol(request)
    joined = node.join(office.root / "police", second.bundle, now_ns=office.now_ns)

    assert (2, False) == (second.directory.version, second.changed)
    assert not joined.first
    assert before != (office.root / "police" / "tls.crt").read_bytes()
    assert 3 == len((office.authority / "issued.jsonl").read_text().splitlines())


def test_nobody_takes_the_place_of_an_agency(office: Office, tmp_path: Path) -> None:
    """T-SEC-4: a second request under a known name needs somebody to telephone and say so."""
    office.enrol(office.request("steward"))
    office.enrol(office.request("police"))
    impostor = Office(office.root / "elsewhere", office.now_ns).request("police")

    with pytest.raises(EnrolmentRefused, match="telephone"):
        office.enrol(impostor)

    confirmed = office.enrol(impostor, replace_keys=True)
    assert (3, True) == (confirmed.directory.version, confirmed.changed)


@pytest.mark.parametrize("resign", [False, True], ids=["unsigned", "signed by its own key"])
def test_a_request_with_a_changed_row_is_refused(office: Office, resign: bool) -> None:
    """T-SEC-4: the row is signed apart from the request."""
    office.enrol(office.request("steward"))
    request = office.request("police")

    def change(body: dict[str, Json]) -> None:
        body["entry"]["row"]["title"] = "Wessex Police"  # type: ignore[index,call-overload]  # the form is known here

    with pytest.raises(EnrolmentRefused):
        office.enrol(altered(request, change, tls_key(office.root / "police") if resign else None))


def test_a_request_with_another_agencys_signing_key_is_refused(office: Office) -> None:
    """T-SEC-4: whoever enters a key must prove that it is theirs."""
    office.enrol(office.request("steward"))
    request = office.request("police")
    office.request("housing")
    stolen = signing.public_bytes(keys.read_ed25519(office.root / "housing" / "answer.key"))
    key = tls_key(office.root / "police")

    def change(body: dict[str, Json]) -> None:
        entry = body["entry"]
        assert isinstance(entry, dict)
        row = directory.read_row("midshire", entry)
        body["entry"] = directory.entry_json(directory.sign_row("midshire", replace(row, answer=stolen), key))

    with pytest.raises(EnrolmentRefused, match="not signed by the keys"):
        office.enrol(altered(request, change, key))


def test_a_request_for_another_federation_or_epoch_is_refused(office: Office) -> None:
    """A cure is named, because this is an honest mistake."""
    elsewhere = node.init_steward(office.root / "s1", federation="wessex", hosts=["localhost"]).request
    later = node.init_steward(office.root / "s2", federation="midshire", hosts=["localhost"], epoch="2").request

    with pytest.raises(EnrolmentRefused, match="another federation"):
        office.enrol(elsewhere)
    with pytest.raises(EnrolmentRefused, match="epoch 1"):
        office.enrol(later)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"request":{},"signature":""}', b"\xff" * 100, b"[" * 70_000], ids=len
)
def test_a_file_that_is_no_request_is_refused_cleanly(office: Office, tmp_path: Path, content: bytes) -> None:
    """T-SEC-3: whatever arrives by post is refused as a request, never by another error."""
    (tmp_path / "request.json").write_bytes(content)

    with pytest.raises(EnrolmentRefused):
        office.enrol(tmp_path / "request.json")


def test_a_withdrawn_agency_speaks_for_nobody(office: Office) -> None:
    """T-SEC-4: a revoked member is out with the next directory, whatever its certificate still says."""
    office.enrol(office.request("steward"))
    enrolled = office.enrol(office.request("police"))
    node.join(office.root / "police", enrolled.bundle, now_ns=office.now_ns)
    certificate = x509.load_pem_x509_certificate((office.root / "police" / "tls.crt").read_bytes())

    after = enrol.withdraw("police", office.authority, office.root / "out", now_ns=office.now_ns)

    assert 3 == after.version
    with pytest.raises(UnknownAgency):
        directory.speaker(certificate.public_bytes(Encoding.DER), after)
    with pytest.raises(UnknownAgency):
        enrol.withdraw("police", office.authority, office.root / "out", now_ns=office.now_ns)


def test_the_broker_takes_only_a_newer_directory_that_names_its_keys(office: Office, tmp_path: Path) -> None:
    """T-SEC-4: the broker checks the file as everybody does."""
    office.enrol(office.request("steward"))
    old = (office.root / "out" / "directory.json").read_bytes()
    office.enrol(office.request("police"))
    new = (office.root / "out" / "directory.json").read_bytes()

    assert 2 == enrol.install_directory(office.broker, new).version
    with pytest.raises(DirectoryOlder):
        enrol.install_directory(office.broker, old)
    with pytest.raises(BadDirectory):
        enrol.install_directory(office.broker, new.replace(b"Midshire Police", b"Midshire Pirate"))

    assert new == (office.broker / "directory.json").read_bytes()


def test_the_brokers_certificate_is_renewed_with_its_own_key(office: Office) -> None:
    """The broker's address stays what nodes know."""
    before = x509.load_pem_x509_certificate((office.broker / "tls.crt").read_bytes())

    enrol.renew(office.broker, office.authority, now_ns=office.now_ns + HOUR_NS)

    after = x509.load_pem_x509_certificate((office.broker / "tls.crt").read_bytes())
    assert before.public_key() == after.public_key()
    assert before.not_valid_after_utc < after.not_valid_after_utc
    assert Member("midshire", "broker") == directory.member(after.public_bytes(Encoding.DER))


@contextmanager
def mutual_tls(home: Path) -> Iterator[tuple[int, list[bytes]]]:
    """A gRPC server with the home's files that demands a certificate; collects the ones it accepted."""
    seen: list[bytes] = []

    def whoami(_: bytes, context: grpc.ServicerContext) -> bytes:
        seen.append(context.auth_context()["x509_pem_cert"][0])
        return b"hello"

    server = grpc.server(futures.ThreadPoolExecutor(2))
    methods = {"Whoami": grpc.unary_unary_rpc_method_handler(whoami)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Test", methods)])
    credentials = grpc.ssl_server_credentials(
        [((home / "tls.key").read_bytes(), (home / "tls.crt").read_bytes())],
        (home / "ca.pem").read_bytes(),
        require_client_auth=True,
    )
    port = server.add_secure_port("localhost:0", credentials)
    server.start()
    try:
        yield port, seen
    finally:
        stopped: threading.Event = server.stop(None)
        stopped.wait(5)


def call(port: int, ca: bytes, key: bytes | None = None, certificate: bytes | None = None) -> bytes:
    credentials = grpc.ssl_channel_credentials(ca, key, certificate)
    with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
        reply: bytes = channel.unary_unary("/test.Test/Whoami")(b"", timeout=60)
    return reply


def test_the_files_make_a_mutual_tls_channel_and_wrong_ones_do_not(office: Office) -> None:
    """T-SEC-4: no certificate, an expired one, one of another authority, and A's name with B's key are all refused."""
    office.enrol(office.request("steward"))
    police = office.request("police")
    enrolled = office.enrol(police)
    node.join(office.root / "police", enrolled.bundle, now_ns=office.now_ns)
    home = office.root / "police"
    ca, key, good = ((home / name).read_bytes() for name in ("ca.pem", "tls.key", "tls.crt"))
    late = enrol.enrol(police, office.authority, office.root / "late", now_ns=office.now_ns - 48 * HOUR_NS)
    expired_pem = json.loads(late.bundle.read_bytes())["bundle"]["certificate"].encode()
    enrol.init(office.root / "b2", office.root / "a2", federation="midshire", hosts=["localhost"], now_ns=office.now_ns)
    other = office.root / "b2"

    with mutual_tls(office.broker) as (port, seen):
        assert b"hello" == call(port, ca, key, good)
        accepted = len(seen)
        for wrong in (
            (None, None),
            (key, expired_pem),
            ((other / "tls.key").read_bytes(), (other / "tls.crt").read_bytes()),
        ):
            with pytest.raises(grpc.RpcError):
                call(port, ca, *wrong)
        with pytest.raises(grpc.RpcError):
            call(port, (other / "ca.pem").read_bytes(), key, good)

    presented = x509.load_pem_x509_certificate(seen[0]).public_bytes(Encoding.DER)
    assert (1, 1) == (accepted, len(seen))
    assert "police" == directory.speaker(presented, enrolled.directory).agency


def test_a_certificate_for_a_name_with_another_key_speaks_for_nobody(office: Office) -> None:
    """T-SEC-4: even a certificate of the right authority is held against the key in the directory."""
    office.enrol(office.request("steward"))
    enrolled = office.enrol(office.request("police"))
    elsewhere = Office(office.root / "elsewhere", office.now_ns)
    swapped = office.enrol(elsewhere.request("police"), replace_keys=True)
    node.join(elsewhere.root / "police", swapped.bundle, now_ns=office.now_ns)
    certificate = x509.load_pem_x509_certificate((elsewhere.root / "police" / "tls.crt").read_bytes())

    with pytest.raises(WrongAgency):
        directory.speaker(certificate.public_bytes(Encoding.DER), enrolled.directory)


def test_more_records_need_the_operators_approval(office: Office) -> None:
    """T-LNK-6: the allowance of index keys follows from a number that agency and operator both signed."""
    office.enrol(office.request("steward"))
    title, kind, characters = AGENCIES["police"]
    home = office.root / "police"
    request = node.init_agency(
        home,
        federation="midshire",
        agency="police",
        title=title,
        kind=kind,
        characters=characters,
        records_up_to=200_000,
    ).request

    with pytest.raises(enrol.EnrolmentRefused, match="--records-up-to 200000"):
        office.enrol(request)
    approved = office.enrol(request, records_up_to=200_000)
    renewed = office.enrol(request)
    node.join(home, renewed.bundle, now_ns=office.now_ns)
    smaller = office.enrol(node.request_anew(home, records_up_to=5_000))

    assert (200_000, True) == (approved.records_up_to, approved.changed)
    assert not renewed.changed
    assert 5_000 == smaller.directory.agency("police").records_up_to
    assert smaller.directory.version == approved.directory.version + 1
    with pytest.raises(enrol.EnrolmentRefused, match="--records-up-to 200000"):
        office.enrol(node.request_anew(home, records_up_to=200_000))
    with pytest.raises(enrol.EnrolmentRefused, match="--records-up-to 10000"):
        # Fewer than a new agency may have, but more than this one had.
        office.enrol(node.request_anew(home, records_up_to=10_000))
    node.join(home, smaller.bundle, now_ns=office.now_ns)
    with pytest.raises(node.JoinRefused, match="number of records"):
        node.request_anew(home, records_up_to=1)
