"""Budgets: no window of any length sees more than its share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from connector.core.budgets.budget import StartBudget, TokenBucket

arrivals = st.lists(st.floats(0.0, 5.0), min_size=1, max_size=60)


@given(rate=st.floats(0.1, 100.0), gaps=arrivals)
def test_no_window_sees_more_than_its_rate_and_one(rate: float, gaps: list[float]) -> None:
    bucket = TokenBucket(rate)
    now, taken = 1000.0, []
    for gap in gaps:
        now += gap
        now += bucket.wait(now)
        assert bucket.wait(now) < 1e-9
        bucket.take(now)
        taken.append(now)
    for first, begin in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= rate * (taken[last] - begin) + 1 + 1e-6


@given(rate=st.floats(0.1, 100.0), number=st.integers(2, 50))
def test_who_always_asks_gets_the_whole_rate(rate: float, number: int) -> None:
    bucket = TokenBucket(rate)
    now = begun = 1000.0
    for _ in range(number):
        now += bucket.wait(now)
        bucket.take(now)
    assert abs((now - begun) - (number - 1) / rate) < 1e-6 * number


@given(rate=st.floats(0.1, 100.0), hold=st.floats(0.0, 100.0), shorter=st.floats(0.0, 100.0))
def test_a_hold_is_respected_and_a_shorter_one_does_not_cut_it(rate: float, hold: float, shorter: float) -> None:
    bucket = TokenBucket(rate)
    bucket.hold(10.0 + hold)
    bucket.hold(10.0 + min(hold, shorter))
    assert abs(bucket.wait(10.0) - hold) < 1e-9
    assert bucket.wait(10.0 + hold) == 0.0


def test_without_a_rate_nothing_waits_but_for_a_hold() -> None:
    bucket = TokenBucket(None)
    for _ in range(1000):
        assert bucket.wait(1.0) == 0.0
        bucket.take(1.0)
    bucket.hold(5.0)
    assert bucket.wait(1.0) == 4.0


@given(requests=st.none() | st.floats(0.1, 50.0), files=st.none() | st.floats(6.0, 3000.0), gaps=arrivals)
def test_a_start_is_paced_by_the_tighter_of_its_two_budgets(
    requests: float | None, files: float | None, gaps: list[float]
) -> None:
    budget = StartBudget(requests, files)
    rates = [rate for rate in (requests, files / 60 if files else None) if rate]
    now, taken = 1000.0, []
    for gap in gaps:
        now += gap
        now += budget.wait(now)
        budget.take(now)
        taken.append(now)
    for rate in rates:
        for first, begin in enumerate(taken):
            assert len(taken) - first <= rate * (taken[-1] - begin) + 1 + 1e-6
