"""When to look at a run again: the official SDK's hybrid schedule, option for option.

Fast at first, then growing: each ``fast_poll_interval_ms`` for ``fast_poll_duration_ms``, after that by a
geometric series from ``initial_delay_ms`` to ``max_delay_ms``. The step comes from the *elapsed time* and not
from a counter, so slow reads advance it. Source: extend-ai 1.20.0, ``wrapper/polling.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PollingOptions:
    """The SDK's six options with its defaults, and its jitter. All times are milliseconds.

    Attributes:
        max_wait_ms: give up following after this long; None waits for ever.
        fast_poll_duration_ms: how long the fast phase lasts.
        fast_poll_interval_ms: the interval of the fast phase.
        initial_delay_ms: the first interval after it.
        max_delay_ms: the longest interval, before jitter.
        backoff_multiplier: how much each interval is longer than the one before.
        jitter_fraction: each interval is drawn from 1 - this to 1 + this times its length.

    Raises:
        ValueError: an option is out of its range; the message names it.
    """

    max_wait_ms: float | None = None
    fast_poll_duration_ms: float = 30_000
    fast_poll_interval_ms: float = 1_000
    initial_delay_ms: float = 1_000
    max_delay_ms: float = 30_000
    backoff_multiplier: float = 1.15
    jitter_fraction: float = 0.25

    def __post_init__(self) -> None:
        """Refuse what would poll without a pause, or never again."""
        _require("max_wait_ms", self.max_wait_ms, least=0)
        _require("fast_poll_duration_ms", self.fast_poll_duration_ms, least=0)
        _require("fast_poll_interval_ms", self.fast_poll_interval_ms, least=1)
        _require("initial_delay_ms", self.initial_delay_ms, least=1)
        _require("max_delay_ms", self.max_delay_ms, least=1)
        _require("backoff_multiplier", self.backoff_multiplier, least=1)
        _require("jitter_fraction", self.jitter_fraction, least=0, most=1)


def _require(name: str, value: float | None, *, least: float, most: float = math.inf) -> None:
    if value is None:
        return
    if not math.isfinite(value) or not least <= value <= most:
        bound = f"at least {least:g}" if most == math.inf else f"between {least:g} and {most:g}"
        raise ValueError(f"{name} must be {bound}, and is {value!r}.")


def delay_ms(options: PollingOptions, elapsed_ms: float, u: float) -> int:
    """How long to wait before the next look.

    Args:
        options: the policy.
        elapsed_ms: milliseconds since the polling of this run began, the reads included.
        u: the draw of the jitter, from -1 to 1; 0 for none.

    Returns:
        Milliseconds, never negative. The jitter comes after the cap, as in the SDK, so the longest is
        ``max_delay_ms * (1 + jitter_fraction)``.
    """
    factor = 1 + u * options.jitter_fraction
    if elapsed_ms < options.fast_poll_duration_ms:
        return round(options.fast_poll_interval_ms * factor)
    first, ratio = options.initial_delay_ms, options.backoff_multiplier
    since = elapsed_ms - options.fast_poll_duration_ms
    if ratio == 1:
        delay = first
    else:
        # The number of whole steps of the series first, first * ratio, ... that fit into `since`.
        step = math.floor(math.log(since * (ratio - 1) / first + 1) / math.log(ratio))
        delay = first * ratio**step
    return round(min(delay, options.max_delay_ms) * factor)
