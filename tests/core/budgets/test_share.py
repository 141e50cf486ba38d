"""Shares add up to the plan, whoever owns what, and a worker that gets or loses partitions makes no burst."""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.budgets.budget import StartBudget, TokenBucket
from connector.core.budgets.share import LEAST_SHARE, Budgets, share_of
from connector.core.record import Partition

topics = st.dictionaries(st.sampled_from(["documents", "others", "letters"]), st.integers(1, 12), min_size=1)


def all_of(partitions: dict[str, int]) -> list[Partition]:
    return [Partition(topic, number) for topic, count in partitions.items() for number in range(count)]


@given(partitions=topics, workers=st.integers(1, 8), data=st.data())
def test_the_shares_of_all_workers_are_the_whole_and_a_spares_hundredth(
    partitions: dict[str, int], workers: int, data: st.DataObject
) -> None:
    owned: list[list[Partition]] = [[] for _ in range(workers)]
    for partition in all_of(partitions):
        owned[data.draw(st.integers(0, workers - 1))].append(partition)
    shares = [share_of(mine, partitions) for mine in owned]
    spares = sum(not mine for mine in owned)
    assert sum(shares) == pytest.approx(1.0 + spares * LEAST_SHARE)
    assert all(
        share == pytest.approx(len(mine) / len(all_of(partitions)))
        for share, mine in zip(shares, owned, strict=True)
        if mine
    )


def test_a_partition_beyond_the_known_ones_shows_that_its_topic_has_grown() -> None:
    assert share_of([Partition("documents", 7)], {"documents": 4}) == 1 / 8
    assert share_of(all_of({"documents": 4}), {}) == 1.0


changes = st.lists(st.tuples(st.floats(0.0, 10.0), st.integers(0, 8)), min_size=1, max_size=8)


def took(bucket: TokenBucket | StartBudget, now: float, until: float) -> list[float]:
    instants = []
    while now + bucket.wait(now) < until:
        now += bucket.wait(now)
        bucket.take(now)
        instants.append(now)
    return instants


@given(rate=st.floats(0.5, 20.0), changes=changes)
def test_no_window_sees_more_than_the_shares_that_it_had(rate: float, changes: list[tuple[float, int]]) -> None:
    budgets = Budgets(get=rate, partitions={"documents": 8})
    now, instants, shares = 1000.0, list[float](), [(1000.0, budgets.share)]
    for seconds, owned in changes:
        budgets.divide([Partition("documents", number) for number in range(owned)], now)
        shares.append((now, budgets.share))
        instants += took(budgets.reads, now, now + seconds)
        now += seconds
    shares.append((now, 0.0))

    def allowed(until: float) -> float:
        """Tokens that all shares up to here were worth."""
        return sum(rate * share * max(0.0, min(end, until) - since) for (since, share), (end, _) in pairwise(shares))

    # Every window at once: from one token to a later one, no more of them than there is worth between the two.
    surplus = [number - allowed(at) for number, at in enumerate(instants)]
    least = inf
    for each in surplus:
        least = min(least, each)
        assert each - least <= 1e-4


@given(moved=st.lists(st.tuples(st.floats(0.1, 10.0), st.integers(0, 5), st.integers(0, 2)), max_size=12))
def test_all_workers_together_stay_within_the_plan_while_partitions_move(moved: list[tuple[float, int, int]]) -> None:
    """A partition is let go by one worker before another one has it: that is how Kafka moves them."""
    partitions = {"documents": 6}
    workers = [Budgets(get=10.0, partitions=partitions) for _ in range(3)]
    owned = [set(all_of(partitions)), set[Partition](), set[Partition]()]
    workers[0].divide(owned[0], 1000.0)
    now, instants = 1000.0, list[float]()
    for seconds, number, to in [*moved, (10.0, 0, 0)]:
        partition = Partition("documents", number)
        for mine, worker in zip(owned, workers, strict=True):
            mine.discard(partition)
            worker.divide(mine, now)
        owned[to].add(partition)
        workers[to].divide(owned[to], now)
        assert sum(worker.share for worker in workers) <= 1.0 + 2 * LEAST_SHARE + 1e-9
        for worker in workers:
            instants += took(worker.reads, now, now + seconds)
        now += seconds
    instants.sort()
    for first in range(0, len(instants), 7):
        last = bisect_left(instants, instants[first] + 5.0)
        assert last - first <= 10.0 * (1.0 + 2 * LEAST_SHARE) * 5.0 + 2 * len(workers)


def test_every_budget_is_divided() -> None:
    budgets = Budgets(get=10.0, write=20.0, run=40.0, files_per_minute=600.0, partitions={"documents": 4})
    budgets.divide([Partition("documents", 0)], 1000.0)
    assert len(took(budgets.reads, 1000.0, 1099.9)) == 250
    assert len(took(budgets.writes, 1000.0, 1099.9)) == 500
    assert len(took(budgets.starts, 1000.0, 1099.9)) == 250
    budgets = Budgets(run=2.0, partitions={"documents": 4})
    budgets.divide([Partition("documents", 0)], 1000.0)
    assert len(took(budgets.starts, 1000.0, 1099.9)) == 50


def test_no_limit_stays_none_whatever_is_owned() -> None:
    budgets = Budgets()
    for owned in (4, 0, 1):
        budgets.divide([Partition("documents", number) for number in range(owned)], 1000.0)
        for _ in range(100):
            assert budgets.reads.wait(1000.0) == budgets.starts.wait(1000.0) == 0.0
            budgets.reads.take(1000.0)
            budgets.starts.take(1000.0)


@given(before=st.integers(1, 8), after=st.integers(1, 8))
def test_a_429_stays_in_force_when_the_share_changes(before: int, after: int) -> None:
    budgets = Budgets(get=80.0, partitions={"documents": 8})
    budgets.divide([Partition("documents", number) for number in range(before)], 1000.0)
    budgets.reads.throttled(1000.0, 5.0)
    budgets.divide([Partition("documents", number) for number in range(after)], 1001.0)
    assert budgets.reads.wait(1001.0) >= 4.0
    assert len(took(budgets.reads, 1001.0, 1006.0)) <= 80.0 * after / 8 * 0.6 + 2
