"""Records that a Python client cannot read whole: they must cost nobody his thread."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from connector.adapters.kafka.journal_reader import JournalReader
from connector.adapters.kafka.member import Member
from connector.adapters.kafka.properties import consumer_properties, reader_properties
from connector.adapters.kafka.reading import AssignedReader
from connector.config.kafka import Kafka as KafkaSection
from connector.core.record import Partition, Record
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import CreateTopics, UniqueName
from tests.kafka.raw_record import write_raw
from tests.kafka.test_member import Heard

SECONDS = 30.0
NOT_UTF8 = b"bad\xff\xfe"
GOOD = 40
"""Good records in front: Python 3.11 calls differently what was called often, and then hides the failure."""


@pytest.fixture
def topic(kafka: Kafka, create_topics: CreateTopics) -> str:
    """A topic with good records, one whose header name is not UTF-8, and a good one."""
    (name,) = create_topics("strange")
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for _ in range(GOOD):
        producer.produce(name, b"first", b"k0", partition=0, headers=[("h", b"1"), ("h", None)])
    assert producer.flush(SECONDS) == 0
    write_raw(kafka.bootstrap_servers, name, b"k\x001", b"\xffvalue", NOT_UTF8)
    producer.produce(name, b"last", b"k2", partition=0, headers=[("ä", b"2")])
    assert producer.flush(SECONDS) == 0
    return name


@pytest.fixture
def section(kafka: Kafka) -> KafkaSection:
    return KafkaSection(bootstrap_servers=kafka.bootstrap_servers, session_timeout=20.0)


def expected() -> list[tuple[bytes | None, bytes | None, object, bool]]:
    return [
        *[(b"k0", b"first", (("h", b"1"), ("h", None)), False)] * GOOD,
        (b"k\x001", b"\xffvalue", (), True),
        (b"k2", b"last", (("ä", b"2"),), False),
    ]


def shown(records: list[Record]) -> list[tuple[bytes | None, bytes | None, object, bool]]:
    return [(each.key, each.value, each.headers, each.headers_lost) for each in records]


def test_confluent_kafka_cannot_read_such_headers(kafka: Kafka, topic: str, unique_name: UniqueName) -> None:
    """When this fails, the client has learnt it and ``headers_lost`` may go."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": unique_name("g")})
    consumer.assign([TopicPartition(topic, 0, GOOD)])
    message = None
    deadline = time.monotonic() + SECONDS
    while message is None and time.monotonic() < deadline:
        message = consumer.poll(0.1)
    assert message is not None
    with pytest.raises(SystemError):
        message.headers()
    consumer.close()


@pytest.fixture
def member(section: KafkaSection, topic: str, unique_name: UniqueName) -> Iterator[Member]:
    group = unique_name("group")
    member = Member(consumer_properties(section, "member", group), [topic], Heard(), lambda: None)
    yield member
    member.close()


def test_a_member_reads_on_behind_a_header_name_that_is_not_utf8(member: Member, topic: str) -> None:
    read: list[Record] = []
    begun = False
    deadline = time.monotonic() + SECONDS
    while len(read) < GOOD + 2:
        assert time.monotonic() < deadline, read
        read.extend(member.poll(0.05, 100).records)
        begun = begun or (bool(member.owned) and member.begin(Partition(topic, 0), 0))
    assert shown(read) == expected()


def test_readers_of_journals_and_results_read_on_behind_it(
    section: KafkaSection,
    topic: str,
    unique_name: UniqueName,
) -> None:
    partition = Partition(topic, 0)
    properties = reader_properties(section, "reader", unique_name("group"))
    journal = JournalReader(properties)
    assert shown(list(journal.read({partition: GOOD + 2}, 10.0))) == expected()
    assert shown(journal.read_tail({partition: GOOD}, {partition: GOOD + 2})) == expected()[GOOD:]
    journal.close()
    reader = AssignedReader(properties, {partition: 0})
    read: list[Record] = []
    deadline = time.monotonic() + SECONDS
    while not reader.has_passed({partition: GOOD + 2}):
        assert time.monotonic() < deadline, read
        read.extend(reader.read(0.1))
    reader.close()
    assert shown(read) == expected()
