"""How likely a description and a record mean one person, computed in clear text inside the node that holds the record.

    Description, record -> levels of agreement -> weights -> posterior -> tier

Fellegi and Sunter's model of record linkage (https://doi.org/10.1080/01621459.1969.10501049) with one addition. A pair
of descriptions may mean *the same person*, or *two people by chance*; it may also mean *two relatives*, who share a
home and a surname: *twins* share a birth date as well, *namesakes* (a son called after his father) a first name.
Without these, a brother at the same address looks like the person asked about. Each hypothesis has its own
probabilities for each level of agreement:

* same person (m): shipped with the program, counted over invented people only, versioned (`link_prior.json`);
* chance (u), the frequency of values, and the odds that a person is known here at all: from the agency's own records
  (`statistics`), blended with shipped ones, since a small agency is asked about people who are not in its records;
* twins, namesakes and other relatives: shipped, counted over invented families. Twins who have grown up rarely share a
  home, so how old somebody is matters.

A relative is a reason not to be sure, never a reason to say no: where only the relatives' hypotheses speak against the
person, and first name and birth date do not both contradict, the posterior stays at `POSSIBLE` (T-LNK-3).
"""

import hmac
import json
import math
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from enum import Enum
from functools import cache
from importlib import resources
from typing import Any, ClassVar, Final

from doublemetaphone import doublemetaphone
from rapidfuzz.distance import OSA, JaroWinkler

from accord.canonical import lp
from accord.identity import Description
from accord.nicknames import roots_of
from accord.reasons import Problem

FIELDS: Final[Mapping[str, int]] = {
    "first": 6,
    "last": 6,
    "dob": 7,
    "postcode": 4,
    "address": 6,
    "sex": 2,
    "middle": 2,
    "nhs": 2,
}
"""What is compared -> how many levels of agreement it has; the highest is equality."""

COUNTED: Final = ("first", "last", "dob", "postcode")
"""Fields whose values differ much in frequency: agreeing on Smith says less than agreeing on Thorley."""

UNKNOWN: Final = -1
"""The level of a field that either side lacks: no evidence either way."""

CONFIRMED: Final = 0.999
PROBABLE: Final = 0.95
POSSIBLE: Final = 0.5

GENERATION: Final = 15
"""Years between the births of people who are called after each other; brothers and sisters are never called alike."""

SAMPLED_PAIRS: Final = 50_000
"""How many random pairs of records `statistics` compares; about two seconds."""

MIN_FREQUENCY: Final = 1e-7

_HASH_BYTES: Final = 8
_VERSION: Final = 1

Levels = tuple[int, ...]
"""Levels of agreement in the order of FIELDS, UNKNOWN where a side lacks the field."""


class Tier(Enum):
    """How sure a link is. *Yes*, and *no about a known person*, need CONFIRMED or PROBABLE."""

    CONFIRMED = "CONFIRMED"
    PROBABLE = "PROBABLE"
    POSSIBLE = "POSSIBLE"
    NONE = "NONE"


def tier(probability: float) -> Tier:
    """The tier of a posterior."""
    if probability >= CONFIRMED:
        return Tier.CONFIRMED
    if probability >= PROBABLE:
        return Tier.PROBABLE
    return Tier.POSSIBLE if probability >= POSSIBLE else Tier.NONE


class BadStatistics(Problem):
    """Stored statistics or the shipped prior cannot be used; the index has to be built again."""

    reason: ClassVar[str] = "INDEX_MISSING"


# -- Levels of agreement ----------------------------------------------------------------------------------------------


def compare(asked: Description, record: Description) -> Levels:
    """Levels of agreement of two descriptions, field by field in the order of FIELDS."""
    first = _names(asked.first, record.first)
    last = _names(asked.last, record.last)
    if 0 <= first <= 1 and 0 <= last <= 1:
        # First and last name in each other's place.
        swapped = _names(asked.first, record.last), _names(asked.last, record.first)
        if min(swapped) >= 3:
            # Which of them is the first name cannot be told, so the better of the two counts as the last name.
            first, last = sorted(max(level - 1, 3) for level in swapped)
        elif max(swapped) >= 4:
            # And one of them is another name altogether.
            first, last = min(swapped), 3
    if 0 <= first <= 2 and (_goes_by(asked, record) or _goes_by(record, asked)):
        first = 3
    if 0 <= last < 4:
        # Under an earlier name it is the same person, yet not the same name.
        pairs = [(one, record.last) for one in asked.former_last] + [
            (asked_last, one) for one in record.former_last for asked_last in (asked.last, *asked.former_last)
        ]
        last = max([last, *(min(4, _names(*pair)) for pair in pairs if all(pair))])
    return (
        first,
        last,
        _dates(asked.dob, record.dob),
        _postcodes(asked, record),
        _addresses(asked, record),
        _equal(asked.sex, record.sex),
        _equal(asked.middle[:1], record.middle[:1]),
        _equal(asked.nhs, record.nhs),
    )


