"""What the finder asks of the API, and how often it may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from connector.adapters.metrics import Metrics
from connector.clock import Clock
from connector.core.budgets.budget import TokenBucket
from connector.core.budgets.retry import wait_seconds
from connector.core.errors import ApiError, ApiForbidden, ApiThrottled, ApiUnavailable
from connector.core.run import Page, Run

FORBIDDEN_SECONDS = 30.0
"""How long to rest when the API refuses our key."""


class ListClient(Protocol):
    """The part of the API client that finding needs; see ``connector.client``."""

    @property
    def api_clock_offset(self) -> float:
        """Seconds that the API's clock is ahead of ours."""

    def list(
        self, run_type: str, *, processor_id: str | None = None, file_name_contains: str | None = None
    ) -> AsyncIterator[Page]:
        """The pages of a list, the newest rows first."""

    async def get(self, run_type: str, run_id: str) -> Run:
        """One GET."""


class Pace:
    """Our part of a budget that is shared with whoever follows runs: at most every second request."""

    def __init__(self, budget: TokenBucket, clock: Clock, random: Callable[[], float], metrics: Metrics) -> None:
        """Take turns.

        Args:
            budget: the share of the GET category; a list costs as much as a GET.
            clock: the time.
            random: a number in [0, 1).
            metrics: where to count.
        """
        self._metrics = metrics
        self._budget = budget
        self._clock = clock
        self._random = random
        self._turn = asyncio.Lock()
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for one request, in the order in which it was asked for."""
        async with self._turn:
            await asyncio.sleep(max(0.0, self._next - self._clock.monotonic()))
            now = self._clock.monotonic()
            wait = self._budget.wait(now)
            self._budget.take(now)  # before the wait: others with a full schedule would never leave one over
            self._next = now + wait + 2 * self._budget.interval
            await asyncio.sleep(wait)

    def wait_after(self, error: ApiError, failures: int) -> float:
        """Seconds until the same is asked again, after so many failures in a row."""
        asked = error.retry_after if isinstance(error, ApiThrottled | ApiUnavailable) else None
        wait = self.backoff(failures, asked)
        if isinstance(error, ApiThrottled):
            held = self._budget.throttled(self._clock.monotonic(), error.retry_after)
            self._metrics.api_throttled_seconds.labels(source="retry_after").inc(held)
        return max(wait, FORBIDDEN_SECONDS) if isinstance(error, ApiForbidden) else wait

    def backoff(self, failures: int, asked: float | None = None) -> float:
        """Seconds to wait after so many failures in a row; at least what the API asked for."""
        return wait_seconds(failures - 1, 2 * self._random() - 1, asked)


async def pause(event: asyncio.Event, seconds: float | None) -> None:
    """Wait for the event, or this long."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
