"""Everything the broker may be told, in one frozen type.

Settings come from a TOML file; an environment variable ACCORD_<NAME> wins over the file. Unknown keys and misspelt
ACCORD_ names are refused, values are never printed in errors, and secrets are named by path only. A relative path in
either place is relative to the folder of the TOML file, which `accord-broker init` makes the broker's home.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from accord import directory
from accord.reasons import REASONS, Problem
from broker import breaker, engines, window

if TYPE_CHECKING:
    from broker.store import Place

PREFIX: Final = "ACCORD_"
ELSEWHERE: Final = frozenset({"ACCORD_HOME", "ACCORD_CI", "ACCORD_SETTINGS"})
"""Names that commands and tests read for themselves."""


def _port(endpoint: str) -> str:
    if int(endpoint.rsplit(":", 1)[1]) > 65_535:
        raise ValueError("a port is a number up to 65535")
    return endpoint


Endpoint = Annotated[
    str,
    StringConstraints(pattern=r"^([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}$"),
    AfterValidator(_port),
]
"""A host name or address and a port: `broker.midshire.example:7443`, `127.0.0.1:7443`, `[::1]:7443`."""

_PLAINLY: Final = {
    "string_pattern_mismatch": "it is not of the right form",
    "extra_forbidden": "there is no such setting",
    "missing": "it must be given",
}
"""What pydantic would say in its own words."""

_LOOPBACK = re.compile(r"(127(\.\d{1,3}){3}|localhost|\[::1\]):\d{1,5}")


class BadSettings(Problem):
    """A setting is unknown, missing or out of bounds. The message names it and never shows its value.

    Attributes:
        cure: What to do about it.
    """

    reason: ClassVar[str] = "BAD_SETTINGS"

    def __init__(self, message: str, cure: str = REASONS["BAD_SETTINGS"].cure) -> None:
        """Say what is wrong, and the cure."""
        self.cure = cure
        super().__init__(message)


class BrokerSettings(BaseSettings):
    """What the broker may be told.

    Attributes:
        federation: Name of the federation, for example `midshire`.
        listen: Where nodes and the steward dial in, host:port.
        database: SQLite file of state and ledger; made when absent.
        database_url_file: File that holds the address of a PostgreSQL database for state and ledger, in place of the
            SQLite file. Several brokers may name one database: one of them serves, the others stand by.
        directory: The signed directory.json.
        federation_public: The pinned federation public key, one line of URL-safe base64.
        ca: Certificate authority of the federation, PEM.
        tls_certificate: The broker's certificate, PEM; read again when it changes.
        tls_key: Its private key, PEM.
        warrant_key: Ed25519 private key that signs warrants, PEM.
        ledger_key: Ed25519 private key that signs checkpoints, PEM.
        policy_key: P-256 private key that signs policy bundles, PEM; needed by `accord-broker policy build` only.
        policy_key_id: Which of the directory's policy keys that is.
        key_server_seed: 32 raw bytes from which the broker's key-server keys are derived.
        policy_bundle: The signed policy bundle in force.
        policy_engine: `embedded` decides inside the broker, `opa` on the Open Policy Agent server at opa_url; there is
            no falling back from one to the other.
        opa_url: That server, on this machine only: `http://127.0.0.1:8181` or `unix:///run/accord/opa.sock`.
        policy_listen: Loopback host:port where that server fetches the signed policy bundle; none when absent.
        ask_deadline_ms: Longest time for one question, milliseconds, 100 to 30,000.
        node_deadline_ms: Longest time one node is given, milliseconds, 50 to 29,000; below ask_deadline_ms.
        breaker_failures: A node that fails so many questions in a row is passed over until it answers one again.
        questions_at_once: Most questions in work, 1 to 512. While agencies are heard late it is fewer, down to
            questions_at_least.
        questions_at_least: So many are let into work however late they are, 1 to 512.
        agency_at_once: Most of them that one agency asked, 1 to 512, so that it cannot take them all.
        questions_waiting: Most questions that wait for one of those to end, 0 to 4,096. They wait no longer than
            ask_deadline_ms leaves beside node_deadline_ms; more are turned away at once and told when to come again.
        agency_waiting: Most of them that one agency asked, 0 to 64.
        metrics: Loopback host:port for health and metrics; none when absent.
        log_level: Least level that is logged.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        env_prefix=PREFIX,
        env_nested_delimiter="__",
    )

    federation: str = Field(pattern=f"^{directory.FEDERATION}$")
    listen: Endpoint = "127.0.0.1:7443"
    database: Path = Path("broker.db")
    database_url_file: Path | None = None
    directory: Path = Path("directory.json")
    federation_public: Path = Path("federation.pub")
    ca: Path = Path("ca.pem")
    tls_certificate: Path = Path("tls.crt")
    tls_key: Path = Path("tls.key")
    warrant_key: Path = Path("warrant.key")
    ledger_key: Path = Path("ledger.key")
    policy_key: Path = Path("policy.key")
    policy_key_id: str = Field(default="policy-1", pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    key_server_seed: Path = Path("key-server.seed")
    policy_bundle: Path = Path("policy.tar.gz")
    policy_engine: Literal["embedded", "opa"] = "embedded"
    opa_url: str | None = Field(default=None, pattern=f"^(?:{engines.SERVER})$")
    policy_listen: Endpoint | None = None
    ask_deadline_ms: int = Field(default=2_000, ge=100, le=30_000)
    node_deadline_ms: int = Field(default=1_500, ge=50, le=29_000)
    breaker_failures: int = Field(default=breaker.FAILURES, ge=1, le=1_000_000)
    questions_at_once: int = Field(default=64, ge=1, le=512)
    questions_at_least: int = Field(default=window.LEAST, ge=1, le=512)
    agency_at_once: int = Field(default=32, ge=1, le=512)
    questions_waiting: int = Field(default=256, ge=0, le=4_096)
    agency_waiting: int = Field(default=32, ge=0, le=64)
    metrics: Endpoint | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file, whose content is given as arguments; nothing else is read."""
        return (env_settings, init_settings)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.node_deadline_ms >= self.ask_deadline_ms:
            raise ValueError(
                "node_deadline_ms must be below ask_deadline_ms, so that a slow node does not cost the answer"
            )
        if self.database_url_file is not None and "database" in self.model_fields_set:
            raise ValueError("name either database or database_url_file, not both")
        if self.metrics is not None and not _LOOPBACK.fullmatch(self.metrics):
            raise ValueError("metrics must be on this machine only: 127.0.0.1, [::1] or localhost")
        if self.policy_listen is not None and not _LOOPBACK.fullmatch(self.policy_listen):
            raise ValueError("policy_listen must be on this machine only: 127.0.0.1, [::1] or localhost")
        if (self.policy_engine == "opa") != (self.opa_url is not None):
            raise ValueError('policy_engine = "opa" and opa_url go together: give both or neither')
        return self

    @property
    def place(self) -> "Place":
        """Where state and ledger are."""
        # Most commands open neither, and need not wait for it to load.
        from broker.store import Server

        return self.database if self.database_url_file is None else Server(self.database_url_file)

    @property
    def counts(self) -> "Place":
        """Where the key server counts: on the same server, or in a file beside the SQLite file."""
        return self.place if self.database_url_file is not None else self.database.with_suffix(".quota")


def load(file: Path) -> BrokerSettings:
    """Read broker.toml and the environment.

    Args:
        file: The TOML file; relative paths in settings start from its folder.

    Raises:
        BadSettings: The file cannot be read, or a setting is unknown, missing or out of bounds.
    """
    refuse_misspelt(BrokerSettings, os.environ)
    try:
        told: dict[str, Any] = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise BadSettings(
            f"cannot read {file}: {error.strerror}",
            "Name the right folder with --home, or make one: accord-broker init.",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"{file} is not TOML: {error}") from error
    try:
        settings = BrokerSettings(**told)
    except ValidationError as error:
        raise BadSettings(f"{file}: {_explain(error)}") from error
    except SettingsError as error:
        raise BadSettings(f"an environment variable beginning with {PREFIX} is not of the right form") from error
    base = file.absolute().parent
    paths = {name: base / value for name, value in settings if isinstance(value, Path) and not value.is_absolute()}
    return settings.model_copy(update=paths)


def refuse_misspelt(kind: type[BaseSettings], environment: Mapping[str, str]) -> None:
    """Refuse an ACCORD_ name that is no setting: it would be passed over in silence.

    Raises:
        BadSettings: There is one; it is named, its value is not shown.
    """
    known = {PREFIX + name.upper() for name in kind.model_fields} | ELSEWHERE
    unknown = sorted(name for name in environment if name.upper().startswith(PREFIX) and name.upper() not in known)
    if unknown:
        near = difflib.get_close_matches(unknown[0].upper(), known, 1)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise BadSettings(
            f"the environment has a name that is no setting: {', '.join(unknown)}.{meant}",
            "Correct the name, or take it out of the environment.",
        )


def _explain(error: ValidationError) -> str:
    # Only place and rule: `input` could be a secret that someone put where a path belongs.
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(
        f"{'.'.join(map(str, one['loc'])) or 'settings'}: {_PLAINLY.get(one['type'], one['msg'])}" for one in found
    )
