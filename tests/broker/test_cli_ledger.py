"""`accord-broker ledger search` finds what was recorded."""

import asyncio
import json
from pathlib import Path

import pytest

from broker.cli.ledger import search
from tests.world.ledger import asked, open_books, permit, refusal, uuid


def written(home: Path) -> tuple[str, str]:
    """A broker's home in whose ledger are one question on its way and one refused; their numbers."""
    first, second = uuid(), uuid()

    async def body() -> None:
        books = await open_books(home / "broker.db")
        await books.questions.open_entry(permit(asked(query_id=first)))
        await books.questions.refuse(refusal(asked(query_id=second)))
        await books.close()

    asyncio.run(body())
    (home / "broker.toml").write_text('federation = "midshire"\n', "utf-8")
    return first, second


def found(home: Path, capsys: pytest.CaptureFixture[str], **wanted: str) -> list[tuple[str, str | None]]:
    """Kind and question of each record found."""
    search(home, **{"query_id": "", "kind": "", "agency": "", "question": ""} | wanted, as_json=True)
    return [(row["kind"], row.get("query_id")) for row in json.loads(capsys.readouterr().out)]


def test_a_search_finds_by_number_and_by_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """T-AUD-5: whoever looks for one question gets all of its records in order, and no other's."""
    first, second = written(tmp_path)

    by_number = found(tmp_path, capsys, query_id=first)
    by_both = found(tmp_path, capsys, query_id=first, kind="DECIDED")
    by_kind = found(tmp_path, capsys, kind="ASKED")
    by_none = found(tmp_path, capsys, query_id=uuid())

    assert [("ASKED", first), ("DECIDED", first), ("WARRANTED", first)] == by_number
    assert [("DECIDED", first)] == by_both
    assert [("ASKED", first), ("ASKED", second)] == by_kind
    assert [] == by_none
