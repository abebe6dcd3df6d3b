"""`doctor` sees what is wrong before a practitioner does, and says how to mend it."""

import json
import shutil
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography import x509

from accord.directory import Member
from agency_node import doctor as node_doctor
from agency_node.adapters.sqlite import Guarded, refused
from agency_node.enrol import init_agency, init_steward
from agency_node.settings import load
from broker import doctor as broker_doctor
from broker import enrol as office
from broker.settings import BrokerSettings
from tests.system.conftest import NOBODY, Place, start
from tests.world import stack as worlds
from tests.world import trust

MINUTE_NS: Final = 60 * 1_000_000_000
Rows = Mapping[str, tuple[str, str, str]]


def rows(found: Any) -> Rows:
    """Name -> state, what was found, cure."""
    return {row.name: (str(row.state), row.found, row.cure) for row in found}


def states(found: Rows) -> dict[str, str]:
    """Name -> state."""
    return {name: row[0] for name, row in found.items()}


# -- All is well ------------------------------------------------------------------------------------------------------


def test_a_node_of_a_running_federation_is_well(living: worlds.World) -> None:
    """Every row is fine, and so is the exit code."""
    said = start("accord-node", "doctor", "--home", living.home / "police", "--json")
    found = json.loads(said.out)

    assert (0, True) == (said.code, found["ok"]), said.out
    assert {"ok"} == {row["state"] for row in found["checks"]}
    assert [
        *("settings", "own database", "directory", "keys", "certificate", "broker", "steward", "clock", "rules"),
        *("own ledger", "broker's ledger", "records", "write refused", "slow query", "index", "weights"),
        "sign-in",
    ] == [row["name"] for row in found["checks"]]


def test_a_running_broker_is_well(living: worlds.World) -> None:
    """Its ledger is verified whole, beside the broker that writes it."""
    address = living.settings["police"].broker
    told: BrokerSettings = living.broker.model_copy(update={"listen": address})

    found = rows(broker_doctor.examine(told, time.time_ns()))

    assert {"ok"} == set(states(found).values()), found
    assert ["directory", "keys", "certificate", "clock", "policy", "database", "ledger", "serving"] == list(found)


def test_a_steward_is_well(living: worlds.World, tmp_path: Path) -> None:
    """It has fewer rows: it holds keys and counts, and no records."""
    home = tmp_path / "steward"
    shutil.copytree(living.home / "steward", home)
    listen = living.settings["police"].steward
    (home / "steward.toml").write_text(f'federation = "midshire"\nlisten = "{listen}"\n')

    found = rows(node_doctor.look_at(home, time.time_ns()))

    assert {"ok"} == set(states(found).values()), found
    assert ["settings", "own database", "directory", "keys", "certificate", "serving"] == list(found)


# -- A node is not well -----------------------------------------------------------------------------------------------


def changed(found: Rows, before: Rows) -> dict[str, tuple[str, str, str]]:
    """The rows that were fine and are not."""
    return {name: row for name, row in found.items() if row[0] != "ok" and before[name][0] == "ok"}


def another_key(home: Path, place: Place) -> None:
    shutil.copy(home.parent / "police" / "answer.key", home)


def another_certificate(home: Path, place: Place) -> None:
    for name in ("tls.crt", "tls.key"):
        shutil.copy(home.parent / "police" / name, home)


def expired(home: Path, place: Place) -> None:
    """The certificate ran out yesterday."""
    _certify(home, place, datetime.now(UTC) - timedelta(days=2), timedelta(days=1))


def expiring(home: Path, place: Place) -> None:
    """The certificate has half an hour left."""
    _certify(home, place, datetime.now(UTC) - timedelta(hours=23), timedelta(hours=23, minutes=30))


def _certify(home: Path, place: Place, start: datetime, life: timedelta) -> None:
    private = place.federation.agencies["social-care"].channel.private
    member = Member("midshire", "agency", "social-care")
    certificate = place.federation.certificate(member, private, not_before=start, life=life)
    (home / "tls.crt").write_bytes(trust.Channel(private, certificate).certificate_pem)


def garbage(home: Path, place: Place) -> None:
    (home / "node.db").write_bytes(b"no database" * 1_000)


