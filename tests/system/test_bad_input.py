"""What a person is told who types, configures or is handed something wrong: what it is, the cure, and no more.

Each case goes through the program's own `main`. None may repeat the value that was wrong, and nothing is sent anywhere:
there is no broker here to send it to.
"""

import json
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from accord.directory import Member
from tests.system.conftest import Place, Program, Said, start
from tests.world import trust

CHILD: Final = {
    "first_name": "Jamie",
    "last_name": "Thorley",
    "date_of_birth": "2013-03-09",
    "address": "Flat 3, 14 Larkspur Rise",
    "postcode": "MD4 7QT",
    "role": "child",
}
QUESTION: Final[dict[str, Any]] = {
    "question": "agency.contact",
    "purpose": "s47_enquiry",
    "case": "CF-1",
    "need_tier": 4,
    "significant_harm": True,
    "necessity": "assess_risk",
    "people": [CHILD],
}


def ask(run: Program, place: Place, *words: str, token: Path | None = None, **more: Any) -> Said:
    """Ask the question of these tests, changed as told."""
    also = more.pop("also", None)
    value = json.dumps({**QUESTION, **more})
    return run(
        *("accord-node", "ask", "--home", place.home, "--token-file", token or place.token(), "-", *words),
        told=value,
        also=also,
    )


# -- What is typed ----------------------------------------------------------------------------------------------------


TYPED: Final[dict[str, tuple[dict[str, Any], str, str, str]]] = {
    # what -> (change, reason, words of the cure, what must not be repeated)
    "a date of birth that is none": (
        {"people": [CHILD | {"date_of_birth": "31/31/2013"}]},
        "BAD_DESCRIPTION",
        "date_of_birth cannot be used. Give the whole date with four digits for the year, for example 9/3/2013",
        "31/31/2013",
    ),
    "an NHS number that cannot be": (
        {"people": [CHILD | {"nhs_number": "999 000 1234"}]},
        "BAD_DESCRIPTION",
        "nhs_number cannot be used. Give the ten digits of the NHS number; one of them does not fit the others.",
        "999 000 1234",
    ),
    "too little about a person": (
        {"people": [{"first_name": "Jamie", "last_name": "Thorley", "role": "child"}]},
        "TOO_LITTLE_TO_GO_ON",
        "person 1 of the question What you can do: Add a full date of birth, or a postcode, or an earlier surname.",
        "Thorley",
    ),
    "a question that the catalogue lacks": (
        {"question": "police.thorley"},
        "QUESTION_UNKNOWN",
        "What you can do: List the questions with: accord-node questions.",
        "police.thorley",
    ),
    "a purpose that the catalogue lacks": (
        {"purpose": "thorley_fishing"},
        "BAD_REQUEST",
        "there is no such purpose What you can do: Say one of: cp_plan_review, early_help, emergency, mappa",
        "thorley_fishing",
    ),
    "an agency that does not exist": (
        {"agencies": ["thorley-brigade"]},
        "UNKNOWN_AGENCY",
        "What you can do: List the agencies with: accord-node agencies.",
        "thorley-brigade",
    ),
    "a public task that is neither stated nor not": (
        {"public_task": "thorley"},
        "BAD_REQUEST",
        "public_task: say true or false",
        "thorley",
    ),
    "a field that there is not": (
        {"surname": "Calloway"},
        "BAD_REQUEST",
        "surname: there is no such field; these are: agencies, case,",
        "Calloway",
    ),
    "a field of a person that there is not": (
        {"people": [CHILD | {"surname": "Calloway"}]},
        "BAD_REQUEST",
        "people[1].surname: there is no such field; these are:",
        "Calloway",
    ),
    "a role that there is not": (
        {"people": [CHILD | {"role": "calloway"}]},
        "BAD_REQUEST",
        "people[1].role: say child, parent or other_adult",
        "calloway",
    ),
    "thirteen people": ({"people": [CHILD] * 13}, "BAD_REQUEST", "people: name one to twelve people", "Thorley"),
    "nobody": ({"people": []}, "BAD_REQUEST", "people: name one to twelve people", "CF-1"),
    "no case": ({"case": " "}, "BAD_REQUEST", "case: give the reference of your case", "Thorley"),
}


