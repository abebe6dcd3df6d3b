"""A change of the rules is tried on what was really decided before anybody lives under it."""

import asyncio
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from typer.testing import CliRunner

from accord.reasons import Problem
from broker.cli import app
from broker.cli.app import Exit
from tests.world import stack as worlds

ROOT: Final = Path(__file__).parents[2]
NED: Final = {
    "first_name": "Ned",
    "last_name": "Quillfeather",
    "date_of_birth": "2013-03-02",
    "sex": "male",
    "address": "3 Teasel Row",
    "postcode": "MD5 6TY",
    "role": "child",
}
PROTECTION: Final = {
    "question": "agency.contact",
    "purpose": "s47_enquiry",
    "case": "CF-11",
    "need_tier": 4,
    "significant_harm": True,
    "necessity": "assess_risk",
    "people": [NED],
}
EARLY: Final = {"question": "agency.contact", "purpose": "early_help", "case": "CF-12", "need_tier": 2, "people": [NED]}


def _command(*words: str) -> tuple[int, str]:
    """Run accord-broker as governance staff would; its exit code and what it printed."""
    ran = CliRunner().invoke(app, words)
    return ran.exception.code if isinstance(ran.exception, Exit) else ran.exit_code, ran.stdout


def _json(*words: str) -> tuple[int, dict[str, Any]]:
    code, printed = _command(*words, "--json")
    return code, json.loads(printed)


@dataclass
class Asked:
    """What social care was told.

    Attributes:
        outcomes: Of each question, what came of it at each agency.
        numbers: The questions' numbers.
        entries: How many entries the ledger then has.
        told: Who wanted to know why the second was refused -> what they were told.
    """

    outcomes: list[Sequence[tuple[str, str]]] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    entries: int = 0
    told: dict[str, str] = field(default_factory=dict)


async def _why(world: worlds.World, agency: str, who: str, role: str, number: str) -> str:
    """What somebody is told who wants to know why: the codes of what was missing, or why they may not know."""
    async with world.desk(agency, who, role) as desk:
        try:
            explained = await desk.explain(number)
        except Problem as problem:
            return problem.reason
    return " ".join(sorted({one.code for row in explained.agencies for one in row.missing}))


async def _asked(home: Path) -> Asked:
    """Social care asks three questions, and several people want to know why the second was refused."""
    records = {"police": [worlds.held(1, NED, contacts=[worlds.ago(20)])]}
    made = Asked()
    async with worlds.stack(home, records) as world:
        for question in (PROTECTION, EARLY, PROTECTION | {"case": "CF-13"}):
            outcome = await world.ask("social-care", question)
            made.outcomes.append([(one.agency, one.delivery) for one in outcome.agencies])
            made.numbers.append(outcome.query_id)
        (home / "broker" / "broker.toml").write_text(
            f'federation = "{world.federation.name}"\nlisten = "localhost:0"\n'
        )
        made.entries = len(world.broker_records())
        for agency, who, role in (
            ("social-care", "worker-1", "practitioner"),
            ("social-care", "worker-2", "practitioner"),
            ("social-care", "worker-2", "manager"),
            ("police", "worker-1", "manager"),
        ):
            made.told[f"{agency} {who} {role}"] = await _why(world, agency, who, role, made.numbers[1])
    return made


