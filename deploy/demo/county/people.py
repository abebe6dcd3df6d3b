"""The people of the county as they really are, before any agency has written them down.

    Grower.fixed, Grower.household, ... -> Person, Person, ...

Households of parents, children, twins, grandparents, lodgers. Who is whose parent and partner is kept by number; where
they lived before and what they were called before, with the day it changed, so that an agency that has not heard since
still has the old address and the old name. Shares of household types, twins and moves are rounded from what the Office
for National Statistics publishes for England
(https://www.ons.gov.uk/peoplepopulationandcommunity/birthsdeathsandmarriages/families, and its Births); they make the
county plausible and prove nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from random import Random
from types import MappingProxyType
from typing import Final

from nhs_number.validate import is_valid

from deploy.demo.county.names import HERITAGES, HONORIFICS, SHORT_FORMS, Heritage, zipf
from deploy.demo.county.town import SHELTER, Address, Town

LOOKED_AFTER: Final = "looked after"
CARE_LEAVER: Final = "care leaver"
NO_FIXED_ABODE: Final = "no fixed abode"
DISABLED: Final = "disabled"
HIDDEN: Final = "hidden"
"""In a refuge, or adopted: nobody may be told where they are."""

_YEAR_DAYS: Final = 365.25
_AVERAGE_HOME: Final = 2.4


@dataclass(frozen=True, slots=True)
class Move:
    """Somebody moved house.

    Attributes:
        on: The day.
        left: Where they lived until then.
    """

    on: date
    left: Address


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody as they really are.

    Attributes:
        id: "p000001": for tests and figures; in no database.
        household: "h000001": likewise.
        first_name: As on the birth certificate.
        middle_name: One middle name, or "".
        last_name: Now.
        former_last_name: Before a marriage, a separation or a new family, or "".
        date_of_birth: The true one.
        sex: "f" or "m".
        nhs_number: Ten digits from the range for testing.
        address: Now; of somebody with no fixed abode, the shelter.
        moves: Newest first.
        renamed: The day since when they have been called `last_name`; None where it was always so.
        known_as: What everybody calls them, or "" for the first name.
        relation: To the first adult of the household, who is "self": partner, child, stepchild, foster child, parent,
            grandchild, sharer.
        parents: Ids of those parents who live in the county.
        partner: Id of the husband, wife or partner in the household, or "".
        heritage: Id of the pool that their name comes from.
        burden: How hard life is in the household: 0, 1, or 2 for a family that many agencies know.
        marks: What several agencies would note: LOOKED_AFTER, CARE_LEAVER, NO_FIXED_ABODE, DISABLED, HIDDEN.
    """

    id: str
    household: str
    first_name: str
    middle_name: str
    last_name: str
    former_last_name: str
    date_of_birth: date
    sex: str
    nhs_number: str
    address: Address
    moves: tuple[Move, ...] = ()
    renamed: date | None = None
    known_as: str = ""
    relation: str = "self"
    parents: tuple[str, ...] = ()
    partner: str = ""
    heritage: str = ""
    burden: int = 0
    marks: tuple[str, ...] = ()

    @property
    def former_address(self) -> Address | None:
        """Before the last move."""
        return self.moves[0].left if self.moves else None

    def address_on(self, day: date) -> Address:
        """Where they lived on a day."""
        return next((move.left for move in reversed(self.moves) if day < move.on), self.address)

    def last_name_on(self, day: date) -> str:
        """What they were called on a day."""
        earlier = self.former_last_name and self.renamed is not None and day < self.renamed
        return self.former_last_name if earlier else self.last_name

    def age(self, day: date) -> int:
        """Whole years on a day; negative before birth."""
        born = self.date_of_birth
        return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