@pytest.mark.parametrize("what", TYPED)
def test_what_was_typed_wrongly_is_named_with_its_cure_and_not_repeated(run: Program, place: Place, what: str) -> None:
    """T-PRV-1: exit 2, the field, the cure, the reason code; never the value, which may be about a person."""
    change, reason, cure, value = TYPED[what]

    said = ask(run, place, **change)

    assert (2, "") == (said.code, said.out)
    assert f"({reason})" in said.words
    assert cure in said.words
    assert value not in said.words


@pytest.mark.parametrize("what", TYPED)
def test_a_program_gets_the_same_as_json(run: Program, place: Place, what: str) -> None:
    """A case system shows its user what ours would have shown."""
    change, reason, _, value = TYPED[what]

    said = ask(run, place, "--json", **change)
    error = json.loads(said.out)["error"]

    assert (2, "", reason) == (said.code, said.err, error["reason"])
    assert {"reason", "title", "detail", "field", "cure"} == set(error)
    assert error["title"]
    assert error["cure"]
    assert value not in said.out


@pytest.mark.parametrize("text", ['{"people": Thorley', "[]", "", '{"case": 1, "case": 2}', '{"case": 1e3, "x": NaN}'])
def test_what_is_no_json_object_is_refused(run: Program, place: Place, text: str) -> None:
    """T-SEC-3: half a file, or a field twice, is never guessed at."""
    said = run("accord-node", "ask", "--home", place.home, "--token-file", place.token(), "-", told=text)

    assert (2, "") == (said.code, said.out)
    assert "(BAD_REQUEST)" in said.words
    assert "Thorley" not in said.words


@pytest.mark.parametrize("words", [("--sirname", "Thorley"), ("--need-tier", "4", "a.json", "b.json"), ("--home",)])
def test_a_command_that_is_not_written_as_it_should_be_says_how_to_find_out(place: Place, words: tuple[str]) -> None:
    """Exit 2 from the installed program, a line and no traceback."""
    told = ("accord-node", "ask", "--home", place.home, "--token-file", place.token(), *words)

    said = start(*told)
    as_json = start(*told, "--json")

    assert (2, "") == (said.code, said.out)
    assert said.words.endswith("See how it is written with: --help.")
    assert 2 == len(said.err.splitlines())
    if words != ("--home",):  # there the next word is taken for the folder
        assert (2, "USAGE") == (as_json.code, json.loads(as_json.out)["error"]["reason"])


# -- Who asks ---------------------------------------------------------------------------------------------------------


def test_an_expired_sign_in_is_told_to_sign_in_again(run: Program, place: Place) -> None:
    """T-SEC-2: yesterday's token opens nothing."""
    said = ask(run, place, token=place.token(now_s=int(time.time()) - 7_200))

    assert (1, "") == (said.code, said.out)
    assert "the token has expired" in said.words
    assert "What you can do: Sign in again at your agency and repeat the request. (STAFF_TOKEN_REFUSED)" in said.words


@pytest.mark.parametrize("how", ["of another agency", "of another organisation", "that is none", "that is not there"])
def test_a_sign_in_that_is_not_this_agencys_is_refused(run: Program, place: Place, how: str) -> None:
    """T-SEC-2: only this agency's provider signs this agency's staff in, and no token is shown again."""
    token = place.token("police" if how == "of another agency" else "social-care")
    if how == "of another organisation":
        token = place.token(change={"organisation": {"code": "police"}})
    if how == "that is none":
        token.write_text("a.secret.token")
    if how == "that is not there":
        token = token.with_name("absent")

    said = ask(run, place, token=token)

    assert (1, "") == (said.code, said.out)
    assert "ign in" in said.words
    assert "(STAFF_TOKEN_REFUSED)" in said.words
    assert token.name == "absent" or token.read_text() not in said.words


def other_federation() -> tuple[bytes, bytes]:
    """Certificate and key of social care in a federation that only has the same name."""
    other = trust.make_federation(agencies=["social-care"]).agencies["social-care"].channel
    return other.certificate_pem, other.key_pem


def another_agency(place: Place) -> tuple[bytes, bytes]:
    """Those of the police."""
    channel = place.federation.agencies["police"].channel
    return channel.certificate_pem, channel.key_pem


