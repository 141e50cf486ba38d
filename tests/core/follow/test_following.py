"""Following: what has finished is found soon with few requests, and found at last whatever the list does."""

from __future__ import annotations

import gc
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.core.follow.following import BACKSTOP_SECONDS
from connector.core.follow.list_debts import MOST_EXPECTED
from connector.core.follow.list_health import TRIAL_SECONDS, Trouble
from connector.core.follow.open_run import OpenRun, Stage
from connector.core.follow.polling import PollingOptions
from tests.core.follow.following_world import START, Manners, World

NO_FAST_PHASE = PollingOptions(fast_poll_duration_ms=0, initial_delay_ms=20_000, max_delay_ms=20_000)


def delays(world: World) -> list[float]:
    return [found.at - found.run.end for found in world.found.values()]


def troubles(world: World, run_type: str = "extract") -> Trouble | None:
    return world.following.states(world.now)[run_type].trouble


# ---- a good list ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lasts", [0.1, 5.0, 45.0, 2000.0])
def test_an_end_is_found_within_a_period_and_one_get_is_spent_on_it(lasts: float) -> None:
    world = World()
    world.start(lasts)
    world.run(4000.0, lambda: bool(world.found))
    (found,) = world.found.values()
    assert found.via == "sweep"
    assert found.at - max(found.run.end, START + 0.3) <= 1.0 + 3 * world.round_trip
    assert len([1 for _, run_id in world.gets if run_id == found.run.id]) == 1


def test_hundreds_of_runs_take_one_get_each_and_a_second() -> None:
    world = World(rate=8.0)
    for number in range(300):
        world.start(20.0 + (number * 37) % 300, at=START + number * 0.75)
    world.run(1000.0)
    assert len(world.found) == 300
    assert len(world.gets) == 300
    assert sorted(delays(world))[-3] < 2.0
    assert len(world.pages) < 620


def test_nothing_is_listed_while_nothing_is_open() -> None:
    world = World()
    world.start(10.0)
    world.run(60.0)
    asked = len(world.pages)
    world.run(3600.0)
    assert len(world.pages) == asked
    world.start(5.0)
    world.run(10.0)
    assert len(world.found) == 2


def test_an_end_that_was_listed_before_its_run_was_known_is_found() -> None:
    world = World()
    world.start(600.0)
    world.run(60.0)
    late = world.start(1.0, known_after=25.0)
    for _ in range(150):
        world.start(1.0, ours=False)
    world.run(30.0)
    assert world.found[late.id].at - (late.created + 25.0) < 2.0


def test_rows_of_others_are_handed_out() -> None:
    world = World()
    world.start(600.0)
    other = world.start(5.0, ours=False)
    world.run(10.0)
    assert {(row.id, row.status) for row in world.strangers} == {
        (other.id, "PENDING"),
        (other.id, "PROCESSING"),
        (other.id, other.changes[-1][1]),
    }


def test_restored_runs_are_found_by_catching_up_and_not_one_by_one() -> None:
    world = World(rate=8.0)
    for number in range(400):
        world.start(50.0 + number * 20.0, at=START - 4000.0 + number, restored_at=START)
    fresh = world.start(30.0)
    world.run(120.0)
    ended = [run for run in world.runs.values() if run.end < world.now - 60.0]
    assert 150 < len(ended) < 300
    assert {run.id for run in ended} <= set(world.found)
    assert len(world.gets) <= len(world.found) + 2
    assert world.found[fresh.id].at - fresh.end < 3.0, "catching up holds nothing up"


def test_catching_up_costs_at_most_what_it_saves() -> None:
    world = World(rate=8.0)
    old = world.start(50.0, at=START - 7200.0, restored_at=START)
    for number in range(7200):
        world.start(1.0, at=START - 7200.0 + number, ours=False)
    world.run(30.0)
    assert world.found[old.id].via == "poll"
    assert len(world.pages) < 45


def test_who_does_not_show_while_catching_up_is_looked_at_also_if_that_began_in_the_same_instant() -> None:
    world = World(manners=Manners(hidden=1.0))
    old = world.start(50.0, at=START - 7200.0, ours=False)
    review = world.start(0, at=START - 7200.0, ours=False, then=((1.0, "NEEDS_REVIEW"), (900.0, "REJECTED")))
    world.follow(old, restored=True)
    world.follow(review, restored=True, in_review=True)
    world.run(5.0)
    assert set(world.found) == {old.id, review.id}


