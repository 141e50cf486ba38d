"""The time, as a value that is handed in."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Two clocks: deadlines use the first, records and messages the second.

    Attributes:
        monotonic: seconds that never jump; comparable only inside this process.
        wall: seconds since the epoch.
    """

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time

    def wall_ms(self) -> int:
        """Milliseconds since the epoch."""
        return int(self.wall() * 1000)
