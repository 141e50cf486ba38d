"""Looks at single runs: what the API's own GET means for each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Literal, Protocol

from connector.adapters.metrics import Metrics
from connector.clock import Clock
from connector.core.answer import USAGE_BLOCKED
from connector.core.budgets.budget import TokenBucket
from connector.core.budgets.retry import wait_seconds
from connector.core.entry import Entry
from connector.core.errors import ApiError, ApiForbidden, ApiNotFound, ApiThrottled, ApiUnavailable, ApiUnreadable
from connector.core.follow.absence import Absence, Absences
from connector.core.follow.ending import RESULT_UNREADABLE, RUN_NOT_FOUND, TIMED_OUT, Ending
from connector.core.follow.following import Following
from connector.core.follow.open_run import Via
from connector.core.follow.polling import PollingOptions
from connector.core.run import Run
from connector.core.run_types import RUN_TYPES
from connector.documents import Holding
from connector.follow.asking import FORBIDDEN_SECONDS, FollowClient, Followed, Hold
from connector.logs import about, logger

UNREADABLE_IN_A_ROW = 3
MISSING_SECONDS = 60.0
"""How often a run is asked about that the API does not know."""


class Ended(Protocol):
    """What happens to a run that ended."""

    def __call__(self, holding: Holding, entry: Entry, ending: Ending, observed_ms: int, via: Via) -> Awaitable[None]:
        """Emit it."""


class Looks:
    """Looks at runs, and at what becomes of those that cannot be looked at."""

    def __init__(
        self,
        *,
        client: FollowClient,
        following: Following[Followed],
        budget: TokenBucket,
        cancel: Callable[[str, str], Awaitable[Run]],
        hold: Hold,
        options: PollingOptions,
        on_timeout: Literal["wait", "emit", "cancel"],
        finished: Callable[[Followed, Ending], Awaitable[None]],
        clock: Clock,
        random: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        """Build it.

        Args:
            client: the API.
            following: decides.
            budget: our share of the GET category.
            cancel: asks the API to end a run, of a type and by its id, within the budget.
            hold: stops all requests.
            options: with ``max_wait_ms``.
            on_timeout: what happens when that is over.
            finished: told of runs that ended.
            clock: the time.
            random: a number in [0, 1).
            metrics: where to count.
        """
        self._client = client
        self._following = following
        self._budget = budget
        self._ask_to_end = cancel
        self._hold = hold
        self._options = options
        self._on_timeout = on_timeout
        self._finished = finished
        self._clock = clock
        self._random = random
        self._metrics = metrics
        self._absences = Absences()
        self._forbidden: set[str] = set()  # runs that were refused with 403 since a run could be read

    def forget(self, followed: Followed) -> None:
        """A run is not followed any more."""
        self._absences.forget(followed.run_id)

    def key_changed(self) -> None:
        """There is a new API key: what the old one did not see, or was refused, says nothing any more."""
        self._absences.start_over()
        self._forbidden.clear()

    async def look(self, followed: Followed) -> None:
        """Look at a run that is due."""
        try:
            run = await self._client.get(followed.run_type, followed.run_id)
        except ApiNotFound:
            await self._not_found(followed)
        except ApiUnreadable as error:
            await self._unreadable(followed, error)
        except ApiError as error:
            self._failed(followed, error)
        else:
            followed.failures = 0
            self._forbidden.clear()
            self._absences.read(followed.run_id, followed.since)
            if followed.is_ended_by(run.status):
                await self._finish(followed, run)
            else:
                await self._is_open(followed)

    async def _is_open(self, followed: Followed) -> None:
        now = self._clock.monotonic()
        limit = self._options.max_wait_ms
        waiting = not followed.in_review and limit is not None and self._following.is_followed(followed)
        if waiting and not followed.overdue and (now - followed.since) * 1000 >= (limit or 0):
            followed.overdue = True
            about(followed.entry).warning("run_overdue", max_wait_ms=limit, then=self._on_timeout)
            if self._on_timeout == "emit":
                await self._finish(followed, TIMED_OUT)
                return
            if self._on_timeout == "cancel":
                await self._cancel(followed)
        self._following.looked(followed, self._clock.monotonic())

    async def _cancel(self, followed: Followed) -> None:
        """Ask the API to end the run; where it cannot or will not, the run is waited for."""
        if not RUN_TYPES[followed.run_type].cancellable:
            return
        try:
            await self._ask_to_end(followed.run_type, followed.run_id)
        except ApiError as error:
            about(followed.entry).warning("cancel_refused", status=error.status, code=error.code)

    async def _not_found(self, followed: Followed) -> None:
        if not self._following.is_followed(followed):
            return
        now, was_systemic = self._clock.monotonic(), self._absences.systemic
        absence = self._absences.missed(followed.run_id, now)
        if self._absences.systemic and not was_systemic:
            logger.error("runs_not_found", then="no run ends as not found; see to the API key and its workspace")
            if self._absences.blind:
                # Once and not at every 404: a run that can be read must not wait behind each of those that cannot.
                self._hold.extend(now, FORBIDDEN_SECONDS)
        if absence is Absence.GONE:
            about(followed.entry).warning("run_not_found")
            await self._finish(followed, RUN_NOT_FOUND)
            return
        pause = MISSING_SECONDS * (0.75 + self._random() / 2)
        young = absence is Absence.YOUNG
        self._following.again_at(followed, now + (min(pause, self._following.wish(followed, now)) if young else pause))

    async def _unreadable(self, followed: Followed, error: ApiUnreadable) -> None:
        """Too large, too deep: another look shows the same, and the document must not hang for ever."""
        hopeless = not error.retryable and followed.failures + 1 >= UNREADABLE_IN_A_ROW
        if not hopeless:
            self._failed(followed, error)
            return
        about(followed.entry).error("result_unreadable", reason=error.reason)
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
                self._hold.extend(now, wait)
        elif isinstance(error, ApiThrottled):
            # True for every request, so everybody waits and not only this run.
            held = self._budget.throttled(now, error.retry_after)
            self._metrics.api_throttled_seconds.labels(source="retry_after").inc(held)
        if followed.failures == 1:
            about(followed.entry).warning("look_failed", reason=type(error).__name__, status=error.status)
        self._following.again_at(followed, now + wait)

    def _concerns_all(self, followed: Followed, error: ApiForbidden) -> bool:
        """Whether the key or the account is refused as a whole; a 403 may be about one run alone."""
        if error.status != HTTPStatus.FORBIDDEN or error.code == USAGE_BLOCKED:
            return True
        self._forbidden.add(followed.run_id)
        return len(self._forbidden) > 1

    async def _finish(self, followed: Followed, ending: Ending) -> None:
        if not self._following.is_followed(followed):
            return  # the assignment ended while the look was under way
        ended_ms = (ending.finished_ms or ending.updated_ms) if isinstance(ending, Run) else None
        api_ms = self._clock.wall_ms() + self._client.api_clock_offset * 1000
        status = ending.status if isinstance(ending, Run) else None
        self._following.ended(followed, ended_ms, self._clock.monotonic(), api_ms, status)
        await self._finished(followed, ending)
