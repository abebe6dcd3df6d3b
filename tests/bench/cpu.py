"""Processor time of a whole question without gRPC, in Ed25519 verifications of the same machine and minute.

A verification costs about the same share of any work on any machine, so this travels where microseconds do not, and a
neighbour that takes half of the machine takes half of both. Each question stands between two rounds of verifications.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord import signing
from accord.v1 import broker_pb2
from tests.bench.pipeline import Pipeline, asked_one_by_one, pipeline

ROUND: Final = 24
"""Verifications in a round."""
MESSAGE: Final = b"m" * 256


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians over all questions.

    Attributes:
        questions: How many.
        verification_us: Processor time of one verification, microseconds.
        whole: Of a question: broker, every node, their rules and ledgers; in verifications.
        agencies: How many agencies each question went to.
    """

    questions: int
    verification_us: float
    whole: float
    agencies: int

    @property
    def target(self) -> float:
        """Of a question for each agency asked, in verifications."""
        return self.whole / self.agencies

    def __str__(self) -> str:
        """One line."""
        return (
            f"agencies={self.agencies} questions={self.questions} whole={self.whole:.1f} for_each={self.target:.1f}"
            f" verification_us={self.verification_us:.0f}"
        )


def verification_s() -> float:
    """Processor time of one verification, as the median of a round, seconds."""
    private = Ed25519PrivateKey.generate()
    public, signature = signing.public_bytes(private), signing.sign(private, "bench", MESSAGE)
    taken = []
    for _ in range(ROUND):
        began = time.thread_time()
        signing.verify(public, "bench", MESSAGE, signature)
        taken.append(time.thread_time() - began)
    return statistics.median(taken)


async def cost(here: Pipeline, requests: Sequence[broker_pb2.AskRequest]) -> Cost:
    """Ask one question after the other, with a round of verifications on each side."""
    wholes, verifications = [], [verification_s()]
    for request in requests:
        began = time.process_time()
        await here.ask(request)
        whole_s = time.process_time() - began
        verifications.append(verification_s())
        unit_s = (verifications[-2] + verifications[-1]) / 2
        wholes.append(whole_s / unit_s)
    return Cost(
        len(requests),
        statistics.median(verifications) * 1e6,
        statistics.median(wholes),
        len(here.agencies),
    )


async def cold_and_warm(home: Path, agencies: int, questions: int) -> tuple[Cost, Cost]:
    """The very first question of a new federation, and later ones.

    Args:
        home: An empty folder.
        agencies: How many agencies each question goes to.
        questions: How many warm ones.
    """
    async with pipeline(home, agencies) as here:
        cold = await cost(here, await here.asking.requests(1, here.agencies))
        await asked_one_by_one(here, await here.asking.requests(4, here.agencies))
        return cold, await cost(here, await here.asking.requests(questions, here.agencies))
