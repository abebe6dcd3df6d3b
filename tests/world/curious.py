"""A curious agency that spends its allowance on guesses: the attack of T-LNK-6, carried out on an invented area.

    public facts, whom it holds, a family -> the likeliest guesses -> how many people whom it does not hold are reached

It knows everything that anybody can look up (`tests.world.area.Laws`: how common each name is in each decade, the age
structure, every address and postcode) and what it holds itself: it guesses least where it holds somebody already.
Reaching a person by any one key opens their envelope. Guesses are whole keys, compared with everybody's real keys.

A guess is made of names, birth date and place, taken as independent given the decade of birth. That is how the area was
drawn, save that households share a last name, so hardly any other order would reach more.

Run by hand, for all families: `python -m tests.world.curious --people 100000` (about ten minutes).
"""

import argparse
import sys
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Final

from accord import allowance
from accord.identity import FAMILIES, Description, Family, values_of
from tests.world.area import COHORT, MIDDLE, Area, Laws, area, cohort

Value = tuple[str, ...]
Level = Callable[[str, Description], tuple[str, ...]]

AGENCIES: Final[Mapping[str, tuple[float, bool]]] = {"police": (0.20, False), "health": (0.45, True)}
"""Agency -> the share of the area that it holds, and whether it holds whole households."""

GUESSED: Final = tuple(family for family in FAMILIES if family.id != "nhs.x")
"""An NHS number is one of a thousand million; no guesses at it are simulated."""

NAMES_KEPT: Final = 400_000
"""Most combinations of names looked at in each decade, the commonest."""
_AHEAD: Final = 5_000
RESIDUAL: Final = 0.02
"""People still expected at a home where the agency holds as many as live there on average."""


@dataclass(frozen=True, slots=True)
class Reached:
    """What one agency's guesses in one family came to.

    Attributes:
        agency: Of AGENCIES.
        family: Family id.
        guesses: How many were made.
        covered: Share of the area's people who were reached and are not the agency's own.
    """

    agency: str
    family: str
    guesses: int
    covered: float


def trial(
    where: Area, seed: int, families: Iterable[Family] = GUESSED, level: Level = values_of, of: int = 0
) -> Iterator[Reached]:
    """Let every agency spend a year's allowance on each family.

    Args:
        where: The area, or some people drawn from it.
        seed: Who is held by whom.
        families: Families to try; one that is not of the federation's set has the allowance of one without variants.
        level: Values of one part of a key for a description.
        of: How many people the whole area has. Families without a place are tried as in an area of that size; a place
            has as many neighbours whatever the size.
    """
    held = {agency: hold(where, share, f"{seed} {agency}", homes=homes) for agency, (share, homes) in AGENCIES.items()}
    for family in families:
        has_place = bool({"pc.x", "addr.x", "addr.st"} & set(family.parts))
        scale = 1.0 if has_place else max(of, len(where.people)) / len(where.people)
        keys = _keys(where, family, level)
        for agency, positions in held.items():
            yield _guess(where, keys, agency, positions, family, level, scale)


def guess(where: Area, held: frozenset[int], families: Iterable[Family]) -> Iterator[Reached]:
    """Let one agency that holds these people spend a year's allowance on each family."""
    for family in families:
        yield _guess(where, _keys(where, family, values_of), "", held, family, values_of, 1.0)


def _guess(
    where: Area,
    keys: Mapping[int, list[int]],
    agency: str,
    held: frozenset[int],
    family: Family,
    level: Level,
    scale: float,
) -> Reached:
    allowed = allowance.INDEX_PER_PERSON * round(len(held) * scale) * allowance.variants(family)
    made, reached = 0, set[int]()
    for guessed in _guesses(where, held, family, allowed, level):
        made += 1
        reached.update(keys.get(hash(guessed), ()))
    return Reached(agency, family.id, made, len(reached - held) / len(where.people))


def hold(where: Area, share: float, seed: str, *, homes: bool) -> frozenset[int]:
    """Positions of the people whom an agency holds: whole households, or one by one."""
    chooser = Random(f"held {seed}")
    if homes:
        chosen = {home for home in range(len(where.laws.addresses)) if chooser.random() < share}
        return frozenset(i for i, one in enumerate(where.people) if one.household in chosen)
    return frozenset(i for i in range(len(where.people)) if chooser.random() < share)


def _keys(where: Area, family: Family, level: Level) -> Mapping[int, list[int]]:
    """Hash of a key -> positions of the people who have it."""
    keys: dict[int, list[int]] = defaultdict(list)
    for position, one in enumerate(where.people):
        for value in _product([level(part, one.description) for part in family.parts]):
            keys[hash(value)].append(position)
    return keys