def _goes_by(one: Description, other: Description) -> bool:
    """Whether somebody is called by what the other side has for a middle name."""
    return len(one.first) > 2 and one.first in other.middle.split(" ")


def _names(one: str, other: str) -> int:
    if not one or not other:
        return UNKNOWN
    parts = _long_parts(one) & _long_parts(other)
    one, other = one.replace(" ", ""), other.replace(" ", "")
    if one == other:
        return 5
    alike = JaroWinkler.similarity(one, other)
    if alike >= 0.92 or parts or {one, *roots_of(one)} & {other, *roots_of(other)}:
        return 4
    if alike >= 0.85 or OSA.distance(one, other, score_cutoff=1) <= 1:
        return 3
    if _sound(one) == _sound(other):
        return 2
    return 1 if alike >= 0.70 else 0


def _long_parts(name: str) -> set[str]:
    return {part for part in name.split(" ") if len(part) > 2}


@cache
def _sound(name: str) -> str:
    return str(doublemetaphone(name)[0] or name[:2])


def _dates(one: str, other: str) -> int:
    if len(one) != 8 or len(other) != 8:
        return UNKNOWN
    if one == other:
        return 6
    edits = OSA.distance(one, other, score_cutoff=2)
    if edits <= 1 or (one[:4] == other[:4] and (one[4:6], one[6:]) == (other[6:], other[4:6])):
        return 5
    if edits == 2:
        return 4
    if (one[:4] == other[:4]) + (one[4:6] == other[4:6]) + (one[6:] == other[6:]) >= 2:
        return 3
    if one[:4] == other[:4] or one[4:] == other[4:]:
        return 2
    return 1 if abs(int(one[:4]) - int(other[:4])) < GENERATION else 0


def _postcodes(asked: Description, record: Description) -> int:
    if not asked.postcode or not record.postcode:
        return UNKNOWN
    if asked.postcode == record.postcode:
        return 3
    edits = OSA.distance(asked.postcode, record.postcode, score_cutoff=2)
    if edits <= 1 or asked.postcode in record.former_postcodes or record.postcode in asked.former_postcodes:
        return 2
    return 1 if edits == 2 or asked.postcode[:3] == record.postcode[:3] else 0


def _addresses(asked: Description, record: Description) -> int:
    if not asked.street or not record.street:
        return UNKNOWN
    one, other = asked.street.replace(" ", ""), record.street.replace(" ", "")
    alike = 1.0 if one == other else JaroWinkler.similarity(one, other)
    house, flat = _house(asked.number), _house(record.number)
    exact = bool(asked.number) and asked.number == record.number
    # One side may leave the flat out; two different flats are two homes.
    same = exact or (bool(house[0]) and house[0] == flat[0] and not (house[1] and flat[1]))
    if alike >= 1.0 and exact:
        return 5
    if alike >= 0.9 and same:
        return 4
    if alike >= 0.9 or (alike >= 0.75 and same):
        return 3
    return 1 if same else 0


def _house(number: str) -> tuple[str, str]:
    house, _, flat = number.partition("/")
    return house, flat


def _equal(one: str, other: str) -> int:
    return UNKNOWN if not one or not other else int(one == other)


