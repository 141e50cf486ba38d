"""Which document is started next: fairly between routes and between partitions, the longest accepted first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from connector.core.entry import Entry
from connector.core.record import Partition
from connector.core.route_guard import RouteGuards
from connector.documents import Holding, Holdings


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document that may be started next; with an offset it is a new record's."""

    holding: Holding
    entry: Entry
    next_offset: int | None = None


class HasRoom(Protocol):
    """Knows whether another document may be accepted; see ``connector.accept``."""

    def room(self) -> bool:
        """Whether one more may be open."""


class Chooser:
    """Chooses; it starts nothing."""

    def __init__(self, holdings: Holdings, acceptor: HasRoom, guards: RouteGuards) -> None:
        """Take what is looked at: the open documents, the inboxes' room, and the routes that may start."""
        self._holdings = holdings
        self._acceptor = acceptor
        self._guards = guards
        self._turn = 0
        self._turn_of: dict[str | Partition, int] = {}  # when routes and partitions had their last turn

    def next_trial(self, now: float) -> float | None:
        """Seconds until a stopped route may have its next trial."""
        # A trial that is due and finds no document needs no timer: the document that comes wakes us.
        trials = [guard.next_trial() for guard in self._guards]
        return min((at - now for at in trials if at is not None and at > now), default=None)

    def next(self, now: float, *, trial: bool) -> Candidate | None:
        """Routes in turn, within a route partitions in turn, and within a partition accepted documents first.

        For a trial the least tried one.
        """
        candidates = self._candidates(now, trial=trial)
        if trial:
            return min(candidates, key=lambda candidate: candidate.entry.attempts, default=None)
        chosen = min(candidates, key=self._last_turn, default=None)
        if chosen is not None:
            self._turn += 1
            self._turn_of[chosen.entry.request.route] = self._turn_of[chosen.holding.partition] = self._turn
        return chosen

    def _last_turn(self, candidate: Candidate) -> tuple[int, int]:
        of = self._turn_of.get
        return of(candidate.entry.request.route, 0), of(candidate.holding.partition, 0)

    def _candidates(self, now: float, *, trial: bool) -> Iterator[Candidate]:
        def may_start(entry: Entry) -> bool:
            return self._guards.of(entry.request.route).may_start(now)

        def on_trial(entry: Entry) -> bool:
            return trial or self._guards.of(entry.request.route).stopped

        room = self._acceptor.room()
        for holding in self._holdings:
            if holding.settling:
                continue
            entry = holding.next_ready(may_start, on_trial)
            if entry is not None:
                yield Candidate(holding, entry)
            head = holding.head
            if room and head is not None and may_start(head) and not holding.key_busy(head):
                yield Candidate(holding, head, holding.inbox[0].next_offset)
