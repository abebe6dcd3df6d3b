"""Read the catalogue of questions out of a policy bundle.

The catalogue is one canonical JSON file, public within the federation: every
question with the plain words for *yes* and *no*, and the lists a person asking
chooses from (purposes, legal gateways, sharing agreements, reasons). Its SHA-256
stands in every ledger record, so what a question meant on the day it was asked
can always be shown. It says nothing about anybody.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from accord import canonical
from accord.canonical import Json, NotCanonical, decode_object, sha256
from accord.reasons import Problem

PATH: Final = "accord/data/catalogue/data.json"
"""Where the catalogue lies in a policy bundle; the rules read it as data.accord.data.catalogue."""

MAX_BYTES: Final = 4 * 1024 * 1024
MAX_QUESTIONS: Final = 5_000

ANY: Final = "any"
"""The composition in which one yes makes a yes, and only all together a no."""

FEWEST_FOR_FAMILY: Final = 2
"""Fewest people of whom a family is made: of one, the family's word would be the person's."""

FEWEST_COMPOSED: Final = 2
"""Fewest agencies of whose answers one is made: with one, what is shown would be that agency's own answer."""

_ID: Final = r"[a-z0-9_]+\.[a-z0-9_]+"
_AGENCY: Final = r"[a-z][a-z0-9-]{1,30}"
_WORD: Final = r"[A-Za-z0-9_.-]{1,64}"
_TEXT: Final = r"[^\x00-\x1f\x7f]{1,300}"


class BadCatalogue(Problem):
    """The catalogue does not have its agreed form."""

    reason = "BAD_CATALOGUE"


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Attributes:
        id: Area and name, such as `agency.contact`. Never used again for another question.
        version: 1 or more; a change of meaning is a new version.
        title: The question in plain words.
        meaning_of_yes: What *yes* says.
        meaning_of_no: What *no* says.
        subjects: Whom it can be asked about: person, family. About a family alone means that an agency says one word of
            the family as a whole, and never of whom in it.
        answer: Form of the answer: boolean or recency.
        shows_recency: Whether a yes says how long ago.
        composition: How agencies' answers are put together: per_agency (each is shown) or any (the broker makes one
            answer of them, and none is shown).
        yes_when: What makes a yes: count (at least one in the window) or open (open today).
        window_days: How far back a count looks, days; None when it does not.
        owners: Agencies that answer it, sorted.
        sensitivity: ordinary, special, criminal or sensitive_service.
        min_tier: Lowest level of need, 1 to 4.
        purposes: Purposes it may be asked for, sorted.
        gateways: Agency -> purpose -> the gateway usually claimed.
        min_role: Lowest role that may ask.
        freshness_limit_s: Oldest state of an agency's records that may still answer, seconds.
        next_step: What to do with a yes; may be empty.
        risk_factor_code: Code of the UK vulnerability taxonomy; may be empty.
        deprecated_by: The question that took its place, or None.
    """

    id: str
    version: int
    title: str
    meaning_of_yes: str
    meaning_of_no: str
    subjects: frozenset[str]
    answer: str
    shows_recency: bool
    composition: str
    yes_when: str
    window_days: int | None
    owners: tuple[str, ...]
    sensitivity: str
    min_tier: int
    purposes: tuple[str, ...]
    gateways: Mapping[str, Mapping[str, str]]
    min_role: str
    freshness_limit_s: int
    next_step: str
    risk_factor_code: str
    deprecated_by: str | None

    @property
    def of_family(self) -> bool:
        """Whether it is answered for a family as a whole."""
        return "person" not in self.subjects


@dataclass(frozen=True, slots=True)
class Gateway:
    """A legal gateway, as people read it.

    Attributes:
        title: In plain words.
        cite: The section or rule.
        art6: Lawful bases that go with it (Article 6(1) UK GDPR), the usual one first.
    """

    title: str
    cite: str
    art6: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Purpose:
    """A purpose, as people read it.

    Attributes:
        title: In plain words.
        kind: supportive, protective or administrative.
        agreement: required, not_operative or not_applicable.
        min_tier: Lowest level of need that goes with it.
        max_tier: Highest.
        case_required: Whether it needs a case.
    """

    title: str
    kind: str
    agreement: str
    min_tier: int
    max_tier: int
    case_required: bool


@dataclass(frozen=True, slots=True)
class Agency:
    """An agency, as people read it.

    Attributes:
        title: Its name.
        contact: The team to ring.
        public: False for a body that is no public authority.
    """

    title: str
    contact: str
    public: bool


@dataclass(frozen=True, slots=True)
class SharingAgreement:
    """A sharing agreement between agencies: what it covers and when, nanoseconds since 1970."""

    id: str
    title: str
    parties: tuple[str, ...]
    questions: tuple[str, ...]
    purposes: tuple[str, ...]
    effective_from_ns: int
    effective_to_ns: int


@dataclass(frozen=True, slots=True)
class Claim:
    """What an asker usually claims towards one agency; see accord.statement.Target."""

    gateway: str
    art6: str
    art9: str
    sch1: str
    crime: str
    isa_id: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The catalogue in force.

    Attributes:
        questions: By identifier.
        gateways: By identifier.
        purposes: By identifier.
        agencies: By identifier.
        sharing_agreements: By identifier, sorted.
        necessity_codes: Code -> why an answer can be needed, in plain words.
        proportionality_codes: Code -> why asking can be in proportion.
        sch1_conditions: Article 9 condition -> Schedule 1 conditions that go with it.
        digest: SHA-256 of the bytes it was read from, hexadecimal.
    """

    questions: Mapping[str, Question]
    gateways: Mapping[str, Gateway]
    purposes: Mapping[str, Purpose]
    agencies: Mapping[str, Agency]
    sharing_agreements: tuple[SharingAgreement, ...]
    necessity_codes: Mapping[str, str]
    proportionality_codes: Mapping[str, str]
    sch1_conditions: Mapping[str, tuple[str, ...]]
    digest: str

    def claim(self, question: str, purpose: str, asker: str, holder: str) -> Claim | None:
        """What is usually claimed for a question; None when the catalogue names no gateway or sharing agreement.

        Args:
            question: Catalogue identifier.
            purpose: Purpose identifier.
            asker: The asking agency.
            holder: The agency asked.
        """
        row = self.questions.get(question)
        gateway = None if row is None else row.gateways.get(holder, {}).get(purpose)
        covering = [
            isa.id
            for isa in self.sharing_agreements
            if {asker, holder} <= set(isa.parties) and question in isa.questions and purpose in isa.purposes
        ]
        if row is None or gateway is None or not covering or holder not in self.agencies:
            return None
        closed_to = "ea" if self.agencies[holder].public else "e"
        art6 = next((basis for basis in self.gateways[gateway].art6 if basis != closed_to), None)
        if art6 is None:
            return None
        special = row.sensitivity in {"special", "sensitive_service"}
        return Claim(
            gateway=gateway,
            art6=art6,
            art9="g" if special else "none",
            sch1=self.sch1_conditions["g"][0] if special else "none",
            crime="official_authority" if row.sensitivity == "criminal" else "none",
            isa_id=covering[0],
        )


