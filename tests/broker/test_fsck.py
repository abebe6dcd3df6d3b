"""The ledger's own verifier: every change is found and named; what it exports, others can read."""

import asyncio
import json
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord import checkpoint, merkle, signing
from accord.answer import AgencyAnswer, SlotAnswer, build
from accord.canonical import b64, encode, unb64
from accord.checkpoint import BadCheckpoint
from broker.fsck import Report, export, tile_path, verify
from broker.release import compose
from broker.sequencer import Batch, Writer, record
from broker.stages import ANSWERED, Answers, Asked, Permit, Reply
from broker.store import open_for_reading, open_store
from tests.world.ledger import (
    LEDGER_KEY,
    LEDGER_PUBLIC,
    NOW_NS,
    ORIGIN,
    WORKER,
    Books,
    agreement,
    asked,
    composed,
    decision,
    open_books,
    permit,
    question_of,
    refusal,
    signed_agreement,
    uuid,
    withdrawal,
)

QUESTIONS = 90
"""Enough questions for more than two tiles of entries."""


async def _fill(books: Books, questions: int) -> None:
    """Every kind of record that questions and agreements leave."""
    made = agreement()
    await books.agreements.record(WORKER, made, signed_agreement(made), ())
    used = [made.record_id]

    async def one(number: int) -> None:
        question = asked(rely_on=used)
        if number % 9 == 0:
            await books.questions.refuse(refusal(question))
            return
        opened = await books.questions.open_entry(permit(question, used))
        await books.questions.close_entry(composed(opened, {"police": number % 5 != 0}))
        if number % 7 == 0:
            stored = await books.questions.stored(question)
            assert stored is not None
            await books.questions.replay(permit(question, used), stored)

    for start in range(0, questions, 9):
        await asyncio.gather(*(one(number) for number in range(start, start + 9)))
    late = await books.questions.open_entry(permit(asked(rely_on=used), used))
    ended, signed = withdrawal(made.record_id)
    await books.agreements.withdraw(WORKER, ended, signed)
    await books.questions.close_entry(composed(late))


def _ledger(path: Path, questions: int) -> Path:
    async def make() -> None:
        books = await open_books(path)
        await _fill(books, questions)
        await books.close()

    asyncio.run(make())
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger in order, closed."""
    return _ledger(tmp_path_factory.mktemp("whole") / "broker.db", QUESTIONS)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with few questions, for trials that are repeated many times."""
    return _ledger(tmp_path_factory.mktemp("small") / "broker.db", 9)


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copy(whole, tmp_path / "broker.db"))


def check(path: Path, **options: object) -> Report:
    store = open_for_reading(path)
    try:
        return verify(store, ORIGIN, LEDGER_PUBLIC, **options)  # type: ignore[arg-type]  # passed on by name
    finally:
        store.close()


def words(path: Path) -> list[str]:
    return [finding.words for finding in check(path).findings]


def change(path: Path, statement: str, bound: tuple[object, ...] = ()) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement, bound)
    connection.commit()
    connection.close()


def spoil(path: Path, *statements: str) -> None:
    """Change the file behind the broker's back, guard-rails taken down."""
    connection = sqlite3.connect(path)
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
    for name in names:
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_ledger_in_order_verifies(whole: Path) -> None:
    """Nothing is found, and everything was looked at."""
    report = check(whole)

    assert ((), True, QUESTIONS + 1, 0, 0) == (
        report.findings,
        report.ok,
        report.questions,
        report.open_questions,
        report.erased,
    )
    assert report.entries > 2 * merkle.TILE_WIDTH


def test_an_empty_ledger_verifies(tmp_path: Path) -> None:
    """A broker that has just been set up is in order."""
    open_store(tmp_path / "broker.db").close()
    report = check(tmp_path / "broker.db")

    assert (0, merkle.EMPTY_ROOT, ()) == (report.entries, report.root, report.findings)


