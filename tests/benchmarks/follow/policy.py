"""What every policy under test is told, and the two that ask about each run by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Protocol

import httpx
from extend_ai.core.http_client import _retry_timeout
from extend_ai.wrapper.polling import HybridDelayOptions, calculate_hybrid_delay
from extend_ai.wrapper.polling import PollingOptions as SdkOptions

from connector.core.budgets.budget import TokenBucket
from connector.core.follow.polling import PollingOptions, delay_ms
from connector.core.follow.schedule import Schedule
from tests.benchmarks.follow.api import RETRY_AFTER, ROUND_TRIP, Api, Refused
from tests.benchmarks.follow.runs import TrialRun
from tests.benchmarks.follow.world import Alarm, World

SDK_RETRIES = 2
"""The SDK's default ``max_retries``."""


class Policy(Protocol):
    """Finds out that runs have ended, and says so in ``TrialRun.found``."""

    def follow(self, run: TrialRun) -> None:
        """The answer of this run's create is here."""

    def resume(self, run: TrialRun) -> None:
        """This run has been followed for as long as it is old, when the trial begins."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a policy works with.

    Attributes:
        world: the time.
        api: what it may ask.
        budget: requests per second that it may spend.
        random: its draws.
    """

    world: World
    api: Api
    budget: float
    random: Random


class SdkPolicy:
    """(a) A thread for each run in the official SDK's ``create_and_poll``: its delays, its retries, no budget.

    After its retries the SDK raises, and the run's id is lost with the call. We are kinder than that: the caller has
    kept the id and polls on, as though that look had brought no news.
    """

    def __init__(self, given: Given) -> None:
        self._world = given.world
        self._api = given.api
        self._random = given.random

    def follow(self, run: TrialRun) -> None:
        self._ask(run, self._world.now, 0)

    def resume(self, run: TrialRun) -> None:
        began = run.created + ROUND_TRIP / 2
        wait = sdk_delay(self._world.now - began) * self._random.random()
        self._world.after(wait, partial(self._ask, run, began, 0))

    def _ask(self, run: TrialRun, began: float, retries: int) -> None:
        answered = self._world.now + ROUND_TRIP
        try:
            if self._api.has_ended(run, self._world.now):
                run.found = answered
                return
        except Refused:
            if retries < SDK_RETRIES:
                self._world.at(answered + _RETRY_WAITS[retries], partial(self._ask, run, began, retries + 1))
                return
        self._world.at(answered + sdk_delay(answered - began), partial(self._ask, run, began, 0))


_SDK = SdkOptions()
_SDK_DELAYS = HybridDelayOptions(
    fast_poll_duration_ms=_SDK.fast_poll_duration_ms,
    fast_poll_interval_ms=_SDK.fast_poll_interval_ms,
    initial_delay_ms=_SDK.initial_delay_ms,
    max_delay_ms=_SDK.max_delay_ms,
    backoff_multiplier=_SDK.backoff_multiplier,
    jitter_fraction=_SDK.jitter_fraction,
)
_REFUSAL = httpx.Response(429, headers={"retry-after": f"{RETRY_AFTER:g}"})
_RETRY_WAITS = [_retry_timeout(_REFUSAL, retries) for retries in range(SDK_RETRIES)]
"""With that header the SDK draws nothing, so it is asked once."""


def sdk_delay(elapsed: float) -> float:
    """Seconds from one look to the next, with the SDK's jitter, so many seconds after the create."""
    return calculate_hybrid_delay(elapsed * 1000, _SDK_DELAYS) / 1000


class PerRunPolicy:
    """(b) Each run by itself, at the same delays, first in due order under our budget."""

    def __init__(self, given: Given) -> None:
        self._world = given.world
        self._api = given.api
        self._random = given.random
        self._options = PollingOptions()
        self._bucket = TokenBucket(given.budget)
        self._schedule: Schedule[TrialRun] = Schedule()
        self._alarm = Alarm(given.world, self._pump)

    def follow(self, run: TrialRun) -> None:
        self._put(run, self._world.now)

    def resume(self, run: TrialRun) -> None:
        now = self._world.now
        self._schedule.put(run, now + self._wish(run, now) * self._random.random())
        self._pump()

    def _put(self, run: TrialRun, at: float) -> None:
        self._schedule.put(run, at + self._wish(run, at))
        self._pump()

    def _wish(self, run: TrialRun, at: float) -> float:
        began = run.created + ROUND_TRIP / 2
        return delay_ms(self._options, (at - began) * 1000, 2 * self._random.random() - 1) / 1000

    def _pump(self) -> None:
        """Ask what may be asked now, and come back when the next may be."""
        now = self._world.now
        while (due := self._schedule.next_due()) is not None:
            may = max(due, now + self._bucket.wait(now))
            if may > now:
                self._alarm.set(may)
                return
            run = self._schedule.pop_due(now)
            if run is not None:
                self._bucket.take(now)
                self._ask(run, now)
        self._alarm.set(None)

    def _ask(self, run: TrialRun, now: float) -> None:
        answered = now + ROUND_TRIP
        try:
            if self._api.has_ended(run, now):
                run.found = answered
                return
        except Refused:
            self._world.at(answered, self._slow_down)
        self._schedule.put(run, answered + self._wish(run, answered))

    def _slow_down(self) -> None:
        self._bucket.throttled(self._world.now, RETRY_AFTER)


@dataclass(slots=True)
class Replicas:
    """Several policies that share nothing but the API: each follows the runs of its partitions."""

    make: Callable[[Given], Policy]
    count: int
    given: Given
    _policies: list[Policy] = field(default_factory=list)

    def __post_init__(self) -> None:
        given, count = self.given, self.count
        share = given.budget / count
        self._policies = [
            self.make(Given(given.world, given.api, share, Random(given.random.random()))) for _ in range(count)
        ]

    def follow(self, run: TrialRun) -> None:
        self._policies[run.number % self.count].follow(run)

    def resume(self, run: TrialRun) -> None:
        self._policies[run.number % self.count].resume(run)
