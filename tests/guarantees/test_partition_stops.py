"""One partition stands still with an alert that names it; the others go on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connector.assembly import look_at_topics
from connector.core.errors import TopicError
from connector.core.formats.framing import Codec
from connector.core.journal_record import mark_key
from connector.core.record import Record
from connector.core.tag import tag_of
from connector.core.topics import signals_topic
from connector.schema_files import load_schema
from tests.guarantees.running import Lines, Running
from tests.guarantees.scene import SECONDS, Scene, assert_once, position


async def _until_stopped(worker: Running, lines: Lines, reason: str) -> dict[str, Any]:
    """Wait for the alert of partition 0, and return its log line."""
    await worker.until("stopped_partitions", 1, partition="0", reason=reason)
    (line,) = lines.of("partition_stopped")
    assert line["partition"] == f"{worker.config.core_routes()[0].topic}/0"
    assert line["reason"] == reason
    return line


async def _tag(scene: Scene, offset: int) -> str:
    """The tag of a record of partition 0 that once was."""
    return str(tag_of(scene.name, await scene.topic_id(), Record(scene.partition(0), offset, None, b"{}")))


async def test_records_deleted_before_they_were_read_stop_their_partition(scene: Scene, lines: Lines) -> None:
    await scene.write("a", "b", partition=0)
    async with scene.worker():
        await scene.until_results(2)
    await scene.write("gone-0", "gone-1", "left", partition=0)
    deleted = await asyncio.to_thread(scene.admin.delete_records, [position(scene.partition(0), 4)])
    await asyncio.gather(*(asyncio.to_thread(each.result, SECONDS) for each in deleted.values()))

    async with scene.worker() as worker:
        line = await _until_stopped(worker, lines, "offset_out_of_range")
        await scene.write("c", "d", partition=1)
        history = await scene.until_results(4)
        assert worker.metric("stopped_partitions") == 1

    assert_once(history, ["a", "b", "c", "d"])
    assert history.committed == {scene.partition(0): 2, scene.partition(1): 2}
    assert "--reset-offsets" in line["message"]


async def test_a_damaged_journal_record_stops_its_partition(scene: Scene, lines: Lines) -> None:
    tag = await _tag(scene, 0)
    await scene.write_journal(tag.encode(), b"\xc3\x01 this is no journal record")

    async with scene.worker() as worker:
        line = await _until_stopped(worker, lines, "journal_unreadable")
        await scene.write("waits", partition=0)
        await scene.write("goes-on", partition=1)
        await worker.until("results_produced_total", 1)

    assert [value["document_id"] for _, value in await scene.results()] == ["goes-on"]
    assert tag in line["message"]
    assert "damaged" in line["message"]
    assert [run["metadata"]["kafka_connector"]["partition"] for run in scene.runs] == [1]


async def test_a_journal_record_of_a_newer_version_stops_its_partition(scene: Scene, lines: Lines) -> None:
    newer = Codec(load_schema("journal_entry")).encode(
        {
            "version": 2,
            "state": "mark",
            "body": b"",
            "topic_id": await scene.topic_id(),
            "next_offset": 0,
            "fingerprint": "v2",
        },
    )
    await scene.write_journal(mark_key(scene.name, scene.partition(0)), newer)

    async with scene.worker() as worker:
        line = await _until_stopped(worker, lines, "journal_unreadable")
        await scene.write("waits", partition=0)
        await scene.write("goes-on", partition=1)
        await scene.until(lambda h: len(h.results) == 1)

    assert "newer version" in line["message"]
    assert [run["metadata"]["kafka_connector"]["partition"] for run in scene.runs] == [1]


async def test_a_journal_that_was_given_more_partitions_is_refused(scene: Scene, lines: Lines) -> None:
    await scene.write("a", "b")
    async with scene.worker():
        await scene.until_results(2)
    await scene.grow(scene.journal, 3)

    with pytest.raises(TopicError, match="the journal's count never changes"):
        await asyncio.to_thread(look_at_topics, scene.config())

    await scene.grow(signals_topic(scene.name), 3)
    async with scene.worker() as worker:
        await worker.until("stopped_partitions", 2, reason="journal_moved")
    messages = {line["message"] for line in lines.of("partition_stopped")}
    assert all("partition count must not change" in message for message in messages)
    assert len(scene.runs) == 2