def test_progress_is_told_to_the_end(whole: Path) -> None:
    """Who waits sees how far it is."""
    told: list[tuple[int, int]] = []
    report = check(whole, progress=lambda done, total: told.append((done, total)))

    assert (report.entries, report.entries) == told[-1]


@pytest.mark.parametrize("index", [0, 17, 255, 256, 300])
def test_a_changed_record_is_named(copy: Path, index: int) -> None:
    """T-AUD-5: one changed letter in one record, and the verifier says which."""
    ((body,),) = _rows(copy, 'SELECT body FROM ledger_entry WHERE "index" = ?', (index,))
    spoil(copy)
    change(copy, 'UPDATE ledger_entry SET body = ? WHERE "index" = ?', (body.replace(b"2026", b"2025"), index))

    assert [f"entry {index} was changed after it was signed"] == words(copy)


def test_a_record_changed_together_with_its_entry_is_named(copy: Path) -> None:
    """T-AUD-5: making the entry anew for the changed record does not help; the tree remembers."""
    connection = sqlite3.connect(copy)
    salt, body = connection.execute('SELECT salt, body FROM ledger_entry WHERE "index" = 17').fetchone()
    connection.close()
    other = body.replace(b"police", b"school")
    entry = merkle.entry(salt, other)
    spoil(copy)
    change(copy, 'UPDATE ledger_entry SET body = ?, entry = ? WHERE "index" = 17', (other, entry))

    assert ["entry 17 is not the one that the tree was built over"] == words(copy)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ('DELETE FROM ledger_entry WHERE "index" = 40', "entry 40 was removed"),
        ("UPDATE ledger_entry SET body = 'text' WHERE \"index\" = 40", "entry 40 was changed after it was signed"),
        ("UPDATE ledger_tile SET hashes = 'text' WHERE level = 0 AND idx = 1", "entry 256 is not the one"),
        ("UPDATE ledger_head SET root = 'text' WHERE size = 1", "entry 0 is not what the head over 1 entries"),
        ("UPDATE ledger_entry SET salt = X'00' WHERE \"index\" = 3", "its salt is not 16 bytes"),
        ("UPDATE ledger_entry SET kind = 'OUTCOME' WHERE \"index\" = 40", "entry 40 is filed under another kind"),
        ("UPDATE ledger_tile SET hashes = zeroblob(8192) WHERE level = 0 AND idx = 0", "entry 0 is not the one"),
        ("UPDATE ledger_edge SET hashes = zeroblob(64) WHERE level = 1", "tile 1/0 does not fit"),
        ("DELETE FROM ledger_edge WHERE level = 1", "tile 1/0 holds 0 bytes"),
        ("UPDATE ledger_edge SET hashes = zeroblob(32) WHERE level = 5", "1 tiles more"),
        ("INSERT INTO ledger_tile VALUES (5, 0, zeroblob(32))", "1 tiles more"),
        ("UPDATE ledger_head SET root = zeroblob(32) WHERE size = 1", "entry 0 is not what the head over 1 entries"),
        ("UPDATE ledger_note SET note = replace(note, 'midshire', 'elsewhere') WHERE size = 1", "does not hold"),
        ("DELETE FROM ledger_note WHERE size = 1", "was never signed"),
        ("DELETE FROM ledger_head WHERE size = (SELECT max(size) FROM ledger_head)", "the newest head is over"),
        (
            'DELETE FROM ledger_entry WHERE "index" >= (SELECT max("index") FROM ledger_entry)',
            "1 of them are gone",
        ),
        ("DELETE FROM question WHERE asked_index = (SELECT min(asked_index) FROM question)", "missing from the state"),
        ("UPDATE question SET closed_index = 9999 WHERE rowid = 1", "is not what its records say"),
        (
            "INSERT INTO question (query_id, agency, user, statement_digest, state, agreements, asked_index) "
            "VALUES ('x', 'a', 'u', X'00', 'open', '[]', 1)",
            "the state holds question x, which the ledger does not",
        ),
        ("UPDATE agreement SET withdrawn_index = NULL", "the state of agreement"),
    ],
)
def test_each_kind_of_damage_is_said_in_plain_words(copy: Path, statement: str, said: str) -> None:
    """T-AUD-5: whatever is changed, removed or added is found, and said so that it can be acted on."""
    spoil(copy, statement)
    found = words(copy)

    assert any(said in one for one in found), found


