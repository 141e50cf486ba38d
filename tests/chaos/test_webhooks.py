"""Two webhook ingresses and three workers, of which one each dies, webhooks as bad as they come, and Kafka away."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from connector.core.topics import signals_topic
from tests.chaos.balancer import Balancer
from tests.chaos.checker import check
from tests.chaos.history import Fault
from tests.chaos.processes import Worker
from tests.chaos.readers import read_committed, rung_in
from tests.chaos.references import references
from tests.chaos.scenario import PARTITIONS
from tests.chaos.stage import EXIT_SECONDS, MAX_OPEN, Stage
from tests.chaos.writer import Reference
from tests.kafka.cluster import KafkaCluster, given_kafka
from tests.kafka.fixtures import UniqueName
from tests.kafka.jars import BROKER_VARIABLE
from tests.ports import HOST, free_ports
from tests.summary import Say

RUNS = int(os.environ.get("WEBHOOK_RUNS", "2000"))
AWAY_SECONDS = 20.0
SECRET = "wss_of_this_test_alone_and_no_secret"
LIFETIMES = ("--median", "1.5", "--review-median", "2", "--longest", "10")
TROUBLES = "duplicated=0.2,reordered=0.2,dropped=0.1,forged=0.01"
EARLY = "kind=delay,action=create,share=0.05,seconds=3"
"""The answers to one start in twenty come when the run has mostly ended, and its webhook has been sent."""
SETTLE_MS = 10_000
FOLLOW = {"mode": "webhook", "safety_interval": "10s"}

# What an event tells of; nobody is told that a processor's run was cancelled, or of a status that is not known yet.
_TOLD = frozenset({"PROCESSED", "FAILED", "REJECTED"})
_SEEN_WITHOUT = frozenset({"sweep", "poll", "adopted"})
_WITHIN = 180.0
_STEP = 10
_STEP_SECONDS = 0.1


@pytest.fixture
def lone_kafka(tmp_path: Path) -> Iterator[KafkaCluster]:
    """A broker of this test's own, which goes away.

    It is frozen and not killed: a lone broker that starts anew takes topics that it does not know yet for deleted, and
    so leaves a transaction that timed out meanwhile open for ever (measured with Apache Kafka 4.4).
    """
    if given_kafka() is not None:
        pytest.skip(f"{BROKER_VARIABLE} names a broker that is not ours to freeze")
    with KafkaCluster(1, folder=tmp_path / "kafka") as cluster:
        yield cluster


@pytest.mark.kafka
@pytest.mark.timeout(480)
def test_every_result_comes_once_while_webhooks_are_late_lost_doubled_and_forged(
    lone_kafka: KafkaCluster, unique_name: UniqueName, tmp_path: Path, say: Say
) -> None:
    ports = free_ports(2)
    with Balancer(ports) as balancer:
        webhooks = ("--webhook", f"http://{HOST}:{balancer.port}/webhooks/extend", "--webhook-secret", SECRET)
        options = (*LIFETIMES, *webhooks, "--webhook-troubles", TROUBLES, "--fault", EARLY)
        name = unique_name("w")
        settings = {"follow": FOLLOW}
        with Stage(lone_kafka, name, tmp_path, partitions=PARTITIONS, simulator=options, settings=settings) as stage:
            ingresses = [stage.ingress(f"ingress-{port}", port, SECRET) for port in ports]
            workers = [stage.worker("worker-1", stop_at="after_created:kill:60")]
            workers += [stage.worker(f"worker-{number}") for number in (2, 3)]
            for each in (*ingresses, *workers):
                each.wait_ready()
            waves = _waves(stage.topic)

            _trickle(stage, next(waves))
            ingresses[0].process.kill()
            _trickle(stage, next(waves))
            stage.fleet.await_kill(workers[0], _WITHIN)
            workers[0].start()
            ingresses[0].start()
            for each in (workers[0], ingresses[0]):
                each.wait_ready()

            _trickle(stage, next(waves))
            lone_kafka.pause_node(1)
            _wait(AWAY_SECONDS, stage, workers)
            lone_kafka.resume_node(1)

            _trickle(stage, next(waves))
            stage.settle(_WITHIN, every=2, meanwhile=lambda: _revive(stage, workers))
            # The last ones may come a little later than what they are about.
            rung = rung_in(read_committed(lone_kafka.bootstrap_servers, [signals_topic(name)]))
            sent = stage.simulator.statistics()["webhooks"]
            early = stage.simulator.fault_hits()
            refused = sum(each.metrics()[_BAD_SIGNATURE] for each in ingresses)
            codes = [each.process.terminate(EXIT_SECONDS) for each in (*workers, *ingresses)]
            logs = stage.fleet.logs()
            rules = replace(stage.rules(0, {"kill": 1}), settle_ms=SETTLE_MS, max_open=MAX_OPEN)
            verdict = check(stage.history(), rules)

    ends = [each for each in verdict.history.results if each.status in _TOLD]
    told, lost = ([each for each in ends if (each.run_id in rung) is was] for was in (True, False))
    told_by, lost_by = (Counter(each.observed_via for each in some) for some in (told, lost))
    say(f"webhooks {sent}, {early} early; rung {dict(told_by)}, not rung {dict(lost_by)}; {verdict.counts}")
    assert not verdict.violations, f"{verdict}\n{logs}"
    assert verdict.counts["inputs"] == RUNS
    assert set(codes) == {0}, logs
    # Nothing that was forged had an effect: each was refused, at a process that still lives or at the dead one.
    assert {kind for kind in sent if kind.startswith("forged")} <= {"forged.401", "forged.failed"}
    assert 0 < refused <= sum(count for kind, count in sent.items() if kind.startswith("forged"))
    # What the signals topic does not hold was dropped on the way, and found all the same.
    assert RUNS / 30 <= len(lost) <= RUNS / 5
    assert lost_by.keys() <= _SEEN_WITHOUT
    # The rest rang, mostly before anything else found it, and rang again where Kafka was away.
    assert told_by["webhook"] > len(told) / 2
    assert sent["genuine.503"] > 0
    assert sent["doubled.204"] > 0
    assert early >= RUNS / 40
    assert min(balancer.passed.values()) > 0


_BAD_SIGNATURE = 'extend_connector_webhook_requests_total{result="bad_signature"}'


def _waves(topic: str) -> Iterator[list[Reference]]:
    every = references(topic, RUNS, PARTITIONS, impossible_every=RUNS + 1)
    while wave := list(islice(every, RUNS // 4)):
        yield wave


def _trickle(stage: Stage, wave: list[Reference]) -> None:
    """Write at a pace, so that what happens after it meets runs of every age."""
    for place in range(0, len(wave), _STEP):
        stage.writer.write(wave[place : place + _STEP])
        time.sleep(_STEP_SECONDS)


def _wait(seconds: float, stage: Stage, workers: list[Worker]) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        _revive(stage, workers)
        time.sleep(_STEP_SECONDS)


def _revive(stage: Stage, workers: list[Worker]) -> None:
    """Start again who gave up while Kafka was away, as a cluster does."""
    for worker in workers:
        if not worker.process.running:
            now_ms = int(time.time() * 1000)
            stage.fleet.faults.append(Fault("exit", worker.name, now_ms, now_ms))
            worker.start()
