"""Reading topics from given offsets, committed records only, without joining a group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from connector.adapters.kafka.errors import Troubles, with_troubles
from connector.core.record import Headers, Partition, Record

_BATCH = 500
_FATAL = frozenset(
    {
        "TOPIC_AUTHORIZATION_FAILED",
        "GROUP_AUTHORIZATION_FAILED",
        "UNKNOWN_TOPIC_OR_PART",
        "_UNKNOWN_TOPIC",
        "_UNKNOWN_PARTITION",
        "_AUTHENTICATION",
        "SASL_AUTHENTICATION_FAILED",
        "_AUTO_OFFSET_RESET",
        "_FATAL",
    },
)


class AssignedReader:
    """A consumer that is given its partitions. Belongs to one thread."""

    def __init__(self, properties: Mapping[str, object], starts: Mapping[Partition, int]) -> None:
        """Begins to fetch at once.

        Args:
            properties: from `reader_properties`.
            starts: the first offset to read of each partition.

        Raises:
            ConfigurationError: librdkafka refuses the properties.
        """
        self._troubles = Troubles(properties)
        self._positions = dict(starts)
        try:
            self._consumer = Consumer(with_troubles(properties, self._troubles))
        except KafkaException as error:
            raise self._troubles.explain(error, "Read", "cluster") from error
        self._consumer.assign([TopicPartition(topic, number, at) for (topic, number), at in starts.items()])

    def read(self, timeout: float) -> list[Record]:
        """The records that are there; none when none came in time.

        Args:
            timeout: seconds to wait for the first of them.

        Raises:
            ConnectorError: a topic is gone or may not be read, or its records were deleted meanwhile.
        """
        # `consume` with a timeout would wait for a full batch; this returns with the first record.
        first = self._consumer.poll(timeout)
        if first is None:
            return []
        messages = [first, *self._consumer.consume(_BATCH - 1, 0)]
        return [record for message in messages if (record := self._take(message)) is not None]

    def has_passed(self, ends: Mapping[Partition, int]) -> bool:
        """Whether everything before these offsets was read.

        Commit markers take offsets too: the end of a partition is known by its end-of-partition event.
        """
        return all(self._positions[partition] >= end for partition, end in ends.items())

    def close(self) -> None:
        """End the connections."""
        self._consumer.close()

    def _take(self, message: Message) -> Record | None:
        error = message.error()
        partition = Partition(str(message.topic()), int(message.partition() or 0))
        if error is not None:
            self._fail_or_go_on(error, partition, message)
            return None
        offset = int(message.offset() or 0)
        self._positions[partition] = offset + 1
        kind, timestamp = message.timestamp()
        return Record(
            partition=partition,
            offset=offset,
            key=message.key(),
            value=message.value(),
            headers=_headers(message.headers()),
            timestamp=timestamp if kind else None,
        )

    def _fail_or_go_on(self, error: KafkaError, partition: Partition, message: Message) -> None:
        name = error.name()
        if name == "_PARTITION_EOF":
            self._positions[partition] = max(self._positions[partition], int(message.offset() or 0))
            return
        if name in _FATAL:
            topic = f"topic {partition.topic}"
            resource = topic if name.endswith("_FAILED") else f"partition {partition.number} of {topic}"
            raise self._troubles.explain(error, "Read", resource)
        self._troubles(error)


def _headers(found: Any) -> Headers:  # noqa: ANN401 - a list of pairs, or a mapping in the package's types
    return tuple((name, value) for name, value in found or ())
