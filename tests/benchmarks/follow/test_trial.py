"""The bench is worth as much as its model: each part of it does what is claimed of it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from tests.benchmarks.follow.api import EPOCH_MS, PAGE, ROUND_TRIP, Api, Refused
from tests.benchmarks.follow.policy import Given, PerRunPolicy, Policy, SdkPolicy
from tests.benchmarks.follow.runs import Lifetimes, TrialRun, draw_runs, lifetimes, median_for, open_at
from tests.benchmarks.follow.trial import Situation, play
from tests.benchmarks.follow.world import Alarm, World

per_run_policies = pytest.mark.parametrize("make", [SdkPolicy, PerRunPolicy])


def run(number: int, created: float, ended: float) -> TrialRun:
    return TrialRun(number, "extract", created, ended)


def test_events_happen_in_the_order_of_their_instants() -> None:
    world, seen = World(), list[tuple[float, str]]()
    for at, name in ((2.0, "b"), (1.0, "a"), (2.0, "c"), (5.0, "later")):
        world.at(at, lambda name=name: seen.append((world.now, name)))  # type: ignore[misc]
    world.run(4.0)
    assert seen == [(1.0, "a"), (2.0, "b"), (2.0, "c")]
    assert world.now == 4.0


def test_an_alarm_that_was_moved_rings_once() -> None:
    world, rings = World(), list[float]()
    alarm = Alarm(world, lambda: rings.append(world.now))
    alarm.set(1.0)
    alarm.set(3.0)
    world.run(2.0)
    alarm.set(2.5)
    world.run(10.0)
    assert rings == [2.5]
    alarm.set(11.0)
    alarm.set(None)
    world.run(20.0)
    assert rings == [2.5]


def test_more_than_the_plan_allows_in_any_second_is_refused() -> None:
    api = Api([], per_second=10)
    refused = 0
    for number in range(50):
        try:
            api.has_ended(run(0, 0, 1), number * 0.051)
        except Refused:
            refused += 1
    # About 20 requests a second against 10: the first half of each second passes.
    assert refused == api.counts.refused == 20
    assert api.counts.gets == 30


def test_a_get_answers_for_the_instant_of_its_arrival() -> None:
    api = Api([], per_second=10)
    assert not api.has_ended(run(0, 0, 5), 5 - 0.6 * ROUND_TRIP)
    assert api.has_ended(run(0, 0, 5), 5 - 0.4 * ROUND_TRIP)


def test_a_list_shows_each_run_once_with_its_newest_update_first() -> None:
    api = Api([run(0, 0, 10), run(1, 1, 6), run(2, 30, 40)], per_second=10)
    page = api.page("extract", 7.0)
    assert [(row.id, row.status) for row in page.rows] == [("run_1", "PROCESSED"), ("run_0", "PROCESSING")]
    assert [row.updated_ms for row in page.rows] == [EPOCH_MS + 6_000, EPOCH_MS + 2_000]
    assert page.next_token is None
    assert api.page("classify", 7.0).rows == ()


def test_a_list_that_lags_shows_what_was() -> None:
    api = Api([run(0, 0, 10), run(1, 1, 6)], per_second=10, lag=2.0)
    assert [row.status for row in api.page("extract", 7.0).rows] == ["PROCESSING", "PROCESSING"]
    assert [row.status for row in api.page("extract", 8.0).rows] == ["PROCESSED", "PROCESSING"]


def test_a_list_without_order_shows_the_newest_run_first_with_its_status_of_now() -> None:
    runs = [TrialRun(0, "parse", 0, 10), TrialRun(1, "parse", 1, 6), TrialRun(2, "parse", 30, 40)]
    api = Api(runs, per_second=10)
    for instant, statuses in ((7.0, ["PROCESSED", "PROCESSING"]), (11.0, ["PROCESSED", "PROCESSED"])):
        page = api.page("parse", instant)
        assert [row.id for row in page.rows] == ["run_1", "run_0"]
        assert [row.status for row in page.rows] == statuses


def test_the_pages_of_a_list_hold_all_runs() -> None:
    runs = [run(number, number * 0.01, 900 - number) for number in range(2 * PAGE + 20)]
    api = Api(runs, per_second=10)
    sizes, seen, token = list[int](), set[str](), None
    while True:
        page = api.page("extract", 500.0, token)
        sizes.append(len(page.rows))
        seen.update(row.id for row in page.rows)
        token = page.next_token
        if token is None:
            break
    assert sizes == [PAGE, PAGE, 20]
    assert seen == {each.id for each in runs}
    assert api.counts.lists == api.counts.gets == 3


def test_a_run_that_moves_up_between_two_pages_is_on_none_of_the_later_ones() -> None:
    runs = [run(number, number * 0.01, 500.0 if number == 0 else 900.0) for number in range(PAGE + 1)]
    api = Api(runs, per_second=10)
    # The oldest row is the only one of the second page, until its run leaves the queue at 100.
    first = api.page("extract", 99.0)
    assert [row.id for row in api.page("extract", 99.1, first.next_token).rows] == ["run_0"]
    assert api.page("extract", 101.0, first.next_token).rows == ()


def test_as_many_runs_are_open_at_the_beginning_as_there_are_on_average() -> None:
    lives = lifetimes(median_for(2_000, per_second=2.0))
    runs = draw_runs(lives, per_second=2.0, until=600.0, seed=1)
    for instant in (0.0, 300.0, 599.0):
        assert 1_850 < len(open_at(runs, instant)) < 2_150


def test_runs_of_other_clients_change_nothing_about_ours() -> None:
    def ours(foreign: int) -> list[tuple[float, float]]:
        runs = draw_runs(lifetimes(45.0), per_second=1.0, until=600.0, foreign=foreign, seed=1)
        return [(each.created, each.ended) for each in runs if each.ours]

    assert ours(0) == ours(10)


@pytest.mark.parametrize(
    ("make", "first"),
    [
        # The first look follows the create's answer at once, and the next ones follow after about a second.
        (SdkPolicy, ROUND_TRIP / 2 + ROUND_TRIP),
        # Nothing is asked before the first second is over: a run that ended at once waits for it.
        (PerRunPolicy, ROUND_TRIP / 2 + 1.0 + ROUND_TRIP),
    ],
)
def test_when_a_run_is_looked_at_first(make: Callable[[Given], Policy], first: float) -> None:
    created = 10.0
    ended = run(0, created, created)
    world = World()
    policy = make(Given(world, Api([ended], per_second=10), 8.0, Random(1)))
    world.at(created + ROUND_TRIP / 2, lambda: policy.follow(ended))
    world.run(100.0)
    assert ended.found is not None
    # The jitter is a quarter of the delay.
    delay = first - 1.5 * ROUND_TRIP
    assert created + first - 0.25 * delay <= ended.found <= created + first + 0.25 * delay


@per_run_policies
def test_a_single_run_is_found_within_the_delay_of_its_age(make: Callable[[Given], Policy]) -> None:
    fast, slow = run(0, 0.0, 25.0), run(1, 0.0, 4_000.0)
    world = World()
    policy = make(Given(world, Api([], per_second=10), 8.0, Random(1)))
    policy.follow(fast)
    policy.follow(slow)
    world.run(5_000.0)
    assert fast.found is not None
    assert slow.found is not None
    assert fast.found - fast.ended <= 1.25 + 1.5 * ROUND_TRIP
    assert slow.found - slow.ended <= 37.5 + 1.5 * ROUND_TRIP
    assert slow.found - slow.ended > 1.25  # by then it asks every half minute


SMALL = Situation(10, 80.0, lifetimes(45.0), warm_up=60.0, window=240.0)


@per_run_policies
def test_the_same_seed_gives_the_same_figures(make: Callable[[Given], Policy]) -> None:
    assert play(SMALL, make) == play(SMALL, make)


def test_our_budget_is_kept_and_the_sdk_has_none() -> None:
    ours, sdk = play(SMALL, PerRunPolicy), play(SMALL, SdkPolicy)
    assert ours.counts.refused == 0
    assert ours.counts.gets <= 0.8 * 10 * SMALL.window + 1
    assert sdk.counts.refused > 1_000
    assert ours.at_least is sdk.at_least is None


def test_an_empty_beginning_has_no_open_runs() -> None:
    lives = Lifetimes(45.0, long_share=0.0, longest=120.0)
    runs = draw_runs(lives, per_second=1.0, until=300.0, stationary=False)
    assert open_at(runs, 0.0) == []
    assert max(each.ended - each.created for each in runs) <= 120.001


def test_a_situation_without_an_end_is_refused() -> None:
    situation = Situation(10, 80.0, Lifetimes(900.0, spread=0.0, long_share=0.0), window=60.0, stationary=False)
    with pytest.raises(ValueError, match="no run ends"):
        play(situation, SdkPolicy)
