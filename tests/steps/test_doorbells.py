"""Doorbells and the worker: they save requests while they ring, and early, lost and false ones cost no result."""

from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from connector.core.entry import Entry, State
from connector.core.errors import ApiUnavailable
from connector.core.signals.signal import Doorbell
from tests.fakes.api import Answer
from tests.fakes.virtual_time import virtually
from tests.steps.unclear import quiet
from tests.steps.world import P0, Options, World, world

SAFETY = 30.0
RINGING = Options(sweep_interval=1.0, safety_interval=SAFETY)


async def flow(w: World, number: int, *, ring: bool = True) -> None:
    """So many runs begin and end, one each second."""
    w.api.always_shows = ("PROCESSED",)
    for _ in range(number):
        known = {entry.run_id for entry in w.open(State.STARTED)}
        w.send()
        await w.until(lambda known=known: {entry.run_id for entry in w.open(State.STARTED)} - known)  # type: ignore[misc]
        (entry,) = (entry for entry in w.open(State.STARTED) if entry.run_id not in known)
        await asyncio.sleep(1.0)
        if ring:
            w.pipeline.heard([Doorbell(entry.tag, entry.run_id or "")])
        w.api.move(entry.run_id or "", "PROCESSED")


async def the_start(w: World) -> Entry:
    """The document whose POST is open."""
    await w.until(lambda: w.api.open_posts and w.open())
    (entry,) = w.open()
    return entry


@virtually
async def test_while_webhooks_ring_lists_are_read_as_a_safety_net_only() -> None:
    async with world(RINGING) as w:
        await flow(w, 10)
        await w.until(lambda: not w.open())
        pages, gets, results = len(w.api.pages), len(w.api.gets), len(w.results())
        await flow(w, 100)
        await w.until(lambda: not w.open())
        assert len(w.results()) == results + 100
        assert len(w.api.gets) - gets <= 101
        assert len(w.api.pages) - pages <= 8
        w.follower.report()
        assert w.sample("webhooks_state", route="documents", state="ringing") == 1.0
        assert w.sample("webhooks_state", route="others", state="unproven") == 1.0
        assert w.sample("webhooks_announced_share", route="documents") == 1.0


@virtually
async def test_a_run_whose_webhook_is_lost_is_found_by_the_safety_net() -> None:
    async with world(RINGING) as w:
        await flow(w, 10)
        await w.until(lambda: not w.open())
        w.api.always_shows = ("PROCESSING",)
        w.send(2)
        await w.until(lambda: len(w.open(State.STARTED)) == 2)
        await asyncio.sleep(40.0)
        w.follower.report()
        assert w.sample("sweep_state", run_type="extract", state="stretched") == 1.0
        assert w.sample("sweep_state", run_type="extract", state="sweeping") == 0.0
        results = len(w.results())
        w.api.move(w.open(State.STARTED)[0].run_id or "", "PROCESSED")
        await w.until(lambda: len(w.results()) == results + 1, within=SAFETY + 1.0)


@virtually
async def test_silence_is_told_and_lists_are_read_at_full_pace_again() -> None:
    async with world(RINGING) as w:
        with capture_logs() as logs:
            await flow(w, 10)
            w.follower.report()
            await flow(w, 60, ring=False)
            w.follower.report()
            pages = len(w.api.pages)
            await flow(w, 20, ring=False)
        assert len(w.api.pages) - pages >= 18
        assert w.sample("webhooks_state", route="documents", state="silent") == 1.0
        told = [(line["event"], line["log_level"]) for line in logs if line["event"].startswith("webhooks_")]
        assert told == [("webhooks_ringing", "info"), ("webhooks_silent", "warning")]
        assert {line["reason"] for line in logs if line["event"] == "webhooks_silent"} <= {"few", "quiet"}


@virtually
async def test_a_doorbell_before_the_answer_to_its_start_is_kept_and_costs_one_get() -> None:
    async with world(Options(sweep_interval=30.0)) as w:
        w.api.answer = lambda _post: Answer(after=5.0)
        w.send()
        entry = await the_start(w)
        w.pipeline.heard([Doorbell(entry.tag, "run_1")] * 3)
        await asyncio.sleep(3.0)
        assert w.api.gets == []
        await w.until(w.results, within=3.0)
        assert [run for _, run in w.api.gets] == ["run_1"]
        assert [result["observed_via"] for result in w.results()] == ["webhook"]
        assert w.sample("signals_total", kind="doorbell", result="used") == 3.0


@virtually
async def test_a_doorbell_before_an_answer_that_is_lost_finds_the_run() -> None:
    async with quiet() as w:
        w.api.script.append(Answer(ApiUnavailable("no answer"), after=5.0, bought=True))
        w.send()
        entry = await the_start(w)
        w.pipeline.heard([Doorbell(entry.tag, "run_1")])
        await asyncio.sleep(1.0)
        assert ("hint", "run_1") not in w.finder.asked
        await w.until(w.results, within=10.0)
        assert w.sample("unclear_starts_total", end="adopted") == 1.0
        assert w.api.bought[str(entry.tag)] == 1


@virtually
async def test_a_doorbell_for_another_run_than_the_answer_names_costs_nothing() -> None:
    async with world(Options(sweep_interval=30.0)) as w:
        w.api.answer = lambda _post: Answer(after=5.0)
        w.api.always_shows = ("PROCESSING",)
        w.send()
        entry = await the_start(w)
        w.pipeline.heard([Doorbell(entry.tag, "run_99")])
        await asyncio.sleep(60.0)
        assert w.open(State.STARTED)
        assert w.api.gets == []


@virtually
async def test_what_a_doorbell_was_kept_for_goes_with_the_partition() -> None:
    async with world(Options(sweep_interval=30.0)) as w:
        w.api.answer = lambda _post: Answer(after=5.0)
        w.send()
        entry = await the_start(w)
        w.pipeline.heard([Doorbell(entry.tag, "run_1")])
        w.kafka.lose(P0)
        await asyncio.sleep(60.0)
        assert w.api.gets == []
        assert w.clarifier._early == {}


@virtually
async def test_the_state_in_a_payload_is_not_believed() -> None:
    """A doorbell says that something changed; the result is what the API's own GET shows."""
    async with world(Options(sweep_interval=30.0)) as w:
        w.api.always_shows = ("PROCESSING", "FAILED")
        w.send()
        await w.until(lambda: w.open(State.STARTED))
        (entry,) = w.open()
        w.pipeline.heard([Doorbell(entry.tag, entry.run_id or "")])
        await asyncio.sleep(5.0)
        assert len(w.api.gets) == 1
        assert w.results() == []
        w.pipeline.heard([Doorbell(entry.tag, entry.run_id or "")])
        await w.until(w.results, within=5.0)
        assert [result["status"] for result in w.results()] == ["FAILED"]
