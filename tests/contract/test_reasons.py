"""The table of reasons: complete, in plain English, and silent about who is known."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType

import pytest

import accord
import agency_node
import broker
from accord import reasons
from accord.reasons import REASONS, Problem
from agency_node.channel import Remote
from agency_node.cli.app import Unforeseen as NodeUnforeseen
from broker.cli.app import Unforeseen as BrokerUnforeseen
from tests.shape.tree import ROOT


def modules() -> Iterator[ModuleType]:
    """Every module of contract, broker and node."""
    for package in (accord, broker, agency_node):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "_pb2" not in found.name and not found.name.endswith("migrations.env"):
                yield importlib.import_module(found.name)


def problems() -> list[type[Problem]]:
    """Every Problem that these modules define."""
    found = {
        value
        for module in modules()
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Problem)
    }
    return sorted(found, key=lambda one: f"{one.__module__}.{one.__qualname__}")


PROBLEMS = problems()
WITHOUT_REASON = {Problem, Remote, BrokerUnforeseen, NodeUnforeseen}
"""Remote takes over the other side's reason for each failure; what no command foresaw has none to give."""
TEXTS = [text for one in REASONS.values() for text in (one.title, one.cure)]
STATUSES = {
    name: value for name, value in vars(reasons).items() if name.isupper() and isinstance(value, int) and name != "OK"
}


def test_there_are_problems_in_all_three_packages() -> None:
    """Control: a walk that finds nothing would prove nothing."""
    assert {"accord", "broker", "agency_node"} == {one.__module__.split(".")[0] for one in PROBLEMS}
    assert len(PROBLEMS) > 30


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda one: f"{one.__module__}.{one.__name__}")
def test_every_problem_has_a_row(problem: type[Problem]) -> None:
    """T-PRV-1: only a code and the texts of this table ever reach a caller, so each code must be in it."""
    assert problem.reason in REASONS
    assert "INTERNAL" != problem.reason or problem in WITHOUT_REASON


def test_no_code_has_two_rows() -> None:
    """In a literal the second row would silently win."""
    tree = ast.parse((ROOT / "protos/accord/reasons.py").read_text(encoding="utf-8"))
    table = next(
        node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and "REASONS" == node.target.id
    )
    codes = [key.value for key in table.keys]

    assert sorted(set(codes)) == sorted(codes)
    assert list(REASONS) == codes


@pytest.mark.parametrize("code", REASONS)
def test_every_row_says_what_happened_and_what_to_do(code: str) -> None:
    """In words for a busy person: a title without a full stop, a cure that is a sentence, no code's jargon."""
    row = REASONS[code]

    assert re.fullmatch(r"[A-Z][A-Z_]{2,39}", code)
    assert row.status in STATUSES.values()
    assert re.fullmatch(r"[A-Z][^\n_{}<>]{9,99}[^.\s]", row.title)
    assert re.fullmatch(r"[A-Z][^\n_{}<>]{9,159}\.", row.cure)
    assert row.title != row.cure


def test_no_text_speaks_a_machines_language() -> None:
    """Whoever reads it need not know what a JWT or a HMAC is."""
    jargon = re.compile(
        r"\b(JWT|HMAC|SHA|RFC|HPKE|OPRF|Ed25519|X25519|DER|PEM|TLS|gRPC|null|None|exception|traceback|payload|"
        r"nonce|canonical|invalid argument|assertion|errno|stack)\b",
        re.IGNORECASE,
    )

    assert [] == [text for text in TEXTS if jargon.search(text)]


def test_no_text_tells_whether_a_person_is_known() -> None:
    """T-LNK-2, T-PRV-1: not known, not found, more than one: none of it is ever a reason."""
    telling = re.compile(
        r"\b(no (such )?(person|record|match|child|family)|(person|child|family|record)s? (was|is|were|are) (not )?"
        r"(known|found|held|listed)|unknown (person|child|family)|not known|several (people|records)|already known|"
        r"more than one (person|record)|ambiguous|withheld)\b",
        re.IGNORECASE,
    )

    assert [] == [text for text in TEXTS if telling.search(text)]
    assert telling.search("There is no such person")
    assert telling.search("The child is not known to this agency")


def test_not_found_is_no_reasons_status() -> None:
    """T-NET-1: a status is unsigned and must never look like a statement about a person."""
    assert [] == [code for code, row in REASONS.items() if reasons.NOT_FOUND == row.status]


def test_statuses_are_those_of_grpc() -> None:
    """The numbers are written out so that the contract need not import gRPC."""
    import grpc

    expected = {name: grpc.StatusCode[name].value[0] for name in STATUSES}

    assert expected == STATUSES
    assert len(STATUSES) >= 12


def test_a_problem_says_nothing_by_itself() -> None:
    """T-PRV-1: the message is the operator's; without a row of its own a failure is INTERNAL."""
    assert ("INTERNAL", reasons.INTERNAL) == (Problem.reason, REASONS[Problem.reason].status)
    with pytest.raises(AttributeError):
        REASONS["INTERNAL"].title = "Jamie Thorley is not known here"
