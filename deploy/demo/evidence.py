"""Evidence that does not depend on anybody's word: bytes on disk, and proofs worked out anew.

    spellings(person) -> search(files, spellings) -> hits      who learned of somebody?
    tamper(database)                                           does the ledger notice one bit turned over?
    receipts_hold(...)                                         is what the asker was told in the ledger?

The search looks at every byte of every file, write-ahead logs and deleted rows included, and then at every cell of
every table, because a long value can be cut in two where one page of a database ends.
"""

import base64
import hashlib
import re
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from accord import directory, receipt
from accord.canonical import unb64url
from accord.reasons import Problem
from deploy.demo.county import Person

SHORTEST: Final = 5
"""Spellings with fewer bytes than this are not looked for by themselves: they turn up by chance in any megabyte."""
SHORT: Final = 6
"""Spellings with fewer bytes, and days written as eight digits, count only where no letter or digit touches them."""

PIECE_BYTES: Final = 700
"""A record of fewer bytes than this is kept in one piece in a page of 4,096 bytes."""

_WORD: Final = 4
_SQLITE: Final = b"SQLite format 3\x00"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a spelling stands for.

    Attributes:
        what: Which identifier, in words that do not repeat it: "last name".
        how: In which way it is written: "plain", "base64".
    """

    what: str
    how: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A spelling that was found.

    Attributes:
        file: Name of the file.
        meaning: What it stands for.
    """

    file: str
    meaning: Meaning


@dataclass(frozen=True, slots=True)
class Wanted:
    """Everything that is looked for, ready to be looked for in one pass.

    Attributes:
        meanings: Spelling -> what it stands for.
        beginnings: First four bytes of a spelling, as a number -> the spellings that begin so.
    """

    meanings: Mapping[bytes, Meaning]
    beginnings: Mapping[int, tuple[bytes, ...]]


def spellings(people: Iterable[Person]) -> Wanted:
    """Every way in which these people's identifiers are looked for.

    Names, dates of birth, streets, postcodes and NHS numbers, each as typed, in capitals and in small letters; dates
    the British, the international and the bare way; postcodes with and without their space; all of it also in UTF-16,
    in hexadecimal, in base64 at each of its three alignments (RFC 4648, both alphabets,
    https://www.rfc-editor.org/rfc/rfc4648), and as a plain SHA-256, SHA-1 or MD5.
    """
    meanings: dict[bytes, Meaning] = {}
    for person in people:
        for what, texts in _identifiers(person).items():
            for text in texts:
                for how, needle in _ways(text):
                    meanings.setdefault(needle, Meaning(what, how))
    beginnings: dict[int, tuple[bytes, ...]] = {}
    for needle in meanings:
        beginning = int.from_bytes(needle[:_WORD], sys.byteorder)
        beginnings[beginning] = (*beginnings.get(beginning, ()), needle)
    return Wanted(meanings, beginnings)


def _identifiers(person: Person) -> Mapping[str, tuple[str, ...]]:
    born, postcode, nhs = person.date_of_birth, person.address.postcode, person.nhs_number
    first, last = person.first_name, person.last_name
    identifiers = {
        "first name": (first,),
        "middle name": (person.middle_name,),
        "last name": (last, last.replace("-", " "), last.replace("-", ""), *last.split("-")),
        "former name": (person.former_last_name,),
        "whole name": (f"{first} {last}", f"{last}, {first}", f"{first} {person.middle_name} {last}", f"{last}{first}"),
        "date of birth": (
            born.isoformat(),
            born.strftime("%Y%m%d"),
            born.strftime("%d%m%Y"),
            born.strftime("%d/%m/%Y"),
            f"{born.day}/{born.month}/{born.year}",
            born.strftime("%d.%m.%Y"),
            born.strftime("%d-%m-%Y"),
            f"{born.day} {born:%B} {born.year}",
        ),
        "postcode": (postcode, postcode.replace(" ", ""), postcode.replace(" ", "+")),
        "street": (person.address.line, person.address.street, person.address.street.replace(" ", "")),
        "NHS number": (nhs, f"{nhs[:3]} {nhs[3:6]} {nhs[6:]}", f"{nhs[:3]}-{nhs[3:6]}-{nhs[6:]}"),
    }
    return {what: tuple(text for text in texts if len(text) >= SHORTEST) for what, texts in identifiers.items()}


def _ways(text: str) -> Iterator[tuple[str, bytes]]:
    for case in dict.fromkeys((text, text.upper(), text.lower(), text.title())):
        plain = case.encode()
        yield "plain", plain
        yield "UTF-16", case.encode("utf-16-le")
        yield "hexadecimal", plain.hex().encode()
        yield "hexadecimal", plain.hex().upper().encode()
        if len(plain) >= SHORT:  # a shorter one leaves too few letters that do not depend on its neighbours
            for shift in range(3):
                encoded = base64.b64encode(bytes(shift) + plain).rstrip(b"=")
                inner = encoded[(0, 2, 3)[shift] : len(encoded) - bool((len(plain) + shift) % 3)]
                yield "base64", inner
                yield "base64", inner.translate(bytes.maketrans(b"+/", b"-_"))
        for name in ("sha256", "sha1", "md5"):
            digest = hashlib.new(name, plain, usedforsecurity=False)
            yield f"{name} digest", digest.digest()
            yield f"{name} digest", digest.hexdigest().encode()


