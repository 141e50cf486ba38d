"""One process and its links: what is between the connector's code and the models of the outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.simulation.scheduler import Process

if TYPE_CHECKING:
    from tests.simulation.world import World


class Machine:
    """A process, its name, and whether it hears the brokers and the API."""

    def __init__(self, world: World, client_id: str) -> None:
        self.world = world
        self.client_id = client_id
        self.process = Process(world.scheduler, client_id)
        self.kafka_cut_until = 0.0
        self.api_cut_until = 0.0
        self.listed: tuple[float, frozenset[str]] | None = None
        self.fell_silent: Callable[[], None] = lambda: None
        self.heard: Callable[[], None] = lambda: None
        self._counting_down: dict[str, int] = {}

    # ---- links -------------------------------------------------------------------------------------------------

    @property
    def reachable(self) -> bool:
        """Whether its Kafka clients can talk to the brokers now."""
        return not self.process.dead and not self.process.frozen and self.kafka_back_at <= self.world.scheduler.now

    @property
    def kafka_back_at(self) -> float:
        return max(self.kafka_cut_until, self.world.broker.down_until)

    def when_reachable(self, seconds: float, call: Callable[[], None]) -> None:
        """What the client library's own threads do: after a while, and once they can."""

        def attempt() -> None:
            if self.process.dead:
                return
            if self.reachable:
                call()
            else:
                later = max(self.kafka_back_at, self.process.frozen_until if self.process.frozen else 0.0)
                self.world.scheduler.at(max(later, self.world.scheduler.now) + 0.001, attempt)

        self.world.scheduler.after(seconds, attempt)

    def cut_kafka(self, seconds: float) -> None:
        """Its Kafka clients hear nothing for so long."""
        self.kafka_cut_until = self.world.scheduler.now + seconds
        self._silent_for(seconds)

    def cut_api(self, seconds: float) -> None:
        """Its HTTP client reaches nobody for so long."""
        self.api_cut_until = self.world.scheduler.now + seconds

    def freeze(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT later."""
        self.process.freeze(seconds)
        self._silent_for(seconds)

    def _silent_for(self, seconds: float) -> None:
        self.fell_silent()
        self.world.scheduler.after(seconds + 0.001, self._hear)

    def _hear(self) -> None:
        self.heard()

    # ---- the boundary --------------------------------------------------------------------------------------------

    def point(self, name: str) -> None:
        """An action at the boundary: here the process may die or be frozen, in the middle of the call."""
        self.process.check()
        self.world.reached(self, name)
        self.process.check()
