"""Request budgets: one paced bucket for each category of the plan, which a 429 slows down."""

from __future__ import annotations

from collections import deque

from connector.core.budgets.pace import Pace
from connector.core.budgets.retry import MAX_RETRY_AFTER

NO_RETRY_AFTER_SECONDS = 1.0
"""How long nothing is sent after a 429 that does not say how long; the pace is halved besides."""
BURST_SECONDS = 1.0
"""429s that come within this of the first, or while nothing is sent, answer requests from before it: they are one."""
LEAST_RATE = 0.1
LEAST_PART = 1 / 8
"""The pace is not cut below so many requests per second, or this part of the limit if that is less: somebody must find
out that it is over."""
LOOK_BACK_SECONDS = 10.0
MOST_COUNTED = 100
QUIET_RATE = 5.0
"""What is taken for measured at least: who asked little says nothing about the limit, and the smallest plan's is 10."""
HEADROOM = 10.0
"""Without a limit, this times the rate that was measured at a 429 is the limit, until that is reached again."""


class TokenBucket:
    """Tokens at an even pace, so that no window of any length sees more than its share.

    Pacing and not bursts: the limits belong to the whole organisation, and a burst of ours is somebody else's 429.

    Attributes:
        interval: seconds between two tokens, as of the newest one; 0.0 without a limit.
    """

    def __init__(self, rate: float | None) -> None:
        """Start full.

        Args:
            rate: tokens per second, or None for no limit.
        """
        self._rate = rate or None
        self._found: float | None = None
        self._recent: deque[float] = deque(maxlen=MOST_COUNTED)
        self._pace = Pace()
        self._next = 0.0
        self._held_until = 0.0
        self._burst_until = 0.0
        self.interval = 1.0 / rate if rate else 0.0

    def wait(self, now: float) -> float:
        """Seconds until a token is there; 0.0 when one is."""
        return max(0.0, self._next - now, self._held_until - now)

    def take(self, now: float) -> None:
        """Take the token that ``wait`` said is there."""
        taken = max(self._next, self._held_until, now)
        self.interval = self._interval_at(taken)
        self._next = taken + self.interval
        if self._rate is None:
            self._recent.append(taken)

    def hold(self, until: float) -> None:
        """No token before this instant."""
        self._held_until = max(self._held_until, until)

    def throttled(self, now: float, retry_after: float | None) -> float:
        """The API said 429, which is true for the whole category: nothing for a while, and then half as fast.

        Args:
            now: the time.
            retry_after: seconds that it asked for, or None. More than ``MAX_RETRY_AFTER`` is taken for a mistake.

        Returns:
            Seconds by which this made the time longer in which nothing is sent.
        """
        before = max(now, self._held_until)
        asked = NO_RETRY_AFTER_SECONDS if retry_after is None else min(max(0.0, retry_after), MAX_RETRY_AFTER)
        self.hold(now + asked)
        if now >= self._burst_until:
            self._slow_down(now)
            self._burst_until = now + BURST_SECONDS
        self._burst_until = max(self._burst_until, self._held_until)
        self._pace.wait(self._held_until)
        return max(0.0, self._held_until - before)

    def resize(self, rate: float | None, now: float) -> None:
        """Have another rate from now on: what is left of the wait for the next token is stretched or shortened with it.

        Args:
            rate: as for the constructor.
            now: the time.
        """
        before = self.interval
        self._rate = rate or None
        self.interval = self._interval_at(now)
        if self._next > now and before:
            self._next = now + (self._next - now) * self.interval / before

    def _interval_at(self, now: float) -> float:
        limit = self._rate or self._found
        if limit is None:
            return 0.0
        part = self._pace.at(now)
        if self._rate is None and part >= 1.0:
            self._found = None  # so much faster than at the last 429 and no other one: there is no limit again
            return 0.0
        return 1.0 / (limit * part)

    def _slow_down(self, now: float) -> None:
        used = self._pace.at(now)
        limit = self._rate or self._found
        if limit is None:
            limit = self._found = HEADROOM * self._measured(now)
            used = 1.0 / HEADROOM
        self._pace.slow_down(used, min(LEAST_PART, LEAST_RATE / limit), self._held_until)
        self.interval = self._interval_at(now)

    def _measured(self, now: float) -> float:
        """Tokens per second of late."""
        recent = [at for at in self._recent if at > now - LOOK_BACK_SECONDS]
        # A burst that has just begun says little about a rate; over a tenth of a second it says enough to begin with.
        return max(QUIET_RATE, len(recent) / max(0.1, now - recent[0])) if recent else QUIET_RATE


class StartBudget:
    """A start costs one request of the RUN category and one file of the throughput."""

    def __init__(self, requests_per_second: float | None, files_per_minute: float | None) -> None:
        """Start full.

        Args:
            requests_per_second: our share of the RUN category, or None.
            files_per_minute: our share of the throughput, or None.
        """
        self._requests = TokenBucket(requests_per_second)
        self._files = TokenBucket(_per_second(files_per_minute))

    def wait(self, now: float) -> float:
        """Seconds until a start is affordable."""
        return max(self._requests.wait(now), self._files.wait(now))

    def take(self, now: float) -> None:
        """Spend one start."""
        self._requests.take(now)
        self._files.take(now)

    def throttled(self, now: float, retry_after: float | None) -> float:
        """As of a bucket. The answer does not say which of the two was too much, so both are slowed down."""
        self._files.throttled(now, retry_after)
        return self._requests.throttled(now, retry_after)

    def resize(self, requests_per_second: float | None, files_per_minute: float | None, now: float) -> None:
        """As of a bucket."""
        self._requests.resize(requests_per_second, now)
        self._files.resize(_per_second(files_per_minute), now)


def _per_second(per_minute: float | None) -> float | None:
    return per_minute / 60.0 if per_minute else None