def search(files: Iterable[Path], wanted: Wanted) -> tuple[Hit, ...]:
    """Which of these spellings stand anywhere in these files; each counts once a file."""
    hits: dict[Hit, None] = {}
    for file in files:
        for haystack in _contents(file):
            for needle in _found(haystack, wanted):
                hits[Hit(file.name, wanted.meanings[needle])] = None
    return tuple(hits)


def _found(haystack: bytes, wanted: Wanted) -> Iterator[bytes]:
    """Look up every four bytes of the text, at each of the four shifts, and look closer where something begins so."""
    known = frozenset(wanted.beginnings)
    begun: set[int] = set()
    for shift in range(_WORD):
        whole = (len(haystack) - shift) // _WORD * _WORD
        if whole > 0:
            begun |= known.intersection(memoryview(haystack)[shift : shift + whole].cast("I"))
    for beginning in begun:
        for needle in wanted.beginnings[beginning]:
            if needle in haystack and (not _must_stand_alone(needle) or _stands_alone(needle, haystack)):
                yield needle


def _must_stand_alone(needle: bytes) -> bool:
    return len(needle) < SHORT or (len(needle) <= 8 and needle.isdigit())


def _stands_alone(needle: bytes, haystack: bytes) -> bool:
    return re.search(rb"(?<![A-Za-z0-9])" + re.escape(needle) + rb"(?![A-Za-z0-9])", haystack) is not None


def _contents(file: Path) -> Iterator[bytes]:
    """Every byte of the file; then, of a database, every cell, with its write-ahead log taken in."""
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return  # a write-ahead log goes when the last reader has gone
    yield data
    if data.startswith(_SQLITE):
        yield b"\n".join(_cells(file))


def _cells(database: Path) -> Iterator[bytes]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):  # noqa: S608  the name is the file's own
                for cell in row:
                    yield cell if isinstance(cell, bytes) else str(cell).encode()


def files_of(places: Iterable[Path], without: Iterable[Path] = ()) -> tuple[Path, ...]:
    """Every file in these folders and below, and these files themselves, save what lies in `without`."""
    left_out = tuple(without)
    found = []
    for start in places:
        for file in [start] if start.is_file() else sorted(start.rglob("*")):
            if file.is_file() and not any(file == one or one in file.parents for one in left_out):
                found.append(file)
    return tuple(found)


# -- Ledgers and receipts ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ledger:
    """What is public of the broker's ledger.

    Attributes:
        origin: Its name.
        public: Its key, 32 bytes.
    """

    origin: str
    public: bytes


def ledger_of(home: Path) -> Ledger:
    """The broker's ledger as the signed directory in a member's folder names it.

    Raises:
        BadDirectory: The pinned federation key did not sign the directory.
    """
    pinned = unb64url((home / "federation.pub").read_text("ascii").strip())
    broker = directory.parse((home / "directory.json").read_bytes(), pinned).broker
    return Ledger(broker.ledger_origin, broker.ledger_key)


def receipt_holds(reply: Mapping[str, Any], ledger: Ledger) -> bool:
    """Whether the proof kept with an answer holds: its record is in the ledger that the ledger's key signed."""
    kept = reply["ledger"]
    try:
        proved = receipt.check(kept["receipt"], kept["record"].encode(), ledger.origin, ledger.public)
    except Problem:
        return False
    return bool(proved.index == kept["index"])


def changed(reply: Mapping[str, Any]) -> dict[str, Any]:
    """The same answer with one character of its record changed: its proof must no longer hold."""
    kept = dict(reply["ledger"])
    record: str = kept["record"]
    middle = len(record) // 2
    kept["record"] = record[:middle] + chr(ord(record[middle]) ^ 1) + record[middle + 1 :]
    return {**reply, "ledger": kept}


def copy_database(source: Path, target: Path) -> None:
    """Copy a database that is in use, whole, as a backup program would."""
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as there,
        closing(sqlite3.connect(target)) as here,
    ):
        there.backup(here)


def flip_one_bit(database: Path, index: int) -> None:
    """Turn over one bit in the middle of one record of the broker's ledger, in the file itself.

    Args:
        database: A copy that no program has open.
        index: Which entry.

    Raises:
        LookupError: The record does not lie in the file in one piece; choose another.
    """
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        (body,) = connection.execute('SELECT body FROM ledger_entry WHERE "index" = ?', (index,)).fetchone()
    data = bytearray(database.read_bytes())
    at = data.find(body)
    if at < 0 or data.find(body, at + 1) >= 0:
        raise LookupError("this record does not lie in the file in one piece and only once")
    data[at + len(body) // 2] ^= 1
    database.write_bytes(data)


def choose_entry(database: Path) -> int:
    """An entry in the middle of the broker's ledger, short enough to lie in the file in one piece."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = connection.execute('SELECT "index", length(body) FROM ledger_entry ORDER BY "index"').fetchall()
    fitting = [index for index, size in rows if 0 < size < PIECE_BYTES]
    return int(fitting[len(fitting) // 2])


def as_base64(text: str) -> bytes:
    """A text in base64 (RFC 4648 section 4, https://www.rfc-editor.org/rfc/rfc4648#section-4)."""
    return base64.b64encode(text.encode())
