"""What the connector takes for granted about Kafka, asked of the broker itself.

When a new broker or client breaks one of these, the connector's guarantees are void whatever its own tests say.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka import (
    OFFSET_END,
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import CreateTopics, UniqueName

SECONDS = 20.0

OnRevoke = Callable[[Consumer, list[TopicPartition]], None]


class Clients:
    """Makes clients of one broker, and closes them when the test is over."""

    def __init__(self, kafka: Kafka, unique_name: UniqueName) -> None:
        self._servers = kafka.bootstrap_servers
        self._consumers: list[Consumer] = []
        self.group = unique_name("group")
        self.transactional_id = unique_name("writer")

    def producer(self, transactional_id: str | None = None, timeout_ms: int = 60_000) -> Producer:
        """A transactional producer that is ready to begin."""
        producer = Producer(
            {
                "bootstrap.servers": self._servers,
                "transactional.id": transactional_id or self.transactional_id,
                "transaction.timeout.ms": timeout_ms,
                "message.timeout.ms": min(timeout_ms, 30_000),
                "linger.ms": 0,
                "log_level": 0,
            },
        )
        producer.init_transactions(SECONDS)
        return producer

    def consumer(self, group: str | None = None, isolation: str = "read_committed") -> Consumer:
        """A consumer as the connector uses it."""
        consumer = Consumer(
            {
                "bootstrap.servers": self._servers,
                "group.id": group or self.group,
                "isolation.level": isolation,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": 6000,
                "heartbeat.interval.ms": 500,
                "fetch.wait.max.ms": 50,
                "log_level": 0,
            },
        )
        self._consumers.append(consumer)
        return consumer

    def member(self, topic: str, on_revoke: OnRevoke | None = None) -> Consumer:
        """A consumer that has joined and owns at least one partition."""
        consumer = self.consumer()
        consumer.subscribe([topic], on_revoke=on_revoke or (lambda _consumer, _partitions: None))
        until(lambda: consumer.poll(0.1) is None and bool(consumer.assignment()))
        return consumer

    def close(self) -> None:
        """Close every consumer."""
        for consumer in self._consumers:
            consumer.close()


@pytest.fixture
def clients(kafka: Kafka, unique_name: UniqueName) -> Iterator[Clients]:
    clients = Clients(kafka, unique_name)
    yield clients
    clients.close()


def until(done: Callable[[], bool], seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not within {seconds:g} s"


def write(producer: Producer, topic: str, value: bytes) -> None:
    producer.produce(topic, value, partition=0)
    assert producer.flush(SECONDS) == 0


def values(consumer: Consumer, topic: str, end: int) -> list[bytes | None]:
    """What stands in partition 0 up to an end, control records included."""
    consumer.assign([TopicPartition(topic, 0, 0)])
    read: list[bytes | None] = []

    def reached() -> bool:
        message = consumer.poll(0.05)
        if message is not None:
            assert message.error() is None
            read.append(message.value())
        return consumer.position([TopicPartition(topic, 0)])[0].offset >= end

    until(reached)
    return read


def test_an_aborted_record_is_hidden_from_read_committed_and_from_nobody_else(
    clients: Clients,
    create_topics: CreateTopics,
) -> None:
    (topic,) = create_topics("results")
    producer = clients.producer()
    producer.begin_transaction()
    write(producer, topic, b"aborted")
    producer.abort_transaction(SECONDS)
    producer.begin_transaction()
    write(producer, topic, b"committed")
    producer.commit_transaction(SECONDS)

    # Two records and two control records.
    assert values(clients.consumer(isolation="read_uncommitted"), topic, 4) == [b"aborted", b"committed"]
    assert values(clients.consumer(), topic, 4) == [b"committed"]


def refusal(attempt: Callable[[], object]) -> KafkaError:
    with pytest.raises(KafkaException) as caught:
        attempt()
    error = caught.value.args[0]
    assert isinstance(error, KafkaError)
    return error


def test_offsets_with_stale_group_metadata_are_refused_and_the_transaction_can_be_aborted(
    clients: Clients,
    create_topics: CreateTopics,
) -> None:
    (topic,) = create_topics("input", partitions=2)
    first = clients.member(topic)
    stale = first.consumer_group_metadata()
    rejoin(clients, topic, first)
    producer = clients.producer()
    producer.begin_transaction()
    write(producer, topic, b"zombie")

    error = refusal(lambda: producer.send_offsets_to_transaction([TopicPartition(topic, 0, 1)], stale, SECONDS))

    assert error.code() in {KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID}
    assert error.txn_requires_abort()
    assert not error.fatal()
    producer.abort_transaction(SECONDS)
    assert committed(clients, topic) == OFFSET_INVALID

    # The same producer goes on with fresh metadata: a refusal costs one transaction and no more.
    producer.begin_transaction()
    producer.send_offsets_to_transaction([TopicPartition(topic, 0, 1)], first.consumer_group_metadata(), SECONDS)
    producer.commit_transaction(SECONDS)
    assert committed(clients, topic) == 1


def test_an_empty_list_of_offsets_fences_nobody(clients: Clients, create_topics: CreateTopics) -> None:
    (topic,) = create_topics("input", partitions=2)
    first = clients.member(topic)
    stale = first.consumer_group_metadata()
    rejoin(clients, topic, first)
    producer = clients.producer()
    producer.begin_transaction()
    write(producer, topic, b"zombie")

    producer.send_offsets_to_transaction([], stale, SECONDS)
    producer.commit_transaction(SECONDS)

    assert values(clients.consumer(isolation="read_committed"), topic, 2) == [b"zombie"]


def test_current_metadata_commits_for_a_partition_of_another_member_too(
    clients: Clients,
    create_topics: CreateTopics,
) -> None:
    (topic,) = create_topics("input", partitions=2)
    first = clients.member(topic)
    rejoin(clients, topic, first)
    (own,) = (each.partition for each in first.assignment())
    producer = clients.producer()
    producer.begin_transaction()

    others = [TopicPartition(topic, 1 - own, 3)]
    producer.send_offsets_to_transaction(others, first.consumer_group_metadata(), SECONDS)
    producer.commit_transaction(SECONDS)

    # The broker compares member and generation, not ownership: that check is the connector's.
    assert committed(clients, topic, 1 - own) == 3


def test_an_unchanged_offset_is_accepted_again_and_fences_like_any_other(
    clients: Clients,
    create_topics: CreateTopics,
) -> None:
    (topic,) = create_topics("input", partitions=2)
    member = clients.member(topic)
    producer = clients.producer()
    for _ in range(2):
        producer.begin_transaction()
        offsets = [TopicPartition(topic, 0, 5)]
        producer.send_offsets_to_transaction(offsets, member.consumer_group_metadata(), SECONDS)
        producer.commit_transaction(SECONDS)
    stale = member.consumer_group_metadata()
    rejoin(clients, topic, member)

    producer.begin_transaction()
    error = refusal(lambda: producer.send_offsets_to_transaction([TopicPartition(topic, 0, 5)], stale, SECONDS))

    assert error.txn_requires_abort()
    producer.abort_transaction(SECONDS)


def test_metadata_taken_in_the_revoke_callback_is_accepted(clients: Clients, create_topics: CreateTopics) -> None:
    (topic,) = create_topics("input", partitions=2)
    producer = clients.producer()
    last_words: list[int] = []

    def commit(consumer: Consumer, partitions: list[TopicPartition]) -> None:
        offsets = [TopicPartition(each.topic, each.partition, 7) for each in partitions]
        producer.begin_transaction()
        producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), SECONDS)
        producer.commit_transaction(SECONDS)
        last_words.extend(each.partition for each in partitions)

    first = clients.member(topic, on_revoke=commit)
    until(lambda: first.poll(0.1) is None and len(first.assignment()) == 2)

    rejoin(clients, topic, first)

    assert len(last_words) == 1  # cooperative: only what moves is revoked
    assert committed(clients, topic, last_words[0]) == 7


def expel(kafka: Kafka, group: str, member_id: str) -> None:
    """A LeaveGroup request (version 0) in a member's name: to the member it is as if its session had been over."""
    texts = b"".join(struct.pack(">h", len(text)) + text.encode() for text in ("test", group, member_id))
    request = struct.pack(">hhi", 13, 0, 1) + texts
    host, port = kafka.bootstrap_servers.split(",")[0].rsplit(":", 1)
    with socket.create_connection((host, int(port)), SECONDS) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        (size,) = struct.unpack(">i", connection.recv(4, socket.MSG_WAITALL))
        _, error = struct.unpack(">ih", connection.recv(size, socket.MSG_WAITALL))
    assert error == 0