def test_after_a_long_rest_what_is_too_much_for_one_pass_is_caught_up() -> None:
    world = World(manners=Manners(page=20), rate=20.0)
    for number in range(300):
        world.start(200.0 + number * 10.0)
    world.run(100.0)
    for number in range(3_000):
        world.start(0.5, at=world.now + number * 0.4, ours=False)
    world.now += 1200.0  # the process was asleep, say
    ended = [run for run in world.runs.values() if run.end < world.now and run.id in world.open]
    world.run(120.0)
    assert 90 < len(ended) < 200
    assert {run.id for run in ended} <= set(world.found)
    assert troubles(world) is None
    assert len(world.gets) <= len(world.found) + 2


def test_a_run_is_looked_at_itself_now_and_then_whatever_the_list_says() -> None:
    world = World()
    world.start(3 * 3600.0)
    world.run(3 * 3600.0 - 60.0)
    gaps = [b - a for a, b in pairwise([START, *(at for at, _ in world.gets)])]
    assert gaps
    assert all(BACKSTOP_SECONDS <= gap <= 2 * BACKSTOP_SECONDS + 2.0 for gap in gaps)


@pytest.mark.parametrize("seed", [3, 4, 13, 18])
def test_a_list_that_comes_and_goes_does_not_put_the_backstop_off(seed: int) -> None:
    world = World(
        manners=Manners(lag=600.0, empty=True, frozen=START + 60.0), rate=None, options=NO_FAST_PHASE, seed=seed
    )
    world.start(45.0, at=START - 1.0, run_type="edit", restored_at=START)
    for _ in range(2):
        world.start(400.0, run_type="workflow")
    bad = Manners(lag=10.0, hidden=0.3, updated="wild", page=1000, odd=0.3, lies=1.0, failing=0.1, frozen=START + 60.0)
    world.later(START + 400.0, lambda: setattr(world, "manners", bad))
    world.run(10_000.0, lambda: len(world.found) == 3)
    assert max(delays(world)) < 2 * BACKSTOP_SECONDS + 120.0


def test_a_run_that_lasts_too_long_is_looked_at_when_that_is_so() -> None:
    world = World(options=PollingOptions(max_wait_ms=60_000))
    world.start(600.0)
    world.run(100.0)
    assert [round(at - START - 0.3, 1) for at, _ in world.gets] == [60.0]


def test_runs_under_review_cost_one_pass_and_the_missing_ones_a_get() -> None:
    world = World()
    runs = [
        world.start(0, ours=False, run_type="workflow", then=((1.0, "NEEDS_REVIEW"), (900.0 + n * 1e6, "REJECTED")))
        for n in range(250)
    ]
    world.run(10.0)
    for run in runs:
        world.follow(run, restored=True, in_review=True)
    world.run(1300.0)
    assert set(world.found) == {runs[0].id}
    assert [run_id for _, run_id in world.gets] == [runs[0].id]
    assert len(world.pages) == 3 * 5


def test_a_decision_is_seen_at_once_while_other_runs_are_open() -> None:
    world = World()
    world.start(3000.0, run_type="workflow")
    run = world.start(0, ours=False, run_type="workflow", then=((1.0, "NEEDS_REVIEW"), (500.0, "REJECTED")))
    world.run(10.0)
    world.follow(run, in_review=True)
    world.run(600.0)
    assert world.found[run.id].at - run.changes[-1][0] < 1.5


def test_lists_of_all_types_take_at_most_half_of_the_budget() -> None:
    world = World(rate=2.0)
    for run_type in ("extract", "classify", "split", "parse", "edit", "workflow"):
        for _ in range(20):
            world.start(300.0, run_type=run_type)
    world.run(900.0)
    assert len(world.found) == 120
    times = [at for at, _ in world.pages]
    assert all(b - a >= 1.0 - 1e-6 for a, b in pairwise(times))
    by_type = [sum(kind == run_type for _, kind in world.pages) for run_type in ("extract", "edit", "workflow")]
    assert max(by_type) - min(by_type) < 10


# ---- parse, whose list cannot be sorted ----------------------------------------------------------------------


def test_parse_runs_are_found_in_the_newest_pages() -> None:
    world = World()
    for number in range(200):
        world.start(30.0, at=START + number, run_type="parse")
    world.run(300.0)
    assert len(world.found) == 200
    assert max(delays(world)) < 2.5
    assert len(world.gets) == 200


def test_parse_runs_that_are_too_old_for_the_newest_pages_are_polled() -> None:
    world = World(options=NO_FAST_PHASE)
    old = world.start(200.0, run_type="parse")
    for number in range(1500):
        world.start(1.0, at=START + 5.0 + number * 0.05, run_type="parse", ours=False)
    world.run(300.0)
    assert world.found[old.id].via == "poll"
    assert world.found[old.id].at - old.end < 26.0


