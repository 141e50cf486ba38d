"""Many open runs: memory, the event loop, and a restart among them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.benchmarks.figures import Figures, counted, quantile_of
from tests.benchmarks.machine import Usage, usage
from tests.benchmarks.stage import Stage, ledger_of, wait_until
from tests.chaos.processes import Simulator, Worker

pytestmark = pytest.mark.benchmark

OPEN = 50_000
STEADY_SECONDS = 60.0
GETS_PER_SECOND = 75.0
"""Of the largest plan; a sweep needs one or two."""


@pytest.mark.timeout(1_800)
def test_open_runs_and_restart(stage: Stage, figures: Callable[[str], Figures]) -> None:
    simulator = stage.open(
        *("--median", "3600", "--spread", "0"), limits={"get": GETS_PER_SECOND}, more={"start": {"max_in_flight": OPEN}}
    )
    worker = stage.worker()
    stage.await_assignment([worker], 6)
    empty = usage(worker.process.pid)
    begun = time.monotonic()
    stage.produce(OPEN)
    wait_until(lambda: in_flight(worker) == OPEN and bought(simulator) == OPEN, 1_200, f"not {OPEN} open runs", every=1)
    started = time.monotonic() - begun

    table = figures(f"{OPEN} open runs, {GETS_PER_SECOND:g} GETs per second")
    table.add("started", f"{OPEN / started:.0f} runs per second")
    table.add("worker's memory before", f"{empty.rss / 1e6:.0f} MB")
    steady(worker, table, empty)

    assert worker.process.terminate(25) == 0
    asked = reads(simulator)
    restarted = time.monotonic()
    worker.start()
    wait_until(lambda: reads(simulator) > asked, 60, "no GET", every=0.02)
    table.add("restart: process start to first GET", f"{time.monotonic() - restarted:.1f} s", "below 10 s")
    worker.wait_ready()
    wait_until(lambda: in_flight(worker) == OPEN, 60, f"not {OPEN} restored")
    table.add("restart: process start to ready", f"{time.monotonic() - restarted:.1f} s")
    table.add("restart: one partition, assigned to restored", f"{restore_seconds(worker):.1f} s")
    table.add("restart: worker's memory", f"{usage(worker.process.pid).rss / 1e6:.0f} MB")

    assert worker.metric("extend_connector_restored_documents_total") == OPEN
    assert worker.process.terminate(25) == 0
    assert len({tag for tag, _ in ledger_of(simulator)}) == bought(simulator) == OPEN


def steady(worker: Worker, table: Figures, empty: Usage) -> None:
    """What the worker does while nothing but polling happens."""
    before, used, begun = worker.metrics(), usage(worker.process.pid), time.monotonic()
    time.sleep(STEADY_SECONDS)
    after, now, lasted = worker.metrics(), usage(worker.process.pid), time.monotonic() - begun
    requests = "extend_connector_api_requests_total"
    asked = sum(counted(before, after, requests, operation=operation) for operation in ("get", "list"))
    lag = "extend_connector_loop_lag_seconds"
    table.add("worker's memory", f"{now.rss / 1e6:.0f} MB")
    table.add("memory of an open run", f"{(now.rss - empty.rss) / OPEN / 1e3:.1f} KB", "below 4 KB")
    table.add("event loop lag p50", f"{1000 * quantile_of(before, after, lag, 0.5):.1f} ms")
    table.add("event loop lag p99", f"{1000 * quantile_of(before, after, lag, 0.99):.1f} ms", "below 50 ms")
    table.add("GETs per second", f"{asked / lasted:.0f}")
    table.add("worker's share of a core", f"{100 * (now.cpu - used.cpu) / lasted:.0f} %")


def in_flight(worker: Worker) -> float:
    return worker.metric("extend_connector_runs_in_flight")


def bought(simulator: Simulator) -> int:
    return _answered(simulator, ".create")


def reads(simulator: Simulator) -> int:
    return _answered(simulator, ".get") + _answered(simulator, ".list")


def restore_seconds(worker: Worker) -> float:
    name = "extend_connector_restore_seconds"
    return worker.metric(f"{name}_sum") / max(1.0, worker.metric(f"{name}_count"))


def _answered(simulator: Simulator, action: str) -> int:
    operations: dict[str, Any] = simulator.statistics()["operations"]
    return sum(codes.get("200", 0) for name, codes in operations.items() if name.endswith(action))
