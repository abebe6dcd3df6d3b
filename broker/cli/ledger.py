"""The ledger: verify, export, search."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from broker.cli.app import Exit, HomeOption, JsonOption, app, directory_of, err, load, out, show

if TYPE_CHECKING:
    from rich.progress import Progress

    from broker.store import Store

ledger = typer.Typer(help="The record of every question, agreement and rule.", no_args_is_help=True)
app.add_typer(ledger, name="ledger")
PAGE = 1_000


def progress_bar() -> "Progress":
    """A bar on standard error, with the time left; nothing where nobody looks."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)


@ledger.command("verify")
def verify(
    home: HomeOption,
    running: Annotated[bool, typer.Option(help="The broker is running: questions on their way are no fault.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Rebuild the tree from its entries and check every tile, head, cosignature and question."""
    from broker import fsck
    from broker.store import open_for_reading

    told = load(home)
    store = open_for_reading(told.place)
    directory = directory_of(told)
    try:
        with progress_bar() as bar:
            task = bar.add_task("Checking entries", total=None)
            report = fsck.verify(
                store,
                directory.broker.ledger_origin,
                directory.broker.ledger_key,
                witnesses={f"{directory.federation}/{one.id}": one.witness for one in directory.agencies},
                answer_keys={one.id: one.answer for one in directory.agencies},
                running=running,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
    finally:
        store.close()
    if as_json:
        show(
            {
                "ok": report.ok,
                "entries": report.entries,
                "erased": report.erased,
                "questions": report.questions,
                "open_questions": report.open_questions,
                "heads": report.heads,
                "root": report.root.hex(),
                "findings": [{"index": one.index, "words": one.words} for one in report.findings],
            }
        )
    elif report.ok:
        out.print(f"The ledger holds: {report.entries} entries, {report.questions} questions, {report.heads} heads.")
    else:
        out.print("[bold red]The ledger does not hold.[/]")
        for one in report.findings:
            out.print(one.words, markup=False, highlight=False)
    raise Exit(0 if report.ok else 5)


@ledger.command("export")
def export(
    home: HomeOption, folder: Annotated[Path, typer.Argument(help="A folder; made when it is not there.")]
) -> None:
    """Write the ledger as the tlog-tiles files that any verifier reads, with its records beside them."""
    from broker import fsck
    from broker.store import open_for_reading, tree

    store = open_for_reading(load(home).place)
    try:
        with store.reader.connect() as connection:
            head = tree.head(connection)
        if head is None or not head.note:
            raise typer.BadParameter("the ledger is empty")
        if folder.exists() and any(folder.iterdir()):
            raise typer.BadParameter(f"{folder} is not empty")
        with progress_bar() as bar:
            task = bar.add_task("Writing entries", total=head.size)
            written = fsck.export(store, folder, head.note, lambda done, total: bar.update(task, completed=done))
    finally:
        store.close()
    out.print(f"{written} entries are in {folder}.")


@ledger.command("search")
def search(
    home: HomeOption,
    query_id: Annotated[str, typer.Option(help="Number of a question.")] = "",
    kind: Annotated[str, typer.Option(help="Kind of record, for example RELEASED.")] = "",
    agency: Annotated[str, typer.Option(help="The asking agency.")] = "",
    question: Annotated[str, typer.Option(help="Identifier of a question of the catalogue.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Find records. They hold codes and pseudonyms, never who was asked about."""
    from broker.store import open_for_reading

    store = open_for_reading(load(home).place)
    wanted = {"query_id": query_id, "kind": kind, "agency": agency, "question": question}
    try:
        records = _records(store, query_id)
        found = (row for row in records if all(row.get(key) == value for key, value in wanted.items() if value))
        if as_json:
            show(list(found))
            return
        for row in found:
            _print(row)
    finally:
        store.close()


def _print(row: Mapping[str, Any]) -> None:
    words = [row["at"], row["kind"], *(row[name] for name in ("agency", "question", "purpose") if row.get(name))]
    number = row.get("query_id") or row.get("record_id") or ""
    # Not a table: a question's number must never be cut, and stands on a line of its own to be copied.
    out.print(f"{row['index']:>6}  {'  '.join(words)}", soft_wrap=True, markup=False, highlight=False)
    if number:
        out.print(f"        {number}", soft_wrap=True, style="dim", highlight=False)


def _records(store: "Store", query_id: str) -> Iterator[dict[str, Any]]:
    """Records in their order: a question's by its number, or all of them page by page, never all at once."""
    from broker.store import tree

    with store.reader.connect() as connection:
        total = tree.count(connection)
        pages = (
            (tree.entries(connection, start, min(start + PAGE, total)) for start in range(0, total, PAGE))
            if not query_id
            else iter([tree.entries_of(connection, query_id)])
        )
        for page in pages:
            for entry in page:
                if entry.body:
                    yield {"index": entry.index, **json.loads(entry.body)}
