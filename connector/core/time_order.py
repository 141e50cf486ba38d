"""Records of several partitions as one sequence by time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from connector.core.record import Partition, Record


class TimeOrder:
    """Merges partitions by their records' timestamps, and holds only what it must.

    A record is given out once every other partition shows a record of its own or is known to have no more. Within a
    partition the order stays as it is: it is the order in which things happened.
    """

    def __init__(self, partitions: Iterable[Partition]) -> None:
        """Nothing is known of any of them yet.

        Args:
            partitions: which.
        """
        self._waiting: dict[Partition, deque[Record]] = {partition: deque() for partition in partitions}

    def take(self, record: Record) -> None:
        """Put a record in its place."""
        self._waiting[record.partition].append(record)

    def ready(self, is_over: Callable[[Partition], bool]) -> Iterator[Record]:
        """What can be given out now.

        Args:
            is_over: whether nothing more comes of a partition.
        """
        while True:
            heads = [records[0] for records in self._waiting.values() if records]
            if not heads or any(not records and not is_over(p) for p, records in self._waiting.items()):
                return
            first = min(heads, key=lambda record: (record.timestamp or 0, record.partition, record.offset))
            yield self._waiting[first.partition].popleft()
