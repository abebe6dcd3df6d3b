"""Policies: check them, read them, build the bundle."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from broker.cli.app import Exit, HomeOption, JsonOption, app, directory_of, load, out, show

if TYPE_CHECKING:
    from rich.progress import TaskID
    from sqlalchemy import Connection

    from accord.bundle import Bundle
    from broker.decide import Rules
    from broker.reach import Difference
    from broker.rehearsal import Kept, Rehearsed
    from broker.settings import BrokerSettings

policy = typer.Typer(help="The rules that decide every question.", no_args_is_help=True)
app.add_typer(policy, name="policy")
STARTER = Path(__file__).parent.parent / "starter_policies"
CHECKOUT = Path(__file__).parent.parent.parent / "policies"


def starter_policies() -> Path:
    """The policies that come with the broker: in an installed package, else in a checkout."""
    return STARTER if STARTER.is_dir() else CHECKOUT


PoliciesArgument = Annotated[Path | None, typer.Argument(help="The policies folder; the starter policies if left out.")]
DaysOption = Annotated[int, typer.Option("--days", min=1, max=3_660, help="How many days back to look.")]
ProfileOption = Annotated[str, typer.Option(help="demo, or production: refuses law that nobody has verified.")]


@policy.command("check")
def policy_check(
    policies: PoliciesArgument = None, profile: ProfileOption = "demo", as_json: JsonOption = False
) -> None:
    """Look for mistakes in the policies: where each one is, and what to write instead. Changes nothing."""
    from broker.policy import PolicyMistake, compile_files

    _known(profile)
    found: list[dict[str, object]] = []
    try:
        compile_files(policies or starter_policies(), profile)
    except PolicyMistake as mistake:
        found = [asdict(fault) for fault in mistake.faults] or [
            {"file": mistake.file, "field": mistake.field, "told": "There is a mistake here.", "cure": mistake.cure}
        ]
    if as_json:
        out.print_json(json.dumps({"faults": found}))
    elif not found:
        out.print("No mistake was found.")
    for one in () if as_json else found:
        where = ":".join(str(one[part]) for part in ("file", "line", "column", "field") if one.get(part))
        out.print(f"{where}\n  {one['told']} {one['cure']}", markup=False, highlight=False, soft_wrap=True)
    if found:
        raise Exit(1)


@policy.command("rules")
def policy_rules(
    policies: PoliciesArgument = None,
    into: Annotated[Path | None, typer.Option("--out", help="Write it to this file instead of the screen.")] = None,
) -> None:
    """Print the rules as a document for people, made from the data and from what each rule says of itself."""
    from broker.rulebook import rulebook

    text = rulebook(policies or starter_policies())
    if into is None:
        out.print(text, markup=False, highlight=False, soft_wrap=True, end="")
    else:
        into.write_text(text, "utf-8")
        out.print(f"The rules are in {into}.")


def _known(profile: str) -> None:
    from broker.policy import PROFILES

    if profile not in PROFILES:
        raise typer.BadParameter("say demo or production", param_hint="--profile")


@policy.command("build")
def policy_build(
    home: HomeOption,
    policies: PoliciesArgument = None,
    profile: ProfileOption = "demo",
) -> None:
    """Check the policies, sign them and put the bundle where the broker reads it."""
    from accord import bundle as bundles
    from broker import keys
    from broker.policy import build

    _known(profile)
    told = load(home)
    key = keys.read_p256(told.policy_key)
    data = build(policies or starter_policies(), profile, key, told.policy_key_id)
    opened = bundles.open_bundle(data, {told.policy_key_id: key.public_key()})
    keys.replace(told.policy_bundle.parent, told.policy_bundle.name, data)
    out.print(f"Policy revision {opened.revision} is in {told.policy_bundle}; restart the broker to use it.")


@policy.command("replay")
def policy_replay(home: HomeOption, days: DaysOption = 30, as_json: JsonOption = False) -> None:
    """Make recorded decisions again by the rules of their time: every one must come out the same."""
    import asyncio

    from broker import rehearsal
    from broker.cli.ledger import progress_bar
    from broker.store import decisions

    span = _last(days)
    with _ledger(load(home)) as (connection, kept), progress_bar() as bar:
        count = decisions.count(connection, *span)
        task = bar.add_task("Deciding again", total=count)
        found = decisions.recorded(connection, *span)
        replayed = asyncio.run(rehearsal.replay(found, kept.get, lambda done: bar.update(task, completed=done)))
    if as_json:
        show(asdict(replayed) | {"sound": replayed.sound})
    else:
        out.print(f"{replayed.same} decisions of {count} came out the same; {replayed.erased} were erased.")
        for words, indices in (
            ("came out otherwise", replayed.differ),
            ("have another input than their record names", replayed.altered),
        ):
            if indices:
                out.print(f"[bold red]{len(indices)} {words}[/]: entries {', '.join(map(str, indices[:20]))}")
        for revision, times in replayed.unknown_rules.items():
            out.print(f"{times} were made by rules that are not kept, or no longer signed: {revision}")
    raise Exit(0 if replayed.sound else 5)


@policy.command("rehearse")
def policy_rehearse(
    home: HomeOption,
    policies: PoliciesArgument = None,
    days: DaysOption = 30,
    profile: ProfileOption = "demo",
    as_json: JsonOption = False,
) -> None:
    """Show what a draft would have done: who would gain and who would lose, among decisions that were made."""
    import asyncio

    from broker import rehearsal
    from broker.cli.ledger import progress_bar
    from broker.store import decisions

    span = _last(days)
    with (
        _draft(policies, profile) as (draft, _),
        _ledger(load(home)) as (connection, kept),
        progress_bar() as bar,
    ):
        task = bar.add_task("Rehearsing", total=decisions.count(connection, *span))
        found = decisions.recorded(connection, *span)
        rehearsed = asyncio.run(
            rehearsal.rehearse(found, kept.in_force(), draft, lambda done: bar.update(task, completed=done))
        )
    if as_json:
        show(asdict(rehearsed))
    else:
        _show_rehearsed(rehearsed, days)


@policy.command("diff")
def policy_diff(
    home: HomeOption,
    policies: PoliciesArgument = None,
    profile: ProfileOption = "demo",
    question: Annotated[list[str] | None, typer.Option(help="Only this question; repeat for more.")] = None,
    purpose: Annotated[list[str] | None, typer.Option(help="Only this purpose; repeat for more.")] = None,
    requester: Annotated[list[str] | None, typer.Option(help="Only this asking agency; repeat for more.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a draft would allow, also to whoever has not asked yet: ways that open, close, become easier or harder.

    Everything takes some minutes; one question, purpose or asking agency a fraction.
    """
    import asyncio
    import time

    from broker import reach
    from broker.cli.ledger import progress_bar

    now_ns = time.time_ns()
    only = reach.Only(question or (), purpose or (), requester or ())
    with _draft(policies, profile) as (draft, files), _ledger(load(home)) as (_, kept), progress_bar() as bar:
        found = []
        for what, rules, bundle in (
            ("Trying the rules in force", kept.in_force(), kept.files_in_force()),
            ("Trying the draft", draft, files),
        ):
            task = bar.add_task(what, total=reach.combinations(rules, bundle, only))

            def told(done: int, task: "TaskID" = task) -> None:
                bar.update(task, completed=done)

            found.append(asyncio.run(reach.reach(rules, bundle, now_ns, only, told)))
    changes = reach.compare(*found)
    if as_json:
        show({"open_now": len(found[0]), "open_then": len(found[1]), "changes": [asdict(one) for one in changes]})
    else:
        _show_diff(changes, len(found[0]), len(found[1]))


