"""The catalogue: a known one is read, and one that is not of the agreed form is refused with BAD_CATALOGUE."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord import catalogue
from accord.canonical import encode
from accord.catalogue import BadCatalogue, Claim

VECTORS = json.loads((Path(__file__).parents[2] / "protos/vectors/catalogue.json").read_text())
GOOD = VECTORS["catalogue"]
DATA = encode(GOOD)


def test_the_vector_is_read() -> None:
    """Another implementation finds the same question, digest and claims in the same bytes."""
    found = catalogue.parse(DATA)
    question = found.questions["agency.contact"]

    assert VECTORS["digest"] == found.digest
    assert ("count", 1096, frozenset({"person", "family"})) == (
        question.yes_when,
        question.window_days,
        question.subjects,
    )
    assert ("housing", "police", "social-care") == question.owners


@pytest.mark.parametrize("case", VECTORS["claims"], ids=lambda case: "-".join(case["ask"]))
def test_the_usual_claim_is_what_the_vector_says(case: dict[str, Any]) -> None:
    """What an asker claims by default is the same for every implementation."""
    wanted = None if case["claim"] is None else Claim(**case["claim"])

    assert wanted == catalogue.parse(DATA).claim(*case["ask"])


def test_a_charity_claims_its_own_basis() -> None:
    """The public task (e) belongs to public authorities; a charity's usual basis is ea."""
    value = copy.deepcopy(GOOD)
    value["agencies"]["police"]["public"] = False
    claim = catalogue.parse(encode(value)).claim("agency.contact", "early_help", "social-care", "police")

    assert claim is not None
    assert claim.art6 == "ea"


def test_a_sensitive_question_claims_its_condition() -> None:
    """What a special or criminal question needs on top is claimed by default."""
    value = copy.deepcopy(GOOD)
    value["questions"]["agency.contact"]["sensitivity"] = "special"
    value["questions"]["agency.open_now"]["sensitivity"] = "criminal"
    found = catalogue.parse(encode(value))
    special = found.claim("agency.contact", "early_help", "social-care", "police")
    criminal = found.claim("agency.open_now", "early_help", "social-care", "police")

    assert special is not None
    assert criminal is not None
    assert (special.art9, special.sch1, special.crime) == ("g", "para18_safeguarding", "none")
    assert (criminal.art9, criminal.sch1, criminal.crime) == ("none", "none", "official_authority")


def _set(*path: str, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(value: dict[str, Any]) -> None:
        for step in path[:-1]:
            value = value[step]
        value[path[-1]] = to

    return change


def _drop(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(value: dict[str, Any]) -> None:
        for step in path[:-1]:
            value = value[step]
        del value[path[-1]]

    return change


Q = ("questions", "agency.contact")


def _composed(**changes: Any) -> Callable[[dict[str, Any]], None]:
    """Make the question one whose answers are put together, save for the changes."""

    def change(value: dict[str, Any]) -> None:
        value["questions"]["agency.contact"] |= {
            "composition": "any",
            "subjects": ["family"],
            "shows_recency": False,
            **changes,
        }

    return change


REFUSED = {
    "another version": _set("v", to=2),
    "an unknown field": _set("more", to=1),
    "a question under another name": _set("questions", "agency.other", to=GOOD["questions"]["agency.contact"]),
    "a question with an unknown field": _set(*Q, "colour", to="red"),
    "a question without a title": _drop(*Q, "title"),
    "a title with a line break": _set(*Q, "title", to="one\ntwo"),
    "an empty meaning": _set(*Q, "meaning_of_no", to=""),
    "an unknown form of answer": _set(*Q, "answer", to="score"),
    "a composition that is none": _set(*Q, "composition", to="majority"),
    "answers put together about a person": _composed(subjects=["family", "person"]),
    "answers put together with how recent": _composed(shows_recency=True),
    "a count without a window": _set(*Q, "window_days", to=None),
    "a window without a count": _set(*Q, "yes_when", to="open"),
    "a level of need that is none": _set(*Q, "min_tier", to=0),
    "true for a number": _set(*Q, "version", to=True),
    "an owner nobody knows": _set(*Q, "owners", to=["coastguard"]),
    "a purpose nobody knows": _set(*Q, "purposes", to=["curiosity"]),
    "a gateway nobody knows": _set(*Q, "gateways", to={"police": {"early_help": "good_will"}}),
    "a gateway for an agency that does not answer": _set(
        *Q, "gateways", to={"coastguard": {"early_help": "agreement_service"}}
    ),
    "a gateway for a purpose that is not the question's": _set(
        *Q, "gateways", to={"police": {"curiosity": "agreement_service"}}
    ),
    "a basis that is none": _set("gateways", "agreement_service", "art6", to=["z"]),
    "an agency that may be public": _set("agencies", "police", "public", to="yes"),
    "a purpose of another kind": _set("purposes", "early_help", "kind", to="curious"),
}


def test_a_question_about_a_family_alone_is_answered_for_the_family() -> None:
    """T-LNK-2: one word for the family where the catalogue lets nobody ask about a person, and there only."""
    value = copy.deepcopy(GOOD)
    _composed()(value)
    found = catalogue.parse(encode(value)).questions

    assert (True, "any") == (found["agency.contact"].of_family, found["agency.contact"].composition)
    assert (False, "per_agency") == (found["agency.open_now"].of_family, found["agency.open_now"].composition)


@pytest.mark.parametrize("what", REFUSED)
def test_a_catalogue_that_is_not_of_the_form_is_refused(what: str) -> None:
    """T-SEC-3: a catalogue is closed; what it does not define it cannot hold."""
    value = copy.deepcopy(GOOD)
    REFUSED[what](value)

    with pytest.raises(BadCatalogue):
        catalogue.parse(encode(value))


def test_a_catalogue_that_is_not_canonical_is_refused() -> None:
    """The digest names bytes; the same catalogue in other bytes would have another digest."""
    with pytest.raises(BadCatalogue):
        catalogue.parse(json.dumps(GOOD).encode())


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_and_never_crash(data: bytes) -> None:
    """T-SEC-3: whatever arrives, the only failure is BadCatalogue."""
    with pytest.raises(BadCatalogue):
        catalogue.parse(data)