def test_metadata_of_an_expelled_member_is_refused_however_fresh(
    kafka: Kafka,
    clients: Clients,
    create_topics: CreateTopics,
) -> None:
    # It has no member id any more and keeps its generation. Without that too, it would count as somebody who never
    # joined, whom nobody fences; and in a revoke callback nothing else would stop it.
    (topic,) = create_topics("input")
    expelled = clients.member(topic)
    expel(kafka, clients.group, expelled.memberid())
    until(lambda: not expelled.memberid())
    producer = clients.producer()
    producer.begin_transaction()
    fresh = expelled.consumer_group_metadata()

    error = refusal(lambda: producer.send_offsets_to_transaction([TopicPartition(topic, 0, 1)], fresh, SECONDS))

    assert expelled.assignment()
    assert error.code() == KafkaError.UNKNOWN_MEMBER_ID
    assert error.txn_requires_abort()
    producer.abort_transaction(SECONDS)


def test_a_successor_waits_for_pending_offsets_and_a_dead_writers_id_releases_them_at_once(
    clients: Clients,
    create_topics: CreateTopics,
) -> None:
    (topic,) = create_topics("input")
    member = clients.member(topic)
    dead = clients.producer()
    dead.begin_transaction()
    write(dead, topic, b"unfinished")
    dead.send_offsets_to_transaction([TopicPartition(topic, 0, 9)], member.consumer_group_metadata(), SECONDS)
    successor = clients.consumer()

    refused = refusal(lambda: successor.committed([TopicPartition(topic, 0)], 2.0))

    assert refused.code() == KafkaError._TIMED_OUT
    begun = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: successor.committed([TopicPartition(topic, 0)], SECONDS))
        clients.producer()  # init_transactions with the id of the open transaction
        # Far below the 60 s after which the coordinator would end it by itself.
        assert waiting.result(10)[0].offset == OFFSET_INVALID
    assert time.monotonic() - begun < 10
    assert refusal(lambda: dead.commit_transaction(SECONDS)).fatal()


