"""`accord-node mapping preview` as an operator of a running node sees it."""

import json
from typing import Any

from tests.system.conftest import start
from tests.world import stack as worlds


def test_a_running_nodes_mapping_is_previewed_in_counts(living: worlds.World) -> None:
    """Every question of the catalogue in force is tried, and no person shows (T-LNK-1)."""
    said = start("accord-node", "mapping", "preview", "--home", living.home / "police", "--json")
    found: dict[str, Any] = json.loads(said.out)

    assert (0, "") == (said.code, said.err)
    assert "agency.contact" in [one["id"] for one in found["questions"]]
    assert (found["people"], len(found["fields"])) > (0, 0)
    assert not [word for word in ("Thorley", "Jamie", "MD4") if word in said.out]


def test_it_is_shown_to_people_with_bars_and_cures(living: worlds.World) -> None:
    """The same for somebody who mends the mapping."""
    said = start("accord-node", "mapping", "preview", "--home", living.home / "police")

    assert 0 == said.code
    assert [word for word in ("Shapes", "█", "date of birth") if word in said.out] == ["Shapes", "█", "date of birth"]