@policy.command("opa-config")
def policy_opa_config(home: HomeOption) -> None:
    """Print the configuration of the Open Policy Agent server that decides for this broker."""
    from broker.bundle_server import PATH
    from broker.engines.opa_settings import server_settings
    from broker.settings import BadSettings

    told = load(home)
    if told.policy_listen is None:
        raise BadSettings(
            "settings do not say where the server fetches its rules",
            'Write policy_listen = "127.0.0.1:8282" into broker.toml, or another free port of this machine.',
        )
    public = directory_of(told).broker.policy_public_keys().get(told.policy_key_id)
    if public is None:
        raise BadSettings("the directory has no policy key of the name policy_key_id", "Correct policy_key_id.")
    text = server_settings(f"http://{told.policy_listen}{PATH}", told.policy_key_id, public)
    out.print(text, markup=False, highlight=False, soft_wrap=True, end="")


@contextmanager
def _draft(policies: Path | None, profile: str) -> Iterator["tuple[Rules, Bundle]"]:
    """Policies as rules that decide, and as the files of a bundle that nobody has signed."""
    from accord.bundle import Bundle, revision
    from broker import decide, rehearsal
    from broker.policy import compile_files

    _known(profile)
    files = compile_files(policies or starter_policies(), profile)
    bundle = Bundle(revision(files), files, "")
    draft = decide.load(bundle, rehearsal.ENGINE)
    try:
        yield draft, bundle
    finally:
        draft.engine.close()


