"""How fast a category of requests may go after the API has said 429: half at once, and then back by and by.

The limit that is configured may be wrong, or others may use the account. So the pace at which a 429 came is
remembered: the way back is quick to a little below it, slow around it, and quick again once it is passed, which is
the idea of TCP CUBIC. With a wrong limit the pace then stays just below the true one, and tries it now and then.
"""

from __future__ import annotations

from math import inf

CUT = 0.5
"""What is left of the pace after a 429."""
NEARLY = 0.85
"""How near to the pace that was too fast the quick part of the way back ends."""
RETURN_SECONDS = 20.0
"""How long that part takes."""
RECOVERY_SECONDS = 120.0
"""Without another 429 the whole limit is used again after this."""


class Pace:
    """The part of a limit that may be used; 1.0 until the first 429."""

    def __init__(self) -> None:
        self._cut = self._nearly = 1.0
        self._since = -inf

    def at(self, now: float) -> float:
        """The part, more than 0 and at most 1."""
        passed = now - self._since
        if passed >= RECOVERY_SECONDS:
            return 1.0
        if passed < RETURN_SECONDS:
            return self._cut + (self._nearly - self._cut) * max(0.0, passed) / RETURN_SECONDS
        rest = (passed - RETURN_SECONDS) / (RECOVERY_SECONDS - RETURN_SECONDS)
        return float(self._nearly + (1.0 - self._nearly) * rest**3)

    def slow_down(self, was: float, least: float, since: float) -> None:
        """It was too fast.

        Args:
            was: the part that was used.
            least: the part that is never gone below.
            since: when the first request may be sent again; the way back begins then.
        """
        self._cut = max(least, was * CUT)
        self._nearly = max(self._cut, was * NEARLY)
        self._since = since

    def wait(self, since: float) -> None:
        """The way back begins later than was thought."""
        self._since = max(self._since, since)
