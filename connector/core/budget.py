"""Request budgets: one paced bucket for each category of the plan."""

from __future__ import annotations


class TokenBucket:
    """Tokens at an even pace, so that no window of any length sees more than its share.

    Pacing and not bursts: the limits belong to the whole organisation, and a burst of ours is somebody else's 429.
    """

    def __init__(self, rate: float | None) -> None:
        """Start full.

        Args:
            rate: tokens per second, or None for no limit.
        """
        self._interval = 1.0 / rate if rate else 0.0
        self._next = 0.0

    @property
    def interval(self) -> float:
        """Seconds between two tokens; 0.0 without a limit."""
        return self._interval

    def wait(self, now: float) -> float:
        """Seconds until a token is there; 0.0 when one is."""
        return max(0.0, self._next - now)

    def take(self, now: float) -> None:
        """Take the token that ``wait`` said is there."""
        self._next = max(self._next, now) + self._interval

    def hold(self, until: float) -> None:
        """No token before this instant: the API said 429."""
        self._next = max(self._next, until)


class StartBudget:
    """A start costs one request of the RUN category and one file of the throughput."""

    def __init__(self, requests_per_second: float | None, files_per_minute: float | None) -> None:
        """Start full.

        Args:
            requests_per_second: our share of the RUN category, or None.
            files_per_minute: our share of the throughput, or None.
        """
        self._requests = TokenBucket(requests_per_second)
        self._files = TokenBucket(files_per_minute / 60.0 if files_per_minute else None)

    def wait(self, now: float) -> float:
        """Seconds until a start is affordable."""
        return max(self._requests.wait(now), self._files.wait(now))

    def take(self, now: float) -> None:
        """Spend one start."""
        self._requests.take(now)
        self._files.take(now)