def test_a_change_of_the_rules_is_tried_on_what_was_decided(tmp_path: Path) -> None:
    """T-POL-6: every decision comes out the same again; a draft shows who would lose, and by trying nothing changes."""
    home, draft = tmp_path / "homes", tmp_path / "draft"
    made = asyncio.run(_asked(home))
    outcomes, numbers = made.outcomes, made.numbers
    broker = str(home / "broker")
    replayed = _json("policy", "replay", "--home", broker)

    # A draft with a mistake is refused with its place.
    shutil.copytree(ROOT / "policies", draft)
    row = json.loads((draft / "data/agencies/housing.json").read_text())
    (draft / "data/agencies/housing.json").write_text(json.dumps(row | {"suspended": "yes"}))
    mistaken = _json("policy", "check", str(draft))

    # Corrected, it says who loses.
    (draft / "data/agencies/housing.json").write_text(json.dumps(row | {"suspended": True}))
    checked = _json("policy", "check", str(draft))
    code, rehearsed = _json("policy", "rehearse", str(draft), "--home", broker)
    lost = [one for one in rehearsed["changes"] if one["lost"]]
    seen = _command("policy", "rehearse", str(draft), "--home", broker)
    narrow = ("--question", "assessment.done", "--purpose", "s47_enquiry", "--requester", "social-care")
    reached = _json("policy", "diff", str(draft), "--home", broker, *narrow)
    same = _json("policy", "rehearse", str(ROOT / "policies"), "--home", broker)
    allowed, refused = (_json("explain", one, "--home", broker) for one in numbers[:2])
    read = _command("explain", numbers[1], "--home", broker)
    unknown = _command("explain", "01890000-0000-7000-8000-000000000000", "--home", broker)
    verified = _json("ledger", "verify", "--home", broker)

    # The answer: child protection was answered, early help without an agreement was not.
    assert [("housing", "ANSWERED"), ("police", "ANSWERED")] == outcomes[0] == outcomes[2]
    assert [("housing", "REFUSED"), ("police", "REFUSED")] == outcomes[1]
    # Every decision came out the same.
    assert (0, 3, True) == (replayed[0], replayed[1]["same"], replayed[1]["sound"])
    # The mistake had its place; the correction none.
    assert (1, "data/agencies/housing.json") == (mistaken[0], mistaken[1]["faults"][0]["file"])
    assert (0, []) == (checked[0], checked[1]["faults"])
    # Housing would lose both questions of child protection, and nobody would gain.
    assert (0, 3) == (code, rehearsed["decisions"])
    assert [("social-care", "housing", "s47_enquiry", "ca1989_s47", 2)] == [
        (one["requester"], one["holder"], one["purpose"], one["gateway"], one["lost"]) for one in lost
    ]
    assert 0 == sum(one["gained"] for one in rehearsed["changes"])
    assert (0, True) == (seen[0], "ca1989_s47" in seen[1])
    # Also where nobody asked: the assessment was never asked for, and housing could no longer be asked for it.
    assert {("housing", "closes")} == {(one["way"]["holder"], one["verdict"]) for one in reached[1]["changes"]}
    assert (0, 3, []) == (same[0], same[1]["unchanged"], same[1]["changes"])
    # Whoever asks why reads the law, what was found and what was missing, and nothing of what was answered.
    assert (0, "answered", "refused") == (allowed[0], allowed[1]["end"], refused[1]["end"])
    assert [True, True] == [one["allowed"] for one in allowed[1]["agencies"]]
    assert "a duty to share" in allowed[1]["agencies"][0]["found"]
    assert "AGREEMENT_MISSING" in [one["code"] for one in refused[1]["agencies"][0]["missing"]]
    assert "the family's agreement" not in refused[1]["agencies"][0]["found"]
    assert (0, True) == (read[0], "What to do:" in read[1])
    assert 0 != unknown[0]
    # Police know Ned and housing does not; of both the same is said.
    assert {"The agency answered."} == {one["went"] for one in allowed[1]["agencies"]}
    # Over the wire, whoever asked is told, and who oversees them; a colleague and another agency are not.
    assert {
        "social-care worker-1 practitioner": "AGREEMENT_MISSING",
        "social-care worker-2 practitioner": "NOT_YOUR_QUESTION",
        "social-care worker-2 manager": "AGREEMENT_MISSING",
        "police worker-1 manager": "QUESTION_UNKNOWN",
    } == made.told
    # What each party saw of it: nothing. The ledger is as it was.
    assert (0, made.entries) == (verified[0], verified[1]["entries"])
    assert "Quillfeather" not in seen[1] + read[1] + json.dumps([rehearsed, allowed, refused])
