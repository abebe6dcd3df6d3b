"""Measuring how well people are found: the real code path, counted against the truth."""

import asyncio
import csv
import datetime
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random

import pytest

from accord.identity import match_keys
from agency_node.evaluate import Doing, KeyPair, Quality, Report, blindly, evaluate, tokeniser
from agency_node.labelled import BadLabelled, Labelled, read_columns, read_labelled
from agency_node.mapping import PersonRow
from agency_node.scoring import shipped_prior
from deploy.demo import county
from deploy.demo.county import Held

ON = datetime.date(2026, 11, 22)
AT_NS = 1_795_311_783_000_000_000
MAPPING = """\
first_name = "first_name"
last_name = "last_name"
middle_names = "middle_names"
date_of_birth = "date_of_birth"
sex = "sex"
address = "address"
postcode = "postcode"
former_last_names = "former_last_names"
"""


@cache
def grown(people: int) -> county.County:
    return county.generate(people=people, as_of=ON)


def labelled(held: Sequence[Held]) -> tuple[Labelled, ...]:
    """What an agency has written down, with who it truly is; without NHS numbers, which would find everybody."""
    found = []
    for one in held:
        raw = county.described(one) | {"nhs_number": ""}
        row = PersonRow(str(one.ref), **{"first_name": "", "last_name": "", **raw})
        found.append(Labelled(row, one.truth.id, one.truth.household))
    return tuple(found)


def measured(folder: Path, people: int, left: str, right: str, told: list[Doing] | None = None) -> Report:
    """Right asks left about everybody that right knows."""
    everybody = grown(people)
    return evaluate(
        labelled(everybody.held[left]),
        labelled(everybody.held[right]),
        shipped_prior(),
        folder=folder,
        on=ON,
        at_ns=AT_NS,
        random=Random(1).randbytes,
        workers=2,
        progress=told.append if told is not None else lambda _: None,
    )


def test_people_are_found_through_the_code_that_answers_questions(tmp_path: Path) -> None:
    """Everybody is counted once, most known people are found, and nobody unknown is."""
    told: list[Doing] = []
    report = measured(tmp_path, 200, "social-care", "housing", told)
    yes = report.shipped.yes

    asked = len(grown(200).held["housing"])
    assert (asked, report.known) == (report.known + report.unknown, yes.known)
    assert yes.recall > 0.9
    assert (0, 0, 0) == (yes.wrong, report.shipped.falsely_known, report.shipped.families_falsely_known)
    assert (yes.right, yes.wrong) == (
        report.shipped.confirmed.right + report.shipped.probable.right,
        report.shipped.confirmed.wrong + report.shipped.probable.wrong,
    )
    missed = sum(report.shipped.missed.values()) + sum(known for known, _ in report.shipped.cannot_say.values())
    assert yes.known == yes.right + missed
    assert report.shipped.families is not None
    assert yes.right >= report.shipped.families.right > 0
    assert ("asking", asked, asked) == (told[-1].what, told[-1].done, told[-1].of)


def test_tokens_made_with_both_keys_at_hand_are_those_made_blindly() -> None:
    """What is measured is what key servers give who see nothing of the keys."""
    pair = KeyPair(b"b" * 32, b"s" * 32)
    row = labelled(grown(200).held["police"][:1])[0].row
    keys = match_keys(row.described().description)

    with tokeniser(pair, workers=1) as tokens:
        at_hand = asyncio.run(tokens(keys))

    assert at_hand == blindly(keys, pair.keys(), os.urandom)