def forgotten_rules(home: Path, place: Place) -> None:
    (home / "node.db").unlink()


def changed_record(home: Path, place: Place) -> None:
    with closing(sqlite3.connect(home / "node.db")) as connection, connection:
        _drop_triggers(connection)
        connection.execute("UPDATE node_entry SET entry = zeroblob(33) WHERE idx = 0")


def _drop_triggers(connection: sqlite3.Connection) -> None:
    """As somebody does who owns the file."""
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")


def run_out(home: Path, place: Place) -> None:
    """The directory ran out a minute ago."""
    now_ns = _ms(time.time_ns())
    issued = replace(
        place.federation.directory, version=2, issued_at_ns=now_ns - 2 * MINUTE_NS, expires_at_ns=now_ns - MINUTE_NS
    )
    (home / "directory.json").write_bytes(place.federation.reissue(issued))


def _ms(at_ns: int) -> int:
    return at_ns - at_ns % 1_000_000


def from_the_future(home: Path, place: Place) -> None:
    """The directory was signed in two hours, by this machine's clock."""
    issued = replace(place.federation.directory, version=2, issued_at_ns=_ms(time.time_ns() + 120 * MINUTE_NS))
    (home / "directory.json").write_bytes(place.federation.reissue(issued))


def misspelt(home: Path, place: Place) -> None:
    (home / "node.toml").write_text('agenci = "social-care"\n' + (home / "node.toml").read_text())


def spoilt_weights(home: Path, place: Place) -> None:
    (home / "link-prior.json").write_text("{}")


def open_to_all(home: Path, place: Place) -> None:
    (home / "sealing.key").chmod(0o644)


ILL: Final[dict[str, tuple[Callable[[Path, Place], None], str, str, str]]] = {
    # what -> (make it so, row, words of what was found, words of the cure)
    "another agency's key": (another_key, "keys", "another public key for: answer", "Put back the keys"),
    "a key that everybody may read": (open_to_all, "keys", "everybody on this machine may use", "chmod 600"),
    "another agency's certificate": (another_certificate, "certificate", "it speaks for", "Send request.json"),
    "an expired certificate": (expired, "certificate", "it ran out at", "Send request.json"),
    "a certificate that is about to expire": (
        expiring,
        "certificate",
        "it runs out in 30 minutes",
        "Send request.json",
    ),
    "a broken database": (garbage, "own database", "cannot use", "Check the path, the disk and who owns the file."),
    "no rules": (forgotten_rules, "rules", "no policy bundle has been received", "accord-node serve"),
    "a changed record": (
        changed_record,
        "own ledger",
        "entry 0 does not match its record",
        "Stop and call the operator",
    ),
    "a directory that ran out": (run_out, "directory", "has run out", "Fetch it again"),
    "weights that do not add up": (spoilt_weights, "weights", "does not hold weights", "accord-node linkage refit"),
    "a clock that is behind": (from_the_future, "clock", "at least 120 minutes behind", "time server"),
}


@pytest.fixture
def home(place: Place, tmp_path: Path) -> Path:
    """Social care's home beside the other homes, to be spoilt."""
    for name in ("social-care", "police"):
        shutil.copytree(place.home.parent / name, tmp_path / name)
    return tmp_path / "social-care"


@pytest.mark.parametrize("what", ILL)
def test_what_is_wrong_is_the_row_that_turns_red(place: Place, home: Path, what: str) -> None:
    """Each with its cure; rows that need it wait for it instead of guessing."""
    spoil, name, found, cure = ILL[what]
    before = rows(node_doctor.look_at(home, time.time_ns()))
    spoil(home, place)

    after = rows(node_doctor.look_at(home, time.time_ns()))

    assert "ok" == before[name][0] or (name, before[name][1]) == ("clock", "mend the broker first")
    assert "bad" == after[name][0], after
    assert found in after[name][1]
    assert cure in f"{after[name][1]} {after[name][2]}"
    # A whole other database holds no rules either; everything else that is not fine only waits.
    others = {row: state for row, state in states(changed(after, before)).items() if row != name}
    assert {"waits"} >= set(others.values()), after


