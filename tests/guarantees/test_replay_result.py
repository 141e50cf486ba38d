"""A result is told once more, without a run, and never twice under one revision."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from connector.config.routes import Route
from connector.core.record import Headers
from connector.core.tag import Tag
from tests.chaos.readers import Raw
from tests.fakes.registry import FakeRegistry
from tests.guarantees.operator import Operator
from tests.guarantees.scene import OPEN, Scene, open_scene, reference
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import UniqueName

HEADERS: Headers = (("trace", b"1"), ("trace", None))
ROOM, LITTLE = 1_000_000, 20_000
NAME = "scan-padded-by-100kB"


async def told(scene: Scene) -> tuple[str, list[tuple[Raw, dict[str, Any]]]]:
    """The tag of the only document, and its results by their revision."""
    results = sorted(await scene.results(), key=lambda each: int(each[1]["revision"]))
    return str(results[0][1]["result_id"]).rpartition("@")[0], results


def revisions(results: list[tuple[Raw, dict[str, Any]]]) -> list[str]:
    return [str(value["result_id"]) for _, value in results]


async def test_a_result_comes_out_again_with_what_its_topic_has_room_for_now(scene: Scene, tmp_path: Path) -> None:
    operator, topic = Operator(tmp_path, scene), f"{scene.name}.processed"
    for each in (scene.topic, topic):
        await scene.set_topic(each, "max.message.bytes", str(LITTLE))
    await scene.write_record(reference(NAME, metadata={"order": "17"}), key=b"k", headers=HEADERS)
    async with scene.worker():
        await scene.until_results(1)
    tag, _ = await told(scene)

    same = await operator.runs("replay", "--result", tag, "--yes")
    assert (same.code, "revision 1 says the same already" in same.err) == (1, True), same.err
    await scene.set_topic(topic, "max.message.bytes", str(ROOM))
    asked = await operator.runs("replay", "--result", tag)
    assert (asked.code, "--yes says so" in asked.err) == (1, True), asked.err
    assert len((await told(scene))[1]) == 1
    sent = await operator.runs("replay", "--result", f"{tag}@1", "--yes")
    assert (sent.code, sent.err) == (0, ""), sent.err
    assert sent.out == f"Written: revision 2 of {tag}, to {topic}.\n"

    _, results = await told(scene)
    (first, omitted), (second, whole) = results
    assert revisions(results) == [f"{tag}@1", f"{tag}@2"]
    assert (omitted["output_state"], whole["output_state"]) == ("omitted", "inline")
    assert len(whole["output"]) > 100_000
    assert (second.key, second.headers, second.partition) == (b"k", HEADERS, first.partition)
    kept = ("run_id", "run_type", "document_id", "route", "source", "metadata", "file_name", "credits")
    assert [whole[name] for name in kept] == [omitted[name] for name in kept]
    assert [whole["times"][name] for name in ("accepted", "started")] == [
        omitted["times"][name] for name in ("accepted", "started")
    ]
    assert len(scene.runs) == 1, "nothing was bought"


async def test_of_several_at_once_no_two_write_the_same_revision(scene: Scene, tmp_path: Path) -> None:
    await scene.write("doc")
    async with scene.worker():
        await scene.until_results(1)
    tag, _ = await told(scene)
    # One that was killed behind its record and in front of its commit: the next one must neither miss nor repeat it.
    hanging = Producer(
        {
            "bootstrap.servers": scene.kafka.bootstrap_servers,
            "transactional.id": f"{scene.name}-replay-{_hash(tag)}",
            "log_level": 0,
        }
    )
    ((raw, _),) = await scene.results()
    await asyncio.to_thread(hanging.init_transactions, 30)
    hanging.begin_transaction()
    hanging.produce(raw.partition.topic, raw.value, raw.key, raw.partition.number)
    await asyncio.to_thread(hanging.flush, 30)

    command = ("replay", "--result", tag, "--yes", "--again")
    ends = await asyncio.gather(*(Operator(tmp_path, scene).runs(*command) for _ in range(2)))
    written = sum(end.code == 0 for end in ends)
    assert written >= 1, [end.err for end in ends]
    assert all(end.code == 0 or "nothing was written" in end.err for end in ends), [end.err for end in ends]
    _, results = await told(scene)
    assert revisions(results) == [f"{tag}@{number}" for number in range(1, written + 2)]
    assert len(scene.runs) == 1


async def test_a_document_that_is_open_or_unknown_is_refused(
    kafka: Kafka, unique_name: UniqueName, tmp_path: Path
) -> None:
    async with open_scene(kafka, unique_name("g"), settings=OPEN) as scene:
        operator = Operator(tmp_path, scene)
        route = Route(topic=scene.topic, run="workflow", processor="workflow_1")
        await scene.write("a-simulate-needs-review")
        async with scene.worker(scene.config(route=route)):
            await scene.runs_at_least(1)
            scene.api_time.forward(3600.0)
            await scene.until(lambda history: len(history.results) == 1)
            tag, results = await told(scene)
            assert results[0][1]["status"] == "NEEDS_REVIEW"
            refused = await operator.runs("replay", "--result", tag, "--yes")
        held = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": f"{scene.name}-other"})
        await asyncio.to_thread(held.init_transactions, 30)
        held.begin_transaction()
        held.produce(scene.journal, b"1", b"key", 0)
        await asyncio.to_thread(held.flush, 30)
        hidden = await operator.runs("replay", "--result", tag, "--yes")
        assert (hidden.code, "cannot be seen" in hidden.err) == (1, True), hidden.err
        await asyncio.to_thread(held.abort_transaction, 30)
        unknown = await operator.runs("replay", "--result", f"{scene.name}/{scene.topic}/0/99#{'a' * 22}", "--yes")
        assert (refused.code, "the document is open (review)" in refused.err) == (1, True), refused.err
        assert (unknown.code, "the topics hold no result of it" in unknown.err) == (1, True), unknown.err
        assert len((await told(scene))[1]) == 1


async def test_it_is_framed_for_the_registry_as_a_worker_would(scene: Scene, tmp_path: Path) -> None:
    operator, command = Operator(tmp_path, scene), ("replay", "--yes", "--again", "--result")
    await scene.write("doc")
    async with scene.worker():
        await scene.until_results(1)
    tag, _ = await told(scene)
    with FakeRegistry() as registry:
        url = registry.url
        ends = [await operator.runs(*command, tag, CONNECTOR__SCHEMA_REGISTRY__URL=url) for _ in range(2)]
        assert [end.code for end in ends] == [0, 0], [end.err for end in ends]
        text = (await scene.read(f"{scene.name}.processed"))[-1].value or b""
        subject = f"{scene.name}.processed-value"
        assert int.from_bytes(text[1:5], "big") in registry.shelf.by_subject[subject]
    down = await operator.runs(*command, tag, CONNECTOR__SCHEMA_REGISTRY__URL=url)
    assert (down.code, "registry" in down.err) == (1, True), down.err
    values = [raw.value or b"" for raw in await scene.read(f"{scene.name}.processed")]
    assert sorted(value[:1] for value in values) == [b"\x00", b"\x00", b"\xc3"], "two framed, by two commands"
    assert [value.count(f"{tag}@3".encode()) for value in values].count(1) == 1, "the second read what the first wrote"


def _hash(tag: str) -> str:
    parsed = Tag.parse(tag)
    assert parsed is not None
    return parsed.hash
