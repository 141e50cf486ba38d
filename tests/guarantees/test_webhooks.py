"""From the API's webhook through the ingress and the signals topic to the worker that owns the document."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx

from connector.adapters.metrics import Metrics
from connector.config import Secret
from connector.config.sections import Follow, Start, Webhook
from connector.simulator.rules import Rule
from connector.simulator.settings import Lifetimes
from connector.webhook.endpoint import PATH
from connector.webhook.ingress import Ingress, find_topic
from tests.guarantees.scene import QUICK, Scene, assert_once, eventually, open_scene
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import UniqueName
from tests.simulator.conftest import HEADERS

SECONDS = 90.0
MOST_RUNS = 150


@asynccontextmanager
async def ingress(scene: Scene) -> AsyncIterator[Ingress]:
    """An ingress that the API knows by an endpoint of its own."""
    body = {
        "url": "http://127.0.0.1:1/",
        "name": "ingress",
        "enabledEvents": ["parse_run.processed", "parse_run.failed"],
        "apiVersion": "2026-02-09",
    }
    async with httpx.AsyncClient(base_url=scene.simulator.base_url, headers=HEADERS, trust_env=False) as api:
        made: dict[str, Any] = (await api.post("/webhook_endpoints", json=body)).json()
        secret = Secret(made["signingSecret"])
        config = scene.config(webhook=Webhook(host="127.0.0.1", port=0, secrets=(secret,)))
        topic = await asyncio.to_thread(find_topic, config)
        process = Ingress(config, topic, metrics=Metrics(), read_secrets=lambda: (secret,))
        task = asyncio.create_task(process.run())
        await eventually(lambda: process.port is not None or task.done(), "the ingress listens")
        await api.post(f"/webhook_endpoints/{made['id']}", json={"url": f"http://127.0.0.1:{process.port}{PATH}"})
    try:
        yield process
    finally:
        process.stop()
        await task


async def test_a_webhook_finds_the_run_of_a_lost_answer_while_no_list_works(
    kafka: Kafka, unique_name: UniqueName
) -> None:
    # Long enough that the start is known to be unclear before its run ends.
    settings = replace(QUICK, lifetimes=Lifetimes(median=5.0, spread=0.0))
    async with open_scene(kafka, unique_name("g"), settings=settings) as scene, ingress(scene):
        scene.faults(
            Rule(kind="reset", stage="after", action="create", count=1), Rule(kind="error", status=503, action="list")
        )
        async with scene.worker(scene.config(start=Start(deadline=5.0, settle=600.0))) as worker:
            await scene.write("a")
            history = await scene.until_results(1, within=SECONDS)
            assert worker.metric("signals_total", kind="doorbell", result="used") == 1
            assert worker.metric("unclear_starts_total", end="adopted") == 1
    assert_once(history, ["a"])


async def test_webhooks_are_counted_on_while_they_ring_and_what_ends_without_them_is_found(
    kafka: Kafka, unique_name: UniqueName
) -> None:
    settings = replace(QUICK, lifetimes=Lifetimes(median=3.0, spread=0.0))
    follow = Follow(mode="webhook", safety_interval=5.0)
    names: list[str] = []
    async with (
        open_scene(kafka, unique_name("g"), settings=settings) as scene,
        scene.worker(scene.config(follow=follow)) as worker,
    ):
        async with ingress(scene):
            while worker.metric("webhooks_state", route="documents", state="ringing") != 1:
                assert len(names) < MOST_RUNS, "webhooks are not counted on"
                names.append(f"rings-{len(names)}")
                await scene.write(names[-1])
                await asyncio.sleep(1.0)
            await scene.until_results(len(names), within=SECONDS)
            assert worker.metric("signals_total", kind="doorbell", result="used") > 0
        lost = [f"silent-{number}" for number in range(3)]
        await scene.write(*lost)
        history = await scene.until_results(len(names) + len(lost), within=SECONDS)
    assert_once(history, [*names, *lost])
