"""All runs, and their order over time. Pure: the time comes in with every call and never goes back.

Nothing happens between two calls: no task, no timer. A heap knows when something is due next; whoever asks first
afterwards moves the runs on, in the order of time. Every change of a run is appended to the log of its type and the run
remembers its place there, so the log *is* the order by ``updatedAt``: an entry counts when it is its run's latest.
A page is found by its place, without sorting and without looking at the runs before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import blake2b
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any, Literal

from connector.core.run_types import RUN_TYPES, RunType
from connector.simulator.documents import name_of, wish_of
from connector.simulator.identifiers import identifier
from connector.simulator.refusals import invalid, not_found
from connector.simulator.run import SimulatedRun
from connector.simulator.settings import Lifetimes
from connector.simulator.timeline import Step, draw_fate

CANCELLING_MS = 300
"""How long a workflow run takes to stop."""

_PREFIXES = {
    "extract": "exr_",
    "classify": "clr_",
    "split": "splr_",
    "parse": "pr_",
    "edit": "edr_",
    "workflow": "workflow_run_",
}


class _Log:
    """The runs of one type: as they were created, and as they changed."""

    def __init__(self) -> None:
        self.created: list[SimulatedRun] = []
        self.changes: list[SimulatedRun] = []

    def note(self, run: SimulatedRun) -> None:
        run.change = len(self.changes)
        self.changes.append(run)


class Store:
    """The runs of one simulated account."""

    def __init__(
        self, lifetimes: Lifetimes, seed: int, on_change: Callable[[SimulatedRun], None] = lambda _: None
    ) -> None:
        self._lifetimes = lifetimes
        self._on_change = on_change
        self._seed = seed
        self._runs: dict[str, SimulatedRun] = {}
        self._logs = {name: _Log() for name in RUN_TYPES}
        self._due: list[tuple[int, int, SimulatedRun]] = []
        self._order = count()  # runs themselves have no order; what was planned first happens first
        self._now_ms = 0
        self._created = 0

    def advance(self, now_ms: int) -> int:
        """Let everything happen that is due.

        Returns:
            The time that counts: ``now_ms``, or the latest time so far when the clock went back.
        """
        self._now_ms = max(self._now_ms, now_ms)
        while self._due and self._due[0][0] <= self._now_ms:
            at_ms, _, run = heappop(self._due)
            step = run.next_step
            if run.deleted or step is None or step.at_ms != at_ms:
                continue  # somebody interfered: the run has another future now
            run.step += 1
            self._logs[run.run_type.name].note(run)
            self._schedule(run)
            self._on_change(run)
        return self._now_ms

    def create(self, run_type: RunType, body: bytes, request: dict[str, Any], now_ms: int) -> SimulatedRun:
        """A new run.

        Args:
            run_type: its type.
            body: the create body as it came; kept.
            request: the same, decoded and validated.
            now_ms: the time.
        """
        now_ms = self.advance(now_ms)
        number = self._created
        self._created += 1
        # A generator of its own for every run: what becomes of a run does not depend on how others were drawn.
        seed = int.from_bytes(blake2b(f"{self._seed}/{number}".encode(), digest_size=8).digest(), "big")
        fate = draw_fate(run_type, now_ms, wish_of(request), self._lifetimes, Random(seed))  # noqa: S311 - no secret
        run = SimulatedRun(
            number=number,
            id=identifier(_PREFIXES[run_type.name], self._seed, number),
            run_type=run_type,
            body=body,
            file_name=name_of(request),
            timeline=fate.timeline,
            failure_reason=fate.failure_reason,
        )
        self._runs[run.id] = run
        log = self._logs[run_type.name]
        log.created.append(run)
        log.note(run)
        self._schedule(run)
        return run

    def get(self, run_type: RunType, run_id: str, now_ms: int) -> SimulatedRun:
        """The run, moved on to the time.

        Raises:
            Refusal: 404.
        """
        self.advance(now_ms)
        run = self._runs.get(run_id)
        if run is None or run.run_type is not run_type:
            raise not_found(f"No {run_type.name} run has this id.")
        return run

    def cancel(self, run_type: RunType, run_id: str, now_ms: int) -> SimulatedRun:
        """Stop a run, where its type and status allow it.

        Raises:
            Refusal: 404; or 400 when the run cannot be cancelled (the real status of that answer is not documented).
        """
        run = self.get(run_type, run_id, now_ms)
        if run.status not in run_type.cancellable:
            raise invalid(f"A run with status {run.status} cannot be cancelled.")
        now_ms = self._now_ms
        if run_type.name == "workflow":
            run.interfere(Step(now_ms, "CANCELLING"), Step(now_ms + CANCELLING_MS, "CANCELLED"))
        else:
            run.interfere(Step(now_ms, "CANCELLED"))
        self._schedule(run)
        self.advance(now_ms)
        return run

    def delete(self, run_type: RunType, run_id: str, now_ms: int) -> None:
        """Remove a run for ever.

        Raises:
            Refusal: 404.
        """
        run = self.get(run_type, run_id, now_ms)
        run.deleted = True
        del self._runs[run_id]

    def touch(self, run: SimulatedRun, body: bytes, now_ms: int) -> None:
        """Give a run another body (its metadata changed): ``updatedAt`` moves, the status does not."""
        run.touched_ms = self.advance(now_ms)
        run.body = body
        self._logs[run.run_type.name].note(run)

    def walk(
        self,
        run_type: RunType,
        order: Literal["updatedAt", "createdAt"],
        *,
        descending: bool,
        after: int | None,
        matches: Callable[[SimulatedRun], bool],
    ) -> Iterator[tuple[int, SimulatedRun]]:
        """The runs of a type in an order, with the place of each, to go on from.

        Args:
            run_type: the type.
            order: the sort key.
            descending: newest first.
            after: the place of the last run that was seen, or None to begin.
            matches: which runs to show.
        """
        log = self._logs[run_type.name]
        by_update = order == "updatedAt"
        places = log.changes if by_update else log.created
        if descending:
            numbers = range((len(places) if after is None else min(after, len(places))) - 1, -1, -1)
        else:
            numbers = range(0 if after is None else after + 1, len(places))
        for place in numbers:
            run = places[place]
            current = run.change == place if by_update else True
            if current and not run.deleted and matches(run):
                yield place, run

    def by_status(self, now_ms: int) -> dict[str, dict[str, int]]:
        """How many runs of each type have which status."""
        self.advance(now_ms)
        counts: dict[str, Counter[str]] = {name: Counter() for name in RUN_TYPES}
        for run in self._runs.values():
            counts[run.run_type.name][run.status] += 1
        return {name: dict(counter) for name, counter in counts.items()}

    def _schedule(self, run: SimulatedRun) -> None:
        step = run.next_step
        if step is not None:
            heappush(self._due, (step.at_ms, next(self._order), run))