# ---- a bad one -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("manners", "trouble"),
    [
        (Manners(failing=1.0, trouble=Trouble.REFUSED), Trouble.REFUSED),
        (Manners(failing=1.0), Trouble.UNAVAILABLE),
        (Manners(loops=True, page=3), Trouble.ENDLESS),
        (Manners(order="created"), Trouble.DISORDERED),
        (Manners(order="shuffled"), Trouble.DISORDERED),
        (Manners(updated="wild"), Trouble.DISORDERED),
        (Manners(lag=25.0), Trouble.LAGGING),
        (Manners(hidden=1.0), Trouble.INCOMPLETE),
        (Manners(frozen=START - 1.0), Trouble.INCOMPLETE),
        (Manners(updated="hour"), Trouble.LAGGING),
    ],
)
def test_a_list_that_cannot_be_relied_on_makes_us_poll(manners: Manners, trouble: Trouble) -> None:
    world = World(manners=manners, rate=50.0)
    for number in range(60):
        world.start(60.0 + (number * 53) % 200, at=START + number)
    seen = set()
    for _ in range(90):
        world.run(1.0)
        seen.add(troubles(world) if world.following.states(world.now) else None)
    assert trouble in seen
    world.run(400.0)
    assert len(world.found) == 60
    late = sorted(delays(world))
    assert late[30] < 12.0


def test_a_list_is_relied_on_again_once_it_is_good() -> None:
    world = World(manners=Manners(failing=1.0), rate=50.0)
    for number in range(100):
        world.start(20.0, at=START + number * 10.0)
    world.run(200.0)
    assert troubles(world) is Trouble.UNAVAILABLE
    trials = [at for at, _ in world.pages[-3:]]
    assert all(b - a >= TRIAL_SECONDS - 0.1 for a, b in pairwise(trials))
    world.manners = Manners()
    world.run(150.0)
    assert troubles(world) is None
    gets = len(world.gets)
    found = len(world.found)
    world.run(500.0)
    assert len(world.gets) - gets <= len(world.found) - found + 3
    assert all(found.via == "sweep" for found in world.found.values() if found.at > START + 400.0)


def test_a_list_that_lags_a_little_is_relied_on_and_late_by_no_more() -> None:
    world = World(manners=Manners(lag=10.0), rate=20.0)
    for number in range(200):
        world.start(30.0, at=START + number)
    world.run(300.0)
    assert troubles(world) is None
    assert world.following.states(world.now)["extract"].lag <= 11.5
    assert max(delays(world)) < 12.0
    assert len(world.gets) == 200


def test_one_run_that_the_list_does_not_show_is_polled_and_the_others_are_not() -> None:
    world = World(rate=20.0, options=NO_FAST_PHASE)
    for number in range(100):
        world.start(120.0, at=START + number)
    odd = world.runs["run_1"]
    odd.draw, world.manners = -1.0, Manners(hidden=1e-9)
    world.run(400.0)
    assert troubles(world) is None
    assert world.found[odd.id].via == "poll"
    assert world.found[odd.id].at - odd.end < 26.0
    assert all(found.via == "sweep" for run_id, found in world.found.items() if run_id != odd.id)


def test_rows_that_say_too_early_that_a_run_ended_cost_a_bounded_number_of_gets() -> None:
    world = World(manners=Manners(lies=1.0, updated="right"), rate=20.0)
    for _ in range(10):
        world.start(1500.0)
    world.run(1400.0)
    assert len(world.gets) <= 10 * 12
    world.run(4000.0)
    assert len(world.found) == 10


def test_polling_only_reads_no_list() -> None:
    world = World(interval=None)
    world.start(100.0)
    world.run(200.0)
    assert world.pages == []
    assert troubles(world) is Trouble.OFF
    assert len(world.found) == 1


def test_a_new_key_makes_the_list_worth_trying_at_once() -> None:
    world = World(manners=Manners(failing=1.0, trouble=Trouble.REFUSED))
    world.start(3000.0)
    world.run(60.0)
    world.manners = Manners()
    world.following.start_over(world.now)
    began = world.now
    world.run(1.5)
    assert troubles(world) is None
    assert world.pages[-1][0] > began


# ---- whatever it does ----------------------------------------------------------------------------------------

