"""The demonstration's county is nobody's real family, always the same, and damaged enough to be worth linking."""

import contextlib
import csv
import re
import sqlite3
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Final

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nhs_number.validate import is_valid

from accord.identity import Description, MatchKey, describe, match_keys
from agency_node import rehearsal
from agency_node.mapping import Records, open_records
from deploy.demo.county import (
    AGENCIES,
    LARGEST,
    LARKSPUR,
    SMALLEST,
    County,
    Held,
    described,
    generate,
    number,
    pairs,
    told,
    write,
)
from deploy.demo.county.__main__ import main
from deploy.demo.county.larkspur import HOUSEHOLD

AS_OF = date(2026, 11, 22)
LONG_AGO = date(1, 1, 1)
_TRIO = (("Jamie", "Thorley"), ("Anne", "Calloway"), ("Stacey", "Calloway"))
QUESTIONS = {"agency.contact", "agency.open_now", "assessment.done", "family.known", "family.known_anywhere"}
SHARES = {
    "police": 0.20,
    "schools": 0.25,
    "social-care": 0.12,
    "housing": 0.25,
    "health": 0.45,
    "youth-offending": 0.02,
    "drug-alcohol": 0.04,
    "charity": 0.08,
}
"""Records of each agency, as a share of the people."""


@pytest.fixture(scope="module")
def county() -> County:
    return generate(as_of=AS_OF)


@pytest.fixture(scope="module")
def opened(county: County, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Records]:
    root = tmp_path_factory.mktemp("county")

    return {agency: open_records(write(agency, root / agency, county)) for agency in AGENCIES}


def _description(raw: dict[str, str | tuple[str, ...]]) -> Description:
    return describe(**raw)  # type: ignore[arg-type]  # names are describe's own


def _lines(folder: Path) -> list[str]:
    """Every row an agency has written down, whatever the kind of file."""
    lines: list[str] = []
    for file in sorted(folder.iterdir()):
        if file.suffix == ".sqlite":
            with contextlib.closing(sqlite3.connect(file)) as database:
                lines += database.iterdump()
        elif file.suffix == ".csv":
            lines += [str(row) for row in csv.reader(file.read_text(encoding="utf-8").splitlines())]
        elif file.suffix == ".xlsx":
            with contextlib.closing(openpyxl.load_workbook(file, read_only=True)) as book:
                lines += [str(row) for sheet in book.worksheets for row in sheet.iter_rows(values_only=True)]
    return lines


