"""The demonstration's county is nobody's real family, always the same, and damaged enough to be worth linking."""

import csv
import re
import sqlite3
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from nhs_number.validate import is_valid

from accord.identity import MatchKey, describe, match_keys
from agency_node.mapping import Records, open_records
from agency_node.rehearsal import check
from deploy.demo.county import (
    AGENCIES,
    LARKSPUR,
    SMALLEST,
    County,
    Person,
    described,
    generate,
    main,
    pairs,
    told,
    write,
)

AS_OF = date(2026, 11, 22)
LONG_AGO = date(1, 1, 1)
_TRIO = (("Jamie", "Thorley"), ("Anne", "Calloway"), ("Stacey", "Calloway"))


@pytest.fixture(scope="module")
def county() -> County:
    return generate(as_of=AS_OF)


@pytest.fixture(scope="module")
def opened(county: County, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Records]:
    root = tmp_path_factory.mktemp("county")

    return {agency: open_records(write(agency, root / agency, county)) for agency in AGENCIES}


def _lines(folder: Path) -> list[str]:
    """Every row an agency has written down, whatever the kind of file."""
    lines: list[str] = []
    for file in sorted(folder.iterdir()):
        if file.suffix == ".sqlite":
            with sqlite3.connect(file) as database:
                lines += database.iterdump()
        elif file.suffix == ".csv":
            lines += [str(row) for row in csv.reader(file.read_text(encoding="utf-8").splitlines())]
    return lines


@pytest.mark.parametrize("agency", AGENCIES)
def test_the_same_seed_writes_the_same_records(agency: str, county: County, tmp_path: Path) -> None:
    """A failure in a story must be seen again by whoever repeats it."""
    write(agency, tmp_path / "first", county)
    write(agency, tmp_path / "second", generate(as_of=AS_OF))
    write(agency, tmp_path / "other", generate(seed=county.seed + 1, as_of=AS_OF))

    assert _lines(tmp_path / "first") == _lines(tmp_path / "second")
    assert _lines(tmp_path / "first") != _lines(tmp_path / "other")


def test_nobody_in_the_county_can_be_a_real_person(county: County) -> None:
    """T-PRV-1: demonstration records may be shown to anybody, so their numbers and postcodes belong to nobody."""
    everybody = (*county.people, *county.strangers)

    assert 303 == len(everybody)
    assert [] == [person.id for person in everybody if not re.fullmatch(r"999\d{7}", person.nhs_number)]
    assert [] == [person.id for person in everybody if not is_valid(person.nhs_number)]
    assert len(everybody) == len({person.nhs_number for person in everybody})
    assert [] == [p.id for p in everybody if not re.fullmatch(r"MD\d \d[A-Z]{2}", p.address.postcode)]


def test_each_agency_knows_a_part_of_the_county(county: County) -> None:
    """An agency that knew everybody, or nobody, would make every question trivial."""
    sizes = {agency: len(county.held[agency]) for agency in AGENCIES}
    ids = {agency: {held.truth.id for held in county.held[agency]} for agency in AGENCIES}

    assert [] == [agency for agency, size in sizes.items() if not 100 <= size <= 150]
    assert sizes == {agency: len(known) for agency, known in ids.items()}
    assert ids["police"] & ids["housing"] not in (set(), ids["police"])


def test_the_household_is_as_its_story_says(county: County) -> None:
    """Jamie is 13, Anne 38, Stacey 17, and each agency knows the part of them that the story needs."""
    born = {name: county.person(name, last).date_of_birth for name, last in _TRIO}
    known = {
        name: {agency for agency in AGENCIES if county.record(agency, county.person(name, last))}
        for name, last in _TRIO
    }

    assert {"Jamie": 13, "Anne": 38, "Stacey": 17} == {
        name: AS_OF.year - day.year - ((AS_OF.month, AS_OF.day) < (day.month, day.day)) for name, day in born.items()
    }
    assert {name: set(AGENCIES) for name, _ in _TRIO} == known
    assert {LARKSPUR} == {county.person(name, last).address for name, last in _TRIO}


def test_the_okonjo_reyes_family_is_in_no_record(county: County, tmp_path: Path) -> None:
    """T-LNK-4: the family nobody knows must be unknown everywhere, or no test of not knowing means anything."""
    for agency in AGENCIES:
        write(agency, tmp_path / agency, county)
    names = {word for person in county.strangers for word in (person.last_name, person.nhs_number)}
    everything = "\n".join(line for agency in AGENCIES for line in _lines(tmp_path / agency)).upper()

    assert 3 == len(county.strangers)
    assert "THORLEY" in everything
    assert set() == {name for name in names if name.upper() in everything}


def test_the_county_has_what_makes_linkage_hard(county: County) -> None:
    """T-LNK-3: twins, shared surnames, former names and moves, or linkage has nothing to get wrong."""
    homes = Counter(person.household for person in county.people)
    twins = Counter((p.household, p.last_name, p.date_of_birth) for p in county.people)

    assert max(homes.values()) >= 5
    assert [key for key, count in twins.items() if count > 1]
    assert [person for person in county.people if person.former_last_name]
    assert [person for person in county.people if person.former_address]


