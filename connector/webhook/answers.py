"""What became of a request, and the status that tells its sender as much as he needs: no answer has a body."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from connector.core.signals.signature import Refusal
from connector.core.signals.webhook_event import Dropped


class Verdict(StrEnum):
    """What became of a request that was not refused for its signature, nor dropped for its content."""

    ACCEPTED = "accepted"
    """Its doorbell is acknowledged by Kafka."""
    REPEATED = "repeated"
    """It was accepted before."""
    NOT_FOUND = "not_found"
    TOO_LARGE = "too_large"
    ENCODED = "encoded"
    """Compressed, or in parts."""
    BAD_BODY = "bad_body"
    """Signed, and no event."""
    TOO_SLOW = "too_slow"
    GONE = "gone"
    """The sender left before the body was there."""
    BUSY = "busy"
    UNAVAILABLE = "unavailable"
    """Kafka did not acknowledge it: Extend sends it again."""
    FAILED = "failed"
    """An error that nobody foresaw."""


Result = Verdict | Refusal | Dropped

STATUS: Mapping[Result, int] = MappingProxyType(
    {
        Verdict.ACCEPTED: 204,
        Verdict.REPEATED: 204,
        Dropped.IGNORED: 204,
        Dropped.FOREIGN: 204,
        Verdict.BAD_BODY: 400,
        Verdict.TOO_SLOW: 400,
        Verdict.GONE: 400,
        Refusal.BAD_TIMESTAMP: 400,
        Refusal.NOT_SIGNED: 401,
        Refusal.BAD_SIGNATURE: 401,
        Refusal.TOO_OLD: 401,
        Refusal.TOO_NEW: 401,
        Verdict.NOT_FOUND: 404,
        Verdict.TOO_LARGE: 413,
        Verdict.ENCODED: 415,
        Verdict.BUSY: 429,
        Verdict.UNAVAILABLE: 503,
        Verdict.FAILED: 503,
    }
)
