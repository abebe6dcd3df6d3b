"""`python -m deploy.demo.county FOLDER`: write an invented county's records, one folder an agency."""

import argparse
import csv
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from deploy.demo.county import AGENCIES, LARGEST, PEOPLE, SEED, SMALLEST, County, generate, number, write


def main(arguments: Sequence[str]) -> int:
    """Write one folder an agency; print how many records each has. Exit code 0, or 2 for wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.demo.county", description="Write an invented county's records."
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--people", type=int, default=PEOPLE, help=f"{SMALLEST} to {LARGEST}")
    parser.add_argument("--as-of", type=date.fromisoformat, default=datetime.now(UTC).date())
    parser.add_argument(
        "--truth", action="store_true", help="write truth.csv as well: who each record really is, for evaluations"
    )
    chosen = parser.parse_args(arguments)
    steps = 1 + len(AGENCIES) + chosen.truth
    try:
        _progress(0, steps, f"inventing {chosen.people} people")
        county = generate(chosen.seed, chosen.people, chosen.as_of)
        for done, agency in enumerate(AGENCIES, 1):
            _progress(done, steps, f"writing {agency}")
            write(agency, chosen.folder / agency, county)
            print(f"{agency}: {len(county.held[agency])} records, {len(county.people)} people in the county")
        if chosen.truth:
            _progress(steps - 1, steps, "writing truth.csv")
            _write_truth(chosen.folder / "truth.csv", county)
        _progress(steps, steps, "done")
    except (ValueError, FileExistsError) as problem:
        print(problem, file=sys.stderr)
        return 2

    return 0


def _progress(done: int, steps: int, what: str) -> None:
    """One line, written over on a terminal."""
    over = "\r\033[K" if sys.stderr.isatty() else ""
    end = "\n" if done == steps or not over else ""
    print(f"{over}[{done}/{steps}] {what}", end=end, file=sys.stderr, flush=True)


def _write_truth(file: Path, county: County) -> None:
    with file.open("x", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("agency", "record", "person", "household", "relation"))
        for agency in AGENCIES:
            for held in county.held[agency]:
                truth = held.truth
                writer.writerow((agency, number(agency, held), truth.id, truth.household, truth.relation))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
