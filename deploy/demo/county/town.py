"""Where the invented people live: streets, houses and blocks of flats, each with a postcode that belongs to nobody.

Postcodes use the area MD, which the Royal Mail has given to no place. Ten house numbers share one, as in a real street
about forty people do, so neighbours have theirs in common.
"""

from dataclasses import dataclass
from random import Random
from typing import Final

from deploy.demo.county.names import STREETS


@dataclass(frozen=True, slots=True)
class Address:
    """Where somebody lives.

    Attributes:
        flat: "3", or "" for a house.
        number: House number.
        street: Street name.
        postcode: With its space, "MD4 7QT".
    """

    flat: str
    number: str
    street: str
    postcode: str

    @property
    def line(self) -> str:
        """As on an envelope, without the postcode: "Flat 3, 14 Larkspur Rise"."""
        house = f"{self.number} {self.street}".strip()

        return f"Flat {self.flat}, {house}" if self.flat else house


LARKSPUR: Final = Address("3", "14", "Larkspur Rise", "MD4 7QT")
"""Where the household of the story lives."""
QUARRY_MEAD: Final = Address("", "9", "Quarry Mead", "MD2 3HB")
"""Where the family lives whom nobody knows; it has no neighbours in anybody's records."""
SHELTER: Final = Address("", "2", "Canal Wharf", "MD1 1AA")
"""The night shelter, which is the last address of people with no fixed abode."""

_LETTERS: Final = "ABDEFGHJLNPQRSTUWXYZ"
"""What the second half of a postcode ends in; real ones leave out C I K M O V, too."""
_HOMES_A_STREET: Final = 45
_LAST_NUMBER: Final = 90
_BLOCK: Final = 7
"""Every seventh number is a block of twelve flats; fourteen is one."""


class Town:
    """Gives out addresses, each to one household at a time."""

    def __init__(self, random: Random, homes: int) -> None:
        """Lay out streets enough for so many homes, present and former.

        Args:
            random: The county's.
            homes: How many households there are likely to be.
        """
        self._random = random
        self._taken = {LARKSPUR, QUARRY_MEAD, SHELTER}
        self._homes: list[Address] = []
        wanted = min(max(12, 2 * homes // _HOMES_A_STREET), 1_400)
        named = {LARKSPUR.street, QUARRY_MEAD.street}
        self._streets = [LARKSPUR.street, *random.sample([one for one in STREETS if one not in named], wanted - 1)]
        kept = (LARKSPUR.postcode[:-1], QUARRY_MEAD.postcode[:-1], SHELTER.postcode[:-1])
        beginnings = [f"MD{town} {sector}{one}" for town in range(1, 10) for sector in range(1, 10) for one in _LETTERS]
        others = random.sample([one for one in beginnings if one not in kept], wanted - 1)
        self._postcodes = [LARKSPUR.postcode[:-1], *others]
        # Number 14 of the first street must come out with the last letter that it has.
        self._shift = _LETTERS.index(LARKSPUR.postcode[-1]) - int(LARKSPUR.number) // 10

    def home(self) -> Address:
        """An address where nobody lives yet."""
        address = self._vacant()
        self._homes.append(address)
        return address

    def former(self) -> Address:
        """Where somebody lived before: every other time a home in which other people live now."""
        if self._homes and self._random.random() < 0.5:
            return self._random.choice(self._homes)
        return self._vacant()

    def _vacant(self) -> Address:
        random = self._random
        while True:
            street = random.randrange(len(self._streets))
            number = random.randint(1, _LAST_NUMBER)
            flat = ""
            if random.random() < 0.2:
                number = max(_BLOCK, number // _BLOCK * _BLOCK)
            if number % _BLOCK == 0:
                flat = str(random.randint(1, 12))
            last = _LETTERS[(number // 10 + self._shift) % len(_LETTERS)]
            address = Address(flat, str(number), self._streets[street], self._postcodes[street] + last)
            if address not in self._taken:
                self._taken.add(address)
                return address
