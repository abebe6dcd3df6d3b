"""The programs end as they should whenever they are told to stop."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.world import trust
from tests.world.key_servers import write_records

NOBODY: Final = "localhost:9"
"""Where nothing listens (the discard port, RFC 863)."""
STOPS_ITSELF: Final = """
import os, signal, sys

class Told:
    # Standard error; the line that says that the program has started also tells it to stop.
    def write(self, text):
        if '"service_started"' in text:
            os.kill(os.getpid(), signal.SIGTERM)
        return sys.__stderr__.write(text)
    def flush(self):
        sys.__stderr__.flush()

sys.stderr = Told()
program = sys.argv[1]
if program == "accord-node":
    from agency_node.cli import main
else:
    from broker.cli import main
sys.argv = sys.argv[1:]
main()
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A federation of which nothing runs."""
    root = tmp_path_factory.mktemp("stopping")
    trust.make_federation(root)
    mapping = write_records(root / "police" / "records", "police", ())
    (root / "police" / "node.toml").write_text(
        f'federation = "midshire"\nagency = "police"\nbroker = "{NOBODY}"\nsteward = "{NOBODY}"\n'
        f'mapping = "{mapping.relative_to(root / "police")}"\n'
    )
    (root / "steward" / "steward.toml").write_text('federation = "midshire"\nlisten = "localhost:0"\n')
    return root


@pytest.mark.parametrize(("command", "member"), [("serve", "police"), ("steward", "steward")])
def test_told_to_stop_as_soon_as_it_says_that_it_runs_it_ends_in_order(home: Path, command: str, member: str) -> None:
    """T-OPS-4: nobody has to wait a moment longer; a restart that is quick is no crash."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
    ran = subprocess.run(
        [sys.executable, "-c", STOPS_ITSELF, "accord-node", command, "--home", str(home / member)],
        capture_output=True,
        text=True,
        check=False,
        env=clean,
        timeout=120,
    )

    assert (0, 1) == (ran.returncode, ran.stderr.count('"service_stopped"')), ran.stderr