def _product(parts: Sequence[tuple[str, ...]]) -> list[Value]:
    made: list[Value] = [()]
    for part in parts:
        made = [(*before, value) for before in made for value in part if value]
    return made


# -- Guesses, the likeliest first -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Side:
    """Values of some parts of a key, the likeliest first.

    Attributes:
        values: The values.
        weights: How likely each is.
        negative: Minus the weights, which rise, for bisecting.
    """

    values: Sequence[Value]
    weights: Sequence[float]
    negative: Sequence[float]

    @classmethod
    def of(cls, shares: Mapping[Value, float]) -> "_Side":
        ordered = sorted(shares.items(), key=lambda item: -item[1])
        weights = [weight for _, weight in ordered]
        return cls([value for value, _ in ordered], weights, [-weight for weight in weights])

    def above(self, least: float) -> int:
        """How many are at least so likely."""
        return bisect_right(self.negative, -least)


def _guesses(where: Area, held: frozenset[int], family: Family, allowed: int, level: Level) -> Iterator[Value]:
    """Whole keys, the likeliest `allowed` of all."""
    order = {
        kind: [at for at, part in enumerate(family.parts) if _kind(part) == kind] for kind in ("name", "date", "place")
    }
    parts = {kind: [family.parts[i] for i in at] for kind, at in order.items()}
    back = [(*order["name"], *order["date"], *order["place"]).index(i) for i in range(len(family.parts))]
    decades: dict[int, float] = defaultdict(float)
    for year, share in where.laws.years.items():
        decades[cohort(year)] += share
    places = _Side.of(_places(where, held, parts["place"], level))
    dates = {decade: _Side.of(_dates(where.laws, parts["date"], decade, level)) for decade in decades}
    # Fifty times as many as an even spread over dates and places would use: those beyond are too rare to be guessed.
    cells = sum(len(of_decade.values) for of_decade in dates.values()) * len(places.values)
    named = _Names(where.laws, parts["name"], min(NAMES_KEPT, max(5_000, 50 * allowed // cells)), level)
    over = [({one: 1.0}, days) for one, days in dates.items()] if parts["date"] else [(decades, _Side.of({(): 1.0}))]
    sides = [(_Side.of(named.shares(some)), days) for some, days in over]
    least = _least(sides, places, allowed)
    left = allowed
    for surely in (True, False):
        # Guesses just as likely as the last one that is allowed are made only while some are left.
        for names, days in sides:
            for day, day_weight in zip(days.values, days.weights, strict=True):
                for place, place_weight in zip(places.values, places.weights, strict=True):
                    bound = least / (day_weight * place_weight)
                    sure, some = names.above(bound * (1 + 1e-9)), names.above(bound * (1 - 1e-9))
                    if (sure if surely else some) == 0:
                        break
                    for name in names.values[0:sure] if surely else names.values[sure:some]:
                        if left == 0:
                            return
                        left -= 1
                        whole = (*name, *day, *place)
                        yield tuple(whole[i] for i in back)


def _least(sides: Sequence[tuple[_Side, _Side]], places: _Side, allowed: int) -> float:
    """How likely a guess must be, for `allowed` of them or a few more to be as likely."""
    place_counts = Counter(places.weights)
    counted = [
        (names, [(p * d, m * n) for p, m in place_counts.items() for d, n in Counter(days.weights).items()])
        for names, days in sides
    ]
    low, high = 1e-30, 1e6
    for _ in range(100):
        middle = (low * high) ** 0.5
        many = sum(
            names.above(middle / weight * (1 - 1e-9)) * times for names, cells in counted for weight, times in cells
        )
        low, high = (middle, high) if many >= allowed else (low, middle)
    return low


def _kind(part: str) -> str:
    return {"dob": "date", "pc": "place", "addr": "place"}.get(part.partition(".")[0], "name")


def _places(where: Area, held: frozenset[int], parts: Sequence[str], level: Level) -> dict[Value, float]:
    """Values of the parts that say where -> how many people are expected there whom the agency does not hold."""
    if not parts:
        return {(): float(len(where.people))}
    own = Counter(where.people[position].household for position in held)
    found: dict[Value, float] = defaultdict(float)
    for home, (number, street, postcode) in enumerate(where.laws.addresses):
        there = Description(number=number, street=street, postcode=postcode)
        for value in _product([level(part, there) for part in parts]):
            found[value] += max(where.laws.per_home - own[home], RESIDUAL)
    return found


def _dates(laws: Laws, parts: Sequence[str], decade: int, level: Level) -> dict[Value, float]:
    found: dict[Value, float] = defaultdict(float)
    for year in range(decade, decade + COHORT):
        share = laws.years.get(year, 0.0) / 365
        for day in range(365 if share else 0):
            born = Description(dob=f"{date(year, 1, 1) + timedelta(days=day):%Y%m%d}")
            for value in _product([level(part, born) for part in parts]):
                found[value] += share
    return found


class _Names:
    """How common combinations of names are, in some decades."""

    def __init__(self, laws: Laws, parts: Sequence[str], most: int, level: Level) -> None:
        """Work out what does not depend on the decade.

        Args:
            laws: Public facts.
            parts: The parts of a key that are not about date or place.
            most: About how many combinations are wanted, the commonest.
            level: Values of one part of a key for a description.
        """
        self._laws = laws
        self._parts = parts
        self._most = most
        self._swapped = "names.swap" in parts
        self._firsts = [part for part in parts if part.startswith("first.") or part == "sex"]
        self._lasts = [part for part in parts if part.startswith("last.")]
        order = [*self._firsts, *(["mid"] if "mid" in parts else []), *self._lasts]
        self._back = [] if self._swapped else [order.index(part) for part in parts]
        behind: dict[Value, float] = defaultdict(float)
        for name, share in laws.last.items() if self._lasts or self._swapped else ():
            one = Description(last=name)
            for value in [(name,)] if self._swapped else _product([level(part, one) for part in self._lasts]):
                behind[value] += share
        self._behind = _Side.of(behind or {(): 1.0})
        self._values: dict[tuple[str, str], list[Value]] = {}
        for (sex, _), table in laws.first.items():
            for name in table:
                if (sex, name) not in self._values:
                    one = Description(first=name, sex=sex)
                    made = _product([level(part, one) for part in self._firsts])
                    self._values[sex, name] = [(name,)] if self._swapped else made
        self._initials: dict[str, dict[str, float]] = {sex: defaultdict(float) for sex in "fm"}
        for sex, middles in laws.middle.items():
            for name, share in middles.items():
                self._initials[sex][name[0]] += share * MIDDLE

    def shares(self, decades: Mapping[int, float]) -> dict[Value, float]:
        """Combination -> share of the people of these decades, which are weighted."""
        if not self._parts:
            return {(): 1.0}
        ahead: dict[Value, float] = defaultdict(float)
        for sex in "fm":
            of_sex: dict[Value, float] = defaultdict(float)
            for decade, weight in decades.items():
                for name, share in self._laws.first[sex, decade].items():
                    for value in self._values[sex, name]:
                        of_sex[value] += share * weight / 2
            for value, share in of_sex.items():
                if "mid" in self._parts:
                    for initial, of_them in self._initials[sex].items():
                        ahead[(*value, initial)] += share * of_them
                else:
                    ahead[value] += share
        likely = _Side.of(ahead)
        floor = self._floor(likely.weights[:_AHEAD])
        found: dict[Value, float] = defaultdict(float)
        for value, share in zip(likely.values, likely.weights, strict=True):
            if share * self._behind.weights[0] < floor:
                break
            for last, weight in zip(self._behind.values, self._behind.weights, strict=True):
                if share * weight < floor:
                    break
                whole = (*value, *last)
                key = ("|".join(sorted(whole)),) if self._swapped else tuple(whole[i] for i in self._back)
                found[key] += share * weight
        return found

    def _floor(self, ahead: Sequence[float]) -> float:
        """How likely a combination must be to be among the commonest."""
        low, high = 1e-15, 1.0
        for _ in range(40):
            middle = (low * high) ** 0.5
            many = sum(self._behind.above(middle / share) for share in ahead)
            low, high = (middle, high) if many > self._most else (low, middle)
        return low


def main(arguments: Sequence[str]) -> int:
    """Try every family; print what each agency reaches."""
    parser = argparse.ArgumentParser(prog="python -m tests.world.curious", description="Guess at an invented area.")
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--of", type=int, default=0, help="people of the whole area, if that is larger")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    worst = Reached("", "", 0, 0.0)
    for one in trial(area(chosen.seed, chosen.people), chosen.seed, of=chosen.of):
        print(f"{one.family:<28} {one.agency:<8} {one.guesses:>9,} guesses  {one.covered:.3%}", flush=True)
        worst = max(worst, one, key=lambda found: found.covered)
    print(f"T-LNK-6 covered_max={worst.covered:.2%} family={worst.family!r} seed={chosen.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
