"""This node's own durable state: one SQLite file beside the process.

It holds the node's ledger, the signed answers that may have to be repeated, the
newest ledger heads it has countersigned, withdrawals, agreements, the policy
bundle and directory in force, and the token index. It holds no description of a
person: the index keeps the agency's own record numbers and keyed tokens, and
scoring reads the agency's database live.

    database      open the file, bring its tables up to date, reading and writing transactions
    tables        the tables
    answers       signed answers kept for repetition: a warrant is good once
    agreements    withdrawals, and agreements captured here or delivered to us
    in_force      the policy bundle and the federation directory in force
    migrations/   Alembic steps, run when the file is opened

Callers hold the transaction: every function takes the connection, so that what
belongs together commits together.
"""

from agency_node.store.database import StateUnusable, open_store, reading, writing

__all__ = ["StateUnusable", "open_store", "reading", "writing"]
