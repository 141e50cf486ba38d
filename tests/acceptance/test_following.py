"""Thousands of open runs at the smallest plan: the sweep knows sooner than the official SDK's policy, and asks less.

Time is compressed: the plan's limits are ten times as high, so that what takes three quarters of an hour there takes a
few minutes. The two run at the same time, each against an API of its own, and only ratios are asserted.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.benchmarks.figures import percentile
from tests.benchmarks.follow.real import reads
from tests.benchmarks.stage import PARTITIONS, ResultReader, Stage, check, wait_until
from tests.chaos.processes import ROOT, Fleet, environment
from tests.child_process import ChildProcess
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import UniqueName
from tests.summary import Say

RUNS = 5_000
LIMIT = 100
"""GETs per second: ten times those of the plan ``payg``."""
SHARE = 0.8
OPTIONS = (
    *("--limits", "custom", "--limit-get", str(LIMIT), "--seed", "1"),
    *("--median", "140", "--spread", "0.25", "--longest", "200"),
)
"""They begin within a minute and end within three: 57 a second, where 80 could be fetched."""
WITHIN = 480.0


@pytest.mark.timeout(WITHIN + 240)
def test_thousands_of_runs_are_known_sooner_and_with_fewer_requests_than_by_the_sdks_policy(
    kafka: Kafka, unique_name: UniqueName, tmp_path: Path, say: Say
) -> None:
    with Fleet(tmp_path / "sdk") as theirs, Fleet(tmp_path / "worker") as ours:
        stage = Stage(kafka, unique_name("f"), tmp_path, ours)
        simulator = stage.open(*OPTIONS, limits={"get": SHARE * LIMIT})
        worker = stage.worker()
        stage.await_assignment([worker], PARTITIONS)
        reader = ResultReader(stage)
        api, outcome = theirs.simulator(*OPTIONS), tmp_path / "delays.json"
        program = ("-m", "tests.benchmarks.follow.sdk_policy_client", api.base_url, str(RUNS), str(outcome))
        sdk = ChildProcess(
            "sdk", (sys.executable, *program), tmp_path / "sdk.log", environment({"PYTHONPATH": str(ROOT)})
        )
        sdk.start()
        stage.produce(RUNS)
        wait_until(lambda: simulator.ledger.count(b"\n") == RUNS, 240.0, "not every run was started")
        before_all_were_open = len(reader.take(0.0))
        reader.wait_for(RUNS, WITHIN)
        assert sdk.wait(WITHIN) == 0, sdk.log_tail()
        assert worker.process.terminate(25) == 0, worker.process.log_tail()
        times = [result["times"] for result in reader.results()]
        reader.close()
        check(stage, reader, simulator)
        (gets, refused), (sdk_gets, sdk_refused) = reads(simulator), reads(api)

    delays = sorted((each["observed"] - each["finished"]).total_seconds() for each in times)
    sdk_delays = json.loads(outcome.read_text(encoding="utf-8"))
    for who, found, asked, no in (
        ("sweep", delays, gets, refused),
        ("SDK's policy", sdk_delays, sdk_gets, sdk_refused),
    ):
        p50, p99 = percentile(found, 0.5), percentile(found, 0.99)
        figures = f"p50 {p50:.2f} s, p99 {p99:.2f} s, {asked / RUNS:.2f} GETs per run, {no} 429s"
        say(f"following {RUNS} runs, {who}: {figures}")

    assert before_all_were_open < 0.3 * RUNS, "they were open at the same time"
    assert len(delays) == len(sdk_delays) == RUNS
    assert 5 * percentile(delays, 0.99) < percentile(sdk_delays, 0.99)
    assert 2 * gets < sdk_gets
    assert refused <= 0.01 * gets