def _bytes(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


# -- The people -------------------------------------------------------------------------------------------------------


def test_nobody_in_the_county_can_be_a_real_person(county: County) -> None:
    """T-PRV-1: demonstration records may be shown to anybody, so their numbers and postcodes belong to nobody."""
    everybody = (*county.people, *county.strangers)
    addresses = [*(one.address for one in everybody), *(move.left for one in everybody for move in one.moves)]

    assert 2003 == len(everybody)
    assert [] == [person.id for person in everybody if not re.fullmatch(r"999\d{7}", person.nhs_number)]
    assert [] == [person.id for person in everybody if not is_valid(person.nhs_number)]
    assert len(everybody) == len({person.nhs_number for person in everybody})
    assert [] == [one for one in addresses if not re.fullmatch(r"MD\d \d[A-Z]{2}", one.postcode)]


def test_the_household_is_as_its_story_says(county: County) -> None:
    """Jamie is 13, Anne 38, Stacey 17, and each agency knows the part of them that the story needs."""
    known = {
        name: {agency for agency in AGENCIES if county.record(agency, county.person(name, last))}
        for name, last in _TRIO
    }

    assert {"Jamie": 13, "Anne": 38, "Stacey": 17} == {
        name: county.person(name, last).age(AS_OF) for name, last in _TRIO
    }
    assert {
        "Jamie": {"police", "schools", "social-care", "housing", "health", "youth-offending"},
        "Anne": {"police", "social-care", "housing", "health", "drug-alcohol"},
        "Stacey": {"police", "schools", "social-care", "housing", "health", "charity"},
    } == known
    assert {LARKSPUR} == {county.person(name, last).address for name, last in _TRIO}
    assert county.person("Jamie", "Thorley").parents == (county.person("Dean", "Thorley").id,)


def test_the_county_has_what_makes_linkage_hard(county: County) -> None:
    """T-LNK-3: twins, namesakes, shared names, former names and moves, or linkage has nothing to get wrong."""
    people = {person.id: person for person in county.people}
    homes = Counter(person.household for person in county.people)
    twins = Counter((p.household, p.last_name, p.date_of_birth) for p in county.people)
    alike = Counter((p.first_name, p.last_name) for p in county.people)
    namesakes = [
        p for p in county.people for parent in p.parents if people[parent].first_name == p.first_name and p.first_name
    ]
    moved = [person for person in county.people if len(person.moves) > 2]

    assert max(homes.values()) >= 6
    assert len([key for key, count in twins.items() if count > 1]) >= 3
    assert len([key for key, count in alike.items() if count > 1]) >= 10
    assert len(namesakes) >= 3
    assert len([person for person in county.people if person.former_last_name]) >= 200
    assert len([person for person in county.people if "-" in person.last_name]) >= 20
    assert len([person for person in county.people if person.known_as]) >= 100
    assert len(moved) >= 50
    assert {"looked after", "care leaver", "no fixed abode", "disabled"} <= {
        mark for p in county.people for mark in p.marks
    }
    assert len({person.heritage for person in county.people}) >= 7


def test_relatives_are_who_they_can_be(county: County) -> None:
    """T-LNK-3: figures about relatives mean something only if a parent is older and partners know of each other."""
    people = {person.id: person for person in county.people}
    grandparents = [
        grandparent
        for person in county.people
        for parent in person.parents
        for grandparent in people[parent].parents
        if people[grandparent].household == person.household
    ]
    apart = [p for p in county.people for parent in p.parents if people[parent].household != p.household]

    assert grandparents
    assert apart
    assert [] == [
        p.id
        for p in county.people
        for parent in p.parents
        if people[parent].date_of_birth.year + 15 > p.date_of_birth.year
    ]
    assert [] == [p.id for p in county.people if p.partner and people[p.partner].partner != p.id]
    assert [] == [p.id for p in county.people if any(move.on <= p.date_of_birth for move in p.moves)]
    assert [] == [p.id for p in county.people if any(one.on < other.on for one, other in pairwise(p.moves))]


def test_an_address_is_the_one_of_its_day(county: County) -> None:
    """An agency that last heard of somebody before a move has the address from before it."""
    moved = next(person for person in county.people if len(person.moves) == 2)
    newest, oldest = moved.moves

    assert moved.address == moved.address_on(newest.on)
    assert newest.left == moved.address_on(oldest.on)
    assert oldest.left == moved.address_on(moved.date_of_birth)
    assert newest.left == moved.former_address


# -- What the agencies remember ---------------------------------------------------------------------------------------


def test_each_agency_knows_its_share_of_the_county(county: County) -> None:
    """An agency that knew everybody, or nobody, would make every question trivial; and every record costs tokens."""
    sizes = {agency: len(county.held[agency]) for agency in AGENCIES}

    assert {agency: round(share * len(county.people)) for agency, share in SHARES.items()} == sizes
    assert min(sizes.values()) >= 30
    assert 1.4 <= sum(sizes.values()) / len(county.people) <= 1.6


def test_whom_an_agency_knows_fits_the_agency(county: County) -> None:
    """Pupils are of school age, clients of the youth offending team are young, and nobody is known before birth."""
    pupils = [held for held in county.held["schools"] if held.truth.age(AS_OF) <= 18]
    young = county.held["youth-offending"]
    early = [held for rows in county.held.values() for held in rows if held.contacts[0].on < held.truth.date_of_birth]

    assert 0.6 <= len(pupils) / len(county.held["schools"]) <= 0.95
    assert [] == [held.ref for held in young if not 10 <= held.truth.age(AS_OF) <= 20]
    assert [] == early
    assert [] == [held for rows in county.held.values() for held in rows if held.contacts[-1].on > AS_OF]


def test_families_with_a_hard_life_are_known_to_many(county: County) -> None:
    """The county's complaint: agencies share the same families without knowing it. Independent draws would not."""
    known: dict[str, set[str]] = defaultdict(set)
    for agency, rows in county.held.items():
        for held in rows:
            known[held.truth.household].add(agency)
    burden = {person.household: person.burden for person in county.people}
    mean = {
        level: sum(len(known[home]) for home in burden if burden[home] == level)
        / sum(1 for home in burden if burden[home] == level)
        for level in (0, 1, 2)
    }

    assert mean[0] < mean[1] < mean[2]
    assert mean[2] > 2 * mean[0]


def _rate(rows: tuple[Held, ...], damaged: Callable[[Held], bool]) -> float:
    return sum(map(damaged, rows)) / len(rows)


def test_each_agency_has_damaged_its_records_in_its_own_way() -> None:
    """T-LNK-3: the same person reads differently in each agency."""
    held = generate(seed=5, people=6_000, as_of=AS_OF).held
    first = {one: _rate(rows, lambda row: row.first_name != row.truth.first_name) for one, rows in held.items()}
    born = {one: _rate(rows, lambda row: row.date_of_birth != row.truth.date_of_birth) for one, rows in held.items()}
    homes = {one: _rate(rows, lambda row: row.address != row.truth.address) for one, rows in held.items()}
    middle = {one: _rate(rows, lambda row: row.middle_name == row.truth.middle_name) for one, rows in held.items()}
    half = [row for row in held["drug-alcohol"] if row.address and re.fullmatch(r"MD\d \d", row.address.postcode)]

    assert first["schools"] < first["health"] < first["social-care"] < first["police"] < first["charity"]
    assert first["schools"] < 0.10
    assert 0.15 < first["charity"] < 0.45
    assert max(born["schools"], born["health"]) < born["housing"] < born["charity"]
    assert born["health"] < 0.03
    assert 0.1 < born["charity"] < 0.3
    assert homes["schools"] < homes["health"] < homes["drug-alcohol"]
    assert middle["charity"] < middle["police"] < middle["schools"]
    assert 0.1 < len(half) / len(held["drug-alcohol"]) < 0.4
    assert 0.9 < _rate(held["health"], lambda row: row.nhs_number == row.truth.nhs_number)
    assert [] == [row.ref for row in held["police"] if row.nhs_number]


@pytest.mark.parametrize(
    ("agency", "kind", "damaged"),
    [
        ("police", "the name they are called by", lambda row: row.first_name == row.truth.known_as != ""),
        ("police", "a former name as an alias", lambda row: row.former_last_name != ""),
        ("police", "no fixed abode", lambda row: row.address is None),
        ("police", "an old address", lambda row: row.address in [move.left for move in row.truth.moves]),
        ("social-care", "a former address", lambda row: row.former_address is not None),
        ("housing", "a lost flat", lambda row: row.address and row.truth.address.flat and not row.address.flat),
        ("housing", "the maiden name", lambda row: row.last_name == row.truth.former_last_name),
        (
            "housing",
            "day and month turned round",
            lambda row: (
                row.date_of_birth
                and row.date_of_birth != row.truth.date_of_birth
                and (row.date_of_birth.day, row.date_of_birth.month)
                == (row.truth.date_of_birth.month, row.truth.date_of_birth.day)
            ),
        ),
        ("drug-alcohol", "an initial", lambda row: len(row.first_name) == 1),
        ("drug-alcohol", "no address", lambda row: row.address is None),
        ("drug-alcohol", "a decision to hold back", lambda row: row.withheld),
        (
            "charity",
            "first and last name exchanged",
            lambda row: row.first_name == row.truth.last_name and row.last_name == row.truth.first_name,
        ),
        ("charity", "no birthday", lambda row: row.date_of_birth is None),
        ("charity", "no sex", lambda row: row.sex == ""),
        (
            "charity",
            "a postcode without its space",
            lambda row: row.address and re.fullmatch(r"MD\d{2}[A-Z]{2}", row.address.postcode),
        ),
        ("schools", "a shielded child", lambda row: row.shielded),
    ],
)
def test_a_kind_of_damage_occurs_and_is_not_the_rule(agency: str, kind: str, damaged: Callable[[Held], object]) -> None:
    """T-LNK-3: every kind of mismatch that real systems have is there to be coped with."""
    rows = _large().held[agency]

    assert 0 < sum(bool(damaged(row)) for row in rows) < len(rows) / 2, kind


_LARGE: list[County] = []


def _large() -> County:
    """Large enough for what is rare; grown once."""
    if not _LARGE:
        _LARGE.append(generate(seed=7, people=6_000, as_of=AS_OF))
    return _LARGE[0]


def test_some_people_are_in_one_agency_twice(county: County) -> None:
    """T-LNK-3: a clerk who does not find a record makes another, and both are found later. Schools hardly do."""
    again = {agency: len(rows) - len({held.truth.id for held in rows}) for agency, rows in county.held.items()}

    assert 0 < again["police"] < 0.05 * len(county.held["police"])
    assert all(len(rows) == len({held.ref for held in rows}) for rows in county.held.values())


def test_a_pair_is_one_person_in_two_agencies(county: County) -> None:
    """Whoever fits or measures linkage gets every person that both agencies know, and nobody else."""
    found = list(pairs(county, "police", "housing"))
    both = {held.truth.id for held in county.held["police"]} & {held.truth.id for held in county.held["housing"]}

    assert both == {one.truth.id for one, other in found if one.truth is other.truth}
    assert all(one.truth is other.truth for one, other in found)


# -- What they wrote down ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("agency", AGENCIES)
def test_the_same_seed_writes_the_same_bytes(agency: str, county: County, tmp_path: Path) -> None:
    """A failure in a story must be seen again by whoever repeats it."""
    write(agency, tmp_path / "first", county)
    write(agency, tmp_path / "second", replace(county))
    write(agency, tmp_path / "other", generate(seed=county.seed + 1, people=200, as_of=AS_OF))

    assert _bytes(tmp_path / "first") == _bytes(tmp_path / "second")
    assert _lines(tmp_path / "first") != _lines(tmp_path / "other")


@pytest.mark.parametrize("agency", AGENCIES)
def test_the_smallest_county_opens_as_well(agency: str, tmp_path: Path) -> None:
    """A quick look at a county of twenty people must not fail for want of people."""
    small = generate(seed=3, people=SMALLEST, as_of=AS_OF)
    records = open_records(write(agency, tmp_path, small))

    assert len(small.held[agency]) == len(list(records.people()))


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), people=st.integers(SMALLEST, 150))
def test_a_county_of_any_seed_and_size_is_sound(seed: int, people: int) -> None:
    """The same seed makes the same county; everybody once; nobody invented outside it; every record describable."""
    one, other = generate(seed, people, AS_OF), generate(seed, people, AS_OF)
    ids = {person.id for person in one.people}

    assert one == other
    assert people == len(one.people) == len(ids)
    assert len(HOUSEHOLD) == sum(person.household == "h000001" for person in one.people)
    assert {person.id for person in one.strangers}.isdisjoint(ids)
    assert [] == [held for rows in one.held.values() for held in rows if held.truth.id not in ids]
    assert [] == [held for rows in one.held.values() for held in rows if not _description(described(held)).first]
    assert [] == [agency for agency in AGENCIES if len(one.held[agency]) < 2]