def test_each_agency_has_damaged_its_records_in_its_own_way(county: County) -> None:
    """T-LNK-3: the same person reads differently in each agency."""
    kyle = county.record("housing", county.person("Kyle", "Thorley"))
    housing, police = county.held["housing"], county.held["police"]

    assert kyle is not None
    assert date(2008, 11, 7) == kyle.date_of_birth
    assert [held for held in housing if held.address and held.truth.address.flat and not held.address.flat]
    assert [held for held in housing if held.last_name == held.truth.former_last_name]
    assert [held for held in police if held.first_name != held.truth.first_name]
    assert [held for held in police if held.address == held.truth.former_address is not None]
    assert [held for held in police if held.address is None]


@pytest.mark.parametrize("agency", AGENCIES)
def test_the_agencys_mapping_reads_everybody_it_knows(agency: str, opened: dict[str, Records], county: County) -> None:
    """Every shipped mapping is tried on the records it is for: all people, all questions, nothing unreadable."""
    found = check(opened[agency], AS_OF)

    assert len(county.held[agency]) == found.people
    assert {} == found.unreadable
    assert set(found.answers) == opened[agency].questions
    assert {"agency.contact", "agency.open_now", "assessment.done", "family.known", "family.known_anywhere"} <= set(
        found.answers
    )
    assert found.people == found.answers["agency.contact"]
    assert found.people == found.answers["family.known"] == found.answers["family.known_anywhere"]
    assert {question: 0 for question in found.doubtful} == found.doubtful
    assert 0 < found.answers["agency.open_now"] < found.people
    assert 0 < found.answers["assessment.done"] < found.people


@pytest.mark.parametrize("agency", AGENCIES)
def test_the_agencys_answers_are_what_the_county_knows(agency: str, opened: dict[str, Records], county: County) -> None:
    """The SQL of each mapping agrees with the truth it was generated from, person by person."""
    prefix = {"police": "N/{:07d}"}.get(agency, "{}")
    expected = {}
    for held in county.held[agency]:
        last = held.contacts[-1]
        expected[prefix.format(held.ref)] = (last.on, len(held.contacts), last.open, len(held.assessments))

    actual = {}
    for person_id in expected:
        contact = opened[agency].answer("agency.contact", [person_id], LONG_AGO)
        done = opened[agency].answer("assessment.done", [person_id], LONG_AGO)
        actual[person_id] = (contact.latest, contact.count, contact.open, done.count)

    assert expected == actual


@pytest.mark.parametrize("agency", AGENCIES)
def test_what_is_said_of_a_record_is_what_its_mapping_reads(
    agency: str, opened: dict[str, Records], county: County
) -> None:
    """Figures taken from the county are figures about what a node would index, record by record."""
    prefix = {"police": "N/{:07d}"}.get(agency, "{}")
    expected = {prefix.format(held.ref): describe(**described(held)) for held in county.held[agency]}  # type: ignore[arg-type]  # names are describe's own

    assert expected == {row.person_id: row.described().description for row in opened[agency].people()}


def test_a_pair_is_one_person_in_two_agencies(county: County) -> None:
    """Whoever fits or measures linkage gets every person that both agencies know, and nobody else."""
    found = list(pairs(county, "police", "housing"))
    both = {held.truth.id for held in county.held["police"]} & {held.truth.id for held in county.held["housing"]}

    assert both == {one.truth.id for one, other in found if one.truth is other.truth}
    assert len(both) == len(found)


@pytest.mark.parametrize("agency", AGENCIES)
def test_every_team_on_record_has_a_number_to_ring(agency: str, opened: dict[str, Records], county: County) -> None:
    """A yes without whom to ring helps nobody. Numbers come from the block that Ofcom keeps for drama."""
    teams = {contact.team for held in county.held[agency] for contact in held.contacts}
    routes = {team: opened[agency].contact(team) for team in teams}

    assert teams
    assert [] == [team for team, route in routes.items() if not route or not route.phone.startswith("01632 960")]
    assert len(teams) == len({route.team for route in routes.values() if route})


@pytest.mark.parametrize("agency", AGENCIES)
@pytest.mark.parametrize(("first_name", "last_name"), _TRIO)
def test_a_worker_who_describes_them_well_shares_a_key_with_every_record(
    agency: str, first_name: str, last_name: str, opened: dict[str, Records], county: County
) -> None:
    """The story's people can be found in all three agencies in spite of the damage; the strangers in none."""
    person = county.person(first_name, last_name)
    asked = _keys(person)
    held = [set(match_keys(row.described().description)) for row in opened[agency].people()]

    assert [keys for keys in held if keys & asked]
    assert [] == [keys for keys in held if keys & _keys(county.person("Mateo", "Okonjo-Reyes"))]


def _keys(person: Person) -> set[MatchKey]:
    return set(match_keys(describe(**told(person))))  # type: ignore[arg-type]  # names are describe's own


def test_records_are_never_written_over(county: County, tmp_path: Path) -> None:
    """Somebody who points the demonstration at a folder with records in it keeps them."""
    for agency in AGENCIES:
        write(agency, tmp_path / agency, county)
        before = _lines(tmp_path / agency)
        with pytest.raises(FileExistsError):
            write(agency, tmp_path / agency, replace(county, held=generate(7, as_of=AS_OF).held))

        assert before == _lines(tmp_path / agency)


def test_the_size_can_be_chosen_within_bounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A larger county for figures, a small one for a quick look, and a plain word for a size that cannot be."""
    chosen = main([str(tmp_path / "small"), "--people", "60", "--as-of", "2026-11-22"])
    refused = main([str(tmp_path / "none"), "--people", str(SMALLEST - 1)])

    assert (0, 2) == (chosen, refused)
    assert "police: 22 of 60 people known" in capsys.readouterr().out