def _append(path: Path, *records: tuple[str, dict[str, object], str | None]) -> None:
    """Write records past the rules, with the real key: what a broken or dishonest broker could do."""
    store = open_store(path)
    writer = Writer(store, ORIGIN, LEDGER_KEY)
    for kind, fields, query_id in records:
        writer.commit([Batch((record(kind, NOW_NS, fields, query_id=query_id),))])
    writer.close()
    store.close()


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([("RELEASED", {"agreements": []}, "q-1")], "which was never asked"),
        ([("ASKED", {}, "q-1")], "was never ended"),
        ([("ASKED", {}, "q-1"), ("ASKED", {}, "q-1")], "a second time"),
        ([("ASKED", {}, "q-1"), ("RELEASED", {}, "q-1"), ("ABANDONED", {}, "q-1")], "ends question q-1 a second time"),
        ([("ASKED", {}, "q-1"), ("ANSWERED", {}, "q-1")], "which was never warranted"),
        ([("ASKED", {}, "q-1"), ("REPLAYED", {"agreements": []}, "q-1")], "which has none yet"),
        ([("ASKED", {}, "q-1"), ("RELEASED", {"agreements": ["a-1"]}, "q-1")], "which was never given"),
        ([("AGREEMENT_WITHDRAWN", {"record_id": "a-1"}, None)], "which was never given"),
        (
            [
                ("AGREEMENT_GIVEN", {"record_id": "a-1"}, None),
                ("ASKED", {}, "q-1"),
                ("AGREEMENT_WITHDRAWN", {"record_id": "a-1"}, None),
                ("RELEASED", {"agreements": ["a-1"]}, "q-1"),
            ],
            "had withdrawn",
        ),
    ],
)
def test_records_in_an_order_that_must_not_be_are_named(
    copy: Path, records: list[tuple[str, dict[str, object], str | None]], said: str
) -> None:
    """T-AUD-3, T-CON-1: a well-signed ledger can still tell of something that must never happen."""
    _append(copy, *records)
    found = words(copy)

    assert any(said in one for one in found), found


def test_questions_may_be_open_while_a_broker_runs(copy: Path) -> None:
    """A question that is on its way is no damage."""
    store = open_store(copy)
    store.close()

    async def begin() -> Report:
        books = await open_books(copy)
        await books.questions.open_entry(permit(asked()))
        report = check(copy, running=True)
        await books.close()
        return report

    report = asyncio.run(begin())

    assert (True, 1) == (report.ok, report.open_questions)


def test_erased_records_still_verify(copy: Path) -> None:
    """T-AUD-10: salt and body of old records may go; every proof and head still holds."""
    connection = sqlite3.connect(copy)
    connection.execute("UPDATE ledger_entry SET salt = X'', body = X'' WHERE \"index\" < 40")
    connection.commit()
    connection.close()
    report = check(copy)

    assert ((), 40) == (report.findings, report.erased)


def test_a_cosignature_over_another_head_is_named(copy: Path) -> None:
    """T-AUD-6: a stored cosignature must be over the head it is filed under."""
    key = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
    other = checkpoint.sign(checkpoint.Checkpoint(ORIGIN, 1, b"x" * 32), LEDGER_KEY)
    line = checkpoint.cosign(other, "midshire/police", key, 1)
    change(copy, "INSERT INTO cosignature VALUES (1, 'midshire/police', ?, 1)", (line,))
    report = check(copy, witnesses={"midshire/police": signing.public_bytes(key)})

    assert ["the cosignature of midshire/police over 1 entries does not hold"] == [
        one.words.split(":")[0] for one in report.findings
    ]