def test_the_okonjo_reyes_family_is_in_no_record(county: County, tmp_path: Path) -> None:
    """T-LNK-4: the family nobody knows must be unknown everywhere, or no test of not knowing means anything."""
    for agency in AGENCIES:
        write(agency, tmp_path / agency, county)
    words = {word for p in county.strangers for word in (p.last_name, p.nhs_number, p.address.line, p.address.postcode)}
    everything = "\n".join(line for agency in AGENCIES for line in _lines(tmp_path / agency)).upper()

    assert 3 == len(county.strangers)
    assert {"THORLEY", "MD4 7QT"} == {word for word in ("THORLEY", "MD4 7QT") if word in everything}
    assert set() == {word for word in words if word.upper() in everything}


@pytest.mark.parametrize("agency", AGENCIES)
def test_the_agencys_mapping_reads_everybody_it_knows(agency: str, opened: dict[str, Records], county: County) -> None:
    """Every shipped mapping is tried on the records it is for: all people, all questions, nothing unreadable."""
    found = rehearsal.check(opened[agency], AS_OF, sample=150)

    assert len(county.held[agency]) == found.people
    assert {} == found.unreadable
    assert QUESTIONS <= opened[agency].questions == set(found.answers)
    assert found.tried == found.answers["agency.contact"]
    assert found.tried == found.answers["family.known"] == found.answers["family.known_anywhere"]
    assert {question: 0 for question in found.doubtful} == found.doubtful
    assert 0 < found.answers["agency.open_now"] < found.tried
    assert 0 < found.answers["assessment.done"] < found.tried
    assert sum(held.shielded or held.withheld for held in county.held[agency]) == found.held_back


