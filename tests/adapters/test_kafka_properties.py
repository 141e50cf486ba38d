from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from confluent_kafka import Consumer, Producer

from connector.adapters.kafka.properties import (
    Properties,
    client_properties,
    consumer_properties,
    producer_properties,
    reader_properties,
)


class _Password:
    def reveal(self) -> str:
        return "canary-password"


@dataclass(frozen=True)
class _Kafka:
    bootstrap_servers: str = "127.0.0.1:1"
    properties: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    password: _Password | None = None
    transaction_timeout: float = 15.0
    session_timeout: float = 20.0


def _shown(properties: Properties) -> Properties:
    return {name: value for name, value in properties.items() if name != "logger"}


def test_a_member_reads_committed_records_and_never_commits_or_jumps_by_itself() -> None:
    found = consumer_properties(_Kafka(), "invoices-pod-1", "invoices")
    assert found["group.id"] == "invoices"
    assert found["client.id"] == "invoices-pod-1"
    assert found["isolation.level"] == "read_committed"
    assert found["enable.auto.commit"] is False
    assert found["enable.auto.offset.store"] is False
    assert found["auto.offset.reset"] == "error"
    assert found["partition.assignment.strategy"] == "cooperative-sticky"
    assert found["session.timeout.ms"] == 20_000
    assert found["max.poll.interval.ms"] == 300_000
    assert found["topic.metadata.refresh.interval.ms"] == 10_000
    # The small prefetch is only fast with the short backoff.
    assert found["fetch.queue.backoff.ms"] == 20


def test_the_new_group_protocol_leaves_sessions_and_assignors_to_the_broker() -> None:
    kafka = _Kafka(properties={"group.protocol": "consumer"})
    found = consumer_properties(kafka, "id", "invoices")
    assert {
        "session.timeout.ms",
        "heartbeat.interval.ms",
        "partition.assignment.strategy",
    } & found.keys() == set()
    Consumer(found).close()


def test_a_session_longer_than_the_poll_interval_stretches_the_interval() -> None:
    found = consumer_properties(_Kafka(session_timeout=400.0), "id", "invoices")
    assert found["max.poll.interval.ms"] == 400_000
    Consumer(found).close()


def test_heartbeats_fit_several_times_into_a_short_session() -> None:
    assert consumer_properties(_Kafka(session_timeout=6.0), "id", "g")["heartbeat.interval.ms"] == 2_000
    assert consumer_properties(_Kafka(session_timeout=60.0), "id", "g")["heartbeat.interval.ms"] == 3_000


def test_a_reader_has_nothing_of_a_member() -> None:
    found = reader_properties(_Kafka(), "id", "invoices")
    assert found["isolation.level"] == "read_committed"
    assert found["enable.partition.eof"] is True
    assert found["enable.auto.commit"] is False
    assert "session.timeout.ms" not in found
    Consumer(found).close()


@pytest.mark.parametrize("timeout", [5.0, 15.0, 60.0])
def test_no_timeout_inside_a_transaction_is_longer_than_the_transaction(timeout: float) -> None:
    found = producer_properties(_Kafka(transaction_timeout=timeout), "id", "invoices-1", 2_000_000)
    assert found["transactional.id"] == "invoices-1"
    assert found["transaction.timeout.ms"] == timeout * 1000
    assert found["message.timeout.ms"] == timeout * 1000
    # librdkafka refuses anything longer when the producer is made.
    Producer(found).close()


def test_a_producer_is_idempotent_and_chooses_partitions_as_java_does() -> None:
    found = producer_properties(_Kafka(), "id", None, 2_000_000)
    assert found["enable.idempotence"] is True
    assert found["acks"] == "all"
    assert found["partitioner"] == "murmur2_random"
    assert found["message.max.bytes"] == 2_000_000
    assert "transactional.id" not in found
    Producer(found).close()


@pytest.mark.parametrize("transactional_id", ["invoices-1", None])
def test_whatever_is_written_is_compressed_by_zstd(transactional_id: str | None) -> None:
    assert producer_properties(_Kafka(), "id", transactional_id, 2_000_000)["compression.type"] == "zstd"


def test_the_users_properties_win() -> None:
    kafka = _Kafka(properties={"compression.type": "lz4", "linger.ms": 5, "security.protocol": "PLAINTEXT"})
    found = producer_properties(kafka, "id", None, 2_000_000)
    assert found["compression.type"] == "lz4"
    assert found["linger.ms"] == 5
    assert client_properties(kafka, "id")["security.protocol"] == "PLAINTEXT"


def test_the_password_reaches_every_client() -> None:
    kafka = _Kafka(password=_Password())
    for found in (
        client_properties(kafka, "id"),
        consumer_properties(kafka, "id", "g"),
        reader_properties(kafka, "id", "g"),
        producer_properties(kafka, "id", None, 1),
    ):
        assert found["sasl.password"] == "canary-password"
    assert "sasl.password" not in _shown(client_properties(_Kafka(), "id"))
