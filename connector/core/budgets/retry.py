"""How long to wait before asking again: what the API asks for, and our own backoff."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER = 300.0
"""Seconds. A header is obeyed up to here; more than five minutes is taken for a mistake."""

# ASCII digits only: int() and float() also take "1_0", " 5 " and Arabic digits, none of which a server means.
_SECONDS = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,9})?")


def retry_after(headers: Mapping[str, str], wall: float, cap: float = MAX_RETRY_AFTER) -> float | None:
    """What an answer asks to wait: ``Retry-After``, else ``X-RateLimit-Reset``.

    Instants are compared with the answer's own ``Date`` header where it has one, so that a clock that is
    minutes off on either side does no harm.

    Args:
        headers: the answer's headers, names in lower case.
        wall: seconds since the epoch on our clock, used when there is no ``Date``.
        cap: the longest wait in seconds.

    Returns:
        Seconds from 0 to ``cap``, or None when there is no header that makes sense (negative, garbage, or a
        reset that has passed).
    """
    now = instant_of(headers.get("date", ""))
    now = wall if now is None else now
    wait = parse_retry_after(headers.get("retry-after", ""), now)
    if wait is None:
        reset = _seconds(headers.get("x-ratelimit-reset", ""))  # Unix seconds, as the SDK reads it
        wait = reset - now if reset is not None and reset > now else None
    return None if wait is None else min(wait, cap)


def parse_retry_after(text: str, now: float) -> float | None:
    """The seconds in a ``Retry-After`` value: a number, or an HTTP date (a past one is 0); else None.

    Args:
        text: the header's value.
        now: seconds since the epoch that a date is compared with.
    """
    seconds = _seconds(text)
    if seconds is not None:
        return seconds
    instant = instant_of(text)
    return None if instant is None else max(0.0, instant - now)


def backoff(attempt: int, u: float, *, first: float = 1.0, cap: float = 60.0, jitter: float = 0.25) -> float:
    """Exponential backoff with jitter, in seconds.

    Args:
        attempt: 0 after the first failure.
        u: the draw of the jitter, from -1 to 1.
        first: seconds after the first failure.
        cap: the longest wait in seconds, before jitter.
        jitter: the wait is drawn from 1 - this to 1 + this times its length.
    """
    # 2**64 seconds are past every cap; the bound keeps the power from overflowing after a long outage.
    return min(cap, first * 2.0 ** min(max(attempt, 0), 64)) * (1 + u * jitter)


def wait_seconds(attempt: int, u: float, asked: float | None = None) -> float:
    """What to wait after a failure: the longer of the backoff and of what the API asked for."""
    return max(backoff(attempt, u), asked or 0.0)


def _seconds(text: str) -> float | None:
    text = text.strip(" \t")
    return float(text) if _SECONDS.fullmatch(text) else None


def instant_of(text: str) -> float | None:
    """Seconds since the epoch of an HTTP date, or None when the text is none."""
    if not text or len(text) > 64:
        return None
    try:
        moment = parsedate_to_datetime(text)
        # "-0000" and obsolete forms come back without a zone; HTTP dates are always GMT.
        instant = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return instant if math.isfinite(instant) else None
