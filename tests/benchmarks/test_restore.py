"""A journal with very many open documents: how long until a new worker has read it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Producer

from connector.core.entry import Entry, Request, State
from connector.core.formats.framing import Codec
from connector.core.journal_record import JournalCodec
from connector.core.record import Partition
from connector.core.tag import HASH_CHARS, Tag
from connector.core.topics import journal_topic
from connector.schema_files import load_schema
from tests.benchmarks.figures import Figures
from tests.benchmarks.machine import usage
from tests.benchmarks.stage import PARTITIONS, Stage, wait_until
from tests.benchmarks.test_open_runs import restore_seconds

pytestmark = pytest.mark.benchmark

OPEN = 100_000
SECONDS = 60.0


@pytest.mark.timeout(600)
def test_a_large_journal_is_restored(stage: Stage, figures: Callable[[str], Figures]) -> None:
    stage.open(limits={"get": 1.0})
    _write(stage, OPEN)

    begun = time.monotonic()
    worker = stage.worker()
    metric = "extend_connector_restored_documents_total"
    wait_until(lambda: worker.metric(metric) == OPEN, SECONDS, f"not {OPEN} restored")
    ready = time.monotonic() - begun

    table = figures(f"a journal with {OPEN} open documents")
    table.add("process start to ready", f"{ready:.1f} s", "below 30 s")
    table.add("one partition, assigned to restored", f"{restore_seconds(worker):.1f} s")
    table.add("worker's memory", f"{usage(worker.process.pid).rss / 1e6:.0f} MB")
    assert worker.process.terminate(25) == 0


def _write(stage: Stage, count: int) -> None:
    codec = JournalCodec(Codec(load_schema("journal_entry")), stage.name)
    producer = Producer({"bootstrap.servers": stage.servers, "enable.idempotence": True, "log_level": 0})
    for entry in _entries(stage, count):
        # One journal partition for each input partition: the topics were made with the same count.
        producer.produce(
            journal_topic(stage.name), codec.encode_entry(entry), str(entry.tag), entry.partition.number % PARTITIONS
        )
        producer.poll(0)
    assert producer.flush(SECONDS) == 0


def _entries(stage: Stage, count: int) -> Iterator[Entry]:
    for number in range(count):
        tag = Tag(stage.name, Partition(stage.topic, number % PARTITIONS), number // PARTITIONS, "a" * HASH_CHARS)
        yield Entry(
            tag=tag,
            state=State.STARTED,
            request=Request("extract", "documents", b"", processor_id="ex_invoices", document_id=f"doc-{number}"),
            key=f"customer-{number % 97}".encode(),
            headers=(),
            value=None,
            source_timestamp=1_790_000_000_000,
            accepted_ms=1_790_000_000_000,
            run_id=f"ext_run_{number}",
            started_ms=1_790_000_000_000,
        )