# -- What the agency's own records say about chance -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Statistics:
    """Frequencies in one agency's records: keyed hashes and counts, no value; a value that stands alone is left out.

    Attributes:
        people: How many records.
        pairs: Field -> how many of the sampled random pairs agreed at each level.
        counts: Field -> keyed hash of a value (hexadecimal) -> how many records have it, where it is more than one.
        totals: Field -> how many records have any value.
    """

    people: int
    pairs: Mapping[str, tuple[int, ...]]
    counts: Mapping[str, Mapping[str, int]]
    totals: Mapping[str, int]

    def others(self, field: str, value: str, key: bytes) -> int:
        """How many records beside one have this value.

        Args:
            field: One of COUNTED.
            value: Normalised.
            key: The key of the hashes; a secret of the node.
        """
        return max(self.counts.get(field, {}).get(hashed(field, value, key), 1) - 1, 0)

    def frequency(self, field: str, value: str, key: bytes, prior: "Prior") -> float:
        """The share of other people who have this value.

        What is usual counts as one sighting: that none of 3,000 people shares a birth date does not make the date any
        rarer than dates are.

        Args:
            field: One of COUNTED.
            value: Normalised.
            key: The key of the hashes; a secret of the node.
            prior: Says what is usual.
        """
        seen = self.others(field, value, key)
        return max((seen + 1) / (self.totals.get(field, 0) + 1 / prior.usual[field]), MIN_FREQUENCY)

    def usually(self, field: str, prior: "Prior") -> float:
        """The frequency that an ordinary record's value has: the geometric mean of `frequency` over all records.

        Args:
            field: One of COUNTED.
            prior: Says what is usual.
        """
        total, counts = self.totals.get(field, 0), self.counts.get(field, {})
        # A value that stands alone is seen in nobody else's record, which makes one sighting: the logarithm of it is 0.
        seen = sum(count * math.log(count) for count in counts.values()) / total if total else 0.0
        return max(math.exp(seen) / (total + 1 / prior.usual[field]), MIN_FREQUENCY)

    def to_json(self) -> str:
        """As text that `from_json` reads."""
        return json.dumps(
            {
                "v": _VERSION,
                "people": self.people,
                "pairs": {field: list(counts) for field, counts in self.pairs.items()},
                "counts": {field: dict(counts) for field, counts in self.counts.items()},
                "totals": dict(self.totals),
            },
            sort_keys=True,
        )

    @classmethod
    def from_json(cls, written: str) -> "Statistics":
        """Read what `to_json` wrote.

        Raises:
            BadStatistics: It is something else.
        """
        try:
            value = json.loads(written)
            if value["v"] != _VERSION:
                raise ValueError("another version")
            read = cls(
                people=_count(value["people"]),
                pairs={field: tuple(map(_count, value["pairs"][field])) for field in FIELDS},
                counts={
                    field: {str(hashed): _count(count) for hashed, count in value["counts"][field].items()}
                    for field in COUNTED
                },
                totals={field: _count(value["totals"][field]) for field in COUNTED},
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise BadStatistics("the stored statistics cannot be read; build the index again") from None
        if any(len(read.pairs[field]) != levels for field, levels in FIELDS.items()):
            raise BadStatistics("the stored statistics are of another form; build the index again")
        return read


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("not a count")
    return value


def hashed(field: str, value: str, key: bytes) -> str:
    """The keyed hash under which a value is counted, hexadecimal: HMAC-SHA256 (RFC 2104), shortened."""
    return hmac.digest(key, lp(b"accord frequency v1", field.encode(), value.encode()), "sha256")[:_HASH_BYTES].hex()


def statistics(descriptions: Iterable[Description], seed: int, key: bytes) -> Statistics:
    """Frequencies and random agreement in an agency's records. Needs them in memory while it runs.

    Args:
        descriptions: One for each record.
        seed: Which random pairs are compared; the same seed gives the same statistics.
        key: Key of the hashes, a secret of the node, 16 bytes or more.

    Raises:
        ValueError: The key is too short.
    """
    if len(key) < 16:
        raise ValueError("the key of the frequency hashes is shorter than 16 bytes")
    records = list(descriptions)
    counts: dict[str, dict[str, int]] = {}
    totals: dict[str, int] = {}
    for field in COUNTED:
        values = Counter(value for record in records if (value := str(getattr(record, field))))
        counts[field] = {hashed(field, value, key): count for value, count in values.items() if count > 1}
        totals[field] = values.total()
    chooser = random.Random(seed)  # noqa: S311 - a sample for an estimate, no secret
    seen = {field: [0] * levels for field, levels in FIELDS.items()}
    # No more draws than there are pairs: five records cannot tell as much as fifty thousand draws would pretend.
    for _ in range(min(SAMPLED_PAIRS, len(records) * (len(records) - 1) // 2)):
        one, other = chooser.sample(range(len(records)), 2)
        for field, level in zip(FIELDS, compare(records[one], records[other]), strict=True):
            if level >= 0:
                seen[field][level] += 1
    return Statistics(len(records), {field: tuple(levels) for field, levels in seen.items()}, counts, totals)


# -- The shipped prior ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kin:
    """One way in which two people can be related.

    Attributes:
        odds: How many such relatives are known where the person is not, for each person known.
        of: Age in years from which people have them.
        below: Age from which they have them no more.
        levels: Field -> probability of each level of agreement.
    """

    odds: float
    of: int
    below: int
    levels: Mapping[str, tuple[float, ...]]

    def fits(self, age: int | None) -> bool:
        """Whether somebody of that age can have one; of unknown age, they can."""
        return age is None or self.of <= age < self.below


@dataclass(frozen=True, slots=True)
class Prior:
    """What is known before any agency's records are seen.

    Attributes:
        version: Named in reports of accuracy; another prior is another version.
        same: Field -> probability of each level when both mean one person (m).
        chance: Field -> probability of each level for two people by chance (u).
        kin: twin, grown twin, namesake and relative.
        usual: Field of COUNTED -> frequency of an ordinary value.
        known: How likely it is that a person asked about is known here.
        strength_people: Added to an agency's own people for the odds, since who is asked about is drawn from a town.
        strength_pairs: For how many random pairs of an agency's own `chance` counts.
    """

    version: str
    same: Mapping[str, tuple[float, ...]]
    chance: Mapping[str, tuple[float, ...]]
    kin: Mapping[str, Kin]
    usual: Mapping[str, float]
    known: float
    strength_people: int
    strength_pairs: int

    def to_json(self) -> str:
        """As text that `parse_prior` reads; probabilities have six digits."""
        kin = {
            name: {"odds": one.odds, "of": one.of, "below": one.below, "levels": rounded(one.levels)}
            for name, one in self.kin.items()
        }
        written = asdict(self) | {"same": rounded(self.same), "chance": rounded(self.chance), "kin": kin}
        return json.dumps(written, indent=1) + "\n"


def rounded(table: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """Six digits, none of them 0, adding up to one."""
    made = {}
    for field, shares in table.items():
        row = [max(round(share, 6), 0.000001) for share in shares]
        most = row.index(max(row))
        row[most] = round(row[most] + 1 - sum(row), 6)
        made[field] = row
    return made


def parse_prior(written: str) -> Prior:
    """Read a prior.

    Args:
        written: JSON, as `Prior.to_json` makes it.

    Raises:
        BadStatistics: It is malformed, or its probabilities do not add up to one.
    """
    try:
        value = json.loads(written)
        return Prior(
            version=str(value["version"]),
            same=_table(value["same"]),
            chance=_table(value["chance"]),
            kin={name: _kin(one) for name, one in value["kin"].items()},
            usual={field: _share(value["usual"][field]) for field in COUNTED},
            known=_share(value["known"]),
            strength_people=_count(value["strength_people"]),
            strength_pairs=_count(value["strength_pairs"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadStatistics("the prior of linkage cannot be read, or does not add up") from None


def _kin(value: Mapping[str, Any]) -> Kin:
    return Kin(_share(value["odds"], 100), _count(value["of"]), _count(value["below"]), _table(value["levels"]))


def _table(value: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, ...]]:
    table = {field: tuple(_share(share) for share in value[field]) for field in FIELDS}
    if any(len(table[field]) != levels or abs(sum(table[field]) - 1) > 1e-5 for field, levels in FIELDS.items()):
        raise ValueError("does not add up")
    return table


def _share(value: object, most: float = 1.0) -> float:
    if not isinstance(value, float) or not 0 < value < most:
        raise ValueError("not a share")
    return value


def shipped_prior() -> Prior:
    """The prior that ships with this program; its version is in every report of accuracy.

    Raises:
        BadStatistics: The installed file is damaged.
    """
    return parse_prior(resources.files("agency_node").joinpath("link_prior.json").read_text(encoding="utf-8"))


# -- Posterior --------------------------------------------------------------------------------------------------------


def posterior(asked: Description, record: Description, known: Statistics, key: bytes, prior: Prior, on: date) -> float:
    """How likely it is that the description asked about and the record mean one person, 0 to 1.

    Args:
        asked: As it was sent.
        record: As the agency has it now.
        known: The agency's statistics.
        key: Key of the statistics' hashes.
        prior: The prior in force.
        on: The day of the question: ages count from it.
    """
    levels = compare(asked, record)
    return weigh(levels, shared(levels, record, known, key, prior), known, prior, age_of(asked.dob or record.dob, on))


def shared(levels: Levels, record: Description, known: Statistics, key: bytes, prior: Prior) -> dict[str, float]:
    """Field of COUNTED that agrees -> the share of other people who have the value agreed on."""
    return {
        field: known.frequency(field, str(getattr(record, field)), key, prior)
        for field, level in zip(FIELDS, levels, strict=True)
        if field in COUNTED and level == FIELDS[field] - 1
    }


def weigh(levels: Levels, common: Mapping[str, float], known: Statistics, prior: Prior, age: int | None) -> float:
    """How likely it is that two descriptions mean one person, by their levels of agreement alone, 0 to 1.

    Args:
        levels: From `compare`.
        common: Field of COUNTED that agrees -> how common the value agreed on is, from `shared`.
        known: The agency's statistics.
        prior: The prior in force.
        age: Of the person, whole years; None when it is not known.
    """
    agreed = [(field, level) for field, level in zip(FIELDS, levels, strict=True) if level != UNKNOWN]
    same = sum(math.log(prior.same[field][level]) for field, level in agreed)
    chance = 0.0
    for field, level in agreed:
        if field in COUNTED and level == FIELDS[field] - 1:
            chance += math.log(common[field])
        else:
            chance += math.log(by_chance(field, level, known, prior))
    share = known_share(known, prior)
    # Odds of each other hypothesis against "same person"; 600 keeps the exponential finite.
    stranger = math.exp(min(chance - same, 600.0)) * (1 - share) / share
    related = 0.0
    for kin in prior.kin.values():
        if not kin.fits(age):
            continue
        alike = sum(math.log(kin.levels[field][level]) for field, level in agreed)
        related += kin.odds * math.exp(min(alike - same, 600.0))
    certain = 1 / (1 + stranger + related)
    if certain > POSSIBLE and _twin(levels):
        return POSSIBLE
    if certain < POSSIBLE <= 1 / (1 + stranger) and not _contradicts(levels):
        return POSSIBLE
    return certain


def known_share(known: Statistics, prior: Prior) -> float:
    """The share of all pairs of a person asked about and a record that mean one person, before anything is compared."""
    return prior.known / (known.people + prior.strength_people)


def held_to(shipped: Tier, own: Tier) -> Tier:
    """How sure a link is under weights of a node's own, held to how sure it is under those that ship.

    *Confirmed*, and *not this person*, only where both agree; *probable* where the own weights are sure and the shipped
    ones do not say that it is somebody else; otherwise nothing can be said. The shipped weights were measured on sets
    that nobody here made, a node's own on nothing but what others asked it: so whoever asks a node many odd questions
    cannot teach it to be sure, nor to say no of somebody whom it holds (T-LNK-3).
    """
    if own is shipped:
        return own
    if own in _YES and shipped is not Tier.NONE:
        return Tier.PROBABLE
    return Tier.POSSIBLE


_YES: Final = (Tier.CONFIRMED, Tier.PROBABLE)


def _twin(levels: Levels) -> bool:
    """Born the same day under a like name, but of another sex or with another middle initial: Daniel and Danielle.

    A slip in two fields at once is rarer than twins with like names, and an answer about the wrong twin is worse than
    none (T-LNK-3).
    """
    first, _, dob, _, _, sex, middle, _ = levels
    return 0 <= first < 5 and dob == FIELDS["dob"] - 1 and 0 in {sex, middle}


def _contradicts(levels: Levels) -> bool:
    """First name and birth date both speak against: a relative, as far as one can tell."""
    first, _, dob, *_ = levels
    return 0 <= first <= 1 and 0 <= dob <= 3


def age_of(dob: str, on: date) -> int | None:
    """Whole years by the calendar year, or None where there is no date."""
    return max(0, on.year - int(dob[:4])) if dob else None


def by_chance(field: str, level: int, known: Statistics, prior: Prior) -> float:
    """The probability of a level for two people by chance (u): the agency's own random pairs and the shipped share."""
    seen = known.pairs.get(field, ())
    usual = prior.chance[field][level] * prior.strength_pairs
    return ((seen[level] if seen else 0) + usual) / (sum(seen) + prior.strength_pairs)
