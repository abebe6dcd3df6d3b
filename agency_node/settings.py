"""Everything an agency node, or the steward, may be told, each in one frozen type.

Settings come from a TOML file; an environment variable ACCORD_<NAME> or ACCORD_<SECTION>__<NAME> wins over the file.
Unknown keys and misspelt ACCORD_ names are refused, values are never printed in errors, and secrets are named by path
only. A relative path in either place is relative to the folder of the TOML file, which `accord-node init` makes the
home.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from accord import directory
from accord.reasons import REASONS, Problem
from agency_node import staff

PREFIX: Final = "ACCORD_"
ELSEWHERE: Final = frozenset({"ACCORD_HOME", "ACCORD_CI", "ACCORD_SETTINGS"})
"""Names that commands and tests read for themselves."""


def _port(endpoint: str) -> str:
    if int(endpoint.rsplit(":", 1)[1]) > 65_535:
        raise ValueError("a port is a number up to 65535")
    return endpoint


_ENDPOINT: Final = r"([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}"
Endpoint = Annotated[
    str,
    StringConstraints(pattern=f"^{_ENDPOINT}$"),
    AfterValidator(_port),
]
"""A host name or address and a port: `broker.midshire.example:7443`, `127.0.0.1:7443`, `[::1]:7443`."""

Endpoints = Annotated[
    str,
    StringConstraints(pattern=f"^{_ENDPOINT}(,{_ENDPOINT}){{0,7}}$"),
    AfterValidator(lambda several: ",".join(map(_port, several.split(",")))),
]
"""One endpoint, or up to eight separated by commas without spaces."""

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


class StaffSettings(BaseModel):
    """The agency's identity provider.

    Attributes:
        issuer: The `iss` of its tokens, exactly.
        audience: The `aud` of its tokens for Accord.
        algorithm: The one algorithm it signs with.
        jwks_file: Its public keys, a JWK Set (RFC 7517); fetched by whoever runs the node, never by the node.
        typ: The `typ` in its tokens' headers: `JWT` or `at+jwt`.
        role_claim: Path to the role or roles in its tokens.
        roles: Its word for a role -> practitioner, manager, duty_officer, dpo or auditor. Empty means nobody.
        organisation_claim: Path to the organisation's code; empty when the provider serves this agency only.
        organisation: The code that must stand there.
        aal_by_acr: Its `acr` values -> authenticator assurance level, 1 to 3.
        phishing_resistant_amr: Its `amr` words for methods that resist phishing.
        max_token_life_s: Longest life of its tokens, seconds, 60 to 43,200.
        max_auth_age_s: Oldest sign-in, seconds, 300 to 43,200.
        step_up_max_age_s: Oldest sign-in for an emergency or for changing rules, seconds, 60 to 900.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    issuer: str = Field(min_length=1, max_length=255)
    audience: str = Field(min_length=1, max_length=255)
    algorithm: Literal["ES256", "RS256", "EdDSA"]
    jwks_file: Path
    typ: Literal["JWT", "at+jwt"] = "JWT"
    role_claim: tuple[str, ...] = Field(min_length=1, max_length=6)
    roles: Mapping[str, str] = Field(default_factory=dict)
    organisation_claim: tuple[str, ...] = ()
    organisation: str = ""
    aal_by_acr: Mapping[str, Annotated[int, Field(ge=1, le=3)]] = Field(default_factory=dict)
    phishing_resistant_amr: frozenset[str] = frozenset({"fido", "hwk", "sc"})
    max_token_life_s: int = Field(default=3_600, ge=60, le=43_200)
    max_auth_age_s: int = Field(default=staff.MAX_AUTH_AGE_S, ge=300, le=staff.MAX_AUTH_AGE_S)
    step_up_max_age_s: int = Field(default=staff.STEP_UP_S, ge=60, le=staff.STEP_UP_S)

    @field_validator("roles")
    @classmethod
    def _known_roles(cls, roles: Mapping[str, str]) -> Mapping[str, str]:
        if not staff.ROLES.issuperset(roles.values()):
            raise ValueError("each role must be one of " + ", ".join(sorted(staff.ROLES)))
        return roles

    def identity_provider(self) -> staff.IdentityProvider:
        """Read the key file and give what `agency_node.staff` needs.

        Raises:
            BadSettings: The key file cannot be read.
            agency_node.staff.BadIdentityProvider: It is no JWK Set with a usable key.
        """
        try:
            jwks = self.jwks_file.read_bytes()
        except OSError as error:
            raise BadSettings(f"cannot read {self.jwks_file}: {error.strerror}") from error
        return staff.IdentityProvider(
            issuer=self.issuer,
            audience=self.audience,
            algorithm=self.algorithm,
            typ=self.typ,
            keys=staff.read_jwks(jwks, self.algorithm),
            role_claim=self.role_claim,
            roles=self.roles,
            organisation_claim=self.organisation_claim,
            organisation=self.organisation,
            aal_by_acr=self.aal_by_acr,
            phishing_resistant_amr=self.phishing_resistant_amr,
            max_token_life_s=self.max_token_life_s,
            max_auth_age_s=self.max_auth_age_s,
            step_up_max_age_s=self.step_up_max_age_s,
        )


