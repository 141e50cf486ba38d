"""The client over real HTTP against the simulated API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from connector.adapters.http import HttpApi
from connector.client import ExtendClient
from connector.core.budgets.budget import TokenBucket
from connector.core.errors import (
    ApiError,
    ApiForbidden,
    ApiNotFound,
    ApiRefused,
    ApiThrottled,
    ApiUnavailable,
    ApiUnreadable,
    NotSent,
    PollingTimeoutError,
)
from connector.core.follow.polling import PollingOptions
from connector.core.outcome import Refused, RefusedForGood, Systemic, Unclear, outcome_of
from connector.core.run import Run
from connector.core.run_types import RUN_TYPES
from connector.simulator.rules import Rule
from connector.simulator.server import SimulatorServer
from connector.simulator.settings import Lifetimes, Limits, Settings

FILE = {"url": "https://files.example.com/invoice.pdf"}
BODIES: dict[str, dict[str, object]] = {
    "extract": {"extractor": {"id": "ex_1"}, "file": FILE, "metadata": {"kafka_connector": {"tag": "a/b/0/1#x"}}},
    "classify": {"classifier": {"id": "cl_1"}, "file": FILE},
    "split": {"splitter": {"id": "spl_1"}, "file": FILE},
    "parse": {"file": FILE},
    "edit": {"file": FILE},
    "workflow": {"workflow": {"id": "workflow_1"}, "file": FILE},
}
QUICK = Lifetimes(median=0.05, spread=0)
EAGER = PollingOptions(fast_poll_interval_ms=20)


@asynccontextmanager
async def simulated(
    *rules: Rule, lifetimes: Lifetimes = QUICK, limits: Limits | None = None, key: str = "sk_test"
) -> AsyncIterator[tuple[SimulatorServer, ExtendClient]]:
    settings = Settings(lifetimes=lifetimes, rules=rules, limits=limits or Limits())
    async with SimulatorServer(settings=settings) as simulator:
        client = ExtendClient(HttpApi(simulator.base_url, key))
        try:
            yield simulator, client
        finally:
            await client.aclose()


def install(simulator: SimulatorServer, *rules: Rule) -> None:
    """Let these faults happen from now on."""
    simulator.engine.faults.install(rules, simulator.engine.clock.monotonic())


def created(simulator: SimulatorServer) -> int:
    """How many runs were bought."""
    return len(simulator.engine.ledger.lines().splitlines())


@pytest.mark.parametrize("run_type", RUN_TYPES)
async def test_every_run_type_is_created_followed_and_read(run_type: str) -> None:
    async with simulated() as (simulator, client):
        run = await client.create_and_poll(run_type, BODIES[run_type], EAGER)
        assert (run.status, run.run_type) == ("PROCESSED", run_type)
        assert run.output is not None
        json.loads(run.output)
        assert run.credits is not None
        assert await client.get(run_type, run.id) == run
        assert created(simulator) == 1
    assert run.tag == ("a/b/0/1#x" if run_type == "extract" else None)


@pytest.mark.parametrize("run_type", [name for name, row in RUN_TYPES.items() if row.sync_path])
async def test_every_synchronous_endpoint_answers_with_the_ended_run(run_type: str) -> None:
    async with simulated() as (_, client):
        run = await client.run_sync(run_type, BODIES[run_type])
    assert run.status == "PROCESSED"
    assert run.output is not None


@pytest.mark.parametrize("run_type", RUN_TYPES)
async def test_a_list_shows_every_run_once(run_type: str) -> None:
    async with simulated() as (_, client):
        runs = [await client.create(run_type, BODIES[run_type]) for _ in range(7)]
        rows = [row async for page in client.list(run_type, page_size=3) for row in page.rows]
    assert sorted(row.id for row in rows) == sorted(run.id for run in runs)
    assert all(row.created_ms for row in rows)
    assert {row.tag for row in rows} == {"a/b/0/1#x" if run_type == "extract" else None}


async def test_a_running_run_is_cancelled_and_an_ended_one_is_not() -> None:
    async with simulated(lifetimes=Lifetimes(median=60)) as (_, client):
        run = await client.create("extract", BODIES["extract"])
        assert (await client.cancel("extract", run.id)).status == "CANCELLED"
        with pytest.raises(ApiError):
            await client.cancel("extract", run.id)


async def test_a_probe_creates_nothing() -> None:
    async with simulated() as (simulator, client):
        assert [await client.probe(name) for name in RUN_TYPES] == [True] * len(RUN_TYPES)
        assert created(simulator) == 0


async def test_the_simulated_errors_are_told_by_class() -> None:
    async with simulated() as (_, client):
        with pytest.raises(ApiNotFound):
            await client.get("extract", "exr_none")
        with pytest.raises(ApiRefused) as caught:
            await client.create("extract", {"extractor": {"id": "ex_1"}})
        assert isinstance(outcome_of(caught.value), RefusedForGood)
        assert caught.value.request_id
    async with simulated(key="no_key") as (_, client):
        with pytest.raises(ApiForbidden) as forbidden:
            await client.create("extract", BODIES["extract"])
        assert isinstance(outcome_of(forbidden.value), Systemic)


async def test_a_limit_is_a_certain_refusal_with_a_wait() -> None:
    async with simulated(limits=Limits(run=1)) as (simulator, client):
        await client.create("extract", BODIES["extract"])
        with pytest.raises(ApiThrottled) as caught:
            await client.create("extract", BODIES["extract"])
        outcome = outcome_of(caught.value)
        assert isinstance(outcome, Refused)
        assert outcome.retry_after is not None
        assert created(simulator) == 1


@pytest.mark.parametrize(
    "rule",
    [
        Rule(kind="error", status=500, stage="after"),
        Rule(kind="error", status=503, stage="before"),
        Rule(kind="reset", stage="after"),
        Rule(kind="reset", stage="before"),
        Rule(kind="hang", stage="after"),
        Rule(kind="drip", seconds=0.2),
        Rule(kind="html", status=200),
        Rule(kind="html", status=404),
        Rule(kind="no_id"),
        Rule(kind="truncated"),
        Rule(kind="redirect"),
        Rule(kind="oversized", size=8 * 1024 * 1024),
        Rule(kind="late", seconds=0.1),
    ],
    ids=lambda rule: f"{rule.kind}-{rule.status}-{rule.stage}",
)
async def test_every_fault_of_a_create_is_unclear_and_sent_once(rule: Rule) -> None:
    async with simulated(rule) as (simulator, client):
        with pytest.raises(ApiUnavailable) as caught:
            await client.create("extract", BODIES["extract"], deadline=0.5)
        assert not isinstance(caught.value, NotSent)
        assert isinstance(outcome_of(caught.value), Unclear)
        await asyncio.sleep(0.2)
        assert created(simulator) <= 1
        assert simulator.engine.faults.report()[0]["seen"] == 1, "it was sent once"


async def test_the_run_of_an_abandoned_create_is_still_heard_of() -> None:
    heard: asyncio.Future[Run | ApiError] = asyncio.get_running_loop().create_future()
    async with simulated(Rule(kind="delay", seconds=0.5, action="create")) as (_, client):
        with pytest.raises(ApiUnavailable):
            await client.create("extract", BODIES["extract"], deadline=0.1, late=heard.set_result)
        run = await asyncio.wait_for(heard, 30)
        assert isinstance(run, Run)
        assert (await client.get("extract", run.id)).tag == "a/b/0/1#x"


async def test_reads_that_fail_again_and_again_lose_no_run() -> None:
    rules = [
        Rule(kind="error", status=503, action="get", nth=1),
        Rule(kind="reset", action="get", count=1),
        Rule(kind="throttle", action="get", retry_after="0", count=1),
        Rule(kind="truncated", action="get", count=1),
    ]
    async with simulated(*rules) as (simulator, client):
        quick = ExtendClient(client._http, sleep=lambda seconds: asyncio.sleep(seconds / 50))
        run = await quick.create_and_poll("extract", BODIES["extract"], EAGER)
        assert run.status == "PROCESSED"
        assert created(simulator) == 1
        assert [each["hits"] for each in simulator.engine.faults.report()] == [1, 1, 1, 1]


async def test_a_wait_that_ends_leaves_the_run_to_be_read_later() -> None:
    async with simulated(lifetimes=Lifetimes(median=0.5, spread=0)) as (_, client):
        options = PollingOptions(max_wait_ms=100, fast_poll_interval_ms=20)
        with pytest.raises(PollingTimeoutError) as caught:
            await client.create_and_poll("extract", BODIES["extract"], options)
        assert (await client.poll("extract", caught.value.run_id, EAGER)).status == "PROCESSED"


async def test_a_list_page_of_five_megabytes_is_read_and_one_without_an_end_is_not() -> None:
    async with simulated(lifetimes=Lifetimes(median=60)) as (simulator, client):
        run = await client.create("extract", BODIES["extract"])
        install(simulator, Rule(kind="oversized", action="list", size=5_000_000, count=1))
        pages = [page async for page in client.list("extract")]
        assert [row.id for page in pages for row in page.rows] == [run.id]
        install(simulator, Rule(kind="oversized", action="list", size=70_000_000, count=1))
        with pytest.raises(ApiUnreadable) as caught:
            await anext(client.list("extract"))
        assert caught.value.reason == "TOO_LARGE"
        assert [row.id async for page in client.list("extract") for row in page.rows] == [run.id]


async def test_with_a_plan_that_is_set_five_times_too_high_429s_stay_few_and_reads_go_on() -> None:
    async with simulated(lifetimes=Lifetimes(median=600), limits=Limits(get=10)) as (_, client):
        run = await client.create("extract", BODIES["extract"])
        loop = asyncio.get_running_loop()
        bucket, answers, refused = TokenBucket(50.0), 0, 0
        while answers < 60:
            await asyncio.sleep(bucket.wait(loop.time()))
            bucket.take(loop.time())
            try:
                await client.get("extract", run.id)
            except ApiThrottled as error:
                refused += 1
                bucket.throttled(loop.time(), error.retry_after)
            else:
                answers += 1
    assert 1 <= refused <= 15  # unpaced, it would be four of five


async def test_the_schema_of_an_extractor_is_read() -> None:
    async with simulated() as (_, client):
        schema = await client.extractor_schema("ex_1", "latest")
    assert isinstance(schema, dict)
    assert list(schema["properties"]) == ["invoice_number", "date", "supplier", "total"]
