"""The runs of a trial: when they are created and how long they take, the same for all policies."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

_LONG_SHARE = 0.02
_LONGEST = 7_200.0
_STARTS_RUNNING = 0.2
"""A run leaves the queue after this share of its life, and its row moves in the list: as in the simulated API."""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Log-normal, and a few that take much longer.

    Attributes:
        median: seconds that half of the runs take at most.
        spread: sigma of the logarithm.
        long_share: share of runs that are drawn from three medians to ``longest`` instead, evenly in the logarithm.
        longest: seconds that no run exceeds.
    """

    median: float
    spread: float = 0.7
    long_share: float = _LONG_SHARE
    longest: float = _LONGEST

    def draw(self, random: Random) -> float:
        """One lifetime in seconds."""
        if random.random() < self.long_share:
            low = 3 * self.median
            return low * math.pow(max(1.0, self.longest / low), random.random())
        return min(self.median * math.exp(random.gauss(0, self.spread)), self.longest)


def lifetimes(median: float) -> Lifetimes:
    """Those of the tables: the longest run takes two hours, or twelve medians."""
    return Lifetimes(median, longest=max(_LONGEST, 12 * median))


def median_for(open_runs: int, per_second: float) -> float:
    """The median with which so many runs are open on average.

    Little's law: runs open = runs per second times the mean life, which grows with the median.
    """
    wanted = open_runs / per_second
    low, high = 0.0, wanted
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _mean(lifetimes(middle)) < wanted else (low, middle)
    return low


def _mean(of: Lifetimes) -> float:
    short = of.median * math.exp(of.spread**2 / 2)
    low = 3 * of.median
    long = (of.longest - low) / math.log(of.longest / low) if of.longest > low else low
    return (1 - of.long_share) * short + of.long_share * long


@dataclass(slots=True, eq=False)
class TrialRun:
    """One run at the simulated API.

    Attributes:
        number: counts from 0, in the order of creation.
        run_type: name of its type.
        created: when the create arrived, seconds.
        ended: when it ended.
        ours: whether we started it; the others stand in the list only.
        found: when its result was in hand; None until then.
        place: for ``Schedule``.
    """

    number: int
    run_type: str
    created: float
    ended: float
    ours: bool = True
    found: float | None = None
    place: int = 0

    @property
    def id(self) -> str:
        """As the API would call it."""
        return f"run_{self.number}"

    @property
    def moved(self) -> float:
        """When it left the queue."""
        return self.created + _STARTS_RUNNING * (self.ended - self.created)


def draw_runs(
    lives: Lifetimes,
    *,
    per_second: float,
    until: float,
    run_types: Sequence[str] = ("extract",),
    foreign: int = 0,
    stationary: bool = True,
    seed: int = 0,
) -> list[TrialRun]:
    """Poisson arrivals until an instant, in the order of creation.

    Args:
        lives: how long they take.
        per_second: our arrivals.
        until: the last instant, seconds.
        run_types: that are mixed, as many of each.
        foreign: runs of other clients for each of ours.
        stationary: what is open at 0 was created before; otherwise nothing is.
        seed: of the draws.
    """
    runs: list[TrialRun] = []
    begin = -lives.longest if stationary else 0.0
    for ours, rate in ((True, per_second), (False, per_second * foreign)):
        # Streams of their own, so that other clients change nothing about our runs.
        random = Random(f"{seed}-{ours}")
        for created in _instants(rate, begin, until, random):
            ended = created + lives.draw(random)
            run_type = run_types[random.randrange(len(run_types))]
            if ended > 0 or not ours:
                runs.append(TrialRun(0, run_type, created, ended, ours))
    runs.sort(key=lambda run: run.created)
    for number, run in enumerate(runs):
        run.number = number
    return runs


def _instants(rate: float, begin: float, until: float, random: Random) -> Iterator[float]:
    if rate <= 0:
        return
    at = begin
    while (at := at + random.expovariate(rate)) < until:
        yield at


def open_at(runs: Sequence[TrialRun], instant: float) -> list[TrialRun]:
    """Our runs that were created before an instant and end after it."""
    first_later = bisect_right(runs, instant, key=lambda run: run.created)
    return [run for run in runs[:first_later] if run.ours and run.ended > instant]
