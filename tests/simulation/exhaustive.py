"""Two inputs and two owners: every action at the owner's boundary is a place to die or to sleep at, for each answer.

Nothing is sampled: the run is repeated until each place has been tried with each thing that can become of a POST.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tests.simulation.api import OUTCOMES
from tests.simulation.machine import Machine
from tests.simulation.scenario import Outcome, Plan, play
from tests.simulation.world import Shape, World

PLAN = Plan(seed=1, workers=2, inputs=2, shape=Shape(1, 1), seconds=4.0, faults=0, poison=0.0)
ASLEEP_SECONDS = 45.0
"""Longer than the session and the transaction: who sleeps so long is taken for dead."""

Way = Literal["dies", "sleeps"]


@dataclass(slots=True)
class Place:
    """One place of the owner's way.

    Attributes:
        outcomes: what becomes of the first POSTs.
        number: how many actions come before it.
        way: what happens there.
        seen: how many actions there were in all.
    """

    outcomes: tuple[str, ...]
    number: int
    way: Way
    seen: int = 0

    def __str__(self) -> str:
        return f"the owner {self.way} at its action {self.number}, POSTs: {', '.join(self.outcomes)}"

    def prepare(self, world: World) -> None:
        """Let it happen."""
        world.api.script = deque(self.outcomes)
        world.when_reached = lambda machine, point: self._reached(world, machine, point)

    def _reached(self, world: World, machine: Machine, point: str) -> None:
        if machine is not world.machines[0]:
            return
        if self.seen == self.number:
            world.hit(self.way, f"{machine.client_id} at {point}", ASLEEP_SECONDS)
            if self.way == "dies":
                machine.process.kill()
            else:
                machine.freeze(ASLEEP_SECONDS)
        self.seen += 1


def places(outcomes: tuple[str, ...], way: Way) -> Iterator[tuple[Place, Outcome]]:
    """Every place of one world, with what came of it."""
    number = 0
    while True:
        place = Place(outcomes, number, way)
        outcome = play(PLAN, place.prepare)
        yield place, outcome
        if place.seen <= number:
            return  # the way has ended before it
        number += 1


ANSWERS: tuple[tuple[str, ...], ...] = (
    *((outcome,) for outcome in OUTCOMES),
    *(("created", outcome) for outcome in OUTCOMES[1:]),
)
