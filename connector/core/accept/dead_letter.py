"""The record that keeps what never became a run: the original byte for byte, and why, in headers.

Header names are Kafka Connect's where it has one (KIP-298), so that tools which know those know these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from connector.core.errors import RecordRejected
from connector.core.record import Headers, OutRecord, Partition
from connector.core.redaction import Redactor

CONNECT = "__connect.errors."
"""Kafka Connect's prefix."""

RUN_MAY_EXIST = "extend.run_may_exist"
"""Header of a dead letter whose document was started, and nobody knows whether that made a run."""

MAX_HEADER_CHARS = 500
"""Of every text that we put into a header."""

_PATTERNS = Redactor()


def dead_letter(  # noqa: PLR0917 - the record's own parts, in their order
    record_key: bytes | None,
    record_value: bytes | None,
    headers: Headers,
    partition: Partition,
    offset: int,
    error: RecordRejected,
    *,
    topic: str,
    connector: str,
    max_bytes: int,
    run_may_exist: bool = False,
) -> OutRecord:
    """The dead letter of a record.

    Args:
        record_key: the original key.
        record_value: the original value.
        headers: the original headers; ours come after them, so a reader that takes the last of a name sees
            ours.
        partition: where the record stood.
        offset: its offset there.
        error: why it never becomes a run.
        topic: the dead-letter topic.
        connector: the connector's name.
        max_bytes: what the topic takes, compared with ``OutRecord.wire_size``.
        run_may_exist: nobody knows whether an earlier start made a run.

    Returns:
        The original with our headers. When that is too large the value is left out, then the original
        headers, then the key; for each a header says how large it was and its SHA-256, by which it can be
        found in the input topic.
    """
    reasons: Headers = tuple(_reasons(partition, offset, error, connector))
    if run_may_exist:
        reasons += ((RUN_MAY_EXIST, b"true"),)
    letter = OutRecord(topic, record_key, record_value, headers + reasons)
    if letter.wire_size > max_bytes and record_value is not None:
        reasons += _left_out("value", record_value)
        letter = OutRecord(topic, record_key, None, headers + reasons)
    if letter.wire_size > max_bytes and headers:
        reasons += _left_out("headers", b"".join(name.encode() + (content or b"") for name, content in headers))
        letter = OutRecord(topic, record_key, None, reasons)
    if letter.wire_size > max_bytes and record_key is not None:
        letter = OutRecord(topic, None, None, reasons + _left_out("key", record_key))
    return letter


def header_text(text: str) -> bytes:
    """One line of at most 500 characters, without control characters and what looks like a secret."""
    shown = _PATTERNS.redact(text[: 4 * MAX_HEADER_CHARS])
    line = " ".join("".join(char if char.isprintable() else " " for char in shown).split())
    if len(line) > MAX_HEADER_CHARS:
        line = f"{line[: MAX_HEADER_CHARS - 1]}…"
    return line.encode("utf-8", "replace")


def _reasons(partition: Partition, offset: int, error: RecordRejected, connector: str) -> Iterator[tuple[str, bytes]]:
    yield f"{CONNECT}topic", partition.topic.encode()
    yield f"{CONNECT}partition", str(partition.number).encode()
    yield f"{CONNECT}offset", str(offset).encode()
    yield f"{CONNECT}connector.name", connector.encode()
    yield f"{CONNECT}stage", header_text(error.stage)
    yield f"{CONNECT}exception.class.name", f"{type(error).__module__}.{type(error).__qualname__}".encode()
    yield f"{CONNECT}exception.message", header_text(str(error))
    yield "extend.reason", header_text(error.reason)
    if error.api_code is not None:
        yield "extend.api.code", header_text(error.api_code)
    if error.request_id is not None:
        yield "extend.api.request_id", header_text(error.request_id)


def _left_out(part: str, content: bytes) -> Headers:
    return (
        (f"extend.{part}.omitted.size", str(len(content)).encode()),
        (f"extend.{part}.omitted.sha256", hashlib.sha256(content).hexdigest().encode()),
    )
