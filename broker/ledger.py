"""The ledger in the words of the pipeline: what is durable before what, for one question.

    Permit  -> open_entry  -> ASKED, DECIDED, WARRANTED   in one transaction            -> Opened
    Refusal -> refuse      -> ASKED, REFUSED              in one transaction            -> Released
    Undecided -> undecided -> ASKED, ABANDONED            in one transaction
    Composed -> close_entry -> ANSWERED or NOT_REACHED for each agency asked, RELEASED  -> Released
    asked before -> replay -> REPLAYED                                                  -> Released

* No agency can hear of a question before `open_entry` returns, and no answer can leave before `close_entry` does,
  because only they make the values that the next step needs (T-AUD-1, T-AUD-3).
* In the transaction that writes RELEASED or REPLAYED, the agreements relied on are read again and the policy in force
  is compared with the one that decided. If either has changed, nothing is released and the terminal record is REFUSED
  (T-CON-1).
* A stored answer is given only to the same user, only for the same statement, and for each agency only as far as a
  fresh decision allows.
* A question that fails under way becomes ABANDONED at once; one that a failing ledger left open, as soon as it can be
  written again; one that a crash left open, at the next start, before anything new is written (T-AUD-3).

Records hold codes, digests, keyed tags and pseudonyms of staff. `stages` says what the values mean.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Final

import uuid_utils
from sqlalchemy import Connection

from accord import checkpoint as notes
from accord import merkle
from accord.agreement import LIVE
from accord.answer import CANNOT_SAY
from accord.canonical import b64url, sha256, unb64url
from accord.reasons import REASONS, Problem
from accord.signing import SIGNATURE_BYTES
from accord.v1 import audit_pb2, node_pb2
from broker.sequencer import MEMO_MOST, Batch, Entry, Head, Record, Sequencer, record
from broker.stages import (
    ANSWERED,
    REFUSED,
    Asked,
    Composed,
    Decision,
    Denial,
    InProgress,
    LedgerUnavailable,
    NotYourQuestion,
    Opened,
    Permit,
    QueryIdReused,
    Refusal,
    Released,
    Reply,
    Row,
    Undecided,
)
from broker.store import Store, decisions, state, tree

RELEASED: Final = "RELEASED"
ABANDONED: Final = "ABANDONED"
REPLAYED: Final = "REPLAYED"
REPLAY_REFUSED: Final = "REPLAY_REFUSED"
RECENT: Final = 1_024
"""Who countersigned none of so many newest entries is not waited for when the broker starts."""
ENTRIES_MOST: Final = 1_000
"""Most entries in one page."""

SUBJECT_WINDOW_DAYS: Final = 30
"""Days over which questions about one subject are counted."""

ABANDON_BATCH: Final = 500
"""Questions abandoned in one transaction at the start."""


class AgreementWithdrawn(Problem):
    """An agreement that a permit rests on is no longer live."""

    reason = "AGREEMENT_WITHDRAWN"


class PolicyChanged(Problem):
    """Other rules came into force after the decision; asking again decides by them."""

    reason = "POLICY_UNAVAILABLE"


class QuestionLedger:
    """Writes questions into the ledger. Implements what `ask` declares."""

    def __init__(
        self,
        sequencer: Sequencer,
        store: Store,
        now_ns: Callable[[], int],
        new_id: Callable[[], str] = lambda: str(uuid_utils.uuid7()),
    ) -> None:
        """Set up.

        Args:
            sequencer: The only writer; already started.
            store: For reading.
            now_ns: The clock, nanoseconds since 1970.
            new_id: Makes a warrant's identifier, a UUID version 7.
        """
        self._sequencer = sequencer
        self._store = store
        self._now_ns = now_ns
        self._new_id = new_id
        self._under_way: Counter[str] = Counter()
        self._doubtful = False

    async def start(self) -> int:
        """Give every question that a crash left open its terminal record.

        Returns:
            How many there were.

        Raises:
            LedgerUnavailable: They could not be recorded.
        """
        return await self._abandon_left()

    async def tidy(self) -> int:
        """Do the same for questions that a failure of the ledger left open; looks only after one. Call it now and then.

        Without this they would be said to be on their way till the next start: those that could not be abandoned when
        they failed, and those of which the ledger itself could not say whether they had become durable.

        Returns:
            How many there were.

        Raises:
            LedgerUnavailable: They could not be recorded; the next call tries again.
        """
        if not self._doubtful:
            return 0
        self._doubtful = False
        try:
            return await self._abandon_left()
        except Problem:
            self._doubtful = True
            raise

    async def _abandon_left(self) -> int:
        # Read and sifted without a pause, so that none under way slips between; see `open_entry`.
        with self._store.reading() as connection:
            left = tuple(one for one in state.still_open(connection) if not self._under_way[one.query_id])
        at_ns = self._now_ns()
        for start in range(0, len(left), ABANDON_BATCH):
            part = left[start : start + ABANDON_BATCH]
            records = tuple(
                record(ABANDONED, at_ns, {"agency": one.agency, "asked": one.asked_index}, query_id=one.query_id)
                for one in part
            )

            def write(
                connection: Connection, indices: tuple[int, ...], part: tuple[state.StoredQuestion, ...] = part
            ) -> None:
                for one, index in zip(part, indices, strict=True):
                    state.close_question(connection, one.query_id, index, ABANDONED, None)

            await self._sequencer.append(Batch(records, write=write))
        return len(left)

    async def activate(self, revision: str, catalogue: str, by: str, bundle: bytes) -> None:
        """Record that a policy revision and its catalogue are in force; nothing happens when they are already.

        Args:
            revision: 64 hexadecimal digits.
            catalogue: Digest of the catalogue, 64 hexadecimal digits.
            by: Who activated it: a pseudonym, or "start" when the process found it in place.
            bundle: The signed archive, kept so that its decisions can be made again.

        Raises:
            LedgerUnavailable: It could not be recorded.
        """
        with self._store.reading() as connection:
            current = state.in_force(connection)
            kept = decisions.has_bundle(connection, revision)

        def keep(connection: Connection, _: tuple[int, ...]) -> None:
            decisions.keep_bundle(connection, revision, bundle)

        if current is not None and (current.revision, current.catalogue) == (revision, catalogue):
            if not kept:
                await self._sequencer.append(Batch((), write=keep))
            return
        fields = {"policy": revision, "catalogue": catalogue, "by": by}

        def write(connection: Connection, indices: tuple[int, ...]) -> None:
            state.activate(connection, state.Activation(indices[0], revision, catalogue))
            keep(connection, indices)

        await self._sequencer.append(Batch((record("POLICY_ACTIVATED", self._now_ns(), fields),), write=write))

    def budgets(self, asked: Asked) -> tuple[int, int]:
        """What was asked before, for the policy input.

        Returns:
            Different people this user asked about today; and, of the people now asked about, the most questions that
            touched one of them in 30 days.

        Raises:
            LedgerUnavailable: The store cannot be read.
        """
        with self._store.reading() as connection:
            today = state.subjects_today(connection, asked.user.token, asked.at_ns)
            touched = [
                state.askings(connection, tags, asked.at_ns, SUBJECT_WINDOW_DAYS)
                for tags in asked.statement.broker_part.subject_tags.values()
            ]
        return today, max(touched, default=0)

    async def stored(self, asked: Asked) -> Released | None:
        """The stored answer to the same statement by the same user, if there is one.

        Raises:
            QueryIdReused: The number was used for another statement, or its question was abandoned in a crash.
            NotYourQuestion: Another user of the same agency asked it.
            InProgress: It is still being asked.
            LedgerUnavailable: The store cannot be read.
        """
        query_id = asked.statement.core.query_id
        with self._store.reading() as connection:
            found = state.question(connection, query_id)
            if found is None:
                return None
            _check_same(found, asked)
            if found.closed_index is None:
                raise InProgress(f"question {query_id} is still being asked")
            closing = tree.entries(connection, found.closed_index, found.closed_index + 1)
        if found.response is None:
            raise QueryIdReused(f"question {query_id} was {found.closed_kind} without an answer")
        body = closing[0].body if closing else b""
        rows = decode_rows(found.response)
        word = json.loads(body).get("composed", "") if body else ""
        return Released(query_id, rows, body, "", replayed=True, word=word)

    async def replay(self, decided: Permit | Refusal, stored: Released) -> Released:
        """Release a stored answer again, as far as today's decision and the agreements allow, and record it.

        Args:
            decided: Today's decision on the same statement.
            stored: From `stored`.

        Raises:
            LedgerUnavailable: It could not be recorded; nothing was released.
        """
        asked, decision = decided.asked, decided.decision
        if isinstance(decided, Refusal):
            return await self._replay(asked, decision, REPLAY_REFUSED, _refused_rows(decision), stored, frozenset())
        word = stored.word
        # An agency is shown again only if it would be asked again today.
        rows = tuple(
            row
            if row.delivery == REFUSED or decision.by_target[row.agency].allow
            else Row(row.agency, row.gateway, REFUSED, denials=decision.by_target[row.agency].denials)
            for row in stored.rows
        )
        if word and [row.delivery for row in rows] != [row.delivery for row in stored.rows]:
            # What was put together then holds an answer that may not be given today, and cannot be taken apart.
            word = CANNOT_SAY
        relied_on = _relied_on(decision)
        with self._store.reading() as connection:
            found = state.question(connection, stored.query_id)
        if found is not None and any(row.delivery == ANSWERED for row in rows):
            # What it rested on then must still stand: a replay never moves an answer to another ground.
            relied_on |= frozenset(found.agreements)
        try:
            return await self._replay(asked, decision, REPLAYED, rows, stored, relied_on, word)
        except (AgreementWithdrawn, PolicyChanged) as problem:
            refused = tuple(_denied(row, problem) for row in rows)
            return await self._replay(asked, decision, REPLAY_REFUSED, refused, stored, frozenset())

    async def refuse(self, refusal: Refusal) -> Released:
        """Record a question that policy lets go nowhere: ASKED and REFUSED.

        Raises:
            QueryIdReused: The number is taken.
            InProgress: The same question is on its way already.
            LedgerUnavailable: It could not be recorded; nothing was released.
        """
        asked, decision = refusal.asked, refusal.decision
        query_id = asked.statement.core.query_id
        rows = _refused_rows(decision)
        records = (
            _asked(asked, decision),
            record(
                REFUSED,
                asked.at_ns,
                {
                    **_header(asked, decision),
                    **decided_fields(decision),
                    "statement": asked.statement.digest.hex(),
                    "rows": _row_fields(rows),
                },
                query_id=query_id,
                receipted=True,
            ),
        )
        response = _encode_rows(rows)

        def guard(connection: Connection) -> None:
            _check_unused(connection, asked)

        def write(connection: Connection, indices: tuple[int, ...]) -> None:
            _open(connection, asked, frozenset(), indices[0])
            decisions.keep(connection, indices[1], asked.at_ns, decision.document)
            state.close_question(connection, query_id, indices[1], REFUSED, response)

        appended = await self._sequencer.append(Batch(records, guard, write))
        return _released(query_id, rows, appended.entries[1])

    async def undecided(self, undecided: Undecided) -> None:
        """Record a question on which there is no decision: ASKED and ABANDONED, with the cause.

        It counts for no budget: what an outage cost is not the asker's.

        Raises:
            QueryIdReused: The number is taken.
            InProgress: The same question is on its way already.
            LedgerUnavailable: It could not be recorded.
        """
        asked = undecided.asked
        query_id = asked.statement.core.query_id
        fields = {"agency": asked.user.agency, "cause": undecided.problem.reason, "policy": undecided.revision}
        records = (_asked(asked, undecided), record(ABANDONED, asked.at_ns, fields, query_id=query_id))

        def guard(connection: Connection) -> None:
            _check_unused(connection, asked)

        def write(connection: Connection, indices: tuple[int, ...]) -> None:
            _open_question(connection, asked, frozenset(), indices[0])
            state.close_question(connection, query_id, indices[1], ABANDONED, None)

        await self._sequencer.append(Batch(records, guard, write))

    async def open_entry(self, permit: Permit) -> Opened:
        """Make the intent to ask durable: ASKED, DECIDED and WARRANTED.

        Raises:
            QueryIdReused: The number is taken.
            InProgress: The same question is on its way already.
            AgreementWithdrawn: An agreement ended since the decision. Nothing was asked.
            PolicyChanged: Other rules are in force since the decision. Nothing was asked.
            LedgerUnavailable: It could not be recorded. Nothing was asked.
        """
        asked, decision = permit.asked, permit.decision
        query_id = asked.statement.core.query_id
        jti = self._new_id()
        relied_on = _relied_on(decision)
        agreements: dict[str, bytes] = {}
        allowed = sorted(agency for agency, one in decision.by_target.items() if one.allow)
        records = (
            _asked(asked, decision),
            record("DECIDED", asked.at_ns, {**_header(asked, decision), **decided_fields(decision)}, query_id=query_id),
            record(
                "WARRANTED",
                asked.at_ns,
                {"jti": jti, "statement": asked.statement.digest.hex(), "nodes": allowed},
                query_id=query_id,
            ),
        )

        def guard(connection: Connection) -> None:
            _check_unused(connection, asked)
            _check_policy(connection, decision)
            agreements.update(_check_agreements(connection, relied_on))

        def write(connection: Connection, indices: tuple[int, ...]) -> None:
            _open(connection, asked, relied_on, indices[0])
            decisions.keep(connection, indices[1], asked.at_ns, decision.document)

        # Counted, because the same question can be sent twice at once; the second is refused.
        self._under_way[query_id] += 1
        try:
            appended = await self._sequencer.append(Batch(records, guard, write))
        except BaseException as error:
            self._leave(query_id)
            self._doubtful |= isinstance(error, LedgerUnavailable)
            raise
        return Opened(permit, jti, appended.indices[0], agreements)

    async def close_entry(self, composed: Composed) -> Released:
        """Release an answer, or refuse it if agreement or policy changed while it was on its way.

        Raises:
            LedgerUnavailable: It could not be recorded; nothing was released.
        """
        try:
            released = await self._close(composed, RELEASED, check=True)
        except (AgreementWithdrawn, PolicyChanged) as problem:
            rows = tuple(_denied(row, problem) for row in composed.rows)
            released = await self._close(replace(composed, rows=rows, word=""), REFUSED, check=False)
        self._leave(released.query_id)
        return released

    async def abandon(self, opened: Opened) -> None:
        """Give a question that failed under way its terminal record; one that has it is left as it is.

        Raises:
            LedgerUnavailable: It could not be recorded; `tidy` will do it, or the next start.
        """
        asked = opened.permit.asked
        query_id = asked.statement.core.query_id
        one = record(ABANDONED, self._now_ns(), {"agency": asked.user.agency, "asked": opened.index}, query_id=query_id)

        def guard(connection: Connection) -> None:
            _check_open(connection, query_id)

        def write(connection: Connection, indices: tuple[int, ...]) -> None:
            state.close_question(connection, query_id, indices[0], ABANDONED, None)

        try:
            with contextlib.suppress(QueryIdReused):
                await self._sequencer.append(Batch((one,), guard, write))
        except Problem:
            self._doubtful = True
            raise
        finally:
            self._leave(query_id)

    def _leave(self, query_id: str) -> None:
        """One way of this question is at its end."""
        self._under_way -= Counter([query_id])

    async def _close(self, composed: Composed, kind: str, *, check: bool) -> Released:
        opened = composed.answers.opened
        asked, decision = opened.permit.asked, opened.permit.decision
        query_id = asked.statement.core.query_id
        at_ns = self._now_ns()
        rows = composed.rows
        response = _encode_rows(rows)
        terminal = {
            **_header(asked, decision),
            "statement": asked.statement.digest.hex(),
            "agreements": sorted(opened.agreements),
            "rows": _row_fields(rows),
            **_composed(composed.word),
        }
        records = (
            *(_reply(reply, at_ns, query_id) for reply in composed.answers.replies),
            record(kind, at_ns, terminal, query_id=query_id, receipted=True),
        )

        def guard(connection: Connection) -> None:
            _check_open(connection, query_id)
            if check:
                _check_policy(connection, decision)
                _check_agreements(connection, opened.agreements)

        def write(connection: Connection, indices: tuple[int, ...]) -> None:
            state.close_question(connection, query_id, indices[-1], kind, response)

        appended = await self._sequencer.append(Batch(records, guard, write))
        return _released(query_id, rows, appended.entries[-1], word=composed.word)

    async def _replay(
        self,
        asked: Asked,
        decision: Decision,
        kind: str,
        rows: tuple[Row, ...],
        stored: Released,
        relied_on: frozenset[str],
        word: str = "",
    ) -> Released:
        fields = {
            **_header(asked, decision),
            "statement": asked.statement.digest.hex(),
            "first": sha256(stored.record).hex(),
            "agreements": sorted(relied_on),
            "rows": _row_fields(rows),
            **_composed(word),
        }
        one = record(kind, asked.at_ns, fields, query_id=stored.query_id, receipted=True)

        def guard(connection: Connection) -> None:
            if kind == REPLAYED:
                _check_policy(connection, decision)
                _check_agreements(connection, relied_on)

        appended = await self._sequencer.append(Batch((one,), guard))
        return _released(stored.query_id, rows, appended.entries[0], replayed=True, word=word)


class LedgerReading:
    """Reads the ledger for auditors, witnesses and dispatch. For the event loop's thread only.

    Proofs are made against heads that were signed and published, never against what is merely committed.
    """

    def __init__(self, sequencer: Sequencer, store: Store, federation: str) -> None:
        """Set up.

        Args:
            sequencer: Gives the newest head.
            store: For reading.
            federation: Name of the federation; a witness is called `<federation>/<agency>`.
        """
        self._sequencer = sequencer
        self._store = store
        self._federation = federation
        self._tiles = tree.TileCache()
        self._memo: merkle.Memo = {}
        self._proofs: dict[int, tuple[bytes, ...]] = {}
        self._proofs_for = -1

    @property
    def head(self) -> Head:
        """The newest head: durable and signed."""
        return self._sequencer.head

    def checkpoint(self) -> str:
        """The newest checkpoint with the cosignatures it has so far."""
        head = self._sequencer.head
        with self._store.reading() as connection:
            lines = tree.cosignatures(connection, head.size)
        return notes.with_cosignatures(head.note, lines) if lines else head.note

    def note(self, size: int) -> str | None:
        """The signed checkpoint of exactly this size, if one was published."""
        head = self._sequencer.head
        if size == head.size:
            return head.note
        with self._store.reading() as connection:
            return tree.note(connection, size)

    def head_from(self, size: int) -> node_pb2.Head:
        """The newest checkpoint and the proof that it extends the tree of `size`.

        A node that has seen a larger tree gets no proof; it will refuse the older head and raise the alarm (T-AUD-8).
        """
        head = self._sequencer.head
        proof: tuple[bytes, ...] = ()
        if size <= head.size:
            if self._proofs_for != head.size:
                # Nodes mostly ask from the same few sizes; kept only while the head is the newest.
                self._proofs, self._proofs_for = {}, head.size
            found = self._proofs.get(size)
            proof = tuple(self.consistency(size, head.size)) if found is None else found
            self._proofs[size] = proof
        return node_pb2.Head(checkpoint=head.note, consistency=list(proof), from_size=size)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Proof that the tree of `new` entries begins with that of `old` (RFC 9162 section 2.1.4).

        Raises:
            ValueError: The sizes are out of order, or larger than what was published.
        """
        self._check_published(new)
        return merkle.consistency_proof(old, new, self._tiles.at(new, self._tile), self._remembered())

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Proof that an entry is in the tree of `size` (RFC 9162 section 2.1.3).

        Raises:
            ValueError: There is no such entry in it, or it is larger than what was published.
        """
        self._check_published(size)
        return merkle.inclusion_proof(index, size, self._tiles.at(size, self._tile), self._remembered())

    def entries(self, start: int, limit: int) -> list[audit_pb2.Entry]:
        """Published entries from `start` on, at most `limit`."""
        end = min(start + min(limit, ENTRIES_MOST), self._sequencer.head.size)
        with self._store.reading() as connection:
            found = tree.entries(connection, start, end)
        return [audit_pb2.Entry(index=one.index, salt=one.salt, body=one.body, entry=one.entry) for one in found]

    def receipt(self, index: int) -> tuple[bytes, str]:
        """A record and a receipt for it against the newest head.

        Raises:
            ValueError: There is no such entry, or it was erased.
        """
        head = self._sequencer.head
        with self._store.reading() as connection:
            return tree.receipted(connection, self._tiles, head.size, head.note, index)

    def witnesses(self) -> frozenset[str]:
        """The agencies that countersigned a head within the newest RECENT entries."""
        with self._store.reader.connect() as connection:
            named = tree.witnesses(connection, self._sequencer.head.size - RECENT)
        return frozenset(name.removeprefix(f"{self._federation}/") for name in named)

    def contradicts(self, size: int, root: bytes) -> bool:
        """Whether a head that a witness has seen is not a part of this ledger: larger than it, or another tree."""
        head = self._sequencer.head
        if size > head.size:
            return True
        with self._store.reading() as connection:
            return merkle.tree_root(size, self._tiles.at(max(size, 1), tree.reader(connection))) != root

    def _remembered(self) -> merkle.Memo:
        # Of whole subtrees under a head that was published: they never change.
        if len(self._memo) > MEMO_MOST:
            self._memo.clear()
        return self._memo

    def _tile(self, level: int, idx: int) -> bytes:
        # Mostly the tiles are at hand, and no connection is needed at all.
        with self._store.reading() as connection:
            return tree.tile(connection, level, idx)

    def _check_published(self, size: int) -> None:
        if size > self._sequencer.head.size:
            raise ValueError(f"no head of {size} entries was published")


def _check_same(found: state.StoredQuestion, asked: Asked) -> None:
    statement = asked.statement
    if found.agency == asked.user.agency and found.user != asked.user.token:
        raise NotYourQuestion(f"question {found.query_id} was asked by another user")
    if found.agency != asked.user.agency or found.statement_digest != statement.digest:
        raise QueryIdReused(f"question {found.query_id} was asked with another statement")


def _check_unused(connection: Connection, asked: Asked) -> None:
    found = state.question(connection, asked.statement.core.query_id)
    if found is not None:
        _check_same(found, asked)
        if found.state == state.CLOSED and found.response is None:
            raise QueryIdReused(f"question {found.query_id} was {found.closed_kind} without an answer")
        # The same question twice at once: the second waits for the first, then asks for its stored answer.
        raise InProgress(f"question {found.query_id} was opened a moment ago")


def _check_open(connection: Connection, query_id: str) -> None:
    found = state.question(connection, query_id)
    if found is None or found.state != state.OPEN:
        raise QueryIdReused(f"question {query_id} is not open any more")


def _check_policy(connection: Connection, decision: Decision) -> None:
    current = state.in_force(connection)
    if current is None or (current.revision, current.catalogue) != (decision.revision, decision.catalogue):
        raise PolicyChanged("the decision was made under rules that are not in force any more")


def _check_agreements(connection: Connection, record_ids: Collection[str]) -> dict[str, bytes]:
    """Digest of each agreement, all of them live.

    Dates were compared by the policy with the question's one clock reading; what can change under way is the state.
    """
    found = state.agreements(connection, record_ids)
    for record_id in record_ids:
        if record_id not in found or found[record_id].state not in LIVE:
            raise AgreementWithdrawn(f"agreement {record_id} is not live")
    return {record_id: sha256(one.body) for record_id, one in found.items()}


def _open(connection: Connection, asked: Asked, relied_on: Collection[str], index: int) -> None:
    _open_question(connection, asked, relied_on, index)
    state.note_asking(
        connection,
        query_id=asked.statement.core.query_id,
        user=asked.user.token,
        at_ns=asked.at_ns,
        subjects=asked.statement.broker_part.subject_tags.values(),
    )


def _open_question(connection: Connection, asked: Asked, relied_on: Collection[str], index: int) -> None:
    state.open_question(
        connection,
        query_id=asked.statement.core.query_id,
        agency=asked.user.agency,
        user=asked.user.token,
        statement_digest=asked.statement.digest,
        agreements=relied_on,
        asked_index=index,
    )


def _relied_on(decision: Decision) -> frozenset[str]:
    return frozenset(one for target in decision.by_target.values() if target.allow for one in target.agreements_used)


def _header(asked: Asked, decision: Decision | Undecided) -> dict[str, object]:
    core = asked.statement.core
    return {
        "agency": asked.user.agency,
        "user": asked.user.token,
        "question": core.question,
        "question_version": core.question_version,
        "purpose": core.purpose,
        "policy": decision.revision,
        "catalogue": decision.catalogue,
    }


def _asked(asked: Asked, decision: Decision | Undecided) -> Record:
    """The whole signed statement, so that an auditor can check the asker's own signature over it.

    Core and broker part are canonical JSON and stand here as objects: encoded again, they give the bytes signed.
    """
    statement = asked.statement
    fields = {
        **_header(asked, decision),
        "node_digests": [b64url(digest) for digest in statement.node_digests],
        "signature": b64url(statement.signature),
        "key_id": statement.key_id,
        "statement": statement.digest.hex(),
    }
    written = {"core": statement.core_bytes, "broker_part": statement.broker_part_bytes}
    return record("ASKED", asked.at_ns, fields, written=written, query_id=statement.core.query_id)


def decided_fields(decision: Decision) -> dict[str, object]:
    """What a record says of a decision."""
    return {
        "decision_id": decision.decision_id,
        "input": decision.input_sha256,
        "engine": decision.engine,
        **({"engine_decision_id": decision.engine_decision_id} if decision.engine_decision_id else {}),
        "elapsed_us": decision.elapsed_us,
        "targets": [
            {
                "agency": agency,
                "allow": one.allow,
                "gateway": one.gateway,
                "subjects": list(one.subjects),
                "grants": list(one.grants),
                "denials": [{"code": denial.code, "ref": denial.ref} for denial in one.denials],
                "agreement_mode": one.agreement_mode,
                "agreements": list(one.agreements_used),
                "obligations": dict(one.obligations),
                "answer_form": one.answer_form,
            }
            for agency, one in sorted(decision.by_target.items())
        ],
    }


def _reply(reply: Reply, at_ns: int, query_id: str) -> Record:
    if reply.delivery != ANSWERED:
        return record(reply.delivery, at_ns, {"agency": reply.agency, "cause": reply.cause}, query_id=query_id)
    fields = {
        "agency": reply.agency,
        "answer": sha256(reply.signed_answer).hex(),
        "signature": b64url(reply.signed_answer[-SIGNATURE_BYTES:]),
    }
    return record(ANSWERED, at_ns, fields, query_id=query_id)


def _refused_rows(decision: Decision) -> tuple[Row, ...]:
    return tuple(
        Row(agency, one.gateway, REFUSED, denials=one.denials) for agency, one in sorted(decision.by_target.items())
    )


def _denied(row: Row, problem: AgreementWithdrawn | PolicyChanged) -> Row:
    """The row of an agency whose answer may no longer be shown; one that was refused before keeps its reasons."""
    if row.delivery == REFUSED:
        return row
    if isinstance(problem, PolicyChanged):
        reason = "The rules changed while this question was on its way, so nothing was released"
        cure = "Ask again: the question is then decided by the rules now in force."
    else:
        reason, cure = REASONS[problem.reason].title, REASONS[problem.reason].cure
    denial = Denial(problem.reason, reason, cure, "your agency's information governance lead")
    return Row(row.agency, row.gateway, REFUSED, denials=(denial,))


def _row_fields(rows: Collection[Row]) -> list[Mapping[str, object]]:
    return [
        {
            "agency": row.agency,
            "gateway": row.gateway,
            "delivery": row.delivery,
            # Of an answer that is not shown too: with it an auditor can tell whether the one word is what it should be.
            "answer": sha256(row.signed_answer or row.kept).hex() if row.signed_answer or row.kept else "",
            "denials": [denial.code for denial in row.denials],
        }
        for row in rows
    ]


def _composed(word: str) -> dict[str, object]:
    return {"composed": word} if word else {}


def _released(
    query_id: str, rows: tuple[Row, ...], entry: Entry, *, replayed: bool = False, word: str = ""
) -> Released:
    return Released(query_id, rows, entry.body, entry.receipt, replayed, word)


def _encode_rows(rows: Collection[Row]) -> bytes:
    """Rows as the store keeps them. Nobody signs or hashes this form."""
    return json.dumps(
        [
            {
                "agency": row.agency,
                "gateway": row.gateway,
                "delivery": row.delivery,
                "signed_answer": b64url(row.signed_answer),
                "kept": b64url(row.kept),
                "denials": [[one.code, one.reason, one.cure, one.contact, one.ref] for one in row.denials],
            }
            for row in rows
        ],
        separators=(",", ":"),
    ).encode()


def decode_rows(data: bytes) -> tuple[Row, ...]:
    """Rows as the store keeps them."""
    return tuple(
        Row(
            one["agency"],
            one["gateway"],
            one["delivery"],
            unb64url(one["signed_answer"]),
            tuple(Denial(*denial) for denial in one["denials"]),
            unb64url(one.get("kept", "")),
        )
        for one in json.loads(data)
    )
