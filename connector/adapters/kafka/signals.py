"""Records of the signals topic, in and out, without a group and without transactions. Belongs to the signals thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import count

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from connector.adapters.kafka.errors import Troubles, error_of, with_troubles
from connector.adapters.kafka.messages import AnyMessage, partition_of, record_of
from connector.core.errors import ConnectorError
from connector.core.record import OutRecord, Partition, Record
from connector.logs import logger

ANSWER_SECONDS = 1.0
"""How long a broker may take to say where to begin. Whoever asks tries again, and reads and writes meanwhile."""
_BATCH = 500
_READING: Mapping[str, object] = {
    # An open transaction, that of a frozen worker say, must keep no fact and no command back (measured: 16 s).
    "isolation.level": "read_uncommitted",
    # What the retention has deleted is no reason to hear nothing more; what is heard twice does no harm.
    "auto.offset.reset": "earliest",
}
_WITHOUT_END = frozenset({"message.timeout.ms", "delivery.timeout.ms"})
_HOPELESS = frozenset({"MSG_SIZE_TOO_LARGE", "RECORD_LIST_TOO_LARGE"})


class SignalReader:
    """A consumer that is given its partitions, and gets and loses them as it goes."""

    def __init__(self, properties: Mapping[str, object]) -> None:
        """Connects in the background.

        Args:
            properties: from `reader_properties`.

        Raises:
            ConfigurationError: librdkafka refuses the properties.
        """
        self._troubles = Troubles(properties)
        self._positions: dict[Partition, int] = {}
        self._ends: dict[Partition, int] = {}
        self.behind: set[Partition] = set()
        """Partitions of which not everything was read that was there when reading began."""
        self.trouble: ConnectorError | None = None
        """Why nothing may come, until something does."""
        try:
            self._consumer = Consumer(with_troubles({**properties, **_READING}, self._troubles))
        except KafkaException as error:
            raise self._troubles.explain(error, "Read", "cluster") from error

    def offset_at(self, partition: Partition, since_ms: int) -> int:
        """The first offset at or after an instant; the log's end where no record is that young.

        Args:
            partition: which.
            since_ms: milliseconds since the epoch.

        Raises:
            ConnectorError: nobody says so at the moment.
        """
        place = TopicPartition(partition.topic, partition.number)
        asked = TopicPartition(partition.topic, partition.number, max(0, since_ms))
        try:
            # The end first: a record that comes between the two questions is then read, not skipped.
            _, end = self._consumer.get_watermark_offsets(place, ANSWER_SECONDS)
            (found,) = self._consumer.offsets_for_times([asked], ANSWER_SECONDS)
        except KafkaException as error:
            raise self._unknown(error, partition) from error
        if found.error is not None:
            raise self._unknown(found.error, partition)
        self._ends[partition] = end
        return found.offset if found.offset >= 0 else end

    def begin(self, offsets: Mapping[Partition, int]) -> None:
        """Read these partitions too; one that is being read already goes back to its offset, never forward."""
        for partition, offset in offsets.items():
            self._positions[partition] = min(offset, self._positions.get(partition, offset))
            self.behind.add(partition)
            self._look_behind(partition)
        self._assign()

    def remove(self, partitions: Iterable[Partition]) -> None:
        """Read these no more."""
        gone = self._positions.keys() & set(partitions)
        for partition in gone:
            del self._positions[partition]
        self.behind -= gone
        if gone:
            self._assign()

    def read(self, timeout: float) -> list[Record]:
        """The records that are there; none when none came in time.

        Args:
            timeout: seconds to wait for the first of them.
        """
        first = self._consumer.poll(timeout)
        if first is None:
            return []
        messages = [first, *self._consumer.consume(_BATCH - 1, 0)]
        return [record for message in messages if (record := self._take(message)) is not None]

    def close(self) -> None:
        """End the connections."""
        self._consumer.close()

    def _unknown(self, error: KafkaException | KafkaError, partition: Partition) -> ConnectorError:
        return self._troubles.explain(error, "Read", f"partition {partition.number} of topic {partition.topic}")

    def _assign(self) -> None:
        # All anew from where we are, and not one by one: what was fetched ahead of a step back is thrown away with it.
        self._consumer.assign([TopicPartition(*partition, at) for partition, at in self._positions.items()])

    def _look_behind(self, partition: Partition) -> None:
        if self._positions[partition] >= self._ends.get(partition, 0):
            self.behind.discard(partition)

    def _take(self, message: AnyMessage) -> Record | None:
        error = message.error()
        if error is None:
            self.trouble = None
            record = record_of(message)
            if record.partition not in self._positions:
                return None
            self._positions[record.partition] = record.next_offset
            self._look_behind(record.partition)
            return record
        if error.name() == "_PARTITION_EOF":
            self.trouble = None
            self.behind.discard(partition_of(message))  # commit markers take offsets too
        else:  # librdkafka goes on trying, whatever it reports meanwhile
            self._troubles(error)
            self.trouble = self._troubles.explain(error, "Read", f"topic {partition_of(message).topic}")
        return None


class SignalWriter:
    """An idempotent producer that keeps every record until the brokers have it."""

    def __init__(self, properties: Mapping[str, object], done: Callable[[str, bool], None]) -> None:
        """Connects in the background.

        Args:
            properties: from `producer_properties`, without a transactional id.
            done: told, inside of `serve`, the label of a record and whether it is acknowledged; otherwise it is too
                large, for ever.

        Raises:
            ConfigurationError: librdkafka refuses the properties.
        """
        self._properties = {name: value for name, value in properties.items() if name not in _WITHOUT_END}
        self._properties["message.timeout.ms"] = 0
        self._troubles = Troubles(properties)
        self._done = done
        self._numbers = count()
        self._kept: dict[int, tuple[OutRecord, str]] = {}
        self._refused: list[int] = []
        self._broken = False
        self.trouble: ConnectorError | None = None
        """Why a record was refused last, until one is acknowledged."""
        self._producer = self._open()

    @property
    def waiting(self) -> int:
        """How many records are not acknowledged."""
        return len(self._kept)

    def send(self, record: OutRecord, label: str) -> None:
        """Take a record.

        Args:
            record: the record.
            label: what `done` calls it.
        """
        number = next(self._numbers)
        self._kept[number] = (record, label)
        self._hand_over(number)

    def serve(self) -> None:
        """Hear what the brokers have said; returns at once."""
        self._producer.poll(0)

    def repeat(self) -> None:
        """Send again what was refused."""
        again, self._refused = self._refused, []
        if self._broken:
            logger.warning("signals_producer_replaced", reason=str(self.trouble))
            self._broken = False
            self.close()
            self._producer = self._open()
            again, self._refused = list(self._kept), []
        for number in again:
            if number in self._kept:
                self._hand_over(number)

    def close(self) -> None:
        """End the connections. What is not acknowledged may be lost."""
        self._producer.purge()
        self._producer.close()

    def _open(self) -> Producer:
        try:
            return Producer(with_troubles(self._properties, self._troubles))
        except KafkaException as error:
            raise self._troubles.explain(error, "Write", "cluster") from error

    def _hand_over(self, number: int) -> None:
        record, _ = self._kept[number]
        try:
            self._producer.produce(
                record.topic,
                value=record.value,
                key=record.key,
                partition=-1 if record.partition is None else record.partition,
                on_delivery=partial(self._delivered, number),
            )
        except BufferError:
            self._refused.append(number)
        except KafkaException as error:
            self._refuse(number, error_of(error))

    def _delivered(self, number: int, error: KafkaError | None, _: Message) -> None:
        if number not in self._kept:
            return  # of a producer that was replaced
        if error is not None:
            self._refuse(number, error)
            return
        self.trouble = None
        self._end(number, acknowledged=True)

    def _refuse(self, number: int, error: KafkaError) -> None:
        record, label = self._kept[number]
        self.trouble = self._troubles.explain(error, "Write", f"topic {record.topic}")
        if error.name() in _HOPELESS:
            logger.error("signal_too_large", kind=label, reason=str(self.trouble))
            self._end(number, acknowledged=False)
            return
        self._broken = self._broken or error.fatal() or error.name() == "_FATAL"
        self._refused.append(number)

    def _end(self, number: int, *, acknowledged: bool) -> None:
        _, label = self._kept.pop(number)
        self._done(label, acknowledged)
