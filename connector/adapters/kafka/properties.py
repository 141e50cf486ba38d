"""From the configuration to what librdkafka is told.

Users' properties win over ours, except those that the guarantees stand on; the configuration refuses these.
The figures and their reasons come from measurements on Apache Kafka 4.4.0 with librdkafka 2.16.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from connector.adapters.kafka.client_log import ClientLog

Properties = dict[str, object]
"""Properties of one librdkafka client, by name; `logger` is an object, the others are text and numbers."""

HEARTBEAT_MS = 3_000
MAX_POLL_INTERVAL_MS = 300_000
SOCKET_TIMEOUT_MS = 30_000
"""Half of librdkafka's default: a broker that is half gone is noticed before a session ends twice."""


class Revealable(Protocol):
    """A secret."""

    def reveal(self) -> str:
        """The secret itself."""


class KafkaSettings(Protocol):
    """What is read of the section `kafka` of the configuration; durations are seconds."""

    @property
    def bootstrap_servers(self) -> str:
        """``host:port``, several with commas."""

    @property
    def properties(self) -> Mapping[str, str | int | float | bool]:
        """Properties of librdkafka, as the user wrote them."""

    @property
    def password(self) -> Revealable | None:
        """The SASL password, or None."""

    @property
    def transaction_timeout(self) -> float:
        """Seconds that a transaction may take."""

    @property
    def session_timeout(self) -> float:
        """Seconds without a heartbeat until a member counts as gone."""


def client_properties(kafka: KafkaSettings, client_id: str) -> Properties:
    """What every client is told: where, as whom, and that its log lines come to us.

    Args:
        kafka: the configuration.
        client_id: names this client in the brokers' logs and metrics, and in the group.
    """
    return _merged(kafka, _common(client_id))


def consumer_properties(kafka: KafkaSettings, client_id: str, group_id: str) -> Properties:
    """A member of the consumer group.

    Args:
        kafka: the configuration.
        client_id: must be the `transactional.id` of the process: a successor compares them.
        group_id: the connector's name.
    """
    return _merged(kafka, {**_common(client_id), **_fetching(group_id), **_membership(kafka)})


def reader_properties(kafka: KafkaSettings, client_id: str, group_id: str) -> Properties:
    """A consumer that is assigned partitions by hand and never joins; the group is for `committed()` only.

    Args:
        kafka: the configuration.
        client_id: names this client in the brokers' logs.
        group_id: the group whose offsets it may ask for.
    """
    return _merged(kafka, {**_common(client_id), **_fetching(group_id)})


def producer_properties(
    kafka: KafkaSettings,
    client_id: str,
    transactional_id: str | None,
    max_bytes: int,
) -> Properties:
    """A producer: transactional with an id, idempotent without.

    Args:
        kafka: the configuration.
        client_id: names this client in the brokers' logs.
        transactional_id: one per process and life, or None.
        max_bytes: bytes of the largest record, with its batch.
    """
    transaction_ms = _milliseconds(kafka.transaction_timeout)
    ours: Properties = {
        **_common(client_id),
        "acks": "all",
        "enable.idempotence": True,
        # As Java's clients do: records with one key meet in one partition, whoever writes them.
        "partitioner": "murmur2_random",
        "compression.type": "zstd",
        # Every transaction is flushed at once; a longer linger would only add to its time.
        "linger.ms": 2,
        "message.max.bytes": max_bytes,
    }
    if transactional_id is not None:
        # librdkafka refuses longer timeouts inside than the transaction has.
        ours |= {
            "transactional.id": transactional_id,
            "transaction.timeout.ms": transaction_ms,
            "message.timeout.ms": transaction_ms,
            "socket.timeout.ms": min(SOCKET_TIMEOUT_MS, transaction_ms),
        }
    return _merged(kafka, ours)


def _common(client_id: str) -> Properties:
    return {
        "client.id": client_id,
        # Telemetry for the broker's operator (KIP-714) costs a log line per client and is of no use to ours.
        "enable.metrics.push": False,
        "socket.keepalive.enable": True,
        "socket.timeout.ms": SOCKET_TIMEOUT_MS,
        "logger": ClientLog(client_id),
    }


def _fetching(group_id: str) -> Properties:
    return {
        "group.id": group_id,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # Only so is it known that nothing but transaction markers is left.
        "enable.partition.eof": True,
        # Positions come from the journal. An offset out of range stops its partition; it never jumps.
        "auto.offset.reset": "error",
        # The default prefetches 64 MB. A smaller queue needs the shorter backoff, or bulk reads crawl
        # (a restore of 38,000 entries: more than 20 s with 1000 ms, 0.5 s with 20 ms).
        "queued.min.messages": 10_000,
        "queued.max.messages.kbytes": 16_384,
        "fetch.queue.backoff.ms": 20,
    }


def _membership(kafka: KafkaSettings) -> Properties:
    ours: Properties = {
        # 300 s by default: partitions that are added to an input would stay unread that long.
        "topic.metadata.refresh.interval.ms": 10_000,
    }
    session_ms = _milliseconds(kafka.session_timeout)
    ours["max.poll.interval.ms"] = max(MAX_POLL_INTERVAL_MS, session_ms)
    if kafka.properties.get("group.protocol") != "consumer":
        # KIP-848 leaves these to the broker, and librdkafka refuses them there.
        ours |= {
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": session_ms,
            "heartbeat.interval.ms": min(HEARTBEAT_MS, session_ms // 3),
        }
    return ours


def _merged(kafka: KafkaSettings, ours: Properties) -> Properties:
    merged: Properties = {**ours, **kafka.properties, "bootstrap.servers": kafka.bootstrap_servers}
    if kafka.password is not None:
        merged["sasl.password"] = kafka.password.reveal()
    return merged


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
