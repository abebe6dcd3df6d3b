"""From a question and people to yes, no or cannot say: recency, windows, freshness, contact routes."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.catalogue import Question
from agency_node.adapters import RecordsUnavailable
from agency_node.lookup import CannotSay, Cause, No, Yes, look_up, not_known
from agency_node.mapping import Found
from agency_node.mapping_file import ContactRoute

AT_NS = 1_795_310_625_678_000_000
TODAY = datetime.date(2026, 11, 22)
ROUTE = ContactRoute("Family help north", "Duty worker", phone="01632 960001")
CONTACT = Question(
    id="agency.contact",
    version=1,
    title="",
    meaning_of_yes="",
    meaning_of_no="",
    subjects=frozenset({"person"}),
    answer="recency",
    shows_recency=True,
    composition="per_agency",
    yes_when="count",
    window_days=1096,
    owners=("police",),
    sensitivity="ordinary",
    min_tier=1,
    purposes=(),
    gateways={},
    min_role="practitioner",
    freshness_limit_s=2 * 86_400,
    next_step="",
    risk_factor_code="",
    deprecated_by=None,
)
OPEN_NOW = replace(CONTACT, id="agency.open_now", yes_when="open", window_days=None)
NOTHING = Found(latest=None, count=0, open=False, team="", doubtful=False)


@dataclass
class SimulatedRecords:
    """Records that say one thing, and remember what they were asked."""

    found: Found = NOTHING
    age_s: int = 3600
    dated: bool = True
    broken: bool = False
    heard: list[tuple[tuple[str, ...], datetime.date]] = field(default_factory=list)

    @property
    def questions(self) -> frozenset[str]:
        return frozenset({"agency.contact", "agency.open_now"})

    def uses_since(self, _question: str) -> bool:
        return self.dated

    def answer(self, _question: str, person_ids: Sequence[str], since: datetime.date) -> Found:
        if self.broken:
            raise RecordsUnavailable("slow", "stopped")
        self.heard.append((tuple(person_ids), since))
        return self.found

    def as_of_ns(self) -> int:
        return AT_NS - self.age_s * 1_000_000_000

    def contact(self, team: str) -> ContactRoute | None:
        return ROUTE if team == "north" else None


def on(day: datetime.date | None, count: int | None = 1, opened: bool | None = False) -> Found:
    """Something found, latest on that day."""
    return Found(day, count, opened, "north", doubtful=False)


def months(count: int, days: int = 0) -> datetime.date:
    """A day so many months before the question, and some days more."""
    year, month = divmod(TODAY.year * 12 + TODAY.month - 1 - count, 12)
    return datetime.date(year, month + 1, TODAY.day) - datetime.timedelta(days=days)


@pytest.mark.parametrize(
    ("found", "recency"),
    [
        (on(TODAY), "WITHIN_3M"),
        (on(months(3)), "WITHIN_3M"),
        (on(months(3, 1)), "WITHIN_12M"),
        (on(months(12)), "WITHIN_12M"),
        (on(months(12, 1)), "WITHIN_3Y"),
        (on(months(36)), "WITHIN_3Y"),
        (on(months(36, 1)), "OLDER"),
        (on(months(40), opened=True), "OPEN_NOW"),
        (on(None), ""),
    ],
)
def test_a_yes_says_how_long_ago_in_bands(found: Found, recency: str) -> None:
    """A band and a team to ring, never a date."""
    answer = look_up(CONTACT, ["p1"], SimulatedRecords(found), AT_NS)

    assert Yes(recency, ROUTE, AT_NS - 3_600_000_000_000) == answer


def test_a_yes_without_shown_recency_has_none() -> None:
    """The catalogue decides whether a yes says how long ago."""
    answer = look_up(replace(CONTACT, shows_recency=False), ["p1"], SimulatedRecords(on(TODAY)), AT_NS)

    assert isinstance(answer, Yes)
    assert "" == answer.recency


def test_the_window_counts_back_from_the_day_of_the_question() -> None:
    """1,096 days before the question, given to the query as a date."""
    records = SimulatedRecords()

    look_up(CONTACT, ["p1"], records, AT_NS)

    assert [(("p1",), datetime.date(2023, 11, 22))] == records.heard


@pytest.mark.parametrize(
    ("latest", "expected"), [(datetime.date(2023, 11, 22), Yes), (datetime.date(2023, 11, 21), No), (None, CannotSay)]
)
def test_a_query_without_a_window_is_judged_by_its_latest_date(latest: datetime.date | None, expected: type) -> None:
    """An old contact is no contact within the window, whether the mapping or the look-up says so."""
    answer = look_up(CONTACT, ["p1"], SimulatedRecords(on(latest), dated=False), AT_NS)

    assert expected is type(answer)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (on(None, count=None, opened=True), Yes),
        (on(None, count=None, opened=False), No),
        (on(None, count=3, opened=False), No),
        (on(None, count=3, opened=None), CannotSay),
    ],
)
def test_a_question_about_open_work_needs_the_open_flag(found: Found, expected: type) -> None:
    """Closed cases, however many, are not open work; no flag at all is cannot say."""
    assert expected is type(look_up(OPEN_NOW, ["p1"], SimulatedRecords(found), AT_NS))


@pytest.mark.parametrize(
    "found",
    [
        replace(NOTHING, doubtful=True),
        replace(NOTHING, count=None),
        replace(NOTHING, latest=TODAY),
        replace(NOTHING, open=True),
        on(TODAY + datetime.timedelta(days=2)),
    ],
)
def test_what_does_not_add_up_is_cannot_say(found: Found) -> None:
    """T-LNK-5: unreadable or contradictory records never read as no."""
    assert CannotSay(Cause.UNREADABLE) == look_up(CONTACT, ["p1"], SimulatedRecords(found), AT_NS)


@pytest.mark.parametrize("age_s", [2 * 86_400 + 1, -36])
def test_stale_records_and_records_from_the_future_say_nothing(age_s: int) -> None:
    """T-LNK-5: neither yes nor no, whether the person is known or not."""
    records = SimulatedRecords(on(TODAY), age_s=age_s)

    assert (CannotSay(Cause.STALE), CannotSay(Cause.STALE), []) == (
        look_up(CONTACT, ["p1"], records, AT_NS),
        not_known(CONTACT, records, AT_NS),
        records.heard,
    )


def test_somebody_not_known_is_no_when_the_records_are_fresh() -> None:
    """The caller has checked the index; this checks the records."""
    assert No(AT_NS - 3_600_000_000_000) == not_known(CONTACT, SimulatedRecords(), AT_NS)


def test_records_that_fail_say_nothing() -> None:
    """A stopped query is not a no."""
    assert CannotSay(Cause.UNAVAILABLE) == look_up(CONTACT, ["p1"], SimulatedRecords(broken=True), AT_NS)


def test_a_question_that_is_not_mapped_says_nothing() -> None:
    """An agency that cannot answer a question does not deny."""
    asked = replace(CONTACT, id="school.exclusion")

    assert CannotSay(Cause.NOT_MAPPED) == look_up(asked, ["p1"], SimulatedRecords(), AT_NS)


@pytest.mark.parametrize("answer", [Yes("", None, 0), No(0), CannotSay(Cause.STALE)])
def test_an_answer_has_no_truth_value(answer: Yes | No | CannotSay) -> None:
    """`if answer:` would take cannot say for yes, or no for nothing."""
    with pytest.raises(TypeError, match="no truth value"):
        bool(answer)


@given(
    st.builds(
        Found,
        latest=st.none() | st.dates(datetime.date(1900, 1, 1), datetime.date(2100, 1, 1)),
        count=st.none() | st.integers(0, 9),
        open=st.none() | st.booleans(),
        team=st.sampled_from(["", "north"]),
        doubtful=st.booleans(),
    ),
    st.sampled_from([CONTACT, OPEN_NOW]),
    st.booleans(),
)
def test_a_no_is_only_ever_said_of_sound_and_empty_records(found: Found, question: Question, dated: bool) -> None:
    """T-LNK-5: whatever the records say, a no means that they were read and hold nothing that counts."""
    answer = look_up(question, ["p1"], SimulatedRecords(found, dated=dated), AT_NS)

    if isinstance(answer, No):
        assert not found.doubtful
        assert not found.open
        assert question.yes_when == "open" or found.count == 0 or not dated
