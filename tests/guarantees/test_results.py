"""What stands in a result's record: key, headers, size, order."""

from __future__ import annotations

import hashlib

import pytest

from connector.config.routes import Route
from connector.config.sections import Input
from connector.core.record import Headers
from connector.simulator.settings import Lifetimes, Settings
from tests.guarantees.scene import Scene, assert_once, open_scene, reference
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import UniqueName

TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SMALL = 2_500
"""Bytes: a parse's result fits."""
FIELDS = [hashlib.sha256(str(number).encode()).hexdigest()[:32] for number in range(200)]
"""An extract with so many fields is larger, also compressed."""


@pytest.mark.parametrize("key", [b"\x00\xff\xfe key", b"", None])
async def test_key_and_headers_come_out_as_they_went_in(scene: Scene, key: bytes | None) -> None:
    many: Headers = tuple((f"h-{number % 50}", bytes([number])) for number in range(200))
    headers: Headers = (("traceparent", TRACE), *many, ("none", None), ("empty", b""))
    await scene.write_record(reference("doc"), key=key, headers=headers)

    async with scene.worker():
        history = await scene.until_results(1)
        ((record, value),) = await scene.results()

    assert_once(history, ["doc"])
    assert record.key == key
    assert record.headers == headers
    assert value["source"]["offset"] == 0


@pytest.mark.parametrize("shrinks", ["before the worker starts", "while it runs"])
async def test_a_result_that_does_not_fit_keeps_its_topic_and_loses_its_output(scene: Scene, shrinks: str) -> None:
    topic = f"{scene.name}.processed"
    await scene.set_topic(scene.topic, "max.message.bytes", str(SMALL))
    if shrinks == "before the worker starts":
        await scene.set_topic(topic, "max.message.bytes", str(SMALL))
    schema = {"type": "object", "properties": {name: {"type": ["string", "null"]} for name in FIELDS}}
    route = Route(topic=scene.topic, run="extract", config={"schema": schema})
    async with scene.worker(scene.config(route=route)) as worker:
        await worker.until("assigned_partitions", 2)
        if shrinks == "while it runs":
            await scene.set_topic(topic, "max.message.bytes", str(SMALL))
        await scene.write_record(reference("large"), key=b"k", headers=(("traceparent", TRACE),))
        await scene.write_record(reference("small", run="parse"), key=b"k")
        history = await scene.until_results(2)
        results = {result["document_id"]: (raw, result) for raw, result in await scene.results()}

    assert_once(history, ["large", "small"])
    raw, large = results["large"]
    assert raw.partition.topic == topic
    assert (large["status"], large["output"], large["output_state"]) == ("PROCESSED", None, "omitted")
    assert raw.headers == (("traceparent", TRACE),)
    if shrinks == "before the worker starts":  # later one batch with both is refused as a whole
        assert results["small"][1]["output_state"] == "inline"


async def test_results_that_fit_alone_are_whole_although_their_batch_would_not_fit(scene: Scene) -> None:
    names = [f"doc-{number}" for number in range(30)]
    await scene.set_topic(scene.topic, "max.message.bytes", str(SMALL))
    await scene.set_topic(f"{scene.name}.processed", "max.message.bytes", str(SMALL))
    await scene.write(*names, keys=[b"one"] * 30)  # one key: one partition, one batch

    async with scene.worker():
        history = await scene.until_results(30)
        results = await scene.results()

    assert_once(history, names)
    assert {value["output_state"] for _, value in results} == {"inline"}


async def test_results_of_one_key_keep_the_order_of_their_input(kafka: Kafka, unique_name: UniqueName) -> None:
    settings = Settings(lifetimes=Lifetimes(median=0.3, spread=1.0, longest=1.5))
    names = [f"doc-{number}" for number in range(18)]
    keys = [f"key-{number % 3}".encode() for number in range(18)]
    async with open_scene(kafka, unique_name("g"), settings=settings) as scene:
        await scene.write(*names, partition=0, keys=keys)
        async with scene.worker(scene.config(input=Input(ordering="key"))):
            history = await scene.until_results(18)
            results = await scene.results()

    assert_once(history, names)
    for key in set(keys):
        mine = sorted((raw for raw in results if raw[0].key == key), key=lambda each: each[0].offset)
        offsets = [value["source"]["offset"] for _, value in mine]
        assert len({raw.partition for raw, _ in mine}) == 1
        assert offsets == sorted(offsets)
        assert len(offsets) == 6
