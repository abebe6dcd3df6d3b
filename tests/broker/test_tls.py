"""A renewed certificate counts without a restart, at the broker and at the steward, and half of one never does."""

import asyncio
import io
import ssl
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import agency_node.tls
import broker.tls
from accord.directory import Member
from agency_node import events as node_events
from agency_node import keys as node_keys
from broker import events as broker_events
from broker import keys as broker_keys
from tests.world import stack as worlds
from tests.world.trust import Federation, make_federation

SIDES = pytest.mark.parametrize(
    ("side", "keys"), [(broker.tls, broker_keys), (agency_node.tls, node_keys)], ids=["broker", "steward"]
)


@pytest.fixture(scope="module")
def federation() -> Federation:
    return make_federation()


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    written = io.StringIO()
    broker_events.configure("debug", written, strict=True)
    node_events.configure("debug", written, strict=True)
    yield written
    broker_events.configure(strict=True)
    node_events.configure(strict=True)


class Home:
    """A folder with the three files that a listener shows, and what somebody renews in it."""

    def __init__(self, federation: Federation, folder: Path) -> None:
        self.federation = federation
        self.key, self.certificate, self.ca = folder / "tls.key", folder / "tls.crt", folder / "ca.pem"
        self.ca.write_bytes(federation.ca_pem)
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.write_key()
        self.renew()

    def write_key(self) -> None:
        self.key.unlink(missing_ok=True)
        self.key.touch(mode=0o600)
        self.key.write_bytes(self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def renew(self, life: timedelta = timedelta(hours=24)) -> int:
        """Put a new certificate for the key of today in place; gives its serial number."""
        made = self.federation.certificate(Member("midshire", "broker"), self.private, life=life)
        fresh = self.certificate.with_suffix(".new")
        fresh.write_bytes(made.public_bytes(Encoding.PEM))
        fresh.replace(self.certificate)
        return made.serial_number


def shown(federation: Federation, port: int) -> int:
    """Serial number of the certificate that a listener shows to a new connection."""
    context = ssl.create_default_context(cadata=federation.ca_pem.decode())
    context.set_alpn_protocols(["h2"])

    async def look() -> int:
        _, writer = await asyncio.open_connection("localhost", port, ssl=context)
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return x509.load_der_x509_certificate(der).serial_number

    return asyncio.run(look())


def seen_after(federation: Federation, home: Home, side: ModuleType, change: Callable[[], Any]) -> tuple[int, int]:
    """What a real listener shows before and after something was done to its files."""
    server = grpc.server(_threads())
    port = server.add_secure_port("localhost:0", side.credentials(home.key, home.certificate, home.ca))
    server.start()
    try:
        before = shown(federation, port)
        change()
        return before, shown(federation, port)
    finally:
        server.stop(None).wait()


def _threads() -> Any:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(1)


@SIDES
def test_a_renewed_certificate_is_shown_to_the_next_connection(
    federation: Federation, tmp_path: Path, side: ModuleType, keys: ModuleType
) -> None:
    """T-OPS-3: a certificate lives a day; a process that had to be restarted for each would be down each day."""
    home = Home(federation, tmp_path)
    first = x509.load_pem_x509_certificate(home.certificate.read_bytes()).serial_number
    renewed: list[int] = []

    before, after = seen_after(federation, home, side, lambda: renewed.append(home.renew()))

    assert ([first], renewed) == ([before], [after])


@SIDES
def test_files_that_do_not_fit_together_change_nothing(
    federation: Federation, tmp_path: Path, side: ModuleType, keys: ModuleType, logged: io.StringIO
) -> None:
    """T-OPS-3: between the writing of a new key and of its certificate, the old pair goes on."""
    home = Home(federation, tmp_path)

    def half() -> None:
        home.private = ec.generate_private_key(ec.SECP256R1())
        home.write_key()

    before, after = seen_after(federation, home, side, half)

    assert before == after
    assert "certificate_refused" in logged.getvalue()


@SIDES
@pytest.mark.parametrize("spoilt", ["tls.crt", "tls.key", "ca.pem"])
def test_a_file_that_is_gone_or_rubbish_changes_nothing_and_a_later_one_counts(
    federation: Federation, tmp_path: Path, side: ModuleType, keys: ModuleType, spoilt: str
) -> None:
    """T-OPS-3: however the files come to be, a listener that runs goes on running."""
    home = Home(federation, tmp_path)
    files = side.Files(home.key, home.certificate, home.ca)
    files.read()
    kept = (tmp_path / spoilt).read_bytes()
    (tmp_path / spoilt).unlink()
    gone = files.changed()
    if spoilt != "ca.pem":
        (tmp_path / spoilt).touch(mode=0o600)
        (tmp_path / spoilt).write_bytes(b"rubbish")
        gone = gone or files.changed()
    (tmp_path / spoilt).write_bytes(kept)
    (tmp_path / spoilt).chmod(0o600)

    assert gone is None
    assert files.changed() is not None
    assert files.changed() is None


@SIDES
def test_a_listener_does_not_start_with_another_keys_certificate(
    federation: Federation, tmp_path: Path, side: ModuleType, keys: ModuleType
) -> None:
    """It would be reached by nobody, and every node would only say that it cannot be."""
    home = Home(federation, tmp_path)
    home.private = ec.generate_private_key(ec.SECP256R1())
    home.write_key()

    with pytest.raises(keys.BadFile, match="for another private key"):
        side.credentials(home.key, home.certificate, home.ca)


def test_the_broker_and_the_steward_show_what_was_renewed_while_they_run(tmp_path: Path) -> None:
    """T-OPS-3: the whole programs, on the event loop that serves them."""

    async def body() -> list[tuple[int, int]]:
        seen = []
        async with worlds.stack(tmp_path / "homes") as world:
            told = world.settings["police"]
            for address, role in ((told.broker, "broker"), (told.steward, "steward")):
                party = world.federation.broker if role == "broker" else world.federation.steward
                member = Member("midshire", "broker" if role == "broker" else "steward")
                made = world.federation.certificate(member, party.channel.private)
                (world.home / role / "tls.crt").write_bytes(made.public_bytes(Encoding.PEM))
                port = int(address.rpartition(":")[2])
                seen.append((made.serial_number, await asyncio.to_thread(shown, world.federation, port)))
        return seen

    for renewed, now_shown in asyncio.run(body()):
        assert renewed == now_shown
