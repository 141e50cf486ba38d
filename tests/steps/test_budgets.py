"""The worker's share of the budgets follows its partitions, and a 429 slows down all requests of its kind."""

from __future__ import annotations

import asyncio
import itertools

from connector.core.budgets.share import LEAST_SHARE
from connector.core.errors import ApiThrottled
from connector.core.follow.polling import PollingOptions
from connector.core.run import Run
from tests.fakes.api import Answer
from tests.fakes.virtual_time import virtually
from tests.steps.world import P0, P1, Options, World, world

BUSY = ApiThrottled("slow down", retry_after=10.0)


def share(w: World) -> float:
    return w.sample("budget_share")


def starts_between(w: World, begin: float, end: float) -> int:
    return sum(begin <= post.at < end for post in w.api.posts)


@virtually
async def test_starts_follow_the_share_of_partitions_through_every_rebalance() -> None:
    options = Options(starts_per_second=4.0, partitions={"documents": 4})
    async with world(options, partitions=(P0,)) as w:
        now = asyncio.get_running_loop().time
        await asyncio.sleep(1.0)
        assert share(w) == 1 / 4
        w.send(300)
        begin = now()
        await asyncio.sleep(20.0)
        assert abs(starts_between(w, begin, now()) - 20) <= 1

        w.kafka.assign(P1)
        await asyncio.sleep(1.0)
        assert share(w) == 2 / 4
        begin = now()
        await asyncio.sleep(20.0)
        assert abs(starts_between(w, begin, now()) - 40) <= 2

        w.kafka.lose(P1)
        await asyncio.sleep(1.0)
        begin = now()
        await asyncio.sleep(20.0)
        assert abs(starts_between(w, begin, now()) - 20) <= 1

        w.kafka.lose(P0)
        await asyncio.sleep(1.0)
        assert share(w) == LEAST_SHARE


@virtually
async def test_a_429_halves_the_pace_of_starts_and_says_how_long_they_waited() -> None:
    async with world(Options(starts_per_second=4.0)) as w:
        now = asyncio.get_running_loop().time
        w.send(400)
        await asyncio.sleep(10.0)
        w.api.script.append(Answer(BUSY))
        await w.until(lambda: w.sample("starts_refused_total", reason="THROTTLED"))
        refused = now()
        await asyncio.sleep(12.0)
        assert starts_between(w, refused, refused + 9.9) == 0
        assert 3 <= starts_between(w, refused + 9.9, now()) <= 6
        assert w.sample("api_throttled_seconds_total", source="retry_after") == 10.0
        assert w.sample("api_throttled_seconds_total", source="budget") > 15.0


@virtually
async def test_a_429_for_a_start_holds_up_no_look_at_a_run() -> None:
    async with world() as w:
        w.api.script.extend([Answer(), Answer(ApiThrottled("slow down", retry_after=100.0))])
        w.api.always_shows = ("PROCESSING",)
        w.send(2)
        await asyncio.sleep(1.0)
        looks = len(w.api.gets)
        await asyncio.sleep(20.0)
        assert len(w.api.gets) >= looks + 19
        assert len(w.api.posts) == 2


@virtually
async def test_a_429_for_a_cancel_holds_up_all_cancels() -> None:
    cancelled: list[float] = []

    async def cancel(run_type: str, run_id: str) -> Run:
        cancelled.append(asyncio.get_running_loop().time())
        if len(cancelled) == 1:
            raise BUSY
        return Run(id=run_id, run_type=run_type, status="CANCELLING")

    polling = PollingOptions(max_wait_ms=5_000, jitter_fraction=0)
    async with world(Options(on_timeout="cancel", writes_per_second=1.0, polling=polling)) as w:
        w.api.always_shows = ("PROCESSING",)
        w.api.cancel = cancel  # type: ignore[method-assign]  # the fake of this one test
        w.send(2)
        await asyncio.sleep(7.0)
        w.send(8)
        await w.until(lambda: len(cancelled) >= 8)
    late = [at for at in cancelled if at - cancelled[0] > 2.0]  # what had its turn before the answer is past holding
    assert all(at - cancelled[0] >= 9.99 for at in late)
    assert all(b - a > 1.2 for a, b in itertools.pairwise(late))


@virtually
async def test_nobody_counts_as_waiting_for_the_budget_while_there_is_nothing_to_start() -> None:
    async with world(Options(starts_per_second=1.0)) as w:
        w.send(1)
        await asyncio.sleep(60.0)
        assert w.sample("api_throttled_seconds_total", source="budget") == 0.0
