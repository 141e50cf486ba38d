"""The checker's readers see on a real broker what the connector's own records say, and nothing that was aborted."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from connector.core.accept.dead_letter import dead_letter
from connector.core.entry import Entry, Request, State, accept
from connector.core.errors import RecordRejected
from connector.core.formats.framing import Codec
from connector.core.journal_record import JournalCodec, Mark
from connector.core.record import OutRecord, Partition, Record
from connector.core.result import result_record
from connector.core.run import Run
from connector.core.run_types import dead_letter_topic, status_topics
from connector.schema_files import load_schema
from tests.chaos.checker import Rules, check
from tests.chaos.history import History
from tests.chaos.readers import patiently, read_committed, read_history
from tests.chaos.writer import Reference, ReferenceWriter
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import UniqueName, made_topics

SECONDS = 20.0


class Transactions:
    """Writes as the connector does: records and offsets together, committed or aborted."""

    def __init__(self, kafka: Kafka, name: str) -> None:
        self._producer = Producer(
            {"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": name, "log_level": 0},
        )
        self._producer.init_transactions(SECONDS)
        self._consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": name, "log_level": 0})

    def write(self, *records: OutRecord, offset: TopicPartition | None = None, commit: bool = True) -> None:
        self._producer.begin_transaction()
        for record in records:
            partition = -1 if record.partition is None else record.partition
            self._producer.produce(record.topic, record.value, record.key, partition, headers=list(record.headers))
        self._producer.flush(SECONDS)
        if offset is not None:
            metadata = self._consumer.consumer_group_metadata()
            self._producer.send_offsets_to_transaction([offset], metadata, SECONDS)
        if commit:
            self._producer.commit_transaction(SECONDS)
        else:
            self._producer.abort_transaction(SECONDS)

    def leave_open(self, record: OutRecord) -> None:
        self._producer.begin_transaction()
        self._producer.produce(record.topic, record.value, record.key)
        self._producer.flush(SECONDS)

    def close(self) -> None:
        self._producer.close()
        self._consumer.close()


@pytest.fixture
def name(unique_name: UniqueName) -> str:
    return unique_name("invoices")


@pytest.fixture
def transactions(kafka: Kafka, name: str) -> Iterator[Transactions]:
    transactions = Transactions(kafka, name)
    yield transactions
    transactions.close()


def run_of(run_id: str) -> Run:
    return Run(
        id=run_id,
        run_type="extract",
        status="PROCESSED",
        output=b'{"value": 1}',
        failure_reason=None,
        failure_message=None,
        reviewed=False,
        credits=1.0,
        tag=None,
        processor_id=None,
        processor_version=None,
        file_id=None,
        file_name=None,
        dashboard_url=None,
        created_ms=None,
        updated_ms=None,
        started_ms=None,
        finished_ms=None,
    )


def ledger_line(run_id: str, entry: Entry) -> bytes:
    run = {"tag": str(entry.tag), "run_id": run_id, "run_type": "extract", "time": "2026-11-24T02:00:00.000Z"}
    return json.dumps(run).encode() + b"\n"


def test_a_run_written_with_the_connectors_own_codecs_reads_back_as_sound(
    kafka: Kafka,
    name: str,
    transactions: Transactions,
) -> None:
    topic, journal = f"{name}-in", f"{name}.journal"
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    made_topics(admin, (topic, journal, *status_topics(name), dead_letter_topic(name)), 1, {})
    writer = ReferenceWriter(kafka.bootstrap_servers, name)
    writer.write(Reference(topic, b"key", b"{}", f"doc-{n}") for n in range(3))
    assert writer.unknown == 0

    partition = Partition(topic, 0)
    codec = JournalCodec(Codec(load_schema("journal_entry")), name)
    results = Codec(load_schema("run_result"))

    def entry(number: int) -> Entry:
        request = Request("extract", "documents", b"{}", document_id=f"doc-{number}")
        return accept(writer.inputs[number].tag, request, Record(partition, number, b"key", b"{}"), 1)

    def held(entry: Entry | None, tag: str) -> OutRecord:
        return OutRecord(journal, tag.encode(), codec.encode_entry(entry) if entry else None, partition=0)

    def marked(offset: int) -> OutRecord:
        mark = Mark(name, partition, "topic-id", offset, "fingerprint")
        return OutRecord(journal, mark.key, codec.encode_mark(mark), partition=0)

    first, third = entry(0).start("exr_1", 2), entry(2).intend("nonce").park("unclear")
    emitted = result_record(
        first,
        run_of("exr_1"),
        prefix=name,
        observed_via="poll",
        observed_ms=3,
        emitted_ms=4,
        max_bytes=1_000_000,
        codec=results,
    )
    letter = dead_letter(
        b"key",
        b"{}",
        (("extend.reason", b"of the input itself"),),
        partition,
        1,
        RecordRejected("NO_FILE", "there is no file"),
        topic=dead_letter_topic(name),
        connector=name,
        max_bytes=1_000_000,
    )
    at_end = TopicPartition(topic, 0, 3)
    transactions.write(held(first, str(first.tag)), held(third, str(third.tag)), marked(3), letter, offset=at_end)
    transactions.write(emitted, held(None, str(first.tag)), marked(2), offset=TopicPartition(topic, 0, 2), commit=False)
    transactions.write(emitted, held(None, str(first.tag)), marked(3), offset=at_end)
    transactions.write(emitted, commit=False)

    def history() -> History:
        return read_history(
            kafka.bootstrap_servers,
            name=name,
            prefix=name,
            inputs=writer.inputs,
            ledger=ledger_line("exr_1", first),
        )

    rules = Rules(name, parked_at_most=1, partitions=frozenset({partition}))
    sound = history()
    verdict = check(sound, rules)
    assert verdict.violations == (), str(verdict)
    assert [each.reason for each in sound.dead_letters] == ["NO_FILE"]
    assert [each.state for each in sound.open_entries] == [State.PARKED]

    transactions.write(emitted)

    assert set(check(history(), rules).kinds) == {"duplicate"}


def test_a_topic_with_an_open_transaction_is_not_taken_for_read(
    kafka: Kafka,
    name: str,
    transactions: Transactions,
) -> None:
    made_topics(AdminClient({"bootstrap.servers": kafka.bootstrap_servers}), (name,), 2, {})
    transactions.leave_open(OutRecord(name, b"key", b"value"))

    with pytest.raises(TimeoutError, match="a transaction may be open there"):
        read_committed(kafka.bootstrap_servers, [name], within=1.0)


def test_a_coordinator_that_has_just_moved_is_asked_again() -> None:
    refusals = [KafkaException(KafkaError(KafkaError.NOT_COORDINATOR))] * 2

    def look() -> str:
        if refusals:
            raise refusals.pop()
        return "offsets"

    assert patiently(look) == "offsets"


def test_a_look_that_stays_refused_says_why() -> None:
    def look() -> None:
        raise KafkaException(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED))

    with pytest.raises(KafkaException, match="GROUP_AUTHORIZATION_FAILED"):
        patiently(look, within=0.0)
