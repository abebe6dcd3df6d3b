"""What a node cannot compare, or cannot tell apart, it never calls *no*."""

import asyncio
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from accord import answer as answers
from accord.answer import CANNOT_SAY
from accord.v1 import broker_pb2
from tests.world import hostile
from tests.world import stack as worlds

MISMATCHES: Final[Mapping[str, str]] = {
    "normaliser": "00" * 32,
    "families": "00" * 32,
    "key_servers": "00" * 32,
    "epoch": "2027-1",
}
"""Field of a statement's core -> what another federation, or another release, would name."""

PERSON: Final = {
    "first_name": "Edda",
    "last_name": "Farrowby",
    "sex": "female",
    "date_of_birth": "2013-05-17",
    "address": "11 Candle Lane",
    "postcode": "MD2 5CL",
    "role": "child",
}
STRANGER: Final = PERSON | {
    "first_name": "Ursa",
    "last_name": "Lambourne",
    "date_of_birth": "2016-06-26",
    "address": "3 Fern Gate",
    "postcode": "MD8 5FG",
}
COMPANION: Final = STRANGER | {"first_name": "Otto", "sex": "male", "date_of_birth": "2018-02-03"}


def words(world: worlds.World, stream: worlds.Stream) -> set[str]:
    """What the police said of each slot."""
    (signed,) = stream.answers
    opened = answers.open_answer(
        signed, node="police", answer_public=world.federation.directory.agency("police").answer
    )
    return {slot.answer for slot in opened.slots}


async def asked(world: worlds.World, question: str, person: Mapping[str, Any]) -> broker_pb2.AskRequest:
    """About this person; where a family is asked about, with somebody else whom nobody knows."""
    about = [person, COMPANION] if question.startswith("family.") else [person]
    wanted = hostile.question(about, question=question, agencies=["police"])
    return (await hostile.prepared(world, wanted))[0].request


def test_another_key_or_form_of_names_is_never_a_no(tmp_path: Path) -> None:
    """T-LNK-5: each mismatch, each question, for somebody known and somebody who is not."""

    async def run() -> tuple[list[set[str]], set[str], set[str]]:
        records = {"police": [worlds.held(1, PERSON, contacts=[worlds.ago(20)])]}
        async with worlds.stack(tmp_path / "homes", records, attach=False) as world:
            broker = hostile.DishonestBroker(world)
            catalogue = world.answering["police"].rules.current().catalogue
            single = [one.id for one in catalogue.questions.values() if one.composition == "per_agency"]
            found = []
            for question, person, (name, value) in itertools.product(single, (PERSON, STRANGER), MISMATCHES.items()):
                made = hostile.resigned(world, await asked(world, question, person), **{name: value})
                found.append(words(world, await broker.hand("police", await broker.frame(made, "police"))))
            honest = [
                words(world, await broker.hand("police", await broker.frame(made, "police")))
                for made in [await asked(world, "agency.contact", person) for person in (PERSON, STRANGER)]
            ]
            return found, honest[0], honest[1]

    found, known, stranger = asyncio.run(run())
    wrong = sum("NO" in said for said in found)
    print(f"T-LNK-5 no_on_mismatch={wrong} of {len(found)} (bound {3 / len(found):.2f})")

    assert [{CANNOT_SAY}] * len(found) == found
    assert "YES" in known
    assert {"NO"} == stranger
