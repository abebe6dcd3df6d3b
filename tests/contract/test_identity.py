"""Descriptions and match keys: known answers, and whatever anybody types."""

import csv
import hashlib
import json
import re
import unicodedata
from dataclasses import replace
from datetime import date
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from accord.canonical import encode, lp
from accord.identity import (
    FAMILIES,
    FAMILY_SET_DIGEST,
    MAX_KEYS,
    NORMALISER_DIGEST,
    SUBJECT_FAMILIES,
    BadDescription,
    Description,
    age_band,
    describe,
    enough_to_go_on,
    entries,
    from_bytes,
    match_keys,
    subject_keys,
    to_bytes,
    without_address,
)
from accord.nicknames import ROOTS

VECTORS = json.loads((Path(__file__).parents[2] / "protos/vectors/identity.json").read_text(encoding="utf-8"))
JAMIE = describe(**VECTORS["people"][0]["raw"])

TEXT_FIELDS = ("first_name", "last_name", "middle_names", "date_of_birth", "sex", "address", "postcode", "nhs_number")
NAMES = st.text(st.characters(codec="utf-8"), max_size=40)
DATES = st.dates(date(1905, 1, 1), date(2026, 11, 22))


def fixed_text(*parts: str) -> bytes:
    """A key's input, written out again from its definition."""
    return lp(b"accord key v1", *(part.encode() for part in parts))


def test_the_digests_are_the_published_ones() -> None:
    """T-LNK-5: a changed rule or table shows in a digest, so that nobody answers no under other rules."""
    assert VECTORS["normaliser_digest"] == NORMALISER_DIGEST
    assert VECTORS["family_set_digest"] == FAMILY_SET_DIGEST
    assert VECTORS["families"] == [family.id for family in FAMILIES]
    assert VECTORS["subject_families"] == [family.id for family in SUBJECT_FAMILIES]


@pytest.mark.parametrize("person", VECTORS["people"], ids=lambda person: person["raw"].get("last_name"))
def test_known_people_give_the_known_keys(person: dict[str, object]) -> None:
    """Another implementation of the vectors finds the same people."""
    described = describe(**person["raw"])  # type: ignore[arg-type]  # raw fields from the vector file
    keys = match_keys(described)

    assert person["description"] == json.loads(to_bytes(described))
    assert person["keys"] == len(keys)
    assert person["usable_families"] == len({key.family for key in keys})
    assert person["keys_digest"] == hashlib.sha256(lp(*(key.input for key in keys))).hexdigest()
    assert person["subject_keys"] == [key.input.hex() for key in subject_keys(described)]


def test_a_key_is_its_family_and_its_fields() -> None:
    """The input says what it is, field by field, so that no two keys run together."""
    inputs = {key.input for key in match_keys(JAMIE)}

    assert {
        fixed_text("first.3 last.4 dob.x", "jam", "thor", "20130309"),
        fixed_text("names.swap addr.x", "jamie|thorley", "14/3|larkspurrise"),
        fixed_text("last.x dob.swap sex mid", "thorley", "20130309", "m", "a"),
        fixed_text("first.nick last.part dob.swap", "james", "thorley", "20130309"),
        fixed_text("first.x last.x dob.mask mid", "jamie", "thorley", "2013030_", "a"),
        fixed_text("names.swap pc.x", "jamie|thorley", "md47qt"),
        fixed_text("dob.x addr.no last.3", "20130309", "14/3", "tho"),
        fixed_text("first.x pc.x dob.ym", "jamie", "md47qt", "201303"),
    } <= inputs


def test_what_a_key_fixes_is_what_stands_in_it_whole() -> None:
    """A name is fixed by the whole name, never by its sound, initial or nickname."""
    fixed = {family.id: sorted(family.fixes) for family in FAMILIES}

    assert ["dob"] == fixed["first.3 last.4 dob.x"]
    assert ["addr", "first", "last"] == fixed["names.swap addr.x"]
    assert ["dob"] == fixed["dob.x addr.no last.3"]
    assert [] == fixed["first.nick last.part dob.swap"]
    assert ["nhs"] == fixed["nhs.x"]


def test_nickname_table_is_the_one_it_cites() -> None:
    """The frozen table holds the cited data and nothing else."""
    expected: dict[str, set[str]] = {}
    with (files("nicknames") / "names.csv").open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            root, short = (re.sub(r"[^a-z0-9]", "", row[name].lower()) for name in ("name1", "name2"))
            if root != short:
                expected.setdefault(short, set()).add(root)

    assert {short: tuple(sorted(roots)) for short, roots in expected.items()} == dict(ROOTS)


