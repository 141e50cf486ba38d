"""One policy in one situation, and what is measured of it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from random import Random

from tests.benchmarks.figures import percentile
from tests.benchmarks.follow.api import ROUND_TRIP, Api, Counts
from tests.benchmarks.follow.policy import Given, Policy, Replicas
from tests.benchmarks.follow.runs import Lifetimes, TrialRun, draw_runs, open_at
from tests.benchmarks.follow.world import World

SHARE = 0.8
"""Of the plan: what we start of its files per minute, and what we spend of its requests."""
_LOOK = 5.0


@dataclass(frozen=True, slots=True)
class Situation:
    """What is the same for all policies.

    Attributes:
        gets_per_second: that the plan allows.
        files_per_minute: that the plan allows.
        lives: how long runs take.
        run_types: that are mixed.
        replicas: workers that share the plan.
        lag: seconds after which a list shows a change.
        foreign: runs of other clients for each of ours.
        warm_up: seconds before anything is measured.
        window: seconds in which the runs end that are measured.
        patience: seconds after the window in which its runs may still be found; then their delay so far counts.
        stationary: runs are open at the beginning, as many as there are on average.
        arrivals_end: seconds after which nothing is created any more.
        seed: of everything that is drawn.
    """

    gets_per_second: int
    files_per_minute: float
    lives: Lifetimes
    run_types: tuple[str, ...] = ("extract",)
    replicas: int = 1
    lag: float = 0.0
    foreign: int = 0
    warm_up: float = 300.0
    window: float = 1_200.0
    patience: float = 1_800.0
    stationary: bool = True
    arrivals_end: float = math.inf
    seed: int = 5

    @property
    def per_second(self) -> float:
        """Our runs per second."""
        return SHARE * self.files_per_minute / 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one policy did.

    Attributes:
        delays: seconds from a run's end until its result was in hand, of the runs that ended in the window, sorted.
        at_least: the shortest delay of a run that was not found at all, or None when all were.
        counts: what was asked in the window.
        open_runs: runs open in the middle of the window.
    """

    delays: tuple[float, ...]
    at_least: float | None
    counts: Counts
    open_runs: int

    @property
    def mean(self) -> float:
        """Seconds."""
        return sum(self.delays) / len(self.delays)

    def delay(self, share: float) -> float:
        """The delay that this share of the runs does not exceed."""
        return percentile(self.delays, share)

    @property
    def gets_per_run(self) -> float:
        """Requests for each run that ended, lists included."""
        return self.counts.gets / len(self.delays)

    @property
    def refused_per_run(self) -> float:
        """429s for each run that ended."""
        return self.counts.refused / len(self.delays)


def play(situation: Situation, make: Callable[[Given], Policy]) -> Outcome:
    """Let one policy follow the runs of a situation.

    Raises:
        ValueError: no run ends in the window.
    """
    until = situation.warm_up + situation.window
    runs = runs_of(situation)
    world = World()
    api = Api(runs, per_second=situation.gets_per_second, lag=situation.lag)
    given = Given(world, api, SHARE * situation.gets_per_second, Random(situation.seed))
    with _sdk_draws_from(situation.seed):
        policy = Replicas(make, situation.replicas, given)
        for run in open_at(runs, 0.0):
            policy.resume(run)
        _create(world, policy, iter([run for run in runs if run.ours and run.created > 0]))
        world.run(situation.warm_up)
        before = replace(api.counts)
        world.run(until)
        counts = _since(before, api.counts)
        measured = [run for run in runs if run.ours and situation.warm_up < run.ended <= until]
        if not measured:
            raise ValueError("no run ends in the window")
        _wait_for(measured, world, until + situation.patience)
    delays = tuple(sorted((world.now if run.found is None else run.found) - run.ended for run in measured))
    at_least = min((world.now - run.ended for run in measured if run.found is None), default=None)
    return Outcome(delays, at_least, counts, len(open_at(runs, situation.warm_up + situation.window / 2)))


def runs_of(situation: Situation) -> list[TrialRun]:
    """All runs of a situation, in the order of creation; drawn anew, and the same each time."""
    until = situation.warm_up + situation.window + situation.patience
    return draw_runs(
        situation.lives,
        per_second=situation.per_second,
        until=min(until, situation.arrivals_end),
        run_types=situation.run_types,
        foreign=situation.foreign,
        stationary=situation.stationary,
        seed=situation.seed,
    )


def _create(world: World, policy: Policy, runs: Iterator[TrialRun]) -> None:
    """Follow each run once its create is answered; only the next one stands in the world's list of events."""
    run = next(runs, None)
    if run is not None:
        world.at(run.created + ROUND_TRIP / 2, partial(_created, world, policy, run, runs))


def _created(world: World, policy: Policy, run: TrialRun, runs: Iterator[TrialRun]) -> None:
    policy.follow(run)
    _create(world, policy, runs)


def _wait_for(runs: Sequence[TrialRun], world: World, until: float) -> None:
    while world.now < until and any(run.found is None for run in runs):
        world.run(min(world.now + _LOOK, until))


def _since(before: Counts, after: Counts) -> Counts:
    return Counts(after.gets - before.gets, after.lists - before.lists, after.refused - before.refused)


@contextmanager
def _sdk_draws_from(seed: int) -> Iterator[None]:
    """The SDK draws from the generator of the module ``random``: give it a seed, and leave it as it was."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
