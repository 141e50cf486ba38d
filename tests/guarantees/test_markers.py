"""Inputs that are written in transactions: the markers that end them take offsets, and are no backlog."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from confluent_kafka import Producer

from tests.guarantees.scene import SECONDS, Scene, assert_once, reference


def _write(scene: Scene, names: Sequence[str], *, commit: bool) -> None:
    """Write references to partition 0 in one transaction, as streaming applications do."""
    producer = Producer(
        {"bootstrap.servers": scene.kafka.bootstrap_servers, "transactional.id": f"{scene.name}-app", "log_level": 0}
    )
    producer.init_transactions(SECONDS)
    producer.begin_transaction()
    for name in names:
        producer.produce(scene.topic, reference(name), name.encode(), 0)
    producer.flush(SECONDS)
    if commit:
        producer.commit_transaction(SECONDS)
    else:
        producer.abort_transaction(SECONDS)


@pytest.mark.parametrize("commit", [True, False], ids=["committed", "aborted"])
async def test_a_topic_that_ends_in_a_marker_has_no_lag_once_all_is_accepted(scene: Scene, *, commit: bool) -> None:
    await scene.write("a", "b", partition=0)
    await asyncio.to_thread(_write, scene, ["c", "d"], commit=commit)
    names = ["a", "b", "c", "d"] if commit else ["a", "b"]
    async with scene.worker() as worker:
        history = await scene.until_results(len(names))
        # Both figures come together, once the end of the log is known.
        await worker.until_is("next_offset", len(names), topic=scene.topic, partition="0")
        await worker.until_is("consumer_lag_records", 0, topic=scene.topic, partition="0")

    assert_once(history, names)
    assert history.marks == {scene.partition(0): len(names)}, "no position is made of what was not read"
    async with scene.worker() as second:
        await second.until_is("next_offset", len(names), topic=scene.topic, partition="0")
        await second.until_is("consumer_lag_records", 0, topic=scene.topic, partition="0")
        await asyncio.to_thread(_write, scene, ["e"], commit=True)
        assert_once(await scene.until_results(len(names) + 1), [*names, "e"])
        await second.until_is("consumer_lag_records", 0, topic=scene.topic, partition="0")
