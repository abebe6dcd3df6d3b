"""How many questions are in work, how many wait, and that a flood of one agency's keeps nobody else waiting."""

import asyncio
from collections import Counter, deque
from dataclasses import dataclass

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from broker.admission import COME_AGAIN_S, Limits, Room, Turns
from broker.stages import RateLimited

LIMITS = Limits(at_once=4, agency_at_once=3, waiting=20, agency_waiting=10)


@dataclass
class Counted:
    """What became of one agency's questions.

    Attributes:
        done: Came into work and ended.
        turned_away: Told to come again.
        longest: Most questions of others that came into work between one's arrival and its own turn.
    """

    done: int = 0
    turned_away: int = 0
    longest: int = 0


def simulated(limits: Limits, arrivals: dict[str, int], rounds: int) -> dict[str, Counted]:
    """Agencies ask so many questions in each round, and one question in work ends in each; no clock is needed.

    Args:
        limits: How much at once.
        arrivals: Agency -> questions in each round; negative means one in so many rounds.
        rounds: How many rounds.
    """
    turns: Turns[tuple[str, int]] = Turns(limits, limits.at_once)
    counted = {agency: Counted() for agency in arrivals}
    working: deque[str] = deque()
    begun = 0

    def begins(agency: str, since: int) -> None:
        nonlocal begun
        counted[agency].longest = max(counted[agency].longest, begun - since)
        begun += 1
        working.append(agency)

    for number in range(rounds):
        for agency, often in arrivals.items():
            for _ in range(often if often > 0 else number % -often == 0):
                try:
                    at_once, gave_way = turns.arrive(agency, (agency, begun))
                    if at_once:
                        begins(agency, begun)
                    if gave_way is not None:
                        counted[gave_way[0]].turned_away += 1
                except RateLimited:
                    counted[agency].turned_away += 1
        if working:
            ends = working.popleft()
            counted[ends].done += 1
            for agency, since in turns.leave(ends, limits.at_once):
                begins(agency, since)
    return counted


def test_a_flood_of_one_agency_does_not_starve_a_quiet_one() -> None:
    """T-POL-5: ten times as many questions as there is room for; the quiet agency's are all answered, soon.

    At its turn no more questions of others have come into work than it takes for one to end and the other to begin.
    """
    counted = simulated(LIMITS, {"noisy": 10, "quiet": -5}, 2_000)
    quiet, noisy = counted["quiet"], counted["noisy"]
    print(
        f"T-POL-5 fairness quiet_done={quiet.done} quiet_turned_away={quiet.turned_away} "
        f"quiet_overtaken_at_most={quiet.longest} noisy_done={noisy.done} noisy_turned_away={noisy.turned_away}"
    )

    assert (400, 0) == (quiet.done, quiet.turned_away)
    assert quiet.longest <= 1
    assert noisy.turned_away > 9 * noisy.done
    assert quiet.done + noisy.done > 1_990


def test_in_one_queue_for_all_the_quiet_one_would_starve() -> None:
    """T-POL-5, the control: the same flood where nobody has a place of their own, as in a plain queue."""
    shared = simulated(LIMITS, {"everybody": 10}, 2_000)["everybody"]

    # Of one agency's queue, whoever comes waits behind everybody who came before.
    assert shared.longest >= LIMITS.agency_waiting - 1
    assert shared.turned_away / (shared.turned_away + shared.done) > 0.85


def test_agencies_that_all_flood_get_the_same() -> None:
    """T-POL-5: turn by turn, whoever asks more."""
    counted = simulated(LIMITS, {"a": 2, "b": 5, "c": 20}, 3_000)
    done = sorted(one.done for one in counted.values())

    assert done[-1] - done[0] <= LIMITS.at_once


def test_one_agency_cannot_take_all_the_work() -> None:
    """T-POL-5: were all its questions stuck at a node that hangs, another's would still come into work at once."""
    turns: Turns[int] = Turns(LIMITS, LIMITS.at_once)
    noisy = [turns.arrive("noisy", number)[0] for number in range(5)]

    assert ([True, True, True, False, False], True) == (noisy, turns.arrive("quiet", 9)[0])


