"""Real database servers, private to one run of the tests: in a folder of their own, on this machine only.

A server refuses to run as root, so as root it is started as `nobody`. Nothing of it outlives the run.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psycopg
import pymysql
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from deploy.demo.ports import free_port

START_S: Final = 120.0
"""How long a server may take to answer, in seconds."""
PASSWORDS: Final = {"reader": "p@ss/word:1", "writer": "another"}


@dataclass(slots=True)
class DatabaseServer:
    """A running server with one database `records`, and two accounts beside the administrator's.

    Attributes:
        kind: `postgresql` or `mariadb`.
        port: On 127.0.0.1.
        folder: With its socket and its certificate `ca.pem`, for localhost.
        process: What to stop or hold; another one after `start`.
    """

    kind: str
    port: int
    folder: Path
    process: "subprocess.Popen[bytes]"

    def stop(self) -> None:
        """End it at once, as a crash does: nobody is waited for, nothing is written that was not yet."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()

    def start(self) -> None:
        """Start it again where it was, and wait till it answers."""
        command: Sequence[object] = self.process.args  # type: ignore[assignment]  # the list that it was started with
        self.process = _started(command)

        def reached() -> Any:
            if self.process.poll() is not None:
                # Its port may have been lent to somebody meanwhile.
                self.process = _started(command)
            return self.administrator()

        with _patient(reached):
            pass

    def run(self, *statements: str, database: str = "records") -> list[Any]:
        """Run statements as the administrator; the rows of the last one."""
        with (
            contextlib.closing(self.administrator(database)) as connection,
            contextlib.closing(connection.cursor()) as cursor,
        ):
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    def administrator(self, database: str = "records") -> Any:
        """A connection that may do everything."""
        if self.kind == "postgresql":
            return psycopg.connect(
                host=str(self.folder), port=self.port, user="admin", dbname=database, autocommit=True
            )
        return pymysql.connect(
            unix_socket=str(self.folder / "socket"), user="root", database=database, autocommit=True, charset="utf8mb4"
        )


@contextlib.contextmanager
def postgresql(**more: object) -> Iterator[DatabaseServer]:
    """A PostgreSQL server.

    Args:
        more: Its settings; `fsync="on"` for one that must keep what it acknowledged when it is ended at once.
    """
    with _folder() as folder:
        data = folder / "data"
        _as_somebody([_tool("initdb"), "-D", data, "-U", "admin", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"])
        (data / "pg_hba.conf").write_text(
            "local all admin trust\nhost all all 127.0.0.1/32 scram-sha-256\nlocal all all scram-sha-256\n"
        )
        port = free_port()
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": folder,
            "port": port,
            "fsync": "off",
            "ssl": "on",
            "ssl_cert_file": folder / "ca.pem",
            "ssl_key_file": folder / "tls.key",
            **more,
        }
        command = [_tool("postgres"), "-D", data, *(f"--{name}={value}" for name, value in options.items())]
        with _running("postgresql", port, folder, command) as server:
            admin = {"host": str(folder), "port": port, "user": "admin", "dbname": "postgres"}
            with _patient(lambda: psycopg.connect(**admin, autocommit=True)) as connection:  # type: ignore[arg-type]  # as typed above
                connection.execute("CREATE DATABASE records")
            server.run(
                *(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'" for name, password in PASSWORDS.items()),
                "GRANT CREATE ON SCHEMA public TO writer",
            )
            yield server


@contextlib.contextmanager
def mariadb() -> Iterator[DatabaseServer]:
    """A MariaDB server."""
    with _folder() as folder:
        data, place = folder / "data", folder / "socket"
        _as_somebody(
            [
                *(_tool("mariadb-install-db"), "--no-defaults", f"--datadir={data}", "--skip-test-db"),
                "--auth-root-authentication-method=normal",
            ]
        )
        port = free_port()
        command = [
            *(_tool("mariadbd"), "--no-defaults", f"--datadir={data}", f"--socket={place}", f"--port={port}"),
            *("--bind-address=127.0.0.1", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M"),
            *(f"--ssl-cert={folder / 'ca.pem'}", f"--ssl-key={folder / 'tls.key'}", "--skip-name-resolve"),
            f"--pid-file={folder / 'pid'}",
        ]
        with _running("mariadb", port, folder, command) as server:
            with _patient(lambda: pymysql.connect(unix_socket=str(place), user="root", autocommit=True)) as connection:
                connection.cursor().execute("CREATE DATABASE records CHARACTER SET utf8mb4")
            server.run(
                *(f"CREATE USER {name}@'%' IDENTIFIED BY '{password}'" for name, password in PASSWORDS.items()),
                "GRANT ALL ON *.* TO writer@'%'",
            )
            yield server


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    # Not pytest's own folder: only root may enter that one. A socket's path may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="accord-db-"))
    try:
        certificate, key = self_signed("localhost")
        (folder / "ca.pem").write_bytes(certificate)
        (folder / "tls.key").write_bytes(key)
        (folder / "tls.key").chmod(0o600)
        for path in (folder, *folder.iterdir()):
            if os.geteuid() == 0:
                shutil.chown(path, *_SOMEBODY)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_SOMEBODY: Final = ("nobody", pwd.getpwnam("nobody").pw_gid)


def self_signed(host: str) -> tuple[bytes, bytes]:
    """A certificate that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return made.public_bytes(Encoding.PEM), pem


def _who() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    return {"user": _SOMEBODY[0], "group": _SOMEBODY[1], "extra_groups": []}


def _as_somebody(command: Sequence[object]) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, cwd="/", **_who(), check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.decode(errors='replace')[-2_000:]}")


@contextlib.contextmanager
def _running(kind: str, port: int, folder: Path, command: Sequence[object]) -> Iterator[DatabaseServer]:
    server = DatabaseServer(kind, port, folder, _started(command))
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


def _started(command: Sequence[object]) -> "subprocess.Popen[bytes]":
    written = [str(part) for part in command]
    return subprocess.Popen(written, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", **_who())


def _patient(connect: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + START_S
    while True:
        try:
            return contextlib.closing(connect())
        except (psycopg.OperationalError, pymysql.OperationalError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} is not installed")
    return found
