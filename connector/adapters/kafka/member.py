"""The group member: what we own, what was delivered, and where each partition goes on. Belongs to the Kafka thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from connector.adapters.kafka.errors import Troubles, with_troubles
from connector.adapters.kafka.messages import AnyMessage, offset_of, partition_of, record_of
from connector.core.record import Partition, Record
from connector.logs import logger


class Listener(Protocol):
    """Who is told about the group. Called inside ``poll`` and ``close``, on the polling thread."""

    def on_assigned(self, partitions: Sequence[Partition]) -> None:
        """These partitions are ours now; they are paused until ``Member.begin``."""

    def on_revoked(self, partitions: Sequence[Partition]) -> None:
        """These partitions go when this call returns; until then commits with fresh metadata are accepted."""

    def on_lost(self, partitions: Sequence[Partition]) -> None:
        """These partitions are gone already."""


@dataclass(frozen=True, slots=True)
class Polled:
    """What one poll brought.

    Attributes:
        records: in order within each partition.
        broken: partitions whose next record is gone.
        ended: partitions that have been read to their end, and that end: what is before it has come by now.
    """

    records: tuple[Record, ...] = ()
    broken: tuple[Partition, ...] = ()
    ended: tuple[tuple[Partition, int], ...] = ()


class Member:
    """One consumer that is a member of the group."""

    def __init__(
        self,
        properties: Mapping[str, Any],
        topics: Iterable[str],
        listener: Listener,
        beat: Callable[[], None],
    ) -> None:
        """Create the client and subscribe; joining happens in ``poll``.

        Args:
            properties: librdkafka properties of a group member.
            topics: the input topics.
            listener: who is told about assignments.
            beat: called before every call that may block.
        """
        self._troubles = Troubles(properties)
        try:
            self._consumer = Consumer(with_troubles(properties, self._troubles))
        except KafkaException as error:
            raise self._troubles.explain(error, "Read", "group") from error
        self._listener = listener
        self._beat = beat
        self._topics = sorted(topics)
        self._leaving = False
        self.owned: frozenset[Partition] = frozenset()
        self.joined = False
        self._subscribe()

    def poll(self, timeout: float, most: int) -> Polled:
        """Serve the group and take what is there.

        One ``poll`` and then ``consume`` without waiting: ``consume`` with a timeout waits it out unless the batch
        is full (measured: it adds 57 ms at 0.1 s).

        Args:
            timeout: seconds to wait for the first record.
            most: records at most.
        """
        self._beat()
        if self._leaving and not self.owned:
            self._leaving = False
            self._subscribe()
        first = self._consumer.poll(timeout)
        if first is None:
            return Polled()
        messages = [first, *self._consumer.consume(most - 1, 0)] if most > 1 else [first]
        records: list[Record] = []
        broken: list[Partition] = []
        ended: list[tuple[Partition, int]] = []
        for message in messages:
            error = message.error()
            if error is None:
                records.append(record_of(message))
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001
                broken.append(partition_of(message))
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                ended.append((partition_of(message), offset_of(message)))
            else:
                self._look_at(error, message)
        return Polled(tuple(records), tuple(broken), tuple(ended))

    def _look_at(self, error: KafkaError, message: AnyMessage) -> None:
        """Most errors pass by themselves: librdkafka goes on fetching, whatever it reports meanwhile."""
        if error.fatal() or error.code() in _NEEDS_A_PERSON:
            raise self._troubles.explain(error, "Read", f"topic {message.topic()}")
        self._troubles(error)
        logger.warning("fetch_error", partition=str(partition_of(message)), reason=error.name())

    def metadata(self) -> object:
        """The group metadata as the client knows it now: opaque, for ``send_offsets_to_transaction``."""
        return self._consumer.consumer_group_metadata()

    def begin(self, partition: Partition, offset: int) -> bool:
        """Read a partition, which is paused, from an offset on.

        A seek and never a new assignment: outside of a callback librdkafka takes ``incremental_(un)assign`` for the
        answer to a revocation that waits to be served, and gives partitions away that we still believe to own
        (measured on Kafka 4.4.0, classic protocol).

        Returns:
            Whether it was done; no while the client is not ready for it, and then it is asked again.
        """
        target = TopicPartition(partition.topic, partition.number, offset)
        self._beat()
        try:
            self._consumer.seek(target)
        except KafkaException as error:
            if error.args[0].code() == KafkaError._STATE:  # noqa: SLF001 - librdkafka's own code
                return False
            raise self._troubles.explain(error, "Read", f"topic {partition.topic}") from error
        self._consumer.resume([target])  # a pause survives re-assignment, and nobody tells
        return True

    def rejoin(self) -> None:
        """Give everything back and join anew: the next polls revoke what is owned, in order, and assign again.

        For a partition that cannot be sought any more, because its topic was made again (measured). Assigning it
        anew is for callbacks only; see ``begin``.
        """
        if not self._leaving:
            self._leaving = True
            self._consumer.unsubscribe()

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Stop fetching; polling must go on."""
        self._consumer.pause([TopicPartition(p.topic, p.number) for p in partitions if p in self.owned])

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Fetch again from where reading stopped."""
        self._consumer.resume([TopicPartition(p.topic, p.number) for p in partitions if p in self.owned])

    def log_end(self, partition: Partition) -> int | None:
        """The end of the readable log as of the last fetch, or None before one."""
        position = TopicPartition(partition.topic, partition.number)
        try:
            _, end = self._consumer.get_watermark_offsets(position, cached=True)
        except KafkaException:
            return None
        return end if end >= 0 else None

    def close(self) -> None:
        """Leave the group; ``on_revoked`` is called on the way."""
        self._beat()
        self._consumer.close()

    def _subscribe(self) -> None:
        self._consumer.subscribe(
            self._topics,
            on_assign=self._assigned,
            on_revoke=self._revoked,
            on_lost=self._lost,
        )

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.joined = True
        fresh = [Partition(p.topic, p.partition) for p in partitions]
        # An offset that needs no look-up. With OFFSET_END, the broker's answer came after ``begin`` and overruled it:
        # the partition was read from its end, and what stood between was lost.
        held = [TopicPartition(p.topic, p.number, 0) for p in fresh]
        consumer.incremental_assign(held)
        consumer.pause(held)
        self.owned = self.owned | frozenset(fresh)
        self._listener.on_assigned(fresh)

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        gone = [Partition(p.topic, p.partition) for p in partitions]
        self._listener.on_revoked(gone)
        self.owned = self.owned - frozenset(gone)
        consumer.incremental_unassign(partitions)

    def _lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.joined = False
        gone = [Partition(p.topic, p.partition) for p in partitions]
        self.owned = self.owned - frozenset(gone)
        self._listener.on_lost(gone)
        consumer.incremental_unassign(partitions)


_NEEDS_A_PERSON = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError._AUTHENTICATION,  # noqa: SLF001 - librdkafka's own code
        KafkaError.INCONSISTENT_GROUP_PROTOCOL,
    },
)
