"""The sweep against the official SDK, in the same run: ratios, because figures belong to an assumed API."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from tests.benchmarks.follow.api import ROUND_TRIP, Api
from tests.benchmarks.follow.matrix import SDK, SWEEP, THREE_TYPES, Cell, situation
from tests.benchmarks.follow.policy import Given
from tests.benchmarks.follow.runs import TrialRun, lifetimes, median_for
from tests.benchmarks.follow.sweep_policy import SWEEP_SECONDS, SweepPolicy
from tests.benchmarks.follow.trial import Outcome, Situation
from tests.benchmarks.follow.world import World

OPEN = 5_000


def played(given: Situation, policy: str) -> Outcome:
    return Cell("payg", "", policy, given).play()


def test_the_sweep_finds_thousands_of_runs_sooner_and_with_fewer_requests_than_the_sdk() -> None:
    smallest = situation("payg")
    lives = lifetimes(median_for(OPEN, smallest.per_second))
    given = replace(smallest, lives=lives, warm_up=120.0, window=300.0, patience=120.0)
    sdk, sweep = played(given, SDK), played(given, SWEEP)
    assert 0.9 * OPEN < sweep.open_runs == sdk.open_runs < 1.1 * OPEN
    assert sweep.at_least is None
    assert sweep.counts.refused == 0
    assert sweep.gets_per_run * 2.5 < sdk.gets_per_run  # it has a third; backstops are most of that
    assert sweep.delay(0.99) * 100 < sdk.delay(0.99)
    assert sweep.mean * 100 < sdk.mean


def test_more_types_and_replicas_cost_what_the_formula_says() -> None:
    """1 + k * n / (T * r) requests per run, for k types, n replicas, a period T and r finished runs per second."""
    given = Situation(75, 300.0, lifetimes(45.0), warm_up=60.0, window=300.0)
    for types, replicas in ((1, 1), (3, 1), (1, 3), (3, 2)):
        given = replace(given, run_types=THREE_TYPES[:types], replicas=replicas)
        outcome = played(given, SWEEP)
        finished = len(outcome.delays) / given.window
        expected = 1 + types * replicas / (SWEEP_SECONDS * finished)
        assert 0.95 * expected < outcome.gets_per_run < 1.05 * expected


def test_lists_take_at_most_half_of_the_budget() -> None:
    given = replace(situation("payg"), run_types=THREE_TYPES, replicas=3, warm_up=60.0, window=300.0)
    outcome = played(given, SWEEP)
    assert outcome.counts.refused == 0
    assert outcome.counts.lists <= 0.5 * 8.0 * given.window + 3


def test_a_list_that_lags_makes_results_late_by_as_much() -> None:
    given = Situation(25, 120.0, lifetimes(45.0), warm_up=60.0, window=300.0)
    prompt, late = played(given, SWEEP), played(replace(given, lag=2.0), SWEEP)
    assert late.at_least is None
    assert prompt.mean + 1.8 < late.mean < prompt.mean + 2.2


def test_runs_whose_list_has_no_order_are_found_as_soon() -> None:
    """While few are open: the newest pages of the list, which shows the newest runs first, hold them all."""
    given = Situation(25, 120.0, lifetimes(8.0), run_types=("parse",), warm_up=60.0, window=300.0)
    outcome = played(given, SWEEP)
    assert outcome.at_least is None
    assert outcome.delay(0.9) < 1.5 * SWEEP_SECONDS


def test_nothing_is_asked_while_nothing_is_open() -> None:
    world = World()
    run = TrialRun(0, "extract", 10.0, 20.0)
    api = Api([run], per_second=10)
    policy = SweepPolicy(Given(world, api, 8.0, Random(1)))
    world.at(run.created + ROUND_TRIP / 2, lambda: policy.follow(run))
    world.run(10.0)
    assert api.counts.gets == 0
    world.run(30.0)
    assert run.found is not None
    assert run.found - run.ended < SWEEP_SECONDS + 2 * ROUND_TRIP
    asked = api.counts.gets
    world.run(1_000.0)
    assert api.counts.gets == asked


def test_the_same_seed_gives_the_same_figures() -> None:
    given = Situation(10, 80.0, lifetimes(45.0), warm_up=60.0, window=120.0)
    assert played(given, SWEEP) == played(given, SWEEP)
