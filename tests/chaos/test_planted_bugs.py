"""The checker of the three-worker test sees the bugs that it is there for: planted into real workers, on a real broker.

Each scenario puts its fault where the protection that the bug takes away is the only one. It is played without the
bug, and everything must hold; and with it, and the checker must say what is broken.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from confluent_kafka import Producer

from connector.core.topics import journal_topic
from tests.chaos.checker import Verdict, check
from tests.chaos.planted import ASLEEP_BEFORE_RESULT, launcher
from tests.chaos.processes import Worker
from tests.chaos.references import references
from tests.chaos.stage import EXIT_SECONDS, Stage
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import UniqueName

DOCUMENTS = 6
SECONDS = 30.0
SETTLE_SECONDS = 6.0
BLOCKED_SECONDS = 2.5

NewStage = Callable[[], Stage]

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def new_stage(kafka: Kafka, unique_name: UniqueName, tmp_path: Path) -> NewStage:
    lifetimes = ("--median", "0.5", "--longest", "1")
    return lambda: Stage(kafka, unique_name("planted"), tmp_path, partitions=1, simulator=lifetimes)


def write(stage: Stage, count: int) -> None:
    stage.writer.write(references(stage.topic, count, partitions=1))


def wait_until(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < deadline, f"{what} within {SECONDS:g} s"
        time.sleep(0.05)


def assigned(worker: Worker) -> bool:
    with suppress(httpx.HTTPError):
        return worker.metric("extend_connector_assigned_partitions") == 1
    return False


def ended(stage: Stage, faults: dict[str, int], *workers: Worker) -> Verdict:
    """What the checker says once everybody has left in order."""
    assert [worker.process.terminate(EXIT_SECONDS) for worker in workers] == [0] * len(workers), stage.fleet.logs()
    return check(stage.history(), stage.rules(0, faults))


# ---- who was taken for dead wakes up and writes a result ---------------------------------------------------------


def wake_with_a_result(stage: Stage, bug: str | None) -> Verdict:
    """Its successor has emitted every result, and then the sleeper goes on with its own; later it succeeds in turn."""
    sleeps = stage.worker("worker-1", launcher=launcher(bug, ASLEEP_BEFORE_RESULT))
    sleeps.wait_ready()
    write(stage, DOCUMENTS)
    with stage.fleet.asleep(sleeps, SECONDS):
        succeeds = stage.worker("worker-2", launcher=launcher(bug))
        stage.settle(SECONDS)
    before = sleeps.metric("extend_connector_transactions_total")
    wait_until(lambda: sleeps.metric("extend_connector_transactions_total") > before, "the sleeper wrote nothing")
    assert succeeds.process.terminate(EXIT_SECONDS) == 0
    wait_until(lambda: assigned(sleeps), "the sleeper got no partition")
    sleeps.wait_ready()
    write(stage, 1)
    stage.settle(SECONDS)
    return ended(stage, {"stop": 1}, sleeps)


def test_a_sleeper_that_wakes_with_a_result_emits_nothing(new_stage: NewStage) -> None:
    with new_stage() as stage:
        verdict = wake_with_a_result(stage, None)

    assert not verdict.violations, str(verdict)


@pytest.mark.parametrize("bug", ["no-offsets"])
def test_a_result_of_a_former_owner_is_seen(new_stage: NewStage, bug: str) -> None:
    with new_stage() as stage:
        verdict = wake_with_a_result(stage, bug)

    assert verdict.kinds["duplicate"], str(verdict)


# ---- everything is done, and a worker begins anew ----------------------------------------------------------------


def begin_anew(stage: Stage, bug: str | None) -> Verdict:
    """The results are out; then the worker is restarted, and a last reference shows that it works."""
    worker = stage.worker("worker-1", launcher=launcher(bug))
    worker.wait_ready()
    write(stage, DOCUMENTS)
    stage.await_verdict(lambda verdict: verdict.counts["results"] >= DOCUMENTS, SECONDS)
    assert stage.fleet.restart(worker, EXIT_SECONDS) == 0
    write(stage, 1)
    stage.await_verdict(lambda verdict: not verdict.kinds["lost"] and verdict.counts["results"] > DOCUMENTS, SECONDS)
    return ended(stage, {"restart": 1}, worker)


def test_a_worker_that_begins_anew_finds_finished_documents_closed(new_stage: NewStage) -> None:
    with new_stage() as stage:
        verdict = begin_anew(stage, None)

    assert not verdict.violations, str(verdict)


def test_a_result_without_a_tombstone_is_seen(new_stage: NewStage) -> None:
    with new_stage() as stage:
        verdict = begin_anew(stage, "no-tombstone")

    assert verdict.kinds["torn"], str(verdict)
    assert verdict.kinds["duplicate"], str(verdict)


# ---- the journal is not stable where the offsets are -------------------------------------------------------------


@contextmanager
def held_back(stage: Stage) -> Iterator[None]:
    """Nothing that is written to the journal meanwhile is below its last stable offset, though it is committed.

    Commit markers do the same for a moment: they reach the offsets topic and the journal separately.
    """
    producer = Producer(
        {
            "bootstrap.servers": stage.kafka.bootstrap_servers,
            "transactional.id": f"{stage.name}-holds-back",
            "log_level": 0,
        },
    )
    producer.init_transactions(SECONDS)
    producer.begin_transaction()
    producer.produce(journal_topic(stage.name), b"never committed", b"held-back", 0)
    assert producer.flush(SECONDS) == 0
    try:
        yield
    finally:
        producer.abort_transaction(SECONDS)
        producer.close()


def restore_above_the_stable_offset(stage: Stage, bug: str | None) -> Verdict:
    """Offsets are stable, and what they account for is still held back while a successor restores."""
    dies = stage.worker("worker-1", stop_at="before_result_commit:kill", launcher=launcher(bug))
    dies.wait_ready()
    with held_back(stage):
        write(stage, DOCUMENTS)
        stage.fleet.await_kill(dies, SECONDS)
        succeeds = stage.worker("worker-2", launcher=launcher(bug))
        wait_until(lambda: assigned(succeeds), "the successor got no partition")
        time.sleep(BLOCKED_SECONDS)
    with suppress(TimeoutError):  # what did not come to its end, the checker has to say
        stage.settle(SETTLE_SECONDS)
    return ended(stage, {"kill": 1}, succeeds)


def test_a_restore_waits_for_what_is_held_back(new_stage: NewStage) -> None:
    with new_stage() as stage:
        verdict = restore_above_the_stable_offset(stage, None)

    assert not verdict.violations, str(verdict)


def test_a_restore_to_the_last_stable_offset_is_seen(new_stage: NewStage) -> None:
    with new_stage() as stage:
        verdict = restore_above_the_stable_offset(stage, "restore-to-stable-offset")

    assert verdict.kinds["unfinished"], str(verdict)