def test_what_is_too_much_is_turned_away_with_a_time() -> None:
    """T-POL-5: nothing waits without bound; when all is full, whose agency has most waiting gives way."""
    turns: Turns[int] = Turns(Limits(at_once=1, agency_at_once=1, waiting=3, agency_waiting=2), 1)
    for number in range(3):
        turns.arrive("police", number)
    with pytest.raises(RateLimited) as own:
        turns.arrive("police", 3)
    turns.arrive("housing", 4)
    gave_way = turns.arrive("schools", 5)
    with pytest.raises(RateLimited) as everybody:
        turns.arrive("health", 6)

    assert (False, 2) == gave_way
    assert (COME_AGAIN_S, COME_AGAIN_S) == (own.value.retry_s, everybody.value.retry_s)
    assert (1, 3) == (turns.at_work, turns.waiting)


@given(
    st.builds(
        Limits,
        at_once=st.integers(1, 5),
        agency_at_once=st.integers(1, 5),
        waiting=st.integers(0, 8),
        agency_waiting=st.integers(0, 5),
    ),
    st.lists(st.tuples(st.sampled_from(["arrive", "end", "give up"]), st.integers(0, 9)), max_size=120),
)
@settings(max_examples=150, deadline=None)
def test_no_bound_is_passed_and_nobody_waits_who_could_be_in_work(limits: Limits, moves: list[tuple[str, int]]) -> None:
    """T-POL-5: whatever comes, ends and gives up in whatever order; every question comes to its end exactly once."""
    turns: Turns[int] = Turns(limits, limits.at_once)
    working: list[tuple[str, int]] = []
    waiting: dict[int, str] = {}
    turned_away, ended, gave_up, arrived = 0, 0, 0, 0
    for number, (move, pick) in enumerate(moves):
        if move == "arrive":
            arrived += 1
            agency = "abc"[pick % 3]
            try:
                at_once, gave_way = turns.arrive(agency, number)
                if at_once:
                    working.append((agency, number))
                else:
                    waiting[number] = agency
                if gave_way is not None:
                    turned_away += 1
                    del waiting[gave_way]
            except RateLimited:
                turned_away += 1
        elif move == "end" and working:
            ended += 1
            agency, _ = working.pop(pick % len(working))
            working += [(waiting.pop(came), came) for came in turns.leave(agency, limits.at_once)]
        elif move == "give up" and waiting:
            gave_up += 1
            ticket = sorted(waiting)[pick % len(waiting)]
            turns.give_up(waiting.pop(ticket), ticket)
        mine = Counter(agency for agency, _ in working)

        assert (len(working), len(waiting)) == (turns.at_work, turns.waiting)
        assert turns.at_work <= limits.at_once
        assert turns.waiting <= limits.waiting
        assert max(mine.values(), default=0) <= limits.agency_at_once
        assert max(Counter(waiting.values()).values(), default=0) <= limits.agency_waiting
        assert (
            not waiting
            or turns.at_work == limits.at_once
            or all(mine[agency] == limits.agency_at_once for agency in waiting.values())
        )
    assert arrived == ended + gave_up + turned_away + len(working) + len(waiting)


# -- Tasks that wait ---------------------------------------------------------------------------------------------------

ONE = Limits(at_once=1, agency_at_once=1, waiting=2, agency_waiting=2)


def test_a_question_comes_into_work_when_another_ends() -> None:
    """The oldest of its agency first."""

    async def body() -> tuple[list[str], int, int]:
        room, order = Room(ONE, 5.0, 0.0), []

        async def ask(name: str) -> None:
            place = await room.enter("police", 10.0)
            order.append(name)
            await asyncio.sleep(0)
            place.leave()

        await asyncio.gather(*(ask(name) for name in ("first", "second", "third")))
        return order, room.at_work, room.waiting

    assert (["first", "second", "third"], 0, 0) == asyncio.run(body())


