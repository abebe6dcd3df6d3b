"""The node's own rules, as the answering pipeline asks them: twice, and either time a refusal is enough."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

import jsonschema_rs
import pytest

from accord import bundle as bundles
from accord import catalogue
from accord.slot import Content
from accord.statement import Core, NodePart, NodeStatement
from accord.warrant import Warrant
from agency_node import decide
from agency_node.engines import Evaluation, PolicyUnavailable
from agency_node.rules import NoRules, OwnRules
from agency_node.stages import Admitted, Opened
from tests.world import trust
from tests.world.stack import policy_files

NUMBER: Final = "01890000-0000-7000-8000-000000000001"
CONTENT: Final = Content("s1", b"{}", "child", "10_15", (), None)


class Engine:
    """Decides as it was told, and keeps the inputs it was given."""

    def __init__(self, word: Mapping[str, Any] | Exception) -> None:
        self.word = word
        self.inputs: list[dict[str, Any]] = []

    async def decide(self, entrypoint: str, document: bytes) -> Evaluation:
        self.inputs.append(json.loads(document))
        if isinstance(self.word, Exception):
            raise self.word
        return Evaluation({"by_target": {"police": self.word}}, "11" * 32, "test", 1)

    def close(self) -> None:
        """Nothing to stop."""


def word(allow: bool, *codes: str) -> dict[str, Any]:
    return {
        "allow": allow,
        "subjects": [],
        "grants": [{"id": "duty", "gateway": "ca1989_s47", "ref": ""}] if allow else [],
        "denials": [{"code": code, "ref": ""} for code in codes],
        "obligations": [],
        "agreement": {"mode": "not_operative", "used": [], "missing": []},
        "answer_form": "recency" if allow else "none",
        "warrant": {"ttl_s": 30, "max_subjects": 12},
    }


def rules(said: Mapping[str, Any] | Exception) -> tuple[OwnRules, Engine]:
    """The shipped catalogue and schemas, with an engine that says what it was told."""
    files = policy_files()
    engine = Engine(said)
    data = json.loads(files[decide.DATA])
    loaded = decide.Rules(
        revision="11" * 32,
        catalogue=catalogue.parse(files[catalogue.PATH]),
        profile=data["profile"],
        agencies=data["agencies"],
        isa=data["isa"],
        input_schema=jsonschema_rs.Draft202012Validator(json.loads(files["schemas/input.json"])),
        decision_schema=jsonschema_rs.Draft202012Validator(json.loads(files["schemas/decision.json"])),
        engine=engine,
    )
    return OwnRules("police", loaded), engine


def admitted(purpose: str = "s47_enquiry") -> Admitted:
    core = Core(
        query_id=NUMBER,
        agency="social-care",
        role="practitioner",
        caller_token_sha256="00" * 32,
        question="agency.contact",
        question_version=1,
        purpose=purpose,
        urgency="routine",
        reply_key=b"r" * 32,
        epoch="2026-1",
        normaliser="33" * 32,
        families="44" * 32,
        key_servers="55" * 32,
        issued_at_ns=trust.NOW_NS,
        expires_at_ns=trust.NOW_NS + 60 * 10**9,
    )
    statement = NodeStatement(
        core, b"c" * 32, NodePart("police", "common_law_police", "66" * 32), b"d" * 32, b"n" * 32, b"", (), b"s" * 32
    )
    now_s = trust.NOW_NS // 10**9
    warrant = Warrant(NUMBER, "social-care", b"s" * 32, (), "11" * 32, "22" * 32, (), now_s, now_s + 30)
    return Admitted(statement, warrant, trust.NOW_NS)


def both(said: Mapping[str, Any] | Exception, purpose: str = "s47_enquiry") -> tuple[str, str, list[dict[str, Any]]]:
    """The two decisions of one question, and what each was given."""
    own, engine = rules(said)

    async def twice() -> tuple[str, str]:
        before = await own.before(admitted(purpose))
        return before, await own.after(admitted(purpose), Opened(CONTENT, "p1", "CONFIRMED", None))

    before, after = asyncio.run(twice())
    return before, after, engine.inputs


def test_allowed_is_no_code_at_all() -> None:
    """The control: nothing stands in the way."""
    assert ("", "") == both(word(True))[:2]


@pytest.mark.parametrize(
    ("said", "codes"),
    [
        (word(False, "WITHHELD_HERE"), "WITHHELD_HERE"),
        (word(False, "ROLE_NARROWER", "AGENCY_SUSPENDED"), "AGENCY_SUSPENDED ROLE_NARROWER"),
        (word(False), "NOT_ALLOWED"),
    ],
    ids=["one", "two", "none"],
)
def test_a_refusal_always_has_a_code(said: dict[str, Any], codes: str) -> None:
    """T-POL-4: the node's no is enough, whatever the broker said; a no without a reason is a no."""
    assert (codes, codes) == both(said)[:2]


def test_the_first_decision_knows_nothing_of_the_people() -> None:
    """T-LNK-4: before the envelope is opened there is nobody in the input; afterwards one person, without a name."""
    _, _, (first, second) = both(word(True))

    assert ([], None, "none") == (first["subjects"], first["local"], first["request"]["subject_kind"])
    assert [("s1", "child", "10_15")] == [(one["ref"], one["role"], one["age_band"]) for one in second["subjects"]]
    assert "matched" == second["local"]["linkage"]


@pytest.mark.parametrize(("purpose", "binds"), [("early_help", False), ("s47_enquiry", None)])
def test_an_agreement_that_was_not_shown_does_not_bind(purpose: str, binds: bool | None) -> None:
    """T-CON-4: where one is needed its absence is said; where none is, nothing is claimed."""
    _, _, (_, second) = both(word(True), purpose)

    assert second["local"]["agreement_binds"] is binds


def test_no_decision_is_no_answer() -> None:
    """T-POL-5: an engine that is gone is told as such; the pipeline makes it cannot say."""
    own, _ = rules(PolicyUnavailable("gone"))

    with pytest.raises(PolicyUnavailable):
        asyncio.run(own.before(admitted()))


def test_without_a_bundle_there_are_no_rules() -> None:
    """T-POL-5: and the reason is one of the list."""
    assert "POLICY_UNAVAILABLE" == NoRules.reason
    assert bundles.MANIFEST not in policy_files()
