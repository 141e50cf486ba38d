"""Pages of lists: asked for, and what it means when none comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus

from connector.adapters.metrics import Metrics
from connector.clock import Clock
from connector.core.answer import USAGE_BLOCKED
from connector.core.budgets.budget import TokenBucket
from connector.core.errors import (
    ApiError,
    ApiForbidden,
    ApiRefused,
    ApiThrottled,
    ApiUnavailable,
    ApiUnreadable,
)
from connector.core.follow.follow_step import ReadPage
from connector.core.follow.following import Following
from connector.core.follow.list_health import Trouble
from connector.core.run import Row
from connector.follow.asking import FORBIDDEN_SECONDS, FollowClient, Followed, Hold
from connector.logs import logger

Strangers = Callable[[str, Sequence[Row]], None]
"""Told of rows of a type that belong to no run that is followed."""


class Lists:
    """Reads the pages that are due."""

    def __init__(
        self,
        *,
        client: FollowClient,
        following: Following[Followed],
        budget: TokenBucket,
        hold: Hold,
        strangers: Strangers,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """Build it.

        Args:
            client: the API.
            following: decides.
            budget: our share of the GET category.
            hold: stops all requests.
            strangers: told of rows that belong to no run of ours.
            clock: the time.
            metrics: where to count.
        """
        self._client = client
        self._following = following
        self._budget = budget
        self._hold = hold
        self._strangers = strangers
        self._clock = clock
        self._metrics = metrics

    async def read(self, read: ReadPage) -> None:
        """Read one page."""
        try:
            page = await self._client.page(read.run_type, token=read.token, status=read.status)
        except ApiError as error:
            self._failed(read, error)
            return
        now = self._clock.monotonic()
        strangers = self._following.page(read, page.rows, page.next_token, now)
        if strangers:
            self._strangers(read.run_type, strangers)

    def _failed(self, read: ReadPage, error: ApiError) -> None:
        now = self._clock.monotonic()
        trouble = _trouble_of(error)
        wait = (error.retry_after or 0.0) if isinstance(error, ApiUnavailable) else 0.0
        if isinstance(error, ApiThrottled):
            held = self._budget.throttled(now, error.retry_after)  # true for every request, and not for this one alone
            self._metrics.api_throttled_seconds.labels(source="retry_after").inc(held)
        elif trouble is None:
            wait = FORBIDDEN_SECONDS
            self._hold.extend(now, wait)
        logger.warning(
            "list_failed", run_type=read.run_type, reason=type(error).__name__, status=error.status, code=error.code
        )
        self._following.list_failed(read, trouble, now, wait)


def _trouble_of(error: ApiError) -> Trouble | None:
    """What an error says about the list; None when it is about every request."""
    if isinstance(error, ApiThrottled):
        return None
    if isinstance(error, ApiForbidden) and (error.status != HTTPStatus.FORBIDDEN or error.code == USAGE_BLOCKED):
        return None
    if isinstance(error, ApiRefused):
        return Trouble.REFUSED
    return Trouble.UNREADABLE if isinstance(error, ApiUnreadable) else Trouble.UNAVAILABLE
