"""Step 3, follow: one shared poller for all open runs.

A heap by due time, the SDK's options as each run's wish, one token bucket for all GETs. No task per run: 20,000 of
them would cost four times the memory and could not be put in order under a budget.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, Protocol

from connector.adapters.metrics import Metrics
from connector.clock import Clock
from connector.core.absence import Absence, Absences
from connector.core.answer import USAGE_BLOCKED
from connector.core.budget import TokenBucket
from connector.core.ending import RESULT_UNREADABLE, RUN_NOT_FOUND, TIMED_OUT, Ending
from connector.core.entry import Entry, State
from connector.core.errors import ApiError, ApiForbidden, ApiNotFound, ApiThrottled, ApiUnavailable, ApiUnreadable
from connector.core.polling import PollingOptions, delay_ms
from connector.core.retry import wait_seconds
from connector.core.run import Run
from connector.core.run_types import RUN_TYPES, ends_review, is_terminal
from connector.core.schedule import Schedule
from connector.documents import Holding
from connector.logs import about, logger

COALESCE_SECONDS = 0.005
"""Wake-ups closer than this are one (measured: 26 instead of 41 microseconds for each due run)."""
UNREADABLE_IN_A_ROW = 3
MISSING_SECONDS = 60.0
"""How often a run is asked about that the API does not know."""
FORBIDDEN_SECONDS = 30.0
"""How long polling rests when the API refuses our key, or does not know most of our runs."""


class GetClient(Protocol):
    """The part of the API client that following needs; see ``connector.client``."""

    async def get(self, run_type: str, run_id: str) -> Run:
        """One GET."""

    async def cancel(self, run_type: str, run_id: str) -> Run:
        """Ask the API to end a run."""


class Ended(Protocol):
    """What happens to a run that ended."""

    def __call__(self, holding: Holding, entry: Entry, ending: Ending, observed_ms: int) -> Awaitable[None]:
        """Emit it."""


@dataclass(slots=True, eq=False)
class Followed:
    """One open run.

    Attributes:
        holding: the assignment that owns it.
        entry: the document, ``started`` or ``review``.
        since: when following it began, on the monotonic clock; the schedule counts from there.
        place: its newest place in the schedule; 0 while it is asked about.
        failures: reads in a row that failed.
        overdue: ``max_wait_ms`` is over and was reported.
    """

    holding: Holding
    entry: Entry
    since: float
    place: int = 0
    failures: int = 0
    overdue: bool = False


class Follower:
    """The poller."""

    def __init__(
        self,
        *,
        client: GetClient,
        budget: TokenBucket,
        writes: TokenBucket,
        options: PollingOptions,
        on_timeout: Literal["wait", "emit", "cancel"],
        review_interval: float,
        at_once: int,
        ended: Ended,
        clock: Clock,
        random: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        """Build the step; ``run`` follows.

        Args:
            client: the API.
            budget: our share of the GET category.
            writes: our share of the WRITE category, for cancels.
            options: when a run wants to be asked about.
            on_timeout: what happens when ``max_wait_ms`` is over.
            review_interval: seconds between looks at a run that waits for a person.
            at_once: GETs that may be open at once.
            ended: told of runs that ended.
            clock: the time.
            random: a number in [0, 1).
            metrics: where to count.
        """
        self._client = client
        self._budget = budget
        self._writes = writes
        self._options = options
        self._on_timeout = on_timeout
        self._review_interval = review_interval
        self._gate = asyncio.Semaphore(at_once)
        self._ended = ended
        self._clock = clock
        self._random = random
        self._metrics = metrics
        self._schedule: Schedule[Followed] = Schedule()
        self._by_holding: dict[Holding, dict[str, Followed]] = {}
        self._wake = asyncio.Event()
        self._absences = Absences()
        self._forbidden: set[str] = set()  # runs that were refused with 403 since a run could be read
        self._held_until = 0.0

    def add(self, holding: Holding, entry: Entry, *, restored: bool = False) -> None:
        """Follow a run from now on.

        Args:
            holding: the assignment that owns it.
            entry: the document.
            restored: it was found in the journal: its age counts, and it is asked about soon, but thousands of them
                not in the same instant.
        """
        if holding.over:
            return  # it was released in the step in which the write was reported
        now = self._clock.monotonic()
        age = max(0.0, (self._clock.wall_ms() - (entry.started_ms or 0)) / 1000) if restored else 0.0
        followed = Followed(holding, entry, now - age)
        known = self._by_holding.setdefault(holding, {})
        known[str(entry.tag)] = followed
        wish = self._wish(followed, now)
        self._schedule.put(followed, now + (wish * self._random() if restored else wish))
        self._wake.set()

    def forget(self, holding: Holding) -> None:
        """The assignment is over."""
        for followed in self._by_holding.pop(holding, {}).values():
            self._schedule.remove(followed)
            self._absences.forget(_run_id(followed))

    def key_changed(self) -> None:
        """There is a new API key: what the old one did not see, or was refused, says nothing any more."""
        self._absences.start_over()
        self._forbidden.clear()
        self._held_until = 0.0
        self._wake.set()

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as looks:
            while True:
                self._metrics.poller_cycles.inc()
                self._metrics.poller_last_cycle_timestamp_seconds.set(self._clock.wall())
                await self._gate.acquire()
                try:
                    followed = await self._next()
                except BaseException:
                    self._gate.release()
                    raise
                looks.create_task(self._look(followed))

    async def _next(self) -> Followed:
        """The run that is due for the longest time, once the budget allows a look at it."""
        while True:
            now = self._clock.monotonic()
            due = self._schedule.next_due()
            if due is not None and due <= now:
                held = self._held_until - now
                wait = max(self._budget.wait(now), held)
                if wait > 0:
                    await self._pause(wait)  # and not asleep: a new key ends the hold at once
                    if held <= 0:
                        waited = self._clock.monotonic() - now
                        self._metrics.api_throttled_seconds.labels(source="budget").inc(waited)
                    continue
                followed = self._schedule.pop_due(now)
                if followed is not None:
                    self._budget.take(now)
                    return followed
            await self._pause(None if due is None else max(due - now, COALESCE_SECONDS))

    async def _pause(self, seconds: float | None) -> None:
        """Wait this long, or until something changes."""
        self._wake.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _look(self, followed: Followed) -> None:
        try:
            await self._ask(followed)
        finally:
            self._gate.release()

    async def _ask(self, followed: Followed) -> None:
        entry = followed.entry
        try:
            run = await self._client.get(entry.request.run_type, _run_id(followed))
        except ApiNotFound:
            await self._not_found(followed)
        except ApiUnreadable as error:
            await self._unreadable(followed, error)
        except ApiError as error:
            self._failed(followed, error)
        else:
            followed.failures = 0
            self._forbidden.clear()
            self._absences.read(_run_id(followed), followed.since)
            if self._has_ended(followed, run):
                await self._finish(followed, run)
            else:
                await self._again(followed)

    def _has_ended(self, followed: Followed, run: Run) -> bool:
        if followed.entry.state is State.REVIEW:
            return ends_review(run.status)
        return is_terminal(run.status)

    async def _not_found(self, followed: Followed) -> None:
        if not self._is_followed(followed):
            return
        now, was_systemic = self._clock.monotonic(), self._absences.systemic
        absence = self._absences.missed(_run_id(followed), now)
        if self._absences.systemic and not was_systemic:
            logger.error("runs_not_found", then="no run ends as not found; see to the API key and its workspace")
            if self._absences.blind:
                # Once and not at every 404: a run that can be read must not wait behind each of those that cannot.
                self._hold(now, FORBIDDEN_SECONDS)
        if absence is Absence.GONE:
            about(followed.entry).warning("run_not_found")
            await self._finish(followed, RUN_NOT_FOUND)
            return
        pause = MISSING_SECONDS * (0.75 + self._random() / 2)
        self._put(followed, now + (min(pause, self._wish(followed, now)) if absence is Absence.YOUNG else pause))

    async def _unreadable(self, followed: Followed, error: ApiUnreadable) -> None:
        """Too large, too deep: another look shows the same, and the document must not hang for ever."""
        self._failed(followed, error)
        if not error.retryable and followed.failures >= UNREADABLE_IN_A_ROW:
            about(followed.entry).error("result_unreadable", reason=error.reason)
            self._schedule.remove(followed)
            await self._finish(followed, RESULT_UNREADABLE)

    def _failed(self, followed: Followed, error: ApiError) -> None:
        """The run goes on at the API; only our look failed."""
        now = self._clock.monotonic()
        followed.failures += 1
        asked = error.retry_after if isinstance(error, ApiThrottled | ApiUnavailable) else None
        wait = wait_seconds(followed.failures - 1, 2 * self._random() - 1, asked)
        if isinstance(error, ApiForbidden):
            wait = max(wait, FORBIDDEN_SECONDS)
            if self._concerns_all(followed, error):
                self._hold(now, wait)
        elif isinstance(error, ApiThrottled):
            # True for every request, so everybody waits and not only this run.
            held = self._budget.throttled(now, error.retry_after)
            self._metrics.api_throttled_seconds.labels(source="retry_after").inc(held)
        if followed.failures == 1:
            about(followed.entry).warning("look_failed", reason=type(error).__name__, status=error.status)
        self._put(followed, now + wait)

    def _concerns_all(self, followed: Followed, error: ApiForbidden) -> bool:
        """Whether the key or the account is refused as a whole; a 403 may be about one run alone."""
        if error.status != HTTPStatus.FORBIDDEN or error.code == USAGE_BLOCKED:
            return True
        self._forbidden.add(_run_id(followed))
        return len(self._forbidden) > 1

    def _hold(self, now: float, seconds: float) -> None:
        self._held_until = max(self._held_until, now + seconds)
        self._metrics.api_throttled_seconds.labels(source="retry_after").inc(seconds)

    async def _again(self, followed: Followed) -> None:
        now = self._clock.monotonic()
        limit = self._options.max_wait_ms
        waiting = followed.entry.state is not State.REVIEW and limit is not None
        if waiting and not followed.overdue and (now - followed.since) * 1000 >= (limit or 0):
            followed.overdue = True
            about(followed.entry).warning("run_overdue", max_wait_ms=limit, then=self._on_timeout)
            if self._on_timeout == "emit":
                await self._finish(followed, TIMED_OUT)
                return
            if self._on_timeout == "cancel":
                await self._cancel(followed)
                now = self._clock.monotonic()
        self._put(followed, now + self._wish(followed, now))

    async def _cancel(self, followed: Followed) -> None:
        """Ask the API to end the run; where it cannot or will not, the run is waited for."""
        entry = followed.entry
        if not RUN_TYPES[entry.request.run_type].cancellable:
            return
        now = self._clock.monotonic()
        wait = self._writes.wait(now)
        self._writes.take(now)  # before the wait: who comes meanwhile must find the place taken
        await asyncio.sleep(wait)
        try:
            await self._client.cancel(entry.request.run_type, entry.run_id or "")
        except ApiError as error:
            if isinstance(error, ApiThrottled):
                self._writes.throttled(self._clock.monotonic(), error.retry_after)
            about(entry).warning("cancel_refused", status=error.status, code=error.code)

    async def _finish(self, followed: Followed, ending: Ending) -> None:
        if not self._is_followed(followed):
            return  # the assignment ended while the look was under way
        del self._by_holding[followed.holding][str(followed.entry.tag)]
        self._absences.forget(_run_id(followed))
        await self._ended(followed.holding, followed.entry, ending, self._clock.wall_ms())

    def _put(self, followed: Followed, due: float) -> None:
        if self._is_followed(followed):
            self._schedule.put(followed, due)
            self._wake.set()

    def _is_followed(self, followed: Followed) -> bool:
        return self._by_holding.get(followed.holding, {}).get(str(followed.entry.tag)) is followed

    def _wish(self, followed: Followed, now: float) -> float:
        """Seconds until the run wants to be asked about again."""
        u = 2 * self._random() - 1
        if followed.entry.state is State.REVIEW:
            return self._review_interval * (1 + 0.25 * u)
        return delay_ms(self._options, (now - followed.since) * 1000, u) / 1000

    def report(self) -> None:
        """Set the figures that are read off."""
        due = self._schedule.next_due()
        late = due is not None and due < self._clock.monotonic()
        self._metrics.poller_due_runs.set(self._schedule.due_count(self._clock.monotonic()) if late else 0)


def _run_id(followed: Followed) -> str:
    return followed.entry.run_id or ""
