"""The bundle builder: one directory, one bundle; a mistake is named with its file, its field and what to do."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from accord import catalogue
from accord.bundle import open_bundle
from broker import policy
from broker.policy import FOREVER_NS, PolicyMistake
from tests.world.rules import KEY, KID, POLICIES

Change = Callable[[Path], None]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the shipped policies to spoil."""
    return Path(shutil.copytree(POLICIES, tmp_path / "policies"))


def test_the_same_directory_gives_the_same_bytes(copy: Path) -> None:
    """Anybody with the key can build a bundle again and compare; times and owners of files do not matter."""
    for path in copy.rglob("*.json"):
        path.touch()

    assert policy.build(POLICIES, "demo", KEY, KID) == policy.build(copy, "demo", KEY, KID)


def test_any_change_gives_another_revision(copy: Path) -> None:
    """The revision is the content: profile, rule and data each count."""
    before = policy.build(copy, "demo", KEY, KID)
    (copy / "accord/grounds/case.rego").write_text((copy / "accord/grounds/case.rego").read_text() + "\n")
    bundles = [before, policy.build(copy, "demo", KEY, KID), policy.build(copy, "production", KEY, KID)]
    revisions = {open_bundle(data, {KID: KEY.public_key()}).revision for data in bundles}

    assert len(revisions) == 3


def test_the_bundle_holds_rules_and_no_tests() -> None:
    """What decides is shipped; what tests it is not."""
    files = policy.compile_files(POLICIES, "demo")

    assert not any(path.endswith("_test.rego") for path in files)
    assert {"accord/query/decision.rego", "accord/node/decision.rego", "schemas/input.json"} <= set(files)


def test_the_catalogue_is_read_by_the_contract() -> None:
    """What is built here is what every node reads."""
    found = catalogue.parse(policy.compile_files(POLICIES, "demo")[catalogue.PATH])

    assert {path.stem for path in (POLICIES / "data/questions").glob("*.yaml")} == set(found.questions)
    assert {"agency.contact", "family.known", "family.known_anywhere"} <= set(found.questions)


def test_law_without_a_start_never_starts() -> None:
    """effective_from null means not in force; as a number it must lie after every instant."""
    data = json.loads(policy.compile_files(POLICIES, "demo")[policy.DATA])

    assert FOREVER_NS == data["gateways"]["ca2004_s16LA"]["effective_from_ns"]


def _replace(file: str, old: str, new: str) -> Change:
    def change(policies: Path) -> None:
        text = (policies / file).read_text()
        assert old in text
        (policies / file).write_text(text.replace(old, new, 1))

    return change


def _write(file: str, text: str) -> Change:
    def change(policies: Path) -> None:
        (policies / file).parent.mkdir(parents=True, exist_ok=True)
        (policies / file).write_text(text)

    return change


QUESTION = "data/questions/agency.contact.yaml"
POLICE = "data/agencies/police.json"
S47 = "data/gateways/ca1989_s47.json"
ISA = "data/isa/midshire-children.json"

