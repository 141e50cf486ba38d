"""From the doorbell to the result, and what webhooks leave to ask: real broker, ingress, worker and simulated API."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from connector.core.topics import signals_topic
from tests.benchmarks.figures import Figures, percentile
from tests.benchmarks.follow.real import reads
from tests.benchmarks.stage import ResultReader, Stage, check
from tests.chaos.readers import avro_reader, read_committed
from tests.ports import HOST, free_ports
from tests.webhook.stage import SECRET

pytestmark = pytest.mark.benchmark

WARM_UP = 200
DOCUMENTS = 1200
PER_SECOND = 10.0


@pytest.mark.timeout(400)
def test_doorbell_to_result(stage: Stage, figures: Callable[[str], Figures]) -> None:
    (port,) = free_ports(1)
    url, secret = f"http://{HOST}:{port}/webhooks/extend", SECRET.decode()
    options = ("--median", "4", "--longest", "20", "--webhook", url, "--webhook-secret", secret)
    simulator = stage.open(*options, more={"follow": {"mode": "webhook"}})
    ingress, worker = stage.ingress(port, secret), stage.worker()
    stage.await_assignment([worker], 6)
    reader = ResultReader(stage)
    stage.produce(WARM_UP, per_second=PER_SECOND)
    reader.wait_for(WARM_UP, 60)
    asked, refused = reads(simulator)

    stage.produce(DOCUMENTS, first=WARM_UP, per_second=PER_SECOND)
    reader.wait_for(WARM_UP + DOCUMENTS, 90)

    gets = reads(simulator)[0] - asked
    signal = avro_reader("signal")
    rang: dict[str, float] = {}
    for record in read_committed(stage.servers, [signals_topic(stage.name)]):
        doorbell = signal.read(record.value or b"")
        rang.setdefault(doorbell["run_id"], doorbell["at_ms"] / 1000)
    results = list(zip(reader.seen, reader.results(), strict=True))[WARM_UP:]
    waits = [seen.at - rang[result["run_id"]] for seen, result in results if result["run_id"] in rang]
    all_the_way = [seen.at - result["times"]["finished"].timestamp() for seen, result in results]
    by_webhook = sum(result["observed_via"] == "webhook" for _, result in results)
    title = f"Doorbell to result: {DOCUMENTS} runs of about 4 s, {PER_SECOND:g} per second, one run type"
    table = figures(title)
    table.add("doorbell taken to result written, p50", f"{1000 * percentile(waits, 0.5):.0f} ms", "below 150 ms")
    table.add("the same, p99", f"{1000 * percentile(waits, 0.99):.0f} ms")
    table.add("end of the run to result written, p50", f"{1000 * percentile(all_the_way, 0.5):.0f} ms")
    table.add("found by a webhook", f"{100 * by_webhook / DOCUMENTS:.0f} %")
    table.add("GETs per run", f"{gets / DOCUMENTS:.2f}", "at most 1.1")

    reader.close()
    assert refused == 0
    assert worker.process.terminate(25) == 0
    assert ingress.process.terminate(25) == 0
    check(stage, reader, simulator)
