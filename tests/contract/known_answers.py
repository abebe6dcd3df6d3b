"""The known answers in protos/vectors: read by the tests, and made anew when a form is changed on purpose.

Each test module named in MADE_HERE has a function `vectors` that makes its file's whole content out of fixed keys,
salts and times, and a test that compares. After a change that is meant:

    .venv/bin/python -m tests.contract.known_answers
"""

import importlib
import json
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parents[2] / "protos/vectors"
MADE_HERE: Final = ("canonical", "signing", "statement", "warrant", "answer", "agreement", "slot", "directory")


def read(name: str) -> Any:
    """What stands in `protos/vectors/<name>.json`."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def write(name: str, value: object) -> None:
    """Put `value` into `protos/vectors/<name>.json`."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    for made in MADE_HERE:
        write(made, importlib.import_module(f"tests.contract.test_{made}").vectors())
