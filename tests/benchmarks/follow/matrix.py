"""Which situations are compared: every plan with every median, and from there one difference at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from connector.config.extend import PLANS
from tests.benchmarks.follow.policy import Given, PerRunPolicy, Policy, SdkPolicy
from tests.benchmarks.follow.runs import lifetimes, median_for
from tests.benchmarks.follow.sweep_policy import SweepPolicy
from tests.benchmarks.follow.trial import SHARE, Outcome, Situation, play

POLICIES: Mapping[str, Callable[[Given], Policy]] = MappingProxyType(
    {"a": SdkPolicy, "b": PerRunPolicy, "c": SweepPolicy}
)
SDK, SWEEP = "a", "c"
MEDIANS = (8.0, 45.0, 600.0)
MEDIAN = 45.0
"""From which the differences start."""
THREE_TYPES = ("extract", "classify", "split")
MANY = 50_000
WARM_UP = 5_400.0
"""By then every run has had its turn in which it is looked at itself: at the latest an hour after it was last seen."""

DIFFERENCES: Mapping[str, Callable[[Situation], Situation]] = MappingProxyType(
    {
        "none": lambda given: given,
        "three run types": lambda given: replace(given, run_types=THREE_TYPES),
        "parse runs, whose list has no order": lambda given: replace(given, run_types=("parse",)),
        "two replicas": lambda given: replace(given, replicas=2),
        "three replicas": lambda given: replace(given, replicas=3),
        "three run types, three replicas": lambda given: replace(given, run_types=THREE_TYPES, replicas=3),
        "the list shows changes 2 s late": lambda given: replace(given, lag=2.0),
        "10 s late": lambda given: replace(given, lag=10.0),
        "ten runs of other clients for each of ours": lambda given: replace(given, foreign=10),
    }
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One policy in one situation.

    Attributes:
        plan: name of the plan.
        what: what is special: the median, or the difference.
        policy: key of ``POLICIES``.
        situation: all the rest.
    """

    plan: str
    what: str
    policy: str
    situation: Situation

    def play(self) -> Outcome:
        """Measure it."""
        return play(self.situation, POLICIES[self.policy])


def situation(plan: str, median: float = MEDIAN, *, seed: int = 5) -> Situation:
    """A plan at 80 % of its files per minute."""
    limits = PLANS[plan]
    lives = lifetimes(median)
    return Situation(int(limits.get or 0), limits.files_per_minute or 0.0, lives, warm_up=WARM_UP, seed=seed)


def base(seed: int) -> Iterator[Cell]:
    """Every plan, every median, every policy."""
    for plan in PLANS:
        for median in MEDIANS:
            for policy in POLICIES:
                yield Cell(plan, _duration(median), policy, situation(plan, median, seed=seed))


def differences(seed: int) -> Iterator[Cell]:
    """What the list and the number of its readers are to the sweep; the other policies ask no list."""
    for what, change in DIFFERENCES.items():
        for plan in PLANS:
            yield Cell(plan, what, SWEEP, change(situation(plan, seed=seed)))


def many(seed: int) -> Iterator[Cell]:
    """As many open runs as a worker carries: they take hours.

    The SDK's 4,500 requests a second are not computed for longer than a few minutes; its delays grow all the time.
    """
    for plan in PLANS:
        files = PLANS[plan].files_per_minute or 0.0
        median = median_for(MANY, SHARE * files / 60)
        for policy in POLICIES:
            given = replace(situation(plan, median, seed=seed), window=600.0, patience=600.0)
            if policy == SDK:
                given = replace(given, warm_up=120.0, window=240.0, patience=240.0)
            yield Cell(plan, _duration(median), policy, given)


def _duration(seconds: float) -> str:
    for length, unit in ((3_600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.2g} {unit}"
    return f"{seconds:g} s"
