"""`accord-broker`: one file for each group of commands; reads settings, calls the pipelines, decides nothing.

Each command imports what it runs when it runs it: whoever enrols a member does not wait for gRPC and SQL to load.
Data goes to standard output, messages to standard error. Exit codes: 0 done,
1 failed, 2 usage, 4 unavailable, 5 verification failed.
"""

import sys

from broker.cli import database, explain, ledger, policy, trust
from broker.cli.app import app, failing

__all__ = ["app", "database", "explain", "ledger", "main", "policy", "trust"]


def main() -> None:
    """Run one command; a failure is said in plain words with its cure."""
    sys.exit(failing(app))