@pytest.mark.parametrize("agency", AGENCIES)
def test_what_is_said_of_a_record_is_what_its_mapping_reads(
    agency: str, opened: dict[str, Records], county: County
) -> None:
    """Figures taken from the county are figures about what a node would index, record by record."""
    expected = {number(agency, held): _description(described(held)) for held in county.held[agency]}

    assert expected == {row.person_id: row.described().description for row in opened[agency].people()}


@pytest.mark.parametrize("agency", AGENCIES)
def test_the_agencys_answers_are_what_the_county_knows(agency: str, opened: dict[str, Records], county: County) -> None:
    """The SQL of each mapping agrees with the truth it was generated from, person by person."""
    expected, actual = {}, {}
    for held in (*county.held[agency][:150], *(one for one in county.held[agency] if one.truth.address == LARKSPUR)):
        last, person = held.contacts[-1], number(agency, held)
        expected[person] = (last.on, len(held.contacts), last.open, last.open, len(held.assessments))
        contact = opened[agency].answer("agency.contact", [person], LONG_AGO)
        now = opened[agency].answer("agency.open_now", [person], LONG_AGO)
        done = opened[agency].answer("assessment.done", [person], LONG_AGO)
        actual[person] = (contact.latest, contact.count, contact.open, bool(now.open), done.count)

    assert expected == actual