@pytest.mark.parametrize(
    ("written", "number", "street"),
    [
        ("Flat 3, 14 Larkspur Rise", "14/3", "larkspur rise"),
        ("14/3 Larkspur Rise", "14/3", "larkspur rise"),
        ("14 Larkspur Rise, Flat 3, Midtown", "14/3", "larkspur rise"),
        ("12-14 High St", "12", "high street"),
        ("12 A Elm Rd.", "12a", "elm road"),
        ("12, Elm Street", "12", "elm street"),
        ("7 St John Street", "7", "st john street"),
        ("Rose Cottage, Mill Lane", "rosecottage", "mill lane"),
        ("Flat 3, Larkspur House, Mill Ln", "larkspurhouse/3", "mill lane"),
        ("Mill Lane", "", "mill lane"),
        ("", "", ""),
    ],
)
def test_an_address_parts_into_number_and_street(written: str, number: str, street: str) -> None:
    """Agencies write flats and streets in their own ways."""
    described = describe(address=written)

    assert (number, street) == (described.number, described.street)


@pytest.mark.parametrize("written", ["2013-03-09", "9/3/2013", "09.03.2013", "20130309", "2013-03-09 00:00:00"])
def test_a_date_may_be_written_in_several_ways(written: str) -> None:
    """Day first, as in the United Kingdom, unless the year comes first."""
    assert "20130309" == describe(date_of_birth=written).dob


@pytest.mark.parametrize("written", ["31/2/2013", "9/3/13", "1999", "March 2013", "2013-13-01", "20139941", "09032013"])
def test_a_date_that_cannot_be_is_refused_by_its_field(written: str) -> None:
    """The person who typed it learns which field, and nobody's log learns the value."""
    with pytest.raises(BadDescription) as refused:
        describe(date_of_birth=written)

    assert "date_of_birth" == refused.value.field
    assert written not in f"{refused.value} {refused.value.cure}"


def test_values_that_many_strangers_share_are_no_values() -> None:
    """T-LNK-4: placeholders would open the envelopes of strangers."""
    described = describe(
        first_name="Baby", last_name="UNKNOWN", date_of_birth="1900-01-01", postcode="ZZ99 3VZ", nhs_number="0000000000"
    )

    assert Description() == described


def test_an_nhs_number_needs_its_check_digit() -> None:
    """A digit typed wrong must not become a strong key of somebody else."""
    assert "9991234578" == describe(nhs_number="999 123 4578").nhs
    with pytest.raises(BadDescription, match="nhs_number"):
        describe(nhs_number="999 123 4579")


@pytest.mark.parametrize(
    ("known", "enough"),
    [
        ({"first_name": "Jamie", "last_name": "Thorley", "date_of_birth": "2013-03-09"}, True),
        ({"first_name": "Jo", "last_name": "Ng", "address": "14 Larkspur Rise", "postcode": "MD4 7QT"}, True),
        ({"first_name": "Jo", "last_name": "Ng", "postcode": "MD4 7QT"}, False),
        ({"first_name": "Jamie", "last_name": "Thorley"}, False),
        ({"nhs_number": "9991234578"}, False),
        ({}, False),
    ],
)
def test_too_little_to_go_on_is_not_asked(known: dict[str, str], *, enough: bool) -> None:
    """T-LNK-5: a person nobody could find must not be answered no."""
    assert enough == enough_to_go_on(match_keys(describe(**known)))  # type: ignore[arg-type]  # text fields only


def test_a_protected_address_is_in_no_key() -> None:
    """The landlord of the old flat must not learn the refuge."""
    known = describe(**{**VECTORS["people"][0]["raw"], "former_postcodes": ["MD1 1AA"]})
    kept = without_address(known)

    assert ("", "", "", ()) == (kept.number, kept.street, kept.postcode, kept.former_postcodes)
    assert not [key for key in match_keys(kept) if {"pc", "addr"} & {part.split(".")[0] for part in key.family.split()}]


def test_former_names_and_postcodes_are_further_entries() -> None:
    """An index finds a person under an earlier name; the address stays with the present postcode."""
    known = describe(
        **VECTORS["people"][0]["raw"], former_last_names=["Calloway", "Calloway "], former_postcodes=["MD1 1AA"]
    )

    assert [("thorley", "md47qt", "14/3"), ("calloway", "md47qt", "14/3"), ("thorley", "md11aa", "")] == [
        (one.last, one.postcode, one.number) for one in entries(known)
    ]