def parse(data: bytes) -> Catalogue:
    """Read a catalogue.

    Args:
        data: The canonical bytes of the bundle's catalogue file, at most MAX_BYTES.

    Raises:
        BadCatalogue: Too long, not canonical JSON, a field missing or unknown or of the wrong form, or an entry that
            names a purpose, gateway or agency that is not in the catalogue.
    """
    try:
        value = decode_object(data, MAX_BYTES)
        canonical.closed(
            value,
            [
                "v",
                "questions",
                "gateways",
                "purposes",
                "agencies",
                "sharing_agreements",
                "necessity_codes",
                "proportionality_codes",
                "sch1_conditions",
            ],
        )
        canonical.integer(value, "v", 1, 1)
        catalogue = Catalogue(
            questions={key: _question(key, row) for key, row in _rows(value, "questions", _ID)},
            gateways={key: _gateway(row) for key, row in _rows(value, "gateways", _WORD)},
            purposes={key: _purpose(row) for key, row in _rows(value, "purposes", _WORD)},
            agencies={key: _agency(row) for key, row in _rows(value, "agencies", _AGENCY)},
            sharing_agreements=tuple(_sharing(row) for row in canonical.objects(value, "sharing_agreements", 5_000)),
            necessity_codes=_texts(value, "necessity_codes"),
            proportionality_codes=_texts(value, "proportionality_codes"),
            sch1_conditions={
                key: canonical.strings(_object(value, "sch1_conditions"), key, 20, _WORD)
                for key in _object(value, "sch1_conditions")
            },
            digest=sha256(data).hex(),
        )
    except NotCanonical as error:
        raise BadCatalogue(str(error)) from error
    _check_references(catalogue)
    return catalogue


def _check_references(catalogue: Catalogue) -> None:
    for question in catalogue.questions.values():
        named = {gateway for row in question.gateways.values() for gateway in row.values()}
        claimed_for = {purpose for row in question.gateways.values() for purpose in row}
        if not (
            set(question.owners) <= set(catalogue.agencies)
            and set(question.gateways) <= set(question.owners)
            and set(question.purposes) <= set(catalogue.purposes)
            and claimed_for <= set(question.purposes)
            and named <= set(catalogue.gateways)
        ):
            raise BadCatalogue(f"{question.id} names a purpose, gateway or agency that the catalogue does not have")


def _object(value: Mapping[str, Json], key: str) -> dict[str, Json]:
    found = value.get(key)
    if not isinstance(found, dict) or len(found) > MAX_QUESTIONS:
        raise NotCanonical(f"{key} is missing, not an object, or too long")
    return found


def _rows(value: Mapping[str, Json], key: str, pattern: str) -> list[tuple[str, dict[str, Json]]]:
    found = _object(value, key)
    for name in found:
        canonical.text({"id": name}, "id", pattern)
    return [(name, _object(found, name)) for name in found]


