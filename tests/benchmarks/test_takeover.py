"""A worker that is killed inside a transaction, and how long its partitions stand still."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import pytest
from confluent_kafka.admin import AdminClient

from tests.benchmarks.figures import Figures, percentile
from tests.benchmarks.stage import ResultReader, Stage, check
from tests.chaos.processes import Worker

pytestmark = pytest.mark.benchmark

PER_SECOND = 20.0
DOCUMENTS = 1_000
KILLED_AT = 40
STARTS_AT_ONCE = 32


@pytest.mark.timeout(300)
def test_takeover_of_a_killed_worker(stage: Stage, figures: Callable[[str], Figures]) -> None:
    simulator = stage.open("--median", "2")
    heir = stage.worker("heir")
    # The heir is there first, so that the one that dies owns only its half when it dies.
    dies = stage.worker("dies", stop_at=f"before_result_commit:kill:{KILLED_AT}")
    stage.await_assignment([heir, dies], 3)
    taken_over = _owned(stage, dies)
    reader = ResultReader(stage)
    producing = threading.Thread(target=lambda: stage.produce(DOCUMENTS, per_second=PER_SECOND), daemon=True)
    producing.start()

    stage.fleet.await_kill(dies, 60)
    killed = time.time()
    first = _first_result(reader, taken_over, killed)
    producing.join()
    wait_for_rest = time.monotonic() + 60
    while len(reader.seen) + parked(heir) < DOCUMENTS and time.monotonic() < wait_for_rest:
        reader.take(0.25)

    stalled = [
        (result["times"]["emitted"] - result["times"]["accepted"]).total_seconds()
        for result in reader.results()
        if result["source"]["partition"] in taken_over
    ]
    table = figures(f"SIGKILL inside a transaction, {PER_SECOND:g} documents per second, session 20 s")
    table.add("until its partitions give results again", f"{first - killed:.1f} s", "below 30 s")
    table.add("slowest document, accepted to emitted", f"{percentile(stalled, 1.0):.1f} s")
    table.add("starts left unclear (parked)", f"{parked(heir):.0f}", f"at most {STARTS_AT_ONCE}")

    unclear = int(parked(heir))
    reader.close()
    assert unclear <= STARTS_AT_ONCE
    assert heir.process.terminate(25) == 0
    check(stage, reader, simulator, lost=unclear)


def parked(worker: Worker) -> float:
    return worker.metric("extend_connector_parked_documents")


def _owned(stage: Stage, worker: Worker) -> set[int]:
    """The partitions of a worker; it says its name in the group in its first line."""
    lines = [json.loads(line) for line in worker.process.log.splitlines() if line.startswith("{")]
    client_id = next(line["client_id"] for line in lines if line["event"] == "worker_started")
    admin = AdminClient({"bootstrap.servers": stage.servers, "log_level": 0})
    group = admin.describe_consumer_groups([stage.name])[stage.name].result(20)
    return {
        each.partition
        for member in group.members
        if member.client_id == client_id
        for each in member.assignment.topic_partitions
    }


def _first_result(reader: ResultReader, partitions: set[int], after: float) -> float:
    """When the first result of one of these partitions was written after an instant."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        fresh = reader.take(0.25)
        for seen, result in zip(fresh, reader.decoded(fresh), strict=True):
            if seen.at > after and result["source"]["partition"] in partitions:
                return seen.at
    raise TimeoutError("its partitions gave no result within 90 s")