def test_nobody_is_found_where_nobody_is_known(tmp_path: Path) -> None:
    """Unknown people open next to nothing and are never said to be known."""
    everybody = labelled(grown(200).held["social-care"])
    homes = sorted({one.household for one in everybody})
    left = [one for one in everybody if one.household in homes[: len(homes) // 2]]
    right = [one for one in everybody if one.household not in homes[: len(homes) // 2]]
    report = evaluate(
        left, right, shipped_prior(), folder=tmp_path, on=ON, at_ns=AT_NS, random=Random(1).randbytes, workers=1
    )

    assert (0, len(right), 0) == (report.known, report.unknown, report.shipped.falsely_known)
    assert (0, 0) == (report.shipped.yes.right, report.opened_by_relatives)


def test_of_a_name_alone_nothing_is_said(tmp_path: Path) -> None:
    """Cannot say, whether or not the person is known: there is no way of finding them."""
    some = labelled(grown(200).held["health"][:60])
    thin = [replace(one, row=PersonRow(one.row.person_id, one.row.first_name, one.row.last_name)) for one in some]
    report = evaluate(
        some, thin, shipped_prior(), folder=tmp_path, on=ON, at_ns=AT_NS, random=Random(1).randbytes, workers=1
    )

    assert ({"not_enough_to_go_on": (60, 0)}, 0) == (report.shipped.cannot_say, report.opened)


@pytest.mark.prove
@pytest.mark.parametrize(("left", "right"), [("health", "social-care"), ("schools", "housing"), ("police", "charity")])
def test_between_agencies_of_the_county_nobody_unknown_is_said_to_be_known(
    tmp_path: Path, left: str, right: str
) -> None:
    """T-LNK-4: next to nobody whom an agency does not hold opens anything there, relatives apart."""
    report = measured(tmp_path, 6_000, left, right)
    yes, strangers = report.shipped.yes, report.opened - report.opened_by_relatives

    print(
        f"T-LNK-4 opened_among_unknown={report.opened / report.unknown:.2%} strangers={strangers} of {report.unknown} "
        f"falsely_known={report.shipped.falsely_known} f1={yes.f1:.4f} precision={yes.precision:.4f} "
        f"known={report.known} {right} asks {left} seed={county.SEED}"
    )
    assert 0 == report.shipped.falsely_known
    assert strangers <= 0.002 * report.unknown + 1
    assert yes.precision >= 0.998


@pytest.mark.parametrize(
    ("quality", "expected"),
    [
        (Quality(9, 1, 12), (0.9, 0.75, 0.8182)),
        (Quality(0, 0, 5), (1.0, 0.0, 0.0)),
        (Quality(0, 2, 0), (0.0, 1.0, 0.0)),
    ],
)
def test_precision_recall_and_f1_are_what_they_are_elsewhere(
    quality: Quality, expected: tuple[float, float, float]
) -> None:
    """Worked by hand."""
    assert expected == pytest.approx((quality.precision, quality.recall, quality.f1), abs=1e-4)


def files(folder: Path, people: int, mapping: str = MAPPING) -> tuple[Path, Path, Path]:
    """Two agencies' people as CSV files, and the mapping."""
    paths = []
    for agency in ("social-care", "police"):
        path = folder / f"{agency}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            names = ["who", "home", *(line.split(" = ")[0] for line in MAPPING.splitlines())]
            writer = csv.DictWriter(file, names, extrasaction="ignore")
            writer.writeheader()
            for one in grown(people).held[agency]:
                raw: Mapping[str, str | tuple[str, ...]] = county.described(one)
                writer.writerow(
                    {name: ";".join(value) if isinstance(value, tuple) else value for name, value in raw.items()}
                    | {"who": one.truth.id, "home": one.truth.household}
                )
        paths.append(path)
    at = folder / "mapping.toml"
    at.write_text(mapping, encoding="utf-8")
    return paths[0], paths[1], at


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command as an operator gives it."""
    program = Path(sys.executable).parent / "accord-node"
    return subprocess.run(
        [program, "linkage", "evaluate", *arguments], capture_output=True, text=True, check=False, timeout=600
    )


def test_the_command_measures_two_files_of_anybody(tmp_path: Path) -> None:
    """Figures as JSON, on so many people as wanted."""
    left, right, mapping = files(tmp_path, 200)
    ran = command(
        left, right, "--mapping", mapping, "--truth", "who", "--household", "home", "--sample", "40", "--json"
    )

    assert (0, "") == (ran.returncode, ran.stderr)
    report = json.loads(ran.stdout)
    assert 40 == report["known"] + report["unknown"]
    assert report["shipped"]["yes"]["recall"] > 0.8
    assert 0 == report["shipped"]["falsely_known"]


@pytest.mark.parametrize(
    ("mapping", "truth", "said"),
    [
        (MAPPING.replace('"postcode"', '"post_code"'), "who", "has no column post_code"),
        (MAPPING, "whom", "has no column whom"),
        (MAPPING + 'shoe_size = "x"\n', "who", "shoe_size is no field"),
        (MAPPING.replace("last_name =", "surname ="), "who", "surname is no field"),
        (MAPPING + 'date_order = "year last"\n', "who", "date_order is not known"),
        ('first_name = "first_name"\n', "who", "names of people"),
        (MAPPING.replace('"address"', "[1]"), "who", "address names no column"),
        ("left = 1\n" + MAPPING, "who", "left is not a table"),
        ("first_name", "who", "cannot be read"),
    ],
)
def test_a_wrong_mapping_is_said_to_be_wrong_where_it_is(tmp_path: Path, mapping: str, truth: str, said: str) -> None:
    """Which file, which column, and what to do about it."""
    left, _, at = files(tmp_path, 20, mapping)

    with pytest.raises(BadLabelled, match=said) as raised:
        read_labelled(left, read_columns(at)[0], truth)
    assert raised.value.cure


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"who,first,last\n1,Jamie\n", "row 1: too many, too few"),
        (b"who,first,last\n1,Jamie,Thorley,x\n", "row 1: too many, too few"),
        (b"who,first,last\n1,Jamie," + b"x" * 501 + b"\n", "too long"),
        (b"who,first,last\n1,Jamie,Thorley\n ,Anne,Calloway\n", "row 2: who is empty"),
        (b"who,first,last\n1,\xff,Thorley\n", "cannot be read"),
        (b'who,first,last\n1,"Jamie"x,Thorley\n', "cannot be read"),
        (b"", "has no column"),
        (b"1,Jamie,Thorley\n", "has no column"),
    ],
)
def test_a_damaged_file_is_refused_without_showing_a_value(tmp_path: Path, content: bytes, said: str) -> None:
    """T-PRV-1: an error names file, row and column, and never repeats what stands there."""
    path, mapping = tmp_path / "people.csv", tmp_path / "mapping.toml"
    path.write_bytes(content)
    mapping.write_text('first_name = "first"\nlast_name = "last"\n')

    with pytest.raises(BadLabelled, match=said) as raised:
        read_labelled(path, read_columns(mapping)[0], "who")
    assert "Jamie" not in str(raised.value) + raised.value.cure


def test_several_columns_make_one_address_and_dates_may_have_the_month_first(tmp_path: Path) -> None:
    """As files from elsewhere have them."""
    path, mapping = tmp_path / "people.csv", tmp_path / "mapping.toml"
    path.write_text("who,f,l,born,no,street,flat,old\n7,Jamie,Thorley,3/09/2013,14,Larkspur Rise,flat 3,Hebden;Moss\n")
    mapping.write_text(
        'first_name = "l"\nlast_name = "l"\ndate_of_birth = "born"\ndate_order = "month first"\n'
        'address = ["no", "street", "flat"]\nformer_last_names = "old"\n[left]\nfirst_name = "f"\n'
    )
    left, right = (read_labelled(path, columns, "who")[0] for columns in read_columns(mapping))
    found = left.row.described().description

    assert ("7", "") == (left.truth, left.household)
    assert ("jamie", "20130309", "14/3", "larkspur rise", ("hebden", "moss")) == (
        found.first,
        found.dob,
        found.number,
        found.street,
        found.former_last,
    )
    assert "thorley" == right.row.described().description.first
