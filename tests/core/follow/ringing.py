"""Doorbells for the runs of a world: announced, lost, late, doubled and false."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from connector.core.run_types import has_event
from tests.core.follow.following_world import ModelRun, World


@dataclass(frozen=True)
class Ringer:
    """How doorbells come.

    Attributes:
        lost: the share that never comes.
        late: the share that comes ``late_by`` seconds after the end, instead of a moment.
        doubled: the share that comes again, a little later.
        false: the share of runs for which one comes in the middle of their lives.
        broken_from: none that is true comes from then ...
        broken_until: ... to then.
    """

    lost: float = 0.0
    late: float = 0.0
    late_by: float = 20.0
    doubled: float = 0.0
    false: float = 0.0
    broken_from: float = inf
    broken_until: float = inf

    def attach(self, world: World, run: ModelRun) -> None:
        """Ring for a run when its time comes."""
        draw = world.random.random
        if draw() < self.false:
            self._ring(world, run, (run.created + run.end) / 2)
        for at, status in run.changes:
            if not has_event(run.run_type, status) or draw() < self.lost or self.broken_from <= at < self.broken_until:
                continue
            rings_at = at + (self.late_by if draw() < self.late else 0.2)
            self._ring(world, run, rings_at)
            if draw() < self.doubled:
                self._ring(world, run, rings_at + 3.0 * draw())

    @staticmethod
    def _ring(world: World, run: ModelRun, at: float) -> None:
        known = run.created + 0.301  # one that comes earlier is held back until its run is known
        world.later(max(at, known), lambda: world.rang(run))
