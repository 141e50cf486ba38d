"""A store without a server: creates by run type, on a clock that the test turns."""

from __future__ import annotations

import json

from connector.core.run_types import RUN_TYPES
from connector.simulator.run import SimulatedRun
from connector.simulator.settings import Lifetimes
from connector.simulator.store import Store
from tests.simulator.judge import CREATE_BODIES

START_MS = 1_760_000_000_000
EVEN = Lifetimes(median=2.0, spread=0.0, review_median=5.0)
"""Every run takes exactly two seconds, every review five."""


class Machine:
    """A store and its time in milliseconds since the start."""

    def __init__(self, lifetimes: Lifetimes = EVEN, seed: int = 1) -> None:
        self.store = Store(lifetimes, seed)
        self.now = START_MS

    def create(self, run_type: str = "extract", name: str | None = None, **fields: object) -> SimulatedRun:
        body = {**CREATE_BODIES[run_type], **fields}
        if name is not None:
            body["file"] = {"url": f"https://files.example.com/{name}"}
        return self.store.create(RUN_TYPES[run_type], json.dumps(body).encode(), body, self.now)

    def status(self, run: SimulatedRun, after_ms: int) -> str:
        """The run's status so many milliseconds after the start."""
        self.now = START_MS + after_ms
        return self.store.get(run.run_type, run.id, self.now).status
