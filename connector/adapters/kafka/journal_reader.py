"""Reading a journal, and the group's offsets, without joining the group. Belongs to the restore thread."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from connector.adapters.kafka.errors import Troubles, with_troubles
from connector.adapters.kafka.reading import AssignedReader
from connector.core.record import Partition, Record

WAIT_SECONDS = 0.1
START_SECONDS = 2.0
END_WAIT_MS = 10
"""How long a broker may hold back the answer to a fetch at the log's end, which is what tells us of the end. With
librdkafka's 500 ms, and its 500 ms of back-off when a consumer is told to begin at the beginning without metadata, each
restore took 1 s (measured)."""
TAIL_PATIENCE_SECONDS = 3.0

_NOT_YET = frozenset({"_TIMED_OUT", "_WAIT_COORD", "UNSTABLE_OFFSET_COMMIT"})


class JournalReader:
    """Asks for stable offsets and reads journal partitions."""

    def __init__(self, properties: Mapping[str, object]) -> None:
        """Create the client for committed offsets.

        Args:
            properties: from ``reader_properties``, with the group's ``group.id``.
        """
        self._properties = dict(properties)
        self._troubles = Troubles(properties)
        self._committed = Consumer(with_troubles(properties, self._troubles))

    def committed(self, partitions: Iterable[Partition], timeout: float) -> dict[Partition, int | None] | None:
        """The group's stable offsets.

        Args:
            partitions: input partitions.
            timeout: seconds to wait.

        Returns:
            The offset or None for each; or None altogether when an open transaction still holds one of them
            (KIP-447: the answer waits for its end, and so a successor cannot miss what the old owner commits).

        Raises:
            ConnectorError: the broker will never answer (authorization).
        """
        asked = [TopicPartition(p.topic, p.number) for p in partitions]
        try:
            answers = self._committed.committed(asked, timeout)
        except KafkaException as error:
            reason: KafkaError = error.args[0]
            if reason.retriable() or reason.name() in _NOT_YET:
                return None
            raise self._troubles.explain(error, "Read", "group") from error
        offsets: dict[Partition, int | None] = {}
        for answer in answers:
            if answer.error is not None:
                return None
            offsets[Partition(answer.topic, answer.partition)] = answer.offset if answer.offset >= 0 else None
        return offsets

    def read(self, ends: Mapping[Partition, int], patience: float) -> Iterator[Record]:
        """All committed records below the given log ends.

        The end is the log end and not the last stable offset: commit markers reach the offsets topic and the journal
        separately, so a stable offset may be known while its entry still stands above the journal's stable offset.

        Args:
            ends: log end (read uncommitted) of each journal partition.
            patience: seconds without any progress.

        Raises:
            TimeoutError: an open transaction stands in the way for longer than that.
        """
        wanted = {partition: end for partition, end in ends.items() if end > 0}
        return self._read("read_committed", {each: self._start(each) for each in wanted}, wanted, patience)

    def read_tail(self, starts: Mapping[Partition, int], ends: Mapping[Partition, int]) -> list[Record]:
        """Everything between the last stable offset and the log end, open transactions included."""
        wanted = {partition: end for partition, end in ends.items() if end > starts[partition]}
        try:
            return list(self._read("read_uncommitted", starts, wanted, TAIL_PATIENCE_SECONDS))
        except TimeoutError:
            return []

    def close(self) -> None:
        """Free the client."""
        self._committed.close()

    def _start(self, partition: Partition) -> int:
        """The first offset that still exists."""
        try:
            start, _ = self._committed.get_watermark_offsets(TopicPartition(*partition), START_SECONDS)
        except KafkaException as error:
            raise TimeoutError(f"the log start of {partition} is unknown: {error.args[0].name()}") from error
        return start

    def _read(
        self,
        isolation: str,
        starts: Mapping[Partition, int],
        ends: Mapping[Partition, int],
        patience: float,
    ) -> Iterator[Record]:
        if not ends:
            return
        reader = AssignedReader(
            {**self._properties, "isolation.level": isolation, "fetch.wait.max.ms": END_WAIT_MS},
            {partition: starts[partition] for partition in ends},
        )
        progress = time.monotonic()
        try:
            while not reader.has_passed(ends):
                records = reader.read(WAIT_SECONDS)
                if records:
                    progress = time.monotonic()
                elif time.monotonic() - progress > patience:
                    names = ", ".join(str(partition) for partition in ends)
                    raise TimeoutError(f"an open transaction holds back {names}")
                yield from (record for record in records if record.offset < ends[record.partition])
        finally:
            reader.close()
