"""Requests per second, by category: at most so many in *any* one second, the strictest reading of the documentation."""

from __future__ import annotations

from collections import deque
from typing import Literal

from connector.simulator.refusals import Refusal
from connector.simulator.settings import Limits, RetryHeader

Category = Literal["GET", "WRITE", "RUN"]

_SECOND = 1.0


class Limiter:
    """Counts the requests that it let through in the last second."""

    def __init__(self, limits: Limits) -> None:
        self._retry_header: RetryHeader = limits.retry_header
        self._rates: dict[Category, int | None] = {"GET": limits.get, "WRITE": limits.write, "RUN": limits.run}
        self._passed: dict[Category, deque[float]] = {category: deque() for category in self._rates}

    def admit(self, category: Category, now: float) -> None:
        """Let a request through.

        Args:
            category: what counts together.
            now: seconds since the epoch.

        Raises:
            Refusal: 429, with the configured header or none.
        """
        rate = self._rates[category]
        if rate is None:
            return
        passed = self._passed[category]
        while passed and passed[0] <= now - _SECOND:
            passed.popleft()
        if len(passed) < rate:
            passed.append(now)
            return
        # With a rate of 0 nothing ever passed; "in a second" is then the best answer.
        free_at = (passed[0] if passed else now) + _SECOND
        raise Refusal(429, headers=_retry_headers(self._retry_header, free_at, now))


def _retry_headers(style: RetryHeader, free_at: float, now: float) -> tuple[tuple[str, str], ...]:
    if style == "retry-after":
        return (("retry-after", str(max(1, round(free_at - now)))),)
    if style == "x-ratelimit-reset":
        return (("x-ratelimit-reset", str(int(free_at) + 1)),)
    return ()