class _Settings(BaseSettings):
    """What node and steward share: where trust, state and log lie.

    Attributes:
        database: SQLite file of its own state; made when absent.
        database_url_file: A file that holds the address of a PostgreSQL database for its own state, in place of the
            SQLite file; see `agency_node.store.postgresql`.
        federation: Name of the federation, for example `midshire`.
        directory: The signed directory.json.
        federation_public: The pinned federation public key, one line of URL-safe base64.
        ca: Certificate authority of the federation, PEM.
        tls_certificate: This process's certificate, PEM; read again when it changes.
        tls_key: Its private key, PEM.
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
    database: Path
    database_url_file: Path | None = None
    directory: Path = Path("directory.json")
    federation_public: Path = Path("federation.pub")
    ca: Path = Path("ca.pem")
    tls_certificate: Path = Path("tls.crt")
    tls_key: Path = Path("tls.key")
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
    def _one_database(self) -> Self:
        if self.database_url_file is not None and "database" in self.model_fields_set:
            raise ValueError("name either database or database_url_file, not both")
        return self

    @field_validator("metrics")
    @classmethod
    def _on_this_machine(cls, metrics: str | None) -> str | None:
        if metrics is not None and not _LOOPBACK.fullmatch(metrics):
            raise ValueError("metrics must be on this machine only: 127.0.0.1, [::1] or localhost")
        return metrics


class NodeSettings(_Settings):
    """What an agency node may be told, beside federation, database, directory, TLS files, metrics and log level.

    Attributes:
        agency: Identifier of the agency.
        broker: Where the broker listens, host:port; or several places, separated by commas, where brokers on one
            database stand by for each other. Their certificate names the first host.
        steward: Where the steward listens, host:port.
        mapping: YAML file that binds questions to the agency's records.
        link_prior: Weights of linkage that this node has learnt, JSON; `accord-node linkage refit --use` puts them
            there. Where there is no such file, those that ship are used.
        sealing_key: X25519 private key that opens questions, PEM.
        answer_key: Ed25519 private key that signs answers, PEM.
        asking_key: Ed25519 private key that signs statements and caller tokens, PEM.
        witness_key: Ed25519 private key that countersigns the broker's ledger, PEM.
        pseudonym_secret: 32 raw bytes from which staff get their pseudonyms.
        max_answer_age_s: Oldest state of the records that is still answered from, seconds, 60 to 2,678,400 (31 days);
            a question's own limit may be shorter.
        answer_pace_ms: Answers leave a whole number of such steps after their question came, so that their timing does
            not tell what was found; milliseconds, 0 to 1,000. Longer than this node usually takes; 0 turns it off.
        questions_waiting: How many questions may wait for their turn here, 0 to 200; more are not answered, and the
            broker is told to wait a little.
        staff: The agency's identity provider; absent where nobody asks from this node.
    """

    agency: str = Field(pattern=f"^{directory.ID}$")
    broker: Endpoints
    steward: Endpoint
    database: Path = Path("node.db")
    mapping: Path = Path("mapping.yaml")
    link_prior: Path = Path("link-prior.json")
    sealing_key: Path = Path("sealing.key")
    answer_key: Path = Path("answer.key")
    asking_key: Path = Path("asking.key")
    witness_key: Path = Path("witness.key")
    pseudonym_secret: Path = Path("pseudonym.secret")
    max_answer_age_s: int = Field(default=604_800, ge=60, le=2_678_400)
    answer_pace_ms: int = Field(default=100, ge=0, le=1_000)
    questions_waiting: int = Field(default=64, ge=0, le=200)
    staff: StaffSettings | None = None


class StewardSettings(_Settings):
    """What the steward may be told, beside federation, database, directory, TLS files, metrics and log level.

    Attributes:
        listen: Where agencies call for keys, host:port.
        key_server_seed: 32 raw bytes from which the steward's key-server keys are derived.
        subject_seed: 32 raw bytes from which the subject-tag keys are derived; nobody else has them.
    """

    listen: Endpoint = "127.0.0.1:7444"
    database: Path = Path("steward.db")
    key_server_seed: Path = Path("key-server.seed")
    subject_seed: Path = Path("subject.seed")


_Kind = TypeVar("_Kind", bound=_Settings)


def load(file: Path) -> NodeSettings:
    """Read node.toml and the environment.

    Args:
        file: The TOML file; relative paths in settings start from its folder.

    Raises:
        BadSettings: The file cannot be read, or a setting is unknown, missing or out of bounds.
    """
    return _load(NodeSettings, file)


def load_steward(file: Path) -> StewardSettings:
    """Read steward.toml and the environment, as `load`.

    Raises:
        BadSettings: As `load`.
    """
    return _load(StewardSettings, file)


def _load(kind: type[_Kind], file: Path) -> _Kind:
    refuse_misspelt(kind, os.environ)
    try:
        told: dict[str, Any] = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise BadSettings(
            f"cannot read {file}: {error.strerror}", "Name the right folder with --home, or make one: accord-node init."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"{file} is not TOML: {error}") from error
    try:
        settings = kind(**told)
    except ValidationError as error:
        raise BadSettings(f"{file}: {_explain(error)}") from error
    except SettingsError as error:
        raise BadSettings(f"an environment variable beginning with {PREFIX} is not of the right form") from error
    base = file.absolute().parent
    settings = settings.model_copy(update=_absolute(settings, base))
    if isinstance(settings, NodeSettings) and settings.staff is not None:
        provider = settings.staff.model_copy(update=_absolute(settings.staff, base))
        settings = settings.model_copy(update={"staff": provider})
    return settings


def _absolute(settings: BaseModel, base: Path) -> dict[str, Path]:
    return {name: base / value for name, value in settings if isinstance(value, Path) and not value.is_absolute()}


def refuse_misspelt(kind: type[BaseSettings], environment: Mapping[str, str]) -> None:
    """Refuse an ACCORD_ name that is no setting: it would be passed over in silence.

    Raises:
        BadSettings: There is one; it is named, its value is not shown.
    """
    known = {PREFIX + name.upper() for name in _names(kind)} | ELSEWHERE
    unknown = sorted(name for name in environment if name.upper().startswith(PREFIX) and name.upper() not in known)
    if unknown:
        near = difflib.get_close_matches(unknown[0].upper(), known, 1)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise BadSettings(
            f"the environment has a name that is no setting: {', '.join(unknown)}.{meant}",
            "Correct the name, or take it out of the environment.",
        )


def _names(kind: type[BaseModel]) -> Iterator[str]:
    for name in kind.model_fields:
        yield name
        if name == "staff":
            yield from (f"staff__{inner}" for inner in StaffSettings.model_fields)


def _explain(error: ValidationError) -> str:
    # Only place and rule: `input` could be a secret that someone put where a path belongs.
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(
        f"{'.'.join(map(str, one['loc'])) or 'settings'}: {_PLAINLY.get(one['type'], one['msg'])}" for one in found
    )
