"""Reading topics from given offsets without joining a group; the properties say whether open transactions are read."""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from connector.adapters.kafka.errors import Troubles, with_troubles
from connector.adapters.kafka.messages import AnyMessage, offset_of, partition_of, record_of
from connector.core.record import Partition, Record

_BATCH = 500
# No right on the group is needed to read what one assigns oneself, though librdkafka may ask for the coordinator all
# the same and report its refusal, before or after the first record.
_FATAL = frozenset(
    {
        "TOPIC_AUTHORIZATION_FAILED",
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
        self._at_end: set[Partition] = set()
        self.events = 0
        """Records and new ends of partitions so far: what tells a broker that is silent from one that has no more."""
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

    def is_held_back(self, ends: Mapping[Partition, int]) -> bool:
        """Whether the broker said of all that is not passed yet that there is no more to read now.

        With `read_committed` that is the last stable offset: an open transaction, or one that has just ended.
        """
        return all(self._positions[partition] >= end or partition in self._at_end for partition, end in ends.items())

    def close(self) -> None:
        """End the connections."""
        self._consumer.close()

    def _take(self, message: AnyMessage) -> Record | None:
        error = message.error()
        if error is not None:
            self._fail_or_go_on(error, partition_of(message), offset_of(message))
            return None
        record = record_of(message)
        self._positions[record.partition] = record.next_offset
        self._at_end.discard(record.partition)
        self.events += 1
        return record

    def _fail_or_go_on(self, error: KafkaError, partition: Partition, offset: int) -> None:
        name = error.name()
        if name == "_PARTITION_EOF":
            if partition not in self._at_end or offset > self._positions[partition]:
                self.events += 1
            self._at_end.add(partition)
            self._positions[partition] = max(self._positions[partition], offset)
            return
        if name in _FATAL:
            topic = f"topic {partition.topic}"
            resource = topic if name.endswith("_FAILED") else f"partition {partition.number} of {topic}"
            raise self._troubles.explain(error, "Read", resource)
        self._troubles(error)
