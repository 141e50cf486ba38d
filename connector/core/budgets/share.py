"""What one worker may use of the account's limits: as much of them as it owns of the input partitions.

Every worker knows how many partitions there are and which of them it has, and Kafka gives each to one worker at a
time. So the shares add up to the whole without a coordinator, and follow every rebalance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from connector.core.budgets.budget import StartBudget, TokenBucket
from connector.core.record import Partition

LEAST_SHARE = 0.01
"""Of a worker without partitions: something may be left to be finished, and no rate is no budget but a stop."""


def share_of(owned: Iterable[Partition], partitions: Mapping[str, int]) -> float:
    """The share of one worker, more than 0 and at most 1.

    Args:
        owned: its partitions.
        partitions: how many each input topic had when the worker started. A partition of a higher number shows that
            its topic has grown.
    """
    mine = set(owned)
    counts = dict(partitions)
    for partition in mine:
        counts[partition.topic] = max(counts.get(partition.topic, 0), partition.number + 1)
    return len(mine) / sum(counts.values()) if mine else LEAST_SHARE


class Budgets:
    """The budgets of one worker; each is a share of what all workers may use together.

    Attributes:
        reads: of the GET category: every read and list.
        writes: of the WRITE category: cancels.
        starts: of the RUN category and of the throughput.
        share: the worker's share.
    """

    def __init__(
        self,
        *,
        get: float | None = None,
        write: float | None = None,
        run: float | None = None,
        files_per_minute: float | None = None,
        partitions: Mapping[str, int] | None = None,
    ) -> None:
        """Start with the share of a worker without partitions.

        Args:
            get: reads per second for all workers together, or None for no limit.
            write: changes per second.
            run: starts per second.
            files_per_minute: files per minute.
            partitions: as for ``share_of``.
        """
        self._partitions = dict(partitions or {})
        self._get, self._write, self._run, self._files = get, write, run, files_per_minute
        self.share = LEAST_SHARE
        self.reads = TokenBucket(self._part(get))
        self.writes = TokenBucket(self._part(write))
        self.starts = StartBudget(self._part(run), self._part(files_per_minute))

    def divide(self, owned: Iterable[Partition], now: float) -> None:
        """The worker owns these partitions now."""
        self.share = share_of(owned, self._partitions)
        self.reads.resize(self._part(self._get), now)
        self.writes.resize(self._part(self._write), now)
        self.starts.resize(self._part(self._run), self._part(self._files), now)

    def _part(self, rate: float | None) -> float | None:
        return None if rate is None else rate * self.share