hostile = st.builds(
    Manners,
    lag=st.sampled_from([0.0, 2.0, 10.0, 30.0, 600.0]),
    hidden=st.sampled_from([0.0, 0.3, 1.0]),
    order=st.sampled_from(["updated", "created", "shuffled"]),
    updated=st.sampled_from(["right", "missing", "future", "wild", "hour"]),
    page=st.sampled_from([None, 1, 3, 1000]),
    repeats=st.booleans(),
    empty=st.booleans(),
    loops=st.booleans(),
    odd=st.sampled_from([0.0, 0.3]),
    lies=st.sampled_from([0.0, 0.3, 1.0]),
    failing=st.sampled_from([0.0, 0.1, 1.0]),
    trouble=st.sampled_from([None, Trouble.REFUSED, Trouble.UNREADABLE]),
    frozen=st.sampled_from([float("inf"), START + 60.0]),
    skips=st.sampled_from([0.0, 0.2, 0.9]),
)

lifetimes = st.lists(
    st.tuples(
        st.sampled_from([0.1, 3.0, 45.0, 400.0, 2000.0]),
        st.floats(-300.0, 300.0),
        st.sampled_from(["extract", "workflow", "parse", "edit"]),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(hostile, hostile, lifetimes, st.sampled_from([1.0, 8.0, None]), st.sampled_from([-3600.0, 0.0, 3600.0]))
def test_every_end_is_found_once_and_in_time_whatever_the_list_does(
    first: Manners,
    second: Manners,
    born: list[tuple[float, float, str]],
    rate: float | None,
    clock_error: float,
) -> None:
    world = World(manners=first, rate=rate, clock_error=clock_error, options=NO_FAST_PHASE, seed=len(born))
    for lasts, at, run_type in born:
        if at < 0:
            world.start(lasts, at=START + at, run_type=run_type, restored_at=START)
        else:
            world.start(lasts, at=START + at, run_type=run_type)
    world.later(START + 400.0, lambda: setattr(world, "manners", second))
    bound = 2 * BACKSTOP_SECONDS + 120.0
    for _ in range(20):
        world.run(330.0, lambda: len(world.found) == len(born))
        for run in world.open.values():
            assert run.place or run.stage is Stage.LOOKED_AT, "a run that is never due again"
    assert len(world.found) == len(born)
    for found in world.found.values():
        assert found.at - max(found.run.end, START) < bound
    if rate is not None:
        pages = [at for at, _ in world.pages]
        assert all(b - a >= 2 / rate - 1e-6 for a, b in pairwise(pages)), "lists take more than half"


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from([0.0, 2.0, 8.0]),
    st.booleans(),
    st.sampled_from([None, 30, 1000]),
    lifetimes,
)
def test_with_a_good_list_every_end_is_found_within_a_period_and_the_lag(
    lag: float,
    repeats: bool,  # noqa: FBT001
    page: int | None,
    born: list[tuple[float, float, str]],
) -> None:
    world = World(manners=Manners(lag=lag, repeats=repeats, page=page), rate=100.0, seed=len(born))
    old = set()
    for lasts, at, run_type in born:
        run = world.start(lasts, at=START + at, run_type=run_type, ours=at >= 0)
        if at < 0:
            world.follow(run, restored=True)
            old.add(run.id)
    world.run(3000.0, lambda: len(world.found) == len(born))
    assert len(world.found) == len(born)
    for found in world.found.values():
        restored = found.run.id in old
        by_backstop = found.run.end - found.run.created > BACKSTOP_SECONDS  # which may come first when the list lags
        assert found.via == "sweep" or restored or by_backstop
        known = START + 2.0 if restored else found.run.created + 0.3
        assert found.at - max(found.run.end, known) <= lag + 1.0 + 4 * world.round_trip


@pytest.mark.parametrize(
    ("manners", "interval"),
    [(Manners(failing=1.0), 1.0), (Manners(hidden=1.0), 1.0), (Manners(), None)],
)
def test_what_has_ended_is_not_kept(manners: Manners, interval: float | None) -> None:
    world = World(manners=manners, interval=interval, rate=None)
    for run_type in ("extract", "parse"):
        world.start(10_000.0, run_type=run_type)
        for number in range(2_000):
            world.later(START + number * 0.2, lambda of=run_type: world.start(0.5, run_type=of))  # type: ignore[misc, arg-type]
    world.run(800.0)
    assert len(world.found) == 4_000
    gc.collect()
    kept = [each for each in gc.get_objects() if isinstance(each, OpenRun) and each.run_id in world.found]
    assert len(kept) <= 2 * MOST_EXPECTED + 100  # and old places in the heaps
