"""A larger county: the shipped rules, with as many more housing agencies as are wanted.

Each is a copy of the demonstration's housing agency under another name: in the sharing agreement, and in the one
question that the benchmark asks.
"""

import json
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml

from broker import policy
from tests.world.stack import ROOT

PATTERN: Final = "housing"
QUESTION: Final = "data/questions/agency.contact.yaml"
SHARING: Final = "data/isa/midshire-children.json"


def names(number: int) -> tuple[str, ...]:
    """So many names of agencies that are not in the demonstration."""
    return tuple(f"{PATTERN}-{one + 1:02d}" for one in range(number))


@lru_cache(maxsize=4)
def policy_files(number: int) -> dict[str, bytes]:
    """The rules, compiled, with so many agencies more."""
    more = names(number)
    with tempfile.TemporaryDirectory(prefix="accord-bench-") as name:
        folder = Path(shutil.copytree(ROOT / "policies", Path(name) / "policies"))
        row = json.loads((folder / f"data/agencies/{PATTERN}.json").read_bytes())
        for one in more:
            other = row | {"id": one, "controller_id": one, "title": one}
            (folder / f"data/agencies/{one}.json").write_text(json.dumps(other), "utf-8")
        sharing = json.loads((folder / SHARING).read_bytes())
        sharing["parties"] += more
        (folder / SHARING).write_text(json.dumps(sharing), "utf-8")
        question = yaml.safe_load((folder / QUESTION).read_bytes())
        _add(question, more)
        (folder / QUESTION).write_text(yaml.safe_dump(question, sort_keys=False), "utf-8")
        return policy.compile_files(folder, "demo")


def _add(value: Any, more: tuple[str, ...]) -> None:
    """Wherever the pattern stands as a key or in a list, the others stand as well."""
    if isinstance(value, dict):
        value |= {one: value[PATTERN] for one in more if PATTERN in value}
        for inner in value.values():
            _add(inner, more)
    elif isinstance(value, list) and PATTERN in value:
        value += more
        value.sort()
