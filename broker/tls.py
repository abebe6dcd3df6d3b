"""What the listener shows: certificate and key, read again when their files change.

Certificates live a day at most, and a renewed one must count without a restart: a broker that went on showing the old
one would be reached by nobody from the hour in which it runs out (T-OPS-3). Each new connection is shown the newest
pair; connections that are open stay as they are until their age ends them.
"""

from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from broker import keys
from broker.events import Event, log

Stamp = tuple[tuple[int, int, int], ...]


def credentials(key: Path, certificate: Path, authority: Path) -> grpc.ServerCredentials:
    """Credentials of a listener that demands a certificate of whoever calls.

    Args:
        key: Private key, PEM.
        certificate: Certificate chain, PEM.
        authority: The federation's certificate authority, PEM.

    Raises:
        BadFile: A file cannot be read, or key and certificate do not belong together.
    """
    files = Files(key, certificate, authority)
    return grpc.dynamic_ssl_server_credentials(
        files.read(),
        files.changed,  # type: ignore[arg-type]  # None means "as before", which the stubs leave out
        require_client_authentication=True,
    )


class Files:
    """A key, its certificate and the authority, as files that somebody may replace."""

    def __init__(self, key: Path, certificate: Path, authority: Path) -> None:
        """Name them; nothing is read yet."""
        self._paths = (key, certificate, authority)
        self._stamp: Stamp = ()

    def read(self) -> grpc.ServerCertificateConfiguration:
        """What the files hold, for gRPC.

        Raises:
            BadFile: A file cannot be read, or key and certificate do not belong together.
        """
        stamp = self._stat()
        key, certificate, authority = self._paths
        private, chain = keys.read_private(key), keys.read(certificate)
        try:
            leaf = x509.load_pem_x509_certificate(chain)
            fits = leaf.public_key() == load_pem_private_key(private, None).public_key()
        except (ValueError, TypeError) as error:
            raise keys.BadFile(f"{key} or {certificate} is not PEM") from error
        if not fits:
            raise keys.BadFile(f"{certificate} is for another private key than {key}")
        found = grpc.ssl_server_certificate_configuration([(private, chain)], keys.read(authority))
        self._stamp = stamp
        log.info(Event.CERTIFICATE_READ, expires_at=leaf.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ"))
        return found

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """What the files hold now, when they changed; None to go on with what there is. For gRPC's own threads.

        Files that do not fit together, as in the moment between the writing of two, change nothing.
        """
        if self._stat() == self._stamp:
            return None
        try:
            return self.read()
        except keys.BadFile as problem:
            log.warning(Event.CERTIFICATE_REFUSED, reason=problem.reason)
            return None

    def _stat(self) -> Stamp:
        try:
            found = [path.stat() for path in self._paths]
        except OSError:
            return ()
        return tuple((one.st_mtime_ns, one.st_ino, one.st_size) for one in found)
