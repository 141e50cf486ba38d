"""Following by lists: one page tells which runs have finished, and every end is still exactly one result."""

from __future__ import annotations

import asyncio
import gc
import itertools
import tracemalloc
from dataclasses import replace

import pytest

from connector.core.entry import State
from connector.core.errors import ApiError, ApiForbidden, ApiRefused, ApiThrottled, ApiUnavailable, ApiUnreadable
from connector.core.follow.polling import PollingOptions
from connector.core.signals.signal import Doorbell
from tests.factories.records import entry_of
from tests.fakes.api import Answer, not_found
from tests.fakes.virtual_time import virtually
from tests.steps.world import P0, Options, World, world

SWEEP = Options(sweep_interval=1.0)


async def started(w: World, number: int) -> list[str]:
    """So many runs that are open."""
    w.api.always_shows = ("PROCESSING",)
    w.send(number)
    await w.until(lambda: len(w.open(State.STARTED)) == number)
    return [entry.run_id or "" for entry in w.open(State.STARTED)]


@virtually
async def test_each_end_is_seen_within_a_period_and_costs_one_get() -> None:
    async with world(SWEEP) as w:
        runs = await started(w, 200)
        await asyncio.sleep(10.0)
        assert w.api.gets == []
        for run in runs[:50]:
            w.api.move(run, "PROCESSED")
        await w.until(lambda: len(w.results("PROCESSED")) == 50, within=1.2)
        assert sorted(run for _, run in w.api.gets) == sorted(runs[:50])
        assert {result["observed_via"] for result in w.results()} == {"sweep"}
        assert w.sample("result_detection_delay_seconds_count", via="sweep") == 0.0  # this API shows no times
        w.follower.report()
        assert w.sample("sweep_state", run_type="extract", state="sweeping") == 1.0
        assert w.sample("sweep_state", run_type="extract", state="idle") == 0.0


@virtually
async def test_a_run_that_ended_long_before_its_start_was_answered_is_found_at_once() -> None:
    async with world(replace(SWEEP, start_deadline=60.0)) as w:
        w.api.script.append(Answer(after=50.0))
        w.send(1)
        await w.until(lambda: w.api.open_posts)
        w.api.show_in_lists("run_1", "extract", None)
        w.api.move("run_1", "PROCESSED")
        for other in ("older", "newer"):
            await asyncio.sleep(15.0)
            w.api.show_in_lists(other, "extract", None)
        w.api.page_size = 1  # a first look at what is new ends with the older one
        w.api.show_in_lists = lambda *_run, **_more: None  # type: ignore[method-assign]  # it is there already
        await w.until(lambda: w.open(State.STARTED))
        await w.until(w.results, within=5.0)
        assert w.results()[0]["observed_via"] == "sweep"


@virtually
async def test_a_review_and_its_decision_are_seen_in_lists() -> None:
    async with world(SWEEP) as w:
        run, _other = await started(w, 2)
        w.api.move(run, "NEEDS_REVIEW")
        await w.until(lambda: w.open(State.REVIEW), within=1.2)
        await asyncio.sleep(60.0)
        assert [each for _, each in w.api.gets] == [run]
        w.api.move(run, "REJECTED")
        await w.until(lambda: w.results("REJECTED"), within=1.2)
        assert len(w.results()) == 2
        assert [each for _, each in w.api.gets] == [run, run]


@virtually
async def test_a_decision_is_seen_too_when_nothing_else_is_open() -> None:
    async with world(SWEEP) as w:
        (run,) = await started(w, 1)
        w.api.move(run, "NEEDS_REVIEW")
        await w.until(lambda: w.open(State.REVIEW))
        await asyncio.sleep(600.0)
        assert {status for at, _, status in w.api.pages[-5:]} == {"NEEDS_REVIEW"}
        w.api.move(run, "PROCESSED")
        await w.until(lambda: not w.open(), within=61.0)
        assert [result["revision"] for result in w.results("PROCESSED")] == [2]


@virtually
async def test_restored_runs_are_found_in_lists() -> None:
    async with world(SWEEP) as before:
        runs = await started(before, 300)
    for run in runs[:100]:
        before.api.move(run, "PROCESSED")
    await asyncio.sleep(3600.0)
    async with world(SWEEP, kafka=before.kafka, api=before.api) as w:
        await w.until(lambda: len(w.results("PROCESSED")) == 100, within=10.0)
        assert len(w.api.gets) == 100


@virtually
async def test_the_rows_of_others_are_handed_on() -> None:
    async with world(SWEEP) as w:
        runs = await started(w, 1)
        w.api.show_in_lists("run_x", "extract", "somebody/else/0/1#hash")
        await asyncio.sleep(2.0)
        seen = {row.id for row in w.finder.seen}
        assert "run_x" in seen
        assert not seen & set(runs)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ApiRefused("no lists", status=400, code="INVALID_REQUEST"), "refused"),
        (not_found(), "refused"),
        (ApiForbidden("no lists for you", status=403, code="FORBIDDEN"), "refused"),
        (ApiUnavailable("503", status=503), "unavailable"),
        (ApiUnreadable("too large", reason="TOO_LARGE"), "unreadable"),
    ],
)
def test_where_lists_cannot_be_read_runs_are_polled(error: ApiError, state: str) -> None:
    @virtually
    async def scenario() -> None:
        async with world(SWEEP) as w:
            runs = await started(w, 20)
            w.api.page_error = error
            await asyncio.sleep(60.0)
            for run in runs:
                w.api.move(run, "PROCESSED")
            await w.until(lambda: len(w.results("PROCESSED")) == 20, within=10.0)
            assert {result["observed_via"] for result in w.results()} == {"poll"}
            w.follower.report()
            assert w.sample("sweep_state", run_type="extract", state=state) == 1.0
            w.api.page_error = None
            await asyncio.sleep(40.0)
            (run,) = await started(w, 1)
            w.api.move(run, "PROCESSED")
            await w.until(lambda: len(w.results("PROCESSED")) == 21, within=1.2)

    scenario()


