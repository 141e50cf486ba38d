"""Following and emitting: every end becomes exactly one result of each revision, whatever the API answers meanwhile."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque

import pytest

from connector.core.entry import State
from connector.core.errors import ApiError, ApiForbidden, ApiThrottled, ApiUnavailable
from connector.core.follow.absence import GONE_SECONDS, SYSTEMIC_RUNS
from connector.core.follow.polling import PollingOptions
from connector.core.run import Run
from connector.follow.asking import FORBIDDEN_SECONDS
from tests.factories.records import entry_of
from tests.fakes.api import Answer, not_found
from tests.fakes.virtual_time import virtually
from tests.steps.world import P0, Options, World, world


def show(w: World, *shown: str | ApiError) -> None:
    w.api.always_shows = shown


@pytest.mark.parametrize("status", ["PROCESSED", "FAILED", "CANCELLED", "REJECTED"])
def test_each_terminal_status_goes_to_its_topic(status: str) -> None:
    @virtually
    async def scenario() -> None:
        async with world() as w:
            show(w, "PENDING", "PROCESSING", status)
            w.send()
            await w.until(lambda: w.results(status))
            assert w.open() == []

    scenario()


@virtually
async def test_an_unknown_status_is_an_end_and_goes_to_the_other_topic() -> None:
    async with world() as w:
        show(w, "TRANSMOGRIFIED")
        w.send()
        await w.until(w.results)
        assert len(w.kafka.topics["documents.other"]) == 1


@virtually
async def test_a_review_is_revision_one_and_its_end_revision_two_and_nothing_in_between() -> None:
    async with world() as w:
        show(w, "PROCESSING", "NEEDS_REVIEW", "NEEDS_REVIEW", "PROCESSING", "NEW_STATUS", "REJECTED")
        w.send()
        await w.until(lambda: w.open(State.REVIEW))
        (first,) = w.results()
        assert (first["status"], first["revision"]) == ("NEEDS_REVIEW", 1)
        looks = len(w.api.gets)
        await w.until(lambda: len(w.results()) == 2)
        assert len(w.api.gets) == looks + 4
        (second,) = w.results("REJECTED")
        assert second["revision"] == 2
        assert w.open() == []
        assert w.sample("credits_total", route="documents") == 2.0


@virtually
async def test_a_review_goes_on_after_a_restart_and_its_first_revision_is_not_repeated() -> None:
    async with world() as before:
        show(before, "NEEDS_REVIEW")
        before.send()
        await before.until(lambda: before.open(State.REVIEW))
    async with world(kafka=before.kafka) as w:
        show(w, "NEEDS_REVIEW", "PROCESSED")
        await w.until(lambda: not w.open())
        assert [(r["status"], r["revision"]) for r in w.results()] == [("PROCESSED", 2), ("NEEDS_REVIEW", 1)]


@virtually
async def test_without_reviews_the_first_revision_is_the_last() -> None:
    async with world(Options(reviews=False)) as w:
        show(w, "NEEDS_REVIEW")
        w.send()
        await w.until(w.results)
        assert w.open() == []


@virtually
async def test_a_run_that_the_api_does_not_know_any_more_ends_as_failed() -> None:
    async with world() as w:
        show(w, not_found())
        w.send()
        await w.until(w.results)
        (result,) = w.results("FAILED")
        assert result["failure_reason"] == "CONNECTOR_RUN_NOT_FOUND"
        assert w.sample("own_ends_total", reason="CONNECTOR_RUN_NOT_FOUND") == 1
        assert result["run_id"] == "run_1"
        times = [at for at, _ in w.api.gets]
        assert times[-1] - times[0] >= GONE_SECONDS
        late = [b - a for a, b in itertools.pairwise(times) if a - times[0] > 90.0]
        assert all(45.0 <= gap <= 80.0 for gap in late), "a missing run is asked about once a minute"


@virtually
async def test_no_run_ends_while_the_key_sees_none_of_them() -> None:
    async with world() as w:
        show(w, "PROCESSING")
        w.send(SYSTEMIC_RUNS + 2)
        await w.until(lambda: len(w.open(State.STARTED)) == SYSTEMIC_RUNS + 2)
        w.api.shows = {run_id: deque([not_found()]) for run_id in w.api.tag_of}
        await asyncio.sleep(5 * 3600.0)
        assert w.results() == []
        for run_id in w.api.shows:
            w.api.shows[run_id] = deque(["PROCESSED"])
        await w.until(lambda: len(w.results("PROCESSED")) == SYSTEMIC_RUNS + 2, within=300.0)


@virtually
async def test_polling_rests_when_most_runs_are_missing_and_a_new_key_ends_the_rest() -> None:
    async with world() as w:
        show(w, "PROCESSING")
        w.send(SYSTEMIC_RUNS)
        await w.until(lambda: len(w.open(State.STARTED)) == SYSTEMIC_RUNS)
        w.api.shows = {run_id: deque([not_found()]) for run_id in w.api.tag_of}
        await w.until(lambda: w.sample("api_throttled_seconds_total", source="retry_after") > 0)
        w.api.shows.clear()
        show(w, "PROCESSED")
        held = len(w.api.gets)
        w.send()
        await asyncio.sleep(FORBIDDEN_SECONDS - 2.0)
        assert len(w.api.gets) <= held + 1  # one look was under way
        w.pipeline.key_changed()
        await w.until(w.results, within=0.5)


@virtually
async def test_a_404_right_after_the_create_is_no_end() -> None:
    async with world() as w:
        show(w, not_found(), not_found(), not_found(), "PROCESSED")
        w.send()
        await w.until(w.results)
        assert [result["status"] for result in w.results()] == ["PROCESSED"]


@pytest.mark.parametrize(
    "error",
    [
        ApiThrottled("slow down", retry_after=20.0),
        ApiThrottled("slow down", retry_after=None),
        ApiUnavailable("503", status=503),
        ApiUnavailable("503", status=503, retry_after=20.0),
        ApiUnavailable("no answer"),
        ApiForbidden("key", status=401, code="UNAUTHORIZED"),
    ],
)
def test_a_look_that_fails_is_repeated_and_the_run_is_never_lost(error: ApiError) -> None:
    @virtually
    async def scenario() -> None:
        async with world() as w:
            show(w, error, error, error, "PROCESSED")
            w.send()
            await w.until(w.results)
            assert [run_id for _, run_id in w.api.gets] == ["run_1"] * 4
            asked = getattr(error, "retry_after", None) or 0.5
            times = [at for at, _ in w.api.gets]
            assert all(b - a >= asked for a, b in itertools.pairwise(times))
        assert len(w.api.posts) == 1

    scenario()


@virtually
async def test_a_403_about_one_run_holds_no_other() -> None:
    async with world() as w:
        forbidden = ApiForbidden("not yours", status=403, code="FORBIDDEN")
        show(w, "PROCESSING")
        w.api.shows["run_1"] = deque([forbidden])
        w.send(2)
        await asyncio.sleep(20.0)
        times = [at for at, run_id in w.api.gets if run_id == "run_2"]
        assert len(times) >= 19
        assert [run_id for _, run_id in w.api.gets].count("run_1") == 1


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_refused_key_holds_all_looks_until_there_is_another_key(status: int) -> None:
    @virtually
    async def scenario() -> None:
        async with world() as w:
            show(w, "PROCESSING")
            w.send(50)
            await asyncio.sleep(5.0)
            show(w, ApiForbidden("key", status=status, code="NO"))
            w.api.shows.clear()
            await asyncio.sleep(3.0)
            held = len(w.api.gets)
            await asyncio.sleep(20.0)
            assert len(w.api.gets) == held
            w.api.shows.clear()
            show(w, "PROCESSED")
            w.pipeline.key_changed()
            await w.until(w.results, within=0.5)

    scenario()


@virtually
async def test_cancels_keep_to_their_budget() -> None:
    cancelled: list[float] = []

    async def cancel(run_type: str, run_id: str) -> Run:
        cancelled.append(asyncio.get_running_loop().time())
        return Run(id=run_id, run_type=run_type, status="CANCELLING")

    options = Options(
        on_timeout="cancel", writes_per_second=1.0, polling=PollingOptions(max_wait_ms=5_000, jitter_fraction=0)
    )
    async with world(options) as w:
        show(w, "PROCESSING")
        w.api.cancel = cancel  # type: ignore[method-assign]  # the fake of this one test
        w.send(20)
        await w.until(lambda: len(cancelled) == 20)
    assert all(b - a > 0.99 for a, b in itertools.pairwise(cancelled))


@virtually
async def test_a_run_that_was_bought_in_the_step_of_its_release_is_not_followed() -> None:
    async with world() as w:
        await asyncio.sleep(1.0)
        holding = w.holdings.of(P0)
        assert holding is not None
        w.kafka.lose(P0)
        w.follower.add(holding, entry_of())
        await asyncio.sleep(300.0)
        assert w.api.gets == []


@virtually
async def test_a_429_for_one_look_makes_every_look_wait() -> None:
    async with world() as w:
        w.api.shows["run_1"] = deque([ApiThrottled("slow down", retry_after=30.0), "PROCESSED"])
        w.send(5)
        await w.until(lambda: len(w.results()) == 5)
    first, *later = [at for at, _ in w.api.gets]
    open_already = [at for at in later if at - first < 0.02]
    assert all(at - first >= 30.0 for at in later[len(open_already) :])


@virtually
async def test_the_interval_grows_as_the_options_say() -> None:
    options = PollingOptions(fast_poll_duration_ms=5_000, max_delay_ms=10_000, jitter_fraction=0)
    async with world(Options(polling=options)) as w:
        show(w, "PROCESSING")
        w.send()
        await asyncio.sleep(300.0)
    times = [at for at, _ in w.api.gets]
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert all(abs(gap - 1.0) < 0.05 for gap in gaps[:3])
    assert all(abs(gap - 10.0) < 0.05 for gap in gaps[-5:])


@virtually
async def test_a_run_past_its_longest_wait_is_reported_and_followed_on() -> None:
    options = PollingOptions(max_wait_ms=10_000, jitter_fraction=0)
    async with world(Options(polling=options)) as w:
        show(w, *["PROCESSING"] * 60, "PROCESSED")
        w.send()
        await w.until(w.results)


@virtually
async def test_the_result_of_an_assignment_that_is_over_is_not_emitted() -> None:
    async with world() as w:
        w.api.get_seconds = 5.0
        w.send()
        await w.until(lambda: w.api.gets)
        w.kafka.lose(P0)
        await asyncio.sleep(60.0)
        assert w.results() == []
        assert len(w.api.gets) == 1  # nobody follows what is not ours
        w.kafka.assign(P0)
        await w.until(w.results)
        await asyncio.sleep(60.0)
        assert len(w.results()) == 1


@virtually
async def test_a_result_that_waits_for_its_commit_under_an_old_assignment_is_dropped_and_emitted_once() -> None:
    async with world() as w:
        w.send()
        await w.until(lambda: w.api.gets)
        w.kafka.hold()
        await asyncio.sleep(5.0)
        w.kafka.lose(P0)
        w.kafka.assign(P0)
        w.kafka.release()
        await w.until(w.results)
        await asyncio.sleep(60.0)
        assert [write.kind for write in w.kafka.dropped] == ["result"]
        assert len(w.results()) == 1


@pytest.mark.parametrize("committed", [True, False])
def test_an_unclear_end_of_the_results_transaction_makes_neither_none_nor_two(*, committed: bool) -> None:
    @virtually
    async def scenario() -> None:
        async with world() as w:
            w.send()
            await w.until(lambda: w.open(State.STARTED))
            w.kafka.unclear.append(committed)
            await w.until(lambda: w.results() and not w.open())
            await asyncio.sleep(60.0)
            assert len(w.results()) == 1
            assert not w.kafka.unclear

    scenario()


@virtually
async def test_a_settling_partition_still_emits_what_ends() -> None:
    async with world() as w:
        show(w, "PROCESSING", "PROCESSED")
        w.send()
        await w.until(lambda: w.api.gets)
        w.kafka.revoke(P0)
        await w.until(w.results)
        assert w.open() == []


@virtually
async def test_a_result_that_its_topic_refuses_is_sent_without_its_output() -> None:
    async with world() as w:
        w.kafka.too_large = lambda record: record.topic == "documents.processed" and b"1.50" in (record.value or b"")
        w.send()
        await w.until(w.results)
        (result,) = w.results("PROCESSED")
        assert (result["output"], result["output_state"], result["revision"]) == (None, "omitted", 1)
        assert w.open() == []
        assert w.kafka.stopped == set()


@virtually
@pytest.mark.parametrize("known", [True, False])
async def test_a_result_that_its_topic_refuses_is_a_failure_where_that_is_asked_for(known: bool) -> None:  # noqa: FBT001 - a case
    async with world(Options(oversize="fail", limit=150 if known else 1_000_000)) as w:
        w.kafka.too_large = lambda record: record.topic == "documents.processed"
        w.send()
        await w.until(w.results)
        (result,) = w.results("FAILED")
        assert (result["output"], result["failure_reason"]) == (None, "CONNECTOR_RESULT_TOO_LARGE")
        assert (result["run_id"], result["revision"]) == ("run_1", 1)
        assert w.results("PROCESSED") == []
        assert w.open() == []
        assert w.sample("results_produced_total", topic="documents.failed") == 1
        assert w.sample("own_ends_total", reason="CONNECTOR_RESULT_TOO_LARGE") == 1


@virtually
async def test_a_review_that_does_not_fit_is_a_failure_and_its_decision_still_comes_out() -> None:
    async with world(Options(oversize="fail")) as w:
        w.kafka.too_large = lambda record: record.topic == "documents.needs-review"
        show(w, "NEEDS_REVIEW", "PROCESSED")
        w.send()
        await w.until(lambda: w.results("PROCESSED"))
        (failed,), (decided,) = w.results("FAILED"), w.results("PROCESSED")
        assert (failed["failure_reason"], failed["revision"]) == ("CONNECTOR_RESULT_TOO_LARGE", 1)
        assert (decided["output_state"], decided["revision"]) == ("inline", 2)
        assert w.open() == []


@virtually
async def test_a_result_that_is_refused_in_every_form_stays_open_and_is_tried_again() -> None:
    async with world() as w:
        w.kafka.too_large = lambda record: record.topic == "documents.processed"
        w.send()
        await asyncio.sleep(120.0)
        assert len(w.open(State.STARTED)) == 1
        assert w.sample("produce_errors_total", error="MSG_SIZE_TOO_LARGE") > 1
        w.kafka.too_large = lambda _record: False
        await w.until(w.results)


@virtually
async def test_a_result_over_the_known_limit_never_goes_to_the_topic_with_its_output() -> None:
    async with world(Options(limit=150)) as w:
        w.send()
        await w.until(w.results)
        assert w.results()[0]["output_state"] == "omitted"


@virtually
async def test_thousands_of_restored_runs_are_not_asked_about_in_one_instant() -> None:
    async with world() as before:
        show(before, "PROCESSING")
        before.send(300)
        await before.until(lambda: len(before.open(State.STARTED)) == 300)
    async with world(kafka=before.kafka) as w:
        w.api.answer = lambda _post: Answer()
        await w.until(lambda: len(w.results()) == 300, within=60.0)
        assert w.api.posts == []
