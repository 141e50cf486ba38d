"""The loop that follows all open runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from typing import Literal

from connector.adapters.metrics import NEVER, Metrics
from connector.clock import Clock
from connector.core.budgets.budget import TokenBucket
from connector.core.entry import Entry, State
from connector.core.follow.doorbells import Bell, Doorbells, Turn
from connector.core.follow.ending import Ending
from connector.core.follow.follow_step import ListState, Look, Step
from connector.core.follow.following import Following
from connector.core.follow.list_health import Trouble
from connector.core.follow.polling import PollingOptions
from connector.core.run import Run
from connector.documents import Holding
from connector.follow.asking import FollowClient, Followed, Hold
from connector.follow.lists import Lists, Strangers
from connector.follow.looks import Ended, Looks
from connector.logs import logger

COALESCE_SECONDS = 0.005
"""Wake-ups closer than this are one (measured: 26 instead of 41 microseconds for each due run)."""
CLOCKS_SECONDS = 5.0
"""What the API's clock, as we know it, may be off by."""

COUNT_SECONDS = 10.0
"""How often due runs are counted. Under a small plan tens of thousands may be, and the loop stands still for 20 ms."""


class Follower:
    """Follows runs to their end."""

    def __init__(
        self,
        *,
        client: FollowClient,
        budget: TokenBucket,
        cancel: Callable[[str, str], Awaitable[Run]],
        start_deadline: float,
        options: PollingOptions,
        on_timeout: Literal["wait", "emit", "cancel"],
        sweep_interval: float | None,
        review_interval: float,
        doorbells: Doorbells,
        at_once: int,
        ended: Ended,
        strangers: Strangers,
        clock: Clock,
        random: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        """Build the step; ``run`` follows.

        Args:
            client: the API.
            budget: our share of the GET category.
            cancel: asks the API to end a run, of a type and by its id, within the budget.
            start_deadline: seconds that a POST may take: a run is known when that is answered, and may be older by so
                long.
            options: when a run wants to be asked about where lists do not tell.
            on_timeout: what happens when ``max_wait_ms`` is over.
            sweep_interval: seconds between looks at a list; None polls run by run.
            review_interval: seconds between looks at runs that wait for a person, while no other is open.
            doorbells: what is known of webhooks.
            at_once: requests that may be open at once.
            ended: told of runs that ended.
            strangers: told of rows that belong to no run that is followed.
            clock: the time.
            random: a number in [0, 1).
            metrics: where to count.
        """
        self._client = client
        self._budget = budget
        self._started_before_ms = (start_deadline + CLOCKS_SECONDS) * 1000
        self._ended = ended
        self._clock = clock
        self._metrics = metrics
        self._gate = asyncio.Semaphore(at_once)
        self._wake = asyncio.Event()
        self._by_holding: dict[Holding, set[Followed]] = {}
        self._doorbells = doorbells
        self._states: dict[str, ListState] = {}
        self._counted = -inf
        self._following: Following[Followed] = Following(
            options=options,
            sweep_interval=sweep_interval,
            review_interval=review_interval,
            get_interval=lambda: budget.interval,
            random=random,
            doorbells=doorbells,
        )
        self._hold = Hold(metrics)
        self._looks = Looks(
            client=client,
            following=self._following,
            budget=budget,
            cancel=cancel,
            hold=self._hold,
            options=options,
            on_timeout=on_timeout,
            finished=self._finished,
            clock=clock,
            random=random,
            metrics=metrics,
        )
        self._lists = Lists(
            client=client,
            following=self._following,
            budget=budget,
            hold=self._hold,
            strangers=strangers,
            clock=clock,
            metrics=metrics,
        )

    def add(self, holding: Holding, entry: Entry, *, restored: bool = False, again: bool = False) -> None:
        """Follow a run from now on.

        Args:
            holding: the assignment that owns it.
            entry: the document.
            restored: it was found in the journal: its age counts, and it may have ended meanwhile.
            again: its result could not be written. It is asked about by the clock from now on.
        """
        if holding.over:
            return  # it was released in the step in which the write was reported
        now = self._clock.monotonic()
        started_ms = entry.started_ms or 0
        age = max(0.0, (self._clock.wall_ms() - started_ms) / 1000) if restored or again else 0.0
        # One that was adopted may have been there for as long as its document.
        began_ms = entry.accepted_ms if entry.adopted else started_ms - self._started_before_ms
        followed = Followed(
            holding=holding,
            entry=entry,
            run_id=entry.run_id or "",
            run_type=entry.request.run_type,
            began_ms=began_ms + self._client.api_clock_offset * 1000,
            since=now - age,
            in_review=entry.state is State.REVIEW,
            route=entry.request.route,
            late=entry.adopted,
            polled=again,
        )
        self._by_holding.setdefault(holding, set()).add(followed)
        self._following.follow(followed, now, self._api_ms(), restored=restored or again)
        self._wake.set()

    def forget(self, holding: Holding) -> None:
        """The assignment is over."""
        for followed in self._by_holding.pop(holding, ()):
            self._following.forget(followed)
            self._looks.forget(followed)

    def ring(self, run_id: str) -> bool:
        """A webhook says that something about a run changed; whether it is followed, and looked at now."""
        followed = self._following.ring(run_id, self._clock.monotonic())
        if followed:
            self._wake.set()
        return followed

    def key_changed(self) -> None:
        """There is a new API key: what the old one did not see, or was refused, says nothing any more."""
        self._looks.key_changed()
        self._hold.end()
        self._following.start_over(self._clock.monotonic())
        self._wake.set()

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as requests:
            while True:
                self._metrics.poller_cycles.inc()
                self._metrics.poller_last_cycle_timestamp_seconds.set(self._clock.wall())
                await self._gate.acquire()
                try:
                    step = await self._next()
                except BaseException:
                    self._gate.release()
                    raise
                requests.create_task(self._take(step))

    async def _next(self) -> Step[Followed]:
        """The request that is next, once the budget allows it."""
        while True:
            now = self._clock.monotonic()
            due = self._following.wait(now)
            if due != 0:
                await self._pause(None if due is None else max(due, COALESCE_SECONDS))
                continue
            held = self._hold.left(now)
            wait = max(self._budget.wait(now), held)
            if wait > 0:
                await self._pause(wait)  # and not asleep: a new key ends the hold at once
                if held <= 0:
                    waited = self._clock.monotonic() - now
                    self._metrics.api_throttled_seconds.labels(source="budget").inc(waited)
                continue
            step = self._following.next(now, self._api_ms())
            if step is not None:
                self._budget.take(now)
                return step
            await asyncio.sleep(0)  # many runs are moved, a few at a time

    async def _pause(self, seconds: float | None) -> None:
        """Wait this long, or until something changes."""
        self._wake.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _take(self, step: Step[Followed]) -> None:
        try:
            if isinstance(step, Look):
                await self._looks.look(step.run)
            else:
                await self._lists.read(step)
        finally:
            self._gate.release()
            self._wake.set()

    async def _finished(self, followed: Followed, ending: Ending) -> None:
        self._by_holding[followed.holding].discard(followed)
        self._looks.forget(followed)
        if isinstance(ending, Run) and ending.finished_ms is not None:
            via = "adopted" if followed.entry.adopted else followed.via
            delay = (self._api_ms() - ending.finished_ms) / 1000
            self._metrics.result_detection_delay_seconds.labels(via=via).observe(max(0.0, delay))
        await self._ended(followed.holding, followed.entry, ending, self._clock.wall_ms(), followed.via)

    def _api_ms(self) -> float:
        return self._clock.wall_ms() + self._client.api_clock_offset * 1000

    def report(self) -> None:
        """Set the figures that are read off, and tell when a list is relied on or not any more."""
        now = self._clock.monotonic()
        if now >= self._counted + COUNT_SECONDS:
            self._counted = now
            self._metrics.poller_due_runs.set(self._following.due_count(now))
        for run_type, state in self._following.states(now).items():
            self._metrics.list_lag_seconds.labels(run_type=run_type).set(state.lag)
            word = _word(state)
            for other in ("idle", "sweeping", "stretched", *Trouble):
                self._metrics.sweep_state.labels(run_type=run_type, state=other).set(other == word)
            before = self._states.get(run_type)
            if before is None or before.trouble is not state.trouble:
                _tell(run_type, state)
            self._states[run_type] = state
        self._report_doorbells()

    def _report_doorbells(self) -> None:
        for route, (bell, share) in self._doorbells.bells().items():
            for other in Bell:
                self._metrics.webhooks_state.labels(route=route, state=other).set(other is bell)
            self._metrics.webhooks_announced_share.labels(route=route).set(NEVER if share is None else share)
        for turn in self._following.turns():
            _tell_turn(turn)


def _word(state: ListState) -> str:
    if state.trouble is not None:
        return state.trouble
    if not state.open:
        return "idle"
    return "stretched" if state.stretched else "sweeping"


def _tell_turn(turn: Turn) -> None:
    if turn.bell is Bell.RINGING:
        logger.info("webhooks_ringing", route=turn.route, reason=turn.reason, share=round(turn.share, 2))
    else:
        then = "lists are read, and runs polled, as without webhooks"
        logger.warning("webhooks_silent", route=turn.route, reason=turn.reason, share=round(turn.share, 2), then=then)


def _tell(run_type: str, state: ListState) -> None:
    if state.trouble is None:
        logger.info("sweeping", run_type=run_type, then="one list tells which runs have finished")
    elif state.trouble is Trouble.OFF:
        logger.info("polling", run_type=run_type, reason=state.trouble)
    else:
        logger.warning("polling", run_type=run_type, reason=state.trouble, lag_seconds=round(state.lag, 1))