AGREED = "agreement_service"
MISTAKES: dict[str, tuple[Change, str, str]] = {
    "an unknown field": (_replace(QUESTION, "version: 1", "version: 1\ncolour: red"), QUESTION, ""),
    "a field left out": (_replace(QUESTION, "min_tier: 2\n", ""), QUESTION, ""),
    "a text for a number": (_replace(QUESTION, "min_tier: 2", "min_tier: two"), QUESTION, "min_tier"),
    "a fraction": (_replace(QUESTION, "min_tier: 2", "min_tier: 2.0"), QUESTION, "min_tier"),
    "yes for true": (_replace(QUESTION, "shows_recency: true", "shows_recency: yes"), QUESTION, "shows_recency"),
    "a key twice in YAML": (_replace(QUESTION, "version: 1", "version: 1\nversion: 2"), QUESTION, "line 1"),
    "YAML that is none": (_replace(QUESTION, "subjects: [", "subjects: [["), QUESTION, "line 7"),
    "a YAML tag": (_replace(QUESTION, "version: 1", "version: !!python/name:os.system 1"), QUESTION, "line 2"),
    "a file named after nothing": (_write("data/questions/other.name.yaml", ""), "data/questions/other.name.yaml", ""),
    "a file of another kind": (_write("data/gateways/notes.txt", "later"), "data/gateways/notes.txt", ""),
    "an owner nobody knows": (_replace(QUESTION, "owners: [charity", "owners: [coastguard"), QUESTION, "owners"),
    "a gateway that its purpose does not list": (
        _replace(
            QUESTION,
            f"  housing:\n    early_help: {AGREED}\n    s17_assessment: {AGREED}\n    s47_enquiry: ca1989_s47",
            f"  housing:\n    early_help: {AGREED}\n    s17_assessment: {AGREED}\n    s47_enquiry: ca1989_s27",
        ),
        QUESTION,
        "gateways.housing.s47_enquiry",
    ),
    "a count without a window": (_replace(QUESTION, "window_days: 1096", "window_days: null"), QUESTION, "window_days"),
    "a character nobody defined": (
        _replace(POLICE, '"safeguarding_partner"', '"friend"'),
        POLICE,
        "characters.1.id",
    ),
    "JSON that is none": (_replace(POLICE, "{", "{,"), POLICE, "line 1"),
    "a key twice in JSON": (_replace(POLICE, '"id"', '"title": "Other",\n  "id"'), POLICE, ""),
    "a day that does not exist": (
        _replace(S47, "1991-10-14T00:00:00Z", "1991-02-30T00:00:00Z"),
        S47,
        "effective_from",
    ),
    "a day in another form": (_replace(S47, "1991-10-14T00:00:00Z", "14/10/1991"), S47, "effective_from"),
    "an end before the start": (_replace(ISA, "2036-12-31", "2020-12-31"), ISA, "effective_to"),
    "a party nobody knows": (_replace(ISA, '"police"', '"coastguard"'), ISA, "parties"),
    "a gateway listed on one side only": (
        _replace(S47, '"s47_enquiry"', '"early_help"'),
        "data/purposes/s47_enquiry.json",
        "gateways",
    ),
    "a code in two files": (
        lambda policies: _write(
            "data/reasons/again.json",
            (policies / "data/reasons/case.json").read_text().replace('"section": "case"', '"section": "again"'),
        )(policies),
        "data/reasons/case.json",
        "CASE_MISSING",
    ),
    "a code in the wrong file": (
        _replace("data/reasons/case.json", '"section": "case"', '"section": "law"'),
        "data/reasons/case.json",
        "CASE_MISSING.section",
    ),
    "other roots": (_write(".manifest", '{"roots": [""]}'), ".manifest", "roots"),
    "a question without its rule": (
        lambda policies: (policies / "accord/questions/agency/contact/contact.rego").unlink(),
        QUESTION,
        "id",
    ),
    "a rule without its question": (
        _write("accord/questions/agency/more/more.rego", "package accord.questions.agency.more\n"),
        "accord/questions/agency/more/more.rego",
        "",
    ),
    "a package elsewhere": (
        _replace("accord/grounds/case.rego", "package accord.grounds", "package accord.query"),
        "accord/grounds/case.rego",
        "line 1, column 1",
    ),
    "a rule that does not parse": (
        _write("accord/grounds/more.rego", "package accord.grounds {"),
        "accord/grounds/more.rego",
        "line 1, column 24",
    ),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_named(copy: Path, what: str) -> None:
    """Whoever edits policy reads which file, which field and what to do; nothing is built meanwhile."""
    change, file, field = MISTAKES[what]
    change(copy)

    with pytest.raises(PolicyMistake) as caught:
        policy.build(copy, "demo", KEY, KID)

    assert (file, field) == (caught.value.file, caught.value.field)
    assert caught.value.cure


def test_a_mistake_says_what_is_wanted(copy: Path) -> None:
    """The person who edits is told the form, not a regular expression alone."""
    _replace(S47, "1991-10-14T00:00:00Z", "14/10/1991")(copy)

    with pytest.raises(PolicyMistake, match="When it came into force; null means it is not in force"):
        policy.build(copy, "demo", KEY, KID)


def test_a_file_outside_is_not_read(copy: Path, tmp_path: Path) -> None:
    """A link would bring in what nobody reviewed."""
    (tmp_path / "elsewhere.json").write_text((copy / POLICE).read_text())
    (copy / POLICE).unlink()
    (copy / POLICE).symlink_to(tmp_path / "elsewhere.json")

    with pytest.raises(PolicyMistake):
        policy.build(copy, "demo", KEY, KID)


def test_every_fault_of_the_rules_is_named_with_its_line_and_column(copy: Path) -> None:
    """A mistyped reference is undefined without a word, so it never gets into a bundle."""
    rule = copy / "accord/grounds/case.rego"
    rule.write_text(rule.read_text() + "\n# METADATA\n# title: Held\nheld if input.porpoise == 1.5\n")
    line = len(rule.read_text().splitlines())

    with pytest.raises(PolicyMistake) as caught:
        policy.build(copy, "demo", KEY, KID)

    assert [(line, 9, "NO_SUCH_REFERENCE"), (line, 27, "FRACTION")] == [
        (fault.line, fault.column, fault.code) for fault in caught.value.faults
    ]


def test_only_the_two_profiles_are_built() -> None:
    """A third profile would be neither."""
    with pytest.raises(ValueError, match="profile"):
        policy.build(POLICIES, "test", KEY, KID)


def checked(*told: str) -> subprocess.CompletedProcess[str]:
    """`accord-broker policy check`."""
    words = [str(Path(sys.executable).with_name("accord-broker")), "policy", "check", *told]
    return subprocess.run(words, capture_output=True, text=True, timeout=600, check=False)


def test_checking_names_every_fault_and_changes_nothing(copy: Path) -> None:
    """Whoever edits policy sees where to look before anybody is asked to approve."""
    rule = copy / "accord/grounds/case.rego"
    rule.write_text(rule.read_text() + "\nheld if input.porpoise == 1.5\n")
    plain, for_programs = checked(str(copy)), checked(str(copy), "--json")

    assert (1, 1) == (plain.returncode, for_programs.returncode)
    assert "There is no input.porpoise." in plain.stdout
    assert ["NO_METADATA", "NO_SUCH_REFERENCE", "FRACTION"] == [
        one["code"] for one in json.loads(for_programs.stdout)["faults"]
    ]


def test_checking_the_policies_that_ship_finds_nothing() -> None:
    """The rules keep to their own dialect."""
    found = checked("--json")

    assert (0, {"faults": []}) == (found.returncode, json.loads(found.stdout))