def _rewrite(path: Path, change: Callable[[list[tuple[bytes, bytes]]], None]) -> None:
    """Forge: change the records, then build tiles, heads and notes anew and sign them with the real key."""
    connection = sqlite3.connect(path)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    rows = connection.execute('SELECT salt, body FROM ledger_entry ORDER BY "index"').fetchall()
    change(rows)
    sizes = [size for (size,) in connection.execute("SELECT size FROM ledger_head ORDER BY size") if size <= len(rows)]
    for statement in (
        "DELETE FROM ledger_entry",
        "DELETE FROM ledger_tile",
        "UPDATE ledger_edge SET hashes = X''",
        "DELETE FROM ledger_note",
        "DELETE FROM ledger_head",
    ):
        connection.execute(statement)
    tiles: dict[tuple[int, int], bytes] = {}

    def read(level: int, idx: int) -> bytes:
        return tiles[level, idx]

    for index, (salt, body) in enumerate(rows):
        entry = merkle.entry(salt, body)
        found = json.loads(body)
        connection.execute(
            "INSERT INTO ledger_entry VALUES (?, ?, ?, ?, ?, ?, ?)",
            (index, found["kind"], found.get("query_id"), found["at"], salt, body, entry),
        )
        tiles.update(merkle.append(index, [merkle.leaf_hash(entry)], read))
    for (level, idx), hashes in tiles.items():
        if len(hashes) == merkle.TILE_WIDTH * merkle.HASH_BYTES:
            connection.execute("INSERT INTO ledger_tile VALUES (?, ?, ?)", (level, idx, hashes))
        else:
            connection.execute("UPDATE ledger_edge SET idx = ?, hashes = ? WHERE level = ?", (idx, hashes, level))
    for size in sorted({*sizes, len(rows)}):
        root = merkle.tree_root(size, read)
        note = checkpoint.sign(checkpoint.Checkpoint(ORIGIN, size, root), LEDGER_KEY)
        connection.execute("INSERT INTO ledger_head VALUES (?, ?)", (size, root))
        connection.execute("INSERT INTO ledger_note VALUES (?, ?)", (size, note))
    connection.commit()
    connection.close()


def _flip(chance: random.Random, rows: list[tuple[bytes, bytes]]) -> None:
    """Change one value of one record so that it decodes to something else."""
    number = chance.randrange(len(rows))
    salt, body = rows[number]
    found = json.loads(body)
    found["at"] = f"{chance.randrange(2000, 2026)}-01-01T00:00:00.{chance.randrange(1000):03d}Z"
    rows[number] = (salt, encode(found))


def _insert(chance: random.Random, rows: list[tuple[bytes, bytes]]) -> None:
    body = encode({"v": 1, "kind": "OUTCOME", "at": "2026-11-22T10:00:00.000Z", "n": chance.randrange(10**9)})
    rows.insert(chance.randrange(len(rows)), (chance.randbytes(16), body))


def _remove(chance: random.Random, rows: list[tuple[bytes, bytes]]) -> None:
    del rows[chance.randrange(len(rows))]


def _swap(chance: random.Random, rows: list[tuple[bytes, bytes]]) -> None:
    one, other = chance.sample(range(len(rows)), 2)
    rows[one], rows[other] = rows[other], rows[one]


def _truncate(chance: random.Random, rows: list[tuple[bytes, bytes]]) -> None:
    del rows[chance.randrange(len(rows)) :]


FORGERIES = (_flip, _insert, _remove, _swap, _truncate)


def _newest(path: Path) -> str:
    connection = sqlite3.connect(path)
    (note,) = connection.execute("SELECT note FROM ledger_note ORDER BY size DESC LIMIT 1").fetchone()
    connection.close()
    return str(note)


def _ledger_findings(report: Report) -> list[str]:
    """Findings about entries, tiles and heads; not about the state beside them, which a forger would mend as well."""
    beside = ("state", "question", "agreement", "was never", "belongs to", "second time", "has none yet")
    return [one.words for one in report.findings if not any(word in one.words for word in beside)]


