"""The wall clock of a simulated API."""

from __future__ import annotations

import time


class ApiTime:
    """The simulated API's wall clock, which a test can put forward. Its runs live by it, the workers do not.

    A test that needs a run to be open while something happens lets its runs last an hour and then puts the clock
    forward. Runs of a few seconds were tried first: on a busy machine they ended before the test had looked.
    """

    def __init__(self) -> None:
        self._ahead = 0.0

    def wall(self) -> float:
        """Seconds since the epoch, and what it was put forward."""
        return time.time() + self._ahead

    def forward(self, seconds: float) -> None:
        """Put it forward."""
        self._ahead += seconds
