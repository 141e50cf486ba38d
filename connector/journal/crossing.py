"""What crosses between the event loop and the Kafka thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from connector.core.commit import Write
from connector.core.entry import Entry
from connector.core.errors import ConnectorError
from connector.core.record import Partition, Record

MOST_WRITES = 500
"""Writes put into one transaction."""
MOST_BYTES = 16_000_000
"""Bytes put into one transaction; one write alone may exceed it."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one write.

    Attributes:
        write: the write.
        begun: when its transaction began, on the monotonic clock; 0.0 when there was none.
        error: None when it is committed; why it is not otherwise.
    """

    write: Write
    begun: float = 0.0
    error: ConnectorError | None = None


class RecordTooLarge(ConnectorError):  # noqa: N818 - it names what was found
    """The topic will never take this record; the writer may have a smaller one."""


class LoopSide(Protocol):
    """Who lives on the event loop. Called there, in the order of the calls made here."""

    def restored(self, partition: Partition, assignment: int, topic_id: str, entries: Sequence[Entry]) -> None:
        """A partition is ours, with these open documents."""

    def delivered(self, records: Sequence[tuple[int, Record]]) -> None:
        """Input records, each with its partition's assignment number."""

    def revoking(self, partitions: Sequence[tuple[Partition, int]]) -> None:
        """No new POST for these; say ``drained`` for each when its open ones are settled."""

    def released(self, partitions: Sequence[tuple[Partition, int]]) -> None:
        """These assignments are over: forget their documents."""

    def settled(self, writes: Sequence[Settled]) -> None:
        """These writes are committed, or will not be."""

    def kafka_ended(self, error: BaseException | None) -> None:
        """The thread is over, by itself only with an error."""


@dataclass(slots=True)
class PendingWrites:
    """Writes that wait for a transaction, in the order they came.

    Attributes:
        writes: the writes.
        since: when the first of them began to wait.
    """

    writes: deque[Write] = field(default_factory=deque)
    since: float = 0.0

    def put_back(self, writes: Sequence[Write]) -> None:
        """Their transaction was aborted: they are first again."""
        self.writes.extendleft(reversed(writes))

    def take(self, most: int = MOST_WRITES, held: Collection[str] = ()) -> list[Write]:
        """Remove what fits into one transaction.

        Args:
            most: writes at most.
            held: topics that take nothing at the moment. Writes for them stay, and so do later writes of the same
                partition that move its offset: an offset must not pass a record that is not accounted for.
        """
        batch: list[Write] = []
        left: deque[Write] = deque()
        blocked: set[Partition] = set()
        size = 0
        while self.writes and len(batch) < most:
            write = self.writes.popleft()
            moves = write.next_offset is not None
            if any(record.topic in held for record in write.records) or (moves and write.partition in blocked):
                left.append(write)
                if moves:
                    blocked.add(write.partition)
                continue
            size += write.size
            if batch and size > MOST_BYTES:
                self.writes.appendleft(write)
                break
            batch.append(write)
        self.writes.extendleft(reversed(left))
        return batch