@pytest.mark.parametrize(
    ("longest_s", "remaining_s"), [(0.02, 10.0), (10.0, 1.02), (10.0, 0.5)], ids=["room's", "asker's", "too late"]
)
def test_nobody_waits_longer_than_could_still_be_answered(longest_s: float, remaining_s: float) -> None:
    """T-NET-2: a question that waited till its asker gave up would be work for nobody."""

    async def body() -> tuple[int, float]:
        room = Room(ONE, longest_s, 1.0)
        place = await room.enter("police", 10.0)
        began = asyncio.get_running_loop().time()
        with pytest.raises(RateLimited):
            await room.enter("housing", remaining_s)
        waited_s = asyncio.get_running_loop().time() - began
        place.leave()
        return room.waiting + room.at_work, waited_s

    left, waited_s = asyncio.run(body())

    assert 0 == left
    assert waited_s < 5.0


@pytest.mark.parametrize("same_moment", [False, True])
def test_whoever_hangs_up_while_waiting_leaves_no_place_taken(same_moment: bool) -> None:
    """T-POL-5: also when its turn comes in the very moment in which it hangs up."""

    async def body() -> tuple[int, int]:
        room = Room(ONE, 5.0, 0.0)
        place = await room.enter("police", 10.0)
        waits = asyncio.create_task(room.enter("housing", 10.0))
        await asyncio.sleep(0)
        if same_moment:
            place.leave()
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        if not same_moment:
            place.leave()
        return room.at_work, room.waiting

    assert (0, 0) == asyncio.run(body())


def test_who_could_only_wait_in_vain_is_turned_away_at_once() -> None:
    """T-POL-5: when a turn is known to take a while, a question whose turn would come too late does not wait for it."""

    async def body() -> tuple[float, int]:
        loop = asyncio.get_running_loop()
        room = Room(Limits(at_once=2, agency_at_once=2, waiting=9, agency_waiting=9), 0.4, 0.0)
        places = [await room.enter("police", 10.0) for _ in range(2)]
        for _ in range(8):
            # One ends every 50 ms, and another begins.
            await asyncio.sleep(0.05)
            places.pop(0).leave()
            places.append(await room.enter("police", 10.0))
        waits = [asyncio.create_task(room.enter("police", 10.0)) for _ in range(9)]
        began = loop.time()
        turned_away, _ = await asyncio.wait(waits, timeout=0.35, return_when=asyncio.FIRST_COMPLETED)
        seconds = loop.time() - began
        count = sum(isinstance(one.exception(), RateLimited) for one in turned_away)
        for one in waits:
            one.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        return seconds, count

    seconds, count = asyncio.run(body())

    # The longest wait of all is 0.4 s.
    assert seconds < 0.3
    assert 3 <= count <= 8


def test_fewer_may_be_in_work_when_they_are_late() -> None:
    """T-POL-5: a machine that cannot carry so many is given fewer, and more again when it can."""

    async def body() -> list[int]:
        room = Room(Limits(at_once=64, agency_at_once=32, waiting=0, agency_waiting=0), 0.1, 0.06)
        sizes = [room.size]
        late = [await room.enter("police", 10.0) for _ in range(8)]
        await asyncio.sleep(room.late_s * 1.5)
        for place in late:
            place.heard(4, 2)
            place.leave()
        sizes.append(room.size)
        for _ in range(20):
            good = [await room.enter("police", 10.0) for _ in range(room.size // 2)]
            for place in good:
                place.heard(4, 2)
            await asyncio.sleep(room.late_s * 1.5)
            for place in good:
                place.leave()
        return [*sizes, room.size]

    first, after_late, after_good = asyncio.run(body())

    assert (16, 8) == (first, after_late)
    assert after_good > after_late


def test_one_agency_that_hangs_does_not_make_a_question_late() -> None:
    """T-NET-2: half of the agencies are heard in time; the one that is not says nothing about this machine."""

    async def body() -> int:
        room = Room(Limits(at_once=64, agency_at_once=32, waiting=0, agency_waiting=0), 0.1, 0.6)
        place = await room.enter("police", 10.0)
        for so_far in range(8):
            place.heard(8, so_far)
        await asyncio.sleep(room.late_s * 1.5)
        place.heard(8, 8)
        place.leave()
        return room.size

    assert 16 == asyncio.run(body())
