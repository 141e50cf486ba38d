"""Reading a journal without joining the group. Belongs to the restore thread."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from connector.adapters.kafka.errors import sentence_of
from connector.adapters.kafka.messages import AnyMessage, content_of, headers_of, offset_of, partition_of
from connector.core.errors import TopicError
from connector.core.record import Headers, Partition

_BATCH = 2_000
_WAIT_SECONDS = 0.1
_TAIL_PATIENCE_SECONDS = 3.0


class JournalLine(NamedTuple):
    """One record of a journal partition."""

    partition: Partition
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class JournalReader:
    """Consumers that assign themselves and never join, so that reading disturbs nobody."""

    def __init__(self, properties: Mapping[str, Any]) -> None:
        """Create the client for committed offsets and committed records.

        Args:
            properties: librdkafka properties of a reader, with the group's ``group.id`` (for ``committed`` only).
        """
        self._properties = dict(properties)
        self._committed = Consumer({**self._properties, "isolation.level": "read_committed"})

    def committed(self, partitions: Iterable[Partition], timeout: float) -> dict[Partition, int | None] | None:
        """The group's stable offsets.

        Args:
            partitions: input partitions.
            timeout: seconds to wait.

        Returns:
            The offset or None for each; or None altogether when an open transaction still holds one of them
            (KIP-447: the answer waits for its end, and so a successor cannot miss what the old owner commits).

        Raises:
            TopicError: the broker will never answer (authorization).
        """
        asked = [TopicPartition(p.topic, p.number) for p in partitions]
        try:
            answers = self._committed.committed(asked, timeout)
        except KafkaException as error:
            reason: KafkaError = error.args[0]
            if reason.retriable() or reason.code() in _NOT_YET:
                return None
            raise TopicError([sentence_of(reason)]) from error
        offsets: dict[Partition, int | None] = {}
        for answer in answers:
            if answer.error is not None:
                return None
            offsets[Partition(answer.topic, answer.partition)] = answer.offset if answer.offset >= 0 else None
        return offsets

    def read(self, ends: Mapping[Partition, int], patience: float) -> Iterator[JournalLine]:
        """All committed records below the given log ends.

        The end is the log end and not the last stable offset: commit markers reach the offsets topic and the journal
        separately, so a stable offset may be known while its entry still stands above the journal's stable offset.

        Args:
            ends: log end (read uncommitted) of each journal partition.
            patience: seconds without any progress.

        Raises:
            TimeoutError: an open transaction stands in the way for longer than that.
        """
        yield from self._read(self._committed, dict.fromkeys(ends, OFFSET_BEGINNING), ends, patience)

    def read_tail(self, starts: Mapping[Partition, int], ends: Mapping[Partition, int]) -> list[JournalLine]:
        """Everything between the last stable offset and the log end, open transactions included."""
        ends = {partition: end for partition, end in ends.items() if end > starts[partition]}
        consumer = Consumer({**self._properties, "isolation.level": "read_uncommitted"})
        try:
            return list(self._read(consumer, starts, ends, _TAIL_PATIENCE_SECONDS))
        except TimeoutError:
            return []
        finally:
            consumer.close()

    def close(self) -> None:
        """Free the clients."""
        self._committed.close()

    def _read(
        self,
        consumer: Consumer,
        starts: Mapping[Partition, int],
        ends: Mapping[Partition, int],
        patience: float,
    ) -> Iterator[JournalLine]:
        open_ends = {partition: end for partition, end in ends.items() if end > 0}
        if not open_ends:
            return
        consumer.assign([TopicPartition(p.topic, p.number, starts[p]) for p in open_ends])
        progress = time.monotonic()
        try:
            while open_ends:
                messages = consumer.consume(_BATCH, _WAIT_SECONDS)
                for message in messages:
                    line = _line_of(message)
                    if line is not None:
                        progress = time.monotonic()
                        if line.offset < ends[line.partition]:
                            yield line
                        if line.offset + 1 >= ends[line.partition]:
                            open_ends.pop(line.partition, None)
                self._drop_reached(consumer, messages, open_ends)
                if open_ends and time.monotonic() - progress > patience:
                    names = ", ".join(str(partition) for partition in open_ends)
                    raise TimeoutError(f"an open transaction holds back {names}")
        finally:
            consumer.unassign()

    def _drop_reached(
        self,
        consumer: Consumer,
        messages: list[AnyMessage],
        open_ends: dict[Partition, int],
    ) -> None:
        # Commit and abort markers take offsets too: only the end-of-partition event and the position count them.
        for message in messages:
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                partition = partition_of(message)
                if offset_of(message) >= open_ends.get(partition, 0):
                    open_ends.pop(partition, None)
        if open_ends and not messages:
            asked = [TopicPartition(p.topic, p.number) for p in open_ends]
            for position in consumer.position(asked):
                partition = Partition(position.topic, position.partition)
                if position.offset >= open_ends[partition]:
                    open_ends.pop(partition)


_NOT_YET = frozenset({KafkaError._TIMED_OUT, KafkaError.UNSTABLE_OFFSET_COMMIT, KafkaError._WAIT_COORD})  # noqa: SLF001


def _line_of(message: AnyMessage) -> JournalLine | None:
    error = message.error()
    if error is None:
        return JournalLine(
            partition_of(message),
            offset_of(message),
            content_of(message.key()),
            content_of(message.value()),
            headers_of(message),
        )
    if error.code() == KafkaError._PARTITION_EOF or error.retriable():  # noqa: SLF001 - librdkafka's own code
        return None
    raise TopicError([sentence_of(error)])
