"""`accord-node`: one file for each group of commands; reads settings, calls the pipelines, decides nothing.

Each command imports what it runs when it runs it: whoever makes keys does not wait for a policy engine to load.
Data goes to standard output, messages to standard error. Exit codes: 0 every
addressed agency answered, 1 failed, 2 usage, 3 refused, 4 unavailable,
5 verification failed, 6 incomplete.
"""

import sys

from agency_node.cli import agreement, ask, database, explain, index, linkage, mapping, quickstart, records, trust
from agency_node.cli.app import app, failing

__all__ = [
    "agreement",
    "app",
    "ask",
    "database",
    "explain",
    "index",
    "linkage",
    "main",
    "mapping",
    "quickstart",
    "records",
    "trust",
]


def main() -> None:
    """Run one command; a failure is said in plain words with its cure."""
    sys.exit(failing(app))