def expired(place: Place) -> tuple[bytes, bytes]:
    """Its own, of the day before yesterday."""
    channel = place.federation.agencies["social-care"].channel
    was = place.federation.certificate(
        Member("midshire", "agency", "social-care"),
        channel.private,
        not_before=datetime.now(UTC) - timedelta(days=2),
        life=timedelta(hours=24),
    )
    return trust.Channel(channel.private, was).certificate_pem, channel.key_pem


WRONG: Final[dict[str, tuple[Callable[[Place], tuple[bytes, bytes]], str]]] = {
    "another authority's": (lambda place: other_federation(), "not come from this federation's certificate authority"),
    "another agency's": (another_agency, "it speaks for spiffe://midshire/agency/police, not for"),
    "expired": (expired, "it ran out at"),
    "for another key": (
        lambda place: (place.federation.agencies["social-care"].channel.certificate_pem, other_federation()[1]),
        "it is for another private key than the one here",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_certificate_of_ones_own_is_told_apart(run: Program, place: Place, tmp_path: Path, what: str) -> None:
    """T-SEC-4: the others can only hang up, so the command itself says what is wrong with what it would show."""
    make, found = WRONG[what]
    for name, content in zip(("tls.crt", "tls.key"), make(place), strict=True):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    also = {"ACCORD_TLS_CERTIFICATE": str(tmp_path / "tls.crt"), "ACCORD_TLS_KEY": str(tmp_path / "tls.key")}

    said = ask(run, place, also=also)

    assert (1, "") == (said.code, said.out)
    assert found in said.words
    assert "Send request.json to the federation's operator again" in said.words
    assert "(CERTIFICATE_UNUSABLE)" in said.words


# -- Where it runs ----------------------------------------------------------------------------------------------------


def test_no_broker_is_told_apart_from_no_answer(run: Program, place: Place) -> None:
    """Exit 4: a program may try again; a person is told to telephone when it is urgent."""
    said = ask(run, place)

    assert (4, "") == (said.code, said.out)
    assert "Try again; if it is urgent, telephone. To see which one, and why: accord-node doctor." in said.words
    assert "(NODE_UNREACHABLE)" in said.words


def test_a_node_without_rules_asks_nothing(run: Program, place: Place, tmp_path: Path) -> None:
    """Exit 4 until the node has fetched the policy bundle once."""
    said = ask(run, place, also={"ACCORD_DATABASE": str(tmp_path / "fresh.db")})

    assert (4, "") == (said.code, said.out)
    assert "no policy bundle has been received yet" in said.words
    assert (
        "Start the node, which fetches the rules from the broker: accord-node serve. (POLICY_UNAVAILABLE)" in said.words
    )


@pytest.mark.parametrize("program", ["accord-node", "accord-broker"])
def test_a_folder_without_settings_is_named(run: Program, tmp_path: Path, program: str) -> None:
    """The cure says how the folder comes to be."""
    command = {"accord-node": ("agencies",), "accord-broker": ("ledger", "verify")}[program]

    said = run(program, *command, "--home", tmp_path)

    assert (1, "") == (said.code, said.out)
    assert f"Name the right folder with --home, or make one: {program} init. (BAD_SETTINGS)" in said.words


def test_a_misspelt_variable_is_not_passed_over(run: Program, place: Place) -> None:
    """A setting that somebody believes to be in force must be."""
    said = ask(run, place, also={"ACCORD_BROKR": "broker.thorley.example:7443"})

    assert (1, "") == (said.code, said.out)
    assert "ACCORD_BROKR. Did you mean ACCORD_BROKER?" in said.words
    assert "Correct the name, or take it out of the environment. (BAD_SETTINGS)" in said.words
    assert "thorley.example" not in said.words


def test_a_setting_of_the_wrong_form_is_named_and_not_shown(run: Program, place: Place) -> None:
    """What stands there may be a password that somebody put in the wrong line."""
    said = ask(run, place, also={"ACCORD_BROKER": "hunter2 is the password"})

    assert (1, "") == (said.code, said.out)
    assert "broker: it is not of the right form" in said.words
    assert "hunter2" not in said.words


def test_an_older_directory_is_refused(run: Program, place: Place, tmp_path: Path) -> None:
    """T-SEC-4: it could bring a withdrawn agency's key back."""
    newer = place.federation.reissue(replace(place.federation.directory, version=2))
    (tmp_path / "newer.json").write_bytes(newer)
    also = {"ACCORD_DATABASE": str(tmp_path / "node.db"), "ACCORD_DIRECTORY": str(tmp_path / "newer.json")}
    agencies = ("accord-node", "agencies", "--home", place.home)
    assert 0 == run(*agencies, also=also).code

    said = run(*agencies, also=also | {"ACCORD_DIRECTORY": str(place.home / "directory.json")})

    assert (1, "") == (said.code, said.out)
    assert "version 1 is older than version 2, already in use" in said.words
    assert (
        "Use the newest directory.json; an older one could bring a withdrawn key back. (DIRECTORY_OLDER)" in said.words
    )


# -- The agency's records ---------------------------------------------------------------------------------------------


MAPPING: Final = {
    "version": "1",
    "agency": "social-care",
    "source": {"kind": "sqlite", "database_file": "records.sqlite"},
    "people": "SELECT id, forename AS first_name, surname AS last_name, born AS date_of_birth FROM client",
    "answers": {
        "agency.contact": {
            "sql": "SELECT max(on_day) AS latest, count(*) AS count FROM visit"
            " WHERE client IN (:person_ids) AND on_day >= :since"
        }
    },
    "contacts": {"default": {"team": "Family support", "role": "Duty officer", "phone": "01632 960501"}},
}


@pytest.fixture
def records(place: Place, tmp_path: Path) -> Path:
    """Social care's home with small records of its own."""
    home = tmp_path / "home"
    shutil.copytree(place.home, home)
    with closing(sqlite3.connect(home / "records.sqlite")) as connection, connection:
        connection.execute("CREATE TABLE client (id INTEGER, forename TEXT, surname TEXT, born TEXT)")
        connection.execute("CREATE TABLE visit (client INTEGER, on_day TEXT, summary TEXT)")
        connection.execute("INSERT INTO client VALUES (7, 'Jamie', 'Thorley', '2013-03-09')")
        connection.execute("INSERT INTO visit VALUES (7, '2026-01-05', 'Seen with Ms Calloway')")
    (home / "mapping.yaml").write_text(yaml.safe_dump(MAPPING))
    return home


def check(run: Program, home: Path) -> Said:
    """Try the mapping."""
    return run("accord-node", "mapping", "check", "--home", home)


def test_a_mapping_that_fits_is_told_in_counts(run: Program, records: Path) -> None:
    """Control of the tests below; and no row is shown, T-PRV-1."""
    said = check(run, records)

    assert (0, "") == (said.code, said.err)
    assert "Thorley" not in said.words


def test_a_missing_column_is_named_beside_those_that_are_there(run: Program, records: Path) -> None:
    """Whoever wrote the mapping sees at once what the column is called."""
    text = (records / "mapping.yaml").read_text().replace("born AS date_of_birth", "birthday AS date_of_birth")
    (records / "mapping.yaml").write_text(text)

    said = check(run, records)

    assert (1, "") == (said.code, said.out)
    assert "birthday" in said.words
    assert all(column in said.words for column in ("forename", "surname", "born"))
    assert "(MAPPING_INVALID)" in said.words
    assert "Thorley" not in said.words


@pytest.mark.parametrize("how", ["no database", "cut short"])
def test_records_that_cannot_be_read_are_told_apart_from_nobody(run: Program, records: Path, how: str) -> None:
    """T-LNK-5: exit 4; an unreadable database is never an empty one."""
    file = records / "records.sqlite"
    content = file.read_bytes()
    file.write_bytes(b"Thorley, Jamie\n" * 300 if how == "no database" else content[:4_000])

    said = check(run, records)

    assert (4, "") == (said.code, said.out)
    assert "Check that the database is running and the path or account is right" in said.words
    assert "(RECORDS_UNAVAILABLE)" in said.words
    assert "Thorley" not in said.words


def test_a_path_where_no_database_is_sends_one_back_to_the_mapping(run: Program, records: Path) -> None:
    """T-LNK-5: the path is in the mapping, so the mapping is what has to be mended."""
    (records / "records.sqlite").unlink()

    said = check(run, records)

    assert (1, "") == (said.code, said.out)
    assert "Check the path in 'source' and who may read it. (MAPPING_INVALID)" in said.words
    assert not (records / "records.sqlite").exists()
