"""The transactional producer on the real broker: an honest answer about every end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from connector.adapters.kafka.properties import consumer_properties, producer_properties
from connector.adapters.kafka.transactions import End, Ended, TransactionalProducer
from connector.config.kafka import Kafka as KafkaSection
from connector.core.errors import ConfigurationError
from connector.core.record import OutRecord, Partition
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import CreateTopics, UniqueName

TIMEOUT = 10.0


@pytest.fixture
def section(kafka: Kafka) -> KafkaSection:
    return KafkaSection(bootstrap_servers=kafka.bootstrap_servers, transaction_timeout=TIMEOUT)


Write = Callable[..., Ended]


@pytest.fixture
def write(section: KafkaSection, create_topics: CreateTopics, unique_name: UniqueName) -> Iterator[Write]:
    """Writes records in one transaction of a member of a group; returns how it ended."""
    (topic,) = create_topics("in")
    group, writer = unique_name("group"), unique_name("writer")
    consumer = Consumer(consumer_properties(section, writer, group))
    consumer.subscribe([topic])
    while not consumer.assignment():
        consumer.poll(0.1)
    producer = TransactionalProducer(
        producer_properties(section, writer, writer, 2_000_000),
        transaction_timeout=TIMEOUT,
        beat=lambda: None,
    )
    while not producer.initialise(1.0):
        continue

    def one(*records: OutRecord) -> Ended:
        consumer.poll(0.05)
        offsets = {Partition(topic, 0): 0}
        return producer.write(records, offsets, consumer.consumer_group_metadata(), lambda: None)

    yield one
    producer.close()
    consumer.close()


def test_a_transaction_commits(write: Write, create_topics: CreateTopics) -> None:
    (topic,) = create_topics("out")

    assert write(OutRecord(topic, b"k", b"v")) == Ended(End.COMMITTED)
    assert write(OutRecord(topic, b"k", None)) == Ended(End.COMMITTED)


def test_a_topic_that_is_gone_is_named_and_the_next_transaction_works(
    write: Write,
    kafka: Kafka,
    create_topics: CreateTopics,
) -> None:
    """An unclear end instead would replace the producer and restore every partition, again and again."""
    gone, there = create_topics("gone", "there")
    assert write(OutRecord(gone, b"k", b"v")).end is End.COMMITTED
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for future in admin.delete_topics([gone]).values():
        future.result(10)

    deadline = time.monotonic() + 3 * TIMEOUT
    ended = write(OutRecord(gone, b"k", b"v"), OutRecord(there, b"k", b"v"))
    while ended.end is End.COMMITTED and time.monotonic() < deadline:  # the broker forgets it a moment later
        ended = write(OutRecord(gone, b"k", b"v"), OutRecord(there, b"k", b"v"))

    assert ended.end is End.ABORTED
    assert ended.stuck == {gone}, ended


def test_records_that_are_too_large_together_are_reported_as_refused(
    write: Write,
    create_topics: CreateTopics,
) -> None:
    (small,) = create_topics("small", config={"max.message.bytes": "100000"})
    records = [OutRecord(small, b"k%d" % number, os.urandom(5_000)) for number in range(40)]

    together = write(*records)

    assert together.end is End.ABORTED
    assert together.refused
    # librdkafka 2.16 may lose count of its sequence numbers over a refused batch: one more abort, nobody's fault.
    alone = [write(record) for record in records[:4]]
    assert [ended.end for ended in alone[1:]] == [End.COMMITTED] * 3, alone
    assert not any(ended.refused or ended.stuck for ended in alone)


def test_a_record_that_is_too_large_for_the_client_is_reported_as_refused(
    write: Write,
    create_topics: CreateTopics,
) -> None:
    (topic,) = create_topics("out")

    ended = write(OutRecord(topic, b"k", b"fits"), OutRecord(topic, b"k", os.urandom(3_000_000)))

    assert (ended.end, ended.refused) == (End.ABORTED, (1,))
    assert write(OutRecord(topic, b"k", b"fits")).end is End.COMMITTED


def test_records_travel_compressed(write: Write, create_topics: CreateTopics) -> None:
    (small,) = create_topics("small", config={"max.message.bytes": "20000"})

    assert write(OutRecord(small, b"k", b'{"content":"the same again"}' * 10_000)).end is End.COMMITTED
    assert write(OutRecord(small, b"k", os.urandom(30_000))).end is End.ABORTED, "the topic has that limit"


def test_properties_that_librdkafka_refuses_are_a_sentence(section: KafkaSection) -> None:
    properties = producer_properties(section, "writer", "writer", 1_000_000) | {"message.timeout.ms": 60_000}

    with pytest.raises(ConfigurationError, match=r"kafka\.properties"):
        TransactionalProducer(properties, transaction_timeout=TIMEOUT, beat=lambda: None)
