"""What a restore asks Kafka. Each answer is taken by itself, so that one that is missing stops no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeVar

from connector.core.errors import ConnectorError, TopicError
from connector.core.record import Partition, Record

_Asked = TypeVar("_Asked")
_Answer = TypeVar("_Answer")


class Reader(Protocol):
    """The reading that a restore needs; see ``adapters.kafka.journal_reader``."""

    def committed(self, partitions: Iterable[Partition], timeout: float) -> dict[Partition, int | None] | None:
        """Stable offsets, or None while an open transaction withholds one."""

    def read(self, ends: Mapping[Partition, int], patience: float) -> Iterable[Record]:
        """Committed records below the ends."""

    def close(self) -> None:
        """Free the clients."""


class LogEnds(Protocol):
    """Where partitions end; see ``adapters.kafka.admin``."""

    def each_log_end(self, partitions: Iterable[Partition], *, committed: bool) -> Mapping[Partition, int | TopicError]:
        """Log ends, or last stable offsets."""


class Cluster(LogEnds, Protocol):
    """The questions that a restore asks the cluster; see ``adapters.kafka.admin``."""

    def each_log_start(self, partitions: Iterable[Partition]) -> Mapping[Partition, int | TopicError]:
        """The first offsets that still exist."""

    def each_offset_at(
        self,
        partitions: Iterable[Partition],
        timestamp_ms: int,
    ) -> Mapping[Partition, int | TopicError]:
        """The first offset at or after an instant; the log end where there is none."""

    def each_topic_id(self, names: Iterable[str]) -> Mapping[str, str | TopicError]:
        """The ids of topics; missing topics are absent."""

    def close(self) -> None:
        """Free the client."""


def known(
    answers: Mapping[_Asked, _Answer | TopicError],
    on_error: Callable[[ConnectorError], None],
) -> dict[_Asked, _Answer]:
    """The answers that there are; `on_error` hears of each other one."""
    found: dict[_Asked, _Answer] = {}
    for asked, answer in answers.items():
        if isinstance(answer, TopicError):
            on_error(answer)
        else:
            found[asked] = answer
    return found
