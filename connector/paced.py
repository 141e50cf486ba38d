"""Single requests that have no schedule of their own: each waits for a token of its category."""

from __future__ import annotations

import asyncio
from typing import Protocol

from connector.adapters.metrics import Metrics
from connector.clock import Clock
from connector.core.budgets.budget import TokenBucket
from connector.core.errors import ApiThrottled
from connector.core.run import Run


class Client(Protocol):
    """The part of the API client that is asked."""

    async def get(self, run_type: str, run_id: str) -> Run:
        """One GET."""

    async def cancel(self, run_type: str, run_id: str) -> Run:
        """Ask the API to end a run."""


class PacedClient:
    """The API client, within our budgets."""

    def __init__(
        self, client: Client, *, reads: TokenBucket, writes: TokenBucket, clock: Clock, metrics: Metrics
    ) -> None:
        """Ask within budgets.

        Args:
            client: the API.
            reads: our share of the GET category.
            writes: our share of the WRITE category.
            clock: the time.
            metrics: where to count.
        """
        self._client = client
        self._reads = reads
        self._writes = writes
        self._clock = clock
        self._metrics = metrics

    async def get(self, run_type: str, run_id: str) -> Run:
        """One GET.

        Raises:
            ApiError: as the client's; a 429 slows down every read.
        """
        await self._turn(self._reads)
        try:
            return await self._client.get(run_type, run_id)
        except ApiThrottled as error:
            self._slow_down(self._reads, error)
            raise

    async def cancel(self, run_type: str, run_id: str) -> Run:
        """Ask the API to end a run.

        Raises:
            ApiError: as the client's; a 429 slows down every cancel.
        """
        await self._turn(self._writes)
        try:
            return await self._client.cancel(run_type, run_id)
        except ApiThrottled as error:
            self._slow_down(self._writes, error)
            raise

    async def _turn(self, budget: TokenBucket) -> None:
        now = self._clock.monotonic()
        wait = budget.wait(now)
        budget.take(now)  # before the wait: who comes meanwhile must find the place taken
        await asyncio.sleep(wait)

    def _slow_down(self, budget: TokenBucket, error: ApiThrottled) -> None:
        held = budget.throttled(self._clock.monotonic(), error.retry_after)
        self._metrics.api_throttled_seconds.labels(source="retry_after").inc(held)
