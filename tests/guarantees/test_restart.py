"""What was open goes on: a worker that ends, and the one after it."""

from __future__ import annotations

import time

from connector.config.routes import Route
from connector.simulator.rules import Rule
from tests.guarantees.running import STOP_SECONDS
from tests.guarantees.scene import HOUR, OPEN, Scene, assert_once, eventually, open_scene
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import UniqueName


async def test_every_document_gets_one_result_from_one_run(scene: Scene) -> None:
    names = [f"doc-{number}" for number in range(20)]
    await scene.write(*names)

    async with scene.worker():
        history = await scene.until_results(20)

    assert_once(history, names)
    assert history.committed == history.marks == {scene.partition(0): 10, scene.partition(1): 10}


async def test_open_runs_are_followed_by_the_next_worker(kafka: Kafka, unique_name: UniqueName) -> None:
    names = [f"doc-{number}" for number in range(12)]
    async with open_scene(kafka, unique_name("g"), settings=OPEN) as scene:
        await scene.write(*names)
        async with scene.worker() as first:
            await first.until("runs_started_total", 12)
        between = await scene.history()
        scene.api_time.forward(HOUR)

        async with scene.worker() as second:
            history = await scene.until_results(12)
            assert second.metric("restored_documents_total") == 12

    assert between.results == ()
    assert {entry.state for entry in between.open_entries} == {"started"}
    assert_once(history, names)


async def test_a_review_is_decided_after_a_restart(kafka: Kafka, unique_name: UniqueName) -> None:
    async with open_scene(kafka, unique_name("g"), settings=OPEN) as scene:
        config = scene.config(route=Route(topic=scene.topic, run="workflow", processor="workflow_intake"))
        await scene.write("a-simulate-needs-review-processed", "b-simulate-needs-review-rejected")
        async with scene.worker(config) as first:
            await first.until("runs_started_total", 2)
            scene.api_time.forward(HOUR)
            between = await scene.until(lambda h: len(h.results) == 2)
        scene.api_time.forward(HOUR)

        async with scene.worker(config):
            history = await scene.until(lambda h: not h.open_entries)

    assert {(each.revision, each.status) for each in between.results} == {(1, "NEEDS_REVIEW")}
    assert {entry.state for entry in between.open_entries} == {"review"}
    decided = {str(each.document_id): each.status for each in history.results if each.revision == 2}
    assert decided == {
        "a-simulate-needs-review-processed": "PROCESSED",
        "b-simulate-needs-review-rejected": "REJECTED",
    }
    assert len(history.results) == 4
    assert len(history.runs) == 2


async def test_a_stop_waits_for_open_posts_and_parks_nothing(kafka: Kafka, unique_name: UniqueName) -> None:
    async with open_scene(kafka, unique_name("g"), settings=OPEN) as scene:
        names = [f"doc-{number}" for number in range(6)]
        scene.faults(Rule(kind="delay", action="create", seconds=2))
        await scene.write(*names)
        async with scene.worker() as first:
            await eventually(lambda: len(scene.runs) == 6, "all runs are created and no POST is answered")
            begun = time.monotonic()
            await first.stop()
            assert time.monotonic() - begun < STOP_SECONDS
        between = await scene.history()
        scene.heal()
        scene.api_time.forward(HOUR)

        async with scene.worker():
            history = await scene.until_results(6)

        assert [entry.state for entry in between.open_entries] == ["started"] * 6
        assert_once(history, names)


async def test_a_second_stop_hurries_and_still_writes_the_journal(scene: Scene) -> None:
    scene.faults(Rule(kind="delay", action="create", seconds=8))
    await scene.write("doc-0", partition=0)
    async with scene.worker() as first:
        await eventually(lambda: len(scene.runs) == 1, "the run is created and the POST is not answered")
        begun = time.monotonic()
        first.worker.stop()
        await first.stop()
        assert time.monotonic() - begun < 7

    history = await scene.history()

    assert [entry.state for entry in history.open_entries] == ["intent"]
    assert history.committed == history.marks == {scene.partition(0): 1}
