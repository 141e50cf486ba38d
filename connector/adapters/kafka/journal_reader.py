"""Reading a journal, and the group's offsets, without joining the group. Belongs to the restore thread."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from connector.adapters.kafka.errors import Troubles, with_troubles
from connector.adapters.kafka.reading import AssignedReader
from connector.core.errors import ConnectorError
from connector.core.record import Partition, Record
from connector.logs import logger

WAIT_SECONDS = 0.1
SILENCE_SECONDS = 10.0
"""How long brokers may say nothing at all. Every reading makes new connections, which takes seconds with TLS and SCRAM
and brokers far away, and a pause of a broker must not make a large journal be read from its start again."""
END_WAIT_MS = 10
"""How long a broker may hold back the answer to a fetch at the log's end, which is what tells us of the end. With
librdkafka's 500 ms, and its 500 ms of back-off when a consumer is told to begin at the beginning without metadata, each
restore took 1 s (measured)."""
TAIL_PATIENCE_SECONDS = 3.0
"""For a tail there is nothing to wait for: its end is known, and open transactions are read."""

_NOT_YET = frozenset({"_TIMED_OUT", "_WAIT_COORD", "UNSTABLE_OFFSET_COMMIT"})


class HeldBack(TimeoutError):  # noqa: N818 - it names what happened
    """An open transaction stands in the way of what was asked for; everything before it was read."""


class JournalReader:
    """Asks for stable offsets and reads journal partitions."""

    def __init__(self, properties: Mapping[str, object]) -> None:
        """Create the client for committed offsets.

        Args:
            properties: from ``reader_properties``, with the group's ``group.id``.

        Raises:
            ConfigurationError: librdkafka refuses the properties.
        """
        self._properties = dict(properties)
        self._troubles = Troubles(properties)
        try:
            self._committed = Consumer(with_troubles(properties, self._troubles))
        except KafkaException as error:
            raise self._troubles.explain(error, "Read", "group") from error

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
            patience: seconds that an open transaction may stand in the way, from when the broker says so.

        Raises:
            HeldBack: it stands in the way for longer than that.
            TimeoutError: no broker says anything for 10 s.
            ConnectorError: a partition is gone, may not be read, or has no leader.
        """
        wanted = {partition: end for partition, end in ends.items() if end > 0}
        return self._read("read_committed", {each: self._start(each) for each in wanted}, wanted, patience)

    def read_tail(self, starts: Mapping[Partition, int], ends: Mapping[Partition, int]) -> list[Record]:
        """Everything between the last stable offset and the log end, open transactions included.

        What one partition does not answer keeps nothing back of the others.
        """
        wanted = {partition: end for partition, end in ends.items() if end > starts[partition]}
        tail: list[Record] = []
        try:
            for record in self._read("read_uncommitted", starts, wanted, TAIL_PATIENCE_SECONDS):
                tail.append(record)  # noqa: PERF402 - what came before an error counts
        except (TimeoutError, ConnectorError) as error:
            logger.warning("tail_not_read", reason=str(error))
        return tail

    def close(self) -> None:
        """Free the client."""
        self._committed.close()

    def _start(self, partition: Partition) -> int:
        """The first offset that still exists."""
        try:
            start, _ = self._committed.get_watermark_offsets(TopicPartition(*partition), SILENCE_SECONDS)
        except KafkaException as error:
            resource = f"partition {partition.number} of topic {partition.topic}"
            raise self._troubles.explain(error, "Read", resource) from error
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
        events, since = 0, time.monotonic()
        try:
            while not reader.has_passed(ends):
                records = reader.read(WAIT_SECONDS)
                waited = time.monotonic() - since
                if reader.events > events:
                    events, since = reader.events, time.monotonic()
                elif reader.is_held_back(ends):
                    if waited > patience:
                        raise HeldBack(f"an open transaction holds back {_names(ends)}")
                elif waited > max(patience, SILENCE_SECONDS):
                    raise TimeoutError(f"no broker says anything about {_names(ends)}")
                yield from (record for record in records if record.offset < ends[record.partition])
        finally:
            reader.close()


def _names(partitions: Iterable[Partition]) -> str:
    return ", ".join(str(partition) for partition in partitions)
