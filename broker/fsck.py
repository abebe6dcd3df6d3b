"""Check a ledger from its first entry to its last, believing nothing that can be computed anew.

    entries -> entry bytes -> leaf hashes -> tiles -> every head's root -> signatures -> order of records -> state

* Nothing is repaired. What is found is said in plain words, the first wrong entry first.
* A check against this database and its own key cannot notice a history that was rewritten and signed again by whoever
  holds the key (T-AUD-5). Heads that others kept can: pass them as `kept`.
* Reads in pages, on a connection that cannot write, beside a broker that may be running.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, func, select

from accord import checkpoint, merkle
from accord.answer import BadAnswer, open_answer
from accord.canonical import b64, sha256
from accord.checkpoint import BadCheckpoint
from broker.ledger import decode_rows
from broker.release import any_of
from broker.store import Store, tree
from broker.store.tables import AGREEMENT, COSIGNATURE, LEDGER_EDGE, LEDGER_TILE, QUESTION
from broker.store.tree import StoredEntry

PAGE: Final = 2_048
"""Entries read at a time; a multiple of the width of a tile."""

FINDINGS_MOST: Final = 100
"""Most findings that are kept; one change can make every later head wrong."""

TERMINAL: Final = frozenset({"RELEASED", "REFUSED", "ABANDONED"})
GIVES_AN_ANSWER: Final = frozenset({"RELEASED", "REPLAYED"})
_TILE_BYTES: Final = merkle.TILE_WIDTH * merkle.HASH_BYTES


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        index: The entry it concerns, or None when it concerns no single entry.
        words: What is wrong, in plain English.
    """

    index: int | None
    words: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found.

    Attributes:
        entries: How many entries were read.
        erased: How many of them had been erased, which is allowed after retention.
        questions: How many questions there are.
        open_questions: How many have no terminal record yet; only a running broker may have any.
        heads: How many signed heads were compared with the tree.
        root: Root of the tree over all entries.
        findings: What is wrong, by entry; empty when the ledger verifies.
    """

    entries: int
    erased: int
    questions: int
    open_questions: int
    heads: int
    root: bytes
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


@dataclass(slots=True)
class _Question:
    asked: int
    warranted: bool = False
    terminal: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Check:
    """What is carried from entry to entry."""

    findings: list[Finding] = field(default_factory=list)
    erased: int = 0
    questions: dict[str, _Question] = field(default_factory=dict)
    withdrawn: dict[str, int] = field(default_factory=dict)
    composed: dict[str, tuple[int, str, dict[str, str]]] = field(default_factory=dict)
    """Question -> its RELEASED entry, the one answer put together, and the digest of each agency's own."""
    given: dict[str, int] = field(default_factory=dict)

    def wrong(self, index: int | None, words: str) -> None:
        if len(self.findings) < FINDINGS_MOST:
            self.findings.append(Finding(index, words))


