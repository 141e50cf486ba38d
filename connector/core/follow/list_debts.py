"""What a list owes: our new runs, and the ends that looks have found, which it has to show soon.

A list that is read as a safety net only is held to the same: what became due between two passes is judged at the end of
the second one, after its rows were taken.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from connector.core.follow.open_run import OpenRun

SHOWN_SECONDS = 30.0
"""By then the list has to show a run that is new, or that a look found ended."""
MOST_EXPECTED = 1_000
"""More than two are not needed to find a list wanting; one that fails for days must not gather what it owes."""

RunT = TypeVar("RunT", bound=OpenRun)


class ListDebts(Generic[RunT]):
    """What the list of one run type has to show. Times are seconds on one monotonic clock."""

    def __init__(self) -> None:
        """It owes nothing yet."""
        self._unseen: deque[RunT] = deque(maxlen=MOST_EXPECTED)
        self._expected: dict[str, tuple[float, float]] = {}

    def owe_run(self, run: RunT) -> None:
        """A run is new."""
        self._unseen.append(run)

    def owe_end(self, run: RunT, now: float) -> None:
        """A look found the end of a run of which no row told."""
        if len(self._expected) < MOST_EXPECTED:
            self._expected[run.run_id] = now + SHOWN_SECONDS, run.began_ms

    def shown(self, run_id: str) -> None:
        """A row shows that a run has ended."""
        self._expected.pop(run_id, None)

    def due(self, begun: float, created_from_ms: float) -> tuple[list[RunT], list[str]]:
        """What is due by a pass that has just ended; it is asked for no more.

        Args:
            begun: when the pass began.
            created_from_ms: it may have left out runs that were created before this, on the API's clock.

        Returns:
            New runs, some of which are not followed any more, or were shown; and runs whose end was not shown.
        """
        runs: list[RunT] = []
        while self._unseen and self._unseen[0].followed + SHOWN_SECONDS <= begun:
            runs.append(self._unseen.popleft())
        due = [run_id for run_id, (at, _) in self._expected.items() if at <= begun]
        return runs, [run_id for run_id in due if self._expected.pop(run_id)[1] >= created_from_ms]

    def forgive_runs(self) -> None:
        """New runs are looked at themselves."""
        self._unseen.clear()

    def forgive(self) -> None:
        """What the list showed meanwhile was not read."""
        self._unseen.clear()
        self._expected.clear()
