"""Transactions that end in an unclear way, and rebalances while POSTs are open."""

from __future__ import annotations

import asyncio

from confluent_kafka import Producer

from connector.simulator.rules import Rule
from tests.guarantees.scene import HOUR, OPEN, SECONDS, Scene, assert_once, eventually, open_scene
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import UniqueName


def _fence(scene: Scene, transactional_id: str) -> None:
    """Another producer takes the id: what the old one has open is aborted, and it can write no more."""
    usurper = Producer(
        {"bootstrap.servers": scene.kafka.bootstrap_servers, "transactional.id": transactional_id, "log_level": 0},
    )
    usurper.init_transactions(SECONDS)


async def test_a_fenced_producer_is_replaced_and_nothing_is_lost_or_doubled(scene: Scene) -> None:
    names = [f"doc-{number}" for number in range(60)]
    async with scene.worker() as worker:
        for wave in range(3):
            await scene.write(*names[wave * 20 : wave * 20 + 10])
            await worker.until("runs_started_total", wave * 20 + 3)
            await asyncio.to_thread(_fence, scene, worker.client_id)
            await scene.write(*names[wave * 20 + 10 : wave * 20 + 20])
            await worker.until("fenced_transactions_total", wave + 1)
        history = await scene.until_results(60)

        assert worker.metric("rebalances_total", kind="assigned") == 1, "it has left the group"
        assert worker.metric("rebalances_total", kind="lost") == 0
        assert worker.metric("rebalances_total", kind="revoked") == 0
        assert worker.metric("unclear_starts_total") == 0

    assert_once(history, names)
    assert history.committed == history.marks == {scene.partition(0): 30, scene.partition(1): 30}


async def test_answers_of_open_posts_survive_a_fenced_producer(scene: Scene) -> None:
    names = [f"doc-{number}" for number in range(8)]
    scene.faults(Rule(kind="delay", action="create", seconds=2, count=8))
    await scene.write(*names)
    async with scene.worker() as worker:
        await eventually(lambda: len(scene.runs) == 8, "all runs are created and no POST is answered")
        await asyncio.to_thread(_fence, scene, worker.client_id)
        await scene.write("late")  # its intent's transaction is the one that is refused
        history = await scene.until_results(9)

        assert worker.metric("fenced_transactions_total") >= 1
        assert worker.metric("unclear_starts_total") == 0

    assert_once(history, [*names, "late"])


async def test_a_rebalance_waits_for_open_posts_and_parks_nothing(kafka: Kafka, unique_name: UniqueName) -> None:
    async with open_scene(kafka, unique_name("g"), settings=OPEN) as scene:
        names = [f"doc-{number}" for number in range(8)]
        scene.faults(Rule(kind="delay", action="create", seconds=2, count=8))
        await scene.write(*names)
        async with scene.worker() as first:
            await eventually(lambda: len(scene.runs) == 8, "all runs are created and no POST is answered")
            async with scene.worker() as second:
                await second.until("assigned_partitions", 1)
                await second.until_is("restored_documents_total", 4)
                scene.api_time.forward(HOUR)
                history = await scene.until_results(8)

                assert first.metric("rebalances_total", kind="revoked") == 1
                assert first.metric("unclear_starts_total") == second.metric("unclear_starts_total") == 0

        assert_once(history, names)


async def test_the_broker_side_protocol_carries_and_hands_over(kafka: Kafka, unique_name: UniqueName) -> None:
    async with open_scene(kafka, unique_name("g")) as scene:
        config = scene.config(properties={"group.protocol": "consumer"})
        names = [f"doc-{number}" for number in range(24)]
        async with scene.worker(config) as first:
            await scene.write(*names[:8])
            await scene.until_results(8)
            async with scene.worker(config) as second:
                await second.until("assigned_partitions", 1)
                await scene.write(*names[8:16])
                await scene.until_results(16)
                assert first.metric("assigned_partitions") == 1
                assert second.metric("records_consumed_total") == 4
            await scene.write(*names[16:])
            history = await scene.until_results(24)
            assert first.metric("unclear_starts_total") == 0

    assert_once(history, names)
    assert history.committed == history.marks == {scene.partition(0): 12, scene.partition(1): 12}
