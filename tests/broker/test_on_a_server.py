"""The whole broker on a PostgreSQL server: questions, agreements, receipts, as on a file."""

import asyncio
from pathlib import Path

import pytest

from accord import signing
from broker import fsck
from broker.store import open_for_reading
from tests.world import stack as worlds
from tests.world.broker_databases import BrokerDatabases

ORA = {
    "first_name": "Ora",
    "last_name": "Penhallow",
    "date_of_birth": "2011-06-04",
    "sex": "female",
    "address": "9 Sorrel Close",
    "postcode": "MD5 6TY",
    "role": "child",
    "given_by": "parent",
}
ASKED = {"question": "agency.contact", "purpose": "early_help", "case": "CF-7", "need_tier": 2, "people": [ORA]}


@pytest.mark.needs("postgres", "initdb")
def test_a_family_is_asked_about_and_withdraws(tmp_path: Path, databases: BrokerDatabases) -> None:
    """T-AUD-1, T-CON-1: answered under an agreement, refused after its withdrawal, and the ledger holds."""
    place = databases.fresh()

    async def inside() -> tuple[list[str], list[str], bool, list[str]]:
        records = {"police": [worlds.held(1, ORA, contacts=[worlds.ago(20)])]}
        told = {"database_url_file": place.url_file}
        async with worlds.stack(tmp_path / "homes", records, broker_told=told) as world:
            (given,) = await world.agree("social-care", [ORA], responders=["police"])
            first = await world.ask("social-care", ASKED)
            await world.withdraw("social-care", given.agreement.record_id)
            second = await world.ask("social-care", ASKED)
            kinds = [record["kind"] for record in world.broker_records()]
            origin, public = f"{world.federation.name}/broker", signing.public_bytes(world.federation.broker.ledger)
            store = open_for_reading(place)
            try:
                report = fsck.verify(store, origin, public, running=True)
            finally:
                store.close()
            return (
                [one.delivery for one in first.agencies],
                [one.delivery for one in second.agencies],
                report.ok,
                kinds,
            )

    first, second, holds, kinds = asyncio.run(inside())

    assert (["REFUSED", "ANSWERED"], ["REFUSED", "REFUSED"], True) == (first, second, holds)
    assert ["AGREEMENT_GIVEN", "ASKED", "DECIDED", "WARRANTED", "ANSWERED", "RELEASED", "AGREEMENT_WITHDRAWN"] == kinds[
        1:8
    ]