def verify(
    store: Store,
    origin: str,
    public: bytes,
    *,
    witnesses: Mapping[str, bytes] | None = None,
    answer_keys: Mapping[str, bytes] | None = None,
    kept: Sequence[str] = (),
    running: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Check a whole ledger.

    Args:
        store: Opened for reading.
        origin: Name of the ledger.
        public: The ledger's public key, 32 raw bytes.
        witnesses: Name -> public key, for the cosignatures that are stored.
        answer_keys: Agency -> public key of its answers, for answers that were put together of them.
        kept: Signed heads that others kept: from receipts, nodes or the steward.
        running: A broker may be at work on it, so questions may be open.
        progress: Called with how many entries were read, and of how many.
    """
    check = _Check()
    with store.reader.connect() as connection:
        total = tree.count(connection)
        heads = list(tree.heads(connection))
        # 1. Entries, leaf by leaf, and the order of records.
        sizes = _wanted(heads, kept, total)
        roots = _read_entries(connection, check, total, sizes, progress)
        # 2. Tiles: each is what its leaves make of it.
        _check_tiles(connection, check, total)
        # 3. Heads: each root is the tree's, each note is signed by the ledger's key.
        compared = _check_heads(check, heads, roots, total, origin, public)
        compared += _check_kept(check, kept, roots, total, origin, public)
        _check_cosignatures(connection, check, witnesses or {})
        # 4. The state beside the ledger is what the records make of it; said only of records that are sound, so that
        # the entry that was changed is what is named first, and not what follows from it.
        if not check.findings:
            _check_questions(connection, check, running=running)
            _check_composed(connection, check, answer_keys or {})
            _check_agreements(connection, check)
    findings = sorted(check.findings, key=lambda one: (one.index is None, one.index or 0))
    unfinished = sum(not one.terminal for one in check.questions.values())
    return Report(total, check.erased, len(check.questions), unfinished, compared, roots[total], tuple(findings))


def export(store: Store, directory: Path, note: str, progress: Callable[[int, int], None] | None = None) -> int:
    """Write a ledger as files that any verifier reads.

    The files are those of C2SP tlog-tiles (https://c2sp.org/tlog-tiles): `checkpoint`, `tile/<level>/<index>` and
    `tile/entries/<index>`, partial tiles with `.p/<width>`. Beside them `bodies.jsonl` holds index, salt and body of
    each record, for readers who are entitled to them; the rest tells nobody what a record says.

    Args:
        store: Opened for reading.
        directory: Made when it is not there; must be empty.
        note: The signed head to export; the tree is written as of its size.
        progress: Called with how many entries were written, and of how many.

    Returns:
        How many entries were written.

    Raises:
        FileExistsError: The directory holds something.
        BadCheckpoint: The note is malformed.
        ValueError: The ledger is shorter than the note says.
    """
    size = _size_of(note)
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise FileExistsError(f"{directory} is not empty")
    # The records are for fewer readers than the tree: for this user only, until somebody decides otherwise.
    private = os.open(directory / "bodies.jsonl", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with store.reader.connect() as connection, os.fdopen(private, "w", encoding="utf-8") as bodies:
        if tree.count(connection) < size:
            raise ValueError(f"the ledger holds fewer than {size} entries")
        read = tree.TileCache().at(size, tree.reader(connection))
        for (level, idx), width in merkle.tile_widths(size).items():
            hashes = read(level, idx)[: width * merkle.HASH_BYTES]
            _put(directory / "tile" / str(level), idx, width, hashes)
            if level == 0:
                start = idx * merkle.TILE_WIDTH
                rows = tree.entries(connection, start, start + width)
                bundle = b"".join(len(one.entry).to_bytes(2, "big") + one.entry for one in rows)
                _put(directory / "tile" / "entries", idx, width, bundle)
                for one in rows:
                    line = {"index": one.index, "salt": b64(one.salt), "body": b64(one.body)}
                    bodies.write(json.dumps(line, separators=(",", ":")) + "\n")
                if progress is not None:
                    progress(start + width, size)
    (directory / "checkpoint").write_text(note, encoding="utf-8")
    return size


def tile_path(idx: int) -> str:
    """A tile's number as a path of three digits a part (C2SP tlog-tiles): 1234067 is `x001/x234/067`."""
    parts = [f"{idx % 1000:03d}"]
    while idx >= 1000:
        idx //= 1000
        parts.append(f"x{idx % 1000:03d}")
    return "/".join(reversed(parts))


def _put(folder: Path, idx: int, width: int, content: bytes) -> None:
    path = folder / (tile_path(idx) + ("" if width == merkle.TILE_WIDTH else f".p/{width}"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _size_of(note: str) -> int:
    lines = note.split("\n")
    if len(lines) < 3 or not lines[1].isascii() or not lines[1].isdigit():
        raise BadCheckpoint("the note states no size")
    return int(lines[1])


def _wanted(heads: Iterable[tree.StoredHead], kept: Iterable[str], total: int) -> frozenset[int]:
    """Sizes at which the root is needed."""
    sizes = {0, total, *(one.size for one in heads)}
    for note in kept:
        try:
            sizes.add(_size_of(note))
        except BadCheckpoint:
            continue
    return frozenset(sizes)


class _Roots:
    """Root of every prefix asked for, from leaf hashes given in order: a compact range (RFC 6962 section 2.1)."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        self._peaks.append(leaf)
        self.size += 1
        for _ in range((self.size & -self.size).bit_length() - 1):
            right, left = self._peaks.pop(), self._peaks.pop()
            self._peaks.append(merkle.node_hash(left, right))

    def root(self) -> bytes:
        if not self._peaks:
            return merkle.EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = merkle.node_hash(peak, root)
        return root


def _pages(connection: Connection, total: int) -> Iterator[tuple[int, tuple[StoredEntry, ...]]]:
    for start in range(0, total, PAGE):
        yield start, tree.entries(connection, start, min(start + PAGE, total))


def _read_entries(
    connection: Connection,
    check: _Check,
    total: int,
    sizes: frozenset[int],
    progress: Callable[[int, int], None],
) -> dict[int, bytes]:
    """Read every entry once, compare it with its tile, and give back the root at each size asked for."""
    whole = _Roots()
    roots = {0: merkle.EMPTY_ROOT}
    for start, page in _pages(connection, total):
        end = min(start + PAGE, total)
        found = {one.index: one for one in page}
        tiles = b"".join(
            _tile(connection, 0, idx)[:_TILE_BYTES].ljust(_TILE_BYTES, b"\0")
            for idx in range(start // merkle.TILE_WIDTH, -(-end // merkle.TILE_WIDTH))
        )
        for index in range(start, end):
            one = found.get(index)
            before = len(check.findings)
            if one is None:
                check.wrong(index, f"entry {index} was removed")
                leaf = merkle.leaf_hash(b"")
            else:
                leaf = _check_entry(check, one)
            place = (index - start) * merkle.HASH_BYTES
            if tiles[place : place + merkle.HASH_BYTES] != leaf and len(check.findings) == before:
                check.wrong(index, f"entry {index} is not the one that the tree was built over")
            whole.add(leaf)
            if whole.size in sizes:
                roots[whole.size] = whole.root()
        progress(end, total)
    return roots


def _check_entry(check: _Check, one: StoredEntry) -> bytes:
    """Check one entry and follow its record; its leaf hash, as it follows from salt and body."""
    if not all(isinstance(part, bytes) for part in (one.salt, one.body, one.entry)):
        # SQLite keeps whatever type was put into a column.
        check.wrong(one.index, f"entry {one.index} was changed after it was signed: it holds text in place of bytes")
        return merkle.leaf_hash(b"")
    if len(one.salt) == 0 and len(one.body) == 0:
        check.erased += 1
        _follow(check, one, {})
        return merkle.leaf_hash(one.entry)
    if len(one.salt) != merkle.SALT_BYTES:
        check.wrong(one.index, f"entry {one.index} was changed after it was signed: its salt is not 16 bytes")
        return merkle.leaf_hash(one.entry)
    computed = merkle.entry(one.salt, one.body)
    if computed != one.entry:
        check.wrong(one.index, f"entry {one.index} was changed after it was signed")
        _follow(check, one, {})
        return merkle.leaf_hash(computed)
    try:
        body = json.loads(one.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        check.wrong(one.index, f"entry {one.index} is not a record")
        return merkle.leaf_hash(computed)
    if (body.get("kind"), body.get("query_id"), body.get("at")) != (one.kind, one.query_id, one.at):
        check.wrong(one.index, f"entry {one.index} is filed under another kind, question or time than it states")
    _follow(check, one, body)
    return merkle.leaf_hash(computed)


def _follow(check: _Check, one: StoredEntry, body: Mapping[str, object]) -> None:
    """The order that records must keep: asked, warranted, one end; nothing given after a withdrawal."""
    index, query_id = one.index, one.query_id
    question = check.questions.get(query_id) if query_id is not None else None
    if one.kind == "ASKED" and query_id is not None:
        if question is not None:
            check.wrong(index, f"entry {index} asks question {query_id} a second time; entry {question.asked} asked it")
        else:
            check.questions[query_id] = _Question(index)
    elif query_id is not None and question is None:
        check.wrong(index, f"entry {index} ({one.kind}) belongs to question {query_id}, which was never asked")
    elif question is not None:
        _follow_question(check, one, question)
    record_id = body.get("record_id")
    if one.kind == "AGREEMENT_GIVEN" and isinstance(record_id, str):
        check.given.setdefault(record_id, index)
    elif one.kind == "AGREEMENT_WITHDRAWN" and isinstance(record_id, str):
        if record_id not in check.given and not check.erased:
            check.wrong(index, f"entry {index} withdraws agreement {record_id}, which was never given")
        check.withdrawn.setdefault(record_id, index)
    if one.kind == "RELEASED" and query_id is not None and isinstance(body.get("composed"), str):
        rows = body.get("rows")
        named = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        digests = {str(row.get("agency")): str(row.get("answer")) for row in named}
        check.composed[query_id] = (index, str(body["composed"]), digests)
    if one.kind in GIVES_AN_ANSWER:
        relied_on = body.get("agreements")
        for relied in relied_on if isinstance(relied_on, list) else []:
            ended = check.withdrawn.get(str(relied))
            if ended is not None:
                check.wrong(
                    index, f"entry {index} gives an answer under agreement {relied}, which entry {ended} had withdrawn"
                )
            elif relied not in check.given and not check.erased:
                check.wrong(index, f"entry {index} gives an answer under agreement {relied}, which was never given")


def _follow_question(check: _Check, one: StoredEntry, question: _Question) -> None:
    if one.kind == "WARRANTED":
        question.warranted = True
    elif one.kind == "ANSWERED" and not question.warranted:
        check.wrong(one.index, f"entry {one.index} is an answer to question {one.query_id}, which was never warranted")
    elif one.kind in TERMINAL:
        if question.terminal:
            check.wrong(
                one.index,
                f"entry {one.index} ends question {one.query_id} a second time; entry {question.terminal[0]} ended it",
            )
        question.terminal.append(one.index)
    elif one.kind == "REPLAYED" and not question.terminal:
        check.wrong(one.index, f"entry {one.index} repeats an answer to question {one.query_id}, which has none yet")


def _check_tiles(connection: Connection, check: _Check, total: int) -> None:
    """Compare each level with the one below it, and every tile with its size; level 0 was compared with the entries."""
    widths = merkle.tile_widths(total)
    for (level, idx), width in widths.items():
        stored = _tile(connection, level, idx)
        if len(stored) != width * merkle.HASH_BYTES:
            check.wrong(None, f"tile {level}/{idx} holds {len(stored)} bytes instead of {width * merkle.HASH_BYTES}")
        if level:
            first = idx * merkle.TILE_WIDTH
            expected = b"".join(_tile_root(connection, level - 1, one) for one in range(first, first + width))
            if stored[: len(expected)] != expected:
                covered = first << (merkle.TILE_HEIGHT * level)
                check.wrong(
                    None, f"tile {level}/{idx} does not fit the tiles below it, over the entries from {covered}"
                )
    stored_tiles = connection.execute(select(func.count()).select_from(LEDGER_TILE)).scalar_one()
    stored_tiles += connection.execute(select(func.count()).where(LEDGER_EDGE.c.hashes != b"")).scalar_one()
    if stored_tiles > len(widths):
        check.wrong(None, f"there are {stored_tiles - len(widths)} tiles more than {total} entries need")


def _tile(connection: Connection, level: int, idx: int) -> bytes:
    found: object = tree.tile(connection, level, idx)
    return found if isinstance(found, bytes) else b""


def _tile_root(connection: Connection, level: int, idx: int) -> bytes:
    hashes = _tile(connection, level, idx)
    step = merkle.HASH_BYTES
    return merkle.root([hashes[start : start + step] for start in range(0, len(hashes), step)])


def _check_heads(
    check: _Check,
    heads: Sequence[tree.StoredHead],
    roots: Mapping[int, bytes],
    total: int,
    origin: str,
    public: bytes,
) -> int:
    if heads and heads[-1].size != total:
        check.wrong(None, f"the newest head is over {heads[-1].size} entries, and the ledger holds {total}")
    elif not heads and total:
        check.wrong(None, f"the ledger holds {total} entries and no head")
    broken = False
    for before, one in zip([0, *(head.size for head in heads)], heads, strict=False):
        if one.size > total:
            check.wrong(None, f"a head over {one.size} entries was committed; {one.size - total} of them are gone")
        elif roots[one.size] != one.root and not broken:
            # Every later head is wrong as well; the first one says where to look.
            broken = True
            named = any(found.index is not None and before <= found.index < one.size for found in check.findings)
            which = f"entry {before}" if one.size - before == 1 else f"one of the entries {before} to {one.size - 1}"
            if not named:
                check.wrong(before, f"{which} is not what the head over {one.size} entries was made for")
        if one.note is None and one is not heads[-1]:
            check.wrong(None, f"the head over {one.size} entries was never signed")
        elif one.note is not None:
            _check_note(check, one, origin, public)
    return len(heads)


def _check_note(check: _Check, head: tree.StoredHead, origin: str, public: bytes) -> None:
    try:
        found = checkpoint.open_note(str(head.note), origin, public)
    except BadCheckpoint as problem:
        check.wrong(None, f"the signed head over {head.size} entries does not hold: {problem}")
        return
    if (found.size, found.root) != (head.size, head.root):
        check.wrong(None, f"the signed head over {head.size} entries states another size or root than was committed")


def _check_kept(
    check: _Check, kept: Sequence[str], roots: Mapping[int, bytes], total: int, origin: str, public: bytes
) -> int:
    """Heads that others kept must be heads of this very tree (T-AUD-4)."""
    for note in kept:
        try:
            found = checkpoint.open_note(note, origin, public)
        except BadCheckpoint as problem:
            check.wrong(None, f"a head that was kept elsewhere does not hold: {problem}")
            continue
        if found.size > total:
            check.wrong(total, f"a head over {found.size} entries was signed; this ledger holds only {total}")
        elif roots[found.size] != found.root:
            check.wrong(None, f"the first {found.size} entries are not those that were signed when others saw them")
    return len(kept)


def _check_cosignatures(connection: Connection, check: _Check, witnesses: Mapping[str, bytes]) -> None:
    for row in connection.execute(select(COSIGNATURE).order_by(COSIGNATURE.c.size)):
        public = witnesses.get(row.witness)
        note = tree.note(connection, row.size)
        if public is None or note is None:
            continue
        try:
            checkpoint.verify_cosignature(note, row.line, row.witness, public)
        except BadCheckpoint as problem:
            check.wrong(None, f"the cosignature of {row.witness} over {row.size} entries does not hold: {problem}")


def _check_questions(connection: Connection, check: _Check, *, running: bool) -> None:
    rows = {row.query_id: row for row in connection.execute(select(QUESTION))}
    for query_id, question in check.questions.items():
        if not question.terminal and not running:
            check.wrong(question.asked, f"question {query_id} of entry {question.asked} was never ended")
        row = rows.pop(query_id, None)
        if row is None:
            check.wrong(question.asked, f"question {query_id} of entry {question.asked} is missing from the state")
            continue
        closed = question.terminal[0] if question.terminal else None
        if (row.asked_index, row.closed_index) != (question.asked, closed):
            check.wrong(question.asked, f"the state of question {query_id} is not what its records say")
    for query_id in rows if not check.erased else ():
        check.wrong(None, f"the state holds question {query_id}, which the ledger does not")


def _check_composed(connection: Connection, check: _Check, answer_keys: Mapping[str, bytes]) -> None:
    """An answer put together must be what the agencies' own signed answers come to (T-AUD-9)."""
    for query_id, (index, word, digests) in check.composed.items():
        response = connection.execute(select(QUESTION.c.response).where(QUESTION.c.query_id == query_id)).scalar()
        rows = decode_rows(response) if isinstance(response, bytes) else ()
        if {row.agency: sha256(row.kept).hex() if row.kept else "" for row in rows} != digests:
            check.wrong(index, f"the answers kept for entry {index} are not those that it names")
            continue
        if not {row.agency for row in rows if row.kept} <= set(answer_keys):
            continue  # an agency that has left: whoever has its key of that time can look
        try:
            said = [
                open_answer(row.kept, node=row.agency, answer_public=answer_keys[row.agency]).of_family().answer
                if row.kept
                else ""
                for row in rows
            ]
        except BadAnswer:
            check.wrong(index, f"an answer of which entry {index} was put together is not signed by its agency")
            continue
        if any_of(said) != word:
            check.wrong(index, f"entry {index} says {word}, and the agencies' signed answers come to {any_of(said)}")


def _check_agreements(connection: Connection, check: _Check) -> None:
    columns = (AGREEMENT.c.record_id, AGREEMENT.c.given_index, AGREEMENT.c.withdrawn_index)
    stored = {row.record_id: (row.given_index, row.withdrawn_index) for row in connection.execute(select(*columns))}
    for record_id, given in check.given.items():
        expected = (given, check.withdrawn.get(record_id))
        found = stored.pop(record_id, None)
        if found is None:
            check.wrong(given, f"agreement {record_id} of entry {given} is missing from the state")
        elif found != expected:
            check.wrong(given, f"the state of agreement {record_id} is not what its records say")
    for record_id in stored if not check.erased else ():
        check.wrong(None, f"the state holds agreement {record_id}, which the ledger does not")