def test_where_nobody_answers_the_address_is_said(place: Place) -> None:
    """Exit 1; a person reads the cure below the row."""
    said = start("accord-node", "doctor", "--home", place.home)

    assert (1, "") == (said.code, said.err)
    assert f"bad broker nobody answers at {NOBODY}" in said.words
    assert "What you can do: Check that the broker runs, its address in settings, and the network." in said.words
    assert "waits clock mend the broker first" in said.words
    assert "bad index there is none" in said.words


def test_settings_that_do_not_load_are_a_row_too(place: Place, home: Path) -> None:
    """Whoever runs doctor wants to know what is wrong, also with the first line of settings."""
    misspelt(home, place)

    found = rows(node_doctor.look_at(home, time.time_ns()))

    assert {"settings": "bad"} == states(found)
    assert "agenci: there is no such setting" in found["settings"][1]


def test_another_authority_at_the_brokers_address_is_seen(living: worlds.World, tmp_path: Path) -> None:
    """T-SEC-4: what listens there is not the broker of this federation."""
    (tmp_path / "ca.pem").write_bytes(trust.make_federation(agencies=["police"]).ca_pem)
    told = load(living.home / "police" / "node.toml").model_copy(update={"ca": tmp_path / "ca.pem"})

    found = rows(node_doctor.examine(told, time.time_ns()))

    assert ("bad", "bad", "bad") == tuple(found[name][0] for name in ("certificate", "broker", "steward"))
    assert "shows a certificate that does not hold" in found["broker"][1]


@pytest.mark.parametrize(
    ("cause", "change", "told"),
    [
        ("STALE", "UPDATE index_meta SET built_at_ns = 1", "too old to answer from"),
        ("OTHER_EPOCH", "UPDATE index_meta SET epoch = '2019-1'", "linkage keys of another time"),
        ("INCOMPLETE", "UPDATE index_meta SET state = 'building'", "not complete"),
    ],
)
def test_an_index_that_cannot_answer_is_red(
    living: worlds.World, tmp_path: Path, cause: str, change: str, told: str
) -> None:
    """T-LNK-5: the operator learns why everybody is *cannot say*; askers do not."""
    with (
        closing(sqlite3.connect(living.settings["police"].database)) as here,
        closing(sqlite3.connect(tmp_path / "node.db")) as copy,
    ):
        here.backup(copy)
        with copy:
            copy.execute(change)
    settings = living.settings["police"].model_copy(update={"database": tmp_path / "node.db"})

    found = rows(node_doctor.examine(settings, time.time_ns()))

    assert ("bad", True) == (found["index"][0], told in found["index"][1]), cause
    assert "accord-node index" in found["index"][2]


def test_records_that_could_be_written_would_be_seen() -> None:
    """Control: an ordinary connection does not refuse, a guarded one does; neither keeps what was tried."""
    with closing(sqlite3.connect(":memory:")) as plain:
        assert not refused(plain)
        assert [] == plain.execute("SELECT name FROM temp.sqlite_master").fetchall()
    with closing(sqlite3.connect(":memory:", factory=Guarded)) as guarded:
        guarded.deadline = time.monotonic() + 60
        guarded.guard(time.monotonic)

        assert refused(guarded)


def test_doctor_changes_nothing(place: Place, home: Path) -> None:
    """It may be run at any time, by whoever is worried."""
    with closing(sqlite3.connect(home / "node.db")) as connection:
        before = list(connection.iterdump())
    node_doctor.look_at(home, time.time_ns())
    node_doctor.look_at(home, time.time_ns())

    with closing(sqlite3.connect(home / "node.db")) as connection:
        after = list(connection.iterdump())
    kept = [line for line in after if line not in before]

    assert {"directory"} >= {line.split('"')[1] for line in kept}  # the version in force, as at any start


# -- A broker is not well ---------------------------------------------------------------------------------------------


@pytest.fixture
def founded(tmp_path: Path) -> Path:
    """A broker's home, new from `accord-broker init`, with a directory and without rules."""
    home = tmp_path / "broker"
    office.init(home, tmp_path / "authority", federation="midshire", hosts=["localhost"], now_ns=time.time_ns())
    return home