@contextmanager
def _ledger(told: "BrokerSettings") -> Iterator["tuple[Connection, Kept]"]:
    """The ledger for reading, and the rules that were ever in force."""
    from broker.rehearsal import Kept
    from broker.store import decisions, open_for_reading, state

    trusted = directory_of(told).broker.policy_public_keys()
    store = open_for_reading(told.place)
    try:
        with store.reading() as connection:
            current = state.in_force(connection)
            kept = Kept(decisions.bundles(connection), trusted, "" if current is None else current.revision)
            try:
                yield connection, kept
            finally:
                kept.close()
    finally:
        store.close()


def _last(days: int) -> tuple[int, int]:
    """From when until when, nanoseconds since 1970."""
    import time

    from broker.store import state

    until_ns = time.time_ns()
    return until_ns - days * state.DAY_NS, until_ns


def _show_rehearsed(rehearsed: "Rehearsed", days: int) -> None:
    from rich.table import Column, Table

    out.print(
        f"Of {rehearsed.decisions} decisions of the last {days} days, {rehearsed.unchanged} would come out the same."
    )
    if rehearsed.erased:
        out.print(f"{rehearsed.erased} were erased and could not be rehearsed.")
    if rehearsed.altered:
        out.print(
            f"[bold red]{len(rehearsed.altered)} have another input than their record names: run policy replay.[/]"
        )
    if not rehearsed.changes:
        return
    table = Table(
        "Who asks whom", "What", "Would", Column("Because of, for example in", overflow="fold"), show_lines=True
    )
    for one in rehearsed.changes:
        counts = (("gain", "[green]", one.gained), ("lose", "[red]", one.lost), ("differ", "[dim]", one.otherwise))
        table.add_row(
            f"{one.requester}\nasks {one.holder}",
            f"{one.question}\nfor {one.purpose}\nunder {one.gateway}",
            "\n".join(f"{style}{word} {count}[/]" for word, style, count in counts if count),
            "\n".join([*sorted(one.because)[:3], one.samples[0]]),
        )
    out.print(table)


_VERDICTS = {
    "opens": "[green]opens[/]",
    "easier": "[green]becomes easier[/]",
    "otherwise": "[yellow]changes[/]",
    "harder": "[red]becomes harder[/]",
    "closes": "[red]closes[/]",
}


def _show_diff(changes: "Sequence[Difference]", now: int, then: int) -> None:
    """One row for all that change alike: who, what for, what would be demanded and what no longer."""
    from rich.table import Column, Table

    out.print(f"{now} ways are open by the rules in force, {then} would be by the draft.")
    alike: dict[tuple[str, ...], list[Difference]] = {}
    for one in changes:
        key = (
            one.verdict,
            one.way.question,
            one.way.purpose,
            one.way.gateway,
            "\n".join(one.added),
            "|".join(one.dropped),
        )
        alike.setdefault(key, []).append(one)
    if not alike:
        return
    table = Table(Column("What", overflow="fold"), "Who asks whom", "Would be demanded", "No longer", show_lines=True)
    for (verdict, question, purpose, gateway, *_), rows in alike.items():
        pairs: dict[str, list[str]] = {}
        for one in rows:
            pairs.setdefault(one.way.requester, []).append(one.way.holder)
        table.add_row(
            f"{_VERDICTS[verdict]}\n{question}\nfor {purpose}\nunder {gateway}",
            "\n".join(f"{asks}: {', '.join(holders)}" for asks, holders in pairs.items()),
            "\n".join(rows[0].added),
            "" if verdict == "closes" else "\n".join(rows[0].dropped),
        )
    out.print(table)