@dataclass(frozen=True, slots=True)
class Row:
    """Somebody of a household that is the same whatever the seed.

    Attributes:
        parents: First names of parents in the household.
        partner: First name of the partner in it.
        Others: As in Person.
    """

    first_name: str
    middle_name: str
    last_name: str
    former_last_name: str
    date_of_birth: date
    sex: str
    relation: str
    parents: tuple[str, ...] = ()
    partner: str = ""
    marks: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class _Draft:
    """Somebody who is being thought out; refers to relatives who are, too."""

    heritage: Heritage
    first: str
    middle: str
    last: str
    born: date
    sex: str
    relation: str = "self"
    former: str = ""
    renamed: date | None = None
    parents: "tuple[_Draft, ...]" = ()
    partner: "_Draft | None" = None
    moves: list[Move] = field(default_factory=list)
    marks: tuple[str, ...] = ()
    id: str = ""


def _day(move: Move) -> date:
    return move.on


@dataclass(frozen=True, slots=True)
class _Pool:
    """Names, and how common each is."""

    names: Sequence[str]
    weights: Sequence[float]

    def draw(self, random: Random) -> str:
        return random.choices(self.names, cum_weights=self.weights)[0]


def _pools(random: Random) -> dict[tuple[str, str], _Pool]:
    """Heritage and kind of name -> pool.

    Which first names are the common ones differs from county to county; of last names those named first stay on top.
    """
    pools = {}
    for heritage in HERITAGES:
        for kind in ("women", "men", "girls", "boys"):
            names = list(getattr(heritage, kind))
            random.shuffle(names)
            pools[heritage.id, kind] = _Pool(names, zipf(len(names), 12))
        ranked = sorted((rank * random.lognormvariate(0, 1), name) for rank, name in enumerate(heritage.surnames, 1))
        pools[heritage.id, "surnames"] = _Pool([name for _, name in ranked], zipf(len(ranked), 40))
    return pools


