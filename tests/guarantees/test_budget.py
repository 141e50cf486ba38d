"""Workers divide the plan's requests by their partitions, and anew at every rebalance."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from connector.simulator.limits import Category
from connector.simulator.settings import Settings
from tests.chaos.processes import Fleet, Worker
from tests.guarantees.processes import start
from tests.guarantees.scene import HOUR, OPEN, Scene, assert_once, open_scene
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import UniqueName

DOCUMENTS = 60
PARTITIONS = 6
BUDGET = 10.0
"""GETs per second for all workers together. Each open run asks for as many for itself, so all of it is used."""
WINDOW_SECONDS = 5.0
MOST = 1.6
"""Times the budget in any window: two workers that do not divide it ask twice as much, and what piles up while this
process, the API's too, gets no time for some seconds arrives at once."""
MEASURED_SECONDS = 8.0
REBALANCED_SECONDS = 60.0
STOP_SECONDS = 25.0


def budget_share(worker: Worker) -> float:
    return round(worker.metric("extend_connector_budget_share"), 3)


def gets(worker: Worker) -> float:
    return worker.metric("extend_connector_api_requests_total")


async def until(holds: Callable[[], bool], within: float = REBALANCED_SECONDS) -> None:
    """Wait for what processes say, without holding up the API that runs here."""
    deadline = time.monotonic() + within
    while not await asyncio.to_thread(holds):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


def record_gets(scene: Scene) -> list[float]:
    """When the API is asked for something, from now on."""
    instants: list[float] = []
    statistics = scene.simulator.engine.statistics
    count = statistics.arrived

    def arrived(category: Category, now: float) -> None:
        if category == "GET":
            instants.append(now)
        count(category, now)

    statistics.arrived = arrived  # type: ignore[method-assign]  # it counts on
    return instants


def most_in_a_window(instants: list[float]) -> int:
    first = most = 0
    for last, instant in enumerate(instants):
        while instants[first] <= instant - WINDOW_SECONDS:
            first += 1
        most = max(most, last - first + 1)
    return most


async def test_two_workers_together_stay_within_the_plan_while_one_comes_and_goes(
    kafka: Kafka, unique_name: UniqueName, fleet: Fleet
) -> None:
    settings = Settings(lifetimes=OPEN.lifetimes)
    names = [f"doc-{number}" for number in range(DOCUMENTS)]
    limits = {"get": BUDGET, "write": None, "run": None, "files_per_minute": None}
    async with open_scene(kafka, unique_name("g"), partitions=PARTITIONS, settings=settings) as scene:
        instants = record_gets(scene)

        def run(name: str) -> Worker:
            extend = {"limits": limits, "budget_share": "100%"}
            return start(fleet, scene, name, extend=extend, follow={"sweep_interval": None})

        async def rate() -> float:
            before, begun = len(instants), time.monotonic()
            await asyncio.sleep(MEASURED_SECONDS)
            return (len(instants) - before) / (time.monotonic() - begun)

        one = run("one")
        await until(lambda: one.ready and budget_share(one) == 1.0)
        await scene.write(*names)
        await scene.runs_at_least(DOCUMENTS)
        alone = await rate()

        two = run("two")
        await until(lambda: two.ready and budget_share(one) == budget_share(two) == 0.5)
        asked = [await asyncio.to_thread(gets, worker) for worker in (one, two)]
        together = await rate()
        asked = [
            await asyncio.to_thread(gets, worker) - before for worker, before in zip((one, two), asked, strict=True)
        ]

        assert await asyncio.to_thread(two.process.terminate, STOP_SECONDS) == 0
        await until(lambda: budget_share(one) == 1.0)
        again = await rate()
        scene.api_time.forward(HOUR)
        history = await scene.until_results(DOCUMENTS, within=60.0)
        assert await asyncio.to_thread(one.process.terminate, STOP_SECONDS) == 0

    assert_once(history, names)
    assert most_in_a_window(instants) <= MOST * BUDGET * WINDOW_SECONDS
    assert min(alone, together, again) > 0.6 * BUDGET
    assert all(0.3 < each / sum(asked) < 0.7 for each in asked)
