"""Documents per second from end to end, and what one costs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.benchmarks.figures import Figures, counted, percentile
from tests.benchmarks.machine import usage
from tests.benchmarks.stage import ResultReader, Stage, check

pytestmark = pytest.mark.benchmark

WARM_UP = 200
DOCUMENTS = 4_000


@pytest.mark.timeout(400)
def test_throughput(stage: Stage, figures: Callable[[str], Figures]) -> None:
    simulator = stage.open("--median", "2")
    worker = stage.worker()
    stage.await_assignment([worker], 6)
    reader = ResultReader(stage)
    stage.produce(WARM_UP)
    reader.wait_for(WARM_UP, 60)

    asked, used = worker.metrics(), usage(worker.process.pid)
    api = usage(simulator.process.pid)
    stage.produce(DOCUMENTS, first=WARM_UP)
    reader.wait_for(WARM_UP + DOCUMENTS, 300)
    then, now = worker.metrics(), usage(worker.process.pid)
    api_cpu = usage(simulator.process.pid).cpu - api.cpu

    gets = counted(asked, then, "extend_connector_api_requests_total", operation="get")
    commits = counted(asked, then, "extend_connector_transactions_total", end="committed")
    cpu = now.cpu - used.cpu
    times = sorted(seen.at for seen in reader.seen)[WARM_UP:]
    lasted = times[-1] - times[0]
    table = figures(f"End to end: {DOCUMENTS} documents, runs of about 2 s, one worker, one broker, no limits")
    table.add("documents per second", f"{_rate(times):.0f}", "at least 50, aim 150")
    table.add("slowest tenth", f"{_slowest(times):.0f} per second")
    table.add("worker's CPU per document", f"{1000 * cpu / DOCUMENTS:.2f} ms")
    table.add("worker's share of a core", f"{100 * cpu / lasted:.0f} %")
    table.add("simulator's share of a core", f"{100 * api_cpu / lasted:.0f} %")
    table.add("GETs per run", f"{gets / DOCUMENTS:.2f}")
    table.add("documents per transaction", f"{DOCUMENTS / commits:.1f}")
    table.add("worker's memory", f"{now.rss / 1e6:.0f} MB")

    reader.close()
    assert worker.process.terminate(25) == 0
    check(stage, reader, simulator)


def _rate(times: list[float]) -> float:
    """Between the first and the last tenth of the results: neither the ramp nor the runs that end last."""
    first, last = percentile(times, 0.1), percentile(times, 0.9)
    return 0.8 * len(times) / (last - first)


def _slowest(times: list[float]) -> float:
    tenth = len(times) // 10
    longest = max(times[start + tenth] - times[start] for start in range(tenth, len(times) - 2 * tenth, tenth))
    return tenth / longest
