"""Wrong passwords and missing rights, on a broker that has users and an authorizer."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it does not mark what it exports
    AclOperation,
    ResourceType,
)

from connector.adapters.kafka.admin import Cluster
from connector.adapters.kafka.producing import RecordProducer
from connector.adapters.kafka.properties import client_properties, producer_properties, reader_properties
from connector.adapters.kafka.reading import AssignedReader
from connector.core.errors import TopicError
from connector.core.record import OutRecord, Partition, Record
from connector.core.topics import TopicSpec
from tests.kafka.guarded import USER, Password, Settings, guarded_broker

pytestmark = pytest.mark.kafka

TOPIC = "documents"
OPEN = "open-documents"
READABLE = "readable-documents"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address at which the user may describe and write two topics, read one, and not look at their settings."""
    with guarded_broker(tmp_path_factory.mktemp("kafka-guarded")) as broker:
        with Cluster({"bootstrap.servers": broker.own}, timeout=30) as cluster:
            cluster.create_topics([TopicSpec(TOPIC, 1), TopicSpec(OPEN, 1), TopicSpec(READABLE, 1)])
        broker.allow(ResourceType.TOPIC, OPEN, AclOperation.DESCRIBE, AclOperation.WRITE)
        broker.allow(ResourceType.TOPIC, READABLE, AclOperation.READ, AclOperation.WRITE)
        yield broker.address


def test_a_wrong_password_is_told_as_such_and_not_shown(guarded: str) -> None:
    wrong = Settings(guarded, Password("wrong-canary"))
    with Cluster(client_properties(wrong, "t"), timeout=3) as cluster, pytest.raises(TopicError) as caught:
        cluster.topics([TOPIC])
    text = str(caught.value)
    assert text.startswith(f"User {USER} could not log in at {guarded}")
    assert "kafka.password_file" in text
    assert "canary" not in text


def test_a_login_where_none_is_expected_names_the_protocol(guarded: str) -> None:
    plain = Settings(guarded, properties={})
    with Cluster(client_properties(plain, "t"), timeout=3) as cluster, pytest.raises(TopicError) as caught:
        cluster.topics([TOPIC])
    assert "security.protocol (plaintext)" in str(caught.value)


def test_a_missing_right_names_user_operation_and_topic(guarded: str) -> None:
    with Cluster(client_properties(Settings(guarded), "t")) as cluster:
        with pytest.raises(TopicError) as described:
            cluster.topics([TOPIC])
        with pytest.raises(TopicError) as created:
            cluster.create_topics([TopicSpec("new-topic", 1)])
        with pytest.raises(TopicError) as listed:
            cluster.members("some-group")
    assert f"User {USER} is not allowed: operation Describe on topic {TOPIC}" in str(described.value)
    assert "operation Create on topic new-topic" in str(created.value)
    assert "operation Describe on group some-group" in str(listed.value)


def test_settings_that_may_not_be_read_do_not_hide_the_topic(guarded: str) -> None:
    with Cluster(client_properties(Settings(guarded), "t")) as cluster:
        found = cluster.topics([OPEN])[OPEN]
    assert (found.partitions, found.config) == (1, None)


def test_a_write_without_the_right_is_told_with_the_topic(guarded: str) -> None:
    properties = {
        **producer_properties(Settings(guarded), "t", None, 1_000_000),
        "message.timeout.ms": 5_000,
    }
    producer = RecordProducer(properties)
    producer.send(OutRecord(TOPIC, None, b"x", partition=0), "first")
    producer.send(OutRecord(OPEN, None, b"x", partition=0), "second")
    sent = producer.flush()
    producer.close()
    assert sent.acked == 1
    ((label, error),) = sent.refused
    assert label == "first"
    assert f"operation Write on topic {TOPIC}" in str(error)


def test_a_read_without_the_right_is_told_with_the_topic(guarded: str) -> None:
    reader = AssignedReader(reader_properties(Settings(guarded), "t", "t"), {Partition(OPEN, 0): 0})
    with pytest.raises(TopicError, match=f"operation Read on topic {OPEN}"):
        _read_for(20, reader)
    reader.close()


def test_reading_what_one_assigns_oneself_needs_no_right_on_the_group(guarded: str) -> None:
    producer = RecordProducer(producer_properties(Settings(guarded), "t", None, 1_000_000))
    producer.send(OutRecord(READABLE, None, b"x", partition=0), "one")
    assert producer.flush().acked == 1
    producer.close()
    reader = AssignedReader(reader_properties(Settings(guarded), "t", "t"), {Partition(READABLE, 0): 0})
    until = time.monotonic() + 20
    records: list[Record] = []
    while not records and time.monotonic() < until:
        records = reader.read(0.2)
    reader.read(1)  # the refusal of the group may come only now
    reader.close()
    assert [record.value for record in records] == [b"x"]


def _read_for(seconds: float, reader: AssignedReader) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        reader.read(0.2)
