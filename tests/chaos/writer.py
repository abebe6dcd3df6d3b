"""Writes a ledger as fast as it can and says what was acknowledged, until it is killed or its database is.

    python -m tests.chaos.writer URL_FILE [forgetful]

One line for each acknowledged entry: index, salt, body. `forgetful` is the negative control: it has the server
acknowledge commits that are on no disk yet, which the broker refuses to do.
"""

import asyncio
import sys
from pathlib import Path

from sqlalchemy import Connection, event

from broker.sequencer import Batch, Sequencer, Writer, record
from broker.stages import LedgerUnavailable
from broker.store import Server, open_store
from tests.world.ledger import LEDGER_KEY, NOW_NS, ORIGIN

AT_ONCE = 32


async def run(url_file: Path, *, forgetful: bool) -> None:
    """Write until the database fails."""
    store = open_store(Server(url_file))
    if not store.pen.take() or store.writer is None:
        raise SystemExit("somebody else writes")
    if forgetful:
        event.listen(store.writer, "begin", _forget)
    sequencer = Sequencer(Writer(store, ORIGIN, LEDGER_KEY))
    sequencer.start()

    async def client(number: int) -> None:
        count = 0
        while True:
            count += 1
            try:
                appended = await sequencer.append(
                    Batch((record("OUTCOME", NOW_NS, {"client": number, "count": count}),))
                )
            except LedgerUnavailable:
                return
            entry = appended.entries[0]
            sys.stdout.write(f"{entry.index} {entry.salt.hex()} {entry.body.hex()}\n")
            sys.stdout.flush()

    await asyncio.gather(*(client(number) for number in range(AT_ONCE)))


def _forget(connection: Connection) -> None:
    connection.exec_driver_sql("SET LOCAL synchronous_commit = off")


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), forgetful=sys.argv[2:] == ["forgetful"]))
