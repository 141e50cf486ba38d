"""A worker that dies inside a transaction is succeeded at once, and only the dead are fenced."""

from __future__ import annotations

import asyncio
import time

from tests.chaos.processes import Fleet
from tests.guarantees.processes import start
from tests.guarantees.running import Lines
from tests.guarantees.scene import HOUR, OPEN, SESSION_SECONDS, Scene, assert_once, open_scene
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import UniqueName

DETECTED_SECONDS = SESSION_SECONDS + 6.0
"""The session, the rebalance, the second after which a dead writer is suspected, and a busy machine."""
CLEAR_SECONDS = 60.0
"""The settle window, two looks after it, and a busy machine."""


async def test_a_worker_killed_inside_a_transaction_is_succeeded_at_once(
    scene: Scene, fleet: Fleet, lines: Lines
) -> None:
    names = [f"doc-{number}" for number in range(20)]
    await scene.write(*names)
    dies = start(fleet, scene, "dies", "before_result_commit:kill")
    await asyncio.to_thread(fleet.await_kill, dies, 30)
    died = time.monotonic()
    # Another replica that is alive, in this process: it takes over, and must fence the dead one alone.
    async with scene.worker() as heir:
        await heir.until("assigned_partitions", 2)
        await heir.until("restore_seconds_count", 2)
        restored = time.monotonic() - died
        history = await scene.until(
            lambda h: all(entry.state == "parked" for entry in h.open_entries), within=CLEAR_SECONDS
        )
        fenced = {line["writer"] for line in lines.of("dead_writer_fenced")}
        assert heir.metric("fenced_transactions_total") == 0

    assert restored < DETECTED_SECONDS
    assert len(fenced) == 1
    assert next(iter(fenced)).startswith(f"{scene.name}-")
    assert heir.client_id not in fenced
    # Starts that were under way when it died are unclear: their runs are found, or they were never sent and are parked.
    parked = {str(entry.tag) for entry in history.open_entries}
    assert len(history.results) == 20 - len(parked)
    assert len({run.tag for run in history.runs}) == len(history.runs)
    assert history.committed == history.marks == {scene.partition(0): 10, scene.partition(1): 10}


async def test_a_worker_killed_after_a_result_emits_it_once(scene: Scene, fleet: Fleet) -> None:
    await scene.write("a", partition=0)
    dies = start(fleet, scene, "dies", "after_result_commit:kill")
    await asyncio.to_thread(fleet.await_kill, dies, 30)
    await scene.write("b", "c")

    async with scene.worker():
        history = await scene.until_results(3)

    assert_once(history, ["a", "b", "c"])


async def test_a_worker_killed_while_its_runs_are_open_leaves_them_to_the_next(
    kafka: Kafka, unique_name: UniqueName, fleet: Fleet
) -> None:
    names = [f"doc-{number}" for number in range(10)]
    async with open_scene(kafka, unique_name("g"), settings=OPEN) as scene:
        await scene.write(*names)
        dies = start(fleet, scene, "dies")
        await scene.until(lambda h: [entry.state for entry in h.open_entries] == ["started"] * 10)
        dies.process.kill()
        scene.api_time.forward(HOUR)
        async with scene.worker() as heir:
            history = await scene.until_results(10)
            assert heir.metric("restored_documents_total") == 10

    assert_once(history, names)


async def test_a_stopped_writer_that_still_is_a_member_is_not_fenced(scene: Scene, fleet: Fleet, lines: Lines) -> None:
    names = [f"doc-{number}" for number in range(8)]
    await scene.write(*names)
    sleeps = start(fleet, scene, "sleeps", "before_result_commit:stop")
    await asyncio.to_thread(sleeps.process.wait_stopped, 30)
    async with scene.worker() as other:
        # It joins while the sleeper's session lasts, and wakes it before that is over.
        await asyncio.sleep(SESSION_SECONDS / 4)
        sleeps.process.resume()
        history = await scene.until_results(8)
        assert lines.of("dead_writer_fenced") == []
        assert other.metric("unclear_starts_total") == 0
        code = await asyncio.to_thread(sleeps.process.terminate, 25)

    assert code == 0
    assert_once(history, names)
