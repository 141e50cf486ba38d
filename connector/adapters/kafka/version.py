"""Which librdkafka this is."""

from __future__ import annotations

from confluent_kafka import libversion


def librdkafka_version() -> str:
    """The version of the client library, e.g. ``2.16.0``."""
    return str(libversion()[0])
