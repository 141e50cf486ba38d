"""A broker that dies in the middle of the work: everything comes out once, and the worker lives on."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

import pytest

from tests.chaos.processes import Fleet, Worker
from tests.guarantees.processes import start
from tests.guarantees.scene import HOUR, OPEN, SECONDS, Scene, assert_once, eventually, open_scene
from tests.kafka.cluster import KafkaCluster
from tests.kafka.fixtures import UniqueName

COUNT = 60
RECOVERED_SECONDS = 90.0
COORDINATORS = 4
"""Partitions of Kafka's own topics in the test cluster."""


def _group_coordinator(cluster: KafkaCluster, scene: Scene, _worker: Worker) -> int:
    described = cluster.admin.describe_consumer_groups([scene.name])[scene.name].result(SECONDS)
    return int(described.coordinator.id)


def _transaction_coordinator(cluster: KafkaCluster, scene: Scene, _worker: Worker) -> int:
    described = cluster.admin.describe_consumer_groups([scene.name])[scene.name].result(SECONDS)
    (member,) = described.members  # its client id is its transactional id
    place = abs(_java_hash(member.client_id)) % COORDINATORS
    return cluster.leader("__transaction_state", place)


def _java_hash(text: str) -> int:
    """``String.hashCode``, by which Kafka places a transactional id."""
    value = 0
    for char in text:
        value = (31 * value + ord(char)) & 0xFFFFFFFF
    return value - (1 << 32) if value & 0x80000000 else value


@pytest.mark.timeout(240)
@pytest.mark.parametrize("who", [_group_coordinator, _transaction_coordinator])
async def test_a_dead_broker_loses_and_doubles_nothing(
    three_node_kafka: KafkaCluster,
    unique_name: UniqueName,
    fleet: Fleet,
    who: Callable[[KafkaCluster, Scene, Worker], int],
) -> None:
    names = [f"doc-{number}" for number in range(COUNT)]
    async with open_scene(three_node_kafka, unique_name("g"), partitions=3) as scene:
        worker = start(fleet, scene, "worker", session=20, transaction=15)
        await scene.write(*names[:20])
        await scene.until(lambda h: len(h.results) >= 5, within=2 * SECONDS)
        node = await asyncio.to_thread(who, three_node_kafka, scene, worker)
        writing = asyncio.create_task(scene.write(*names[20:]))
        await scene.runs_at_least(25)
        await asyncio.to_thread(three_node_kafka.kill_node, node)
        try:
            await writing
            history = await scene.until_results(COUNT, within=RECOVERED_SECONDS)
        finally:
            # From this thread: the broker must live as long as the thread that started it.
            three_node_kafka.start_node(node)
        code = await asyncio.to_thread(worker.process.terminate, 25)

    assert code == 0, "nobody started it anew"
    assert_once(history, names)


AWAY_SECONDS = float(os.environ.get("BROKERS_AWAY_SECONDS", "25"))
"""How long all brokers are away; longer than a session, a transaction's timeout and the watchdog's patience."""


@pytest.mark.timeout(AWAY_SECONDS + 300)
async def test_while_all_brokers_are_away_a_worker_lives_on_and_nothing_is_lost(
    three_node_kafka: KafkaCluster, unique_name: UniqueName, fleet: Fleet
) -> None:
    names = [f"doc-{number}" for number in range(COUNT)]
    async with open_scene(three_node_kafka, unique_name("g"), partitions=3, settings=OPEN) as scene:
        worker = start(fleet, scene, "worker", session=20, transaction=15)
        await scene.write(*names)
        await scene.until(lambda h: [entry.state for entry in h.open_entries] == ["started"] * COUNT)
        nodes = (1, 2, 3)
        for node in nodes:
            await asyncio.to_thread(three_node_kafka.kill_node, node)
        try:
            scene.api_time.forward(HOUR)  # the runs end while nobody can write their results down
            away = time.monotonic()
            await eventually(lambda: not worker.ready, "the worker says that it is not ready", within=60)
            while time.monotonic() - away < AWAY_SECONDS:
                assert worker.process.running, worker.process.log_tail()
                assert worker.live
                await asyncio.sleep(1)
        finally:
            # All at once, for one alone has no quorum; and from this thread, as long as which a broker lives.
            for node in nodes[:-1]:
                three_node_kafka.node(node).process.start()
            three_node_kafka.start_node(nodes[-1])
        history = await scene.until_results(COUNT, within=2 * RECOVERED_SECONDS)
        await asyncio.to_thread(worker.wait_ready)
        assert await asyncio.to_thread(worker.process.terminate, 25) == 0

    assert_once(history, names)