@pytest.mark.parametrize("agency", AGENCIES)
def test_every_team_on_record_has_a_number_to_ring(agency: str, opened: dict[str, Records], county: County) -> None:
    """A yes without whom to ring helps nobody. Numbers come from the block that Ofcom keeps for drama."""
    teams = {contact.team for held in county.held[agency] for contact in held.contacts}
    routes = {team: opened[agency].contact(team) for team in (*teams, "default")}

    assert len(teams) >= 3
    assert [] == [team for team, route in routes.items() if not route or not route.phone.startswith("01632 960")]
    assert len(routes) == len({route.phone for route in routes.values() if route})


@pytest.mark.parametrize("agency", AGENCIES)
def test_a_worker_who_describes_them_well_shares_a_key_with_every_record(
    agency: str, opened: dict[str, Records], county: County
) -> None:
    """The household's people can be found wherever they are, in spite of the damage."""
    missed = []
    for person in county.people[: len(HOUSEHOLD)]:
        record = county.record(agency, person)
        row = opened[agency].person(number(agency, record)) if record else None
        if row and not _keys(told(person)) & set(match_keys(row.described().description)):
            missed.append(person.first_name)

    assert [] == missed


def test_the_family_whom_nobody_knows_shares_a_key_with_no_record(county: County) -> None:
    """T-LNK-4: not even by chance, or the story of the unknown family would show nothing."""
    strangers = set.union(*(_keys(told(person)) for person in county.strangers))
    found = [agency for agency, rows in county.held.items() for held in rows if _keys(described(held)) & strangers]

    assert [] == found