def _forge(whole: Path, folder: Path, count: int, seed: int) -> tuple[int, int]:
    """How many of `count` forgeries, all signed again, are detected with one head kept elsewhere, and without it."""
    chance = random.Random(seed)
    kept = _newest(whole)
    detected = without = 0
    for number in range(count):
        path = Path(shutil.copy(whole, folder / "forged.db"))
        _rewrite(path, lambda rows: FORGERIES[number % len(FORGERIES)](chance, rows))  # noqa: B023 - run at once
        detected += bool(_ledger_findings(check(path, kept=[kept])))
        without += bool(_ledger_findings(check(path)))
        path.unlink()
    return detected, without


def test_history_signed_again_is_detected_by_whoever_kept_a_head(small: Path, tmp_path: Path) -> None:
    """T-AUD-5: against the holder of the log key, one kept head detects every forgery, and no head detects none."""
    assert (5, 0) == _forge(small, tmp_path, count=5, seed=5)


@pytest.mark.prove
def test_many_histories_signed_again_are_detected(small: Path, tmp_path: Path) -> None:
    """T-AUD-5: the same, at random, many times."""
    count, seed = 1_000, 20261122
    detected, without = _forge(small, tmp_path, count, seed)
    print(f"T-AUD-5 detected={detected}/{count} control without witness detected={without} seed={seed} (signed again)")

    assert (count, 0) == (detected, without)


PLACES = (
    ('SELECT "index", salt FROM ledger_entry', 'UPDATE ledger_entry SET salt = ? WHERE "index" = ?'),
    ('SELECT "index", body FROM ledger_entry', 'UPDATE ledger_entry SET body = ? WHERE "index" = ?'),
    ('SELECT "index", entry FROM ledger_entry', 'UPDATE ledger_entry SET entry = ? WHERE "index" = ?'),
    ("SELECT level, hashes FROM ledger_edge WHERE level = 0", "UPDATE ledger_edge SET hashes = ? WHERE level = ?"),
    ("SELECT size, root FROM ledger_head", "UPDATE ledger_head SET root = ? WHERE size = ?"),
    ("SELECT size, note FROM ledger_note", "UPDATE ledger_note SET note = ? WHERE size = ?"),
)


