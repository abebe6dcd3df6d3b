"""Processor time of a question, which continuous integration watches."""

import asyncio
import time
from pathlib import Path
from typing import Final

import pytest

from accord.v1 import broker_pb2
from broker.stages import Released
from tests.bench.cpu import cost
from tests.bench.pipeline import Pipeline, asked_one_by_one, pipeline

AGENCIES: Final = 2
WARM: Final = 450.0
"""Most verifications that a warm question to two agencies may cost. It was 300 when this was written, on a machine that
was busy with other things: what grows by half of it is seen, and a noisy neighbour is not."""


class Slowed(Pipeline):
    """A pipeline that computes for as long again as it may take."""

    async def ask(self, request: broker_pb2.AskRequest) -> Released:
        """Carry one question, slowly."""
        until = time.process_time() + WARM * 100e-6
        while time.process_time() < until:
            pass
        return await super().ask(request)


@pytest.mark.prove
def test_a_question_costs_no_more_processor_time_than_was_agreed(tmp_path: Path) -> None:
    """A warm question to two agencies, without gRPC, stays below its bound in Ed25519 verifications.

    Negative control: the same pipeline that computes in vain beside each question is above what it was.
    """

    async def body() -> tuple[float, float]:
        async with pipeline(tmp_path, AGENCIES) as here:
            await asked_one_by_one(here, await here.asking.requests(4, here.agencies))
            found = await cost(here, await here.asking.requests(40, here.agencies))
            slowed = Slowed(here.asking, here.agencies, here.keys, here.parts)
            control = await cost(slowed, await here.asking.requests(8, here.agencies))
        print(f"\nCPU {found} bound={WARM:.0f} control={control.whole:.0f}")
        return found.whole, control.whole

    measured, control = asyncio.run(body())

    assert measured <= WARM
    assert control > measured * 1.3
