"""Rehearse a mapping on the agency's records: counts that may be shown to anybody, never a row.

Records -> every person read, a sample asked about -> Check
"""

import datetime
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from agency_node.mapping import COMPARED, LONG_AGO, Records


@dataclass(frozen=True, slots=True)
class Check:
    """What a rehearsal found: counts only, never a row.

    Attributes:
        people: How many.
        filled: Field -> how many people have it readable.
        unreadable: Field, or `table.column` of a CSV drop -> how many values could not be read.
        noted: `table.column: what` -> how many values of files were mended, or passed over, on the way in.
        held_back: How many people are shielded or withheld.
        tried: On how many people the answer queries were tried.
        answers: Question -> for how many of those it found anything.
        doubtful: Question -> for how many of those the answer could not be read.
    """

    people: int
    filled: Mapping[str, int]
    unreadable: Mapping[str, int]
    noted: Mapping[str, int]
    held_back: int
    tried: int
    answers: Mapping[str, int]
    doubtful: Mapping[str, int]


def check(records: Records, today: datetime.date, sample: int = 500) -> Check:
    """Rehearse the mapping on the records.

    Args:
        records: Through the mapping.
        today: The day from which questions would look back.
        sample: On how many people the answer queries are tried; evenly spread.

    Raises:
        RecordsUnavailable: The records cannot be read.
        MappingInvalid: What only whole data shows: an id that occurs twice, a query that yields no single row.
    """
    filled: Counter[str] = Counter()
    unreadable: Counter[str] = Counter(records.unreadable())
    held_back = 0
    ids: list[str] = []
    for person in records.people():
        ids.append(person.person_id)
        held_back += person.shielded or person.withheld
        seen = person.described()
        unreadable.update(seen.unreadable)
        filled.update(name for name in COMPARED if getattr(person, name) and name not in seen.unreadable)
    tried = ids[:: max(1, len(ids) // sample)][:sample]
    answers = dict.fromkeys(sorted(records.questions), 0)
    doubtful = dict.fromkeys(answers, 0)
    for question in answers:
        for person_id in tried:
            found = records.answer(question, [person_id], LONG_AGO)
            answers[question] += bool(found.count) or bool(found.open)
            doubtful[question] += found.doubtful or (found.latest is not None and found.latest > today)
    return Check(len(ids), dict(filled), dict(unreadable), records.noted(), held_back, len(tried), answers, doubtful)
