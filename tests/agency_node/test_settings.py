"""A node's settings: what is not known, not bounded or misspelt stops the start, and no value is ever shown."""

from pathlib import Path

import pytest

from agency_node import enrol, staff
from agency_node.settings import BadSettings, NodeSettings, StaffSettings, StewardSettings, load, load_steward
from deploy.demo.identity_provider import IdentityProvider

GOOD = """
federation = "midshire"
agency = "police"
broker = "broker.midshire.example:7443"
steward = "127.0.0.1:7444"
"""


def written(folder: Path, text: str) -> Path:
    (folder / "node.toml").write_text(text)
    return folder / "node.toml"


def test_a_short_file_is_enough(tmp_path: Path) -> None:
    """Whatever can have a safe default has one; nobody may sign in until settings say how."""
    found = load(written(tmp_path, GOOD))

    assert tmp_path / "sealing.key" == found.sealing_key
    assert None is found.staff


def test_what_init_writes_loads(tmp_path: Path) -> None:
    """The first file an operator sees is one that works."""
    node = enrol.init_agency(
        tmp_path / "n",
        federation="midshire",
        agency="police",
        title="Police",
        kind="police_force",
        characters=["s11_body"],
    )
    steward = enrol.init_steward(tmp_path / "s", federation="midshire", hosts=["localhost"])

    assert "police" == load(node.settings).agency
    assert tmp_path / "s" / "subject.seed" == load_steward(steward.settings).subject_seed


def test_the_identity_provider_is_read_with_its_keys(tmp_path: Path) -> None:
    """Claim paths, roles and keys reach the check of sign-ins as they stand in the file."""
    login = IdentityProvider.make("https://login.police.example", "police")
    (tmp_path / "identity-provider.jwks.json").write_bytes(login.jwks())
    found = load(written(tmp_path, GOOD + login.settings()))
    assert found.staff is not None

    provider = found.staff.identity_provider()
    token = login.token("pc-7", "duty_officer", now_s=1_795_312_800)

    assert "duty_officer" == staff.check(token, provider, bytes(32), 1_795_312_800).role
    assert ("organisation", "code") == provider.organisation_claim


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    """The cure is in the message."""
    login = IdentityProvider.make("https://login.police.example", "police")
    found = load(written(tmp_path, GOOD + login.settings("gone.json")))
    assert found.staff is not None

    with pytest.raises(BadSettings, match=r"cannot read .*gone\.json"):
        found.staff.identity_provider()


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("brokr = 1", "brokr"),
        ("max_answer_age_s = 59", "max_answer_age_s"),
        ("max_answer_age_s = 2678401", "max_answer_age_s"),
        ('log_level = "chatty"', "log_level"),
        ('metrics = "0.0.0.0:9100"', "metrics"),
        ('metrics = "127.0.0.1:99999"', "metrics"),
        ("[staff]\nissuer = 'x'", "staff.audience"),
        (
            "[staff]\nissuer='x'\naudience='a'\nalgorithm='HS256'\njwks_file='k'\nrole_claim=['r']",
            "staff.algorithm",
        ),
        (
            "[staff]\nissuer='x'\naudience='a'\nalgorithm='ES256'\njwks_file='k'\nrole_claim=['r']\nroles={a='system'}",
            "staff.roles",
        ),
        (
            "[staff]\nissuer='x'\naudience='a'\nalgorithm='ES256'\njwks_file='k'\nrole_claim=['r']\nstep_up_max_age_s=901",
            "staff.step_up_max_age_s",
        ),
    ],
)
def test_what_is_unknown_or_out_of_bounds_is_refused_by_name(tmp_path: Path, line: str, named: str) -> None:
    """An operator learns which line to mend."""
    with pytest.raises(BadSettings, match=named):
        load(written(tmp_path, GOOD + line))


@pytest.mark.parametrize(
    "text",
    ['agency = "Police"', 'broker = "no-port"', 'broker = "one:1,two"', 'broker = "one:1, two:2"', "federation = 7"],
)
def test_no_value_is_shown_in_an_error(tmp_path: Path, text: str) -> None:
    """T-PRV-1: what stands in the wrong place may be a secret."""
    name, value = text.split(" = ")
    lines = [text if line.startswith(name) else line for line in GOOD.splitlines()]

    with pytest.raises(BadSettings) as refusal:
        load(written(tmp_path, "\n".join(lines)))

    assert value.strip('"') not in str(refusal.value).replace(str(tmp_path), "")


@pytest.mark.parametrize("name", ["ACCORD_AGENCI", "ACCORD_STAFF__ISSUR", "accord_brokr"])
def test_a_misspelt_name_in_the_environment_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Otherwise it would be passed over in silence, and the operator would believe it was set."""
    monkeypatch.setenv(name, "hidden-value")

    with pytest.raises(BadSettings, match=name) as refusal:
        load(written(tmp_path, GOOD))

    assert "hidden-value" not in str(refusal.value)


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file for every machine, and what differs beside it."""
    monkeypatch.setenv("ACCORD_STEWARD", "steward.midshire.example:7444")
    monkeypatch.setenv("ACCORD_HOME", "/somewhere")

    assert "steward.midshire.example:7444" == load(written(tmp_path, GOOD)).steward


def test_settings_cannot_be_changed_afterwards(tmp_path: Path) -> None:
    """One process, one set of settings."""
    found = load(written(tmp_path, GOOD))

    with pytest.raises(ValueError, match="frozen"):
        found.agency = "housing"  # type: ignore[misc]  # the point of the test


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    """Each with its cure."""
    with pytest.raises(BadSettings, match="absent") as absent:
        load(tmp_path / "absent.toml")
    assert "accord-node init" in absent.value.cure
    with pytest.raises(BadSettings, match="not TOML"):
        load(written(tmp_path, "a = = 1"))


@pytest.mark.parametrize("kind", [NodeSettings, StewardSettings, StaffSettings])
def test_every_setting_is_described(kind: type[NodeSettings]) -> None:
    """Units and bounds of each stand in the docstring, which is the documentation."""
    documented = (kind.__doc__ or "") + "".join(
        base.__doc__ or "" for base in kind.__mro__ if "node" in base.__module__
    )

    assert [] == [name for name in kind.model_fields if f"{name}:" not in documented]
