"""Reading a journal on the real broker: when to wait, when to give up, and what is not lost by that."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from connector.adapters.kafka.journal_reader import SILENCE_SECONDS, TAIL_PATIENCE_SECONDS, JournalReader
from connector.adapters.kafka.properties import reader_properties
from connector.config.kafka import Kafka as KafkaSection
from connector.core.errors import ConfigurationError, TopicError
from connector.core.record import Partition
from tests.kafka.cluster import Kafka, KafkaCluster
from tests.kafka.fixtures import CreateTopics, UniqueName

SECONDS = 20.0
PATIENCE = 0.5


@pytest.fixture
def journal(create_topics: CreateTopics) -> Partition:
    return Partition(create_topics("journal", partitions=2)[0], 0)


@pytest.fixture
def reader(kafka: Kafka, unique_name: UniqueName) -> Iterator[JournalReader]:
    section = KafkaSection(bootstrap_servers=kafka.bootstrap_servers)
    reader = JournalReader(reader_properties(section, "restore", unique_name("group")))
    yield reader
    reader.close()


@pytest.fixture
def writer(kafka: Kafka, unique_name: UniqueName) -> Producer:
    """A producer inside a transaction."""
    properties = {"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": unique_name("writer")}
    producer = Producer(properties)
    producer.init_transactions(SECONDS)
    producer.begin_transaction()
    return producer


def write(producer: Producer, journal: Partition, *values: bytes) -> None:
    for value in values:
        producer.produce(journal.topic, value, partition=journal.number)
    assert producer.flush(SECONDS) == 0


def test_a_journal_that_an_open_transaction_holds_back_is_given_up_soon(
    reader: JournalReader,
    writer: Producer,
    journal: Partition,
) -> None:
    write(writer, journal, b"committed")
    writer.commit_transaction(SECONDS)
    writer.begin_transaction()
    write(writer, journal, b"open")
    began = time.monotonic()
    with pytest.raises(TimeoutError, match="open transaction"):
        list(reader.read({journal: 3}, PATIENCE))
    assert time.monotonic() - began < SILENCE_SECONDS / 2
    writer.commit_transaction(SECONDS)
    assert [record.value for record in reader.read({journal: 4}, PATIENCE)] == [b"committed", b"open"]


def test_a_broker_that_is_silent_for_a_while_is_waited_for(
    kafka: Kafka,
    reader: JournalReader,
    writer: Producer,
    journal: Partition,
) -> None:
    if not isinstance(kafka, KafkaCluster):
        pytest.skip("this broker is not ours to pause")
    write(writer, journal, b"a", b"b")
    silence = TAIL_PATIENCE_SECONDS + 2.0
    resume = threading.Timer(silence, kafka.resume_node, [1])
    kafka.pause_node(1)
    began = time.monotonic()
    resume.start()
    tail = reader.read_tail({journal: 0}, {journal: 2})
    resume.join()
    assert [record.value for record in tail] == [b"a", b"b"]
    assert silence - 0.5 < time.monotonic() - began < silence + SILENCE_SECONDS


def test_a_partition_that_does_not_answer_keeps_back_nothing_of_the_other_tails(
    reader: JournalReader,
    writer: Producer,
    journal: Partition,
) -> None:
    write(writer, journal, b"open")
    other = Partition(journal.topic, 1)
    tail = reader.read_tail({journal: 0, other: 0}, {journal: 1, other: 9})
    assert [record.value for record in tail] == [b"open"]


def test_a_journal_partition_that_is_not_there_is_named(reader: JournalReader, journal: Partition) -> None:
    with pytest.raises(TopicError, match=f"partition 7 of topic {journal.topic}"):
        list(reader.read({Partition(journal.topic, 7): 1}, PATIENCE))


def test_a_property_that_does_not_exist_is_a_configuration_error() -> None:
    section = KafkaSection(bootstrap_servers="127.0.0.1:9")
    properties = {**reader_properties(section, "restore", "g"), "nonsense.timeout": 1}
    with pytest.raises(ConfigurationError, match=r"kafka.properties: .*nonsense.timeout"):
        JournalReader(properties)
