"""A question that fails under way has one last record all the same, and its asker learns that nothing came of it."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, event

from accord.warrant import TooWide
from broker import ask as pipeline
from broker.dispatch import Dispatcher
from broker.sessions import Session, Sessions
from broker.stages import Answers, Asked, Composed, LedgerUnavailable, Opened, Permit, QueryIdReused, Reply
from broker.store import tree
from tests.world import trust
from tests.world.ledger import NOW_NS, Books, asked, composed, open_books, permit

Result = TypeVar("Result")


def with_books(path: Path, body: Callable[[Books], Awaitable[Result]]) -> Result:
    async def inside() -> Result:
        books = await open_books(path / "broker.db")
        try:
            return await body(books)
        finally:
            await books.close()

    return asyncio.run(inside())


def kinds(books: Books, question: Asked) -> list[str]:
    with books.store.reader.connect() as connection:
        return [entry.kind for entry in tree.entries_of(connection, question.statement.core.query_id)]


class Permits:
    """A policy that allows everything."""

    async def decide(self, asked: Asked) -> Permit:
        return permit(asked)


class Fails:
    """Nodes that cannot be asked at all."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def dispatch(self, opened: Opened, heard: pipeline.Heard) -> Answers:
        raise self.error


@pytest.mark.parametrize("error", [TooWide("a warrant nobody would read"), RuntimeError("a mistake of ours")])
def test_a_question_that_cannot_be_sent_is_abandoned(tmp_path: Path, error: Exception) -> None:
    """T-AUD-3: without a last record it would stay open, and be told to be still on its way, till the next start."""

    async def body(books: Books) -> list[str]:
        question = asked()
        with pytest.raises(type(error)):
            await pipeline.ask(question, Permits(), books.questions, Fails(error), lambda answers: _never())
        with pytest.raises(QueryIdReused):
            await books.questions.stored(question)
        return kinds(books, question)

    assert ["ASKED", "DECIDED", "WARRANTED", "ABANDONED"] == with_books(tmp_path, body)


def _never() -> Composed:
    raise AssertionError("nothing was answered")


def test_a_question_with_its_last_record_gets_no_second_one(tmp_path: Path) -> None:
    """T-AUD-3: a release that became durable although its writer was told otherwise stays the only one."""

    async def body(books: Books) -> list[str]:
        question = asked()
        opened = await books.questions.open_entry(permit(question))
        await books.questions.close_entry(composed(opened))
        await books.questions.abandon(opened)
        return kinds(books, question)

    assert ["RELEASED"] == with_books(tmp_path, body)[-1:]


def test_an_agency_that_left_the_directory_meanwhile_is_not_reached(tmp_path: Path) -> None:
    """T-NET-1, T-NET-2: the others' answers still count."""
    federation = trust.make_federation(agencies=("police", "social-care"))

    async def body(books: Books) -> tuple[Reply, ...]:
        sessions = Sessions()
        await sessions.attach(AnswersAtOnce("housing"))
        dispatcher = Dispatcher(
            sessions,
            lambda: federation.directory,
            books.reading,
            Ed25519PrivateKey.generate(),
            lambda: NOW_NS,
        )
        opened = await books.questions.open_entry(permit(asked()))
        return (await dispatcher.dispatch(opened, pipeline.nobody_listens)).replies

    replies = with_books(tmp_path, body)

    assert [("housing", "left_directory"), ("police", "not_attached")] == [(one.agency, one.cause) for one in replies]


class AnswersAtOnce(Session):
    """A stream whose node has answered by the time that it is asked."""

    def send(self, frame: object) -> None:
        for query_id in list(self.waiting):
            self.answered(query_id, bytes(2048))


@contextlib.contextmanager
def failing_commits(books: Books, *, durable: bool = False) -> Iterator[None]:
    """A disk that is full; or one that breaks just after what was written has become durable."""
    assert books.store.writer is not None

    def fail(connection: Connection) -> None:
        if durable:
            connection.exec_driver_sql("COMMIT")
        raise sqlite3.OperationalError("database or disk is full")

    event.listen(books.store.writer, "commit", fail)
    try:
        yield
    finally:
        event.remove(books.store.writer, "commit", fail)


def test_a_question_that_a_full_disk_left_open_ends_when_the_disk_is_back(tmp_path: Path) -> None:
    """T-AUD-3, T-OPS-1: without waiting for a restart; one that is under way is left alone."""

    async def body(books: Books) -> list[list[str]]:
        one = await books.questions.open_entry(permit(asked()))
        going = await books.questions.open_entry(permit(asked()))
        with failing_commits(books), pytest.raises(LedgerUnavailable):
            await books.questions.abandon(one)
        await books.questions.tidy()
        await books.questions.close_entry(composed(going))
        return [kinds(books, each.permit.asked) for each in (one, going)]

    abandoned, released = with_books(tmp_path, body)

    assert (["ASKED", "DECIDED", "WARRANTED", "ABANDONED"], "RELEASED") == (abandoned, released[-1])


def test_a_question_that_became_durable_unnoticed_ends_when_the_disk_is_back(tmp_path: Path) -> None:
    """T-AUD-3: its asker was told that nothing was recorded, so nobody would ever end it."""

    async def body(books: Books) -> tuple[list[str], int]:
        question = asked()
        with failing_commits(books, durable=True), pytest.raises(LedgerUnavailable):
            await books.questions.open_entry(permit(question))
        await books.questions.tidy()
        return kinds(books, question), await books.questions.tidy()

    assert (["ASKED", "DECIDED", "WARRANTED", "ABANDONED"], 0) == with_books(tmp_path, body)
