"""The search finds what is there in every spelling, and nothing where nothing is."""

import base64
import hashlib
import random
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord import checkpoint, merkle, receipt, signing
from accord.checkpoint import Checkpoint
from deploy.demo import evidence
from deploy.demo.county import Address, Person

BEATRIZ = Person(
    id="p1",
    household="h1",
    first_name="Beatriz",
    middle_name="Ada",
    last_name="Okonjo-Reyes",
    former_last_name="Reyes",
    date_of_birth=date(1991, 11, 4),
    sex="f",
    nhs_number="9999508936",
    address=Address("", "9", "Quarry Mead", "MD2 3HB"),
)
WANTED = evidence.spellings([BEATRIZ])


def found(tmp_path: Path, content: bytes) -> set[str]:
    """Which identifiers the search finds in a file of this content."""
    file = tmp_path / "file"
    file.write_bytes(content)
    return {hit.meaning.what for hit in evidence.search([file], WANTED)}


@pytest.mark.parametrize(
    ("what", "content"),
    [
        ("first name", b"xxBEATRIZxx"),
        ("last name", b'{"last":"okonjo-reyes"}'),
        ("last name", b"Okonjo, B"),
        ("former name", b"n\xc3\xa9e Reyes."),
        ("date of birth", b"born 1991-11-04"),
        ("date of birth", b"04/11/1991"),
        ("date of birth", b"4/11/1991"),
        ("date of birth", b"dob=19911104;"),
        ("postcode", b"at MD2 3HB"),
        ("postcode", b"md23hb"),
        ("street", b"9 QUARRY MEAD"),
        ("NHS number", b"999 950 8936"),
        ("NHS number", b"id9999508936"),
        ("first name", "Beatriz".encode("utf-16-le")),
        ("first name", b"Beatriz".hex().encode()),
        ("first name", hashlib.sha256(b"beatriz").digest()),
        ("first name", hashlib.md5(b"BEATRIZ", usedforsecurity=False).hexdigest().encode()),
        ("last name", base64.b64encode(b"Okonjo-Reyes")),
        ("last name", base64.b64encode(b"a Okonjo-Reyes is here")),
        ("last name", base64.b64encode(b"ab Okonjo-Reyes is here")),
        ("last name", base64.urlsafe_b64encode(b"abc Okonjo-Reyes is here")),
    ],
)
def test_a_spelling_is_found(tmp_path: Path, what: str, content: bytes) -> None:
    """T-LNK-1: who writes an identifier down in any of these ways is found out."""
    names = found(tmp_path, b"\x00before " + content + b" after\xff")

    assert names & {what, "last name", "whole name"} if what == "former name" else what in names


def test_chance_finds_nothing(tmp_path: Path) -> None:
    """Tokens, tags and digests are random bytes: a megabyte of them, plain and encoded, must not look like a name."""
    noise = random.Random(2026).randbytes(1_000_000)

    assert set() == found(tmp_path, noise + b"\n" + base64.b64encode(noise) + b"\n" + noise.hex().encode())


def test_a_day_within_a_longer_number_is_no_day(tmp_path: Path) -> None:
    """A time in nanoseconds may hold any eight digits."""
    assert set() == found(tmp_path, b'"at_ns": 1795199111044512345')


def test_a_value_that_a_page_cuts_in_two_is_found_in_its_cell(tmp_path: Path) -> None:
    """A long value of a database lies in pieces; its cell is whole."""
    file = tmp_path / "long.db"
    # A page holds 4,092 bytes of what does not fit beside the key, counted from the end
    # (https://www.sqlite.org/fileformat2.html#payload): so the cut comes in the middle of the name.
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE kept (body BLOB)")
        database.execute("INSERT INTO kept VALUES (?)", (b"." * 5_000 + b"Okonjo-Reyes" + b"." * 4_086,))
        database.commit()

    assert b"Okonjo-Reyes" not in file.read_bytes()
    assert "last name" in {hit.meaning.what for hit in evidence.search([file], WANTED)}


def test_what_was_deleted_is_found_in_the_bytes(tmp_path: Path) -> None:
    """A row that is gone from its table may still lie in the file."""
    file = tmp_path / "gone.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA secure_delete=OFF")
        database.execute("CREATE TABLE kept (body TEXT)")
        database.execute("INSERT INTO kept VALUES ('seen: Beatriz Okonjo-Reyes')")
        database.commit()
        database.execute("DELETE FROM kept")
        database.commit()

    assert evidence.search([file], WANTED)


def test_files_left_out_are_left_out(tmp_path: Path) -> None:
    """What the asking agency typed is its own; everything else is searched."""
    (tmp_path / "desk" / "deep").mkdir(parents=True)
    (tmp_path / "desk" / "deep" / "typed.json").write_text("x")
    (tmp_path / "node.db").write_text("x")

    assert (tmp_path / "node.db",) == evidence.files_of([tmp_path], without=[tmp_path / "desk"])
    assert 2 == len(evidence.files_of([tmp_path]))


def test_a_receipt_holds_and_a_changed_one_does_not() -> None:
    """The control of the demonstration's own check."""
    private = Ed25519PrivateKey.generate()
    salt, body = bytes(16), b'{"kind":"RELEASED","v":1}'
    leaf = merkle.leaf_hash(merkle.entry(salt, body))
    note = checkpoint.sign(Checkpoint("midshire/broker", 1, merkle.root([leaf])), private)
    reply = {"ledger": {"index": 0, "record": body.decode(), "receipt": receipt.make(0, salt, [], note)}}
    ledger = evidence.Ledger("midshire/broker", signing.public_bytes(private))
    elsewhere = {"ledger": reply["ledger"] | {"index": 1}}

    assert evidence.receipt_holds(reply, ledger)
    assert not evidence.receipt_holds(evidence.changed(reply), ledger)
    assert not evidence.receipt_holds(elsewhere, ledger)
    assert not evidence.receipt_holds(reply, evidence.Ledger("midshire/broker", bytes(32)))


def test_one_bit_is_turned_over_and_no_more(tmp_path: Path) -> None:
    """What the demonstration calls tampering is as small as can be."""
    file = tmp_path / "broker.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute('CREATE TABLE ledger_entry ("index" INTEGER PRIMARY KEY, body BLOB)')
        for index in range(5):
            database.execute("INSERT INTO ledger_entry VALUES (?, ?)", (index, b"record %d of five" % index))
        database.commit()
    before = file.read_bytes()
    chosen = evidence.choose_entry(file)
    evidence.flip_one_bit(file, chosen)
    after = file.read_bytes()

    assert 2 == chosen
    assert 1 == sum((a ^ b).bit_count() for a, b in zip(before, after, strict=True))
    assert b"record 2 of five" not in after