def _texts(value: Mapping[str, Json], key: str) -> dict[str, str]:
    found = _object(value, key)
    return {canonical.text({"id": name}, "id", _WORD): canonical.text(found, name, _TEXT) for name in found}


def _question(key: str, row: dict[str, Json]) -> Question:
    canonical.closed(
        row,
        [
            "id",
            "version",
            "title",
            "meaning_of_yes",
            "meaning_of_no",
            "subjects",
            "answer",
            "shows_recency",
            "composition",
            "yes_when",
            "window_days",
            "owners",
            "sensitivity",
            "min_tier",
            "purposes",
            "gateways",
            "min_role",
            "freshness_limit_s",
            "next_step",
            "risk_factor_code",
            "deprecated_by",
        ],
    )
    if row["id"] != key:
        raise NotCanonical(f"{key} is listed under another name")
    yes_when = canonical.text(row, "yes_when", "count|open")
    window = None if row["window_days"] is None else canonical.integer(row, "window_days", 1, 36_600)
    if (yes_when == "count") != (window is not None):
        raise NotCanonical(f"{key} counts without a window, or has a window and does not count")
    subjects = canonical.strings(row, "subjects", 2, "person|family")
    composition = canonical.text(row, "composition", f"per_agency|{ANY}")
    if composition == ANY and ("person" in subjects or row["shows_recency"] is not False):
        # Who in the family, and how long ago, would say which agency it was.
        raise NotCanonical(f"{key} puts answers together and is not about a family as a whole, or shows recency")
    gateways = _object(row, "gateways")
    return Question(
        id=key,
        version=canonical.integer(row, "version", 1, 10_000),
        title=canonical.text(row, "title", _TEXT),
        meaning_of_yes=canonical.text(row, "meaning_of_yes", _TEXT),
        meaning_of_no=canonical.text(row, "meaning_of_no", _TEXT),
        subjects=frozenset(subjects),
        answer=canonical.text(row, "answer", "boolean|recency"),
        shows_recency=canonical.boolean(row, "shows_recency"),
        composition=composition,
        yes_when=yes_when,
        window_days=window,
        owners=canonical.strings(row, "owners", 200, _AGENCY),
        sensitivity=canonical.text(row, "sensitivity", "ordinary|special|criminal|sensitive_service"),
        min_tier=canonical.integer(row, "min_tier", 1, 4),
        purposes=canonical.strings(row, "purposes", 20, _WORD),
        gateways={
            agency: {purpose: canonical.text(_object(gateways, agency), purpose, _WORD) for purpose in claims}
            for agency, claims in _rows(row, "gateways", _AGENCY)
        },
        min_role=canonical.text(row, "min_role", "practitioner|duty_officer|manager"),
        freshness_limit_s=canonical.integer(row, "freshness_limit_s", 60, 31_536_000),
        next_step=canonical.text(row, "next_step", rf"(?:{_TEXT})?"),
        risk_factor_code=canonical.text(row, "risk_factor_code", rf"(?:{_WORD})?"),
        deprecated_by=None if row["deprecated_by"] is None else canonical.text(row, "deprecated_by", _ID),
    )


def _gateway(row: dict[str, Json]) -> Gateway:
    canonical.closed(row, ["title", "cite", "art6"])
    return Gateway(
        title=canonical.text(row, "title", _TEXT),
        cite=canonical.text(row, "cite", _TEXT),
        art6=canonical.strings(row, "art6", 7, "a|c|d|e|ea|f|part3"),
    )


def _purpose(row: dict[str, Json]) -> Purpose:
    canonical.closed(row, ["title", "kind", "agreement", "min_tier", "max_tier", "case_required"])
    return Purpose(
        title=canonical.text(row, "title", _TEXT),
        kind=canonical.text(row, "kind", "supportive|protective|administrative"),
        agreement=canonical.text(row, "agreement", "required|not_operative|not_applicable"),
        min_tier=canonical.integer(row, "min_tier", 1, 4),
        max_tier=canonical.integer(row, "max_tier", 1, 4),
        case_required=canonical.boolean(row, "case_required"),
    )


def _agency(row: dict[str, Json]) -> Agency:
    canonical.closed(row, ["title", "contact", "public"])
    return Agency(
        title=canonical.text(row, "title", _TEXT),
        contact=canonical.text(row, "contact", _TEXT),
        public=canonical.boolean(row, "public"),
    )


def _sharing(row: dict[str, Json]) -> SharingAgreement:
    canonical.closed(row, ["id", "title", "parties", "questions", "purposes", "effective_from_ns", "effective_to_ns"])
    return SharingAgreement(
        id=canonical.text(row, "id", _WORD),
        title=canonical.text(row, "title", _TEXT),
        parties=canonical.strings(row, "parties", 200, _AGENCY),
        questions=canonical.strings(row, "questions", 500, _ID),
        purposes=canonical.strings(row, "purposes", 20, _WORD),
        effective_from_ns=canonical.integer(row, "effective_from_ns", -(2**63)),
        effective_to_ns=canonical.integer(row, "effective_to_ns", -(2**63)),
    )