@virtually
async def test_a_429_for_a_list_makes_everything_wait() -> None:
    async with world(SWEEP) as w:
        (run,) = await started(w, 1)
        w.api.page_error = ApiThrottled("slow down", retry_after=30.0)
        await asyncio.sleep(1.1)
        w.api.page_error = None
        asked = len(w.api.pages)
        w.api.move(run, "PROCESSED")
        await asyncio.sleep(25.0)
        assert len(w.api.pages) == asked
        await w.until(lambda: w.results("PROCESSED"), within=8.0)
        w.follower.report()
        assert w.sample("sweep_state", run_type="extract", state="idle") == 1.0


@pytest.mark.parametrize("status", [401, 402])
def test_a_refused_key_stops_lists_and_a_new_one_begins_again_at_once(status: int) -> None:
    @virtually
    async def scenario() -> None:
        async with world(SWEEP) as w:
            (run,) = await started(w, 1)
            w.api.page_error = ApiForbidden("key", status=status, code="NO")
            await asyncio.sleep(2.0)
            asked = len(w.api.pages)
            await asyncio.sleep(20.0)
            assert len(w.api.pages) == asked
            w.api.page_error = None
            w.api.move(run, "PROCESSED")
            w.pipeline.key_changed()
            await w.until(lambda: w.results("PROCESSED"), within=0.5)

    scenario()


@virtually
async def test_a_run_that_takes_too_long_is_cancelled_in_time() -> None:
    options = Options(sweep_interval=1.0, on_timeout="emit", polling=PollingOptions(max_wait_ms=30_000))
    async with world(options) as w:
        await started(w, 3)
        await w.until(lambda: len(w.results("TIMED_OUT")) == 3, within=31.0)
        assert len(w.api.gets) == 3


@virtually
async def test_lists_leave_half_of_the_budget_to_looks() -> None:
    async with world(Options(sweep_interval=1.0, gets_per_second=1.0)) as w:
        runs = await started(w, 30)
        for run in runs:
            w.api.move(run, "PROCESSED")
        await w.until(lambda: len(w.results("PROCESSED")) == 30, within=40.0)
        times = [at for at, _, _ in w.api.pages]
        assert all(b - a > 1.99 for a, b in itertools.pairwise(times))


@virtually
async def test_an_open_run_takes_less_than_four_kilobytes() -> None:
    number = 2_000
    async with world(Options(sweep_interval=1.0, most_in_flight=number, most_starts=1_000)) as w:
        await started(w, 10)
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        holding = w.holdings.of(P0)
        assert holding is not None
        for each in range(number):
            tag = replace(entry_of().tag, offset=1_000 + each)
            entry = replace(entry_of(), tag=tag, run_id=f"exr_{each:022d}", key=b"customer-%d" % each)
            holding.put(entry)
            w.follower.add(holding, entry)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (after - before) / number < 4_000


@virtually
async def test_a_webhook_makes_a_run_due_at_once() -> None:
    async with world(Options(sweep_interval=30.0)) as w:
        runs = await started(w, 3)
        await asyncio.sleep(40.0)
        w.api.move(runs[0], "PROCESSED")
        w.pipeline.heard([Doorbell(w.open(State.STARTED)[0].tag, runs[0])])
        await w.until(lambda: w.results("PROCESSED"), within=0.2)
        assert [run for _, run in w.api.gets] == [runs[0]]
        assert [result["observed_via"] for result in w.results()] == ["webhook"]
        assert w.sample("signals_total", kind="doorbell", result="used") == 1.0
        await asyncio.sleep(60.0)
        assert len(w.api.gets) == 1


@virtually
async def test_a_webhook_that_the_api_does_not_confirm_costs_one_get() -> None:
    async with world(SWEEP) as w:
        (run,) = await started(w, 1)
        (entry,) = w.open(State.STARTED)
        w.pipeline.heard([Doorbell(entry.tag, run)] * 5)
        await asyncio.sleep(60.0)
        assert len(w.api.gets) == 1
        w.api.move(run, "PROCESSED")
        await w.until(lambda: w.results("PROCESSED"), within=1.2)
        assert [result["observed_via"] for result in w.results()] == ["sweep"]
        w.pipeline.heard([Doorbell(entry.tag, run)])
        await asyncio.sleep(60.0)
        assert len(w.api.gets) == 2
        assert w.sample("signals_total", kind="doorbell", result="stale") == 1.0


@virtually
async def test_a_webhook_during_a_look_makes_another_one() -> None:
    async with world(Options(sweep_interval=30.0)) as w:
        (run,) = await started(w, 1)
        (entry,) = w.open(State.STARTED)
        w.api.get_seconds = 2.0
        w.pipeline.heard([Doorbell(entry.tag, run)])
        await asyncio.sleep(1.0)
        w.pipeline.heard([Doorbell(entry.tag, run)])
        await asyncio.sleep(20.0)
        assert len(w.api.gets) == 2