@pytest.mark.prove
def test_every_flipped_bit_is_found(small: Path, tmp_path: Path) -> None:
    """T-AUD-5: a random bit of any salt, body, entry, tile, root or note, changed in place, is found."""
    count, seed = 600, 20261122
    chance = random.Random(seed)
    found = 0
    for number in range(count):
        path = Path(shutil.copy(small, tmp_path / "flipped.db"))
        select, update = PLACES[number % len(PLACES)]
        key, old = chance.choice(_rows(path, select))
        changed = bytearray(old.encode("latin-1", "replace") if isinstance(old, str) else old)
        bit = chance.randrange(len(changed) * 8)
        changed[bit // 8] ^= 1 << bit % 8
        spoil(path)
        change(path, update, (changed.decode("latin-1") if isinstance(old, str) else bytes(changed), key))
        found += not check(path).ok
        path.unlink()
    print(f"T-AUD-5 detected={found}/{count} seed={seed} (single bits, not signed again)")

    assert count == found


def _rows(path: Path, query: str, bound: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    rows = connection.execute(query, bound).fetchall()
    connection.close()
    return rows


@pytest.fixture
def exported(whole: Path, tmp_path: Path) -> Path:
    store = open_for_reading(whole)
    export(store, tmp_path / "export", _newest(whole))
    store.close()
    return tmp_path / "export"


def test_an_export_is_the_tree_of_its_checkpoint(whole: Path, exported: Path) -> None:
    """T-AUD-9: entries alone, read from the files, give the root that was signed."""
    found = checkpoint.open_note((exported / "checkpoint").read_text(), ORIGIN, LEDGER_PUBLIC)
    leaves = []
    for idx in range(-(-found.size // merkle.TILE_WIDTH)):
        width = min(merkle.TILE_WIDTH, found.size - idx * merkle.TILE_WIDTH)
        name = tile_path(idx) + ("" if width == merkle.TILE_WIDTH else f".p/{width}")
        bundle = (exported / "tile" / "entries" / name).read_bytes()
        while bundle:
            length = int.from_bytes(bundle[:2], "big")
            leaves.append(merkle.leaf_hash(bundle[2 : 2 + length]))
            bundle = bundle[2 + length :]

    assert (found.size, found.root) == (len(leaves), merkle.root(leaves))
    assert check(whole).entries == found.size


def test_bodies_lie_beside_the_tree_and_belong_to_it(exported: Path) -> None:
    """T-AUD-9: a reader who is entitled to the records can check each against the tree."""
    first = (exported / "tile" / "entries" / "000").read_bytes()
    for number, line in enumerate((exported / "bodies.jsonl").read_text().splitlines()[:256]):
        found = json.loads(line)
        entry = merkle.entry(unb64(found["salt"]), unb64(found["body"]))

        assert (number, entry) == (found["index"], first[number * 35 + 2 : number * 35 + 35])


def test_exported_records_are_for_one_user_only(exported: Path) -> None:
    """T-PRV-1: the tree is for everybody; what the records say is for fewer."""
    assert 0o600 == (exported / "bodies.jsonl").stat().st_mode & 0o777


def test_an_export_never_mixes_with_another(whole: Path, exported: Path) -> None:
    """Two exports in one directory would verify as neither."""
    store = open_for_reading(whole)
    with pytest.raises(FileExistsError):
        export(store, exported, _newest(whole))
    store.close()


def test_an_export_of_more_than_there_is_is_refused(whole: Path, tmp_path: Path) -> None:
    """A head from before an old copy was restored does not fit what is left."""
    store = open_for_reading(whole)
    with pytest.raises(ValueError, match="fewer than"):
        export(store, tmp_path / "one", f"{ORIGIN}\n99999\n{b64(b'r' * 32)}\n")
    with pytest.raises(BadCheckpoint):
        export(store, tmp_path / "two", "nothing")
    store.close()


@pytest.mark.parametrize(
    ("idx", "path"),
    [(0, "000"), (5, "005"), (999, "999"), (1000, "x001/000"), (1234067, "x001/x234/067")],
)
def test_tiles_are_where_the_specification_puts_them(idx: int, path: str) -> None:
    """C2SP tlog-tiles, "Merkle Tree": three digits a part, all but the last marked with x."""
    assert path == tile_path(idx)


@pytest.mark.needs("go")
def test_a_verifier_that_we_did_not_write_accepts_an_export(
    require_tool: Callable[[str], str], exported: Path, tmp_path: Path
) -> None:
    """T-AUD-7: golang.org/x/mod/sumdb reads our export, and refuses it once a byte of it is changed."""
    source = Path(__file__).parents[1] / "interop" / "auditverify"
    program = tmp_path / "auditverify"
    built = subprocess.run(
        [require_tool("go"), "build", "-trimpath", "-o", str(program), "."],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode and "dial tcp" in built.stderr:
        pytest.skip("golang.org/x/mod is not here and cannot be fetched without a network")
    assert built.returncode == 0, built.stderr
    command = [str(program), "-log", checkpoint.vkey(ORIGIN, LEDGER_PUBLIC, checkpoint.ED25519), str(exported)]
    accepted = subprocess.run(command, capture_output=True, text=True, check=False)
    tile = exported / "tile" / "0" / "000"
    tile.write_bytes(tile.read_bytes()[:-1] + b"\0")
    refused = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (0, 1) == (accepted.returncode, refused.returncode), accepted.stdout + accepted.stderr


# -- Answers that were put together ------------------------------------------------------------------------------------

KEYS: Final = {"housing": Ed25519PrivateKey.generate(), "police": Ed25519PrivateKey.generate()}
PUBLIC: Final = {agency: signing.public_bytes(key) for agency, key in KEYS.items()}


def _said(question: Asked, agency: str, word: str) -> bytes:
    """One agency's signed answer about a family as a whole."""
    given = AgencyAnswer(
        statement=question.statement.digest,
        jti=uuid(),
        query_id=question.statement.core.query_id,
        node=agency,
        question="family.known_anywhere",
        question_version=1,
        as_of_ns=NOW_NS,
        policy="11" * 32,
        slots=tuple(SlotAnswer(f"s{number}", word) for number in range(1, 13)),
        sealed_contacts=b"",
    )
    return build(given, KEYS[agency])


def _put_together(path: Path, words: Mapping[str, str], told: str = "") -> Path:
    """A ledger with one question about a family, put together honestly, or as a dishonest broker tells it."""

    async def make() -> None:
        books = await open_books(path)
        question = asked(targets=sorted(words))
        decided = replace(decision(question), question=question_of("any"))
        opened = await books.questions.open_entry(Permit(question, decided))
        replies = tuple(Reply(agency, ANSWERED, _said(question, agency, word), word) for agency, word in words.items())
        made = compose(Answers(opened, replies))
        await books.questions.close_entry(replace(made, word=told or made.word))
        await books.close()

    asyncio.run(make())
    return path


def _findings(path: Path, **options: object) -> list[str]:
    return [finding.words for finding in check(path, **options).findings]


@pytest.mark.parametrize("words", [("NO", "NO"), ("YES", "NO"), ("NO", "CANNOT_SAY")])
def test_an_answer_put_together_honestly_verifies(tmp_path: Path, words: tuple[str, str]) -> None:
    """The control of the tests below."""
    path = _put_together(tmp_path / "broker.db", dict(zip(KEYS, words, strict=True)))

    assert [] == _findings(path, answer_keys=PUBLIC)


@pytest.mark.parametrize(
    ("words", "told", "honest"),
    [(("NO", "NO"), "YES", "NO"), (("YES", "NO"), "NO", "YES"), (("NO", "CANNOT_SAY"), "NO", "CANNOT_SAY")],
)
def test_a_broker_that_puts_answers_together_wrongly_is_found_out(
    tmp_path: Path, words: tuple[str, str], told: str, honest: str
) -> None:
    """T-AUD-9: the ledger names each agency's signed answer, and they do not come to what was told."""
    path = _put_together(tmp_path / "broker.db", dict(zip(KEYS, words, strict=True)), told)

    (found,) = _findings(path, answer_keys=PUBLIC)

    assert found.endswith(f"says {told}, and the agencies' signed answers come to {honest}")


def test_answers_exchanged_for_others_are_not_those_that_the_ledger_names(tmp_path: Path) -> None:
    """T-AUD-9: to cover a lie the broker would need answers with the digests of those it was given."""
    path = _put_together(tmp_path / "broker.db", {"housing": "NO", "police": "NO"}, "YES")
    other = _put_together(tmp_path / "other.db", {"housing": "NO", "police": "YES"})
    connection = sqlite3.connect(other)
    ((response,),) = connection.execute("SELECT response FROM question").fetchall()
    connection.close()
    spoil(path, f"UPDATE question SET response = X'{response.hex()}'")  # noqa: S608 # hexadecimal digits

    (found,) = _findings(path, answer_keys=PUBLIC)

    assert found.endswith("are not those that it names")


def test_answers_that_the_broker_signed_itself_are_found_out(tmp_path: Path) -> None:
    """T-SEC-2, T-AUD-9: an agency's answer is one that its own key signed."""
    path = _put_together(tmp_path / "broker.db", {"housing": "NO", "police": "YES"})
    others = {agency: signing.public_bytes(Ed25519PrivateKey.generate()) for agency in KEYS}

    (found,) = _findings(path, answer_keys=others)

    assert found.endswith("is not signed by its agency")