class Grower:
    """Adds households one at a time; holds what must not be given out twice."""

    def __init__(self, seed: int, people: int, as_of: date) -> None:
        """Lay out an empty county.

        Args:
            seed: Same seed, same county.
            people: How many it will have, in all.
            as_of: Ages count back from this day.
        """
        self.people: list[Person] = []
        self._random = Random(f"accord county {seed}")
        self._as_of = as_of
        self._town = Town(self._random, round(people / _AVERAGE_HOME))
        self._numbers = iter(_nhs_numbers(self._random, people))
        self._pools = _pools(self._random)
        self._households = 0
        self._heritages = HERITAGES
        self._heritage_weights = [heritage.weight for heritage in HERITAGES]

    def fixed(self, rows: Iterable[Row], address: Address, burden: int) -> None:
        """Add a household whose people are given."""
        listed = tuple(rows)
        drafts = {
            row.first_name: _Draft(
                HERITAGES[0],
                row.first_name,
                row.middle_name,
                row.last_name,
                row.date_of_birth,
                row.sex,
                row.relation,
                row.former_last_name,
                self._as_of - timedelta(days=4_000) if row.former_last_name else None,
                marks=row.marks,
            )
            for row in listed
        }
        for row in listed:
            drafts[row.first_name].parents = tuple(drafts[name] for name in row.parents)
            drafts[row.first_name].partner = drafts.get(row.partner)
        self._settle(list(drafts.values()), address, [], burden, known_as=False)

    def household(self, room: int) -> None:
        """Add a drawn household of at most `room` people, and a parent who lives apart if there is room for one."""
        random = self._random
        heritage = random.choices(self._heritages, self._heritage_weights)[0]
        kind = random.choices(tuple(_KINDS), _KIND_WEIGHTS)[0]
        burden = random.choices((0, 1, 2), _BURDENS.get(kind, (83, 13, 4)))[0]
        drafts = _KINDS[kind][0](self, heritage)[:room]
        address = SHELTER if kind == "homeless" else self._town.home()
        moves = self._moves(_MOVES.get(kind, (45, 30, 15, 7, 3)))
        self._settle(drafts, address, moves, burden)
        apart = next((one for draft in drafts for one in draft.parents if not one.id), None)
        if apart is not None and apart not in drafts and room > len(drafts) and random.random() < 0.6:
            # Who has moved out still has the family's address in somebody's records.
            left = self._as_of - timedelta(days=random.randint(60, 3_000))
            apart.moves = [Move(left, address)]
            self._settle([apart], self._town.home(), [], burden)
            self._adopt(apart, drafts)

    def _adopt(self, parent: _Draft, drafts: Sequence[_Draft]) -> None:
        """Write a parent's id, known only now, into the children who were added before."""
        first = len(self.people) - len(drafts) - 1
        for offset, draft in enumerate(drafts):
            if parent in draft.parents:
                at = first + offset
                self.people[at] = replace(self.people[at], parents=(*self.people[at].parents, parent.id))

    def _settle(
        self, drafts: Sequence[_Draft], address: Address, moves: Sequence[Move], burden: int, known_as: bool = True
    ) -> None:
        self._households += 1
        household = f"h{self._households:06d}"
        for offset, draft in enumerate(drafts):
            draft.id = f"p{len(self.people) + 1 + offset:06d}"
        shared = tuple(moves)
        for draft in drafts:
            # Who joined the household later, or was born into it, has moved with it only since.
            own = sorted((move for move in draft.moves if move.on > draft.born), key=_day, reverse=True)
            joined = own[0].on if own else draft.born
            mine = shared
            if own or (shared and shared[-1].on <= joined):
                mine = (*(move for move in shared if move.on > joined), *own)
            self.people.append(
                Person(
                    id=draft.id,
                    household=household,
                    first_name=draft.first,
                    middle_name=draft.middle,
                    last_name=draft.last,
                    former_last_name=draft.former,
                    date_of_birth=draft.born,
                    sex=draft.sex,
                    nhs_number=next(self._numbers),
                    address=address,
                    moves=mine,
                    renamed=draft.renamed,
                    known_as=self._known_as(draft) if known_as else "",
                    relation=draft.relation,
                    parents=tuple(one.id for one in draft.parents if one.id),
                    partner=draft.partner.id if draft.partner else "",
                    heritage=draft.heritage.id,
                    burden=burden,
                    marks=draft.marks,
                )
            )

    # -- Kinds of household ----------------------------------------------------------------------------------------

    def _alone(self, heritage: Heritage) -> list[_Draft]:
        return [self._adult(heritage, self._surname(heritage), self._random.randint(19, 66))]

    def _elder(self, heritage: Heritage) -> list[_Draft]:
        woman = self._random.random() < 0.65
        elder = self._adult(heritage, self._surname(heritage), self._random.randint(66, 97), "f" if woman else "m")
        if woman:
            self._married_once(elder, 0.8)
        return [elder]

    def _couple(self, heritage: Heritage) -> list[_Draft]:
        age = self._random.choice((self._random.randint(20, 45), self._random.randint(46, 88)))
        return self._pair(heritage, age)

    def _family(self, heritage: Heritage) -> list[_Draft]:
        parents = self._pair(heritage, self._mothers_age())
        return [*parents, *self._children(parents)]

    def _one_parent(self, heritage: Heritage) -> list[_Draft]:
        random = self._random
        pair = self._pair(heritage, self._mothers_age())
        stays, goes = pair if random.random() < 0.15 else pair[::-1]
        children = self._children(pair)
        stays.partner = goes.partner = None
        stays.relation = goes.relation = "self"
        if stays.former and stays.renamed and random.random() < 0.35:
            # Separated, and called by the earlier name again.
            stays.last, stays.former = stays.former, stays.last
            stays.renamed = self._day_between(stays.renamed, self._as_of)
        if stays.sex == "f" and random.random() < 0.02:
            for one in (stays, *children):
                one.marks = (HIDDEN,)
        return [stays, *children]

    def _three_generations(self, heritage: Heritage) -> list[_Draft]:
        parents = self._pair(heritage, self._mothers_age())
        eldest = min(parent.born for parent in parents)
        child = parents[0] if self._random.random() < 0.6 else parents[1]
        age = min(96, (self._as_of - eldest).days // 365 + self._random.randint(19, 34))
        elder = self._adult(child.heritage, child.former or child.last, age)
        elder.relation = "parent"
        child.parents = (elder,)
        return [*parents, *self._children(parents), elder]

    def _new_family(self, heritage: Heritage) -> list[_Draft]:
        """A mother with children of an earlier father, her new partner, and often a child of both."""
        random = self._random
        before = self._pair(heritage, self._mothers_age())
        children = self._children(before)
        mother, father = before[1], before[0]
        partner = self._adult(heritage, self._surname(heritage), (self._as_of - mother.born).days // 365, "m")
        began = self._as_of - timedelta(days=random.randint(200, 2_500))
        mother.partner, partner.partner, father.partner = partner, mother, None
        mother.relation, partner.relation, father.relation = "self", "partner", "self"
        if random.random() < 0.4 and mother.last != partner.last:
            mother.former, mother.last, mother.renamed = mother.last, partner.last, began
        for child in children:
            child.relation = "child"
            if child.born < began and child.last != partner.last and random.random() < 0.3:
                child.former, child.last, child.renamed = child.last, partner.last, began
        if random.random() < 0.5:
            grown_up = mother.born + timedelta(days=round(18 * _YEAR_DAYS))
            days = max(1, (self._as_of - max(began, grown_up)).days)
            born = self._as_of - timedelta(days=random.randrange(days))
            children.append(self._child((partner, mother), born, random.choice("fm"), partner.last, children))
        return [mother, partner, *children]

    def _care_leaver(self, heritage: Heritage) -> list[_Draft]:
        leaver = self._adult(heritage, self._surname(heritage), self._random.randint(18, 24))
        leaver.marks = (CARE_LEAVER,)
        return [leaver]

    def _foster(self, heritage: Heritage) -> list[_Draft]:
        """A couple who foster; each child comes from elsewhere and has been moved before."""
        random = self._random
        homes = self._pair(heritage, random.randint(35, 65))
        for _ in range(random.choices((1, 2, 3), (60, 28, 12))[0]):
            own = random.choices(self._heritages, self._heritage_weights)[0]
            sex = random.choice("fm")
            born = self._born(random.randint(1, 17))
            first, middle = self._names(own, sex, born)
            child = _Draft(own, first, middle, self._surname(own), born, sex, "foster child", marks=(LOOKED_AFTER,))
            child.moves = self._moves((0, 30, 35, 20, 15), since=2_200)
            homes.append(child)
        return homes

    def _shared(self, heritage: Heritage) -> list[_Draft]:
        sharers: list[_Draft] = []
        for _ in range(self._random.randint(2, 5)):
            own = (
                heritage if self._random.random() < 0.5 else self._random.choices(HERITAGES, self._heritage_weights)[0]
            )
            sharer = self._adult(own, self._surname(own), self._random.randint(19, 37))
            sharer.moves = self._moves((10, 35, 30, 15, 10), since=1_500)
            sharer.relation = "sharer" if sharers else "self"
            sharers.append(sharer)
        return sharers

    def _homeless(self, heritage: Heritage) -> list[_Draft]:
        sex = "m" if self._random.random() < 0.8 else "f"
        person = self._adult(heritage, self._surname(heritage), self._random.randint(18, 62), sex)
        person.marks = (NO_FIXED_ABODE,)
        return [person]

    # -- People ----------------------------------------------------------------------------------------------------

    def _pair(self, heritage: Heritage, womans_age: int) -> list[_Draft]:
        """A man and a woman, or now and then two of a kind; three wives in five take the name."""
        random = self._random
        hers = heritage
        if random.random() < 0.1:
            hers = random.choices(self._heritages, self._heritage_weights)[0]
        one = self._adult(heritage, self._surname(heritage), max(18, womans_age + random.randint(-4, 8)), "m")
        other = self._adult(hers, self._surname(hers), womans_age, "f")
        if random.random() < 0.02:
            other = self._adult(hers, self._surname(hers), womans_age, "m")
        one.partner, other.partner, other.relation = other, one, "partner"
        earliest = max(one.born, other.born) + timedelta(days=round(19 * _YEAR_DAYS))
        draw = random.random() * 100
        if draw < hers.women_take and one.last != other.last:
            other.former, other.last = other.last, one.last
            other.renamed = self._day_between(earliest, self._as_of)
        elif draw > 96 and " " not in one.last + other.last and "-" not in one.last + other.last:
            other.former, other.last = other.last, f"{other.last}-{one.last}"
            other.renamed = self._day_between(earliest, self._as_of)
        if random.random() < 0.25:
            other.moves = [Move(self._day_between(earliest, self._as_of), self._town.former())]
        return [one, other]

    def _married_once(self, woman: _Draft, share: float) -> None:
        if self._random.random() < share:
            woman.former = self._surname(woman.heritage)
            woman.renamed = self._day_between(woman.born + timedelta(days=round(20 * _YEAR_DAYS)), self._as_of)

    def _mothers_age(self) -> int:
        return round(self._random.triangular(18, 58, 36))

    def _children(self, parents: Sequence[_Draft]) -> list[_Draft]:
        """One to five children of a couple, oldest first, the father's name or both names; some of them twins."""
        random = self._random
        mother, father = parents[1], parents[0]
        age = (self._as_of - max(mother.born, father.born)).days // 366
        oldest = random.randint(0, max(0, min(23, age - 17)))
        last = self._childrens_name(father, mother)
        children: list[_Draft] = []
        years = float(oldest)
        for _ in range(random.choices((1, 2, 3, 4, 5), (40, 38, 15, 5, 2))[0]):
            if years < 0:
                break
            born = self._born(years)
            sex = random.choice("fm")
            child = self._child((father, mother), born, sex, last, children)
            children.append(child)
            if random.random() < 0.016:
                also = sex if random.random() < 0.65 else "fm"[sex == "f"]
                twin = self._child((father, mother), born, also, last, children)
                if random.random() < 0.2:
                    twin.first = self._alike(child, twin)
                children.append(twin)
            years -= random.uniform(0.9, 5)
        return children

    def _childrens_name(self, father: _Draft, mother: _Draft) -> str:
        if father.heritage.ways == "two surnames":
            return f"{father.last.split()[0]} {mother.last.split()[0]}"
        if mother.last == father.last or "-" in mother.last:
            return mother.last
        draw = self._random.random()
        if draw < 0.08 and "-" not in father.last and " " not in father.last + mother.last:
            return f"{mother.last}-{father.last}"
        return mother.last if draw > 0.85 else father.last

    def _child(
        self, parents: tuple[_Draft, _Draft], born: date, sex: str, last: str, siblings: Sequence[_Draft]
    ) -> _Draft:
        random = self._random
        heritage = parents[0].heritage
        first, middle = self._names(heritage, sex, born)
        taken = {sibling.first for sibling in siblings}
        alike = parents[0] if sex == parents[0].sex else parents[1]
        if random.random() < (0.04 if sex == "m" else 0.01) and sex == alike.sex:
            first = alike.first  # a namesake
        while first in taken:
            first, _ = self._names(heritage, sex, born)
        if middle and random.random() < 0.2 and sex == alike.sex and alike.first != first:
            middle = alike.first
        return _Draft(heritage, first, middle, last, born, sex, "child", parents=parents)

    def _alike(self, child: _Draft, twin: _Draft) -> str:
        """A name for a twin that begins as the other's does, as parents like it."""
        pool = self._pool(twin.heritage, twin.sex, twin.born)
        close = [name for name in pool.names if name[:2] == child.first[:2] and name != child.first]
        return self._random.choice(close) if close else twin.first

    def _adult(self, heritage: Heritage, last: str, age: int, sex: str = "") -> _Draft:
        random = self._random
        sex = sex or random.choice("fm")
        born = self._born(age)
        if heritage.id == "Arab and Somali" and random.random() < 0.3:
            born = born.replace(month=1, day=1)  # no certificate: an official chose the first of January
        first, middle = self._names(heritage, sex, born)
        adult = _Draft(heritage, first, middle, last, born, sex)
        if random.random() < 0.03 + age / 1_500:
            adult.marks = (DISABLED,)
        return adult

    def _names(self, heritage: Heritage, sex: str, born: date) -> tuple[str, str]:
        random = self._random
        pool = self._pool(heritage, sex, born)
        first = pool.draw(random)
        if heritage.ways == "honorific" and random.random() < 0.45:
            return first, random.choice(HONORIFICS[sex])
        if heritage.ways in {"family name first", "two surnames"} or random.random() > 0.75:
            return first, ""
        middle = pool.draw(random)
        return first, middle if middle != first else ""

    def _pool(self, heritage: Heritage, sex: str, born: date) -> _Pool:
        kinds = ("women", "men") if born.year < 2000 else ("girls", "boys")
        return self._pools[heritage.id, kinds[sex == "m"]]

    def _surname(self, heritage: Heritage) -> str:
        pool = self._pools[heritage.id, "surnames"]
        first = pool.draw(self._random)
        if heritage.ways != "two surnames" or self._random.random() < 0.4:
            return first
        second = pool.draw(self._random)
        return f"{first} {second}" if second != first else first

    def _known_as(self, draft: _Draft) -> str:
        draw = self._random.random()
        if draw < 0.14 and draft.first in SHORT_FORMS:
            return self._random.choice(SHORT_FORMS[draft.first])
        return draft.middle if 0.14 <= draw < 0.17 and draft.heritage.ways != "honorific" else ""

    def _born(self, age: float) -> date:
        """A day on which somebody was born who is `age` now."""
        days = round(age * _YEAR_DAYS) + (self._random.randrange(365) if age == int(age) else 0)
        return self._as_of - timedelta(days=days)

    def _day_between(self, earliest: date, latest: date) -> date:
        days = max(1, (latest - earliest).days)
        return max(latest - timedelta(days=self._random.randrange(1, days + 1)), earliest)

    def _moves(self, weights: Sequence[int], since: int = 5_500) -> list[Move]:
        count = self._random.choices(range(len(weights)), weights)[0]
        days = sorted(self._random.sample(range(20, since), count))
        return [Move(self._as_of - timedelta(days=day), self._town.former()) for day in days]


_Kind = Callable[[Grower, Heritage], list[_Draft]]
_KINDS: Final[Mapping[str, tuple[_Kind, int]]] = MappingProxyType(
    {
        "alone": (Grower._alone, 14),
        "elder": (Grower._elder, 12),
        "couple": (Grower._couple, 23),
        "family": (Grower._family, 26),
        "one parent": (Grower._one_parent, 11),
        "three generations": (Grower._three_generations, 4),
        "new family": (Grower._new_family, 4),
        "care leaver": (Grower._care_leaver, 1),
        "foster": (Grower._foster, 1),
        "shared house": (Grower._shared, 3),
        "homeless": (Grower._homeless, 1),
    }
)
"""Kind of household -> how it is thought out, and how many of a hundred are of it."""
_KIND_WEIGHTS: Final = tuple(weight for _, weight in _KINDS.values())
_BURDENS: Final[Mapping[str, tuple[int, int, int]]] = MappingProxyType(
    {
        "one parent": (66, 25, 9),
        "new family": (70, 22, 8),
        "care leaver": (15, 50, 35),
        "homeless": (0, 30, 70),
        "foster": (70, 30, 0),
        "shared house": (60, 32, 8),
        "elder": (92, 8, 0),
    }
)
_MOVES: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {
        "elder": (75, 20, 5),
        "care leaver": (0, 10, 20, 30, 25, 15),
        "homeless": (10, 20, 30, 25, 15),
        "shared house": (100,),
        "one parent": (25, 35, 22, 12, 6),
    }
)
"""How many of a hundred households have moved not at all, once, twice ... in fifteen years."""


def _nhs_numbers(random: Random, count: int) -> Iterable[str]:
    """Different valid NHS numbers from the range for testing, 999 000 0000 to 999 999 9999.

    Modulus 11 check digit: NHS Data Dictionary, NHS NUMBER,
    https://www.datadictionary.nhs.uk/attributes/nhs_number.html. The package's own generator draws from the wider
    synthetic range, some of which may be given out one day, so only the check is the package's.
    """
    for body in random.sample(range(1_000_000), min(1_000_000, 2 * count + 100)):
        digits = f"999{body:06d}"
        check = -sum(int(digit) * weight for digit, weight in zip(digits, range(10, 1, -1), strict=True)) % 11
        if check == 10:
            continue
        number = f"{digits}{check}"
        if not is_valid(number):
            raise RuntimeError("a made NHS number does not pass its own check")
        yield number
