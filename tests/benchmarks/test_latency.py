"""From a record's produce to the arrival of its POST."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from tests.benchmarks.figures import Figures, percentile
from tests.benchmarks.machine import usage
from tests.benchmarks.stage import ResultReader, Stage, check, ledger_of

pytestmark = pytest.mark.benchmark

WARM_UP = 100
DOCUMENTS = 600
PER_SECOND = 20.0


@pytest.mark.timeout(300)
def test_record_to_post(stage: Stage, figures: Callable[[str], Figures]) -> None:
    simulator = stage.open("--median", "2")
    worker = stage.worker()
    stage.await_assignment([worker], 6)
    reader = ResultReader(stage)
    stage.produce(WARM_UP, per_second=2 * PER_SECOND)
    reader.wait_for(WARM_UP, 60)
    warm = {tag.partition: tag.offset for tag, _ in sorted(ledger_of(simulator), key=lambda run: run[0].offset)}

    used = usage(worker.process.pid)
    stage.produce(DOCUMENTS, first=WARM_UP, per_second=PER_SECOND)
    cpu = usage(worker.process.pid).cpu - used.cpu
    reader.wait_for(WARM_UP + DOCUMENTS, 60)

    waits = [
        datetime.fromisoformat(time).timestamp() - stage.produced_at[tag.partition][tag.offset]
        for tag, time in ledger_of(simulator)
        if tag.offset > warm.get(tag.partition, -1)
    ]
    table = figures(f"Record to POST: {DOCUMENTS} documents, {PER_SECOND:g} per second, runs of about 2 s")
    table.add("p50", f"{1000 * percentile(waits, 0.5):.0f} ms", "below 80 ms")
    table.add("p95", f"{1000 * percentile(waits, 0.95):.0f} ms")
    table.add("p99", f"{1000 * percentile(waits, 0.99):.0f} ms")
    table.add("worker's share of a core", f"{100 * cpu * PER_SECOND / DOCUMENTS:.0f} %")

    reader.close()
    assert len(waits) == DOCUMENTS
    assert worker.process.terminate(25) == 0
    check(stage, reader, simulator)