def _keys(raw: dict[str, str | tuple[str, ...]]) -> set[MatchKey]:
    return set(match_keys(_description(raw)))


@pytest.mark.parametrize("agency", AGENCIES)
def test_records_are_never_written_over(agency: str, tmp_path: Path) -> None:
    """Somebody who points the demonstration at a folder with records in it keeps them."""
    small = generate(people=60, as_of=AS_OF)
    write(agency, tmp_path, small)
    before = _bytes(tmp_path)
    with pytest.raises(FileExistsError):
        write(agency, tmp_path, generate(7, people=60, as_of=AS_OF))

    assert before == _bytes(tmp_path)


def test_the_size_can_be_chosen_within_bounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A larger county for figures, a small one for a quick look, and a plain word for a size that cannot be."""
    chosen = main([str(tmp_path / "small"), "--people", "60", "--as-of", "2026-11-22"])
    refused = [main([str(tmp_path / "none"), "--people", str(size)]) for size in (SMALLEST - 1, LARGEST + 1)]
    said = capsys.readouterr()

    assert (0, [2, 2]) == (chosen, refused)
    assert "police: 12 records, 60 people in the county" in said.out
    assert "[9/9] done" in said.err
    assert sorted(AGENCIES) == sorted(folder.name for folder in (tmp_path / "small").iterdir())


def test_who_is_who_is_written_only_when_asked_for(tmp_path: Path) -> None:
    """T-PRV-1: what only an evaluation may know does not lie beside the records unless somebody wants it."""
    main([str(tmp_path / "plain"), "--people", "60", "--as-of", "2026-11-22"])
    main([str(tmp_path / "told"), "--people", "60", "--as-of", "2026-11-22", "--truth"])
    with (tmp_path / "told" / "truth.csv").open(encoding="utf-8") as stream:
        truth = list(csv.DictReader(stream))
    small = generate(people=60, as_of=AS_OF)

    assert not (tmp_path / "plain" / "truth.csv").exists()
    assert sum(len(rows) for rows in small.held.values()) == len(truth)
    assert [
        {
            "agency": agency,
            "record": number(agency, held),
            "person": held.truth.id,
            "household": held.truth.household,
            "relation": held.truth.relation,
        }
        for agency, rows in small.held.items()
        for held in rows
    ] == truth


_LARGEST_OWN: Final = (
    "import time; atexit.register(lambda: print(time.process_time(), "
    "int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) / 1024))"
)
_AS_PROGRAM: Final = "runpy.run_module('deploy.demo.county', run_name='__main__')"


@pytest.mark.prove
def test_a_county_of_a_hundred_thousand_is_small(tmp_path: Path) -> None:
    """A federation of the size of a real county can be tried on one machine: 2 KB a person."""
    told = f"sys.argv[1:] = [{str(tmp_path)!r}, '--people', '{LARGEST}', '--truth']"
    # Its own largest memory: what `resource` says of a child begins with that of the process it was split from.
    words = [sys.executable, "-c", f"import atexit, runpy, sys; {told}; {_LARGEST_OWN}; {_AS_PROGRAM}"]
    ran = subprocess.run(words, stdout=subprocess.PIPE, text=True, timeout=600, check=True)
    cpu_s, peak_mib = map(float, ran.stdout.split()[-2:])
    print(f"T-PRV-1 county people={LARGEST} seed=2026 cpu_s={cpu_s:.1f} peak_mib={peak_mib:.0f}")

    assert peak_mib * 2**20 < 60 * 2**20 + 2_000 * LARGEST
