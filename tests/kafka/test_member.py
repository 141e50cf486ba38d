"""The group member on the real broker: what it owns, and what it must never give away by accident."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from connector.adapters.kafka.member import Member
from connector.adapters.kafka.properties import consumer_properties
from connector.config.kafka import Kafka as KafkaSection
from connector.core.record import Partition, Record
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import CreateTopics, UniqueName

PARTITIONS = 4
SECONDS = 30.0


@dataclass
class Heard:
    """What a member was told."""

    assigned: list[Partition] = field(default_factory=list)
    revoked: list[Partition] = field(default_factory=list)

    def on_assigned(self, partitions: Sequence[Partition]) -> None:
        self.assigned.extend(partitions)

    def on_revoked(self, partitions: Sequence[Partition]) -> None:
        self.revoked.extend(partitions)

    def on_lost(self, partitions: Sequence[Partition]) -> None:
        self.revoked.extend(partitions)


Open = Callable[[str], tuple[Member, Heard]]


@pytest.fixture
def topic(create_topics: CreateTopics) -> str:
    return create_topics("in", partitions=PARTITIONS)[0]


@pytest.fixture
def open_member(kafka: Kafka, topic: str, unique_name: UniqueName) -> Iterator[Open]:
    group = unique_name("group")
    section = KafkaSection(bootstrap_servers=kafka.bootstrap_servers, session_timeout=20.0)
    opened: list[Member] = []

    def make(name: str) -> tuple[Member, Heard]:
        heard = Heard()
        opened.append(Member(consumer_properties(section, name, group), [topic], heard, lambda: None))
        return opened[-1], heard

    yield make
    for member in opened:
        member.close()


def poll_until(member: Member, done: Callable[[], bool]) -> list[Record]:
    records: list[Record] = []
    deadline = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < deadline, "the group did not get there in time"
        records.extend(member.poll(0.05, 100).records)
    return records


def test_beginning_a_partition_answers_no_revocation(open_member: Open, topic: str) -> None:
    """A revocation that waits for our next poll must wait, whatever else we do to the client.

    With incremental_unassign and incremental_assign in ``begin``, librdkafka took them for the answer, and the other
    member owned partitions while this one had not been told.
    """
    mine, told = open_member("first")
    poll_until(mine, lambda: len(mine.owned) == PARTITIONS)
    other, gained = open_member("second")
    over = threading.Event()

    def poll_other() -> None:
        while not over.is_set():
            other.poll(0.05, 100)

    thread = threading.Thread(target=poll_other)
    thread.start()
    try:
        until = time.monotonic() + 7.0  # two heartbeats: the rebalance has reached us, and we have not polled
        while time.monotonic() < until:
            mine.begin(Partition(topic, 0), 0)
            assert not gained.assigned
            time.sleep(0.1)
        poll_until(mine, lambda: bool(told.revoked))
        poll_until(mine, lambda: bool(gained.assigned))
        assert set(gained.assigned) == set(told.revoked)
    finally:
        over.set()
        thread.join()


def test_a_partition_is_read_from_where_it_is_begun_and_not_before(
    open_member: Open,
    kafka: Kafka,
    topic: str,
) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for number in range(40):
        producer.produce(topic, value=b"%d" % number, partition=number % PARTITIONS)
    producer.flush()
    member, _ = open_member("only")

    early = poll_until(member, lambda: len(member.owned) == PARTITIONS)
    early += [record for _ in range(20) for record in member.poll(0.05, 100).records]
    begun: set[int] = set()
    read: list[Record] = []
    deadline = time.monotonic() + SECONDS
    while len(read) < PARTITIONS * 7 and time.monotonic() < deadline:
        for number in set(range(PARTITIONS)) - begun:
            if member.begin(Partition(topic, number), 3):
                begun.add(number)
        read.extend(member.poll(0.05, 100).records)

    assert early == []
    assert sorted((r.partition.number, r.offset) for r in read) == [
        (number, offset) for number in range(PARTITIONS) for offset in range(3, 10)
    ]


def test_a_partition_that_is_begun_as_soon_as_it_is_ours_loses_no_record(
    open_member: Open,
    kafka: Kafka,
    topic: str,
) -> None:
    """Nothing that librdkafka still asks the broker when it is told where to begin may overrule that place."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for number in range(40):
        producer.produce(topic, value=b"%d" % number, partition=number % PARTITIONS)
    producer.flush()
    member, heard = open_member("only")

    read = poll_until(member, lambda: len(heard.assigned) == PARTITIONS)
    for partition in heard.assigned:
        while not member.begin(partition, 3):
            read.extend(member.poll(0.001, 100).records)  # a longer wait lets every look-up end
    deadline = time.monotonic() + SECONDS / 3
    while len(read) < PARTITIONS * 7 and time.monotonic() < deadline:
        read.extend(member.poll(0.05, 100).records)

    assert sorted((r.partition.number, r.offset) for r in read) == [
        (number, offset) for number in range(PARTITIONS) for offset in range(3, 10)
    ]


def test_a_partition_whose_first_records_are_gone_is_read_from_where_it_is_begun(
    open_member: Open,
    kafka: Kafka,
    topic: str,
) -> None:
    """New partitions are held at offset 0, which retention may have removed: that must not keep them from beginning."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for number in range(40):
        producer.produce(topic, value=b"%d" % number, partition=number % PARTITIONS)
    producer.flush()
    gone = [TopicPartition(topic, number, 5) for number in range(PARTITIONS)]
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for future in admin.delete_records(gone).values():
        future.result(10)
    member, _ = open_member("only")

    poll_until(member, lambda: len(member.owned) == PARTITIONS)
    for _ in range(40):
        assert member.poll(0.05, 100).records == ()
    begun: set[int] = set()
    read: list[Record] = []
    deadline = time.monotonic() + SECONDS
    rejoin_at = time.monotonic() + 3.0
    while len(read) < PARTITIONS * 3 and time.monotonic() < deadline:
        if len(begun) < PARTITIONS and time.monotonic() > rejoin_at:
            # A fetch may slip out before the pause and find nothing at 0; then only joining anew helps.
            rejoin_at = time.monotonic() + 6.0
            begun.clear()
            read.clear()
            member.rejoin()
            poll_until(member, lambda: not member.owned)
            poll_until(member, lambda: len(member.owned) == PARTITIONS)
        for number in set(range(PARTITIONS)) - begun:
            if member.begin(Partition(topic, number), 7):
                begun.add(number)
        read.extend(member.poll(0.05, 100).records)

    assert sorted((r.partition.number, r.offset) for r in read) == [
        (number, offset) for number in range(PARTITIONS) for offset in range(7, 10)
    ]
