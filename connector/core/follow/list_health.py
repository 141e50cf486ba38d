"""Whether the list of a run type may be relied on. It is measured all the time, and nobody has to be asked.

A list that cannot be read three times in a row, shows changes late, or does not show runs at all makes us poll run by
run. Trial passes go on, and after enough good ones the list is relied on again; after each relapse it takes more.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from math import inf

FAILURES_IN_A_ROW = 3
STRIKES = 2
"""So many runs that the list showed too late, or not at all, within the window."""
STRIKE_WINDOW_SECONDS = 600.0
LATE_SECONDS = 15.0
"""A list that lags more than this is worse than polling."""
LAG_WINDOW_SECONDS = 60.0
GOOD_PASSES = 3
MOST_GOOD_PASSES = 48
GOOD_SECONDS = 60.0
RELAPSE_SECONDS = 1800.0
TRIAL_SECONDS = 30.0
"""Between two trial passes."""


class Trouble(StrEnum):
    """Why runs of a type are polled one by one."""

    OFF = "off"
    """By configuration."""
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    UNREADABLE = "unreadable"
    ENDLESS = "endless"
    DISORDERED = "disordered"
    LAGGING = "lagging"
    INCOMPLETE = "incomplete"


_UNREADABLE = frozenset({Trouble.REFUSED, Trouble.UNAVAILABLE, Trouble.UNREADABLE})
"""Troubles that are over with the first complete pass; the others are about what a list shows, and take longer."""


class ListHealth:
    """The health of one list. Every method is told the time."""

    def __init__(self, trouble: Trouble | None = None) -> None:
        """A list is relied on until it shows that it should not be.

        Args:
            trouble: ``OFF`` when it is never to be.
        """
        self._trouble = trouble
        self._failures = 0
        self._strikes: dict[str, float] = {}
        self._lags: deque[tuple[float, float]] = deque()
        self._needed = GOOD_PASSES
        self._good = 0
        self._bad_at = 0.0
        self._returned_at = -inf

    @property
    def trouble(self) -> Trouble | None:
        """Why the list is not relied on; None while it is."""
        return self._trouble

    @property
    def good(self) -> bool:
        """Whether the list is relied on."""
        return self._trouble is None

    @property
    def failures(self) -> int:
        """Passes in a row that failed."""
        return self._failures

    @property
    def backoff(self) -> float:
        """Seconds after a failure until the next pass."""
        if self.good or self._trouble in _UNREADABLE:
            return min(2.0 ** max(0, self._failures - 1), TRIAL_SECONDS)
        return TRIAL_SECONDS

    def lag(self, now: float) -> float:
        """Seconds by which the list was seen to lag in the last minute, at least."""
        while self._lags and self._lags[0][0] < now - LAG_WINDOW_SECONDS:
            self._lags.popleft()
        return max((seconds for _, seconds in self._lags), default=0.0)

    def passed(self, now: float) -> None:
        """A pass was complete."""
        self._failures = 0
        if self._trouble in {None, Trouble.OFF}:
            return
        self._good += 1
        if self._trouble in _UNREADABLE:
            self._trouble = None
        elif self._good >= self._needed and now - self._bad_at >= GOOD_SECONDS:
            self._trouble = None
            self._strikes.clear()
            self._returned_at = now

    def failed(self, trouble: Trouble, now: float) -> None:
        """A pass came to no end."""
        self._failures += 1
        if self._failures >= FAILURES_IN_A_ROW or not self.good:
            self._fall(trouble, now)

    def sighted(self, run_id: str, lag: float, now: float) -> None:
        """A change of a run was seen, so many seconds later than it could have been, at least."""
        if lag > 0:
            self._lags.append((now, lag))
        if lag >= LATE_SECONDS:
            self._strike(Trouble.LAGGING, run_id, now)

    def missed(self, run_id: str, now: float) -> None:
        """The list does not show what it should show about a run."""
        self._strike(Trouble.INCOMPLETE, run_id, now)

    def start_over(self) -> None:
        """There is a new key: what the old one could not read says nothing."""
        if self._trouble is not Trouble.OFF:
            self._trouble = None
        self._failures = 0
        self._strikes.clear()
        self._lags.clear()

    def _strike(self, trouble: Trouble, run_id: str, now: float) -> None:
        self._strikes = {run: at for run, at in self._strikes.items() if at > now - STRIKE_WINDOW_SECONDS}
        self._strikes[run_id] = now  # by run: a single odd one does not speak for all
        if len(self._strikes) >= STRIKES or not self.good:
            self._fall(trouble, now)

    def _fall(self, trouble: Trouble, now: float) -> None:
        if self._trouble is Trouble.OFF:
            return
        if self.good and trouble not in _UNREADABLE:
            relapse = now - self._returned_at < RELAPSE_SECONDS
            self._needed = min(2 * self._needed, MOST_GOOD_PASSES) if relapse else GOOD_PASSES
        if self.good or trouble not in _UNREADABLE or self._trouble in _UNREADABLE:
            self._trouble = trouble  # else what the list shows is in doubt still, also once it can be read again
        self._good = 0
        self._bad_at = now
