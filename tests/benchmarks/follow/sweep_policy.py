"""(c) The sweep: the worker's own decisions, ``connector.core.follow.following``, under our budget."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import cast

from connector.core.budgets.budget import TokenBucket
from connector.core.follow.follow_step import Look, ReadPage
from connector.core.follow.following import BACKSTOP_SECONDS, Following
from connector.core.follow.open_run import OpenRun
from connector.core.follow.polling import PollingOptions
from connector.core.run import Page
from tests.benchmarks.follow.api import EPOCH_MS, RETRY_AFTER, ROUND_TRIP, Refused
from tests.benchmarks.follow.policy import Given
from tests.benchmarks.follow.runs import TrialRun
from tests.benchmarks.follow.world import Alarm

SWEEP_SECONDS = 1.0
_REVIEW_SECONDS = 600.0
_AFTER_ALL = 0.005
"""Nothing was due after all: look again then, as the worker does, which wakes at most so often."""


@dataclass(slots=True, eq=False)
class Followed(OpenRun):
    """A run in the hands of ``Following``."""

    trial: TrialRun | None = None


class SweepPolicy:
    """What the worker does around ``Following``: it waits, takes tokens, sends, and tells what came of it."""

    def __init__(self, given: Given) -> None:
        self._world = given.world
        self._api = given.api
        self._random = given.random
        self._bucket = TokenBucket(given.budget)
        self._following: Following[Followed] = Following(
            options=PollingOptions(),
            sweep_interval=SWEEP_SECONDS,
            review_interval=_REVIEW_SECONDS,
            get_interval=lambda: self._bucket.interval,
            random=given.random.random,
        )
        self._alarm = Alarm(given.world, self._pump)

    def follow(self, run: TrialRun) -> None:
        self._follow(run, self._world.now, restored=False)
        self._pump()

    def resume(self, run: TrialRun) -> None:
        # Each run is looked at from time to time; that some were lately, and some will be soon, is the steady state.
        looked = run.created
        while (then := looked + BACKSTOP_SECONDS * (1 + self._random.random())) < self._world.now:
            looked = then
        self._follow(run, looked, restored=True)
        self._pump()

    def _follow(self, run: TrialRun, now: float, *, restored: bool) -> None:
        since = run.created + ROUND_TRIP / 2
        followed = Followed(run.id, run.run_type, EPOCH_MS + 1000 * run.created, since, trial=run)
        self._following.follow(followed, now, _api_ms(self._world.now), restored=restored)

    def _pump(self) -> None:
        """Ask what may be asked now, and come back when the next may be."""
        now = self._world.now
        while (wait := self._following.wait(now)) is not None:
            may = now + max(wait, self._bucket.wait(now))
            if may > now:
                self._alarm.set(may)
                return
            step = self._following.next(now, _api_ms(now))
            if step is None:
                self._alarm.set(now + _AFTER_ALL)
                return
            self._bucket.take(now)
            if isinstance(step, Look):
                self._look(step.run)
            else:
                self._read(step)
        self._alarm.set(None)

    def _look(self, run: Followed) -> None:
        trial = cast("TrialRun", run.trial)
        try:
            ended = self._api.has_ended(trial, self._world.now)
        except Refused:
            self._world.after(ROUND_TRIP, partial(self._refused, run, None))
        else:
            self._world.after(ROUND_TRIP, partial(self._looked, run, trial, ended))

    def _looked(self, run: Followed, trial: TrialRun, ended: bool) -> None:  # noqa: FBT001
        now = self._world.now
        if ended:
            trial.found = now
            self._following.ended(run, int(_api_ms(trial.ended)), now, _api_ms(now))
        else:
            self._following.looked(run, now)
        self._pump()

    def _read(self, read: ReadPage) -> None:
        try:
            page = self._api.page(read.run_type, self._world.now, read.token)
        except Refused:
            self._world.after(ROUND_TRIP, partial(self._refused, None, read))
        else:
            self._world.after(ROUND_TRIP, partial(self._came, read, page))

    def _came(self, read: ReadPage, page: Page) -> None:
        self._following.page(read, page.rows, page.next_token, self._world.now)
        self._pump()

    def _refused(self, run: Followed | None, read: ReadPage | None) -> None:
        now = self._world.now
        self._bucket.throttled(now, RETRY_AFTER)
        if run is not None:
            self._following.again_at(run, now + RETRY_AFTER)
        if read is not None:
            self._following.list_failed(read, None, now, RETRY_AFTER)
        self._pump()


def _api_ms(now: float) -> float:
    return EPOCH_MS + 1000 * now