def test_the_log_end_lies_behind_the_last_stable_offset_while_a_transaction_is_open(
    clients: Clients,
    create_topics: CreateTopics,
) -> None:
    (topic,) = create_topics("journal")
    producer = clients.producer()
    producer.begin_transaction()
    write(producer, topic, b"open")

    ends = [clients.consumer(isolation=level) for level in ("read_committed", "read_uncommitted")]
    highs = [each.get_watermark_offsets(TopicPartition(topic, 0), SECONDS) for each in ends]

    # A restore that stops where read_committed stops would miss this record, which commits a moment later.
    assert highs == [(0, 0), (0, 1)]
    producer.commit_transaction(SECONDS)


def test_a_partition_assigned_paused_at_the_end_can_be_assigned_again_at_an_offset(
    clients: Clients,
    create_topics: CreateTopics,
) -> None:
    (topic,) = create_topics("input")
    producer = clients.producer()
    producer.begin_transaction()
    for number in range(5):
        producer.produce(topic, b"%d" % number, partition=0)
    producer.commit_transaction(SECONDS)
    member = clients.consumer()

    def hold(consumer: Consumer, partitions: list[TopicPartition]) -> None:
        at_end = [TopicPartition(each.topic, each.partition, OFFSET_END) for each in partitions]
        consumer.incremental_assign(at_end)
        consumer.pause(at_end)

    member.subscribe([topic], on_assign=hold)
    until(lambda: member.poll(0.1) is None and bool(member.assignment()))
    for _ in range(5):
        assert member.poll(0.1) is None

    # Outside any callback, as a restore does that ran on another thread.
    member.incremental_unassign([TopicPartition(topic, 0)])
    member.incremental_assign([TopicPartition(topic, 0, 3)])
    member.resume([TopicPartition(topic, 0)])

    read: list[bytes | None] = []

    def reads() -> bool:
        message = member.poll(0.1)
        if message is not None:
            read.append(message.value())
        return len(read) == 2

    until(reads)
    assert read == [b"3", b"4"]
    assert [each.partition for each in member.assignment()] == [0]


def test_a_topic_made_again_has_another_id(kafka: Kafka, create_topics: CreateTopics) -> None:
    (topic,) = create_topics("input")
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    before = topic_id(admin, topic)
    assert before == topic_id(admin, topic)
    admin.delete_topics([topic])[topic].result(SECONDS)
    until(lambda: topic not in admin.list_topics(timeout=SECONDS).topics)

    assert create_topics("input") == (topic,)

    assert topic_id(admin, topic) != before


def topic_id(admin: AdminClient, topic: str) -> str:
    description = admin.describe_topics(TopicCollection([topic]))[topic].result(SECONDS)
    return str(description.topic_id)


def rejoin(clients: Clients, topic: str, first: Consumer) -> None:
    """Let a second member join, so that the first gets into a new generation and keeps one of two partitions."""
    second = clients.consumer()
    second.subscribe([topic])

    def settled() -> bool:
        first.poll(0.05)
        second.poll(0.05)
        return len(first.assignment()) == 1 and len(second.assignment()) == 1

    until(settled)
    for _ in range(3):  # the new generation is served by a poll or two after the assignment shows it
        first.poll(0.1)


def committed(clients: Clients, topic: str, partition: int = 0) -> int:
    return clients.consumer().committed([TopicPartition(topic, partition)], SECONDS)[0].offset
