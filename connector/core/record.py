"""What Kafka gave us, and what we give Kafka, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

Headers = tuple[tuple[str, bytes | None], ...]


class Partition(NamedTuple):
    """One partition of one topic."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.number}"


@dataclass(frozen=True, slots=True)
class Record:
    """One record of an input topic.

    Attributes:
        partition: where it stands.
        offset: its offset there.
        key: the key's bytes, or None.
        value: the value's bytes; None is a tombstone.
        headers: name and bytes, in order, doubles kept.
        timestamp: milliseconds since the epoch, or None.
        headers_lost: it has headers that could not be read, and ``headers`` is empty.
    """

    partition: Partition
    offset: int
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    headers: Headers = field(default=(), repr=False)
    timestamp: int | None = None
    headers_lost: bool = False

    @property
    def next_offset(self) -> int:
        """The offset to commit once this record is accounted for."""
        return self.offset + 1

    @property
    def size(self) -> int:
        """Bytes of key, value and headers."""
        return record_size(self.key, self.value, self.headers)


@dataclass(frozen=True, slots=True)
class OutRecord:
    """One record to be written.

    Attributes:
        topic: the topic.
        key: the key's bytes, or None.
        value: the value's bytes; None writes a tombstone.
        headers: name and bytes, in order.
        partition: a fixed partition, or None for the partitioner's choice (Java's murmur2 over the key).
    """

    topic: str
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    headers: Headers = field(default=(), repr=False)
    partition: int | None = None

    @property
    def size(self) -> int:
        """Bytes of key, value and headers."""
        return record_size(self.key, self.value, self.headers)

    @property
    def wire_size(self) -> int:
        """The most bytes of an uncompressed batch with this record alone; ``max.message.bytes`` limits it."""
        return self.size + _BATCH_BYTES + _RECORD_BYTES + _HEADER_BYTES * len(self.headers)


# Record batches version 2: 61 bytes of header; variable-length integers of at most 5 bytes, 10 for times.
_BATCH_BYTES = 61
_RECORD_BYTES = 5 + 1 + 10 + 5 + 5 + 5 + 5
_HEADER_BYTES = 5 + 5


def record_size(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """Bytes that a record takes, without the batch around it."""
    size = len(key or b"") + len(value or b"")
    for name, content in headers:
        size += len(name.encode()) + len(content or b"")
    return size
