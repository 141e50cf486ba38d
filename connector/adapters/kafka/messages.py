"""librdkafka's messages as plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, cast

from confluent_kafka import Message

from connector.core.record import Headers, Partition, Record

if TYPE_CHECKING:
    AnyMessage: TypeAlias = Message[Any, Any]
else:
    AnyMessage = Message  # generic for type checkers only


def partition_of(message: AnyMessage) -> Partition:
    """Where a message, or an event about a partition, belongs."""
    return Partition(str(message.topic()), int(message.partition() or 0))


def offset_of(message: AnyMessage) -> int:
    """Its offset; of an end-of-partition event the end."""
    return int(message.offset() or 0)


def headers_of(message: AnyMessage) -> Headers:
    """Its headers, in order, doubles kept."""
    headers = cast("list[tuple[str, str | bytes | None]]", message.headers() or [])
    return tuple((name, content_of(value)) for name, value in headers)


def content_of(content: str | bytes | None) -> bytes | None:
    """Key or value as bytes."""
    return content.encode() if isinstance(content, str) else content


def record_of(message: AnyMessage) -> Record:
    """A record of an input topic."""
    kind, timestamp = message.timestamp()
    return Record(
        partition=partition_of(message),
        offset=offset_of(message),
        key=content_of(message.key()),
        value=content_of(message.value()),
        headers=headers_of(message),
        timestamp=timestamp if kind else None,
    )