def test_a_new_broker_says_what_is_still_to_be_done(founded: Path) -> None:
    """From nothing to a green doctor: each red row names the next command."""
    said = start("accord-broker", "doctor", "--home", founded, "--json")
    found = {row["name"]: row for row in json.loads(said.out)["checks"]}

    assert 1 == said.code
    assert "bad" == found["directory"]["state"]
    assert {"waits"} == {found[name]["state"] for name in ("keys", "certificate", "clock", "serving")}
    assert "accord-broker policy build" in found["policy"]["cure"]
    assert "accord-broker serve" in found["database"]["cure"]


def test_a_broker_whose_ledger_was_changed_is_red(living: worlds.World, tmp_path: Path) -> None:
    """T-AUD-5: the first wrong entry is named."""
    with closing(sqlite3.connect(living.broker.database)) as here, closing(sqlite3.connect(tmp_path / "b.db")) as copy:
        here.backup(copy)
        _drop_triggers(copy)
        with copy:
            copy.execute(
                'UPDATE ledger_entry SET body = CAST(replace(body, \'"v":1\', \'"v":2\') AS BLOB) WHERE "index" = 0'
            )
    told = living.broker.model_copy(update={"database": tmp_path / "b.db", "listen": NOBODY})

    found = rows(broker_doctor.examine(told, time.time_ns()))

    assert {"ledger": "bad", "serving": "bad"} == {
        name: state for name, state in states(found).items() if state != "ok"
    }
    assert "0" in found["ledger"][1]
    assert "accord-broker serve" in found["serving"][2]


def test_a_broker_with_other_keys_or_an_unsigned_bundle_is_red(living: worlds.World, tmp_path: Path) -> None:
    """Rules that nobody signed are not in force."""
    home = tmp_path / "broker"
    shutil.copytree(living.home / "broker", home)
    shutil.copy(home / "warrant.key", home / "ledger.key")
    (home / "policy.tar.gz").write_bytes((home / "policy.tar.gz").read_bytes()[:-100])
    (home / "broker.toml").write_text(f'federation = "midshire"\nlisten = "{NOBODY}"\n')

    found = rows(broker_doctor.look_at(home, time.time_ns()))

    assert ("bad", "directory version 1 has another public key for: ledger") == found["keys"][:2]
    assert "bad" == found["policy"][0]


def test_the_commands_that_cures_name_do_what_they_say(founded: Path) -> None:
    """An operator renews the broker's certificate with the command that doctor names; the key stays."""
    before = x509.load_pem_x509_certificate((founded / "tls.crt").read_bytes())

    said = start("accord-broker", "renew", "--home", founded, "--authority", founded.parent / "authority")
    after = x509.load_pem_x509_certificate((founded / "tls.crt").read_bytes())

    assert (0, "") == (said.code, said.err)
    assert before.public_key() == after.public_key()
    assert before.serial_number != after.serial_number
    assert broker_doctor.RENEW.endswith("accord-broker renew.")


def test_an_agency_is_put_out_with_one_command(founded: Path, tmp_path: Path) -> None:
    """T-SEC-4: the next directory has no row for it; whom the directory never had cannot be put out."""
    now_ns = time.time_ns()
    for request in (
        init_steward(tmp_path / "steward", federation="midshire", hosts=["localhost"]).request,
        init_agency(
            tmp_path / "police", federation="midshire", agency="police", title="Midshire Police",
            kind="police_force", characters=["s11_body"], broker=NOBODY, steward=NOBODY,
        ).request,
    ):  # fmt: skip
        office.enrol(request, tmp_path / "authority", tmp_path / "out", now_ns=now_ns)
    words = ("--authority", tmp_path / "authority", "--out", tmp_path / "out")

    said = start("accord-broker", "withdraw-agency", "police", *words)
    again = start("accord-broker", "withdraw-agency", "police", *words)
    listed = json.loads((tmp_path / "out" / "directory.json").read_text())["directory"]["agencies"]

    assert (0, []) == (said.code, listed)
    assert (2, True) == (again.code, "(UNKNOWN_AGENCY)" in again.words)
