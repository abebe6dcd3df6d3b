"""The broker's settings: what is not known, not bounded or misspelt stops the start, and no value is ever shown."""

from pathlib import Path

import pytest

from broker.settings import BadSettings, BrokerSettings, load

GOOD = 'federation = "midshire"\n'


def written(folder: Path, text: str) -> Path:
    (folder / "broker.toml").write_text(text)
    return folder / "broker.toml"


def test_a_short_file_is_enough(tmp_path: Path) -> None:
    """Defaults are the files that `accord-broker init` writes, beside the settings."""
    found = load(written(tmp_path, GOOD))

    assert (2_000, 1_500) == (found.ask_deadline_ms, found.node_deadline_ms)
    assert tmp_path / "warrant.key" == found.warrant_key
    assert all(value.parent == tmp_path for _, value in found if isinstance(value, Path))


def test_an_absolute_path_stays_as_it_is(tmp_path: Path) -> None:
    """Secrets may lie elsewhere, for example where the service manager puts them."""
    found = load(written(tmp_path, GOOD + 'ledger_key = "/run/credentials/ledger.key"'))

    assert Path("/run/credentials/ledger.key") == found.ledger_key


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("ask_deadline = 1", "ask_deadline"),
        ("ask_deadline_ms = 99", "ask_deadline_ms"),
        ("ask_deadline_ms = 30001", "ask_deadline_ms"),
        ('ask_deadline_ms = "soon"', "ask_deadline_ms"),
        ("node_deadline_ms = 2000", "node_deadline_ms"),
        ("questions_at_once = 0", "questions_at_once"),
        ("agency_at_once = 0", "agency_at_once"),
        ("agency_waiting = 65", "agency_waiting"),
        ("breaker_failures = 0", "breaker_failures"),
        ('metrics = "broker.midshire.example:9100"', "metrics"),
        ('policy_engine = "opa"', "opa_url"),
        ('opa_url = "http://127.0.0.1:8181"', "policy_engine"),
        ('policy_engine = "opa"\nopa_url = "http://10.0.0.1:8181"', "opa_url"),
        ('policy_engine = "opa"\nopa_url = "http://127.0.0.1.example:8181"', "opa_url"),
        ('policy_engine = "opa"\nopa_url = "https://localhost:8181"', "opa_url"),
        ('policy_engine = "regorus"', "policy_engine"),
        ('policy_listen = "0.0.0.0:8282"', "policy_listen"),
        ('listen = "7443"', "listen"),
        ('listen = "[::1]:70000"', "listen"),
        ('policy_key_id = "a b"', "policy_key_id"),
        ("[keys]\nwarrant = 'x'", "keys"),
    ],
)
def test_what_is_unknown_or_out_of_bounds_is_refused_by_name(tmp_path: Path, line: str, named: str) -> None:
    """An operator learns which line to mend."""
    with pytest.raises(BadSettings, match=named) as refusal:
        load(written(tmp_path, GOOD + line))

    assert "BAD_SETTINGS" == refusal.value.reason


@pytest.mark.parametrize("url", ["http://127.0.0.1:8181", "http://[::1]:8181", "unix:///run/accord/opa.sock"])
def test_the_policy_engine_may_be_a_server_on_this_machine(tmp_path: Path, url: str) -> None:
    """T-POL-5: the engine is the one that is named, and both settings say so."""
    found = load(written(tmp_path, f'{GOOD}policy_engine = "opa"\nopa_url = "{url}"\npolicy_listen = "127.0.0.1:8282"'))

    assert ("opa", url, "127.0.0.1:8282") == (found.policy_engine, found.opa_url, found.policy_listen)


def test_no_value_is_shown_in_an_error(tmp_path: Path) -> None:
    """T-PRV-1: someone may have put the secret itself where its path belongs."""
    with pytest.raises(BadSettings) as refusal:
        load(written(tmp_path, 'federation = "Zq-Secret"\nwarrant = "Zq-Secret"'))

    assert "Zq" not in str(refusal.value)


@pytest.mark.parametrize("name", ["ACCORD_ASK_DEADLINE", "ACCORD_LISTEN__PORT", "accord_lissten"])
def test_a_misspelt_name_in_the_environment_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Otherwise it would be passed over in silence, and the operator would believe it was set."""
    monkeypatch.setenv(name, "hidden-value")

    with pytest.raises(BadSettings, match=name) as refusal:
        load(written(tmp_path, GOOD))

    assert "hidden-value" not in str(refusal.value)


def test_the_environment_wins_over_the_file_and_obeys_the_same_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file for every machine, and what differs beside it."""
    monkeypatch.setenv("ACCORD_ASK_DEADLINE_MS", "5000")
    assert 5_000 == load(written(tmp_path, GOOD + "ask_deadline_ms = 3000")).ask_deadline_ms

    monkeypatch.setenv("ACCORD_ASK_DEADLINE_MS", "50000")
    with pytest.raises(BadSettings, match="ask_deadline_ms"):
        load(written(tmp_path, GOOD))


def test_settings_cannot_be_changed_afterwards(tmp_path: Path) -> None:
    """One process, one set of settings."""
    found = load(written(tmp_path, GOOD))

    with pytest.raises(ValueError, match="frozen"):
        found.listen = "0.0.0.0:1"  # type: ignore[misc]  # the point of the test


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    """Each with its cure."""
    with pytest.raises(BadSettings, match="absent") as absent:
        load(tmp_path / "absent.toml")
    assert "accord-broker init" in absent.value.cure
    with pytest.raises(BadSettings, match="not TOML"):
        load(written(tmp_path, "a = = 1"))


def test_every_setting_is_described() -> None:
    """Units and bounds of each stand in the docstring, which is the documentation."""
    assert [] == [name for name in BrokerSettings.model_fields if f"{name}:" not in (BrokerSettings.__doc__ or "")]
