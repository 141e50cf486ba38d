"""Where reading begins: the journal's mark protects the money, an operator's will is obeyed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from confluent_kafka import ConsumerGroupTopicPartitions

from connector.config.sections import Input
from tests.guarantees.running import Lines
from tests.guarantees.scene import SECONDS, Scene, assert_once, position, reference


async def _set_offset(scene: Scene, offset: int) -> None:
    """What kafka-consumer-groups.sh --reset-offsets does to partition 0."""
    request = ConsumerGroupTopicPartitions(scene.name, [position(scene.partition(0), offset)])
    answers = await asyncio.to_thread(scene.admin.alter_consumer_group_offsets, [request])
    await asyncio.to_thread(answers[scene.name].result, SECONDS)


async def test_deleted_group_offsets_buy_nothing_again(scene: Scene, lines: Lines) -> None:
    names = [f"doc-{number}" for number in range(10)]
    await scene.write(*names)
    async with scene.worker():
        await scene.until_results(10)
    deleted = await asyncio.to_thread(scene.admin.delete_consumer_groups, [scene.name])
    await asyncio.to_thread(deleted[scene.name].result, SECONDS)
    await scene.write("new-0", "new-1")

    async with scene.worker() as second:
        history = await scene.until_results(12)
        assert second.metric("positions_reset_total", reason="offsets_behind") == 2

    assert_once(history, [*names, "new-0", "new-1"])
    told = {(line["partition"], line["committed"], line["mark"]) for line in lines.of("position_differs")}
    assert told == {(f"{scene.topic}/0", None, 5), (f"{scene.topic}/1", None, 5)}


async def test_offsets_moved_forward_are_obeyed(scene: Scene) -> None:
    await scene.write("a", "b", partition=0)
    async with scene.worker():
        await scene.until_results(2)
    await scene.write("skipped-0", "skipped-1", "c", partition=0)
    await _set_offset(scene, 4)

    async with scene.worker() as second:
        history = await scene.until_results(3)
        assert second.metric("positions_reset_total", reason="offsets_ahead") == 1

    assert_once(history, ["a", "b", "c"])
    assert history.committed == history.marks == {scene.partition(0): 5}


async def test_offsets_moved_back_below_the_mark_are_not_obeyed(scene: Scene) -> None:
    await scene.write("a", "b", "c", partition=0)
    async with scene.worker():
        await scene.until_results(3)
    await _set_offset(scene, 1)
    await scene.write("d", partition=0)

    async with scene.worker() as second:
        history = await scene.until_results(4)
        assert second.metric("positions_reset_total", reason="offsets_behind") == 1

    assert_once(history, ["a", "b", "c", "d"])
    assert history.committed == history.marks == {scene.partition(0): 4}


async def test_a_new_connector_begins_at_the_instant_that_it_is_told(scene: Scene) -> None:
    await scene.write_record(reference("old"), age=120)
    await scene.write_record(reference("new"))

    config = scene.config(input=Input(start=datetime.now(UTC) - timedelta(seconds=60)))
    async with scene.worker(config):
        history = await scene.until_results(1)

    assert_once(history, ["new"])
    assert history.committed == history.marks == {scene.partition(0): 2}


async def test_a_partition_that_is_added_later_begins_where_input_start_says(scene: Scene) -> None:
    config = scene.config(
        input=Input(start=datetime.now(UTC) - timedelta(seconds=60)),
        properties={"topic.metadata.refresh.interval.ms": 4_000},
    )
    async with scene.worker(config) as worker:
        await worker.until("assigned_partitions", 2)
        await scene.grow_input(3)
        await scene.write_record(reference("old"), partition=2, age=120)
        await scene.write_record(reference("new"), partition=2)
        assert worker.metric("assigned_partitions") == 2, "the worker has seen the partition before its records"
        history = await scene.until(lambda h: h.committed.get(scene.partition(2)) == 2 and not h.open_entries)

    assert_once(history, ["new"])
