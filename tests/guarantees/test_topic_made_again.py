"""An input topic that is deleted and made again under a running worker is another topic."""

from __future__ import annotations

from tests.guarantees.scene import HOUR, OPEN, assert_once, open_scene
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import UniqueName


async def test_old_documents_finish_and_the_same_offsets_are_new_documents(
    kafka: Kafka, unique_name: UniqueName
) -> None:
    async with open_scene(kafka, unique_name("g"), settings=OPEN) as scene:
        await scene.write("old-0", "old-1", "old-2", partition=0)
        async with scene.worker() as worker:
            await worker.until("runs_started_total", 3)
            before = {run["tag"] for run in scene.runs}
            await scene.make_input_again()
            await scene.write("new-0", "new-1", partition=0)
            await worker.until("runs_started_total", 5, within=60)
            scene.api_time.forward(HOUR)
            history = await scene.until_results(5, within=60)

            assert worker.metric("positions_reset_total", reason="topic_recreated") >= 1
            assert worker.metric("stopped_partitions") == 0

    assert_once(history, ["old-0", "old-1", "old-2", "new-0", "new-1"])
    after = {run["tag"] for run in scene.runs} - before
    assert {tag.partition("#")[0] for tag in after} == {f"{scene.name}/{scene.topic}/0/{number}" for number in (0, 1)}
    assert history.marks[scene.partition(0)] == history.committed[scene.partition(0)] == 2
