"""429s: what is asked for is waited, the pace is halved, and it comes back; also when the configured limit is wrong."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.core.budgets.budget import (
    BURST_SECONDS,
    LEAST_RATE,
    NO_RETRY_AFTER_SECONDS,
    QUIET_RATE,
    StartBudget,
    TokenBucket,
)
from connector.core.budgets.pace import RECOVERY_SECONDS
from connector.core.budgets.retry import MAX_RETRY_AFTER

WORK_SECONDS = 0.02
"""What a client needs for a request; without a limit nothing else paces it."""

asked = st.none() | st.floats(0.0, 100.0)


def taken(bucket: TokenBucket | StartBudget, begin: float, seconds: float) -> list[float]:
    """When somebody who always asks gets tokens."""
    now, instants = begin, list[float]()
    while True:
        now += bucket.wait(now)
        if now > begin + seconds:
            return instants
        bucket.take(now)
        instants.append(now)


@pytest.mark.parametrize("rate", [None, 5.0])
@given(wait=st.floats(0.0, MAX_RETRY_AFTER), shorter=st.floats(0.0, MAX_RETRY_AFTER))
def test_what_the_api_asks_for_is_waited_whatever_comes_after_it(
    rate: float | None, wait: float, shorter: float
) -> None:
    bucket = TokenBucket(rate)
    bucket.throttled(10.0, wait)
    bucket.throttled(10.0, min(wait, shorter))
    assert bucket.wait(10.0) == pytest.approx(wait)
    assert taken(bucket, 10.0, wait + 1.0)[0] == pytest.approx(10.0 + wait)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [(86_400.0, MAX_RETRY_AFTER), (inf, MAX_RETRY_AFTER), (-5.0, 0.0), (None, NO_RETRY_AFTER_SECONDS), (nan, 0.0)],
)
def test_a_wait_of_a_day_or_none_or_one_that_is_over_is_bounded(told: float | None, seconds: float) -> None:
    bucket = TokenBucket(5.0)
    bucket.throttled(10.0, told)
    assert bucket.wait(10.0) == pytest.approx(seconds)


@given(rate=st.floats(1.0, 100.0), wait=asked)
def test_a_429_halves_the_pace_and_two_minutes_without_another_give_it_back(rate: float, wait: float | None) -> None:
    bucket = TokenBucket(rate)
    taken(bucket, 1000.0, 10.0)
    bucket.throttled(1010.0, wait)
    again = 1010.0 + bucket.wait(1010.0)
    assert bucket.interval == pytest.approx(2.0 / rate)
    slow = taken(bucket, again, 2.0)
    assert len(slow) <= rate * 0.6 * 2.0 + 1
    taken(bucket, again + 2.0, RECOVERY_SECONDS)
    whole = taken(bucket, again + 2.0 + RECOVERY_SECONDS, 20.0)
    assert len(whole) >= int(rate * 20.0)


@given(rate=st.floats(1.0, 100.0))
def test_the_pace_grows_from_token_to_token_until_it_is_whole(rate: float) -> None:
    bucket, now, gaps = TokenBucket(rate), 0.0, list[float]()
    bucket.throttled(now, 0.0)
    while now < RECOVERY_SECONDS:
        now += bucket.wait(now)
        bucket.take(now)
        gaps.append(bucket.interval)
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(gaps))
    assert gaps[-1] == pytest.approx(1.0 / rate)


@pytest.mark.parametrize("wait", [None, 0.0, 5.0])
def test_answers_to_requests_that_were_open_together_are_one_429(wait: float | None) -> None:
    bucket = TokenBucket(20.0)
    for late in range(32):
        bucket.throttled(1000.0 + late * BURST_SECONDS / 33, wait)
    assert bucket.interval == pytest.approx(2.0 / 20.0)
    bucket.throttled(1000.0 + 2 * BURST_SECONDS + (wait or 0.0), wait)
    assert bucket.interval == pytest.approx(4.0 / 20.0, rel=0.25)


def test_a_storm_of_429s_leaves_a_request_now_and_then() -> None:
    bucket, now = TokenBucket(75.0), 0.0
    for _ in range(200):
        now += bucket.wait(now)
        bucket.take(now)
        bucket.throttled(now, 0.0)
        now += BURST_SECONDS
    assert bucket.interval == pytest.approx(1.0 / LEAST_RATE)


@given(rate=st.floats(0.5, 50.0), gaps=st.lists(st.floats(0.0, 5.0), min_size=1, max_size=60), data=st.data())
def test_no_window_sees_more_than_the_rate_whatever_is_answered(
    rate: float, gaps: list[float], data: st.DataObject
) -> None:
    bucket, now, instants = TokenBucket(rate), 1000.0, []
    for gap in gaps:
        now += gap
        if data.draw(st.booleans()):
            bucket.throttled(now, data.draw(asked))
        now += bucket.wait(now)
        bucket.take(now)
        instants.append(now)
    for first, begin in enumerate(instants):
        for last in range(first, len(instants)):
            assert last - first + 1 <= rate * (instants[last] - begin) + 1 + 1e-6


# ---- a limit that is configured wrong --------------------------------------------------------------------------------


@dataclass
class Server:
    """Takes ``limit`` requests per second, and ``most`` at once."""

    limit: float
    most: float
    retry_after: float | None
    level: float = 0.0
    at: float = 0.0
    taken: int = 0
    refused: int = 0

    def asks(self, now: float) -> bool:
        self.level = max(0.0, self.level - (now - self.at) * self.limit)
        self.at = now
        if self.level + 1.0 > self.most:
            self.refused += 1
            return False
        self.level += 1.0
        self.taken += 1
        return True


@dataclass
class Line:
    """Clients, each with its bucket, that always have something to ask; answers take a while."""

    server: Server
    buckets: list[TokenBucket]
    round_trip: float
    now: float = 0.0
    events: list[tuple[float, int, bool]] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        if not self.events:
            self.events = [(self.now, client, False) for client in range(len(self.buckets))]
        while self.events[0][0] <= end:
            self.now, client, is_answer = heapq.heappop(self.events)
            bucket = self.buckets[client]
            if is_answer:
                bucket.throttled(self.now, self.server.retry_after)
                continue
            wait = bucket.wait(self.now)
            if wait > 0:
                heapq.heappush(self.events, (self.now + wait, client, False))
                continue
            bucket.take(self.now)
            if not self.server.asks(self.now):
                heapq.heappush(self.events, (self.now + self.round_trip, client, True))
            heapq.heappush(self.events, (self.now + max(WORK_SECONDS, bucket.wait(self.now)), client, False))
        self.now = end


@settings(max_examples=30)
@given(
    configured=st.none() | st.sampled_from([4.0, 8.0, 20.0]),
    true=st.floats(0.2, 0.9),
    clients=st.integers(1, 3),
    round_trip=st.sampled_from([0.05, 0.2, 0.8]),
    retry_after=st.none() | st.floats(0.0, 2.0),
)
def test_with_a_limit_that_is_too_high_429s_stay_rare_and_most_of_the_true_limit_is_used(
    configured: float | None, true: float, clients: int, round_trip: float, retry_after: float | None
) -> None:
    limit = true * (configured or 20.0)
    rate = None if configured is None else configured / clients
    # Clients that do not know of each other ask in the same instant now and then, however slow they are.
    server = Server(limit, max(limit, clients + 1.0), retry_after)
    line = Line(server, [TokenBucket(rate) for _ in range(clients)], round_trip)
    line.run(120.0)
    server.taken = server.refused = 0
    line.run(600.0)
    assert server.refused <= 0.2 * (server.taken + server.refused)
    assert server.taken >= 0.6 * limit * 600.0


@given(gap=st.floats(0.5, 60.0), before=st.integers(0, 5))
def test_without_a_limit_a_429_in_a_quiet_time_leaves_something_for_a_busy_one(gap: float, before: int) -> None:
    bucket, now = TokenBucket(None), 1000.0
    for _ in range(before):
        bucket.take(now)
        now += gap
    bucket.throttled(now, 1.0)
    instants = taken(bucket, now + 1.0, 20.0)
    assert len(instants) >= 20.0 * QUIET_RATE / 2
    assert len(instants) <= 20.0 * QUIET_RATE, "it is slowed down all the same"


def test_a_start_slows_down_in_requests_and_in_files() -> None:
    budget = StartBudget(8.0, 60.0)
    taken(budget, 1000.0, 10.0)
    budget.throttled(1010.0, 3.0)
    instants = taken(budget, 1010.0, 13.0)
    assert instants[0] == pytest.approx(1013.0)
    assert len(instants) <= 8  # one a second is our share; it was halved
