"""librdkafka's messages as plain values."""

from __future__ import annotations

from operator import methodcaller
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


def headers_of(message: AnyMessage) -> Headers | None:
    """Its headers, in order, doubles kept; None when they cannot be read.

    confluent-kafka makes texts of the names. When one is not UTF-8, it returns half a list *and* leaves an exception
    behind: a list that must not be looked at, and nobody may ask a second time.
    """
    try:
        headers = cast("list[tuple[str, str | bytes | None]]", _HEADERS(message) or [])
    except (SystemError, UnicodeDecodeError):
        return None
    return tuple((name, content_of(value)) for name, value in headers)


_HEADERS = methodcaller("headers")
"""Calls from C are checked for what confluent-kafka does there (SystemError). `message.headers()` in a line that runs
often is not (Python 3.11's specialised calls): the list comes back, and the exception is raised somewhere behind it."""


def content_of(content: str | bytes | None) -> bytes | None:
    """Key or value as bytes."""
    return content.encode() if isinstance(content, str) else content


def record_of(message: AnyMessage) -> Record:
    """A record, of whatever topic. Key and value are byte for byte, also when the headers are lost."""
    kind, timestamp = message.timestamp()
    headers = headers_of(message)
    return Record(
        partition=partition_of(message),
        offset=offset_of(message),
        key=content_of(message.key()),
        value=content_of(message.value()),
        headers=headers or (),
        timestamp=timestamp if kind else None,
        headers_lost=headers is None,
    )
