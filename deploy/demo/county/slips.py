"""How what people are called, when they were born and where they live goes wrong while somebody writes it down.

Kinds of slip as the literature on synthetic records for linkage sorts them: typed, heard, scanned (P. Christen and
A. Pudjijono, Accurate synthetic generation of realistic personal information, 2009,
https://doi.org/10.1007/978-3-642-01307-2_47).
"""

from collections.abc import Callable
from datetime import date
from random import Random
from typing import Final

_KEYBOARD: Final = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_BESIDE: Final = {
    letter: "".join(
        other
        for row in _KEYBOARD[max(0, at - 1) : at + 2]
        for other in row[max(0, along - 1) : along + 2]
        if other != letter
    )
    for at, keys in enumerate(_KEYBOARD)
    for along, letter in enumerate(keys)
}
_HEARD: Final = (
    ("ph", "f"), ("ck", "k"), ("ee", "ea"), ("ea", "ee"), ("ie", "y"), ("y", "ie"), ("ou", "ow"), ("ow", "ou"),
    ("ai", "ay"), ("ay", "ai"), ("th", "t"), ("wh", "w"), ("gh", ""), ("kn", "n"), ("wr", "r"), ("c", "k"), ("k", "c"),
    ("s", "z"), ("z", "s"), ("i", "y"), ("er", "a"), ("ll", "l"), ("tt", "t"), ("nn", "n"), ("mm", "m"), ("rr", "r"),
    ("e", ""), ("o", "u"), ("ton", "tun"), ("b", "p"), ("d", "t"), ("m", "n"),
)  # fmt: skip
_SCANNED: Final = (
    ("rn", "m"), ("m", "rn"), ("cl", "d"), ("d", "cl"), ("li", "h"), ("h", "b"), ("ii", "u"), ("vv", "w"), ("w", "vv"),
    ("e", "c"), ("l", "i"), ("i", "l"), ("o", "a"), ("nn", "m"), ("ri", "n"), ("t", "f"),
)  # fmt: skip

Slip = Callable[[str, Random], str]
"""Something written, damaged once; as it was where it cannot be."""


def typed(name: str, random: Random) -> str:
    """A key beside the right one, a letter left out, doubled, or two turned round; never the first letter."""
    if len(name) < 4:
        return name
    at = random.randrange(1, len(name) - 1)
    kind = random.randrange(4)
    if kind == 0:
        return name[:at] + name[at + 1 :]
    if kind == 1:
        return name[:at] + name[at] + name[at:]
    if kind == 2:
        return name[:at] + name[at + 1] + name[at] + name[at + 2 :]
    beside = _BESIDE.get(name[at])
    return name[:at] + random.choice(beside) + name[at + 1 :] if beside else name


def heard(name: str, random: Random) -> str:
    """Written as it sounds, or as it was understood on the telephone; never the first letter."""
    return _exchanged(name, _HEARD, random)


def scanned(name: str, random: Random) -> str:
    """As a machine has read it from a letter; never the first letter."""
    return _exchanged(name, _SCANNED, random)


def _exchanged(name: str, pairs: tuple[tuple[str, str], ...], random: Random) -> str:
    possible = [pair for pair in pairs if name.find(pair[0], 1) > 0]
    if not possible or len(name) < 4:
        return name
    was, becomes = random.choice(possible)
    at = name.index(was, 1)
    return name[:at] + becomes + name[at + len(was) :]


def turned(born: date, _random: Random) -> date:
    """Day and month the other way round, where that is a date; else as it was."""
    return born.replace(month=born.day, day=born.month) if born.day <= 12 else born


def miscounted(born: date, random: Random) -> date:
    """One digit of day, month or year beside the right one; as it was where that is no date."""
    kind = random.randrange(4)
    by = random.choice((-1, 1))
    try:
        if kind == 0:
            return born.replace(day=born.day + by)
        if kind == 1:
            return born.replace(month=born.month + by)
        return born.replace(year=born.year + (by if kind == 2 else 10 * by))
    except ValueError:
        return born


def other_century(born: date, _random: Random) -> date:
    """A child of 2013 becomes a pensioner of 1913; as it was for those born before 2000."""
    return born.replace(year=born.year - 100) if born.year >= 2000 and (born.month, born.day) != (2, 29) else born


def mistyped_postcode(postcode: str, random: Random) -> str:
    """One letter of the second half exchanged, O for 0, or the space left out."""
    kind = random.randrange(3)
    if kind == 0:
        return postcode.replace(" ", "")
    if kind == 1:
        return postcode[:-1] + random.choice([one for one in "ABDEFGHJLNPQRSTUWXYZ" if one != postcode[-1]])
    return postcode[:-2] + postcode[-1] + postcode[-2]


def sector(postcode: str) -> str:
    """As much of a postcode as says the part of town: "MD4 7"."""
    return postcode[:-2]