@pytest.mark.parametrize(
    ("dob", "on", "band"),
    [
        ("20130309", date(2026, 3, 8), "10_15"),
        ("20130309", date(2018, 3, 8), "0_4"),
        ("20130309", date(2018, 3, 9), "5_9"),
        ("20130309", date(2029, 3, 9), "16_17"),
        ("20080229", date(2026, 2, 28), "16_17"),
        ("20080229", date(2026, 3, 1), "18_plus"),
        ("20130309", date(2013, 3, 8), "unknown"),
        ("20131309", date(2026, 1, 1), "unknown"),
        ("", date(2026, 1, 1), "unknown"),
    ],
)
def test_age_bands_change_on_the_birthday(dob: str, on: date, band: str) -> None:
    """A day early would put a child's record under an adult's rules."""
    assert band == age_band(dob, on)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(TEXT_FIELDS, st.text(max_size=600))))
@example({"first_name": "\ud800ﷺ\x00"})
@example({"address": "/,,3-4 /2, flat"})
def test_any_text_is_described_or_refused(raw: dict[str, str]) -> None:
    """Whatever a database holds, the answer is a description, its keys, or BadDescription."""
    try:
        described = describe(**raw)  # type: ignore[arg-type]  # text fields only
    except BadDescription:
        return

    assert described == from_bytes(to_bytes(described))
    assert len(match_keys(described)) <= MAX_KEYS


@given(NAMES, NAMES, DATES, NAMES)
def test_normalising_twice_changes_nothing(first: str, last: str, dob: date, postcode: str) -> None:
    """What one agency stored normalised, another normalises again."""
    try:
        once = describe(first_name=first, last_name=last, date_of_birth=dob.isoformat(), postcode=postcode[:10])
    except BadDescription:
        return

    assert once == describe(first_name=once.first, last_name=once.last, date_of_birth=once.dob, postcode=once.postcode)


@given(NAMES)
@example("Zoë")
@example("김민준")
@example("ﬀ①Ａ")
def test_composed_and_decomposed_text_are_one(name: str) -> None:
    """NFKD: two keyboards, one name."""
    described = set()
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        try:
            described.add(describe(last_name=unicodedata.normalize(form, name)).last)
        except BadDescription:
            described.add("too long")

    assert 1 == len(described)


@given(st.text("abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=12), DATES, st.data())
def test_one_slip_of_the_pen_still_shares_a_key(last: str, dob: date, data: st.DataObject) -> None:
    """One letter of the last name left out, added or changed, or one digit of the birth date: the rest still meets."""
    at = data.draw(st.integers(0, len(last) - 1))
    lost, added, changed = last[:at] + last[at + 1 :], last[:at] + "q" + last[at:], last[:at] + "q" + last[at + 1 :]
    slipped = data.draw(st.sampled_from([lost, added, changed]))
    # "none" and its like are what a form says when there is no name.
    assume(all(describe(last_name=name).last for name in (last, slipped)))
    written, digit = f"{dob:%Y%m%d}", data.draw(st.integers(2, 7))
    misdated = written[:digit] + data.draw(st.sampled_from("0123456789")) + written[digit + 1 :]

    def keys(name: str, born: str, **where: str) -> set[bytes]:
        described = replace(describe(first_name="Jamie", last_name=name, middle_names="Alan", **where), dob=born)
        return {key.input for key in match_keys(described)}

    home = {"address": "14 Larkspur Rise", "postcode": "MD4 7QT"}

    assert keys(last, written) & keys(slipped, written)
    assert keys(last, written, **home) & keys(slipped, written, **home)
    assert keys(last, written) & keys(last, misdated)


@given(st.text("abcdefghijklmnopqrstuvwxyz -", min_size=1, max_size=60), DATES)
def test_keys_are_bounded_and_all_different(name: str, dob: date) -> None:
    """A slot has room for 64 wraps, whatever the name; long names lose variants before exact keys."""
    described = describe(first_name=name, last_name=name[::-1], date_of_birth=dob.isoformat(), postcode="MD4 7QT")
    keys = match_keys(described)

    assert len(keys) == len(set(keys)) <= MAX_KEYS


@given(st.binary(max_size=200))
def test_bytes_that_are_no_description_are_refused(data: bytes) -> None:
    """A slot's content comes from another agency: nothing but BadDescription may come of it."""
    with pytest.raises(BadDescription):
        from_bytes(data)


@pytest.mark.parametrize(
    "change",
    [{"first": "Jamie"}, {"dob": "2013"}, {"sex": "x"}, {"number": "14 / 3"}, {"nhs": "1"}, {"last": "a" * 65}],
)
def test_a_description_that_is_not_normalised_is_refused(change: dict[str, str]) -> None:
    """Only one way to write a person, or two nodes would score differently."""
    written = json.loads(to_bytes(JAMIE)) | change
    with pytest.raises(BadDescription):
        from_bytes(encode(written))
