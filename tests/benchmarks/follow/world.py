"""Virtual time: what happens, in the order of its instants, as fast as it can be computed."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class World:
    """A clock that jumps from one event to the next.

    Attributes:
        now: seconds since the beginning.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._planned = 0

    def at(self, when: float, do: Callable[[], None]) -> None:
        """Plan something; what was planned first for an instant happens first."""
        self._planned += 1
        heapq.heappush(self._events, (max(when, self.now), self._planned, do))

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        """Plan something for so many seconds from now."""
        self.at(self.now + seconds, do)

    def run(self, until: float) -> None:
        """Let everything happen up to an instant, and stop there."""
        while self._events and self._events[0][0] <= until:
            self.now, _, do = heapq.heappop(self._events)
            do()
        self.now = max(self.now, until)


class Alarm:
    """One thing that is to happen at an instant which moves; the last word counts."""

    def __init__(self, world: World, do: Callable[[], None]) -> None:
        self._world = world
        self._do = do
        self._at: float | None = None

    def set(self, when: float | None) -> None:
        """Let it happen at this instant only, or not at all."""
        if when == self._at:
            return
        self._at = when
        if when is not None:
            self._world.at(when, lambda: self._ring(when))

    def _ring(self, when: float) -> None:
        if self._at == when:
            self._at = None
            self._do()
