"""Our open runs of one type: by id, by route, and by age where their list accepts no order."""

from __future__ import annotations

import heapq
from collections import Counter
from typing import Generic, TypeVar

from connector.core.follow.open_run import OpenRun

FEWEST_TO_TIDY = 1_000

RunT = TypeVar("RunT", bound=OpenRun)


class OpenRuns(Generic[RunT]):
    """The runs that are followed."""

    def __init__(self, *, aged: bool) -> None:
        """None is open yet.

        Args:
            aged: whether the oldest ones will be asked for.
        """
        self.by_id: dict[str, RunT] = {}
        self.in_review = 0
        self.waiting: Counter[str] = Counter()  # by route: those for which the list is read; reviews have own passes
        self._aged = aged
        self._oldest: list[tuple[float, str]] = []

    def add(self, run: RunT) -> None:
        """A run is open; none with its id is."""
        self.by_id[run.run_id] = run
        if run.in_review:
            self.in_review += 1
        else:
            self.waiting[run.route] += 1
        if self._aged:
            if len(self._oldest) > 2 * len(self.by_id) + FEWEST_TO_TIDY:
                self._oldest = [place for place in self._oldest if self._is_place(place)]
                heapq.heapify(self._oldest)
            heapq.heappush(self._oldest, (run.began_ms, run.run_id))

    def remove(self, run: RunT) -> None:
        """A run is not followed any more."""
        if not self.has(run):
            return
        del self.by_id[run.run_id]
        if run.in_review:
            self.in_review -= 1
        else:
            self.waiting[run.route] -= 1
            self.waiting += Counter()  # without zeros

    def has(self, run: RunT) -> bool:
        """Whether a run is followed."""
        return self.by_id.get(run.run_id) is run

    def oldest_began(self, otherwise: float) -> float:
        """When the oldest run began that is not polled, on the API's clock."""
        while self._oldest and not self._is_place(self._oldest[0]):
            heapq.heappop(self._oldest)
        return self._oldest[0][0] if self._oldest else otherwise

    def take_older(self, than_ms: float) -> list[RunT]:
        """The runs that began before an instant and are not polled; they are not asked for again."""
        older = []
        while self._oldest and self._oldest[0][0] < than_ms:
            run = self.by_id.get(heapq.heappop(self._oldest)[1])
            if run is not None and not run.polled:
                older.append(run)
        return older

    def _is_place(self, place: tuple[float, str]) -> bool:
        run = self.by_id.get(place[1])
        return run is not None and run.began_ms == place[0] and not run.polled
